/*
 * report_series.c: what versions did over the time of a report, as plots with their tables: the values of
 * get_performance_trends(), bucket by bucket, and of get_current_metrics() over the whole time.
 */
#include "pg/report.h"

#include <math.h>

#include "mb/pg_wchar.h"

#include "core/hypothesis.h"

/* Cells of values in the table of one plot, so that many versions have fewer rows. */
#define TABLE_CELLS 200

/* samples_of: what a version is ranked by: its requests, or whatever else is known of it. */
static int64
samples_of(const metric_answer *answer, int64 version_id, const char **names, int count)
{
	int64 most = 0;

	for (int i = 0; i < count; i++)
		most = Max(most, metric_point_of(answer, version_id, DT_NOBEGIN, names[i], 1).samples);
	return most;
}

void
report_series_read(report *r, const int64 *version_ids, const char *const *versions, int n, report_series *out)
{
	metric_question question = {.version_ids = version_ids,
								.versions = n,
								.since = r->since,
								.until = Min(r->until, r->now),
								.quantiles = true,
								.exact = true};
	int64 *samples = palloc0(sizeof(int64) * (n + 1));
	const char **names;
	int name_count;
	int64 total = 0;
	int active = 0;

	*out =
		(report_series){.versions = palloc0(sizeof(report_version) * (n + 1)), .every = version_ids, .every_count = n};
	out->whole = metric_read(&question);
	metric_read_reported(&question, out->whole);
	names = metric_names(out->whole, &name_count);
	for (int i = 0; i < n; i++)
	{
		samples[i] = samples_of(out->whole, version_ids[i], names, name_count);
		active += samples[i] > 0;
	}
	for (int i = 0; i < n; i++)
	{
		int better = 0;

		for (int j = 0; j < n; j++)
			better += samples[j] > samples[i] || (j < i && samples[j] == samples[i]);
		if (samples[i] == 0 || better >= PLOT_STYLES)
			continue;
		out->versions[out->count] =
			(report_version){.version_id = version_ids[i], .version = versions[i], .style = out->count};
		out->count++;
	}
	out->others = active - out->count;
	for (int i = 0; i < n; i++)
		total += samples[i];
	/* Some fifty samples a point, if that leaves enough points: the fewer, the more a line shows nothing but chance. */
	out->width =
		metric_bucket_width(r->since, r->until, Max(16, Min(REPORT_BUCKETS, total / (50 * Max(1, out->count)))));
	question.width = out->width;
	out->slots = metric_read(&question);
	metric_read_reported(&question, out->slots);
}

/* minutes_of: how long a slot is within the report's time. */
static double
minutes_of(const report *r, TimestampTz slot, int64 width)
{
	return (double) (Min(slot + width, r->until) - Max(slot, r->since)) / USECS_PER_MINUTE;
}

metric_point
report_total(const report *r, const report_series *s, int64 version_id, const char *metric_name)
{
	return metric_point_of(s->whole, version_id, DT_NOBEGIN, metric_name,
						   (double) (r->until - r->since) / USECS_PER_MINUTE);
}

/* point_of: a metric in a slot; "share" is of the requests of all versions that did something, drawn or not. */
static metric_point
point_of(const report *r, const report_series *s, const report_plot *p, int64 version_id, TimestampTz slot,
		 const int64 *requests)
{
	metric_point point;

	if (strcmp(p->metric_name, "share") != 0)
		return metric_point_of(s->slots, version_id, slot, p->metric_name, minutes_of(r, slot, s->width));
	point = metric_point_of(s->slots, version_id, slot, "requests_per_minute", 1);
	point.samples = point.reported ? 0 : point.samples;
	point.value = *requests > 0 ? (double) point.samples / (double) *requests : NAN;
	return point;
}

/* near: whether a version has requests right before or behind a slot. */
static bool
near(const report *r, const report_series *s, int v, TimestampTz slot)
{
	int64 id = s->versions[v].version_id;

	return metric_point_of(s->slots, id, slot - s->width, "requests_per_minute", 1).samples > 0 ||
		   metric_point_of(s->slots, id, slot + s->width, "requests_per_minute", 1).samples > 0;
}

/* title_markup: the title as markup. */
static const char *
title_markup(const report *r, const report_plot *p)
{
	html title = {.resize = r->page.resize};

	html_escape(&title, p->title, 60);
	return title.text ? title.text : "";
}

/* put_table: the values of a plot, newest slots first. */
static void
put_table(report *r, const report_series *s, const report_plot *p, const metric_point *points, int slots,
		  TimestampTz first)
{
	int columns = 1 + 2 * s->count;
	plot_unit unit = strcmp(p->metric_name, "share") == 0 ? PLOT_SHARE : report_unit(p->metric_name);
	report_column *heading = palloc0(sizeof(report_column) * columns);
	report_table table = {
		.id = psprintf("%s-table", p->id),
		.caption = psprintf("Numbers: %s%s by %s", title_markup(r, p),
							unit == PLOT_SHARE     ? ", %"
							: unit == PLOT_SECONDS ? ", s"
												   : "",
							s->width % USECS_PER_DAY == 0    ? psprintf("%d d", (int) (s->width / USECS_PER_DAY))
							: s->width % USECS_PER_HOUR == 0 ? psprintf("%d h", (int) (s->width / USECS_PER_HOUR))
															 : psprintf("%d min", (int) (s->width / USECS_PER_MINUTE))),
		.columns = heading,
		.count = columns,
		.numbers = true};
	int rows = 0;
	int most = Max(10, TABLE_CELLS / Max(1, s->count));
	int with_values = 0;

	heading[0] = (report_column){"From (UTC)", REPORT_TIME};
	for (int v = 0; v < s->count; v++)
	{
		html name = {.resize = r->page.resize};

		html_escape(&name, s->versions[v].version, 40);
		heading[1 + 2 * v] = (report_column){name.text ? psprintf("<bdi>%s</bdi>", name.text) : "", REPORT_NUMBER};
		heading[2 + 2 * v] = (report_column){"samples", REPORT_INTEGER};
	}
	html_format(&r->page, "<details><summary>%s</summary>", table.caption);
	report_table_begin(r, &table);
	for (int slot = slots - 1; slot >= 0; slot--)
	{
		bool any = false;

		for (int v = 0; v < s->count; v++)
			any |= points[v * slots + slot].samples > 0;
		with_values += any;
		if (!any || rows == most)
			continue;
		rows++;
		html_put(&r->page, "<tr><th scope=\"row\">");
		html_iso(&r->page, report_seconds(first + slot * s->width), false);
		html_put(&r->page, "</th>");
		for (int v = 0; v < s->count; v++)
		{
			const metric_point *at = &points[v * slots + slot];

			html_put(&r->page, "<td>");
			html_number(&r->page, unit == PLOT_SHARE ? at->value * 100 : at->value);
			html_put(&r->page, "</td><td>");
			html_integer(&r->page, at->samples);
			html_put(&r->page, "</td>");
		}
		html_put(&r->page, "</tr>");
	}
	report_table_end(r, &table);
	report_more(r, with_values - rows, ", older ones, are in the plot and in model_mgr.metric_series");
	html_put(&r->page, "</details>");
}

/* summary_of: what is to be seen, in words: each version's value over the whole time. */
static const char *
summary_of(const report *r, const report_series *s, const report_plot *p)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "Lines over time, one a version.");
	for (int v = 0; v < s->count && strcmp(p->metric_name, "share") != 0; v++)
	{
		metric_point total = report_total(r, s, s->versions[v].version_id, p->metric_name);

		if (total.samples > 0)
		{
			const char *name = s->versions[v].version;
			int length = strlen(name);
			int kept = pg_encoding_mbcliplen(PG_UTF8, name, length, 60);

			appendStringInfo(&text, " %.*s%s: %.6g over the whole time.", kept, name, kept < length ? "..." : "",
							 total.value);
		}
	}
	appendStringInfo(&text, " The numbers are in the table below.");
	return text.data;
}

void
report_draw(report *r, const report_series *s, const report_plot *p)
{
	TimestampTz first = metric_floor(r->since + 1, s->width);
	int slots = (int) ((metric_floor(r->until, s->width) - first) / s->width) + 1;
	metric_point *points = palloc0(sizeof(metric_point) * (s->count * slots + 1));
	plot_series *series = palloc0(sizeof(plot_series) * (s->count + p->more_count + 1));
	int64 *requests = palloc0(sizeof(int64) * (slots + 1));
	plot drawing = {.id = p->id,
					.title = p->title,
					.summary = summary_of(r, s, p),
					.height = p->height,
					.time = true,
					.x_low = report_seconds(r->since),
					.x_high = report_seconds(r->until),
					.unit = strcmp(p->metric_name, "share") == 0 ? PLOT_SHARE : report_unit(p->metric_name),
					.floor = p->floor,
					.ceiling = p->ceiling,
					.include = p->include,
					.series = series,
					.series_count = s->count + p->more_count,
					.marks = p->marks,
					.mark_count = p->mark_count,
					.limits = p->limits,
					.limit_count = p->limit_count};
	bool any = false;

	if (r->since >= r->until)
		slots = 0;
	for (int slot = 0; slot < slots; slot++)
		for (int v = 0; v < s->every_count; v++)
		{
			metric_point point =
				metric_point_of(s->slots, s->every[v], first + slot * s->width, "requests_per_minute", 1);

			requests[slot] += point.reported ? 0 : point.samples;
		}
	for (int v = 0; v < s->count; v++)
	{
		plot_point *line = palloc0(sizeof(plot_point) * (slots + 1));

		for (int slot = 0; slot < slots; slot++)
		{
			TimestampTz from = first + slot * s->width;
			metric_point at = point_of(r, s, p, s->versions[v].version_id, from, &requests[slot]);
			plot_point *to = &line[slot];

			/* in the middle of what was counted */
			to->x = (report_seconds(Max(from, r->since)) + report_seconds(Min(from + s->width, r->until))) / 2;
			to->y = at.value;
			to->low = to->high = NAN;
			if (p->band && s->count <= REPORT_BANDS && at.samples > 0 && !at.reported)
				hypothesis_rate_interval(at.cell->tally.successes, at.cell->tally.known, 0.95, &to->low, &to->high);
			any |= !isnan(at.value);
			/* A version without traffic has no line, but where its traffic begins and ends. */
			if (strcmp(p->metric_name, "share") == 0 && at.samples == 0 && !near(r, s, v, from))
				to->y = NAN;
			points[v * slots + slot] = at;
		}
		series[v] = (plot_series){
			.name = s->versions[v].version, .style = s->versions[v].style, .points = line, .count = slots};
	}
	for (int i = 0; i < p->more_count; i++)
		series[s->count + i] = p->more[i];
	html_format(&r->page, "<figure id=\"%s-figure\"><figcaption><h3>%s</h3>", p->id, title_markup(r, p));
	if (p->note)
		html_format(&r->page, "<p class=\"how\">%s</p>", p->note);
	html_put(&r->page, "</figcaption><div class=\"place\">");
	plot_lines(&r->page, &drawing);
	html_put(&r->page, "</div>");
	if (any)
		put_table(r, s, p, points, slots, first);
	html_put(&r->page, "</figure>");
}
