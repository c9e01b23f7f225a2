-- Validators that do what none should: each has not passed, is not tried again, gets no rights that its role has not, and
-- keeps no honest one from judging.
\i test/fresh.psql
\i test/rollout.psql
SET client_min_messages = error;
SET search_path = public, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
CREATE ROLE regress_model_mgr_mallory IN ROLE regress_model_mgr_operator;
CREATE SCHEMA regress_hostile AUTHORIZATION regress_model_mgr_mallory;
CREATE TABLE public.victim (x text);
INSERT INTO public.victim VALUES ('unharmed');
SELECT pg_temp.make_model('m', '1', '2') \gset
SELECT model_mgr.deploy_model_version('m', '1') \gset
SET ROLE regress_model_mgr_mallory;
CREATE TABLE regress_hostile.diary (n serial, name text, role text DEFAULT current_user);
CREATE FUNCTION regress_hostile.plant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.victim SET x = current_user; RETURN NULL; END $$;
CREATE FUNCTION regress_hostile.honest(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, 'fine', '{}'::jsonb $$;
SELECT model_mgr.register_validator('honest', 'regress_hostile.honest(jsonb)') \gset
RESET ROLE;
CREATE TEMP TABLE deed (n serial, name text, body text, said text);
INSERT INTO deed (name, body, said) VALUES
    ('raises', 'RAISE EXCEPTION ''no'';', '^no \(SQLSTATE P0001\)$'),
    ('locks', 'PERFORM pg_advisory_lock(2), pg_advisory_unlock(1); RAISE EXCEPTION ''locked'';', '^locked \(SQLSTATE P0001\)$'),
    ('hangs', 'PERFORM pg_sleep(60);', '^it was cancelled after 1 seconds$'),
    ('survives', 'BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;', '^it was cancelled after 1 seconds$'),
    ('pretends', 'RAISE EXCEPTION ''canceled'' USING errcode = ''57014'';', '^canceled \(SQLSTATE 57014\)$'),
    ('writes', 'INSERT INTO public.victim VALUES (''harmed'');', '^permission denied for table victim '),
    ('writes_results', 'UPDATE model_mgr.validation_result SET passed = true;', '^permission denied for table validation_result '),
    ('deploys_itself', 'PERFORM model_mgr.deploy_model_version(''m'', ''2'', ''replace'');', NULL),
    ('resets_role', 'RESET ROLE;', '^cannot set parameter "role" within security-'),
    ('resets_session', 'RESET SESSION AUTHORIZATION;', '^cannot set parameter "session_authorization" within security-'),
    ('becomes', 'PERFORM set_config(''role'', session_user, false);', '^cannot set parameter "role" within security-'),
    ('plants', 'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON regress_hostile.diary DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_hostile.plant(); INSERT INTO regress_hostile.diary (name) VALUES (''planted'');',
        '^cannot (fire deferred trigger within security-restricted operation|CREATE TRIGGER)'),
    ('commits', 'COMMIT;', '^invalid transaction termination '),
    ('works', 'PERFORM model_mgr.work_run(''validation 1'');', '^registered code must not run registered code '),
    ('ticks', 'PERFORM model_mgr.tick();', NULL),
    ('drops_itself', 'DROP FUNCTION regress_hostile.drops_itself(jsonb);', NULL),
    ('cancels', 'PERFORM model_mgr.cancel_update(update ->> ''update_id'');', NULL);
-- hostile: a validator that writes its name down, does the deed and would pass.
CREATE FUNCTION pg_temp.hostile(name text, body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_model_mgr_mallory;
    EXECUTE format($f$CREATE FUNCTION regress_hostile.%I(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE plpgsql AS %L $f$, name,
        'BEGIN INSERT INTO regress_hostile.diary (name) VALUES (' || quote_literal(name) || '); ' || body || ' RETURN QUERY SELECT true, ''passed''::text, NULL::jsonb; END');
    PERFORM model_mgr.register_validator(name, format('regress_hostile.%I(jsonb)', name)::regprocedure);
    SET LOCAL ROLE NONE;
END $$;
SELECT count(pg_temp.hostile(name, body)::text) FROM (SELECT * FROM deed ORDER BY n) d \gset
-- One update with all of them but those that act on it, an honest one after each; then those, one by one.
SELECT model_mgr.trigger_update('m', '2', validation_rules => (SELECT jsonb_agg(r ORDER BY n, k) FROM deed d,
    LATERAL (VALUES (1, model_mgr.validation_rule(d.name, NULL, d.name)), (2, model_mgr.validation_rule('honest after ' || d.name, NULL, 'honest'))) v (k, r) WHERE d.said IS NOT NULL)) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SET model_mgr.update_validation_timeout = 1;
SELECT pg_advisory_lock(1) \g /dev/null
CALL model_mgr.work();
SELECT is(current_user, session_user, 'the session is what it was');
SELECT is((SELECT string_agg(objid::text, ' ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), '1', 'with the locks that it had');
SELECT pg_advisory_unlock_all() \g /dev/null
SELECT is((SELECT count(*) FROM model_mgr.work_tasks()), 0::bigint, 'none is tried again');
SELECT model_mgr.tick() \g /dev/null
CREATE TEMP TABLE answer AS SELECT r ->> 'name' AS name, (r -> 'passed')::boolean AS passed, r ->> 'message' AS message FROM model_mgr.get_update_status(:'id'), jsonb_array_elements(validation_results) r;
SELECT ok(NOT a.passed AND a.message ~ d.said, d.name || CASE WHEN a.passed OR a.message !~ d.said THEN ': ' || a.message ELSE '' END) FROM deed d JOIN answer a USING (name) WHERE d.said IS NOT NULL ORDER BY d.n;
SELECT is((SELECT count(*) FILTER (WHERE passed) FROM answer WHERE name ~ '^honest'), (SELECT count(*) FROM deed WHERE said IS NOT NULL), 'the honest ones passed');
SELECT is((SELECT status FROM model_mgr.get_update_status(:'id')), 'failed', 'the update has failed');
SELECT is((SELECT string_agg(x, ' ') FROM public.victim), 'unharmed', 'the table of somebody else is as it was');
SELECT is((SELECT count(*) FROM regress_hostile.diary WHERE role <> 'regress_model_mgr_mallory'), 0::bigint, 'nothing ran as anybody else');
SELECT is((SELECT count(*) FROM regress_hostile.diary), 0::bigint, 'what failed left nothing behind');
SELECT is((SELECT string_agg(validator_name, ' ') FROM model_mgr.validator_list WHERE disabled_at IS NOT NULL), NULL, 'none is disabled for failing');
-- Those whose deed is allowed to their role: what they did counts as done by it, and the update is none the worse for it.
SET model_mgr.update_validation_timeout = 300;
CREATE FUNCTION pg_temp.ask(validator text) RETURNS text LANGUAGE sql AS $$
    SELECT model_mgr.trigger_update('m', '2', validation_rules => jsonb_build_array(model_mgr.validation_rule('r', NULL, validator))) $$;
SELECT pg_temp.ask('ticks') AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT format('%s %s', status, validation_passed) FROM model_mgr.get_update_status(:'id')), 'deploying t', 'one that ticks');
SELECT model_mgr.cancel_update(:'id') \gset
SELECT pg_temp.ask('cancels') AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT status FROM model_mgr.get_update_status(:'id')), 'cancelled', 'one that cancels its own update');
SELECT pg_temp.ask('drops_itself') AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT ok((SELECT status IN ('deploying', 'failed') FROM model_mgr.get_update_status(:'id')), 'one that drops itself');
SELECT model_mgr.cancel_update(:'id') \gset
SELECT pg_temp.ask('drops_itself') AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT status_reason FROM model_mgr.get_update_status(:'id')), 'rule "r": function regress_hostile.drops_itself(jsonb) does not exist any more', 'is gone the next time');
SELECT is((SELECT disabled_reason FROM model_mgr.validator_list WHERE validator_name = 'drops_itself'), 'function regress_hostile.drops_itself(jsonb) does not exist any more', 'and disabled');
SELECT pg_temp.ask('deploys_itself') AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT matches((SELECT status || ' ' || status_reason FROM model_mgr.get_update_status(:'id')), '^(completed|failed) ', 'one that deploys it by itself');
SELECT is(pg_temp.statuses('m'), '1 inactive, 2 active', 'as its role may');
SELECT is((SELECT count(*) FROM model_mgr.validation_result WHERE passed IS NULL AND started_by IS NOT NULL), 0::bigint, 'no mark is left');
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_hostile CASCADE;
DROP TABLE public.victim;
DROP ROLE regress_model_mgr_mallory, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
