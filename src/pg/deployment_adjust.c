/*
 * deployment_adjust.c: adjust_deployment(): limits, health criteria and rollout keys of a rollout under way. What has
 * been done already stays: steps taken, the salt, a beginning, a test.
 */
#include "pg/deployment_store.h"

#include "pg/audit.h"
#include "pg/deployment_key.h"
#include "pg/query.h"
#include "pg/validator.h"

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

	return given ? deployment_key_number(changes, key, usual, low, high) : present;
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

/* changed_health: the criteria from now on: those given replace all. */
static Jsonb *
changed_health(const deployment *d, const Jsonb *changes)
{
	static const char key[] = "health_criteria";

	if (getKeyJsonValueFromContainer((JsonbContainer *) &changes->root, key, strlen(key), NULL) == NULL)
		return d->health_criteria;
	if (deployment_key_value(changes, key) == NULL)
		return json_build_pairs(0, NULL);
	return deployment_key_value(changes, key);
}

/* same_key: whether two effective rollouts agree in a key. */
static bool
same_key(const Jsonb *a, const Jsonb *b, const char *key)
{
	static query same = QUERY("SELECT $1 -> $3 = $2 -> $3", JSONBOID, JSONBOID, TEXTOID);

	query_run(&same, jsonb_arg(a), jsonb_arg(b), text_arg(key));
	return query_bool(0, 0);
}

/* check_fixed: what a rollout that has begun cannot take back. */
static void
check_fixed(const deployment *d, const Jsonb *before)
{
	static const struct
	{
		const char *key;
		bool pending_too;
		const char *why;
	} fixed[] = {
		{"salt", true, "Units would change sides in the middle of deployment %lld."},
		{"validation_rules", true, "Deployment %lld is judged by the rules that it was deployed with."},
		{"start_at", false, "Deployment %lld has begun."},
		{"test", false, "The A/B test of deployment %lld runs as it was planned."},
	};

	for (int i = 0; i < lengthof(fixed); i++)
		if ((fixed[i].pending_too || strcmp(d->status, "pending") != 0) && !same_key(before, d->rollout, fixed[i].key))
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("rollout key \"%s\" of a running deployment cannot change", fixed[i].key),
					errdetail(fixed[i].why, (long long) d->deployment_id), errhint("Choose it when deploying."));
}

/* reconsider_approval: puts the new plan in force; what was approved, and what waits for approval, may have changed. */
static void
reconsider_approval(deployment *d, const rollout_plan *plan)
{
	static query forget =
		QUERY("UPDATE model_mgr.deployment_plan SET approved_step = NULL WHERE deployment_id = $1", INT8OID);

	/* An approval is of a share: another one needs another. */
	if (d->approved_step != 0 && (d->approved_step > plan->step_count ||
								  plan->steps[d->approved_step - 1] != d->plan.steps[d->approved_step - 1]))
	{
		d->approved_step = 0;
		query_run(&forget, int64_arg(d->deployment_id));
	}
	d->plan = *plan;
	/* Where the next step asks for no approval any more, nobody could give it. */
	if (strcmp(d->status, "awaiting_approval") == 0 && !deployment_asks_approval(d, d->step + 1))
	{
		d->status = "running";
		deployment_update(d, NULL);
	}
}

MM_FUNCTION(mm_adjust_deployment);

/* mm_adjust_deployment(deployment_id bigint, changes jsonb, reason text): limits and rollout keys of a running one. */
Datum
mm_adjust_deployment(PG_FUNCTION_ARGS)
{
	static query set =
		QUERY("UPDATE model_mgr.deployment SET auto_rollback_enabled = $2, rollback_min_success_rate = $3,"
			  " rollback_threshold_error_rate = $4, rollback_threshold_response_time = $5,"
			  " rollback_evaluation_window_minutes = $6, rollout = $7, health_criteria = $8 WHERE deployment_id = $1",
			  INT8OID, BOOLOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID, JSONBOID, JSONBOID);
	char *reason = mm_text_arg(fcinfo, 2, "reason", false);
	Jsonb *changes;
	Jsonb *before;
	Jsonb *health;
	deployment d;
	rollout_plan plan;
	double window;
	mm_scope scope;
	Datum row;

	mm_require(fcinfo, 0, "deployment_id");
	mm_require(fcinfo, 1, "changes");
	changes = PG_GETARG_JSONB_P(1);
	check_changes(changes);
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (!deployment_is_open(&d) && !deployment_is_baking(&d))
		deployment_wrong_state(&d, "adjusted");

	plan = d.plan;
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		plan.limits[m] =
			changed(changes, limit_keys[m], plan.limits[m], usual_limits[m], 0, m == ROLLOUT_RESPONSE_TIME ? 1e9 : 1);
	window = deployment_key_whole(changes, "rollback_evaluation_window_minutes",
								  changed(changes, "rollback_evaluation_window_minutes", d.window_minutes,
										  DEPLOYMENT_WINDOW, 1, DEPLOYMENT_MAX_WINDOW),
								  1, DEPLOYMENT_MAX_WINDOW);
	plan.auto_rollback = deployment_key_boolean(
		changes, "auto_rollback_enabled",
		plan.auto_rollback || getKeyJsonValueFromContainer((JsonbContainer *) &changes->root, "auto_rollback_enabled",
														   strlen("auto_rollback_enabled"), NULL));
	(void) deployment_key_object(changes, "rollout");
	before = d.rollout;
	health = changed_health(&d, changes);
	deployment_health_parse(health, &plan, &d.criterion_metrics);
	d.rollout = deployment_plan_parse(merge(&d, changes), d.strategy, (int32) window, NULL, &plan);
	d.rollout = deployment_plan_resolve(d.model_id, d.model_name, d.rollout);
	check_steps(&d, &plan);
	check_fixed(&d, before);
	if (deployment_is_pending(&d) && !same_key(before, d.rollout, "test"))
		deployment_plan_refuse_taken_test(d.rollout);
	before =
		json_build(json_object_pair("rollout", before), json_object_pair("health_criteria", d.health_criteria),
				   json_boolean_pair("auto_rollback_enabled", d.plan.auto_rollback),
				   json_number_pair(limit_keys[0], d.plan.limits[0]), json_number_pair(limit_keys[1], d.plan.limits[1]),
				   json_number_pair(limit_keys[2], d.plan.limits[2]),
				   json_integer_pair("rollback_evaluation_window_minutes", d.window_minutes));
	reconsider_approval(&d, &plan);
	d.window_minutes = (int32) window;
	query_run(&set, int64_arg(d.deployment_id), bool_arg(plan.auto_rollback),
			  float8_arg(plan.limits[ROLLOUT_SUCCESS_RATE]), float8_arg(plan.limits[ROLLOUT_ERROR_RATE]),
			  float8_arg(plan.limits[ROLLOUT_RESPONSE_TIME]), int32_arg(d.window_minutes), jsonb_arg(d.rollout),
			  jsonb_arg(health));
	if (deployment_is_baking(&d))
	{
		d.bake_until = d.step_started_at + plan.bake_time;
		(void) deployment_wait(&d, rollout_wait_name(ROLLOUT_WAIT_BAKE), d.bake_until);
	}
	else if (strcmp(d.status, "pending") == 0)
	{
		(void) deployment_wait(&d, d.waiting_for, plan.start_at);
		validator_postpone(d.deployment_id, plan.start_at);
	}
	else
		(void) deployment_wait(&d, d.waiting_for, d.step_started_at + plan.step_time);
	deployment_store_bake(&d);
	/* Whether a limit looks on may have changed, and who sees the preview. */
	if (strcmp(d.status, "pending") != 0)
		deployment_route(&d);
	deployment_emit(&d, "adjusted", json_build(json_text_pair("reason", reason), json_object_pair("changes", changes)));
	deployment_note_evidence(&d, psprintf("adjusted: %s", reason && *reason ? reason : "no reason given"), NULL,
							 json_build(json_object_pair("changes", changes), json_object_pair("before", before)));
	audit_append("adjust", d.model_name, d.version,
				 json_build(json_integer_pair("deployment_id", d.deployment_id), json_text_pair("reason", reason),
							json_object_pair("changes", changes), json_object_pair("before", before)));
	row = deployment_row(d.deployment_id);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}
