-- What the catalogue says of every object of the extension: labels, rights, search paths, comments, dump marks, and the
-- signatures of the contract.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = pg_catalog, tap, pg_temp;
SELECT plan(29);

CREATE TEMP VIEW routine AS
SELECT p.*, l.lanname, p.oid::regprocedure::text AS signature
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'model_mgr';
CREATE TEMP VIEW relation AS
SELECT c.*, n.nspname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' AND d.objsubid = 0
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'model_mgr';
-- The exceptions to rules stand here by name, each with its reason.
CREATE TEMP TABLE exempt (rule text, object text, reason text);
INSERT INTO exempt VALUES
    ('dump', 'routing_signal', 'empty for ever'),
    ('dump', 'observation', 'a partitioned table holds no rows itself; its partitions are dumped'),
    ('dump', 'metric_sample', 'a partitioned table holds no rows itself; its partitions are dumped'),
    ('parallel', 'route_version', 'backend-local cache'),
    ('parallel', 'route', 'backend-local cache'),
    ('parallel', 'should_route_to_treatment', 'backend-local cache'),
    ('parallel', 'assigned_variant', 'backend-local cache'),
    ('parallel', 'explain_route', 'backend-local cache'),
    ('parallel', 'route_at', 'reads through the catalog snapshot');

-- 1. Everything is in the extension's schema, and nothing is overloaded: untyped literals always resolve.
SELECT is_empty($$SELECT signature FROM routine WHERE pronamespace <> 'model_mgr'::regnamespace$$, 'functions are in schema model_mgr');
SELECT is_empty($$SELECT relname FROM relation WHERE nspname NOT IN ('model_mgr', 'pg_toast')$$, 'relations are in schema model_mgr');
SELECT is_empty($$SELECT proname FROM routine GROUP BY proname HAVING count(*) > 1$$, 'no function is overloaded');
SELECT is_empty($$SELECT signature FROM routine r WHERE EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = r.proname)$$,
    'none has the name of a function of the server');

-- 2. Labels.
SELECT is_empty($$SELECT signature FROM routine WHERE prosecdef$$, 'no SECURITY DEFINER');
SELECT is_empty($$SELECT signature FROM routine WHERE lanname = 'c' AND proconfig IS NOT NULL$$, 'C functions have no SET clause (575 ns a call)');
SELECT is_empty($$SELECT signature, proconfig FROM routine WHERE lanname IN ('sql', 'plpgsql') AND prokind <> 'p'
    AND ('search_path=pg_catalog, pg_temp' = ANY (proconfig)) IS NOT TRUE$$, 'SQL and PL/pgSQL functions have a pinned search_path');
SELECT is_empty($$SELECT signature FROM routine WHERE lanname NOT IN ('c', 'sql', 'plpgsql') AND prokind <> 'a'$$, 'C, SQL and PL/pgSQL only');
SELECT is_empty($$SELECT signature FROM routine WHERE lanname = 'plpgsql' AND prokind <> 'p'$$, 'PL/pgSQL only for procedures that commit');
SELECT is_empty($$SELECT signature FROM routine WHERE provolatile = 'v' AND proparallel <> 'u' AND prokind = 'f'
    AND proname NOT IN (SELECT object FROM exempt WHERE rule = 'parallel')$$, 'what writes is PARALLEL UNSAFE');
SELECT is_empty($$SELECT signature FROM routine WHERE provolatile IN ('s', 'i') AND proparallel = 'u' AND prokind = 'f'
    AND proname NOT IN ('current_txn', 'own_txn', 'configuration_problem', 'validate_model_configuration')$$, 'what reads may run beside a parallel query: SAFE or RESTRICTED (current_txn assigns a transaction id, a configuration is checked in a subtransaction)');
SELECT is_empty($$SELECT signature FROM routine WHERE proname IN ('route', 'route_version', 'explain_route') AND proparallel <> 'r'$$,
    'what reads the backend-local cache is PARALLEL RESTRICTED');
SELECT is_empty($$SELECT signature FROM routine WHERE lanname = 'c' AND prosrc <> 'mm_' || proname$$, 'a C function is mm_<sql name>');
SELECT is_empty($$SELECT signature FROM routine WHERE proretset AND prokind = 'f' AND prorows = 0$$, 'set-returning functions have an estimate');

-- 3. Rights: the role_grant list is complete and is what setup_roles() does.
SELECT is_empty($$SELECT signature FROM routine WHERE has_function_privilege('public', oid, 'EXECUTE')$$, 'PUBLIC executes nothing');
SELECT is_empty($$SELECT relname FROM relation, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
    WHERE relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege('public', oid, p)$$, 'PUBLIC touches no relation');
SELECT is_empty($$SELECT relname FROM relation WHERE CASE WHEN relkind = 'S' THEN has_sequence_privilege('public', oid, 'USAGE, SELECT, UPDATE') END$$,
    'PUBLIC touches no sequence');
SELECT ok(has_schema_privilege('public', 'model_mgr', 'USAGE') AND NOT has_schema_privilege('public', 'model_mgr', 'CREATE'),
    'PUBLIC has USAGE of the schema and no more');
SELECT is_empty($$SELECT signature FROM routine WHERE prorettype <> 'trigger'::regtype AND proname NOT IN (SELECT object_name FROM model_mgr.role_grant WHERE object_kind = 'routine')$$,
    'every function but those of triggers has its row in role_grant');
SELECT is_empty($$SELECT object_name FROM model_mgr.role_grant WHERE object_kind = 'routine' AND object_name NOT IN (SELECT proname FROM routine)$$,
    'every row of role_grant has its function');

SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
CREATE TEMP VIEW kind AS SELECT * FROM (VALUES ('admin'), ('operator'), ('app'), ('reader')) k (role_kind);
SELECT is_empty($$SELECT k.role_kind, r.signature FROM routine r, kind k
    WHERE has_function_privilege('regress_model_mgr_' || k.role_kind, r.oid, 'EXECUTE') IS DISTINCT FROM
    EXISTS (SELECT FROM model_mgr.role_grant g WHERE g.role_kind = k.role_kind AND g.object_name = r.proname AND g.object_kind = 'routine')$$,
    'each kind of role executes what role_grant says and nothing else');
SELECT is_empty($$SELECT k.role_kind, r.relname FROM relation r, kind k WHERE r.relkind IN ('r', 'p', 'v', 'm')
    AND has_table_privilege('regress_model_mgr_' || k.role_kind, r.oid, 'SELECT') IS DISTINCT FROM
    (k.role_kind <> 'app' AND r.relname <> 'unit_key' AND NOT r.relispartition)$$, 'all but app read every relation but unit_key');
SELECT is_empty($$SELECT k.role_kind, r.relname, p FROM relation r, kind k, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
    WHERE r.relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege('regress_model_mgr_' || k.role_kind, r.oid, p)$$, 'nobody but the owner writes a relation');
SELECT is_empty($$SELECT k.role_kind, r.relname, a.attname, p FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid, kind k,
    unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) p
    WHERE r.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege('regress_model_mgr_' || k.role_kind, r.oid, a.attnum, p) IS DISTINCT FROM
    (p = 'INSERT' AND k.role_kind <> 'reader' AND r.relname = 'observation' AND a.attname <> 'txn')$$,
    'but app, operator and admin INSERT into observation, all columns but txn');

-- The matrix itself, as the server sees it, to be read when it changes.
SELECT format('%s: %s', r.proname, string_agg(k.role_kind, ' ' ORDER BY k.role_kind)) FROM routine r, kind k
WHERE has_function_privilege('regress_model_mgr_' || k.role_kind, r.oid, 'EXECUTE') GROUP BY r.proname ORDER BY r.proname COLLATE "C";
SELECT format('%s: %s', r.relname, string_agg(k.role_kind, ' ' ORDER BY k.role_kind)) FROM relation r, kind k
WHERE r.relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege('regress_model_mgr_' || k.role_kind, r.oid, 'SELECT') GROUP BY r.relname ORDER BY r.relname COLLATE "C";

-- 4. Comments.
SELECT is_empty($$SELECT signature FROM routine WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty($$SELECT relname FROM relation WHERE relkind IN ('r', 'p', 'v', 'm') AND obj_description(oid, 'pg_class') IS NULL$$,
    'every relation has a comment');
SELECT is_empty($$SELECT relname, attname FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
    WHERE r.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND col_description(r.oid, a.attnum) IS NULL$$, 'every column of a relation has a comment');

-- 5. Dumps: every table and sequence is marked, so that a restore brings it back; no foreign keys, since a parallel restore loads in any order.
SELECT is_empty($$SELECT relname FROM relation WHERE relkind IN ('r', 'p', 'S') AND relname NOT IN (SELECT object FROM exempt WHERE rule = 'dump')
    AND NOT oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'model_mgr')$$, 'every table and sequence is marked for dumps');
SELECT is_empty($$SELECT conname FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid WHERE c.contype = 'f'$$, 'no foreign keys');

SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
