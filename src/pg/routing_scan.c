/*
 * routing_scan.c: reading a few rows of the extension's own tables where SPI may not go (parallel mode, other people's
 * rights, inside a hit of the hot path) and where the statement's snapshot would be too old (REPEATABLE READ).
 */
#include "pg/mm.h"

#include "access/table.h"
#include "catalog/pg_collation.h"
#include "utils/fmgroids.h"

#include "pg/routing_internal.h"

/* routing_scan_begin: index NULL reads the whole table. The names are looked up each time, since REINDEX CONCURRENTLY
 * and CREATE EXTENSION give them other OIDs. */
routing_scan
routing_scan_begin(const char *table, const char *index, int nkeys, ScanKey keys)
{
	routing_scan scan;

	scan.relation = table_open(mm_relation(table), AccessShareLock);
	scan.scan =
		systable_beginscan(scan.relation, index ? mm_relation(index) : InvalidOid, index != NULL, NULL, nkeys, keys);
	return scan;
}

HeapTuple
routing_scan_next(routing_scan *scan)
{
	return systable_getnext(scan->scan);
}

void
routing_scan_end(routing_scan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->relation, AccessShareLock);
}

void
routing_key_int64(ScanKey key, AttrNumber column, int64 value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
}

/* routing_key_text: the columns and their indexes are of the database's default collation, ScanKeyInit assumes "C". */
void
routing_key_text(ScanKey key, AttrNumber column, const text *value)
{
	ScanKeyEntryInitialize(key, 0, column, BTEqualStrategyNumber, InvalidOid, DEFAULT_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(value));
}
