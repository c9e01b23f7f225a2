-- Blue-green at 0 %: the candidate is reached by its preview and by pins, and what they record is credited to the rollout.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
\i test/rollout.psql
SELECT plan(28);

SELECT pg_temp.at('2026-01-05 12:00:00+00') \g /dev/null
SELECT pg_temp.make_model('m', '1.0.0', '2.0.0', '3.0.0') \g /dev/null
SELECT deployment_id FROM deploy_model_version('m', '1.0.0') \g /dev/null
SELECT set_segment('m', 'beta', '{"beta": true}', '3.0.0') \g /dev/null
SELECT deployment_id AS id FROM deploy_model_version('m', '2.0.0', strategy => 'blue_green',
    rollout => '{"preview_segment": {"staff": true}, "min_requests": 3, "step_seconds": 60}') \gset
SELECT is(pg_temp.routed('m'), '1.0.0 2.0.0 0', 'there is a candidate, of weight 0');

CREATE TEMP TABLE asked AS SELECT 'user-' || i AS unit_id,
    CASE i % 4 WHEN 0 THEN '{"staff": true}' WHEN 1 THEN '{"staff": false}' WHEN 2 THEN '{"staff": true, "beta": true}' END::jsonb AS context
FROM generate_series(1, 1000) i;
CREATE TEMP TABLE answer AS SELECT a.*, r.* FROM asked a CROSS JOIN LATERAL route('m', a.unit_id, a.context) r;
SELECT results_eq('SELECT context::text, value, variant, reason, deployment_id, count(*) FROM answer GROUP BY 1, 2, 3, 4, 5 ORDER BY context::text COLLATE "C"',
    format($$VALUES ('{"beta": true, "staff": true}', '2.0.0', 'segment', 'TARGETING_MATCH', %1$s::bigint, 250::bigint),
    ('{"staff": false}', '1.0.0', 'stable', 'STATIC', %1$s, 250), ('{"staff": true}', '2.0.0', 'segment', 'TARGETING_MATCH', %1$s, 250),
    (NULL, '1.0.0', 'stable', 'STATIC', %1$s, 250)$$, :id), 'the preview, whatever segment holds, then the stable version');
SELECT is_empty($$SELECT FROM answer WHERE shadow_version IS NOT NULL OR shadow_decision IS NOT NULL$$, 'no shadow');
SELECT is_empty($$SELECT FROM answer a WHERE a.value <> (SELECT e.version FROM explain_route('m', a.unit_id, a.context) e WHERE e.matched)$$, 'explain_route agrees');
SELECT is((SELECT string_agg(format('%s %s %s %s: %s', rule, version, matched, bucket_limit, detail), '; ' ORDER BY position)
    FROM explain_route('m', 'user-1', '{"staff": 1}') WHERE rule <> 'pin'),
    format('preview 2.0.0 f : preview_segment: the condition does not hold; segment 3.0.0 f : beta: the condition does not hold; '
        'rollout 2.0.0 f 0: deployment %1$s, step 1, share 0 %%: the bucket is not below the limit; stable 1.0.0 t : the baseline of deployment %1$s', :id), 'in words');
SELECT is((SELECT count(*) FROM asked WHERE route_version('m', unit_id) = '1.0.0' AND route_at('m', unit_id, now()) = '1.0.0'), 1000::bigint,
    'without a context nobody is in it');
SELECT is((SELECT h.preview FROM routing_history h JOIN routing r USING (model_id, revision)), '{"staff": true}', 'the history has it');
SELECT is((SELECT value FROM route('m', NULL, '{"staff": true}')), '2.0.0', 'it needs no unit');
SELECT is((SELECT jsonb_array_length(segments) FROM routing), 1, 'it is no segment of the model');
SELECT is(drop_segment('m', 'preview'), false, 'and no verb of segments reaches it');

-- A pin to the candidate.
SELECT pin_unit('m', 'user-1', '2.0.0') \g /dev/null
SELECT is((SELECT format('%s %s %s', value, variant, reason) FROM route('m', 'user-1')), '2.0.0 pinned TARGETING_MATCH', 'a pin reaches it');

-- Credited to the rollout, both.
SELECT pg_temp.at('2026-01-05 12:00:30+00') \g /dev/null
SELECT count(record_outcome(decision, true, 0.4)) FROM (SELECT * FROM answer WHERE value = '2.0.0' ORDER BY unit_id LIMIT 2) a \g /dev/null
SELECT record_outcome(decision, true, 0.4) FROM route('m', 'user-1') \g /dev/null
SELECT record_outcome(decision, true, 0.4) FROM answer WHERE value = '1.0.0' LIMIT 1 \g /dev/null
SELECT results_eq('SELECT v.version, r.deployment_id, r.step, sum(r.known)::bigint FROM rollup_now r JOIN model_version v USING (version_id) GROUP BY 1, 2, 3 ORDER BY 1',
    format('VALUES (''1.0.0'', %1$s::bigint, 1, 1::bigint), (''2.0.0'', %1$s, 1, 3)', :id), 'outcomes of preview and pin are the candidate''s, in step 1');
SELECT tick() \g /dev/null
SELECT is(pg_temp.state('m'), 'running 0 1', 'too early');
SELECT is((SELECT sum(known)::bigint FROM rollup_minute WHERE deployment_id = :id AND version_id = (SELECT version_id FROM model_version WHERE version = '2.0.0')), 3::bigint, 'folded');
SELECT pg_temp.at('2026-01-05 12:01:01+00') \g /dev/null
SELECT tick() \g /dev/null
SELECT is(pg_temp.state('m'), 'promoting 100 2', 'three outcomes are enough: it is switched');
SELECT is(pg_temp.routed('m'), '2.0.0 - 0', 'everybody has it');
SELECT is((SELECT format('%s %s', value, variant) FROM route('m', 'user-2', '{"staff": false}')), '2.0.0 stable', 'whatever the context');
SELECT is((SELECT preview FROM routing), NULL, 'the preview is over');
SELECT is((SELECT preview FROM routing_history ORDER BY revision DESC LIMIT 1), NULL, 'in the history too');

-- A preview that an empty context meets.
SELECT pg_temp.at('2026-01-05 13:00:00+00') \g /dev/null
SELECT tick() \g /dev/null
SELECT unpin_unit('m', 'user-1') \g /dev/null
SELECT deployment_id AS id FROM deploy_model_version('m', '3.0.0', strategy => 'blue_green', rollout => '{"preview_segment": {"not": {"public": true}}}') \gset
SELECT is((SELECT value FROM route('m', 'u')), '3.0.0', 'no context is an empty one');
SELECT is(route_version('m', 'u'), '3.0.0', 'for route_version too');
SELECT is(route_at('m', 'u', '2026-01-05 13:00:00+00'), '3.0.0', 'and route_at');
SELECT is(route_at('m', 'u', '2026-01-05 12:00:30+00'), '1.0.0', 'which remembers');
SELECT is((SELECT value FROM route('m', 'u', '{"public": true}')), '2.0.0', 'others are served as ever');
SELECT abort_deployment(:id) \g /dev/null
SELECT is((SELECT value FROM route('m', 'u')), '2.0.0', 'and everybody, once it has ended');


-- A segment's name: its units have the new version while the rollout lasts, and their own again after it.
SELECT set_segment('m', 'qa', '{"team": "qa"}', '2.0.0') \g /dev/null
SELECT deployment_id AS id FROM deploy_model_version('m', '3.0.0', strategy => 'blue_green', rollout => '{"preview_segment": "qa"}') \gset
SELECT is((SELECT format('%s %s', value, deployment_id) FROM route('m', 'u', '{"team": "qa"}')), '3.0.0 ' || :id, 'the units of the segment that is named have the preview');
SELECT is((SELECT rule || ' ' || version FROM explain_route('m', 'u', '{"team": "qa"}') WHERE matched), 'preview 3.0.0', 'explain_route agrees');
SELECT abort_deployment(:id) \g /dev/null
SELECT is((SELECT value FROM route('m', 'u', '{"team": "qa"}')), '2.0.0', 'and their own version again');

SELECT * FROM finish();
