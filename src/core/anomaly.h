/*
 * anomaly.h: a streaming detector of anomalies in one series of numbers, with a bounded state.
 *
 * One update a point, in the order of arrival, constant time, no look-ahead. The state has a fixed size, holds no
 * pointer and may be stored after any point; restored, it goes on with identical scores. What it learns and when it is
 * silent do not depend on the sensitivity, therefore what is flagged at a higher one is always flagged at a lower one.
 * Scaling all values by a power of two and moving all times by whole days changes no score in any bit.
 * The method is told at the head of anomaly.c.
 */
#ifndef ANOMALY_H
#define ANOMALY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANOMALY_VERSION 1
#define ANOMALY_BINS 48   /* of the daily profile: half hours of UTC */
#define ANOMALY_LEVELS 12 /* of severity, each four times the one below */
#define ANOMALY_SENSITIVITY 2.0
#define ANOMALY_SCORE_MAX 1e6
#define ANOMALY_NO_TIME INT64_MIN

/* Which of the experts spoke loudest; the numbers are stored by callers, never change them. */
typedef enum anomaly_cause
{
	ANOMALY_NONE,
	ANOMALY_LEVEL,  /* the smoothed value leaves the range it ever had */
	ANOMALY_JUMP,   /* the step from the last value is larger than ever */
	ANOMALY_LOCAL,  /* off the recent mean by more recent deviations than ever */
	ANOMALY_SEASON, /* off what this time of day usually brings */
	ANOMALY_STUCK   /* repeats one value for longer than ever, in a series that rarely repeats */
} anomaly_cause;

/* The range that a quantity keeps to, slowly forgetting. */
typedef struct anomaly_range
{
	uint64_t n;
	double low;
	double high;
	double mean;
} anomaly_range;

typedef struct anomaly
{
	uint64_t n;
	int32_t scale; /* values are held divided by 2^scale; fixed by the first value that is not 0 */
	bool scaled;
	bool timed; /* first_time is set */
	int64_t first_time;
	double previous;
	double fast;
	double local_mean;
	double local_variance;
	anomaly_range level;
	anomaly_range jump;
	anomaly_range local;
	/* daily profile */
	double profile[ANOMALY_BINS];
	int32_t bin; /* the half hour under way, its points and their mean */
	uint64_t bin_n;
	double bin_mean;
	uint8_t visits[ANOMALY_BINS]; /* up to ANOMALY_VISITS */
	uint64_t season_n;
	double season_variance;
	double residual_power;
	double value_mean;
	double value_power;
	/* repeats */
	uint64_t run;
	uint64_t longest_run;
	uint64_t repeats;
	uint64_t
		said[ANOMALY_LEVELS]; /* the last point that was let through with this level of severity or more; 0: none */
} anomaly;

typedef struct anomaly_result
{
	double score;        /* >= 1: anomalous; 0 while learning; at most ANOMALY_SCORE_MAX */
	double expected;     /* what was usual before this point, in the unit of the values; NaN at the first one */
	anomaly_cause cause; /* of the score, also below 1 */
	bool suppressed;     /* would be anomalous, but the same incident was flagged already: score is below 1 */
	double severity;     /* the score before that */
} anomaly_result;

#define ANOMALY_SIZE (4 + 8 * (14 + 3 * 4 + ANOMALY_LEVELS + ANOMALY_BINS) + ANOMALY_BINS + 17)

extern void anomaly_init(anomaly *a);
/*
 * anomaly_update: takes one point in and judges it by what came before. value: finite. time: microseconds since any
 * midnight UTC, or ANOMALY_NO_TIME; any order. sensitivity: width of the band, > 0 and finite, 2 is the usual one.
 */
extern anomaly_result anomaly_update(anomaly *a, double value, int64_t time, double sensitivity);
/* anomaly_serialise: writes the stored form, always ANOMALY_SIZE bytes, the same on every machine. */
extern void anomaly_serialise(const anomaly *a, unsigned char bytes[ANOMALY_SIZE]);
/* anomaly_restore: false (a is then undefined) for bytes that no detector of this version could have written. */
extern bool anomaly_restore(anomaly *a, const unsigned char *bytes, size_t length);

#endif
