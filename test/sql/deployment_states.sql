-- Every verb in every status of a rollout: what becomes of it, or the SQLSTATE with DETAIL and HINT.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');

-- One model a status, its deployment of version 2 beside version 1.
CREATE TABLE stand (status text PRIMARY KEY, deployment_id bigint);
CREATE FUNCTION pg_temp.put(wanted text, rollout jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM pg_temp.make_model(wanted, '1', '2', '3');
    PERFORM model_mgr.deploy_model_version(wanted, '1');
    SELECT d.deployment_id INTO id FROM model_mgr.deploy_model_version(wanted, '2', rollout => '{"steps": [10, 50, 100], "step_seconds": 60, "min_requests": 0}' || rollout) d;
    INSERT INTO stand VALUES (wanted, id);
    RETURN id;
END $$;
SELECT pg_temp.put('pending', '{"start_at": "2026-01-02 00:00:00+00"}') IS NOT NULL, pg_temp.put('running', '{}') IS NOT NULL,
    pg_temp.put('paused', '{}') IS NOT NULL, pg_temp.put('awaiting_approval', '{"approval": "each_step", "step_seconds": 0}') IS NOT NULL,
    pg_temp.put('promoting', '{}') IS NOT NULL, pg_temp.put('completed', '{"bake_seconds": 0}') IS NOT NULL, pg_temp.put('rolled_back', '{}') IS NOT NULL,
    pg_temp.put('aborted', '{}') IS NOT NULL, pg_temp.put('failed', '{"start_at": "2026-01-01 00:00:01+00"}') IS NOT NULL;
SELECT count(CASE status WHEN 'paused' THEN model_mgr.pause_deployment(deployment_id, 'to see')
    WHEN 'promoting' THEN model_mgr.promote_deployment(deployment_id, true)
    WHEN 'completed' THEN model_mgr.promote_deployment(deployment_id, true)
    WHEN 'aborted' THEN model_mgr.abort_deployment(deployment_id) END) FROM stand;
SELECT model_mgr.rollback_model('rolled_back');
-- While something is under way no verb archives its version; only by hand does one become failed so far.
SELECT pg_temp.code($$SELECT model_mgr.archive_model_version('failed', '2')$$);
UPDATE model_mgr.model_version SET status = 'archived' WHERE model_name = 'failed' AND version = '2';
SELECT pg_temp.at('2026-01-01 00:00:01+00');
SELECT pg_temp.tick();
SELECT is(d.status, s.status, 'it is ' || s.status) FROM stand s JOIN model_mgr.deployment d USING (deployment_id) ORDER BY s.deployment_id;

-- 'status share step, statuses of versions' after a verb, undone again; or SQLSTATE.
CREATE FUNCTION pg_temp.after(status text, verb text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; detail text; hint text; id bigint := (SELECT s.deployment_id FROM stand s WHERE s.status = after.status);
BEGIN
    EXECUTE format(verb, id, status);
    RAISE EXCEPTION USING errcode = 'P0001', message = (SELECT format('%s %s %s; %s', d.status, d.traffic_percentage, d.step, pg_temp.statuses(d.model_name))
        FROM model_mgr.deployment d WHERE d.deployment_id = id);
EXCEPTION WHEN raise_exception THEN
    RETURN sqlerrm;
WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN state || CASE WHEN detail = '' THEN ' no detail' ELSE '' END || CASE WHEN hint = '' THEN ' no hint' ELSE '' END;
END $$;
SET client_min_messages = warning;  -- 'paused already' and the like
\pset tuples_only off
\pset footer off
\echo promote_deployment
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.promote_deployment(%s)') AS after FROM stand s ORDER BY deployment_id;
\echo promote_deployment, all steps
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.promote_deployment(%s, true)') AS after FROM stand s ORDER BY deployment_id;
\echo pause_deployment
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.pause_deployment(%s)') AS after FROM stand s ORDER BY deployment_id;
\echo resume_deployment
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.resume_deployment(%s)') AS after FROM stand s ORDER BY deployment_id;
\echo abort_deployment
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.abort_deployment(%s)') AS after FROM stand s ORDER BY deployment_id;
\echo approve_step
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.approve_step(%s)') AS after FROM stand s ORDER BY deployment_id;
\echo adjust_deployment
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.adjust_deployment(%s, ''{"rollback_min_success_rate": 0.5, "step_seconds": 5}'')') AS after FROM stand s ORDER BY deployment_id;
\echo rollback_model
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.rollback_model(%2$L)') AS after FROM stand s ORDER BY deployment_id;
\echo rollback_model to version 1
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.rollback_model(%2$L, ''1'')') AS after FROM stand s ORDER BY deployment_id;
\echo deploy_model_version, version 3
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.deploy_model_version(%2$L, ''3'')') AS after FROM stand s ORDER BY deployment_id;
\echo deploy_model_version, version 3, supersede
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.deploy_model_version(%2$L, ''3'', supersede => true)') AS after FROM stand s ORDER BY deployment_id;
\echo freeze
SELECT s.status, pg_temp.after(s.status, 'SELECT model_mgr.freeze(%2$L, ''infinity'')') AS after FROM stand s ORDER BY deployment_id;
\pset tuples_only on
\pset footer on
RESET client_min_messages;
SELECT results_eq('SELECT d.status FROM stand s JOIN model_mgr.deployment d USING (deployment_id) ORDER BY deployment_id',
    'SELECT status FROM stand ORDER BY deployment_id', 'all was undone');
-- Two people press rollback: one version back, not two.
SELECT is(model_mgr.rollback_model(m), true, m) FROM unnest('{running,promoting,completed}'::text[]) m;
SELECT is(model_mgr.rollback_model(m), false, m || ', the second time') FROM unnest('{running,promoting,completed}'::text[]) m;
SELECT is(pg_temp.statuses(m), '1 active, 2 rolled_back, 3 pending', m || ' is back at version 1') FROM unnest('{running,promoting,completed}'::text[]) m;
SELECT * FROM finish();
DROP TABLE stand;
