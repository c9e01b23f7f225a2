/*
 * roles.c: setup_roles(): makes the four roles of an installation and grants them what the view role_grant lists. It
 * runs with the rights of the caller, never the owner's: who may not grant must not be able to through us. Called from
 * SQL only.
 */
#include "pg/mm.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "pg/audit.h"
#include "pg/query.h"

/* In the order of the arguments. */
static const char *const role_kind[] = {"admin", "operator", "app", "reader"};

#define ROLES lengthof(role_kind)

/* run_utility: one utility command as the caller. */
static void
run_utility(const char *command)
{
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run: %s", command);
}

/* check_role_name: a name that CREATE ROLE would take as it is. */
static void
check_role_name(const char *name)
{
	mm_check_name("role name", name);
	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR, errcode(ERRCODE_NAME_TOO_LONG), errmsg("role name \"%s\" is too long", name),
				errdetail("It has %zu bytes; role names have at most %d.", strlen(name), NAMEDATALEN - 1),
				errhint("Choose a shorter name."));
	if (IsReservedName(name) || strcmp(name, "public") == 0 || strcmp(name, "none") == 0)
		ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("role name \"%s\" is reserved", name),
				errdetail("Names that begin with \"pg_\", \"public\" and \"none\" belong to the server."),
				errhint("Choose another name."));
}

/* check_rights: 42501 unless the caller may grant on the extension's objects and make the roles that are missing. */
static void
check_rights(const char *const *names)
{
	Oid caller = GetUserId();

	if (!has_privs_of_role(caller, mm_owner()))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied to grant rights on extension \"model_mgr\""),
				errdetail("Its objects belong to %s; the caller is %s.", GetUserNameFromId(mm_owner(), false),
						  GetUserNameFromId(caller, false)),
				errhint("Call setup_roles() as %s or as a superuser.", GetUserNameFromId(mm_owner(), false)));
	for (int i = 0; i < ROLES; i++)
		if (!OidIsValid(get_role_oid(names[i], true)) && !has_createrole_privilege(caller))
			ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied to create role \"%s\"", names[i]),
					errdetail("The role does not exist, and %s has not the attribute CREATEROLE.",
							  GetUserNameFromId(caller, false)),
					errhint("Have the role created first, or call setup_roles() as a superuser."));
}

/* create_missing: CREATE ROLE for each name that no role has; twice the same name is one role. */
static void
create_missing(const char *const *names)
{
	for (int i = 0; i < ROLES; i++)
		if (!OidIsValid(get_role_oid(names[i], true)))
		{
			run_utility(psprintf("CREATE ROLE %s NOLOGIN", quote_identifier(names[i])));
			CommandCounterIncrement();
		}
}

/* grant_all: what role_grant lists for each kind and exists. */
static void
grant_all(const char *const *names)
{
	uint64 rows;
	SPITupleTable *list;

	if (SPI_execute("SELECT g.role_kind, g.object_kind, g.object_name, g.privilege FROM model_mgr.role_grant g"
					" WHERE g.object_kind = 'relation' OR EXISTS"
					" (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
					" WHERE n.nspname = 'model_mgr' AND p.proname = g.object_name)",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read model_mgr.role_grant");
	rows = SPI_processed;
	list = SPI_tuptable;
	for (uint64 row = 0; row < rows; row++)
	{
		char *kind = SPI_getvalue(list->vals[row], list->tupdesc, 1);
		char *object_kind = SPI_getvalue(list->vals[row], list->tupdesc, 2);
		char *object = SPI_getvalue(list->vals[row], list->tupdesc, 3);
		char *privilege = SPI_getvalue(list->vals[row], list->tupdesc, 4);

		for (int i = 0; i < ROLES; i++)
			if (strcmp(kind, role_kind[i]) == 0)
				run_utility(psprintf("GRANT %s ON %s model_mgr.%s TO %s", privilege,
									 strcmp(object_kind, "routine") == 0 ? "ROUTINE" : "TABLE",
									 quote_identifier(object), quote_identifier(names[i])));
	}
}

MM_FUNCTION(mm_setup_roles);

Datum
mm_setup_roles(PG_FUNCTION_ARGS)
{
	static const char *const defaults[ROLES] = {"model_mgr_admin", "model_mgr_operator", "model_mgr_app",
												"model_mgr_reader"};
	static const char *const argument[ROLES] = {"admin_role", "operator_role", "app_role", "reader_role"};
	const char *names[ROLES];
	json_pair pairs[ROLES];
	int guc_level = NewGUCNestLevel();
	mm_scope scope;

	for (int i = 0; i < ROLES; i++)
	{
		names[i] = mm_text_arg(fcinfo, i, argument[i], false);
		if (names[i] == NULL)
			names[i] = defaults[i];
		check_role_name(names[i]);
	}
	check_rights(names);

	/* The path is pinned, the rights stay the caller's. */
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	create_missing(names);
	grant_all(names);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, guc_level);

	scope = mm_enter();
	for (int i = 0; i < ROLES; i++)
		pairs[i] = json_text_pair(argument[i], names[i]);
	audit_append("setup_roles", NULL, NULL, json_build_pairs(ROLES, pairs));
	mm_leave(scope);
	PG_RETURN_VOID();
}
