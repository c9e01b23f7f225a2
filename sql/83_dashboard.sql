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

CREATE VIEW model_mgr.model_overview AS
SELECT m.model_name, r.stable_version AS active_version, d.version AS candidate_version, d.traffic_percentage,
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
