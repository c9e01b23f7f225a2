/*
 * registry_delete.c: taking versions and models out of the registry. Only what never served goes, or a model that is
 * archived as a whole: who served a request must stay answerable. Observations stay until retention drops them; the
 * audit log keeps the names.
 */
#include "pg/registry.h"

#include "pg/alert_store.h"
#include "pg/audit.h"
#include "pg/event.h"
#include "pg/experiment_store.h"
#include "pg/query.h"

MM_FUNCTION(mm_delete_model_version);
MM_FUNCTION(mm_delete_model);

/* What makes a version one that served, as SQL over a row v of model_version; text, NULL when nothing does. */
#define SERVED                                                                                                         \
	"CASE WHEN EXISTS (SELECT FROM model_mgr.deployment_plan p WHERE p.version_id = v.version_id)"                     \
	" THEN 'it was deployed'"                                                                                          \
	" WHEN EXISTS (SELECT FROM model_mgr.deployment_plan p WHERE p.model_id = v.model_id"                              \
	" AND p.baseline_version_id = v.version_id) THEN 'it was the baseline of a deployment'"                            \
	" WHEN EXISTS (SELECT FROM model_mgr.routing_pin p WHERE p.model_id = v.model_id"                                  \
	" AND p.version_id = v.version_id) THEN 'units were pinned to it'"                                                 \
	" WHEN EXISTS (SELECT FROM model_mgr.routing_history h WHERE h.model_id = v.model_id"                              \
	" AND (h.stable_version_id = v.version_id OR h.candidate_version_id = v.version_id))"                              \
	" THEN 'requests were routed to it'"                                                                               \
	" WHEN EXISTS (SELECT FROM model_mgr.routing_history h, pg_catalog.jsonb_array_elements(h.segments) s"             \
	" WHERE h.model_id = v.model_id AND (s.value ->> 'version_id')::bigint = v.version_id)"                            \
	" THEN 'a segment was sent to it'"                                                                                 \
	" WHEN EXISTS (SELECT FROM model_mgr.ab_test_arm a JOIN model_mgr.ab_test_plan p ON p.test_no = a.test_no"         \
	" JOIN model_mgr.ab_test t ON t.test_id = p.test_id WHERE a.version_id = v.version_id AND t.routes_traffic)"       \
	" THEN 'a test routed requests to it' END"

Datum
mm_delete_model_version(PG_FUNCTION_ARGS)
{
	static query served = QUERY("SELECT " SERVED " FROM model_mgr.model_version v WHERE v.version_id = $1", INT8OID);
	static query referrers = QUERY(
		"SELECT pg_catalog.format('version \"%s\" has it as its parent', c.version), 'Delete that version first.'"
		" FROM model_mgr.model_version c WHERE c.model_id = $1 AND c.parent_version = $2"
		" UNION ALL SELECT pg_catalog.format('alias \"%s\" names it', a.alias),"
		" 'Move the alias with set_alias() or remove it with delete_alias() first.'"
		" FROM model_mgr.model_alias a WHERE a.version_id = $3"
		" UNION ALL SELECT pg_catalog.format('test \"%s\" runs with it', t.test_id), 'Stop the test first: stop_test().'"
		" FROM model_mgr.ab_test_arm a JOIN model_mgr.ab_test_plan p ON p.test_no = a.test_no"
		" JOIN model_mgr.ab_test t ON t.test_id = p.test_id WHERE a.version_id = $3 AND t.status = 'running' LIMIT 1",
		INT8OID, TEXTOID, INT8OID);
	static query delete = QUERY("DELETE FROM model_mgr.model_version v WHERE v.version_id = $1", INT8OID);
	static query forget = QUERY("WITH creator AS (DELETE FROM model_mgr.version_creator c WHERE c.version_id = $1)"
								" DELETE FROM model_mgr.version_approval a WHERE a.version_id = $1",
								INT8OID);
	/* Whoever waits for the model's lock with an older snapshot still sees the version; writing the row that he writes
	 * too gives him the server's own 40001. */
	static query touch =
		QUERY("UPDATE model_mgr.routing r SET changed_at = r.changed_at WHERE r.model_id = $1", INT8OID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "version", true);
	mm_scope scope = mm_enter();
	registry_version found;
	bool there;

	(void) registry_lock_model(model_name);
	there = registry_find_version(model_name, version, true, &found);
	if (there)
	{
		query_run(&served, int64_arg(found.version_id));
		if (!query_isnull(0, 0))
			ereport(
				ERROR, errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("version \"%s\" of model \"%s\" has served and cannot be deleted", found.version, model_name),
				errdetail("It is %s; %s.", found.status, query_text(0, 0)),
				errhint("Archive it with archive_model_version()."));
		if (query_run(&referrers, int64_arg(found.model_id), text_arg(found.version), int64_arg(found.version_id)) > 0)
			ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("version \"%s\" of model \"%s\" is in use and cannot be deleted", found.version, model_name),
					errdetail("In use: %s.", query_text(0, 0)), errhint("%s", query_text(0, 1)));
		query_run(&forget, int64_arg(found.version_id));
		query_run(&delete, int64_arg(found.version_id));
		query_run(&touch, int64_arg(found.model_id));
		(void) event_append("version.deleted", model_name, found.version, 0, NULL);
		audit_append("delete", model_name, found.version,
					 json_build(json_integer_pair("version_id", found.version_id),
								json_text_pair("status", found.status),
								json_object_pair("configuration", found.configuration)));
	}
	mm_leave(scope);
	PG_RETURN_BOOL(there);
}

Datum
mm_delete_model(PG_FUNCTION_ARGS)
{
	static query kept = QUERY("SELECT v.version, v.status, " SERVED " FROM model_mgr.model_version v"
							  " WHERE v.model_id = $1 AND v.status <> 'archived' AND " SERVED " IS NOT NULL"
							  " ORDER BY (v.status = 'active') DESC, v.version_id DESC LIMIT 1",
							  INT8OID);
	static query versions = QUERY("SELECT pg_catalog.jsonb_agg(v.version ORDER BY v.version_id)"
								  " FROM model_mgr.model_version v WHERE v.model_id = $1",
								  INT8OID);
	/* The plan goes after what is found by it. No foreign keys do this: see sql/20_registry.sql. */
	static query deletes[] = {
		QUERY("DELETE FROM model_mgr.deployment_event e USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = e.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.deployment_step s USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = s.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.deployment_pair s USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = s.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.deployment_pair_sum s USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = s.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.deployment d USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = d.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.validation_result r USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = r.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.deployment_judged j USING model_mgr.deployment_plan p"
			  " WHERE p.deployment_id = j.deployment_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.deployment_plan p WHERE p.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.validation_result r USING model_mgr.update_plan p"
			  " WHERE p.update_id = r.update_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.update_run u USING model_mgr.update_plan p"
			  " WHERE p.update_id = u.update_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.update_plan p WHERE p.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.schedule s USING model_mgr.schedule_plan p"
			  " WHERE p.schedule_id = s.schedule_id AND p.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.schedule_plan p WHERE p.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.deployment_freeze f WHERE f.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.routing_pin p WHERE p.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.routing_history h WHERE h.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.routing r WHERE r.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.model_alias a WHERE a.model_id = $1", INT8OID),
		QUERY("WITH creator AS (DELETE FROM model_mgr.version_creator c USING model_mgr.model_version v"
			  " WHERE v.version_id = c.version_id AND v.model_id = $1)"
			  " DELETE FROM model_mgr.version_approval a USING model_mgr.model_version v"
			  " WHERE v.version_id = a.version_id AND v.model_id = $1",
			  INT8OID),
		QUERY("DELETE FROM model_mgr.approval_rule r WHERE r.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.model_version v WHERE v.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.model m WHERE m.model_id = $1", INT8OID),
	};
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	mm_scope scope = mm_enter();
	int64 model_id = registry_model_id(model_name, true);

	if (model_id != 0)
	{
		registry_check_grant(model_name);
		(void) mm_lock_model(model_id, true);
		/* somebody else may have deleted it meanwhile */
		if (registry_model_id(model_name, true) != model_id)
			model_id = 0;
	}
	if (model_id != 0)
	{
		Jsonb *names;

		if (query_run(&kept, int64_arg(model_id)) > 0)
			ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("model \"%s\" has served and cannot be deleted", model_name),
					errdetail("Its version \"%s\" is %s; %s.", query_text(0, 0), query_text(0, 1), query_text(0, 2)),
					errhint("Archive every version with archive_model_version(), the active one last."));
		query_run(&versions, int64_arg(model_id));
		names = query_jsonb(0, 0);
		alert_forget_model(model_id);
		experiment_forget_model(model_id);
		for (int i = 0; i < lengthof(deletes); i++)
			query_run(&deletes[i], int64_arg(model_id));
		(void) event_append("model.deleted", model_name, NULL, 0, json_build(json_object_pair("versions", names)));
		audit_append("delete_model", model_name, NULL,
					 json_build(json_integer_pair("model_id", model_id), json_object_pair("versions", names)));
	}
	mm_leave(scope);
	PG_RETURN_BOOL(model_id != 0);
}
