/*
 * query.h: SQL from C with typed parameters and plans kept for the session. Usable between mm_enter and mm_leave only.
 *
 *   static query find = QUERY("SELECT model_id FROM model_mgr.model WHERE model_name = $1", TEXTOID);
 *   if (query_run(&find, text_arg(name)) > 0) id = query_int64(0, 0);
 *
 * Values go in as parameters only, names in the SQL are written in full, and so are operators that are not of
 * pg_catalog types. A plan is stored only after SPI_keepplan succeeded, so an error in between leaves nothing half
 * made.
 */
#ifndef MM_QUERY_H
#define MM_QUERY_H

#include "pg/mm.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#define QUERY_MAX_ARGS 32

typedef struct query
{
	const char *sql;
	Oid types[QUERY_MAX_ARGS]; /* ends at the first InvalidOid */
	SPIPlanPtr plan;
	bool read_only; /* under the active snapshot; not for what must see its own earlier writes */
} query;

/* Types may be empty: QUERY("SELECT 1"). */
#define QUERY(text, ...)                                                                                               \
	{                                                                                                                  \
		.sql = (text), .types = { __VA_ARGS__ }                                                                        \
	}

/* The same for what reads under the snapshot that is active, so that several statements see one state:
 * query_snapshot_push() first, PopActiveSnapshot() when all is read. */
#define QUERY_OF_SNAPSHOT(text, ...)                                                                                   \
	{                                                                                                                  \
		.sql = (text), .types = {__VA_ARGS__}, .read_only = true                                                       \
	}

typedef struct query_arg
{
	Datum value;
	bool isnull;
} query_arg;

static inline query_arg
null_arg(void)
{
	return (query_arg){(Datum) 0, true};
}
extern query_arg text_arg(const char *value); /* NULL pointer: SQL NULL */
extern query_arg int64_arg(int64 value);
extern query_arg int32_arg(int32 value);
extern query_arg float8_arg(double value);
extern query_arg bool_arg(bool value);
extern query_arg time_arg(TimestampTz value);   /* 0 is a time; use null_arg() for none */
extern query_arg jsonb_arg(const Jsonb *value); /* NULL pointer: SQL NULL */
extern query_arg datum_arg(Datum value, bool isnull);

/* query_run: prepares once a session, runs, returns the number of rows processed; rows are in SPI_tuptable. */
extern uint64 query_run_args(query *q, int nargs, const query_arg *args);
#define query_run(q, ...)                                                                                              \
	query_run_args((q), sizeof((query_arg[]){null_arg(), ##__VA_ARGS__}) / sizeof(query_arg) - 1,                      \
				   ((query_arg[]){null_arg(), ##__VA_ARGS__}) + 1)

/* query_open: a cursor over it, for SPI_cursor_fetch and SPI_cursor_close: what is too much for the memory at once. */
extern Portal query_open_args(query *q, int nargs, const query_arg *args);
#define query_open(q, ...)                                                                                             \
	query_open_args((q), sizeof((query_arg[]){null_arg(), ##__VA_ARGS__}) / sizeof(query_arg) - 1,                     \
					((query_arg[]){null_arg(), ##__VA_ARGS__}) + 1)

/* query_forget: frees plan and text of a query that was made at run time; nothing when there is none. */
extern void query_forget(query *q);

/* query_snapshot_push: the state as of now, own writes included, becomes what QUERY_OF_SNAPSHOT reads. */
extern void query_snapshot_push(void);

/* Readers of the last result, by row and column from 0. Those that return a pointer copy into the SPI context, or
 * into `context` for query_text_in. */
extern bool query_isnull(uint64 row, int column);
extern int64 query_int64(uint64 row, int column); /* 0 when NULL */
extern int32 query_int32(uint64 row, int column);
extern double query_float8(uint64 row, int column); /* NaN when NULL */
extern bool query_bool(uint64 row, int column);
extern TimestampTz query_time(uint64 row, int column); /* 0 when NULL */
extern char *query_text(uint64 row, int column);       /* NULL when NULL */
extern Jsonb *query_jsonb(uint64 row, int column);     /* NULL when NULL */
extern Datum query_datum(uint64 row, int column, bool *isnull);

/* query_result_row: row 0 of the last result as a composite value that outlives mm_leave. */
extern Datum query_result_row(void);
/* query_result_text: the text as a value that outlives mm_leave. */
extern Datum query_result_text(const char *text);

/* json_build: {"key": value, ...} from pairs; NULL values become JSON null. */
typedef struct json_pair
{
	const char *key;
	enum
	{
		JSON_TEXT,
		JSON_NUMBER,
		JSON_EXACT,
		JSON_INTEGER,
		JSON_BOOLEAN,
		JSON_OBJECT,
		JSON_TIME
	} type;
	const char *text;
	double number; /* NaN: null */
	int64 integer;
	const Jsonb *object; /* JSON_OBJECT: any jsonb value; NULL: null */
} json_pair;

#define json_text_pair(k, v) ((json_pair){.key = (k), .type = JSON_TEXT, .text = (v)})
#define json_number_pair(k, v) ((json_pair){.key = (k), .type = JSON_NUMBER, .number = (v)})
/* json_exact_pair: with every digit, so that reading it gives the same number again; json_number_pair rounds to 15. */
#define json_exact_pair(k, v) ((json_pair){.key = (k), .type = JSON_EXACT, .number = (v)})
#define json_integer_pair(k, v) ((json_pair){.key = (k), .type = JSON_INTEGER, .integer = (v)})
#define json_boolean_pair(k, v) ((json_pair){.key = (k), .type = JSON_BOOLEAN, .integer = (v)})
#define json_object_pair(k, v) ((json_pair){.key = (k), .type = JSON_OBJECT, .object = (v)})
#define json_time_pair(k, v) ((json_pair){.key = (k), .type = JSON_TIME, .integer = (v)}) /* ISO 8601 UTC */

extern Jsonb *json_build_pairs(int n, const json_pair *pairs);
#define json_build(...)                                                                                                \
	json_build_pairs(sizeof((json_pair[]){__VA_ARGS__}) / sizeof(json_pair), (json_pair[]){__VA_ARGS__})

#endif
