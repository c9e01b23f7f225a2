/*
 * deployment_plan.c: the rollout argument of a deployment: which keys there are, their defaults and ranges, and the
 * effective plan that is stored with the deployment. What steers is copied there, so that nothing set later changes
 * a rollout under way.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pg/query.h"

/* Longest time that a key may name: ten years. */
#define MAX_SECONDS 315360000.0
#define MAX_REQUESTS 1e12

/* Keys of the contract whose issue has not come yet. */
static const char *const later_keys[] = {
	"max_step_seconds", "on_timeout", "approval",        "approval_timeout_seconds", "guard_margin",
	"on_sample_ratio",  "start_at",   "preview_segment", "validation_rules",         "test"};
static const char *const known_keys[] = {"steps",        "step_seconds", "min_requests", "warmup_seconds",
										 "bake_seconds", "guard",        "salt"};

/* malformed: 22P02 for a key whose value has the wrong JSON type. */
static void
malformed(const char *key, const char *expected)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			errmsg("rollout key \"%s\" has a malformed value", key), errdetail("The value must be %s.", expected),
			errhint("Write it as in {\"steps\": [10, 50, 100], \"step_seconds\": 600, \"min_requests\": 100}."));
}

/* find: a key's value; false when absent or null, which means its default. */
static bool
find(const Jsonb *object, const char *key, JsonbValue *value)
{
	JsonbValue *found = getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key, strlen(key), NULL);

	if (found == NULL || found->type == jbvNull)
		return false;
	*value = *found;
	return true;
}

static double
number_of(const JsonbValue *value)
{
	/* Not numeric_float8: a number beyond float8 must come out as infinity for the range check to refuse. */
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}

/* deployment_plan_number: a number in low..high, or its default. */
double
deployment_plan_number(const Jsonb *object, const char *key, double otherwise, double low, double high)
{
	JsonbValue value;
	double number;

	if (!find(object, key, &value))
		return otherwise;
	if (value.type != jbvNumeric)
		malformed(key, "a number");
	number = number_of(&value);
	mm_check_float(key, number, low, high);
	return number;
}

/* word_key: the value of a key that is one of two words; true for the second. */
static bool
word_key(const Jsonb *object, const char *key, const char *usual, const char *other)
{
	JsonbValue value;
	char *word;

	if (!find(object, key, &value))
		return false;
	if (value.type != jbvString)
		malformed(key, "a string");
	word = pnstrdup(value.val.string.val, value.val.string.len);
	if (strcmp(word, usual) != 0 && strcmp(word, other) != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("unknown word \"%s\" for rollout key \"%s\"", word, key),
				errdetail("The words are \"%s\" and \"%s\".", usual, other),
				errhint("Leave the key out for \"%s\".", usual));
	return strcmp(word, other) == 0;
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

/* read_steps: the array of shares, checked. */
static void
read_steps(const JsonbValue *value, rollout_plan *plan)
{
	JsonbIterator *iterator;
	JsonbValue element;
	JsonbIteratorToken token;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		malformed("steps", "an array of percentages");
	plan->step_count = 0;
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvNumeric)
			malformed("steps", "an array of percentages");
		if (plan->step_count == ROLLOUT_MAX_STEPS)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many rollout steps"),
					errdetail("A rollout has at most %d steps.", ROLLOUT_MAX_STEPS), errhint("Use larger steps."));
		plan->steps[plan->step_count++] = deployment_plan_share(number_of(&element), "steps");
	}
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

/* check_keys: 22023 for a key that is none, 0A000 for one that this version does not know yet. */
static void
check_keys(const Jsonb *rollout)
{
	JsonbIterator *iterator = JsonbIteratorInit((JsonbContainer *) &rollout->root);
	JsonbValue key;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		char *name;
		bool known = false;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(key.val.string.val, key.val.string.len);
		for (int i = 0; i < lengthof(later_keys); i++)
			if (strcmp(name, later_keys[i]) == 0)
				mm_not_built(
					psprintf("rollout key \"%s\"", name),
					"Leave the key out; supported are steps, step_seconds, min_requests, warmup_seconds, bake_seconds, guard and salt.");
		for (int i = 0; i < lengthof(known_keys); i++)
			known |= strcmp(name, known_keys[i]) == 0;
		if (!known)
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown rollout key \"%s\"", name),
				errdetail("Keys are steps, step_seconds, min_requests, warmup_seconds, bake_seconds, guard and salt."),
				errhint("Check the spelling or leave the key out."));
	}
}

/* store: the effective plan as jsonb, every key with its value. */
static Jsonb *
store(const rollout_plan *plan, bool guard_off, bool sticky)
{
	JsonbParseState *state = NULL;
	Jsonb *steps;

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
	steps = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
	return json_build(
		json_object_pair("steps", steps), json_number_pair("step_seconds", (double) plan->step_time / ROLLOUT_SECOND),
		json_integer_pair("min_requests", plan->min_requests),
		json_number_pair("warmup_seconds", (double) plan->warmup_time / ROLLOUT_SECOND),
		json_number_pair("bake_seconds", (double) plan->bake_time / ROLLOUT_SECOND),
		json_text_pair("guard", guard_off ? "off" : "sequential"), json_text_pair("salt", sticky ? "sticky" : "fresh"));
}

/*
 * deployment_plan_parse: checks a rollout argument, fills *plan (limits are the caller's) and returns the effective
 * rollout to store. traffic_percentage: NULL when not given.
 */
Jsonb *
deployment_plan_parse(const Jsonb *rollout, const char *strategy, int32 window_minutes,
					  const double *traffic_percentage, rollout_plan *plan)
{
	bool replace = strcmp(strategy, "replace") == 0;
	bool guard_off;
	bool sticky;
	JsonbValue value;
	double requests;
	double step_seconds;

	if (!JB_ROOT_IS_OBJECT(rollout))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"rollout\" must be a JSON object"),
				errdetail("It is another kind of JSON value."), errhint("Write it as in '{\"step_seconds\": 600}'."));
	check_keys(rollout);

	if (replace)
	{
		if (traffic_percentage)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("strategy \"replace\" takes no traffic_percentage"),
					errdetail("It moves all traffic at once; %g was given.", *traffic_percentage),
					errhint("Leave traffic_percentage out, or use the strategy \"canary\"."));
		/* What is stored for replace may be given back. */
		if (find(rollout, "steps", &value))
		{
			read_steps(&value, plan);
			if (plan->step_count != 1)
				ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("strategy \"replace\" takes no steps"),
						errdetail("It moves all traffic at once; %d steps were given.", plan->step_count),
						errhint("Leave steps out, or use the strategy \"canary\"."));
		}
		plan->step_count = 1;
		plan->steps[0] = 100;
	}
	else
	{
		if (traffic_percentage)
			(void) deployment_plan_share(*traffic_percentage, "traffic_percentage");
		if (find(rollout, "steps", &value))
		{
			read_steps(&value, plan);
			if (traffic_percentage && *traffic_percentage != plan->steps[0])
				ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("traffic_percentage and the first step differ"),
						errdetail("traffic_percentage is %g, the first step %g.", *traffic_percentage, plan->steps[0]),
						errhint("Give one of them, or make them equal."));
		}
		else
			plan->step_count = rollout_default_steps(traffic_percentage ? *traffic_percentage : 10, plan->steps);
	}

	step_seconds = deployment_plan_number(rollout, "step_seconds", 600, 0, MAX_SECONDS);
	requests = deployment_plan_number(rollout, "min_requests", 100, 0, MAX_REQUESTS);
	if (requests != rint(requests))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"min_requests\" must be a whole number"),
				errdetail("The value is %g.", requests), errhint("Round it."));
	plan->min_requests = (int64_t) requests;
	plan->step_time = (int64_t) rint(step_seconds * ROLLOUT_SECOND);
	plan->warmup_time =
		(int64_t) rint(deployment_plan_number(rollout, "warmup_seconds", 0, 0, MAX_SECONDS) * ROLLOUT_SECOND);
	plan->bake_time =
		(int64_t) rint(deployment_plan_number(rollout, "bake_seconds", replace ? window_minutes * 60.0 : step_seconds,
											  0, MAX_SECONDS) *
					   ROLLOUT_SECOND);
	guard_off = word_key(rollout, "guard", "sequential", "off");
	sticky = word_key(rollout, "salt", "fresh", "sticky");
	return store(plan, guard_off, sticky);
}

void
deployment_plan_read(const Jsonb *rollout, rollout_plan *plan)
{
	JsonbValue steps;

	if (!find(rollout, "steps", &steps))
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("a stored rollout has no steps"),
				errdetail("Effective rollouts hold every key."), errhint("Restore the row from a dump."));
	read_steps(&steps, plan);
	plan->min_requests = (int64_t) deployment_plan_number(rollout, "min_requests", 100, 0, MAX_REQUESTS);
	plan->step_time =
		(int64_t) rint(deployment_plan_number(rollout, "step_seconds", 600, 0, MAX_SECONDS) * ROLLOUT_SECOND);
	plan->warmup_time =
		(int64_t) rint(deployment_plan_number(rollout, "warmup_seconds", 0, 0, MAX_SECONDS) * ROLLOUT_SECOND);
	plan->bake_time =
		(int64_t) rint(deployment_plan_number(rollout, "bake_seconds", 0, 0, MAX_SECONDS) * ROLLOUT_SECOND);
}

/* word_is: whether a stored key has this word. */
static bool
word_is(const Jsonb *rollout, const char *key, const char *word)
{
	JsonbValue value;

	return find(rollout, key, &value) && value.type == jbvString && value.val.string.len == (int) strlen(word) &&
		   memcmp(value.val.string.val, word, strlen(word)) == 0;
}

bool
deployment_plan_sticky(const Jsonb *rollout)
{
	return word_is(rollout, "salt", "sticky");
}

bool
deployment_plan_guarded(const Jsonb *rollout)
{
	return word_is(rollout, "guard", "sequential");
}

bool
deployment_plan_boolean(const Jsonb *object, const char *key, bool otherwise)
{
	JsonbValue value;

	if (!find(object, key, &value))
		return otherwise;
	if (value.type != jbvBool)
		malformed(key, "true or false");
	return value.val.boolean;
}

void
deployment_plan_no_health(const Jsonb *changes)
{
	JsonbValue value;

	if (find(changes, "health_criteria", &value))
		deployment_check_health(JsonbValueToJsonb(&value));
	if (find(changes, "rollout", &value) && (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data)))
		malformed("rollout", "an object");
}

void
deployment_check_health(const Jsonb *health)
{
	if (!JB_ROOT_IS_OBJECT(health))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("\"health_criteria\" must be a JSON object"), errdetail("It is another kind of JSON value."),
				errhint("Leave it out."));
	if (JB_ROOT_COUNT(health) > 0)
		mm_not_built("a health criterion", "Leave health_criteria out; the three rollback limits are judged.");
}
