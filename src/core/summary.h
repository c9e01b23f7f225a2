/*
 * summary.h: moments, extremes and quantile sketch of a stream of doubles, and their stored form.
 *
 * Stored form, version 1 (bytes; all numbers little-endian, varint = LEB128 of an unsigned number, always the
 * shortest): 1 byte   version, 1 1 byte   flags: 1 the sum has a low half, 2 zeros, 4 negative values, 8 positive
 * values varint   n; when it is 0 the form ends here and flags are 0 double   sum; [double low half of the sum]; double
 * m2; double min; double max [varint  number of zeros] [buckets of the negative values] [buckets of the positive
 * values], by magnitude ascending, each varint number of buckets, zigzag varint first index, varint its count, then
 * varint (step - 1), varint count, ... The form of given contents is unique: equal bytes are equal summaries. Its
 * length is at most SUMMARY_SIZE_MAX. A form of any earlier version stays readable; a new version is a new first byte.
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/moments.h"
#include "core/sketch.h"

#define SUMMARY_VERSION 1
/* frame, two sets of buckets; step and count of a bucket take at most 3 and 9 bytes */
#define SUMMARY_SIZE_MAX (64 + 2 * (8 + SKETCH_LIMIT * 12))

typedef struct summary
{
	moments m;
	double min;
	double max;
	sketch s;
} summary;

/* What the head of a stored form says, and where its buckets are. */
typedef struct summary_head
{
	moments m;
	double min;
	double max;
	int64_t zeros;
	int flags;
	const unsigned char *buckets;
	const unsigned char *end;
} summary_head;

extern void summary_init(summary *s, sketch_memory memory, void *context);
extern void summary_free(summary *s);
/* summary_add: one finite value more. */
static inline void
summary_add(summary *s, double value)
{
	/* -0 is 0: equal values must give equal bytes */
	value += 0.0;
	if (s->m.n == 0)
		s->min = s->max = value;
	else if (value < s->min)
		s->min = value;
	else if (value > s->max)
		s->max = value;
	moments_add(&s->m, value);
	sketch_add(&s->s, value);
}
/* summary_merge: adds what a stored form holds; false when it is damaged (s is then undefined) or the count overflows.
 */
extern bool summary_merge(summary *s, const unsigned char *bytes, size_t length);
/* summary_encode: the stored form, at most SUMMARY_SIZE_MAX bytes; its length. */
extern size_t summary_encode(summary *s, unsigned char *bytes);
/* summary_size: upper bound of what summary_encode writes for this one. */
extern size_t summary_size(const summary *s);

/* summary_read: the head; false when the form is cut short or of an unknown version. */
extern bool summary_read(const unsigned char *bytes, size_t length, summary_head *head);
/* summary_check: NULL when the bytes are a summary that this library could have written, else what is wrong with them.
 */
extern const char *summary_check(const unsigned char *bytes, size_t length);
/* summary_quantile: the value at rank ceil(q n), within 1 %; NaN when empty or damaged. */
extern double summary_quantile(const unsigned char *bytes, size_t length, double q);

/* summary_to_text: the text form (JSON, for people and for dumps), at most SUMMARY_TEXT_MAX bytes with its end. */
#define SUMMARY_TEXT_MAX (512 + 2 * SKETCH_LIMIT * 32)
extern size_t summary_to_text(const unsigned char *bytes, size_t length, char *text);
/* summary_from_text: reads it into an initialised summary; NULL, or what is wrong. To be encoded and checked after. */
extern const char *summary_from_text(const char *text, summary *s);

/*
 * Walking through the buckets of a stored form: summary_walk_start, then summary_walk until false. Negative values
 * first, by magnitude ascending, then positive ones. `damaged` tells a cut-off form from the end.
 */
typedef struct summary_walker
{
	const unsigned char *at;
	const unsigned char *end;
	int flags;
	uint64_t left;   /* buckets to come of this sign */
	uint64_t unseen; /* values that no bucket has accounted for yet */
	int negative;
	int64_t index;
	int64_t count;
	bool first;
	bool damaged;
} summary_walker;

extern void summary_walk_start(summary_walker *w, const summary_head *head);
extern bool summary_walk(summary_walker *w);

#endif
