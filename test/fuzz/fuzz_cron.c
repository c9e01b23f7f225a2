/*
 * fuzz_cron.c: libFuzzer target: any text, and a time before it. What is accepted fires after that time, again after
 * that, and at a whole minute; nothing is read behind the end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* zone_at: puts its clocks forward and back by an hour, every half year. */
static bool
zone_at(void *zone, int64_t time, cron_offset *out)
{
	int64_t half = 182 * 86400;
	int64_t number = time / half - (time % half < 0);

	out->offset = number % 2 ? 7200 : 3600;
	out->offset_then = number % 2 ? 3600 : 7200;
	out->changes = true;
	out->until = (number + 1) * half;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cron_expression e;
	int32_t days = 0;
	int64_t time;
	int64_t next;
	int field;
	char *text;

	if (size < sizeof(days))
		return 0;
	memcpy(&days, data, sizeof(days));
	time = (int64_t) (days % 100000) * 86400;
	data += sizeof(days);
	size -= sizeof(days);
	text = malloc(size > 0 ? size : 1);
	if (size > 0)
		memcpy(text, data, size);
	if (cron_parse(text, size, &e, &field) == CRON_OK)
		for (int i = 0; i < 3; i++)
		{
			if (!cron_next(&e, time, zone_at, NULL, &next) || next <= time || next % 60 != 0)
				abort();
			time = next;
		}
	free(text);
	return 0;
}
