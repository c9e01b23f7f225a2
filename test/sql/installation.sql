-- The install script refuses a schema that somebody else prepared, leaves nothing behind when dropped, and the
-- extension can be made again in the same session.
\i test/fresh.psql
SELECT plan(18);
SET client_min_messages = warning;

SELECT is((SELECT extversion FROM pg_extension WHERE extname = 'model_mgr'), model_mgr.model_mgr_version(),
    'library and SQL are of one version');
SELECT is((SELECT default_version FROM pg_available_extensions WHERE name = 'model_mgr'), model_mgr.model_mgr_version(),
    'the control file has that version');
SELECT ok((SELECT superuser AND NOT trusted AND NOT relocatable AND requires IS NULL AND schema = 'model_mgr'
    FROM pg_available_extension_versions WHERE name = 'model_mgr' AND version = model_mgr.model_mgr_version()),
    'superuser, not trusted, not relocatable, requires nothing, schema model_mgr');

SELECT throws_ok('ALTER EXTENSION model_mgr SET SCHEMA public', '0A000', NULL, 'it does not move to another schema');
SELECT throws_ok('DROP SCHEMA model_mgr', '2BP01', NULL, 'its schema is not dropped under it');
SELECT throws_ok('DROP TABLE model_mgr.model', '2BP01', NULL, 'nor is a table');
SELECT throws_ok('CREATE EXTENSION model_mgr', '42710', NULL, 'it is made once');

-- Again and again in one session, with the library loaded and its caches filled.
SELECT lives_ok($$DROP EXTENSION model_mgr$$, 'drop');
SELECT is((SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'model_mgr'), 0::bigint,
    'no function is left');
SELECT lives_ok($$CREATE EXTENSION model_mgr$$, 'create again');
SELECT lives_ok($$DROP EXTENSION model_mgr$$, 'drop again');
DROP SCHEMA IF EXISTS model_mgr;

-- The guard says what is wrong: code, message, detail, hint.
CREATE FUNCTION pg_temp.refusal(OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    CREATE EXTENSION model_mgr;
    code := '00000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

CREATE ROLE regress_model_mgr_squatter;
GRANT CREATE ON DATABASE :DBNAME TO regress_model_mgr_squatter;
SET ROLE regress_model_mgr_squatter;
SELECT code FROM pg_temp.refusal() \gset
RESET ROLE;
SELECT is(:'code'::text, '42501', 'superusers only');
REVOKE CREATE ON DATABASE :DBNAME FROM regress_model_mgr_squatter;
CREATE SCHEMA model_mgr AUTHORIZATION regress_model_mgr_squatter;
SELECT is(r, ('42501'::text, 'schema "model_mgr" belongs to somebody else'::text, 'Its owner is regress_model_mgr_squatter.'::text,
    'Drop or rename that schema, then create the extension again.'::text)::record, 'a schema of somebody else')
FROM pg_temp.refusal() r;
DROP SCHEMA model_mgr;

CREATE SCHEMA model_mgr;
CREATE FUNCTION model_mgr.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
SELECT is(r, ('55000'::text, 'schema "model_mgr" already holds objects'::text, 'It holds function model_mgr.now().'::text,
    'Move or drop what is in it, then create the extension again.'::text)::record, 'a schema that holds a function')
FROM pg_temp.refusal() r;
DROP FUNCTION model_mgr.now();
CREATE TYPE model_mgr.word AS ENUM ('a');
SELECT is((r).code, '55000', 'a schema that holds a type') FROM pg_temp.refusal() r;
DROP TYPE model_mgr.word;
CREATE DOMAIN model_mgr.word AS text;
SELECT is((r).code, '55000', 'a schema that holds a domain') FROM pg_temp.refusal() r;
DROP DOMAIN model_mgr.word;
SELECT is((r).code, '00000', 'an empty schema of the installing role, as a dump makes it') FROM pg_temp.refusal() r;

-- With its schema on the path the server's own names still mean the server's own functions.
SET search_path = model_mgr, public, tap;
SELECT is(count('x')::text || sum(x) || min(x) || max(x) || left(format('%s', bool_and(x > 0)), 1), '1234567823456782345678t', 'count, sum, min, max are not shadowed')
FROM (VALUES (2345678)) v (x) WHERE x > 0;

SELECT * FROM finish();
DROP EXTENSION model_mgr;
DROP SCHEMA model_mgr;
DROP ROLE regress_model_mgr_squatter;
