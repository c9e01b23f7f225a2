/*
 * observation.c: finding the partition of a row without opening the partitioned table: the bounds are kept in backend
 * memory and forgotten when a relation cache message names the parent (ATTACH, DETACH and DROP of a partition send
 * one). The partition is locked first and the bounds are looked at again afterwards, so that a row never lands in the
 * default partition while a partition for its day is being attached.
 */
#include "pg/observation.h"

#include "access/table.h"
#include "access/tupconvert.h"
#include "catalog/pg_class.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/memutils.h"

typedef struct day
{
	observation_range range;
	enum
	{
		SHAPE_UNKNOWN,
		SHAPE_PLAIN,
		SHAPE_OTHER
	} shape;
} day;

static struct
{
	bool registered;
	bool valid;
	Oid parent;
	int count;
	int last; /* the day of the last row: mostly the day of the next */
	day *days;
	MemoryContext context;
} known;

static void
forget_partitions(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == known.parent)
		known.valid = false;
}

/* bound: a range bound as a time; the ends of time stand for MINVALUE and MAXVALUE. */
static TimestampTz
bound(PartitionBoundInfo info, int i)
{
	if (info->kind[i][0] == PARTITION_RANGE_DATUM_VALUE)
		return DatumGetTimestampTz(info->datums[i][0]);
	return info->kind[i][0] == PARTITION_RANGE_DATUM_MINVALUE ? DT_NOBEGIN : DT_NOEND;
}

/* ranges_of: the bounds of all partitions, palloc'd; the gaps between them belong to the default. */
static int
ranges_of(Relation parent, observation_range **out)
{
	PartitionDesc descriptor = RelationGetPartitionDesc(parent, true);
	PartitionBoundInfo info = descriptor->boundinfo;
	observation_range *ranges;

	if (descriptor->nparts == 0)
		return 0;
	*out = ranges = palloc((info->ndatums + 1) * sizeof(observation_range));
	for (int i = 0; i <= info->ndatums; i++)
	{
		int index = info->indexes[i] >= 0 ? info->indexes[i] : info->default_index;

		ranges[i].lower = i == 0 ? DT_NOBEGIN : bound(info, i - 1);
		ranges[i].upper = i == info->ndatums ? DT_NOEND : bound(info, i);
		ranges[i].partition = index >= 0 ? descriptor->oids[index] : InvalidOid;
		ranges[i].is_default = index == info->default_index;
	}
	return info->ndatums + 1;
}

/* read_partitions: the bounds of observation's, into known. */
static void
read_partitions(void)
{
	observation_range *ranges = NULL;
	Relation parent = table_open(known.parent, AccessShareLock);

	known.count = ranges_of(parent, &ranges);
	known.days = MemoryContextAlloc(known.context, Max(known.count, 1) * sizeof(day));
	for (int i = 0; i < known.count; i++)
		known.days[i] = (day){.range = ranges[i], .shape = SHAPE_UNKNOWN};
	if (ranges != NULL)
		pfree(ranges);
	table_close(parent, AccessShareLock);
}

/* learn_partitions: keeps the bounds; an error, such as that the lock was not to be had in time, leaves nothing known.
 */
static void
learn_partitions(void)
{
	if (!known.registered)
	{
		CacheRegisterRelcacheCallback(forget_partitions, (Datum) 0);
		known.context = AllocSetContextCreate(TopMemoryContext, "model_mgr partitions", ALLOCSET_SMALL_SIZES);
		known.registered = true;
	}
	MemoryContextReset(known.context);
	known.count = 0;
	known.last = 0;
	known.parent = mm_relation("observation");
	known.valid = true; /* before reading: a message that arrives meanwhile counts */
	PG_TRY();
	{
		read_partitions();
	}
	PG_CATCH();
	{
		known.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static day *
find_day(TimestampTz at)
{
	int low = 0;
	int high = known.count - 1;

	if (known.count == 0)
		return NULL;
	if (known.days[known.last].range.lower <= at && at < known.days[known.last].range.upper)
		return &known.days[known.last];
	while (low < high) /* the last whose lower bound is at or before */
	{
		int middle = (low + high + 1) / 2;

		if (known.days[middle].range.lower <= at)
			low = middle;
		else
			high = middle - 1;
	}
	known.last = low;
	return &known.days[low];
}

/* is_plain: an ordinary table whose rows look like the parent's. */
static bool
is_plain(Oid partition)
{
	Relation parent = table_open(known.parent, AccessShareLock);
	Relation child = table_open(partition, NoLock);
	bool plain =
		child->rd_rel->relkind == RELKIND_RELATION && RelationGetDescr(child)->natts == RelationGetDescr(parent)->natts;

	if (plain)
	{
		AttrMap *map = compat_attrmap_by_name(RelationGetDescr(parent), RelationGetDescr(child));

		plain = map == NULL;
	}
	table_close(child, NoLock);
	table_close(parent, AccessShareLock);
	return plain;
}

Oid
observation_partition(TimestampTz recorded_at, bool *plain)
{
	for (;;)
	{
		day *found;
		Oid partition;

		if (!known.valid)
			learn_partitions();
		found = find_day(recorded_at);
		if (found == NULL || !OidIsValid(found->range.partition))
			ereport(ERROR, errcode(ERRCODE_CHECK_VIOLATION),
					errmsg("no partition of model_mgr.observation takes this row"),
					errdetail("The time is %s and the default partition is gone.", timestamptz_to_str(recorded_at)),
					errhint("Attach a default partition, or run CALL model_mgr.maintain()."));
		partition = found->range.partition;
		LockRelationOid(partition, RowExclusiveLock);
		if (!known.valid) /* attached, detached or dropped while we waited */
		{
			UnlockRelationOid(partition, RowExclusiveLock);
			continue;
		}
		if (found->shape == SHAPE_UNKNOWN)
		{
			int shape = is_plain(partition) ? SHAPE_PLAIN : SHAPE_OTHER;

			if (!known.valid)
				continue;
			found->shape = shape;
		}
		*plain = found->shape == SHAPE_PLAIN;
		return partition;
	}
}

bool
observation_partition_holds(Oid partition, TimestampTz recorded_at)
{
	day *found = known.valid ? find_day(recorded_at) : NULL;

	return found && found->range.partition == partition;
}

int
observation_ranges(observation_range **out)
{
	AcceptInvalidationMessages();
	if (!known.valid)
		learn_partitions();
	*out = palloc(Max(known.count, 1) * sizeof(observation_range));
	for (int i = 0; i < known.count; i++)
		(*out)[i] = known.days[i].range;
	return known.count;
}

int
observation_ranges_of(const char *table, observation_range **out)
{
	Relation parent;
	int count;

	if (strcmp(table, "observation") == 0)
		return observation_ranges(out);
	parent = table_open(mm_relation(table), AccessShareLock);
	*out = NULL;
	count = ranges_of(parent, out);
	table_close(parent, AccessShareLock);
	return count;
}
