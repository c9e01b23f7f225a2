/*
 * guard.h: is the candidate worse than the baseline by more than a margin? An always-valid one-sided test, stratified
 * by step, that may be looked at every second; and the sample-ratio check of a rollout. Pure functions of the counts
 * since the rollout began: no state is carried from look to look, so any process may look at any time, also after a
 * crash, and stored counts give the stored answer again.
 *
 * The promise. While no metric is worse than baseline + margin in any step, a rollout is convicted at any of its looks
 * with probability at most `level`, whatever the steps' base rates, shares and lengths. For rates the expected e-value
 * of a look at one step is at most 1.02 even in samples as small as 5 against 5 (unit test, by enumeration); over whole
 * rollouts the promise is asymptotic and checked by simulation, where 0.3 % at most were convicted.
 *
 * It needs that within a step the share is constant and does not depend on how hard a request is (base rates may drift:
 * both sides drift together), and that outcomes arrive from both sides alike: a side that hangs is seen by the sample
 * ratio, not here. Requests count as independent. Where few units send many requests each, stay on their side and
 * differ much in how often they fail, counts vary more than that: of equal candidates, with the usual margins, 20,000
 * requests and failure rates that differ between units by a factor of 4.5 (one sigma), 1 in 10 was convicted with 300
 * units, 1 in 300 with 3,000.
 *
 * It passes unless it convicts: a pass is no proof of equality, and an excess below a 32nd of the margin is not found.
 *
 * Pairs of a shadow, the same request on both sides, are a stratum of their own kind: see paired.h.
 *
 * What is judged: failures of known outcomes and errors of requests, as rates; response time, as a mean. Each gives an
 * e-value; the verdict is by their average, which is an e-value again however they depend on each other (Vovk and Wang,
 * E-values: calibration, combination and applications, Ann. Statist. 49, 2021); it convicts at 1 / level.
 */
#ifndef CORE_GUARD_H
#define CORE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/paired.h"
#include "core/rollout.h"

/* The stated rate of false rollbacks a rollout. */
#define GUARD_LEVEL 0.01
/* At or below this the sample ratio is an alarm. */
#define GUARD_SAMPLE_RATIO_LEVEL 0.001

/*
 * How much worse than the baseline is still harmless: absolute, in the metric's unit, plus relative, as a fraction of
 * the baseline's value (of the success rate itself, not of the failures). Both >= 0; absolute = INFINITY: not judged.
 */
typedef struct guard_margin
{
	double absolute;
	double relative;
} guard_margin;

/* guard_margins_default: success_rate 0.01, error_rate 0.01, response_time 10 %. */
extern const guard_margin guard_margins_default[ROLLOUT_METRICS];

/* What one side did in one step: as rollout_tally, with the deviations of the response times. */
typedef struct guard_side
{
	int64_t requests;
	int64_t known;
	int64_t successes;
	int64_t errors;
	int64_t response_time_count;
	double response_time_mean; /* ignored without values */
	double response_time_m2;   /* sum of squared deviations from the mean: `m2` of moments and summary */
} guard_side;

/* Pairs of a shadow: the same request on both sides. */
typedef struct guard_pairs
{
	paired_cells outcomes; /* failures; the success of both is known */
	paired_cells errors;   /* both have been recorded */
	paired_values response_time;
} guard_pairs;

/* One step: everything routed in it so far, on both sides; or pairs alone. */
typedef struct guard_stratum
{
	double share; /* of the candidate, percent; 0 and 100 are not compared. Ignored of pairs */
	guard_side baseline;
	guard_side candidate;
	bool paired;
	guard_pairs pairs;
} guard_stratum;

/* The evidence of one metric. Members that are not defined (one side has no samples) are NaN. */
typedef struct guard_evidence
{
	int64_t samples_baseline; /* in steps where both sides have some, the only ones that count */
	int64_t samples_candidate;
	double baseline;   /* means of both over these steps, both with the same weight a step */
	double candidate;  /* ... so that their difference is free of the mix of steps */
	double difference; /* candidate - baseline */
	double margin;     /* the harmless part of it: the bound of the difference, same sign convention */
	double z;       /* standard errors that the difference is beyond the margin; positive is worse; for people only */
	double log_e;   /* natural logarithm of the e-value; 0 without evidence */
	double p_value; /* min(1, 1 / e-value): always valid, this metric alone */
} guard_evidence;

typedef struct guard_verdict
{
	bool convict;
	rollout_metric worst; /* with the largest e-value; ROLLOUT_METRICS when none is above 1 */
	double level;
	double log_e;   /* of the average of the e-values; convicts when >= log(1 / level) */
	double p_value; /* min(1, 1 / average); convicts when <= level */
	guard_evidence metrics[ROLLOUT_METRICS];
} guard_verdict;

/* guard_look: the verdict on the steps so far, in their order; 0 < level < 1. About 2 microseconds a step. */
extern guard_verdict guard_look(const guard_margin margins[ROLLOUT_METRICS], double level, const guard_stratum *strata,
								int count);

/*
 * The sample ratio: do outcomes arrive from both sides in the proportion of the shares? Two answers from the same
 * counts. p_value is always valid: while the shares are true, it ever falls to 0.001 in at most one rollout in 1,000,
 * however often it is looked at; alarms and actions go by it. chi_square_p_value is Pearson's, right for a single look
 * planned beforehand and too small for the least of many looks.
 */
typedef struct guard_sample_ratio
{
	bool alarm;     /* p_value <= GUARD_SAMPLE_RATIO_LEVEL */
	double p_value; /* 1 without requests */
	double chi_square;
	int df; /* steps that have requests and expect at least 5 on each side */
	double chi_square_p_value;
	int64_t expected; /* requests of the candidate in the steps with a share within 0..100, rounded */
	int64_t counted;
} guard_sample_ratio;

/*
 * guard_check_sample_ratio: tolerance: by how much the odds of the sides may be off, as a fraction (0.1: from 1/1.1
 * to 1.1 times), without counting as an alarm: where units are sticky and send unequal numbers of requests, requests
 * follow the share only roughly. 3,000 units, unequal by a factor of 2.7 (one sigma), gave an alarm in a quarter of the
 * rollouts of 20,000 requests with no tolerance, and in less than 1 % with 0.1.
 */
extern guard_sample_ratio guard_check_sample_ratio(const guard_stratum *strata, int count, double tolerance);

#endif
