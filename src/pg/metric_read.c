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
 * All of it is one statement, one snapshot: a fold that commits meanwhile neither hides a row nor shows it twice. What
 * is cut at the beginning is read row by row only where the minute has at most MAX_CUT_ROWS, or, before what is kept in
 * minutes, the hour at most MAX_CUT_HOUR_ROWS; a busier one counts whole. So does one whose rows are to be looked for
 * in more pages than its reader has time for: a large partition, or one filled in bulk in no order of time.
 */
#include "pg/metric_internal.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/guc.h"

#include "pg/observation.h"
#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/statistics.h"
#include "pg/summary.h"

#define MAX_CUT_ROWS 20000
/* Of an hour: its rows are older, and scattered by what came late. */
#define MAX_CUT_HOUR_ROWS 2000
/* Of 8 kB, at 10 us each: who asks for one version waits for the answer, so only small partitions are searched; a look
 * of the tick is short of time too, but its window is a minute, and it serves all models at once. */
#define MAX_CUT_PAGES_ASKED 1000
#define MAX_CUT_PAGES_LOOK 4000
/* From here on whole hours are read as such. */
#define LONG_WINDOW (2 * USECS_PER_HOUR)
/* Up to here rows that are not folded yet are compared with the versions asked for; beyond, all are read and sorted
 * out here. */
#define FEW_VERSIONS 16
/* Windows that begin earlier look for pending rows in every partition. */
#define LATELY (2 * USECS_PER_DAY)

/* The stretches that a window is read in: [from, to) of buckets, (from, to] of rows. */
typedef struct span
{
	TimestampTz minutes_from;
	TimestampTz minutes_to;
	TimestampTz hours_from; /* equal: none */
	TimestampTz hours_to;   /* at most; as far as the hours have come */
	TimestampTz pending_from;
	TimestampTz pending_to;
	TimestampTz first_cut_from; /* equal: none */
	TimestampTz first_cut_to;
	TimestampTz last_cut_from;
	TimestampTz last_cut_to;
} span;

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
	"(SELECT GREATEST($4, LEAST($5, pg_catalog.date_bin('1 hour', s.hours_until, " ORIGIN ")))"                        \
	" FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1)"
#define SLOT(at) "coalesce(pg_catalog.date_bin($12, " at ", " ORIGIN "), '-infinity')"
#define SUMS(measure) " pg_catalog.sum(r." measure "_count)::bigint, pg_catalog.sum(r." measure "_sum),"
#define LOOSE_SUMS(measure) " pg_catalog.count(l." measure "), coalesce(pg_catalog.sum(l." measure "), 0),"
/* A version, or a version and a name, at a time: OFFSET 0 keeps the planner from joining what the buckets of all versions
 * hold. */
#define OF_EACH(keys, table, on, from, to)                                                                             \
	"SELECT m.* FROM " keys " k, LATERAL (SELECT f.* FROM model_mgr." table " f WHERE " on                             \
	" AND f.bucket >= " from " AND f.bucket < " to OF_ROLLOUT " OFFSET 0) m"
#define OF_ROLLOUT " AND ($19 = 0 OR f.deployment_id = $19 AND f.step > 0)"
#define FOLDED(keys, table, on)                                                                                        \
	" (" OF_EACH(keys, table "_minute", on, "$2", "LEAST($4, $3)")                                                     \
	" UNION ALL " OF_EACH(keys, table "_minute", on, "GREATEST($2, " BOUND ")", "$3")                                  \
	" UNION ALL " OF_EACH(keys, table "_hour", on, "$4", BOUND) ") r"
#define FOLDED_BUILTIN FOLDED("versions", "rollup", "f.version_id = k.version_id")
#define FOLDED_CUSTOM FOLDED("pairs", "rollup_metric", "f.version_id = k.version_id AND f.metric_name = k.metric_name")
#define LOOSE_SLOT SLOT("o.recorded_at - '0.000001 s'::pg_catalog.interval")
#define LOOSE_COLUMNS                                                                                                  \
	"o.version_id, " LOOSE_SLOT " AS slot, o.recorded_at, o.feedback, o.success, o.error_type, o.response_time,"       \
	" o.confidence, o.cost, o.input_tokens::pg_catalog.float8 AS input_tokens,"                                        \
	" o.output_tokens::pg_catalog.float8 AS output_tokens, CASE WHEN $15 THEN o.metrics END AS metrics"
#define LOOSE_ATTRIBUTION                                                                                              \
	"model_mgr.attribution(o.version_id, o.deployment_id, o.step, coalesce(o.routed_at, o.recorded_at))"
#define LOOSE_VERSIONS                                                                                                 \
	" o.version_id IS NOT NULL AND ($18 OR o.version_id = ANY ($1))"                                                   \
	" AND ($19 = 0 OR " LOOSE_ATTRIBUTION " BETWEEN $19 << 16 | 1 AND $19 << 16 | 65535)"

/*
 * `found` are the names that a version has, by a probe of the index each. Rows not folded yet are to be found by txn: both
 * bounds on recorded_at would look narrow to the planner, who would read all rows between them.
 *
 * $1 versions, $2 $3 minutes, $4 $5 hours, $6 $7 pending, $8 $9 first cut, $10 $11 last cut, $12 width, $13 quantiles of
 * response time, $14 all sketches, $15 custom metrics at all, $16 $17 their pairs (NULL: every one), $18 rows of all
 * versions are taken, $19 a rollout after its warm-up (0: whatever was routed).
 */
#define OBSERVED(pending) QUERY( \
	"WITH RECURSIVE versions AS (SELECT v.version_id FROM pg_catalog.unnest($1) v (version_id))," \
	" found AS (SELECT v.version_id, n.metric_name FROM versions v, LATERAL (VALUES" \
	"   ((SELECT pg_catalog.min(m.metric_name) FROM model_mgr.rollup_metric_minute m WHERE m.version_id = v.version_id))," \
	"   ((SELECT pg_catalog.min(h.metric_name) FROM model_mgr.rollup_metric_hour h WHERE h.version_id = v.version_id))" \
	"   ) n (metric_name) WHERE $15 AND $16 IS NULL" \
	"  UNION SELECT f.version_id, n.metric_name FROM found f, LATERAL (VALUES" \
	"   ((SELECT pg_catalog.min(m.metric_name) FROM model_mgr.rollup_metric_minute m" \
	"     WHERE m.version_id = f.version_id AND m.metric_name > f.metric_name))," \
	"   ((SELECT pg_catalog.min(h.metric_name) FROM model_mgr.rollup_metric_hour h" \
	"     WHERE h.version_id = f.version_id AND h.metric_name > f.metric_name AND $5 > $4))" \
	"   ) n (metric_name) WHERE f.metric_name IS NOT NULL)," \
	" pairs AS MATERIALIZED (SELECT f.version_id, f.metric_name FROM found f WHERE f.metric_name IS NOT NULL" \
	"  UNION ALL SELECT p.version_id, p.metric_name FROM ROWS FROM (pg_catalog.unnest($16), pg_catalog.unnest($17)) p (version_id, metric_name))," \
	" loose AS MATERIALIZED (SELECT " LOOSE_COLUMNS " FROM model_mgr.observation_pending o" \
	"   WHERE " pending " AND o.recorded_at - '0 s'::pg_catalog.interval <= $7 AND" LOOSE_VERSIONS \
	"  UNION ALL SELECT " LOOSE_COLUMNS " FROM model_mgr.observation o" \
	"   WHERE (o.recorded_at > $8 AND o.recorded_at <= $9 OR o.recorded_at > $10 AND o.recorded_at <= $11)" \
	"   AND ($8 < $9 OR $10 < $11) AND" LOOSE_VERSIONS ")" \
	" SELECT r.version_id, " SLOT("r.bucket") ", NULL::pg_catalog.text," \
	" pg_catalog.sum(r.requests)::bigint, pg_catalog.sum(r.known)::bigint, pg_catalog.sum(r.successes)::bigint, pg_catalog.sum(r.errors)::bigint," \
	SUMS("response_time") SUMS("confidence") SUMS("cost") SUMS("input_tokens") SUMS("output_tokens") \
	" pg_catalog.max(r.last_at), model_mgr.merge(r.response_time) FILTER (WHERE $14)," \
	" model_mgr.merge(r.confidence) FILTER (WHERE $14), model_mgr.merge(r.cost) FILTER (WHERE $14)," \
	" model_mgr.merge(r.input_tokens) FILTER (WHERE $14), model_mgr.merge(r.output_tokens) FILTER (WHERE $14), pg_catalog.array_agg(r.response_time) FILTER (WHERE $13)" \
	" FROM" FOLDED_BUILTIN " GROUP BY 1, 2" \
	" UNION ALL SELECT l.version_id, l.slot, NULL," \
	" pg_catalog.count(*) FILTER (WHERE NOT l.feedback), pg_catalog.count(l.success), pg_catalog.count(*) FILTER (WHERE l.success)," \
	" pg_catalog.count(l.error_type) FILTER (WHERE NOT l.feedback)," \
	LOOSE_SUMS("response_time") LOOSE_SUMS("confidence") LOOSE_SUMS("cost") LOOSE_SUMS("input_tokens") LOOSE_SUMS("output_tokens") \
	" pg_catalog.max(l.recorded_at), model_mgr.summarize(l.response_time) FILTER (WHERE $14)," \
	" model_mgr.summarize(l.confidence) FILTER (WHERE $14), model_mgr.summarize(l.cost) FILTER (WHERE $14)," \
	" model_mgr.summarize(l.input_tokens) FILTER (WHERE $14), model_mgr.summarize(l.output_tokens) FILTER (WHERE $14)," \
	" CASE WHEN $13 THEN ARRAY[model_mgr.summarize(l.response_time) FILTER (WHERE $13)] END" \
	" FROM loose l GROUP BY 1, 2" \
	" UNION ALL SELECT r.version_id, " SLOT("r.bucket") ", r.metric_name, 0, 0, 0, 0," \
	" pg_catalog.sum(r.count)::bigint, pg_catalog.sum(r.sum), 0, 0, 0, 0, 0, 0, 0, 0," \
	" pg_catalog.max(r.last_at), model_mgr.merge(r.values) FILTER (WHERE $14), NULL, NULL, NULL, NULL, NULL" \
	" FROM" FOLDED_CUSTOM " GROUP BY 1, 2, 3" \
	" UNION ALL SELECT c.version_id, c.slot, t.metric_name, 0, 0, 0, 0, t.count, t.sum, 0, 0, 0, 0, 0, 0, 0, 0," \
	" t.last_at, t.values, NULL, NULL, NULL, NULL, NULL" \
	" FROM (SELECT l.version_id, l.slot, model_mgr.metric_summaries(l.metrics, l.recorded_at) AS custom" \
	"  FROM loose l WHERE $15 GROUP BY 1, 2) c, LATERAL pg_catalog.unnest(c.custom) t", \
	INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, \
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INTERVALOID, BOOLOID, BOOLOID, BOOLOID, \
	INT8ARRAYOID, TEXTARRAYOID, BOOLOID, INT8OID)

/* A recent window leaves the partitions before it out; another is read by txn alone, whatever a partition holds. */
static query observed_lately = OBSERVED("o.recorded_at > $6");
static query observed = OBSERVED("o.recorded_at - '0 s'::pg_catalog.interval > $6");

/* The same columns as far as there are any; what was reported has no requests. */
static query reported_values = QUERY(
	"SELECT s.version_id, coalesce(pg_catalog.date_bin($4, s.sampled_at - '0.000001 s'::pg_catalog.interval, " ORIGIN "), '-infinity'),"
	" s.metric_name, 0::bigint, 0::bigint, 0::bigint, 0::bigint, pg_catalog.sum(s.samples)::bigint,"
	" pg_catalog.sum(s.value * s.samples), 0::bigint, 0::float8, 0::bigint, 0::float8, 0::bigint, 0::float8, 0::bigint, 0::float8,"
	" pg_catalog.max(s.sampled_at),"
	" CASE WHEN pg_catalog.bool_and(s.values IS NOT NULL) THEN model_mgr.merge(s.values) FILTER (WHERE $5) END"
	" FROM pg_catalog.unnest($1) v (version_id) JOIN model_mgr.metric_sample s ON s.version_id = v.version_id"
	" WHERE s.sampled_at > $2 AND s.sampled_at <= $3 GROUP BY 1, 2, 3",
	INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INTERVALOID, BOOLOID);

/* How many rows the minute has that the window's beginning cuts, and the last row of that in which it ends. */
static query edges = QUERY(
	"SELECT coalesce(pg_catalog.sum(GREATEST(r.requests, r.known)) FILTER (WHERE r.bucket = $1), 0)::bigint,"
	" pg_catalog.max(r.last_at) FILTER (WHERE r.bucket = $2)"
	" FROM model_mgr.rollup_minute r WHERE r.bucket = ANY (ARRAY[$1, $2])",
	TIMESTAMPTZOID, TIMESTAMPTZOID);

/* The same of the hour that begins at $1, wherever it is kept. */
static query old_edge = QUERY(
	"SELECT GREATEST((SELECT pg_catalog.sum(GREATEST(h.requests, h.known)) FROM model_mgr.rollup_hour h WHERE h.bucket = $1),"
	" (SELECT pg_catalog.sum(GREATEST(m.requests, m.known)) FROM model_mgr.rollup_minute m WHERE m.bucket >= $1 AND m.bucket < $2))::bigint",
	TIMESTAMPTZOID, TIMESTAMPTZOID);
/* clang-format on */

static TimestampTz
ceiling(TimestampTz at, int64 width)
{
	TimestampTz floor = metric_floor(at, width);

	return floor + width;
}

/* dear: whether the rows of (after, until] are too many to be looked for one by one. */
static bool
dear(const metric_question *q, TimestampTz after, TimestampTz until)
{
	return observation_pages(after, until, !q->exact) > (q->exact ? MAX_CUT_PAGES_ASKED : MAX_CUT_PAGES_LOOK);
}

/* find_span: the stretches of a window. */
static void
find_span(const metric_question *q, span *s)
{
	TimestampTz kept = rollup_minutes_kept();
	TimestampTz first = metric_floor(q->since, USECS_PER_MINUTE) + USECS_PER_MINUTE; /* end of the minute of since */
	TimestampTz last = metric_floor(q->until, USECS_PER_MINUTE);                     /* beginning of that of until */
	bool old = q->since < kept;
	bool by_hours = q->width % USECS_PER_HOUR == 0;

	memset(s, 0, sizeof(*s));
	s->minutes_from = s->pending_from = first;
	s->minutes_to = last + USECS_PER_MINUTE;
	s->pending_to = q->until;
	if (old)
	{
		TimestampTz end = ceiling(q->since, USECS_PER_HOUR);

		s->minutes_from = s->pending_from = end;
		query_run(&old_edge, time_arg(end - USECS_PER_HOUR), time_arg(end));
		if (end != q->since && (query_int64(0, 0) > MAX_CUT_HOUR_ROWS || dear(q, q->since, Min(end, q->until))))
			s->minutes_from = s->pending_from = end - USECS_PER_HOUR;
		else if (end != q->since)
		{
			s->first_cut_from = q->since;
			s->first_cut_to = Min(end, q->until);
		}
	}
	if ((!old && first != q->since) || last + USECS_PER_MINUTE != q->until)
	{
		query_run(&edges, time_arg(first - USECS_PER_MINUTE), time_arg(last));
		if (!old && first != q->since &&
			((!q->exact && q->since - (first - USECS_PER_MINUTE) < USECS_PER_SEC) || query_int64(0, 0) > MAX_CUT_ROWS ||
			 dear(q, q->since, Min(first, q->until))))
			s->minutes_from = s->pending_from = first - USECS_PER_MINUTE;
		else if (!old && first != q->since)
		{
			s->first_cut_from = q->since;
			s->first_cut_to = Min(first, q->until);
		}
		if (!query_isnull(0, 1) && query_time(0, 1) > q->until && last >= s->minutes_from)
		{
			s->last_cut_from = last;
			s->last_cut_to = q->until;
			s->minutes_to = s->pending_to = last;
		}
	}
	s->hours_from = s->hours_to = s->minutes_from;
	if (old || (by_hours && q->until - q->since > LONG_WINDOW))
	{
		s->hours_from = ceiling(s->minutes_from, USECS_PER_HOUR);
		s->hours_to = by_hours ? metric_floor(q->until + 1, USECS_PER_HOUR) : ceiling(kept, USECS_PER_HOUR);
	}
	if (s->hours_to > s->minutes_to)
		s->hours_to = metric_floor(s->minutes_to + 1, USECS_PER_HOUR);
	if (s->hours_to <= s->hours_from)
		s->hours_from = s->hours_to = s->minutes_from;
}

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

metric_answer *
metric_read(const metric_question *q)
{
	metric_answer *answer = palloc0(sizeof(metric_answer));
	HASHCTL cells = {.keysize = sizeof(metric_key), .entrysize = sizeof(metric_cell), .hcxt = CurrentMemoryContext};
	HASHCTL numbers = {
		.keysize = METRIC_NAME_MAX + 1, .entrysize = METRIC_NAME_MAX + 1 + sizeof(int32), .hcxt = CurrentMemoryContext};
	bool custom = q->every_custom || q->pairs > 0;
	bool lately = q->since > mm_now() - LATELY;
	span s;
	int level;

	answer->cells = hash_create("metric cells", 64, &cells, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	answer->numbers = hash_create("metric names", 16, &numbers, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	if (q->versions == 0 || q->since >= q->until)
		return answer;
	level = rollup_plan_for_history();
	find_span(q, &s);
	take_rows(answer, q,
			  query_run(lately ? &observed_lately : &observed, int64_array_arg(q->version_ids, q->versions),
						time_arg(s.minutes_from), time_arg(s.minutes_to), time_arg(s.hours_from), time_arg(s.hours_to),
						time_arg(s.pending_from), time_arg(s.pending_to), time_arg(s.first_cut_from),
						time_arg(s.first_cut_to), time_arg(s.last_cut_from), time_arg(s.last_cut_to),
						interval_arg(q->width), bool_arg(q->quantiles), bool_arg(q->moments), bool_arg(custom),
						q->every_custom ? null_arg() : int64_array_arg(q->pair_versions, q->pairs),
						q->every_custom ? null_arg() : text_array_arg(q->pair_names, q->pairs),
						bool_arg(q->versions > FEW_VERSIONS), int64_arg(q->deployment_id)),
			  false, q->moments ? METRIC_MEASURES : 0, q->quantiles);
	AtEOXact_GUC(true, level);
	return answer;
}

void
metric_read_reported(const metric_question *q, metric_answer *answer)
{
	int level = rollup_plan_for_history();

	take_rows(answer, q,
			  query_run(&reported_values, int64_array_arg(q->version_ids, q->versions), time_arg(q->since),
						time_arg(q->until), interval_arg(q->width), bool_arg(q->moments)),
			  true, q->moments ? 1 : 0, false);
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
