/* quantiles.c: see quantiles.h. The stored form is that of summary.h; its one-byte numbers, nearly all, are read in
 * line. */
#include "core/quantiles.h"

#include <math.h>
#include <string.h>

#include "core/summary.h"

#define FIRST_ROOM 512

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
	q->count = NULL;
	q->room = 0;
}

/* make_room: for the buckets from low to high, about as many on either side. */
static void
make_room(quantiles *q, int32_t low, int32_t high)
{
	int32_t end = q->first + q->room;
	int32_t room;
	int32_t first;
	int64_t *count;

	if (q->room > 0)
	{
		low = low < q->first ? low : q->first;
		high = high >= end ? high : end - 1;
	}
	room = high - low + 1 + FIRST_ROOM / 2;
	room = room < FIRST_ROOM ? FIRST_ROOM : room;
	first = low - (room - (high - low + 1)) / 2;
	count = q->memory(q->context, NULL, (size_t) room * sizeof(int64_t));
	memset(count, 0, (size_t) room * sizeof(int64_t));
	if (q->room > 0)
	{
		memcpy(count + (q->first - first), q->count, (size_t) q->room * sizeof(int64_t));
		q->memory(q->context, q->count, 0);
	}
	q->count = count;
	q->first = first;
	q->room = room;
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
		q->count[index - q->first] += (int64_t) count;
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
	for (int32_t i = 0; i < other->room; i++)
	{
		int32_t index = other->first + i;

		if (other->count[i] == 0)
			continue;
		if (index < q->first || index >= q->first + q->room)
			make_room(q, index, index);
		q->count[index - q->first] += other->count[i];
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
			seen += q->count[i];
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
