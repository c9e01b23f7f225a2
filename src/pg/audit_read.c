/*
 * audit_read.c: the chain and its entries, one seal after the other, straight from the tables' indexes: through SPI
 * half of the time of verifying went into plans and copies of rows.
 *
 * Entries are sealed in nearly the order of their ids. The scan of audit_log goes on from one to the next, and is
 * placed anew only where the next one is another than the seal's.
 */
#include "pg/audit_chain.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

static void
begin_scan(audit_scan *s, const char *table, const char *index)
{
	s->table = table_open(mm_relation(table), AccessShareLock);
	s->index = index_open(mm_relation(index), AccessShareLock);
	s->slot = table_slot_create(s->table, NULL);
	s->scan = compat_index_beginscan(s->table, s->index, GetActiveSnapshot(), 1);
}

/* place: before the first row that compares so with a value of the index's column. */
static void
place(audit_scan *s, StrategyNumber strategy, RegProcedure compare, int64 value)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, strategy, compare, Int64GetDatum(value));
	index_rescan(s->scan, &key, 1, NULL, 0);
}

static bool
next_row(audit_scan *s)
{
	if (!index_getnext_slot(s->scan, ForwardScanDirection, s->slot))
		return false;
	slot_getallattrs(s->slot);
	return true;
}

static void
end_scan(audit_scan *s)
{
	index_endscan(s->scan);
	ExecDropSingleTupleTableSlot(s->slot);
	index_close(s->index, AccessShareLock);
	table_close(s->table, AccessShareLock);
}

void
audit_read_begin(audit_reader *reader, int64 through_seq)
{
	memset(reader, 0, sizeof(*reader));
	begin_scan(&reader->seals, "audit_seal", "audit_seal_pkey");
	begin_scan(&reader->entries, "audit_log", "audit_log_pkey");
	place(&reader->seals, BTLessEqualStrategyNumber, F_INT8LE, through_seq);
}

/* is_entry: whether the scan of the log stands at that entry. */
static bool
is_entry(const audit_reader *reader, int64 audit_id)
{
	return DatumGetInt64(reader->entries.slot->tts_values[0]) == audit_id;
}

static bool
find_entry(audit_reader *reader, int64 audit_id)
{
	if (reader->placed && next_row(&reader->entries) && is_entry(reader, audit_id))
		return true;
	place(&reader->entries, BTGreaterEqualStrategyNumber, F_INT8GE, audit_id);
	reader->placed = true;
	return next_row(&reader->entries) && is_entry(reader, audit_id);
}

bool
audit_read_next(audit_reader *reader)
{
	if (!next_row(&reader->seals))
		return false;
	reader->seal = reader->seals.slot->tts_values;
	reader->has_entry = find_entry(reader, DatumGetInt64(reader->seal[AUDIT_SEAL_ID]));
	reader->entry = reader->entries.slot->tts_values;
	reader->entry_nulls = reader->entries.slot->tts_isnull;
	return true;
}

void
audit_read_end(audit_reader *reader)
{
	end_scan(&reader->entries);
	end_scan(&reader->seals);
}
