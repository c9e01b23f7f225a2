-- deployment_list and canary_status: the same rows whoever asks for how many, and who asks for one model looks at that one.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m' || i, '1', '2') FROM generate_series(1, 12) i;
SELECT count(model_mgr.deploy_model_version('m' || i, v, rollout => '{"min_requests": 10}')) FROM unnest('{1,2}'::text[]) v, generate_series(1, 12) i;
SELECT count(pg_temp.outcomes('m' || i, '2', i, i)) FROM generate_series(1, 12) i;
SELECT (model_mgr.abort_deployment(pg_temp.newest('m5'))).status, (model_mgr.promote_deployment(pg_temp.newest('m6'), true)).status;
CREATE FUNCTION pg_temp.one_by_one() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
    FOR id IN SELECT d.deployment_id FROM model_mgr.deployment d ORDER BY 1 LOOP
        RETURN QUERY SELECT s::text FROM model_mgr.rollout_status(id) s;
    END LOOP;
END $$;
SELECT results_eq('SELECT s::text FROM model_mgr.rollout_status() s', 'SELECT pg_temp.one_by_one()', 'all at once, one by one');
SELECT results_eq('SELECT s::text FROM model_mgr.deployment d, LATERAL model_mgr.rollout_status(d.deployment_id) s ORDER BY d.deployment_id, s."position"', 'SELECT pg_temp.one_by_one()', 'and many in one query');
SELECT results_eq('SELECT s::text FROM model_mgr.deployment d, LATERAL model_mgr.rollout_status(d.deployment_id) s WHERE d.model_name IN (''m7'', ''m2'') ORDER BY d.deployment_id DESC, s."position"',
    'SELECT s::text FROM model_mgr.rollout_status() s JOIN model_mgr.deployment d USING (deployment_id) WHERE d.model_name IN (''m7'', ''m2'') ORDER BY d.deployment_id DESC, s."position"', 'in any order');
SELECT is((SELECT string_agg(format('%s %s %s', model_name, status, samples), ', ' ORDER BY deployment_id) FROM model_mgr.deployment_list WHERE version = '2'),
    'm1 running 1, m2 running 2, m3 running 3, m4 running 4, m5 aborted , m6 promoting 0, m7 running 7, m8 running 8, m9 running 9, m10 running 10, m11 running 11, m12 running 12', 'the list');
SELECT is((SELECT count(*) FROM model_mgr.canary_status), 11 * 3::bigint, 'canary_status: a row a limit of what is under way');
SELECT is((SELECT count(*) FROM model_mgr.deployment_list), 24::bigint, 'a row a deployment');
-- Who filters has looked at as few: how often the function is called, as the executor counts it.
CREATE FUNCTION pg_temp.looks(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE line text; looks bigint := 0;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || statement LOOP
        IF line LIKE '%Function Scan on rollout_status%' THEN
            looks := looks + coalesce(substring(line FROM 'loops=(\d+)')::bigint, 0);
        END IF;
    END LOOP;
    RETURN looks;
END $$;
SELECT is(pg_temp.looks(format('SELECT * FROM model_mgr.%s WHERE %s', view, filter)), 1::bigint, view || ', by ' || filter)
FROM unnest('{deployment_list,canary_status}'::text[]) view, unnest(ARRAY['model_name = ''m3''', 'deployment_id = ' || pg_temp.newest('m3')]) filter;
SELECT is(pg_temp.looks('SELECT * FROM model_mgr.deployment_list WHERE model_name = ''m5'''), 0::bigint, 'nothing of it is under way');
SELECT * FROM finish();
