-- Hours: every minute in exactly one hour, whatever comes late; minutes go after perf_monitor_retention_hours, hours after
-- retention_days, and reading all of history stays the sum of all observations. Custom metrics, whatever COPY brings.
\i test/fresh.psql
\i test/midnight.psql
\i test/rollout.psql
SELECT no_plan();
CREATE FUNCTION pg_temp.fold() RETURNS bigint LANGUAGE sql AS $$ SELECT model_mgr.maintenance_run('fold') $$;
CREATE FUNCTION pg_temp.hours() RETURNS bigint LANGUAGE sql AS $$ SELECT model_mgr.maintenance_run('hours') $$;
SET search_path = public, tap, model_mgr;
-- Wrong: what history says otherwise than the observations, by hour and version.
CREATE VIEW pg_temp.wrong AS
WITH plain AS (
    SELECT date_bin('1 hour', recorded_at - interval '1 microsecond', '2000-01-01 00:00:00+00') AS hour, version_id, count(*) FILTER (WHERE NOT feedback) AS requests,
           count(success) AS known, count(cost) AS costs, coalesce(sum(cost), 0) AS cost, max(recorded_at) AS last_at,
           model_mgr.summarize(response_time) AS response_time, model_mgr.summarize(confidence) AS confidence, model_mgr.summarize(output_tokens) AS output_tokens
    FROM model_mgr.observation GROUP BY 1, 2),
told AS (
    SELECT date_bin('1 hour', bucket, '2000-01-01 00:00:00+00') AS hour, version_id, sum(requests)::bigint AS requests,
           sum(known)::bigint AS known, sum(cost_count)::bigint AS costs, sum(cost_sum) AS cost, max(last_at) AS last_at,
           model_mgr.merge(response_time) AS response_time, model_mgr.merge(confidence) AS confidence, model_mgr.merge(output_tokens) AS output_tokens
    FROM model_mgr.rollup_history GROUP BY 1, 2)
SELECT hour, version_id, p.requests, t.requests AS told FROM plain p FULL JOIN told t USING (hour, version_id)
WHERE (p.requests, p.known, p.costs, p.last_at) IS DISTINCT FROM (t.requests, t.known, t.costs, t.last_at) OR abs(p.cost - t.cost) > 1e-9 * (1 + abs(p.cost))
   OR (summary_count(p.response_time), summary_min(p.response_time), summary_max(p.response_time), summary_quantile(p.response_time, 0.5), summary_quantile(p.response_time, 0.99))
      IS DISTINCT FROM (summary_count(t.response_time), summary_min(t.response_time), summary_max(t.response_time), summary_quantile(t.response_time, 0.5), summary_quantile(t.response_time, 0.99))
   OR abs(summary_sum(p.response_time) - summary_sum(t.response_time)) > 1e-9 * summary_sum(p.response_time)
   OR abs(summary_variance(p.response_time) - summary_variance(t.response_time)) > 1e-9 * summary_variance(p.response_time)
   OR (summary_count(p.confidence), summary_quantile(p.confidence, 0.25)) IS DISTINCT FROM (summary_count(t.confidence), summary_quantile(t.confidence, 0.25))
   OR (summary_count(p.output_tokens), summary_quantile(p.output_tokens, 0.75)) IS DISTINCT FROM (summary_count(t.output_tokens), summary_quantile(t.output_tokens, 0.75));
CREATE VIEW pg_temp.wrong_metrics AS
WITH plain AS (
    SELECT date_bin('1 hour', recorded_at - interval '1 microsecond', '2000-01-01 00:00:00+00') AS hour, version_id, e.key AS metric_name,
           count(*) AS count, sum(e.value::text::float8) AS sum, max(recorded_at) AS last_at, model_mgr.summarize(e.value::text::float8) AS "values"
    FROM model_mgr.observation, jsonb_each(metrics) e GROUP BY 1, 2, 3),
told AS (
    SELECT date_bin('1 hour', bucket, '2000-01-01 00:00:00+00') AS hour, version_id, metric_name, sum(count)::bigint AS count, sum(sum) AS sum, max(last_at) AS last_at,
           model_mgr.merge("values") AS "values"
    FROM model_mgr.rollup_metric_history GROUP BY 1, 2, 3)
SELECT hour, version_id, metric_name, p.count, t.count AS told FROM plain p FULL JOIN told t USING (hour, version_id, metric_name)
WHERE (p.count, p.last_at, summary_count(p."values"), summary_min(p."values"), summary_max(p."values"), summary_quantile(p."values", 0.5))
      IS DISTINCT FROM (t.count, t.last_at, summary_count(t."values"), summary_min(t."values"), summary_max(t."values"), summary_quantile(t."values", 0.5))
   OR abs(p.sum - t.sum) > 1e-9 * (1 + abs(p.sum));
CREATE FUNCTION pg_temp.record(since timestamptz, n integer, every interval) RETURNS void LANGUAGE sql AS $$
    INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, output_tokens, metrics)
    SELECT since + i * every, 1 + i % 2, i % 3 > 0, 0.1 + i % 50 * 0.01, nullif(i % 10, 0) * 0.1, nullif(i % 7, 0) * 0.01, i % 300,
        CASE i % 4 WHEN 0 THEN jsonb_build_object('tone', i % 5) WHEN 1 THEN jsonb_build_object('tone', -0.5, 'length of answer', i % 100) END
    FROM generate_series(1, n) i $$;

SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
SELECT pg_temp.record('2026-01-10 09:00:00+00', 1080, '10 s');
SELECT is_empty('TABLE pg_temp.wrong', 'pending: the tail says it all');
SELECT is_empty('TABLE pg_temp.wrong_metrics', 'custom metrics too');
SELECT is(pg_temp.fold(), 1080::bigint, 'folded');
SELECT is((SELECT count(*) FROM model_mgr.rollup_hour), 0::bigint, 'no hour yet');
SELECT is_empty('TABLE pg_temp.wrong', 'minutes');
SELECT is(pg_temp.hours() > 0, true, 'hours advance');
SELECT is((SELECT hours_until FROM model_mgr.rollup_state), '2026-01-10 11:45:00+00'::timestamptz, 'to the quarter before five minutes ago');
SELECT is((SELECT count(*) FROM model_mgr.rollup_hour), 6::bigint, 'three hours of two versions');
SELECT is(sum(requests)::integer, 990, 'with the minutes before it') FROM model_mgr.rollup_hour;
SELECT is_empty('TABLE pg_temp.wrong', 'hours and minutes, each once');
SELECT is_empty('TABLE pg_temp.wrong_metrics', 'custom metrics too');
SELECT is(pg_temp.hours(), 0::bigint, 'again: nothing');
-- Late rows, of minutes before and after hours_until, at the edges of both.
SELECT model_mgr.update_model_metrics('m', '1', 2, true, recorded_at => t) FROM unnest(ARRAY['2026-01-10 09:00:00+00', '2026-01-10 09:00:00.000001+00', '2026-01-10 10:00:00+00',
    '2026-01-10 11:45:00+00', '2026-01-10 11:45:00.000001+00', '2026-01-10 11:59:59+00', '2026-01-10 12:00:00+00', '2026-01-10 12:00:00.000001+00']::timestamptz[]) t;
SELECT is_empty('TABLE pg_temp.wrong', 'late rows: pending');
SELECT is(pg_temp.fold(), 8::bigint, 'folded');
SELECT is_empty('TABLE pg_temp.wrong', 'late rows: in minutes and hours');
SELECT is(sum(requests)::integer, 994, 'those before hours_until') FROM model_mgr.rollup_hour;
SELECT is((SELECT sum(requests) FROM model_mgr.rollup_now), (SELECT sum(requests) FROM model_mgr.rollup_history), 'the minutes have them all, too');
-- A long gap is passed over at once; a clock set back does no harm.
SELECT pg_temp.at('2026-03-01 00:00:00+00');
SELECT pg_temp.record('2026-02-28 23:00:00+00', 100, '30 s');
SELECT pg_temp.fold() AS folded, pg_temp.hours() > 0 AS advanced \gset
SELECT is((SELECT hours_until FROM model_mgr.rollup_state), '2026-02-28 23:45:00+00'::timestamptz, 'over a gap of weeks');
SELECT is_empty('TABLE pg_temp.wrong', 'nothing missing');
SELECT pg_temp.at('2026-02-01 00:00:00+00');
SELECT pg_temp.record('2026-01-31 23:00:00+00', 10, '1 min');
SELECT pg_temp.fold() AS folded, pg_temp.hours() AS advanced \gset
SELECT is((SELECT hours_until FROM model_mgr.rollup_state), '2026-02-28 23:45:00+00'::timestamptz, 'a clock set back moves nothing');
SELECT is_empty('TABLE pg_temp.wrong', 'and loses nothing');
-- Undone with its transaction.
SELECT pg_temp.at('2026-03-01 02:00:00+00');
BEGIN;
SELECT pg_temp.hours() >= 0 AS advanced \gset
ROLLBACK;
SELECT is((SELECT hours_until FROM model_mgr.rollup_state), '2026-02-28 23:45:00+00'::timestamptz, 'undone');
SELECT is_empty('TABLE pg_temp.wrong', 'hours that were undone are no hours');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT is(pg_temp.hours(), 0::bigint, 'not above READ COMMITTED');
COMMIT;

-- Retention of minutes. Everything recorded stays in history until retention_days.
SELECT pg_temp.at('2026-03-08 12:00:00+00');
CREATE FUNCTION public.no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'an observation is deleted'; END $$;
CALL model_mgr.maintain();
SELECT is((SELECT min(bucket) FROM model_mgr.rollup_minute), NULL::timestamptz, 'no minute is younger than a week');
SELECT is((SELECT count(*) FROM model_mgr.rollup_metric_minute), 0::bigint, 'custom metrics neither');
SELECT is_empty('TABLE pg_temp.wrong', 'history has them all');
SELECT is_empty('TABLE pg_temp.wrong_metrics', 'custom metrics too');
SELECT is((SELECT requests FROM model_mgr.model_version_list WHERE version = '1'), (SELECT count(*) FROM model_mgr.observation WHERE version_id = 1), 'model_version_list counts all of it');
-- What is older than minutes are kept goes to the hours alone.
SELECT model_mgr.update_model_metrics('m', '2', 1, recorded_at => '2026-03-01 11:00:00+00');
SELECT model_mgr.update_model_metrics('m', '2', 1, recorded_at => '2026-03-01 13:00:00+00');
SELECT pg_temp.fold() AS folded \gset
SELECT is(array_agg(bucket), ARRAY['2026-03-01 12:59:00+00']::timestamptz[], 'no minute past retention is made') FROM model_mgr.rollup_minute;
SELECT is_empty('TABLE pg_temp.wrong', 'but the hour has it');
SET model_mgr.perf_monitor_retention_hours = 1000;
SELECT model_mgr.update_model_metrics('m', '2', 1, recorded_at => '2026-03-01 11:00:00+00');
SELECT pg_temp.fold() AS folded \gset
SELECT is_empty('TABLE pg_temp.wrong', 'nor does a setting that changes');
RESET model_mgr.perf_monitor_retention_hours;
-- Kept shorter and longer again: what was dropped meanwhile is read from the hours, by everybody.
SELECT pg_temp.at('2026-03-06 00:00:00+00');
SELECT pg_temp.make_model('short', '1', '2');
INSERT INTO model_mgr.observation (recorded_at, version_id, success, metrics)
SELECT '2026-03-05 00:00:00+00'::timestamptz + i * interval '1 minute', version_id, true, '{"tone": 1}' FROM generate_series(1, 1440) i, model_mgr.model_version WHERE model_name = 'short' AND version = '1';
SET model_mgr.perf_monitor_retention_hours = 3;
CALL model_mgr.maintain();
RESET model_mgr.perf_monitor_retention_hours;
SELECT is(min(bucket), '2026-03-05 21:00:00+00'::timestamptz, 'three hours of minutes') FROM model_mgr.rollup_minute r JOIN model_mgr.model_version USING (version_id) WHERE model_name = 'short';
INSERT INTO model_mgr.observation (recorded_at, version_id, success, metrics) SELECT '2026-03-05 10:00:30+00', version_id, true, '{"tone": 1}' FROM model_mgr.model_version WHERE model_name = 'short' AND version = '1';
SELECT pg_temp.fold() AS folded \gset
SELECT results_eq($$SELECT metric_name, sum(samples)::bigint FROM model_mgr.get_performance_trends('short', '1') WHERE metric_name IN ('success_rate', 'tone') GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('success_rate', 1441::bigint), ('tone', 1441)$$, 'trends tell all of the day, the late row too');
SELECT results_eq($$SELECT metric_name, sum(samples)::bigint FROM model_mgr.metric_series WHERE model_name = 'short' AND metric_name IN ('success_rate', 'tone') GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('success_rate', 1441::bigint), ('tone', 1441)$$, 'so does metric_series');
SELECT is((SELECT samples FROM model_mgr.get_current_metrics('short', '1', 23 * 60 + 17) WHERE metric_name = 'tone'), 1398::bigint, 'and a window');
SELECT is(min(r."time"), '2026-03-05 21:00:00+00'::timestamptz, 'detect_anomalies() begins with the minutes that are there') FROM model_mgr.detect_anomalies('short', 'success_rate') r;
SELECT pg_temp.at('2026-03-08 12:00:00+00');
-- Minutes that no hour holds are never dropped.
SELECT pg_temp.at('2026-03-08 13:00:00+00');
SELECT pg_temp.record('2026-03-08 12:00:00+00', 50, '1 min');
SELECT pg_temp.fold() AS folded \gset
SELECT pg_temp.at('2026-03-20 11:00:00+00');
SELECT is(model_mgr.maintenance_run('give up minutes') + model_mgr.maintenance_run('prune minutes 2026-03-20 00:00:00+00') > 0, true, 'older ones go');
SELECT is(count(*), 50::bigint, 'what is only in minutes stays') FROM model_mgr.rollup_minute;
SELECT is_empty('TABLE pg_temp.wrong', 'nothing lost');
-- Hours past retention_days.
SELECT pg_temp.at('2026-04-11 10:30:00+00');
SELECT pg_temp.fold() AS folded, pg_temp.hours() AS advanced, model_mgr.maintenance_run('prune hours') AS pruned \gset
SELECT is(min(bucket), '2026-01-11 10:00:00+00'::timestamptz, 'an hour goes when its last moment is past') FROM (SELECT bucket FROM model_mgr.rollup_hour UNION ALL SELECT '2026-01-11 10:00:00+00') h;
SELECT is((SELECT count(*) FROM model_mgr.rollup_metric_hour WHERE bucket < '2026-01-11 09:30:00+00'), 0::bigint, 'custom metrics too');

SET client_min_messages = warning;
-- A rollout longer than minutes are kept: its steps count from the hours, its window from the minutes.
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('slow', '1', '2');
SELECT model_mgr.deploy_model_version('slow', '1') \gset d1_
SELECT (model_mgr.deploy_model_version('slow', '2', rollout => '{"steps": [50, 100], "step_seconds": 2000000, "min_requests": 100}')).deployment_id AS slow \gset
SELECT pg_temp.at('2026-01-10 12:30:00+00');
SELECT pg_temp.outcomes('slow', '2', 90, 90) AS recorded \gset
SELECT count(*) AS rows FROM model_mgr.tick() \gset
SELECT pg_temp.at('2026-01-25 12:30:00+00');
SELECT count(*) AS rows FROM model_mgr.tick() \gset
CALL model_mgr.maintain();
SELECT is((SELECT count(*) FROM model_mgr.rollup_minute), 0::bigint, 'its minutes are gone');
SELECT pg_temp.outcomes('slow', '2', 20, 0) AS recorded \gset
SELECT count(*) AS rows FROM model_mgr.tick() \gset
SELECT is((SELECT status FROM model_mgr.get_deployment(:slow)), 'rolled_back', '110 outcomes in the step, 20 in the window: judged over the step');
SELECT matches((SELECT status_reason FROM model_mgr.get_deployment(:slow)), '0\.818\d* is below the minimum 0\.95 over 110 outcomes since the step began', 'with the numbers of the step');

-- Whatever stands in metrics: what is no number within +-1e100 is left out, and no fold fails.
SELECT pg_temp.at('2026-02-01 00:00:00+00');
COPY model_mgr.observation (recorded_at, version_id, metrics) FROM stdin;
2026-01-31 23:59:30+00	1	{"n": 1, "nested": {"n": 5}, "list": [1, 2], "text": "1", "true": true, "null": null}
2026-01-31 23:59:30+00	1	{"n": 1e400, "huge": -1e400, "edge": 1e100, "beyond": 1.0000000001e100, "tiny": 1e-400, "NaN": "NaN"}
2026-01-31 23:59:30+00	1	[1, 2, {"n": 3}]
2026-01-31 23:59:30+00	1	7
2026-01-31 23:59:30+00	1	"n"
2026-01-31 23:59:30+00	1	null
2026-01-31 23:59:30+00	1	{}
2026-01-31 23:59:30+00	1	\N
2026-01-31 23:59:30+00	1	{"": 1, "n": 2, "ein Wort mit Umlaut äöü": 3, "quote \\" and \\\\": 4}
\.
INSERT INTO model_mgr.observation (recorded_at, version_id, metrics) SELECT '2026-01-31 23:59:30+00', 1, jsonb_build_object(repeat('k', 300), 1, repeat('k', 255), 2, repeat('ä', 128), 3);
INSERT INTO model_mgr.observation (recorded_at, version_id, metrics) SELECT '2026-01-31 23:59:30+00', 2, jsonb_object_agg('name ' || i, i) FROM generate_series(1, 3000) i;
INSERT INTO model_mgr.observation (recorded_at, version_id, metrics) SELECT '2026-01-31 23:59:40+00', 2, jsonb_build_object('one more ' || i, i) FROM generate_series(1, 3000) i;
SELECT results_eq($$SELECT metric_name, count, sum FROM model_mgr.rollup_metric_now WHERE version_id = 1 ORDER BY metric_name COLLATE "C"$$,
    $$VALUES ('edge', 1::bigint, 1e100::float8), ('ein Wort mit Umlaut äöü', 1, 3), (repeat('k', 255), 1, 2), ('n', 2, 3), ('quote " and \', 1, 4), ('tiny', 1, 0)$$, 'numbers only: pending');
SELECT is(pg_temp.fold(), 3011::bigint, 'the fold takes the rows');
SELECT results_eq($$SELECT metric_name, count, sum FROM model_mgr.rollup_metric_now WHERE version_id = 1 ORDER BY metric_name COLLATE "C"$$,
    $$VALUES ('edge', 1::bigint, 1e100::float8), ('ein Wort mit Umlaut äöü', 1, 3), (repeat('k', 255), 1, 2), ('n', 2, 3), ('quote " and \', 1, 4), ('tiny', 1, 0)$$, 'numbers only: folded');
SELECT is((SELECT count(*) FROM model_mgr.rollup_metric_minute WHERE version_id = 2), 1000::bigint, 'a thousand names a row of the rollups');
-- The earliest time that there is.
SELECT throws_ok($$INSERT INTO model_mgr.observation (recorded_at, version_id) VALUES ('4714-11-24 00:00:00+00 BC', 1)$$, '23514', NULL, 'times that have no minute do not get in');
INSERT INTO model_mgr.observation (recorded_at, version_id) VALUES ('4713-01-01 00:00:00+00 BC', 1), ('294276-12-31 23:59:59+00', 1);
SELECT is(pg_temp.fold(), 2::bigint, 'the first and the last moment fold');
SELECT lives_ok($$SELECT model_mgr.maintenance_run('hours'), count(*) FROM model_mgr.maintenance_tasks()$$, 'and keep nothing from being maintained');

-- Sizes: four summaries of a hundred requests.
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, output_tokens)
SELECT '2026-01-31 22:00:30+00', 3, true, exp(sin(i * 7) * 2), 0.5 + 0.5 * sin(i * 3), 0.01 * exp(cos(i * 5)), 50 + i * 17 % 900 FROM generate_series(1, 100) i;
SELECT pg_temp.fold() AS folded \gset
SELECT is(requests, 100::bigint, 'a hundred requests'), cmp_ok(pg_column_size(r.*), '<=', 1500, 'in a row of at most 1.5 kB') FROM model_mgr.rollup_minute r WHERE version_id = 3;

-- Nothing deletes observations: partitions are dropped, the default one is drained.
CREATE TRIGGER no_delete BEFORE DELETE ON model_mgr.observation FOR EACH ROW EXECUTE FUNCTION public.no_delete();
ALTER TABLE model_mgr.observation_default DISABLE TRIGGER no_delete;
SELECT pg_temp.at('');
INSERT INTO model_mgr.observation (recorded_at, version_id) SELECT now() - i * interval '1 day', 1 FROM generate_series(0, 5) i;
INSERT INTO model_mgr.metric_sample (sampled_at, version_id, metric_name, value) SELECT now() - i * interval '1 day', 1, 'x', 1 FROM unnest(ARRAY[0, 3, 100]) i;
CALL model_mgr.maintain();
SELECT is((SELECT count(DISTINCT tableoid) FROM model_mgr.observation WHERE recorded_at > now() - interval '10 days') > 3, true, 'drained into partitions');
SELECT is((SELECT count(*) FROM model_mgr.metric_sample), 2::bigint, 'of reported values what is past retention is gone');
SELECT is((SELECT count(*) FROM pg_inherits WHERE inhparent = 'model_mgr.metric_sample'::regclass), 9::bigint, 'a week ahead, the day that is over, the default');
SELECT is((SELECT count(*) FROM pg_inherits i WHERE inhparent = 'model_mgr.metric_sample'::regclass AND (SELECT count(*) FROM pg_index x WHERE x.indrelid = i.inhrelid) <> 2), 0::bigint, 'two indexes each');
SET model_mgr.retention_days = 2;
CALL model_mgr.maintain();
SELECT is((SELECT count(*) FROM model_mgr.observation WHERE recorded_at < date_trunc('day', now()) - interval '2 days'), 0::bigint, 'partitions past retention are dropped without a DELETE');
SELECT is((SELECT count(*) FROM model_mgr.metric_sample), 1::bigint, 'those of reported values too');
DROP TRIGGER no_delete ON model_mgr.observation;
DROP FUNCTION public.no_delete;
SELECT finish();
