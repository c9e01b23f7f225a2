-- 50_observation: outcomes (append-only, by day) and their minute rollups.

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
    folded_at timestamptz
);
COMMENT ON TABLE model_mgr.rollup_state IS 'Era and watermark of the rollups: one row that counts, the oldest.';

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
    cost float8,
    input_tokens bigint,
    output_tokens bigint,
    error_type text,
    feedback boolean NOT NULL DEFAULT false,    -- late truth of a request recorded before: no further request
    metrics jsonb,
    CHECK (version_id IS NOT NULL OR (test_no IS NOT NULL AND arm IS NOT NULL))
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE model_mgr.observation IS 'One row a request outcome or late feedback; append-only; INSERT and COPY are the bulk path.';
CREATE INDEX observation_recorded_index ON model_mgr.observation USING brin (recorded_at) WITH (autosummarize = on);
CREATE INDEX observation_txn_index ON model_mgr.observation USING brin (txn) WITH (autosummarize = on);
CREATE TABLE model_mgr.observation_default PARTITION OF model_mgr.observation DEFAULT;
COMMENT ON TABLE model_mgr.observation_default IS 'Safety net for days without a partition; drained by maintain().';

-- Counts and sums a minute of arrival, version, rollout step and arm. 0 stands for none in the key.
CREATE TABLE model_mgr.rollup_minute (
    bucket timestamptz NOT NULL,
    version_id bigint NOT NULL,
    deployment_id bigint NOT NULL,
    step integer NOT NULL,                  -- 0: outside a rollout, or warming up
    test_no bigint NOT NULL,
    arm smallint NOT NULL,                  -- -1: not drawn
    requests bigint NOT NULL,               -- feedback rows are no requests
    known bigint NOT NULL,                  -- outcomes whose success is known
    successes bigint NOT NULL,
    errors bigint NOT NULL,                 -- requests with an error_type
    response_time_count bigint NOT NULL,
    response_time_sum float8 NOT NULL,
    confidence_count bigint NOT NULL,
    confidence_sum float8 NOT NULL,
    cost_count bigint NOT NULL,
    cost_sum float8 NOT NULL,
    input_tokens_count bigint NOT NULL,
    input_tokens_sum float8 NOT NULL,
    output_tokens_count bigint NOT NULL,
    output_tokens_sum float8 NOT NULL,
    PRIMARY KEY (version_id, bucket, deployment_id, step, test_no, arm)
);
COMMENT ON TABLE model_mgr.rollup_minute IS 'Outcomes folded by minute of arrival; read together with the rows not folded yet.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_state',
    'WHERE installed_at = (SELECT pg_catalog.min(r.installed_at) FROM model_mgr.rollup_state r)');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.observation_default', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_minute', '');

INSERT INTO model_mgr.rollup_state (installed_at, era, system_identifier, next_txn)
SELECT pg_catalog.clock_timestamp(), 0, c.system_identifier, 0 FROM pg_catalog.pg_control_system() c;
