/* metric: names, aliases and directions of the vocabulary, and each metric from counts and sums worked out by hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/metric.h"
#include "unit.h"

static void *
memory(void *context, void *old, size_t size)
{
	(void) context;
	if (size == 0)
	{
		free(old);
		return NULL;
	}
	return realloc(old, size);
}

static void
check(const char *name, const metric_tally *tally, double minutes, double value, int64_t samples)
{
	metric m = metric_parse(name);
	int64_t n = -1;
	double v = metric_evaluate(&m, tally, minutes, &n);

	CHECK(n == samples, "%s: %lld samples", name, (long long) n);
	CHECK(isnan(value) ? isnan(v) : fabs(v - value) <= 1e-12 * fabs(value), "%s: %.17g", name, v);
}

int
main(void)
{
	static const struct
	{
		const char *name;
		const char *canonical;
		int direction;
		double high;
	} known[] = {{"success_rate", "success_rate", 1, 1},
				 {"error_rate", "error_rate", -1, 1},
				 {"avg_response_time", "avg_response_time", -1, 1e100},
				 {"response_time", "avg_response_time", -1, 1e100},
				 {"p50_response_time", "p50_response_time", -1, 1e100},
				 {"p95_response_time", "p95_response_time", -1, 1e100},
				 {"p99_response_time", "p99_response_time", -1, 1e100},
				 {"confidence_score", "confidence_score", 1, 1},
				 {"confidence", "confidence_score", 1, 1},
				 {"cost_per_request", "cost_per_request", -1, 1e100},
				 {"cost", "cost_per_request", -1, 1e100},
				 {"input_tokens", "input_tokens", -1, 1e100},
				 {"output_tokens", "output_tokens", -1, 1e100},
				 {"requests_per_minute", "requests_per_minute", 1, 1e100}};
	static const char *const custom[] = {"", "Success_Rate", "success_rate ", "p95", "p90_response_time", "refunds"};
	metric_tally tally;
	metric_tally none;
	summary s;
	unsigned char bytes[SUMMARY_SIZE_MAX];
	int names = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		metric m = metric_parse(known[i].name);
		double low = NAN;
		double high = NAN;

		CHECK(m.form != METRIC_CUSTOM, "%s is custom", known[i].name);
		CHECK(m.direction == known[i].direction, "%s: %d", known[i].name, m.direction);
		CHECK(strcmp(metric_canonical(known[i].name), known[i].canonical) == 0, "%s: %s", known[i].name,
			  metric_canonical(known[i].name));
		metric_range(&m, &low, &high);
		CHECK(low == 0 && high == known[i].high, "%s: %g to %g", known[i].name, low, high);
	}
	for (size_t i = 0; i < sizeof(custom) / sizeof(custom[0]); i++)
	{
		metric m = metric_parse(custom[i]);
		double low = NAN;
		double high = NAN;

		CHECK(m.form == METRIC_CUSTOM && m.direction == 0, "%s is built in", custom[i]);
		CHECK(metric_canonical(custom[i]) == custom[i], "%s has another name", custom[i]);
		metric_range(&m, &low, &high);
		CHECK(low == -1e100 && high == 1e100, "%s: %g to %g", custom[i], low, high);
	}
	for (; metric_name(names) != NULL; names++)
		CHECK(strcmp(metric_canonical(metric_name(names)), metric_name(names)) == 0 &&
				  metric_parse(metric_name(names)).form != METRIC_CUSTOM,
			  "%s", metric_name(names));
	CHECK(names == 11, "%d names", names);
	CHECK(metric_name(-1) == NULL && metric_name(names + 1) == NULL, "names past the ends");

	/* Nothing at all: no samples, no value. */
	memset(&none, 0, sizeof(none));
	for (int i = 0; i < names; i++)
		check(metric_name(i), &none, 60, NAN, 0);
	check("refunds", &none, 60, NAN, 0);

	memset(&tally, 0, sizeof(tally));
	tally.requests = 200;
	tally.known = 150;
	tally.successes = 120;
	tally.errors = 30;
	for (int i = 0; i < METRIC_MEASURES; i++)
	{
		tally.measures[i].count = 10 * (i + 1);
		tally.measures[i].sum = 7 * (i + 1) * (i + 1);
	}
	check("success_rate", &tally, 5, 0.8, 150);
	check("error_rate", &tally, 5, 0.15, 200);
	check("response_time", &tally, 5, 0.7, 10);
	check("confidence", &tally, 5, 1.4, 20);
	check("cost_per_request", &tally, 5, 2.1, 30);
	check("input_tokens", &tally, 5, 2.8, 40);
	check("output_tokens", &tally, 5, 3.5, 50);
	check("requests_per_minute", &tally, 5, 40, 200);
	check("requests_per_minute", &tally, 0.5, 400, 200);
	check("refunds", &tally, 5, NAN, 0);
	/* A sketch that was not read gives no quantile. */
	check("p95_response_time", &tally, 5, NAN, 0);

	summary_init(&s, memory, NULL);
	for (int i = 1; i <= 1000; i++)
		summary_add(&s, i);
	tally.measures[METRIC_RESPONSE_TIME].sketch = bytes;
	tally.measures[METRIC_RESPONSE_TIME].sketch_length = summary_encode(&s, bytes);
	tally.measures[METRIC_RESPONSE_TIME].count = 1000;
	for (int i = 0; i < 3; i++)
	{
		static const char *const quantiles[] = {"p50_response_time", "p95_response_time", "p99_response_time"};
		static const double exact[] = {500, 950, 990};
		metric m = metric_parse(quantiles[i]);
		int64_t n;
		double v = metric_evaluate(&m, &tally, 5, &n);

		CHECK(n == 1000 && fabs(v / exact[i] - 1) <= 0.01, "%s: %g of %lld", quantiles[i], v, (long long) n);
	}
	summary_free(&s);
	return unit_done();
}
