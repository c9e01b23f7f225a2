/*
 * siphash.h: SipHash-2-4 with 64-bit output (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): the
 * keyed hash that hides unit ids and seals decisions.
 */
#ifndef MM_SIPHASH_H
#define MM_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

typedef struct siphash_key
{
	uint64_t k0;
	uint64_t k1;
} siphash_key;

/* siphash_key_read: a key from its 16 bytes. */
extern siphash_key siphash_key_read(const unsigned char bytes[SIPHASH_KEY_BYTES]);
/* siphash_key_derive: a key for one purpose from a master key; the master never hashes what callers choose. */
extern siphash_key siphash_key_derive(const siphash_key *master, const char *purpose);
extern uint64_t siphash(const siphash_key *key, const void *data, size_t length);

#endif
