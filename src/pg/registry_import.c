/*
 * registry_import.c: import_registry(): an exported registry comes into being by the verbs that people use, so that
 * each value is checked, audited and announced as theirs are. One transaction: all of it or nothing.
 *
 * A model that is here already must agree with the document in what routes its requests or says what a version is;
 * else 42710. One that never served anybody takes salt, statuses and active version from the document. Descriptions,
 * tags and labels that are here stay.
 */
#include "pg/registry.h"

#include "miscadmin.h"

#include "pg/audit.h"
#include "pg/deployment.h"
#include "pg/deployment_store.h"
#include "pg/query.h"
#include "pg/registry_document.h"
#include "pg/routing.h"
#include "pg/update.h"
#include "pg/validator.h"

#define MAX_SALT 255

/* One model of the document, and of this database. */
typedef struct importing
{
	const char *model_name;
	const char *place;
	const Jsonb *document;
	Jsonb *present; /* as export_registry() shows it before anything is added */
	int64 model_id;
	bool served; /* the model served somebody here */
	const char *salt;
	const char *active; /* NULL: none */
	int64 created;      /* versions that were new */
} importing;

/* The statuses that an export shows. */
static const char *const statuses[] = {"pending",     "ready",  "active",   "inactive",
									   "rolled_back", "failed", "archived", NULL};

/* check_once: 22023 for a model, or a version, segment or approval of one, that is in the document twice: the second
 * would silently take the first one's place. */
static void
check_once(const Jsonb *document)
{
	static query twice = QUERY(
		"SELECT pg_catalog.format('model \"%s\"', m.name) FROM (SELECT pg_catalog.jsonb_array_elements($1 -> 'models')"
		" ->> 'model_name' AS name) m GROUP BY m.name HAVING pg_catalog.count(*) > 1 UNION ALL"
		" SELECT pg_catalog.format('version \"%s\" of model \"%s\"', v.v ->> 'version', m.m ->> 'model_name')"
		" FROM pg_catalog.jsonb_array_elements($1 -> 'models') WITH ORDINALITY m (m, n),"
		" pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(m.m -> 'versions') WHEN 'array' THEN m.m -> 'versions' END) v (v)"
		" GROUP BY m.n, m.m ->> 'model_name', v.v ->> 'version' HAVING pg_catalog.count(*) > 1 UNION ALL"
		" SELECT pg_catalog.format('segment \"%s\" of model \"%s\"', s.s ->> 'segment', m.m ->> 'model_name')"
		" FROM pg_catalog.jsonb_array_elements($1 -> 'models') WITH ORDINALITY m (m, n),"
		" pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(m.m -> 'segments') WHEN 'array' THEN m.m -> 'segments' END) s (s)"
		" GROUP BY m.n, m.m ->> 'model_name', s.s ->> 'segment' HAVING pg_catalog.count(*) > 1 UNION ALL"
		" SELECT pg_catalog.format('approval of version \"%s\" of model \"%s\" by %s', v.v ->> 'version', m.m ->> 'model_name', a.a ->> 'user_name')"
		" FROM pg_catalog.jsonb_array_elements($1 -> 'models') WITH ORDINALITY m (m, n),"
		" pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(m.m -> 'versions') WHEN 'array' THEN m.m -> 'versions' END) v (v),"
		" pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(v.v -> 'approvals') WHEN 'array' THEN v.v -> 'approvals' END) a (a)"
		" GROUP BY m.n, m.m ->> 'model_name', v.v ->> 'version', a.a ->> 'user_name' HAVING pg_catalog.count(*) > 1 LIMIT 1",
		JSONBOID);

	if (query_run(&twice, jsonb_arg(document)) > 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is in the document twice", query_text(0, 0)), errdetail("Each is written once."),
				errhint("Leave one of them out."));
}

/* check_agrees: 42710 that names the first thing in which the model that is here differs. */
static void
check_agrees(const importing *in)
{
	static query differs = QUERY(
		"SELECT d.what FROM ("
		" SELECT 1, 'Its salt is another one, so that units would be routed otherwise.' WHERE $3 AND $1 -> 'salt' <> $2 -> 'salt'"
		" UNION ALL SELECT 2, pg_catalog.format('Active is version \"%s\" here and \"%s\" in the document.',"
		"  coalesce($2 ->> 'active_version', 'none'), coalesce($1 ->> 'active_version', 'none'))"
		"  WHERE $3 AND $1 ->> 'active_version' IS DISTINCT FROM $2 ->> 'active_version'"
		" UNION ALL SELECT 3, pg_catalog.format('Version \"%s\" is %s here and %s in the document.', a.value ->> 'version',"
		"  b.value ->> 'status', a.value ->> 'status') FROM pg_catalog.jsonb_array_elements($1 -> 'versions') a"
		"  JOIN pg_catalog.jsonb_array_elements($2 -> 'versions') b ON a.value ->> 'version' = b.value ->> 'version'"
		"  WHERE $3 AND a.value ->> 'status' <> b.value ->> 'status'"
		" UNION ALL SELECT 4, pg_catalog.format('Alias \"%s\" is version \"%s\" here and \"%s\" in the document.', a.key, b.value, a.value)"
		"  FROM pg_catalog.jsonb_each_text(coalesce(nullif($1 -> 'aliases', 'null'), '{}')) a"
		"  JOIN pg_catalog.jsonb_each_text($2 -> 'aliases') b ON a.key = b.key WHERE a.value <> b.value"
		" UNION ALL SELECT 5, pg_catalog.format('Segment \"%s\" has another condition or version.', a.value ->> 'segment')"
		"  FROM pg_catalog.jsonb_array_elements(coalesce(nullif($1 -> 'segments', 'null'), '[]')) a"
		"  JOIN pg_catalog.jsonb_array_elements($2 -> 'segments') b ON a.value ->> 'segment' = b.value ->> 'segment'"
		"  WHERE a.value <> b.value"
		" UNION ALL SELECT 6, 'It has other thresholds.' WHERE coalesce(nullif($1 -> 'thresholds', 'null'), '[]') <> '[]'"
		"  AND $2 -> 'thresholds' <> '[]' AND $1 -> 'thresholds' <> $2 -> 'thresholds'"
		" UNION ALL SELECT 7, 'It asks for other approvals.' WHERE $1 ->> 'approvals' IS NOT NULL"
		"  AND $2 ->> 'approvals' IS NOT NULL AND $1 -> 'approvals' <> $2 -> 'approvals'"
		") d (n, what) ORDER BY d.n LIMIT 1",
		JSONBOID, JSONBOID, BOOLOID);

	if (query_run(&differs, jsonb_arg(in->document), jsonb_arg(in->present), bool_arg(in->served)) > 0)
		ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("model \"%s\" is here already and differs from the document", in->model_name),
				errdetail("%s", query_text(0, 0)),
				errhint("Nothing was imported. Make the two agree, or import into an empty registry."));
}

/* known_status: the word, 22023 when it is none that an export shows. */
static const char *
known_status(const char *status, bool active, const char *place)
{
	for (int i = 0; statuses[i]; i++)
		if (strcmp(statuses[i], status) == 0 && active == (strcmp(status, "active") == 0))
			return statuses[i];
	ereport(
		ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("status \"%.40s\" does not fit", status),
		errdetail(
			"It is that of %s; the active version and no other is active, the others are pending, ready, inactive, rolled_back, failed or archived.",
			place),
		errhint("Correct it, or active_version of the model."));
}

/* import_approvals: those of one version. */
static void
import_approvals(const importing *in, const Jsonb *version, const char *name, int64 version_id, const char *place)
{
	static const char *const keys[] = {"user_name", "note", "approved_at", NULL};
	static query insert = QUERY(
		"INSERT INTO model_mgr.version_approval (version_id, user_name, note, approved_at)"
		" SELECT $1, $2, $3, $4 FROM model_mgr.model_version v LEFT JOIN model_mgr.version_creator c"
		" ON c.version_id = v.version_id WHERE v.version_id = $1 AND v.created_by <> $2"
		" AND c.user_name IS DISTINCT FROM $2 ON CONFLICT (version_id, user_name) DO UPDATE SET note = version_approval.note"
		" RETURNING (xmax = 0)",
		INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	Jsonb *list = document_list(version, "approvals", DOCUMENT_OPTIONAL, place);
	Jsonb *one;

	for (int i = 0; (one = document_item(list, i)) != NULL; i++)
	{
		const char *here = psprintf("%s.approvals[%d]", place, i);
		char *user;
		char *note;

		document_keys(one, keys, here);
		user = document_text(one, "user_name", DOCUMENT_REQUIRED, here);
		note = document_text(one, "note", DOCUMENT_OPTIONAL, here);
		mm_check_name("user name", user);
		if (query_run(&insert, int64_arg(version_id), text_arg(user), text_arg(note ? note : ""),
					  time_arg(document_time(one, "approved_at", here))) == 0)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s cannot have approved version \"%s\" of model \"%s\"", user, name, in->model_name),
					errdetail("%s created it; an approval is by somebody else.", user),
					errhint("Leave %s out of the document.", here));
		if (query_bool(0, 0))
			audit_append("import_approval", in->model_name, name,
						 json_build(json_text_pair("approved_by", user), json_text_pair("note", note)));
	}
}

/* import_version: one version, declared as it was. */
static void
import_version(importing *in, const Jsonb *version, const char *place)
{
	static const char *const keys[] = {
		"version",        "description",   "configuration", "artifact_uri", "artifact_digest",
		"parent_version", "tags",          "labels",        "status",       "status_reason",
		"created_by",     "creator_login", "created_at",    "approvals",    NULL};
	registry_declaration d = {.model_name = in->model_name};
	const char *status;
	bool active;
	bool is_new;
	int64 version_id;
	registry_version found;

	document_keys(version, keys, place);
	d.version = document_text(version, "version", DOCUMENT_REQUIRED, place);
	d.description = document_text(version, "description", DOCUMENT_OPTIONAL, place);
	d.configuration = document_object(version, "configuration", DOCUMENT_REQUIRED, place);
	d.uri = document_text(version, "artifact_uri", DOCUMENT_OPTIONAL, place);
	d.digest = document_text(version, "artifact_digest", DOCUMENT_OPTIONAL, place);
	d.parent = document_text(version, "parent_version", DOCUMENT_OPTIONAL, place);
	d.tags = document_names(version, "tags", "tag", place);
	d.labels = document_object(version, "labels", DOCUMENT_OPTIONAL, place);
	d.created_by = document_text(version, "created_by", DOCUMENT_REQUIRED, place);
	d.creator_login = document_text(version, "creator_login", DOCUMENT_OPTIONAL, place);
	if (d.creator_login)
		mm_check_name("creator_login", d.creator_login);
	d.created_at = document_time(version, "created_at", place);
	active = in->active && strcmp(in->active, d.version) == 0;
	status = known_status(document_text(version, "status", DOCUMENT_REQUIRED, place), active, place);
	registry_declaration_check(&d);
	/* A leading @ would be looked up: names in a document are the names themselves. */
	if (d.parent)
		registry_check_version_name("parent version", d.parent);

	is_new = registry_declare(&d, &version_id);
	in->created += is_new;
	import_approvals(in, version, d.version, version_id, place);
	registry_version_by_id(version_id, &found);
	/* Being deployed makes a version active; only an archived one would not be. */
	if (active && !in->served && strcmp(found.status, "archived") == 0)
		registry_restore_status(version_id, "ready", NULL);
	else if ((is_new || !in->served) && !active && strcmp(found.status, status) != 0)
		registry_restore_status(version_id, status, document_text(version, "status_reason", DOCUMENT_OPTIONAL, place));
}

/* import_routing: salt and active version of a model that served nobody here. */
static void
import_routing(const importing *in)
{
	static query deploy =
		QUERY("SELECT model_mgr.deploy_model_version($1, $2, 'replace', $3)", TEXTOID, TEXTOID, TEXTOID);

	if (strcmp(routing_salt(in->model_id), in->salt) != 0)
		routing_set_salt(in->model_id, in->salt);
	if (in->active)
		query_run(&deploy, text_arg(in->model_name), text_arg(in->active), text_arg(mm_session_user_name()));
}

/* import_aliases: name -> version. */
static void
import_aliases(const importing *in)
{
	static query set = QUERY("SELECT model_mgr.set_alias($1, $2, $3)", TEXTOID, TEXTOID, TEXTOID);
	Jsonb *aliases = document_object(in->document, "aliases", DOCUMENT_OPTIONAL, in->place);
	JsonbIterator *iterator = JsonbIteratorInit(&aliases->root);
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
		{
			char *alias = pnstrdup(value.val.string.val, value.val.string.len);
			char *version = document_text(aliases, alias, DOCUMENT_REQUIRED, psprintf("%s.aliases", in->place));

			registry_check_version_name("version", version);
			query_run(&set, text_arg(in->model_name), text_arg(alias), text_arg(version));
		}
}

static void
import_segments(const importing *in)
{
	static const char *const keys[] = {"segment", "condition", "version", NULL};
	static query set = QUERY("SELECT model_mgr.set_segment($1, $2, $3, $4)", TEXTOID, TEXTOID, JSONBOID, TEXTOID);
	Jsonb *list = document_list(in->document, "segments", DOCUMENT_OPTIONAL, in->place);
	Jsonb *one;

	for (int i = 0; (one = document_item(list, i)) != NULL; i++)
	{
		const char *here = psprintf("%s.segments[%d]", in->place, i);
		char *version;

		document_keys(one, keys, here);
		version = document_text(one, "version", DOCUMENT_REQUIRED, here);
		registry_check_version_name("version", version);
		query_run(&set, text_arg(in->model_name), text_arg(document_text(one, "segment", DOCUMENT_REQUIRED, here)),
				  jsonb_arg(document_any(one, "condition", here)), text_arg(version));
	}
}

static void
import_schedules(const importing *in)
{
	static const char *const keys[] = {"target_version",   "cron_expression",  "timezone", "deployment_strategy",
									   "validation_rules", "allow_prerelease", NULL};
	Jsonb *list = document_list(in->document, "schedules", DOCUMENT_OPTIONAL, in->place);
	Jsonb *one;

	for (int i = 0; (one = document_item(list, i)) != NULL; i++)
	{
		const char *here = psprintf("%s.schedules[%d]", in->place, i);
		update_wish w = {.model_name = in->model_name, .by = mm_session_user_name()};

		document_keys(one, keys, here);
		w.target_version = document_text(one, "target_version", DOCUMENT_REQUIRED, here);
		w.strategy = deployment_strategy(document_text(one, "deployment_strategy", DOCUMENT_REQUIRED, here));
		w.rules = validator_rules(document_list(one, "validation_rules", DOCUMENT_OPTIONAL, here));
		w.allow_prerelease = document_boolean(one, "allow_prerelease", here);
		schedule_import(&w, document_text(one, "cron_expression", DOCUMENT_REQUIRED, here),
						document_text(one, "timezone", DOCUMENT_REQUIRED, here));
	}
}

/* import_rules: thresholds, and the approvals that are asked for from now on. */
static void
import_rules(const importing *in)
{
	static const char *const keys[] = {"approvals", "from_role", NULL};
	static query thresholds = QUERY("SELECT model_mgr.set_thresholds($1, $2)", TEXTOID, JSONBOID);
	static query approvals = QUERY("SELECT model_mgr.require_approvals($1, $2, $3)", TEXTOID, INT4OID, TEXTOID);
	Jsonb *list = document_list(in->document, "thresholds", DOCUMENT_OPTIONAL, in->place);
	Jsonb *rule = document_object(in->document, "approvals", DOCUMENT_OPTIONAL, in->place);
	const char *here = psprintf("%s.approvals", in->place);

	if (JB_ROOT_COUNT(list) > 0)
		query_run(&thresholds, text_arg(in->model_name), jsonb_arg(list));
	document_keys(rule, keys, here);
	if (JB_ROOT_COUNT(rule) > 0)
		query_run(&approvals, text_arg(in->model_name), int32_arg(document_integer(rule, "approvals", here)),
				  text_arg(document_text(rule, "from_role", DOCUMENT_OPTIONAL, here)));
}

/* describe: description, owner and labels where there are none here. */
static void
describe(const importing *in)
{
	static query set = QUERY("SELECT model_mgr.set_model($1, CASE WHEN m.description IS NULL THEN $2 END,"
							 " CASE WHEN m.owner IS NULL THEN $3 END, CASE WHEN m.labels = '{}' THEN $4 END)"
							 " FROM model_mgr.model m WHERE m.model_name = $1",
							 TEXTOID, TEXTOID, TEXTOID, JSONBOID);

	query_run(&set, text_arg(in->model_name),
			  text_arg(document_text(in->document, "description", DOCUMENT_OPTIONAL, in->place)),
			  text_arg(document_text(in->document, "owner", DOCUMENT_OPTIONAL, in->place)),
			  jsonb_arg(document_object(in->document, "labels", DOCUMENT_OPTIONAL, in->place)));
}

/* check_salt: what bucketing begins with: printable ASCII, as new models' are hexadecimal. */
static void
check_salt(const importing *in)
{
	bool plain = in->salt[0] != '\0' && strlen(in->salt) <= MAX_SALT;

	for (const unsigned char *c = (const unsigned char *) in->salt; *c; c++)
		plain = plain && *c > 0x20 && *c < 0x7f;
	if (!plain)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("bad salt of model \"%s\"", in->model_name),
				errdetail("A salt has 1 to %d printable ASCII characters.", MAX_SALT),
				errhint("Use the one that export_registry() wrote."));
}

/* import_model: one element of the list; returns how many of its versions were new. */
static int64
import_model(const Jsonb *document, const char *place)
{
	static const char *const keys[] = {"model_name", "description", "owner",          "labels",    "created_by",
									   "created_at", "salt",        "active_version", "versions",  "aliases",
									   "approvals",  "thresholds",  "segments",       "schedules", NULL};
	static query present =
		QUERY("SELECT d.document, d.document ->> 'active_version' IS NOT NULL OR EXISTS (SELECT FROM"
			  " model_mgr.deployment_plan p WHERE p.model_id = $1) FROM model_mgr.registry_document d"
			  " WHERE d.model_name = $2",
			  INT8OID, TEXTOID);
	importing in = {.document = document, .place = place};
	Jsonb *versions;
	Jsonb *one;
	bool active_found = false;

	document_keys(document, keys, place);
	in.model_name = document_text(document, "model_name", DOCUMENT_REQUIRED, place);
	in.salt = document_text(document, "salt", DOCUMENT_REQUIRED, place);
	in.active = document_text(document, "active_version", DOCUMENT_OPTIONAL, place);
	versions = document_list(document, "versions", DOCUMENT_REQUIRED, place);
	check_salt(&in);
	for (int i = 0; (one = document_item(versions, i)) != NULL; i++)
	{
		const char *here = psprintf("%s.versions[%d]", place, i);
		JsonbValue unused;

		if (JB_ROOT_IS_OBJECT(one) && in.active &&
			getKeyJsonValueFromContainer(&one->root, "version", strlen("version"), &unused))
			active_found =
				active_found || strcmp(document_text(one, "version", DOCUMENT_REQUIRED, here), in.active) == 0;
	}
	if (in.active && !active_found)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("active_version \"%.255s\" is not among the versions", in.active),
				errdetail("It is that of %s.", place), errhint("Add the version, or write null."));

	in.model_id = registry_make_model(in.model_name, document_text(document, "created_by", DOCUMENT_REQUIRED, place),
									  document_time(document, "created_at", place));
	deployment_fresh(in.model_id);
	query_run(&present, int64_arg(in.model_id), text_arg(in.model_name));
	in.present = query_jsonb(0, 0);
	in.served = query_bool(0, 1);
	/* What the comparison reads must be of the right types; their values are checked as they are written. */
	(void) document_object(document, "aliases", DOCUMENT_OPTIONAL, place);
	(void) document_list(document, "segments", DOCUMENT_OPTIONAL, place);
	check_agrees(&in);

	describe(&in);
	for (int i = 0; (one = document_item(versions, i)) != NULL; i++)
		import_version(&in, one, psprintf("%s.versions[%d]", place, i));
	if (!in.served)
		import_routing(&in);
	import_aliases(&in);
	import_segments(&in);
	import_rules(&in);
	import_schedules(&in);
	/* As elsewhere, what changes nothing leaves no entry. */
	query_run(&present, int64_arg(in.model_id), text_arg(in.model_name));
	if (in.created > 0 || compareJsonbContainers(&in.present->root, &query_jsonb(0, 0)->root) != 0)
		audit_append("import", in.model_name, in.active,
					 json_build(json_integer_pair("versions", JB_ROOT_COUNT(versions)),
								json_integer_pair("new_versions", in.created)));
	return in.created;
}

/* check_format: 22023 unless it is ours. */
static void
check_format(const Jsonb *document)
{
	static const char *const keys[] = {"format", "models", NULL};
	JsonbValue value;

	if (!JB_ROOT_IS_OBJECT(document))
		document_keys(document, keys, "document");
	if (getKeyJsonValueFromContainer((JsonbContainer *) &document->root, "format", strlen("format"), &value) &&
		document_integer(document, "format", "the document") != REGISTRY_FORMAT)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown format of the document"),
				errdetail("It is format %d; this version of model_mgr reads format %d.",
						  document_integer(document, "format", "the document"), REGISTRY_FORMAT),
				errhint("Import with the version of model_mgr that wrote it, and dump that database."));
	(void) document_integer(document, "format", "the document");
	document_keys(document, keys, "the document");
}

MM_FUNCTION(mm_import_registry);

/* mm_import_registry(document jsonb): bigint. Models in the order of their names, as their locks are taken in it. */
Datum
mm_import_registry(PG_FUNCTION_ARGS)
{
	static query order = QUERY("SELECT (m.n - 1)::integer FROM pg_catalog.jsonb_array_elements($1 -> 'models')"
							   " WITH ORDINALITY m (m, n) ORDER BY m.m ->> 'model_name' COLLATE \"C\", m.n",
							   JSONBOID);
	Jsonb *document = (mm_require(fcinfo, 0, "document"), PG_GETARG_JSONB_P(0));
	Jsonb *models;
	int64 created = 0;
	int32 *position;
	int count;
	mm_scope scope;

	check_format(document);
	models = document_list(document, "models", DOCUMENT_REQUIRED, "the document");
	mm_refuse_user_code("a registry cannot be imported by code that runs by itself",
						"Call import_registry() from a session of your own.");
	scope = mm_enter();
	check_once(document);
	count = (int) query_run(&order, jsonb_arg(document));
	position = palloc(sizeof(int32) * (count + 1));
	for (int i = 0; i < count; i++)
		position[i] = query_int32(i, 0);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		created += import_model(document_item(models, position[i]), psprintf("models[%d]", position[i]));
	}
	mm_leave(scope);
	PG_RETURN_INT64(created);
}
