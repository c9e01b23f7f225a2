-- grant_model: a role with grants, and its members, act on the models granted only, by whatever verb and under whatever
-- role; who looks, records and ticks is not confined.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SET client_min_messages = warning;
SELECT plan(77);
SELECT setup_roles('regress_grant_admin', 'regress_grant_operator', 'regress_grant_app', 'regress_grant_reader');
CREATE ROLE regress_team;
CREATE ROLE regress_ann LOGIN IN ROLE regress_grant_operator, regress_team;
CREATE ROLE regress_bob LOGIN NOINHERIT IN ROLE regress_grant_operator, regress_team;
CREATE ROLE regress_cid LOGIN IN ROLE regress_grant_operator;
GRANT USAGE ON SCHEMA tap TO PUBLIC;
SELECT count(create_model_version(m, v, model_configuration('p', 'x'))) FROM unnest('{mine,yours}'::text[]) m, unnest('{1,2}'::text[]) v;
SELECT count(deploy_model_version(m, '1')) FROM unnest('{mine,yours}'::text[]) m;
SELECT deployment_id AS yours FROM deploy_model_version('yours', '2', rollout => '{"start_at": null}') \gset
SELECT set_thresholds('yours', jsonb_build_array(performance_threshold('error_rate', 0.5, 'greater_than', duration_minutes => 0)));
SELECT count(update_model_metrics('yours', '1', error_type => 'x', success => false)) FROM generate_series(1, 5);
SELECT count(*) > 0 FROM tick();
SELECT alert_id AS alert FROM get_active_alerts() WHERE kind = 'threshold' \gset
SELECT (:'alert')::bigint > 0 AS there_is_an_alert;

SELECT trigger_update('yours', 'latest') AS update, schedule_update('yours', 'latest', '@yearly') AS schedule \gset

SELECT test_id FROM create_test('theirs', 'a test', 'yours', '1', 'yours', '2');
SELECT pg_temp.refused('42704', 'model "x" does not exist', $$SELECT grant_model('x', 'regress_team')$$);
SELECT pg_temp.refused('42704', 'role "x" does not exist', $$SELECT grant_model('mine', 'x')$$);
SELECT pg_temp.refused('22004', 'role', $$SELECT grant_model('mine', NULL)$$);
SELECT pg_temp.refused('22004', 'model_name', $$SELECT grant_model(NULL, 'regress_team')$$);
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.is((SELECT count(*) FROM model_mgr.set_model('yours', 'by ann')), 1::bigint, 'without any grant an operator acts on all');
SELECT tap.throws_ok($$SELECT model_mgr.grant_model('yours', 'regress_ann')$$, '42501', NULL, 'and grants nothing');
RESET SESSION AUTHORIZATION;
SELECT lives_ok($$SELECT grant_model('mine', 'regress_team')$$, 'granted');
SELECT lives_ok($$SELECT grant_model('mine', 'regress_team')$$, 'again');
SELECT is((SELECT count(*) FROM audit_log WHERE operation = 'grant_model'), 1::bigint, 'logged once');

-- Every verb that names a model, or something of one.
CREATE TEMP TABLE verb (statement text);
INSERT INTO verb SELECT format(s, 'yours', :yours, :alert, :'update', :'schedule') FROM unnest(ARRAY[
    $$create_model_version('%1$s', '3', '{"provider": "p", "model_name": "x"}')$$, $$set_alias('%1$s', 'a', '1')$$, $$delete_alias('%1$s', 'a')$$,
    $$tag_model_version('%1$s', '1', '{t}')$$, $$update_model_version('%1$s', '1', 'd')$$, $$archive_model_version('%1$s', '2')$$,
    $$mark_version_ready('%1$s', '2')$$, $$approve_model_version('%1$s', '2')$$, $$set_model('%1$s', 'd')$$,
    $$delete_model_version('%1$s', '2')$$, $$delete_model('%1$s')$$, $$deploy_model_version('%1$s', '2')$$, $$rollback_model('%1$s')$$,
    $$freeze('%1$s', now())$$, $$promote_deployment(%2$s)$$, $$pause_deployment(%2$s)$$, $$resume_deployment(%2$s)$$, $$abort_deployment(%2$s)$$,
    $$approve_step(%2$s)$$, $$adjust_deployment(%2$s, '{"bake_seconds": 1}')$$, $$pin_unit('%1$s', 'u', '1')$$, $$unpin_unit('%1$s', 'u')$$,
    $$set_segment('%1$s', 's', '{"a": 1}', '1')$$, $$drop_segment('%1$s', 's')$$, $$set_thresholds('%1$s', '[]')$$, $$silence('%1$s', now())$$,
    $$acknowledge_alert(%3$s)$$, $$log_operation('x', '%1$s')$$, $$trigger_update('%1$s', 'latest')$$,
    $$schedule_update('%1$s', 'latest', '@weekly')$$, $$cancel_update('%4$s')$$, $$unschedule_update('%5$s')$$,
    $$create_test('t', 't', '%1$s', '1', '%1$s', '2')$$, $$create_test('t', 't', 'mine', '1', '%1$s', '2')$$, $$analyze_test('theirs')$$,
    $$stop_test('theirs')$$, $$promote_winner('theirs')$$]) s;
GRANT SELECT ON verb TO PUBLIC;
-- Whatever takes a model's name, or the id of something of a model's, and changes something is in the list, a recorder, or the administrator's.
SELECT is_empty($$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.provolatile = 'v'
    AND p.proargnames[1:p.pronargs] && '{model_name,control_model,deployment_id,test_id,alert_id,update_id,schedule_id}'
    AND p.proname NOT IN (SELECT split_part(statement, '(', 1) FROM verb)
    AND p.proname NOT IN ('update_model_metrics', 'record_performance', 'record_result', 'record_results', 'route', 'route_version', 'should_route_to_treatment', 'assigned_variant',
        'evaluation_due', 'assert_ab_test_winner', 'assert_update_succeeded', 'assert_healthy', 'wait_for_update', 'wait_for_deployment', 'grant_model', 'require_approvals')$$, 'no verb is forgotten');
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.throws_ok('SELECT model_mgr.' || statement, '42501', 'permission denied for model "yours"', 'confined: ' || statement) FROM verb;
SELECT tap.is((SELECT description FROM model_mgr.set_model('mine', 'by ann')), 'by ann', 'on the granted one an operator acts');
SELECT tap.lives_ok($$SELECT model_mgr.create_model_version('mine', '3', '{"provider": "p", "model_name": "x"}')$$, 'makes versions');
SELECT tap.throws_ok($$SELECT model_mgr.create_test('t', 't', 'mine', '1', 'new', '2')$$, '42501', 'permission denied for model "new"', 'nor tests of what is not in the registry yet');
SELECT tap.throws_ok($$SELECT model_mgr.create_model_version('new', '1', '{"provider": "p", "model_name": "x"}')$$, '42501', NULL, 'but no further model');
SET ROLE regress_grant_operator;
SELECT tap.throws_ok($$SELECT model_mgr.set_model('yours', 'd')$$, '42501', NULL, 'a role without grants opens nothing');
RESET ROLE;
SELECT tap.is((SELECT count(*) FROM model_mgr.get_active_model('yours')), 1::bigint, 'looking is free');
SELECT tap.lives_ok('SELECT * FROM model_mgr.tick()', 'so is ticking');
-- Nor by what concerns all models: the bounds themselves, the validators that all updates go by, the policy.
CREATE FUNCTION pg_temp.judge(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$SELECT true, '', '{}'::jsonb$$;
SELECT tap.throws_ok($$SELECT model_mgr.register_validator('security_validation', 'pg_temp.judge(jsonb)')$$, '42501', 'permission denied for validator "security_validation"', 'a shipped validator is everybody''s');
SELECT tap.throws_ok($$SELECT model_mgr.unregister_validator('security_validation')$$, '42501', NULL, 'to take away, too');
-- A name that was taken off is free, but for who would judge by it the updates of models that are not theirs.
RESET SESSION AUTHORIZATION;
CREATE FUNCTION pg_temp.theirs(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$SELECT true, '', '{}'::jsonb$$;
CREATE FUNCTION pg_temp.on_the_way(validator text) RETURNS text LANGUAGE sql AS $$SELECT model_mgr.trigger_update('yours', '@queued', validation_rules => jsonb_build_array(model_mgr.validation_rule('r', NULL, validator)))$$;
SELECT count(register_validator(v, 'pg_temp.theirs(jsonb)')::text) FROM unnest('{of a schedule,of an update,of my own,free}'::text[]) v;
SELECT count(set_alias('yours', 'queued', '2')::text), count(pg_temp.on_the_way('of an update')) FROM (SELECT) one;
SELECT schedule_update('yours', 'latest', '@monthly', validation_rules => jsonb_build_array(validation_rule('r', NULL, 'of a schedule'))) AS theirs,
       schedule_update('mine', 'latest', '@monthly', validation_rules => jsonb_build_array(validation_rule('r', NULL, 'of my own'))) AS mine \gset
SELECT count(unregister_validator(v)) FROM unnest('{of a schedule,of an update,of my own,free}'::text[]) v;
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.throws_ok(format('SELECT model_mgr.register_validator(%L, %L)', v, 'pg_temp.judge(jsonb)'), '42501', format('permission denied for validator "%s"', v), v || ' of another model') FROM unnest('{of a schedule,of an update}'::text[]) v;
SELECT tap.lives_ok(format('SELECT model_mgr.register_validator(%L, %L)', v, 'pg_temp.judge(jsonb)'), v) FROM unnest('{of my own,free}'::text[]) v;
SELECT tap.is(model_mgr.unregister_validator('of a schedule'), false, 'what is not there is not taken off');
RESET SESSION AUTHORIZATION;
SELECT unschedule_update(:'theirs'), unschedule_update(:'mine'), unregister_validator('of my own'), unregister_validator('free');
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.lives_ok($$SELECT model_mgr.register_validator('of a schedule', 'pg_temp.judge(jsonb)')$$, 'nobody''s rules name it any more');
RESET SESSION AUTHORIZATION;
GRANT regress_grant_admin TO regress_ann;
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.throws_ok($$SELECT model_mgr.grant_model('mine', 'regress_team', revoke => true)$$, '42501', 'permission denied for grant_model', 'a confined administrator does not free himself');
SELECT tap.throws_ok($$SELECT model_mgr.grant_model('mine', 'regress_bob')$$, '42501', NULL, 'nor bind others');
SELECT tap.throws_ok($$SELECT model_mgr.set_security_policy(max_temperature => 1)$$, '42501', 'permission denied for set_security_policy', 'nor set the policy of all');
SELECT tap.throws_ok($$SELECT model_mgr.require_approvals('yours', 1)$$, '42501', NULL, 'nor open another model''s gate');
RESET SESSION AUTHORIZATION;
REVOKE regress_grant_admin FROM regress_ann;
SET SESSION AUTHORIZATION regress_bob;
SET ROLE regress_grant_operator;
SELECT tap.throws_ok($$SELECT model_mgr.set_model('yours', 'd')$$, '42501', NULL, 'a membership that is not inherited confines, too');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is((SELECT description FROM model_mgr.set_model('yours', 'by cid')), 'by cid', 'others are not confined');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT description FROM set_model('yours', 'by the owner')), 'by the owner', 'nor superusers');
SET ROLE regress_ann;
SELECT tap.throws_ok($$SELECT model_mgr.set_model('yours', 'd')$$, '42501', NULL, 'but a superuser who acts as one who is');
RESET ROLE;

-- Grants last: a renamed role, a deleted model, none left.
ALTER ROLE regress_team RENAME TO regress_crew;
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.throws_ok($$SELECT model_mgr.set_model('yours', 'd')$$, '42501', NULL, 'renaming the role changes nothing');
RESET SESSION AUTHORIZATION;
ALTER ROLE regress_crew RENAME TO regress_team;
SELECT create_model_version('short', '1', model_configuration('p', 'x')) IS NOT NULL;
SELECT grant_model('short', 'regress_cid'), delete_model('short');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.throws_ok($$SELECT model_mgr.set_model('yours', 'd')$$, '42501', NULL, 'who may act on a deleted model only is not set free');
RESET SESSION AUTHORIZATION;
SELECT lives_ok($$SELECT grant_model('short', 'regress_cid', revoke => true), grant_model('yours', 'regress_cid', true)$$, 'revoked, also what never was granted');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is((SELECT description FROM model_mgr.set_model('yours', 'again')), 'again', 'without grants one is confined no more');
RESET SESSION AUTHORIZATION;
SELECT grant_model('yours', 'regress_team');
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.is((SELECT description FROM model_mgr.set_model('yours', 'two')), 'two', 'several grants add up');
SELECT tap.is((SELECT value FROM model_mgr.whoami() WHERE what = 'models'), 'mine, yours', 'whoami() says which');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT string_agg(operation || ' ' || model_name, ', ' ORDER BY audit_id) FROM audit_log WHERE operation ~ '_model$' AND operation ~ 'grant|revoke'),
    'grant_model mine, grant_model short, revoke_model short, grant_model yours', 'each change is logged');

SELECT * FROM finish();
REVOKE USAGE ON SCHEMA tap FROM PUBLIC;
DROP EXTENSION model_mgr CASCADE;
DROP OWNED BY regress_ann, regress_bob, regress_cid;
DROP ROLE regress_ann, regress_bob, regress_cid, regress_team, regress_grant_admin, regress_grant_operator, regress_grant_app, regress_grant_reader;
