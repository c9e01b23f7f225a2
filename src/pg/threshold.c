/*
 * threshold.c: thresholds as callers write them: checking one, replacing a model's set. What is stored has passed the
 * same checks whether it came as arguments or as JSON. Looking at them is in threshold_look.c.
 */
#include "pg/threshold.h"

#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "utils/fmgrprotos.h"

#include "pg/alert_store.h"
#include "pg/audit.h"
#include "pg/deployment_store.h"
#include "pg/json_tree.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/routing.h"

MM_FUNCTION(mm_performance_threshold);
MM_FUNCTION(mm_set_thresholds);

/* The words of each key, the default first. */
static const char *const severities[] = {"warning", "info", "critical", NULL};
static const char *const actions[] = {"alert", "pause", "rollback", NULL};
static const char *const no_data_words[] = {"hold", "ok", "breach", NULL};

#define DEFAULT_MINUTES 5

/* The keys in the order of the arguments; the first three are required. */
enum
{
	KEY_METRIC_NAME,
	KEY_VALUE,
	KEY_OPERATOR,
	KEY_SEVERITY,
	KEY_DURATION,
	KEY_ACTION,
	KEY_NO_DATA,
	KEYS
};
static const char *const keys[KEYS] = {"metric_name",      "threshold_value", "operator",  "severity",
									   "duration_minutes", "action",          "on_no_data"};

/* word: one of the words, the first for NULL; else 22023. `place` is empty or tells which of a list it is. */
static const char *
word(const char *key, const char *given, const char *const *words, const char *place)
{
	StringInfoData list;

	if (given == NULL)
		return words[0];
	initStringInfo(&list);
	for (int i = 0; words[i]; i++)
	{
		if (strcmp(given, words[i]) == 0)
			return words[i];
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", words[i]);
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown %s \"%s\"%s", key, given, place),
			errdetail("It is one of %s.", list.data),
			errhint("Use one of these words, or leave it out for %s.", words[0]));
}

/* check: ensures that a threshold may be stored; its words are checked as they are read. */
static void
check(const threshold *t)
{
	mm_check_name("metric name", t->metric_name);
	mm_check_float("threshold_value", t->value, -DBL_MAX, DBL_MAX);
	mm_check_float("duration_minutes", t->duration_minutes, 0, THRESHOLD_MAX_MINUTES);
}

static breach_operator
operator_of(const char *given, const char *place)
{
	breach_operator result;

	if (!breach_operator_parse(given, &result))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown operator \"%s\"%s", given, place),
				errdetail(
					"It is one of less_than, less_equal, greater_than, greater_equal, equal, not_equal, or its sign."),
				errhint("\"success_rate less_than 0.95\" is a breach when the rate is below 0.95."));
	return result;
}

/* number_json: a jsonb number with the digits that give the same double back. */
static Jsonb *
number_json(double value)
{
	char digits[DOUBLE_SHORTEST_DECIMAL_LEN];
	JsonbValue number;

	double_to_shortest_decimal_buf(value == 0 ? 0 : value, digits);
	number.type = jbvNumeric;
	number.val.numeric = DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return JsonbValueToJsonb(&number);
}

Jsonb *
threshold_json(const threshold *t)
{
	return json_build(
		json_text_pair(keys[KEY_METRIC_NAME], t->metric_name), json_object_pair(keys[KEY_VALUE], number_json(t->value)),
		json_text_pair(keys[KEY_OPERATOR], breach_operator_name(t->operator_)),
		json_text_pair(keys[KEY_SEVERITY], t->severity), json_integer_pair(keys[KEY_DURATION], t->duration_minutes),
		json_text_pair(keys[KEY_ACTION], t->action), json_text_pair(keys[KEY_NO_DATA], t->on_no_data));
}

breach_rule
threshold_rule(const threshold *t)
{
	breach_rule rule = {
		.operator_ = t->operator_, .threshold = t->value, .duration = t->duration_minutes * USECS_PER_MINUTE};

	(void) breach_no_data_parse(t->on_no_data, &rule.on_no_data);
	return rule;
}

/* mm_performance_threshold(metric_name text, threshold_value float8, operator text, severity text, duration_minutes
 * integer, action text, on_no_data text): jsonb. */
Datum
mm_performance_threshold(PG_FUNCTION_ARGS)
{
	threshold t = {.metric_name = mm_text_arg(fcinfo, KEY_METRIC_NAME, keys[KEY_METRIC_NAME], true)};
	char *operator_;

	mm_require(fcinfo, KEY_VALUE, keys[KEY_VALUE]);
	t.value = PG_GETARG_FLOAT8(KEY_VALUE);
	operator_ = mm_text_arg(fcinfo, KEY_OPERATOR, keys[KEY_OPERATOR], true);
	t.operator_ = operator_of(operator_, "");
	t.severity = word(keys[KEY_SEVERITY], mm_text_arg(fcinfo, KEY_SEVERITY, keys[KEY_SEVERITY], false), severities, "");
	t.duration_minutes = PG_ARGISNULL(KEY_DURATION) ? DEFAULT_MINUTES : PG_GETARG_INT32(KEY_DURATION);
	t.action = word(keys[KEY_ACTION], mm_text_arg(fcinfo, KEY_ACTION, keys[KEY_ACTION], false), actions, "");
	t.on_no_data =
		word(keys[KEY_NO_DATA], mm_text_arg(fcinfo, KEY_NO_DATA, keys[KEY_NO_DATA], false), no_data_words, "");
	check(&t);
	PG_RETURN_JSONB_P(threshold_json(&t));
}

static void wrong_type(const char *key, const char *wanted, const char *place) __attribute__((noreturn));

static void
wrong_type(const char *key, const char *wanted, const char *place)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%s\" must be %s%s", key, wanted, place),
			errdetail("The JSON value is of another type."),
			errhint("model_mgr.performance_threshold() makes a threshold that fits."));
}

/* text_member: a string, NULL when it is absent or null; an error when it is required. */
static char *
text_member(const json_value *object, int key, const char *place)
{
	const json_value *value = json_member(object, keys[key]);

	if (value == NULL && key <= KEY_OPERATOR)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("missing key \"%s\"%s", keys[key], place),
				errdetail("A threshold needs metric_name, threshold_value and operator."),
				errhint("model_mgr.performance_threshold() makes a threshold that fits."));
	if (value == NULL || value->kind == JSON_KIND_NULL)
	{
		if (value && key <= KEY_OPERATOR)
			ereport(
				ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" must not be null%s", keys[key], place),
				errdetail("A threshold needs metric_name, threshold_value and operator."), errhint("Give it a value."));
		return NULL;
	}
	if (key == KEY_VALUE || key == KEY_DURATION)
	{
		/* What JSON has no number for comes as text from to_jsonb(): out of range rather than malformed. */
		static const char *const numbers[] = {"NaN", "Infinity", "-Infinity"};

		for (int i = 0; value->kind == JSON_KIND_STRING && i < lengthof(numbers); i++)
			if (value->length == strlen(numbers[i]) && memcmp(value->text, numbers[i], value->length) == 0)
				return pstrdup(numbers[i]);
		if (value->kind != JSON_KIND_NUMBER)
			wrong_type(keys[key], "a number", place);
	}
	else if (value->kind != JSON_KIND_STRING)
		wrong_type(keys[key], "a text", place);
	return pnstrdup(value->text, value->length);
}

/* read_one: one element of the list, checked. */
static void
read_one(const json_value *object, const char *place, threshold *out)
{
	char *text;
	double minutes = DEFAULT_MINUTES;

	if (object->kind != JSON_KIND_OBJECT)
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("a threshold must be a JSON object%s", place),
				errdetail("Its keys are those of performance_threshold()."),
				errhint("model_mgr.performance_threshold() makes a threshold that fits."));
	for (size_t i = 0; i < object->count; i++)
	{
		char *key = pnstrdup(object->items[i].key, object->items[i].key_length);
		int known = 0;

		while (known < KEYS && strcmp(keys[known], key) != 0)
			known++;
		if (known == KEYS)
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown key \"%s\"%s", key, place),
				errdetail(
					"A threshold has metric_name, threshold_value, operator, severity, duration_minutes, action and on_no_data."),
				errhint("model_mgr.performance_threshold() makes a threshold that fits."));
	}
	out->metric_name = text_member(object, KEY_METRIC_NAME, place);
	out->value = strtod(text_member(object, KEY_VALUE, place), NULL);
	out->operator_ = operator_of(text_member(object, KEY_OPERATOR, place), place);
	out->severity = word(keys[KEY_SEVERITY], text_member(object, KEY_SEVERITY, place), severities, place);
	text = text_member(object, KEY_DURATION, place);
	if (text)
		minutes = strtod(text, NULL);
	mm_check_float(keys[KEY_DURATION], minutes, 0, THRESHOLD_MAX_MINUTES);
	if (minutes != rint(minutes))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("\"%s\" must be a whole number%s", keys[KEY_DURATION], place),
				errdetail("The value is %s.", text), errhint("Round it."));
	out->duration_minutes = (int32) minutes;
	out->action = word(keys[KEY_ACTION], text_member(object, KEY_ACTION, place), actions, place);
	out->on_no_data = word(keys[KEY_NO_DATA], text_member(object, KEY_NO_DATA, place), no_data_words, place);
	check(out);
}

static bool
same(const threshold *a, const threshold *b)
{
	return strcmp(a->metric_name, b->metric_name) == 0 && a->value == b->value && a->operator_ == b->operator_ &&
		   strcmp(a->severity, b->severity) == 0 && a->duration_minutes == b->duration_minutes &&
		   strcmp(a->action, b->action) == 0 && strcmp(a->on_no_data, b->on_no_data) == 0;
}

threshold *
threshold_parse(const Jsonb *from, int *count)
{
	const json_value *list = json_tree(from);
	threshold *out;

	if (list->kind != JSON_KIND_LIST)
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"thresholds\" must be a JSON array"),
				errdetail("It is %s.", list->kind == JSON_KIND_OBJECT ? "an object" : "a single value"),
				errhint("Pass jsonb_build_array(model_mgr.performance_threshold(...), ...)."));
	if (list->count > THRESHOLD_MAX)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many thresholds"),
				errdetail("The list has %zu; a model may have %d.", list->count, THRESHOLD_MAX),
				errhint("Watch fewer metrics."));
	out = palloc0(sizeof(threshold) * Max(list->count, 1));
	for (size_t i = 0; i < list->count; i++)
	{
		read_one(&list->items[i], psprintf(" (threshold %zu)", i + 1), &out[i]);
		for (size_t j = 0; j < i; j++)
			if (same(&out[i], &out[j]))
				ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("thresholds %zu and %zu are the same", j + 1, i + 1),
						errdetail("Every key of theirs is equal: %s %s %g.", out[i].metric_name,
								  breach_operator_name(out[i].operator_), out[i].value),
						errhint("Leave one of them out."));
	}
	*count = (int) list->count;
	return out;
}

/* stored: the model's rows in their order, as thresholds and ids. */
static threshold *
stored(int64 model_id, int64 **ids, int *count)
{
	static query find =
		QUERY("SELECT t.threshold_id, t.metric_name, t.threshold_value, t.operator, t.severity, t.duration_minutes,"
			  " t.action, t.on_no_data FROM model_mgr.threshold t WHERE t.model_id = $1 ORDER BY t.\"position\"",
			  INT8OID);
	uint64 rows = query_run(&find, int64_arg(model_id));
	threshold *out = palloc0(sizeof(threshold) * Max(rows, 1));

	*ids = palloc(sizeof(int64) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		(*ids)[i] = query_int64(i, 0);
		out[i].metric_name = query_text(i, 1);
		out[i].value = query_float8(i, 2);
		(void) breach_operator_parse(query_text(i, 3), &out[i].operator_);
		out[i].severity = query_text(i, 4);
		out[i].duration_minutes = query_int32(i, 5);
		out[i].action = query_text(i, 6);
		out[i].on_no_data = query_text(i, 7);
	}
	*count = (int) rows;
	return out;
}

/* list_json: thresholds as get_thresholds() shows them. */
static Jsonb *
list_json(const threshold *list, int count)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
	{
		Jsonb *one = threshold_json(&list[i]);
		JsonbValue value = {.type = jbvBinary};

		value.val.binary.data = &one->root;
		value.val.binary.len = VARSIZE_ANY_EXHDR(one);
		(void) pushJsonbValue(&state, WJB_ELEM, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* drop: a threshold that is not in the new set; its alerts are over. */
static void
drop(int64 threshold_id)
{
	static query open = QUERY("SELECT s.alert_id FROM model_mgr.alert_state s WHERE s.threshold_id = $1", INT8OID);
	static query delete = QUERY("DELETE FROM model_mgr.threshold t WHERE t.threshold_id = $1", INT8OID);

	(void) alert_close_all(query_run(&open, int64_arg(threshold_id)),
						   json_build(json_text_pair("why", "its threshold was taken away")));
	query_run(&delete, int64_arg(threshold_id));
}

/*
 * replace: makes the model's rows what the list says; true when that was a change. Rows that are equal in every key
 * stay, and their alerts with them: setting the same again must not restart a breach that lasts.
 */
static bool
replace(int64 model_id, const threshold *list, int count, const threshold *before, const int64 *ids, int before_count)
{
	static query insert = QUERY(
		"INSERT INTO model_mgr.threshold (model_id, \"position\", metric_name, threshold_value, operator, severity,"
		" duration_minutes, action, on_no_data, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		INT8OID, INT4OID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static query move =
		QUERY("UPDATE model_mgr.threshold SET \"position\" = $2 WHERE threshold_id = $1", INT8OID, INT4OID);
	int *kept = palloc(sizeof(int) * Max(count, 1)); /* the row before that each of the list is; -1: new */
	bool *stays = palloc0(sizeof(bool) * Max(before_count, 1));
	bool changed = count != before_count;

	for (int i = 0; i < count; i++)
	{
		kept[i] = -1;
		for (int j = 0; j < before_count && kept[i] < 0; j++)
			if (same(&list[i], &before[j]))
				kept[i] = j;
		if (kept[i] >= 0)
			stays[kept[i]] = true;
		changed = changed || kept[i] != i;
	}
	for (int j = 0; j < before_count; j++)
		if (!stays[j])
			drop(ids[j]);
	for (int i = 0; i < count; i++)
	{
		const threshold *t = &list[i];

		if (kept[i] < 0)
			query_run(&insert, int64_arg(model_id), int32_arg(i + 1), text_arg(t->metric_name), float8_arg(t->value),
					  text_arg(breach_operator_name(t->operator_)), text_arg(t->severity),
					  int32_arg(t->duration_minutes), text_arg(t->action), text_arg(t->on_no_data),
					  text_arg(mm_session_user_name()), time_arg(mm_now()));
		else if (kept[i] != i)
			query_run(&move, int64_arg(ids[kept[i]]), int32_arg(i + 1));
	}
	return changed;
}

/* mm_set_thresholds(model_name text, thresholds jsonb): integer. */
Datum
mm_set_thresholds(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	threshold *list;
	threshold *before;
	int64 *ids;
	int count;
	int before_count;
	int64 model_id;
	mm_scope scope;

	mm_require(fcinfo, 1, "thresholds");
	list = threshold_parse(PG_GETARG_JSONB_P(1), &count);
	scope = mm_enter();
	model_id = registry_lock_model(model_name);
	deployment_fresh(model_id);
	before = stored(model_id, &ids, &before_count);
	if (replace(model_id, list, count, before, ids, before_count))
	{
		routing_set_thresholds(model_id, count > 0);
		audit_append("set_thresholds", model_name, NULL,
					 json_build(json_object_pair("thresholds", list_json(list, count)),
								json_object_pair("before", list_json(before, before_count))));
	}
	mm_leave(scope);
	PG_RETURN_INT32(count);
}
