/*
 * rollout_rules.c: what a rollout may ask for beyond steps and limits: criteria, deadlines, approvals, the guard and
 * the sample ratio, freezes, start_at, and the shapes other than the canary; status by status as the tick meets them.
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

static const rollout_tally good = {.requests = 100, .known = 100, .successes = 100};
static const rollout_tally few = {.requests = 99, .known = 99, .successes = 99};
static const rollout_tally bad = {.requests = 100, .known = 100, .successes = 50};
static const rollout_tally none = {0};

static rollout_state
at_step(int step, int64_t minutes)
{
	return (rollout_state){.phase = ROLLOUT_RUNNING, .step = step, .now = minutes * MINUTE};
}

static rollout_decision
decide(const rollout_plan *plan, rollout_state state, rollout_tally tally)
{
	return rollout_decide(plan, &state, &tally, &tally);
}

static void
criteria(void)
{
	static const struct
	{
		rollout_bound bound;
		double limit;
		double value;
		double baseline;
		rollout_outcome outcome;
	} rows[] = {
		{ROLLOUT_MIN, 0.7, 0.7, 0, ROLLOUT_PASS},
		{ROLLOUT_MIN, 0.7, 0.69, 0, ROLLOUT_FAIL},
		{ROLLOUT_MAX, 2.0, 2.0, 0, ROLLOUT_PASS},
		{ROLLOUT_MAX, 2.0, 2.01, 0, ROLLOUT_FAIL},
		{ROLLOUT_MIN_RATIO, 0.9, 0.9, 1, ROLLOUT_PASS},
		{ROLLOUT_MIN_RATIO, 0.9, 1.79, 2, ROLLOUT_FAIL},
		{ROLLOUT_MAX_RATIO, 1.2, 2.4, 2, ROLLOUT_PASS},
		{ROLLOUT_MAX_RATIO, 1.2, 2.41, 2, ROLLOUT_FAIL},
		{ROLLOUT_MAX_RATIO, 1.2, 0, 0, ROLLOUT_PASS},
		{ROLLOUT_MAX_RATIO, 1.2, 0.1, 0, ROLLOUT_FAIL},
		{ROLLOUT_MAX_RATIO, 1.2, 0.1, -1, ROLLOUT_INCONCLUSIVE},
	};
	rollout_plan plan = usual_plan();
	rollout_verdict v;

	for (int i = 0; i < (int) (sizeof(rows) / sizeof(rows[0])); i++)
	{
		rollout_criterion c = {rows[i].bound, rows[i].limit};
		rollout_measured m = {.window = {rows[i].value, 100}, .baseline_window = {rows[i].baseline, 1}};

		v = rollout_judge_criterion(&plan, &c, &m, &good, &good);
		CHECK(v.outcome == rows[i].outcome && v.value == rows[i].value && v.samples == 100, "row %d: %s", i,
			  rollout_outcome_name(v.outcome));
		CHECK(isnan(v.baseline) == (rows[i].bound < ROLLOUT_MIN_RATIO), "row %d: baseline %g", i, v.baseline);
		m.baseline_window.samples = 0;
		v = rollout_judge_criterion(&plan, &c, &m, &good, &good);
		CHECK(v.outcome == (rows[i].bound < ROLLOUT_MIN_RATIO ? rows[i].outcome : ROLLOUT_INCONCLUSIVE),
			  "row %d without a baseline: %s", i, rollout_outcome_name(v.outcome));
		m.window.samples = 0;
		v = rollout_judge_criterion(&plan, &c, &m, &good, &good);
		CHECK(v.outcome == ROLLOUT_WAIT && isnan(v.value), "row %d: asked for, and never recorded", i);
	}
	{
		rollout_criterion c = {ROLLOUT_MAX_RATIO, 1.5};
		rollout_measured m = {{1, 30}, {4, 120}, {1, 300}, {2, 1200}};
		rollout_tally thin = {.requests = 30, .known = 30, .successes = 30};
		rollout_tally since = {.requests = 120, .known = 120, .successes = 120};

		v = rollout_judge_criterion(&plan, &c, &m, &thin, &since);
		CHECK(v.outcome == ROLLOUT_FAIL && v.stretched && v.value == 4 && v.limit == 3 && v.baseline == 2 &&
				  v.samples == 120,
			  "a thin window stretches on both sides: %g, %g", v.value, v.limit);
		v = rollout_judge_criterion(&plan, &c, &m, &since, &since);
		CHECK(v.outcome == ROLLOUT_PASS && !v.stretched && v.limit == 1.5, "a full one does not");
		v = rollout_judge_criterion(&plan, &c, &m, &thin, &thin);
		CHECK(v.outcome == ROLLOUT_FAIL && v.stretched, "enough samples of its own");
		m.step.samples = 31;
		v = rollout_judge_criterion(&plan, &c, &m, &thin, &thin);
		CHECK(v.outcome == ROLLOUT_WAIT, "fewer than min_requests");
	}
}

static void
criteria_decide(void)
{
	rollout_plan plan = usual_plan();
	rollout_measured m[2] = {{.window = {1.0, 100}, .step = {1.0, 100}, .baseline_window = {1.0, 100}},
							 {.window = {0.8, 100}, .step = {0.8, 100}}};
	rollout_state state = at_step(1, 10);
	rollout_decision d;

	plan.criterion_count = 2;
	plan.criteria[0] = (rollout_criterion){ROLLOUT_MAX_RATIO, 1.2};
	plan.criteria[1] = (rollout_criterion){ROLLOUT_MIN, 0.7};
	state.measured = m;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_STEP && d.criterion == -1 && d.cause == ROLLOUT_CAUSE_NONE, "both pass");
	m[0].baseline_window.samples = 0;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_CRITERIA && d.criterion == 0, "inconclusive never steps");
	m[1].window.value = 0.6;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.cause == ROLLOUT_CAUSE_CRITERION && d.criterion == 1,
		  "the one that fails is named, not the one before it");
	m[0].baseline_window = (rollout_value){0.5, 100};
	CHECK(decide(&plan, state, good).criterion == 0, "the first of two that fail");
	m[0].baseline_window.samples = 0;
	for (int phase = ROLLOUT_RUNNING; phase <= ROLLOUT_AWAITING; phase++)
	{
		state.phase = (rollout_phase) phase;
		state.bake_until = 11 * MINUTE;
		CHECK(decide(&plan, state, good).action == ROLLOUT_ROLL_BACK, "judged in phase %d", phase);
	}
	state.phase = ROLLOUT_RUNNING;
	plan.auto_rollback = false;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_LIMITS && d.cause == ROLLOUT_CAUSE_CRITERION,
		  "automatic rollback off");
	plan.auto_rollback = true;
	state.measured = NULL;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_CRITERIA, "nothing measured");
	plan.min_requests = 0;
	CHECK(decide(&plan, state, none).action == ROLLOUT_STEP, "min_requests 0 asks for no samples");
	plan.min_requests = 100;
	state.phase = ROLLOUT_BAKING;
	CHECK(decide(&plan, state, good).action == ROLLOUT_HOLD, "still baking");
	state.now = state.bake_until;
	CHECK(decide(&plan, state, good).action == ROLLOUT_COMPLETE, "the bake ends by time alone");
}

static void
guard_and_sample_ratio(void)
{
	rollout_plan plan = usual_plan();
	rollout_state state = at_step(1, 10);
	rollout_decision d;

	state.guard_convicts = true;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.cause == ROLLOUT_CAUSE_GUARD, "the guard convicts");
	d = decide(&plan, state, bad);
	CHECK(d.cause == ROLLOUT_CAUSE_LIMIT && d.broken == ROLLOUT_SUCCESS_RATE, "a broken limit is named first");
	d = decide(&plan, state, few);
	CHECK(d.action == ROLLOUT_ROLL_BACK, "it needs no min_requests: it is sure");
	state.phase = ROLLOUT_HELD;
	CHECK(decide(&plan, state, good).action == ROLLOUT_ROLL_BACK, "also while paused");
	state.phase = ROLLOUT_RUNNING;
	state.frozen = true;
	CHECK(decide(&plan, state, good).action == ROLLOUT_ROLL_BACK, "a freeze never stops a rollback");
	plan.auto_rollback = false;
	CHECK(decide(&plan, state, good).wait == ROLLOUT_WAIT_LIMITS, "off");

	plan = usual_plan();
	state = at_step(1, 10);
	state.sample_ratio_alarm = true;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_STEP && d.cause == ROLLOUT_CAUSE_NONE, "warn changes no verdict");
	plan.on_sample_ratio = ROLLOUT_REACT_HOLD;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_SAMPLE_RATIO, "hold");
	plan.on_sample_ratio = ROLLOUT_REACT_ROLL_BACK;
	d = decide(&plan, state, few);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.cause == ROLLOUT_CAUSE_SAMPLE_RATIO, "rollback");
	state.sample_ratio_alarm = false;
	CHECK(decide(&plan, state, good).action == ROLLOUT_STEP, "no alarm, nothing of it");
}

static void
deadline_of_a_step(void)
{
	rollout_plan plan = usual_plan();
	rollout_decision d;

	plan.max_step_time = 30 * MINUTE;
	d = decide(&plan, at_step(1, 29), few);
	CHECK(d.wait == ROLLOUT_WAIT_REQUESTS && !d.timed_out && d.deadline_at == 30 * MINUTE, "not yet");
	d = decide(&plan, at_step(1, 30), few);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_REQUESTS && d.timed_out && d.cause == ROLLOUT_CAUSE_NONE,
		  "on_timeout hold goes on waiting and says so");
	d = decide(&plan, at_step(1, 300), good);
	CHECK(d.action == ROLLOUT_STEP && !d.timed_out, "a late tick is not the rollout's fault");
	plan.on_timeout = ROLLOUT_REACT_ROLL_BACK;
	d = decide(&plan, at_step(1, 30), few);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.cause == ROLLOUT_CAUSE_STEP_TIMEOUT, "rollback");
	CHECK(decide(&plan, at_step(1, 29), few).action == ROLLOUT_HOLD, "not before");
	CHECK(decide(&plan, at_step(1, 300), good).action == ROLLOUT_STEP, "what is ready steps");
	{
		rollout_state state = at_step(1, 300);

		state.frozen = true;
		d = decide(&plan, state, good);
		CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_FREEZE && !d.timed_out, "nor is a freeze its fault");
		state.phase = ROLLOUT_HELD;
		CHECK(decide(&plan, state, few).action == ROLLOUT_HOLD, "a pause has no deadline");
		state.phase = ROLLOUT_BAKING;
		state.bake_until = 301 * MINUTE;
		CHECK(decide(&plan, state, few).action == ROLLOUT_HOLD, "nor has a bake");
	}
	plan.auto_rollback = false;
	d = decide(&plan, at_step(1, 30), few);
	CHECK(d.action == ROLLOUT_HOLD && d.timed_out && d.cause == ROLLOUT_CAUSE_STEP_TIMEOUT, "automatic rollback off");
	d = decide(&plan, at_step(1, 30), bad);
	CHECK(d.timed_out && d.cause == ROLLOUT_CAUSE_LIMIT, "the first cause stays");
	plan = usual_plan();
	CHECK(!decide(&plan, at_step(1, 1000000), few).timed_out, "no deadline");
}

static void
approvals(void)
{
	rollout_plan plan = usual_plan();
	rollout_state state = at_step(1, 10);
	rollout_decision d;

	plan.approval = ROLLOUT_APPROVAL_EACH_STEP;
	d = decide(&plan, state, few);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_REQUESTS, "people are asked when all else is there");
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_AWAIT_APPROVAL && d.wait == ROLLOUT_WAIT_APPROVAL, "asked");
	state.approved = true;
	CHECK(decide(&plan, state, good).action == ROLLOUT_STEP, "approved before being asked");

	state.phase = ROLLOUT_AWAITING;
	state.awaiting_since = 10 * MINUTE;
	CHECK(decide(&plan, state, good).action == ROLLOUT_STEP, "approved");
	CHECK(decide(&plan, state, bad).action == ROLLOUT_ROLL_BACK, "an approval stands in for no limit");
	state.approved = false;
	state.now = 1000 * MINUTE;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_APPROVAL && !d.timed_out, "as long as it takes");
	CHECK(decide(&plan, state, bad).action == ROLLOUT_ROLL_BACK, "judged while awaiting");
	plan.max_step_time = MINUTE;
	plan.on_timeout = ROLLOUT_REACT_ROLL_BACK;
	CHECK(decide(&plan, state, good).action == ROLLOUT_HOLD, "the step's deadline is not the approver's");
	plan.approval_timeout = 60 * MINUTE;
	state.now = 70 * MINUTE - 1;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.deadline_at == 70 * MINUTE, "a microsecond left");
	state.now = 70 * MINUTE;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_ROLL_BACK && d.cause == ROLLOUT_CAUSE_APPROVAL_TIMEOUT, "nobody came");
	state.approved = true;
	CHECK(decide(&plan, state, good).action == ROLLOUT_STEP, "somebody came, and the tick was late");
	state.approved = false;
	plan.on_timeout = ROLLOUT_REACT_HOLD;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.timed_out && d.wait == ROLLOUT_WAIT_APPROVAL, "hold");

	plan = usual_plan();
	plan.approval = ROLLOUT_APPROVAL_FINAL;
	CHECK(decide(&plan, at_step(8, 10), good).action == ROLLOUT_STEP, "to 90 %% without asking");
	CHECK(decide(&plan, at_step(9, 10), good).action == ROLLOUT_AWAIT_APPROVAL, "to 100 %% with");
	state = at_step(9, 10);
	state.frozen = true;
	CHECK(decide(&plan, state, good).wait == ROLLOUT_WAIT_FREEZE, "frozen: nobody is asked");
	state.frozen = false;
	state.approved = true;
	CHECK(decide(&plan, state, good).action == ROLLOUT_BAKE, "approved");
}

static void
pending(void)
{
	rollout_plan plan = usual_plan();
	rollout_state state = {.phase = ROLLOUT_PENDING, .now = 5 * MINUTE};
	rollout_decision d;

	CHECK(decide(&plan, state, none).action == ROLLOUT_START, "nothing to wait for");
	plan.start_at = 6 * MINUTE;
	state.validation = ROLLOUT_INVALID;
	d = decide(&plan, state, none);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_START && d.next_at == 6 * MINUTE, "start_at first");
	state.now = 6 * MINUTE;
	CHECK(decide(&plan, state, none).action == ROLLOUT_REJECT, "then the validators");
	state.validation = ROLLOUT_VALIDATING;
	CHECK(decide(&plan, state, none).wait == ROLLOUT_WAIT_VALIDATION, "still at it");
	state.validation = ROLLOUT_VALIDATED;
	d = decide(&plan, state, bad);
	CHECK(d.action == ROLLOUT_START && d.cause == ROLLOUT_CAUSE_NONE, "what came before it began is not judged");
	state.frozen = true;
	d = decide(&plan, state, none);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_FREEZE, "a freeze keeps it from beginning");
	state.validation = ROLLOUT_INVALID;
	CHECK(decide(&plan, state, none).action == ROLLOUT_REJECT, "and not from being refused");
	state.phase = ROLLOUT_ENDED;
	state.guard_convicts = true;
	d = decide(&plan, state, bad);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_NOTHING, "ended: nothing");
}

static void
shapes(void)
{
	rollout_plan plan = usual_plan();
	rollout_state state = at_step(1, 10);
	rollout_decision d;

	plan.shape = ROLLOUT_BLUE_GREEN;
	plan.step_count = rollout_shape_steps(plan.shape, 0, plan.steps);
	CHECK(plan.step_count == 2 && plan.steps[0] == 0 && plan.steps[1] == 100, "0 %%, then 100 %%");
	CHECK(decide(&plan, state, few).wait == ROLLOUT_WAIT_REQUESTS, "preview traffic counts");
	CHECK(decide(&plan, state, good).action == ROLLOUT_BAKE, "one switch");
	CHECK(decide(&plan, state, bad).action == ROLLOUT_ROLL_BACK, "judged on preview traffic");
	plan.approval = ROLLOUT_APPROVAL_FINAL;
	CHECK(decide(&plan, state, good).action == ROLLOUT_AWAIT_APPROVAL, "the only step is the final one");

	plan = usual_plan();
	plan.shape = ROLLOUT_SHADOW;
	plan.step_count = rollout_shape_steps(plan.shape, 100, plan.steps);
	CHECK(decide(&plan, state, few).action == ROLLOUT_HOLD, "a shadow needs its pairs");
	CHECK(decide(&plan, state, good).action == ROLLOUT_CONCLUDE, "and never serves anybody");
	CHECK(decide(&plan, state, bad).action == ROLLOUT_ROLL_BACK, "nor does it when it fails");
	plan.approval = ROLLOUT_APPROVAL_FINAL;
	CHECK(decide(&plan, state, good).action == ROLLOUT_CONCLUDE, "there is no step to 100 %% to approve");

	plan = usual_plan();
	plan.shape = ROLLOUT_AB_TEST;
	plan.step_count = rollout_shape_steps(plan.shape, 50, plan.steps);
	state.now = 100000 * MINUTE;
	plan.max_step_time = MINUTE;
	plan.on_timeout = ROLLOUT_REACT_ROLL_BACK;
	d = decide(&plan, state, good);
	CHECK(d.action == ROLLOUT_HOLD && d.wait == ROLLOUT_WAIT_TEST, "the test says when");
	CHECK(decide(&plan, state, bad).action == ROLLOUT_ROLL_BACK, "limits hold all the same");
	state.test = ROLLOUT_TEST_TREATMENT;
	state.now = MINUTE;
	CHECK(decide(&plan, state, few).action == ROLLOUT_BAKE, "the winner is promoted");
	plan.auto_rollback = false;
	for (int test = ROLLOUT_TEST_CONTROL; test <= ROLLOUT_TEST_INCONCLUSIVE; test++)
	{
		state.test = (rollout_test) test;
		d = decide(&plan, state, good);
		CHECK(d.action == ROLLOUT_ROLL_BACK && d.cause == ROLLOUT_CAUSE_TEST, "back to control");
	}
	state.phase = ROLLOUT_HELD;
	CHECK(decide(&plan, state, good).action == ROLLOUT_HOLD, "a paused one waits for resume");
}

static void
names(void)
{
	for (int wait = ROLLOUT_WAIT_WARMUP; wait <= ROLLOUT_WAIT_TEST; wait++)
		for (int other = ROLLOUT_WAIT_NOTHING; other < wait; other++)
			CHECK(rollout_wait_name((rollout_wait) wait) != NULL &&
					  (other == ROLLOUT_WAIT_NOTHING ||
					   strcmp(rollout_wait_name((rollout_wait) wait), rollout_wait_name((rollout_wait) other)) != 0),
				  "waits %d and %d", wait, other);
	CHECK(rollout_cause_name(ROLLOUT_CAUSE_NONE) == NULL, "no cause");
	for (int cause = ROLLOUT_CAUSE_LIMIT; cause <= ROLLOUT_CAUSE_APPROVAL_TIMEOUT; cause++)
		CHECK(rollout_cause_name((rollout_cause) cause) != NULL, "cause %d", cause);
}

int
main(void)
{
	criteria();
	criteria_decide();
	guard_and_sample_ratio();
	deadline_of_a_step();
	approvals();
	pending();
	shapes();
	names();
	return unit_done();
}
