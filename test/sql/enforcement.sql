-- Enforcement: recordings roll a bad version back at their commit, and each case in which they leave that to the tick.
\i test/fresh.psql
\i test/rollout.psql
SET model_mgr.enforcement = on;
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
CREATE FUNCTION pg_temp.canary(name text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.make_model(name, '1', '2');
    PERFORM model_mgr.deploy_model_version(name, '1');
    RETURN (model_mgr.deploy_model_version(name, '2', rollout => '{"min_requests": 20}')).deployment_id;
END $$;
CREATE FUNCTION pg_temp.version_id(name text) RETURNS bigint LANGUAGE sql AS $$
    SELECT version_id FROM model_mgr.model_version WHERE model_name = name AND version = '2' $$;
CREATE FUNCTION pg_temp.open() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(model_name, ' ' ORDER BY model_name) FROM model_mgr.list_deployments() WHERE status = 'running' $$;

-- 1. Each way of recording.
SELECT pg_temp.canary('good'), pg_temp.canary('functions'), pg_temp.canary('inserts'), pg_temp.canary('bulk'), pg_temp.canary('copied'), pg_temp.canary('decided') \gset
SELECT pg_temp.outcomes('good', '2', 100, 100) \gset
SELECT is(pg_temp.state('good'), 'running 10 1', 'a good version goes on, and no recording steps it forward');
SELECT pg_temp.outcomes('functions', '2', 19, 0) \gset
SELECT is(pg_temp.state('functions'), 'running 10 1', 'too little data');
SELECT pg_temp.outcomes('functions', '2', 1, 0) \gset
SELECT is(pg_temp.state('functions'), 'rolled_back 0 1', 'update_model_metrics: the twentieth failure rolls back');
SELECT is((SELECT user_name FROM model_mgr.audit_log WHERE model_name = 'functions' AND operation = 'rollback'), session_user::text, 'and leaves an audit row');
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('inserts'), false FROM generate_series(1, 20);
SELECT is(pg_temp.state('inserts'), 'rolled_back 0 1', 'INSERT');
SELECT model_mgr.record_outcomes(jsonb_agg(jsonb_build_object('model_name', 'bulk', 'version', '2', 'success', false))) FROM generate_series(1, 20) \gset
SELECT is(pg_temp.state('bulk'), 'rolled_back 0 1', 'record_outcomes');
CREATE TEMP TABLE rows AS SELECT pg_temp.version_id('copied'), false FROM generate_series(1, 20);
COPY rows TO PROGRAM 'cat > /tmp/model_mgr_regress_rows';
COPY model_mgr.observation (version_id, success) FROM PROGRAM 'cat /tmp/model_mgr_regress_rows; rm /tmp/model_mgr_regress_rows';
SELECT is(pg_temp.state('copied'), 'rolled_back 0 1', 'COPY');
-- Late truth: nothing is known until the feedback comes.
CREATE TEMP TABLE decided AS SELECT r.decision FROM generate_series(1, 400) i, model_mgr.route('decided', 'u' || i) r WHERE r.variant = 'candidate';
SELECT count(model_mgr.record_outcome(decision, NULL, 0.5)) FROM decided \gset
SELECT is(pg_temp.state('decided'), 'running 10 1', 'outcomes without truth');
SELECT count(model_mgr.record_feedback(decision, false)) FROM decided \gset
SELECT is(pg_temp.state('decided'), 'rolled_back 0 1', 'record_feedback');
SELECT is(pg_temp.open(), 'good', 'no other model was touched');

-- 2. Transactions: judged at commit with the transaction's own rows, whatever order, savepoints and constraints' mode.
SELECT pg_temp.canary('block'), pg_temp.canary('savepoint'), pg_temp.canary('undone'), pg_temp.canary('immediate'), pg_temp.canary('aborted'), pg_temp.canary('two_a'), pg_temp.canary('two_b') \gset
BEGIN;
SELECT pg_temp.outcomes('block', '2', 10, 0) \gset
SELECT pg_temp.outcomes('block', '2', 10, 0) \gset
SELECT is(pg_temp.state('block'), 'running 10 1', 'nothing before the commit');
COMMIT;
SELECT is(pg_temp.state('block'), 'rolled_back 0 1', 'the commit judges all rows of the transaction');
BEGIN;
SAVEPOINT s;
SELECT pg_temp.outcomes('savepoint', '2', 10, 0) \gset
ROLLBACK TO s;
SELECT pg_temp.outcomes('savepoint', '2', 20, 0) \gset
COMMIT;
SELECT is(pg_temp.state('savepoint'), 'rolled_back 0 1', 'an evaluation undone with its savepoint is asked for again');
BEGIN;
SAVEPOINT s;
SELECT pg_temp.outcomes('undone', '2', 30, 0) \gset
ROLLBACK TO s;
SELECT pg_temp.outcomes('undone', '2', 10, 10) \gset
COMMIT;
SELECT is(pg_temp.state('undone'), 'running 10 1', 'rows undone do not count');
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.outcomes('immediate', '2', 19, 0) \gset
SELECT is(pg_temp.state('immediate'), 'running 10 1', 'constraints immediate: not yet');
SELECT pg_temp.outcomes('immediate', '2', 1, 0) \gset
SELECT is(pg_temp.state('immediate'), 'rolled_back 0 1', 'constraints immediate: at the statement');
COMMIT;
SELECT pg_temp.canary('at_once') \gset
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.outcomes('at_once', '2', 20, 0) \gset
COMMIT;
SELECT is(pg_temp.state('at_once'), 'rolled_back 0 1', 'all of them in one statement: the last one is looked at too');
SELECT pg_temp.canary('at_last') \gset
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.outcomes('at_last', '2', 600, 600) \gset
SELECT pg_temp.outcomes('at_last', '2', 600, 0) \gset
COMMIT;
SELECT is(pg_temp.state('at_last'), 'rolled_back 0 1', 'of very many at least some');
BEGIN;
SET CONSTRAINTS model_mgr.observation_enforcement IMMEDIATE;
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('aborted'), false FROM generate_series(1, 30);
SELECT is(pg_temp.state('aborted'), 'rolled_back 0 1', 'rolled back ...');
ROLLBACK;
SELECT is(pg_temp.state('aborted'), 'running 10 1', '... and undone with the rows it was for');
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('aborted'), false FROM generate_series(1, 30);
SELECT is(pg_temp.state('aborted'), 'rolled_back 0 1', 'the next rows bring it back');
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id(name), false FROM (VALUES ('two_a'), ('two_b')) v (name), generate_series(1, 30);
SELECT is(pg_temp.state('two_a') || ', ' || pg_temp.state('two_b'), 'rolled_back 0 1, rolled_back 0 1', 'two models in one statement');

-- 3. The guards: the rows are recorded, the rollout goes on; the tick takes it back.
SELECT pg_temp.canary('rr'), pg_temp.canary('serializable'), pg_temp.canary('replica'), pg_temp.canary('off'), pg_temp.canary('old'), pg_temp.canary('restricted'), pg_temp.canary('unwatched') \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.outcomes('rr', '2', 30, 0) \gset
COMMIT;
SELECT is(pg_temp.state('rr'), 'running 10 1', 'REPEATABLE READ');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.outcomes('serializable', '2', 30, 0) \gset
COMMIT;
SELECT is(pg_temp.state('serializable'), 'running 10 1', 'SERIALIZABLE');
SET session_replication_role = replica;
SELECT pg_temp.outcomes('replica', '2', 30, 0) \gset
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('replica'), false FROM generate_series(1, 30);
RESET session_replication_role;
SELECT is(pg_temp.state('replica'), 'running 10 1', 'session_replication_role = replica');
SET model_mgr.enforcement = off;
SELECT pg_temp.outcomes('off', '2', 30, 0) \gset
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('off'), false FROM generate_series(1, 30);
SET model_mgr.enforcement = on;
SELECT is(pg_temp.state('off'), 'running 10 1', 'model_mgr.enforcement = off');
INSERT INTO model_mgr.observation (version_id, success, routed_at, recorded_at)
SELECT pg_temp.version_id('old'), false, '2026-01-10 12:00:00+00', '2026-01-10 11:49:59+00' FROM generate_series(1, 30);
SELECT is(pg_temp.state('old'), 'running 10 1', 'rows older than the evaluation window, as a restore brings them');
-- A materialised view is refreshed in a security-restricted operation.
CREATE FUNCTION public.record_in(name text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO model_mgr.observation (version_id, success) SELECT v.version_id, false FROM model_mgr.model_version v, generate_series(1, 30) WHERE v.model_name = name AND v.version = '2';
    RETURN model_mgr.record_outcomes(jsonb_build_array(jsonb_build_object('model_name', name, 'version', '2', 'success', false)));
END $$;
CREATE MATERIALIZED VIEW public.recorded AS SELECT public.record_in('restricted') AS n WITH NO DATA;
REFRESH MATERIALIZED VIEW public.recorded;
SELECT is(pg_temp.state('restricted'), 'running 10 1', 'a security-restricted operation');
DROP MATERIALIZED VIEW public.recorded;
DROP FUNCTION public.record_in;
SELECT model_mgr.adjust_deployment(pg_temp.newest('unwatched'), '{"auto_rollback_enabled": false}', 'test') \gset adjusted_
SELECT pg_temp.outcomes('unwatched', '2', 30, 0) \gset
SELECT is(pg_temp.state('unwatched'), 'running 10 1', 'automatic rollback is off');
SELECT is((SELECT count(*) FROM model_mgr.observation WHERE NOT success AND version_id IN (SELECT pg_temp.version_id(n) FROM unnest(ARRAY['rr', 'serializable', 'replica', 'off', 'old', 'restricted', 'unwatched']) n)),
    (30 * 9 + 1)::bigint, 'all of them were recorded');
SELECT items AS judged FROM model_mgr.tick() WHERE task = 'deployments' \gset
SELECT is(pg_temp.open(), 'good old undone unwatched', 'what the trigger left alone the tick takes back (but what is old is outside its window too)');

-- 4. It never makes a recording fail: an error within is caught, the rows stay.
SELECT pg_temp.canary('broken') \gset
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON model_mgr.audit_log FOR EACH ROW EXECUTE FUNCTION public.refuse();
SELECT pg_temp.outcomes('broken', '2', 30, 0) \gset
SELECT is(pg_temp.state('broken'), 'running 10 1', 'the rollback failed ...');
SELECT is((SELECT count(*) FROM model_mgr.observation WHERE version_id = pg_temp.version_id('broken')), 30::bigint, '... the recordings did not');
DROP TRIGGER refuse ON model_mgr.audit_log;
DROP FUNCTION public.refuse();
SELECT pg_temp.outcomes('broken', '2', 1, 0) \gset
SELECT is(pg_temp.state('broken'), 'rolled_back 0 1', 'and the next one rolls back');

-- It limits its own time: what hangs in it is ended after two seconds. A cancel by somebody else is heeded.
SELECT pg_temp.canary('hanging'), pg_temp.canary('cancelled') \gset
CREATE FUNCTION public.hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER hang BEFORE INSERT ON model_mgr.audit_log FOR EACH ROW EXECUTE FUNCTION public.hang();
SELECT clock_timestamp() AS began \gset
SELECT pg_temp.outcomes('hanging', '2', 30, 0) \gset
SELECT ok(clock_timestamp() - :'began' < interval '60 seconds', 'the commit came back');
SELECT is((SELECT count(*) FROM model_mgr.observation WHERE version_id = pg_temp.version_id('hanging')), 30::bigint, 'with its recordings');
SELECT is(pg_temp.state('hanging'), 'running 10 1', 'and without a rollback');
CREATE OR REPLACE FUNCTION public.hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NEW; END $$;
\set VERBOSITY sqlstate
SELECT pg_temp.outcomes('cancelled', '2', 30, 0) \gset
\set VERBOSITY default
SELECT is((SELECT count(*) FROM model_mgr.observation WHERE version_id = pg_temp.version_id('cancelled')), 0::bigint, 'a cancelled commit is no commit');
DROP TRIGGER hang ON model_mgr.audit_log;
DROP FUNCTION public.hang();
SELECT pg_temp.outcomes('hanging', '2', 1, 0) \gset
SELECT is(pg_temp.state('hanging'), 'rolled_back 0 1', 'afterwards all is as before');

-- A large backlog is left to the tick, unless nobody has folded for a while.
SELECT pg_temp.canary('backlog'), model_mgr.maintenance_run('fold') AS folded \gset
SET model_mgr.enforcement = off;
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('backlog'), true FROM generate_series(1, 60000);
SET model_mgr.enforcement = on;
SELECT pg_temp.outcomes('backlog', '2', 1, 1) \gset
SELECT is((SELECT count(*) FROM model_mgr.rollup_minute WHERE version_id = pg_temp.version_id('backlog')), 0::bigint, 'not folded at a commit');
SELECT is((SELECT sum(requests) FROM model_mgr.rollup_now WHERE version_id = pg_temp.version_id('backlog')), 60001::numeric, 'but seen');
UPDATE model_mgr.rollup_state SET folded_at = folded_at - interval '61 seconds';
SELECT pg_temp.outcomes('backlog', '2', 1, 1) \gset
SELECT is((SELECT sum(requests) FROM model_mgr.rollup_minute WHERE version_id = pg_temp.version_id('backlog')), 60001::numeric, 'without anybody who folds, one commit folds it all');

-- A long load does not read its rows again at its commit; the next recording convicts by them.
SELECT pg_temp.canary('load') \gset
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('load'), false FROM generate_series(1, 100001);
SELECT is(pg_temp.state('load'), 'running 10 1', 'a load is left to whoever comes next');
SELECT pg_temp.outcomes('load', '2', 1, 0) \gset
SELECT is(pg_temp.state('load'), 'rolled_back 0 1', 'and is not forgotten');
SELECT model_mgr.maintenance_run('fold') > 100000 AS folded \gset

-- 5. Rights: a role that may only record rolls back, and may do nothing else.
SELECT pg_temp.canary('by_app'), pg_temp.canary('by_insert') \gset
SELECT model_mgr.setup_roles('regress_admin', 'regress_operator', 'regress_app', 'regress_reader') \gset
SELECT pg_temp.version_id('by_insert') AS by_insert \gset
SET ROLE regress_app;
SELECT count(model_mgr.update_model_metrics('by_app', '2', success => false)) FROM generate_series(1, 30) \gset
INSERT INTO model_mgr.observation (version_id, success) SELECT :by_insert, false FROM generate_series(1, 30);
SET client_min_messages = error;
\set VERBOSITY sqlstate
SELECT count(*) FROM model_mgr.observation;
INSERT INTO model_mgr.observation (version_id, txn) VALUES (1, 1);
SELECT model_mgr.rollback_model('by_app');
DELETE FROM model_mgr.observation;
\set VERBOSITY default
RESET client_min_messages;
RESET ROLE;
SELECT is(pg_temp.state('by_app'), 'rolled_back 0 1', 'recordings of the application role');
SELECT is(pg_temp.state('by_insert'), 'rolled_back 0 1', 'its INSERT');
SELECT is((SELECT string_agg(DISTINCT user_name || ' ' || caller, ',') FROM model_mgr.audit_log WHERE model_name LIKE 'by_%' AND operation = 'rollback'),
    session_user || ' ' || (SELECT r.rolname FROM pg_extension e JOIN pg_roles r ON r.oid = e.extowner WHERE e.extname = 'model_mgr'), 'who recorded, and that it was automatic');
DROP OWNED BY regress_admin, regress_operator, regress_app, regress_reader;
DROP ROLE regress_admin, regress_operator, regress_app, regress_reader;

-- 6. With the clock running: about once a second a model, a burst at first.
SET model_mgr.clock = '';
SELECT pg_temp.canary('live') \gset
CREATE PROCEDURE pg_temp.record(n integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        PERFORM model_mgr.update_model_metrics('live', '2', success => true);
        COMMIT;
    END LOOP;
END $$;
-- Each evaluation folds, so it updates the watermark.
CREATE TEMP TABLE folds (n integer);
CREATE FUNCTION public.note_fold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pg_temp.folds VALUES (NULL); RETURN NULL; END $$;
CREATE TRIGGER note_fold AFTER UPDATE ON model_mgr.rollup_state FOR EACH ROW EXECUTE FUNCTION public.note_fold();
SELECT clock_timestamp() AS began \gset
CALL pg_temp.record(200);
SELECT extract(epoch FROM clock_timestamp() - :'began')::bigint AS seconds \gset
DROP TRIGGER note_fold ON model_mgr.rollup_state;
DROP FUNCTION public.note_fold();
SELECT cmp_ok(count(*), '>', 0::bigint, 'recordings evaluate') FROM folds;
SELECT cmp_ok(count(*), '<=', 10::bigint + 2 * :seconds, '200 of them a few times only') FROM folds;
SELECT is(pg_temp.state('live'), 'running 10 1', 'good ones');
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('live'), false FROM generate_series(1, 200);
SELECT pg_sleep(1.1);
SELECT pg_temp.outcomes('live', '2', 1, 0) \gset
SELECT is(pg_temp.state('live'), 'rolled_back 0 1', 'a breach is found within a second or so');
-- 7. A load for very many models evaluates for a quarter of a second at most; the tick does the rest.
SELECT count(pg_temp.canary('many' || i)) FROM generate_series(1, 300) i;
INSERT INTO model_mgr.observation (version_id, success) SELECT pg_temp.version_id('many' || i), false FROM generate_series(1, 300) i, generate_series(1, 20);
-- A tick starts no new work after two seconds; a slow machine needs several.
DO $$
BEGIN
    FOR i IN 1 .. 100 LOOP
        PERFORM model_mgr.tick();
        EXIT WHEN (SELECT count(*) FROM model_mgr.list_deployments(status => 'rolled_back') WHERE model_name LIKE 'many%') = 300;
    END LOOP;
END $$;
SELECT is((SELECT count(*) FROM model_mgr.list_deployments(status => 'rolled_back') WHERE model_name LIKE 'many%'), 300::bigint, 'none is forgotten');
SELECT finish();
