/*
 * deployment_health.c: health_criteria: bounds on any metric, absolute or relative to the baseline. Flattened into the
 * core's list, one entry a bound, with the names of the metrics beside it. Touches no table.
 */
#include "pg/deployment_store.h"

#include "core/metric.h"
#include "pg/deployment_key.h"

#define MAX_RATIO 1e6

static const char *const bound_keys[] = {"min", "max", "min_ratio", "max_ratio"};

/* refuse_pair: 22023 for bounds that nothing can meet. */
static void
refuse_pair(const char *metric_name, const char *low, double least, const char *high, double most)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("no value of \"%s\" can meet its health criteria", metric_name),
			errdetail("Its %s is %g and its %s is %g.", low, least, high, most),
			errhint("Leave one of them out, or exchange them."));
}

/* read_bounds: the bounds of one metric, appended to the plan. */
static void
read_bounds(const char *metric_name, const Jsonb *bounds, rollout_plan *plan, const char **metrics)
{
	metric m = metric_parse(metric_name);
	double found[lengthof(bound_keys)];
	bool given[lengthof(bound_keys)];
	bool any = false;
	double low;
	double high;

	deployment_key_check(&bounds->root, "health criterion", bound_keys, lengthof(bound_keys));
	metric_range(&m, &low, &high);
	for (int i = 0; i < lengthof(bound_keys); i++)
	{
		bool ratio = i == ROLLOUT_MIN_RATIO || i == ROLLOUT_MAX_RATIO;
		JsonbValue value;

		given[i] = deployment_key_find(bounds, bound_keys[i], &value);
		if (!given[i])
			continue;
		any = true;
		found[i] = deployment_key_number(bounds, bound_keys[i], 0, ratio ? 0 : low, ratio ? MAX_RATIO : high);
		if (plan->criterion_count == ROLLOUT_MAX_CRITERIA)
			ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many health criteria"),
					errdetail("A deployment has at most %d bounds.", ROLLOUT_MAX_CRITERIA),
					errhint("Leave out those that matter least."));
		metrics[plan->criterion_count] = metric_name;
		plan->criteria[plan->criterion_count++] = (rollout_criterion){.bound = (rollout_bound) i, .limit = found[i]};
	}
	if (!any)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("health criterion of \"%s\" has no bound", metric_name),
				errdetail("Bounds are min, max, min_ratio and max_ratio."),
				errhint("Write it as in {\"p95_response_time\": {\"max\": 2.0, \"max_ratio\": 1.2}}."));
	for (int i = ROLLOUT_MIN; i <= ROLLOUT_MIN_RATIO; i += ROLLOUT_MIN_RATIO)
		if (given[i] && given[i + 1] && found[i] > found[i + 1])
			refuse_pair(metric_name, bound_keys[i], found[i], bound_keys[i + 1], found[i + 1]);
}

void
deployment_health_parse(const Jsonb *health, rollout_plan *plan, const char ***metrics)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	char *metric_name = NULL;

	if (!JB_ROOT_IS_OBJECT(health))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("\"health_criteria\" must be a JSON object"), errdetail("It is another kind of JSON value."),
				errhint("Write it as in {\"p95_response_time\": {\"max\": 2.0, \"max_ratio\": 1.2}}."));
	plan->criterion_count = 0;
	*metrics = palloc(sizeof(char *) * ROLLOUT_MAX_CRITERIA);
	iterator = JsonbIteratorInit((JsonbContainer *) &health->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			metric_name = pnstrdup(value.val.string.val, value.val.string.len);
			mm_check_name("metric name", metric_name);
		}
		else if (token == WJB_VALUE && value.type != jbvNull)
		{
			if (!deployment_key_is_object(&value))
				ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("health criterion of \"%s\" is malformed", metric_name),
						errdetail("It must be an object of bounds: min, max, min_ratio, max_ratio."),
						errhint("Write it as in {\"p95_response_time\": {\"max\": 2.0, \"max_ratio\": 1.2}}."));
			read_bounds(metric_name, JsonbValueToJsonb(&value), plan, *metrics);
		}
	}
}
