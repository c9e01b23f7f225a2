-- Callbacks: who may register what, what they are given and as whom they run, what happens to those that fail, hang or
-- get lost, and that none of them harms another.
\i test/fresh.psql
\i test/rollout.psql
SET client_min_messages = error;
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader');
CREATE ROLE regress_model_mgr_ann IN ROLE regress_model_mgr_operator;
CREATE ROLE regress_model_mgr_bob IN ROLE regress_model_mgr_operator;
CREATE SCHEMA regress_callback;
GRANT USAGE, CREATE ON SCHEMA regress_callback TO regress_model_mgr_ann, regress_model_mgr_bob;
-- What callbacks were given, by whom.
CREATE TABLE regress_callback.got (n serial, callback text, role text, event jsonb, real_time timestamptz DEFAULT clock_timestamp());
CREATE TABLE regress_callback.fails (callback text, event_id bigint);
GRANT INSERT, SELECT ON regress_callback.got, regress_callback.fails TO PUBLIC;
GRANT USAGE ON SEQUENCE regress_callback.got_n_seq TO PUBLIC;
-- make: a callback that writes down what it got, unless it is told to fail for an event (NULL: for every one).
CREATE FUNCTION pg_temp.make(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$CREATE FUNCTION regress_callback.%I(event jsonb) RETURNS void LANGUAGE plpgsql AS $c$
        BEGIN
            INSERT INTO regress_callback.got (callback, role, event) VALUES (%L, current_user, event);
            IF EXISTS (SELECT FROM regress_callback.fails f WHERE f.callback = %L AND coalesce(f.event_id, (event ->> 'event_id')::bigint) = (event ->> 'event_id')::bigint) THEN
                RAISE EXCEPTION 'no thanks';
            END IF;
        END $c$ $f$, name, name, name);
END $$;
-- got: 'callback event, ...' since the last look.
CREATE FUNCTION pg_temp.got() RETURNS text LANGUAGE sql AS $$
    WITH g AS (DELETE FROM regress_callback.got RETURNING *) SELECT string_agg(format('%s %s', g.callback, g.event ->> 'event_id'), ', ' ORDER BY g.n) FROM g;
$$;
-- take_back: an automatic rollback of a model; its event's number.
CREATE FUNCTION pg_temp.take_back(model_name text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.make_model(model_name, '1', '2');
    PERFORM model_mgr.deploy_model_version(model_name, '1');
    PERFORM model_mgr.deploy_model_version(model_name, '2', rollout => '{"min_requests": 10}');
    PERFORM pg_temp.outcomes(model_name, '2', 10, 0);
    PERFORM model_mgr.tick();
    RETURN (SELECT max(e.event_id) FROM model_mgr.event_list e WHERE e.type = 'deployment.rolled_back');
END $$;
-- as_role: what a statement gives when a role runs it, or its SQLSTATE.
CREATE FUNCTION pg_temp.as_role(name text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('role', name, true);
    BEGIN
        EXECUTE statement INTO result;
    EXCEPTION WHEN OTHERS THEN
        result := SQLSTATE;
    END;
    PERFORM set_config('role', 'none', true);
    RETURN result;
END $$;
CREATE FUNCTION pg_temp.ann(statement text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.as_role('regress_model_mgr_ann', statement) $$;
CREATE FUNCTION pg_temp.bob(statement text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.as_role('regress_model_mgr_bob', statement) $$;
CREATE FUNCTION pg_temp.row_of(wanted bigint) RETURNS model_mgr.callback_list LANGUAGE sql AS $$
    SELECT c FROM model_mgr.callback_list c WHERE c.callback_id = wanted;
$$;

-- Who may register what.
SELECT pg_temp.ann($$SELECT pg_temp.make('first'), pg_temp.make('second')$$);
SELECT is(pg_temp.ann($$SELECT model_mgr.add_rollback_callback('regress_callback.first(jsonb)')$$), '1', 'registered');
SELECT is(pg_temp.ann($$SELECT model_mgr.add_rollback_callback('regress_callback.first(jsonb)')$$), '1', 'again: the same');
SELECT is(pg_temp.ann($$SELECT model_mgr.add_alert_callback('regress_callback.first(jsonb)')$$), '2', 'for alerts: another');
SELECT is(pg_temp.ann($$SELECT model_mgr.add_rollback_callback('regress_callback.second(jsonb)')$$), '3', 'another function');
CREATE FUNCTION regress_callback.of_text(event text) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION regress_callback.of_json(event json) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION regress_callback.of_none() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION regress_callback.of_two(event jsonb, more jsonb DEFAULT NULL) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION regress_callback.of_many(VARIADIC event jsonb[]) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE PROCEDURE regress_callback.a_procedure(event jsonb) LANGUAGE sql AS 'SELECT';
CREATE AGGREGATE regress_callback.an_aggregate(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb);
SELECT is(pg_temp.code(format('SELECT model_mgr.add_alert_callback(%L)', f)), '42883', f || ' is no callback')
FROM unnest(ARRAY['regress_callback.of_text(text)', 'regress_callback.of_json(json)', 'regress_callback.of_none()', 'regress_callback.of_two(jsonb, jsonb)',
    'regress_callback.of_many(jsonb[])', 'regress_callback.a_procedure(jsonb)', 'regress_callback.an_aggregate(jsonb)', '0', '4294967295']) f;
SELECT throws_ok($$SELECT model_mgr.add_alert_callback('regress_callback.nowhere(jsonb)')$$, '42883', NULL, 'a function that is not there');
SELECT is(pg_temp.code('SELECT model_mgr.add_alert_callback(NULL)'), '22004', 'NULL');
SELECT is(pg_temp.code('SELECT model_mgr.add_rollback_callback(NULL)'), '22004', 'NULL');
SELECT is(pg_temp.ann($$SELECT model_mgr.add_alert_callback('pg_catalog.jsonb_array_length(jsonb)')$$), '42501', 'the server''s own is not the caller''s');
SELECT is(pg_temp.bob($$SELECT model_mgr.add_rollback_callback('regress_callback.first(jsonb)')$$), '42501', 'somebody else''s');
SELECT is(pg_temp.code($$SELECT model_mgr.add_rollback_callback('regress_callback.first(jsonb)')$$), '42501', 'somebody else''s, for a superuser too');
SELECT is(pg_temp.as_role('regress_model_mgr_reader', format('SELECT model_mgr.%s', call)), '42501', 'a reader may not: ' || call)
FROM unnest(ARRAY['add_rollback_callback(NULL)', 'add_alert_callback(NULL)', 'remove_callback(1)', 'work_tasks()']) call;
SELECT is((SELECT count(*) FROM model_mgr.callback), 3::bigint, 'what was refused is not there');
SELECT results_eq($$SELECT callback_id, kind, function, role_name, registered_at, disabled_at, pending FROM model_mgr.callback_list ORDER BY 1$$,
    $$VALUES (1::bigint, 'rollback', 'regress_callback.first(jsonb)', 'regress_model_mgr_ann', '2026-01-01 00:00:00+00'::timestamptz, NULL::timestamptz, 0::bigint),
    (2, 'alert', 'regress_callback.first(jsonb)', 'regress_model_mgr_ann', '2026-01-01 00:00:00+00', NULL, 0),
    (3, 'rollback', 'regress_callback.second(jsonb)', 'regress_model_mgr_ann', '2026-01-01 00:00:00+00', NULL, 0)$$, 'callback_list');
SELECT results_eq($$SELECT operation, details FROM model_mgr.audit_log WHERE operation LIKE '%callback%' ORDER BY audit_id LIMIT 1$$,
    $$VALUES ('add_rollback_callback', '{"callback_id": 1, "function": "regress_callback.first(jsonb)", "role": "regress_model_mgr_ann"}'::jsonb)$$, 'audited');
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE operation LIKE '%callback%'), 3::bigint, 'each once');

-- What they are given: exactly what the contract says, of what happens after they were registered.
SELECT pg_temp.take_back('spam') AS e1 \gset
SELECT is((SELECT count(*) FROM model_mgr.callback_due), 2::bigint, 'due: both rollback callbacks');
CALL model_mgr.work();
SELECT is((SELECT array_agg(g.role ORDER BY g.n) FROM regress_callback.got g), '{regress_model_mgr_ann,regress_model_mgr_ann}', 'they run as who registered them');
SELECT is((SELECT g.event FROM regress_callback.got g WHERE g.callback = 'first'), jsonb_build_object('event_id', :e1, 'type', 'deployment.rolled_back',
    'time', '2026-01-01T00:00:00+00:00', 'model_name', 'spam', 'version', '2', 'deployment_id', pg_temp.newest('spam'),
    'reason', 'success rate 0 is below the minimum 0.95 over 10 outcomes in the last 10 minutes', 'target_version', '1', 'evidence',
    (SELECT e.evidence FROM model_mgr.explain_deployment(pg_temp.newest('spam')) e WHERE e.what LIKE 'automatically%')), 'an automatic rollback');
SELECT is((SELECT jsonb_typeof(g.event -> 'evidence') FROM regress_callback.got g WHERE g.callback = 'second'), 'object', 'with its evidence');
SELECT is(pg_temp.got(), format('first %s, second %s', :e1, :e1), 'once each');
CALL model_mgr.work();
SELECT is(pg_temp.got(), NULL, 'and no more');
SELECT is(format('%s %s %s %s', c.pending, c.delivered, c.given_up, c.last_delivered_at), '0 1 0 2026-01-01 00:00:00+00', 'callback_list: delivered')
FROM pg_temp.row_of(1) c;
SELECT (model_mgr.deploy_model_version('spam', '2', 'replace')).status;
SELECT model_mgr.rollback_model('spam');
SELECT (model_mgr.deploy_model_version('spam', '2')).status;
SELECT (model_mgr.abort_deployment(pg_temp.newest('spam'))).status;
SELECT is((SELECT count(*) FROM model_mgr.callback_due), 0::bigint, 'what a person does calls nobody');
SET model_mgr.event_type_prefix = 'com.example.';
BEGIN;
SELECT pg_temp.take_back('dry');
ROLLBACK;
SELECT is((SELECT count(*) FROM model_mgr.callback_due), 0::bigint, 'nor does a dry run');
SELECT (model_mgr.deploy_model_version('spam', '2', 'replace')).status;
SELECT pg_temp.outcomes('spam', '2', 100, 0);
SELECT pg_temp.tick();
RESET model_mgr.event_type_prefix;
CALL model_mgr.work();
SELECT is((SELECT array_agg(g.event ->> 'type') FROM regress_callback.got g), '{com.example.deployment.rolled_back,com.example.deployment.rolled_back}',
    'whatever the prefix is');
SELECT pg_temp.got() IS NOT NULL;

-- One that fails is tried again after 1, 2, 4, ... minutes, at most an hour, for a day; the others go on.
SELECT pg_temp.bob($$SELECT pg_temp.make('third')$$);
SELECT pg_temp.bob($$SELECT model_mgr.add_rollback_callback('regress_callback.third(jsonb)')$$) AS third \gset
INSERT INTO regress_callback.fails VALUES ('second', NULL);
SELECT pg_temp.take_back('eggs') AS e2 \gset
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('first %s, third %s', :e2, :e2), 'the others are served; what a failing one wrote is undone');
SELECT is(format('%s %s %s %s', c.pending, c.next_attempt_at, c.disabled_at, c.last_error), '1 2026-01-01 00:01:00+00  no thanks (SQLSTATE P0001)', 'callback_list: why and when again')
FROM pg_temp.row_of(3) c;
CALL model_mgr.work();
SELECT is((SELECT d.attempts FROM model_mgr.callback_delivery d WHERE d.callback_id = 3 AND d.event_id = :e2), 1, 'not before its time');
CREATE TEMP TABLE attempt (n integer, minute integer);
-- Each minute of 26 hours, as pg_cron would.
DO $$
BEGIN
    FOR i IN 1 .. 1560 LOOP
        PERFORM set_config('model_mgr.clock', ('2026-01-01 00:00:00+00'::timestamptz + make_interval(mins => i))::text, false);
        CALL model_mgr.work();
        INSERT INTO attempt SELECT d.attempts, i FROM model_mgr.callback_delivery d
        WHERE d.callback_id = 3 AND d.event_id = (SELECT max(e.event_id) FROM model_mgr.event_list e WHERE e.type = 'deployment.rolled_back')
        AND d.attempts > coalesce((SELECT max(a.n) FROM attempt a), 1);
        COMMIT;
    END LOOP;
END $$;
SELECT is((SELECT array_agg(a.minute ORDER BY a.n) FROM attempt a WHERE a.n <= 9), '{1,3,7,15,31,63,123,183}', 'after 1, 2, 4, ... minutes, at most an hour');
SELECT is((SELECT max(a.minute) FROM attempt a), 1443, 'and for the last time when a day has passed');
SELECT is(format('%s %s %s', c.pending, c.given_up, c.next_attempt_at), '0 1 ', 'callback_list: given up') FROM pg_temp.row_of(3) c;
SELECT is(pg_temp.got(), NULL, 'nobody else was called for it again');
DELETE FROM regress_callback.fails;
SELECT pg_temp.at('2026-01-03 00:00:00+00');
CALL model_mgr.work();
SELECT is(pg_temp.got(), NULL, 'given up is given up');
-- Per event: a bad one holds up no other.
SELECT pg_temp.take_back('ham') AS e3 \gset
SELECT pg_temp.take_back('jam') AS e4 \gset
INSERT INTO regress_callback.fails VALUES ('second', :e3);
CALL model_mgr.work();
SELECT is((SELECT string_agg(format('%s %s', g.callback, g.event ->> 'event_id'), ', ' ORDER BY g.callback, g.n) FROM regress_callback.got g),
    format('first %s, first %s, second %s, third %s, third %s', :e3, :e4, :e4, :e3, :e4), 'a bad event holds up no other');
SELECT pg_temp.got() IS NOT NULL;
DELETE FROM regress_callback.fails;
SELECT pg_temp.at('2026-01-03 00:01:00+00');
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('second %s', :e3), 'and comes through when it can');

-- One that hangs is cancelled, and gets one turn a round until one goes well; the others have theirs before it.
SET ROLE regress_model_mgr_ann;
CREATE FUNCTION regress_callback.hang(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM regress_callback.fails f WHERE f.callback = 'hang') THEN PERFORM pg_sleep(60); END IF;
    INSERT INTO regress_callback.got (callback, event) VALUES ('hang', event);
END $$;
SELECT model_mgr.add_rollback_callback('regress_callback.hang(jsonb)') AS hang \gset
RESET ROLE;
INSERT INTO regress_callback.fails VALUES ('hang', NULL);
SET model_mgr.update_validation_timeout = '2s';
SELECT pg_temp.take_back('m1') AS e5 \gset
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('first %s, second %s, third %s', :e5, :e5, :e5), 'the others are served');
SELECT matches(c.last_error, 'cancelled after 2 seconds', 'it was cancelled') FROM pg_temp.row_of(:hang) c;
SELECT pg_temp.take_back('m2') AS e6 \gset
SELECT pg_temp.take_back('m3') AS e7 \gset
SELECT pg_temp.at('2026-01-03 00:02:00+00');
SELECT results_eq('SELECT * FROM model_mgr.callback_due', format('VALUES (1::bigint, %1$s::bigint), (3, %1$s), (%3$s, %1$s), (1, %2$s), (3, %2$s), (%3$s, %2$s), (%4$s, %1$s)',
    :e6, :e7, :third, :hang), 'by turns; it comes last, with its oldest event that was not tried');
CALL model_mgr.work();
SELECT pg_temp.got() IS NOT NULL;
DELETE FROM regress_callback.fails;
CALL model_mgr.work();
CALL model_mgr.work();
SELECT pg_temp.at('2026-01-03 00:05:00+00');
CALL model_mgr.work();
SELECT is((SELECT string_agg(g.event ->> 'event_id', ',' ORDER BY (g.event ->> 'event_id')::bigint) FROM regress_callback.got g WHERE g.callback = 'hang'),
    format('%s,%s,%s', :e5, :e6, :e7), 'all come through in the end');
SELECT pg_temp.got() IS NOT NULL;
RESET model_mgr.update_validation_timeout;
SELECT model_mgr.remove_callback(:hang);

-- An alert: what the contract says of it, and nothing else that the event holds.
INSERT INTO model_mgr.event ("time", type, model_name, version, data) VALUES ('2026-01-03 00:04:00+00', 'alert.firing', 'spam', '2',
    '{"alert_id": 7, "kind": "threshold", "severity": "critical", "summary": "s", "metric_name": "success_rate", "current_value": 0.9, "samples": 600,
    "threshold": {"metric_name": "success_rate", "threshold_value": 0.95}}'),
    ('2026-01-03 00:04:00.5+00', 'alert.firing', 'spam', NULL, '{"alert_id": 8, "kind": "rollout"}');
INSERT INTO model_mgr.callback_delivery (callback_id, event_id, next_attempt_at)
SELECT 2, e.event_id, e."time" FROM model_mgr.event e WHERE e.type = 'alert.firing';
CALL model_mgr.work();
SELECT results_eq($$SELECT g.event - 'event_id' FROM regress_callback.got g ORDER BY g.n$$,
    $$VALUES ('{"type": "alert.firing", "time": "2026-01-03T00:04:00+00:00", "model_name": "spam", "version": "2", "deployment_id": null, "alert_id": 7,
    "metric_name": "success_rate", "current_value": 0.9, "samples": 600, "threshold": {"metric_name": "success_rate", "threshold_value": 0.95}}'::jsonb),
    ('{"type": "alert.firing", "time": "2026-01-03T00:04:00.5+00:00", "model_name": "spam", "version": null, "deployment_id": null, "alert_id": 8,
    "metric_name": null, "current_value": null, "samples": null, "threshold": null}')$$, 'alerts');
SELECT pg_temp.got() IS NOT NULL;

-- Removed while something is pending: it is forgotten.
INSERT INTO regress_callback.fails VALUES ('third', NULL);
SELECT pg_temp.take_back('m4') AS e8 \gset
CALL model_mgr.work();
SELECT is((pg_temp.row_of(:third)).pending, 1::bigint, 'pending');
-- By who registered it, or who administrates: not by any operator.
CREATE ROLE regress_model_mgr_chief IN ROLE regress_model_mgr_admin;
SELECT is(pg_temp.ann(format('SELECT model_mgr.remove_callback(%s)', :third)), '42501', 'not by another operator');
SELECT is(pg_temp.bob('SELECT model_mgr.remove_callback(-1)'), 'false', 'what is not there is nobody''s');
SELECT is((pg_temp.row_of(:third)).pending, 1::bigint, 'and nothing of it is forgotten');
BEGIN;
SELECT is(pg_temp.bob(format('SELECT model_mgr.remove_callback(%s)', :third)), 'true', 'by who registered it');
ROLLBACK;
BEGIN;
SELECT is(pg_temp.as_role('regress_model_mgr_chief', format('SELECT model_mgr.remove_callback(%s)', :third)), 'true', 'by an administrator');
ROLLBACK;
DROP ROLE regress_model_mgr_chief;
SELECT ok(model_mgr.remove_callback(:third), 'removed');
SELECT ok(NOT model_mgr.remove_callback(:third), 'it is not there any more');
SELECT ok(NOT model_mgr.remove_callback(-1), 'nor is one that never was');
SELECT is(pg_temp.code('SELECT model_mgr.remove_callback(NULL)'), '22004', 'NULL');
SELECT is((SELECT count(*) FROM model_mgr.callback_delivery WHERE callback_id = :third), 0::bigint, 'its deliveries are forgotten');
SELECT pg_temp.got() IS NOT NULL;
SELECT pg_temp.at('2026-01-03 00:10:00+00');
CALL model_mgr.work();
SELECT is(pg_temp.got(), NULL, 'nobody is called');

-- Names that need quotes, and a superuser's callback, which runs as that superuser.
CREATE SCHEMA "Odd ""schema""";
CREATE FUNCTION "Odd ""schema"""."on roll;back (jsonb)"("the event" jsonb) RETURNS text LANGUAGE sql AS $$
    INSERT INTO regress_callback.got (callback, role, event) VALUES ('odd', current_user::regrole::text, "the event") RETURNING callback;
$$;
SELECT model_mgr.add_rollback_callback((SELECT p.oid FROM pg_proc p WHERE p.proname LIKE 'on roll%')) AS odd \gset
SELECT is((pg_temp.row_of(:odd)).function, '"Odd ""schema"""."on roll;back (jsonb)"(jsonb)', 'the name is quoted');
SELECT pg_temp.take_back('Spam & "Eggs"') AS e9 \gset
CALL model_mgr.work();
SELECT is((SELECT g.role = current_user::regrole::text FROM regress_callback.got g WHERE g.callback = 'odd'), true, 'as the superuser that registered it');
SELECT is((SELECT g.event ->> 'model_name' FROM regress_callback.got g WHERE g.callback = 'odd'), 'Spam & "Eggs"', 'odd models too');
SELECT model_mgr.remove_callback(:odd);
SELECT pg_temp.got() IS NOT NULL;

-- Lost and found. Dropped and made again by the same role: it goes on.
DROP FUNCTION regress_callback.second(jsonb);
SELECT pg_temp.ann($$SELECT pg_temp.make('second')$$);
SELECT pg_temp.take_back('n1') AS e10 \gset
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('first %s, second %s', :e10, :e10), 'made again under its name: called again');
SELECT is((SELECT c.function FROM model_mgr.callback c WHERE c.callback_id = 3), 'regress_callback.second(jsonb)'::regprocedure::oid, 'its new OID is stored');
-- Gone: disabled, with the reason; what is pending waits for it to be registered again.
DROP FUNCTION regress_callback.second(jsonb);
SELECT pg_temp.take_back('n2') AS e11 \gset
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('first %s', :e11), 'the others are served');
SELECT is(format('%s %s %s', c.disabled_at, c.disabled_reason, c.pending), '2026-01-03 00:10:00+00 function regress_callback.second(jsonb) does not exist any more 1', 'disabled: it is gone')
FROM pg_temp.row_of(3) c;
SELECT is((SELECT details ->> 'reason' FROM model_mgr.audit_log WHERE operation = 'disable_callback' ORDER BY audit_id DESC LIMIT 1),
    'function regress_callback.second(jsonb) does not exist any more', 'audited');
-- Under that name by somebody else: not his code as her, nor hers as him.
SELECT pg_temp.bob($$SELECT pg_temp.make('second')$$);
UPDATE model_mgr.callback SET disabled_at = NULL, disabled_reason = NULL WHERE callback_id = 3;
SELECT pg_temp.take_back('n3') AS e12 \gset
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('first %s', :e12), 'somebody else''s function of that name is not called');
SELECT isnt((pg_temp.row_of(3)).disabled_at, NULL, 'disabled');
DROP FUNCTION regress_callback.second(jsonb);
SELECT pg_temp.ann($$SELECT pg_temp.make('second')$$);
SELECT is(pg_temp.ann($$SELECT model_mgr.add_rollback_callback('regress_callback.second(jsonb)')$$), '3', 'registered again: the same number');
CALL model_mgr.work();
SELECT is(pg_temp.got(), format('second %s, second %s', :e11, :e12), 'and what it missed');
-- Given away.
ALTER FUNCTION regress_callback.second(jsonb) OWNER TO regress_model_mgr_bob;
SELECT pg_temp.take_back('n4') AS e13 \gset
CALL model_mgr.work();
SELECT is(format('%s / %s', pg_temp.got(), (pg_temp.row_of(3)).disabled_reason),
    format('first %s / function regress_callback.second(jsonb) is not owned by role "regress_model_mgr_ann" any more', :e13), 'given to somebody else');
SELECT is(pg_temp.bob($$SELECT model_mgr.add_rollback_callback('regress_callback.second(jsonb)')$$), '3', 'who may take it up');
CALL model_mgr.work();
SELECT is((SELECT array_agg(g.role) FROM regress_callback.got g), '{regress_model_mgr_bob}', 'and has it run as himself');
SELECT pg_temp.got() IS NOT NULL;
-- The role is called something else now; another one may have its name.
ALTER ROLE regress_model_mgr_bob RENAME TO regress_model_mgr_robert;
SELECT pg_temp.take_back('n5') AS e14 \gset
CALL model_mgr.work();
SELECT is((pg_temp.row_of(3)).disabled_reason, 'role "regress_model_mgr_bob" is called "regress_model_mgr_robert" now', 'a role of another name');
ALTER ROLE regress_model_mgr_robert RENAME TO regress_model_mgr_bob;
-- Without the right to the function's schema the role could not call it either.
REVOKE ALL ON SCHEMA regress_callback FROM regress_model_mgr_ann;
SELECT pg_temp.got() IS NOT NULL;
SELECT pg_temp.take_back('n6') AS e15 \gset
CALL model_mgr.work();
SELECT is((SELECT c.last_error FROM model_mgr.callback_list c WHERE c.callback_id = 1), 'permission denied for schema regress_callback (SQLSTATE 42501)', 'with no rights but the role''s');
GRANT USAGE, CREATE ON SCHEMA regress_callback TO regress_model_mgr_ann;
SELECT model_mgr.remove_callback(3), model_mgr.remove_callback(1);

-- Retention takes deliveries along with their events.
SELECT is((SELECT count(*) FROM model_mgr.callback_delivery WHERE callback_id <> 2), 0::bigint, 'removed callbacks leave no deliveries');
INSERT INTO model_mgr.event ("time", type, event_id) VALUES ('2020-01-01 00:00:00+00', 'alert.firing', 1000001);
INSERT INTO model_mgr.callback_delivery (callback_id, event_id, next_attempt_at) VALUES (2, 1000001, '2026-01-01 00:00:00+00'), (2, 1000002, '2026-01-01 00:00:00+00');
SELECT pg_temp.at('');
SELECT model_mgr.maintenance_run('prune events') > 0;
SELECT is((SELECT count(*) FROM model_mgr.callback_delivery), 0::bigint, 'old deliveries go with their events');

SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_callback, "Odd ""schema""" CASCADE;
DROP ROLE regress_model_mgr_ann, regress_model_mgr_bob, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
