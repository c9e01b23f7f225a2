/*
 * experiment_plan.c: how many outcomes a test plans.
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>

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

/* Looks of the plan, and drifts between which the one with the power is interpolated. */
#define LOOKS 100
#define DRIFTS 13
/* The most that is added for what futility costs; a threshold that costs more is paid for with power. */
#define FUTILITY_COSTS 1.1

/* drift_for: the mean of Z at the whole information that has this power; INFINITY: more than twice `start`. */
static double
drift_for(const double *fraction, const double *z, const double *inner, double power, double start,
		  const sequential_caller *caller)
{
	double drift[DRIFTS];
	double reached[DRIFTS];

	for (int i = 0; i < DRIFTS; i++)
		drift[i] = start * (1 + (double) i / (DRIFTS - 1));
	sequential_power(fraction, z, inner, LOOKS, drift, DRIFTS, reached, caller);
	for (int i = 1; i < DRIFTS; i++)
		if (reached[i] >= power)
		{
			/* Between neighbours the power's normal deviate is all but linear in the drift. */
			double low = distribution_normal_quantile(fmax(reached[i - 1], 1e-300));
			double high = distribution_normal_quantile(fmin(reached[i], 1 - 1e-16));
			double at = (distribution_normal_quantile(power) - low) / (high - low);

			return drift[i - 1] + (drift[i] - drift[i - 1]) * fmax(at, 0);
		}
	return INFINITY;
}

/*
 * final_boundaries: the boundary at the whole information when the look after each one is the last: between some looks
 * at which it is solved it changes little.
 */
static void
final_boundaries(const double *fraction, const double *z, double level, sequential_spending spending, double *final,
				 const sequential_caller *caller)
{
	double last = 0;
	int from = 0;

	for (int looks = LOOKS * 2 / 5; looks <= LOOKS; looks += LOOKS / 5)
	{
		double here = z[LOOKS - 1];

		if (looks < LOOKS)
		{
			double some[LOOKS];
			double solved[LOOKS];

			for (int k = 0; k < looks; k++)
				some[k] = fraction[k];
			some[looks] = 1;
			sequential_boundaries(some, looks + 1, 1 - level, spending, solved, caller);
			here = solved[looks];
		}
		for (int k = from; k < looks; k++)
			final[k] = from == 0 ? here : last + (here - last) * (k + 1 - from) / (looks - from);
		last = here;
		from = looks;
	}
}

double
experiment_inflation(const experiment_plan *plan, const sequential_caller *caller)
{
	double level = experiment_level(plan, EXPERIMENT_PRIMARY) / (plan->arms - 1);
	double deviate = distribution_normal_quantile(plan->power);
	double planned = -distribution_normal_quantile((1 - plan->confidence_level) / 2) + deviate;
	double single = -distribution_normal_quantile(level / 2) + deviate;
	double fraction[LOOKS];
	double z[LOOKS];
	double final[LOOKS];
	double inner[LOOKS];
	double drift;
	double futile;

	/* A power below the error probability is there without any outcome. */
	if (!(planned > 0))
		return 1;
	if (!plan->early_stopping)
		return (single / planned) * (single / planned);
	for (int k = 0; k < LOOKS; k++)
		fraction[k] = (k + 1) / (double) LOOKS;
	sequential_boundaries(fraction, LOOKS, 1 - level, plan->spending, z, caller);
	drift = drift_for(fraction, z, NULL, plan->power, single, caller);
	if (!isfinite(drift))
		drift = 2 * single;
	if (plan->futility_threshold > 0)
	{
		double give_up =
			plan->futility_threshold < 1 ? distribution_normal_quantile(plan->futility_threshold) : INFINITY;

		/* conditional_power() below the threshold; the other direction, that it counts too, is left out: safe */
		final_boundaries(fraction, z, level, plan->spending, final, caller);
		for (int k = 0; k < LOOKS; k++)
			inner[k] = fraction[k] < EXPERIMENT_FUTILITY_FROM - 1e-9
						   ? 0
						   : sqrt(fraction[k]) * (final[k] + give_up * sqrt(1 - fraction[k]));
		futile = drift_for(fraction, z, inner, plan->power, single, caller);
		drift = fmin(futile, drift * sqrt(FUTILITY_COSTS));
	}
	return (drift / planned) * (drift / planned);
}

double
experiment_horizon(const experiment_plan *plan, double planned, const sequential_caller *caller)
{
	return planned * experiment_inflation(plan, caller);
}
