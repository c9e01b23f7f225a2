/*
 * sketch.h: counts of values in buckets of bounded relative width, mergeable without loss; after DDSketch (Masson, Rim
 * and Lee, VLDB 2019) with a log-linear bucket rule in place of the logarithm: fifty buckets of equal width between two
 * powers of 2. The rule is integer arithmetic on the bits of the double, so every machine puts a value into the same
 * bucket, and the harmonic middle of a bucket is within 1/101 < 1 % of everything in it. Zero has a counter of its own,
 * negative values have mirrored buckets.
 *
 * At most SKETCH_LIMIT buckets a sign are kept: beyond that the smallest magnitudes share the lowest one that is kept.
 * What is kept does not depend on the order of values and merges.
 */
#ifndef SKETCH_H
#define SKETCH_H

#include <stddef.h>
#include <stdint.h>

#define SKETCH_PER_BINADE 50
/* Without gaps 2048 buckets are 41 powers of 2, or 12 decimal orders of magnitude. */
#define SKETCH_LIMIT 2048
#define SKETCH_INDEX_MIN (-1074 * SKETCH_PER_BINADE)
#define SKETCH_INDEX_MAX (1024 * SKETCH_PER_BINADE - 1)

/* Memory comes from the caller: size 0 frees, old NULL allocates; never returns NULL. */
typedef void *(*sketch_memory)(void *context, void *old, size_t size);

typedef struct sketch_bucket
{
	uint32_t key; /* 0: free; else (index - SKETCH_INDEX_MIN + 1) * 2 + (value negative) */
	int64_t count;
} sketch_bucket;

typedef struct sketch
{
	sketch_memory memory;
	void *context;
	sketch_bucket *slot; /* open addressing */
	uint32_t capacity;   /* a power of 2 */
	uint32_t used[2];    /* buckets of positive, of negative values */
	int64_t zeros;
} sketch;

/* sketch_index: bucket of a finite magnitude above 0. */
extern int32_t sketch_index(double magnitude);
/* sketch_lower: the least magnitude of a bucket; that of the next one ends it. */
extern double sketch_lower(int32_t index);
/* sketch_middle: the value that stands for a bucket. */
extern double sketch_middle(int32_t index);

extern void sketch_init(sketch *s, sketch_memory memory, void *context);
/* sketch_add: one finite value more. */
extern void sketch_add(sketch *s, double value);
/* sketch_add_bucket: `count` values of one bucket more. */
extern void sketch_add_bucket(sketch *s, int negative, int32_t index, int64_t count);
/* sketch_sorted: the buckets of one sign, ascending by magnitude, at most SKETCH_LIMIT; the caller frees through
 * memory. */
extern sketch_bucket *sketch_sorted(sketch *s, int negative, uint32_t *n);
static inline int32_t
sketch_bucket_index(const sketch_bucket *b)
{
	return (int32_t) (b->key >> 1) - 1 + SKETCH_INDEX_MIN;
}
extern void sketch_free(sketch *s);

#endif
