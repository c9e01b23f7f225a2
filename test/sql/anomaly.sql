-- The aggregate anomaly_score: what it flags, its window, NULLs, sensitivity and its setting, refusals.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(28);

-- Noise of 100 +- 5 from a fixed generator: sums of three digits of a digest, about normal.
CREATE TEMP TABLE series AS
SELECT n, timestamptz '2026-01-01 00:00+00' + n * interval '5 minutes' AS at,
    100 + 5 * ((get_byte(d, 0) + get_byte(d, 1) + get_byte(d, 2) + get_byte(d, 3) + get_byte(d, 4) + get_byte(d, 5)) / 256.0 - 3) / sqrt(0.5) AS v
FROM generate_series(1, 10000) n, LATERAL (SELECT sha256(n::text::bytea) AS d) q;
CREATE TEMP VIEW spiked AS SELECT n, at, CASE n WHEN 4000 THEN 300 WHEN 4500 THEN 200 ELSE v END AS v FROM series;

SELECT cmp_ok((SELECT count(*) FROM (SELECT anomaly_score(v, at, 2.0) OVER (ORDER BY n) AS s FROM series) q WHERE s >= 1), '<=', 10::bigint,
    'at most 10 flags in 10,000 points of noise');
CREATE TEMP TABLE scored AS SELECT n, anomaly_score(v, at, 2.0) OVER (ORDER BY n) AS s FROM spiked;
SELECT set_eq('SELECT n FROM scored WHERE s >= 1 AND n BETWEEN 3950 AND 4550', ARRAY[4000, 4500], 'a point of 300, and 500 points later one of 200');
SELECT is((SELECT max(s) FROM scored WHERE n <= 30), 0::float8, 'nothing is said while learning');
SELECT is((SELECT count(*) FROM scored WHERE s IS NULL OR s < 0 OR s > 1e6), 0::bigint, 'scores are in 0 .. 1e6');

-- Scale and date do not matter, in any bit.
SELECT is((SELECT count(*) FROM scored o JOIN (SELECT n, anomaly_score(v * f, at + d, 2.0) OVER (PARTITION BY f ORDER BY n) AS s
        FROM spiked, (VALUES (4::float8, interval '364 days'), (1 / 1024.0, interval '-364 days')) x(f, d)) q USING (n) WHERE o.s IS DISTINCT FROM q.s), 0::bigint,
    'values x 4 or / 1024, dates moved by 364 days');
-- No look-ahead: what follows changes nothing.
SELECT is((SELECT count(*) FROM scored o JOIN (SELECT n, anomaly_score(v, at, 2.0) OVER (ORDER BY n) AS s FROM spiked WHERE n <= 4100) q USING (n)
    WHERE o.s IS DISTINCT FROM q.s), 0::bigint, 'no look-ahead');

-- A constant series that moves.
SELECT results_eq($$SELECT n FROM (SELECT n, anomaly_score(CASE WHEN n < 500 THEN 7 ELSE 8 END, at, 2.0) OVER (ORDER BY n) AS s FROM series) q WHERE s >= 1$$,
    'VALUES (500)', 'a constant series that moves is flagged once');
SELECT is((SELECT max(s) FROM (SELECT anomaly_score(0, at, 2.0) OVER (ORDER BY n) AS s FROM series) q), 0::float8, 'a constant one never');

-- Sensitivity: a wider band flags a subset; NULL is the setting.
CREATE TEMP TABLE banded AS SELECT w, n, anomaly_score(v, at, w) OVER (PARTITION BY w ORDER BY n) AS s
FROM spiked, unnest(ARRAY[0.25, 0.5, 1, 1.5, 2, 3, 5, 20]) w WHERE n <= 5000;
SELECT is((SELECT count(*) FROM banded a JOIN banded b ON b.n = a.n AND b.w < a.w WHERE a.s >= 1 AND b.s < 1), 0::bigint, 'what a wider band flags, every narrower one does');
SELECT cmp_ok((SELECT count(*) FROM banded WHERE w = 0.25 AND s >= 1), '>', (SELECT count(*) FROM banded WHERE w = 20 AND s >= 1), 'and narrower ones flag more');
SET model_mgr.perf_monitor_anomaly_sensitivity = 1.5;
SELECT is((SELECT count(*) FROM banded o JOIN (SELECT n, anomaly_score(v, at, NULL) OVER (ORDER BY n) AS s FROM spiked) q USING (n)
    WHERE o.w = 1.5 AND o.s IS DISTINCT FROM q.s), 0::bigint, 'NULL takes the setting');
RESET model_mgr.perf_monitor_anomaly_sensitivity;
SELECT is((SELECT count(*) FROM scored o JOIN (SELECT n, anomaly_score(v, at, NULL) OVER (ORDER BY n) AS s FROM spiked) q USING (n)
    WHERE o.s IS DISTINCT FROM q.s), 0::bigint, 'which is 2');
SELECT throws_ok('SET model_mgr.perf_monitor_anomaly_sensitivity = 0', '22023', NULL, 'the setting is above 0');
SELECT throws_ok('SET model_mgr.perf_monitor_anomaly_sensitivity = -2', '22023', NULL, 'and not negative');
SELECT throws_ok($$SET model_mgr.perf_monitor_anomaly_sensitivity = 'NaN'$$, '22023', NULL, 'nor NaN');

-- Rows without a value score NULL and leave no trace.
SELECT is((SELECT count(*) FROM scored o JOIN (SELECT n, k, anomaly_score(CASE k WHEN 1 THEN v END, at, 2.0) OVER (ORDER BY n, k) AS s FROM spiked, generate_series(0, 1) k) q USING (n)
    WHERE CASE k WHEN 1 THEN o.s IS DISTINCT FROM q.s ELSE q.s IS NOT NULL END), 0::bigint, 'rows without a value score NULL and leave no trace');
SELECT is((SELECT anomaly_score(v, at, 2.0 ORDER BY n) FROM spiked WHERE n <= 4000), (SELECT s FROM scored WHERE n = 4000), 'without OVER: the last row''s score');
SELECT is((SELECT anomaly_score(v, at, 2.0) FROM spiked WHERE false), NULL, 'no rows, no score');
-- Times may be missing, repeat and step back.
SELECT set_has($$SELECT n FROM (SELECT n, anomaly_score(v, NULL, 2.0) OVER (ORDER BY n) AS s FROM spiked) q WHERE s >= 1$$, 'VALUES (4000), (4500)', 'without times');
SELECT set_has($$SELECT n FROM (SELECT n, anomaly_score(v, at - (n % 5) * interval '1 hour', 2.0) OVER (ORDER BY n) AS s FROM spiked) q WHERE s >= 1$$, 'VALUES (4000), (4500)', 'with times that step back');
-- Partitions are series of their own.
SELECT is((SELECT count(*) FROM scored o JOIN (SELECT n, anomaly_score(CASE k WHEN 0 THEN v ELSE 1e6 * sin(n) END, at, 2.0) OVER (PARTITION BY k ORDER BY n) AS s, k FROM spiked, generate_series(0, 1) k) q
    USING (n) WHERE k = 0 AND o.s IS DISTINCT FROM q.s), 0::bigint, 'partitions are series of their own');
-- Peers share a score, the one after the last of them, as with every aggregate; ROWS scores each.
SELECT is((SELECT count(DISTINCT s) FROM (SELECT anomaly_score(v, at, 2.0) OVER (ORDER BY n / 2) AS s, n / 2 AS pair FROM spiked WHERE n BETWEEN 3990 AND 4009) q WHERE pair = 2000), 1::bigint, 'peers share a score');
SELECT is((SELECT count(*) FROM scored o JOIN (SELECT n, anomaly_score(v, at, 2.0) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS s FROM spiked) q USING (n)
    WHERE o.s IS DISTINCT FROM q.s), 0::bigint, 'ROWS is the same without peers');

-- Refusals.
SELECT said FROM unnest(ARRAY['anomaly_score(''NaN'', now(), 2)', 'anomaly_score(''Infinity'', now(), 2)', 'anomaly_score(1, ''infinity'', 2)',
    'anomaly_score(1, now(), 0)', 'anomaly_score(1, now(), ''NaN'')']) e, pg_temp.refused('22003', 'anomaly_score', 'SELECT model_mgr.' || e) said;

SELECT * FROM finish();
DROP EXTENSION model_mgr;
