/*
 * routing_rule.c: the rules that people set by hand: pinned units and segments. Arguments are checked here; what is
 * written is routing_store.c's.
 */
#include "pg/routing_store.h"

#include "pg/audit.h"
#include "pg/json_tree.h"
#include "pg/query.h"
#include "pg/registry.h"

/* check_may_serve: archived versions serve nobody; every other status may be reached on purpose. */
static void
check_may_serve(const registry_version *version)
{
	if (strcmp(version->status, "archived") == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("version \"%s\" of model \"%s\" is archived", version->version, version->model_name),
				errdetail("Its status is archived; archived versions serve nobody."),
				errhint("Revive it with model_mgr.mark_version_ready(), or choose another version."));
}

/* unit_text: a unit that must be there. */
static text *
unit_text(FunctionCallInfo fcinfo, int argno)
{
	text *unit;

	mm_require(fcinfo, argno, "unit_id");
	unit = PG_GETARG_TEXT_PP(argno);
	if (VARSIZE_ANY_EXHDR(unit) == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"unit_id\" must not be empty"),
				errdetail("An empty unit_id is no unit."), errhint("Pass the id that route() is called with."));
	return unit;
}

/* set_pin: pin_unit and unpin_unit (version NULL). */
static bool
set_pin(const char *model_name, text *unit, const char *version)
{
	int64 hash = unit_hash_of(VARDATA_ANY(unit), VARSIZE_ANY_EXHDR(unit));
	mm_scope scope = mm_enter();
	registry_version found = {0};
	int64 revision;

	found.model_id = registry_lock_model(model_name);
	if (version)
	{
		registry_find_version(model_name, version, false, &found);
		check_may_serve(&found);
	}
	revision = routing_store_pin(found.model_id, model_name, hash, found.version_id, found.version);
	if (revision != 0)
		audit_append(version ? "pin_unit" : "unpin_unit", model_name, found.version,
					 json_build(json_integer_pair("unit_hash", hash), json_integer_pair("revision", revision)));
	mm_leave(scope);
	return revision != 0;
}

MM_FUNCTION(mm_pin_unit);

/* mm_pin_unit: true when this changed something. */
Datum
mm_pin_unit(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	text *unit = unit_text(fcinfo, 1);

	PG_RETURN_BOOL(set_pin(model_name, unit, mm_text_arg(fcinfo, 2, "version", true)));
}

MM_FUNCTION(mm_unpin_unit);

/* mm_unpin_unit: false when the unit was not pinned. */
Datum
mm_unpin_unit(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);

	PG_RETURN_BOOL(set_pin(model_name, unit_text(fcinfo, 1), NULL));
}

void
routing_check_condition(const Jsonb *condition)
{
	condition_node *nodes = palloc(sizeof(condition_node) * CONDITION_MAX_NODES);
	condition_error error;
	size_t count;

	switch (condition_compile(json_tree(condition), nodes, &count, &error))
	{
		case CONDITION_OK:
			break;
		case CONDITION_BAD:
		case CONDITION_TOO_DEEP:
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid condition"),
				errdetail("%s %s.", error.path, error.problem),
				errhint(
					"Conditions look like {\"country\": {\"in\": [\"DE\", \"FR\"]}, \"age\": {\">=\": 18}}; any, all and not join them, at most %d deep.",
					CONDITION_MAX_DEPTH));
			break;
		case CONDITION_TOO_LARGE:
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("condition is too large"),
					errdetail("%s %s; the limit is %d.", error.path, error.problem, CONDITION_MAX_NODES),
					errhint("Test a key against many values with {\"in\": [...]}, which counts as one test."));
			break;
	}
	pfree(nodes);
}

MM_FUNCTION(mm_set_segment);

/* mm_set_segment: true when this changed something; a new segment comes last, a known one keeps its place. */
Datum
mm_set_segment(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *segment = mm_text_arg(fcinfo, 1, "segment", true);
	char *version = mm_text_arg(fcinfo, 3, "version", true);
	registry_version found;
	Jsonb *condition;
	int64 revision;
	mm_scope scope;

	mm_require(fcinfo, 2, "condition");
	condition = PG_GETARG_JSONB_P(2);
	mm_check_name("segment name", segment);
	routing_check_condition(condition);

	scope = mm_enter();
	registry_lock_model(model_name);
	registry_find_version(model_name, version, false, &found);
	check_may_serve(&found);
	revision = routing_store_segment(found.model_id, model_name, segment, condition, found.version_id, found.version);
	if (revision != 0)
		audit_append("set_segment", model_name, found.version,
					 json_build(json_text_pair("segment", segment), json_object_pair("condition", condition),
								json_integer_pair("revision", revision)));
	mm_leave(scope);
	PG_RETURN_BOOL(revision != 0);
}

MM_FUNCTION(mm_drop_segment);

/* mm_drop_segment: false when there was none of that name. */
Datum
mm_drop_segment(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *segment = mm_text_arg(fcinfo, 1, "segment", true);
	mm_scope scope = mm_enter();
	int64 model_id = registry_lock_model(model_name);
	int64 revision;

	revision = routing_store_segment(model_id, model_name, segment, NULL, 0, NULL);
	if (revision != 0)
		audit_append("drop_segment", model_name, NULL,
					 json_build(json_text_pair("segment", segment), json_integer_pair("revision", revision)));
	mm_leave(scope);
	PG_RETURN_BOOL(revision != 0);
}
