/*
 * registry_write.c: the verbs that make and change versions and models: create, tag, update, archive, mark ready,
 * set_model, aliases. Each checks its arguments, then runs as the owner with the model's lock held, changes, and
 * appends to the audit log what was before and what is now. A repeat that changes nothing leaves no audit row.
 */
#include "pg/registry.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "pg/audit.h"
#include "pg/configuration.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry_trust.h"
#include "pg/routing.h"

MM_FUNCTION(mm_create_model_version);
MM_FUNCTION(mm_update_model_version);
MM_FUNCTION(mm_tag_model_version);
MM_FUNCTION(mm_archive_model_version);
MM_FUNCTION(mm_mark_version_ready);
MM_FUNCTION(mm_set_model);
MM_FUNCTION(mm_set_alias);
MM_FUNCTION(mm_delete_alias);
MM_FUNCTION(mm_model_version_guard);

/* json_arg: the argument as an object, NULL when it is NULL. */
static Jsonb *
json_arg(FunctionCallInfo fcinfo, int argno, const char *name)
{
	Jsonb *value;

	if (PG_ARGISNULL(argno))
		return NULL;
	value = PG_GETARG_JSONB_P(argno);
	json_require_object(name, value);
	return value;
}

/* given_tags: the argument without duplicates, {} when it is NULL. */
static Datum
given_tags(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno))
		return PointerGetDatum(construct_empty_array(TEXTOID));
	return registry_names(PG_GETARG_DATUM(argno), "tag");
}

/*
 * make_model: the model's id, made when there is none. Two sessions that make the same model at once wait for each
 * other at the unique index; the second finds the first one's row.
 */
static int64
make_model(const char *model_name, const char *created_by, TimestampTz created_at)
{
	static query insert = QUERY("INSERT INTO model_mgr.model (model_name, created_by, created_at) VALUES ($1, $2, $3)"
								" ON CONFLICT (model_name) DO NOTHING RETURNING model_id",
								TEXTOID, TEXTOID, TIMESTAMPTZOID);

	registry_check_grant(model_name);
	for (;;)
	{
		int64 model_id = registry_model_id(model_name, true);

		if (model_id == 0)
		{
			if (query_run(&insert, text_arg(model_name), text_arg(created_by), time_arg(created_at)) == 0)
				continue;
			model_id = query_int64(0, 0);
			routing_create(model_id, model_name);
		}
		/* Whoever held the lock may have deleted the model. */
		(void) mm_lock_model(model_id, true);
		if (registry_model_id(model_name, true) == model_id)
			return model_id;
	}
}

/* check_parent: the parent's text, '@alias' resolved; 23514 for the version itself, 23503 for what is not of this
 * model. Cycles cannot arise otherwise: a parent is there before its child and never changes. */
static char *
check_parent(const char *model_name, const char *version, const char *parent)
{
	static query elsewhere =
		QUERY("SELECT min(v.model_name), count(*) FROM model_mgr.model_version v WHERE v.version = $1", TEXTOID);
	registry_version found;

	if (!registry_find_version(model_name, parent, true, &found))
	{
		if (strcmp(parent, version) == 0)
			found.version = (char *) parent;
		else
		{
			query_run(&elsewhere, text_arg(parent));
			ereport(ERROR, errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
					errmsg("parent version \"%s\" is no version of model \"%s\"", parent, model_name),
					query_int64(0, 1) > 0 ? errdetail("Model \"%s\" has a version of that name.", query_text(0, 0))
										  : errdetail("No model has a version of that name."),
					errhint("Create the parent first, or leave parent_version out."));
		}
	}
	if (strcmp(found.version, version) == 0)
		ereport(ERROR, errcode(ERRCODE_CHECK_VIOLATION), errmsg("version \"%s\" cannot be its own parent", version),
				errdetail("Lineage has no cycles."), errhint("Name the version that this one came from."));
	return found.version;
}

/* check_same: 42710 unless the version that is there was declared with the same content. */
static void
check_same(int64 model_id, const char *model_name, const char *version, const Jsonb *configuration, const char *parent,
		   const char *uri, const char *digest)
{
	static query compare =
		QUERY("SELECT v.configuration OPERATOR(pg_catalog.=) $3, v.parent_version IS NOT DISTINCT FROM $4,"
			  " v.artifact_uri IS NOT DISTINCT FROM $5, v.artifact_digest IS NOT DISTINCT FROM $6,"
			  " v.created_by, v.created_at::text FROM model_mgr.model_version v"
			  " WHERE v.model_id = $1 AND v.version = $2",
			  INT8OID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID);
	static const char *const parts[] = {"configuration", "parent_version", "artifact_uri", "artifact_digest"};

	query_run(&compare, int64_arg(model_id), text_arg(version), jsonb_arg(configuration), text_arg(parent),
			  text_arg(uri), text_arg(digest));
	for (int i = 0; i < lengthof(parts); i++)
		if (!query_bool(0, i))
			ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT),
					errmsg("version \"%s\" of model \"%s\" exists with another %s", version, model_name, parts[i]),
					errdetail("It was created by %s at %s and never changes.", query_text(0, 4), query_text(0, 5)),
					errhint("Register the change under a new version; diff_configuration() compares the two."));
}

int64
registry_make_model(const char *model_name, const char *created_by, TimestampTz created_at)
{
	mm_check_name("model name", model_name);
	mm_check_name("created_by", created_by);
	return make_model(model_name, created_by, created_at);
}

void
registry_declaration_check(const registry_declaration *d)
{
	mm_check_name("model name", d->model_name);
	registry_check_version_name("version", d->version);
	configuration_check(d->configuration);
	if (d->created_by)
		mm_check_name("created_by", d->created_by);
}

bool
registry_declare(const registry_declaration *d, int64 *version_id)
{
	static query insert =
		QUERY("INSERT INTO model_mgr.model_version (model_id, model_name, version, description, configuration,"
			  " artifact_uri, artifact_digest, parent_version, tags, labels, created_by, created_at)"
			  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, '{}'), $11, $12)"
			  " ON CONFLICT (model_id, version) DO NOTHING RETURNING version_id",
			  INT8OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, JSONBOID, TEXTOID,
			  TIMESTAMPTZOID);
	const char *created_by = mm_by(d->created_by);
	int64 model_id = make_model(d->model_name, created_by, d->created_at);
	char *parent = d->parent ? check_parent(d->model_name, d->version, d->parent) : NULL;
	registry_version found;

	if (query_run(&insert, int64_arg(model_id), text_arg(d->model_name), text_arg(d->version), text_arg(d->description),
				  jsonb_arg(d->configuration), text_arg(d->uri), text_arg(d->digest), text_arg(parent),
				  datum_arg(d->tags, false), jsonb_arg(d->labels), text_arg(created_by), time_arg(d->created_at)) > 0)
	{
		Jsonb *details =
			json_build(json_text_pair("configuration_digest", configuration_digest(d->configuration)),
					   json_text_pair("parent_version", parent), json_text_pair("artifact_uri", d->uri),
					   json_text_pair("artifact_digest", d->digest), json_text_pair("created_by", created_by));

		*version_id = query_int64(0, 0);
		if (d->creator_login)
			registry_approval_created(*version_id, d->creator_login);
		audit_append("create", d->model_name, d->version, details);
		(void) event_append("version.created", d->model_name, d->version, 0, details);
		return true;
	}
	check_same(model_id, d->model_name, d->version, d->configuration, parent, d->uri, d->digest);
	(void) registry_find_version(d->model_name, d->version, false, &found);
	*version_id = found.version_id;
	return false;
}

Datum
mm_create_model_version(PG_FUNCTION_ARGS)
{
	registry_declaration d = {
		.model_name = mm_text_arg(fcinfo, 0, "model_name", true),
		.version = mm_text_arg(fcinfo, 1, "version", true),
		.description = mm_text_arg(fcinfo, 3, "description", false),
		.parent = mm_text_arg(fcinfo, 5, "parent_version", false),
		.uri = mm_text_arg(fcinfo, 7, "artifact_uri", false),
		.digest = mm_text_arg(fcinfo, 8, "artifact_digest", false),
		.created_by = mm_text_arg(fcinfo, 9, "created_by", false),
		.created_at = mm_now(),
	};
	int64 version_id;
	mm_scope scope;
	Datum row;

	mm_require(fcinfo, 2, "configuration");
	d.configuration = PG_GETARG_JSONB_P(2);
	d.labels = json_arg(fcinfo, 6, "labels");
	d.tags = given_tags(fcinfo, 4);
	registry_declaration_check(&d);

	scope = mm_enter();
	d.creator_login = registry_acting();
	(void) registry_declare(&d, &version_id);
	row = registry_version_row(version_id);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

/* find_locked: the version with its model's lock held. */
static void
find_locked(const char *model_name, const char *version, registry_version *out)
{
	(void) registry_lock_model(model_name);
	(void) registry_find_version(model_name, version, false, out);
}

/* describe: what update and tag may change, as it stands, for the audit log. */
static Jsonb *
describe(int64 version_id)
{
	static query read = QUERY("SELECT pg_catalog.jsonb_build_object('description', v.description, 'tags', v.tags,"
							  " 'labels', v.labels) FROM model_mgr.model_version v WHERE v.version_id = $1",
							  INT8OID);

	query_run(&read, int64_arg(version_id));
	return query_jsonb(0, 0);
}

/* audit_change: one row with both states, none when they are equal. */
static void
audit_change(const char *operation, const char *model_name, const char *version, const Jsonb *before,
			 const Jsonb *after)
{
	if (compareJsonbContainers((JsonbContainer *) &before->root, (JsonbContainer *) &after->root) != 0)
		audit_append(operation, model_name, version,
					 json_build(json_object_pair("before", before), json_object_pair("after", after)));
}

Datum
mm_update_model_version(PG_FUNCTION_ARGS)
{
	static query update = QUERY("UPDATE model_mgr.model_version v SET description = coalesce($2, v.description),"
								" labels = coalesce($3, v.labels) WHERE v.version_id = $1",
								INT8OID, TEXTOID, JSONBOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "version", true);
	char *description = mm_text_arg(fcinfo, 2, "description", false);
	Jsonb *labels = json_arg(fcinfo, 3, "labels");
	mm_scope scope = mm_enter();
	registry_version found;
	Jsonb *before;
	Datum row;

	find_locked(model_name, version, &found);
	before = describe(found.version_id);
	query_run(&update, int64_arg(found.version_id), text_arg(description), jsonb_arg(labels));
	audit_change("update", model_name, found.version, before, describe(found.version_id));
	row = registry_version_row(found.version_id);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

Datum
mm_tag_model_version(PG_FUNCTION_ARGS)
{
	/* what is there keeps its place, new tags come behind */
	static query update =
		QUERY("UPDATE model_mgr.model_version v SET tags = CASE WHEN $3 THEN $2 ELSE v.tags || ARRAY(SELECT t.tag"
			  " FROM pg_catalog.unnest($2) WITH ORDINALITY AS t (tag, n) WHERE t.tag <> ALL (v.tags) ORDER BY t.n) END"
			  " WHERE v.version_id = $1",
			  INT8OID, TEXTARRAYOID, BOOLOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "version", true);
	Datum tags = (mm_require(fcinfo, 2, "tags"), given_tags(fcinfo, 2));
	bool replace = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	mm_scope scope = mm_enter();
	registry_version found;
	Jsonb *before;
	Datum row;

	find_locked(model_name, version, &found);
	before = describe(found.version_id);
	query_run(&update, int64_arg(found.version_id), datum_arg(tags, false), bool_arg(replace));
	audit_change("tag", model_name, found.version, before, describe(found.version_id));
	row = registry_version_row(found.version_id);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

/* change_status: to the new status with an audit row; nothing when it has it already. */
static Datum
change_status(const registry_version *version, const char *operation, const char *status, const char *reason)
{
	if (strcmp(version->status, status) != 0)
	{
		registry_set_status(version->version_id, status, reason);
		audit_append(operation, version->model_name, version->version,
					 json_build(json_text_pair("before", version->status), json_text_pair("after", status),
								json_text_pair("reason", reason && *reason ? reason : NULL)));
	}
	return registry_version_row(version->version_id);
}

/* check_unused: 55000 while a rollout, a pin or a segment may still send requests to the version. */
static void
check_unused(const registry_version *version)
{
	static query users = QUERY(
		"SELECT pg_catalog.format('deployment %s is %s', d.deployment_id, d.status),"
		" 'Wait for its end, abort it or roll it back first.'"
		" FROM model_mgr.deployment_plan p JOIN model_mgr.deployment d ON d.deployment_id = p.deployment_id"
		" WHERE (p.version_id = $1 OR p.baseline_version_id = $1)"
		" AND p.model_id = $2 AND d.status IN ('pending', 'running', 'paused', 'awaiting_approval', 'promoting')"
		" UNION ALL SELECT 'units are pinned to it', 'Remove the pins with unpin_unit() first; rule_list shows them.'"
		" FROM model_mgr.routing r WHERE r.model_id = $2 AND $1 = ANY (r.pin_version_ids)"
		" UNION ALL SELECT pg_catalog.format('segment \"%s\" sends to it', s.value ->> 'segment'),"
		" 'Drop the segment with drop_segment() first.'"
		" FROM model_mgr.routing r, pg_catalog.jsonb_array_elements(r.segments) s"
		" WHERE r.model_id = $2 AND (s.value ->> 'version_id')::bigint = $1 LIMIT 1",
		INT8OID, INT8OID);

	if (query_run(&users, int64_arg(version->version_id), int64_arg(version->model_id)) > 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is in use and cannot become archived", version->version,
					   version->model_name),
				errdetail("In use: %s.", query_text(0, 0)), errhint("%s", query_text(0, 1)));
}

/*
 * retire: the active version is archived only when every other version is: then the model serves nobody any more,
 * which is what one wants to say by it. Else taking a model down would be one slip away.
 */
static void
retire(const registry_version *version)
{
	static query others = QUERY("SELECT count(*), min(v.version) FROM model_mgr.model_version v WHERE v.model_id = $1"
								" AND v.version_id <> $2 AND v.status <> 'archived'",
								INT8OID, INT8OID);
	routing_change nothing = {.model_id = version->model_id};

	query_run(&others, int64_arg(version->model_id), int64_arg(version->version_id));
	if (query_int64(0, 0) > 0)
		ereport(
			ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("version \"%s\" of model \"%s\" is active and cannot become archived", version->version,
				   version->model_name),
			errdetail("It serves the model's requests, and %lld other versions are not archived, among them \"%s\".",
					  (long long) query_int64(0, 0), query_text(0, 1)),
			errhint("Deploy another version first. To retire the whole model, archive the others, then this one."));
	routing_set(&nothing);
}

Datum
mm_archive_model_version(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "version", true);
	char *reason = mm_text_arg(fcinfo, 2, "reason", false);
	mm_scope scope = mm_enter();
	registry_version found;
	Datum row;

	find_locked(model_name, version, &found);
	if (strcmp(found.status, "archived") != 0 && strcmp(found.status, "deploying") != 0)
		check_unused(&found);
	if (strcmp(found.status, "active") == 0)
		retire(&found);
	row = change_status(&found, "archive", "archived", reason);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

Datum
mm_mark_version_ready(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "version", true);
	mm_scope scope = mm_enter();
	registry_version found;
	Datum row;

	find_locked(model_name, version, &found);
	row = change_status(&found, "ready", "ready", NULL);
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

Datum
mm_set_model(PG_FUNCTION_ARGS)
{
	static query describe_model =
		QUERY("SELECT pg_catalog.jsonb_build_object('description', m.description, 'owner', m.owner, 'labels', m.labels)"
			  " FROM model_mgr.model m WHERE m.model_id = $1",
			  INT8OID);
	static query update =
		QUERY("UPDATE model_mgr.model m SET description = coalesce($2, m.description), owner = coalesce($3, m.owner),"
			  " labels = coalesce($4, m.labels) WHERE m.model_id = $1",
			  INT8OID, TEXTOID, TEXTOID, JSONBOID);
	static query result = QUERY("SELECT m FROM model_mgr.model m WHERE m.model_id = $1", INT8OID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *description = mm_text_arg(fcinfo, 1, "description", false);
	char *owner = mm_text_arg(fcinfo, 2, "owner", false);
	Jsonb *labels = json_arg(fcinfo, 3, "labels");
	mm_scope scope = mm_enter();
	int64 model_id = registry_lock_model(model_name);
	Jsonb *before;
	Datum row;

	query_run(&describe_model, int64_arg(model_id));
	before = query_jsonb(0, 0);
	query_run(&update, int64_arg(model_id), text_arg(description), text_arg(owner), jsonb_arg(labels));
	query_run(&describe_model, int64_arg(model_id));
	audit_change("set_model", model_name, NULL, before, query_jsonb(0, 0));
	query_run(&result, int64_arg(model_id));
	row = query_result_row();
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

Datum
mm_set_alias(PG_FUNCTION_ARGS)
{
	static query old =
		QUERY("SELECT a.version FROM model_mgr.model_alias a WHERE a.model_id = $1 AND a.alias = $2", INT8OID, TEXTOID);
	static query set =
		QUERY("INSERT INTO model_mgr.model_alias (model_id, model_name, alias, version_id, version, set_by, set_at)"
			  " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (model_id, alias) DO UPDATE"
			  " SET version_id = excluded.version_id, version = excluded.version, set_by = excluded.set_by,"
			  " set_at = excluded.set_at",
			  INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *alias = mm_text_arg(fcinfo, 1, "alias", true);
	char *version = mm_text_arg(fcinfo, 2, "version", true);
	registry_version found;
	char *before;
	mm_scope scope;

	registry_check_version_name("alias", alias);
	scope = mm_enter();
	find_locked(model_name, version, &found);
	before = query_run(&old, int64_arg(found.model_id), text_arg(alias)) > 0 ? query_text(0, 0) : NULL;
	if (before == NULL || strcmp(before, found.version) != 0)
	{
		Jsonb *details = json_build(json_text_pair("alias", alias), json_text_pair("before", before),
									json_text_pair("after", found.version));

		query_run(&set, int64_arg(found.model_id), text_arg(found.model_name), text_arg(alias),
				  int64_arg(found.version_id), text_arg(found.version), text_arg(mm_session_user_name()),
				  time_arg(mm_now()));
		audit_append("set_alias", model_name, found.version, details);
		(void) event_append("alias.set", model_name, found.version, 0, details);
	}
	mm_leave(scope);
	PG_RETURN_VOID();
}

Datum
mm_delete_alias(PG_FUNCTION_ARGS)
{
	static query delete = QUERY("DELETE FROM model_mgr.model_alias a WHERE a.model_id = $1 AND a.alias = $2"
								" RETURNING a.version",
								INT8OID, TEXTOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *alias = mm_text_arg(fcinfo, 1, "alias", true);
	mm_scope scope = mm_enter();
	int64 model_id = registry_lock_model(model_name);
	bool deleted = query_run(&delete, int64_arg(model_id), text_arg(alias)) > 0;

	if (deleted)
	{
		char *version = query_text(0, 0);

		Jsonb *details = json_build(json_text_pair("alias", alias), json_text_pair("before", version));

		audit_append("delete_alias", model_name, version, details);
		(void) event_append("alias.deleted", model_name, version, 0, details);
	}
	mm_leave(scope);
	PG_RETURN_BOOL(deleted);
}

/*
 * mm_model_version_guard: row trigger BEFORE UPDATE: what a version is stays as it was declared; only its description,
 * tags, labels and status live. Holds for the owner too: outcomes, audit rows and digests refer to it.
 */
Datum
mm_model_version_guard(PG_FUNCTION_ARGS)
{
	static const char *const fixed[] = {"model_id",      "version_id",   "model_name",      "version",
										"configuration", "artifact_uri", "artifact_digest", "parent_version",
										"created_by",    "created_at"};
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc columns;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("model_version_guard() is a row trigger before UPDATE"), errdetail("It was called otherwise."),
				errhint("Leave it to the table model_version."));
	columns = RelationGetDescr(trigger->tg_relation);
	for (int i = 0; i < lengthof(fixed); i++)
	{
		int number = SPI_fnumber(columns, fixed[i]);
		Form_pg_attribute column = TupleDescAttr(columns, number - 1);
		bool old_null;
		bool new_null;
		Datum old_value = SPI_getbinval(trigger->tg_trigtuple, columns, number, &old_null);
		Datum new_value = SPI_getbinval(trigger->tg_newtuple, columns, number, &new_null);

		if (old_null != new_null ||
			(!old_null && !datum_image_eq(old_value, new_value, column->attbyval, column->attlen)))
			ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("%s of a version cannot be changed", fixed[i]),
					errdetail("Version \"%s\" of model \"%s\" was declared with it.",
							  SPI_getvalue(trigger->tg_trigtuple, columns, SPI_fnumber(columns, "version")),
							  SPI_getvalue(trigger->tg_trigtuple, columns, SPI_fnumber(columns, "model_name"))),
					errhint("Register the change as a new version with create_model_version()."));
	}
	return PointerGetDatum(trigger->tg_newtuple);
}
