/*
 * experiment_declare.c: the two ways to a test: create_test(), and the rollout of strategy a_b_test with the arguments
 * of its key `test`.
 */
#include "pg/experiment_design.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "pg/experiment.h"
#include "pg/query.h"

/* The arguments by position. */
enum
{
	ARG_TEST_ID,
	ARG_NAME,
	ARG_CONTROL_MODEL,
	ARG_CONTROL_VERSION,
	ARG_TREATMENT_MODEL,
	ARG_TREATMENT_VERSION,
	ARG_DESCRIPTION,
	ARG_CONFIDENCE,
	ARG_EFFECT,
	ARG_POWER,
	ARG_HOURS,
	ARG_MIN_SAMPLES,
	ARG_PRIMARY,
	ARG_SECONDARY,
	ARG_EARLY,
	ARG_FUTILITY,
	ARG_SPLIT,
	ARG_RULE,
	ARG_DIRECTIONS,
	ARG_ROUTES,
	ARG_COVERAGE,
	ARG_GUARDRAILS,
	ARG_ARMS,
	ARG_GROUP,
	ARG_ALLOCATION
};

/* read_secondary: the array as C strings; NULL elements 22004, more than one dimension 22023. */
static void
read_secondary(Datum array, test_design *d)
{
	ArrayType *given = DatumGetArrayTypeP(array);
	Datum *elements;
	bool *nulls;

	if (ARR_NDIM(given) > 1)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"secondary_metrics\" must be a list"),
				errdetail("The array has %d dimensions.", ARR_NDIM(given)),
				errhint("Write '{response_time,confidence_score}'."));
	deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &d->secondary_count);
	d->secondary_metrics = palloc(sizeof(char *) * (d->secondary_count + 1));
	for (int i = 0; i < d->secondary_count; i++)
	{
		if (nulls[i])
			ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a metric name must not be null"),
					errdetail("Element %d of %d of \"secondary_metrics\" is null.", i + 1, d->secondary_count),
					errhint("Leave the element out."));
		d->secondary_metrics[i] = TextDatumGetCString(elements[i]);
	}
}

/* read_arguments: those given replace the defaults. */
static void
read_arguments(FunctionCallInfo fcinfo, test_design *d)
{
	const struct
	{
		int argno;
		const char *name;
		const char **field;
		bool required;
	} texts[] = {{ARG_TEST_ID, "test_id", &d->test_id, true},
				 {ARG_NAME, "name", &d->name, true},
				 {ARG_CONTROL_MODEL, "control_model", &d->control_model, true},
				 {ARG_CONTROL_VERSION, "control_version", &d->control_version, true},
				 {ARG_TREATMENT_MODEL, "treatment_model", &d->treatment_model, true},
				 {ARG_TREATMENT_VERSION, "treatment_version", &d->treatment_version, true},
				 {ARG_DESCRIPTION, "description", &d->description, false},
				 {ARG_PRIMARY, "primary_metric", &d->primary_metric, false},
				 {ARG_RULE, "stopping_rule", &d->stopping_rule, false},
				 {ARG_GROUP, "exclusion_group", &d->exclusion_group, false},
				 {ARG_ALLOCATION, "allocation", &d->allocation, false}};
	const struct
	{
		int argno;
		double *field;
	} numbers[] = {{ARG_CONFIDENCE, &d->confidence_level},
				   {ARG_EFFECT, &d->minimum_detectable_effect},
				   {ARG_POWER, &d->power},
				   {ARG_FUTILITY, &d->futility_threshold},
				   {ARG_SPLIT, &d->traffic_split},
				   {ARG_COVERAGE, &d->coverage}};

	for (int i = 0; i < lengthof(texts); i++)
	{
		char *value = mm_text_arg(fcinfo, texts[i].argno, texts[i].name, texts[i].required);

		if (value)
			*texts[i].field = value;
	}
	for (int i = 0; i < lengthof(numbers); i++)
		if (!PG_ARGISNULL(numbers[i].argno))
			*numbers[i].field = PG_GETARG_FLOAT8(numbers[i].argno);
	if (!PG_ARGISNULL(ARG_HOURS))
		d->max_duration_hours = PG_GETARG_INT32(ARG_HOURS);
	if (!PG_ARGISNULL(ARG_MIN_SAMPLES))
		d->min_sample_size_per_variant = PG_GETARG_INT32(ARG_MIN_SAMPLES);
	if (!PG_ARGISNULL(ARG_SECONDARY))
		read_secondary(PG_GETARG_DATUM(ARG_SECONDARY), d);
	if (!PG_ARGISNULL(ARG_EARLY))
		d->early_stopping_enabled = PG_GETARG_BOOL(ARG_EARLY);
	if (!PG_ARGISNULL(ARG_ROUTES))
		d->routes_traffic = PG_GETARG_BOOL(ARG_ROUTES);
	if (!PG_ARGISNULL(ARG_DIRECTIONS))
		d->metric_directions = PG_GETARG_JSONB_P(ARG_DIRECTIONS);
	if (!PG_ARGISNULL(ARG_GUARDRAILS))
		d->guardrails = PG_GETARG_JSONB_P(ARG_GUARDRAILS);
	if (!PG_ARGISNULL(ARG_ARMS))
		d->arms = PG_GETARG_JSONB_P(ARG_ARMS);
}

MM_FUNCTION(mm_create_test);

/* mm_create_test(...): the test's row, new or the one that this call repeats. */
Datum
mm_create_test(PG_FUNCTION_ARGS)
{
	static query row = QUERY("SELECT t FROM model_mgr.ab_test t WHERE t.test_id = $1", TEXTOID);
	test_design d;
	mm_scope scope;
	Datum result;

	experiment_design_begin(&d);
	read_arguments(fcinfo, &d);
	experiment_design_check(&d);
	scope = mm_enter();
	(void) experiment_create(&d, mm_session_user_name(), 0);
	query_run(&row, text_arg(d.test_id));
	result = query_result_row();
	mm_leave(scope);
	PG_RETURN_DATUM(result);
}

/* ---- rollouts ---- */

/* take_keys: the arguments of a rollout's test, with their defaults. */
static void
take_keys(test_design *d, const Jsonb *test)
{
	experiment_design_begin(d);
	if (test)
		experiment_design_keys(d, test);
	d->routes_traffic = true;
}

void
experiment_check(const Jsonb *test)
{
	test_design d;

	take_keys(&d, test);
	if (d.exclusion_group)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a rollout is in no exclusion group"),
				errdetail("Its candidate and its baseline serve all units."),
				errhint("Leave \"exclusion_group\" out, or use create_test() with routes_traffic => true."));
	/* What the rollout fills in. */
	d.test_id = d.test_id ? d.test_id : "deployment";
	d.name = d.name ? d.name : d.test_id;
	d.control_model = d.treatment_model = "model";
	d.control_version = d.treatment_version = "version";
	experiment_design_check(&d);
	experiment_design_notices(&d);
}

char *
experiment_open(const deployment *d, const Jsonb *test)
{
	test_design t;

	take_keys(&t, test);
	t.test_id = t.test_id ? t.test_id : psprintf("deployment-%lld", (long long) d->deployment_id);
	t.name = t.name ? t.name : t.test_id;
	t.control_model = t.treatment_model = d->model_name;
	t.control_version = d->baseline_version;
	t.treatment_version = d->version;
	t.traffic_split = d->traffic_percentage / 100;
	experiment_design_check(&t);
	(void) experiment_create(&t, d->deployed_by, d->deployment_id);
	return pstrdup(t.test_id);
}
