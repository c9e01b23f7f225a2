/*
 * record.c: the recording functions: arguments are checked, credited to a version (or to what a decision says) and
 * handed to record_insert(). A recording is refused for bad values only, never because a version is archived or a
 * rollout has ended.
 */
#include "pg/record.h"

#include <float.h>
#include <math.h>

#include "utils/numeric.h"

#include "pg/registry.h"
#include "pg/routing.h"

void
record_clear(record_row *row)
{
	memset(row->values, 0, sizeof(row->values));
	memset(row->nulls, true, sizeof(row->nulls));
	row->timed = false;
	record_set(row, RECORD_FEEDBACK, BoolGetDatum(false));
}

void
record_set(record_row *row, record_column column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

/* check_float: finite and within low..high, when given. */
static void
check_float(const record_row *row, record_column column, const char *name, double high)
{
	if (!row->nulls[column])
		mm_check_float(name, DatumGetFloat8(row->values[column]), 0, high);
}

static void
check_tokens(const record_row *row, record_column column, const char *name)
{
	if (!row->nulls[column] && DatumGetInt64(row->values[column]) < 0)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value %lld is below 0.", (long long) DatumGetInt64(row->values[column])),
				errhint("Pass the number of tokens, or NULL where it is not known."));
}

/* check_routed: no request is routed after its outcome may be recorded. */
static void
check_routed(const record_row *row)
{
	TimestampTz routed;

	if (row->nulls[RECORD_ROUTED_AT])
		return;
	routed = DatumGetTimestampTz(row->values[RECORD_ROUTED_AT]);
	if (TIMESTAMP_NOT_FINITE(routed) || routed > mm_now() + USECS_PER_DAY)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"routed_at\" is out of range"),
				errdetail("The value is %s; now is %s.", pstrdup(timestamptz_to_str(routed)),
						  pstrdup(timestamptz_to_str(mm_now()))),
				errhint("Pass when the request was routed, or NULL for when it was recorded."));
}

void
record_check_time(record_row *row)
{
	TimestampTz now = mm_now();
	TimestampTz at;

	if (row->nulls[RECORD_RECORDED_AT])
	{
		record_set(row, RECORD_RECORDED_AT, TimestampTzGetDatum(now));
		return;
	}
	row->timed = true;
	at = DatumGetTimestampTz(row->values[RECORD_RECORDED_AT]);
	if (at < now - guc_retention_days * USECS_PER_DAY || at > now + USECS_PER_DAY)
	{
		char *given = pstrdup(timestamptz_to_str(at));
		char *low = pstrdup(timestamptz_to_str(now - guc_retention_days * USECS_PER_DAY));
		char *high = pstrdup(timestamptz_to_str(now + USECS_PER_DAY));

		ereport(
			ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"recorded_at\" is out of range"),
			errdetail("The value %s is outside %s to %s.", given, low, high),
			errhint(
				"Observations are kept for model_mgr.retention_days (%d); a day ahead is allowed for clocks that differ.",
				guc_retention_days));
	}
}

void
record_check_row(record_row *row)
{
	check_float(row, RECORD_RESPONSE_TIME, "response_time", RECORD_MAX_VALUE);
	check_float(row, RECORD_CONFIDENCE, "confidence", 1);
	check_float(row, RECORD_COST, "cost", RECORD_MAX_VALUE);
	check_tokens(row, RECORD_INPUT_TOKENS, "input_tokens");
	check_tokens(row, RECORD_OUTPUT_TOKENS, "output_tokens");
	if (!row->nulls[RECORD_ERROR_TYPE])
		mm_check_name("error_type", TextDatumGetCString(row->values[RECORD_ERROR_TYPE]));
	record_check_time(row);
	check_routed(row);
}

void
record_set_metrics(record_row *row, Jsonb *metrics)
{
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue value;

	if (metrics == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(metrics))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"metrics\" must be a JSON object"),
				errdetail("The value is %s.", JsonbToCString(NULL, &metrics->root, VARSIZE(metrics))),
				errhint("Pass an object of numbers: {\"name\": 1.5}."));
	if (JB_ROOT_COUNT(metrics) == 0)
		return;
	it = JsonbIteratorInit(&metrics->root);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char *name = pnstrdup(key.val.string.val, key.val.string.len);

		(void) JsonbIteratorNext(&it, &value, true);
		mm_check_name("metric name", name);
		if (value.type != jbvNumeric)
			ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("metric \"%s\" is not a number", name),
					errdetail("Every value of \"metrics\" is a JSON number."),
					errhint("Leave the key out where the value is not known."));
		/* JSON numbers may be larger than any float8. */
		mm_check_float(
			name, DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric))),
			-RECORD_MAX_VALUE, RECORD_MAX_VALUE);
		pfree(name);
	}
	record_set(row, RECORD_METRICS, JsonbPGetDatum(metrics));
}

bool
record_set_number(record_row *row, record_column column, const char *name, Numeric number)
{
	Datum value = DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(number));

	if (column == RECORD_INPUT_TOKENS || column == RECORD_OUTPUT_TOKENS)
	{
		mm_check_float(name, DatumGetFloat8(value), 0, 9e18);
		if (floor(DatumGetFloat8(value)) != DatumGetFloat8(value))
			return false;
		value = DirectFunctionCall1(numeric_int8, NumericGetDatum(number));
	}
	record_set(row, column, value);
	return true;
}

void
record_set_result_metrics(record_row *row, Jsonb *metrics)
{
	static const struct
	{
		const char *key;
		record_column column;
	} columns[] = {{"cost", RECORD_COST},
				   {"cost_per_request", RECORD_COST},
				   {"input_tokens", RECORD_INPUT_TOKENS},
				   {"output_tokens", RECORD_OUTPUT_TOKENS}};

	record_set_metrics(row, metrics);
	if (row->nulls[RECORD_METRICS])
		return;
	for (int i = 0; i < lengthof(columns); i++)
	{
		JsonbValue key = {.type = jbvString};
		JsonbValue *value;

		key.val.string.val = unconstify(char *, columns[i].key);
		key.val.string.len = strlen(columns[i].key);
		value = findJsonbValueFromContainer(&metrics->root, JB_FOBJECT, &key);
		if (value == NULL)
			continue;
		if (!record_set_number(row, columns[i].column, columns[i].key, value->val.numeric))
			ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("metric \"%s\" is not a whole number", columns[i].key),
					errdetail("The value is %s.",
							  DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)))),
					errhint("Pass the number of tokens, or leave the key out where it is not known."));
		pfree(value);
		if (columns[i].column == RECORD_COST)
			check_float(row, RECORD_COST, columns[i].key, RECORD_MAX_VALUE);
	}
}

/*
 * credit_now: the rollout and step in force, or step 0 when there is none: outside. Times alone cannot tell rollouts
 * apart that follow one another within one instant, as they do while model_mgr.clock is held still.
 */
static void
credit_now(record_row *row, const char *model, int model_length, int64 version_id)
{
	const routing_entry *entry = routing_lookup(model, model_length);

	if (entry == NULL)
		return;
	if (entry->deployment_id == 0)
		record_set(row, RECORD_STEP, Int32GetDatum(0));
	else if (version_id == entry->candidate_version_id ||
			 (entry->has_shadow && version_id == entry->shadow->version_id) || version_id == entry->stable_version_id)
	{
		record_set(row, RECORD_DEPLOYMENT_ID, Int64GetDatum(entry->deployment_id));
		record_set(row, RECORD_STEP, Int32GetDatum(entry->step));
	}
}

void
record_set_version(record_row *row, const char *model, int model_length, const char *version, int version_length)
{
	int64 version_id = routing_version_id(model, model_length, version, version_length);
	if (version_id == 0)
	{
		/* Unknown: the registry says which name is, and what is near. */
		registry_version found;
		mm_scope scope = mm_enter();

		(void) registry_find_version(pnstrdup(model, model_length), pnstrdup(version, version_length), false, &found);
		version_id = found.version_id;
		mm_leave(scope);
	}
	record_set(row, RECORD_VERSION_ID, Int64GetDatum(version_id));
	if (!row->timed && row->nulls[RECORD_ROUTED_AT])
		credit_now(row, model, model_length, version_id);
}

void
record_set_decision(record_row *row, const char *text, int length)
{
	decision from;

	routing_decode_decision(text, length, &from);
	record_set(row, RECORD_VERSION_ID, Int64GetDatum(from.version_id));
	record_set(row, RECORD_ROUTED_AT, TimestampTzGetDatum(from.time));
	record_set(row, RECORD_REQUEST, Int64GetDatum(from.request));
	if (from.deployment_id != 0)
	{
		record_set(row, RECORD_DEPLOYMENT_ID, Int64GetDatum(from.deployment_id));
		record_set(row, RECORD_STEP, Int32GetDatum(from.step));
	}
	if (from.test_no != 0)
		record_set(row, RECORD_TEST_NO, Int64GetDatum(from.test_no));
	if (from.arm >= 0)
		record_set(row, RECORD_ARM, Int16GetDatum(from.arm));
	if (from.has_unit)
		record_set(row, RECORD_UNIT_HASH, Int64GetDatum(from.unit_hash));
}

void
record_set_unit(record_row *row, const char *unit, int length)
{
	if (length > 0) /* an empty unit id is no unit */
		record_set(row, RECORD_UNIT_HASH, Int64GetDatum(unit_hash_of(unit, length)));
}

void
record_set_variant(record_row *row, const assignment_test *test, const char *variant, int length)
{
	const assignment_arm *arm = NULL;
	StringInfoData list;

	for (int i = 0; i < test->arm_count && arm == NULL; i++)
		if (test->arms[i].variant_length == (uint32) length && memcmp(test->arms[i].variant, variant, length) == 0)
		{
			arm = &test->arms[i];
			record_set(row, RECORD_ARM, Int16GetDatum(i));
		}
	if (arm == NULL)
	{
		initStringInfo(&list);
		for (int i = 0; i < test->arm_count; i++)
			appendStringInfo(&list, "%s\"%.*s\"", i > 0 ? ", " : "", (int) test->arms[i].variant_length,
							 test->arms[i].variant);
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("test \"%.*s\" has no variant \"%.*s\"", (int) test->id_length, test->test_id, length, variant),
				errdetail("Its variants are %s.", list.data),
				errhint("assigned_variant() tells which one a unit is in."));
	}
	record_set(row, RECORD_TEST_NO, Int64GetDatum(test->test_no));
	if (arm->version_id == 0)
		return; /* nothing but the test knows this version */
	record_set(row, RECORD_VERSION_ID, Int64GetDatum(arm->version_id));
	if (!row->timed)
		credit_now(row, arm->model_name, (int) arm->model_length, arm->version_id);
}

/* set_argument: argument argno into a column, NULL stays NULL. */
static void
set_argument(record_row *row, record_column column, FunctionCallInfo fcinfo, int argno)
{
	if (!PG_ARGISNULL(argno))
		record_set(row, column, PG_GETARG_DATUM(argno));
}

/* set_metrics: of argument argno, NULL: none; once the columns are checked. */
static void
set_metrics(record_row *row, FunctionCallInfo fcinfo, int argno)
{
	record_check_row(row);
	if (!PG_ARGISNULL(argno))
		record_set_metrics(row, PG_GETARG_JSONB_P(argno));
}

/* set_unit: of argument argno, NULL: none. */
static void
set_unit(record_row *row, FunctionCallInfo fcinfo, int argno)
{
	if (!PG_ARGISNULL(argno))
	{
		text *unit = PG_GETARG_TEXT_PP(argno);

		record_set_unit(row, VARDATA_ANY(unit), VARSIZE_ANY_EXHDR(unit));
	}
}

MM_FUNCTION(mm_update_model_metrics);

/* mm_update_model_metrics: records one request of the version named. */
Datum
mm_update_model_metrics(PG_FUNCTION_ARGS)
{
	record_row row;
	text *model;
	text *version;

	mm_require(fcinfo, 0, "model_name");
	mm_require(fcinfo, 1, "version");
	model = PG_GETARG_TEXT_PP(0);
	version = PG_GETARG_TEXT_PP(1);
	record_clear(&row);
	set_argument(&row, RECORD_RESPONSE_TIME, fcinfo, 2);
	set_argument(&row, RECORD_SUCCESS, fcinfo, 3);
	set_argument(&row, RECORD_CONFIDENCE, fcinfo, 4);
	set_argument(&row, RECORD_COST, fcinfo, 5);
	set_argument(&row, RECORD_INPUT_TOKENS, fcinfo, 6);
	set_argument(&row, RECORD_OUTPUT_TOKENS, fcinfo, 7);
	set_argument(&row, RECORD_ERROR_TYPE, fcinfo, 8);
	set_argument(&row, RECORD_RECORDED_AT, fcinfo, 10);
	set_argument(&row, RECORD_ROUTED_AT, fcinfo, 12);
	set_metrics(&row, fcinfo, 11);
	record_set_version(&row, VARDATA_ANY(model), VARSIZE_ANY_EXHDR(model), VARDATA_ANY(version),
					   VARSIZE_ANY_EXHDR(version));
	set_unit(&row, fcinfo, 9);
	record_insert("update_model_metrics", &row, 1);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_record_outcome);

/* mm_record_outcome: records the outcome of a routed request. */
Datum
mm_record_outcome(PG_FUNCTION_ARGS)
{
	record_row row;
	text *decision;

	mm_require(fcinfo, 0, "decision");
	decision = PG_GETARG_TEXT_PP(0);
	record_clear(&row);
	set_argument(&row, RECORD_SUCCESS, fcinfo, 1);
	set_argument(&row, RECORD_RESPONSE_TIME, fcinfo, 2);
	set_argument(&row, RECORD_CONFIDENCE, fcinfo, 3);
	set_argument(&row, RECORD_COST, fcinfo, 4);
	set_argument(&row, RECORD_INPUT_TOKENS, fcinfo, 5);
	set_argument(&row, RECORD_OUTPUT_TOKENS, fcinfo, 6);
	set_argument(&row, RECORD_ERROR_TYPE, fcinfo, 7);
	set_argument(&row, RECORD_RECORDED_AT, fcinfo, 9);
	set_metrics(&row, fcinfo, 8);
	record_set_decision(&row, VARDATA_ANY(decision), VARSIZE_ANY_EXHDR(decision));
	record_insert("record_outcome", &row, 1);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_record_result);

/* mm_record_result: records one outcome of a variant of a test. */
Datum
mm_record_result(PG_FUNCTION_ARGS)
{
	record_row row;
	text *test_id;
	text *variant;

	mm_require(fcinfo, 0, "test_id");
	mm_require(fcinfo, 1, "variant");
	test_id = PG_GETARG_TEXT_PP(0);
	variant = PG_GETARG_TEXT_PP(1);
	record_clear(&row);
	set_argument(&row, RECORD_RESPONSE_TIME, fcinfo, 2);
	set_argument(&row, RECORD_SUCCESS, fcinfo, 3);
	set_argument(&row, RECORD_CONFIDENCE, fcinfo, 4);
	set_argument(&row, RECORD_RECORDED_AT, fcinfo, 7);
	record_check_row(&row);
	if (!PG_ARGISNULL(6))
		record_set_result_metrics(&row, PG_GETARG_JSONB_P(6));
	record_set_variant(&row, assignment_require(VARDATA_ANY(test_id), VARSIZE_ANY_EXHDR(test_id)), VARDATA_ANY(variant),
					   VARSIZE_ANY_EXHDR(variant));
	set_unit(&row, fcinfo, 5);
	record_insert("record_result", &row, 1);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_record_feedback);

/* mm_record_feedback: records the truth about a request recorded before. */
Datum
mm_record_feedback(PG_FUNCTION_ARGS)
{
	record_row row;
	text *decision;

	mm_require(fcinfo, 0, "decision");
	decision = PG_GETARG_TEXT_PP(0);
	record_clear(&row);
	set_argument(&row, RECORD_SUCCESS, fcinfo, 1);
	set_argument(&row, RECORD_RECORDED_AT, fcinfo, 3);
	record_set(&row, RECORD_FEEDBACK, BoolGetDatum(true));
	set_metrics(&row, fcinfo, 2);
	record_set_decision(&row, VARDATA_ANY(decision), VARSIZE_ANY_EXHDR(decision));
	record_insert("record_feedback", &row, 1);
	PG_RETURN_VOID();
}
