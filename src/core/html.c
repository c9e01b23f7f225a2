/*
 * html.c: see html.h.
 */
#include "core/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_A_DAY 86400.0

/* append: bytes, when there is memory for all of them. */
static void
append(html *to, const char *bytes, size_t length)
{
	if (to->failed)
		return;
	if (to->length + length + 1 > to->room)
	{
		size_t room = to->room < 4096 ? 8192 : to->room * 2;
		char *text;

		while (room < to->length + length + 1)
			room *= 2;
		text = to->resize(to->text, room);
		if (text == NULL)
		{
			to->failed = true;
			return;
		}
		to->text = text;
		to->room = room;
	}
	memcpy(to->text + to->length, bytes, length);
	to->length += length;
	to->text[to->length] = '\0';
}

void
html_put(html *to, const char *markup)
{
	append(to, markup, strlen(markup));
}

void
html_format(html *to, const char *format, ...)
{
	char buffer[1001];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(buffer, sizeof(buffer), format, arguments);
	va_end(arguments);
	html_put(to, buffer);
}

/* decode: the character at text, and how many bytes it takes; 0xFFFD and 1 for what is none (Unicode 15, table 3-7). */
static uint32_t
decode(const unsigned char *text, int *bytes)
{
	uint32_t c = text[0];
	int more = c < 0x80 ? 0 : c >= 0xC2 && c <= 0xDF ? 1 : (c & 0xF0) == 0xE0 ? 2 : c >= 0xF0 && c <= 0xF4 ? 3 : -1;

	*bytes = 1;
	if (more < 0)
		return 0xFFFD;
	if (more == 0)
		return c;
	c &= 0x3F >> more;
	/* The 0 at the end is no continuation: nothing behind it is read. */
	for (int i = 1; i <= more; i++)
	{
		if ((text[i] & 0xC0) != 0x80)
			return 0xFFFD;
		c = c << 6 | (text[i] & 0x3F);
	}
	if ((more == 2 && c < 0x800) || (more == 3 && c < 0x10000) || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0xFFFD;
	*bytes = more + 1;
	return c;
}

/* unseen: characters that cannot be seen, or that change how those around them are shown. */
static bool
unseen(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x61C || c == 0x180E ||
		   (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
		   c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF) ||
		   (c >= 0xE0000 && c <= 0xE0FFF);
}

void
html_escape(html *to, const char *text, size_t characters)
{
	const unsigned char *at = (const unsigned char *) text;
	size_t done = 0;

	while (*at != '\0')
	{
		int bytes;
		uint32_t c = decode(at, &bytes);

		/* An ellipsis for one character alone would save nothing. */
		if (characters > 0 && done == characters - 1 && at[bytes] != '\0')
		{
			html_put(to, "&#8230;");
			return;
		}
		if (unseen(c))
			html_format(to, "[U+%04X]", (unsigned) c);
		else if (c == '<')
			html_put(to, "&lt;");
		else if (c == '>')
			html_put(to, "&gt;");
		else if (c == '&')
			html_put(to, "&amp;");
		else if (c == '"' || c == '\'' || c >= 0x80)
			html_format(to, "&#%u;", (unsigned) c);
		else
			append(to, (const char *) at, 1);
		at += bytes;
		done++;
	}
}

/* put_digits: the shortest of six significant digits, without an exponent where people would write none. */
static void
put_digits(html *to, double value, const char *unit)
{
	char buffer[64];

	if (isnan(value))
	{
		html_put(to, "&#8211;");
		return;
	}
	if (isinf(value))
	{
		html_put(to, value < 0 ? "&#8722;&#8734;" : "&#8734;");
		return;
	}
	if (value != 0 && fabs(value) < 1e-4 && fabs(value) >= 1e-9)
	{
		/* %g would go over to exponents: 0.00001 is read faster than 1e-05. */
		snprintf(buffer, sizeof(buffer), "%.*f", 5 - (int) floor(log10(fabs(value))), value);
		for (size_t end = strlen(buffer); end > 1 && buffer[end - 1] == '0'; end--)
			buffer[end - 1] = '\0';
	}
	else if (fabs(value) >= 1e6 && fabs(value) < 1e15)
		snprintf(buffer, sizeof(buffer), "%.0f", value);
	else
		snprintf(buffer, sizeof(buffer), "%.6g", value);
	if (strcmp(buffer, "-0") == 0)
		snprintf(buffer, sizeof(buffer), "0");
	if (buffer[0] == '-')
		html_put(to, "&#8722;");
	html_put(to, buffer + (buffer[0] == '-'));
	html_put(to, unit);
}

double
html_round(double value, int digits)
{
	double unit;

	if (value == 0 || !isfinite(value) || fabs(value) < 1e-300)
		return value;
	unit = pow(10, floor(log10(fabs(value))) - digits + 1);
	return round(value / unit) * unit;
}

void
html_number(html *to, double value)
{
	put_digits(to, value, "");
}

void
html_integer(html *to, int64_t value)
{
	html_format(to, "%lld", (long long) value);
}

void
html_percent(html *to, double share)
{
	put_digits(to, share * 100, "&#160;%");
}

void
html_seconds(html *to, double seconds)
{
	put_digits(to, seconds, "&#160;s");
}

/* Days since 1970 to a date and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
html_calendar
html_calendar_of(double time)
{
	double days = floor(time / SECONDS_A_DAY);
	int seconds = (int) (floor(time) - days * SECONDS_A_DAY);
	int64_t z = (int64_t) days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	return (html_calendar){.year = (int) (year + era * 400 + (month >= 10)),
						   .month = (int) (month < 10 ? month + 3 : month - 9),
						   .day = (int) (of_year - (153 * month + 2) / 5 + 1),
						   .hour = seconds / 3600,
						   .minute = seconds / 60 % 60,
						   .second = seconds % 60};
}

double
html_time_of(int year, int month, int day)
{
	int64_t y = year + (month - 1) / 12;
	int m = (month - 1) % 12 + 1;
	int64_t era;
	int64_t of_era;
	int64_t of_year;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	of_era = y - era * 400;
	of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + day - 1;
	return (double) (era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468) * SECONDS_A_DAY;
}

const char *
html_month_name(int month)
{
	static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
										"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

	return names[month - 1];
}

/* put_time: a date, in digits or with its month's name, and the time of day, with seconds or without. NaN is no time.
 */
static void
put_time(html *to, double time, bool digits, bool seconds)
{
	html_calendar c;

	if (!(time >= html_time_of(1, 1, 1) && time < html_time_of(10000, 1, 1)))
	{
		html_put(to, "&#8211;");
		return;
	}
	c = html_calendar_of(time);
	if (digits)
		html_format(to, "%04d-%02d-%02d", c.year, c.month, c.day);
	else
		html_format(to, "%d&#160;%s&#160;%d", c.day, html_month_name(c.month), c.year);
	html_format(to, " %02d:%02d", c.hour, c.minute);
	if (seconds)
		html_format(to, ":%02d", c.second);
}

void
html_iso(html *to, double time, bool seconds)
{
	put_time(to, time, true, seconds);
}

void
html_minute(html *to, double time)
{
	put_time(to, time, false, false);
}

void
html_second(html *to, double time)
{
	put_time(to, time, false, true);
}
