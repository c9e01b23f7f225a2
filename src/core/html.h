/*
 * html.h: the text of a page, piece by piece. What comes from outside goes in escaped, numbers and times in one form.
 * The page is plain ASCII: whatever else a name holds is written as a character reference, so it reads the same in
 * whatever encoding it is stored or sent. It is well-formed XML, too. Memory is the caller's.
 */
#ifndef CORE_HTML_H
#define CORE_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct html
{
	char *text; /* ends with a 0 */
	size_t length;
	size_t room;
	/* Gives `old` (NULL: nothing yet) that size, or NULL when there is no memory; must not be NULL itself. */
	void *(*resize)(void *old, size_t size);
	bool failed; /* memory has run out once: the text is cut there */
} html;

/* html_put: markup, as it is. */
extern void html_put(html *to, const char *markup);
/* html_format: markup with values, as printf; %s is markup too. At most 1,000 bytes. */
extern void html_format(html *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * html_escape: UTF-8 text of at most `characters` characters (0: all), an ellipsis where it goes on; for elements and
 * for attributes in double or single quotes. What would not be seen or would turn the text around it (control
 * characters, line and paragraph separators, bidirectional overrides, zero-width ones) is shown by its number, as in
 * [U+202E]; a byte that is no UTF-8 as U+FFFD.
 */
extern void html_escape(html *to, const char *text, size_t characters);

/* html_number: a number that people read: six significant digits at most, no more than it has; NaN is an en dash. */
extern void html_number(html *to, double value);
/* html_integer: all its digits. */
extern void html_integer(html *to, int64_t value);
/* html_percent: a share 0..1 as "99.25 %", six significant digits at most. */
extern void html_percent(html *to, double share);
/* html_seconds: a time that was taken, as "0.35 s". */
extern void html_seconds(html *to, double seconds);

/* html_round: a value with so many significant digits, for sentences. */
extern double html_round(double value, int digits);

/* html_iso: "2026-11-24 14:05:07", with `seconds` or without; as the times below. */
extern void html_iso(html *to, double time, bool seconds);
/* html_minute: "24 Nov 2026 14:05", html_second: "24 Nov 2026 14:05:07"; UTC. The time is in seconds since 1970; years
 * 1 to 9999, anything else is an en dash. */
extern void html_minute(html *to, double time);
extern void html_second(html *to, double time);

/* A time in UTC, taken apart. */
typedef struct html_calendar
{
	int year;
	int month; /* 1..12 */
	int day;   /* 1..31 */
	int hour;
	int minute;
	int second;
} html_calendar;

/* html_calendar_of: of seconds since 1970. */
extern html_calendar html_calendar_of(double time);
/* html_time_of: seconds since 1970 of a day's midnight; a month past 12 is in a later year. */
extern double html_time_of(int year, int month, int day);
/* html_month_name: "Jan" .. "Dec". */
extern const char *html_month_name(int month);

#endif
