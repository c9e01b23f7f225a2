-- Updates: the queue, what each target means, how an update follows its deployment, and an emergency with notes.
\i test/fresh.psql
\i test/refused.psql
\i test/rollout.psql
SET client_min_messages = warning;
SET search_path = public, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
-- updates: an update as 'status version<-previous'.
CREATE FUNCTION pg_temp.upd(id text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s<-%s', u.status, coalesce(u.version, '-'), coalesce(u.previous_version, '-')) FROM model_mgr.get_update_status(id) u $$;
CREATE FUNCTION pg_temp.why(id text) RETURNS text LANGUAGE sql AS $$ SELECT u.status_reason FROM model_mgr.get_update_status(id) u $$;
CREATE FUNCTION pg_temp.ticks() RETURNS bigint LANGUAGE sql AS $$ SELECT items FROM model_mgr.tick() WHERE task = 'updates' $$;
-- what: the events of an update, in order.
CREATE FUNCTION pg_temp.told(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(replace(e.type, 'update.', ''), ' ' ORDER BY e.event_id) FROM model_mgr.event e WHERE e.type LIKE 'update.%' AND e.data ->> 'update_id' = id $$;
CREATE FUNCTION pg_temp.logged(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(a.operation, ' ' ORDER BY a.audit_id) FROM model_mgr.audit_log a WHERE a.details ->> 'update_id' = id $$;

-- The first update of a model is active at once; the row tells everything.
SELECT pg_temp.make_model('m', '1.0', '1.1', '1.2') \gset
SELECT is(model_mgr.trigger_update('m', '1.0', triggered_by => 'o''cl "x"', notes => ARRAY['first', E'two\nlines'], idempotency_key => 'k'), 'upd-1', 'ids are upd-N');
SELECT is(pg_temp.upd('upd-1'), 'pending 1.0<--', 'it waits for the tick');
SELECT is(pg_temp.ticks(), 1::bigint, 'which takes it on');
SELECT results_eq($$SELECT update_id, schedule_id, model_name, target_version, version, previous_version, trigger, status, status_reason, validation_passed, validation_results,
        deployment_strategy, deployment_id, triggered_by, notes, created_at = finished_at FROM model_mgr.get_update_status('upd-1')$$,
    $$VALUES ('upd-1', NULL::text, 'm', '1.0', '1.0', NULL::text, 'manual', 'completed', 'deployment 1 has completed: no version was active', true, '[]'::jsonb,
        'canary', 1::bigint, 'o''cl "x"', ARRAY['first', E'two\nlines'], true)$$, 'and its row says what came of it');
SELECT is(pg_temp.told('upd-1'), 'queued started deployed completed', 'each stage is an event');
SELECT is(pg_temp.logged('upd-1'), 'trigger_update start_update deploy_update end_update', 'and a line of the audit log');
SELECT is(model_mgr.trigger_update('m', '1.0', idempotency_key => 'k'), 'upd-1', 'the same key: the same update, ended or not');
SELECT is(model_mgr.trigger_update('m', '1.1', idempotency_key => 'k'), 'upd-1', 'whatever else is asked for');
SELECT model_mgr.assert_update_succeeded('upd-1');
SELECT is_empty($$SELECT * FROM model_mgr.get_update_status('upd-99')$$, 'who looks for an unknown one gets no row');

-- What serves already is no work; latest is the highest that may be deployed.
SELECT is(model_mgr.trigger_update('m', '1.0'), 'upd-2', 'asked for again after its end it is another update');
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-2') || ': ' || pg_temp.why('upd-2'), 'completed 1.0<-1.0: version 1.0 serves already', 'which has nothing to do');
SELECT is((SELECT deployment_id FROM model_mgr.get_update_status('upd-2')), 1::bigint, 'and names what brought the version');
SELECT is(model_mgr.trigger_update('m', 'latest', deployment_strategy => 'replace'), 'upd-3', 'latest');
SELECT is(model_mgr.trigger_update('m', 'latest', deployment_strategy => 'replace', idempotency_key => 'nightly'), 'upd-3', 'asked for twice is one');
SELECT is(model_mgr.trigger_update('m', 'latest', deployment_strategy => 'canary'), 'upd-3', 'in other words too');
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-3') || ': ' || pg_temp.why('upd-3'), 'completed 1.2<-1.0: deployment 2 serves 100 %', 'completed is serving 100 %, although it bakes');
SELECT is(model_mgr.rollback_model('m', reason => 'too slow'), true, 'taken back while it bakes');
SELECT is(pg_temp.upd('upd-3') || ': ' || pg_temp.why('upd-3'), 'rolled_back 1.2<-1.0: deployment 2 was rolled back: too slow', 'it says so at once');
SELECT is(pg_temp.told('upd-3'), 'queued started deployed completed rolled_back', 'and an event tells');
SELECT is(model_mgr.trigger_update('m', 'latest', deployment_strategy => 'replace', idempotency_key => 'nightly'), 'upd-3', 'the key of a call that was given an open update is known after its end');
SELECT pg_temp.refused('55000', 'Its status is rolled_back: deployment 2 was rolled back: too slow', $$SELECT model_mgr.assert_update_succeeded('upd-3')$$);
SELECT model_mgr.trigger_update('m', 'latest', deployment_strategy => 'replace') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-4'), 'completed 1.1<-1.0', 'latest passes over what was taken back');
SELECT pg_temp.at('2026-03-01 13:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(model_mgr.rollback_model('m'), true, 'taken back after its bake');
SELECT is(pg_temp.upd('upd-4'), 'completed 1.1<-1.0', 'an update that is done stays done');
SELECT model_mgr.trigger_update('m', 'latest') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-5') || ': ' || pg_temp.why('upd-5'), 'skipped 1.0<-1.0: no version newer than 1.0 may be deployed: 1.2 is rolled_back, 1.1 is rolled_back', 'nothing newer that may be deployed');
SELECT is((SELECT details -> 'evidence' -> 'passed_over' -> 0 ->> 'status' FROM model_mgr.audit_log WHERE operation = 'end_update' AND details ->> 'update_id' = 'upd-5'), 'rolled_back', 'with its evidence');
SELECT model_mgr.trigger_update('m', '1.1', deployment_strategy => 'replace') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-6'), 'completed 1.1<-1.0', 'by name it is deployed all the same');
-- A pre-release is no latest, an older version neither; an alias means what it means when its turn comes.
SELECT pg_temp.make_model('p', '1.0', '2.0-rc.1') \gset
SELECT model_mgr.trigger_update('p', '2.0-rc.1') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT model_mgr.trigger_update('p', 'latest') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-8'), 'skipped 1.0<-2.0-rc.1', 'a step back is none');
SELECT model_mgr.set_alias('p', 'next', '1.0') \gset
SELECT model_mgr.trigger_update('p', '@next', deployment_strategy => 'replace') AS id \gset
SELECT pg_temp.make_model('p', '2.0') \gset
SELECT model_mgr.set_alias('p', 'next', '2.0') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'completed 2.0<-2.0-rc.1', 'an alias that moved');

-- The queue: places, order within a model, what is in the way.
SELECT pg_temp.at('2026-03-02 12:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT count(pg_temp.make_model('q' || i, '1', '2', '3')) FROM generate_series(1, 4) i \gset
SELECT count(model_mgr.deploy_model_version('q' || i, '1')) FROM generate_series(1, 4) i \gset
SELECT string_agg(model_mgr.trigger_update('q' || i, '2'), ' ') AS ids FROM generate_series(1, 4) i \gset
SELECT is(:'ids'::text, 'upd-10 upd-11 upd-12 upd-13', 'four updates of four models');
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT string_agg(status, ' ' ORDER BY update_id) FROM model_mgr.list_updates() WHERE model_name ~ 'q'), 'deploying deploying deploying pending', 'three have a place');
SELECT is(pg_temp.why('upd-13'), 'waits for a place: model_mgr.update_max_concurrent is 3', 'and the fourth says what it waits for');
SELECT pg_temp.refused('53400', 'Updates open: 4; model_mgr.update_max_concurrent is 3', $$SELECT model_mgr.trigger_update('m', '1.2', when_busy => 'fail')$$);
SELECT is(model_mgr.trigger_update('q1', '3'), 'upd-14', 'another target of the same model');
SELECT model_mgr.promote_deployment(model_mgr.open_deployment('q2'), true) \gset
SELECT is(pg_temp.upd('upd-11'), 'completed 2<-1', 'one reached 100 %');
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-13') || ', ' || pg_temp.upd('upd-14'), 'deploying 2<-1, pending 3<-1', 'the fourth has its place, the second of a model waits');
SELECT pg_temp.refused('53400', 'Update upd-10 of the model is open', $$SELECT model_mgr.trigger_update('q1', 'latest', when_busy => 'fail')$$);
SET model_mgr.update_max_concurrent = 10;
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-14'), 'pending 3<-1', 'its turn comes after the first');
SELECT is(model_mgr.cancel_update('upd-10', 'changed plans'), true, 'one that deploys is cancelled');
SELECT is(pg_temp.upd('upd-10') || ': ' || pg_temp.why('upd-10'), format('cancelled 2<-1: deployment %s was aborted: ', pg_temp.newest('q1')) || 'update upd-10 was cancelled by ' || session_user || ': changed plans', 'and says why');
SELECT is(pg_temp.state('q1') || ', ' || pg_temp.routed('q1'), 'aborted 0 1, 1 - 0', 'its rollout is aborted, the traffic is back');
SELECT is(model_mgr.cancel_update('upd-10'), false, 'once');
SELECT is(model_mgr.cancel_update('upd-11'), false, 'what serves 100 % is not cancelled');
SELECT pg_temp.refused('42704', 'update "upd-99" does not exist', $$SELECT model_mgr.cancel_update('upd-99')$$);
-- Somebody's own rollout is waited for; of the same version it is joined.
SELECT deployment_id AS own FROM model_mgr.deploy_model_version('q1', '2') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.why('upd-14'), 'waits for deployment ' || :own || ' of version 2, running at 10 % of traffic', 'a rollout below 100 % is in the way');
SELECT model_mgr.trigger_update('q4', '2') \gset
SELECT is(model_mgr.cancel_update('upd-14', ''), true, 'one that waits is cancelled');
SELECT is(pg_temp.upd('upd-14') || ': ' || pg_temp.why('upd-14'), 'cancelled 3<-1: cancelled by ' || session_user, 'without a reason');
SELECT model_mgr.trigger_update('q1', '2') AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT format('%s %s', u.status, u.deployment_id) FROM model_mgr.get_update_status(:'id') u), 'deploying ' || :own, 'a rollout of that version is what it follows');
SELECT model_mgr.abort_deployment(:own, 'enough') \gset
SELECT is(pg_temp.upd(:'id') || ': ' || pg_temp.why(:'id'), format('cancelled 2<-1: deployment %s was aborted: enough', :own), 'to its end');
-- A version that went away, or was archived, between the call and its turn.
SELECT model_mgr.trigger_update('q1', '3') AS id \gset
SELECT model_mgr.archive_model_version('q1', '3') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id') || ': ' || pg_temp.why(:'id'), 'failed 3<-1: it could not be deployed: version "3" of model "q1" is archived: Archived versions do not deploy.', 'archived');
SELECT model_mgr.trigger_update('q2', '3') AS id \gset
SELECT model_mgr.delete_model_version('q2', '3') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id') || ': ' || pg_temp.why(:'id'), 'failed -<-2: version 3 does not exist any more', 'deleted');
-- A waiting update looks for the latest again after a while.
SELECT pg_temp.make_model('w', '1', '2') \gset
SELECT model_mgr.deploy_model_version('w', '1') \gset
SELECT model_mgr.deploy_model_version('w', '2') \gset
SELECT pg_temp.make_model('w', '3') \gset
SELECT model_mgr.trigger_update('w', 'latest') AS id \gset
SELECT pg_temp.make_model('w', '4') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'pending 3<-1', 'not at each tick');
SELECT pg_temp.at('2026-03-02 13:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'pending 4<-1', 'but after model_mgr.update_check_interval_minutes');
SELECT pg_temp.make_model('w', '5') \gset
SELECT model_mgr.abort_deployment(model_mgr.open_deployment('w')) \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'deploying 5<-1', 'and in any case when its turn comes');

-- An emergency: an A/B test, begun by the tick, with notes.
SELECT pg_temp.make_model('telemetry-classifier', '1.2.0', '1.3.0') \gset
SELECT model_mgr.deploy_model_version('telemetry-classifier', '1.2.0') \gset
SELECT model_mgr.trigger_update(model_name => 'telemetry-classifier', target_version => '1.3.0', trigger => 'manual', deployment_strategy => 'ab_test',
    triggered_by => 'emergency-update', notes => ARRAY['Critical security patch']) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT results_eq(format($$SELECT u.status, u.validation_passed, u.deployment_strategy, u.triggered_by, u.notes, d.strategy, d.traffic_percentage, d.deployed_by, d.test_id IS NOT NULL
    FROM model_mgr.get_update_status(%L) u JOIN model_mgr.deployment d USING (deployment_id)$$, :'id'),
    $$VALUES ('deploying', true, 'a_b_test', 'emergency-update', ARRAY['Critical security patch'], 'a_b_test', 50::float8, 'emergency-update', true)$$, 'the A/B test runs, half and half');
SELECT model_mgr.rollback_model('telemetry-classifier') \gset
SELECT is(pg_temp.upd(:'id'), 'rolled_back 1.3.0<-1.2.0', 'and back');

-- What is refused.
SELECT pg_temp.refused('22004', 'model_name', $$SELECT model_mgr.trigger_update(NULL, '1')$$);
SELECT pg_temp.refused('22004', 'target_version', $$SELECT model_mgr.trigger_update('m', NULL)$$);
SELECT pg_temp.refused('42704', 'model "x" does not exist', $$SELECT model_mgr.trigger_update('x', '1')$$);
SELECT pg_temp.refused('42704', 'version "9"', $$SELECT model_mgr.trigger_update('m', '9')$$);
SELECT pg_temp.refused('42704', 'alias "nobody"', $$SELECT model_mgr.trigger_update('m', '@nobody')$$);
SELECT pg_temp.refused('42704', 'version "stable"', $$SELECT model_mgr.trigger_update('m', 'stable')$$);
SELECT pg_temp.refused('55000', 'version "3" of model "q1" is archived', $$SELECT model_mgr.trigger_update('q1', '3')$$);
SELECT pg_temp.refused('22023', 'unknown trigger "cron"', $$SELECT model_mgr.trigger_update('m', '1.1', trigger => 'cron')$$);
SELECT pg_temp.refused('22023', 'unknown strategy "bold"', $$SELECT model_mgr.trigger_update('m', '1.1', deployment_strategy => 'bold')$$);
SELECT pg_temp.refused('22023', 'unknown when_busy "perhaps"', $$SELECT model_mgr.trigger_update('m', '1.1', when_busy => 'perhaps')$$);
SELECT pg_temp.refused('42602', 'triggered_by', $$SELECT model_mgr.trigger_update('m', '1.1', triggered_by => '')$$);
SELECT pg_temp.refused('42622', 'idempotency key', $$SELECT model_mgr.trigger_update('m', '1.1', idempotency_key => repeat('k', 256))$$);
SELECT pg_temp.refused('22004', 'notes', $$SELECT model_mgr.trigger_update('m', '1.1', notes => ARRAY['a', NULL])$$);
SELECT pg_temp.refused('22023', 'notes', $$SELECT model_mgr.trigger_update('m', '1.1', notes => ARRAY[['a'], ['b']])$$);
SELECT pg_temp.refused('22P02', 'list of rules', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => '{}')$$);
SELECT pg_temp.refused('22P02', 'list of rules', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => '1')$$);
SELECT pg_temp.refused('22P02', 'must be objects', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => '["security_validation"]')$$);
SELECT pg_temp.refused('22023', 'lacks "validator_function"', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => '[{"name": "a"}]')$$);
SELECT pg_temp.refused('22023', 'unknown validation rule key "weight"', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => '[{"name": "a", "weight": 1}]')$$);
SELECT pg_temp.refused('22023', 'unknown severity "fatal"', $$SELECT model_mgr.validation_rule('a', 'b', 'c', 'fatal')$$);
SELECT pg_temp.refused('22P02', 'true or false', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => '[{"name": "a", "validator_function": "f", "required": "yes"}]')$$);
SELECT pg_temp.refused('42704', 'validator "no such" does not exist', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => jsonb_build_array(model_mgr.validation_rule('a', NULL, 'no such')))$$);
SELECT pg_temp.refused('54000', '101; at most 100', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => (SELECT jsonb_agg(model_mgr.validation_rule('a', NULL, 'security_validation')) FROM generate_series(1, 101)))$$);
SELECT pg_temp.refused('54000', 'more than 1024 kB', $$SELECT model_mgr.trigger_update('m', '1.1', validation_rules => jsonb_build_array(model_mgr.validation_rule('a', repeat('x', 1100000), 'security_validation')))$$);
SELECT pg_temp.refused('22004', 'update_id', $$SELECT * FROM model_mgr.get_update_status(NULL)$$);
SELECT pg_temp.refused('22004', 'update_id', $$SELECT model_mgr.cancel_update(NULL)$$);
SELECT pg_temp.refused('42704', 'update "upd-99" does not exist', $$SELECT model_mgr.assert_update_succeeded('upd-99')$$);

-- A dry run leaves nothing; a model that goes takes its updates and schedules along.
BEGIN;
SELECT count(model_mgr.trigger_update('m', '1.2')) \gset
SELECT model_mgr.tick() \g /dev/null
ROLLBACK;
SELECT is((SELECT count(*) FROM model_mgr.list_updates('m', 'deploying')), 0::bigint, 'rolled back');
SELECT pg_temp.make_model('gone', '1') \gset
SELECT model_mgr.trigger_update('gone', '1') \gset
SELECT model_mgr.schedule_update('gone', 'latest', '@weekly') \gset
SELECT is(model_mgr.delete_model('gone'), true, 'deleted');
SELECT is((SELECT count(*) FROM model_mgr.list_updates('gone')) + (SELECT count(*) FROM model_mgr.list_schedules() WHERE model_name = 'gone'), 0::bigint, 'with all that was asked for it');
SELECT is((SELECT jsonb_object_agg(key, value) FROM jsonb_each(model_mgr.get_automation_statistics_json()) WHERE key IN ('updates_total', 'updates_skipped', 'schedules', 'validators')),
    jsonb_build_object('updates_total', (SELECT count(*) FROM model_mgr.update_run), 'updates_skipped', 2, 'schedules', 0, 'validators', 0), 'counted');
SELECT is((SELECT sum(value) FROM model_mgr.get_automation_statistics() WHERE metric_name ~ '^updates_' AND metric_name <> 'updates_total'),
    (SELECT value FROM model_mgr.get_automation_statistics() WHERE metric_name = 'updates_total'), 'each in one status');
SELECT * FROM finish();
DROP EXTENSION model_mgr;
