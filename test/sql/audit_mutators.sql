-- Every VOLATILE function stands in one of two lists: what changes something leaves an entry in the audit log, and here it
-- does; or it is left out, for the reason given.
\i test/fresh.psql
SET search_path = model_mgr, public, tap;
SET client_min_messages = warning;
CREATE TEMP TABLE left_out (function_name text, reason text);
INSERT INTO left_out VALUES
    ('update_model_metrics', 'a recording is its own record'), ('record_outcome', 'a recording'), ('record_outcomes', 'a recording'),
    ('record_feedback', 'a recording'), ('record_performance', 'a recording'), ('record_result', 'a recording'), ('record_results', 'a recording'),
    ('route', 'reads; VOLATILE since each decision has a number of its own'), ('should_route_to_treatment', 'draws'), ('assigned_variant', 'draws'),
    ('analyze_test', 'a look, kept with the test'), ('promote_winner', 'deploys, which logs itself as deploy'),
    ('evaluation_due', 'a condition; what it leads to is logged by who does it'),
    ('tick', 'drives; each step, rollback and completion is logged by itself'), ('work', 'drives'), ('run', 'drives'), ('maintain', 'drives'),
    ('work_tasks', 'lists'), ('work_begin', 'drives; disabling is logged'), ('work_run', 'drives'), ('work_interrupted', 'drives'),
    ('maintenance_tasks', 'lists'), ('maintenance_run', 'keeps house; pruning the log is logged'),
    ('wait_for_deployment', 'drives'), ('wait_for_update', 'drives'), ('wait_for_test', 'drives'),
    ('seal_audit', 'its seals are its record; an entry of its own would never be sealed by it'),
    ('backup_registry', 'logs itself as backup; 060_backup tests it: it writes a file'),
    ('start', 'changes pg_cron only, whose tables say by whom'), ('stop', 'as start');

CREATE TABLE public.complaint ("time" timestamptz, model_name text, version text, value float8);
CREATE FUNCTION public.called(event jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION public.checked(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, 'fine', '{}'::jsonb $$;
-- In order; each is run in a transaction of its own. $1 is the open deployment, $2 the alert, $3 the last callback, $4 the last update, $5 the last schedule.
CREATE TEMP TABLE mutator (n integer GENERATED ALWAYS AS IDENTITY, call text, operation text);
INSERT INTO mutator (call, operation) VALUES
    ($$create_model_version('m', '1', '{"provider": "p", "model_name": "x"}')$$, 'create'),
    ($$create_model_version('m', '2', '{"provider": "p", "model_name": "x"}')$$, 'create'),
    ($$create_model_version('m', '3', '{"provider": "p", "model_name": "x"}')$$, 'create'),
    ($$set_alias('m', 'a', '1')$$, 'set_alias'), ($$delete_alias('m', 'a')$$, 'delete_alias'), ($$tag_model_version('m', '1', '{t}')$$, 'tag'),
    ($$update_model_version('m', '1', 'd')$$, 'update'), ($$mark_version_ready('m', '3')$$, 'ready'), ($$archive_model_version('m', '3')$$, 'archive'),
    ($$delete_model_version('m', '3')$$, 'delete'), ($$set_model('m', 'd')$$, 'set_model'), ($$setup_roles('regress_mutator', 'regress_mutator', 'regress_mutator', 'regress_mutator')$$, 'setup_roles'),
    ($$require_approvals('m', 1)$$, 'require_approvals'), ($$require_approvals('m', 0)$$, 'require_approvals'), ($$grant_model('m', 'regress_mutator')$$, 'grant_model'),
    ($$deploy_model_version('m', '1')$$, 'deploy'),
    ($$deploy_model_version('m', '2', rollout => '{"approval": "each_step", "min_requests": 1, "step_seconds": 1}')$$, 'deploy'),
    ($$approve_step($1)$$, 'approve_step'), ($$pause_deployment($1)$$, 'pause'), ($$resume_deployment($1)$$, 'resume'), ($$adjust_deployment($1, '{"bake_seconds": 30, "approval": "none"}')$$, 'adjust'),
    ($$freeze('m', now())$$, 'freeze'), ($$promote_deployment($1)$$, 'promote'), ($$abort_deployment($1)$$, 'abort'),
    ($$deploy_model_version('m', '2', 'replace')$$, 'deploy'), ($$rollback_model('m')$$, 'rollback'),
    ($$pin_unit('m', 'u', '1')$$, 'pin_unit'), ($$unpin_unit('m', 'u')$$, 'unpin_unit'), ($$set_segment('m', 's', '{"a": 1}', '1')$$, 'set_segment'), ($$drop_segment('m', 's')$$, 'drop_segment'),
    ($$set_thresholds('m', '[{"metric_name": "error_rate", "threshold_value": 0.1, "operator": "greater_than", "duration_minutes": 0}]')$$, 'set_thresholds'),
    ($$acknowledge_alert($2)$$, 'acknowledge_alert'), ($$silence('m', now() + interval '1 hour')$$, 'silence'),
    ($$add_alert_callback('public.called(jsonb)')$$, 'add_alert_callback'), ($$remove_callback($3)$$, 'remove_callback'),
    ($$add_rollback_callback('public.called(jsonb)')$$, 'add_rollback_callback'),
    ($$add_metric_source('complaints', 'public.complaint')$$, 'add_metric_source'), ($$remove_metric_source('complaints')$$, 'remove_metric_source'),
    ($$register_validator('v', 'public.checked(jsonb)')$$, 'register_validator'), ($$unregister_validator('v')$$, 'unregister_validator'),
    ($$set_security_policy('{p/x}', 1.0, 'safe')$$, 'set_security_policy'),
    ($$create_test('t', 'a test', 'm', '1', 'm', '2')$$, 'create_test'), ($$stop_test('t')$$, 'stop_test'),
    ($$create_model_version('m', '4', '{"provider": "p", "model_name": "x"}')$$, 'create'), ($$trigger_update('m', '4')$$, 'trigger_update'), ($$cancel_update($4)$$, 'cancel_update'),
    ($$schedule_update('m', 'latest', '@weekly')$$, 'schedule_update'), ($$unschedule_update($5)$$, 'unschedule_update'),
    ($$import_registry(jsonb_set(export_registry('m'), '{models,0,model_name}', '"copy"'))$$, 'import'),
    ($$create_model_version('gone', '1', '{"provider": "p", "model_name": "x"}')$$, 'create'), ($$delete_model('gone')$$, 'delete_model'),
    ($$log_operation('note')$$, 'note'), ($$prune_audit('infinity')$$, 'prune_audit');
-- Approving is another person's.
INSERT INTO left_out VALUES ('approve_model_version', 'approvals tests it: it takes another login');
DELETE FROM mutator WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.proname = split_part(call, '(', 1));
SELECT plan((SELECT count(*)::integer + 2 FROM mutator));
SELECT is_empty($$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.provolatile = 'v' AND p.prorettype <> 'trigger'::regtype
    AND p.proname NOT IN (SELECT split_part(call, '(', 1) FROM mutator UNION ALL SELECT function_name FROM left_out)$$, 'every VOLATILE function is in a list');
SELECT is_empty($$SELECT function_name FROM left_out WHERE function_name IN (SELECT split_part(call, '(', 1) FROM mutator) OR reason = ''$$, 'and in one only');

CREATE FUNCTION pg_temp.logs(call text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT coalesce(max(audit_id), 0) FROM model_mgr.audit_log);
    statement text := call;
    found text;
BEGIN
    IF call ~ '^acknowledge_alert' THEN
        PERFORM model_mgr.update_model_metrics('m', '1', error_type => 'x', success => false) FROM generate_series(1, 20);
        PERFORM model_mgr.tick();
    ELSIF call ~ '^prune_audit' THEN
        PERFORM model_mgr.seal_audit();
    END IF;
    statement := replace(statement, '$1', coalesce((SELECT max(deployment_id)::text FROM model_mgr.deployment WHERE status IN ('running', 'paused', 'awaiting_approval', 'promoting')), 'NULL'));
    statement := replace(statement, '$2', coalesce((SELECT max(alert_id)::text FROM model_mgr.alert), 'NULL'));
    statement := replace(statement, '$3', coalesce((SELECT max(callback_id)::text FROM model_mgr.callback), 'NULL'));
    statement := replace(statement, '$4', coalesce((SELECT quote_literal(update_id) FROM model_mgr.list_updates() ORDER BY created_at DESC LIMIT 1), 'NULL'));
    statement := replace(statement, '$5', coalesce((SELECT quote_literal(schedule_id) FROM model_mgr.list_schedules() LIMIT 1), 'NULL'));
    EXECUTE 'SELECT model_mgr.' || statement;
    SELECT string_agg(operation, ', ' ORDER BY audit_id) INTO found FROM model_mgr.audit_log WHERE audit_id > before AND operation = wanted;
    RETURN tap.ok(found = wanted, call || ' logs ' || wanted);
EXCEPTION WHEN OTHERS THEN
    RETURN tap.ok(false, call || ': ' || SQLERRM);
END $$;
SELECT format('SELECT pg_temp.logs(%L, %L);', call, operation) FROM mutator ORDER BY n \gexec
SELECT * FROM finish();
DROP TABLE public.complaint;
DROP FUNCTION public.called(jsonb), public.checked(jsonb);
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_mutator;
