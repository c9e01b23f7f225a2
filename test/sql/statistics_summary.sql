-- The type summary: moments and quantiles against reference numbers, merging, text and binary forms, the stored sample of
-- version 1, comparison and indexes, anytime_ci, refusals.
\i test/fresh.psql
\i test/near.psql
SET search_path = model_mgr, public, tap;
SELECT plan(34);

-- Reference numbers.
CREATE TEMP TABLE stream_value (stream text, value float8);
\copy stream_value FROM 'test/vectors/summary_streams.csv' WITH (FORMAT csv, HEADER)
-- NumAcc4 of NIST by its rule; moments of the doubles by exact arithmetic
INSERT INTO stream_value VALUES ('NumAcc4', 10000000.2);
INSERT INTO stream_value SELECT 'NumAcc4', v FROM generate_series(1, 500), (VALUES (10000000.1), (10000000.3)) x (v);
CREATE TEMP TABLE stream_case (stream text, n bigint, mean float8, stddev float8, min float8, max float8, certified_mean float8, certified_stddev float8);
\copy stream_case FROM 'test/vectors/summary_expected.csv' WITH (FORMAT csv, HEADER)
INSERT INTO stream_case VALUES ('NumAcc4', 1001, 10000000.2, 0.1000000005587935, 10000000.1, 10000000.3, 10000000.2, NULL);
CREATE TEMP TABLE stream_seen AS SELECT stream, summarize(value) AS s FROM stream_value GROUP BY stream;
SELECT is_empty($$SELECT c, s FROM stream_case c JOIN stream_seen USING (stream)
    WHERE summary_count(s) <> n OR summary_min(s) <> min OR summary_max(s) <> max OR NOT (pg_temp.near(summary_mean(s), mean, 1e-14) AND pg_temp.near(summary_sum(s), mean * n, 1e-14)
        AND pg_temp.near(summary_stddev(s), stddev, 1e-10) AND pg_temp.near(summary_variance(s), stddev * stddev, 1e-10)
        AND pg_temp.near(summary_mean(s), certified_mean, 1e-9) AND pg_temp.near(summary_stddev(s), certified_stddev, 5e-10))$$, 'moments');
SELECT ok((SELECT pg_temp.near(summary_stddev(s), 0.1, 1e-8) FROM stream_seen WHERE stream = 'NumAcc4'), 'NumAcc4: 8 digits of the certified deviation');
SELECT is((SELECT count(*) FROM stream_seen), (SELECT count(*) FROM stream_case), 'every stream was seen');
CREATE TEMP TABLE quantile_value (stream text, value float8);
\copy quantile_value FROM 'test/vectors/quantile_streams.csv' WITH (FORMAT csv, HEADER)
CREATE TEMP TABLE quantile_case (stream text, n bigint, q float8, value float8);
\copy quantile_case FROM 'test/vectors/quantile_expected.csv' WITH (FORMAT csv, HEADER)
CREATE TEMP TABLE quantile_seen AS SELECT stream, summarize(value) AS s FROM quantile_value GROUP BY stream;
SELECT is_empty($$SELECT c, summary_quantile(s, q) FROM quantile_case c JOIN quantile_seen USING (stream)
    WHERE summary_count(s) <> n OR NOT pg_temp.near(summary_quantile(s, q), value, 0.0101)$$, 'quantiles');
SELECT is_empty($$SELECT stream, q, want FROM quantile_seen JOIN (SELECT stream, (SELECT array_agg(x / 200.0::float8) FROM generate_series(0, 200) x) AS qs,
        percentile_disc((SELECT array_agg(x / 200.0::float8) FROM generate_series(0, 200) x)) WITHIN GROUP (ORDER BY value) AS wants FROM quantile_value GROUP BY stream) w USING (stream), unnest(qs, wants) u (q, want)
    WHERE NOT pg_temp.near(summary_quantile(s, q), want, 0.01)$$, 'and every quantile is within 1 % of percentile_disc');

-- Merging: exact in counts and buckets, whatever the parts, the order and the way.
CREATE TEMP TABLE part AS SELECT stream, x % 7 AS part, summarize(value) AS s FROM (SELECT *, row_number() OVER () AS x FROM quantile_value) v GROUP BY stream, x % 7;
CREATE FUNCTION pg_temp.exact(s summary) RETURNS text LANGUAGE sql AS $$ SELECT concat((s::text::jsonb) - 'sum' - 'm2', ' ', round(summary_mean(s)::numeric, 6)) $$;
SELECT is_empty($$SELECT stream FROM (SELECT stream, merge(p.s ORDER BY part) AS up, merge(p.s ORDER BY part DESC) AS down, (array_agg(q.s))[1] AS whole FROM part p JOIN quantile_seen q USING (stream) GROUP BY stream) m
    WHERE pg_temp.exact(up) <> pg_temp.exact(whole) OR pg_temp.exact(up) <> pg_temp.exact(down) OR NOT (pg_temp.near(summary_sum(up), summary_sum(whole), 1e-12, 1e-9)
        AND pg_temp.near(summary_variance(up), summary_variance(whole), 1e-12) AND pg_temp.near(summary_variance(up), summary_variance(down), 1e-12))$$, 'merging parts gives the whole');
SELECT is_empty($$SELECT stream FROM part a JOIN part b USING (stream) JOIN part c USING (stream) WHERE (a.part, b.part, c.part) = (0, 3, 5) AND (pg_temp.exact((a.s + b.s) + c.s) <> pg_temp.exact(a.s + (b.s + c.s))
    OR a.s + b.s <> b.s + a.s AND NOT pg_temp.near(summary_variance(a.s + b.s), summary_variance(b.s + a.s), 1e-12))$$, '+ is associative and commutative');
SELECT is((SELECT merge(s) FROM (VALUES (NULL::summary), ((SELECT s FROM quantile_seen WHERE stream = 'small'))) v (s)), (SELECT s FROM quantile_seen WHERE stream = 'small'), 'NULL summaries are skipped');
SELECT is((SELECT merge(s) FROM quantile_seen WHERE false), NULL, 'nothing merged is NULL');
SELECT is((SELECT summarize(value) FROM quantile_value WHERE false), NULL, 'nothing summarized is NULL');
SELECT is(summarize(v), (SELECT summarize(v) FROM unnest(ARRAY[1, 2]::float8[]) v), 'NULL values are skipped') FROM unnest(ARRAY[NULL, 1, NULL, 2]::float8[]) v;
SELECT is(summarize(v), (SELECT summarize(v) FROM unnest(ARRAY[0, 0]::float8[]) v), '-0 is 0') FROM unnest(ARRAY['-0', '0']::float8[]) v;
SELECT is_empty($$SELECT x FROM (SELECT x, summarize(x) OVER w AS seen, summarize(x) FILTER (WHERE x % 2 = 0) OVER w AS even FROM generate_series(1, 300) x WINDOW w AS (ORDER BY x ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)) o
    WHERE x > 9 AND (summary_count(seen) <> 10 OR summary_mean(seen) <> x - 4.5 OR summary_count(even) <> 5)$$, 'as a window function');
SELECT is_empty($$SELECT x FROM (SELECT x, merge(s) OVER (ORDER BY x ROWS 3 PRECEDING) AS seen FROM (SELECT x, summarize(x) AS s FROM generate_series(1, 30) x GROUP BY x) p) o WHERE x > 3 AND summary_mean(seen) <> x - 1.5$$, 'merge as a window function');

-- One value, two values, no values.
SELECT results_eq($$SELECT summary_count(s), summary_mean(s), summary_variance(s), summary_stddev(s), summary_quantile(s, 0.5) FROM (SELECT summarize(3.75) AS s) q$$, $$VALUES (1::bigint, 3.75::float8, NULL::float8, NULL::float8, 3.75::float8)$$, 'one value');
SELECT results_eq($$SELECT summary_count(s), summary_sum(s), summary_mean(s), summary_min(s), summary_max(s), summary_quantile(s, 0.5), s + s = s
    FROM (SELECT '{"version":1,"n":0,"sum":[0,0],"m2":0,"min":0,"max":0,"zeros":0,"negative":[],"positive":[]}'::summary AS s) q$$,
    $$VALUES (0::bigint, NULL::float8, NULL::float8, NULL::float8, NULL::float8, NULL::float8, true)$$, 'an empty summary is the identity of +');

-- Text and binary forms.
SELECT is_empty($$SELECT stream FROM (SELECT * FROM quantile_seen UNION ALL SELECT * FROM stream_seen) a WHERE s::text::summary <> s OR s::text::summary::text <> s::text$$, 'text reads back as itself');
CREATE TABLE public.stored (stream text, s summary);
INSERT INTO public.stored SELECT * FROM quantile_seen UNION ALL SELECT * FROM stream_seen;
-- binary COPY into a file of the server and back
SELECT format('%s/model_mgr_summary_test.copy', current_setting('data_directory')) AS file \gset
COPY public.stored TO :'file' WITH (FORMAT binary);
CREATE TABLE public.restored (LIKE public.stored);
COPY public.restored FROM :'file' WITH (FORMAT binary);
SELECT set_eq('SELECT stream, s FROM public.restored', 'SELECT stream, s FROM public.stored', 'binary reads back as itself');
-- bytes written by version 1 for -2.5, 0, 1.5, 1.5, 300 (a later version may write others, but must read these)
CREATE FUNCTION pg_temp.binary(bytes bytea) RETURNS summary LANGUAGE plpgsql AS $$
DECLARE
    copied bytea := '\x5047434f50590aff0d0a00'::bytea || '\x00000000'::bytea || '\x00000000'::bytea || '\x0001'::bytea || int4send(length(bytes)) || bytes || '\xffff'::bytea;
    large oid := lo_from_bytea(0, copied);
    file text := current_setting('data_directory') || '/model_mgr_summary_test.bytes';
    result summary;
BEGIN
    PERFORM lo_export(large, file), lo_unlink(large);
    CREATE TEMP TABLE binary_in (s summary);
    EXECUTE format('COPY binary_in FROM %L WITH (FORMAT binary)', file);
    SELECT s INTO result FROM binary_in;
    DROP TABLE binary_in;
    RETURN result;
END $$;
\set version_1 '\\x010e050000000000c8724033333333eb90f14000000000000004c00000000000c0724001017c01023202fe0201'
SELECT is(pg_temp.binary(:'version_1')::text, '{"version":1,"n":5,"sum":[300.5,0],"m2":71950.7,"min":-2.5,"max":300,"zeros":1,"negative":[62,1],"positive":[25,2,408,1]}', 'the stored sample of version 1');
SELECT is(summary_send(summarize(v)), :'version_1'::bytea, 'is what is written today') FROM unnest(ARRAY[-2.5, 0, 1.5, 1.5, 300]) v;
SELECT throws_ok(format('SELECT pg_temp.binary(%L)', b), '22P03', NULL, what) FROM (VALUES
    (''::bytea, 'no bytes'), ('\x02'::bytea || substr(:'version_1'::bytea, 2), 'a version to come'), (substr(:'version_1'::bytea, 1, 40), 'cut off'), (:'version_1'::bytea || '\x00'::bytea, 'a byte too many'),
    (set_byte(:'version_1'::bytea, 2, 6), 'counts that do not add up'), (set_byte(:'version_1'::bytea, 34, 255), 'an extreme that is NaN')) v (b, what);

-- Size: a minute of 100 requests, and the bound.
SELECT cmp_ok((SELECT max(pg_column_size(s)) FROM (SELECT summarize(0.05 - 0.3 * ln((x * 7919 % 10007) / 10007.0)) AS s FROM generate_series(1, 1000) x GROUP BY x % 10) q), '<', 350, 'bytes for 100 response times');
SELECT cmp_ok((SELECT octet_length(summary_send(summarize(sign(random() - 0.5) * 10 ^ (140 * random() - 70)))) FROM generate_series(1, 30000)), '<=', 49232, 'bytes for any values at all');

-- Comparison: DISTINCT, sorting, hash and btree indexes.
SELECT is((SELECT count(DISTINCT s) FROM (SELECT s FROM public.stored UNION ALL SELECT s FROM public.restored) u), (SELECT count(DISTINCT s::text) FROM public.stored), 'DISTINCT');
SET enable_hashagg = off;
SELECT is((SELECT count(*) FROM (SELECT s FROM public.stored UNION SELECT s FROM public.restored) u), (SELECT count(DISTINCT s::text) FROM public.stored), 'by sorting');
RESET enable_hashagg;
CREATE INDEX ON public.stored USING hash (s);
CREATE INDEX ON public.restored (s);
SET enable_seqscan = off;
SELECT is_empty($$SELECT stream FROM public.stored a WHERE NOT EXISTS (SELECT FROM public.restored b WHERE b.s = a.s) OR (SELECT count(*) FROM public.stored b WHERE b.s = a.s) < 1$$, 'by index');
RESET enable_seqscan;

-- anytime_ci: no answer without data, then wider than the test of the moment, and swapping arms flips signs.
SELECT results_eq($$SELECT * FROM anytime_ci(NULL, (SELECT summarize(x) FROM generate_series(1, 100) x)) UNION ALL SELECT * FROM anytime_ci((SELECT summarize(x) FROM generate_series(1, 3) x), (SELECT summarize(x) FROM generate_series(1, 3) x), NULL)$$,
    $$SELECT '-Infinity'::float8, 'Infinity'::float8, 1::float8 FROM generate_series(1, 2)$$, 'too little data');
CREATE TEMP TABLE arms AS SELECT summarize(sin(x * 7919) * 3) AS c, summarize(sin(x * 7907) * 3 + 0.3) AS t FROM generate_series(1, 3000) x;
SELECT results_eq($$SELECT a.ci_low < w.ci_low AND a.ci_high > w.ci_high AND a.p_value > w.p_value AND a.p_value < 0.05 AND a.ci_low > 0, pg_temp.near(b.ci_low, -a.ci_high, 1e-12) AND pg_temp.near(b.p_value, a.p_value, 1e-12),
        n.ci_low < a.ci_low AND n.ci_high > a.ci_high
    FROM arms, anytime_ci(c, t) a, anytime_ci(t, c) b, anytime_ci(c, t, 0.99) n, welch_test(c, t) w$$, $$VALUES (true, true, true)$$, 'anytime_ci');

-- Refusals.
CREATE FUNCTION pg_temp.refused(wanted text, expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text; detail text; hint text;
BEGIN
    EXECUTE 'SELECT ' || expression;
    RETURN expression || ' is accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN CASE WHEN code <> wanted THEN expression || ' is ' || code || ': ' || SQLERRM WHEN detail !~ '\.$' OR hint !~ '\.$' THEN expression || ' has no DETAIL or HINT' END;
END $$;
SELECT is_empty($$SELECT said FROM (VALUES ('22P02', '''''::summary'), ('22P02', '''{"version":1}''::summary'), ('22P02', '''{"version":9,"n":0}''::summary'),
    ('22P02', '''{"version":1,"n":1,"sum":[5,0],"m2":0,"min":1,"max":1,"zeros":0,"negative":[],"positive":[0,1]}''::summary'),
    ('22003', 'summary_quantile(summarize(1), 1.1)'), ('22003', 'summary_quantile(summarize(1), -0.1)'), ('22003', 'summary_quantile(summarize(1), ''NaN'')'),
    ('22003', 'welch_test(NULL, NULL, 1)'), ('22003', 'anytime_ci(NULL, NULL, 0)'),
    ('22003', 'merge(s) FROM (SELECT summarize(v) AS s FROM unnest(ARRAY[1.7e308, 1.6e308]) v GROUP BY v) p')) v (wanted, expression), pg_temp.refused(wanted, expression) said WHERE said IS NOT NULL$$, 'what is refused');

SELECT * FROM finish();
DROP FUNCTION pg_temp.exact(summary), pg_temp.binary(bytea);
DROP TABLE public.stored, public.restored, stream_seen, quantile_seen, part, arms;
DROP EXTENSION model_mgr;
