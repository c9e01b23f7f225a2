/*
 * metric_values.c: metric_values(): the values that thresholds look at, thousands of pairs of version and metric in a
 * few queries. What was reported is read only for versions that want for something.
 */
#include "pg/metric_internal.h"

static int
compare_int64(const void *a, const void *b)
{
	int64 x = *(const int64 *) a;
	int64 y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* distinct: sorts and returns how many different ones there are. */
static int
distinct(int64 *values, int count)
{
	int kept = 0;

	qsort(values, count, sizeof(int64), compare_int64);
	for (int i = 0; i < count; i++)
		if (i == 0 || values[i] != values[i - 1])
			values[kept++] = values[i];
	return kept;
}

/* distinct_pairs: leaves out pairs asked before: their rows would be added up twice. */
static int
distinct_pairs(int64 *versions, const char **names, int count)
{
	HASHCTL control = {.keysize = sizeof(int64) + METRIC_NAME_MAX + 1,
					   .entrysize = sizeof(int64) + METRIC_NAME_MAX + 1,
					   .hcxt = CurrentMemoryContext};
	HTAB *seen = count > 0 ? hash_create("asked", count, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT) : NULL;
	int kept = 0;

	for (int i = 0; i < count; i++)
	{
		char key[sizeof(int64) + METRIC_NAME_MAX + 1] = {0};
		bool found;

		memcpy(key, &versions[i], sizeof(int64));
		snprintf(key + sizeof(int64), METRIC_NAME_MAX + 1, "%s", names[i]);
		(void) hash_search(seen, key, HASH_ENTER, &found);
		if (found)
			continue;
		versions[kept] = versions[i];
		names[kept++] = names[i];
	}
	return kept;
}

void
metric_values_of(int64 deployment_id, metric_ask *asks, int n, TimestampTz since, TimestampTz until)
{
	int64 *versions = palloc(sizeof(int64) * (n + 1));
	int64 *pair_versions = palloc(sizeof(int64) * (n + 1));
	const char **pair_names = palloc(sizeof(char *) * (n + 1));
	double minutes = (double) (until - since) / USECS_PER_MINUTE;
	metric_question question = {.version_ids = versions,
								.deployment_id = deployment_id,
								.since = since,
								.until = until,
								.pair_versions = pair_versions,
								.pair_names = pair_names};
	metric_answer *answer;

	for (int i = 0; i < n; i++)
	{
		metric m = metric_parse(asks[i].metric_name);

		versions[i] = asks[i].version_id;
		question.quantiles |= m.form == METRIC_QUANTILE;
		if (m.form == METRIC_CUSTOM)
		{
			pair_versions[question.pairs] = asks[i].version_id;
			pair_names[question.pairs++] = asks[i].metric_name;
		}
	}
	question.versions = distinct(versions, n);
	question.pairs = distinct_pairs(pair_versions, pair_names, question.pairs);
	answer = metric_read(&question);

	/* What was reported is read only for versions that want for something. */
	for (int pass = 0; pass < 2; pass++)
	{
		question.versions = 0;
		for (int i = 0; i < n; i++)
		{
			metric_point point =
				metric_point_of(answer, asks[i].version_id, DT_NOBEGIN, metric_canonical(asks[i].metric_name), minutes);

			asks[i].value = point.value;
			asks[i].samples = point.samples;
			asks[i].reported = point.reported;
			asks[i].last_at = point.last_at;
			if (point.samples == 0)
				versions[question.versions++] = asks[i].version_id;
		}
		if (pass > 0 || question.versions == 0)
			break;
		question.versions = distinct(versions, question.versions);
		metric_read_reported(&question, answer);
	}
}

void
metric_values(metric_ask *asks, int n, TimestampTz since, TimestampTz until)
{
	metric_values_of(0, asks, n, since, until);
}
