/*
 * report_deployment.c: report_deployment(): one rollout: how far it came, what it was judged by, step by step.
 */
#include "pg/report.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/snapmgr.h"

#include "core/page.h"
#include "pg/query.h"

/* Lines of the diary that are numbered in the plots. */
#define LINES 40
/* Metrics of health criteria that are drawn beside those of every rollout; all are in the table. */
#define CRITERIA_DRAWN 6

typedef struct rollout
{
	int64 deployment_id;
	char *model_name;
	char *version;
	char *strategy;
	char *status;
	char *status_reason; /* NULL: none */
	double traffic_percentage;
	int32 step;
	char *baseline_version; /* NULL: a model's first deployment */
	char *test_id;          /* NULL: none */
	char *deployed_by;
	char *waiting_for; /* NULL: ended */
	bool auto_rollback;
	double max_error_rate;
	double max_response_time;
	double min_success_rate;
	TimestampTz created_at;
	TimestampTz finished_at; /* 0: under way */
	int64 version_id;
	int64 baseline_version_id; /* 0: none */
} rollout;

static bool
read_rollout(int64 deployment_id, rollout *d)
{
	static query find = QUERY_OF_SNAPSHOT(
		"SELECT d.model_name, d.version, d.strategy, d.status, d.status_reason, d.traffic_percentage, d.step, d.baseline_version,"
		" d.test_id, d.deployed_by, " REPORT_WAITING_FOR ", d.auto_rollback_enabled, d.rollback_threshold_error_rate,"
		" d.rollback_threshold_response_time, d.rollback_min_success_rate, d.created_at, d.finished_at,"
		" (SELECT v.version_id FROM model_mgr.get_model_version(d.model_name, d.version) v),"
		" (SELECT v.version_id FROM model_mgr.get_model_version(d.model_name, coalesce(d.baseline_version, '')) v)"
		" FROM model_mgr.deployment_list d WHERE d.deployment_id = $1",
		INT8OID);

	if (query_run(&find, int64_arg(deployment_id)) == 0)
		return false;
	*d = (rollout){.deployment_id = deployment_id,
				   .model_name = query_text(0, 0),
				   .version = query_text(0, 1),
				   .strategy = query_text(0, 2),
				   .status = query_text(0, 3),
				   .status_reason = query_text(0, 4),
				   .traffic_percentage = query_float8(0, 5),
				   .step = query_int32(0, 6),
				   .baseline_version = query_text(0, 7),
				   .test_id = query_text(0, 8),
				   .deployed_by = query_text(0, 9),
				   .waiting_for = query_text(0, 10),
				   .auto_rollback = query_bool(0, 11),
				   .max_error_rate = query_float8(0, 12),
				   .max_response_time = query_float8(0, 13),
				   .min_success_rate = query_float8(0, 14),
				   .created_at = query_time(0, 15),
				   .finished_at = query_time(0, 16),
				   .version_id = query_int64(0, 17),
				   .baseline_version_id = query_int64(0, 18)};
	return true;
}

/* is_shadow: whether it serves nobody, and sees copies. */
static bool
is_shadow(const rollout *d)
{
	return strcmp(d->strategy, "shadow") == 0;
}

/* taken_back: whether it ended without its version. */
static bool
taken_back(const rollout *d)
{
	return strcmp(d->status, "rolled_back") == 0 || strcmp(d->status, "aborted") == 0 ||
		   strcmp(d->status, "failed") == 0;
}

static void
put_verdict(report *r, const rollout *d)
{
	html *to = &r->page;

	html_format(to, "<p class=\"verdict%s\" id=\"verdict\">Version ",
				taken_back(d)                         ? " bad"
				: strcmp(d->status, "completed") == 0 ? " good"
													  : "");
	report_name(to, d->version);
	if (strcmp(d->status, "completed") == 0)
		html_put(to, is_shadow(d) ? " has been watched as a shadow to the end" : " was rolled out completely");
	else if (strcmp(d->status, "rolled_back") == 0)
		html_put(to, " was rolled back");
	else if (strcmp(d->status, "aborted") == 0)
		html_put(to, " was called off");
	else if (strcmp(d->status, "failed") == 0)
		html_put(to, " was refused");
	else if (strcmp(d->status, "promoting") == 0)
		html_put(to, " serves all traffic and is being watched");
	else
	{
		html_put(to, " gets ");
		html_percent(to, d->traffic_percentage / 100);
		html_format(to, is_shadow(d) ? " of the traffic as a shadow (%s)" : " of the traffic (%s)", d->status);
	}
	if (d->baseline_version)
	{
		html_put(to, "; its baseline is ");
		report_name(to, d->baseline_version);
	}
	html_put(to, ". ");
	if (d->status_reason)
	{
		html_put(to, "Why: ");
		html_escape(to, report_utf8(d->status_reason), 400);
		html_put(to, ". ");
	}
	if (d->waiting_for)
	{
		html_put(to, "Next: ");
		html_escape(to, report_utf8(d->waiting_for), 300);
		html_put(to, ".");
	}
	html_put(to, "</p>");
}

/* put_steps: the stairs, and when each began. */
static void
put_steps(report *r, const rollout *d)
{
	static query steps = QUERY_OF_SNAPSHOT(
		"SELECT s.n, s.share::float8, b.started_at FROM model_mgr.deployment_list d,"
		" LATERAL pg_catalog.jsonb_array_elements_text(CASE WHEN pg_catalog.jsonb_typeof(d.rollout -> 'steps') = 'array'"
		"  THEN d.rollout -> 'steps' ELSE '[]' END) WITH ORDINALITY s (share, n)"
		" LEFT JOIN model_mgr.deployment_step b ON b.deployment_id = $1 AND b.step = s.n"
		" WHERE d.deployment_id = $1 ORDER BY s.n",
		INT8OID);
	static const char *const words[] = {
		[PLOT_DONE] = "done", [PLOT_NOW] = "now", [PLOT_AHEAD] = "ahead", [PLOT_TAKEN_BACK] = "taken back here"};
	static const report_column columns[] = {
		{"Step", REPORT_INTEGER}, {"Share", REPORT_PERCENT}, {"Begun (UTC)", REPORT_TIME}, {"", REPORT_WORD}};
	static const report_table form = {
		.id = "steps-table", .caption = "Steps", .columns = columns, .count = lengthof(columns)};
	int n = (int) query_run(&steps, int64_arg(d->deployment_id));
	plot_step *track = palloc0(sizeof(plot_step) * (n + 1));
	TimestampTz *begun = palloc0(sizeof(TimestampTz) * (n + 1));
	int last = 0;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		track[i].share = query_float8(i, 1);
		begun[i] = query_time(i, 2);
		last = begun[i] != 0 ? i + 1 : last;
	}
	for (int i = 0; i < n; i++)
		track[i].state = strcmp(d->status, "completed") == 0 || i + 1 < last ? PLOT_DONE
						 : i + 1 > last || last == 0                         ? PLOT_AHEAD
						 : taken_back(d)                                     ? PLOT_TAKEN_BACK
																			 : PLOT_NOW;
	report_heading(r, "steps", "Steps");
	html_put(&r->page, "<figure><div class=\"place whole\">");
	plot_steps(&r->page, "track", "Steps of the rollout",
			   psprintf("%d steps, %d of them begun. The numbers are in the table below.", n, last), track, n);
	html_put(&r->page, "</div><details><summary>Numbers: steps</summary>");
	report_table_begin(r, &form);
	for (int i = 0; i < n; i++)
	{
		html_put(&r->page, "<tr>");
		report_cell_integer(r, i + 1);
		report_cell(r, track[i].share / 100, PLOT_SHARE);
		if (begun[i] != 0)
			report_cell_time(r, begun[i]);
		else
			html_put(&r->page, "<td class=\"t\">&#8211;</td>");
		html_format(&r->page, "<td class=\"k\">%s</td></tr>", words[track[i].state]);
	}
	report_table_end(r, &form);
	html_put(&r->page, "</details></figure>");
}

/* put_criteria: how it would be judged now, or, of what has ended, how it was judged last. */
static void
put_criteria(report *r, const rollout *d)
{
	static query now = QUERY_OF_SNAPSHOT(
		"SELECT s.rule, s.metric_name, s.candidate_value, s.baseline_value, s.limit_value, s.verdict, s.samples, s.samples_needed, NULL"
		" FROM model_mgr.rollout_status($1) s ORDER BY s.\"position\" LIMIT 60",
		INT8OID);
	/* The same columns from the evidence of its last decision that rests on numbers. */
	static query last = QUERY_OF_SNAPSHOT(
		"SELECT r.* FROM (SELECT e.\"time\", e.evidence FROM model_mgr.explain_deployment($1) WITH ORDINALITY"
		"  e (\"time\", status, traffic_percentage, what, metric_name, value, limit_value, samples, evidence, n)"
		"  WHERE pg_catalog.jsonb_typeof(e.evidence -> 'verdicts') = 'object' ORDER BY e.n DESC LIMIT 1) l, LATERAL ("
		" SELECT 'limit', m.name, (v.it ->> 'value')::float8, CASE m.n WHEN 1 THEN (t.it ->> 'successes')::float8 / nullif((t.it ->> 'known')::float8, 0)"
		"   WHEN 2 THEN (t.it ->> 'errors')::float8 / nullif((t.it ->> 'requests')::float8, 0)"
		"   ELSE (t.it ->> 'response_time_sum')::float8 / nullif((t.it ->> 'response_time_count')::float8, 0) END,"
		"  (v.it ->> 'limit')::float8, v.it ->> 'verdict', (v.it ->> 'samples')::bigint, (v.it ->> 'samples_needed')::bigint, l.\"time\""
		"  FROM pg_catalog.unnest('{success_rate,error_rate,response_time}'::text[]) WITH ORDINALITY m (name, n),"
		"  LATERAL (SELECT l.evidence -> 'verdicts' -> m.name AS it) v,"
		"  LATERAL (SELECT l.evidence -> 'baseline' -> CASE v.it ->> 'counted' WHEN 'in the window' THEN 'window' ELSE 'step' END AS it) t"
		" UNION ALL SELECT 'criterion', c.it ->> 'metric_name', (v.it ->> 'value')::float8,"
		"  (c.it -> CASE v.it ->> 'counted' WHEN 'in the window' THEN 'baseline_window' ELSE 'baseline_step' END ->> 'value')::float8,"
		"  (v.it ->> 'limit')::float8, v.it ->> 'verdict', (v.it ->> 'samples')::bigint, (v.it ->> 'samples_needed')::bigint, l.\"time\""
		"  FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(l.evidence -> 'criteria') = 'array' THEN l.evidence -> 'criteria' END) c (it),"
		"  LATERAL (SELECT c.it -> 'verdict' AS it) v"
		" UNION ALL SELECT 'guard', m.name, (g.it ->> 'candidate')::float8, (g.it ->> 'baseline')::float8,"
		"  (g.it ->> 'baseline')::float8 + (g.it ->> 'margin')::float8,"
		"  CASE WHEN (l.evidence #>> '{guard,convicts}')::boolean AND l.evidence #>> '{guard,worst}' = m.name THEN 'fail' ELSE 'pass' END,"
		"  (g.it ->> 'samples_candidate')::bigint, 0, l.\"time\""
		"  FROM pg_catalog.unnest('{success_rate,error_rate,response_time}'::text[]) m (name),"
		"  LATERAL (SELECT l.evidence #> ARRAY['guard', 'metrics', m.name] AS it) g WHERE g.it IS NOT NULL"
		" LIMIT 60) r (rule, metric_name, candidate_value, baseline_value, limit_value, verdict, samples, samples_needed, at)",
		INT8OID);
	static const report_column columns[] = {
		{"Rule", REPORT_WORD},    {"Metric", REPORT_WORD},  {"Candidate", REPORT_METRIC}, {"Baseline", REPORT_METRIC},
		{"Limit", REPORT_METRIC}, {"Verdict", REPORT_WORD}, {"Samples", REPORT_INTEGER},  {"Needed", REPORT_INTEGER}};
	report_table form = {.id = "criteria-table",
						 .caption = "Limits, criteria and the guard, as they would be judged now",
						 .columns = columns,
						 .count = lengthof(columns),
						 .metric_column = 1,
						 .none = "Nothing has been judged."};
	uint64 rows = query_run(&now, int64_arg(d->deployment_id));

	if (rows == 0)
	{
		rows = query_run(&last, int64_arg(d->deployment_id));
		if (rows > 0)
		{
			html at = {.resize = r->page.resize};

			html_iso(&at, report_seconds(query_time(0, 8)), true);
			form.caption = psprintf("Limits, criteria and the guard, as they were judged last, at %s UTC", at.text);
		}
	}
	report_heading(r, "criteria", d->finished_at != 0 ? "What it was judged by" : "What it is judged by");
	report_rows(r, &form, rows, rows);
}

/* read_diary: the table of what happened, the marks of it and the share as a line. */
static int
read_diary(report *r, const rollout *d, plot_mark *marks, plot_series *planned)
{
	static query diary = QUERY_OF_SNAPSHOT(
		"SELECT * FROM (SELECT pg_catalog.row_number() OVER () AS n, e.\"time\", e.status, e.traffic_percentage, e.what, e.metric_name,"
		"  e.value, e.limit_value, e.samples, pg_catalog.count(*) OVER () AS all FROM model_mgr.explain_deployment($1) e) q"
		" ORDER BY q.n DESC LIMIT $2",
		INT8OID, INT4OID);
	static const report_column columns[] = {
		{"No.", REPORT_INTEGER},     {"Time (UTC)", REPORT_TIME}, {"Status", REPORT_WORD},
		{"Traffic", REPORT_PERCENT}, {"What", REPORT_WORDS},      {"Metric", REPORT_WORD},
		{"Value", REPORT_METRIC},    {"Limit", REPORT_METRIC},    {"Samples", REPORT_INTEGER}};
	static const report_table form = {
		.id = "diary-table",
		.caption = "What happened and on what numbers, newest first; model_mgr.explain_deployment() has the evidence",
		.columns = columns,
		.count = lengthof(columns),
		.metric_column = 5,
		.none = "Nothing has happened."};
	int n = (int) query_run(&diary, int64_arg(d->deployment_id), int32_arg(LINES));
	TimestampTz *at = palloc(sizeof(TimestampTz) * (n + 1));
	bool *strong = palloc(sizeof(bool) * (n + 1));
	plot_point *points = palloc0(sizeof(plot_point) * (n + 2));

	for (int i = 0; i < n; i++)
	{
		int row = n - 1 - i;
		char *status = query_text(row, 2);

		at[i] = query_time(row, 1);
		strong[i] = strcmp(status, "rolled_back") == 0 || strcmp(status, "failed") == 0;
		points[i] = (plot_point){.x = Max(report_seconds(at[i]), report_seconds(r->since)),
								 .y = query_float8(row, 3) / 100,
								 .low = NAN,
								 .high = NAN};
	}
	/* what it is now holds up to the page's end */
	if (n > 0)
	{
		points[n] = points[n - 1];
		points[n].x = report_seconds(Min(r->until, r->now));
	}
	*planned = (plot_series){
		.name = "planned", .style = PLOT_STYLES - 1, .points = points, .count = n > 0 ? n + 1 : 0, .steps = true};
	report_rows_later(r, &form, n, n > 0 ? query_int64(0, 9) : 0);
	/* Numbers are those of the diary: of a long one, the newest. */
	report_marks(r, at, strong, n, n > 0 ? (int) query_int64(n - 1, 0) : 1, marks);
	return n;
}

/* A level that values of a metric are held against, or a part of the baseline's value. */
typedef struct bound
{
	const char *metric_name; /* canonical */
	const char *kind;        /* min, max, min_ratio, max_ratio */
	double value;
	bool is_limit; /* one of the three that every rollout has */
} bound;

/* read_bounds: the three limits, then the health criteria; how many there are. */
static int
read_bounds(const rollout *d, bound **bounds)
{
	static query criteria = QUERY_OF_SNAPSHOT(
		"SELECT m.key, b.key, b.value::float8 FROM model_mgr.deployment_list d, LATERAL pg_catalog.jsonb_each(d.health_criteria) m,"
		" LATERAL pg_catalog.jsonb_each_text(m.value) b WHERE d.deployment_id = $1"
		" ORDER BY m.key COLLATE \"C\", pg_catalog.array_position('{min,max,min_ratio,max_ratio}'::text[], b.key) LIMIT 60",
		INT8OID);
	int n = (int) query_run(&criteria, int64_arg(d->deployment_id));

	*bounds = palloc(sizeof(bound) * (n + 3));
	(*bounds)[0] = (bound){"success_rate", "min", d->min_success_rate, true};
	(*bounds)[1] = (bound){"error_rate", "max", d->max_error_rate, true};
	(*bounds)[2] = (bound){"avg_response_time", "max", d->max_response_time, true};
	for (int i = 0; i < n; i++)
		(*bounds)[3 + i] = (bound){metric_canonical(query_text(i, 0)), query_text(i, 1), query_float8(i, 2), false};
	return n + 3;
}

/* bound_words: "at least 95 %". */
static char *
bound_words(const bound *b)
{
	plot_unit unit = report_unit(b->metric_name);
	bool least = strncmp(b->kind, "min", 3) == 0;

	return psprintf("at %s %g%s", least ? "least" : "most", unit == PLOT_SHARE ? b->value * 100 : b->value,
					unit == PLOT_SHARE     ? " %"
					: unit == PLOT_SECONDS ? " s"
										   : "");
}

/* draw_judged: a metric with what it is held against; the parts of the baseline's value, which is a line itself, in
 * words. */
static void
draw_judged(report *r, const report_series *s, report_plot *p, const bound *bounds, int n)
{
	plot_limit limits[PLOT_LIMITS];
	StringInfoData note;

	initStringInfo(&note);
	p->limit_count = 0;
	for (int i = 0; i < n; i++)
	{
		const bound *b = &bounds[i];

		if (strcmp(b->metric_name, p->metric_name) != 0)
			continue;
		if (strstr(b->kind, "_ratio"))
			appendStringInfo(&note, "%s at %s %g times the baseline&#8217;s value in the same window",
							 note.len > 0 ? "," : "Criterion:", strcmp(b->kind, "min_ratio") == 0 ? "least" : "most",
							 b->value);
		else if (p->limit_count < PLOT_LIMITS)
			limits[p->limit_count++] =
				(plot_limit){b->value, psprintf("%s: %s", b->is_limit ? "limit" : "criterion", bound_words(b))};
	}
	p->limits = limits;
	p->note = note.len > 0 ? psprintf("%s.", note.data) : NULL;
	report_draw(r, s, p);
	p->limit_count = 0;
	p->note = NULL;
}

/* put_metrics: the metrics that every rollout is seen by, then those of its criteria alone. */
static void
put_metrics(report *r, const rollout *d, const report_series *s, const plot_mark *marks, int mark_count)
{
	static const struct
	{
		const char *id;
		const char *title;
		const char *metric_name;
		int height;
	} always[] = {{"success-rate", "Success rate", "success_rate", 260},
				  {"error-rate", "Error rate", "error_rate", 180},
				  {"mean-time", "Mean response time", "avg_response_time", 180},
				  {"p95", "95 % respond within (p95)", "p95_response_time", 180}};
	report_plot p = {.marks = marks, .mark_count = mark_count};
	const char *drawn[lengthof(always) + CRITERIA_DRAWN];
	int count = 0;
	bound *bounds;
	int n = read_bounds(d, &bounds);

	for (int i = 0; i < lengthof(always) + n; i++)
	{
		bool criterion = i >= lengthof(always);
		bool share;
		bool already = false;

		p.metric_name = criterion ? bounds[i - lengthof(always)].metric_name : always[i].metric_name;
		for (int j = 0; j < count; j++)
			already |= strcmp(drawn[j], p.metric_name) == 0;
		if (already || count == lengthof(drawn))
			continue;
		drawn[count++] = p.metric_name;
		share = report_unit(p.metric_name) == PLOT_SHARE;
		p.id = criterion ? psprintf("criterion-%d", count) : always[i].id;
		p.title = criterion ? report_utf8(p.metric_name) : always[i].title;
		p.height = criterion ? 180 : always[i].height;
		p.band = strcmp(p.metric_name, "success_rate") == 0;
		p.floor = share || report_unit(p.metric_name) == PLOT_SECONDS ? 0 : NAN;
		p.ceiling = share ? 1 : NAN;
		p.include = share || criterion ? NAN : 0;
		draw_judged(r, s, &p, bounds, n);
	}
}

static void
put_plots(report *r, const rollout *d, const report_series *s, const plot_mark *marks, int mark_count,
		  const plot_series *planned)
{
	bool shadow = is_shadow(d);
	report_plot p = {.id = "share",
					 .title = "Share of the requests",
					 .metric_name = "share",
					 .marks = marks,
					 .mark_count = mark_count,
					 .floor = 0,
					 .ceiling = 1,
					 .include = NAN,
					 .height = 190,
					 .more = planned,
					 /* A shadow's share is of copies, not of what is recorded. */
					 .more_count = shadow ? 0 : 1};

	report_heading(r, "traffic", "Traffic");
	html_format(
		&r->page,
		"<p class=\"how\">%s Upright lines are numbered as in the <a href=\"#diary\">diary</a>; a solid one took the version back.</p>",
		shadow
			? "The share of the requests that were recorded. A shadow sees copies of what the baseline serves: when it sees them all, "
			  "each of the two has half of the recorded requests."
			: "The share that was planned, and that of the requests that were recorded.");
	report_draw(r, s, &p);
	report_heading(r, "metrics", "Metrics, limits and criteria");
	html_put(
		&r->page,
		"<p class=\"how\">Candidate and baseline side by side, all their requests; bands are 95&#160;% intervals (Wilson). An arrow behind a "
		"limit says that it lies beyond the drawing, far from every value.</p>");
	put_metrics(r, d, s, marks, mark_count);
}

/* put_plan: the arguments and keys of the rollout, every one with its value. */
static void
put_plan(report *r, const rollout *d)
{
	static query plan = QUERY_OF_SNAPSHOT(
		"SELECT k.key, k.value FROM model_mgr.deployment_list d, LATERAL ("
		" SELECT 1 AS n, c.key, c.value::text FROM pg_catalog.jsonb_each(d.rollout) c WHERE c.value <> 'null'"
		" UNION ALL SELECT 0, a.key, a.value FROM (VALUES ('auto_rollback_enabled', d.auto_rollback_enabled::text),"
		"  ('rollback_threshold_error_rate', d.rollback_threshold_error_rate::text),"
		"  ('rollback_threshold_response_time', d.rollback_threshold_response_time::text),"
		"  ('rollback_min_success_rate', d.rollback_min_success_rate::text),"
		"  ('rollback_evaluation_window_minutes', d.rollback_evaluation_window_minutes::text),"
		"  ('health_criteria', d.health_criteria::text)) a (key, value)) k"
		" WHERE d.deployment_id = $1 ORDER BY k.n, k.key",
		INT8OID);
	static const report_column columns[] = {{"Key", REPORT_WORD}, {"Value", REPORT_WORDS}};
	static const report_table form = {.id = "plan-table",
									  .caption = "Limits, criteria and plan, every key with its value",
									  .columns = columns,
									  .count = lengthof(columns),
									  .none = ""};
	uint64 rows = query_run(&plan, int64_arg(d->deployment_id));

	report_heading(r, "plan", "Plan");
	html_put(&r->page, "<details><summary>Every key with its value</summary>");
	report_rows(r, &form, rows, rows);
	html_put(&r->page, "</details>");
}

static void
put_facts(report *r, const rollout *d)
{
	html *to = &r->page;

	html_put(to, "<dl>");
	report_fact(r, "Status");
	html_escape(to, d->status, 0);
	report_fact_end(r);
	report_fact(r, "Strategy");
	html_escape(to, d->strategy, 0);
	report_fact_end(r);
	report_fact(r, "Traffic now");
	html_percent(to, d->traffic_percentage / 100);
	report_fact_end(r);
	report_fact(r, "Deployed by");
	html_escape(to, report_utf8(d->deployed_by), 30);
	report_fact_end(r);
	if (d->test_id)
	{
		report_fact(r, "A/B test");
		html_escape(to, report_utf8(d->test_id), 30);
		report_fact_end(r);
	}
	html_put(to, "</dl>");
}

/* begin: the page of a rollout, over its time and a tenth before and behind it. */
static void
begin(report *r, const rollout *d)
{
	TimestampTz end = d->finished_at != 0 ? d->finished_at : mm_now();
	TimestampTz around = Max((end - d->created_at) / 10, 5 * USECS_PER_MINUTE);

	report_begin(r, d->created_at - around, Min(end + around, Max(mm_now(), end)));
}

MM_FUNCTION(mm_report_deployment);

/* mm_report_deployment(deployment_id bigint): the page; NULL for an unknown deployment. */
Datum
mm_report_deployment(PG_FUNCTION_ARGS)
{
	int64 version_ids[2];
	const char *versions[2];
	int version_count = 0;
	plot_mark marks[LINES];
	plot_series planned;
	report_series series;
	int mark_count;
	rollout d;
	report r;
	Datum result;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	query_snapshot_push();
	if (!read_rollout(PG_GETARG_INT64(0), &d))
	{
		PopActiveSnapshot();
		mm_leave(scope);
		PG_RETURN_NULL();
	}
	begin(&r, &d);
	/* A model that is deleted has left its deployments, and no version. */
	if (d.baseline_version_id != 0)
	{
		version_ids[version_count] = d.baseline_version_id;
		versions[version_count++] = report_utf8(d.baseline_version);
	}
	if (d.version_id != 0 && d.version_id != d.baseline_version_id)
	{
		version_ids[version_count] = d.version_id;
		versions[version_count++] = report_utf8(d.version);
	}
	report_series_read(&r, version_ids, versions, version_count, &series);
	mark_count = read_diary(&r, &d, marks, &planned);

	page_begin(&r.page, psprintf("Deployment %lld", (long long) d.deployment_id), report_utf8(d.model_name));
	report_times(&r);
	html_put(&r.page, "</header>");
	put_verdict(&r, &d);
	put_facts(&r, &d);
	put_steps(&r, &d);
	put_criteria(&r, &d);
	put_plots(&r, &d, &series, marks, mark_count, &planned);
	report_heading(&r, "diary", "Diary");
	report_put_later(&r);
	report_alerts(&r, d.model_name, d.deployment_id);
	report_audit(&r, d.model_name, d.version);
	put_plan(&r, &d);
	result = report_end(&r);
	PopActiveSnapshot();
	mm_leave(scope);
	return result;
}
