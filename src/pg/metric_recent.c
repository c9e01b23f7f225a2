/*
 * metric_recent.c: what all models did over the last minutes, in one pass, for model_overview and dashboard.
 *
 * Asked version by version, as metric_read() does, a thousand models cost a thousand walks through the index and as
 * many arrays of sketches. Here the minutes are read by time, each row once, straight from the table: the version that
 * comes after another in one minute is looked for there in the next. Rows not folded yet come from metric_read_loose(),
 * under the same snapshot.
 */
#include "pg/mm.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/metric_internal.h"
#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/routing_internal.h"
#include "pg/statistics.h"
#include "pg/summary.h"

/* Columns of rollup_minute and rollup_hour, in the order of their definition. None of them is NULL but the last. */
enum
{
	ROLLUP_BUCKET = 1,
	ROLLUP_VERSION_ID = 2,
	ROLLUP_REQUESTS = 7,
	ROLLUP_KNOWN = 8,
	ROLLUP_SUCCESSES = 9,
	ROLLUP_COST_COUNT = 15,
	ROLLUP_COST_SUM = 16,
	ROLLUP_RESPONSE_TIME = 22
};

#define MAX_MINUTES (24 * 60)
#define MAX_SLOTS 120

typedef struct recent_model
{
	int64 model_id;
	int64 requests;
	int64 known;
	int64 successes;
	int64 cost_count;
	double cost_sum;
	quantiles response_time;
	double *slots; /* requests in each part of the window */
} recent_model;

typedef struct recent_version
{
	int64 version_id;
	recent_model *model;         /* NULL: deleted */
	struct recent_version *next; /* that followed in the last minute */
} recent_version;

typedef struct recent
{
	HTAB *versions;
	HTAB *models;
	recent_version *last;
	TimestampTz since;
	TimestampTz until;
	int slot_count;
	MemoryContext memory;
} recent;

typedef struct entry
{
	int64 id;
	void *of;
} entry;

static void *
look_up(HTAB *table, int64 id, size_t size, MemoryContext memory, bool *found)
{
	entry *e = hash_search(table, &id, HASH_ENTER, found);

	if (!*found)
		e->of = MemoryContextAllocZero(memory, size);
	return e->of;
}

/* model_of: the model of a version; NULL when it has been deleted. */
static recent_model *
model_of(recent *r, int64 version_id)
{
	recent_model *model = NULL;
	routing_scan scan;
	ScanKeyData key;
	HeapTuple tuple;
	bool found;

	routing_key_int64(&key, VERSION_VERSION_ID, version_id);
	scan = routing_scan_begin("model_version", "model_version_pkey", 1, &key);
	tuple = routing_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		int64 model_id = DatumGetInt64(heap_getattr(tuple, VERSION_MODEL_ID, RelationGetDescr(scan.relation), &found));

		model = look_up(r->models, model_id, sizeof(recent_model), r->memory, &found);
		if (!found)
		{
			model->model_id = model_id;
			model->slots = MemoryContextAllocZero(r->memory, sizeof(double) * r->slot_count);
			quantiles_init(&model->response_time, statistics_memory, r->memory);
		}
	}
	routing_scan_end(&scan);
	return model;
}

/* version_of: most often the one that followed on the same version a minute ago. */
static recent_version *
version_of(recent *r, int64 version_id)
{
	recent_version *version = r->last ? r->last->next : NULL;
	bool found;

	if (version == NULL || version->version_id != version_id)
	{
		version = look_up(r->versions, version_id, sizeof(recent_version), r->memory, &found);
		if (!found)
		{
			version->version_id = version_id;
			version->model = model_of(r, version_id);
		}
		if (r->last)
			r->last->next = version;
	}
	r->last = version;
	return version;
}

/* slot_of: the part of the window that the middle of a minute lies in. */
static int
slot_of(const recent *r, TimestampTz minute)
{
	double at = (double) (minute + USECS_PER_MINUTE / 2 - r->since) / (double) (r->until - r->since);

	return (int) Max(0.0, Min(floor(at * r->slot_count), (double) (r->slot_count - 1)));
}

static int64
int64_of(HeapTuple tuple, int column, TupleDesc columns)
{
	bool isnull;

	return DatumGetInt64(heap_getattr(tuple, column, columns, &isnull));
}

/* add_sketch: the response times of a row. */
static void
add_sketch(recent_model *model, HeapTuple tuple, TupleDesc columns)
{
	bool isnull;
	Datum datum = heap_getattr(tuple, ROLLUP_RESPONSE_TIME, columns, &isnull);
	struct varlena *form;

	if (isnull)
		return;
	form = PG_DETOAST_DATUM_PACKED(datum);
	if (!quantiles_add(&model->response_time, (const unsigned char *) VARDATA_ANY(form), VARSIZE_ANY_EXHDR(form)))
		summary_damaged();
	if ((Pointer) form != DatumGetPointer(datum))
		pfree(form);
}

/* read_folded: the buckets from `from` to before `to`. */
static void
read_folded(recent *r, const char *table, const char *index, TimestampTz from, TimestampTz to)
{
	Relation relation;
	TupleDesc columns;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	TimestampTz bucket = DT_NOBEGIN;
	int slot = 0;

	if (from >= to)
		return;
	relation = table_open(mm_relation(table), AccessShareLock);
	columns = RelationGetDescr(relation);
	ScanKeyInit(&keys[0], ROLLUP_BUCKET, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE, TimestampTzGetDatum(from));
	ScanKeyInit(&keys[1], ROLLUP_BUCKET, BTLessStrategyNumber, F_TIMESTAMPTZ_LT, TimestampTzGetDatum(to));
	scan = systable_beginscan(relation, mm_relation(index), true, GetActiveSnapshot(), 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		recent_model *model = version_of(r, int64_of(tuple, ROLLUP_VERSION_ID, columns))->model;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		if (model == NULL)
			continue;
		if (bucket != int64_of(tuple, ROLLUP_BUCKET, columns))
		{
			bucket = int64_of(tuple, ROLLUP_BUCKET, columns);
			slot = slot_of(r, bucket);
		}
		model->slots[slot] += (double) int64_of(tuple, ROLLUP_REQUESTS, columns);
		model->requests += int64_of(tuple, ROLLUP_REQUESTS, columns);
		model->known += int64_of(tuple, ROLLUP_KNOWN, columns);
		model->successes += int64_of(tuple, ROLLUP_SUCCESSES, columns);
		model->cost_count += int64_of(tuple, ROLLUP_COST_COUNT, columns);
		model->cost_sum += DatumGetFloat8(heap_getattr(tuple, ROLLUP_COST_SUM, columns, &isnull));
		add_sketch(model, tuple, columns);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
}

/* read_loose: rows that no bucket holds yet, and those of minutes that the window cuts. */
static void
read_loose(recent *r, const metric_question *q, const metric_span *s)
{
	metric_answer *answer = metric_read_loose(q, s);
	const metric_cell *cell;
	HASH_SEQ_STATUS all;

	hash_seq_init(&all, answer->cells);
	while ((cell = hash_seq_search(&all)) != NULL)
	{
		const metric_tally *t = &cell->tally;
		recent_model *model = version_of(r, cell->key.version_id)->model;

		if (model == NULL)
			continue;
		model->slots[slot_of(r, cell->key.slot)] += (double) t->requests;
		model->requests += t->requests;
		model->known += t->known;
		model->successes += t->successes;
		model->cost_count += t->measures[METRIC_COST].count;
		model->cost_sum += t->measures[METRIC_COST].sum;
		if (t->measures[METRIC_RESPONSE_TIME].parts)
			quantiles_merge(&model->response_time, t->measures[METRIC_RESPONSE_TIME].parts);
	}
}

static Datum
slots_datum(const recent_model *model, int count)
{
	Datum *elements = palloc(sizeof(Datum) * count);

	for (int i = 0; i < count; i++)
		elements[i] = Float8GetDatum(model->slots[i]);
	return PointerGetDatum(
		construct_array(elements, count, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static int32
count_arg(FunctionCallInfo fcinfo, int argno, const char *name, int32 most)
{
	int32 value = PG_GETARG_INT32(argno);

	if (value < 1 || value > most)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value %d is outside 1 to %d.", value, most), errhint("metric_series has longer times."));
	return value;
}

MM_FUNCTION(mm_recent_activity);

/* mm_recent_activity(minutes_back, slots): a row for each model that had a request or a late outcome in the window. */
Datum
mm_recent_activity(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	int32 minutes = count_arg(fcinfo, 0, "minutes_back", MAX_MINUTES);
	recent r = {.slot_count = count_arg(fcinfo, 1, "slots", MAX_SLOTS), .until = mm_now()};
	metric_question question = {.since = r.until - minutes * USECS_PER_MINUTE,
								.until = r.until,
								.width = USECS_PER_MINUTE,
								.quantiles = true,
								.exact = true};
	HASHCTL table = {.keysize = sizeof(int64), .entrysize = sizeof(entry)};
	HASH_SEQ_STATUS all;
	const entry *e;
	metric_span span;
	mm_scope scope;
	int level;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	r.since = question.since;
	r.memory = table.hcxt = CurrentMemoryContext;
	r.versions = hash_create("recent versions", 1024, &table, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	r.models = hash_create("recent models", 1024, &table, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	level = rollup_plan_for_history();
	query_snapshot_push();
	span = metric_span_of(&question);
	/* whole hours are there only where minutes have been given up already */
	read_folded(&r, "rollup_minute", "rollup_minute_bucket_index", span.minutes_from, span.hours_from);
	read_folded(&r, "rollup_hour", "rollup_hour_bucket_index", span.hours_from, span.hours_to);
	read_folded(&r, "rollup_minute", "rollup_minute_bucket_index", span.hours_to, span.minutes_to);
	read_loose(&r, &question, &span);
	PopActiveSnapshot();
	AtEOXact_GUC(true, level);
	hash_seq_init(&all, r.models);
	while ((e = hash_seq_search(&all)) != NULL)
	{
		const recent_model *m = e->of;
		double p95 = quantiles_at(&m->response_time, 0.95);
		Datum values[8] = {Int64GetDatum(m->model_id),  Int64GetDatum(m->requests),   Int64GetDatum(m->known),
						   Int64GetDatum(m->successes), Int64GetDatum(m->cost_count), Float8GetDatum(m->cost_sum),
						   Float8GetDatum(p95),         slots_datum(m, r.slot_count)};
		bool nulls[8] = {[6] = isnan(p95)};

		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	mm_leave(scope);
	return (Datum) 0;
}
