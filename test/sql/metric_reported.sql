-- record_performance() and the vocabulary: values that arrive aggregated speak where no request does, metric by metric.
\i test/fresh.psql
\i test/rollout.psql
\i test/metric.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1.2.0', '1.3.0');
SELECT model_mgr.set_alias('m', 'champion', '1.2.0');
SELECT model_mgr.record_performance(model_name => 'm', model_version => '1.2.0', metrics => '{"success_rate": 0.98, "avg_response_time": 1.2, "confidence_score": 0.89, "cost_per_request": 0.002}');
CREATE FUNCTION pg_temp.told(version text, minutes integer DEFAULT 60) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s %s %s', metric_name, round(value::numeric, 6), samples, source), ', ') FROM model_mgr.get_current_metrics('m', version, minutes) $$;
SELECT is(pg_temp.told('1.2.0'), 'success_rate 0.980000 1 reported, avg_response_time 1.200000 1 reported, confidence_score 0.890000 1 reported, cost_per_request 0.002000 1 reported', 'what was reported is told');
SELECT model_mgr.record_performance('m', '@champion', '{"response_time": 1.4, "quality": -2.5}', '2026-01-10 11:30:00+00');
SELECT is(pg_temp.told('1.2.0'), 'success_rate 0.980000 1 reported, avg_response_time 1.300000 2 reported, confidence_score 0.890000 1 reported, cost_per_request 0.002000 1 reported, quality -2.500000 1 reported',
    'several are averaged, under the canonical name, of the alias''s version');
SELECT is(pg_temp.told('1.2.0', 30), 'success_rate 0.980000 1 reported, avg_response_time 1.200000 1 reported, confidence_score 0.890000 1 reported, cost_per_request 0.002000 1 reported', 'the window is open at its beginning');
SELECT is(last_at, '2026-01-10 11:30:00+00'::timestamptz, 'and each has its time') FROM model_mgr.get_current_metrics('m', '1.2.0') WHERE metric_name = 'quality';
-- One request that knows its success and its own quality, and nothing else.
SELECT model_mgr.update_model_metrics('m', '1.2.0', success => false, metrics => '{"quality": 4}', recorded_at => '2026-01-10 11:45:00+00');
SELECT is(pg_temp.told('1.2.0'), 'success_rate 0.000000 1 observed, error_rate 0.000000 1 observed, avg_response_time 1.300000 2 reported, confidence_score 0.890000 1 reported, cost_per_request 0.002000 1 reported, requests_per_minute 0.016667 1 observed, quality 4.000000 1 observed',
    'what was observed comes before what was reported, metric by metric');
SELECT is(pg_temp.told('1.3.0'), NULL, 'another version has nothing');
SELECT is(array_agg(format('%s %s %s', to_char(time, 'HH24:MI'), value, samples) ORDER BY time) FILTER (WHERE samples > 0), '{"11:20 1.4 1","11:50 1.2 1"}', 'in trends too, bucket by bucket')
FROM model_mgr.get_performance_trends('m', '1.2.0', 1, 10) WHERE metric_name = 'avg_response_time';
SELECT is(array_agg(format('%s %s', to_char(time, 'HH24:MI'), value) ORDER BY time) FILTER (WHERE samples > 0), '{"11:20 -2.5","11:40 4"}', 'where there are requests in one bucket and not in another')
FROM model_mgr.get_performance_trends('m', '1.2.0', 1, 10) WHERE metric_name = 'quality';
BEGIN;
SELECT model_mgr.record_performance('m', '1.3.0', '{"quality": 1}');
SELECT is(pg_temp.told('1.3.0'), 'quality 1.000000 1 reported', 'within the transaction at once');
ROLLBACK;
SELECT is(pg_temp.told('1.3.0'), NULL, 'and undone with it');
SELECT model_mgr.record_performance('m', '1.3.0', '{}');
SELECT is(pg_temp.told('1.3.0'), NULL, 'an empty object says nothing');
SELECT model_mgr.record_performance('m', '1.3.0', jsonb_build_object('it''s "odd"', 1, 'größe', 2, repeat('x', 255), 3, '%s''; --', 4, 'success_rate', 1, 'error_rate', 0, 'input_tokens', 12.5, 'requests_per_minute', 3));
SELECT is(pg_temp.told('1.3.0'), 'success_rate 1.000000 1 reported, error_rate 0.000000 1 reported, input_tokens 12.500000 1 reported, requests_per_minute 3.000000 1 reported, %s''; -- 4.000000 1 reported, größe 2.000000 1 reported, it''s "odd" 1.000000 1 reported, '
    || repeat('x', 255) || ' 3.000000 1 reported', 'any name and any number');

-- What is refused, with DETAIL and HINT.
SELECT pg_temp.code(format('SELECT model_mgr.record_performance(%s)', arguments)) || ': ' || arguments FROM (VALUES
    (1, $$NULL, '1.2.0', '{}'$$), (2, $$'m', NULL, '{}'$$), (3, $$'m', '1.2.0', NULL$$), (4, $$'none', '1.2.0', '{}'$$), (5, $$'m', '9', '{}'$$), (6, $$'m', '@none', '{}'$$),
    (7, $$'m', '1.2.0', '[]'$$), (8, $$'m', '1.2.0', '1'$$), (9, $$'m', '1.2.0', '{"x": "1"}'$$), (10, $$'m', '1.2.0', '{"x": null}'$$), (11, $$'m', '1.2.0', '{"": 1}'$$), (12, $$'m', '1.2.0', '{"a\nb": 1}'$$),
    (13, $$'m', '1.2.0', jsonb_build_object(repeat('x', 256), 1)$$), (14, $$'m', '1.2.0', '{"success_rate": 1.01}'$$), (15, $$'m', '1.2.0', '{"success_rate": -0.01}'$$), (16, $$'m', '1.2.0', '{"error_rate": 2}'$$),
    (17, $$'m', '1.2.0', '{"confidence": 1.5}'$$), (18, $$'m', '1.2.0', '{"avg_response_time": -1}'$$), (19, $$'m', '1.2.0', '{"p95_response_time": -1}'$$), (20, $$'m', '1.2.0', '{"cost": -1}'$$),
    (21, $$'m', '1.2.0', '{"output_tokens": -1}'$$), (22, $$'m', '1.2.0', '{"requests_per_minute": -1}'$$), (23, $$'m', '1.2.0', '{"x": 1e101}'$$), (24, $$'m', '1.2.0', '{"x": 1e400}'$$),
    (25, $$'m', '1.2.0', '{"x": 1}', '2026-01-11 12:00:00.000001+00'$$), (26, $$'m', '1.2.0', '{"x": 1}', '2025-10-12 11:59:59.999999+00'$$), (27, $$'m', '1.2.0', '{"x": 1}', 'infinity'$$),
    (28, $$'m', '1.2.0', '{"good": 1, "success_rate": 2}'$$)) x (n, arguments) ORDER BY n;
SELECT is((SELECT count(*) FROM model_mgr.metric_sample WHERE metric_name = ANY ('{x,good}')), 0::bigint, 'and nothing of it is recorded');
SELECT is(pg_temp.code(format('SELECT model_mgr.record_performance(%s)', arguments)), '00000', arguments) FROM (VALUES
    ($$'m', '1.2.0', '{"x": 1}', '2026-01-11 12:00:00+00'$$), ($$'m', '1.2.0', '{"x": 1e100}', '2025-10-12 12:00:00+00'$$), ($$'m', '1.2.0', '{"success_rate": 0, "error_rate": 1}'$$)) x (arguments);
BEGIN READ ONLY;
SELECT pg_temp.code($$SELECT model_mgr.record_performance('m', '1.2.0', '{"x": 1}')$$);
ROLLBACK;
-- An archived version may still be reported on.
SELECT status FROM model_mgr.archive_model_version('m', '1.3.0');
SELECT is(pg_temp.code($$SELECT model_mgr.record_performance('m', '1.3.0', '{"x": 1}')$$), '00000', 'an archived version too');

-- The table that both arrive in is the owner's; app reports, reader looks.
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader');
SET ROLE regress_model_mgr_app;
SELECT model_mgr.record_performance('m', '1.2.0', '{"from_app": 1}');
INSERT INTO model_mgr.metric_sample (version_id, metric_name, value) VALUES (1, 'x', 1);
SET ROLE regress_model_mgr_reader;
SELECT model_mgr.record_performance('m', '1.2.0', '{"from_reader": 1}');
SELECT metric_name, value FROM model_mgr.get_current_metrics('m', '1.2.0') WHERE metric_name LIKE 'from%';
INSERT INTO model_mgr.metric VALUES ('x');
RESET ROLE;

-- The vocabulary.
INSERT INTO model_mgr.metric VALUES ('refunds', false, 'money', 'Money given back.');
SELECT metric_name, alias, built_in, higher_is_better, unit, samples, description FROM model_mgr.metric_list;
SELECT throws_ok($$INSERT INTO model_mgr.metric VALUES ('success_rate', false)$$, '23514', NULL, 'a built-in metric is what it is');
SELECT throws_ok($$INSERT INTO model_mgr.metric VALUES ('cost', false)$$, '23514', NULL, 'under its other name too');
SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
