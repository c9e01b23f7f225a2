-- The test aggregates: reference numbers, NULL rows, FILTER, DISTINCT, windows, groups, partial states in parallel workers
-- and partitions, degenerate cases, refusals.
\i test/fresh.psql
\i test/near.psql
SET search_path = model_mgr, public, tap;
SELECT plan(32);

-- Reference numbers; one aggregation over all cases.
CREATE TEMP TABLE raw_value (case_id text, treatment boolean, value float8);
\copy raw_value FROM 'test/vectors/two_sample_raw_values.csv' WITH (FORMAT csv, HEADER)
CREATE TEMP TABLE raw_case (case_id text, n_control bigint, n_treatment bigint, statistic float8, df float8, p_value float8, effect float8, ci_low float8, ci_high float8,
    u_statistic float8, u_p_value float8, tolerance float8, note text);
\copy raw_case FROM 'test/vectors/two_sample_raw_expected.csv' WITH (FORMAT csv, HEADER)
CREATE TEMP TABLE raw_seen AS
SELECT case_id, t_test(treatment, value) AS t, mann_whitney_test(treatment, value) AS u,
    welch_test(summarize(value) FILTER (WHERE NOT treatment), summarize(value) FILTER (WHERE treatment)) AS w
FROM raw_value GROUP BY case_id;
SELECT is_empty($$SELECT c, r FROM raw_case c JOIN raw_seen s USING (case_id), LATERAL (SELECT (s.t).*) r
    WHERE (r.n_control, r.n_treatment) <> (c.n_control, c.n_treatment) OR NOT (pg_temp.near(r.statistic, c.statistic, tolerance, tolerance)
        AND pg_temp.near(r.df, c.df, tolerance) AND pg_temp.near(r.p_value, c.p_value, tolerance, 1e-300) AND pg_temp.near(r.effect, c.effect, tolerance)
        AND pg_temp.within(r.ci_low, r.ci_high, c.ci_low, c.ci_high, tolerance))$$, 't_test');
SELECT is_empty($$SELECT c, r FROM raw_case c JOIN raw_seen s USING (case_id), LATERAL (SELECT (s.w).*) r
    WHERE (r.n_control, r.n_treatment) <> (c.n_control, c.n_treatment) OR NOT (pg_temp.near(r.statistic, c.statistic, tolerance, tolerance)
        AND pg_temp.near(r.df, c.df, tolerance) AND pg_temp.near(r.p_value, c.p_value, tolerance, 1e-300) AND pg_temp.near(r.effect, c.effect, tolerance)
        AND pg_temp.within(r.ci_low, r.ci_high, c.ci_low, c.ci_high, tolerance))$$, 'welch_test of summaries');
SELECT is_empty($$SELECT c, r FROM raw_case c JOIN raw_seen s USING (case_id), LATERAL (SELECT (s.u).*) r
    WHERE (r.n_control, r.n_treatment) <> (c.n_control, c.n_treatment) OR NOT (pg_temp.near(r.statistic, c.u_statistic, 1e-10) AND pg_temp.near(r.p_value, c.u_p_value, 1e-10, 1e-300))$$, 'mann_whitney_test');
SELECT is((SELECT count(*) FROM raw_seen), (SELECT count(*) FROM raw_case), 'every case was seen');

-- A large sort spills to disk and stays right.
SET work_mem = '64kB';
SELECT results_eq($$SELECT r.statistic, round(r.p_value::numeric, 6) FROM (SELECT mann_whitney_test(x % 3 = 0, (x * 7919) % 100003) AS a FROM generate_series(1, 60000) x) q, LATERAL (SELECT (q.a).*) r$$,
    $$WITH ranked AS (SELECT x % 3 = 0 AS t, rank() OVER w + (count(*) OVER (PARTITION BY (x * 7919) % 100003) - 1) / 2.0 AS r FROM generate_series(1, 60000) x WINDOW w AS (ORDER BY (x * 7919) % 100003))
    SELECT u::float8, round((2 * normal_cdf(-(abs(u - 400000000) - 0.5)::float8 / sqrt(800000000.0 / 12 * 60001)::float8))::numeric, 6) FROM (SELECT sum(r) - 20000::numeric * 20001 / 2 AS u FROM ranked WHERE t) q$$,
    'mann_whitney_test on disk, ranks by SQL');
RESET work_mem;

-- The other tests against their formulas.
CREATE TEMP TABLE pair (n integer, a float8, b float8, t boolean, ok boolean, ok_b boolean);
INSERT INTO pair SELECT x, 100 + (x * 37) % 29, 101 + (x * 53) % 31, x % 2 = 0, (x * 7) % 10 < 3, (x * 11) % 10 < 4 FROM generate_series(1, 400) x;
SELECT is((SELECT z_test(t, ok) FROM pair), (SELECT two_proportion_z_test(count(*) FILTER (WHERE ok AND NOT t), count(*) FILTER (WHERE NOT t), count(*) FILTER (WHERE ok AND t), count(*) FILTER (WHERE t)) FROM pair), 'z_test is two_proportion_z_test of the counts');
SELECT results_eq($$SELECT round(r.statistic::numeric, 9), r.df, round(r.effect::numeric, 9), round(r.ci_low::numeric, 9), r.n_control FROM (SELECT paired_t_test(a, b) AS p FROM pair) q, LATERAL (SELECT (q.p).*) r$$,
    $$SELECT round((avg(b - a) / (stddev_samp(b - a) / sqrt(count(*))))::numeric, 9), 399::float8, round(avg(b - a)::numeric, 9), round((avg(b - a) - student_t_quantile(0.975, 399) * stddev_samp(b - a) / sqrt(count(*)))::numeric, 9), 400::bigint FROM pair$$, 'paired_t_test');
SELECT results_eq($$SELECT round(r.statistic::numeric, 9), round(r.p_value::numeric, 9), round(r.effect::numeric, 9), r.mean_control, r.ci_low < r.effect AND r.ci_high > r.effect FROM (SELECT mcnemar_test(ok, ok_b) AS p FROM pair) q, LATERAL (SELECT (q.p).*) r$$,
    $$SELECT round(((c - b) / sqrt(b + c))::numeric, 9), round(chi_square_sf((c - b)^2 / (b + c), 1)::numeric, 9), round(((c - b) / 400)::numeric, 9), m, true
    FROM (SELECT count(*) FILTER (WHERE ok AND NOT ok_b)::float8 AS b, count(*) FILTER (WHERE ok_b AND NOT ok)::float8 AS c, avg(ok::integer)::float8 AS m FROM pair) q$$, 'mcnemar_test');
-- CUPED with the slope within arms, by SQL.
SELECT results_eq($$SELECT round(r.effect::numeric, 9), round(r.statistic::numeric, 9), round(r.df::numeric, 6), round(r.mean_control::numeric, 9) FROM (SELECT cuped_test(t, b + a, a) AS p FROM pair) q, LATERAL (SELECT (q.p).*) r$$,
    $$WITH slope AS (SELECT sum(xy) / sum(xx) AS theta FROM (SELECT regr_sxy(b + a, a) AS xy, regr_sxx(b + a, a) AS xx FROM pair GROUP BY t) s),
    adjusted AS (SELECT t, b + a - theta * (a - (SELECT avg(a) FROM pair)) AS y FROM pair, slope)
    SELECT round(r.effect::numeric, 9), round(r.statistic::numeric, 9), round(r.df::numeric, 6), round(r.mean_control::numeric, 9) FROM (SELECT t_test(t, y) AS p FROM adjusted) q, LATERAL (SELECT (q.p).*) r$$, 'cuped_test is t_test of adjusted values');
SELECT ok((SELECT (cuped_test(t, b + a, a)).ci_high - (cuped_test(t, b + a, a)).ci_low < 0.9 * ((t_test(t, b + a)).ci_high - (t_test(t, b + a)).ci_low) FROM pair), 'a covariate that explains something narrows the interval');

-- NULL rows, FILTER, DISTINCT, order of rows, swapped arms.
CREATE TEMP VIEW holes AS SELECT * FROM pair UNION ALL SELECT NULL, NULL, 5, true, NULL, true UNION ALL SELECT NULL, 5, NULL, NULL, true, NULL;
SELECT is(ROW(z_test(t, ok), t_test(t, a), mann_whitney_test(t, a), paired_t_test(a, b), mcnemar_test(ok, ok_b), cuped_test(t, a, b))::text,
    (SELECT ROW(z_test(t, ok), t_test(t, a), mann_whitney_test(t, a), paired_t_test(a, b), mcnemar_test(ok, ok_b), cuped_test(t, a, b))::text FROM pair), 'rows with NULL are skipped') FROM holes;
SELECT is(t_test(t, a) FILTER (WHERE n > 100), (SELECT t_test(t, a) FROM pair WHERE n > 100), 'FILTER') FROM pair;
SELECT is(mann_whitney_test(t, a) FILTER (WHERE n > 100), (SELECT mann_whitney_test(t, a) FROM pair WHERE n > 100), 'FILTER, by ranks') FROM pair;
SELECT is((SELECT (t_test(DISTINCT t, a)).n_control + (t_test(DISTINCT t, a)).n_treatment FROM pair), (SELECT count(DISTINCT (t, a)) FROM pair), 'DISTINCT');
SELECT is((SELECT (mann_whitney_test(DISTINCT t, a)).n_control FROM pair), (SELECT count(DISTINCT a) FROM pair WHERE NOT t), 'DISTINCT, by ranks');
CREATE FUNCTION pg_temp.digits(r test_result) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (r).n_control, (r).n_treatment, round((r).statistic::numeric, 9), round((r).df::numeric, 6), round((r).p_value::numeric, 10), round((r).effect::numeric, 9),
        round((r).ci_low::numeric, 9), round((r).ci_high::numeric, 9), round((r).mean_control::numeric, 9), round((r).mean_treatment::numeric, 9), (r).status)
$$;
SELECT is(pg_temp.digits(t_test(t, a ORDER BY a DESC)), pg_temp.digits(t_test(t, a ORDER BY n)), 'the order of rows does not count') FROM pair;
SELECT is_empty($$SELECT s FROM (SELECT unnest(ARRAY[z_test(t, ok), t_test(t, a), paired_t_test(a, b), mcnemar_test(ok, ok_b), cuped_test(t, b, a)]) AS r,
        unnest(ARRAY[z_test(NOT t, ok), t_test(NOT t, a), paired_t_test(b, a), mcnemar_test(ok_b, ok), cuped_test(NOT t, b, a)]) AS s FROM pair) q
    WHERE NOT (pg_temp.near((s).statistic, -(r).statistic, 1e-12) AND pg_temp.near((s).effect, -(r).effect, 1e-12) AND pg_temp.near((s).ci_low, -(r).ci_high, 1e-12)
        AND pg_temp.near((s).p_value, (r).p_value, 1e-12) AND pg_temp.near((s).mean_control, (r).mean_treatment, 1e-12))$$, 'swapping arms flips the signs');
SELECT is((SELECT (mann_whitney_test(NOT t, a)).effect FROM pair), (SELECT -(mann_whitney_test(t, a)).effect FROM pair), 'of ranks too');

-- Windows: every frame is the aggregate of its rows.
SELECT is_empty($$SELECT n FROM (SELECT n, t_test(t, a) OVER w AS seen, z_test(t, ok) OVER w AS seen_z, cuped_test(t, b, a) OVER w AS seen_c FROM pair WINDOW w AS (ORDER BY n ROWS BETWEEN 20 PRECEDING AND 3 FOLLOWING)) o
    WHERE n % 17 = 0 AND ROW(seen, seen_z, seen_c)::text <> (SELECT ROW(t_test(t, a ORDER BY n), z_test(t, ok), cuped_test(t, b, a ORDER BY n))::text FROM pair i WHERE i.n BETWEEN o.n - 20 AND o.n + 3)$$, 'moving frames');
SELECT is_empty($$SELECT n FROM (SELECT n, t_test(t, a) OVER (ORDER BY n) AS seen FROM pair) o WHERE n % 29 = 0 AND seen <> (SELECT t_test(t, a ORDER BY n) FROM pair i WHERE i.n <= o.n)$$, 'growing frames');
SELECT throws_ok($$SELECT mann_whitney_test(t, a) OVER (ORDER BY n) FROM pair$$, '0A000', NULL, 'mann_whitney_test is no window function');

-- Partial states: by force in parallel workers, and by partition; equal to one pass, to the last digits.
CREATE TABLE public.big (grp integer, t boolean, ok boolean, ok_b boolean, a float8, b float8) PARTITION BY LIST (grp);
CREATE TABLE public.big_0 PARTITION OF public.big FOR VALUES IN (0);
CREATE TABLE public.big_1 PARTITION OF public.big FOR VALUES IN (1);
CREATE TABLE public.big_2 PARTITION OF public.big FOR VALUES IN (2);
INSERT INTO public.big SELECT x % 3, (x / 3) % 2 = 0, (x * 7) % 10 < 3, (x * 11) % 13 < 4, 1e6 + sin(x), 1e6 + sin(x) + cos(x * 3) FROM generate_series(1, 30000) x;
-- a group whose arms are NULL throughout: its states are NULL in every worker
INSERT INTO public.big SELECT 2, NULL, NULL, NULL, NULL, NULL FROM generate_series(1, 10);
ANALYZE public.big;
CREATE TEMP VIEW all_tests AS SELECT pg_temp.digits(z_test(t, ok)) AS z, pg_temp.digits(t_test(t, a)) AS t, pg_temp.digits(paired_t_test(a, b)) AS p, pg_temp.digits(mcnemar_test(ok, ok_b)) AS m,
    pg_temp.digits(cuped_test(t, b, a)) AS c, summary_count(summarize(a)) AS n, round(summary_stddev(summarize(a))::numeric, 9) AS s, summary_quantile(summarize(b), 0.3) AS q FROM public.big;
CREATE TEMP TABLE serial AS SELECT * FROM all_tests;
CREATE TEMP TABLE serial_group AS SELECT grp, pg_temp.digits(t_test(t, a)) AS t, pg_temp.digits(z_test(t, ok)) AS z, pg_temp.digits(cuped_test(t, b, a)) AS c, summary_quantile(summarize(a), 0.5) AS q FROM public.big GROUP BY grp;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
SELECT isnt_empty($$SELECT FROM pg_temp.plan_of('SELECT t_test(t, a), summarize(a) FROM public.big') l WHERE l ~ 'Partial Aggregate'$$, 'partial aggregation is planned');
SELECT results_eq($$SELECT * FROM all_tests$$, $$SELECT * FROM serial$$, 'parallel workers');
SELECT results_eq($$SELECT grp, pg_temp.digits(t_test(t, a)), pg_temp.digits(z_test(t, ok)), pg_temp.digits(cuped_test(t, b, a)), summary_quantile(summarize(a), 0.5) FROM public.big GROUP BY grp ORDER BY grp$$, $$SELECT * FROM serial_group ORDER BY grp$$, 'parallel workers, by group');
SELECT isnt_empty($$SELECT FROM pg_temp.plan_of('SELECT mann_whitney_test(t, a) FROM public.big') l WHERE l ~ 'Gather'$$, 'mann_whitney_test lets the scan be parallel');
SELECT is_empty($$SELECT FROM pg_temp.plan_of('SELECT mann_whitney_test(t, a) FROM public.big') l WHERE l ~ 'Partial'$$, 'but is not itself');
SELECT is((SELECT t_test(t, a) FROM public.big WHERE t IS NULL), (SELECT t_test(true, 1) FROM generate_series(1, 0)), 'states of no rows in every worker');
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = on;
SELECT isnt_empty($$SELECT FROM pg_temp.plan_of('SELECT t_test(t, a) FROM public.big') l WHERE l ~ 'Partial Aggregate'$$, 'partitionwise aggregation is planned');
SELECT results_eq($$SELECT * FROM all_tests$$, $$SELECT * FROM serial$$, 'partitionwise');
SET max_parallel_workers_per_gather = 2;
SELECT results_eq($$SELECT * FROM all_tests$$, $$SELECT * FROM serial$$, 'partitionwise in parallel');
RESET ALL;
SET search_path = model_mgr, public, tap;

-- Degenerate cases.
SELECT results_eq($$SELECT k, (r).status, (r).statistic, (r).p_value, (r).effect, (r).n_control, (r).n_treatment FROM (VALUES
        (1, (SELECT t_test(t, v) FROM (VALUES (true, 1::float8)) d (t, v) WHERE false)),
        (2, (SELECT z_test(t, v) FROM (VALUES (true, true)) d (t, v) WHERE false)),
        (3, (SELECT mann_whitney_test(t, v) FROM (VALUES (true, 1::float8)) d (t, v) WHERE false)),
        (4, (SELECT paired_t_test(t, v) FROM (VALUES (1::float8, 1::float8)) d (t, v) WHERE false)),
        (5, (SELECT mcnemar_test(t, v) FROM (VALUES (true, true)) d (t, v) WHERE false)),
        (6, (SELECT cuped_test(t, v, v) FROM (VALUES (true, 1::float8)) d (t, v) WHERE false)),
        (7, (SELECT t_test(t, v) FROM (VALUES (false, 1::float8)) d (t, v))),
        (8, (SELECT t_test(t, v) FROM (VALUES (false, 1::float8), (true, 2)) d (t, v))),
        (9, (SELECT t_test(t, v) FROM (VALUES (false, 0.1::float8), (false, 0.1), (false, 0.1), (true, 0.1), (true, 0.1)) d (t, v))),
        (10, (SELECT t_test(t, v) FROM (VALUES (false, 0.3::float8), (false, 0.3), (true, 0.1), (true, 0.1)) d (t, v))),
        (11, (SELECT mann_whitney_test(t, v) FROM (VALUES (false, 1::float8), (true, 1), (true, 1)) d (t, v))),
        (12, (SELECT mann_whitney_test(t, v) FROM (VALUES (true, 1::float8)) d (t, v))),
        (13, (SELECT paired_t_test(t, v) FROM (VALUES (1::float8, 3::float8)) d (t, v))),
        (14, (SELECT paired_t_test(t, v) FROM (VALUES (1::float8, 3::float8), (2, 4)) d (t, v))),
        (15, (SELECT paired_t_test(t, v) FROM (VALUES (1::float8, 1::float8), (2, 2)) d (t, v))),
        (16, (SELECT mcnemar_test(t, v) FROM (VALUES (true, true), (false, false)) d (t, v))),
        (17, (SELECT cuped_test(t, v, 1) FROM (VALUES (false, 1::float8), (false, 1), (true, 2), (true, 2)) d (t, v))),
        (18, (SELECT z_test(t, v) FROM (VALUES (false, true), (true, true)) d (t, v)))) c (k, r)$$,
    $$VALUES (1, 'empty_control', NULL::float8, NULL::float8, NULL::float8, 0::bigint, 0::bigint), (2, 'empty_control', NULL, NULL, NULL, 0, 0), (3, 'empty_control', NULL, NULL, NULL, 0, 0),
        (4, 'empty_control', NULL, NULL, NULL, 0, 0), (5, 'empty_control', NULL, NULL, NULL, 0, 0), (6, 'empty_control', NULL, NULL, NULL, 0, 0), (7, 'empty_treatment', NULL, NULL, NULL, 1, 0),
        (8, 'too_few', NULL, NULL, 1, 1, 1), (9, 'no_variance', 0, 1, 0, 3, 2), (10, 'no_variance', '-Infinity', 0, 0.1::float8 - 0.3::float8, 2, 2), (11, 'no_variance', 1, 1, 0, 1, 2),
        (12, 'empty_control', NULL, NULL, NULL, 0, 1), (13, 'too_few', NULL, NULL, 2, 1, 1), (14, 'no_variance', 'Infinity', 0, 2, 2, 2), (15, 'no_variance', 0, 1, 0, 2, 2),
        (16, 'no_variance', 0, 1, 0, 2, 2), (17, 'no_variance', 'Infinity', 0, 1, 2, 2), (18, 'no_variance', 0, 1, 0, 1, 1)$$, 'degenerate cases');

-- Refusals: NaN, infinity, sums beyond the doubles.
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
SELECT is_empty($$SELECT said FROM unnest(ARRAY['t_test(true, ''NaN'')', 't_test(false, ''Infinity'')', 'mann_whitney_test(true, ''NaN'')', 'mann_whitney_test(true, ''-Infinity'')',
    'paired_t_test(''NaN'', 1)', 'paired_t_test(1, ''NaN'')', 'paired_t_test(-1.7e308, 1.7e308)', 'cuped_test(true, ''NaN'', 1)', 'cuped_test(true, 1, ''Infinity'')',
    'summarize(''NaN'')', 'summarize(''-Infinity'')', 't_test(true, v) FROM unnest(ARRAY[1e200, -1e200]) v', 't_test(true, v) FROM unnest(ARRAY[1.7e308, 1.7e308]) v',
    'summarize(v) FROM unnest(ARRAY[1e200, -1e200]) v']) e, pg_temp.refused('22003', e) said WHERE said IS NOT NULL$$, 'what is refused');

SELECT * FROM finish();
DROP VIEW all_tests;
DROP FUNCTION pg_temp.digits(test_result);
DROP TABLE public.big, raw_seen;
DROP EXTENSION model_mgr;
