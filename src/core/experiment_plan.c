/*
 * experiment_plan.c: how many outcomes a test plans.
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

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
/* The first look that may find a test futile, and how many looks lie between those whose final boundary is solved. */
#define FUTILE_FROM (LOOKS * 2 / 5)
#define STRIDE (LOOKS / 5)
#define STRETCHES ((LOOKS - FUTILE_FROM) / STRIDE + 1)
/* The most that is added for what futility costs; a threshold that costs more is paid for with power. */
#define FUTILITY_COSTS 1.1

/* The looks of a plan: their boundaries, and what was left behind on the way. */
typedef struct course
{
	double fraction[LOOKS];
	double z[LOOKS];
	double final[LOOKS]; /* the boundary at the whole information when the look after each one is the last */
	sequential_state after[STRETCHES];
} course;

/* drift_for: the mean of Z at the whole information that has this power; INFINITY: more than twice `start`. */
static double
drift_for(const course *c, const double *inner, const sequential_state *from, double power, double start,
		  const sequential_caller *caller)
{
	double drift[DRIFTS];
	double reached[DRIFTS];

	for (int i = 0; i < DRIFTS; i++)
		drift[i] = start * (1 + (double) i / (DRIFTS - 1));
	sequential_power(c->fraction, c->z, inner, LOOKS, from, drift, DRIFTS, reached, caller);
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
 * run: all looks, a stretch after the other: up to the first that may find the test futile, then STRIDE each. The final
 * boundary changes little from look to look: it is solved at the end of a stretch and interpolated in between.
 */
static void
run(course *c, double level, sequential_spending spending, const sequential_caller *caller)
{
	double last = 0;
	int from = 0;

	for (int k = 0; k < LOOKS; k++)
		c->fraction[k] = (k + 1) / (double) LOOKS;
	for (int i = 0; i < STRETCHES; i++)
	{
		int looks = FUTILE_FROM + i * STRIDE;
		double z[LOOKS + 1];
		double here;

		c->after[i] = sequential_continue(c->fraction, looks, looks, level / 2, spending, false,
										  i > 0 ? &c->after[i - 1] : NULL, z, caller);
		memcpy(c->z + from, z + from, sizeof(double) * (size_t) (looks - from));
		here = z[looks - 1];
		if (looks < LOOKS)
		{
			double one_more[LOOKS];

			memcpy(one_more, c->fraction, sizeof(double) * (size_t) looks);
			one_more[looks] = 1;
			(void) sequential_continue(one_more, looks + 1, 0, level / 2, spending, false, &c->after[i], z, caller);
			here = z[looks];
		}
		for (int k = from; k < looks; k++)
			c->final[k] = i == 0 ? here : last + (here - last) * (k + 1 - from) / (looks - from);
		last = here;
		from = looks;
	}
}

double
experiment_inflation(const experiment_plan *plan, const sequential_caller *caller)
{
	double level = experiment_level(plan, EXPERIMENT_PRIMARY) / (plan->arms - 1);
	double deviate = distribution_normal_quantile(plan->power);
	double planned = -distribution_normal_quantile(experiment_error(plan) / 2) + deviate;
	double single = -distribution_normal_quantile(level / 2) + deviate;
	course c;
	double inner[LOOKS];
	double drift;
	double futile;

	/* A power below the error probability is there without any outcome. */
	if (!(planned > 0))
		return 1;
	if (!plan->early_stopping)
		return (single / planned) * (single / planned);
	run(&c, level, plan->spending, caller);
	drift = drift_for(&c, NULL, &c.after[STRETCHES - 1], plan->power, single, caller);
	if (!isfinite(drift))
		drift = 2 * single;
	if (plan->futility_threshold > 0)
	{
		double give_up =
			plan->futility_threshold < 1 ? distribution_normal_quantile(plan->futility_threshold) : INFINITY;

		/* conditional_power() below the threshold; the other direction, that it counts too, is left out: safe */
		for (int k = 0; k < LOOKS; k++)
			inner[k] = c.fraction[k] < EXPERIMENT_FUTILITY_FROM - 1e-9
						   ? 0
						   : sqrt(c.fraction[k]) * (c.final[k] + give_up * sqrt(1 - c.fraction[k]));
		futile = drift_for(&c, inner, &c.after[0], plan->power, single, caller);
		drift = fmin(futile, drift * sqrt(FUTILITY_COSTS));
	}
	for (int i = 0; i < STRETCHES; i++)
		caller->release(c.after[i].number);
	return (drift / planned) * (drift / planned);
}

double
experiment_horizon(const experiment_plan *plan, double planned, const sequential_caller *caller)
{
	return planned * experiment_inflation(plan, caller);
}
