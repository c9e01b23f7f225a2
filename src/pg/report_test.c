/*
 * report_test.c: report_ab_test(): one A/B test: what it says, how sure that is, and what to do.
 */
#include "pg/report.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/snapmgr.h"

#include "core/page.h"
#include "pg/query.h"

#define ESTIMATES 40
#define LOOKS 120
/* Information fractions at which the boundary ahead is drawn. */
#define AHEAD 10

typedef struct test
{
	char *test_id;
	char *name;
	char *control_model;
	char *control_version;
	char *treatment_model;
	char *treatment_version;
	char *status;
	char *verdict;
	char *stop_reason; /* NULL: it runs */
	char *winner;      /* NULL: none */
	char *recommendation;
	char *deciding_metric;
	char *description; /* NULL: none */
	double information;
	int64 planned_samples;
	int64 samples;
	double sample_ratio_p_value;
	double conditional_power;
	double confidence_level;
	TimestampTz started_at;
	TimestampTz ends_at;
	TimestampTz stopped_at; /* 0: it runs */
} test;

static bool
read_test(const char *test_id, test *t)
{
	static query find = QUERY_OF_SNAPSHOT(
		"SELECT t.test_id, t.name, t.control_model, t.control_version, t.treatment_model, t.treatment_version, t.status, t.verdict,"
		" t.stop_reason, t.winning_variant, t.recommendation, (SELECT q.deciding_metric FROM model_mgr.get_test_results($1) q), t.description,"
		" t.information_fraction, t.planned_samples,"
		" (SELECT pg_catalog.sum(a.samples) FROM model_mgr.test_arms($1) a)::bigint,"
		" (SELECT pg_catalog.max(a.sample_ratio_p_value) FROM model_mgr.test_arms($1) a),"
		" (SELECT pg_catalog.max(a.conditional_power) FROM model_mgr.test_arms($1) a), t.confidence_level, t.started_at, t.ends_at, t.stopped_at"
		" FROM model_mgr.get_test_status($1) t",
		TEXTOID);

	if (query_run(&find, text_arg(test_id)) == 0)
		return false;
	*t = (test){.test_id = query_text(0, 0),
				.name = query_text(0, 1),
				.control_model = query_text(0, 2),
				.control_version = query_text(0, 3),
				.treatment_model = query_text(0, 4),
				.treatment_version = query_text(0, 5),
				.status = query_text(0, 6),
				.verdict = query_text(0, 7),
				.stop_reason = query_text(0, 8),
				.winner = query_text(0, 9),
				.recommendation = query_text(0, 10),
				.deciding_metric = query_text(0, 11),
				.description = query_text(0, 12),
				.information = query_float8(0, 13),
				.planned_samples = query_int64(0, 14),
				.samples = query_int64(0, 15),
				.sample_ratio_p_value = query_float8(0, 16),
				.conditional_power = query_float8(0, 17),
				.confidence_level = query_float8(0, 18),
				.started_at = query_time(0, 19),
				.ends_at = query_time(0, 20),
				.stopped_at = query_time(0, 21)};
	return true;
}

/* put_arm: "spam 1.2". */
static void
put_arm(html *to, const char *model_name, const char *version)
{
	html_put(to, "<b><bdi>");
	html_escape(to, report_utf8(model_name), 80);
	html_put(to, " ");
	html_escape(to, report_utf8(version), 80);
	html_put(to, "</bdi></b>");
}

static void
put_verdict(report *r, const test *t)
{
	html *to = &r->page;
	bool bad = t->verdict &&
			   (strcmp(t->verdict, "sample_ratio_mismatch") == 0 || (t->winner && strcmp(t->winner, "control") == 0));

	html_format(to, "<p class=\"verdict%s\" id=\"verdict\">Control ", bad ? " bad" : t->winner ? " good" : "");
	put_arm(to, t->control_model, t->control_version);
	html_put(to, " against treatment ");
	put_arm(to, t->treatment_model, t->treatment_version);
	html_format(to, ": %s", t->status);
	if (t->verdict && strcmp(t->verdict, t->status) != 0)
	{
		html_put(to, ", verdict ");
		html_escape(to, t->verdict, 0);
	}
	if (t->winner)
	{
		html_put(to, ", winner ");
		report_name(to, t->winner);
	}
	html_put(to, ". ");
	if (t->recommendation)
	{
		html_put(to, "What to do: ");
		html_escape(to, report_utf8(t->recommendation), 500);
		html_put(to, ". ");
	}
	if (t->stop_reason)
	{
		html_put(to, "Why it ended: ");
		html_escape(to, report_utf8(t->stop_reason), 400);
	}
	html_put(to, "</p>");
}

static void
put_facts(report *r, const test *t)
{
	html *to = &r->page;

	html_put(to, "<dl>");
	report_fact(r, "Information");
	html_percent(to, html_round(t->information, 4));
	report_fact_end(r);
	report_fact(r, "Outcomes of those planned");
	html_integer(to, t->samples);
	html_put(to, " of ");
	html_integer(to, t->planned_samples);
	report_fact_end(r);
	report_fact(r, "Sample ratio, p-value");
	html_number(to, html_round(t->sample_ratio_p_value, 3));
	report_fact_end(r);
	report_fact(r, "Conditional power");
	html_percent(to, html_round(t->conditional_power, 3));
	report_fact_end(r);
	html_put(to, "</dl>");
}

/* note_of: what an estimate means, in a few words. */
static char *
note_of(double lift, const char *direction, bool significant)
{
	bool better = (lift > 0) == (strcmp(direction, "higher") == 0);

	if (isnan(lift))
		return pstrdup("not known");
	return psprintf("%s%.2f %%: %s",
					fabs(lift) < 0.00005 ? ""
					: lift < 0           ? "\xe2\x88\x92"
										 : "+",
					fabs(lift) * 100,
					!significant ? "not shown"
					: better     ? "better"
								 : "worse");
}

/* put_effects: every metric of every arm as part of control's mean, and the table of it. */
static void
put_effects(report *r, const test *t)
{
	static query metrics = QUERY_OF_SNAPSHOT(
		"SELECT m.metric_name, m.role, m.variant, m.direction, m.mean_control, m.mean_variant, m.samples_control, m.samples_variant,"
		" m.difference, m.ci_low, m.ci_high, m.p_value, m.p_value_adjusted, CASE WHEN m.significant THEN 'yes' ELSE 'no' END,"
		" a.anytime_ci_low, a.anytime_ci_high, m.relative_lift, pg_catalog.count(*) OVER ()"
		" FROM model_mgr.get_test_metrics($1) WITH ORDINALITY m (metric_name, role, variant, direction, mean_control, mean_variant,"
		"  samples_control, samples_variant, difference, relative_lift, ci_low, ci_high, p_value, p_value_adjusted, significant,"
		"  cuped_difference, cuped_ci_low, cuped_ci_high, n)"
		" LEFT JOIN model_mgr.test_arms($1) a ON m.role = 'primary' AND a.variant = m.variant ORDER BY m.n LIMIT $2",
		TEXTOID, INT4OID);
	/* Two tables, as no screen is wide enough for one of all columns. */
	static const report_column columns[] = {{"Metric", REPORT_WORD},       {"Role", REPORT_WORD},
											{"Variant", REPORT_WORD},      {"Control", REPORT_METRIC},
											{"Variant", REPORT_METRIC},    {"n control", REPORT_INTEGER},
											{"n variant", REPORT_INTEGER}, {"Difference", REPORT_METRIC},
											{"from", REPORT_METRIC},       {"to", REPORT_METRIC}};
	static const int from[] = {0, 1, 2, 4, 5, 6, 7, 8, 9, 10};
	static const report_table form = {.id = "metrics-table",
									  .caption = "Every metric of every arm against control",
									  .columns = columns,
									  .count = lengthof(columns),
									  .from = from,
									  .none = "Nothing has been recorded."};
	static const report_column test_columns[] = {{"Metric", REPORT_WORD},          {"Variant", REPORT_WORD},
												 {"Better is", REPORT_WORD},       {"p", REPORT_NUMBER},
												 {"p adjusted", REPORT_NUMBER},    {"Significant", REPORT_WORD},
												 {"Any time from", REPORT_METRIC}, {"to", REPORT_METRIC}};
	static const int test_from[] = {0, 2, 3, 11, 12, 13, 14, 15};
	static const report_table test_form = {.id = "tests-table",
										   .caption = "P-values, and intervals that stay valid however often one looks",
										   .columns = test_columns,
										   .count = lengthof(test_columns),
										   .from = test_from};
	int n = (int) query_run(&metrics, text_arg(t->test_id), int32_arg(ESTIMATES));
	plot_estimate *estimates = palloc0(sizeof(plot_estimate) * (n + 1));
	int arms = 0;

	for (int i = 0; i < n; i++)
		arms += strcmp(query_text(i, 1), "primary") == 0;
	for (int i = 0; i < n; i++)
	{
		double unit = fabs(query_float8(i, 4));
		bool significant = strcmp(query_text(i, 13), "yes") == 0;
		double lift = query_float8(i, 16);
		char *name = psprintf("%s%s%s", query_text(i, 0), arms > 1 ? ", " : "", arms > 1 ? query_text(i, 2) : "");

		/* Without a mean to compare with there is no part of it. */
		unit = unit > 0 ? unit : NAN;
		estimates[i] = (plot_estimate){.label = report_utf8(name),
									   .note = note_of(lift, query_text(i, 3), significant),
									   .value = lift,
									   .low = query_float8(i, 9) / unit,
									   .high = query_float8(i, 10) / unit,
									   .wide_low = query_float8(i, 14) / unit,
									   .wide_high = query_float8(i, 15) / unit,
									   .shown = significant};
	}
	report_heading(r, "effects", "Effects");
	html_put(
		&r->page,
		"<p class=\"how\">Treatment less control, in percent of control&#8217;s mean. The thick line is the interval at ");
	html_percent(&r->page, t->confidence_level);
	html_put(
		&r->page,
		" for a single look; the thin one, of the primary metric, stays valid however often it is looked at. A filled mark: it crossed its "
		"boundary, so it may be relied on.</p>");
	html_put(&r->page, "<figure><div class=\"place whole\">");
	plot_forest(&r->page, "forest", "Effects with their intervals",
				"A row a metric and arm. The numbers are in the table below.", PLOT_SHARE, estimates, n);
	html_put(&r->page, "</div>");
	report_rows(r, &form, n, n > 0 ? query_int64(0, 17) : 0);
	if (n > 0)
		report_rows(r, &test_form, n, query_int64(0, 17));
	html_put(&r->page, "</figure>");
}

/* ahead: the boundary at looks still to come, every tenth of the information, if there are two arms: with more it
 * depends on which arm leads. Points behind `n` of them; returns how many there are then. */
static int
ahead(const test *t, plot_point *boundary, int n, const double *fractions)
{
	static query z = QUERY_OF_SNAPSHOT(
		"SELECT q.f, q.z FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest(model_mgr.sequential_boundary($2,"
		" (SELECT 1 - (1 - t.confidence_level) * CASE WHEN t.secondary_metrics = '{}' THEN 1 ELSE 0.9 END FROM model_mgr.ab_test_list t WHERE t.test_id = $1),"
		" (SELECT t.stopping_rule FROM model_mgr.ab_test_list t WHERE t.test_id = $1)))) q (f, z)"
		" WHERE EXISTS (SELECT FROM model_mgr.ab_test_list t WHERE t.test_id = $1 AND t.status = 'running' AND t.early_stopping_enabled AND t.arms = '[]')",
		TEXTOID, FLOAT8ARRAYOID);
	StringInfoData array;
	double last = n > 0 ? fractions[n - 1] : 0;
	int count = n;
	uint64 rows;
	bool isnull;
	static query parse = QUERY("SELECT $1::float8[]", TEXTOID);

	initStringInfo(&array);
	appendStringInfoChar(&array, '{');
	for (int i = 0; i < n; i++)
		appendStringInfo(&array, "%s%.17g", i ? "," : "", fractions[i]);
	for (int i = 1; i <= AHEAD; i++)
		if (i / (double) AHEAD > last + 0.02)
			appendStringInfo(&array, "%s%.17g", array.len > 1 ? "," : "", i / (double) AHEAD);
	appendStringInfoChar(&array, '}');
	if (array.len == 2)
		return n;
	query_run(&parse, text_arg(array.data));
	rows = query_run(&z, text_arg(t->test_id), datum_arg(query_datum(0, 0, &isnull), false));
	for (uint64 i = n; i < rows; i++)
		boundary[count++] = (plot_point){.x = query_float8(i, 0), .y = query_float8(i, 1), .low = NAN, .high = NAN};
	return count;
}

/* put_boundary: the drawing: z of the primary metric and its boundary; looks that another metric decided stand apart.
 */
static void
put_boundary(report *r, const test *t, plot_point *primary, plot_point *other, const char *other_name,
			 plot_point *above, int n, int boundary_count)
{
	plot_point *below = palloc0(sizeof(plot_point) * (boundary_count + 1));
	plot_series series[4];
	plot p = {.id = "boundary",
			  .title = "Statistic and boundary by information",
			  .summary = "The statistic of each look and the boundary. The numbers are in the table below.",
			  .height = 300,
			  .x_unit = PLOT_SHARE,
			  .x_low = 0,
			  .x_high = 1,
			  .unit = PLOT_NUMBER,
			  .floor = NAN,
			  .ceiling = NAN,
			  .include = 0,
			  .series = series,
			  .series_count = lengthof(series)};

	for (int i = 0; i < boundary_count; i++)
	{
		/* A look with next to nothing to spend has no boundary; so far out nothing is to be seen. */
		if (!(above[i].y < 8))
			above[i].y = NAN;
		below[i] = above[i];
		below[i].y = -above[i].y;
	}
	series[0] = (plot_series){.name = "z", .style = 0, .points = primary, .count = n, .dots = true};
	series[1] = (plot_series){.name = other_name, .style = 1, .points = other, .count = n, .dots = true};
	series[2] = (plot_series){.name = "boundary", .style = 4, .points = above, .count = boundary_count};
	series[3] = (plot_series){.name = NULL, .style = 4, .points = below, .count = boundary_count};
	html_put(&r->page, "<div class=\"place\">");
	plot_lines(&r->page, &p);
	html_put(&r->page, "</div>");
}

/* put_looks: the statistic at each recorded look and the boundary that it had to cross. */
static void
put_looks(report *r, const test *t)
{
	static query looks = QUERY_OF_SNAPSHOT(
		"SELECT q.n, q.looked_at, q.kind, q.metric_name, q.information_fraction, q.z,"
		" CASE WHEN q.metric_name = q.primary_metric THEN q.boundary_z"
		"  ELSE model_mgr.normal_quantile(1 - NULLIF(q.secondary_boundary_p_value, 0) / 2) END, q.difference, q.p_value, q.status,"
		" q.all, q.boundary_z, q.metric_name = q.primary_metric"
		" FROM (SELECT pg_catalog.row_number() OVER (ORDER BY l.look) AS n, l.looked_at, l.kind, l.information_fraction, l.status,"
		"  l.evidence ->> 'deciding_metric' AS metric_name, l.evidence #>> '{plan,metrics,0,name}' AS primary_metric,"
		"  pg_catalog.sign((l.evidence ->> 'difference')::float8)"
		"   * model_mgr.normal_quantile(1 - GREATEST((l.evidence ->> 'p_value')::float8, 1e-15) / 2) AS z,"
		"  (l.evidence ->> 'boundary_z')::float8 AS boundary_z, (l.evidence ->> 'difference')::float8 AS difference,"
		"  (l.evidence ->> 'p_value')::float8 AS p_value,"
		"  (l.evidence ->> 'secondary_boundary_p_value')::float8 AS secondary_boundary_p_value, pg_catalog.count(*) OVER () AS all"
		"  FROM model_mgr.ab_test_look l JOIN model_mgr.ab_test_plan p ON p.test_no = l.test_no"
		"  WHERE p.test_id = $1 AND l.kind <> 'shares') q ORDER BY q.n DESC LIMIT $2",
		TEXTOID, INT4OID);
	static const report_column columns[] = {{"Look", REPORT_INTEGER},      {"Time (UTC)", REPORT_TIME},
											{"Kind", REPORT_WORD},         {"Metric", REPORT_WORD},
											{"Information", REPORT_SHARE}, {"z", REPORT_NUMBER},
											{"Boundary", REPORT_NUMBER},   {"Difference", REPORT_METRIC},
											{"p", REPORT_NUMBER},          {"Status", REPORT_WORD}};
	static const report_table form = {.id = "looks-table",
									  .caption = "Looks, newest first, each with the metric that decided",
									  .columns = columns,
									  .count = lengthof(columns),
									  .metric_column = 3,
									  .none = "No look has been recorded yet."};
	int n = (int) query_run(&looks, text_arg(t->test_id), int32_arg(LOOKS));
	plot_point *primary = palloc0(sizeof(plot_point) * (n + 1));
	plot_point *other = palloc0(sizeof(plot_point) * (n + 1));
	plot_point *above = palloc0(sizeof(plot_point) * (n + AHEAD + 1));
	double *fractions = palloc0(sizeof(double) * (n + 1));
	const char *other_name = NULL;
	int64 total = n > 0 ? query_int64(0, 10) : 0;
	int boundary_count = n;

	report_heading(r, "looks", "Looks and boundary");
	html_put(
		&r->page,
		"<p class=\"how\">The statistic z at each recorded look, and the boundary of the primary metric beyond which the test may stop: the further to "
		"the right, the more of the planned information is there. Beyond the boundary a result is significant, however many looks there "
		"were before.</p>");
	for (int i = 0; i < n; i++)
	{
		int row = n - 1 - i;
		bool is_primary = query_bool(row, 12);

		fractions[i] = query_float8(row, 4);
		primary[i] = other[i] = (plot_point){fractions[i], query_float8(row, 5), NAN, NAN};
		above[i] = (plot_point){fractions[i], query_float8(row, 11), NAN, NAN};
		if (is_primary)
			other[i].y = NAN;
		else
		{
			primary[i].y = NAN;
			other_name = report_utf8(query_text(row, 3));
		}
	}
	report_rows_later(r, &form, n, total);
	if (n > 0 && n == total)
		boundary_count = ahead(t, above, n, fractions);
	html_put(&r->page, "<figure>");
	if (n > 0)
		put_boundary(r, t, primary, other, other_name, above, n, boundary_count);
	report_put_later(r);
	html_put(&r->page, "</figure>");
}

/* put_arms: how many outcomes each arm has, beside what its share asks for. */
static void
put_arms(report *r, const test *t)
{
	static query arms = QUERY_OF_SNAPSHOT(
		"SELECT a.variant, a.model_name, a.version, a.share, a.samples, a.samples / nullif(pg_catalog.sum(a.samples) OVER (), 0)::float8,"
		" a.mean, a.metric_name FROM model_mgr.test_arms($1) a LIMIT 50",
		TEXTOID);
	static const report_column columns[] = {
		{"Variant", REPORT_WORD},     {"Model", REPORT_WORD},   {"Version", REPORT_WORD}, {"Share", REPORT_SHARE},
		{"Outcomes", REPORT_INTEGER}, {"of all", REPORT_SHARE}, {"Mean", REPORT_METRIC},  {"Metric", REPORT_WORD}};
	static const report_table form = {.id = "arms-table",
									  .caption = "Arms, by the primary metric",
									  .columns = columns,
									  .count = lengthof(columns),
									  .metric_column = 7,
									  .none = "It has no arms."};
	int n = (int) query_run(&arms, text_arg(t->test_id));
	plot_bar *bars = palloc0(sizeof(plot_bar) * (n + 1));

	for (int i = 0; i < n; i++)
		bars[i] = (plot_bar){
			.label = report_utf8(query_text(i, 0)),
			.note = psprintf("%lld outcome%s", (long long) query_int64(i, 4), query_int64(i, 4) == 1 ? "" : "s"),
			.value = query_isnull(i, 5) ? 0 : query_float8(i, 5),
			.expected = query_float8(i, 3)};
	report_heading(r, "arms", "Sample sizes");
	html_put(
		&r->page,
		"<p class=\"how\">Outcomes of the primary metric by arm. The dashed upright line is the share of the units that the arm is to get now.</p>"
		"<figure><div class=\"place whole\">");
	plot_bars(&r->page, "arms-plot", "Outcomes by arm", "A bar an arm. The numbers are in the table below.", bars, n);
	html_put(&r->page, "</div>");
	report_rows(r, &form, n, n);
	html_format(
		&r->page,
		"</figure><p>Probability of shares as far from the design&#8217;s as these, if assignment and recording are right: ");
	html_number(&r->page, t->sample_ratio_p_value);
	html_put(&r->page, t->sample_ratio_p_value < 0.001
						   ? ". That is below 0.001: the arms did not get their shares, and there is no verdict.</p>"
						   : ". Below 0.001 there would be no verdict.</p>");
}

static void
put_design(report *r, const test *t)
{
	static query design = QUERY_OF_SNAPSHOT(
		"SELECT k.key, k.value #>> '{}' FROM model_mgr.ab_test_list t, LATERAL pg_catalog.jsonb_each(pg_catalog.to_jsonb(t)"
		" - '{verdict,samples_control,samples_treatment,information_fraction,recommendation,winning_variant,stop_reason}'::text[]) WITH ORDINALITY k (key, value, n)"
		" WHERE t.test_id = $1 AND k.value <> 'null' ORDER BY k.n",
		TEXTOID);
	static const report_column columns[] = {{"Argument", REPORT_WORD}, {"Value", REPORT_WORDS}};
	static const report_table form = {
		.id = "design-table", .caption = "Design", .columns = columns, .count = lengthof(columns), .none = ""};
	uint64 rows = query_run(&design, text_arg(t->test_id));

	report_heading(r, "design", "Design");
	html_put(&r->page, "<details><summary>Every argument with its value</summary>");
	report_rows(r, &form, rows, rows);
	html_put(&r->page, "</details>");
}

static void
put_audit(report *r, const test *t)
{
	static query audit = QUERY_OF_SNAPSHOT(
		"SELECT l.audit_id, l.logged_at, l.operation, l.version, l.user_name, l.caller, CASE WHEN l.sealed THEN 'yes' ELSE 'not yet' END,"
		" (l.details - 'evidence')::text, pg_catalog.count(*) OVER () FROM model_mgr.audit_list l"
		" WHERE l.model_name = $2 AND l.operation IN ('create_test', 'stop_test') AND l.details ->> 'test_id' = $1"
		" ORDER BY l.audit_id DESC LIMIT 25",
		TEXTOID, TEXTOID);
	uint64 rows = query_run(&audit, text_arg(t->test_id), text_arg(t->treatment_model));

	report_audit_rows(r, rows, rows > 0 ? query_int64(0, 8) : 0);
}

MM_FUNCTION(mm_report_ab_test);

/* mm_report_ab_test(test_id text): the page; NULL for an unknown test. */
Datum
mm_report_ab_test(PG_FUNCTION_ARGS)
{
	char *test_id = mm_text_arg(fcinfo, 0, "test_id", true);
	report r;
	test t;
	Datum result;
	mm_scope scope = mm_enter();

	query_snapshot_push();
	if (!read_test(test_id, &t))
	{
		PopActiveSnapshot();
		mm_leave(scope);
		PG_RETURN_NULL();
	}
	report_begin(&r, t.started_at, t.stopped_at != 0 ? t.stopped_at : Max(t.started_at, mm_now()));
	page_begin(&r.page, "A/B test", report_utf8(t.name));
	html_put(&r.page, "<p class=\"when\"><code>");
	html_escape(&r.page, report_utf8(t.test_id), 0);
	html_put(&r.page, "</code></p>");
	report_times(&r);
	html_put(&r.page, "</header>");
	put_verdict(&r, &t);
	if (t.description)
	{
		html_put(&r.page, "<p><bdi>");
		html_escape(&r.page, report_utf8(t.description), 1000);
		html_put(&r.page, "</bdi></p>");
	}
	put_facts(&r, &t);
	put_effects(&r, &t);
	put_looks(&r, &t);
	put_arms(&r, &t);
	put_audit(&r, &t);
	put_design(&r, &t);
	result = report_end(&r);
	PopActiveSnapshot();
	mm_leave(scope);
	return result;
}
