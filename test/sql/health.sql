-- health_check(): each check is well in a healthy installation, says what is not when something is not, with numbers and
-- the next step, and is well again when that has been taken.
\i test/fresh.psql
\c
SET TimeZone = 'UTC';
SET search_path = public, tap;
-- The first statement of a session finds the settings before it has used the library.
SELECT check_name, ok, detail FROM model_mgr.health_check() WHERE check_name IN ('clock', 'enforcement');
\i test/rollout.psql
\i test/midnight.psql
RESET model_mgr.enforcement;
SELECT no_plan();

-- check: "ok" or "BAD: detail", with the hint only when bad. Sizes differ between servers.
CREATE FUNCTION pg_temp.health(wanted text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN ok THEN 'ok: ' ELSE 'BAD: ' END || regexp_replace(detail, '\d+ (bytes|kB|MB)', 'N kB') || CASE WHEN ok <> (hint IS NULL) THEN ' and a wrong hint' ELSE '' END
    FROM model_mgr.health_check() WHERE check_name = wanted $$;
CREATE FUNCTION pg_temp.day(n integer) RETURNS text LANGUAGE sql AS $$ SELECT to_char(date_trunc('day', now()) + make_interval(days => n), 'YYYY-MM-DD') $$;

SELECT is_empty('SELECT * FROM model_mgr.health_check() WHERE ok IS NOT TRUE OR hint IS NOT NULL OR detail IS NULL', 'a fresh installation is well, and nothing is advised');
SELECT check_name FROM model_mgr.health_check();
SELECT is((SELECT count(*) - count(DISTINCT check_name) FROM model_mgr.health_check()), 0::bigint, 'each check once');

-- Library and SQL objects of different versions.
SELECT is(pg_temp.health('version'), format('ok: library %1$s, SQL objects %1$s', model_mgr.model_mgr_version()), 'versions agree');
BEGIN;
UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'model_mgr';
SELECT is(pg_temp.health('version'), format('BAD: library %s, SQL objects 0.0.9', model_mgr.model_mgr_version()), 'versions differ');
ROLLBACK;
-- A session that has worked with objects of its library's version notices that they were brought up to another, functions and all.
SELECT lives_ok('SELECT model_mgr.delete_model(''x'')', 'versions agree: writes');
BEGIN;
UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'model_mgr';
CREATE FUNCTION model_mgr.of_99() RETURNS void LANGUAGE sql AS 'SELECT';
SELECT throws_ok('SELECT model_mgr.delete_model(''x'')', '55000', format('model_mgr is of version 99.0 here, its library of version %s', model_mgr.model_mgr_version()), 'versions differ: does not');
SELECT is(model_mgr.route_version('x', 'u'), NULL, 'but routes');
ROLLBACK;
SELECT lives_ok('SELECT model_mgr.delete_model(''x'')', 'nor has anything changed');

-- Settings that belong into tests and repairs only.
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT is(pg_temp.health('clock'), 'BAD: model_mgr.clock holds time at 2026-01-01 00:00:00+00', 'a held clock');
RESET model_mgr.clock;
SELECT is(pg_temp.health('clock'), 'ok: real time', 'the clock runs');
SET model_mgr.enforcement = off;
SELECT is(pg_temp.health('enforcement'), 'BAD: recordings judge nothing: a bad version stays until a tick sees it', 'enforcement is off');
RESET model_mgr.enforcement;
-- Nobody ticks: well while nothing waits for it. pg_cron is not in this database.
SELECT is(pg_temp.health('tick'), 'ok: no tick yet; nothing waits for one', 'nothing to do, no tick');
SELECT matches(pg_temp.health('scheduler'), '^ok: pg_cron [a-z0-9_", ]+$', 'and no need for a job');
SELECT pg_temp.make_model('t', '1', '2');
SELECT count(model_mgr.deploy_model_version('t', v)) FROM unnest('{1,2}'::text[]) v;
SELECT is(pg_temp.health('tick'), 'ok: no tick yet; waiting for one: open rollouts: 1', 'a rollout has just been opened');
UPDATE model_mgr.rollup_state SET installed_at = installed_at - interval '6 minutes';
SELECT is(pg_temp.health('tick'), 'BAD: no tick yet; waiting for one: open rollouts: 1', 'a rollout waits, and nobody has ever ticked');
SELECT matches(pg_temp.health('scheduler'), '^BAD: pg_cron [a-z0-9_", ]+, and nothing else ticks$', 'nor will');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT matches(pg_temp.health('tick'), '^ok: last tick \d s ago; waiting for one: open rollouts: 1$', 'a tick');
UPDATE model_mgr.deployment SET rollout = rollout - 'steps' WHERE model_name = 't' AND version = '2';
SET client_min_messages = error;
SELECT items FROM model_mgr.tick() WHERE task = 'failures';
RESET client_min_messages;
SELECT matches(pg_temp.health('tick'), '^BAD: last tick \d s ago, failures in it: 1; ', 'a tick that failed at something');
UPDATE model_mgr.deployment SET rollout = rollout || '{"steps": [10, 100]}' WHERE model_name = 't' AND version = '2';
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT matches(pg_temp.health('scheduler'), '^ok: pg_cron [a-z0-9_", ]+; something else ticks$', 'from somewhere');
UPDATE model_mgr.tick_state SET last_finished_at = last_finished_at - interval '301 s';
SELECT matches(pg_temp.health('tick'), '^BAD: last tick 30\d s ago; waiting for one: open rollouts: 1$', 'late');
SELECT model_mgr.abort_deployment(model_mgr.open_deployment('t')) IS NOT NULL;
SELECT matches(pg_temp.health('tick'), '^ok: last tick 30\d s ago; nothing waits for one$', 'nothing waits any more');
INSERT INTO model_mgr.observation (version_id) VALUES (1);
SELECT matches(pg_temp.health('tick'), '^BAD: last tick 30\d s ago; waiting for one: new observations$', 'an observation does');
TRUNCATE model_mgr.observation;
UPDATE model_mgr.rollup_state SET installed_at = clock_timestamp(), folded_at = NULL;
UPDATE model_mgr.tick_state SET last_started_at = NULL, last_finished_at = NULL;

-- Observations that nobody folds.
SET model_mgr.enforcement = off;
SELECT pg_temp.make_model('m', '1', '2');
INSERT INTO model_mgr.observation (version_id) SELECT 1 FROM generate_series(1, 3);
SELECT is(pg_temp.health('rollups'), 'ok: observations to be folded: 3; none has been folded yet', 'three wait, not for long');
UPDATE model_mgr.rollup_state SET installed_at = installed_at - interval '6 minutes';
SELECT is(pg_temp.health('rollups'), 'BAD: observations to be folded: 3; none has been folded yet', 'three wait for six minutes and have never been folded');
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT matches(pg_temp.health('rollups'), '^ok: observations to be folded: 0; last fold \d s ago$', 'folded');
UPDATE model_mgr.rollup_state SET folded_at = folded_at - interval '1 hour';
SELECT matches(pg_temp.health('rollups'), '^ok: observations to be folded: 0; last fold 360\d s ago$', 'nothing waits: nobody is late');
INSERT INTO model_mgr.observation (version_id) VALUES (1);
SELECT matches(pg_temp.health('rollups'), '^BAD: observations to be folded: 1; last fold 360\d s ago$', 'one waits, for an hour perhaps');
INSERT INTO model_mgr.observation (version_id) SELECT 1 FROM generate_series(1, 100001);
SELECT matches(pg_temp.health('rollups'), '^BAD: observations to be folded: over 100000; last fold 360\d s ago$', 'not counted further than that');
SELECT is(model_mgr.rollup_backlog(1000000), 100002::bigint, 'unless asked to');
TRUNCATE model_mgr.observation;

-- Minutes that are old enough for the hours and not in them.
SELECT is(pg_temp.health('hours') ~ '^ok: ', true, 'nothing is late for the hours');
SELECT date_trunc('minute', now()) AS minute \gset
INSERT INTO model_mgr.observation (version_id, recorded_at) VALUES (1, timestamptz :'minute' - interval '3 hours 30 seconds');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT matches(pg_temp.health('hours'), '^ok: hours hold the minutes up to \d{4}-\d\d-\d\d \d\d:(00|15|30|45) UTC$', 'a tick takes them in');
UPDATE model_mgr.rollup_state SET hours_until = '-infinity';
SELECT is(pg_temp.health('hours'), to_char(timestamptz :'minute' - interval '3 hours 1 minute', '"BAD: minutes since" YYYY-MM-DD HH24:MI "UTC are not in the hours"'), 'one is late');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT matches(pg_temp.health('hours'), '^ok: hours hold the minutes up to ', 'the next tick takes it in');
TRUNCATE model_mgr.observation, model_mgr.rollup_minute, model_mgr.rollup_hour;

-- Partitions: none at first; a week ahead is made, and a day that is missing is named.
SELECT is(pg_temp.health('partitions'), 'ok: no partition yet: the default partitions take everything', 'healthy right after CREATE EXTENSION');
UPDATE model_mgr.rollup_state SET installed_at = installed_at - interval '2 days';
SELECT is(pg_temp.health('partitions'), 'BAD: no partition yet: the default partitions take everything', 'not two days later');
CALL model_mgr.maintain();
SELECT is(pg_temp.health('partitions'), 'ok: there are partitions up to ' || pg_temp.day(7), 'made ahead');
SELECT format('DROP TABLE model_mgr.%I', 'observation_' || to_char(date_trunc('day', now()) + interval '3 days', 'YYYYMMDD')) \gexec
SELECT is(pg_temp.health('partitions'), 'BAD: observation has no partition for ' || pg_temp.day(3), 'one is missing');
SELECT format('DROP TABLE model_mgr.%I', 'metric_sample_' || to_char(date_trunc('day', now()) + interval '4 days', 'YYYYMMDD')) \gexec
SELECT is(pg_temp.health('partitions'), format('BAD: metric_sample has no partition for %s; observation has no partition for %s', pg_temp.day(4), pg_temp.day(3)), 'of each table');
CALL model_mgr.maintain();
SELECT is(pg_temp.health('partitions'), 'ok: there are partitions up to ' || pg_temp.day(7), 'made again');
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Kolkata';
SELECT is(split_part(pg_temp.health('partitions'), ' ', 1), 'ok:', 'whatever way the session writes dates');
RESET DateStyle;
SET TimeZone = 'UTC';

-- Rows of past days in the default partition; partitions past retention.
INSERT INTO model_mgr.observation (recorded_at, version_id) VALUES (date_trunc('day', now()) - interval '3 days' + interval '1 hour', 1);
SELECT is(pg_temp.health('default_partition'), 'BAD: rows of past days since ' || pg_temp.day(-3) || ', N kB', 'a row of a day that is over lies in the default partition');
CALL model_mgr.maintain();
SELECT is(pg_temp.health('default_partition'), 'ok: no rows of past days, N kB', 'moved');
SELECT is(pg_temp.health('retention'), 'ok: no partition is past the retention of 90 days', 'nothing is too old');
SET model_mgr.retention_days = 1;
SELECT is(pg_temp.health('retention'), 'BAD: partitions past the retention of 1 days: 1, N kB in all', 'now one is');
CALL model_mgr.maintain();
SELECT is(pg_temp.health('retention'), 'ok: no partition is past the retention of 1 days', 'dropped');
RESET model_mgr.retention_days;

-- Locks of models: one's own and nobody else's.
SELECT is(pg_temp.health('model_locks'), 'ok: held: 0, none for long', 'no model is locked');
BEGIN;
SELECT model_mgr.set_alias('m', 'champion', '1');
SELECT is(pg_temp.health('model_locks'), 'ok: held: 1, none for long', 'this transaction has just locked one');
SELECT results_eq('SELECT what, granted, pid, prepared, user_name, since FROM model_mgr.model_lock_list',
    $$VALUES ('model "m"', true, pg_backend_pid(), NULL::text, session_user::text COLLATE "default", now())$$, 'and is named');
ROLLBACK;
BEGIN;
SELECT pg_advisory_xact_lock(1, 1), pg_advisory_xact_lock(1), pg_advisory_xact_lock(1835886450::bigint << 32 | 1);
SELECT is_empty('SELECT * FROM model_mgr.model_lock_list', 'others'' advisory locks are not ours');
ROLLBACK;
-- An end that is not committed keeps others from folding: who looks why nothing is folded finds it.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT status FROM model_mgr.create_test('lock-test', 't', 'm', '1', 'm', '1-beside');
SELECT count(model_mgr.stop_test('lock-test', 'left open'));
SELECT ok('the end of an A/B test, which keeps others from folding' = ANY (SELECT what FROM model_mgr.model_lock_list WHERE granted AND pid = pg_backend_pid()), 'so is the end of a test');
ROLLBACK;

-- Callbacks: late, failing, given up, disabled.
SELECT is(pg_temp.health('callbacks'), 'ok: callbacks: 0, calls pending: 0', 'nobody is called');
CREATE FUNCTION public.page(event jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
SELECT model_mgr.add_alert_callback('public.page(jsonb)') AS callback \gset
INSERT INTO model_mgr.callback_delivery (callback_id, event_id, next_attempt_at) SELECT :callback, n, clock_timestamp() - make_interval(mins => 2 * n) FROM generate_series(1, 4) n;
SELECT is(pg_temp.health('callbacks'), 'BAD: calls due for over five minutes: 2', 'two of four calls are late: work() does not run');
UPDATE model_mgr.callback_delivery SET next_attempt_at = clock_timestamp();
SELECT is(pg_temp.health('callbacks'), 'ok: callbacks: 1, calls pending: 4', 'or it is about to');
UPDATE model_mgr.callback_delivery SET attempts = 1, last_error = 'no route to pager' WHERE event_id <= 2;
UPDATE model_mgr.callback_delivery SET attempts = 9, last_error = 'no such page', given_up_at = clock_timestamp() - make_interval(hours => 23 + event_id::integer - 2) WHERE event_id > 2;
SELECT is(pg_temp.health('callbacks'), 'BAD: callback 1, public.page(jsonb), fails: calls pending 2, given up in the last 24 hours 0, last error: no route to pager', 'it fails');
UPDATE model_mgr.callback_delivery SET given_up_at = clock_timestamp() WHERE event_id = 3;
SELECT is(pg_temp.health('callbacks'), 'BAD: callback 1, public.page(jsonb), fails: calls pending 2, given up in the last 24 hours 1, last error: no such page', 'one call is given up');
UPDATE model_mgr.callback_delivery SET delivered_at = clock_timestamp(), given_up_at = NULL;
SELECT is(pg_temp.health('callbacks'), 'ok: callbacks: 1, calls pending: 0', 'all went well in the end');
UPDATE model_mgr.callback SET disabled_at = clock_timestamp(), disabled_reason = 'its role is gone';
SELECT is(pg_temp.health('callbacks'), 'BAD: callback 1, public.page(jsonb), is disabled: its role is gone', 'it is called no more');
SELECT model_mgr.remove_callback(:callback);

-- Metric sources: late, failing, disabled.
SELECT is(pg_temp.health('updates'), 'ok: updates open: 0, schedules: 0', 'no updates');
SELECT is(pg_temp.health('metric_sources'), 'ok: metric sources: 0', 'none');
CREATE VIEW public.regress_refunds AS SELECT now() AS "time", 'm'::text AS model_name, '1'::text AS version, 0.5::float8 AS value;
SELECT model_mgr.add_metric_source('refunds', 'public.regress_refunds');
SELECT is(pg_temp.health('metric_sources'), 'ok: metric sources: 1', 'one, just added');
UPDATE model_mgr.metric_source SET next_read_at = clock_timestamp() - interval '6 minutes';
SELECT is(pg_temp.health('metric_sources'), 'BAD: sources due for over five minutes: 1', 'work() does not read it');
UPDATE model_mgr.metric_source SET failures = 2, last_error = 'division by zero';
SELECT is(pg_temp.health('metric_sources'), 'BAD: metric source "refunds", public.regress_refunds, fails, times in a row 2: division by zero', 'it fails');
UPDATE model_mgr.metric_source SET disabled_at = clock_timestamp(), disabled_reason = 'its role is gone';
SELECT is(pg_temp.health('metric_sources'), 'BAD: metric source "refunds", public.regress_refunds, is disabled: its role is gone', 'it is read no more');
SELECT model_mgr.remove_metric_source('refunds');

-- An alert whose rollback has nowhere to go.
SELECT is(pg_temp.health('alerts'), 'ok: alerts firing: 0, none of them for want of a way back', 'no alert');
SELECT pg_temp.make_model('alone', '1');
SELECT count(model_mgr.deploy_model_version('alone', '1'));
SELECT model_mgr.set_thresholds('alone', jsonb_build_array(model_mgr.performance_threshold('cost', 1, '<', duration_minutes => 0, action => 'rollback', on_no_data => 'breach')));
UPDATE model_mgr.tick_state SET last_finished_at = last_finished_at - interval '301 s';
SELECT matches(pg_temp.health('tick'), 'waiting for one: models with thresholds: 1', 'thresholds wait for the tick');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT matches(pg_temp.health('alerts'), '^BAD: alert \d+ of model "alone": version "1" goes on serving although alert \d+ asks to take it back: ', 'it stays, and that is told');
SELECT matches(pg_temp.health('tick'), 'waiting for one: models with thresholds: 1, open alerts: 2', 'open alerts wait for the tick too');
SELECT model_mgr.set_thresholds('alone', '[]');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is(pg_temp.health('alerts'), 'ok: alerts firing: 0, none of them for want of a way back', 'over');

-- Who may only look looks at all of it.
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader');
SET ROLE regress_model_mgr_reader;
SELECT string_agg(check_name, ' ') AS seen FROM model_mgr.health_check() \gset
RESET ROLE;
SELECT is(:'seen', string_agg(check_name, ' '), 'a reader gets the same checks') FROM model_mgr.health_check();
SELECT * FROM finish();
SET client_min_messages = warning;
DROP FUNCTION public.page(jsonb);
DROP VIEW public.regress_refunds;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
