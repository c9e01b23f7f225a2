/*
 * registry_approval.c: a model may ask for approvals by several people before a version of it is deployed.
 *
 * Who approves is the login (session_user), which no SET ROLE and no argument changes. What counts is decided when the
 * version is deployed, so that who has left the approving role since approves nothing. Who creates and deploys is the
 * login as well; in code that work() runs the role that registered it, since the login there is that of work().
 */
#include "pg/registry_trust.h"

#include "miscadmin.h"
#include "utils/acl.h"

#include "pg/audit.h"
#include "pg/event.h"
#include "pg/query.h"

#define MAX_APPROVALS 100

static const char *acting;

const char *
registry_act_as(const char *user)
{
	const char *before = acting;

	acting = user;
	return before;
}

const char *
registry_acting(void)
{
	if (acting)
		return acting;
	return InSecurityRestrictedOperation() ? mm_caller_name() : mm_session_user_name();
}

void
registry_approval_created(int64 version_id, const char *login)
{
	static query note =
		QUERY("INSERT INTO model_mgr.version_creator (version_id, user_name) VALUES ($1, $2)", INT8OID, TEXTOID);

	query_run(&note, int64_arg(version_id), text_arg(login));
}

MM_FUNCTION(mm_is_member);

/* mm_is_member(user_name, role_name): without the superusers' claim to be members of everything. */
Datum
mm_is_member(PG_FUNCTION_ARGS)
{
	Oid user = get_role_oid(text_to_cstring(PG_GETARG_TEXT_PP(0)), true);
	Oid role = get_role_oid(text_to_cstring(PG_GETARG_TEXT_PP(1)), true);

	PG_RETURN_BOOL(OidIsValid(user) && OidIsValid(role) && is_member_of_role_nosuper(user, role));
}

/* is_own: what makes an approval of version $1 by $2 one of one's own work, in words; NULL when nothing does. */
static char *
is_own(int64 version_id, const char *user)
{
	static query own =
		QUERY("SELECT CASE WHEN v.created_by = $2 OR EXISTS (SELECT FROM model_mgr.version_creator c"
			  " WHERE c.version_id = v.version_id AND c.user_name = $2) THEN 'created'"
			  " WHEN EXISTS (SELECT FROM model_mgr.deployment_plan p JOIN model_mgr.deployment d"
			  " ON d.deployment_id = p.deployment_id WHERE p.version_id = v.version_id AND d.deployed_by = $2)"
			  " THEN 'deployed' END FROM model_mgr.model_version v WHERE v.version_id = $1",
			  INT8OID, TEXTOID);

	return query_run(&own, int64_arg(version_id), text_arg(user)) > 0 ? query_text(0, 0) : NULL;
}

void
registry_approval_check(const registry_version *version, const char *deployed_by, const char *asked_by)
{
	static query rule =
		QUERY("SELECT r.approvals, r.from_role FROM model_mgr.approval_rule r WHERE r.model_id = $1", INT8OID);
	static query count = QUERY(
		"SELECT pg_catalog.count(*) FILTER (WHERE NOT a.own AND a.member), pg_catalog.count(*) FILTER (WHERE a.own),"
		" pg_catalog.count(*) FILTER (WHERE NOT a.own AND NOT a.member) FROM (SELECT p.user_name IN ($2, $3, v.created_by)"
		"  OR EXISTS (SELECT FROM model_mgr.version_creator c WHERE c.version_id = v.version_id AND c.user_name = p.user_name) AS own,"
		"  $4 IS NULL OR model_mgr.is_member(p.user_name, $4) AS member"
		"  FROM model_mgr.version_approval p JOIN model_mgr.model_version v ON v.version_id = p.version_id"
		"  WHERE p.version_id = $1) a",
		INT8OID, TEXTOID, TEXTOID, TEXTOID);
	int64 needed;
	char *from_role;

	if (query_run(&rule, int64_arg(version->model_id)) == 0)
		return;
	needed = query_int32(0, 0);
	from_role = query_text(0, 1);
	query_run(&count, int64_arg(version->version_id), text_arg(asked_by), text_arg(deployed_by), text_arg(from_role));
	if (query_int64(0, 0) >= needed)
		return;
	ereport(
		ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		errmsg("version \"%s\" of model \"%s\" is not approved", version->version, version->model_name),
		errdetail("It has %lld of %lld approvals%s%s; not counted: %lld by who created or deploys it, %lld by others.",
				  (long long) query_int64(0, 0), (long long) needed, from_role ? " by members of " : "",
				  from_role ? from_role : "", (long long) query_int64(0, 1), (long long) query_int64(0, 2)),
		errhint("Others approve it with model_mgr.approve_model_version(); approval_list shows who has."));
}

void
registry_approval_check_return(const registry_version *version)
{
	static query deployed = QUERY("SELECT FROM model_mgr.deployment_plan p WHERE p.version_id = $1 LIMIT 1", INT8OID);

	if (query_run(&deployed, int64_arg(version->version_id)) == 0)
		registry_approval_check(version, mm_session_user_name(), registry_acting());
}

MM_FUNCTION(mm_require_approvals);

/* mm_require_approvals(model_name, approvals, from_role). */
Datum
mm_require_approvals(PG_FUNCTION_ARGS)
{
	static query old =
		QUERY("SELECT r.approvals, r.from_role FROM model_mgr.approval_rule r WHERE r.model_id = $1", INT8OID);
	static query set =
		QUERY("INSERT INTO model_mgr.approval_rule (model_id, model_name, approvals, from_role, set_by, set_at)"
			  " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (model_id) DO UPDATE SET approvals = excluded.approvals,"
			  " from_role = excluded.from_role, set_by = excluded.set_by, set_at = excluded.set_at",
			  INT8OID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static query clear = QUERY("DELETE FROM model_mgr.approval_rule r WHERE r.model_id = $1", INT8OID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *from_role = mm_text_arg(fcinfo, 2, "from_role", false);
	int32 approvals = (mm_require(fcinfo, 1, "approvals"), PG_GETARG_INT32(1));
	char *role_before = NULL;
	int32 before = 0;
	int64 model_id;
	mm_scope scope;

	mm_check_float("approvals", approvals, 0, MAX_APPROVALS);
	if (from_role)
	{
		mm_check_name("role name", from_role);
		if (!OidIsValid(get_role_oid(from_role, true)))
			ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role \"%s\" does not exist", from_role),
					errdetail("Approvals count from members of a role of this cluster."),
					errhint("CREATE ROLE makes one; leave from_role out to count everybody's."));
	}
	scope = mm_enter();
	model_id = registry_lock_model(model_name);
	if (query_run(&old, int64_arg(model_id)) > 0)
	{
		before = query_int32(0, 0);
		role_before = query_text(0, 1);
	}
	if (approvals == 0)
		from_role = NULL;
	if (before != approvals || (role_before == NULL) != (from_role == NULL) ||
		(from_role && strcmp(role_before, from_role) != 0))
	{
		if (approvals == 0)
			query_run(&clear, int64_arg(model_id));
		else
			query_run(&set, int64_arg(model_id), text_arg(model_name), int32_arg(approvals), text_arg(from_role),
					  text_arg(mm_session_user_name()), time_arg(mm_now()));
		audit_append("require_approvals", model_name, NULL,
					 json_build(json_integer_pair("before", before), json_text_pair("from_role_before", role_before),
								json_integer_pair("after", approvals), json_text_pair("from_role", from_role)));
	}
	mm_leave(scope);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_approve_model_version);

/* mm_approve_model_version(model_name, version, note): the version's row. Again is harmless; the last note stays. */
Datum
mm_approve_model_version(PG_FUNCTION_ARGS)
{
	static query add = QUERY(
		"INSERT INTO model_mgr.version_approval AS a (version_id, user_name, note, approved_at) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (version_id, user_name) DO UPDATE SET note = excluded.note WHERE a.note <> excluded.note"
		" AND excluded.note <> ''",
		INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "version", true);
	char *note = mm_text_arg(fcinfo, 2, "note", false);
	const char *user = mm_session_user_name();
	registry_version found;
	char *own;
	mm_scope scope;
	Datum row;

	mm_refuse_user_code("code that runs by itself cannot approve a version",
						"An approval is a person's: call approve_model_version() from a session of your own.");
	scope = mm_enter();
	(void) registry_lock_model(model_name);
	(void) registry_find_version(model_name, version, false, &found);
	if (strcmp(found.status, "archived") == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is archived", found.version, found.model_name),
				errdetail("Archived versions do not deploy."),
				errhint("Revive it with model_mgr.mark_version_ready() first."));
	own = is_own(found.version_id, user);
	if (own)
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("%s may not approve version \"%s\" of model \"%s\"", user, found.version, found.model_name),
				errdetail("%s has %s it; an approval is by somebody else.", user, own),
				errhint("Ask another person to approve it under a login of theirs."));
	if (query_run(&add, int64_arg(found.version_id), text_arg(user), text_arg(note ? note : ""), time_arg(mm_now())) >
		0)
	{
		Jsonb *details = json_build(json_text_pair("approved_by", user), json_text_pair("note", note));

		audit_append("approve", found.model_name, found.version, details);
		(void) event_append("version.approved", found.model_name, found.version, 0, details);
	}
	row = registry_version_row(found.version_id);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}
