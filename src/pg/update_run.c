/*
 * update_run.c: taking updates on. The tick looks at each model's first open update: one that is pending begins when
 * there is a place for it and nothing in its way, one whose rules are all judged is deployed or fails, and what becomes
 * of its deployment is told by the deployment itself (update_follow). Each update goes in a subtransaction of its own,
 * under its model's lock; of two ticks at once one takes updates on, so that no more than update_max_concurrent begin.
 *
 * What is in the way (a lock, a place, another rollout) is waited for; what refuses (a rule, an archived version) ends
 * the update.
 */
#include "pg/update.h"

#include "miscadmin.h"

#include "pg/audit.h"
#include "pg/deployment_store.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry_trust.h"
#include "pg/validator.h"

/* One tick at a time; models have positive ids, the negative ones are listed in docs/architecture.md. */
#define UPDATES_LOCK (-6)

/* An open update as the tick reads it. */
typedef struct run
{
	int64 model_id;
	char *update_id;
	char *schedule_id;
	char *model_name;
	char *target_version;
	char *version;
	char *status;
	char *status_reason;
	char *strategy;
	char *triggered_by;
	char *asked_by;
	bool allow_prerelease;
	Jsonb *rules;
	TimestampTz looked_up_at;
	int64 version_id; /* 0: not begun */
} run;

/* is_newer: than the active version, if there is one. */
static bool
is_newer(int64 model_id, int64 version_id)
{
	static query newer =
		QUERY("SELECT (model_mgr.version_order(v.version), v.created_at, v.version_id) >"
			  " (model_mgr.version_order(a.version), a.created_at, a.version_id) FROM model_mgr.model_version v,"
			  " model_mgr.model_version a WHERE v.version_id = $2 AND a.model_id = $1 AND a.status = 'active'",
			  INT8OID, INT8OID);

	return query_run(&newer, int64_arg(model_id), int64_arg(version_id)) == 0 || query_bool(0, 0);
}

/* look_up_latest: the highest version that may be deployed, and why not that one: it is no higher than the active one.
 */
static void
look_up_latest(int64 model_id, const char *model_name, bool allow_prerelease, update_target *t)
{
	static query latest = QUERY("SELECT model_mgr.resolve_version($1, 'latest', $2)", TEXTOID, BOOLOID);
	static query passed_over = QUERY(
		"SELECT pg_catalog.string_agg(pg_catalog.format('%s is %s', v.version,"
		" CASE WHEN v.status = ANY ('{pending,ready,inactive}'::text[]) THEN 'a pre-release' ELSE v.status END), ', ' ORDER BY model_mgr.version_order(v.version) DESC),"
		" pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('version', v.version, 'status', v.status))"
		" FROM model_mgr.model_version v WHERE v.model_id = $1 AND v.status <> 'active'"
		" AND (v.status <> ALL ('{pending,ready,inactive}'::text[]) OR NOT $2 AND model_mgr.is_prerelease(v.version))"
		" AND coalesce((SELECT (model_mgr.version_order(v.version), v.created_at, v.version_id) >"
		" (model_mgr.version_order(a.version), a.created_at, a.version_id) FROM model_mgr.model_version a"
		" WHERE a.model_id = $1 AND a.status = 'active'), true)",
		INT8OID, BOOLOID);
	char *over;

	query_run(&latest, text_arg(model_name), bool_arg(allow_prerelease));
	t->found = !query_isnull(0, 0) && registry_find_version(model_name, query_text(0, 0), true, &t->version);
	t->serves = t->found && t->active && strcmp(t->version.version, t->active) == 0;
	if (t->found && !t->serves && is_newer(model_id, t->version.version_id))
		return;
	query_run(&passed_over, int64_arg(model_id), bool_arg(allow_prerelease));
	over = query_text(0, 0);
	t->evidence =
		json_build(json_text_pair("active", t->active), json_text_pair("latest", t->found ? t->version.version : NULL),
				   json_object_pair("passed_over", query_jsonb(0, 1)));
	t->not_to_be = psprintf("no version newer than %s may be deployed%s%s", t->active ? t->active : "none",
							over ? ": " : "", over ? over : "");
	if (t->active == NULL)
		t->not_to_be = psprintf("no version may be deployed%s%s", over ? ": " : "", over ? over : "");
}

const char *
update_bringer(const char *target_version, const char *schedule_id)
{
	return schedule_id ? "a schedule" : strcmp(target_version, "latest") == 0 ? "latest" : NULL;
}

void
update_look_up(int64 model_id, const char *model_name, const char *target_version, bool allow_prerelease,
			   const char *bringer, update_target *t)
{
	static query active =
		QUERY("SELECT v.version FROM model_mgr.model_version v WHERE v.model_id = $1 AND v.status = 'active'", INT8OID);

	memset(t, 0, sizeof(*t));
	if (query_run(&active, int64_arg(model_id)) > 0)
		t->active = query_text(0, 0);
	if (strcmp(target_version, "latest") == 0)
	{
		look_up_latest(model_id, model_name, allow_prerelease, t);
		return;
	}
	t->found = registry_find_version(model_name, target_version, true, &t->version);
	t->serves = t->found && t->active && strcmp(t->version.version, t->active) == 0;
	if (!t->found || bringer == NULL)
		return;
	if (t->serves)
		t->not_to_be = psprintf("version %s serves already", t->version.version);
	else if (strcmp(t->version.status, "rolled_back") == 0 || strcmp(t->version.status, "failed") == 0 ||
			 strcmp(t->version.status, "archived") == 0)
		t->not_to_be =
			psprintf("version %s is %s, and %s does not bring it back", t->version.version, t->version.status, bringer);
	t->evidence = json_build(json_text_pair("active", t->active), json_text_pair("version", t->version.version),
							 json_text_pair("status", t->version.status));
}

/* store: status and what is told of it; events of what goes on, not of what it waits for. */
static void
store(const char *update_id, const char *status, const char *reason, bool ends)
{
	static query set = QUERY("UPDATE model_mgr.update_run u SET status = $2, status_reason = $3, finished_at = $4"
							 " WHERE u.update_id = $1 AND (u.status, u.status_reason) IS DISTINCT FROM ($2, $3)",
							 TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);

	query_run(&set, text_arg(update_id), text_arg(status), text_arg(reason), ends ? time_arg(mm_now()) : null_arg());
}

/* tell: the event update.<what>, and with an operation its audit line, with the row as it is now. */
static void
tell(const char *update_id, const char *what, const char *operation, const Jsonb *evidence)
{
	static query read = QUERY(
		"SELECT u.model_name, u.version, u.deployment_id, u.schedule_id, u.target_version, u.previous_version, u.status,"
		" u.status_reason, u.validation_passed, u.trigger, u.validation_results FROM model_mgr.update_run u WHERE u.update_id = $1",
		TEXTOID);
	Jsonb *data;
	char *model_name;
	char *version;
	int64 deployment_id;

	query_run(&read, text_arg(update_id));
	model_name = query_text(0, 0);
	version = query_text(0, 1);
	deployment_id = query_int64(0, 2);
	data = json_build(
		json_text_pair("update_id", update_id), json_text_pair("schedule_id", query_text(0, 3)),
		json_text_pair("target_version", query_text(0, 4)), json_text_pair("previous_version", query_text(0, 5)),
		json_text_pair("status", query_text(0, 6)), json_text_pair("reason", query_text(0, 7)),
		query_isnull(0, 8) ? json_text_pair("validation_passed", NULL)
						   : json_boolean_pair("validation_passed", query_bool(0, 8)),
		json_text_pair("trigger", query_text(0, 9)), json_object_pair("validation_results", query_jsonb(0, 10)),
		json_object_pair("evidence", evidence));
	(void) event_append(psprintf("update.%s", what), model_name, version, deployment_id, data);
	audit_append(operation, model_name, version, data);
}

void
update_end(const char *update_id, const char *status, const char *reason, const Jsonb *evidence)
{
	static query results = QUERY("UPDATE model_mgr.update_run u SET validation_results = $2"
								 " WHERE u.update_id = $1 AND u.status = 'validating' AND u.validation_results <> $2",
								 TEXTOID, JSONBOID);

	/* Of rules that were judged since the last tick, too. */
	query_run(&results, text_arg(update_id), jsonb_arg(validator_results(update_id, 0)));
	store(update_id, status, reason, true);
	tell(update_id, status, strcmp(status, "cancelled") == 0 ? "cancel_update" : "end_update", evidence);
}

void
update_follow(int64 deployment_id, const char *status, const char *reason)
{
	static query waiting = QUERY(
		"SELECT u.update_id, u.status FROM model_mgr.update_run u JOIN model_mgr.update_plan p ON p.update_id = u.update_id"
		" WHERE u.deployment_id = $1 AND (u.status = 'deploying' OR u.status = 'completed' AND p.baking) ORDER BY p.update_no",
		INT8OID);
	static query baking = QUERY(
		"UPDATE model_mgr.update_plan p SET baking = $2 WHERE p.update_id = $1 AND p.baking <> $2", TEXTOID, BOOLOID);
	uint64 count = query_run(&waiting, int64_arg(deployment_id));
	char **ids = palloc(sizeof(char *) * (count + 1));
	bool *completed = palloc(sizeof(bool) * (count + 1));
	bool bakes = strcmp(status, "promoting") == 0;
	bool serves = bakes || strcmp(status, "completed") == 0;
	const char *end = serves ? "completed" : "failed";
	const char *what = bakes ? "serves 100 %" : serves ? "has completed" : "has failed";

	if (strcmp(status, "rolled_back") == 0)
	{
		end = "rolled_back";
		what = "was rolled back";
	}
	else if (strcmp(status, "aborted") == 0)
	{
		end = "cancelled";
		what = "was aborted";
	}
	for (uint64 i = 0; i < count; i++)
	{
		ids[i] = query_text(i, 0);
		completed[i] = strcmp(query_text(i, 1), "completed") == 0;
	}
	for (uint64 i = 0; i < count; i++)
	{
		query_run(&baking, text_arg(ids[i]), bool_arg(bakes));
		if (!serves || !completed[i])
			update_end(ids[i], end,
					   psprintf("deployment %lld %s%s%s", (long long) deployment_id, what,
								reason && *reason ? ": " : "", reason && *reason ? reason : ""),
					   NULL);
	}
}

/* wait_for: the update stays what it is, and says what for. */
static int64
wait_for(const run *u, const char *reason)
{
	store(u->update_id, u->status, reason, false);
	return 0;
}

/* What deploying gives. */
typedef struct deploying
{
	const run *update;
	int64 deployment_id;
	char *status;
	char *reason;
} deploying;

static int64
call_deploy(int64 argument)
{
	static query deploy =
		QUERY("SELECT d.deployment_id, d.status, d.status_reason FROM model_mgr.deploy_model_version($1, $2, $3, $4) d",
			  TEXTOID, TEXTOID, TEXTOID, TEXTOID);
	deploying *d = (deploying *) (intptr_t) argument;

	query_run(&deploy, text_arg(d->update->model_name), text_arg(d->update->version), text_arg(d->update->strategy),
			  text_arg(d->update->triggered_by));
	d->deployment_id = query_int64(0, 0);
	d->status = query_text(0, 1);
	d->reason = query_text(0, 2);
	return 1;
}

/* in_the_way: errors that another time may not have, a full disk among them. */
static bool
in_the_way(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES ||
		   error->sqlerrcode == ERRCODE_OBJECT_IN_USE || error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		   error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE || error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * blocker: what the next one has to wait for: a rollout below 100 % of another version, or, of what nobody asked for
 * just now, the end of a freeze; NULL: nothing.
 */
static char *
blocker(const run *u, const char *version)
{
	static query freeze = QUERY("SELECT f.frozen_until FROM model_mgr.deployment_freeze f WHERE f.model_id = $1"
								" AND f.frozen_until > $2",
								INT8OID, TIMESTAMPTZOID);
	int64 id = deployment_open_id(u->model_id, false);
	deployment d;

	if (u->schedule_id && query_run(&freeze, int64_arg(u->model_id), time_arg(mm_now())) > 0)
		return psprintf("waits: the model is frozen until %s", deployment_time(query_time(0, 0)));
	if (id == 0 || !deployment_load(id, &d) || (version && strcmp(d.version, version) == 0))
		return NULL;
	return psprintf("waits for deployment %lld of version %s, %s at %g %% of traffic", (long long) id, d.version,
					d.status, d.traffic_percentage);
}

/* deploy: the rules are passed, or there are none. */
static int64
deploy(const run *u)
{
	static query set = QUERY("UPDATE model_mgr.update_run u SET status = 'deploying', status_reason = NULL,"
							 " deployment_id = $2, validation_passed = true WHERE u.update_id = $1",
							 TEXTOID, INT8OID);
	deploying d = {.update = u};
	ErrorData *error;
	char *wait = blocker(u, u->version);
	volatile bool deployed = false;
	const char *volatile acting;
	int64 items;

	if (wait)
		return wait_for(u, wait);
	/* Who happens to tick deploys nothing: approvals are counted for the one who asked. */
	acting = registry_act_as(u->asked_by);
	PG_TRY();
	{
		deployed = mm_attempt(call_deploy, (intptr_t) &d, &items, &error);
	}
	PG_FINALLY();
	{
		(void) registry_act_as(acting);
	}
	PG_END_TRY();
	if (!deployed)
	{
		char *why = psprintf("%s%s%s", error->message, error->detail ? ": " : "", error->detail ? error->detail : "");

		if (in_the_way(error))
			return wait_for(u, psprintf("waits: %s", why));
		update_end(u->update_id, "failed", psprintf("it could not be deployed: %s", why),
				   json_build(json_text_pair("sqlstate", unpack_sql_state(error->sqlerrcode)),
							  json_text_pair("message", error->message), json_text_pair("detail", error->detail)));
		return 1;
	}
	query_run(&set, text_arg(u->update_id), int64_arg(d.deployment_id));
	tell(u->update_id, "deployed", "deploy_update", NULL);
	/* It may have gone all the way at once. */
	if (strcmp(d.status, "promoting") == 0 || strcmp(d.status, "completed") == 0 || strcmp(d.status, "failed") == 0)
		update_follow(d.deployment_id, d.status, d.reason);
	return 1;
}

/* last_deployment: that which brought the version that serves. */
static int64
last_deployment(int64 version_id)
{
	static query find = QUERY(
		"SELECT p.deployment_id FROM model_mgr.deployment_plan p JOIN model_mgr.deployment d ON d.deployment_id = p.deployment_id"
		" WHERE p.version_id = $1 AND d.status = ANY ('{promoting,completed}'::text[]) ORDER BY p.deployment_id DESC LIMIT 1",
		INT8OID);

	return query_run(&find, int64_arg(version_id)) > 0 ? query_int64(0, 0) : 0;
}

/* set_version: what it means, and what serves now. */
static void
set_version(const run *u, const update_target *t, bool for_good)
{
	static query row = QUERY("UPDATE model_mgr.update_run u SET version = $2, previous_version = $3"
							 " WHERE u.update_id = $1 AND (u.version, u.previous_version) IS DISTINCT FROM ($2, $3)",
							 TEXTOID, TEXTOID, TEXTOID);
	static query plan =
		QUERY("UPDATE model_mgr.update_plan p SET version_id = $2, looked_up_at = $3 WHERE p.update_id = $1", TEXTOID,
			  INT8OID, TIMESTAMPTZOID);

	query_run(&row, text_arg(u->update_id), text_arg(t->found ? t->version.version : NULL), text_arg(t->active));
	query_run(&plan, text_arg(u->update_id), for_good && t->found ? int64_arg(t->version.version_id) : null_arg(),
			  time_arg(mm_now()));
}

/* serves_already: nothing is to be done, and that is well. */
static void
serves_already(const run *u, const update_target *t)
{
	static query set =
		QUERY("UPDATE model_mgr.update_run u SET deployment_id = $2 WHERE u.update_id = $1", TEXTOID, INT8OID);
	int64 id = last_deployment(t->version.version_id);

	if (id)
		query_run(&set, text_arg(u->update_id), int64_arg(id));
	update_end(u->update_id, "completed", psprintf("version %s serves already", t->version.version), NULL);
}

/* ends_without: whether an update ends without a deployment of its own, which then is done. */
static bool
ends_without(const run *u, const update_target *t, const char *version)
{
	if (t->not_to_be)
		update_end(u->update_id, "skipped", t->not_to_be, t->evidence);
	else if (!t->found)
		update_end(u->update_id, "failed", psprintf("version %s does not exist any more", version), NULL);
	else if (t->serves)
		serves_already(u, t);
	else
		return false;
	return true;
}

/*
 * overtaken: whether what happened while its rules were judged has ended an update: the version was brought by somebody
 * else, was taken back, or was made anew under its name; or latest would be a step back by now.
 */
static bool
overtaken(const run *u)
{
	update_target t;

	update_look_up(u->model_id, u->model_name, u->version, u->allow_prerelease,
				   update_bringer(u->target_version, u->schedule_id), &t);
	/* Another one of that name: not the one that was judged. */
	t.found &= t.version.version_id == u->version_id;
	if (t.found && t.not_to_be == NULL && strcmp(u->target_version, "latest") == 0 &&
		!is_newer(u->model_id, u->version_id))
	{
		t.not_to_be = psprintf("version %s is not newer than %s, which serves by now", u->version, t.active);
		t.evidence = json_build(json_text_pair("active", t.active), json_text_pair("version", u->version));
	}
	if (!t.found)
		t.not_to_be = NULL;
	return ends_without(u, &t, u->version);
}

/* begin: its turn has come: what it means now is what it means for good. */
static int64
begin(run *u)
{
	static query validating =
		QUERY("UPDATE model_mgr.update_run u SET status = 'validating', status_reason = 'waits for its validators'"
			  " WHERE u.update_id = $1",
			  TEXTOID);
	update_target t;

	update_look_up(u->model_id, u->model_name, u->target_version, u->allow_prerelease,
				   update_bringer(u->target_version, u->schedule_id), &t);
	set_version(u, &t, true);
	if (ends_without(u, &t, u->target_version))
		return 1;
	if (JB_ROOT_COUNT(u->rules) > 0)
	{
		query_run(&validating, text_arg(u->update_id));
		validator_ask(u->update_id, 0, u->rules, mm_now());
		tell(u->update_id, "started", "start_update", NULL);
	}
	else
	{
		u->version = t.version.version;
		tell(u->update_id, "started", "start_update", NULL);
		return deploy(u);
	}
	return 1;
}

/* look_again: which version a waiting update would mean, when the last look was long ago. */
static void
look_again(const run *u)
{
	update_target t;

	if (mm_now() - u->looked_up_at < guc_update_check_interval * USECS_PER_MINUTE)
		return;
	update_look_up(u->model_id, u->model_name, u->target_version, u->allow_prerelease,
				   update_bringer(u->target_version, u->schedule_id), &t);
	set_version(u, &t, false);
}

/* judge: what the validators have said so far, and what follows when all have. */
static int64
judge(run *u)
{
	static query set =
		QUERY("UPDATE model_mgr.update_run u SET validation_results = $2, validation_passed = $3"
			  " WHERE u.update_id = $1 AND (u.validation_results, u.validation_passed) IS DISTINCT FROM ($2, $3)",
			  TEXTOID, JSONBOID, BOOLOID);
	char *why;
	validator_verdict verdict = validator_judge(u->update_id, 0, &why);

	query_run(&set, text_arg(u->update_id), jsonb_arg(validator_results(u->update_id, 0)),
			  verdict == VALIDATOR_WAITS ? null_arg() : bool_arg(verdict == VALIDATOR_PASSED));
	if (overtaken(u))
		return 1;
	if (verdict == VALIDATOR_WAITS)
		return 0;
	if (verdict == VALIDATOR_REFUSED)
	{
		update_end(u->update_id, "failed", why, NULL);
		return 1;
	}
	return deploy(u);
}

/* Updates validating or deploying, of all models. */
static int64
places_taken(void)
{
	static query count =
		QUERY("SELECT count(*) FROM model_mgr.update_run u WHERE u.status = ANY ('{validating,deploying}'::text[])");

	query_run(&count);
	return query_int64(0, 0);
}

/* advance: a model's first open update as far as it goes now, unless somebody else has the model. */
static int64
advance(int64 update_no)
{
	static query model = QUERY("SELECT p.model_id FROM model_mgr.update_plan p WHERE p.update_no = $1", INT8OID);
	static query read = QUERY(
		"SELECT u.update_id, u.schedule_id, u.model_name, u.target_version, u.version, u.status, u.status_reason,"
		" u.deployment_strategy, u.triggered_by, p.allow_prerelease, p.validation_rules, p.looked_up_at, p.version_id, p.asked_by"
		" FROM model_mgr.update_plan p JOIN model_mgr.update_run u ON u.update_id = p.update_id WHERE p.update_no = $1",
		INT8OID);
	run u = {0};
	char *wait;

	if (query_run(&model, int64_arg(update_no)) == 0)
		return 0;
	u.model_id = query_int64(0, 0);
	if (!mm_lock_model(u.model_id, false) || query_run(&read, int64_arg(update_no)) == 0)
		return 0;
	u.update_id = query_text(0, 0);
	u.schedule_id = query_text(0, 1);
	u.model_name = query_text(0, 2);
	u.target_version = query_text(0, 3);
	u.version = query_text(0, 4);
	u.status = query_text(0, 5);
	u.status_reason = query_text(0, 6);
	u.strategy = query_text(0, 7);
	u.triggered_by = query_text(0, 8);
	u.allow_prerelease = query_bool(0, 9);
	u.rules = query_jsonb(0, 10);
	u.looked_up_at = query_time(0, 11);
	u.version_id = query_int64(0, 12);
	u.asked_by = query_text(0, 13);
	if (strcmp(u.status, "validating") == 0)
		return judge(&u);
	if (strcmp(u.status, "pending") != 0)
		return 0;
	wait = blocker(&u, strcmp(u.target_version, "latest") == 0 ? NULL : u.version);
	if (wait == NULL && places_taken() >= guc_update_max_concurrent)
		wait = psprintf("waits for a place: model_mgr.update_max_concurrent is %d", guc_update_max_concurrent);
	if (wait == NULL)
		return begin(&u);
	look_again(&u);
	return wait_for(&u, wait);
}

int64
update_advance_all(TimestampTz deadline, int64 *failed)
{
	/* The first one of each model that has any; those that deploy are told by their deployments. */
	static query open = QUERY(
		"SELECT x.update_no FROM (SELECT DISTINCT ON (p.model_id) p.update_no, u.status FROM model_mgr.update_run u"
		" JOIN model_mgr.update_plan p ON p.update_id = u.update_id WHERE u.status = ANY ('{pending,validating,deploying}'::text[])"
		" ORDER BY p.model_id, p.update_no) x WHERE x.status <> 'deploying' ORDER BY x.status <> 'validating', x.update_no");
	int64 changed;
	uint64 count;
	int64 *numbers;
	int64 items;

	if (!mm_lock_model(UPDATES_LOCK, false))
		return 0;
	changed = schedule_run_due(deadline, failed);
	count = query_run(&open);
	numbers = palloc(sizeof(int64) * (count + 1));
	for (uint64 i = 0; i < count; i++)
		numbers[i] = query_int64(i, 0);
	deadline = mm_turn(deadline);
	for (uint64 i = 0; i < count && GetCurrentTimestamp() < deadline; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (mm_guarded(advance, numbers[i], psprintf("update upd-%lld", (long long) numbers[i]), &items))
			changed += items;
		else
			(*failed)++;
	}
	return changed;
}
