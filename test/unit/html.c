/*
 * html.c: nothing from outside becomes markup, numbers and times have their one form, and a page that runs out of
 * memory stops there.
 */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/html.h"

static html page = {.resize = realloc};

static void *
no_memory(void *old, size_t size)
{
	return NULL;
}

static const char *
fresh(void)
{
	page.length = 0;
	page.failed = false;
	html_put(&page, "");
	page.text[0] = '\0';
	return page.text;
}

static void
check_escape(const char *text, size_t characters, const char *wanted)
{
	fresh();
	html_escape(&page, text, characters);
	CHECK(strcmp(page.text, wanted) == 0, "%s: %s", text, page.text);
}

#define CHECK_TEXT(call, wanted)                                                                                       \
	do                                                                                                                 \
	{                                                                                                                  \
		fresh();                                                                                                       \
		call;                                                                                                          \
		CHECK(strcmp(page.text, wanted) == 0, "%s: %s", #call, page.text);                                             \
	} while (0)

int
main(void)
{
	html none = {.resize = no_memory};
	double noon = html_time_of(2026, 11, 24) + 12 * 3600 + 5 * 60 + 7;
	int bad_days = 0;

	check_escape("", 0, "");
	check_escape("plain", 0, "plain");
	check_escape("<script>alert(\"x\" & 'y')</script>", 0,
				 "&lt;script&gt;alert(&#34;x&#34; &amp; &#39;y&#39;)&lt;/script&gt;");
	check_escape("caf\xC3\xA9 \xE6\x96\x87 \xF0\x9F\x90\x98", 0, "caf&#233; &#25991; &#128024;");
	check_escape("a\x01\x7F\xC2\x85z", 0, "a[U+0001][U+007F][U+0085]z");
	check_escape("line\xE2\x80\xA8paragraph\xE2\x80\xA9", 0, "line[U+2028]paragraph[U+2029]");
	check_escape("evil\xE2\x80\xAEtxt.exe\xE2\x81\xA6\xD8\x9C", 0, "evil[U+202E]txt.exe[U+2066][U+061C]");
	check_escape("zero\xE2\x80\x8Bwidth\xEF\xBB\xBF", 0, "zero[U+200B]width[U+FEFF]");
	check_escape("\xEF\xBF\xBE\xEF\xB7\x90", 0, "[U+FFFE][U+FDD0]");
	check_escape("bad \xFF\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80", 0,
				 "bad &#65533;&#65533;&#65533;&#65533;&#65533;&#65533;&#65533;&#65533;&#65533;&#65533;");
	check_escape("cut \xE6\x96", 0, "cut &#65533;&#65533;");
	check_escape("abcdef", 6, "abcdef");
	check_escape("abcdefg", 6, "abcde&#8230;");
	check_escape("\xE6\x96\x87\xE6\x96\x87\xE6\x96\x87", 2, "&#25991;&#8230;");
	check_escape("<<<", 2, "&lt;&#8230;");

	CHECK_TEXT(html_number(&page, 0), "0");
	CHECK_TEXT(html_number(&page, -0.0), "0");
	CHECK_TEXT(html_number(&page, 0.1 + 0.2), "0.3");
	CHECK_TEXT(html_number(&page, -1.5), "&#8722;1.5");
	CHECK_TEXT(html_number(&page, 0.00001234), "0.00001234");
	CHECK_TEXT(html_number(&page, 1e-12), "1e-12");
	CHECK_TEXT(html_number(&page, 12345678), "12345678");
	CHECK_TEXT(html_number(&page, 1e300), "1e+300");
	CHECK_TEXT(html_number(&page, NAN), "&#8211;");
	CHECK_TEXT(html_number(&page, -INFINITY), "&#8722;&#8734;");
	CHECK_TEXT(html_percent(&page, 0.99251), "99.251&#160;%");
	CHECK_TEXT(html_percent(&page, NAN), "&#8211;");
	CHECK_TEXT(html_seconds(&page, 0.35), "0.35&#160;s");
	CHECK_TEXT(html_integer(&page, INT64_MIN), "-9223372036854775808");
	CHECK_TEXT(html_number(&page, html_round(0.960709, 4)), "0.9607");
	CHECK_TEXT(html_number(&page, html_round(-123456, 2)), "&#8722;120000");
	CHECK_TEXT(html_number(&page, html_round(NAN, 2)), "&#8211;");
	CHECK_TEXT(html_number(&page, html_round(0, 2)), "0");
	CHECK_TEXT(html_iso(&page, noon, true), "2026-11-24 12:05:07");
	CHECK_TEXT(html_iso(&page, noon, false), "2026-11-24 12:05");
	CHECK_TEXT(html_iso(&page, -INFINITY, false), "&#8211;");
	CHECK_TEXT(html_minute(&page, noon), "24&#160;Nov&#160;2026 12:05");
	CHECK_TEXT(html_second(&page, noon), "24&#160;Nov&#160;2026 12:05:07");
	CHECK_TEXT(html_minute(&page, INFINITY), "&#8211;");
	CHECK_TEXT(html_minute(&page, NAN), "&#8211;");
	CHECK_TEXT(html_minute(&page, html_time_of(1, 1, 1)), "1&#160;Jan&#160;1 00:00");
	CHECK_TEXT(html_minute(&page, html_time_of(2024, 14, 1)), "1&#160;Feb&#160;2025 00:00");

	/* Each day of 9,999 years is the day after the one before. */
	for (double day = html_time_of(1, 1, 1); day < html_time_of(10000, 1, 1); day += 86400)
	{
		html_calendar c = html_calendar_of(day);

		bad_days +=
			html_time_of(c.year, c.month, c.day) != day || c.day < 1 || c.day > 31 || c.month < 1 || c.month > 12;
	}
	CHECK(bad_days == 0, "%d days are others", bad_days);

	html_put(&none, "lost");
	html_escape(&none, "<", 0);
	CHECK(none.failed && none.length == 0, "wrote %zu bytes without memory", none.length);
	fresh();
	for (int i = 0; i < 100000; i++)
		html_put(&page, "0123456789");
	CHECK(page.length == 1000000 && page.text[page.length] == '\0' && strlen(page.text) == 1000000, "%zu bytes",
		  page.length);
	free(page.text);
	return unit_done();
}
