-- BEGIN; a verb; look; ROLLBACK is a dry run of it: inside, everything shows what would be; afterwards nothing is left, in
-- tables or in the session's memory, and nobody was told.
\i test/fresh.psql
\i test/rollout.psql
\i test/refused.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('m', '1')).status;
CREATE FUNCTION pg_temp.served() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s x %s', v, n), ', ' ORDER BY v) FROM (SELECT model_mgr.route_version('m', 'unit ' || i) v, count(*) n FROM generate_series(1, 1000) i GROUP BY 1) r;
$$;
SELECT is(pg_temp.served(), '1 x 1000', 'one version serves');
SELECT pg_temp.contents() AS before \gset

-- A deployment: its plan, the routing, the diary and the audit entry are all there to be looked at.
BEGIN;
SELECT is(status || ' ' || traffic_percentage || ' ' || baseline_version, 'running 10 1', 'what it would be') FROM model_mgr.deploy_model_version('m', '2');
SELECT is(rollout ->> 'min_requests', '100', 'every key with its value') FROM model_mgr.list_deployments('m', 'running');
SELECT matches(pg_temp.served(), '^1 x \d+, 2 x \d+$', 'who would be served by it');
SELECT is((SELECT count(*) FROM model_mgr.canary_status) >= 3, true, 'what it would be judged by');
SELECT is((SELECT string_agg(what, ' / ' ORDER BY "time", traffic_percentage) FROM model_mgr.explain_deployment(model_mgr.open_deployment('m')) WHERE metric_name IS NULL),
    'canary deployment of 2 beside 1 / step 1 of 10: 10 % of traffic', 'its diary');
SELECT is((SELECT operation FROM model_mgr.audit_log ORDER BY audit_id DESC LIMIT 1), 'deploy', 'its audit entry');
-- Going on in thought: outcomes that it might have, and the tick that would judge them.
SELECT pg_temp.outcomes('m', '2', 100, 50);
SELECT is(pg_temp.tick(), 1::bigint, 'a tick judges');
SELECT is(pg_temp.state('m'), 'rolled_back 0 1', 'so bad a version would be taken back');
ROLLBACK;
SELECT is(pg_temp.served(), '1 x 1000', 'afterwards this session routes as before');
SELECT is(pg_temp.contents() = :'before', true, 'and no table has changed');
SELECT is((SELECT count(*) FROM model_mgr.events_since() WHERE type LIKE 'deployment.%' AND version = '2'), 0::bigint, 'nobody is told');

-- The same in a subtransaction, kept or not by itself.
BEGIN;
SAVEPOINT thought;
SELECT (model_mgr.deploy_model_version('m', '2', 'replace')).status;
SELECT is(pg_temp.served(), '2 x 1000', 'in a savepoint');
ROLLBACK TO thought;
SELECT is(pg_temp.served(), '1 x 1000', 'back to it');
SELECT (model_mgr.deploy_model_version('m', '3', 'replace')).status;
SELECT is(pg_temp.served(), '3 x 1000', 'another thought');
ROLLBACK;
SELECT is(pg_temp.served() || ' ' || (pg_temp.contents() = :'before'), '1 x 1000 true', 'nothing is left of either');

-- Every other verb of a rollout under way.
SELECT deployment_id AS id FROM model_mgr.deploy_model_version('m', '2', rollout => '{"steps": [10, 50, 100]}') \gset
SELECT pg_temp.served() AS shares, pg_temp.contents() AS before \gset
CREATE TABLE pg_temp.verb (n serial, statement text, outcome text);
INSERT INTO pg_temp.verb (statement, outcome) VALUES
    ('SELECT model_mgr.promote_deployment(%s)', 'running 50 2'), ('SELECT model_mgr.promote_deployment(%s, true)', 'promoting 100 3'),
    ('SELECT model_mgr.pause_deployment(%s)', 'paused 10 1'), ('SELECT model_mgr.abort_deployment(%s)', 'aborted 0 1'),
    ('SELECT model_mgr.rollback_model(''m'')', 'rolled_back 0 1'), ('SELECT model_mgr.deploy_model_version(''m'', ''3'', supersede => true)', 'running 10 1'),
    ('SELECT model_mgr.adjust_deployment(%s, ''{"rollback_min_success_rate": 0.5}'', ''thinking'')', 'running 10 1');
CREATE FUNCTION pg_temp.think(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE outcome text;
BEGIN
    BEGIN
        EXECUTE statement;
        outcome := pg_temp.state('m');
        RAISE EXCEPTION 'thought' USING errcode = 'P0999';
    EXCEPTION WHEN SQLSTATE 'P0999' THEN NULL;
    END;
    RETURN outcome;
END $$;
SELECT is(pg_temp.think(format(statement, :id)), outcome, format(statement, 'id')) FROM pg_temp.verb ORDER BY n;
SELECT is(pg_temp.served() = :'shares' AND pg_temp.contents() = :'before', true, 'and all is as it was');
SELECT * FROM finish();
DROP EXTENSION model_mgr;
