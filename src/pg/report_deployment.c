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
		" d.test_id, d.deployed_by, d.waiting_for, d.auto_rollback_enabled, d.rollback_threshold_error_rate,"
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

/* put_criteria: how it would be judged now; what has ended is judged no more. */
static void
put_criteria(report *r, const rollout *d)
{
	static query criteria = QUERY_OF_SNAPSHOT(
		"SELECT s.rule, s.metric_name, s.candidate_value, s.baseline_value, s.limit_value, s.verdict, s.samples, s.samples_needed"
		" FROM model_mgr.rollout_status($1) s ORDER BY s.\"position\" LIMIT 60",
		INT8OID);
	static const report_column columns[] = {
		{"Rule", REPORT_WORD},    {"Metric", REPORT_WORD},  {"Candidate", REPORT_METRIC}, {"Baseline", REPORT_METRIC},
		{"Limit", REPORT_METRIC}, {"Verdict", REPORT_WORD}, {"Samples", REPORT_INTEGER},  {"Needed", REPORT_INTEGER}};
	static const report_table form = {.id = "criteria-table",
									  .caption = "Limits, criteria and the guard, as they would be judged now",
									  .columns = columns,
									  .count = lengthof(columns),
									  .metric_column = 1,
									  .none = "It has ended; what each step was decided on is in the diary below."};
	uint64 rows = query_run(&criteria, int64_arg(d->deployment_id));

	report_heading(r, "criteria", "What it is judged by");
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

static void
put_plots(report *r, const rollout *d, const report_series *s, const plot_mark *marks, int mark_count,
		  const plot_series *planned)
{
	bool shadow = is_shadow(d);
	const plot_limit success = {d->min_success_rate, psprintf("limit: at least %g %%", d->min_success_rate * 100)};
	const plot_limit errors = {d->max_error_rate, psprintf("limit: at most %g %%", d->max_error_rate * 100)};
	const plot_limit seconds = {d->max_response_time, psprintf("limit: at most %g s", d->max_response_time)};
	report_plot p = {.marks = marks,
					 .mark_count = mark_count,
					 .floor = 0,
					 .ceiling = 1,
					 .include = NAN,
					 .height = 190,
					 .limit_count = 1};

	report_heading(r, "traffic", "Traffic");
	html_format(
		&r->page,
		"<p class=\"how\">%s Upright lines are numbered as in the <a href=\"#diary\">diary</a>; a solid one took the version back.</p>",
		shadow
			? "The share of the requests that were recorded. A shadow sees copies of what the baseline serves: when it sees them all, "
			  "each of the two has half of the recorded requests."
			: "The share that was planned, and that of the requests that were recorded.");
	p.id = "share";
	p.title = "Share of the requests";
	p.metric_name = "share";
	p.limit_count = 0;
	p.more = planned;
	/* A shadow's share is of copies, not of what is recorded. */
	p.more_count = shadow ? 0 : 1;
	report_draw(r, s, &p);
	p.more_count = 0;
	p.limit_count = 1;
	report_heading(r, "metrics", "Metrics and limits");
	html_put(
		&r->page,
		"<p class=\"how\">Candidate and baseline side by side, all their requests; bands are 95&#160;% intervals (Wilson). A limit that is far away "
		"from every value is not drawn.</p>");
	p.id = "success-rate";
	p.title = "Success rate";
	p.metric_name = "success_rate";
	p.band = true;
	p.limits = &success;
	p.height = 260;
	report_draw(r, s, &p);
	p.band = false;
	p.height = 180;
	p.id = "error-rate";
	p.title = "Error rate";
	p.metric_name = "error_rate";
	p.limits = &errors;
	report_draw(r, s, &p);
	p.id = "mean-time";
	p.title = "Mean response time";
	p.metric_name = "avg_response_time";
	p.ceiling = NAN;
	p.include = 0;
	p.limits = &seconds;
	report_draw(r, s, &p);
	p.limit_count = 0;
	p.id = "p95";
	p.title = "95 % respond within (p95)";
	p.metric_name = "p95_response_time";
	report_draw(r, s, &p);
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
