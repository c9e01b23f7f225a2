-- What deploy_model_version takes: ranges, words, combinations, repeats, keys, and what stands in the way.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3', '4');
SELECT pg_temp.make_model('other', '1', '2');
SELECT count(model_mgr.deploy_model_version(m, '1')) FROM unnest('{m,other}'::text[]) m;
CREATE FUNCTION pg_temp.refused(arguments text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.code(format('SELECT model_mgr.deploy_model_version(%s)', arguments));
$$;

-- Bad input, one by one: SQLSTATE with DETAIL and HINT, and nothing changed afterwards.
CREATE TEMP TABLE before AS SELECT count(*) AS deployments, (SELECT count(*) FROM model_mgr.audit_log) AS audits FROM model_mgr.deployment;
SELECT is(pg_temp.refused(arguments), code, arguments) FROM (VALUES
    ('NULL, ''2''', '22004'),
    ('''m'', NULL', '22004'),
    ('''nobody'', ''2''', '42704'),
    ('''m'', ''9''', '42704'),
    ('''m'', ''@nobody''', '42704'),
    ('''m'', ''latest''', '42704'),
    ('''m'', ''2'', ''slowly''', '22023'),
    ('''m'', ''2'', ''''', '22023'),
    ('''m'', ''2'', traffic_percentage => 0', '22003'),
    ('''m'', ''2'', traffic_percentage => -1', '22003'),
    ('''m'', ''2'', traffic_percentage => 100.01', '22003'),
    ('''m'', ''2'', traffic_percentage => ''NaN''', '22003'),
    ('''m'', ''2'', traffic_percentage => ''Infinity''', '22003'),
    ('''m'', ''2'', traffic_percentage => 0.001', '22003'),
    ('''m'', ''2'', traffic_percentage => 33.333', '22003'),
    ('''m'', ''2'', ''replace'', traffic_percentage => 100', '22023'),
    ('''m'', ''2'', ''replace'', traffic_percentage => 10', '22023'),
    ('''m'', ''2'', ''replace'', traffic_percentage => ''NaN''', '22023'),
    ('''m'', ''2'', ''blue_green'', traffic_percentage => 0', '22023'),
    ('''m'', ''2'', ''blue_green'', traffic_percentage => 10', '22023'),
    ('''m'', ''2'', ''blue_green'', traffic_percentage => 100', '22023'),
    ('''m'', ''2'', ''a_b_test'', traffic_percentage => 100', '22003'),
    ('''m'', ''2'', ''shadow'', traffic_percentage => 0', '22003'),
    ('''m'', ''2'', ''shadow'', traffic_percentage => 33.333', '22003'),
    ('''m'', ''2'', rollback_threshold_error_rate => -0.01', '22003'),
    ('''m'', ''2'', rollback_threshold_error_rate => 1.01', '22003'),
    ('''m'', ''2'', rollback_threshold_error_rate => ''NaN''', '22003'),
    ('''m'', ''2'', rollback_threshold_response_time => -1', '22003'),
    ('''m'', ''2'', rollback_threshold_response_time => ''Infinity''', '22003'),
    ('''m'', ''2'', rollback_min_success_rate => 1.5', '22003'),
    ('''m'', ''2'', rollback_min_success_rate => ''NaN''', '22003'),
    ('''m'', ''2'', rollback_evaluation_window_minutes => 0', '22003'),
    ('''m'', ''2'', rollback_evaluation_window_minutes => -5', '22003'),
    ('''m'', ''2'', rollback_evaluation_window_minutes => 1000000', '22003'),
    ('''m'', ''2'', health_criteria => ''[]''', '22P02'),
    ('''m'', ''2'', health_criteria => ''{''', '22P02 no hint'),    -- the server's own: not JSON at all
    ('''m'', ''2'', idempotency_key => ''''', '42602'),
    ('''m'', ''2'', idempotency_key => repeat(''k'', 256)', '42622')) t (arguments, code);
SELECT is(pg_temp.refused(format('''m'', ''2'', rollout => %L', rollout)), code, rollout) FROM (VALUES
    ('[]', '22P02'), ('1', '22P02'), ('null', '22P02'),
    ('{"speed": 1}', '22023'),
    ('{"steps": 10}', '22P02'), ('{"steps": {"a": 1}}', '22P02'), ('{"steps": ["10", 100]}', '22P02'), ('{"steps": [[10], 100]}', '22P02'),
    ('{"steps": []}', '22023'), ('{"steps": [10, 20]}', '22023'), ('{"steps": [20, 10, 100]}', '22023'), ('{"steps": [10, 10, 100]}', '22023'),
    ('{"steps": [0, 100]}', '22003'), ('{"steps": [50, 101]}', '22003'), ('{"steps": [0.005, 100]}', '22003'), ('{"steps": [1e400, 100]}', '22003'),
    ('{"step_seconds": -1}', '22003'), ('{"step_seconds": 1e400}', '22003'), ('{"step_seconds": "600"}', '22P02'), ('{"step_seconds": true}', '22P02'),
    ('{"min_requests": -1}', '22003'), ('{"min_requests": 0.5}', '22003'), ('{"min_requests": []}', '22P02'),
    ('{"warmup_seconds": -1}', '22003'), ('{"bake_seconds": -0.1}', '22003'), ('{"bake_seconds": "long"}', '22P02'),
    ('{"guard": "sometimes"}', '22023'), ('{"guard": 1}', '22P02'), ('{"salt": "pepper"}', '22023'), ('{"salt": {}}', '22P02'),
    ('{"max_step_seconds": 0}', '22003'), ('{"max_step_seconds": -1}', '22003'), ('{"max_step_seconds": "1 h"}', '22P02'),
    ('{"on_timeout": "wait"}', '22023'), ('{"on_timeout": true}', '22P02'), ('{"approval": "every_step"}', '22023'), ('{"approval": 1}', '22P02'),
    ('{"approval_timeout_seconds": 0}', '22003'), ('{"approval_timeout_seconds": []}', '22P02'), ('{"approval_timeout_seconds": 1e10}', '22003'),
    ('{"guard_margin": 0.1}', '22P02'), ('{"guard_margin": {"latency": 1}}', '22023'), ('{"guard_margin": {"success_rate": "1 %"}}', '22P02'),
    ('{"guard_margin": {"success_rate": -0.01}}', '22003'), ('{"guard_margin": {"success_rate": 1.01}}', '22003'),
    ('{"guard_margin": {"response_time": {"relative": -1}}}', '22003'), ('{"guard_margin": {"response_time": {"times": 1}}}', '22023'),
    ('{"guard_margin": {"error_rate": {"absolute": "a"}}}', '22P02'), ('{"guard_margin": {"error_rate": [1]}}', '22P02'),
    ('{"on_sample_ratio": "shout"}', '22023'), ('{"on_sample_ratio": {}}', '22P02'),
    ('{"start_at": "soon"}', '22P02'), ('{"start_at": 1767225600}', '22P02'), ('{"start_at": "2026-13-01"}', '22P02'), ('{"start_at": "infinity"}', '22003'),
    ('{"start_at": "-infinity"}', '22003'), ('{"start_at": "2126-01-01"}', '22003'), ('{"start_at": ""}', '22P02'),
    ('{"preview_segment": {"group": "beta"}}', '22023'), ('{"preview_segment": "beta"}', '22023'),
    ('{"validation_rules": [{"name": "smoke"}]}', '22023'), ('{"validation_rules": [{"name": "smoke", "validator_function": "no such"}]}', '42704'), ('{"validation_rules": [1]}', '22P02'), ('{"validation_rules": {}}', '22P02'), ('{"test": {}}', '22023'),
    ('{"max_step_seconds": 60, "Steps": [100]}', '22023')
    ) t (rollout, code);
SELECT is(pg_temp.refused(format('''m'', ''2'', health_criteria => %L', criteria)), code, criteria) FROM (VALUES
    ('1', '22P02'), ('null', '22P02'), ('{"p95_response_time": 2}', '22P02'), ('{"p95_response_time": [{"max": 2}]}', '22P02'),
    ('{"p95_response_time": "fast"}', '22P02'), ('{"p95_response_time": {}}', '22023'), ('{"p95_response_time": {"max": null}}', '22023'),
    ('{"p95_response_time": {"max": "2"}}', '22P02'), ('{"p95_response_time": {"maximum": 2}}', '22023'), ('{"p95_response_time": {"max": -1}}', '22003'),
    ('{"success_rate": {"min": 1.01}}', '22003'), ('{"error_rate": {"max": 1e400}}', '22003'), ('{"refunds": {"min": 1e101}}', '22003'),
    ('{"cost": {"max_ratio": -0.1}}', '22003'), ('{"cost": {"max_ratio": 1e7}}', '22003'), ('{"cost": {"min": 2, "max": 1}}', '22023'),
    ('{"cost": {"min_ratio": 2, "max_ratio": 1}}', '22023'), ('{"": {"max": 1}}', '42602'), (format('{"%s": {"max": 1}}', repeat('m', 256)), '42622'),
    ((SELECT json_object_agg('m' || i, '{"max": 1}'::json)::text FROM generate_series(1, 51) i), '54000')) t (criteria, code);
SELECT is(pg_temp.refused('''m'', ''2'', traffic_percentage => 20, rollout => ''{"steps": [10, 100]}'''), '22023', 'traffic_percentage is not the first step');
SELECT is(pg_temp.refused('''m'', ''2'', ''replace'', rollout => ''{"steps": [10, 100]}'''), '22023', 'replace takes no steps');
SELECT results_eq('SELECT count(*), (SELECT count(*) FROM model_mgr.audit_log) FROM model_mgr.deployment', 'SELECT * FROM before',
    'nothing of it left a trace');

-- Steps and the first share.
CREATE FUNCTION pg_temp.steps(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format($q$SELECT format('%%s of %%s', d.traffic_percentage, d.rollout ->> 'steps') FROM model_mgr.deploy_model_version('m', '2', %s) d$q$, arguments)
    INTO answer;
    RAISE EXCEPTION USING errcode = 'P0001', message = answer;  -- undone again
EXCEPTION WHEN raise_exception THEN
    RETURN sqlerrm;
END $$;
SELECT is(pg_temp.steps(arguments), steps, arguments) FROM (VALUES
    ('NULL', '10 of [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]'),
    ('traffic_percentage => 10', '10 of [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]'),
    ('traffic_percentage => 25', '25 of [25, 30, 40, 50, 60, 70, 80, 90, 100]'),
    ('traffic_percentage => 5', '5 of [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]'),
    ('traffic_percentage => 0.01', '0.01 of [0.01, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]'),
    ('traffic_percentage => 99.99', '99.99 of [99.99, 100]'),
    ('traffic_percentage => 100', '100 of [100]'),
    ('rollout => ''{"steps": [1, 33.33, 100]}''', '1 of [1, 33.33, 100]'),
    ('rollout => ''{"steps": [100]}''', '100 of [100]'),
    ('rollout => ''{"steps": null}''', '10 of [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]'),
    ('traffic_percentage => 1, rollout => ''{"steps": [1, 100]}''', '1 of [1, 100]')) t (arguments, steps);
SELECT is(pg_temp.state('m'), 'completed 100 10', 'each of them was undone');

-- NULL means the default, never "off".
SELECT is(to_jsonb(d) - '{deployment_id,created_at,step_started_at,finished_at}'::text[], jsonb_build_object('model_name', 'other', 'version', '2',
        'strategy', 'canary', 'status', 'running', 'status_reason', NULL, 'traffic_percentage', 10, 'step', 1, 'baseline_version', '1',
        'test_id', NULL, 'auto_rollback_enabled', true, 'rollback_threshold_error_rate', 0.1, 'rollback_threshold_response_time', 10,
        'rollback_min_success_rate', 0.95, 'rollback_evaluation_window_minutes', 10, 'health_criteria', '{}'::jsonb,
        'deployed_by', session_user, 'rollout', pg_temp.effective('{}')),
    'NULL is the default of every argument')
FROM model_mgr.deploy_model_version('other', '2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) d;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('other'))).status;
SELECT is(d.rollout, pg_temp.effective('{"steps": [50, 100], "step_seconds": 0.5, "min_requests": 7, "warmup_seconds": 30, "bake_seconds": 60,
    "guard": "off"}'), 'every key as it was given')
FROM model_mgr.deploy_model_version('other', '2', rollout => '{"steps": [50, 100], "step_seconds": 0.5, "min_requests": 7,
    "warmup_seconds": 30, "bake_seconds": 60, "guard": "off"}') d;
SELECT is((SELECT string_agg(what, '; ') FROM model_mgr.explain_deployment(pg_temp.newest('other')) WHERE metric_name = 'guard'),
    'the guard is off: the limits decide alone', 'explain_deployment speaks of the guard');
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('other'))).status;
-- The bake of a canary is as long as a step, unless it is said.
SELECT is(d.rollout ->> 'bake_seconds', '30', 'bake_seconds is step_seconds') FROM model_mgr.deploy_model_version('other', '2', rollout => '{"step_seconds": 30}') d;
-- The settings' strategy, copied when the deployment is created.
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('other'))).status;
SET model_mgr.default_deployment_strategy = 'replace';
SELECT is(d.strategy, 'replace', 'the default strategy is a setting') FROM model_mgr.deploy_model_version('other', '2') d;
RESET model_mgr.default_deployment_strategy;

-- An effective rollout may be given back, whatever the strategy.
SELECT pg_temp.make_model('back', '1', '2');
SELECT count(model_mgr.deploy_model_version('back', v, 'replace')) FROM unnest('{1,2}'::text[]) v;
SELECT is(d.deployment_id, pg_temp.newest('back'), 'the stored rollout is the same wish')
FROM model_mgr.list_deployments('back', 'promoting') p, model_mgr.deploy_model_version('back', '2', 'replace', rollout => p.rollout) d;

-- By alias.
SELECT model_mgr.set_alias('m', 'champion', '2');
SELECT is(d.version, '2', 'an alias is resolved when deploying') FROM model_mgr.deploy_model_version('m', '@champion') d;

-- Repeats: the open one comes back as it is.
CREATE TEMP TABLE open AS SELECT model_mgr.open_deployment('m') AS id;
SELECT is(d.deployment_id, (SELECT id FROM open), 'the same call gives the open one back') FROM model_mgr.deploy_model_version('m', '2') d;
SELECT is(d.deployment_id, (SELECT id FROM open), 'so does the default spelled out') FROM model_mgr.deploy_model_version('m', '2', 'canary', traffic_percentage => 10) d;
SELECT is(d.deployment_id || ' ' || d.rollback_min_success_rate, (SELECT id || ' 0.95' FROM open), 'other arguments change nothing (with a NOTICE)')
FROM model_mgr.deploy_model_version('m', '2', rollback_min_success_rate => 0.5) d;
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE model_name = 'm' AND operation = 'deploy' AND version = '2'), 1::bigint, 'it was deployed once');

-- Another version while one is open.
SELECT is(pg_temp.refused('''m'', ''3'''), '55006', 'one rollout a model');
SELECT is(d.version || ' ' || d.status, '3 running', 'unless it supersedes') FROM model_mgr.deploy_model_version('m', '3', supersede => true) d;
SELECT is((SELECT status || ': ' || status_reason FROM model_mgr.get_deployment((SELECT id FROM open))), 'aborted: superseded by version 3', 'the open one was aborted');
SELECT is(pg_temp.statuses('m'), '1 active, 2 inactive, 3 deploying, 4 pending', 'its version is inactive');
SELECT is((SELECT count(*) FROM model_mgr.list_deployments('m') WHERE status = 'running'), 1::bigint, 'one is open');

-- The active version: its last deployment, or 22023 when the arguments differ.
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT is(d.status, 'completed', 'the active version''s last deployment') FROM model_mgr.deploy_model_version('m', '1') d;
SELECT is(pg_temp.refused('''m'', ''1'', ''replace'''), '22023', 'in another way: refused');
SELECT is(pg_temp.refused('''m'', ''1'', rollback_min_success_rate => 0.9'), '22023', 'with other limits: refused');
-- A version whose rollout has ended begins a new one.
SELECT isnt(d.deployment_id, (SELECT id FROM open), 'ended: a new one') FROM model_mgr.deploy_model_version('m', '2', rollout => '{"step_seconds": 0, "min_requests": 0}') d;

-- idempotency_key: the same deployment whatever became of it.
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
CREATE TEMP TABLE keyed AS SELECT deployment_id FROM model_mgr.deploy_model_version('m', '4', idempotency_key => 'release-4');
SELECT is(d.deployment_id, (SELECT deployment_id FROM keyed), 'a key repeats: the same') FROM model_mgr.deploy_model_version('m', '4', idempotency_key => 'release-4') d;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT is(d.deployment_id || ' ' || d.status, (SELECT deployment_id || ' aborted' FROM keyed), 'also when it has ended')
FROM model_mgr.deploy_model_version('m', '4', idempotency_key => 'release-4') d;
SELECT is(d.version, '4', 'for another version it is refused by a NOTICE only') FROM model_mgr.deploy_model_version('m', '2', idempotency_key => 'release-4') d;
SELECT isnt(d.deployment_id, (SELECT deployment_id FROM keyed), 'another key, another deployment') FROM model_mgr.deploy_model_version('m', '4', idempotency_key => 'release-4b') d;
SELECT is(d.model_name, 'other', 'keys are a model''s own') FROM model_mgr.deploy_model_version('other', '2', 'replace', idempotency_key => 'release-4') d;

-- Also the key of a call that was given a rollout which somebody had begun without one; the first key stays.
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT deployment_id AS begun FROM model_mgr.deploy_model_version('m', '4') \gset
SELECT is(d.deployment_id, :begun::bigint, key) FROM unnest('{asked too,and another}'::text[]) key, model_mgr.deploy_model_version('m', '4', idempotency_key => key) d;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT is(d.deployment_id || ' ' || d.status, :'begun' || ' aborted', 'asked for again after its end') FROM model_mgr.deploy_model_version('m', '4', idempotency_key => 'asked too') d;
SELECT (model_mgr.deploy_model_version('m', '4', idempotency_key => 'release-4c')).status;

-- Status of the version: archived does not deploy, rolled back and failed do by name.
SELECT model_mgr.rollback_model('m');
SELECT is(pg_temp.statuses('m'), '1 active, 2 inactive, 3 inactive, 4 rolled_back', 'rolled back');
SELECT is(d.status, 'running', 'and deployed again by name') FROM model_mgr.deploy_model_version('m', '4') d;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT (model_mgr.archive_model_version('m', '3')).status;
SELECT is(pg_temp.refused('''m'', ''3'''), '55000', 'archived: refused');

-- A limit that the present version breaks today gives a NOTICE; so few outcomes that nothing can be said give none.
SELECT pg_temp.make_model('weak', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('weak', '1')).status;
SELECT pg_temp.outcomes('weak', '1', 200, 180, 12);
SELECT (model_mgr.deploy_model_version('weak', '2')).status;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('weak'))).status;
SELECT (model_mgr.deploy_model_version('weak', '2', rollback_min_success_rate => 0.9, rollback_threshold_response_time => 12)).status;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('weak'))).status;
-- Of health criteria too, but not of a ratio to itself.
SELECT count(model_mgr.update_model_metrics('weak', '1', 12, true, metrics => '{"clicks": 0.2}')) FROM generate_series(1, 100);
SELECT (model_mgr.deploy_model_version('weak', '2', rollback_min_success_rate => 0.9, rollback_threshold_response_time => 12,
    health_criteria => '{"clicks": {"min": 0.3, "min_ratio": 1.5}, "p95_response_time": {"max": 1000}, "refunds": {"max": 1}}')).status;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('weak'))).status;
SELECT pg_temp.at('2026-01-01 00:11:00+00');
SELECT (model_mgr.deploy_model_version('weak', '2', health_criteria => '{"clicks": {"min": 0.3}}')).status;
SELECT * FROM finish();
