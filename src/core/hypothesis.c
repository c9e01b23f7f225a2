/*
 * hypothesis.c: the tests of hypothesis.h. Counts enter as integers and differences of rates are formed from their
 * exact products, so that a billion trials cost no digits; sources stand at each test.
 */
#include "core/hypothesis.h"

#include "core/distribution.h"

static const hypothesis_result undefined = {.statistic = NAN,
											.df = NAN,
											.p_value = NAN,
											.effect = NAN,
											.ci_low = NAN,
											.ci_high = NAN,
											.mean_control = NAN,
											.mean_treatment = NAN};

const char *
hypothesis_status_name(hypothesis_status status)
{
	switch (status)
	{
		case HYPOTHESIS_OK:
			return "ok";
		case HYPOTHESIS_EMPTY_CONTROL:
			return "empty_control";
		case HYPOTHESIS_EMPTY_TREATMENT:
			return "empty_treatment";
		case HYPOTHESIS_TOO_FEW:
			return "too_few";
		case HYPOTHESIS_NO_VARIANCE:
			return "no_variance";
	}
	return "ok";
}

/* integer: a count as a double-double, exactly. */
static dd
integer(int64_t n)
{
	/* the low 32 bits apart: either half converts exactly */
	return dd_two_sum((double) (n & ~(int64_t) 0xffffffff), (double) (n & 0xffffffff));
}

/* ratio: a / b of two counts. */
static double
ratio(int64_t a, int64_t b)
{
	return dd_value(dd_divide(integer(a), integer(b)));
}

/* empty_status: which arm is empty, else HYPOTHESIS_OK. */
static hypothesis_status
empty_status(int64_t n_control, int64_t n_treatment)
{
	return n_control == 0 ? HYPOTHESIS_EMPTY_CONTROL : n_treatment == 0 ? HYPOTHESIS_EMPTY_TREATMENT : HYPOTHESIS_OK;
}

/*
 * wilson: distances from the rate down and up to the ends of Wilson's score interval (1927), as distances because the
 * ends themselves would cancel against a rate near them.
 */
static void
wilson(int64_t successes, int64_t trials, double z, double *down, double *up)
{
	double n = (double) trials;
	double p = ratio(successes, trials);
	double q = ratio(trials - successes, trials);
	double half = z * sqrt(p * q * n + z * z / 4) / (n + z * z);
	double shift = z * z * (p - 0.5) / (n + z * z);

	*down = successes == 0 ? 0 : half + shift;
	*up = successes == trials ? 0 : half - shift;
}

void
hypothesis_rate_interval(int64_t successes, int64_t trials, double confidence_level, double *low, double *high)
{
	double rate = trials > 0 ? ratio(successes, trials) : NAN;
	double down = NAN;
	double up = NAN;

	if (trials > 0)
		wilson(successes, trials, -distribution_normal_quantile((1 - confidence_level) / 2), &down, &up);
	*low = rate - down;
	*high = rate + up;
}

hypothesis_result
hypothesis_two_proportions(int64_t successes_control, int64_t trials_control, int64_t successes_treatment,
						   int64_t trials_treatment, double confidence_level)
{
	hypothesis_result result = undefined;
	double z;
	double down_control;
	double up_control;
	double down_treatment;
	double up_treatment;
	double pooled;
	double rest;

	result.n_control = trials_control;
	result.n_treatment = trials_treatment;
	result.status = empty_status(trials_control, trials_treatment);
	if (trials_control > 0)
		result.mean_control = ratio(successes_control, trials_control);
	if (trials_treatment > 0)
		result.mean_treatment = ratio(successes_treatment, trials_treatment);
	if (result.status != HYPOTHESIS_OK)
		return result;

	result.effect = dd_value(dd_divide(dd_subtract(dd_multiply(integer(successes_treatment), integer(trials_control)),
												   dd_multiply(integer(successes_control), integer(trials_treatment))),
									   dd_multiply(integer(trials_control), integer(trials_treatment))));
	/* Sums of counts as doubles: the counts of either arm may fill a bigint. */
	pooled = ((double) successes_control + (double) successes_treatment) /
			 ((double) trials_control + (double) trials_treatment);
	rest = ((double) (trials_control - successes_control) + (double) (trials_treatment - successes_treatment)) /
		   ((double) trials_control + (double) trials_treatment);
	if (pooled == 0 || rest == 0)
	{
		result.status = HYPOTHESIS_NO_VARIANCE;
		result.statistic = 0;
		result.p_value = 1;
	}
	else
	{
		result.statistic =
			result.effect / sqrt(pooled * rest * (1 / (double) trials_control + 1 / (double) trials_treatment));
		result.p_value = distribution_normal_two_sided(result.statistic);
	}
	/* Newcombe (1998), Statistics in Medicine 17, 873-890, method 10. */
	z = -distribution_normal_quantile((1 - confidence_level) / 2);
	wilson(successes_control, trials_control, z, &down_control, &up_control);
	wilson(successes_treatment, trials_treatment, z, &down_treatment, &up_treatment);
	result.ci_low = result.effect - hypot(down_treatment, up_control);
	result.ci_high = result.effect + hypot(up_treatment, down_control);
	return result;
}

/* t_result: statistic, p and interval of an effect with its standard error and degrees of freedom. */
static void
t_result(hypothesis_result *result, double standard_error, double df, double confidence_level)
{
	if (standard_error == 0)
	{
		result->status = HYPOTHESIS_NO_VARIANCE;
		result->statistic = result->effect == 0 ? 0 : result->effect > 0 ? INFINITY : -INFINITY;
		result->p_value = result->effect == 0 ? 1 : 0;
		result->ci_low = result->ci_high = result->effect;
	}
	else
	{
		double width = -distribution_student_t_quantile((1 - confidence_level) / 2, df) * standard_error;

		result->df = df;
		result->statistic = result->effect / standard_error;
		result->p_value = distribution_student_t_two_sided(result->statistic, df);
		result->ci_low = result->effect - width;
		result->ci_high = result->effect + width;
	}
}

hypothesis_result
hypothesis_welch(hypothesis_arm control, hypothesis_arm treatment, double confidence_level)
{
	hypothesis_result result = undefined;
	double control_error; /* of the mean of each arm */
	double treatment_error;
	double standard_error;
	double share_control;
	double share_treatment;

	result.n_control = control.n;
	result.n_treatment = treatment.n;
	result.status = empty_status(control.n, treatment.n);
	if (control.n > 0)
		result.mean_control = dd_value(control.mean);
	if (treatment.n > 0)
		result.mean_treatment = dd_value(treatment.mean);
	if (result.status != HYPOTHESIS_OK)
		return result;
	result.effect = dd_value(dd_subtract(treatment.mean, control.mean));
	if (control.n < 2 || treatment.n < 2)
	{
		result.status = HYPOTHESIS_TOO_FEW;
		return result;
	}
	/* Welch (1947), Biometrika 34; roots and shares, because squares of tiny or huge variances leave the doubles. */
	control_error = sqrt(control.variance / (double) control.n);
	treatment_error = sqrt(treatment.variance / (double) treatment.n);
	standard_error = hypot(control_error, treatment_error);
	share_control = standard_error > 0 ? control_error / standard_error : 0;
	share_treatment = standard_error > 0 ? treatment_error / standard_error : 0;
	share_control *= share_control;
	share_treatment *= share_treatment;
	t_result(&result, standard_error,
			 1 / (share_control * share_control / (double) (control.n - 1) +
				  share_treatment * share_treatment / (double) (treatment.n - 1)),
			 confidence_level);
	return result;
}

hypothesis_result
hypothesis_paired(hypothesis_arm difference, double mean_control, double mean_treatment, double confidence_level)
{
	hypothesis_result result = undefined;

	result.n_control = result.n_treatment = difference.n;
	result.status = empty_status(difference.n, difference.n);
	if (result.status != HYPOTHESIS_OK)
		return result;
	result.mean_control = mean_control;
	result.mean_treatment = mean_treatment;
	result.effect = dd_value(difference.mean);
	if (difference.n < 2)
	{
		result.status = HYPOTHESIS_TOO_FEW;
		return result;
	}
	t_result(&result, sqrt(difference.variance / (double) difference.n), (double) (difference.n - 1), confidence_level);
	return result;
}

/* newcombe_correlation: the phi of Newcombe's method 10 for pairs, with its continuity correction when positive. */
static double
newcombe_correlation(double both, double only_control, double only_treatment, double neither)
{
	double n = both + only_control + only_treatment + neither;
	double product = sqrt(both + only_control) * sqrt(only_treatment + neither) * sqrt(both + only_treatment) *
					 sqrt(only_control + neither);
	double difference = both * neither - only_control * only_treatment;

	if (product == 0)
		return 0;
	if (difference > 0)
		difference = fmax(difference - n / 2, 0);
	return difference / product;
}

/* mover: root of a^2 - 2 phi a b + b^2, which rounding must not make negative. */
static double
mover(double a, double b, double phi)
{
	return sqrt(fmax(a * a - 2 * phi * a * b + b * b, 0));
}

hypothesis_result
hypothesis_mcnemar(int64_t both, int64_t only_control, int64_t only_treatment, int64_t neither, double confidence_level)
{
	hypothesis_result result = undefined;
	int64_t n = both + only_control + only_treatment + neither;
	double z;
	double phi;
	double down_control;
	double up_control;
	double down_treatment;
	double up_treatment;

	result.n_control = result.n_treatment = n;
	result.status = empty_status(n, n);
	if (result.status != HYPOTHESIS_OK)
		return result;
	result.mean_control = ratio(both + only_control, n);
	result.mean_treatment = ratio(both + only_treatment, n);
	result.effect = ratio(only_treatment - only_control, n);
	/* McNemar (1947), Psychometrika 12: only the pairs that differ count. */
	if (only_control + only_treatment == 0)
	{
		result.status = HYPOTHESIS_NO_VARIANCE;
		result.statistic = 0;
		result.p_value = 1;
	}
	else
	{
		result.statistic = (double) (only_treatment - only_control) / sqrt((double) (only_control + only_treatment));
		result.p_value = distribution_normal_two_sided(result.statistic);
	}
	/* Newcombe (1998), Statistics in Medicine 17, 2635-2650, method 10. */
	z = -distribution_normal_quantile((1 - confidence_level) / 2);
	phi = newcombe_correlation((double) both, (double) only_control, (double) only_treatment, (double) neither);
	wilson(both + only_control, n, z, &down_control, &up_control);
	wilson(both + only_treatment, n, z, &down_treatment, &up_treatment);
	result.ci_low = result.effect - mover(down_treatment, up_control, phi);
	result.ci_high = result.effect + mover(up_treatment, down_control, phi);
	return result;
}

/* cuped_adjust: one arm's values less theta times (covariate - mean of all covariates). */
static hypothesis_arm
cuped_adjust(hypothesis_cuped_arm arm, double theta, dd mean_x)
{
	hypothesis_arm adjusted = {.n = arm.n};

	if (arm.n > 0)
		adjusted.mean = dd_subtract(arm.mean_y, dd_multiply_double(dd_subtract(arm.mean_x, mean_x), theta));
	if (arm.n > 1)
	{
		double m2 = arm.yy - theta * (2 * arm.xy - theta * arm.xx);

		/* What a covariate that explains everything leaves is rounding error, not variance. */
		if (m2 < 1e-14 * arm.yy)
			m2 = 0;
		adjusted.variance = m2 / (double) (arm.n - 1);
	}
	return adjusted;
}

hypothesis_result
hypothesis_cuped(hypothesis_cuped_arm control, hypothesis_cuped_arm treatment, double confidence_level)
{
	/*
	 * Deng, Xu, Kohavi and Walker (2013): theta = cov(X, Y) / var(X), here pooled within arms (the slope of an analysis
	 * of covariance), so that the treatment effect itself does not enter it. No variance of X: theta is 0, plain Welch.
	 */
	double xx = control.xx + treatment.xx;
	double theta = xx > 0 ? (control.xy + treatment.xy) / xx : 0;
	double n = (double) control.n + (double) treatment.n;
	dd mean_x = {0, 0};

	if (control.n > 0)
		mean_x = dd_add(mean_x, dd_multiply_double(control.mean_x, (double) control.n));
	if (treatment.n > 0)
		mean_x = dd_add(mean_x, dd_multiply_double(treatment.mean_x, (double) treatment.n));
	if (n > 0)
		mean_x = dd_divide_double(mean_x, n);
	return hypothesis_welch(cuped_adjust(control, theta, mean_x), cuped_adjust(treatment, theta, mean_x),
							confidence_level);
}

hypothesis_result
hypothesis_mann_whitney(int64_t n_control, int64_t n_treatment, dd twice_rank_sum, dd ties, double mean_control,
						double mean_treatment)
{
	hypothesis_result result = undefined;
	double nt = (double) n_treatment;
	double n = (double) n_control + nt;
	dd pairs = dd_multiply(integer(n_control), integer(n_treatment));
	dd twice_u;
	dd spread;
	double distance;

	result.n_control = n_control;
	result.n_treatment = n_treatment;
	result.mean_control = mean_control;
	result.mean_treatment = mean_treatment;
	result.status = empty_status(n_control, n_treatment);
	if (result.status != HYPOTHESIS_OK)
		return result;
	/* Mann and Whitney (1947); variance with ties: Lehmann, Nonparametrics (1975), 1.3. */
	twice_u = dd_subtract(twice_rank_sum, dd_multiply(integer(n_treatment), integer(n_treatment + 1)));
	result.statistic = dd_value(twice_u) / 2;
	distance = dd_value(dd_subtract(twice_u, pairs)) / 2;
	result.effect = 2 * distance / dd_value(pairs);
	/* N^3 - N less the ties: exact, because of N values nearly all may be tied */
	spread = dd_subtract(dd_multiply_double(dd_two_product(n, n - 1), n + 1), ties);
	if (spread.hi <= 0)
	{
		result.status = HYPOTHESIS_NO_VARIANCE;
		result.p_value = 1;
	}
	else
	{
		double sigma = sqrt(dd_value(pairs) / (12 * n * (n - 1)) * spread.hi);

		result.p_value = distance == 0 ? 1 : distribution_normal_two_sided(fmax(fabs(distance) - 0.5, 0) / sigma);
	}
	return result;
}
