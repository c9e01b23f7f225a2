/*
 * quantiles.h: quantiles of many summaries together, of values that are not negative. Merging summaries and asking the
 * result says the same; this is several times as fast where thousands are put together only to be asked: counts lie in
 * an array by bucket, and nothing is sorted or written.
 */
#ifndef QUANTILES_H
#define QUANTILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sketch.h"

typedef struct quantiles
{
	sketch_memory memory;
	void *context;
	int64_t n;
	int64_t zeros;
	double min;
	double max;
	uint32_t *count; /* of the buckets from first on, */
	int64_t *wide;   /* or, of more values than 32 bits count, here */
	int32_t first;
	int32_t room;
} quantiles;

extern void quantiles_init(quantiles *q, sketch_memory memory, void *context);
/* quantiles_add: a stored form more; false when it is damaged or holds negative values (q is then undefined). */
extern bool quantiles_add(quantiles *q, const unsigned char *bytes, size_t length);
/* quantiles_merge: what another one holds more. */
extern void quantiles_merge(quantiles *q, const quantiles *other);
/* quantiles_at: the value at rank ceil(p n), as summary_quantile of all merged; NaN when there is none. */
extern double quantiles_at(const quantiles *q, double p);
extern void quantiles_free(quantiles *q);

#endif
