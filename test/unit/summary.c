/*
 * summary.c: moments, sketch and stored form: reference streams, properties (merge in any order, any split), the bound
 * of size, the text form, the stored sample of version 1, and refusal of damaged bytes.
 */
#include "unit.h"

#include "vectors.h"

#include "core/summary.h"

static void *
memory(void *context, void *old, size_t size)
{
	if (size == 0)
	{
		free(old);
		return NULL;
	}
	return realloc(old, size);
}

/* A stored form, as one would lie in a table. */
typedef struct stored
{
	size_t length;
	unsigned char bytes[SUMMARY_SIZE_MAX];
} stored;

static void
store(summary *s, stored *to)
{
	size_t bound = summary_size(s);

	to->length = summary_encode(s, to->bytes);
	CHECK(to->length <= bound && bound <= SUMMARY_SIZE_MAX, "%zu bytes, bound %zu", to->length, bound);
	CHECK(summary_check(to->bytes, to->length) == NULL, "%s", summary_check(to->bytes, to->length));
}

/* summarize: a whole array. */
static void
summarize(const double *x, int n, stored *to)
{
	summary s;

	summary_init(&s, memory, NULL);
	for (int i = 0; i < n; i++)
		summary_add(&s, x[i]);
	store(&s, to);
	summary_free(&s);
}

static void
merge(const stored *a, const stored *b, stored *to)
{
	summary s;

	summary_init(&s, memory, NULL);
	CHECK(summary_merge(&s, a->bytes, a->length) && summary_merge(&s, b->bytes, b->length), "merge");
	store(&s, to);
	summary_free(&s);
}

/* same: two forms of the same values: everything exact but the last digits of sum and deviation. */
static void
same(const stored *a, const stored *b, const char *what)
{
	summary_head x;
	summary_head y;
	size_t rest;

	CHECK(summary_read(a->bytes, a->length, &x) && summary_read(b->bytes, b->length, &y), "%s", what);
	rest = (size_t) (x.end - x.buckets);
	CHECK(x.m.n == y.m.n && x.min == y.min && x.max == y.max && x.zeros == y.zeros, "%s: counts and extremes", what);
	CHECK(close_to(x.m.sum.hi, y.m.sum.hi, 1e-12, 1e-12 * fmax(fabs(x.min), fabs(x.max))), "%s: sums %.17g %.17g", what,
		  x.m.sum.hi, y.m.sum.hi);
	CHECK(close_to(x.m.m2, y.m.m2, 1e-12, 0), "%s: m2 %.17g %.17g", what, x.m.m2, y.m.m2);
	CHECK((size_t) (y.end - y.buckets) == rest && memcmp(x.buckets, y.buckets, rest) == 0, "%s: buckets", what);
}

static double values[8][5000];

/* random_value: streams of different kinds, by a fixed generator (SplitMix64). */
static uint64_t state = 20240501;
static uint64_t
random_bits(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}
static double
uniform(void)
{
	return (double) (random_bits() >> 11) * 0x1p-53;
}

static void
streams(void)
{
	for (int i = 0; i < 5000; i++)
	{
		values[0][i] = uniform();
		values[1][i] = 1e9 + uniform();
		values[2][i] = (uniform() - 0.5) * pow(10, 20 * uniform() - 10);
		values[3][i] = floor(uniform() * 10) - 3;
		values[4][i] = -exp(10 * uniform());
		values[5][i] = 42.1;
		/* more buckets than are kept, of either sign */
		values[6][i] = (uniform() < 0.5 ? -1 : 1) * pow(10, 300 * (2 * uniform() - 1) / 2);
		values[7][i] = i == 0 ? 1e12 : uniform();
	}
}

static void
properties(void)
{
	static stored whole;
	static stored part[3];
	static stored x;
	static stored y;
	static stored z;

	for (int k = 0; k < 8; k++)
	{
		char what[64];

		snprintf(what, sizeof(what), "stream %d", k);
		summarize(values[k], 5000, &whole);
		for (int round = 0; round < 20; round++)
		{
			int a = (int) (random_bits() % 5001);
			int b = a + (int) (random_bits() % (5001 - a));

			summarize(values[k], a, &part[0]);
			summarize(values[k] + a, b - a, &part[1]);
			summarize(values[k] + b, 5000 - b, &part[2]);
			/* associative, and the same as without any split */
			merge(&part[0], &part[1], &x);
			merge(&x, &part[2], &y);
			same(&whole, &y, what);
			merge(&part[1], &part[2], &x);
			merge(&part[0], &x, &z);
			same(&y, &z, what);
			/* commutative */
			merge(&x, &part[0], &z);
			same(&y, &z, what);
		}
	}
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Every rank of every stream that keeps all its buckets is within 1 %. */
static void
quantiles(void)
{
	static stored form;

	for (int k = 0; k < 8; k++)
	{
		double previous = -INFINITY;

		summarize(values[k], 5000, &form);
		qsort(values[k], 5000, sizeof(double), by_value);
		for (int rank = 1; rank <= 5000; rank++)
		{
			double want = values[k][rank - 1];
			double seen = summary_quantile(form.bytes, form.length, (rank - 0.5) / 5000);

			CHECK(seen >= previous, "stream %d rank %d: %.17g below %.17g", k, rank, seen, previous);
			previous = seen;
			if (k != 6)
				CHECK(fabs(seen - want) <= 0.00991 * fabs(want), "stream %d rank %d: %.17g for %.17g", k, rank, seen,
					  want);
			else if (fabs(want) > 1e120)
				CHECK(fabs(seen - want) <= 0.00991 * fabs(want), "the largest magnitudes: %.17g for %.17g", seen, want);
		}
		CHECK(summary_quantile(form.bytes, form.length, 0) == values[k][0], "stream %d", k);
		CHECK(summary_quantile(form.bytes, form.length, 1) == values[k][4999], "stream %d", k);
	}
	streams();
}

static void
buckets(void)
{
	static const double points[] = {4.9e-324, 1e-310, 2.2250738585072014e-308, 1e-300, 0.1, 1, 1.0199999999, 1.02, 1.98,
									3.14,     1e17,   1.7976931348623157e308};

	for (size_t i = 0; i < sizeof(points) / sizeof(double); i++)
	{
		int32_t index = sketch_index(points[i]);
		double middle = sketch_middle(index);

		CHECK(index >= SKETCH_INDEX_MIN && index <= SKETCH_INDEX_MAX, "%g: %d", points[i], index);
		/* below the normal numbers a double itself is coarser than 1 % */
		CHECK(fabs(middle - points[i]) <= 0.00991 * points[i] + 4.9e-324, "%.17g stands for %.17g", middle, points[i]);
	}
	for (double x = 1e-9; x < 1e9; x *= 1.0007)
	{
		CHECK(sketch_index(x) <= sketch_index(x * 1.0007), "order at %g", x);
		CHECK(sketch_index(sketch_middle(sketch_index(x))) == sketch_index(x), "the middle of %g", x);
	}
	CHECK(sketch_index(1) == 0 && sketch_index(0.999999) == -1 && sketch_index(2) == 50 && sketch_index(1.5) == 25,
		  "edges");
}

static void
reference_streams(void)
{
	vectors *e = vectors_open("summary_expected");
	static stored form;

	while (vectors_next(e))
	{
		vectors *v = vectors_open("summary_streams");
		summary s;
		summary_head h;
		const char *name = vectors_text(e, "stream");
		double sd;

		summary_init(&s, memory, NULL);
		while (vectors_next(v))
			if (strcmp(vectors_text(v, "stream"), name) == 0)
				summary_add(&s, vectors_number(v, "value"));
		store(&s, &form);
		summary_free(&s);
		CHECK(summary_read(form.bytes, form.length, &h), "%s", name);
		sd = sqrt(moments_variance(&h.m));
		CHECK(h.m.n == atoll(vectors_text(e, "n")), "%s", name);
		CHECK(close_to(dd_value(moments_mean(&h.m)), vectors_number(e, "mean"), 1e-15, 0), "%s: mean %.17g", name,
			  dd_value(moments_mean(&h.m)));
		CHECK(close_to(sd, vectors_number(e, "stddev"), 1e-12, 0), "%s: deviation %.17g", name, sd);
		CHECK(close_to(sd, vectors_number(e, "certified_stddev"), 5e-10, 0), "%s: deviation %.17g", name, sd);
		CHECK(h.min == vectors_number(e, "min") && h.max == vectors_number(e, "max"), "%s", name);
	}
	e = vectors_open("quantile_expected");
	while (vectors_next(e))
	{
		static char last[64];
		const char *name = vectors_text(e, "stream");
		double want = vectors_number(e, "value");
		double seen;

		if (strcmp(name, last) != 0)
		{
			vectors *v = vectors_open("quantile_streams");
			summary s;

			summary_init(&s, memory, NULL);
			while (vectors_next(v))
				if (strcmp(vectors_text(v, "stream"), name) == 0)
					summary_add(&s, vectors_number(v, "value"));
			store(&s, &form);
			summary_free(&s);
			snprintf(last, sizeof(last), "%s", name);
		}
		seen = summary_quantile(form.bytes, form.length, vectors_number(e, "q"));
		CHECK(fabs(seen - want) <= 0.0101 * fabs(want), "%s %s: %.17g for %.17g", name, vectors_text(e, "q"), seen,
			  want);
	}
	/* NumAcc4 of NIST: 10000000.2 once, then 500 times 10000000.1 and 10000000.3; moments of the doubles exactly */
	{
		moments m = {0};

		moments_add(&m, 10000000.2);
		for (int i = 0; i < 500; i++)
		{
			moments_add(&m, 10000000.1);
			moments_add(&m, 10000000.3);
		}
		CHECK(close_to(sqrt(moments_variance(&m)), 0.1000000005587935, 1e-11, 0), "%.17g", sqrt(moments_variance(&m)));
		CHECK(close_to(sqrt(moments_variance(&m)), 0.1, 1e-8, 0), "%.17g", sqrt(moments_variance(&m)));
		CHECK(dd_value(moments_mean(&m)) == 10000000.2, "%.17g", dd_value(moments_mean(&m)));
	}
}

static void
text_form(void)
{
	static stored form;
	static stored again;
	static char text[SUMMARY_TEXT_MAX];
	static const char *const refused[] = {"",
										  "{}",
										  "x",
										  "{\"version\":2,\"n\":0,\"sum\":[0,0],\"m2\":0,\"min\":0,\"max\":0,\"zeros\":"
										  "0,\"negative\":[],\"positive\":[]}",
										  "{\"version\":1,\"n\":1,\"sum\":[1,0],\"m2\":0,\"min\":1,\"max\":1,\"zeros\":"
										  "0,\"negative\":[],\"positive\":[0,2]}",
										  "{\"version\":1,\"n\":1,\"sum\":[nan,0],\"m2\":0,\"min\":1,\"max\":1,"
										  "\"zeros\":0,\"negative\":[],\"positive\":[0,1]}",
										  "{\"version\":1,\"n\":1,\"sum\":[1,0],\"m2\":0,\"min\":1,\"max\":1,\"zeros\":"
										  "0,\"negative\":[],\"positive\":[0,1]} x",
										  "{\"version\":1,\"n\":1,\"sum\":[1,0],\"m2\":0,\"min\":1,\"max\":1,\"zeros\":"
										  "0,\"negative\":[],\"positive\":[0,-1]}",
										  "{\"version\":1,\"n\":1,\"sum\":[1,0],\"m2\":0,\"min\":1,\"max\":1,\"zeros\":"
										  "0,\"negative\":[],\"positive\":[99999999,1]}",
										  "{\"version\":1,\"n\":0,\"sum\":[1,0],\"m2\":0,\"min\":0,\"max\":0,\"zeros\":"
										  "0,\"negative\":[],\"positive\":[]}"};

	for (int k = 0; k < 9; k++)
	{
		summary s;
		const char *wrong;

		summarize(values[k % 8], k == 8 ? 0 : 5000, &form);
		CHECK(summary_to_text(form.bytes, form.length, text) < SUMMARY_TEXT_MAX, "length");
		summary_init(&s, memory, NULL);
		wrong = summary_from_text(text, &s);
		CHECK(wrong == NULL, "stream %d: %s", k, wrong);
		store(&s, &again);
		summary_free(&s);
		CHECK(form.length == again.length && memcmp(form.bytes, again.bytes, form.length) == 0, "stream %d: %s", k,
			  text);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(char *); i++)
	{
		summary s;

		summary_init(&s, memory, NULL);
		CHECK(summary_from_text(refused[i], &s) != NULL, "%s", refused[i]);
		summary_free(&s);
	}
}

/* The bytes that version 1 wrote for -2.5, 0, 1.5, 1.5, 300: to be read for ever. */
static void
stored_sample(void)
{
	static const unsigned char sample[] = {0x01, 0x0e, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc8, 0x72, 0x40, 0x33,
										   0x33, 0x33, 0x33, 0xeb, 0x90, 0xf1, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
										   0x00, 0x04, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x72, 0x40, 0x01,
										   0x01, 0x7c, 0x01, 0x02, 0x32, 0x02, 0xfe, 0x02, 0x01};
	static const double same_values[] = {-2.5, 0, 1.5, 1.5, 300};
	static stored form;
	summary_head h;

	CHECK(summary_check(sample, sizeof(sample)) == NULL, "%s", summary_check(sample, sizeof(sample)));
	CHECK(summary_read(sample, sizeof(sample), &h) && h.m.n == 5 && h.m.sum.hi == 300.5 && h.min == -2.5 &&
			  h.max == 300 && h.zeros == 1,
		  "head");
	CHECK(close_to(moments_variance(&h.m), 17987.675, 1e-14, 0), "%.17g", moments_variance(&h.m));
	CHECK(fabs(summary_quantile(sample, sizeof(sample), 0.6) - 1.5) < 0.015, "median");
	/* as long as version 1 is what is written: the same bytes today */
	summarize(same_values, 5, &form);
	CHECK(form.length == sizeof(sample) && memcmp(form.bytes, sample, sizeof(sample)) == 0, "%zu bytes", form.length);
	if (form.length != sizeof(sample) || memcmp(form.bytes, sample, sizeof(sample)) != 0)
		for (size_t i = 0; i < form.length; i++)
			printf("0x%02x, ", form.bytes[i]);
}

/* damage: every single-byte change of a form is either refused or another valid form; no read beyond the end (ASan). */
static void
damage(void)
{
	static stored form;
	int refused = 0;

	summarize(values[3], 300, &form);
	for (size_t i = 0; i < form.length; i++)
	{
		unsigned char *copy = malloc(form.length);

		for (int change = 1; change < 256; change += 7)
		{
			memcpy(copy, form.bytes, form.length);
			copy[i] ^= (unsigned char) change;
			refused += summary_check(copy, form.length) != NULL;
			summary_quantile(copy, form.length, 0.5);
		}
		free(copy);
		copy = malloc(i + 1);
		memcpy(copy, form.bytes, i);
		CHECK(summary_check(copy, i) != NULL, "cut at %zu", i);
		free(copy);
	}
	CHECK(refused > (int) form.length * 20, "%d refused", refused);
}

/* A minute of 100 requests must fit its rollup: four summaries and the rest in 1.5 kB. */
static void
size(void)
{
	static stored form;
	double latency[100];

	for (int i = 0; i < 100; i++)
		latency[i] = 0.05 + 0.3 * -log(uniform());
	summarize(latency, 100, &form);
	CHECK(form.length < 320, "%zu bytes", form.length);
	summarize(values[6], 5000, &form);
	CHECK(form.length < SUMMARY_SIZE_MAX, "%zu bytes", form.length);
}

int
main(void)
{
	streams();
	properties();
	quantiles();
	buckets();
	reference_streams();
	text_form();
	stored_sample();
	damage();
	size();
	return unit_done();
}
