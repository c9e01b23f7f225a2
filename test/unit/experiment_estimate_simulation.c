/*
 * experiment_estimate_simulation.c: what experiments promise of each estimate, by simulation with fixed seeds: units
 * with many outcomes, CUPED, guardrails, sample ratios, quantiles from sketches. Short here, many more where
 * MODEL_MGR_SOAK is set (make soak). Figures are printed.
 */
#include "experiment_fixture.h"
#include "random.h"
#include "repetition.h"
#include "unit.h"

#include <math.h>

#include "core/summary.h"

static fixture f;

/* ---------- units with several outcomes ---------- */

/* units_of_many: equal arms, units whose outcomes resemble each other; a single look. */
static void
units_of_many(void)
{
	int runs = runs_of(150, 10000);
	int by_unit[2] = {0, 0};
	int by_request[2] = {0, 0};

	seed(4000);
	fixture_init(&f, 2, 2);
	f.metric[1].anchor = 10;
	for (int i = 0; i < runs; i++)
	{
		double squares[2] = {0, 0};

		memset(f.moments, 0, sizeof(f.moments));
		for (int u = 0; u < 400; u++)
		{
			int arm = uniform() < 0.5;
			double own = uniform();       /* the unit's success rate */
			double level = 10 + normal(); /* and its mean */
			int n = 1 + (int) (-5 * log(1 - uniform()));
			double rate[EXPERIMENT_SUMS] = {n};
			double mean[EXPERIMENT_SUMS] = {n};

			for (int k = 0; k < n; k++)
			{
				double x = level + normal() - 10;

				rate[1] += uniform() < own;
				mean[1] += x;
				squares[arm] += x * x;
			}
			experiment_moments_change(fixture_cell(&f, 0, arm, 0), NULL, rate);
			experiment_moments_change(fixture_cell(&f, 0, arm, 1), NULL, mean);
		}
		fixture_estimates(&f);
		for (int m = 0; m < 2; m++)
			by_unit[m] += fixture_estimate(&f, m, 1)->p_value < 0.05;
		{
			/* what a test of outcomes would have said */
			hypothesis_arm arm[2];
			hypothesis_result r;

			for (int a = 0; a < 2; a++)
			{
				const experiment_moments *sums = fixture_cell(&f, 0, a, 1);
				double n = sums->sum[0];

				arm[a] = (hypothesis_arm){
					(int64_t) n, {sums->sum[1] / n, 0}, (squares[a] - sums->sum[1] * sums->sum[1] / n) / (n - 1)};
			}
			by_request[1] += hypothesis_welch(arm[0], arm[1], 0.95).p_value < 0.05;
			r = hypothesis_two_proportions(
				(int64_t) fixture_cell(&f, 0, 0, 0)->sum[1], (int64_t) fixture_cell(&f, 0, 0, 0)->sum[0],
				(int64_t) fixture_cell(&f, 0, 1, 0)->sum[1], (int64_t) fixture_cell(&f, 0, 1, 0)->sum[0], 0.95);
			by_request[0] += r.p_value < 0.05;
		}
	}
	for (int m = 0; m < 2; m++)
	{
		double unit = by_unit[m] / (double) runs;
		double request = by_request[m] / (double) runs;

		printf("equal arms, 400 units of 5.5 outcomes, %s: false alarms by units %.4f, by outcomes %.4f\n",
			   m == 0 ? "rate" : "mean", unit, request);
		CHECK(fabs(unit - 0.05) <= 0.006 + band(0.05, runs), "by units: %.4f", unit);
		CHECK(request > 0.15, "by outcomes: %.4f", request);
	}
}

/* pasts: CUPED holds its level and makes the interval as much narrower as it says. */
static void
pasts(void)
{
	int runs = runs_of(150, 10000);
	int covered = 0;
	int plain_covered = 0;
	double reduction = 0;
	double square[2] = {0, 0};

	seed(5000);
	fixture_init(&f, 2, 2);
	for (int i = 0; i < runs; i++)
	{
		experiment_estimate *e;

		memset(f.moments, 0, sizeof(f.moments));
		for (int u = 0; u < 300; u++)
		{
			int arm = uniform() < 0.4;
			double own = normal();
			int n = 1 + (int) (uniform() * 4);
			int before = uniform() < 0.2 ? 0 : 1 + (int) (uniform() * 10);
			double v[EXPERIMENT_SUMS] = {n, n * own + sqrt(n) * 0.7 * normal() + 0.3 * n * arm, before,
										 before * own + sqrt(before) * 0.7 * normal()};

			experiment_moments_change(fixture_cell(&f, 0, arm, 1), NULL, v);
		}
		fixture_estimates(&f);
		e = fixture_estimate(&f, 1, 1);
		covered += e->cuped_ci_low <= 0.3 && 0.3 <= e->cuped_ci_high;
		plain_covered += e->ci_low <= 0.3 && 0.3 <= e->ci_high;
		reduction += e->cuped_reduction / runs;
		square[0] += (e->difference - 0.3) * (e->difference - 0.3) / runs;
		square[1] += (e->cuped_difference - 0.3) * (e->cuped_difference - 0.3) / runs;
	}
	printf("pasts of 80 %% of units: CUPED interval covers %.4f (plain %.4f), reduction stated %.3f, seen %.3f\n",
		   covered / (double) runs, plain_covered / (double) runs, reduction, 1 - square[1] / square[0]);
	CHECK(fabs(covered / (double) runs - 0.95) <= 0.006 + band(0.05, runs), "%d of %d", covered, runs);
	CHECK(fabs(plain_covered / (double) runs - 0.95) <= 0.006 + band(0.05, runs), "%d of %d", plain_covered, runs);
	CHECK(reduction > 0.4 && fabs(reduction - (1 - square[1] / square[0])) < 0.1, "stated %g, seen %g", reduction,
		  1 - square[1] / square[0]);
}

/* ---------- guardrails and the sample ratio ---------- */

/* guardrails: a variant at the bound exactly is not called beyond it, one beyond is, whatever is looked at. */
static void
guardrails(void)
{
	int runs = runs_of(40, 5000);
	int broken[2][3] = {{0}};
	double length = 0;

	for (int beyond = 0; beyond < 2; beyond++)
		for (int kind = 0; kind < 3; kind++)
		{
			seed(7000 + (uint64_t) (beyond * 3 + kind));
			for (int i = 0; i < runs; i++)
			{
				fixture_init(&f, 2, 2);
				f.plan.min_samples = 1e9;
				f.metric[1].role = EXPERIMENT_GUARDRAIL;
				f.metric[1].direction = -1;
				if (kind == 0)
				{
					f.metric[1].form = EXPERIMENT_RATE;
					f.metric[1].bounds.max_increase = 0.01;
				}
				else
					f.metric[1].bounds.max_relative_increase = 0.2;
				for (int n = 0; n < 6000; n++)
				{
					for (int arm = 0; arm < 2; arm++)
					{
						double x;

						if (kind == 0)
							x = uniform() < 0.02 + (arm ? 0.01 + 0.03 * beyond : 0);
						else
							/* skew: lognormal; or rare large values */
							x = (kind == 1 ? exp(0.8 * normal()) : 1 + 50 * (uniform() < 0.02)) *
								(arm ? 1.2 + 0.4 * beyond : 1);
						fixture_add(&f, 0, arm, 1, x);
					}
					if (n % 60 == 59)
					{
						experiment_result r = fixture_look(&f, false);

						if (r.guardrail.metric == 1)
						{
							broken[beyond][kind]++;
							length += beyond ? n / (6000.0 * 3 * runs) : 0;
							CHECK(r.decision.winner == EXPERIMENT_CONTROL_ARM &&
									  r.guardrail.surely >= r.guardrail.allowed,
								  "surely %g", r.guardrail.surely);
							break;
						}
					}
				}
			}
		}
	for (int kind = 0; kind < 3; kind++)
	{
		double false_alarms = broken[0][kind] / (double) runs;
		double found = broken[1][kind] / (double) runs;

		printf("guardrail, %s: broken at the bound %.4f, beyond it %.4f\n",
			   kind == 0   ? "rate"
			   : kind == 1 ? "lognormal mean"
						   : "mean of rare large values",
			   false_alarms, found);
		CHECK(false_alarms <= EXPERIMENT_GUARDRAIL_LEVEL + band(EXPERIMENT_GUARDRAIL_LEVEL, runs), "%.4f",
			  false_alarms);
		CHECK(found > (kind == 2 ? 0.1 : 0.9), "%.4f", found);
	}
}

/* sample_ratios: alarms of tests that are all right, and of those that lose 7 % of one arm. */
static void
sample_ratios(void)
{
	int runs = runs_of(2000, 200000);
	int alarms[2] = {0, 0};

	seed(8000);
	fixture_init(&f, 3, 1);
	f.share[0] = 0.5;
	f.share[1] = 0.3;
	f.share[2] = 0.2;
	f.plan.epochs = 2;
	for (int i = 0; i < runs; i++)
		for (int lost = 0; lost < 2; lost++)
		{
			bool alarm;

			memset(f.units, 0, sizeof(f.units));
			for (int epoch = 0; epoch < 2; epoch++)
				for (int arm = 0; arm < 3; arm++)
				{
					double expected = 10000 * (epoch + 1) * f.share[epoch * 3 + arm];

					f.units[epoch * 3 + arm] =
						(int64_t) floor(expected * (lost && arm == 1 ? 0.93 : 1) + sqrt(expected) * normal() + 0.5);
				}
			(void) experiment_sample_ratio(&f.plan, f.units, &alarm);
			alarms[lost] += alarm;
		}
	printf("sample ratio: alarms %.5f, with 7 %% of an arm lost %.4f\n", alarms[0] / (double) runs,
		   alarms[1] / (double) runs);
	CHECK(alarms[0] <= runs * (0.001 + band(0.001, runs)), "%d of %d", alarms[0], runs);
	CHECK(alarms[1] > runs * 0.9, "%d of %d", alarms[1], runs);
}

/* ---------- quantiles from sketches ---------- */

static void *
sketch_space(void *context, void *old, size_t size)
{
	if (size > 0)
		return realloc(old, size);
	free(old);
	return NULL;
}

/* quantile_value: lognormal times, narrow; whole numbers, few of them; a second mode that begins at the quantile. */
static double
quantile_value(int kind)
{
	if (kind == 0)
		return exp(0.1 * normal());
	if (kind == 1)
		return 1 + floor(20 * uniform() * uniform());
	return (uniform() < 0.95 ? 0.1 : 10) * exp(0.3 * normal());
}

/* quantiles: the 95th percentile of equal arms, whose sketches have few buckets, gaps and steps around it. */
static void
quantiles_of_sketches(void)
{
	int runs = runs_of(100, 5000);

	for (int kind = 0; kind < 3; kind++)
		for (int n = 400; n <= 6400; n *= 4)
		{
			int alarms = 0;
			int found = 0;

			seed(9000 + (uint64_t) (kind * 100000 + n));
			fixture_init(&f, 3, 1);
			f.metric[0].form = EXPERIMENT_QUANTILE;
			for (int i = 0; i < runs; i++)
			{
				for (int arm = 0; arm < 3; arm++)
				{
					static unsigned char form[SUMMARY_SIZE_MAX];
					summary s;

					summary_init(&s, sketch_space, NULL);
					for (int k = 0; k < n; k++)
						summary_add(&s, quantile_value(kind) * (arm == 2 ? 1.5 : 1));
					f.quantile[arm] = experiment_quantile_of(form, summary_encode(&s, form), 0.95);
					summary_free(&s);
				}
				fixture_estimates(&f);
				alarms += fixture_estimate(&f, 0, 1)->p_value < 0.05;
				found += fixture_estimate(&f, 0, 2)->p_value < 0.05;
			}
			printf("95th percentile, %s, %d values: false alarms %.4f, half as much again found %.4f\n",
				   kind == 0   ? "narrow"
				   : kind == 1 ? "whole numbers"
							   : "two modes",
				   n, alarms / (double) runs, found / (double) runs);
			CHECK(alarms <= runs * (0.05 + band(0.05, runs)), "%d of %d", alarms, runs);
			CHECK(found > runs * 0.9 || kind == 2, "%d of %d", found, runs);
		}
}

int
main(void)
{
	units_of_many();
	pasts();
	guardrails();
	sample_ratios();
	quantiles_of_sketches();
	return unit_done();
}
