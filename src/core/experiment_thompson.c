/*
 * experiment_thompson.c: shares by the probability of being the best (Thompson 1933). The generator is seeded by the
 * caller and lives here alone, so that stored shares can be computed again.
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Standard error of a probability 0.011 at most; a posterior costs some 100 ns a draw. */
#define DRAWS 2000

/* SplitMix64 (Steele, Lea and Flood 2014): passes BigCrush, and any seed will do. */
static uint64_t
next(uint64_t *state)
{
	uint64_t x = (*state += 0x9e3779b97f4a7c15ULL);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* uniform: inside 0..1, never at either end. */
static double
uniform(uint64_t *state)
{
	return ((double) (next(state) >> 12) + 0.5) * 0x1p-52;
}

/* normal: Marsaglia's polar method, one of the pair thrown away. */
static double
normal(uint64_t *state)
{
	for (;;)
	{
		double u = 2 * uniform(state) - 1;
		double v = 2 * uniform(state) - 1;
		double s = u * u + v * v;

		if (s < 1 && s > 0)
			return u * sqrt(-2 * log(s) / s);
	}
}

/* gamma: shape at least 1; Marsaglia and Tsang, A Simple Method for Generating Gamma Variables (2000). */
static double
gamma_draw(double shape, uint64_t *state)
{
	double d = shape - 1.0 / 3;
	double c = 1 / sqrt(9 * d);

	for (;;)
	{
		double x = normal(state);
		double v = 1 + c * x;

		if (v <= 0)
			continue;
		v = v * v * v;
		if (log(uniform(state)) < x * x / 2 + d - d * v + d * log(v))
			return d * v;
	}
}

/* The posterior of one arm's value. */
typedef struct posterior
{
	bool beta;
	double a; /* Beta: a, b; normal: mean less the anchor, standard error */
	double b;
} posterior;

/* posterior_of: false when too little is known. */
static bool
posterior_of(const experiment_plan *plan, const experiment_data *data, int arm, posterior *p)
{
	if (plan->metric[0].form == EXPERIMENT_QUANTILE)
	{
		const experiment_quantile *q = &data->quantile[(size_t) arm * plan->metrics];

		*p = (posterior){false, q->value, q->standard_error};
		return q->samples >= 2 && isfinite(q->value) && isfinite(q->standard_error);
	}
	else
	{
		experiment_side side = experiment_side_of(plan, data, 0, arm);

		if (!(side.units >= 2))
			return false;
		if (plan->metric[0].form == EXPERIMENT_RATE)
		{
			double rate = fmin(fmax(side.ratio, 0), 1);

			*p = (posterior){true, 1 + rate * side.effective, 1 + (1 - rate) * side.effective};
		}
		else
			*p = (posterior){false, side.ratio, sqrt(side.arm.variance / side.units)};
		return true;
	}
}

void
experiment_thompson(const experiment_plan *plan, const experiment_data *data, uint64_t seed, double *share,
					const sequential_caller *caller)
{
	size_t arms = (size_t) plan->arms;
	posterior *p = caller->allocate(sizeof(posterior) * arms);
	double *best = caller->allocate(sizeof(double) * arms);
	double low = EXPERIMENT_THOMPSON_LOW(plan->arms);
	bool known = true;

	for (int arm = 0; arm < plan->arms; arm++)
	{
		known = posterior_of(plan, data, arm, &p[arm]) && known;
		best[arm] = 0;
	}
	if (!known)
		memcpy(share, &plan->share[(size_t) (plan->epochs - 1) * arms], sizeof(double) * arms);
	else
	{
		for (int i = 0; i < DRAWS; i++)
		{
			double leads = -INFINITY;
			int leader = 0;
			int equal = 0;

			for (int arm = 0; arm < plan->arms; arm++)
			{
				double x;

				if (p[arm].beta)
				{
					double a = gamma_draw(p[arm].a, &seed);

					x = a / (a + gamma_draw(p[arm].b, &seed));
				}
				else
					x = p[arm].a + p[arm].b * normal(&seed);
				if (plan->metric[0].direction < 0)
					x = -x;
				/* Values without spread may be equal: either is the best then. */
				equal = x == leads ? equal + 1 : x > leads ? 1 : equal;
				if (x > leads || (x == leads && uniform(&seed) * equal < 1))
				{
					leads = x;
					leader = arm;
				}
			}
			best[leader] += 1.0 / DRAWS;
		}
		/* As low as the bound for an arm that is never the best, and so as high as the other bound for one that always
		 * is. */
		for (int arm = 0; arm < plan->arms; arm++)
			share[arm] = low + (1 - plan->arms * low) * best[arm];
	}
	caller->release(p);
	caller->release(best);
}
