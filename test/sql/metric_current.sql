-- get_current_metrics(): what plain SQL over the observations says, folded or not, exact to the microsecond at both ends
-- of the window, with nothing missing and nothing twice.
\i test/fresh.psql
\i test/rollout.psql
\i test/metric.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3');
SELECT pg_temp.make_model('idle', '1');
SELECT version FROM model_mgr.deploy_model_version('m', '1');
SELECT pg_temp.traffic(1, 9000, '2026-01-10 12:03:00+00', '11.7 s');
SELECT pg_temp.traffic(2, 3000, '2026-01-10 12:03:00+00', '31 s');
CREATE FUNCTION pg_temp.everywhere(state text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    clock text; differs text := ''; minutes integer; version text;
BEGIN
    FOREACH clock IN ARRAY '{12:00:00, 11:59:59.999999, 12:00:00.5, 12:01:59.123456}'::text[] LOOP
        PERFORM pg_temp.at('2026-01-10 ' || clock || '+00');
        FOREACH minutes IN ARRAY '{1, 60, 1440}'::integer[] LOOP
            FOREACH version IN ARRAY '{1, 2}'::text[] LOOP
                differs := differs || coalesce(nullif(pg_temp.current_differs('m', version, minutes), '') || format(' (%s, %s min)', clock, minutes), '');
            END LOOP;
        END LOOP;
    END LOOP;
    PERFORM pg_temp.at('2026-01-10 12:00:00+00');
    RETURN NEXT is(differs, '', state || ': every window is as plain SQL has it');
END $$;
SELECT pg_temp.everywhere('nothing folded');
SELECT pg_temp.fold() > 0 AS folded;
SELECT pg_temp.everywhere('all folded');
SELECT pg_temp.traffic(1, 500, '2026-01-10 12:02:59.9+00', '17.3 s');
SELECT pg_temp.everywhere('some folded, some not');
BEGIN;
SELECT pg_temp.traffic(1, 100, '2026-01-10 12:00:00+00', '0.5 s');
SELECT pg_temp.everywhere('own rows of the transaction too');
ROLLBACK;
SELECT pg_temp.everywhere('and no longer when it is undone');
SELECT count(*) > 0 AS ticked FROM model_mgr.tick();
SELECT ok(hours_until > '2026-01-10 11:00:00+00', 'the hours have come up to now') FROM model_mgr.rollup_state;
SELECT pg_temp.everywhere('hours from the hour rollups');
SELECT pg_temp.traffic(1, 300, '2026-01-10 11:59:00+00', '131 s');
SELECT pg_temp.everywhere('late rows beside hours');
SELECT pg_temp.fold() > 0 AS folded;
SELECT pg_temp.everywhere('late rows folded into them');

-- The two ends, to the microsecond.
SELECT pg_temp.make_model('edge', '1');
SELECT version_id AS edge FROM model_mgr.get_model_version('edge', '1') \gset
INSERT INTO model_mgr.observation (recorded_at, version_id, response_time) SELECT t, :edge, n FROM (VALUES
    (1, '2026-01-10 11:00:00+00'::timestamptz), (2, '2026-01-10 11:00:00.000001+00'), (4, '2026-01-10 11:00:30+00'), (8, '2026-01-10 11:00:30.000001+00'),
    (16, '2026-01-10 12:00:00+00'), (32, '2026-01-10 12:00:00.000001+00'), (64, '2026-01-10 12:00:30+00'), (128, '2026-01-10 12:00:30.000001+00')) x (n, t);
CREATE FUNCTION pg_temp.at_the_ends(state text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    clock text; wanted bigint; total float8;
BEGIN
    FOR clock, wanted IN VALUES ('2026-01-10 12:00:00+00', 2 + 4 + 8 + 16), ('2026-01-10 11:59:59.999999+00', 1 + 2 + 4 + 8), ('2026-01-10 12:00:00.000001+00', 4 + 8 + 16 + 32),
        ('2026-01-10 12:00:30+00', 8 + 16 + 32 + 64), ('2026-01-10 12:00:29.999999+00', 4 + 8 + 16 + 32), ('2026-01-10 12:00:30.000001+00', 16 + 32 + 64 + 128)
    LOOP
        PERFORM pg_temp.at(clock);
        SELECT value * samples INTO total FROM model_mgr.get_current_metrics('edge', '1') WHERE metric_name = 'avg_response_time';
        RETURN NEXT is(total, wanted::float8, format('%s: %s', state, clock));
    END LOOP;
END $$;
SELECT pg_temp.at_the_ends('not folded');
SELECT pg_temp.fold() AS folded;
SELECT pg_temp.at_the_ends('folded');
SELECT pg_temp.at('2026-01-10 12:00:30+00');
SELECT is(last_at, '2026-01-10 12:00:30+00'::timestamptz, 'the last is the last of the window') FROM model_mgr.get_current_metrics('edge', '1') WHERE metric_name = 'avg_response_time';

SELECT is(value * samples, 127::float8, 'so is the end of a window that begins where there are hours only') FROM model_mgr.get_current_metrics('edge', '1', 14 * 1440) WHERE metric_name = 'avg_response_time';
SELECT is(sum(value * samples), 127::float8, 'and of its series') FROM model_mgr.get_performance_trends('edge', '1', 14 * 24) WHERE metric_name = 'avg_response_time';

-- A key of metrics that has the name of a built-in one, or its alias, is not that metric.
SELECT pg_temp.make_model('named', '1');
INSERT INTO model_mgr.observation (recorded_at, version_id, success, metrics) SELECT '2026-01-10 11:59:00+00', version_id, true,
    '{"success_rate": 7, "cost_per_request": 5, "cost": 6, "confidence": 7, "p95_response_time": 8, "refunds": 1}' FROM model_mgr.get_model_version('named', '1');
CREATE FUNCTION pg_temp.named(state text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is((SELECT array_agg(DISTINCT metric_name ORDER BY metric_name) FROM model_mgr.get_performance_trends('named', '1', 1)), wanted, state || ': no series of nothing')
    FROM (VALUES ('{error_rate,refunds,requests_per_minute,success_rate}'::text[])) x (wanted)
    UNION ALL SELECT is((SELECT array_agg(format('%s %s', metric_name, value) ORDER BY metric_name) FROM model_mgr.metric_series WHERE model_name = 'named'),
        '{"error_rate 0","refunds 1","requests_per_minute 1","success_rate 1"}', state || ': one value a metric and minute')
    UNION ALL SELECT is((SELECT count(*) FROM model_mgr.get_model_comparison('named')), 4::bigint, state || ': no comparison of nothing')
$$;
SELECT pg_temp.named('not folded');
SELECT pg_temp.fold() AS folded;
SELECT pg_temp.named('folded');

-- A minute of up to 20,000 rows is cut where the window cuts it; a busier one counts whole once it is folded.
SELECT pg_temp.make_model('busy', '1');
SELECT version_id AS busy FROM model_mgr.get_model_version('busy', '1') \gset
SELECT pg_temp.at('2026-01-10 13:00:30+00');
INSERT INTO model_mgr.observation (recorded_at, version_id, success) SELECT '2026-01-10 12:00:00+00'::timestamptz + i * '3 milliseconds'::interval, :busy, true FROM generate_series(1, 19900) i;
SELECT pg_temp.fold() AS folded;
SELECT is(samples, 9900::bigint, '19,900 rows: cut') FROM model_mgr.get_current_metrics('busy', '1') WHERE metric_name = 'error_rate';
INSERT INTO model_mgr.observation (recorded_at, version_id, success) SELECT '2026-01-10 12:00:01+00'::timestamptz, :busy, true FROM generate_series(1, 101);
SELECT pg_temp.fold() AS folded;
SELECT is(samples, 20001::bigint, '20,001 rows: whole') FROM model_mgr.get_current_metrics('busy', '1') WHERE metric_name = 'error_rate';

-- Quantiles beside exact ones: skewed, many, over twelve orders of magnitude.
SELECT pg_temp.make_model('wide', '1');
SELECT version_id AS wide FROM model_mgr.get_model_version('wide', '1') \gset
INSERT INTO model_mgr.observation (recorded_at, version_id, response_time)
SELECT '2026-01-10 13:00:00+00'::timestamptz - i * '0.3 s'::interval, :wide, 1e-6 * exp((i * 7919::bigint % 10007) / 362.0) FROM generate_series(1, 10000) i;
SELECT is(pg_temp.current_differs('wide', '1', 60), '', 'not folded: within 1 %');
SELECT pg_temp.fold() AS folded;
SELECT is(pg_temp.current_differs('wide', '1', 60), '', 'folded: within 1 %');

-- Names and order; nothing for nothing.
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT is(array_agg(metric_name::text), ARRAY['success_rate', 'error_rate', 'avg_response_time', 'p50_response_time', 'p95_response_time', 'p99_response_time', 'confidence_score',
    'cost_per_request', 'input_tokens', 'output_tokens', 'requests_per_minute', 'größe', 'it''s "odd"', 'refunds', repeat('ü', 127) || 'x'], 'built-in names first, as people read them, then the others by bytes')
FROM model_mgr.get_current_metrics('m', '1');
SELECT model_mgr.set_alias('m', 'champion', '2');
SELECT results_eq($$SELECT * FROM model_mgr.get_current_metrics('m', '@champion')$$, $$SELECT * FROM model_mgr.get_current_metrics('m', '2')$$, 'an alias stands for its version');
SELECT results_eq($$SELECT * FROM model_mgr.get_current_metrics('m', '1', NULL)$$, $$SELECT * FROM model_mgr.get_current_metrics('m', '1', 60)$$, 'NULL means the default');
SELECT is_empty($$SELECT * FROM model_mgr.get_current_metrics('idle', '1')$$, 'no data, no row');
SELECT is_empty($$SELECT * FROM model_mgr.get_current_metrics('none', '1')$$, 'an unknown model has no row');
SELECT is_empty($$SELECT * FROM model_mgr.get_current_metrics('m', '9')$$, 'nor has an unknown version');
SELECT is_empty($$SELECT * FROM model_mgr.get_current_metrics('m', '@none')$$, 'nor an unknown alias');
SELECT is(model_mgr.get_current_metrics_json('none', '1'), '{}', 'as JSON: an empty object');
SELECT ok(NOT EXISTS (SELECT FROM jsonb_each(model_mgr.get_current_metrics_json('m', '1')) j FULL JOIN model_mgr.get_current_metrics('m', '1') c ON c.metric_name = j.key
    WHERE (j.value->>'value')::float8 IS DISTINCT FROM c.value OR (j.value->>'samples')::bigint IS DISTINCT FROM c.samples OR j.value->>'source' IS DISTINCT FROM c.source
       OR (j.value->>'last_at')::timestamptz IS DISTINCT FROM c.last_at), 'as JSON: the same, by name');
-- Feedback alone: truth without a request.
SELECT pg_temp.make_model('late', '1');
INSERT INTO model_mgr.observation (recorded_at, version_id, success, feedback, error_type) SELECT '2026-01-10 11:59:00+00', version_id, true, true, 'x' FROM model_mgr.get_model_version('late', '1');
SELECT is(array_agg(format('%s %s %s', metric_name, value, samples)), '{"success_rate 1 1"}', 'feedback is no request') FROM model_mgr.get_current_metrics('late', '1');

-- Ranges; DETAIL and HINT.
SELECT is(pg_temp.code(s), '22003', s) FROM unnest(ARRAY[$$SELECT * FROM model_mgr.get_current_metrics('m', '1', 0)$$, $$SELECT * FROM model_mgr.get_current_metrics('m', '1', -1)$$,
    $$SELECT * FROM model_mgr.get_current_metrics('m', '1', 129601)$$]) s;
SELECT is(pg_temp.code($$SELECT * FROM model_mgr.get_current_metrics('m', '1', 129600)$$), '00000', 'as far back as is kept');
SELECT is(pg_temp.code(s), '22004', s) FROM unnest(ARRAY[$$SELECT * FROM model_mgr.get_current_metrics(NULL, '1')$$, $$SELECT * FROM model_mgr.get_current_metrics('m', NULL)$$]) s;

-- A reader may call it; so may a standby, whose transactions are read-only.
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader');
SET ROLE regress_model_mgr_reader;
BEGIN READ ONLY;
SELECT count(*) > 10 AS "a reader, read-only" FROM model_mgr.get_current_metrics('m', '1');
SELECT count(*) > 10 AS trends FROM model_mgr.get_performance_trends('m', '1');
SELECT count(*) > 10 AS comparison FROM model_mgr.get_model_comparison('m');
SELECT count(*) > 10 AS matrix FROM model_mgr.metric_matrix;
COMMIT;
RESET ROLE;
SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
