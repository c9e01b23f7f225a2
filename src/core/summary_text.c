/*
 * summary_text.c: the text form of a summary, a JSON object with its keys in this order:
 *   {"version":1,"n":3,"sum":[6,0],"m2":2,"min":1,"max":3,"zeros":0,"negative":[],"positive":[0,1,50,1,75,1]}
 * sum is the two halves of a double-double; negative and positive are pairs of bucket index and count. Every double is
 * written as the shortest text that reads back as itself. Assumes the C locale for numbers, as the server has it.
 */
#include "core/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
put_number(char *at, double value)
{
	for (int digits = 15; digits <= 17; digits++)
	{
		int n = snprintf(at, 32, "%.*g", digits, value);

		if (digits == 17 || strtod(at, NULL) == value)
			return at + n;
	}
	return at;
}

size_t
summary_to_text(const unsigned char *bytes, size_t length, char *text)
{
	summary_head head;
	summary_walker w;
	char *at = text;
	bool more;

	summary_read(bytes, length, &head);
	at += sprintf(at, "{\"version\":%d,\"n\":%lld,\"sum\":[", SUMMARY_VERSION, (long long) head.m.n);
	at = put_number(at, head.m.sum.hi);
	*at++ = ',';
	at = put_number(at, head.m.sum.lo);
	at += sprintf(at, "],\"m2\":");
	at = put_number(at, head.m.m2);
	at += sprintf(at, ",\"min\":");
	at = put_number(at, head.min);
	at += sprintf(at, ",\"max\":");
	at = put_number(at, head.max);
	at += sprintf(at, ",\"zeros\":%lld", (long long) head.zeros);
	summary_walk_start(&w, &head);
	more = summary_walk(&w);
	for (int negative = 1; negative >= 0; negative--)
	{
		const char *comma = "";

		at += sprintf(at, negative ? ",\"negative\":[" : ",\"positive\":[");
		for (; more && w.negative == negative; more = summary_walk(&w), comma = ",")
			at += sprintf(at, "%s%d,%lld", comma, (int) w.index, (long long) w.count);
		*at++ = ']';
	}
	*at++ = '}';
	*at = 0;
	return (size_t) (at - text);
}

typedef struct reader
{
	const char *at;
	bool ok;
} reader;

static void
skip_space(reader *r)
{
	r->at += strspn(r->at, " \t\r\n");
}

/* token: takes a piece of punctuation or a quoted key, white space before it allowed; false when it is not there. */
static bool
token(reader *r, const char *piece)
{
	size_t n = strlen(piece);

	skip_space(r);
	if (strncmp(r->at, piece, n) != 0)
		return false;
	r->at += n;
	return true;
}

static void
expect(reader *r, const char *piece)
{
	if (r->ok && !token(r, piece))
		r->ok = false;
}

static double
number(reader *r)
{
	char *end;
	double value;

	if (!r->ok)
		return 0;
	skip_space(r);
	/* strtod also takes hexadecimal numbers, nan and inf */
	if (strspn(r->at, "+-.0123456789") == 0 || strcspn(r->at, "xXnN") < strspn(r->at, "+-.eE0123456789xXnN"))
	{
		r->ok = false;
		return 0;
	}
	value = strtod(r->at, &end);
	if (end == r->at || !isfinite(value))
		r->ok = false;
	r->at = end;
	return value;
}

static int64_t
integer(reader *r)
{
	char *end;
	long long value;

	if (!r->ok)
		return 0;
	skip_space(r);
	value = strtoll(r->at, &end, 10);
	/* a value at either end of the range is one that did not fit */
	if (end == r->at || value >= INT64_MAX || value <= INT64_MIN)
		r->ok = false;
	r->at = end;
	return value;
}

static void
buckets(reader *r, summary *s, int negative, int64_t *total)
{
	expect(r, "[");
	if (r->ok && token(r, "]"))
		return;
	while (r->ok)
	{
		int64_t index = integer(r);
		int64_t count;

		expect(r, ",");
		count = integer(r);
		if (!r->ok || index < SKETCH_INDEX_MIN || index > SKETCH_INDEX_MAX || count < 1 || count > INT64_MAX - *total)
		{
			r->ok = false;
			return;
		}
		*total += count;
		sketch_add_bucket(&s->s, negative, (int32_t) index, count);
		if (token(r, "]"))
			return;
		expect(r, ",");
	}
}

const char *
summary_from_text(const char *text, summary *s)
{
	reader r = {text, true};
	int64_t total;

	expect(&r, "{");
	expect(&r, "\"version\"");
	expect(&r, ":");
	if (integer(&r) != SUMMARY_VERSION || !r.ok)
		return "unknown version";
	expect(&r, ",");
	expect(&r, "\"n\"");
	expect(&r, ":");
	s->m.n = integer(&r);
	expect(&r, ",");
	expect(&r, "\"sum\"");
	expect(&r, ":");
	expect(&r, "[");
	s->m.sum.hi = number(&r);
	expect(&r, ",");
	s->m.sum.lo = number(&r);
	expect(&r, "]");
	expect(&r, ",");
	expect(&r, "\"m2\"");
	expect(&r, ":");
	s->m.m2 = number(&r);
	expect(&r, ",");
	expect(&r, "\"min\"");
	expect(&r, ":");
	s->min = number(&r);
	expect(&r, ",");
	expect(&r, "\"max\"");
	expect(&r, ":");
	s->max = number(&r);
	expect(&r, ",");
	expect(&r, "\"zeros\"");
	expect(&r, ":");
	s->s.zeros = total = integer(&r);
	if (s->m.n < 0 || total < 0)
		return "a negative count";
	expect(&r, ",");
	expect(&r, "\"negative\"");
	expect(&r, ":");
	buckets(&r, s, 1, &total);
	expect(&r, ",");
	expect(&r, "\"positive\"");
	expect(&r, ":");
	buckets(&r, s, 0, &total);
	expect(&r, "}");
	skip_space(&r);
	if (!r.ok || *r.at != 0)
		return "not in the form of a summary";
	/* of an empty summary only the version is stored: what else the text said must be nothing */
	if (total != s->m.n ||
		(s->m.n == 0 && (s->m.sum.hi != 0 || s->m.sum.lo != 0 || s->m.m2 != 0 || s->min != 0 || s->max != 0)))
		return "bucket counts do not add up";
	return NULL;
}
