/*
 * experiment_estimate.c: what the running sums say of each metric: differences with their intervals, and the ratio of
 * units. Where every unit has one outcome these are the tests of hypothesis.h to the last digit; else the unit is what
 * is independent, and a mean of outcomes is a ratio of two sums over units: Deng, Knoblich and Lu, Applying the Delta
 * Method in Metric Analytics (2018), equation 3.
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>

#include "core/distribution.h"

/* A difference that many times what rounding can make of one is real. */
#define SURELY_REAL 1000

int
experiment_secondaries(const experiment_plan *plan)
{
	int n = 0;

	for (int i = 0; i < plan->metrics; i++)
		n += plan->metric[i].role == EXPERIMENT_SECONDARY;
	return n;
}

double
experiment_error(const experiment_plan *plan)
{
	/* 1 - 0.95 is 0.05000000000000004 in binary; 0.05 leaves the very same 0.95 and is what was meant. */
	double written = rint((1 - plan->confidence_level) * 1e15) / 1e15;

	return 1 - written == plan->confidence_level ? written : 1 - plan->confidence_level;
}

double
experiment_level(const experiment_plan *plan, experiment_role role)
{
	double level = experiment_error(plan);

	if (experiment_secondaries(plan) == 0)
		return level;
	return level * (role == EXPERIMENT_PRIMARY ? EXPERIMENT_PRIMARY_TENTHS : 10 - EXPERIMENT_PRIMARY_TENTHS) / 10;
}

/* moments_of: the sums of one cell. */
static const experiment_moments *
moments_of(const experiment_plan *plan, const experiment_data *data, int epoch, int metric, int arm)
{
	return &data->moments[((size_t) epoch * plan->arms + arm) * plan->metrics + metric];
}

int64_t
experiment_samples(const experiment_plan *plan, const experiment_data *data, int metric, int arm)
{
	double sum = 0;

	if (plan->metric[metric].form == EXPERIMENT_QUANTILE)
		return data->quantile[(size_t) arm * plan->metrics + metric].samples;
	for (int epoch = 0; epoch < plan->epochs; epoch++)
		sum += moments_of(plan, data, epoch, metric, arm)->sum[SUM_C];
	return (int64_t) (sum + 0.5);
}

/* settle: ratio, its variance and what that is worth, from the sums. */
static void
settle(experiment_side *side, const experiment_metric *metric, double squares_c)
{
	double first_c = side->first[SUM_C];
	double second_c = side->second_sum[SUM_C];
	double rounding;
	double variance;

	side->ratio = NAN;
	side->arm = (hypothesis_arm){0, {NAN, 0}, 0};
	if (side->outcomes <= 0)
	{
		side->units = 0;
		return;
	}
	side->plain = side->plain && squares_c == side->outcomes;
	if (squares_c == side->outcomes)
		side->units = side->outcomes;
	side->ratio = side->first[SUM_S] / first_c;
	side->spread = side->second[PRODUCT_S_S] -
				   side->ratio * (2 * side->second[PRODUCT_C_S] - side->ratio * side->second[PRODUCT_C_C]);
	/* Each of n additions rounds by half a unit in the last place of a sum at most; counts are exact. */
	rounding = metric->form == EXPERIMENT_RATE ? 4e-16 : fmax(16, side->outcomes) * 1.2e-16;
	if (!(side->spread > rounding * side->second[PRODUCT_S_S]))
	{
		side->no_variance = true;
		side->spread = rounding * side->second[PRODUCT_S_S];
	}
	side->resolution = rounding * fabs(side->ratio) + 2.3e-16 * fabs(metric->anchor);
	side->arm.n = (int64_t) side->units;
	side->arm.mean = dd_two_sum(metric->anchor, side->ratio);
	/* Kish: what unequal weights leave. */
	side->effective = first_c * (first_c / second_c);
	if (side->units < 2)
	{
		side->effective = fmin(side->effective, side->units);
		return;
	}
	variance = side->spread / first_c / first_c * side->units / (side->units - 1);
	side->arm.variance = variance * side->units;
	/* Outcomes of a rate that resemble each other within a unit tell less than their number (Kish's design effect). */
	if (metric->form == EXPERIMENT_RATE && !side->plain && !side->no_variance)
		side->effective = fmin(side->effective, side->ratio * (1 - side->ratio) / variance);
}

experiment_side
experiment_side_of(const experiment_plan *plan, const experiment_data *data, int metric, int arm)
{
	experiment_side side = {.plain = plan->epochs == 1};
	double squares_c = 0;

	for (int epoch = 0; epoch < plan->epochs; epoch++)
	{
		const experiment_moments *m = moments_of(plan, data, epoch, metric, arm);
		double share = plan->share[(size_t) epoch * plan->arms + arm];
		double weight = plan->epochs == 1 ? 1 : 1 / share;

		/* A share of 0 has no units; shares moved by hand may round to it. */
		if (m->units <= 0 || !(share > 0))
			continue;
		side.outcomes += m->sum[SUM_C];
		side.units += m->units;
		squares_c += m->product[PRODUCT_C_C];
		side.first_units += weight * m->units;
		side.second_units += weight * weight * m->units;
		for (int i = 0; i < EXPERIMENT_SUMS; i++)
		{
			side.first[i] += weight * m->sum[i];
			side.second_sum[i] += weight * weight * m->sum[i];
		}
		for (int i = 0; i < EXPERIMENT_PRODUCTS; i++)
			side.second[i] += weight * weight * m->product[i];
	}
	settle(&side, &plan->metric[metric], squares_c);
	return side;
}

static const experiment_estimate unknown = {.mean_control = NAN,
											.mean_variant = NAN,
											.difference = NAN,
											.ci_low = NAN,
											.ci_high = NAN,
											.relative_lift = NAN,
											.lift_low = NAN,
											.lift_high = NAN,
											.standard_error = NAN,
											.statistic = NAN,
											.p_value = NAN,
											.p_value_adjusted = NAN,
											.anytime_ci_low = -INFINITY,
											.anytime_ci_high = INFINITY,
											.anytime_p_value = 1,
											.cuped_difference = NAN,
											.cuped_ci_low = NAN,
											.cuped_ci_high = NAN,
											.cuped_p_value = NAN,
											.cuped_reduction = NAN};

/* smoothed: a rate's variance as if it had one success and one failure more (Agresti and Caffo): none is certain. */
static double
smoothed(double successes, double outcomes)
{
	double rate = (successes + 1) / (outcomes + 2);

	return rate * (1 - rate);
}

hypothesis_arm
experiment_anytime_arm(const experiment_plan *plan, const experiment_data *data, int metric, int arm)
{
	const experiment_metric *m = &plan->metric[metric];

	if (m->form == EXPERIMENT_QUANTILE)
	{
		const experiment_quantile *q = &data->quantile[(size_t) arm * plan->metrics + metric];

		if (q->samples <= 0 || !isfinite(q->value) || !isfinite(q->standard_error))
			return (hypothesis_arm){0, {NAN, 0}, 0};
		return (hypothesis_arm){q->samples, {q->value, 0}, q->standard_error * q->standard_error * (double) q->samples};
	}
	else
	{
		experiment_side side = experiment_side_of(plan, data, metric, arm);

		if (side.no_variance)
			side.arm.variance = 0;
		if (m->form == EXPERIMENT_RATE && side.outcomes > 0)
			side.arm.variance = fmax(side.plain ? 0 : side.arm.variance,
									 smoothed(side.ratio * side.outcomes, side.outcomes) * side.units / side.outcomes);
		return side.arm;
	}
}

/* quantile_test: the difference of two estimates with known standard errors. */
static hypothesis_result
quantile_test(const experiment_quantile *control, const experiment_quantile *variant, double confidence_level)
{
	hypothesis_result r = {.mean_control = control->samples > 0 ? control->value : NAN,
						   .mean_treatment = variant->samples > 0 ? variant->value : NAN,
						   .statistic = NAN,
						   .p_value = NAN,
						   .df = NAN,
						   .ci_low = NAN,
						   .ci_high = NAN};
	double error = hypot(control->standard_error, variant->standard_error);

	r.effect = r.mean_treatment - r.mean_control;
	if (isnan(r.effect) || !isfinite(error))
		return r;
	r.ci_low = r.ci_high = r.effect;
	if (error > 0)
	{
		double width = -distribution_normal_quantile((1 - confidence_level) / 2) * error;

		r.statistic = r.effect / error;
		r.ci_low -= width;
		r.ci_high += width;
		r.p_value = distribution_normal_two_sided(r.statistic);
	}
	else
	{
		r.statistic = r.effect == 0 ? 0 : r.effect > 0 ? INFINITY : -INFINITY;
		r.p_value = r.effect == 0 ? 1 : 0;
	}
	return r;
}

/* unit_test: two means, their units being independent. */
static hypothesis_result
unit_test(experiment_side *control, experiment_side *variant, double confidence_level)
{
	if (control->no_variance && variant->no_variance)
	{
		double distance = fabs(variant->ratio - control->ratio);
		double error = sqrt(control->arm.variance / control->units + variant->arm.variance / variant->units);

		/* Constant values: only rounding is left of the variance, and perhaps of the difference. */
		if (distance <= 4 * (control->resolution + variant->resolution))
			variant->arm.mean = control->arm.mean;
		else if (!(distance > SURELY_REAL * error))
			return hypothesis_welch(control->arm, variant->arm, confidence_level);
		control->arm.variance = variant->arm.variance = 0;
	}
	return hypothesis_welch(control->arm, variant->arm, confidence_level);
}

/* lift: Fieller's interval (1954) of variant / control - 1, consistent with the test of the difference. */
static void
lift(experiment_estimate *e, double variance_control, double variance_variant, double z)
{
	double c = e->mean_control;
	double v = e->mean_variant;
	double solid = c * c - z * z * variance_control;
	double root;

	if (c == 0 || isnan(c) || isnan(v))
		return;
	e->relative_lift = e->difference / fabs(c);
	if (!(solid > 0) || !isfinite(variance_control) || !isfinite(variance_variant))
		return;
	root = z * sqrt(fmax(v * v * variance_control + variance_variant * solid, 0));
	e->lift_low = (v * c - root) / solid - 1;
	e->lift_high = (v * c + root) / solid - 1;
	if (c < 0)
	{
		double low = -e->lift_high;

		e->lift_high = -e->lift_low;
		e->lift_low = low;
	}
}

/* covariate: what CUPED needs of one side; before: mean of the past over both sides. */
static hypothesis_cuped_arm
covariate(const experiment_side *side, double before)
{
	const double *p = side->second;
	double n = side->units;
	double scale = n / side->first_units; /* weights to mean 1 */
	double mean_c = side->first[SUM_C] / side->first_units;
	double mean_x = (side->first[SUM_PS] - before * side->first[SUM_PC]) / side->first_units;
	/* sums of w^2 over x, z, x z and x^2, with x = ps - before pc and z = (s - ratio c) / mean_c */
	double x = side->second_sum[SUM_PS] - before * side->second_sum[SUM_PC];
	double z = (side->second_sum[SUM_S] - side->ratio * side->second_sum[SUM_C]) / mean_c;
	double xz =
		(p[PRODUCT_S_PS] - side->ratio * p[PRODUCT_C_PS] - before * (p[PRODUCT_S_PC] - side->ratio * p[PRODUCT_C_PC])) /
		mean_c;
	double xx = p[PRODUCT_PS_PS] - before * (2 * p[PRODUCT_PC_PS] - before * p[PRODUCT_PC_PC]);
	hypothesis_cuped_arm arm = {.n = (int64_t) n, .mean_x = {mean_x, 0}, .mean_y = side->arm.mean};

	arm.xx = fmax(xx - mean_x * (2 * x - mean_x * side->second_units), 0) * scale * scale;
	arm.xy = (xz - mean_x * z) * scale * scale;
	arm.yy = side->spread / mean_c / mean_c * scale * scale;
	return arm;
}

/* cuped: the estimate with the part taken out that the units' past explains. */
static void
cuped(experiment_estimate *e, const experiment_side *control, const experiment_side *variant, double confidence_level)
{
	double past = control->first[SUM_PC] + variant->first[SUM_PC];
	double before = (control->first[SUM_PS] + variant->first[SUM_PS]) / past;
	hypothesis_cuped_arm arms[2];
	hypothesis_result r;
	double theta;
	double plain = 0;
	double reduced = 0;

	if (!(control->first[SUM_PC] > 0) || !(variant->first[SUM_PC] > 0) || control->units < 2 || variant->units < 2 ||
		(control->no_variance && variant->no_variance))
		return;
	arms[0] = covariate(control, before);
	arms[1] = covariate(variant, before);
	if (!(arms[0].xx + arms[1].xx > 0))
		return;
	r = hypothesis_cuped(arms[0], arms[1], confidence_level);
	if (isnan(r.p_value))
		return;
	e->cuped_difference = r.effect;
	e->cuped_ci_low = r.ci_low;
	e->cuped_ci_high = r.ci_high;
	e->cuped_p_value = r.p_value;
	theta = (arms[0].xy + arms[1].xy) / (arms[0].xx + arms[1].xx);
	for (int i = 0; i < 2; i++)
	{
		double n = (double) arms[i].n;

		plain += arms[i].yy / (n * (n - 1));
		reduced += (arms[i].yy - theta * (2 * arms[i].xy - theta * arms[i].xx)) / (n * (n - 1));
	}
	e->cuped_reduction = fmin(fmax(1 - reduced / plain, 0), 1);
}

/* estimate: one metric of one arm against control. */
static experiment_estimate
estimate(const experiment_plan *plan, const experiment_data *data, int metric, int arm)
{
	const experiment_metric *m = &plan->metric[metric];
	experiment_estimate e = unknown;
	hypothesis_arm always[2];
	hypothesis_result r;
	double variance_control;
	double variance_variant;

	e.samples_control = experiment_samples(plan, data, metric, EXPERIMENT_CONTROL_ARM);
	e.samples_variant = experiment_samples(plan, data, metric, arm);
	if (m->form == EXPERIMENT_QUANTILE)
	{
		const experiment_quantile *control = &data->quantile[metric];
		const experiment_quantile *variant = &data->quantile[(size_t) arm * plan->metrics + metric];

		e.units_control = e.samples_control;
		e.units_variant = e.samples_variant;
		r = quantile_test(control, variant, plan->confidence_level);
		variance_control = control->standard_error * control->standard_error;
		variance_variant = variant->standard_error * variant->standard_error;
	}
	else
	{
		experiment_side control = experiment_side_of(plan, data, metric, EXPERIMENT_CONTROL_ARM);
		experiment_side variant = experiment_side_of(plan, data, metric, arm);

		e.units_control = (int64_t) control.units;
		e.units_variant = (int64_t) variant.units;
		if (m->form == EXPERIMENT_RATE && control.plain && variant.plain)
			r = hypothesis_two_proportions((int64_t) control.first[SUM_S], e.samples_control,
										   (int64_t) variant.first[SUM_S], e.samples_variant, plan->confidence_level);
		else
			r = unit_test(&control, &variant, plan->confidence_level);
		variance_control = control.units < 2 ? NAN : control.arm.variance / control.units;
		variance_variant = variant.units < 2 ? NAN : variant.arm.variance / variant.units;
		if (arm != EXPERIMENT_CONTROL_ARM)
			cuped(&e, &control, &variant, plan->confidence_level);
	}
	e.mean_control = r.mean_control;
	e.mean_variant = r.mean_treatment;
	if (arm == EXPERIMENT_CONTROL_ARM)
		return e;
	e.difference = r.effect;
	e.ci_low = r.ci_low;
	e.ci_high = r.ci_high;
	e.statistic = r.statistic;
	e.p_value = e.p_value_adjusted = r.p_value;
	e.standard_error = sqrt(variance_control + variance_variant);
	/* A test of t: the quantile that made its interval; it is dear to compute. */
	lift(&e, variance_control, variance_variant,
		 isnan(r.df) ? -distribution_normal_quantile((1 - plan->confidence_level) / 2)
					 : (r.ci_high - r.effect) / e.standard_error);
	always[0] = experiment_anytime_arm(plan, data, metric, EXPERIMENT_CONTROL_ARM);
	always[1] = experiment_anytime_arm(plan, data, metric, arm);
	sequential_anytime(always[0], always[1], plan->confidence_level, &e.anytime_ci_low, &e.anytime_ci_high,
					   &e.anytime_p_value);
	return e;
}

/* adjust: Holm's adjusted p-values of one family; what is not known counts as 1 and stays unknown. */
static void
adjust(const experiment_plan *plan, experiment_role role, experiment_estimate *estimates,
	   const sequential_caller *caller)
{
	double *p = caller->allocate(sizeof(double) * (size_t) (plan->metrics * plan->arms));

	for (int pass = 0; pass < 2; pass++)
	{
		int n = 0;

		for (int metric = 0; metric < plan->metrics; metric++)
			for (int arm = 1; arm < plan->arms; arm++)
				if (plan->metric[metric].role == role)
				{
					experiment_estimate *e = &estimates[metric * plan->arms + arm];

					if (pass == 0)
						p[n] = isnan(e->p_value) ? 1 : e->p_value;
					else if (!isnan(e->p_value))
						e->p_value_adjusted = p[n];
					n++;
				}
		if (pass == 0)
			sequential_adjust(p, n, 1, caller);
	}
	caller->release(p);
}

void
experiment_estimates(const experiment_plan *plan, const experiment_data *data, experiment_estimate *estimates,
					 const sequential_caller *caller)
{
	for (int metric = 0; metric < plan->metrics; metric++)
		for (int arm = 0; arm < plan->arms; arm++)
			estimates[metric * plan->arms + arm] = estimate(plan, data, metric, arm);
	adjust(plan, EXPERIMENT_PRIMARY, estimates, caller);
	adjust(plan, EXPERIMENT_SECONDARY, estimates, caller);
}

double
experiment_sample_ratio(const experiment_plan *plan, const int64_t *units, bool *alarm)
{
	double chi_square = 0;
	double total = 0;
	double least = INFINITY;

	*alarm = false;
	for (int arm = 0; arm < plan->arms; arm++)
	{
		dd excess = {0, 0};
		double expected = 0;

		for (int epoch = 0; epoch < plan->epochs; epoch++)
		{
			const int64_t *row = &units[(size_t) epoch * plan->arms];
			double share = plan->share[(size_t) epoch * plan->arms + arm];
			double n = 0;

			for (int i = 0; i < plan->arms; i++)
				n += (double) row[i];
			total += (double) row[arm];
			expected += n * share;
			/* n * share exactly: with a billion units its rounding would show in the p-value */
			excess = dd_add(excess, dd_add_double(dd_negate(dd_two_product(n, share)), (double) row[arm]));
		}
		if (expected > 0)
		{
			chi_square += dd_value(excess) * (dd_value(excess) / expected);
			least = fmin(least, expected);
		}
		else if (dd_value(excess) > 0)
			chi_square = INFINITY;
	}
	if (total == 0)
		return 1;
	if (isinf(chi_square))
	{
		*alarm = true;
		return 0;
	}
	{
		double p = distribution_chi_square_sf(chi_square, plan->arms - 1);

		*alarm = p < EXPERIMENT_SAMPLE_RATIO_LEVEL && least >= 5;
		return p;
	}
}

double
experiment_information(const experiment_plan *plan, const experiment_data *data)
{
	double sum = 0;

	for (int arm = 1; arm < plan->arms; arm++)
	{
		double effective[2];
		double share_control = plan->share[EXPERIMENT_CONTROL_ARM];
		double share = plan->share[arm];

		for (int i = 0; i < 2; i++)
			effective[i] = plan->metric[0].form == EXPERIMENT_QUANTILE
							   ? (double) experiment_samples(plan, data, 0, i * arm)
							   : experiment_side_of(plan, data, 0, i * arm).effective;
		/* 1 / (1/a + 1/b), against the same of the horizon's outcomes */
		if (effective[0] > 0 && effective[1] > 0)
			sum += effective[0] * (effective[1] / (effective[0] + effective[1])) /
				   (plan->horizon * share_control * share / (share_control + share));
	}
	return fmin(sum / (plan->arms - 1), 1);
}
