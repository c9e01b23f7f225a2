/*
 * decision.c: writing and reading decisions. The reader takes nothing on trust: the seal is checked before a field is
 * believed, and every text has exactly one spelling, so that two different texts are never the same decision.
 */
#include "core/decision.h"

#include <string.h>

#define FORMAT_VERSION 1
#define FLAG_UNIT 0x01
#define MAX_BYTES 72
#define SEAL_BYTES 8

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t
put_varint(unsigned char *out, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (unsigned char) (value | 0x80);
	out[n++] = (unsigned char) value;
	return n;
}

static size_t
put_word(unsigned char *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char) (value >> (8 * i));
	return 8;
}

typedef struct reader
{
	const unsigned char *p;
	const unsigned char *end;
	bool ok;
} reader;

/* get_varint: at most `high`; anything else clears r->ok. */
static uint64_t
get_varint(reader *r, uint64_t high)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 70 && r->p < r->end; shift += 7)
	{
		uint64_t bits = *r->p & 0x7f;
		bool last = (*r->p++ & 0x80) == 0;

		if (shift == 63 && bits > 1)
			break;
		value |= bits << shift;
		if (!last)
			continue;
		if ((bits == 0 && shift > 0) || value > high)
			break;
		return value;
	}
	r->ok = false;
	return 0;
}

static uint64_t
get_word(reader *r)
{
	uint64_t value = 0;

	if (r->end - r->p < 8)
	{
		r->ok = false;
		return 0;
	}
	for (int i = 0; i < 8; i++)
		value |= (uint64_t) *r->p++ << (8 * i);
	return value;
}

size_t
decision_encode(const decision *from, const siphash_key *key, char out[DECISION_MAX_LENGTH])
{
	unsigned char bytes[MAX_BYTES];
	size_t n = 0;
	size_t length = 0;

	bytes[n++] = FORMAT_VERSION;
	bytes[n++] = from->has_unit ? FLAG_UNIT : 0;
	n += put_varint(bytes + n, (uint64_t) from->version_id);
	n += put_varint(bytes + n, (uint64_t) from->deployment_id);
	n += put_varint(bytes + n, (uint32_t) from->step);
	n += put_varint(bytes + n, (uint16_t) (from->arm + 1));
	n += put_varint(bytes + n, (uint64_t) from->test_no);
	if (from->has_unit)
		n += put_word(bytes + n, (uint64_t) from->unit_hash);
	n += put_word(bytes + n, (uint64_t) from->request);
	n += put_word(bytes + n, (uint64_t) from->time);
	n += put_word(bytes + n, siphash(key, bytes, n));

	for (size_t i = 0; i < n; i += 3)
	{
		uint32_t block = (uint32_t) bytes[i] << 16;
		size_t have = n - i < 3 ? n - i : 3;

		if (have > 1)
			block |= (uint32_t) bytes[i + 1] << 8;
		if (have > 2)
			block |= bytes[i + 2];
		for (size_t j = 0; j <= have; j++)
			out[length++] = alphabet[block >> (18 - 6 * j) & 63];
	}
	return length;
}

static int
digit_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

decision_status
decision_decode(const char *text, size_t length, const siphash_key *key, decision *to)
{
	unsigned char bytes[MAX_BYTES];
	size_t n = 0;
	uint32_t block = 0;
	int bits = 0;
	decision found;
	reader r;

	/* The shortest: version, flags, five varints of one byte, request, time and seal. */
	if (length > DECISION_MAX_LENGTH || length % 4 == 1 || length * 3 / 4 < 2 + 5 + 16 + SEAL_BYTES)
		return DECISION_BAD_LENGTH;
	for (size_t i = 0; i < length; i++)
	{
		int digit = digit_of((unsigned char) text[i]);

		if (digit < 0)
			return DECISION_BAD_CHARACTER;
		block = (block << 6 | (uint32_t) digit) & 0xffffff;
		bits += 6;
		if (bits >= 8)
		{
			bits -= 8;
			bytes[n++] = (unsigned char) (block >> bits);
		}
	}
	if ((block & ((1u << bits) - 1)) != 0)
		return DECISION_BAD_CHARACTER;

	r = (reader){bytes + n - SEAL_BYTES, bytes + n, true};
	if (get_word(&r) != siphash(key, bytes, n - SEAL_BYTES))
		return DECISION_BAD_SEAL;
	if (bytes[0] != FORMAT_VERSION || (bytes[1] & ~FLAG_UNIT) != 0)
		return DECISION_BAD_FORMAT;

	memset(&found, 0, sizeof(found));
	r = (reader){bytes + 2, bytes + n - SEAL_BYTES, true};
	found.has_unit = (bytes[1] & FLAG_UNIT) != 0;
	found.version_id = (int64_t) get_varint(&r, INT64_MAX);
	found.deployment_id = (int64_t) get_varint(&r, INT64_MAX);
	found.step = (int32_t) get_varint(&r, INT32_MAX);
	found.arm = (int16_t) ((int) get_varint(&r, (uint64_t) INT16_MAX + 1) - 1);
	found.test_no = (int64_t) get_varint(&r, INT64_MAX);
	if (found.has_unit)
		found.unit_hash = (int64_t) get_word(&r);
	found.request = (int64_t) get_word(&r);
	found.time = (int64_t) get_word(&r);
	if (!r.ok || r.p != r.end)
		return DECISION_BAD_FORMAT;
	*to = found;
	return DECISION_OK;
}
