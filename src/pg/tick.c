/*
 * tick.c: the clockwork. tick() folds the rollups and does what is due for every rollout, whatever was missed: it may
 * run late, twice, or in two sessions at once. It waits for no lock, starts nothing new after two seconds, and gives
 * each piece of work a subtransaction of its own, so that one model's error never stops the others.
 */
#include "pg/mm.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/tuplestore.h"

#include "pg/deployment.h"
#include "pg/query.h"
#include "pg/rollup.h"

#define BUDGET (2 * USECS_PER_SEC)

static int64
fold(int64 unused)
{
	int64 rows = rollup_fold(0);

	/* Somebody else is at it: nothing of ours. */
	return rows < 0 ? 0 : rows;
}

/* advance: one deployment, unless somebody else holds its model. */
static int64
advance(int64 deployment_id)
{
	static query model =
		QUERY("SELECT p.model_id FROM model_mgr.deployment_plan p WHERE p.deployment_id = $1", INT8OID);

	if (query_run(&model, int64_arg(deployment_id)) == 0 || !mm_lock_model(query_int64(0, 0), false))
		return 0;
	return deployment_advance(deployment_id) ? 1 : 0;
}

/* advance_all: every open or baking deployment, the one not judged for longest first. Returns those that changed. */
static int64
advance_all(TimestampTz start, int64 *failed)
{
	static query due = QUERY(
		"SELECT d.deployment_id FROM model_mgr.deployment d JOIN model_mgr.deployment_plan p ON p.deployment_id = d.deployment_id"
		" WHERE d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::pg_catalog.text[])"
		" ORDER BY p.judged_at NULLS FIRST, d.deployment_id");
	uint64 count = query_run(&due);
	int64 *ids = palloc(sizeof(int64) * (count + 1));
	int64 changed = 0;

	for (uint64 i = 0; i < count; i++)
		ids[i] = query_int64(i, 0);
	for (uint64 i = 0; i < count && GetCurrentTimestamp() - start < BUDGET; i++)
	{
		int64 items;

		CHECK_FOR_INTERRUPTS();
		if (mm_guarded(advance, ids[i], psprintf("deployment %lld", (long long) ids[i]), &items))
			changed += items;
		else
			(*failed)++;
	}
	return changed;
}

/* put: one row of the answer. */
static void
put(ReturnSetInfo *set, const char *task, int64 items, TimestampTz since)
{
	Datum values[3] = {CStringGetTextDatum(task), Int64GetDatum(items),
					   Float8GetDatum((double) (GetCurrentTimestamp() - since) / USECS_PER_SEC)};
	bool nulls[3] = {false, false, false};

	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

MM_FUNCTION(mm_tick);

/* mm_tick(): (task, items, seconds), one row a kind of work. */
Datum
mm_tick(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz since = start;
	int64 failed = 0;
	int64 items;
	mm_scope scope;

	if (IsolationUsesXactSnapshot())
		ereport(
			ERROR, errcode(ERRCODE_INVALID_TRANSACTION_STATE), errmsg("tick() must run at READ COMMITTED"),
			errdetail("The transaction's isolation level is %s.",
					  GetConfigOption("transaction_isolation", false, false)),
			errhint(
				"It must see what others commit while it works: BEGIN ISOLATION LEVEL READ COMMITTED, or call it by itself."));
	/* Else each piece of work would say so in a warning of its own, and the tick would seem to have ticked. */
	PreventCommandIfReadOnly("tick()");
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();

	if (!mm_guarded(fold, 0, "folding the rollups", &items))
		failed++;
	put(set, "rollups", items, since);
	since = GetCurrentTimestamp();
	items = advance_all(start, &failed);
	put(set, "deployments", items, since);
	if (failed > 0)
		put(set, "failures", failed, start);
	mm_leave(scope);
	return (Datum) 0;
}
