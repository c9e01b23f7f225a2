/*
 * fuzz_summary.c: libFuzzer target: any bytes as the stored form of a summary, and any text as its text form. What the
 * check accepts must survive everything: written again it is the same bytes, its text reads back as itself, quantiles
 * are within the extremes. What it refuses may still be read from a damaged table: nothing reads beyond the end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *
memory(void *context, void *old, size_t size)
{
	if (size == 0)
	{
		free(old);
		return NULL;
	}
	return realloc(old, size);
}

/* rewrite: the summary encoded again must be these bytes. */
static void
rewrite(summary *s, const unsigned char *bytes, size_t length)
{
	unsigned char *again = malloc(summary_size(s));
	size_t n = summary_encode(s, again);

	if (n > summary_size(s) || n != length || memcmp(again, bytes, n) != 0)
		abort();
	free(again);
}

static void
accepted(const unsigned char *bytes, size_t length)
{
	static char text[SUMMARY_TEXT_MAX];
	summary_head head;
	summary s;
	double previous = -INFINITY;

	summary_read(bytes, length, &head);
	summary_init(&s, memory, NULL);
	if (!summary_merge(&s, bytes, length))
		abort();
	rewrite(&s, bytes, length);
	summary_free(&s);
	if (summary_to_text(bytes, length, text) >= SUMMARY_TEXT_MAX)
		abort();
	summary_init(&s, memory, NULL);
	if (summary_from_text(text, &s) != NULL)
		abort();
	rewrite(&s, bytes, length);
	summary_free(&s);
	for (int i = 0; i <= 10 && head.m.n > 0; i++)
	{
		double value = summary_quantile(bytes, length, i / 10.0);

		if (!(value >= previous && value >= head.min && value <= head.max))
			abort();
		previous = value;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	summary s;
	unsigned char *form;
	size_t n;

	/* a buffer of exactly this size, so that the address sanitiser sees one byte too many */
	bytes = realloc(bytes, size > 0 ? size : 1);
	memcpy(bytes, data, size);
	summary_quantile(bytes, size, 0.5);
	summary_init(&s, memory, NULL);
	summary_merge(&s, bytes, size);
	summary_free(&s);
	if (summary_check(bytes, size) == NULL)
		accepted(bytes, size);
	free(bytes);

	bytes = malloc(size + 1);
	memcpy(bytes, data, size);
	bytes[size] = 0;
	summary_init(&s, memory, NULL);
	if (summary_from_text((char *) bytes, &s) == NULL)
	{
		form = malloc(summary_size(&s));
		n = summary_encode(&s, form);
		if (summary_check(form, n) == NULL)
			accepted(form, n);
		free(form);
	}
	summary_free(&s);
	free(bytes);

	/* and as values: what is written is always accepted */
	summary_init(&s, memory, NULL);
	for (size_t i = 0; i + 8 <= size; i += 8)
	{
		double value;

		memcpy(&value, data + i, 8);
		/* squares must stay finite, as the shell sees to */
		if (fabs(value) < 1e150)
			summary_add(&s, value);
	}
	form = malloc(summary_size(&s));
	n = summary_encode(&s, form);
	if (summary_check(form, n) != NULL)
		abort();
	accepted(form, n);
	free(form);
	summary_free(&s);
	return 0;
}
