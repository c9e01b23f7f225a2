/*
 * experiment_inside.h: what the files core/experiment_*.c share.
 *
 * A unit of epoch e in arm a weighs w = 1 / share[e][a] (Horvitz and Thompson; 1 throughout where there is one epoch):
 * however shares followed earlier outcomes, within an epoch the arm is drawn with a known probability, so the weighted
 * sums of every arm estimate the same population, and what an epoch adds has expectation zero under equality.
 */
#ifndef CORE_EXPERIMENT_INSIDE_H
#define CORE_EXPERIMENT_INSIDE_H

#include "core/experiment.h"

/* Places in the sums and products of experiment_moments. */
enum
{
	SUM_C,
	SUM_S,
	SUM_PC,
	SUM_PS
};
enum
{
	PRODUCT_C_C,
	PRODUCT_C_S,
	PRODUCT_C_PC,
	PRODUCT_C_PS,
	PRODUCT_S_S,
	PRODUCT_S_PC,
	PRODUCT_S_PS,
	PRODUCT_PC_PC,
	PRODUCT_PC_PS,
	PRODUCT_PS_PS
};

/* One metric of one arm over all epochs. */
typedef struct experiment_side
{
	double outcomes;
	double units;                       /* that outcomes are grouped in; = outcomes where each has one at most */
	bool plain;                         /* one epoch, and no unit has more than one outcome */
	double first[EXPERIMENT_SUMS];      /* sums of w v */
	double second[EXPERIMENT_PRODUCTS]; /* sums of w^2 v v' */
	double second_sum[EXPERIMENT_SUMS]; /* sums of w^2 v */
	double first_units;                 /* sum of w */
	double second_units;                /* sum of w^2 */
	double effective;   /* outcomes that are worth as much when drawn with equal weights, each from another unit */
	double ratio;       /* of the sums: the mean less the anchor; NaN without outcomes */
	double spread;      /* sum of w^2 (s - ratio c)^2 */
	bool no_variance;   /* spread is that of rounding at most, which it is set to then */
	double resolution;  /* of ratio, given its rounding */
	hypothesis_arm arm; /* n = units, mean, and the variance that makes variance / n that of the mean; 0 below 2 */
} experiment_side;

/* experiment_side_of: of a metric that is no quantile. */
extern experiment_side experiment_side_of(const experiment_plan *plan, const experiment_data *data, int metric,
										  int arm);
/* experiment_samples: outcomes of a metric in an arm. */
extern int64_t experiment_samples(const experiment_plan *plan, const experiment_data *data, int metric, int arm);
/* experiment_secondaries: how many secondary metrics there are. */
extern int experiment_secondaries(const experiment_plan *plan);
/* experiment_error: the error probability of the whole test, as people write it. */
extern double experiment_error(const experiment_plan *plan);
/* experiment_level: error probability of the family of primary or secondary metrics. */
extern double experiment_level(const experiment_plan *plan, experiment_role role);
/* experiment_guard: the first guardrail that is surely broken, in the order of metrics and arms. */
extern experiment_guardrail_result experiment_guard(const experiment_plan *plan, const experiment_data *data);
/* experiment_kept_find: what is kept for a level, within that memory; empty when nothing is. */
extern sequential_state experiment_kept_find(const sequential_state *kept, double level);
/* experiment_kept_with: a new list, with this state for a level. */
extern sequential_state experiment_kept_with(const sequential_state *kept, double level, const sequential_state *state,
											 const sequential_caller *caller);
/* experiment_anytime_arm: an arm as the always-valid interval takes it; n = 0 when too little is known. */
extern hypothesis_arm experiment_anytime_arm(const experiment_plan *plan, const experiment_data *data, int metric,
											 int arm);

#endif
