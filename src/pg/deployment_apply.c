/*
 * deployment_apply.c: doing what was decided about a rollout: beginning, steps, waiting for approval, the end of a bake
 * or of a shadow. Each is one transition with its routing, statuses, diary, event and audit line, in the caller's
 * transaction. Ends that take a version back are in deployment_rollback.c. Decisions are made elsewhere.
 */
#include "pg/deployment_store.h"

#include "pg/audit.h"
#include "pg/experiment.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/routing.h"

/* step_words: what a step means to users. */
static char *
step_words(const deployment *d)
{
	if (d->plan.shape == ROLLOUT_SHADOW)
		return psprintf("shadow of %g %% of the requests: users see none of it", d->traffic_percentage);
	if (d->traffic_percentage == 0)
		return psprintf("step %d of %d: no traffic yet, reachable by pins%s", d->step, d->plan.step_count,
						deployment_plan_preview(d->rollout) ? " and the preview segment" : "");
	return psprintf("step %d of %d: %g %% of traffic", d->step, d->plan.step_count, d->traffic_percentage);
}

/* take_over: the version serves everybody from now on. */
static void
take_over(const deployment *d)
{
	/* The baseline steps down first: never two active versions of one model. */
	if (d->baseline_version_id)
		registry_set_status(d->baseline_version_id, "inactive", psprintf("replaced by %s", d->version));
	registry_set_status(d->version_id, "active", NULL);
}

void
deployment_enter_step(deployment *d, int32 step, deployment_look *look, const char *by_whom)
{
	static query begin = QUERY(
		"INSERT INTO model_mgr.deployment_step (deployment_id, step, traffic_percentage, started_at) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (deployment_id, step) DO NOTHING",
		INT8OID, INT4OID, FLOAT8OID, TIMESTAMPTZOID);
	TimestampTz now = d->at;
	double before = d->traffic_percentage;
	bool first = d->step == 0;
	bool whole = d->plan.shape != ROLLOUT_SHADOW && d->plan.steps[step - 1] == 100;
	/* The evidence describes the step that justified this, not the new one. */
	Jsonb *evidence = look ? deployment_evidence(d, look) : NULL;
	rollout_wait wait = d->plan.shape == ROLLOUT_AB_TEST ? ROLLOUT_WAIT_TEST : ROLLOUT_WAIT_SECONDS;
	char *what;

	d->step = step;
	d->traffic_percentage = d->plan.steps[step - 1];
	d->step_started_at = now;
	d->status = whole ? "promoting" : "running";
	if (whole)
		d->bake_until = now + d->plan.bake_time;
	if (first && !whole && d->plan.shape == ROLLOUT_AB_TEST)
		d->test_id = experiment_open(d, deployment_plan_test(d->rollout));
	else if (whole && d->test_id)
		experiment_close(d, by_whom);
	deployment_update(d, NULL);
	query_run(&begin, int64_arg(d->deployment_id), int32_arg(step), float8_arg(d->traffic_percentage), time_arg(now));
	deployment_wait(d, rollout_wait_name(whole ? ROLLOUT_WAIT_BAKE : wait),
					whole ? d->bake_until : now + d->plan.step_time);
	if (whole)
		take_over(d);
	else if (first)
		registry_set_status(d->version_id, "deploying", NULL);
	deployment_route(d);

	deployment_emit(
		d, whole ? "promoted" : "stepped",
		json_build(json_integer_pair("step", step), json_integer_pair("steps", d->plan.step_count),
				   json_number_pair("from_percentage", before),
				   whole ? json_time_pair("bake_until", d->bake_until) : json_text_pair("bake_until", NULL)));
	what = psprintf("%s%s%s", step_words(d), by_whom ? ", " : "", by_whom ? by_whom : "");
	/* It is the test that led here, unless a person did. */
	if (whole && look && d->test_id && !by_whom)
		what = psprintf("%s: %s", what, experiment_reason(d));
	if (look)
	{
		deployment_note(d, what, look, ROLLOUT_SUCCESS_RATE);
		audit_append(by_whom ? "promote" : "step", d->model_name, d->version,
					 json_build(json_integer_pair("deployment_id", d->deployment_id), json_integer_pair("step", step),
								json_number_pair("from_percentage", before),
								json_number_pair("traffic_percentage", d->traffic_percentage),
								json_text_pair("by", by_whom ? by_whom : "tick"),
								json_object_pair("evidence", evidence)));
	}
	else
		deployment_note(d, what, NULL, ROLLOUT_METRICS);
}

/* begin_alone: where nothing else serves, a version is active at once, completed. */
static void
begin_alone(deployment *d, const char *why)
{
	d->step = d->plan.step_count;
	d->traffic_percentage = 100;
	d->step_started_at = d->at;
	d->status = "completed";
	deployment_update(d, why);
	registry_set_status(d->version_id, "active", NULL);
	deployment_route(d);
	deployment_emit(d, "promoted",
					json_build(json_integer_pair("step", d->step), json_integer_pair("steps", d->plan.step_count),
							   json_number_pair("from_percentage", 0), json_text_pair("bake_until", NULL)));
	deployment_emit(d, "completed", json_build(json_text_pair("reason", why)));
	deployment_note(d, psprintf("100 %% at once: %s", why), NULL, ROLLOUT_METRICS);
}

void
deployment_end_bake(int64 model_id, const char *version)
{
	int64 id = deployment_live_id(model_id);
	deployment d;
	deployment_look look;

	if (id == 0 || !deployment_load(id, &d) || !deployment_is_baking(&d))
		return;
	/* Judged once more like any bake at its end, so that nobody's baseline is a version that breaks its limits. */
	deployment_look_at(&d, &look);
	if (look.decision.action == ROLLOUT_ROLL_BACK)
		deployment_roll_back(&d, &look);
	else
		deployment_complete(&d, &look, psprintf("version %s is deployed next", version));
}

/* find_baseline: what serves now is what the rollout is compared with and returns to; it may have changed since it was
 * asked for. False, and why, when nothing else serves. */
static bool
find_baseline(deployment *d, const char **why)
{
	static query plan =
		QUERY("UPDATE model_mgr.deployment_plan SET baseline_version_id = $2, started_at = $3 WHERE deployment_id = $1",
			  INT8OID, INT8OID, TIMESTAMPTZOID);
	static query row = QUERY("UPDATE model_mgr.deployment SET baseline_version = $2 WHERE deployment_id = $1"
							 " AND baseline_version IS DISTINCT FROM $2",
							 INT8OID, TEXTOID);
	routing_change now = {0};
	bool alone;

	(void) routing_get(d->model_id, &now);
	/* A version that serves without a deployment of its own (a rollback named it) has nothing beside it either. */
	alone = now.stable_version_id == 0 || now.stable_version_id == d->version_id;
	*why = now.stable_version_id == 0 ? "no version was active" : "it served already";
	d->baseline_version_id = 0;
	d->baseline_version = NULL;
	d->started_at = d->at;
	if (!alone)
	{
		registry_version version;

		registry_version_by_id(now.stable_version_id, &version);
		d->baseline_version_id = version.version_id;
		d->baseline_version = version.version;
	}
	query_run(&plan, int64_arg(d->deployment_id), alone ? null_arg() : int64_arg(d->baseline_version_id),
			  time_arg(d->started_at));
	query_run(&row, int64_arg(d->deployment_id), text_arg(d->baseline_version));
	return !alone;
}

void
deployment_start(deployment *d, const char *by_whom)
{
	registry_version version;
	const char *why;
	char *taken = by_whom == NULL ? deployment_plan_taken_test(d->rollout) : NULL;
	bool beside;

	registry_version_by_id(d->version_id, &version);
	if (strcmp(version.status, "archived") == 0 || taken != NULL)
	{
		/* Nobody is there to be told: it must not come to the same error at every tick. */
		deployment_reject(d,
						  taken != NULL ? psprintf("test \"%s\" exists already", taken)
										: psprintf("version %s has been archived", d->version),
						  false);
		return;
	}
	deployment_end_bake(d->model_id, d->version);
	/* Not before what it follows has ended. */
	d->at = mm_now();
	beside = find_baseline(d, &why);
	deployment_emit(d, "started", json_build(json_text_pair("deployed_by", d->deployed_by)));
	if (!beside)
	{
		begin_alone(d, why);
		return;
	}
	deployment_note(d, psprintf("%s deployment of %s beside %s", d->strategy, d->version, d->baseline_version), NULL,
					ROLLOUT_METRICS);
	deployment_note_evidence(d,
							 d->guarded ? "the sequential guard compares it with the baseline at every look"
										: "the guard is off: the limits decide alone",
							 "guard", NULL);
	deployment_enter_step(d, 1, NULL, by_whom);
}

void
deployment_reject(deployment *d, const char *reason, bool blame)
{
	registry_version version;

	registry_version_by_id(d->version_id, &version);
	d->status = "failed";
	deployment_update(d, reason);
	if (blame && strcmp(version.status, "archived") != 0 && strcmp(version.status, "active") != 0)
		registry_set_status(d->version_id, "failed", reason);
	deployment_emit(d, "failed", json_build(json_text_pair("reason", reason)));
	deployment_note(d, psprintf("refused: %s", reason), NULL, ROLLOUT_METRICS);
	audit_append("reject", d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id), json_text_pair("reason", reason)));
}

void
deployment_await(deployment *d, deployment_look *look)
{
	Jsonb *evidence = deployment_evidence(d, look);
	double next = d->step < d->plan.step_count ? d->plan.steps[d->step] : d->traffic_percentage;

	/* The verdict that is put forward stays what it is, whatever comes in meanwhile. */
	if (d->test_id)
		experiment_close(d, NULL);
	d->status = "awaiting_approval";
	d->awaiting_since = d->at;
	deployment_update(d, NULL);
	(void) deployment_wait(d, rollout_wait_name(ROLLOUT_WAIT_APPROVAL), look->decision.next_at);
	deployment_emit(d, "awaiting_approval",
					json_build(json_integer_pair("step", d->step + 1), json_integer_pair("steps", d->plan.step_count),
							   json_number_pair("to_percentage", next)));
	deployment_note(d,
					d->plan.shape == ROLLOUT_SHADOW
						? pstrdup("awaits approval of its end")
						: psprintf("awaits approval of step %d of %d: %g %%", d->step + 1, d->plan.step_count, next),
					look, ROLLOUT_SUCCESS_RATE);
	audit_append("await_approval", d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id),
							json_integer_pair("step", d->step + 1), json_object_pair("evidence", evidence)));
}

void
deployment_conclude(deployment *d, deployment_look *look, const char *by_whom)
{
	Jsonb *evidence = look ? deployment_evidence(d, look) : NULL;
	routing_change change = {.model_id = d->model_id, .stable_version_id = d->baseline_version_id};
	char *why = by_whom ? psprintf("the shadow was %s", by_whom) : pstrdup("the shadow has passed");

	d->status = "completed";
	d->traffic_percentage = 0;
	deployment_update(d, why);
	registry_end_shadow(d->version_id, why);
	routing_set(&change);
	deployment_emit(d, "completed", json_build(json_text_pair("reason", why)));
	deployment_note(d, psprintf("completed: %s", why), look, look ? ROLLOUT_SUCCESS_RATE : ROLLOUT_METRICS);
	audit_append(by_whom ? "promote" : "complete", d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id), json_text_pair("reason", why),
							json_object_pair("evidence", evidence)));
}

void
deployment_complete(deployment *d, deployment_look *look, const char *why)
{
	/* Before the state changes: evidence shows what was judged. */
	Jsonb *evidence = look ? deployment_evidence(d, look) : NULL;

	d->status = "completed";
	deployment_update(d, why);
	deployment_route(d);
	deployment_emit(d, "completed", json_build(json_text_pair("reason", why)));
	deployment_note(d, psprintf("completed: %s", why), look, look ? ROLLOUT_SUCCESS_RATE : ROLLOUT_METRICS);
	audit_append("complete", d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id), json_text_pair("reason", why),
							json_object_pair("evidence", evidence)));
}
