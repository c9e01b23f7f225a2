/*
 * decision.c: what is encoded comes back; every damage is found.
 */
#include "unit.h"

#include <string.h>

#include "core/decision.h"

static const siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static const decision cases[] = {
	{.version_id = 1, .arm = -1, .request = 1, .time = 1},
	{.version_id = 1,
	 .deployment_id = 7,
	 .step = 1,
	 .arm = 1,
	 .has_unit = true,
	 .unit_hash = -1,
	 .request = -1,
	 .time = 0},
	{.version_id = 127, .deployment_id = 128, .step = 16383, .arm = 0, .test_no = 16384, .has_unit = true, .time = -1},
	{INT64_MAX, INT64_MAX, INT32_MAX, INT16_MAX, INT64_MAX, true, INT64_MIN, INT64_MAX, INT64_MIN},
	{0, 0, 0, -1, 0, true, 0, 0, 0},
};
#define NCASES (sizeof(cases) / sizeof(cases[0]))

static int
same(const decision *a, const decision *b)
{
	return a->version_id == b->version_id && a->deployment_id == b->deployment_id && a->step == b->step &&
		   a->arm == b->arm && a->test_no == b->test_no && a->has_unit == b->has_unit && a->unit_hash == b->unit_hash &&
		   a->request == b->request && a->time == b->time;
}

static void
check_round_trip(void)
{
	for (size_t i = 0; i < NCASES; i++)
	{
		char text[DECISION_MAX_LENGTH];
		size_t length = decision_encode(&cases[i], &key, text);
		decision back;

		CHECK(length <= DECISION_MAX_LENGTH, "case %zu: %zu characters", i, length);
		CHECK(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >= length,
			  "case %zu: characters", i);
		CHECK(decision_decode(text, length, &key, &back) == DECISION_OK, "case %zu", i);
		CHECK(same(&cases[i], &back), "case %zu came back different", i);
	}
	/* The longest there is. */
	{
		char text[DECISION_MAX_LENGTH];

		CHECK(decision_encode(&cases[3], &key, text) <= 96, "longest");
	}
}

/* check_damage: no change of a character, no cut, no addition, no other key goes through. */
static void
check_damage(void)
{
	static const char replacement[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_ =+/\n";
	const siphash_key other = {key.k0, key.k1 + 1};

	for (size_t i = 0; i < NCASES; i++)
	{
		char text[DECISION_MAX_LENGTH + 4];
		char damaged[DECISION_MAX_LENGTH + 4];
		size_t length = decision_encode(&cases[i], &key, text);
		decision back;
		int found = 0;
		int tried = 0;

		CHECK(decision_decode(text, length, &other, &back) == DECISION_BAD_SEAL, "case %zu: another installation", i);
		for (size_t at = 0; at < length; at++)
			for (const char *c = replacement; *c; c++)
			{
				if (text[at] == *c)
					continue;
				memcpy(damaged, text, length);
				damaged[at] = *c;
				tried++;
				found += decision_decode(damaged, length, &key, &back) != DECISION_OK;
			}
		CHECK(found == tried, "case %zu: %d of %d changes found", i, found, tried);
		for (size_t cut = 0; cut < length; cut++)
			CHECK(decision_decode(text, cut, &key, &back) != DECISION_OK, "case %zu cut to %zu", i, cut);
		memcpy(damaged, text, length);
		memcpy(damaged + length, "AAAA", 4);
		for (size_t more = 1; more <= 4; more++)
			CHECK(decision_decode(damaged, length + more, &key, &back) != DECISION_OK, "case %zu plus %zu", i, more);
	}
}

/* check_fields: a proper seal is no excuse for fields that no encoder writes. */
static void
check_fields(void)
{
	decision odd = {.version_id = -1, .arm = 0};
	char text[DECISION_MAX_LENGTH];
	decision back = {.version_id = 42};

	CHECK(decision_decode(text, decision_encode(&odd, &key, text), &key, &back) == DECISION_BAD_FORMAT,
		  "a negative version id");
	CHECK(back.version_id == 42, "the result is left alone");
}

int
main(void)
{
	check_round_trip();
	check_damage();
	check_fields();
	return unit_done();
}
