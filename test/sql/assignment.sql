-- Who is in which arm: the rule and its known answers, fairness, coverage, exclusion groups, no ids, the end; and tests
-- that carry their model's traffic: route(), its history, what stands in their way.
\i test/fresh.psql
\i test/refused.psql
\i test/rollout.psql
SET search_path = pg_catalog, tap;
SET client_min_messages = warning;
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
CREATE FUNCTION pg_temp.make_test(test_id text, split float8 DEFAULT 0.5, coverage float8 DEFAULT 1, arms jsonb DEFAULT '[]', exclusion_group text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT t.test_id FROM model_mgr.create_test(make_test.test_id, 'n', 'a', '1', 'b', '2', traffic_split => split, coverage => make_test.coverage,
        arms => make_test.arms, exclusion_group => make_test.exclusion_group) t
$$;

-- The rule: bucket(test id, unit), treatment first, then the further arms, control, nobody.
SELECT pg_temp.make_test('plain');
SELECT pg_temp.make_test('wide', 0.2, 0.9, '[{"variant": "b", "version": "3", "share": 0.3}]');
SELECT is(count(*) FILTER (WHERE model_mgr.should_route_to_treatment('plain', u) <> (model_mgr.bucket('plain', u) < 5000)), 0::bigint, 'treatment has the buckets below its share')
FROM (SELECT 'unit-' || i AS u FROM generate_series(1, 10000) i) x;
SELECT is(count(*) FILTER (WHERE model_mgr.assigned_variant('wide', u) IS DISTINCT FROM CASE WHEN b < 1800 THEN 'treatment' WHEN b < 4500 THEN 'b' WHEN b < 9000 THEN 'control' END), 0::bigint,
    'arms in order, then nobody')
FROM (SELECT 'unit-' || i AS u, model_mgr.bucket('wide', 'unit-' || i) AS b FROM generate_series(1, 10000) i) x;
SELECT is(count(*) FILTER (WHERE model_mgr.should_route_to_treatment('wide', u) <> (model_mgr.assigned_variant('wide', u) IS NOT DISTINCT FROM 'treatment')), 0::bigint, 'both agree')
FROM (SELECT 'unit-' || i AS u FROM generate_series(1, 10000) i) x;
-- MurmurHash3 of 'plain' || unit, computed elsewhere by the rule that docs/routing.md states.
SELECT is(model_mgr.assigned_variant('plain', u), CASE WHEN model_mgr.bucket('', 'plain' || u) < 5000 THEN 'treatment' ELSE 'control' END, 'key and unit are one text: ' || u)
FROM unnest('{user-1,Müller,a b,0}'::text[]) u;

-- Fair: a million ids, chi-square over arms; and the arms of two tests are independent.
SELECT ok(model_mgr.chi_square_sf(sum((n - e) ^ 2 / e)::float8, 3) > 1e-6, 'a million ids fall as the shares say')
FROM (SELECT coalesce(v, '-') AS v, count(*) AS n FROM (SELECT model_mgr.assigned_variant('wide', 'user:' || i) AS v FROM generate_series(1, 1000000) i) x GROUP BY 1) c
JOIN (VALUES ('treatment', 180000.0), ('b', 270000.0), ('control', 450000.0), ('-', 100000.0)) s (v, e) USING (v);
SELECT ok(model_mgr.chi_square_sf(sum((n - 50000.0) ^ 2 / 50000.0)::float8, 1) > 1e-6, 'two tests draw independently')
FROM (SELECT model_mgr.should_route_to_treatment('plain', 'user:' || i) AS p, count(*) AS n FROM generate_series(1, 1000000) i
    WHERE model_mgr.bucket('other', 'user:' || i) < 1000 GROUP BY 1) x;

-- Ids: user_id decides, request_id stands in, without both it is drawn.
SELECT is(count(*) FILTER (WHERE model_mgr.should_route_to_treatment('plain', 'u' || i, 'r' || i) <> model_mgr.should_route_to_treatment('plain', 'u' || i)
    OR model_mgr.should_route_to_treatment('plain', NULL, 'u' || i) <> model_mgr.should_route_to_treatment('plain', 'u' || i)
    OR model_mgr.should_route_to_treatment('plain', '', 'u' || i) <> model_mgr.should_route_to_treatment('plain', 'u' || i)), 0::bigint, 'ids') FROM generate_series(1, 1000) i;
SELECT ok(count(*) FILTER (WHERE model_mgr.should_route_to_treatment('wide')) BETWEEN 3300 AND 3900, 'no ids: drawn by its share') FROM generate_series(1, 20000);
SELECT pg_temp.refused('42704', 'nothing', $$SELECT model_mgr.should_route_to_treatment('nothing', 'u')$$);
SELECT pg_temp.refused('42704', 'nothing', $$SELECT model_mgr.assigned_variant('nothing', 'u')$$);
SELECT pg_temp.refused('22004', 'test_id', $$SELECT model_mgr.assigned_variant(NULL, 'u')$$);

-- Exclusion groups: disjoint, full, free again.
SELECT pg_temp.make_test('g1', coverage => 0.3, exclusion_group => 'checkout');
SELECT pg_temp.make_test('g2', coverage => 0.5, exclusion_group => 'checkout');
SELECT is(count(*) FILTER (WHERE model_mgr.assigned_variant('g1', u) IS NOT NULL AND model_mgr.assigned_variant('g2', u) IS NOT NULL), 0::bigint, 'no unit is in both')
FROM (SELECT 'unit-' || i AS u FROM generate_series(1, 10000) i) x;
SELECT ok(abs(count(*) FILTER (WHERE v = 'treatment') - count(*) FILTER (WHERE v = 'control')) < 220, 'within a group the arms are drawn by the test')
FROM (SELECT model_mgr.assigned_variant('g1', 'unit-' || i) AS v FROM generate_series(1, 10000) i) x;
SELECT pg_temp.refused('22023', '0\.3.*0\.2', $$SELECT model_mgr.create_test('g3', 'n', 'a', '1', 'b', '2', exclusion_group => 'checkout', coverage => 0.3)$$);
SELECT model_mgr.stop_test('g1', 'room');
SELECT pg_temp.make_test('g3', coverage => 0.3, exclusion_group => 'checkout');
SELECT is((SELECT count(*) FROM generate_series(1, 10000) i WHERE model_mgr.assigned_variant('g1', 'unit-' || i) IS DISTINCT FROM NULL)
    , (SELECT count(*) FROM generate_series(1, 10000) i WHERE model_mgr.assigned_variant('g3', 'unit-' || i) IS NOT NULL), 'freed slots are taken; the ended test still tells its own');
SELECT pg_temp.refused('22023', 'exclusion_group', $$SELECT model_mgr.create_test('same', 'n', 'a', '1', 'b', '2', exclusion_group => 'same')$$);

-- The end: everybody back, unless treatment has won.
CREATE TEMP TABLE before AS SELECT 'u' || i AS u, model_mgr.assigned_variant('plain', 'u' || i) AS v FROM generate_series(1, 1000) i;
SELECT model_mgr.stop_test('plain', 'enough');
SELECT is(count(*) FILTER (WHERE model_mgr.should_route_to_treatment('plain', u)), 0::bigint, 'no winner: nobody') FROM before;
SELECT is(count(*) FILTER (WHERE model_mgr.assigned_variant('plain', u) <> v), 0::bigint, 'analysis can still tell who was where') FROM before;

SELECT pg_temp.make_test('won');
SELECT model_mgr.record_results('won', (SELECT jsonb_agg(jsonb_build_object('variant', v, 'success', i % 10 < n, 'user_id', v || i))
    FROM generate_series(1, 15000) i, (VALUES ('control', 7), ('treatment', 9)) x (v, n)));
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT is(winning_variant, 'treatment', 'treatment has won') FROM model_mgr.ab_test WHERE test_id = 'won';
SELECT is(count(*) FILTER (WHERE model_mgr.should_route_to_treatment('won', u)), 1000::bigint, 'everybody gets it') FROM before;
SELECT ok(count(*) FILTER (WHERE model_mgr.assigned_variant('won', u) = 'control') BETWEEN 400 AND 600, 'who had which arm is not forgotten') FROM before;

-- Tests that carry the traffic.
SELECT pg_temp.make_model('m', '1', '2', '3');
SELECT pg_temp.refused('55000', 'active', $$SELECT model_mgr.create_test('early', 'n', 'm', '1', 'm', '2', routes_traffic => true)$$);
SELECT count(model_mgr.deploy_model_version('m', '1'));
SELECT pg_temp.refused('22023', 'registry', $$SELECT model_mgr.create_test('unknown', 'n', 'm', '1', 'm', '9', routes_traffic => true)$$);
SELECT pg_temp.refused('22023', 'different models|registry', $$SELECT model_mgr.create_test('two', 'n', 'm', '1', 'b', '2', routes_traffic => true)$$);
SELECT test_id FROM model_mgr.create_test('carrier', 'n', 'm', '1', 'm', '2', routes_traffic => true, coverage => 0.8, traffic_split => 0.4,
    arms => '[{"variant": "third", "version": "3", "share": 0.2}]');
SELECT is(count(*) FILTER (WHERE r.value <> CASE coalesce(v, '-') WHEN 'treatment' THEN '2' WHEN 'third' THEN '3' ELSE '1' END OR r.variant <> coalesce(v, 'stable')
    OR r.reason <> CASE WHEN v IS NULL THEN 'DEFAULT' ELSE 'SPLIT' END OR r.test_id IS DISTINCT FROM CASE WHEN v IS NOT NULL THEN 'carrier' END OR r.shadow_version IS NOT NULL
    OR r.value <> model_mgr.route_version('m', u) OR r.value <> model_mgr.route_at('m', u, '2026-01-01 00:00:00+00')), 0::bigint, 'route(), route_version() and route_at() follow assigned_variant()')
FROM (SELECT 'u' || i AS u, model_mgr.assigned_variant('carrier', 'u' || i) AS v FROM generate_series(1, 2000) i) x, model_mgr.route('m', u) r;
SELECT is(format('%s %s %s', r.value, r.variant, r.reason), '1 stable DEFAULT', 'no unit: stable') FROM model_mgr.route('m') r;
SELECT is(array_agg(format('%s %s', rule, matched) ORDER BY position), CASE WHEN model_mgr.assigned_variant('carrier', u) IS NULL THEN '{"pin f","test f","stable t"}' ELSE '{"pin f","test t"}' END::text[], 'explained: ' || u)
FROM unnest('{u1,u2,u3,u4}'::text[]) u, model_mgr.explain_route('m', u) GROUP BY u;
SELECT is(array_agg(version || ' ' || status ORDER BY version), '{"1 active","2 deploying","3 deploying"}', 'what serves in an arm is in use') FROM model_mgr.list_model_versions('m');
SELECT model_mgr.pin_unit('m', 'u1', '3');
SELECT is(format('%s %s %s', r.value, r.variant, r.test_id), '3 pinned ', 'a pin comes first') FROM model_mgr.route('m', 'u1') r;
-- The decision carries test and arm; pins do not count.
SELECT count(model_mgr.record_outcome(r.decision, true)) FROM generate_series(1, 200) i, model_mgr.route('m', 'u' || i) r;
SELECT is(count(*) FILTER (WHERE o.arm IS DISTINCT FROM CASE v WHEN 'control' THEN 0 WHEN 'treatment' THEN 1 WHEN 'third' THEN 2 END::smallint
    OR (o.test_no IS NULL) <> (v IS NULL)), 0::bigint, 'outcomes carry test and arm')
FROM model_mgr.observation o JOIN (SELECT model_mgr.unit_hash('u' || i) AS unit_hash, CASE WHEN i > 1 THEN model_mgr.assigned_variant('carrier', 'u' || i) END AS v FROM generate_series(1, 200) i) x USING (unit_hash);

-- One rollout at a time.
SELECT pg_temp.refused('55006', 'carrier', $$SELECT model_mgr.deploy_model_version('m', '3')$$);
SELECT pg_temp.refused('55006', 'carrier', $$SELECT model_mgr.create_test('another', 'n', 'm', '1', 'm', '2', routes_traffic => true)$$);
SELECT test_id FROM model_mgr.create_test('beside', 'n', 'm', '1', 'm', '2');
SELECT pg_temp.refused('55000', 'deploying', $$SELECT model_mgr.archive_model_version('m', '2')$$);
SELECT ok(model_mgr.rollback_model('m', reason => 'too slow'), 'rollback ends it');
SELECT is(status || ' ' || stop_reason, 'stopped too slow', 'with its reason') FROM model_mgr.ab_test WHERE test_id = 'carrier';
SELECT is(count(*) FILTER (WHERE r.value <> '1' OR r.test_id IS NOT NULL), 0::bigint, 'everybody is with the stable version') FROM generate_series(2, 200) i, model_mgr.route('m', 'u' || i) r;
SELECT is(array_agg(version || ' ' || status ORDER BY version), '{"1 active","2 inactive","3 inactive"}', 'and what served in arms is free') FROM model_mgr.list_model_versions('m');
SELECT count(model_mgr.deploy_model_version('m', '3'));
SELECT pg_temp.refused('55006', 'Deployment', $$SELECT model_mgr.create_test('late', 'n', 'm', '1', 'm', '2', routes_traffic => true)$$);
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT model_mgr.set_alias('m', 'one', '1');
SELECT test_id FROM model_mgr.create_test('last', 'n', 'm', '@one', 'm', '2', routes_traffic => true);
SELECT is(control_version, '1', 'an alias is resolved') FROM model_mgr.ab_test WHERE test_id = 'last';
SELECT (model_mgr.deploy_model_version('m', '3', supersede => true)).status;
SELECT is(status, 'stopped', 'superseded') FROM model_mgr.ab_test WHERE test_id = 'last';

-- A rollout by A/B test tells its test too.
SELECT pg_temp.make_model('r', '1', '2');
SELECT count(model_mgr.deploy_model_version('r', '1'));
SELECT count(model_mgr.deploy_model_version('r', '2', 'a_b_test', rollout => '{"test": {"test_id": "of rollout"}}'));
SELECT is(count(*) FILTER (WHERE r.test_id IS DISTINCT FROM 'of rollout' OR r.variant <> CASE r.value WHEN '2' THEN 'treatment' ELSE 'control' END OR r.deployment_id IS NULL), 0::bigint, 'test_id and variants')
FROM generate_series(1, 100) i, model_mgr.route('r', 'u' || i) r;

-- Shares that move move the traffic that the test carries; what was recorded before belongs to the shares before.
SELECT pg_temp.make_model('w', '1', '2');
SELECT count(model_mgr.deploy_model_version('w', '1'));
SELECT test_id FROM model_mgr.create_test('moves', 'n', 'w', '1', 'w', '2', routes_traffic => true, allocation => 'thompson', traffic_split => 0.2);
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT count(model_mgr.record_outcome(r.decision, r.variant = 'treatment' OR i % 2 = 0)) FROM generate_series(1, 2000) i, model_mgr.route('w', 'u' || i) r;
SELECT items FROM model_mgr.tick() WHERE task = 'experiments';
SELECT is(array_agg(s.shares ORDER BY s.epoch), '{{0.8,0.2},{0.1,0.9}}', 'the treatment gets most') FROM model_mgr.ab_test_share s JOIN model_mgr.ab_test_plan p USING (test_no) WHERE p.test_id = 'moves';
SELECT is(count(*) FILTER (WHERE r.variant <> model_mgr.assigned_variant('moves', u) OR r.value <> model_mgr.route_version('w', u)), 0::bigint, 'route() follows') FROM (SELECT 'u' || i AS u FROM generate_series(1, 2000) i) x, model_mgr.route('w', u) r;
SELECT ok(count(*) FILTER (WHERE r.variant = 'treatment') BETWEEN 1740 AND 1860, 'by the new shares') FROM generate_series(1, 2000) i, model_mgr.route('w', 'u' || i) r;
SELECT is((SELECT units > 350 FROM model_mgr.ab_test_sum JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'moves' AND arm = 1 AND epoch = 1), true, 'epoch 1 has what was recorded at the moment they moved');
SELECT is(count(*), 0::bigint, 'and epoch 2 nothing') FROM model_mgr.ab_test_sum JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'moves' AND epoch > 1;
SELECT pg_temp.at('2026-01-01 00:20:00+00');
SELECT count(model_mgr.record_outcome(r.decision, r.variant = 'treatment' OR i % 2 = 0)) FROM generate_series(2001, 4000) i, model_mgr.route('w', 'u' || i) r;
SELECT ok(sample_ratio_p_value > 0.001, 'units come in the shares of their time') FROM model_mgr.analyze_test('moves');
SELECT model_mgr.stop_test('moves');
SELECT is(count(*) FILTER (WHERE r.variant <> 'stable'), 0::bigint, 'stopped: all are with the stable version') FROM generate_series(1, 100) i, model_mgr.route('w', 'u' || i) r;

-- Units that come again under other shares: those moved to another arm are no mismatch, and count where they came in.
SELECT test_id FROM model_mgr.create_test('again', 'n', 'x', '1', 'x', '2', allocation => 'thompson', secondary_metrics => '{}');
CREATE FUNCTION pg_temp.come(round integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT model_mgr.record_results('again', jsonb_agg(jsonb_build_object('variant', v, 'user_id', 'u' || i, 'success', i % 10 < CASE v WHEN 'control' THEN 4 ELSE 6 END)))
    FROM generate_series(1, 2000) i, model_mgr.assigned_variant('again', 'u' || i) v $$;
SELECT pg_temp.come(1);
SELECT pg_temp.at('2026-01-01 01:20:00+00');
SELECT items FROM model_mgr.tick() WHERE task = 'experiments';
SELECT pg_temp.at('2026-01-01 01:21:00+00');
SELECT pg_temp.come(2);
SELECT is(concat_ws(' ', sample_ratio_p_value > 0.01, samples_control + samples_treatment), 't 2000', 'read') FROM model_mgr.analyze_test('again');
SELECT count(*) FROM model_mgr.tick();
SELECT is(concat_ws(' ', sample_ratio_p_value > 0.01, samples_control + samples_treatment), 't 2000', 'and folded') FROM model_mgr.analyze_test('again');
SELECT pg_temp.refused('22023', 'cannot decide by', $$SELECT model_mgr.create_test('no', 'n', 'x', '1', 'x', '2', allocation => 'thompson', primary_metric => 'p95_response_time')$$);

-- A version against itself: its name tells no arm. What a test routes to is not deleted, nor what a running one needs.
SELECT pg_temp.make_model('a', '1', '2', '3');
SELECT count(model_mgr.deploy_model_version('a', '1'));
SELECT test_id FROM model_mgr.create_test('a against a', 'n', 'a', '1', 'a', '1', routes_traffic => true);
SELECT count(model_mgr.update_model_metrics('a', '1', 1.0, true)) FROM generate_series(1, 100);
SELECT is(samples_control + samples_treatment, 0::bigint, 'in neither') FROM model_mgr.get_test_status('a against a');
SELECT model_mgr.stop_test('a against a');
SELECT test_id FROM model_mgr.create_test('routes', 'n', 'a', '1', 'a', '2', routes_traffic => true);
SELECT pg_temp.refused('55006', 'served', $$SELECT model_mgr.delete_model_version('a', '2')$$);
SELECT model_mgr.stop_test('routes');
SELECT pg_temp.refused('55006', 'served', $$SELECT model_mgr.delete_model_version('a', '2')$$);
SELECT test_id FROM model_mgr.create_test('needs', 'n', 'a', '1', 'a', '3');
SELECT pg_temp.refused('55006', 'in use', $$SELECT model_mgr.delete_model_version('a', '3')$$);
SELECT model_mgr.stop_test('needs');
SELECT is(model_mgr.delete_model_version('a', '3'), true, 'then it may go');
SELECT * FROM finish();
