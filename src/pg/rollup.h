/*
 * rollup.h: folding observations into minute and hour rollups, and reading rollups plus the rows not folded yet.
 * Between mm_enter and mm_leave.
 */
#ifndef MM_ROLLUP_H
#define MM_ROLLUP_H

#include "pg/mm.h"

/* Counts and sums of one side of a rollout over some time. A mean is sum / count. */
typedef struct rollup_counts
{
	int64 requests;
	int64 known; /* outcomes whose success is known */
	int64 successes;
	int64 errors;
	int64 response_time_count;
	double response_time_sum;
} rollup_counts;

/* rollup_plan_for_history: a new settings level, to be left by AtEOXact_GUC(true, level), in which the block-range
 * indexes are used whatever the statistics say: a table filled in bulk and not analysed yet must not be read whole. */
extern int rollup_plan_for_history(void);

/* rollup_fold: folds what has been committed and not folded yet; returns rows folded, -1 when somebody else is at it
 * or more than max_rows wait (0: no limit). Never waits for a lock. */
extern int64 rollup_fold(int64 max_rows);

/* rollup_advance_hours: adds to the hours the minutes up to 5 minutes ago, a quarter of an hour at a time until the
 * deadline (at least one); returns the rows written, -1 when somebody else is at it. Never waits for a lock. */
extern int64 rollup_advance_hours(TimestampTz deadline);

/* rollup_minutes_kept: minutes before this are past perf_monitor_retention_hours. */
extern TimestampTz rollup_minutes_kept(void);

/*
 * rollup_side: outcomes of one version in one rollout, requests routed since it began (warm-up excluded), own rows of
 * this transaction included.
 *   window: arrived in minutes that begin at `since` (or less than a second before) or later; step: routed in that step
 *   or a later one.
 */
extern void rollup_side(int64 deployment_id, int64 version_id, TimestampTz since, int32 step, rollup_counts *window,
						rollup_counts *from_step);

/* rollup_summarize: summarises up to `limit` block ranges of the indexes on txn that have filled up: of the partitions
 * in use and one other, or of all; never waits. */
extern void rollup_summarize(int limit, bool all);

#endif
