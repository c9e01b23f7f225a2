/*
 * metric_internal.h: what the rollups, the rows not folded yet and metric_sample hold of some versions over a window,
 * cell by cell; between metric.c, which reads it, and the functions that show it. Between mm_enter and mm_leave.
 */
#ifndef MM_METRIC_INTERNAL_H
#define MM_METRIC_INTERNAL_H

#include "pg/metric.h"

#include "utils/hsearch.h"

/* The built-in metrics of a cell come from one tally; each custom or reported metric has a cell of its own. */
#define METRIC_BUILTIN (-1)

typedef struct metric_key
{
	int64 version_id;
	TimestampTz slot; /* beginning of the bucket; DT_NOBEGIN: the window is one */
	int32 name;       /* METRIC_BUILTIN, or a number of metric_answer.names */
	int32 reported;   /* whether it is from metric_sample */
} metric_key;

typedef struct metric_cell
{
	metric_key key;
	/* A custom or reported one: the count, sum and sketch of the measure 0. */
	metric_tally tally;
	TimestampTz last_at;
} metric_cell;

typedef struct metric_question
{
	const int64 *version_ids;
	int versions;
	int64 deployment_id; /* requests routed in this rollout alone; 0: all */
	TimestampTz since;   /* exclusive */
	TimestampTz until;   /* inclusive */
	int64 width;         /* of a bucket in microseconds, whole minutes; 0: the window is one */
	bool quantiles;      /* quantiles of response time are wanted */
	bool moments;        /* all sketches are wanted: spreads for tests */
	bool exact;          /* a begun minute is cut even when less than a second of it is cut off */
	bool every_custom;   /* else those named: pairs of version and name */
	int pairs;
	const int64 *pair_versions;
	const char *const *pair_names;
} metric_question;

typedef struct metric_answer
{
	HTAB *cells;
	HTAB *numbers; /* name -> its number */
	char **names;
	int name_count;
	int name_room;
} metric_answer;

/* The stretches that a window is read in: [from, to) of buckets, (from, to] of rows. */
typedef struct metric_span
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
} metric_span;

/* metric_span_of: the stretches of a question's window, as the active snapshot sees what there is. */
extern metric_span metric_span_of(const metric_question *question);
/* metric_read: what was observed of all that was asked for, rows not folded yet and own rows included. */
extern metric_answer *metric_read(const metric_question *question);
/* metric_read_loose: of all versions, what the whole buckets of a span do not hold: rows not folded yet, and those of
 * the cuts; no versions are named. Under the active snapshot, at the level of rollup_plan_for_history(). */
extern metric_answer *metric_read_loose(const metric_question *question, const metric_span *span);
/* metric_read_reported: adds what was reported, of every metric. */
extern void metric_read_reported(const metric_question *question, metric_answer *answer);
/* metric_number: number of a custom or reported name; -2 when nothing of that name was found. */
extern int32 metric_number(const metric_answer *answer, const char *name);
/* metric_cell_of: NULL when nothing was found. */
extern const metric_cell *metric_cell_of(const metric_answer *answer, int64 version_id, TimestampTz slot, int32 name,
										 bool reported);

/* A metric of one version over one slot, as callers see it. */
typedef struct metric_point
{
	double value; /* NaN: no samples */
	int64 samples;
	bool reported;
	TimestampTz last_at;
	const metric_cell *cell; /* where it comes from, for tests; NULL: no samples */
} metric_point;

/* metric_point_of: what was observed, else what was reported. `name` is a canonical name. */
extern metric_point metric_point_of(const metric_answer *answer, int64 version_id, TimestampTz slot, const char *name,
									double minutes);

/* metric_names: canonical names of the metrics that have samples anywhere in the answer, built-in ones first, then the
 * others by bytes; palloc'd. */
extern const char **metric_names(const metric_answer *answer, int *count);

/* metric_bucket_width: the smallest round width in microseconds that makes at most so many buckets of a window; an hour
 * at least where the window begins before the minutes that are kept, as hours in narrower buckets look like gaps. */
extern int64 metric_bucket_width(TimestampTz since, TimestampTz until, int64 most);

/* metric_floor: the beginning of the bucket (left-open, right-closed) that holds `at`; buckets begin at multiples of
 * their width since 2000-01-01 UTC. */
static inline TimestampTz
metric_floor(TimestampTz at, int64 width)
{
	TimestampTz into = (at - 1) % width;

	return at - 1 - (into < 0 ? into + width : into);
}

#endif
