/*
 * metric_recent.c: what all models did over the last minutes, in one pass, for model_overview and dashboard.
 *
 * Asked version by version, as metric_read() does, a thousand models cost a thousand walks through the index and as
 * many arrays of sketches. Here the minutes are read by time, each row once, straight from the table and a page at a
 * time, since minutes lie together; the version that comes after another in one minute is looked for there in the next.
 * Rows not folded yet come from metric_read_loose(), under the same snapshot.
 */
#include "pg/mm.h"

#include <math.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
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

/* Columns of rollup_minute and rollup_hour: those that are never NULL, as they lie in a row, and the first behind them.
 */
typedef struct rollup_row
{
	TimestampTz bucket;
	int64 version_id;
	int64 deployment_id;
	int32 step;
	int64 test_no;
	int16 arm;
	int64 requests;
	int64 known;
	int64 successes;
	int64 errors;
	int64 response_time_count;
	double response_time_sum;
	int64 confidence_count;
	double confidence_sum;
	int64 cost_count;
	double cost_sum;
	int64 input_tokens_count;
	double input_tokens_sum;
	int64 output_tokens_count;
	double output_tokens_sum;
	TimestampTz last_at;
} rollup_row;

#define ROLLUP_RESPONSE_TIME 22

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
	TimestampTz bucket; /* the last one, */
	int slot;           /* and the part of the window that it lies in */
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

/* add_row: a row of a bucket to its model. */
static void
add_row(recent *r, HeapTuple tuple, TupleDesc columns)
{
	const rollup_row *row = (const rollup_row *) GETSTRUCT(tuple);
	recent_model *model = version_of(r, row->version_id)->model;

	if (model == NULL)
		return;
	if (r->bucket != row->bucket)
	{
		r->bucket = row->bucket;
		r->slot = slot_of(r, row->bucket);
	}
	model->slots[r->slot] += (double) row->requests;
	model->requests += row->requests;
	model->known += row->known;
	model->successes += row->successes;
	model->cost_count += row->cost_count;
	model->cost_sum += row->cost_sum;
	add_sketch(model, tuple, columns);
}

/* read_page: the rows that entries of an index point to, all of one page, which is locked once. */
static void
read_page(recent *r, Relation relation, const ItemPointerData *entries, int count, Buffer *page)
{
	HeapTupleData rows[MaxHeapTuplesPerPage];
	int found = 0;

	*page = ReleaseAndReadBuffer(*page, relation, ItemPointerGetBlockNumber(&entries[0]));
	LockBuffer(*page, BUFFER_LOCK_SHARE);
	for (int i = 0; i < count; i++)
	{
		ItemPointerData entry = entries[i];

		if (heap_hot_search_buffer(&entry, relation, *page, GetActiveSnapshot(), &rows[found], NULL, true))
			found++;
	}
	/* What is visible stays where it is while the page is pinned. */
	LockBuffer(*page, BUFFER_LOCK_UNLOCK);
	for (int i = 0; i < found; i++)
		add_row(r, &rows[i], RelationGetDescr(relation));
}

/* read_folded: the buckets from `from` to before `to`. */
static void
read_folded(recent *r, const char *table, const char *index, TimestampTz from, TimestampTz to)
{
	Relation relation;
	Relation by_time;
	ScanKeyData keys[2];
	IndexScanDesc scan;
	ItemPointer entry;
	ItemPointerData entries[MaxHeapTuplesPerPage]; /* of one page */
	int count = 0;
	Buffer page = InvalidBuffer;

	if (from >= to)
		return;
	relation = table_open(mm_relation(table), AccessShareLock);
	if (relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("\"%s\" is not a heap", table),
				errdetail("Its table access method has the OID %u.", relation->rd_rel->relam),
				errhint("ALTER TABLE model_mgr.%s SET ACCESS METHOD heap.", table));
	by_time = index_open(mm_relation(index), AccessShareLock);
	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE, TimestampTzGetDatum(from));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_TIMESTAMPTZ_LT, TimestampTzGetDatum(to));
	scan = compat_index_beginscan(relation, by_time, GetActiveSnapshot(), lengthof(keys));
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	do
	{
		CHECK_FOR_INTERRUPTS();
		entry = index_getnext_tid(scan, ForwardScanDirection);
		if (count > 0 && (entry == NULL || count == lengthof(entries) ||
						  ItemPointerGetBlockNumber(entry) != ItemPointerGetBlockNumber(&entries[0])))
		{
			read_page(r, relation, entries, count, &page);
			count = 0;
		}
		if (entry != NULL)
			entries[count++] = *entry;
	} while (entry != NULL);
	if (BufferIsValid(page))
		ReleaseBuffer(page);
	index_endscan(scan);
	index_close(by_time, AccessShareLock);
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
	recent r = {.slot_count = count_arg(fcinfo, 1, "slots", MAX_SLOTS), .until = mm_now(), .bucket = DT_NOBEGIN};
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
