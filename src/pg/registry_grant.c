/*
 * registry_grant.c: grant_model() confines an operator to some models: a role with at least one grant may act on the
 * models granted only, and so may its members. Looking is not confined: rows of all models stand in the same views.
 *
 * Both the caller and the login are asked, so that SET ROLE to a role without grants opens nothing. Grants name the
 * model, and outlive it: a role whose only model was deleted must not become free of all bounds.
 */
#include "pg/registry.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "pg/audit.h"
#include "pg/query.h"
#include "pg/user_code.h"

/* The extension acts by itself. */
static bool for_all;
static int for_all_level;
static bool callbacks_registered;

static void
forget_xact(XactEvent event, void *arg)
{
	for_all = false;
}

static void
forget_subxact(SubXactEvent event, SubTransactionId my, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && for_all_level >= GetCurrentTransactionNestLevel())
		for_all = false;
}

bool
registry_act_for_all(bool on)
{
	bool before = for_all;

	if (!callbacks_registered)
	{
		RegisterXactCallback(forget_xact, NULL);
		RegisterSubXactCallback(forget_subxact, NULL);
		callbacks_registered = true;
	}
	if (on && !before)
		for_all_level = GetCurrentTransactionNestLevel();
	for_all = on;
	return before;
}

/* granted_role: the role of a grant. Its name counts; one that was renamed is found by its id, which means something in
 * the database where it was noted only. */
static Oid
granted_role(const char *name, Oid noted, bool noted_here)
{
	Oid role = get_role_oid(name, true);

	if (!OidIsValid(role) && noted_here && SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(noted)))
		role = noted;
	return role;
}

/* confined: whether the grants, in SPI_tuptable, confine a role to other models. */
static bool
confined(Oid role, uint64 grants, const char *origin)
{
	bool any = false;

	if (superuser_arg(role) || is_member_of_role_nosuper(role, mm_owner()))
		return false;
	for (uint64 row = 0; row < grants; row++)
	{
		Oid granted =
			granted_role(query_text(row, 0), (Oid) query_int64(row, 1), strcmp(query_text(row, 2), origin) == 0);

		/* Membership counts whether it is inherited or not. */
		if (!OidIsValid(granted) || !is_member_of_role_nosuper(role, granted))
			continue;
		if (query_bool(row, 3))
			return false;
		any = true;
	}
	return any;
}

/* confined_caller: the role that is confined and without a grant of that model, be it the caller or the login;
 * InvalidOid when neither is. NULL for the model: any grant confines. */
static Oid
confined_caller(const char *model_name)
{
	static query list =
		QUERY("SELECT g.role_name, g.role_oid::bigint, g.origin, coalesce(pg_catalog.bool_or(g.model_name = $1), false)"
			  " FROM model_mgr.model_grant g GROUP BY 1, 2, 3",
			  TEXTOID);
	Oid asked[2] = {mm_caller(), GetSessionUserId()};
	uint64 grants;
	char *origin;

	if (for_all)
		return InvalidOid;
	grants = query_run(&list, text_arg(model_name));
	if (grants == 0)
		return InvalidOid;
	origin = user_code_origin();
	for (int i = 0; i < lengthof(asked); i++)
		if ((i == 0 || asked[i] != asked[0]) && confined(asked[i], grants, origin))
			return asked[i];
	return InvalidOid;
}

bool
registry_granted(const char *model_name)
{
	return !OidIsValid(confined_caller(model_name));
}

void
registry_check_grant(const char *model_name)
{
	Oid role = confined_caller(model_name);

	if (OidIsValid(role))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for model \"%s\"", model_name),
				errdetail("Role %s is confined to other models.", GetUserNameFromId(role, false)),
				errhint("model_grant lists which; an administrator adds one with grant_model()."));
}

void
registry_check_unconfined(const char *what)
{
	Oid role = confined_caller(NULL);

	if (OidIsValid(role))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for %s", what),
				errdetail("Role %s is confined to some models, and this is for all.", GetUserNameFromId(role, false)),
				errhint("Ask an administrator whom no grant_model() confines."));
}

MM_FUNCTION(mm_grant_model);

/* mm_grant_model(model_name, role, revoke). */
Datum
mm_grant_model(PG_FUNCTION_ARGS)
{
	static query add =
		QUERY("INSERT INTO model_mgr.model_grant (model_name, role_name, role_oid, origin, granted_by, granted_at)"
			  " VALUES ($1, $2, $3::oid, $4, $5, $6) ON CONFLICT (model_name, role_name) DO UPDATE"
			  " SET role_oid = excluded.role_oid, origin = excluded.origin"
			  " WHERE (model_grant.role_oid, model_grant.origin)"
			  " IS DISTINCT FROM (excluded.role_oid, excluded.origin)",
			  TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static query take =
		QUERY("DELETE FROM model_mgr.model_grant g WHERE g.model_name = $1 AND g.role_name = $2", TEXTOID, TEXTOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *role_name = mm_text_arg(fcinfo, 1, "role", true);
	bool revoke = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	Oid role;
	bool changed;
	mm_scope scope;

	mm_check_name("role name", role_name);
	role = get_role_oid(role_name, true);
	scope = mm_enter();
	/* Who is confined must not free himself, nor draw others' bounds. */
	registry_check_unconfined("grant_model");
	/* What is revoked may name a model or a role that is gone. */
	if (!revoke)
	{
		(void) registry_lock_model(model_name);
		if (!OidIsValid(role))
			ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role \"%s\" does not exist", role_name),
					errdetail("A grant names a role of this cluster."), errhint("CREATE ROLE makes one."));
		changed = query_run(&add, text_arg(model_name), text_arg(role_name), int64_arg(role),
							text_arg(user_code_origin()), text_arg(mm_session_user_name()), time_arg(mm_now())) > 0;
	}
	else
		changed = query_run(&take, text_arg(model_name), text_arg(role_name)) > 0;
	if (changed)
		audit_append(revoke ? "revoke_model" : "grant_model", model_name, NULL,
					 json_build(json_text_pair("role", role_name)));
	mm_leave(scope);
	PG_RETURN_VOID();
}
