/*
 * experiment_counts.c: an A/B test of two rates with one look, at its end.
 */
#include "core/experiment.h"

#include <math.h>

#include "core/power.h"

double
experiment_planned_samples(double baseline, double effect, double power, double confidence_level, double share,
						   double min_samples)
{
	double balance = share * (1 - share);
	double smallest = min_samples / (share < 0.5 ? share : 1 - share);
	double planned = 0;

	if (baseline + effect > 1)
		effect = -effect;
	/* The variance of the difference is that of n an arm when n / 2 = total * share * (1 - share). */
	if (effect != 0 && baseline + effect >= 0)
		planned = ceil(power_sample_size(baseline, effect, power, confidence_level)) / (2 * balance);
	planned = fmax(planned, smallest);
	/* A quotient that is whole but for rounding is whole. */
	return fmax(2, ceil(planned * (1 - 1e-12)));
}

double
experiment_counts_information(const experiment_counts *counts, double planned_samples, double share)
{
	double control = (double) counts->samples_control;
	double treatment = (double) counts->samples_treatment;

	if (counts->samples_control <= 0 || counts->samples_treatment <= 0)
		return 0;
	return fmin(1, control * (treatment / (control + treatment)) / (planned_samples * share * (1 - share)));
}

experiment_winner
experiment_judge(const experiment_counts *counts, double confidence_level, hypothesis_result *test)
{
	*test = hypothesis_two_proportions(counts->successes_control, counts->samples_control, counts->successes_treatment,
									   counts->samples_treatment, confidence_level);
	if (test->status == HYPOTHESIS_EMPTY_CONTROL || test->status == HYPOTHESIS_EMPTY_TREATMENT ||
		!(test->p_value < 1 - confidence_level))
		return EXPERIMENT_NOBODY;
	return test->effect > 0 ? EXPERIMENT_TREATMENT : EXPERIMENT_CONTROL;
}
