/*
 * plot.h: plots as SVG inside of a page: lines over time or another number, intervals on one axis, the steps of a
 * rollout. A plot is as wide as its place: positions across are percentages, so that text keeps its size on a telephone
 * and on paper. What tells series apart is never colour alone: each has its dashes and its name at its end.
 */
#ifndef CORE_PLOT_H
#define CORE_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/axis.h"
#include "core/html.h"

/* Series that one plot can tell apart. */
#define PLOT_STYLES 6
/* Points that are drawn of one series: of more, axis_thin() chooses. */
#define PLOT_POINTS_MAX 120
/* Limits that are drawn; further ones are not. */
#define PLOT_LIMITS 8

typedef enum plot_unit
{
	PLOT_NUMBER,
	PLOT_SHARE, /* 0..1, shown in percent */
	PLOT_SECONDS
} plot_unit;

typedef struct plot_point
{
	double x;
	double y;   /* NaN: nothing is known here, and the line has a gap */
	double low; /* of its interval; NaN: none */
	double high;
} plot_point;

typedef struct plot_series
{
	const char *name; /* UTF-8 from outside; NULL: no label */
	int style;        /* 0 .. PLOT_STYLES - 1 */
	const plot_point *points;
	size_t count;
	bool steps; /* a value holds until the next x */
	bool dots;  /* each point is marked */
} plot_series;

/* A moment that something happened at, labelled with its number in the table beside the plot, or "3-5" at the first of
 * some that lie close together, and nothing at the others. */
typedef struct plot_mark
{
	double x;
	char label[16];
	char narrow[16]; /* the same where there is little room, so that more share a label */
	bool strong;     /* something was taken back */
} plot_mark;

/* A level to hold values against. */
typedef struct plot_limit
{
	double y;
	const char *label; /* UTF-8 */
} plot_limit;

typedef struct plot
{
	const char *id; /* letters and -; unique in the page */
	const char *title;
	const char *summary; /* what is to be seen, for who does not see it; UTF-8 */
	int height;          /* in pixels, the labels of the axis below included */
	bool time;           /* x is seconds since 1970 */
	plot_unit x_unit;
	double x_low;
	double x_high;
	plot_unit unit;
	double floor; /* what values cannot pass; NaN: nothing */
	double ceiling;
	double include; /* a value that the axis is to show; NaN: none */
	const plot_series *series;
	size_t series_count;
	const plot_mark *marks;
	size_t mark_count;
	const plot_limit *limits;
	size_t limit_count;
} plot;

/* plot_lines: the plot. Without any value it says so. */
extern void plot_lines(html *to, const plot *p);

/* An estimate with its interval, and a wider one; NaN: not known. Infinite ends reach over the axis. */
typedef struct plot_estimate
{
	const char *label; /* UTF-8 */
	const char *note;  /* what it means, in words; UTF-8 */
	double value;
	double low;
	double high;
	double wide_low;
	double wide_high;
	bool shown; /* surely not zero: its mark is filled */
} plot_estimate;

/* plot_forest: a row an estimate, on one axis with zero. */
extern void plot_forest(html *to, const char *id, const char *title, const char *summary, plot_unit unit,
						const plot_estimate *estimates, size_t count);

typedef enum plot_state
{
	PLOT_DONE,
	PLOT_NOW,
	PLOT_AHEAD,
	PLOT_TAKEN_BACK
} plot_state;

typedef struct plot_step
{
	double share; /* 0..100 */
	plot_state state;
} plot_step;

/* plot_steps: the shares of a rollout as stairs. */
extern void plot_steps(html *to, const char *id, const char *title, const char *summary, const plot_step *steps,
					   size_t count);

typedef struct plot_bar
{
	const char *label; /* UTF-8 */
	const char *note;
	double value;    /* 0 and up */
	double expected; /* a line across it; NaN: none */
} plot_bar;

/* plot_bars: a row a bar. */
extern void plot_bars(html *to, const char *id, const char *title, const char *summary, const plot_bar *bars,
					  size_t count);

#endif
