-- 83_dashboard: all models at a glance, for people and for monitors. One statement is one snapshot; what it costs depends on how
-- many models there are and on the last hour, never on how much history is kept.

CREATE FUNCTION model_mgr.recent_activity(minutes_back integer, slots integer)
RETURNS TABLE (model_id bigint, requests bigint, known bigint, successes bigint, cost_count bigint, cost_sum float8, p95_response_time float8, requests_by_slot float8[])
AS 'MODULE_PATHNAME', 'mm_recent_activity' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION model_mgr.recent_activity(integer, integer) IS
'What each model did in the last minutes_back minutes (1 to 1440), all its versions together, in one pass over the minutes: requests, outcomes whose success is known and successes among them, recorded costs and their sum, p95 of response time in seconds, and the requests in each of so many equal parts of that time (slots, 1 to 120). Only models with requests have a row. For model_overview and dashboard. Errors: 22003.';

-- What the clockwork does next by itself: a step or the end of a bake, a scheduled beginning, a scheduled update, the end of a test.
CREATE VIEW model_mgr.model_next_event AS
SELECT DISTINCT ON (n.model_name) n.model_name, n.at, n.what
FROM (SELECT d.model_name, p.next_step_at AS at,
             CASE d.status WHEN 'pending' THEN pg_catalog.format('%s begins', d.version)
                           WHEN 'promoting' THEN pg_catalog.format('%s has baked', d.version)
                           ELSE pg_catalog.format('next step of %s', d.version) END
             || CASE WHEN p.next_step_at <= model_mgr.clock_time() THEN pg_catalog.format(' (due, waits for %s)', coalesce(p.waiting_for, 'the tick')) ELSE '' END AS what
      FROM model_mgr.deployment d JOIN model_mgr.deployment_plan p ON p.deployment_id = d.deployment_id
      WHERE d.status IN ('pending', 'running', 'paused', 'awaiting_approval', 'promoting') AND p.next_step_at IS NOT NULL
      UNION ALL
      SELECT s.model_name, s.next_run_at, pg_catalog.format('update to %s (%s)', s.target_version, s.schedule_id)
      FROM model_mgr.schedule s WHERE s.next_run_at IS NOT NULL
      UNION ALL
      SELECT m.model_name, t.ends_at, pg_catalog.format('test %s ends', t.test_id)
      FROM model_mgr.ab_test t, LATERAL (SELECT t.control_model AS model_name UNION SELECT t.treatment_model) m
      WHERE t.status = 'running') n
ORDER BY n.model_name, n.at, n.what;
COMMENT ON VIEW model_mgr.model_next_event IS 'What the clockwork will do next for a model, by itself; no row where nothing is to come.';
COMMENT ON COLUMN model_mgr.model_next_event.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.model_next_event.at IS 'When, at the earliest; in the past: due.';
COMMENT ON COLUMN model_mgr.model_next_event.what IS 'What, in words.';

CREATE VIEW model_mgr.model_glance AS
SELECT m.model_id, a.requests_by_slot, m.model_name, r.stable_version AS active_version, d.version AS candidate_version, d.traffic_percentage,
       coalesce(a.requests, 0) / 60.0::float8 AS requests_per_minute,
       a.successes / nullif(a.known, 0)::float8 AS success_rate, a.p95_response_time,
       a.cost_sum / nullif(a.cost_count, 0)::float8 AS cost_per_request,
       coalesce(f.critical, 0) AS alerts_critical, coalesce(f.warning, 0) AS alerts_warning, coalesce(t.tests, 0) AS open_tests,
       pg_catalog.to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC: "') || e.what AS next_event
FROM model_mgr.model m
LEFT JOIN model_mgr.routing r ON r.model_id = m.model_id
LEFT JOIN model_mgr.deployment d ON d.model_name = m.model_name AND d.status IN ('pending', 'running', 'paused', 'awaiting_approval')
LEFT JOIN model_mgr.recent_activity(60, 10) a ON a.model_id = m.model_id
LEFT JOIN (SELECT x.model_name, pg_catalog.count(*) FILTER (WHERE x.severity = 'critical') AS critical, pg_catalog.count(*) FILTER (WHERE x.severity = 'warning') AS warning
           FROM model_mgr.alert x WHERE x.status = 'firing' GROUP BY x.model_name) f ON f.model_name = m.model_name
LEFT JOIN (SELECT n.model_name, pg_catalog.count(*) AS tests
           FROM model_mgr.ab_test x, LATERAL (SELECT x.control_model AS model_name UNION SELECT x.treatment_model) n
           WHERE x.status = 'running' GROUP BY n.model_name) t ON t.model_name = m.model_name
LEFT JOIN model_mgr.model_next_event e ON e.model_name = m.model_name;
COMMENT ON VIEW model_mgr.model_glance IS 'What model_overview and dashboard show, read once.';
COMMENT ON COLUMN model_mgr.model_glance.model_id IS 'Id of the model.';
COMMENT ON COLUMN model_mgr.model_glance.requests_by_slot IS 'Requests in each tenth of the last 60 minutes; NULL: none.';
COMMENT ON COLUMN model_mgr.model_glance.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.model_glance.active_version IS 'The version that serves; during a rollout the baseline; NULL: none.';
COMMENT ON COLUMN model_mgr.model_glance.candidate_version IS 'The version of the rollout below 100 %, one that waits to begin included; NULL: none.';
COMMENT ON COLUMN model_mgr.model_glance.traffic_percentage IS 'Its share now, 0 to 100 (of a shadow the share that it sees copies of); NULL without a rollout.';
COMMENT ON COLUMN model_mgr.model_glance.requests_per_minute IS 'Requests of the last 60 minutes, all versions together, divided by 60.';
COMMENT ON COLUMN model_mgr.model_glance.success_rate IS 'Successes among outcomes whose success is known, in the last 60 minutes, all versions together, 0 to 1; NULL: none known.';
COMMENT ON COLUMN model_mgr.model_glance.p95_response_time IS 'Seconds; 95 % of the requests of the last 60 minutes took no longer, within 1 %; NULL: none recorded.';
COMMENT ON COLUMN model_mgr.model_glance.cost_per_request IS 'Mean of the costs recorded in the last 60 minutes, in the caller''s unit; NULL: none recorded.';
COMMENT ON COLUMN model_mgr.model_glance.alerts_critical IS 'Critical alerts that fire, silenced ones too.';
COMMENT ON COLUMN model_mgr.model_glance.alerts_warning IS 'Warnings that fire, silenced ones too.';
COMMENT ON COLUMN model_mgr.model_glance.open_tests IS 'A/B tests that run with this model as control or treatment.';
COMMENT ON COLUMN model_mgr.model_glance.next_event IS 'What the clockwork will do next by itself, with its time in UTC; NULL: nothing.';

CREATE VIEW model_mgr.model_overview AS
SELECT g.model_name, g.active_version, g.candidate_version, g.traffic_percentage, g.requests_per_minute, g.success_rate, g.p95_response_time, g.cost_per_request, g.alerts_critical, g.alerts_warning, g.open_tests, g.next_event
FROM model_mgr.model_glance g;
COMMENT ON VIEW model_mgr.model_overview IS 'One row a model: what serves, what is being rolled out, how the last hour went, what is wrong, and what comes next.';
COMMENT ON COLUMN model_mgr.model_overview.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.model_overview.active_version IS 'The version that serves; during a rollout the baseline; NULL: none.';
COMMENT ON COLUMN model_mgr.model_overview.candidate_version IS 'The version of the rollout below 100 %, one that waits to begin included; NULL: none.';
COMMENT ON COLUMN model_mgr.model_overview.traffic_percentage IS 'Its share now, 0 to 100 (of a shadow the share that it sees copies of); NULL without a rollout.';
COMMENT ON COLUMN model_mgr.model_overview.requests_per_minute IS 'Requests of the last 60 minutes, all versions together, divided by 60.';
COMMENT ON COLUMN model_mgr.model_overview.success_rate IS 'Successes among outcomes whose success is known, in the last 60 minutes, all versions together, 0 to 1; NULL: none known.';
COMMENT ON COLUMN model_mgr.model_overview.p95_response_time IS 'Seconds; 95 % of the requests of the last 60 minutes took no longer, within 1 %; NULL: none recorded.';
COMMENT ON COLUMN model_mgr.model_overview.cost_per_request IS 'Mean of the costs recorded in the last 60 minutes, in the caller''s unit; NULL: none recorded.';
COMMENT ON COLUMN model_mgr.model_overview.alerts_critical IS 'Critical alerts that fire, silenced ones too.';
COMMENT ON COLUMN model_mgr.model_overview.alerts_warning IS 'Warnings that fire, silenced ones too.';
COMMENT ON COLUMN model_mgr.model_overview.open_tests IS 'A/B tests that run with this model as control or treatment.';
COMMENT ON COLUMN model_mgr.model_overview.next_event IS 'What the clockwork will do next by itself, with its time in UTC; NULL: nothing.';

CREATE VIEW model_mgr.dashboard AS
SELECT w.state, model_mgr.chart_text(g.model_name, 17) AS model,
       model_mgr.chart_text(coalesce(g.active_version, '-') || coalesce('>' || g.candidate_version, ''), 13) AS version,
       model_mgr.chart_bar(g.traffic_percentage / 100.0::float8, 4) || pg_catalog.lpad(pg_catalog.floor(g.traffic_percentage)::text || '%', 5) AS share,
       model_mgr.chart_spark(g.requests_by_slot) || ' ' || pg_catalog.lpad(CASE
           WHEN g.requests_per_minute >= 9950000.0 THEN model_mgr.chart_text(pg_catalog.round(g.requests_per_minute / 1e6)::text || 'M', 5)
           WHEN g.requests_per_minute >= 9950.0 THEN pg_catalog.round(g.requests_per_minute / 1e3)::text || 'k'
           WHEN g.requests_per_minute >= 10.0 THEN pg_catalog.round(g.requests_per_minute)::text
           ELSE pg_catalog.round(g.requests_per_minute::numeric, 1)::text END, 5) AS traffic,
       pg_catalog.lpad(pg_catalog.trunc(100.0 * g.success_rate::numeric, 1)::text || '%', 6) AS success,
       pg_catalog.lpad(model_mgr.chart_text(pg_catalog.round(g.p95_response_time::numeric, CASE WHEN g.p95_response_time < 10.0 THEN 2 WHEN g.p95_response_time < 100.0 THEN 1 ELSE 0 END)::text || 's', 6), 6) AS p95,
       model_mgr.chart_text(coalesce(CASE
           WHEN w.place <= 3 THEN pg_catalog.regexp_replace(a.metric_name, '_(response_time|rate|score|per_request)$', '') || coalesce(' ' || pg_catalog.round(a.current_value::numeric, 3)::float8::text, '')
               || coalesce(CASE a.operator WHEN 'less_than' THEN ' < ' WHEN 'less_equal' THEN ' <= ' WHEN 'greater_than' THEN ' > ' WHEN 'greater_equal' THEN ' >= ' WHEN 'equal' THEN ' = ' ELSE ' <> ' END || a.threshold_value::text, '')
           WHEN d.status = 'paused' THEN 'paused ' || coalesce(d.status_reason, '')
           WHEN d.status = 'awaiting_approval' THEN 'approval of step ' || (d.step + 1)
           WHEN w.place = 4 THEN 'step ' || d.step || ': ' || coalesce(p.waiting_for, 'tick')
           WHEN w.place = 5 THEN 'step ' || d.step || pg_catalog.to_char(p.next_step_at AT TIME ZONE 'UTC', '" until "HH24:MI" UTC"')
           WHEN g.open_tests > 0 THEN g.open_tests || CASE g.open_tests WHEN 1 THEN ' test runs' ELSE ' tests run' END END, a.summary, ''), 22) AS why
FROM model_mgr.model_glance g
LEFT JOIN model_mgr.deployment d ON d.model_name = g.model_name AND d.status IN ('pending', 'running', 'paused', 'awaiting_approval')
LEFT JOIN model_mgr.deployment_plan p ON p.deployment_id = d.deployment_id
LEFT JOIN (SELECT DISTINCT ON (x.model_name) x.model_name, x.metric_name, x.current_value, x.operator, x.threshold_value, x.summary
           FROM model_mgr.alert x WHERE x.status IN ('pending', 'firing')
           ORDER BY x.model_name, x.status <> 'firing', pg_catalog.array_position('{critical,warning,info}'::text[], x.severity), x.alert_id) a ON a.model_name = g.model_name
CROSS JOIN LATERAL (
    SELECT s.place, (pg_catalog.string_to_array('CRITICAL warning breached waiting rollout ok quiet empty', ' '))[s.place] AS state
    FROM (SELECT CASE WHEN g.alerts_critical > 0 THEN 1 WHEN g.alerts_warning > 0 THEN 2 WHEN a.model_name IS NOT NULL THEN 3
                      WHEN d.status IN ('paused', 'awaiting_approval') OR p.next_step_at <= model_mgr.clock_time() THEN 4
                      WHEN d.status IS NOT NULL THEN 5 WHEN g.requests_per_minute > 0.0 THEN 6 WHEN g.active_version IS NOT NULL THEN 7 ELSE 8 END AS place) s) w
ORDER BY w.place, g.requests_per_minute DESC, g.model_name COLLATE "C";
COMMENT ON VIEW model_mgr.dashboard IS 'For people in psql: a row a model, worst first, at most 120 columns wide: SELECT * FROM model_mgr.dashboard LIMIT 20. Names are cut by the width they are shown in; model_overview has them whole.';
COMMENT ON COLUMN model_mgr.dashboard.state IS 'CRITICAL, warning (alerts that fire), breached (a threshold is broken, its time is not over), waiting (a rollout that does not go on by time alone), rollout, ok, quiet (no request in the last hour), empty (nothing serves).';
COMMENT ON COLUMN model_mgr.dashboard.model IS 'Name, cut to 17 columns.';
COMMENT ON COLUMN model_mgr.dashboard.version IS 'The version that serves, and after > the one that is being rolled out.';
COMMENT ON COLUMN model_mgr.dashboard.share IS 'Share of the rollout''s version; NULL: no rollout.';
COMMENT ON COLUMN model_mgr.dashboard.traffic IS 'Requests of the last 60 minutes by tenths, and requests a minute.';
COMMENT ON COLUMN model_mgr.dashboard.success IS 'Success rate of the last 60 minutes, rounded down.';
COMMENT ON COLUMN model_mgr.dashboard.p95 IS '95 % of the response times of the last 60 minutes are no longer.';
COMMENT ON COLUMN model_mgr.dashboard.why IS 'The worst alert with its numbers, or what the rollout waits for.';
