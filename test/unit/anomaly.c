/*
 * anomaly.c: the detector of anomalies: what must be flagged, how rarely noise is, the invariances, the cool-down, the
 * stored form between any two points, and refusal of damaged forms.
 */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/anomaly.h"

#define MINUTE INT64_C(60000000)
#define DAY (1440 * MINUTE)
#define LENGTH 10000
#define STORED_DIGEST UINT64_C(0x038bf713c9255373)

static double x[LENGTH];
static int64_t t[LENGTH];
static unsigned char flag[LENGTH];
static double score[LENGTH];

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

/* noise: a series of n points, five minutes apart. */
static void
noise(int n, uint64_t with, double mean, double sd)
{
	seed = with * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (int i = 0; i < n; i++)
	{
		x[i] = mean + sd * gauss();
		t[i] = INT64_C(800000000000000) + i * 5 * MINUTE;
	}
}

/* watch: runs a fresh detector over n points; how many were flagged. */
static int
watch(int n, double sensitivity, double factor, int64_t later)
{
	anomaly a;
	int flags = 0;

	anomaly_init(&a);
	for (int i = 0; i < n; i++)
	{
		score[i] = anomaly_update(&a, x[i] * factor, t[i] == ANOMALY_NO_TIME ? t[i] : t[i] + later, sensitivity).score;
		flag[i] = score[i] >= 1;
		flags += flag[i];
	}
	return flags;
}

static int
flags_between(int from, int to)
{
	int flags = 0;

	for (int i = from; i < to; i++)
		flags += flag[i];
	return flags;
}

/* A point of 300 and, 500 points later, one of 200, in noise 100 +- 5, wherever in the series. */
static void
spikes(void)
{
	static const int at[] = {40, 150, 700, 2000, 5000, 9400};

	for (int with = 1; with <= 5; with++)
		for (int i = 0; i < 6; i++)
			for (int shape = 0; shape < 2; shape++)
			{
				noise(LENGTH, with, 100, 5);
				if (shape == 1)
					for (int k = 0; k < LENGTH; k++)
						x[k] = 95 + 10 * uniform();
				x[at[i]] = 300;
				x[at[i] + 500] = 200;
				watch(LENGTH, 2, 1, 0);
				CHECK(flag[at[i]] && flag[at[i] + 500], "at %d, seed %d: %d %d", at[i], with, flag[at[i]],
					  flag[at[i] + 500]);
				CHECK(flags_between(at[i] + 1, at[i] + 20) == 0, "at %d, seed %d: repeated", at[i], with);
			}
}

static void
rare_in_noise(void)
{
	int sum = 0;

	for (int with = 1; with <= 60; with++)
	{
		int flags;

		noise(LENGTH, with, with % 3 == 0 ? 0 : 100, with % 2 == 0 ? 5 : 0.001);
		flags = watch(LENGTH, 2, 1, 0);
		sum += flags;
		CHECK(flags <= 10, "seed %d: %d flags", with, flags);
	}
	CHECK(sum <= 60 * 5, "%g flags on average", sum / 60.0);
}

/* Scores, not only flags, are the same in every bit. */
static void
invariances(void)
{
	static double plain[LENGTH];
	static const double factor[] = {4, 1.0 / 1024, 0x1p-600, 0x1p600};

	noise(LENGTH, 7, 100, 5);
	for (int i = 0; i < LENGTH; i++)
		x[i] += 50 * sin(i * 6.283185307179586 / 288) + (i > 7000 ? 30 : 0);
	x[3000] = 400;
	CHECK(watch(LENGTH, 2, 1, 0) >= 2, "the shift and the spike");
	memcpy(plain, score, sizeof(plain));
	for (int i = 0; i < 4; i++)
	{
		watch(LENGTH, 2, factor[i], (i % 2 == 0 ? 1 : -1) * 364 * DAY);
		CHECK(memcmp(plain, score, sizeof(plain)) == 0, "factor %g", factor[i]);
	}
}

/* What is flagged at a higher sensitivity is flagged at every lower one. */
static void
sensitivity(void)
{
	static const double width[] = {0.25, 0.5, 1, 1.7, 2, 2.3, 3, 4, 7, 16, 100};
	static unsigned char before[LENGTH];
	int last = LENGTH;
	int first = 0;

	noise(LENGTH, 3, 100, 5);
	for (int i = 0; i < LENGTH; i++)
		if (uniform() < 0.01)
			x[i] += 40 * gauss() / uniform();
	/* incidents that grow, some slowly: the first point of one must not hide its peak from a wider band */
	for (int i = 500; i < LENGTH - 60; i += 470)
		for (int k = 0; k < 60; k++)
			x[i + k] += (1 + i % 7) * exp(k * (i % 11 + 1) / 60.0);
	memset(before, 1, sizeof(before));
	for (int i = 0; i < 11; i++)
	{
		int flags = watch(LENGTH, width[i], 1, 0);

		for (int k = 0; k < LENGTH; k++)
			if (flag[k] && !before[k])
				CHECK(false, "point %d at %g but not below", k, width[i]);
		memcpy(before, flag, sizeof(before));
		CHECK(flags <= last, "%d flags at %g, %d below", flags, width[i], last);
		last = flags;
		if (i == 0)
			first = flags;
	}
	CHECK(last < first, "%d to %d flags", first, last);
	/* the ends of what may be asked */
	watch(LENGTH, DBL_MIN / 4, 1, 0);
	for (int i = 0; i < LENGTH; i++)
		CHECK(score[i] >= 0 && score[i] <= ANOMALY_SCORE_MAX, "%g", score[i]);
	CHECK(watch(LENGTH, DBL_MAX, 1, 0) == 0, "the widest band");
	for (int i = 0; i < LENGTH; i++)
		x[i] = 3;
	watch(LENGTH, DBL_MIN / 4, 1, 0);
	CHECK(score[LENGTH - 1] == 0, "a constant under the narrowest band: %g", score[LENGTH - 1]);
}

/* A constant series that moves, or blips, is flagged once. */
static void
constants(void)
{
	for (int kind = 0; kind < 6; kind++)
		for (int at = 100; at <= 3100; at += 1000)
		{
			double from = kind % 2 == 0 ? 0 : 1;
			double to = kind < 2 ? 7 : kind < 4 ? -0.001 : from + 1e-9;

			for (int i = 0; i < LENGTH; i++)
			{
				x[i] = (at % 2000 == 100 ? i >= at : i == at) ? to : from;
				t[i] = i * 5 * MINUTE;
			}
			CHECK(watch(LENGTH, 2, 1, 0) == 1 && flag[at], "kind %d at %d: %d flags", kind, at,
				  flags_between(0, LENGTH));
		}
	for (int i = 0; i < LENGTH; i++)
		x[i] = 20;
	CHECK(watch(LENGTH, 2, 1, 0) == 0 && score[LENGTH - 1] == 0, "a constant");
	/* a week of minutes that moves in its first half hours: these differ from all days to come, and are no season */
	for (int at = 31; at <= 91; at += 6)
	{
		for (int i = 0; i < LENGTH; i++)
		{
			x[i] = i >= at ? 7 : 1;
			t[i] = i * MINUTE;
		}
		CHECK(watch(LENGTH, 2, 1, 0) == 1 && flag[at], "minutes, at %d: %d flags", at, flags_between(0, LENGTH));
	}
}

/* The phenomena each expert is for. */
static void
experts(void)
{
	anomaly a;
	anomaly_result r = {0};
	int flags = 0;

	/* a daily peak that does not come, and a day like the others after it */
	noise(LENGTH, 11, 20, 2);
	for (int i = 0; i < LENGTH; i++)
		if (i / 288 != 20)
			x[i] += 60 * exp(-pow((i % 288 - 144) / 40.0, 2));
	watch(LENGTH, 2, 1, 0);
	CHECK(flags_between(20 * 288 + 60, 20 * 288 + 180) >= 1, "a missing peak");
	CHECK(flags_between(6 * 288, 20 * 288) <= 3, "%d flags on usual days", flags_between(6 * 288, 20 * 288));
	anomaly_init(&a);
	for (int i = 0; i < 20 * 288 + 144; i++)
		r = anomaly_update(&a, x[i], t[i], 2);
	CHECK(fabs(r.expected - 80) < 6 && r.cause == ANOMALY_SEASON, "expected %g, cause %d", r.expected, r.cause);
	/* the first residual judged is next to nothing: what follows is no anomaly for that */
	noise(LENGTH, 15, 20, 2);
	for (int i = 0; i < LENGTH; i++)
	{
		x[i] = i % 288 < 6 && i <= 864 ? 20.1 + 1e-14 * (i == 864) : x[i] + 60 * sin(i * 6.283185307179586 / 288);
		t[i] = i * 5 * MINUTE;
	}
	watch(LENGTH, 2, 1, 0);
	CHECK(flags_between(865, LENGTH) <= 3, "%d flags after a first residual of nothing", flags_between(865, LENGTH));
	/* without times there is no season */
	anomaly_init(&a);
	for (int i = 0; i < LENGTH; i++)
	{
		r = anomaly_update(&a, x[i], ANOMALY_NO_TIME, 2);
		CHECK(r.cause != ANOMALY_SEASON, "point %d", i);
	}
	/* a value that sticks */
	noise(LENGTH, 12, 50, 3);
	for (int i = 4000; i < 4100; i++)
		x[i] = x[3999];
	watch(LENGTH, 2, 1, 0);
	CHECK(flags_between(4000, 4020) == 1, "stuck");
	/* where repeats are usual, a long run is not one */
	for (int i = 0; i < LENGTH; i++)
		x[i] = i < 4000 || i >= 4300 ? (uniform() < 0.3 ? 2 : 1) : 1;
	watch(LENGTH, 2, 1, 0);
	CHECK(flags_between(4000, 4300) == 0, "runs of a usual value");
	/* where silence is usual, the longest one yet makes no anomaly of the burst that ends it */
	for (int with = 1; with <= 5; with++)
	{
		noise(LENGTH, (uint64_t) with, 0, 0);
		for (int i = 0; i < LENGTH; i++)
			x[i] = uniform() < 0.02 ? -20 * log(uniform()) : 0;
		watch(LENGTH, 2, 1, 0);
		CHECK(flags_between(0, LENGTH) <= 18, "%d flags for bursts in silence", flags_between(0, LENGTH));
	}
	/* a shift of the level by two and a half deviations, within a dozen points */
	noise(LENGTH, 13, 100, 2);
	for (int i = 6000; i < LENGTH; i++)
		x[i] += 5;
	watch(LENGTH, 2, 1, 0);
	CHECK(flags_between(6000, 6012) >= 1, "shift");
	CHECK((flags = flags_between(6012, LENGTH)) <= 3, "%d flags at the new level", flags);
	/* nothing is said while learning */
	noise(LENGTH, 14, 0, 1);
	x[29] = 1e9;
	watch(LENGTH, 0.001, 1, 0);
	for (int i = 0; i < 30; i++)
		CHECK(score[i] == 0, "point %d", i);
}

/* Any finite value and any time is taken. */
static void
wild(void)
{
	static const double value[] = {0,      -0.0,  DBL_MAX, -DBL_MAX, DBL_MIN, DBL_MIN / 4,
								   5e-324, 1e300, -1e-300, 1,        1e154,   -1e160};
	static const int64_t time[] = {INT64_MAX, INT64_MIN + 1, 0, -1, 1, DAY - 1, -DAY, ANOMALY_NO_TIME};

	for (int with = 1; with <= 20; with++)
	{
		anomaly a;
		unsigned char bytes[ANOMALY_SIZE];

		anomaly_init(&a);
		seed = (uint64_t) with;
		for (int i = 0; i < 3000; i++)
		{
			anomaly_result r = anomaly_update(&a, value[(int) (uniform() * 12)], time[(int) (uniform() * 8)], 2);

			if (!(r.score >= 0 && r.score <= ANOMALY_SCORE_MAX) || !(i == 0 || isfinite(r.expected)))
				CHECK(false, "seed %d, point %d: %g, %g", with, i, r.score, r.expected);
			anomaly_serialise(&a, bytes);
			if (!anomaly_restore(&a, bytes, ANOMALY_SIZE))
				CHECK(false, "seed %d, point %d: not restored", with, i);
		}
		CHECK(true, "seed %d", with);
	}
}

/* Stored and restored between any two points, it goes on in the same bits. */
static void
stored(void)
{
	static double plain[LENGTH];
	anomaly a;
	unsigned char bytes[ANOMALY_SIZE + 1];
	unsigned char again[ANOMALY_SIZE];
	int accepted = 0;

	CHECK(sizeof(anomaly) <= 1024 && ANOMALY_SIZE <= 1024, "%zu and %d bytes", sizeof(anomaly), (int) ANOMALY_SIZE);
	noise(LENGTH, 5, 10, 1);
	for (int i = 0; i < LENGTH; i++)
	{
		x[i] += 9 * sin(i * 6.283185307179586 / 288);
		if (i % 7 == 0)
			t[i] -= 40 * MINUTE;
	}
	x[4000] = 90;
	watch(LENGTH, 2, 1, 0);
	memcpy(plain, score, sizeof(plain));
	anomaly_init(&a);
	for (int i = 0; i < LENGTH; i++)
	{
		anomaly_serialise(&a, bytes);
		memset(&a, 0x55, sizeof(a));
		if (!anomaly_restore(&a, bytes, ANOMALY_SIZE))
			CHECK(false, "point %d: not restored", i);
		anomaly_serialise(&a, again);
		score[i] = anomaly_update(&a, x[i], t[i], 2).score;
		if (memcmp(bytes, again, ANOMALY_SIZE) != 0 || score[i] != plain[i])
			CHECK(false, "point %d: %.17g, not %.17g", i, score[i], plain[i]);
	}
	CHECK(memcmp(plain, score, sizeof(plain)) == 0, "scores");

	/* version 1 is written in stone: the form after 100 known points */
	anomaly_init(&a);
	for (int i = 0; i < 100; i++)
		anomaly_update(&a, i % 7 + 0.5 * (i % 3), i * 30 * MINUTE - DAY, 2);
	anomaly_serialise(&a, bytes);
	seed = 0;
	for (int i = 0; i < ANOMALY_SIZE; i++)
		seed = (seed ^ bytes[i]) * UINT64_C(0x100000001b3);
	CHECK(seed == (uint64_t) STORED_DIGEST, "0x%llx", (unsigned long long) seed);

	/* damaged forms */
	CHECK(!anomaly_restore(&a, bytes, 0) && !anomaly_restore(&a, bytes, ANOMALY_SIZE - 1) &&
			  !anomaly_restore(&a, bytes, ANOMALY_SIZE + 1),
		  "lengths");
	bytes[0] = 2;
	CHECK(!anomaly_restore(&a, bytes, ANOMALY_SIZE), "version");
	bytes[0] = 1;
	for (int i = 0; i < ANOMALY_SIZE; i++)
	{
		unsigned char was = bytes[i];

		bytes[i] = 0xff;
		if (anomaly_restore(&a, bytes, ANOMALY_SIZE))
		{
			accepted++;
			anomaly_serialise(&a, again);
			CHECK(memcmp(bytes, again, ANOMALY_SIZE) == 0, "byte %d", i);
			CHECK(isfinite(anomaly_update(&a, 3, 0, 2).score), "byte %d", i);
		}
		bytes[i] = was;
	}
	/* no word may be all ones (NaN, or a count beyond all), but the first time; no bin has more than its visits */
	for (int i = 0; i < 94; i++)
	{
		unsigned char was[8];
		unsigned char *word = bytes + 4 + 8 * i + (i >= 69 ? 1 : 0);

		memcpy(was, word, 8);
		memset(word, 0xff, 8);
		CHECK(anomaly_restore(&a, bytes, ANOMALY_SIZE) == (i == 0), "word %d", i);
		memcpy(word, was, 8);
	}
	for (int i = 4 + 8 * (1 + ANOMALY_BINS); i < 4 + 8 * (1 + ANOMALY_BINS) + ANOMALY_BINS; i++)
	{
		unsigned char was = bytes[i];

		bytes[i] = 7;
		CHECK(!anomaly_restore(&a, bytes, ANOMALY_SIZE), "byte %d", i);
		bytes[i] = was;
	}
	CHECK(accepted > 100 && accepted < ANOMALY_SIZE - 100, "%d bytes may be anything", accepted);
}

int
main(void)
{
	spikes();
	rare_in_noise();
	invariances();
	sensitivity();
	constants();
	experts();
	wild();
	stored();
	return unit_done();
}
