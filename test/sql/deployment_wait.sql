-- wait_for_deployment(): drives the clockwork until a deployment has completed, and fails as a pipeline should when it has
-- not: not in time, or taken back. In real time: it waits by the server's clock.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
\set SHOW_CONTEXT never

-- What has completed needs no wait; no more does what ended badly, which is an error however long ago.
SELECT pg_temp.make_model('m', '1', '2', '3', '4', '5');
SELECT deployment_id AS first FROM model_mgr.deploy_model_version('m', '1') \gset
CALL model_mgr.wait_for_deployment(:first);
CALL model_mgr.wait_for_deployment(deployment_id => :first, timeout_seconds => NULL);
SELECT is((SELECT last_started_at FROM model_mgr.tick_state), NULL, 'completed: nothing is driven');

-- From the first step to the end of the bake, by its own ticks, a transaction a round.
SELECT deployment_id AS second FROM model_mgr.deploy_model_version('m', '2', rollout => '{"step_seconds": 0, "min_requests": 0, "steps": [1, 50, 100], "bake_seconds": 1}') \gset
SET default_transaction_isolation = 'serializable';
CALL model_mgr.wait_for_deployment(:second, 60);
RESET default_transaction_isolation;
SELECT is(pg_temp.state('m'), 'completed 100 3', 'steps, bakes and completes, whatever isolation is the session''s');
SELECT is((SELECT count(DISTINCT xmin::text) FROM model_mgr.deployment_event WHERE deployment_id = :second) >= 4, true, 'each change is its own transaction');

\set VERBOSITY terse
-- Baking is not done yet: the time runs out, and what was done meanwhile stays.
SELECT deployment_id AS third FROM model_mgr.deploy_model_version('m', '3', rollout => '{"step_seconds": 0, "min_requests": 0, "steps": [1, 100], "bake_seconds": 3600}') \gset
CALL model_mgr.wait_for_deployment(:third, 0);
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'the time ran out');
SELECT is(pg_temp.state('m'), 'promoting 100 2', 'a timeout of 0 is one round, which stays done');
SELECT clock_timestamp() AS before \gset
CALL model_mgr.wait_for_deployment(:third, 1.5);
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'baking is not done');
SELECT is(extract(epoch FROM clock_timestamp() - :'before') BETWEEN 1.5 AND 30, true, 'it has waited as long as it was told');

\set VERBOSITY default
-- What ends badly is an error, with the reason.
SELECT deployment_id AS fourth FROM model_mgr.deploy_model_version('m', '4', rollout => '{"steps": [50, 100], "min_requests": 20}') \gset
SELECT pg_temp.outcomes('m', '4', 100, 50);
CALL model_mgr.wait_for_deployment(:fourth, 60);
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'rolled back while it was waited for');
SELECT is(pg_temp.state('m'), 'rolled_back 0 1', 'by the tick of the waiting itself');
CALL model_mgr.wait_for_deployment(:fourth);
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'and so later');
SELECT deployment_id AS fifth FROM model_mgr.deploy_model_version('m', '5') \gset
SELECT (model_mgr.abort_deployment(:fifth, 'wrong one')).status;
CALL model_mgr.wait_for_deployment(:fifth);
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'aborted');

-- The texts, told by a connection that has caught them.
CREATE FUNCTION pg_temp.told(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text; state text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT is(pg_temp.told('CALL model_mgr.wait_for_deployment(987654)'),
    '42704 | deployment 987654 does not exist | No deployment has this id. | list_deployments() shows all; open_deployment(model_name) finds the running one.', 'unknown');
SELECT is(pg_temp.told(format('CALL model_mgr.wait_for_deployment(%s)', :first)), '2D000 | invalid transaction termination', 'inside a transaction, also when there is nothing to wait for');
SELECT is(pg_temp.code(format('CALL model_mgr.wait_for_deployment(%s)', arguments)), code, arguments) FROM (VALUES ('NULL', '22004'), (:first || ', -1', '22003'),
    (:first || ', ''NaN''', '22003'), (:first || ', ''Infinity''', '22003')) t (arguments, code);

\set VERBOSITY terse
-- The path is pinned: an operator of the caller's is not used.
CREATE SCHEMA regress_trap;
CREATE FUNCTION regress_trap.sprung(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap has sprung'; END $$;
CREATE FUNCTION regress_trap.sprung(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap has sprung'; END $$;
CREATE OPERATOR regress_trap.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = regress_trap.sprung);
CREATE OPERATOR regress_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_trap.sprung);
SET search_path = regress_trap, pg_catalog;
CALL model_mgr.wait_for_deployment(:second);
CALL model_mgr.wait_for_deployment(:third, 0);
SET search_path = public, tap;
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'nothing of the caller''s path is called');
SET client_min_messages = warning;
DROP SCHEMA regress_trap CASCADE;
RESET client_min_messages;
-- The hint is the verb that its state allows.
\set VERBOSITY default
SET model_mgr.clock = '2026-01-01 00:00:00+00';
SET TimeZone = 'UTC';
SELECT pg_temp.make_model('told', '1', '2') \g /dev/null
SELECT (model_mgr.deploy_model_version('told', '1')).status;
SELECT deployment_id AS told FROM model_mgr.deploy_model_version('told', '2', rollout => '{"steps": [50, 100], "approval": "final", "step_seconds": 0, "min_requests": 0}') \gset
CALL model_mgr.wait_for_deployment(:told, 0);
SELECT (model_mgr.approve_step(:told)).status;
CALL model_mgr.wait_for_deployment(:told, 0);

SELECT * FROM finish();
DROP EXTENSION model_mgr;
