-- The contract's table of SQLSTATEs, a row for each way of calling wrongly: the code, a DETAIL and a HINT, and nothing
-- changed afterwards.
\i test/fresh.psql
SET client_min_messages = error;
SET search_path = model_mgr, public, tap;
-- refused: whether the statement fails with that code and says why and what next. The server's own errors
-- (server => true) word themselves.
CREATE FUNCTION pg_temp.refused(wanted text, statement text, server boolean DEFAULT false, template text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text; message text; detail text; hint text; said text := coalesce(template, statement);
BEGIN
    IF length(said) > 150 THEN said := left(said, 147) || '...'; END IF;
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    END;
    IF code IS DISTINCT FROM wanted THEN
        RETURN tap.ok(false, format('%s: %s', wanted, said)) || E'\n' || tap.diag(format('got %s: %s', coalesce(code, 'no error'), message));
    END IF;
    IF NOT server AND (detail = '' OR hint = '') THEN
        RETURN tap.ok(false, format('%s: %s', wanted, said)) || E'\n' || tap.diag(format('DETAIL "%s", HINT "%s": %s', detail, hint, message));
    END IF;
    IF NOT server AND (message ~ '^[A-Z][a-z]' OR message ~ '\.$' OR detail !~ '\.$' OR hint !~ '[.?]$') THEN
        RETURN tap.ok(false, format('%s: %s', wanted, said)) || E'\n' || tap.diag(format('style: "%s" / "%s" / "%s"', message, detail, hint));
    END IF;
    RETURN tap.ok(true, format('%s: %s', wanted, said));
END $$;
-- contents: a checksum of every table of the extension, rows of partitions through their parent; see test/refused.psql.
CREATE FUNCTION pg_temp.contents() RETURNS text LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    name text; part text; sum text := '';
BEGIN
    FOR name IN SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
    LOOP
        EXECUTE format('SELECT md5(coalesce(string_agg(t::text, %L ORDER BY t::text), %L)) FROM %s t', E'\n', '', name) INTO part;
        sum := sum || name || ' ' || part || E'\n';
    END LOOP;
    RETURN sum;
END $$;

-- m: 1.0.0 active, 2.0.0 pending, 0.9.0 archived, alias champion, a pin, a segment. c: a canary of 2.0.0. n: no version
-- was ever deployed.
SELECT count(*) AS made FROM unnest(ARRAY['m', 'c', 'n']) model, unnest(ARRAY['0.9.0', '1.0.0', '2.0.0', '3.0.0']) version,
    create_model_version(model, version, '{"provider": "test", "model_name": "x"}') \gset
SELECT version FROM deploy_model_version('m', '1.0.0') \gset
SELECT version FROM deploy_model_version('c', '1.0.0') \gset
SELECT deployment_id AS running FROM deploy_model_version('c', '2.0.0') \gset
SELECT version FROM archive_model_version('m', '0.9.0') \gset
SELECT set_alias('m', 'champion', '1.0.0') \gset
SELECT pin_unit('m', 'u', '1.0.0') AS pinned \gset
SELECT set_segment('m', 'de', '{"country": "DE"}', '1.0.0') AS set \gset
SELECT decision FROM route('m', 'u1') \gset
SELECT deployment_id AS ended FROM list_deployments('m') \gset
CREATE ROLE regress_model_mgr_nobody;
SELECT setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
SELECT pg_temp.contents() AS before \gset
-- Statements to run are written below as the caller would, with these in place of numbers that vary.
CREATE TEMP TABLE value AS SELECT :'running' AS running, :'ended' AS ended, :'decision' AS decision;
CREATE TEMP TABLE bad (position integer GENERATED ALWAYS AS IDENTITY, code text, statement text);
CREATE FUNCTION pg_temp.run_all() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refused(b.code, replace(replace(replace(b.statement, ':running', v.running), ':ended', v.ended), ':decision', v.decision),
        template => b.statement)
    FROM bad b, value v ORDER BY b.position
$$;

-- A NULL where a value is required.
INSERT INTO bad (code, statement) SELECT '22004', s FROM unnest(ARRAY[
    $$SELECT create_model_version(NULL, '1', '{}')$$, $$SELECT create_model_version('m', NULL, '{}')$$, $$SELECT create_model_version('m', '4', NULL)$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x"}', tags => ARRAY['a', NULL])$$,
    $$SELECT model_configuration(NULL, 'x')$$, $$SELECT model_configuration('p', NULL)$$,
    $$SELECT set_alias(NULL, 'a', '1.0.0')$$, $$SELECT set_alias('m', NULL, '1.0.0')$$, $$SELECT set_alias('m', 'a', NULL)$$,
    $$SELECT delete_alias(NULL, 'champion')$$, $$SELECT delete_alias('m', NULL)$$,
    $$SELECT tag_model_version(NULL, '1.0.0', '{a}')$$, $$SELECT tag_model_version('m', NULL, '{a}')$$, $$SELECT tag_model_version('m', '1.0.0', NULL)$$,
    $$SELECT update_model_version(NULL, '1.0.0', 'd')$$, $$SELECT update_model_version('m', NULL, 'd')$$,
    $$SELECT archive_model_version(NULL, '1.0.0')$$, $$SELECT archive_model_version('m', NULL)$$,
    $$SELECT mark_version_ready(NULL, '1.0.0')$$, $$SELECT mark_version_ready('m', NULL)$$,
    $$SELECT set_model(NULL, 'd')$$,
    $$SELECT delete_model_version(NULL, '3.0.0')$$, $$SELECT delete_model_version('m', NULL)$$, $$SELECT delete_model(NULL)$$,
    $$SELECT deploy_model_version(NULL, '2.0.0')$$, $$SELECT deploy_model_version('m', NULL)$$,
    $$SELECT promote_deployment(NULL)$$, $$SELECT pause_deployment(NULL)$$, $$SELECT resume_deployment(NULL)$$, $$SELECT abort_deployment(NULL)$$,
    $$SELECT approve_step(NULL)$$, $$SELECT freeze(NULL, now())$$, $$SELECT freeze('m', NULL)$$,
    $$SELECT adjust_deployment(NULL, '{}', 'r')$$, $$SELECT adjust_deployment(:running, NULL, 'r')$$,
    $$SELECT open_deployment(NULL)$$, $$SELECT rollback_model(NULL)$$,
    $$SELECT pin_unit(NULL, 'u', '1.0.0')$$, $$SELECT pin_unit('m', NULL, '1.0.0')$$, $$SELECT pin_unit('m', 'u', NULL)$$,
    $$SELECT unpin_unit(NULL, 'u')$$, $$SELECT unpin_unit('m', NULL)$$,
    $$SELECT set_segment(NULL, 's', '{}', '1.0.0')$$, $$SELECT set_segment('m', NULL, '{}', '1.0.0')$$,
    $$SELECT set_segment('m', 's', NULL, '1.0.0')$$, $$SELECT set_segment('m', 's', '{"a": 1}', NULL)$$,
    $$SELECT drop_segment(NULL, 's')$$, $$SELECT drop_segment('m', NULL)$$,
    $$SELECT update_model_metrics(NULL, '1.0.0')$$, $$SELECT update_model_metrics('m', NULL)$$,
    $$SELECT record_performance(NULL, '1.0.0', '{}')$$, $$SELECT record_performance('m', NULL, '{}')$$, $$SELECT record_performance('m', '1.0.0', NULL)$$,
    $$SELECT get_current_metrics(NULL, '1.0.0')$$, $$SELECT get_current_metrics('m', NULL)$$, $$SELECT get_performance_trends('m', NULL)$$, $$SELECT get_model_comparison(NULL)$$,
    $$SELECT record_outcome(NULL, true)$$, $$SELECT record_feedback(NULL, true)$$, $$SELECT record_outcomes(NULL)$$,
    $$CALL run(NULL)$$, $$CALL wait_for_deployment(NULL)$$
    ]) s;

-- A number out of range, NaN, infinity.
INSERT INTO bad (code, statement) SELECT '22003', format('SELECT update_model_metrics(''m'', ''1.0.0'', %s => %s)', a, v)
FROM (VALUES ('response_time', '-0.1'), ('response_time', '''NaN'''), ('response_time', '''Infinity'''), ('response_time', '''-Infinity'''),
    ('confidence', '-0.1'), ('confidence', '1.1'), ('confidence', '''NaN'''), ('cost', '''NaN'''), ('cost', '''Infinity'''),
    ('input_tokens', '-1'), ('output_tokens', '-1'),
    ('recorded_at', 'now() - interval ''91 days'''), ('recorded_at', 'now() + interval ''25 hours'''),
    ('recorded_at', '''infinity'''), ('recorded_at', '''-infinity'''), ('routed_at', '''infinity''')) x (a, v);
INSERT INTO bad (code, statement) SELECT '22003', format('SELECT record_outcome('':decision'', %s => %s)', a, v)
FROM (VALUES ('response_time', '-0.1'), ('response_time', '''NaN'''), ('confidence', '1.1'), ('cost', '''Infinity'''), ('input_tokens', '-1'),
    ('output_tokens', '-1'), ('recorded_at', 'now() - interval ''91 days'''), ('recorded_at', 'now() + interval ''25 hours''')) x (a, v);
INSERT INTO bad (code, statement) SELECT '22003', s FROM unnest(ARRAY[
    $$SELECT record_feedback(':decision', true, recorded_at => now() + interval '25 hours')$$,
    $$SELECT record_outcomes('[{"model_name": "m", "version": "1.0.0", "response_time": -1}]')$$,
    $$SELECT model_configuration('p', 'x', temperature => -0.1)$$, $$SELECT model_configuration('p', 'x', temperature => 'NaN')$$,
    $$SELECT model_configuration('p', 'x', temperature => 'Infinity')$$,
    $$SELECT model_configuration('p', 'x', max_tokens => 0)$$, $$SELECT model_configuration('p', 'x', max_tokens => -1)$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x", "temperature": -1}')$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x", "max_tokens": 0}')$$,
    $$SELECT record_performance('m', '1.0.0', '{"success_rate": 1.1}')$$, $$SELECT record_performance('m', '1.0.0', '{"error_rate": -0.1}')$$,
    $$SELECT record_performance('m', '1.0.0', '{"avg_response_time": -1}')$$, $$SELECT record_performance('m', '1.0.0', '{"x": 1e400}')$$,
    $$SELECT record_performance('m', '1.0.0', '{"x": 1}', now() - interval '91 days')$$, $$SELECT record_performance('m', '1.0.0', '{"x": 1}', now() + interval '25 hours')$$,
    $$SELECT get_current_metrics('m', '1.0.0', 0)$$, $$SELECT get_performance_trends('m', '1.0.0', 0)$$, $$SELECT get_performance_trends('m', '1.0.0', 24, 1)$$,
    $$SELECT get_performance_trends('m', '1.0.0', 24, 0)$$, $$SELECT get_model_comparison('m', '{1.0.0}', -1)$$,
    $$SELECT bucket('k', 'u', 0)$$, $$SELECT bucket('k', 'u', -1)$$,
    $$CALL run(-1)$$, $$CALL wait_for_deployment(:ended, -1)$$, $$CALL wait_for_deployment(:ended, 'NaN')$$, $$CALL wait_for_deployment(:ended, 'Infinity')$$
    ]) s;
INSERT INTO bad (code, statement) SELECT '22003', format('SELECT deploy_model_version(''m'', ''2.0.0'', %s)', a)
FROM unnest(ARRAY['traffic_percentage => -1', 'traffic_percentage => 101', 'traffic_percentage => ''NaN''', 'traffic_percentage => ''Infinity''',
    'traffic_percentage => 0.001', 'rollback_threshold_error_rate => -0.1', 'rollback_threshold_error_rate => 1.1', 'rollback_threshold_error_rate => ''NaN''',
    'rollback_threshold_response_time => -1', 'rollback_threshold_response_time => ''NaN''', 'rollback_threshold_response_time => ''Infinity''',
    'rollback_min_success_rate => -0.1', 'rollback_min_success_rate => 1.1', 'rollback_min_success_rate => ''NaN''',
    'rollback_evaluation_window_minutes => 0', 'rollback_evaluation_window_minutes => -1',
    'rollout => ''{"steps": [0, 100]}''', 'rollout => ''{"steps": [10, 101]}''', 'rollout => ''{"steps": [0.001, 100]}''',
    'rollout => ''{"step_seconds": -1}''', 'rollout => ''{"min_requests": -1}''', 'rollout => ''{"warmup_seconds": -1}''',
    'rollout => ''{"bake_seconds": -1}''']) a;

-- An unknown word, a bad combination, a missing key.
INSERT INTO bad (code, statement) SELECT '22023', s FROM unnest(ARRAY[
    $$SELECT create_model_version('m', '4', '{}')$$, $$SELECT create_model_version('m', '4', '{"provider": "p"}')$$,
    $$SELECT create_model_version('m', '4', '{"model_name": "x"}')$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x", "api_key": "s"}')$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x", "custom_parameters": {"auth": {"password": "s"}}}')$$,
    $$SELECT model_configuration('p', 'x', custom_parameters => '{"access_token": "s"}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', 'slowly')$$,
    $$SELECT deploy_model_version('m', '2.0.0', 'replace', traffic_percentage => 10)$$,
    $$SELECT deploy_model_version('m', '2.0.0', 'canary', traffic_percentage => 10, rollout => '{"steps": [20, 100]}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"stepz": [20, 100]}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"steps": [20, 10, 100]}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"steps": [20, 50]}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"steps": []}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"salt": "old"}')$$,
    $$SELECT deploy_model_version('m', '1.0.0', rollback_min_success_rate => 0.5)$$,
    $$SELECT adjust_deployment(:running, '{"wishes": 1}', 'r')$$,
    $$SELECT set_segment('m', 's', '{"country": {"near": "DE"}}', '1.0.0')$$, $$SELECT set_segment('m', 's', '{"country": {"in": "DE"}}', '1.0.0')$$,
    $$SELECT set_segment('m', 's', '{"any": {"a": 1}}', '1.0.0')$$, $$SELECT set_segment('m', 's', '{}', '1.0.0')$$,
    $$SELECT set_segment('m', 's', '[]', '1.0.0')$$, $$SELECT set_segment('m', 's', '{"country": {}}', '1.0.0')$$,
    $$SELECT record_outcomes('[{"success": true}]')$$, $$SELECT record_outcomes('[{"model_name": "m", "version": "1.0.0", "colour": 1}]')$$
    ]) s;

-- A malformed JSON value; a damaged or foreign decision.
INSERT INTO bad (code, statement) SELECT '22P02', s FROM unnest(ARRAY[
    $$SELECT create_model_version('m', '4', '[]')$$, $$SELECT create_model_version('m', '4', '"text"')$$,
    $$SELECT create_model_version('m', '4', '{"provider": 1, "model_name": "x"}')$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x", "temperature": "hot"}')$$,
    $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x"}', labels => '[]')$$,
    $$SELECT set_model('m', labels => '[]')$$, $$SELECT update_model_version('m', '1.0.0', labels => '1')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '[]')$$, $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"steps": 10}')$$,
    $$SELECT deploy_model_version('m', '2.0.0', rollout => '{"step_seconds": "long"}')$$, $$SELECT deploy_model_version('m', '2.0.0', health_criteria => '[]')$$,
    $$SELECT adjust_deployment(:running, '[]', 'r')$$,
    $$SELECT update_model_metrics('m', '1.0.0', metrics => '[]')$$, $$SELECT update_model_metrics('m', '1.0.0', metrics => '{"x": "y"}')$$,
    $$SELECT record_outcome(':decision', metrics => '1')$$,
    $$SELECT record_outcome('', true)$$, $$SELECT record_outcome('nonsense', true)$$, $$SELECT record_outcome(repeat('A', 101), true)$$,
    $$SELECT record_outcome(reverse(':decision'), true)$$, $$SELECT record_outcome(left(':decision', -1), true)$$,
    $$SELECT record_outcome(':decision' || 'A', true)$$, $$SELECT record_feedback('nonsense', true)$$,
    $$SELECT record_performance('m', '1.0.0', '[]')$$, $$SELECT record_performance('m', '1.0.0', '{"x": "y"}')$$,
    $$SELECT record_outcomes('{}')$$, $$SELECT record_outcomes('[1]')$$, $$SELECT record_outcomes('[{"decision": "nonsense", "success": true}]')$$,
    $$SELECT record_outcomes('[{"model_name": "m", "version": "1.0.0", "success": "maybe"}]')$$
    ]) s;

-- Names: empty or with control characters, too long, reserved.
INSERT INTO bad (code, statement) SELECT code, format(statement, name)
FROM (VALUES ('42602', quote_literal('')), ('42602', $$E'a\nb'$$), ('42602', $$E'a\x7fb'$$), ('42622', 'repeat(''x'', 256)'), ('42622', 'repeat(''é'', 128)')) n (code, name),
    unnest(ARRAY['SELECT create_model_version(%s, ''1'', ''{"provider": "p", "model_name": "x"}'')',
        'SELECT create_model_version(''m'', %s, ''{"provider": "p", "model_name": "x"}'')',
        'SELECT set_alias(''m'', %s, ''1.0.0'')', 'SELECT set_segment(''m'', %s, ''{"a": 1}'', ''1.0.0'')']) statement;
INSERT INTO bad (code, statement) SELECT '42939', format('SELECT create_model_version(''m'', %L, ''{"provider": "p", "model_name": "x"}'')', name)
FROM unnest(ARRAY['latest', 'stable', 'previous', '@x', '@']) name;
INSERT INTO bad (code, statement) SELECT '42939', s FROM unnest(ARRAY[
    $$SELECT setup_roles('pg_boss')$$, $$SELECT setup_roles(app_role => 'public')$$, $$SELECT setup_roles(reader_role => 'none')$$]) s;
INSERT INTO bad (code, statement) VALUES ('42602', $$SELECT record_performance('m', '1.0.0', '{"": 1}')$$),
    ('42622', $$SELECT record_performance('m', '1.0.0', jsonb_build_object(repeat('x', 256), 1))$$);
INSERT INTO bad (code, statement) VALUES ('42602', $$SELECT setup_roles('')$$), ('42622', $$SELECT setup_roles(repeat('x', 64))$$);

-- Unknown things: what acts says so.
INSERT INTO bad (code, statement) SELECT '42704', s FROM unnest(ARRAY[
    $$CALL wait_for_deployment(987654)$$,
    $$SELECT set_alias('none', 'a', '1.0.0')$$, $$SELECT set_alias('m', 'a', '9.9.9')$$,
    $$SELECT tag_model_version('none', '1.0.0', '{a}')$$, $$SELECT tag_model_version('m', '9.9.9', '{a}')$$, $$SELECT tag_model_version('m', '@none', '{a}')$$,
    $$SELECT update_model_version('m', '9.9.9', 'd')$$, $$SELECT archive_model_version('m', '9.9.9')$$, $$SELECT mark_version_ready('m', '9.9.9')$$,
    $$SELECT delete_model_version('none', '1.0.0')$$,
    $$SELECT set_model('none', 'd')$$, $$SELECT delete_alias('none', 'a')$$,
    $$SELECT deploy_model_version('none', '1.0.0')$$, $$SELECT deploy_model_version('m', '9.9.9')$$, $$SELECT deploy_model_version('m', '@none')$$,
    $$SELECT promote_deployment(-1)$$, $$SELECT pause_deployment(999999)$$, $$SELECT resume_deployment(999999)$$, $$SELECT abort_deployment(999999)$$,
    $$SELECT approve_step(999999)$$, $$SELECT freeze('none', 'infinity')$$,
    $$SELECT adjust_deployment(999999, '{"rollback_min_success_rate": 0.5}', 'r')$$, $$SELECT open_deployment('none')$$,
    $$SELECT rollback_model('none')$$, $$SELECT rollback_model('m', '9.9.9')$$,
    $$SELECT pin_unit('none', 'u', '1.0.0')$$, $$SELECT pin_unit('m', 'u', '9.9.9')$$, $$SELECT unpin_unit('none', 'u')$$,
    $$SELECT set_segment('none', 's', '{"a": 1}', '1.0.0')$$, $$SELECT set_segment('m', 's', '{"a": 1}', '9.9.9')$$, $$SELECT drop_segment('none', 's')$$,
    $$SELECT record_performance('none', '1.0.0', '{}')$$, $$SELECT record_performance('m', '9.9.9', '{}')$$, $$SELECT record_performance('m', '@none', '{}')$$,
    $$SELECT update_model_metrics('none', '1.0.0')$$, $$SELECT update_model_metrics('m', '9.9.9')$$,
    $$SELECT record_outcomes('[{"model_name": "none", "version": "1.0.0"}]')$$
    ]) s;

-- The same name with other content; parents.
INSERT INTO bad (code, statement) VALUES
    ('42710', $$SELECT create_model_version('m', '1.0.0', '{"provider": "test", "model_name": "y"}')$$),
    ('42710', $$SELECT create_model_version('m', '1.0.0', '{"provider": "test", "model_name": "x"}', artifact_uri => 'file:a')$$),
    ('42710', $$SELECT create_model_version('m', '1.0.0', '{"provider": "test", "model_name": "x"}', artifact_digest => 'sha256:a')$$),
    ('42710', $$SELECT create_model_version('m', '2.0.0', '{"provider": "test", "model_name": "x"}', parent_version => '1.0.0')$$),
    ('23503', $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x"}', parent_version => '9.9.9')$$),
    ('23514', $$SELECT create_model_version('m', '4', '{"provider": "p", "model_name": "x"}', parent_version => '4')$$);

-- A wrong state.
INSERT INTO bad (code, statement) SELECT '55000', s FROM unnest(ARRAY[
    $$SELECT deploy_model_version('m', '0.9.0')$$, $$SELECT archive_model_version('m', '1.0.0')$$, $$SELECT mark_version_ready('m', '1.0.0')$$,
    $$SELECT promote_deployment(:ended)$$, $$SELECT pause_deployment(:ended)$$, $$SELECT resume_deployment(:ended)$$, $$SELECT abort_deployment(:ended)$$,
    $$SELECT approve_step(:ended)$$,
    $$SELECT adjust_deployment(:ended, '{"rollback_min_success_rate": 0.5}', 'r')$$,
    $$SELECT open_deployment('m')$$, $$SELECT rollback_model('n')$$, $$SELECT rollback_model('m')$$
    ]) s;
INSERT INTO bad (code, statement) VALUES
    ('55006', $$SELECT deploy_model_version('c', '3.0.0')$$), ('55006', $$SELECT delete_model_version('m', '1.0.0')$$),
    ('55006', $$SELECT delete_model_version('c', '2.0.0')$$),
    ('55006', $$SELECT delete_model('m')$$);

-- Settings.
INSERT INTO bad (code, statement) SELECT '22023', s FROM unnest(ARRAY[
    $$SET model_mgr.default_deployment_strategy = 'big_bang'$$, $$SET model_mgr.clock = 'soon'$$, $$SET model_mgr.clock = 'infinity'$$
    ]) s;

-- Not built yet, or wanted and absent.
INSERT INTO bad (code, statement) SELECT '0A000', s FROM unnest(ARRAY[
    $$SELECT start()$$
    ]) s;

-- Metric sources, and the steps of work().
INSERT INTO bad (code, statement) VALUES
    ('22004', $$SELECT add_metric_source(NULL, 'pg_class')$$), ('22004', $$SELECT add_metric_source('x', NULL)$$), ('22004', $$SELECT remove_metric_source(NULL)$$),
    ('22004', $$SELECT work_begin(NULL)$$), ('22004', $$SELECT work_run(NULL)$$), ('22004', $$SELECT work_interrupted('metric source x', NULL)$$),
    ('42602', $$SELECT add_metric_source('', 'pg_class')$$), ('42602', $$SELECT add_metric_source(E'a\x01', 'pg_class')$$), ('42622', $$SELECT add_metric_source(repeat('x', 256), 'pg_class')$$),
    ('42939', $$SELECT add_metric_source('success_rate', 'pg_class')$$), ('42939', $$SELECT add_metric_source('cost', 'pg_class')$$),
    ('42703', $$SELECT add_metric_source('x', 'pg_class')$$), ('42P01', $$SELECT add_metric_source('x', 4294967295::oid::regclass)$$),
    ('42809', $$SELECT add_metric_source('x', 'pg_class_oid_index')$$),
    ('22023', $$SELECT work_begin('metric x')$$), ('22023', $$SELECT work_run('callback 1')$$), ('22023', $$SELECT work_interrupted('', 'x')$$);

-- Too large.
INSERT INTO bad (code, statement) VALUES ('54000', $$DO 'BEGIN FOR i IN 1..1001 LOOP PERFORM model_mgr.pin_unit(''n'', i::text, ''1.0.0''); END LOOP; END'$$),
    ('54000', $$DO 'BEGIN FOR i IN 1..101 LOOP PERFORM model_mgr.set_segment(''n'', i::text, ''{"a": 1}'', ''1.0.0''); END LOOP; END'$$);

SELECT count(*) + 37 AS planned FROM bad \gset
SELECT plan(:planned::integer);
SELECT * FROM pg_temp.run_all();

-- Inside a transaction the server itself refuses what commits; tick() wants READ COMMITTED.
SELECT pg_temp.refused('2D000', s, true) FROM unnest(ARRAY['CALL work()', 'CALL maintain()', 'CALL run(1)', 'CALL wait_for_deployment(' || :ended || ')']) s;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.refused('25000', 'SELECT * FROM tick()');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.refused('25000', 'SELECT * FROM tick()');
COMMIT;
BEGIN READ ONLY;
SELECT pg_temp.refused('25006', s, true) FROM unnest(ARRAY[
    $$SELECT create_model_version('z', '1', '{"provider": "p", "model_name": "x"}')$$, $$SELECT deploy_model_version('m', '2.0.0')$$,
    $$SELECT update_model_metrics('m', '1.0.0', 0.1, true)$$, $$SELECT rollback_model('c')$$, $$SELECT work_tasks()$$]) s;
SELECT is(value, '1.0.0', 'but route() answers in a read-only transaction') FROM route('m', 'x');
COMMIT;

-- A role without rights may nothing; the roles of setup_roles() may no more than theirs.
SELECT pg_temp.refused('42501', format('SET LOCAL ROLE regress_model_mgr_%s; %s', role, statement), true)
FROM (VALUES
    ('nobody', $$SELECT * FROM route('m', 'u')$$), ('nobody', $$SELECT update_model_metrics('m', '1.0.0')$$), ('nobody', $$SELECT * FROM model_version$$),
    ('nobody', $$SELECT deploy_model_version('m', '2.0.0')$$), ('nobody', $$SELECT tick()$$), ('nobody', $$CALL maintain()$$),
    ('nobody', $$SELECT get_active_model('m')$$), ('nobody', $$SELECT * FROM unit_key$$),
    ('app', $$SELECT deploy_model_version('m', '2.0.0')$$), ('app', $$SELECT rollback_model('c')$$), ('app', $$SELECT * FROM observation$$),
    ('app', $$SELECT * FROM model_version_list$$), ('app', $$UPDATE observation SET success = true$$), ('app', $$DELETE FROM observation$$),
    ('app', $$INSERT INTO observation (version_id, txn) VALUES (1, 1)$$), ('app', $$INSERT INTO audit_log SELECT * FROM audit_log$$),
    ('app', $$SELECT tick()$$), ('app', $$SELECT pin_unit('m', 'u', '1.0.0')$$), ('app', $$SELECT * FROM unit_key$$),
    ('reader', $$SELECT update_model_metrics('m', '1.0.0')$$), ('reader', $$SELECT deploy_model_version('m', '2.0.0')$$),
    ('reader', $$SELECT unit_hash('u')$$), ('reader', $$INSERT INTO observation (version_id) VALUES (1)$$), ('reader', $$SELECT * FROM unit_key$$)) x (role, statement);

SELECT is(pg_temp.contents(), :'before', 'after all this every table is as it was');
SELECT * FROM finish();

SET client_min_messages = error;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_nobody, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
