/*
 * metric_source_read.c: one reading of a metric source. The rows come as the role that registered it (user_code.c), by
 * time, through a cursor; each minute (b, b + 1 min] of each version is summed up and put aside in a tuple store, which
 * spills to disk: memory depends on the number of versions and not on rows. After the code of users has ended, and
 * as the owner again, the stored minutes are made equal to those: only what differs is written, so reading an hour
 * again each minute costs little.
 */
#include "pg/metric_source.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "pg/query.h"
#include "pg/routing.h"
#include "pg/statistics.h"
#include "pg/summary.h"
#include "pg/user_code.h"

#define FETCH_ROWS 1000
/* A stretch of minutes that is written at once has at least so many rows, if there are more. */
#define WRITE_ROWS 500
#define VALUE_LIMIT 1e100

/* What goes through the tuple store. */
enum
{
	SAMPLED_AT,
	VERSION_ID,
	SAMPLES,
	VALUE,
	VALUES, /* the summary's text */
	COLUMNS
};

/* A minute of a version. */
typedef struct group
{
	int64 version_id; /* key */
	TimestampTz last; /* the newest row, which is in the minute as well as its end is, and never ahead of now */
	summary values;
} group;

typedef struct reader
{
	metric_source_reading *reading;
	Tuplestorestate *store;
	TupleDesc descriptor;
	MemoryContext minute_context; /* groups of the present minute */
	TimestampTz minute;
	HTAB *groups; /* NULL: none yet */
} reader;

/* value_expression: how the column is read as float8; numeric has values that float8 has not. NULL: it is no number. */
static const char *
value_expression(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
			return "s.value::pg_catalog.float8";
		case NUMERICOID:
			return "CASE WHEN s.value OPERATOR(pg_catalog.>=) '-1e100'::pg_catalog.numeric AND"
				   " s.value OPERATOR(pg_catalog.<=) '1e100'::pg_catalog.numeric THEN s.value::pg_catalog.float8 END";
		case BOOLOID:
			return "s.value::pg_catalog.int4::pg_catalog.float8";
		default:
			return NULL;
	}
}

/* refuse_type: 22023. */
static void
refuse_type(const char *relation, const char *column, Oid type, const char *wanted)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("column \"%s\" of %s cannot be read by a metric source", column, relation),
			errdetail("It has type %s; it should be %s.", format_type_be(type), wanted),
			errhint("Make a view over it whose columns have these types, and register the view."));
}

char *
metric_source_query(Oid relation)
{
	static const char *const names[] = {"time", "model_name", "version", "value", "unit_id"};
	Oid types[lengthof(names)];
	char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), get_rel_name(relation));
	StringInfoData missing;

	initStringInfo(&missing);
	for (int i = 0; i < lengthof(names); i++)
	{
		AttrNumber column = get_attnum(relation, names[i]);

		types[i] = column > 0 ? getBaseType(get_atttype(relation, column)) : InvalidOid;
		if (column <= 0 && i < lengthof(names) - 1)
			appendStringInfo(&missing, "%s\"%s\"", missing.len ? ", " : "", names[i]);
	}
	if (missing.len > 0)
		ereport(
			ERROR, errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("%s lacks columns of a metric source", name),
			errdetail("It has no column %s.", missing.data),
			errhint("Make a view with the columns \"time\", model_name, version and value, and register the view."));
	if (types[0] != TIMESTAMPTZOID)
		refuse_type(name, names[0], types[0], "timestamp with time zone");
	for (int i = 1; i < lengthof(names); i++)
		if (i != 3 && OidIsValid(types[i]) && types[i] != TEXTOID && types[i] != VARCHAROID && types[i] != BPCHAROID &&
			types[i] != NAMEOID)
			refuse_type(name, names[i], types[i], "text");
	if (value_expression(types[3]) == NULL)
		refuse_type(name, names[3], types[3], "double precision, numeric or an integer");
	return psprintf("SELECT s.\"time\"::pg_catalog.timestamptz, s.model_name::pg_catalog.text,"
					" s.version::pg_catalog.text, %s FROM %s AS s"
					" WHERE s.\"time\" OPERATOR(pg_catalog.>) $1 AND s.\"time\" OPERATOR(pg_catalog.<=) $2 ORDER BY 1",
					value_expression(types[3]), name);
}

/* put_group: one finished minute of a version. */
static void
put_group(reader *r, group *g)
{
	Datum values[COLUMNS];
	bool nulls[COLUMNS] = {false};
	bytea *stored = DatumGetByteaPP(summary_datum(&g->values, "metric source"));
	char *text = palloc(SUMMARY_TEXT_MAX);
	double mean = dd_value(moments_mean(&g->values.m));

	summary_to_text((unsigned char *) VARDATA(stored), VARSIZE(stored) - VARHDRSZ, text);
	values[SAMPLED_AT] = TimestampTzGetDatum(g->last);
	values[VERSION_ID] = Int64GetDatum(g->version_id);
	values[SAMPLES] = Int64GetDatum(g->values.m.n);
	values[VALUE] = Float8GetDatum(mean);
	values[VALUES] = CStringGetTextDatum(text);
	tuplestore_putvalues(r->store, r->descriptor, values, nulls);
}

/* end_minute: puts aside what the present minute holds and begins with nothing. */
static void
end_minute(reader *r)
{
	if (r->groups != NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(r->minute_context);
		HASH_SEQ_STATUS all;
		group *g;

		hash_seq_init(&all, r->groups);
		while ((g = hash_seq_search(&all)) != NULL)
			put_group(r, g);
		MemoryContextSwitchTo(before);
	}
	r->groups = NULL;
	MemoryContextReset(r->minute_context);
}

/* begin_minute: room for its versions. */
static void
begin_minute(reader *r, TimestampTz minute)
{
	HASHCTL control = {.keysize = sizeof(int64), .entrysize = sizeof(group), .hcxt = r->minute_context};

	r->minute = minute;
	r->groups = hash_create("model_mgr metric source", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* minute_of: the beginning of the minute (b, b + 1 min] that holds the time. */
static TimestampTz
minute_of(TimestampTz at)
{
	TimestampTz into = (at - 1) % USECS_PER_MINUTE;

	return at - 1 - (into < 0 ? into + USECS_PER_MINUTE : into);
}

/* take_row: adds one row to its version's minute, or skips it. */
static void
take_row(reader *r, HeapTuple tuple, TupleDesc descriptor)
{
	Datum columns[4];
	bool nulls[4];
	double value;
	int64 version_id;
	TimestampTz at;
	group *g;
	bool found;
	text *model;
	text *version;

	heap_deform_tuple(tuple, descriptor, columns, nulls);
	r->reading->rows++;
	r->reading->skipped++; /* unless it gets to the end of this function */
	if (nulls[0] || nulls[1] || nulls[2] || nulls[3])
		return;
	value = DatumGetFloat8(columns[3]);
	if (!(fabs(value) <= VALUE_LIMIT))
		return;
	model = DatumGetTextPP(columns[1]);
	version = DatumGetTextPP(columns[2]);
	version_id = routing_version_id(VARDATA_ANY(model), VARSIZE_ANY_EXHDR(model), VARDATA_ANY(version),
									VARSIZE_ANY_EXHDR(version));
	if (version_id == 0)
		return;
	at = DatumGetTimestampTz(columns[0]);
	if (r->groups == NULL || minute_of(at) != r->minute)
	{
		end_minute(r);
		begin_minute(r, minute_of(at));
	}
	g = hash_search(r->groups, &version_id, HASH_ENTER, &found);
	if (!found)
		summary_init(&g->values, statistics_memory, r->minute_context);
	g->last = at; /* they come by time */
	summary_add(&g->values, value);
	r->reading->skipped--;
}

/* read_rows: the part that runs as the role. */
static void
read_rows(void *argument)
{
	reader *r = argument;
	Oid types[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum window[2] = {TimestampTzGetDatum(r->reading->since), TimestampTzGetDatum(r->reading->until)};
	Portal cursor;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	cursor =
		SPI_cursor_open_with_args(NULL, metric_source_query(r->reading->relation), 2, types, window, NULL, false, 0);
	for (;;)
	{
		MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "metric source rows", ALLOCSET_DEFAULT_SIZES);
		MemoryContext before;

		SPI_cursor_fetch(cursor, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		before = MemoryContextSwitchTo(row);
		for (uint64 i = 0; i < SPI_processed; i++)
			take_row(r, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		MemoryContextSwitchTo(before);
		MemoryContextDelete(row);
		SPI_freetuptable(SPI_tuptable);
	}
	end_minute(r);
	SPI_cursor_close(cursor);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

/* Rows on their way from the tuple store into the table. */
typedef struct batch
{
	Datum *columns[COLUMNS];
	int n;
	int room;
} batch;

/* batch_array: one column as an array of its type. */
static query_arg
batch_array(const batch *b, int column, Oid type)
{
	int16 length;
	bool by_value;
	char align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	return datum_arg(PointerGetDatum(construct_array(b->columns[column], b->n, type, length, by_value, align)), false);
}

/* write_batch: makes what is stored of (since, until] equal to these rows, which all lie in it. */
static void
write_batch(const metric_source_reading *reading, const batch *b, TimestampTz since, TimestampTz until)
{
#define NEW                                                                                                            \
	" ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"          \
	" pg_catalog.unnest($5)) n (sampled_at, version_id, samples, value, summary)"
#define STORED " s.source_id > 0 AND s.source_id = $6 AND s.sampled_at > $7 AND s.sampled_at <= $8"
#define SAME                                                                                                           \
	" n.sampled_at = s.sampled_at AND n.version_id = s.version_id AND n.samples = s.samples AND n.value = s.value"     \
	" AND n.summary::model_mgr.summary OPERATOR(model_mgr.=) s.\"values\""
	static query remove_former =
		QUERY("DELETE FROM model_mgr.metric_sample s WHERE s.source_id > 0 AND s.metric_name = $1"
			  " AND s.sampled_at > $2 AND s.sampled_at <= $3 AND s.source_id <> $4",
			  TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);
	static query remove =
		QUERY("DELETE FROM model_mgr.metric_sample s WHERE" STORED " AND NOT EXISTS (SELECT FROM" NEW " WHERE" SAME ")",
			  TIMESTAMPTZARRAYOID, INT8ARRAYOID, INT8ARRAYOID, FLOAT8ARRAYOID, TEXTARRAYOID, INT8OID, TIMESTAMPTZOID,
			  TIMESTAMPTZOID);
	static query add = QUERY(
		"INSERT INTO model_mgr.metric_sample (sampled_at, version_id, metric_name, source_id, samples, value, \"values\")"
		" SELECT n.sampled_at, n.version_id, $9, $6, n.samples, n.value, n.summary::model_mgr.summary FROM" NEW
		" WHERE NOT EXISTS (SELECT FROM model_mgr.metric_sample s WHERE" STORED " AND" SAME ")",
		TIMESTAMPTZARRAYOID, INT8ARRAYOID, INT8ARRAYOID, FLOAT8ARRAYOID, TEXTARRAYOID, INT8OID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TEXTOID);
	query_arg at = batch_array(b, SAMPLED_AT, TIMESTAMPTZOID);
	query_arg version = batch_array(b, VERSION_ID, INT8OID);
	query_arg samples = batch_array(b, SAMPLES, INT8OID);
	query_arg value = batch_array(b, VALUE, FLOAT8OID);
	query_arg values = batch_array(b, VALUES, TEXTOID);
	query_arg source = int64_arg(reading->source_id);

	if (reading->by_name)
		query_run(&remove_former, text_arg(reading->metric_name), time_arg(since), time_arg(until), source);
	query_run(&remove, at, version, samples, value, values, source, time_arg(since), time_arg(until));
	if (b->n > 0)
		query_run(&add, at, version, samples, value, values, source, time_arg(since), time_arg(until),
				  text_arg(reading->metric_name));
}

/* batch_put: one row of the tuple store, copied. */
static void
batch_put(batch *b, TupleTableSlot *slot)
{
	if (b->n == b->room)
	{
		b->room *= 2;
		for (int i = 0; i < COLUMNS; i++)
			b->columns[i] = repalloc(b->columns[i], sizeof(Datum) * b->room);
	}
	b->columns[SAMPLED_AT][b->n] = TimestampTzGetDatum(DatumGetTimestampTz(slot->tts_values[SAMPLED_AT]));
	b->columns[VERSION_ID][b->n] = Int64GetDatum(DatumGetInt64(slot->tts_values[VERSION_ID]));
	b->columns[SAMPLES][b->n] = Int64GetDatum(DatumGetInt64(slot->tts_values[SAMPLES]));
	b->columns[VALUE][b->n] = Float8GetDatum(DatumGetFloat8(slot->tts_values[VALUE]));
	b->columns[VALUES][b->n] = PointerGetDatum(DatumGetTextPCopy(slot->tts_values[VALUES]));
	b->n++;
}

/*
 * write_all: the whole window, in stretches of whole minutes, so that a stretch's rows are all there is of its time.
 * The store has the minutes in order.
 */
static void
write_all(reader *r)
{
	MemoryContext rows = AllocSetContextCreate(CurrentMemoryContext, "metric source batch", ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(r->descriptor, &TTSOpsMinimalTuple);
	TimestampTz since = r->reading->since;
	batch b = {.room = 2 * WRITE_ROWS};

	for (int i = 0; i < COLUMNS; i++)
		b.columns[i] = palloc(sizeof(Datum) * b.room);
	while (tuplestore_gettupleslot(r->store, true, false, slot))
	{
		MemoryContext before;
		TimestampTz minute;

		slot_getallattrs(slot);
		minute = minute_of(DatumGetTimestampTz(slot->tts_values[SAMPLED_AT]));
		before = MemoryContextSwitchTo(rows);
		if (b.n >= WRITE_ROWS && minute > minute_of(DatumGetTimestampTz(b.columns[SAMPLED_AT][b.n - 1])))
		{
			write_batch(r->reading, &b, since, minute);
			since = minute;
			b.n = 0;
			MemoryContextReset(rows);
		}
		batch_put(&b, slot);
		MemoryContextSwitchTo(before);
	}
	write_batch(r->reading, &b, since, r->reading->until);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(rows);
}

bool
metric_source_read(metric_source_reading *reading, double seconds, char **error)
{
	reader r = {.reading = reading};
	bool done;

	reading->rows = reading->skipped = 0;
	r.descriptor = CreateTemplateTupleDesc(COLUMNS);
	TupleDescInitEntry(r.descriptor, SAMPLED_AT + 1, "sampled_at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(r.descriptor, VERSION_ID + 1, "version_id", INT8OID, -1, 0);
	TupleDescInitEntry(r.descriptor, SAMPLES + 1, "samples", INT8OID, -1, 0);
	TupleDescInitEntry(r.descriptor, VALUE + 1, "value", FLOAT8OID, -1, 0);
	TupleDescInitEntry(r.descriptor, VALUES + 1, "values", TEXTOID, -1, 0);
	/* Made here, so that its file belongs to this transaction and not to the subtransaction of the code. */
	r.store = tuplestore_begin_heap(false, false, work_mem);
	r.minute_context = AllocSetContextCreate(CurrentMemoryContext, "metric source minute", ALLOCSET_DEFAULT_SIZES);
	done = user_code_run(reading->role, seconds, read_rows, &r, error);
	if (done)
		write_all(&r);
	tuplestore_end(r.store);
	MemoryContextDelete(r.minute_context);
	return done;
}
