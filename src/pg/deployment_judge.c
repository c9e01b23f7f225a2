/*
 * deployment_judge.c: doing what a look at a rollout says: the core's answer is applied here, with its evidence, in the
 * same transaction. Called by the tick for all that are open, by the enforcement trigger at commit of recordings, and
 * by promote.
 */
#include "pg/deployment.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/array.h"

#include "pg/alert.h"
#include "pg/deployment_store.h"
#include "pg/experiment.h"
#include "pg/query.h"
#include "pg/shadow.h"

/* The alert of a rollout whose outcomes do not arrive. */
#define RATIO_METRIC "sample_ratio"

void
deployment_roll_back(deployment *d, deployment_look *look)
{
	char *reason = deployment_reason(d, look);

	deployment_end(d, "rolled_back", d->baseline_version_id, d->baseline_version, reason, look, true);
	ereport(LOG, errmsg("model_mgr: deployment %lld of \"%s\" version \"%s\" rolled back: %s",
						(long long) d->deployment_id, d->model_name, d->version, reason));
}

/* stored_wait: what is stored of a wait: its key, and whether its deadline is over. */
static char *
stored_wait(const deployment_look *look)
{
	const char *key = rollout_wait_name(look->decision.wait);

	return key == NULL ? NULL : look->decision.timed_out ? psprintf("%s overdue", key) : pstrdup(key);
}

/* waits_anew: whether it waits for something else than when it was stored. */
static bool
waits_anew(const deployment *d, const deployment_look *look)
{
	char *wait = stored_wait(look);

	return (wait == NULL) != (d->waiting_for == NULL) || (wait != NULL && strcmp(wait, d->waiting_for) != 0);
}

/* hold: remembers what is waited for; the diary gets a line only when that changes. */
static void
hold(deployment *d, deployment_look *look)
{
	const rollout_decision *decision = &look->decision;
	rollout_metric metric = decision->cause == ROLLOUT_CAUSE_NONE ? ROLLOUT_SUCCESS_RATE : decision->broken;

	/* A verdict that a freeze keeps waiting stays what it is, whatever comes in meanwhile. */
	if (decision->wait == ROLLOUT_WAIT_FREEZE && d->test_id)
		experiment_close(d, NULL);
	if (!deployment_wait(d, stored_wait(look), decision->next_at))
		return;
	if (decision->wait == ROLLOUT_WAIT_VALIDATION)
		deployment_validate(d);
	else if (decision->timed_out)
		deployment_note(d, psprintf("overdue: %s", deployment_waits(d, look)), look, metric);
	else if (decision->wait == ROLLOUT_WAIT_REQUESTS)
		deployment_note(d,
						psprintf("holds: %lld of %lld %s in this step", (long long) decision->step_samples,
								 (long long) d->plan.min_requests, look->state.paired ? "pairs" : "outcomes"),
						look, metric);
	else if (decision->wait == ROLLOUT_WAIT_LIMITS)
		deployment_note(d, psprintf("holds: %s; automatic rollback is off", deployment_reason(d, look)), look, metric);
	else if (decision->wait == ROLLOUT_WAIT_CRITERIA || decision->wait == ROLLOUT_WAIT_SAMPLE_RATIO ||
			 decision->wait == ROLLOUT_WAIT_FREEZE)
		deployment_note(d, psprintf("holds: %s", deployment_waits(d, look)), look, metric);
}

/* warn_of_ratio: one alert while outcomes of a rollout do not arrive, and a line in the diary when it begins. */
static void
warn_of_ratio(deployment *d, deployment_look *look)
{
	char *words = deployment_ratio_words(look);
	alert_facts facts = {.kind = "rollout",
						 .model_id = d->model_id,
						 .version_id = d->version_id,
						 .model_name = d->model_name,
						 .version = d->version,
						 .metric_name = RATIO_METRIC,
						 .severity = "warning",
						 .summary = words,
						 .current_value = look->ratio.p_value,
						 .samples = look->ratio.counted,
						 .deployment_id = d->deployment_id,
						 .evidence = deployment_evidence(d, look)};
	bool fresh;

	(void) alert_fire(&facts, &fresh);
	if (fresh)
		deployment_note(d, psprintf("warning: %s", words), look, ROLLOUT_METRICS);
}

bool
deployment_judge(int64 model_id)
{
	int64 id = deployment_live_id(model_id);
	deployment d;
	deployment_look look;

	if (id == 0 || !deployment_load(id, &d) || !d.plan.auto_rollback)
		return false;
	deployment_look_at(&d, &look);
	/* A commit never waits for whoever analyses the rollout's test: the next one tries again. */
	if (look.decision.action != ROLLOUT_ROLL_BACK || !experiment_try(d.test_id))
		return false;
	deployment_roll_back(&d, &look);
	return true;
}

bool
deployment_advance(int64 deployment_id)
{
	static query judged = QUERY("UPDATE model_mgr.deployment_judged SET judged_at = $2 WHERE deployment_id = $1",
								INT8OID, TIMESTAMPTZOID);
	char *why = "";
	deployment d;
	deployment_look look;

	if (!deployment_load(deployment_id, &d) || (!deployment_is_open(&d) && !deployment_is_baking(&d)))
		return false;
	deployment_look_at(&d, &look);
	query_run(&judged, int64_arg(deployment_id), time_arg(look.now));
	if (look.ratio.alarm && look.decision.cause != ROLLOUT_CAUSE_SAMPLE_RATIO)
		warn_of_ratio(&d, &look);
	/* Nor does a tick. */
	if (look.decision.action != ROLLOUT_HOLD && !experiment_try(d.test_id))
		return false;
	switch (look.decision.action)
	{
		case ROLLOUT_HOLD:
			hold(&d, &look);
			return false;
		case ROLLOUT_STEP:
		case ROLLOUT_BAKE:
			deployment_enter_step(&d, d.step + 1, &look, NULL);
			break;
		case ROLLOUT_COMPLETE:
			deployment_complete(&d, &look, "the bake is over");
			break;
		case ROLLOUT_ROLL_BACK:
			deployment_roll_back(&d, &look);
			break;
		case ROLLOUT_START:
			deployment_start(&d, NULL);
			break;
		case ROLLOUT_REJECT:
			(void) deployment_validation(&d, &why);
			deployment_reject(&d, psprintf("its validation failed: %s", why), true);
			break;
		case ROLLOUT_AWAIT_APPROVAL:
			deployment_await(&d, &look);
			break;
		case ROLLOUT_CONCLUDE:
			deployment_conclude(&d, &look, NULL);
			break;
	}
	return true;
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

/* Each that is noted as judged costs a lock until the tick commits, of the some 6,000 that all sessions share by
 * default; the others have the older time, and their turn in the next tick. */
#define MAX_NOTED 1000

/* What is open in a tick: those not judged for longest first; due: those where something changes. */
typedef struct open_rollouts
{
	int64 *ids;
	int count;
	bool *due;
} open_rollouts;

/* resolve_ratio_alerts: of rollouts that have ended, or whose outcomes arrive again. */
static void
resolve_ratio_alerts(const deployment *d, const deployment_look *looks, int n)
{
	static query firing = QUERY(
		"SELECT a.deployment_id, s.model_id, s.version_id FROM model_mgr.alert_state s JOIN model_mgr.alert a ON a.alert_id = s.alert_id"
		" WHERE s.kind = 'rollout' AND s.metric_name = '" RATIO_METRIC "'");
	uint64 rows = query_run(&firing);
	int64(*alerts)[3] = palloc(sizeof(*alerts) * (rows + 1));

	for (uint64 i = 0; i < rows; i++)
		for (int column = 0; column < 3; column++)
			alerts[i][column] = query_int64(i, column);
	for (uint64 i = 0; i < rows; i++)
	{
		bool holds = false;

		for (int k = 0; k < n; k++)
			holds |= d[k].deployment_id == alerts[i][0] && looks[k].ratio.alarm;
		if (!holds && mm_lock_model(alerts[i][1], false))
			(void) alert_resolve("rollout", alerts[i][1], alerts[i][2], RATIO_METRIC);
	}
}

/*
 * look_at_all: looks at all of them in a few queries and marks those that are due; the others are noted as judged in
 * one statement, but for those whose lock somebody has.
 */
static int64
look_at_all(int64 argument)
{
	static query judged = QUERY(
		"UPDATE model_mgr.deployment_judged p SET judged_at = $2 WHERE p.deployment_id = ANY (ARRAY("
		" SELECT l.deployment_id FROM model_mgr.deployment_judged l WHERE l.deployment_id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED))",
		INT8ARRAYOID, TIMESTAMPTZOID);
	open_rollouts *open = (open_rollouts *) (intptr_t) argument;
	deployment *d = palloc(sizeof(deployment) * (open->count + 1));
	deployment_look *looks = palloc(sizeof(deployment_look) * (open->count + 1));
	Datum *quiet = palloc(sizeof(Datum) * (open->count + 1));
	int loaded = deployment_load_many(open->ids, open->count, d);
	int quiet_count = 0;
	int at = 0;

	deployment_look_many(d, looks, loaded);
	for (int i = 0; i < open->count; i++)
	{
		/* One that is gone is none of ours. */
		open->due[i] = at < loaded && d[at].deployment_id == open->ids[i];
		if (!open->due[i])
			continue;
		open->due[i] =
			looks[at].decision.action != ROLLOUT_HOLD || waits_anew(&d[at], &looks[at]) || looks[at].ratio.alarm;
		/* Whoever writes a model's rows has its lock: else two that hold one of both each wait for ever. */
		if (!open->due[i] && quiet_count < MAX_NOTED && mm_lock_model(d[at].model_id, false))
			quiet[quiet_count++] = Int64GetDatum(open->ids[i]);
		at++;
	}
	if (quiet_count > 0)
		query_run(&judged,
				  datum_arg(PointerGetDatum(construct_array(quiet, quiet_count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
															TYPALIGN_DOUBLE)),
							false),
				  time_arg(mm_now()));
	resolve_ratio_alerts(d, looks, loaded);
	return 0;
}

/* forget_pairs: for mm_guarded. */
static int64
forget_pairs(int64 argument)
{
	(void) argument;
	return shadow_clear();
}

int64
deployment_advance_all(TimestampTz deadline, int64 *failed)
{
	static query find = QUERY(
		"SELECT d.deployment_id FROM model_mgr.deployment d JOIN model_mgr.deployment_judged p ON p.deployment_id = d.deployment_id"
		" WHERE d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::pg_catalog.text[])"
		" ORDER BY p.judged_at NULLS FIRST, d.deployment_id");
	open_rollouts open = {.count = (int) query_run(&find)};
	int64 changed = 0;
	int64 items;

	open.ids = palloc(sizeof(int64) * (open.count + 1));
	open.due = palloc0(sizeof(bool) * (open.count + 1));
	for (int i = 0; i < open.count; i++)
		open.ids[i] = query_int64(i, 0);
	/* When the look at all fails, each is looked at by itself: one that is damaged must not stop the others. */
	if (!mm_guarded(look_at_all, (intptr_t) &open, "looking at the rollouts", &items))
		for (int i = 0; i < open.count; i++)
			open.due[i] = true;
	deadline = mm_turn(deadline);
	for (int i = 0; i < open.count && GetCurrentTimestamp() < deadline; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!open.due[i])
			continue;
		if (mm_guarded(advance, open.ids[i], psprintf("deployment %lld", (long long) open.ids[i]), &items))
			changed += items;
		else
			(*failed)++;
	}
	if (GetCurrentTimestamp() < deadline &&
		!mm_guarded(forget_pairs, 0, "clearing pairs of shadows that have ended", &items))
		(*failed)++;
	return changed;
}
