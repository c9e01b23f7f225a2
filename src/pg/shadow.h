/*
 * shadow.h: the outcomes of a shadow rollout in pairs: both versions answered the same request.
 */
#ifndef MM_SHADOW_H
#define MM_SHADOW_H

#include "pg/mm.h"

/* Pairs since `since`, by what the stable version (the baseline) and the shadow (the candidate) did. */
typedef struct shadow_pairs
{
	TimestampTz since; /* later than the step began where that would be too much to read */
	int64 both_good;
	int64 only_baseline_good;
	int64 only_candidate_good;
	int64 both_bad;
	int64 timed; /* pairs with both response times */
	double response_time_baseline;
	double response_time_candidate;
	double response_time_difference; /* mean of candidate less baseline, seconds; 0 without pairs */
	double response_time_variance;   /* of the differences, divisor n - 1; 0 below two */
} shadow_pairs;

/*
 * shadow_pairs_read: pairs of requests routed since the step of a shadow rollout began (warm-up excluded) whose
 * outcomes have both arrived, until now or until it ended; false when the deployment is no shadow or has not begun.
 * Reads the observations of that time, of all models, but of no more minutes than hold SHADOW_MAX_ROWS: the newest.
 * Between mm_enter and mm_leave.
 */
#define SHADOW_MAX_ROWS 1000000
extern bool shadow_pairs_read(int64 deployment_id, shadow_pairs *out);

#endif
