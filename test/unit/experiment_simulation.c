/*
 * experiment_simulation.c: the promises of experiments about repetition, by simulated tests with fixed seeds that go
 * through experiment_look itself: false winners, power, what early stopping saves, futility, several arms, moving
 * shares. Short here, with 20 looks; where MODEL_MGR_SOAK is set (make soak) after every 1 % of the sample, and many
 * more tests. Figures are printed.
 */
#include "experiment_fixture.h"
#include "random.h"
#include "repetition.h"
#include "unit.h"

#include <math.h>

#include "core/hypothesis.h"

static fixture f;

/* ---------- the same looks are solved once ---------- */

typedef struct solved
{
	int looks;
	double fraction[MAX_LOOKS];
	double spent[MAX_LOOKS];
	double z[MAX_LOOKS];
} solved;

#define REMEMBERED 4096
static solved *memory[REMEMBERED];

static void
solve_once(const double *fraction, const double *spent, int looks, double *z, const sequential_caller *c)
{
	size_t size = sizeof(double) * (size_t) looks;
	unsigned place = ((unsigned) looks * 2654435761U + (unsigned) (spent[looks - 1] * 1e9)) % REMEMBERED;
	solved *s = memory[place];

	if (s == NULL || s->looks != looks || memcmp(s->fraction, fraction, size) != 0 ||
		memcmp(s->spent, spent, size) != 0)
	{
		if (s == NULL)
			s = memory[place] = malloc(sizeof(solved));
		s->looks = looks;
		memcpy(s->fraction, fraction, size);
		memcpy(s->spent, spent, size);
		sequential_solve(fraction, spent, looks, s->z, c);
	}
	memcpy(z, s->z, size);
}

/* ---------- tests of rates, looked at after every 1 % of the sample ---------- */

typedef struct trial
{
	int arms;
	int secondaries;
	double better[MAX_ARMS]; /* what each arm adds to the rate */
	double shift;            /* what the treatments add to the secondaries, in standard deviations */
	double futility;
	bool early;
	sequential_spending spending;
	double inflation; /* filled */
} trial;

typedef struct outcome
{
	bool won; /* somebody */
	int winner;
	int metric;
	bool futile;
	double length; /* part of the horizon used */
} outcome;

#define RATE 0.4
#define EFFECT 0.06
#define MAX_STEPS 100
static int steps;

/* plan_trial: the design of EFFECT with power 0.8; gives the outcomes of one arm at the horizon. */
static int
plan_trial(trial *t)
{
	experiment_design design = {.form = EXPERIMENT_RATE,
								.baseline = RATE,
								.deviation = NAN,
								.minimum_detectable_effect = EFFECT,
								.power = 0.8,
								.confidence_level = 0.95,
								.min_samples = 20,
								.arms = t->arms,
								.share = f.share};

	fixture_init(&f, t->arms, 1 + t->secondaries);
	f.plan.minimum_detectable_effect = EFFECT;
	f.plan.futility_threshold = t->futility;
	f.plan.min_samples = 20;
	f.plan.early_stopping = t->early;
	f.plan.spending = t->spending;
	t->inflation = experiment_inflation(&f.plan, &caller);
	f.plan.horizon = experiment_planned(&design) * t->inflation;
	f.past.solve = solve_once;
	return (int) ceil(f.plan.horizon / t->arms);
}

/* run: one test to its verdict. Outcomes come in equal numbers, so that all runs have the same looks. */
static outcome
run(const trial *t, int per_arm)
{
	outcome o = {.winner = EXPERIMENT_NO_ARM, .length = 1};
	int n = 0;

	memset(f.moments, 0, sizeof(f.moments));
	memset(f.units, 0, sizeof(f.units));
	f.past.looks = 0;
	f.past.standing = NULL;
	for (int step = 1; step <= steps; step++)
	{
		experiment_result r;

		for (; n < per_arm * (int64_t) step / steps; n++)
			for (int arm = 0; arm < t->arms; arm++)
			{
				bool success = uniform() < RATE + t->better[arm];

				fixture_add(&f, 0, arm, 0, success);
				/* Secondaries go along with success, and with each other. */
				for (int m = 1; m <= t->secondaries; m++)
					fixture_add(&f, 0, arm, m, normal() + success + (arm > 0 ? t->shift : 0));
			}
		r = fixture_look(&f, step == steps);
		if (r.decision.status == EXPERIMENT_RUNNING)
			continue;
		o.won = r.decision.winner != EXPERIMENT_NO_ARM;
		o.winner = r.decision.winner;
		o.metric = r.decision.metric;
		o.futile = r.decision.status == EXPERIMENT_FUTILE;
		o.length = step / (double) steps;
		break;
	}
	return o;
}

/* Rates over many runs. */
typedef struct tally
{
	double won;
	double right; /* the treatment, or the best of several */
	double by_secondary;
	double futile;
	double futile_before; /* before 70 % of the horizon */
	double futile_soon;   /* before 70 % of the planned sample */
	double length;
} tally;

static tally
repeat(trial *t, int runs, uint64_t with)
{
	tally sum = {0};
	int per_arm = plan_trial(t);

	for (int i = 0; i < runs; i++)
	{
		outcome o;

		seed(with + (uint64_t) i);
		o = run(t, per_arm);
		sum.won += o.won;
		sum.right += o.won && o.winner > 0 && t->better[o.winner] > 0;
		sum.by_secondary += o.won && o.metric > 0;
		sum.futile += o.futile;
		sum.futile_soon += o.futile && o.length * t->inflation < 0.7;
		sum.futile_before += o.futile && o.length < 0.7;
		sum.length += o.length;
	}
	sum.won /= runs;
	sum.right /= runs;
	sum.by_secondary /= runs;
	sum.futile /= runs;
	sum.futile_before /= runs;
	sum.futile_soon /= runs;
	sum.length /= runs;
	return sum;
}

static const char *const spending_name[] = {"O'Brien-Fleming", "Pocock"};
static const int secondaries_of[] = {0, 1, 3};

/* false_winners: equal arms; at most 5 %, whatever is looked at. */
static void
false_winners(void)
{
	int runs = runs_of(150, 10000);

	for (int spending = 0; spending < 2; spending++)
		for (int i = 0; i < 3; i++)
			for (int futility = i == 1; futility < 2; futility++)
			{
				int secondaries = secondaries_of[i];
				trial t = {.arms = 2,
						   .secondaries = secondaries,
						   .futility = futility ? 0.01 : 0,
						   .early = true,
						   .spending = (sequential_spending) spending};
				tally s = repeat(&t, runs, 1000000 * (uint64_t) (20 + spending * 10 + secondaries + futility));

				printf("equal arms, %s, %d secondaries, futility %g: false winners %.4f (by a secondary %.4f), futile "
					   "before 70 %% of the horizon %.3f, of the planned sample %.3f, length %.3f\n",
					   spending_name[spending], secondaries, t.futility, s.won, s.by_secondary, s.futile_before,
					   s.futile_soon, s.length);
				CHECK(s.won <= 0.05 + band(0.05, runs), "%.4f false winners", s.won);
				if (!futility)
					CHECK(s.won >= 0.03 - band(0.03, runs), "the error probability is there to be spent: %.4f", s.won);
				if (futility)
				{
					/* The short form looks at every 5 % only, and finds fewer so early. */
					double least = 0.5 - (thorough() ? 0 : band(0.5, runs) + 0.1);

					CHECK(s.futile_before >= least, "futile soon: %.4f", s.futile_before);
				}
			}
}

/* designed_power: at the design's effect; and what futility costs. */
static void
designed_power(void)
{
	int runs = runs_of(150, 10000);

	for (int spending = 0; spending < 2; spending++)
		for (int i = 0; i < 3; i++)
		{
			int secondaries = secondaries_of[i];
			trial t = {.arms = 2,
					   .secondaries = secondaries,
					   .better = {0, EFFECT},
					   .futility = 0.01,
					   .early = true,
					   .spending = (sequential_spending) spending};
			trial never = t;
			trial once = t;
			tally with = repeat(&t, runs, 2000000);
			tally without;
			tally single;
			double loss;

			/* The same numbers drawn, the same horizon, but nothing is given up. */
			(void) plan_trial(&t);
			{
				double horizon = f.plan.horizon;
				int per_arm = (int) ceil(horizon / 2);
				int found = 0;

				f.plan.futility_threshold = 0;
				for (int i = 0; i < runs; i++)
				{
					outcome o;

					seed(2000000 + (uint64_t) i);
					o = run(&t, per_arm);
					found += o.won && o.winner == 1;
				}
				loss = found / (double) runs - with.right;
			}
			never.futility = 0;
			without = repeat(&never, runs, 3000000);
			once.early = false;
			single = repeat(&once, runs, 4000000);
			printf("effect of the design, %s, %d secondaries: horizon %.4f of the planned sample (%.4f without "
				   "futility, %.4f with one look); power %.4f (without futility %.4f, one look %.4f; futility costs "
				   "%.4f); mean sample %.3f of the horizon, %.3f of a test of the planned size with one look\n",
				   spending_name[spending], secondaries, t.inflation, never.inflation, once.inflation, with.right,
				   without.right, single.right, loss, with.length, with.length * t.inflation);
			CHECK(with.right >= 0.8 - band(0.8, runs), "power %.4f", with.right);
			CHECK(with.right <= 0.84 + band(0.8, runs), "more than planned: %.4f", with.right);
			CHECK(without.right >= 0.8 - band(0.8, runs), "power without futility %.4f", without.right);
			CHECK(single.right >= 0.8 - band(0.8, runs), "power of one look %.4f", single.right);
			CHECK(loss < 0.03, "futility costs %.4f", loss);
			CHECK(with.length < 0.85, "nothing is saved: %.3f", with.length);
			CHECK(single.length == 1 && once.inflation < t.inflation, "one look is at the end");
		}
}

/* by_a_secondary: equal in the primary; futility must leave a secondary metric that is heading for a verdict its time.
 */
static void
by_a_secondary(void)
{
	int runs = runs_of(150, 10000);

	for (int spending = 0; spending < 2; spending++)
	{
		trial t = {.arms = 2,
				   .secondaries = 1,
				   .shift = 0.17,
				   .futility = 0.01,
				   .early = true,
				   .spending = (sequential_spending) spending};
		tally with;
		int per_arm = plan_trial(&t);
		int found = 0;

		f.plan.futility_threshold = 0;
		for (int i = 0; i < runs; i++)
		{
			outcome o;

			seed(8000000 + (uint64_t) i);
			o = run(&t, per_arm);
			found += o.won && o.metric == 1;
		}
		with = repeat(&t, runs, 8000000);
		printf("better in one secondary metric alone, %s: found %.4f, without futility %.4f\n", spending_name[spending],
			   with.by_secondary, found / (double) runs);
		CHECK(with.by_secondary > 0.6, "%.4f found", with.by_secondary);
		CHECK(found / (double) runs - with.by_secondary < 0.03, "futility costs %.4f",
			  found / (double) runs - with.by_secondary);
	}
}

/* several_arms: four, each against control. */
static void
several_arms(void)
{
	int runs = runs_of(200, 10000);
	trial equal = {.arms = 4, .secondaries = 2, .futility = 0, .early = true};
	trial best = {.arms = 4, .futility = 0.01, .early = true, .better = {0, 0, EFFECT, -0.02}};
	trial all_worse = {.arms = 3, .futility = 0.01, .early = true, .better = {0, -0.1, -0.1}};
	tally s = repeat(&equal, runs, 5000000);

	printf("four equal arms, 2 secondaries: false winners %.4f\n", s.won);
	CHECK(s.won <= 0.05 + band(0.05, runs), "%.4f false winners", s.won);
	s = repeat(&best, runs, 6000000);
	printf("one of four arms better as designed: found %.4f, others called winner %.4f\n", s.right, s.won - s.right);
	CHECK(s.right >= 0.8 - band(0.8, runs), "power %.4f", s.right);
	CHECK(s.won - s.right <= 0.05, "wrong arms win: %.4f", s.won - s.right);
	s = repeat(&all_worse, runs_of(30, 1000), 7000000);
	CHECK(s.won > 0.9 && s.right == 0, "control wins against arms that are all worse: %.4f", s.won);
}

/* ---------- moving shares ---------- */

/* moving: tests whose shares follow the outcomes, base rates drifting meanwhile; 20 looks. */
static void
moving(int arms, double effect, int runs, uint64_t with, double *won, double *right, double *naive, double *seen)
{
	int units = 3000;
	int wins = 0;
	int rights = 0;
	int pooled = 0;
	double share_of_best = 0;

	fixture_init(&f, arms, 1);
	f.plan.horizon = units * 2;
	f.plan.futility_threshold = 0;
	seed(with);
	for (int i = 0; i < runs; i++)
	{
		experiment_result r = {.decision = {EXPERIMENT_RUNNING, EXPERIMENT_NO_ARM, 0}};
		double counts[MAX_ARMS][2] = {{0}};
		bool decided = false;

		memset(f.moments, 0, sizeof(f.moments));
		memset(f.units, 0, sizeof(f.units));
		f.past.looks = 0;
		f.past.standing = NULL;
		f.plan.epochs = 1;
		for (int arm = 0; arm < arms; arm++)
			f.share[arm] = 1.0 / arms;
		for (int epoch = 0; epoch < 20; epoch++)
		{
			double drift = 0.3 * epoch / 20; /* everybody gets better */

			f.plan.epochs = epoch + 1;
			if (epoch > 0)
			{
				f.plan.epochs = epoch;
				experiment_thompson(&f.plan, &f.data, with * 1000 + (uint64_t) (i * 20 + epoch), &f.share[epoch * arms],
									&caller);
				f.plan.epochs = epoch + 1;
			}
			for (int u = 0; u < units / 20; u++)
			{
				double x = uniform();
				int arm = 0;
				bool success;

				while (arm < arms - 1 && x >= f.share[epoch * arms + arm])
					x -= f.share[epoch * arms + arm++];
				success = uniform() < 0.3 + drift + (arm == arms - 1 ? effect : 0);
				fixture_add(&f, epoch, arm, 0, success);
				counts[arm][0]++;
				counts[arm][1] += success;
			}
			if (decided)
				continue;
			r = fixture_look(&f, epoch == 19);
			decided = r.decision.winner != EXPERIMENT_NO_ARM;
		}
		wins += decided;
		rights += decided && r.decision.winner == arms - 1;
		share_of_best += f.share[19 * arms + arms - 1] / runs;
		/* one look at the end, all epochs in one heap */
		pooled += hypothesis_two_proportions((int64_t) counts[0][1], (int64_t) counts[0][0],
											 (int64_t) counts[arms - 1][1], (int64_t) counts[arms - 1][0], 0.95)
					  .p_value < 0.05;
	}
	*won = wins / (double) runs;
	*right = rights / (double) runs;
	*naive = pooled / (double) runs;
	*seen = share_of_best;
}

static void
moving_shares(void)
{
	int runs = runs_of(60, 4000);
	double won;
	double right;
	double naive;
	double seen;

	for (int arms = 2; arms <= 3; arms++)
	{
		moving(arms, 0, runs, 6000, &won, &right, &naive, &seen);
		printf("thompson, %d equal arms, rates rising: false winners %.4f (in one heap %.4f)\n", arms, won, naive);
		CHECK(won <= 0.05 + band(0.05, runs), "%.4f false winners", won);
		moving(arms, 0.1, runs, 6001, &won, &right, &naive, &seen);
		printf("thompson, %d arms, the last 0.1 better: found %.4f, others %.4f, its share at the end %.3f\n", arms,
			   right, won - right, seen);
		CHECK(right > 0.6 && won - right < 0.03, "%.4f found, %.4f wrong", right, won - right);
		CHECK(seen > 0.75, "the best arm has %.3f", seen);
	}
}

int
main(void)
{
	steps = thorough() ? MAX_STEPS : 20;
	false_winners();
	designed_power();
	by_a_secondary();
	several_arms();
	moving_shares();
	for (int i = 0; i < REMEMBERED; i++)
		free(memory[i]);
	return unit_done();
}
