-- A shadow: users get the stable version, the application is told what to call beside; both outcomes are a pair.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
\i test/rollout.psql
SELECT plan(36);

SELECT pg_temp.at('2026-01-05 12:00:00+00') \g /dev/null
SELECT pg_temp.make_model('m', '1.0.0', '2.0.0') \g /dev/null
SELECT deployment_id FROM deploy_model_version('m', '1.0.0') \g /dev/null
SELECT deployment_id AS id FROM deploy_model_version('m', '2.0.0', strategy => 'shadow', traffic_percentage => 40, auto_rollback_enabled => false) \gset
CREATE TEMP TABLE answer AS SELECT 'user-' || i AS unit_id, r.* FROM generate_series(1, 1000) i CROSS JOIN LATERAL route('m', 'user-' || i) r;

-- Users never get it; who has a shadow is drawn by the deployment's key.
SELECT set_eq('SELECT DISTINCT value, variant, reason, deployment_id FROM answer', format($$VALUES ('1.0.0', 'stable', 'STATIC', %s::bigint)$$, :id),
    'everybody is served by the stable version');
SELECT is_empty($$SELECT FROM answer WHERE value IS DISTINCT FROM route_version('m', unit_id)$$, 'route_version agrees');
SELECT is_empty($$SELECT FROM answer WHERE value IS DISTINCT FROM route_at('m', unit_id, '2026-01-05 12:00:00+00')$$, 'route_at agrees');
SELECT is_empty($$SELECT FROM answer a, routing r WHERE (a.shadow_version IS NOT NULL) <> (bucket(r.bucket_key, a.unit_id) < 4000)$$,
    'whoever knows the key knows who has a shadow');
SELECT ok(count(shadow_version) BETWEEN 320 AND 480, 'about four in ten') FROM answer;
SELECT set_eq('SELECT DISTINCT shadow_version FROM answer', $$VALUES ('2.0.0'), (NULL)$$, 'the one that is deployed');
SELECT is_empty('SELECT FROM answer WHERE (shadow_version IS NULL) <> (shadow_decision IS NULL)', 'with a decision of its own');
SELECT is_empty($$SELECT FROM answer a CROSS JOIN LATERAL explain_route('m', a.unit_id) e WHERE e.rule = 'stable' AND (NOT e.matched OR e.version <> a.value)$$,
    'explain_route: stable decides');
SELECT is_empty($$SELECT FROM answer a, routing r, LATERAL explain_route('m', a.unit_id) e WHERE e.rule = 'shadow' AND (e.position <> 3
    OR e.matched <> (a.shadow_version IS NOT NULL) OR e.bucket <> bucket(r.bucket_key, a.unit_id) OR e.bucket_limit <> 4000 OR e.version <> '2.0.0')$$,
    'and the shadow comes behind it, as route() has it');
SELECT is((SELECT count(*) FROM answer a CROSS JOIN LATERAL explain_route('m', a.unit_id) e WHERE e.rule = 'shadow'), 1000::bigint, 'for each unit');
SELECT is((SELECT string_agg(rule || coalesce(' ' || version, '') || ' ' || matched || ': ' || detail, '; ' ORDER BY position) FROM explain_route('m')),
    format('pin false: there is no unit; stable 1.0.0 true: the baseline of deployment %1$s; shadow 2.0.0 false: deployment %1$s, step 1, share 40 %%: there is no unit to draw by', :id),
    'in words');
SELECT is((SELECT shadow_version FROM route('m')), NULL, 'no unit, no shadow, as in a split');
SELECT is((SELECT shadow_version FROM route('m', '')), NULL, 'nor an empty one');
SELECT is((SELECT format('%s %s %s %s', stable_version, candidate_version, shadow_version, shadow_weight) FROM routing_history ORDER BY model_id, revision DESC LIMIT 1),
    '1.0.0  2.0.0 4000', 'the history has it');

-- Who is sent elsewhere has none: the pair would not be of the stable version.
SELECT unit_id AS drawn FROM answer WHERE shadow_version IS NOT NULL ORDER BY unit_id LIMIT 1 \gset
SELECT pin_unit('m', :'drawn', '1.0.0') \g /dev/null
SELECT is((SELECT shadow_version FROM route('m', :'drawn')), NULL, 'a pinned unit has no shadow');
SELECT is((SELECT count(*) FROM explain_route('m', :'drawn')), 1::bigint, 'and the explanation ends with the pin');
SELECT unpin_unit('m', :'drawn') \g /dev/null
SELECT set_segment('m', 'german', '{"country": "DE"}', '1.0.0') \g /dev/null
SELECT is((SELECT shadow_version FROM route('m', :'drawn', '{"country": "DE"}')), NULL, 'nor has who is in a segment');
SELECT is((SELECT shadow_version FROM route('m', :'drawn', '{"country": "FR"}')), '2.0.0', 'others have');

-- Both outcomes are recorded: credited to their versions, arms and rollout, under one request number.
SELECT pg_temp.at('2026-01-05 12:01:00+00') \g /dev/null
SELECT count(record_outcome(decision, n % 10 <> 0, 0.5)) FROM (SELECT row_number() OVER (ORDER BY unit_id) AS n, * FROM answer WHERE shadow_decision IS NOT NULL) a \g /dev/null
SELECT count(record_outcome(shadow_decision, n % 5 <> 0, 0.7 + n % 2 * 0.2)) FROM (SELECT row_number() OVER (ORDER BY unit_id) AS n, * FROM answer WHERE shadow_decision IS NOT NULL) a \g /dev/null
SELECT count(record_outcome(decision, true, 0.5)) FROM answer WHERE shadow_decision IS NULL \g /dev/null
SELECT results_eq($$SELECT v.version, o.arm, o.step, count(*), count(DISTINCT o.request) FROM observation o JOIN model_version v USING (version_id)
        GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS LAST$$,
    $$SELECT '1.0.0', 0::smallint, 1, count(*), count(*) FROM answer WHERE shadow_version IS NOT NULL UNION ALL
    SELECT '1.0.0', NULL::smallint, 1, count(*), count(*) FROM answer WHERE shadow_version IS NULL UNION ALL
    SELECT '2.0.0', 1::smallint, 1, count(*), count(*) FROM answer WHERE shadow_version IS NOT NULL$$, 'versions, arms and step');
SELECT is_empty(format('SELECT FROM observation WHERE deployment_id IS DISTINCT FROM %s', :id), 'all of the rollout');
SELECT is_empty('SELECT FROM observation WHERE arm IN (0, 1) GROUP BY request HAVING count(*) <> 2 OR count(DISTINCT arm) <> 2 OR count(DISTINCT unit_hash) <> 1 OR count(DISTINCT routed_at) <> 1',
    'request, unit and time are the same on both sides');
SELECT tick() \g /dev/null
SELECT is((SELECT sum(requests)::bigint FROM rollup_minute WHERE deployment_id = :id AND arm = 1), (SELECT count(shadow_version) FROM answer), 'folded so');

-- Pairs: against the aggregates over the rows.
CREATE TEMP VIEW pair AS SELECT request, bool_and(success) FILTER (WHERE arm = 0) AS b, bool_and(success) FILTER (WHERE arm = 1) AS c,
    avg(response_time) FILTER (WHERE arm = 0) AS b_time, avg(response_time) FILTER (WHERE arm = 1) AS c_time
FROM observation WHERE arm IN (0, 1) GROUP BY request;
SELECT results_eq(format('SELECT pairs, both_good, only_baseline_good, only_candidate_good, both_bad, response_time_pairs FROM shadow_pairs(%s)', :id),
    'SELECT count(*), count(*) FILTER (WHERE b AND c), count(*) FILTER (WHERE b AND NOT c), count(*) FILTER (WHERE NOT b AND c), count(*) FILTER (WHERE NOT b AND NOT c), count(*) FROM pair',
    'pairs are counted');
SELECT ok(only_baseline_good > 0 AND both_bad > 0 AND both_good > 0, 'of several kinds') FROM shadow_pairs(:id);
SELECT is((SELECT since FROM shadow_pairs(:id)), '2026-01-05 12:00:00+00'::timestamptz, 'since the step began');
SELECT ok(abs(p.success_p_value - t.p_value) < 1e-12 AND abs(p.success_difference - t.effect) < 1e-12, 'McNemar''s test')
FROM shadow_pairs(:id) p, (SELECT (mcnemar_test(b, c)).* FROM pair) t;
SELECT ok(abs(p.response_time_p_value - t.p_value) < 1e-12 AND abs(p.response_time_difference - avg) < 1e-12, 'the paired t-test')
FROM shadow_pairs(:id) p, (SELECT (paired_t_test(b_time, c_time)).* FROM pair) t, (SELECT avg(c_time - b_time) FROM pair) a;

-- Truth that comes later decides; one side alone is no pair.
SELECT r.* FROM route('m', :'drawn') r \gset late_
SELECT pairs, both_good, both_bad FROM shadow_pairs(:id) \gset before_
SELECT record_outcome(:'late_decision') \g /dev/null
SELECT record_outcome(:'late_shadow_decision', true) \g /dev/null
SELECT is((SELECT pairs FROM shadow_pairs(:id)), :before_pairs::bigint, 'an outcome that is not known yet makes no pair');
SELECT record_feedback(:'late_decision', false) \g /dev/null
SELECT record_feedback(:'late_shadow_decision', false) \g /dev/null
SELECT is((SELECT both_bad FROM shadow_pairs(:id)), :before_both_bad + 1::bigint, 'feedback is the truth');
SELECT is((SELECT pairs FROM shadow_pairs(:id)), :before_pairs + 1::bigint, 'of one pair more');
SELECT is_empty('SELECT FROM shadow_pairs(-1)', 'what does not exist has none');
SELECT is_empty('SELECT FROM shadow_pairs(1)', 'nor has what is no shadow');
SELECT is(pg_temp.code('SELECT shadow_pairs(NULL)'), '22004', 'NULL');

-- The whole of the traffic needs no unit.
SELECT abort_deployment(:id) \g /dev/null
SELECT is((SELECT shadow_version FROM route('m', :'drawn')), NULL, 'an ended one has no shadow');
SELECT deployment_id AS id FROM deploy_model_version('m', '2.0.0', strategy => 'shadow') \gset
SELECT is((SELECT count(shadow_version) FROM generate_series(1, 100) i CROSS JOIN LATERAL route('m', nullif('u' || i, 'u1'))), 100::bigint, 'all of 100 %, without a unit too');
SELECT update_model_metrics('m', '2.0.0', 0.5, true) \g /dev/null
SELECT is((SELECT deployment_id FROM observation ORDER BY deployment_id DESC LIMIT 1), :id::bigint, 'what is recorded by the shadow''s name belongs to it');

SELECT * FROM finish();
