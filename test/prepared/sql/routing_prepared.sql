-- A change of routing in a prepared transaction: out of sight from PREPARE on, seen by everybody when it is committed,
-- never when it is rolled back.
\i test/fresh.psql
SET client_min_messages = error;
SET search_path = model_mgr, public, tap;
SELECT plan(12);
SELECT count(create_model_version('m', v, model_configuration('p', 'x'))) AS made FROM (VALUES ('1'), ('2'), ('3')) x (v) \gset
SELECT deploy_model_version('m', '1') IS NOT NULL AS active \gset

BEGIN;
SELECT deploy_model_version('m', '2', strategy => 'replace') IS NOT NULL AS deployed \gset
SELECT route_version('m', 'u') AS inside \gset
PREPARE TRANSACTION 'regress_model_mgr';
SELECT is(:'inside'::text, '2', 'seen by its own transaction');
SELECT is(route_version('m', 'u'), '1', 'prepared: out of sight');
SELECT is((SELECT value FROM route('m', 'u')), '1', 'for route() too');
COMMIT PREPARED 'regress_model_mgr';
SELECT is(route_version('m', 'u'), '2', 'committed: in force');
BEGIN;
SELECT deploy_model_version('m', '3', strategy => 'replace') IS NOT NULL AS deployed \gset
SELECT route_version('m', 'u') AS inside \gset
PREPARE TRANSACTION 'regress_model_mgr';
SELECT is(:'inside'::text, '3', 'another one');
SELECT is(route_version('m', 'u'), '2', 'prepared');
ROLLBACK PREPARED 'regress_model_mgr';
SELECT is(route_version('m', 'u'), '2', 'rolled back: it never was');
SELECT is(pin_unit('m', 'u', '3'), true, 'its lock is gone');
SELECT is(route_version('m', 'u'), '3', 'and its revision is taken by another change');

-- A version that a prepared transaction made is not known by name before it is committed.
BEGIN;
SELECT create_model_version('m', '4', model_configuration('p', 'x')) IS NOT NULL AS made \gset
SELECT update_model_metrics('m', '4', success => true) IS NOT NULL AS recorded \gset
PREPARE TRANSACTION 'regress_model_mgr';
SELECT throws_ok($$SELECT update_model_metrics('m', '4', success => true)$$, '42704', NULL, 'a version of a prepared transaction');
COMMIT PREPARED 'regress_model_mgr';
SELECT lives_ok($$SELECT update_model_metrics('m', '4', success => true)$$, 'and of a committed one');
SELECT is((SELECT count(*) FROM observation), 2::bigint, 'both outcomes are there');

SELECT * FROM finish();
