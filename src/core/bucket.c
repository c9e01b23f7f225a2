/*
 * bucket.c: the key's half of the hash; the unit's half is inlined where it is used (bucket.h).
 */
#include "core/bucket.h"

void
bucket_prepare(bucket_key *state, const char *key, size_t length)
{
	const unsigned char *p = (const unsigned char *) key;
	uint32_t hash = 0;
	size_t left = length;

	for (; left >= 4; p += 4, left -= 4)
		hash = bucket_mix(hash, bucket_read_block(p));
	state->hash = hash;
	state->tail = bucket_read_tail(p, left);
	state->tail_length = (uint32_t) left;
	state->length = (uint32_t) length;
}
