-- Pins and segments: who is served by what, in which order, what is refused, who may know it afterwards.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT plan(85);

SELECT count(create_model_version(m, v, model_configuration('p', 'x'))) AS made
FROM (VALUES ('m', '1'), ('m', '2'), ('m', '3'), ('m', '4'), ('n', '1')) x (m, v) \gset
SELECT deploy_model_version('m', '1') IS NOT NULL AS active \gset
SELECT set_alias('m', 'fallback', '3') IS NOT NULL AS named \gset

-- Pins.
SELECT is(pin_unit('m', 'u', '2'), true, 'a unit is pinned');
SELECT is(pin_unit('m', 'u', '2'), false, 'again: no change');
SELECT is((SELECT value || ' ' || variant || ' ' || reason FROM route('m', 'u')), '2 pinned TARGETING_MATCH', 'its version serves it');
SELECT is(route_version('m', 'u'), '2', 'route_version too');
SELECT is(route_version('m', 'v'), '1', 'and nobody else');
SELECT is(route_version('m', ''), '1', 'no unit is not pinned');
SELECT is(pin_unit('m', 'u', '@fallback'), true, 'an alias will do');
SELECT is(route_version('m', 'u'), '3', 'it is resolved at once');
SELECT is(set_alias('m', 'fallback', '1') IS NULL, false, 'the alias moves');
SELECT is(route_version('m', 'u'), '3', 'the pin does not');
SELECT is((SELECT deployment_id FROM route('m', 'u')), NULL, 'a pinned request belongs to no rollout');
SELECT is(pin_unit('n', 'u', '1'), true, 'pinned before anything is active');
SELECT is((SELECT value || ' ' || reason FROM route('n', 'u')), '1 TARGETING_MATCH', 'it serves');
SELECT is((SELECT reason FROM route('n', 'v')), 'DISABLED', 'others have nothing');
SELECT is(unpin_unit('m', 'u'), true, 'taken back');
SELECT is(unpin_unit('m', 'u'), false, 'again: no change');
SELECT is(route_version('m', 'u'), '1', 'like everybody');
SELECT throws_ok($$SELECT pin_unit('m', '', '1')$$, '22023', '"unit_id" must not be empty', 'an empty unit');
SELECT throws_ok($$SELECT unpin_unit('m', '')$$, '22023', '"unit_id" must not be empty', 'an empty unit');
SELECT throws_ok($$SELECT pin_unit('none', 'u', '1')$$, '42704', NULL, 'an unknown model');
SELECT throws_ok($$SELECT unpin_unit('none', 'u')$$, '42704', NULL, 'an unknown model');
SELECT throws_ok($$SELECT pin_unit('m', 'u', '9')$$, '42704', NULL, 'an unknown version');
SELECT throws_ok($$SELECT pin_unit('m', 'u', NULL)$$, '22004', NULL, 'no version');
SELECT archive_model_version('m', '4') IS NOT NULL AS archived \gset
SELECT throws_ok($$SELECT pin_unit('m', 'u', '4')$$, '55000', 'version "4" of model "m" is archived', 'an archived version serves nobody');
SELECT throws_ok($$SELECT set_segment('m', 's', '{"a": 1}', '4')$$, '55000', 'version "4" of model "m" is archived', 'nor a segment');

-- Segments.
SELECT is(set_segment('m', 'germany', '{"country": "DE"}', '2'), true, 'a segment is set');
SELECT is(set_segment('m', 'germany', '{"country": "DE"}', '2'), false, 'again: no change');
SELECT is((SELECT value || ' ' || variant || ' ' || reason FROM route('m', 'u', '{"country": "DE"}')), '2 segment TARGETING_MATCH', 'its version serves it');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "FR"}')), '1', 'and nobody else');
SELECT is((SELECT value FROM route('m', 'u')), '1', 'nobody without a context');
SELECT is((SELECT value FROM route('m', '', '{"country": "DE"}')), '2', 'no unit is needed');
SELECT is(set_segment('m', 'grown up', '{"country": {"in": ["DE", "FR"]}, "age": {">=": 18}}', '3'), true, 'another segment');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "DE", "age": 18}')), '2', 'the first that holds decides');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "FR", "age": 18}')), '3', 'else the next');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "FR", "age": 17.999999999999999999999}')), '1', 'numbers lose no digit');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "FR", "age": "18"}')), '1', 'text is no number');
SELECT is(set_segment('m', 'germany', '{"country": "AT"}', '3'), true, 'a segment is changed');
SELECT results_eq($$SELECT segment, position, version FROM rule_list WHERE rule = 'segment' ORDER BY position$$,
    $$VALUES ('germany', 1, '3'), ('grown up', 2, '3')$$, 'it keeps its place');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "DE", "age": 1}')), '1', 'and no longer holds as before');
SELECT is(pin_unit('m', 'u', '1'), true, 'a pin');
SELECT is((SELECT variant FROM route('m', 'u', '{"country": "AT"}')), 'pinned', 'comes before any segment');
SELECT results_eq($$SELECT position, rule, matched, version, detail FROM explain_route('m', 'w', '{"country": "FR", "age": 30}')$$,
    $$VALUES (1, 'pin', false, NULL, 'not among 1 pinned units'), (2, 'segment', false, '3', 'germany: the condition does not hold'),
    (3, 'segment', true, '3', 'grown up: the condition holds')$$, 'explained');
SELECT is(drop_segment('m', 'germany'), true, 'a segment is dropped');
SELECT is(drop_segment('m', 'germany'), false, 'again: no change');
SELECT is((SELECT value FROM route('m', 'w', '{"country": "AT"}')), '1', 'it holds no more');
SELECT is(drop_segment('m', 'grown up'), true, 'the last one too');
SELECT is((SELECT segments FROM routing WHERE model_name = 'm'), '[]', 'none is left');

-- The grammar, from SQL: condition, context, whether it holds.
CREATE TEMP TABLE said (id serial, condition jsonb, context jsonb, holds boolean);
INSERT INTO said (condition, context, holds) VALUES
    ('{"path": {"prefix": "/beta"}}', '{"path": "/beta/7"}', true), ('{"path": {"prefix": "/beta"}}', '{"path": "/alpha"}', false),
    ('{"any": [{"a": 1}, {"b": 2}]}', '{"b": 2}', true), ('{"all": [{"a": 1}, {"b": 2}]}', '{"b": 2}', false),
    ('{"not": {"country": "DE"}}', '{"country": "FR"}', true), ('{"not": {"country": "DE"}}', '{"country": "DE"}', false),
    ('{"a": {"!=": 1}}', '{}', false), ('{"a": {"!=": 1}}', '{"a": 2}', true),
    ('{"n": 9007199254740993}', '{"n": 9007199254740992}', false), ('{"n": 1e3}', '{"n": 1000.00}', true),
    ('{"t": {"<": "b", ">=": "a"}}', '{"t": "abc"}', true), ('{"a": null}', '{"a": null}', true), ('{"a": null}', '{}', false),
    ('{"a": true}', '{"a": true}', true), ('{"a": true}', '{"a": "true"}', false), ('{"größe": "Straße"}', '{"größe": "Straße"}', true);
SELECT is(set_segment('m', 'said', condition, '2') IS NOT NULL AND ((SELECT value FROM route('m', 'w', context)) = '2') = holds, true,
    condition::text || ' on ' || context::text) FROM said ORDER BY id;
SELECT set_segment('m', 'said', '{"not": {"country": "DE"}}', '2') IS NOT NULL AS set \gset
SELECT is(route_version('m', 'w'), '2', 'no context is an empty one, also for not');
SELECT is(route_at('m', 'w', now()), '2', 'route_at too');
SELECT drop_segment('m', 'said') IS NOT NULL AS dropped \gset
SELECT throws_ok($$SELECT set_segment('m', 's', '{"age": {">=": {"a": 1}}}', '1')$$, '22023', 'invalid condition', 'a bad condition');
CREATE FUNCTION pg_temp.detail_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;
SELECT is(pg_temp.detail_of($$SELECT set_segment('m', 's', '{"all": [{"a": 1}, {"age": {"near": 18}}]}', '1')$$),
    '$.all[1].age.near is no operator; known are =, !=, <, <=, >, >=, in and prefix.', 'DETAIL names the path');
SELECT is((SELECT count(*) FROM rule_list WHERE rule = 'segment'), 0::bigint, 'nothing was set');
SELECT throws_ok($$SELECT set_segment('m', '', '{"a": 1}', '1')$$, '42602', NULL, 'a segment has a name');

-- Limits.
SELECT count(pin_unit('m', 'pin ' || i, '2')) AS pinned FROM generate_series(1, 999) i \gset
SELECT is((SELECT count(*) FROM rule_list WHERE rule = 'pin' AND model_name = 'm'), 1000::bigint, '1,000 pins are there');
SELECT is((SELECT count(*) FROM generate_series(1, 999) i WHERE route_version('m', 'pin ' || i) = '2'), 999::bigint, 'each is found');
SELECT is((SELECT count(*) FROM generate_series(1, 999) i WHERE route_version('m', 'pin' || i) = '1'), 999::bigint, 'nobody else is');
SELECT throws_ok($$SELECT pin_unit('m', 'one more', '2')$$, '54000', 'model "m" has too many pinned units', 'one more is too many');
SELECT is(pin_unit('m', 'pin 7', '1'), true, 'another version for one of them is not');
SELECT is(unpin_unit('m', 'pin 8') AND pin_unit('m', 'one more', '2'), true, 'nor one in the place of another');
SELECT count(set_segment('m', 'segment ' || i, jsonb_build_object('k', i), CASE WHEN i % 2 = 0 THEN '2' ELSE '3' END)) AS set FROM generate_series(1, 100) i \gset
SELECT throws_ok($$SELECT set_segment('m', 'one more', '{"a": 1}', '2')$$, '54000', 'model "m" has too many segments', '100 segments, not one more');
SELECT is((SELECT count(*) FROM generate_series(1, 100) i WHERE (SELECT value FROM route('m', 'w', jsonb_build_object('k', i))) = CASE WHEN i % 2 = 0 THEN '2' ELSE '3' END),
    100::bigint, 'each holds where it should');
SELECT throws_ok($$SELECT set_segment('m', 'segment 1', (SELECT jsonb_object_agg('k' || i, i) FROM generate_series(1, 1000) i), '2')$$, '54000', 'condition is too large', 'a condition of 1,000 tests and more');

-- What is known afterwards.
SELECT is((SELECT created_by || ' ' || (created_at BETWEEN now() - interval '1 hour' AND clock_timestamp()) FROM rule_list WHERE unit_hash = unit_hash('one more')),
    session_user || ' true', 'who and when');
SELECT is((SELECT count(*) FROM audit_log WHERE operation IN ('pin_unit', 'unpin_unit', 'set_segment', 'drop_segment')),
    (SELECT sum(revision - 1) - 1 FROM routing)::bigint, 'one audit row a change, none for what changes nothing');
SELECT is((SELECT count(*) FROM audit_log WHERE details::text LIKE '%pin 7%' OR details::text LIKE '%one more%'), 0::bigint, 'units are not written down');
SELECT is((SELECT count(*) FROM routing_pin WHERE version NOT IN ('1', '2', '3')), 0::bigint, 'pins hold the version''s text');
SELECT is((SELECT count(*) FROM routing r WHERE r.pin_hashes <> (SELECT array_agg(h ORDER BY h) FROM unnest(r.pin_hashes) h)), 0::bigint, 'the arrays of the hot path are in order');

-- A pinned or targeted version is in use.
SELECT throws_ok($$SELECT delete_model_version('m', '3')$$, '55006', NULL, 'a targeted version is not deleted');
SELECT throws_ok($$SELECT archive_model_version('m', '3')$$, '55000', NULL, 'nor archived');

SELECT * FROM finish();
