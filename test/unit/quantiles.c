/* quantiles: the same answers as merging the summaries and asking the result; damage is told, and never read past. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/quantiles.h"
#include "core/summary.h"
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

static uint64_t state = 42;

static double
uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double) (state >> 11) / 9007199254740992.0;
}

/* compare: so many summaries of so many values each, spread over some orders of magnitude. */
static void
compare(int summaries, int values, double spread, double zeros)
{
	static unsigned char bytes[SUMMARY_SIZE_MAX];
	summary merged;
	quantiles q;
	quantiles half; /* every other part comes by way of it */

	summary_init(&merged, memory, NULL);
	quantiles_init(&q, memory, NULL);
	quantiles_init(&half, memory, NULL);
	for (int i = 0; i < summaries; i++)
	{
		summary s;
		size_t length;

		summary_init(&s, memory, NULL);
		for (int j = 0; j < values; j++)
			summary_add(&s, uniform() < zeros ? 0 : pow(10, spread * (uniform() - 0.5)));
		length = summary_encode(&s, bytes);
		CHECK(quantiles_add(i % 2 ? &half : &q, bytes, length), "part %d", i);
		CHECK(summary_merge(&merged, bytes, length), "part %d", i);
		summary_free(&s);
	}
	quantiles_merge(&q, &half);
	quantiles_free(&half);
	{
		size_t length = summary_encode(&merged, bytes);

		for (int p = 0; p <= 100; p++)
		{
			double told = quantiles_at(&q, p / 100.0);
			double wanted = summary_quantile(bytes, length, p / 100.0);

			CHECK(told == wanted || (isnan(told) && isnan(wanted)), "%d x %d: quantile %d %% is %g, not %g", summaries,
				  values, p, told, wanted);
		}
	}
	quantiles_free(&q);
	summary_free(&merged);
}

/* billions: more values in a bucket than 32 bits count, from small ones, by themselves and by way of another. */
static void
billions(void)
{
	static unsigned char large[SUMMARY_SIZE_MAX];
	static unsigned char small[SUMMARY_SIZE_MAX];
	size_t large_length;
	size_t small_length;
	summary s;
	quantiles q;
	quantiles other;

	summary_init(&s, memory, NULL);
	for (int i = 1; i <= 10; i++)
		summary_add(&s, i < 8 ? 1 : 2);
	small_length = summary_encode(&s, small);
	for (int i = 0; i < 30; i++)
	{
		large_length = summary_encode(&s, large);
		CHECK(summary_merge(&s, large, large_length), "doubled %d times", i);
	}
	large_length = summary_encode(&s, large);
	for (int way = 0; way < 3; way++)
	{
		quantiles_init(&q, memory, NULL);
		quantiles_init(&other, memory, NULL);
		CHECK(quantiles_add(&q, way == 0 ? large : small, way == 0 ? large_length : small_length), "the first");
		CHECK(quantiles_add(way == 2 ? &other : &q, way == 0 ? small : large, way == 0 ? small_length : large_length),
			  "the second");
		quantiles_merge(&q, &other);
		CHECK(q.n == (10LL << 30) + 10, "way %d: %lld values", way, (long long) q.n);
		CHECK(fabs(quantiles_at(&q, 0.699) - 1) < 0.01 && fabs(quantiles_at(&q, 0.701) - 2) < 0.02,
			  "way %d: %g and %g about the place where 1 turns to 2", way, quantiles_at(&q, 0.699),
			  quantiles_at(&q, 0.701));
		quantiles_free(&q);
		quantiles_free(&other);
	}
	summary_free(&s);
}

int
main(void)
{
	unsigned char bytes[SUMMARY_SIZE_MAX];
	size_t length;
	summary s;
	quantiles q;

	compare(0, 0, 1, 0);
	compare(1, 0, 1, 0);
	compare(1, 1, 1, 0);
	compare(1, 2, 1, 0);
	compare(1, 1000, 3, 0);
	compare(100, 3, 3, 0);
	compare(50, 200, 10, 0);
	compare(20, 300, 4, 0.3);
	compare(5, 10, 1, 1);
	compare(3, 1, 600, 0);
	billions();

	/* Every shortened form is refused. */
	summary_init(&s, memory, NULL);
	for (int i = 0; i < 300; i++)
		summary_add(&s, 1 + i % 7 * 100 + i);
	length = summary_encode(&s, bytes);
	for (size_t cut = 0; cut < length; cut++)
	{
		unsigned char *part = malloc(cut + 1);

		memcpy(part, bytes, cut);
		quantiles_init(&q, memory, NULL);
		CHECK(!quantiles_add(&q, part, cut), "%zu of %zu bytes are taken", cut, length);
		quantiles_free(&q);
		free(part);
	}
	summary_add(&s, -1);
	length = summary_encode(&s, bytes);
	quantiles_init(&q, memory, NULL);
	CHECK(!quantiles_add(&q, bytes, length), "a negative value is taken");
	quantiles_free(&q);
	summary_free(&s);
	return unit_done();
}
