-- The audit log: every change of state leaves its row in the same transaction, with who, where and when; what changes
-- nothing or is refused leaves none; and what is written stays.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(50);

CREATE TEMP TABLE mark (audit_id bigint);
INSERT INTO mark VALUES (0);
-- logged: the operations since the last call, in order, with their versions.
CREATE FUNCTION pg_temp.logged() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SELECT coalesce(string_agg(concat_ws(' ', a.operation, a.version), ', ' ORDER BY a.audit_id), 'nothing') INTO found
    FROM audit_list a, mark m WHERE a.audit_id > m.audit_id;
    UPDATE mark SET audit_id = coalesce((SELECT max(a.audit_id) FROM audit_list a), 0);
    RETURN found;
END $$;
-- leaves: what a statement logs.
CREATE FUNCTION pg_temp.leaves(statement text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN tap.is(pg_temp.logged(), wanted, statement);
END $$;

SET model_mgr.clock = '2020-01-01 00:00:00+00';
SELECT pg_temp.leaves($$SELECT create_model_version('m', v, '{"provider": "p", "model_name": "x"}') FROM unnest('{1,2,3,4}'::text[]) v$$,
    'create 1, create 2, create 3, create 4');
SELECT pg_temp.leaves($$SELECT create_model_version('m', '1', '{"provider": "p", "model_name": "x"}')$$, 'nothing');
SELECT pg_temp.leaves($$SELECT set_alias('m', 'a', '1')$$, 'set_alias 1');
SELECT pg_temp.leaves($$SELECT set_alias('m', 'a', '1')$$, 'nothing');
SELECT pg_temp.leaves($$SELECT delete_alias('m', 'a')$$, 'delete_alias 1');
SELECT pg_temp.leaves($$SELECT tag_model_version('m', '1', '{t}')$$, 'tag 1');
SELECT pg_temp.leaves($$SELECT update_model_version('m', '1', 'words')$$, 'update 1');
SELECT pg_temp.leaves($$SELECT mark_version_ready('m', '4')$$, 'ready 4');
SELECT pg_temp.leaves($$SELECT archive_model_version('m', '4', 'old')$$, 'archive 4');
SELECT pg_temp.leaves($$SELECT delete_model_version('m', '4')$$, 'delete 4');
SELECT pg_temp.leaves($$SELECT set_model('m', 'words')$$, 'set_model');
SELECT pg_temp.leaves($$SELECT deploy_model_version('m', '1')$$, 'deploy 1');
SELECT pg_temp.leaves($$SELECT deploy_model_version('m', '1')$$, 'nothing');
SELECT pg_temp.leaves($$SELECT deploy_model_version('m', '2', rollout => '{"steps": [20, 40, 100], "step_seconds": 60, "min_requests": 1}')$$, 'deploy 2');
SELECT pg_temp.leaves($$SELECT pause_deployment(2, 'lunch')$$, 'pause 2');
SELECT pg_temp.leaves($$SELECT resume_deployment(2)$$, 'resume 2');
SELECT pg_temp.leaves($$SELECT adjust_deployment(2, '{"bake_seconds": 30}', 'hurry')$$, 'adjust 2');
SELECT pg_temp.leaves($$SELECT update_model_metrics('m', '2', 0.1, true)$$, 'nothing');
SET model_mgr.clock = '2020-01-01 00:01:00+00';
SELECT pg_temp.leaves($$SELECT tick()$$, 'step 2');
SELECT pg_temp.leaves($$SELECT tick()$$, 'nothing');
SELECT pg_temp.leaves($$SELECT promote_deployment(2, true)$$, 'promote 2');
SET model_mgr.clock = '2020-01-01 00:02:00+00';
SELECT pg_temp.leaves($$SELECT tick()$$, 'complete 2');
SELECT pg_temp.leaves($$SELECT rollback_model('m', reason => 'it hummed')$$, 'rollback 2');
SELECT pg_temp.leaves($$SELECT rollback_model('m')$$, 'nothing');
SELECT pg_temp.leaves($$SELECT deploy_model_version('m', '3')$$, 'deploy 3');
SELECT pg_temp.leaves($$SELECT abort_deployment(open_deployment('m'), 'no')$$, 'abort 3');
SELECT pg_temp.leaves($$SELECT pin_unit('m', 'u', '3')$$, 'pin_unit 3');
SELECT pg_temp.leaves($$SELECT pin_unit('m', 'u', '3')$$, 'nothing');
SELECT pg_temp.leaves($$SELECT unpin_unit('m', 'u')$$, 'unpin_unit');
SELECT pg_temp.leaves($$SELECT set_segment('m', 's', '{"a": 1}', '3')$$, 'set_segment 3');
SELECT pg_temp.leaves($$SELECT drop_segment('m', 's')$$, 'drop_segment');

-- An automatic rollback is logged by the transaction that recorded what it was judged on, under who recorded.
SELECT pg_temp.leaves($$SELECT deploy_model_version('m', '3', rollout => '{"min_requests": 10}')$$, 'deploy 3');
SELECT count(update_model_metrics('m', '3', 0.1, false)) FROM generate_series(1, 10);
SELECT is(pg_temp.logged(), 'rollback 3', 'an automatic rollback leaves its row');
SELECT is(details ->> 'automatic', 'true', 'it says that nobody asked for it') FROM audit_list ORDER BY audit_id DESC LIMIT 1;
SELECT ok(details #>> '{evidence,verdicts,success_rate,verdict}' = 'fail' AND (details #>> '{evidence,candidate,window,known}')::integer = 10,
    'and on which numbers') FROM audit_list ORDER BY audit_id DESC LIMIT 1;
SELECT ok(a.txn = (SELECT max(o.txn) FROM observation o), 'and carries the transaction of the recordings') FROM audit_list a ORDER BY audit_id DESC LIMIT 1;

-- Who, from where, when: the real time, whatever the clock says; the session's user and the role it acts as.
SELECT ok(bool_and(logged_at BETWEEN now() - interval '1 hour' AND clock_timestamp()), 'rows carry the real time') FROM audit_list;
SELECT ok(bool_and(user_name = session_user AND application_name = current_setting('application_name') AND session_id <> ''), 'and the session') FROM audit_list;
SELECT ok(bool_and(client_address IS NOT DISTINCT FROM host(inet_client_addr())), 'and its address') FROM audit_list;
SET client_min_messages = error;
DROP ROLE IF EXISTS audit_clerk;
CREATE ROLE audit_clerk;
RESET client_min_messages;
GRANT USAGE ON SCHEMA model_mgr TO audit_clerk;
GRANT EXECUTE ON FUNCTION model_mgr.set_model TO audit_clerk;
SET ROLE audit_clerk;
SELECT (model_mgr.set_model('m', 'other words')).description;
RESET ROLE;
SELECT ok(user_name = session_user AND caller = 'audit_clerk', 'user_name is who logged in, caller the role that acted') FROM audit_list ORDER BY audit_id DESC LIMIT 1;
SELECT pg_temp.logged();

-- The row lives and dies with the change.
BEGIN;
SELECT (deploy_model_version('m', '3', 'replace')).status;
SELECT is(operation, 'deploy', 'seen at once in its own transaction') FROM audit_list ORDER BY audit_id DESC LIMIT 1;
ROLLBACK;
SELECT is(pg_temp.logged(), 'nothing', 'gone with it');
DO $$ BEGIN PERFORM deploy_model_version('m', 'none'); EXCEPTION WHEN undefined_object THEN NULL; END $$;
SELECT is(pg_temp.logged(), 'nothing', 'what is refused leaves nothing');
SELECT pg_temp.leaves($$SELECT archive_model_version('m', v) FROM unnest('{2,3}'::text[]) v$$, 'archive 2, archive 3');

-- Append-only, for the owner and superusers too.
SELECT pg_temp.refused('55000', 'audit_log is append-only.*UPDATE was refused', 'UPDATE model_mgr.audit_log SET user_name = ''nobody''');
SELECT pg_temp.refused('55000', 'DELETE was refused', 'DELETE FROM model_mgr.audit_log');
SELECT pg_temp.refused('55000', 'DELETE was refused', 'DELETE FROM model_mgr.audit_log WHERE false');
SELECT pg_temp.refused('55000', 'TRUNCATE was refused', 'TRUNCATE model_mgr.audit_log');
INSERT INTO audit_log (logged_at, operation, user_name, caller, txn) VALUES (now(), 'note', 'u', 'c', 1);
SELECT is(pg_temp.logged(), 'note', 'appending is what it is for');
SELECT hasnt_column('model_mgr', 'audit_log', 'sealed', 'nothing that would have to be changed later stands in the row');

SELECT * FROM finish();
REVOKE ALL ON FUNCTION model_mgr.set_model FROM audit_clerk;
REVOKE ALL ON SCHEMA model_mgr FROM audit_clerk;
DROP ROLE audit_clerk;
