-- plpgsql_check of every PL/pgSQL function and procedure of the extension: any finding of level error or warning fails.
CREATE EXTENSION model_mgr;
CREATE EXTENSION plpgsql_check;
\pset format unaligned
\pset tuples_only on
CREATE TEMP VIEW finding AS
SELECT p.oid::regprocedure AS function, c.lineno, c.level, c.message, c.detail
FROM pg_proc p, LATERAL plpgsql_check_function_tb(p.oid, performance_warnings => true, security_warnings => true) c
WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
  AND c.level NOT LIKE '%extra%';
SELECT * FROM finding;
DO $$ BEGIN
    IF EXISTS (SELECT FROM finding) THEN RAISE EXCEPTION 'plpgsql_check has findings'; END IF;
END $$;
