-- Clauses of the contract that other files pass by: defaults that null brings back, words and values at the edge, and
-- numbers that no sum could hold.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3', '4');
CREATE FUNCTION pg_temp.d() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_temp.newest('m') $$;

-- Who did it is a name like any other.
SELECT is(pg_temp.code($$SELECT model_mgr.deploy_model_version('m', '1', deployed_by => '')$$), '42602', 'deployed_by: empty');
SELECT is(pg_temp.code($$SELECT model_mgr.deploy_model_version('m', '1', deployed_by => repeat('x', 256))$$), '42622', 'deployed_by: too long');
SELECT is((SELECT count(*) FROM model_mgr.list_deployments()), 0::bigint, 'nothing was deployed');

-- What looks needs to know what to look for.
SELECT is(pg_temp.code('SELECT model_mgr.get_deployment(NULL)'), '22004', 'get_deployment of NULL');
SELECT is(pg_temp.code('SELECT model_mgr.explain_deployment(NULL)'), '22004', 'explain_deployment of NULL');
SELECT is_empty('SELECT * FROM model_mgr.get_deployment(-1)', 'an unknown id: no row');
SELECT is_empty('SELECT * FROM model_mgr.explain_deployment(-1)', 'nor a line');

-- adjust: null is the default again, whole minutes are whole.
SELECT (model_mgr.deploy_model_version('m', '1')).status;
SELECT (model_mgr.deploy_model_version('m', '2', auto_rollback_enabled => false, rollback_threshold_error_rate => 0.5, rollback_threshold_response_time => 3,
    rollback_min_success_rate => 0.5, rollback_evaluation_window_minutes => 60, rollout => '{"min_requests": 7}')).status;
SELECT is(pg_temp.code($$SELECT model_mgr.adjust_deployment(pg_temp.d(), '{"rollback_evaluation_window_minutes": 1.5}')$$), '22003', 'half a minute');
SELECT is(format('%s %s %s %s %s %s', a.auto_rollback_enabled, a.rollback_threshold_error_rate, a.rollback_threshold_response_time, a.rollback_min_success_rate,
    a.rollback_evaluation_window_minutes, a.rollout -> 'min_requests'), 'f 0.5 3 0.5 30 7', 'keys that are absent stay')
FROM model_mgr.adjust_deployment(pg_temp.d(), '{"rollback_evaluation_window_minutes": 30}') a;
SELECT is(format('%s %s %s %s %s %s', a.auto_rollback_enabled, a.rollback_threshold_error_rate, a.rollback_threshold_response_time, a.rollback_min_success_rate,
    a.rollback_evaluation_window_minutes, a.rollout -> 'min_requests'), 't 0.1 10 0.95 10 100', 'null is the default')
FROM model_mgr.adjust_deployment(pg_temp.d(), '{"auto_rollback_enabled": null, "rollback_threshold_error_rate": null, "rollback_threshold_response_time": null,
    "rollback_min_success_rate": null, "rollback_evaluation_window_minutes": null, "min_requests": null}') a;

-- Windows end now: what is stamped ahead counts when its time has come.
SELECT model_mgr.update_model_metrics('m', '2', success => true, recorded_at => '2026-01-01 00:30:00+00') FROM generate_series(1, 100);
SELECT is((SELECT samples FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.d()), 0::bigint, 'half an hour ahead');
SELECT pg_temp.at('2026-01-01 00:30:00+00');
SELECT is((SELECT samples FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.d()), 100::bigint, 'half an hour later');
SELECT model_mgr.rollback_model('m');

-- A bake that ends because the next version comes is judged like any other at its end.
SELECT (model_mgr.deploy_model_version('m', '3', 'replace')).status;
SELECT pg_temp.outcomes('m', '3', 200, 100);
SELECT is(p.baseline_version, '1', 'the next one is compared with the version that served before the broken one')
FROM model_mgr.deploy_model_version('m', '4') p;
SELECT is(pg_temp.statuses('m'), '1 active, 2 rolled_back, 3 rolled_back, 4 deploying', 'which went back');
SELECT is(pg_temp.routed('m'), '1 4 1000', 'and serves');
SELECT model_mgr.rollback_model('m');
SELECT (model_mgr.deploy_model_version('m', '2', 'replace')).status;
SELECT pg_temp.outcomes('m', '2', 200, 100);
SELECT is(format('%s %s', p.version, p.status), '1 completed', 'or the previous one is the one asked for: it is there') FROM model_mgr.deploy_model_version('m', '1') p;
SELECT is(pg_temp.routed('m'), '1 - 0', 'alone');

-- One number that no sum can hold would stop every fold.
SELECT is(pg_temp.code(format($$SELECT model_mgr.update_model_metrics('m', '1', %s)$$, a)), '22003', a)
FROM unnest('{1.7e308,response_time => 1.1e100,cost => 1.7e308}'::text[]) a;
SELECT is(pg_temp.code($$SELECT model_mgr.update_model_metrics('m', '1', metrics => '{"a": -1.7e308}')$$), '22003', 'a metric of its own');
SELECT is(pg_temp.code($$INSERT INTO model_mgr.observation (version_id, response_time) VALUES (1, 1.7e308)$$), '23514 no hint', 'direct INSERT: response_time');
SELECT is(pg_temp.code($$INSERT INTO model_mgr.observation (version_id, cost) VALUES (1, 1.7e308)$$), '23514 no hint', 'direct INSERT: cost');
SELECT model_mgr.update_model_metrics('m', '1', 1e100, true, cost => 1e100, input_tokens => 9223372036854775807, output_tokens => 9223372036854775807) FROM generate_series(1, 3);
SELECT is((SELECT string_agg(task, ' ') FROM model_mgr.tick()), 'rollups hours audit deployments experiments updates thresholds anomalies events', 'the largest that are taken fold');
SELECT is(v.avg_response_time, 1e100::float8, 'to their mean') FROM model_mgr.model_version_list v WHERE v.version = '1';

-- A context is an object.
SELECT is(pg_temp.code(format($$SELECT model_mgr.%s('m', 'u', '[]')$$, f)), '22P02', f) FROM unnest('{route,explain_route}'::text[]) f;

-- Control characters are those above the letters too; a blank that does not break is none.
SELECT is(pg_temp.code(format($$SELECT model_mgr.create_model_version(%L, '1', '{"provider": "p", "model_name": "x"}')$$, n)), code, format('U+%s', to_hex(ascii(right(n, 1)))))
FROM (VALUES (E'a\u0080', '42602'), (E'a\u009f', '42602'), (E'a\u007f', '42602'), (E'a\u001f', '42602'), (E'a\u00a0', '00000'), (E'a\u00c2', '00000')) t (n, code);

-- With the clock held still one rollout's outcomes are not the next one's, nor are those recorded before it began.
SELECT pg_temp.make_model('n', '1', '2');
SELECT (model_mgr.deploy_model_version('n', '1')).status;
SELECT pg_temp.outcomes('n', '2', 200, 0);
SELECT (model_mgr.deploy_model_version('n', '2')).status;
SELECT is((SELECT samples FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.newest('n')), 0::bigint, 'recorded before the rollout');
SELECT pg_temp.outcomes('n', '2', 200, 0);
SELECT is(pg_temp.tick(), 1::bigint, 'recorded in it');
SELECT is((SELECT p.status FROM model_mgr.deploy_model_version('n', '2') p), 'running', 'deployed again');
SELECT pg_temp.outcomes('n', '2', 200, 200);
SELECT is((SELECT samples FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.newest('n')), 200::bigint, 'only what it did this time');
SELECT pg_temp.tick();
SELECT is(pg_temp.state('n'), 'running 10 1', 'is judged');
SELECT is((SELECT array_agg(DISTINCT o.step) FROM model_mgr.observation o JOIN model_mgr.model_version v USING (version_id) WHERE v.model_name = 'n'), '{0,1}', 'outside, and in the first step');
SELECT * FROM finish();
