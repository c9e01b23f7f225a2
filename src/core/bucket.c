/*
 * bucket.c: MurmurHash3 x86 32-bit split in two, so that a key hashed for many units is mixed once. Blocks are read
 * byte by byte in little-endian order (compilers make one load of it), so the numbers are the same on every machine.
 */
#include "core/bucket.h"

#define C1 UINT32_C(0xcc9e2d51)
#define C2 UINT32_C(0x1b873593)

static inline uint32_t
rotate_left(uint32_t x, int by)
{
	return (x << by) | (x >> (32 - by));
}

static inline uint32_t
read_block(const unsigned char *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline uint32_t
scramble(uint32_t block)
{
	return rotate_left(block * C1, 15) * C2;
}

static inline uint32_t
mix(uint32_t hash, uint32_t block)
{
	return rotate_left(hash ^ scramble(block), 13) * 5 + UINT32_C(0xe6546b64);
}

/* read_tail: the last 0 to 3 bytes, the first one lowest. */
static inline uint32_t
read_tail(const unsigned char *p, size_t length)
{
	uint32_t tail = 0;

	for (size_t i = 0; i < length; i++)
		tail |= (uint32_t) p[i] << (8 * i);
	return tail;
}

void
bucket_prepare(bucket_key *state, const char *key, size_t length)
{
	const unsigned char *p = (const unsigned char *) key;
	uint32_t hash = 0;
	size_t left = length;

	for (; left >= 4; p += 4, left -= 4)
		hash = mix(hash, read_block(p));
	state->hash = hash;
	state->tail = read_tail(p, left);
	state->tail_length = (uint32_t) left;
	state->length = (uint32_t) length;
}

uint32_t
bucket_hash(const bucket_key *state, const char *unit, size_t length)
{
	const unsigned char *p = (const unsigned char *) unit;
	uint32_t hash = state->hash;
	uint32_t carry = state->tail;
	uint32_t shift = 8 * state->tail_length;
	uint32_t total = state->length + (uint32_t) length;
	size_t left = length;
	uint64_t rest;

	if (shift == 0)
		for (; left >= 4; p += 4, left -= 4)
			hash = mix(hash, read_block(p));
	else
		for (; left >= 4; p += 4, left -= 4)
		{
			uint32_t block = read_block(p);

			hash = mix(hash, carry | block << shift);
			carry = block >> (32 - shift);
		}

	/* Up to three bytes of the key and three of the unit remain: perhaps one more block. */
	rest = (uint64_t) read_tail(p, left) << shift | carry;
	if (shift + 8 * left >= 32)
	{
		hash = mix(hash, (uint32_t) rest);
		rest >>= 32;
	}
	hash ^= scramble((uint32_t) rest);

	hash ^= total;
	hash ^= hash >> 16;
	hash *= UINT32_C(0x85ebca6b);
	hash ^= hash >> 13;
	hash *= UINT32_C(0xc2b2ae35);
	hash ^= hash >> 16;
	return hash;
}
