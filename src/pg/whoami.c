/*
 * whoami.c: whoami(): who one is here, in words for people. Runs as the owner, so that a role that may read no relation
 * is told too; everything is asked about the caller by name.
 */
#include "pg/mm.h"

#include "funcapi.h"
#include "utils/tuplestore.h"

#include "pg/query.h"

MM_FUNCTION(mm_whoami);

Datum
mm_whoami(PG_FUNCTION_ARGS)
{
	/* What a role may is told by one function of each kind; readers may ask where route_version() would send. */
	static query rows = {
		.sql =
			"WITH me AS (SELECT $1 AS login, $2 AS caller),"
			" may AS (SELECT pg_catalog.has_function_privilege(me.caller, 'model_mgr.get_active_model(text)', 'EXECUTE') AS looks,"
			"  pg_catalog.has_function_privilege(me.caller, 'model_mgr.route(text,text,jsonb)', 'EXECUTE') AS routes,"
			"  pg_catalog.has_function_privilege(me.caller, 'model_mgr.rollback_model(text,text,text)', 'EXECUTE') AS deploys,"
			"  pg_catalog.has_function_privilege(me.caller, 'model_mgr.require_approvals(text,integer,text)', 'EXECUTE') AS rules"
			"  FROM me),"
			" owner AS (SELECT pg_catalog.pg_get_userbyid(c.relowner)::text AS name FROM pg_catalog.pg_class c"
			"  WHERE c.oid = 'model_mgr.model'::pg_catalog.regclass),"
			" free AS (SELECT r.rolname::text AS name, r.rolsuper OR model_mgr.is_member(r.rolname::text, o.name) AS free"
			"  FROM pg_catalog.pg_roles r, owner o),"
			" bound AS (SELECT pg_catalog.string_agg(DISTINCT g.model_name, ', ') AS models FROM me, model_mgr.model_grant g, free f"
			"  WHERE f.name IN (me.login, me.caller) AND NOT f.free AND model_mgr.is_member(f.name, g.role_name))"
			" SELECT w.what, w.value FROM me, may, bound, model_mgr.tick_state t, LATERAL (VALUES"
			"  (1, 'login', me.login),"
			"  (2, 'role', me.caller),"
			"  (3, 'member of', coalesce((SELECT pg_catalog.string_agg(r.rolname::text, ', ' ORDER BY r.rolname)"
			"   FROM pg_catalog.pg_roles r WHERE r.rolname::text <> me.caller AND model_mgr.is_member(me.caller, r.rolname::text)), 'no role')),"
			"  (4, 'may', coalesce(nullif(pg_catalog.concat_ws(', ', CASE WHEN may.looks THEN 'look' END,"
			"   CASE WHEN may.routes THEN 'route and record' END, CASE WHEN may.deploys THEN 'deploy, roll back and tick' END,"
			"   CASE WHEN may.rules THEN 'ask for approvals and confine operators' END), ''), 'nothing')),"
			"  (5, 'models', coalesce(bound.models, 'all')),"
			"  (6, 'database', pg_catalog.current_database()::text"
			"   || CASE WHEN pg_catalog.pg_is_in_recovery() THEN ' (a standby: route, look, change nothing)' ELSE '' END),"
			"  (7, 'version', (SELECT pg_catalog.format('library %s, SQL objects %s', model_mgr.model_mgr_version(), e.extversion)"
			"   FROM pg_catalog.pg_extension e WHERE e.extname = 'model_mgr')),"
			"  (8, 'last tick', coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - t.last_finished_at)::bigint || ' s ago'"
			"   || CASE WHEN t.last_failures > 0 THEN ', with failures: ' || t.last_failures ELSE '' END, 'none yet; start() or run()')),"
			"  (9, 'clock', coalesce('held at ' || nullif(model_mgr.setting_value('clock'), ''), 'real time'))"
			" ) w (n, what, value) ORDER BY w.n",
		.types = {TEXTOID, TEXTOID},
		.read_only = true};
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64 count;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	count = query_run(&rows, text_arg(mm_session_user_name()), text_arg(mm_caller_name()));
	for (uint64 i = 0; i < count; i++)
	{
		Datum values[2];
		bool nulls[2];

		for (int column = 0; column < 2; column++)
			values[column] = query_datum(i, column, &nulls[column]);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	mm_leave(scope);
	return (Datum) 0;
}
