-- record_outcomes(): arrays of outcomes and feedback; all or nothing, or without the bad ones.
\i test/fresh.psql
\i test/rollout.psql
\i test/refused.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
SELECT model_mgr.deploy_model_version('m', '1') \gset d1_
SELECT model_mgr.deploy_model_version('m', '2', rollout => '{"steps": [50, 100]}') \gset d2_
CREATE TEMP TABLE decided AS SELECT i, r.decision, r.value AS version FROM generate_series(1, 2500) i, model_mgr.route('m', 'u' || i) r;

-- Outcomes of decisions, in more than one chunk.
SELECT is(model_mgr.record_outcomes(jsonb_agg(jsonb_build_object('decision', decision, 'response_time', i / 1000.0, 'success', NULL,
    'metrics', jsonb_build_object('i', i)) ORDER BY i)), 2500::bigint, 'every element is a row') FROM decided;
SELECT results_eq($$SELECT v.version, count(*), sum((o.metrics ->> 'i')::int) FROM model_mgr.observation o JOIN model_mgr.model_version v USING (version_id) GROUP BY 1 ORDER BY 1$$,
    $$SELECT version, count(*), sum(i) FROM decided GROUP BY 1 ORDER BY 1$$, 'credited to what served it');
SELECT is(count(*), 2500::bigint, 'with response time, not known success, unit and request') FROM model_mgr.observation
WHERE response_time = (metrics ->> 'i')::float8 / 1000 AND success IS NULL AND unit_hash = model_mgr.unit_hash('u' || (metrics ->> 'i')) AND request IS NOT NULL;
-- The truth comes late.
SELECT is(model_mgr.record_outcomes(jsonb_agg(jsonb_build_object('decision', decision, 'feedback', true, 'success', i % 2 = 0))), 2500::bigint, 'feedback in bulk') FROM decided;
SELECT is((sum(requests), sum(known), sum(successes)), (2500::numeric, 2500::numeric, 1250::numeric), 'counts no further request') FROM model_mgr.rollup_now;
-- Requests by version.
SELECT is(model_mgr.record_outcomes('[{"model_name": "m", "version": "1", "success": true, "response_time": 1.5, "confidence": 0.5, "cost": 2, "input_tokens": 3,
    "output_tokens": 4, "error_type": "e", "unit_id": "u", "recorded_at": "2026-01-10 11:00:00+00", "routed_at": "2026-01-10T10:00:00Z", "metrics": {"a": 1}, "feedback": false}]'),
    1::bigint, 'all keys of update_model_metrics');
SELECT is(o - 'txn' - 'version_id', '{"recorded_at": "2026-01-10T11:00:00+00:00", "routed_at": "2026-01-10T10:00:00+00:00", "deployment_id": null, "step": null, "test_no": null, "arm": null,
    "request": null, "success": true, "response_time": 1.5, "confidence": 0.5, "cost": 2, "input_tokens": 3, "output_tokens": 4, "error_type": "e", "feedback": false, "metrics": {"a": 1}}'
    || jsonb_build_object('unit_hash', model_mgr.unit_hash('u')), 'reach their columns')
FROM (SELECT to_jsonb(o) FROM model_mgr.observation o WHERE o.recorded_at = '2026-01-10 11:00:00+00') r (o);
SELECT is(model_mgr.record_outcomes('[]'), 0::bigint, 'nothing to record');
SELECT is(model_mgr.record_outcomes('[{"model_name": "m", "version": "1", "success": null, "response_time": null, "metrics": null}]'), 1::bigint, 'null: not known');

-- Refused, and nothing recorded, whatever came before the bad element, which the DETAIL names.
SELECT pg_temp.refused(code, '^(?=.*\nElement 2 of "outcomes": [A-Z]).*' || says, format($$SELECT model_mgr.record_outcomes('[{"model_name": "m", "version": "1"}, %s]')$$, element)) FROM (VALUES
    ('22023', 'unknown key "foo"', '{"model_name": "m", "version": "1", "foo": 1}'), ('22023', 'missing', '{}'), ('22023', '"version" is missing', '{"model_name": "m"}'),
    ('22023', '"model_name" is missing', '{"version": "1"}'), ('22023', 'does not go with a decision', '{"decision": "x", "unit_id": "u"}'),
    ('22023', 'does not go with feedback', '{"decision": "x", "feedback": true, "cost": 1}'), ('22023', 'does not go with feedback', '{"model_name": "m", "version": "1", "feedback": true}'),
    ('22023', 'missing', '{"feedback": true}'),
    ('22P02', 'must be a JSON object', '1'), ('22P02', 'must be a JSON object', '[]'), ('22P02', 'must be a JSON object', 'null'),
    ('22P02', 'decision', '{"decision": "x"}'), ('22P02', 'true or false', '{"model_name": "m", "version": "1", "success": "yes"}'),
    ('22P02', 'a number', '{"model_name": "m", "version": "1", "cost": "1"}'), ('22P02', 'a string', '{"model_name": 1, "version": "1"}'),
    ('22P02', 'point in time', '{"model_name": "m", "version": "1", "recorded_at": "yesterday evening"}'), ('22P02', 'object of numbers', '{"model_name": "m", "version": "1", "metrics": 1}'),
    ('22P02', 'JSON object', '{"model_name": "m", "version": "1", "metrics": []}'),
    ('42704', '"nobody"', '{"model_name": "nobody", "version": "1"}'), ('42704', '"9"', '{"model_name": "m", "version": "9"}'),
    ('22003', 'confidence', '{"model_name": "m", "version": "1", "confidence": 2}'), ('22003', 'finite', '{"model_name": "m", "version": "1", "response_time": 1e400}'),
    ('22003', 'input_tokens', '{"model_name": "m", "version": "1", "input_tokens": 1e30}'), ('22P02', 'an integer', '{"model_name": "m", "version": "1", "input_tokens": 1.5}'),
    ('22003', 'recorded_at', '{"model_name": "m", "version": "1", "recorded_at": "infinity"}'), ('22003', 'recorded_at', '{"model_name": "m", "version": "1", "recorded_at": "2000-01-01"}')
    ) bad (code, says, element);
SELECT pg_temp.refused('22004', '', 'SELECT model_mgr.record_outcomes(NULL)');
SELECT pg_temp.refused('22P02', 'array', $$SELECT model_mgr.record_outcomes('{}')$$);
SELECT pg_temp.refused('22P02', 'array', $$SELECT model_mgr.record_outcomes('1')$$);

-- Or without the bad ones: first, last, many in a row, and across chunks.
SELECT is(model_mgr.record_outcomes('[1, {"decision": "x"}, {"model_name": "m", "version": "1"}, {}, {"model_name": "m", "version": "1"}, {"model_name": "m", "version": "9"}]', true), 2::bigint, 'the good ones');
SELECT is(model_mgr.record_outcomes(jsonb_agg(jsonb_build_object('model_name', 'm', 'version', CASE WHEN i % 7 = 0 THEN '9' ELSE '1' END, 'response_time', i, 'recorded_at', '2026-01-10 11:30:00+00'))
    , true), 3000::bigint, 'of 3500') FROM generate_series(1, 3500) i;
SELECT is(array_agg(response_time ORDER BY response_time), (SELECT array_agg(i::float8 ORDER BY i) FROM generate_series(1, 3500) i WHERE i % 7 <> 0), 'and no others')
FROM model_mgr.observation WHERE recorded_at = '2026-01-10 11:30:00+00';
SELECT is(model_mgr.record_outcomes('[1, 2]', true), 0::bigint, 'none good');
-- What is not the element's fault is not skipped.
CREATE TEMP TABLE bad AS SELECT jsonb_agg(jsonb_build_object('model_name', 'm', 'version', '9')) AS outcomes FROM generate_series(1, 200000);
CREATE FUNCTION pg_temp.cancelled() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM model_mgr.record_outcomes(outcomes, true) FROM bad;
    RETURN 'not cancelled';
EXCEPTION WHEN query_canceled THEN
    RETURN 'cancelled';
END $$;
SET statement_timeout = 500;
SELECT is(pg_temp.cancelled(), 'cancelled', 'a cancel is no bad element');
RESET statement_timeout;

-- A million elements in one call.
BEGIN;
SELECT is(model_mgr.record_outcomes(jsonb_agg(jsonb_build_object('model_name', 'm', 'version', '1', 'success', true))), 1000000::bigint, 'a million') FROM generate_series(1, 1000000);
ROLLBACK;
SELECT finish();
