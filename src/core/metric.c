/*
 * metric.c: the one table of the built-in metrics, and how each is computed. Pure: who reads the counts and sums is
 * the shell's business (pg/metric.c).
 */
#include "core/metric.h"

#include <math.h>
#include <string.h>

typedef struct builtin
{
	const char *name;
	metric is;
} builtin;

/* In the order that people read them: does it work, how fast, how sure, for how much, how often. */
static const builtin builtins[] = {
	{"success_rate", {METRIC_SUCCESS_RATE, 0, 0, 1}},
	{"error_rate", {METRIC_ERROR_RATE, 0, 0, -1}},
	{"avg_response_time", {METRIC_MEAN, METRIC_RESPONSE_TIME, 0, -1}},
	{"p50_response_time", {METRIC_QUANTILE, METRIC_RESPONSE_TIME, 0.5, -1}},
	{"p95_response_time", {METRIC_QUANTILE, METRIC_RESPONSE_TIME, 0.95, -1}},
	{"p99_response_time", {METRIC_QUANTILE, METRIC_RESPONSE_TIME, 0.99, -1}},
	{"confidence_score", {METRIC_MEAN, METRIC_CONFIDENCE, 0, 1}},
	{"cost_per_request", {METRIC_MEAN, METRIC_COST, 0, -1}},
	{"input_tokens", {METRIC_MEAN, METRIC_INPUT_TOKENS, 0, -1}},
	{"output_tokens", {METRIC_MEAN, METRIC_OUTPUT_TOKENS, 0, -1}},
	{"requests_per_minute", {METRIC_REQUESTS_PER_MINUTE, 0, 0, 1}},
};
#define BUILTINS ((int) (sizeof(builtins) / sizeof(builtins[0])))

static const struct
{
	const char *alias;
	const char *name;
} aliases[] = {
	{"response_time", "avg_response_time"}, {"confidence", "confidence_score"}, {"cost", "cost_per_request"}};

const char *
metric_canonical(const char *name)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].alias, name) == 0)
			return aliases[i].name;
	return name;
}

metric
metric_parse(const char *name)
{
	name = metric_canonical(name);
	for (int i = 0; i < BUILTINS; i++)
		if (strcmp(builtins[i].name, name) == 0)
			return builtins[i].is;
	return (metric){METRIC_CUSTOM, 0, 0, 0};
}

const char *
metric_name(int i)
{
	return i >= 0 && i < BUILTINS ? builtins[i].name : NULL;
}

void
metric_range(const metric *m, double *low, double *high)
{
	bool rate = m->form == METRIC_SUCCESS_RATE || m->form == METRIC_ERROR_RATE ||
				(m->form == METRIC_MEAN && m->measure == METRIC_CONFIDENCE);

	*low = m->form == METRIC_CUSTOM ? -METRIC_MAX_VALUE : 0;
	*high = rate ? 1 : METRIC_MAX_VALUE;
}

double
metric_evaluate(const metric *m, const metric_tally *tally, double minutes, int64_t *samples)
{
	double value = NAN;

	*samples = 0;
	switch (m->form)
	{
		case METRIC_SUCCESS_RATE:
			*samples = tally->known;
			value = (double) tally->successes / (double) tally->known;
			break;
		case METRIC_ERROR_RATE:
			*samples = tally->requests;
			value = (double) tally->errors / (double) tally->requests;
			break;
		case METRIC_MEAN:
			*samples = tally->measures[m->measure].count;
			value = tally->measures[m->measure].sum / (double) *samples;
			break;
		case METRIC_QUANTILE:
			if (tally->measures[m->measure].parts != NULL)
				value = quantiles_at(tally->measures[m->measure].parts, m->quantile);
			else if (tally->measures[m->measure].sketch != NULL)
				value = summary_quantile(tally->measures[m->measure].sketch, tally->measures[m->measure].sketch_length,
										 m->quantile);
			else
				break;
			*samples = tally->measures[m->measure].count;
			break;
		case METRIC_REQUESTS_PER_MINUTE:
			*samples = tally->requests;
			value = (double) tally->requests / minutes;
			break;
		case METRIC_CUSTOM:
			break;
	}
	if (*samples <= 0)
		*samples = 0;
	return *samples > 0 ? value : NAN;
}
