/*
 * deployment_verbs.c: what people do to a rollout under way: promote, pause, resume, abort, and find the open
 * one. Each takes the model's lock, checks the state (55000 names it), acts, and leaves a line in the diary and one in
 * the audit log.
 */
#include "pg/deployment_store.h"

#include "pg/audit.h"
#include "pg/query.h"
#include "pg/registry.h"

void
deployment_wrong_state(const deployment *d, const char *verb)
{
	const char *hint = "Deploy again with model_mgr.deploy_model_version() to begin a new one.";

	if (deployment_is_baking(d))
		hint =
			"It serves all traffic already; take it back with model_mgr.rollback_model(), or wait for the end of its bake.";
	else if (strcmp(d->status, "completed") == 0)
		hint = "Take it back with model_mgr.rollback_model().";
	else if (deployment_is_open(d))
		hint = "See what it waits for in model_mgr.deployment_list.";
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("deployment %lld cannot be %s", (long long) d->deployment_id, verb),
			errdetail("Its status is %s (version \"%s\" of model \"%s\").", d->status, d->version, d->model_name),
			errhint("%s", hint));
}

static Datum
finish(const deployment *d, mm_scope scope)
{
	Datum row = deployment_row(d->deployment_id);

	mm_leave(scope);
	return row;
}

MM_FUNCTION(mm_promote_deployment);

/*
 * mm_promote_deployment(deployment_id bigint, all_steps boolean): the next step now. What a limit convicts goes back
 * instead: a person's hurry is no reason to serve it.
 */
Datum
mm_promote_deployment(PG_FUNCTION_ARGS)
{
	bool all = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	deployment d;
	deployment_look look;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (strcmp(d.status, "running") != 0 && strcmp(d.status, "paused") != 0)
		deployment_wrong_state(&d, "promoted");
	deployment_look_at(&d, &look);
	if (look.decision.action == ROLLOUT_ROLL_BACK)
		deployment_roll_back(&d, &look);
	else
		deployment_enter_step(&d, all ? d.plan.step_count : d.step + 1, &look,
							  psprintf("promoted by %s", mm_session_user_name()));
	PG_RETURN_DATUM(finish(&d, scope));
}

/* change_status: pause and resume. */
static void
change_status(deployment *d, const char *status, const char *operation, const char *what, const char *reason)
{
	const char *before = d->status;

	d->status = (char *) status;
	deployment_update(d, reason);
	deployment_emit(d, strcmp(status, "paused") == 0 ? "paused" : "resumed",
					json_build(json_text_pair("reason", reason)));
	deployment_note(d, what, NULL, ROLLOUT_METRICS);
	audit_append(operation, d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id), json_text_pair("from_status", before),
							json_text_pair("reason", reason)));
}

void
deployment_pause(deployment *d, const char *reason)
{
	change_status(d, "paused", "pause", psprintf("paused: %s", reason && *reason ? reason : "no reason given"),
				  reason && *reason ? reason : NULL);
	(void) deployment_wait(d, rollout_wait_name(ROLLOUT_WAIT_RESUME), d->step_started_at + d->plan.step_time);
}

MM_FUNCTION(mm_pause_deployment);

/* mm_pause_deployment(deployment_id bigint, reason text): keeps the share where it is; limits are judged on. */
Datum
mm_pause_deployment(PG_FUNCTION_ARGS)
{
	char *reason = mm_text_arg(fcinfo, 1, "reason", false);
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (strcmp(d.status, "paused") == 0)
		ereport(NOTICE, errmsg("deployment %lld is paused already", (long long) d.deployment_id));
	else if (strcmp(d.status, "running") != 0)
		deployment_wrong_state(&d, "paused");
	else
		deployment_pause(&d, reason);
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_resume_deployment);

/* mm_resume_deployment(deployment_id bigint): goes on where it was; the time of the step went on. */
Datum
mm_resume_deployment(PG_FUNCTION_ARGS)
{
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (strcmp(d.status, "running") == 0)
		ereport(NOTICE, errmsg("deployment %lld runs already", (long long) d.deployment_id));
	else if (strcmp(d.status, "paused") != 0)
		deployment_wrong_state(&d, "resumed");
	else
	{
		change_status(&d, "running", "resume", "resumed", NULL);
		(void) deployment_wait(&d, rollout_wait_name(ROLLOUT_WAIT_SECONDS), d.step_started_at + d.plan.step_time);
	}
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_abort_deployment);

/* mm_abort_deployment(deployment_id bigint, reason text): ends a rollout below 100 % without blaming the version. */
Datum
mm_abort_deployment(PG_FUNCTION_ARGS)
{
	char *reason = mm_text_arg(fcinfo, 1, "reason", false);
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (!deployment_is_open(&d))
		deployment_wrong_state(&d, "aborted");
	deployment_end(&d, "aborted", d.baseline_version_id, d.baseline_version, reason ? reason : "", NULL, false);
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_open_deployment);

/* mm_open_deployment(model_name text): the rollout below 100 %, else the baking one. */
Datum
mm_open_deployment(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	mm_scope scope = mm_enter();
	int64 id = deployment_open_id(registry_model_id(model_name, false), true);

	if (id == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("model \"%s\" has no open deployment", model_name),
				errdetail("None is below 100 %% and none is baking."),
				errhint("SELECT * FROM model_mgr.list_deployments(model_name) shows those that have ended."));
	mm_leave(scope);
	PG_RETURN_INT64(id);
}
