-- Looks and verdicts: what is recorded of them, when there is a winner and when not, futility, the sample ratio,
-- guardrails, the end by time and by hand. Never a winner before the boundary.
\i test/fresh.psql
\i test/experiment.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SET client_min_messages = warning;

-- One look at 1 % of the information more, not before; the verdict stands between them.
SELECT pg_temp.make_test('looks', 'minimum_detectable_effect => 0.05, min_sample_size_per_variant => 100, secondary_metrics => ''{}''');
SELECT is(pg_temp.look('looks'), 'no_data - 0 0', 'no data');
SELECT is(pg_temp.looks('looks'), 0::bigint, 'and no look');
SELECT pg_temp.results('looks', v, 10, 5) FROM unnest('{control,treatment}'::text[]) v;
SELECT is(pg_temp.look('looks'), 'running - 10 10', 'twenty of thousands');
SELECT is(pg_temp.looks('looks'), 0::bigint, 'are not yet 1 %');
SELECT pg_temp.results('looks', v, 90, 45) FROM unnest('{control,treatment}'::text[]) v;
SELECT is(pg_temp.look('looks'), 'running - 100 100', 'two hundred');
SELECT is(pg_temp.looks('looks'), 1::bigint, 'are a look');
SELECT is(pg_temp.look('looks'), 'running - 100 100', 'again');
SELECT is(pg_temp.looks('looks'), 1::bigint, 'is the same look');
SELECT count(*) FROM model_mgr.ab_test_list, model_mgr.ab_test_status;
SELECT is(pg_temp.looks('looks'), 1::bigint, 'views record none');
SELECT ok(boundary_p_value < 0.001 AND conditional_power BETWEEN 0 AND 1 AND information_fraction BETWEEN 0.01 AND 0.2 AND NOT statistical_significance, 'an early look has a high bar')
FROM model_mgr.get_test_results('looks');
-- A difference that a single look would call significant is none at this bar.
SELECT pg_temp.results('looks', 'control', 200, 90), pg_temp.results('looks', 'treatment', 200, 116);
SELECT is(concat_ws(' ', r.status, r.winning_variant, r.statistical_significance, r.p_value < 0.05, r.p_value < r.boundary_p_value), 'running f t f', 'no winner before the boundary') FROM model_mgr.analyze_test('looks') r;
SELECT is(round(p_value::numeric, 12), round(((model_mgr.two_proportion_z_test(140, 300, 166, 300)).p_value)::numeric, 12), 'its p-value is the z-test''s') FROM model_mgr.get_test_results('looks');
SELECT matches(recommendation, '^keep it running until 2026-01-08 00:00:00 UTC at the latest: [0-9]+ % of the information is there, success_rate 0.5533 over 300 outcomes against 0.4667 over 300 in control, difference 0.08667', 'and so it says')
FROM model_mgr.get_test_results('looks');
-- One that crosses it is one, and stays one, whatever comes.
SELECT pg_temp.results('looks', 'control', 300, 120), pg_temp.results('looks', 'treatment', 300, 210);
SELECT is(pg_temp.look('looks'), 'stopped_early treatment 600 600', 'beyond the boundary');
SELECT pg_temp.results('looks', 'control', 600, 500), pg_temp.results('looks', 'treatment', 600, 200);
SELECT is(concat_ws(' ', r.status, r.winning_variant, r.effect_size < 0), 'stopped_early treatment t', 'a verdict stands, beside fresh estimates') FROM model_mgr.analyze_test('looks') r;
SELECT is(model_mgr.replay_test_evidence(evidence), evidence ->> 'decision', 'replayed: look ' || look) FROM model_mgr.ab_test_look ORDER BY look;
SELECT isnt(model_mgr.replay_test_evidence(jsonb_set(evidence, '{epochs,0,1,moments,0,2}', '0')), evidence ->> 'decision', 'other numbers, another verdict') FROM model_mgr.ab_test_look ORDER BY look DESC LIMIT 1;
SELECT is(pg_temp.code(format('SELECT model_mgr.replay_test_evidence(%L)', evidence #- path)), '22P02', 'damaged evidence: ' || path::text)
FROM (SELECT evidence FROM model_mgr.ab_test_look ORDER BY look LIMIT 1) l, (VALUES ('{plan}'::text[]), ('{plan,horizon}'), ('{plan,variants,0}'), ('{epochs}'), ('{epochs,0,1}'), ('{epochs,0,0,moments,0,3}'), ('{past}'), ('{past,end}')) p (path);
SELECT is(pg_temp.code('SELECT model_mgr.replay_test_evidence(''[1]'')'), '22P02', 'no evidence at all');

-- Few outcomes have no verdict, however far apart they are.
SELECT pg_temp.make_test('few', 'minimum_detectable_effect => 0.4, min_sample_size_per_variant => 200');
SELECT pg_temp.results('few', 'control', 150, 0), pg_temp.results('few', 'treatment', 150, 150);
SELECT is(pg_temp.look('few'), 'running - 150 150', 'too few');
SELECT is(recommendation, 'keep it running until 2026-01-08 00:00:00 UTC at the latest: 150 of at least 200 outcomes of control are known', 'and so it says') FROM model_mgr.get_test_results('few');

-- The treatment is worse.
SELECT pg_temp.make_test('worse', 'min_sample_size_per_variant => 100');
SELECT pg_temp.results('worse', 'control', 1000, 900), pg_temp.results('worse', 'treatment', 1000, 700);
SELECT is(pg_temp.look('worse'), 'stopped_early control 1000 1000', 'control wins');
SELECT matches(recommendation, '^keep control: control wins: success_rate 0.7 over 1000', 'and so it says') FROM model_mgr.get_test_results('worse');

-- A secondary metric decides only when the primary is not worse by more than the effect.
SELECT pg_temp.make_test('faster', 'min_sample_size_per_variant => 100');
SELECT pg_temp.results('faster', 'control', 1000, 900, 1.0), pg_temp.results('faster', 'treatment', 1000, 870, 0.5);
SELECT is(pg_temp.look('faster'), 'running - 1000 1000', 'faster, but perhaps less often right');

-- Shares that are not those of the design forbid a verdict; estimates are still shown.
SELECT pg_temp.make_test('skewed', 'min_sample_size_per_variant => 100');
SELECT pg_temp.results('skewed', 'control', 1200, 600), pg_temp.results('skewed', 'treatment', 900, 800);
SELECT is(concat_ws(' ', r.status, coalesce(r.winning_variant, '-'), r.statistical_significance, r.sample_ratio_p_value < 0.001, r.effect_size > 0.3), 'sample_ratio_mismatch - f t t', 'no verdict on a wrong split') FROM model_mgr.analyze_test('skewed') r;
SELECT pg_temp.look('skewed');
SELECT is((SELECT count(*) FROM model_mgr.event WHERE type = 'test.sample_ratio_mismatch'), 1::bigint, 'told once');
SELECT matches(recommendation, '^find out why before believing any number: units do not come in the shares of the design: 1200 in control \(share 0.5\), 900 in treatment \(share 0.5\), p ', 'loudly') FROM model_mgr.get_test_results('skewed');

-- The tick takes the looks and ends what is decided; nothing else.
SELECT is(pg_temp.stands(t), 'running ' || v, t || ' before the tick') FROM (VALUES ('looks', 'stopped_early -'), ('worse', 'stopped_early -'), ('few', 'running -'), ('faster', 'running -'), ('skewed', 'sample_ratio_mismatch -')) x (t, v);
SELECT pg_temp.at('2026-01-01 01:00:00+00');
SELECT pg_temp.tick_tests();
SELECT is(pg_temp.stands(t), v, t || ' after the tick') FROM (VALUES ('looks', 'completed stopped_early treatment'), ('worse', 'completed stopped_early control'), ('few', 'running running -'),
    ('faster', 'running running -'), ('skewed', 'running sample_ratio_mismatch -')) x (t, v);
SELECT is(pg_temp.tick_tests(), 0::bigint, 'a second tick has nothing to do');

-- A guardrail ends it at any number of outcomes, and everybody is at control in the same transaction.
SELECT pg_temp.make_test('harmful', 'guardrails => ''[{"metric": "refunds", "max_increase": 0.1}]'', metric_directions => ''{"refunds": "lower"}''');
SELECT pg_temp.results('harmful', 'control', 400, 200, NULL, '{"metrics": {"refunds": 0}}'), pg_temp.results('harmful', 'control', 100, 50, NULL, '{"metrics": {"refunds": 1}}'),
    pg_temp.results('harmful', 'treatment', 250, 250, NULL, '{"metrics": {"refunds": 0}}'), pg_temp.results('harmful', 'treatment', 250, 250, NULL, '{"metrics": {"refunds": 1}}');
SELECT is(concat_ws(' ', metric_name, role, direction, round(difference::numeric, 6)), 'refunds guardrail lower 0.300000', 'its numbers') FROM model_mgr.get_test_metrics('harmful') WHERE role = 'guardrail';
SELECT pg_temp.tick_tests();
SELECT is(concat_ws(' ', status, coalesce(winning_variant, '-')), 'completed control', 'a broken guardrail') FROM model_mgr.ab_test WHERE test_id = 'harmful';
SELECT matches(stop_reason, '^guardrail refunds is broken: 0.5 in treatment against 0.2 in control, surely at least 0.[12][0-9]* higher, 0.1 allowed$', 'says so') FROM model_mgr.ab_test WHERE test_id = 'harmful';
-- Of cost and tokens, which have no argument of their own here, a key of metrics tells: a guardrail on cost is awake.
SELECT pg_temp.make_test('dear', 'secondary_metrics => ''{input_tokens,output_tokens}'', guardrails => ''[{"metric": "cost", "max_relative_increase": 0.2}]''');
SELECT pg_temp.results('dear', 'control', 300, 150, 0.5, '{"metrics": {"cost": 0.01, "input_tokens": 100}}');
SELECT count(model_mgr.record_result('dear', 'treatment', success => i % 2 = 0, metrics => jsonb_build_object('cost_per_request', 0.02, 'output_tokens', 7))) FROM generate_series(1, 300) i;
SELECT is(array_agg(format('%s %s %s %s', metric_name, round(mean_control::numeric, 6), round(mean_variant::numeric, 6), samples_variant)), '{"input_tokens 100.000000  0","output_tokens  7.000000 300","cost 0.010000 0.020000 300"}', 'costs and tokens of results') FROM model_mgr.get_test_metrics('dear') WHERE role <> 'primary';
SELECT pg_temp.tick_tests();
SELECT is(concat_ws(' ', status, winning_variant, split_part(stop_reason, ':', 1)), 'completed control guardrail cost is broken', 'cost ends it') FROM model_mgr.ab_test WHERE test_id = 'dear';
SELECT is(pg_temp.code(format('SELECT model_mgr.record_result(''dear'', ''control'', metrics => %L)', m)), c, m)
FROM (VALUES ('{"cost": -1}', '22003'), ('{"cost": 1e101}', '22003'), ('{"input_tokens": -1}', '22003'), ('{"output_tokens": 1e30}', '22003'), ('{"input_tokens": 1.5}', '22P02')) x (m, c);
SELECT is(model_mgr.should_route_to_treatment('harmful', 'u' || i), false, 'everybody is at control') FROM generate_series(1, 3) i;
SELECT is(model_mgr.replay_test_evidence(evidence), evidence ->> 'decision', evidence ->> 'decision') FROM model_mgr.ab_test_look l JOIN model_mgr.ab_test_plan p USING (test_no) WHERE p.test_id = 'harmful' AND kind = 'end';

-- Hopeless tests end; only where early stopping is on.
SELECT pg_temp.make_test(t, format('minimum_detectable_effect => 0.05, min_sample_size_per_variant => 100, secondary_metrics => ''{}'', early_stopping_enabled => %L', t = 'hopeless')) FROM unnest('{hopeless,patient}'::text[]) t;
SELECT pg_temp.results(t, 'control', 1300, 650), pg_temp.results(t, 'treatment', 1300, 640) FROM unnest('{hopeless,patient}'::text[]) t;
SELECT pg_temp.tick_tests();
SELECT is(pg_temp.stands('hopeless') || ' ' || pg_temp.stands('patient'), 'completed futile - running running -', 'futile');
SELECT matches(stop_reason, '^futile: a significant result by the end has probability [0-9.e-]+, below futility_threshold 0.01: success_rate 0.4923', 'says so') FROM model_mgr.ab_test WHERE test_id = 'hopeless';
SELECT is(pg_temp.looks('patient'), 0::bigint, 'no look before the end');
SELECT pg_temp.results('patient', 'treatment', 1, 1);
SELECT is(pg_temp.look('patient'), 'running - 1300 1301', 'however often it is analysed');

-- The end by time: what is not decided is inconclusive, also before its tick, and later results change nothing.
SELECT pg_temp.make_test('empty');
SELECT pg_temp.at('2026-01-08 01:00:00+00');
-- Until the tick comes, what is read says so, and promises no time that is past.
SELECT is(array_agg(regexp_replace(recommendation, '(: [0-9]+ %|: no outcome).*', '\1') ORDER BY test_id), '{"keep control: no outcome","let the tick end it, as its time was over at 2026-01-08 00:00:00 UTC: 65 %","let the tick end it, as its time was over at 2026-01-08 01:00:00 UTC: 83 %"}', 'over, and not ended')
FROM model_mgr.ab_test_list WHERE test_id IN ('patient', 'few', 'empty');
SELECT is(pg_temp.look('patient'), 'inconclusive - 1300 1301', 'the last look');
SELECT pg_temp.results('patient', v, 500, n) FROM (VALUES ('control', 100), ('treatment', 500)) x (v, n);
SELECT is(pg_temp.look('patient'), 'inconclusive - 1800 1801', 'is the last one');
SELECT is(pg_temp.looks('patient'), 1::bigint, 'and the only one');
SELECT pg_temp.tick_tests();
SELECT is(pg_temp.stands(t), v, t || ' at the end') FROM (VALUES ('patient', 'completed inconclusive -'), ('few', 'completed significant treatment'), ('skewed', 'completed sample_ratio_mismatch -'), ('empty', 'completed no_data -'),
    ('faster', 'completed significant control')) x (t, v);
SELECT is(array_agg(t), NULL, 'none is active') FROM model_mgr.list_active_tests() t;
CREATE TEMP TABLE ended AS SELECT t.test_id, row(r.*)::text AS result FROM model_mgr.ab_test t, LATERAL (SELECT * FROM model_mgr.get_test_results(t.test_id)) r;
SELECT sum(pg_temp.results(test_id, 'control', 500, 500)) FROM ended;
SELECT is((SELECT row(r.*)::text FROM model_mgr.analyze_test(e.test_id) r), e.result, 'late results change nothing: ' || e.test_id) FROM ended e ORDER BY e.test_id;
SELECT is(pg_temp.tick_tests(), 0::bigint, 'nor does a tick');
SELECT is(model_mgr.replay_test_evidence(evidence), evidence ->> 'decision', p.test_id || ' ' || kind || ': ' || (evidence ->> 'decision')) FROM model_mgr.ab_test_look l JOIN model_mgr.ab_test_plan p USING (test_no)
ORDER BY p.test_id, look;
SELECT is(array_agg(e.type ORDER BY e.event_id), '{test.started,test.sample_ratio_mismatch,test.stopped}', 'events') FROM model_mgr.event e WHERE e.data ->> 'test_id' = 'skewed';

-- What crossed its boundary stays marked beside the verdict, the metrics that did not decide as well.
SELECT pg_temp.make_test('both');
SELECT pg_temp.results('both', 'control', 1000, 1000, 1.0, '{"confidence": 0.9}'), pg_temp.results('both', 'treatment', 1000, 1000, 0.8, '{"confidence": 0.95}');
SELECT is(concat_ws(' ', r.status, r.winning_variant, r.deciding_metric), 'stopped_early treatment response_time', 'faster and surer') FROM model_mgr.analyze_test('both') r;
SELECT is(array_agg(metric_name || ' ' || significant), '{"success_rate false","response_time true","confidence_score true"}', 'both crossed, beside the running test') FROM model_mgr.get_test_metrics('both');
SELECT pg_temp.tick_tests();
SELECT is(array_agg(metric_name || ' ' || significant), '{"success_rate false","response_time true","confidence_score true"}', 'and after its end') FROM model_mgr.get_test_metrics('both');

-- A look goes on from what the one before it left; its boundaries are those of solving all looks, whatever is stored there.
SELECT pg_temp.make_test('steps', 'minimum_detectable_effect => 0.05, min_sample_size_per_variant => 100, futility_threshold => 0, secondary_metrics => ''{}''');
CREATE FUNCTION pg_temp.step() RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT sum(pg_temp.results('steps', v, 100, 50)) FROM unnest('{control,treatment}'::text[]) v;
    SELECT pg_temp.look('steps');
END;
SELECT pg_temp.step() FROM generate_series(1, 4);
SELECT ok(cardinality(boundaries) > 10, 'something is left') FROM model_mgr.ab_test_progress p JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'steps';
UPDATE model_mgr.ab_test_progress p SET boundaries = '{1,NULL}' FROM model_mgr.ab_test_plan t WHERE t.test_no = p.test_no AND test_id = 'steps';
SELECT pg_temp.step();
UPDATE model_mgr.ab_test_progress p SET boundaries = NULL FROM model_mgr.ab_test_plan t WHERE t.test_no = p.test_no AND test_id = 'steps';
SELECT pg_temp.step();
UPDATE model_mgr.ab_test_progress p SET boundaries = array_fill(0.5::float8, ARRAY[30]) || boundaries FROM model_mgr.ab_test_plan t WHERE t.test_no = p.test_no AND test_id = 'steps';
SELECT pg_temp.step() FROM generate_series(1, 2);
WITH looks AS (SELECT array_agg(information_fraction ORDER BY look) AS information, array_agg((evidence ->> 'boundary_z')::float8 ORDER BY look) AS z,
        bool_and(model_mgr.replay_test_evidence(evidence) = evidence ->> 'decision') AS replayed FROM model_mgr.ab_test_look JOIN model_mgr.ab_test_plan USING (test_no) WHERE test_id = 'steps')
-- The level of a test is 0.05, that of sequential_boundary() what 1 - 0.95 leaves in binary.
SELECT ok((SELECT max(abs(a / b - 1)) < 1e-14 AND count(*) = 8 FROM unnest(z, model_mgr.sequential_boundary(information)) u(a, b)), 'boundaries are those of sequential_boundary()'), ok(cardinality(z) = 8 AND replayed, 'of eight looks, all replayed') FROM looks;

-- A test that cannot be read is named, and harms no other.
SELECT pg_temp.results('steps', 'treatment', 100, 100), pg_temp.results('steps', 'control', 100, 0);
SELECT pg_temp.make_test('damaged');
INSERT INTO model_mgr.ab_test_progress (test_no, information, status) SELECT test_no, '{0.1}', 'nonsense' FROM model_mgr.ab_test_plan WHERE test_id = 'damaged';
SET client_min_messages = warning;
SELECT is(pg_temp.tick_tests(), 1::bigint, 'the other one has its look');
RESET client_min_messages;
SELECT is(pg_temp.stands('steps'), 'completed stopped_early treatment', 'and its verdict');
SELECT is(t.status, 'running', 'the damaged one is left alone') FROM model_mgr.ab_test t WHERE test_id = 'damaged';
DELETE FROM model_mgr.ab_test_progress p USING model_mgr.ab_test_plan t WHERE t.test_no = p.test_no AND t.test_id = 'damaged';
SELECT is(pg_temp.tick_tests(), 0::bigint, 'until it is repaired');
SELECT model_mgr.stop_test('damaged');
SELECT * FROM finish();
