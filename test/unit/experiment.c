/* experiment: how many outcomes a test plans. */
#include "experiment_fixture.h"
#include "unit.h"

#include <math.h>

#include "core/distribution.h"
#include "core/power.h"

/* planned: of two arms, or of `arms` with these shares. */
static double
planned_of(const double *share, int arms, experiment_form form, double baseline, double deviation, double effect,
		   double least)
{
	experiment_design d = {.form = form,
						   .baseline = baseline,
						   .deviation = deviation,
						   .minimum_detectable_effect = effect,
						   .power = 0.8,
						   .confidence_level = 0.95,
						   .min_samples = least,
						   .arms = arms,
						   .share = share};

	return experiment_planned(&d);
}

static double
planned(double baseline, double effect, double share, double least)
{
	double shares[2] = {1 - share, share};

	return planned_of(shares, 2, EXPERIMENT_RATE, baseline, NAN, effect, least);
}

static void
rates(void)
{
	double n = ceil(power_sample_size(0.8, 0.02, 0.8, 0.95));

	CHECK(planned(0.8, 0.02, 0.5, 1) == 2 * n, "both arms");
	CHECK(planned(0.99, 0.02, 0.5, 1) == 2 * ceil(power_sample_size(0.99, -0.02, 0.8, 0.95)),
		  "the direction that exists");
	CHECK(planned(0.8, 0.02, 0.1, 1) == ceil(n / 0.18), "an uneven split needs more");
	CHECK(planned(0.5, 0.4, 0.5, 1000) == 2000, "at least so many an arm");
	CHECK(planned(0.5, 0.4, 0.2, 300) == 1500, "in the smaller arm");
	CHECK(planned(0.5, 7, 0.5, 10) == 20, "no direction exists");
	CHECK(planned(0.5, 0, 0.5, 10) == 20, "no effect asked for");
	CHECK(planned(0, 0.02, 0.5, 1) > 2, "a rate of 0");
	CHECK(planned(NAN, 0.02, 0.5, 1) == planned(0.5, 0.02, 0.5, 1), "an unknown rate");
	CHECK(planned(NAN, 0.9, 0.5, 0) == 2, "an outcome in each arm");
}

static void
several(void)
{
	double equal[4] = {0.25, 0.25, 0.25, 0.25};
	double uneven[3] = {0.5, 0.3, 0.2};
	double n = ceil(power_sample_size(0.8, 0.02, 0.8, 0.95));

	CHECK(planned_of(equal, 4, EXPERIMENT_RATE, 0.8, NAN, 0.02, 1) == 4 * n, "each arm as one of two");
	/* the smallest arm against control: n / 2 = total * 0.5 * 0.2 / 0.7 */
	CHECK(planned_of(uneven, 3, EXPERIMENT_RATE, 0.8, NAN, 0.02, 1) == ceil(n / 2 * 7), "the smallest arm");
	CHECK(planned_of(uneven, 3, EXPERIMENT_RATE, 0.8, NAN, 0.9, 1000) == 5000, "at least so many in it");
}

static void
means(void)
{
	double half[2] = {0.5, 0.5};
	double z = distribution_normal_quantile(0.975) + distribution_normal_quantile(0.8);
	double n = ceil(2 * z * z * 0.3 * 0.3 / (0.05 * 0.05));

	/* 5 % of a mean of 1, deviation 0.3 */
	CHECK(planned_of(half, 2, EXPERIMENT_MEAN, 1, 0.3, 0.05, 1) == 2 * n, "relative");
	CHECK(planned_of(half, 2, EXPERIMENT_MEAN, -2, 0.6, 0.05, 1) == 2 * n, "of either sign");
	CHECK(planned_of(half, 2, EXPERIMENT_MEAN, NAN, NAN, 0.05, 700) == 1400, "nothing known");
	CHECK(planned_of(half, 2, EXPERIMENT_MEAN, 1, NAN, 0.05, 700) == 1400, "its deviation not known");
	CHECK(planned_of(half, 2, EXPERIMENT_MEAN, 0, 1, 0.05, 700) == 1400, "no part of 0");
	CHECK(planned_of(half, 2, EXPERIMENT_MEAN, 1, 0, 0.05, 700) == 1400, "no deviation");
}

int
main(void)
{
	rates();
	several();
	means();
	return unit_done();
}
