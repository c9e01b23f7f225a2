/*
 * deployment_judge.c: looking at a rollout and doing what is due: the numbers of both sides go to the core
 * (core/rollout.c), its answer is applied here, with its evidence, in the same transaction. Called by the tick, by the
 * enforcement trigger at commit of recordings, and by promote.
 */
#include "pg/deployment.h"

#include <math.h>

#include "utils/guc.h"

#include "pg/audit.h"
#include "pg/deployment_store.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"

static rollout_tally
tally_of(const rollup_counts *c)
{
	return (rollout_tally){.requests = c->requests,
						   .known = c->known,
						   .successes = c->successes,
						   .errors = c->errors,
						   .response_time_count = c->response_time_count,
						   .response_time_sum = c->response_time_sum};
}

void
deployment_look_at(const deployment *d, deployment_look *look)
{
	rollout_state state = {.step = d->step,
						   .started_at = d->started_at,
						   .step_started_at = d->step_started_at,
						   .bake_until = d->bake_until};
	rollup_counts window;
	rollup_counts step;

	state.awaiting_since = d->awaiting_since;
	state.approved = d->approved_step == d->step + 1;
	state.frozen = d->frozen_until != 0;
	memset(look, 0, sizeof(*look));
	look->now = state.now = mm_now();
	look->window_start = look->now - d->window_minutes * 60 * USECS_PER_SEC;
	state.phase = deployment_phase(d);

	rollup_side(d->deployment_id, d->version_id, look->window_start, d->step, &window, &step);
	look->window = tally_of(&window);
	look->step = tally_of(&step);
	look->decision = rollout_decide(&d->plan, &state, &look->window, &look->step);
}

void
deployment_look_beside(const deployment *d, deployment_look *look)
{
	rollup_counts window;
	rollup_counts step;

	if (d->baseline_version_id == 0)
		return;
	rollup_side(d->deployment_id, d->baseline_version_id, look->window_start, d->step, &window, &step);
	look->baseline_window = tally_of(&window);
	look->baseline_step = tally_of(&step);
}

bool
deployment_look_at_baseline(const deployment *d, deployment_look *look)
{
	static query counts = QUERY(
		"SELECT sum(r.requests)::pg_catalog.int8, sum(r.known)::pg_catalog.int8, sum(r.successes)::pg_catalog.int8,"
		" sum(r.errors)::pg_catalog.int8, sum(r.response_time_count)::pg_catalog.int8, sum(r.response_time_sum)"
		" FROM model_mgr.rollup_now r WHERE r.version_id = $1 AND r.bucket >= $2 AND r.bucket < $3 HAVING count(*) > 0",
		INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	rollout_tally nothing = {0};

	memset(look, 0, sizeof(*look));
	look->now = mm_now();
	look->window_start = look->now - d->window_minutes * 60 * USECS_PER_SEC;
	if (query_run(&counts, int64_arg(d->baseline_version_id), time_arg(look->window_start), time_arg(look->now)) == 0)
		return false;
	look->window = (rollout_tally){.requests = query_int64(0, 0),
								   .known = query_int64(0, 1),
								   .successes = query_int64(0, 2),
								   .errors = query_int64(0, 3),
								   .response_time_count = query_int64(0, 4),
								   .response_time_sum = query_float8(0, 5)};
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		look->decision.verdicts[m] = rollout_judge(&d->plan, (rollout_metric) m, &look->window, &nothing);
	return true;
}

/* deployment_number: a value with as many digits as tell it from its limit: never "0.95 is below 0.95". */
char *
deployment_number(double value, double limit)
{
	char *text = NULL;
	char *other = psprintf("%g", limit);

	for (int digits = 4; digits <= 17; digits++)
	{
		text = psprintf("%.*g", digits, value);
		if (value == limit || strcmp(text, other) != 0)
			break;
	}
	return text;
}

/* broken_reason: the broken limit in plain words with its numbers. */
static char *
broken_reason(const deployment *d, const deployment_look *look)
{
	static const struct
	{
		const char *name;
		const char *side;
		const char *unit;
		const char *counted;
	} words[ROLLOUT_METRICS] = {
		[ROLLOUT_SUCCESS_RATE] = {"success rate", "below the minimum", "", "outcomes"},
		[ROLLOUT_ERROR_RATE] = {"error rate", "above the limit", "", "requests"},
		[ROLLOUT_RESPONSE_TIME] = {"mean response time", "above the limit", " s", "requests"},
	};
	rollout_metric m = look->decision.broken;
	const rollout_verdict *v = &look->decision.verdicts[m];
	char *when = v->stretched ? pstrdup("since the step began") : psprintf("in the last %d minutes", d->window_minutes);

	return psprintf("%s %s%s is %s %g%s over %lld %s %s", words[m].name, deployment_number(v->value, v->limit),
					words[m].unit, words[m].side, v->limit, words[m].unit, (long long) v->samples, words[m].counted,
					when);
}

void
deployment_roll_back(deployment *d, deployment_look *look)
{
	char *reason = broken_reason(d, look);

	deployment_end(d, "rolled_back", d->baseline_version_id, d->baseline_version, reason, look, true);
	ereport(LOG, errmsg("model_mgr: deployment %lld of \"%s\" version \"%s\" rolled back: %s",
						(long long) d->deployment_id, d->model_name, d->version, reason));
}

/* hold: remembers what is waited for; the diary gets a line only when that changes. */
static void
hold(deployment *d, deployment_look *look)
{
	const rollout_decision *decision = &look->decision;
	rollout_metric metric = decision->broken != ROLLOUT_METRICS ? decision->broken : ROLLOUT_SUCCESS_RATE;
	char *what = NULL;

	if (!deployment_wait(d, rollout_wait_name(decision->wait), decision->next_at))
		return;
	switch (decision->wait)
	{
		case ROLLOUT_WAIT_REQUESTS:
			what = psprintf("holds: %lld of %lld outcomes in this step", (long long) decision->step_samples,
							(long long) d->plan.min_requests);
			break;
		case ROLLOUT_WAIT_LIMITS:
			what = psprintf("holds: %s; automatic rollback is off", broken_reason(d, look));
			break;
		default:
			return;
	}
	deployment_note(d, what, look, metric);
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
	if (look.decision.action != ROLLOUT_ROLL_BACK)
		return false;
	deployment_roll_back(&d, &look);
	return true;
}

bool
deployment_advance(int64 deployment_id)
{
	static query judged =
		QUERY("UPDATE model_mgr.deployment_plan SET judged_at = $2 WHERE deployment_id = $1", INT8OID, TIMESTAMPTZOID);
	deployment d;
	deployment_look look;

	if (!deployment_load(deployment_id, &d) || (!deployment_is_open(&d) && !deployment_is_baking(&d)))
		return false;
	deployment_look_at(&d, &look);
	query_run(&judged, int64_arg(deployment_id), time_arg(look.now));
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
			deployment_reject(&d, "its validation failed");
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
