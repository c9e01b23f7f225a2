/*
 * semver.h: order of version texts: SemVer 2.0.0 precedence (semver.org, section 11), lenient about what people write.
 *
 *   version := ["v" | "V"] number ["." number ["." number]] ["-" prerelease] ["+" build]
 *
 * Missing numbers count as 0, leading zeros do not count, numerals may be of any length. A single number followed by
 * digits and hyphens only (2024-01-15) is a date, not a pre-release, and so no version. Text that is no version sorts
 * below every version, and equal to other such text: the caller breaks that tie, by time of creation.
 */
#ifndef SEMVER_H
#define SEMVER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum semver_kind
{
	SEMVER_NONE, /* no version */
	SEMVER_PRERELEASE,
	SEMVER_RELEASE
} semver_kind;

/* Longest text that is read as a version, in bytes; a longer one is no version. */
#define SEMVER_MAX_LENGTH 255
/* Bytes that any key fits into: four a byte of text covers the worst identifiers ("0.0.0..."), plus the frame. */
#define SEMVER_KEY_SIZE (4 * SEMVER_MAX_LENGTH + 16)

/* semver_classify: what the text is. Needs no terminator, reads `length` bytes only. */
extern semver_kind semver_classify(const char *text, size_t length);

/*
 * semver_key: writes a key whose order as unsigned bytes (memcmp, then length) is the order of precedence; returns its
 * length, at most SEMVER_KEY_SIZE. Equal precedence gives equal keys.
 */
extern size_t semver_key(const char *text, size_t length, unsigned char *key);

/* semver_compare: below 0, 0 or above 0 by precedence, without making keys. */
extern int semver_compare(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
