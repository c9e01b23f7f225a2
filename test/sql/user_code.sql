-- Code that users register runs as they and gets no further: every callback here tries something, all in one work(),
-- and each is judged by what it left behind. Those that try to leave their role, plant what runs later, or outlast their
-- time fail; none of them harms the next.
\i test/fresh.psql
SET client_min_messages = error;
SET search_path = public, tap;
SELECT no_plan();
GRANT USAGE ON SCHEMA tap TO PUBLIC;
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader');
CREATE ROLE regress_model_mgr_author IN ROLE regress_model_mgr_operator;
CREATE ROLE regress_model_mgr_friend;
GRANT regress_model_mgr_friend TO regress_model_mgr_author;
CREATE SCHEMA regress_code AUTHORIZATION regress_model_mgr_author;
-- What ran, as whom; and what only the superuser, who calls work(), may see.
CREATE TABLE regress_code.ran (n serial, name text, role text, note text);
ALTER TABLE regress_code.ran OWNER TO regress_model_mgr_author;
CREATE TABLE public.secret (x text);
INSERT INTO public.secret VALUES ('only for the superuser');
SELECT count(*) FROM model_mgr.create_model_version('m', '1', '{"provider": "p", "model_name": "x"}');
-- make: a callback of the author: its body, as PL/pgSQL statements.
CREATE FUNCTION pg_temp.make(name text, body text, declarations text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_model_mgr_author;
    EXECUTE format($f$CREATE FUNCTION regress_code.%I(event jsonb) RETURNS void LANGUAGE plpgsql AS %L $f$, name,
        'DECLARE ' || declarations || ' BEGIN INSERT INTO regress_code.ran (name, role) VALUES (' || quote_literal(name) || ', current_user); ' || body || ' END');
    PERFORM model_mgr.add_alert_callback(format('regress_code.%I(jsonb)', name)::regprocedure);
    SET LOCAL ROLE NONE;
END $$;
-- happen: an event that is due for every callback.
CREATE FUNCTION pg_temp.happen() RETURNS bigint LANGUAGE sql AS $$
    WITH e AS (INSERT INTO model_mgr.event ("time", type, model_name) VALUES (now(), 'alert.firing', 'm') RETURNING event_id),
    d AS (INSERT INTO model_mgr.callback_delivery (callback_id, event_id, next_attempt_at)
          SELECT c.callback_id, e.event_id, now() - interval '1 minute' FROM model_mgr.callback c, e WHERE c.disabled_at IS NULL RETURNING 1)
    SELECT count(*) FROM d;
$$;
-- said: how the callback's last delivery ended.
CREATE FUNCTION pg_temp.said(name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(c.disabled_reason, c.last_error, 'delivered') FROM model_mgr.callback_list c WHERE c.function = format('regress_code.%I(jsonb)', name);
$$;

-- 1. What a callback may: read and write as its role.
SELECT pg_temp.make('writes', 'INSERT INTO regress_code.ran (name, note) VALUES (''writes'', event ->> ''type'');');
SELECT pg_temp.make('fails', 'RAISE EXCEPTION ''no thanks'' USING errcode = ''P0042'';');
SELECT pg_temp.make('catches', 'BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN INSERT INTO regress_code.ran (name, note) VALUES (''catches'', ''caught''); END;');
SELECT pg_temp.make('own_path', 'INSERT INTO ran (name, note) VALUES (''own_path'', current_setting(''search_path''));');
SET ROLE regress_model_mgr_author;
ALTER FUNCTION regress_code.own_path(jsonb) SET search_path = regress_code;
RESET ROLE;
SELECT pg_temp.make('path', 'UPDATE regress_code.ran SET note = current_setting(''search_path'') WHERE name = ''path'';');
SELECT count(v) FROM unnest(ARRAY['1', '2']) v, model_mgr.create_model_version('watched', v, '{"provider": "p", "model_name": "x"}') \gset
SELECT count(d) FROM unnest(ARRAY['1', '2']) v, model_mgr.deploy_model_version('watched', v, rollout => CASE v WHEN '2' THEN '{"min_requests": 20}' ELSE '{}' END::jsonb) d \gset
SELECT pg_temp.make('records', 'PERFORM model_mgr.update_model_metrics(''watched'', ''2'', success => false) FROM generate_series(1, 50);');
SELECT pg_temp.make('deploys', 'PERFORM model_mgr.abort_deployment(model_mgr.open_deployment(''watched'')); PERFORM model_mgr.deploy_model_version(''watched'', ''2'', ''replace'');');
SELECT pg_temp.make('takes_back', 'PERFORM model_mgr.rollback_model(''watched'', reason => ''by a callback'');');
SELECT pg_temp.make('audited', 'PERFORM model_mgr.set_model(''m'', description => ''by a callback'');');
-- 2. Ways out of the role.
SELECT pg_temp.make('set_role', 'SET ROLE regress_model_mgr_friend;');
SELECT pg_temp.make('reset_role', 'RESET ROLE; INSERT INTO regress_code.ran (name, role) VALUES (''reset_role'', current_user);');
SELECT pg_temp.make('no_role', 'SET LOCAL ROLE NONE;');
SELECT pg_temp.make('config_role', 'PERFORM set_config(''role'', session_user, false);');
SELECT pg_temp.make('session', 'SET SESSION AUTHORIZATION DEFAULT;');
SELECT pg_temp.make('config_session', 'PERFORM set_config(''session_authorization'', session_user, true);');
SELECT pg_temp.make('secret', 'PERFORM x FROM public.secret;');
SELECT pg_temp.make('extension', 'DELETE FROM model_mgr.callback;');
SELECT pg_temp.make('runs_work', 'CALL model_mgr.work();');
SELECT pg_temp.make('runs_run', 'PERFORM model_mgr.work_run(''callback 1 event 1'');');
SELECT pg_temp.make('begins', 'PERFORM model_mgr.work_begin(''callback 1 event 1'');');
-- 3. What would run later, as somebody else or out of reach.
SET ROLE regress_model_mgr_author;
CREATE TABLE regress_code.planted (x integer);
CREATE FUNCTION regress_code.later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO regress_code.ran (name, role, note) VALUES ('later', current_user, (SELECT x FROM public.secret)); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON regress_code.planted DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_code.later();
CREATE TABLE regress_code.planted_now (x integer);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON regress_code.planted_now DEFERRABLE FOR EACH ROW EXECUTE FUNCTION regress_code.later();
RESET ROLE;
SELECT pg_temp.make('deferred', 'INSERT INTO regress_code.planted VALUES (1);');
SELECT pg_temp.make('defers', 'SET CONSTRAINTS ALL DEFERRED; INSERT INTO regress_code.planted_now VALUES (1);');
SELECT pg_temp.make('temporary', 'CREATE TEMP TABLE t (x integer);');
SELECT pg_temp.make('prepares', 'EXECUTE ''PREPARE trap AS SELECT 1'';');
SELECT pg_temp.make('listens', 'LISTEN model_mgr;');
SELECT pg_temp.make('holds', 'EXECUTE ''DECLARE c CURSOR WITH HOLD FOR SELECT 1'';');
SELECT pg_temp.make('discards', 'EXECUTE ''DISCARD ALL'';');
SELECT pg_temp.make('commits', 'COMMIT;');
SELECT pg_temp.make('rolls_back', 'ROLLBACK;');
SELECT pg_temp.make('sets', 'SET work_mem = ''77MB''; SET search_path = regress_code; SET statement_timeout = 1; SET regress.planted = ''x'';');
SELECT pg_temp.make('locks', 'PERFORM pg_advisory_lock(4242); PERFORM pg_advisory_lock_shared(42, 42);');
SELECT pg_temp.make('read_only', 'SET TRANSACTION READ ONLY;');
-- 4. Time, and what looks like the end of it. A failure that says it is a cancellation is a failure.
SELECT pg_temp.make('hangs', 'PERFORM pg_sleep(30);');
SELECT pg_temp.make('loops', 'LOOP END LOOP;');
SELECT pg_temp.make('survives', 'BEGIN PERFORM pg_sleep(30); EXCEPTION WHEN query_canceled THEN NULL; END; INSERT INTO regress_code.ran (name, note) VALUES (''survives'', ''after'');');
SELECT pg_temp.make('forges', 'RAISE EXCEPTION ''canceling statement due to user request'' USING errcode = ''57014'';');
SELECT pg_temp.make('forges_shutdown', 'RAISE EXCEPTION ''terminating connection'' USING errcode = ''57P01'';');
SELECT pg_temp.make('shouts', 'RAISE EXCEPTION ''%'', repeat(''é'', 100000);');
SELECT pg_temp.make('last', '');

-- The session of work() has settings and temporary tables of its own, which are no way into the code either.
CREATE SCHEMA regress_trap;
CREATE TABLE regress_trap.ran (LIKE regress_code.ran);
GRANT ALL ON SCHEMA regress_trap TO PUBLIC;
GRANT ALL ON regress_trap.ran TO PUBLIC;
SET search_path = regress_trap, public, tap;
SET work_mem = '5MB';
SET model_mgr.update_validation_timeout = 2;
SELECT pg_temp.happen() AS callbacks \gset
CALL model_mgr.work();
SELECT is(current_setting('search_path') || ' ' || current_setting('work_mem') || ' ' || current_setting('statement_timeout') || ' ' || coalesce(current_setting('regress.planted', true), ''),
    'regress_trap, public, tap 5MB 0 ', 'the session has its own settings afterwards');
SELECT is(current_user || ' ' || session_user, session_user || ' ' || session_user, 'and its own role');
SELECT is((SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), 0::bigint, 'locks of the session that code took are let go');
SELECT is((SELECT count(*) FROM pg_prepared_statements WHERE name = 'trap') + (SELECT count(*) FROM pg_listening_channels()) + (SELECT count(*) FROM pg_cursors WHERE is_holdable), 0::bigint, 'nothing is left in it');
SELECT is(to_regclass('pg_temp.t'), NULL, 'nor a temporary table');
SELECT is((SELECT count(*) FROM model_mgr.callback), :callbacks::bigint, 'every callback is still there');

SELECT is(pg_temp.said('writes'), 'delivered', 'writes to its own tables');
SELECT is((SELECT string_agg(role || coalesce(note, ''), '') || string_agg(coalesce(note, ''), '') FROM regress_code.ran WHERE name = 'writes'), 'regress_model_mgr_authoralert.firing', 'as its role');
SELECT is(pg_temp.said('catches'), 'delivered', 'catches errors of its own');
SELECT is(pg_temp.said('own_path'), 'delivered', 'a path of its own');
SELECT is((SELECT note FROM regress_code.ran WHERE name = 'own_path' AND note <> ''), 'regress_code', 'is in force');
SELECT is((SELECT note FROM regress_code.ran WHERE name = 'path'), '"$user", public, pg_temp', 'without one: the server''s default with pg_temp last, never the caller''s');
SELECT is((SELECT count(*) FROM regress_trap.ran), 0::bigint, 'the caller''s path leads nobody astray');
SELECT is(pg_temp.said('audited'), 'delivered', 'what the role may do, its code may do');
SELECT is((SELECT caller FROM model_mgr.audit_log WHERE operation = 'set_model'), 'regress_model_mgr_author', 'and the audit log names the role, not who calls work()');
SELECT is(pg_temp.said(name), 'delivered', name) FROM unnest(ARRAY['records', 'deploys', 'takes_back']) name;
SELECT is((SELECT count(*) FROM model_mgr.observation), 50::bigint, 'what it recorded is there');
SELECT is((SELECT version FROM model_mgr.get_active_model('watched')), '1', 'what it took back is taken back');
SELECT is((SELECT string_agg(DISTINCT role, ' ') FROM regress_code.ran), 'regress_model_mgr_author', 'nothing ever ran as anybody else');

SELECT is(pg_temp.said(name), said, name) FROM (VALUES
    ('fails', 'no thanks (SQLSTATE P0042)'),
    ('secret', 'permission denied for table secret (SQLSTATE 42501)'),
    ('extension', 'permission denied for table callback (SQLSTATE 42501)'),
    ('runs_work', 'invalid transaction termination (SQLSTATE 2D000)'),
    ('runs_run', 'registered code must not run registered code (SQLSTATE 42501)'),
    ('begins', 'registered code must not run registered code (SQLSTATE 42501)'),
    ('deferred', 'cannot fire deferred trigger within security-restricted operation (SQLSTATE 42501)'),
    ('defers', 'cannot fire deferred trigger within security-restricted operation (SQLSTATE 42501)'),
    ('temporary', 'cannot create temporary table within security-restricted operation (SQLSTATE 42501)'),
    ('prepares', 'cannot execute PREPARE within security-restricted operation (SQLSTATE 42501)'),
    ('listens', 'cannot execute LISTEN within security-restricted operation (SQLSTATE 42501)'),
    ('holds', 'cannot create a cursor WITH HOLD within security-restricted operation (SQLSTATE 42501)'),
    ('discards', 'cannot execute DISCARD within security-restricted operation (SQLSTATE 42501)'),
    ('commits', 'invalid transaction termination (SQLSTATE 2D000)'),
    ('rolls_back', 'invalid transaction termination (SQLSTATE 2D000)'),
    ('sets', 'delivered'), ('locks', 'delivered'), ('last', 'delivered'), ('read_only', 'delivered'),
    ('hangs', 'it was cancelled after 2 seconds'),
    ('loops', 'it was cancelled after 2 seconds'),
    ('survives', 'it was cancelled after 2 seconds'),
    ('forges', 'canceling statement due to user request (SQLSTATE 57014)'),
    ('forges_shutdown', 'terminating connection (SQLSTATE 57P01)')) w (name, said);
SELECT matches(pg_temp.said(name), '^cannot set parameter "(role|session_authorization)" within security-.* \(SQLSTATE 42501\)$', name)
FROM unnest(ARRAY['set_role', 'reset_role', 'no_role', 'config_role', 'session', 'config_session']) name;
SELECT cmp_ok(octet_length(pg_temp.said('shouts')), '<=', 1000, 'what it says is cut');
SELECT is(pg_temp.said('shouts'), repeat('é', 500), 'between two characters');
SELECT set_eq($$SELECT DISTINCT name FROM regress_code.ran$$, $$VALUES ('writes'), ('catches'), ('own_path'), ('path'), ('audited'), ('records'), ('deploys'), ('takes_back'), ('sets'), ('locks'), ('read_only'), ('last')$$,
    'what failed left nothing behind');
SELECT is((SELECT count(*) FROM regress_code.planted) + (SELECT count(*) FROM regress_code.planted_now), 0::bigint, 'nothing planted');

-- 5. The settings that hold: row security, whoever calls work().
SET ROLE regress_model_mgr_author;
CREATE TABLE regress_code.guarded (x integer);
INSERT INTO regress_code.guarded VALUES (1), (2);
CREATE POLICY odd ON regress_code.guarded USING (x % 2 = 1);
ALTER TABLE regress_code.guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
RESET ROLE;
DELETE FROM model_mgr.callback;
DELETE FROM model_mgr.callback_delivery;
TRUNCATE regress_code.ran;
SELECT pg_temp.make('row_security', 'UPDATE regress_code.ran SET note = (SELECT count(*) FROM regress_code.guarded);');
SELECT pg_temp.happen() \gset
SET row_security = off;
CALL model_mgr.work();
RESET row_security;
SELECT is(pg_temp.said('row_security') || ' ' || (SELECT note FROM regress_code.ran), 'delivered 1', 'policies hold, for the owner too where they are forced');

-- ... and the isolation level, whatever is the session's default.
TRUNCATE regress_code.ran;
SELECT pg_temp.make('isolation', 'UPDATE regress_code.ran SET note = current_setting(''transaction_isolation'') WHERE name = ''isolation'';');
SELECT pg_temp.happen() \gset
SET default_transaction_isolation = serializable;
CALL model_mgr.work();
RESET default_transaction_isolation;
SELECT is((SELECT note FROM regress_code.ran WHERE name = 'isolation'), 'read committed', 'at READ COMMITTED, whatever the session begins with');

-- 6. Locks of the caller's own session are his to keep, as often as he took them; what code took goes all the same.
SELECT pg_temp.make('locks_again', 'PERFORM pg_advisory_lock(4242), pg_advisory_lock_shared(42, 42), pg_advisory_lock(77), pg_advisory_lock_shared(77);');
SELECT pg_temp.make('unlocks', 'PERFORM pg_advisory_unlock_all(), pg_advisory_unlock(77);');
SELECT pg_advisory_lock(77), pg_advisory_lock(77), pg_advisory_lock_shared(78);
SELECT pg_temp.happen() \gset
CALL model_mgr.work();
SELECT is(pg_temp.said(name), 'delivered', name) FROM unnest('{locks_again,unlocks}'::text[]) name;
SELECT is((SELECT string_agg(format('%s %s', objid, mode), ', ' ORDER BY objid, mode) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
    '77 ExclusiveLock, 78 ShareLock', 'the caller''s own locks stay, and no other');
SELECT is(pg_advisory_unlock(77) AND pg_advisory_unlock(77), true, 'a lock taken twice is let go twice');
SET client_min_messages = error;
SELECT is(pg_advisory_unlock(77), false, 'and was not taken more often');
SELECT is(pg_advisory_unlock_shared(78), true, 'a shared one stays shared');
-- ... also when work() itself is cancelled meanwhile.
SELECT pg_temp.make('cancelled', 'PERFORM pg_advisory_lock(4242), pg_sleep(60);');
DELETE FROM model_mgr.callback_delivery;
SELECT pg_temp.happen() \gset
\set VERBOSITY sqlstate
SET statement_timeout = '1s';
CALL model_mgr.work();
RESET statement_timeout;
\set VERBOSITY default
SELECT is((SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), 0::bigint, 'no lock stays of what was cancelled from outside');
SELECT model_mgr.remove_callback(callback_id) FROM model_mgr.callback_list WHERE function = 'regress_code.cancelled(jsonb)';

-- 7. Accepted and run only while the function is there, with that signature, and its registrant's own.
CREATE FUNCTION regress_code.of_friend(event jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
ALTER FUNCTION regress_code.of_friend(jsonb) OWNER TO regress_model_mgr_friend;
SET ROLE regress_model_mgr_author;
SELECT throws_ok($$SELECT model_mgr.add_alert_callback('regress_code.of_friend(jsonb)')$$, '42501', 'regress_code.of_friend(jsonb) is not owned by "regress_model_mgr_author"', 'a function of a role one is a member of is not one''s own');
RESET ROLE;
SELECT throws_ok($$SELECT model_mgr.add_alert_callback('regress_code.of_friend(jsonb)')$$, '42501', NULL, 'a superuser does not lend his rights to others'' code');
SELECT pg_temp.make('given_away', ''), pg_temp.make('dropped', ''), pg_temp.make('moved', ''), pg_temp.make('stays', '');
ALTER FUNCTION regress_code.given_away(jsonb) OWNER TO regress_model_mgr_friend;
DROP FUNCTION regress_code.dropped(jsonb);
ALTER FUNCTION regress_code.moved(jsonb) RENAME TO moved_away;
TRUNCATE regress_code.ran;
SELECT pg_temp.happen() \gset
CALL model_mgr.work();
SELECT is(pg_temp.said(name), said, name) FROM (VALUES
    ('given_away', 'function regress_code.given_away(jsonb) is not owned by role "regress_model_mgr_author" any more'),
    ('dropped', 'function regress_code.dropped(jsonb) does not exist any more'),
    ('moved', 'function regress_code.moved(jsonb) has another name or argument now'),
    ('stays', 'delivered')) w (name, said);
SELECT set_eq('SELECT name FROM regress_code.ran', $$VALUES ('stays'), ('row_security'), ('isolation'), ('locks_again'), ('unlocks')$$, 'the lost ones did not run');
-- Its role under another name is another role, and so is another one that has its name and the function by now.
ALTER ROLE regress_model_mgr_author RENAME TO regress_model_mgr_writer;
CREATE ROLE regress_model_mgr_author;
GRANT ALL ON SCHEMA regress_code TO regress_model_mgr_author;
GRANT ALL ON regress_code.ran TO regress_model_mgr_author;
ALTER FUNCTION regress_code.stays(jsonb) OWNER TO regress_model_mgr_author;
TRUNCATE regress_code.ran;
SELECT pg_temp.happen() \gset
CALL model_mgr.work();
SELECT is((SELECT count(*) FROM regress_code.ran), 0::bigint, 'another role of that name: nothing runs');
SELECT is(pg_temp.said('stays'), 'role "regress_model_mgr_author" is called "regress_model_mgr_writer" now', 'and why');

CREATE FUNCTION regress_code.of_record(event jsonb) RETURNS record LANGUAGE sql AS 'SELECT 1, 2';
SELECT throws_ok($$SELECT model_mgr.add_alert_callback('regress_code.of_record(jsonb)')$$, '42883', 'regress_code.of_record(jsonb) does not return what can be called', 'rows without columns');

-- 8. Who may drive: nobody without the right, and no task that is none.
SET ROLE regress_model_mgr_reader;
SELECT throws_ok('SELECT model_mgr.work_tasks()', '42501', NULL, 'a reader does not');
RESET ROLE;
SELECT throws_ok(format('SELECT model_mgr.%I(%L)', f, t), '22023', NULL, f || ' ' || t)
FROM unnest(ARRAY['work_begin', 'work_run']) f, unnest(ARRAY['', 'callback', 'callback 1 event', 'callback 1 event 2 x', 'callback x event 1', 'metric', 'drop table']) t;
SELECT is(model_mgr.work_begin('callback 4711 event 4711'), false, 'what is not due does not begin');
SELECT is(model_mgr.work_run('callback 4711 event 4711'), false, 'what has not begun does not run');
SELECT is(model_mgr.work_begin('metric source nowhere'), false, 'what is not there does not begin');
SELECT throws_ok('SELECT model_mgr.work_begin(NULL)', '22004', NULL, 'NULL');
-- Inside a transaction the server refuses it, with work or without.
\set VERBOSITY sqlstate
BEGIN;
CALL model_mgr.work();
ROLLBACK;
\set VERBOSITY default

SELECT * FROM finish();
SET client_min_messages = error;
REVOKE USAGE ON SCHEMA tap FROM PUBLIC;
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_code, regress_trap CASCADE;
DROP TABLE public.secret;
DROP ROLE regress_model_mgr_author, regress_model_mgr_writer, regress_model_mgr_friend, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
