/* chart.c: drawings for terminals: widths, cuts, sparks, bars, intervals and tracks in both alphabets; nothing is
 * written past its end. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/chart.h"
#include "unit.h"

static char out[400];

static const char *
fit(const char *text, int width, bool unicode)
{
	out[chart_fit(out, text, strlen(text), width, unicode)] = '\0';
	return out;
}

static const char *
bar(double fraction, int width, bool unicode)
{
	out[chart_bar(out, fraction, width, unicode)] = '\0';
	return out;
}

static const char *
interval(double low, double estimate, double high, double axis_low, double axis_high, int width, bool unicode)
{
	out[chart_interval(out, low, estimate, high, axis_low, axis_high, width, unicode)] = '\0';
	return out;
}

static const char *
track(int step, int steps, bool unicode)
{
	out[chart_track(out, step, steps, unicode)] = '\0';
	return out;
}

#define SAME(got, want)                                                                                                \
	do                                                                                                                 \
	{                                                                                                                  \
		const char *g = (got);                                                                                         \
		CHECK(strcmp(g, want) == 0, "it is \"%s\", not \"%s\"", g, want);                                              \
	} while (0)

int
main(void)
{
	static const struct
	{
		const char *text;
		int width;
	} widths[] = {{"", 0},
				  {"abc", 3},
				  {"\xc3\xa9", 1},
				  {"e\xcc\x81", 1},
				  {"\xe7\x95\x8c", 2},
				  {"\xf0\x9f\x98\x80", 2},
				  {"\xef\xbd\xb1", 1},
				  {"\xed\x95\x9c", 2},
				  {"\xff", 1},
				  {"\xe7\x95", 2},
				  {"\xc0\x80", 2},
				  {"\n", 1},
				  {"\xe2\x80\x8b", 0},
				  {"\xe2\x80\xae", 1}};
	double values[] = {0, 1, 4, NAN, 8};

	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		CHECK(chart_width(widths[i].text, strlen(widths[i].text)) == widths[i].width, "text %zu has width %d", i,
			  chart_width(widths[i].text, strlen(widths[i].text)));
	SAME(fit("abc", 3, false), "abc");
	SAME(fit("abcd", 3, false), "ab~");
	SAME(fit("abcd", 3, true), "ab\xe2\x80\xa6");
	SAME(fit("\xe7\x95\x8c\xe7\x95\x8c", 3, false), "\xe7\x95\x8c~");
	SAME(fit("\xe7\x95\x8c\xe7\x95\x8c", 2, false), "~");
	SAME(fit("a\x1b[31m\xe2\x80\xae", 9, false), "a?[31m?");
	SAME(fit("e\xcc\x81"
			 "e\xcc\x81",
			 2, false),
		 "e\xcc\x81"
		 "e\xcc\x81");
	out[chart_spark(out, values, 5, false)] = '\0';
	SAME(out, "_.= @");
	out[chart_spark(out, values, 5, true)] = '\0';
	SAME(out, "_\xe2\x96\x81\xe2\x96\x84 \xe2\x96\x88");
	SAME(bar(0, 4, false), "----");
	SAME(bar(0.001, 4, false), "#---");
	SAME(bar(0.5, 4, false), "##--");
	SAME(bar(0.999, 4, false), "###-");
	SAME(bar(1, 4, false), "####");
	SAME(bar(NAN, 4, false), "----");
	SAME(bar(0.5, 2, true), "\xe2\x96\x88\xe2\x96\x91");

	/* 11 columns of 1 each, from -5 to 5 or from 0 to 10. */
	SAME(interval(-3, 1, 4, -5, 5, 11, false), "  [--+o--] ");
	SAME(interval(-3, 1, 4, -5, 5, 11, true),
		 "  \xe2\x94\x9c\xe2\x94\x80\xe2\x94\x80\xe2\x94\xbc\xe2\x97\x8f\xe2\x94\x80\xe2\x94\x80\xe2\x94\xa4 ");
	SAME(interval(2, 3, 4, -5, 5, 11, false), "     | [o] ");
	SAME(interval(2, 3, 4, 0, 10, 11, false), "| [o]      ");
	SAME(interval(0, 3, 5, -5, 5, 11, false), "     [--o-]");
	SAME(interval(2, 2, 2, 1, 10, 10, false), " o        ");
	SAME(interval(-INFINITY, -1, INFINITY, -5, 5, 11, false), "<---o+---->");
	SAME(
		interval(-INFINITY, -1, INFINITY, -5, 5, 11, true),
		"\xe2\x97\x82\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x97\x8f\xe2\x94\xbc\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x96\xb8");
	SAME(interval(7, 8, 9, -5, 5, 11, false), "     |    >");
	SAME(interval(-9, -8, -7, -5, 5, 11, false), "<    |     ");
	SAME(interval(NAN, 1, 4, -5, 5, 11, false), "     |     ");
	SAME(interval(4, 1, -3, -5, 5, 11, false), "     |     ");
	SAME(interval(-3, NAN, 4, -5, 5, 11, false), "  [--+---] ");
	SAME(interval(-3, 1, 4, 5, 5, 4, false), "    ");
	SAME(interval(-3, 1, 4, -INFINITY, 5, 4, false), "    ");
	SAME(interval(-1e308, 0, 1e308, -1.7e308, 1.7e308, 11, false), "  [--o--]  ");
	SAME(interval(1, 2, 3, -5, 5, 1, false), "o");
	SAME(track(0, 5, false), "[.....]");
	SAME(track(1, 5, false), "[>....]");
	SAME(track(3, 5, false), "[##>..]");
	SAME(track(5, 5, false), "[####>]");
	SAME(track(6, 5, false), "[#####]");
	SAME(track(1, 1, false), "[>]");
	SAME(track(1, 100, false), "[>.........]");
	SAME(track(90, 100, false), "[########>.]");
	SAME(track(100, 100, false), "[#########>]");
	SAME(track(0, 0, false), "[]");
	SAME(track(INT32_MAX, INT32_MAX, false), "[#########>]");
	SAME(track(2, 3, true), "\xe2\x96\x95\xe2\x96\x88\xe2\x96\x93\xe2\x96\x91\xe2\x96\x8f");

	/* Whatever bytes come: never wider, never longer than promised. */
	{
		uint64_t state = 7;

		for (int n = 0; n < 20000; n++)
		{
			char text[40];
			size_t length;
			int width = 1 + n % 20;

			for (size_t i = 0; i < sizeof(text); i++)
			{
				state = state * 6364136223846793005ULL + 1442695040888963407ULL;
				text[i] = (char) (state >> 56);
			}
			length = chart_fit(out, text, sizeof(text), width, n % 2);
			CHECK(length <= sizeof(text) + CHART_COLUMN && chart_width(out, length) <= width, "text %d", n);
			{
				double ends[5];

				memcpy(ends, text, sizeof(ends));
				length = chart_interval(out, ends[0], ends[1], ends[2], ends[3], ends[4], width, n % 2);
				CHECK(length <= (size_t) (CHART_COLUMN * width) && chart_width(out, length) == width, "interval %d", n);
			}
		}
	}
	return unit_done();
}
