-- 70_operation: the clockwork (tick, work, maintain, run, start, stop) and what an installation says of itself.

CREATE FUNCTION model_mgr.model_mgr_version() RETURNS text
AS 'MODULE_PATHNAME', 'mm_model_mgr_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.model_mgr_version() IS 'Version of the loaded library, to compare with pg_extension.extversion.';

-- When the clockwork last ran here; says nothing about another cluster, so a dump leaves it out.
CREATE TABLE model_mgr.tick_state (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    last_started_at timestamptz,            -- real time, whatever model_mgr.clock says
    last_finished_at timestamptz,
    last_failures bigint NOT NULL DEFAULT 0     -- pieces of work that failed in it
) WITH (fillfactor = 50);                   -- a tick a second is updated in place
COMMENT ON TABLE model_mgr.tick_state IS 'When the last tick that committed began and ended, in real time, and how much of its work failed: one row, NULL before the first.';
SELECT pg_catalog.pg_extension_config_dump('model_mgr.tick_state', 'WHERE false');
INSERT INTO model_mgr.tick_state DEFAULT VALUES;

CREATE FUNCTION model_mgr.tick() RETURNS TABLE (task text, items bigint, seconds float8)
AS 'MODULE_PATHNAME', 'mm_tick' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 8;
COMMENT ON FUNCTION model_mgr.tick() IS
'Does what is due, one row a task: rollups (rows folded), hours (minute rows rolled up), audit (entries sealed), deployments (judged and changed), experiments (looks recorded, tests ended), updates (schedules due, updates taken on), thresholds (alerts changed), anomalies (points fed), events (told); failures when there were any, each said in a WARNING. Waits for no lock; starts nothing after 2 s, but gives each task that goes through models 0.3 s; safe twice and concurrently. seconds: what the task took. Errors: 25000 above READ COMMITTED.';

CREATE FUNCTION model_mgr.work_tasks() RETURNS SETOF text
AS 'MODULE_PATHNAME', 'mm_work_tasks' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION model_mgr.work_tasks() IS 'What work() has to do now, for example "callback 3 event 17", "metric source refunds" or "validation 5".';
CREATE FUNCTION model_mgr.work_begin(task text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_work_begin' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.work_begin(text) IS
'Marks that this session begins a task of work_tasks(); to be committed before work_run(). False: there is nothing to do any more, or another session is at it. A mark whose session has ended disables what it ran. Errors: 22023 no such task.';
CREATE FUNCTION model_mgr.work_run(task text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_work_run' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.work_run(text) IS
'Runs a task that work_begin() marked in this session, and notes how it went; true when there is more of it to do at once. Errors: 22023 no such task.';
CREATE FUNCTION model_mgr.work_interrupted(task text, reason text) RETURNS void
AS 'MODULE_PATHNAME', 'mm_work_interrupted' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.work_interrupted(text, text) IS
'Notes that the transaction of work_run() came to nothing by no fault of the task, which is tried again later. Errors: 22023 no such task.';

-- Commits an item; it has no search_path of its own, so that every name in it is written in full.
CREATE PROCEDURE model_mgr.work() LANGUAGE plpgsql AS $work$
DECLARE
    tasks pg_catalog.text[];
    task pg_catalog.text;
    begun pg_catalog.bool;
    more pg_catalog.bool;
    code pg_catalog.text;
    message pg_catalog.text;
    turn_ends pg_catalog.timestamptz;
BEGIN
    COMMIT;     -- first of all, so that a caller's transaction is refused whether there is work or not
    -- Right after each COMMIT: each item sees what others commit, whatever the session's default is.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    tasks := ARRAY(SELECT model_mgr.work_tasks());
    FOREACH task IN ARRAY tasks LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        -- What one item has not done in a minute waits for the next time: the others are waiting.
        turn_ends := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) '1 minute'::pg_catalog.interval;
        LOOP
            begun := false;
            more := false;
            message := NULL;
            BEGIN
                begun := model_mgr.work_begin(task);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING USING message = pg_catalog.format('work: "%s" was left for the next time', task),
                    detail = pg_catalog.format('%s (%s)', SQLERRM, SQLSTATE), errcode = SQLSTATE;
            END;
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            EXIT WHEN NOT begun;
            BEGIN
                more := model_mgr.work_run(task);
            EXCEPTION WHEN query_canceled OR OTHERS THEN
                code := SQLSTATE;
                message := SQLERRM;
            END;
            IF message IS NOT NULL THEN
                PERFORM model_mgr.work_interrupted(task, message);
            END IF;
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            -- What is caught of user code has been noted; a cancellation that arrives here is a person's.
            IF message IS NOT NULL AND code OPERATOR(pg_catalog.=) '57014' THEN
                RAISE EXCEPTION USING errcode = code, message = message, detail = pg_catalog.format('The task was "%s".', task),
                    hint = 'The next work() goes on.';
            END IF;
            EXIT WHEN NOT more OR pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) turn_ends;
        END LOOP;
    END LOOP;
END
$work$;
COMMENT ON PROCEDURE model_mgr.work() IS
'Runs registered code (callbacks, metric sources, validators) that is due, each as the role that registered it, one commit an item; what fails is a WARNING and is tried again later (but for validators: that has not passed), what takes the session down is disabled by the next work(). Safe twice and concurrently. Errors: 2D000 inside a transaction.';

CREATE PROCEDURE model_mgr.run(seconds float8) LANGUAGE plpgsql AS $run$
DECLARE
    ends timestamptz;
    next_work timestamptz := pg_catalog.clock_timestamp();
    next_maintain timestamptz := pg_catalog.clock_timestamp();
BEGIN
    -- A path set for the transaction is gone after its commit; each one sets it again before an operator is used.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF seconds IS NULL THEN
        RAISE EXCEPTION USING errcode = '22004', message = 'argument "seconds" must not be null',
            detail = 'The argument has no default.', hint = 'CALL model_mgr.run(3600) runs for an hour.';
    END IF;
    IF seconds = 'NaN' OR seconds < 0 OR seconds > 315360000 THEN
        RAISE EXCEPTION USING errcode = '22003', message = '"seconds" is out of range',
            detail = pg_catalog.format('The value %s is outside 0 to 315360000.', seconds), hint = 'Pass a value in that range.';
    END IF;
    ends := pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => seconds);
    COMMIT;
    LOOP
        -- tick() must see what others commit, whatever the session's default is.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM model_mgr.tick();
        COMMIT;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF pg_catalog.clock_timestamp() >= next_work THEN
            next_work := pg_catalog.clock_timestamp() + pg_catalog.make_interval(mins => 1);
            CALL model_mgr.work();
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        END IF;
        IF pg_catalog.clock_timestamp() >= next_maintain THEN
            next_maintain := pg_catalog.clock_timestamp() + pg_catalog.make_interval(hours => 1);
            CALL model_mgr.maintain();
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        END IF;
        EXIT WHEN pg_catalog.clock_timestamp() >= ends;
        PERFORM pg_catalog.pg_sleep(least(1.0, extract(epoch FROM ends - pg_catalog.clock_timestamp())));
        COMMIT;
    END LOOP;
END
$run$;
COMMENT ON PROCEDURE model_mgr.run(float8) IS
'Drives tick() each second, work() each minute and maintain() each hour for so many seconds (0 to 315360000; 0: one round), in place of pg_cron. Errors: 2D000 inside a transaction, 22003 out of range.';

-- As run(), but for one deployment; what a pipeline asks is whether it has reached its users for good.
CREATE PROCEDURE model_mgr.wait_for_deployment(deployment_id bigint, timeout_seconds float8 DEFAULT 600) LANGUAGE plpgsql AS $wait$
DECLARE
    allowed pg_catalog.float8 := coalesce(timeout_seconds, 600);
    ends pg_catalog.timestamptz;
    seen model_mgr.deployment;
    ticked pg_catalog.bool := false;
    waits_for pg_catalog.text;
    due pg_catalog.timestamptz;
BEGIN
    -- A path set for the transaction is gone after its commit; each one sets it again before an operator is used.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF deployment_id IS NULL THEN
        RAISE EXCEPTION USING errcode = '22004', message = 'argument "deployment_id" must not be null',
            detail = 'The argument has no default.', hint = 'open_deployment(model_name) finds the rollout under way; list_deployments() shows all.';
    END IF;
    IF allowed = 'NaN' OR allowed < 0 OR allowed > 315360000 THEN
        RAISE EXCEPTION USING errcode = '22003', message = '"timeout_seconds" is out of range',
            detail = pg_catalog.format('The value %s is outside 0 to 315360000.', allowed), hint = 'Pass a value in that range.';
    END IF;
    ends := pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => allowed);
    LOOP
        SELECT d.* INTO seen FROM model_mgr.get_deployment(wait_for_deployment.deployment_id) d;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING errcode = '42704', message = pg_catalog.format('deployment %s does not exist', deployment_id),
                detail = 'No deployment has this id.', hint = 'list_deployments() shows all; open_deployment(model_name) finds the running one.';
        END IF;
        COMMIT;     -- also when there is nothing to wait for, so that a caller's transaction is always refused
        -- Right after each COMMIT: each round sees what others commit, whatever the session's default is.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        EXIT WHEN seen.status = ANY ('{completed,rolled_back,aborted,failed}') OR (ticked AND pg_catalog.clock_timestamp() >= ends);
        IF ticked THEN
            PERFORM pg_catalog.pg_sleep(least(1.0, extract(epoch FROM ends - pg_catalog.clock_timestamp())));
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        END IF;
        PERFORM model_mgr.tick();
        COMMIT;
        CALL model_mgr.work();
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        ticked := true;
    END LOOP;
    IF seen.status = 'completed' THEN
        RETURN;
    END IF;
    IF seen.status = ANY ('{rolled_back,aborted,failed}') THEN
        RAISE EXCEPTION USING errcode = '55000', message = pg_catalog.format('deployment %s of model "%s" did not complete', deployment_id, seen.model_name),
            detail = pg_catalog.format('Its status is %s (version "%s"): %s.', seen.status, seen.version,
                coalesce(nullif(pg_catalog.rtrim(seen.status_reason, '.'), ''), 'no reason was given')),
            hint = pg_catalog.format('explain_deployment(%s) tells each step with its numbers.', deployment_id);
    END IF;
    SELECT l.waiting_for, l.next_step_at INTO waits_for, due FROM model_mgr.deployment_list l WHERE l.deployment_id = wait_for_deployment.deployment_id;
    RAISE EXCEPTION USING errcode = '55000', message = pg_catalog.format('deployment %s has not ended in %s s', deployment_id, allowed),
        detail = pg_catalog.format('Version "%s" of model "%s" is %s at %s %% of traffic, step %s%s%s.', seen.version, seen.model_name, seen.status,
            seen.traffic_percentage, seen.step, '; ' || waits_for, '; due at ' || due),
        hint = 'Wait again, with a larger timeout_seconds, or see canary_status; ' || CASE seen.status
            WHEN 'promoting' THEN 'it serves everybody already, rollback_model() would take it back.'
            WHEN 'awaiting_approval' THEN pg_catalog.format('approve_step(%s) lets it go on.', deployment_id)
            ELSE pg_catalog.format('promote_deployment(%s) takes the next step now.', deployment_id) END;
END
$wait$;
COMMENT ON PROCEDURE model_mgr.wait_for_deployment(bigint, float8) IS
'Returns when a deployment has completed, its bake included; drives tick() and work() meanwhile, about once a second, and commits each round. timeout_seconds: 0 to 315360000 of real time (NULL: 600; 0: one round). Errors: 55000 the time ran out, or it ended rolled_back, aborted or failed (the DETAIL says which and why), 42704 unknown deployment, 2D000 inside a transaction.';

CREATE FUNCTION model_mgr.start(tick_schedule text DEFAULT '* * * * *')
RETURNS TABLE (job_name text, schedule text, database text, note text)
AS 'MODULE_PATHNAME', 'mm_start' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 3;
COMMENT ON FUNCTION model_mgr.start(text) IS
'Makes the pg_cron jobs that drive this database (tick, work each minute, maintain hourly), owned by and run as the caller; again is harmless and shows how the last runs went. Errors: 0A000 no pg_cron here, 22023 bad schedule, 42501 missing rights, 25006 on a standby.';

CREATE FUNCTION model_mgr.stop() RETURNS integer
AS 'MODULE_PATHNAME', 'mm_stop' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.stop() IS 'Removes the jobs that start() made; how many there were. Errors: 0A000 no pg_cron here, 42501 missing rights, 25006 on a standby.';
