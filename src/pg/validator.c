/*
 * validator.c: rules and validators as people declare them: validation_rule(), the value of validation_rules, the
 * registered functions, and the policy that the shipped security_validation goes by. Running them is in
 * validator_run.c.
 */
#include "pg/validator.h"

#include <math.h>

#include "utils/array.h"

#include "pg/audit.h"
#include "pg/deployment_key.h"
#include "pg/json_tree.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/user_code.h"

#define MAX_RULES 100
/* Each verdict repeats its rule, and they must fit into an entry of the audit log: an update that cannot end keeps its
 * place. */
#define MAX_RULES_TEXT (1024 * 1024)
#define RESULT "record(passed boolean, message text, details jsonb)"

static const char *const rule_keys[] = {"name", "description", "validator_function", "severity", "required"};
static const char *const severities[] = {"error", "info", "warning", "critical"};

/* malformed: 22P02 for a value that cannot be rules at all. */
static void
malformed(const char *detail)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("validation_rules has a malformed value"),
			errdetail("%s.", detail),
			errhint("Write a list: jsonb_build_array(model_mgr.validation_rule('baseline', NULL, "
					"'validate_performance_baseline'))."));
}

/* rule_json: a checked rule, every key with its value. */
static Jsonb *
rule_json(const char *name, const char *description, const char *function, const char *severity, bool required)
{
	bool known = false;

	mm_check_name("rule name", name);
	mm_check_name("validator name", function);
	for (int i = 0; i < lengthof(severities); i++)
		known |= strcmp(severity, severities[i]) == 0;
	if (!known)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown severity \"%s\"", severity),
				errdetail("Severities are info, warning, error and critical."),
				errhint("Leave it out for error, which stops an update."));
	return json_build(json_text_pair("name", name), json_text_pair("description", description ? description : ""),
					  json_text_pair("validator_function", function), json_text_pair("severity", severity),
					  json_boolean_pair("required", required));
}

/* rule_text: a string of a rule; NULL when absent or null. */
static char *
rule_text(const Jsonb *rule, const char *key)
{
	JsonbValue value;

	if (!deployment_key_find(rule, key, &value))
		return NULL;
	if (value.type != jbvString)
		malformed(psprintf("Key \"%s\" of a rule must be a string", key));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* rule_required_text: 22023 when it is missing. */
static char *
rule_required_text(const Jsonb *rule, const char *key)
{
	char *text = rule_text(rule, key);

	if (text == NULL)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a validation rule lacks \"%s\"", key),
				errdetail("Every rule has a name and a validator_function."),
				errhint("Make it with model_mgr.validation_rule()."));
	return text;
}

/* check_rule: a rule as somebody wrote it. */
static Jsonb *
check_rule(JsonbValue *element)
{
	JsonbValue value;
	Jsonb *rule;
	char *severity;
	bool required = true;

	if (!deployment_key_is_object(element))
		malformed("Its elements must be objects");
	deployment_key_check(element->val.binary.data, "validation rule", rule_keys, lengthof(rule_keys));
	rule = JsonbValueToJsonb(element);
	if (deployment_key_find(rule, "required", &value))
	{
		if (value.type != jbvBool)
			malformed("Key \"required\" of a rule must be true or false");
		required = value.val.boolean;
	}
	severity = rule_text(rule, "severity");
	return rule_json(rule_required_text(rule, "name"), rule_text(rule, "description"),
					 rule_required_text(rule, "validator_function"), severity ? severity : severities[0], required);
}

Jsonb *
validator_rules(const Jsonb *rules)
{
	JsonbParseState *state = NULL;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue element;
	Jsonb *checked;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	if (rules)
	{
		if (!JB_ROOT_IS_ARRAY(rules) || JB_ROOT_IS_SCALAR(rules))
			malformed("It must be a list of rules");
		if (JB_ROOT_COUNT(rules) > MAX_RULES)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many validation rules"),
					errdetail("There are %u; at most %d are judged.", JB_ROOT_COUNT(rules), MAX_RULES),
					errhint("Let one validator check several things."));
		iterator = JsonbIteratorInit((JsonbContainer *) &rules->root);
		while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
			if (token == WJB_ELEM)
			{
				JsonbValue rule;

				JsonbToJsonbValue(check_rule(&element), &rule);
				(void) pushJsonbValue(&state, WJB_ELEM, &rule);
			}
	}
	checked = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
	if (json_text_exceeds(checked, MAX_RULES_TEXT))
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("validation rules are too large"),
				errdetail("Their text may have more than %d kB.", MAX_RULES_TEXT / 1024),
				errhint("Say in a description what the rule is for, and keep the rest elsewhere."));
	return checked;
}

void
validator_require(const Jsonb *rules)
{
	static query find = QUERY(
		"SELECT r ->> 'validator_function', r ->> 'name' FROM pg_catalog.jsonb_array_elements($1) r"
		" WHERE NOT EXISTS (SELECT FROM model_mgr.validator_list l WHERE l.validator_name = r ->> 'validator_function')"
		" LIMIT 1",
		JSONBOID);

	if (JB_ROOT_COUNT(rules) > 0 && query_run(&find, jsonb_arg(rules)) > 0)
		ereport(
			ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("validator \"%s\" does not exist", query_text(0, 0)),
			errdetail("Rule \"%s\" names it; neither is one registered so, nor shipped.", query_text(0, 1)),
			errhint("Register it with model_mgr.register_validator(); the view validator_list shows those there are."));
}

MM_FUNCTION(mm_validation_rule);

/* mm_validation_rule(name, description, validator_function, severity, required): touches no table. */
Datum
mm_validation_rule(PG_FUNCTION_ARGS)
{
	char *name = mm_text_arg(fcinfo, 0, "name", true);
	char *description = mm_text_arg(fcinfo, 1, "description", false);
	char *function = mm_text_arg(fcinfo, 2, "validator_function", true);
	char *severity = mm_text_arg(fcinfo, 3, "severity", false);

	PG_RETURN_JSONB_P(rule_json(name, description, function, severity ? severity : severities[0],
								PG_ARGISNULL(4) || PG_GETARG_BOOL(4)));
}

/* check_remover: 42501 where another role has registered that name, or the caller is confined to some models and the
 * name is a shipped one's: others' updates go by what its code says. */
static void
check_remover(const char *name)
{
	static query find =
		QUERY("SELECT v.role_name FROM model_mgr.validator v WHERE v.validator_name = $1 FOR UPDATE", TEXTOID);
	static query shipped =
		QUERY("SELECT FROM model_mgr.validator_list l WHERE l.validator_name = $1 AND l.shipped", TEXTOID);

	if (query_run(&find, text_arg(name)) > 0)
		user_code_check_remover(query_text(0, 0), psprintf("validator \"%s\"", name));
	else if (query_run(&shipped, text_arg(name)) > 0)
		registry_check_unconfined(psprintf("validator \"%s\"", name));
}

/* check_newcomer: 42501 where a caller confined to some models would judge others by a name that is free: rules keep
 * the names of validators that were taken off, and would go by whatever is registered so next. */
static void
check_newcomer(const char *name)
{
	static query registered = QUERY("SELECT FROM model_mgr.validator v WHERE v.validator_name = $1", TEXTOID);
	static query named = QUERY(
		"SELECT DISTINCT x.model_name FROM (SELECT s.model_name, s.validation_rules FROM model_mgr.schedule s"
		" UNION ALL SELECT u.model_name, p.validation_rules FROM model_mgr.update_run u"
		" JOIN model_mgr.update_plan p ON p.update_id = u.update_id WHERE u.status = ANY ('{pending,validating}'::text[])"
		" UNION ALL SELECT d.model_name, d.rollout -> 'validation_rules' FROM model_mgr.deployment d"
		" WHERE d.status = 'pending') x (model_name, rules)"
		" WHERE x.rules @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('validator_function', $1))"
		" ORDER BY 1",
		TEXTOID);
	char **models;
	uint64 count;

	if (query_run(&registered, text_arg(name)) > 0)
		return;
	count = query_run(&named, text_arg(name));
	models = palloc(sizeof(char *) * (count + 1));
	for (uint64 i = 0; i < count; i++)
		models[i] = query_text(i, 0);
	for (uint64 i = 0; i < count; i++)
		if (!registry_granted(models[i]))
			ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied for validator \"%s\"", name),
					errdetail("Rules of model \"%s\" name it, and the caller is confined to other models.", models[i]),
					errhint("Choose another name, or ask an administrator whom no grant_model() confines."));
}

MM_FUNCTION(mm_register_validator);

/* mm_register_validator(name text, validator_func regprocedure): again is harmless, another function takes the place.
 */
Datum
mm_register_validator(PG_FUNCTION_ARGS)
{
	static query same =
		QUERY("SELECT FROM model_mgr.validator v WHERE v.validator_name = $1 AND v.function = $2::bigint::oid"
			  " AND v.signature = $3 AND v.role = $4::bigint::oid AND v.role_name = $5 AND v.origin = $6"
			  " AND v.disabled_at IS NULL",
			  TEXTOID, INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID);
	static query store = QUERY(
		"INSERT INTO model_mgr.validator (validator_name, function, signature, role, role_name, origin, registered_at)"
		" VALUES ($1, $2::bigint::oid, $3, $4::bigint::oid, $5, $6, $7) ON CONFLICT (validator_name) DO UPDATE"
		" SET function = excluded.function, signature = excluded.signature, role = excluded.role,"
		" role_name = excluded.role_name, origin = excluded.origin, registered_at = excluded.registered_at,"
		" disabled_at = NULL, disabled_reason = NULL",
		TEXTOID, INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	char *name = mm_text_arg(fcinfo, 0, "name", true);
	user_code code;
	mm_scope scope;

	mm_require(fcinfo, 1, "validator_func");
	mm_check_name("validator name", name);
	scope = mm_enter();
	user_code_check(PG_GETARG_OID(1), RESULT, &code);
	check_remover(name);
	check_newcomer(name);
	if (query_run(&same, text_arg(name), int64_arg(code.function), text_arg(code.signature), int64_arg(code.role),
				  text_arg(code.role_name), text_arg(user_code_origin())) == 0)
	{
		query_run(&store, text_arg(name), int64_arg(code.function), text_arg(code.signature), int64_arg(code.role),
				  text_arg(code.role_name), text_arg(user_code_origin()), time_arg(mm_now()));
		audit_append("register_validator", NULL, NULL,
					 json_build(json_text_pair("name", name), json_text_pair("function", code.signature),
								json_text_pair("role", code.role_name)));
	}
	mm_leave(scope);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_unregister_validator);

/* mm_unregister_validator(name text): a call of it that is under way ends as it does. 42501 for others than who
 * registered it and who administrates. */
Datum
mm_unregister_validator(PG_FUNCTION_ARGS)
{
	static query delete = QUERY(
		"DELETE FROM model_mgr.validator v WHERE v.validator_name = $1 RETURNING v.signature, v.role_name", TEXTOID);
	char *name = mm_text_arg(fcinfo, 0, "name", true);
	mm_scope scope = mm_enter();
	bool removed;

	check_remover(name);
	removed = query_run(&delete, text_arg(name)) > 0;
	if (removed)
		audit_append("unregister_validator", NULL, NULL,
					 json_build(json_text_pair("name", name), json_text_pair("function", query_text(0, 0)),
								json_text_pair("role", query_text(0, 1))));
	mm_leave(scope);
	PG_RETURN_BOOL(removed);
}

MM_FUNCTION(mm_set_security_policy);

/* mm_set_security_policy(approved_models text[], max_temperature float8, required_tag text): replaces all of it. */
Datum
mm_set_security_policy(PG_FUNCTION_ARGS)
{
	static query store = QUERY(
		"INSERT INTO model_mgr.security_policy (approved_models, max_temperature, required_tag, set_by, set_at)"
		" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (one_row) DO UPDATE SET approved_models = excluded.approved_models,"
		" max_temperature = excluded.max_temperature, required_tag = excluded.required_tag, set_by = excluded.set_by,"
		" set_at = excluded.set_at RETURNING pg_catalog.to_jsonb(approved_models)",
		TEXTARRAYOID, FLOAT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	query_arg models =
		PG_ARGISNULL(0) ? null_arg() : datum_arg(registry_names(PG_GETARG_DATUM(0), "approved model"), false);
	query_arg temperature = PG_ARGISNULL(1) ? null_arg() : float8_arg(PG_GETARG_FLOAT8(1));
	char *tag = mm_text_arg(fcinfo, 2, "required_tag", false);
	mm_scope scope;

	if (!temperature.isnull)
		mm_check_float("max_temperature", PG_GETARG_FLOAT8(1), 0, 100);
	if (tag)
		mm_check_name("tag", tag);
	scope = mm_enter();
	registry_check_unconfined("set_security_policy");
	query_run(&store, models, temperature, text_arg(tag), text_arg(mm_session_user_name()), time_arg(mm_now()));
	audit_append("set_security_policy", NULL, NULL,
				 json_build(json_object_pair("approved_models", query_jsonb(0, 0)),
							json_number_pair("max_temperature", temperature.isnull ? NAN : PG_GETARG_FLOAT8(1)),
							json_text_pair("required_tag", tag)));
	mm_leave(scope);
	PG_RETURN_VOID();
}
