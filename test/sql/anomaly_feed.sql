-- The detectors that the tick feeds: alerts without any threshold, from complete minutes, each once, however the ticks come.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();

-- Minutes of so many requests each, noisy but the same each time; p: of 1,000 requests so many succeed; seconds: least response time.
CREATE FUNCTION pg_temp.traffic(name text, of_version text, since timestamptz, minutes integer, a_minute integer, p integer, seconds float8) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost)
    SELECT since + (i - 0.5) * interval '1 minute' / a_minute, v.version_id, abs(hashint8(i * 7 + v.version_id)) % 1000 < p,
           seconds * (1 + abs(hashint8(i * 11 + v.version_id)) % 1000 / 1000.0), 0.8 + abs(hashint8(i * 13 + v.version_id)) % 100 / 1000.0, 0.002
    FROM generate_series(1, minutes * a_minute) i, model_mgr.get_model_version(name, of_version) v;
$$;
-- A tick at a time; what the feed said.
CREATE FUNCTION pg_temp.feed(clock text) RETURNS bigint LANGUAGE sql AS $$
    SELECT set_config('model_mgr.clock', clock, false);
    SELECT items FROM model_mgr.tick() WHERE task = 'anomalies';
$$;
CREATE FUNCTION pg_temp.each_minute(since timestamptz, until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WHILE since < until LOOP
        since := since + interval '1 minute';
        PERFORM set_config('model_mgr.clock', since::text, false);
        PERFORM model_mgr.tick();
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.anomalies(name text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s %s fired %s resolved %s', a.version, a.metric_name, a.status, to_char(a.fired_at, 'DD HH24:MI'), coalesce(to_char(a.resolved_at, 'DD HH24:MI'), '-'))
    FROM model_mgr.alert a WHERE a.kind = 'anomaly' AND a.model_name = name ORDER BY a.alert_id;
$$;
-- As if no tick had fed anything.
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS $$
    DELETE FROM model_mgr.anomaly_state; DELETE FROM model_mgr.anomaly_feed; DELETE FROM model_mgr.alert; DELETE FROM model_mgr.alert_state;
$$;

SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model(m, '1', '2') FROM unnest('{quiet,few,shop}'::text[]) m;
SELECT count(model_mgr.deploy_model_version(m, '1')) FROM unnest('{quiet,few,shop}'::text[]) m;
SELECT pg_temp.at('2026-01-04 00:00:00+00');
SELECT pg_temp.traffic('quiet', '1', '2026-01-01 00:00:00+00', 3 * 1440, 20, 990, 0.5);
SELECT pg_temp.traffic('few', '1', '2026-01-01 00:00:00+00', 3 * 1440, 2, 990, 0.5);

-- Three days of noise wake nobody. Minutes without requests are none.
SELECT is(pg_temp.feed('2026-01-04 00:00:00+00'), 2 * 4 * 3 * 1440::bigint, 'every complete minute of every metric');
SELECT is_empty('SELECT pg_temp.anomalies(m) FROM unnest(''{quiet,few}''::text[]) m', 'three quiet days');
SELECT is(pg_temp.feed('2026-01-04 00:00:00+00'), 0::bigint, 'each once');
SELECT is(pg_temp.feed('2026-01-04 00:00:59.999+00'), 0::bigint, 'no minute before it is complete');
SELECT results_eq('SELECT DISTINCT length(state), fed_until FROM model_mgr.anomaly_state', $$VALUES (837, timestamptz '2026-01-04 00:00:00+00')$$, 'what is kept of it');
SELECT results_eq('SELECT metric_name FROM model_mgr.anomaly_state GROUP BY 1 HAVING count(*) = 2 ORDER BY 1',
    $$VALUES ('avg_response_time'), ('confidence_score'), ('cost_per_request'), ('success_rate')$$, 'of these metrics');

-- The success rate collapses for two hours; later the response time triples for half an hour.
SELECT pg_temp.traffic('shop', '1', '2026-01-04 00:00:00+00', 300, 20, 990, 0.5);
SELECT pg_temp.traffic('shop', '1', '2026-01-04 05:00:00+00', 120, 20, 600, 0.5);
SELECT pg_temp.traffic('shop', '1', '2026-01-04 07:00:00+00', 120, 20, 990, 0.5);
SELECT pg_temp.traffic('shop', '1', '2026-01-04 09:00:00+00', 30, 20, 990, 1.5);
SELECT pg_temp.traffic('shop', '1', '2026-01-04 09:30:00+00', 90, 20, 990, 0.5);
SELECT pg_temp.each_minute('2026-01-04 00:00:00+00', '2026-01-04 06:00:00+00');
SELECT results_eq($$SELECT pg_temp.anomalies('shop')$$, $$VALUES ('1 success_rate firing fired 04 05:02 resolved -')$$, 'an hour into the collapse: one alert, and nobody set a threshold');
SELECT results_eq($$SELECT a.severity, a.action, a.operator, a.threshold_value, a.current_value BETWEEN 0.3 AND 0.8, a.samples, a.started_at = a.fired_at, a.deployment_id,
        a.summary ~ '^success_rate of version 1 is 0\.[3-8]\d* where 0\.9\d* is usual$' FROM model_mgr.get_active_alerts() a$$,
    $$VALUES ('warning', NULL::text, NULL::text, NULL::float8, true, 20::bigint, true, NULL::bigint, true)$$, 'what it says');
SELECT results_eq($$SELECT (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(a.evidence) k), a.evidence->>'minute', (a.evidence->>'score')::float8 >= 1,
        (a.evidence->>'value')::float8 < 0.8, (a.evidence->>'expected')::float8 > 0.95, a.evidence->>'sensitivity', a.evidence->>'cause' IN ('level', 'jump', 'local')
    FROM model_mgr.alert a$$, $$VALUES ('cause expected minute samples score sensitivity value', '2026-01-04T05:01:00+00:00', true, true, true, '2', true)$$, 'and its evidence');
SELECT pg_temp.each_minute('2026-01-04 06:00:00+00', '2026-01-04 11:00:00+00');
CREATE TEMP TABLE stepped AS SELECT version_id, metric_name, state, fed_until, alert_since, untold FROM model_mgr.anomaly_state;
CREATE TEMP TABLE stepped_alerts AS SELECT model_name, version, metric_name, status, current_value, samples, summary, evidence FROM model_mgr.alert WHERE kind = 'anomaly';
SELECT is((SELECT count(*) FROM stepped_alerts), 2::bigint, 'one alert each, of the metric that was hit');
SELECT results_eq($$SELECT metric_name, to_char(fired_at, 'HH24:MI'), resolved_at - c.over BETWEEN '15 minutes' AND '45 minutes' FROM model_mgr.alert a
    JOIN (VALUES ('success_rate', timestamptz '2026-01-04 07:00:00+00'), ('avg_response_time', '2026-01-04 09:30:00+00')) c (metric_name, over) USING (metric_name) ORDER BY fired_at$$,
    $$VALUES ('success_rate', '05:02', true), ('avg_response_time', '09:02', true)$$, 'resolved once a quarter of an hour was quiet, and not while it lasted');

-- The same minutes in one go, and in uneven portions: the same states to the bit, the same alerts.
SELECT pg_temp.forget();
SELECT is(pg_temp.feed('2026-01-04 11:00:00+00'), (2 * 4 * 3 * 1440 + 4 * 660)::bigint, 'all again in one go');
SELECT set_eq('SELECT version_id, metric_name, state, fed_until, alert_since, untold FROM model_mgr.anomaly_state', 'TABLE stepped', 'the same states');
SELECT set_eq('SELECT model_name, version, metric_name, status, current_value, samples, summary, evidence FROM model_mgr.alert WHERE kind = ''anomaly''', 'TABLE stepped_alerts', 'the same alerts');
SELECT pg_temp.forget();
SELECT sum(pg_temp.feed(t)) FROM unnest('{2026-01-02 13:00:30+00,2026-01-04 05:01:00+00,2026-01-04 05:30:00+00,2026-01-04 07:08:00+00,2026-01-04 09:01:59+00,2026-01-04 11:00:00+00}'::text[]) t;
SELECT set_eq('SELECT version_id, metric_name, state, fed_until, alert_since, untold FROM model_mgr.anomaly_state', 'TABLE stepped', 'in portions: the same states');
SELECT set_eq('SELECT model_name, version, metric_name, status, current_value, samples, summary, evidence FROM model_mgr.alert WHERE kind = ''anomaly''', 'TABLE stepped_alerts', 'in portions: the same alerts');

-- A tick that is rolled back has fed nothing.
SELECT pg_temp.forget();
BEGIN;
SELECT pg_temp.feed('2026-01-04 06:00:00+00');
ROLLBACK;
SELECT is_empty('SELECT FROM model_mgr.anomaly_state', 'rolled back');
SELECT pg_temp.feed('2026-01-04 06:00:00+00');
SELECT pg_temp.feed('2026-01-04 11:00:00+00');
SELECT set_eq('SELECT version_id, metric_name, state, fed_until, alert_since, untold FROM model_mgr.anomaly_state', 'TABLE stepped', 'after that: the same states');

-- A state that is damaged, of another format, or cut off begins anew with the minutes that are kept: here, all of them.
UPDATE model_mgr.anomaly_state s SET state = CASE metric_name WHEN 'success_rate' THEN set_byte(state, 0, 7) WHEN 'avg_response_time' THEN substr(state, 1, 757)
    WHEN 'confidence_score' THEN '' ELSE state END;
SELECT is(pg_temp.feed('2026-01-04 11:30:00+00'), 0::bigint, 'no minute, no repair');
SELECT pg_temp.traffic(m, '1', '2026-01-04 11:30:00+00', 1, 20, 990, 0.5) FROM unnest('{quiet,few,shop}'::text[]) m;
SELECT cmp_ok(pg_temp.feed('2026-01-04 11:31:00+00'), '>', 12::bigint, 'fed again');
CREATE TEMP TABLE mended AS SELECT version_id, metric_name, state, fed_until FROM model_mgr.anomaly_state;
SELECT pg_temp.forget();
SELECT pg_temp.feed('2026-01-04 11:31:00+00');
SELECT set_eq('SELECT version_id, metric_name, state, fed_until FROM model_mgr.anomaly_state', 'TABLE mended', 'as if nothing had been damaged');
SELECT is((SELECT count(*) FROM model_mgr.alert WHERE kind = 'anomaly'), 2::bigint, 'alerts of then come with a feed from the beginning');

-- What comes late is not fed: neither a minute that was fed and grows, nor one before it.
CREATE TEMP TABLE before AS SELECT version_id, metric_name, state FROM model_mgr.anomaly_state;
SELECT pg_temp.traffic('quiet', '1', '2026-01-04 11:30:00+00', 1, 5, 0, 5);
SELECT pg_temp.traffic('quiet', '1', '2026-01-04 11:20:00+00', 1, 5, 0, 5);
SELECT is(pg_temp.feed('2026-01-04 11:31:30+00'), 0::bigint, 'late');
SELECT set_eq('SELECT version_id, metric_name, state FROM model_mgr.anomaly_state', 'TABLE before', 'and leaves no trace');

-- A wider band never tells more, a very wide one nothing.
CREATE FUNCTION pg_temp.told(sensitivity text) RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_temp.forget();
    SELECT set_config('model_mgr.perf_monitor_anomaly_sensitivity', sensitivity, false);
    SELECT pg_temp.feed('2026-01-04 11:31:00+00');
    SELECT count(*) FROM model_mgr.alert WHERE kind = 'anomaly';
$$;
CREATE TEMP TABLE told (sensitivity float8, alerts bigint);
INSERT INTO told SELECT s, pg_temp.told(s::text) FROM unnest('{0.5,1,2,4,1000}'::float8[]) s;
SELECT is_empty('SELECT FROM told a JOIN told b ON a.sensitivity < b.sensitivity AND a.alerts < b.alerts', 'a wider band tells no more');
SELECT is((SELECT alerts FROM told WHERE sensitivity = 1000), 0::bigint, 'a very wide one nothing');
SELECT cmp_ok((SELECT alerts FROM told WHERE sensitivity = 0.5), '>', 2::bigint, 'a very narrow one more');
RESET model_mgr.perf_monitor_anomaly_sensitivity;

-- A rollout moves nine tenths of the traffic and back: no version is worse for it.
SELECT pg_temp.forget();
SELECT pg_temp.make_model('moved', '1', '2');
SELECT pg_temp.traffic('moved', '1', '2026-01-04 00:00:00+00', 600, 100, 950, 0.5);
SELECT pg_temp.traffic('moved', '2', '2026-01-04 00:00:00+00', 600, 10, 950, 0.5);
SELECT pg_temp.traffic('moved', '1', '2026-01-04 10:00:00+00', 400, 10, 950, 0.5);
SELECT pg_temp.traffic('moved', '2', '2026-01-04 10:00:00+00', 400, 100, 950, 0.5);
SELECT pg_temp.feed('2026-01-04 16:40:00+00');
SELECT is_empty($$SELECT pg_temp.anomalies('moved')$$, 'shares alone are no anomaly');

-- A clock set back: minutes of models that were not fed then are found; a detector ahead of the clock begins anew.
SELECT pg_temp.make_model('past', '1');
SELECT pg_temp.traffic('past', '1', '2026-01-02 00:00:00+00', 60, 10, 990, 0.5);
SELECT pg_temp.traffic('quiet', '1', '2026-01-02 00:59:30+00', 1, 5, 990, 0.5);
SELECT is(pg_temp.feed('2026-01-04 16:41:00+00'), 0::bigint, 'late for this clock');
SELECT cmp_ok(pg_temp.feed('2026-01-02 01:00:00+00'), '>=', 240::bigint, 'set back');
SELECT results_eq($$SELECT s.metric_name, s.fed_until FROM model_mgr.anomaly_state s JOIN model_mgr.model_version v USING (version_id) WHERE v.model_name IN ('past', 'quiet') GROUP BY 1, 2 ORDER BY 1$$,
    $$VALUES ('avg_response_time', timestamptz '2026-01-02 01:00:00+00'), ('confidence_score', '2026-01-02 01:00:00+00'), ('cost_per_request', '2026-01-02 01:00:00+00'), ('success_rate', '2026-01-02 01:00:00+00')$$,
    'fed up to the clock');
SELECT is(pg_temp.feed('2026-01-02 01:00:00+00'), 0::bigint, 'once');

-- Forth and back again: what it has seen already it is not fed again.
CREATE TEMP TABLE past AS SELECT s.* FROM model_mgr.anomaly_state s JOIN model_mgr.model_version v USING (version_id) WHERE v.model_name = 'past';
SELECT cmp_ok(pg_temp.feed('2026-01-04 16:41:00+00'), '>', 0::bigint, 'forth');
SELECT cmp_ok(pg_temp.feed('2026-01-02 02:00:00+00'), '>', 0::bigint, 'and back');
SELECT set_eq($$SELECT s.* FROM model_mgr.anomaly_state s JOIN model_mgr.model_version v USING (version_id) WHERE v.model_name = 'past'$$, 'TABLE past', 'not twice');

-- More minutes than one reading takes.
SELECT pg_temp.forget();
DELETE FROM model_mgr.rollup_minute;
SELECT pg_temp.make_model('wide', VARIADIC ARRAY(SELECT i::text FROM generate_series(1, 31) i));
INSERT INTO model_mgr.rollup_minute SELECT r.*
FROM generate_series(0, 1439) m, model_mgr.list_model_versions('wide') v, jsonb_populate_record(NULL::model_mgr.rollup_minute, jsonb_build_object('bucket', timestamptz '2026-01-03 00:00:00+00' + m * interval '1 minute',
    'version_id', v.version_id, 'deployment_id', 0, 'step', 0, 'test_no', 0, 'arm', -1, 'requests', 10, 'known', 10, 'successes', 10 - abs(hashint8(m)) % 2, 'errors', 0,
    'response_time_count', 10, 'response_time_sum', 10 + abs(hashint8(m + v.version_id)) % 5, 'confidence_count', 0, 'confidence_sum', 0, 'cost_count', 0, 'cost_sum', 0,
    'input_tokens_count', 0, 'input_tokens_sum', 0, 'output_tokens_count', 0, 'output_tokens_sum', 0, 'last_at', timestamptz '2026-01-03 00:00:30+00' + m * interval '1 minute')) r;
SELECT is(pg_temp.feed('2026-01-04 00:00:00+00'), (31 * 1440 * 2)::bigint, 'in several readings, none lost or twice');
SELECT results_eq('SELECT count(*), min(fed_until), max(fed_until) FROM model_mgr.anomaly_state', $$VALUES (62::bigint, timestamptz '2026-01-04 00:00:00+00', timestamptz '2026-01-04 00:00:00+00')$$,
    'metrics without values have no stream');

-- One model's alert that cannot be written: the others are, and it is as soon as it can be.
SELECT pg_temp.forget();
DELETE FROM model_mgr.rollup_minute;
SELECT pg_temp.make_model(m, '1') FROM unnest('{a,b}'::text[]) m;
SELECT pg_temp.traffic(m, '1', '2026-01-05 00:00:00+00', 200, 20, 990, 0.5), pg_temp.traffic(m, '1', '2026-01-05 03:20:00+00', 40, 20, 300, 0.5) FROM unnest('{a,b}'::text[]) m;
CREATE FUNCTION pg_temp.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken' USING detail = 'on purpose'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON model_mgr.alert FOR EACH ROW WHEN (NEW.model_name = 'a') EXECUTE FUNCTION pg_temp.broken();
SELECT pg_temp.at('2026-01-05 03:25:00+00');
SELECT results_eq($$SELECT task, items FROM model_mgr.tick() WHERE task IN ('anomalies', 'failures')$$, $$VALUES ('anomalies', (2 * 4 * 205)::bigint), ('failures', 2)$$, 'fed, and two tries failed');
SELECT is_empty($$SELECT pg_temp.anomalies('a')$$, 'not written');
SELECT results_eq($$SELECT pg_temp.anomalies('b')$$, $$VALUES ('1 success_rate firing fired 05 03:25 resolved -')$$, 'the other is');
DROP TRIGGER broken ON model_mgr.alert;
SELECT results_eq($$SELECT task, items FROM model_mgr.tick() WHERE task IN ('anomalies', 'failures')$$, $$VALUES ('anomalies', 0::bigint)$$, 'nothing new to feed');
SELECT results_eq($$SELECT pg_temp.anomalies('a')$$, $$VALUES ('1 success_rate firing fired 05 03:25 resolved -')$$, 'written now');
SELECT is((SELECT (a.evidence->>'minute')::timestamptz FROM model_mgr.alert a WHERE a.model_name = 'a'), (SELECT (a.evidence->>'minute')::timestamptz FROM model_mgr.alert a WHERE a.model_name = 'b'), 'with the same evidence');
-- Traffic stops: nothing is left of the incident but time.
SELECT pg_temp.feed('2026-01-05 04:14:59+00');
SELECT is((SELECT count(*) FROM model_mgr.get_active_alerts()), 2::bigint, 'still firing a quarter of an hour after the last sign');
-- A quiet version's alert ends too when its state is lost: nothing else would ever come by.
UPDATE model_mgr.anomaly_state s SET state = '\x00' FROM model_mgr.model_version v WHERE v.version_id = s.version_id AND v.model_name = 'a' AND s.metric_name = 'success_rate';
SELECT pg_temp.feed('2026-01-05 04:15:00+00');
SELECT is((SELECT count(*) FROM model_mgr.get_active_alerts()), 0::bigint, 'then over');

-- Streams of a version that is deleted go when an hour is over.
SELECT pg_temp.make_model('gone', '1');
SELECT pg_temp.traffic('gone', '1', '2026-01-05 04:20:00+00', 10, 5, 990, 0.5);
SELECT is(pg_temp.feed('2026-01-05 04:30:00+00'), 40::bigint, 'a version that is served by nobody''s order');
SELECT model_mgr.delete_model('gone');
SELECT pg_temp.traffic('a', '1', '2026-01-05 04:30:00+00', 60, 5, 990, 0.5);
SELECT pg_temp.feed('2026-01-05 05:30:00+00');
SELECT is_empty('SELECT FROM model_mgr.anomaly_state s WHERE NOT EXISTS (SELECT FROM model_mgr.model_version v WHERE v.version_id = s.version_id)', 'gone');
SELECT * FROM finish();
