/*
 * anomaly_stream.c: feeds a detector (anomaly.c) with values of minutes that stand on different numbers of requests.
 *
 * The detector takes each value for what it is. Three things are different for a version's metrics, and are met here,
 * so that the detector stays the one that anomaly_score() has.
 *
 * Samples vary. When a rollout takes nine tenths of a version's traffic away, the noise of its means and rates trebles
 * and every minute looks odd. A minute with fewer samples than usual is therefore moved towards the recent mean by the
 * square root of the ratio, which gives it the noise that the detector knows. With more it goes in as it is. What is
 * usual falls slowly, so that the detector can widen its ranges meanwhile.
 *
 * Equal values are not equal. The mean of twenty times 0.002 is off by a rounding error, and to a detector that has
 * seen nothing but 0.002 that is the largest step ever. What differs from the value before by a billionth is that
 * value.
 *
 * Somebody is woken. A record of a quiet series is no incident, but thousands of streams set some each hour. An
 * incident is two odd points among five: noise alone hardly does that, an incident or the way back from a short one
 * does. For a rate, the last few minutes must moreover hold more failures (or fewer) than chance brings at the usual
 * rate: of twenty requests one fails now and then, and in a series that was 1 for hours that looks as odd as can be.
 *
 * An incident goes on while points are odd, and while values stay at least a third as far from what was usual before it
 * as the worst of them: the detector learns a new level within minutes, people do not. After six hours the level is the
 * usual one whatever people think. It ends a quarter of an hour after the last sign of it.
 */
#include "core/anomaly_stream.h"

#include <math.h>
#include <string.h>

#define MEMORY 3000.0 /* points over which what is usual is forgotten */
#define FADING 0.75   /* of the last few points, each beside the next: four of them, as in the detector's short mean */
#define NEAR 4        /* an odd point confirms another at most so many points before */
#define EVIDENCE 9.0  /* minus logarithm of the chance: about 1 in 8,000 */
#define SAMPLES_MAX 1e15
#define ROUNDING 1e-9
#define HOLD (6 * 60 * ANOMALY_MINUTE) /* for so long values alone keep an incident going */
#define HOLD_SHARE (1 / 3.0)           /* of the depth */

void
anomaly_stream_init(anomaly_stream *s)
{
	memset(s, 0, sizeof(*s));
	anomaly_init(&s->detector);
	s->since = s->last = ANOMALY_NO_TIME;
}

/* term: x log(x / p), 0 at 0. */
static double
term(double x, double p)
{
	return x > 0 ? x * log(x / p) : 0;
}

/*
 * by_chance: whether so many of the recent samples come up at the usual rate. The bound of Chernoff: the chance is
 * at most exp(-n KL(share, usual)). The usual rate counts one success and one failure more than were seen, so that
 * what never happened yet is not impossible.
 */
static bool
by_chance(const anomaly_stream *s)
{
	double points = fmin((double) s->detector.n - 1, MEMORY); /* the means do not know the present point */
	double usual = (s->mean_sum * points + 1) / (s->mean_samples * points + 2);
	double share = s->recent_sum / s->recent_samples;

	share = fmax(0, fmin(1, share));
	return s->recent_samples * (term(share, usual) + term(1 - share, 1 - usual)) < EVIDENCE;
}

/* follow: takes a point into the incident, or makes one of it; true when one begins. */
static bool
follow(anomaly_stream *s, double value, double expected, bool odd, bool proportion, int64_t minute)
{
	uint64_t n = s->detector.n;
	bool near = s->last_odd > 0 && n - s->last_odd <= NEAR;
	bool under_way = s->since != ANOMALY_NO_TIME;
	bool began = false;
	double away;

	if (odd)
		s->last_odd = n;
	if (odd && !under_way && !near)
	{
		s->before = expected;
		s->depth = value - expected;
	}
	away = value - s->before;
	if (odd && fabs(away) > fabs(s->depth))
		s->depth = away;
	if (under_way)
	{
		if (odd || (minute - s->since < HOLD && away * s->depth > 0 && fabs(away) >= HOLD_SHARE * fabs(s->depth)))
			s->last = minute;
	}
	else if (odd && near && !(proportion && by_chance(s)))
	{
		s->since = s->last = minute;
		began = true;
	}
	return began;
}

/* as_usual: the value as it would look on as many samples as usual, and without rounding errors. */
static double
as_usual(const anomaly_stream *s, double value, double samples)
{
	const anomaly *a = &s->detector;
	double fed = value;
	double previous;

	if (a->n == 0)
		return value;
	if (samples < s->usual_samples)
	{
		double mean = ldexp(a->local_mean, a->scale);

		fed = mean + (value - mean) * sqrt(samples / s->usual_samples);
		if (!isfinite(fed))
			fed = value;
	}
	previous = ldexp(a->previous, a->scale);
	return fabs(fed - previous) <= ROUNDING * fabs(previous) ? previous : fed;
}

anomaly_stream_result
anomaly_stream_update(anomaly_stream *s, double value, double samples, bool proportion, int64_t minute,
					  double sensitivity)
{
	anomaly *a = &s->detector;
	anomaly_stream_result result;
	anomaly_result judged;
	double fed;
	double weight;

	samples = fmin(samples, SAMPLES_MAX);
	fed = as_usual(s, value, samples);
	judged = anomaly_update(a, fed, minute, sensitivity);
	if (proportion)
	{
		s->recent_samples = s->recent_samples * FADING + samples;
		s->recent_sum = s->recent_sum * FADING + value * samples;
	}
	result.began = follow(s, value, judged.expected, judged.score >= 1 || judged.suppressed, proportion, minute);
	result.score = judged.score;
	result.severity = judged.severity;
	result.expected = judged.expected;
	result.cause = judged.cause;

	weight = (double) a->n < MEMORY ? 1 / (double) a->n : 1 / MEMORY;
	s->usual_samples += (samples < s->usual_samples ? 1 / MEMORY : weight) * (samples - s->usual_samples);
	if (proportion)
	{
		s->mean_samples += weight * (samples - s->mean_samples);
		s->mean_sum += weight * (value * samples - s->mean_sum);
	}
	return result;
}

bool
anomaly_stream_ends(anomaly_stream *s, int64_t now)
{
	if (s->since == ANOMALY_NO_TIME || now < s->last + ANOMALY_MINUTE + ANOMALY_QUIET)
		return false;
	s->since = s->last = ANOMALY_NO_TIME;
	s->depth = 0;
	return true;
}

/* pack, unpack: a double as its bits, little-endian. */
static unsigned char *
pack(unsigned char *to, uint64_t bits)
{
	for (int i = 0; i < 8; i++)
		*to++ = (unsigned char) (bits >> (8 * i));
	return to;
}

static const unsigned char *
unpack(const unsigned char *from, uint64_t *bits)
{
	*bits = 0;
	for (int i = 0; i < 8; i++)
		*bits |= (uint64_t) *from++ << (8 * i);
	return from;
}

/* What follows the detector, in this order; the seldom changing ones first. */
#define NUMBERS(s)                                                                                                     \
	{                                                                                                                  \
		&(s)->before, &(s)->depth, &(s)->usual_samples, &(s)->mean_samples, &(s)->mean_sum, &(s)->recent_samples,      \
			&(s)->recent_sum                                                                                           \
	}

void
anomaly_stream_serialise(const anomaly_stream *s, unsigned char bytes[ANOMALY_STREAM_SIZE])
{
	const double *const numbers[] = NUMBERS(s);
	unsigned char *to = bytes + ANOMALY_SIZE;

	anomaly_serialise(&s->detector, bytes);
	to = pack(to, (uint64_t) s->since);
	for (int i = 0; i < 7; i++)
	{
		uint64_t bits;

		memcpy(&bits, numbers[i], 8);
		to = pack(to, bits);
	}
	to = pack(to, s->last_odd);
	to = pack(to, (uint64_t) s->last);
}

bool
anomaly_stream_restore(anomaly_stream *s, const unsigned char *bytes, size_t length)
{
	double *const numbers[] = NUMBERS(s);
	const unsigned char *from = bytes + ANOMALY_SIZE;
	uint64_t bits;

	if (length != ANOMALY_STREAM_SIZE || !anomaly_restore(&s->detector, bytes, ANOMALY_SIZE))
		return false;
	from = unpack(from, &bits);
	memcpy(&s->since, &bits, 8);
	for (int i = 0; i < 7; i++)
	{
		from = unpack(from, &bits);
		memcpy(numbers[i], &bits, 8);
		if (!isfinite(*numbers[i]))
			return false;
	}
	from = unpack(from, &s->last_odd);
	from = unpack(from, &bits);
	memcpy(&s->last, &bits, 8);
	return s->last_odd <= s->detector.n && (s->since == ANOMALY_NO_TIME) == (s->last == ANOMALY_NO_TIME) &&
		   s->last >= s->since && s->usual_samples >= 0 && s->usual_samples <= SAMPLES_MAX && s->mean_samples >= 0 &&
		   s->mean_samples <= SAMPLES_MAX && s->recent_samples >= 0 && s->recent_samples <= 5 * SAMPLES_MAX;
}
