-- The A/B test behind a deployment of strategy a_b_test: its row, the verdicts and what each leads to, at the end and
-- before, ends by other causes, freezes, the plan.
\i test/fresh.psql
\i test/rollout.psql
SET search_path = pg_catalog, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');

-- An open test: the candidate with `treatment` successes of 500 against `control` of 500, routed in the first hour.
CREATE FUNCTION pg_temp.begin_test(model text, control integer, treatment integer, test jsonb DEFAULT '{}', rollout jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.make_model(model, '1', '2');
    PERFORM model_mgr.deploy_model_version(model, '1');
    PERFORM model_mgr.deploy_model_version(model, '2', 'a_b_test', rollback_min_success_rate => 0.1, deployed_by => 'mary',
        rollout => jsonb_build_object('test', '{"max_duration_hours": 24}'::jsonb || test, 'guard', 'off') || rollout);
    PERFORM pg_temp.outcomes(model, '1', 500, control);
    PERFORM pg_temp.outcomes(model, '2', 500, treatment);
END $$;
CREATE FUNCTION pg_temp.test_of(model text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s %s', t.status, coalesce(t.winning_variant, '-'), t.verdict) FROM model_mgr.ab_test_list t
    WHERE t.treatment_model = model ORDER BY started_at DESC LIMIT 1
$$;

SELECT pg_temp.begin_test('win', 400, 450, '{"test_id": "cheaper"}');
SELECT pg_temp.begin_test('lose', 450, 400);
SELECT pg_temp.begin_test('even', 440, 450);
SELECT pg_temp.begin_test('asked', 400, 450, rollout => '{"approval": "final"}');
SELECT pg_temp.begin_test('sure', 400, 430, '{"confidence_level": 0.999}');
SELECT pg_temp.begin_test('other', 400, 450, '{"primary_metric": "cost", "secondary_metrics": [], "name": "n", "description": "d", "power": 0.9}');
SELECT pg_temp.begin_test('aborted', 400, 450);
SELECT pg_temp.begin_test('promoted', 400, 450);

-- The row.
SELECT is(to_jsonb(t) - 'planned_samples', '{"test_id": "cheaper", "name": "cheaper", "control_model": "win", "control_version": "1", "treatment_model": "win",
    "treatment_version": "2", "description": null, "confidence_level": 0.95, "minimum_detectable_effect": 0.02, "power": 0.8, "max_duration_hours": 24,
    "min_sample_size_per_variant": 1000, "primary_metric": "success_rate", "secondary_metrics": ["response_time", "confidence_score"],
    "early_stopping_enabled": true, "futility_threshold": 0.01, "traffic_split": 0.5, "stopping_rule": "obrien_fleming", "metric_directions": {},
    "routes_traffic": true, "coverage": 1, "guardrails": [], "arms": [], "exclusion_group": null, "allocation": "fixed", "status": "running",
    "stop_reason": null, "winning_variant": null, "created_by": "mary", "started_at": "2026-01-01T00:00:00+00:00", "ends_at": "2026-01-02T00:00:00+00:00",
    "stopped_at": null}'::jsonb, 'the row') FROM (SELECT * FROM model_mgr.ab_test WHERE test_id = 'cheaper') t, (SELECT set_config('TimeZone', 'UTC', false)) z;
SELECT is(array_agg(test_id), ARRAY(SELECT test_id FROM model_mgr.list_deployments() WHERE test_id IS NOT NULL ORDER BY 1), 'the deployments know their tests')
FROM model_mgr.list_active_tests() test_id;
SELECT is(test_id, 'deployment-' || deployment_id, 'named after the deployment') FROM model_mgr.list_deployments('lose') WHERE version = '2';
SELECT is((SELECT count(*) FROM model_mgr.list_active_tests()), 8::bigint, 'all run');
SELECT is(format('%s %s', name, secondary_metrics), 'n {}', 'arguments') FROM model_mgr.ab_test WHERE treatment_model = 'other';
SELECT is((SELECT count(*) FROM model_mgr.get_test_status('nothing')), 0::bigint, 'unknown: no row');
SELECT is((SELECT count(*) FROM model_mgr.get_test_status(NULL)), 0::bigint, 'NULL: no row');
SELECT pg_temp.at('2026-01-01 12:00:00+00');
SELECT is(format('%s %s %s %s', status, verdict, samples_control, samples_treatment), 'running running 500 500', 'how it stands') FROM model_mgr.get_test_status('cheaper');
SELECT is(recommendation, 'keep it running until 2026-01-02 00:00:00 UTC at the latest: 500 of at least 1000 outcomes of control are known', 'advice') FROM model_mgr.get_test_status('cheaper');
SELECT is(planned_samples, 2 * model_mgr.required_sample_size(0.5, 0.02), 'nothing known: planned from 0.5, both arms') FROM model_mgr.ab_test WHERE test_id = 'cheaper';

-- Nothing happens before the end but by hand.
SELECT is(pg_temp.tick(), 0::bigint, 'no verdict before the end');
SELECT is(pg_temp.state('win'), 'running 50 1', 'still half the traffic');
SELECT is(waiting_for, 'test cheaper runs until 2026-01-02 00:00:00 UTC [test]', 'waits for its test') FROM model_mgr.deployment_list WHERE model_name = 'win' AND version = '2';
SELECT (model_mgr.abort_deployment(pg_temp.newest('aborted'), 'no more')).status;
SELECT is(pg_temp.test_of('aborted') || ' ' || stop_reason, 'stopped - inconclusive no more', 'abort stops the test') FROM model_mgr.ab_test WHERE treatment_model = 'aborted';
SELECT (model_mgr.promote_deployment(pg_temp.newest('promoted'))).status;
SELECT is(pg_temp.test_of('promoted'), 'stopped - inconclusive', 'and so does promotion by hand, without a winner');

-- The verdicts.
SELECT pg_temp.at('2026-01-02 00:00:00+00');
SELECT is(waiting_for, 'the time of test cheaper was over at 2026-01-02 00:00:00 UTC, the tick will end it [test]', 'waits for the tick') FROM model_mgr.deployment_list WHERE model_name = 'win' AND version = '2';
SELECT count(*) FROM pg_temp.tick();
SELECT is(pg_temp.state(m), expected, m) FROM (VALUES ('win', 'promoting 100 2'), ('lose', 'rolled_back 0 1'), ('even', 'rolled_back 0 1'), ('asked', 'awaiting_approval 50 1'),
    ('sure', 'rolled_back 0 1'), ('other', 'rolled_back 0 1')) x (m, expected);
SELECT is(pg_temp.test_of(m), expected, 'test of ' || m) FROM (VALUES ('win', 'completed treatment significant'), ('lose', 'completed control significant'),
    ('even', 'completed - inconclusive'), ('asked', 'completed treatment significant'), ('sure', 'completed - inconclusive'), ('other', 'completed - no_data')) x (m, expected);
SELECT is(pg_temp.statuses('win') || '; ' || pg_temp.statuses('lose'), '1 inactive, 2 active; 1 active, 2 rolled_back', 'versions');
SELECT treatment_model, stop_reason, recommendation, stopped_at FROM model_mgr.ab_test_list WHERE status = 'completed' ORDER BY 1;
SELECT is(d.status_reason, t.stop_reason, 'the deployment says why: ' || d.model_name) FROM model_mgr.list_deployments() d JOIN model_mgr.ab_test t USING (test_id)
WHERE d.status = 'rolled_back' ORDER BY d.model_name;
SELECT is(e.what, 'step 2 of 2: 100 % of traffic: ' || t.stop_reason, 'and so does its diary, of the step that a winner takes')
FROM model_mgr.ab_test t, model_mgr.explain_deployment(pg_temp.newest('win')) e WHERE t.test_id = 'cheaper' AND e.status = 'promoting';
SELECT is(e.what, 'step 2 of 2: 100 % of traffic, promoted by ' || session_user, 'not of one that a person takes')
FROM model_mgr.explain_deployment(pg_temp.newest('promoted')) e WHERE e.status = 'promoting';
SELECT is(round((r.p_value / (model_mgr.two_proportion_z_test(400, 500, 450, 500)).p_value)::numeric, 6), 1.000000, 'numbers of the z-test') FROM model_mgr.get_test_results('cheaper') r;

-- Later results change nothing; an approval after the verdict does what it said.
SELECT pg_temp.outcomes('asked', '2', 2000, 0);
SELECT pg_temp.at('2026-01-02 00:01:00+00');
SELECT is(pg_temp.test_of('asked'), 'completed treatment significant', 'a verdict stays');
SELECT is(samples_treatment, 500::bigint, 'with its counts') FROM model_mgr.ab_test_list WHERE treatment_model = 'asked';
SELECT is((SELECT count(*) FROM model_mgr.list_active_tests()), 0::bigint, 'none runs');
SELECT pg_temp.at('2026-01-02 01:00:00+00');
SELECT count(*) FROM pg_temp.tick();
SELECT is(pg_temp.state('win'), 'completed 100 2', 'the winner has baked');

-- The plan from control's rate of the last 14 days, in the direction that exists.
SELECT pg_temp.at('2026-01-03 00:00:00+00');
SELECT pg_temp.make_model(m, '1', '2') FROM unnest('{planned,ceiling,small,share}'::text[]) m;
SELECT count(model_mgr.deploy_model_version(m, '1')) FROM unnest('{planned,ceiling,small,share}'::text[]) m;
SELECT pg_temp.outcomes('planned', '1', 100, 80), pg_temp.outcomes('ceiling', '1', 100, 99);
SELECT pg_temp.at('2026-01-10 00:00:00+00');
CREATE TEMP TABLE plan (m text, share float8, test jsonb, expected bigint);
INSERT INTO plan VALUES
    ('planned', 50.0, '{"power": 0.9}', 2 * model_mgr.required_sample_size(0.8, 0.02, 0.9)),
    ('ceiling', 50.0, '{"min_sample_size_per_variant": 100}', 2 * model_mgr.required_sample_size(0.99, -0.02)),
    ('small', 50.0, '{"minimum_detectable_effect": 0.4}', 2000),
    ('share', 20.0, '{"minimum_detectable_effect": 0.4, "min_sample_size_per_variant": 300}', 1500);
SELECT count(model_mgr.deploy_model_version(m, '2', 'a_b_test', traffic_percentage => share, rollout => jsonb_build_object('test', test))) FROM plan;
SELECT is(t.planned_samples, expected, 'planned: ' || m) FROM plan JOIN model_mgr.ab_test t ON t.treatment_model = m ORDER BY m;

-- A limit that breaks stops the test.
SELECT pg_temp.outcomes('small', '2', 200, 0);
SELECT pg_temp.at('2026-01-10 00:01:00+00');
SELECT count(*) FROM pg_temp.tick();
SELECT is(pg_temp.state('small'), 'rolled_back 0 1', 'a limit is broken');
SELECT is(t.status || ' ' || (t.stop_reason = d.status_reason), 'stopped true', 'and the test says so') FROM model_mgr.ab_test t JOIN model_mgr.list_deployments('small') d USING (test_id);

-- Before the end: a crossed boundary promotes at once; a broken guardrail, futility and stop_test() lead back to control.
SELECT pg_temp.at('2026-01-11 00:00:00+00');
SELECT pg_temp.begin_test(m, control, treatment, test::jsonb, rollout::jsonb) FROM (VALUES
    ('early', 300, 480, '{"min_sample_size_per_variant": 400}', '{}'), ('frozen', 300, 480, '{"min_sample_size_per_variant": 400}', '{}'), ('held', 300, 480, '{"min_sample_size_per_variant": 400}', '{}'),
    ('harm', 300, 310, '{"guardrails": [{"metric": "response_time", "max_relative_increase": 0.1}]}', '{}'), ('halted', 300, 310, '{}', '{}')) x (m, control, treatment, test, rollout);
SELECT pg_temp.outcomes('harm', '2', 200, 200, 4.0 + i / 10.0) FROM generate_series(1, 3) i;
SELECT model_mgr.freeze('frozen', '2026-01-12 00:00:00+00', 'holidays');
SELECT (model_mgr.pause_deployment(pg_temp.newest('held'))).status;
SELECT is(model_mgr.stop_test('deployment-' || pg_temp.newest('halted'), 'changed my mind'), true, 'stopped by hand');
SELECT is(pg_temp.state('halted') || ' ' || status_reason, 'rolled_back 0 1 changed my mind', 'leads back to control') FROM model_mgr.list_deployments('halted') WHERE version = '2';
SELECT is(pg_temp.test_of('halted'), 'stopped - inconclusive', 'its test');
SELECT pg_temp.at('2026-01-11 00:01:00+00');
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state(m) || ', ' || pg_temp.test_of(m), expected, m) FROM (VALUES ('early', 'promoting 100 2, completed treatment stopped_early'), ('frozen', 'running 50 1, completed treatment stopped_early'),
    ('held', 'paused 50 1, completed treatment stopped_early'), ('harm', 'rolled_back 0 1, completed control stopped_early')) x (m, expected);
SELECT matches(status_reason, '^guardrail response_time is broken: ', 'says so') FROM model_mgr.list_deployments('harm') WHERE version = '2';
-- What is decided stays so, whatever comes in while it may not act.
SELECT pg_temp.outcomes('frozen', '2', 2000, 1000);
SELECT (model_mgr.resume_deployment(pg_temp.newest('held'))).status;
SELECT pg_temp.at('2026-01-12 00:00:01+00');
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state(m) || ', ' || pg_temp.test_of(m), 'promoting 100 2, completed treatment stopped_early', m) FROM unnest('{frozen,held}'::text[]) m;

-- Bad arguments.
SELECT pg_temp.make_model('bad', '1', '2');
SELECT count(model_mgr.deploy_model_version('bad', '1'));
SELECT is(pg_temp.code(format('SELECT model_mgr.deploy_model_version(''bad'', ''2'', ''a_b_test'', rollout => %L)', jsonb_build_object('test', t::jsonb))), expected, t)
FROM (VALUES ('{"test_id": "cheaper"}', '42710'), ('{"test_id": ""}', '42602'), ('{"test_id": 1}', '22P02'), ('{"power": 1}', '22003'), ('{"confidence_level": 0}', '22003'),
    ('{"min_sample_size_per_variant": 0}', '22003'), ('{"max_duration_hours": 0}', '22003'), ('{"max_duration_hours": 1.5}', '22003'), ('{"secondary_metrics": "cost"}', '22P02'),
    ('{"secondary_metrics": [1]}', '22P02'), ('{"guardrails": {}}', '22P02'), ('{"metric_directions": []}', '22P02'), ('{"early_stopping_enabled": 1}', '22P02'),
    ('{"futility_threshold": 2}', '22003'), ('{"name": 1}', '22P02'), ('{"traffic_split": 0.5}', '22023')) x (t, expected);

-- Traces, and the end of a model.
SELECT is(array_agg(type || ' ' || (data ->> 'test_id') ORDER BY event_id), '{"test.started cheaper","test.stopped cheaper"}', 'events') FROM model_mgr.event WHERE data ->> 'test_id' = 'cheaper';
SELECT is(array_agg(operation ORDER BY audit_id), '{create_test,stop_test}', 'audit') FROM model_mgr.audit_log WHERE details ->> 'test_id' = 'cheaper';
SELECT (model_mgr.abort_deployment(pg_temp.newest('share'))).status;
SELECT count(model_mgr.archive_model_version('other', v)) FROM unnest('{2,1}'::text[]) v;
SELECT model_mgr.delete_model('other');
SELECT is((SELECT count(*) FROM model_mgr.ab_test WHERE treatment_model = 'other'), 0::bigint, 'a deleted model takes its tests along');
SELECT is((SELECT count(*) FROM model_mgr.ab_test_plan), (SELECT count(*) FROM model_mgr.ab_test), 'both rows');
SELECT * FROM finish();
