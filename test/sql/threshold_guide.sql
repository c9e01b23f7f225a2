-- The two thresholds that everybody begins with, minute by minute under a clock held still: a success rate below 0.95 for
-- 10 minutes takes the version back, a response time above 5 seconds for 15 minutes is told.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
CREATE TABLE pg_temp.timeline (minute integer, success text, response text, serving text);
-- minute: one minute later: outcomes of a version come in, and the clock ticks.
CREATE FUNCTION pg_temp.alert_now(model text, metric text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT a.status FROM model_mgr.alert a WHERE a.model_name = model AND a.metric_name = metric AND a.kind = 'threshold'
                     ORDER BY a.alert_id DESC LIMIT 1), 'none');
$$;
CREATE FUNCTION pg_temp.minute(minute integer, model text, version text, good integer, seconds float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => minute))::text);
    PERFORM pg_temp.outcomes(model, version, 100, good, seconds);
    PERFORM model_mgr.tick();
    INSERT INTO pg_temp.timeline VALUES (minute, pg_temp.alert_now(model, 'success_rate'), pg_temp.alert_now(model, 'avg_response_time'), pg_temp.routed(model));
END $$;
-- timeline: from which minute on things stood so, one row a change.
CREATE FUNCTION pg_temp.changes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s: %s, %s, %s', t.minute, t.success, t.response, t.serving) FROM (
        SELECT *, lag((success, response, serving)) OVER (ORDER BY minute) IS DISTINCT FROM (success, response, serving) AS changed FROM pg_temp.timeline) t
    WHERE t.changed ORDER BY t.minute;
$$;

SELECT pg_temp.at('2025-12-31 12:00:00+00');
SELECT pg_temp.make_model('telemetry-classifier', '1.0.0', '1.1.0');
SELECT count(model_mgr.deploy_model_version('telemetry-classifier', v, 'replace', auto_rollback_enabled => false, rollout => '{"bake_seconds": 0}')) FROM unnest('{1.0.0,1.1.0}'::text[]) v;
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT is(pg_temp.statuses('telemetry-classifier'), '1.0.0 inactive, 1.1.0 active', '1.1.0 serves');
SELECT is(model_mgr.set_thresholds('telemetry-classifier', jsonb_build_array(
    model_mgr.performance_threshold('success_rate', 0.95, 'less_than', severity => 'critical', duration_minutes => 10, action => 'rollback'),
    model_mgr.performance_threshold('avg_response_time', 5.0, 'greater_than', severity => 'warning', duration_minutes => 15, action => 'alert'))), 2, 'two thresholds');

-- 0-2 good; 3-4 bad; 5 good: it did not last. From 6 on bad: fires at 16. From 8 on 1.0.0 and 1.1.0 are slow: fires at 23.
SELECT count(pg_temp.minute(m, 'telemetry-classifier', '1.1.0', 95, 1.0)) FROM generate_series(0, 2) m;
SELECT count(pg_temp.minute(m, 'telemetry-classifier', '1.1.0', 94, 1.0)) FROM generate_series(3, 4) m;
SELECT count(pg_temp.minute(5, 'telemetry-classifier', '1.1.0', 95, 5.0));
SELECT count(pg_temp.minute(m, 'telemetry-classifier', '1.1.0', 94, 1.0)) FROM generate_series(6, 7) m;
SELECT count(pg_temp.minute(m, 'telemetry-classifier', '1.1.0', 94, 5.5)) FROM generate_series(8, 15) m;
SELECT is((SELECT string_agg(format('%s %s %s %s', a.status, a.started_at, a.current_value, a.samples), ', ' ORDER BY a.alert_id) FROM model_mgr.alert_list a),
    'pending 2026-01-01 00:06:00+00 0.94 100, pending 2026-01-01 00:08:00+00 5.5 100', 'nine minutes: nobody has been told yet');
SELECT is_empty('SELECT * FROM model_mgr.get_active_alerts()', 'and nothing fires');
SELECT count(pg_temp.minute(16, 'telemetry-classifier', '1.1.0', 94, 5.5));
SELECT is(format('%s %s %s %s %s', a.alert_id, a.kind, a.severity, a.fired_at, a.summary),
    format('%s threshold critical 2026-01-01 00:16:00+00 success_rate 0.94 < 0.95 for 10 minutes (100 samples in the last 60 seconds)', a.alert_id), 'it fires in the tenth minute')
FROM model_mgr.get_active_alerts() a;
SELECT is(pg_temp.statuses('telemetry-classifier'), '1.0.0 active, 1.1.0 rolled_back', 'the version is taken back in the same look');
SELECT is(d.status || ' ' || d.status_reason, format('rolled_back alert %s: %s', a.alert_id, a.summary), 'the deployment names the alert as its reason')
FROM model_mgr.list_deployments('telemetry-classifier') d, model_mgr.get_active_alerts() a WHERE d.version = '1.1.0';
SELECT is(a.deployment_id, d.deployment_id, 'and the alert the deployment') FROM model_mgr.list_deployments('telemetry-classifier') d, model_mgr.get_active_alerts() a WHERE d.version = '1.1.0';
SELECT results_eq($$SELECT evidence -> 'value', evidence -> 'samples', evidence -> 'window', evidence -> 'looks', evidence -> 'threshold' ->> 'action', evidence ->> 'outcome' FROM model_mgr.get_active_alerts()$$,
    $$VALUES ('0.94'::jsonb, '100'::jsonb, '{"from": "2026-01-01T00:15:00+00:00", "to": "2026-01-01T00:16:00+00:00", "seconds": 60}'::jsonb, '11'::jsonb, 'rollback', 'rolled back')$$, 'with the numbers it was decided on');
SELECT is(e.evidence -> 'value', '0.94'::jsonb, 'they are in the deployment''s diary too')
FROM model_mgr.explain_deployment(pg_temp.newest('telemetry-classifier')) e WHERE e.status = 'rolled_back';

-- 1.0.0 serves now, is good, and slow as well; nobody uses 1.1.0 any more.
SELECT count(pg_temp.minute(m, 'telemetry-classifier', '1.0.0', 99, 5.5)) FROM generate_series(17, 33) m;
SELECT count(pg_temp.minute(m, 'telemetry-classifier', '1.0.0', 99, 1.0)) FROM generate_series(34, 40) m;
SELECT pg_temp.changes();
SELECT results_eq($$SELECT version, metric_name, status, started_at, fired_at, resolved_at FROM model_mgr.get_alert_history() $$,
    $$VALUES ('1.1.0', 'success_rate', 'resolved', timestamptz '2026-01-01 00:06:00+00', timestamptz '2026-01-01 00:16:00+00', timestamptz '2026-01-01 00:21:00+00'),
             ('1.0.0', 'avg_response_time', 'resolved', '2026-01-01 00:17:00+00', '2026-01-01 00:32:00+00', '2026-01-01 00:39:00+00')$$,
    'the history: what fired, and no more');
SELECT is((SELECT string_agg(d.version || ' ' || d.status, ', ' ORDER BY d.deployment_id) FROM model_mgr.list_deployments('telemetry-classifier') d), '1.0.0 completed, 1.1.0 rolled_back', 'the slow version serves on: its threshold only tells');
SELECT * FROM finish();
