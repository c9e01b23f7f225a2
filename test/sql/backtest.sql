-- backtest_thresholds() and backtest_rollout(): the past, judged again. What was live first is compared with what the
-- backtest of the same window says: the same alerts, steps and rollbacks at the same times.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2025-12-31 23:00:00+00');
SELECT pg_temp.make_model('live', '1', '2');
SELECT count(model_mgr.deploy_model_version('live', v, 'replace', auto_rollback_enabled => false, rollout => '{"bake_seconds": 0}')) FROM unnest('{1,2}'::text[]) v;
SELECT count(*) FROM model_mgr.tick() \g /dev/null
-- minute: a minute later, outcomes of a version come in and the clock ticks.
CREATE FUNCTION pg_temp.minute(minute integer, model text, version text, n integer, good integer, seconds float8 DEFAULT 0.5) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => minute))::text);
    PERFORM pg_temp.outcomes(model, version, n, good, seconds);
    PERFORM model_mgr.tick();
END $$;
-- fired: alerts as the model's table has them, and as a backtest tells them.
CREATE FUNCTION pg_temp.fired(model text) RETURNS TABLE (fired_at timestamptz, metric_name text, threshold_value float8, version text, started_at timestamptz, resolved_at timestamptz) LANGUAGE sql AS $$
    SELECT a.fired_at, a.metric_name, a.threshold_value, a.version, a.started_at, a.resolved_at FROM model_mgr.alert a
    WHERE a.model_name = model AND a.fired_at IS NOT NULL AND a.kind IN ('threshold', 'no_data');
$$;
CREATE FUNCTION pg_temp.told(model text, thresholds jsonb, since timestamptz) RETURNS TABLE (fired_at timestamptz, metric_name text, threshold_value float8, version text, started_at timestamptz, resolved_at timestamptz) LANGUAGE sql AS $$
    SELECT b.time, b.metric_name, b.limit_value, substring(b.detail FROM 'version (\S+):'),
           substring(b.detail FROM 'in breach since ([-0-9]+ [0-9:]+\+00)')::timestamptz, substring(b.detail FROM 'resolved ([-0-9]+ [0-9:]+\+00)')::timestamptz
    FROM model_mgr.backtest_thresholds(model, thresholds, since) b WHERE b.kind = 'alert';
$$;

-- The two thresholds that everybody begins with, on an incident that takes the version back.
SELECT is(model_mgr.set_thresholds('live', jsonb_build_array(
    model_mgr.performance_threshold('success_rate', 0.95, 'less_than', severity => 'critical', duration_minutes => 10, action => 'rollback'),
    model_mgr.performance_threshold('avg_response_time', 5.0, 'greater_than', severity => 'warning', duration_minutes => 15, action => 'alert'))), 2, 'two thresholds');
SELECT count(pg_temp.minute(m, 'live', '2', 100, 95)) FROM generate_series(1, 2) m;
SELECT count(pg_temp.minute(m, 'live', '2', 100, 94)) FROM generate_series(3, 4) m;
SELECT count(pg_temp.minute(5, 'live', '2', 100, 95));
SELECT count(pg_temp.minute(m, 'live', '2', 100, 94, 5.5)) FROM generate_series(6, 16) m;
SELECT count(pg_temp.minute(m, 'live', '1', 100, 99, 5.5)) FROM generate_series(17, 40) m;
SELECT count(pg_temp.minute(m, 'live', '1', 100, 99)) FROM generate_series(41, 60) m;
SELECT set_eq($$SELECT * FROM pg_temp.told('live', model_mgr.get_thresholds('live'), '2026-01-01 00:00:00+00')$$, $$SELECT * FROM pg_temp.fired('live')$$, 'exactly the alerts of the live run');
SELECT results_eq($$SELECT time, kind, metric_name, value, limit_value, traffic_percentage, requests_affected FROM model_mgr.backtest_thresholds('live', model_mgr.get_thresholds('live'))$$,
    $$VALUES (timestamptz '2026-01-01 00:16:00+00', 'alert', 'success_rate', 0.94::float8, 0.95::float8, 100::float8, 66::bigint),
             ('2026-01-01 00:16:00+00', 'rollback', 'success_rate', 0.94, 0.95, 100, 66),
             ('2026-01-01 00:32:00+00', 'alert', 'avg_response_time', 5.5, 5, 100, 1600)$$, 'their numbers: 11 minutes of 6 failures, 16 minutes of slow requests');

-- Other rules on the same past. A rollback that history does not show takes the version out of the looks.
SELECT results_eq($$SELECT time, kind, detail ~ 'the version serves no more' FROM model_mgr.backtest_thresholds('live', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', duration_minutes => 0, action => 'rollback')))$$,
    $$VALUES (timestamptz '2026-01-01 00:03:00+00', 'alert', true), ('2026-01-01 00:03:00+00', 'rollback', false)$$, 'once, at the first bad minute');
SELECT results_eq($$SELECT time, kind FROM model_mgr.backtest_thresholds('live', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', duration_minutes => 0)))$$,
    $$VALUES (timestamptz '2026-01-01 00:03:00+00', 'alert'), ('2026-01-01 00:06:00+00', 'alert')$$, 'twice where nothing is taken back');
SELECT is((SELECT detail FROM model_mgr.backtest_thresholds('live', jsonb_build_array(model_mgr.performance_threshold('p95_response_time', 5, '>', duration_minutes => 20)), until => '2026-01-01 00:38:00+00')) ~ 'still firing 2026-01-01 00:38:00', true, 'an end that is not known is said');
SELECT is_empty($$SELECT * FROM model_mgr.backtest_thresholds('live', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.5, '<', duration_minutes => 0)))$$, 'a rule that nothing breaks');

-- At random: eight rules with all words, versions that come and go; live, then again.
SELECT pg_temp.at('2026-01-01 02:00:00+00');
SELECT pg_temp.make_model('wild', '1', '2');
SELECT count(model_mgr.deploy_model_version('wild', v, 'replace', auto_rollback_enabled => false, rollout => '{"bake_seconds": 0}')) FROM unnest('{1,2}'::text[]) v;
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT model_mgr.set_thresholds('wild', (SELECT jsonb_agg(model_mgr.performance_threshold(m, v, o, 'info', d, 'alert', n)) FROM (VALUES
    ('success_rate', 0.9, '<', 0, 'hold'), ('success_rate', 0.8, '<=', 2, 'ok'), ('success_rate', 0.95, '<', 4, 'breach'), ('avg_response_time', 1, '>', 3, 'breach'),
    ('p95_response_time', 1.5, '>=', 1, 'ok'), ('error_rate', 0, '<>', 0, 'hold'), ('requests_per_minute', 10, '<', 2, 'breach'), ('requests_per_minute', 20, '=', 0, 'ok')) x (m, v, o, d, n)));
SELECT setseed(0.7);
CREATE FUNCTION pg_temp.wild(minute integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n integer := CASE WHEN random() < 0.15 THEN 0 ELSE (5 + random() * 20)::integer END;
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-01-01 02:00:00+00' + make_interval(mins => minute))::text);
    PERFORM pg_temp.outcomes('wild', '2', n, (n * (1 - random() * random() * 0.5))::integer, 0.5 + random(), CASE WHEN random() < 0.3 AND n > 0 THEN 1 ELSE 0 END);
    PERFORM pg_temp.outcomes('wild', '1', 5, 2);
    PERFORM model_mgr.tick();
END $$;
SELECT count(pg_temp.wild(m)) FROM generate_series(1, 180) m;
SELECT cmp_ok((SELECT count(*) FROM pg_temp.fired('wild')), '>', 40::bigint, 'many alerts');
SELECT set_eq($$SELECT * FROM pg_temp.told('wild', model_mgr.get_thresholds('wild'), '2026-01-01 02:00:00+00')$$, $$SELECT * FROM pg_temp.fired('wild')$$, 'all of them, and no other');
SET model_mgr.perf_monitor_interval_seconds = 300;
SELECT cmp_ok((SELECT count(*) FROM pg_temp.told('wild', model_mgr.get_thresholds('wild'), '2026-01-01 02:00:00+00')), '<', (SELECT count(*) FROM pg_temp.fired('wild')), 'longer windows are calmer');
-- Live with longer windows too.
SELECT count(*) FROM model_mgr.set_thresholds('wild', '[]');
DELETE FROM model_mgr.alert WHERE model_name = 'wild';
SELECT model_mgr.set_thresholds('wild', (SELECT jsonb_agg(model_mgr.performance_threshold(m, v, o, 'info', d, 'alert', n)) FROM (VALUES
    ('success_rate', 0.88, '<', 1, 'hold'), ('avg_response_time', 1, '>', 0, 'ok'), ('p95_response_time', 1.45, '>', 0, 'hold'), ('requests_per_minute', 12, '<', 2, 'ok'), ('error_rate', 0.02, '>', 0, 'hold')) x (m, v, o, d, n)));
SELECT count(pg_temp.wild(m)) FROM generate_series(181, 235) m;
SELECT cmp_ok((SELECT count(*) FROM pg_temp.fired('wild')), '>', 5::bigint, 'some alerts of longer windows');
SELECT set_eq($$SELECT * FROM pg_temp.told('wild', model_mgr.get_thresholds('wild'), '2026-01-01 05:00:00+00')$$, $$SELECT * FROM pg_temp.fired('wild')$$, 'the same alerts');
RESET model_mgr.perf_monitor_interval_seconds;

-- A rollout that was made: the same plan over the same time takes the same steps and ends in the same way.
CREATE FUNCTION pg_temp.canary(model text, bad_from integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at('2026-01-01 06:00:00+00');
    PERFORM pg_temp.make_model(model, '1', '2');
    PERFORM model_mgr.deploy_model_version(model, v, 'canary', rollout => '{"steps": [10, 50, 100], "step_seconds": 300, "min_requests": 50}') FROM unnest('{1,2}'::text[]) v;
    FOR i IN 1..30 LOOP
        PERFORM pg_temp.at((timestamptz '2026-01-01 06:00:00+00' + make_interval(mins => i))::text);
        IF pg_temp.state(model) ~ 'running|promoting|completed' THEN
            PERFORM pg_temp.outcomes(model, '2', 40, CASE WHEN i > bad_from THEN 35 ELSE 40 END);
        END IF;
        IF pg_temp.state(model) !~ 'promoting|completed' THEN
            PERFORM pg_temp.outcomes(model, '1', 100, 98);
        END IF;
        PERFORM pg_temp.tick();
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.made(model text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s', e.time, CASE WHEN e.what LIKE 'step %' THEN 'step' WHEN e.what LIKE 'automatically rolled back%' THEN 'rollback' ELSE 'complete' END)
    FROM model_mgr.explain_deployment(pg_temp.newest(model)) e WHERE e.what ~ '^(step [2-9]|automatically rolled back|completed)';
$$;
CREATE FUNCTION pg_temp.played(model text, version text, plan jsonb DEFAULT '{"steps": [10, 50, 100], "step_seconds": 300, "min_requests": 50}') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s', b.time, b.kind) FROM model_mgr.backtest_rollout(model, version, plan, since => '2026-01-01 06:00:00+00') b WHERE b.detail !~ '^step 1 of \d+: \d+ % of traffic';
$$;
SELECT pg_temp.canary('good', 99), pg_temp.canary('bad', 6);
SELECT results_eq($$SELECT pg_temp.made('good')$$, $$VALUES ('2026-01-01 06:05:00+00 step'), ('2026-01-01 06:10:00+00 step'), ('2026-01-01 06:15:00+00 complete')$$, 'a good version, live');
SELECT results_eq($$SELECT pg_temp.played('good', '2')$$, $$SELECT pg_temp.made('good')$$, 'and again');
SELECT is((SELECT count(*) FROM pg_temp.made('bad') m WHERE m ~ 'rollback'), 1::bigint, 'a bad one, live');
SELECT results_eq($$SELECT pg_temp.played('bad', '2')$$, $$SELECT pg_temp.made('bad')$$, 'and again');
SELECT results_eq($$SELECT b.value, b.limit_value FROM model_mgr.backtest_rollout('bad', '2', '{"steps": [10, 50, 100], "step_seconds": 300, "min_requests": 50}', since => '2026-01-01 06:00:00+00') b WHERE b.kind = 'rollback'$$,
    $$SELECT e.value, e.limit_value FROM model_mgr.explain_deployment(pg_temp.newest('bad')) e WHERE e.what LIKE 'automatically rolled back%'$$, 'on the same numbers');

-- A rollout that was never made: 2 replaced 1 at once and turns bad after six minutes. It would have been at its second step.
SELECT pg_temp.at('2026-01-01 08:00:00+00');
SELECT pg_temp.make_model('at_once', '1', '2');
SELECT count(model_mgr.deploy_model_version('at_once', v, 'replace', auto_rollback_enabled => false, rollout => '{"bake_seconds": 0}')) FROM unnest('{1,2}'::text[]) v;
SELECT pg_temp.tick();
SELECT count(pg_temp.minute(480 + m, 'at_once', '2', 100, CASE WHEN m > 6 THEN 60 ELSE 100 END)) FROM generate_series(1, 30) m;
CREATE TEMP TABLE found AS SELECT b.* FROM model_mgr.backtest_rollout('at_once', '2', '{"steps": [10, 20, 100], "step_seconds": 300, "min_requests": 20}', since => '2026-01-01 08:00:00+00') b;
SELECT results_eq('SELECT time, kind, metric_name, value, limit_value, traffic_percentage, requests_affected FROM found',
    $$VALUES (timestamptz '2026-01-01 08:00:00+00', 'step', 'success_rate', NULL::float8, 0.95::float8, 10::float8, 0::bigint),
             ('2026-01-01 08:05:00+00', 'step', 'success_rate', 1, 0.95, 20, 0), ('2026-01-01 08:07:00+00', 'rollback', 'success_rate', 1 - 8 / 90.0::float8, 0.95, 0, 8)$$,
    'rolled back at step 2, after 8 bad requests; as it was, 960 of them were served');
SELECT matches((SELECT detail FROM found WHERE kind = 'rollback'), '^step 2 of 3: success_rate is 0.9111 and the limit 0.95 over 90 samples in the last 10 minutes; by then it would have served 90 requests, 8 of them failed and 0 with an error$', 'in words');
SELECT matches((SELECT detail FROM found WHERE time = '2026-01-01 08:00:00+00'), 'with no version to compare with; assumed: each minute as recorded, counts scaled to the share', 'what is assumed is said');

-- Criteria, the guard, warm-up, start, approvals, deadlines; a history that ends before the rollout does.
SELECT results_eq($$SELECT kind, metric_name, value, limit_value FROM model_mgr.backtest_rollout('good', '2', '{"steps": [10, 50, 100], "step_seconds": 300, "min_requests": 50}', '{"p95_response_time": {"max": 0.4}}', '2026-01-01 06:00:00+00') WHERE kind = 'rollback'$$,
    $$VALUES ('rollback', 'p95_response_time', 0.5::float8, 0.4::float8)$$, 'a health criterion');
SELECT pg_temp.at('2026-01-01 10:00:00+00');
SELECT pg_temp.make_model('guarded', '1', '2');
SELECT count(model_mgr.deploy_model_version('guarded', v, 'canary', auto_rollback_enabled => false, rollout => '{"steps": [50, 100], "step_seconds": 36000}')) FROM unnest('{1,2}'::text[]) v;
SELECT count(pg_temp.minute(600 + m, 'guarded', '1', 100, 99)), count(pg_temp.outcomes('guarded', '2', 100, 96)) FROM generate_series(1, 20) m;
CREATE FUNCTION pg_temp.guarded(version text, plan jsonb) RETURNS TABLE (kind text, metric_name text, samples text) LANGUAGE sql AS $$
    SELECT b.kind, b.metric_name, b.detail FROM model_mgr.backtest_rollout('guarded', version, '{"steps": [50, 100], "step_seconds": 36000}' || plan, since => '2026-01-01 10:00:00+00') b ORDER BY b.time DESC LIMIT 1;
$$;
SELECT matches(g::text, '^\(rollback,success_rate,"step 1 of 2: the guard convicts it: success_rate is 0.96 beside 0.99 of version 1 \(margin 0.01\), p = 0.00\d+; by then it', 'the guard, where no limit is broken') FROM pg_temp.guarded('2', '{}') g;
SELECT matches(g::text, '^\(hold,success_rate,"not over: it waits for step_seconds;', v.version || v.plan) FROM (VALUES ('2', '{"guard": "off"}'), ('2', '{"guard_margin": {"success_rate": 0.04}}'), ('1', '{}')) v (version, plan), pg_temp.guarded(v.version, v.plan::jsonb) g;
SELECT is(g.kind, 'hold', 'three minutes are too few') FROM model_mgr.backtest_rollout('guarded', '2', '{"steps": [90, 100], "step_seconds": 36000}', since => '2026-01-01 10:00:00+00', until => '2026-01-01 10:03:00+00') g WHERE g.kind <> 'step';
SELECT matches((SELECT detail FROM model_mgr.backtest_rollout('at_once', '1', since => '2026-01-01 08:00:00+00') WHERE kind <> 'step'), '^not over: it waits for min_requests: 0 of 100 outcomes in this step', 'a version that has done nothing');
SELECT results_eq($$SELECT pg_temp.played('good', '2', '{"steps": [10, 50, 100], "step_seconds": 300, "min_requests": 50, "approval": "each_step", "warmup_seconds": 120}')$$,
    $$VALUES ('2026-01-01 06:05:00+00 step'), ('2026-01-01 06:10:00+00 step'), ('2026-01-01 06:15:00+00 complete')$$, 'approvals given at once, a warm-up that is long over');
SELECT results_eq($$SELECT time, kind FROM model_mgr.backtest_rollout('good', '2', '{"steps": [10, 100], "step_seconds": 60, "min_requests": 5, "start_at": "2026-01-01 06:02:30+00"}', since => '2026-01-01 06:00:00+00')$$,
    $$VALUES (timestamptz '2026-01-01 06:03:00+00', 'step'), ('2026-01-01 06:04:00+00', 'step'), ('2026-01-01 06:05:00+00', 'complete')$$, 'start_at, at the next look');
SELECT results_eq($$SELECT time, kind, detail ~ 'max_step_seconds is over' FROM model_mgr.backtest_rollout('at_once', '1', '{"max_step_seconds": 900, "on_timeout": "rollback"}', since => '2026-01-01 08:00:00+00') OFFSET 1$$,
    $$VALUES (timestamptz '2026-01-01 08:15:00+00', 'rollback', true)$$, 'a deadline');

-- Before what is kept by the minute: by the hour, and it says so; from there on by the minute.
SELECT pg_temp.at('2026-02-01 00:00:00+00');
SELECT pg_temp.make_model('old', '1', '2');
SELECT count(model_mgr.deploy_model_version('old', v, 'replace', auto_rollback_enabled => false, rollout => '{"bake_seconds": 0}')) FROM unnest('{1,2}'::text[]) v;
CREATE PROCEDURE pg_temp.hour(hours integer, good integer) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-02-01 00:30:00+00' + make_interval(hours => hours))::text);
    PERFORM pg_temp.outcomes('old', '2', 200, good);
    PERFORM model_mgr.tick();
END $$;
CALL pg_temp.hour(0, 200); CALL pg_temp.hour(1, 199); CALL pg_temp.hour(2, 198); CALL pg_temp.hour(3, 150); CALL pg_temp.hour(4, 200);
SELECT pg_temp.at('2026-02-15 00:00:00+00');
SELECT count(*) FROM model_mgr.tick() WHERE task = 'failures';
CREATE TEMP TABLE by_hour AS SELECT b.* FROM model_mgr.backtest_rollout('old', '2', '{"steps": [10, 20, 50, 100], "step_seconds": 300, "min_requests": 20}', since => '2026-02-01 00:00:00+00') b;
SELECT results_eq('SELECT time, kind, value, traffic_percentage, requests_affected FROM by_hour',
    $$VALUES (timestamptz '2026-02-01 00:00:00+00', 'step', NULL::float8, 10::float8, 0::bigint), ('2026-02-01 01:00:00+00', 'step', 1, 20, 0), ('2026-02-01 02:00:00+00', 'step', 1, 50, 0),
             ('2026-02-01 03:00:00+00', 'step', 0.99, 100, 1), ('2026-02-01 04:00:00+00', 'rollback', 0.75, 0, 51)$$, 'judged by the hour');
SELECT matches((SELECT detail FROM by_hour WHERE traffic_percentage = 10), '; looked at once an hour, over that hour, until 2026-02-08 00:00:00 UTC, since minutes before are no longer kept; nothing served yet$', 'and says so');
SELECT matches((SELECT detail FROM by_hour WHERE kind = 'rollback'), 'over 200 samples in the last 60 minutes', 'in its reason too');
SELECT results_eq($$SELECT time, kind FROM model_mgr.backtest_rollout('old', '2', '{"steps": [10, 20, 50, 100], "step_seconds": 300, "min_requests": 20}', since => '2026-02-01 00:00:00+00', until => '2026-02-01 02:30:00+00') OFFSET 2$$,
    $$VALUES (timestamptz '2026-02-01 02:00:00+00', 'step'), ('2026-02-01 02:00:00+00', 'hold')$$, 'whole hours');
-- By the minute where there are some again.
SELECT pg_temp.at('2026-02-14 12:00:00+00');
SELECT pg_temp.outcomes('old', '2', 200, 0);
SELECT pg_temp.tick();
SELECT results_eq($$SELECT time, kind FROM model_mgr.backtest_rollout('old', '2', '{"steps": [10, 100], "step_seconds": 2000000, "min_requests": 20}', '{}', '2026-02-01 03:30:00+00') OFFSET 1$$,
    $$VALUES (timestamptz '2026-02-14 12:00:00+00', 'rollback')$$, 'hours, and then minutes');
SELECT is_empty($$SELECT * FROM model_mgr.backtest_thresholds('old', '[{"metric_name": "success_rate", "threshold_value": 0.9, "operator": "less_than"}]', '2026-02-01', '2026-02-02')$$, 'thresholds are looked at by the minute, with a NOTICE where that begins');
SELECT pg_temp.at('2026-01-01 10:20:00+00');

-- Who looks at nothing sees nothing; bad arguments are those of set_thresholds() and deploy_model_version().
SELECT is_empty(format('SELECT * FROM model_mgr.%s', f), f) FROM unnest(ARRAY[$$backtest_thresholds('nobody', '[]')$$, $$backtest_thresholds('live', '[]')$$, $$backtest_rollout('nobody', '2')$$, $$backtest_rollout('live', 'none')$$, $$backtest_rollout('live', '@none')$$]) f;
SELECT is(pg_temp.code(format('SELECT * FROM model_mgr.backtest_%s', f)), state, f) FROM (VALUES
    ($$thresholds(NULL, '[]')$$, '22004'), ($$thresholds('live', NULL)$$, '22004'), ($$thresholds('live', '{}')$$, '22P02'), ($$thresholds('live', '[{}]')$$, '22023'),
    ($$thresholds('live', '[{"metric_name": "a", "threshold_value": 1, "operator": "almost"}]')$$, '22023'), ($$thresholds('live', '[]', 'infinity')$$, '22003'), ($$thresholds('live', '[]', NULL, '-infinity')$$, '22003'),
    ($$thresholds('live', '[]', '2026-01-02', '2026-01-01')$$, '22023'), ($$rollout(NULL, '2')$$, '22004'), ($$rollout('live', NULL)$$, '22004'), ($$rollout('live', '2', '[]')$$, '22P02'), ($$rollout('live', '2', '{"stepz": 1}')$$, '22023'),
    ($$rollout('live', '2', '{"steps": [50, 10, 100]}')$$, '22023'), ($$rollout('live', '2', '{"steps": [0, 100]}')$$, '22003'), ($$rollout('live', '2', '{}', '[]')$$, '22P02'), ($$rollout('live', '2', '{}', '{"cost": {}}')$$, '22023'),
    ($$rollout('live', '2', '{"test": {}}')$$, '22023'), ($$rollout('live', '2', NULL, NULL, '2026-01-02', '2026-01-01')$$, '22023'), ($$rollout('live', '2', NULL, NULL, '1900-01-01', '2900-01-01')$$, '00000')) x (f, state);
BEGIN READ ONLY;
SELECT cmp_ok((SELECT count(*) FROM model_mgr.backtest_rollout('good', '2'), model_mgr.backtest_thresholds('live', model_mgr.get_thresholds('live'))), '>', 0::bigint, 'in a transaction that may not write');
COMMIT;
SELECT * FROM finish();
