/*
 * anomaly_stream.c: a metric minute by minute: what wakes somebody and what does not, traffic that comes and goes, how
 * long an incident lasts, the stored form.
 */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "core/anomaly_stream.h"

#define MINUTE ANOMALY_MINUTE
#define START (INT64_C(9000) * 86400000000)

/* uniform: a fixed sequence in (0, 1), xorshift64 of the seed. */
static uint64_t seed;
static double
uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double) (seed >> 11) + 0.5) / 9007199254740992.0;
}
static double
gauss(void)
{
	double r = sqrt(-2 * log(uniform()));

	return r * cos(6.283185307179586 * uniform());
}
/* rate: the share of n trials that succeed. */
static double
rate(int n, double p)
{
	int successes = 0;

	for (int i = 0; i < n; i++)
		successes += uniform() < p;
	return (double) successes / n;
}
/* times: the mean of n response times with a long tail. */
static double
times(int n, double median)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += median * exp(0.6 * gauss());
	return sum / n;
}

/* What a stretch of minutes brought. */
typedef struct seen
{
	int began;
	int ended;
	int first; /* minute of the first beginning; -1 */
	int last;  /* of the last end; -1 */
	int flags; /* scores of 1 and more */
} seen;

/* One run: its stream, its minutes so far, and how values and traffic come. */
typedef struct run
{
	anomaly_stream stream;
	int minute;
	double sensitivity;
	bool stored; /* through its stored form between any two minutes */
} run;

static run
begin(uint64_t with)
{
	run r = {.sensitivity = ANOMALY_SENSITIVITY};

	seed = with;
	anomaly_stream_init(&r.stream);
	return r;
}

/* go: so many minutes of n requests each; p: rate of success, or the median response time. */
static seen
go(run *r, int minutes, int n, bool proportion, double p)
{
	seen s = {.first = -1, .last = -1};

	for (int i = 0; i < minutes; i++, r->minute++)
	{
		int64_t at = START + r->minute * MINUTE;
		anomaly_stream_result result;

		if (r->stored)
		{
			unsigned char bytes[ANOMALY_STREAM_SIZE];

			anomaly_stream_serialise(&r->stream, bytes);
			memset(&r->stream, 0x55, sizeof(r->stream));
			if (!anomaly_stream_restore(&r->stream, bytes, sizeof(bytes)))
				CHECK(false, "minute %d: not restored", r->minute);
		}
		if (anomaly_stream_ends(&r->stream, at))
		{
			s.ended++;
			s.last = i;
		}
		if (n == 0)
			continue;
		result =
			anomaly_stream_update(&r->stream, proportion ? rate(n, p) : times(n, p), n, proportion, at, r->sensitivity);
		s.flags += result.score >= 1;
		if (result.began && s.began++ == 0)
			s.first = i;
	}
	return s;
}

/* Nothing happens: how often is somebody woken in a hundred weeks of each? */
static void
quiet(void)
{
	static const struct
	{
		int n;
		double p;
		bool proportion;
		int most;
	} kinds[] = {
		{100, 0.97, true, 0}, {20, 0.999, true, 1}, {3, 0.97, true, 0}, {1, 0.9, true, 1}, {20, 0.8, false, 12}};

	for (int k = 0; k < 5; k++)
	{
		int woken = 0;
		int flags = 0;

		for (int i = 1; i <= 20; i++)
		{
			run r = begin((uint64_t) i * 7919);
			seen s = go(&r, 7 * 1440, kinds[k].n, kinds[k].proportion, kinds[k].p);

			woken += s.began;
			flags += s.flags;
		}
		CHECK(woken <= kinds[k].most, "%d requests, %g: woken %d times in 20 weeks", kinds[k].n, kinds[k].p, woken);
		CHECK(flags > woken, "%d requests, %g: %d flags: noise sets records", kinds[k].n, kinds[k].p, flags);
	}
}

/* A rollout takes traffic away or brings it: the noise changes, the metric does not. */
static void
shares(void)
{
	static const int share[][2] = {{100, 10}, {300, 3}, {10, 100}, {300, 30}};
	int woken = 0;
	int unaware = 0;

	for (int k = 0; k < 4; k++)
		for (int i = 1; i <= 20; i++)
			for (int proportion = 0; proportion < 2; proportion++)
			{
				run r = begin((uint64_t) i * 104729);

				go(&r, 1440, share[k][0], proportion, 0.97);
				woken += go(&r, 720, share[k][1], proportion, 0.97).began;
				woken += go(&r, 720, share[k][0], proportion, 0.97).began;

				/* told that all minutes hold the same number, it would cry wolf */
				r = begin((uint64_t) i * 104729);
				for (int m = 0; m < 1440 + 720; m++)
				{
					int n = share[k][m >= 1440];

					unaware += anomaly_stream_update(&r.stream, proportion ? rate(n, 0.97) : times(n, 0.97), 100,
													 proportion, START + m * MINUTE, 2)
								   .began;
					anomaly_stream_ends(&r.stream, START + m * MINUTE);
				}
			}
	CHECK(woken <= 8, "woken %d times in 160 changes of traffic", woken);
	CHECK(unaware > 8 * (woken + 1), "%d times without knowing the traffic", unaware);
}

/* What must be told, how soon, and for how long. */
static void
incidents(void)
{
	static const struct
	{
		int n;
		double from;
		double to;
		bool proportion;
		int within;
	} kinds[] = {{100, 0.97, 0.7, true, 2},
				 {20, 0.99, 0.5, true, 2},
				 {1, 1, 0, true, 4},
				 {100, 0.8, 2.4, false, 2},
				 {10, 0.8, 2.4, false, 4}};

	for (int k = 0; k < 5; k++)
		for (int i = 1; i <= 10; i++)
		{
			run r = begin((uint64_t) i * 15485863);
			seen before = go(&r, 3 * 1440, kinds[k].n, kinds[k].proportion, kinds[k].from);
			seen during = go(&r, 120, kinds[k].n, kinds[k].proportion, kinds[k].to);
			seen after = go(&r, 120, kinds[k].n, kinds[k].proportion, kinds[k].from);

			(void) before;
			CHECK(during.began == 1 && during.first >= 1 && during.first <= kinds[k].within,
				  "kind %d, seed %d: began %d times, first in minute %d", k, i, during.began, during.first);
			CHECK(during.ended == 0, "kind %d, seed %d: ended while it lasted", k, i);
			CHECK(after.began == 0 && after.ended == 1 && after.last >= 14 && after.last <= 60,
				  "kind %d, seed %d: after it %d ends, the last in minute %d, %d beginnings", k, i, after.ended,
				  after.last, after.began);
		}
}

/* The one minute that fails wholly is told by the way back; a level that stays is the usual one after six hours. */
static void
edges(void)
{
	run r = begin(17);
	seen s;

	go(&r, 1440, 100, true, 0.97);
	CHECK(go(&r, 1, 100, true, 0).began == 0, "one odd minute is not confirmed");
	s = go(&r, 30, 100, true, 0.97);
	CHECK(s.began == 1 && s.first == 0 && s.ended == 1 && s.last >= 15 && s.last <= 22, "first %d, end %d", s.first,
		  s.last);

	r = begin(18);
	go(&r, 1440, 100, true, 0.97);
	s = go(&r, 1440, 100, true, 0.6);
	CHECK(s.began == 1 && s.ended == 1 && s.last >= 360 && s.last <= 400, "%d beginnings, end in minute %d", s.began,
		  s.last);

	/* traffic that stops ends it too; what comes back is judged by what was usual before */
	r = begin(19);
	go(&r, 1440, 100, true, 0.97);
	CHECK(go(&r, 5, 100, true, 0.2).began == 1, "began");
	s = go(&r, 30, 0, true, 0);
	CHECK(s.ended == 1 && s.last == 15, "ended in minute %d without traffic", s.last);

	/* nothing is judged, therefore nothing told, in the first 30 minutes */
	r = begin(20);
	go(&r, 15, 100, true, 1);
	CHECK(go(&r, 10, 100, true, 0).began == 0, "learning");
}

/* A wider band never begins an incident that a narrower one does not know of. */
static void
sensitivities(void)
{
	static const double widths[] = {0.5, 1, 2, 4, 16};
	static unsigned char odd[5][6000];

	for (int k = 0; k < 5; k++)
	{
		run r = begin(23);

		for (int i = 0; i < 6000; i++)
		{
			double median = i % 1000 > 950 ? 2.5 : 0.8;

			anomaly_stream_update(&r.stream, times(20, median), 20, false, START + i * MINUTE, widths[k]);
			odd[k][i] = r.stream.last_odd == r.stream.detector.n;
		}
	}
	for (int k = 1; k < 5; k++)
	{
		int more = 0;
		int fewer = 0;

		for (int i = 0; i < 6000; i++)
		{
			more += odd[k][i] && !odd[k - 1][i];
			fewer += !odd[k][i] && odd[k - 1][i];
		}
		CHECK(more == 0 && fewer > 0, "width %g: %d more, %d fewer than the narrower", widths[k], more, fewer);
	}
}

static void
stored(void)
{
	run plain = begin(29);
	run kept = begin(29);
	unsigned char bytes[ANOMALY_STREAM_SIZE];
	unsigned char again[ANOMALY_STREAM_SIZE];

	CHECK(ANOMALY_STREAM_SIZE <= 1024, "%d bytes", (int) ANOMALY_STREAM_SIZE);
	kept.stored = true;
	for (int part = 0; part < 4; part++)
	{
		static const double p[] = {0.97, 0.5, 0.97, 0};
		uint64_t from = seed;
		seen a = go(&plain, 400, 30, true, p[part]);
		seen b;

		seed = from;
		b = go(&kept, 400, 30, true, p[part]);
		CHECK(memcmp(&a, &b, sizeof(a)) == 0, "part %d", part);
		anomaly_stream_serialise(&plain.stream, bytes);
		anomaly_stream_serialise(&kept.stream, again);
		CHECK(memcmp(bytes, again, sizeof(bytes)) == 0, "part %d: bytes", part);
	}
	CHECK(!anomaly_stream_restore(&kept.stream, bytes, sizeof(bytes) - 1) &&
			  !anomaly_stream_restore(&kept.stream, bytes, 0),
		  "lengths");
	/* since and last are times, any will do if there is none or both; all other words may not be all ones */
	for (int i = 0; i < 10; i++)
	{
		unsigned char *word = bytes + ANOMALY_SIZE + 8 * i;
		unsigned char was[8];

		memcpy(was, word, 8);
		memset(word, 0xff, 8);
		CHECK(!anomaly_stream_restore(&kept.stream, bytes, sizeof(bytes)), "word %d", i);
		memcpy(word, was, 8);
	}
	CHECK(anomaly_stream_restore(&kept.stream, bytes, sizeof(bytes)), "whole again");
	bytes[0] ^= 3;
	CHECK(!anomaly_stream_restore(&kept.stream, bytes, sizeof(bytes)), "the detector's version");
}

/* The same price for every request: its mean is off by roundings, and nothing is odd until it really moves. */
static void
roundings(void)
{
	anomaly_stream s;
	int began = 0;
	int flags = 0;

	seed = 37;
	anomaly_stream_init(&s);
	for (int i = 0; i < 3000; i++)
	{
		double price = i < 2900 ? 0.002 : 0.0021;
		int n = 1 + (int) (uniform() * 40);
		double sum = 0;
		anomaly_stream_result r;

		for (int k = 0; k < n; k++)
			sum += price;
		(void) anomaly_stream_ends(&s, START + i * MINUTE);
		r = anomaly_stream_update(&s, sum / n, n, false, START + i * MINUTE, 2);
		if (i < 2900)
			flags += r.score > 0;
		else
			began += r.began;
	}
	CHECK(flags == 0, "%d flags of rounding errors", flags);
	CHECK(began == 1, "%d beginnings of a new price", began);
}

/* Values and samples at the ends of what doubles hold. */
static void
extremes(void)
{
	static const double values[] = {0, 1e308, -1e308, 5e-324, 1, -1};
	static const double samples[] = {1, 9e18, 1e-3, 5e15};
	anomaly_stream s;
	unsigned char bytes[ANOMALY_STREAM_SIZE];
	int bad = 0;

	seed = 31;
	anomaly_stream_init(&s);
	for (int i = 0; i < 5000; i++)
	{
		anomaly_stream_result r = anomaly_stream_update(&s, values[(int) (uniform() * 6)],
														samples[(int) (uniform() * 4)], false, START + i * MINUTE, 2);

		anomaly_stream_ends(&s, START + i * MINUTE);
		bad += !(r.score >= 0) || (i > 0 && !isfinite(r.expected));
		anomaly_stream_serialise(&s, bytes);
		bad += !anomaly_stream_restore(&s, bytes, sizeof(bytes));
	}
	CHECK(bad == 0, "%d of 5000", bad);
}

int
main(void)
{
	quiet();
	shares();
	incidents();
	edges();
	sensitivities();
	stored();
	roundings();
	extremes();
	return unit_done();
}
