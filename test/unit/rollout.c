/*
 * rollout.c: the decision about a rollout: verdicts at and around the limits, stretching of thin windows, every reason
 * to hold, stepping and baking.
 */
#include "core/rollout.h"

#include <math.h>
#include <string.h>

#include "unit.h"

#define MINUTE (60 * ROLLOUT_SECOND)

static rollout_plan
usual_plan(void)
{
	rollout_plan plan = {.step_time = 10 * MINUTE,
						 .bake_time = 10 * MINUTE,
						 .min_requests = 100,
						 .auto_rollback = true,
						 .limits = {0.95, 0.10, 10.0}};

	plan.step_count = rollout_default_steps(10, plan.steps);
	return plan;
}

static rollout_tally
tally(int64_t known, int64_t successes, int64_t errors, double response_time)
{
	return (rollout_tally){.requests = known,
						   .known = known,
						   .successes = successes,
						   .errors = errors,
						   .response_time_count = known,
						   .response_time_sum = response_time * (double) known};
}

static rollout_state
at_step(int step, int64_t minutes)
{
	return (rollout_state){.phase = ROLLOUT_RUNNING, .step = step, .now = minutes * MINUTE};
}

static rollout_decision
decide(const rollout_plan *plan, rollout_state state, rollout_tally window, rollout_tally step)
{
	return rollout_decide(plan, &state, &window, &step);
}

static void
verdicts_at_the_limits(void)
{
	rollout_plan plan = usual_plan();
	rollout_tally none = {0};
	rollout_tally t;
	rollout_verdict v;

	t = tally(100, 95, 10, 10.0);
	v = rollout_judge(&plan, ROLLOUT_SUCCESS_RATE, &t, &none);
	CHECK(v.outcome == ROLLOUT_PASS, "95 of 100 meets 0.95: %s", rollout_outcome_name(v.outcome));
	CHECK(v.value == 0.95 && v.samples == 100 && v.samples_needed == 100 && !v.stretched, "value %g", v.value);
	/* Wilson's interval for 95 of 100: 0.888, 0.978 (Newcombe 1998, method 3). */
	CHECK(fabs(v.low - 0.8882) < 5e-4 && fabs(v.high - 0.9785) < 5e-4, "interval %g %g", v.low, v.high);
	CHECK(rollout_judge(&plan, ROLLOUT_ERROR_RATE, &t, &none).outcome == ROLLOUT_PASS, "10 errors of 100 meet 0.10");
	v = rollout_judge(&plan, ROLLOUT_RESPONSE_TIME, &t, &none);
	CHECK(v.outcome == ROLLOUT_PASS && isnan(v.low), "a mean of exactly 10 s passes, without an interval");
	plan.limits[ROLLOUT_RESPONSE_TIME] = 0.3;
	t.response_time_count = 1000;
	t.response_time_sum = 0;
	for (int i = 0; i < 1000; i++)
		t.response_time_sum += 0.3;
	CHECK(t.response_time_sum / 1000 > 0.3, "a sum of many rounds upwards: %.17g", t.response_time_sum / 1000);
	CHECK(rollout_judge(&plan, ROLLOUT_RESPONSE_TIME, &t, &none).outcome == ROLLOUT_PASS, "which breaks no limit");
	plan = usual_plan();

	t = tally(100, 94, 11, 10.001);
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		CHECK(rollout_judge(&plan, (rollout_metric) m, &t, &none).outcome == ROLLOUT_FAIL, "%s",
			  rollout_metric_name((rollout_metric) m));
	t = tally(99, 0, 99, 100);
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		CHECK(rollout_judge(&plan, (rollout_metric) m, &t, &none).outcome == ROLLOUT_WAIT, "99 are too few: %s",
			  rollout_metric_name((rollout_metric) m));
}

static void
each_metric_has_its_own_denominator(void)
{
	rollout_plan plan = usual_plan();
	/* 300 requests, the truth of 50 known, 40 of them timed. */
	rollout_tally t = {
		.requests = 300, .known = 50, .errors = 60, .response_time_count = 40, .response_time_sum = 4000};
	rollout_tally none = {0};

	CHECK(rollout_judge(&plan, ROLLOUT_SUCCESS_RATE, &t, &none).outcome == ROLLOUT_WAIT, "50 known");
	CHECK(rollout_judge(&plan, ROLLOUT_ERROR_RATE, &t, &none).outcome == ROLLOUT_FAIL, "60 errors of 300");
	CHECK(rollout_judge(&plan, ROLLOUT_RESPONSE_TIME, &t, &none).outcome == ROLLOUT_WAIT, "40 timed");
}

static void
thin_windows_stretch(void)
{
	rollout_plan plan = usual_plan();
	rollout_tally window = tally(30, 30, 0, 1);
	rollout_tally step = tally(120, 60, 0, 1);
	rollout_verdict v = rollout_judge(&plan, ROLLOUT_SUCCESS_RATE, &window, &step);

	CHECK(v.outcome == ROLLOUT_FAIL && v.stretched && v.samples == 120, "%d samples", (int) v.samples);
	window = tally(100, 100, 0, 1);
	v = rollout_judge(&plan, ROLLOUT_SUCCESS_RATE, &window, &step);
	CHECK(v.outcome == ROLLOUT_PASS && !v.stretched && v.samples == 100, "a full window is not stretched");
	/* A step younger than the window: the window holds more and is kept. */
	window = tally(80, 80, 0, 1);
	step = tally(5, 0, 0, 1);
	v = rollout_judge(&plan, ROLLOUT_SUCCESS_RATE, &window, &step);
	CHECK(v.outcome == ROLLOUT_WAIT && !v.stretched && v.samples == 80, "%d samples", (int) v.samples);
}

static void
unrecorded_metrics_break_nothing(void)
{
	rollout_plan plan = usual_plan();
	rollout_tally t = {.requests = 100, .known = 100, .successes = 100};
	rollout_tally few = {.requests = 10, .known = 10, .successes = 10};
	rollout_tally timed = t;

	CHECK(rollout_judge(&plan, ROLLOUT_RESPONSE_TIME, &t, &t).outcome == ROLLOUT_PASS, "nobody times it");
	CHECK(isnan(rollout_judge(&plan, ROLLOUT_RESPONSE_TIME, &t, &t).value), "and it has no value");
	CHECK(rollout_judge(&plan, ROLLOUT_RESPONSE_TIME, &few, &few).outcome == ROLLOUT_WAIT, "too early to say");
	CHECK(decide(&plan, at_step(1, 10), t, t).action == ROLLOUT_STEP, "it steps without times");
	timed.response_time_count = 3;
	timed.response_time_sum = 3;
	CHECK(decide(&plan, at_step(1, 10), timed, timed).action == ROLLOUT_STEP, "few times, within the limit");
	timed.response_time_sum = 300;
	CHECK(decide(&plan, at_step(1, 10), timed, timed).action == ROLLOUT_ROLL_BACK,
		  "few times, beyond it: compared once min_requests outcomes are known");
}

static void
stepping_needs_time_requests_and_verdict(void)
{
	rollout_plan plan = usual_plan();
	rollout_tally good = tally(100, 100, 0, 1);
	rollout_tally few = tally(99, 99, 0, 1);
	rollout_decision d;

	d = decide(&plan, at_step(1, 10), good, good);
	CHECK(d.action == ROLLOUT_STEP && d.wait == ROLLOUT_WAIT_NOTHING, "all is there: action %d", d.action);
	d = decide(&plan, (rollout_state){.phase = ROLLOUT_RUNNING, .step = 1, .now = 10 * MINUTE - 1}, good, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_SECONDS, "a microsecond early");
	CHECK(d.next_at == 10 * MINUTE, "next at %lld", (long long) d.next_at);
	d = decide(&plan, at_step(1, 10), few, few);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_REQUESTS && d.step_samples == 99, "one outcome short");
	/* The window is full from the step before, the present step is not: hold. */
	d = decide(&plan, at_step(2, 10), good, few);
	CHECK(d.wait == ROLLOUT_WAIT_REQUESTS, "requests count per step");
	d = decide(&plan, at_step(8, 10), good, good);
	CHECK(d.action == ROLLOUT_STEP, "to 90 %%");
	d = decide(&plan, at_step(9, 10), good, good);
	CHECK(d.action == ROLLOUT_BAKE, "to 100 %%");
	d = decide(&plan, at_step(1, 1000000), few, few);
	CHECK(d.action == ROLLOUT_HOLD, "too little data never promotes, however long it takes");

	plan.min_requests = 0;
	d = decide(&plan, at_step(1, 10), (rollout_tally){0}, (rollout_tally){0});
	CHECK(d.action == ROLLOUT_STEP, "min_requests 0 steps by time alone");
	CHECK(d.verdicts[ROLLOUT_SUCCESS_RATE].outcome == ROLLOUT_PASS, "and only pass steps");
	CHECK(d.verdicts[ROLLOUT_SUCCESS_RATE].samples_needed == 0, "needs nothing");
	plan.warmup_time = 20 * MINUTE;
	d = decide(&plan, at_step(1, 10), good, good);
	CHECK(d.wait == ROLLOUT_WAIT_WARMUP, "warming up");
}

static void
broken_limits(void)
{
	rollout_plan plan = usual_plan();
	rollout_tally bad = tally(100, 50, 0, 1);
	rollout_tally slow = tally(100, 100, 0, 11);
	rollout_state state = at_step(1, 1);
	rollout_decision d;

	d = decide(&plan, state, bad, bad);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.broken == ROLLOUT_SUCCESS_RATE, "running");
	d = decide(&plan, state, slow, slow);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.broken == ROLLOUT_RESPONSE_TIME, "slow");
	state.phase = ROLLOUT_HELD;
	CHECK(decide(&plan, state, bad, bad).action == ROLLOUT_ROLL_BACK, "also while paused");
	d = decide(&plan, state, slow, tally(100, 100, 0, 1));
	CHECK(d.action == ROLLOUT_ROLL_BACK, "the window decides, not the step");
	CHECK(decide(&plan, state, tally(100, 100, 0, 1), bad).wait == ROLLOUT_WAIT_RESUME,
		  "a healthy window, whatever was before");
	state.phase = ROLLOUT_BAKING;
	state.bake_until = 5 * MINUTE;
	CHECK(decide(&plan, state, bad, bad).action == ROLLOUT_ROLL_BACK, "also while baking");
	state.now = 6 * MINUTE;
	CHECK(decide(&plan, state, bad, bad).action == ROLLOUT_ROLL_BACK, "and once more at its end");
	plan.auto_rollback = false;
	CHECK(decide(&plan, state, bad, bad).action == ROLLOUT_COMPLETE, "the bake ends by time alone");
	d = decide(&plan, at_step(1, 10), bad, bad);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_LIMITS, "without automatic rollback it holds");
}

static void
baking(void)
{
	rollout_plan plan = usual_plan();
	rollout_tally none = {0};
	rollout_state state = {.phase = ROLLOUT_BAKING, .step = 10, .now = 10 * MINUTE - 1, .bake_until = 10 * MINUTE};
	rollout_decision d = decide(&plan, state, none, none);

	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_BAKE && d.next_at == 10 * MINUTE, "still baking");
	state.now = 10 * MINUTE;
	CHECK(decide(&plan, state, none, none).action == ROLLOUT_COMPLETE, "no outcomes are needed to complete");
}

static void
shares(void)
{
	rollout_plan plan = usual_plan();
	double steps[ROLLOUT_MAX_STEPS];
	int weight = 0;

	CHECK(plan.step_count == 10 && plan.steps[0] == 10 && plan.steps[9] == 100, "%d steps", plan.step_count);
	CHECK(rollout_default_steps(25, steps) == 9 && steps[0] == 25 && steps[1] == 30 && steps[8] == 100, "from 25");
	CHECK(rollout_default_steps(100, steps) == 1 && steps[0] == 100, "100 at once");
	CHECK(rollout_default_steps(99.99, steps) == 2 && steps[1] == 100, "99.99, then 100");
	CHECK(plan.steps[2] == 30 && plan.steps[3] == 40, "steps by share");
	for (int i = 1; i <= 10000; i++)
		if (rollout_share_weight((double) i / 100) == i)
			weight++;
	CHECK(weight == 10000, "%d of 10000 hundredths are shares", weight);
	CHECK(rollout_share_weight(0) < 0 && rollout_share_weight(-1) < 0 && rollout_share_weight(100.01) < 0, "outside");
	CHECK(rollout_share_weight(0.001) < 0 && rollout_share_weight(33.333) < 0, "finer than 0.01 %%");
	CHECK(rollout_share_weight(NAN) < 0 && rollout_share_weight(INFINITY) < 0, "no number");
}

int
main(void)
{
	verdicts_at_the_limits();
	each_metric_has_its_own_denominator();
	thin_windows_stretch();
	unrecorded_metrics_break_nothing();
	stepping_needs_time_requests_and_verdict();
	broken_limits();
	baking();
	shares();
	CHECK(strcmp(rollout_metric_name(ROLLOUT_ERROR_RATE), "error_rate") == 0, "names");
	CHECK(rollout_wait_name(ROLLOUT_WAIT_NOTHING) == NULL, "nothing is waited for");
	return unit_done();
}
