/*
 * plot.c: plot_lines(): axes, lines with their gaps and bands, marks and limits. Stretched across: lines are drawn in a
 * box of 1000 units that the page makes as wide as there is room (strokes keep their width), all else in percent.
 */
#include "core/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/plot_inside.h"

#define BELOW 34 /* pixels for the labels of the axis of x */
#define ABOVE 18 /* ... and for those of marks */
#define LABEL_APART 15
/* Characters of a name at the end of its line. */
#define NAME_CHARACTERS 12

/* The drawing's place, and what is shown in it. */
typedef struct frame
{
	const plot *p;
	axis y;
	double top;    /* pixels of y.high */
	double bottom; /* ... and of y.low */
} frame;

static double
across(const frame *f, double x)
{
	return (x - f->p->x_low) / (f->p->x_high - f->p->x_low);
}

static double
down(const frame *f, double y)
{
	return f->bottom - (y - f->y.low) / (f->y.high - f->y.low) * (f->bottom - f->top);
}

/* edge: of a band, which is cut at the plot's. */
static double
edge(const frame *f, double y)
{
	return fmin(f->bottom, fmax(f->top, down(f, y)));
}

void
plot_begin(html *to, const char *id, const char *title, const char *summary, int height)
{
	html_format(
		to,
		"<svg class=\"plot\" width=\"100%%\" height=\"%d\" role=\"img\" aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">",
		height, id, id, id);
	html_escape(to, title, 0);
	html_format(to, "</title><desc id=\"%s-d\">", id);
	html_escape(to, summary, 0);
	html_put(to, "</desc>");
}

void
plot_tick_label(html *to, double value, int decimals, plot_unit unit)
{
	if (unit == PLOT_SHARE)
	{
		value *= 100;
		decimals = decimals > 2 ? decimals - 2 : 0;
	}
	html_put(to, value < 0 ? "&#8722;" : "");
	html_format(to, "%.*f", decimals, fabs(value));
	html_put(to, unit == PLOT_SHARE ? "&#160;%" : unit == PLOT_SECONDS ? "&#160;s" : "");
}

/* widen: low and high reach this far, too. */
static void
widen(double *low, double *high, double value)
{
	if (!isfinite(value))
		return;
	*low = fmin(*low, value);
	*high = fmax(*high, value);
}

/* range: what the axis of y has to show; false when there is no value at all. */
static bool
range(const plot *p, double *low, double *high)
{
	double least = INFINITY;
	double greatest = -INFINITY;
	double lowest = INFINITY;
	double highest = -INFINITY;

	for (size_t s = 0; s < p->series_count; s++)
		for (size_t i = 0; i < p->series[s].count; i++)
		{
			const plot_point *at = &p->series[s].points[i];

			if (isnan(at->y))
				continue;
			widen(&least, &greatest, at->y);
			widen(&lowest, &highest, at->low);
			widen(&lowest, &highest, at->high);
		}
	if (least > greatest)
		return false;
	/* One thin minute's interval may be all of 0..1: bands get as much room again as the values, and are cut there. */
	if (lowest <= highest)
	{
		double room = fmax(0.5 * (greatest - least), 0.01 * fmax(fabs(greatest), fabs(least)));

		least = fmax(lowest, least - room) < least ? fmax(lowest, least - room) : least;
		greatest = fmin(highest, greatest + room) > greatest ? fmin(highest, greatest + room) : greatest;
	}
	/* A limit is shown unless the values would shrink to a line beside it. */
	for (size_t i = 0; i < p->limit_count; i++)
	{
		double apart = fmax(p->limits[i].y - greatest, least - p->limits[i].y);

		if (apart <= 4 * fmax(greatest - least, 0.02 * fmax(fabs(greatest), fabs(least))))
			widen(&least, &greatest, p->limits[i].y);
	}
	widen(&least, &greatest, p->include);
	*low = least;
	*high = greatest;
	return true;
}

static void
put_grid(html *to, const frame *f)
{
	for (int i = 0; i < f->y.count; i++)
		html_format(to, "<line class=\"grid\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>", down(f, f->y.tick[i]),
					down(f, f->y.tick[i]));
}

/* put_levels: labels of the axis of y: on their lines, where the style sheet does not move them in front. */
static void
put_levels(html *to, const frame *f)
{
	for (int i = 0; i < f->y.count; i++)
	{
		html_format(to, "<text class=\"tick level\" y=\"%.1f\">", down(f, f->y.tick[i]) - 4);
		plot_tick_label(to, f->y.tick[i], f->y.decimals, f->p->unit);
		html_put(to, "</text>");
	}
}

/* anchor: of a label below x: it does not stick out on the left, where the page may end. */
static const char *
anchor(const frame *f, double x)
{
	return across(f, x) < 0.04 ? "start" : "middle";
}

/* put_tick: a label of the axis of x; what is not major goes where there is little room. */
static void
put_tick(html *to, const frame *f, double x, bool major)
{
	html_format(to,
				"<g class=\"%s\"><line class=\"axis\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
				"<text class=\"tick\" text-anchor=\"%s\" x=\"%.2f%%\" y=\"%.1f\">",
				major ? "major" : "minor", 100 * across(f, x), 100 * across(f, x), f->bottom, f->bottom + 4,
				anchor(f, x), 100 * across(f, x), f->bottom + 16);
}

static void
put_times(html *to, const frame *f)
{
	axis_time ticks[AXIS_TICKS_MAX];
	int n = axis_times(f->p->x_low, f->p->x_high, 12, 5, ticks);

	for (int i = 0; i < n; i++)
	{
		put_tick(to, f, ticks[i].time, ticks[i].major);
		html_put(to, ticks[i].label);
		html_put(to, "</text>");
		if (ticks[i].below[0])
			html_format(to, "<text class=\"tick day\" text-anchor=\"%s\" x=\"%.2f%%\" y=\"%.1f\">%s</text>",
						anchor(f, ticks[i].time), 100 * across(f, ticks[i].time), f->bottom + 30, ticks[i].below);
		html_put(to, "</g>");
	}
}

static void
put_numbers(html *to, const frame *f)
{
	axis x = axis_round(f->p->x_low, f->p->x_high, 6, f->p->x_low, f->p->x_high);

	for (int i = 0; i < x.count; i++)
	{
		put_tick(to, f, x.tick[i], true);
		plot_tick_label(to, x.tick[i], x.decimals, f->p->x_unit);
		html_put(to, "</text></g>");
	}
}

/* put_band: the interval around a line, one shape a stretch without a gap. */
static void
put_band(html *to, const frame *f, const plot_series *s)
{
	bool open = false;

	for (size_t from = 0; from < s->count;)
	{
		size_t end = from;

		while (end < s->count && isfinite(s->points[end].low) && isfinite(s->points[end].high))
			end++;
		if (end - from >= 2)
		{
			if (!open)
				html_format(to, "<path class=\"band c%d\" d=\"", s->style);
			open = true;
			for (size_t i = from; i < end; i++)
				html_format(to, "%s%.0f %.1f", i == from ? "M" : "L", 1000 * across(f, s->points[i].x),
							edge(f, s->points[i].high));
			for (size_t i = end; i-- > from;)
				html_format(to, "L%.0f %.1f", 1000 * across(f, s->points[i].x), edge(f, s->points[i].low));
			html_put(to, "Z");
		}
		from = end + 1;
	}
	if (open)
		html_put(to, "\"/>");
}

/* put_line: the line, broken at gaps. A point between two gaps, and each one that is to be marked, is a dot: a line of
 * no length with a round end. */
static void
put_line(html *to, const frame *f, const plot_series *s)
{
	bool pen = false;

	html_format(to, "<path class=\"line c%d\" d=\"", s->style);
	for (size_t i = 0; i < s->count; i++)
	{
		const plot_point *at = &s->points[i];

		if (isnan(at->y))
		{
			pen = false;
			continue;
		}
		if (s->steps && pen)
			html_format(to, "H%.1f", 1000 * across(f, at->x));
		html_format(to, "%s%.1f %.1f", pen ? "L" : "M", 1000 * across(f, at->x), down(f, at->y));
		pen = true;
	}
	html_format(to, "\"/><path class=\"dots c%d\" d=\"", s->style);
	for (size_t i = 0; i < s->count; i++)
		if (!isnan(s->points[i].y) &&
			(s->dots || ((i == 0 || isnan(s->points[i - 1].y)) && (i + 1 == s->count || isnan(s->points[i + 1].y)))))
			html_format(to, "M%.1f %.1fh0", 1000 * across(f, s->points[i].x), down(f, s->points[i].y));
	html_put(to, "\"/>");
}

/* thinned: the series with the points that are drawn; `room` holds PLOT_POINTS_MAX + 2 of them. */
static plot_series
thinned(const plot_series *s, plot_point *room)
{
	plot_series drawn = *s;
	size_t index[PLOT_POINTS_MAX + 2];

	if (s->count <= PLOT_POINTS_MAX)
		return drawn;
	drawn.points = room;
	drawn.count = axis_thin(&s->points[0].y, sizeof(plot_point) / sizeof(double), s->count, PLOT_POINTS_MAX, index);
	for (size_t i = 0; i < drawn.count; i++)
		room[i] = s->points[index[i]];
	return drawn;
}

/* A name at the end of its line. */
typedef struct label
{
	double y;
	const plot_series *series;
} label;

static int
higher(const void *a, const void *b)
{
	double x = ((const label *) a)->y;
	double y = ((const label *) b)->y;

	return (x > y) - (x < y);
}

/* put_names: beside the plot, in the order of where the lines end, moved apart where they would lie over each other. */
static void
put_names(html *to, const frame *f)
{
	label labels[PLOT_STYLES];
	size_t count = 0;
	double least = f->top + 4;

	for (size_t s = 0; s < f->p->series_count && count < PLOT_STYLES; s++)
	{
		const plot_series *of = &f->p->series[s];
		size_t last = of->count;

		while (last > 0 && isnan(of->points[last - 1].y))
			last--;
		if (last > 0 && of->name != NULL)
			labels[count++] = (label){.y = down(f, of->points[last - 1].y), .series = of};
	}
	if (count == 0)
		return;
	qsort(labels, count, sizeof(label), higher);
	for (size_t i = 0; i < count; i++)
	{
		labels[i].y = fmax(labels[i].y, least);
		least = labels[i].y + LABEL_APART;
	}
	/* From below what was pushed out. */
	least = f->bottom;
	for (size_t i = count; i-- > 0;)
	{
		labels[i].y = fmin(labels[i].y, least);
		least = labels[i].y - LABEL_APART;
	}
	for (size_t i = 0; i < count; i++)
	{
		int style = labels[i].series->style;

		html_format(
			to,
			"<svg class=\"name\" x=\"100%%\" y=\"%.1f\"><line class=\"line c%d\" x1=\"5\" x2=\"25\"/><text class=\"t%d\" x=\"30\" y=\"4\">",
			labels[i].y, style, style);
		html_escape(to, labels[i].series->name, NAME_CHARACTERS);
		html_put(to, "</text></svg>");
	}
}

/* put_limits: each with its label; one that lies beyond the drawing is named at that edge, with an arrow. */
static void
put_limits(html *to, const frame *f)
{
	double labels[PLOT_LIMITS];
	size_t count = f->p->limit_count < PLOT_LIMITS ? f->p->limit_count : PLOT_LIMITS;

	for (size_t i = 0; i < count; i++)
	{
		double y = down(f, f->p->limits[i].y);
		bool above = y < f->top - 0.5;
		bool below = y > f->bottom + 0.5;
		double at = above ? f->top + 12 : below ? f->bottom - 5 : y - 4 < f->top + 8 ? y + 13 : y - 4;
		double apart = at > (f->top + f->bottom) / 2 ? -LABEL_APART : LABEL_APART;

		for (size_t j = 0; j < i; j++)
			if (fabs(labels[j] - at) < LABEL_APART - 1)
			{
				at = labels[j] + apart;
				j = (size_t) -1; /* from the first again */
			}
		labels[i] = at;
		if (!above && !below)
			html_format(to, "<line class=\"limit\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>", y, y);
		html_format(to, "<text class=\"limit\" text-anchor=\"end\" x=\"100%%\" y=\"%.1f\">", at);
		html_escape(to, f->p->limits[i].label, 0);
		html_put(to, above ? " &#8593;</text>" : below ? " &#8595;</text>" : "</text>");
	}
}

static void
put_mark_label(html *to, double x, const char *label, const char *class)
{
	if (label[0] == '\0')
		return;
	html_format(to, "<text class=\"mark %s\" text-anchor=\"middle\" x=\"%.2f%%\" y=\"10\">", class, x);
	html_escape(to, label, 0);
	html_put(to, "</text>");
}

static void
put_marks(html *to, const frame *f)
{
	for (size_t i = 0; i < f->p->mark_count; i++)
	{
		const plot_mark *m = &f->p->marks[i];
		double x = 100 * across(f, m->x);

		html_format(to, "<line class=\"%s\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%d\" y2=\"%.1f\"/>",
					m->strong ? "mark strong" : "mark", x, x, ABOVE - 4, f->bottom);
		put_mark_label(to, x, m->label, "minor");
		put_mark_label(to, x, m->narrow, "narrow");
	}
}

void
plot_lines(html *to, const plot *p)
{
	frame f = {.p = p, .top = p->mark_count > 0 ? ABOVE + 12 : 14, .bottom = p->height - BELOW};
	double low = 0;
	double high = 1;

	if (!range(p, &low, &high) || !(p->x_low < p->x_high))
	{
		html_put(to, "<p class=\"none\">Nothing was recorded in this time.</p>");
		return;
	}
	f.y = axis_round(low, high, (int) fmax(3, fmin(6, (f.bottom - f.top) / 24 + 1)), p->floor, p->ceiling);
	plot_begin(to, p->id, p->title, p->summary, p->height);
	put_grid(to, &f);
	html_format(to, "<line class=\"axis\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>", f.bottom, f.bottom);
	html_format(
		to,
		"<svg class=\"stretch\" viewBox=\"0 0 1000 %d\" preserveAspectRatio=\"none\" width=\"100%%\" height=\"%d\">",
		p->height, p->height);
	for (size_t s = 0; s < p->series_count; s++)
		put_band(to, &f, &p->series[s]);
	for (size_t s = 0; s < p->series_count; s++)
	{
		plot_point room[PLOT_POINTS_MAX + 2];
		plot_series drawn = thinned(&p->series[s], room);

		put_line(to, &f, &drawn);
	}
	html_put(to, "</svg>");
	put_marks(to, &f);
	put_limits(to, &f);
	put_levels(to, &f);
	if (p->time)
		put_times(to, &f);
	else
		put_numbers(to, &f);
	put_names(to, &f);
	html_put(to, "</svg>");
}
