/* experiment: estimates from running sums, against the tests of hypothesis.h and against long sums over units. */
#include "experiment_fixture.h"
#include "random.h"
#include "unit.h"

#include <math.h>

#include "core/moments.h"

#define UNITS 600

static fixture f;

static bool
close_to(double a, double b, double relative)
{
	return a == b || fabs(a - b) <= relative * fmax(fabs(a), fabs(b)) || (isnan(a) && isnan(b));
}

#define SAME(a, b, tolerance, ...) CHECK(close_to(a, b, tolerance), __VA_ARGS__)

static void
rates(void)
{
	hypothesis_result r = hypothesis_two_proportions(400, 1000, 450, 990, 0.95);
	experiment_estimate *e;

	fixture_init(&f, 2, 1);
	fixture_rate(&f, 0, 0, 400, 1000);
	fixture_rate(&f, 1, 0, 450, 990);
	fixture_estimates(&f);
	e = fixture_estimate(&f, 0, 1);
	CHECK(e->p_value == r.p_value && e->ci_low == r.ci_low && e->ci_high == r.ci_high && e->difference == r.effect &&
			  e->statistic == r.statistic && e->samples_control == 1000 && e->samples_variant == 990 &&
			  e->units_control == 1000,
		  "the pooled z-test: %g instead of %g", e->p_value, r.p_value);
	SAME(e->relative_lift, 450.0 / 990 / 0.4 - 1, 1e-14, "lift %g", e->relative_lift);
	CHECK(e->lift_low < e->relative_lift && e->relative_lift < e->lift_high && (e->lift_low > 0) == (e->ci_low > 0),
		  "%g..%g", e->lift_low, e->lift_high);
	CHECK(e->anytime_ci_low < e->ci_low && e->anytime_ci_high > e->ci_high && isnan(e->cuped_difference),
		  "anytime %g..%g", e->anytime_ci_low, e->anytime_ci_high);
	e = fixture_estimate(&f, 0, 0);
	CHECK(e->mean_control == 0.4 && isnan(e->difference) && isnan(e->p_value), "control alone");
}

/* means: values about `offset`, the anchor at `anchor`: Welch's test, whatever both are. */
static void
means(double offset, double anchor, double tolerance)
{
	moments m[2] = {{0}, {0}};
	hypothesis_arm arm[2];
	hypothesis_result r;
	experiment_estimate *e;

	seed(11);
	fixture_init(&f, 2, 2);
	f.metric[1].anchor = anchor;
	for (int i = 0; i < UNITS; i++)
	{
		int a = i % 3 == 0;
		double x = offset + (1 + a) * normal() + 0.2 * a;

		moments_add(&m[a], x);
		fixture_add(&f, 0, a, 1, x);
	}
	for (int a = 0; a < 2; a++)
		arm[a] = (hypothesis_arm){m[a].n, moments_mean(&m[a]), moments_variance(&m[a])};
	r = hypothesis_welch(arm[0], arm[1], 0.95);
	fixture_estimates(&f);
	e = fixture_estimate(&f, 1, 1);
	SAME(e->p_value, r.p_value, tolerance, "%.17g instead of %.17g", e->p_value, r.p_value);
	SAME(e->difference, r.effect, tolerance, "%.17g instead of %.17g", e->difference, r.effect);
	SAME(e->ci_low, r.ci_low, tolerance, "%.17g instead of %.17g", e->ci_low, r.ci_low);
	SAME(e->mean_control, r.mean_control, 1e-14, "%.17g instead of %.17g", e->mean_control, r.mean_control);
	SAME(e->statistic, r.statistic, tolerance, "%.17g instead of %.17g", e->statistic, r.statistic);
	CHECK(e->samples_variant == UNITS / 3 && e->units_variant == UNITS / 3, "%d", (int) e->samples_variant);
}

/* Units with some outcomes each, their past beside them. */
typedef struct unit
{
	int arm;
	double v[EXPERIMENT_SUMS];
} unit;

static unit units[UNITS];

/* draw_units: several outcomes a unit that resemble each other; half of the units, or all, have a past like them. */
static void
draw_units(bool one_each, double effect)
{
	for (int i = 0; i < UNITS; i++)
	{
		unit *u = &units[i];
		double own = normal();
		int n = one_each ? 1 : 1 + (int) (uniform() * 5);

		*u = (unit){.arm = uniform() < 0.4};
		for (int k = 0; k < n; k++)
		{
			u->v[0] += 1;
			u->v[1] += own + 0.5 * normal() + effect * u->arm;
		}
		n = one_each ? 1 : uniform() < 0.3 ? 0 : 1 + (int) (uniform() * 8);
		for (int k = 0; k < n; k++)
		{
			u->v[2] += 1;
			u->v[3] += own + 0.5 * normal();
		}
	}
}

/* fold: the units into metric 1, in three changes each. */
static void
fold(double anchor)
{
	fixture_init(&f, 2, 2);
	f.metric[1].anchor = anchor;
	for (int i = 0; i < UNITS; i++)
	{
		double before[EXPERIMENT_SUMS] = {0};
		double after[EXPERIMENT_SUMS];
		experiment_moments *m = fixture_cell(&f, 0, units[i].arm, 1);

		experiment_moments_change(m, NULL, before);
		for (int part = 1; part <= 2; part++)
		{
			for (int k = 0; k < EXPERIMENT_SUMS; k++)
				after[k] = units[i].v[k] * part / 2;
			after[1] -= anchor * after[0];
			after[3] -= anchor * after[2];
			experiment_moments_change(m, before, after);
			memcpy(before, after, sizeof(before));
		}
	}
	fixture_estimates(&f);
}

static void
ratios(void)
{
	double mean[2];
	double variance[2];
	experiment_estimate *e;

	seed(21);
	draw_units(false, 0.1);
	fold(0.3);
	for (int a = 0; a < 2; a++)
	{
		double n = 0;
		double c = 0;
		double s = 0;
		double square = 0;

		for (int i = 0; i < UNITS; i++)
			if (units[i].arm == a)
			{
				n++;
				c += units[i].v[0];
				s += units[i].v[1];
			}
		mean[a] = s / c;
		for (int i = 0; i < UNITS; i++)
			if (units[i].arm == a)
				square += pow((units[i].v[1] - mean[a] * units[i].v[0]) / (c / n), 2);
		variance[a] = square / (n - 1) / n;
	}
	e = fixture_estimate(&f, 1, 1);
	SAME(e->difference, mean[1] - mean[0], 1e-12, "%.15g", e->difference);
	SAME(e->standard_error, sqrt(variance[0] + variance[1]), 1e-12, "%.15g", e->standard_error);
	CHECK(e->units_control + e->units_variant == UNITS && e->samples_control > 1.5 * e->units_control,
		  "units, not outcomes");
	CHECK(e->cuped_reduction > 0.3 && e->cuped_reduction < 0.95 && e->cuped_ci_low < e->cuped_difference &&
			  e->cuped_ci_high - e->cuped_ci_low < e->ci_high - e->ci_low,
		  "reduction %g", e->cuped_reduction);
}

/* covariates: with one outcome before and in the test each, the numbers of hypothesis_cuped. */
static void
covariates(void)
{
	comoments c[2];
	hypothesis_cuped_arm arm[2];
	hypothesis_result r;
	experiment_estimate *e;

	memset(c, 0, sizeof(c));
	seed(31);
	draw_units(true, 0.1);
	fold(0);
	for (int i = 0; i < UNITS; i++)
		comoments_add(&c[units[i].arm], units[i].v[3], units[i].v[1]);
	for (int a = 0; a < 2; a++)
		arm[a] = (hypothesis_cuped_arm){c[a].x.n, moments_mean(&c[a].x), moments_mean(&c[a].y), c[a].x.m2, c[a].xy,
										c[a].y.m2};
	r = hypothesis_cuped(arm[0], arm[1], 0.95);
	e = fixture_estimate(&f, 1, 1);
	SAME(e->cuped_difference, r.effect, 1e-11, "%.15g instead of %.15g", e->cuped_difference, r.effect);
	SAME(e->cuped_ci_low, r.ci_low, 1e-11, "%.15g instead of %.15g", e->cuped_ci_low, r.ci_low);
	SAME(e->cuped_ci_high, r.ci_high, 1e-11, "%.15g instead of %.15g", e->cuped_ci_high, r.ci_high);
	SAME(e->cuped_p_value, r.p_value, 1e-9, "%.15g instead of %.15g", e->cuped_p_value, r.p_value);
	fold(-7);
	e = fixture_estimate(&f, 1, 1);
	SAME(e->cuped_difference, r.effect, 1e-9, "anchored elsewhere: %.15g instead of %.15g", e->cuped_difference,
		 r.effect);
}

/* constants: values without variance, whatever rounding makes of them. */
static void
constants(double control, double treatment, double anchor, int n)
{
	experiment_estimate *e;

	fixture_init(&f, 2, 2);
	f.metric[1].anchor = anchor;
	for (int i = 0; i < n; i++)
	{
		fixture_add(&f, 0, 0, 1, control);
		fixture_add(&f, 0, 1, 1, treatment);
	}
	fixture_add(&f, 0, 1, 1, treatment);
	fixture_estimates(&f);
	e = fixture_estimate(&f, 1, 1);
	CHECK(e->p_value == (control == treatment ? 1 : 0), "%g against %g, %d times: p %g", treatment, control, n,
		  e->p_value);
	SAME(e->difference, treatment - control, 1e-8, "%.17g", e->difference);
	CHECK((e->difference == 0) == (control == treatment), "%.17g", e->difference);
	CHECK(close_to(e->ci_low, e->difference, 1e-9) && close_to(e->ci_high, e->difference, 1e-9), "%g..%g", e->ci_low,
		  e->ci_high);
}

int
main(void)
{
	rates();
	means(0, 0, 1e-11);
	means(100, 99.5, 1e-11);
	means(1e9, 1e9 + 0.25, 1e-6);
	means(-1e9, -1e9 - 3, 1e-6);
	ratios();
	covariates();
	constants(1.0, 0.8, 1.0, 1000);
	constants(1.0, 0.8, 0.9, 1000);
	constants(0.8, 0.8, 0.9, 1000);
	constants(0.1, 0.1, 0.7, 100000);
	constants(0.1, 0.3, 0.7, 3);
	constants(0.8, 0.8, 0.8, 2);
	constants(0.9, 0.95, 1e3, 5000);
	return unit_done();
}
