/*
 * routing.c: the functions that answer "which version serves this unit": route(), route_version(), bucket(). They
 * write nothing, need no rights on any relation and work on standbys; who may call them is a matter of EXECUTE.
 */
#include "pg/mm.h"

#include "access/htup_details.h"
#include "common/pg_prng.h"
#include "funcapi.h"

#include "pg/json_tree.h"
#include "pg/routing_internal.h"

/* Columns of route(). */
enum
{
	ROUTE_FLAG_KEY,
	ROUTE_VALUE,
	ROUTE_VARIANT,
	ROUTE_REASON,
	ROUTE_ERROR_CODE,
	ROUTE_ERROR_MESSAGE,
	ROUTE_VERSION_ID,
	ROUTE_DEPLOYMENT_ID,
	ROUTE_TEST_ID,
	ROUTE_CONFIGURATION,
	ROUTE_DECISION,
	ROUTE_SHADOW_VERSION,
	ROUTE_SHADOW_DECISION,
	ROUTE_COLUMNS
};

/* What each rule is called: OpenFeature's reason, the variant, and the arm that its outcomes are counted in. */
static const struct
{
	const char *reason;
	const char *variant;
	int16 arm;          /* -1: not drawn */
	bool in_deployment; /* credited to the rollout that runs or bakes */
} rule_words[] = {
	[ROUTE_NOTHING] = {"DISABLED", NULL, -1, false},
	[ROUTE_PIN] = {"TARGETING_MATCH", "pinned", -1, false},
	[ROUTE_SEGMENT] = {"TARGETING_MATCH", "segment", -1, false},
	[ROUTE_PREVIEW] = {"TARGETING_MATCH", "segment", -1, true},
	[ROUTE_CANDIDATE] = {"SPLIT", "candidate", 1, true},
	[ROUTE_STABLE] = {"SPLIT", "stable", 0, true},
	[ROUTE_NO_UNIT] = {"DEFAULT", "stable", -1, true},
	[ROUTE_ARM] = {"SPLIT", NULL, -1, false}, /* variant and arm are the test's */
	[ROUTE_UNCOVERED] = {"DEFAULT", "stable", -1, false},
	[ROUTE_ALL] = {"STATIC", "stable", -1, true},
};

/* configuration_of: the configuration of a version, copied; false when its row is gone. Read when it is asked for:
 * the cache of 10,000 models stays small. */
static bool
configuration_of(int64 version_id, Datum *configuration)
{
	ScanKeyData key;
	routing_scan scan;
	HeapTuple tuple;
	bool isnull = true;

	routing_key_int64(&key, VERSION_VERSION_ID, version_id);
	scan = routing_scan_begin("model_version", "model_version_pkey", 1, &key);
	tuple = routing_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum value = heap_getattr(tuple, VERSION_CONFIGURATION, RelationGetDescr(scan.relation), &isnull);

		if (!isnull)
			*configuration = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	}
	routing_scan_end(&scan);
	return !isnull;
}

/* result_descriptor: the row type of route(), looked up once a call site. */
static TupleDesc
result_descriptor(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc descriptor;

		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE || descriptor->natts != ROUTE_COLUMNS)
			elog(ERROR, "route() does not return what this library was built for");
		fcinfo->flinfo->fn_extra = BlessTupleDesc(CreateTupleDescCopy(descriptor));
		MemoryContextSwitchTo(old);
	}
	return fcinfo->flinfo->fn_extra;
}

route_choice
routing_choose(const route_rules *rules, const char *unit, int length, const Jsonb *context)
{
	const json_value *tree = context && rules->segment_count > 0 ? json_tree(context) : NULL;

	return choose(rules, unit, length, rules->pin_count ? routing_unit_key() : NULL, tree);
}

const char *
routing_unit_argument(FunctionCallInfo fcinfo, int argno, int *length)
{
	text *unit;

	*length = 0;
	if (PG_ARGISNULL(argno))
		return NULL;
	unit = PG_GETARG_TEXT_PP(argno);
	*length = VARSIZE_ANY_EXHDR(unit);
	return VARDATA_ANY(unit);
}

/* variant_of: what the choice is called; where a test looks on, the decision says so. */
static const char *
variant_of(const cached_model *model, route_choice choice, decision *made)
{
	const routing_test *test = model->entry->test;

	if (test == NULL || (choice.rule != ROUTE_ARM && choice.rule != ROUTE_CANDIDATE && choice.rule != ROUTE_STABLE))
		return rule_words[choice.rule].variant;
	made->test_no = test->test_no;
	if (choice.rule != ROUTE_ARM)
		return choice.rule == ROUTE_CANDIDATE ? "treatment" : "control";
	made->arm = (int16) (choice.target - model->rules.test->targets);
	return test->variant[made->arm];
}

MM_FUNCTION(mm_route);

/* mm_route: always one row. */
Datum
mm_route(PG_FUNCTION_ARGS)
{
	Datum values[ROUTE_COLUMNS] = {0};
	bool nulls[ROUTE_COLUMNS];
	text *model_name;
	const char *unit;
	int unit_length;
	const Jsonb *context;
	const cached_model *model;
	route_choice choice;
	int64 shadow_version_id = 0; /* 0: no shadow sees this request */

	mm_require(fcinfo, 0, "model_name");
	model_name = PG_GETARG_TEXT_PP(0);
	unit = routing_unit_argument(fcinfo, 1, &unit_length);
	context = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	if (!routing_check_context(context))
		context = NULL;
	memset(nulls, true, sizeof(nulls));
#define SET(column, datum) (values[column] = (datum), nulls[column] = false)

	SET(ROUTE_FLAG_KEY, PointerGetDatum(model_name));
	model = routing_find(VARDATA_ANY(model_name), VARSIZE_ANY_EXHDR(model_name));
	if (model == NULL)
	{
		SET(ROUTE_REASON, CStringGetTextDatum("ERROR"));
		SET(ROUTE_ERROR_CODE, CStringGetTextDatum("FLAG_NOT_FOUND"));
		SET(ROUTE_ERROR_MESSAGE,
			CStringGetTextDatum(psprintf("model \"%s\" does not exist", text_to_cstring(model_name))));
		PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(result_descriptor(fcinfo), values, nulls)));
	}

	choice = routing_choose(&model->rules, unit, unit_length, context);
	SET(ROUTE_REASON, CStringGetTextDatum(rule_words[choice.rule].reason));
	if (choice.rule != ROUTE_NOTHING)
	{
		decision made = {
			.version_id = choice.target->version_id,
			.arm = rule_words[choice.rule].arm,
			.has_unit = unit_length > 0,
			.request = (int64) pg_prng_uint64(&pg_global_prng_state),
			.time = mm_now(),
		};

		if (rule_words[choice.rule].in_deployment && model->entry->deployment_id != 0)
		{
			made.deployment_id = model->entry->deployment_id;
			made.step = model->entry->step;
			SET(ROUTE_DEPLOYMENT_ID, Int64GetDatum(made.deployment_id));
		}
		SET(ROUTE_VALUE, PointerGetDatum(cstring_to_text_with_len(choice.target->version, choice.target->length)));
		SET(ROUTE_VARIANT, CStringGetTextDatum(variant_of(model, choice, &made)));
		if (made.test_no != 0)
			SET(ROUTE_TEST_ID, CStringGetTextDatum(model->entry->test->test_id));
		SET(ROUTE_VERSION_ID, Int64GetDatum(made.version_id));

		if (model->entry->has_shadow && choice.rule == ROUTE_ALL)
		{
			const routing_shadow *shadow = model->entry->shadow;
			int32 bucket;

			if (choose_shadow(&model->rules.key, shadow->weight, unit, unit_length, &bucket))
			{
				SET(ROUTE_SHADOW_VERSION, CStringGetTextDatum(shadow->version));
				shadow_version_id = shadow->version_id;
				made.arm = 0;
			}
		}

		/* From here on nothing points into the cache. */
		if (made.has_unit)
			made.unit_hash = unit_hash_of(unit, unit_length);
		SET(ROUTE_DECISION, PointerGetDatum(routing_encode_decision(&made)));
		if (shadow_version_id != 0)
		{
			decision beside = made;

			/* The same request: by its number the two outcomes are a pair. */
			beside.version_id = shadow_version_id;
			beside.arm = 1;
			SET(ROUTE_SHADOW_DECISION, PointerGetDatum(routing_encode_decision(&beside)));
		}
		nulls[ROUTE_CONFIGURATION] = !configuration_of(made.version_id, &values[ROUTE_CONFIGURATION]);
	}
#undef SET
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(result_descriptor(fcinfo), values, nulls)));
}

MM_FUNCTION(mm_route_version);

/* mm_route_version: the version that route() without context names, or NULL. */
Datum
mm_route_version(PG_FUNCTION_ARGS)
{
	text *model_name;
	const char *unit;
	int unit_length;
	const cached_model *model;
	route_choice choice;
	text *result;

	if (unlikely(PG_ARGISNULL(0)))
		mm_require(fcinfo, 0, "model_name");
	model_name = PG_GETARG_TEXT_PP(0);
	model = routing_find(VARDATA_ANY(model_name), VARSIZE_ANY_EXHDR(model_name));
	if (model == NULL)
		PG_RETURN_NULL();
	unit = routing_unit_argument(fcinfo, 1, &unit_length);
	choice = choose(&model->rules, unit, unit_length, model->rules.pin_count ? routing_unit_key() : NULL, NULL);
	if (choice.rule == ROUTE_NOTHING)
		PG_RETURN_NULL();
	/* Copied out: the entry may be freed while the statement still holds the result. */
	result = palloc(VARHDRSZ + choice.target->length);
	SET_VARSIZE(result, VARHDRSZ + choice.target->length);
	memcpy(VARDATA(result), choice.target->version, choice.target->length);
	PG_RETURN_TEXT_P(result);
}

MM_FUNCTION(mm_bucket);

/* mm_bucket: the bucket rule itself, for whoever wants to compute ahead. */
Datum
mm_bucket(PG_FUNCTION_ARGS)
{
	text *key;
	text *unit;
	int32 total = PG_ARGISNULL(2) ? BUCKET_TOTAL : PG_GETARG_INT32(2);
	bucket_key state;

	mm_require(fcinfo, 0, "key");
	mm_require(fcinfo, 1, "unit_id");
	if (total < 1)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"total\" is out of range"),
				errdetail("The value %d is outside 1 to %d.", total, PG_INT32_MAX),
				errhint("Pass the number of buckets; shares of rollouts are in 1/%d.", BUCKET_TOTAL));
	key = PG_GETARG_TEXT_PP(0);
	unit = PG_GETARG_TEXT_PP(1);
	bucket_prepare(&state, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	PG_RETURN_INT32((int32) bucket_of(bucket_hash(&state, VARDATA_ANY(unit), VARSIZE_ANY_EXHDR(unit)), total));
}
