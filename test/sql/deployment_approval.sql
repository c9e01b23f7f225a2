-- Approvals, deadlines and freezes: what holds a rollout, who lets it go on, and what happens when nobody does.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
CREATE FUNCTION pg_temp.minute(n integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => n))::text);
    RETURN pg_temp.tick();
END $$;
-- 'what waits for what' of a model's open rollout.
CREATE FUNCTION pg_temp.waits(name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s', d.status, d.traffic_percentage) FROM model_mgr.deployment d
    WHERE d.model_name = name ORDER BY d.deployment_id DESC LIMIT 1;
$$;
CREATE FUNCTION pg_temp.d(name text) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_temp.newest(name) $$;
CREATE FUNCTION pg_temp.rollout(name text, rollout jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.make_model(name, '1', '2');
    SELECT model_mgr.deploy_model_version(name, '1');
    SELECT d.status FROM model_mgr.deploy_model_version(name, '2', rollout => '{"steps": [10, 50, 100], "step_seconds": 60, "min_requests": 0}' || rollout) d;
$$;

-- approval each_step.
SELECT is(pg_temp.rollout('each', '{"approval": "each_step"}'), 'running', 'the first step was the deployer''s');
SELECT is(pg_temp.minute(1), '1', 'a minute later');
SELECT is(pg_temp.waits('each'), 'awaiting_approval 10', 'it awaits approval');
SELECT is((SELECT awaiting_since FROM model_mgr.deployment_plan WHERE deployment_id = pg_temp.d('each')), '2026-01-01 00:01:00+00', 'since then');
SELECT is(pg_temp.minute(9), '0', 'and goes on awaiting');
SELECT is(pg_temp.code('SELECT model_mgr.promote_deployment(pg_temp.d(''each''))'), '55000', 'promote stands in for no approval');
SELECT is(pg_temp.code('SELECT model_mgr.promote_deployment(pg_temp.d(''each''), true)'), '55000', 'nor all steps');
-- Nobody can be made to approve: code that runs in a session which is not its own is no person.
SELECT is(pg_temp.code('CREATE MATERIALIZED VIEW public.trap AS SELECT (model_mgr.approve_step(pg_temp.d(''each''), ''by a trap'')).status'), '42501', 'not in a security-restricted operation');
SELECT is(pg_temp.waits('each'), 'awaiting_approval 10', 'nothing is approved');
SELECT is((model_mgr.approve_step(pg_temp.d('each'), 'looks fine')).status, 'running', 'approved');
SELECT is(pg_temp.waits('each'), 'running 10', 'the step is the tick''s');
SELECT is(pg_temp.minute(9), '1', 'which takes it');
SELECT is(pg_temp.waits('each'), 'running 50', 'one step');
SELECT is(pg_temp.minute(10) || ' ' || pg_temp.waits('each'), '1 awaiting_approval 50', 'the next needs its own');
SELECT is((SELECT awaiting_since FROM model_mgr.deployment_plan WHERE deployment_id = pg_temp.d('each')), '2026-01-01 00:10:00+00', 'since then');
SELECT (model_mgr.approve_step(pg_temp.d('each'))).status;
SELECT is(pg_temp.minute(10) || ' ' || pg_temp.waits('each'), '1 promoting 100', 'all traffic');
SELECT is(pg_temp.code('SELECT model_mgr.approve_step(pg_temp.d(''each''))'), '55000', 'a bake needs none');
SELECT replace(what, 'by ' || session_user, 'by whoever runs this') FROM model_mgr.explain_deployment(pg_temp.d('each')) WHERE what LIKE '%approv%';
SELECT is(string_agg(format('%s %s %s', details ->> 'step', details ->> 'note', user_name), ', ' ORDER BY audit_id), format('2 looks fine %s, 3  %s', session_user, session_user),
    'audited with who and why') FROM model_mgr.audit_log WHERE operation = 'approve_step';
SELECT is((SELECT string_agg(format('%s %s', replace(type, 'deployment.', ''), coalesce(data ->> 'approved_by', data ->> 'to_percentage')), ', ' ORDER BY event_id)
    FROM model_mgr.event WHERE type IN ('deployment.awaiting_approval', 'deployment.approved')),
    format('awaiting_approval 50, approved %1$s, awaiting_approval 100, approved %1$s', session_user), 'events of all of it');

-- Said ahead; by whoever the session is; once.
SELECT pg_temp.minute(20), pg_temp.rollout('ahead', '{"approval": "each_step"}');
SELECT is((model_mgr.approve_step(pg_temp.d('ahead'), 'go on')).status, 'running', 'approved before it is asked for');
SELECT is((model_mgr.approve_step(pg_temp.d('ahead'), 'go on')).status, 'running', 'twice is once');
SELECT is(pg_temp.minute(20) || ' ' || pg_temp.waits('ahead'), '0 running 10', 'it is not taken before its time');
SELECT is(pg_temp.minute(21) || ' ' || pg_temp.waits('ahead'), '1 running 50', 'and then without waiting');
SELECT is((model_mgr.approve_step(pg_temp.d('ahead'), 'go on')).status, 'running', 'the last step');
SELECT is((model_mgr.promote_deployment(pg_temp.d('ahead'))).status, 'promoting', 'approved, it may be promoted');

-- An approval is of a share: other steps need another.
SELECT pg_temp.minute(30), pg_temp.rollout('other', '{"approval": "each_step"}');
SELECT (model_mgr.approve_step(pg_temp.d('other'))).status;
SELECT (model_mgr.adjust_deployment(pg_temp.d('other'), '{"steps": [10, 100]}')).status;
SELECT is(pg_temp.minute(31) || ' ' || pg_temp.waits('other'), '1 awaiting_approval 10', '50 % was approved, not 100 %');
SELECT is((model_mgr.adjust_deployment(pg_temp.d('other'), '{"approval": null}')).status, 'running', 'approvals no longer asked for');
SELECT is(pg_temp.minute(31) || ' ' || pg_temp.waits('other'), '1 promoting 100', 'it goes on');

-- approval final: for the step to 100 %.
SELECT pg_temp.minute(40), pg_temp.rollout('final', '{"approval": "final"}');
SELECT is(pg_temp.code('SELECT model_mgr.approve_step(pg_temp.d(''final''))'), '55000', 'the next step asks for none');
SELECT is(pg_temp.code('SELECT model_mgr.promote_deployment(pg_temp.d(''final''), true)'), '55000', 'all steps would');
SELECT is(pg_temp.minute(41) || ' ' || pg_temp.waits('final'), '1 running 50', 'by itself');
SELECT is(pg_temp.minute(42) || ' ' || pg_temp.waits('final'), '1 awaiting_approval 50', 'but not to 100 %');
SELECT is((model_mgr.pause_deployment(pg_temp.d('final'), 'lunch')).status, 'paused', 'paused');
SELECT is(pg_temp.code('SELECT model_mgr.promote_deployment(pg_temp.d(''final''))'), '55000', 'which is no way round');
SELECT is((model_mgr.resume_deployment(pg_temp.d('final'))).status, 'running', 'resumed');
SELECT is(pg_temp.minute(43) || ' ' || pg_temp.waits('final'), '1 awaiting_approval 50', 'it asks again');
-- It is judged while it waits.
SELECT (model_mgr.adjust_deployment(pg_temp.d('final'), '{"min_requests": 10}')).status;
SELECT pg_temp.outcomes('final', '2', 10, 5);
SELECT is(pg_temp.minute(44) || ' ' || pg_temp.waits('final'), '1 rolled_back 0', 'judged while awaiting approval');

-- Blue-green and shadow.
SELECT pg_temp.make_model(m, '1', '2') FROM unnest('{bg,sh,sh2}'::text[]) m;
SELECT (model_mgr.deploy_model_version(m, '1')).status FROM unnest('{bg,sh,sh2}'::text[]) m;
SELECT is(d.status, 'running', d.strategy || ', approval ' || a) FROM (VALUES ('bg', 'blue_green', 'final'), ('sh', 'shadow', 'each_step'), ('sh2', 'shadow', 'final')) x (m, s, a),
    model_mgr.deploy_model_version(m, '2', s, rollout => jsonb_build_object('approval', a, 'step_seconds', 60, 'min_requests', 0)) d;
SELECT is(pg_temp.minute(50), '3', 'their time is over');
SELECT is(pg_temp.waits(m), expected, m) FROM (VALUES ('bg', 'awaiting_approval 0'), ('sh', 'awaiting_approval 100'), ('sh2', 'completed 0')) x (m, expected);
SELECT is((model_mgr.approve_step(pg_temp.d(m))).status, 'running', m || ' approved') FROM unnest('{bg,sh}'::text[]) m;
SELECT is(pg_temp.minute(50), '2', 'both');
SELECT is(pg_temp.waits(m), expected, m) FROM (VALUES ('bg', 'promoting 100'), ('sh', 'completed 0')) x (m, expected);

-- Deadlines.
SELECT pg_temp.minute(100), pg_temp.rollout('limit', '{"approval": "final", "approval_timeout_seconds": 120, "on_timeout": "rollback"}'),
    pg_temp.rollout('hold', '{"approval": "final", "approval_timeout_seconds": 120}'),
    pg_temp.rollout('step', '{"min_requests": 10, "max_step_seconds": 120, "on_timeout": "rollback"}'), pg_temp.rollout('step_hold', '{"min_requests": 10, "max_step_seconds": 120}');
SELECT pg_temp.minute(101);
SELECT is(pg_temp.waits(m), expected, m) FROM (VALUES ('limit', 'running 50'), ('hold', 'running 50'), ('step', 'running 10'), ('step_hold', 'running 10')) x (m, expected);
SELECT pg_temp.minute(102);
SELECT is(pg_temp.waits(m), expected, m) FROM (VALUES ('limit', 'awaiting_approval 50'), ('hold', 'awaiting_approval 50'), ('step', 'rolled_back 0'), ('step_hold', 'running 10')) x (m, expected);
SELECT pg_temp.minute(103);
SELECT is(pg_temp.waits('limit'), 'awaiting_approval 50', 'a minute left');
SELECT pg_temp.minute(104);
SELECT is(pg_temp.waits('limit'), 'rolled_back 0', 'nobody approved');
SELECT is(pg_temp.waits('hold'), 'awaiting_approval 50', 'it holds');
SELECT is((model_mgr.approve_step(pg_temp.d('hold'), 'late')).status, 'running', 'late is not too late');
SELECT is(pg_temp.minute(104) || ' ' || pg_temp.waits('hold'), '1 promoting 100', 'it goes on');
SELECT is((model_mgr.promote_deployment(pg_temp.d('step_hold'))).traffic_percentage, 50::float8, 'by hand, whatever the deadline');
SELECT model_mgr.deploy_model_version('step', '2', rollout => '{"steps": [10, 100], "max_step_seconds": 60, "step_seconds": 120, "on_timeout": "rollback"}') IS NOT NULL;

-- Freezes: no automatic step, and no scheduled beginning; judging, rollback and people go on.
SELECT pg_temp.minute(200), pg_temp.rollout('fr', '{"min_requests": 10}');
SELECT model_mgr.freeze('fr', '2026-01-01 04:00:00+00', 'sale');
SELECT is(format('%s %s %s %s %s', model_name, rule, until, reason, created_by = session_user), 'fr freeze 2026-01-01 04:00:00+00 sale t', 'rule_list shows it') FROM model_mgr.rule_list;
SELECT pg_temp.outcomes('fr', '2', 10, 10);
SELECT is(pg_temp.minute(201) || ' ' || pg_temp.waits('fr'), '0 running 10', 'no step');
SELECT is((model_mgr.promote_deployment(pg_temp.d('fr'))).traffic_percentage, 50::float8, 'people may');
SELECT model_mgr.freeze('fr', '2026-01-01 05:00:00+00', 'longer');
SELECT is(count(*), 1::bigint, 'the last call counts') FROM model_mgr.rule_list WHERE rule = 'freeze' AND until = '2026-01-01 05:00:00+00';
SELECT pg_temp.outcomes('fr', '2', 10, 10);
SELECT is(pg_temp.minute(299) || ' ' || pg_temp.waits('fr'), '0 running 50', 'still frozen');
BEGIN;
SELECT pg_temp.outcomes('fr', '2', 50, 0);
SELECT is(pg_temp.minute(299) || ' ' || pg_temp.waits('fr'), '1 rolled_back 0', 'a rollback does not wait');
ROLLBACK;
BEGIN;
SELECT model_mgr.freeze('fr', '2026-01-01 04:59:00+00');
SELECT is(count(*), 0::bigint, 'until now ends it') FROM model_mgr.rule_list WHERE rule = 'freeze';
SELECT is(pg_temp.minute(299) || ' ' || pg_temp.waits('fr'), '1 promoting 100', 'and it goes on');
ROLLBACK;
SELECT is(pg_temp.minute(300) || ' ' || pg_temp.waits('fr'), '1 promoting 100', 'the freeze is over');
SELECT what FROM model_mgr.explain_deployment(pg_temp.d('fr')) WHERE what LIKE '%fr%ze%';
SELECT is(string_agg(format('%s %s %s', type, data ->> 'until', data ->> 'reason'), ', ' ORDER BY event_id),
    'model.frozen 2026-01-01T04:00:00+00:00 sale, model.frozen 2026-01-01T05:00:00+00:00 longer', 'its events') FROM model_mgr.event WHERE type LIKE 'model.%fr%';
SELECT model_mgr.freeze('fr', 'infinity'), model_mgr.freeze('fr', model_mgr.clock_time()), model_mgr.freeze('fr', '-infinity');
SELECT is(type, 'model.unfrozen', 'ended by hand') FROM model_mgr.event WHERE type LIKE 'model.%fr%' ORDER BY event_id DESC LIMIT 1;
-- Deployed under a freeze: begins, with a NOTICE, and stays.
SELECT model_mgr.freeze('fr', '2026-01-01 06:00:00+00');
SELECT is((model_mgr.deploy_model_version('fr', '1', rollout => '{"steps": [10, 100], "step_seconds": 60, "min_requests": 0}')).status, 'running', 'a person''s step');
SELECT is(pg_temp.minute(310) || ' ' || pg_temp.waits('fr'), '0 running 10', 'the next is not');
-- A scheduled beginning waits for the end of a freeze.
SELECT is(pg_temp.rollout('sched', '{"start_at": "2026-01-01 05:15:00+00"}'), 'pending', 'scheduled');
SELECT model_mgr.freeze('sched', '2026-01-01 05:20:00+00');
SELECT is(pg_temp.minute(315) || ' ' || pg_temp.waits('sched'), '0 pending 0', 'its time has come, but for the freeze');
SELECT is(pg_temp.minute(319) || ' ' || pg_temp.waits('sched'), '0 pending 0', 'still');
SELECT is(pg_temp.minute(320) || ' ' || pg_temp.waits('sched'), '1 running 10', 'it begins');
-- The verdict of a test that ends under a freeze is found once, whatever is recorded until the freeze ends.
SELECT pg_temp.make_model('test', '1', '2'), model_mgr.deploy_model_version('test', '1') IS NOT NULL;
SELECT (model_mgr.deploy_model_version('test', '2', 'a_b_test', rollback_min_success_rate => 0.1, rollout => '{"guard": "off", "test": {"max_duration_hours": 1}}')).status;
SELECT pg_temp.outcomes('test', '1', 500, 400), pg_temp.outcomes('test', '2', 500, 450), model_mgr.freeze('test', '2026-01-01 07:00:00+00');
SELECT is((SELECT pg_temp.waits('test') FROM pg_temp.minute(381)), 'running 50', 'the treatment has won, and waits');
SELECT is(status || ' ' || winning_variant, 'completed treatment', 'its test is over') FROM model_mgr.ab_test WHERE treatment_model = 'test';
SELECT pg_temp.outcomes('test', '1', 500, 500), pg_temp.outcomes('test', '2', 500, 400);
SELECT is((SELECT pg_temp.waits('test') FROM pg_temp.minute(390)), 'running 50', 'looked at again');
SELECT is((SELECT pg_temp.waits('test') FROM pg_temp.minute(421)), 'promoting 100', 'goes on by the verdict of its end');
SELECT is(string_agg(operation, ' ' ORDER BY audit_id), 'freeze freeze freeze freeze freeze freeze freeze freeze', 'audited') FROM model_mgr.audit_log WHERE operation = 'freeze';
SELECT * FROM finish();
