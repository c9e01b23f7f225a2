/*
 * anomaly.c: the detector of anomalies; its stored form is in anomaly_stored.c.
 *
 * The idea: metrics have neither a known distribution nor a stable one, so no fixed number of standard deviations is
 * right for all. What every series has is a history of how extreme it has been. Five experts each reduce the series to
 * one quantity and ask how far it is beyond its own history, in units of that history's width:
 *
 *   level   an exponential mean over 4 points against the range of all such means
 *   jump    |value - previous value| against its range
 *   local   (mean over 4 points - mean over 48) / deviation over 48, against the range of that ratio: a quiet stretch
 *           makes small deviations count, and a series that has fat tails widens its own band; the deviation is a
 *           thousandth of the level's range at least, so that silence is no unit to measure in
 *   season  value - usual value of this half hour of the day, in deviations of that residual; only while the profile
 *           explains at least half of the variance
 *   stuck   length of a run of one repeated value against twice the longest run; only where repeats are rare
 *
 * An independent series sets records ever more rarely (after n points the next one is a record with probability 1/n),
 * which keeps false flags few without any assumption on the distribution; the margin beyond the record makes them
 * fewer. Ranges shrink towards their mean over 3000 points and 0.8 of the series' length, so that old extremes do not
 * blind for ever, and one point widens a range by half its width at most, so that one wild value does not blind either.
 * While few points are known the margin is wider: factor 1 + 60/n.
 *
 * The severity of a point is the largest of the five, 1 at the band's edge for sensitivity 2. An incident is reported
 * once and again only when it is four times worse: severities fall into levels, and a point is let through when none of
 * its level or more was let through during the cool-down (4 % of the length so far, 24 to 400 points). None of this
 * looks at the sensitivity, which only scales the score; so a higher one can only flag a subset.
 *
 * All operations are sums, products by constants, ratios and square roots of squares of the values, which commute with
 * powers of two; values are kept divided by the power of two of the first that is not 0, so that squares stay finite.
 * The constants were chosen on labelled series by their stability: each may be a quarter off without harm
 * (docs/anomalies.md).
 */
#include "core/anomaly.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define LEARN 30          /* points before anything is judged */
#define YOUNG 60.0        /* the margin is doubled at this many points */
#define MEMORY 3000.0     /* points over which ranges shrink ... */
#define MEMORY_SHARE 0.8  /* ... and share of the length that is added to them */
#define SHRINK 0.7        /* of a range's reach in one memory, about ln 2: the half-life */
#define GROWTH 0.5        /* of a range's width by one point */
#define FAST 4.0          /* points of the short mean */
#define LOCAL 48.0        /* points of the local mean and deviation */
#define LOCAL_LEAST 0.001 /* of the width of the level's range: the local deviation counts as this much at least */
#define CLIP 4.0          /* deviations that one point can count for */
#define MARGIN_LEVEL 0.11 /* of the range's width */
#define MARGIN_JUMP 0.35
#define MARGIN_LOCAL 0.30
#define MARGIN_SEASON 5.0 /* deviations */
#define SEASON_EXPLAINS 0.5
#define SEASON_LEARN 100
#define SEASON_MEMORY 1000.0
#define PROFILE_VISITS 6 /* a bin is the mean of so many days, then forgets */
#define STUCK_LEARN 64
#define STUCK_SHARE 0.05
#define STUCK_EXTRA 5
#define COOL_SHARE 0.04
#define COOL_LEAST 24
#define COOL_MOST 400
#define LOWEST_LEVEL (-4) /* severity 4^-4; below it nothing is ever flagged */
#define VALUE_MAX 0x1p300

#define DAY INT64_C(86400000000)

/* weight: of a new point in a mean over so many points, plain while fewer are known. */
static inline double
weight(uint64_t n, double over)
{
	return (double) n < over ? 1.0 / (double) n : 1.0 / over;
}

/*
 * range_update: takes a quantity in; how far beyond the range it was, in widths (0 inside, while learning or young).
 * one_sided: only large ones count.
 */
static double
range_update(anomaly_range *r, double x, double memory, bool one_sided)
{
	double width;
	double beyond = 0;
	double limit;
	double forget = SHRINK / memory;

	if (r->n == 0)
	{
		*r = (anomaly_range){1, x, x, x};
		return 0;
	}
	width = r->high - r->low;
	if (x > r->high)
		beyond = x - r->high;
	else if (x < r->low && !one_sided)
		beyond = r->low - x;
	if (beyond > 0)
		beyond = width > 0 && beyond < width * ANOMALY_SCORE_MAX ? beyond / width : ANOMALY_SCORE_MAX;
	if (r->n < LEARN)
		beyond = 0;
	r->n++;
	limit = r->n < LEARN || width == 0 ? DBL_MAX : GROWTH * width;
	if (x > r->high)
		r->high += fmin(x - r->high, limit);
	if (x < r->low)
		r->low -= fmin(r->low - x, limit);
	/* of what the range admits: the mean stays inside, and one wild value does not carry it away */
	r->mean += weight(r->n, memory) * (fmax(r->low, fmin(r->high, x)) - r->mean);
	r->mean = fmax(r->low, fmin(r->high, r->mean));
	if (x < r->high)
		r->high -= forget * (r->high - r->mean);
	if (x > r->low)
		r->low += forget * (r->mean - r->low);
	return beyond;
}

/* scale_in: the value in the detector's unit. */
static double
scale_in(anomaly *a, double value)
{
	double x;

	if (!a->scaled && value != 0)
	{
		int exponent;

		frexp(value, &exponent);
		a->scale = exponent;
		a->scaled = true;
	}
	x = ldexp(value, -a->scale);
	return x > VALUE_MAX ? VALUE_MAX : x < -VALUE_MAX ? -VALUE_MAX : x;
}

static double
scale_out(const anomaly *a, double x)
{
	double value = ldexp(x, a->scale);

	return value > DBL_MAX ? DBL_MAX : value < -DBL_MAX ? -DBL_MAX : value;
}

/* time_bin: the half hour of the day. */
static int
time_bin(int64_t time)
{
	int64_t of_day = time % DAY;

	if (of_day < 0)
		of_day += DAY;
	return (int) (of_day / (DAY / ANOMALY_BINS));
}

/* profile_mean: of the half hours known; there is one at least. */
static double
profile_mean(const anomaly *a)
{
	double sum = 0;
	int known = 0;

	for (int i = 0; i < ANOMALY_BINS; i++)
		if (a->visits[i] > 0)
		{
			sum += a->profile[i];
			known++;
		}
	return sum / known;
}

/*
 * season_update: severity by the daily profile, which learns the point; *usual becomes the profile's value where the
 * profile is good for something. Judged from the fourth day on.
 */
static double
season_update(anomaly *a, double x, int64_t time, double *usual)
{
	int bin = time_bin(time);
	double residual;
	double severity = 0;

	if (!a->timed)
	{
		a->timed = true;
		a->first_time = time;
	}
	/* the profile knows only half hours that are over: what is going on now cannot explain itself */
	if (bin != a->bin && a->bin_n > 0)
	{
		if (a->visits[a->bin] < PROFILE_VISITS)
			a->visits[a->bin]++;
		a->profile[a->bin] += (a->bin_mean - a->profile[a->bin]) / a->visits[a->bin];
		a->bin_n = 0;
	}
	a->bin = bin;
	a->bin_n++;
	a->bin_mean = a->bin_n == 1 ? x : a->bin_mean + (x - a->bin_mean) / (double) a->bin_n;
	residual = x - a->profile[bin];
	/* times may step back, and the difference of two may exceed the signed type */
	if (time > a->first_time && (uint64_t) time - (uint64_t) a->first_time >= (uint64_t) (3 * DAY) &&
		a->visits[bin] > 0)
	{
		double w = weight(a->n, SEASON_MEMORY);
		double off;
		double square = residual * residual;

		/* not the first value: the variance that the profile explains would hold how far that one was off */
		if (a->season_n == 0)
			a->value_mean = profile_mean(a);
		off = x - a->value_mean;
		a->value_power += w * (off * off - a->value_power);
		a->value_mean += w * off;
		a->residual_power += w * (square - a->residual_power);
		if (a->residual_power < SEASON_EXPLAINS * a->value_power)
		{
			*usual = a->profile[bin];
			if (a->season_variance > 0 && a->season_n > SEASON_LEARN)
				severity = fabs(residual) / sqrt(a->season_variance) / MARGIN_SEASON;
		}
		a->season_n++;
		/* the first residuals may be next to nothing, and what follows must not be clipped to that for ever */
		if (a->season_variance > 0)
			square = fmin(square, CLIP * CLIP *
									  (a->season_n > SEASON_LEARN ? a->season_variance
																  : fmax(a->season_variance, a->residual_power)));
		a->season_variance += weight(a->season_n, SEASON_MEMORY) * (square - a->season_variance);
	}
	return severity;
}

/* local_update: severity by the recent mean and deviation, which learn the point, one wild value for CLIP at most. */
static double
local_update(anomaly *a, double x, double memory)
{
	double deviation = sqrt(a->local_variance);
	double off = x - a->local_mean;
	double severity = 0;

	if (deviation > 0 && a->n > LOCAL)
	{
		/* in long silence the deviation fades to nothing, and each burst after the longest silence yet were a record */
		double unit = fmax(deviation, LOCAL_LEAST * (a->level.high - a->level.low));

		severity = range_update(&a->local, fmax(-1e9, fmin(1e9, (a->fast - a->local_mean) / unit)), memory, false) /
				   MARGIN_LOCAL;
	}
	if (deviation > 0 && a->n > LEARN)
		off = fmax(-CLIP * deviation, fmin(CLIP * deviation, off));
	a->local_mean += weight(a->n, LOCAL) * off;
	a->local_variance += weight(a->n, LOCAL) * (off * off - a->local_variance);
	return severity;
}

/* stuck_update: severity by the length of a run of repeated values. */
static double
stuck_update(anomaly *a, bool repeated)
{
	double severity = 0;

	if (repeated)
	{
		uint64_t others = a->n - ++a->run;

		a->repeats++;
		/* a constant series has no points outside the run that would make it remarkable */
		if (others > STUCK_LEARN && (double) (a->repeats - a->run) < STUCK_SHARE * (double) others)
			severity = (double) a->run / (2.0 * (double) (a->longest_run + STUCK_EXTRA));
	}
	if ((!repeated || a->n <= STUCK_LEARN) && a->run > a->longest_run)
		a->longest_run = a->run;
	if (!repeated)
		a->run = 0;
	return severity;
}

/* let_through: whether this severity is news; remembers it when it is. */
static bool
let_through(anomaly *a, double severity)
{
	double cool = COOL_SHARE * (double) a->n;
	double step = 0x1p-8; /* 4^LOWEST_LEVEL */
	int level = -1;

	cool = fmax(COOL_LEAST, fmin(COOL_MOST, cool));
	while (level < ANOMALY_LEVELS - 1 && severity >= step)
	{
		level++;
		step *= 4;
	}
	if (level < 0 || (a->said[level] != 0 && (double) (a->n - a->said[level]) <= cool))
		return false;
	for (int i = 0; i <= level; i++)
		a->said[i] = a->n;
	return true;
}

void
anomaly_init(anomaly *a)
{
	memset(a, 0, sizeof(*a));
}

anomaly_result
anomaly_update(anomaly *a, double value, int64_t time, double sensitivity)
{
	anomaly_result result = {0, NAN, ANOMALY_NONE, false, 0};
	double x = scale_in(a, value);
	double memory;
	double step;
	double usual;
	double severity[ANOMALY_STUCK + 1] = {0};
	double worst = 0;

	a->n++;
	memory = MEMORY + MEMORY_SHARE * (double) a->n;
	if (a->n == 1)
		a->fast = a->local_mean = a->value_mean = a->previous = x;
	usual = a->local_mean;
	a->fast += weight(a->n, FAST) * (x - a->fast);
	step = fabs(x - a->previous);
	a->previous = x;

	severity[ANOMALY_LEVEL] = range_update(&a->level, a->fast, memory, false) / MARGIN_LEVEL;
	severity[ANOMALY_JUMP] = range_update(&a->jump, step, memory, true) / MARGIN_JUMP;
	severity[ANOMALY_LOCAL] = local_update(a, x, memory);
	if (time != ANOMALY_NO_TIME)
		severity[ANOMALY_SEASON] = season_update(a, x, time, &usual);
	severity[ANOMALY_STUCK] = stuck_update(a, a->n > 1 && step == 0);

	if (a->n > 1)
		result.expected = scale_out(a, usual);
	if (a->n <= LEARN)
		return result;
	for (int i = ANOMALY_LEVEL; i <= ANOMALY_STUCK; i++)
		if (severity[i] > worst)
		{
			worst = severity[i];
			result.cause = i;
		}
	worst /= 1 + YOUNG / (double) a->n;
	/* 0 stays 0 also when the quotient overflows */
	if (worst > 0)
		result.score = fmin(worst * (ANOMALY_SENSITIVITY / sensitivity), ANOMALY_SCORE_MAX);
	result.severity = result.score;
	if (!let_through(a, worst) && result.score >= 1)
	{
		result.suppressed = true;
		result.score = 0.99;
	}
	return result;
}
