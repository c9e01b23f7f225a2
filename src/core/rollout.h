/*
 * rollout.h: the decision about one rollout, as a pure function of its plan, its state and what its candidate did.
 * The same numbers always give the same answer, so that a decision can be replayed from its stored evidence. Times
 * are microseconds from any fixed point; shares are percent.
 */
#ifndef CORE_ROLLOUT_H
#define CORE_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

#define ROLLOUT_MAX_STEPS 100
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
	ROLLOUT_HELD,  /* paused or awaiting approval: judged, never stepped */
	ROLLOUT_BAKING /* at 100 %, the previous version kept for return */
} rollout_phase;

typedef struct rollout_plan
{
	int step_count;
	double steps[ROLLOUT_MAX_STEPS]; /* increasing, the last is 100 */
	int64_t step_time;
	int64_t warmup_time;
	int64_t bake_time;
	int64_t min_requests; /* known outcomes of the candidate a step */
	bool auto_rollback;
	double limits[ROLLOUT_METRICS];
} rollout_plan;

typedef struct rollout_state
{
	rollout_phase phase;
	int step; /* 1 is steps[0] */
	int64_t now;
	int64_t started_at;
	int64_t step_started_at;
	int64_t bake_until; /* used while baking */
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
} rollout_verdict;

typedef enum rollout_action
{
	ROLLOUT_HOLD,
	ROLLOUT_STEP,     /* to the next share, still below 100 % */
	ROLLOUT_BAKE,     /* to 100 %, then bake */
	ROLLOUT_COMPLETE, /* the bake is over */
	ROLLOUT_ROLL_BACK
} rollout_action;

/* Why it holds. */
typedef enum rollout_wait
{
	ROLLOUT_WAIT_NOTHING,
	ROLLOUT_WAIT_WARMUP,
	ROLLOUT_WAIT_SECONDS,
	ROLLOUT_WAIT_REQUESTS,
	ROLLOUT_WAIT_LIMITS, /* a limit is broken and automatic rollback is off */
	ROLLOUT_WAIT_RESUME,
	ROLLOUT_WAIT_BAKE
} rollout_wait;

typedef struct rollout_decision
{
	rollout_action action;
	rollout_wait wait;
	rollout_metric broken; /* the first broken limit; ROLLOUT_METRICS: none */
	int64_t step_samples;  /* known outcomes of the candidate in this step */
	int64_t next_at;       /* when time allows the next step or the end of the bake */
	rollout_verdict verdicts[ROLLOUT_METRICS];
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
/* rollout_decide: the verdicts and what is due now. */
extern rollout_decision rollout_decide(const rollout_plan *plan, const rollout_state *state,
									   const rollout_tally *window, const rollout_tally *step);
/* rollout_step_at: the step whose share is this one; 0 when the plan has no such step. */
extern int rollout_step_at(const rollout_plan *plan, double share);
/* rollout_share_weight: percent as weight in 1/10000; -1 when outside (0, 100] or finer than 0.01 %. */
extern int rollout_share_weight(double share);
/* rollout_default_steps: 10, 20, ..., 100, or `first` followed by those above it; returns their number. */
extern int rollout_default_steps(double first, double *steps);

#endif
