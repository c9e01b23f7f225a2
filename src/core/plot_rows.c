/*
 * plot_rows.c: plot_forest() and plot_steps(): what is drawn by rows and columns instead of lines.
 */
#include "core/plot.h"

#include <math.h>

#include "core/plot_inside.h"

#define ROW 46
#define BELOW 26
/* Upright lines are dashes of ROW, which the style sheet says: each stands beside its row's interval, not in a label.
 */
#define DASH_ABOVE 9
#define FIRST_ROW 32

/* clamp: a position on the axis in percent; what lies beyond is at its end. */
static double
clamp(const axis *a, double value)
{
	return 100 * fmin(1, fmax(0, (value - a->low) / (a->high - a->low)));
}

/* put_interval: a line, when both ends are known. */
static void
put_interval(html *to, const axis *a, const char *class, double low, double high, double y)
{
	if (isnan(low) || isnan(high))
		return;
	html_format(to, "<line class=\"%s\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f\" y2=\"%.1f\"/>", class, clamp(a, low),
				clamp(a, high), y, y);
}

void
plot_forest(html *to, const char *id, const char *title, const char *summary, plot_unit unit,
			const plot_estimate *estimates, size_t count)
{
	int height = (int) count * ROW + BELOW;
	double low = 0;
	double high = 0;
	axis a;

	for (size_t i = 0; i < count; i++)
	{
		const plot_estimate *e = &estimates[i];
		double width = isfinite(e->low) && isfinite(e->high) ? e->high - e->low : 0;

		if (isfinite(e->value))
		{
			low = fmin(low, e->value);
			high = fmax(high, e->value);
		}
		if (width > 0)
		{
			low = fmin(low, e->low);
			high = fmax(high, e->high);
		}
		/* The wide one as far as it does not make the others small. */
		if (width > 0 && isfinite(e->wide_low) && isfinite(e->wide_high))
		{
			low = fmin(low, fmax(e->wide_low, e->low - width));
			high = fmax(high, fmin(e->wide_high, e->high + width));
		}
	}
	if (count == 0 || (low == 0 && high == 0))
	{
		html_put(to, "<p class=\"none\">There is nothing to compare yet.</p>");
		return;
	}
	a = axis_round(low, high, 6, NAN, NAN);
	plot_begin(to, id, title, summary, height);
	for (int i = 0; i < a.count; i++)
	{
		double x = clamp(&a, a.tick[i]);

		html_format(to, "<line class=\"%s rows\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%d\" y2=\"%d\"/>",
					a.tick[i] == 0 ? "axis" : "grid", x, x, FIRST_ROW - DASH_ABOVE, height - BELOW);
		html_format(to, "<text class=\"tick\" text-anchor=\"%s\" x=\"%.2f%%\" y=\"%d\">",
					x < 1    ? "start"
					: x > 99 ? "end"
							 : "middle",
					x, height - 8);
		plot_tick_label(to, a.tick[i], a.decimals, unit);
		html_put(to, "</text>");
	}
	for (size_t i = 0; i < count; i++)
	{
		const plot_estimate *e = &estimates[i];
		double y = (double) (i * ROW) + FIRST_ROW;

		html_format(to, "<text class=\"row\" y=\"%.1f\">", y - 16);
		html_escape(to, e->label, 24);
		html_format(to, "</text><text class=\"row note\" text-anchor=\"end\" x=\"100%%\" y=\"%.1f\">", y - 16);
		html_escape(to, e->note, 28);
		html_put(to, "</text>");
		put_interval(to, &a, "wide", e->wide_low, e->wide_high, y);
		put_interval(to, &a, "interval", e->low, e->high, y);
		if (isfinite(e->value))
			html_format(to, "<circle class=\"%s\" cx=\"%.2f%%\" cy=\"%.1f\" r=\"5\"/>", e->shown ? "shown" : "open",
						clamp(&a, e->value), y);
	}
	html_put(to, "</svg>");
}

void
plot_steps(html *to, const char *id, const char *title, const char *summary, const plot_step *steps, size_t count)
{
	static const char *const classes[] = {
		[PLOT_DONE] = "done", [PLOT_NOW] = "now", [PLOT_AHEAD] = "ahead", [PLOT_TAKEN_BACK] = "back"};
	static const char *const signs[] = {
		[PLOT_DONE] = "&#10003;", [PLOT_NOW] = "&#9679;", [PLOT_AHEAD] = "", [PLOT_TAKEN_BACK] = "&#215;"};
	double width = 100.0 / (double) (count > 0 ? count : 1);
	/* Every so many steps have their label, and on little room every so many. */
	size_t apart = (count + 11) / 12;
	size_t far_apart = (count + 5) / 6;

	if (count == 0)
		return;
	plot_begin(to, id, title, summary, 124);
	for (size_t i = 0; i < count; i++)
	{
		double high = 4 + 0.72 * steps[i].share;
		double x = width * (double) i;

		html_format(to, "<rect class=\"step %s\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.1f\" height=\"%.1f\"/>",
					classes[steps[i].state], x + 0.02 * width, 0.96 * width, 96 - high, high);
		if (i % apart != 0 && steps[i].state != PLOT_NOW && steps[i].state != PLOT_TAKEN_BACK)
			continue;
		html_format(to, "<g class=\"%s\"><text class=\"sign\" text-anchor=\"middle\" x=\"%.3f%%\" y=\"%.1f\">%s</text>",
					i % far_apart == 0 || count <= 6 ? "major" : "minor", x + width / 2, 90 - high,
					signs[steps[i].state]);
		html_format(to, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.3f%%\" y=\"112\">%g&#160;%%</text></g>",
					x + width / 2, steps[i].share);
	}
	html_put(to, "</svg>");
}

void
plot_bars(html *to, const char *id, const char *title, const char *summary, const plot_bar *bars, size_t count)
{
	double most = 0;

	for (size_t i = 0; i < count; i++)
		most = fmax(most, fmax(bars[i].value, isfinite(bars[i].expected) ? bars[i].expected : 0));
	if (!(most > 0))
	{
		html_put(to, "<p class=\"none\">There is nothing to compare yet.</p>");
		return;
	}
	plot_begin(to, id, title, summary, (int) count * ROW);
	for (size_t i = 0; i < count; i++)
	{
		double y = (double) (i * ROW) + 22;

		html_format(to, "<text class=\"row\" y=\"%.1f\">", y - 6);
		html_escape(to, bars[i].label, 30);
		html_format(to, "</text><text class=\"row note\" text-anchor=\"end\" x=\"100%%\" y=\"%.1f\">", y - 6);
		html_escape(to, bars[i].note, 40);
		html_format(to, "</text><rect class=\"step done\" x=\"0\" y=\"%.1f\" height=\"14\" width=\"%.2f%%\"/>", y,
					100 * bars[i].value / most);
		if (isfinite(bars[i].expected))
			html_format(to, "<line class=\"expected\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f\" y2=\"%.1f\"/>",
						100 * bars[i].expected / most, 100 * bars[i].expected / most, y - 4, y + 18);
	}
	html_put(to, "</svg>");
}
