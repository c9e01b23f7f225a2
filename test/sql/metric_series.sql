-- metric_series and metric_matrix: views over everything that is kept, each bucket once, whatever it is kept in; a filter on
-- time reaches the indexes.
\i test/fresh.psql
\i test/rollout.psql
\i test/metric.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
SELECT pg_temp.make_model('other', '1');
SELECT version FROM model_mgr.deploy_model_version('m', '1');
SELECT pg_temp.traffic(1, 1500, '2026-01-10 12:00:00+00', '60.1 s');
SELECT pg_temp.traffic(2, 200, '2026-01-10 12:00:00+00', '400 s');
SELECT pg_temp.traffic(3, 50, '2026-01-10 12:00:00+00', '100 s');
SELECT model_mgr.record_performance('m', '2', '{"accuracy": 0.5}', '2026-01-10 11:10:30+00');
-- of a minute in which a request told
SELECT model_mgr.record_performance('m', '2', '{"error_rate": 0.5}', '2026-01-10 12:00:00+00');
CREATE FUNCTION pg_temp.differs(version_id bigint, since timestamptz, until timestamptz, width interval) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s at %s: %s of %s, truly %s of %s', coalesce(t.metric_name, s.metric_name), coalesce(t.slot, s.time), s.value, s.samples, t.value, t.samples), '; '), '')
    FROM (SELECT s.* FROM model_mgr.metric_series s JOIN model_mgr.model_version v ON v.model_name = s.model_name AND v.version = s.version
          WHERE v.version_id = differs.version_id AND s.time >= since AND s.time < until AND s.metric_name <> 'accuracy') s
    FULL JOIN pg_temp.truth(version_id, since, until, width) t ON t.metric_name = s.metric_name AND t.slot = s.time
    WHERE s.samples IS DISTINCT FROM t.samples OR NOT pg_temp.same(t.metric_name, s.value, t.value)
$$;
SELECT is(pg_temp.differs(v, '2026-01-08 12:00:00+00', '2026-01-10 12:00:00+00', '1 min'), '', 'not folded: every minute once') FROM generate_series(1, 3) v;
SELECT pg_temp.fold() > 0 AS folded;
SELECT is(pg_temp.differs(v, '2026-01-08 12:00:00+00', '2026-01-10 12:00:00+00', '1 min'), '', 'folded: every minute once') FROM generate_series(1, 3) v;
SELECT count(*) > 0 AS ticked FROM model_mgr.tick();
SELECT is(pg_temp.differs(v, '2026-01-08 12:00:00+00', '2026-01-10 12:00:00+00', '1 min'), '', 'in the hours too: still once') FROM generate_series(1, 3) v;
-- Minutes are kept for six hours: the hours before are shown as such.
SET model_mgr.perf_monitor_retention_hours = 6;
DELETE FROM model_mgr.rollup_minute WHERE bucket < '2026-01-10 06:00:00+00';
DELETE FROM model_mgr.rollup_metric_minute WHERE bucket < '2026-01-10 06:00:00+00';
SELECT model_mgr.metric_minutes_since() AS border \gset
SELECT ok(:'border'::timestamptz BETWEEN '2026-01-10 06:00:00+00' AND '2026-01-10 07:00:00+00', 'minutes from about six hours ago on');
SELECT is(pg_temp.differs(v, :'border', '2026-01-10 12:00:00+00', '1 min'), '', 'minutes where they are kept') FROM generate_series(1, 3) v;
SELECT is(pg_temp.differs(v, '2026-01-08 12:00:00+00', :'border', '1 hour'), '', 'hours before') FROM generate_series(1, 3) v;
SELECT pg_temp.traffic(1, 20, '2026-01-10 12:00:00+00', '59 min');
SELECT is(pg_temp.differs(1, '2026-01-08 12:00:00+00', :'border', '1 hour'), '', 'late rows that are not folded yet count in their hour');
SELECT is(pg_temp.differs(1, :'border', '2026-01-10 12:00:00+00', '1 min'), '', 'or minute');
RESET model_mgr.perf_monitor_retention_hours;
SELECT results_eq($$SELECT time, model_name, version, metric_name, value, samples FROM model_mgr.metric_series WHERE metric_name = 'accuracy'$$,
    $$VALUES ('2026-01-10 11:10:30+00'::timestamptz, 'm', '2', 'accuracy', 0.5::float8, 1::bigint)$$, 'what was reported has its own time');
SELECT is(count(*), 1::bigint, 'and is silent where requests told') FROM model_mgr.metric_series WHERE metric_name = 'error_rate' AND version = '2' AND time >= '2026-01-10 11:59:00+00';

-- Plans.
CREATE FUNCTION pg_temp.plan(filter text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) SELECT * FROM model_mgr.metric_series WHERE ' || filter LOOP RETURN NEXT line; END LOOP;
END $$;
SELECT is(array_agg(p), '{Result,"  One-Time Filter: false"}', 'WHERE 1 <> 1 reads nothing') FROM pg_temp.plan('1 <> 1') p;
ANALYZE model_mgr.rollup_minute;
SELECT ok(bool_or(p ~ 'Index Cond: .*bucket >= .*2026-01-10 11:30') AND NOT bool_or(p ~ 'Seq Scan on rollup_minute'), 'a filter on time reaches the index of the minutes')
FROM pg_temp.plan($$time >= '2026-01-10 11:30:00+00'$$) p;

SET enable_seqscan = off;
SELECT is(count(*) FILTER (WHERE p ~ 'Index Cond: .*version_id = v.version_id.*bucket >= .*2026-01-10 11:30'), 4::bigint, 'a filter on the model reaches the indexes of minutes and hours, custom metrics'' too')
FROM pg_temp.plan($$model_name = 'm' AND time >= '2026-01-10 11:30:00+00'$$) p;
RESET enable_seqscan;
-- The matrix: one cell a metric and version, the last 24 hours.
SELECT is_empty($$SELECT metric_name FROM model_mgr.metric_matrix GROUP BY model_name, metric_name, version HAVING count(*) > 1$$, 'one cell a metric and version');
SELECT is_empty($$SELECT * FROM model_mgr.metric_matrix m FULL JOIN (SELECT v.model_name, v.version, c.metric_name, c.value FROM model_mgr.model_version v, model_mgr.get_current_metrics(v.model_name, v.version, 1440) c) c
    USING (model_name, version, metric_name) WHERE m.value IS DISTINCT FROM c.value$$, 'the values of the last 24 hours');
SELECT is(array_agg(DISTINCT version ORDER BY version), '{1,2}', 'of the versions that have any') FROM model_mgr.metric_matrix WHERE model_name = 'm';
SELECT metric_name, version, round(value::numeric, 3) AS value FROM model_mgr.metric_matrix WHERE model_name = 'm' AND metric_name ~ '^(success|error|accuracy)' ORDER BY version, metric_name DESC \crosstabview metric_name version value
SELECT * FROM finish();
