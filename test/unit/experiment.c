/* experiment: plan, information and verdict of a test of two rates that is looked at once. */
#include "core/experiment.h"

#include <math.h>

#include "core/power.h"
#include "unit.h"

static void
plans(void)
{
	double n = ceil(power_sample_size(0.8, 0.02, 0.8, 0.95));

	CHECK(experiment_planned_samples(0.8, 0.02, 0.8, 0.95, 0.5, 1) == 2 * n, "both arms");
	CHECK(experiment_planned_samples(0.99, 0.02, 0.8, 0.95, 0.5, 1) ==
			  2 * ceil(power_sample_size(0.99, -0.02, 0.8, 0.95)),
		  "the direction that exists");
	CHECK(experiment_planned_samples(0.8, 0.02, 0.8, 0.95, 0.1, 1) == ceil(n / 0.18), "an uneven split needs more");
	CHECK(experiment_planned_samples(0.5, 0.4, 0.8, 0.95, 0.5, 1000) == 2000, "at least so many an arm");
	CHECK(experiment_planned_samples(0.5, 0.4, 0.8, 0.95, 0.2, 300) == 1500, "in the smaller arm");
	CHECK(experiment_planned_samples(0.5, 7, 0.8, 0.95, 0.5, 10) == 20, "no direction exists");
	CHECK(experiment_planned_samples(0.5, 0, 0.8, 0.95, 0.5, 10) == 20, "no effect asked for");
	CHECK(experiment_planned_samples(0, 0.02, 0.8, 0.95, 0.5, 1) > 2, "a rate of 0");
}

static void
information(void)
{
	experiment_counts even = {500, 0, 500, 0};
	experiment_counts uneven = {900, 0, 100, 0};
	experiment_counts one = {900, 0, 0, 0};

	CHECK(fabs(experiment_counts_information(&even, 4000, 0.5) - 0.25) < 1e-12, "a quarter");
	CHECK(fabs(experiment_counts_information(&uneven, 4000, 0.1) - 0.25) < 1e-12, "by its own split");
	CHECK(fabs(experiment_counts_information(&uneven, 4000, 0.5) - 0.09) < 1e-12, "a broken split tells less");
	CHECK(experiment_counts_information(&one, 4000, 0.5) == 0, "one arm tells nothing");
	CHECK(experiment_counts_information(&even, 10, 0.5) == 1, "at most 1");
}

static void
verdicts(void)
{
	hypothesis_result test;
	experiment_counts better = {500, 400, 500, 450};
	experiment_counts worse = {500, 450, 500, 400};
	experiment_counts same = {500, 440, 500, 450};
	experiment_counts all = {500, 500, 500, 500};
	experiment_counts control = {500, 450, 0, 0};
	experiment_counts nothing = {0, 0, 0, 0};

	CHECK(experiment_judge(&better, 0.95, &test) == EXPERIMENT_TREATMENT && test.effect > 0, "treatment");
	CHECK(experiment_judge(&better, 0.999999, &test) == EXPERIMENT_NOBODY, "not at this level");
	CHECK(experiment_judge(&worse, 0.95, &test) == EXPERIMENT_CONTROL, "control");
	CHECK(experiment_judge(&same, 0.95, &test) == EXPERIMENT_NOBODY, "nobody");
	CHECK(experiment_judge(&all, 0.95, &test) == EXPERIMENT_NOBODY, "no variance");
	CHECK(experiment_judge(&control, 0.95, &test) == EXPERIMENT_NOBODY, "one arm");
	CHECK(experiment_judge(&nothing, 0.95, &test) == EXPERIMENT_NOBODY && isnan(test.p_value), "no outcomes");
}

int
main(void)
{
	plans();
	information();
	verdicts();
	return unit_done();
}
