/*
 * arms.h: which arm of a test a unit is in. The rule is flagd's (core/bucket.h) with the test's id as key: treatment
 * first, then the further arms, control last; buckets beyond are outside of the test. In an exclusion group the group's
 * name draws first who is in the test: tests of a group have disjoint ranges of its buckets.
 */
#ifndef MM_ARMS_H
#define MM_ARMS_H

#include <stdbool.h>

#include "core/bucket.h"

#define ARMS_OUTSIDE (-1)

typedef struct arms
{
	bool grouped;
	uint32_t slot_from;
	uint32_t slots;
	bucket_key group;
	bucket_key key;
	int count;
	const uint32_t *limit; /* by arm: its buckets are below, and not below the limit of the arm drawn before it */
} arms;

/* arms_draw: the arm of these hashes of a unit under the group's key and the test's; *bucket is the one that decided.
 */
static inline int
arms_draw(const arms *a, uint32_t group_hash, uint32_t hash, uint32_t *bucket)
{
	if (a->grouped)
	{
		*bucket = bucket_of(group_hash, BUCKET_TOTAL);
		/* Unsigned: what lies before the slots is far behind them. */
		if (*bucket - a->slot_from >= a->slots)
			return ARMS_OUTSIDE;
	}
	*bucket = bucket_of(hash, BUCKET_TOTAL);
	for (int i = 1; i < a->count; i++)
		if (*bucket < a->limit[i])
			return i;
	return *bucket < a->limit[0] ? 0 : ARMS_OUTSIDE;
}

/* arms_of: the same of a unit. */
static inline int
arms_of(const arms *a, const char *unit, size_t length, uint32_t *bucket)
{
	return arms_draw(a, a->grouped ? bucket_hash(&a->group, unit, length) : 0, bucket_hash(&a->key, unit, length),
					 bucket);
}

/* arms_limits: limits from weights by arm, in 1/10000. */
static inline void
arms_limits(const int32_t *weight, int count, uint32_t *limit)
{
	uint32_t sum = 0;

	for (int i = 1; i <= count; i++)
		limit[i % count] = sum += (uint32_t) weight[i % count];
}

#endif
