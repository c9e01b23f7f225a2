-- The backend-local cache is never wrong: own changes, rollbacks, reused revision numbers, dropped and recreated
-- extension, prepared statements, isolation levels, parallel plans, replica role, 10,000 models. What other sessions
-- commit is in test/specs/routing_*.spec.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT plan(71);

-- A session that first asks for a hash, which looks at the key only.
SET client_min_messages = error;
SELECT unit_hash('u') AS hash \gset
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SET client_min_messages = warning;
SELECT ok(unit_hash('u') <> :hash, 'a new installation has its own key');
SELECT unit_hash('u') AS hash \gset
BEGIN;
UPDATE unit_key SET key = decode('000102030405060708090a0b0c0d0e0f', 'hex');
SELECT ok(unit_hash('u') <> :hash, 'a key that is replaced counts at once');
ROLLBACK;
SELECT is(unit_hash('u'), :hash, 'and no more after a rollback');

SELECT count(create_model_version(m, v, model_configuration('p', 'x'))) AS made
FROM (VALUES ('m', '1'), ('m', '2'), ('m', '3'), ('n', '1')) x (m, v) \gset
SELECT count(deploy_model_version(m, '1')) AS active FROM (VALUES ('m'), ('n')) x (m) \gset
-- serve: a model's stable version changed by the plainest statement there is.
CREATE FUNCTION public.serve(name text, served text) RETURNS void LANGUAGE sql AS $$
    UPDATE model_mgr.routing r SET revision = revision + 1, stable_version = served,
        stable_version_id = (SELECT v.version_id FROM model_mgr.model_version v WHERE v.model_name = name AND v.version = served)
    WHERE r.model_name = name $$;

-- One's own changes.
SELECT is(route_version('m', 'u'), '1', 'before');
BEGIN;
SELECT serve('m', '2') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '2', 'an own change is seen at once');
SAVEPOINT a;
SELECT serve('m', '3') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '3', 'and within a savepoint');
ROLLBACK TO a;
SELECT is(route_version('m', 'u'), '2', 'gone with the savepoint');
SELECT is((SELECT value FROM route('m', 'u')), '2', 'for route() too');
RELEASE a;
ROLLBACK;
SELECT is(route_version('m', 'u'), '1', 'gone with the transaction');
BEGIN;
SAVEPOINT a;
SELECT serve('m', '2') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '2', 'changed in a savepoint');
RELEASE a;
SELECT is(route_version('m', 'u'), '2', 'released');
ROLLBACK;
SELECT is(route_version('m', 'u'), '1', 'and rolled back with the transaction around it');

-- A revision number that was rolled back is taken again, with other content, and nobody looked in between.
BEGIN;
SELECT serve('m', '2') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '2', 'revision n + 1 says 2');
ROLLBACK;
SELECT serve('m', '3') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '3', 'revision n + 1 says 3');
BEGIN;
SAVEPOINT a;
SELECT serve('m', '1') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '1', 'the same within one transaction');
ROLLBACK TO a;
SELECT serve('m', '2') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '2', 'and a savepoint');
COMMIT;

-- Errors caught in PL/pgSQL are subtransactions that abort.
DO $$ BEGIN
    BEGIN
        PERFORM public.serve('m', '3');
        IF model_mgr.route_version('m', 'u') <> '3' THEN RAISE 'not seen'; END IF;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    IF model_mgr.route_version('m', 'u') <> '2' THEN RAISE 'stale after a caught error'; END IF;
END $$;
SELECT is(route_version('m', 'u'), '2', 'a caught error takes its change back');

-- Isolation levels.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT is(route_version('m', 'u'), '2', 'REPEATABLE READ');
SELECT serve('m', '1') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '1', 'an own change in it');
COMMIT;
SELECT is(route_version('m', 'u'), '1', 'and after it');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT is(route_version('m', 'u'), '1', 'SERIALIZABLE');
SELECT serve('m', '2') IS NOT NULL AS done \gset
SELECT is(route_version('m', 'u'), '2', 'an own change in it');
ROLLBACK;
SELECT is(route_version('m', 'u'), '1', 'and after it');
BEGIN READ ONLY;
SELECT is((SELECT value FROM route('m', 'u')), '1', 'READ ONLY');
COMMIT;

-- Prepared statements, custom and generic plans.
PREPARE ask AS SELECT route_version($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE ask('m', 'u');
SELECT serve('m', '3') IS NOT NULL AS done \gset
EXECUTE ask('m', 'u');
RESET plan_cache_mode;
EXECUTE ask('n', 'u');
DISCARD PLANS;
EXECUTE ask('m', 'u');

-- A thousand changes in one statement, each seen by the next call.
DO $$
DECLARE
    wrong integer := 0;
    now_serving text;
BEGIN
    FOR i IN 1..1000 LOOP
        now_serving := (i % 3 + 1)::text;
        PERFORM public.serve('m', now_serving);
        wrong := wrong + (model_mgr.route_version('m', i::text) <> now_serving)::integer;
    END LOOP;
    PERFORM pg_catalog.set_config('public.wrong', wrong::text, false);
END $$;
SELECT is(current_setting('public.wrong'), '0', '1,000 changes within one statement, each seen at once');

-- How rows may come and go without our functions.
SELECT is(route_version('m', 'u'), '2', 'the last of them');
SET session_replication_role = replica;
SELECT serve('m', '3') IS NOT NULL AS done \gset
RESET session_replication_role;
SELECT is(route_version('m', 'u'), '3', 'under the replica role, as a subscriber''s worker writes');
BEGIN;
DELETE FROM routing WHERE model_name = 'm';
SELECT is(route_version('m', 'u'), NULL, 'a row deleted');
ROLLBACK;
SELECT is(route_version('m', 'u'), '3', 'and back');
BEGIN;
TRUNCATE routing;
SELECT is(route_version('m', 'u'), NULL, 'TRUNCATE');
ROLLBACK;
SELECT is(route_version('m', 'u'), '3', 'and back');
BEGIN;
SET LOCAL session_replication_role = replica;
TRUNCATE routing;
SELECT is(route_version('m', 'u'), NULL, 'TRUNCATE as a subscriber does');
ROLLBACK;
REINDEX TABLE routing;
VACUUM FULL routing;
SELECT is(route_version('m', 'u'), '3', 'rewritten and reindexed');

-- Versions by name, for recording: what a rolled-back transaction made is not known afterwards; what is deleted and
-- made again has another id.
BEGIN;
SELECT create_model_version('m', '9', model_configuration('p', 'x')) IS NOT NULL AS made \gset
SELECT lives_ok($$SELECT update_model_metrics('m', '9', success => true)$$, 'a new version is known to its own transaction');
ROLLBACK;
SELECT throws_ok($$SELECT update_model_metrics('m', '9', success => true)$$, '42704', NULL, 'and to nobody after a rollback');
BEGIN;
SAVEPOINT a;
SELECT create_model_version('m', '9', model_configuration('p', 'x')) IS NOT NULL AS made \gset
SELECT lives_ok($$SELECT update_model_metrics('m', '9', success => true)$$, 'the same with a savepoint');
ROLLBACK TO a;
SELECT throws_ok($$SELECT update_model_metrics('m', '9', success => true)$$, '42704', NULL, 'rolled back');
ROLLBACK;
SELECT version_id AS old_id FROM create_model_version('m', '9', model_configuration('p', 'x')) \gset
SELECT pin_unit('m', 'x', '9') IS NOT NULL AS pinned \gset
SELECT is(route_version('m', 'x'), '9', 'a version by pin');
DELETE FROM routing_pin;
UPDATE routing SET pin_hashes = '{}', pin_version_ids = '{}', pin_versions = '{}', revision = revision + 1 WHERE model_name = 'm';
SELECT update_model_metrics('m', '9', success => true) IS NOT NULL AS recorded \gset
DELETE FROM model_version WHERE version_id = :old_id;
SELECT throws_ok($$SELECT update_model_metrics('m', '9', success => true)$$, '42704', NULL, 'a deleted version');
SELECT version_id AS new_id FROM create_model_version('m', '9', model_configuration('p', 'x')) \gset
SELECT update_model_metrics('m', '9', success => true) IS NOT NULL AS recorded \gset
SELECT is((SELECT array_agg(version_id ORDER BY version_id) FROM observation WHERE version_id >= :old_id), ARRAY[:old_id, :new_id]::bigint[], 'made again: under its new id');
SELECT set_alias('m', 'which', '1') IS NOT NULL AS named \gset
SELECT update_model_metrics('m', '@which', cost => 1) IS NOT NULL AS recorded \gset
SELECT set_alias('m', 'which', '2') IS NOT NULL AS named \gset
SELECT update_model_metrics('m', '@which', cost => 2) IS NOT NULL AS recorded \gset
SELECT results_eq($$SELECT v.version, o.cost FROM observation o JOIN model_version v USING (version_id) WHERE cost IS NOT NULL ORDER BY cost$$,
    $$VALUES ('1', 1::float8), ('2', 2)$$, 'an alias is what it is now');

-- Parallel plans: the look-up happens in the leader, above Gather, also when it has to read the table there.
CREATE TABLE public.unit AS SELECT i::text AS unit_id FROM generate_series(1, 20000) i;
ANALYZE public.unit;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE FUNCTION public.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
SELECT ok((SELECT string_agg(p, ' ') FROM plan_of($$SELECT count(*) FROM (SELECT route_version('m', unit_id) v FROM public.unit OFFSET 0) x WHERE v = '2'$$) p) LIKE '%Gather%',
    'a parallel plan');
SELECT serve('m', '2') IS NOT NULL AS done \gset
SELECT is((SELECT count(*) FROM (SELECT route_version('m', unit_id) v FROM public.unit OFFSET 0) x WHERE v = '2'), 20000::bigint, 'refilled above Gather');
SELECT is((SELECT count(*) FROM public.unit WHERE route_version('m', unit_id) = '2'), 20000::bigint, 'in a filter');
SELECT is((SELECT count(*) FROM (SELECT route_version('m', max(unit_id)) v FROM public.unit GROUP BY unit_id) x WHERE v = '2'), 20000::bigint, 'and above an aggregate');
SELECT is((SELECT count(*) FROM public.unit u, LATERAL route('m', u.unit_id) r WHERE r.value = '2'), 20000::bigint, 'route() beside one');
SELECT set_config(CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'regress', false) AS forced \gset
SELECT serve('m', '3') IS NOT NULL AS done \gset
SELECT is((SELECT count(*) FROM public.unit WHERE route_version('m', unit_id) = '3'), 20000::bigint, 'with parallel mode forced');
SELECT is(route_version('m', 'u'), '3', 'on the smallest query too');
SELECT is((SELECT value FROM route('m', 'u')), '3', 'and route()');
SELECT is(bucket('k', 'u'), bucket('k', 'u', 10000), 'bucket() runs in workers');
RESET ALL;
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;

-- 10,000 models.
INSERT INTO model (model_name, created_by, created_at) SELECT 'many ' || i, 'me', now() FROM generate_series(1, 10000) i;
INSERT INTO model_version (model_id, model_name, version, configuration, status, created_by, created_at)
SELECT m.model_id, m.model_name, '1.0.' || m.model_id, '{"provider": "p", "model_name": "x"}', 'active', 'me', now() FROM model m WHERE m.model_name LIKE 'many %';
INSERT INTO routing (model_name, model_id, revision, changed_at, salt, stable_version_id, stable_version, bucket_key)
SELECT m.model_name, m.model_id, 1, now(), md5(m.model_name), v.version_id, v.version, md5(m.model_name) || '1' FROM model m JOIN model_version v USING (model_id) WHERE m.model_name LIKE 'many %';
ANALYZE routing;
CREATE TEMP TABLE many AS SELECT model_name, stable_version FROM routing WHERE model_name LIKE 'many %';
SELECT is((SELECT count(*) FROM many WHERE route_version(model_name, 'u') = stable_version), 10000::bigint, '10,000 models, each with its version');
SELECT is((SELECT count(*) FROM many, LATERAL route(model_name, 'u') r WHERE r.value = stable_version), 10000::bigint, 'by route() too');
SELECT ok((SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'model_mgr routing%') < 20 * 1024 * 1024, 'in 20 MiB');
-- probes: how often this transaction has read routing by its index.
CREATE FUNCTION public.probes() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT pg_stat_get_xact_numscans('model_mgr.routing_pkey'::regclass) $$;
BEGIN;
SELECT count(route_version(model_name, 'u')) AS warm FROM many \gset
SELECT probes() AS before \gset
SELECT count(route_version(model_name, 'u')) AS warm FROM many \gset
SELECT is(probes() - :before, 0::bigint, 'a warm cache reads nothing');
UPDATE routing SET revision = revision + 1, stable_version = '2.0' WHERE model_name = 'many 7';
SELECT probes() AS before \gset
SELECT is(route_version('many 7', 'u'), '2.0', 'one step of one model');
SELECT is(probes() - :before, 1::bigint, 'no flood: one row was read');
SELECT is(route_version('many 7', 'v'), '2.0', 'and no more');
SELECT is(probes() - :before, 1::bigint, 'as long as nothing happens');
SELECT count(route_version(model_name, 'u')) AS warm FROM many \gset
SELECT is(probes() - :before, 10000::bigint, 'the others are looked at once, when they are used');
SELECT count(route_version(model_name, 'u')) AS warm FROM many \gset
SELECT is(probes() - :before, 10000::bigint, 'and not again');
ROLLBACK;
SELECT is(route_version('many 7', 'u'), (SELECT stable_version FROM many WHERE model_name = 'many 7'), 'rolled back');

-- Large routings do not let a backend grow without limit.
UPDATE routing r SET revision = revision + 1, pin_hashes = p.hashes, pin_version_ids = p.ids, pin_versions = p.versions
FROM (SELECT array_agg(i ORDER BY i) hashes, array_agg(1::bigint) ids, array_agg(repeat('9', 100)) versions FROM generate_series(1::bigint, 1000) i) p
WHERE model_name LIKE 'many %01' OR model_name LIKE 'many %02';
SELECT is((SELECT count(*) FROM many WHERE route_version(model_name, 'u') = stable_version), 10000::bigint, '200 models with 1,000 long pins each, 27 MB');
SELECT ok((SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'model_mgr routing%') < 20 * 1024 * 1024, 'still in 20 MiB');
UPDATE routing SET pin_hashes = '{}', pin_version_ids = '{}', pin_versions = '{}', revision = revision + 1 WHERE model_name LIKE 'many %01' OR model_name LIKE 'many %02';

-- The extension goes and comes back in the same session.
SELECT route_version('m', 'u') AS served, unit_hash('u') AS hash \gset
DROP EXTENSION model_mgr CASCADE;
SELECT throws_ok($$SELECT model_mgr.route_version('m', 'u')$$, '42883', NULL, 'the function is gone');
SET client_min_messages = error;
:create_extension;
SET client_min_messages = warning;
SELECT is(route_version('m', 'u'), NULL, 'nothing is remembered of the old one');
SELECT ok(unit_hash('u') <> :hash, 'it has another key');
SELECT create_model_version('m', 'new', model_configuration('p', 'x')) IS NOT NULL AS made \gset
SELECT deploy_model_version('m', 'new') IS NOT NULL AS active \gset
SELECT is(route_version('m', 'u'), 'new', 'the new one answers');
SELECT lives_ok($$SELECT update_model_metrics('m', 'new', success => true)$$, 'and records');
EXECUTE ask('m', 'u');
BEGIN;
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SELECT is(route_version('m', 'u'), NULL, 'dropped and made in a transaction');
ROLLBACK;
SELECT is(route_version('m', 'u'), 'new', 'that is rolled back');
DO $$ BEGIN
    FOR i IN 1..3 LOOP
        DROP EXTENSION model_mgr CASCADE;
        CREATE EXTENSION model_mgr;
        PERFORM model_mgr.create_model_version('m', i::text, '{"provider": "p", "model_name": "x"}');
        PERFORM model_mgr.deploy_model_version('m', i::text);
        IF model_mgr.route_version('m', 'u') IS DISTINCT FROM i::text THEN RAISE 'stale'; END IF;
    END LOOP;
END $$;
SELECT is(route_version('m', 'u'), '3', 'three times in one statement');

SELECT * FROM finish();
DROP TABLE public.unit;
DROP FUNCTION public.probes(), public.plan_of(text), public.serve(text, text);
