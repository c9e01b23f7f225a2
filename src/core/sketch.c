/*
 * sketch.c: the buckets of sketch.h in a small hash table. Collapsing waits until twice the limit is in use, which
 * keeps its cost away from the single value; sketch_sorted collapses down to the limit. Both come to the same: a value
 * always lands in the lowest bucket kept, or in its own.
 */
#include "core/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

int32_t
sketch_index(double magnitude)
{
	uint64_t bits;
	int32_t exponent;
	uint64_t mantissa;

	memcpy(&bits, &magnitude, sizeof(bits));
	exponent = (int32_t) ((bits >> 52) & 0x7ff);
	mantissa = bits & 0xfffffffffffffULL;
	if (exponent == 0)
	{
		/* subnormal: bring the leading bit to where a normal number has its hidden one */
		exponent = 1;
		while (!(mantissa & 0x10000000000000ULL))
		{
			mantissa <<= 1;
			exponent--;
		}
		mantissa &= 0xfffffffffffffULL;
	}
	return (exponent - 1023) * SKETCH_PER_BINADE + (int32_t) ((mantissa * SKETCH_PER_BINADE) >> 52);
}

double
sketch_lower(int32_t index)
{
	int32_t from_0 = index - SKETCH_INDEX_MIN;

	return ldexp(1 + from_0 % SKETCH_PER_BINADE / (double) SKETCH_PER_BINADE, from_0 / SKETCH_PER_BINADE - 1074);
}

double
sketch_middle(int32_t index)
{
	int32_t from_0 = index - SKETCH_INDEX_MIN;
	int32_t k = from_0 % SKETCH_PER_BINADE;
	double low = SKETCH_PER_BINADE + k;
	double middle = 2 * low * (low + 1) / (2 * low + 1) / SKETCH_PER_BINADE;

	return ldexp(middle, from_0 / SKETCH_PER_BINADE - 1074);
}

void
sketch_init(sketch *s, sketch_memory memory, void *context)
{
	memset(s, 0, sizeof(*s));
	s->memory = memory;
	s->context = context;
}

void
sketch_free(sketch *s)
{
	if (s->slot != NULL)
		s->memory(s->context, s->slot, 0);
	s->slot = NULL;
	s->capacity = 0;
	s->used[0] = s->used[1] = 0;
}

/* find: the slot of a key, or the free one where it belongs; Fibonacci hashing, linear probing. */
static inline sketch_bucket *
find(const sketch *s, uint32_t key)
{
	uint32_t mask = s->capacity - 1;
	uint32_t at = (key * 2654435769u) >> 16;

	for (;;)
	{
		sketch_bucket *b = &s->slot[at & mask];

		if (b->key == key || b->key == 0)
			return b;
		at++;
	}
}

/* rebuild: a table of that capacity with the given buckets. */
static void
rebuild(sketch *s, uint32_t capacity, const sketch_bucket *bucket, uint32_t n)
{
	sketch_bucket *old = s->slot;

	s->slot = s->memory(s->context, NULL, capacity * sizeof(sketch_bucket));
	memset(s->slot, 0, capacity * sizeof(sketch_bucket));
	s->capacity = capacity;
	for (uint32_t i = 0; i < n; i++)
		if (bucket[i].key != 0)
			*find(s, bucket[i].key) = bucket[i];
	if (old != NULL)
		s->memory(s->context, old, 0);
}

static int
by_key(const void *a, const void *b)
{
	uint32_t x = ((const sketch_bucket *) a)->key;
	uint32_t y = ((const sketch_bucket *) b)->key;

	return (x > y) - (x < y);
}

sketch_bucket *
sketch_sorted(sketch *s, int negative, uint32_t *n)
{
	uint32_t found = 0;
	sketch_bucket *sorted = s->memory(s->context, NULL, (s->used[negative] + 1) * sizeof(sketch_bucket));

	for (uint32_t i = 0; i < s->capacity; i++)
		if (s->slot[i].key != 0 && (int) (s->slot[i].key & 1) == negative)
			sorted[found++] = s->slot[i];
	qsort(sorted, found, sizeof(sketch_bucket), by_key);
	if (found > SKETCH_LIMIT)
	{
		uint32_t surplus = found - SKETCH_LIMIT;

		for (uint32_t i = 0; i < surplus; i++)
			sorted[surplus].count += sorted[i].count;
		memmove(sorted, sorted + surplus, SKETCH_LIMIT * sizeof(sketch_bucket));
		found = SKETCH_LIMIT;
	}
	*n = found;
	return sorted;
}

/* collapse: one sign back to the limit. */
static void
collapse(sketch *s, int negative)
{
	uint32_t n[2];
	sketch_bucket *kept = sketch_sorted(s, negative, &n[negative]);
	sketch_bucket *others = sketch_sorted(s, !negative, &n[!negative]);
	uint32_t total = n[0] + n[1];

	kept = s->memory(s->context, kept, (total + 1) * sizeof(sketch_bucket));
	memcpy(kept + n[negative], others, n[!negative] * sizeof(sketch_bucket));
	s->used[0] = n[0];
	s->used[1] = n[1];
	rebuild(s, s->capacity, kept, total);
	s->memory(s->context, others, 0);
	s->memory(s->context, kept, 0);
}

void
sketch_add_bucket(sketch *s, int negative, int32_t index, int64_t count)
{
	uint32_t key = (uint32_t) (index - SKETCH_INDEX_MIN + 1) * 2 + (negative != 0);
	sketch_bucket *b;

	if (s->capacity == 0)
		rebuild(s, FIRST_CAPACITY, NULL, 0);
	b = find(s, key);
	if (b->key != 0)
	{
		b->count += count;
		return;
	}
	b->key = key;
	b->count = count;
	if (++s->used[negative != 0] >= 2 * SKETCH_LIMIT)
		collapse(s, negative != 0);
	else if ((s->used[0] + s->used[1]) * 4 > s->capacity * 3)
		rebuild(s, s->capacity * 2, s->slot, s->capacity);
}

void
sketch_add(sketch *s, double value)
{
	if (value == 0)
		s->zeros++;
	else
		sketch_add_bucket(s, value < 0, sketch_index(fabs(value)), 1);
}
