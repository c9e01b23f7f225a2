/*
 * experiment_design.c: the arguments of create_test(): read from the key of a rollout, checked, and what follows from
 * them: the metrics with their directions, the arms with their shares. Touches no table.
 */
#include "pg/experiment_design.h"

#include <math.h>

#include "core/bucket.h"
#include "pg/deployment_key.h"
#include "pg/json_tree.h"
#include "pg/query.h"
#include "pg/registry.h"

#define MAX_HOURS (10 * 8784)
#define MAX_EFFECT 1e9

/* empty: {} or []. */
static Jsonb *
empty(bool list)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, list ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, list ? WJB_END_ARRAY : WJB_END_OBJECT, NULL));
}

void
experiment_design_begin(test_design *d)
{
	static const char *usual[] = {"response_time", "confidence_score"};

	memset(d, 0, sizeof(*d));
	d->confidence_level = guc_ab_test_confidence;
	d->minimum_detectable_effect = 0.02;
	d->power = guc_ab_test_power;
	d->max_duration_hours = 168;
	d->min_sample_size_per_variant = guc_ab_test_min_samples;
	d->primary_metric = "success_rate";
	d->secondary_count = lengthof(usual);
	d->secondary_metrics = usual;
	d->early_stopping_enabled = true;
	d->futility_threshold = 0.01;
	d->traffic_split = 0.5;
	d->stopping_rule = "obrien_fleming";
	d->metric_directions = empty(false);
	d->coverage = 1;
	d->guardrails = empty(true);
	d->arms = empty(true);
	d->allocation = "fixed";
}

static void malformed(const char *what, const char *expected, const char *example) __attribute__((noreturn));

static void
malformed(const char *what, const char *expected, const char *example)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%s\" has a malformed value", what),
			errdetail("The value must be %s.", expected), errhint("Write it as in %s.", example));
}

static char *
text_of(const json_value *value)
{
	return pnstrdup(value->text, value->length);
}

/* text_key: a string that replaces *out; absent or null leaves it. */
static void
text_key(const json_value *object, const char *key, const char **out)
{
	const json_value *value = json_member(object, key);

	if (value == NULL || value->kind == JSON_KIND_NULL)
		return;
	if (value->kind != JSON_KIND_STRING)
		malformed(key, "a string", "{\"test\": {\"test_id\": \"shorter-prompt\"}}");
	*out = text_of(value);
}

void
experiment_design_keys(test_design *d, const Jsonb *test)
{
	const json_value *tree = json_tree(test);
	const json_value *list = json_member(tree, "secondary_metrics");
	Jsonb *directions = deployment_key_object(test, "metric_directions");
	Jsonb *guardrails = deployment_key_value(test, "guardrails");

	text_key(tree, "test_id", &d->test_id);
	text_key(tree, "name", &d->name);
	text_key(tree, "description", &d->description);
	text_key(tree, "primary_metric", &d->primary_metric);
	text_key(tree, "stopping_rule", &d->stopping_rule);
	text_key(tree, "exclusion_group", &d->exclusion_group);
	d->confidence_level = deployment_key_number(test, "confidence_level", d->confidence_level, 0, 1);
	d->minimum_detectable_effect =
		deployment_key_number(test, "minimum_detectable_effect", d->minimum_detectable_effect, 0, MAX_EFFECT);
	d->power = deployment_key_number(test, "power", d->power, 0, 1);
	d->max_duration_hours =
		(int32) deployment_key_whole(test, "max_duration_hours", d->max_duration_hours, 1, MAX_HOURS);
	d->min_sample_size_per_variant = (int32) deployment_key_whole(test, "min_sample_size_per_variant",
																  d->min_sample_size_per_variant, 1, PG_INT32_MAX);
	d->early_stopping_enabled = deployment_key_boolean(test, "early_stopping_enabled", d->early_stopping_enabled);
	d->futility_threshold = deployment_key_number(test, "futility_threshold", d->futility_threshold, 0, 1);
	if (directions)
		d->metric_directions = directions;
	if (guardrails)
		d->guardrails = guardrails;
	if (list == NULL || list->kind == JSON_KIND_NULL)
		return;
	if (list->kind != JSON_KIND_LIST)
		malformed("secondary_metrics", "an array of metric names", "{\"secondary_metrics\": [\"response_time\"]}");
	d->secondary_count = (int) list->count;
	d->secondary_metrics = palloc(sizeof(char *) * (list->count + 1));
	for (size_t i = 0; i < list->count; i++)
	{
		if (list->items[i].kind != JSON_KIND_STRING)
			malformed("secondary_metrics", "an array of metric names", "{\"secondary_metrics\": [\"response_time\"]}");
		d->secondary_metrics[i] = text_of(&list->items[i]);
	}
}

/* check_word: one of its words, a list that ends in NULL; 22023. */
static void
check_word(const char *name, const char *word, const char *const *words)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; words[i] != NULL; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return;
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? " and " : "", words[i]);
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown word \"%s\" for \"%s\"", word, name),
			errdetail("The words are %s.", list.data), errhint("Leave it out for \"%s\".", words[0]));
}

/* check_inside: between the two, equal to neither. */
static void
check_inside(const char *name, double value, double low, double high, double usual)
{
	mm_check_float(name, value, low, high);
	if (value == low || value == high)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value %g is not inside %g to %g.", value, low, high), errhint("Usual is %g.", usual));
}

/* check_share: a part of something that buckets can tell: 0.0001 and up, in whole ten-thousandths of all units. */
static void
check_share(const char *name, double share, double coverage)
{
	double weight = share * coverage * BUCKET_TOTAL;

	if (fabs(weight - rint(weight)) > 1e-6 || rint(weight) < 1)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is too fine", name),
				errdetail("%.10g of the units are %.10g of 10000 buckets.", share * coverage, weight),
				errhint("Choose a share of whole hundredths of a percent of all units, 0.0001 and up."));
}

/* ---- metrics ---- */

/* find_metric: the number of a metric by any of its names; -1. */
static int
find_metric(const test_metric *m, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(metric_canonical(m[i].name), metric_canonical(name)) == 0)
			return i;
	return -1;
}

/* add_metric: once, whatever it is called; the first role counts. */
static void
add_metric(test_design *d, const char *name, test_role role)
{
	test_metric m = {.name = pstrdup(name), .parsed = metric_parse(name), .role = role};

	mm_check_name("metric name", name);
	if (m.parsed.form == METRIC_REQUESTS_PER_MINUTE)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" cannot be tested", name),
				errdetail("How many requests an arm gets is what the test decides, not what it finds out."),
				errhint("Choose a metric that each request has a value of."));
	if (find_metric(d->metric, d->metric_count, name) >= 0)
		return;
	if (d->metric_count == TEST_MAX_METRICS)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many metrics"),
				errdetail("A test has at most %d, those of guardrails included.", TEST_MAX_METRICS),
				errhint("Leave out those that would not change the decision."));
	m.direction = m.parsed.direction;
	d->metric[d->metric_count++] = m;
}

/* direction_of: what a word of metric_directions says: 1 higher is better, -1 lower; 22023. */
static int
direction_of(const char *metric_name, const char *word)
{
	static const char *const words[2][9] = {
		{"higher", "higher_is_better", "increase", "up", "max", "maximize", "more", "+", NULL},
		{"lower", "lower_is_better", "decrease", "down", "min", "minimize", "less", "-", NULL}};

	for (int side = 0; side < 2; side++)
		for (int i = 0; words[side][i] != NULL; i++)
			if (pg_strcasecmp(word, words[side][i]) == 0)
				return side == 0 ? 1 : -1;
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown direction \"%s\" of metric \"%s\"", word, metric_name),
			errdetail("A direction says which values are better: higher or lower."),
			errhint("Write it as in {\"%s\": \"higher\"}.", metric_name));
}

/* take_directions: those that the caller gives; a metric of its own that it does not tell is better when higher. */
static void
take_directions(test_design *d)
{
	const json_value *tree = json_tree(d->metric_directions);
	static const char *const expected = "an object of \"higher\" and \"lower\" by metric";
	static const char *const example = "{\"tickets_reopened\": \"lower\"}";

	if (tree->kind != JSON_KIND_OBJECT)
		malformed("metric_directions", expected, example);
	for (size_t i = 0; i < tree->count; i++)
	{
		char *name = pnstrdup(tree->items[i].key, tree->items[i].key_length);
		int number = find_metric(d->metric, d->metric_count, name);
		int direction;

		mm_check_name("metric name", name);
		if (tree->items[i].kind != JSON_KIND_STRING)
			malformed("metric_directions", expected, example);
		direction = direction_of(name, text_of(&tree->items[i]));
		if (number >= 0)
			d->metric[number].direction = direction;
	}
	for (int i = 0; i < d->metric_count; i++)
		if (d->metric[i].direction == 0)
			d->metric[i].direction = 1;
}

void
experiment_design_notices(const test_design *d)
{
	const json_value *tree = json_tree(d->metric_directions);

	for (size_t i = 0; i < tree->count; i++)
	{
		char *name = pnstrdup(tree->items[i].key, tree->items[i].key_length);

		if (find_metric(d->metric, d->metric_count, name) < 0)
			ereport(NOTICE, errmsg("the test does not look at metric \"%s\"", name),
					errdetail("Its direction says nothing."), errhint("Check the spelling, or leave it out."));
	}
	for (int i = 0; i < d->metric_count; i++)
	{
		const test_metric *m = &d->metric[i];
		bool told = m->parsed.direction != 0 || m->role == TEST_GUARDRAIL; /* whose limits say what is worse */

		for (size_t k = 0; k < tree->count && !told; k++)
		{
			char *name = pnstrdup(tree->items[k].key, tree->items[k].key_length);

			told = strcmp(metric_canonical(name), metric_canonical(m->name)) == 0;
		}
		if (!told)
			ereport(NOTICE, errmsg("higher is taken to be better for metric \"%s\"", m->name),
					errdetail("It is a metric of your own, and metric_directions does not say."),
					errhint("Pass metric_directions => '{\"%s\": \"lower\"}' where less is better.", m->name));
	}
}

/* ---- guardrails ---- */

static const struct
{
	const char *key;
	bool relative;
	int side;
} limits[] = {{"max_increase", false, 1},
			  {"max_relative_increase", true, 1},
			  {"max_decrease", false, -1},
			  {"max_relative_decrease", true, -1}};

#define GUARDRAIL_EXAMPLE "[{\"metric\": \"cost\", \"max_relative_increase\": 0.2}]"

/* refuse_guardrail: 22023 with what is known to do instead. */
static void refuse_guardrail(const char *message) __attribute__((noreturn));

static void
refuse_guardrail(const char *message)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message),
			errdetail("A guardrail has a metric and at least one of max_increase, max_relative_increase, max_decrease"
					  " and max_relative_decrease."),
			errhint("Write it as in " GUARDRAIL_EXAMPLE "."));
}

/* number_of: of a JSON number; infinite when beyond float8. */
static double
number_of(const json_value *value)
{
	return strtod(text_of(value), NULL);
}

/* check_guardrails: the list's form; adds the metrics. */
static void
check_guardrails(test_design *d)
{
	const json_value *list = json_tree(d->guardrails);

	if (list->kind != JSON_KIND_LIST)
		malformed("guardrails", "an array of objects", GUARDRAIL_EXAMPLE);
	for (size_t i = 0; i < list->count; i++)
	{
		const json_value *g = &list->items[i];
		const json_value *name = json_member(g, "metric");
		int found = 0;

		if (g->kind != JSON_KIND_OBJECT)
			malformed("guardrails", "an array of objects", GUARDRAIL_EXAMPLE);
		if (name == NULL || name->kind == JSON_KIND_NULL)
			refuse_guardrail("a guardrail lacks its key \"metric\"");
		if (name->kind != JSON_KIND_STRING)
			malformed("metric", "the name of a metric", GUARDRAIL_EXAMPLE);
		for (size_t k = 0; k < g->count; k++)
		{
			const json_value *member = &g->items[k];
			char *key = pnstrdup(member->key, member->key_length);
			bool known = strcmp(key, "metric") == 0;

			for (int l = 0; l < lengthof(limits) && !known; l++)
			{
				known = strcmp(key, limits[l].key) == 0;
				if (!known || member->kind == JSON_KIND_NULL)
					continue;
				if (member->kind != JSON_KIND_NUMBER)
					malformed(key, "a number", GUARDRAIL_EXAMPLE);
				mm_check_float(key, number_of(member), 0, METRIC_MAX_VALUE);
				found++;
			}
			if (!known)
				refuse_guardrail(psprintf("unknown key \"%s\" of a guardrail", key));
		}
		if (found == 0)
			refuse_guardrail(psprintf("the guardrail of \"%s\" has no limit", text_of(name)));
		add_metric(d, text_of(name), TEST_GUARDRAIL);
	}
}

int
experiment_guardrails(const Jsonb *stored, const test_metric *m, int metrics, test_guardrail **out)
{
	const json_value *list = json_tree(stored);
	int n = 0;

	*out = palloc(sizeof(test_guardrail) * (list->count * lengthof(limits) + 1));
	for (size_t i = 0; i < list->count; i++)
		for (int l = 0; l < lengthof(limits); l++)
		{
			const json_value *limit = json_member(&list->items[i], limits[l].key);

			if (limit == NULL || limit->kind != JSON_KIND_NUMBER)
				continue;
			(*out)[n++] =
				(test_guardrail){.metric = find_metric(m, metrics, text_of(json_member(&list->items[i], "metric"))),
								 .limit = number_of(limit),
								 .relative = limits[l].relative,
								 .side = limits[l].side};
		}
	return n;
}

/* ---- arms ---- */

#define ARMS_EXAMPLE "[{\"variant\": \"b\", \"version\": \"1.3.0\", \"share\": 0.2}]"

/* arm_text: a string that an arm must have. */
static char *
arm_text(const json_value *arm, const char *key)
{
	const json_value *value = json_member(arm, key);

	if (value == NULL || value->kind == JSON_KIND_NULL)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("an arm lacks its key \"%s\"", key),
				errdetail("An arm has variant, version and share."), errhint("Write it as in " ARMS_EXAMPLE "."));
	if (value->kind != JSON_KIND_STRING)
		malformed(key, "a string", ARMS_EXAMPLE);
	return text_of(value);
}

/* check_variant: a name of its own, and none that route() gives to others. */
static void
check_variant(const test_design *d, const char *variant)
{
	static const char *const taken[] = {"stable", "candidate", "shadow", "pinned", "segment"};

	mm_check_name("variant", variant);
	for (int i = 0; i < lengthof(taken); i++)
		if (strcmp(variant, taken[i]) == 0)
			ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("variant \"%s\" is reserved", variant),
					errdetail("route() calls others so."), errhint("Choose another name, such as \"b\"."));
	for (int i = 0; i < d->arm_count; i++)
		if (strcmp(variant, d->arm[i].variant) == 0)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there are two arms \"%s\"", variant),
					errdetail("control and treatment are always there; \"arms\" has the further ones."),
					errhint("Give every arm a name of its own."));
}

static void
add_arm(test_design *d, const char *variant, const char *model_name, const char *version, double share)
{
	d->share[d->arm_count] = share;
	d->arm[d->arm_count] = (test_arm){.arm = d->arm_count,
									  .variant = pstrdup(variant),
									  .model_name = pstrdup(model_name),
									  .version = pstrdup(version)};
	d->arm_count++;
}

/* take_arms: control, treatment and those of the list, with their shares. */
static void
take_arms(test_design *d)
{
	const json_value *list = json_tree(d->arms);
	double sum = 0;

	add_arm(d, "control", d->control_model, d->control_version, 0);
	add_arm(d, "treatment", d->treatment_model, d->treatment_version, d->traffic_split);
	if (list->kind != JSON_KIND_LIST)
		malformed("arms", "an array of objects", ARMS_EXAMPLE);
	for (size_t i = 0; i < list->count; i++)
	{
		const json_value *arm = &list->items[i];
		const json_value *share = json_member(arm, "share");
		char *variant;

		if (arm->kind != JSON_KIND_OBJECT)
			malformed("arms", "an array of objects", ARMS_EXAMPLE);
		for (size_t k = 0; k < arm->count; k++)
		{
			char *key = pnstrdup(arm->items[k].key, arm->items[k].key_length);

			if (strcmp(key, "variant") != 0 && strcmp(key, "version") != 0 && strcmp(key, "share") != 0)
				ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown key \"%s\" of an arm", key),
						errdetail("An arm has variant, version and share; its model is the treatment's."),
						errhint("Write it as in " ARMS_EXAMPLE "."));
		}
		variant = arm_text(arm, "variant");
		check_variant(d, variant);
		if (share == NULL || share->kind == JSON_KIND_NULL)
			(void) arm_text(arm, "share");
		if (share->kind != JSON_KIND_NUMBER)
			malformed("share", "a number", ARMS_EXAMPLE);
		mm_check_float("share", number_of(share), 0, 1);
		if (d->arm_count == TEST_MAX_ARMS)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many arms"),
					errdetail("A test has at most %d.", TEST_MAX_ARMS), errhint("Test the best few."));
		add_arm(d, variant, d->treatment_model, arm_text(arm, "version"), number_of(share));
	}
	for (int i = 1; i < d->arm_count; i++)
		sum += d->share[i];
	/* In decimals, where 0.1 + 0.2 is 0.3. */
	d->share[0] = rint((1 - sum) * 1e10) / 1e10;
	if (d->share[0] < 1.0 / BUCKET_TOTAL)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("nothing is left for control"),
				errdetail("traffic_split %g and the shares of %d further arms are %g of the units.", d->traffic_split,
						  d->arm_count - 2, sum),
				errhint("Make them less than 1 together."));
	for (int i = 0; i < d->arm_count; i++)
		mm_check_name("version", d->arm[i].version);
	for (int i = 1; i <= d->arm_count; i++)
	{
		int arm = i % d->arm_count; /* control's share follows from the others */

		check_share(arm == 1 ? "traffic_split" : "share", d->share[arm], d->exclusion_group ? 1 : d->coverage);
	}
}

/* check_effect: above 0; a difference of rates is at most 1. */
static void
check_effect(const test_design *d)
{
	double effect = d->minimum_detectable_effect;

	mm_check_float("minimum_detectable_effect", effect, 0, test_metric_is_rate(&d->metric[0]) ? 1 : MAX_EFFECT);
	if (effect == 0)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("\"minimum_detectable_effect\" is out of range"),
				errdetail("No sample is large enough to find an effect of 0."),
				errhint("Pass the smallest difference that would change the decision; usual is 0.02."));
}

/* check_moving: a quantile is of the values of an arm and knows no shares: where those move it follows them. */
static void
check_moving(const test_design *d)
{
	for (int i = 0; i < d->metric_count && strcmp(d->allocation, "thompson") == 0; i++)
		if (d->metric[i].parsed.form == METRIC_QUANTILE && d->metric[i].role != TEST_GUARDRAIL)
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a test of allocation thompson cannot decide by \"%s\"", d->metric[i].name),
				errdetail("Its shares move, and outcomes of each time have to be weighted by the shares of then, which"
						  " a quantile of all of them cannot be."),
				errhint("Use allocation fixed, or the mean: avg_response_time."));
}

void
experiment_design_check(test_design *d)
{
	static const char *const rules[] = {"obrien_fleming", "pocock", NULL};
	static const char *const allocations[] = {"fixed", "thompson", NULL};

	mm_check_name("test id", d->test_id);
	mm_check_name("name", d->name);
	mm_check_name("control_model", d->control_model);
	mm_check_name("treatment_model", d->treatment_model);
	if (d->exclusion_group)
		mm_check_name("exclusion_group", d->exclusion_group);
	if (d->exclusion_group && strcmp(d->exclusion_group, d->test_id) == 0)
		ereport(
			ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("\"exclusion_group\" must differ from the test's id"),
			errdetail("Both are \"%s\": who is in the test and in which arm would be drawn by one key.", d->test_id),
			errhint("Name the group after what its tests compete for."));
	check_inside("confidence_level", d->confidence_level, 0, 1, 0.95);
	check_inside("power", d->power, 0, 1, 0.8);
	mm_check_float("max_duration_hours", d->max_duration_hours, 1, MAX_HOURS);
	mm_check_float("min_sample_size_per_variant", d->min_sample_size_per_variant, 1, PG_INT32_MAX);
	mm_check_float("futility_threshold", d->futility_threshold, 0, 1);
	check_inside("traffic_split", d->traffic_split, 0, 1, 0.5);
	mm_check_float("coverage", d->coverage, 0, 1);
	check_share("coverage", d->coverage, 1);
	check_word("stopping_rule", d->stopping_rule, rules);
	check_word("allocation", d->allocation, allocations);

	add_metric(d, d->primary_metric, TEST_PRIMARY);
	for (int i = 0; i < d->secondary_count; i++)
		add_metric(d, d->secondary_metrics[i], TEST_SECONDARY);
	check_guardrails(d);
	take_directions(d);
	check_moving(d);
	check_effect(d);
	take_arms(d);
}
