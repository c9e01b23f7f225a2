/*
 * siphash.c: SipHash-2-4 against the reference: the example of the paper's appendix A, and outputs for messages of the
 * bytes 0, 1, 2, ... under the key 00 01 .. 0f as the authors published them.
 */
#include "unit.h"

#include <inttypes.h>
#include <string.h>

#include "core/siphash.h"

static const struct
{
	size_t length;
	uint64_t hash;
} reference[] = {
	{0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)}, {2, UINT64_C(0x0d6c8009d9a94f5a)},
	{3, UINT64_C(0x85676696d7fb7e2d)},  {4, UINT64_C(0xcf2794e0277187b7)}, {5, UINT64_C(0x18765564cd99a68d)},
	{6, UINT64_C(0xcbc9466e58fee3ce)},  {7, UINT64_C(0xab0200f58b01d137)}, {8, UINT64_C(0x93f5f5799a932462)},
	{15, UINT64_C(0xa129ca6149be45e5)},
};

int
main(void)
{
	unsigned char bytes[64];
	siphash_key key;
	siphash_key a;
	siphash_key b;

	for (int i = 0; i < 64; i++)
		bytes[i] = (unsigned char) i;
	key = siphash_key_read(bytes);
	for (size_t i = 0; i < sizeof(reference) / sizeof(reference[0]); i++)
		CHECK(siphash(&key, bytes, reference[i].length) == reference[i].hash, "length %zu: %016" PRIx64,
			  reference[i].length, siphash(&key, bytes, reference[i].length));

	/* Keys for two purposes share nothing, and neither is a hash that the other key could make of a short text. */
	a = siphash_key_derive(&key, "unit");
	b = siphash_key_derive(&key, "decision");
	CHECK(a.k0 != b.k0 && a.k1 != b.k1 && a.k0 != a.k1, "derived keys");
	CHECK(a.k0 != key.k0 && a.k1 != key.k1, "the master itself");
	CHECK(siphash(&a, "u", 1) != siphash(&b, "u", 1), "hashes under derived keys");
	return unit_done();
}
