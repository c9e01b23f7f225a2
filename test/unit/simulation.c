/*
 * simulation.c: promises about repetition, by simulation with a fixed seed: false alarms of the z and t tests,
 * anytime-valid intervals looked at after every value, group-sequential boundaries, power at the designed size. Short
 * here, thorough where MODEL_MGR_SOAK is set (make soak).
 */
#include "random.h"
#include "repetition.h"
#include "unit.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/distribution.h"
#include "core/hypothesis.h"
#include "core/moments.h"
#include "core/power.h"
#include "core/sequential.h"

static int64_t
binomial(int n, double p)
{
	int64_t x = 0;

	for (int i = 0; i < n; i++)
		x += uniform() < p;
	return x;
}

static hypothesis_arm
arm(const moments *m)
{
	return (hypothesis_arm){m->n, moments_mean(m), moments_variance(m)};
}

static void
false_alarms(void)
{
	int runs = runs_of(8000, 100000);
	int z = 0;
	int t = 0;
	int welch = 0;

	seed(2);
	for (int i = 0; i < runs; i++)
	{
		moments c = {0};
		moments d = {0};
		moments e = {0};

		z += hypothesis_two_proportions(binomial(800, 0.3), 800, binomial(1000, 0.3), 1000, 0.95).p_value < 0.05;
		for (int k = 0; k < 20; k++)
		{
			moments_add(&c, 50 + normal());
			moments_add(&d, 50 + normal());
		}
		/* four times the variance, twice the number */
		for (int k = 0; k < 40; k++)
			moments_add(&e, 50 + 2 * normal());
		t += hypothesis_welch(arm(&c), arm(&d), 0.95).p_value < 0.05;
		welch += hypothesis_welch(arm(&c), arm(&e), 0.95).p_value < 0.05;
	}
	printf("false alarms of %d: z %.4f, t %.4f, t with unequal variances %.4f\n", runs, (double) z / runs,
		   (double) t / runs, (double) welch / runs);
	CHECK(fabs((double) z / runs - 0.05) <= band(0.05, runs), "z: %d of %d", z, runs);
	CHECK(fabs((double) t / runs - 0.05) <= band(0.05, runs), "t: %d of %d", t, runs);
	CHECK(fabs((double) welch / runs - 0.05) <= band(0.05, runs), "Welch: %d of %d", welch, runs);
}

/* value: kinds of data, each with its true mean. */
static const char *const kind_name[] = {"normal", "exponential", "rate 0.5", "rate 0.1", "rate 0.02", "lognormal"};
#define KINDS 6
static double
value(int kind)
{
	switch (kind)
	{
		case 0:
			return normal();
		case 1:
			return -log(1 - uniform());
		case 2:
			return uniform() < 0.5;
		case 3:
			return uniform() < 0.1;
		case 4:
			return uniform() < 0.02;
		default:
			return exp(normal());
	}
}

/* Looks after every value from the first; arms fill in turn, or one twice as fast. */
static void
anytime(void)
{
	int runs = runs_of(200, 4000);
	int values = runs_of(3000, 20000);

	for (int kind = 0; kind < KINDS; kind++)
	{
		int excluded = 0;
		int significant = 0;

		seed(100 + (uint64_t) kind);
		for (int run = 0; run < runs; run++)
		{
			moments m[2] = {{0}, {0}};
			int wrong = 0;

			for (int i = 0; i < values && !wrong; i++)
			{
				double low;
				double high;
				double p;

				moments_add(&m[run % 2 == 0 ? i % 2 : i % 3 == 0], value(kind));
				if (m[0].n < 2 || m[1].n < 2)
					continue;
				sequential_anytime(arm(&m[0]), arm(&m[1]), 0.95, &low, &high, &p);
				wrong = low > 0 || high < 0;
				if (wrong != (p < 0.05))
					significant++;
			}
			excluded += wrong;
		}
		printf("anytime interval, %s: truth excluded in %d of %d runs\n", kind_name[kind], excluded, runs);
		CHECK(excluded <= 0.05 * runs, "%s: %d of %d", kind_name[kind], excluded, runs);
		CHECK(significant == 0, "interval and p-value disagree %d times", significant);
	}
	/* and it does find something: a shift of half a deviation within 400 values an arm */
	{
		int found = 0;

		seed(200);
		for (int run = 0; run < 100; run++)
		{
			moments m[2] = {{0}, {0}};
			double low = 0;
			double high;
			double p;

			for (int i = 0; i < 400; i++)
			{
				moments_add(&m[0], normal());
				moments_add(&m[1], normal() + 0.5);
			}
			sequential_anytime(arm(&m[0]), arm(&m[1]), 0.95, &low, &high, &p);
			found += low > 0 && high < 1.2;
		}
		CHECK(found >= 95, "%d of 100 found", found);
	}
}

static const sequential_caller caller = {malloc, free, NULL};

/* A test of two equal rates with five looks, stopped where it crosses; and one look too many does cost. */
static void
looks(void)
{
	int runs = runs_of(5000, 100000);
	double fraction[5] = {0.2, 0.4, 0.6, 0.8, 1};
	double z[5];

	for (int spending = 0; spending < 2; spending++)
	{
		int crossed = 0;
		int naive = 0;

		sequential_boundaries(fraction, 5, 0.95, spending == 0 ? SEQUENTIAL_OBRIEN_FLEMING : SEQUENTIAL_POCOCK, z,
							  &caller);
		seed(300 + (uint64_t) spending);
		for (int run = 0; run < runs; run++)
		{
			int64_t c = 0;
			int64_t t = 0;
			int over = 0;
			int over_naive = 0;

			for (int k = 0; k < 5; k++)
			{
				double seen;

				c += binomial(300, 0.4);
				t += binomial(300, 0.4);
				seen = fabs(hypothesis_two_proportions(c, 300 * (k + 1), t, 300 * (k + 1), 0.95).statistic);
				over |= seen >= z[k];
				over_naive |= seen >= 1.96;
			}
			crossed += over;
			naive += over_naive;
		}
		printf("five looks, %s: false alarms %.4f (%.4f at 1.96 each)\n", spending == 0 ? "O'Brien-Fleming" : "Pocock",
			   (double) crossed / runs, (double) naive / runs);
		CHECK(crossed <= runs * (0.05 + band(0.05, runs)), "%d of %d", crossed, runs);
		CHECK(crossed >= runs * (0.05 - 0.005 - band(0.05, runs)), "too few: %d of %d", crossed, runs);
		CHECK(naive > runs * 0.1, "%d of %d", naive, runs);
	}
}

static void
power(void)
{
	int runs = runs_of(1500, 40000);
	int n = (int) ceil(power_sample_size(0.1, 0.03, 0.8, 0.95));
	int found = 0;

	seed(400);
	for (int run = 0; run < runs; run++)
		found += hypothesis_two_proportions(binomial(n, 0.1), n, binomial(n, 0.13), n, 0.95).p_value < 0.05;
	printf("power at the designed %d: %.4f\n", n, (double) found / runs);
	CHECK(found >= runs * (0.8 - band(0.8, runs)), "%d of %d", found, runs);
	CHECK(found <= runs * (0.8 + 0.01 + band(0.8, runs)), "more than designed: %d of %d", found, runs);
}

int
main(void)
{
	false_alarms();
	anytime();
	looks();
	power();
	return unit_done();
}
