/*
 * fuzz_semver.c: libFuzzer target: any two texts. The order by key is the order by comparison, is antisymmetric, and
 * no key exceeds its bound (the buffers end where the bound does, so the address sanitiser sees a byte too many).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/semver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
sign(int x)
{
	return (x > 0) - (x < 0);
}

/* copy: a buffer of exactly that many bytes. */
static char *
copy(const uint8_t *data, size_t size)
{
	char *result = malloc(size > 0 ? size : 1);

	if (size > 0)
		memcpy(result, data, size);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t a_length = size > 0 ? data[0] % size : 0;
	size_t b_length = size > 0 ? size - 1 - a_length : 0;
	char *a = copy(size > 0 ? data + 1 : data, a_length);
	char *b = copy(size > 0 ? data + 1 + a_length : data, b_length);
	unsigned char *x = malloc(SEMVER_KEY_SIZE);
	unsigned char *y = malloc(SEMVER_KEY_SIZE);
	size_t m = semver_key(a, a_length, x);
	size_t n = semver_key(b, b_length, y);
	int by_key = memcmp(x, y, m < n ? m : n);
	int order = semver_compare(a, a_length, b, b_length);

	if (by_key == 0)
		by_key = (m > n) - (m < n);
	if (m > SEMVER_KEY_SIZE || n > SEMVER_KEY_SIZE || sign(by_key) != sign(order) ||
		sign(semver_compare(b, b_length, a, a_length)) != -sign(order) || semver_compare(a, a_length, a, a_length) != 0)
		abort();
	free(a);
	free(b);
	free(x);
	free(y);
	return 0;
}
