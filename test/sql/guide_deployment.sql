-- The examples of the requirement document on versions, canary and rollback, as SQL.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');

-- Two versions of a classifier, the second built on the first.
SELECT is(v.version || ' ' || v.status, '1.1.0 pending', 'the version in use') FROM model_mgr.create_model_version(
    model_name => 'telemetry-classifier', version => '1.1.0', description => 'Classification',
    configuration => model_mgr.model_configuration(provider => 'openai', model_name => 'gpt-4', temperature => 0.3)) v;
SELECT is(to_jsonb(v) - '{model_id,version_id,created_at}'::text[], jsonb_build_object('model_name', 'telemetry-classifier', 'version', '1.2.0',
        'description', 'Cheaper classification', 'configuration', model_mgr.model_configuration('openai', 'gpt-4', '2024-01-15', 0.3, 1000,
            '{"use_cheaper_model_fallback": true, "cheaper_model": "gpt-3.5-turbo"}'), 'artifact_uri', NULL, 'artifact_digest', NULL,
        'parent_version', '1.1.0', 'tags', ARRAY['production', 'cost-optimized'], 'labels', '{}'::jsonb, 'status', 'pending', 'status_reason', NULL,
        'created_by', session_user), 'its successor is pending, with parent, tags and configuration')
FROM model_mgr.create_model_version(
    model_name => 'telemetry-classifier', version => '1.2.0', description => 'Cheaper classification', tags => ARRAY['production', 'cost-optimized'],
    parent_version => '1.1.0',
    configuration => model_mgr.model_configuration(provider => 'openai', model_name => 'gpt-4', model_version => '2024-01-15', temperature => 0.3,
        max_tokens => 1000, custom_parameters => '{"use_cheaper_model_fallback": true, "cheaper_model": "gpt-3.5-turbo"}')) v;
SELECT is(configuration ->> 'provider', 'openai', 'its provider') FROM model_mgr.get_model_version('telemetry-classifier', '1.2.0');
SELECT is((SELECT count(*) FROM model_mgr.get_active_model('telemetry-classifier')), 0::bigint, 'nothing is active yet');

-- A single version deployed by canary is the active model.
SELECT is(d.traffic_percentage, 100::float8, 'the first deployment') FROM model_mgr.deploy_model_version('telemetry-classifier', '1.1.0', 'canary') d;
SELECT is(version || ' ' || status, '1.1.0 active', 'is the active model') FROM model_mgr.get_active_model('telemetry-classifier');

-- The canary begins at ten per cent.
SELECT is(format('%s %s %s %s', d.deployment_id, d.strategy, d.deployed_by, d.traffic_percentage), '2 canary data-science-team 10', 'initial traffic: 10 %')
FROM model_mgr.deploy_model_version(model_name => 'telemetry-classifier', version => '1.2.0', strategy => 'canary', deployed_by => 'data-science-team') d;
SELECT is((SELECT version FROM model_mgr.get_active_model('telemetry-classifier')), '1.1.0', 'the active model is the one in use');

-- Back to a version by name, and to the last stable one, with a reason.
SELECT is(model_mgr.rollback_model('telemetry-classifier', '1.1.0', 'slower since this morning'), true, 'to 1.1.0');
SELECT is((SELECT status || ': ' || status_reason FROM model_mgr.get_deployment(2)), 'rolled_back: slower since this morning', 'with its reason');
SELECT is(d.traffic_percentage, 10::float8, 'deployed again, with its share named')
FROM model_mgr.deploy_model_version('telemetry-classifier', '1.2.0', 'canary', traffic_percentage => 10.0) d;
SELECT (model_mgr.promote_deployment(model_mgr.open_deployment('telemetry-classifier'), all_steps => true)).status;
SELECT is((SELECT version FROM model_mgr.get_active_model('telemetry-classifier')), '1.2.0', 'at 100 % it is active');
SELECT is(model_mgr.rollback_model('telemetry-classifier', reason => 'the pager went off'), true, 'to the last stable version');
SELECT is((SELECT version FROM model_mgr.get_active_model('telemetry-classifier')), '1.1.0', 'which is 1.1.0');
SELECT is((SELECT string_agg(details ->> 'reason', ', ' ORDER BY audit_id) FROM model_mgr.audit_log WHERE operation = 'rollback'),
    'slower since this morning, the pager went off', 'both reasons are in the audit log');

-- Replace; and the limits of its rollback.
SELECT is(format('%s %s %s', d.status, d.traffic_percentage, d.rollback_threshold_error_rate), 'promoting 100 0.05', 'all traffic at once')
FROM model_mgr.deploy_model_version('telemetry-classifier', '1.2.0', 'replace', auto_rollback_enabled => true, rollback_threshold_error_rate => 0.05,
    rollback_threshold_response_time => 5.0, rollback_evaluation_window_minutes => 10) d;
SELECT pg_temp.outcomes('telemetry-classifier', '1.2.0', 100, 100, 0.85, 6);
SELECT is(pg_temp.tick(), 1::bigint, 'six errors of a hundred');
SELECT is((SELECT version FROM model_mgr.get_active_model('telemetry-classifier')), '1.1.0', 'bring the version before it back');

-- The canary of a healthy version reaches everybody.
SELECT (model_mgr.deploy_model_version('telemetry-classifier', '1.2.0', rollout => '{"step_seconds": 60, "min_requests": 20}')).traffic_percentage;
CREATE TEMP TABLE path (n integer, share float8);
DO $$
BEGIN
    FOR i IN 1..10 LOOP
        PERFORM pg_temp.outcomes('telemetry-classifier', '1.2.0', 20, 20, 0.85);
        PERFORM pg_temp.at((model_mgr.clock_time() + interval '61 s')::text);
        PERFORM pg_temp.tick();
        INSERT INTO path SELECT i, traffic_percentage FROM model_mgr.list_deployments('telemetry-classifier') ORDER BY deployment_id DESC LIMIT 1;
    END LOOP;
END $$;
SELECT is((SELECT string_agg(share::text, ' ' ORDER BY n) FROM path), '20 30 40 50 60 70 80 90 100 100', '10 %, 20 %, 30 %, ..., 100 %');
SELECT is((SELECT version FROM model_mgr.get_active_model('telemetry-classifier')), '1.2.0', 'and is active');
SELECT * FROM finish();
