/*
 * routing_explain.c: looking back and looking closely: route_at() answers from the history what route() answered then,
 * explain_route() shows each rule that route() looks at. Both use the same core function as route().
 */
#include "pg/mm.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "core/experiment.h"
#include "pg/json_tree.h"
#include "pg/routing_internal.h"

/* Columns of routing_history and routing_pin. */
enum
{
	HISTORY_MODEL_ID = 1,
	HISTORY_REVISION,
	HISTORY_CHANGED_AT,
	HISTORY_STABLE_VERSION_ID,
	HISTORY_STABLE_VERSION,
	HISTORY_CANDIDATE_VERSION_ID = 8,
	HISTORY_CANDIDATE_VERSION,
	HISTORY_CANDIDATE_WEIGHT,
	HISTORY_BUCKET_KEY,
	HISTORY_SEGMENTS = 13,
	HISTORY_PREVIEW = 17,
	HISTORY_TEST,
	HISTORY_COLUMNS = HISTORY_TEST
};

enum
{
	PIN_MODEL_ID = 2,
	PIN_UNIT_HASH,
	PIN_VERSION_ID,
	PIN_VERSION,
	PIN_FIRST_REVISION = 7,
	PIN_LAST_REVISION,
	PIN_COLUMNS = PIN_LAST_REVISION
};

/* get_target: a version of a deformed history row, copied. */
static route_target
get_target(const Datum *values, const bool *nulls, int id_column)
{
	text *version;

	if (nulls[id_column - 1] || nulls[id_column])
		return (route_target){0, "", 0};
	version = DatumGetTextPP(values[id_column]);
	return (route_target){DatumGetInt64(values[id_column - 1]), text_to_cstring(version), VARSIZE_ANY_EXHDR(version)};
}

/*
 * rules_at: the rules that were in force, without pins, and their revision; 0 when there was no such model then. The
 * latest revision made no later than `at` counts, also where a clock was set back between two.
 */
static int64
rules_at(int64 model_id, TimestampTz at, route_rules *rules)
{
	Relation relation = table_open(mm_relation("routing_history"), AccessShareLock);
	Relation index = index_open(mm_relation("routing_history_pkey"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	int64 revision = 0;

	routing_key_int64(&key, HISTORY_MODEL_ID, model_id);
	scan = systable_beginscan_ordered(relation, index, NULL, 1, &key);
	while (revision == 0 && HeapTupleIsValid(tuple = systable_getnext_ordered(scan, BackwardScanDirection)))
	{
		Datum values[HISTORY_COLUMNS];
		bool nulls[HISTORY_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		/* Most rows on the way back are only passed by. */
		values[0] = heap_getattr(tuple, HISTORY_CHANGED_AT, RelationGetDescr(relation), &nulls[0]);
		if (DatumGetTimestampTz(values[0]) > at)
			continue;
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		revision = DatumGetInt64(values[HISTORY_REVISION - 1]);
		memset(rules, 0, sizeof(*rules));
		rules->stable = get_target(values, nulls, HISTORY_STABLE_VERSION_ID);
		rules->candidate = get_target(values, nulls, HISTORY_CANDIDATE_VERSION_ID);
		if (rules->candidate.version_id != 0 && !nulls[HISTORY_BUCKET_KEY - 1])
		{
			text *bucket_key = DatumGetTextPP(values[HISTORY_BUCKET_KEY - 1]);

			rules->candidate_weight = DatumGetInt32(values[HISTORY_CANDIDATE_WEIGHT - 1]);
			bucket_prepare(&rules->key, VARDATA_ANY(bucket_key), VARSIZE_ANY_EXHDR(bucket_key));
		}
		routing_read_segments(rules, DatumGetJsonbP(values[HISTORY_SEGMENTS - 1]),
							  nulls[HISTORY_PREVIEW - 1] ? NULL : DatumGetJsonbP(values[HISTORY_PREVIEW - 1]));
		if (!nulls[HISTORY_TEST - 1])
			(void) routing_read_test(rules, DatumGetJsonbP(values[HISTORY_TEST - 1]));
		choose_prepare(rules);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(relation, AccessShareLock);
	return revision;
}

/* pin_at: ensures that rules hold this unit's pin in force at a revision, and no other. */
static void
pin_at(int64 model_id, int64 unit_hash, int64 revision, route_rules *rules)
{
	ScanKeyData keys[2];
	routing_scan scan;
	HeapTuple tuple;

	routing_key_int64(&keys[0], PIN_MODEL_ID, model_id);
	routing_key_int64(&keys[1], PIN_UNIT_HASH, unit_hash);
	scan = routing_scan_begin("routing_pin", "routing_pin_unit_index", 2, keys);
	while (HeapTupleIsValid(tuple = routing_scan_next(&scan)))
	{
		Datum values[PIN_COLUMNS];
		bool nulls[PIN_COLUMNS];
		route_target *target;
		int64 *hash;

		heap_deform_tuple(tuple, RelationGetDescr(scan.relation), values, nulls);
		if (DatumGetInt64(values[PIN_FIRST_REVISION - 1]) > revision ||
			(!nulls[PIN_LAST_REVISION - 1] && DatumGetInt64(values[PIN_LAST_REVISION - 1]) <= revision))
			continue;
		target = palloc(sizeof(route_target));
		hash = palloc(sizeof(int64));
		*target = get_target(values, nulls, PIN_VERSION_ID);
		*hash = unit_hash;
		rules->pin_count = 1;
		rules->pin_hashes = hash;
		rules->pin_targets = target;
	}
	routing_scan_end(&scan);
}

MM_FUNCTION(mm_route_at);

/* mm_route_at: what route_version() answered at a time, NULL time: now; NULL when nothing was active. */
Datum
mm_route_at(PG_FUNCTION_ARGS)
{
	text *model_name;
	const char *unit;
	int unit_length;
	TimestampTz at = PG_ARGISNULL(2) ? mm_now() : PG_GETARG_TIMESTAMPTZ(2);
	const routing_entry *model;
	int64 model_id;
	int64 revision;
	route_rules rules;
	route_choice choice;

	mm_require(fcinfo, 0, "model_name");
	model_name = PG_GETARG_TEXT_PP(0);
	unit = routing_unit_argument(fcinfo, 1, &unit_length);
	model = routing_lookup(VARDATA_ANY(model_name), VARSIZE_ANY_EXHDR(model_name));
	if (model == NULL)
		PG_RETURN_NULL();
	model_id = model->model_id;
	revision = rules_at(model_id, at, &rules);
	if (revision == 0)
		PG_RETURN_NULL();
	if (unit_length > 0)
		pin_at(model_id, unit_hash_of(unit, unit_length), revision, &rules);
	choice = routing_choose(&rules, unit, unit_length, NULL);
	if (choice.rule == ROUTE_NOTHING)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(choice.target->version, choice.target->length));
}

/* ---- explain_route ---- */

enum
{
	EXPLAIN_POSITION,
	EXPLAIN_RULE,
	EXPLAIN_MATCHED,
	EXPLAIN_BUCKET,
	EXPLAIN_BUCKET_LIMIT,
	EXPLAIN_VERSION,
	EXPLAIN_DETAIL,
	EXPLAIN_COLUMNS
};

typedef struct explanation
{
	ReturnSetInfo *result;
	int position;
} explanation;

/* explain: one row; bucket -1: none looked at. */
static void
explain(explanation *to, const char *rule, bool matched, int64 bucket, uint32 limit, const route_target *target,
		const char *detail)
{
	Datum values[EXPLAIN_COLUMNS] = {0};
	bool nulls[EXPLAIN_COLUMNS] = {0};

	values[EXPLAIN_POSITION] = Int32GetDatum(++to->position);
	values[EXPLAIN_RULE] = CStringGetTextDatum(rule);
	values[EXPLAIN_MATCHED] = BoolGetDatum(matched);
	nulls[EXPLAIN_BUCKET] = nulls[EXPLAIN_BUCKET_LIMIT] = bucket < 0;
	values[EXPLAIN_BUCKET] = Int32GetDatum((int32) bucket);
	values[EXPLAIN_BUCKET_LIMIT] = Int32GetDatum((int32) limit);
	nulls[EXPLAIN_VERSION] = target == NULL || target->version_id == 0;
	if (!nulls[EXPLAIN_VERSION])
		values[EXPLAIN_VERSION] = PointerGetDatum(cstring_to_text_with_len(target->version, target->length));
	values[EXPLAIN_DETAIL] = CStringGetTextDatum(detail);
	tuplestore_putvalues(to->result->setResult, to->result->setDesc, values, nulls);
}

/* explain_shadow: what the application calls beside, when there is such a version: last, since it serves nobody. */
static void
explain_shadow(explanation *to, const cached_model *model, const char *unit, int unit_length)
{
	const routing_entry *entry = model->entry;
	const routing_shadow *shadow = entry->shadow;
	route_target target;
	int32 bucket;
	bool drawn;

	if (!entry->has_shadow)
		return;
	target = (route_target){shadow->version_id, shadow->version, strlen(shadow->version)};
	drawn = choose_shadow(&model->rules.key, shadow->weight, unit, unit_length, &bucket);
	explain(to, "shadow", drawn, bucket, shadow->weight, &target,
			psprintf("deployment " INT64_FORMAT ", step %d, share %g %%: %s", entry->deployment_id, entry->step,
					 shadow->weight * 100.0 / BUCKET_TOTAL,
					 drawn              ? "the application calls it too, users never see it"
					 : unit_length == 0 ? "there is no unit to draw by"
										: "the bucket is not below the limit"));
}

/* explain_test: the test that carries the traffic; true when it decides. */
static bool
explain_test(explanation *to, const cached_model *model, const char *unit, int unit_length)
{
	const route_test *drawn = model->rules.test;
	const routing_test *test = model->entry->test;
	uint32 bucket = 0;
	int arm = unit_length > 0 ? arms_of(&drawn->draw, unit, unit_length, &bucket) : ARMS_OUTSIDE;
	bool decides = arm != ARMS_OUTSIDE;

	explain(to, "test", decides, unit_length > 0 ? (int64) bucket : -1,
			drawn->draw.limit[decides ? arm : EXPERIMENT_CONTROL_ARM], decides ? &drawn->targets[arm] : NULL,
			psprintf("test \"%s\": %s", test->test_id,
					 decides            ? psprintf("the unit is in arm \"%s\"", test->variant[arm])
					 : unit_length == 0 ? "there is no unit to draw by"
										: "it does not cover the unit"));
	return decides;
}

/* explain_rules: the rules in the order of choose(), up to the one that decides. */
static void
explain_rules(explanation *to, const cached_model *model, const char *unit, int unit_length, const Jsonb *context)
{
	const route_rules *rules = &model->rules;
	const json_value *tree = context ? json_tree(context) : NULL;
	const route_target *pin = NULL;
	uint32 limit = rules->candidate_weight;
	int64 bucket = -1;

	if (rules->pin_count > 0 && unit_length > 0)
		pin = choose_pin(rules, (int64) siphash(routing_unit_key(), unit, unit_length));
	explain(to, "pin", pin != NULL, -1, 0, pin,
			unit_length == 0 ? "there is no unit"
			: pin            ? "the unit is pinned"
							 : psprintf("not among %u pinned units", rules->pin_count));
	if (pin)
		return;

	for (size_t i = 0; i < rules->segment_count; i++)
	{
		const route_segment *segment = &rules->segments[i];
		bool holds = segment->condition && condition_holds(segment->condition, tree);

		explain(to, segment->rule == ROUTE_PREVIEW ? "preview" : "segment", holds, -1, 0, &segment->target,
				psprintf("%.*s: the condition %s", (int) segment->name_length, segment->name,
						 !segment->condition ? "is not understood by this version of model_mgr"
						 : holds             ? "holds"
											 : "does not hold"));
		if (holds)
			return;
	}

	if (rules->stable.version_id != 0 && model->entry->candidate_version_id != 0)
	{
		if (unit_length > 0)
			bucket = bucket_of(bucket_hash(&rules->key, unit, unit_length), BUCKET_TOTAL);
		explain(to, "rollout", bucket >= 0 && bucket < limit, bucket, limit, &rules->candidate,
				psprintf("deployment " INT64_FORMAT ", step %d, share %g %%: %s", model->entry->deployment_id,
						 model->entry->step, limit * 100.0 / BUCKET_TOTAL,
						 unit_length == 0 ? "there is no unit to draw by"
						 : bucket < limit ? "the bucket is below the limit"
										  : "the bucket is not below the limit"));
		if (bucket >= 0 && bucket < limit)
			return;
	}
	if (rules->stable.version_id != 0 && rules->test && explain_test(to, model, unit, unit_length))
		return;
	explain(to, "stable", rules->stable.version_id != 0, -1, 0, &rules->stable,
			rules->stable.version_id == 0      ? "nothing is active"
			: model->entry->deployment_id == 0 ? "the active version"
			: model->entry->candidate_version_id != 0 || model->entry->has_shadow
				? psprintf("the baseline of deployment " INT64_FORMAT, model->entry->deployment_id)
				: psprintf("serves everybody during deployment " INT64_FORMAT, model->entry->deployment_id));
	if (rules->stable.version_id != 0)
		explain_shadow(to, model, unit, unit_length);
}

MM_FUNCTION(mm_explain_route);

/* mm_explain_route: no row for an unknown model. */
Datum
mm_explain_route(PG_FUNCTION_ARGS)
{
	explanation to = {(ReturnSetInfo *) fcinfo->resultinfo, 0};
	text *model_name;
	const char *unit;
	int unit_length;
	const Jsonb *context;
	const cached_model *model;

	mm_require(fcinfo, 0, "model_name");
	model_name = PG_GETARG_TEXT_PP(0);
	unit = routing_unit_argument(fcinfo, 1, &unit_length);
	context = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	if (!routing_check_context(context))
		context = NULL;
	InitMaterializedSRF(fcinfo, 0);
	model = routing_find(VARDATA_ANY(model_name), VARSIZE_ANY_EXHDR(model_name));
	if (model)
		explain_rules(&to, model, unit, unit_length, context);
	return (Datum) 0;
}
