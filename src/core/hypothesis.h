/*
 * hypothesis.h: two-sample tests on sufficient statistics. Every difference, statistic and effect is treatment minus
 * control, every p-value two-sided. The aggregates and plain functions of the shell are thin covers of these.
 */
#ifndef HYPOTHESIS_H
#define HYPOTHESIS_H

#include <stdint.h>

#include "core/ddouble.h"

typedef enum hypothesis_status
{
	HYPOTHESIS_OK,
	HYPOTHESIS_EMPTY_CONTROL,
	HYPOTHESIS_EMPTY_TREATMENT,
	HYPOTHESIS_TOO_FEW,     /* too few values for the test: nothing but means and effect is given */
	HYPOTHESIS_NO_VARIANCE, /* equal means: statistic 0, p 1; different means: statistic +-infinity, p 0 */
} hypothesis_status;

/* Members that are not defined are NaN. */
typedef struct hypothesis_result
{
	double statistic;
	double df;
	double p_value;
	double effect;
	double ci_low;
	double ci_high;
	int64_t n_control;
	int64_t n_treatment;
	double mean_control;
	double mean_treatment;
	hypothesis_status status;
} hypothesis_result;

/* One arm of a test of means. */
typedef struct hypothesis_arm
{
	int64_t n;
	dd mean;
	double variance; /* divisor n - 1; ignored below two values */
} hypothesis_arm;

/* Sums of one arm of a CUPED test: x the covariate, y the value. */
typedef struct hypothesis_cuped_arm
{
	int64_t n;
	dd mean_x;
	dd mean_y;
	double xx; /* sums of squares and products about the means */
	double xy;
	double yy;
} hypothesis_cuped_arm;

extern const char *hypothesis_status_name(hypothesis_status status);

/* hypothesis_rate_interval: Wilson's score interval of a rate; NaN without trials. */
extern void hypothesis_rate_interval(int64_t successes, int64_t trials, double confidence_level, double *low,
									 double *high);
/* hypothesis_two_proportions: pooled z, Newcombe's hybrid score interval. */
extern hypothesis_result hypothesis_two_proportions(int64_t successes_control, int64_t trials_control,
													int64_t successes_treatment, int64_t trials_treatment,
													double confidence_level);
/* hypothesis_welch: t with Welch-Satterthwaite degrees of freedom. */
extern hypothesis_result hypothesis_welch(hypothesis_arm control, hypothesis_arm treatment, double confidence_level);
/* hypothesis_paired: t of the differences; means of both sides are for information. */
extern hypothesis_result hypothesis_paired(hypothesis_arm difference, double mean_control, double mean_treatment,
										   double confidence_level);
/*
 * hypothesis_mcnemar: pairs of outcomes by (control, treatment): both succeed, only control, only treatment, neither.
 * Signed root of McNemar's chi-square without continuity correction; Newcombe's interval for paired proportions.
 */
extern hypothesis_result hypothesis_mcnemar(int64_t both, int64_t only_control, int64_t only_treatment, int64_t neither,
											double confidence_level);
/* hypothesis_cuped: Welch's t on values less theta times the covariate, theta the slope within arms. */
extern hypothesis_result hypothesis_cuped(hypothesis_cuped_arm control, hypothesis_cuped_arm treatment,
										  double confidence_level);
/*
 * hypothesis_mann_whitney: from twice the rank sum of treatment (average ranks) and the sum over groups of ties of
 * size^3 - size. Normal approximation with tie and continuity correction. The effect is Cliff's delta.
 */
extern hypothesis_result hypothesis_mann_whitney(int64_t n_control, int64_t n_treatment, dd twice_rank_sum, dd ties,
												 double mean_control, double mean_treatment);

#endif
