/*
 * txn.c: transaction keys. Ids restored from another cluster mean nothing here, so the high bits hold an era that
 * grows with every restore: the stored one, plus one while the stored system identifier is another cluster's. Rows
 * written after a restore sort above everything restored even before a fold has adopted the data, and adoption changes
 * no writer's era.
 *
 * The era is kept in backend memory: every recording asks for it. A trigger on rollup_state turns a change of it (a
 * restore) into a relation cache message; dropping the extension sends one by itself.
 */
#include "pg/txn.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"

static struct
{
	bool registered;
	bool valid;
	Oid relation; /* rollup_state */
	int64 era;
} kept;

static void
forget_era(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == kept.relation)
		kept.valid = false;
}

/* stored_era: from the oldest row of rollup_state, read with the catalog snapshot. */
static int64
stored_era(Oid state)
{
	Relation relation = table_open(state, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	TimestampTz oldest = 0;
	int64 era = -1;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc descriptor = RelationGetDescr(relation);
		bool isnull;
		TimestampTz installed_at = DatumGetTimestampTz(heap_getattr(tuple, 1, descriptor, &isnull));

		if (era >= 0 && installed_at >= oldest)
			continue;
		oldest = installed_at;
		era = DatumGetInt32(heap_getattr(tuple, 2, descriptor, &isnull)) +
			  (DatumGetInt64(heap_getattr(tuple, 3, descriptor, &isnull)) != (int64) GetSystemIdentifier());
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
txn_era(void)
{
	if (!kept.registered)
	{
		CacheRegisterRelcacheCallback(forget_era, (Datum) 0);
		kept.registered = true;
	}
	while (!kept.valid)
	{
		/* Valid before reading, so that a message that arrives meanwhile is not lost. */
		kept.relation = mm_relation("rollup_state");
		kept.valid = true;
		PG_TRY();
		{
			kept.era = stored_era(kept.relation);
		}
		PG_CATCH();
		{
			kept.valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	return kept.era << 48;
}

int64
txn_key(void)
{
	return txn_era() | (int64) U64FromFullTransactionId(GetTopFullTransactionId());
}

MM_FUNCTION(mm_current_txn);

Datum
mm_current_txn(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(txn_key());
}

MM_FUNCTION(mm_own_txn);

/* mm_own_txn: for readers, which must not be given a transaction id. */
Datum
mm_own_txn(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(FullTransactionIdIsValid(GetTopFullTransactionIdIfAny()) ? txn_key() : -1);
}

MM_FUNCTION(mm_rollup_state_changed);

/* mm_rollup_state_changed: statement trigger: every session reads the era again. */
Datum
mm_rollup_state_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("rollup_state_changed() is called by a trigger only"),
				errdetail("It tells other sessions that the era may have changed."), errhint("Do not call it."));
	CacheInvalidateRelcacheByRelid(RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation));
	PG_RETURN_POINTER(NULL);
}
