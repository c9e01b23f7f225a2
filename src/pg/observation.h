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

#endif
