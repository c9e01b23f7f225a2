-- Automatic rollback: each limit, too little data, warm-up, paused and baking rollouts, stretched windows, and the
-- evidence that a decision leaves.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
-- A model whose 2 is a canary begun at midnight.
CREATE FUNCTION pg_temp.canary(name text, plan jsonb DEFAULT '{}', automatic boolean DEFAULT true, strategy text DEFAULT 'canary') RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at('2026-01-01 00:00:00+00');
    PERFORM pg_temp.make_model(name, '1', '2');
    PERFORM model_mgr.deploy_model_version(name, '1');
    RETURN (model_mgr.deploy_model_version(name, '2', strategy, rollout => plan, auto_rollback_enabled => automatic)).deployment_id;
END $$;
-- The last line of its diary.
CREATE FUNCTION pg_temp.last_line(name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s: %s (%s %s, limit %s, %s samples)', e.status, e.what, e.metric_name, round(e.value::numeric, 4), e.limit_value, e.samples)
    FROM model_mgr.deployment_event e WHERE e.deployment_id = pg_temp.newest(name) ORDER BY e.deployment_event_id DESC LIMIT 1;
$$;

-- Success rate: 95 of 100 meets the limit, 94 breaks it.
SELECT pg_temp.canary('success');
SELECT pg_temp.outcomes('success', '2', 100, 95);
SELECT is(pg_temp.tick(), 0::bigint, '0.95 is not below 0.95');
SELECT pg_temp.at('2026-01-01 00:05:00+00');
SELECT pg_temp.outcomes('success', '2', 20, 18);
SELECT is(pg_temp.tick(), 1::bigint, '113 of 120 is');
SELECT is(pg_temp.state('success'), 'rolled_back 0 1', 'rolled back, no traffic');
SELECT is(pg_temp.statuses('success'), '1 active, 2 rolled_back', 'the baseline serves');
SELECT is(pg_temp.routed('success'), '1 - 0', 'alone');
SELECT is(pg_temp.last_line('success'),
    'rolled_back: automatically rolled back from 10 %: success rate 0.9417 is below the minimum 0.95 over 120 outcomes in the last 10 minutes (success_rate 0.9417, limit 0.95, 120 samples)',
    'with its reason in plain words and numbers');
SELECT is((SELECT status_reason FROM model_mgr.get_model_version('success', '2')), (SELECT status_reason FROM model_mgr.get_deployment(pg_temp.newest('success'))), 'the version has the reason too');
SELECT is(pg_temp.tick(), 0::bigint, 'it is rolled back once');

-- The evidence is in the audit row of the same transaction, and says why: counts, window, interval.
SELECT is(e.evidence, a.details -> 'evidence', 'diary and audit log hold the same evidence')
FROM model_mgr.deployment_event e, model_mgr.audit_log a
WHERE e.deployment_id = pg_temp.newest('success') AND e.status = 'rolled_back' AND a.operation = 'rollback' AND a.model_name = 'success';
SELECT is(details - 'evidence', jsonb_build_object('automatic', true, 'deployment_id', pg_temp.newest('success'), 'from_percentage', 10,
    'reason', 'success rate 0.9417 is below the minimum 0.95 over 120 outcomes in the last 10 minutes', 'target_version', '1'), 'the audit row')
FROM model_mgr.audit_log WHERE operation = 'rollback' AND model_name = 'success';
SELECT jsonb_pretty(evidence - 'verdicts' - 'rollout') FROM model_mgr.explain_deployment(pg_temp.newest('success')) WHERE status = 'rolled_back';
SELECT format('%s: %s, %s of limit %s, %s samples %s, interval %s to %s', m.key, v ->> 'verdict', round((v ->> 'value')::numeric, 4), v ->> 'limit',
    v ->> 'samples', v ->> 'counted', round((v -> 'interval' ->> 'low')::numeric, 4), round((v -> 'interval' ->> 'high')::numeric, 4))
FROM model_mgr.explain_deployment(pg_temp.newest('success')) e CROSS JOIN LATERAL jsonb_each(e.evidence -> 'verdicts') m
CROSS JOIN LATERAL (SELECT m.value AS v) x WHERE e.status = 'rolled_back' ORDER BY m.key;

-- The reason never says that a number is below itself.
SELECT pg_temp.canary('near');
SELECT pg_temp.outcomes('near', '2', 20001, 19000);
SELECT is(pg_temp.tick(), 1::bigint, '19000 of 20001');
SELECT alike((SELECT status_reason FROM model_mgr.get_deployment(pg_temp.newest('near'))), 'success rate 0.94995 is below the minimum 0.95 over 20001 %', 'digits enough');

-- Errors and response times, each with its own denominator.
SELECT pg_temp.canary('errors');
SELECT pg_temp.outcomes('errors', '2', 100, 100, 0.5, 10);
SELECT is(pg_temp.tick(), 0::bigint, 'an error rate of 0.10 is not above 0.10');
SELECT pg_temp.outcomes('errors', '2', 1, 1, 0.5, 1);
SELECT is(pg_temp.tick(), 1::bigint, '11 of 101 is');
SELECT is(pg_temp.last_line('errors'),
    'rolled_back: automatically rolled back from 10 %: error rate 0.1089 is above the limit 0.1 over 101 requests in the last 10 minutes (error_rate 0.1089, limit 0.1, 101 samples)',
    'the error rate');
SELECT pg_temp.canary('slow');
SELECT pg_temp.outcomes('slow', '2', 100, 100, 10);
SELECT is(pg_temp.tick(), 0::bigint, 'a mean of 10 s is not above 10 s');
SELECT pg_temp.outcomes('slow', '2', 1, 1, 11);
SELECT is(pg_temp.tick(), 1::bigint, 'a little more is');
SELECT is(pg_temp.last_line('slow'),
    'rolled_back: automatically rolled back from 10 %: mean response time 10.01 s is above the limit 10 s over 101 requests in the last 10 minutes (response_time 10.0099, limit 10, 101 samples)',
    'the response time');
SELECT pg_temp.canary('unknown');
SELECT count(model_mgr.update_model_metrics('unknown', '2', error_type => 'crash')) FROM generate_series(1, 100);
SELECT is(pg_temp.tick(), 1::bigint, 'errors convict when no truth is known yet');
SELECT is(pg_temp.state('unknown'), 'rolled_back 0 1', 'rolled back');

-- Too little data: neither forward nor back.
SELECT pg_temp.canary('few');
SELECT pg_temp.outcomes('few', '2', 99, 0);
SELECT pg_temp.at('2026-01-01 12:00:00+00');
SELECT is(pg_temp.tick(), 0::bigint, '99 failures of 99 are too few');
SELECT is(pg_temp.state('few'), 'running 10 1', 'it holds, hours long');
SELECT is((SELECT string_agg(format('%s %s %s/%s', metric_name, verdict, samples, samples_needed), ', ') FROM model_mgr.canary_status WHERE model_name = 'few'),
    'success_rate wait 99/100, error_rate wait 99/100, response_time wait 99/100', 'canary_status: wait');
-- The hundredth comes after half a day: the window is stretched to the step's start.
SELECT pg_temp.outcomes('few', '2', 1, 1);
SELECT is(pg_temp.tick(), 1::bigint, 'the hundredth convicts');
SELECT is(pg_temp.last_line('few'),
    'rolled_back: automatically rolled back from 10 %: success rate 0.01 is below the minimum 0.95 over 100 outcomes since the step began (success_rate 0.0100, limit 0.95, 100 samples)',
    'over the stretched window');

-- A full window forgets what was before it.
SELECT pg_temp.canary('forgets', '{"min_requests": 50}', false);
SELECT pg_temp.outcomes('forgets', '2', 60, 0);
SELECT pg_temp.at('2026-01-01 00:11:00+00');
SELECT pg_temp.outcomes('forgets', '2', 60, 60);
SELECT is((SELECT format('%s %s %s', candidate_value, samples, verdict) FROM model_mgr.canary_status WHERE model_name = 'forgets' AND metric_name = 'success_rate'),
    '1 60 pass', 'only the window counts');

-- Without automatic rollback a broken limit holds.
SELECT pg_temp.canary('manual', automatic => false);
SELECT pg_temp.outcomes('manual', '2', 200, 100);
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT is(pg_temp.tick() || ' ' || pg_temp.tick(), '0 0', 'nothing moves');
SELECT is((SELECT substring(waiting_for FROM '\[(\w+)\]$') FROM model_mgr.deployment_list WHERE model_name = 'manual' AND version = '2'), 'limits', 'it waits for the limits');
SELECT is((SELECT count(*) FROM model_mgr.explain_deployment(pg_temp.newest('manual')) WHERE what LIKE 'holds:%'), 1::bigint, 'said once in the diary');
SELECT is((SELECT watched FROM model_mgr.routing WHERE model_name = 'manual'), false, 'recordings need not look');

-- Warm-up: recorded, not judged.
SELECT pg_temp.canary('warm', '{"warmup_seconds": 300}');
SELECT pg_temp.outcomes('warm', '2', 200, 0);
SELECT is(pg_temp.tick(), 0::bigint, '200 failures while warming up');
SELECT is((SELECT substring(waiting_for FROM '\[(\w+)\]$') FROM model_mgr.deployment_list WHERE model_name = 'warm' AND version = '2'), 'warmup_seconds', 'it warms up');
SELECT pg_temp.at('2026-01-01 00:05:00+00');
SELECT pg_temp.outcomes('warm', '2', 100, 100);
SELECT is(pg_temp.tick(), 0::bigint, 'not judged afterwards either');
SELECT is((SELECT format('%s %s', candidate_value, samples) FROM model_mgr.canary_status WHERE model_name = 'warm' AND metric_name = 'success_rate'), '1 100', 'what came after counts');
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT is(pg_temp.tick(), 1::bigint, 'and it steps');

-- Judged while paused.
SELECT (model_mgr.pause_deployment(pg_temp.canary('paused'))).status;
SELECT pg_temp.outcomes('paused', '2', 100, 100);
SELECT pg_temp.at('2026-01-01 00:30:00+00');
SELECT is(pg_temp.tick(), 0::bigint, 'paused: no step');
SELECT pg_temp.outcomes('paused', '2', 100, 0);
SELECT is(pg_temp.tick(), 1::bigint, 'paused: rolled back');
SELECT is(pg_temp.state('paused'), 'rolled_back 0 1', 'judged while paused');

-- Judged while baking, and once more at its end; then the previous version returns.
SELECT pg_temp.canary('baking', strategy => 'replace');
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT pg_temp.outcomes('baking', '2', 100, 0);
SELECT is(pg_temp.tick(), 1::bigint, 'the end of the bake');
SELECT is(pg_temp.state('baking'), 'rolled_back 0 1', 'is no completion when a limit breaks');
SELECT is(pg_temp.statuses('baking') || ' | ' || pg_temp.routed('baking'), '1 active, 2 rolled_back | 1 - 0', 'the previous version returned');
SELECT pg_temp.canary('quiet', strategy => 'replace');
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT is(pg_temp.tick(), 1::bigint, 'a bake without any traffic');
SELECT is(pg_temp.state('quiet'), 'completed 100 1', 'ends by time alone');

-- Only what was routed since the rollout began counts, on the candidate's side too.
SELECT pg_temp.make_model('again', '1', '2');
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT (model_mgr.deploy_model_version('again', '1')).status;
SELECT pg_temp.outcomes('again', '2', 500, 0);
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT (model_mgr.deploy_model_version('again', '2')).status;
SELECT count(model_mgr.update_model_metrics('again', '2', 1, false, routed_at => '2026-01-01 00:00:30+00')) FROM generate_series(1, 200);
SELECT is(pg_temp.tick(), 0::bigint, 'failures of the time before are not its own');
SELECT is((SELECT samples FROM model_mgr.deployment_list WHERE model_name = 'again' AND version = '2'), 0::bigint, 'and are not counted');

-- Feedback that comes later convicts as well.
SELECT pg_temp.canary('late', '{"steps": [100]}');
CREATE TEMP TABLE decisions AS SELECT (model_mgr.route('late', 'unit ' || i)).decision FROM generate_series(1, 120) i;
SELECT count(model_mgr.record_outcome(decision, response_time => 0.1)) FROM decisions;
SELECT is(pg_temp.tick(), 0::bigint, 'no truth yet');
SELECT pg_temp.at('2026-01-01 00:03:00+00');
SELECT count(model_mgr.record_feedback(decision, false)) FROM decisions;
SELECT is(pg_temp.tick(), 1::bigint, 'the truth arrives');
SELECT is(pg_temp.state('late'), 'rolled_back 0 1', 'and it is taken back');

-- An evidence replayed: the stored counts, plan and limits give the stored verdicts again.
SELECT is(count(*) FILTER (WHERE verdict ->> 'verdict' = CASE
        WHEN (verdict ->> 'samples')::bigint < (verdict ->> 'samples_needed')::bigint THEN CASE WHEN verdict ->> 'value' IS NULL AND n >= (verdict ->> 'samples_needed')::bigint THEN 'pass' ELSE 'wait' END
        WHEN metric = 'success_rate' AND round(successes / n, 6) < (verdict ->> 'limit')::numeric THEN 'fail'
        WHEN metric = 'error_rate' AND round(errors / requests, 6) > (verdict ->> 'limit')::numeric THEN 'fail'
        WHEN metric = 'response_time' AND round(time_sum / times, 6) > (verdict ->> 'limit')::numeric THEN 'fail' ELSE 'pass' END),
    count(*), 'replayed in SQL, every stored verdict is the same')
FROM (SELECT m.key AS metric, m.value AS verdict, (c ->> 'known')::numeric AS n, (c ->> 'successes')::numeric AS successes,
        (c ->> 'errors')::numeric AS errors, (c ->> 'requests')::numeric AS requests, (c ->> 'response_time_sum')::numeric AS time_sum,
        (c ->> 'response_time_count')::numeric AS times
    FROM model_mgr.deployment_event e CROSS JOIN LATERAL jsonb_each(e.evidence -> 'verdicts') m
    CROSS JOIN LATERAL (SELECT e.evidence -> 'candidate' -> CASE m.value ->> 'counted' WHEN 'in the window' THEN 'window' ELSE 'step' END AS c) x) r
WHERE n > 0;
SELECT cmp_ok((SELECT count(*) FROM model_mgr.deployment_event e WHERE e.evidence ? 'verdicts'), '>', 10::bigint, 'of more than ten decisions');
SELECT is(model_mgr.replay_evidence(e.evidence), e.evidence ->> 'decision', 'the core says the same again: ' || (e.evidence ->> 'decision'))
FROM model_mgr.deployment_event e WHERE e.evidence ? 'verdicts' ORDER BY e.deployment_event_id;
SELECT isnt(model_mgr.replay_evidence(jsonb_set(e.evidence, '{candidate,window,successes}', '120')), e.evidence ->> 'decision', 'other numbers, another verdict')
FROM model_mgr.deployment_event e WHERE e.deployment_id = pg_temp.newest('success') AND e.status = 'rolled_back';
SELECT is(pg_temp.code($$SELECT model_mgr.replay_evidence('{}')$$), '22023', 'no evidence');
SELECT is(pg_temp.code($$SELECT model_mgr.replay_evidence('[]')$$), '22023', 'none at all');
SELECT * FROM finish();
