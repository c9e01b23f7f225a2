-- 75_health: health_check(), what is not well with this installation and what to do about it. Runs as the caller, on a
-- standby too. Costs a look at catalogues, a few single-row tables and at most 100,000 pending rows, however many models.

CREATE FUNCTION model_mgr.setting_value(name text) RETURNS text
AS 'MODULE_PATHNAME', 'mm_setting_value' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.setting_value(text) IS
'The session''s value of a setting of the extension, its name without model_mgr.; NULL for an unknown one. Unlike current_setting() it knows them from a session''s first statement on.';

CREATE FUNCTION model_mgr.scheduled_jobs()
RETURNS TABLE (job_name text, task text, schedule text, user_name text, active boolean, last_status text, last_message text, last_started_at timestamptz)
AS 'MODULE_PATHNAME', 'mm_scheduled_jobs' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 3;
COMMENT ON FUNCTION model_mgr.scheduled_jobs() IS
'The pg_cron jobs of start() for this database, whoever made them, with how their last run went; no row without pg_cron here or where the extension''s owner may not see its jobs.';

-- A function, so that its own settings hold: the planner must not read the table whole while statistics are missing.
CREATE FUNCTION model_mgr.rollup_backlog(max_rows bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
    SELECT count(*) FROM (SELECT FROM model_mgr.observation_pending LIMIT $1) w;
END;
COMMENT ON FUNCTION model_mgr.rollup_backlog(bigint) IS 'How many committed observations wait to be folded; counts no further than max_rows.';

-- Bounds are texts in the catalogue; the function's own settings make them readable whatever the session's are.
CREATE FUNCTION model_mgr.partition_ranges()
RETURNS TABLE (table_name text, partition_name text, since timestamptz, until timestamptz, is_default boolean, bytes bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET TimeZone = 'UTC'
BEGIN ATOMIC
    SELECT i.inhparent::regclass::text, c.relname::text,
           pg_catalog.substring(b.bound, 'FROM \(''([^'']+)''\)')::timestamptz,
           pg_catalog.substring(b.bound, 'TO \(''([^'']+)''\)')::timestamptz,
           b.bound = 'DEFAULT', pg_catalog.pg_relation_size(c.oid)
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid,
         LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound) b
    WHERE i.inhparent = ANY ('{model_mgr.observation,model_mgr.metric_sample}'::regclass[]);
END;
COMMENT ON FUNCTION model_mgr.partition_ranges() IS
'The partitions by day: of which table, from since up to (not including) until, NULL for the default partition, and bytes without indexes.';

CREATE FUNCTION model_mgr.default_partition_oldest(before timestamptz) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'mm_default_partition_oldest' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.default_partition_oldest(timestamptz) IS
'The oldest time in the default partition of observation before that one; NULL when there is none. Nobody but the owner reads a partition by itself.';

-- Who holds or wants the lock of a model, the fold (-1), maintenance (-2), the feed of the detectors (-3), the telling of events (-4), the sealing of the audit log (-5) the updates (-6, -7), or ends A/B tests (-8); see
-- mm_lock_model() for the key. Without the
-- right to see others' sessions since is NULL, but for prepared transactions and those who wait.
CREATE VIEW model_mgr.model_lock_list AS
SELECT k.model_id,
       CASE k.model_id WHEN -1 THEN 'the fold of the rollups' WHEN -2 THEN 'maintenance' WHEN -3 THEN 'the feed of the detectors' WHEN -4 THEN 'the telling of events' WHEN -5 THEN 'the sealing of the audit log' WHEN -6 THEN 'the updates' WHEN -7 THEN 'the asking for updates that do not wait'
            WHEN -8 THEN 'the end of an A/B test, which keeps others from folding'
            ELSE (SELECT pg_catalog.format('model "%s"', m.model_name) FROM model_mgr.model m WHERE m.model_id = k.model_id) END AS what,
       k.granted, k.pid, p.gid::text AS prepared,
       coalesce(a.usename::text, p.owner::text) COLLATE "default" AS user_name, a.application_name, a.state,
       CASE WHEN k.granted THEN coalesce(p.prepared, a.xact_start) ELSE k.waitstart END AS since
FROM (SELECT (((l.classid::bigint # 1835886450) << 32) | l.objid::bigint) AS model_id, l.granted, l.pid, l.waitstart, l.virtualtransaction
      FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'userlock' AND l.objsubid = 2 AND l.mode = ANY ('{ExclusiveLock,ShareLock}')
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) k
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = k.pid
LEFT JOIN pg_catalog.pg_locks x ON k.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = k.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE k.model_id = ANY ('{-1,-2,-3,-4,-5,-6,-7,-8}'::bigint[]) OR EXISTS (SELECT FROM model_mgr.model m WHERE m.model_id = k.model_id);
COMMENT ON VIEW model_mgr.model_lock_list IS 'Who holds, or waits for, the lock of a model: whoever changes its state, one at a time.';
COMMENT ON COLUMN model_mgr.model_lock_list.model_id IS 'The model; -1: the fold of the rollups, -2: maintenance, -3: the feed of the detectors, -4: the telling of events, -5: the sealing of the audit log, -6: the updates, -7: the asking for updates that do not wait, -8: the end of an A/B test, which keeps others from folding.';
COMMENT ON COLUMN model_mgr.model_lock_list.what IS 'The same in words.';
COMMENT ON COLUMN model_mgr.model_lock_list.granted IS 'Held; false: waited for.';
COMMENT ON COLUMN model_mgr.model_lock_list.pid IS 'Process; NULL for a prepared transaction.';
COMMENT ON COLUMN model_mgr.model_lock_list.prepared IS 'Name of the prepared transaction that holds it.';
COMMENT ON COLUMN model_mgr.model_lock_list.user_name IS 'Whose session or prepared transaction.';
COMMENT ON COLUMN model_mgr.model_lock_list.application_name IS 'application_name of the session.';
COMMENT ON COLUMN model_mgr.model_lock_list.state IS 'State of the session; NULL when the caller may not see it.';
COMMENT ON COLUMN model_mgr.model_lock_list.since IS 'When the transaction that holds it began, or the waiting; NULL when the caller may not see it.';

CREATE FUNCTION model_mgr.backup_status(OUT files bigint, OUT last_at timestamptz, OUT problem text)
AS 'MODULE_PATHNAME', 'mm_backup_status' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.backup_status() IS
'What lies in model_mgr.backup_directory: how many backups that maintain() made of this database, when the last one was made (NULL: none), and why the directory cannot be read and written (NULL: it can).';

CREATE FUNCTION model_mgr.health_check() RETURNS TABLE (check_name text, ok boolean, detail text, hint text)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 16 SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
    -- Real time throughout, but where days of partitions are meant: those follow the extension's clock as maintain() does.
    WITH moment AS MATERIALIZED (
        SELECT pg_catalog.clock_timestamp() AS real_now, pg_catalog.pg_is_in_recovery() AS standby,
               pg_catalog.date_trunc('day', model_mgr.clock_time(), 'UTC') AS today,
               least(model_mgr.clock_time(), pg_catalog.clock_timestamp()) AS kept_now,
               model_mgr.setting_value('retention_days')::integer * '24:00:00'::interval AS retention),
    rolled AS MATERIALIZED (
        SELECT s.installed_at, s.folded_at, s.hours_until, model_mgr.rollup_backlog(100001) AS waiting
        FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1),
    part AS MATERIALIZED (SELECT * FROM model_mgr.partition_ranges()),

    version_check AS (
        SELECT model_mgr.model_mgr_version() = e.extversion AS ok,
               pg_catalog.format('library %s, SQL objects %s', model_mgr.model_mgr_version(), e.extversion) AS detail,
               'Install the files of one version, run ALTER EXTENSION model_mgr UPDATE, and reconnect the sessions that loaded the old library.' AS hint
        FROM pg_catalog.pg_extension e WHERE e.extname = 'model_mgr'),
    clock_check AS (
        SELECT c.clock = '' AS ok, CASE c.clock WHEN '' THEN 'real time' ELSE 'model_mgr.clock holds time at ' || c.clock END AS detail,
               'Time stands still for this session, and for the tick when the setting is of the database: RESET model_mgr.clock, or ALTER DATABASE ... RESET model_mgr.clock.' AS hint
        FROM (SELECT model_mgr.setting_value('clock') AS clock) c),
    enforcement_check AS (
        SELECT c.enforcement = 'on' AS ok,
               CASE WHEN c.enforcement <> 'on' THEN 'recordings judge nothing: a bad version stays until a tick sees it'
                    WHEN c.prepared > 0 THEN pg_catalog.format('on; not in transaction blocks, since max_prepared_transactions is %s', c.prepared)
                    ELSE 'on: recordings judge rollouts and thresholds at commit' END AS detail,
               'SET model_mgr.enforcement = on, or ALTER DATABASE ... RESET model_mgr.enforcement.' AS hint
        FROM (SELECT model_mgr.setting_value('enforcement') AS enforcement,
                     pg_catalog.current_setting('max_prepared_transactions')::integer AS prepared) c),
    -- What a tick would do; minutes are compared with real time, which they follow unless a test holds the clock.
    due AS MATERIALIZED (
        SELECT r.installed_at, t.last_finished_at, t.last_failures, n.real_now - coalesce(t.last_finished_at, r.installed_at) AS age, o.rollouts, o.updates, o.watched, o.alerts,
               r.waiting > 0 OR o.last_bucket > coalesce(t.last_finished_at, '-infinity'::timestamptz) AS traffic
        FROM moment n, rolled r, model_mgr.tick_state t, LATERAL (
            SELECT (SELECT count(*) FROM model_mgr.deployment d
                    WHERE d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::text[])) AS rollouts,
                   (SELECT count(*) FROM model_mgr.update_run u WHERE u.status = ANY ('{pending,validating}'::text[]))
                   + (SELECT count(*) FROM model_mgr.schedule s WHERE s.next_run_at <= model_mgr.clock_time()) AS updates,
                   (SELECT count(DISTINCT h.model_id) FROM model_mgr.threshold h) AS watched,
                   (SELECT count(*) FROM model_mgr.alert_state a) AS alerts,
                   (SELECT max(m.bucket) FROM model_mgr.rollup_minute m) AS last_bucket) o),
    tick_check AS (
        SELECT d.last_failures = 0 AND (d.age <= '00:05:00' OR waits.what IS NULL) AS ok,
               pg_catalog.format('%s%s; %s', CASE WHEN d.last_finished_at IS NULL THEN 'no tick yet'
                   ELSE pg_catalog.format('last tick %s s ago', extract(epoch FROM d.age)::bigint) END,
                   CASE WHEN d.last_failures > 0 THEN ', failures in it: ' || d.last_failures ELSE '' END,
                   coalesce('waiting for one: ' || waits.what, 'nothing waits for one')) AS detail,
               'SELECT * FROM model_mgr.start() lets pg_cron tick, CALL model_mgr.run(seconds) without it; when something ticks already, call SELECT * FROM model_mgr.tick() by hand: what fails is said in its warnings, as in the server log.' AS hint
        FROM due d, LATERAL (
            SELECT nullif(pg_catalog.concat_ws(', ', 'open rollouts: ' || nullif(d.rollouts, 0), 'updates: ' || nullif(d.updates, 0), 'models with thresholds: ' || nullif(d.watched, 0),
                'open alerts: ' || nullif(d.alerts, 0), CASE WHEN d.traffic THEN 'new observations' END), '') AS what) waits),
    jobs AS MATERIALIZED (SELECT * FROM model_mgr.scheduled_jobs()),
    scheduler_check AS (
        SELECT CASE WHEN j.jobs = 0 THEN t.ok ELSE j.bad IS NULL AND j.missing IS NULL END AS ok,
               CASE WHEN j.jobs > 0 THEN coalesce(nullif(pg_catalog.concat_ws('; ', j.bad, 'no job for ' || j.missing), ''), pg_catalog.format('jobs of pg_cron: %s, none has failed last', j.jobs))
                    WHEN c.installed THEN 'pg_cron is here, but has no jobs of start() that could be seen'
                    WHEN c.home IS NOT NULL THEN pg_catalog.format('pg_cron schedules from database "%s", whose jobs cannot be seen here', c.home)
                    ELSE 'pg_cron is not installed' END
                   || CASE WHEN j.jobs > 0 THEN '' WHEN NOT t.ok THEN ', and nothing else ticks' WHEN t.last_finished_at IS NULL THEN '' ELSE '; something else ticks' END AS detail,
               'SELECT * FROM model_mgr.start() makes the three jobs, again when one is missing or switched off, and says how each fares; without pg_cron CALL model_mgr.run(seconds), or a timer that calls tick(), work() and maintain().' AS hint
        FROM (SELECT t.ok, d.last_finished_at FROM tick_check t, due d) t,
             (SELECT pg_catalog.current_setting('cron.database_name', true) AS home,
                     EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_cron') AS installed) c,
             (SELECT count(*) AS jobs,
                     pg_catalog.string_agg(pg_catalog.format(CASE WHEN NOT j.active THEN '%s of %s is switched off'
                         WHEN j.last_status = 'failed' THEN '%s of %s failed at ' || coalesce(to_char(j.last_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'an unknown time') || ': %s' END,
                         j.task, j.user_name, pg_catalog.left(j.last_message, 200)), '; ' ORDER BY j.task) FILTER (WHERE NOT j.active OR j.last_status = 'failed') AS bad,
                     (SELECT pg_catalog.string_agg(k.task, ', ' ORDER BY k.task) FROM pg_catalog.unnest('{tick,work,maintain}'::text[]) k (task)
                      WHERE NOT EXISTS (SELECT FROM jobs x WHERE x.task = k.task)) AS missing
              FROM jobs j) j),
    rollup_check AS (
        SELECT r.waiting = 0 OR late.age <= '00:05:00' AS ok,
               pg_catalog.format('observations to be folded: %s; %s', CASE WHEN r.waiting > 100000 THEN 'over 100000' ELSE r.waiting::text END,
                   CASE WHEN r.folded_at IS NULL THEN 'none has been folded yet'
                        ELSE pg_catalog.format('last fold %s s ago', extract(epoch FROM late.age)::bigint) END) AS detail,
               'Readers stay right but slow down. SELECT * FROM model_mgr.tick() folds; see the checks tick and model_locks for why nothing did.' AS hint
        FROM rolled r, moment n, LATERAL (SELECT n.real_now - coalesce(r.folded_at, r.installed_at) AS age) late),
    -- Two hours, since the hours follow the minutes a quarter of an hour at a time.
    hour_check AS (
        SELECT c.first IS NULL AS ok,
               CASE WHEN c.first IS NOT NULL THEN pg_catalog.format('minutes since %s UTC are not in the hours', to_char(c.first AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
                    WHEN r.hours_until = '-infinity' THEN 'no minute is old enough for the hours'
                    ELSE pg_catalog.format('hours hold the minutes up to %s UTC', to_char(r.hours_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) END AS detail,
               'Readers stay right but slow down, and minutes are not given up while the hours lack them. SELECT * FROM model_mgr.tick() rolls them up, some hours at a time; read its warnings.' AS hint
        FROM rolled r, LATERAL (SELECT min(m.bucket) AS first FROM model_mgr.rollup_minute m
                                WHERE m.bucket >= r.hours_until AND m.bucket < model_mgr.clock_time() - '02:00:00'::interval) c),
    -- Tomorrow is left out: while the default partition is large, maintain() makes days from the one after on.
    partition_check AS (
        SELECT c.missing IS NULL OR c.none AND n.real_now < r.installed_at + '24:00:00' AS ok,
               CASE WHEN c.none THEN 'no partition yet: the default partitions take everything'
                    WHEN c.missing IS NULL THEN 'there are partitions up to ' || to_char(c.until AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                    ELSE c.missing END AS detail,
               'CALL model_mgr.maintain(), each hour; it makes a week ahead.' AS hint
        FROM rolled r, moment n, LATERAL (
            SELECT NOT EXISTS (SELECT FROM part p WHERE NOT p.is_default) AS none,
                   (SELECT pg_catalog.string_agg(m.what, '; ' ORDER BY m.what)
                    FROM (SELECT pg_catalog.format('%s has no partition for %s', pg_catalog.replace(d.table_name, 'model_mgr.', ''),
                                 pg_catalog.string_agg(to_char(d.day AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ', ' ORDER BY d.day)) AS what
                          FROM (SELECT t.table_name, g.day FROM (SELECT DISTINCT p.table_name FROM part p) t,
                                       pg_catalog.generate_series(n.today + '48:00:00', n.today + '120:00:00', '24:00:00') g (day)) d
                          WHERE NOT EXISTS (SELECT FROM part p WHERE p.table_name = d.table_name AND p.since <= d.day AND p.until >= d.day + '24:00:00')
                          GROUP BY d.table_name) m) AS missing,
                   (SELECT min(u.until) - '24:00:00'::interval FROM (SELECT max(p.until) AS until FROM part p GROUP BY p.table_name) u) AS until) c),
    default_check AS (
        SELECT c.oldest IS NULL OR n.real_now < r.installed_at + '24:00:00' AS ok,
               CASE WHEN c.oldest IS NULL THEN 'no rows of past days' ELSE 'rows of past days since ' || to_char(c.oldest AT TIME ZONE 'UTC', 'YYYY-MM-DD') END
                   || ', ' || pg_catalog.pg_size_pretty(coalesce((SELECT sum(p.bytes) FROM part p WHERE p.is_default AND p.table_name = 'model_mgr.observation'), 0)) AS detail,
               'CALL model_mgr.maintain() moves them into partitions of their days; it waits at most 100 ms for a lock and says in a WARNING what stood in its way.' AS hint
        FROM rolled r, moment n, LATERAL (SELECT model_mgr.default_partition_oldest(pg_catalog.date_trunc('day', n.kept_now - '02:00:00'::interval, 'UTC')) AS oldest) c),
    retention_check AS (
        SELECT c.old = 0 AS ok,
               CASE c.old WHEN 0 THEN pg_catalog.format('no partition is past the retention of %s days', model_mgr.setting_value('retention_days'))
                    ELSE pg_catalog.format('partitions past the retention of %2$s days: %1$s, %3$s in all', c.old,
                        model_mgr.setting_value('retention_days'), pg_catalog.pg_size_pretty(c.bytes)) END AS detail,
               'CALL model_mgr.maintain() drops them; one that holds rows which are not folded, or that somebody reads, is left for the next time, and a WARNING says so.' AS hint
        FROM moment n, LATERAL (
            SELECT count(*) AS old, coalesce(sum(p.bytes), 0) AS bytes FROM part p WHERE p.until < n.kept_now - n.retention - '02:00:00'::interval) c),
    -- A minute is long for a decision about a model; folding and moving rows take their time.
    lock_check AS (
        SELECT c.worst IS NULL AS ok, coalesce(c.worst, pg_catalog.format('held: %s, none for long', c.held)) AS detail, c.hint
        FROM (
            SELECT count(*) FILTER (WHERE l.granted) AS held,
                   pg_catalog.string_agg(CASE WHEN l.bad THEN pg_catalog.format('%s is %s by %s since %s%s', l.what,
                       CASE WHEN l.granted THEN 'held' ELSE 'waited for' END,
                       CASE WHEN l.prepared IS NOT NULL THEN pg_catalog.format('prepared transaction "%s"', l.prepared)
                            ELSE pg_catalog.concat_ws(' ', 'process', l.pid, '(' || pg_catalog.concat_ws(', ', l.user_name, nullif(l.application_name, ''), l.state) || ')') END,
                       coalesce(to_char(l.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'an unknown time'),
                       CASE WHEN l.granted THEN (SELECT nullif(pg_catalog.format(', waiting: %s', count(*)), ', waiting: 0')
                           FROM model_mgr.model_lock_list w WHERE w.model_id = l.model_id AND NOT w.granted) END) END, '; ' ORDER BY l.granted DESC, l.since) AS worst,
                   'Let the transaction end (COMMIT or ROLLBACK PREPARED for a prepared one), or end the session with pg_terminate_backend(pid): until then the tick passes that model over.' AS hint
            FROM (SELECT k.*, k.since < n.real_now - CASE WHEN k.model_id < 0 THEN '00:10:00'::interval WHEN k.granted THEN '00:01:00' ELSE '00:00:10' END AS bad
                  FROM model_mgr.model_lock_list k, moment n) l) c),
    -- Deliveries are timed by the extension's clock.
    callback_check AS (
        SELECT c.bad IS NULL AND w.late = 0 AS ok,
               pg_catalog.concat_ws('; ', c.bad, CASE WHEN w.late > 0 THEN pg_catalog.format('calls due for over five minutes: %s', w.late) END,
                   CASE WHEN c.bad IS NULL AND w.late = 0 THEN pg_catalog.format('callbacks: %s, calls pending: %s', c.callbacks, w.pending) END) AS detail,
               'A disabled callback is taken up by registering it again, a failing one is tried again by itself for 24 hours (callback_list says what it raised); calls that are only late wait for CALL model_mgr.work(), each minute.' AS hint
        FROM (SELECT count(*) AS callbacks,
                     pg_catalog.string_agg(pg_catalog.format('callback %s, %s, %s', b.callback_id, b.signature, CASE
                         WHEN b.disabled_at IS NOT NULL THEN 'is disabled: ' || b.disabled_reason
                         ELSE pg_catalog.format('fails: calls pending %s, given up in the last 24 hours %s, last error: %s', f.pending, f.given_up, pg_catalog.left(f.last_error, 200)) END),
                         '; ' ORDER BY b.callback_id) FILTER (WHERE b.disabled_at IS NOT NULL OR f.pending > 0 OR f.given_up > 0) AS bad
              FROM model_mgr.callback b LEFT JOIN (
                  SELECT d.callback_id, count(*) FILTER (WHERE d.given_up_at IS NULL) AS pending, count(d.given_up_at) AS given_up,
                         (pg_catalog.array_agg(d.last_error ORDER BY d.event_id DESC))[1] AS last_error
                  FROM model_mgr.callback_delivery d
                  WHERE d.last_error IS NOT NULL AND d.delivered_at IS NULL AND (d.given_up_at IS NULL OR d.given_up_at > model_mgr.clock_time() - '24:00:00'::interval)
                  GROUP BY d.callback_id) f ON f.callback_id = b.callback_id) c,
             (SELECT count(*) AS pending,
                     count(*) FILTER (WHERE d.attempts = 0 AND d.next_attempt_at < model_mgr.clock_time() - '00:05:00'::interval) AS late
              FROM model_mgr.callback_delivery d JOIN model_mgr.callback b ON b.callback_id = d.callback_id AND b.disabled_at IS NULL
              WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL) w),
    source_check AS (
        SELECT c.bad IS NULL AND c.late = 0 AS ok,
               pg_catalog.concat_ws('; ', c.bad, CASE WHEN c.late > 0 THEN pg_catalog.format('sources due for over five minutes: %s', c.late) END,
                   CASE WHEN c.bad IS NULL AND c.late = 0 THEN 'metric sources: ' || c.sources END) AS detail,
               'A failing source is read again by itself, a disabled one when add_metric_source() takes it up again (metric_source_list says what is wrong); sources that are only late wait for CALL model_mgr.work(), each minute.' AS hint
        FROM (SELECT count(*) AS sources,
                     count(*) FILTER (WHERE s.disabled_at IS NULL AND s.failures = 0 AND s.next_read_at < model_mgr.clock_time() - '00:05:00'::interval) AS late,
                     pg_catalog.string_agg(pg_catalog.format('metric source "%s", %s, %s', s.metric_name, s.relation_name, CASE
                         WHEN s.disabled_at IS NOT NULL THEN 'is disabled: ' || s.disabled_reason
                         ELSE pg_catalog.format('fails, times in a row %s: %s', s.failures, pg_catalog.left(s.last_error, 200)) END),
                         '; ' ORDER BY s.source_id) FILTER (WHERE s.disabled_at IS NOT NULL OR s.failures > 0) AS bad
              FROM model_mgr.metric_source s) c),
    -- Updates are timed by the extension's clock. One that waits for its turn or a rollout waits rightly.
    update_check AS (
        SELECT c.disabled IS NULL AND c.late = 0 AND c.unjudged = 0 AS ok,
               pg_catalog.concat_ws('; ', c.disabled, CASE WHEN c.late > 0 THEN pg_catalog.format('schedules due for over five minutes: %s', c.late) END,
                   CASE WHEN c.unjudged > 0 THEN pg_catalog.format('rules waiting for work() for over five minutes: %s', c.unjudged) END,
                   CASE WHEN c.disabled IS NULL AND c.late = 0 AND c.unjudged = 0 THEN pg_catalog.format('updates open: %s, schedules: %s', c.open, c.schedules) END) AS detail,
               'Schedules wait for tick(), rules for CALL model_mgr.work(), each minute; a disabled validator is taken up by registering it again (validator_list says why).' AS hint
        FROM (SELECT (SELECT pg_catalog.string_agg(pg_catalog.format('validator "%s", %s, is disabled: %s', v.validator_name, v.signature, v.disabled_reason), '; ' ORDER BY v.validator_id)
                      FROM model_mgr.validator v WHERE v.disabled_at IS NOT NULL) AS disabled,
                     (SELECT count(*) FROM model_mgr.schedule s WHERE s.next_run_at < model_mgr.clock_time() - '00:05:00'::interval) AS late,
                     (SELECT count(*) FROM model_mgr.validation_result r LEFT JOIN model_mgr.update_run u ON u.update_id = r.update_id
                      LEFT JOIN model_mgr.deployment d ON d.deployment_id = r.deployment_id
                      WHERE r.passed IS NULL AND r.due_at < model_mgr.clock_time() - '00:05:00'::interval AND (u.status = 'validating' OR d.status = 'pending')) AS unjudged,
                     (SELECT count(*) FROM model_mgr.update_run u WHERE u.status = ANY ('{pending,validating,deploying}'::text[])) AS open,
                     (SELECT count(*) FROM model_mgr.schedule) AS schedules) c),
    -- How the models fare is get_active_alerts()'s affair; here are those that the extension could not act on.
    alert_check AS (
        SELECT c.stuck IS NULL AS ok,
               coalesce(c.stuck, pg_catalog.format('alerts firing: %s, none of them for want of a way back', c.firing)) AS detail,
               'A model has nothing to go back to, or its way is blocked, and goes on serving: repair it, deploy a good version, or say where to with rollback_model(model_name, target_version).' AS hint
        FROM (SELECT count(*) AS firing,
                     pg_catalog.string_agg(pg_catalog.format('alert %s of model "%s": %s', a.alert_id, a.model_name, a.summary), '; ' ORDER BY a.alert_id)
                         FILTER (WHERE a.kind = 'rollout' AND a.severity = 'critical') AS stuck
              FROM model_mgr.alert a WHERE a.status = 'firing') c),
    -- One writing transaction that stays open, in whatever database, holds back all events behind it.
    transaction_check AS (
        SELECT c.old IS NULL AS ok,
               coalesce(c.old, 'no writing transaction is older than ten minutes')
                   || CASE WHEN c.unseen > 0 THEN pg_catalog.format('; those of others that cannot be seen: %s', c.unseen) ELSE '' END AS detail,
               'Events and callbacks behind it wait until it ends, and so do its own observations: COMMIT or ROLLBACK PREPARED a prepared one, pg_terminate_backend(pid) ends a session; see idle_in_transaction_session_timeout.' AS hint
        FROM (
            SELECT pg_catalog.string_agg(pg_catalog.format('%s writes since %s UTC', t.who, to_char(t.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')), '; ' ORDER BY t.since)
                       FILTER (WHERE t.since < n.real_now - '00:10:00'::interval) AS old,
                   count(*) FILTER (WHERE t.hidden) AS unseen
            FROM moment n LEFT JOIN (
                SELECT pg_catalog.format('process %s (%s)', a.pid, pg_catalog.concat_ws(', ', a.datname, a.usename, nullif(a.application_name, ''), a.state)), a.xact_start,
                       a.xact_start IS NULL AND a.query = '<insufficient privilege>'
                FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
                UNION ALL
                SELECT pg_catalog.format('prepared transaction "%s" (%s, %s)', x.gid, x.database, x.owner), x.prepared, false
                FROM pg_catalog.pg_prepared_xacts x) t (who, since, hidden) ON true) c),
    -- Files are named by the extension's clock; maintain() comes once an hour.
    backup_check AS (
        SELECT CASE WHEN c.enabled <> 'on' THEN true WHEN c.directory = '' THEN c.models = 0
                    WHEN b.problem IS NOT NULL THEN false
                    ELSE coalesce(b.last_at >= model_mgr.clock_time() - c.hours - '02:00:00'::interval, r.installed_at > n.real_now - '02:00:00'::interval) END AS ok,
               CASE WHEN c.enabled <> 'on' THEN 'backup_enabled is off: no backups of the registry are written'
                    WHEN c.directory = '' THEN pg_catalog.format('backup_enabled is on, but there is no backup_directory: no backups are written; models: %s', c.models)
                    WHEN b.problem IS NOT NULL THEN pg_catalog.format('backup_directory "%s" cannot be written to: %s', c.directory, b.problem)
                    WHEN b.last_at IS NULL THEN pg_catalog.format('no backup in "%s" yet', c.directory)
                    ELSE pg_catalog.format('backups in "%s": %s, the last of %s UTC', c.directory, b.files, to_char(b.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) END AS detail,
               CASE WHEN c.directory = '' THEN 'A superuser names a directory: ALTER DATABASE ... SET model_mgr.backup_directory = ''/path''; or set model_mgr.backup_enabled = off, when something else backs the database up.'
                    ELSE 'CALL model_mgr.maintain() writes one when it is due, and says in a WARNING why it could not; the server''s user must be able to write there.' END AS hint
        FROM moment n, rolled r,
             (SELECT model_mgr.setting_value('backup_enabled') AS enabled, model_mgr.setting_value('backup_directory') AS directory,
                     model_mgr.setting_value('backup_interval_hours')::integer * '01:00:00'::interval AS hours,
                     (SELECT count(*) FROM model_mgr.model) AS models) c,
             model_mgr.backup_status() b),
    standby_check AS (
        SELECT c.lag IS NULL OR c.lag <= '00:05:00' AS ok,
               CASE WHEN NOT n.standby THEN 'this server takes writes'
                    WHEN c.lag IS NULL THEN 'hot standby, nothing replayed since it started'
                    ELSE pg_catalog.format('hot standby, %s s behind', extract(epoch FROM c.lag)::bigint) END AS detail,
               'Routing and metrics here are as old as that; it is harmless when the primary writes nothing. See pg_stat_wal_receiver here and pg_stat_replication on the primary.' AS hint
        FROM moment n, LATERAL (
            SELECT CASE WHEN NOT n.standby THEN NULL
                        WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN '00:00:00'::interval
                        ELSE n.real_now - pg_catalog.pg_last_xact_replay_timestamp() END AS lag) c)
    SELECT r.check_name, r.ok, r.detail, CASE WHEN NOT r.ok THEN r.hint END
    FROM moment n, LATERAL (
        SELECT 1 AS n, 'version' AS check_name, c.ok, c.detail, c.hint FROM version_check c
        UNION ALL SELECT 2, 'clock', c.ok, c.detail, c.hint FROM clock_check c
        UNION ALL SELECT 3, 'enforcement', c.ok, c.detail, c.hint FROM enforcement_check c WHERE NOT n.standby
        UNION ALL SELECT 4, 'tick', c.ok, c.detail, c.hint FROM tick_check c
        UNION ALL SELECT 5, 'scheduler', c.ok, c.detail, c.hint FROM scheduler_check c WHERE NOT n.standby
        UNION ALL SELECT 6, 'rollups', c.ok, c.detail, c.hint FROM rollup_check c
        UNION ALL SELECT 7, 'hours', c.ok, c.detail, c.hint FROM hour_check c
        UNION ALL SELECT 8, 'partitions', c.ok, c.detail, c.hint FROM partition_check c
        UNION ALL SELECT 9, 'default_partition', c.ok, c.detail, c.hint FROM default_check c
        UNION ALL SELECT 10, 'retention', c.ok, c.detail, c.hint FROM retention_check c
        UNION ALL SELECT 11, 'model_locks', c.ok, c.detail, c.hint FROM lock_check c WHERE NOT n.standby
        UNION ALL SELECT 12, 'transactions', c.ok, c.detail, c.hint FROM transaction_check c WHERE NOT n.standby
        UNION ALL SELECT 13, 'callbacks', c.ok, c.detail, c.hint FROM callback_check c
        UNION ALL SELECT 14, 'metric_sources', c.ok, c.detail, c.hint FROM source_check c
        UNION ALL SELECT 15, 'updates', c.ok, c.detail, c.hint FROM update_check c
        UNION ALL SELECT 16, 'alerts', c.ok, c.detail, c.hint FROM alert_check c
        UNION ALL SELECT 19, 'backups', c.ok, c.detail, c.hint FROM backup_check c WHERE NOT n.standby
        UNION ALL SELECT 20, 'standby', c.ok, c.detail, c.hint FROM standby_check c) r
    ORDER BY r.n;
END;
COMMENT ON FUNCTION model_mgr.health_check() IS
'What is not well with this installation: one row a check, ok, detail with the numbers, and hint with the next step (NULL when ok). Judges by real time. On a standby only what makes sense there; of others'' sessions what the caller may see.';

CREATE FUNCTION model_mgr.active_metrics(minutes_back integer)
RETURNS TABLE (version_id bigint, metric_name text, value float8, samples bigint, source text, last_at timestamptz)
AS 'MODULE_PATHNAME', 'mm_active_metrics' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION model_mgr.active_metrics(integer) IS
'get_current_metrics() of every active version in one reading, for the health dashboard.';

CREATE FUNCTION model_mgr.get_model_health_dashboard() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_build_object(
        'models', (SELECT coalesce(pg_catalog.jsonb_object_agg(m.model_name, pg_catalog.to_jsonb(v)), '{}')
                   FROM model_mgr.model m LEFT JOIN model_mgr.model_version v ON v.model_id = m.model_id AND v.status = 'active'),
        'performance', (SELECT coalesce(pg_catalog.jsonb_object_agg(v.model_name, coalesce(c.metrics, '{}')), '{}')
                        FROM model_mgr.model_version v LEFT JOIN (
                            SELECT a.version_id, pg_catalog.jsonb_object_agg(a.metric_name, pg_catalog.jsonb_build_object(
                                'value', a.value, 'samples', a.samples, 'source', a.source, 'last_at', a.last_at)) AS metrics
                            FROM model_mgr.active_metrics(60) a GROUP BY a.version_id) c ON c.version_id = v.version_id
                        WHERE v.status = 'active'),
        'ab_tests', (SELECT coalesce(pg_catalog.jsonb_object_agg(t.test_id, pg_catalog.to_jsonb(t)), '{}') FROM model_mgr.ab_test_list t WHERE t.status = 'running'),
        'alerts', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a)), '[]') FROM model_mgr.get_active_alerts() a),
        -- those that are open, and what ended in the last day
        'updates', (SELECT coalesce(pg_catalog.jsonb_object_agg(u.update_id, pg_catalog.to_jsonb(u)), '{}') FROM model_mgr.update_run u
                    WHERE u.status = ANY ('{pending,validating,deploying}'::text[]) OR u.finished_at > model_mgr.clock_time() - '24:00:00'::interval),
        'timestamp', extract(epoch FROM model_mgr.clock_time())::float8);
END;
COMMENT ON FUNCTION model_mgr.get_model_health_dashboard() IS
'All models at a glance: models (by name: the active version as an object, or null), performance (by name: get_current_metrics_json() of it over the last hour), ab_tests (by test_id: get_test_status() of each that runs), alerts (get_active_alerts() as a list), updates (by update_id: those that are open or ended in the last 24 hours, each as an object), timestamp (seconds since 1970).';

CREATE FUNCTION model_mgr.assert_healthy(model_name text, version text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_assert_healthy' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.assert_healthy(text, text) IS
'For pipelines: raises 55000 with all that speaks against the version (or @alias): it is rolled_back, failed or archived; an alert of it or of the model as a whole fires, silenced or acknowledged ones too; its metrics break a threshold this moment, however short; it breaks a limit of its open rollout. version NULL: all that serve now, and that one does. No data is nothing against it, unless a threshold has on_no_data breach. Errors: 42704 unknown model or version, 22004 no model.';
