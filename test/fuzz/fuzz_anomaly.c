/*
 * fuzz_anomaly.c: libFuzzer target: any bytes as the stored form of a detector or a stream, followed by points. What is
 * accepted is written again as the same bytes, takes any points with scores in range, and stays storable after each.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/anomaly_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* take: points from the bytes, the form passed on between them. */
static void
take(anomaly *a, const uint8_t *data, size_t size)
{
	unsigned char bytes[ANOMALY_SIZE];

	for (size_t i = 0; i + 16 <= size; i += 16)
	{
		double value;
		int64_t time;
		anomaly_result r;
		anomaly copy;

		memcpy(&value, data + i, 8);
		memcpy(&time, data + i + 8, 8);
		if (!isfinite(value))
			continue;
		anomaly_serialise(a, bytes);
		if (!anomaly_restore(&copy, bytes, ANOMALY_SIZE))
			abort();
		r = anomaly_update(a, value, time, 2);
		if (!(r.score >= 0 && r.score <= ANOMALY_SCORE_MAX) || r.score != anomaly_update(&copy, value, time, 2).score)
			abort();
	}
}

/* streams: the stored form of a stream, which holds a detector, and a few minutes after it. */
static void
streams(const uint8_t *data, size_t size)
{
	size_t head = size < ANOMALY_STREAM_SIZE ? size : ANOMALY_STREAM_SIZE;
	unsigned char *bytes = malloc(head > 0 ? head : 1);
	unsigned char again[ANOMALY_STREAM_SIZE];
	anomaly_stream s;

	memcpy(bytes, data, head);
	if (head > 0 && anomaly_stream_restore(&s, bytes, head))
	{
		anomaly_stream_serialise(&s, again);
		if (memcmp(again, bytes, ANOMALY_STREAM_SIZE) != 0)
			abort();
		if (s.detector.n < UINT64_C(1) << 52)
			for (size_t i = head; i + 16 <= size; i += 16)
			{
				double value;
				uint64_t rest;
				int64_t minute;
				anomaly_stream_result r;

				memcpy(&value, data + i, 8);
				memcpy(&rest, data + i + 8, 8);
				minute = (int64_t) (rest >> 24) * 1000;
				if (!isfinite(value))
					continue;
				(void) anomaly_stream_ends(&s, minute);
				r = anomaly_stream_update(&s, value, 1 + (double) (rest & 0xfffff), (rest >> 20) & 1, minute, 2);
				if (!(r.score >= 0 && r.score <= ANOMALY_SCORE_MAX))
					abort();
			}
	}
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	anomaly a;
	unsigned char again[ANOMALY_SIZE];
	size_t head = size < ANOMALY_SIZE ? size : ANOMALY_SIZE;
	/* a buffer of exactly this size, so that the address sanitiser sees one byte too many */
	unsigned char *bytes = malloc(head > 0 ? head : 1);

	memcpy(bytes, data, head);
	if (head > 0 && anomaly_restore(&a, bytes, head))
	{
		anomaly_serialise(&a, again);
		if (memcmp(again, bytes, ANOMALY_SIZE) != 0)
			abort();
		/* counts near the limit would leave it, which takes a hundred million years of minutes */
		if (a.n < UINT64_C(1) << 52)
			take(&a, data + head, size - head);
	}
	free(bytes);
	anomaly_init(&a);
	take(&a, data, size);
	streams(data, size);
	return 0;
}
