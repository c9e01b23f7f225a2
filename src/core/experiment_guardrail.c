/*
 * experiment_guardrail.c: is a variant surely farther from control than a guardrail allows? One-sided, always valid:
 * the error probability is divided over all bounds and arms, and the lower end of the always-valid interval (see
 * sequential.c) of variant less what control allows must be above 0. A relative bound scales control's arm.
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>

/* Means of constant values are equal up to this part of them. */
#define CONSTANT 1e-9

typedef struct question
{
	hypothesis_arm control;
	hypothesis_arm variant;
	double level;
} question;

/* bound_of: one of the bounds of a metric. */
static double
bound_of(const experiment_bounds *bounds, experiment_guardrail_bound bound)
{
	switch (bound)
	{
		case EXPERIMENT_NO_BOUND:
			break;
		case EXPERIMENT_MAX_INCREASE:
			return bounds->max_increase;
		case EXPERIMENT_MAX_RELATIVE_INCREASE:
			return bounds->max_relative_increase;
		case EXPERIMENT_MAX_DECREASE:
			return bounds->max_decrease;
		case EXPERIMENT_MAX_RELATIVE_DECREASE:
			return bounds->max_relative_decrease;
	}
	return INFINITY;
}

const char *
experiment_guardrail_bound_name(experiment_guardrail_bound bound)
{
	switch (bound)
	{
		case EXPERIMENT_NO_BOUND:
			break;
		case EXPERIMENT_MAX_INCREASE:
			return "max_increase";
		case EXPERIMENT_MAX_RELATIVE_INCREASE:
			return "max_relative_increase";
		case EXPERIMENT_MAX_DECREASE:
			return "max_decrease";
		case EXPERIMENT_MAX_RELATIVE_DECREASE:
			return "max_relative_decrease";
	}
	return "";
}

/* excess: by how much the variant surely is beyond an allowance, at least; above 0 is broken. */
static double
excess(const question *q, experiment_guardrail_bound bound, double allowed)
{
	bool relative = bound == EXPERIMENT_MAX_RELATIVE_INCREASE || bound == EXPERIMENT_MAX_RELATIVE_DECREASE;
	double sign = bound == EXPERIMENT_MAX_INCREASE || bound == EXPERIMENT_MAX_RELATIVE_INCREASE ? 1 : -1;
	hypothesis_arm control = q->control;
	double low;
	double high;
	double p;

	if (relative)
	{
		/* control + sign * allowed * |control| */
		double factor = 1 + sign * (control.mean.hi < 0 ? -allowed : allowed);

		control.mean = dd_multiply_double(control.mean, factor);
		control.variance *= factor * factor;
	}
	/* One side of the interval is crossed ever with half of what both are. */
	sequential_anytime(control, q->variant, 1 - 2 * q->level, &low, &high, &p);
	/* Constant values, and not few of them: the difference is what it is, but for rounding. */
	if (!(control.variance > 0) && !(q->variant.variance > 0))
	{
		double rounding = CONSTANT * (fabs(control.mean.hi) + fabs(q->variant.mean.hi));

		low = high = dd_value(dd_subtract(q->variant.mean, control.mean));
		low -= rounding;
		high += rounding;
	}
	return (sign > 0 ? low : -high) - (relative ? 0 : allowed);
}

/* surely: the largest allowance that is still broken. */
static double
surely(const question *q, experiment_guardrail_bound bound, double allowed)
{
	double low = allowed;
	double high = fmax(2 * allowed, 1e-300);

	while (isfinite(high) && excess(q, bound, high) > 0)
	{
		low = high;
		high *= 2;
	}
	if (!isfinite(high))
		return INFINITY; /* a part of a control that is 0 */
	for (int i = 0; i < 100; i++)
	{
		double middle = low + (high - low) / 2;

		if (excess(q, bound, middle) > 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

experiment_guardrail_result
experiment_guard(const experiment_plan *plan, const experiment_data *data)
{
	experiment_guardrail_result none = {EXPERIMENT_NO_METRIC, EXPERIMENT_NO_ARM, EXPERIMENT_NO_BOUND, NAN, NAN};
	int questions = 0;

	for (int metric = 0; metric < plan->metrics; metric++)
		for (experiment_guardrail_bound b = EXPERIMENT_MAX_INCREASE; b <= EXPERIMENT_MAX_RELATIVE_DECREASE; b++)
			questions += isfinite(bound_of(&plan->metric[metric].bounds, b));
	if (questions == 0)
		return none;
	for (int metric = 0; metric < plan->metrics; metric++)
		for (int arm = 1; arm < plan->arms; arm++)
		{
			question q = {.level = EXPERIMENT_GUARDRAIL_LEVEL / (questions * (plan->arms - 1))};

			for (experiment_guardrail_bound b = EXPERIMENT_MAX_INCREASE; b <= EXPERIMENT_MAX_RELATIVE_DECREASE; b++)
			{
				double allowed = bound_of(&plan->metric[metric].bounds, b);

				if (!isfinite(allowed))
					continue;
				if (q.control.n == 0)
				{
					q.control = experiment_anytime_arm(plan, data, metric, EXPERIMENT_CONTROL_ARM);
					q.variant = experiment_anytime_arm(plan, data, metric, arm);
				}
				if (q.control.n < EXPERIMENT_GUARDRAIL_UNITS || q.variant.n < EXPERIMENT_GUARDRAIL_UNITS)
					break;
				if (excess(&q, b, allowed) > 0)
					return (experiment_guardrail_result){metric, arm, b, allowed, surely(&q, b, allowed)};
			}
		}
	return none;
}
