-- get_model_comparison(): each version beside the first, by the tests that the statistics offer over the very rows.
\i test/fresh.psql
\i test/rollout.psql
\i test/metric.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3', '4');
SELECT version FROM model_mgr.deploy_model_version('m', '1');
SELECT model_mgr.set_alias('m', 'champion', '1');
SELECT pg_temp.traffic(1, 4000, '2026-01-10 12:01:00+00', '15 s');
SELECT pg_temp.traffic(2, 4000, '2026-01-10 12:01:00+00', '16 s');
-- 2 is slower, dearer, and asks for refunds more often, which nobody said is bad; its quality is better, which somebody said is good
UPDATE model_mgr.observation SET response_time = response_time * 1.5, cost = cost * 1.2, metrics = jsonb_set(metrics, '{refunds}', '1') WHERE version_id = 2;
UPDATE model_mgr.observation SET metrics = coalesce(metrics, '{}') || jsonb_build_object('quality', version_id + extract(second FROM recorded_at)::integer % 5, 'complaints', version_id + extract(second FROM recorded_at)::integer % 7);
INSERT INTO model_mgr.metric VALUES ('quality', true, NULL, 'as judged'), ('complaints', false, NULL, NULL), ('refunds', NULL, 'money', NULL);
-- 3: two outcomes, nothing known of them but their time; 4: nothing
INSERT INTO model_mgr.observation (recorded_at, version_id) VALUES ('2026-01-10 11:00:00+00', 3), ('2026-01-10 11:30:00+00', 3);

CREATE TEMP VIEW seen AS SELECT * FROM model_mgr.observation WHERE recorded_at > model_mgr.clock_time() - '24:00:00'::interval AND recorded_at <= model_mgr.clock_time();
CREATE TEMP VIEW truth AS
SELECT m.metric_name, v.version, t.test, t.control, t.treatment FROM (VALUES ('2', 2), ('3', 3)) v (version, id),
LATERAL (
    SELECT 'success_rate' AS metric_name, model_mgr.z_test(version_id = v.id, success) AS test FROM seen WHERE version_id IN (1, v.id)
    UNION ALL SELECT 'error_rate', model_mgr.z_test(version_id = v.id, error_type IS NOT NULL) FROM seen WHERE version_id IN (1, v.id) AND NOT feedback
    UNION ALL SELECT 'avg_response_time', model_mgr.t_test(version_id = v.id, response_time) FROM seen WHERE version_id IN (1, v.id)
    UNION ALL SELECT 'confidence_score', model_mgr.t_test(version_id = v.id, confidence) FROM seen WHERE version_id IN (1, v.id)
    UNION ALL SELECT 'cost_per_request', model_mgr.t_test(version_id = v.id, cost) FROM seen WHERE version_id IN (1, v.id)
    UNION ALL SELECT 'input_tokens', model_mgr.t_test(version_id = v.id, input_tokens::float8) FROM seen WHERE version_id IN (1, v.id)
    UNION ALL SELECT 'output_tokens', model_mgr.t_test(version_id = v.id, output_tokens::float8) FROM seen WHERE version_id IN (1, v.id)
    UNION ALL SELECT k, model_mgr.t_test(version_id = v.id, (metrics->>k)::float8) FROM seen, unnest('{quality,refunds,complaints}'::text[]) k WHERE version_id IN (1, v.id) GROUP BY k) m,
LATERAL (SELECT m.test, (m.test).n_control AS control, (m.test).n_treatment AS treatment) t;
CREATE FUNCTION pg_temp.compare(state text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is((SELECT count(*) FROM model_mgr.get_model_comparison('m', '{1,2,3}') WHERE version = '2' AND p_value IS NOT NULL), 13::bigint, state || ': rates and means of version 2 are tested')
    UNION ALL
    SELECT is((SELECT coalesce(string_agg(format('%s of %s: %s', c.metric_name, c.version, c), '; '), '') FROM model_mgr.get_model_comparison('m', '{1,2,3}') c JOIN truth t USING (metric_name, version)
        WHERE c.samples IS DISTINCT FROM t.treatment OR NOT pg_temp.same('', coalesce(c.difference, 7), coalesce((t.test).effect, 7)) OR NOT pg_temp.same('', coalesce(c.ci_low, 7), coalesce((t.test).ci_low, 7))
           OR NOT pg_temp.same('', coalesce(c.ci_high, 7), coalesce((t.test).ci_high, 7)) OR abs(coalesce(c.p_value, 7) - coalesce((t.test).p_value, 7)) > 1e-9), '', state || ': as the tests over the rows have it')
$$;
SELECT pg_temp.compare('not folded');
SELECT pg_temp.fold() > 0 AS folded;
SELECT pg_temp.compare('folded');
SELECT count(*) > 0 AS ticked FROM model_mgr.tick();
SELECT pg_temp.compare('by hours');

SELECT is(array_agg(format('%s %s', metric_name, coalesce(better::text, '-')) ORDER BY n), ARRAY['success_rate -', 'error_rate -', 'avg_response_time false', 'p50_response_time -', 'p95_response_time -', 'p99_response_time -', 'confidence_score -',
    'cost_per_request false', 'input_tokens -', 'output_tokens -', 'requests_per_minute -', 'complaints false', 'größe -', 'it''s "odd" -', 'quality true', 'refunds -', repeat('ü', 127) || 'x -'], 'better only where it is shown, by each metric''s direction')
FROM model_mgr.get_model_comparison('m', '{1,2}') WITH ORDINALITY c (metric_name, version, value, samples, difference, ci_low, ci_high, p_value, better, n) WHERE version = '2';
SELECT ok(bool_and(better), 'and the other way round') FROM model_mgr.get_model_comparison('m', '{2,1}') WHERE version = '1' AND metric_name = ANY ('{avg_response_time,cost_per_request,complaints}');
SELECT is_empty($$SELECT metric_name FROM model_mgr.get_model_comparison('m', '{1,2}') WHERE metric_name ~ '^p\d\d_|^requests' AND version = '2' AND (difference IS NULL OR ci_low IS NOT NULL OR ci_high IS NOT NULL OR p_value IS NOT NULL OR better IS NOT NULL)$$,
    'quantiles and requests_per_minute: the difference alone');
SELECT is_empty($$SELECT metric_name FROM model_mgr.get_model_comparison('m', '{1,2}') WHERE version = '1' AND (difference IS NOT NULL OR ci_low IS NOT NULL OR p_value IS NOT NULL OR better IS NOT NULL OR value IS NULL)$$,
    'the baseline is compared with nothing');
SELECT is_empty($$SELECT metric_name FROM model_mgr.get_model_comparison('m', '{1,2,3,4}') GROUP BY metric_name HAVING count(*) <> 4$$, 'every metric has a row for every version');
SELECT is(array_agg(DISTINCT format('%s %s', value, samples)), '{" 0"}', 'a version without data: value NULL of 0 samples') FROM model_mgr.get_model_comparison('m', '{1,2,3,4}') WHERE version = '4';
SELECT is(array_agg(DISTINCT version), '{1,2,3}', 'no versions named: those that have data') FROM model_mgr.get_model_comparison('m');
SELECT is((array_agg(version))[1:3], '{1,3,2}', 'the active one first, then the newest') FROM model_mgr.get_model_comparison('m') WHERE metric_name = 'error_rate';
SELECT results_eq($$SELECT * FROM model_mgr.get_model_comparison('m', '{@champion,2,1,2}')$$, $$SELECT * FROM model_mgr.get_model_comparison('m', '{1,2}')$$, 'aliases stand for versions, each version counts once');
SELECT is_empty($$SELECT * FROM model_mgr.get_model_comparison('m', '{9,2}') WHERE version <> '2' OR difference IS NOT NULL$$, 'without the baseline no difference');
SELECT isnt_empty($$SELECT * FROM model_mgr.get_model_comparison('m', '{9,2}')$$, 'but the values');
SELECT is_empty($$SELECT * FROM model_mgr.get_model_comparison('m', '{1,9}') WHERE version <> '1'$$, 'an unknown version has no row');
SELECT is_empty($$SELECT * FROM model_mgr.get_model_comparison('none')$$, 'nor has an unknown model');
SELECT is_empty($$SELECT * FROM model_mgr.get_model_comparison('m', '{}')$$, 'nor no version');
SELECT is(model_mgr.get_model_comparison_json('none'), '{}', 'as JSON: an empty object');
SELECT ok(NOT EXISTS (SELECT FROM (SELECT v.key AS version, m.key AS metric_name, m.value FROM jsonb_each(model_mgr.get_model_comparison_json('m', '{1,2,3}')) v, jsonb_each(v.value) m) j
    FULL JOIN model_mgr.get_model_comparison('m', '{1,2,3}') c USING (version, metric_name)
    WHERE (j.value->>'value')::float8 IS DISTINCT FROM c.value OR (j.value->>'samples')::bigint IS DISTINCT FROM c.samples OR (j.value->>'difference')::float8 IS DISTINCT FROM c.difference
       OR (j.value->>'ci_low')::float8 IS DISTINCT FROM c.ci_low OR (j.value->>'ci_high')::float8 IS DISTINCT FROM c.ci_high OR (j.value->>'p_value')::float8 IS DISTINCT FROM c.p_value
       OR (j.value->>'better')::boolean IS DISTINCT FROM c.better), 'as JSON: the same, by version and name');
SELECT is(pg_temp.code(s), '22003', s) FROM unnest(ARRAY[$$SELECT * FROM model_mgr.get_model_comparison('m', '{1}', 0)$$, $$SELECT * FROM model_mgr.get_model_comparison('m', '{1}', 2161)$$]) s;
SELECT is(pg_temp.code(s), '22004', s) FROM unnest(ARRAY[$$SELECT * FROM model_mgr.get_model_comparison(NULL)$$, $$SELECT * FROM model_mgr.get_model_comparison('m', '{1,NULL}')$$]) s;
-- The same numbers as the tests give on the same counts, to the last digit.
SELECT pg_temp.make_model('exact', '1', '2');
SELECT pg_temp.outcomes('exact', '1', 20, 19), pg_temp.outcomes('exact', '2', 20, 18);
SELECT results_eq($$SELECT difference, ci_low, ci_high, p_value FROM model_mgr.get_model_comparison('exact', '{1,2}') WHERE metric_name = 'success_rate' AND version = '2'$$,
    $$SELECT effect, ci_low, ci_high, p_value FROM model_mgr.two_proportion_z_test(19, 20, 18, 20) WHERE effect = -0.05$$, 'exactly the test that suits it');

-- What was only reported has a mean and no spread: the difference alone.
SELECT pg_temp.make_model('r', '1', '2');
SELECT model_mgr.record_performance('r', '1', '{"success_rate": 0.9, "accuracy": 0.5}');
SELECT model_mgr.record_performance('r', '2', '{"success_rate": 0.8, "accuracy": 0.7}');
SELECT results_eq($$SELECT metric_name, version, round(difference::numeric, 6), ci_low, p_value, better FROM model_mgr.get_model_comparison('r', '{1,2}')$$,
    $$VALUES ('success_rate', '1', NULL::numeric, NULL::float8, NULL::float8, NULL::boolean), ('success_rate', '2', -0.1, NULL, NULL, NULL), ('accuracy', '1', NULL, NULL, NULL, NULL), ('accuracy', '2', 0.2, NULL, NULL, NULL)$$, 'reported means');
SELECT * FROM finish();
