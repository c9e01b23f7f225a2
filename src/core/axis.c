/*
 * axis.c: see axis.h.
 */
#include "core/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/html.h"

#define MINUTE 60.0
#define HOUR 3600.0
#define DAY 86400.0

/* first_tick, last_tick: of an axis from low to high, in steps; what is a step but for rounding is one. */
static double
first_tick(double low, double step)
{
	return floor(low / step + 1e-9);
}

static double
last_tick(double high, double step)
{
	return ceil(high / step - 1e-9);
}

/* step_of: the smallest 1, 2 or 5 times a power of ten that makes at most that many ticks. */
static double
step_of(double low, double high, int most)
{
	static const double times[] = {1, 2, 5};

	for (double power = pow(10, floor(log10((high - low) / most)));; power *= 10)
		for (int i = 0; i < 3; i++)
			if (last_tick(high, power * times[i]) - first_tick(low, power * times[i]) + 1 <= most)
				return power * times[i];
}

axis
axis_round(double low, double high, int most, double floor_at, double ceiling_at)
{
	axis a = {0};
	double first;

	if (low > high)
	{
		double other = low;

		low = high;
		high = other;
	}
	/* What is all one value, or differs by rounding alone, is shown in the middle of a tenth around it. */
	if (high - low <= 1e-7 * fmax(fabs(low), fabs(high)))
	{
		double room = low == 0 ? 1 : fabs(low) * 0.05;

		low -= room;
		high += room;
	}
	if (!isnan(floor_at))
		low = fmax(low, floor_at);
	if (!isnan(ceiling_at))
		high = fmin(high, ceiling_at);
	if (high <= low)
	{
		/* The value sits on its bound. */
		low = isnan(floor_at) || low > floor_at ? low - 0.1 * fmax(fabs(low), 1e-6) : low;
		high = isnan(ceiling_at) || high < ceiling_at ? high + 0.1 * fmax(fabs(high), 1e-6) : high;
	}
	a.step = step_of(low, high, most < 3 ? 3 : most);
	a.low = first_tick(low, a.step) * a.step;
	a.high = last_tick(high, a.step) * a.step;
	if (!isnan(floor_at))
		a.low = fmax(a.low, floor_at);
	if (!isnan(ceiling_at))
		a.high = fmin(a.high, ceiling_at);
	a.decimals = (int) fmax(0, fmin(12, -floor(log10(a.step) + 1e-9)));
	first = ceil(a.low / a.step - 1e-9);
	for (int i = 0; a.count < AXIS_TICKS_MAX; i++)
	{
		double tick = (first + i) * a.step;

		if (tick > a.high + a.step * 1e-6)
			break;
		a.tick[a.count++] = fabs(tick) < a.step * 1e-6 ? 0 : tick;
	}
	return a;
}

/* Steps in seconds up to days; behind them come months. */
static const double steps[] = {1,          5,           10,          15,          30,      MINUTE,   2 * MINUTE,
							   5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR,    2 * HOUR, 3 * HOUR,
							   6 * HOUR,   12 * HOUR,   DAY,         2 * DAY,     7 * DAY, 14 * DAY};
#define STEPS ((int) (sizeof(steps) / sizeof(steps[0])))

/* put_tick: with the labels that people read at that distance. */
static void
put_tick(axis_time *tick, double time, bool major, double step, double *told)
{
	html_calendar c = html_calendar_of(time);
	bool first = isnan(*told);
	html_calendar before = html_calendar_of(first ? 0 : *told);

	tick->time = time;
	tick->major = major;
	tick->below[0] = '\0';
	if (step < MINUTE)
		snprintf(tick->label, sizeof(tick->label), "%02d:%02d:%02d", c.hour % 24, c.minute % 60, c.second % 60);
	else if (step < DAY)
		snprintf(tick->label, sizeof(tick->label), "%02d:%02d", c.hour % 24, c.minute % 60);
	else if (step < 28 * DAY)
		snprintf(tick->label, sizeof(tick->label), "%d %s", c.day % 32, html_month_name(c.month));
	else if (step < 360 * DAY)
		snprintf(tick->label, sizeof(tick->label), "%s", html_month_name(c.month));
	else
		snprintf(tick->label, sizeof(tick->label), "%04d", c.year % 10000);
	if (!major)
		return;
	if (step < DAY && (first || c.day != before.day || c.month != before.month || c.year != before.year))
		snprintf(tick->below, sizeof(tick->below), "%d %s", c.day % 32, html_month_name(c.month));
	else if (step >= DAY && step < 360 * DAY && (first || c.year != before.year))
		snprintf(tick->below, sizeof(tick->below), "%04d", c.year % 10000);
	*told = time;
}

/* months_of: ticks at the first of every so many months (0: and in the middle of each); 0: they are too many. */
static int
months_of(double low, double high, int months, int most, int major_months, axis_time *ticks)
{
	html_calendar from = html_calendar_of(low);
	int number = from.year * 12 + from.month - 1;
	int stride = months > 0 ? months : 1;
	double told = NAN;
	int count = 0;

	for (number -= number % stride;; number += stride)
		for (int half = 0; half < (months == 0 ? 2 : 1); half++)
		{
			double time = html_time_of(number / 12, number % 12 + 1, half == 0 ? 1 : 15);

			if (time < low)
				continue;
			if (time > high)
				return count;
			if (count == most)
				return 0;
			put_tick(&ticks[count++], time, half == 0 && number % major_months == 0,
					 half == 0 ? stride * 30 * DAY : DAY, &told);
		}
}

int
axis_times(double low, double high, int most, int majors, axis_time *ticks)
{
	/* Weeks begin on Mondays: 5 January 1970. */
	static const int months[] = {1, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 12000};
	int count = 0;

	if (!(low < high))
		return 0;
	for (int coarse = 0; coarse < STEPS; coarse++)
	{
		double offset = steps[coarse] >= 7 * DAY ? 4 * DAY : 0;
		double told = NAN;
		int fine = coarse;

		if (floor((high - offset) / steps[coarse]) - ceil((low - offset) / steps[coarse]) + 1 > majors)
			continue;
		/* The finest that the major ones are multiples of. */
		for (int i = coarse; i >= 0; i--)
			if (fmod(steps[coarse], steps[i]) == 0 && (high - low) / steps[i] + 1 <= most &&
				(offset == 0) == (steps[i] < 7 * DAY))
				fine = i;
		for (double i = ceil((low - offset) / steps[fine]); i * steps[fine] + offset <= high && count < most; i++)
		{
			double time = i * steps[fine] + offset;

			put_tick(&ticks[count++], time, fmod(time - offset, steps[coarse]) == 0, steps[fine], &told);
		}
		return count;
	}
	for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++)
	{
		axis_time trial[AXIS_TICKS_MAX];

		if (months_of(low, high, months[i], majors, months[i], trial) == 0)
			continue;
		if (months[i] == 1 && (count = months_of(low, high, 0, most, 1, ticks)) > 0)
			return count;
		for (size_t j = 0; j <= i; j++)
			if (months[i] % months[j] == 0 && (count = months_of(low, high, months[j], most, months[i], ticks)) > 0)
				return count;
	}
	return 0;
}

/* take: an index behind those that were taken, in ascending order; one that is there already is not taken again. */
static size_t
take(size_t *index, size_t n, size_t i)
{
	size_t at = n;

	while (at > 0 && index[at - 1] > i)
		at--;
	if (at > 0 && index[at - 1] == i)
		return n;
	for (size_t k = n; k > at; k--)
		index[k] = index[k - 1];
	index[at] = i;
	return n + 1;
}

size_t
axis_thin(const double *value, size_t stride, size_t n, size_t most, size_t *index)
{
	size_t stretches = most / 4 > 0 ? most / 4 : 1;
	size_t kept = 0;

	for (size_t i = 0; i < n && n <= most; i++)
		index[kept++] = i;
	for (size_t s = 0; n > most && s < stretches; s++)
	{
		size_t from = n * s / stretches;
		size_t to = n * (s + 1) / stretches;
		size_t least = to;
		size_t greatest = to;
		size_t gap = to;

		for (size_t i = from; i < to; i++)
		{
			double v = value[i * stride];

			if (isnan(v) && gap == to)
				gap = i;
			if (isnan(v))
				continue;
			if (least == to || v < value[least * stride])
				least = i;
			if (greatest == to || v > value[greatest * stride])
				greatest = i;
		}
		if (s == 0)
			kept = take(index, kept, 0);
		if (gap < to)
			kept = take(index, kept, gap);
		if (least < to)
		{
			kept = take(index, kept, least);
			kept = take(index, kept, greatest);
		}
		if (s == stretches - 1)
			kept = take(index, kept, n - 1);
	}
	return kept;
}
