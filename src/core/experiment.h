/*
 * experiment.h: A/B tests: how many outcomes are planned, what the running sums say of each metric, and what is decided
 * at a look. Pure functions of the plan and of stored sums: the same numbers give the same answer in any process.
 *
 * Arms are numbered as stored: 0 control, 1 treatment, 2.. the others; each is compared with control. Metric 0 is the
 * primary. Arrays of several dimensions are flat, the last index running fastest, as said at each.
 *
 * The promise. While no arm differs from control in any metric, a test declares a winner with probability at most
 * 1 - confidence_level, however many looks it has, over all arms and over primary and secondary metrics together. With
 * secondary metrics the primary may spend 0.9 of that, the secondaries together 0.1; without them the primary has all.
 * Within either family the error is divided over arms (and metrics) by Holm's procedure, and over looks by the plan's
 * spending function. Guardrails are apart: all bounds of a test together are falsely called broken with probability at
 * most EXPERIMENT_GUARDRAIL_LEVEL, however often they are looked at.
 */
#ifndef CORE_EXPERIMENT_H
#define CORE_EXPERIMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hypothesis.h"
#include "core/sequential.h"

#define EXPERIMENT_CONTROL_ARM 0
#define EXPERIMENT_NO_ARM (-1)
#define EXPERIMENT_NO_METRIC (-1)
/* Part of the planned information by which it must have grown for a new look. */
#define EXPERIMENT_LOOK_STEP 0.01
/* The primary's share of the error probability where there are secondary metrics. */
#define EXPERIMENT_PRIMARY_TENTHS 9
/* Below this the sample ratio forbids verdicts. */
#define EXPERIMENT_SAMPLE_RATIO_LEVEL 0.001
/* Stated rate of tests that falsely call a guardrail broken, over all its bounds, arms and looks. */
#define EXPERIMENT_GUARDRAIL_LEVEL 0.01
/* Units that a guardrail needs in either arm: below, no limit theorem carries the bound. */
#define EXPERIMENT_GUARDRAIL_UNITS 50
/* Part of the planned information before which no test is futile: by an early trend too many good ones would be. */
#define EXPERIMENT_FUTILITY_FROM 0.4
/* The conditional power with which a secondary metric keeps a test going whose primary has none left. Of several
 * metrics without any difference one often looks a little promising: with less than this, half of the tests of nothing
 * would run on for it. */
#define EXPERIMENT_SECONDARY_HOPE 0.03

/* ---------- what is known: running sums ---------- */

/*
 * Sums over the units of one arm, epoch and metric, of the vector v = (c, s, pc, ps) of a unit:
 *   c   outcomes of the metric in the test,
 *   s   sum of (value - anchor) over them: subtract the anchor from each value BEFORE adding up, or the digits that
 *       the anchor saves are lost; rates have anchor 0 and values 0 and 1,
 *   pc  the same count before the test, ps the same sum before the test (covariate; 0 where nothing is known).
 * product: upper triangle of v v', by rows: cc cs c.pc c.ps ss s.pc s.ps pc.pc pc.ps ps.ps. An outcome without a unit
 * id is a unit of its own: c = 1.
 */
#define EXPERIMENT_SUMS 4
#define EXPERIMENT_PRODUCTS 10

typedef struct experiment_moments
{
	double units; /* whole */
	double sum[EXPERIMENT_SUMS];
	double product[EXPERIMENT_PRODUCTS];
} experiment_moments;

/* experiment_moments_change: a unit's vector was old_v (NULL: the unit is new) and is new_v now. */
extern void experiment_moments_change(experiment_moments *m, const double *old_v, const double *new_v);
/* experiment_moments_merge: a becomes the sums over the units of both. */
extern void experiment_moments_merge(experiment_moments *a, const experiment_moments *b);

/* ---------- the plan ---------- */

typedef enum experiment_role
{
	EXPERIMENT_PRIMARY,
	EXPERIMENT_SECONDARY,
	EXPERIMENT_GUARDRAIL /* has bounds and decides nothing else */
} experiment_role;

typedef enum experiment_form
{
	EXPERIMENT_RATE,    /* values 0 and 1 */
	EXPERIMENT_MEAN,    /* any value */
	EXPERIMENT_QUANTILE /* comes as an estimate with its standard error */
} experiment_form;

/* How far a variant's value may lie from control's; INFINITY: no such bound. Relative ones: part of |control|. */
typedef struct experiment_bounds
{
	double max_increase;
	double max_relative_increase;
	double max_decrease;
	double max_relative_decrease;
} experiment_bounds;

extern const experiment_bounds experiment_no_bounds;

typedef struct experiment_metric
{
	experiment_role role;
	experiment_form form;
	int direction;            /* 1: higher is better, -1: lower is better */
	double anchor;            /* what values are counted from; 0 for rates */
	experiment_bounds bounds; /* any role may have some */
} experiment_metric;

typedef struct experiment_plan
{
	double confidence_level;          /* 0..1 */
	double minimum_detectable_effect; /* absolute for rates, else a part of |control| */
	double power;
	double futility_threshold; /* conditional power of the primary's comparisons below it is futile; 0: never */
	double min_samples;        /* outcomes of the primary in each arm before a verdict */
	double horizon;            /* outcomes of the primary, all arms, at which information is 1: experiment_horizon */
	bool early_stopping;       /* false: one look, at the end */
	sequential_spending spending;
	int arms;                        /* with control: 2 and more */
	int metrics;                     /* at least 1 */
	int epochs;                      /* at least 1 */
	const experiment_metric *metric; /* [metrics], the primary first */
	const double *share;             /* [epochs][arms]: probability of each arm; each epoch sums up to 1 */
} experiment_plan;

/*
 * What experiment_planned plans. baseline: control's rate, or its mean for a metric that is no rate; deviation: the
 * standard deviation of values of such a metric. Unknown is NaN: then min_samples alone is planned, for a rate 0.5 is
 * taken. share: [arms], of the first epoch.
 */
typedef struct experiment_design
{
	experiment_form form;
	double baseline;
	double deviation;
	double minimum_detectable_effect;
	double power;
	double confidence_level;
	double min_samples;
	int arms;
	const double *share;
} experiment_design;

/*
 * experiment_planned: outcomes of all arms together so that the effect is found with that power in each comparison
 * with control by one test at its end, and at least min_samples in each arm. Where baseline + effect is no rate the
 * other direction is planned; where neither is, min_samples alone. At least arms; whole.
 */
extern double experiment_planned(const experiment_design *design);
/*
 * experiment_inflation: by what the planned outcomes are to be multiplied so that a test with looks at every 1 % of
 * them, stopping for futility, with its error divided over arms and families, still has the power of the design. 1 for
 * a test with one look, two arms and no secondary metric. plan's horizon, share and metrics' anchors are not read.
 */
extern double experiment_inflation(const experiment_plan *plan, const sequential_caller *caller);
/* experiment_horizon: planned samples, inflated; not rounded. */
extern double experiment_horizon(const experiment_plan *plan, double planned, const sequential_caller *caller);

/* ---------- the data ---------- */

/* A quantile metric of one arm, of values and not of units. */
typedef struct experiment_quantile
{
	int64_t samples;
	double value;          /* NaN: none */
	double standard_error; /* NaN: not known */
} experiment_quantile;

/*
 * experiment_quantile_of: the p-quantile of a stored summary, values spread evenly over each bucket of its sketch: the
 * buckets' middles would jump by 2 %, and an error estimated from them would be nothing as often as not. The standard
 * error is NaN where the rank's own error reaches an end, 0 where all values are the same.
 */
extern experiment_quantile experiment_quantile_of(const unsigned char *summary, size_t length, double p);

typedef struct experiment_data
{
	const experiment_moments *moments;   /* [epochs][arms][metrics]; zeros for quantile metrics */
	const int64_t *units;                /* [epochs][arms]: units seen at all, for the sample ratio */
	const experiment_quantile *quantile; /* [arms][metrics]; NULL: no metric is one */
} experiment_data;

/* ---------- estimates ---------- */

/*
 * One metric of one arm against control. Members that are not defined are NaN; of control itself only the samples and
 * means are. Intervals are two-sided, each of the plan's confidence level, for one look at a time; the anytime interval
 * holds over all looks. CUPED: NaN where no unit has a past.
 */
typedef struct experiment_estimate
{
	int64_t samples_control; /* outcomes */
	int64_t samples_variant;
	int64_t units_control; /* what the test counts as independent */
	int64_t units_variant;
	double mean_control;
	double mean_variant;
	double difference; /* variant - control */
	double ci_low;
	double ci_high;
	double relative_lift; /* difference / |control| */
	double lift_low;      /* Fieller's interval; NaN where control's mean is not surely off 0 */
	double lift_high;
	double standard_error; /* of the difference */
	double statistic;
	double p_value;          /* two-sided, this comparison alone, one look */
	double p_value_adjusted; /* Holm: primary over arms; secondaries over secondaries and arms; guardrails: p_value */
	bool significant;        /* beyond the boundary of its family at this look; only experiment_look sets it */
	double anytime_ci_low;   /* -INFINITY and INFINITY while too little is known */
	double anytime_ci_high;
	double anytime_p_value;
	double cuped_difference;
	double cuped_ci_low;
	double cuped_ci_high;
	double cuped_p_value;
	double cuped_reduction; /* part of the variance of the difference that the covariate takes away; 0..1 */
} experiment_estimate;

/* experiment_estimates: every metric of every arm, [metrics][arms]; for views: no look. */
extern void experiment_estimates(const experiment_plan *plan, const experiment_data *data,
								 experiment_estimate *estimates, const sequential_caller *caller);
/*
 * experiment_sample_ratio: p-value of Pearson's chi-square that units came to the arms as the shares say, epochs
 * weighted by their units; 1 without units. *alarm: below EXPERIMENT_SAMPLE_RATIO_LEVEL, 5 and more expected in each.
 */
extern double experiment_sample_ratio(const experiment_plan *plan, const int64_t *units, bool *alarm);
/*
 * experiment_information: effective outcomes of the primary as a part of the horizon's, 0..1, averaged over the
 * comparisons: unequal arms, epochs of unequal shares, and rates of units whose outcomes resemble each other tell less
 * than their number.
 */
extern double experiment_information(const experiment_plan *plan, const experiment_data *data);

/* ---------- looks ---------- */

typedef enum experiment_status
{
	EXPERIMENT_NO_DATA, /* no outcome of the primary in any arm */
	EXPERIMENT_RUNNING,
	EXPERIMENT_STOPPED_EARLY, /* beyond the boundary before the end, or a guardrail is broken */
	EXPERIMENT_SIGNIFICANT,   /* beyond the boundary at the end */
	EXPERIMENT_FUTILE,
	EXPERIMENT_INCONCLUSIVE, /* the end, and no winner */
	EXPERIMENT_SAMPLE_RATIO_MISMATCH
} experiment_status;

/* experiment_status_name: as API says: no_data, running, stopped_early, significant, futile, inconclusive, ... */
extern const char *experiment_status_name(experiment_status status);

/* What was decided: what a recorded look leaves behind for those after it. */
typedef struct experiment_decision
{
	experiment_status status;
	int winner; /* arm, or EXPERIMENT_NO_ARM */
	int metric; /* that decided, 0 where none has */
} experiment_decision;

typedef enum experiment_guardrail_bound
{
	EXPERIMENT_NO_BOUND,
	EXPERIMENT_MAX_INCREASE,
	EXPERIMENT_MAX_RELATIVE_INCREASE,
	EXPERIMENT_MAX_DECREASE,
	EXPERIMENT_MAX_RELATIVE_DECREASE
} experiment_guardrail_bound;

/* experiment_guardrail_bound_name: the key of the guardrail: max_increase, ... */
extern const char *experiment_guardrail_bound_name(experiment_guardrail_bound bound);

typedef struct experiment_guardrail_result
{
	int metric; /* EXPERIMENT_NO_METRIC: none is broken */
	int arm;
	experiment_guardrail_bound bound;
	double allowed; /* the bound */
	double surely;  /* how far the variant surely is from control at least, in the bound's unit */
} experiment_guardrail_result;

/* What experiment_look is told besides plan and data. */
typedef struct experiment_past
{
	int looks;                 /* recorded before this one */
	const double *information; /* [looks], ascending: their information fractions */
	/* The last verdict of a recorded look when it was stopped_early, significant or futile; it stands. NULL: none. */
	const experiment_decision *standing;
	bool end; /* the last look: duration reached; all that is left of the error probability is spent */
	/* experiment_result.kept of the look before. Only spares time: what does not fit is as if there were none. */
	sequential_state kept;
	/* NULL: sequential_continue; who asks for the same boundaries many times may remember them. */
	void (*solve)(const double *fraction, const double *spent, int looks, double *z, const sequential_caller *caller);
} experiment_past;

typedef struct experiment_result
{
	experiment_decision decision;
	bool look; /* a look: to be recorded with `information`; false: information has not grown enough, no new verdict */
	bool end;  /* the end: past->end, or information is 1 */
	double information; /* 0..1 */
	/* Boundaries at this look of the least p-value (Holm's first step) of each family; NaN when this is no look. */
	double boundary_z;
	double boundary_p_value;
	double secondary_boundary_z; /* NaN also without secondaries, and where none of them is near it */
	double secondary_boundary_p_value;
	/* By the present trend, of the most promising arm and primary or secondary metric; NaN: no look, or the end. */
	double conditional_power;
	double sample_ratio_p_value;
	bool sample_ratio_mismatch;
	bool enough;    /* min_samples in every arm, or the end */
	bool practical; /* effect of the deciding metric at least minimum_detectable_effect */
	int leading;    /* arm whose numbers stand for the test: winner or, with control ahead, its best challenger */
	experiment_guardrail_result guardrail;
	sequential_state kept; /* what the next look goes on from, of the caller's memory; empty when this is none */
} experiment_result;

/*
 * experiment_look: the verdict, and the estimates it rests on ([metrics][arms], as experiment_estimates, with
 * `significant`). A verdict needs a look, a sample ratio that is no alarm, and min_samples in each arm unless it is the
 * end; a broken guardrail needs none of them: status stopped_early, winner control. Costs some 0.1 milliseconds a
 * comparison that has to be decided, however many looks there were; without past->kept the more the more there were,
 * some milliseconds at 100; next to nothing when this is no look.
 *
 * The primary decides for an arm that is significantly better than control (the best of several), and for control when
 * every arm is significantly worse. Else a secondary may, when the primary of its winner is not worse by more than
 * minimum_detectable_effect by the confidence_level interval and no other significant secondary says the opposite.
 */
extern experiment_result experiment_look(const experiment_plan *plan, const experiment_data *data,
										 const experiment_past *past, experiment_estimate *estimates,
										 const sequential_caller *caller);

/* ---------- moving shares ---------- */

/* Least and largest share of an arm under allocation thompson. */
#define EXPERIMENT_THOMPSON_LOW(arms) (0.1 / ((arms) -1))
#define EXPERIMENT_THOMPSON_HIGH 0.9

/*
 * experiment_thompson: the shares [arms] of the next epoch: the probability of each arm to be the best in the primary
 * metric, by draws from the posteriors (Beta for rates, normal else), brought within the bounds. The same seed gives
 * the same shares. Arms with fewer than 2 units of it are as likely the best as any: all shares stay as they are.
 */
extern void experiment_thompson(const experiment_plan *plan, const experiment_data *data, uint64_t seed, double *share,
								const sequential_caller *caller);

#endif
