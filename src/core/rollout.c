/*
 * rollout.c: judging and stepping a rollout. A limit is an operator's promise and is compared plainly; how sure the
 * number is shows in the interval beside it. Too little data holds, it never promotes and never rolls back.
 */
#include "core/rollout.h"

#include <math.h>
#include <stddef.h>

/* 0.975 quantile of the normal distribution. */
#define Z_95 1.959963984540054

const char *
rollout_metric_name(rollout_metric metric)
{
	switch (metric)
	{
		case ROLLOUT_SUCCESS_RATE:
			return "success_rate";
		case ROLLOUT_ERROR_RATE:
			return "error_rate";
		case ROLLOUT_RESPONSE_TIME:
			return "response_time";
		case ROLLOUT_METRICS:
			break;
	}
	return NULL;
}

const char *
rollout_outcome_name(rollout_outcome outcome)
{
	switch (outcome)
	{
		case ROLLOUT_PASS:
			return "pass";
		case ROLLOUT_FAIL:
			return "fail";
		case ROLLOUT_WAIT:
			return "wait";
		case ROLLOUT_INCONCLUSIVE:
			return "inconclusive";
	}
	return NULL;
}

const char *
rollout_wait_name(rollout_wait wait)
{
	switch (wait)
	{
		case ROLLOUT_WAIT_NOTHING:
			return NULL;
		case ROLLOUT_WAIT_WARMUP:
			return "warmup_seconds";
		case ROLLOUT_WAIT_SECONDS:
			return "step_seconds";
		case ROLLOUT_WAIT_REQUESTS:
			return "min_requests";
		case ROLLOUT_WAIT_LIMITS:
			return "limits";
		case ROLLOUT_WAIT_RESUME:
			return "resume";
		case ROLLOUT_WAIT_BAKE:
			return "bake_seconds";
	}
	return NULL;
}

/* wilson: score interval of k successes in n, Wilson, JASA 22 (1927); stays inside 0..1 and is right at the ends. */
static void
wilson(double k, double n, double *low, double *high)
{
	double p = k / n;
	double z2 = Z_95 * Z_95;
	double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
	double half = Z_95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));

	*low = fmax(0, centre - half);
	*high = fmin(1, centre + half);
}

/* samples_of: the denominator of a metric, with its numerator. */
static int64_t
samples_of(rollout_metric metric, const rollout_tally *tally, double *sum)
{
	switch (metric)
	{
		case ROLLOUT_SUCCESS_RATE:
			*sum = (double) tally->successes;
			return tally->known;
		case ROLLOUT_ERROR_RATE:
			*sum = (double) tally->errors;
			return tally->requests;
		case ROLLOUT_RESPONSE_TIME:
			*sum = tally->response_time_sum;
			return tally->response_time_count;
		case ROLLOUT_METRICS:
			break;
	}
	*sum = 0;
	return 0;
}

rollout_verdict
rollout_judge(const rollout_plan *plan, rollout_metric metric, const rollout_tally *window, const rollout_tally *step)
{
	rollout_verdict verdict = {.value = NAN, .low = NAN, .high = NAN, .limit = plan->limits[metric]};
	int64_t needed = plan->min_requests;
	const rollout_tally *tally = window;
	double sum;
	bool enough;

	/* A window with too few known outcomes is stretched back to the step's start. */
	if (window->known < needed && step->known > window->known)
		tally = step;
	enough = tally->known >= needed;

	/* Labels may be hours late, so a metric that has enough samples of its own is compared all the same. */
	if (!enough)
	{
		int64_t in_window = samples_of(metric, window, &sum);

		tally = in_window < needed && samples_of(metric, step, &sum) > in_window ? step : window;
		enough = samples_of(metric, tally, &sum) >= needed;
	}
	verdict.samples_needed = needed;
	verdict.samples = samples_of(metric, tally, &sum);
	verdict.stretched = tally == step;

	if (verdict.samples > 0)
	{
		verdict.value = sum / (double) verdict.samples;
		if (metric != ROLLOUT_RESPONSE_TIME)
			wilson(sum, (double) verdict.samples, &verdict.low, &verdict.high);
	}
	/* A metric that nobody records breaks nothing. */
	if (!enough)
		verdict.outcome = ROLLOUT_WAIT;
	else if (verdict.samples > 0 &&
			 (metric == ROLLOUT_SUCCESS_RATE ? verdict.value < verdict.limit : verdict.value > verdict.limit))
		verdict.outcome = ROLLOUT_FAIL;
	else
		verdict.outcome = ROLLOUT_PASS;
	return verdict;
}

rollout_decision
rollout_decide(const rollout_plan *plan, const rollout_state *state, const rollout_tally *window,
			   const rollout_tally *step)
{
	rollout_decision decision = {.action = ROLLOUT_HOLD, .broken = ROLLOUT_METRICS, .step_samples = step->known};

	for (int m = 0; m < ROLLOUT_METRICS; m++)
	{
		decision.verdicts[m] = rollout_judge(plan, (rollout_metric) m, window, step);
		if (decision.verdicts[m].outcome == ROLLOUT_FAIL && decision.broken == ROLLOUT_METRICS)
			decision.broken = (rollout_metric) m;
	}
	decision.next_at = state->phase == ROLLOUT_BAKING ? state->bake_until : state->step_started_at + plan->step_time;

	if (decision.broken != ROLLOUT_METRICS && plan->auto_rollback)
	{
		decision.action = ROLLOUT_ROLL_BACK;
		return decision;
	}
	switch (state->phase)
	{
		case ROLLOUT_BAKING:
			/* The bake ends by time alone. */
			if (state->now >= state->bake_until)
				decision.action = ROLLOUT_COMPLETE;
			else
				decision.wait = ROLLOUT_WAIT_BAKE;
			break;
		case ROLLOUT_HELD:
			decision.wait = ROLLOUT_WAIT_RESUME;
			break;
		case ROLLOUT_RUNNING:
			if (decision.broken != ROLLOUT_METRICS)
				decision.wait = ROLLOUT_WAIT_LIMITS;
			else if (state->now < state->started_at + plan->warmup_time)
				decision.wait = ROLLOUT_WAIT_WARMUP;
			else if (state->now < decision.next_at)
				decision.wait = ROLLOUT_WAIT_SECONDS;
			else if (step->known < plan->min_requests)
				decision.wait = ROLLOUT_WAIT_REQUESTS;
			else
				decision.action = state->step + 1 < plan->step_count ? ROLLOUT_STEP : ROLLOUT_BAKE;
			break;
	}
	return decision;
}

int
rollout_step_at(const rollout_plan *plan, double share)
{
	for (int i = 0; i < plan->step_count; i++)
		if (plan->steps[i] == share)
			return i + 1;
	return 0;
}

int
rollout_share_weight(double share)
{
	double weight = share * 100;
	double whole = rint(weight);

	/* Decimal shares are not exact in binary: 0.07 * 100 is not 7. */
	if (!(share > 0 && share <= 100) || whole < 1 || fabs(weight - whole) > 1e-6)
		return -1;
	return (int) whole;
}

int
rollout_default_steps(double first, double *steps)
{
	int count = 0;

	steps[count++] = first;
	for (int share = 10; share <= 100; share += 10)
		if (share > first)
			steps[count++] = share;
	return count;
}
