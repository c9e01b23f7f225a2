-- The life of each strategy minute by minute, first deployments, and times to begin.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
-- 'status share step; what route() reads; versions'.
CREATE FUNCTION pg_temp.life(name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s; %s; %s', pg_temp.state(name), pg_temp.routed(name), pg_temp.statuses(name));
$$;
CREATE FUNCTION pg_temp.minute(n integer) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => n))::text);
    RETURN pg_temp.tick();
END $$;

-- First deployments: whatever the strategy, active at once, or when their time has come.
SELECT pg_temp.make_model('first_' || s, '1', '2') FROM unnest('{replace,canary,a_b_test,ab_test,blue_green,shadow}'::text[]) s;
SELECT is(d.strategy || ' ' || pg_temp.life(d.model_name), replace(s, 'ab_test', 'a_b_test') || ' completed 100 ' || jsonb_array_length(d.rollout -> 'steps')
    || '; 1 - 0; 1 active, 2 pending', 'a first deployment: ' || s)
FROM unnest('{replace,canary,ab_test,blue_green,shadow}'::text[]) s, model_mgr.deploy_model_version('first_' || s, '1', s) d;
SELECT is(count(test_id), 0::bigint, 'without a test') FROM model_mgr.list_deployments();
SELECT pg_temp.make_model('later_' || s, '1', '2') FROM unnest('{replace,canary,a_b_test,blue_green,shadow}'::text[]) s;
SELECT is(pg_temp.life(d.model_name), 'pending 0 0; - - 0; 1 pending, 2 pending', 'a first deployment with start_at: ' || s)
FROM unnest('{replace,canary,a_b_test,blue_green,shadow}'::text[]) s, model_mgr.deploy_model_version('later_' || s, '1', s, rollout => '{"start_at": "2026-01-01 00:02:00+00"}') d;
SELECT is(pg_temp.minute(1), 0::bigint, 'not yet');
SELECT is((SELECT array_agg(DISTINCT substring(waiting_for FROM '\[(\w+)\]$')) FROM model_mgr.deployment_list WHERE status = 'pending')::text, '{start_at}', 'they wait for start_at');
SELECT is(model_mgr.route_version('later_canary', 'u'), NULL, 'nothing serves');
SELECT is(pg_temp.minute(2), 5::bigint, 'now');
SELECT is(pg_temp.life('later_' || s), 'completed 100 ' || jsonb_array_length(d.rollout -> 'steps') || '; 1 - 0; 1 active, 2 pending', 'active: ' || s)
FROM unnest('{replace,canary,a_b_test,blue_green,shadow}'::text[]) s, model_mgr.list_deployments('later_' || s) d;

-- Defaults of the strategies: steps and bake.
SELECT is(format('%s %s', d.rollout ->> 'steps', d.rollout ->> 'bake_seconds'), expected, s) FROM (VALUES
    ('replace', '[100] 240'), ('canary', '[10, 20, 30, 40, 50, 60, 70, 80, 90, 100] 30'), ('a_b_test', '[50, 100] 240'), ('blue_green', '[0, 100] 240'),
    ('shadow', '[100] 240')) x (s, expected),
    model_mgr.deploy_model_version('later_' || s, '2', s, rollback_evaluation_window_minutes => 4, rollout => '{"step_seconds": 30}') d;
SELECT is(d.traffic_percentage || ' of ' || (d.rollout ->> 'steps'), expected, s || ', its share given')
FROM (VALUES ('a_b_test', '20 of [20, 100]'), ('shadow', '5 of [5]')) x (s, expected),
    model_mgr.abort_deployment(model_mgr.open_deployment('later_' || s)),
    model_mgr.deploy_model_version('later_' || s, '2', s, traffic_percentage => split_part(expected, ' ', 1)::float8) d;

-- What is stored may be given back: the same wish.
SELECT is(again.deployment_id, d.deployment_id, 'the stored rollout again: ' || d.strategy)
FROM model_mgr.list_deployments() d, model_mgr.deploy_model_version(d.model_name, d.version, d.strategy, rollback_evaluation_window_minutes => d.rollback_evaluation_window_minutes,
    rollout => d.rollout) again WHERE d.model_name LIKE 'later%' AND d.version = '2' AND d.status IN ('running', 'promoting') ORDER BY d.deployment_id;

-- Blue-green: nobody, then everybody, then back at once.
SELECT pg_temp.make_model('bg', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('bg', '1')).status;
SELECT pg_temp.minute(10);
SELECT is(d.traffic_percentage || ' ' || d.status, '0 running', 'blue-green begins with no traffic')
FROM model_mgr.deploy_model_version('bg', '2', 'blue_green', rollout => '{"step_seconds": 120, "min_requests": 10, "preview_segment": {"group": "beta"}, "bake_seconds": 180}') d;
SELECT is(pg_temp.life('bg'), 'running 0 1; 1 2 0; 1 active, 2 deploying, 3 pending', 'the baseline serves');
SELECT pg_temp.minute(11);
SELECT is(pg_temp.life('bg'), 'running 0 1; 1 2 0; 1 active, 2 deploying, 3 pending', 'a minute later');
SELECT pg_temp.minute(12);
SELECT is((SELECT format('%s %s', status, samples) FROM model_mgr.deployment_list WHERE model_name = 'bg' AND version = '2'), 'running 0', 'time is not all: it waits for outcomes');
SELECT pg_temp.outcomes('bg', '2', 10, 10);
SELECT is(pg_temp.minute(13), 1::bigint, 'ten outcomes of the preview');
SELECT is(pg_temp.life('bg'), 'promoting 100 2; 2 - 0; 1 inactive, 2 active, 3 pending', 'the switch');
SELECT is((SELECT next_step_at FROM model_mgr.deployment_list WHERE model_name = 'bg' AND version = '2'), '2026-01-01 00:16:00+00', 'and the bake');
SELECT is(model_mgr.rollback_model('bg'), true, 'back while baking');
SELECT is(pg_temp.life('bg'), 'rolled_back 0 2; 1 - 0; 1 active, 2 rolled_back, 3 pending', 'at once');
SELECT (model_mgr.deploy_model_version('bg', '3', 'blue_green')).status;
SELECT is((model_mgr.promote_deployment(model_mgr.open_deployment('bg'))).traffic_percentage, 100::float8, 'promoted without preview traffic');
SELECT is(pg_temp.minute(23), 1::bigint, 'baked for the evaluation window');
SELECT is(pg_temp.life('bg'), 'completed 100 2; 3 - 0; 1 inactive, 2 rolled_back, 3 active', 'completed');
-- Judged on its preview traffic.
SELECT (model_mgr.deploy_model_version('bg', '1', 'blue_green', rollout => '{"min_requests": 10}')).status;
SELECT pg_temp.outcomes('bg', '1', 10, 5);
SELECT is(pg_temp.minute(24), 1::bigint, 'five of ten');
SELECT is(pg_temp.life('bg'), 'rolled_back 0 1; 3 - 0; 1 rolled_back, 2 rolled_back, 3 active', 'it never served anybody');
SELECT is(model_mgr.rollback_model('bg'), false, 'and is taken back already');
-- A preview may name a segment: its condition is copied.
SELECT model_mgr.set_segment('bg', 'testers', '{"country": {"in": ["DE", "FR"]}}', '3');
SELECT is(d.rollout -> 'preview_segment', '{"country": {"in": ["DE", "FR"]}}', 'the condition of the segment named')
FROM model_mgr.deploy_model_version('bg', '2', 'blue_green', rollout => '{"preview_segment": "testers"}') d;
SELECT is(pg_temp.newest('bg'), d.deployment_id, 'again') FROM model_mgr.deploy_model_version('bg', '2', 'blue_green', rollout => '{"preview_segment": "testers"}') d;
SELECT is(d.rollout -> 'preview_segment', 'null', 'adjusted to none') FROM model_mgr.adjust_deployment(pg_temp.newest('bg'), '{"preview_segment": null}') d;
SELECT is(pg_temp.code(format('SELECT model_mgr.deploy_model_version(''bg'', ''1'', ''blue_green'', supersede => true, rollout => %L)', jsonb_build_object('preview_segment', p))), code, p::text)
FROM (VALUES ('"nobody"'::jsonb, '42704'), ('{}', '22023'), ('{"a": {"like": 1}}', '22023'), ('[]', '22P02'), ('true', '22P02'), ('""', '42602')) x (p, code);
SELECT is((model_mgr.abort_deployment(model_mgr.open_deployment('bg'))).status, 'aborted', 'aborted at 0 %');
SELECT is(pg_temp.life('bg'), 'aborted 0 1; 3 - 0; 1 rolled_back, 2 inactive, 3 active', 'the version without blame');

-- Shadow: users never see it, and it is no deployment to take back.
SELECT pg_temp.make_model('sh', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('sh', v, 'replace')).status FROM unnest('{1,2}'::text[]) v;
SELECT pg_temp.minute(40);
SELECT is(d.traffic_percentage || ' ' || d.status, '25 running', 'a shadow of a quarter')
FROM model_mgr.deploy_model_version('sh', '3', 'shadow', traffic_percentage => 25, rollout => '{"step_seconds": 60, "min_requests": 5}') d;
SELECT is(pg_temp.life('sh'), 'running 25 1; 2 - 0; 1 inactive, 2 active, 3 deploying', 'the baseline serves everybody');
SELECT pg_temp.outcomes('sh', '3', 5, 5);
SELECT is(pg_temp.minute(41), 1::bigint, 'it has passed');
SELECT is(pg_temp.life('sh'), 'completed 0 1; 2 - 0; 1 inactive, 2 active, 3 ready', 'completed where it is, the version ready');
SELECT is((SELECT status_reason FROM model_mgr.list_deployments('sh') WHERE version = '3'), 'the shadow has passed', 'with its reason');
SELECT is(model_mgr.rollback_model('sh'), true, 'rollback takes back what serves');
SELECT is(pg_temp.statuses('sh'), '1 active, 2 rolled_back, 3 ready', 'which is no shadow');
SELECT (model_mgr.deploy_model_version('sh', '3', 'shadow')).status;
SELECT is(pg_temp.life('sh'), 'running 100 1; 1 - 0; 1 active, 2 rolled_back, 3 deploying', 'again, of all requests');
SELECT is((model_mgr.promote_deployment(model_mgr.open_deployment('sh'), all_steps => true)).status, 'completed', 'promoted, it is concluded and still serves nobody');
SELECT is(pg_temp.life('sh'), 'completed 0 1; 1 - 0; 1 active, 2 rolled_back, 3 ready', 'so it is');
SELECT (model_mgr.deploy_model_version('sh', '3', 'shadow', rollout => '{"min_requests": 5}')).status;
SELECT pg_temp.outcomes('sh', '3', 5, 0);
SELECT is(pg_temp.minute(42), 1::bigint, 'it fails');
SELECT is(pg_temp.life('sh'), 'rolled_back 0 1; 1 - 0; 1 active, 2 rolled_back, 3 rolled_back', 'and is taken back');

-- A scheduled rollout beside a bake: the bake goes on, is judged, and ends when the other begins.
SELECT pg_temp.make_model('sch', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('sch', v, 'replace', rollout => '{"bake_seconds": 3600, "min_requests": 10}')).status FROM unnest('{1,2}'::text[]) v;
SELECT is(d.status || ' ' || d.traffic_percentage || ' ' || d.step || ' ' || coalesce(d.step_started_at::text, '-'), 'pending 0 0 -', 'scheduled')
FROM model_mgr.deploy_model_version('sch', '3', rollout => '{"start_at": "2026-01-01 01:00:00+00", "min_requests": 0}') d;
SELECT is((SELECT string_agg(status, ' ' ORDER BY deployment_id) FROM model_mgr.list_deployments('sch')), 'completed promoting pending', 'beside the bake');
SELECT is(model_mgr.open_deployment('sch'), pg_temp.newest('sch'), 'open_deployment finds the one below 100 %');
SELECT is(pg_temp.routed('sch') || ' ' || (SELECT deployment_id::text FROM model_mgr.routing WHERE model_name = 'sch'), '2 - 0 ' || pg_temp.newest('sch') - 1, 'outcomes are the bake''s');
SELECT is((model_mgr.deploy_model_version('sch', '3', rollout => '{"start_at": "2026-01-01 01:00:00+00", "min_requests": 0}')).deployment_id, pg_temp.newest('sch'), 'asked for again');
SELECT is(pg_temp.minute(59), 0::bigint, 'a minute before');
BEGIN;
SELECT is(model_mgr.rollback_model('sch'), true, 'a person takes back what bakes');
SELECT is((SELECT string_agg(status, ' ' ORDER BY deployment_id) FROM model_mgr.list_deployments('sch')) || '; ' || pg_temp.statuses('sch'), 'completed rolled_back pending; 1 active, 2 rolled_back, 3 pending', 'not what is scheduled');
SELECT is(pg_temp.minute(60), 1::bigint, 'which begins');
SELECT is((SELECT baseline_version FROM model_mgr.get_deployment(pg_temp.newest('sch'))), '1', 'beside what serves then');
ROLLBACK;
BEGIN;
SELECT pg_temp.outcomes('sch', '2', 10, 5);
SELECT is(pg_temp.minute(60), 2::bigint, 'the bake fails in the minute in which the other begins');
SELECT is((SELECT string_agg(status || ' ' || coalesce(baseline_version, '-'), ', ' ORDER BY deployment_id) FROM model_mgr.list_deployments('sch')), 'completed -, rolled_back 1, running 1', 'which finds its baseline');
ROLLBACK;
SELECT is(pg_temp.minute(60), 1::bigint, 'its time has come');
SELECT is((SELECT string_agg(status || ' ' || coalesce(baseline_version, '-'), ', ' ORDER BY deployment_id) FROM model_mgr.list_deployments('sch')), 'completed -, completed 1, running 2', 'the bake is completed');
SELECT is(pg_temp.life('sch'), 'running 10 1; 2 3 1000; 1 inactive, 2 active, 3 deploying', 'its first step');
SELECT is((SELECT started_at FROM model_mgr.deployment_plan WHERE deployment_id = pg_temp.newest('sch')), '2026-01-01 01:00:00+00', 'requests before that do not count');
-- Before it begins: adjusted, called off, begun by hand.
SELECT (model_mgr.abort_deployment(pg_temp.newest('sch'))).status;
SELECT (model_mgr.deploy_model_version('sch', '3', rollout => '{"start_at": "2026-01-02 00:00:00+00"}')).status;
SELECT is(d.rollout ->> 'start_at', '2026-01-01T01:05:00+00:00', 'earlier') FROM model_mgr.adjust_deployment(pg_temp.newest('sch'), '{"start_at": "2026-01-01 01:05:00+00"}') d;
SELECT is(d.rollout ->> 'steps', '[5, 100]', 'other steps') FROM model_mgr.adjust_deployment(pg_temp.newest('sch'), '{"steps": [5, 100]}') d;
SELECT is(pg_temp.minute(64), 0::bigint, 'not yet');
SELECT is(pg_temp.minute(65), 1::bigint, 'now');
SELECT is(pg_temp.state('sch'), 'running 5 1', 'as adjusted');
SELECT is(pg_temp.code('SELECT model_mgr.adjust_deployment(pg_temp.newest(''sch''), ''{"start_at": "2026-01-03"}'')'), '22023', 'it has begun');
SELECT (model_mgr.abort_deployment(pg_temp.newest('sch'))).status;
SELECT (model_mgr.deploy_model_version('sch', '3', rollout => '{"start_at": "2026-01-02 00:00:00+00"}')).status;
SELECT is(model_mgr.rollback_model('sch'), true, 'rollback calls off what is scheduled, when nothing else is under way');
SELECT is(pg_temp.life('sch'), 'rolled_back 0 0; 2 - 0; 1 inactive, 2 active, 3 inactive', 'nothing else');
SELECT is(model_mgr.rollback_model('sch'), true, 'the next one takes back what serves');
SELECT is(pg_temp.life('sch'), 'rolled_back 0 0; 1 - 0; 1 active, 2 rolled_back, 3 inactive', 'one version');
SELECT is(model_mgr.rollback_model('sch'), false, 'and no more');
-- A test_id that somebody has: refused when deploying and adjusting; taken until the beginning, the rollout is, not the version.
SELECT pg_temp.make_model('ab', '1', '2', '3'), model_mgr.deploy_model_version('ab', '1') IS NOT NULL, pg_temp.make_model('ab2', '1', '2'), model_mgr.deploy_model_version('ab2', '1') IS NOT NULL;
SELECT (model_mgr.deploy_model_version('ab', '2', 'a_b_test', rollout => '{"start_at": "2026-01-01 02:00:00+00", "test": {"test_id": "mine"}}')).status;
SELECT (model_mgr.deploy_model_version('ab2', '2', 'a_b_test', rollout => '{"test": {"test_id": "mine"}}')).status;
SELECT is(pg_temp.code('SELECT model_mgr.deploy_model_version(''ab'', ''3'', ''a_b_test'', supersede => true, rollout => ''{"start_at": "2026-01-01 03:00:00+00", "test": {"test_id": "mine"}}'')'), '42710', 'taken: not even scheduled');
SELECT is(pg_temp.code('SELECT model_mgr.promote_deployment(pg_temp.newest(''ab''))'), '42710', 'begun by hand: the same error');
SELECT is(pg_temp.minute(120) || ' ' || pg_temp.life('ab'), '1 failed 0 0; 1 - 0; 1 active, 2 pending, 3 pending', 'its time has come: it failed, and its version is not to blame');
SELECT is(status_reason, 'test "mine" exists already', 'why') FROM model_mgr.get_deployment(pg_temp.newest('ab'));
SELECT is(pg_temp.tick() || ' ' || (SELECT count(*) FROM model_mgr.tick() WHERE task = 'failures'), '0 0', 'said once');
SELECT (model_mgr.deploy_model_version('ab', '2', 'a_b_test', rollout => '{"start_at": "2026-01-01 03:00:00+00"}')).status;
SELECT is(pg_temp.code('SELECT model_mgr.adjust_deployment(pg_temp.newest(''ab''), ''{"test": {"test_id": "mine"}}'')'), '42710', 'adjusted to it');
SELECT is((model_mgr.adjust_deployment(pg_temp.newest('ab'), '{"test": {"test_id": "another"}}')).status, 'pending', 'a free one');
SELECT (model_mgr.abort_deployment(d.deployment_id)).status FROM model_mgr.deployment d WHERE d.status IN ('running', 'pending') AND model_name IN ('ab', 'ab2');
-- A time that has passed is now.
SELECT is((model_mgr.deploy_model_version('sch', '3', rollout => '{"start_at": "2025-12-31"}')).status, 'running', 'start_at in the past');
SELECT is((model_mgr.deploy_model_version('sch', '3', rollout => '{"start_at": "2025-12-31"}')).deployment_id, pg_temp.newest('sch'), 'again');

-- The strategy of the setting.
SET model_mgr.default_deployment_strategy = 'blue_green';
SELECT pg_temp.make_model('set', '1', '2');
SELECT is((model_mgr.deploy_model_version('set', v)).strategy, 'blue_green', 'from the setting') FROM unnest('{1,2}'::text[]) v;
RESET model_mgr.default_deployment_strategy;
SELECT * FROM finish();
