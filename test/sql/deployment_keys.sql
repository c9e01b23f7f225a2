-- Every key of rollout and health_criteria: as it is stored, repeated, adjusted, and what it does where nothing else tests it.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
SELECT (model_mgr.deploy_model_version('m', '1')).status;
-- What a rollout argument becomes, undone again.
CREATE FUNCTION pg_temp.stored(given jsonb, strategy text DEFAULT 'canary') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SELECT d.rollout INTO answer FROM model_mgr.deploy_model_version('m', '2', strategy, rollout => given) d;
    RAISE EXCEPTION USING errcode = 'P0001', message = answer;
EXCEPTION WHEN raise_exception THEN
    RETURN sqlerrm;
END $$;
SELECT is(pg_temp.stored('{}'), pg_temp.effective('{}'), 'the defaults');
SELECT is(pg_temp.stored((SELECT jsonb_object_agg(k, NULL) FROM jsonb_object_keys(pg_temp.effective('{}')) k)), pg_temp.effective('{}'), 'null is the default of every key');
SELECT is(pg_temp.stored(pg_temp.effective(given)), pg_temp.effective(expected), given::text) FROM (VALUES
    ('{"steps": [0.5, 100], "step_seconds": 1.5, "min_requests": 0, "warmup_seconds": 0.25, "bake_seconds": 0}'::jsonb, NULL::jsonb),
    ('{"max_step_seconds": 3600, "on_timeout": "rollback"}', NULL),
    ('{"approval": "each_step", "approval_timeout_seconds": 86400}', NULL),
    ('{"approval": "final", "approval_timeout_seconds": 1}', NULL),
    ('{"guard": "off", "on_sample_ratio": "hold", "salt": "sticky"}', NULL),
    ('{"on_sample_ratio": "rollback"}', NULL),
    ('{"guard_margin": {"success_rate": 0.02}}', '{"guard_margin": {"success_rate": 0.02, "error_rate": 0.01, "response_time": {"relative": 0.1}}}'),
    ('{"guard_margin": {"response_time": 0.5, "error_rate": {"relative": 0.5}, "success_rate": {"absolute": 0.001}}}',
        '{"guard_margin": {"response_time": 0.5, "error_rate": {"relative": 0.5}, "success_rate": 0.001}}'),
    ('{"guard_margin": {"response_time": {"absolute": 0.5, "relative": 0.1}, "error_rate": 0, "success_rate": null}}',
        '{"guard_margin": {"response_time": {"absolute": 0.5, "relative": 0.1}, "error_rate": 0, "success_rate": 0.01}}'),
    ('{"start_at": "2026-03-01 12:00:00.5+02"}', '{"start_at": "2026-03-01T10:00:00.5+00:00"}'),
    ('{"start_at": "2025-03-01"}', '{"start_at": "2025-03-01T00:00:00+00:00"}'),
    ('{"start_at": "2000-01-01 00:00:00+00"}', '{"start_at": "1999-12-31T23:59:59.999999+00:00"}')) x (given, other), LATERAL (SELECT coalesce(other, given)) y (expected);
SELECT is(pg_temp.stored('{"test": {"max_duration_hours": 24, "primary_metric": "cost", "guardrails": []}}', 'a_b_test') -> 'test',
    '{"max_duration_hours": 24, "primary_metric": "cost", "guardrails": []}', 'arguments of the A/B test');
SELECT is(pg_temp.stored('{}', 'a_b_test') -> 'test', '{}', 'none are needed');
SELECT is(pg_temp.stored('{"test": null}', 'shadow') -> 'test', 'null', 'a shadow has none');
SELECT is(pg_temp.code(format('SELECT model_mgr.deploy_model_version(''m'', ''2'', ''ab_test'', rollout => %L)', jsonb_build_object('test', t::jsonb))), code, t) FROM (VALUES
    ('[]', '22P02'), ('"long"', '22P02'), ('{"duration": 1}', '22023'), ('{"traffic_split": 0.3}', '22023'), ('{"control_version": "1"}', '22023'),
    ('{"max_duration_hours": 0}', '22003'), ('{"max_duration_hours": 1.5}', '22003'), ('{"max_duration_hours": "week"}', '22P02'), ('{"confidence_level": 1}', '22003'),
    ('{"confidence_level": 0}', '22003'), ('{"confidence_level": "95 %"}', '22P02'), ('{"minimum_detectable_effect": -0.1}', '22003'), ('{"primary_metric": 1}', '22P02'),
    ('{"primary_metric": ""}', '42602')) x (t, code);
SELECT is(pg_temp.code(format('SELECT model_mgr.deploy_model_version(''m'', ''2'', %L, rollout => %L)', s, r)), '22023', s || ' ' || r) FROM (VALUES
    ('replace', '{"steps": [50, 100]}'), ('blue_green', '{"steps": [10, 100]}'), ('blue_green', '{"steps": [100]}'), ('a_b_test', '{"steps": [50, 60, 100]}'),
    ('a_b_test', '{"steps": [50]}'), ('shadow', '{"steps": [50, 100]}'), ('canary', '{"test": {"power": 0.9}}'), ('shadow', '{"preview_segment": {"a": 1}}')) x (s, r);

-- health_criteria: stored as given, part of the wish.
CREATE FUNCTION pg_temp.deploy(criteria jsonb) RETURNS model_mgr.deployment LANGUAGE sql AS $$
    SELECT model_mgr.deploy_model_version('m', '2', health_criteria => criteria, rollout => '{"steps": [10, 100], "min_requests": 10, "step_seconds": 60}');
$$;
SELECT is((pg_temp.deploy('{"p95_response_time": {"max": 2.0, "max_ratio": 1.2}, "confidence_score": {"min": 0.7}, "refunds": {"max": 10, "min": -10}, "cost": null}')).health_criteria,
    '{"p95_response_time": {"max": 2.0, "max_ratio": 1.2}, "confidence_score": {"min": 0.7}, "refunds": {"max": 10, "min": -10}, "cost": null}', 'as they were given');
SELECT is((pg_temp.deploy('{"cost": null, "confidence_score": {"min": 0.7}, "p95_response_time": {"max_ratio": 1.2, "max": 2}, "refunds": {"min": -10.0, "max": 1e1}}')).deployment_id,
    pg_temp.newest('m'), 'the same wish');
SELECT is((pg_temp.deploy('{"confidence_score": {"min": 0.8}}')).deployment_id, pg_temp.newest('m'), 'another one, with a NOTICE');
SELECT is(d.health_criteria, '{"confidence_score": {"min": 0.8}}', 'adjusted: all of them') FROM model_mgr.adjust_deployment(pg_temp.newest('m'), '{"health_criteria": {"confidence_score": {"min": 0.8}}}', 'stricter') d;
SELECT is(d.health_criteria, '{"confidence_score": {"min": 0.8}}', 'others stay') FROM model_mgr.adjust_deployment(pg_temp.newest('m'), '{"step_seconds": 30}') d;
SELECT is(details -> 'before' -> 'health_criteria' -> 'confidence_score', '{"min": 0.7}', 'audited with what was before') FROM model_mgr.audit_log WHERE operation = 'adjust' ORDER BY audit_id LIMIT 1;
SELECT is(d.health_criteria, '{}', 'null: none') FROM model_mgr.adjust_deployment(pg_temp.newest('m'), '{"health_criteria": null}') d;
SELECT is(pg_temp.code('SELECT pg_temp.deploy((SELECT jsonb_object_agg(''m'' || i, ''{"min": 0, "max": 1}''::jsonb) FROM generate_series(1, 25) i))'), '00000', '50 bounds are not too many');
SELECT (model_mgr.abort_deployment(pg_temp.newest('m'))).status;

-- warmup_seconds: recorded, not judged; time of the first step.
SELECT (model_mgr.deploy_model_version('m', '2', rollout => '{"warmup_seconds": 120, "step_seconds": 60, "min_requests": 10}')).status;
SELECT pg_temp.outcomes('m', '2', 20, 0);
SELECT pg_temp.at('2026-01-01 00:01:59+00');
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('m'), '0 running 10 1', 'failures while warming up');
SELECT pg_temp.at('2026-01-01 00:02:00+00');
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('m'), '0 running 10 1', 'are not counted afterwards, for or against');
SELECT pg_temp.outcomes('m', '2', 10, 0);
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('m'), '1 rolled_back 0 1', 'those that come then are');

-- bake_seconds 0: completed by the next tick; salt fresh: units differ from rollout to rollout.
SELECT pg_temp.make_model('salt', '1', '2');
SELECT (model_mgr.deploy_model_version('salt', '1')).status;
CREATE TEMP TABLE drawn (rollout integer, unit integer);
SELECT (model_mgr.deploy_model_version('salt', '2')).status;
INSERT INTO drawn SELECT 1, i FROM generate_series(1, 1000) i WHERE model_mgr.route_version('salt', i::text) = '2';
SELECT (model_mgr.abort_deployment(pg_temp.newest('salt'))).status;
SELECT (model_mgr.deploy_model_version('salt', '2')).status;
INSERT INTO drawn SELECT 2, i FROM generate_series(1, 1000) i WHERE model_mgr.route_version('salt', i::text) = '2';
SELECT (model_mgr.abort_deployment(pg_temp.newest('salt'))).status;
SELECT cmp_ok(count(*), '<', 50::bigint, 'fresh: other guinea pigs each time') FROM (SELECT unit FROM drawn GROUP BY unit HAVING count(*) = 2) x;
TRUNCATE drawn;
SELECT (model_mgr.deploy_model_version('salt', '2', rollout => '{"salt": "sticky"}')).status;
INSERT INTO drawn SELECT 1, i FROM generate_series(1, 1000) i WHERE model_mgr.route_version('salt', i::text) = '2';
SELECT (model_mgr.abort_deployment(pg_temp.newest('salt'))).status;
SELECT (model_mgr.deploy_model_version('salt', '2', rollout => '{"salt": "sticky", "bake_seconds": 0}')).status;
INSERT INTO drawn SELECT 2, i FROM generate_series(1, 1000) i WHERE model_mgr.route_version('salt', i::text) = '2';
SELECT is(count(*) FILTER (WHERE n < 2), 0::bigint, 'sticky: the same ones') FROM (SELECT count(*) AS n FROM drawn GROUP BY unit) x;
SELECT (model_mgr.promote_deployment(pg_temp.newest('salt'), true)).status;
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('salt'), '1 completed 100 10', 'no bake');
SELECT * FROM finish();
