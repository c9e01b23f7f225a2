/*
 * rollup.h: folding observations into minute and hour rollups, and reading rollups plus the rows not folded yet.
 * Between mm_enter and mm_leave.
 */
#ifndef MM_ROLLUP_H
#define MM_ROLLUP_H

#include "pg/mm.h"

#include "core/guard.h"
#include "core/rollout.h"

/* The lock that orders folds, for mm_lock_model(); models have positive ids. */
#define ROLLUP_LOCK (-1)

/* What one side of a rollout did in one of its steps. */
typedef struct rollup_step
{
	int32 step;
	rollout_tally window;
	rollout_tally whole; /* since the rollout began */
	guard_side
		compared; /* of that: drawn by lot or credited by name; pins and segments are not. Pairs: by name alone */
	int64 drawn;  /* requests of that whose decision says that they were drawn; pairs: with a request number */
} rollup_step;

/* A question, and its answer: the steps in which anything is recorded, in their order. */
typedef struct rollup_side
{
	int64 deployment_id;
	int64 version_id;
	TimestampTz since; /* the window's beginning */
	TimestampTz began; /* the rollout's */
	bool pairs;        /* a shadow: what has a request number is compared in pairs, by others */
	int count;
	rollup_step *steps;
} rollup_side;

/* rollup_plan_for_history: a new settings level, to be left by AtEOXact_GUC(true, level), in which the block-range
 * indexes are used whatever the statistics say: a table filled in bulk and not analysed yet must not be read whole. */
extern int rollup_plan_for_history(void);

/*
 * rollup_hold: until this transaction ends nobody else folds. For who ends an A/B test: a fold that cannot see the end
 * yet would count what came after it. Wait: for a fold that is just being made (not for its transaction); without, it
 * says whether it was had.
 */
extern bool rollup_hold(bool wait);

/* rollup_fold: folds what has been committed and not folded yet; returns rows folded, -1 when somebody else is at it
 * or holds it, or more than max_rows wait (0: no limit). Never waits for a lock. */
extern int64 rollup_fold(int64 max_rows);

/* rollup_advance_hours: adds to the hours the minutes up to 5 minutes ago, a quarter of an hour at a time until the
 * deadline (at least one); returns the rows written, -1 when somebody else is at it. Never waits for a lock. */
extern int64 rollup_advance_hours(TimestampTz deadline);

/*
 * rollup_minutes_kept: from here on minutes can be read: they are within perf_monitor_retention_hours, and none has
 * been dropped, however short that was before. SPI is connected.
 */
extern TimestampTz rollup_minutes_kept(void);

/* rollup_give_up_minutes: from now on minutes before the hour of `before` are in the hours alone, as far as these have
 * come, so that they can be dropped. Nothing while somebody folds. SPI is connected. */
extern void rollup_give_up_minutes(TimestampTz before);

/* rollup_minutes_due: minutes before are past perf_monitor_retention_hours. */
extern TimestampTz rollup_minutes_due(void);

/*
 * rollup_read_sides: outcomes of versions in rollouts, requests routed since these began (warm-up excluded), own rows
 * of this transaction included, in one query whatever n is. The window holds what arrived in minutes that begin at
 * `since` (or less than a second before) or later.
 */
extern void rollup_read_sides(rollup_side *sides, int n);

/* rollup_summarize: summarises block ranges of the indexes on txn that have filled up, up to about `limit` pages: of
 * the partitions in use and one other, or of all; never waits. */
extern void rollup_summarize(int limit, bool all);

#endif
