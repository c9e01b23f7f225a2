/*
 * axis.h: where the ticks of an axis are, and which points of a long series are drawn.
 */
#ifndef CORE_AXIS_H
#define CORE_AXIS_H

#include <stdbool.h>
#include <stddef.h>

#define AXIS_TICKS_MAX 32

/* Ticks at round numbers: 1, 2 or 5 times a power of ten apart, at most `most` (3 and more) between low and high. */
typedef struct axis
{
	double low; /* the axis: round numbers at or beyond what it is to show */
	double high;
	double step;
	int decimals; /* that tell the ticks apart */
	int count;
	double tick[AXIS_TICKS_MAX];
} axis;

/* axis_round: the axis that shows low to high (either order; equal ones get room around them; finite). floor and
 * ceiling: what the axis must not go beyond (NAN: nothing), as 0 and 1 of a rate. */
extern axis axis_round(double low, double high, int most, double floor, double ceiling);

/* A tick of an axis of time. */
typedef struct axis_time
{
	double time;
	bool major;     /* shown where there is little room, too: at most a few */
	char label[16]; /* "14:00", "24 Nov", "Nov" */
	char below[16]; /* of major ticks: the day or year, where it is another than at the one before; else empty */
} axis_time;

/*
 * axis_times: round times in UTC from low to high (seconds since 1970, years 1 to 9999), at most `most` of them and
 * `majors` of these major (most <= AXIS_TICKS_MAX); major ones lie an equal number of ticks apart, but for the days of
 * months. Returns their number: none when low >= high.
 */
extern int axis_times(double low, double high, int most, int majors, axis_time *ticks);

/*
 * axis_thin: which of n values (value[0], value[stride], ...) are drawn when at most `most` (4 and more) may be: their
 * indexes in ascending order, `most` + 2 at most. The first and last, and of every stretch between the least and the
 * greatest value, so that no peak is lost, and where a gap (NaN) begins. Returns how many.
 */
extern size_t axis_thin(const double *value, size_t stride, size_t n, size_t most, size_t *index);

#endif
