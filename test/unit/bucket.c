/*
 * bucket.c: the bucket rule against flagd's numbers, and the split of the hash against the hash of the whole.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/bucket.h"

/* read_field: the next CSV field, quotes undone ("" is one quote), in place. */
static char *
read_field(char **cursor)
{
	char *start = *cursor;
	char *to = start;
	char *from = start;

	if (*from == '"')
	{
		for (from++; *from && !(from[0] == '"' && from[1] != '"'); from++)
		{
			from += from[0] == '"';
			*to++ = *from;
		}
		from += *from == '"';
	}
	else
		while (*from && *from != ',' && *from != '\n' && *from != '\r')
			*to++ = *from++;
	*cursor = *from == ',' ? from + 1 : from;
	*to = '\0';
	return start;
}

static void
check_vectors(void)
{
	FILE *file = fopen("test/vectors/flagd_bucket.csv", "r");
	char line[65536];
	int rows = 0;

	CHECK(file != NULL, "test programs run in the top directory");
	if (!file || !fgets(line, sizeof(line), file))
		return;
	while (fgets(line, sizeof(line), file))
	{
		char *cursor = line;
		char *key = read_field(&cursor);
		char *unit = read_field(&cursor);
		uint32_t hash = (uint32_t) strtoul(read_field(&cursor), NULL, 10);
		uint32_t bucket = (uint32_t) strtoul(read_field(&cursor), NULL, 10);
		bucket_key state;

		rows++;
		bucket_prepare(&state, key, strlen(key));
		CHECK(bucket_hash(&state, unit, strlen(unit)) == hash, "%s|%s: %u, not %u", key, unit,
			  bucket_hash(&state, unit, strlen(unit)), hash);
		CHECK(bucket_of(hash, BUCKET_TOTAL) == bucket, "%u: %u, not %u", hash, bucket_of(hash, BUCKET_TOTAL), bucket);
	}
	CHECK(rows == 60, "%d rows", rows);
	fclose(file);
}

/* check_split: wherever a text is cut into key and unit, the hash is the same. */
static void
check_split(void)
{
	char text[40];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char) (i * 37 + 200);
	for (size_t length = 0; length <= sizeof(text); length++)
	{
		bucket_key whole;
		uint32_t hash;

		bucket_prepare(&whole, "", 0);
		hash = bucket_hash(&whole, text, length);
		for (size_t cut = 0; cut <= length; cut++)
		{
			bucket_key state;

			bucket_prepare(&state, text, cut);
			CHECK(bucket_hash(&state, text + cut, length - cut) == hash, "length %zu cut at %zu", length, cut);
		}
	}
}

/* check_range: the highest hash stays below the total, whatever the total. */
static void
check_range(void)
{
	static const uint32_t totals[] = {1, 2, 100, 10000, 2147483647};

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
	{
		CHECK(bucket_of(UINT32_MAX, totals[i]) == totals[i] - 1, "total %u", totals[i]);
		CHECK(bucket_of(0, totals[i]) == 0, "total %u", totals[i]);
	}
}

int
main(void)
{
	check_vectors();
	check_split();
	check_range();
	return unit_done();
}
