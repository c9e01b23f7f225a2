/*
 * record.h: one row of observation on its way into the table. record.c makes rows of arguments, record_json.c of JSON,
 * record_insert.c writes them; rights on relations are not asked for: EXECUTE on the functions is the right to record.
 */
#ifndef MM_RECORD_H
#define MM_RECORD_H

#include "pg/assignment.h"
#include "pg/mm.h"

/* Largest value taken: sums, and sums of squares, of any number of them stay finite. The table checks the same. */
#define RECORD_MAX_VALUE 1e100

/* Columns of observation, in order. */
typedef enum record_column
{
	RECORD_RECORDED_AT,
	RECORD_ROUTED_AT,
	RECORD_TXN,
	RECORD_VERSION_ID,
	RECORD_DEPLOYMENT_ID,
	RECORD_STEP,
	RECORD_TEST_NO,
	RECORD_ARM,
	RECORD_UNIT_HASH,
	RECORD_REQUEST,
	RECORD_SUCCESS,
	RECORD_RESPONSE_TIME,
	RECORD_CONFIDENCE,
	RECORD_COST,
	RECORD_INPUT_TOKENS,
	RECORD_OUTPUT_TOKENS,
	RECORD_ERROR_TYPE,
	RECORD_FEEDBACK,
	RECORD_METRICS,
	RECORD_COLUMNS
} record_column;

typedef struct record_row
{
	Datum values[RECORD_COLUMNS];
	bool nulls[RECORD_COLUMNS];
	bool timed; /* the caller said when it was recorded */
} record_row;

/* record_clear: every column NULL but feedback, which is false. */
extern void record_clear(record_row *row);
extern void record_set(record_row *row, record_column column, Datum value);

/* Checks, each 22003 (22023 for metrics, 22P02 for the decision) with DETAIL and HINT; they fill the row. */
extern void record_check_row(record_row *row);
extern void record_check_time(record_row *row);
extern void record_set_metrics(record_row *row, Jsonb *metrics);
/* record_set_result_metrics: the same for results of a test, whose functions have no arguments for cost and tokens:
 * there the keys of these names are the columns. */
extern void record_set_result_metrics(record_row *row, Jsonb *metrics);
/* record_set_number: a JSON number into its column; false when it ought to be whole and is not, 22003 out of range. */
extern bool record_set_number(record_row *row, record_column column, const char *name, Numeric number);
extern void record_set_decision(record_row *row, const char *decision, int length);
/* record_set_version: after the checks. What is recorded as it happens is credited to the rollout in force now. */
extern void record_set_version(record_row *row, const char *model, int model_length, const char *version,
							   int version_length);
extern void record_set_unit(record_row *row, const char *unit, int length);
/* record_set_variant: after the checks: an arm of a test, 22023 when it has none of that name. Its version is credited
 * as record_set_version would. */
extern void record_set_variant(record_row *row, const assignment_test *test, const char *variant, int length);

/* record_insert: writes rows, the present transaction's key filled in. `function` names the caller in errors. */
extern void record_insert(const char *function, record_row *rows, int64 count);

#endif
