-- Thresholds as they are written: the checked object, replacing a model's set, reading it back, and what is refused.
\i test/fresh.psql
\i test/rollout.psql
\i test/refused.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m', '1');
SELECT pg_temp.make_model('other', '1');

-- performance_threshold: every key, in the contract's words.
SELECT is(model_mgr.performance_threshold('success_rate', 0.95, 'less_than'),
    '{"metric_name": "success_rate", "threshold_value": 0.95, "operator": "less_than", "severity": "warning", "duration_minutes": 5, "action": "alert", "on_no_data": "hold"}'::jsonb, 'defaults');
SELECT is(model_mgr.performance_threshold('success_rate', 0.95, 'less_than', NULL, NULL, NULL, NULL), model_mgr.performance_threshold('success_rate', 0.95, 'less_than'), 'NULL is the default');
SELECT is(model_mgr.performance_threshold(metric_name => 'p99_response_time', threshold_value => 2, operator => '>=', severity => 'critical', duration_minutes => 0, action => 'rollback', on_no_data => 'breach'),
    '{"metric_name": "p99_response_time", "threshold_value": 2, "operator": "greater_equal", "severity": "critical", "duration_minutes": 0, "action": "rollback", "on_no_data": "breach"}'::jsonb, 'all given');
SELECT is(model_mgr.performance_threshold('x', 1, sign) ->> 'operator', word, sign) FROM (VALUES ('<', 'less_than'), ('<=', 'less_equal'), ('>', 'greater_than'), ('>=', 'greater_equal'),
    ('=', 'equal'), ('==', 'equal'), ('<>', 'not_equal'), ('!=', 'not_equal'), ('less_equal', 'less_equal'), ('not_equal', 'not_equal')) t (sign, word);
SELECT is((model_mgr.performance_threshold('x', v, '<') ->> 'threshold_value')::float8, v, 'every digit: ' || v)
FROM unnest('{0.1,0.30000000000000004,-1e-300,1.7976931348623157e308,5e-324,123456789.123456789,-0.0}'::float8[]) v;

SELECT pg_temp.refused(code, says, format('SELECT model_mgr.performance_threshold(%s)', arguments)) FROM (VALUES
    ('22004', 'metric_name', 'NULL, 1, ''<'''), ('22004', 'threshold_value', '''x'', NULL, ''<'''), ('22004', 'operator', '''x'', 1, NULL'),
    ('42602', 'metric name', ''''', 1, ''<'''), ('42602', 'control', 'E''a\tb'', 1, ''<'''), ('42622', '256', 'repeat(''x'', 256), 1, ''<'''),
    ('22003', 'NaN', '''x'', ''NaN'', ''<'''), ('22003', 'Infinity', '''x'', ''Infinity'', ''<'''), ('22003', '-Infinity', '''x'', ''-Infinity'', ''<'''),
    ('22023', 'operator "below"', '''x'', 1, ''below'''), ('22023', 'LESS_THAN', '''x'', 1, ''LESS_THAN'''), ('22023', 'operator ""', '''x'', 1, '''''),
    ('22023', 'severity "fatal".*warning, info, critical', '''x'', 1, ''<'', ''fatal'''), ('22023', 'action "page"', '''x'', 1, ''<'', action => ''page'''),
    ('22023', 'on_no_data "ignore"', '''x'', 1, ''<'', on_no_data => ''ignore'''),
    ('22003', 'duration_minutes.*-1', '''x'', 1, ''<'', duration_minutes => -1'), ('22003', '525601', '''x'', 1, ''<'', duration_minutes => 525601')) t (code, says, arguments);

-- set_thresholds and get_thresholds.
SELECT is(model_mgr.get_thresholds('m'), '[]'::jsonb, 'none yet');
SELECT is(model_mgr.get_thresholds('nobody'), NULL, 'an unknown model has no answer');
SELECT pg_temp.refused('22004', 'model_name', 'SELECT model_mgr.get_thresholds(NULL)');
SELECT is(model_mgr.set_thresholds('m', '[{"metric_name": "success_rate", "threshold_value": 0.95, "operator": "<"}, {"metric_name": "naïve \"score\" ''x''", "threshold_value": 1e2, "operator": "greater_than", "severity": null, "duration_minutes": 10.0, "action": null}]'), 2, 'two');
SELECT is(model_mgr.get_thresholds('m'), jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, 'less_than'),
    model_mgr.performance_threshold('naïve "score" ''x''', 100, 'greater_than', duration_minutes => 10)), 'missing keys and nulls have the defaults; the order stays');
SELECT is(model_mgr.get_thresholds('other'), '[]'::jsonb, 'other models have their own');
CREATE FUNCTION pg_temp.rows() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(format('%s %s', t.threshold_id, t.metric_name), ', ' ORDER BY t."position") FROM model_mgr.threshold t $$;
CREATE FUNCTION pg_temp.audits() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'set_thresholds' $$;
SELECT pg_temp.rows() AS rows \gset
SELECT is(model_mgr.set_thresholds('m', model_mgr.get_thresholds('m')), 2, 'the round trip');
SELECT is(pg_temp.rows() || ' ' || pg_temp.audits(), :'rows' || ' 1', 'changes nothing, and the audit log says nothing of it');
SELECT is(model_mgr.set_thresholds('m', jsonb_path_query_array(model_mgr.get_thresholds('m'), '$[1, 0]')), 2, 'another order');
SELECT is(pg_temp.rows(), '2 naïve "score" ''x'', 1 success_rate', 'is the same rows in that order');
SELECT is(model_mgr.set_thresholds('m', jsonb_path_query_array(model_mgr.get_thresholds('m'), '$[1, 0]') || model_mgr.performance_threshold('cost', 1, '>')), 3, 'one more');
SELECT is(pg_temp.rows(), '1 success_rate, 2 naïve "score" ''x'', 3 cost', 'the others stay what they were');
SELECT is((SELECT format('%s %s', jsonb_array_length(details -> 'before'), jsonb_array_length(details -> 'thresholds')) FROM model_mgr.audit_log WHERE operation = 'set_thresholds' ORDER BY audit_id DESC LIMIT 1),
    '2 3', 'the audit log has before and after');
SELECT is((SELECT concat_ws(' ', model_name, position, metric_name, operator, threshold_value, severity, duration_minutes, action, on_no_data, pending, firing, set_by = session_user, set_at) FROM model_mgr.threshold_list ORDER BY position LIMIT 1),
    'm 1 success_rate less_than 0.95 warning 5 alert hold 0 0 t 2026-01-01 00:00:00+00', 'threshold_list');
SELECT is((SELECT thresholds FROM model_mgr.routing WHERE model_name = 'm'), true, 'recordings look');
SELECT is((SELECT format('%s %s', revision, (SELECT count(*) FROM model_mgr.routing_history h WHERE h.model_id = r.model_id)) FROM model_mgr.routing r WHERE model_name = 'm'), '1 1', 'nobody is routed otherwise for it');

-- What is refused leaves everything as it was, the good ones of the list too.
SELECT pg_temp.refused(code, says, format('SELECT model_mgr.set_thresholds(%L, %L)', 'm', '[{"metric_name": "good", "threshold_value": 1, "operator": "<"}, ' || bad || ']')) FROM (VALUES
    ('22P02', 'threshold 2', '7'), ('22P02', 'object', '[]'), ('22P02', 'object', 'null'), ('22P02', 'object', '"success_rate < 0.95"'),
    ('22023', 'missing key "metric_name" .threshold 2.', '{}'), ('22023', 'missing key "operator"', '{"metric_name": "x", "threshold_value": 1}'),
    ('22023', 'missing key "threshold_value"', '{"metric_name": "x", "operator": "<"}'),
    ('22023', 'unknown key "threshold"', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "threshold": 2}'),
    ('22023', 'unknown key "Severity"', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "Severity": "critical"}'),
    ('22004', 'metric_name', '{"metric_name": null, "threshold_value": 1, "operator": "<"}'), ('22004', 'threshold_value', '{"metric_name": "x", "threshold_value": null, "operator": "<"}'),
    ('22P02', 'must be a text', '{"metric_name": 5, "threshold_value": 1, "operator": "<"}'), ('22P02', 'must be a number', '{"metric_name": "x", "threshold_value": "1", "operator": "<"}'),
    ('22P02', 'must be a number', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "duration_minutes": "5"}'), ('22P02', 'must be a text', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "action": true}'),
    ('22003', 'NaN', '{"metric_name": "x", "threshold_value": "NaN", "operator": "<"}'), ('22003', 'Infinity', '{"metric_name": "x", "threshold_value": "-Infinity", "operator": "<"}'),
    ('22003', 'Infinity', '{"metric_name": "x", "threshold_value": 1e400, "operator": "<"}'),
    ('22003', 'whole number.*2.5', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "duration_minutes": 2.5}'), ('22003', '-1', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "duration_minutes": -1}'),
    ('22003', 'duration', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "duration_minutes": 1e300}'),
    ('22023', 'operator "~"', '{"metric_name": "x", "threshold_value": 1, "operator": "~"}'), ('22023', 'severity "high"', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "severity": "high"}'),
    ('22023', 'action "stop" .threshold 2.', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "action": "stop"}'), ('22023', 'on_no_data', '{"metric_name": "x", "threshold_value": 1, "operator": "<", "on_no_data": ""}'),
    ('42602', 'empty', '{"metric_name": "", "threshold_value": 1, "operator": "<"}'), ('42602', 'control', '{"metric_name": "a\u0001", "threshold_value": 1, "operator": "<"}'),
    ('22023', 'thresholds 1 and 2 are the same', '{"operator": "less_than", "threshold_value": 1.0, "metric_name": "good", "severity": "warning"}')) t (code, says, bad);
SELECT pg_temp.refused(code, says, format('SELECT model_mgr.set_thresholds(%s)', arguments)) FROM (VALUES
    ('22004', 'model_name', 'NULL, ''[]'''), ('22004', 'thresholds', '''m'', NULL'), ('42704', 'Did you mean "m"', '''n'', ''[]'''),
    ('22P02', 'an object', '''m'', model_mgr.performance_threshold(''x'', 1, ''<'')'), ('22P02', 'a single value', '''m'', ''null'''), ('22P02', 'a single value', '''m'', ''"[]"'''),
    ('54000', '1001', '''m'', (SELECT jsonb_agg(model_mgr.performance_threshold(''x'', i, ''<'')) FROM generate_series(1, 1001) i)')) t (code, says, arguments);
-- The same in all but one key is another threshold.
SELECT is(model_mgr.set_thresholds('other', jsonb_build_array(model_mgr.performance_threshold('x', 1, '<'), model_mgr.performance_threshold('x', 1, '<', 'critical'), model_mgr.performance_threshold('x', 1, '<', duration_minutes => 6),
    model_mgr.performance_threshold('x', 1, '<', action => 'pause'), model_mgr.performance_threshold('x', 1, '<', on_no_data => 'ok'), model_mgr.performance_threshold('x', 1, '<='), model_mgr.performance_threshold('x', 2, '<'))), 7, 'seven of a kind');
SELECT is(model_mgr.set_thresholds('other', (SELECT jsonb_agg(model_mgr.performance_threshold('x', i, '<')) FROM generate_series(1, 1000) i)), 1000, 'a thousand are allowed');
SELECT is(model_mgr.set_thresholds('other', '[]'), 0, 'all are taken away');
SELECT is(model_mgr.get_thresholds('other') || to_jsonb(thresholds), '[false]'::jsonb, 'and recordings do not look any more') FROM model_mgr.routing WHERE model_name = 'other';

-- One transaction: undone is undone; a caller whose snapshot is older than a change is told so by the server.
BEGIN;
SELECT is(model_mgr.set_thresholds('m', '[]'), 0, 'none');
ROLLBACK;
SELECT is(jsonb_array_length(model_mgr.get_thresholds('m')), 3, 'three again');

-- What looks takes nulls and odd numbers as everywhere.
SELECT pg_temp.refused('22003', 'hours_back', format('SELECT * FROM model_mgr.get_alert_history(%s)', h)) FROM unnest('{0,-1,876001}'::integer[]) h;
SELECT is_empty('SELECT * FROM model_mgr.get_alert_history(NULL)', 'NULL: 24 hours');
SELECT pg_temp.refused(code, says, format('SELECT * FROM model_mgr.acknowledge_alert(%s)', arguments)) FROM (VALUES ('22004', 'alert_id', 'NULL'), ('42704', 'alert 1 does not exist', '1'), ('42704', '-1', '-1, ''x''')) t (code, says, arguments);
SELECT pg_temp.refused(code, says, format('SELECT model_mgr.silence(%s)', arguments)) FROM (VALUES ('22004', 'model_name', 'NULL, ''infinity'''), ('22004', 'until', '''m'', NULL'), ('42704', 'nobody', '''nobody'', ''infinity'''),
    ('42602', 'empty', '''m'', ''infinity'', '''', '''''), ('42622', '300', '''m'', ''infinity'', '''', repeat(''x'', 300)')) t (code, says, arguments);

-- Rights: who reads looks, who operates sets; nobody writes the tables.
SET client_min_messages = warning;
SELECT model_mgr.setup_roles('regress_threshold_admin', 'regress_threshold_operator', 'regress_threshold_app', 'regress_threshold_reader');
GRANT USAGE ON SCHEMA tap TO PUBLIC;
SET ROLE regress_threshold_reader;
SELECT lives_ok(statement, 'reader: ' || statement) FROM (VALUES ('SELECT model_mgr.get_thresholds(''m'')'), ('SELECT * FROM model_mgr.get_active_alerts()'), ('SELECT * FROM model_mgr.get_alert_history()'),
    ('SELECT * FROM model_mgr.threshold_list'), ('SELECT * FROM model_mgr.alert_list'), ('SELECT * FROM model_mgr.rule_list'), ('SELECT model_mgr.performance_threshold(''x'', 1, ''<'')')) t (statement);
SELECT throws_ok(statement, '42501', NULL, 'reader: not ' || statement) FROM (VALUES ('SELECT model_mgr.set_thresholds(''m'', ''[]'')'), ('SELECT * FROM model_mgr.acknowledge_alert(1)'), ('SELECT model_mgr.silence(''m'', ''infinity'')')) t (statement);
SET ROLE regress_threshold_app;
SELECT throws_ok(statement, '42501', NULL, 'app: not ' || statement) FROM (VALUES ('SELECT model_mgr.set_thresholds(''m'', ''[]'')'), ('SELECT model_mgr.get_thresholds(''m'')'), ('SELECT * FROM model_mgr.alert_list')) t (statement);
SET ROLE regress_threshold_operator;
SELECT lives_ok(statement, 'operator: ' || statement) FROM (VALUES ('SELECT model_mgr.set_thresholds(''m'', ''[]'')'), ('SELECT model_mgr.silence(''m'', ''infinity'')')) t (statement);
SELECT throws_ok(statement, '42501', NULL, 'operator: not ' || statement) FROM (VALUES ('DELETE FROM model_mgr.alert'), ('UPDATE model_mgr.threshold SET action = ''alert'''), ('DELETE FROM model_mgr.silence')) t (statement);
RESET ROLE;
SELECT is((SELECT caller FROM model_mgr.audit_log WHERE operation = 'set_thresholds' ORDER BY audit_id DESC LIMIT 1), 'regress_threshold_operator', 'the audit log names the caller');
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_threshold_admin, regress_threshold_operator, regress_threshold_app, regress_threshold_reader;
