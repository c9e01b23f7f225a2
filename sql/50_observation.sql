-- 50_observation: outcomes (append-only, by day), recording them, and keeping their partitions.

CREATE FUNCTION model_mgr.clock_time() RETURNS timestamptz
AS 'MODULE_PATHNAME', 'mm_clock_time' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.clock_time() IS 'The extension''s "now": model_mgr.clock when set, else the real time.';

CREATE FUNCTION model_mgr.current_txn() RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_current_txn' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.current_txn() IS 'Key of the current transaction in observation.txn: era << 48 | full top-level transaction id.';

-- How far the rollups have come. A restored row is older than the one made here and wins.
CREATE TABLE model_mgr.rollup_state (
    installed_at timestamptz PRIMARY KEY,
    era integer NOT NULL,                   -- grows with every restore into another cluster
    system_identifier bigint NOT NULL,      -- of the cluster that the watermark's transaction ids belong to
    next_txn bigint NOT NULL,               -- every txn below is folded, but those in progress then:
    in_progress bigint[] NOT NULL DEFAULT '{}',
    folded_at timestamptz,
    pages bigint NOT NULL DEFAULT 0,        -- of all partitions when the last fold began: tells a small backlog without reading it
    hours_until timestamptz NOT NULL DEFAULT '-infinity',  -- minutes before are in the hours too; a multiple of 15 minutes
    minutes_from timestamptz NOT NULL DEFAULT '-infinity'  -- minutes before are in the hours alone, or about to be; a whole hour
);
COMMENT ON TABLE model_mgr.rollup_state IS 'Era and watermark of the rollups: one row that counts, the oldest.';

CREATE FUNCTION model_mgr.rollup_state_changed() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_rollup_state_changed' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.rollup_state_changed() IS 'Trigger: makes every session read the era again.';
-- Folds update neither of the two columns; restores and adoption do.
CREATE TRIGGER rollup_state_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF era, system_identifier
    ON model_mgr.rollup_state FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.rollup_state_changed();
ALTER TABLE model_mgr.rollup_state ENABLE ALWAYS TRIGGER rollup_state_changed;

CREATE TABLE model_mgr.observation (
    recorded_at timestamptz NOT NULL DEFAULT model_mgr.clock_time(),
    routed_at timestamptz,                  -- NULL: when it was recorded
    txn bigint NOT NULL DEFAULT model_mgr.current_txn(),
    version_id bigint,
    deployment_id bigint,                   -- the rollout that route() was in; NULL: the version decides
    step integer,
    test_no bigint,
    arm smallint,                           -- 0 stable or control, 1 candidate or treatment, 2.. further arms; NULL: not drawn
    unit_hash bigint,
    request bigint,
    success boolean,                        -- NULL: not known yet
    response_time float8,                   -- seconds
    confidence float8,                      -- 0..1
    cost float8,                            -- the caller's own unit of money
    input_tokens bigint,
    output_tokens bigint,
    error_type text,
    feedback boolean NOT NULL DEFAULT false,    -- late truth of a request recorded before: no further request
    metrics jsonb,
    CONSTRAINT observation_credited CHECK (version_id IS NOT NULL OR (test_no IS NOT NULL AND arm IS NOT NULL)),
    -- Sums must stay sums: no NaN, no infinity, and nothing that adds up to one gets in (NaN sorts above all). One sum
    -- that overflows would stop every fold.
    CONSTRAINT observation_values CHECK (isfinite(recorded_at) AND recorded_at >= '4713-01-01 00:00:00+00 BC' AND response_time >= 0 AND response_time <= 1e100
        AND confidence >= 0 AND confidence <= 1 AND cost >= 0 AND cost <= 1e100
        AND input_tokens >= 0 AND output_tokens >= 0)
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE model_mgr.observation IS 'One row a request outcome or late feedback; append-only; INSERT and COPY are the bulk path.';
COMMENT ON COLUMN model_mgr.observation.recorded_at IS 'When the outcome arrived.';
COMMENT ON COLUMN model_mgr.observation.routed_at IS 'When its request was routed; NULL: when it was recorded.';
COMMENT ON COLUMN model_mgr.observation.txn IS 'Key of the writing transaction, by which the rollups find what is new; its default fills it, no role may write it.';
COMMENT ON COLUMN model_mgr.observation.version_id IS 'The version that served; NULL only where test_no and arm say it.';
COMMENT ON COLUMN model_mgr.observation.deployment_id IS 'The rollout that route() was in; NULL: the version decides.';
COMMENT ON COLUMN model_mgr.observation.step IS 'Step of that rollout.';
COMMENT ON COLUMN model_mgr.observation.test_no IS 'Number of the A/B test that drew the arm.';
COMMENT ON COLUMN model_mgr.observation.arm IS '0 stable or control, 1 candidate or treatment, 2 and up further arms; NULL: nobody drew.';
COMMENT ON COLUMN model_mgr.observation.unit_hash IS 'The unit, as unit_hash() makes it of its id; NULL: not known.';
COMMENT ON COLUMN model_mgr.observation.request IS 'Number of the request, shared by a decision and its shadow.';
COMMENT ON COLUMN model_mgr.observation.success IS 'Whether it went well; NULL: not known yet, or for good.';
COMMENT ON COLUMN model_mgr.observation.response_time IS 'Seconds.';
COMMENT ON COLUMN model_mgr.observation.confidence IS 'What the model said of itself, 0 to 1.';
COMMENT ON COLUMN model_mgr.observation.cost IS 'In the caller''s own unit of money.';
COMMENT ON COLUMN model_mgr.observation.input_tokens IS 'Tokens in.';
COMMENT ON COLUMN model_mgr.observation.output_tokens IS 'Tokens out.';
COMMENT ON COLUMN model_mgr.observation.error_type IS 'What failed; a row that has one counts in error_rate.';
COMMENT ON COLUMN model_mgr.observation.feedback IS 'True for the late truth of a request that has its row already: no further request.';
COMMENT ON COLUMN model_mgr.observation.metrics IS 'Further metrics: numbers by name.';

-- No vacuum for inserts alone, here and in the partitions of days: nothing is to be gained in what is only appended to, and
-- while it runs its lock keeps the fold from summarising block ranges, so that every look reads what has come since.
CREATE TABLE model_mgr.observation_default PARTITION OF model_mgr.observation DEFAULT
    WITH (autovacuum_vacuum_insert_threshold = -1);
COMMENT ON TABLE model_mgr.observation_default IS 'Safety net for days without a partition; drained by maintain().';
-- Indexes belong to the partitions, not to the parent: a dump could not attach those of partitions made at run time to
-- indexes that CREATE EXTENSION made and the restored ATTACH has already filled in.
CREATE INDEX observation_default_recorded_index ON model_mgr.observation_default USING brin (recorded_at) WITH (autosummarize = on);
CREATE INDEX observation_default_txn_index ON model_mgr.observation_default USING brin (txn) WITH (autosummarize = on);

-- Recordings make their model's rollout be looked at, about once a second a model; the body runs at commit.
CREATE FUNCTION model_mgr.evaluation_due(version_id bigint, recorded_at timestamptz) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_evaluation_due' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.evaluation_due(bigint, timestamptz) IS
    'Condition of the trigger on observation: true about once a second for a model whose rollout an automatic limit looks at.';
CREATE FUNCTION model_mgr.enforce() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_enforce' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.enforce() IS
    'Trigger on observation: evaluates the rollout of the row''s model at commit and rolls a bad version back; never makes the recording fail.';
CREATE CONSTRAINT TRIGGER observation_enforcement AFTER INSERT ON model_mgr.observation DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (model_mgr.evaluation_due(NEW.version_id, NEW.recorded_at)) EXECUTE FUNCTION model_mgr.enforce();

SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_state',
    'WHERE installed_at = (SELECT pg_catalog.min(r.installed_at) FROM model_mgr.rollup_state r)');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.observation_default', '');

INSERT INTO model_mgr.rollup_state (installed_at, era, system_identifier, next_txn)
SELECT pg_catalog.clock_timestamp(), 0, c.system_identifier, 0 FROM pg_catalog.pg_control_system() c;

CREATE FUNCTION model_mgr.update_model_metrics(model_name text, version text, response_time float8 DEFAULT NULL,
    success boolean DEFAULT NULL, confidence float8 DEFAULT NULL, cost float8 DEFAULT NULL, input_tokens bigint DEFAULT NULL,
    output_tokens bigint DEFAULT NULL, error_type text DEFAULT NULL, unit_id text DEFAULT NULL, recorded_at timestamptz DEFAULT NULL,
    metrics jsonb DEFAULT '{}', routed_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_update_model_metrics' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.update_model_metrics(text, text, float8, boolean, float8, float8, bigint, bigint, text, text, timestamptz, jsonb, timestamptz) IS
    'Records one request that a version served. response_time in seconds (0 and up), confidence 0 to 1, cost and tokens 0 and up, metrics an object of numbers; NULL: not known (yet). recorded_at lies within retention_days back and a day ahead (22003). 42704: unknown model or version.';

CREATE FUNCTION model_mgr.record_outcome(decision text, success boolean DEFAULT NULL, response_time float8 DEFAULT NULL,
    confidence float8 DEFAULT NULL, cost float8 DEFAULT NULL, input_tokens bigint DEFAULT NULL, output_tokens bigint DEFAULT NULL,
    error_type text DEFAULT NULL, metrics jsonb DEFAULT '{}', recorded_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_record_outcome' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_outcome(text, boolean, float8, float8, float8, bigint, bigint, text, jsonb, timestamptz) IS
    'Records the outcome of one routed request, credited to what its decision (from route()) says served it. success NULL: the truth comes later by record_feedback(). Ranges as update_model_metrics(); 22P02: damaged or foreign decision.';

CREATE FUNCTION model_mgr.record_feedback(decision text, success boolean DEFAULT NULL, metrics jsonb DEFAULT '{}',
    recorded_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_record_feedback' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_feedback(text, boolean, jsonb, timestamptz) IS
    'Records the late truth of a request whose outcome was recorded with success NULL; counts no further request. 22P02: damaged or foreign decision.';

CREATE FUNCTION model_mgr.record_outcomes(outcomes jsonb, skip_bad boolean DEFAULT false) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_record_outcomes' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_outcomes(jsonb, boolean) IS
    'Records an array of objects with the keys of record_outcome() or update_model_metrics(), or of record_feedback() and "feedback": true; returns the rows written. All or nothing, unless skip_bad leaves bad elements out. 22023: unknown or missing key; 22P02: malformed value; 54000: over 256 MB.';

CREATE FUNCTION model_mgr.maintenance_tasks() RETURNS SETOF text
AS 'MODULE_PATHNAME', 'mm_maintenance_tasks' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.maintenance_tasks() IS 'What maintain() would do now: one text a task, in order.';
CREATE FUNCTION model_mgr.maintenance_run(task text) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_maintenance_run' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.maintenance_run(text) IS
    'Runs one task of maintenance_tasks(); returns rows, ranges or partitions dealt with. 55P03: a lock was not had within 100 ms; 55006: a partition past retention holds rows that are not rolled up.';

-- No SET clause: it would forbid COMMIT. So every name and operator below is written in full.
CREATE PROCEDURE model_mgr.maintain() LANGUAGE plpgsql AS $maintain$
DECLARE
    tasks pg_catalog.text[];
    task pg_catalog.text;
BEGIN
    COMMIT;     -- first of all, so that a caller's transaction is refused whether there is work or not
    -- Right after each COMMIT: the fold needs it, and what is dropped must be looked at as it is, whatever the session's default is.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    tasks := ARRAY(SELECT model_mgr.maintenance_tasks());
    FOREACH task IN ARRAY tasks LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        BEGIN
            PERFORM model_mgr.maintenance_run(task);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING message = pg_catalog.format('maintain: "%s" was left for the next time', task),
                detail = pg_catalog.format('%s (%s)', SQLERRM, SQLSTATE), errcode = SQLSTATE;
        END;
        COMMIT;
    END LOOP;
END
$maintain$;
COMMENT ON PROCEDURE model_mgr.maintain() IS
    'Keeps the house: partitions of observation and metric_sample (7 days ahead, dropped after model_mgr.retention_days), rollups (minutes for perf_monitor_retention_hours, hours for retention_days), the default partitions; events, resolved alerts and units of tests long over (retention_days); the audit log (audit_retention_days); and writes a backup of the registry when one is due. Commits after each task; what finds a lock taken is left for the next time. 2D000 inside a transaction.';
