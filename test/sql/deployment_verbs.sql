-- promote, pause, resume, abort, adjust: what each does, in which states, and what it leaves behind.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3', '4', '5', '6');
SELECT (model_mgr.deploy_model_version('m', '1')).status;
SELECT (model_mgr.deploy_model_version('m', '2')).status;
CREATE FUNCTION pg_temp.d() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_temp.newest('m') $$;
CREATE FUNCTION pg_temp.last_line() RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s: %s', e.status, e.traffic_percentage, e.what)
    FROM model_mgr.deployment_event e WHERE e.deployment_id = pg_temp.d() ORDER BY e.deployment_event_id DESC LIMIT 1;
$$;

-- Pause and resume.
SELECT is(p.status || ': ' || p.status_reason, 'paused: lunch', 'pause') FROM model_mgr.pause_deployment(pg_temp.d(), 'lunch') p;
SELECT is(pg_temp.routed('m'), '1 2 1000', 'the share stays');
SELECT pg_temp.outcomes('m', '2', 200, 200);
SELECT pg_temp.at('2026-01-01 01:00:00+00');
SELECT is(pg_temp.tick(), 0::bigint, 'a paused one does not step');
SELECT is((SELECT substring(waiting_for FROM '\[(\w+)\]$') FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.d()), 'resume', 'it waits to be resumed');
SELECT is(p.status, 'paused', 'paused again: harmless') FROM model_mgr.pause_deployment(pg_temp.d()) p;
SELECT is(p.status, 'running', 'resume') FROM model_mgr.resume_deployment(pg_temp.d()) p;
SELECT is(p.status, 'running', 'resumed again: harmless') FROM model_mgr.resume_deployment(pg_temp.d()) p;
SELECT is(pg_temp.tick(), 1::bigint, 'its time and outcomes went on meanwhile');
SELECT is(pg_temp.state('m'), 'running 20 2', 'one step');

-- Promote: no waiting for time or requests.
SELECT is(format('%s %s %s', p.status, p.traffic_percentage, p.step), 'running 30 3', 'promote takes the next step') FROM model_mgr.promote_deployment(pg_temp.d()) p;
SELECT is(pg_temp.last_line(), 'running 30: step 3 of 10: 30 % of traffic, promoted by ' || session_user, 'and says who did');
SELECT (model_mgr.pause_deployment(pg_temp.d())).status;
SELECT is(format('%s %s %s', p.status, p.traffic_percentage, p.step), 'running 40 4', 'a paused one is resumed by it') FROM model_mgr.promote_deployment(pg_temp.d()) p;
SELECT is(format('%s %s %s', p.status, p.traffic_percentage, p.step), 'promoting 100 10', 'all steps: it bakes') FROM model_mgr.promote_deployment(pg_temp.d(), all_steps => true) p;
SELECT is(pg_temp.statuses('m'), '1 inactive, 2 active, 3 pending, 4 pending, 5 pending, 6 pending', 'it is the active version');
SELECT is((SELECT array_agg(step ORDER BY step) FROM model_mgr.deployment_step WHERE deployment_id = pg_temp.d()), '{1,2,3,4,10}', 'the steps it took');

-- Baking: only rollback_model takes it back.
SELECT is(pg_temp.code('SELECT model_mgr.promote_deployment(pg_temp.d())'), '55000', 'a baking one is not promoted');
SELECT is(pg_temp.code('SELECT model_mgr.pause_deployment(pg_temp.d())'), '55000', 'nor paused');
SELECT is(pg_temp.code('SELECT model_mgr.resume_deployment(pg_temp.d())'), '55000', 'nor resumed');
SELECT throws_like('SELECT model_mgr.abort_deployment(pg_temp.d())', 'deployment % cannot be aborted', 'nor aborted');
DO $$
DECLARE
    hint text;
BEGIN
    PERFORM model_mgr.abort_deployment(pg_temp.d());
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RAISE NOTICE '%', hint;
END $$;
SELECT is(p.rollout ->> 'bake_seconds', '60', 'its bake can be adjusted') FROM model_mgr.adjust_deployment(pg_temp.d(), '{"bake_seconds": 60}', 'quiet day') p;
SELECT pg_temp.at('2026-01-01 01:01:00+00');
SELECT is(pg_temp.tick(), 1::bigint, 'and ends then');
SELECT is(pg_temp.code(format('SELECT model_mgr.%s', verb)), '55000', 'ended: ' || verb) FROM unnest(ARRAY['promote_deployment(pg_temp.d())',
    'pause_deployment(pg_temp.d())', 'resume_deployment(pg_temp.d())', 'abort_deployment(pg_temp.d())', 'adjust_deployment(pg_temp.d(), ''{"step_seconds": 1}'')']) verb;

-- Abort: no blame.
SELECT (model_mgr.deploy_model_version('m', '3')).status;
SELECT is(p.status || ': ' || p.status_reason, 'aborted: changed our minds', 'abort') FROM model_mgr.abort_deployment(pg_temp.d(), 'changed our minds') p;
SELECT is(pg_temp.statuses('m') || ' | ' || pg_temp.routed('m'), '1 inactive, 2 active, 3 inactive, 4 pending, 5 pending, 6 pending | 2 - 0', 'inactive, not rolled back');
SELECT is(pg_temp.last_line(), 'aborted 0: aborted from 10 %: changed our minds', 'in the diary');
SELECT is(pg_temp.tick(), 0::bigint, 'nothing more happens');

-- Promote what a limit convicts: it goes back.
SELECT (model_mgr.deploy_model_version('m', '4')).status;
SELECT pg_temp.outcomes('m', '4', 100, 50);
SELECT is(p.status, 'rolled_back', 'a broken limit rolls back, whoever is in a hurry') FROM model_mgr.promote_deployment(pg_temp.d(), true) p;
SELECT is(pg_temp.routed('m'), '2 - 0', 'the baseline serves');

-- Adjust: limits and rollout keys, at once.
SELECT (model_mgr.deploy_model_version('m', '5')).status;
SELECT pg_temp.outcomes('m', '5', 100, 92);
SELECT is(to_jsonb(p) -> 'rollback_min_success_rate', '0.9', 'a limit') FROM model_mgr.adjust_deployment(pg_temp.d(), '{"rollback_min_success_rate": 0.9}', 'a hard day') p;
SELECT is(pg_temp.tick(), 0::bigint, 'it counts at once');
SELECT is(p.rollout, pg_temp.effective('{"steps": [10, 60, 100], "step_seconds": 30, "min_requests": 50}'),
    'rollout keys, by themselves or under "rollout"') FROM model_mgr.adjust_deployment(pg_temp.d(), '{"step_seconds": 30, "rollout": {"steps": [10, 60, 100], "min_requests": 50}}') p;
SELECT is((SELECT next_step_at FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.d()), '2026-01-01 01:01:30+00', 'the next step comes sooner');
SELECT pg_temp.at('2026-01-01 01:01:30+00');
SELECT is(pg_temp.tick(), 1::bigint, 'by the new plan');
SELECT is(pg_temp.state('m'), 'running 60 2', 'the new share');
SELECT is(p.rollout ->> 'min_requests', '100', 'null means the default') FROM model_mgr.adjust_deployment(pg_temp.d(), '{"min_requests": null}') p;
SELECT is(p.auto_rollback_enabled || ' ' || r.watched, 'false true', 'watching') FROM model_mgr.adjust_deployment(pg_temp.d(), '{"auto_rollback_enabled": false}') p, model_mgr.routing r;
SELECT is((SELECT watched FROM model_mgr.routing), false, 'and not any more');
SELECT is(p.auto_rollback_enabled || ' ' || p.rollback_evaluation_window_minutes || ' ' || p.rollback_threshold_error_rate || ' ' || p.rollback_threshold_response_time,
    'true 5 0.2 3', 'the other limits')
FROM model_mgr.adjust_deployment(pg_temp.d(), '{"auto_rollback_enabled": true, "rollback_evaluation_window_minutes": 5, "rollback_threshold_error_rate": 0.2,
    "rollback_threshold_response_time": 3}') p;
SELECT is(details - 'before', jsonb_build_object('deployment_id', pg_temp.d(), 'reason', 'a hard day', 'changes', '{"rollback_min_success_rate": 0.9}'::jsonb), 'audited with its reason')
FROM model_mgr.audit_log WHERE operation = 'adjust' AND version = '5' ORDER BY audit_id LIMIT 1;
SELECT is((SELECT details -> 'before' -> 'rollback_min_success_rate' FROM model_mgr.audit_log WHERE operation = 'adjust' AND version = '5' ORDER BY audit_id LIMIT 1), '0.95', 'and what was before');

CREATE TEMP TABLE before AS SELECT d.* FROM model_mgr.deployment d WHERE d.deployment_id = pg_temp.d();
SELECT is(pg_temp.code(format('SELECT model_mgr.adjust_deployment(pg_temp.d(), %L)', changes)), code, coalesce(changes, 'NULL')) FROM (VALUES
    (NULL, '22004'), ('{}', '22P02'), ('[]', '22P02'), ('3', '22P02'), ('{"speed": 1}', '22023'), ('{"rollback_min_success_rate": 2}', '22003'),
    ('{"rollback_min_success_rate": "high"}', '22P02'), ('{"auto_rollback_enabled": 1}', '22P02'), ('{"rollback_evaluation_window_minutes": 0}', '22003'),
    ('{"rollout": []}', '22P02'), ('{"rollout": {"speed": 1}}', '22023'), ('{"steps": [20, 100]}', '22023'), ('{"steps": [10, 100]}', '22023'),
    ('{"salt": "sticky"}', '22023'), ('{"approval": "perhaps"}', '22023'), ('{"health_criteria": {"p95_response_time": {"max": -1}}}', '22003'),
    ('{"health_criteria": 1}', '22P02'), ('{"start_at": "2027-01-01"}', '22023'), ('{"test": {}}', '22023'), ('{"preview_segment": {"a": 1}}', '22023'),
    ('{"step_seconds": -1}', '22003')) t (changes, code);
SELECT results_eq('SELECT d.* FROM model_mgr.deployment d WHERE d.deployment_id = pg_temp.d()', 'SELECT * FROM before', 'refused changes change nothing');
SELECT is(pg_temp.code('SELECT model_mgr.adjust_deployment(999, ''{"step_seconds": 1}'')'), '42704', 'an unknown deployment');
SELECT (model_mgr.abort_deployment(pg_temp.d())).status;
SELECT (model_mgr.deploy_model_version('m', '6', 'replace')).status;
SELECT is(p.rollout, pg_temp.effective('{"steps": [100], "bake_seconds": 1200}'), 'a replace under way')
FROM model_mgr.adjust_deployment(pg_temp.d(), '{"bake_seconds": 1200}') p;

-- Unknown and missing ids.
SELECT is(pg_temp.code(format('SELECT model_mgr.%s(999)', verb)), '42704', verb || ' of an unknown one') FROM unnest('{promote_deployment,pause_deployment,resume_deployment,abort_deployment}'::text[]) verb;
SELECT is(pg_temp.code(format('SELECT model_mgr.%s(NULL)', verb)), '22004', verb || ' of NULL') FROM unnest('{promote_deployment,pause_deployment,resume_deployment,abort_deployment}'::text[]) verb;
SELECT is(pg_temp.code('SELECT model_mgr.open_deployment(''nobody'')'), '42704', 'open_deployment of an unknown model');
SELECT is(pg_temp.code('SELECT model_mgr.open_deployment(NULL)'), '22004', 'open_deployment of NULL');
SELECT is(string_agg(operation, ' ' ORDER BY audit_id), 'deploy pause resume step promote pause promote promote adjust complete', 'the audit log of version 2')
FROM model_mgr.audit_log WHERE version = '2' AND operation <> 'create' AND operation <> 'create_model_version';

-- While time passes: a step and its line in the diary are of one time, and so is whatever else a transition writes.
RESET model_mgr.clock;
SELECT pg_temp.make_model('t', '1', '2');
SELECT (model_mgr.deploy_model_version('t', v, rollout => '{"steps": [10, 50, 100], "step_seconds": 0, "min_requests": 0, "approval": "final", "bake_seconds": 0}')).status FROM unnest('{1,2}'::text[]) v;
SELECT pg_temp.tick() FROM generate_series(1, 2);
SELECT (model_mgr.approve_step(pg_temp.newest('t'))).status;
SELECT pg_temp.tick();
SELECT results_eq($$SELECT s.started_at, s.traffic_percentage FROM model_mgr.deployment_step s WHERE s.deployment_id = pg_temp.newest('t') ORDER BY s.step$$,
    $$SELECT e."time", e.traffic_percentage FROM model_mgr.explain_deployment(pg_temp.newest('t')) e WHERE e.what LIKE 'step % of traffic'$$, 'steps and their lines');
SELECT ok(p.started_at = (SELECT min(s.started_at) FROM model_mgr.deployment_step s WHERE s.deployment_id = p.deployment_id), 'it began with its first step')
FROM model_mgr.deployment_plan p WHERE p.deployment_id = pg_temp.newest('t');
SELECT is((SELECT max("time") FROM model_mgr.explain_deployment(pg_temp.newest('t'))), d.step_started_at, 'the last so far') FROM model_mgr.get_deployment(pg_temp.newest('t')) d;
SELECT pg_temp.tick();
SELECT is((SELECT "time" FROM model_mgr.explain_deployment(pg_temp.newest('t')) WHERE status = 'completed'), d.finished_at, 'the end') FROM model_mgr.get_deployment(pg_temp.newest('t')) d WHERE d.status = 'completed';
SELECT * FROM finish();
