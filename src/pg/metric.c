/*
 * metric.c: metrics out of what metric_read() found, by the one vocabulary of core/metric.h: what was observed, and
 * where nothing was, what was reported. metric_values() answers the thresholds' looks, thousands of pairs in a few
 * queries.
 */
#include "pg/metric_internal.h"

#include <math.h>

#include "pg/query.h"

metric_point
metric_point_of(const metric_answer *answer, int64 version_id, TimestampTz slot, const char *name, double minutes)
{
	metric m = metric_parse(name);
	int32 number = metric_number(answer, name);
	metric_point point = {.value = NAN, .last_at = DT_NOBEGIN};

	for (int reported = 0; reported < 2; reported++)
	{
		bool builtin = m.form != METRIC_CUSTOM && !reported;
		const metric_cell *cell = metric_cell_of(answer, version_id, slot, builtin ? METRIC_BUILTIN : number, reported);

		if (cell == NULL)
			continue;
		if (builtin)
			point.value = metric_evaluate(&m, &cell->tally, minutes, &point.samples);
		else
		{
			point.samples = cell->tally.measures[0].count;
			point.value = point.samples > 0 ? cell->tally.measures[0].sum / (double) point.samples : NAN;
		}
		if (point.samples > 0)
		{
			point.reported = reported;
			point.last_at = cell->last_at;
			point.cell = cell;
			break;
		}
	}
	return point;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

const char **
metric_names(const metric_answer *answer, int *count)
{
	const char **names;
	metric_cell *cell;
	HASH_SEQ_STATUS scan;
	int builtins = 0;
	int customs = 0;
	bool *has;

	while (metric_name(builtins) != NULL)
		builtins++;
	has = palloc0(builtins);
	names = palloc((builtins + answer->name_count) * sizeof(char *));
	hash_seq_init(&scan, answer->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
		if (cell->key.name == METRIC_BUILTIN)
			for (int i = 0; i < builtins; i++)
			{
				metric m = metric_parse(metric_name(i));
				int64 samples;

				if (!has[i])
				{
					(void) metric_evaluate(&m, &cell->tally, 1, &samples);
					has[i] = samples > 0;
				}
			}
	*count = 0;
	for (int i = 0; i < builtins; i++)
		if (has[i] || metric_number(answer, metric_name(i)) >= 0)
			names[(*count)++] = metric_name(i);
	for (int i = 0; i < answer->name_count; i++)
		if (metric_parse(answer->names[i]).form == METRIC_CUSTOM)
			names[*count + customs++] = answer->names[i];
	qsort(names + *count, customs, sizeof(char *), compare_names);
	*count += customs;
	return names;
}
