-- Approvals: distinct logins, members of the role, neither who created the version nor who deploys it; judged when it is
-- deployed.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SET client_min_messages = warning;
SELECT plan(51);
SELECT setup_roles('regress_approval_admin', 'regress_approval_operator', 'regress_approval_app', 'regress_approval_reader');
CREATE ROLE regress_board;
CREATE ROLE regress_sub_board IN ROLE regress_board;
CREATE ROLE regress_ann LOGIN IN ROLE regress_approval_operator, regress_sub_board;
CREATE ROLE regress_bob LOGIN IN ROLE regress_approval_operator, regress_board;
CREATE ROLE regress_cid LOGIN IN ROLE regress_approval_operator;
CREATE ROLE regress_eve LOGIN SUPERUSER;
GRANT USAGE ON SCHEMA tap TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tap TO PUBLIC;
SELECT version FROM create_model_version('m', '0', model_configuration('p', 'x'));
SELECT status FROM deploy_model_version('m', '0');

-- approve, deploy: as a login. The answer, or what was refused.
CREATE FUNCTION pg_temp.says(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text; detail text;
BEGIN
    EXECUTE statement INTO answer;
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || detail;
END $$;

-- The rule.
SELECT pg_temp.refused('42704', 'model "x" does not exist', $$SELECT require_approvals('x', 1)$$);
SELECT pg_temp.refused('42704', 'role "nobody" does not exist', $$SELECT require_approvals('m', 1, 'nobody')$$);
SELECT pg_temp.refused('22003', 'outside 0 to 100', $$SELECT require_approvals('m', -1)$$);
SELECT pg_temp.refused('22003', 'outside 0 to 100', $$SELECT require_approvals('m', 101)$$);
SELECT pg_temp.refused('22004', 'approvals', $$SELECT require_approvals('m', NULL)$$);
SELECT pg_temp.refused('22004', 'model_name', $$SELECT require_approvals(NULL, 1)$$);
SELECT lives_ok($$SELECT require_approvals('m', 2, 'regress_board')$$, 'two of the board');
SELECT lives_ok($$SELECT require_approvals('m', 2, 'regress_board')$$, 'again');
SELECT is((SELECT count(*) FROM audit_log WHERE operation = 'require_approvals'), 1::bigint, 'logged once');
SELECT is(details, '{"before": 0, "after": 2, "from_role": "regress_board", "from_role_before": null}', 'with before and after') FROM audit_log WHERE operation = 'require_approvals';

-- Ann creates in somebody else's name; that makes her no stranger to it.
SET SESSION AUTHORIZATION regress_ann;
SELECT created_by FROM model_mgr.create_model_version('m', '1', '{"provider": "p", "model_name": "x"}', created_by => 'regress_bob');
SELECT tap.is(pg_temp.says($$SELECT model_mgr.approve_model_version('m', '1')$$), '42501: regress_ann has created it; an approval is by somebody else.', 'who created it may not');
SET SESSION AUTHORIZATION regress_bob;
SELECT tap.is(pg_temp.says($$SELECT model_mgr.approve_model_version('m', '1')$$), '42501: regress_bob has created it; an approval is by somebody else.', 'nor who is named as its creator');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is(pg_temp.says($$SELECT status FROM model_mgr.approve_model_version('m', '1', 'looks fine')$$), 'pending', 'a third may, and the version''s row comes back');
SELECT tap.is(pg_temp.says($$SELECT model_mgr.deploy_model_version('m', '1')$$),
    '55000: It has 0 of 2 approvals by members of regress_board; not counted: 1 by who created or deploys it, 0 by others.', 'who deploys is not counted');
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.says($$SELECT deploy_model_version('m', '1')$$),
    '55000: It has 0 of 2 approvals by members of regress_board; not counted: 0 by who created or deploys it, 1 by others.', 'nor one who is not of the role');
SELECT is(pg_temp.says($$SELECT deploy_model_version('m', '1', deployed_by => 'regress_cid')$$),
    '55000: It has 0 of 2 approvals by members of regress_board; not counted: 1 by who created or deploys it, 0 by others.', 'nor whom the deployer names');
SELECT pg_temp.refused('55000', 'version "1" of model "m" is not approved', $$SELECT deploy_model_version('m', '1')$$);
SELECT pg_temp.refused('55000', 'version "1" of model "m" is not approved', $$SELECT rollback_model('m', '1')$$);

-- A version of another's making.
SELECT version FROM create_model_version('m', '2', model_configuration('p', 'x'));
SET SESSION AUTHORIZATION regress_ann;
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '2')$$), '2', 'ann approves');
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '2')$$), '2', 'again');
SET ROLE regress_approval_operator;
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '2', 'as another')$$), '2', 'in another role it is still ann');
RESET ROLE;
SET SESSION AUTHORIZATION regress_eve;
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '2')$$), '2', 'a superuser approves');
RESET SESSION AUTHORIZATION;
SELECT results_eq($$SELECT user_name, note, counts, approvals, approvals_required, from_role FROM approval_list WHERE version = '2' ORDER BY 1$$,
    $$VALUES ('regress_ann', 'as another', true, 1::bigint, 2, 'regress_board'), ('regress_eve', '', false, 1, 2, 'regress_board')$$, 'approval_list: who, and who counts; superusers are of no board by that alone');
SELECT is((SELECT string_agg(user_name || ' ' || (details ->> 'note'), ', ' ORDER BY audit_id) FROM audit_log WHERE operation = 'approve' AND version = '2'),
    'regress_ann , regress_ann as another, regress_eve ', 'each that changed something is logged, under the login');
SELECT is((SELECT count(*) FROM event WHERE type = 'version.approved'), 4::bigint, 'and told');
SELECT is(pg_temp.says($$SELECT deploy_model_version('m', '2', 'replace')$$),
    '55000: It has 1 of 2 approvals by members of regress_board; not counted: 0 by who created or deploys it, 1 by others.', 'one of two');
SET SESSION AUTHORIZATION regress_bob;
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '2')$$), '2', 'bob too');
SELECT tap.is(pg_temp.says($$SELECT status FROM model_mgr.deploy_model_version('m', '2', 'replace')$$),
    '55000: It has 1 of 2 approvals by members of regress_board; not counted: 1 by who created or deploys it, 1 by others.', 'but who has approved does not make it two by deploying');
RESET SESSION AUTHORIZATION;
REVOKE regress_board FROM regress_sub_board;
SELECT is(pg_temp.says($$SELECT deploy_model_version('m', '2', 'replace')$$),
    '55000: It has 1 of 2 approvals by members of regress_board; not counted: 0 by who created or deploys it, 2 by others.', 'who has left the board since does not count');
GRANT regress_board TO regress_sub_board;
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is(pg_temp.says($$SELECT status FROM model_mgr.deploy_model_version('m', '2', 'replace')$$), 'promoting', 'two of the board, deployed by a third');
SELECT tap.is(pg_temp.says($$SELECT status FROM model_mgr.deploy_model_version('m', '2', 'replace')$$), 'promoting', 'repeated');
SELECT tap.is(pg_temp.says($$SELECT model_mgr.approve_model_version('m', '2')$$), '42501: regress_cid has deployed it; an approval is by somebody else.', 'who deployed it may not approve it');
RESET SESSION AUTHORIZATION;
SELECT is(rollback_model('m', '0'), true, 'the way back asks for no approval');

-- More and fewer; other models do not ask.
SELECT require_approvals('m', 0);
SELECT is((SELECT count(*) FROM approval_rule), 0::bigint, 'none any more');
SELECT is(pg_temp.says($$SELECT status FROM deploy_model_version('m', '1', 'replace')$$), 'promoting', 'then it deploys');
SELECT require_approvals('m', 1);
SELECT version FROM create_model_version('m', '3', model_configuration('p', 'x'));
SELECT is((SELECT approvals_required || ' ' || approvals || coalesce(user_name, ' nobody') FROM approval_list WHERE version = '3'), '1 0 nobody', 'a version without any stands in the list');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '3')$$), '3', 'without a role anybody''s counts');
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.says(format($$SELECT strategy FROM deploy_model_version('m', '3', 'blue_green', rollout => '{"start_at": "%s"}')$$, now() + interval '1 day')), 'blue_green', 'also one that begins later');
SELECT pg_temp.refused('42704', 'version "9" of model "m" does not exist', $$SELECT approve_model_version('m', '9')$$);
SELECT pg_temp.refused('42704', 'model "x" does not exist', $$SELECT approve_model_version('x', '9')$$);
SELECT pg_temp.refused('22004', 'version', $$SELECT approve_model_version('m', NULL)$$);

-- Nothing that runs by itself approves.
SELECT version FROM create_model_version('m', '4', model_configuration('p', 'x'));
RESET SESSION AUTHORIZATION;
CREATE SCHEMA regress_approval;
GRANT ALL ON SCHEMA regress_approval TO regress_cid;
SET SESSION AUTHORIZATION regress_cid;
CREATE FUNCTION regress_approval.sly(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM model_mgr.approve_model_version('m', '4'); RETURN 1; END $$;
CREATE TABLE regress_approval.bait AS SELECT 1 AS x;
RESET SESSION AUTHORIZATION;
-- An index of somebody else's, built by who maintains the database: the server runs its function in such an operation.
SET SESSION AUTHORIZATION regress_eve;
SELECT throws_ok('CREATE INDEX ON regress_approval.bait (regress_approval.sly(x))', '42501', 'code that runs by itself cannot approve a version', 'an index expression approves nothing in the name of who builds it');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT count(*) FROM version_approval a JOIN model_version v USING (version_id) WHERE v.version = '4'), 0::bigint, 'nobody has');

-- Asking in somebody else's name, or by a schedule, or by code that work() runs, is deploying and creating all the same.
SELECT version FROM create_model_version('m', '6', model_configuration('p', 'x'));
SELECT count(promote_deployment(deployment_id, true)) FROM deployment WHERE model_name = 'm' AND status IN ('pending', 'running');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is(pg_temp.says($$SELECT version FROM model_mgr.approve_model_version('m', '6')$$), '6', 'cid approves');
SELECT model_mgr.trigger_update('m', '6', deployment_strategy => 'replace', triggered_by => 'regress_ann') AS named \gset
RESET SESSION AUTHORIZATION;
SELECT count(*) > 0 AS ticked FROM tick();
SELECT is((SELECT status || ' ' || (status_reason ~ '1 by who created or deploys it') FROM get_update_status(:'named')), 'failed true', 'an update that an approver asks for in another''s name');
SET SESSION AUTHORIZATION regress_cid;
SET ROLE regress_approval_operator;
SELECT model_mgr.schedule_update('m', '6', '* * * * *', deployment_strategy => 'replace') AS schedule \gset
RESET SESSION AUTHORIZATION;
SELECT is((SELECT asked_by FROM schedule_plan WHERE schedule_id = :'schedule'), 'regress_cid', 'a schedule knows the login');
SET model_mgr.clock = '2100-01-01';
SELECT count(*) > 0 AS ticked FROM tick();
RESET model_mgr.clock;
SELECT is((SELECT status || ' ' || (status_reason ~ '1 by who created or deploys it') FROM list_updates('m') WHERE schedule_id = :'schedule'), 'failed true', 'and its update is no other''s');
SELECT unschedule_update(:'schedule');
SET SESSION AUTHORIZATION regress_cid;
CREATE FUNCTION regress_approval.make(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM model_mgr.create_model_version('m', '7', '{"provider": "p", "model_name": "x"}'); END $$;
SELECT model_mgr.add_rollback_callback('regress_approval.make(jsonb)') > 0 AS registered;
RESET SESSION AUTHORIZATION;
SELECT count(create_model_version('other', v, model_configuration('p', 'x'))) FROM unnest('{1,2}'::text[]) v;
SELECT status FROM deploy_model_version('other', '1');
SELECT status FROM deploy_model_version('other', '2', rollout => '{"min_requests": 10}');
SELECT count(update_model_metrics('other', '2', success => false)) FROM generate_series(1, 20);
SELECT count(*) > 0 AS ticked FROM tick();
CALL work();
SELECT is((SELECT c.user_name FROM version_creator c JOIN model_version v USING (version_id) WHERE v.version = '7'), 'regress_cid', 'of a version made by a callback the registrant is the creator');
SET SESSION AUTHORIZATION regress_cid;
SELECT tap.is(pg_temp.says($$SELECT model_mgr.approve_model_version('m', '7')$$), '42501: regress_cid has created it; an approval is by somebody else.', 'what one''s callback has made is one''s own');
RESET SESSION AUTHORIZATION;

-- What is deleted takes its approvals along.
SELECT version FROM create_model_version('m', '5', model_configuration('p', 'x'));
SET SESSION AUTHORIZATION regress_bob;
SELECT version FROM model_mgr.approve_model_version('m', '5');
RESET SESSION AUTHORIZATION;
SELECT is(delete_model_version('m', '5'), true, 'deleted');
SELECT is((SELECT count(*) FROM version_approval a WHERE NOT EXISTS (SELECT FROM model_version v WHERE v.version_id = a.version_id))
    + (SELECT count(*) FROM version_creator c WHERE NOT EXISTS (SELECT FROM model_version v WHERE v.version_id = c.version_id)), 0::bigint, 'and nothing of it is left');

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA regress_approval CASCADE;
DROP OWNED BY regress_ann, regress_bob, regress_cid, regress_eve, regress_board, regress_sub_board;
REVOKE USAGE ON SCHEMA tap FROM PUBLIC;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_ann, regress_bob, regress_cid, regress_eve, regress_sub_board, regress_board, regress_approval_admin, regress_approval_operator, regress_approval_app, regress_approval_reader;
