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
/* bucket_hash: the 32-bit hash of key || unit. */
extern uint32_t bucket_hash(const bucket_key *state, const char *unit, size_t length);

/* bucket_of: 0 .. total - 1. */
static inline uint32_t
bucket_of(uint32_t hash, uint32_t total)
{
	return (uint32_t) (((uint64_t) hash * total) >> 32);
}

#endif
