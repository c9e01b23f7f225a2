-- model_overview: one row a model, its numbers those of the last hour, whatever is folded yet.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT is_empty('SELECT * FROM model_mgr.model_overview', 'no model, no row');
SELECT pg_temp.make_model('spam', '1', '2');
SELECT pg_temp.make_model('bare', '1');
SELECT results_eq($$SELECT model_name, active_version, candidate_version, traffic_percentage, requests_per_minute, success_rate, p95_response_time, cost_per_request, alerts_critical, alerts_warning, open_tests, next_event FROM model_mgr.model_overview ORDER BY 1$$,
    $$VALUES ('bare', NULL::text, NULL::text, NULL::float8, 0::float8, NULL::float8, NULL::float8, NULL::float8, 0::bigint, 0::bigint, 0::bigint, NULL::text), ('spam', NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, 0, NULL)$$, 'nothing is known, and no error');
SELECT count(model_mgr.deploy_model_version('spam', v, rollback_min_success_rate => 0.1, rollout => '{"steps": [25, 100], "min_requests": 10, "step_seconds": 600, "guard": "off"}')) FROM unnest('{1,2}'::text[]) v;
SELECT count(t.*) FROM model_mgr.create_test('t', 'a test', 'spam', '1', 'bare', '1', max_duration_hours => 48) t;
SELECT pg_temp.at('2026-01-01 00:05:30+00');
SELECT pg_temp.outcomes('spam', '1', 90, 90), pg_temp.outcomes('spam', '2', 30, 18, 2.0);
SELECT count(model_mgr.update_model_metrics('spam', '1', cost => 0.5)) FROM generate_series(1, 2);
CREATE FUNCTION pg_temp.spam() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', active_version, candidate_version, traffic_percentage, round(requests_per_minute::numeric, 4), round(success_rate::numeric, 4), round(p95_response_time::numeric, 1), cost_per_request, open_tests)
    FROM model_mgr.model_overview WHERE model_name = 'spam' $$;
SELECT is(pg_temp.spam(), '1 2 25 2.0333 0.9000 2.0 0.5 1', 'both versions together, before anything is folded');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is(pg_temp.spam(), '1 2 25 2.0333 0.9000 2.0 0.5 1', 'the same when it is folded');
SELECT pg_temp.outcomes('spam', '1', 61, 1);
SELECT is(pg_temp.spam(), '1 2 25 3.0500 0.6022 2.0 0.5 1', 'folded and pending rows together');
SELECT is((SELECT next_event FROM model_mgr.model_overview WHERE model_name = 'spam'), '2026-01-01 00:10:00 UTC: next step of 2', 'what is next for spam');
SELECT is((SELECT next_event FROM model_mgr.model_overview WHERE model_name = 'bare'), '2026-01-03 00:00:00 UTC: test t ends', 'and for the model of the test''s other arm');
-- The sum over ten parts is the hour's; the parts are in order of time.
SELECT pg_temp.at('2026-01-01 01:04:00+00');
SELECT count(model_mgr.update_model_metrics('spam', '1', 0.5, true)) FROM generate_series(1, 7);
SELECT is((SELECT requests_by_slot FROM model_mgr.recent_activity(60, 10)), '{183,0,0,0,0,0,0,0,0,7}', 'requests by six minutes');
SELECT pg_temp.at('2026-01-01 01:05:30+00');
SELECT is((SELECT requests FROM model_mgr.recent_activity(60, 10)), 7::bigint, 'the window is open at its beginning');
SELECT pg_temp.at('2026-01-01 01:05:29.9+00');
SELECT is((SELECT requests FROM model_mgr.recent_activity(60, 10)), 190::bigint, 'and holds what came just after it');
SELECT pg_temp.at('2026-01-01 02:30:00+00');
SELECT is_empty('SELECT * FROM model_mgr.recent_activity(60, 10)', 'an hour without requests');
SELECT is(pg_temp.code(s), '22003', s) FROM unnest('{"SELECT * FROM model_mgr.recent_activity(0, 10)","SELECT * FROM model_mgr.recent_activity(1441, 10)","SELECT * FROM model_mgr.recent_activity(60, 0)","SELECT * FROM model_mgr.recent_activity(60, 121)"}'::text[]) s;
-- Alerts, by severity, those that fire alone.
INSERT INTO model_mgr.alert (kind, model_name, version, metric_name, severity, status, operator, threshold_value, current_value, started_at, fired_at, summary)
SELECT 'threshold', 'spam', '1', 'p95_response_time', x.severity, x.status, 'greater_than', 2, 2.5, model_mgr.clock_time(), model_mgr.clock_time(), 'p95_response_time is 2.5, above 2'
FROM (VALUES ('critical', 'firing'), ('critical', 'firing'), ('warning', 'firing'), ('info', 'firing'), ('critical', 'pending'), ('warning', 'resolved')) x (severity, status);
SELECT is((SELECT concat_ws(' ', alerts_critical, alerts_warning) FROM model_mgr.model_overview WHERE model_name = 'spam'), '2 1', 'alerts that fire, by severity');
SELECT is((SELECT count(*) FROM model_mgr.model_overview WHERE 1 <> 1), 0::bigint, 'nothing is asked for');

-- dashboard: worst first, in at most 120 columns of ASCII or Unicode, whatever the names are.
SELECT pg_temp.make_model(n, repeat('1.', 40)) FROM unnest(ARRAY[repeat('界', 40), repeat('e' || chr(769), 40), 'x' || chr(8238) || 'abc', 'o''clf "x"', '<script>', repeat('long ', 40)]) n;
SELECT is((SELECT string_agg(state, ' ') FROM (SELECT DISTINCT ON (state) state, row_number() OVER () AS n FROM model_mgr.dashboard ORDER BY state, n) s), 'CRITICAL empty', 'states');
SELECT is((SELECT state || ' ' || model || ' ' || version || ' ' || why FROM model_mgr.dashboard LIMIT 1), 'CRITICAL spam 1>2 p95 2.5 > 2', 'the worst first, and why');
DELETE FROM model_mgr.alert WHERE severity = 'critical';
SELECT is((SELECT state FROM model_mgr.dashboard LIMIT 1), 'warning', 'then warnings');
DELETE FROM model_mgr.alert;
SELECT is((SELECT state || ': ' || why FROM model_mgr.dashboard LIMIT 1), 'waiting: step 1: ' || (SELECT waiting_for FROM model_mgr.deployment_plan WHERE deployment_id = pg_temp.newest('spam')), 'then rollouts that wait');
SELECT pg_temp.outcomes('spam', '1', 30, 20, 1e9);
SET model_mgr.chart_charset = ascii;
SELECT is((SELECT share || '|' || traffic || '|' || success || '|' || p95 FROM model_mgr.dashboard LIMIT 1), '#---  25%|_________@   0.5| 66.6%|' || (SELECT p95 FROM model_mgr.dashboard LIMIT 1), 'bar, spark and numbers');
SELECT is(model_mgr.chart_text(repeat('界', 40), 17), repeat('界', 8) || '~', 'cut by width') WHERE getdatabaseencoding() = 'UTF8';
SELECT is(model_mgr.chart_text('x' || chr(8238) || 'abc', 17), 'x?abc', 'no direction of writing is turned');
SELECT is(model_mgr.chart_spark('{0,1,NULL,4,8}'), '_. =@', 'a spark'), is(model_mgr.chart_bar(0.001, 4) || model_mgr.chart_bar(0.999, 4) || model_mgr.chart_bar(1, 4), '#---###-####', 'bars');
SELECT is(model_mgr.chart_interval(-3, 1, 4, -5, 5, 11) || model_mgr.chart_interval(2, 3, 'Infinity', -5, 5, 11), '  [--+o--]      | [o->', 'intervals on one axis'), is(model_mgr.chart_track(2, 5) || model_mgr.chart_track(0, 2), '[#>...][..]', 'tracks');
SELECT is(model_mgr.chart_lines('  a sentence of words, and a verylongword', 10), E'a sentence\nof words,\nand a\nverylongwo\nrd', 'lines'), is(model_mgr.chart_lines(' ', 10), NULL, 'no line');
SELECT is(pg_temp.code(s), '22003', s) FROM unnest('{"SELECT model_mgr.chart_interval(0, 1, 2, 0, 2, 0)","SELECT model_mgr.chart_bar(0, 1001)","SELECT model_mgr.chart_text(''a'', 0)"}'::text[]) s;
-- ab_test_status: the arms of a test on one axis, and its ends.
SELECT is(string_agg(coalesce(drawn, '-'), ',' ORDER BY variant), '-,-', 'no interval without results') FROM model_mgr.ab_test_status;
SELECT count(model_mgr.record_result('t', a, success => i <= CASE a WHEN 'control' THEN 100 ELSE 160 END)) FROM unnest('{control,treatment}'::text[]) a, generate_series(1, 200) i;
SELECT variant, round(anytime_ci_low::numeric, 6) AS low, difference, round(anytime_ci_high::numeric, 6) AS high, drawn FROM model_mgr.ab_test_status ORDER BY 1;
SELECT is_empty($$SELECT * FROM model_mgr.dashboard d WHERE octet_length(d::text) <> length(d::text) AND d.model !~ '[^ -~]'$$, 'nothing but names is beyond ASCII');
SET model_mgr.chart_charset = unicode;
SELECT is(model_mgr.chart_spark('{0,1,4,8}') || model_mgr.chart_bar(0.5, 2) || model_mgr.chart_text('abc', 2), '_▁▄██░a…', 'the same in Unicode');
-- as psql prints it
RESET model_mgr.chart_charset;
\pset format aligned
\pset tuples_only off
\pset border 1
SELECT * FROM model_mgr.dashboard;
SELECT * FROM finish();
