-- Schedules: cron expressions and time zones, what a run does, times that nobody ticked at, and the weekly canary with two rules.
\i test/fresh.psql
\i test/refused.psql
\i test/rollout.psql
SET client_min_messages = warning;
SET search_path = public, tap;
SELECT no_plan();
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
CREATE FUNCTION pg_temp.next(id text) RETURNS timestamptz LANGUAGE sql AS $$ SELECT next_run_at FROM model_mgr.list_schedules() WHERE schedule_id = id $$;
CREATE FUNCTION pg_temp.upd(id text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s<-%s', u.status, coalesce(u.version, '-'), coalesce(u.previous_version, '-')) FROM model_mgr.get_update_status(id) u $$;

-- Weekly, a canary with two rules, of which one only warns.
SELECT pg_temp.make_model('telemetry-classifier', '1.0.0', '1.1.0') \gset
SELECT model_mgr.deploy_model_version('telemetry-classifier', '1.0.0') \gset
SELECT is(model_mgr.schedule_update(model_name => 'telemetry-classifier', target_version => 'latest', cron_expression => '0 0 * * 0', deployment_strategy => 'canary',
    validation_rules => jsonb_build_array(
        model_mgr.validation_rule('Configuration Validation', 'Validate model configuration parameters', 'validate_model_configuration', 'error', true),
        model_mgr.validation_rule('Performance Baseline Check', 'Ensure new model meets performance baseline', 'validate_performance_baseline', 'warning', false))), 'sch-1', 'ids are sch-N');
SELECT results_eq($$SELECT schedule_id, model_name, target_version, cron_expression, timezone, deployment_strategy, jsonb_array_length(validation_rules), allow_prerelease, next_run_at, last_run_at, last_update_id, created_by, created_at FROM model_mgr.list_schedules()$$,
    $$VALUES ('sch-1', 'telemetry-classifier', 'latest', '0 0 * * 0', 'UTC', 'canary', 2, false, '2026-03-08 00:00:00+00'::timestamptz, NULL::timestamptz, NULL::text, session_user::text COLLATE "default", '2026-03-01 12:00:00+00'::timestamptz)$$, 'the next Sunday');
SELECT pg_temp.at('2026-03-07 23:59:59+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT count(*) FROM model_mgr.list_updates()), 0::bigint, 'not a second before');
SELECT pg_temp.at('2026-03-08 00:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT results_eq($$SELECT u.update_id, u.schedule_id, u.trigger, u.status, u.version, u.triggered_by, s.last_run_at, s.last_update_id, s.next_run_at
    FROM model_mgr.list_updates() u JOIN model_mgr.schedule s USING (schedule_id)$$,
    $$VALUES ('upd-1', 'sch-1', 'scheduled', 'validating', '1.1.0', session_user::text COLLATE "default", '2026-03-08 00:00:00+00'::timestamptz, 'upd-1', '2026-03-15 00:00:00+00'::timestamptz)$$, 'on Sunday it begins');
CALL model_mgr.work();
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-1'), 'deploying 1.1.0<-1.0.0', 'a rule that warns does not stop it');
SELECT results_eq($$SELECT u.validation_passed, r ->> 'name', r -> 'passed', r ->> 'severity' FROM model_mgr.get_update_status('upd-1') u, jsonb_array_elements(u.validation_results) r$$,
    $$VALUES (true, 'Configuration Validation', 'true'::jsonb, 'error'), (true, 'Performance Baseline Check', 'false', 'warning')$$, 'and both say what they found');
-- Next week the canary still runs: the update that is open is the run of then, too. A version that was taken back is never brought again.
SELECT pg_temp.at('2026-03-15 00:30:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT results_eq($$SELECT count(*), min(s.last_update_id), min(s.last_run_at) FROM model_mgr.list_updates() u, model_mgr.schedule s$$,
    $$VALUES (1::bigint, 'upd-1', '2026-03-15 00:30:00+00'::timestamptz)$$, 'one at a time');
SELECT model_mgr.rollback_model('telemetry-classifier', reason => 'bad') \gset
SELECT is(pg_temp.upd('upd-1'), 'rolled_back 1.1.0<-1.0.0', 'taken back');
-- Three weeks without a tick are one run.
SELECT pg_temp.at('2026-04-08 10:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT string_agg(update_id || ' ' || status, ', ' ORDER BY update_id) FROM model_mgr.list_updates()), 'upd-1 rolled_back, upd-2 skipped', 'skipped: only what was taken back is newer');
SELECT is(pg_temp.next('sch-1'), '2026-04-12 00:00:00+00', 'and the next time is one to come');
SELECT pg_temp.make_model('telemetry-classifier', '1.2.0', '2.0.0-beta') \gset
SELECT pg_temp.at('2026-04-12 00:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is(pg_temp.upd('upd-3'), 'validating 1.2.0<-1.0.0', 'a new version is brought, a pre-release is not');
SELECT model_mgr.cancel_update('upd-3') \gset
-- The same again is the same; other words are another schedule.
SELECT is(model_mgr.schedule_update('telemetry-classifier', 'latest', '0 0 * * 0', 'canary', (SELECT validation_rules FROM model_mgr.schedule)), 'sch-1', 'declared again');
SELECT is(model_mgr.schedule_update('telemetry-classifier', 'latest', '0 0 * * 0', allow_prerelease => true), 'sch-2', 'another one');
SELECT is(model_mgr.schedule_update('telemetry-classifier', '1.1.0', '@daily'), 'sch-3', 'of a version by name');
SELECT is(model_mgr.unschedule_update('sch-1'), true, 'removed');
SELECT is(model_mgr.unschedule_update('sch-1'), false, 'once');
SELECT pg_temp.at('2026-04-13 00:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT status_reason FROM model_mgr.list_updates() WHERE schedule_id = 'sch-3'), 'version 1.1.0 is rolled_back, and a schedule does not bring it back', 'nor is it brought back by name');
SELECT pg_temp.at('2026-04-19 00:00:00+00') \gset
SELECT model_mgr.tick() \g /dev/null
SELECT is((SELECT version FROM model_mgr.list_updates() WHERE schedule_id = 'sch-2'), '2.0.0-beta', 'a pre-release where they are allowed');
SELECT is((SELECT value FROM model_mgr.get_automation_statistics() WHERE metric_name = 'schedules'), 2::float8, 'counted');
SELECT is((SELECT string_agg(operation, ' ' ORDER BY audit_id) FROM model_mgr.audit_log WHERE details ->> 'schedule_id' = 'sch-1'),
    'schedule_update trigger_update start_update deploy_update end_update trigger_update end_update trigger_update start_update cancel_update unschedule_update', 'and all of it is in the audit log');

-- Time zones: clocks put forward and back, and zones without.
SELECT pg_temp.at('2026-03-28 12:00:00+00') \gset
SELECT pg_temp.make_model('z', '1') \gset
CREATE FUNCTION pg_temp.fires(expression text, zone text, after timestamptz, n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text[]; at timestamptz := after; id text;
BEGIN
    FOR i IN 1..n LOOP
        PERFORM set_config('model_mgr.clock', at::text, true);
        id := model_mgr.schedule_update('z', 'latest', expression, timezone => zone);
        at := pg_temp.next(id);
        PERFORM model_mgr.unschedule_update(id);
        said := said || to_char(at AT TIME ZONE 'UTC', 'DD.MM. HH24:MI');
    END LOOP;
    RETURN array_to_string(said, ', ');
END $$;
SELECT is(pg_temp.fires('30 2 * * *', 'Europe/Berlin', '2026-03-27 12:00:00+00', 4), '28.03. 01:30, 29.03. 01:00, 30.03. 00:30, 31.03. 00:30', 'a time that the clocks leave out is the end of the gap');
SELECT is(pg_temp.fires('30 2 * * *', 'Europe/Berlin', '2026-10-24 12:00:00+00', 3), '25.10. 00:30, 26.10. 01:30, 27.10. 01:30', 'one that comes twice counts once');
SELECT is(pg_temp.fires('0 * * * *', 'Europe/Berlin', '2026-10-24 23:30:00+00', 4), '25.10. 00:00, 25.10. 01:00, 25.10. 02:00, 25.10. 03:00', 'hourly is hourly');
SELECT is(pg_temp.fires('0 9 1 * *', 'America/New_York', '2026-02-15 00:00:00+00', 2), '01.03. 14:00, 01.04. 13:00', 'nine o''clock is nine o''clock');
SELECT is(pg_temp.fires('0 0 29 2 *', 'Asia/Kolkata', '2026-02-15 00:00:00+00', 2), '28.02. 18:30, 28.02. 18:30', 'leap days');
SELECT is(pg_temp.fires('*/15 * * * *', 'Australia/Lord_Howe', '2026-04-04 14:40:00+00', 3), '04.04. 14:45, 04.04. 15:00, 04.04. 15:15', 'half an hour of summer time');
SELECT model_mgr.schedule_update('z', 'latest', '@yearly', timezone => 'europe/berlin') AS id \gset
SELECT is((SELECT timezone FROM model_mgr.schedule WHERE schedule_id = :'id'), 'Europe/Berlin', 'as the server writes it');

-- What is refused.
SELECT pg_temp.at('2026-03-01 12:00:00+00') \gset
SELECT pg_temp.refused('22023', says, format('SELECT model_mgr.schedule_update(''z'', ''latest'', %L)', expression)) FROM (VALUES
    ('', 'not five fields'), ('* * * *', 'not five fields'), ('* * * * * *', 'not five fields'), ('@reboot', 'not five fields'), ('@every 5m', 'not five fields'),
    ('60 * * * *', 'minute is outside 0 to 59'), ('* 24 * * *', 'hour is outside 0 to 23'), ('* * 32 * *', 'day of the month is outside 1 to 31'), ('* * * 13 *', 'month is outside 1 to 12'),
    ('* * * * 8', 'day of the week is outside 0 to 7'), ('5-1 * * * *', 'ends before it begins'), ('*/0 * * * *', 'step of the minute'), ('a * * * *', 'minute is no star'),
    ('0 0 30 2 *', 'would never fire'), ('0 0 31 4,6 *', 'would never fire'), (E'* * * * *; DROP TABLE x', 'day of the week is no star'), (repeat('1,', 5000) || '1 * * * 9', 'outside')) x (expression, says);
SELECT pg_temp.refused('22023', 'time zone "Mars/Olympus" does not exist', $$SELECT model_mgr.schedule_update('z', 'latest', '@daily', timezone => 'Mars/Olympus')$$);
SELECT pg_temp.refused('22023', 'time zone', $$SELECT model_mgr.schedule_update('z', 'latest', '@daily', timezone => repeat('x', 10000))$$);
SELECT pg_temp.refused('22023', 'time zone', $$SELECT model_mgr.schedule_update('z', 'latest', '@daily', timezone => '')$$);
SELECT pg_temp.refused('22004', 'cron_expression', $$SELECT model_mgr.schedule_update('z', 'latest', NULL)$$);
SELECT pg_temp.refused('22004', 'target_version', $$SELECT model_mgr.schedule_update('z', NULL, '@daily')$$);
SELECT pg_temp.refused('42704', 'model "no"', $$SELECT model_mgr.schedule_update('no', 'latest', '@daily')$$);
SELECT pg_temp.refused('42704', 'version "9"', $$SELECT model_mgr.schedule_update('z', '9', '@daily')$$);
SELECT pg_temp.refused('22023', 'unknown strategy', $$SELECT model_mgr.schedule_update('z', 'latest', '@daily', 'bold')$$);
SELECT pg_temp.refused('42704', 'validator "none"', $$SELECT model_mgr.schedule_update('z', 'latest', '@daily', validation_rules => '[{"name": "a", "validator_function": "none"}]')$$);
SELECT pg_temp.refused('22004', 'schedule_id', $$SELECT model_mgr.unschedule_update(NULL)$$);
-- NULL means the default, and the default of the strategy is the setting's of then.
SET model_mgr.default_deployment_strategy = 'blue_green';
SELECT model_mgr.schedule_update('z', 'latest', '@hourly', NULL, NULL, NULL, NULL) AS id \gset
RESET model_mgr.default_deployment_strategy;
SELECT results_eq(format($$SELECT deployment_strategy, validation_rules, allow_prerelease, timezone FROM model_mgr.schedule WHERE schedule_id = %L$$, :'id'), $$VALUES ('blue_green', '[]'::jsonb, false, 'UTC')$$, 'NULL');
SELECT * FROM finish();
DROP EXTENSION model_mgr;
