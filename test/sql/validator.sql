-- Validators: what they are given, who may register what, which one a name means, the shipped ones, and what their answers
-- do to an update and to a deployment.
\i test/fresh.psql
\i test/refused.psql
\i test/rollout.psql
SET client_min_messages = error;
SET search_path = public, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
CREATE ROLE regress_model_mgr_ann IN ROLE regress_model_mgr_operator;
CREATE SCHEMA regress_validator;
GRANT USAGE, CREATE ON SCHEMA regress_validator TO regress_model_mgr_ann;
CREATE TABLE regress_validator.got (n serial, role text, argument jsonb);
GRANT INSERT, SELECT ON regress_validator.got TO PUBLIC;
GRANT USAGE ON SEQUENCE regress_validator.got_n_seq TO PUBLIC;
CREATE FUNCTION pg_temp.upd(id text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s: %s', u.status, coalesce(u.validation_passed::text, '?'), coalesce(u.status_reason, '-')) FROM model_mgr.get_update_status(id) u $$;
-- said: what the rules of an update said.
CREATE FUNCTION pg_temp.said(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s: %s', r ->> 'name', r ->> 'passed', r ->> 'message'), '; ' ORDER BY o)
    FROM model_mgr.get_update_status(id) u, jsonb_array_elements(u.validation_results) WITH ORDINALITY r (r, o) $$;
CREATE FUNCTION pg_temp.rule(validator text, severity text DEFAULT 'error', required boolean DEFAULT true) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(model_mgr.validation_rule(validator, NULL, validator, severity, required)) $$;
SELECT is(model_mgr.validation_rule('a', NULL, 'f'), '{"name": "a", "description": "", "validator_function": "f", "severity": "error", "required": true}'::jsonb, 'a rule, every key with its value');

-- The argument, key by key, and the role.
SELECT model_mgr.create_model_version('m', '1.0', model_mgr.model_configuration('openai', 'gpt-4', temperature => 0.3)) \gset
SELECT model_mgr.create_model_version('m', '2.0', model_mgr.model_configuration('openai', 'gpt-4', temperature => 0.9), tags => '{reviewed}', labels => '{"team": "a"}') \gset
SELECT model_mgr.deploy_model_version('m', '1.0') \gset
SET ROLE regress_model_mgr_ann;
CREATE FUNCTION regress_validator.looks(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO regress_validator.got (role, argument) VALUES (current_user, update);
    RETURN QUERY SELECT true, 'seen'::text, jsonb_build_object('keys', (SELECT count(*) FROM jsonb_object_keys(update)));
END $$;
SELECT model_mgr.register_validator('looks', 'regress_validator.looks(jsonb)') \gset
SELECT model_mgr.register_validator('looks', 'regress_validator.looks(jsonb)') \gset
RESET ROLE;
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'register_validator'), 1::bigint, 'registered again it is the same');
SELECT model_mgr.trigger_update('m', 'latest', 'api', 'blue_green', 'ci', ARRAY['n'], pg_temp.rule('looks')) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id'), 'validating ?: waits for its validators', 'validated first');
CALL model_mgr.work();
SELECT is((SELECT argument FROM regress_validator.got), jsonb_build_object('update_id', :'id', 'model_name', 'm', 'target_version', '2.0', 'current_version', '1.0',
    'new_configuration', (SELECT configuration FROM model_mgr.get_model_version('m', '2.0')), 'current_configuration', (SELECT configuration FROM model_mgr.get_model_version('m', '1.0')),
    'tags', '["reviewed"]'::jsonb, 'labels', '{"team": "a"}'::jsonb, 'trigger', 'api', 'deployment_strategy', 'blue_green', 'triggered_by', 'ci', 'notes', '["n"]'::jsonb), 'given what the contract says');
SELECT is((SELECT role FROM regress_validator.got), 'regress_model_mgr_ann', 'run as who registered it');
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd(:'id') || ' ' || pg_temp.said(:'id'), 'deploying true: - looks true: seen', 'passed, deployed');
SELECT is((SELECT validation_results -> 0 -> 'details' FROM model_mgr.get_update_status(:'id')), '{"keys": 12}'::jsonb, 'details are kept');
SELECT is(model_mgr.cancel_update(:'id'), true, 'and cancelled');

-- What refuses, what warns, what answers nothing.
SET ROLE regress_model_mgr_ann;
CREATE FUNCTION regress_validator.refuses(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT false, 'no good', '{"a": 1}'::jsonb $$;
CREATE FUNCTION regress_validator.silent(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, '', '{}'::jsonb WHERE false $$;
CREATE FUNCTION regress_validator.vague(jsonb, OUT passed boolean, OUT message text, OUT details jsonb) LANGUAGE sql AS $$ SELECT NULL::boolean, 'perhaps', NULL::jsonb $$;
SELECT model_mgr.register_validator(f, ('regress_validator.' || f || '(jsonb)')::regprocedure) FROM unnest('{refuses,silent,vague}'::text[]) f \g /dev/null
RESET ROLE;
CREATE TEMP TABLE one (n serial, rules jsonb, outcome text);
INSERT INTO one (rules, outcome) VALUES
    (pg_temp.rule('refuses'), 'failed false: rule "refuses": no good'), (pg_temp.rule('refuses', 'critical'), 'failed false: rule "refuses": no good'),
    (pg_temp.rule('refuses', 'warning'), 'deploying true: -'), (pg_temp.rule('refuses', 'info'), 'deploying true: -'), (pg_temp.rule('refuses', 'error', false), 'deploying true: -'),
    (pg_temp.rule('silent'), 'failed false: rule "silent": it returned no row'), (pg_temp.rule('vague'), 'failed false: rule "vague": it did not say whether it passed'),
    (pg_temp.rule('looks') || pg_temp.rule('refuses') || pg_temp.rule('silent'), 'failed false: rule "refuses": no good; rule "silent": it returned no row');
SELECT is((SELECT count(*) FROM one WHERE rules -> 0 ->> 'severity' = 'critical'), 1::bigint, 'eight cases');
CREATE FUNCTION pg_temp.judge(rules jsonb) RETURNS text LANGUAGE sql AS $$ SELECT model_mgr.trigger_update('m', '2.0', validation_rules => rules) $$;
CREATE TEMP TABLE outcome (n integer, seen text, status text);
CREATE PROCEDURE pg_temp.cases() LANGUAGE plpgsql AS $$
DECLARE
    c record; id text;
BEGIN
    FOR c IN SELECT * FROM one ORDER BY n LOOP
        id := pg_temp.judge(c.rules);
        PERFORM model_mgr.tick();
        COMMIT;
        CALL model_mgr.work();
        PERFORM model_mgr.tick();
        INSERT INTO outcome SELECT c.n, pg_temp.upd(id), v.status FROM model_mgr.get_model_version('m', '2.0') v;
        PERFORM model_mgr.cancel_update(id);
    END LOOP;
END $$;
CALL pg_temp.cases();
SELECT is(o.seen, c.outcome, c.rules ->> 0) FROM one c JOIN outcome o USING (n) ORDER BY n;
SELECT is((SELECT string_agg(DISTINCT status, ' ') FROM outcome WHERE seen ~ '^failed'), 'inactive', 'a refused update leaves its version as it was');
SELECT is((SELECT count(*) FROM model_mgr.event WHERE type = 'update.failed'), 5::bigint, 'each refusal is an event');

-- Of any size: kept are 64 kB of details, of longer ones the beginning, in whole characters; of a message 2000 characters, of an error 1000.
SET ROLE regress_model_mgr_ann;
CREATE FUNCTION regress_validator.talks(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$
    SELECT true, repeat('☃', 2001), jsonb_build_object('t', repeat('x', 64 * 1024 - 100)) $$;
CREATE FUNCTION regress_validator.rambles(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$
    SELECT true, '', jsonb_build_object('t', repeat('☃', 22000)) $$;
CREATE FUNCTION regress_validator.escapes(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$
    SELECT true, '', jsonb_build_object('t', repeat(E'\x01', 11000)) $$;
CREATE FUNCTION regress_validator.swells(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$
    SELECT true, '', jsonb_build_object('n', jsonb_agg(1e131000)) FROM generate_series(1, 2100) $$;
CREATE FUNCTION regress_validator.cries(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', repeat('a', 5000);
END $$;
SELECT model_mgr.register_validator(f, ('regress_validator.' || f || '(jsonb)')::regprocedure) FROM unnest('{talks,rambles,escapes,swells,cries}'::text[]) f \g /dev/null
RESET ROLE;
SELECT model_mgr.trigger_update('m', '2.0', validation_rules => (SELECT jsonb_agg(pg_temp.rule(f) -> 0 ORDER BY o) FROM unnest('{talks,rambles,escapes,swells,cries}'::text[]) WITH ORDINALITY t (f, o))) AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT results_eq(format($$SELECT r ->> 'name', length(r ->> 'message'), octet_length(r ->> 'details') / 1000, r #>> '{details,cut}', length(r #>> '{details,beginning}')
    FROM model_mgr.get_update_status(%L) u, jsonb_array_elements(u.validation_results) WITH ORDINALITY e (r, o) ORDER BY o$$, :'id'),
    $$VALUES ('talks', 2000, 65, NULL, NULL), ('rambles', 0, 1, 'the text of these details is longer than the 64 kB that are kept', 338),
        ('escapes', 0, 1, 'the text of these details is longer than the 64 kB that are kept', 1000), ('swells', 0, 0, 'the text of these details is longer than the 64 kB that are kept', NULL),
        ('cries', 1000, NULL, NULL, NULL)$$, 'what validators say at length is cut');

-- Whose, and of what shape.
CREATE FUNCTION regress_validator.not_anns(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, '', '{}'::jsonb $$;
SET ROLE regress_model_mgr_ann;
CREATE FUNCTION regress_validator.narrow(jsonb) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE FUNCTION regress_validator.turned(jsonb) RETURNS TABLE (message text, passed boolean, details jsonb) LANGUAGE sql AS $$ SELECT '', true, '{}'::jsonb $$;
CREATE FUNCTION regress_validator.of_text(text) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, '', '{}'::jsonb $$;
CREATE FUNCTION regress_validator.unnamed(jsonb) RETURNS record LANGUAGE sql AS $$ SELECT true, ''::text, '{}'::jsonb $$;
SELECT f || ' ' || pg_temp.code(format('SELECT model_mgr.register_validator(''x'', %L)', 'regress_validator.' || f)) FROM unnest(ARRAY['narrow(jsonb)', 'turned(jsonb)', 'of_text(text)', 'unnamed(jsonb)', 'not_anns(jsonb)']) f;
SELECT 'the policy is the admin''s: ' || pg_temp.code($$SELECT model_mgr.set_security_policy('{a}')$$);
RESET ROLE;
SELECT pg_temp.refused('22004', 'name', $$SELECT model_mgr.register_validator(NULL, 'regress_validator.not_anns(jsonb)')$$);
SELECT pg_temp.refused('22004', 'validator_func', $$SELECT model_mgr.register_validator('x', NULL)$$);
SELECT pg_temp.refused('42602', 'validator name', $$SELECT model_mgr.register_validator('', 'regress_validator.not_anns(jsonb)')$$);
SELECT pg_temp.refused('42883', 'does not exist', $$SELECT model_mgr.register_validator('x', 4294967295::oid::regprocedure)$$);
SELECT pg_temp.refused('22003', 'max_temperature', $$SELECT model_mgr.set_security_policy(max_temperature => 'NaN')$$);
SELECT pg_temp.refused('22003', 'max_temperature', $$SELECT model_mgr.set_security_policy(max_temperature => -1)$$);
SELECT pg_temp.refused('22004', 'approved models', $$SELECT model_mgr.set_security_policy(ARRAY['a', NULL])$$);
SELECT pg_temp.refused('42602', 'tag', $$SELECT model_mgr.set_security_policy(required_tag => '')$$);
SELECT is(model_mgr.unregister_validator('nobody'), false, 'nothing to remove');
-- One operator's gate is not another's to open; an administrator's it is.
CREATE ROLE regress_model_mgr_ben IN ROLE regress_model_mgr_operator;
GRANT CREATE, USAGE ON SCHEMA regress_validator TO regress_model_mgr_ben;
SET ROLE regress_model_mgr_ben;
CREATE FUNCTION regress_validator.bens(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, 'come in', '{}'::jsonb $$;
SELECT 'put in its place: ' || pg_temp.code($$SELECT model_mgr.register_validator('refuses', 'regress_validator.bens(jsonb)')$$);
SELECT 'removed: ' || pg_temp.code($$SELECT model_mgr.unregister_validator('refuses')$$);
SELECT 'one''s own: ' || pg_temp.code($$SELECT model_mgr.register_validator('bens', 'regress_validator.bens(jsonb)')$$);
RESET ROLE;
GRANT regress_model_mgr_admin TO regress_model_mgr_ann;
SET ROLE regress_model_mgr_ann;
SELECT 'by an administrator: ' || pg_temp.code($$SELECT model_mgr.unregister_validator('bens')$$);
RESET ROLE;
REVOKE regress_model_mgr_admin FROM regress_model_mgr_ann;
SELECT is((SELECT string_agg(validator_name || ' ' || role_name, ', ') FROM model_mgr.validator_list WHERE validator_name IN ('refuses', 'bens')), 'refuses regress_model_mgr_ann', 'it is still hers');

-- The shipped ones, called by hand.
CREATE FUNCTION pg_temp.asked(version text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('model_name', 'm', 'target_version', version, 'current_version', '1.0', 'new_configuration', v.configuration, 'tags', to_jsonb(v.tags))
    FROM model_mgr.get_model_version('m', version) v $$;
SELECT is(format('%s %s', v.passed, v.message), 't the configuration is complete and within its ranges', 'a configuration that is well') FROM model_mgr.validate_model_configuration(pg_temp.asked('2.0')) v;
SELECT is(v.passed, false, c) FROM unnest(ARRAY['{"new_configuration": null}', '{}', '{"new_configuration": {"provider": "x"}}', '{"new_configuration": {"provider": "x", "model_name": "y", "temperature": 99}}',
    '{"new_configuration": {"provider": "x", "model_name": "y", "temperature": "hot"}}', '{"new_configuration": {"provider": "x", "model_name": "y", "api_key": "s"}}']) c,
    LATERAL model_mgr.validate_model_configuration(c::jsonb) v;
SELECT is(format('%s %s', v.passed, v.message), 'f no security policy is set: see set_security_policy()', 'no policy') FROM model_mgr.security_validation(pg_temp.asked('2.0')) v;
SELECT model_mgr.set_security_policy('{gpt-4,claude-3-sonnet}', 1.0, 'reviewed') \gset
SELECT is(format('%s %s', v.passed, v.message), 't the security policy is kept', 'kept') FROM model_mgr.security_validation(pg_temp.asked('2.0')) v;
SELECT is(format('%s %s', v.passed, v.message), 'f tag reviewed is missing', 'the tag') FROM model_mgr.security_validation(pg_temp.asked('1.0')) v;
SELECT model_mgr.set_security_policy(ARRAY['o''cl "x"'], 0.5) \gset
SELECT is(format('%s %s', v.passed, v.message), 'f model gpt-4 is not approved; temperature is 0.9; at most 0.5 is allowed', 'model and temperature') FROM model_mgr.security_validation(pg_temp.asked('2.0')) v;
SELECT is(format('%s %s', v.passed, v.message), 'f model (none) is not approved; temperature is not given; at most 0.5 is allowed', 'what is not given is not approved') FROM model_mgr.security_validation('{"new_configuration": {}}') v;
-- The baseline: no outcomes, as good, worse, and worse within the margin.
SELECT is(format('%s %s', v.passed, v.message), 'f too few outcomes of version 2.0 in the last 7 days: 0 of 100', 'nothing recorded is nothing shown') FROM model_mgr.validate_performance_baseline(pg_temp.asked('2.0')) v;
SELECT pg_temp.outcomes('m', '1.0', 1000, 950) \gset
SELECT pg_temp.outcomes('m', '2.0', 1000, 949) \gset
SELECT is(format('%s %s', v.passed, v.message), 't no worse than version 1.0', 'as good') FROM model_mgr.validate_performance_baseline(pg_temp.asked('2.0')) v;
SELECT model_mgr.create_model_version('m', '3.0', model_mgr.model_configuration('openai', 'gpt-4')) \gset
SELECT pg_temp.outcomes('m', '3.0', 1000, 900, 1.0) \gset
SELECT is(format('%s %s', v.passed, v.message), 'f avg_response_time is 1.0000, against 0.5000 of version 1.0; success_rate is 0.9000, against 0.9500 of version 1.0', 'worse') FROM model_mgr.validate_performance_baseline(pg_temp.asked('3.0')) v;
SELECT is((SELECT jsonb_array_length(v.details -> 'metrics')), 3, 'with the intervals') FROM model_mgr.validate_performance_baseline(pg_temp.asked('3.0')) v;
SELECT is(format('%s %s', v.passed, v.message), 't no version is active: there is no baseline', 'no baseline') FROM model_mgr.validate_performance_baseline(pg_temp.asked('3.0') - 'current_version') v;
-- By work(): shipped, replaced by one's own of the same name, and shipped again.
SELECT results_eq($$SELECT validator_name, shipped FROM model_mgr.validator_list WHERE shipped ORDER BY 1$$, $$VALUES ('security_validation', true), ('validate_model_configuration', true), ('validate_performance_baseline', true)$$, 'shipped');
SET ROLE regress_model_mgr_ann;
CREATE FUNCTION regress_validator.mine(jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT false, 'mine', '{}'::jsonb $$;
SELECT model_mgr.register_validator('security_validation', 'regress_validator.mine(jsonb)') \gset
RESET ROLE;
SELECT model_mgr.trigger_update('m', '3.0', validation_rules => pg_temp.rule('security_validation') || pg_temp.rule('validate_performance_baseline')) AS id \gset
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.said(:'id'), 'security_validation false: mine; validate_performance_baseline false: avg_response_time is 1.0000, against 0.5000 of version 1.0; success_rate is 0.9000, against 0.9500 of version 1.0', 'one''s own goes first');
SELECT is((SELECT string_agg(validator_name || ' ' || shipped, ', ' ORDER BY 1) FROM model_mgr.validator_list WHERE validator_name = 'security_validation'), 'security_validation false', 'and is the one that is listed');
SELECT is(model_mgr.unregister_validator('security_validation'), true, 'removed');
SELECT model_mgr.trigger_update('m', '3.0', validation_rules => pg_temp.rule('security_validation') || pg_temp.rule('looks')) AS id \gset
SELECT is(model_mgr.unregister_validator('looks'), true, 'and one between the call and its turn');
SELECT model_mgr.tick() \g /dev/null
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.said(:'id'), 'security_validation false: model gpt-4 is not approved; temperature is not given; at most 0.5 is allowed; looks false: validator "looks" does not exist any more', 'the shipped one is back, the other fails');
-- Cancelled while its rules wait: nobody is asked any more.
SELECT model_mgr.trigger_update('m', '3.0', validation_rules => pg_temp.rule('refuses')) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT count(*) FROM model_mgr.work_tasks()), 1::bigint, 'one to judge');
SELECT is(model_mgr.cancel_update(:'id', 'no more'), true, 'cancelled');
SELECT is((SELECT count(*) FROM model_mgr.work_tasks()), 0::bigint, 'none to judge');

-- Rules of a deployment: it stays pending, its version validating, until they have spoken.
SELECT deployment_id AS d FROM model_mgr.deploy_model_version('m', '3.0', 'canary', rollout => jsonb_build_object('validation_rules', pg_temp.rule('refuses'))) \gset
SELECT is(pg_temp.state('m') || ', ' || pg_temp.statuses('m') || ', ' || pg_temp.routed('m'), 'pending 0 0, 1.0 active, 2.0 inactive, 3.0 validating, 1.0 - 0', 'waits for its validators');
SELECT matches((SELECT waiting_for FROM model_mgr.deployment_list WHERE deployment_id = :d), '^its validators have not all answered .*\[validation_rules\]$', 'and says so');
SELECT pg_temp.refused('55000', 'They have not all answered', format('SELECT model_mgr.promote_deployment(%s)', :d));
SELECT pg_temp.refused('22023', 'validation_rules', format('SELECT model_mgr.adjust_deployment(%s, %L)', :d, '{"rollout": {"validation_rules": []}}'));
SELECT model_mgr.abort_deployment(:d) \gset
SELECT is(pg_temp.state('m') || ', ' || pg_temp.statuses('m'), 'aborted 0 0, 1.0 active, 2.0 inactive, 3.0 pending', 'aborted, the version is what it was');
SELECT deployment_id AS d FROM model_mgr.deploy_model_version('m', '3.0', 'canary', rollout => jsonb_build_object('validation_rules', pg_temp.rule('refuses'))) \gset
CALL model_mgr.work();
SELECT pg_temp.refused('55000', 'They refuse it: rule "refuses": no good', format('SELECT model_mgr.promote_deployment(%s)', :d));
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state('m') || ', ' || pg_temp.statuses('m'), 'failed 0 0, 1.0 active, 2.0 inactive, 3.0 failed', 'refused: deployment and version have failed');
SELECT is((SELECT status_reason FROM model_mgr.get_deployment(:d)), 'its validation failed: rule "refuses": no good', 'with the reason');
SELECT deployment_id AS d FROM model_mgr.deploy_model_version('m', '2.0', 'canary', rollout => jsonb_build_object('validation_rules', pg_temp.rule('validate_model_configuration'))) \gset
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state('m') || ', ' || pg_temp.statuses('m'), 'running 10 1, 1.0 active, 2.0 deploying, 3.0 failed', 'passed: it runs');
SELECT is(model_mgr.replay_evidence(evidence), evidence ->> 'decision', 'evidence is replayed: ' || what) FROM model_mgr.explain_deployment(:d) WHERE evidence ? 'decision';
-- A first deployment, and one that begins later, are judged first too.
SELECT pg_temp.make_model('first', '1', '2') \gset
SELECT model_mgr.deploy_model_version('first', '1', 'replace', rollout => jsonb_build_object('validation_rules', pg_temp.rule('refuses'))) \gset
SELECT is(pg_temp.state('first') || ', ' || pg_temp.statuses('first'), 'pending 0 0, 1 validating, 2 pending', 'no version serves unjudged');
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state('first') || ', ' || pg_temp.statuses('first'), 'failed 0 0, 1 failed, 2 pending', 'the first one neither');
SELECT deployment_id AS d FROM model_mgr.deploy_model_version('first', '2', 'replace', rollout => jsonb_build_object('start_at', '2026-03-01 13:00:00+00', 'validation_rules', pg_temp.rule('validate_model_configuration'))) \gset
SELECT is((SELECT count(*) FROM model_mgr.work_tasks()), 0::bigint, 'start_at first');
SELECT is(pg_temp.statuses('first'), '1 failed, 2 pending', 'nothing is validated yet');
SELECT model_mgr.adjust_deployment(:d, '{"rollout": {"start_at": "2026-03-01 12:30:00+00"}}', 'sooner') \gset
SELECT pg_temp.at('2026-03-01 12:30:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state('first') || ', ' || pg_temp.statuses('first'), 'pending 0 0, 1 failed, 2 validating', 'then the validators');
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.state('first') || ', ' || pg_temp.statuses('first'), 'completed 100 1, 1 failed, 2 active', 'then the rollout');

-- Waiting for an update: to its end, for want of time, and what cannot be waited for.
SELECT pg_temp.make_model('w', '1', '2', '3') \gset
SELECT model_mgr.trigger_update('w', '1', validation_rules => pg_temp.rule('validate_model_configuration')) AS id \gset
SET default_transaction_isolation = 'repeatable read';
CALL model_mgr.wait_for_update(:'id', 0);
RESET default_transaction_isolation;
SELECT is(pg_temp.upd(:'id'), 'completed true: deployment ' || pg_temp.newest('w') || ' has completed: no version was active', 'one round is enough for what needs no traffic');
SELECT lives_ok(format('SELECT model_mgr.assert_update_succeeded(%L)', :'id'), 'asserted');
SELECT model_mgr.trigger_update('w', '2', validation_rules => pg_temp.rule('refuses')) AS id \gset
\set VERBOSITY sqlstate
CALL model_mgr.wait_for_update(:'id', 10);
SELECT model_mgr.trigger_update('w', '2') AS id \gset
CALL model_mgr.wait_for_update(:'id', 0);
CALL model_mgr.wait_for_update('upd-999', 0);
CALL model_mgr.wait_for_update(NULL);
CALL model_mgr.wait_for_update(:'id', 'NaN');
BEGIN;
CALL model_mgr.wait_for_update(:'id', 0);
ROLLBACK;
\set VERBOSITY default
SELECT is(pg_temp.upd(:'id'), 'deploying true: -', 'and goes on');

-- health_check() and the dashboard: what waits too long, what is open.
CREATE FUNCTION pg_temp.health() RETURNS text LANGUAGE sql AS $$ SELECT CASE WHEN ok THEN 'ok: ' ELSE 'BAD: ' END || detail FROM model_mgr.health_check() WHERE check_name = 'updates' $$;
SELECT pg_temp.make_model('h', '1', '2') \gset
SELECT model_mgr.deploy_model_version('h', '1') \gset
SELECT model_mgr.schedule_update('h', 'latest', '@daily') \gset
SELECT pg_temp.at('2026-03-01 23:00:00+00') \gset
SELECT model_mgr.trigger_update('h', '2', validation_rules => pg_temp.rule('refuses')) AS id \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.health(), 'ok: updates open: 2, schedules: 1', 'open, none for long');
SELECT is((SELECT string_agg(key || ' ' || (value ->> 'status'), ', ' ORDER BY key) FROM jsonb_each(model_mgr.get_model_health_dashboard() -> 'updates') WHERE value ->> 'status' IN ('validating', 'deploying')),
    (SELECT string_agg(update_id || ' ' || status, ', ' ORDER BY update_id) FROM model_mgr.list_updates() WHERE status IN ('validating', 'deploying')), 'the dashboard has them');
SELECT pg_temp.at('2026-03-02 00:05:01+00') \gset
SELECT is(pg_temp.health(), 'BAD: schedules due for over five minutes: 1; rules waiting for work() for over five minutes: 1', 'nothing ticks or works');
UPDATE model_mgr.validator SET disabled_at = now(), disabled_reason = 'for the test' WHERE validator_name = 'vague';
SELECT matches(pg_temp.health(), '^BAD: validator "vague", regress_validator.vague\(jsonb\), is disabled: for the test; ', 'a disabled one');
SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_validator CASCADE;
DROP ROLE regress_model_mgr_ann, regress_model_mgr_ben, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
