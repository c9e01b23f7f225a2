/*
 * page.c: colours that can be read in either theme and on paper, and a page whose marks are closed in order.
 */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/page.h"
#include "core/plot.h"

static double
linear(long channel)
{
	double c = (double) channel / 255;

	return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

/* luminance: relative luminance (WCAG 2.2) of the colour that the variable has in this part of the style sheet. */
static double
luminance(const char *part, const char *name)
{
	char wanted[20];
	const char *at;
	long colour;
	size_t digits;

	snprintf(wanted, sizeof(wanted), "--%s:#", name);
	at = strstr(part, wanted);
	CHECK(at != NULL, "no colour %s", name);
	if (at == NULL)
		return 0;
	at += strlen(wanted);
	digits = strspn(at, "0123456789abcdef");
	colour = strtol(at, NULL, 16);
	if (digits == 3)
		colour = (colour >> 8) * 0x110000 + (colour >> 4 & 15) * 0x1100 + (colour & 15) * 0x11;
	return 0.2126 * linear(colour >> 16) + 0.7152 * linear(colour >> 8 & 255) + 0.0722 * linear(colour & 255);
}

static void
check_theme(const char *name, const char *part)
{
	static const char *const front[] = {"fg", "soft", "c0", "c1", "c2", "c3", "c4", "c5", "bad", "good"};
	static const char *const back[] = {"bg", "fill"};

	for (size_t b = 0; b < 2; b++)
		for (size_t i = 0; i < sizeof(front) / sizeof(front[0]); i++)
		{
			double x = luminance(part, front[i]);
			double y = luminance(part, back[b]);
			double contrast = (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);

			CHECK(contrast >= 4.5, "%s: %s on %s has a contrast of %.2f", name, front[i], back[b], contrast);
		}
}

/* well_formed: whether every element is closed, in order, and no < or & stands alone. */
static bool
well_formed(const char *text)
{
	const char *open[200];
	int depth = 0;

	for (const char *at = text; *at != '\0'; at++)
	{
		if (*at == '&' && at[strcspn(at, "; <\"")] != ';')
			return false;
		if ((unsigned char) *at >= 0x80)
			return false;
		if (*at != '<' || strncmp(at, "<!DOCTYPE", 9) == 0)
			continue;
		if (at[1] == '/')
		{
			size_t length = strcspn(at + 2, ">");

			if (depth == 0 || strncmp(open[--depth], at + 2, length) != 0 ||
				open[depth][strcspn(open[depth], " >")] != open[depth][length])
				return false;
			continue;
		}
		open[depth] = at + 1;
		at += strcspn(at, ">");
		if (*at == '\0')
			return false;
		if (at[-1] != '/' && ++depth == 200)
			return false;
	}
	return depth == 0;
}

int
main(void)
{
	html page = {.resize = realloc};
	plot_point rate[400];
	plot_point thin[3] = {{1, NAN, NAN, NAN}, {2, 3, 2, 4}, {3, NAN, NAN, NAN}};
	plot_series series[] = {{.name = "1.0 \"<b>\" & co", .points = rate, .count = 400, .style = 0},
							{.name = "2.0", .points = thin, .count = 3, .style = 1, .steps = true}};
	plot_mark marks[] = {{.x = 10, .label = "1-3", .strong = true}};
	plot_limit limits[] = {{.y = 0.5, .label = "limit < 1"}};
	plot p = {.id = "p",
			  .title = "A <title>",
			  .summary = "It's \"here\"",
			  .height = 220,
			  .x_low = 0,
			  .x_high = 399,
			  .unit = PLOT_SHARE,
			  .floor = 0,
			  .ceiling = NAN,
			  .include = NAN,
			  .series = series,
			  .series_count = 2,
			  .marks = marks,
			  .mark_count = 1,
			  .limits = limits,
			  .limit_count = 1};
	plot_estimate estimates[] = {
		{.label = "a <b>",
		 .note = "better & good",
		 .value = 0.1,
		 .low = -0.1,
		 .high = 0.3,
		 .wide_low = -INFINITY,
		 .wide_high = INFINITY},
		{.label = "nothing", .note = "", .value = NAN, .low = NAN, .high = NAN, .wide_low = NAN, .wide_high = NAN}};
	plot_step steps[100];
	html style = {.resize = realloc};
	const char *dark;
	const char *paper;

	for (int part = 0; page_style(part) != NULL; part++)
		html_put(&style, page_style(part));
	dark = strstr(style.text, "prefers-color-scheme:dark");
	paper = strstr(style.text, "@media print");
	CHECK(dark != NULL && paper != NULL, "no dark theme, or none for paper");
	check_theme("light", style.text);
	check_theme("dark", dark);
	check_theme("paper", paper);
	CHECK(strpbrk(style.text, "<&") == NULL && strstr(style.text, "url(") == NULL &&
			  strstr(style.text, "@import") == NULL,
		  "the style sheet has markup or comes from elsewhere");

	for (int i = 0; i < 400; i++)
		rate[i] =
			(plot_point){i, i % 50 == 7 ? NAN : 0.9 + i * 1e-4, i % 50 == 7 ? NAN : 0.8, i % 50 == 7 ? NAN : 0.99};
	for (int i = 0; i < 100; i++)
		steps[i] = (plot_step){i + 1, i < 40 ? PLOT_DONE : i == 40 ? PLOT_NOW : PLOT_AHEAD};
	page_begin(&page, "Model", "<script>alert('\"&\xE2\x80\xA8\xE2\x80\xAE')</script>");
	html_put(&page, "</header>");
	plot_lines(&page, &p);
	CHECK(strstr(page.text, "Nothing was recorded") == NULL, "nothing was drawn");
	p.time = true;
	p.x_low = 1.7e9;
	p.x_high = 1.7e9 + 90 * 86400;
	plot_lines(&page, &p);
	plot_forest(&page, "f", "F", "", PLOT_SHARE, estimates, 2);
	plot_steps(&page, "s", "S", "", steps, 100);
	page_end(&page, "0.0", 1.7e9);
	CHECK(well_formed(page.text), "%s", page.text);
	CHECK(strstr(page.text, "<script") == NULL && strstr(page.text, "http:") == NULL &&
			  strstr(page.text, "https:") == NULL,
		  "a script or an address");
	CHECK(strstr(page.text, "nan") == NULL && strstr(page.text, "inf%") == NULL, "a number that is none was drawn");
	CHECK(!well_formed("<a><b></a></b>") && !well_formed("<a>") && !well_formed("a & b") && !well_formed("<a></ab>"),
		  "the check checks nothing");

	page.length = 0;
	series[0].count = series[1].count = 1;
	rate[0].y = NAN;
	plot_lines(&page, &p);
	plot_forest(&page, "f", "F", "", PLOT_SHARE, estimates + 1, 1);
	plot_steps(&page, "s", "S", "", steps, 0);
	CHECK(strstr(page.text, "<svg") == NULL && well_formed(page.text), "%s", page.text);

	/* All values the same, at an end of the range, and one point alone. */
	for (int i = 0; i < 4; i++)
	{
		page.length = 0;
		rate[0] = (plot_point){1.7e9 + 1000, i == 0 ? 0 : i == 1 ? 1 : i == 2 ? 1e100 : -1e100, NAN, NAN};
		p.ceiling = i < 2 ? 1 : NAN;
		p.floor = i < 2 ? 0 : NAN;
		plot_lines(&page, &p);
		CHECK(well_formed(page.text) && strstr(page.text, "h0") != NULL && strstr(page.text, "nan") == NULL, "%s",
			  page.text);
	}
	free(page.text);
	free(style.text);
	return unit_done();
}
