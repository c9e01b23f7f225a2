/*
 * summarize.c: the block-range indexes of observation. Keeps the one on txn useful without waiting for autovacuum:
 * ranges that are not summarised are read whole by every look at the pending rows, and at 5,000 recordings a second one
 * range fills each second. The fold summarises the ranges filled since, newest first, a few at a time at a commit, many
 * on the tick's time; gaps further back are maintain()'s. And tells from the one on recorded_at what reading would
 * cost, and from the one on txn which partitions need no reading.
 */
#include "pg/rollup.h"

#include "access/brin.h"
#include "access/genam.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/tidbitmap.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "pg/observation.h"

/* What this backend has seen to in one partition: block ranges lowest..filled - 1. */
typedef struct summarized
{
	Oid partition;      /* hash key */
	BlockNumber filled; /* ranges that are full */
	BlockNumber lowest;
	bool done; /* the one below `lowest` was summarised by others */
} summarized;

static HTAB *seen;
static int turn; /* which partition is next, beside the two that are in use */

/* find_index: the block-range index on a column, InvalidOid when somebody dropped it. */
static Oid
find_index(Relation partition, const char *name, BlockNumber *pages_per_range)
{
	AttrNumber column = get_attnum(RelationGetRelid(partition), name);
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

/* summarize_partition: up to about `limit` pages of one; returns how many are left of it. */
static int
summarize_partition(Oid oid, int limit)
{
	BlockNumber pages_per_range = 1;
	BlockNumber filled;
	Relation partition;
	Oid index = InvalidOid;
	summarized *entry;
	bool found;

	/* Autovacuum has the same lock; it summarises by itself. */
	if (!ConditionalLockRelationOid(oid, ShareUpdateExclusiveLock))
		return limit;
	partition = try_relation_open(oid, NoLock);
	if (partition == NULL)
		return limit;
	if (partition->rd_rel->relkind == RELKIND_RELATION)
		index = find_index(partition, "txn", &pages_per_range);
	filled = OidIsValid(index) ? RelationGetNumberOfBlocks(partition) / pages_per_range : 0;
	relation_close(partition, NoLock);
	if (!OidIsValid(index))
		return limit;
	entry = hash_search(seen, &oid, HASH_ENTER, &found);
	if (!found || filled < entry->filled)
	{
		entry->filled = entry->lowest = filled;
		entry->done = false;
	}
	while (limit > 0 && entry->filled < filled)
	{
		(void) summarize_range(index, entry->filled++, pages_per_range);
		limit -= (int) pages_per_range;
	}
	while (limit > 0 && entry->lowest > 0 && !entry->done)
	{
		entry->done = !summarize_range(index, --entry->lowest, pages_per_range);
		limit -= (int) pages_per_range;
	}
	return limit;
}

void
rollup_summarize(int limit, bool all)
{
	TimestampTz now = mm_now();
	observation_range *ranges;
	int count;

	if (seen == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(summarized), .hcxt = TopMemoryContext};

		seen = hash_create("model_mgr summaries", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	count = observation_ranges(&ranges);
	/* Rows come to the present day's and to the default, in bulk to any: that is looked at in turn. */
	turn = count > 0 ? (turn + 1) % count : 0;
	for (int i = 0; i < count && limit > 0; i++)
		if (all || i == turn || (ranges[i].lower <= now && now < ranges[i].upper) ||
			(ranges[i].is_default && ranges[i].upper == DT_NOEND))
			limit = summarize_partition(ranges[i].partition, limit);
	pfree(ranges);
}

/* matching_pages: how many pages an index does not exclude. */
static int64
matching_pages(Relation index, ScanKey keys, int count)
{
	IndexScanDesc scan = compat_index_beginscan_bitmap(index, GetActiveSnapshot(), count);
	TIDBitmap *bitmap = tbm_create(work_mem * (Size) 1024, NULL);
	int64 pages;

	index_rescan(scan, keys, count, NULL, 0);
	pages = index_getbitmap(scan, bitmap) / 10; /* BRIN's own guess at ten rows a page */
	index_endscan(scan);
	tbm_free(bitmap);
	return pages;
}

/* pages_in: of one partition, all or what its index does not exclude. */
static int64
pages_in(Oid oid, TimestampTz after, TimestampTz until, bool by_index)
{
	Relation partition = try_relation_open(oid, AccessShareLock);
	BlockNumber pages_per_range;
	int64 pages = 0;
	Oid found;

	if (partition == NULL)
		return 0;
	if (partition->rd_rel->relkind != RELKIND_RELATION)
		pages = INT_MAX; /* somebody's own: who knows */
	else if (!by_index || !OidIsValid(found = find_index(partition, "recorded_at", &pages_per_range)))
		pages = RelationGetNumberOfBlocks(partition);
	else
	{
		Relation index = index_open(found, AccessShareLock);
		ScanKeyData keys[2];

		ScanKeyEntryInitialize(&keys[0], 0, 1, BTGreaterStrategyNumber, TIMESTAMPTZOID, InvalidOid, F_TIMESTAMPTZ_GT,
							   TimestampTzGetDatum(after));
		ScanKeyEntryInitialize(&keys[1], 0, 1, BTLessEqualStrategyNumber, TIMESTAMPTZOID, InvalidOid, F_TIMESTAMPTZ_LE,
							   TimestampTzGetDatum(until));
		pages = matching_pages(index, keys, 2);
		index_close(index, AccessShareLock);
	}
	relation_close(partition, AccessShareLock);
	return pages;
}

int64
observation_pages(TimestampTz after, TimestampTz until, bool by_index)
{
	observation_range *ranges;
	int count = observation_ranges(&ranges);
	bool default_seen = false;
	int64 pages = 0;

	for (int i = 0; i < count; i++)
		if (ranges[i].lower <= until && after < ranges[i].upper && !(ranges[i].is_default && default_seen))
		{
			pages += pages_in(ranges[i].partition, after, until, by_index);
			default_seen |= ranges[i].is_default;
		}
	pfree(ranges);
	return pages;
}

/* What this backend has found out about one partition: which transaction keys it holds none of. */
typedef struct settled
{
	Oid partition; /* hash key */
	Oid index;     /* on txn */
	Oid storage;   /* of the index */
	BlockNumber pages;
	BlockNumber index_pages;
	XLogRecPtr changed; /* the last change of the index */
	int64 txn;          /* this one and later */
} settled;

/* last_change: of any page of an index. */
static XLogRecPtr
last_change(Relation index, BlockNumber pages)
{
	XLogRecPtr last = InvalidXLogRecPtr;

	for (BlockNumber i = 0; i < pages; i++)
	{
		Buffer buffer = ReadBuffer(index, i);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		last = Max(last, PageGetLSN(BufferGetPage(buffer)));
		UnlockReleaseBuffer(buffer);
	}
	return last;
}

/* tells: whether an index is one that knows of every row of a partition whether its first column, a bigint, may be as
 * great as that. */
static bool
tells(Relation index, Oid partition)
{
	return index->rd_rel->relkind == RELKIND_INDEX && index->rd_index->indrelid == partition &&
		   index->rd_index->indisvalid && RelationGetIndexPredicate(index) == NIL &&
		   OidIsValid(get_opfamily_member(index->rd_opfamily[0], INT8OID, INT8OID, BTGreaterEqualStrategyNumber));
}

/* is_logged: every change of the index moves the LSN of a page. */
static bool
is_logged(Relation index)
{
	return index->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		   index->rd_createSubid == InvalidSubTransactionId && compat_storage_subid(index) == InvalidSubTransactionId;
}

/*
 * is_settled: whether one partition holds no row of `txn` and later that the active snapshot sees. Such a row would
 * have changed the index's summary of its range before it was committed, or its range has no summary; and the walk over
 * the index begins after it was looked at how the index stands.
 */
static bool
is_settled(Oid oid, int64 txn)
{
	static HTAB *known;
	Relation partition = try_relation_open(oid, AccessShareLock);
	Relation index = NULL;
	BlockNumber pages;
	BlockNumber pages_per_range;
	settled *entry;
	settled state = {.partition = oid, .txn = txn};
	ScanKeyData key;
	bool found;

	if (partition == NULL)
		return true;
	if (partition->rd_rel->relkind != RELKIND_RELATION)
	{
		relation_close(partition, AccessShareLock);
		return false;
	}
	pages = RelationGetNumberOfBlocks(partition);
	if (pages == 0)
	{
		relation_close(partition, AccessShareLock);
		return true;
	}
	if (known == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(settled), .hcxt = TopMemoryContext};

		known = hash_create("model_mgr settled partitions", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(known, &oid, HASH_FIND, NULL);
	state.index = entry ? entry->index : find_index(partition, "txn", &pages_per_range);
	if (OidIsValid(state.index))
		index = try_relation_open(state.index, AccessShareLock);
	if (index == NULL || !tells(index, oid))
	{
		if (entry)
			(void) hash_search(known, &oid, HASH_REMOVE, NULL);
		if (index)
			relation_close(index, AccessShareLock);
		relation_close(partition, AccessShareLock);
		return false;
	}
	state.storage = index->rd_rel->relfilenode;
	state.pages = pages;
	state.index_pages = RelationGetNumberOfBlocks(index);
	state.changed = last_change(index, state.index_pages);
	found = entry && entry->storage == state.storage && entry->pages == state.pages &&
			entry->index_pages == state.index_pages && entry->changed == state.changed && entry->txn <= txn &&
			is_logged(index);
	if (!found)
	{
		ScanKeyEntryInitialize(&key, 0, 1, BTGreaterEqualStrategyNumber, INT8OID, InvalidOid, F_INT8GE,
							   Int64GetDatum(txn));
		found = matching_pages(index, &key, 1) == 0;
		if (found)
		{
			entry = hash_search(known, &oid, HASH_ENTER, NULL);
			*entry = state;
		}
	}
	relation_close(index, AccessShareLock);
	relation_close(partition, AccessShareLock);
	return found;
}

TimestampTz
observation_pending_from(TimestampTz from, TimestampTz until, int64 txn)
{
	observation_range *ranges;
	int count = observation_ranges(&ranges);
	bool default_settled = false;
	TimestampTz found = until;

	for (int i = 0; i < count && found == until && ranges[i].lower < until; i++)
	{
		if (ranges[i].upper <= from || !OidIsValid(ranges[i].partition) || (ranges[i].is_default && default_settled))
			continue;
		if (!is_settled(ranges[i].partition, txn))
			found = ranges[i].lower;
		else if (ranges[i].is_default)
			default_settled = true;
	}
	pfree(ranges);
	return found;
}
