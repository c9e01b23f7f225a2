/*
 * report.c: what all reports are made of: the page's memory, values, tables. The pages themselves are report_model.c,
 * report_test.c and report_deployment.c.
 */
#include "pg/report.h"

#include <math.h>

#include "mb/pg_wchar.h"

#include "core/page.h"
#include "pg/query.h"

/* resize: memory of the page; running out of it is the server's error, so the page is never cut. */
static void *
resize(void *old, size_t size)
{
	return old ? repalloc_huge(old, size) : palloc_extended(size, MCXT_ALLOC_HUGE);
}

void
report_begin(report *r, TimestampTz since, TimestampTz until)
{
	*r = (report){.page = {.resize = resize}, .since = since, .until = until, .now = mm_now()};
}

Datum
report_end(report *r)
{
	page_end(&r->page, MODEL_MGR_VERSION, report_seconds(r->now));
	return query_result_text(r->page.text);
}

const char *
report_utf8(const char *text)
{
	if (text == NULL)
		return "";
	/* Bytes of no known encoding are nothing to be converted; what is no UTF-8 is shown as such. */
	return GetDatabaseEncoding() == PG_SQL_ASCII ? text : pg_server_to_any(text, strlen(text), PG_UTF8);
}

plot_unit
report_unit(const char *metric_name)
{
	metric m = metric_parse(metric_name ? metric_name : "");

	if (m.form == METRIC_SUCCESS_RATE || m.form == METRIC_ERROR_RATE ||
		(m.form == METRIC_MEAN && m.measure == METRIC_CONFIDENCE))
		return PLOT_SHARE;
	if ((m.form == METRIC_MEAN || m.form == METRIC_QUANTILE) && m.measure == METRIC_RESPONSE_TIME)
		return PLOT_SECONDS;
	return PLOT_NUMBER;
}

void
report_value(html *to, double value, plot_unit unit)
{
	if (unit == PLOT_SHARE)
		html_percent(to, value);
	else if (unit == PLOT_SECONDS)
		html_seconds(to, value);
	else
		html_number(to, value);
}

void
report_name(html *to, const char *text)
{
	html_put(to, "<b><bdi>");
	html_escape(to, report_utf8(text), 80);
	html_put(to, "</bdi></b>");
}

void
report_heading(report *r, const char *id, const char *heading)
{
	html_format(&r->page, "\n<h2 id=\"%s\">%s</h2>", id, heading);
}

void
report_fact(report *r, const char *name)
{
	html_format(&r->page, "<div><dt>%s</dt><dd>", name);
}

void
report_fact_end(report *r)
{
	html_put(&r->page, "</dd></div>");
}

/* ---------- tables ---------- */

static bool
is_number(report_kind kind)
{
	return kind >= REPORT_INTEGER;
}

void
report_table_begin(report *r, const report_table *table)
{
	html *to = &r->page;

	/* A region that scrolls can be reached by the keyboard, and says what it is. */
	html_format(
		to,
		"<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s\"><table id=\"%s\"%s><caption>%s</caption><thead><tr>",
		table->caption, table->id, table->numbers ? " class=\"num\"" : "", table->caption);
	for (int i = 0; i < table->count; i++)
		html_format(to, "<th scope=\"col\"%s>%s</th>",
					is_number(table->columns[i].kind) && !table->numbers ? " class=\"n\"" : "",
					table->columns[i].heading);
	html_put(to, "</tr></thead><tbody>");
}

void
report_table_end(report *r, const report_table *table)
{
	html_put(&r->page, "</tbody></table></div>");
}

void
report_more(report *r, int64 more, const char *of_what)
{
	if (more > 0)
		html_format(&r->page, "<p class=\"more\">and %lld more%s</p>", (long long) more, of_what);
}

void
report_cell(report *r, double value, plot_unit unit)
{
	html_put(&r->page, "<td class=\"n\">");
	report_value(&r->page, value, unit);
	html_put(&r->page, "</td>");
}

void
report_cell_integer(report *r, int64 value)
{
	html_put(&r->page, "<td class=\"n\">");
	html_integer(&r->page, value);
	html_put(&r->page, "</td>");
}

void
report_cell_time(report *r, TimestampTz at)
{
	html_put(&r->page, "<td class=\"t\">");
	html_iso(&r->page, TIMESTAMP_NOT_FINITE(at) ? NAN : report_seconds(at), true);
	html_put(&r->page, "</td>");
}

/* put_cell: one value of the last result. */
static void
put_cell(report *r, const report_table *table, uint64 row, int place)
{
	html *to = &r->page;
	report_kind kind = table->columns[place].kind;
	int column = table->from ? table->from[place] : place;
	plot_unit unit = kind == REPORT_METRIC    ? report_unit(query_text(row, table->metric_column))
					 : kind == REPORT_SHARE   ? PLOT_SHARE
					 : kind == REPORT_SECONDS ? PLOT_SECONDS
											  : PLOT_NUMBER;
	double value;

	if (kind == REPORT_TIME && !query_isnull(row, column))
		report_cell_time(r, query_time(row, column));
	else if (kind == REPORT_INTEGER && !query_isnull(row, column))
		report_cell_integer(r, query_int64(row, column));
	else if (kind == REPORT_WORD || kind == REPORT_WORDS)
	{
		html_put(to, kind == REPORT_WORD ? "<td class=\"k\"><bdi>" : "<td class=\"w\"><bdi>");
		html_escape(to, report_utf8(query_text(row, column)), kind == REPORT_WORD ? 80 : 240);
		html_put(to, "</bdi></td>");
	}
	else if (kind == REPORT_TIME || kind == REPORT_INTEGER)
		html_put(to, kind == REPORT_TIME ? "<td class=\"t\">&#8211;</td>" : "<td class=\"n\">&#8211;</td>");
	else
	{
		value = query_float8(row, column);
		/* A share of 0..100 has one of 0..1 behind it. */
		report_cell(r, kind == REPORT_PERCENT ? value / 100 : value, kind == REPORT_PERCENT ? PLOT_SHARE : unit);
	}
}

void
report_rows(report *r, const report_table *table, uint64 rows, int64 total)
{
	size_t begin = r->page.length;
	uint64 shown = 0;

	if (rows == 0)
	{
		html_format(&r->page, "<p class=\"none\" id=\"%s\">%s</p>", table->id, table->none);
		return;
	}
	report_table_begin(r, table);
	for (; shown < rows; shown++)
	{
		/* Names of many bytes (an escaped character has up to nine) cost rows, before the page is too large to be
		 * mailed. */
		if (r->page.length - begin > REPORT_TABLE_BYTES || r->page.length + r->later.length > REPORT_ROWS_END)
			break;
		html_put(&r->page, "<tr>");
		for (int column = 0; column < table->count; column++)
			put_cell(r, table, shown, column);
		html_put(&r->page, "</tr>");
	}
	report_table_end(r, table);
	report_more(r, total - (int64) shown, "");
}

void
report_rows_later(report *r, const report_table *table, uint64 rows, int64 total)
{
	html page = r->page;

	r->page = (html){.resize = page.resize};
	report_rows(r, table, rows, total);
	r->later = r->page;
	r->page = page;
}

void
report_put_later(report *r)
{
	html_put(&r->page, r->later.text);
	r->later.length = 0;
}

/* put_labels: numbers at the first of those events that lie closer together than labels may. */
static void
put_labels(const TimestampTz *at, int n, int number, TimestampTz apart, plot_mark *marks, bool narrow)
{
	for (int first = 0, last; first < n; first = last + 1)
	{
		char *label = narrow ? marks[first].narrow : marks[first].label;

		for (last = first; last + 1 < n && at[last + 1] - at[first] < apart; last++)
			;
		if (first == last)
			snprintf(label, sizeof(marks[first].label), "%d", first + number);
		else
			snprintf(label, sizeof(marks[first].label), "%d-%d", first + number, last + number);
	}
}

void
report_marks(const report *r, const TimestampTz *at, const bool *strong, int n, int first, plot_mark *marks)
{
	for (int i = 0; i < n; i++)
		marks[i] = (plot_mark){.x = report_seconds(at[i]), .strong = strong[i]};
	/* "10-12" is as wide as a sixteenth of a plot on a screen, and a sixth on a telephone. */
	put_labels(at, n, first, (r->until - r->since) / 16, marks, false);
	put_labels(at, n, first, (r->until - r->since) / 6, marks, true);
}
