/* experiment_kept: looks that go on from what the one before has left say what they say without it. */
#include "experiment_fixture.h"
#include "unit.h"

#include <math.h>

static fixture f;
static int allocations;

static void *
counted(size_t size)
{
	allocations++;
	return malloc(size);
}

static const sequential_caller counting = {counted, free, NULL};

/* look_with: a look that is given these numbers of the one before; all it says, so that it can be compared. */
static experiment_result
look_with(sequential_state kept, double *z)
{
	experiment_result r;
	experiment_past past = f.past;

	past.kept = kept;
	allocations = 0;
	r = experiment_look(&f.plan, &f.data, &past, f.estimates, &counting);
	z[0] = r.boundary_z;
	z[1] = r.secondary_boundary_z;
	z[2] = r.conditional_power;
	for (int i = 0; i < f.plan.metrics * f.plan.arms; i++)
		z[3 + i] = f.estimates[i].significant;
	free(r.kept.number);
	return r;
}

/* aim: what n values are to add up to so that their metric is near its boundary at some looks, and never beyond it. */
static double
aim(int n)
{
	return (3.1 + 0.6 * sin(n / 60.0)) * sqrt(n);
}

/* goes_on: whatever was kept, a look says the same to the last digit; with it, it costs no more than the first. */
static void
goes_on(void)
{
	static double junk[MAX_KEPT];
	int looks = 0;
	int near = 0;

	fixture_init(&f, 3, 3);
	f.plan.horizon = 6000;
	f.plan.futility_threshold = 0;
	for (int n = 0; f.past.looks < 90; n++)
	{
		sequential_state some = {.count = 0, .number = junk};
		double z[6][3 + 9];

		for (int arm = 0; arm < 3; arm++)
		{
			fixture_add(&f, 0, arm, 0, n % 2);
			fixture_add(&f, 0, arm, 1, sin(n) + (arm == 2 && n < 1300 ? aim(n + 1) - aim(n) : 0));
			fixture_add(&f, 0, arm, 2, cos(n));
		}
		look_with(some, z[0]);
		if (isnan(z[0][0]))
			continue;
		look_with(f.past.kept, z[1]);
		CHECK(allocations <= 60, "%d allocations at look %d", allocations, f.past.looks + 1);
		CHECK(memcmp(z[0], z[1], sizeof(z[0])) == 0, "look %d: %.17g and %.17g", f.past.looks + 1, z[0][0], z[1][0]);
		looks++;
		near += !isnan(z[0][1]);
		if (f.past.kept.count > 40 && looks % 10 == 0)
		{
			memcpy(junk, f.past.kept.number, sizeof(double) * f.past.kept.count);
			/* less of it, wrong counts, wrong levels, no numbers */
			some.count = f.past.kept.count - 1;
			look_with(some, z[2]);
			some.count = f.past.kept.count;
			junk[1] = 1e9;
			look_with(some, z[3]);
			junk[1] = 0.5;
			look_with(some, z[4]);
			for (size_t i = 0; i < some.count; i++)
				junk[i] = i % 3 == 0 ? NAN : -(double) i;
			look_with(some, z[5]);
			for (int i = 2; i < 6; i++)
				CHECK(memcmp(z[0], z[i], sizeof(z[0])) == 0, "damaged in way %d: %.17g", i, z[i][0]);
		}
		fixture_look(&f, false);
		CHECK(f.past.standing == NULL, "look %d decided", f.past.looks);
		if (f.past.standing != NULL)
			break;
	}
	CHECK(looks == 90 && near > 10 && near < 80, "%d looks, %d with a secondary near its boundary", looks, near);
}

int
main(void)
{
	goes_on();
	return unit_done();
}
