/*
 * record_insert.c: appending rows to observation through the table access method, as logical replication does: the
 * partition is found in backend memory, the row inserted, its index entries made. Through SPI the same row costs half
 * as much again. What a user adds to the table is honoured: row triggers, checks and indexes.
 *
 * The enforcement trigger is queued only when an evaluation is due (enforcement.c); asking it by way of the executor
 * would compile its WHEN condition once a row.
 */
#include "pg/record.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"

#include "pg/enforcement.h"
#include "pg/observation.h"
#include "pg/query.h"
#include "pg/txn.h"

/* CHECK constraints that come with the table; record_check_row() has seen to them. */
#define OWN_CHECKS 2

typedef struct target
{
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *slot;
	CommandId command;
	Oid partition;
	bool own_trigger_only; /* no row trigger but the enforcement */
} target;

/* open_target: a partition ready for rows. */
static void
open_target(target *to, Oid partition)
{
	Relation relation = table_open(partition, NoLock); /* locked by observation_partition() */
	TriggerDesc *triggers;

	to->estate = CreateExecutorState();
	to->result = makeNode(ResultRelInfo);
	InitResultRelInfo(to->result, relation, 0, NULL, 0);
	ExecOpenIndices(to->result, false);
	to->slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), table_slot_callbacks(relation));
	to->command = GetCurrentCommandId(true);
	to->partition = partition;
	to->own_trigger_only = true;
	/* The copy: the relation's own goes when it is rebuilt, as when opening the indexes hears of a VACUUM. */
	triggers = to->result->ri_TrigDesc;
	if (triggers)
		for (int i = 0; i < triggers->numtriggers; i++)
			if (strcmp(triggers->triggers[i].tgname, ENFORCEMENT_TRIGGER) != 0)
				to->own_trigger_only = false;
}

static void
close_target(target *to)
{
	Relation relation;

	if (!OidIsValid(to->partition))
		return;
	relation = to->result->ri_RelationDesc;
	ExecDropSingleTupleTableSlot(to->slot);
	ExecCloseIndices(to->result);
	/* What triggers fired at once have opened. */
	ExecResetTupleTable(to->estate->es_tupleTable, false);
	ExecCloseResultRelations(to->estate);
	table_close(relation, NoLock);
	FreeExecutorState(to->estate);
	to->partition = InvalidOid;
}

/*
 * queue_triggers: AFTER triggers of the row just written. Ours is queued with the owner's rights: the role that records
 * needs no EXECUTE on what its condition calls.
 */
static void
queue_triggers(target *to)
{
	Oid user;
	int context;

	GetUserIdAndSecContext(&user, &context);
	if (to->own_trigger_only)
		SetUserIdAndSecContext(mm_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	AfterTriggerBeginQuery();
	ExecARInsertTriggers(to->estate, to->result, to->slot, NIL, NULL);
	AfterTriggerEndQuery(to->estate);
	SetUserIdAndSecContext(user, context);
}

/* insert_plain: one row into the open partition. */
static void
insert_plain(target *to, const record_row *row)
{
	Relation relation = to->result->ri_RelationDesc;
	TupleConstr *constraints = RelationGetDescr(relation)->constr;

	ExecClearTuple(to->slot);
	memcpy(to->slot->tts_values, row->values, sizeof(row->values));
	memcpy(to->slot->tts_isnull, row->nulls, sizeof(row->nulls));
	ExecStoreVirtualTuple(to->slot);
	to->slot->tts_tableOid = to->partition;

	if (!to->own_trigger_only && to->result->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(to->estate, to->result, to->slot))
		return; /* a user's trigger wants no such row */
	if (!to->own_trigger_only || (constraints && constraints->num_check > OWN_CHECKS))
		ExecConstraints(to->result, to->slot, to->estate);

	table_tuple_insert(relation, to->slot, to->command, 0, NULL);
	if (to->result->ri_NumIndices > 0)
		(void) compat_insert_index_tuples(to->result, to->slot, to->estate);
	if (to->own_trigger_only ? enforcement_due(row->values[RECORD_VERSION_ID], row->nulls[RECORD_VERSION_ID],
											   DatumGetTimestampTz(row->values[RECORD_RECORDED_AT]))
							 : to->result->ri_TrigDesc != NULL)
		queue_triggers(to);
	ResetPerTupleExprContext(to->estate);
}

/* insert_by_query: for partitions that are not plain tables with our columns. */
static void
insert_by_query(const record_row *row)
{
	static query insert =
		QUERY("INSERT INTO model_mgr.observation SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
			  " $12, $13, $14, $15, $16, $17, $18, $19",
			  TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT4OID, INT8OID, INT2OID, INT8OID, INT8OID,
			  BOOLOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT8OID, INT8OID, TEXTOID, BOOLOID, JSONBOID);
	query_arg args[RECORD_COLUMNS];
	mm_scope scope = mm_enter();

	for (int column = 0; column < RECORD_COLUMNS; column++)
		args[column] = datum_arg(row->values[column], row->nulls[column]);
	(void) query_run_args(&insert, RECORD_COLUMNS, args);
	mm_leave(scope);
}

void
record_insert(const char *function, record_row *rows, int64 count)
{
	target to = {.partition = InvalidOid};
	Datum txn;

	PreventCommandIfReadOnly(function);
	txn = Int64GetDatum(txn_key());
	for (int64 i = 0; i < count; i++)
	{
		TimestampTz at = DatumGetTimestampTz(rows[i].values[RECORD_RECORDED_AT]);

		record_set(&rows[i], RECORD_TXN, txn);
		if (!OidIsValid(to.partition) || !observation_partition_holds(to.partition, at))
		{
			bool plain;
			Oid partition = observation_partition(at, &plain);

			close_target(&to);
			if (!plain)
			{
				insert_by_query(&rows[i]);
				continue;
			}
			open_target(&to, partition);
		}
		insert_plain(&to, &rows[i]);
	}
	close_target(&to);
}
