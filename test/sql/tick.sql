-- tick(), work(), run(): what is due is done whatever was missed, one step a tick, one model's error apart from the others.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');

SELECT results_eq('SELECT task, items FROM model_mgr.tick()', $$VALUES ('rollups', 0::bigint), ('hours', 0), ('audit', 0), ('deployments', 0), ('experiments', 0), ('updates', 0), ('thresholds', 0),
    ('anomalies', 0), ('events', 0)$$, 'a tick over nothing: its tasks in order');
PREPARE tick AS SELECT task, items FROM model_mgr.tick() WHERE task IN ('rollups', 'deployments', 'failures');
SELECT is((SELECT min(seconds) >= 0 AND sum(seconds) <= extract(epoch FROM clock_timestamp() - statement_timestamp()) FROM model_mgr.tick()), true, 'takes its time in seconds');

-- When it ran, in real time.
SELECT results_eq('SELECT count(*), bool_and(last_started_at <= last_finished_at AND last_finished_at <= clock_timestamp()
    AND last_started_at > clock_timestamp() - interval ''1 minute'') FROM model_mgr.tick_state', 'VALUES (1::bigint, true)', 'tick_state: one row, written by the tick');

-- Isolation levels.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT is(pg_temp.code('SELECT model_mgr.tick()'), '25000', 'not at REPEATABLE READ');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT is(pg_temp.code('SELECT model_mgr.tick()'), '25000', 'not at SERIALIZABLE');
ROLLBACK;
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT is(pg_temp.code('SELECT model_mgr.tick()'), '00000', 'at READ COMMITTED');
ROLLBACK;

-- Missed ticks: a week later there is one step, then the next waits for its own time.
SELECT pg_temp.make_model('late', '1', '2');
SELECT count(model_mgr.deploy_model_version('late', v, rollout => '{"min_requests": 10}')) FROM unnest('{1,2}'::text[]) v;
SELECT pg_temp.outcomes('late', '2', 10, 10);
SELECT pg_temp.at('2026-01-08 00:00:00+00');
SELECT results_eq('EXECUTE tick', $$VALUES ('rollups', 10::bigint), ('deployments', 1)$$, 'a week later');
SELECT is(pg_temp.state('late'), 'running 20 2', 'one step a tick');
SELECT results_eq('EXECUTE tick', $$VALUES ('rollups', 0::bigint), ('deployments', 0)$$, 'twice is harmless');
SELECT is(pg_temp.state('late'), 'running 20 2', 'the next step has its own time');
SELECT string_agg(p.ctid::text, ' ' ORDER BY p.deployment_id) AS plans, string_agg(j.ctid::text, ' ' ORDER BY j.deployment_id) AS judged
FROM model_mgr.deployment_plan p JOIN model_mgr.deployment_judged j USING (deployment_id) \gset
SELECT results_eq('EXECUTE tick', $$VALUES ('rollups', 0::bigint), ('deployments', 0)$$, 'a quiet tick');
SELECT is((SELECT string_agg(p.ctid::text, ' ' ORDER BY p.deployment_id) FROM model_mgr.deployment_plan p), :'plans', 'writes no plan');
SELECT isnt((SELECT string_agg(j.ctid::text, ' ' ORDER BY j.deployment_id) FROM model_mgr.deployment_judged j), :'judged', 'but notes that it has judged');

-- One model's error never stops the others: a broken row of the middle one.
SELECT count(pg_temp.make_model(m, '1', '2')) FROM unnest('{a,b,c}'::text[]) m;
SELECT count(model_mgr.deploy_model_version(m, v, rollout => '{"step_seconds": 0, "min_requests": 0}')) FROM unnest('{1,2}'::text[]) v, unnest('{a,b,c}'::text[]) m;
UPDATE model_mgr.deployment SET rollout = rollout - 'steps' WHERE model_name = 'b' AND version = '2';
SELECT results_eq('EXECUTE tick', $$VALUES ('rollups', 0::bigint), ('deployments', 2), ('failures', 1)$$, 'two go on, one fails');
SELECT is(pg_temp.state('a') || ', ' || pg_temp.state('b') || ', ' || pg_temp.state('c'), 'running 20 2, running 10 1, running 20 2', 'each by itself');
UPDATE model_mgr.deployment SET rollout = '{"steps": [10, 100], "step_seconds": 0, "min_requests": 0, "warmup_seconds": 0, "bake_seconds": 0, "guard": "off", "salt": "fresh"}'
WHERE model_name = 'b' AND version = '2';
SELECT is(pg_temp.tick(), 3::bigint, 'mended, it goes on');
SELECT is(pg_temp.state('b'), 'promoting 100 2', 'where it was');

-- Nor does a failing piece stop the others, or leave the tick unnoted.
CREATE FUNCTION pg_temp.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken' USING errcode = '53100', detail = 'on purpose'; END $$;
CREATE TRIGGER broken BEFORE UPDATE ON model_mgr.rollup_state FOR EACH ROW EXECUTE FUNCTION pg_temp.broken();
SELECT last_started_at AS before FROM model_mgr.tick_state \gset
SELECT results_eq('EXECUTE tick', $$VALUES ('rollups', 0::bigint), ('deployments', 3), ('failures', 1)$$, 'rollouts are judged without a fold');
SELECT cmp_ok((SELECT last_started_at FROM model_mgr.tick_state), '>', :'before'::timestamptz, 'the tick is noted');
CREATE TRIGGER broken BEFORE UPDATE ON model_mgr.tick_state FOR EACH ROW EXECUTE FUNCTION pg_temp.broken();
SELECT results_eq('EXECUTE tick', $$VALUES ('rollups', 0::bigint), ('deployments', 2), ('failures', 2)$$, 'nor is a tick lost that cannot be noted');
DROP TRIGGER broken ON model_mgr.rollup_state;
DROP TRIGGER broken ON model_mgr.tick_state;

-- A fold that takes all of the tick's time, every time, starves nobody.
SELECT pg_temp.make_model('patient', '1', '2');
SELECT count(model_mgr.deploy_model_version('patient', v, rollout => '{"step_seconds": 0, "min_requests": 0}')) FROM unnest('{1,2}'::text[]) v;
CREATE FUNCTION pg_temp.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2.1); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON model_mgr.rollup_state FOR EACH ROW EXECUTE FUNCTION pg_temp.slow();
SELECT cmp_ok(pg_temp.tick(), '>', 0::bigint, 'rollouts are judged after a slow fold');
DROP TRIGGER slow ON model_mgr.rollup_state;
SELECT is(pg_temp.state('patient'), 'running 20 2', 'and step');

-- From the first step to the end in as many ticks as there are changes.
SELECT pg_temp.make_model('fast', '1', '2');
SELECT count(model_mgr.deploy_model_version('fast', v, rollout => '{"step_seconds": 0, "min_requests": 0, "steps": [1, 50, 100]}')) FROM unnest('{1,2}'::text[]) v;
CREATE TEMP TABLE path (n integer, state text);
DO $$ BEGIN FOR i IN 1..4 LOOP PERFORM pg_temp.tick(); INSERT INTO path VALUES (i, pg_temp.state('fast')); END LOOP; END $$;
SELECT is((SELECT string_agg(state, ', ' ORDER BY n) FROM path), 'running 50 2, promoting 100 3, completed 100 3, completed 100 3', 'step, bake, complete, nothing');

-- work() and run() commit, so they stand alone; the clock that the decisions use stays the one that was set.
CALL model_mgr.work();
SELECT pg_temp.make_model('loop', '1', '2');
SELECT count(model_mgr.deploy_model_version('loop', v, rollout => '{"step_seconds": 0, "min_requests": 0, "steps": [1, 100], "bake_seconds": 0}')) FROM unnest('{1,2}'::text[]) v;
CALL model_mgr.run(0);
SELECT is(pg_temp.state('loop'), 'promoting 100 2', 'a round');
SET default_transaction_isolation = 'serializable';
CALL model_mgr.run(0.01);
RESET default_transaction_isolation;
SELECT is(pg_temp.state('loop'), 'completed 100 2', 'more rounds, whatever isolation is the session''s');
SELECT is(pg_temp.code('CALL model_mgr.work()'), '2D000 no detail no hint', 'work() inside a transaction: the server''s own error');
SELECT is(pg_temp.code('CALL model_mgr.run(1)'), '2D000 no detail no hint', 'run() too');
SELECT is(pg_temp.code(format('CALL model_mgr.run(%s)', seconds)), code, 'run ' || seconds) FROM (VALUES ('NULL', '22004'), ('-1', '22003'), ('''NaN''', '22003'),
    ('''Infinity''', '22003'), ('1e10', '22003')) t (seconds, code);

-- The drivers' path is pinned: an operator of the caller's is not used.
CREATE SCHEMA regress_trap;
CREATE FUNCTION regress_trap.sprung(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap has sprung'; END $$;
CREATE OPERATOR regress_trap.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = regress_trap.sprung);
CREATE OPERATOR regress_trap.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = regress_trap.sprung);
SET search_path = regress_trap, pg_catalog;
CALL model_mgr.run(0);
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SET search_path = public, tap;
SET client_min_messages = warning;
DROP SCHEMA regress_trap CASCADE;
RESET client_min_messages;

-- start() and stop() without pg_cron here.
SELECT is(pg_temp.code('SELECT model_mgr.start()'), '0A000', 'start() without pg_cron');
SELECT is(pg_temp.code('SELECT model_mgr.stop()'), '0A000', 'stop() without pg_cron');
SELECT * FROM finish();
