/* experiment: estimates from running sums, against the tests of hypothesis.h and against long sums over units. */
#include "experiment_fixture.h"
#include "random.h"
#include "unit.h"
#include "vectors.h"

#include <math.h>

#include "core/moments.h"
#include "core/summary.h"

#define UNITS 600

static fixture f;

/* SAME: equal but for this part of the larger of both; vectors.h has close_to. */
#define SAME(a, b, relative, ...) CHECK(fabs((a) - (b)) <= (relative) *fmax(fabs(a), fabs(b)), __VA_ARGS__)

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
	CHECK(close_to(e->ci_low, e->difference, 1e-9, 0) && close_to(e->ci_high, e->difference, 1e-9, 0), "%g..%g",
		  e->ci_low, e->ci_high);
}

/* sums: those of one arm, from units, sums and products in one array. */
static void
sums(experiment_moments *m, const char *text)
{
	double v[1 + EXPERIMENT_SUMS + EXPERIMENT_PRODUCTS];
	int n = vectors_array(text, v, 15);

	CHECK(n == 15, "%d numbers", n);
	m->units = v[0];
	memcpy(m->sum, v + 1, sizeof(m->sum));
	memcpy(m->product, v + 1 + EXPERIMENT_SUMS, sizeof(m->product));
}

/* references: numbers of R; rates of several outcomes a unit among them. */
static void
references(void)
{
	vectors *v = vectors_open("experiment_estimates");

	while (vectors_next(v))
	{
		const char *name = vectors_text(v, "case");
		experiment_estimate *e;

		fixture_init(&f, 2, 2);
		f.metric[1].anchor = vectors_number(v, "anchor");
		if (strncmp(name, "rate", 4) == 0)
			f.metric[1].form = EXPERIMENT_RATE;
		sums(fixture_cell(&f, 0, 0, 1), vectors_text(v, "control"));
		sums(fixture_cell(&f, 0, 1, 1), vectors_text(v, "treatment"));
		fixture_estimates(&f);
		e = fixture_estimate(&f, 1, 1);
#define REFERENCE(member, column, relative)                                                                            \
	CHECK(close_to(e->member, vectors_number(v, column), relative, 1e-12), "%s: %s %.15g instead of %.15g", name,      \
		  column, e->member, vectors_number(v, column))
		REFERENCE(mean_control, "mean_control", 1e-11);
		REFERENCE(mean_variant, "mean_treatment", 1e-11);
		REFERENCE(difference, "difference", 1e-8);
		REFERENCE(standard_error, "standard_error", 1e-8);
		REFERENCE(p_value, "p_value", 1e-6);
		REFERENCE(ci_low, "ci_low", 1e-7);
		REFERENCE(ci_high, "ci_high", 1e-7);
		REFERENCE(lift_low, "lift_low", 1e-6);
		REFERENCE(lift_high, "lift_high", 1e-6);
		REFERENCE(cuped_difference, "cuped_difference", 1e-7);
		CHECK(isnan(e->lift_low) == isnan(vectors_number(v, "lift_low")), "%s: lift from %g", name, e->lift_low);
		{
			/* the standard error as the interval has it */
			double half = (e->cuped_ci_high - e->cuped_ci_low) / 2;
			double least = 1.9599 * vectors_number(v, "cuped_standard_error");

			CHECK(half >= least && half < least * 1.03, "%s: half of CUPED's interval is %g", name, half);
		}
	}
	v = vectors_open("experiment_sample_ratio");
	while (vectors_next(v))
	{
		double units[MAX_ARMS];
		int64_t counts[MAX_ARMS];
		bool alarm;
		double p;
		int arms = vectors_array(vectors_text(v, "units"), units, MAX_ARMS);

		fixture_init(&f, arms, 1);
		CHECK(vectors_array(vectors_text(v, "shares"), f.share, MAX_ARMS) == arms, "line %d", v->line);
		for (int i = 0; i < arms; i++)
			counts[i] = (int64_t) units[i];
		p = experiment_sample_ratio(&f.plan, counts, &alarm);
		CHECK(close_to(p, vectors_number(v, "p_value"), 1e-9, 0) && alarm == (p < 0.001), "line %d: %.15g", v->line, p);
	}
}

/* A test of any finite sums: neither NaN where there is something to say, nor nonsense. */
static double
any(void)
{
	double u = uniform();

	return u < 0.1   ? 0
		   : u < 0.2 ? 1
		   : u < 0.3 ? floor(20 * uniform())
		   : u < 0.4 ? 1e100 * (uniform() - 0.5)
		   : u < 0.5 ? 1e-100 * uniform()
					 : pow(10, 12 * uniform() - 4) * (uniform() - 0.3);
}

static void
anything(void)
{
	static fixture other;

	seed(41);
	for (int i = 0; i < 3000; i++)
	{
		int metrics = 1 + (int) (uniform() * 3);
		int arms = 2 + (int) (uniform() * 3);
		experiment_result r;

		fixture_init(&f, arms, metrics);
		f.plan.epochs = 1 + (int) (uniform() * 3);
		f.plan.horizon = 10 + 1000 * uniform();
		f.plan.early_stopping = uniform() < 0.8;
		for (int m = 0; m < metrics; m++)
		{
			f.metric[m].anchor = f.metric[m].form == EXPERIMENT_RATE ? 0 : any();
			f.metric[m].direction = uniform() < 0.5 ? 1 : -1;
			if (uniform() < 0.5)
				f.metric[m].bounds.max_relative_increase = uniform();
			if (uniform() < 0.5)
				f.metric[m].bounds.max_decrease = uniform();
			for (int epoch = 0; epoch < f.plan.epochs; epoch++)
				for (int arm = 0; arm < arms; arm++)
				{
					int n = (int) (uniform() * uniform() * 100);
					double constant = any();

					for (int u = 0; u < n; u++)
					{
						int c = uniform() < 0.5 ? 1 : (int) (uniform() * 4);
						double value = uniform() < 0.5 ? constant : any();
						double v[EXPERIMENT_SUMS] = {c, c * value, (int) (uniform() * 3), any()};

						if (f.metric[m].form == EXPERIMENT_RATE)
							v[1] = floor((c + 1) * uniform());
						experiment_moments_change(fixture_cell(&f, epoch, arm, m), NULL, v);
					}
					f.units[epoch * arms + arm] += n;
				}
		}
		r = fixture_look(&f, uniform() < 0.5);
		CHECK(r.information >= 0 && r.information <= 1 && r.sample_ratio_p_value >= 0 && r.sample_ratio_p_value <= 1,
			  "%g %g", r.information, r.sample_ratio_p_value);
		CHECK(!(r.decision.winner > 0) || r.decision.status == EXPERIMENT_STOPPED_EARLY ||
				  r.decision.status == EXPERIMENT_SIGNIFICANT,
			  "%s", experiment_status_name(r.decision.status));
		for (int m = 0; m < metrics; m++)
			for (int arm = 1; arm < arms; arm++)
			{
				experiment_estimate *e = fixture_estimate(&f, m, arm);
				bool known = e->units_control > 1 && e->units_variant > 1;

				CHECK(!known || (e->p_value >= 0 && e->p_value <= 1), "p %g", e->p_value);
				CHECK(!known || (e->ci_low <= e->difference && e->difference <= e->ci_high), "%g in %g..%g",
					  e->difference, e->ci_low, e->ci_high);
				CHECK(!known || e->p_value_adjusted >= e->p_value, "%g", e->p_value_adjusted);
				CHECK(!isnan(e->anytime_ci_low) && !isnan(e->anytime_ci_high) && e->anytime_p_value >= 0 &&
						  e->anytime_p_value <= 1,
					  "%g..%g", e->anytime_ci_low, e->anytime_ci_high);
				CHECK(isnan(e->lift_low) == isnan(e->lift_high) && !(e->lift_low > e->lift_high), "%g..%g", e->lift_low,
					  e->lift_high);
				CHECK(isnan(e->cuped_difference) == isnan(e->cuped_ci_low) &&
						  (isnan(e->cuped_reduction) || (e->cuped_reduction >= 0 && e->cuped_reduction <= 1)),
					  "%g", e->cuped_reduction);
			}
	}

	/* Arms swapped: the difference turns its sign, nothing else. All values another unit and zero point: as they do. */
	for (int i = 0; i < 300; i++)
	{
		double scale = uniform() < 0.5 ? 3 : -0.25;
		double offset = floor(100 * uniform());
		experiment_estimate *a;
		experiment_estimate *b;

		fixture_init(&f, 2, 2);
		fixture_init(&other, 2, 2);
		other.metric[1].anchor = offset;
		for (int u = 0; u < 200; u++)
		{
			int arm = uniform() < 0.3;
			double c = 1 + floor(3 * uniform());
			double pc = floor(3 * uniform());
			double own = normal();
			double v[EXPERIMENT_SUMS] = {c, c * own + normal(), pc, pc * own + normal() * (pc > 0)};
			double w[EXPERIMENT_SUMS] = {c, scale * v[1], pc, scale * v[3]};

			experiment_moments_change(fixture_cell(&f, 0, arm, 1), NULL, v);
			experiment_moments_change(fixture_cell(&other, 0, 1 - arm, 1), NULL, w);
		}
		fixture_estimates(&f);
		fixture_estimates(&other);
		a = fixture_estimate(&f, 1, 1);
		b = fixture_estimate(&other, 1, 1);
		SAME(a->p_value, b->p_value, 1e-9, "p %g, %g", a->p_value, b->p_value);
		SAME(a->difference * -scale, b->difference, 1e-9, "%g, %g", a->difference, b->difference);
		SAME(a->cuped_p_value, b->cuped_p_value, 1e-8, "CUPED p %g, %g", a->cuped_p_value, b->cuped_p_value);
		SAME(a->cuped_reduction, b->cuped_reduction, 1e-8, "%g, %g", a->cuped_reduction, b->cuped_reduction);
		SAME(a->ci_low * -scale, scale > 0 ? b->ci_high : b->ci_low, 1e-8, "%g, %g", a->ci_low, b->ci_high);
		SAME(a->anytime_p_value, b->anytime_p_value, 1e-8, "%g, %g", a->anytime_p_value, b->anytime_p_value);
		SAME(a->mean_control * scale + offset, b->mean_variant, 1e-9, "%g, %g", a->mean_control, b->mean_variant);
	}
}

/* epochs: with equal shares they change nothing but that the interval is the unit's; with unequal ones they weigh. */
static void
epochs(void)
{
	experiment_estimate *e;
	double p;

	seed(51);
	fixture_init(&f, 2, 2);
	for (int i = 0; i < 500; i++)
		fixture_add(&f, 0, i % 2, 1, normal() + 0.1 * (i % 2));
	fixture_estimates(&f);
	p = fixture_estimate(&f, 1, 1)->p_value;
	/* the same units in two halves */
	f.plan.epochs = 2;
	for (int arm = 0; arm < 2; arm++)
	{
		experiment_moments *first = fixture_cell(&f, 0, arm, 1);
		experiment_moments *second = fixture_cell(&f, 1, arm, 1);
		experiment_moments part = {.units = 100, .sum = {100, 7}, .product = {100, 7, 0, 0, 40}};
		experiment_moments less = {.units = -100, .sum = {-100, -7}, .product = {-100, -7, 0, 0, -40}};

		experiment_moments_merge(second, &part);
		experiment_moments_merge(first, &less);
	}
	fixture_estimates(&f);
	SAME(fixture_estimate(&f, 1, 1)->p_value, p, 1e-9, "%g instead of %g", fixture_estimate(&f, 1, 1)->p_value, p);

	/* CUPED with weights: theta, means and variances by long sums over the units. */
	{
		static double v[1000][EXPERIMENT_SUMS];
		static double weight[1000];
		static int arm_of[1000];
		double mean[2] = {0, 0};
		double past = 0;
		double total[2] = {0, 0};
		double mean_x[2] = {0, 0};
		double n[2] = {0, 0};
		double xx = 0;
		double xy = 0;
		double theta;
		double variance = 0;
		double past_total = 0;

		seed(52);
		fixture_init(&f, 2, 2);
		f.plan.epochs = 2;
		f.share[0] = f.share[3] = 0.8;
		f.share[1] = f.share[2] = 0.2;
		for (int i = 0; i < 1000; i++)
		{
			int epoch = i >= 500;
			double own = normal() + epoch;

			arm_of[i] = uniform() < f.share[2 * epoch + 1];
			weight[i] = 1 / f.share[2 * epoch + arm_of[i]];
			v[i][0] = v[i][2] = 1;
			v[i][1] = own + normal();
			v[i][3] = own + normal();
			experiment_moments_change(fixture_cell(&f, epoch, arm_of[i], 1), NULL, v[i]);
			total[arm_of[i]] += weight[i];
			n[arm_of[i]]++;
			mean[arm_of[i]] += weight[i] * v[i][1];
			mean_x[arm_of[i]] += weight[i] * v[i][3];
			past += weight[i] * v[i][3];
			past_total += weight[i];
		}
		for (int a = 0; a < 2; a++)
		{
			mean[a] /= total[a];
			mean_x[a] /= total[a];
		}
		past /= past_total;
		for (int i = 0; i < 1000; i++)
		{
			int a = arm_of[i];
			double w = weight[i] * n[a] / total[a];

			xx += w * w * (v[i][3] - mean_x[a]) * (v[i][3] - mean_x[a]);
			xy += w * w * (v[i][3] - mean_x[a]) * (v[i][1] - mean[a]);
		}
		theta = xy / xx;
		for (int i = 0; i < 1000; i++)
		{
			int a = arm_of[i];
			double rest = weight[i] / total[a] * (v[i][1] - mean[a] - theta * (v[i][3] - mean_x[a]));

			variance += rest * rest * n[a] / (n[a] - 1);
		}
		fixture_estimates(&f);
		e = fixture_estimate(&f, 1, 1);
		SAME(e->difference, mean[1] - mean[0], 1e-9, "%.12g", e->difference);
		SAME(e->cuped_difference, mean[1] - theta * mean_x[1] - mean[0] + theta * mean_x[0], 1e-9, "%.12g",
			 e->cuped_difference);
		SAME((e->cuped_ci_high - e->cuped_ci_low) / 2, 1.963 * sqrt(variance), 2e-3, "%.12g", e->cuped_ci_high);
	}

	/* A rate that rises from 0.2 to 0.8 while the treatment's share rises from 0.1 to 0.9: no difference. */
	fixture_init(&f, 2, 1);
	f.plan.epochs = 2;
	f.share[0] = f.share[3] = 0.9;
	f.share[1] = f.share[2] = 0.1;
	for (int i = 0; i < 1000; i++)
	{
		fixture_add(&f, 0, i % 10 == 0, 0, i / 10 % 5 == 0);
		fixture_add(&f, 1, i % 10 != 0, 0, i / 10 % 5 != 0);
	}
	fixture_estimates(&f);
	e = fixture_estimate(&f, 0, 1);
	CHECK(fabs(e->difference) < 1e-9 && e->p_value > 0.999 && fabs(e->mean_control - 0.5) < 1e-9, "%g, p %g",
		  e->difference, e->p_value);
	f.plan.horizon = 1e6;
	/* Kish: 900 units of weight 1 / 0.9 and 100 of weight 10 are worth 360; the plan's pairs are of shares 0.9 and 0.1.
	 */
	CHECK(fabs(experiment_information(&f.plan, &f.data) - 180 / 90e3) < 1e-5, "%g",
		  experiment_information(&f.plan, &f.data));
}

static void *
sketch_space(void *context, void *old, size_t size)
{
	if (size > 0)
		return realloc(old, size);
	free(old);
	return NULL;
}

/* quantile: of some values from `first` on, `step` apart; from how many up its error is known. */
static experiment_quantile
quantile(double first, double step, int n, double p)
{
	static unsigned char form[SUMMARY_SIZE_MAX];
	experiment_quantile q;
	summary s;

	summary_init(&s, sketch_space, NULL);
	for (int i = 0; i < n; i++)
		summary_add(&s, first + step * i);
	q = experiment_quantile_of(form, summary_encode(&s, form), p);
	summary_free(&s);
	return q;
}

static void
quantiles_of_sketches(void)
{
	experiment_quantile q = quantile(0, 0, 0, 0.5);

	CHECK(q.samples == 0 && isnan(q.value) && isnan(q.standard_error), "nothing: %g", q.value);
	q = quantile(0.8, 0, 1000, 0.95);
	CHECK(q.samples == 1000 && q.value == 0.8 && q.standard_error == 0, "one value: %.17g, error %g", q.value,
		  q.standard_error);
	q = quantile(0, 0, 1000, 0.5);
	CHECK(q.value == 0 && q.standard_error == 0, "zeros: %g", q.value);
	q = quantile(3, 0.5, 1, 0.5);
	CHECK(q.value == 3 && isnan(q.standard_error), "one: %g, error %g", q.value, q.standard_error);
	/* evenly spread values: exact positions, positive, negative, and around zero */
	for (int from = -2; from <= 0; from++)
	{
		q = quantile(from * 5000.0 + 1, 1, 10000, 0.9);
		CHECK(fabs(q.value - (from * 5000.0 + 9000)) < 2, "from %d: %g", from, q.value);
		/* sqrt(0.09 * 10000) = 30 ranks, 1 apart */
		CHECK(q.standard_error > 29 && q.standard_error < 31, "from %d: error %g", from, q.standard_error);
	}
	q = quantile(1, 1, 60, 0.99);
	CHECK(!isnan(q.value) && isnan(q.standard_error), "too few for the tail: %g", q.standard_error);
}

int
main(void)
{
	quantiles_of_sketches();
	references();
	anything();
	epochs();
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
