/*
 * guard_simulation.c: the promises of the guard about repetition, by simulated rollouts with fixed seeds, looked at
 * after every few requests: innocent candidates, at and inside the margin, are convicted in at most 1 %; worse ones
 * are, soon. Short here, thorough where MODEL_MGR_SOAK is set (make soak).
 */
#include "random.h"
#include "unit.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/distribution.h"
#include "core/guard.h"
#include "core/moments.h"

static int thorough;

/* limit: the most that may be seen of a rate of at most 1 %: the upper end of the binomial 99 % band. */
static double
limit(double rate, int runs)
{
	return runs * rate + 2.5758 * sqrt(rate * (1 - rate) * runs);
}

#define STEPS 10
#define LATE 4000
static const double usual[STEPS] = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
static const double careful[STEPS] = {1, 2, 5, 10, 20, 30, 40, 50, 50, 100};

static const double bold[STEPS] = {50, 60, 70, 80, 90, 90, 95, 95, 99, 100};
static const double half[STEPS] = {50, 50, 50, 50, 50, 50, 50, 50, 50, 100};

/* A rollout's traffic. Rates are those of the baseline; worse: what the candidate adds. */
typedef struct traffic
{
	const char *name;
	const double *shares;
	int requests;       /* a step */
	double failures[2]; /* at the first and at the last step, changing from request to request */
	double errors[2];
	double swing;   /* of both rates within each step, as a factor: 1 - swing .. 1 + swing */
	int good_steps; /* the candidate gets worse with the step after these */
	double worse_failures;
	double worse_errors;
	double worse_time; /* factor */
	double spread;     /* sigma of lognormal response times; 0: constant; negative: none recorded */
	int late;          /* success becomes known so many requests later */
	bool no_margins;   /* all margins 0 */
	bool heavy;        /* the candidate gets three times its share: its units send more requests */
} traffic;

typedef struct result
{
	bool convicted;
	int64_t requests; /* at conviction or at the end */
	int64_t candidate;
	int64_t bad; /* failures that the candidate's users saw */
	rollout_metric worst;
} result;

typedef struct label
{
	int step;
	bool candidate;
	bool success;
} label;

static label pending[LATE];

static void
learn(guard_stratum *strata, label l)
{
	guard_side *side = l.candidate ? &strata[l.step].candidate : &strata[l.step].baseline;

	side->known++;
	side->successes += l.success;
}

static result
rollout(const traffic *t, int every)
{
	static const guard_margin none[ROLLOUT_METRICS] = {{0}};
	guard_stratum strata[STEPS] = {{0}};
	moments times[STEPS][2];
	result r = {.worst = ROLLOUT_METRICS};
	int64_t total = (int64_t) t->requests * STEPS;

	memset(times, 0, sizeof(times));
	for (int64_t i = 0; i < total; i++)
	{
		int step = (int) (i / t->requests);
		double along = (double) i / (double) total;
		double swing = 1 + t->swing * sin(2 * 3.14159265358979 * (double) (i % t->requests) / t->requests);
		double share = t->shares[step] / 100;
		bool candidate;
		guard_side *side;
		double failures = swing * (t->failures[0] + along * (t->failures[1] - t->failures[0]));
		double errors = swing * (t->errors[0] + along * (t->errors[1] - t->errors[0]));
		double level = 0.2 * swing * (1 + along);
		double u = uniform();
		label l;

		strata[step].share = t->shares[step];
		if (t->heavy)
			share = share >= 1 ? 1 : 3 * share / (1 + 2 * share);
		candidate = uniform() < share;
		side = candidate ? &strata[step].candidate : &strata[step].baseline;
		if (candidate && step >= t->good_steps)
		{
			failures += t->worse_failures;
			errors += t->worse_errors;
			level *= t->worse_time;
		}
		/* errors are failures too: the two metrics depend on each other as they do in life */
		side->requests++;
		side->errors += u < errors;
		l = (label){step, candidate, u >= failures};
		r.candidate += candidate;
		r.bad += candidate && !l.success;
		if (t->late == 0)
			learn(strata, l);
		else
		{
			if (i >= t->late)
				learn(strata, pending[i % t->late]);
			pending[i % t->late] = l;
		}
		if (t->spread >= 0)
			moments_add(&times[step][candidate],
						t->spread > 0 ? level * exp(t->spread * normal() - t->spread * t->spread / 2) : level);

		if (i % every == every - 1)
		{
			guard_verdict v;

			for (int arm = 0; arm < 2; arm++)
			{
				guard_side *s = arm ? &strata[step].candidate : &strata[step].baseline;
				const moments *m = &times[step][arm];

				s->response_time_count = m->n;
				s->response_time_mean = m->n > 0 ? dd_value(moments_mean(m)) : 0;
				s->response_time_m2 = m->m2;
			}
			v = guard_look(t->no_margins ? none : guard_margins_default, GUARD_LEVEL, strata, step + 1);
			if (v.convict)
			{
				r.convicted = true;
				r.worst = v.worst;
				r.requests = i + 1;
				return r;
			}
		}
	}
	r.requests = total;
	return r;
}

/* Innocent: at the margin, or equal with a margin of nothing, which is the same and leaves nothing to absorb errors. */
static const traffic innocent[] = {
	{.name = "equal", .requests = 500, .failures = {.02, .02}, .errors = {.01, .01}, .worse_time = 1, .spread = 1},
	{.name = "at the margin", .failures = {.02, .02}, .errors = {.01, .01}, .spread = 1},
	{.name = "rates of 5 %", .failures = {.05, .05}, .errors = {.05, .05}, .spread = 1},
	{.name = "base rates drift with the steps", .failures = {.01, .10}, .errors = {.001, .05}, .spread = 1},
	{.name = "and swing within them", .failures = {.02, .10}, .errors = {.01, .05}, .swing = .9, .spread = 1},
	{.name = "rare events", .requests = 1000, .failures = {.0005, .0005}, .errors = {.0002, .0002}, .spread = -1},
	{.name = "rare, no margins",
	 .requests = 1000,
	 .failures = {.002, .002},
	 .errors = {.001, .001},
	 .no_margins = true},
	{.name = "common, no margins",
	 .failures = {.3, .5},
	 .errors = {.1, .1},
	 .swing = .5,
	 .spread = 1,
	 .no_margins = true},
	{.name = "thrice its share, no margins",
	 .failures = {.1, .3},
	 .errors = {.1, .1},
	 .swing = .9,
	 .spread = 1,
	 .no_margins = true,
	 .heavy = true},
	{.name = "response times, sigma 0.3", .failures = {.02, .02}, .errors = {.01, .01}, .spread = .3},
	{.name = "response times, sigma 2", .failures = {.02, .02}, .errors = {.01, .01}, .spread = 2},
	{.name = "few requests", .requests = 50, .failures = {.02, .02}, .errors = {.01, .01}, .spread = 1},
	{.name = "few, no margins",
	 .requests = 50,
	 .failures = {.3, .3},
	 .errors = {.1, .1},
	 .spread = 1,
	 .no_margins = true},
	{.name = "shares from 1 %",
	 .shares = careful,
	 .requests = 1000,
	 .failures = {.02, .02},
	 .errors = {.01, .01},
	 .spread = 1},
	{.name = "from 1 %, no margins",
	 .shares = careful,
	 .failures = {.1, .02},
	 .errors = {.01, .01},
	 .spread = 1,
	 .no_margins = true},
	{.name = "small baseline, no margins",
	 .shares = bold,
	 .failures = {.1, .02},
	 .errors = {.01, .01},
	 .spread = 1.5,
	 .no_margins = true},
	{.name = "success known late", .failures = {.02, .2}, .errors = {.01, .01}, .swing = .5, .spread = 1, .late = 1500},
};
#define INNOCENT ((int) (sizeof(innocent) / sizeof(innocent[0])))

/* completed: a scenario with what it leaves out: innocent candidates are at the margin, or equal where that is nothing.
 */
static traffic
completed(traffic t)
{
	if (t.shares == NULL)
		t.shares = usual;
	if (t.requests == 0)
		t.requests = 500;
	if (t.worse_time == 0)
	{
		t.worse_time = t.no_margins ? 1 : 1.1;
		t.worse_failures = t.worse_errors = t.no_margins ? 0 : 0.01;
	}
	return t;
}

static void
innocent_candidates_stay(void)
{
	int runs = thorough ? 2000 : 40;
	int convicted_all = 0;

	for (int k = 0; k < INNOCENT; k++)
	{
		traffic t = completed(innocent[k]);
		int convicted = 0;

		seed(1000 + (uint64_t) k);
		for (int run = 0; run < runs; run++)
			convicted += rollout(&t, thorough ? 10 : 25).convicted;
		printf("innocent, %s: %d of %d convicted\n", t.name, convicted, runs);
		CHECK(convicted <= limit(GUARD_LEVEL, runs), "%s: %d of %d", t.name, convicted, runs);
		convicted_all += convicted;
	}
	printf("innocent, all: %d of %d convicted\n", convicted_all, runs * INNOCENT);
	CHECK(convicted_all <= limit(GUARD_LEVEL, runs * INNOCENT), "%d of %d", convicted_all, runs * INNOCENT);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a;
	int64_t y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

/*
 * How long it takes, in outcomes of the candidate at equal shares, against what a test of the same level would need
 * that looks once, at the end, and whose length somebody has computed beforehand: (z_level + z_power)^2 variance /
 * excess^2.
 */
static void
worse_candidates_go(void)
{
	static const struct
	{
		traffic t;
		rollout_metric metric;
		double variance; /* of a pair */
		double excess;   /* beyond the margin */
		int within;      /* requests, for the usual canary, in 95 % of the rollouts */
	} worse[] = {
		{{.name = "success 0.99 -> 0.95", .failures = {.01, .01}, .worse_failures = .04, .worse_time = 1, .spread = 1},
		 ROLLOUT_SUCCESS_RATE,
		 .05 * .95 + .01 * .99,
		 .03,
		 7000},
		{{.name = "errors 0.01 -> 0.06",
		  .failures = {.01, .01},
		  .errors = {.01, .01},
		  .worse_failures = .05,
		  .worse_errors = .05,
		  .worse_time = 1,
		  .spread = 1},
		 ROLLOUT_ERROR_RATE,
		 .06 * .94 + .01 * .99,
		 .04,
		 5000},
		{{.name = "breaks at 50 %",
		  .failures = {.01, .01},
		  .good_steps = 4,
		  .worse_failures = .04,
		  .worse_time = 1,
		  .spread = 1},
		 ROLLOUT_SUCCESS_RATE,
		 .05 * .95 + .01 * .99,
		 .03,
		 13500},
		{{.name = "response time + 50 %", .failures = {.01, .01}, .worse_time = 1.5, .spread = 1},
		 ROLLOUT_RESPONSE_TIME,
		 1.71828 * (2.25 + 1.21),
		 .4,
		 7000},
	};
	int runs = thorough ? 1000 : 50;

	for (int k = 0; k < (int) (sizeof(worse) / sizeof(worse[0])); k++)
	{
		double z = -distribution_normal_quantile(GUARD_LEVEL) + distribution_normal_quantile(0.5);
		double fixed = z * z * worse[k].variance / (worse[k].excess * worse[k].excess);
		static int64_t taken[2][1000];
		int64_t bad = 0;

		for (int canary = 0; canary < 2; canary++)
		{
			traffic t = completed(worse[k].t);
			int convicted = 0;
			int right = 0;

			t.requests = 2000;
			t.shares = canary ? usual : half;
			seed(2000 + (uint64_t) k);
			for (int run = 0; run < runs; run++)
			{
				result r = rollout(&t, 10);

				convicted += r.convicted;
				right += r.worst == worse[k].metric || (r.worst == ROLLOUT_SUCCESS_RATE && t.worse_errors > 0);
				taken[canary][run] = canary ? r.requests : r.candidate - (int64_t) t.good_steps * t.requests / 2;
				bad += canary ? r.bad : 0;
			}
			CHECK(convicted == runs, "%s: %d of %d", t.name, convicted, runs);
			CHECK(right == runs, "%s: named rightly in %d of %d", t.name, right, runs);
			qsort(taken[canary], (size_t) runs, sizeof(int64_t), by_size);
		}
		printf("worse, %s: usual canary: median %d requests, 95 %% within %d, %.1f bad ones; "
			   "at 50 %%: median %d of the candidate, looking once at the end %.0f\n",
			   worse[k].t.name, (int) taken[1][runs / 2], (int) taken[1][runs * 95 / 100], (double) bad / runs,
			   (int) taken[0][runs / 2], fixed);
		CHECK(taken[1][runs * 95 / 100] <= worse[k].within, "%s: %d requests", worse[k].t.name,
			  (int) taken[1][runs * 95 / 100]);
		CHECK((double) taken[0][runs / 2] <= 4 * fixed, "%s: %d outcomes, %.0f", worse[k].t.name,
			  (int) taken[0][runs / 2], fixed);
	}
}

/* The sample ratio, looked at after every request: alarms at true shares; and how soon a candidate that hangs shows. */
static void
sample_ratio(void)
{
	int runs = thorough ? 20000 : 1000;
	int alarms = 0;
	int naive = 0;
	int64_t soon = 0;

	seed(3000);
	for (int run = 0; run < runs; run++)
	{
		guard_stratum strata[STEPS] = {{0}};
		bool alarm = false;
		bool chi = false;

		for (int i = 0; i < 100 * STEPS; i++)
		{
			int step = i / 100;
			guard_sample_ratio r;

			strata[step].share = usual[step];
			if (uniform() * 100 < usual[step])
				strata[step].candidate.requests++;
			else
				strata[step].baseline.requests++;
			if (i % 4 > 0)
				continue;
			r = guard_check_sample_ratio(strata, step + 1, 0);
			alarm |= r.alarm;
			chi |= r.df > 0 && r.chi_square_p_value <= GUARD_SAMPLE_RATIO_LEVEL;
		}
		alarms += alarm;
		naive += chi;
	}
	printf("sample ratio, true shares: %d of %d alarms (chi-square %d)\n", alarms, runs, naive);
	CHECK(alarms <= limit(GUARD_SAMPLE_RATIO_LEVEL, runs), "%d of %d", alarms, runs);
	CHECK(naive > 2 * GUARD_SAMPLE_RATIO_LEVEL * runs, "chi-square is not to be looked at so often: %d", naive);
	for (int run = 0; run < 100; run++)
	{
		guard_stratum stratum = {.share = 10};
		int i = 0;

		/* every fourth outcome of the candidate is lost */
		for (; i < 100000 && !guard_check_sample_ratio(&stratum, 1, 0.1).alarm; i++)
			if (uniform() >= .1)
				stratum.baseline.requests++;
			else if (uniform() >= .25)
				stratum.candidate.requests++;
		soon += i;
	}
	printf("sample ratio, every fourth outcome lost at 10 %%: alarm after %d requests\n", (int) (soon / 100));
	CHECK(soon / 100 < 8000, "%d requests", (int) (soon / 100));
}

int
main(void)
{
	thorough = getenv("MODEL_MGR_SOAK") != NULL;
	innocent_candidates_stay();
	worse_candidates_go();
	sample_ratio();
	return unit_done();
}
