-- The examples of the requirement document on monitoring, as SQL: thresholds, recorded performance, dashboards,
-- comparison, callbacks, history and the health dashboard.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');

-- A classifier whose version 1.2.0 has replaced 1.1.0 for everybody.
SELECT pg_temp.make_model('telemetry-classifier', '1.1.0', '1.2.0');
SELECT count(model_mgr.deploy_model_version('telemetry-classifier', v, 'replace')) FROM unnest('{1.1.0,1.2.0}'::text[]) v;
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT pg_temp.tick();
SELECT is(pg_temp.state('telemetry-classifier'), 'completed 100 1', 'it serves');

-- Two thresholds: one that takes the version back, one that only tells.
SELECT is(model_mgr.set_thresholds(model_name => 'telemetry-classifier', thresholds => jsonb_build_array(
    model_mgr.performance_threshold(metric_name => 'success_rate', threshold_value => 0.95, operator => 'less_than',
        severity => 'critical', duration_minutes => 10, action => 'rollback'),
    model_mgr.performance_threshold(metric_name => 'avg_response_time', threshold_value => 5.0, operator => 'greater_than',
        severity => 'warning', duration_minutes => 15, action => 'alert'))), 2, 'thresholds are set');
SELECT is(model_mgr.get_thresholds(model_name => 'telemetry-classifier'), '[
    {"metric_name": "success_rate", "threshold_value": 0.95, "operator": "less_than", "severity": "critical", "duration_minutes": 10, "action": "rollback", "on_no_data": "hold"},
    {"metric_name": "avg_response_time", "threshold_value": 5.0, "operator": "greater_than", "severity": "warning", "duration_minutes": 15, "action": "alert", "on_no_data": "hold"}]',
    'and read back');

-- Values that somebody has aggregated already.
SELECT model_mgr.record_performance(model_name => 'telemetry-classifier', model_version => '1.2.0',
    metrics => '{"success_rate": 0.98, "avg_response_time": 1.2, "confidence_score": 0.89, "cost_per_request": 0.002}');
SELECT set_eq($$SELECT metric_name, value, samples, source, last_at FROM model_mgr.get_current_metrics(model_name => 'telemetry-classifier', model_version => '1.2.0')$$,
    $$VALUES ('success_rate', 0.98::float8, 1::bigint, 'reported', model_mgr.clock_time()), ('avg_response_time', 1.2, 1, 'reported', model_mgr.clock_time()),
    ('confidence_score', 0.89, 1, 'reported', model_mgr.clock_time()), ('cost_per_request', 0.002, 1, 'reported', model_mgr.clock_time())$$, 'are its current metrics');
SELECT is((SELECT jsonb_object_agg(key, value -> 'value') FROM jsonb_each(model_mgr.get_current_metrics_json('telemetry-classifier', '1.2.0'))),
    '{"success_rate": 0.98, "avg_response_time": 1.2, "confidence_score": 0.89, "cost_per_request": 0.002}', 'as an object too');

-- Trends: one even grid a metric, with the value where it was recorded and gaps elsewhere.
SELECT is((SELECT string_agg(DISTINCT metric_name, ' ' ORDER BY metric_name) FROM model_mgr.get_performance_trends('telemetry-classifier', '1.2.0', hours_back => 24)),
    'avg_response_time confidence_score cost_per_request success_rate', 'the metrics that occur');
SELECT is((SELECT count(*) FROM (SELECT count(*), min(time), max(time), count(DISTINCT "time" - prev) AS steps FROM (SELECT t.*, lag(time) OVER (PARTITION BY metric_name ORDER BY time) AS prev
    FROM model_mgr.get_performance_trends('telemetry-classifier', '1.2.0', hours_back => 24) t) s GROUP BY metric_name
    HAVING count(*) <= 300 AND count(DISTINCT time - prev) = 1 AND count(value) = 1 AND sum(samples) = 1) s), 4::bigint, 'each on an even grid of at most 300, one value and gaps');
SELECT is((SELECT value FROM model_mgr.get_performance_trends(model_name => 'telemetry-classifier', model_version => '1.2.0', hours_back => 24) WHERE metric_name = 'success_rate' AND samples = 1),
    0.98::float8, 'the value');
SELECT is((SELECT count(*) FROM jsonb_object_keys(model_mgr.get_performance_trends_json('telemetry-classifier', '1.2.0', hours_back => 24))), 4::bigint, 'as an object of lists too');

-- Comparison: the first version is the baseline. These are real requests.
SELECT pg_temp.outcomes('telemetry-classifier', '1.1.0', 200, 180, 2.0);
SELECT pg_temp.outcomes('telemetry-classifier', '1.2.0', 200, 196, 1.0);
SELECT results_eq($$SELECT version, round(value::numeric, 3), samples, round(difference::numeric, 3), p_value < 0.01, better
    FROM model_mgr.get_model_comparison('telemetry-classifier', ARRAY['1.1.0', '1.2.0']) WHERE metric_name = 'success_rate' ORDER BY version$$,
    $$VALUES ('1.1.0', 0.9, 200::bigint, NULL::numeric, NULL::boolean, NULL::boolean), ('1.2.0', 0.98, 200, 0.08, true, true)$$, 'more of its answers are right, and that is no chance');
SELECT results_eq($$SELECT version, round(value::numeric, 3), round(difference::numeric, 3), better
    FROM model_mgr.get_model_comparison(model_name => 'telemetry-classifier', versions => ARRAY['1.1.0', '1.2.0']) WHERE metric_name ~ 'response_time' AND metric_name !~ '^p' ORDER BY version$$,
    $$VALUES ('1.1.0', 2.0, NULL::numeric, NULL::boolean), ('1.2.0', 1.0, -1.0, true)$$, 'and less time is better');
SELECT is((SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(model_mgr.get_model_comparison_json('telemetry-classifier', ARRAY['1.1.0', '1.2.0'])) key), '{1.1.0,1.2.0}', 'an object by version too');

-- Handlers for alerts and for automatic rollbacks.
CREATE SCHEMA regress_guide;
CREATE TABLE regress_guide.told (handler text, event jsonb);
CREATE FUNCTION regress_guide.performance_alert_handler(alert jsonb) RETURNS void LANGUAGE sql
BEGIN ATOMIC INSERT INTO regress_guide.told VALUES ('alert', alert); END;
CREATE FUNCTION regress_guide.rollback_handler(event jsonb) RETURNS void LANGUAGE sql
BEGIN ATOMIC INSERT INTO regress_guide.told VALUES ('rollback', event); END;
SELECT is(model_mgr.add_alert_callback(callback => 'regress_guide.performance_alert_handler(jsonb)') > 0, true, 'a handler of alerts');
SELECT is(model_mgr.add_rollback_callback(callback => 'regress_guide.rollback_handler(jsonb)') > 0, true, 'a handler of rollbacks');

-- From 00:11 on nine of ten answers are right: too few, and ten minutes later the version is taken back.
CREATE TEMP TABLE minute (at timestamptz, alerts bigint, active text);
DO $$
BEGIN
    FOR m IN 11..22 LOOP
        PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => m))::text);
        PERFORM pg_temp.outcomes('telemetry-classifier', (SELECT version FROM model_mgr.get_active_model('telemetry-classifier')), 20, 18, 1.0);
        PERFORM pg_temp.tick();
        INSERT INTO minute SELECT model_mgr.clock_time(), (SELECT count(*) FROM model_mgr.get_active_alerts() a WHERE a.kind = 'threshold'),
            (SELECT version FROM model_mgr.get_active_model('telemetry-classifier'));
        EXIT WHEN (SELECT version FROM model_mgr.get_active_model('telemetry-classifier')) = '1.1.0';
    END LOOP;
END $$;
SELECT is((SELECT min(at) FILTER (WHERE active = '1.1.0') FROM minute), '2026-01-01 00:21:00+00', 'ten minutes after the first breach the version before it is back');
SELECT is((SELECT max(alerts) FILTER (WHERE active = '1.2.0') FROM minute), 0::bigint, 'no alert fired before');
SELECT results_eq($$SELECT kind, version, metric_name, severity, status, action, operator, threshold_value, duration_minutes, round(current_value::numeric, 2), samples, started_at, fired_at
    FROM model_mgr.get_active_alerts() WHERE kind = 'threshold'$$,
    $$VALUES ('threshold', '1.2.0', 'success_rate', 'critical', 'firing', 'rollback', 'less_than', 0.95::float8, 10, 0.9, 20::bigint, '2026-01-01 00:11:00+00'::timestamptz, '2026-01-01 00:21:00+00'::timestamptz)$$,
    'one alert fires, with its numbers');
SELECT alert_id FROM model_mgr.get_active_alerts() WHERE kind = 'threshold' \gset
SELECT matches((SELECT status_reason FROM model_mgr.list_deployments('telemetry-classifier') WHERE version = '1.2.0'), '^alert ' || :alert_id || ':', 'which the rollback names as its reason');
SELECT set_eq($$SELECT alert_id FROM model_mgr.get_alert_history(hours_back => 24) WHERE kind = 'threshold'$$, ARRAY[:alert_id::bigint], 'it is in the history');
SELECT is((SELECT status || ' ' || note FROM model_mgr.acknowledge_alert(:alert_id, 'on it')), 'firing on it', 'and somebody takes it on');
CALL model_mgr.work();
SELECT results_eq($$SELECT handler, event ->> 'model_name', event ->> 'version', event ->> 'metric_name', round((event ->> 'current_value')::numeric, 2), event #>> '{threshold,severity}', (event ->> 'alert_id')::bigint FROM regress_guide.told WHERE handler = 'alert' AND event ->> 'alert_id' IS NOT NULL ORDER BY handler$$,
    format($$VALUES ('alert', 'telemetry-classifier', '1.2.0', 'success_rate', 0.9, 'critical', %s::bigint)$$, :alert_id), 'the handler of alerts got it');
SELECT results_eq($$SELECT event ->> 'model_name', event ->> 'version', event ->> 'target_version', split_part(event ->> 'reason', ':', 1) FROM regress_guide.told WHERE handler = 'rollback'$$,
    format($$VALUES ('telemetry-classifier', '1.2.0', '1.1.0', 'alert %s')$$, :alert_id), 'the handler of rollbacks got that');

-- The dashboard: these keys and no others, active versions as rows, a model without one as null.
SELECT pg_temp.make_model('not-deployed', '0.1.0');
SELECT is((SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(model_mgr.get_model_health_dashboard()) key), '{ab_tests,alerts,models,performance,timestamp,updates}', 'the keys');
CREATE TEMP TABLE board AS SELECT model_mgr.get_model_health_dashboard() AS d;
SELECT is((SELECT d -> 'models' FROM board), jsonb_build_object('not-deployed', NULL, 'telemetry-classifier', (SELECT to_jsonb(v) FROM model_mgr.get_active_model('telemetry-classifier') v)), 'models');
SELECT is((SELECT d -> 'performance' FROM board), jsonb_build_object('telemetry-classifier', model_mgr.get_current_metrics_json('telemetry-classifier', '1.1.0')), 'performance of the active versions');
SELECT is((SELECT d -> 'alerts' FROM board), (SELECT jsonb_agg(to_jsonb(a)) FROM model_mgr.get_active_alerts() a), 'alerts');
SELECT is((SELECT d -> 'ab_tests' FROM board), '{}', 'tests');
SELECT is((SELECT d -> 'updates' FROM board), '{}', 'updates');
SELECT is((SELECT (d ->> 'timestamp')::float8 FROM board), extract(epoch FROM timestamptz '2026-01-01 00:21:00+00')::float8, 'seconds since 1970');
SELECT * FROM finish();
SET client_min_messages = warning;
DROP SCHEMA regress_guide CASCADE;
