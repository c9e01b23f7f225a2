-- Views that do what no view should, each as a metric source of its own, all read in one work(): none gets rights that
-- its role has not, none keeps an honest source from being read, and each says what became of it.
\i test/fresh.psql
\i test/rollout.psql
SET client_min_messages = error;
SET search_path = public, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
CREATE ROLE regress_model_mgr_mallory IN ROLE regress_model_mgr_operator;
CREATE ROLE regress_model_mgr_alice IN ROLE regress_model_mgr_operator;
CREATE SCHEMA regress_hostile AUTHORIZATION regress_model_mgr_mallory;
GRANT USAGE ON SCHEMA regress_hostile TO regress_model_mgr_alice;
SELECT pg_temp.make_model('m', '1') \gset
CREATE TABLE public.victim (x text);
INSERT INTO public.victim VALUES ('unharmed');
CREATE TABLE regress_hostile.honest ("time" timestamptz, model_name text, version text, value float8);
ALTER TABLE regress_hostile.honest OWNER TO regress_model_mgr_alice;
INSERT INTO regress_hostile.honest SELECT '2026-03-01 12:00:00+00'::timestamptz - i * interval '1 minute', 'm', '1', i FROM generate_series(0, 99) i;
SET ROLE regress_model_mgr_mallory;
CREATE TABLE regress_hostile.diary (n serial, name text, role text DEFAULT current_user);
RESET ROLE;
-- hostile: a view of one row whose value comes from a function with that body.
CREATE FUNCTION pg_temp.hostile(name text, body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_model_mgr_mallory;
    EXECUTE format($f$CREATE FUNCTION regress_hostile.%I() RETURNS float8 LANGUAGE plpgsql AS %L $f$, 'do_' || name,
        'BEGIN INSERT INTO regress_hostile.diary (name) VALUES (' || quote_literal(name) || '); ' || body || ' RETURN 1; END');
    EXECUTE format($f$CREATE VIEW regress_hostile.%I AS SELECT '2026-03-01 11:59:30+00'::timestamptz AS "time", 'm' AS model_name, '1' AS version, regress_hostile.%I() AS value$f$,
        name, 'do_' || name);
    PERFORM model_mgr.add_metric_source(name, ('regress_hostile.' || quote_ident(name))::regclass);
    SET LOCAL ROLE NONE;
END $$;
-- honest_too: registered after each hostile one, so that it is read after it.
CREATE FUNCTION pg_temp.honest_too() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_model_mgr_alice;
    PERFORM model_mgr.add_metric_source('honest ' || (SELECT count(*) FROM model_mgr.metric_source), 'regress_hostile.honest');
    SET LOCAL ROLE NONE;
END $$;
CREATE TEMP TABLE deed (n serial, name text, body text, said text);
INSERT INTO deed (name, body, said) VALUES
    ('becomes', 'PERFORM set_config(''role'', session_user, false);', '^cannot set parameter "role" within security-'),
    ('resets', 'RESET SESSION AUTHORIZATION;', '^cannot set parameter "session_authorization" within security-'),
    ('reads', 'PERFORM FROM public.victim;', '^permission denied for table victim '),
    ('writes', 'INSERT INTO public.victim VALUES (''harmed'');', '^permission denied for table victim '),
    ('writes_samples', 'INSERT INTO model_mgr.metric_sample (version_id, metric_name, value) VALUES (1, ''honest 2'', 0);', '^permission denied for table metric_sample '),
    ('removes', 'PERFORM FROM model_mgr.metric_source FOR UPDATE;', '^permission denied for table metric_source '),
    ('drops', 'DROP TABLE public.victim;', '^must be owner of table victim '),
    ('drops_itself', 'DROP VIEW regress_hostile.drops_itself;', NULL),
    ('truncates_honest', 'TRUNCATE regress_hostile.honest;', '^permission denied for table honest '),
    ('plants', 'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON regress_hostile.diary DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_hostile.plant(); INSERT INTO regress_hostile.diary (name) VALUES (''planted'');',
        '^cannot (fire deferred trigger within security-restricted operation|CREATE TRIGGER)'),
    ('commits', 'COMMIT;', '^invalid transaction termination '),
    ('raises', 'RAISE EXCEPTION ''no'';', '^no \(SQLSTATE P0001\)$'),
    ('locks', 'PERFORM pg_advisory_lock(2), pg_advisory_unlock(1); RAISE EXCEPTION ''locked'';', '^locked \(SQLSTATE P0001\)$'),
    ('pretends', 'RAISE EXCEPTION ''canceled'' USING errcode = ''57014'';', '^canceled \(SQLSTATE 57014\)$'),
    ('hangs', 'PERFORM pg_sleep(60);', '^it was cancelled after 2 seconds$'),
    ('survives', 'BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;', '^it was cancelled after 2 seconds$'),
    ('recurses', 'RETURN regress_hostile.do_recurses();', '^(stack depth limit exceeded|it was cancelled)'),
    ('reads_sources', 'PERFORM model_mgr.work_run(''metric source honest 2'');', '^registered code must not run registered code '),
    ('closes', 'EXECUTE ''CLOSE ALL'';', NULL),
    ('stays_ahead', 'UPDATE regress_hostile.diary SET name = ''stays_ahead'' WHERE name = ''stays_ahead'';', NULL);
SET ROLE regress_model_mgr_mallory;
CREATE FUNCTION regress_hostile.plant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.victim SET x = current_user; RETURN NULL; END $$;
RESET ROLE;
SELECT count(pg_temp.hostile(name, body)::text || pg_temp.honest_too()::text) FROM (SELECT * FROM deed ORDER BY n) d \gset
SET ROLE regress_model_mgr_mallory;
-- Endless, wide, and of more versions and minutes than there are.
CREATE VIEW regress_hostile.endless AS SELECT '2026-03-01 11:59:30+00'::timestamptz AS "time", 'm' AS model_name, '1' AS version, i AS value FROM generate_series(1, 10000000000) i;
CREATE VIEW regress_hostile.strange AS SELECT '2026-03-01 11:59:30+00'::timestamptz AS "time", 'm' || i AS model_name, '1' AS version, i AS value FROM generate_series(1, 20000) i;
CREATE VIEW regress_hostile.wide AS SELECT '2026-03-01 11:59:30+00'::timestamptz AS "time", repeat('m', 1000000) AS model_name, repeat(i::text, 100000) AS version, i AS value FROM generate_series(1, 20) i;
SELECT count(model_mgr.add_metric_source(r, ('regress_hostile.' || r)::regclass)::text) FROM unnest(ARRAY['endless', 'strange', 'wide']) r \gset
RESET ROLE;
SELECT pg_temp.honest_too() \gset
SET model_mgr.update_validation_timeout = 2;
SELECT pg_advisory_lock(1) \g /dev/null
CALL model_mgr.work();

SELECT is(current_user, session_user, 'the session is what it was');
SELECT is((SELECT string_agg(objid::text, ' ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), '1', 'with the locks that it had');
SELECT pg_advisory_unlock_all() \g /dev/null
SELECT matches(m.last_error, d.said, d.name) FROM deed d JOIN model_mgr.metric_source_list m ON m.metric_name = d.name WHERE d.said IS NOT NULL ORDER BY d.n;
SELECT ok(m.last_error IS NULL OR m.last_error ~ 'SQLSTATE', d.name || ': read or refused') FROM deed d JOIN model_mgr.metric_source_list m ON m.metric_name = d.name WHERE d.said IS NULL ORDER BY d.n;
SELECT is((SELECT string_agg(x, ' ') FROM public.victim), 'unharmed', 'the table of somebody else is as it was');
SELECT is((SELECT count(*) FROM regress_hostile.diary WHERE role <> 'regress_model_mgr_mallory'), 0::bigint, 'nothing ran as anybody else');
SELECT is((SELECT count(*) FROM regress_hostile.diary WHERE name IN (SELECT d.name FROM deed d WHERE d.said IS NOT NULL)), 0::bigint, 'what failed left nothing behind');
SELECT results_eq($$SELECT metric_name, last_error, "rows", skipped FROM model_mgr.metric_source_list WHERE metric_name IN ('endless', 'strange', 'wide') ORDER BY 1$$,
    $$VALUES ('endless', 'it was cancelled after 2 seconds', 0::bigint, 0::bigint), ('strange', NULL, 20000, 20000), ('wide', NULL, 20, 20)$$, 'too much is cut off, unknown names are passed over');
SELECT is((SELECT count(*) FROM model_mgr.metric_source_list WHERE metric_name LIKE 'honest%'), (SELECT count(*) + 1 FROM deed), 'the honest ones');
SELECT is_empty($$SELECT m.metric_name, m.last_error, count(s.*), sum(s.value) FROM model_mgr.metric_source_list m LEFT JOIN model_mgr.metric_sample s ON s.source_id = m.source_id
    WHERE m.metric_name LIKE 'honest%' GROUP BY 1, 2 HAVING m.last_error IS NOT NULL OR count(s.*) <> 100 OR sum(s.value) <> 4950$$, 'were read, every one of them, whole');
SELECT is_empty($$SELECT metric_name FROM model_mgr.metric_source_list WHERE disabled_at IS NOT NULL$$, 'none is disabled for failing');
SELECT is_empty($$SELECT d.name FROM deed d JOIN model_mgr.metric_sample s ON s.metric_name = d.name WHERE d.said IS NOT NULL$$, 'and nothing is stored of those that failed');

-- Policies hold as for the role, also where it owns the table and whatever the session says.
SET ROLE regress_model_mgr_alice;
CREATE POLICY odd ON regress_hostile.honest USING (value::integer % 2 = 1);
ALTER TABLE regress_hostile.honest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT model_mgr.add_metric_source('guarded', 'regress_hostile.honest') \gset
RESET ROLE;
SET row_security = off;
CALL model_mgr.work();
RESET row_security;
SELECT is((SELECT disabled_reason FROM model_mgr.metric_source_list WHERE metric_name = 'drops_itself'), 'regress_hostile.drops_itself does not exist any more', 'what is one''s own one may drop');
SELECT results_eq($$SELECT count(*), sum(value) FROM model_mgr.metric_sample WHERE metric_name = 'guarded'$$, $$VALUES (50::bigint, 2500::float8)$$, 'row security: the rows that the role may see');
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_hostile CASCADE;
DROP TABLE public.victim;
DROP ROLE regress_model_mgr_mallory, regress_model_mgr_alice, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
