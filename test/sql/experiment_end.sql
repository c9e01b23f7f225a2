-- Ends by hand and what follows from a winner: stop_test, promote_winner, assert_ab_test_winner; tests of several arms;
-- views; shares that move; refusals.
\i test/fresh.psql
\i test/experiment.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SET client_min_messages = warning;

-- Stopped once; the first reason stays. Without a crossed boundary nobody has won.
SELECT pg_temp.make_test('stopped', 'min_sample_size_per_variant => 100');
SELECT pg_temp.results('stopped', 'control', 500, 250), pg_temp.results('stopped', 'treatment', 500, 270);
SELECT is(model_mgr.stop_test('stopped', 'budget is gone'), true, 'stopped');
SELECT is(model_mgr.stop_test('stopped', 'again'), false, 'once');
SELECT is(pg_temp.stands('stopped') || ' ' || stop_reason || ' ' || stopped_at, 'stopped inconclusive - budget is gone 2026-01-01 00:00:00+00', 'with its reason') FROM model_mgr.ab_test WHERE test_id = 'stopped';
SELECT matches(recommendation, '^keep control: budget is gone; inconclusive: success_rate 0.54 over 500 outcomes against 0.5 over 500 in control, difference 0.04', 'and says what to do') FROM model_mgr.get_test_results('stopped');
SELECT is(array_agg(operation ORDER BY audit_id), '{create_test,stop_test}', 'audit') FROM model_mgr.audit_log WHERE details ->> 'test_id' = 'stopped';
SELECT is(concat_ws(' ', type, model_name, version, data ->> 'status', data ->> 'stop_reason', data ->> 'samples_treatment'), 'test.stopped m 2 stopped budget is gone 500', 'event') FROM model_mgr.event WHERE type = 'test.stopped';
-- With one that has, the winner is kept.
SELECT pg_temp.make_test('won', 'min_sample_size_per_variant => 100');
SELECT pg_temp.results('won', 'control', 1000, 500), pg_temp.results('won', 'treatment', 1000, 900);
SELECT is(model_mgr.stop_test('won'), true, 'its last look decides');
SELECT is(pg_temp.stands('won'), 'stopped stopped_early treatment', 'the winner');
-- A clock that was set back ends nothing before it began.
SELECT pg_temp.make_test('back'), pg_temp.at('2025-12-31 00:00:00+00');
SELECT is(model_mgr.stop_test('back'), true, 'stopped with an earlier clock');
SELECT is(array_agg(DISTINCT x), '{"2026-01-01 00:00:00+00"}', 'at its beginning') FROM model_mgr.ab_test t, model_mgr.get_test_results('back') r, unnest(ARRAY[t.started_at, t.stopped_at, r.analyzed_at]::text[]) x WHERE t.test_id = 'back';
SELECT pg_temp.at('2026-01-01 00:00:00+00');
-- Nothing at all.
SELECT pg_temp.make_test('empty');
SELECT is(model_mgr.stop_test('empty', NULL), true, 'without results, without a reason');
SELECT is(pg_temp.stands('empty'), 'stopped no_data -', 'no data');

-- A pipeline's question.
SELECT lives_ok($$SELECT model_mgr.assert_ab_test_winner('won', 'treatment')$$, 'has won');
SELECT is(pg_temp.code(s), c, s) FROM (VALUES
    ($$SELECT model_mgr.assert_ab_test_winner('won', 'control')$$, '55000'), ($$SELECT model_mgr.assert_ab_test_winner('stopped', 'treatment')$$, '55000'), ($$SELECT model_mgr.assert_ab_test_winner('stopped', 'b')$$, '22023'),
    ($$SELECT model_mgr.assert_ab_test_winner('none', 'treatment')$$, '42704'), ($$SELECT model_mgr.assert_ab_test_winner('won', NULL)$$, '22004'), ($$SELECT model_mgr.analyze_test('none')$$, '42704'), ($$SELECT model_mgr.analyze_test(NULL)$$, '22004'),
    ($$SELECT model_mgr.stop_test('none')$$, '42704'), ($$SELECT model_mgr.stop_test(NULL)$$, '22004'), ($$SELECT model_mgr.promote_winner('none')$$, '42704'), ($$SELECT model_mgr.promote_winner('stopped')$$, '55000'),
    ($$SELECT model_mgr.promote_winner('won')$$, '55000'), ($$SELECT model_mgr.promote_winner(NULL)$$, '22004')) x (s, c);
SELECT is((SELECT count(*) FROM model_mgr.get_test_results(t)) + (SELECT count(*) FROM model_mgr.get_test_metrics(t)) + (SELECT count(*) FROM model_mgr.get_test_status(t)), 0::bigint, 'who looks finds nothing') FROM unnest('{none,NULL}'::text[]) t;

-- A winner that is in the registry goes out.
SELECT pg_temp.make_model('m', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('m', '1')).status;
SELECT pg_temp.make_test('best', 'min_sample_size_per_variant => 100');
SELECT is(pg_temp.code($$SELECT model_mgr.promote_winner('best')$$), '55000', 'nobody has won yet');
SELECT pg_temp.results('best', 'control', 1000, 500), pg_temp.results('best', 'treatment', 1000, 900);
SELECT is(concat_ws(' ', d.version, d.strategy, d.status), '2 blue_green running', 'promoted') FROM model_mgr.promote_winner('best', 'blue_green') d;
SELECT is(pg_temp.stands('best'), 'completed stopped_early treatment', 'which ended the test');
SELECT is(d.deployment_id, pg_temp.newest('m'), 'again: the same deployment') FROM model_mgr.promote_winner('best', 'blue_green') d;
SELECT is(pg_temp.code($$SELECT model_mgr.promote_winner('best', 'nonsense')$$), '22023', 'unknown strategy');
-- Control has won, and serves.
SELECT pg_temp.make_test('worst', 'min_sample_size_per_variant => 100');
SELECT pg_temp.results('worst', 'control', 1000, 900), pg_temp.results('worst', 'treatment', 1000, 500);
SELECT (model_mgr.abort_deployment(pg_temp.newest('m'))).status;
SELECT is(concat_ws(' ', d.version, d.status), '1 completed', 'control goes on serving') FROM model_mgr.promote_winner('worst') d;
SELECT is(pg_temp.stands('worst'), 'completed stopped_early control', 'control has won');

-- Several arms: each against control.
SELECT pg_temp.make_test('three', 'min_sample_size_per_variant => 100, arms => ''[{"variant": "b", "version": "3", "share": 0.25}]'', traffic_split => 0.25');
SELECT pg_temp.results('three', 'control', 1000, 500), pg_temp.results('three', 'treatment', 500, 250), pg_temp.results('three', 'b', 500, 400);
SELECT is(concat_ws(' ', r.status, r.winning_variant, round(r.effect_size::numeric, 3), r.samples_treatment), 'stopped_early b 0.300 500', 'the third has won') FROM model_mgr.analyze_test('three') r;
SELECT is(array_agg(format('%s %s %s', variant, round(difference::numeric, 3), p_value_adjusted >= p_value)), '{"treatment 0.000 t","b 0.300 t"}', 'both are compared')
FROM model_mgr.get_test_metrics('three') WHERE role = 'primary';
SELECT is(array_agg(format('%s %s %s %s %s %s', variant, version, samples, round(mean::numeric, 2), coalesce(round(difference::numeric, 2), 0), share) ORDER BY variant),
    '{"b 3 500 0.80 0.30 0.25","control 1 1000 0.50 0 0.5","treatment 2 500 0.50 0.00 0.25"}', 'arms in the view') FROM model_mgr.ab_test_status WHERE test_id = 'three';
SELECT is(concat_ws(' ', d.version, d.status), '3 running', 'the third is promoted') FROM model_mgr.promote_winner('three', 'canary') d;

-- Holm and roles.
SELECT pg_temp.make_test('many', 'secondary_metrics => ''{response_time,confidence}'', guardrails => ''[{"metric": "error_rate", "max_increase": 0.5}]''');
SELECT pg_temp.results('many', v, 200, 100, CASE v WHEN 'control' THEN 1.0 ELSE 1.1 END, '{"confidence": 0.5}') FROM unnest('{control,treatment}'::text[]) v;
SELECT pg_temp.results('many', v, 200, 100, CASE v WHEN 'control' THEN 3.0 ELSE 3.3 END, '{"confidence": 0.52}') FROM unnest('{control,treatment}'::text[]) v;
SELECT metric_name, role, variant, direction, mean_control, mean_variant, samples_control, samples_variant, round(difference::numeric, 3) AS difference, round(relative_lift::numeric, 3) AS lift,
    p_value < 0.05 AS small, round((p_value_adjusted / p_value)::numeric, 2) AS times, significant, cuped_difference FROM model_mgr.get_test_metrics('many');

-- A test that carries the traffic: when its guardrail breaks, the transaction that ends it sends everybody to control.
-- What users did before explains most of how they differ; quantiles have intervals too.
SELECT pg_temp.make_model('carried', '1', '2');
SELECT (model_mgr.deploy_model_version('carried', '1')).status;
SELECT count(model_mgr.update_model_metrics('carried', '1', 1 + i % 200 / 20.0 + i * 7919 % 100 / 1000.0, true, unit_id => 'u' || i % 200)) FROM generate_series(1, 2000) i;
SELECT pg_temp.at('2026-01-02 00:00:00+00');
SELECT (model_mgr.create_test('carried', 'carried', 'carried', '1', 'carried', '2', routes_traffic => true, primary_metric => 'response_time', secondary_metrics => '{p95_response_time,success_rate}',
    min_sample_size_per_variant => 100, guardrails => '[{"metric": "success_rate", "max_decrease": 0.2}]')).status;
CREATE FUNCTION pg_temp.served() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM generate_series(1, 200) i WHERE model_mgr.route_version('carried', 'u' || i) = '2' $$;
SELECT ok(pg_temp.served() BETWEEN 70 AND 130, 'half of the units have the treatment');
SELECT pg_temp.at('2026-01-02 00:10:00+00');
SELECT count(model_mgr.record_outcome(r.decision, r.variant = 'control' OR i % 3 > 0, 1 + i % 200 / 20.0 + i * 7919 % 100 / 1000.0 - CASE r.variant WHEN 'control' THEN 0 ELSE 0.3 END))
FROM generate_series(1, 1000) i, model_mgr.route('carried', 'u' || i % 200) r;
SELECT ok(cuped_difference BETWEEN -0.32 AND -0.28 AND cuped_ci_low < -0.3 + 1e-9 AND cuped_ci_high > -0.3 - 1e-9 AND cuped_ci_high - cuped_ci_low < 0.1 * (ci_high - ci_low), 'the past takes most of the variance out')
FROM model_mgr.get_test_metrics('carried') WHERE role = 'primary';
SELECT ok(mean_control > 10 AND ci_low < difference AND difference < ci_high, 'a quantile') FROM model_mgr.get_test_metrics('carried') WHERE metric_name = 'p95_response_time';
SELECT pg_temp.tick_tests();
SELECT is(concat_ws(' ', status, winning_variant, pg_temp.served()), 'completed control 0', 'ended, and everybody is at control') FROM model_mgr.ab_test WHERE test_id = 'carried';
SELECT pg_temp.at('2026-01-01 00:00:00+00');

-- Shares that move are stored with what they were drawn from, stay within bounds and wait their time.
SELECT pg_temp.make_test('moving', 'allocation => ''thompson''');
SELECT pg_temp.results('moving', 'control', 100, 40), pg_temp.results('moving', 'treatment', 100, 60);
SELECT pg_temp.tick_tests();
SELECT is((SELECT count(*) FROM model_mgr.ab_test_share JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'moving'), 1::bigint, 'not within ten minutes');
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT pg_temp.tick_tests();
SELECT is(concat_ws(' ', count(*), max(s.shares[2]) BETWEEN 0.6 AND 0.9, max(s.from_at)), '2 t 2026-01-01 00:10:00+00', 'then they do') FROM model_mgr.ab_test_share s JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'moving';
SELECT is(model_mgr.replay_test_evidence(evidence), evidence ->> 'decision', 'and are drawn again') FROM model_mgr.ab_test_look l JOIN model_mgr.ab_test_plan p USING (test_no) WHERE p.test_id = 'moving' AND kind = 'shares';
SELECT pg_temp.tick_tests();
SELECT is((SELECT count(*) FROM model_mgr.ab_test_share JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'moving'), 2::bigint, 'and then stay');

-- A model that is deleted takes its tests along, assignment included; their ids are free again.
SELECT pg_temp.make_model('short', '1', '2');
SELECT test_id FROM model_mgr.create_test('of short', 'n', 'short', '1', 'short', '2');
SELECT is(model_mgr.assigned_variant('of short', 'u') IS NOT NULL, true, 'assigned');
SELECT model_mgr.delete_model('short');
SELECT is(pg_temp.code($$SELECT model_mgr.assigned_variant('of short', 'u')$$), '42704', 'not any more');
SELECT is(status, 'running', 'and again') FROM model_mgr.create_test('of short', 'n', 'short', '1', 'short', '2');

-- What a test keeps of each unit goes when no outcome can reach it any more: its sums and its result stay.
SELECT pg_temp.at('2020-01-01 00:00:00+00');
SELECT pg_temp.make_test('old', 'min_sample_size_per_variant => 10');
SELECT model_mgr.record_results('old', jsonb_agg(jsonb_build_object('variant', model_mgr.assigned_variant('old', 'u' || i), 'user_id', 'u' || i, 'success', i % 3 = 0))) FROM generate_series(1, 100) i;
SELECT pg_temp.tick_tests();
CREATE FUNCTION pg_temp.units() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM model_mgr.ab_test_unit JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'old' $$;
SELECT model_mgr.stop_test('old', 'enough');
CREATE TEMP TABLE known AS SELECT m.* FROM model_mgr.get_test_metrics('old') m;
SELECT 'prune test ' || test_no AS task FROM model_mgr.ab_test_plan WHERE test_id = 'old' \gset
SELECT pg_temp.at('2020-03-30 23:59:59+00');
SELECT is(concat_ws(' ', count(*), model_mgr.maintenance_run(:'task'), pg_temp.units()), '0 0 100', 'within retention_days all is there') FROM model_mgr.maintenance_tasks() k (task) WHERE k.task LIKE 'prune test%';
SELECT pg_temp.at('2020-03-31 00:00:01+00');
SELECT is(array_agg(k.task), ARRAY[:'task'], 'then it is a task') FROM model_mgr.maintenance_tasks() k (task) WHERE k.task LIKE 'prune test%';
SELECT is(model_mgr.maintenance_run(:'task'), 100::bigint, 'that deletes the units');
SELECT is(concat_ws(' ', count(*), pg_temp.units()), '0 0', 'once') FROM model_mgr.maintenance_tasks() k (task) WHERE k.task LIKE 'prune test%';
SELECT is(count(*), 3::bigint, 'what is known of it is the same') FROM (SELECT m.* FROM model_mgr.get_test_metrics('old') m INTERSECT SELECT * FROM known) x;
SELECT is(samples_control + samples_treatment, 100::bigint, 'and so is its result') FROM model_mgr.get_test_results('old');
SELECT * FROM finish();
