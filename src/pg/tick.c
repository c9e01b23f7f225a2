/*
 * tick.c: the clockwork. tick() folds the rollups, judges every rollout and test, takes updates on, looks at the
 * thresholds, feeds the detectors of anomalies and tells what happened, whatever was missed: it may run late, twice, or
 * in two sessions at once. It waits for no lock, starts nothing new after two seconds (or, where folding and looking
 * alone took as long, mm_turn() later), and gives each piece of work a subtransaction of its own, so that one model's
 * error never stops the others.
 */
#include "pg/mm.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/tuplestore.h"

#include "pg/alert.h"
#include "pg/anomaly_feed.h"
#include "pg/audit_chain.h"
#include "pg/deployment.h"
#include "pg/event.h"
#include "pg/experiment.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"
#include "pg/update.h"

/* A tick's time since its start. Each of the pieces that go through models leaves the later ones a share, so that a
 * busy one does not starve them; what is not reached is first the next time. */
#define AUDIT_UNTIL (600 * INT64CONST(1000))
#define DEPLOYMENTS_UNTIL (1200 * INT64CONST(1000))
#define EXPERIMENTS_UNTIL (1400 * INT64CONST(1000))
#define UPDATES_UNTIL (1550 * INT64CONST(1000))
#define THRESHOLDS_UNTIL (1700 * INT64CONST(1000))
#define BUDGET (2000 * INT64CONST(1000))

/* What the pieces share; their argument is its address. */
typedef struct ticking
{
	TimestampTz start;
	TimestampTz now; /* of the clock that decisions go by */
	bool folded;     /* all that was committed then */
	int64 failed;
	bool in_block; /* BEGIN ... COMMIT of the caller's; the pieces cannot tell, in subtransactions of their own */
} ticking;

static int64
fold(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;
	int64 rows = rollup_fold(0);

	tick->folded = rows >= 0;

	/* Somebody else is at it: nothing of ours. */
	return rows < 0 ? 0 : rows;
}

static int64
hours(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;
	int64 rows = rollup_advance_hours(tick->start + DEPLOYMENTS_UNTIL);

	return rows < 0 ? 0 : rows;
}

static int64
deployments(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;

	return deployment_advance_all(tick->start + DEPLOYMENTS_UNTIL, &tick->failed);
}

static int64
experiments(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;

	return experiment_advance_all(tick->start + EXPERIMENTS_UNTIL, &tick->failed);
}

static int64
updates(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;

	return update_advance_all(tick->start + UPDATES_UNTIL, &tick->failed);
}

static int64
thresholds(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;

	return threshold_look_all(tick->start + THRESHOLDS_UNTIL, &tick->failed);
}

static int64
anomalies(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;

	return anomaly_feed(tick->now, tick->folded, tick->start + BUDGET, &tick->failed);
}

/* events: of alerts whose silence is over; then whoever listens hears that there is something to read. */
static int64
events(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;
	int64 emitted = alert_emit_due();

	return emitted + event_notify(tick->in_block);
}

/* audit: seals what is committed; what this tick has logged is sealed by the next. */
static int64
audit(int64 argument)
{
	ticking *tick = (ticking *) (intptr_t) argument;
	int64 sealed = audit_seal_pending(false, tick->start + AUDIT_UNTIL);

	return sealed < 0 ? 0 : sealed;
}

/* In this order: each sees what those before it have done. */
static const struct
{
	const char *task;
	int64 (*work)(int64 argument);
	const char *what;
} pieces[] = {
	{"rollups", fold, "folding the rollups"},
	{"hours", hours, "rolling minutes up into hours"},
	{"audit", audit, "sealing the audit log"},
	{"deployments", deployments, "judging the rollouts"},
	{"experiments", experiments, "looking at the tests"},
	{"updates", updates, "taking the updates on"},
	{"thresholds", thresholds, "looking at the thresholds"},
	{"anomalies", anomalies, "feeding the detectors of anomalies"},
	{"events", events, "telling the events"},
};

/*
 * note_ticked: keeps when the tick ran, in real time, and what failed in it, for health_check(). Of two ticks at once
 * one writes; since the row is skipped while somebody has it, neither waits.
 */
static int64
note_ticked(int64 argument)
{
	static query note =
		QUERY("UPDATE model_mgr.tick_state s SET last_started_at = $1, last_finished_at = $2, last_failures = $3"
			  " WHERE s.one_row = (SELECT t.one_row FROM model_mgr.tick_state t FOR UPDATE SKIP LOCKED)",
			  TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);
	ticking *tick = (ticking *) (intptr_t) argument;

	query_run(&note, time_arg(tick->start), time_arg(GetCurrentTimestamp()), int64_arg(tick->failed));
	return 0;
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
	ticking tick = {.start = GetCurrentTimestamp(), .now = mm_now(), .in_block = IsTransactionBlock()};
	int64 noted;
	bool for_all;
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
	for_all = registry_act_for_all(true);

	for (int i = 0; i < lengthof(pieces); i++)
	{
		TimestampTz since = GetCurrentTimestamp();
		int64 items = 0;

		if (!mm_guarded(pieces[i].work, (intptr_t) &tick, pieces[i].what, &items))
			tick.failed++;
		put(set, pieces[i].task, items, since);
	}
	if (!mm_guarded(note_ticked, (intptr_t) &tick, "noting that the tick ran", &noted))
		tick.failed++;
	if (tick.failed > 0)
		put(set, "failures", tick.failed, tick.start);
	(void) registry_act_for_all(for_all);
	mm_leave(scope);
	return (Datum) 0;
}
