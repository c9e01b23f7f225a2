-- A shadow is judged by pairs: both versions answered the same request. What counts, what convicts, what the running sums
-- hold against plain SQL over all rows, and that nothing of the past is read again.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
CREATE FUNCTION pg_temp.shadow(name text, plan jsonb DEFAULT '{}', share float8 DEFAULT 100) RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_temp.make_model(name, '1', '2');
    SELECT model_mgr.deploy_model_version(name, '1');
    SELECT d.deployment_id FROM model_mgr.deploy_model_version(name, '2', 'shadow', traffic_percentage => share, rollback_min_success_rate => 0.3,
        rollback_threshold_error_rate => 1, rollback_threshold_response_time => 1000, rollout => '{"step_seconds": 60, "min_requests": 100}' || plan) d;
$$;
CREATE TEMP TABLE answer (name text, i integer, decision text, shadow_decision text);
CREATE FUNCTION pg_temp.ask(model text, n integer) RETURNS bigint LANGUAGE sql AS $$
    WITH a AS (INSERT INTO answer SELECT model, i, r.decision, r.shadow_decision FROM generate_series(1, n) i, LATERAL model_mgr.route(model, 'unit ' || i) r RETURNING 1)
    SELECT count(*) FROM a;
$$;
CREATE FUNCTION pg_temp.waits(name text) RETURNS text LANGUAGE sql AS $$
    SELECT l.waiting_for FROM model_mgr.deployment_list l WHERE l.deployment_id = pg_temp.newest(name);
$$;
-- The sums as they are stored, and what the rows say: feedback decides, then what was said; halves are none.
CREATE VIEW pg_temp.stored AS SELECT deployment_id, ARRAY[both_good, only_baseline_good, only_candidate_good, both_bad, no_error, only_candidate_error, only_baseline_error, both_error, timed] AS counts,
    ARRAY[baseline_time, candidate_time, baseline_squares, candidate_squares, products] AS sums FROM model_mgr.deployment_pair_sum;
CREATE VIEW pg_temp.plain AS
WITH half AS (
    SELECT deployment_id, request, arm, coalesce(bool_and(success) FILTER (WHERE feedback), bool_and(success) FILTER (WHERE NOT feedback)) AS good,
        bool_or(error_type IS NOT NULL) FILTER (WHERE NOT feedback) AS error, avg(response_time) FILTER (WHERE NOT feedback) AS seconds
    FROM model_mgr.observation WHERE arm IN (0, 1) GROUP BY 1, 2, 3),
pair AS (SELECT b.deployment_id, b.good AS b, c.good AS c, b.error AS be, c.error AS ce, b.seconds AS bt, c.seconds AS ct
    FROM half b JOIN half c USING (deployment_id, request) WHERE b.arm = 0 AND c.arm = 1)
SELECT deployment_id, ARRAY[count(*) FILTER (WHERE b AND c), count(*) FILTER (WHERE b AND NOT c), count(*) FILTER (WHERE NOT b AND c), count(*) FILTER (WHERE NOT b AND NOT c),
    count(*) FILTER (WHERE NOT be AND NOT ce), count(*) FILTER (WHERE NOT be AND ce), count(*) FILTER (WHERE be AND NOT ce), count(*) FILTER (WHERE be AND ce), count(bt + ct)] AS counts,
    ARRAY[sum(bt) FILTER (WHERE ct IS NOT NULL), sum(ct) FILTER (WHERE bt IS NOT NULL), sum(bt * bt) FILTER (WHERE ct IS NOT NULL), sum(ct * ct) FILTER (WHERE bt IS NOT NULL), sum(bt * ct)] AS sums
FROM pair GROUP BY 1;

-- min_requests counts pairs: a half is nothing yet.
SELECT pg_temp.shadow('pairs') AS id \gset
SELECT pg_temp.ask('pairs', 120);
SELECT count(model_mgr.record_outcome(shadow_decision, true, 0.2)) FROM answer;
SELECT count(model_mgr.record_outcome(decision, i > 5, 0.2)) FROM answer WHERE i <= 90;
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT is(pg_temp.tick(), 0::bigint, '120 outcomes of the candidate, 90 of the baseline');
SELECT is(pg_temp.waits('pairs'), 'it waits for 10 more pairs of outcomes of this step (90 of 100); time allows the next step since 2026-01-01 00:01:00 UTC [min_requests]', 'are 90 pairs');
SELECT is((SELECT what FROM model_mgr.explain_deployment(:id) ORDER BY "time" DESC, what LIMIT 1), 'holds: 90 of 100 pairs in this step', 'says the diary');
SELECT is((SELECT counts FROM pg_temp.stored WHERE deployment_id = :id), '{85,0,5,0,90,0,0,0,90}', 'their sums');
SELECT is((SELECT format('%s %s of %s', verdict, round(candidate_value::numeric, 4), samples) FROM model_mgr.rollout_status(:id) WHERE rule = 'guard' AND metric_name = 'success_rate'), 'pass 1.0000 of 90', 'the guard has them');
SELECT is((SELECT baseline_value FROM model_mgr.rollout_status(:id) WHERE rule = 'guard' AND metric_name = 'success_rate'), 85 / 90::float8, 'on both sides');
-- Known later: a pair is counted when both are, and again otherwise when feedback corrects it.
SELECT count(model_mgr.record_outcome(decision)) FROM answer WHERE i > 90;
SELECT is(pg_temp.tick(), 0::bigint, 'not known yet');
SELECT is((SELECT counts FROM pg_temp.stored WHERE deployment_id = :id), '{85,0,5,0,120,0,0,0,90}', 'recorded, but not known');
SELECT count(model_mgr.record_feedback(decision, true)) FROM answer WHERE i > 100;
SELECT count(model_mgr.record_feedback(shadow_decision, false)) FROM answer WHERE i IN (1, 50);
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('pairs'), '1 completed 0 1', 'the hundredth pair and more: it has passed');
SELECT is((SELECT counts FROM pg_temp.stored WHERE deployment_id = :id), '{104,1,4,1,120,0,0,0,90}', 'corrected by the truth');
SELECT is((SELECT counts FROM pg_temp.plain WHERE deployment_id = :id), (SELECT counts FROM pg_temp.stored WHERE deployment_id = :id), 'as the rows say');
SELECT is((SELECT format('%s %s %s %s', both_good, only_baseline_good, only_candidate_good, both_bad) FROM model_mgr.shadow_pairs(:id)), '104 1 4 1', 'and shadow_pairs()');
SELECT is((SELECT count(*) FROM model_mgr.deployment_pair) || ' ' || (SELECT cleared FROM model_mgr.deployment_pair_sum WHERE deployment_id = :id), '0 true', 'the pairs of what has ended are cleared away, the sums stay');

-- Hard requests fail on both sides: what is added by the candidate convicts it by pairs; as two groups nobody could say so.
SELECT pg_temp.at('2026-01-01 01:00:00+00');
SELECT pg_temp.shadow('worse', '{"min_requests": 1000}') AS id \gset
SELECT pg_temp.ask('worse', 300);
SELECT count(model_mgr.record_outcome(decision, i % 3 > 0, 0.2)) FROM answer WHERE name = 'worse';
SELECT count(model_mgr.record_outcome(shadow_decision, i % 3 > 0 AND i % 11 > 0, 0.2)) FROM answer WHERE name = 'worse';
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('worse'), '1 rolled_back 0 1', 'taken back');
SELECT matches((SELECT status_reason FROM model_mgr.get_deployment(:id)),
    '^the guard finds the success rate 0.6067 worse than the baseline''s 0.6667 by more than the margin 0.01, over 300 and 300 samples of the same requests \(always-valid p = ', 'why');
SELECT is(model_mgr.replay_evidence(e.evidence), 'roll_back (guard)', 'replayed from its evidence') FROM model_mgr.explain_deployment(:id) e WHERE e.status = 'rolled_back';
SELECT is(model_mgr.replay_evidence(jsonb_set(e.evidence, '{strata,0,pairs,failures}', '{"neither": 182, "only_candidate": 18, "only_baseline": 18, "both": 82}')), 'hold (step_seconds)',
    'as many the other way round, as two independent groups might have: no case') FROM model_mgr.explain_deployment(:id) e WHERE e.status = 'rolled_back';
-- Slower by a quarter, on requests that take from a tenth of a second to a minute.
SELECT pg_temp.shadow('slow', '{"min_requests": 1000}') AS id \gset
SELECT pg_temp.ask('slow', 300);
SELECT count(model_mgr.record_outcome(decision, true, 0.1 * exp(i * 0.02))) + count(model_mgr.record_outcome(shadow_decision, true, 0.125 * exp(i * 0.02))) FROM answer WHERE name = 'slow';
SELECT is(pg_temp.tick() || ' ' || pg_temp.state('slow'), '1 rolled_back 0 1', 'the time of pairs');
SELECT alike((SELECT status_reason FROM model_mgr.get_deployment(:id)), 'the guard finds the mean response time % of the same requests %', 'says so');

-- The sums against the rows, after halves, corrections and errors in many folds; while it warms up nothing counts.
SELECT setseed(0.6);
SELECT pg_temp.at('2026-01-01 02:00:00+00');
SELECT pg_temp.shadow('random', '{"min_requests": 100000, "guard": "off"}', 50) AS id \gset
SELECT pg_temp.ask('random', 400);
CREATE PROCEDURE pg_temp.round() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM model_mgr.record_outcome(CASE WHEN random() < 0.5 THEN decision ELSE coalesce(shadow_decision, decision) END, CASE WHEN random() < 0.8 THEN random() < 0.6 END,
        CASE WHEN random() < 0.8 THEN random() END, error_type => CASE WHEN random() < 0.4 THEN 'timeout' END) FROM answer WHERE name = 'random' AND random() < 0.3;
    PERFORM model_mgr.record_feedback(CASE WHEN random() < 0.5 THEN decision ELSE coalesce(shadow_decision, decision) END, random() < 0.6) FROM answer WHERE name = 'random' AND random() < 0.1;
END $$;
CALL pg_temp.round(); SELECT pg_temp.tick(); CALL pg_temp.round(); SELECT pg_temp.tick(); CALL pg_temp.round(); CALL pg_temp.round(); SELECT pg_temp.tick(); CALL pg_temp.round(); SELECT pg_temp.tick();
SELECT is(s.counts, p.counts, 'pairs of outcomes') FROM pg_temp.stored s JOIN pg_temp.plain p USING (deployment_id) WHERE deployment_id = :id;
SELECT cmp_ok(least(counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], counts[7], counts[8]), '>', 0::bigint, 'of every kind') FROM pg_temp.stored WHERE deployment_id = :id;
-- Nothing of the past is read again.
SELECT (model_mgr.adjust_deployment(:id, '{"guard": "sequential"}')).status;
CREATE TEMP TABLE said AS SELECT metric_name, candidate_value, baseline_value, samples FROM model_mgr.rollout_status(:id) WHERE rule = 'guard';
SELECT cmp_ok((SELECT sum(samples) FROM said), '>', 100::numeric, 'the guard has numbers');
SET client_min_messages = warning;
TRUNCATE model_mgr.observation;
RESET client_min_messages;
SELECT results_eq(format('SELECT metric_name, candidate_value, baseline_value, samples FROM model_mgr.rollout_status(%s) WHERE rule = ''guard''', :id), 'SELECT * FROM said', 'without a single row');
-- By name nothing can be paired: the candidate's outcomes count as they did.
SELECT pg_temp.shadow('named', '{"min_requests": 20}');
SELECT pg_temp.outcomes('named', '2', 20, 20);
SELECT pg_temp.at('2026-01-01 03:00:00+00');
SELECT pg_temp.tick();
SELECT is(pg_temp.state('named'), 'completed 0 1', 'recorded by name');
SELECT is((SELECT count(*) FROM model_mgr.get_active_alerts() WHERE model_name = 'named'), 0::bigint, 'which is no reason for a warning');
-- While it warms up nothing counts.
SELECT pg_temp.shadow('warm', '{"warmup_seconds": 300}') AS id \gset
SELECT pg_temp.ask('warm', 50);
SELECT count(model_mgr.record_outcome(decision, true)) + count(model_mgr.record_outcome(shadow_decision, true)) FROM answer WHERE name = 'warm';
SELECT pg_temp.tick();
SELECT is((SELECT count(*) FROM model_mgr.deployment_pair WHERE deployment_id = :id), 0::bigint, 'routed while warming up');
SELECT (model_mgr.abort_deployment(:id)).status;
SELECT is(model_mgr.replay_evidence(evidence), evidence ->> 'decision', format('%s: %s', d.model_name, evidence ->> 'decision'))
FROM model_mgr.deployment_event e JOIN model_mgr.deployment d USING (deployment_id) WHERE e.evidence ? 'decision' ORDER BY e.deployment_event_id;
SELECT * FROM finish();
