-- create_test(): defaults and settings, the same design again, what it plans and says, bad input; record_result() and
-- record_results(): what they write and what they refuse.
\i test/fresh.psql
\i test/refused.psql
\i test/rollout.psql
SET search_path = pg_catalog, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-01-15 00:00:00+00');
CREATE FUNCTION pg_temp.bad(code text, says text, arguments text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.refused(code, says, format('SELECT model_mgr.create_test(''bad'', ''n'', ''a'', ''1'', ''b'', ''2'', %s)', arguments))
$$;

-- Defaults are the settings'; NULL means the default.
SET client_min_messages = warning;
SELECT is(format('%s %s %s %s %s %s', confidence_level, power, min_sample_size_per_variant, minimum_detectable_effect, extract(epoch FROM ends_at - started_at)::integer / 3600, planned_samples),
    '0.95 0.8 1000 0.02 168 ' || 2 * model_mgr.required_sample_size(0.5, 0.02), 'defaults') FROM model_mgr.create_test('t', 'n', 'a', '1', 'b', '2', confidence_level => NULL, primary_metric => NULL);
SET model_mgr.ab_test_default_confidence = 0.9; SET model_mgr.ab_test_default_power = 0.7; SET model_mgr.ab_test_min_sample_size = 50;
SELECT is(format('%s %s %s', confidence_level, power, min_sample_size_per_variant), '0.9 0.7 50', 'settings') FROM model_mgr.create_test('set', 'n', 'a', '1', 'b', '2');
RESET model_mgr.ab_test_default_confidence; RESET model_mgr.ab_test_default_power; RESET model_mgr.ab_test_min_sample_size;

-- Declared again.
SELECT is(t, (SELECT a FROM model_mgr.ab_test a WHERE test_id = 't'), 'the same row') FROM model_mgr.create_test('t', 'n', 'a', '1', 'b', '2') t;
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'create_test' AND details ->> 'test_id' = 't'), 1::bigint, 'one entry of it');
SELECT pg_temp.refused('42710', 'power, arms', $$SELECT model_mgr.create_test('t', 'n', 'a', '1', 'b', '2', power => 0.9, arms => '[{"variant": "c", "version": "3", "share": 0.1}]')$$);

-- The plan: control's last 14 days, the traffic of 7.
SELECT pg_temp.make_model('m', '1', '2');
SELECT count(model_mgr.update_model_metrics('m', '1', 1 + i % 3, i % 10 > 1, recorded_at => timestamptz '2026-01-10 00:00:00+00' + i * interval '1 hour', unit_id => 'u' || i % 20)) FROM generate_series(1, 100) i;
SET client_min_messages = notice;
SELECT planned_samples - 2 * model_mgr.required_sample_size(0.8, 0.02) FROM model_mgr.create_test('rate', 'n', 'm', '1', 'm', '2');
SELECT round(planned_samples * 0.02 ^ 2 * 4 / (4 * (model_mgr.normal_quantile(0.975) + model_mgr.normal_quantile(0.8)) ^ 2 * s.v)::numeric, 3) FROM model_mgr.create_test('mean', 'n', 'm', '1', 'm', '2', primary_metric => 'response_time', secondary_metrics => '{}', min_sample_size_per_variant => 1) t,
    (SELECT var_samp(1 + i % 3) AS v FROM generate_series(1, 100) i) s;
SELECT planned_samples FROM model_mgr.create_test('own', 'n', 'a', '1', 'b', '2', primary_metric => 'happy', metric_directions => '{"sad": "down"}', min_sample_size_per_variant => 10);
SET client_min_messages = warning;
SELECT is((SELECT array_agg(m ORDER BY n) FROM model_mgr.ab_test_plan p, unnest(p.metrics, p.roles, p.directions) WITH ORDINALITY x (m, r, d, n) WHERE test_id = 'own'), '{happy,response_time,confidence_score}', 'metrics in order');
SELECT test_id FROM model_mgr.create_test('roles', 'n', 'a', '1', 'b', '2', primary_metric => 'response_time', secondary_metrics => '{avg_response_time,confidence,confidence_score}', metric_directions => '{"confidence_score": "lower"}',
    guardrails => '[{"metric": "cost", "max_relative_increase": 0.2}, {"metric": "confidence", "max_decrease": 0.1}]');
SELECT is(array_agg(format('%s %s %s', m, r, d) ORDER BY n), '{"response_time primary -1","confidence secondary -1","cost guardrail -1"}', 'a metric once, whatever it is called')
FROM model_mgr.ab_test_plan p, unnest(p.metrics, p.roles, p.directions) WITH ORDINALITY x (m, r, d, n) WHERE p.test_id = 'roles';

-- Bad input.
SELECT pg_temp.bad('22003', 'confidence_level', a) FROM unnest('{confidence_level => 1,confidence_level => 0,confidence_level => ''NaN''}'::text[]) a;
SELECT pg_temp.bad('22003', 'power|effect|hours|min_sample|futility|coverage|traffic_split', a) FROM unnest(ARRAY['power => 1', 'minimum_detectable_effect => 0', 'minimum_detectable_effect => 1.5', 'minimum_detectable_effect => ''infinity''',
    'max_duration_hours => 0', 'min_sample_size_per_variant => 0', 'futility_threshold => 2', 'coverage => 0', 'coverage => 1.1', 'traffic_split => 0', 'traffic_split => 1', 'traffic_split => 0.33333', 'coverage => 0.00001',
    'coverage => 0.0001', 'traffic_split => ''NaN''']) a;
SELECT pg_temp.bad('22023', 'stopping_rule|allocation|requests_per_minute|direction|guardrail|arm|control', a) FROM unnest(ARRAY['stopping_rule => ''bayes''', 'allocation => ''ucb''', 'primary_metric => ''requests_per_minute''',
    'metric_directions => ''{"cost": "sideways"}''', 'guardrails => ''[{"metric": "cost"}]''', 'guardrails => ''[{"max_increase": 1}]''', 'guardrails => ''[{"metric": "cost", "max": 1}]''',
    'arms => ''[{"variant": "c", "version": "3"}]''', 'arms => ''[{"variant": "control", "version": "3", "share": 0.1}]''', 'arms => ''[{"variant": "c", "version": "3", "share": 0.5}]''',
    'arms => ''[{"variant": "c", "version": "3", "share": 0.1, "model": "m"}]''']) a;
SELECT pg_temp.bad('22P02', 'malformed', a) FROM unnest(ARRAY['metric_directions => ''[]''', 'metric_directions => ''{"cost": 1}''', 'guardrails => ''{}''', 'guardrails => ''[1]''', 'guardrails => ''[{"metric": "cost", "max_increase": "1"}]''',
    'arms => ''{}''', 'arms => ''[1]''', 'arms => ''[{"variant": 1, "version": "3", "share": 0.1}]''']) a;
SELECT pg_temp.bad('22003', 'max_increase', 'guardrails => ''[{"metric": "cost", "max_increase": -1}]''');
SELECT pg_temp.bad('22004', 'null', 'secondary_metrics => ARRAY[NULL]::text[]');
SELECT pg_temp.bad('42602', 'metric name|exclusion_group', a) FROM unnest(ARRAY['primary_metric => ''''', 'secondary_metrics => ARRAY['''']', 'exclusion_group => ''''', 'primary_metric => E''a\nb''']) a;
SELECT pg_temp.bad('42622', 'metric name', 'primary_metric => repeat(''x'', 256)');
SELECT pg_temp.bad('42939', 'reserved', 'arms => ''[{"variant": "stable", "version": "3", "share": 0.1}]''');
SELECT pg_temp.refused('22004', n, format('SELECT model_mgr.create_test(%s)', replace($$'bad', 'n', 'a', '1', 'b', '2'$$, v, 'NULL')))
FROM (VALUES ('test_id', '''bad'''), ('name', '''n'''), ('control_model', '''a'''), ('control_version', '''1'''), ('treatment_model', '''b'''), ('treatment_version', '''2''')) x (n, v);
SELECT pg_temp.refused('42602', 'test id', $$SELECT model_mgr.create_test('', 'n', 'a', '1', 'b', '2')$$);
SELECT pg_temp.refused('42704', 'alias', $$SELECT model_mgr.create_test('bad', 'n', 'm', '@nobody', 'm', '2')$$);
SELECT pg_temp.refused('42939', 'latest', $$SELECT model_mgr.create_test('bad', 'n', 'm', 'latest', 'm', '2')$$);

-- Recording.
SELECT model_mgr.record_result('rate', 'treatment', 0.8, true, 0.95, 'u1', '{"happy": 3}');
SELECT model_mgr.record_result('t', 'control');
SELECT is(model_mgr.record_results('rate', '[{"variant": "control", "success": false, "user_id": "", "recorded_at": "2026-01-14 00:00:00+00"}, {"variant": "treatment", "response_time": 1e-3, "confidence": null}]'), 2::bigint, 'two');
SELECT test_no, arm, version_id IS NOT NULL AS known, unit_hash = model_mgr.unit_hash('u1') AS u1, success, response_time, confidence, metrics, recorded_at FROM model_mgr.observation WHERE test_no IS NOT NULL ORDER BY recorded_at, success NULLS LAST, arm, test_no;
SELECT pg_temp.refused('42704', 'nothing', $$SELECT model_mgr.record_result('nothing', 'control')$$);
SELECT pg_temp.refused('42704', 'nothing', $$SELECT model_mgr.record_results('nothing', '[]')$$);
SELECT pg_temp.refused('22023', 'control.*treatment', $$SELECT model_mgr.record_result('t', 'Treatment')$$);
SELECT pg_temp.refused('22004', 'variant', $$SELECT model_mgr.record_result('t', NULL)$$);
SELECT pg_temp.refused('22003', 'response_time', $$SELECT model_mgr.record_result('t', 'control', -1)$$);
SELECT pg_temp.refused('22003', 'confidence', $$SELECT model_mgr.record_result('t', 'control', 1, true, 1.5)$$);
SELECT pg_temp.refused('22P02', 'metrics', $$SELECT model_mgr.record_result('t', 'control', metrics => '[]')$$);
SELECT pg_temp.refused(code, says, format('SELECT model_mgr.record_results(''t'', %L)', r)) FROM (VALUES ('22023', 'variant', '[{"variant": "control"}, {"success": true}]'), ('22023', 'c', '[{"variant": "c"}]'),
    ('22023', 'decision', '[{"variant": "control", "decision": "x"}]'), ('22P02', 'array', '{}'), ('22P02', 'object', '[1]'), ('22P02', 'success', '[{"variant": "control", "success": 1}]'),
    ('22003', 'response_time.*\nElement 2 of "results": The value -1 ', '[{"variant": "control"}, {"variant": "control", "response_time": -1}]')) x (code, says, r);
SELECT pg_temp.refused('22003', '^"confidence" is out of range\nElement 2345 of "results": The value 7 is', format('SELECT model_mgr.record_results(''t'', %L)', jsonb_agg(jsonb_build_object('variant', 'control', 'confidence', CASE i WHEN 2345 THEN 7 ELSE 0.5 END))))
FROM generate_series(1, 2400) i;
SELECT is(model_mgr.stop_test('t', 'done'), true, 'stopped');
SELECT model_mgr.record_result('t', 'treatment', 1, true);
SELECT is((SELECT count(*) FROM model_mgr.observation o WHERE o.test_no = (SELECT p.test_no FROM model_mgr.ab_test_plan p WHERE p.test_id = 't')), 2::bigint, 'a stopped test never refuses');
SELECT is(status, 'stopped', 'declared again it stays ended') FROM model_mgr.create_test('t', 'n', 'a', '1', 'b', '2');

-- A metric source knows versions and no outcomes.
CREATE TABLE public.till ("time" timestamptz, model_name text, version text, value float8);
SELECT model_mgr.add_metric_source('takings', 'public.till');
SET client_min_messages = notice;
SELECT test_id FROM model_mgr.create_test('sold', 'n', 'a', '1', 'b', '2', primary_metric => 'takings', metric_directions => '{"takings": "higher"}');
RESET client_min_messages;
DROP TABLE public.till;

-- The horizon follows from the design, whatever was designed before it in this session.
SET client_min_messages = warning;
SELECT (model_mgr.create_test('alike ' || i, 'n', 'a', '1', 'b', '2', power => p, stopping_rule => r, secondary_metrics => s, futility_threshold => f)).test_id
FROM (VALUES (1, 0.8, 'pocock', '{}'::text[], 0.01), (2, 0.9, 'pocock', '{}', 0.01), (3, 0.9, 'obrien_fleming', '{}', 0.01), (4, 0.9, 'obrien_fleming', '{cost}', 0.01), (5, 0.9, 'obrien_fleming', '{cost}', 0), (6, 0.8, 'pocock', '{}', 0.01)) x (i, p, r, s, f);
SELECT is(format('%s different, the last is the first: %s', count(DISTINCT factor), bool_or(factor = first AND test_id = 'alike 6')), '5 different, the last is the first: t', 'horizons')
FROM (SELECT test_id, p.horizon / t.planned_samples AS factor, first_value(p.horizon / t.planned_samples) OVER (ORDER BY test_id) AS first FROM model_mgr.ab_test_plan p JOIN model_mgr.ab_test t USING (test_id) WHERE test_id LIKE 'alike%') x;
-- A long past is read by the ticks: beginning a test does not wait for it. They go on where the test has ended meanwhile.
INSERT INTO model_mgr.observation (recorded_at, version_id, unit_hash, success, metrics) SELECT timestamptz '2026-01-14 20:00:00+00' + i * interval '1 second', v.version_id, model_mgr.unit_hash('v' || i % 10), i % 10 > i % 3, m.metrics
FROM generate_series(1, 5000) i, model_mgr.model_version v, (SELECT jsonb_object_agg('metric ' || k, k) AS metrics FROM generate_series(1, 60) k) m WHERE v.model_name = 'm' AND v.version = '1';
SELECT (model_mgr.create_test('long past', 'n', 'm', '1', 'm', '2', secondary_metrics => '{}')).test_id;
SELECT model_mgr.record_results('long past', jsonb_agg(jsonb_build_object('variant', CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END, 'user_id', 'v' || i % 10, 'success', i % 10 > i % 7))) FROM generate_series(1, 100) i;
CREATE FUNCTION pg_temp.past() RETURNS text LANGUAGE sql AS $$
    SELECT p.covariates || CASE WHEN m.cuped_difference IS NULL THEN '' ELSE ' with an estimate' END FROM model_mgr.ab_test_plan p, model_mgr.get_test_metrics(p.test_id) m WHERE p.test_id = 'long past'
$$;
SELECT is(pg_temp.past(), 'wanted', 'for the ticks');
SELECT model_mgr.stop_test('long past', 'enough');
DO $$ BEGIN FOR i IN 1..100 LOOP EXIT WHEN pg_temp.past() <> 'wanted'; PERFORM model_mgr.tick(); END LOOP; END $$;
SELECT is(pg_temp.past(), 'complete with an estimate', 'which have read it');
SELECT * FROM finish();
