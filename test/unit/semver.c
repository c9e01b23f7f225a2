/*
 * semver.c: order of versions. Every pair is checked both ways, and by key as well as by comparison.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/semver.h"

static int
sign(int x)
{
	return (x > 0) - (x < 0);
}

static int
compare_keys(const char *a, const char *b)
{
	unsigned char x[SEMVER_KEY_SIZE];
	unsigned char y[SEMVER_KEY_SIZE];
	size_t m = semver_key(a, strlen(a), x);
	size_t n = semver_key(b, strlen(b), y);
	int order = memcmp(x, y, m < n ? m : n);

	return order != 0 ? order : (m > n) - (m < n);
}

/* expect: a stands to b as `order` says, by every road. */
static void
expect(const char *a, const char *b, int order)
{
	CHECK(sign(semver_compare(a, strlen(a), b, strlen(b))) == order, "%s against %s", a, b);
	CHECK(sign(semver_compare(b, strlen(b), a, strlen(a))) == -order, "%s against %s", b, a);
	CHECK(sign(compare_keys(a, b)) == order, "keys of %s and %s", a, b);
}

int
main(void)
{
	/* the list of semver.org, section 11, with the numbers of its section 11.2 before and after */
	static const char *const ascending[] = {"0.9.9",      "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
											"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
											"1.0.0",      "2.0.0",        "2.1.0",         "2.1.1"};
	/* rules of section 11 one by one, and numerals beyond 64 bits */
	static const char *const more[] = {"1.9.0",
									   "1.10.0-1",
									   "1.10.0-2",
									   "1.10.0-10",
									   "1.10.0-99999999999999999999",
									   "1.10.0-100000000000000000000",
									   "1.10.0--",
									   "1.10.0-A",
									   "1.10.0-a",
									   "1.10.0-a.0",
									   "1.10.0-a.0.0",
									   "1.10.0-a-b",
									   "1.10.0-aa",
									   "1.10.0",
									   "1.10.18446744073709551615",
									   "1.10.18446744073709551616",
									   "18446744073709551616.0.0",
									   "100000000000000000000000000000.0.0"};
	static const struct
	{
		const char *a;
		const char *b;
	} equal[] = {{"1.0", "1.0.0"},           {"v1.2", "1.2.0"},          {"V1", "1.0.0"},
				 {"1.0.0+build.1", "1.0.0"}, {"1.2.03", "1.2.3"},        {"1.0.0-rc.01", "1.0.0-rc.1"},
				 {"v2-rc1", "2.0.0-rc1"},    {"1.2-rc+x.y", "1.2.0-rc"}, {"0", "0.0.0"},
				 {"00000.0", "0"},           {"1.0.0-0", "1.0.0-00"}};
	static const char *const none[] = {
		"",       "v",          "vv1",        "latest-model", "1.",         ".1",     "1..2", "1.2.3.4",
		"1.0.0-", "1.0.0+",     "1.0.0-a..b", "1.0.0-.",      "1.0.0+a..b", "1.0.0 ", " 1.0", "1.0.0-\xc3\xa4",
		"1.0_0",  "2024-01-15", "-1",         "1.0.0-a+b+c",  "1.a"};

	for (size_t i = 0; i < sizeof(ascending) / sizeof(*ascending); i++)
		for (size_t j = 0; j < sizeof(ascending) / sizeof(*ascending); j++)
			expect(ascending[i], ascending[j], sign((int) i - (int) j));
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		for (size_t j = 0; j < sizeof(more) / sizeof(*more); j++)
			expect(more[i], more[j], sign((int) i - (int) j));
	for (size_t i = 0; i < sizeof(equal) / sizeof(*equal); i++)
		expect(equal[i].a, equal[i].b, 0);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
	{
		CHECK(semver_classify(none[i], strlen(none[i])) == SEMVER_NONE, "%s taken for a version", none[i]);
		expect(none[i], "0.0.0-0", -1);
		expect(none[i], "no version either", 0);
	}

	CHECK(semver_classify("1.0.0-rc.1", 10) == SEMVER_PRERELEASE, "1.0.0-rc.1");
	CHECK(semver_classify("1.0.0+rc-1", 10) == SEMVER_RELEASE, "a hyphen in the build is no pre-release");
	CHECK(semver_classify("1.0.0-rc.1", 5) == SEMVER_RELEASE, "read past the given length");
	CHECK(semver_classify("2-rc1", 5) == SEMVER_PRERELEASE, "2-rc1");

	/* the longest texts: numerals, and identifiers that need the most bytes of key for their length */
	{
		char text[SEMVER_MAX_LENGTH + 2];
		unsigned char *key = malloc(SEMVER_KEY_SIZE);
		size_t length;

		memset(text, '9', sizeof(text));
		CHECK(semver_classify(text, SEMVER_MAX_LENGTH) == SEMVER_RELEASE, "255 digits");
		CHECK(semver_classify(text, SEMVER_MAX_LENGTH + 1) == SEMVER_NONE, "256 digits");
		CHECK(semver_compare(text, SEMVER_MAX_LENGTH, text, SEMVER_MAX_LENGTH - 1) > 0, "more digits are more");
		memcpy(text, "1.0-", 4);
		for (int i = 4; i < SEMVER_MAX_LENGTH; i++)
			text[i] = i % 2 ? '.' : 'a';
		length = semver_key(text, SEMVER_MAX_LENGTH, key);
		CHECK(length <= SEMVER_KEY_SIZE && length > SEMVER_MAX_LENGTH, "key of %zu bytes", length);
		free(key);
	}
	return unit_done();
}
