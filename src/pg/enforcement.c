/*
 * enforcement.c: the body of the deferred trigger on observation: at the commit of a recording it looks at the model's
 * rollout and thresholds and takes a bad version back out. It must never make a recording wait or fail, so
 *
 *   - it runs in an internal subtransaction and catches every error but a cancel or the end of the session;
 *   - takes each lock by trying, gives statements that lock all the same 100 ms, and itself a time limit, since
 *     statement_timeout does not cover a commit;
 *   - runs as the extension's owner by its own switch: the role at commit is the caller's up to 17, the role at
 *     queueing from 18;
 *   - sends no NOTIFY, which would make a later PREPARE TRANSACTION fail.
 *
 * It folds what waits, so that judging reads few raw rows, and leaves the present transaction's rows to the tail that
 * judging reads too.
 */
#include "pg/enforcement.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timeout.h"

#include "pg/alert.h"
#include "pg/deployment.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"
#include "pg/routing.h"

/* At 1.2 us a row this many are about 30 ms. */
#define FOLD_ROWS 25000
/* Without anybody who folds the backlog that is larger, one commit folds it all. */
#define FOLD_ALL_AFTER (10 * USECS_PER_SEC)
/* A load of more rows than this does not read them all again at its commit: the next recording or the tick looks. */
#define LOAD_ROWS 100000
#define TIME_LIMIT_MS 2000
/* What recorded for very many models starts no further evaluation after so long. */
#define COMMIT_BUDGET (250 * (USECS_PER_SEC / 1000))

static volatile sig_atomic_t out_of_time;
static TimeoutId time_limit = MAX_TIMEOUTS;

/* on_time_limit: signal handler: cancels what runs, like a cancel request. */
static void
on_time_limit(void)
{
	out_of_time = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* backlog_is_old: nobody has folded for a while. */
static bool
backlog_is_old(void)
{
	static query find = QUERY("SELECT s.folded_at FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1");

	return query_run(&find) == 1 && query_time(0, 0) + FOLD_ALL_AFTER < GetCurrentTimestamp();
}

/* look_at_thresholds: when the model has some. */
static void
look_at_thresholds(int64 model_id)
{
	static query find = QUERY("SELECT FROM model_mgr.routing r WHERE r.model_id = $1 AND r.thresholds", INT8OID);
	static query note = QUERY("INSERT INTO model_mgr.threshold_look AS l (model_id, looked_at) VALUES ($1, $2)"
							  " ON CONFLICT (model_id) DO UPDATE SET looked_at = excluded.looked_at",
							  INT8OID, TIMESTAMPTZOID);

	if (query_run(&find, int64_arg(model_id)) == 0)
		return;
	(void) threshold_look(model_id);
	query_run(&note, int64_arg(model_id), time_arg(mm_now()));
}

/* note_judged: tells the other sessions, which look once a second. */
static void
note_judged(int64 model_id)
{
	static query note = QUERY("UPDATE model_mgr.deployment_judged p SET judged_at = $2 FROM model_mgr.routing r"
							  " WHERE r.model_id = $1 AND p.deployment_id = r.deployment_id",
							  INT8OID, TIMESTAMPTZOID);

	query_run(&note, int64_arg(model_id), time_arg(mm_now()));
}

/* evaluate: in a subtransaction of its own. */
static void
evaluate(int64 model_id)
{
	Oid user;
	int context;
	bool for_all;
	mm_scope scope;

	/* The audit log names who called: here the extension itself, not who happened to record. */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(mm_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	scope = mm_enter();
	for_all = registry_act_for_all(true);
	(void) set_config_option("lock_timeout", "100", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (mm_lock_model(model_id, false))
	{
		if (rollup_fold(FOLD_ROWS) < 0 && backlog_is_old())
		{
			disable_timeout(time_limit, false);
			(void) rollup_fold(0);
			enable_timeout_after(time_limit, TIME_LIMIT_MS);
		}
		if (!deployment_judge(model_id))
			note_judged(model_id);
		look_at_thresholds(model_id);
	}
	else
		enforcement_retry_soon(model_id); /* whoever holds it may not see this transaction's rows */
	(void) registry_act_for_all(for_all);
	mm_leave(scope);
	SetUserIdAndSecContext(user, context);
}

/* evaluate_guarded: evaluates; says why when it could not, in the server's log. */
static void
evaluate_guarded(int64 model_id)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	if (time_limit == MAX_TIMEOUTS)
		time_limit = RegisterTimeout(USER_TIMEOUT, on_time_limit);
	out_of_time = false;
	enable_timeout_after(time_limit, TIME_LIMIT_MS);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		evaluate(model_id);
		disable_timeout(time_limit, false);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData *error;

		disable_timeout(time_limit, false);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !out_of_time)
			ReThrowError(error);
		ereport(LOG, errcode(error->sqlerrcode),
				errmsg("recordings could not evaluate the rollout of model %lld: %s", (long long) model_id,
					   out_of_time ? "out of time" : error->message),
				error->detail ? errdetail_internal("%s", error->detail) : 0,
				errhint("The recordings themselves are stored; the next ones and the tick try again."));
		FreeErrorData(error);
		enforcement_retry_soon(model_id);
	}
	PG_END_TRY();
	/* The limit may have struck after the work was done; then nobody else must be cancelled by it. */
	if (out_of_time)
		QueryCancelPending = false;
}

/*
 * budget_left: whether this commit's evaluations, *spent of them so far, may go on. With SET CONSTRAINTS IMMEDIATE each
 * statement's evaluations have a budget of their own: its rows come before them.
 */
static bool
budget_left(TimestampTz **spent)
{
	static uint64 rows;
	static TimestampTz so_far;

	if (rows != enforcement_rows())
	{
		rows = enforcement_rows();
		so_far = 0;
	}
	*spent = &so_far;
	return so_far < COMMIT_BUDGET;
}

MM_FUNCTION(mm_enforce);

/* mm_enforce: the trigger, queued by rows whose WHEN condition held. */
Datum
mm_enforce(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Datum version_id;
	TimestampTz *spent;
	TimestampTz began;
	int64 model_id;
	bool isnull;
	int column;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("enforce() is called by its trigger only"),
				errdetail("It evaluates the rollout of the model that an inserted observation belongs to."),
				errhint("Call tick() to evaluate rollouts."));
	column = SPI_fnumber(RelationGetDescr(trigger->tg_relation), "version_id");
	version_id = heap_getattr(trigger->tg_trigtuple, column, RelationGetDescr(trigger->tg_relation), &isnull);
	/* Many rows may have asked in one transaction: once is enough unless others came after it. */
	if (isnull || !guc_enforcement || IsolationUsesXactSnapshot() || InSecurityRestrictedOperation() ||
		!routing_watched(DatumGetInt64(version_id), &model_id) || !enforcement_unseen(model_id))
		return PointerGetDatum(NULL);
	if (!budget_left(&spent) || enforcement_rows_here(model_id) > LOAD_ROWS)
	{
		enforcement_retry_soon(model_id);
		return PointerGetDatum(NULL);
	}
	enforcement_seen(model_id);
	began = GetCurrentTimestamp();
	evaluate_guarded(model_id);
	*spent += GetCurrentTimestamp() - began;
	return PointerGetDatum(NULL);
}
