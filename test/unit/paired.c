/*
 * paired.c: the guard on pairs of a shadow: expected e-values by enumeration, the promise about repeated looks by
 * simulated shadows with fixed seeds (innocent ones at the margin are convicted in at most 1 %, whatever both sides
 * share), that pairs need far fewer requests than two groups, and that the sample ratio takes pairs for no lots.
 */
#include "random.h"
#include "unit.h"

#include <math.h>
#include <string.h>

#include "core/guard.h"

#define STAKES 16

/* expected: the mean over all samples of n pairs of the e-value of stake i, when the four kinds have these chances. */
static double
expected(int n, const double chance[2][2], double offset, double slope, int i)
{
	double sum = 0;

	for (int a = 0; a <= n; a++)
		for (int b = 0; a + b <= n; b++)
			for (int c = 0; a + b + c <= n; c++)
			{
				paired_cells cells = {{{a, b}, {c, n - a - b - c}}};
				double log_e[STAKES] = {0};
				double log_chance = lgamma(n + 1);

				for (int x = 0; x < 2; x++)
					for (int y = 0; y < 2; y++)
						log_chance += (cells.of[x][y] > 0 ? (double) cells.of[x][y] * log(chance[x][y]) : 0) -
									  lgamma((double) cells.of[x][y] + 1);
				paired_add_rates(log_e, STAKES, &cells, offset, slope);
				sum += exp(log_chance + log_e[i]);
			}
	return sum;
}

static void
test_expectation(void)
{
	static const double chances[][2][2] = {
		{{0.90, 0.03}, {0.02, 0.05}}, /* 0.08 against 0.07 */
		{{0.98, 0.01}, {0.00001, 0.00999}},
		{{0.40, 0.11}, {0.10, 0.39}},
		{{0.01, 0.01}, {0.00001, 0.97999}},
	};

	for (int k = 0; k < 4; k++)
		for (int i = 0; i < STAKES; i++)
		{
			double e = expected(12, chances[k], 0.01, 1, i);

			CHECK(e <= 1.0001 && e > 0.99, "at the margin, chances %d, stake %d: %g", k, i, e);
			/* A relative margin: the edge goes through another point. */
			e = expected(8, chances[k], 0.001 + 0.5, 0.5, i);
			CHECK(e < 1, "well inside, chances %d, stake %d: %g", k, i, e);
		}
}

/* One shadow: requests of their own difficulty; both sides fail more often on hard ones. */
typedef struct shadow
{
	const char *name;
	double failures;
	double hard; /* part of the failures that strikes both, as the request is hard */
	double worse_failures;
	double worse_time; /* factor */
	double spread;     /* sigma of the lognormal time that a request takes on both sides */
	double jitter;     /* ... and of each side's own */
	bool swing;        /* rates and times rise to double and fall */
} shadow;

/* add_time: one pair's times onto the means and deviations (Welford 1962). */
static void
add_time(paired_values *v, double b, double c)
{
	double n = (double) ++v->count;
	double of_b = b - v->baseline;
	double of_c = c - v->candidate;

	v->baseline += of_b / n;
	v->candidate += of_c / n;
	v->baseline_m2 += of_b * (b - v->baseline);
	v->candidate_m2 += of_c * (c - v->candidate);
	v->cross += of_b * (c - v->candidate);
}

/* run: looks at every fifth pair; the pair that convicts, 0: none of n. two: as two groups instead. */
static int
run(const shadow *s, int n, bool two)
{
	guard_stratum stratum = {.share = 50, .paired = !two};

	for (int i = 1; i <= n; i++)
	{
		double level = s->swing ? 1.5 + 0.5 * sin(i * 0.003) : 1;
		double easy = uniform();
		double common = level * s->failures * s->hard;
		double own = level * s->failures * (1 - s->hard);
		bool b = easy < common || uniform() < own;
		bool c = easy < common || uniform() < own || uniform() < s->worse_failures;
		double time = 0.2 * level * exp(s->spread * normal());
		double time_b = time * exp(s->jitter * normal());
		double time_c = time * exp(s->jitter * normal()) * s->worse_time;

		stratum.pairs.outcomes.of[b][c]++;
		stratum.pairs.errors.of[b][c]++;
		add_time(&stratum.pairs.response_time, time_b, time_c);
		if (two)
		{
			const paired_values *v = &stratum.pairs.response_time;

			stratum.baseline.known = stratum.candidate.known = stratum.baseline.requests = stratum.candidate.requests =
				i;
			stratum.baseline.errors += b;
			stratum.candidate.errors += c;
			stratum.baseline.successes += !b;
			stratum.candidate.successes += !c;
			stratum.baseline.response_time_count = stratum.candidate.response_time_count = i;
			stratum.baseline.response_time_mean = v->baseline;
			stratum.candidate.response_time_mean = v->candidate;
			stratum.baseline.response_time_m2 = v->baseline_m2;
			stratum.candidate.response_time_m2 = v->candidate_m2;
		}
		if (i % 5 == 0 && guard_look(guard_margins_default, GUARD_LEVEL, &stratum, 1).convict)
			return i;
	}
	return 0;
}

static void
test_promise(void)
{
	static const shadow innocent[] = {
		{"equal", 0.05, 0.5, 0, 1, 0.5, 0.2, false},
		{"equal, all hard", 0.10, 0.9, 0, 1, 1, 0.05, true},
		{"equal, independent", 0.10, 0, 0, 1, 1, 0.5, true},
		{"at the margins", 0.05, 0.5, 0.0105, 1.1, 0.5, 0.2, false},
		{"rare and skewed", 0.002, 0.5, 0, 1, 1.5, 1, false},
		{"rare, at the margin", 0.001, 0, 0.01, 1, 0.5, 0.5, true},
	};
	int runs = 300;

	for (int k = 0; k < (int) (sizeof(innocent) / sizeof(*innocent)); k++)
	{
		int convicted = 0;

		seed(100 + k);
		for (int i = 0; i < runs; i++)
			convicted += run(&innocent[k], 3000, false) > 0;
		/* The upper end of the binomial 99 % band of 1 %. */
		CHECK(convicted <= runs * 0.01 + 2.5758 * sqrt(0.01 * 0.99 * runs), "%s: %d of %d convicted", innocent[k].name,
			  convicted, runs);
	}
}

static void
test_power(void)
{
	static const shadow worse = {"worse", 0.10, 0.9, 0.05, 1, 0.5, 0.2, false};
	static const shadow slower = {"slower", 0.02, 0.9, 0, 1.25, 1, 0.1, false};
	const shadow *both[] = {&worse, &slower};

	for (int k = 0; k < 2; k++)
	{
		double paired = 0;
		double two = 0;
		int missed = 0;

		seed(7 + k);
		for (int i = 0; i < 60; i++)
		{
			int at = run(both[k], 20000, false);

			missed += at == 0;
			paired += at / 60.0;
			at = run(both[k], 20000, true);
			two += (at > 0 ? at : 20000) / 60.0;
		}
		CHECK(missed == 0, "%s: %d of 60 missed", both[k]->name, missed);
		CHECK(paired < 0.6 * two, "%s: %.0f pairs in the mean, %.0f of two groups", both[k]->name, paired, two);
	}
}

static void
test_numbers(void)
{
	guard_stratum s = {.paired = true,
					   .pairs = {.outcomes = {{{880, 50}, {20, 50}}},
								 .errors = {{{1000, 0}, {0, 0}}},
								 .response_time = {100, 0.5, 0.6, 4, 4, 4}}};
	guard_verdict v = guard_look(guard_margins_default, GUARD_LEVEL, &s, 1);
	const guard_evidence *e = &v.metrics[ROLLOUT_SUCCESS_RATE];
	guard_sample_ratio ratio;

	CHECK(e->samples_baseline == 1000 && e->samples_candidate == 1000, "%lld pairs", (long long) e->samples_candidate);
	CHECK(fabs(e->baseline - 0.93) < 1e-12 && fabs(e->candidate - 0.90) < 1e-12, "%g against %g", e->candidate,
		  e->baseline);
	/* McNemar's variance: (70 - 30 * 30 / 1000) / 1000^2. */
	CHECK(fabs(e->z - (0.03 - 0.01) / sqrt(69.1e-6)) < 1e-9, "z %g", e->z);
	e = &v.metrics[ROLLOUT_RESPONSE_TIME];
	CHECK(e->samples_candidate == 100 && fabs(e->difference - 0.1) < 1e-12, "times %g", e->difference);
	v = guard_look(&(guard_margin[ROLLOUT_METRICS]){{0}}[0], 0.5, &s, 1);
	CHECK(v.metrics[ROLLOUT_SUCCESS_RATE].p_value <= 0.5, "pairs convict of a difference: p %g",
		  v.metrics[ROLLOUT_SUCCESS_RATE].p_value);
	/* Nothing known: no evidence, and no NaN in the verdict. */
	memset(&s.pairs, 0, sizeof(s.pairs));
	v = guard_look(guard_margins_default, GUARD_LEVEL, &s, 1);
	CHECK(!v.convict && v.p_value == 1, "nothing known: p %g", v.p_value);
	/* Pairs are no lots: their two sides are equally many by themselves. */
	s.candidate.requests = 1000;
	ratio = guard_check_sample_ratio(&s, 1, 0);
	CHECK(!ratio.alarm && ratio.counted == 0, "sample ratio of pairs: %g", ratio.p_value);
}

int
main(void)
{
	test_expectation();
	test_promise();
	test_power();
	test_numbers();
	return unit_done();
}
