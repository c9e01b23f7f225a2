-- What is judged beside the limits: the guard, health_criteria and the sample ratio, in every status that is judged; each
-- decision replayed from its evidence.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
-- A model whose 2 is a canary begun at midnight, whose limits break at nothing that these tests do.
CREATE FUNCTION pg_temp.canary(name text, plan jsonb DEFAULT '{}', health jsonb DEFAULT '{}', automatic boolean DEFAULT true) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at('2026-01-01 00:00:00+00');
    PERFORM pg_temp.make_model(name, '1', '2');
    PERFORM model_mgr.deploy_model_version(name, '1');
    RETURN (model_mgr.deploy_model_version(name, '2', rollout => '{"steps": [50, 100], "min_requests": 100}' || plan, health_criteria => health,
        auto_rollback_enabled => automatic, rollback_min_success_rate => 0.3, rollback_threshold_error_rate => 1,
        rollback_threshold_response_time => 1000)).deployment_id;
END $$;
CREATE FUNCTION pg_temp.version_id(name text, which text) RETURNS bigint LANGUAGE sql AS $$
    SELECT version_id FROM model_mgr.get_model_version(name, which);
$$;
-- n outcomes by lot of one side of the present rollout, of which so many succeed. Loading starts no workers where every query is forced into one.
CREATE FUNCTION pg_temp.drawn(name text, which text, n integer, successes integer, response_time float8 DEFAULT 0.5, errors integer DEFAULT 0,
    drawn integer DEFAULT NULL) RETURNS void LANGUAGE sql SET max_parallel_workers_per_gather = 0 AS $$
    INSERT INTO model_mgr.observation (recorded_at, routed_at, version_id, deployment_id, step, arm, request, success, response_time, error_type)
    SELECT model_mgr.clock_time(), model_mgr.clock_time(), v.version_id, d.deployment_id, d.step,
        CASE WHEN drawn IS NULL THEN CASE which WHEN '1' THEN 0 ELSE 1 END ELSE nullif(drawn, -1) END, i, i <= successes,
        response_time * (0.5 + (i % 11) / 10.0), CASE WHEN i > n - errors THEN 'timeout' END
    FROM model_mgr.get_deployment(pg_temp.newest(name)) d, model_mgr.get_model_version(name, which) v, generate_series(1, n) i;
$$;
CREATE FUNCTION pg_temp.reason(name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s: %s', status, status_reason) FROM model_mgr.get_deployment(pg_temp.newest(name));
$$;
CREATE FUNCTION pg_temp.waits(name text) RETURNS text LANGUAGE sql AS $$
    SELECT waiting_for FROM model_mgr.deployment_list WHERE deployment_id = pg_temp.newest(name);
$$;

-- A candidate that is clearly worse: 85 % against 99 %, far above its limit of 30 %, long before min_requests.
SELECT pg_temp.canary('worse', '{"min_requests": 1000}');
SELECT pg_temp.drawn('worse', '1', 100, 99), pg_temp.drawn('worse', '2', 100, 97);
SELECT is(pg_temp.tick(), 0::bigint, '97 of 100 against 99 of 100 convicts nobody');
SELECT is((SELECT string_agg(verdict, ' ') FROM model_mgr.rollout_status(pg_temp.newest('worse')) WHERE rule = 'guard'), 'pass pass pass', 'the guard passes');
SELECT pg_temp.drawn('worse', '1', 100, 99), pg_temp.drawn('worse', '2', 100, 73);
SELECT is((SELECT string_agg(format('%s %s', rule, verdict), ', ') FROM model_mgr.rollout_status(pg_temp.newest('worse')) WHERE metric_name = 'success_rate'),
    'limit wait, guard fail', 'the limit waits for more, the guard convicts');
SELECT is(pg_temp.tick(), 1::bigint, '170 of 200 against 198 of 200 does');
SELECT is(pg_temp.state('worse') || ' ' || pg_temp.statuses('worse'), 'rolled_back 0 1 1 active, 2 rolled_back', 'it is rolled back');
SELECT matches(pg_temp.reason('worse'), '^rolled_back: the guard finds the success rate 0.85 worse than the baseline''s 0.99 by more than the margin 0.01, over 200 and 200 samples',
    'with the numbers of both sides');
SELECT is((SELECT format('%s %s %s %s', metric_name, round(value::numeric, 3), round(limit_value::numeric, 3), samples)
    FROM model_mgr.explain_deployment(pg_temp.newest('worse')) WHERE status = 'rolled_back'), 'success_rate 0.850 0.980 200', 'the line of the diary has them too');
SELECT is((SELECT evidence ->> 'decision' FROM model_mgr.explain_deployment(pg_temp.newest('worse')) WHERE status = 'rolled_back'), 'roll_back (guard)', 'the rule');

-- Errors and response times are compared too; recorded by name, without a decision, they count as well.
SELECT pg_temp.canary('errors');
SELECT pg_temp.outcomes('errors', '1', 300, 300), pg_temp.outcomes('errors', '2', 300, 300, 0.5, 30);
SELECT is(pg_temp.tick(), 1::bigint, 'errors');
SELECT matches(pg_temp.reason('errors'), 'the guard finds the error rate 0.1 worse than the baseline''s 0 ', 'said so');
SELECT pg_temp.canary('slow');
SELECT pg_temp.drawn('slow', '1', 300, 300, 0.5), pg_temp.drawn('slow', '2', 300, 300, 0.7);
SELECT is(pg_temp.tick(), 1::bigint, 'response time');
SELECT matches(pg_temp.reason('slow'), 'the guard finds the mean response time 0.\d+ s worse than the baseline''s 0.\d+ s by more than the margin 0.0\d+ s', 'in seconds');
SELECT is((SELECT format('%s %s', rollout_mean = mean, abs(m2 - rollout_m2) < 1e-9 * m2) FROM (
    SELECT avg(response_time) AS mean, var_pop(response_time) * count(*) AS m2 FROM model_mgr.observation WHERE version_id = (SELECT pg_temp.version_id('slow', '2'))) o,
    (SELECT (s ->> 'response_time_mean')::float8 AS rollout_mean, (s ->> 'response_time_m2')::float8 AS rollout_m2
     FROM model_mgr.explain_deployment(pg_temp.newest('slow')) e, LATERAL (SELECT e.evidence -> 'strata' -> 0 -> 'candidate' AS s) c WHERE e.status = 'rolled_back') r),
    't t', 'mean and deviations are those of the values');

-- What the guard must not see: pins and segments, which no lot has drawn; what was routed before the rollout began.
SELECT pg_temp.canary('pinned');
SELECT pg_temp.drawn('pinned', '1', 300, 300), pg_temp.drawn('pinned', '2', 300, 200, drawn => -1);
SELECT is(pg_temp.tick(), 0::bigint, 'pins convict nobody');
SELECT pg_temp.canary('late');
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT pg_temp.drawn('late', '1', 300, 299), pg_temp.drawn('late', '2', 300, 299);
INSERT INTO model_mgr.observation (recorded_at, routed_at, version_id, success)
SELECT '2026-01-01 00:01:00+00', '2025-12-31 23:59:59+00', (SELECT pg_temp.version_id('late', '2')), false FROM generate_series(1, 1000);
SELECT is(pg_temp.tick(), 0::bigint, 'a thousand failures of requests routed before');
SELECT is((SELECT format('%s %s', candidate_value > 0.99, samples) FROM model_mgr.rollout_status(pg_temp.newest('late')) WHERE rule = 'guard' AND metric_name = 'success_rate'),
    't 300', 'are none of the rollout');

-- The two-day example: shares and the traffic's own quality change, the sides are equal each day.
SELECT pg_temp.canary('two days', '{"steps": [10, 50, 100], "step_seconds": 86400}');
SELECT format($$SELECT pg_temp.at('%s'), pg_temp.drawn('two days', '1', %s, %s), pg_temp.drawn('two days', '2', %s, %s)$$,
        timestamptz '2026-01-01 00:00:00+00' + hour * interval '1 hour', n_1, s_1, n_2, s_2), 'SELECT count(*) FROM model_mgr.tick()'
FROM generate_series(1, 47) hour, LATERAL (SELECT CASE WHEN hour <= 24 THEN 900 ELSE 500 END, CASE WHEN hour <= 24 THEN 891 ELSE 450 END,
    CASE WHEN hour <= 24 THEN 100 ELSE 500 END, CASE WHEN hour <= 24 THEN 99 ELSE 450 END) x (n_1, s_1, n_2, s_2) ORDER BY hour
\o /dev/null
\gexec
\o
SELECT is(pg_temp.state('two days'), 'running 50 2', 'silent through both days');
SELECT is((SELECT format('%s %s %s %s', round(candidate_value::numeric, 3), round(baseline_value::numeric, 3), samples, verdict)
    FROM model_mgr.rollout_status(pg_temp.newest('two days')) WHERE rule = 'guard' AND metric_name = 'success_rate'), '0.925 0.925 13900 pass', 'compared within steps, both are equal');
-- Pooled they are not.
SELECT cmp_ok((SELECT (b.n_c * 1.0 / b.c) - (b.n_b * 1.0 / b.b) FROM (
    SELECT count(*) FILTER (WHERE arm = 1) AS c, count(*) FILTER (WHERE arm = 1 AND success) AS n_c, count(*) FILTER (WHERE arm = 0) AS b,
        count(*) FILTER (WHERE arm = 0 AND success) AS n_b FROM model_mgr.observation WHERE deployment_id = (SELECT pg_temp.newest('two days'))) b), '<', -0.03, 'pooled, the candidate looks 3 points worse');
SELECT is((SELECT count(*) FROM model_mgr.rollup_hour WHERE deployment_id = (SELECT pg_temp.newest('two days'))) > 40, true, 'most of it is read from hours');

-- Off, wide margins, without automatic rollback.
SELECT pg_temp.canary('off', '{"guard": "off"}');
SELECT pg_temp.drawn('off', '1', 300, 299), pg_temp.drawn('off', '2', 300, 150);
SELECT pg_temp.canary('wide', '{"guard_margin": {"success_rate": 0.6, "error_rate": 0.6, "response_time": {"relative": 2}}}');
SELECT pg_temp.drawn('wide', '1', 300, 299), pg_temp.drawn('wide', '2', 300, 150);
SELECT pg_temp.canary('manual', automatic => false);
SELECT pg_temp.drawn('manual', '1', 300, 299), pg_temp.drawn('manual', '2', 300, 150);
SELECT is(pg_temp.tick(), 0::bigint, 'nobody is rolled back');
SELECT is((SELECT count(*) FROM model_mgr.rollout_status(pg_temp.newest('off')) WHERE rule = 'guard'), 0::bigint, 'a guard that is off has no rows');
SELECT matches(pg_temp.waits('manual'), '^the guard finds the success rate 0.5 worse .*; automatic rollback is off \[limits\]$', 'held, and why');

-- Judged while paused, while somebody's approval is awaited, and while baking; promote is no way past it.
SELECT pg_temp.canary('paused');
SELECT status FROM model_mgr.pause_deployment(pg_temp.newest('paused'));
SELECT pg_temp.canary('awaiting', '{"approval": "each_step", "step_seconds": 0}');
SELECT pg_temp.drawn('awaiting', '1', 100, 100), pg_temp.drawn('awaiting', '2', 100, 100);
SELECT pg_temp.tick();
SELECT pg_temp.canary('baking', '{"step_seconds": 60}');
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT pg_temp.drawn('baking', '1', 100, 100), pg_temp.drawn('baking', '2', 100, 100);
SELECT pg_temp.tick();
SELECT pg_temp.canary('hasty');
SELECT is(pg_temp.state('paused') || ', ' || pg_temp.state('awaiting') || ', ' || pg_temp.state('baking'), 'paused 50 1, awaiting_approval 50 1, promoting 100 2', 'the four of them');
SELECT pg_temp.drawn(name, '1', 300, 299), pg_temp.drawn(name, '2', 300, 150) FROM unnest(ARRAY['paused', 'awaiting', 'hasty']) name;
-- Labels of the step before come while it bakes.
INSERT INTO model_mgr.observation (recorded_at, routed_at, version_id, deployment_id, step, arm, request, success)
SELECT '2026-01-01 00:01:00+00', '2026-01-01 00:00:30+00', v.version_id, (SELECT pg_temp.newest('baking')), 1, arm, i, arm = 0 OR i <= 150
FROM generate_series(0, 1) arm, LATERAL model_mgr.get_model_version('baking', (arm + 1)::text) v, generate_series(1, 300) i;
SELECT is((SELECT status FROM model_mgr.promote_deployment(pg_temp.newest('hasty'))), 'rolled_back', 'promote judges');
SELECT pg_temp.at('2026-01-01 00:01:30+00');
SELECT is(pg_temp.tick(), 3::bigint, 'the three others at the next tick');
SELECT is(pg_temp.state('paused') || ', ' || pg_temp.state('awaiting') || ', ' || pg_temp.state('baking'), 'rolled_back 0 1, rolled_back 0 1, rolled_back 0 2', 'rolled back');
SELECT is(pg_temp.statuses('baking'), '1 active, 2 rolled_back', 'from 100 % too');

-- Health criteria: all four bounds, on built-in and custom metrics, in the words of who wrote them.
SELECT pg_temp.canary('bounds', '{"step_seconds": 60}', '{"response_time": {"max": 2}, "p95_response_time": {"max_ratio": 1.2}, "clicks": {"min": 0.1, "min_ratio": 0.9}}');
SELECT is((SELECT string_agg(format('%s %s %s', metric_name, verdict, coalesce(limit_value::text, '-')), ', ') FROM model_mgr.canary_status WHERE model_name = 'bounds'),
    'success_rate wait 0.3, error_rate wait 1, response_time wait 1000, clicks wait 0.1, clicks wait -, response_time wait 2, p95_response_time wait -', 'nothing is known yet');
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT count(model_mgr.update_model_metrics('bounds', '2', 0.5, true, metrics => '{"clicks": 0.5}')) FROM generate_series(1, 100);
SELECT is(pg_temp.tick(), 0::bigint, 'it holds');
SELECT is(pg_temp.waits('bounds'), 'clicks has nothing to be compared with: the baseline has no samples in the last 10 minutes [health_criteria]', 'a ratio without a baseline is inconclusive');
SELECT is((SELECT string_agg(verdict, ' ') FROM model_mgr.canary_status WHERE model_name = 'bounds' AND metric_name = 'clicks'), 'pass inconclusive', 'and says so');
SELECT is((SELECT count(*) FROM model_mgr.explain_deployment(pg_temp.newest('bounds')) WHERE what LIKE 'holds: clicks has nothing%[health_criteria]'), 1::bigint, 'once in the diary');
SELECT count(model_mgr.update_model_metrics('bounds', '1', 0.5, true, metrics => '{"clicks": 0.5}')) FROM generate_series(1, 100);
SELECT is((SELECT string_agg(format('%s %s %s %s', metric_name, candidate_value, baseline_value, round(limit_value::numeric, 2)), ', ') FROM model_mgr.canary_status WHERE model_name = 'bounds' AND metric_name LIKE 'c%'),
    'clicks 0.5 0.5 0.10, clicks 0.5 0.5 0.45', 'limits of ratios are in the unit of the metric');
SELECT is(pg_temp.tick(), 1::bigint, 'now it steps');
SELECT pg_temp.at('2026-01-01 00:02:00+00');
SELECT count(model_mgr.update_model_metrics('bounds', '2', 0.5, true, metrics => '{"clicks": 0.3}')) FROM generate_series(1, 300);
SELECT is(pg_temp.tick(), 1::bigint, 'while it bakes the clicks fall');
SELECT is(pg_temp.reason('bounds'), 'rolled_back: clicks 0.35 is below the minimum 0.45, 0.9 times the baseline''s 0.5, over 400 samples in the last 10 minutes', 'rolled back, with both numbers');
SELECT is((SELECT format('%s %s %s %s', metric_name, value, limit_value, samples) FROM model_mgr.explain_deployment(pg_temp.newest('bounds')) WHERE status = 'rolled_back'), 'clicks 0.35 0.45 400', 'in the diary');
SELECT pg_temp.canary('absolute', '{"guard": "off"}', '{"p95_response_time": {"max": 2}}');
SELECT pg_temp.outcomes('absolute', '2', 100, 100, 0.5), pg_temp.outcomes('absolute', '2', 10, 10, 5);
SELECT is(pg_temp.tick(), 1::bigint, 'a slow tail');
SELECT matches(pg_temp.reason('absolute'), '^rolled_back: p95_response_time (4.9|5)\d* is above the maximum 2 over 110 samples', 'convicted by its own limit');
SELECT pg_temp.canary('nobody records it', '{"step_seconds": 60}', '{"fairness": {"min": 0.8}}');
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT pg_temp.outcomes('nobody records it', '2', 100, 100);
SELECT is(pg_temp.tick() || ' ' || pg_temp.waits('nobody records it'), '0 fairness has no samples yet [health_criteria]', 'a criterion without samples waits');
-- What the version did before this rollout is none of its doing.
SELECT pg_temp.at('2026-01-01 00:00:00+00'), pg_temp.make_model('again', '1', '2'), model_mgr.deploy_model_version('again', '1') IS NULL;
SELECT count(model_mgr.update_model_metrics('again', '2', 0.5, true, metrics => '{"clicks": 0.01}')) FROM generate_series(1, 500);
SELECT pg_temp.at('2026-01-01 00:05:00+00');
SELECT status FROM model_mgr.deploy_model_version('again', '2', health_criteria => '{"clicks": {"min": 0.1}}');
SELECT pg_temp.at('2026-01-01 00:06:00+00');
SELECT count(model_mgr.update_model_metrics('again', '2', 0.5, true, metrics => '{"clicks": 0.3}')) FROM generate_series(1, 100);
SELECT is((SELECT format('%s %s %s', candidate_value, samples, verdict) FROM model_mgr.canary_status WHERE model_name = 'again' AND metric_name = 'clicks'), '0.3 100 pass', 'only since the rollout began');
-- Labels that arrive now of requests of before count on neither side, folded or not.
SELECT count(model_mgr.update_model_metrics('again', v, 3, false, routed_at => '2026-01-01 00:04:00+00', metrics => '{"clicks": 0.01}')) FROM unnest(ARRAY['1', '2']) v, generate_series(1, 200);
SELECT count(model_mgr.update_model_metrics('again', '1', 0.5, true, metrics => '{"clicks": 0.4}')) FROM generate_series(1, 50);
SELECT model_mgr.adjust_deployment(pg_temp.newest('again'), '{"health_criteria": {"clicks": {"min": 0.1, "max_ratio": 1}, "p95_response_time": {"max": 1}}}') IS NULL;
CREATE FUNCTION pg_temp.criteria(name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s (%s) beside %s: %s', metric_name, round(candidate_value::numeric, 1), samples, round(baseline_value::numeric, 1), verdict), ', ' ORDER BY "position")
    FROM model_mgr.rollout_status(pg_temp.newest(name)) WHERE rule = 'criterion';
$$;
SELECT is(pg_temp.criteria('again'), 'clicks 0.3 (100) beside 0.4: pass, clicks 0.3 (100) beside 0.4: pass, p95_response_time 0.5 (100) beside 0.5: pass', 'late labels of before, not folded yet');
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('again'), '0 running 10 1', 'convict nobody');
SELECT is(pg_temp.criteria('again'), 'clicks 0.3 (100) beside 0.4: pass, clicks 0.3 (100) beside 0.4: pass, p95_response_time 0.5 (100) beside 0.5: pass', 'nor when they are folded');
-- Labels of its own requests do, however late.
SELECT pg_temp.at('2026-01-01 00:20:00+00');
SELECT count(model_mgr.update_model_metrics('again', '2', 0.5, true, routed_at => '2026-01-01 00:06:00+00', metrics => '{"clicks": 0.01}')) FROM generate_series(1, 200);
SELECT pg_temp.tick();
SELECT is(pg_temp.reason('again'), 'rolled_back: clicks 0.01 is below the minimum 0.1 over 200 samples in the last 10 minutes', 'its own late labels convict');

-- The sample ratio: half of the traffic, and nothing comes back.
SELECT pg_temp.canary('hangs', '{"step_seconds": 0, "min_requests": 0, "bake_seconds": 600}'), pg_temp.canary('hangs, held', '{"step_seconds": 0, "min_requests": 0, "bake_seconds": 600, "on_sample_ratio": "hold"}'),
    pg_temp.canary('hangs, back', '{"step_seconds": 600, "min_requests": 0, "on_sample_ratio": "rollback"}'), pg_temp.canary('hangs, by name', '{"step_seconds": 600}');
SELECT pg_temp.drawn(name, '1', 200, 200) FROM unnest(ARRAY['hangs', 'hangs, held', 'hangs, back']) name;
SELECT pg_temp.outcomes('hangs, by name', '1', 200, 200);
SELECT is(pg_temp.tick(), 2::bigint, 'one goes on, one goes back');
SELECT is(string_agg(pg_temp.state(name), ', ' ORDER BY n), 'promoting 100 2, running 50 1, rolled_back 0 1, running 50 1', 'warned, held, rolled back; by name: warned')
FROM unnest(ARRAY['hangs', 'hangs, held', 'hangs, back', 'hangs, by name']) WITH ORDINALITY x (name, n);
SELECT is((SELECT string_agg(format('%s %s %s %s %s', model_name, version, kind, severity, metric_name), ', ' ORDER BY alert_id) FROM model_mgr.get_active_alerts()),
    'hangs 2 rollout warning sample_ratio, hangs, held 2 rollout warning sample_ratio, hangs, by name 2 rollout warning sample_ratio', 'alerts');
SELECT matches((SELECT summary FROM model_mgr.get_active_alerts() WHERE model_name = 'hangs'),
    '^outcomes do not arrive in the proportion of the shares: 0 requests of the candidate where 100 are expected \(always-valid p = \S+, alarm at 0.001\)$', 'with the numbers');
SELECT matches(pg_temp.waits('hangs, held'), '^outcomes do not arrive .*\[on_sample_ratio\]$', 'it waits for them');
SELECT matches(pg_temp.reason('hangs, back'), '^rolled_back: outcomes do not arrive', 'the reason');
SELECT is(pg_temp.tick() + pg_temp.tick(), 0::bigint, 'again');
SELECT is((SELECT count(*) FROM model_mgr.explain_deployment(pg_temp.newest('hangs, by name')) WHERE what LIKE 'warning:%'), 1::bigint, 'said once');
SELECT pg_temp.outcomes('hangs, by name', '2', 190, 190), pg_temp.drawn('hangs, held', '2', 190, 190);
SELECT is(pg_temp.tick(), 1::bigint, 'they arrive: what was held goes on');
SELECT is((SELECT string_agg(model_name, ', ' ORDER BY alert_id) FROM model_mgr.get_active_alerts()), 'hangs', 'and its alert is over');
SELECT is((SELECT sample_ratio_p_value FROM model_mgr.canary_status WHERE model_name = 'hangs, by name' LIMIT 1), 1::float8, 'p');
SELECT model_mgr.rollback_model('hangs');
SELECT pg_temp.tick();
SELECT is((SELECT count(*) FROM model_mgr.get_active_alerts()), 0::bigint, 'an alert ends with its rollout');
-- Whoever records the candidate alone, by name, is not warned.
SELECT pg_temp.canary('one side');
SELECT pg_temp.outcomes('one side', '2', 500, 500);
SELECT pg_temp.tick();
SELECT is((SELECT count(*) FROM model_mgr.get_active_alerts()), 0::bigint, 'no warning');

-- Every automatic decision of all these, replayed.
SELECT is(model_mgr.replay_evidence(evidence), evidence ->> 'decision', format('%s: %s', d.model_name, evidence ->> 'decision'))
FROM model_mgr.deployment_event e JOIN model_mgr.deployment d USING (deployment_id) WHERE e.evidence ? 'decision' ORDER BY e.deployment_event_id;
SELECT is((SELECT count(*) FROM model_mgr.deployment_event e WHERE e.evidence ->> 'decision' = 'roll_back (guard)'
    AND model_mgr.replay_evidence(jsonb_set(e.evidence, '{rollout,guard}', '"off"')) = 'roll_back (guard)'), 0::bigint, 'with the guard off nobody would have gone back for it');
SELECT * FROM finish();
