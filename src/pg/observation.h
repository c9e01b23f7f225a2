/*
 * observation.h: where observations lie: the partitions of the table as this backend knows them, and writing to one.
 */
#ifndef MM_OBSERVATION_H
#define MM_OBSERVATION_H

#include "pg/mm.h"

#include "utils/rel.h"

/*
 * observation_partition: locks (RowExclusiveLock, kept to the end of the transaction) and returns the partition that
 * takes rows of this time. *plain is false when rows must go through the executor: the partition is not a plain table
 * with the parent's columns in the parent's order.
 */
extern Oid observation_partition(TimestampTz recorded_at, bool *plain);
/* observation_partition_holds: whether `partition`, had from observation_partition, takes this time too. */
extern bool observation_partition_holds(Oid partition, TimestampTz recorded_at);

/* A stretch of time and the partition that takes it; a default partition has one for each gap. */
typedef struct observation_range
{
	TimestampTz lower; /* inclusive; DT_NOBEGIN: none */
	TimestampTz upper; /* exclusive; DT_NOEND: none */
	Oid partition;
	bool is_default;
} observation_range;

/* observation_pages: pages of the partitions that take rows of (after, until]; by_index: only those of them that the
 * block-range indexes do not exclude, which takes a while to find out where there are very many. */
extern int64 observation_pages(TimestampTz after, TimestampTz until, bool by_index);

/*
 * observation_pending_from: where in (from, until) rows of transaction keys from `txn` on may lie, as far as the active
 * snapshot sees: the lower bound of the first partition that may hold any; `until` when none does. What the
 * block-range index on txn says is kept for as long as that index and the partition's size stay as they are.
 */
extern TimestampTz observation_pending_from(TimestampTz from, TimestampTz until, int64 txn);

/* observation_ranges: all of them, in order of time, palloc'd; returns how many. */
extern int observation_ranges(observation_range **out);
/* observation_ranges_of: those of another table of the extension that is partitioned by time. */
extern int observation_ranges_of(const char *table, observation_range **out);

/* observation_day: the beginning of the day, in UTC: where partitions begin. */
static inline TimestampTz
observation_day(TimestampTz at)
{
	TimestampTz into = at % USECS_PER_DAY;

	return at - (into < 0 ? into + USECS_PER_DAY : into);
}

#endif
