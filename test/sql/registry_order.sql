-- Order of versions: SemVer 2.0.0 precedence, read leniently; and the words latest, stable and previous.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(57);
CREATE FUNCTION pg_temp.make(model text, VARIADIC versions text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM unnest(versions) v, create_model_version(model, v, '{"provider": "p", "model_name": "m"}')
$$;
-- latest_when: resolve_version(..., 'latest') while version 1.0.0 has that status; put there by hand, the table lets its owner.
CREATE FUNCTION pg_temp.latest_when(model text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE model_version SET status = wanted WHERE model_name = model AND version = '1.0.0';
    RETURN resolve_version(model, 'latest');
END $$;
CREATE FUNCTION pg_temp.listed(model text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(version, ' ' ORDER BY n) FROM list_model_versions(model) WITH ORDINALITY AS v (a, b, c, version, d, e, f, g, h, i, j, k, l, m, o, n) $$;

-- The list of semver.org (section 11), made in the wrong order.
SELECT pg_temp.make('semver', '1.0.0', '2.1.1', '1.0.0-rc.1', '1.0.0-beta.11', '2.0.0', '1.0.0-alpha.beta', '1.0.0-beta', '2.1.0', '1.0.0-alpha.1', '1.0.0-beta.2', '1.0.0-alpha') \gset
SELECT is(pg_temp.listed('semver'),
    '1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0 2.1.0 2.1.1', 'the list of semver.org');
SELECT pg_temp.make('numbers', '1.10.0', '1.9.0', '1.2.0', '10.0.0', '9.99.99', '2.0.0', '1.0.0-10', '1.0.0-9', '1.0.18446744073709551616', '1.0.18446744073709551615') \gset
SELECT is(pg_temp.listed('numbers'), '1.0.0-9 1.0.0-10 1.0.18446744073709551615 1.0.18446744073709551616 1.2.0 1.9.0 1.10.0 2.0.0 9.99.99 10.0.0', 'numbers are numbers, of any length');
SELECT pg_temp.make('lenient', 'v1.2', '1.1.9', '1.2.1', 'v1', '1.0.1', 'V1.3-rc.1', '1.3', '01.04') \gset
SELECT is(pg_temp.listed('lenient'), 'v1 1.0.1 1.1.9 v1.2 1.2.1 V1.3-rc.1 1.3 01.04', 'v in front, numbers left out and leading zeros are all right');
SELECT pg_temp.make('equal', '1.0.0+b', 'v1.0', '1.0.0+a', '1.0.0') \gset
SELECT is(pg_temp.listed('equal'), '1.0.0+b v1.0 1.0.0+a 1.0.0', 'of equal precedence: by creation');
SELECT pg_temp.make('words', '0.0.0-0', 'zebra', '2024-01-15', 'apple', '1.2.3.4', '1..2', 'Ünïcødé', '1.0.0-') \gset
SELECT is(pg_temp.listed('words'), 'zebra 2024-01-15 apple 1.2.3.4 1..2 Ünïcødé 1.0.0- 0.0.0-0', 'what is no version sorts below every version, by creation');

SET model_mgr.clock = '2026-01-02 00:00:00+00';
SELECT pg_temp.make('clock', 'second') \gset
SET model_mgr.clock = '2026-01-01 00:00:00+00';
SELECT pg_temp.make('clock', 'first', 'first too') \gset
RESET model_mgr.clock;
SELECT is(pg_temp.listed('clock'), 'first first too second', 'by time of creation, not by id; by id where the time is the same');

SELECT is(version_order('1.0'), version_order('v1.0.0+x'), 'equal precedence, equal key');
SELECT is(version_order(NULL), NULL, 'no key for NULL');
SELECT is((SELECT array_agg(is_prerelease(v)) FROM unnest(ARRAY['1.0.0-rc.1', '1.0-rc', '1.0.0', '1.0.0+rc-1', '2024-01-15', 'rc', NULL]) v), ARRAY[true, true, false, false, false, false, NULL], 'is_prerelease()');
SELECT is((SELECT count(*) FROM (SELECT repeat('9', n) || '.' || repeat('1', 254 - n) AS v FROM generate_series(1, 253) n) x WHERE length(version_order(v)) > 1), 253::bigint, 'numerals of every length have a key');
SELECT is(version_order(repeat('9', 256)), version_order('x'), 'what is too long for a name is no version');

-- list_all_models(): models in order of their names, bytewise, whatever the locale.
SELECT pg_temp.make('Z', '1.10', '1.9'), pg_temp.make('a', '1') \gset
SELECT results_eq($$SELECT model_name || ' ' || version FROM list_all_models() WHERE model_name IN ('a', 'Z', 'equal')$$,
    $$VALUES ('Z 1.9'), ('Z 1.10'), ('a 1'), ('equal 1.0.0+b'), ('equal v1.0'), ('equal 1.0.0+a'), ('equal 1.0.0')$$, 'list_all_models()');
SELECT is((SELECT count(*) FROM list_all_models()), (SELECT count(*) FROM model_version), 'has all of them');

-- latest.
SELECT is(resolve_version('semver', 'latest'), '2.1.1', 'latest is the highest');
SELECT is(resolve_version('equal', 'latest'), '1.0.0', 'of equals the last made');
SELECT is(resolve_version('words', 'latest'), '1.0.0-', 'where no text is a version but a pre-release, the last made');
SELECT is(resolve_version('words', 'latest', true), '0.0.0-0', 'a pre-release when asked for');
SELECT pg_temp.make('pre', '1.0.0', '1.1.0-rc.1', '1.1.0-rc.2', '0.9') \gset
SELECT is(resolve_version('pre', 'latest'), '1.0.0', 'a pre-release is not the latest');
SELECT is(resolve_version('pre', 'latest', false), '1.0.0', 'nor with false');
SELECT is(resolve_version('pre', 'latest', NULL), '1.0.0', 'nor with NULL');
SELECT is(resolve_version('pre', 'latest', true), '1.1.0-rc.2', 'unless asked for');
SELECT pg_temp.make('only', '1.0.0-rc.1') \gset
SELECT is(resolve_version('only', 'latest'), NULL, 'none when there are only pre-releases');
SELECT is(pg_temp.latest_when('pre', status), CASE WHEN counts THEN '1.0.0' ELSE '0.9' END, status || CASE WHEN counts THEN ' counts' ELSE ' does not count' END)
FROM (VALUES ('pending', true), ('validating', false), ('ready', true), ('deploying', false), ('active', true), ('inactive', true), ('rolled_back', false), ('failed', false),
    ('archived', false)) s (status, counts);

-- stable and previous follow what served.
SELECT pg_temp.make('live', '1', '2', '3', '4') \gset
SELECT set_alias('live', 'champion', '2') \gset
SELECT is(resolve_version('live', 'stable'), NULL, 'nothing is stable before the first deployment');
SELECT is(resolve_version('live', 'previous'), NULL, 'nor previous');
SELECT version FROM deploy_model_version('live', '1') \gset
SELECT is(resolve_version('live', 'stable'), '1', 'the first deployment');
SELECT is(resolve_version('live', 'previous'), NULL, 'has no previous one');
SELECT version FROM deploy_model_version('live', '2', 'replace') \gset
SELECT is(resolve_version('live', 'stable'), '2', 'the second');
SELECT is(resolve_version('live', 'previous'), '1', 'has');
SELECT version FROM deploy_model_version('live', '3', 'canary') \gset
SELECT is(resolve_version('live', 'stable'), '2', 'a canary does not change what is stable');
SELECT is(resolve_version('live', 'previous'), '1', 'nor what was before');
SELECT is(resolve_version('live', 'latest'), '4', 'latest does not look at traffic');
SELECT ok(rollback_model('live', reason => 'test'), 'back');
SELECT is(resolve_version('live', 'stable'), '2', 'after the rollback as before');
SELECT version FROM deploy_model_version('live', '4', 'replace') \gset
SELECT is(resolve_version('live', 'previous'), '2', 'previous is 2 while 4 serves');
SELECT ok(rollback_model('live', reason => 'test'), 'back again');
SELECT is(resolve_version('live', 'stable'), '2', '2 serves again');
SELECT is(resolve_version('live', 'previous'), '1', 'what was rolled back is not previous');

-- other words.
SELECT is(resolve_version('live', '@champion'), '2', '@alias');
SELECT is(resolve_version('live', '@none'), NULL, 'an unknown alias');
SELECT is(resolve_version('live', '3'), '3', 'a version is itself, whatever its status');
SELECT is(resolve_version('live', '9'), NULL, 'an unknown version');
SELECT is(resolve_version('none', w), NULL, 'unknown model: ' || w) FROM unnest(ARRAY['latest', 'stable', 'previous', '1', '@champion']) w;
SELECT pg_temp.refused('22004', 'model_name', $$SELECT resolve_version(NULL, 'latest')$$);
SELECT pg_temp.refused('22004', 'version', $$SELECT resolve_version('live', NULL)$$);

SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
