/* chart.c: see chart.h. Widths are those of Unicode 15: combining marks and format characters none, East Asian wide and
 * fullwidth characters two; tables hold ranges of scripts, not every unassigned gap in them. */
#include "core/chart.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct range
{
	uint32_t first;
	uint32_t last;
} range;

static const range no_width[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x05bf, 0x05bf},  {0x05c1, 0x05c2}, {0x05c4, 0x05c5},
	{0x05c7, 0x05c7}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0670, 0x0670},  {0x06d6, 0x06dc}, {0x06df, 0x06e4},
	{0x06e7, 0x06e8}, {0x06ea, 0x06ed}, {0x0711, 0x0711}, {0x0730, 0x074a},  {0x0900, 0x0902}, {0x093a, 0x093a},
	{0x093c, 0x093c}, {0x0941, 0x0948}, {0x094d, 0x094d}, {0x0e31, 0x0e31},  {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},
	{0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20f0},  {0x302a, 0x302d}, {0x3099, 0x309a},
	{0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef}};

static const range wide[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},  {0x2614, 0x2615}, {0x2648, 0x2653},
	{0x26a1, 0x26a1},   {0x26aa, 0x26ab},   {0x2705, 0x2705},   {0x2728, 0x2728},  {0x274c, 0x274c}, {0x2753, 0x2755},
	{0x2b50, 0x2b50},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},  {0x4e00, 0xa4cf}, {0xa960, 0xa97f},
	{0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
	{0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};

/* Controls, and what turns the direction of writing or breaks the line. */
static const range harmful[] = {{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c},
								{0x200e, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}};

static bool
within(uint32_t c, const range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

#define WITHIN(c, ranges) within((c), (ranges), sizeof(ranges) / sizeof(*(ranges)))

/* next_character: its bytes; one byte, and a question mark for what must not be shown. */
static size_t
next_character(const unsigned char *at, size_t left, uint32_t *c)
{
	size_t bytes = *at < 0x80                  ? 1
				   : *at >= 0xc2 && *at < 0xe0 ? 2
				   : *at >= 0xe0 && *at < 0xf0 ? 3
				   : *at >= 0xf0 && *at < 0xf5 ? 4
											   : 0;

	*c = '?';
	if (bytes == 0 || bytes > left)
		return 1;
	for (size_t i = 1; i < bytes; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 1;
	*c = bytes == 1 ? *at : *at & (0x7fU >> bytes);
	for (size_t i = 1; i < bytes; i++)
		*c = *c << 6 | (at[i] & 0x3f);
	if (WITHIN(*c, harmful))
		*c = '?';
	return bytes;
}

static int
columns(uint32_t c)
{
	return c < 0x300 ? 1 : WITHIN(c, no_width) ? 0 : WITHIN(c, wide) ? 2 : 1;
}

int
chart_width(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *) text;
	int width = 0;
	uint32_t c;

	for (size_t i = 0; i < length;)
	{
		i += next_character(at + i, length - i, &c);
		width += columns(c);
	}
	return width;
}

/* put: a mark in one of the alphabets; its bytes. */
static size_t
put(char *out, const char *const marks[2], bool unicode)
{
	const char *mark = marks[unicode];
	size_t bytes = strlen(mark);

	memcpy(out, mark, bytes);
	return bytes;
}

size_t
chart_fit(char *out, const char *text, size_t length, int width, bool unicode)
{
	const unsigned char *at = (const unsigned char *) text;
	static const char *const cut_mark[2] = {"~", "\xe2\x80\xa6"};
	bool cut = chart_width(text, length) > width;
	int room = cut ? width - 1 : width;
	size_t written = 0;
	uint32_t c;

	for (size_t i = 0; i < length;)
	{
		size_t bytes = next_character(at + i, length - i, &c);

		room -= columns(c);
		if (room < 0)
			break;
		if (c == '?')
			out[written++] = '?';
		else
		{
			memcpy(out + written, at + i, bytes);
			written += bytes;
		}
		i += bytes;
	}
	return cut ? written + put(out + written, cut_mark, unicode) : written;
}

size_t
chart_spark(char *out, const double *values, int n, bool unicode)
{
	static const char *const ascii = ".:-=+*#@";
	double most = 0;
	size_t written = 0;

	for (int i = 0; i < n; i++)
		if (isfinite(values[i]) && values[i] > most)
			most = values[i];
	for (int i = 0; i < n; i++)
	{
		int level = isfinite(values[i]) && values[i] > 0 ? (int) ceil(values[i] / most * 8) - 1 : -1;

		level = level > 7 ? 7 : level;
		if (isnan(values[i]))
			out[written++] = ' ';
		else if (level < 0)
			out[written++] = '_';
		else if (!unicode)
			out[written++] = ascii[level];
		else
		{
			out[written++] = '\xe2';
			out[written++] = '\x96';
			out[written++] = (char) (0x81 + level);
		}
	}
	return written;
}

static const char *const full[2] = {"#", "\xe2\x96\x88"};
static const char *const empty[2] = {"-", "\xe2\x96\x91"};

size_t
chart_bar(char *out, double fraction, int width, bool unicode)
{
	int filled = !(fraction > 0) ? 0 : fraction >= 1 ? width : (int) floor(fraction * width + 0.5);
	size_t written = 0;

	if (fraction > 0 && filled == 0)
		filled = 1;
	if (fraction < 1 && filled == width && width > 1)
		filled = width - 1;
	for (int i = 0; i < width; i++)
		written += put(out + written, i < filled ? full : empty, unicode);
	return written;
}

/* column_of: where a value lies on an axis of so many columns; -1 before it, `width` behind it. */
static int
column_of(double value, double axis_low, double axis_high, int width)
{
	double at;

	if (value < axis_low)
		return -1;
	if (value > axis_high)
		return width;
	/* halves, lest the length of the axis overflows */
	at = (value / 2 - axis_low / 2) / (axis_high / 2 - axis_low / 2);
	return (int) floor(at * (width - 1) + 0.5);
}

size_t
chart_interval(char *out, double low, double estimate, double high, double axis_low, double axis_high, int width,
			   bool unicode)
{
	static const char *const blank[2] = {" ", " "};
	static const char *const line[2] = {"-", "\xe2\x94\x80"};
	static const char *const zero_mark[2] = {"|", "\xe2\x94\x82"};
	static const char *const zero_within[2] = {"+", "\xe2\x94\xbc"};
	static const char *const first_mark[2] = {"[", "\xe2\x94\x9c"};
	static const char *const last_mark[2] = {"]", "\xe2\x94\xa4"};
	static const char *const before[2] = {"<", "\xe2\x97\x82"};
	static const char *const behind[2] = {">", "\xe2\x96\xb8"};
	static const char *const estimate_mark[2] = {"o", "\xe2\x97\x8f"};
	bool axis = isfinite(axis_low) && isfinite(axis_high) && axis_low < axis_high;
	bool drawn = axis && !isnan(low) && !isnan(high) && low <= high;
	int first = drawn ? column_of(low, axis_low, axis_high, width) : width;
	int last = drawn ? column_of(high, axis_low, axis_high, width) : -1;
	int middle = drawn && !isnan(estimate) ? column_of(estimate, axis_low, axis_high, width) : -1;
	int zero = axis ? column_of(0, axis_low, axis_high, width) : -1;
	size_t written = 0;

	for (int i = 0; i < width; i++)
	{
		/* An interval that lies beyond the axis altogether is the arrow at that edge. */
		bool to_left = drawn && first < 0 && i == 0;
		bool to_right = drawn && last >= width && i == width - 1;
		bool within_it = drawn && i > first && i < last;

		written += put(out + written,
					   to_left               ? before
					   : to_right            ? behind
					   : i == middle         ? estimate_mark
					   : drawn && i == first ? first_mark
					   : drawn && i == last  ? last_mark
					   : i == zero           ? (within_it ? zero_within : zero_mark)
					   : within_it           ? line
											 : blank,
					   unicode);
	}
	return written;
}

size_t
chart_track(char *out, int step, int steps, bool unicode)
{
	static const char *const open[2] = {"[", "\xe2\x96\x95"};
	static const char *const close[2] = {"]", "\xe2\x96\x8f"};
	static const char *const now[2] = {">", "\xe2\x96\x93"};
	static const char *const to_come[2] = {".", "\xe2\x96\x91"};
	int shown = steps < CHART_TRACK ? steps : CHART_TRACK;
	/* the column of the present step: only the last step is in the last, and what is done is never all before it */
	int at = step < 1 ? -1 : step > steps ? shown : (int) ((int64_t) (step - 1) * shown / steps);
	size_t written = put(out, open, unicode);

	for (int i = 0; i < shown; i++)
		written += put(out + written, i < at ? full : i == at ? now : to_come, unicode);
	return written + put(out + written, close, unicode);
}
