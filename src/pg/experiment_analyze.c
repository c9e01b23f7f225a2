/*
 * experiment_analyze.c: tests as the core takes them: plan, sums and looks so far; and what is shown of them without a
 * look. Records nothing.
 */
#include "pg/experiment_analysis.h"

#include <math.h>

#include "funcapi.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

#include "pg/query.h"
#include "pg/statistics.h"

experiment_status
analysis_status_of(const char *name)
{
	for (int s = EXPERIMENT_NO_DATA; s <= EXPERIMENT_SAMPLE_RATIO_MISMATCH; s++)
		if (strcmp(experiment_status_name((experiment_status) s), name) == 0)
			return (experiment_status) s;
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("unknown status of a look \"%s\"", name),
			errdetail("The looks of a test are damaged."), errhint("Was a table of model_mgr changed by hand?"));
}

/* take_metric: with its bounds, of which the narrowest counts where there are several of a kind. */
static experiment_metric
take_metric(const experiment *e, int metric)
{
	const test_metric *m = &e->metrics[metric];
	experiment_metric taken = {.role = m->role == TEST_PRIMARY     ? EXPERIMENT_PRIMARY
									   : m->role == TEST_SECONDARY ? EXPERIMENT_SECONDARY
																   : EXPERIMENT_GUARDRAIL,
							   .form = test_metric_form(m),
							   .direction = m->direction,
							   .anchor = m->anchor,
							   .bounds = experiment_no_bounds};

	for (int i = 0; i < e->guardrail_count; i++)
	{
		const test_guardrail *g = &e->guardrails[i];
		double *bound = g->side > 0 ? (g->relative ? &taken.bounds.max_relative_increase : &taken.bounds.max_increase)
									: (g->relative ? &taken.bounds.max_relative_decrease : &taken.bounds.max_decrease);

		if (g->metric == metric)
			*bound = fmin(*bound, g->limit);
	}
	return taken;
}

static void
take_plan(const experiment *e, experiment_plan *plan)
{
	experiment_metric *metrics = palloc(sizeof(experiment_metric) * Max(e->metric_count, 1));
	double *shares = palloc(sizeof(double) * Max(e->epoch_count * e->arm_count, 1));

	for (int i = 0; i < e->metric_count; i++)
		metrics[i] = take_metric(e, i);
	for (int i = 0; i < e->epoch_count; i++)
		memcpy(shares + i * e->arm_count, e->epochs[i].shares, sizeof(double) * e->arm_count);
	*plan = (experiment_plan){.confidence_level = e->confidence_level,
							  .minimum_detectable_effect = e->minimum_detectable_effect,
							  .power = e->power,
							  .futility_threshold = e->futility_threshold,
							  .min_samples = e->min_sample_size_per_variant,
							  .horizon = e->horizon,
							  .early_stopping = e->early_stopping_enabled,
							  .spending = strcmp(e->stopping_rule, "pocock") == 0 ? SEQUENTIAL_POCOCK
																				  : SEQUENTIAL_OBRIEN_FLEMING,
							  .arms = e->arm_count,
							  .metrics = e->metric_count,
							  .epochs = e->epoch_count,
							  .metric = metrics,
							  .share = shares};
}

/* take_quantile: a quantile of an arm's values; nothing where there are none. */
static experiment_quantile
take_quantile(const test_arm *arm, double p)
{
	experiment_quantile q = {.value = NAN, .standard_error = NAN};
	unsigned char *form;

	if (arm->response_time == NULL)
		return q;
	form = palloc(summary_size(arm->response_time));
	q = experiment_quantile_of(form, summary_encode(arm->response_time, form), p);
	pfree(form);
	return q;
}

static void
take_data(const experiment *e, experiment_data *data)
{
	int arms = e->arm_count;
	int metrics = e->metric_count;
	experiment_moments *moments = palloc0(sizeof(experiment_moments) * Max(e->epoch_count * arms * metrics, 1));
	int64_t *units = palloc0(sizeof(int64_t) * Max(e->epoch_count * arms, 1));
	experiment_quantile *quantiles = NULL;

	for (int epoch = 0; epoch < e->epoch_count; epoch++)
		for (int arm = 0; arm < arms; arm++)
		{
			units[epoch * arms + arm] = e->epochs[epoch].units[arm];
			memcpy(&moments[(epoch * arms + arm) * metrics], e->epochs[epoch].moments[arm],
				   sizeof(experiment_moments) * metrics);
		}
	for (int m = 0; m < metrics; m++)
		if (e->metrics[m].parsed.form == METRIC_QUANTILE)
		{
			if (quantiles == NULL)
				quantiles = palloc0(sizeof(experiment_quantile) * arms * metrics);
			for (int arm = 0; arm < arms; arm++)
				quantiles[arm * metrics + m] = take_quantile(&e->arms[arm], e->metrics[m].parsed.quantile);
		}
	*data = (experiment_data){.moments = moments, .units = units, .quantile = quantiles};
}

/* take_past: its looks so far, and the result that is stored. */
static void
take_past(uint64 row, test_analysis *a)
{
	bool isnull;
	Datum value = query_datum(row, 1, &isnull);
	ArrayType *array = DatumGetArrayTypePCopy(value);
	char *status = query_text(row, 2);

	a->looks = a->past.looks = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	a->past.information = (const double *) ARR_DATA_PTR(array);
	if (status != NULL)
	{
		a->standing = (experiment_decision){
			.status = analysis_status_of(status), .winner = query_int32(row, 3), .metric = query_int32(row, 4)};
		/* A last look without a winner is not followed by another one. */
		a->over = a->standing.status == EXPERIMENT_INCONCLUSIVE;
		a->past.standing = a->over ? NULL : &a->standing;
		value = query_datum(row, 13, &isnull);
		if (!isnull)
		{
			array = DatumGetArrayTypePCopy(value);
			a->significant = (const int32 *) ARR_DATA_PTR(array);
			a->significant_count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		}
	}
	value = query_datum(row, 14, &isnull);
	if (!isnull)
	{
		array = DatumGetArrayTypePCopy(value);
		if (!ARR_HASNULL(array))
			a->past.kept = (sequential_state){.count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)),
											  .number = (double *) ARR_DATA_PTR(array)};
	}
	a->boundary_p_value = query_float8(row, 5);
	a->conditional_power = query_float8(row, 6);
	a->stored = !query_isnull(row, 8);
	a->stored_status = a->stored ? analysis_status_of(query_text(row, 8)) : EXPERIMENT_NO_DATA;
	a->stored_words = query_text(row, 9);
	a->stored_control = query_int64(row, 10);
	a->stored_treatment = query_int64(row, 11);
	a->stored_information = query_float8(row, 12);
	a->mismatch_told = !query_isnull(row, 7);
}

/* read_past: the looks that were recorded of n tests. */
static void
read_past(test_analysis *a, int n)
{
	static query read = QUERY(
		"SELECT t.test_no, coalesce(p.information, '{}'), p.status, p.winner, p.metric, p.boundary_p_value,"
		" p.conditional_power, p.mismatch_at, r.status, r.recommendation, r.samples_control, r.samples_treatment,"
		" r.information_fraction, p.significant, p.boundaries FROM model_mgr.ab_test_plan t"
		" LEFT JOIN model_mgr.ab_test_progress p ON p.test_no = t.test_no"
		" LEFT JOIN model_mgr.ab_test_result r ON r.test_id = t.test_id WHERE t.test_no = ANY ($1) ORDER BY t.test_no",
		INT8ARRAYOID);
	Datum *numbers = palloc(sizeof(Datum) * Max(n, 1));
	uint64 rows;

	for (int i = 0; i < n; i++)
		numbers[i] = Int64GetDatum(a[i].e->test_no);
	rows = query_run(&read, datum_arg(PointerGetDatum(construct_array(numbers, n, INT8OID, sizeof(int64),
																	  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
									  false));
	/* Tests come by their names, rows by their numbers. */
	for (int i = 0; i < n; i++)
	{
		int64 low = 0;
		int64 high = (int64) rows - 1;

		while (low <= high)
		{
			int64 middle = (low + high) / 2;
			int64 test_no = query_int64(middle, 0);

			if (test_no == a[i].e->test_no)
			{
				take_past(middle, &a[i]);
				break;
			}
			if (test_no < a[i].e->test_no)
				low = middle + 1;
			else
				high = middle - 1;
		}
	}
}

void
analysis_read(experiment *e, int n, test_analysis *out)
{
	TimestampTz now = mm_now();

	experiment_read(e, n);
	for (int i = 0; i < n; i++)
	{
		out[i] = (test_analysis){.e = &e[i], .now = now, .boundary_p_value = NAN, .conditional_power = NAN};
		take_plan(&e[i], &out[i].plan);
		take_data(&e[i], &out[i].data);
		out[i].past.end = now >= e[i].ends_at;
		out[i].estimates = palloc(sizeof(experiment_estimate) * Max(e[i].metric_count * e[i].arm_count, 1));
	}
	read_past(out, n);
}

/* mark_significant: what crossed its boundary at the look whose verdict stands. */
static void
mark_significant(test_analysis *a)
{
	for (int i = 0; i < a->significant_count; i++)
		if (a->significant[i] >= 0 && a->significant[i] < a->plan.metrics * a->plan.arms)
			a->estimates[a->significant[i]].significant = true;
}

void
analysis_show(test_analysis *a)
{
	/* As if there had been a look just now: nothing new is decided. */
	static const double all = 1;
	double last = a->past.looks > 0 ? a->past.information[a->past.looks - 1] : 0;

	a->past = (experiment_past){.looks = 1, .information = &all, .standing = a->past.standing};
	a->result = experiment_look(&a->plan, &a->data, &a->past, a->estimates, &statistics_caller);
	a->answered = a->result.decision;
	mark_significant(a);
	a->result.look = a->result.end = false;
	a->result.information = fmax(experiment_information(&a->plan, &a->data), last);
	if (a->over)
		a->result.decision = a->standing;
	else if (a->result.decision.status == EXPERIMENT_INCONCLUSIVE)
		a->result.decision.status = EXPERIMENT_RUNNING;
}

void
analysis_look(test_analysis *a)
{
	if (a->over)
	{
		analysis_show(a);
		return;
	}
	a->result = experiment_look(&a->plan, &a->data, &a->past, a->estimates, &statistics_caller);
	a->answered = a->result.decision;
	mark_significant(a);
	if (a->result.look)
	{
		a->boundary_p_value = a->result.boundary_p_value;
		a->conditional_power = a->result.conditional_power;
	}
}

const experiment_estimate *
analysis_estimate(const test_analysis *a, int metric, int arm)
{
	return &a->estimates[metric * a->plan.arms + arm];
}

const experiment_estimate *
analysis_leading(const test_analysis *a)
{
	return analysis_estimate(a, a->result.decision.metric, a->result.leading);
}

bool
analysis_significant(const test_analysis *a)
{
	return (a->result.decision.status == EXPERIMENT_STOPPED_EARLY ||
			a->result.decision.status == EXPERIMENT_SIGNIFICANT) &&
		   a->result.decision.winner != EXPERIMENT_NO_ARM;
}

bool
analysis_is_over(const test_analysis *a)
{
	return a->over || a->result.end || a->result.guardrail.metric != EXPERIMENT_NO_METRIC ||
		   a->result.decision.status == EXPERIMENT_STOPPED_EARLY ||
		   a->result.decision.status == EXPERIMENT_SIGNIFICANT || a->result.decision.status == EXPERIMENT_FUTILE;
}
