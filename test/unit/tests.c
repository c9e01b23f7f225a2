/*
 * tests.c: two-sample tests, design, boundaries and adjustment against reference numbers, and their symmetries.
 */
#include "unit.h"

#include "vectors.h"

#include "core/distribution.h"
#include "core/hypothesis.h"
#include "core/moments.h"
#include "core/power.h"
#include "core/sequential.h"

static const sequential_caller caller = {malloc, free, NULL};

/* check_interval: ends to 1e-10 of themselves or of the width. */
static int
check_interval(const hypothesis_result *r, vectors *v, double tolerance)
{
	double low = vectors_number(v, "ci_low");
	double high = vectors_number(v, "ci_high");

	return close_to(r->ci_low, low, tolerance, tolerance * (high - low)) &&
		   close_to(r->ci_high, high, tolerance, tolerance * (high - low));
}

static void
two_proportions(void)
{
	vectors *v = vectors_open("two_proportion_z");

	while (vectors_next(v))
	{
		int64_t xc = atoll(vectors_text(v, "successes_control"));
		int64_t nc = atoll(vectors_text(v, "trials_control"));
		int64_t xt = atoll(vectors_text(v, "successes_treatment"));
		int64_t nt = atoll(vectors_text(v, "trials_treatment"));
		double level = vectors_number(v, "confidence_level");
		hypothesis_result r = hypothesis_two_proportions(xc, nc, xt, nt, level);
		hypothesis_result s = hypothesis_two_proportions(xt, nt, xc, nc, level);
		hypothesis_result f = hypothesis_two_proportions(nc - xc, nc, nt - xt, nt, level);

		CHECK(close_to(r.statistic, vectors_number(v, "statistic"), 1e-12, 1e-12), "line %d: statistic %.17g", v->line,
			  r.statistic);
		CHECK(close_to(r.p_value, vectors_number(v, "p_value"), 1e-10, 1e-300), "line %d: p %.17g", v->line, r.p_value);
		CHECK(close_to(r.effect, vectors_number(v, "effect"), 1e-14, 1e-300), "line %d: effect %.17g", v->line,
			  r.effect);
		CHECK(check_interval(&r, v, 1e-12), "line %d: %.17g to %.17g", v->line, r.ci_low, r.ci_high);
		CHECK(r.status == (*vectors_text(v, "note") == 'n' ? HYPOTHESIS_NO_VARIANCE : HYPOTHESIS_OK), "line %d",
			  v->line);
		/* swapping arms and swapping success with failure flip the signs */
		CHECK(s.statistic == -r.statistic && s.p_value == r.p_value && s.effect == -r.effect &&
				  s.ci_low == -r.ci_high && s.ci_high == -r.ci_low,
			  "line %d: arms swapped", v->line);
		CHECK(close_to(f.statistic, -r.statistic, 1e-13, 0) && close_to(f.ci_low, -r.ci_high, 1e-12, 1e-15),
			  "line %d: outcomes swapped", v->line);
	}
}

static void
welch_summaries(void)
{
	vectors *v = vectors_open("welch_t_summary");

	while (vectors_next(v))
	{
		double sc = vectors_number(v, "stddev_control");
		double st = vectors_number(v, "stddev_treatment");
		hypothesis_arm c = {atoll(vectors_text(v, "n_control")), {vectors_number(v, "mean_control"), 0}, sc * sc};
		hypothesis_arm t = {atoll(vectors_text(v, "n_treatment")), {vectors_number(v, "mean_treatment"), 0}, st * st};
		double level = vectors_number(v, "confidence_level");
		hypothesis_result r = hypothesis_welch(c, t, level);
		hypothesis_result s = hypothesis_welch(t, c, level);

		CHECK(close_to(r.statistic, vectors_number(v, "statistic"), 1e-12, 1e-12), "line %d: statistic %.17g", v->line,
			  r.statistic);
		CHECK(close_to(r.df, vectors_number(v, "df"), 1e-12, 0), "line %d: df %.17g", v->line, r.df);
		CHECK(close_to(r.p_value, vectors_number(v, "p_value"), 1e-10, 1e-300), "line %d: p %.17g", v->line, r.p_value);
		CHECK(close_to(r.effect, vectors_number(v, "effect"), 1e-14, 0), "line %d: effect %.17g", v->line, r.effect);
		CHECK(check_interval(&r, v, 1e-11), "line %d: %.17g to %.17g", v->line, r.ci_low, r.ci_high);
		CHECK(r.status == (strncmp(vectors_text(v, "note"), "no v", 4) == 0 ? HYPOTHESIS_NO_VARIANCE : HYPOTHESIS_OK),
			  "line %d", v->line);
		CHECK(s.statistic == -r.statistic && s.p_value == r.p_value && s.ci_low == -r.ci_high, "line %d: swapped",
			  v->line);
	}
}

/* The raw cases: moments and ranks are formed here, values in order. */
typedef struct raw_value
{
	double value;
	int treatment;
} raw_value;

static raw_value raw[40000];
static int raw_n;

static int
by_value(const void *a, const void *b)
{
	double x = ((const raw_value *) a)->value;
	double y = ((const raw_value *) b)->value;

	return (x > y) - (x < y);
}

static void
load_raw(const char *case_id)
{
	vectors *v = vectors_open("two_sample_raw_values");

	raw_n = 0;
	while (vectors_next(v))
		if (strcmp(vectors_text(v, "case_id"), case_id) == 0)
			raw[raw_n++] = (raw_value){vectors_number(v, "value"), *vectors_text(v, "treatment") == 't'};
}

static hypothesis_arm
arm_of(const moments *m)
{
	return (hypothesis_arm){m->n, moments_mean(m), moments_variance(m)};
}

static void
raw_cases(void)
{
	vectors *v = vectors_open("two_sample_raw_expected");

	while (vectors_next(v))
	{
		const char *id = vectors_text(v, "case_id");
		double tolerance = vectors_number(v, "tolerance");
		moments arm[2] = {{0}, {0}};
		hypothesis_result r;
		dd ranks = {0, 0};
		dd ties = {0, 0};

		load_raw(id);
		for (int i = 0; i < raw_n; i++)
			moments_add(&arm[raw[i].treatment], raw[i].value);
		/* what the mean held in a double costs elsewhere is not lost here */
		if (tolerance > 1e-10)
			tolerance = 1e-9;
		r = hypothesis_welch(arm_of(&arm[0]), arm_of(&arm[1]), 0.95);
		CHECK(r.n_control == atoll(vectors_text(v, "n_control")) &&
				  r.n_treatment == atoll(vectors_text(v, "n_treatment")),
			  "%s: counts", id);
		CHECK(close_to(r.statistic, vectors_number(v, "statistic"), tolerance, tolerance), "%s: statistic %.17g", id,
			  r.statistic);
		CHECK(close_to(r.df, vectors_number(v, "df"), tolerance, 0), "%s: df %.17g", id, r.df);
		CHECK(close_to(r.p_value, vectors_number(v, "p_value"), tolerance, 1e-300), "%s: p %.17g", id, r.p_value);
		CHECK(close_to(r.effect, vectors_number(v, "effect"), tolerance, 0), "%s: effect %.17g", id, r.effect);
		CHECK(check_interval(&r, v, tolerance), "%s: %.17g to %.17g", id, r.ci_low, r.ci_high);

		qsort(raw, raw_n, sizeof(raw_value), by_value);
		for (int i = 0, j; i < raw_n; i = j)
		{
			double t;

			for (j = i; j < raw_n && raw[j].value == raw[i].value; j++)
				;
			t = j - i;
			ties = dd_add_double(ties, t * t * t - t);
			for (int k = i; k < j; k++)
				if (raw[k].treatment)
					ranks = dd_add_double(ranks, i + 1 + j);
		}
		r = hypothesis_mann_whitney(arm[0].n, arm[1].n, ranks, ties, 0, 0);
		CHECK(r.statistic == vectors_number(v, "u_statistic"), "%s: U %.17g", id, r.statistic);
		CHECK(close_to(r.p_value, vectors_number(v, "u_p_value"), 1e-10, 1e-300), "%s: U p %.17g", id, r.p_value);
	}
}

static void
degenerate(void)
{
	hypothesis_arm none = {0, {0, 0}, 0};
	hypothesis_arm one = {1, {3, 0}, NAN};
	hypothesis_arm some = {10, {2, 0}, 4};
	hypothesis_result r = hypothesis_welch(none, some, 0.95);
	double low;
	double high;
	double p;

	CHECK(r.status == HYPOTHESIS_EMPTY_CONTROL && isnan(r.p_value) && isnan(r.mean_control) && r.mean_treatment == 2,
		  "%d", r.status);
	r = hypothesis_welch(some, none, 0.95);
	CHECK(r.status == HYPOTHESIS_EMPTY_TREATMENT && isnan(r.effect), "%d", r.status);
	r = hypothesis_welch(none, none, 0.95);
	CHECK(r.status == HYPOTHESIS_EMPTY_CONTROL, "%d", r.status);
	r = hypothesis_welch(some, one, 0.95);
	CHECK(r.status == HYPOTHESIS_TOO_FEW && r.effect == 1 && isnan(r.statistic) && isnan(r.ci_low), "%d", r.status);
	r = hypothesis_two_proportions(0, 0, 1, 2, 0.95);
	CHECK(r.status == HYPOTHESIS_EMPTY_CONTROL && r.mean_treatment == 0.5, "%d", r.status);
	/* a billion billions */
	r = hypothesis_two_proportions(4000000000000000000, 9000000000000000000, 4000000001000000000, 9000000000000000000,
								   0.95);
	CHECK(close_to(r.effect, 1e9 / 9e18, 1e-15, 0) && r.p_value < 1, "%.17g", r.effect);
	r = hypothesis_mcnemar(0, 0, 0, 7, 0.95);
	CHECK(r.status == HYPOTHESIS_NO_VARIANCE && r.p_value == 1 && r.effect == 0, "%d", r.status);
	/* Agresti, Categorical Data Analysis, approval ratings: z^2 = 17.36 */
	r = hypothesis_mcnemar(794, 150, 86, 570, 0.95);
	CHECK(close_to(r.statistic * r.statistic, 17.3559322033898, 1e-12, 0) && r.statistic < 0, "%.17g", r.statistic);
	CHECK(r.effect == -0.04 && r.ci_low < -0.04 && r.ci_high > -0.04 && r.ci_high < 0, "%g to %g", r.ci_low, r.ci_high);
	/* Newcombe (1998), table II: 36, 12, 2, 0 gives 0.0569 to 0.3404 by method 10 (the larger rate first) */
	r = hypothesis_mcnemar(36, 2, 12, 0, 0.95);
	CHECK(close_to(r.ci_low, 0.0569, 0, 5e-5) && close_to(r.ci_high, 0.3404, 0, 5e-5), "%g to %g", r.ci_low, r.ci_high);
	/* positive correlation, with its continuity correction: the same formula in 30 digits */
	r = hypothesis_mcnemar(20, 2, 9, 13, 0.95);
	CHECK(close_to(r.ci_low, 0.0113677118083720503, 1e-12, 0) && close_to(r.ci_high, 0.294733649402562932, 1e-12, 0),
		  "%.17g to %.17g", r.ci_low, r.ci_high);
	/* nearly all tied, and all tied */
	r = hypothesis_mann_whitney(3, 4, (dd){32, 0}, (dd){336, 0}, 1, 1);
	CHECK(r.status == HYPOTHESIS_NO_VARIANCE && r.p_value == 1 && r.effect == 0 && r.statistic == 6, "%.17g",
		  r.statistic);
	sequential_anytime(none, some, 0.95, &low, &high, &p);
	CHECK(low == -INFINITY && high == INFINITY && p == 1, "%g", p);
	sequential_anytime((hypothesis_arm){9, {1, 0}, 0}, (hypothesis_arm){9, {2, 0}, 0}, 0.95, &low, &high, &p);
	CHECK(low == -INFINITY && high == INFINITY && p == 1, "%g", p);
}

/* CUPED without a covariate worth the name is Welch; with one that explains all, nothing is left. */
static void
cuped(void)
{
	hypothesis_cuped_arm c = {40, {5, 0}, {10, 0}, 0, 0, 39};
	hypothesis_cuped_arm t = {50, {5, 0}, {11, 0}, 0, 0, 98};
	hypothesis_result r = hypothesis_cuped(c, t, 0.95);
	hypothesis_result w = hypothesis_welch((hypothesis_arm){40, {10, 0}, 1}, (hypothesis_arm){50, {11, 0}, 2}, 0.95);

	CHECK(r.statistic == w.statistic && r.df == w.df && r.mean_control == 10, "%g", r.statistic);
	/* y = 2 x + 1 in control, the same plus 0.5 in treatment */
	c = (hypothesis_cuped_arm){40, {5, 0}, {11, 0}, 30, 60, 120};
	t = (hypothesis_cuped_arm){50, {6, 0}, {13.5, 0}, 20, 40, 80};
	r = hypothesis_cuped(c, t, 0.95);
	CHECK(r.status == HYPOTHESIS_NO_VARIANCE && close_to(r.effect, 0.5, 1e-14, 0) && r.p_value == 0, "%g", r.effect);
}

/* Splitting a set in any way gives the same answers: pairs of moments merged from parts with quite different means. */
static void
splits(void)
{
	static double x[600];
	static double y[600];
	uint64_t state = 7;

	for (int i = 0; i < 600; i++)
	{
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		x[i] = (double) (state >> 40) + 1e5 * (i / 100);
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		y[i] = (double) (state >> 40) + x[i] / 3;
	}
	for (int cut = 0; cut <= 600; cut += 17)
	{
		comoments whole;
		comoments part[2];
		hypothesis_result a;
		hypothesis_result b;
		comoments *m[2] = {&whole, &part[0]};
		hypothesis_cuped_arm arm[2];

		memset(&whole, 0, sizeof(whole));
		memset(part, 0, sizeof(part));
		for (int i = 0; i < 600; i++)
		{
			comoments_add(&whole, x[i], y[i]);
			comoments_add(&part[i >= cut], x[i], y[i]);
		}
		comoments_merge(&part[0], &part[1]);
		CHECK(close_to(part[0].xy, whole.xy, 1e-12, 0) && close_to(part[0].x.m2, whole.x.m2, 1e-12, 0) &&
				  close_to(part[0].y.m2, whole.y.m2, 1e-12, 0) && part[0].x.sum.hi == whole.x.sum.hi,
			  "cut at %d: %.17g %.17g", cut, part[0].xy, whole.xy);
		for (int k = 0; k < 2; k++)
			arm[k] = (hypothesis_cuped_arm){
				m[k]->x.n, moments_mean(&m[k]->x), moments_mean(&m[k]->y), m[k]->x.m2, m[k]->xy, m[k]->y.m2};
		a = hypothesis_cuped(arm[0], (hypothesis_cuped_arm){50, {2e5, 0}, {1e7, 0}, 1e15, 1e14, 1e15}, 0.95);
		b = hypothesis_cuped(arm[1], (hypothesis_cuped_arm){50, {2e5, 0}, {1e7, 0}, 1e15, 1e14, 1e15}, 0.95);
		CHECK(close_to(a.statistic, b.statistic, 1e-10, 0) && close_to(a.df, b.df, 1e-10, 0), "cut at %d", cut);
	}
	/* adding goes on after merging as if there had been no merge */
	{
		moments a = {0};
		moments b = {0};
		moments c = {0};

		for (int i = 0; i < 300; i++)
			moments_add(i < 150 ? &a : &b, y[i]);
		moments_merge(&a, &b);
		for (int i = 0; i < 600; i++)
		{
			if (i >= 300)
				moments_add(&a, y[i]);
			moments_add(&c, y[i]);
		}
		CHECK(close_to(a.m2, c.m2, 1e-12, 0) && a.n == c.n, "%.17g %.17g", a.m2, c.m2);
	}
}

static void
design(void)
{
	vectors *v = vectors_open("required_sample_size");

	while (vectors_next(v))
	{
		double n = power_sample_size(vectors_number(v, "baseline_rate"), vectors_number(v, "minimum_detectable_effect"),
									 vectors_number(v, "power"), vectors_number(v, "confidence_level"));

		CHECK(close_to(n, vectors_number(v, "n_raw"), 1e-10, 0) && ceil(n) == vectors_number(v, "n_per_variant"),
			  "line %d: %.17g", v->line, n);
	}
	v = vectors_open("achieved_power");
	while (vectors_next(v))
	{
		double p = power_achieved(vectors_number(v, "baseline_rate"), vectors_number(v, "minimum_detectable_effect"),
								  vectors_number(v, "n_per_variant"), vectors_number(v, "confidence_level"));

		CHECK(close_to(p, vectors_number(v, "power"), 1e-10, 0), "line %d: %.17g", v->line, p);
	}
	v = vectors_open("detectable_effect");
	while (vectors_next(v))
	{
		double e = power_detectable(vectors_number(v, "baseline_rate"), vectors_number(v, "n_per_variant"),
									vectors_number(v, "power"), vectors_number(v, "confidence_level"));

		CHECK(close_to(e, vectors_number(v, "detectable_effect"), 1e-10, 0), "line %d: %.17g", v->line, e);
	}
	v = vectors_open("sample_ratio");
	while (vectors_next(v))
	{
		double p = power_sample_ratio(atoll(vectors_text(v, "n_control")), atoll(vectors_text(v, "n_treatment")),
									  vectors_number(v, "expected_treatment_share"));

		CHECK(close_to(p, vectors_number(v, "p_value"), 1e-10, 1e-300), "line %d: %.17g", v->line, p);
	}
	/* N s must not be rounded: 1e15 units */
	CHECK(close_to(power_sample_ratio(700000021166011, 300000000000012, 0.3), 0.661257638257831737, 1e-12, 0), "%.17g",
		  power_sample_ratio(700000021166011, 300000000000012, 0.3));
}

static void
boundaries(void)
{
	vectors *v = vectors_open("sequential_boundary");

	while (vectors_next(v))
	{
		double fraction[64];
		double expected[64];
		double z[64];
		int looks = vectors_array(vectors_text(v, "information_fractions"), fraction, 64);
		int n = vectors_array(vectors_text(v, "boundaries"), expected, 64);

		sequential_boundaries(fraction, looks, vectors_number(v, "confidence_level"),
							  *vectors_text(v, "spending") == 'p' ? SEQUENTIAL_POCOCK : SEQUENTIAL_OBRIEN_FLEMING, z,
							  &caller);
		CHECK(looks == n, "line %d", v->line);
		for (int i = 0; i < n; i++)
			CHECK(close_to(z[i], expected[i], 0, 1e-8), "line %d: look %d, %.12g instead of %.12g", v->line, i + 1,
				  z[i], expected[i]);
	}
}

/* solve_afresh: the boundaries without any state. */
static void
solve_afresh(const double *fraction, int looks, double side, sequential_spending spending, double *z)
{
	for (int k = 0; k < looks; k++)
		z[k] = sequential_spent(fraction[k], side, spending);
	sequential_solve(fraction, z, looks, z, &caller);
}

/* goes_on: from a state of some of the looks, the boundaries are those of solving all of them, to the last digit. */
static void
goes_on(const double *fraction, int looks, double side, sequential_spending spending, const sequential_state *from,
		int start, const double *afresh, const char *what)
{
	double z[64];
	int differ = 0;

	(void) sequential_continue(fraction, looks, 0, side, spending, false, from, z, &caller);
	for (int k = 0; k < looks; k++)
		differ += k < start ? !isnan(z[k]) : memcmp(&z[k], &afresh[k], sizeof(double)) != 0;
	CHECK(differ == 0, "%s, from look %d: %d of %d boundaries differ", what, start + 1, differ, looks);
}

/* misfits: a state of other looks, of another level or size, or a damaged one, is as if there were none. */
static void
misfits(double *fraction, int looks, double side, sequential_spending spending, sequential_state state,
		const double *afresh)
{
	size_t count = state.count;
	size_t few[] = {0, 3, count - 1};
	int of = (int) state.number[0];
	double kept = fraction[of - 1];
	double z[64];

	for (int i = 0; i < 3; i++)
	{
		state.count = few[i];
		goes_on(fraction, looks, side, spending, &state, 0, afresh, "some of its numbers");
	}
	state.count = count;
	for (size_t i = 0; i < count; i++)
	{
		double number = state.number[i];

		state.number[i] = i % 2 == 0 ? NAN : -1;
		goes_on(fraction, looks, side, spending, &state, 0, afresh, "damaged");
		state.number[i] = number;
	}
	solve_afresh(fraction, looks, side / 2, spending, z);
	goes_on(fraction, looks, side / 2, spending, &state, 0, z, "another level");
	fraction[of - 1] -= 0.001;
	solve_afresh(fraction, looks, side, spending, z);
	goes_on(fraction, looks, side, spending, &state, 0, z, "other looks");
	fraction[of - 1] = kept;
}

/* continued: whatever looks a state is of. */
static void
continued(void)
{
	enum
	{
		LOOKS = 60
	};
	const double side = 0.025;
	double fraction[LOOKS];
	double afresh[LOOKS];
	double z[LOOKS];

	/* steps of very different lengths; the first ones have nothing to spend */
	for (int k = 0; k < LOOKS; k++)
		fraction[k] = k < 2 ? 1e-4 * (k + 1) : (k > 2 ? fraction[k - 1] : 0) + (k % 7 == 3 ? 0.06 : 0.006);
	CHECK(fraction[LOOKS - 1] < 1, "%g", fraction[LOOKS - 1]);
	for (int spending = SEQUENTIAL_OBRIEN_FLEMING; spending <= SEQUENTIAL_POCOCK; spending++)
	{
		sequential_state before = {0};

		solve_afresh(fraction, LOOKS, side, (sequential_spending) spending, afresh);
		CHECK(isinf(afresh[0]) == (spending == SEQUENTIAL_OBRIEN_FLEMING), "%g", afresh[0]);
		for (int looks = 1; looks < LOOKS; looks++)
		{
			sequential_state after = sequential_continue(fraction, looks, looks, side, (sequential_spending) spending,
														 false, looks > 1 ? &before : NULL, z, &caller);

			CHECK(after.count > 0 && memcmp(&z[looks - 1], &afresh[looks - 1], sizeof(double)) == 0,
				  "look %d: %.17g instead of %.17g", looks, z[looks - 1], afresh[looks - 1]);
			goes_on(fraction, LOOKS, side, (sequential_spending) spending, &after, looks - 1, afresh, "the state");
			if (looks == LOOKS / 2)
			{
				double last[2];
				double spent[LOOKS];

				/* the last look with all that is left */
				for (int k = 0; k < looks; k++)
					spent[k] = sequential_spent(fraction[k], side, (sequential_spending) spending);
				spent[looks] = side;
				sequential_solve(fraction, spent, looks + 1, z, &caller);
				last[0] = z[looks];
				(void) sequential_continue(fraction, looks + 1, 0, side, (sequential_spending) spending, true, &after,
										   z, &caller);
				last[1] = z[looks];
				CHECK(memcmp(&last[0], &last[1], sizeof(double)) == 0, "%.17g instead of %.17g", last[1], last[0]);

				misfits(fraction, LOOKS, side, (sequential_spending) spending, after, afresh);
			}
			free(before.number);
			before = after;
		}
		free(before.number);
	}
}

static void
adjusted(void)
{
	vectors *v = vectors_open("adjust_p_values");

	while (vectors_next(v))
	{
		static double p[5000];
		static double expected[5000];
		int n = vectors_array(vectors_text(v, "p"), p, 5000);
		int m = vectors_array(vectors_text(v, "adjusted"), expected, 5000);

		sequential_adjust(p, n, *vectors_text(v, "method") == 'h', &caller);
		CHECK(n == m, "line %d", v->line);
		for (int i = 0; i < n; i++)
			CHECK(close_to(p[i], expected[i], 1e-14, 1e-300), "line %d: %d: %.17g", v->line, i, p[i]);
	}
}

int
main(void)
{
	two_proportions();
	welch_summaries();
	raw_cases();
	degenerate();
	cuped();
	splits();
	design();
	boundaries();
	continued();
	adjusted();
	return unit_done();
}
