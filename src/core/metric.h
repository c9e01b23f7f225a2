/*
 * metric.h: the vocabulary of metrics, one for monitor, rollouts and experiments, and how each is computed from the
 * counts, sums and sketches of a window. Names that are none of these are custom metrics.
 */
#ifndef METRIC_H
#define METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/quantiles.h"
#include "core/summary.h"

/* What a request carries and rollups keep a sum and a sketch of. */
typedef enum metric_measure
{
	METRIC_RESPONSE_TIME,
	METRIC_CONFIDENCE,
	METRIC_COST,
	METRIC_INPUT_TOKENS,
	METRIC_OUTPUT_TOKENS,
	METRIC_MEASURES
} metric_measure;

typedef enum metric_form
{
	METRIC_SUCCESS_RATE,        /* successes / outcomes whose success is known */
	METRIC_ERROR_RATE,          /* requests with an error_type / requests */
	METRIC_MEAN,                /* of a measure */
	METRIC_QUANTILE,            /* of a measure */
	METRIC_REQUESTS_PER_MINUTE, /* requests / minutes of the window */
	METRIC_CUSTOM               /* a key of observation.metrics, a metric source, or only reported: mean */
} metric_form;

typedef struct metric
{
	metric_form form;
	metric_measure measure; /* MEAN, QUANTILE */
	double quantile;        /* QUANTILE: 0..1 */
	int direction;          /* 1: higher is better, -1: lower is better, 0: nobody said (custom) */
} metric;

/* What a window holds of one version. A mean is sum / count. */
typedef struct metric_tally
{
	int64_t requests;
	int64_t known; /* outcomes whose success is known */
	int64_t successes;
	int64_t errors;
	struct
	{
		int64_t count;
		double sum;
		/* Needed for quantiles only; either will do, NULL: not read. */
		const unsigned char *sketch; /* stored form of a summary */
		size_t sketch_length;
		const quantiles *parts; /* of several */
	} measures[METRIC_MEASURES];
} metric_tally;

/* Largest value that is taken for a metric: sums, and sums of squares, of any number of them stay finite. */
#define METRIC_MAX_VALUE 1e100
/* Longest name in bytes. */
#define METRIC_NAME_MAX 255

/* metric_parse: the metric of this name; every name that is no built-in one is METRIC_CUSTOM. Aliases are equal:
 * response_time = avg_response_time, confidence = confidence_score, cost = cost_per_request. */
extern metric metric_parse(const char *name);
/* metric_evaluate: value and samples of a metric that is not custom; value NaN with 0 samples. */
extern double metric_evaluate(const metric *m, const metric_tally *tally, double minutes, int64_t *samples);
/* metric_range: what a value of it can be: rates 0..1, custom metrics of either sign, the others 0 and up. */
extern void metric_range(const metric *m, double *low, double *high);
/* metric_canonical: the canonical name of a built-in one; any other name as it is. */
extern const char *metric_canonical(const char *name);
/* metric_name: the canonical name of built-in number i, NULL past the last; in the order that people read them. */
extern const char *metric_name(int i);

#endif
