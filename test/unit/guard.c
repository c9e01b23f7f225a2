/*
 * guard.c: the guard of rollouts: the two-day example, tiny and huge counts, margins, sides and signs, the expected
 * e-value by enumeration, and the sample ratio. What needs repetition is in guard_simulation.c.
 */
#include "core/guard.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/distribution.h"
#include "core/power.h"
#include "unit.h"

static const guard_margin no_margins[ROLLOUT_METRICS] = {{0}};

/* side: outcomes with so many failures, of which none is an error, and no times. */
static guard_side
side(int64_t known, int64_t failures)
{
	return (guard_side){.requests = known, .known = known, .successes = known - failures};
}

static guard_side
timed(int64_t count, double mean, double deviation)
{
	return (guard_side){.requests = count,
						.response_time_count = count,
						.response_time_mean = mean,
						.response_time_m2 = deviation * deviation * (double) (count - 1)};
}

static guard_stratum
step(double share, guard_side baseline, guard_side candidate)
{
	return (guard_stratum){.share = share, .baseline = baseline, .candidate = candidate};
}

static guard_verdict
look(const guard_stratum *strata, int count)
{
	return guard_look(guard_margins_default, GUARD_LEVEL, strata, count);
}

/* Day 1: 10 %, both sides 99 % good; day 2: 50 %, both 90 % good. Pooled z is -3.85, and the truth 0. */
static void
two_days(void)
{
	for (int64_t times = 1; times <= 100000; times *= 10)
	{
		guard_stratum days[2] = {step(10, side(900 * times, 9 * times), side(100 * times, times)),
								 step(50, side(500 * times, 50 * times), side(500 * times, 50 * times))};
		guard_stratum pooled = step(30, side(1400 * times, 59 * times), side(600 * times, 51 * times));
		guard_verdict v = guard_look(no_margins, GUARD_LEVEL, days, 2);

		CHECK(!v.convict && v.p_value == 1 && v.worst == ROLLOUT_METRICS, "times %d: p %g", (int) times, v.p_value);
		CHECK(fabs(v.metrics[ROLLOUT_SUCCESS_RATE].difference) < 1e-12, "difference %g",
			  v.metrics[ROLLOUT_SUCCESS_RATE].difference);
		CHECK(fabs(v.metrics[ROLLOUT_SUCCESS_RATE].z) < 1e-6, "z %g", v.metrics[ROLLOUT_SUCCESS_RATE].z);
		CHECK(!look(days, 2).convict, "and with margins");
		/* The example bites: without steps the same outcomes convict. */
		v = guard_look(no_margins, GUARD_LEVEL, &pooled, 1);
		if (times == 1)
			CHECK(fabs(v.metrics[ROLLOUT_SUCCESS_RATE].z - 3.40) < 0.01 &&
					  v.metrics[ROLLOUT_SUCCESS_RATE].p_value < 0.05,
				  "pooled: z %g, p %g", v.metrics[ROLLOUT_SUCCESS_RATE].z, v.metrics[ROLLOUT_SUCCESS_RATE].p_value);
		else
			CHECK(v.convict, "pooled, times %d: p %g", (int) times, v.p_value);
		/* and the candidate's own faults are not hidden by the days */
		days[1].candidate.successes -= 75 * times;
		v = guard_look(guard_margins_default, GUARD_LEVEL, days, 2);
		CHECK(v.convict && v.worst == ROLLOUT_SUCCESS_RATE, "75 of 100: p %g", v.p_value);
	}
}

/* log_binomial: logarithm of the probability of x in n. */
static double
log_binomial(int n, int x, double p)
{
	if (p <= 0 || p >= 1)
		return x == (p <= 0 ? 0 : n) ? 0 : -INFINITY;
	return lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1) + x * log(p) + (n - x) * log1p(-p);
}

/*
 * The expected e-value at a fixed look, exactly, for true rates on the edge: at most 1 would be an e-value in the
 * strict sense; 1.02 is what the header says. Not far below 1 where there is anything to learn: or it would be worth
 * nothing.
 */
static void
expected_e_value(void)
{
	static const int sizes[][2] = {{5, 5}, {45, 5}, {30, 30}, {270, 30}, {30, 270}, {5, 95}, {120, 120}};
	static const double rates[] = {0, .0005, .002, .005, .01, .03, .1, .3, .5, .8, .9};
	static const guard_margin margins[] = {{0, 0}, {.01, 0}, {.05, 0}, {0, .1}, {0, .5}, {.01, .1}};
	double most = 0;
	double most_convicted = 0;

	for (int s = 0; s < 7; s++)
		for (int m = 0; m < 6; m++)
		{
			guard_margin margin[ROLLOUT_METRICS] = {margins[m], margins[m], margins[m]};
			static double e[300][300];
			int n_b = sizes[s][0];
			int n_c = sizes[s][1];

			for (int b = 0; b <= n_b; b++)
				for (int c = 0; c <= n_c; c++)
				{
					guard_stratum one = {.share = 50,
										 .baseline = {.requests = n_b, .errors = b},
										 .candidate = {.requests = n_c, .errors = c}};

					e[b][c] = exp(guard_look(margin, GUARD_LEVEL, &one, 1).metrics[ROLLOUT_ERROR_RATE].log_e);
				}
			for (int r = 0; r < 11; r++)
			{
				double p_b = rates[r];
				double p_c = margins[m].absolute + (1 + margins[m].relative) * p_b;
				double expected = 0;
				double convicted = 0;

				if (p_c > 1)
					continue;
				for (int b = 0; b <= n_b; b++)
					for (int c = 0; c <= n_c; c++)
					{
						double p = exp(log_binomial(n_b, b, p_b) + log_binomial(n_c, c, p_c));

						expected += p * e[b][c];
						if (e[b][c] >= 100)
							convicted += p;
					}
				CHECK(expected <= 1.02, "margin %g + %g, %d and %d, rate %g: %g", margins[m].absolute,
					  margins[m].relative, n_b, n_c, p_b, expected);
				CHECK(p_b < .1 || p_b > .5 || expected >= 0.9, "margin %g + %g, %d and %d, rate %g: %g",
					  margins[m].absolute, margins[m].relative, n_b, n_c, p_b, expected);
				most = fmax(most, expected);
				most_convicted = fmax(most_convicted, convicted);
			}
		}
	printf("expected e-value on the edge: at most %.3f; at 100 with probability at most %.4f\n", most, most_convicted);
	CHECK(most_convicted <= 0.002, "%g", most_convicted);
}

/*
 * Far from 0 and 1 and with many values all three are tests of a normal difference z standard errors beyond the margin:
 * no likelihood ratio is above exp(z^2 / 2), and averaging over effects and beginnings costs a few units of its
 * logarithm.
 */
static void
evidence_is_that_of_z(void)
{
	for (int z = 3; z <= 8; z++)
		for (int share = 10; share <= 90; share += 40)
		{
			int64_t n_c = 300 * share;
			int64_t n_b = 300 * (100 - share);
			double error = sqrt(0.24 / (double) n_c + 0.24 / (double) n_b);
			double worse = 0.01 + z * error;
			guard_stratum s = step(share, side(n_b, n_b * 2 / 5), side(n_c, llrint((0.4 + worse) * (double) n_c)));
			guard_evidence e[ROLLOUT_METRICS];

			s.baseline.errors = s.baseline.known - s.baseline.successes;
			s.candidate.errors = s.candidate.known - s.candidate.successes;
			s.baseline.response_time_count = n_b;
			s.candidate.response_time_count = n_c;
			s.baseline.response_time_mean = 1;
			s.candidate.response_time_mean = 1.1 + z * sqrt(0.36 / (double) n_c + 1.21 * 0.36 / (double) n_b);
			s.baseline.response_time_m2 = 0.36 * (double) n_b;
			s.candidate.response_time_m2 = 0.36 * (double) n_c;
			memcpy(e, look(&s, 1).metrics, sizeof(e));
			for (int m = 0; m < ROLLOUT_METRICS; m++)
			{
				CHECK(fabs(e[m].z - z) < 0.2, "%s, share %d: z %g, not %d", rollout_metric_name((rollout_metric) m),
					  share, e[m].z, z);
				CHECK(e[m].log_e < e[m].z * e[m].z / 2 && e[m].log_e > e[m].z * e[m].z / 2 * 0.96 - 5,
					  "%s, share %d, z %g: %g", rollout_metric_name((rollout_metric) m), share, e[m].z, e[m].log_e);
			}
		}
}

static void
tiny_counts(void)
{
	guard_stratum s;
	guard_verdict v;

	s = step(10, side(270, 1), side(30, 0));
	CHECK(look(&s, 1).p_value == 1, "1 of 270 against 0 of 30");
	s = step(10, side(270, 0), side(30, 1));
	v = guard_look(no_margins, GUARD_LEVEL, &s, 1);
	CHECK(!v.convict && v.p_value > 0.1, "one failure is one failure: p %g", v.p_value);
	s = step(10, side(270, 0), side(30, 0));
	CHECK(look(&s, 1).p_value == 1, "nothing bad has happened");
	s = step(10, side(9, 0), side(1, 1));
	CHECK(!look(&s, 1).convict, "the first outcome of all");
	s = step(10, side(270, 0), side(30, 30));
	CHECK(look(&s, 1).convict, "all failed");
	s = step(10, side(270, 270), side(30, 30));
	CHECK(!look(&s, 1).convict, "so they do on both sides");
	s = step(10, side(270, 270), side(30, 0));
	CHECK(!look(&s, 1).convict, "it is the candidate that works");
	s = step(10, side(90, 0), side(10, 6));
	CHECK(look(&s, 1).convict, "six of ten: p %g", look(&s, 1).p_value);
	CHECK(!look(NULL, 0).convict && look(NULL, 0).p_value == 1, "no steps");

	s = step(100, side(0, 0), side(1000, 1000));
	v = look(&s, 1);
	CHECK(!v.convict && v.p_value == 1 && isnan(v.metrics[ROLLOUT_SUCCESS_RATE].difference), "nothing beside it");
	CHECK(v.metrics[ROLLOUT_SUCCESS_RATE].samples_candidate == 0, "and so it does not count");
	for (int share = 0; share <= 100; share += 100)
	{
		s = step(share, side(1000, 0), side(1000, 1000));
		CHECK(look(&s, 1).p_value == 1 && isnan(look(&s, 1).metrics[ROLLOUT_SUCCESS_RATE].difference),
			  "at %d %% sides are not drawn by lot", share);
		CHECK(guard_check_sample_ratio(&s, 1, 0).p_value == 1, "nor counted");
	}
	s = step(10, side(1000, 1000), side(0, 0));
	CHECK(!look(&s, 1).convict, "nothing to judge");
}

static void
means(void)
{
	guard_stratum s[3];
	guard_verdict v;

	s[0] = step(50, timed(100, 0.2, 0), timed(100, 0.3, 0));
	CHECK(look(s, 1).convict && look(s, 1).worst == ROLLOUT_RESPONSE_TIME, "constant times");
	s[0] = step(50, timed(100, 0.2, 0), timed(100, 0.22, 0));
	CHECK(!look(s, 1).convict, "10 %% slower is the margin");
	s[0] = step(50, timed(9, 0.2, 0), timed(1000, 3, 0));
	CHECK(!look(s, 1).convict, "nine values are not yet a mean");
	s[0] = step(50, timed(1000, 0, 0), timed(1000, 0, 0));
	CHECK(!look(s, 1).convict && look(s, 1).p_value == 1, "no time at all");
	s[0] = step(10, timed(9000, 0.2, 0.2), timed(1000, 0.3, 0.3));
	v = look(s, 1);
	CHECK(v.convict && fabs(v.metrics[ROLLOUT_RESPONSE_TIME].difference - 0.1) < 1e-12, "half again as slow");
	CHECK(fabs(v.metrics[ROLLOUT_RESPONSE_TIME].margin - 0.02) < 1e-12, "margin %g",
		  v.metrics[ROLLOUT_RESPONSE_TIME].margin);
	s[0] = step(10, timed(9000, 0.3, 0.3), timed(1000, 0.2, 0.2));
	v = look(s, 1);
	CHECK(!v.convict && v.metrics[ROLLOUT_RESPONSE_TIME].z < 0, "faster is no offence");
	/* The nights are slow, and the share was greater then. */
	s[0] = step(10, timed(9000, 0.2, 0.2), timed(1000, 0.2, 0.2));
	s[1] = step(50, timed(5000, 0.9, 0.9), timed(5000, 0.9, 0.9));
	CHECK(guard_look(no_margins, GUARD_LEVEL, s, 2).p_value == 1, "two days of response times");
	/* One request that hung for an hour. */
	s[0] = step(10, timed(900, 0.2, 0.2),
				(guard_side){.response_time_count = 100,
							 .response_time_mean = (99 * 0.2 + 3600) / 100,
							 .response_time_m2 = 3600.0 * 3600 * 0.99});
	CHECK(!look(s, 1).convict, "one value is not a difference of means: p %g", look(s, 1).p_value);
}

static void
margins(void)
{
	guard_margin m[ROLLOUT_METRICS] = {{0}};
	guard_stratum s = step(50, side(100000, 10000), side(100000, 12000));
	guard_verdict v = look(&s, 1);

	/* success 0.90 -> 0.88 */
	CHECK(v.convict && v.worst == ROLLOUT_SUCCESS_RATE, "beyond 0.01: p %g", v.p_value);
	CHECK(fabs(v.metrics[ROLLOUT_SUCCESS_RATE].difference + 0.02) < 1e-12 &&
			  fabs(v.metrics[ROLLOUT_SUCCESS_RATE].margin + 0.01) < 1e-12,
		  "difference %g, margin %g", v.metrics[ROLLOUT_SUCCESS_RATE].difference,
		  v.metrics[ROLLOUT_SUCCESS_RATE].margin);
	CHECK(v.metrics[ROLLOUT_ERROR_RATE].p_value == 1, "no errors");
	m[ROLLOUT_SUCCESS_RATE].absolute = 0.02;
	CHECK(guard_look(m, GUARD_LEVEL, &s, 1).metrics[ROLLOUT_SUCCESS_RATE].p_value == 1, "exactly at it");
	/* relative to the success rate: 0.90 * 0.02 = 0.018 < 0.02 < 0.90 * 0.025 */
	m[ROLLOUT_SUCCESS_RATE] = (guard_margin){.relative = 0.025};
	v = guard_look(m, GUARD_LEVEL, &s, 1);
	CHECK(!v.convict && fabs(v.metrics[ROLLOUT_SUCCESS_RATE].margin + 0.0225) < 1e-12, "p %g", v.p_value);
	m[ROLLOUT_SUCCESS_RATE] = (guard_margin){.relative = 0.01};
	CHECK(guard_look(m, GUARD_LEVEL, &s, 1).convict, "beyond 1 %%");
	m[ROLLOUT_SUCCESS_RATE] = (guard_margin){.absolute = 0.004, .relative = 0.02};
	CHECK(!guard_look(m, GUARD_LEVEL, &s, 1).convict, "both together");
	m[ROLLOUT_SUCCESS_RATE] = (guard_margin){.absolute = INFINITY};
	CHECK(guard_look(m, GUARD_LEVEL, &s, 1).p_value == 1, "not judged");
	for (int i = 0; i < 3; i++)
	{
		static const guard_margin wide[3] = {{1, 0}, {0, 1}, {5, 7}};

		m[ROLLOUT_SUCCESS_RATE] = wide[i];
		s = step(50, side(1000, 0), side(1000, 1000));
		CHECK(guard_look(m, GUARD_LEVEL, &s, 1).p_value == 1, "nothing is beyond a margin of everything");
	}
	/* A relative margin of the error rate: from 0.10 to 0.12 is 20 %. */
	s = (guard_stratum){.share = 50,
						.baseline = {.requests = 100000, .errors = 10000},
						.candidate = {.requests = 100000, .errors = 12000}};
	m[ROLLOUT_ERROR_RATE] = (guard_margin){.relative = 0.25};
	CHECK(!guard_look(m, GUARD_LEVEL, &s, 1).convict, "within 25 %%");
	m[ROLLOUT_ERROR_RATE] = (guard_margin){.relative = 0.10};
	v = guard_look(m, GUARD_LEVEL, &s, 1);
	CHECK(v.convict && v.worst == ROLLOUT_ERROR_RATE && fabs(v.metrics[ROLLOUT_ERROR_RATE].margin - 0.01) < 1e-12,
		  "beyond 10 %%");
}

/* More failures of the candidate never speak for it, more of the baseline never against. */
static void
monotone(void)
{
	int wrong = 0;

	for (int b = 0; b <= 90; b += 3)
		for (int c = 1; c <= 30; c++)
		{
			guard_stratum less = step(25, side(90, b), side(30, c - 1));
			guard_stratum more = step(25, side(90, b), side(30, c));
			guard_stratum worse_baseline = step(25, side(90, b + 1 > 90 ? 90 : b + 1), side(30, c));
			double e = look(&more, 1).log_e;

			/* where there is evidence at all */
			wrong += e > 0 && (look(&less, 1).log_e > e + 1e-9 || look(&worse_baseline, 1).log_e > e + 1e-9);
		}
	CHECK(wrong == 0, "%d times", wrong);
}

static void
the_same_counts_the_same_answer(void)
{
	guard_stratum s[10];
	guard_stratum spread[20] = {{0}};
	guard_verdict v;
	guard_verdict again;

	for (int k = 0; k < 10; k++)
		spread[2 * k + 1] = s[k] = step(10 * k + 10, side(900 - 90 * k, 9 + k), side(100 + 90 * k, 3 + 2 * k));
	v = look(s, 10);
	again = look(s, 10);
	CHECK(memcmp(&v, &again, sizeof(v)) == 0, "pure");
	again = look(spread, 11);
	CHECK(fabs(look(s, 5).log_e - look(spread, 10).log_e) > 1e-3, "later steps cost a little to begin with");
	s[9].candidate = side(0, 0);
	CHECK(fabs(look(s, 9).log_e - look(s, 10).log_e) < 1e-12, "one-sided steps add nothing");
	/* Evidence of steps adds up. */
	for (int k = 0; k < 10; k++)
		s[k] = step(50, side(100, 5), side(100, 14));
	CHECK(!look(s, 1).convict && look(s, 10).convict, "p of one %g, of ten %g", look(s, 1).p_value,
		  look(s, 10).p_value);
}

static void
huge_counts(void)
{
	int64_t n = INT64_C(1000000000000000);
	guard_stratum s = step(50, side(n, n / 100), side(n, n / 50));
	guard_verdict v = look(&s, 1);

	s.baseline.response_time_count = s.candidate.response_time_count = n;
	s.baseline.response_time_mean = s.candidate.response_time_mean = 1e-3;
	s.baseline.response_time_m2 = s.candidate.response_time_m2 = 1e-6 * (double) n;
	CHECK(!v.convict && v.p_value == 1, "on the edge: %g", v.log_e);
	s.candidate.successes -= n / 1000;
	v = look(&s, 1);
	CHECK(v.convict && isfinite(v.log_e) && v.p_value == 0, "just beyond it: %g", v.log_e);
	CHECK(v.metrics[ROLLOUT_RESPONSE_TIME].p_value == 1, "equal times");
	s.candidate.response_time_mean = 1e-3 * 1.2;
	CHECK(look(&s, 1).metrics[ROLLOUT_RESPONSE_TIME].log_e > 1e6, "20 %% slower");
	/* One failure in a thousand million. */
	s = step(50, side(1000000000, 1), side(1000000000, 1));
	v = guard_look(no_margins, GUARD_LEVEL, &s, 1);
	CHECK(!v.convict && v.p_value == 1, "rare: %g", v.log_e);
}

static void
bounds(void)
{
	guard_stratum s[2] = {step(10, side(9000, 90), side(1000, 60)), step(50, side(5000, 100), side(5000, 350))};
	guard_margin m[ROLLOUT_METRICS] = {{0}};

	/* A difference of 0.05 convicts the more surely the smaller the margin is, and never beyond it. */
	m[ROLLOUT_SUCCESS_RATE].absolute = 0.03;
	CHECK(guard_look(m, GUARD_LEVEL, s, 2).metrics[ROLLOUT_SUCCESS_RATE].p_value <= GUARD_LEVEL, "below it");
	m[ROLLOUT_SUCCESS_RATE].absolute = 0.05;
	CHECK(guard_look(m, GUARD_LEVEL, s, 2).metrics[ROLLOUT_SUCCESS_RATE].p_value > GUARD_LEVEL, "at it");
	CHECK(guard_look(no_margins, GUARD_LEVEL, s, 2).metrics[ROLLOUT_ERROR_RATE].p_value > GUARD_LEVEL, "no errors");
	/* 0.3 s slower. */
	s[0] = step(10, timed(9000, 0.2, 0.2), timed(1000, 0.5, 0.5));
	m[ROLLOUT_RESPONSE_TIME].absolute = 0.2;
	CHECK(guard_look(m, GUARD_LEVEL, s, 1).metrics[ROLLOUT_RESPONSE_TIME].p_value <= GUARD_LEVEL, "slower than that");
	m[ROLLOUT_RESPONSE_TIME].absolute = 0.3;
	CHECK(guard_look(m, GUARD_LEVEL, s, 1).metrics[ROLLOUT_RESPONSE_TIME].p_value > GUARD_LEVEL, "not slower");
}

static void
sample_ratios(void)
{
	guard_stratum s[3] = {{0}};
	guard_sample_ratio r;

	r = guard_check_sample_ratio(s, 0, 0);
	CHECK(r.p_value == 1 && r.chi_square_p_value == 1 && r.df == 0 && !r.alarm, "nothing");
	s[0] = step(10, side(900, 0), side(100, 0));
	r = guard_check_sample_ratio(s, 1, 0);
	CHECK(r.p_value == 1 && r.chi_square == 0 && r.expected == 100 && r.counted == 100, "as it should be");
	s[0] = step(10, side(900, 0), side(50, 0));
	r = guard_check_sample_ratio(s, 1, 0);
	CHECK(fabs(r.chi_square_p_value - power_sample_ratio(900, 50, 0.1)) < 1e-12, "one step: %g", r.chi_square_p_value);
	CHECK(r.alarm && r.p_value > r.chi_square_p_value, "50 of 95: %g, %g", r.p_value, r.chi_square_p_value);
	/* It hangs: nothing of the candidate ever arrives. */
	s[0] = step(10, side(60, 0), side(0, 0));
	CHECK(!guard_check_sample_ratio(s, 1, 0).alarm, "60 say little: %g", guard_check_sample_ratio(s, 1, 0).p_value);
	s[0] = step(10, side(200, 0), side(0, 0));
	CHECK(guard_check_sample_ratio(s, 1, 0).alarm, "200: %g", guard_check_sample_ratio(s, 1, 0).p_value);
	/* So does the baseline. */
	s[0] = step(90, side(0, 0), side(200, 0));
	CHECK(guard_check_sample_ratio(s, 1, 0).alarm, "baseline: %g", guard_check_sample_ratio(s, 1, 0).p_value);
	/* Shares differ from step to step; the sum of both is nobody's share. */
	s[0] = step(10, side(900, 0), side(100, 0));
	s[1] = step(50, side(500, 0), side(500, 0));
	s[2] = step(100, side(3, 0), side(5000, 0));
	r = guard_check_sample_ratio(s, 3, 0);
	CHECK(r.p_value == 1 && r.df == 2 && r.expected == 600 && r.counted == 600, "by step: %g", r.p_value);
	/* A tolerated deviation does not become an alarm by being counted long. */
	s[0] = step(10, side(900000, 0), side(95000, 0));
	CHECK(guard_check_sample_ratio(s, 1, 0).alarm, "5 %% fewer");
	CHECK(!guard_check_sample_ratio(s, 1, 0.1).alarm && guard_check_sample_ratio(s, 1, 0.1).p_value == 1, "tolerated");
	s[0] = step(10, side(900000, 0), side(85000, 0));
	CHECK(guard_check_sample_ratio(s, 1, 0.1).alarm, "15 %% fewer are not");
}

/* Looks are made every second for every rollout. */
static void
cost(void)
{
	guard_stratum s[10];
	clock_t start = clock();
	double sum = 0;

	for (int k = 0; k < 10; k++)
	{
		s[k] = step(10 * k + 10, side(90000 - 9000 * k, 900), side(10000 + 9000 * k, 700));
		s[k].baseline.response_time_count = s[k].candidate.response_time_count = 1000;
		s[k].baseline.response_time_mean = s[k].candidate.response_time_mean = 0.2;
		s[k].baseline.response_time_m2 = s[k].candidate.response_time_m2 = 30;
	}
	for (int i = 0; i < 2000; i++)
	{
		s[0].candidate.known++;
		sum += look(s, 10).log_e;
	}
	printf("a look at ten steps: %.1f us (with sanitizers where the tests are built so)\n",
		   (double) (clock() - start) / CLOCKS_PER_SEC / 2000 * 1e6);
	CHECK(isfinite(sum), "%g", sum);
}

int
main(void)
{
	two_days();
	expected_e_value();
	evidence_is_that_of_z();
	tiny_counts();
	means();
	margins();
	monotone();
	the_same_counts_the_same_answer();
	huge_counts();
	bounds();
	sample_ratios();
	cost();
	return unit_done();
}
