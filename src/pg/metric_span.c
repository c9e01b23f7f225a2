/*
 * metric_span.c: which stretches of a window are read as buckets, and which row by row.
 *
 * What is cut at the beginning is read row by row only where the minute has at most MAX_CUT_ROWS, or, before what is
 * kept in minutes, the hour at most MAX_CUT_HOUR_ROWS; a busier one counts whole. So does one whose rows are to be
 * looked for in more pages than its reader has time for: a large partition, or one filled in bulk in no order of time.
 */
#include "pg/metric_internal.h"

#include "pg/observation.h"
#include "pg/query.h"
#include "pg/rollup.h"

#define MAX_CUT_ROWS 20000
/* Of an hour: its rows are older, and scattered by what came late. */
#define MAX_CUT_HOUR_ROWS 2000
/* Of 8 kB, at 10 us each: who asks for one version waits for the answer, so only small partitions are searched; a look
 * of the tick is short of time too, but its window is a minute, and it serves all models at once. */
#define MAX_CUT_PAGES_ASKED 1000
#define MAX_CUT_PAGES_LOOK 4000
/* From here on whole hours are read as such. */
#define LONG_WINDOW (2 * USECS_PER_HOUR)

/* clang-format off */
/* How many rows the minute has that the window's beginning cuts, and the last row of that in which it ends. */
static query edges = QUERY_OF_SNAPSHOT(
	"SELECT coalesce(pg_catalog.sum(GREATEST(r.requests, r.known)) FILTER (WHERE r.bucket = $1), 0)::bigint,"
	" pg_catalog.max(r.last_at) FILTER (WHERE r.bucket = $2)"
	" FROM model_mgr.rollup_minute r WHERE r.bucket = ANY (ARRAY[$1, $2])",
	TIMESTAMPTZOID, TIMESTAMPTZOID);

/* The same of the hour that begins at $1, wherever it is kept. */
static query old_edge = QUERY_OF_SNAPSHOT(
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

metric_span
metric_span_of(const metric_question *q)
{
	metric_span s = {0};
	TimestampTz kept = rollup_minutes_kept();
	TimestampTz first = metric_floor(q->since, USECS_PER_MINUTE) + USECS_PER_MINUTE; /* end of the minute of since */
	TimestampTz last = metric_floor(q->until, USECS_PER_MINUTE);                     /* beginning of that of until */
	bool old = q->since < kept;
	bool by_hours = q->width % USECS_PER_HOUR == 0;

	s.minutes_from = s.pending_from = first;
	s.minutes_to = last + USECS_PER_MINUTE;
	s.pending_to = q->until;
	if (old)
	{
		TimestampTz end = ceiling(q->since, USECS_PER_HOUR);

		s.minutes_from = s.pending_from = end;
		query_run(&old_edge, time_arg(end - USECS_PER_HOUR), time_arg(end));
		if (end != q->since && (query_int64(0, 0) > MAX_CUT_HOUR_ROWS || dear(q, q->since, Min(end, q->until))))
			s.minutes_from = s.pending_from = end - USECS_PER_HOUR;
		else if (end != q->since)
		{
			s.first_cut_from = q->since;
			s.first_cut_to = Min(end, q->until);
		}
	}
	if ((!old && first != q->since) || last + USECS_PER_MINUTE != q->until)
	{
		query_run(&edges, time_arg(first - USECS_PER_MINUTE), time_arg(last));
		if (!old && first != q->since &&
			((!q->exact && q->since - (first - USECS_PER_MINUTE) < USECS_PER_SEC) || query_int64(0, 0) > MAX_CUT_ROWS ||
			 dear(q, q->since, Min(first, q->until))))
			s.minutes_from = s.pending_from = first - USECS_PER_MINUTE;
		else if (!old && first != q->since)
		{
			s.first_cut_from = q->since;
			s.first_cut_to = Min(first, q->until);
		}
		if (!query_isnull(0, 1) && query_time(0, 1) > q->until && last >= s.minutes_from)
		{
			s.last_cut_from = last;
			s.last_cut_to = q->until;
			s.minutes_to = s.pending_to = last;
		}
	}
	s.hours_from = s.hours_to = s.minutes_from;
	if (old || (by_hours && q->until - q->since > LONG_WINDOW))
	{
		s.hours_from = ceiling(s.minutes_from, USECS_PER_HOUR);
		s.hours_to = by_hours ? metric_floor(q->until + 1, USECS_PER_HOUR) : ceiling(kept, USECS_PER_HOUR);
	}
	if (s.hours_to > s.minutes_to)
		s.hours_to = metric_floor(s.minutes_to + 1, USECS_PER_HOUR);
	if (s.hours_to <= s.hours_from)
		s.hours_from = s.hours_to = s.minutes_from;
	return s;
}
