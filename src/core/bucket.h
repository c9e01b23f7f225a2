/*
 * bucket.h: the bucket of a unit under a key, by the rule that flagd uses, so that a client can compute the same answer
 * without asking: MurmurHash3 x86 32-bit (Appleby, public domain), seed 0, over key || unit, then
 * bucket = (hash * total) >> 32. The part that belongs to the key is computed once (bucket_prepare).
 */
#ifndef MM_BUCKET_H
#define MM_BUCKET_H

#include <stddef.h>
#include <stdint.h>

/* State of the hash after the key: its whole blocks are mixed, up to three bytes wait for the unit's first ones. */
typedef struct bucket_key
{
	uint32_t hash;
	uint32_t tail; /* waiting bytes, the first one lowest */
	uint32_t tail_length;
	uint32_t length; /* of the key */
} bucket_key;

#define BUCKET_TOTAL 10000 /* weights are in 1/10000 */

/* bucket_prepare: state for `key`, used for any number of units. */
extern void bucket_prepare(bucket_key *state, const char *key, size_t length);
/* ---- the hash; blocks are read byte by byte in little-endian order (compilers make one load of it), so the numbers
 * are the same on every machine ---- */

#define BUCKET_C1 UINT32_C(0xcc9e2d51)
#define BUCKET_C2 UINT32_C(0x1b873593)

static inline uint32_t
bucket_rotate_left(uint32_t x, int by)
{
	return (x << by) | (x >> (32 - by));
}

static inline uint32_t
bucket_read_block(const unsigned char *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline uint32_t
bucket_scramble(uint32_t block)
{
	return bucket_rotate_left(block * BUCKET_C1, 15) * BUCKET_C2;
}

static inline uint32_t
bucket_mix(uint32_t hash, uint32_t block)
{
	return bucket_rotate_left(hash ^ bucket_scramble(block), 13) * 5 + UINT32_C(0xe6546b64);
}

/* read_tail: the last 0 to 3 bytes, the first one lowest. */
static inline uint32_t
bucket_read_tail(const unsigned char *p, size_t length)
{
	uint32_t tail = 0;

	for (size_t i = 0; i < length; i++)
		tail |= (uint32_t) p[i] << (8 * i);
	return tail;
}

/* bucket_hash: the 32-bit hash of key || unit. Inline: it is most of the work of a routed row. */
static inline uint32_t
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
			hash = bucket_mix(hash, bucket_read_block(p));
	else
		for (; left >= 4; p += 4, left -= 4)
		{
			uint32_t block = bucket_read_block(p);

			hash = bucket_mix(hash, carry | block << shift);
			carry = block >> (32 - shift);
		}

	/* Up to three bytes of the key and three of the unit remain: perhaps one more block. */
	rest = (uint64_t) bucket_read_tail(p, left) << shift | carry;
	if (shift + 8 * left >= 32)
	{
		hash = bucket_mix(hash, (uint32_t) rest);
		rest >>= 32;
	}
	hash ^= bucket_scramble((uint32_t) rest);

	hash ^= total;
	hash ^= hash >> 16;
	hash *= UINT32_C(0x85ebca6b);
	hash ^= hash >> 13;
	hash *= UINT32_C(0xc2b2ae35);
	hash ^= hash >> 16;
	return hash;
}

/* bucket_of: 0 .. total - 1. */
static inline uint32_t
bucket_of(uint32_t hash, uint32_t total)
{
	return (uint32_t) (((uint64_t) hash * total) >> 32);
}

#endif
