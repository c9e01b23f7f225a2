/*
 * deployment_rollback.c: taking a version back. deployment_end() is the one way a rollout ends early, by a person or by
 * a limit; rollback_model() finds what there is to take back and where to go.
 */
#include "pg/deployment_store.h"

#include "pg/assignment.h"
#include "pg/audit.h"
#include "pg/deployment.h"
#include "pg/event.h"
#include "pg/experiment.h"
#include "pg/query.h"
#include "pg/registry_trust.h"
#include "pg/routing.h"

/* move_traffic: from the version of a rollout that has begun to `target`, with the statuses of the versions. */
static void
move_traffic(const deployment *d, bool taken_back, bool was_open, int64 target_version_id, const char *target_version,
			 const char *reason)
{
	routing_change change = {.model_id = d->model_id, .stable_version_id = target_version_id};

	registry_set_status(d->version_id, taken_back ? "rolled_back" : "inactive", reason);
	if (target_version_id && (!was_open || target_version_id != d->baseline_version_id))
	{
		/* Below 100 % the baseline still serves and steps down only for another target. */
		if (was_open && d->baseline_version_id)
			registry_set_status(d->baseline_version_id, "inactive", psprintf("replaced by %s", target_version));
		registry_set_status(target_version_id, "active", NULL);
	}
	routing_set(&change);
}

void
deployment_end(deployment *d, const char *status, int64 target_version_id, const char *target_version,
			   const char *reason, deployment_look *look, bool automatic)
{
	bool taken_back = strcmp(status, "rolled_back") == 0;
	bool was_open = deployment_is_open(d);
	bool was_pending = deployment_is_pending(d);
	double share = d->traffic_percentage;
	/* Before the state changes: evidence shows what was judged. */
	Jsonb *evidence = look ? deployment_evidence(d, look) : NULL;
	char *what;

	d->status = (char *) status;
	d->traffic_percentage = 0;
	deployment_update(d, reason);
	if (d->test_id && was_open)
		experiment_close(d, *reason ? reason : status);
	/* One that has not begun has not touched the routing. */
	if (was_pending)
		deployment_stop_validating(d);
	else
		move_traffic(d, taken_back, was_open, target_version_id, target_version, reason);
	deployment_emit(d, taken_back ? "rolled_back" : "aborted",
					json_build(json_text_pair("reason", reason), json_text_pair("target_version", target_version),
							   json_object_pair("evidence", evidence), json_boolean_pair("automatic", automatic),
							   json_number_pair("from_percentage", share)));

	what = psprintf("%s%s from %g %%: %s", automatic ? "automatically " : "", taken_back ? "rolled back" : "aborted",
					share, *reason ? reason : "no reason given");
	if (look)
		deployment_note(d, what, look, look->decision.broken);
	else
		deployment_note(d, what, NULL, ROLLOUT_METRICS);
	audit_append(taken_back ? "rollback" : "abort", d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id), json_text_pair("reason", reason),
							json_text_pair("target_version", target_version), json_boolean_pair("automatic", automatic),
							json_number_pair("from_percentage", share), json_object_pair("evidence", evidence)));
}

/* nothing_to_return_to: 55000. */
static void
nothing_to_return_to(const char *model_name, const char *detail)
{
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("model \"%s\" has nothing to roll back to", model_name), errdetail("%s.", detail),
			errhint("Name a version: model_mgr.rollback_model(model_name, target_version => ...)."));
}

/* may_return: a version that rollback may choose by itself. */
static bool
may_return(int64 version_id, registry_version *out)
{
	registry_version_by_id(version_id, out);
	return strcmp(out->status, "rolled_back") != 0 && strcmp(out->status, "failed") != 0 &&
		   strcmp(out->status, "archived") != 0;
}

/*
 * last_stable: where the last deployment d came from, or, when that version has been taken back itself, the last one
 * that completed before it and may serve again. NULL when there is one; else why there is none.
 */
static char *
last_stable(const deployment *d, registry_version *out)
{
	static query earlier = QUERY(
		"SELECT p.version_id FROM model_mgr.deployment_plan p JOIN model_mgr.deployment e ON e.deployment_id = p.deployment_id"
		" JOIN model_mgr.model_version v ON v.version_id = p.version_id"
		" WHERE p.model_id = $1 AND p.deployment_id < $2 AND e.status = 'completed' AND p.version_id <> $3"
		" AND NOT (e.strategy = 'shadow' AND e.baseline_version IS NOT NULL)"
		" AND v.status <> ALL ('{rolled_back,failed,archived}'::pg_catalog.text[])"
		" ORDER BY p.deployment_id DESC LIMIT 1",
		INT8OID, INT8OID, INT8OID);

	if (d->baseline_version_id && may_return(d->baseline_version_id, out))
		return NULL;
	if (query_run(&earlier, int64_arg(d->model_id), int64_arg(d->deployment_id), int64_arg(d->version_id)) > 0)
	{
		registry_version_by_id(query_int64(0, 0), out);
		return NULL;
	}
	return d->baseline_version ? psprintf("Version \"%s\" replaced \"%s\", which has been taken back itself",
										  d->version, d->baseline_version)
							   : psprintf("Version \"%s\" was the first to serve", d->version);
}

/* newest: the model's last deployment that began and has not been aborted, taken back or not. A shadow that passed
 * changed nothing. */
static int64
newest(int64 model_id)
{
	static query find = QUERY(
		"SELECT p.deployment_id FROM model_mgr.deployment_plan p JOIN model_mgr.deployment d ON d.deployment_id = p.deployment_id"
		" WHERE p.model_id = $1 AND d.status <> ALL ('{pending,aborted,failed}'::pg_catalog.text[]) AND d.step > 0"
		" AND NOT (d.strategy = 'shadow' AND d.status = 'completed' AND d.baseline_version IS NOT NULL)"
		" ORDER BY p.deployment_id DESC LIMIT 1",
		INT8OID);

	return query_run(&find, int64_arg(model_id)) > 0 ? query_int64(0, 0) : 0;
}

/* serving: the deployment that brought the version that serves now; 0: none. */
static int64
serving(int64 model_id, int64 version_id)
{
	static query find = QUERY(
		"SELECT p.deployment_id FROM model_mgr.deployment_plan p JOIN model_mgr.deployment d ON d.deployment_id = p.deployment_id"
		" WHERE p.model_id = $1 AND p.version_id = $2 AND d.status = ANY ('{completed,promoting}'::pg_catalog.text[])"
		" AND NOT (d.strategy = 'shadow' AND d.status = 'completed' AND d.baseline_version IS NOT NULL)"
		" ORDER BY p.deployment_id DESC LIMIT 1",
		INT8OID, INT8OID);

	return query_run(&find, int64_arg(model_id), int64_arg(version_id)) > 0 ? query_int64(0, 0) : 0;
}

/* switch_to: all traffic to a version when no deployment stands behind the one that serves now. */
static void
switch_to(const routing_change *now, const registry_version *target, const char *reason)
{
	routing_change change = {.model_id = target->model_id, .stable_version_id = target->version_id};

	if (now->stable_version_id)
	{
		registry_version taken;

		registry_set_status(now->stable_version_id, "rolled_back", reason);
		registry_version_by_id(now->stable_version_id, &taken);
		(void) event_append("deployment.rolled_back", taken.model_name, taken.version, 0,
							json_build(json_text_pair("reason", reason),
									   json_text_pair("target_version", target->version),
									   json_object_pair("evidence", NULL), json_boolean_pair("automatic", false)));
	}
	registry_set_status(target->version_id, "active", NULL);
	routing_set(&change);
	audit_append("rollback", target->model_name, target->version,
				 json_build(json_text_pair("reason", reason), json_text_pair("target_version", target->version),
							json_boolean_pair("automatic", false)));
}

/* roll_back_to: the named version gets all traffic. */
static bool
roll_back_to(int64 model_id, const registry_version *target, const char *reason)
{
	routing_change now = {0};
	deployment d;
	/* One that is pending stays so: it finds its baseline when it begins. */
	int64 id = deployment_live_id(model_id);

	(void) routing_get(model_id, &now);
	if (strcmp(target->status, "archived") == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is archived", target->version, target->model_name),
				errdetail("Archived versions do not serve."),
				errhint("Revive it with model_mgr.mark_version_ready() first, or name another version."));
	if (id != 0)
		(void) deployment_load(id, &d);
	if ((id == 0 || deployment_is_baking(&d)) && now.stable_version_id == target->version_id)
		return false;
	/* What was taken back for a reason comes back by a deployment, where it is judged again. */
	if (strcmp(target->status, "rolled_back") == 0 || strcmp(target->status, "failed") == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is %s", target->version, target->model_name, target->status),
				errdetail("A rollback never leads to a version that has been taken back or refused."),
				errhint("Deploy it by name with model_mgr.deploy_model_version(), or name another version."));
	registry_approval_check_return(target);
	if (id == 0)
		id = serving(model_id, now.stable_version_id);
	if (id == 0)
	{
		switch_to(&now, target, reason);
		return true;
	}
	(void) deployment_load(id, &d);
	if (deployment_is_open(&d) && target->version_id == d.version_id)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is being rolled out", d.version, d.model_name),
				errdetail("Deployment %lld serves it to %g %% of the traffic.", (long long) d.deployment_id,
						  d.traffic_percentage),
				errhint("Use model_mgr.promote_deployment() to go forward, or roll back without a target."));
	deployment_end(&d, "rolled_back", target->version_id, target->version, reason, NULL, false);
	return true;
}

/* under_way: what rollback without a target is about: a rollout that has begun, else one that is pending; 0: none. */
static int64
under_way(int64 model_id)
{
	int64 id = deployment_live_id(model_id);

	return id != 0 ? id : deployment_open_id(model_id, false);
}

/* ended_meanwhile: whether the rollout that was under way when the button was pressed went back, or came to nothing,
 * while its model's lock was waited for: then the wish is fulfilled, and what served before it is not meant. */
static bool
ended_meanwhile(int64 meant)
{
	deployment d;

	if (meant == 0 || !deployment_load(meant, &d) || deployment_is_open(&d) || deployment_is_baking(&d))
		return false;
	if (strcmp(d.status, "completed") == 0 && d.plan.shape != ROLLOUT_SHADOW)
		return false;
	ereport(NOTICE,
			errmsg("deployment %lld of version \"%s\" has ended meanwhile", (long long) d.deployment_id, d.version),
			errdetail("It is %s; nothing else was taken back.", d.status),
			errhint("Call model_mgr.rollback_model() again to take back what serves now."));
	return true;
}

/* roll_back_last: an open rollout returns to its baseline, else the last deployment is taken back. One that is pending
 * is called off only when nothing that serves is under way. */
static bool
roll_back_last(int64 model_id, const char *model_name, const char *reason)
{
	deployment d;
	registry_version target;
	char *why_not;
	int64 id = under_way(model_id);

	if (id && deployment_load(id, &d) && deployment_is_open(&d))
	{
		deployment_end(&d, "rolled_back", d.baseline_version_id, d.baseline_version, reason, NULL, false);
		return true;
	}
	id = newest(model_id);
	if (id == 0)
		nothing_to_return_to(model_name, "It has no deployment");
	(void) deployment_load(id, &d);
	/* Two people who press the button go back one version, not two. */
	if (strcmp(d.status, "rolled_back") == 0)
		return false;
	why_not = last_stable(&d, &target);
	if (why_not)
		nothing_to_return_to(model_name, why_not);
	deployment_end(&d, "rolled_back", target.version_id, target.version, reason, NULL, false);
	return true;
}

/* try_test: locks a test that is about to end, or gives up: nobody waits in a commit or a tick, and whoever looks next
 * finds the same breach. 55P03. */
static void
try_test(const char *test_id)
{
	if (!experiment_try(test_id))
		ereport(ERROR, errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("test \"%s\" is locked by another session", test_id),
				errdetail("Its version is to be taken back, which ends the test."),
				errhint("The next look tries again."));
}

char *
deployment_take_back(int64 model_id, int64 version_id, const char *reason, const Jsonb *evidence, int64 *deployment_id)
{
	/* Nothing was judged by a limit: the evidence is the caller's. */
	deployment_look look = {.evidence = (Jsonb *) evidence, .decision = {.broken = ROLLOUT_METRICS}};
	registry_version target;
	deployment d;
	char *why_not;
	int64 id = deployment_live_id(model_id);

	/* A version that serves in an arm of the test which carries the traffic goes with the test. */
	if (assignment_carries(model_id, version_id))
	{
		try_test(assignment_carried(model_id));
		if (assignment_stop(model_id, reason))
			return NULL;
	}
	if (id != 0)
	{
		(void) deployment_load(id, &d);
		if (d.version_id == version_id && d.baseline_version_id != 0)
		{
			try_test(d.test_id);
			deployment_end(&d, "rolled_back", d.baseline_version_id, d.baseline_version, reason, &look, true);
			*deployment_id = id;
			return NULL;
		}
		if (d.baseline_version_id == version_id && deployment_is_open(&d))
			return psprintf("It is the baseline of deployment %lld, which is under way", (long long) id);
	}
	id = newest(model_id);
	if (id == 0)
		return pstrdup("The model has no deployment");
	(void) deployment_load(id, &d);
	/* One alert goes back one deployment, and so do two: else versions would be taken back one by one, each for what
	 * perhaps ails them all. */
	if (strcmp(d.status, "rolled_back") == 0)
		return psprintf("The last deployment, %lld, has been taken back already", (long long) id);
	if (d.version_id != version_id)
		return psprintf("The last deployment, %lld, is one of version \"%s\"", (long long) id, d.version);
	why_not = last_stable(&d, &target);
	if (why_not)
		return why_not;
	deployment_end(&d, "rolled_back", target.version_id, target.version, reason, &look, true);
	*deployment_id = id;
	return NULL;
}

MM_FUNCTION(mm_rollback_model);

/* mm_rollback_model(model_name text, target_version text, reason text): true when traffic moved. */
Datum
mm_rollback_model(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *target_version = mm_text_arg(fcinfo, 1, "target_version", false);
	char *reason = mm_text_arg(fcinfo, 2, "reason", false);
	mm_scope scope = mm_enter();
	/* Before the lock is waited for: what the caller could see is what is meant. */
	int64 meant = under_way(registry_model_id(model_name, false));
	int64 model_id = registry_lock_model(model_name);
	bool moved;
	bool stopped = false;

	deployment_fresh(model_id);
	if (target_version)
	{
		registry_version target;

		(void) registry_find_version(model_name, target_version, false, &target);
		stopped = assignment_stop(model_id, reason ? reason : "");
		moved = roll_back_to(model_id, &target, reason ? reason : "");
	}
	else if (ended_meanwhile(meant))
		moved = false;
	/* A test that carries the traffic is the model's one rollout: everybody returns to what was active. */
	else if ((stopped = assignment_stop(model_id, reason ? reason : "")))
		moved = true;
	else
		moved = roll_back_last(model_id, model_name, reason ? reason : "");
	mm_leave(scope);
	PG_RETURN_BOOL(moved || stopped);
}
