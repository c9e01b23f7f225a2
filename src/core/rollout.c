/*
 * rollout.c: judging and stepping a rollout. What harms comes first and is the same in every phase; then what the phase
 * waits for; deadlines last, of what still holds. A limit is an operator's promise and is compared plainly; how sure
 * the number is shows in the interval beside it. Too little data holds, it never promotes and never rolls back.
 */
#include "core/rollout.h"

#include <math.h>
#include <stddef.h>

#include "core/breach.h"

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
		case ROLLOUT_WAIT_CRITERIA:
			return "health_criteria";
		case ROLLOUT_WAIT_SAMPLE_RATIO:
			return "on_sample_ratio";
		case ROLLOUT_WAIT_FREEZE:
			return "freeze";
		case ROLLOUT_WAIT_APPROVAL:
			return "approval";
		case ROLLOUT_WAIT_START:
			return "start_at";
		case ROLLOUT_WAIT_VALIDATION:
			return "validation_rules";
		case ROLLOUT_WAIT_TEST:
			return "test";
	}
	return NULL;
}

const char *
rollout_cause_name(rollout_cause cause)
{
	switch (cause)
	{
		case ROLLOUT_CAUSE_NONE:
			return NULL;
		case ROLLOUT_CAUSE_LIMIT:
			return "limit";
		case ROLLOUT_CAUSE_CRITERION:
			return "criterion";
		case ROLLOUT_CAUSE_GUARD:
			return "guard";
		case ROLLOUT_CAUSE_SAMPLE_RATIO:
			return "sample_ratio";
		case ROLLOUT_CAUSE_TEST:
			return "test";
		case ROLLOUT_CAUSE_STEP_TIMEOUT:
			return "max_step_seconds";
		case ROLLOUT_CAUSE_APPROVAL_TIMEOUT:
			return "approval_timeout_seconds";
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

/* breaks: whether a value is on the wrong side of its limit. */
static bool
breaks(double value, bool is_minimum, double limit)
{
	return breach_compare(value, is_minimum ? BREACH_LESS_THAN : BREACH_GREATER_THAN, limit);
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

/*
 * chooses_step: whether to judge what happened since the step's start rather than the window, and whether that is
 * enough, for a metric that has so many samples of its own in both.
 */
static bool
chooses_step(const rollout_plan *plan, const rollout_tally *window, const rollout_tally *step, int64_t in_window,
			 int64_t in_step, bool *enough)
{
	int64_t needed = plan->min_requests;
	/* A window with too few known outcomes is stretched back to the step's start. */
	bool stretched = window->known < needed && step->known > window->known;

	*enough = (stretched ? step : window)->known >= needed;
	/* Labels may be hours late, so a metric that has enough samples of its own is compared all the same. */
	if (!*enough)
	{
		stretched = in_window < needed && in_step > in_window;
		*enough = (stretched ? in_step : in_window) >= needed;
	}
	return stretched;
}

rollout_verdict
rollout_judge(const rollout_plan *plan, rollout_metric metric, const rollout_tally *window, const rollout_tally *step)
{
	rollout_verdict verdict = {.value = NAN, .low = NAN, .high = NAN, .baseline = NAN, .limit = plan->limits[metric]};
	bool enough;
	double sum;

	verdict.stretched =
		chooses_step(plan, window, step, samples_of(metric, window, &sum), samples_of(metric, step, &sum), &enough);
	verdict.samples_needed = plan->min_requests;
	verdict.samples = samples_of(metric, verdict.stretched ? step : window, &sum);

	if (verdict.samples > 0)
	{
		verdict.value = sum / (double) verdict.samples;
		if (metric != ROLLOUT_RESPONSE_TIME)
			wilson(sum, (double) verdict.samples, &verdict.low, &verdict.high);
	}
	/* A metric that nobody records breaks nothing. */
	if (!enough)
		verdict.outcome = ROLLOUT_WAIT;
	else if (verdict.samples > 0 && breaks(verdict.value, metric == ROLLOUT_SUCCESS_RATE, verdict.limit))
		verdict.outcome = ROLLOUT_FAIL;
	else
		verdict.outcome = ROLLOUT_PASS;
	return verdict;
}

rollout_verdict
rollout_judge_criterion(const rollout_plan *plan, const rollout_criterion *criterion, const rollout_measured *measured,
						const rollout_tally *window, const rollout_tally *step)
{
	static const rollout_measured nothing = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
	const rollout_measured *m = measured != NULL ? measured : &nothing;
	rollout_verdict verdict = {.value = NAN, .low = NAN, .high = NAN, .baseline = NAN, .limit = criterion->limit};
	bool is_minimum = criterion->bound == ROLLOUT_MIN || criterion->bound == ROLLOUT_MIN_RATIO;
	const rollout_value *baseline;
	bool enough;

	verdict.stretched = chooses_step(plan, window, step, m->window.samples, m->step.samples, &enough);
	verdict.samples = verdict.stretched ? m->step.samples : m->window.samples;
	verdict.samples_needed = plan->min_requests;
	if (verdict.samples > 0)
		verdict.value = verdict.stretched ? m->step.value : m->window.value;

	if (criterion->bound == ROLLOUT_MIN_RATIO || criterion->bound == ROLLOUT_MAX_RATIO)
	{
		baseline = verdict.stretched ? &m->baseline_step : &m->baseline_window;
		if (baseline->samples > 0)
			verdict.baseline = baseline->value;
		verdict.limit = criterion->limit * verdict.baseline;
	}
	if (verdict.samples == 0)
		verdict.outcome = plan->min_requests > 0 ? ROLLOUT_WAIT : ROLLOUT_PASS;
	else if (!enough)
		verdict.outcome = ROLLOUT_WAIT;
	else if (isnan(verdict.limit) || verdict.baseline < 0)
		verdict.outcome = ROLLOUT_INCONCLUSIVE;
	else if (breaks(verdict.value, is_minimum, verdict.limit))
		verdict.outcome = ROLLOUT_FAIL;
	else
		verdict.outcome = ROLLOUT_PASS;
	return verdict;
}

/* judge_all: every verdict, and the first cause to roll back. */
static void
judge_all(const rollout_plan *plan, const rollout_state *state, const rollout_tally *window, const rollout_tally *step,
		  rollout_decision *decision)
{
	bool failed = false;

	for (int m = 0; m < ROLLOUT_METRICS; m++)
	{
		decision->verdicts[m] = rollout_judge(plan, (rollout_metric) m, window, step);
		if (decision->verdicts[m].outcome == ROLLOUT_FAIL && decision->broken == ROLLOUT_METRICS)
			decision->broken = (rollout_metric) m;
	}
	for (int i = 0; i < plan->criterion_count; i++)
	{
		rollout_verdict *v = &decision->criteria[i];

		*v = rollout_judge_criterion(plan, &plan->criteria[i], state->measured != NULL ? &state->measured[i] : NULL,
									 window, step);
		if (v->outcome != ROLLOUT_PASS && (decision->criterion < 0 || (v->outcome == ROLLOUT_FAIL && !failed)))
			decision->criterion = i;
		failed |= v->outcome == ROLLOUT_FAIL;
	}
	if (decision->broken != ROLLOUT_METRICS)
		decision->cause = ROLLOUT_CAUSE_LIMIT;
	else if (failed)
		decision->cause = ROLLOUT_CAUSE_CRITERION;
	else if (state->guard_convicts)
		decision->cause = ROLLOUT_CAUSE_GUARD;
	else if (state->sample_ratio_alarm && plan->on_sample_ratio == ROLLOUT_REACT_ROLL_BACK)
		decision->cause = ROLLOUT_CAUSE_SAMPLE_RATIO;
}

/* decide_pending: nothing is routed yet; start_at first, then the validators. */
static void
decide_pending(const rollout_plan *plan, const rollout_state *state, rollout_decision *decision)
{
	decision->next_at = plan->start_at;
	if (state->now < plan->start_at)
		decision->wait = ROLLOUT_WAIT_START;
	else if (state->validation == ROLLOUT_VALIDATING)
		decision->wait = ROLLOUT_WAIT_VALIDATION;
	else if (state->validation == ROLLOUT_VALIDATED && state->frozen)
		decision->wait = ROLLOUT_WAIT_FREEZE;
	else
		decision->action = state->validation == ROLLOUT_VALIDATED ? ROLLOUT_START : ROLLOUT_REJECT;
}

/* decide_forward: the step of a rollout that nothing speaks against; holds as long as something is missing. */
static void
decide_forward(const rollout_plan *plan, const rollout_state *state, rollout_decision *decision)
{
	bool last = plan->shape != ROLLOUT_CANARY || state->step + 1 >= plan->step_count;

	if (state->now < state->started_at + plan->warmup_time)
		decision->wait = ROLLOUT_WAIT_WARMUP;
	else if (plan->shape == ROLLOUT_AB_TEST && state->test == ROLLOUT_TEST_RUNNING)
		decision->wait = ROLLOUT_WAIT_TEST;
	else if (plan->shape != ROLLOUT_AB_TEST && state->now < decision->next_at)
		decision->wait = ROLLOUT_WAIT_SECONDS;
	else if (plan->shape != ROLLOUT_AB_TEST && decision->step_samples < plan->min_requests)
		decision->wait = ROLLOUT_WAIT_REQUESTS;
	else if (decision->criterion >= 0)
		decision->wait = ROLLOUT_WAIT_CRITERIA;
	else if (state->sample_ratio_alarm && plan->on_sample_ratio == ROLLOUT_REACT_HOLD)
		decision->wait = ROLLOUT_WAIT_SAMPLE_RATIO;
	else if (state->frozen)
		decision->wait = ROLLOUT_WAIT_FREEZE;
	else if (!state->approved && (plan->approval == ROLLOUT_APPROVAL_EACH_STEP ||
								  (plan->approval == ROLLOUT_APPROVAL_FINAL && last && plan->shape != ROLLOUT_SHADOW)))
	{
		decision->wait = ROLLOUT_WAIT_APPROVAL;
		decision->action = ROLLOUT_AWAIT_APPROVAL;
	}
	else if (plan->shape == ROLLOUT_SHADOW)
		decision->action = ROLLOUT_CONCLUDE;
	else
		decision->action = last ? ROLLOUT_BAKE : ROLLOUT_STEP;
}

/* look_at_clock: the deadline of the step or of the approval, and what it leads to. A freeze is not the rollout's
 * fault. */
static void
look_at_clock(const rollout_plan *plan, const rollout_state *state, rollout_decision *decision)
{
	bool approval = state->phase == ROLLOUT_AWAITING;
	int64_t allowed = approval ? plan->approval_timeout : plan->max_step_time;

	if (allowed <= 0 || plan->shape == ROLLOUT_AB_TEST)
		return;
	decision->deadline_at = (approval ? state->awaiting_since : state->step_started_at) + allowed;
	decision->timed_out = decision->action == ROLLOUT_HOLD && decision->wait != ROLLOUT_WAIT_FREEZE &&
						  state->now >= decision->deadline_at;
	if (decision->timed_out && plan->on_timeout == ROLLOUT_REACT_ROLL_BACK && decision->cause == ROLLOUT_CAUSE_NONE)
	{
		decision->cause = approval ? ROLLOUT_CAUSE_APPROVAL_TIMEOUT : ROLLOUT_CAUSE_STEP_TIMEOUT;
		if (plan->auto_rollback)
			decision->action = ROLLOUT_ROLL_BACK;
	}
}

rollout_decision
rollout_decide(const rollout_plan *plan, const rollout_state *state, const rollout_tally *window,
			   const rollout_tally *step)
{
	rollout_decision decision = {.action = ROLLOUT_HOLD,
								 .broken = ROLLOUT_METRICS,
								 .criterion = -1,
								 .step_samples = state->paired ? state->pairs : step->known};

	judge_all(plan, state, window, step, &decision);
	decision.next_at = state->phase == ROLLOUT_BAKING ? state->bake_until : state->step_started_at + plan->step_time;

	if (state->phase == ROLLOUT_ENDED)
		return decision;
	if (state->phase == ROLLOUT_PENDING)
	{
		decision.cause = ROLLOUT_CAUSE_NONE;
		decide_pending(plan, state, &decision);
		return decision;
	}
	if (decision.cause != ROLLOUT_CAUSE_NONE && plan->auto_rollback)
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
		case ROLLOUT_AWAITING:
			/* Returning to control is how a test ends, no reaction to harm. */
			if (plan->shape == ROLLOUT_AB_TEST && state->test >= ROLLOUT_TEST_CONTROL)
			{
				decision.cause = ROLLOUT_CAUSE_TEST;
				decision.action = ROLLOUT_ROLL_BACK;
				break;
			}
			if (decision.cause != ROLLOUT_CAUSE_NONE)
				decision.wait = ROLLOUT_WAIT_LIMITS;
			else if (state->phase == ROLLOUT_AWAITING && !state->approved)
				decision.wait = ROLLOUT_WAIT_APPROVAL;
			else
				decide_forward(plan, state, &decision);
			look_at_clock(plan, state, &decision);
			break;
		case ROLLOUT_PENDING:
		case ROLLOUT_ENDED:
			break;
	}
	return decision;
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

int
rollout_shape_steps(rollout_shape shape, double share, double *steps)
{
	steps[0] = shape == ROLLOUT_BLUE_GREEN ? 0 : share;
	steps[1] = 100;
	return 2;
}
