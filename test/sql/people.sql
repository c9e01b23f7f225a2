-- For people: the settings, whoami(), help(). settings_environment has the script that sets them.
\i test/fresh.psql
SET search_path = model_mgr, public, tap;
SET client_min_messages = warning;
SELECT plan(23);

-- settings
SELECT is((SELECT count(*) FROM settings), (SELECT count(*) FROM pg_settings WHERE name LIKE 'model_mgr.%'), 'all settings of the extension');
SELECT is_empty($$SELECT name FROM settings WHERE value IS NULL OR default_value IS NULL OR coalesce(description, '') = ''$$, 'each with its value, default and description');
SELECT is((SELECT concat_ws(' ', value, unit, default_value, environment_variable) FROM settings WHERE name = 'model_mgr.retention_days'), '90 d 90 MODEL_RETENTION_DAYS', 'days');
SELECT is((SELECT concat_ws(' ', value, unit, default_value, environment_variable) FROM settings WHERE name = 'model_mgr.update_validation_timeout'), '300 s 300 UPDATE_VALIDATION_TIMEOUT', 'seconds');
SET model_mgr.perf_monitor_interval_seconds = 30;
SELECT is((SELECT value FROM settings WHERE name = 'model_mgr.perf_monitor_interval_seconds'), '30', 'this session''s value');
RESET model_mgr.perf_monitor_interval_seconds;
SELECT results_eq($$SELECT environment_variable FROM settings WHERE name ~ 'perf_monitor' ORDER BY 1$$,
    $$VALUES ('PERF_MONITOR_ANOMALY_SENSITIVITY'), ('PERF_MONITOR_INTERVAL_SECONDS'), ('PERF_MONITOR_RETENTION_HOURS')$$, 'variables');

-- whoami()
SELECT setup_roles('regress_people_admin', 'regress_people_operator', 'regress_people_app', 'regress_people_reader');
CREATE ROLE regress_people LOGIN IN ROLE regress_people_operator;
CREATE ROLE regress_program LOGIN IN ROLE regress_people_app;
CREATE ROLE regress_onlooker LOGIN IN ROLE regress_people_reader;
GRANT USAGE ON SCHEMA tap TO PUBLIC;
SELECT is((SELECT string_agg(what, ', ') FROM whoami()), 'login, role, member of, may, models, database, version, last tick, clock', 'what whoami() tells');
SELECT is((SELECT value FROM whoami() WHERE what = 'last tick') ~ '^none yet', true, 'no tick yet');
SELECT count(*) > 0 FROM tick();
SELECT is((SELECT value FROM whoami() WHERE what = 'last tick') ~ '^\d+ s ago$', true, 'then one');
SET SESSION AUTHORIZATION regress_people;
SELECT tap.is((SELECT string_agg(value, '; ') FROM model_mgr.whoami() WHERE what IN ('login', 'role', 'member of', 'may', 'models')),
    'regress_people; regress_people; regress_people_operator; look, route and record, deploy, roll back and tick; all', 'an operator');
SET ROLE regress_people_operator;
SELECT tap.is((SELECT string_agg(value, '; ') FROM model_mgr.whoami() WHERE what IN ('login', 'role', 'member of')), 'regress_people; regress_people_operator; no role', 'who has taken another role');
SET SESSION AUTHORIZATION regress_program;
SELECT tap.is((SELECT value FROM model_mgr.whoami() WHERE what = 'may'), 'route and record', 'an application, which may read no relation');
SELECT tap.is((SELECT count(*) > 10 FROM model_mgr.help()), true, 'help() too');
SET SESSION AUTHORIZATION regress_onlooker;
SELECT tap.is((SELECT value FROM model_mgr.whoami() WHERE what = 'may'), 'look', 'a reader records nothing');
RESET SESSION AUTHORIZATION;
SET model_mgr.clock = '2030-01-01';
SELECT is((SELECT value FROM whoami() WHERE what = 'clock') ~ '^held at 2030', true, 'a clock that is held');
RESET model_mgr.clock;

-- help()
SELECT is((SELECT array_agg(name) FROM help()), (SELECT array_agg(topic ORDER BY topic) FROM help_topics()), 'without a word the topics');
SELECT is((SELECT description FROM help('audit') WHERE name = 'seal_audit'), obj_description('model_mgr.seal_audit()'::regprocedure, 'pg_proc'), 'what it says are the comments');
SELECT is((SELECT count(*) FROM help('AUDIT')), (SELECT count(*) FROM help('audit')), 'in any case');
SELECT is('rollback_model' IN (SELECT name FROM help('rollback')), true, 'another word is looked for');
SELECT is((SELECT count(*) FROM help('no such thing')), 0::bigint, 'nothing found, nothing said');
SELECT is_empty($$SELECT topic FROM help_topics() t WHERE NOT EXISTS (SELECT FROM help(t.topic))$$, 'no topic is empty');
-- Every function of the contract is under some topic: what is not is machinery, and named as such.
SELECT is_empty($$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.prorettype <> 'trigger'::regtype
    AND 'internal'::regtype <> p.prorettype AND NOT 'internal'::regtype = ANY (p.proargtypes) AND p.proname !~ '^summary_|_(transition|final)$|^(test_|chart_|work_|rollup_|maintenance_|check_|is_|metric_|default_partition|partition_|evaluation_)'
    AND p.proname NOT IN ('version_order', 'clock_time', 'current_txn', 'own_txn', 'attribution', 'setting_value', 'scheduled_jobs', 'active_metrics', 'recent_activity', 'help_topics', 'add_numbers', 'configuration_problem')
    AND NOT EXISTS (SELECT FROM help_topics() t WHERE p.proname ~ t.pattern)$$, 'every function is under a topic');
SELECT is_empty($$SELECT p.proname, count(*) FROM pg_proc p JOIN help_topics() t ON p.proname ~ t.pattern WHERE p.pronamespace = 'model_mgr'::regnamespace
    GROUP BY 1 HAVING count(*) > 1$$, 'and under one only');

SELECT * FROM finish();
REVOKE USAGE ON SCHEMA tap FROM PUBLIC;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_people, regress_program, regress_onlooker, regress_people_admin, regress_people_operator, regress_people_app, regress_people_reader;
