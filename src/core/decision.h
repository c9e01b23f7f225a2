/*
 * decision.h: what route() decided, as self-contained text that an application hands back with the outcome, hours
 * later and from anywhere.
 *
 * Format, version 1 (bytes, then base64url without padding, RFC 4648 section 5):
 *   byte     1, the format's version
 *   byte     flags: bit 0, a unit hash is present; the others are 0
 *   varint   version id               } unsigned, 7 bits a byte, lowest first, high bit set on all but the last byte,
 *   varint   deployment id, 0 none    } shortest form only
 *   varint   step
 *   varint   arm + 1, 0 not drawn
 *   varint   number of the test, 0 none
 *   8 bytes  unit hash, only when flagged                     } little-endian
 *   8 bytes  request number                                   }
 *   8 bytes  time, microseconds since 2000-01-01 00:00 UTC    }
 *   8 bytes  SipHash-2-4 of all before, key of the installation }
 * At most 38 + 2 + 32 = 72 bytes, 96 characters.
 */
#ifndef MM_DECISION_H
#define MM_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/siphash.h"

#define DECISION_MAX_LENGTH 96

typedef struct decision
{
	int64_t version_id;
	int64_t deployment_id; /* 0: none */
	int32_t step;
	int16_t arm;     /* -1: not drawn */
	int64_t test_no; /* 0: none */
	bool has_unit;
	int64_t unit_hash;
	int64_t request;
	int64_t time;
} decision;

typedef enum decision_status
{
	DECISION_OK,
	DECISION_BAD_LENGTH,    /* no decision has this length */
	DECISION_BAD_CHARACTER, /* not base64url, or not its shortest form */
	DECISION_BAD_FORMAT,    /* another format version, or fields that do not fit */
	DECISION_BAD_SEAL       /* damaged, or made by another installation */
} decision_status;

/* decision_encode: writes the text without a terminating zero, returns its length. Ids and step must not be negative.
 */
extern size_t decision_encode(const decision *from, const siphash_key *key, char out[DECISION_MAX_LENGTH]);
/* decision_decode: fills `to` only when the result is DECISION_OK. */
extern decision_status decision_decode(const char *text, size_t length, const siphash_key *key, decision *to);

#endif
