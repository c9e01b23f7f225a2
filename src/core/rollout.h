/*
 * rollout.h: the decision about one rollout, as a pure function of its plan, its state and what its candidate did.
 * The same numbers always give the same answer, so that a decision can be replayed from its stored evidence. Times
 * are microseconds from any fixed point; shares are percent. Members that are zero ask for nothing: a plan without
 * criteria, deadlines, approvals, guard and sample ratio is a plain canary under three limits.
 */
#ifndef CORE_ROLLOUT_H
#define CORE_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

#define ROLLOUT_MAX_STEPS 100
#define ROLLOUT_MAX_CRITERIA 50
#define ROLLOUT_SECOND INT64_C(1000000)

typedef enum rollout_metric
{
	ROLLOUT_SUCCESS_RATE,  /* successes / outcomes whose success is known; the limit is a minimum */
	ROLLOUT_ERROR_RATE,    /* requests with an error / requests; the limit is a maximum */
	ROLLOUT_RESPONSE_TIME, /* mean, seconds; the limit is a maximum */
	ROLLOUT_METRICS
} rollout_metric;

typedef enum rollout_phase
{
	ROLLOUT_RUNNING,
	ROLLOUT_HELD,     /* paused: judged, never stepped */
	ROLLOUT_BAKING,   /* at 100 %, the previous version kept for return */
	ROLLOUT_AWAITING, /* awaiting approval: judged; steps when approved */
	ROLLOUT_PENDING,  /* not begun: nothing to judge yet */
	ROLLOUT_ENDED
} rollout_phase;

/* What becomes of a candidate that has passed all its steps below 100 %. */
typedef enum rollout_shape
{
	ROLLOUT_CANARY,     /* 100 %, and bakes; blue-green too, whose first step is 0 % (see rollout_shape_steps) */
	ROLLOUT_BLUE_GREEN, /* the same; its candidate is reached by pins and the preview segment until then */
	ROLLOUT_SHADOW,     /* nothing: users never see it, it is completed where it is */
	ROLLOUT_AB_TEST     /* what the test says, whenever it says it; time and requests are the test's */
} rollout_shape;

typedef enum rollout_reaction
{
	ROLLOUT_REACT_WARN, /* on_sample_ratio: only says so */
	ROLLOUT_REACT_HOLD, /* takes no step; of a deadline: goes on waiting, and says so */
	ROLLOUT_REACT_ROLL_BACK
} rollout_reaction;

typedef enum rollout_approval
{
	ROLLOUT_APPROVAL_NONE,
	ROLLOUT_APPROVAL_EACH_STEP,
	ROLLOUT_APPROVAL_FINAL /* for the step to 100 % */
} rollout_approval;

/* A bound of health_criteria; of which metric is the caller's knowledge. */
typedef enum rollout_bound
{
	ROLLOUT_MIN,
	ROLLOUT_MAX,
	ROLLOUT_MIN_RATIO, /* times the baseline's value over the same time */
	ROLLOUT_MAX_RATIO
} rollout_bound;

typedef struct rollout_criterion
{
	rollout_bound bound;
	double limit;
} rollout_criterion;

/* The value of a metric and its number of samples; the value is ignored without samples. */
typedef struct rollout_value
{
	double value;
	int64_t samples;
} rollout_value;

/* The metric of a criterion on both sides, over the evaluation window and since the step's start. */
typedef struct rollout_measured
{
	rollout_value window;
	rollout_value step;
	rollout_value baseline_window;
	rollout_value baseline_step;
} rollout_measured;

typedef struct rollout_plan
{
	int step_count;
	double steps[ROLLOUT_MAX_STEPS]; /* increasing, the last is 100 */
	int64_t step_time;
	int64_t warmup_time;
	int64_t bake_time;
	int64_t min_requests; /* known outcomes of the candidate a step; of a shadow, pairs of them */
	bool auto_rollback;
	double limits[ROLLOUT_METRICS];

	rollout_shape shape;
	int64_t start_at;
	int64_t max_step_time; /* 0: none */
	rollout_approval approval;
	int64_t approval_timeout;    /* 0: none */
	rollout_reaction on_timeout; /* of both deadlines; WARN is HOLD */
	rollout_reaction on_sample_ratio;
	int criterion_count;
	rollout_criterion criteria[ROLLOUT_MAX_CRITERIA];
} rollout_plan;

typedef enum rollout_validation
{
	ROLLOUT_VALIDATED, /* or nothing to validate */
	ROLLOUT_VALIDATING,
	ROLLOUT_INVALID
} rollout_validation;

/* What the A/B test of a rollout says. */
typedef enum rollout_test
{
	ROLLOUT_TEST_RUNNING,
	ROLLOUT_TEST_TREATMENT, /* has won */
	ROLLOUT_TEST_CONTROL,
	ROLLOUT_TEST_INCONCLUSIVE /* over, and nobody has won */
} rollout_test;

typedef struct rollout_state
{
	rollout_phase phase;
	int step; /* 1 is steps[0] */
	int64_t now;
	int64_t started_at;
	int64_t step_started_at;
	int64_t bake_until; /* used while baking */

	int64_t awaiting_since; /* used while awaiting approval */
	bool approved;          /* the step after this one */
	bool frozen;            /* no automatic steps */
	bool guard_convicts;    /* core/guard.h, on the same counts */
	bool sample_ratio_alarm;
	bool paired;   /* of a shadow: min_requests counts pairs, instead of the candidate's known outcomes */
	int64_t pairs; /* requests that both versions answered, both outcomes known; and outcomes recorded by name */
	rollout_validation validation;
	rollout_test test;
	const rollout_measured *measured; /* one a criterion; NULL: nothing is known of any */
} rollout_state;

/* What one side did over some time. */
typedef struct rollout_tally
{
	int64_t requests;
	int64_t known;
	int64_t successes;
	int64_t errors;
	int64_t response_time_count;
	double response_time_sum;
} rollout_tally;

typedef enum rollout_outcome
{
	ROLLOUT_PASS,
	ROLLOUT_FAIL,
	ROLLOUT_WAIT,        /* fewer samples than needed */
	ROLLOUT_INCONCLUSIVE /* nothing to compare with */
} rollout_outcome;

typedef struct rollout_verdict
{
	rollout_outcome outcome;
	double value; /* NaN without samples */
	double limit;
	int64_t samples;
	int64_t samples_needed;
	bool stretched; /* the window was too thin: counted from the step's start */
	double low;     /* 95 % interval of a rate (Wilson 1927); NaN for means */
	double high;
	double baseline; /* the baseline's value, of ratios; else NaN */
} rollout_verdict;

typedef enum rollout_action
{
	ROLLOUT_HOLD,
	ROLLOUT_STEP,     /* to the next share, still below 100 % */
	ROLLOUT_BAKE,     /* to 100 %, then bake */
	ROLLOUT_COMPLETE, /* the bake is over */
	ROLLOUT_ROLL_BACK,
	ROLLOUT_START,          /* pending -> running */
	ROLLOUT_REJECT,         /* pending -> failed: validation failed */
	ROLLOUT_AWAIT_APPROVAL, /* running -> awaiting_approval */
	ROLLOUT_CONCLUDE        /* a shadow that has passed -> completed, without a share of anything */
} rollout_action;

/* What a rollback is for, or would be for if it were automatic. The first that applies, in this order. */
typedef enum rollout_cause
{
	ROLLOUT_CAUSE_NONE,
	ROLLOUT_CAUSE_LIMIT,     /* see broken */
	ROLLOUT_CAUSE_CRITERION, /* see criterion */
	ROLLOUT_CAUSE_GUARD,
	ROLLOUT_CAUSE_SAMPLE_RATIO,
	ROLLOUT_CAUSE_TEST,
	ROLLOUT_CAUSE_STEP_TIMEOUT,
	ROLLOUT_CAUSE_APPROVAL_TIMEOUT
} rollout_cause;

/* Why it holds. */
typedef enum rollout_wait
{
	ROLLOUT_WAIT_NOTHING,
	ROLLOUT_WAIT_WARMUP,
	ROLLOUT_WAIT_SECONDS,
	ROLLOUT_WAIT_REQUESTS,
	ROLLOUT_WAIT_LIMITS, /* a limit is broken and automatic rollback is off */
	ROLLOUT_WAIT_RESUME,
	ROLLOUT_WAIT_BAKE,
	ROLLOUT_WAIT_CRITERIA,     /* one of them waits for samples, or has nothing to compare with */
	ROLLOUT_WAIT_SAMPLE_RATIO, /* on_sample_ratio hold */
	ROLLOUT_WAIT_FREEZE,       /* all is ready but for it */
	ROLLOUT_WAIT_APPROVAL,
	ROLLOUT_WAIT_START,
	ROLLOUT_WAIT_VALIDATION,
	ROLLOUT_WAIT_TEST
} rollout_wait;

typedef struct rollout_decision
{
	rollout_action action;
	rollout_wait wait;
	rollout_metric broken; /* the first broken limit; ROLLOUT_METRICS: none */
	int64_t step_samples;  /* known outcomes of the candidate in this step; of a shadow, pairs */
	int64_t next_at;       /* when time allows the next step or the end of the bake */
	rollout_verdict verdicts[ROLLOUT_METRICS];

	rollout_cause cause;
	int criterion;       /* the first that fails, or else that does not pass; -1: all pass */
	bool timed_out;      /* a deadline is over, whatever is done about it */
	int64_t deadline_at; /* of the step or of the approval; 0: none */
	rollout_verdict criteria[ROLLOUT_MAX_CRITERIA];
} rollout_decision;

extern const char *rollout_metric_name(rollout_metric metric);
extern const char *rollout_outcome_name(rollout_outcome outcome);
/* rollout_wait_name: the rollout key or verb that is waited for; NULL for nothing. */
extern const char *rollout_wait_name(rollout_wait wait);

/*
 * rollout_judge: one metric against its limit; window: the evaluation window, step: since the step's start. All limits
 * are compared once min_requests outcomes are known; a metric that has so many samples of its own is compared earlier.
 */
extern rollout_verdict rollout_judge(const rollout_plan *plan, rollout_metric metric, const rollout_tally *window,
									 const rollout_tally *step);
/*
 * rollout_judge_criterion: one criterion, over the same time as the limits. Its verdict's limit is in the metric's
 * unit, also of ratios. A ratio without baseline samples is inconclusive, as is one to a negative value; a criterion
 * without samples waits, since somebody asked for it, unless min_requests is 0.
 */
extern rollout_verdict rollout_judge_criterion(const rollout_plan *plan, const rollout_criterion *criterion,
											   const rollout_measured *measured, const rollout_tally *window,
											   const rollout_tally *step);
/*
 * rollout_decide: the verdicts and what is due now. auto_rollback off turns every rollback into holding, but for that
 * of an A/B test that is over. A step that is ready is taken even when its deadline has passed: the tick may have been
 * late.
 */
extern rollout_decision rollout_decide(const rollout_plan *plan, const rollout_state *state,
									   const rollout_tally *window, const rollout_tally *step);
/* rollout_cause_name: limit, criterion, guard, ...; NULL for none. */
extern const char *rollout_cause_name(rollout_cause cause);
/* rollout_share_weight: percent as weight in 1/10000; -1 when outside (0, 100] or finer than 0.01 %. */
extern int rollout_share_weight(double share);
/* rollout_default_steps: 10, 20, ..., 100, or `first` followed by those above it; returns their number. */
extern int rollout_default_steps(double first, double *steps);

/*
 * rollout_shape_steps: the two steps of a shape other than the canary: 0, 100 for blue-green, else share, 100. The
 * first of a shadow is the share of requests that it sees copies of.
 */
extern int rollout_shape_steps(rollout_shape shape, double share, double *steps);

#endif
