-- The four roles at work: each does what it is for, through nothing but its grants, and state stays the owner's.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT plan(36);

-- setup_roles: who may, what it makes, again.
CREATE ROLE regress_model_mgr_stranger;
CREATE ROLE regress_model_mgr_maker CREATEROLE;
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname LIKE 'model\_mgr\_%'), 0::bigint, 'CREATE EXTENSION makes no role');
GRANT EXECUTE ON FUNCTION setup_roles TO regress_model_mgr_stranger, regress_model_mgr_maker;
GRANT USAGE ON SCHEMA tap TO PUBLIC;
SET ROLE regress_model_mgr_stranger;
SELECT throws_ok($$SELECT model_mgr.setup_roles()$$, '42501', 'permission denied to grant rights on extension "model_mgr"', 'a stranger may not, even with EXECUTE');
SET ROLE regress_model_mgr_maker;
SELECT throws_ok($$SELECT model_mgr.setup_roles()$$, '42501', 'permission denied to grant rights on extension "model_mgr"', 'nor one who may only make roles');
RESET ROLE;
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname LIKE 'model\_mgr\_%'), 0::bigint, 'and nothing was made');
REVOKE EXECUTE ON FUNCTION setup_roles FROM regress_model_mgr_stranger, regress_model_mgr_maker;

SELECT lives_ok($$SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress model_mgr "reader"')$$,
    'names are quoted');
CREATE FUNCTION pg_temp.acl() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM (
        SELECT proname || proacl::text FROM pg_proc WHERE pronamespace = 'model_mgr'::regnamespace
        UNION ALL SELECT relname || relacl::text FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace
        UNION ALL SELECT attname || attacl::text FROM pg_attribute WHERE attrelid = 'model_mgr.observation'::regclass) a (x)
$$;
SELECT pg_temp.acl() AS acl \gset
SELECT lives_ok($$SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress model_mgr "reader"')$$,
    'again is harmless');
SELECT is(pg_temp.acl(), :'acl', 'and changes nothing');
SELECT ok(NOT rolcanlogin AND NOT rolsuper AND NOT rolcreaterole AND NOT rolbypassrls, rolname || ' is a plain group')
FROM pg_roles WHERE rolname ~ '^regress.model_mgr.+(admin|operator|app|reader)' ORDER BY rolname;
SELECT is((SELECT count(*) FROM audit_log WHERE operation = 'setup_roles'), 2::bigint, 'both calls are in the audit log');

-- The operator deploys, without a right on any table.
GRANT ALL ON SCHEMA public TO PUBLIC;
SET ROLE regress_model_mgr_operator;
SELECT is((SELECT count(*) FROM unnest(ARRAY['1', '2']) v, create_model_version('m', v, '{"provider": "test", "model_name": "x"}')), 2::bigint, 'operator: creates');
SELECT is((SELECT status FROM deploy_model_version('m', '1')), 'completed', 'operator: deploys');
SELECT is((SELECT status FROM deploy_model_version('m', '2', 'canary', rollback_min_success_rate => 0.9, rollout => '{"steps": [50, 100], "min_requests": 20}')), 'running', 'operator: rolls out');
SELECT lives_ok('SELECT * FROM tick()', 'operator: ticks');
CALL maintain();
CALL work();
CALL run(0);
SELECT throws_ok($$DELETE FROM model_mgr.model$$, '42501', NULL, 'operator: writes no table');
SELECT throws_ok($$SELECT setval('model_mgr.model_model_id_seq', 1)$$, '42501', NULL, 'operator: touches no sequence');
RESET ROLE;
SELECT is((SELECT count(DISTINCT c.relowner) || ' owner of ' || (count(*) > 7)::text FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent = 'model_mgr.observation'::regclass AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = 'model_mgr.model'::regclass)), '1 owner of true',
    'partitions made at run time belong to the extension''s owner');
SELECT is((SELECT string_agg(DISTINCT caller, ' ') FROM audit_log WHERE model_name = 'm'), 'regress_model_mgr_operator', 'the audit log names the caller, not the owner');

-- The application routes and records, and its recordings take the bad version back.
SET ROLE regress_model_mgr_app;
SELECT is((SELECT value FROM route('m', 'u1')) IN ('1', '2'), true, 'app: routes');
SELECT is(route_version('m', 'u1') IN ('1', '2'), true, 'app: route_version');
SELECT decision FROM route('m', 'u1') \gset
SELECT lives_ok(format('SELECT model_mgr.record_outcome(%L, true, 0.1)', :'decision'), 'app: records an outcome');
SELECT lives_ok(format('SELECT model_mgr.record_feedback(%L, true)', :'decision'), 'app: records late truth');
SELECT lives_ok($$SELECT model_mgr.record_outcomes('[{"model_name": "m", "version": "1", "success": true}]')$$, 'app: records in bulk');
SELECT lives_ok($$SELECT model_mgr.update_model_metrics('m', '1', 0.1, true)$$, 'app: records by name');
SELECT lives_ok($$INSERT INTO model_mgr.observation (version_id, success, unit_hash) VALUES (1, true, model_mgr.unit_hash('u'))$$, 'app: inserts directly');
SELECT throws_ok($$INSERT INTO model_mgr.observation (version_id, txn) VALUES (1, 1)$$, '42501', NULL, 'app: but never a transaction key');
SELECT throws_ok($$SELECT count(*) FROM model_mgr.observation$$, '42501', NULL, 'app: reads nothing back');
SELECT throws_ok($$SELECT model_mgr.rollback_model('m')$$, '42501', NULL, 'app: rolls nothing back by its own will');
RESET ROLE;
SET model_mgr.clock = '2026-03-01 12:00:00+00';
SELECT a.deployment_id AS aborted FROM list_deployments('m', 'running') d, abort_deployment(d.deployment_id) a \gset
SELECT is((SELECT status FROM deploy_model_version('m', '2', 'canary', rollback_min_success_rate => 0.9, rollout => '{"steps": [50, 100], "min_requests": 20}')), 'running',
    'another rollout, the clock held');
SET model_mgr.clock = '2026-03-01 12:05:00+00';
SET ROLE regress_model_mgr_app;
SELECT count(model_mgr.update_model_metrics('m', '2', 0.1, false)) FROM generate_series(1, 30) \gset
RESET ROLE;
SELECT is((SELECT status FROM get_deployment((SELECT max(deployment_id) FROM deployment))), 'rolled_back', 'the application''s recordings rolled the bad version back');
SELECT is(route_version('m', 'u1'), '1', 'and it serves nobody any more');

-- The reader looks and changes nothing.
SET ROLE "regress model_mgr ""reader""";
SELECT is((SELECT version FROM get_active_model('m')), '1', 'reader: get_active_model');
SELECT is((SELECT count(*) > 0 FROM model_version_list), true, 'reader: the views');
SELECT throws_ok($$SELECT model_mgr.create_model_version('z', '1', '{"provider": "p", "model_name": "x"}')$$, '42501', NULL, 'reader: creates nothing');
RESET ROLE;

SELECT * FROM finish();
SET client_min_messages = error;
REVOKE USAGE ON SCHEMA tap FROM PUBLIC;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_stranger, regress_model_mgr_maker, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, "regress model_mgr ""reader""";
