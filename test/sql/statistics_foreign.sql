-- The aggregates over postgres_fdw: pushed down whole when all rows are on one server, right when they are not.
\i test/fresh.psql
SET search_path = model_mgr, public, tap;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
SELECT plan(8);

-- This very server, reached by its socket, as a foreign one.
\getenv host PGHOST
\getenv password PGPASSWORD
\if :{?host}
\else
SELECT split_part(current_setting('unix_socket_directories'), ',', 1) AS host \gset
\endif
\if :{?password}
\else
\set password ''
\endif
SELECT current_database() AS database, current_setting('port') AS port \gset
CREATE SERVER statistics_loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'host', port :'port', dbname :'database', extensions 'model_mgr');
CREATE USER MAPPING FOR current_user SERVER statistics_loopback OPTIONS (password :'password');
CREATE TABLE public.shard_rows (shard integer, t boolean, ok boolean, a float8, b float8);
INSERT INTO public.shard_rows SELECT x % 2, x % 3 = 0, x % 5 = 0, 10 + sin(x), 10 + cos(x) FROM generate_series(1, 2000) x;
CREATE FOREIGN TABLE public.far_rows (shard integer, t boolean, ok boolean, a float8, b float8) SERVER statistics_loopback OPTIONS (table_name 'shard_rows');

CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query; END $$;
CREATE TEMP TABLE call (call text);
INSERT INTO call VALUES ('z_test(t, ok)'), ('t_test(t, a)'), ('paired_t_test(a, b)'), ('mcnemar_test(t, ok)'), ('cuped_test(t, a, b)'), ('mann_whitney_test(t, a)'), ('summarize(a)');
SELECT is_empty($$SELECT call FROM call WHERE NOT EXISTS (SELECT FROM pg_temp.plan_of(format('SELECT %s FROM public.far_rows', call)) l
    WHERE l ~ ('Remote SQL: SELECT model_mgr\.' || split_part(call, '(', 1)))$$, 'pushed down whole');
SELECT is_empty($$SELECT call FROM call, pg_temp.plan_of(format('SELECT %s FROM public.far_rows', call)) l WHERE l ~ '^ *(-> *)?(Partial |Finalize )?(Group|Hash)?Aggregate'$$, 'nothing is left to aggregate here');
SELECT isnt_empty($$SELECT FROM pg_temp.plan_of('SELECT shard, t_test(t, a) FILTER (WHERE ok) FROM public.far_rows GROUP BY shard') l WHERE l ~ 'Remote SQL: SELECT shard, model_mgr\.t_test\(t, a\) FILTER \(WHERE ok\).*GROUP BY'$$, 'with FILTER and groups');
SELECT results_eq($$SELECT ROW(z_test(t, ok), t_test(t, a), paired_t_test(a, b), mcnemar_test(t, ok), cuped_test(t, a, b), mann_whitney_test(t, a), summarize(a))::text FROM public.far_rows$$,
    $$SELECT ROW(z_test(t, ok), t_test(t, a), paired_t_test(a, b), mcnemar_test(t, ok), cuped_test(t, a, b), mann_whitney_test(t, a), summarize(a))::text FROM public.shard_rows$$, 'and right: results and summaries travel exactly');

-- Rows of several servers: what is aggregated here comes to the same; summaries are made there and merged here.
CREATE TABLE public.both_rows (shard integer, t boolean, ok boolean, a float8, b float8) PARTITION BY LIST (shard);
CREATE TABLE public.rows_0 AS SELECT * FROM public.shard_rows WHERE shard = 0;
CREATE TABLE public.rows_1 AS SELECT * FROM public.shard_rows WHERE shard = 1;
CREATE FOREIGN TABLE public.far_0 PARTITION OF public.both_rows FOR VALUES IN (0) SERVER statistics_loopback OPTIONS (table_name 'rows_0');
CREATE FOREIGN TABLE public.far_1 PARTITION OF public.both_rows FOR VALUES IN (1) SERVER statistics_loopback OPTIONS (table_name 'rows_1');
SET enable_partitionwise_aggregate = on;
CREATE FUNCTION pg_temp.digits(r test_result) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', (r).n_control, (r).n_treatment, round((r).statistic::numeric, 9), round((r).p_value::numeric, 9), round((r).ci_low::numeric, 9), (r).status) $$;
SELECT results_eq($$SELECT pg_temp.digits(z_test(t, ok)), pg_temp.digits(t_test(t, a)), pg_temp.digits(cuped_test(t, a, b)), pg_temp.digits(mann_whitney_test(t, a)) FROM public.both_rows$$,
    $$SELECT pg_temp.digits(z_test(t, ok)), pg_temp.digits(t_test(t, a)), pg_temp.digits(cuped_test(t, a, b)), pg_temp.digits(mann_whitney_test(t, a)) FROM public.shard_rows$$, 'rows of two servers');
SELECT is((SELECT count(*) FROM pg_temp.plan_of('SELECT shard, t_test(t, a) FROM public.both_rows GROUP BY shard') l WHERE l ~ 'Remote SQL: SELECT shard, model_mgr\.t_test'), 2::bigint, 'groups that lie on one server are pushed down there');
SELECT is((SELECT count(*) FROM pg_temp.plan_of('SELECT merge(s) FROM (SELECT summarize(a) AS s FROM public.far_0 UNION ALL SELECT summarize(a) FROM public.far_1) p') l WHERE l ~ 'Remote SQL: SELECT model_mgr\.summarize'), 2::bigint, 'summaries are made where the rows are');
SELECT results_eq($$SELECT summary_count(m), round(summary_variance(m)::numeric, 9), summary_quantile(m, 0.9) FROM (SELECT merge(s) AS m FROM (SELECT summarize(a) AS s FROM public.far_0 UNION ALL SELECT summarize(a) FROM public.far_1) p) q$$,
    $$SELECT summary_count(m), round(summary_variance(m)::numeric, 9), summary_quantile(m, 0.9) FROM (SELECT summarize(a) AS m FROM public.shard_rows) q$$, 'and merged here');

SELECT * FROM finish();
DROP FUNCTION pg_temp.digits(test_result);
DROP TABLE public.both_rows, public.rows_0, public.rows_1, public.shard_rows;
DROP EXTENSION postgres_fdw CASCADE;
DROP EXTENSION model_mgr;
