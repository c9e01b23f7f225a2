/*
 * update.c: what people do with updates: asking for one, cancelling one, asserting that one went well. An update is a
 * row that waits for the tick, which takes it on (update_run.c).
 */
#include "pg/update.h"

#include "utils/array.h"

#include "pg/audit.h"
#include "pg/deployment.h"
#include "pg/deployment_store.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry_trust.h"
#include "pg/validator.h"

/* Callers that would rather fail than wait, one at a time; models have positive ids, the negative ones are listed in
 * docs/architecture.md. */
#define BUSY_LOCK (-7)

void
update_check_target(const char *model_name, const char *target_version)
{
	registry_version version;

	if (strcmp(target_version, "latest") == 0)
		return;
	(void) registry_find_version(model_name, target_version, false, &version);
	if (strcmp(version.status, "archived") == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is archived", version.version, model_name),
				errdetail("Archived versions do not deploy."),
				errhint("Revive it with model_mgr.mark_version_ready() first."));
}

char *
update_open(const char *model_name, const char *target_version, const char *schedule_id)
{
	static query find =
		QUERY("SELECT u.update_id FROM model_mgr.update_run u JOIN model_mgr.update_plan p ON p.update_id = u.update_id"
			  " WHERE u.model_name = $1 AND u.target_version = $2 AND u.schedule_id IS NOT DISTINCT FROM $3"
			  " AND u.status = ANY ('{pending,validating,deploying}'::text[]) ORDER BY p.update_no LIMIT 1",
			  TEXTOID, TEXTOID, TEXTOID);

	return query_run(&find, text_arg(model_name), text_arg(target_version), text_arg(schedule_id)) > 0
			   ? query_text(0, 0)
			   : NULL;
}

char *
update_insert(int64 model_id, const update_wish *w)
{
	static query plan =
		QUERY("WITH n AS (SELECT pg_catalog.nextval('model_mgr.update_plan_update_no_seq') AS n)"
			  " INSERT INTO model_mgr.update_plan (update_no, update_id, model_id, allow_prerelease, validation_rules,"
			  " idempotency_key, looked_up_at, asked_by) SELECT n.n, 'upd-' || n.n, $1, $2, $3, $4, $5, $6 FROM n"
			  " RETURNING update_id",
			  INT8OID, BOOLOID, JSONBOID, TEXTOID, TIMESTAMPTZOID, TEXTOID);
	static query row = QUERY(
		"INSERT INTO model_mgr.update_run (update_id, schedule_id, model_name, target_version, version, previous_version,"
		" trigger, status, status_reason, deployment_strategy, triggered_by, notes, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', 'waits for the next tick', $8, $9, $10, $11)",
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID);
	TimestampTz now = mm_now();
	update_target target;
	char *id;
	Jsonb *data;

	update_look_up(model_id, w->model_name, w->target_version, w->allow_prerelease,
				   update_bringer(w->target_version, w->schedule_id), &target);
	query_run(&plan, int64_arg(model_id), bool_arg(w->allow_prerelease), jsonb_arg(w->rules),
			  text_arg(w->idempotency_key), time_arg(now), text_arg(w->asked_by));
	id = query_text(0, 0);
	query_run(&row, text_arg(id), text_arg(w->schedule_id), text_arg(w->model_name), text_arg(w->target_version),
			  text_arg(target.found ? target.version.version : NULL), text_arg(target.active), text_arg(w->trigger),
			  text_arg(w->strategy), text_arg(w->by), datum_arg(w->notes, false), time_arg(now));
	data = json_build(json_text_pair("update_id", id), json_text_pair("schedule_id", w->schedule_id),
					  json_text_pair("target_version", w->target_version), json_text_pair("trigger", w->trigger),
					  json_text_pair("deployment_strategy", w->strategy), json_text_pair("triggered_by", w->by),
					  json_object_pair("validation_rules", w->rules));
	(void) event_append("update.queued", w->model_name, target.found ? target.version.version : NULL, 0, data);
	audit_append("trigger_update", w->model_name, target.found ? target.version.version : NULL, data);
	return id;
}

/* same_words: a NOTICE when what was asked for earlier was asked for in other words. */
static void
same_words(const char *update_id, const update_wish *w, const char *what)
{
	static query same = QUERY(
		"SELECT u.target_version = $2 AND u.deployment_strategy = $3 AND p.validation_rules = $4"
		" FROM model_mgr.update_run u JOIN model_mgr.update_plan p ON p.update_id = u.update_id WHERE u.update_id = $1",
		TEXTOID, TEXTOID, TEXTOID, JSONBOID);

	if (query_run(&same, text_arg(update_id), text_arg(w->target_version), text_arg(w->strategy), jsonb_arg(w->rules)) >
			0 &&
		!query_bool(0, 0))
		ereport(NOTICE, errmsg("%s %s, which was asked for with other arguments", what, update_id),
				errhint("Cancel it with model_mgr.cancel_update(), or use another idempotency_key."));
}

/* earlier: the update that this call repeats; NULL: none. */
static char *
earlier(int64 model_id, const update_wish *w)
{
	static query by_key =
		QUERY("SELECT p.update_id FROM model_mgr.update_plan p WHERE p.model_id = $1 AND p.idempotency_key = $2",
			  INT8OID, TEXTOID);
	static query keep_key = QUERY("UPDATE model_mgr.update_plan p SET idempotency_key = $2 WHERE p.update_id = $1"
								  " AND p.idempotency_key IS NULL",
								  TEXTOID, TEXTOID);
	char *id;

	if (w->idempotency_key && query_run(&by_key, int64_arg(model_id), text_arg(w->idempotency_key)) > 0)
	{
		id = query_text(0, 0);
		same_words(id, w, psprintf("idempotency key \"%s\" belongs to", w->idempotency_key));
		return id;
	}
	id = update_open(w->model_name, w->target_version, NULL);
	if (id)
	{
		same_words(id, w, "this target is open already:");
		/* Whoever repeats this call gets it then, too, whatever has become of it. */
		if (w->idempotency_key)
			query_run(&keep_key, text_arg(id), text_arg(w->idempotency_key));
	}
	return id;
}

/*
 * refuse_busy: 53400 unless the next tick could begin it. Of two callers at once the second counts after the first has
 * committed, so that there is a place for each of those that are told so.
 */
static void
refuse_busy(int64 model_id, const char *model_name)
{
	static query open = QUERY(
		"SELECT count(*), pg_catalog.min(u.update_id) FILTER (WHERE u.model_name = $1) FROM model_mgr.update_run u"
		" WHERE u.status = ANY ('{pending,validating,deploying}'::text[])",
		TEXTOID);
	int64 deployment_id = deployment_open_id(model_id, false);
	char *detail = NULL;

	query_run(&open, text_arg(model_name));
	if (!query_isnull(0, 1))
		detail = psprintf("Update %s of the model is open, and each waits for the one before.", query_text(0, 1));
	else if (query_int64(0, 0) >= guc_update_max_concurrent)
		detail = psprintf("Updates open: %lld; model_mgr.update_max_concurrent is %d.", (long long) query_int64(0, 0),
						  guc_update_max_concurrent);
	else if (deployment_id)
		detail = psprintf("Deployment %lld of the model is below 100 %%.", (long long) deployment_id);
	if (detail)
		ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("an update of model \"%s\" could not begin now", model_name), errdetail("%s", detail),
				errhint("Leave when_busy out to let it wait, or try again later."));
}

/* read_word: one of these words, the first one for NULL; 22023. */
static const char *
read_word(FunctionCallInfo fcinfo, int argno, const char *name, const char *const *words, int count)
{
	char *word = mm_text_arg(fcinfo, argno, name, false);
	StringInfoData list;

	if (word == NULL)
		return words[0];
	initStringInfo(&list);
	for (int i = 0; i < count; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return words[i];
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", words[i]);
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown %s \"%s\"", name, word),
			errdetail("It may be %s.", list.data), errhint("Leave it out for %s.", words[0]));
}

/* read_notes: a list of texts, of any length. */
static Datum
read_notes(FunctionCallInfo fcinfo, int argno)
{
	ArrayType *notes;

	if (PG_ARGISNULL(argno))
		return PointerGetDatum(construct_empty_array(TEXTOID));
	notes = PG_GETARG_ARRAYTYPE_P(argno);
	if (ARR_NDIM(notes) > 1)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("notes must be a list"),
				errdetail("The array has %d dimensions.", ARR_NDIM(notes)), errhint("Write ARRAY['one', 'another']."));
	if (array_contains_nulls(notes))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("notes must not be null"),
				errdetail("An element of the array is null."), errhint("Leave the element out."));
	return PointerGetDatum(notes);
}

MM_FUNCTION(mm_trigger_update);

/* mm_trigger_update(...): the update_id, new or the one that this call repeats. */
Datum
mm_trigger_update(PG_FUNCTION_ARGS)
{
	static const char *const triggers[] = {"manual", "scheduled", "performance", "ab_test", "api"};
	static const char *const busy_words[] = {"wait", "fail"};
	update_wish w = {.model_name = mm_text_arg(fcinfo, 0, "model_name", true),
					 .target_version = mm_text_arg(fcinfo, 1, "target_version", true),
					 .trigger = read_word(fcinfo, 2, "trigger", triggers, lengthof(triggers)),
					 .strategy = deployment_strategy(mm_text_arg(fcinfo, 3, "deployment_strategy", false)),
					 .by = mm_by(mm_text_arg(fcinfo, 4, "triggered_by", false)),
					 .notes = read_notes(fcinfo, 5),
					 .rules = validator_rules(PG_ARGISNULL(6) ? NULL : PG_GETARG_JSONB_P(6)),
					 .idempotency_key = mm_text_arg(fcinfo, 7, "idempotency_key", false)};
	bool wait = read_word(fcinfo, 8, "when_busy", busy_words, lengthof(busy_words)) == busy_words[0];
	int64 model_id;
	char *id;
	Datum result;
	mm_scope scope;

	mm_check_name("triggered_by", w.by);
	if (w.idempotency_key)
		mm_check_name("idempotency key", w.idempotency_key);
	scope = mm_enter();
	/* Before the model's lock: who waits here keeps nobody else from the model. */
	if (!wait)
		(void) mm_lock_model(BUSY_LOCK, true);
	model_id = registry_lock_model(w.model_name);
	deployment_fresh(model_id);
	id = earlier(model_id, &w);
	if (id == NULL)
	{
		update_check_target(w.model_name, w.target_version);
		validator_require(w.rules);
		if (!wait)
			refuse_busy(model_id, w.model_name);
		w.asked_by = registry_acting();
		id = update_insert(model_id, &w);
	}
	result = query_result_text(id);
	mm_leave(scope);
	PG_RETURN_DATUM(result);
}

/* no_such_update: 42704. */
static void
no_such_update(const char *update_id)
{
	ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("update \"%.100s\" does not exist", update_id),
			errdetail("No update has this id."),
			errhint("trigger_update() returns it; list_updates() shows all, as in upd-1."));
}

MM_FUNCTION(mm_cancel_update);

/* mm_cancel_update(update_id text, reason text): what it deploys is aborted, which ends the update too. */
Datum
mm_cancel_update(PG_FUNCTION_ARGS)
{
	static query model = QUERY("SELECT p.model_id, u.model_name FROM model_mgr.update_plan p"
							   " JOIN model_mgr.update_run u ON u.update_id = p.update_id WHERE p.update_id = $1",
							   TEXTOID);
	static query read =
		QUERY("SELECT u.status, u.deployment_id FROM model_mgr.update_run u WHERE u.update_id = $1", TEXTOID);
	char *id = mm_text_arg(fcinfo, 0, "update_id", true);
	char *reason = mm_text_arg(fcinfo, 1, "reason", false);
	bool cancelled = false;
	int64 model_id;
	char *status;
	char *why;
	mm_scope scope = mm_enter();

	if (query_run(&model, text_arg(id)) == 0)
		no_such_update(id);
	model_id = query_int64(0, 0);
	registry_check_grant(query_text(0, 1));
	(void) mm_lock_model(model_id, true);
	deployment_fresh(model_id);
	if (query_run(&read, text_arg(id)) == 0)
		no_such_update(id);
	status = query_text(0, 0);
	why = reason && *reason ? psprintf("cancelled by %s: %s", mm_session_user_name(), reason)
							: psprintf("cancelled by %s", mm_session_user_name());
	if (strcmp(status, "deploying") == 0)
	{
		deployment d;

		if (deployment_load(query_int64(0, 1), &d) && deployment_is_open(&d))
		{
			deployment_end(&d, "aborted", d.baseline_version_id, d.baseline_version,
						   psprintf("update %s was %s", id, why), NULL, false);
			cancelled = true;
		}
	}
	else if (strcmp(status, "pending") == 0 || strcmp(status, "validating") == 0)
	{
		update_end(id, "cancelled", why, NULL);
		cancelled = true;
	}
	mm_leave(scope);
	PG_RETURN_BOOL(cancelled);
}

MM_FUNCTION(mm_assert_update_succeeded);

/* mm_assert_update_succeeded(update_id text): 55000 unless it has completed. */
Datum
mm_assert_update_succeeded(PG_FUNCTION_ARGS)
{
	static query read = QUERY("SELECT u.model_name, u.target_version, u.status, pg_catalog.rtrim(u.status_reason, '.')"
							  " FROM model_mgr.update_run u WHERE u.update_id = $1",
							  TEXTOID);
	char *id = mm_text_arg(fcinfo, 0, "update_id", true);
	mm_scope scope = mm_enter();
	char *why;

	if (query_run(&read, text_arg(id)) == 0)
		no_such_update(id);
	why = query_text(0, 3);
	if (strcmp(query_text(0, 2), "completed") != 0)
		ereport(
			ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("update %s of model \"%s\" to \"%s\" has not succeeded", id, query_text(0, 0), query_text(0, 1)),
			errdetail("Its status is %s%s%s.", query_text(0, 2), why ? ": " : "", why ? why : ""),
			errhint("CALL model_mgr.wait_for_update('%s') waits for its end; get_update_status() shows its validation.",
					id));
	mm_leave(scope);
	PG_RETURN_VOID();
}
