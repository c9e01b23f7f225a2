/*
 * siphash.c: SipHash-2-4, written from the paper's section 2: four words, two rounds a block, four at the end.
 */
#include "core/siphash.h"

#include <string.h>

static inline uint64_t
rotate_left(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

static inline uint64_t
read_word(const unsigned char *p, size_t length)
{
	uint64_t word = 0;

	for (size_t i = 0; i < length; i++)
		word |= (uint64_t) p[i] << (8 * i);
	return word;
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate_left(v[1], 13) ^ v[0];
	v[3] = rotate_left(v[3], 16) ^ v[2];
	v[0] = rotate_left(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate_left(v[1], 17) ^ v[2];
	v[3] = rotate_left(v[3], 21) ^ v[0];
	v[2] = rotate_left(v[2], 32);
}

siphash_key
siphash_key_read(const unsigned char bytes[SIPHASH_KEY_BYTES])
{
	return (siphash_key){read_word(bytes, 8), read_word(bytes + 8, 8)};
}

siphash_key
siphash_key_derive(const siphash_key *master, const char *purpose)
{
	char label[64];
	size_t length = strlen(purpose);
	siphash_key key;

	if (length > sizeof(label) - 1)
		length = sizeof(label) - 1;
	memcpy(label, purpose, length);
	label[length] = 0;
	key.k0 = siphash(master, label, length + 1);
	label[length] = 1;
	key.k1 = siphash(master, label, length + 1);
	return key;
}

uint64_t
siphash(const siphash_key *key, const void *data, size_t length)
{
	const unsigned char *p = data;
	size_t left = length;
	uint64_t v[4] = {key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d),
					 key->k0 ^ UINT64_C(0x6c7967656e657261), key->k1 ^ UINT64_C(0x7465646279746573)};
	uint64_t word;

	for (; left >= 8; p += 8, left -= 8)
	{
		word = read_word(p, 8);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	word = read_word(p, left) | (uint64_t) length << 56;
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
