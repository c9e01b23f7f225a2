/*
 * deployment_deploy.c: deploy_model_version(): checks the call, tells a repeat from a new wish, and begins the rollout.
 * A model's first deployment has nothing to compare with and is active at once.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "access/xact.h"

#include "pg/assignment.h"
#include "pg/audit.h"
#include "pg/deployment.h"
#include "pg/deployment_key.h"
#include "pg/query.h"
#include "pg/registry_trust.h"
#include "pg/routing.h"
#include "pg/validator.h"

/* The arguments by position. */
enum
{
	ARG_MODEL_NAME,
	ARG_VERSION,
	ARG_STRATEGY,
	ARG_DEPLOYED_BY,
	ARG_TRAFFIC_PERCENTAGE,
	ARG_AUTO_ROLLBACK,
	ARG_ERROR_RATE,
	ARG_RESPONSE_TIME,
	ARG_SUCCESS_RATE,
	ARG_WINDOW,
	ARG_HEALTH,
	ARG_ROLLOUT,
	ARG_IDEMPOTENCY_KEY,
	ARG_SUPERSEDE
};

/* A call, checked, defaults filled in. */
typedef struct wish
{
	const char *model_name;
	const char *version;
	const char *strategy;
	const char *deployed_by;
	const char *idempotency_key;
	bool supersede;
	int32 window_minutes;
	Jsonb *health;
	Jsonb *rollout;   /* effective */
	Jsonb *arguments; /* what makes two calls the same wish */
	rollout_plan plan;
} wish;

static Jsonb *
empty_object(void)
{
	return json_build_pairs(0, NULL);
}

const char *
deployment_strategy(const char *word)
{
	static const char *const known[] = {"replace", "canary", "a_b_test", "blue_green", "shadow"};

	if (word == NULL)
		word = pstrdup(guc_default_deployment_strategy);
	if (strcmp(word, "ab_test") == 0)
		word = "a_b_test";
	for (int i = 0; i < lengthof(known); i++)
		if (strcmp(word, known[i]) == 0)
			return word;
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown strategy \"%s\"", word),
			errdetail("Strategies are replace, canary, a_b_test, blue_green and shadow."),
			errhint("Leave it out for model_mgr.default_deployment_strategy."));
}

static double
read_limit(FunctionCallInfo fcinfo, int argno, const char *name, double otherwise, double high)
{
	double value = PG_ARGISNULL(argno) ? otherwise : PG_GETARG_FLOAT8(argno);

	mm_check_float(name, value, 0, high);
	return value;
}

/* read_wish: every check that needs no table. */
static void
read_wish(FunctionCallInfo fcinfo, wish *w)
{
	double share = 0;
	bool share_given = !PG_ARGISNULL(ARG_TRAFFIC_PERCENTAGE);
	const char **metrics;

	w->model_name = mm_text_arg(fcinfo, ARG_MODEL_NAME, "model_name", true);
	w->version = mm_text_arg(fcinfo, ARG_VERSION, "version", true);
	w->strategy = deployment_strategy(mm_text_arg(fcinfo, ARG_STRATEGY, "strategy", false));
	w->deployed_by = mm_by(mm_text_arg(fcinfo, ARG_DEPLOYED_BY, "deployed_by", false));
	w->idempotency_key = mm_text_arg(fcinfo, ARG_IDEMPOTENCY_KEY, "idempotency_key", false);
	w->supersede = !PG_ARGISNULL(ARG_SUPERSEDE) && PG_GETARG_BOOL(ARG_SUPERSEDE);
	mm_check_name("deployed_by", w->deployed_by);
	if (w->idempotency_key)
		mm_check_name("idempotency key", w->idempotency_key);
	/* Checked with the strategy, which may take none. */
	if (share_given)
		share = PG_GETARG_FLOAT8(ARG_TRAFFIC_PERCENTAGE);

	w->plan.auto_rollback = PG_ARGISNULL(ARG_AUTO_ROLLBACK) || PG_GETARG_BOOL(ARG_AUTO_ROLLBACK);
	w->plan.limits[ROLLOUT_ERROR_RATE] =
		read_limit(fcinfo, ARG_ERROR_RATE, "rollback_threshold_error_rate", DEPLOYMENT_MAX_ERROR_RATE, 1);
	w->plan.limits[ROLLOUT_RESPONSE_TIME] =
		read_limit(fcinfo, ARG_RESPONSE_TIME, "rollback_threshold_response_time", DEPLOYMENT_MAX_RESPONSE_TIME, 1e9);
	w->plan.limits[ROLLOUT_SUCCESS_RATE] =
		read_limit(fcinfo, ARG_SUCCESS_RATE, "rollback_min_success_rate", DEPLOYMENT_MIN_SUCCESS_RATE, 1);
	w->window_minutes = PG_ARGISNULL(ARG_WINDOW) ? DEPLOYMENT_WINDOW : PG_GETARG_INT32(ARG_WINDOW);
	mm_check_float("rollback_evaluation_window_minutes", w->window_minutes, 1, DEPLOYMENT_MAX_WINDOW);

	w->health = PG_ARGISNULL(ARG_HEALTH) ? empty_object() : PG_GETARG_JSONB_P(ARG_HEALTH);
	deployment_health_parse(w->health, &w->plan, &metrics);
	w->rollout = deployment_plan_parse(PG_ARGISNULL(ARG_ROLLOUT) ? empty_object() : PG_GETARG_JSONB_P(ARG_ROLLOUT),
									   w->strategy, w->window_minutes, share_given ? &share : NULL, &w->plan);
}

/* complete_wish: what takes the model's lock to know; the arguments are effective values: a default spelled out is no
 * different wish. */
static void
complete_wish(wish *w, int64 model_id)
{
	w->rollout = deployment_plan_resolve(model_id, w->model_name, w->rollout);
	w->arguments = json_build(
		json_text_pair("strategy", w->strategy), json_boolean_pair("auto_rollback_enabled", w->plan.auto_rollback),
		json_number_pair("rollback_threshold_error_rate", w->plan.limits[ROLLOUT_ERROR_RATE]),
		json_number_pair("rollback_threshold_response_time", w->plan.limits[ROLLOUT_RESPONSE_TIME]),
		json_number_pair("rollback_min_success_rate", w->plan.limits[ROLLOUT_SUCCESS_RATE]),
		json_integer_pair("rollback_evaluation_window_minutes", w->window_minutes),
		json_object_pair("health_criteria", w->health), json_object_pair("rollout", w->rollout));
}

/* same_arguments: whether a deployment was asked for in the same words. */
static bool
same_arguments(int64 deployment_id, const wish *w)
{
	static query same =
		QUERY("SELECT p.arguments = $2 FROM model_mgr.deployment_plan p WHERE p.deployment_id = $1", INT8OID, JSONBOID);

	return query_run(&same, int64_arg(deployment_id), jsonb_arg(w->arguments)) > 0 && query_bool(0, 0);
}

/* keep_key: what a call was given by its key it is given again, whatever has become of it. */
static int64
keep_key(int64 deployment_id, const wish *w)
{
	static query keep = QUERY("UPDATE model_mgr.deployment_plan p SET idempotency_key = $2 WHERE p.deployment_id = $1"
							  " AND p.idempotency_key IS NULL",
							  INT8OID, TEXTOID);

	if (w->idempotency_key)
		query_run(&keep, int64_arg(deployment_id), text_arg(w->idempotency_key));
	return deployment_id;
}

/*
 * earlier: the deployment that this call repeats; 0: none. A key that repeats decides alone; else the open rollout of
 * the same version, else, when the version is active, its last deployment.
 */
static int64
earlier(int64 model_id, const registry_version *v, const wish *w, const routing_change *now)
{
	static query by_key =
		QUERY("SELECT p.deployment_id, p.version_id = $3 AND p.arguments = $4 FROM model_mgr.deployment_plan p"
			  " WHERE p.model_id = $1 AND p.idempotency_key = $2",
			  INT8OID, TEXTOID, INT8OID, JSONBOID);
	/* The one that brought it, rather than a later rollout of it that did not come to an end. */
	static query last = QUERY(
		"SELECT p.deployment_id FROM model_mgr.deployment_plan p"
		" JOIN model_mgr.deployment d ON d.deployment_id = p.deployment_id"
		" WHERE p.model_id = $1 AND p.version_id = $2"
		" ORDER BY d.status = ANY ('{completed,promoting}'::pg_catalog.text[]) DESC, p.deployment_id DESC LIMIT 1",
		INT8OID, INT8OID);
	int64 open;

	if (w->idempotency_key && query_run(&by_key, int64_arg(model_id), text_arg(w->idempotency_key),
										int64_arg(v->version_id), jsonb_arg(w->arguments)) > 0)
	{
		open = query_int64(0, 0);
		if (!query_bool(0, 1))
			ereport(
				NOTICE,
				errmsg("idempotency key \"%s\" belongs to deployment %lld, of another version or with other arguments",
					   w->idempotency_key, (long long) open),
				errhint("Nothing was deployed; use a key of its own for another wish."));
		return open;
	}
	open = deployment_open_id(model_id, false);
	if (open)
	{
		deployment d;

		(void) deployment_load(open, &d);
		if (d.version_id == v->version_id)
		{
			if (!same_arguments(open, w))
				ereport(NOTICE,
						errmsg("deployment %lld of this version runs already, with other arguments", (long long) open),
						errhint("Change it with model_mgr.adjust_deployment(), or abort it first."));
			return keep_key(open, w);
		}
	}
	if (now->stable_version_id != v->version_id || query_run(&last, int64_arg(model_id), int64_arg(v->version_id)) == 0)
		return 0;
	open = query_int64(0, 0);
	if (!same_arguments(open, w))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("version \"%s\" of model \"%s\" is active already", v->version, v->model_name),
				errdetail("Deployment %lld brought it with other arguments.", (long long) open),
				errhint("Repeat those arguments, or deploy another version."));
	return keep_key(open, w);
}

/* make_way: a rollout below 100 % blocks the next one, or is superseded. */
static void
make_way(int64 model_id, const registry_version *v, const wish *w)
{
	int64 id = deployment_open_id(model_id, false);
	char *test_id = assignment_carried(model_id);
	deployment d;

	if (test_id && !w->supersede)
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("a test carries the traffic of model \"%s\"", v->model_name),
				errdetail("Test \"%s\" runs with routes_traffic.", test_id),
				errhint("Wait for its end, stop it with model_mgr.stop_test(), or pass supersede => true."));
	if (test_id)
		(void) assignment_stop(model_id, psprintf("superseded by version %s", v->version));
	if (id == 0)
		return;
	(void) deployment_load(id, &d);
	if (!w->supersede)
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE), errmsg("a rollout of model \"%s\" already runs", v->model_name),
				errdetail("Deployment %lld of version \"%s\" is %s at %g %% of the traffic.", (long long) id, d.version,
						  d.status, d.traffic_percentage),
				errhint("Wait for it, abort it with model_mgr.abort_deployment(%lld), or pass supersede => true.",
						(long long) id));
	deployment_end(&d, "aborted", d.baseline_version_id, d.baseline_version,
				   psprintf("superseded by version %s", v->version), NULL, false);
}

/* insert: the rows of a new deployment, pending. */
static int64
insert(const wish *w, const registry_version *v, const routing_change *now, bool first)
{
	static query row = QUERY(
		"INSERT INTO model_mgr.deployment (model_name, version, strategy, status, traffic_percentage, step, baseline_version,"
		" auto_rollback_enabled, rollback_threshold_error_rate, rollback_threshold_response_time, rollback_min_success_rate,"
		" rollback_evaluation_window_minutes, health_criteria, rollout, deployed_by, created_at)"
		" SELECT $1, $2, $3, 'pending', 0, 0, (SELECT b.version FROM model_mgr.model_version b WHERE b.version_id = $4),"
		" $5, $6, $7, $8, $9, $10, $11, $12, $13 RETURNING deployment_id",
		TEXTOID, TEXTOID, TEXTOID, INT8OID, BOOLOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID, JSONBOID, JSONBOID,
		TEXTOID, TIMESTAMPTZOID);
	static query plan = QUERY(
		"WITH judged AS (INSERT INTO model_mgr.deployment_judged (deployment_id) VALUES ($1))"
		" INSERT INTO model_mgr.deployment_plan (deployment_id, model_id, version_id, baseline_version_id, arguments,"
		" idempotency_key, bucket_key) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		INT8OID, INT8OID, INT8OID, INT8OID, JSONBOID, TEXTOID, TEXTOID);
	query_arg baseline = first ? null_arg() : int64_arg(now->stable_version_id);
	TimestampTz at = mm_now();
	char *salt = routing_salt(v->model_id);
	int64 id;

	query_run(&row, text_arg(v->model_name), text_arg(v->version), text_arg(w->strategy), baseline,
			  bool_arg(w->plan.auto_rollback), float8_arg(w->plan.limits[ROLLOUT_ERROR_RATE]),
			  float8_arg(w->plan.limits[ROLLOUT_RESPONSE_TIME]), float8_arg(w->plan.limits[ROLLOUT_SUCCESS_RATE]),
			  int32_arg(w->window_minutes), jsonb_arg(w->health), jsonb_arg(w->rollout), text_arg(w->deployed_by),
			  time_arg(at));
	id = query_int64(0, 0);
	/* A fresh key for each rollout: no unit is every canary's guinea pig. */
	query_run(&plan, int64_arg(id), int64_arg(v->model_id), int64_arg(v->version_id), baseline, jsonb_arg(w->arguments),
			  text_arg(w->idempotency_key),
			  text_arg(deployment_plan_sticky(w->rollout) ? salt : psprintf("%s%lld", salt, (long long) id)));
	return id;
}

/* warn_of_limit: says so when the present version breaks one. */
static void
warn_of_limit(const deployment *d, const char *metric_name, const rollout_verdict *v, const char *counted)
{
	if (v->outcome == ROLLOUT_FAIL)
		ereport(NOTICE,
				errmsg("the present version \"%s\" breaks the limit of %s today", d->baseline_version, metric_name),
				errdetail("Its value over the last %d minutes is %s, the limit %g (%lld %s).", d->window_minutes,
						  deployment_number(v->value, v->limit), v->limit, (long long) v->samples, counted),
				errhint("Adjust the limit, or the new version may be rolled back for being no better."));
}

/* warn_of_baseline: a limit that the present version breaks today would take the new one back as well. */
static void
warn_of_baseline(const deployment *d)
{
	deployment_look look;

	deployment_look_at_baseline(d, &look);
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		warn_of_limit(d, rollout_metric_name((rollout_metric) m), &look.decision.verdicts[m], "requests");
	for (int i = 0; i < d->plan.criterion_count; i++)
		warn_of_limit(d, d->criterion_metrics[i], &look.decision.criteria[i], "samples");
}

/* schedule: a deployment that begins later; nothing serves otherwise until then, and a bake before it goes on. */
static void
schedule(deployment *d)
{
	(void) deployment_wait(d, rollout_wait_name(ROLLOUT_WAIT_START), d->plan.start_at);
	deployment_emit(
		d, "scheduled",
		json_build(json_text_pair("deployed_by", d->deployed_by), json_time_pair("start_at", d->plan.start_at)));
	deployment_note(
		d, psprintf("%s deployment of %s, to begin at %s", d->strategy, d->version, deployment_time(d->plan.start_at)),
		NULL, ROLLOUT_METRICS);
}

/* warn: what the one who deploys should know and nothing refuses. */
static void
warn(const deployment *d)
{
	if (d->baseline_version_id)
		warn_of_baseline(d);
	if (d->plan.max_step_time > 0 && d->plan.max_step_time < d->plan.step_time &&
		d->plan.on_timeout == ROLLOUT_REACT_ROLL_BACK)
		ereport(NOTICE,
				errmsg("every step of deployment %lld times out before its time is over", (long long) d->deployment_id),
				errdetail("max_step_seconds is %g, step_seconds %g, on_timeout rollback.",
						  (double) d->plan.max_step_time / ROLLOUT_SECOND, (double) d->plan.step_time / ROLLOUT_SECOND),
				errhint("Correct one of them with model_mgr.adjust_deployment(), or promote it by hand."));
	if (d->frozen_until && deployment_is_open(d))
		ereport(NOTICE, errmsg("rollouts of model \"%s\" are frozen", d->model_name),
				errdetail("No automatic step is taken until %s.", deployment_time(d->frozen_until)),
				errhint("model_mgr.freeze(model_name, now()) ends that; promote_deployment() steps by hand."));
}

/* begin: a new deployment of a version, under the model's lock. */
static int64
begin(const wish *w, const registry_version *v, const routing_change *now)
{
	bool first = now->stable_version_id == 0 || now->stable_version_id == v->version_id;
	int64 id = insert(w, v, now, first);
	deployment d;

	(void) deployment_load(id, &d);
	deployment_ask_rules(&d);
	if (d.plan.start_at > mm_now())
		schedule(&d);
	else if (deployment_has_rules(&d))
	{
		(void) deployment_wait(&d, rollout_wait_name(ROLLOUT_WAIT_VALIDATION), d.at);
		deployment_validate(&d);
	}
	else
		deployment_start(&d, NULL);
	warn(&d);
	audit_append("deploy", v->model_name, v->version,
				 json_build(json_integer_pair("deployment_id", id),
							json_text_pair("baseline_version", d.baseline_version),
							json_text_pair("deployed_by", w->deployed_by),
							json_number_pair("traffic_percentage", d.traffic_percentage),
							json_object_pair("arguments", w->arguments)));
	return id;
}

MM_FUNCTION(mm_deploy_model_version);

/* mm_deploy_model_version(...): the deployment's row, new or the one that this call repeats. */
Datum
mm_deploy_model_version(PG_FUNCTION_ARGS)
{
	wish w = {0};
	mm_scope scope;
	registry_version v;
	routing_change now = {0};
	int64 model_id;
	int64 id;
	Datum row;

	read_wish(fcinfo, &w);
	scope = mm_enter();
	model_id = registry_lock_model(w.model_name);
	deployment_fresh(model_id);
	(void) registry_find_version(w.model_name, w.version, false, &v);
	(void) routing_get(model_id, &now);
	complete_wish(&w, model_id);

	id = earlier(model_id, &v, &w, &now);
	if (id == 0)
	{
		validator_require(deployment_plan_rules(w.rollout));
		if (strcmp(v.status, "archived") == 0)
			ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("version \"%s\" of model \"%s\" is archived", v.version, v.model_name),
					errdetail("Archived versions do not deploy."),
					errhint("Revive it with model_mgr.mark_version_ready() first."));
		deployment_plan_refuse_taken_test(w.rollout);
		registry_approval_check(&v, w.deployed_by, registry_acting());
		make_way(model_id, &v, &w);
		if (w.plan.start_at <= mm_now())
		{
			deployment_end_bake(model_id, v.version);
			/* A bake that was rolled back has put its baseline back, which may be the version asked for. */
			(void) routing_get(model_id, &now);
			id = earlier(model_id, &v, &w, &now);
		}
		if (id == 0)
			id = begin(&w, &v, &now);
	}
	row = deployment_row(id);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}
