/*
 * deployment_plan.c: the rollout argument of a deployment: which keys there are, their defaults and ranges, and the
 * effective plan that is stored with the deployment. What steers is copied there, so that nothing set later changes
 * a rollout under way.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pg/deployment_key.h"
#include "pg/experiment.h"
#include "pg/query.h"
#include "pg/routing.h"
#include "pg/validator.h"

/* Longest time that a key may name: ten years. */
#define MAX_SECONDS 315360000.0
#define MAX_REQUESTS 1e12
/* Shortest deadline; 0 would be none. */
#define MIN_DEADLINE 1.0

static const char *const keys[] = {"steps",
								   "step_seconds",
								   "min_requests",
								   "warmup_seconds",
								   "max_step_seconds",
								   "on_timeout",
								   "approval",
								   "approval_timeout_seconds",
								   "guard",
								   "guard_margin",
								   "on_sample_ratio",
								   "bake_seconds",
								   "salt",
								   "start_at",
								   "preview_segment",
								   "validation_rules",
								   "test"};

/* The arguments of create_test() that a deployment leaves open; it sets the others itself. */
static const char *const test_keys[] = {"test_id",
										"name",
										"description",
										"confidence_level",
										"minimum_detectable_effect",
										"power",
										"max_duration_hours",
										"min_sample_size_per_variant",
										"primary_metric",
										"secondary_metrics",
										"early_stopping_enabled",
										"futility_threshold",
										"stopping_rule",
										"metric_directions",
										"guardrails",
										"exclusion_group"};

/* The words of a key, the usual one first; what number they have is the core's enum. */
static const char *const guard_words[] = {"sequential", "off", NULL};
static const char *const salt_words[] = {"fresh", "sticky", NULL};
static const char *const timeout_words[] = {"hold", "rollback", NULL};
static const char *const approval_words[] = {"none", "each_step", "final", NULL};
static const char *const ratio_words[] = {"warn", "hold", "rollback", NULL};

/* What a rollout argument says beside the core's plan. */
typedef struct extras
{
	bool guard_off;
	bool sticky;
	guard_margin margins[ROLLOUT_METRICS];
	const Jsonb *preview_segment; /* NULL: none; a condition, or a string: the name of a segment */
	const Jsonb *test;            /* NULL: not an A/B test */
	const Jsonb *rules;           /* every rule with every key */
} extras;

rollout_shape
deployment_plan_shape(const char *strategy)
{
	if (strcmp(strategy, "blue_green") == 0)
		return ROLLOUT_BLUE_GREEN;
	if (strcmp(strategy, "shadow") == 0)
		return ROLLOUT_SHADOW;
	return strcmp(strategy, "a_b_test") == 0 ? ROLLOUT_AB_TEST : ROLLOUT_CANARY;
}

/* microseconds: a key in seconds as the core takes it. */
static int64_t
microseconds(const Jsonb *object, const char *key, double otherwise, double low)
{
	return (int64_t) rint(deployment_key_number(object, key, otherwise, low, MAX_SECONDS) * ROLLOUT_SECOND);
}

double
deployment_plan_share(double share, const char *name)
{
	mm_check_float(name, share, 0, 100);
	if (rollout_share_weight(share) < 0)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is not a share of traffic", name),
				errdetail("The value is %g; shares are above 0, at most 100 and multiples of 0.01 percent.", share),
				errhint("Round it to two decimals."));
	return share;
}

/* read_steps: the array as it is. */
static void
read_steps(const JsonbValue *value, rollout_plan *plan)
{
	JsonbIterator *iterator;
	JsonbValue element;
	JsonbIteratorToken token;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		deployment_key_malformed("steps", "an array of percentages");
	plan->step_count = 0;
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvNumeric)
			deployment_key_malformed("steps", "an array of percentages");
		if (plan->step_count == ROLLOUT_MAX_STEPS)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many rollout steps"),
					errdetail("A rollout has at most %d steps.", ROLLOUT_MAX_STEPS), errhint("Use larger steps."));
		plan->steps[plan->step_count++] = deployment_key_number_of(&element);
	}
}

/* check_steps: what a canary's steps must be. */
static void
check_steps(const rollout_plan *plan)
{
	for (int i = 0; i < plan->step_count; i++)
		(void) deployment_plan_share(plan->steps[i], "steps");
	for (int i = 1; i < plan->step_count; i++)
		if (plan->steps[i] <= plan->steps[i - 1])
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("rollout steps must increase"),
					errdetail("%g comes after %g.", plan->steps[i], plan->steps[i - 1]),
					errhint("Write them as in [10, 50, 100]."));
	if (plan->step_count == 0 || plan->steps[plan->step_count - 1] != 100)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the last rollout step must be 100"),
				plan->step_count ? errdetail("The last one is %g.", plan->steps[plan->step_count - 1])
								 : errdetail("There are no steps."),
				errhint("End the list with 100."));
}

/* check_share: that the strategy takes a traffic_percentage (NULL: none is given), and that it is one. */
static void
check_share(const char *strategy, const double *share)
{
	if (share == NULL)
		return;
	if (strcmp(strategy, "replace") == 0 || deployment_plan_shape(strategy) == ROLLOUT_BLUE_GREEN)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("strategy \"%s\" takes no traffic_percentage", strategy),
				errdetail("It moves all traffic at once; %g was given.", *share),
				errhint("Leave traffic_percentage out, or use the strategy \"canary\"."));
	(void) deployment_plan_share(*share, "traffic_percentage");
}

/*
 * shape_steps: the steps that a strategy other than the canary takes by itself; returns their number. A shadow has one:
 * it ends where it is.
 */
static int
shape_steps(const char *strategy, double share, double *steps)
{
	if (strcmp(strategy, "replace") == 0)
	{
		steps[0] = 100;
		return 1;
	}
	return rollout_shape_steps(deployment_plan_shape(strategy), share, steps) -
		   (deployment_plan_shape(strategy) == ROLLOUT_SHADOW ? 1 : 0);
}

/* plan_canary_steps: the steps given, or the usual ones from the first share on. */
static void
plan_canary_steps(const Jsonb *rollout, const double *share, rollout_plan *plan)
{
	JsonbValue value;

	if (!deployment_key_find(rollout, "steps", &value))
	{
		plan->step_count = rollout_default_steps(share ? *share : 10, plan->steps);
		return;
	}
	read_steps(&value, plan);
	check_steps(plan);
	if (share && *share != plan->steps[0])
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("traffic_percentage and the first step differ"),
				errdetail("traffic_percentage is %g, the first step %g.", *share, plan->steps[0]),
				errhint("Give one of them, or make them equal."));
}

/* plan_shape_steps: those of the other strategies. `steps` may be given as it is stored, so that a stored rollout can
 * be given back. */
static void
plan_shape_steps(const Jsonb *rollout, const char *strategy, const double *share, rollout_plan *plan)
{
	rollout_shape shape = deployment_plan_shape(strategy);
	bool shares = shape == ROLLOUT_AB_TEST || shape == ROLLOUT_SHADOW;
	double first = share ? *share : shape == ROLLOUT_AB_TEST ? 50 : 100;
	JsonbValue value;
	double steps[2];
	int count;

	plan->step_count = 0;
	if (deployment_key_find(rollout, "steps", &value))
	{
		read_steps(&value, plan);
		if (shares && !share && plan->step_count > 0)
			first = deployment_plan_share(plan->steps[0], "steps");
	}
	if (shape == ROLLOUT_AB_TEST && first >= 100)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("an A/B test needs a share for both sides"),
				errdetail("The treatment's share is %g percent, which leaves the control nothing.", first),
				errhint("Give traffic_percentage below 100, as in 50."));
	count = shape_steps(strategy, first, steps);
	if (plan->step_count > 0)
	{
		bool same = plan->step_count == count;

		for (int i = 0; same && i < count; i++)
			same = plan->steps[i] == steps[i];
		if (!same)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("strategy \"%s\" takes no steps", strategy),
					errdetail("Its steps follow from the strategy; %d were given.", plan->step_count),
					errhint("Leave steps out, or use the strategy \"canary\"."));
	}
	plan->step_count = count;
	memcpy(plan->steps, steps, sizeof(double) * count);
}

/* read_start: the time of start_at; 0: none. A word like "tomorrow" becomes the time it means now. */
static int64_t
read_start(const Jsonb *rollout, TimestampTz latest)
{
	static const char *const expected = "a date and time, as in \"2026-01-31 12:00:00+00\"";
	TimestampTz time;
	mm_literal read;
	JsonbValue value;
	char *literal;

	if (!deployment_key_find(rollout, "start_at", &value))
		return 0;
	if (value.type != jbvString)
		deployment_key_malformed("start_at", expected);
	/* Not by the input function: what is no time is a malformed value here. */
	literal = pnstrdup(value.val.string.val, value.val.string.len);
	read = mm_read_time(literal, &time);
	if (read == MM_LITERAL_BAD)
		deployment_key_malformed("start_at", expected);
	if (read == MM_LITERAL_BEYOND || TIMESTAMP_IS_NOBEGIN(time) || time > latest)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"start_at\" is out of range"),
				errdetail("The value is \"%s\"; a rollout begins within ten years.", literal),
				errhint("Deploy when the time has come, or give a time before then."));
	/* 0 is none to the core, and a time long past for everybody else. */
	return time == 0 ? -1 : time;
}

/* read_margin: {"absolute": a, "relative": r}, or a alone. */
static guard_margin
read_margin(const char *name, const JsonbValue *value, double high)
{
	static const char *const margin_keys[] = {"absolute", "relative"};
	Jsonb *object;
	guard_margin margin = {0, 0};

	if (value->type == jbvNumeric)
	{
		margin.absolute = deployment_key_number_of(value);
		mm_check_float(psprintf("guard_margin of %s", name), margin.absolute, 0, high);
		return margin;
	}
	if (!deployment_key_is_object(value))
		deployment_key_malformed("guard_margin",
								 "an object of numbers, or of {\"absolute\": number, \"relative\": number}");
	deployment_key_check(value->val.binary.data, "guard margin", margin_keys, lengthof(margin_keys));
	object = JsonbValueToJsonb((JsonbValue *) value);
	margin.absolute = deployment_key_number(object, "absolute", 0, 0, high);
	margin.relative = deployment_key_number(object, "relative", 0, 0, 1000);
	return margin;
}

/* read_margins: the guard's margins; a metric that is left out has its usual one. */
static void
read_margins(const Jsonb *rollout, guard_margin *margins)
{
	const char *names[ROLLOUT_METRICS];
	JsonbValue value;
	Jsonb *object;

	memcpy(margins, guard_margins_default, sizeof(guard_margins_default));
	if (!deployment_key_find(rollout, "guard_margin", &value))
		return;
	if (!deployment_key_is_object(&value))
		deployment_key_malformed("guard_margin",
								 "an object, as in {\"success_rate\": 0.01, \"response_time\": {\"relative\": 0.1}}");
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		names[m] = rollout_metric_name((rollout_metric) m);
	deployment_key_check(value.val.binary.data, "guard_margin", names, ROLLOUT_METRICS);
	object = JsonbValueToJsonb(&value);
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		if (deployment_key_find(object, names[m], &value))
			margins[m] = read_margin(names[m], &value, m == ROLLOUT_RESPONSE_TIME ? 1e9 : 1);
}

/* read_preview: the preview's condition, or the name of a segment that has it. */
static const Jsonb *
read_preview(const Jsonb *rollout, const char *strategy)
{
	JsonbValue value;
	Jsonb *preview;

	if (!deployment_key_find(rollout, "preview_segment", &value))
		return NULL;
	if (strcmp(strategy, "blue_green") != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("strategy \"%s\" takes no preview_segment", strategy),
				errdetail("A preview is of a version that serves nobody else yet: strategy blue_green."),
				errhint("Leave the key out, or send a segment to the version with model_mgr.set_segment()."));
	preview = JsonbValueToJsonb(&value);
	if (value.type == jbvString)
		mm_check_name("segment name", pnstrdup(value.val.string.val, value.val.string.len));
	else if (deployment_key_is_object(&value))
		routing_check_condition(preview);
	else
		deployment_key_malformed("preview_segment",
								 "a condition, as in {\"group\": \"beta\"}, or the name of a segment");
	return preview;
}

/* read_test: arguments of the A/B test; {} when there is one and nothing is asked of it. */
static const Jsonb *
read_test(const Jsonb *rollout, const char *strategy)
{
	bool wanted = strcmp(strategy, "a_b_test") == 0;
	JsonbValue value;
	Jsonb *test;

	if (!deployment_key_find(rollout, "test", &value))
		return wanted ? json_build_pairs(0, NULL) : NULL;
	if (!wanted)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("strategy \"%s\" takes no test", strategy),
				errdetail("The key holds arguments of the A/B test that strategy a_b_test opens."),
				errhint("Leave the key out, or use the strategy \"a_b_test\"."));
	if (!deployment_key_is_object(&value))
		deployment_key_malformed("test", "an object, as in {\"max_duration_hours\": 24}");
	deployment_key_check(value.val.binary.data, "test", test_keys, lengthof(test_keys));
	test = JsonbValueToJsonb(&value);
	experiment_check(test);
	return test;
}

/* margins_json: as they are written shortest. */
static Jsonb *
margins_json(const guard_margin *margins)
{
	json_pair pairs[ROLLOUT_METRICS];

	for (int m = 0; m < ROLLOUT_METRICS; m++)
	{
		const char *name = rollout_metric_name((rollout_metric) m);
		const guard_margin *g = &margins[m];

		if (g->relative == 0)
			pairs[m] = json_number_pair(name, g->absolute);
		else if (g->absolute == 0)
			pairs[m] = json_object_pair(name, json_build(json_number_pair("relative", g->relative)));
		else
			pairs[m] = json_object_pair(
				name, json_build(json_number_pair("absolute", g->absolute), json_number_pair("relative", g->relative)));
	}
	return json_build_pairs(ROLLOUT_METRICS, pairs);
}

/* steps_json: the array of shares. */
static Jsonb *
steps_json(const rollout_plan *plan)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < plan->step_count; i++)
	{
		/* By way of text: a share is at most two decimals, its binary neighbour is not. */
		Datum share = DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf("%g", plan->steps[i])),
										  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		JsonbValue value = {.type = jbvNumeric};

		value.val.numeric = DatumGetNumeric(share);
		(void) pushJsonbValue(&state, WJB_ELEM, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

static double
seconds_of(int64_t time)
{
	return (double) time / ROLLOUT_SECOND;
}

/* store: the effective plan as jsonb, every key with its value, null for none. */
static Jsonb *
store(const rollout_plan *plan, const extras *x)
{
	return json_build(
		json_object_pair("steps", steps_json(plan)), json_number_pair("step_seconds", seconds_of(plan->step_time)),
		json_integer_pair("min_requests", plan->min_requests),
		json_number_pair("warmup_seconds", seconds_of(plan->warmup_time)),
		json_number_pair("max_step_seconds", plan->max_step_time ? seconds_of(plan->max_step_time) : NAN),
		json_text_pair("on_timeout", timeout_words[plan->on_timeout == ROLLOUT_REACT_ROLL_BACK]),
		json_text_pair("approval", approval_words[plan->approval]),
		json_number_pair("approval_timeout_seconds", plan->approval_timeout ? seconds_of(plan->approval_timeout) : NAN),
		json_text_pair("guard", guard_words[x->guard_off]), json_object_pair("guard_margin", margins_json(x->margins)),
		json_text_pair("on_sample_ratio", ratio_words[plan->on_sample_ratio]),
		json_number_pair("bake_seconds", seconds_of(plan->bake_time)), json_text_pair("salt", salt_words[x->sticky]),
		plan->start_at ? json_time_pair("start_at", plan->start_at) : json_text_pair("start_at", NULL),
		json_object_pair("preview_segment", x->preview_segment), json_object_pair("validation_rules", x->rules),
		json_object_pair("test", x->test));
}

/* read_plan: everything but the steps. */
static void
read_plan(const Jsonb *rollout, const char *strategy, double usual_bake, TimestampTz latest, rollout_plan *plan)
{
	plan->shape = deployment_plan_shape(strategy);
	plan->min_requests = (int64_t) deployment_key_whole(rollout, "min_requests", 100, 0, MAX_REQUESTS);
	plan->step_time = microseconds(rollout, "step_seconds", 600, 0);
	plan->warmup_time = microseconds(rollout, "warmup_seconds", 0, 0);
	plan->max_step_time = microseconds(rollout, "max_step_seconds", 0, MIN_DEADLINE);
	plan->on_timeout =
		deployment_key_word(rollout, "on_timeout", timeout_words) == 1 ? ROLLOUT_REACT_ROLL_BACK : ROLLOUT_REACT_HOLD;
	plan->approval = (rollout_approval) deployment_key_word(rollout, "approval", approval_words);
	plan->approval_timeout = microseconds(rollout, "approval_timeout_seconds", 0, MIN_DEADLINE);
	plan->on_sample_ratio = (rollout_reaction) deployment_key_word(rollout, "on_sample_ratio", ratio_words);
	/* A canary's last step is one like the others; what moves at once is watched for as long as its limits look back.
	 */
	plan->bake_time = microseconds(rollout, "bake_seconds",
								   strcmp(strategy, "canary") == 0 ? seconds_of(plan->step_time) : usual_bake, 0);
	plan->start_at = read_start(rollout, latest);
}

/*
 * deployment_plan_parse: checks a rollout argument, fills *plan (limits and criteria are the caller's) and returns the
 * effective rollout to store. traffic_percentage: NULL when not given.
 */
Jsonb *
deployment_plan_parse(const Jsonb *rollout, const char *strategy, int32 window_minutes,
					  const double *traffic_percentage, rollout_plan *plan)
{
	extras x;

	if (!JB_ROOT_IS_OBJECT(rollout))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"rollout\" must be a JSON object"),
				errdetail("It is another kind of JSON value."), errhint("Write it as in '{\"step_seconds\": 600}'."));
	deployment_key_check(&rollout->root, "rollout", keys, lengthof(keys));
	check_share(strategy, traffic_percentage);
	if (strcmp(strategy, "canary") == 0)
		plan_canary_steps(rollout, traffic_percentage, plan);
	else
		plan_shape_steps(rollout, strategy, traffic_percentage, plan);
	read_plan(rollout, strategy, window_minutes * 60.0, mm_now() + (TimestampTz) MAX_SECONDS * ROLLOUT_SECOND, plan);
	x.guard_off = deployment_key_word(rollout, "guard", guard_words) == 1;
	x.sticky = deployment_key_word(rollout, "salt", salt_words) == 1;
	read_margins(rollout, x.margins);
	x.preview_segment = read_preview(rollout, strategy);
	x.rules = validator_rules(deployment_key_value(rollout, "validation_rules"));
	x.test = read_test(rollout, strategy);
	return store(plan, &x);
}

void
deployment_plan_read(const Jsonb *rollout, const char *strategy, rollout_plan *plan)
{
	JsonbValue steps;

	if (!deployment_key_find(rollout, "steps", &steps))
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("a stored rollout has no steps"),
				errdetail("Effective rollouts hold every key."), errhint("Restore the row from a dump."));
	read_steps(&steps, plan);
	/* Whatever the clock says now. */
	read_plan(rollout, strategy, 0, DT_NOEND, plan);
}

bool
deployment_plan_guard(const Jsonb *rollout, guard_margin *margins)
{
	read_margins(rollout, margins);
	return deployment_key_word(rollout, "guard", guard_words) == 0;
}

bool
deployment_plan_sticky(const Jsonb *rollout)
{
	return deployment_key_word(rollout, "salt", salt_words) == 1;
}

const Jsonb *
deployment_plan_rules(const Jsonb *rollout)
{
	return deployment_key_value(rollout, "validation_rules");
}

const Jsonb *
deployment_plan_preview(const Jsonb *rollout)
{
	return deployment_key_value(rollout, "preview_segment");
}

Jsonb *
deployment_plan_resolve(int64 model_id, const char *model_name, Jsonb *rollout)
{
	static query find = QUERY(
		"SELECT pg_catalog.jsonb_set($2, '{preview_segment}', e -> 'condition') FROM model_mgr.routing r,"
		" pg_catalog.jsonb_array_elements(r.segments) e WHERE r.model_id = $1 AND e ->> 'segment' = $2 ->> 'preview_segment'",
		INT8OID, JSONBOID);
	JsonbValue value;

	if (!deployment_key_find(rollout, "preview_segment", &value) || value.type != jbvString)
		return rollout;
	if (query_run(&find, int64_arg(model_id), jsonb_arg(rollout)) == 0)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("model \"%s\" has no segment \"%.*s\"", model_name, value.val.string.len, value.val.string.val),
				errdetail("preview_segment names none of its segments."),
				errhint("Set it with model_mgr.set_segment(), or give the condition itself: {\"group\": \"beta\"}."));
	return query_jsonb(0, 0);
}

const Jsonb *
deployment_plan_test(const Jsonb *rollout)
{
	return deployment_key_value(rollout, "test");
}

char *
deployment_plan_taken_test(const Jsonb *rollout)
{
	static query find = QUERY("SELECT 1 FROM model_mgr.ab_test t WHERE t.test_id = $1", TEXTOID);
	Jsonb *test = deployment_key_object(rollout, "test");
	JsonbValue value;
	char *test_id;

	if (test == NULL || !deployment_key_find(test, "test_id", &value) || value.type != jbvString)
		return NULL;
	test_id = pnstrdup(value.val.string.val, value.val.string.len);
	return query_run(&find, text_arg(test_id)) > 0 ? test_id : NULL;
}

void
deployment_plan_refuse_taken_test(const Jsonb *rollout)
{
	char *taken = deployment_plan_taken_test(rollout);

	if (taken != NULL)
		ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("test \"%s\" exists already", taken),
				errdetail("A test that has ended keeps its id."),
				errhint("Give another test_id, or none: {\"test\": {\"test_id\": \"...\"}}."));
}
