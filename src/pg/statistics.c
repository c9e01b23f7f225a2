/*
 * statistics.c: what statistics.h declares, and the plain functions: distributions, tests on given figures, design,
 * boundaries, adjustment. Each checks its arguments and calls src/core. Where an argument has a default, NULL means it;
 * NULL elsewhere is 22004, except in the distributions, which are STRICT.
 */
#include "pg/statistics.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "core/distribution.h"
#include "core/power.h"
#include "core/sequential.h"

Datum
statistics_result(FunctionCallInfo fcinfo, const hypothesis_result *result)
{
	TupleDesc desc = fcinfo->flinfo->fn_extra;
	Datum value[11];
	bool isnull[11] = {false};
	const double *number[] = {&result->statistic, &result->df,     &result->p_value,
							  &result->effect,    &result->ci_low, &result->ci_high};

	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != 11)
			ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("the function does not return test_result"),
					errdetail("The SQL declaration does not fit this library."),
					errhint("Run ALTER EXTENSION model_mgr UPDATE."));
		desc = BlessTupleDesc(CreateTupleDescCopy(desc));
		fcinfo->flinfo->fn_extra = desc;
		MemoryContextSwitchTo(old);
	}
	/* adding 0 turns -0 into 0 */
	for (int i = 0; i < 6; i++)
	{
		value[i] = Float8GetDatum(*number[i] + 0.0);
		isnull[i] = isnan(*number[i]);
	}
	value[6] = Int64GetDatum(result->n_control);
	value[7] = Int64GetDatum(result->n_treatment);
	value[8] = Float8GetDatum(result->mean_control + 0.0);
	isnull[8] = isnan(result->mean_control);
	value[9] = Float8GetDatum(result->mean_treatment + 0.0);
	isnull[9] = isnan(result->mean_treatment);
	value[10] = CStringGetTextDatum(hypothesis_status_name(result->status));
	return HeapTupleGetDatum(heap_form_tuple(desc, value, isnull));
}

void *
statistics_memory(void *context, void *old, size_t size)
{
	if (size == 0)
	{
		pfree(old);
		return NULL;
	}
	if (old != NULL)
		return repalloc(old, size);
	return MemoryContextAlloc(context != NULL ? (MemoryContext) context : CurrentMemoryContext, size);
}

static void
check_float(const char *name, double value, double low, double high, bool open)
{
	if (isnan(value) || isinf(value))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" must be a finite number", name),
				errdetail("The value is %s.", isnan(value) ? "NaN"
											  : value > 0  ? "Infinity"
														   : "-Infinity"),
				errhint("Pass a finite number."));
	if (open ? value <= low || value >= high : value < low || value > high)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				high >= DBL_MAX ? errdetail("The value %g is not %s %g.", value, open ? "above" : "at least", low)
				: open          ? errdetail("The value %g is not strictly between %g and %g.", value, low, high)
								: errdetail("The value %g is outside %g to %g.", value, low, high),
				errhint("Pass a value in that range."));
}

double
statistics_float(FunctionCallInfo fcinfo, int argno, const char *name, double low, double high, bool open)
{
	mm_require(fcinfo, argno, name);
	check_float(name, PG_GETARG_FLOAT8(argno), low, high, open);
	return PG_GETARG_FLOAT8(argno);
}

double
statistics_float_or(FunctionCallInfo fcinfo, int argno, const char *name, double otherwise, double low, double high,
					bool open)
{
	return PG_ARGISNULL(argno) ? otherwise : statistics_float(fcinfo, argno, name, low, high, open);
}

double
statistics_confidence(FunctionCallInfo fcinfo, int argno)
{
	return statistics_float_or(fcinfo, argno, "confidence_level", STATISTICS_CONFIDENCE, 0, 1, true);
}

int64
statistics_count(FunctionCallInfo fcinfo, int argno, const char *name, int64 low)
{
	int64 value;

	mm_require(fcinfo, argno, name);
	value = PG_GETARG_INT64(argno);
	if (value < low)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value is %lld, the least is %lld.", (long long) value, (long long) low),
				errhint("Pass a count of %lld or more.", (long long) low));
	return value;
}

void
statistics_overflow(const char *function)
{
	ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("%s: values are too large", function),
			errdetail("Their sum, or the sum of their squared deviations, is beyond 1.8e308."),
			errhint("Scale the values down."));
}

void
statistics_refuse_value(const char *function, const char *meaning, double value)
{
	ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			errmsg("%s: %s must be a finite number", function, meaning),
			errdetail("A row's %s is %s.", meaning,
					  isnan(value) ? "NaN"
					  : value > 0  ? "Infinity"
								   : "-Infinity"),
			errhint("Store NULL where a value is not known, or leave such rows out with FILTER (WHERE ...)."));
}

MM_FUNCTION(mm_normal_cdf);
Datum
mm_normal_cdf(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distribution_normal_cdf(statistics_float(fcinfo, 0, "x", -DBL_MAX, DBL_MAX, false)));
}

MM_FUNCTION(mm_normal_quantile);
Datum
mm_normal_quantile(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distribution_normal_quantile(statistics_float(fcinfo, 0, "p", 0, 1, true)));
}

MM_FUNCTION(mm_student_t_cdf);
Datum
mm_student_t_cdf(PG_FUNCTION_ARGS)
{
	double t = statistics_float(fcinfo, 0, "t", -DBL_MAX, DBL_MAX, false);

	PG_RETURN_FLOAT8(distribution_student_t_cdf(t, statistics_float(fcinfo, 1, "df", 0, INFINITY, true)));
}

MM_FUNCTION(mm_student_t_quantile);
Datum
mm_student_t_quantile(PG_FUNCTION_ARGS)
{
	double p = statistics_float(fcinfo, 0, "p", 0, 1, true);
	double df = statistics_float(fcinfo, 1, "df", 0, INFINITY, true);
	double t = distribution_student_t_quantile(p, df);

	if (isinf(t))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("the quantile is too large"),
				errdetail("With %g degrees of freedom the quantile of %g is beyond 1.8e308.", df, p),
				errhint("Pass a probability nearer to 0.5 or more degrees of freedom."));
	PG_RETURN_FLOAT8(t);
}

MM_FUNCTION(mm_chi_square_sf);
Datum
mm_chi_square_sf(PG_FUNCTION_ARGS)
{
	double x = statistics_float(fcinfo, 0, "x", 0, DBL_MAX, false);

	PG_RETURN_FLOAT8(distribution_chi_square_sf(x, statistics_float(fcinfo, 1, "df", 0, INFINITY, true)));
}

/* check_successes: no more successes than trials. */
static void
check_successes(int64 successes, int64 trials, const char *arm)
{
	if (successes > trials)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"successes_%s\" is out of range", arm),
				errdetail("There are %lld successes in %lld trials.", (long long) successes, (long long) trials),
				errhint("Pass successes first, then trials, of each arm."));
}

MM_FUNCTION(mm_two_proportion_z_test);
Datum
mm_two_proportion_z_test(PG_FUNCTION_ARGS)
{
	int64 successes_control = statistics_count(fcinfo, 0, "successes_control", 0);
	int64 trials_control = statistics_count(fcinfo, 1, "trials_control", 0);
	int64 successes_treatment = statistics_count(fcinfo, 2, "successes_treatment", 0);
	int64 trials_treatment = statistics_count(fcinfo, 3, "trials_treatment", 0);
	hypothesis_result result;

	check_successes(successes_control, trials_control, "control");
	check_successes(successes_treatment, trials_treatment, "treatment");
	result = hypothesis_two_proportions(successes_control, trials_control, successes_treatment, trials_treatment,
										statistics_confidence(fcinfo, 4));
	return statistics_result(fcinfo, &result);
}

/* check_square: a standard deviation that is 0 or whose square keeps its digits. */
static void
check_square(const char *name, double stddev)
{
	if (stddev > 0 && stddev < 1e-150)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value %g is above 0 and below 1e-150.", stddev), errhint("Scale the values up."));
}

MM_FUNCTION(mm_welch_t_test);
Datum
mm_welch_t_test(PG_FUNCTION_ARGS)
{
	double mean_control = statistics_float(fcinfo, 0, "mean_control", -DBL_MAX, DBL_MAX, false);
	/* deviations are squared */
	double stddev_control = statistics_float(fcinfo, 1, "stddev_control", 0, 1e150, false);
	int64 n_control = statistics_count(fcinfo, 2, "n_control", 0);
	double mean_treatment = statistics_float(fcinfo, 3, "mean_treatment", -DBL_MAX, DBL_MAX, false);
	double stddev_treatment = statistics_float(fcinfo, 4, "stddev_treatment", 0, 1e150, false);
	int64 n_treatment = statistics_count(fcinfo, 5, "n_treatment", 0);
	hypothesis_arm control = {n_control, {mean_control, 0}, stddev_control * stddev_control};
	hypothesis_arm treatment = {n_treatment, {mean_treatment, 0}, stddev_treatment * stddev_treatment};
	hypothesis_result result = hypothesis_welch(control, treatment, statistics_confidence(fcinfo, 6));

	/* their squares would be 0 or denormal, and the answer "no variance" or without digits */
	check_square("stddev_control", stddev_control);
	check_square("stddev_treatment", stddev_treatment);
	if (n_control > 0 && n_treatment > 0 && isinf(mean_treatment - mean_control))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("the difference of the means is out of range"),
				errdetail("The means %g and %g are more than 1.8e308 apart.", mean_control, mean_treatment),
				errhint("Scale the values down."));
	return statistics_result(fcinfo, &result);
}

/* check_rate: the rate with the effect added, which must be a rate again (but for its last digit). */
static void
check_rate(double baseline_rate, double effect)
{
	double other = baseline_rate + effect;

	if (other < -1e-15 || other > 1 + 1e-15)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("\"minimum_detectable_effect\" is out of range"),
				errdetail("The rate %g changed by %g is %g, outside 0 to 1.", baseline_rate, effect, other),
				errhint("Pass the effect as a difference of rates: 0.02 for an increase from 0.10 to 0.12."));
}

MM_FUNCTION(mm_required_sample_size);
Datum
mm_required_sample_size(PG_FUNCTION_ARGS)
{
	double rate = statistics_float(fcinfo, 0, "baseline_rate", 0, 1, false);
	double effect = statistics_float(fcinfo, 1, "minimum_detectable_effect", -1, 1, false);
	double power = statistics_float_or(fcinfo, 2, "power", 0.8, 0, 1, true);
	double level = statistics_confidence(fcinfo, 3);
	double n;

	check_rate(rate, effect);
	n = effect == 0 ? INFINITY : ceil(power_sample_size(rate, effect, power, level));
	if (n >= 9.2e18)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("\"minimum_detectable_effect\" is out of range"),
				errdetail("No sample size that a bigint holds detects a difference of %g.", effect),
				errhint("Pass the smallest difference that matters."));
	PG_RETURN_INT64(n < 1 ? 1 : (int64) n);
}

MM_FUNCTION(mm_achieved_power);
Datum
mm_achieved_power(PG_FUNCTION_ARGS)
{
	double rate = statistics_float(fcinfo, 0, "baseline_rate", 0, 1, false);
	double effect = statistics_float(fcinfo, 1, "minimum_detectable_effect", -1, 1, false);
	int64 n = statistics_count(fcinfo, 2, "n_per_variant", 1);
	double level = statistics_confidence(fcinfo, 3);

	check_rate(rate, effect);
	PG_RETURN_FLOAT8(power_achieved(rate, effect, (double) n, level));
}

MM_FUNCTION(mm_detectable_effect);
Datum
mm_detectable_effect(PG_FUNCTION_ARGS)
{
	double rate = statistics_float(fcinfo, 0, "baseline_rate", 0, 1, false);
	int64 n = statistics_count(fcinfo, 1, "n_per_variant", 1);
	double power = statistics_float_or(fcinfo, 2, "power", 0.8, 0, 1, true);
	double level = statistics_confidence(fcinfo, 3);
	double effect;

	if (power <= (1 - level) / 2)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"power\" is out of range"),
				errdetail("A test at confidence level %g finds even no effect at all with probability %g a side.",
						  level, (1 - level) / 2),
				errhint("Pass a power above that, 0.8 for example."));
	effect = rate < 1 ? power_detectable(rate, (double) n, power, level) : NAN;
	if (isnan(effect))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"n_per_variant\" is out of range"),
				errdetail("With %lld per variant not even an increase from %g to 1 is found with power %g.",
						  (long long) n, rate, power),
				errhint("Pass more units per variant, or a baseline rate below 1."));
	PG_RETURN_FLOAT8(effect);
}

MM_FUNCTION(mm_sample_ratio_p_value);
Datum
mm_sample_ratio_p_value(PG_FUNCTION_ARGS)
{
	int64 n_control = statistics_count(fcinfo, 0, "n_control", 0);
	int64 n_treatment = statistics_count(fcinfo, 1, "n_treatment", 0);
	double share = statistics_float_or(fcinfo, 2, "expected_treatment_share", 0.5, 0, 1, true);

	PG_RETURN_FLOAT8(power_sample_ratio(n_control, n_treatment, share));
}

/* breathe: lets a long computation be cancelled. */
static void
breathe(void)
{
	CHECK_FOR_INTERRUPTS();
}

const sequential_caller statistics_caller = {palloc, pfree, breathe};

/* numbers: the elements of a required float8[]: none NULL, each between low and high. */
static double *
numbers(FunctionCallInfo fcinfo, int argno, const char *name, double low, double high, int *n)
{
	ArrayType *array;
	double *value;

	mm_require(fcinfo, argno, name);
	array = PG_GETARG_ARRAYTYPE_P(argno);
	if (array_contains_nulls(array))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" must not contain nulls", name),
				errdetail("At least one element of the array is null."),
				errhint("Remove it with array_remove(..., NULL)."));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	value = (double *) ARR_DATA_PTR(array);
	for (int i = 0; i < *n; i++)
		check_float(name, value[i], low, high, false);
	return value;
}

MM_FUNCTION(mm_sequential_boundary);
Datum
mm_sequential_boundary(PG_FUNCTION_ARGS)
{
	int looks;
	double *fraction = numbers(fcinfo, 0, "information_fractions", 1e-9, 1, &looks);
	double level = statistics_confidence(fcinfo, 1);
	char *word = PG_ARGISNULL(2) ? "obrien_fleming" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	sequential_spending spending = SEQUENTIAL_OBRIEN_FLEMING;
	double *z;
	Datum *element;

	if (strcmp(word, "pocock") == 0)
		spending = SEQUENTIAL_POCOCK;
	else if (strcmp(word, "obrien_fleming") != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown spending function \"%s\"", word),
				errdetail("Spending functions are obrien_fleming and pocock."),
				errhint("Pass spending => 'obrien_fleming' to be strict early, 'pocock' to be even-handed."));
	if (looks < 1 || looks > SEQUENTIAL_LOOKS_MAX)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("wrong number of information fractions"),
				errdetail("There are %d; a plan has 1 to %d looks.", looks, SEQUENTIAL_LOOKS_MAX),
				errhint("Pass the fraction of the planned information at each look: ARRAY[0.5, 1]."));
	for (int i = 1; i < looks; i++)
		/* a part in 1e9 less, because the difference of two decimals rounds */
		if (fraction[i] - fraction[i - 1] < 1e-6 - 1e-15)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("information fractions must ascend"),
					errdetail("Element %d is %g after %g; looks are at least 0.000001 apart.", i + 1, fraction[i],
							  fraction[i - 1]),
					errhint("Pass each look once, in order."));
	z = palloc(sizeof(double) * looks);
	sequential_boundaries(fraction, looks, level, spending, z, &statistics_caller);
	element = palloc(sizeof(Datum) * looks);
	for (int i = 0; i < looks; i++)
		element[i] = Float8GetDatum(z[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(element, looks, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

MM_FUNCTION(mm_adjust_p_values);
Datum
mm_adjust_p_values(PG_FUNCTION_ARGS)
{
	int n;
	char *method = PG_ARGISNULL(1) ? "holm" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	ArrayType *result;

	(void) numbers(fcinfo, 0, "p", 0, 1, &n);
	if (strcmp(method, "holm") != 0 && strcmp(method, "bh") != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown method \"%s\"", method),
				errdetail("Methods are holm (family-wise error rate) and bh (false discovery rate)."),
				errhint("Pass method => 'holm' or 'bh'."));
	result = PG_GETARG_ARRAYTYPE_P_COPY(0);
	sequential_adjust((double *) ARR_DATA_PTR(result), n, *method == 'h', &statistics_caller);
	PG_RETURN_ARRAYTYPE_P(result);
}
