/*
 * experiment_plan.c: how many outcomes a test plans.
 */
#include "core/experiment.h"

#include <math.h>

#include "core/distribution.h"
#include "core/power.h"

const experiment_bounds experiment_no_bounds = {INFINITY, INFINITY, INFINITY, INFINITY};

/* per_arm: outcomes in either of two equal arms; 0 where the effect cannot be planned. */
static double
per_arm(const experiment_design *d)
{
	double effect = d->minimum_detectable_effect;
	double baseline = d->baseline;
	double root;

	if (d->form == EXPERIMENT_RATE)
	{
		if (isnan(baseline))
			baseline = 0.5;
		if (baseline + effect > 1)
			effect = -effect;
		if (effect == 0 || baseline + effect < 0)
			return 0;
		return ceil(power_sample_size(baseline, effect, d->power, d->confidence_level));
	}
	effect *= fabs(baseline);
	if (!(effect > 0) || !(d->deviation >= 0))
		return 0;
	root = -distribution_normal_quantile((1 - d->confidence_level) / 2) + distribution_normal_quantile(d->power);
	/* a power below the error probability needs nothing */
	root = fmax(root, 0) * d->deviation / effect;
	return ceil(2 * root * root);
}

double
experiment_planned(const experiment_design *design)
{
	double half = per_arm(design) / 2;
	double planned = design->arms;

	for (int arm = 0; arm < design->arms; arm++)
	{
		double control = design->share[EXPERIMENT_CONTROL_ARM];
		double share = design->share[arm];

		planned = fmax(planned, design->min_samples / share);
		/* The variance of the difference is that of n an arm when n / 2 = total * harmonic share of the pair. */
		if (arm != EXPERIMENT_CONTROL_ARM)
			planned = fmax(planned, half / (control * share / (control + share)));
	}
	/* A quotient that is whole but for rounding is whole. */
	return ceil(planned * (1 - 1e-12));
}
