/*
 * registry.c: finding models and versions, for every module that acts on one. A name that is not there is an error
 * that says which name comes nearest. Writing is in registry_write.c, statuses in registry_status.c.
 */
#include "pg/registry.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/varlena.h"

#include "core/semver.h"
#include "pg/query.h"

/* The distance function of the server takes no longer strings (in characters; bytes are at least as many). */
#define NEAREST_MAX_LENGTH 255

/*
 * nearest: the text in column 0 of the last result that takes the fewest edits to become `name`, and at most a third
 * of its length of them; NULL when none is that near.
 */
static const char *
nearest(const char *name, uint64 rows)
{
	int length = strlen(name);
	int best_distance = Max(1, length / 3) + 1;
	const char *best = NULL;

	if (length > NEAREST_MAX_LENGTH)
		return NULL;
	for (uint64 row = 0; row < rows; row++)
	{
		const char *candidate = query_text(row, 0);
		int candidate_length = strlen(candidate);
		int distance;

		if (candidate_length > NEAREST_MAX_LENGTH)
			continue;
		distance =
			varstr_levenshtein_less_equal(name, length, candidate, candidate_length, 1, 1, 1, best_distance, false);
		if (distance < best_distance)
		{
			best_distance = distance;
			best = candidate;
		}
	}
	return best;
}

static void no_such_model(const char *model_name) __attribute__((noreturn));
static void no_such_version(const char *model_name, const char *version) __attribute__((noreturn));

static void
no_such_model(const char *model_name)
{
	static query names = QUERY("SELECT m.model_name FROM model_mgr.model m ORDER BY m.model_name");
	uint64 rows = query_run(&names);
	const char *near = nearest(model_name, rows);

	ereport(
		ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("model \"%s\" does not exist", model_name),
		errdetail("The registry holds %llu models.", (unsigned long long) rows),
		near
			? errhint("Did you mean \"%s\"?", near)
			: errhint(
				  "create_model_version() makes a model with its first version; list_all_models() shows those there are."));
}

static void
no_such_version(const char *model_name, const char *version)
{
	static query versions = QUERY("SELECT v.version FROM model_mgr.model_version v WHERE v.model_name = $1"
								  " UNION ALL SELECT '@' || a.alias FROM model_mgr.model m"
								  " JOIN model_mgr.model_alias a ON a.model_id = m.model_id WHERE m.model_name = $1",
								  TEXTOID);
	bool alias = version[0] == '@';
	bool word = strcmp(version, "latest") == 0 || strcmp(version, "stable") == 0 || strcmp(version, "previous") == 0;
	uint64 rows = query_run(&versions, text_arg(model_name));
	const char *near = nearest(version, rows);

	ereport(
		ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
		errmsg(alias ? "alias \"%s\" of model \"%s\" does not exist" : "version \"%s\" of model \"%s\" does not exist",
			   alias ? version + 1 : version, model_name),
		errdetail("The model has %llu versions and aliases.", (unsigned long long) rows),
		word   ? errhint("Pass resolve_version(model_name, '%s').", version)
		: near ? errhint("Did you mean \"%s\"?", near)
			   : errhint("list_model_versions() shows the versions, the view alias_list the aliases."));
}

int64
registry_model_id(const char *model_name, bool missing_ok)
{
	static query find = QUERY("SELECT m.model_id FROM model_mgr.model m WHERE m.model_name = $1", TEXTOID);

	if (query_run(&find, text_arg(model_name)) > 0)
		return query_int64(0, 0);
	if (!missing_ok)
		no_such_model(model_name);
	return 0;
}

int64
registry_lock_model(const char *model_name)
{
	int64 model_id = registry_model_id(model_name, false);
	int64 found;

	/* While this waited, the model may have been deleted, and made anew under another id. */
	registry_check_grant(model_name);
	for (;;)
	{
		(void) mm_lock_model(model_id, true);
		found = registry_model_id(model_name, false);
		if (found == model_id)
			return model_id;
		model_id = found;
	}
}

#define VERSION_COLUMNS "v.model_id, v.version_id, v.model_name, v.version, v.status, v.created_by, v.configuration"

/* read_version: row 0 of a result with VERSION_COLUMNS. */
static void
read_version(registry_version *out)
{
	out->model_id = query_int64(0, 0);
	out->version_id = query_int64(0, 1);
	out->model_name = query_text(0, 2);
	out->version = query_text(0, 3);
	out->status = query_text(0, 4);
	out->created_by = query_text(0, 5);
	out->configuration = query_jsonb(0, 6);
}

bool
registry_find_version(const char *model_name, const char *version, bool missing_ok, registry_version *out)
{
	static query by_text = QUERY("SELECT " VERSION_COLUMNS " FROM model_mgr.model_version v"
								 " WHERE v.model_name = $1 AND v.version = $2",
								 TEXTOID, TEXTOID);
	static query by_alias = QUERY("SELECT " VERSION_COLUMNS " FROM model_mgr.model m"
								  " JOIN model_mgr.model_alias a ON a.model_id = m.model_id"
								  " JOIN model_mgr.model_version v ON v.version_id = a.version_id"
								  " WHERE m.model_name = $1 AND a.alias = $2",
								  TEXTOID, TEXTOID);
	uint64 found = version[0] == '@' ? query_run(&by_alias, text_arg(model_name), text_arg(version + 1))
									 : query_run(&by_text, text_arg(model_name), text_arg(version));

	if (found > 0)
	{
		read_version(out);
		return true;
	}
	if (!missing_ok)
	{
		(void) registry_model_id(model_name, false); /* an unknown model is the better message */
		no_such_version(model_name, version);
	}
	return false;
}

void
registry_version_by_id(int64 version_id, registry_version *out)
{
	static query by_id =
		QUERY("SELECT " VERSION_COLUMNS " FROM model_mgr.model_version v WHERE v.version_id = $1", INT8OID);

	if (query_run(&by_id, int64_arg(version_id)) == 0)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("there is no version with id %lld", (long long) version_id),
				errdetail("It is not in the registry, or no longer."),
				errhint("model_version_list shows the ids of all versions."));
	read_version(out);
}

Datum
registry_version_row(int64 version_id)
{
	static query row = QUERY("SELECT v FROM model_mgr.model_version v WHERE v.version_id = $1", INT8OID);

	if (query_run(&row, int64_arg(version_id)) == 0)
		elog(ERROR, "version %lld is gone", (long long) version_id);
	return query_result_row();
}

void
registry_check_version_name(const char *what, const char *name)
{
	mm_check_name(what, name);
	if (name[0] == '@' || strcmp(name, "latest") == 0 || strcmp(name, "stable") == 0 || strcmp(name, "previous") == 0)
		ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("%s \"%s\" is reserved", what, name),
				errdetail("latest, stable and previous are found by resolve_version(), a leading @ marks an alias."),
				errhint("Choose another name, such as 1.0.0."));
}

Datum
registry_names(Datum array, const char *what)
{
	ArrayType *given = DatumGetArrayTypeP(array);
	Datum *elements;
	bool *nulls;
	int count;
	int kept = 0;

	if (ARR_NDIM(given) > 1)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%ss must be a list", what),
				errdetail("The array has %d dimensions.", ARR_NDIM(given)), errhint("Write '{one,another}'."));
	deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		bool known = false;

		if (nulls[i])
			ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%ss must not be null", what),
					errdetail("Element %d of %d is null.", i + 1, count), errhint("Leave the element out."));
		mm_check_name(what, TextDatumGetCString(elements[i]));
		for (int j = 0; j < kept && !known; j++)
			known = strcmp(TextDatumGetCString(elements[i]), TextDatumGetCString(elements[j])) == 0;
		if (!known)
			elements[kept++] = elements[i];
	}
	return PointerGetDatum(construct_array(elements, kept, TEXTOID, -1, false, TYPALIGN_INT));
}

MM_FUNCTION(mm_version_order);
MM_FUNCTION(mm_is_prerelease);
MM_FUNCTION(mm_check_required);
MM_FUNCTION(mm_check_range);

/* mm_version_order: bytes that sort versions by SemVer precedence. */
Datum
mm_version_order(PG_FUNCTION_ARGS)
{
	text *version = PG_GETARG_TEXT_PP(0);
	bytea *key = palloc(VARHDRSZ + SEMVER_KEY_SIZE);
	size_t length = semver_key(VARDATA_ANY(version), VARSIZE_ANY_EXHDR(version), (unsigned char *) VARDATA(key));

	SET_VARSIZE(key, VARHDRSZ + length);
	PG_RETURN_BYTEA_P(key);
}

Datum
mm_is_prerelease(PG_FUNCTION_ARGS)
{
	text *version = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(semver_classify(VARDATA_ANY(version), VARSIZE_ANY_EXHDR(version)) == SEMVER_PRERELEASE);
}

/* mm_check_required: 22004 when the value is NULL: what functions written in SQL have for mm_require. */
Datum
mm_check_required(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
	{
		const char *name = PG_ARGISNULL(1) ? "?" : text_to_cstring(PG_GETARG_TEXT_PP(1));

		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" must not be null", name),
				errdetail("The argument has no default."), errhint("Pass a value: %s => ...", name));
	}
	PG_RETURN_BOOL(true);
}

/* mm_check_range: mm_check_float for functions written in SQL. */
Datum
mm_check_range(PG_FUNCTION_ARGS)
{
	mm_check_float(text_to_cstring(PG_GETARG_TEXT_PP(1)), PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(2),
				   PG_GETARG_FLOAT8(3));
	PG_RETURN_BOOL(true);
}
