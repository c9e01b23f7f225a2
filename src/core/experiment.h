/*
 * experiment.h: the plan and the verdict of an A/B test of two rates that is looked at once, at its end. Pure functions
 * of the counts.
 */
#ifndef CORE_EXPERIMENT_H
#define CORE_EXPERIMENT_H

#include <stdint.h>

#include "core/hypothesis.h"

/* Outcomes whose success is known. */
typedef struct experiment_counts
{
	int64_t samples_control;
	int64_t successes_control;
	int64_t samples_treatment;
	int64_t successes_treatment;
} experiment_counts;

typedef enum experiment_winner
{
	EXPERIMENT_NOBODY,
	EXPERIMENT_CONTROL,
	EXPERIMENT_TREATMENT
} experiment_winner;

/*
 * experiment_planned_samples: outcomes of both arms together so that a difference of `effect` from `baseline` is found
 * with that power, at least min_samples in each arm. share: the treatment's part of the units, inside 0..1. Where
 * baseline + effect is no rate the other direction is planned; where neither is, min_samples alone. At least 2.
 */
extern double experiment_planned_samples(double baseline, double effect, double power, double confidence_level,
										 double share, double min_samples);
/* experiment_information: what is known of the difference as a part of what is planned, 0..1; unequal arms tell less.
 */
extern double experiment_information(const experiment_counts *counts, double planned_samples, double share);
/* experiment_judge: the z-test of the final counts; *test has its numbers. Nobody wins without outcomes of both. */
extern experiment_winner experiment_judge(const experiment_counts *counts, double confidence_level,
										  hypothesis_result *test);

#endif
