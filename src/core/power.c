/*
 * power.c: design of tests of two rates, and the sample-ratio check.
 */
#include "core/power.h"

#include "core/ddouble.h"
#include "core/distribution.h"

/* spreads: standard deviations (times sqrt n) of the difference of rates, under equality and under the effect. */
static void
spreads(double rate, double effect, double *null, double *alternative)
{
	double other = rate + effect;
	double sum = rate + other;

	*null = sqrt(sum * (1 - sum / 2));
	*alternative = sqrt(rate * (1 - rate) + other * (1 - other));
}

double
power_sample_size(double baseline_rate, double effect, double power, double confidence_level)
{
	double null;
	double alternative;
	double root;

	spreads(baseline_rate, effect, &null, &alternative);
	root = -distribution_normal_quantile((1 - confidence_level) / 2) * null +
		   distribution_normal_quantile(power) * alternative;
	root /= fabs(effect);
	return root > 0 ? root * root : 0;
}

/* standardised: what the quantile of the power is, as power rises with it. */
static double
standardised(double rate, double effect, double n, double z)
{
	double null;
	double alternative;

	spreads(rate, effect, &null, &alternative);
	return (sqrt(n) * fabs(effect) - z * null) / alternative;
}

double
power_achieved(double baseline_rate, double effect, double n_per_variant, double confidence_level)
{
	double z = -distribution_normal_quantile((1 - confidence_level) / 2);
	double x = standardised(baseline_rate, effect, n_per_variant, z);

	/* both rates 0 or 1: found for certain or not at all */
	if (isnan(x) || isinf(x))
		return x > 0 ? 1 : 0;
	return distribution_normal_cdf(x);
}

double
power_detectable(double baseline_rate, double n_per_variant, double power, double confidence_level)
{
	double z = -distribution_normal_quantile((1 - confidence_level) / 2);
	double target = distribution_normal_quantile(power);
	double low = 0;
	double high = 1 - baseline_rate;

	/*
	 * Bisection, on the effect itself at first and on its bits in the end: it cannot fail to converge, and 200 halvings
	 * leave neighbouring doubles. The largest effect goes first: with rate 0 the standardised value there is infinite.
	 */
	if (standardised(baseline_rate, high, n_per_variant, z) < target)
		return NAN;
	for (int i = 0; i < 200; i++)
	{
		double middle = low + (high - low) / 2;

		if (middle <= low || middle >= high)
			break;
		if (standardised(baseline_rate, middle, n_per_variant, z) < target)
			low = middle;
		else
			high = middle;
	}
	return high;
}

double
power_sample_ratio(int64_t n_control, int64_t n_treatment, double expected_treatment_share)
{
	/* N s is formed exactly: with a billion units the rounding of N s would show in the p-value */
	dd n = dd_two_sum((double) n_control, (double) n_treatment);
	dd excess = dd_add_double(dd_negate(dd_multiply_double(n, expected_treatment_share)), (double) n_treatment);
	double variance = n.hi * expected_treatment_share * (1 - expected_treatment_share);

	if (n.hi == 0)
		return 1;
	return distribution_normal_two_sided(dd_value(excess) / sqrt(variance));
}
