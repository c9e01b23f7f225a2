-- What happens beside an update while it waits or is judged: its version is brought, taken back, made anew or overtaken by
-- somebody else; its model is frozen; and whose approvals count when the tick deploys what people asked for.
\i test/fresh.psql
\i test/refused.psql
\i test/rollout.psql
SET client_min_messages = warning;
SET search_path = public, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
CREATE FUNCTION pg_temp.upd(id text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s<-%s: %s', u.status, coalesce(u.version, '-'), coalesce(u.previous_version, '-'), coalesce(u.status_reason, '-')) FROM model_mgr.get_update_status(id) u $$;
CREATE FUNCTION pg_temp.rule() RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array(model_mgr.validation_rule('r', NULL, 'validate_model_configuration')) $$;

-- Judged, and brought by hand before the tick came: that is well, whatever its strategy.
SELECT pg_temp.make_model('served', '1', '2') \gset
SELECT model_mgr.deploy_model_version('served', '1') \gset
SELECT model_mgr.trigger_update('served', '2', deployment_strategy => 'canary', validation_rules => pg_temp.rule()) AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT deployment_id AS own FROM model_mgr.deploy_model_version('served', '2', 'replace') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'completed 2<-1: version 2 serves already', 'brought by somebody else');
SELECT is((SELECT deployment_id FROM model_mgr.get_update_status(:'id')), :own::bigint, 'whose deployment it names');
SELECT is((SELECT jsonb_array_length(validation_results) FROM model_mgr.get_update_status(:'id')), 1, 'what its rules said is kept');

-- Taken back meanwhile: neither a schedule nor latest brings it again; by name it is asked for all the same.
SELECT pg_temp.make_model('back' || i, '1', '2') FROM generate_series(1, 3) i \g /dev/null
SELECT model_mgr.deploy_model_version('back' || i, '1') FROM generate_series(1, 3) i \g /dev/null
SELECT model_mgr.schedule_update('back1', 'latest', '0 13 * * *', validation_rules => pg_temp.rule()) \gset
SELECT model_mgr.trigger_update('back2', 'latest', validation_rules => pg_temp.rule()) AS latest \gset
SELECT model_mgr.trigger_update('back3', '2', validation_rules => pg_temp.rule()) AS named \gset
SELECT pg_temp.at('2026-03-01 13:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT last_update_id AS scheduled FROM model_mgr.list_schedules() \gset
CALL model_mgr.work();
SELECT is((SELECT string_agg(status, ' ') FROM model_mgr.list_updates() WHERE update_id IN (:'scheduled', :'latest', :'named')), 'validating validating validating', 'three are judged');
SELECT model_mgr.deploy_model_version('back' || i, '2', 'replace') FROM generate_series(1, 3) i \g /dev/null
SELECT model_mgr.rollback_model('back' || i, reason => 'bad') FROM generate_series(1, 3) i \g /dev/null
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'scheduled'), 'skipped 2<-1: version 2 is rolled_back, and a schedule does not bring it back', 'a schedule');
SELECT is((SELECT details -> 'evidence' ->> 'status' FROM model_mgr.audit_log WHERE operation = 'end_update' AND details ->> 'update_id' = :'scheduled'), 'rolled_back', 'with its evidence');
SELECT is(pg_temp.upd(:'latest'), 'skipped 2<-1: version 2 is rolled_back, and latest does not bring it back', 'latest');
SELECT is(pg_temp.upd(:'named'), 'deploying 2<-1: -', 'by name');
SELECT is(pg_temp.statuses('back1') || '; ' || pg_temp.statuses('back2'), '1 active, 2 rolled_back; 1 active, 2 rolled_back', 'the versions are as they were');

-- A newer one came to serve: latest would be a step back.
SELECT pg_temp.make_model('old', '1', '2') \gset
SELECT model_mgr.deploy_model_version('old', '1') \gset
SELECT model_mgr.trigger_update('old', 'latest', validation_rules => pg_temp.rule()) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT pg_temp.make_model('old', '3') \gset
SELECT model_mgr.deploy_model_version('old', '3', 'replace') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'skipped 2<-1: version 2 is not newer than 3, which serves by now', 'overtaken, before its rules were judged');
SELECT is((SELECT count(*) FROM model_mgr.work_tasks()), 0::bigint, 'which nobody asks for any more');

-- Deleted, and made anew with other contents under the same name: that one was not judged.
SELECT pg_temp.make_model('anew', '1', '2', '3') \gset
SELECT model_mgr.deploy_model_version('anew', '1') \gset
SELECT model_mgr.trigger_update('anew', '2', validation_rules => pg_temp.rule()) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT model_mgr.delete_model_version('anew', '2') \gset
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'failed 2<-1: version 2 does not exist any more', 'deleted');
SELECT model_mgr.trigger_update('anew', '3', validation_rules => pg_temp.rule()) AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.delete_model_version('anew', '3') \gset
SELECT model_mgr.create_model_version('anew', '3', model_mgr.model_configuration('test', 'another')) \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id') || ', ' || pg_temp.statuses('anew'), 'failed 3<-1: version 3 does not exist any more, 1 active, 3 pending', 'another one of its name');

-- Cancelled between its judgement and the tick: what was said is kept.
SELECT pg_temp.make_model('said', '1', '2') \gset
SELECT model_mgr.deploy_model_version('said', '1') \gset
SELECT model_mgr.trigger_update('said', '2', validation_rules => pg_temp.rule()) AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.cancel_update(:'id') \gset
SELECT is((SELECT validation_results -> 0 ->> 'message' FROM model_mgr.get_update_status(:'id')), 'the configuration is complete and within its ranges', 'evidence of a cancelled one');

-- A frozen model: a schedule waits for the end, also when the freeze came while it was judged; who asks by hand may.
SELECT pg_temp.make_model('cold' || i, '1', '2') FROM generate_series(1, 3) i \g /dev/null
SELECT model_mgr.deploy_model_version('cold' || i, '1') FROM generate_series(1, 3) i \g /dev/null
SELECT model_mgr.schedule_update('cold1', 'latest', '0 14 * * *', 'replace') \gset
SELECT model_mgr.schedule_update('cold2', 'latest', '0 14 * * *', 'replace', pg_temp.rule()) \gset
SELECT model_mgr.freeze('cold1', '2026-03-01 15:00:00+00', 'holiday'), model_mgr.freeze('cold3', '2026-03-01 15:00:00+00') \gset
SELECT pg_temp.at('2026-03-01 14:00:00+00') \gset
SELECT model_mgr.trigger_update('cold3', '2', deployment_strategy => 'replace') AS by_hand \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.freeze('cold2', '2026-03-01 15:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT string_agg(format('%s %s: %s', u.model_name, u.status, u.status_reason), '; ' ORDER BY 1) FROM model_mgr.list_updates() u WHERE model_name ~ '^cold[12]'),
    'cold1 pending: waits: the model is frozen until 2026-03-01 15:00:00 UTC; cold2 validating: waits: the model is frozen until 2026-03-01 15:00:00 UTC', 'frozen');
SELECT is(pg_temp.statuses('cold1') || '; ' || pg_temp.statuses('cold2') || '; ' || pg_temp.statuses('cold3'), '1 active, 2 pending; 1 active, 2 pending; 1 inactive, 2 active', 'nothing changes by itself');
SELECT pg_temp.at('2026-03-01 15:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT string_agg(u.status, ' ') FROM model_mgr.list_updates() u WHERE model_name ~ '^cold'), 'completed completed completed', 'and goes on after it');

-- Approvals: who asks for an update deploys it, whoever ticks and whatever triggered_by says.
CREATE ROLE regress_model_mgr_al LOGIN;
CREATE ROLE regress_model_mgr_bo LOGIN;
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
GRANT regress_model_mgr_operator TO regress_model_mgr_al, regress_model_mgr_bo;
SELECT pg_temp.make_model('trust', '1', '2') \gset
SELECT model_mgr.deploy_model_version('trust', '1') \gset
SELECT model_mgr.require_approvals('trust', 1) \gset
SET SESSION AUTHORIZATION regress_model_mgr_al;
SELECT model_mgr.approve_model_version('trust', '2') \gset
SELECT model_mgr.trigger_update('trust', '2', triggered_by => 'somebody', deployment_strategy => 'replace') AS id \gset
RESET SESSION AUTHORIZATION;
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'failed 2<-1: it could not be deployed: version "2" of model "trust" is not approved: It has 0 of 1 approvals; not counted: 1 by who created or deploys it, 0 by others.', 'one''s own approval');
SELECT pg_temp.refused('55000', E'0 by others\\.\nCALL ', format('SELECT model_mgr.assert_update_succeeded(%L)', :'id'));
SET SESSION AUTHORIZATION regress_model_mgr_al;
SELECT model_mgr.schedule_update('trust', 'latest', '0 16 * * *', 'replace') AS schedule \gset
RESET SESSION AUTHORIZATION;
SELECT pg_temp.at('2026-03-01 16:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT u.status FROM model_mgr.list_updates() u WHERE u.schedule_id = :'schedule'), 'failed', 'nor by a schedule of one''s own');
SET SESSION AUTHORIZATION regress_model_mgr_bo;
SELECT model_mgr.trigger_update('trust', '2', deployment_strategy => 'replace') AS id \gset
SET SESSION AUTHORIZATION regress_model_mgr_al;
SELECT model_mgr.tick() \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.upd(:'id'), 'completed 2<-1: deployment ' || pg_temp.newest('trust') || ' serves 100 %', 'who approved may tick');
-- The tick is over: who deploys by hand is oneself again.
SELECT pg_temp.make_model('trust', '3') \gset
SET SESSION AUTHORIZATION regress_model_mgr_bo;
SELECT model_mgr.approve_model_version('trust', '3') \gset
SELECT pg_temp.code($$SELECT model_mgr.deploy_model_version('trust', '3', 'replace', 'somebody')$$) AS code \gset
RESET SESSION AUTHORIZATION;
SELECT is(:'code'::text, '55000', 'by hand');
-- What is passed over as a pre-release is called that, whatever its status.
SELECT pg_temp.make_model('early', '1.0') \gset
SELECT model_mgr.deploy_model_version('early', '1.0') \gset
SELECT model_mgr.create_model_version('early', '1.1-rc.1', '{"provider": "p", "model_name": "x"}') \gset
SELECT model_mgr.trigger_update('early', 'latest') AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'skipped 1.0<-1.0: no version newer than 1.0 may be deployed: 1.1-rc.1 is a pre-release', 'a pre-release is passed over');
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_al, regress_model_mgr_bo, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
