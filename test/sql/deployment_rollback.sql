-- rollback_model: what is taken back, where it goes, when there is nothing to do, and when there is nowhere to go.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
CREATE FUNCTION pg_temp.replace(name text, VARIADIC versions text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..cardinality(versions) LOOP
        PERFORM model_mgr.deploy_model_version(name, versions[i], 'replace', rollout => '{"bake_seconds": 0}');
        PERFORM pg_temp.tick();
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.now_at(name text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.statuses(name) || ' | ' || pg_temp.routed(name) $$;

-- Nothing to go back to.
SELECT pg_temp.make_model('m', '1', '2', '3', '4');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('m')$$), '55000', 'no deployment');
SELECT pg_temp.replace('m', '1');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('m')$$), '55000', 'only a first one');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('nobody')$$), '42704', 'unknown model');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('m', '9')$$), '42704', 'unknown version');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('m', '@nobody')$$), '42704', 'unknown alias');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model(NULL)$$), '22004', 'NULL');
SELECT is(pg_temp.now_at('m'), '1 active, 2 pending, 3 pending, 4 pending | 1 - 0', 'nothing changed');

-- An open rollout returns to its baseline; pressing again does nothing.
SELECT (model_mgr.deploy_model_version('m', '2')).status;
SELECT is(model_mgr.rollback_model('m', reason => 'pressed'), true, 'an open rollout');
SELECT is(pg_temp.now_at('m'), '1 active, 2 rolled_back, 3 pending, 4 pending | 1 - 0', 'returns to its baseline');
SELECT is((SELECT status_reason FROM model_mgr.get_deployment(pg_temp.newest('m'))), 'pressed', 'with the reason');
SELECT is(model_mgr.rollback_model('m', reason => 'pressed too'), false, 'again: already there');
SELECT is(pg_temp.now_at('m'), '1 active, 2 rolled_back, 3 pending, 4 pending | 1 - 0', 'one version back, not two');
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'rollback'), 1::bigint, 'audited once');
SELECT is(details, jsonb_build_object('automatic', false, 'deployment_id', pg_temp.newest('m'), 'evidence', NULL, 'from_percentage', 10, 'reason', 'pressed',
    'target_version', '1'), 'who pressed it and why') FROM model_mgr.audit_log WHERE operation = 'rollback';
SELECT is(version || ' ' || user_name, '2 ' || session_user, 'the version that was taken back') FROM model_mgr.audit_log WHERE operation = 'rollback';

-- The last deployment is taken back while it bakes, and when it has completed.
SELECT (model_mgr.deploy_model_version('m', '3', 'replace')).status;
SELECT is(model_mgr.rollback_model('m'), true, 'a baking one');
SELECT is(pg_temp.now_at('m'), '1 active, 2 rolled_back, 3 rolled_back, 4 pending | 1 - 0', 'the previous one serves again');
SELECT is(pg_temp.tick(), 0::bigint, 'its bake is over');
SELECT pg_temp.replace('m', '4');
SELECT is(pg_temp.state('m'), 'completed 100 1', 'another one completes');
SELECT pg_temp.at('2026-01-02 00:00:00+00');
SELECT is(model_mgr.rollback_model('m'), true, 'a day later');
SELECT is(pg_temp.state('m') || ' | ' || pg_temp.now_at('m'), 'rolled_back 0 1 | 1 active, 2 rolled_back, 3 rolled_back, 4 rolled_back | 1 - 0', 'it is taken back');
SELECT is(model_mgr.rollback_model('m'), false, 'and that is all');

-- What an abort leaves is no deployment in between.
SELECT (model_mgr.deploy_model_version('m', '2')).status;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT is(model_mgr.rollback_model('m'), false, 'an aborted rollout in between: still there');
SELECT pg_temp.replace('m', '2');
SELECT (model_mgr.deploy_model_version('m', '3')).status;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('m'))).status;
SELECT is(model_mgr.rollback_model('m'), true, 'the completed one before an aborted one');
SELECT is(pg_temp.now_at('m'), '1 active, 2 rolled_back, 3 inactive, 4 rolled_back | 1 - 0', 'is taken back');

-- Never by itself to a version that was rolled back: the last one that may serve is chosen.
SELECT pg_temp.make_model('n', '1', '2', '3');
SELECT pg_temp.replace('n', '1', '2', '3');
SELECT (model_mgr.deploy_model_version('n', '2')).status;
SELECT model_mgr.rollback_model('n', reason => 'the canary of the old one failed');
SELECT is(pg_temp.now_at('n'), '1 inactive, 2 rolled_back, 3 active | 3 - 0', 'the baseline of 3 has been rolled back meanwhile');
SELECT (model_mgr.deploy_model_version('n', '1')).status;
SELECT (model_mgr.promote_deployment(model_mgr.open_deployment('n'), true)).status;
SELECT is(model_mgr.rollback_model('n'), true, '1 goes back');
SELECT is(pg_temp.now_at('n'), '1 rolled_back, 2 rolled_back, 3 active | 3 - 0', 'to 3');
SELECT pg_temp.make_model('p', '1', '2', '3', '4');
SELECT pg_temp.replace('p', '1', '2', '3');
UPDATE model_mgr.model_version SET status = 'rolled_back' WHERE model_name = 'p' AND version = '2';
SELECT is(model_mgr.rollback_model('p'), true, '3 replaced 2, which is rolled back');
SELECT is(pg_temp.now_at('p'), '1 active, 2 rolled_back, 3 rolled_back, 4 pending | 1 - 0', 'so it goes to 1');
SELECT pg_temp.make_model('q', '1', '2');
SELECT pg_temp.replace('q', '1', '2');
UPDATE model_mgr.model_version SET status = 'rolled_back' WHERE model_name = 'q' AND version = '1';
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('q')$$), '55000', 'or nowhere');
SELECT is(pg_temp.now_at('q'), '1 rolled_back, 2 active | 2 - 0', 'then nothing moves');

-- With a target.
SELECT pg_temp.make_model('t', '1', '2', '3', '4', '5');
SELECT pg_temp.replace('t', '1', '2', '3');
SELECT is(model_mgr.rollback_model('t', '3'), false, 'the active version: already there');
SELECT is(model_mgr.rollback_model('t', '1', 'back to the roots'), true, 'two versions back');
SELECT is(pg_temp.now_at('t'), '1 active, 2 inactive, 3 rolled_back, 4 pending, 5 pending | 1 - 0', 'the named one serves');
SELECT is(model_mgr.rollback_model('t', '1'), false, 'again: already there');
SELECT is(model_mgr.rollback_model('t'), false, 'and without a target: nothing in between');
SELECT (model_mgr.deploy_model_version('t', '4')).status;
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('t', '4')$$), '55000', 'not to the version that is being rolled out');
SELECT is(model_mgr.rollback_model('t', '1'), true, 'an open rollout to its baseline by name');
SELECT is(pg_temp.now_at('t'), '1 active, 2 inactive, 3 rolled_back, 4 rolled_back, 5 pending | 1 - 0', 'like without a name');
SELECT (model_mgr.deploy_model_version('t', '4')).status;
SELECT is(model_mgr.rollback_model('t', '2'), true, 'an open rollout to a third version');
SELECT is(pg_temp.now_at('t'), '1 inactive, 2 active, 3 rolled_back, 4 rolled_back, 5 pending | 2 - 0', 'it serves instead of the baseline');
SELECT (model_mgr.deploy_model_version('t', '5', 'replace')).status;
SELECT is(model_mgr.rollback_model('t', '1'), true, 'a baking one to a third version');
SELECT is(pg_temp.now_at('t'), '1 active, 2 inactive, 3 rolled_back, 4 rolled_back, 5 rolled_back | 1 - 0', 'it serves');
SELECT model_mgr.set_alias('t', 'fallback', '2');
SELECT is(model_mgr.rollback_model('t', '@fallback'), true, 'by alias');
SELECT is(pg_temp.routed('t'), '2 - 0', 'resolved');
SELECT (model_mgr.archive_model_version('t', '1')).status;
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('t', '1')$$), '55000', 'an archived one does not serve');
SELECT is(pg_temp.code($$SELECT model_mgr.rollback_model('t', '3')$$), '55000', 'nor does one that has been taken back, even when it is named');
SELECT is(pg_temp.routed('t'), '2 - 0', 'nothing moved');
SELECT is((SELECT p.status FROM model_mgr.deploy_model_version('t', '3', 'replace') p), 'promoting', 'it comes back by a deployment');
SELECT is((SELECT count(*) FROM model_mgr.list_model_versions('t') WHERE status = 'active'), 1::bigint, 'one is active');

-- A version that serves because a rollback named it: deploying it changes nothing, and it is known from then on.
SELECT pg_temp.make_model('s', '1', '2', '3');
SELECT pg_temp.replace('s', '1', '2');
SELECT is(model_mgr.rollback_model('s', '3'), true, 'to one that never was deployed');
SELECT is(d.status || ', ' || d.status_reason, 'completed, it served already', 'deployed afterwards') FROM model_mgr.deploy_model_version('s', '3') d;
SELECT is(pg_temp.now_at('s'), '1 inactive, 2 rolled_back, 3 active | 3 - 0', 'nothing moved');
SELECT is(d.deployment_id, pg_temp.newest('s'), 'again: the same') FROM model_mgr.deploy_model_version('s', '3') d;
-- An aborted rollout of a version is not what brought it.
SELECT (model_mgr.deploy_model_version('s', '1')).status;
SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('s'))).status;
SELECT is(model_mgr.rollback_model('s', '1'), true, 'to 1');
SELECT is(d.status, 'completed', 'its first deployment comes back, not the aborted one') FROM model_mgr.deploy_model_version('s', '1', 'replace', rollout => '{"bake_seconds": 0}') d;

-- A rollback undone is a rollback that never was.
BEGIN;
SELECT (model_mgr.deploy_model_version('t', '5')).status;
SELECT model_mgr.rollback_model('t');
ROLLBACK;
SELECT is(pg_temp.routed('t'), '3 - 0', 'the dry run of a rollback');
SELECT * FROM finish();
