-- Looking at the registry: what unknown names give, lineage, differences, statistics, the views and their columns, and
-- that looking stays cheap with 10,000 models.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(55);
CREATE FUNCTION pg_temp.make(model text, version text, parent text DEFAULT NULL, extra jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT FROM create_model_version(model, version, '{"provider": "p", "model_name": "m"}'::jsonb || extra, parent_version => parent) $$;

-- Unknown names: no row or NULL. NULL: an error.
SELECT pg_temp.make('m', '1');
SELECT is_empty(format('SELECT 1 FROM %s', call), call || ' has no row') FROM unnest(ARRAY['get_model_version(''none'', ''1'')', 'get_model_version(''m'', ''9'')', 'get_model_version(''m'', ''@none'')',
    'get_model_version(''m'', ''latest'')', 'get_active_model(''none'')', 'get_active_model(''m'')', 'list_model_versions(''none'')', 'lineage(''none'', ''1'')', 'lineage(''m'', ''9'')',
    'diff_configuration(''none'', ''1'', ''1'')', 'diff_configuration(''m'', ''1'', ''9'')', 'get_model_version(repeat(''x'', 300), '''')']) call;
SELECT pg_temp.refused('22004', says, 'SELECT * FROM ' || call) FROM (VALUES ('model_name', 'get_model_version(NULL, ''1'')'), ('version', 'get_model_version(''m'', NULL)'), ('model_name', 'get_active_model(NULL)'),
    ('model_name', 'list_model_versions(NULL)'), ('model_name', 'lineage(NULL, ''1'')'), ('version', 'lineage(''m'', NULL)'), ('model_name', 'diff_configuration(NULL, ''1'', ''1'')'),
    ('version_a', 'diff_configuration(''m'', NULL, ''1'')'), ('version_b', 'diff_configuration(''m'', ''1'', NULL)')) c (says, call);
SELECT is((SELECT v FROM get_model_version('m', '1') v), (SELECT v FROM model_version v), 'get_model_version gives the row of the table');

-- Lineage.
SELECT pg_temp.make('m', '2', '1'), pg_temp.make('m', '3', '2'), pg_temp.make('m', '3b', '2'), pg_temp.make('other', '2');
SELECT results_eq($$SELECT depth, version, parent_version, status FROM lineage('m', '3')$$,
    $$VALUES (0, '3', '2', 'pending'), (1, '2', '1', 'pending'), (2, '1', NULL, 'pending')$$, 'from the version up to its first ancestor');
SELECT results_eq($$SELECT depth, version FROM lineage('m', '1')$$, $$VALUES (0, '1')$$, 'a first version has none');
SELECT is((SELECT array_agg(created_at ORDER BY version) FROM lineage('m', '3')), (SELECT array_agg(created_at ORDER BY version) FROM model_version WHERE model_name = 'm' AND version <> '3b'), 'created_at');

-- Differences.
SELECT pg_temp.make('d', 'a', NULL, '{"temperature": 0.3, "max_tokens": 10, "custom_parameters": {"deep": {"same": 1, "other": "x"}, "a.b": 1, "gone": true}, "stop": ["a"], "type": 1, "null": null, "empty": {}}');
SELECT pg_temp.make('d', 'b', NULL, '{"temperature": 0.30, "max_tokens": 20, "custom_parameters": {"deep": {"same": 1, "other": "y"}, "a.b": 2, "new": {"k": null}}, "stop": ["a", "b"], "type": "1", "empty": []}');
SELECT results_eq($$SELECT * FROM diff_configuration('d', 'a', 'b')$$, $$VALUES
    ('custom_parameters."a.b"', '1', '2'), ('custom_parameters.deep.other', 'x', 'y'), ('custom_parameters.gone', 'true', NULL), ('custom_parameters.new.k', NULL, 'null'),
    ('empty', '{}', '[]'), ('max_tokens', '10', '20'), ('null', 'null', NULL), ('stop', '["a"]', '["a", "b"]'), ('type', '1', '"1"')$$, 'leaf by leaf');
SELECT results_eq($$SELECT path, value_b, value_a FROM diff_configuration('d', 'b', 'a')$$, $$SELECT * FROM diff_configuration('d', 'a', 'b')$$, 'the same the other way round');
SELECT is_empty($$SELECT 1 FROM diff_configuration('d', 'a', 'a')$$, 'nothing differs from itself');

-- The columns of the contract, in its order.
CREATE FUNCTION pg_temp.columns(relation text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', a.attname, CASE format_type(a.atttypid, NULL) WHEN 'text' THEN NULL ELSE format_type(a.atttypid, NULL) END), ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = relation::regclass AND a.attnum > 0 AND NOT a.attisdropped $$;
SELECT is(pg_temp.columns('model_version'), 'model_id bigint, version_id bigint, model_name, version, description, configuration jsonb, artifact_uri, artifact_digest, parent_version, tags text[], labels jsonb, status, status_reason, created_by, created_at timestamp with time zone', 'model_version');
SELECT is(pg_temp.columns('model_version_list'), pg_temp.columns('model_version')
    || ', provider, aliases text[], traffic_percentage double precision, deployments bigint, requests bigint, success_rate double precision, avg_response_time double precision, cost double precision', 'model_version_list');
SELECT is(pg_temp.columns('audit_list'), 'audit_id bigint, logged_at timestamp with time zone, operation, model_name, version, user_name, caller, session_id, application_name, client_address, txn bigint, details jsonb, sealed boolean', 'audit_list');
SELECT is(pg_temp.columns('alias_list'), 'model_name, alias, version, version_id bigint, status, set_by, set_at timestamp with time zone', 'alias_list');
SELECT is_empty($$SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    AND a.attnum > 0 AND a.attcollation NOT IN (0, 'pg_catalog."default"'::regcollation)$$, 'every column has the default collation, so that rows compare with a caller''s own');

-- What a version serves and has done.
SELECT version FROM deploy_model_version('m', '1') \gset
SELECT deployment_id AS id FROM deploy_model_version('m', '2', traffic_percentage => 30, rollout => '{"steps": [30, 100]}') \gset
SELECT set_alias('m', 'b', '1'), set_alias('m', 'a', '1');
SELECT update_model_metrics('m', '1', response_time => 0.5, success => true, cost => 0.25), update_model_metrics('m', '1', response_time => 1.5, success => false, cost => 0.5),
    update_model_metrics('m', '1', success => NULL, response_time => NULL), update_model_metrics('m', '2', success => true) \gset
CREATE FUNCTION pg_temp.shown() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', version, status, provider, aliases, traffic_percentage, deployments, requests, success_rate, coalesce(avg_response_time::text, '-'), coalesce(cost::text, '-'))
    FROM model_version_list WHERE model_name = 'm' ORDER BY version $$;
SELECT results_eq('SELECT pg_temp.shown()', $$VALUES ('1 active p {a,b} 70 1 3 0.5 1 0.75'), ('2 deploying p {} 30 1 1 1 - -'), ('3 pending p {} 0 0 0 - -'), ('3b pending p {} 0 0 0 - -')$$,
    'share of traffic, deployments, requests and their sums');
SELECT count(*) FROM tick() \gset
SELECT isnt((SELECT sum(requests) FROM rollup_minute), NULL, 'folded');
SELECT update_model_metrics('m', '1', success => true) \gset
SELECT results_eq('SELECT pg_temp.shown()', $$VALUES ('1 active p {a,b} 70 1 4 0.6666666666666666 1 0.75'), ('2 deploying p {} 30 1 1 1 - -'), ('3 pending p {} 0 0 0 - -'), ('3b pending p {} 0 0 0 - -')$$,
    'the same when a part is folded and a part is not');
SELECT is((SELECT count(*) FROM model_version_list WHERE model_name = 'other' AND traffic_percentage = 0), 1::bigint, 'a model that serves nobody');

-- Statistics.
SELECT results_eq('SELECT * FROM get_model_statistics()', $$VALUES ('models', 3::float8), ('versions', 7), ('active_versions', 1), ('deployments_open', 1), ('deployments_total', 2), ('rollbacks_total', 0), ('requests_24h', 5)$$, 'statistics');
SELECT rollback_model('m') \gset
SELECT is(get_model_statistics_json(), '{"models": 3, "versions": 7, "active_versions": 1, "deployments_open": 0, "deployments_total": 2, "rollbacks_total": 1, "requests_24h": 5}'::jsonb, 'as JSON, after a rollback');
SELECT set_config('model_mgr.clock', (now() + interval '25 hours')::text, false) \gset
SELECT is((SELECT value FROM get_model_statistics() WHERE metric_name = 'requests_24h'), 0::float8, 'requests_24h forgets after 24 hours');
RESET model_mgr.clock;

-- The audit log.
SELECT is((SELECT string_agg(DISTINCT operation || ' ' || sealed, ', ') FROM audit_list WHERE operation IN ('create', 'rollback')), 'create true, rollback false', 'the tick has sealed what was there, not what came later');
SELECT results_eq($$SELECT operation, version FROM audit_list WHERE model_name = 'm' AND operation IN ('create', 'set_alias') ORDER BY audit_id$$,
    $$VALUES ('create', '1'), ('create', '2'), ('create', '3'), ('create', '3b'), ('set_alias', '1'), ('set_alias', '1')$$, 'operations in order');

-- 10,000 models: nothing that looks at one of them reads the others.
INSERT INTO model (model_name, created_by, created_at) SELECT 'bulk ' || n, 'test', now() FROM generate_series(1, 10000) n;
INSERT INTO model_version (model_id, model_name, version, configuration, status, created_by, created_at)
SELECT m.model_id, m.model_name, v.version, '{"provider": "p", "model_name": "m"}', v.status, 'test', now() FROM model m, (VALUES ('1.0.0', 'active'), ('1.1.0', 'pending')) v (version, status) WHERE m.model_name LIKE 'bulk %';
INSERT INTO routing (model_name, model_id, revision, changed_at, salt, stable_version_id, stable_version)
SELECT v.model_name, v.model_id, 1, now(), 'salt', v.version_id, v.version FROM model_version v WHERE v.model_name LIKE 'bulk %' AND v.version = '1.0.0';
INSERT INTO model_alias (model_id, model_name, alias, version_id, version, set_by, set_at)
SELECT v.model_id, v.model_name, 'champion', v.version_id, v.version, 'test', now() FROM model_version v WHERE v.model_name LIKE 'bulk %' AND v.version = '1.0.0';
ANALYZE model, model_version, model_alias, routing;
-- scanned: tables that the statement read from end to end
CREATE FUNCTION pg_temp.scanned(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    scans text; 
BEGIN
    CREATE TEMP TABLE before ON COMMIT DROP AS SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE schemaname = 'model_mgr';
    EXECUTE statement;
    SELECT string_agg(s.relname, ', ' ORDER BY s.relname) INTO scans FROM pg_stat_xact_user_tables s LEFT JOIN before b USING (relname)
    WHERE s.schemaname = 'model_mgr' AND s.seq_scan > coalesce(b.seq_scan, 0)
      AND s.relname IN ('model', 'model_version', 'model_alias', 'routing', 'routing_history', 'deployment', 'deployment_plan', 'rollup_minute');
    DROP TABLE before;
    RETURN coalesce(scans, 'none');
END $$;
SELECT is(pg_temp.scanned(statement), 'none', 'by index: ' || statement) FROM unnest(ARRAY[
    $$SELECT FROM get_model_version('bulk 5000', '1.1.0')$$, $$SELECT FROM get_model_version('bulk 5000', '@champion')$$, $$SELECT FROM get_active_model('bulk 5000')$$,
    $$SELECT FROM list_model_versions('bulk 5000')$$, $$SELECT resolve_version('bulk 5000', 'latest')$$, $$SELECT resolve_version('bulk 5000', 'previous')$$,
    $$SELECT FROM lineage('bulk 5000', '1.1.0')$$, $$SELECT FROM model_version_list WHERE model_name = 'bulk 5000'$$,
    $$SELECT FROM create_model_version('bulk 5000', '1.2.0', '{"provider": "p", "model_name": "m"}')$$, $$SELECT FROM archive_model_version('bulk 5000', '1.2.0')$$,
    $$SELECT set_alias('bulk 5000', 'next', '1.1.0')$$]) statement;
SELECT is((SELECT count(*) FROM list_all_models() WHERE model_name LIKE 'bulk %'), 20001::bigint, 'all of them are listed');
SELECT is((SELECT count(*) FROM model_version_list WHERE model_name LIKE 'bulk %' AND traffic_percentage = 100 AND aliases = '{champion}'), 10000::bigint, 'and shown');

SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
