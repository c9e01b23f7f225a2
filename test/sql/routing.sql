-- What route() answers: every reason, the columns, the bucket rule, and that all functions that answer agree.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT plan(60);

SELECT count(create_model_version('m', v, model_configuration('p', 'x', temperature => t))) AS made
FROM (VALUES ('1.0.0', 0.1), ('2.0.0', 0.2), ('3.0.0', 0.3)) x (v, t) \gset

-- The bucket rule.
CREATE TEMP TABLE vector (key text, unit_id text, hash bigint, bucket integer);
\copy vector FROM 'test/vectors/flagd_bucket.csv' CSV HEADER FORCE NOT NULL key, unit_id
SELECT is((SELECT count(*) FROM vector WHERE key <> '' AND unit_id <> ''), 48::bigint, 'vectors are there');
SELECT is_empty($$SELECT * FROM vector WHERE key <> '' AND unit_id <> '' AND bucket(key, unit_id) <> bucket$$, 'buckets are flagd''s');
SELECT is_empty($$SELECT * FROM vector WHERE unit_id <> '' AND bucket(key, unit_id, 2147483647) <> (hash * 2147483647) >> 32$$, 'with any total');
SELECT is(bucket('k', 'u', NULL), bucket('k', 'u', 10000), 'NULL is the default');
SELECT is((SELECT provolatile::text || proparallel::text FROM pg_proc WHERE oid = 'bucket(text, text, integer)'::regprocedure), 'is', 'immutable, parallel safe');
SELECT is(bucket('classifier', 'Straße'), 646, 'in UTF-8');

-- Nothing there, nothing active.
SELECT results_eq($$SELECT flag_key, value, variant, reason, error_code, error_message, version_id, deployment_id, test_id, configuration, decision,
    shadow_version, shadow_decision FROM route('none', 'u')$$,
    $$VALUES ('none', NULL::text, NULL::text, 'ERROR', 'FLAG_NOT_FOUND', 'model "none" does not exist', NULL::bigint, NULL::bigint, NULL::text,
    NULL::jsonb, NULL::text, NULL::text, NULL::text)$$, 'an unknown model: one row that says so');
SELECT is(route_version('none', 'u'), NULL, 'route_version: NULL');
SELECT is(route_at('none', 'u', now()), NULL, 'route_at: NULL');
SELECT is_empty($$SELECT * FROM explain_route('none', 'u')$$, 'explain_route: no row');
SELECT results_eq($$SELECT flag_key, value, variant, reason, error_code, decision FROM route('m', 'u')$$,
    $$VALUES ('m', NULL::text, NULL::text, 'DISABLED', NULL::text, NULL::text)$$, 'nothing active');
SELECT is(route_version('m', 'u'), NULL, 'nothing active: NULL');

-- One version.
SELECT deployment_id AS first FROM deploy_model_version('m', '1.0.0') \gset
SELECT results_eq($$SELECT flag_key, value, variant, reason, error_code, version_id, deployment_id, test_id, configuration, shadow_version, shadow_decision
    FROM route('m', 'u')$$,
    $$SELECT 'm', '1.0.0', 'stable', 'STATIC', NULL::text, v.version_id, NULL::bigint, NULL::text, v.configuration, NULL::text, NULL::text
    FROM model_version v WHERE v.version = '1.0.0'$$, 'one active version: STATIC');
SELECT is((SELECT value || ' ' || reason FROM route('m')), '1.0.0 STATIC', 'unit and context have defaults');
SELECT is(route_version('m'), '1.0.0', 'route_version too');
SELECT is((SELECT value || ' ' || reason FROM route('m', NULL, NULL)), '1.0.0 STATIC', 'NULL is the default');
SELECT is((SELECT count(*) FROM route('m', 'u')), 1::bigint, 'always one row');
SELECT throws_ok('SELECT * FROM route(NULL, ''u'')', '22004', 'argument "model_name" must not be null', 'no model name');
SELECT throws_ok('SELECT route_version(NULL, ''u'')', '22004', 'argument "model_name" must not be null', 'no model name');
SELECT throws_ok('SELECT * FROM route(''m'', ''u'', ''[1]'')', '22P02', '"context" must be a JSON object', 'a list is no context');
SELECT throws_ok('SELECT * FROM route(''m'', ''u'', ''1'')', '22P02', '"context" must be a JSON object', 'a number is no context');
SELECT is((SELECT value FROM route('m', 'u', 'null')), '1.0.0', 'JSON null is no context at all');
SELECT is((SELECT value FROM route('m', 'u', '{"country": "DE"}')), '1.0.0', 'a context that nothing asks for');

-- A split.
SELECT deployment_id AS id FROM deploy_model_version('m', '2.0.0', strategy => 'canary', rollout => '{"steps": [25, 50, 100]}') \gset
CREATE TEMP TABLE unit AS SELECT 'user-' || i AS unit_id FROM generate_series(1, 4000) i;
CREATE TEMP TABLE answer AS SELECT u.unit_id, r.* FROM unit u CROSS JOIN LATERAL route('m', u.unit_id) r;
SELECT is_empty($$SELECT * FROM answer WHERE reason <> 'SPLIT'$$, 'a split: SPLIT');
SELECT set_eq($$SELECT DISTINCT value, variant FROM answer$$, $$VALUES ('1.0.0', 'stable'), ('2.0.0', 'candidate')$$, 'two variants');
SELECT is_empty(format('SELECT * FROM answer WHERE deployment_id IS DISTINCT FROM %s', :id), 'credited to the rollout on both sides');
SELECT is_empty($$SELECT * FROM answer WHERE value IS DISTINCT FROM route_version('m', unit_id)$$, 'route_version agrees');
SELECT is_empty($$SELECT * FROM answer WHERE value IS DISTINCT FROM route_at('m', unit_id, now())$$, 'route_at agrees');
SELECT is_empty($$SELECT * FROM answer a JOIN model_version v USING (version_id) WHERE a.value <> v.version OR a.configuration <> v.configuration$$,
    'id, version and configuration belong together');
SELECT is_empty($$SELECT * FROM answer a, routing r WHERE (a.value = '2.0.0') <> (bucket(r.bucket_key, a.unit_id) < 2500)$$,
    'whoever knows the key computes the same');
SELECT ok((SELECT bucket_key = salt || :'id' AND bucket_rule = 'flagd2' FROM routing), 'the key is the salt and the deployment id; the rule is named');
SELECT ok((SELECT length(decision) <= 100 AND decision ~ '^[A-Za-z0-9_-]+$' FROM answer ORDER BY length(decision) DESC LIMIT 1), 'a decision is 100 URL-safe characters at most');
SELECT is((SELECT count(DISTINCT decision) FROM answer), 4000::bigint, 'no two decisions are the same');
SELECT ok((SELECT count(*) FROM answer a WHERE a.decision LIKE '%' || 'user' || '%') = 0, 'nor do they hold the unit');

-- No unit.
SELECT is((SELECT value || ' ' || variant || ' ' || reason FROM route('m')), '1.0.0 stable DEFAULT', 'no unit: the stable version');
SELECT is((SELECT value || ' ' || variant || ' ' || reason FROM route('m', '')), '1.0.0 stable DEFAULT', 'an empty unit is no unit');
SELECT is(route_version('m', ''), '1.0.0', 'route_version too');
SELECT is(route_at('m', '', now()), '1.0.0', 'and route_at');
SELECT is(unit_hash(''), NULL, 'it has no hash');
SELECT is(unit_hash(NULL), NULL, 'nor has NULL');
SELECT ok(unit_hash('a') = unit_hash('a') AND unit_hash('a') <> unit_hash('b'), 'units have');

-- What the rules were.
SELECT results_eq($$SELECT position, rule, matched, bucket, bucket_limit, version FROM explain_route('m', (SELECT unit_id FROM answer WHERE value = '2.0.0' LIMIT 1))$$,
    $$SELECT 1, 'pin', false, NULL::integer, NULL::integer, NULL::text UNION ALL
    SELECT 2, 'rollout', true, bucket(r.bucket_key, a.unit_id), 2500, '2.0.0' FROM routing r, (SELECT unit_id FROM answer WHERE value = '2.0.0' LIMIT 1) a$$,
    'explained: the candidate');
SELECT results_eq($$SELECT position, rule, matched, bucket >= 2500, bucket_limit, version FROM explain_route('m', (SELECT unit_id FROM answer WHERE value = '1.0.0' LIMIT 1))$$,
    $$VALUES (1, 'pin', false, NULL::boolean, NULL::integer, NULL::text), (2, 'rollout', false, true, 2500, '2.0.0'), (3, 'stable', true, NULL, NULL, '1.0.0')$$,
    'explained: the stable version');
SELECT results_eq($$SELECT rule, matched, bucket, version FROM explain_route('m')$$,
    $$VALUES ('pin', false, NULL::integer, NULL::text), ('rollout', false, NULL, '2.0.0'), ('stable', true, NULL, '1.0.0')$$, 'explained: no unit');

-- A decision says what its outcome is credited to.
SELECT count(record_outcome(decision, true, 0.5)) AS recorded FROM (SELECT decision FROM answer ORDER BY unit_id LIMIT 100) a \gset
SELECT is_empty(format($$SELECT a.unit_id FROM (SELECT * FROM answer ORDER BY unit_id LIMIT 100) a LEFT JOIN observation o ON o.unit_hash = unit_hash(a.unit_id)
    WHERE o.version_id IS DISTINCT FROM a.version_id OR o.deployment_id IS DISTINCT FROM %s OR o.step IS DISTINCT FROM 1
    OR o.arm IS DISTINCT FROM (a.value = '2.0.0')::integer OR o.routed_at > o.recorded_at OR o.request IS NULL$$, :id),
    'version, rollout, step, arm, unit, request and time come back');
SELECT is((SELECT count(DISTINCT request) FROM observation), 100::bigint, 'requests have numbers of their own');
SELECT record_outcome(decision, true) IS NOT NULL AS recorded FROM route('m') \gset
SELECT ok((SELECT count(*) = 1 AND bool_and(arm IS NULL AND deployment_id IS NOT NULL) FROM observation WHERE unit_hash IS NULL), 'without a unit nobody was drawn');

-- Damage.
SELECT decision FROM answer LIMIT 1 \gset
SELECT throws_ok(format('SELECT record_outcome(%L, true)', left(:'decision', -1)), '22P02', 'invalid decision', 'a cut decision');
SELECT throws_ok(format('SELECT record_outcome(%L, true)', :'decision' || 'A'), '22P02', 'invalid decision', 'a longer one');
SELECT throws_ok(format('SELECT record_outcome(%L, true)', overlay(:'decision' PLACING CASE substr(:'decision', 6, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 6 FOR 1)), '22P02', 'invalid decision', 'another character');
SELECT throws_ok(format('SELECT record_outcome(%L, true)', :'decision' || '='), '22P02', 'invalid decision', 'padding');
SELECT throws_ok($$SELECT record_outcome('', true)$$, '22P02', 'invalid decision', 'nothing');
SELECT throws_ok($$SELECT record_outcome('garbage', true)$$, '22P02', 'invalid decision', 'garbage');
SELECT throws_ok($$SELECT record_outcome(repeat('A', 100000), true)$$, '22P02', 'invalid decision', 'a lot of it');
-- Another installation has another key.
BEGIN;
DELETE FROM unit_key;
INSERT INTO unit_key VALUES (now(), decode('000102030405060708090a0b0c0d0e0f', 'hex'));
SELECT throws_ok(format('SELECT record_outcome(%L, true)', :'decision'), '22P02', 'invalid decision', 'a foreign decision');
-- The oldest key counts, whichever came last.
SELECT decision AS old_key FROM route('m', 'u') \gset
INSERT INTO unit_key VALUES ('2001-01-01', decode('ff0102030405060708090a0b0c0d0e0f', 'hex'));
SELECT throws_ok(format('SELECT record_outcome(%L, true)', :'old_key'), '22P02', 'invalid decision', 'a key that is restored takes over');
ROLLBACK;
SELECT lives_ok(format('SELECT record_outcome(%L, true)', :'decision'), 'the old key is back after a rollback');

-- At 100 % nothing is split any more; the bake still counts.
SELECT promote_deployment(:id, all_steps => true) IS NOT NULL AS promoted \gset
SELECT is((SELECT value || ' ' || variant || ' ' || reason || ' ' || deployment_id FROM route('m', 'u')), '2.0.0 stable STATIC ' || :'id', 'baking: STATIC, credited to the rollout');
SELECT is((SELECT count(DISTINCT route_version('m', unit_id)) FROM unit), 1::bigint, 'everybody');

-- The answer is a row of its own type, wherever it is asked for.
SELECT is((route('m', 'u')).value, '2.0.0', 'as a composite value');

SELECT * FROM finish();
