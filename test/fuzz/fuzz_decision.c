/*
 * fuzz_decision.c: libFuzzer target: any text. What decodes is the only spelling of what it says; and whatever fields
 * the bytes spell come back when encoded.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/decision.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const siphash_key key = {1, 2};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1);
	char again[DECISION_MAX_LENGTH];
	decision found;
	decision made;
	decision back;

	if (size > 0)
		memcpy(text, data, size);
	if (decision_decode(text, size, &key, &found) == DECISION_OK &&
		(decision_encode(&found, &key, again) != size || memcmp(again, text, size) != 0))
		abort();
	free(text);

	memset(&made, 0, sizeof(made));
	if (size >= sizeof(made))
	{
		size_t length;

		memcpy(&made.version_id, data, 8);
		memcpy(&made.deployment_id, data + 8, 8);
		memcpy(&made.step, data + 16, 4);
		memcpy(&made.arm, data + 20, 2);
		memcpy(&made.test_no, data + 22, 8);
		made.has_unit = data[30] & 1;
		if (made.has_unit)
			memcpy(&made.unit_hash, data + 31, 8);
		memcpy(&made.request, data + 39, 8);
		made.version_id &= INT64_MAX;
		made.deployment_id &= INT64_MAX;
		made.test_no &= INT64_MAX;
		made.step &= INT32_MAX;
		made.arm = (int16_t) (made.arm < -1 ? -1 : made.arm);
		length = decision_encode(&made, &key, again);
		if (length > DECISION_MAX_LENGTH || decision_decode(again, length, &key, &back) != DECISION_OK ||
			back.version_id != made.version_id || back.deployment_id != made.deployment_id || back.step != made.step ||
			back.arm != made.arm || back.test_no != made.test_no || back.has_unit != made.has_unit ||
			back.unit_hash != made.unit_hash || back.request != made.request || back.time != made.time)
			abort();
		/* One flipped bit of the text is found. */
		again[data[0] % length] = (char) (again[data[0] % length] ^ (1 << data[1] % 8));
		if (decision_decode(again, length, &key, &back) == DECISION_OK)
			abort();
	}
	return 0;
}
