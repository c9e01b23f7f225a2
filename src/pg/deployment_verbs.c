/*
 * deployment_verbs.c: what people do to a rollout under way: promote, pause, resume, abort, adjust, and find the open
 * one. Each takes the model's lock, checks the state (55000 names it), acts, and leaves a line in the diary and one in
 * the audit log.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "pg/audit.h"
#include "pg/query.h"
#include "pg/registry.h"

/* wrong_state: 55000 that names the state and the way out. */
static void
wrong_state(const deployment *d, const char *verb)
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
		wrong_state(&d, "promoted");
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
		wrong_state(&d, "paused");
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
		wrong_state(&d, "resumed");
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
		wrong_state(&d, "aborted");
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

/* The limits that adjust may change, in the order of rollout_metric, then the others. */
static const char *const limit_keys[] = {"rollback_min_success_rate", "rollback_threshold_error_rate",
										 "rollback_threshold_response_time"};

static const double usual_limits[] = {DEPLOYMENT_MIN_SUCCESS_RATE, DEPLOYMENT_MAX_ERROR_RATE,
									  DEPLOYMENT_MAX_RESPONSE_TIME};

/* changed: a number that stays when its key is absent, and becomes the default again when it is null. */
static double
changed(const Jsonb *changes, const char *key, double present, double usual, double low, double high)
{
	JsonbValue *given = getKeyJsonValueFromContainer((JsonbContainer *) &changes->root, key, (int) strlen(key), NULL);

	return given ? deployment_plan_number(changes, key, usual, low, high) : present;
}

/* check_changes: an object with something in it; its keys are checked one by one later. */
static void
check_changes(const Jsonb *changes)
{
	if (!JB_ROOT_IS_OBJECT(changes) || JB_ROOT_COUNT(changes) == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("\"changes\" must be a JSON object with something in it"),
				errdetail("Its keys are the limits of deploy_model_version and the rollout keys."),
				errhint("Write it as in '{\"rollback_min_success_rate\": 0.9, \"step_seconds\": 300}'."));
}

/* merge: the stored rollout with the changed keys over it. */
static Jsonb *
merge(const deployment *d, const Jsonb *changes)
{
	static query merged = QUERY(
		"SELECT $1 || ($2 - '{rollout,auto_rollback_enabled,rollback_min_success_rate,rollback_threshold_error_rate,"
		"rollback_threshold_response_time,rollback_evaluation_window_minutes,health_criteria}'::pg_catalog.text[])"
		" || CASE pg_catalog.jsonb_typeof($2 -> 'rollout') WHEN 'object' THEN $2 -> 'rollout' ELSE '{}' END",
		JSONBOID, JSONBOID);

	query_run(&merged, jsonb_arg(d->rollout), jsonb_arg(changes));
	return query_jsonb(0, 0);
}

/* check_steps: steps taken already stay; the present one keeps its place. */
static void
check_steps(const deployment *d, const rollout_plan *plan)
{
	for (int i = 0; i < d->step; i++)
		if (i >= plan->step_count || plan->steps[i] != d->plan.steps[i])
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("steps taken already cannot change"),
				errdetail("Step %d, %g %%, has begun; the deployment is at step %d.", i + 1, d->plan.steps[i], d->step),
				errhint("Begin the new list with the steps taken so far."));
}

MM_FUNCTION(mm_adjust_deployment);

/* mm_adjust_deployment(deployment_id bigint, changes jsonb, reason text): limits and rollout keys of a running one. */
Datum
mm_adjust_deployment(PG_FUNCTION_ARGS)
{
	static query set =
		QUERY("UPDATE model_mgr.deployment SET auto_rollback_enabled = $2, rollback_min_success_rate = $3,"
			  " rollback_threshold_error_rate = $4, rollback_threshold_response_time = $5,"
			  " rollback_evaluation_window_minutes = $6, rollout = $7 WHERE deployment_id = $1",
			  INT8OID, BOOLOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID, JSONBOID);
	char *reason = mm_text_arg(fcinfo, 2, "reason", false);
	Jsonb *changes;
	Jsonb *before;
	deployment d;
	rollout_plan plan;
	double window;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	mm_require(fcinfo, 1, "changes");
	changes = PG_GETARG_JSONB_P(1);
	check_changes(changes);
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (!deployment_is_open(&d) && !deployment_is_baking(&d))
		wrong_state(&d, "adjusted");

	plan = d.plan;
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		plan.limits[m] =
			changed(changes, limit_keys[m], plan.limits[m], usual_limits[m], 0, m == ROLLOUT_RESPONSE_TIME ? 1e9 : 1);
	window = changed(changes, "rollback_evaluation_window_minutes", d.window_minutes, DEPLOYMENT_WINDOW, 1,
					 DEPLOYMENT_MAX_WINDOW);
	if (window != rint(window))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("\"rollback_evaluation_window_minutes\" must be a whole number"),
				errdetail("The value is %g.", window), errhint("Round it."));
	plan.auto_rollback = deployment_plan_boolean(
		changes, "auto_rollback_enabled",
		plan.auto_rollback || getKeyJsonValueFromContainer((JsonbContainer *) &changes->root, "auto_rollback_enabled",
														   strlen("auto_rollback_enabled"), NULL));
	deployment_plan_no_health(changes);
	before = d.rollout;
	d.rollout = deployment_plan_parse(merge(&d, changes), d.strategy, (int32) window, NULL, &plan);
	check_steps(&d, &plan);
	if (deployment_plan_sticky(before) != deployment_plan_sticky(d.rollout))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the salt of a running deployment cannot change"),
				errdetail("Units would change sides in the middle of deployment %lld.", (long long) d.deployment_id),
				errhint("Choose it when deploying."));
	before = json_build(
		json_object_pair("rollout", before), json_boolean_pair("auto_rollback_enabled", d.plan.auto_rollback),
		json_number_pair(limit_keys[0], d.plan.limits[0]), json_number_pair(limit_keys[1], d.plan.limits[1]),
		json_number_pair(limit_keys[2], d.plan.limits[2]),
		json_integer_pair("rollback_evaluation_window_minutes", d.window_minutes));
	d.plan = plan;
	d.window_minutes = (int32) window;
	query_run(&set, int64_arg(d.deployment_id), bool_arg(plan.auto_rollback),
			  float8_arg(plan.limits[ROLLOUT_SUCCESS_RATE]), float8_arg(plan.limits[ROLLOUT_ERROR_RATE]),
			  float8_arg(plan.limits[ROLLOUT_RESPONSE_TIME]), int32_arg(d.window_minutes), jsonb_arg(d.rollout));
	if (deployment_is_baking(&d))
	{
		d.bake_until = d.step_started_at + plan.bake_time;
		(void) deployment_wait(&d, rollout_wait_name(ROLLOUT_WAIT_BAKE), d.bake_until);
	}
	else
		(void) deployment_wait(&d, d.waiting_for, d.step_started_at + plan.step_time);
	deployment_store_bake(&d);
	/* Whether a limit looks on may have changed. */
	deployment_route(&d);
	deployment_emit(&d, "adjusted", json_build(json_text_pair("reason", reason), json_object_pair("changes", changes)));
	deployment_note_evidence(&d, psprintf("adjusted: %s", reason && *reason ? reason : "no reason given"), NULL,
							 json_build(json_object_pair("changes", changes), json_object_pair("before", before)));
	audit_append("adjust", d.model_name, d.version,
				 json_build(json_integer_pair("deployment_id", d.deployment_id), json_text_pair("reason", reason),
							json_object_pair("changes", changes), json_object_pair("before", before)));
	PG_RETURN_DATUM(finish(&d, scope));
}
