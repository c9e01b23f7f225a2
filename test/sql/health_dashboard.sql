-- get_model_health_dashboard(): one object with exactly six keys, over no model and over a thousand.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT is(model_mgr.get_model_health_dashboard(), '{"models": {}, "performance": {}, "ab_tests": {}, "alerts": [], "updates": {}, "timestamp": 1767225600}', 'no model');
SELECT pg_temp.make_model('b', '1', '2');
SELECT pg_temp.make_model('a"b', '1');
SELECT count(model_mgr.deploy_model_version('b', v, rollout => '{"min_requests": 10}')) FROM unnest('{1,2}'::text[]) v;
SELECT is(model_mgr.get_model_health_dashboard() -> 'models', jsonb_build_object('a"b', NULL, 'b', (SELECT to_jsonb(v) FROM model_mgr.get_active_model('b') v)),
    'the active version as a row, during a rollout the baseline; null where nothing is active');
SELECT is(model_mgr.get_model_health_dashboard() -> 'performance', '{"b": {}}', 'metrics of what is active: none yet');
SELECT pg_temp.outcomes('b', '1', 20, 19), pg_temp.outcomes('b', '2', 20, 1);
SELECT is(model_mgr.get_model_health_dashboard() -> 'performance', jsonb_build_object('b', model_mgr.get_current_metrics_json('b', '1')), 'metrics of the active version, not of the other');
SELECT is((model_mgr.get_model_health_dashboard() #>> '{performance,b,success_rate,value}')::float8, 0.95::float8, 'just recorded');

-- Custom and reported metrics too; the whole is what get_current_metrics_json() says of each.
SELECT model_mgr.update_model_metrics('b', '1', metrics => '{"refund": 2.5}');
SELECT model_mgr.record_performance('b', '1', '{"human_rating": 4.5, "success_rate": 0.1}');
SELECT count(model_mgr.deploy_model_version('a"b', '1'));
SELECT model_mgr.record_performance('a"b', '1', '{"human_rating": 3}');
SELECT is(model_mgr.get_model_health_dashboard() -> 'performance', jsonb_object_agg(v.model_name, model_mgr.get_current_metrics_json(v.model_name, v.version)), 'all metrics of both')
FROM model_mgr.list_all_models() v WHERE v.status = 'active';
SELECT results_eq($$SELECT p.key, p.value #>> '{refund,value}', p.value #>> '{human_rating,value}', p.value #>> '{human_rating,source}' FROM jsonb_each(model_mgr.get_model_health_dashboard() -> 'performance') p ORDER BY 1$$,
    $$VALUES ('a"b', NULL, '3', 'reported'), ('b', '2.5', '4.5', 'reported')$$, 'each its own');

-- Alerts as objects, those that fire.
SELECT model_mgr.set_thresholds('b', jsonb_build_array(model_mgr.performance_threshold('success_rate', 1, '<', duration_minutes => 0),
    model_mgr.performance_threshold('success_rate', 0.99, '<', duration_minutes => 10)));
SELECT model_mgr.set_thresholds('a"b', jsonb_build_array(model_mgr.performance_threshold('success_rate', 1, '<')));
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is(model_mgr.get_model_health_dashboard() -> 'alerts', (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.alert_id) FROM model_mgr.alert a WHERE a.status = 'firing'), 'alerts that fire');
SELECT results_eq($$SELECT DISTINCT a ->> 'model_name', a ->> 'status', a ->> 'metric_name' FROM jsonb_array_elements(model_mgr.get_model_health_dashboard() -> 'alerts') a WHERE a ->> 'version' = '1'$$,
    $$VALUES ('b', 'firing', 'success_rate')$$, 'are objects with an alert''s columns');

-- A thousand models, each with requests; seconds, not minutes, on any machine.
SELECT count(model_mgr.create_model_version('many ' || n, '1', '{"provider": "test", "model_name": "m"}')) FROM generate_series(1, 1000) n;
SELECT count(model_mgr.deploy_model_version('many ' || n, '1')) FROM generate_series(1, 1000) n;
SELECT count(model_mgr.update_model_metrics('many ' || n, '1', 0.5, i > 1)) FROM generate_series(1, 1000) n, generate_series(1, 4) i;
SELECT count(*) > 0 FROM model_mgr.tick();
SET statement_timeout = '30s';
SELECT is((SELECT count(*) || ' ' || min(p.value #>> '{success_rate,value}') || ' ' || max(p.value #>> '{success_rate,value}')
    FROM jsonb_each(model_mgr.get_model_health_dashboard() -> 'performance') p WHERE p.key LIKE 'many %'), '1000 0.75 0.75', 'a thousand models');
RESET statement_timeout;
SELECT * FROM finish();
