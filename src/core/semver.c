/*
 * semver.c: SemVer 2.0.0 precedence over texts that follow it more or less (grammar in semver.h). Numbers are compared
 * as digit strings, so nothing overflows; nothing is allocated and nothing is read past the given length.
 */
#include "core/semver.h"

#include <string.h>

/* A stretch of the text. */
typedef struct span
{
	const char *start;
	size_t length;
} span;

typedef struct parsed
{
	span number[3]; /* without leading zeros: 0 is the empty span */
	span prerelease;
	semver_kind kind;
} parsed;

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_identifier_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* take_number: digits at *at, without their leading zeros; false when there is none. */
static bool
take_number(const char *text, size_t length, size_t *at, span *out)
{
	size_t start = *at;

	while (*at < length && is_digit(text[*at]))
		(*at)++;
	if (*at == start)
		return false;
	while (start < *at && text[start] == '0')
		start++;
	*out = (span){text + start, *at - start};
	return true;
}

/* take_identifiers: dot-separated identifiers, none empty, up to `stop` or the end of the text. */
static bool
take_identifiers(const char *text, size_t length, size_t *at, char stop, span *out)
{
	size_t start = *at;
	bool empty = true;

	for (; *at < length && (stop == '\0' || text[*at] != stop); (*at)++)
	{
		if (text[*at] == '.')
		{
			if (empty)
				return false;
			empty = true;
		}
		else if (is_identifier_char(text[*at]))
			empty = false;
		else
			return false;
	}
	*out = (span){text + start, *at - start};
	return !empty;
}

static bool
is_date_tail(span prerelease)
{
	for (size_t i = 0; i < prerelease.length; i++)
		if (!is_digit(prerelease.start[i]) && prerelease.start[i] != '-')
			return false;
	return true;
}

/* parse: takes the text apart; kind is SEMVER_NONE when it does not follow the grammar to its last byte. */
static parsed
parse(const char *text, size_t length)
{
	parsed none = {.kind = SEMVER_NONE};
	parsed result = {.kind = SEMVER_RELEASE};
	size_t at = 0;
	int numbers = 0;
	span build;

	if (length == 0 || length > SEMVER_MAX_LENGTH)
		return none;
	if (text[at] == 'v' || text[at] == 'V')
		at++;
	for (;;)
	{
		if (!take_number(text, length, &at, &result.number[numbers]))
			return none;
		numbers++;
		if (numbers == 3 || at >= length || text[at] != '.')
			break;
		at++;
	}
	if (at < length && text[at] == '-')
	{
		at++;
		if (!take_identifiers(text, length, &at, '+', &result.prerelease))
			return none;
		if (numbers == 1 && is_date_tail(result.prerelease))
			return none;
		result.kind = SEMVER_PRERELEASE;
	}
	if (at < length && text[at] == '+')
	{
		at++;
		if (!take_identifiers(text, length, &at, '\0', &build))
			return none;
	}
	return at == length ? result : none;
}

/* next_identifier: takes the first identifier off the rest; numeric ones lose their leading zeros. */
static span
next_identifier(span *rest, bool *numeric)
{
	span result = {rest->start, 0};

	*numeric = true;
	while (result.length < rest->length && rest->start[result.length] != '.')
	{
		if (!is_digit(rest->start[result.length]))
			*numeric = false;
		result.length++;
	}
	rest->start += result.length;
	rest->length -= result.length;
	if (rest->length > 0) /* the dot */
	{
		rest->start++;
		rest->length--;
	}
	if (*numeric)
		while (result.length > 0 && *result.start == '0')
		{
			result.start++;
			result.length--;
		}
	return result;
}

static int
compare_bytes(span a, span b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int order = shorter > 0 ? memcmp(a.start, b.start, shorter) : 0;

	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* compare_numbers: by value: without leading zeros the longer numeral is the larger one. */
static int
compare_numbers(span a, span b)
{
	return a.length != b.length ? (a.length > b.length ? 1 : -1) : compare_bytes(a, b);
}

/* compare_prereleases: section 11.4: numbers by value and below words, words by ASCII, fewer fields below more. */
static int
compare_prereleases(span a, span b)
{
	while (a.length > 0 && b.length > 0)
	{
		bool a_numeric;
		bool b_numeric;
		span x = next_identifier(&a, &a_numeric);
		span y = next_identifier(&b, &b_numeric);
		int order = a_numeric != b_numeric ? (a_numeric ? -1 : 1)
					: a_numeric            ? compare_numbers(x, y)
										   : compare_bytes(x, y);

		if (order != 0)
			return order;
	}
	return (a.length > 0) - (b.length > 0);
}

semver_kind
semver_classify(const char *text, size_t length)
{
	return parse(text, length).kind;
}

int
semver_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
	parsed x = parse(a, a_length);
	parsed y = parse(b, b_length);

	if (x.kind == SEMVER_NONE || y.kind == SEMVER_NONE)
		return (x.kind != SEMVER_NONE) - (y.kind != SEMVER_NONE);
	for (int i = 0; i < 3; i++)
	{
		int order = compare_numbers(x.number[i], y.number[i]);

		if (order != 0)
			return order;
	}
	if (x.kind != y.kind)
		return x.kind == SEMVER_RELEASE ? 1 : -1;
	return compare_prereleases(x.prerelease, y.prerelease);
}

/* Bytes of a key. Each group is ordered: no version < version; end of identifiers < number < word; pre < release. */
enum
{
	KEY_NONE = 0x00,
	KEY_VERSION = 0x01,
	KEY_END = 0x01,
	KEY_NUMBER = 0x02,
	KEY_WORD = 0x03,
	KEY_PRERELEASE = 0x01,
	KEY_RELEASE = 0x02
};

/* put_number: the count of digits, then the digits; SEMVER_MAX_LENGTH makes the count fit one byte. */
static unsigned char *
put_number(unsigned char *at, span number)
{
	*at++ = (unsigned char) number.length;
	if (number.length > 0)
		memcpy(at, number.start, number.length);
	return at + number.length;
}

size_t
semver_key(const char *text, size_t length, unsigned char *key)
{
	parsed version = parse(text, length);
	unsigned char *at = key;

	if (version.kind == SEMVER_NONE)
	{
		*at++ = KEY_NONE;
		return 1;
	}
	*at++ = KEY_VERSION;
	for (int i = 0; i < 3; i++)
		at = put_number(at, version.number[i]);
	if (version.kind == SEMVER_RELEASE)
	{
		*at++ = KEY_RELEASE;
		return (size_t) (at - key);
	}
	*at++ = KEY_PRERELEASE;
	while (version.prerelease.length > 0)
	{
		bool numeric;
		span identifier = next_identifier(&version.prerelease, &numeric);

		*at++ = numeric ? KEY_NUMBER : KEY_WORD;
		if (numeric)
			at = put_number(at, identifier);
		else
		{
			memcpy(at, identifier.start, identifier.length);
			at += identifier.length;
			*at++ = 0; /* ends a word below any character that could follow */
		}
	}
	*at++ = KEY_END;
	return (size_t) (at - key);
}
