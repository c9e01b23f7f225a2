-- What monitoring systems read: prom_*, otel_metrics, cloudevents: on an empty database, on a filled one beside the functions
-- that people call, with odd names; what is called a counter never falls; a filter on time reaches the indexes.
\i test/fresh.psql
\i test/experiment.psql
\i test/metric.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
CREATE TEMP TABLE export (view text, labels text[]);
INSERT INTO export VALUES ('prom_model', '{model_name,version}'), ('prom_deployment', '{model_name}'), ('prom_ab_test', '{test_id,variant}'),
    ('prom_alert', '{alert_id}'), ('prom_health', '{check_name}'), ('otel_metrics', NULL), ('cloudevents', '{id}');
CREATE FUNCTION pg_temp.rows_of(view text, filter text DEFAULT 'true') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT * FROM model_mgr.%I WHERE %s OFFSET 0) v', view, filter) INTO n;
    RETURN n;
END $$;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query;
END $$;

-- Nothing is there: no row, no error, nothing read to find the columns.
SELECT is(pg_temp.rows_of(view), 0::bigint, view || ' of an empty database') FROM export WHERE view <> 'prom_health';
SELECT results_eq('SELECT check_name, ok = 1 FROM model_mgr.prom_health', 'SELECT check_name, ok FROM model_mgr.health_check()', 'prom_health is health_check()');
SELECT is(array(SELECT p FROM pg_temp.plan('SELECT * FROM model_mgr.' || view || ' WHERE 1 <> 1') WITH ORDINALITY x (p, n) ORDER BY n LIMIT 2), '{Result,"  One-Time Filter: false"}', view || ' WHERE 1 <> 1 reads nothing')
FROM export;
SELECT is_empty($$SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'model_mgr' AND table_name IN (SELECT view FROM export)
    AND data_type <> ALL ('{text,bigint,double precision,timestamp with time zone,jsonb}')$$, 'no odd types');
SELECT is_empty($$SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'model_mgr' AND table_name LIKE 'prom\_%'
    AND (column_name !~ '^[a-z][a-z0-9_]*$' OR column_name ~ '(percentage|minutes|hours|_ms|rate|fraction|_at)$' OR data_type NOT IN ('text', 'bigint', 'double precision'))$$,
    'Prometheus: label text, values numbers, base units');
-- Comments say which columns are labels; _total says counter.
SELECT is_empty($$SELECT table_name, column_name FROM information_schema.columns c WHERE table_schema = 'model_mgr' AND table_name LIKE 'prom\_%'
    AND CASE WHEN data_type = 'text' THEN 'Label: ' WHEN column_name ~ '_total$' THEN 'Counter: ' ELSE 'Gauge: ' END
        <> left(col_description(('model_mgr.' || table_name)::regclass, ordinal_position), CASE WHEN data_type = 'text' OR column_name !~ '_total$' THEN 7 ELSE 9 END)$$,
    'each column says whether it is a label, a gauge or a counter');

-- Odd names, a canary, a test, alerts, custom metrics.
CREATE TEMP TABLE odd (n serial, name text);
INSERT INTO odd (name) VALUES ('plain'), ($$o'clf "x"$$), ('<script>alert(1)</script>'), ('größe 模型'), (U&'\05E2\05D1\05E8\202E'), ('back\slash {a="b"}'), (repeat('ü', 127) || 'x'), ('50% $model ${x}');
SELECT count(pg_temp.make_model(name, '1', '2 "β"')) FROM odd;
SELECT count(model_mgr.deploy_model_version(name, v, rollout => '{"min_requests": 10}')) FROM odd, unnest('{1,"2 \"β\""}'::text[]) v;
SELECT count(pg_temp.traffic(v.version_id, 120, '2026-01-10 12:00:00+00', '5.1 s')) FROM model_mgr.model_version v;
SELECT count(model_mgr.set_thresholds(name, jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.999, '<', 'critical', 0),
    model_mgr.performance_threshold('success_rate', 0.99, '<', 'warning', 10)))) FROM odd WHERE n <= 3;
SELECT pg_temp.make_test('colour "q"', 'min_sample_size_per_variant => 100, minimum_detectable_effect => 0.2');
SELECT pg_temp.results('colour "q"', 'control', 400, 200), pg_temp.results('colour "q"', 'treatment', 400, 320);
SELECT (model_mgr.analyze_test('colour "q"')).status;
SELECT is(string_agg(concat_ws(' ', variant, running, winner, samples), ', ' ORDER BY variant), 'control 1 0 400, treatment 1 0 400', 'a row an arm') FROM model_mgr.prom_ab_test WHERE test_id = 'colour "q"';

CREATE FUNCTION pg_temp.model_differs() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s %s %s: %s, truly %s', p.model_name, p.version, k.metric_name, k.value, c.value), '; '), '')
    FROM model_mgr.prom_model p,
         LATERAL (VALUES ('success_rate', p.success_ratio), ('error_rate', p.error_ratio), ('avg_response_time', p.response_time_seconds),
             ('p50_response_time', p.response_time_p50_seconds), ('p95_response_time', p.response_time_p95_seconds), ('p99_response_time', p.response_time_p99_seconds),
             ('confidence_score', p.confidence_ratio), ('cost_per_request', p.cost_per_request), ('input_tokens', p.input_tokens_per_request),
             ('output_tokens', p.output_tokens_per_request), ('requests_per_minute', p.requests_per_second * 60)) k (metric_name, value)
    LEFT JOIN LATERAL model_mgr.get_current_metrics(p.model_name, p.version, 5) c ON c.metric_name = k.metric_name
    WHERE NOT coalesce(abs(k.value - c.value) <= 1e-9 * abs(c.value), k.value IS NULL AND c.value IS NULL)
$$;
SELECT is(pg_temp.rows_of('prom_model'), (SELECT 2 * count(*) FROM odd), 'a row a version');
SELECT is(pg_temp.model_differs(), '', 'not folded: the numbers of get_current_metrics()');
SELECT pg_temp.fold() > 0 AS folded;
SELECT is(pg_temp.model_differs(), '', 'folded: the numbers of get_current_metrics()');
SELECT is_empty($$SELECT p.model_name FROM model_mgr.prom_model p JOIN LATERAL model_mgr.get_current_metrics(p.model_name, p.version, 5) c ON c.metric_name IN ('success_rate', 'error_rate')
    WHERE CASE WHEN c.metric_name = 'success_rate' THEN p.window_outcomes ELSE p.window_requests END IS DISTINCT FROM c.samples OR p.last_request_timestamp_seconds <> extract(epoch FROM c.last_at)$$,
    'samples and last request too');
SELECT is(string_agg(DISTINCT concat_ws(' ', version, role, status, provider, traffic_ratio), ', '), '1 stable active test 0.9, 2 "β" candidate deploying test 0.1', 'who serves what') FROM model_mgr.prom_model;
SELECT set_eq('SELECT model_name FROM model_mgr.prom_model', 'SELECT name FROM odd', 'names as they are');
-- The window begins with a whole minute.
SELECT pg_temp.at('2026-01-10 12:00:30+00');
SELECT is((SELECT min(p.window_requests / p.requests_per_second) FROM model_mgr.prom_model p), 330::float8, 'half a minute later: five minutes and a half');
SELECT pg_temp.at('2026-01-10 13:00:00+00');
SELECT is((SELECT concat_ws(' ', count(*), sum(window_requests), sum(requests_per_second), count(success_ratio), count(last_request_timestamp_seconds)) FROM model_mgr.prom_model), '16 0 0 0 0', 'an hour later: none, and nothing known');
SELECT pg_temp.at('2026-01-10 12:00:00+00');

-- Rollouts.
SELECT count(*) > 0 AS ticked FROM model_mgr.tick();
SELECT is_empty($$SELECT d.model_name FROM model_mgr.deployment_list d JOIN model_mgr.prom_deployment p ON p.deployment_id = d.deployment_id::text
    WHERE (p.version, p.baseline_version, p.strategy, p.status, p.traffic_ratio * 100, p.step, p.step_samples, to_timestamp(p.next_step_timestamp_seconds), to_timestamp(p.created_timestamp_seconds))
    IS DISTINCT FROM (d.version, d.baseline_version, d.strategy, d.status, d.traffic_percentage, d.step::bigint, d.samples, d.next_step_at, d.created_at)$$, 'what deployment_list says');
SELECT is(pg_temp.rows_of('prom_deployment'), (SELECT count(*) FROM odd), 'a row a model');
SELECT is(sum(failing_limits), (SELECT count(*)::numeric FROM model_mgr.rollout_status(NULL) WHERE verdict = 'fail'), 'what fails now') FROM model_mgr.prom_deployment;
CREATE TEMP TABLE counted AS SELECT model_name, deployments_total, rollbacks_total FROM model_mgr.prom_deployment;
SELECT is(pg_temp.rows_of('prom_deployment', 'deployments_total = 2'), (SELECT count(*) FROM odd), 'two deployments each');
SELECT model_mgr.rollback_model('plain', reason => 'seen enough');
SELECT results_eq($$SELECT status, open, p.deployments_total - c.deployments_total, p.rollbacks_total - c.rollbacks_total, finished_timestamp_seconds
    FROM model_mgr.prom_deployment p JOIN counted c USING (model_name) WHERE model_name = 'plain'$$,
    $$VALUES ('rolled_back', 0::bigint, 0::bigint, 1::bigint, extract(epoch FROM '2026-01-10 12:00:00+00'::timestamptz)::float8)$$, 'taken back: counted, and no new row');

-- Tests.
SELECT is_empty($$SELECT s.variant FROM model_mgr.ab_test_status s FULL JOIN model_mgr.prom_ab_test p ON p.test_id = s.test_id AND p.variant = s.variant
    WHERE (p.model_name, p.version, p.metric_name, p.samples, p.mean, p.difference, p.ci_low, p.anytime_ci_high, p.p_value, p.share_ratio, p.information_ratio, p.boundary_p_value)
    IS DISTINCT FROM (s.model_name, s.version, s.metric_name, s.samples, s.mean, s.difference, s.ci_low, s.anytime_ci_high, s.p_value, s.share, s.information_fraction, s.boundary_p_value)$$,
    'what ab_test_status says');
SELECT is(string_agg(concat_ws(' ', variant, running, winner), ', ' ORDER BY variant), 'control 0 0, treatment 0 1', 'ended: who has won') FROM model_mgr.prom_ab_test WHERE test_id = 'colour "q"';
SELECT pg_temp.at('2026-01-11 12:00:01+00');
SELECT is(pg_temp.rows_of('prom_ab_test', $$test_id = 'colour "q"'$$), 0::bigint, 'a day later it is gone');
SELECT pg_temp.at('2026-01-10 12:00:00+00');

-- Alerts.
SELECT is_empty($$SELECT a.alert_id FROM model_mgr.alert_list a FULL JOIN model_mgr.prom_alert p ON p.alert_id = a.alert_id::text WHERE a.status IS DISTINCT FROM 'resolved'
    AND (p.model_name, nullif(p.version, ''), p.metric_name, p.kind, p.severity, p.firing = 1, p.pending = 1, p.value, p.threshold)
    IS DISTINCT FROM (a.model_name, a.version, a.metric_name, a.kind, a.severity, a.status = 'firing', a.status = 'pending', a.current_value, a.threshold_value)$$, 'what alert_list says');
SELECT ok(pg_temp.rows_of('prom_alert', 'firing = 1') > 0 AND pg_temp.rows_of('prom_alert', 'pending = 1') > 0, 'some fire, some are pending');
SELECT model_mgr.silence($$o'clf "x"$$, '2026-01-10 14:00:00+00');
SELECT (model_mgr.acknowledge_alert(alert_id::bigint)).alert_id > 0 AS taken FROM model_mgr.prom_alert WHERE firing = 1 AND model_name = '<script>alert(1)</script>' ORDER BY 1 LIMIT 1;
SELECT is(array_agg(DISTINCT model_name), ARRAY[$$o'clf "x"$$], 'silenced') FROM model_mgr.prom_alert WHERE silenced = 1;
SELECT is(array_agg(DISTINCT model_name), '{<script>alert(1)</script>}', 'acknowledged') FROM model_mgr.prom_alert WHERE acknowledged = 1;

-- Labels tell rows apart: an exporter that meets the same twice gives nothing at all.
CREATE FUNCTION pg_temp.repeated(view text, labels text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM model_mgr.%I GROUP BY %s HAVING count(*) > 1 OR num_nulls(%2$s) > 0) v', view, (SELECT string_agg(quote_ident(l), ', ') FROM unnest(labels) l)) INTO n;
    RETURN n;
END $$;
SELECT is(pg_temp.repeated(view, labels), 0::bigint, view || ': labels are unique and never NULL') FROM export WHERE labels IS NOT NULL;

-- OpenTelemetry: the same requests, minute by minute.
SELECT is_empty($$SELECT s.* FROM model_mgr.metric_series s FULL JOIN (
        SELECT start_time AS time, attributes ->> 'model_mgr.model.name' AS model_name, attributes ->> 'model_mgr.model.version' AS version,
            CASE WHEN metric_name = 'gen_ai.client.operation.duration' THEN 'avg_response_time' WHEN metric_name = 'model_mgr.cost' THEN 'cost_per_request'
                WHEN metric_name = 'model_mgr.confidence' THEN 'confidence_score' WHEN metric_name = 'gen_ai.client.token.usage' THEN (attributes ->> 'gen_ai.token.type') || '_tokens'
                ELSE attributes ->> 'model_mgr.metric.name' END AS metric_name, value, count
        FROM model_mgr.otel_metrics WHERE kind = 'histogram') o USING (time, model_name, version, metric_name)
    WHERE metric_name !~ '_rate$|^p[0-9]+_|per_minute' AND (s.samples IS DISTINCT FROM o.count OR NOT coalesce(abs(s.value - o.value) <= 1e-9 * abs(s.value) + 1e-12, false))$$, 'means are those of metric_series');
SELECT is_empty($$SELECT s.* FROM model_mgr.metric_series s FULL JOIN (
        SELECT start_time AS time, attributes ->> 'model_mgr.model.name' AS model_name, attributes ->> 'model_mgr.model.version' AS version,
            CASE metric_name WHEN 'model_mgr.errors' THEN 'error_rate' WHEN 'model_mgr.outcomes' THEN 'success_rate' ELSE 'requests_per_minute' END AS metric_name, value, count
        FROM model_mgr.otel_metrics WHERE kind = 'sum' AND (attributes ->> 'model_mgr.outcome.success') IS DISTINCT FROM 'false') o USING (time, model_name, version, metric_name)
    WHERE metric_name ~ '_rate$|per_minute' AND (s.samples IS DISTINCT FROM o.count OR NOT coalesce(abs(s.value * CASE WHEN metric_name ~ 'rate$' THEN s.samples ELSE 1 END - o.value) <= 1e-9, false))$$,
    'sums are what its rates stand on');
SELECT results_eq($$SELECT DISTINCT metric_name, kind, unit FROM model_mgr.otel_metrics ORDER BY metric_name$$,
    $$VALUES ('gen_ai.client.operation.duration', 'histogram', 's'), ('gen_ai.client.token.usage', 'histogram', '{token}'), ('model_mgr.alerts', 'gauge', '{alert}'), ('model_mgr.confidence', 'histogram', '1'),
    ('model_mgr.cost', 'histogram', '{money}'), ('model_mgr.errors', 'sum', '{request}'), ('model_mgr.metric', 'histogram', '1'), ('model_mgr.outcomes', 'sum', '{outcome}'),
    ('model_mgr.requests', 'sum', '{request}'), ('model_mgr.traffic', 'gauge', '1')$$, 'names, kinds, units');
SELECT is_empty($$SELECT * FROM model_mgr.otel_metrics WHERE kind <> 'gauge' AND "time" - start_time <> '1 min' OR kind = 'gauge' AND (start_time IS NOT NULL OR "time" <> '2026-01-10 12:00:00+00')$$, 'minutes, and now');
SELECT is_empty($$SELECT * FROM model_mgr.otel_metrics, jsonb_each(attributes) a WHERE jsonb_typeof(a.value) NOT IN ('string', 'boolean') OR a.key !~ '^[a-z_]+(\.[a-z_]+)+$'$$, 'attributes are flat');
SELECT is_empty($$SELECT * FROM model_mgr.otel_metrics WHERE kind = 'histogram' AND NOT (coalesce(min <= value + 1e-9 AND value <= max + 1e-9, false))$$, 'the mean lies between the extremes');
SELECT is(attributes, '{"gen_ai.system": "test", "gen_ai.provider.name": "test", "gen_ai.request.model": "plain", "gen_ai.token.type": "input", "gen_ai.operation.name": "inference", "model_mgr.model.name": "plain", "model_mgr.model.version": "1"}', 'attributes by the semantic conventions')
FROM model_mgr.otel_metrics WHERE metric_name = 'gen_ai.client.token.usage' AND attributes ->> 'gen_ai.token.type' = 'input' AND attributes ->> 'model_mgr.model.name' = 'plain' AND attributes ->> 'model_mgr.model.version' = '1' LIMIT 1;
SELECT (model_mgr.update_model_version('plain', '1', labels => '{"gen_ai.operation.name": "chat"}')).labels;
SELECT is(array_agg(DISTINCT attributes ->> 'gen_ai.operation.name'), '{chat}', 'a label names the operation') FROM model_mgr.otel_metrics
WHERE metric_name = 'gen_ai.client.operation.duration' AND attributes ->> 'model_mgr.model.name' = 'plain' AND attributes ->> 'model_mgr.model.version' = '1';

-- CloudEvents.
SELECT is_empty($$SELECT * FROM model_mgr.event_list e FULL JOIN model_mgr.cloudevents c ON c.id = e.event_id::text
    WHERE (c.type, c."time", c.subject, c.modelname, c.modelversion, c.deploymentid, c.data) IS DISTINCT FROM (e.type, e."time", e.model_name, e.model_name, e.version, e.deployment_id::text, e.data)$$, 'the events of event_list');
SELECT is_empty($$SELECT * FROM model_mgr.cloudevents c, jsonb_object_keys(c.cloudevent) k WHERE k !~ '^[a-z0-9]{1,20}$'$$, 'attribute names as the specification wants them');
SELECT is_empty($$SELECT * FROM model_mgr.cloudevents c WHERE c.cloudevent <> jsonb_strip_nulls(to_jsonb(c) - '{time,data,cloudevent}'::text[]) || jsonb_build_object('data', c.data, 'time', c.cloudevent -> 'time')
    OR NOT c.cloudevent ?& '{id,source,specversion,type}' OR c.cloudevent ->> 'time' !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' OR (c.cloudevent ->> 'time')::timestamptz <> c."time"$$, 'flat and whole say the same; time by RFC 3339');
SELECT ok(bool_and(source = format('/model_mgr/%s/%s', (SELECT system_identifier FROM pg_control_system()), current_database())), 'source: the cluster and the database') FROM model_mgr.cloudevents WHERE current_database() ~ '^[a-z_0-9]+$';
SET model_mgr.event_type_prefix = 'com.example.';
SELECT model_mgr.set_alias('plain', 'champion', '1');
RESET model_mgr.event_type_prefix;
SELECT is(type, 'com.example.alias.set', 'the prefix is in the type') FROM model_mgr.cloudevents ORDER BY id::bigint DESC LIMIT 1;
SELECT is(c.cloudevent ->> 'type', e.type, 'events_since() joins by id') FROM model_mgr.event_list e JOIN model_mgr.cloudevents c ON c.id = e.event_id::text ORDER BY e.event_id DESC LIMIT 1;

-- Plans: a filter on time reads that time.
ANALYZE model_mgr.rollup_minute; ANALYZE model_mgr.event; ANALYZE model_mgr.rollup_metric_minute;
SET enable_seqscan = off;
SELECT ok(count(*) FILTER (WHERE p ~ 'Index Cond: .*bucket >= .*2026-01-10 11:59') = 2, 'otel_metrics by start_time') FROM pg_temp.plan($$SELECT * FROM model_mgr.otel_metrics WHERE start_time >= '2026-01-10 11:59:00+00'$$) p;
SELECT ok(bool_or(p ~ 'Index Cond: .*"?time"? >= .*2026-01-10 11:59'), 'cloudevents by time') FROM pg_temp.plan($$SELECT * FROM model_mgr.cloudevents WHERE "time" >= '2026-01-10 11:59:00+00'$$) p;
SELECT ok(bool_or(p ~ 'Index Cond: .*bucket >= .*bucket <'), 'prom_model reads its window') FROM pg_temp.plan('SELECT * FROM model_mgr.prom_model') p;
RESET enable_seqscan;

-- What is called a counter does not fall when retention drops what it could have been counted from.
CREATE TEMP TABLE before AS SELECT model_name, deployments_total, rollbacks_total FROM model_mgr.prom_deployment;
SELECT pg_temp.at('2026-06-10 12:00:00+00');
SELECT count(*) > 0 AS ticked FROM model_mgr.tick();
CALL model_mgr.maintain();
SELECT is(count(*), 0::bigint, 'retention has dropped the events') FROM model_mgr.event WHERE "time" < '2026-02-01';
SELECT is_empty($$SELECT * FROM before b LEFT JOIN model_mgr.prom_deployment p USING (model_name) WHERE NOT coalesce(p.deployments_total >= b.deployments_total AND p.rollbacks_total >= b.rollbacks_total, false)$$, 'counters have not fallen');

-- Whoever may look sees them all, and no more is needed.
SET client_min_messages = warning;
SELECT model_mgr.setup_roles('regress_export_admin', 'regress_export_operator', 'regress_export_app', 'regress_export_reader');
SET ROLE regress_export_reader;
SELECT format('SELECT count(*) >= 0 AS %I FROM model_mgr.%1$I', view) FROM unnest('{prom_model,prom_deployment,prom_ab_test,prom_alert,prom_health,otel_metrics,cloudevents}'::text[]) view \gexec
RESET ROLE;
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_export_admin, regress_export_operator, regress_export_app, regress_export_reader;
