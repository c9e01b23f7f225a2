/*
 * txn.c: transaction keys. Ids restored from another cluster mean nothing here, so the high bits hold an era that
 * grows with every restore: the stored one, plus one while the stored system identifier is another cluster's. Rows
 * written after a restore sort above everything restored even before a tick has adopted the data.
 */
#include "pg/txn.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "utils/rel.h"

/* stored_era: from the oldest row of rollup_state, read with the catalog snapshot. */
static int64
stored_era(void)
{
	Relation relation = table_open(mm_relation("rollup_state"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	TimestampTz oldest = 0;
	int64 era = -1;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum values[6];
		bool nulls[6];

		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		if (era >= 0 && DatumGetTimestampTz(values[0]) >= oldest)
			continue;
		oldest = DatumGetTimestampTz(values[0]);
		era = DatumGetInt32(values[1]) + (DatumGetInt64(values[2]) != (int64) GetSystemIdentifier());
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (era < 0)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("model_mgr.rollup_state is empty"),
				errdetail("It holds the era of this installation from CREATE EXTENSION on."),
				errhint("Restore the table from a dump."));
	return era;
}

int64
txn_key(void)
{
	return stored_era() << 48 | (int64) U64FromFullTransactionId(GetTopFullTransactionId());
}

MM_FUNCTION(mm_current_txn);

Datum
mm_current_txn(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(txn_key());
}
