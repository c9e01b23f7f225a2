-- The examples of the requirement document on A/B tests, as SQL: a test, routing by it, results, analysis, the dashboard.
\i test/fresh.psql
\i test/experiment.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SET client_min_messages = warning;

SELECT pg_temp.make_model('telemetry-classifier', '1.1.0', '1.2.0');
SELECT (model_mgr.deploy_model_version('telemetry-classifier', '1.1.0')).status;

-- The test, with the arguments that the example gives; the others have their defaults.
SELECT is(to_jsonb(t) - '{description,planned_samples,created_by,started_at,ends_at}'::text[], '{"test_id": "classifier_v1.2_vs_v1.1", "name": "Classification Accuracy Improvement",
    "control_model": "telemetry-classifier", "control_version": "1.1.0", "treatment_model": "telemetry-classifier", "treatment_version": "1.2.0",
    "confidence_level": 0.95, "minimum_detectable_effect": 0.02, "power": 0.8, "max_duration_hours": 168, "min_sample_size_per_variant": 1000,
    "primary_metric": "success_rate", "secondary_metrics": ["response_time", "confidence_score"], "early_stopping_enabled": true, "futility_threshold": 0.01,
    "traffic_split": 0.5, "stopping_rule": "obrien_fleming", "metric_directions": {}, "routes_traffic": false, "coverage": 1, "guardrails": [], "arms": [],
    "exclusion_group": null, "allocation": "fixed", "status": "running", "stop_reason": null, "winning_variant": null, "stopped_at": null}', 'a test')
FROM model_mgr.create_test(test_id => 'classifier_v1.2_vs_v1.1', name => 'Classification Accuracy Improvement',
    control_model => 'telemetry-classifier', control_version => '1.1.0', treatment_model => 'telemetry-classifier', treatment_version => '1.2.0',
    description => 'Testing improved classification accuracy', confidence_level => 0.95, minimum_detectable_effect => 0.02, max_duration_hours => 168) t;
SELECT is(array_agg(t), '{classifier_v1.2_vs_v1.1}', 'is active') FROM model_mgr.list_active_tests() t;
SELECT is(r.status || ' ' || r.deciding_metric, 'no_data success_rate', 'nothing to analyse yet') FROM model_mgr.analyze_test('classifier_v1.2_vs_v1.1') r;

-- Traffic goes by the test, and its results are recorded under the arm.
SELECT is(model_mgr.should_route_to_treatment('classifier_v1.2_vs_v1.1', 'user123'), model_mgr.should_route_to_treatment('classifier_v1.2_vs_v1.1', 'user123'), 'one user, one arm');
SELECT model_mgr.record_result(test_id => 'classifier_v1.2_vs_v1.1',
    variant => CASE WHEN model_mgr.should_route_to_treatment('classifier_v1.2_vs_v1.1', 'user123') THEN 'treatment' ELSE 'control' END,
    response_time => 0.85, success => true, confidence => 0.92);
SELECT is(r.status, 'running', 'one arm alone says nothing') FROM model_mgr.analyze_test('classifier_v1.2_vs_v1.1') r;

-- The unit test of the engine: 1,000 results each, equal success, the treatment faster and surer.
SELECT model_mgr.create_test('classifier_accuracy_test', 'Classification Accuracy Improvement', 'telemetry-classifier', '1.1.0', 'telemetry-classifier', '1.2.0',
    description => 'Testing new model with improved training data', confidence_level => 0.95, minimum_detectable_effect => 0.02, power => 0.8, max_duration_hours => 168,
    min_sample_size_per_variant => 1000, primary_metric => 'success_rate', secondary_metrics => '{response_time,confidence_score}', early_stopping_enabled => true,
    futility_threshold => 0.01) IS NOT NULL AS created;
SELECT count(model_mgr.record_result(test_id => 'classifier_accuracy_test', variant => 'control', response_time => 1.0, success => true, confidence => 0.9)),
    count(model_mgr.record_result(test_id => 'classifier_accuracy_test', variant => 'treatment', response_time => 0.8, success => true, confidence => 0.95)) FROM generate_series(1, 1000);
CREATE TEMP TABLE results AS SELECT * FROM model_mgr.analyze_test('classifier_accuracy_test');
SELECT is(concat_ws(' ', status, winning_variant, statistical_significance, practical_significance, deciding_metric, samples_control, samples_treatment),
    'stopped_early treatment t t response_time 1000 1000', 'the treatment wins by a secondary metric') FROM results;
SELECT is(round(effect_size::numeric, 6) || ' ' || p_value || ' ' || round(relative_lift::numeric, 6), '-0.200000 0 -0.200000', 'which is surely faster') FROM results;
SELECT matches(recommendation, '^use treatment: treatment wins: response_time 0.8 over 1000 outcomes against 1 over 1000 in control', 'and so it says') FROM results;
SELECT is(row(a.*)::text, row(r.*)::text, 'analysed twice: the same') FROM model_mgr.analyze_test('classifier_accuracy_test') a, results r;
SELECT is(row(a.*)::text, row(r.*)::text, 'stored') FROM model_mgr.get_test_results('classifier_accuracy_test') a, results r;
SELECT is(status || ' ' || verdict, 'running stopped_early', 'analyzing ends nothing') FROM model_mgr.get_test_status('classifier_accuracy_test');

-- The dashboard has the active ones by their ids.
SELECT is((SELECT array_agg(key ORDER BY key) FROM jsonb_each(model_mgr.get_model_health_dashboard() -> 'ab_tests')),
    ARRAY(SELECT model_mgr.list_active_tests()), 'active tests in the dashboard');
SELECT is(model_mgr.get_model_health_dashboard() #> '{ab_tests,classifier_accuracy_test}', to_jsonb(s), 'each as get_test_status() says') FROM model_mgr.get_test_status('classifier_accuracy_test') s;

-- The tick ends it; the winner goes out.
SELECT pg_temp.at('2026-01-01 00:01:00+00');
SELECT pg_temp.tick_tests();
SELECT is(pg_temp.stands('classifier_accuracy_test'), 'completed stopped_early treatment', 'the tick ends it');
SELECT is(model_mgr.should_route_to_treatment('classifier_accuracy_test', 'user' || i), true, 'everybody gets the winner') FROM generate_series(1, 2) i;
SELECT lives_ok($$SELECT model_mgr.assert_ab_test_winner('classifier_accuracy_test', 'treatment')$$, 'a pipeline goes on');
SELECT is(concat_ws(' ', d.version, d.strategy, d.status), '1.2.0 canary running', 'and the winner is rolled out') FROM model_mgr.promote_winner('classifier_accuracy_test') d;
SELECT * FROM finish();
