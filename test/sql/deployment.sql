-- A canary from its first step to its end, the first deployment of a model, and replace.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('spam', '1.0', '2.0', '3.0');

-- The first deployment: nothing to compare with.
SELECT is(d, ROW(d.deployment_id, 'spam', '1.0', 'canary', 'completed', d.status_reason, 100, 10, NULL, NULL, true, 0.1, 10, 0.95, 10,
        '{}', pg_temp.effective('{}'), session_user, '2026-01-01 00:00:00+00',
        '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00')::model_mgr.deployment,
    'a first deployment is completed at 100 % at once, with every default in its row')
FROM model_mgr.deploy_model_version('spam', '1.0') d;
SELECT is(pg_temp.statuses('spam'), '1.0 active, 2.0 pending, 3.0 pending', 'its version is active');
SELECT is((SELECT version FROM model_mgr.get_active_model('spam')), '1.0', 'and the active model');
SELECT is(pg_temp.routed('spam'), '1.0 - 0', 'and gets all traffic');
SELECT is((SELECT deployment_id FROM model_mgr.routing), NULL, 'no rollout is credited');
SELECT is(pg_temp.tick(), 0::bigint, 'nothing is due');

-- The canary.
SELECT is(format('%s %s %s %s %s', strategy, status, traffic_percentage, step, baseline_version), 'canary running 10 1 1.0', 'it begins at 10 %')
FROM model_mgr.deploy_model_version('spam', '2.0', deployed_by => 'data-science-team');
SELECT is(pg_temp.statuses('spam'), '1.0 active, 2.0 deploying, 3.0 pending', 'the candidate deploys beside the active version');
SELECT is(pg_temp.routed('spam'), '1.0 2.0 1000', 'a tenth of the traffic');
SELECT is((SELECT bucket_key FROM model_mgr.routing), (SELECT salt || deployment_id FROM model_mgr.routing), 'bucketed by salt and deployment');
SELECT is((SELECT version FROM model_mgr.get_active_model('spam')), '1.0', 'the active model is still the baseline');
SELECT is(model_mgr.open_deployment('spam'), pg_temp.newest('spam'), 'open_deployment finds it');

-- Nine steps: each waits for its time, then for its outcomes.
CREATE TABLE ramp (minute integer, holds text, after text);
DO $$
BEGIN
    FOR i IN 1..9 LOOP
        PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => 10 * i - 1))::text);
        PERFORM pg_temp.outcomes('spam', '2.0', 99, 99);
        PERFORM pg_temp.tick();
        INSERT INTO ramp SELECT 10 * i - 1, substring(waiting_for FROM '\[(\w+)\]$'), pg_temp.state('spam') FROM model_mgr.deployment_list WHERE version = '2.0';
        PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => 10 * i))::text);
        PERFORM pg_temp.tick();
        INSERT INTO ramp SELECT 10 * i, substring(waiting_for FROM '\[(\w+)\]$'), pg_temp.state('spam') FROM model_mgr.deployment_list WHERE version = '2.0';
        PERFORM model_mgr.update_model_metrics('spam', '2.0', 0.5, true, recorded_at => model_mgr.clock_time() - interval '1 s');
        PERFORM pg_temp.tick();
        PERFORM pg_temp.tick();
        INSERT INTO ramp SELECT 10 * i, NULL, pg_temp.state('spam');
    END LOOP;
END $$;
SELECT is((SELECT array_agg(after ORDER BY minute) FROM ramp WHERE holds = 'step_seconds'),
    (SELECT array_agg(format('running %s %s', 10 * i, i) ORDER BY i) FROM generate_series(1, 9) i), 'early: it waits for the time of the step');
SELECT is((SELECT array_agg(after ORDER BY minute) FROM ramp WHERE holds = 'min_requests'),
    (SELECT array_agg(format('running %s %s', 10 * i, i) ORDER BY i) FROM generate_series(1, 9) i), '99 of 100 outcomes: it holds');
SELECT is((SELECT array_agg(after ORDER BY minute) FROM ramp WHERE holds IS NULL),
    (SELECT array_agg(CASE WHEN i = 9 THEN 'promoting 100 10' ELSE format('running %s %s', 10 * i + 10, i + 1) END ORDER BY i)
     FROM generate_series(1, 9) i), 'then one step, and one only');

-- At 100 % it serves alone and bakes.
SELECT is(pg_temp.statuses('spam'), '1.0 inactive, 2.0 active, 3.0 pending', 'the new version is active, the old one kept');
SELECT is(pg_temp.routed('spam'), '2.0 - 0', 'it gets all traffic');
SELECT is((SELECT deployment_id FROM model_mgr.routing), pg_temp.newest('spam'), 'outcomes are still credited');
SELECT is(model_mgr.open_deployment('spam'), pg_temp.newest('spam'), 'open_deployment finds a baking one');
SELECT is((SELECT format('%s %s %s', substring(waiting_for FROM '\[(\w+)\]$'), next_step_at, samples) FROM model_mgr.deployment_list WHERE version = '2.0'),
    'bake_seconds 2026-01-01 01:40:00+00 0', 'deployment_list says what it waits for');
SELECT pg_temp.at('2026-01-01 01:39:59+00');
SELECT is(pg_temp.tick(), 0::bigint, 'not yet');
SELECT pg_temp.at('2026-01-01 01:40:00+00');
SELECT is(pg_temp.tick(), 1::bigint, 'the bake ends by time alone');
SELECT is(pg_temp.state('spam'), 'completed 100 10', 'completed');
SELECT is((SELECT format('%s %s', finished_at, waiting_for) FROM model_mgr.deployment_list WHERE version = '2.0'), '2026-01-01 01:40:00+00 ',
    'it has ended and waits for nothing');
SELECT is((SELECT deployment_id FROM model_mgr.routing), NULL, 'nothing more is credited');
SELECT is(pg_temp.code($$SELECT model_mgr.open_deployment('spam')$$), '55000', 'none is open');

-- Its diary.
SELECT format('%s | %s | %s | %s | %s | %s | %s | %s', "time", status, traffic_percentage, what, metric_name, value, limit_value, samples)
FROM model_mgr.explain_deployment(pg_temp.newest('spam'));
SELECT is((SELECT count(*) FROM model_mgr.explain_deployment(999999)), 0::bigint, 'an unknown one has no rows');
SELECT is((SELECT string_agg(operation, ' ' ORDER BY audit_id) FROM model_mgr.audit_log WHERE version = '2.0' AND operation <> 'create'),
    'deploy step step step step step step step step step complete', 'every transition is in the audit log');

-- Replace: everything now, then the bake, for the evaluation window by default.
SELECT is(format('%s %s %s %s %s', strategy, status, traffic_percentage, step, rollout ->> 'bake_seconds'), 'replace promoting 100 1 300', 'replace')
FROM model_mgr.deploy_model_version('spam', '3.0', 'replace', rollback_evaluation_window_minutes => 5);
SELECT is(pg_temp.statuses('spam'), '1.0 inactive, 2.0 inactive, 3.0 active', 'active at once');
SELECT is(pg_temp.routed('spam'), '3.0 - 0', 'and alone');
SELECT pg_temp.at('2026-01-01 01:45:00+00');
SELECT is(pg_temp.tick(), 1::bigint, 'five minutes later');
SELECT is(pg_temp.state('spam'), 'completed 100 1', 'it is completed');

-- A new deployment completes the bake before it.
SELECT pg_temp.make_model('bake', '1', '2', '3');
SELECT count(model_mgr.deploy_model_version('bake', v, 'replace')) FROM unnest('{1,2,3}'::text[]) v;
SELECT is((SELECT string_agg(status, ' ' ORDER BY deployment_id) FROM model_mgr.list_deployments('bake')), 'completed completed promoting',
    'the bake before it is completed');
SELECT is((SELECT string_agg(baseline_version, ' ' ORDER BY deployment_id) FROM model_mgr.list_deployments('bake')), '1 2', 'each replaces the one before');

-- Readers.
SELECT is((SELECT count(*) FROM model_mgr.list_deployments()), 6::bigint, 'all deployments');
SELECT is((SELECT count(*) FROM model_mgr.list_deployments(status => 'promoting')), 1::bigint, 'by status');
SELECT is((SELECT count(*) FROM model_mgr.list_deployments('nobody')), 0::bigint, 'of an unknown model: none');
SELECT is((SELECT version FROM model_mgr.get_deployment(pg_temp.newest('bake'))), '3', 'by id');
SELECT is_empty('SELECT * FROM model_mgr.get_deployment(-1)', 'looking for nothing finds nothing');

-- The dry run of every verb is ROLLBACK.
BEGIN;
SELECT is((SELECT traffic_percentage FROM model_mgr.deploy_model_version('spam', '1.0', 'replace')), 100::float8, 'deployed in a transaction');
SELECT is(model_mgr.route_version('spam', 'u'), '1.0', 'it serves there');
ROLLBACK;
SELECT is(model_mgr.route_version('spam', 'u'), '3.0', 'rolled back, it never was');
SELECT is((SELECT count(*) FROM model_mgr.list_deployments('spam')), 3::bigint, 'nor is there a row');

-- Sticky salt: the same units begin every rollout.
SELECT is(d.rollout ->> 'salt', 'sticky', 'a sticky rollout') FROM model_mgr.deploy_model_version('spam', '2.0', rollout => '{"salt": "sticky"}') d;
SELECT is((SELECT bucket_key = salt FROM model_mgr.routing WHERE model_name = 'spam'), true, 'is bucketed by the salt alone');
SELECT * FROM finish();
DROP TABLE ramp;
