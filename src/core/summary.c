/*
 * summary.c: the stored form of summary.h: writing, reading, checking, quantiles. Reading never goes beyond the given
 * length and never trusts a count, whatever the bytes are: stored rows may be damaged, and receive takes them from
 * strangers.
 */
#include "core/summary.h"

#include <float.h>
#include <string.h>

#define FLAG_SUM_LOW 1
#define FLAG_ZEROS 2
#define FLAG_NEGATIVE 4
#define FLAG_POSITIVE 8

void
summary_init(summary *s, sketch_memory memory, void *context)
{
	memset(s, 0, sizeof(*s));
	sketch_init(&s->s, memory, context);
}

void
summary_free(summary *s)
{
	sketch_free(&s->s);
}

static unsigned char *
put_varint(unsigned char *at, uint64_t value)
{
	while (value >= 0x80)
	{
		*at++ = (unsigned char) (value | 0x80);
		value >>= 7;
	}
	*at++ = (unsigned char) value;
	return at;
}

static unsigned char *
put_double(unsigned char *at, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 8; i++)
		*at++ = (unsigned char) (bits >> (8 * i));
	return at;
}

/* get_varint: NULL when cut short, longer than 63 bits or not the shortest form. */
static const unsigned char *
get_varint(const unsigned char *at, const unsigned char *end, uint64_t *value)
{
	uint64_t result = 0;

	for (int shift = 0; shift < 63; shift += 7)
	{
		unsigned char byte;

		if (at >= end)
			return NULL;
		byte = *at++;
		result |= (uint64_t) (byte & 0x7f) << shift;
		if (!(byte & 0x80))
		{
			*value = result;
			return byte == 0 && shift > 0 ? NULL : at;
		}
	}
	return NULL;
}

static const unsigned char *
get_double(const unsigned char *at, const unsigned char *end, double *value)
{
	uint64_t bits;

	if (end - at < 8)
		return NULL;
	/* in one expression, which compilers take for one load */
	bits = (uint64_t) at[0] | (uint64_t) at[1] << 8 | (uint64_t) at[2] << 16 | (uint64_t) at[3] << 24 |
		   (uint64_t) at[4] << 32 | (uint64_t) at[5] << 40 | (uint64_t) at[6] << 48 | (uint64_t) at[7] << 56;
	memcpy(value, &bits, sizeof(bits));
	return at + 8;
}

static unsigned char *
put_buckets(unsigned char *at, summary *s, int negative)
{
	uint32_t n;
	sketch_bucket *sorted = sketch_sorted(&s->s, negative, &n);
	int32_t last = 0;

	at = put_varint(at, n);
	for (uint32_t i = 0; i < n; i++)
	{
		int32_t index = sketch_bucket_index(&sorted[i]);

		if (i == 0)
			at = put_varint(at, index < 0 ? 2 * (uint64_t) - (int64_t) index - 1 : 2 * (uint64_t) index);
		else
			at = put_varint(at, (uint64_t) (index - last - 1));
		at = put_varint(at, (uint64_t) sorted[i].count);
		last = index;
	}
	s->s.memory(s->s.context, sorted, 0);
	return at;
}

size_t
summary_size(const summary *s)
{
	uint32_t n = 0;

	for (int i = 0; i < 2; i++)
		n += s->s.used[i] < SKETCH_LIMIT ? s->s.used[i] : SKETCH_LIMIT;
	return 80 + 12 * (size_t) n;
}

size_t
summary_encode(summary *s, unsigned char *bytes)
{
	unsigned char *at = bytes;
	dd sum = dd_two_sum(s->m.sum.hi, s->m.sum.lo);
	int flags = 0;

	if (s->m.n > 0)
	{
		flags |= sum.lo != 0 ? FLAG_SUM_LOW : 0;
		flags |= s->s.zeros > 0 ? FLAG_ZEROS : 0;
		flags |= s->s.used[1] > 0 ? FLAG_NEGATIVE : 0;
		flags |= s->s.used[0] > 0 ? FLAG_POSITIVE : 0;
	}
	*at++ = SUMMARY_VERSION;
	*at++ = (unsigned char) flags;
	at = put_varint(at, (uint64_t) s->m.n);
	if (s->m.n == 0)
		return (size_t) (at - bytes);
	at = put_double(at, sum.hi + 0.0);
	if (flags & FLAG_SUM_LOW)
		at = put_double(at, sum.lo);
	at = put_double(at, s->m.m2);
	at = put_double(at, s->min);
	at = put_double(at, s->max);
	if (flags & FLAG_ZEROS)
		at = put_varint(at, (uint64_t) s->s.zeros);
	if (flags & FLAG_NEGATIVE)
		at = put_buckets(at, s, 1);
	if (flags & FLAG_POSITIVE)
		at = put_buckets(at, s, 0);
	return (size_t) (at - bytes);
}

bool
summary_read(const unsigned char *bytes, size_t length, summary_head *head)
{
	const unsigned char *at = bytes;
	const unsigned char *end = bytes + length;
	uint64_t n;

	memset(head, 0, sizeof(*head));
	head->buckets = head->end = end;
	if (length < 3 || bytes[0] != SUMMARY_VERSION)
		return false;
	head->flags = bytes[1];
	at = get_varint(at + 2, end, &n);
	if (at == NULL || (head->flags & ~15) != 0)
		return false;
	head->m.n = (int64_t) n;
	if (n == 0)
	{
		head->buckets = at;
		return head->flags == 0;
	}
	at = get_double(at, end, &head->m.sum.hi);
	if (at != NULL && head->flags & FLAG_SUM_LOW)
		at = get_double(at, end, &head->m.sum.lo);
	if (at != NULL)
		at = get_double(at, end, &head->m.m2);
	if (at != NULL)
		at = get_double(at, end, &head->min);
	if (at != NULL)
		at = get_double(at, end, &head->max);
	if (at != NULL && head->flags & FLAG_ZEROS)
	{
		uint64_t zeros;

		at = get_varint(at, end, &zeros);
		if (at == NULL || zeros > n)
			return false;
		head->zeros = (int64_t) zeros;
	}
	if (at == NULL)
		return false;
	moments_settle(&head->m);
	head->buckets = at;
	return true;
}

void
summary_walk_start(summary_walker *w, const summary_head *head)
{
	memset(w, 0, sizeof(*w));
	w->at = head->buckets;
	w->end = head->end;
	w->flags = head->flags;
	w->unseen = (uint64_t) (head->m.n - head->zeros);
}

bool
summary_walk(summary_walker *w)
{
	uint64_t step;
	uint64_t count;

	if (w->left == 0)
	{
		/* the next set of buckets, if there is one */
		if (w->flags & FLAG_NEGATIVE)
			w->negative = 1;
		else if (w->flags & FLAG_POSITIVE)
			w->negative = 0;
		else
			return false;
		w->flags &= w->negative ? ~FLAG_NEGATIVE : ~FLAG_POSITIVE;
		w->at = get_varint(w->at, w->end, &w->left);
		if (w->at == NULL || w->left == 0 || w->left > SKETCH_LIMIT)
			goto damaged;
		w->first = true;
	}
	w->at = get_varint(w->at, w->end, &step);
	if (w->at == NULL || step > 4 * (uint64_t) (SKETCH_INDEX_MAX - SKETCH_INDEX_MIN))
		goto damaged;
	if (w->first)
		w->index = step & 1 ? -(int64_t) (step / 2) - 1 : (int64_t) (step / 2);
	else
		w->index += (int64_t) step + 1;
	w->first = false;
	if (w->index < SKETCH_INDEX_MIN || w->index > SKETCH_INDEX_MAX)
		goto damaged;
	w->at = get_varint(w->at, w->end, &count);
	if (w->at == NULL || count == 0 || count > w->unseen)
		goto damaged;
	w->unseen -= count;
	w->count = (int64_t) count;
	w->left--;
	return true;

damaged:
	w->damaged = true;
	w->left = 0;
	w->flags = 0;
	return false;
}

bool
summary_merge(summary *s, const unsigned char *bytes, size_t length)
{
	summary_head head;
	summary_walker w;

	if (!summary_read(bytes, length, &head))
		return false;
	if (head.m.n == 0)
		return true;
	if (head.m.n > INT64_MAX - s->m.n)
		return false;
	if (s->m.n == 0 || head.min < s->min)
		s->min = head.min;
	if (s->m.n == 0 || head.max > s->max)
		s->max = head.max;
	moments_merge(&s->m, &head.m);
	s->s.zeros += head.zeros;
	summary_walk_start(&w, &head);
	while (summary_walk(&w))
		sketch_add_bucket(&s->s, w.negative, (int32_t) w.index, w.count);
	return !w.damaged;
}

/* bucket_of: signed place of a value among the buckets: order of places is order of values. */
static int64_t
bucket_of(double value)
{
	if (value == 0)
		return 0;
	if (value > 0)
		return (int64_t) sketch_index(value) - SKETCH_INDEX_MIN + 1;
	return -((int64_t) sketch_index(-value) - SKETCH_INDEX_MIN + 1);
}

const char *
summary_check(const unsigned char *bytes, size_t length)
{
	summary_head head;
	summary_walker w;
	uint64_t seen[2] = {0, 0};
	int64_t smallest[2] = {0, 0}; /* lowest magnitude kept, by sign */
	int64_t lowest = INT64_MAX;
	int64_t highest = INT64_MIN;
	double width;
	double slack;
	double mean;

	if (length < 1 || bytes[0] != SUMMARY_VERSION)
		return "unknown version";
	if (!summary_read(bytes, length, &head))
		return "cut short";
	if (head.m.n == 0)
		return head.buckets == head.end ? NULL : "bytes after the end";
	if (head.flags & FLAG_ZEROS)
	{
		if (head.zeros == 0)
			return "an empty bucket";
		lowest = highest = 0;
	}
	summary_walk_start(&w, &head);
	while (summary_walk(&w))
	{
		int64_t place = (w.index - SKETCH_INDEX_MIN + 1) * (w.negative ? -1 : 1);

		if (seen[w.negative]++ == 0)
			smallest[w.negative] = place;
		if (place < lowest)
			lowest = place;
		if (place > highest)
			highest = place;
	}
	if (w.damaged)
		return "damaged buckets";
	if (w.at != head.end)
		return "bytes after the end";
	if (w.unseen != 0)
		return "bucket counts do not add up";
	if (!isfinite(head.min) || !isfinite(head.max) || !isfinite(head.m.sum.hi) || !isfinite(head.m.sum.lo) ||
		!isfinite(head.m.m2))
		return "a number that is not finite";
	if ((head.min == 0 && signbit(head.min)) || (head.max == 0 && signbit(head.max)) ||
		(head.m.sum.hi == 0 && signbit(head.m.sum.hi)) || head.m.m2 < 0 || (head.m.m2 == 0 && signbit(head.m.m2)))
		return "a sign that cannot be";
	/* Extremes lie in the outermost buckets; only in a full set the magnitudes next to 0 may have lost theirs. */
	if (bucket_of(head.min) != lowest &&
		!(lowest > 0 && seen[0] == SKETCH_LIMIT && bucket_of(head.min) > 0 && bucket_of(head.min) < smallest[0]))
		return "the minimum lies in no bucket";
	if (bucket_of(head.max) != highest &&
		!(highest < 0 && seen[1] == SKETCH_LIMIT && bucket_of(head.max) < 0 && bucket_of(head.max) > smallest[1]))
		return "the maximum lies in no bucket";
	if (head.min > head.max)
		return "the minimum is above the maximum";
	if (((head.flags & FLAG_SUM_LOW) != 0) != (head.m.sum.lo != 0))
		return "a sum that is not in normal form";
	/* what no set of values between these extremes can have */
	mean = head.m.sum.hi / (double) head.m.n;
	slack = 1e-9 * (fabs(head.min) + fabs(head.max));
	if (mean < head.min - slack || mean > head.max + slack)
		return "the mean lies outside the extremes";
	width = (head.max - head.min) / 2;
	if (head.m.m2 / (double) head.m.n > width * width * (1 + 1e-6) + slack * slack + DBL_MIN ||
		(head.m.n == 1 && head.m.m2 != 0))
		return "the deviation is too large for the extremes";
	return NULL;
}

double
summary_quantile(const unsigned char *bytes, size_t length, double q)
{
	summary_head head;
	summary_walker w;
	summary_walker past; /* the negative buckets: at the first positive one */
	bool more;
	int64_t rank;
	int64_t negatives = 0;
	int64_t seen;
	double value = NAN;

	if (!summary_read(bytes, length, &head) || head.m.n == 0)
		return NAN;
	rank = (int64_t) ceil(q * (double) head.m.n);
	if (rank <= 1)
		return head.min;
	if (rank >= head.m.n)
		return head.max;
	summary_walk_start(&w, &head);
	past = w;
	more = summary_walk(&past);
	for (; more && past.negative; more = summary_walk(&past))
		negatives += past.count;
	if (rank <= negatives)
	{
		/* negative buckets come by ascending magnitude: count from their far end */
		int64_t from_zero = negatives - rank + 1;

		seen = 0;
		while (summary_walk(&w) && w.negative)
		{
			seen += w.count;
			if (seen >= from_zero)
			{
				value = -sketch_middle((int32_t) w.index);
				break;
			}
		}
	}
	else if (rank <= negatives + head.zeros)
		value = 0;
	else
	{
		seen = negatives + head.zeros;
		for (; more; more = summary_walk(&past))
		{
			seen += past.count;
			if (seen >= rank)
			{
				value = sketch_middle((int32_t) past.index);
				break;
			}
		}
	}
	if (value < head.min)
		value = head.min;
	if (value > head.max)
		value = head.max;
	return value;
}
