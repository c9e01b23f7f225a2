/*
 * report_model.c: report(): a model over some time: which version serves, how well, what was done, what is wrong.
 */
#include "pg/report.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/snapmgr.h"

#include "core/hypothesis.h"
#include "core/page.h"
#include "pg/query.h"
#include "pg/registry.h"

/* Events that are numbered in the plots. */
#define EVENTS 40

/* What is said at the top. */
typedef struct state
{
	int64 deployment_id; /* the open one; 0: none */
	char *active;        /* NULL: none */
	char *candidate;
	char *strategy;
	char *status;
	char *waiting_for;
	double traffic_percentage;
	int64 firing;
	int64 critical;
	int64 rollbacks; /* in this time */
} state;

static void
read_state(const report *r, const char *model_name, state *s)
{
	static query deployments = QUERY_OF_SNAPSHOT(
		"SELECT d.deployment_id, d.version, d.strategy, d.status, d.traffic_percentage, " REPORT_WAITING_FOR
		" FROM model_mgr.deployment_list d WHERE d.model_name = $1"
		" AND d.status IN ('pending', 'running', 'paused', 'awaiting_approval', 'promoting')"
		" ORDER BY d.status = 'promoting', d.deployment_id DESC LIMIT 1",
		TEXTOID);
	static query facts = QUERY_OF_SNAPSHOT(
		"SELECT (SELECT v.version FROM model_mgr.get_active_model($1) v),"
		" (SELECT pg_catalog.count(*) FROM model_mgr.alert_list a WHERE a.model_name = $1 AND a.status = 'firing'),"
		" (SELECT pg_catalog.count(*) FROM model_mgr.alert_list a WHERE a.model_name = $1 AND a.status = 'firing'"
		"  AND a.severity = 'critical'),"
		" (SELECT pg_catalog.count(*) FROM model_mgr.deployment_list d WHERE d.model_name = $1 AND d.status = 'rolled_back'"
		"  AND d.finished_at > $2 AND d.finished_at <= $3)",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);

	*s = (state){0};
	if (query_run(&deployments, text_arg(model_name)) > 0)
	{
		s->deployment_id = query_int64(0, 0);
		s->candidate = query_text(0, 1);
		s->strategy = query_text(0, 2);
		s->status = query_text(0, 3);
		s->traffic_percentage = query_float8(0, 4);
		s->waiting_for = query_text(0, 5);
	}
	query_run(&facts, text_arg(model_name), time_arg(r->since), time_arg(r->until));
	s->active = query_text(0, 0);
	s->firing = query_int64(0, 1);
	s->critical = query_int64(0, 2);
	s->rollbacks = query_int64(0, 3);
}

/* Sums over all versions, for the sentence and the big numbers. */
typedef struct totals
{
	int64 requests;
	int64 known;
	int64 successes;
} totals;

static totals
totals_of(const report *r, const report_series *s)
{
	totals t = {0};

	for (int v = 0; v < s->every_count; v++)
	{
		metric_point success = report_total(r, s, s->every[v], "success_rate");
		metric_point requests = report_total(r, s, s->every[v], "requests_per_minute");

		if (success.samples > 0 && !success.reported)
		{
			t.known += success.cell->tally.known;
			t.successes += success.cell->tally.successes;
		}
		if (!requests.reported)
			t.requests += requests.samples;
	}
	return t;
}

/* put_plural: "1 alert", "2 alerts". */
static void
put_plural(html *to, int64 n, const char *word)
{
	html_format(to, "%lld %s%s", (long long) n, word, n == 1 ? "" : "s");
}

static void
put_verdict(report *r, const state *s, const totals *t)
{
	html *to = &r->page;
	bool bad = s->critical > 0 || s->rollbacks > 0;

	html_format(to, "<p class=\"verdict%s\" id=\"verdict\">",
				bad                                           ? " bad"
				: s->active && t->known > 0 && s->firing == 0 ? " good"
															  : "");
	if (s->active)
	{
		html_put(to, "Version ");
		report_name(to, s->active);
		html_put(to, " serves this model");
	}
	else
		html_put(to, "No version serves this model");
	if (s->deployment_id != 0 && s->candidate)
	{
		html_put(to, "; version ");
		report_name(to, s->candidate);
		html_format(to, " is being deployed (%s, %s, deployment %lld) with ", s->strategy, s->status,
					(long long) s->deployment_id);
		html_percent(to, s->traffic_percentage / 100);
		html_put(to, " of the traffic");
	}
	html_put(to, ". ");
	if (t->known > 0)
	{
		html_percent(to, html_round((double) t->successes / (double) t->known, 4));
		html_put(to, " of ");
		put_plural(to, t->known, "known outcome");
		html_put(to, " succeeded in this time. ");
	}
	else
		html_put(to, "No outcome was recorded in this time. ");
	if (s->rollbacks > 0)
	{
		put_plural(to, s->rollbacks, "deployment");
		html_put(to, s->rollbacks == 1 ? " was rolled back. " : " were rolled back. ");
	}
	if (s->firing > 0)
	{
		put_plural(to, s->firing, "alert");
		html_format(to, " fire%s now (%lld critical). ", s->firing == 1 ? "s" : "", (long long) s->critical);
	}
	else
		html_put(to, "No alert fires. ");
	if (s->waiting_for)
	{
		html_put(to, "Next: ");
		html_escape(to, report_utf8(s->waiting_for), 300);
		html_put(to, ".");
	}
	html_put(to, "</p>");
}

/* put_facts: the big numbers, of the version that serves, else of the first that is drawn. */
static void
put_facts(report *r, const report_series *s, const state *st, const totals *t)
{
	const report_version *of = s->count > 0 ? &s->versions[0] : NULL;
	metric_point p95;
	html *to = &r->page;

	for (int v = 0; st->active && v < s->count; v++)
		if (strcmp(s->versions[v].version, report_utf8(st->active)) == 0)
			of = &s->versions[v];
	html_put(to, "<dl>");
	report_fact(r, "Success rate, all versions");
	html_percent(to, t->known > 0 ? html_round((double) t->successes / (double) t->known, 4) : NAN);
	report_fact_end(r);
	report_fact(r, "Requests");
	html_integer(to, t->requests);
	report_fact_end(r);
	if (of)
	{
		p95 = report_total(r, s, of->version_id, "p95_response_time");
		html_put(to, "<div><dt>95 % respond within, version ");
		html_escape(to, of->version, 20);
		html_put(to, "</dt><dd>");
		html_seconds(to, html_round(p95.value, 3));
		report_fact_end(r);
	}
	report_fact(r, "Alerts that fire");
	html_integer(to, st->firing);
	report_fact_end(r);
	html_put(to, "</dl>");
}

/* read_events: what is numbered in the plots, in order of time, and the table of it. The newest of many. */
static int
read_events(report *r, const char *model_name, plot_mark *marks)
{
	static query events = QUERY_OF_SNAPSHOT(
		"SELECT pg_catalog.row_number() OVER (ORDER BY q.\"time\", q.event_id), q.\"time\", pg_catalog.translate(q.type, '._', '  '), q.version, q.detail, q.all, q.strong"
		" FROM (SELECT e.event_id, e.\"time\", k.type, e.version, pg_catalog.concat_ws(': ', CASE WHEN k.type IN ('deployment.stepped', 'deployment.promoted')"
		"  THEN pg_catalog.concat('to ', e.data ->> 'traffic_percentage', ' % of the traffic') END,"
		"  coalesce(e.data ->> 'reason', e.data ->> 'summary', e.data ->> 'test_id')) AS detail,"
		"  pg_catalog.count(*) OVER () AS all, k.type IN ('deployment.rolled_back', 'deployment.failed') AS strong"
		"  FROM model_mgr.event_list e, LATERAL (SELECT pg_catalog.substring(e.type, '[a-z]+\\.[a-z_]+$') AS type) k"
		"  WHERE e.model_name = $1 AND e.\"time\" > $2 AND e.\"time\" <= $3"
		"  AND (k.type ~ '^deployment\\.' OR k.type IN ('test.started', 'test.stopped', 'alert.firing', 'model.frozen', 'model.unfrozen'))"
		"  ORDER BY e.\"time\" DESC, e.event_id DESC LIMIT $4) q ORDER BY 1",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
	static const report_column columns[] = {{"No.", REPORT_INTEGER},
											{"Time (UTC)", REPORT_TIME},
											{"Event", REPORT_WORD},
											{"Version", REPORT_WORD},
											{"Detail", REPORT_WORDS}};
	static const report_table form = {
		.id = "events-table",
		.caption = "Events, numbered as in the plots",
		.columns = columns,
		.count = lengthof(columns),
		.none = "Nothing was deployed, tested or frozen in this time, and no alert began to fire."};
	int n = (int) query_run(&events, text_arg(model_name), time_arg(r->since), time_arg(r->until), int32_arg(EVENTS));
	TimestampTz *at = palloc(sizeof(TimestampTz) * (n + 1));
	bool *strong = palloc(sizeof(bool) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		at[i] = query_time(i, 1);
		strong[i] = query_bool(i, 6);
	}
	report_rows_later(r, &form, n, n > 0 ? query_int64(0, 5) : 0);
	report_marks(r, at, strong, n, 1, marks);
	return n;
}

static void
put_plots(report *r, const report_series *s, const plot_mark *marks, int mark_count)
{
	report_plot p = {
		.marks = marks, .mark_count = mark_count, .floor = 0, .ceiling = NAN, .include = NAN, .height = 190};

	report_heading(r, "success", "Success");
	html_put(&r->page, "<p class=\"how\">Successes among outcomes whose success is known");
	if (s->count <= REPORT_BANDS)
		html_put(&r->page, ", with the 95&#160;% interval of each point (Wilson)");
	html_put(
		&r->page,
		". A line breaks where nothing was recorded. Dotted upright lines are events, a solid one took something back; "
		"the numbers are those of the table of <a href=\"#events\">events</a>.</p>");
	p.id = "success-rate";
	p.title = "Success rate";
	p.metric_name = "success_rate";
	p.band = true;
	p.ceiling = 1;
	p.height = 260;
	report_draw(r, s, &p);
	report_heading(r, "latency", "Response time");
	p.band = false;
	p.ceiling = NAN;
	p.include = 0;
	p.height = 170;
	p.id = "p50";
	p.title = "Half respond within (p50)";
	p.metric_name = "p50_response_time";
	report_draw(r, s, &p);
	p.id = "p95";
	p.title = "95 % respond within (p95)";
	p.metric_name = "p95_response_time";
	report_draw(r, s, &p);
	p.id = "p99";
	p.title = "99 % respond within (p99)";
	p.metric_name = "p99_response_time";
	report_draw(r, s, &p);
	report_heading(r, "traffic", "Traffic");
	p.id = "share";
	p.title = "Share of the requests";
	p.metric_name = "share";
	p.ceiling = 1;
	report_draw(r, s, &p);
	p.id = "requests";
	p.title = "Requests per minute";
	p.metric_name = "requests_per_minute";
	p.ceiling = NAN;
	report_draw(r, s, &p);
}

/* put_versions: each version over the whole time. */
static void
put_versions(report *r, const report_series *s, const char *const *versions, const char *const *statuses)
{
	static const report_column columns[] = {
		{"Version", REPORT_WORD},  {"Status", REPORT_WORD},          {"Requests", REPORT_INTEGER},
		{"Success", REPORT_SHARE}, {"95&#160;% from", REPORT_SHARE}, {"to", REPORT_SHARE},
		{"Errors", REPORT_SHARE},  {"Mean time", REPORT_SECONDS},    {"p50", REPORT_SECONDS},
		{"p95", REPORT_SECONDS},   {"p99", REPORT_SECONDS},          {"Confidence", REPORT_SHARE},
		{"Cost", REPORT_NUMBER}};
	static const char *const metrics[] = {"error_rate",        "avg_response_time", "p50_response_time",
										  "p95_response_time", "p99_response_time", "confidence_score",
										  "cost_per_request"};
	static const report_table form = {.id = "versions-table",
									  .caption = "Versions over the whole time",
									  .columns = columns,
									  .count = lengthof(columns)};
	int rows = 0;
	int idle = 0;

	report_heading(r, "versions", "Versions");
	report_table_begin(r, &form);
	for (int v = 0; v < s->every_count; v++)
	{
		metric_point requests = report_total(r, s, s->every[v], "requests_per_minute");
		metric_point success = report_total(r, s, s->every[v], "success_rate");
		double low = NAN;
		double high = NAN;

		/* Of many, those that did something or serve. */
		if (rows >= REPORT_ROWS || (s->every_count > REPORT_ROWS && requests.samples + success.samples == 0 &&
									strcmp(statuses[v], "active") != 0))
		{
			idle++;
			continue;
		}
		rows++;
		if (success.samples > 0 && !success.reported)
			hypothesis_rate_interval(success.cell->tally.successes, success.cell->tally.known, 0.95, &low, &high);
		html_put(&r->page, "<tr><td class=\"k\"><bdi>");
		html_escape(&r->page, versions[v], 80);
		html_format(&r->page, "</bdi></td><td class=\"k\">%s</td>", statuses[v]);
		report_cell_integer(r, requests.reported ? 0 : requests.samples);
		report_cell(r, success.value, PLOT_SHARE);
		report_cell(r, low, PLOT_SHARE);
		report_cell(r, high, PLOT_SHARE);
		for (int m = 0; m < lengthof(metrics); m++)
			report_cell(r, report_total(r, s, s->every[v], metrics[m]).value, report_unit(metrics[m]));
		html_put(&r->page, "</tr>");
	}
	report_table_end(r, &form);
	report_more(r, idle, " versions");
}

static void
put_deployments(report *r, const char *model_name)
{
	static query deployments = QUERY_OF_SNAPSHOT(
		"SELECT d.deployment_id, d.version, d.strategy, d.status, d.traffic_percentage, d.created_at, d.finished_at,"
		" d.deployed_by, d.status_reason, pg_catalog.count(*) OVER ()"
		" FROM model_mgr.list_deployments($1) d WHERE d.created_at <= $3 AND (d.finished_at IS NULL OR d.finished_at > $2)"
		" ORDER BY d.deployment_id DESC LIMIT $4",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
	static const report_column columns[] = {
		{"No.", REPORT_INTEGER},      {"Version", REPORT_WORD},    {"Strategy", REPORT_WORD},
		{"Status", REPORT_WORD},      {"Traffic", REPORT_PERCENT}, {"Begun (UTC)", REPORT_TIME},
		{"Ended (UTC)", REPORT_TIME}, {"By", REPORT_WORD},         {"Why", REPORT_WORDS}};
	static const report_table form = {.id = "deployments-table",
									  .caption =
										  "Deployments under way in this time; report_deployment() tells more of each",
									  .columns = columns,
									  .count = lengthof(columns),
									  .none = "No deployment was under way in this time."};
	uint64 rows =
		query_run(&deployments, text_arg(model_name), time_arg(r->since), time_arg(r->until), int32_arg(REPORT_ROWS));

	report_heading(r, "deployments", "Deployments");
	report_rows(r, &form, rows, rows > 0 ? query_int64(0, 9) : 0);
}

static void
put_tests(report *r, const char *model_name)
{
	static query tests = QUERY_OF_SNAPSHOT(
		"SELECT q.test_id, q.name, q.status, v.verdict, q.winning_variant, v.information_fraction, q.started_at, q.stopped_at,"
		" v.recommendation, q.all FROM (SELECT t.*, pg_catalog.count(*) OVER () AS all FROM model_mgr.ab_test t"
		"  WHERE $1 IN (t.control_model, t.treatment_model) AND t.started_at <= $3 AND (t.stopped_at IS NULL OR t.stopped_at > $2)"
		"  ORDER BY t.started_at DESC, t.test_id LIMIT $4) q LEFT JOIN LATERAL model_mgr.test_verdicts(q.test_id) v ON true"
		" ORDER BY q.started_at DESC, q.test_id",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
	static const report_column columns[] = {
		{"Test", REPORT_WORD},        {"Name", REPORT_WORD},        {"Status", REPORT_WORD},
		{"Verdict", REPORT_WORD},     {"Winner", REPORT_WORD},      {"Information", REPORT_SHARE},
		{"Begun (UTC)", REPORT_TIME}, {"Ended (UTC)", REPORT_TIME}, {"What to do", REPORT_WORDS}};
	static const report_table form = {.id = "tests-table",
									  .caption = "A/B tests of this time; report_ab_test() tells more of each",
									  .columns = columns,
									  .count = lengthof(columns),
									  .none = "No test ran in this time."};
	uint64 rows =
		query_run(&tests, text_arg(model_name), time_arg(r->since), time_arg(r->until), int32_arg(REPORT_ROWS));

	report_heading(r, "tests", "A/B tests");
	report_rows(r, &form, rows, rows > 0 ? query_int64(0, 9) : 0);
}

void
report_alerts(report *r, const char *model_name, int64 deployment_id)
{
	static query alerts = QUERY_OF_SNAPSHOT(
		"SELECT a.severity, a.status, a.kind, a.metric_name, a.version, a.current_value, a.threshold_value, a.started_at,"
		" a.resolved_at, a.summary, pg_catalog.count(*) OVER () FROM model_mgr.alert_list a"
		" WHERE a.model_name = $1 AND ($5 = 0 OR a.deployment_id = $5)"
		" AND (a.status <> 'resolved' OR a.resolved_at > $2) AND a.started_at <= $3"
		" ORDER BY a.status = 'resolved', pg_catalog.array_position('{critical,warning,info}'::text[], a.severity), a.started_at DESC,"
		" a.alert_id DESC LIMIT $4",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT8OID);
	static const report_column columns[] = {{"Severity", REPORT_WORD},    {"Status", REPORT_WORD},
											{"Kind", REPORT_WORD},        {"Metric", REPORT_WORD},
											{"Version", REPORT_WORD},     {"Value", REPORT_METRIC},
											{"Threshold", REPORT_METRIC}, {"Since (UTC)", REPORT_TIME},
											{"Over (UTC)", REPORT_TIME},  {"Summary", REPORT_WORDS}};
	static const report_table form = {.id = "alerts-table",
									  .caption = "Alerts of this time, those that fire first",
									  .columns = columns,
									  .count = lengthof(columns),
									  .metric_column = 3,
									  .none = "There was no alert in this time."};
	uint64 rows = query_run(&alerts, text_arg(model_name), time_arg(r->since), time_arg(r->until),
							int32_arg(REPORT_ROWS), int64_arg(deployment_id));

	report_heading(r, "alerts", "Alerts");
	report_rows(r, &form, rows, rows > 0 ? query_int64(0, 10) : 0);
}

void
report_audit_rows(report *r, uint64 rows, int64 total)
{
	static const report_column columns[] = {
		{"No.", REPORT_INTEGER}, {"Time (UTC)", REPORT_TIME}, {"Operation", REPORT_WORD}, {"Version", REPORT_WORD},
		{"Login", REPORT_WORD},  {"As", REPORT_WORD},         {"Sealed", REPORT_WORD},    {"Details", REPORT_WORDS}};
	static const report_table form = {.id = "audit-table",
									  .caption = "Entries of the audit log, newest first",
									  .columns = columns,
									  .count = lengthof(columns),
									  .none = "The audit log has no entry of this time."};

	report_heading(r, "audit", "Audit log");
	report_rows(r, &form, rows, total);
}

void
report_audit(report *r, const char *model_name, const char *version)
{
	/* The log goes by real time, also where the clock of the extension is held still. */
	static query audit = QUERY_OF_SNAPSHOT(
		"SELECT l.audit_id, l.logged_at, l.operation, l.version, l.user_name, l.caller,"
		" CASE WHEN l.sealed THEN 'yes' ELSE 'not yet' END, (l.details - 'evidence')::text, pg_catalog.count(*) OVER () FROM model_mgr.audit_list l"
		" WHERE l.model_name = $1 AND ($5 IS NULL OR l.version = $5) AND l.logged_at > $2 AND l.logged_at <= $3"
		" ORDER BY l.audit_id DESC LIMIT $4",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TEXTOID);
	bool fixed = mm_clock_is_fixed();
	uint64 rows = query_run(&audit, text_arg(model_name), time_arg(fixed ? DT_NOBEGIN : r->since),
							time_arg(fixed ? DT_NOEND : r->until), int32_arg(REPORT_ROWS), text_arg(version));

	report_audit_rows(r, rows, rows > 0 ? query_int64(0, 8) : 0);
}

/* read_versions: ids, texts and statuses of a model's versions, the newest last. */
static int
read_versions(const char *model_name, int64 **ids, const char ***versions, const char ***statuses)
{
	static query all =
		QUERY_OF_SNAPSHOT("SELECT v.version_id, v.version, v.status FROM model_mgr.list_model_versions($1) v", TEXTOID);
	int n = (int) query_run(&all, text_arg(model_name));

	*ids = palloc(sizeof(int64) * (n + 1));
	*versions = palloc(sizeof(char *) * (n + 1));
	*statuses = palloc(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		(*ids)[i] = query_int64(i, 0);
		(*versions)[i] = report_utf8(query_text(i, 1));
		(*statuses)[i] = query_text(i, 2);
	}
	return n;
}

void
report_times(report *r)
{
	html_put(&r->page, "<p class=\"when\">");
	html_minute(&r->page, report_seconds(r->since));
	html_put(&r->page, " to ");
	html_minute(&r->page, report_seconds(r->until));
	html_put(&r->page, " UTC</p>");
}

MM_FUNCTION(mm_report);

/* mm_report(model_name text, since timestamptz, until timestamptz): the page; NULL for an unknown model. */
Datum
mm_report(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	TimestampTz since;
	TimestampTz until;
	plot_mark marks[EVENTS];
	const char **versions;
	const char **statuses;
	int64 *ids;
	int version_count;
	int mark_count;
	report_series series;
	totals sums;
	state s;
	report r;
	Datum result;
	mm_scope scope;

	mm_window_args(fcinfo, 1, 2, &since, &until);
	scope = mm_enter();
	if (registry_model_id(model_name, true) == 0)
	{
		mm_leave(scope);
		PG_RETURN_NULL();
	}
	query_snapshot_push();
	report_begin(&r, since, until);
	version_count = read_versions(model_name, &ids, &versions, &statuses);
	report_series_read(&r, ids, versions, version_count, &series);
	read_state(&r, model_name, &s);
	sums = totals_of(&r, &series);
	mark_count = read_events(&r, model_name, marks);

	page_begin(&r.page, "Model report", report_utf8(model_name));
	report_times(&r);
	html_put(&r.page, "</header>");
	put_verdict(&r, &s, &sums);
	put_facts(&r, &series, &s, &sums);
	put_plots(&r, &series, marks, mark_count);
	report_heading(&r, "events", "Events");
	report_put_later(&r);
	put_versions(&r, &series, versions, statuses);
	put_deployments(&r, model_name);
	put_tests(&r, model_name);
	report_alerts(&r, model_name, 0);
	report_audit(&r, model_name, NULL);
	result = report_end(&r);
	PopActiveSnapshot();
	mm_leave(scope);
	return result;
}
