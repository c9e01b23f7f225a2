/*
 * summarize.c: keeps the block-range index on txn useful without waiting for autovacuum: ranges that are not summarised
 * are read whole by every look at the pending rows, and at 5,000 recordings a second one range fills each second. The
 * fold summarises the ranges filled since, newest first, a few at a time; older gaps are maintain()'s.
 */
#include "pg/rollup.h"

#include "access/brin.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "pg/observation.h"

/* What this backend has seen to in the partition of the present: block ranges lowest..filled - 1. */
static struct
{
	Oid partition;
	BlockNumber filled; /* ranges that are full */
	BlockNumber lowest;
	bool done; /* the one below `lowest` was summarised by others */
} seen;

/* find_index: the block-range index on txn, InvalidOid when somebody dropped it. */
static Oid
find_index(Relation partition, BlockNumber *pages_per_range)
{
	AttrNumber column = get_attnum(RelationGetRelid(partition), "txn");
	List *indexes = RelationGetIndexList(partition);
	Oid found = InvalidOid;
	ListCell *cell;

	foreach (cell, indexes)
	{
		Relation index = RelationIdGetRelation(lfirst_oid(cell));

		if (index == NULL)
			continue;
		if (index->rd_rel->relam == BRIN_AM_OID && index->rd_index->indkey.values[0] == column)
		{
			found = RelationGetRelid(index);
			*pages_per_range = BrinGetPagesPerRange(index);
		}
		RelationClose(index);
	}
	list_free(indexes);
	return found;
}

/* summarize_range: whether it was not summarised before. */
static bool
summarize_range(Oid index, BlockNumber range, BlockNumber pages_per_range)
{
	return DatumGetInt32(DirectFunctionCall2(brin_summarize_range, ObjectIdGetDatum(index),
											 Int64GetDatum((int64) range * pages_per_range))) > 0;
}

void
rollup_summarize(int limit)
{
	bool plain;
	Oid oid = observation_partition(mm_now(), &plain);
	BlockNumber pages_per_range = 1;
	BlockNumber filled;
	Relation partition;
	Oid index;

	/* Autovacuum has the same lock; it summarises by itself. */
	if (!plain || !ConditionalLockRelationOid(oid, ShareUpdateExclusiveLock))
		return;
	partition = table_open(oid, NoLock);
	index = find_index(partition, &pages_per_range);
	filled = RelationGetNumberOfBlocks(partition) / pages_per_range;
	table_close(partition, NoLock);
	if (!OidIsValid(index))
		return;
	if (seen.partition != oid || filled < seen.filled)
	{
		seen.partition = oid;
		seen.filled = seen.lowest = filled;
		seen.done = false;
	}
	while (limit > 0 && seen.filled < filled)
	{
		(void) summarize_range(index, seen.filled++, pages_per_range);
		limit--;
	}
	while (limit > 0 && seen.lowest > 0 && !seen.done)
	{
		seen.done = !summarize_range(index, --seen.lowest, pages_per_range);
		limit--;
	}
}
