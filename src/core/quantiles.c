/* quantiles.c: see quantiles.h. The stored form is that of summary.h; its one-byte numbers, nearly all, are read in
 * line. */
#include "core/quantiles.h"

#include <math.h>
#include <string.h>

#include "core/summary.h"

#define FIRST_ROOM 128

void
quantiles_init(quantiles *q, sketch_memory memory, void *context)
{
	memset(q, 0, sizeof(*q));
	q->memory = memory;
	q->context = context;
}

void
quantiles_free(quantiles *q)
{
	if (q->count != NULL)
		q->memory(q->context, q->count, 0);
	if (q->wide != NULL)
		q->memory(q->context, q->wide, 0);
	q->count = NULL;
	q->wide = NULL;
	q->room = 0;
}

/* count_of: of the i-th bucket. */
static inline int64_t
count_of(const quantiles *q, int32_t i)
{
	return q->wide != NULL ? q->wide[i] : (int64_t) q->count[i];
}

/* zeroed: room for so many bytes. */
static void *
zeroed(const quantiles *q, size_t size)
{
	void *result = q->memory(q->context, NULL, size);

	memset(result, 0, size);
	return result;
}

/* make_room: for the buckets from low to high, about as many on either side. */
static void
make_room(quantiles *q, int32_t low, int32_t high)
{
	int32_t end = q->first + q->room;
	quantiles old = *q;

	if (q->room > 0)
	{
		low = low < q->first ? low : q->first;
		high = high >= end ? high : end - 1;
	}
	q->room = high - low + 1 + FIRST_ROOM / 2;
	q->room = q->room < FIRST_ROOM ? FIRST_ROOM : q->room;
	q->first = low - (q->room - (high - low + 1)) / 2;
	if (q->wide != NULL)
		q->wide = zeroed(q, (size_t) q->room * sizeof(int64_t));
	else
		q->count = zeroed(q, (size_t) q->room * sizeof(uint32_t));
	if (old.room > 0 && q->wide != NULL)
		memcpy(q->wide + (old.first - q->first), old.wide, (size_t) old.room * sizeof(int64_t));
	else if (old.room > 0)
		memcpy(q->count + (old.first - q->first), old.count, (size_t) old.room * sizeof(uint32_t));
	quantiles_free(&old);
}

/* widen: makes room for counts of n values, which is as many as a bucket can have. */
static void
widen(quantiles *q, int64_t n)
{
	if (n <= (int64_t) UINT32_MAX || q->wide != NULL)
		return;
	q->wide = zeroed(q, (size_t) (q->room > 0 ? q->room : 1) * sizeof(int64_t));
	for (int32_t i = 0; i < q->room; i++)
		q->wide[i] = (int64_t) q->count[i];
	if (q->count != NULL)
		q->memory(q->context, q->count, 0);
	q->count = NULL;
}

/* next_number: a varint; NULL when it is cut short or too long. */
static inline const unsigned char *
next_number(const unsigned char *at, const unsigned char *end, uint64_t *value)
{
	uint64_t result = 0;

	if (at < end && *at < 0x80)
	{
		*value = *at;
		return at + 1;
	}
	for (int shift = 0; shift < 63 && at < end; shift += 7)
	{
		result |= (uint64_t) (*at & 0x7f) << shift;
		if (*at++ < 0x80)
		{
			*value = result;
			return at;
		}
	}
	return NULL;
}

bool
quantiles_add(quantiles *q, const unsigned char *bytes, size_t length)
{
	summary_head head;
	const unsigned char *at;
	uint64_t left;
	uint64_t step;
	uint64_t count;
	int64_t unseen;
	int64_t index = 0;

	if (!summary_read(bytes, length, &head))
		return false;
	if (head.m.n == 0)
		return true;
	if (head.min < 0 || head.m.n > INT64_MAX - q->n)
		return false;
	q->min = q->n == 0 || head.min < q->min ? head.min : q->min;
	q->max = q->n == 0 || head.max > q->max ? head.max : q->max;
	q->n += head.m.n;
	q->zeros += head.zeros;
	widen(q, q->n);
	unseen = head.m.n - head.zeros;
	if (unseen == 0)
		return true;
	at = next_number(head.buckets, head.end, &left);
	if (at == NULL || left == 0 || left > SKETCH_LIMIT)
		return false;
	for (bool first = true; left > 0; left--, first = false)
	{
		/* Nearly all are a byte each; a step is positive, so the last index is the greatest and is looked at below. */
		if (!first && head.end - at >= 2 && ((at[0] | at[1]) & 0x80) == 0)
		{
			index += (int64_t) at[0] + 1;
			count = at[1];
			at += 2;
		}
		else
		{
			at = next_number(at, head.end, &step);
			if (at == NULL || step > 4 * (uint64_t) (SKETCH_INDEX_MAX - SKETCH_INDEX_MIN))
				return false;
			if (first)
				index = step & 1 ? -(int64_t) (step / 2) - 1 : (int64_t) (step / 2);
			else
				index += (int64_t) step + 1;
			at = next_number(at, head.end, &count);
			if (at == NULL || index < SKETCH_INDEX_MIN)
				return false;
		}
		if (count == 0 || count > (uint64_t) unseen)
			return false;
		unseen -= (int64_t) count;
		if (index < q->first || index >= (int64_t) q->first + q->room)
		{
			if (index > SKETCH_INDEX_MAX)
				return false;
			make_room(q, (int32_t) index, (int32_t) index);
		}
		if (q->wide != NULL)
			q->wide[index - q->first] += (int64_t) count;
		else
			q->count[index - q->first] += (uint32_t) count;
	}
	if (index > SKETCH_INDEX_MAX)
		return false;
	return unseen == 0;
}

void
quantiles_merge(quantiles *q, const quantiles *other)
{
	if (other->n == 0)
		return;
	q->min = q->n == 0 || other->min < q->min ? other->min : q->min;
	q->max = q->n == 0 || other->max > q->max ? other->max : q->max;
	q->n += other->n;
	q->zeros += other->zeros;
	widen(q, q->n);
	for (int32_t i = 0; i < other->room; i++)
	{
		int32_t index = other->first + i;
		int64_t count = count_of(other, i);

		if (count == 0)
			continue;
		if (index < q->first || index >= q->first + q->room)
			make_room(q, index, index);
		if (q->wide != NULL)
			q->wide[index - q->first] += count;
		else
			q->count[index - q->first] += (uint32_t) count;
	}
}

double
quantiles_at(const quantiles *q, double p)
{
	int64_t rank;
	int64_t seen = q->zeros;
	double value = 0;

	if (q->n == 0)
		return NAN;
	rank = (int64_t) ceil(p * (double) q->n);
	if (rank <= 1)
		return q->min;
	if (rank >= q->n)
		return q->max;
	if (rank > seen)
		for (int32_t i = 0; i < q->room; i++)
		{
			seen += count_of(q, i);
			if (seen >= rank)
			{
				value = sketch_middle(q->first + i);
				break;
			}
		}
	if (value < q->min)
		value = q->min;
	if (value > q->max)
		value = q->max;
	return value;
}
