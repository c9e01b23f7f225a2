/*
 * metric_read.c: reads a window (since, until] of some versions out of rollups, rows not folded yet and metric_sample.
 *
 * Buckets are left-open and right-closed: bucket b of the minutes covers (b, b + 1 min]. A window is made of
 *
 *   minutes  whole buckets from rollup_minute,
 *   hours    whole buckets from rollup_hour where the window is long or minutes are no longer kept,
 *   pending  rows that are not folded yet, by their exact time,
 *   cut      rows of a minute that the window's ends cut, folded or not, by their exact time, straight from
 * observation.
 *
 * All of it is read under one snapshot: a fold that commits meanwhile neither hides a row nor shows it twice. The
 * pending rows are mostly in the present day's partition, so the statement names only what begins there, which makes
 * it cheap to plan and to run however many partitions there are; where an earlier one has grown since the last fold
 * (observation_pending_from()), it names more.
 */
#include "pg/metric_internal.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/observation.h"
#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/statistics.h"
#include "pg/summary.h"

/* Up to here rows that are not folded yet are compared with the versions asked for; beyond, all are read and sorted
 * out here. */
#define FEW_VERSIONS 16
/* Statements that differ in the partitions they name, kept for the session: of the rows cut, days that windows begin
 * in. */
#define PLANS_KEPT 4

/* Columns of both questions below. */
enum
{
	READ_VERSION_ID,
	READ_SLOT,
	READ_METRIC_NAME,
	READ_REQUESTS,
	READ_KNOWN,
	READ_SUCCESSES,
	READ_ERRORS,
	READ_MEASURES, /* count and sum of each */
	READ_LAST_AT = READ_MEASURES + 2 * METRIC_MEASURES,
	READ_SKETCHES,                               /* one each */
	READ_PARTS = READ_SKETCHES + METRIC_MEASURES /* sketches of response time, an array */
};

/* clang-format off */
#define ORIGIN "'2000-01-01 00:00:00+00'::pg_catalog.timestamptz"
#define BOUND                                                                                                          \
	"(SELECT GREATEST($12, LEAST($13, pg_catalog.date_bin('1 hour', s.hours_until, " ORIGIN ")))"                        \
	" FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1)"
#define SLOT(at) "coalesce(pg_catalog.date_bin($3, " at ", " ORIGIN "), '-infinity')"
#define SUMS(measure) " pg_catalog.sum(r." measure "_count)::bigint, pg_catalog.sum(r." measure "_sum),"
#define LOOSE_SUMS(measure) " pg_catalog.count(l." measure "), coalesce(pg_catalog.sum(l." measure "), 0),"
/* A version, or a version and a name, at a time: OFFSET 0 keeps the planner from joining what the buckets of all versions
 * hold. */
#define OF_EACH(keys, table, on, from, to)                                                                             \
	"SELECT m.* FROM " keys " k, LATERAL (SELECT f.* FROM model_mgr." table " f WHERE " on                             \
	" AND f.bucket >= " from " AND f.bucket < " to OF_ROLLOUT " OFFSET 0) m"
#define OF_ROLLOUT " AND ($9 = 0 OR f.deployment_id = $9 AND f.step > 0)"
#define FOLDED(keys, table, on)                                                                                        \
	" (" OF_EACH(keys, table "_minute", on, "$10", "LEAST($12, $11)")                                                     \
	" UNION ALL " OF_EACH(keys, table "_minute", on, "GREATEST($10, " BOUND ")", "$11")                                  \
	" UNION ALL " OF_EACH(keys, table "_hour", on, "$12", BOUND) ") r"
#define FOLDED_BUILTIN FOLDED("versions", "rollup", "f.version_id = k.version_id")
#define FOLDED_CUSTOM FOLDED("pairs", "rollup_metric", "f.version_id = k.version_id AND f.metric_name = k.metric_name")
#define LOOSE_SLOT SLOT("o.recorded_at - '0.000001 s'::pg_catalog.interval")
#define LOOSE_COLUMNS                                                                                                  \
	"o.version_id, " LOOSE_SLOT " AS slot, o.recorded_at, o.feedback, o.success, o.error_type, o.response_time,"       \
	" o.confidence, o.cost, o.input_tokens::pg_catalog.float8 AS input_tokens,"                                        \
	" o.output_tokens::pg_catalog.float8 AS output_tokens, CASE WHEN $6 THEN o.metrics END AS metrics"
#define LOOSE_ATTRIBUTION                                                                                              \
	"model_mgr.attribution(o.version_id, o.deployment_id, o.step, coalesce(o.routed_at, o.recorded_at))"
#define LOOSE_ROWS(table) \
	" loose AS MATERIALIZED (SELECT " LOOSE_COLUMNS " FROM model_mgr." table " o WHERE o.version_id IS NOT NULL AND ($2 OR o.version_id = ANY ($1))" \
	" AND ($9 = 0 OR " LOOSE_ATTRIBUTION " BETWEEN $9 << 16 | 1 AND $9 << 16 | 65535)"
/* Rows one by one: loose is what there is of them. */
#define LOOSE \
	" SELECT l.version_id, l.slot, NULL::pg_catalog.text," \
	" pg_catalog.count(*) FILTER (WHERE NOT l.feedback), pg_catalog.count(l.success), pg_catalog.count(*) FILTER (WHERE l.success)," \
	" pg_catalog.count(l.error_type) FILTER (WHERE NOT l.feedback)," \
	LOOSE_SUMS("response_time") LOOSE_SUMS("confidence") LOOSE_SUMS("cost") LOOSE_SUMS("input_tokens") LOOSE_SUMS("output_tokens") \
	" pg_catalog.max(l.recorded_at), model_mgr.summarize(l.response_time) FILTER (WHERE $5)," \
	" model_mgr.summarize(l.confidence) FILTER (WHERE $5), model_mgr.summarize(l.cost) FILTER (WHERE $5)," \
	" model_mgr.summarize(l.input_tokens) FILTER (WHERE $5), model_mgr.summarize(l.output_tokens) FILTER (WHERE $5)," \
	" CASE WHEN $4 THEN ARRAY[model_mgr.summarize(l.response_time) FILTER (WHERE $4)] END" \
	" FROM loose l GROUP BY 1, 2" \
	" UNION ALL SELECT c.version_id, c.slot, t.metric_name, 0, 0, 0, 0, t.count, t.sum, 0, 0, 0, 0, 0, 0, 0, 0," \
	" t.last_at, t.values, NULL, NULL, NULL, NULL, NULL" \
	" FROM (SELECT l.version_id, l.slot, model_mgr.metric_summaries(l.metrics, l.recorded_at) AS custom" \
	"  FROM loose l WHERE $6 GROUP BY 1, 2) c, LATERAL pg_catalog.unnest(c.custom) t"
#define LOOSE_TYPES INT8ARRAYOID, BOOLOID, INTERVALOID, BOOLOID, BOOLOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID

/*
 * $1 versions, $2 rows of all versions are taken, $3 width, $4 quantiles of response time, $5 all sketches, $6 custom
 * metrics at all, $7 $8 rows, $9 a rollout after its warm-up (0: whatever was routed). Here the rows of a cut, found by
 * time.
 */
#define CUT_BEGIN "WITH" LOOSE_ROWS("observation") " AND o.recorded_at > $7 AND o.recorded_at <= $8"
#define CUT_END ")" LOOSE

/*
 * The buckets, and pending rows: these are to be found by txn, since both bounds on recorded_at would look narrow to the
 * planner, who would read all rows between them. `found` are the names that a version has, by a probe of the index each.
 *
 * $10 $11 minutes, $12 $13 hours, $14 $15 pairs of custom metrics (NULL: every one).
 */
#define OBSERVED_BEGIN \
	"WITH RECURSIVE versions AS (SELECT v.version_id FROM pg_catalog.unnest($1) v (version_id))," \
	" found AS (SELECT v.version_id, n.metric_name FROM versions v, LATERAL (VALUES" \
	"   ((SELECT pg_catalog.min(m.metric_name) FROM model_mgr.rollup_metric_minute m WHERE m.version_id = v.version_id))," \
	"   ((SELECT pg_catalog.min(h.metric_name) FROM model_mgr.rollup_metric_hour h WHERE h.version_id = v.version_id))" \
	"   ) n (metric_name) WHERE $6 AND $14 IS NULL" \
	"  UNION SELECT f.version_id, n.metric_name FROM found f, LATERAL (VALUES" \
	"   ((SELECT pg_catalog.min(m.metric_name) FROM model_mgr.rollup_metric_minute m" \
	"     WHERE m.version_id = f.version_id AND m.metric_name > f.metric_name))," \
	"   ((SELECT pg_catalog.min(h.metric_name) FROM model_mgr.rollup_metric_hour h" \
	"     WHERE h.version_id = f.version_id AND h.metric_name > f.metric_name AND $13 > $12))" \
	"   ) n (metric_name) WHERE f.metric_name IS NOT NULL)," \
	" pairs AS MATERIALIZED (SELECT f.version_id, f.metric_name FROM found f WHERE f.metric_name IS NOT NULL" \
	"  UNION ALL SELECT p.version_id, p.metric_name FROM ROWS FROM (pg_catalog.unnest($14), pg_catalog.unnest($15)) p (version_id, metric_name))," \
	LOOSE_ROWS("observation_pending") \
	" AND o.recorded_at - '0 s'::pg_catalog.interval > $7 AND o.recorded_at - '0 s'::pg_catalog.interval <= $8"
/* The pending rows alone. */
#define PENDING_BEGIN \
	"WITH" LOOSE_ROWS("observation_pending") \
	" AND o.recorded_at - '0 s'::pg_catalog.interval > $7 AND o.recorded_at - '0 s'::pg_catalog.interval <= $8"
#define PENDING_END ")" LOOSE
#define OBSERVED_END ")" \
	" SELECT r.version_id, " SLOT("r.bucket") ", NULL::pg_catalog.text," \
	" pg_catalog.sum(r.requests)::bigint, pg_catalog.sum(r.known)::bigint, pg_catalog.sum(r.successes)::bigint, pg_catalog.sum(r.errors)::bigint," \
	SUMS("response_time") SUMS("confidence") SUMS("cost") SUMS("input_tokens") SUMS("output_tokens") \
	" pg_catalog.max(r.last_at), model_mgr.merge(r.response_time) FILTER (WHERE $5)," \
	" model_mgr.merge(r.confidence) FILTER (WHERE $5), model_mgr.merge(r.cost) FILTER (WHERE $5)," \
	" model_mgr.merge(r.input_tokens) FILTER (WHERE $5), model_mgr.merge(r.output_tokens) FILTER (WHERE $5), pg_catalog.array_agg(r.response_time) FILTER (WHERE $4)" \
	" FROM" FOLDED_BUILTIN " GROUP BY 1, 2" \
	" UNION ALL SELECT r.version_id, " SLOT("r.bucket") ", r.metric_name, 0, 0, 0, 0," \
	" pg_catalog.sum(r.count)::bigint, pg_catalog.sum(r.sum), 0, 0, 0, 0, 0, 0, 0, 0," \
	" pg_catalog.max(r.last_at), model_mgr.merge(r.values) FILTER (WHERE $5), NULL, NULL, NULL, NULL, NULL" \
	" FROM" FOLDED_CUSTOM " GROUP BY 1, 2, 3 UNION ALL" LOOSE

/* The same columns as far as there are any; what was reported has no requests. */
#define REPORTED_BEGIN \
	"SELECT s.version_id, coalesce(pg_catalog.date_bin($4, s.sampled_at - '0.000001 s'::pg_catalog.interval, " ORIGIN "), '-infinity')," \
	" s.metric_name, 0::bigint, 0::bigint, 0::bigint, 0::bigint, pg_catalog.sum(s.samples)::bigint," \
	" pg_catalog.sum(s.value * s.samples), 0::bigint, 0::float8, 0::bigint, 0::float8, 0::bigint, 0::float8, 0::bigint, 0::float8," \
	" pg_catalog.max(s.sampled_at)," \
	" CASE WHEN pg_catalog.bool_and(s.values IS NOT NULL) THEN model_mgr.merge(s.values) FILTER (WHERE $5) END" \
	" FROM pg_catalog.unnest($1) v (version_id) JOIN model_mgr.metric_sample s ON s.version_id = v.version_id" \
	" WHERE s.sampled_at > $2 AND s.sampled_at <= $3"
#define REPORTED_END " GROUP BY 1, 2, 3"

/* clang-format on */

/* number_of: the number of a name, made when it is new. */
static int32
number_of(metric_answer *answer, const char *name)
{
	bool found;
	char key[METRIC_NAME_MAX + 1] = "";
	struct entry
	{
		char key[METRIC_NAME_MAX + 1];
		int32 number;
	} * entry;

	snprintf(key, sizeof(key), "%s", name);
	entry = hash_search(answer->numbers, key, HASH_ENTER, &found);
	if (!found)
	{
		if (answer->name_count == answer->name_room)
		{
			answer->name_room = answer->name_room ? 2 * answer->name_room : 16;
			answer->names = answer->names ? repalloc(answer->names, answer->name_room * sizeof(char *))
										  : palloc(answer->name_room * sizeof(char *));
		}
		entry->number = answer->name_count;
		answer->names[answer->name_count++] = pstrdup(key);
	}
	return entry->number;
}

/* add_sketch: column of a row onto what the cell has. */
static void
add_sketch(metric_tally *tally, int measure, uint64 row, int column)
{
	bool isnull;
	Datum datum = query_datum(row, column, &isnull);
	const struct varlena *form;
	bytea *merged;
	summary s;

	if (isnull)
		return;
	form = PG_DETOAST_DATUM_PACKED(datum);
	if (tally->measures[measure].sketch == NULL)
	{
		/* the row goes with the next query */
		form = (struct varlena *) PG_DETOAST_DATUM_COPY(PointerGetDatum(form));
		tally->measures[measure].sketch = (const unsigned char *) VARDATA_ANY(form);
		tally->measures[measure].sketch_length = VARSIZE_ANY_EXHDR(form);
		return;
	}
	summary_init(&s, statistics_memory, CurrentMemoryContext);
	if (!summary_merge(&s, tally->measures[measure].sketch, tally->measures[measure].sketch_length) ||
		!summary_merge(&s, (const unsigned char *) VARDATA_ANY(form), VARSIZE_ANY_EXHDR(form)))
		summary_damaged();
	merged = (bytea *) DatumGetPointer(summary_datum(&s, "merge"));
	summary_free(&s);
	tally->measures[measure].sketch = (const unsigned char *) VARDATA_ANY(merged);
	tally->measures[measure].sketch_length = VARSIZE_ANY_EXHDR(merged);
}

/* add_parts: sketches of response time onto what the cell has. */
static void
add_parts(metric_tally *tally, uint64 row)
{
	bool isnull;
	Datum array = query_datum(row, READ_PARTS, &isnull);
	quantiles *parts = (quantiles *) tally->measures[METRIC_RESPONSE_TIME].parts;
	ArrayIterator it;

	if (isnull)
		return;
	if (parts == NULL)
	{
		parts = palloc(sizeof(quantiles));
		quantiles_init(parts, statistics_memory, CurrentMemoryContext);
		tally->measures[METRIC_RESPONSE_TIME].parts = parts;
	}
	it = array_create_iterator(DatumGetArrayTypeP(array), 0, NULL);
	while (array_iterate(it, &array, &isnull))
	{
		const struct varlena *form;

		if (isnull)
			continue;
		form = PG_DETOAST_DATUM_PACKED(array);
		if (!quantiles_add(parts, (const unsigned char *) VARDATA_ANY(form), VARSIZE_ANY_EXHDR(form)))
			summary_damaged();
	}
	array_free_iterator(it);
}

/* take_rows: the last result into the cells; what begins before the window counts in its first bucket. */
static void
take_rows(metric_answer *answer, const metric_question *q, uint64 rows, bool reported, int sketches, bool parts)
{
	TimestampTz first = q->width > 0 ? metric_floor(q->since + 1, q->width) : DT_NOBEGIN;

	for (uint64 row = 0; row < rows; row++)
	{
		char *name = query_text(row, READ_METRIC_NAME);
		metric_key key;
		metric_cell *cell;
		bool found;

		memset(&key, 0, sizeof(key));
		key.version_id = query_int64(row, READ_VERSION_ID);
		key.slot = Max(query_time(row, READ_SLOT), first);
		key.name = name ? number_of(answer, name) : METRIC_BUILTIN;
		key.reported = reported;
		cell = hash_search(answer->cells, &key, HASH_ENTER, &found);
		if (!found)
		{
			memset(&cell->tally, 0, sizeof(cell->tally));
			cell->last_at = DT_NOBEGIN;
		}
		cell->tally.requests += query_int64(row, READ_REQUESTS);
		cell->tally.known += query_int64(row, READ_KNOWN);
		cell->tally.successes += query_int64(row, READ_SUCCESSES);
		cell->tally.errors += query_int64(row, READ_ERRORS);
		for (int i = 0; i < METRIC_MEASURES; i++)
		{
			cell->tally.measures[i].count += query_int64(row, READ_MEASURES + 2 * i);
			if (!query_isnull(row, READ_MEASURES + 2 * i + 1))
				cell->tally.measures[i].sum += query_float8(row, READ_MEASURES + 2 * i + 1);
		}
		if (!query_isnull(row, READ_LAST_AT))
			cell->last_at = Max(cell->last_at, query_time(row, READ_LAST_AT));
		for (int i = 0; i < sketches; i++)
			add_sketch(&cell->tally, i, row, READ_SKETCHES + i);
		if (parts)
			add_parts(&cell->tally, row);
	}
}

/* int64_array_arg, text_array_arg: arrays as parameters. */
static query_arg
int64_array_arg(const int64 *values, int count)
{
	Datum *elements = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(values[i]);
	return datum_arg(
		PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
		false);
}

static query_arg
text_array_arg(const char *const *values, int count)
{
	Datum *elements = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(values[i]);
	return datum_arg(PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT)), false);
}

/* interval_arg: NULL for 0. */
static query_arg
interval_arg(int64 microseconds)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = microseconds;
	return datum_arg(IntervalPGetDatum(interval), microseconds == 0);
}

/* A statement that names partitions by a time that is written out in it. */
typedef struct planned
{
	TimestampTz named;
	query query;
	uint64 used; /* 0: never; the one that was used longest ago makes room */
} planned;

/* planned_for: the statement for that time, one of PLANS_KEPT. */
static query *
planned_for(planned *plans, TimestampTz named, char *(*text)(TimestampTz), const query *types)
{
	static uint64 clock;
	planned *p = &plans[0];

	for (int i = 0; i < PLANS_KEPT; i++)
	{
		if (plans[i].used > 0 && plans[i].named == named)
		{
			plans[i].used = ++clock;
			return &plans[i].query;
		}
		if (plans[i].used < p->used)
			p = &plans[i];
	}
	query_forget(&p->query);
	p->used = 0;
	p->query = *types;
	p->query.sql = MemoryContextStrdup(TopMemoryContext, text(named));
	p->named = named;
	p->used = ++clock;
	return &p->query;
}

/* literal: a time as the planner can compare it with the bounds of partitions. */
static char *
literal(TimestampTz at)
{
	char text[MAXDATELEN + 1];
	int utc = 0;

	return psprintf("'%s'::pg_catalog.timestamptz",
					JsonEncodeDateTime(text, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc));
}

/* from_text: the bound is put in a form that leaves partitions out, but is a dear one to look up in the index on
 * recorded_at: where statistics are missing the planner would rather use that than the one on txn, and read it all. */
static char *
from_text(TimestampTz from)
{
	const char *at = literal(from);

	if (from == DT_NOBEGIN)
		return "";
	return psprintf(" AND (o.recorded_at >= %s OR o.recorded_at > %s OR o.recorded_at = %s)", at, at, at);
}

static char *
observed_text(TimestampTz from)
{
	return psprintf(OBSERVED_BEGIN "%s" OBSERVED_END, from_text(from));
}

static char *
pending_text(TimestampTz from)
{
	return psprintf(PENDING_BEGIN "%s" PENDING_END, from_text(from));
}

/* cut_text: of a day, and of its last moment, which is the next one's. */
static char *
cut_text(TimestampTz day)
{
	return psprintf(CUT_BEGIN " AND o.recorded_at >= %s AND o.recorded_at <= %s" CUT_END, literal(day),
					literal(day + USECS_PER_DAY));
}

/* lowest_pending: no row below this transaction key is pending. */
static int64
lowest_pending(void)
{
	static query find =
		QUERY_OF_SNAPSHOT("SELECT least(s.next_txn, (SELECT pg_catalog.min(x) FROM pg_catalog.unnest(s.in_progress) x))"
						  " FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1");

	return query_run(&find) > 0 ? query_int64(0, 0) : PG_INT64_MIN;
}

/*
 * named_from: from here on the partitions are to be named for the rows pending in the window: those that begin today,
 * or yesterday, or all.
 */
static TimestampTz
named_from(TimestampTz from, TimestampTz until)
{
	TimestampTz today = observation_day(mm_now());
	TimestampTz yesterday = today - USECS_PER_DAY;
	TimestampTz grown;

	if (from >= today)
		return today;
	grown = observation_pending_from(from, Min(today, until + 1), lowest_pending());
	if (grown >= Min(today, until + 1))
		return today;
	return grown >= yesterday ? yesterday : DT_NOBEGIN;
}

/* The arguments that both statements begin with, up to $6. */
#define WHAT                                                                                                           \
	int64_array_arg(q->version_ids, q->versions), bool_arg(q->versions == 0 || q->versions > FEW_VERSIONS),            \
		interval_arg(q->width), bool_arg(q->quantiles), bool_arg(q->moments), bool_arg(custom)

/* read_cut: rows of (from, to], which are of one minute or hour, one by one. */
static void
read_cut(metric_answer *answer, const metric_question *q, TimestampTz from, TimestampTz to)
{
	static const query types = QUERY_OF_SNAPSHOT(NULL, LOOSE_TYPES);
	static planned plans[PLANS_KEPT];
	bool custom = q->every_custom || q->pairs > 0;

	if (from < to)
		take_rows(answer, q,
				  query_run(planned_for(plans, observation_day(from), cut_text, &types), WHAT, time_arg(from),
							time_arg(to), int64_arg(q->deployment_id)),
				  false, q->moments ? METRIC_MEASURES : 0, q->quantiles);
}

static metric_answer *
empty_answer(void)
{
	metric_answer *answer = palloc0(sizeof(metric_answer));
	HASHCTL cells = {.keysize = sizeof(metric_key), .entrysize = sizeof(metric_cell), .hcxt = CurrentMemoryContext};
	HASHCTL numbers = {
		.keysize = METRIC_NAME_MAX + 1, .entrysize = METRIC_NAME_MAX + 1 + sizeof(int32), .hcxt = CurrentMemoryContext};

	answer->cells = hash_create("metric cells", 64, &cells, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	answer->numbers = hash_create("metric names", 16, &numbers, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	return answer;
}

metric_answer *
metric_read(const metric_question *q)
{
	static const query types = QUERY_OF_SNAPSHOT(NULL, LOOSE_TYPES, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
												 TIMESTAMPTZOID, INT8ARRAYOID, TEXTARRAYOID);
	static planned plans[PLANS_KEPT];
	metric_answer *answer = empty_answer();
	bool custom = q->every_custom || q->pairs > 0;
	metric_span s;
	int level;

	if (q->versions == 0 || q->since >= q->until)
		return answer;
	level = rollup_plan_for_history();
	query_snapshot_push();
	s = metric_span_of(q);
	take_rows(answer, q,
			  query_run(planned_for(plans, named_from(s.pending_from, s.pending_to), observed_text, &types), WHAT,
						time_arg(s.pending_from), time_arg(s.pending_to), int64_arg(q->deployment_id),
						time_arg(s.minutes_from), time_arg(s.minutes_to), time_arg(s.hours_from), time_arg(s.hours_to),
						q->every_custom ? null_arg() : int64_array_arg(q->pair_versions, q->pairs),
						q->every_custom ? null_arg() : text_array_arg(q->pair_names, q->pairs)),
			  false, q->moments ? METRIC_MEASURES : 0, q->quantiles);
	read_cut(answer, q, s.first_cut_from, s.first_cut_to);
	read_cut(answer, q, s.last_cut_from, s.last_cut_to);
	PopActiveSnapshot();
	AtEOXact_GUC(true, level);
	return answer;
}

metric_answer *
metric_read_loose(const metric_question *q, const metric_span *s)
{
	static const query types = QUERY_OF_SNAPSHOT(NULL, LOOSE_TYPES);
	static planned plans[PLANS_KEPT];
	metric_answer *answer = empty_answer();
	bool custom = q->every_custom;

	take_rows(answer, q,
			  query_run(planned_for(plans, named_from(s->pending_from, s->pending_to), pending_text, &types), WHAT,
						time_arg(s->pending_from), time_arg(s->pending_to), int64_arg(q->deployment_id)),
			  false, q->moments ? METRIC_MEASURES : 0, q->quantiles);
	read_cut(answer, q, s->first_cut_from, s->first_cut_to);
	read_cut(answer, q, s->last_cut_from, s->last_cut_to);
	return answer;
}

static char *
reported_text(TimestampTz from)
{
	return psprintf(REPORTED_BEGIN "%s%s" REPORTED_END,
					from == DT_NOBEGIN ? "" : " AND s.sampled_at >= ", from == DT_NOBEGIN ? "" : literal(from));
}

void
metric_read_reported(const metric_question *q, metric_answer *answer)
{
	static const query types =
		QUERY_OF_SNAPSHOT(NULL, INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INTERVALOID, BOOLOID);
	static planned plans[PLANS_KEPT];
	TimestampTz today = observation_day(mm_now());
	TimestampTz from = q->since >= today                   ? today
					   : q->since >= today - USECS_PER_DAY ? today - USECS_PER_DAY
														   : DT_NOBEGIN;
	int level = rollup_plan_for_history();

	query_snapshot_push();
	take_rows(answer, q,
			  query_run(planned_for(plans, from, reported_text, &types), int64_array_arg(q->version_ids, q->versions),
						time_arg(q->since), time_arg(q->until), interval_arg(q->width), bool_arg(q->moments)),
			  true, q->moments ? 1 : 0, false);
	PopActiveSnapshot();
	AtEOXact_GUC(true, level);
}

int32
metric_number(const metric_answer *answer, const char *name)
{
	char key[METRIC_NAME_MAX + 1] = "";
	const char *entry;

	snprintf(key, sizeof(key), "%s", name);
	entry = hash_search(answer->numbers, key, HASH_FIND, NULL);
	return entry ? *(const int32 *) (entry + METRIC_NAME_MAX + 1) : -2;
}

const metric_cell *
metric_cell_of(const metric_answer *answer, int64 version_id, TimestampTz slot, int32 name, bool reported)
{
	metric_key key;

	memset(&key, 0, sizeof(key));
	key.version_id = version_id;
	key.slot = slot;
	key.name = name;
	key.reported = reported;
	return hash_search(answer->cells, &key, HASH_FIND, NULL);
}
