-- detect_anomalies(): the minutes that are kept, replayed for whoever asks; any metric, folded or not.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-02 00:00:00+00');
SELECT pg_temp.make_model('shop', '1', '2');
SELECT pg_temp.make_model('other', '1');
-- 600 minutes of 20 requests; from minute 500 to 520 version 1 fails, is slow and unsure; version 2 never. Version 2 has 10 hours more to come.
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens, error_type, metrics)
SELECT timestamptz '2026-01-02 00:00:00+00' + (i - 0.5) * interval '3 seconds', v, abs(hashint8(i * 7 + v)) % 1000 >= CASE WHEN bad THEN 500 ELSE 10 END,
    (0.5 + abs(hashint8(i * 11 + v)) % 1000 / 1000.0) * CASE WHEN bad THEN 4 ELSE 1 END, 0.8 - CASE WHEN bad THEN 0.4 ELSE 0 END + abs(hashint8(i * 13 + v)) % 100 / 1000.0,
    0.002, 100 + abs(hashint8(i * 17 + v)) % 10, 10, CASE WHEN bad AND i % 2 = 0 THEN 'timeout' END,
    jsonb_build_object('toxicity', CASE WHEN bad THEN 0.9 ELSE 0.1 END + abs(hashint8(i * 19 + v)) % 100 / 1000.0)
FROM generate_series(1, 600 * 20) i, generate_series(1, 2) v, LATERAL (SELECT v = 1 AND i > 500 * 20 AND i <= 520 * 20 AS bad) b;
SELECT pg_temp.at('2026-01-02 10:00:30+00');

-- Columns, order, complete minutes only; nothing is folded yet, and nothing was fed.
CREATE TEMP TABLE unfolded AS SELECT row_number() OVER () AS n, d.* FROM model_mgr.detect_anomalies('shop', 'success_rate') d;
SELECT results_eq('SELECT version, count(*), min(time), max(time), count(expected), count(*) FILTER (WHERE score IS NULL OR anomalous IS DISTINCT FROM (score >= 1)) FROM unfolded GROUP BY version ORDER BY version',
    $$VALUES ('1', 600::bigint, timestamptz '2026-01-02 00:00:00+00', timestamptz '2026-01-02 09:59:00+00', 599::bigint, 0::bigint), ('2', 600, '2026-01-02 00:00:00+00', '2026-01-02 09:59:00+00', 599, 0)$$,
    'one row a complete minute');
SELECT is_empty('SELECT FROM unfolded a JOIN unfolded b ON b.n = a.n + 1 AND (a.version, a.time) >= (b.version, b.time)', 'version by version in order of time');
SELECT results_eq($$SELECT version, time FROM unfolded WHERE anomalous AND time >= '2026-01-02 08:20:00+00'$$, $$VALUES ('1', timestamptz '2026-01-02 08:20:00+00'), ('1', '2026-01-02 08:21:00+00')$$,
    'the collapse, said once, and again as the next minute makes it four times worse');
SELECT is_empty($$SELECT FROM unfolded u JOIN (SELECT v.version, date_bin('1 minute', o.recorded_at, '2000-01-01') AS time, avg(o.success::int) AS value
    FROM model_mgr.observation o JOIN model_mgr.model_version v USING (version_id) GROUP BY 1, 2) o USING (version, time) WHERE abs(u.value - o.value) > 1e-12$$, 'the values of the minutes');
SELECT is((SELECT count(*) FROM model_mgr.anomaly_state), 0::bigint, 'it changes nothing');
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT set_eq($$SELECT d.* FROM model_mgr.detect_anomalies('shop', 'success_rate') d$$, 'SELECT time, version, value, expected, score, anomalous FROM unfolded', 'folded: the same');
SELECT is((SELECT count(*) FROM model_mgr.detect_anomalies('shop', 'success_rate') WHERE time >= '2026-01-02 10:00:00+00'), 0::bigint, 'not the minute under way');

-- What was said to the tick is what it says.
SELECT results_eq($$SELECT a.version, a.metric_name, abs(d.value - a.current_value) < 1e-12, abs((a.evidence->>'expected')::float8 - before.expected) < 1e-9 FROM model_mgr.alert a
    CROSS JOIN LATERAL (SELECT * FROM model_mgr.detect_anomalies('shop', a.metric_name) d WHERE d.version = a.version AND d.time = (a.evidence->>'minute')::timestamptz) d
    CROSS JOIN LATERAL (SELECT * FROM model_mgr.detect_anomalies('shop', a.metric_name) d WHERE d.version = a.version AND d.time = '2026-01-02 08:20:00+00') before
    WHERE a.kind = 'anomaly' ORDER BY 2$$,
    $$VALUES ('1', 'avg_response_time', true, true), ('1', 'confidence_score', true, true), ('1', 'success_rate', true, true)$$, 'the alerts of the tick, and what was usual before');

-- Every metric, under every name; 4 requests of 5 tell, or a cost that never moves does not.
SELECT results_eq($$SELECT m, count(*) FILTER (WHERE version = '1' AND time = '2026-01-02 08:20:00+00'), count(*) FILTER (WHERE version = '2' AND time >= '2026-01-02 08:20:00+00')
    FROM unnest('{success_rate,error_rate,avg_response_time,response_time,p50_response_time,p95_response_time,p99_response_time,confidence_score,confidence,toxicity}'::text[]) WITH ORDINALITY u (m, n)
    LEFT JOIN LATERAL (SELECT * FROM model_mgr.detect_anomalies('shop', m) d WHERE d.anomalous) d ON true GROUP BY m, n ORDER BY n$$,
    $$VALUES ('success_rate', 1::bigint, 0::bigint), ('error_rate', 1, 0), ('avg_response_time', 1, 0), ('response_time', 1, 0), ('p50_response_time', 1, 0), ('p95_response_time', 1, 0),
    ('p99_response_time', 1, 0), ('confidence_score', 1, 0), ('confidence', 1, 0), ('toxicity', 1, 0)$$, 'every metric that went wrong');
SELECT results_eq($$SELECT m, count(*), count(*) FILTER (WHERE anomalous) FROM unnest('{cost,cost_per_request,output_tokens,requests_per_minute}'::text[]) m, model_mgr.detect_anomalies('shop', m) GROUP BY m ORDER BY m$$,
    $$VALUES ('cost', 1200::bigint, 0::bigint), ('cost_per_request', 1200, 0), ('output_tokens', 1200, 0), ('requests_per_minute', 1200, 0)$$, 'what never moves is never anomalous');

-- What was reported, where nothing was observed.
SELECT count(model_mgr.record_performance('other', '1', jsonb_build_object('refunds', CASE WHEN i > 200 THEN 90 ELSE 5 + i % 4 END), timestamptz '2026-01-02 00:00:30+00' + i * interval '1 minute'))
FROM generate_series(0, 219) i;
SELECT results_eq($$SELECT count(*), min(time) FILTER (WHERE anomalous) FROM model_mgr.detect_anomalies('other', 'refunds')$$, $$VALUES (220::bigint, timestamptz '2026-01-02 03:21:00+00')$$, 'reported values');

-- Sensitivity: a wider band flags a subset; NULL is the default.
SELECT is_empty(format($$SELECT time, version FROM model_mgr.detect_anomalies('shop', 'avg_response_time', %s) WHERE anomalous
    EXCEPT SELECT time, version FROM model_mgr.detect_anomalies('shop', 'avg_response_time', %s) WHERE anomalous$$, s * 2, s), 'no more than at ' || s) FROM unnest('{0.25,0.5,1,2,16}'::float8[]) s;
SELECT cmp_ok((SELECT count(*) FROM model_mgr.detect_anomalies('shop', 'avg_response_time', 0.25) WHERE anomalous), '>', (SELECT count(*) FROM model_mgr.detect_anomalies('shop', 'avg_response_time', 16) WHERE anomalous), 'fewer at 16');
SELECT set_eq($$SELECT * FROM model_mgr.detect_anomalies('shop', 'avg_response_time', NULL)$$, $$SELECT * FROM model_mgr.detect_anomalies('shop', 'avg_response_time', 2)$$, 'NULL: the default');

-- Unknown names give no row; bad ones are refused.
SELECT is_empty(format('SELECT FROM model_mgr.detect_anomalies(%L, %L)', m, k), format('%s, %s', m, k)) FROM (VALUES ('nobody', 'success_rate'), ('shop', 'nothing'), ('', 'success_rate'), ('shop', ''), ('other', 'success_rate')) v (m, k);
SELECT is(pg_temp.code(format('SELECT * FROM model_mgr.detect_anomalies(%s)', a)), code, a) FROM (VALUES ('''shop'', ''success_rate'', 0', '22003'), ('''shop'', ''success_rate'', -1', '22003'),
    ('''shop'', ''success_rate'', ''NaN''', '22003'), ('''shop'', ''success_rate'', ''Infinity''', '22003'), ('NULL, ''success_rate''', '22004'), ('''shop'', NULL', '22004')) v (a, code);

-- A reader may; in a read-only transaction too.
BEGIN READ ONLY;
SELECT is((SELECT count(*) FROM model_mgr.detect_anomalies('shop', 'success_rate')), 1200::bigint, 'read only');
COMMIT;
-- Minutes past their retention are no longer told of.
SELECT set_config('model_mgr.perf_monitor_retention_hours', '2', false);
SELECT is((SELECT min(time) FROM model_mgr.detect_anomalies('shop', 'success_rate')), '2026-01-02 08:01:00+00'::timestamptz, 'of what is kept');
SELECT * FROM finish();
