-- get_performance_trends(): an even grid with gaps, the sums of plain SQL in every bucket, whatever the grain they are kept in.
\i test/fresh.psql
\i test/rollout.psql
\i test/metric.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
SELECT version FROM model_mgr.deploy_model_version('m', '1');
SELECT pg_temp.traffic(1, 6000, '2026-01-10 12:02:00+00', '17.9 s');
SELECT pg_temp.traffic(2, 500, '2026-01-10 12:02:00+00', '100 s');
-- a gap of three hours
DELETE FROM model_mgr.observation WHERE version_id = 1 AND recorded_at > '2026-01-10 04:00:00+00' AND recorded_at <= '2026-01-10 07:00:00+00';
CREATE FUNCTION pg_temp.everywhere(state text, clocks text[], hours_and_minutes integer[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    clock text; span integer[]; differs text := '';
BEGIN
    FOREACH clock IN ARRAY clocks LOOP
        PERFORM pg_temp.at(clock);
        FOREACH span SLICE 1 IN ARRAY hours_and_minutes LOOP
            differs := differs || coalesce(nullif(left(pg_temp.trends_differ('m', '1', span[1], span[2]), 300), '') || format(' (%s, %s h by %s min) ', clock, span[1], span[2]), '');
        END LOOP;
    END LOOP;
    PERFORM pg_temp.at('2026-01-10 12:00:00+00');
    RETURN NEXT is(differs, '', state || ': every bucket is as plain SQL has it');
END $$;
\set clocks '\'{2026-01-10 12:00:00+00, 2026-01-10 12:00:30.5+00, 2026-01-10 11:46:59.999999+00}\''
\set spans '\'{{1,1}, {4,1}, {24,7}, {24,60}, {24,90}, {30,720}, {24,100000}}\''
SELECT pg_temp.everywhere('nothing folded', :clocks, :spans);
SELECT pg_temp.fold() > 0 AS folded;
SELECT pg_temp.everywhere('folded', :clocks, :spans);
SELECT count(*) > 0 AS ticked FROM model_mgr.tick();
SELECT pg_temp.traffic(1, 90, '2026-01-10 11:58:00+00', '181 s');
SELECT pg_temp.everywhere('hours, minutes and rows', :clocks, :spans);
SELECT pg_temp.fold() > 0 AS folded;
SELECT pg_temp.everywhere('hours and minutes', :clocks, :spans);

-- Minutes are gone after a while, hours are not: whole hours tell the same.
SET model_mgr.perf_monitor_retention_hours = 6;
DELETE FROM model_mgr.rollup_minute WHERE bucket < '2026-01-10 05:30:00+00';
DELETE FROM model_mgr.rollup_metric_minute WHERE bucket < '2026-01-10 05:30:00+00';
SELECT pg_temp.everywhere('older than minutes', '{2026-01-10 12:00:00+00}', '{{24,60}, {24,120}, {24,180}, {26,1440}}');
SELECT is(pg_temp.current_differs('m', '1', 24 * 60), '', 'and whole windows');
SELECT is((SELECT array_agg(t::text) FROM model_mgr.get_performance_trends('m', '1', 24) t), (SELECT array_agg(t::text) FROM model_mgr.get_performance_trends('m', '1', 24, 60) t),
    'buckets of their own choice are no narrower than what is kept');
SELECT is(pg_temp.current_differs('m', '1', 17 * 60), '', 'that begin where there are hours only');
SELECT is((SELECT sum(samples) FROM model_mgr.get_performance_trends('m', '1', 24, 45) WHERE metric_name = 'error_rate'),
    (SELECT sum(samples) FROM model_mgr.get_performance_trends('m', '1', 24, 60) WHERE metric_name = 'error_rate'), 'in buckets that are no hours each hour counts once');
-- A window that begins within an hour there is only as a whole: cut row by row, unless the hour is busy; then none of it is lost.
SELECT pg_temp.everywhere('the first hour is cut', '{2026-01-10 11:46:59.999999+00, 2026-01-10 12:00:00.000001+00}', '{{24,60}, {24,120}, {26,1440}}');
SELECT pg_temp.at('2026-01-10 11:46:59.999999+00');
SELECT is(pg_temp.current_differs('m', '1', 24 * 60), '', 'of a whole window too');
INSERT INTO model_mgr.observation (recorded_at, version_id, response_time) SELECT '2026-01-09 11:40:00+00', 1, 1 FROM generate_series(1, 2000);
SELECT pg_temp.fold() AS folded;
SELECT is(sum(samples)::bigint, (SELECT count(*) FROM model_mgr.observation WHERE version_id = 1 AND NOT feedback AND recorded_at > '2026-01-09 11:00:00+00' AND recorded_at <= '2026-01-10 11:46:59.999999+00'),
    'a busy first hour counts whole, in the first bucket') FROM model_mgr.get_performance_trends('m', '1', 24, 5) WHERE metric_name = 'error_rate';
DELETE FROM model_mgr.observation WHERE version_id = 1 AND recorded_at = '2026-01-09 11:40:00+00' AND response_time = 1;
RESET model_mgr.perf_monitor_retention_hours;

-- The grid: even, aligned, complete for every metric that occurs.
SELECT pg_temp.at('2026-01-10 12:00:30+00');
SELECT is_empty($$SELECT metric_name FROM model_mgr.get_performance_trends('m', '1', 24, 5) GROUP BY metric_name
    HAVING count(*) <> 289 OR min(time) <> '2026-01-09 12:00:00+00' OR max(time) <> '2026-01-10 12:00:00+00' OR count(DISTINCT time) <> 289$$, 'every metric has every bucket');
SELECT is_empty($$SELECT time FROM model_mgr.get_performance_trends('m', '1', 24, 7) WHERE date_bin('7 min', time, '2000-01-01 00:00:00+00') <> time$$, 'buckets begin at multiples of their width');
SELECT results_eq($$SELECT time, value, samples FROM model_mgr.get_performance_trends('m', '1', 9, 60) WHERE metric_name = 'requests_per_minute' AND samples = 0$$,
    $$VALUES ('2026-01-10 04:00:00+00'::timestamptz, NULL::float8, 0::bigint), ('2026-01-10 05:00:00+00', NULL, 0), ('2026-01-10 06:00:00+00', NULL, 0)$$, 'gaps are visible');
SELECT is(array_agg(DISTINCT t.metric_name ORDER BY t.metric_name), (SELECT array_agg(metric_name ORDER BY metric_name) FROM model_mgr.get_current_metrics('m', '1', 1440)), 'the same metrics')
FROM model_mgr.get_performance_trends('m', '1') t;
-- At most 300 buckets, round ones.
SELECT is(array_agg(format('%s h: %s x %s', hours, buckets, width) ORDER BY hours), ARRAY['1 h: 61 x 1', '5 h: 151 x 2', '24 h: 289 x 5', '25 h: 151 x 10', '168 h: 169 x 60',
    '720 h: 241 x 180', '2160 h: 271 x 480'], 'the smallest round width that makes at most 300')
FROM (SELECT hours, count(*) AS buckets, (SELECT min(d) FROM (SELECT extract(epoch FROM time - lag(time) OVER (ORDER BY time))::integer / 60 AS d FROM model_mgr.get_performance_trends('m', '1', hours) WHERE metric_name = 'error_rate') g) AS width
      FROM unnest('{1, 5, 24, 25, 168, 720, 2160}'::integer[]) hours, LATERAL model_mgr.get_performance_trends('m', '1', hours) t WHERE t.metric_name = 'error_rate' GROUP BY hours) x;
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT is(count(*), 300::bigint, '300 buckets are allowed') FROM model_mgr.get_performance_trends('m', '1', 25, 5) WHERE metric_name = 'error_rate';
SELECT throws_ok($$SELECT * FROM model_mgr.get_performance_trends('m', '1', 24, 4)$$, '22003', '"bucket_minutes" is out of range', 'more are refused');
SELECT is(pg_temp.code(s), '22003', s) FROM unnest(ARRAY[$$SELECT * FROM model_mgr.get_performance_trends('m', '1', 24, 4)$$, $$SELECT * FROM model_mgr.get_performance_trends('m', '1', 0)$$,
    $$SELECT * FROM model_mgr.get_performance_trends('m', '1', 2161)$$, $$SELECT * FROM model_mgr.get_performance_trends('m', '1', 24, 0)$$, $$SELECT * FROM model_mgr.get_performance_trends('m', '1', 24, -5)$$,
    $$SELECT * FROM model_mgr.get_performance_trends('none', '1', 24, 1)$$]) s;
SELECT is(pg_temp.code(s), '22004', s) FROM unnest(ARRAY[$$SELECT * FROM model_mgr.get_performance_trends(NULL, '1')$$, $$SELECT * FROM model_mgr.get_performance_trends('m', NULL)$$]) s;
SELECT is_empty($$SELECT * FROM model_mgr.get_performance_trends('none', '1')$$, 'an unknown model has no row');
SELECT is_empty($$SELECT * FROM model_mgr.get_performance_trends('m', '9')$$, 'nor has an unknown version');
SELECT is(model_mgr.get_performance_trends_json('m', '9'), '{}', 'as JSON: an empty object');
SELECT ok(NOT EXISTS (SELECT FROM (SELECT j.key, o.value, o.n FROM jsonb_each(model_mgr.get_performance_trends_json('m', '1', 24, 60)) j, jsonb_array_elements(j.value) WITH ORDINALITY o (value, n)) j
    FULL JOIN (SELECT *, row_number() OVER (PARTITION BY metric_name ORDER BY time) AS n FROM model_mgr.get_performance_trends('m', '1', 24, 60)) c ON c.metric_name = j.key AND c.n = j.n
    WHERE (j.value->>'time')::timestamptz IS DISTINCT FROM c.time OR (j.value->>'value')::float8 IS DISTINCT FROM c.value OR (j.value->>'samples')::bigint IS DISTINCT FROM c.samples), 'as JSON: the same, in order of time');
SELECT * FROM finish();
