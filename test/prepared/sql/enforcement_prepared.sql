-- With prepared transactions allowed: a transaction block may become a prepared transaction, whose evaluation would
-- hold locks for as long as it stays prepared. So blocks evaluate nothing, single statements still do.
\i test/fresh.psql
\i test/rollout.psql
SET model_mgr.enforcement = on;
SELECT plan(8);
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2') \gset made_
SELECT model_mgr.deploy_model_version('m', '1') \gset d1_
SELECT model_mgr.deploy_model_version('m', '2', rollout => '{"min_requests": 20}') \gset d2_
BEGIN;
SELECT pg_temp.outcomes('m', '2', 30, 0) \gset
COMMIT;
SELECT is(pg_temp.state('m'), 'running 10 1', 'a transaction block leaves it to others');
BEGIN;
SELECT pg_temp.outcomes('m', '2', 10, 0) \gset
PREPARE TRANSACTION 'model_mgr_regress';
SELECT is((SELECT sum(requests) FROM model_mgr.rollup_now), 30::numeric, 'prepared rows are not seen yet');
SELECT is(model_mgr.maintenance_run('fold'), 30::bigint, 'nor folded');
SELECT is((SELECT count(*) FROM pg_locks WHERE locktype IN ('advisory', 'userlock')), 0::bigint, 'the prepared transaction holds no model');
COMMIT PREPARED 'model_mgr_regress';
SELECT is((SELECT sum(requests) FROM model_mgr.rollup_now), 40::numeric, 'then they are seen');
SELECT is(model_mgr.maintenance_run('fold'), 10::bigint, 'and folded, once');
SELECT is((SELECT sum(requests) FROM model_mgr.rollup_minute), 40::numeric, 'none lost, none twice');
SELECT pg_temp.outcomes('m', '2', 1, 0) \gset
SELECT is(pg_temp.state('m'), 'rolled_back 0 1', 'a statement by itself evaluates');
SELECT finish();
