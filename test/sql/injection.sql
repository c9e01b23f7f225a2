-- Injection tries: every text argument of every function gets every one of these texts, as the operator that an attacker
-- would be. No call may run any of it, reach the owner's rights, or fail with an error of syntax, which would show that the
-- text had become part of a statement.
\i test/fresh.psql
SET search_path = model_mgr, public, tap;
SET client_min_messages = error;
SELECT plan(6);
SELECT setup_roles('regress_attacked_admin', 'regress_attacker', 'regress_attacked_app', 'regress_attacked_reader');
SELECT count(create_model_version('m', v, model_configuration('p', 'x'))) FROM unnest('{1,2}'::text[]) v;
SELECT deploy_model_version('m', '1') IS NOT NULL;
-- What an injected statement would have to do.
CREATE FUNCTION public.pwn() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TABLE IF NOT EXISTS public.pwned ()'; RETURN 'x'; END $$;
CREATE TEMP TABLE attack (attack text);
INSERT INTO attack VALUES ('''); SELECT public.pwn(); --'), (''' || public.pwn() || '''), ('"; SELECT public.pwn(); --'), ('$$; SELECT public.pwn(); $$'), ('$1'), ('%s%n%I%L%%'),
    ('\''; SELECT public.pwn(); --'), (E'\\'), ('ＳＥＬＥＣＴ＇；－－'), (U&'\02BC; SELECT public.pwn(); --'), ('{"a": "''; SELECT public.pwn()"}'), ('@''; SELECT public.pwn()'),
    ('m" OR "1"="1'), ('model_mgr.model; DROP TABLE model_mgr.model'), ('public.pwn()'), (repeat('''', 101)), ('../../../etc/passwd'), (';'), ('/*'), ('--');
GRANT SELECT ON attack TO PUBLIC;
-- Calls: one argument the attack, the other texts plausible, the rest NULL or a default.
CREATE TEMP TABLE shot AS
SELECT p.proname, p.prokind, a.n AS hit, a.type = 'text[]'::regtype AS is_array, format(CASE p.prokind WHEN 'p' THEN 'CALL model_mgr.%I(%s)' ELSE 'SELECT x.* FROM model_mgr.%I(%s) x' END, p.proname,
    string_agg(CASE WHEN b.n = a.n THEN '$1' WHEN b.type = 'text'::regtype THEN CASE (p.proargnames)[b.n] WHEN 'model_name' THEN '''m''' WHEN 'version' THEN '''1''' WHEN 'model_version' THEN '''1''' ELSE 'NULL' END
        WHEN b.type = 'jsonb'::regtype THEN '''{}''' WHEN b.type = 'bigint'::regtype THEN '1' WHEN b.type = 'integer'::regtype THEN '1' WHEN b.type = 'float8'::regtype THEN '0.5'
        WHEN b.type = 'timestamptz'::regtype THEN 'now()' ELSE 'NULL::' || format_type(b.type, NULL) END, ', ' ORDER BY b.n)) AS call
FROM pg_proc p, LATERAL unnest(p.proargtypes) WITH ORDINALITY a (type, n), LATERAL unnest(p.proargtypes) WITH ORDINALITY b (type, n)
WHERE p.pronamespace = 'model_mgr'::regnamespace AND a.type = ANY ('{text,text[]}'::regtype[]) AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
  AND NOT 'internal'::regtype = ANY (p.proargtypes) AND p.proname NOT IN ('setup_roles', 'start')
GROUP BY p.oid, p.proname, p.prokind, a.n, a.type;
GRANT SELECT ON shot TO PUBLIC;
SELECT cmp_ok((SELECT count(*) FROM shot), '>', 100::bigint, 'there are text arguments');
CREATE TEMP TABLE answer (proname text, hit bigint, attack text, code text, message text);
GRANT ALL ON answer TO PUBLIC;
-- fire: every attack at every argument. Where every query is forced into a worker, one of an argument's attacks tells whether it may be.
CREATE FUNCTION pg_temp.fire() RETURNS bigint LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    s record; n bigint := 0;
BEGIN
    FOR s IN SELECT *, row_number() OVER (PARTITION BY call, is_array ORDER BY attack) = 1 AS is_first FROM shot, attack LOOP
        n := n + 1;
        PERFORM set_config('max_parallel_workers_per_gather', CASE WHEN s.is_first THEN '2' ELSE '0' END, true);
        BEGIN
            IF s.is_array THEN
                EXECUTE s.call USING ARRAY[s.attack];
            ELSE
                EXECUTE s.call USING s.attack;
            END IF;
            IF current_user <> 'regress_attacker' THEN
                INSERT INTO answer VALUES (s.proname, s.hit, s.attack, 'ROLE', current_user);
            END IF;
            RAISE EXCEPTION USING errcode = 'P0009', message = 'fine';       -- undone, each starts from the same
        EXCEPTION WHEN OTHERS THEN
            IF SQLSTATE <> 'P0009' THEN
                INSERT INTO answer VALUES (s.proname, s.hit, s.attack, SQLSTATE, SQLERRM);
            END IF;
        END;
    END LOOP;
    RETURN n;
END $$;
SET ROLE regress_attacker;
SET search_path = pg_catalog;
SELECT pg_temp.fire() > 1000 AS many;
RESET ROLE;
SET search_path = model_mgr, public, tap;
SELECT is_empty($$SELECT DISTINCT proname, hit, code, message FROM answer WHERE code ~ '^(42601|42703|42883|42P|XX|0A000$|ROLE|26|58|22026)' AND NOT (code = '0A000' AND message ~ 'not built yet|pg_cron')
    AND NOT (proname = 'register_validator' AND code = '42883')$$, 'no text became part of a statement, and nothing broke');
SELECT hasnt_table('public', 'pwned', 'nothing of it was run');
SELECT is((SELECT count(*) FROM model), 1::bigint, 'the tables stand');
-- What may be stored is stored as it was given, and finds its own again.
CREATE FUNCTION pg_temp.kept() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    a text;
BEGIN
    FOR a IN SELECT attack FROM attack WHERE attack !~ '^@' LOOP
        PERFORM model_mgr.create_model_version(a, a, '{"provider": "p", "model_name": "x"}', a, ARRAY[a], labels => jsonb_build_object(a, a), created_by => a);
        PERFORM model_mgr.set_alias(a, a, a);
        PERFORM model_mgr.deploy_model_version(a, '@' || a, deployed_by => a, idempotency_key => a);
        PERFORM model_mgr.set_segment(a, a, jsonb_build_object(a, a), a);
        PERFORM model_mgr.pin_unit(a, a, a);
        IF model_mgr.route_version(a, a) IS DISTINCT FROM a OR (SELECT v.description FROM model_mgr.get_active_model(a) v) IS DISTINCT FROM a
            OR (SELECT l.model_name || l.version FROM model_mgr.audit_log l ORDER BY l.audit_id DESC LIMIT 1) IS DISTINCT FROM a || a THEN
            RETURN NEXT a;
        END IF;
    END LOOP;
END $$;
SELECT is_empty('SELECT pg_temp.kept()', 'names of every kind are names');
SELECT seal_audit() IS NOT NULL;
SELECT is((SELECT ok FROM verify_audit_log()), true, 'also to the log''s seals');
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP FUNCTION public.pwn();
DROP ROLE regress_attacked_admin, regress_attacker, regress_attacked_app, regress_attacked_reader;
