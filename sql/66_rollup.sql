-- 66_rollup: outcomes folded by minute and by hour, each exactly once, and read together with what is not folded yet.
--
-- A minute is open at its beginning and closed at its end: bucket b covers (b, b + 1 minute], an hour likewise, so that
-- a window (now - w, now] of whole minutes is a set of whole buckets.

-- Counts, sums and summaries a minute of arrival, version, rollout step and arm. 0 stands for none in the key. The sums
-- are kept beside the summaries: who judges must not open sketches.
CREATE TABLE model_mgr.rollup_minute (
    bucket timestamptz NOT NULL,
    version_id bigint NOT NULL,
    deployment_id bigint NOT NULL,
    step integer NOT NULL,                  -- 0: outside a rollout, or warming up
    test_no bigint NOT NULL,
    arm smallint NOT NULL,                  -- -1: not drawn; -2: recorded without a decision
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
    last_at timestamptz NOT NULL,           -- the greatest recorded_at
    response_time model_mgr.summary,       -- NULL: no values
    confidence model_mgr.summary,
    cost model_mgr.summary,
    input_tokens model_mgr.summary,
    output_tokens model_mgr.summary,
    PRIMARY KEY (version_id, bucket, deployment_id, step, test_no, arm)
) WITH (fillfactor = 70);                   -- the present minute's rows are updated in place
CREATE INDEX rollup_minute_bucket_index ON model_mgr.rollup_minute (bucket);
COMMENT ON TABLE model_mgr.rollup_minute IS
'Outcomes folded by minute of arrival, kept for perf_monitor_retention_hours; read through rollup_now or rollup_history.';

CREATE TABLE model_mgr.rollup_hour (LIKE model_mgr.rollup_minute,
    PRIMARY KEY (version_id, bucket, deployment_id, step, test_no, arm)) WITH (fillfactor = 70);
CREATE INDEX rollup_hour_bucket_index ON model_mgr.rollup_hour (bucket);
COMMENT ON TABLE model_mgr.rollup_hour IS
'The minutes before rollup_state.hours_until, by hour, kept for retention_days; read through rollup_history.';

-- The custom metrics of the same keys: a row a key of observation.metrics.
CREATE TABLE model_mgr.rollup_metric_minute (
    bucket timestamptz NOT NULL,
    version_id bigint NOT NULL,
    deployment_id bigint NOT NULL,
    step integer NOT NULL,
    test_no bigint NOT NULL,
    arm smallint NOT NULL,
    metric_name text NOT NULL,
    count bigint NOT NULL,
    sum float8 NOT NULL,
    last_at timestamptz NOT NULL,
    "values" model_mgr.summary NOT NULL,
    PRIMARY KEY (version_id, metric_name, bucket, deployment_id, step, test_no, arm)
) WITH (fillfactor = 70);
CREATE INDEX rollup_metric_minute_bucket_index ON model_mgr.rollup_metric_minute (bucket);
COMMENT ON TABLE model_mgr.rollup_metric_minute IS 'Custom metrics by minute, as rollup_minute; read through rollup_metric_now or rollup_metric_history.';

CREATE TABLE model_mgr.rollup_metric_hour (LIKE model_mgr.rollup_metric_minute,
    PRIMARY KEY (version_id, metric_name, bucket, deployment_id, step, test_no, arm)) WITH (fillfactor = 70);
CREATE INDEX rollup_metric_hour_bucket_index ON model_mgr.rollup_metric_hour (bucket);
COMMENT ON TABLE model_mgr.rollup_metric_hour IS 'Custom metrics by hour, as rollup_hour; read through rollup_metric_history.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_minute', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_hour', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_metric_minute', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_metric_hour', '');

-- What one pass over observation.metrics yields.
CREATE TYPE model_mgr.metric_tally AS (metric_name text, count bigint, sum float8, last_at timestamptz, "values" model_mgr.summary);
COMMENT ON TYPE model_mgr.metric_tally IS 'Number, sum and summary of the values of one custom metric, and the time of the last.';

CREATE FUNCTION model_mgr.metric_summaries_transition(internal, jsonb, timestamptz) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_metric_summaries_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.metric_summaries_transition(internal, jsonb, timestamptz) IS 'Step of metric_summaries().';
CREATE FUNCTION model_mgr.metric_summaries_final(internal) RETURNS model_mgr.metric_tally[]
AS 'MODULE_PATHNAME', 'mm_metric_summaries_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.metric_summaries_final(internal) IS 'Last step of metric_summaries().';
CREATE AGGREGATE model_mgr.metric_summaries(metrics jsonb, recorded_at timestamptz) (
    SFUNC = model_mgr.metric_summaries_transition, STYPE = internal, SSPACE = 256,
    FINALFUNC = model_mgr.metric_summaries_final, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.metric_summaries(metrics jsonb, recorded_at timestamptz) IS
'Of all numbers in flat JSON objects, by key: count, sum, time of the last, summary; ordered by key, NULL when there are none. What is no
number within +-1e100, keys that are empty, over 255 bytes or names of built-in metrics, and keys beyond the first 1,000 are left out: it raises no error.';

-- The rollout and step that a row is credited to, as deployment_id << 16 | step. What route() noted in the decision
-- stays; without it the version and the time of routing decide. One call a row, one key to group by.
CREATE FUNCTION model_mgr.attribution(version_id bigint, deployment_id bigint, step integer, at timestamptz) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_attribution' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.attribution(bigint, bigint, integer, timestamptz) IS
    'Rollout and step that an outcome is credited to, as deployment_id << 16 | step; 0: none, step 0: warming up.';

CREATE FUNCTION model_mgr.own_txn() RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_own_txn' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.own_txn() IS 'Like current_txn() without assigning a transaction id: -1 while there is none.';

-- Rows outside the stored watermark. The second bound makes a range of the first, which the planner takes for a narrow one.
-- Each id to be found costs a walk through every partition's index, so the ids in progress that lie close together, as
-- they do but for long transactions, are found by one walk over their range.
CREATE VIEW model_mgr.rollup_watermark AS
SELECT s.next_txn, s.in_progress,
       coalesce((SELECT pg_catalog.min(x) FROM pg_catalog.unnest(s.in_progress) x WHERE x BETWEEN s.next_txn - 20000 AND s.next_txn),
                s.next_txn) AS low_txn,
       ARRAY(SELECT x FROM pg_catalog.unnest(s.in_progress) x WHERE x < s.next_txn - 20000) AS long_running
FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1;
COMMENT ON VIEW model_mgr.rollup_watermark IS 'The watermark in the terms that finding pending rows needs.';
COMMENT ON COLUMN model_mgr.rollup_watermark.next_txn IS 'Rows of this transaction key and later are not folded.';
COMMENT ON COLUMN model_mgr.rollup_watermark.in_progress IS 'Nor are rows of these, which ran when the last fold looked.';
COMMENT ON COLUMN model_mgr.rollup_watermark.low_txn IS 'The first of in_progress that is close to next_txn.';
COMMENT ON COLUMN model_mgr.rollup_watermark.long_running IS 'The others of in_progress.';

CREATE VIEW model_mgr.observation_pending AS
SELECT o.* FROM model_mgr.observation o
WHERE (o.txn >= (SELECT w.low_txn FROM model_mgr.rollup_watermark w) AND o.txn < 9223372036854775807
       AND (o.txn >= (SELECT w.next_txn FROM model_mgr.rollup_watermark w)
            OR o.txn = ANY ((SELECT w.in_progress FROM model_mgr.rollup_watermark w)::bigint[])))
   OR o.txn = ANY ((SELECT w.long_running FROM model_mgr.rollup_watermark w)::bigint[]);
COMMENT ON VIEW model_mgr.observation_pending IS 'Observations that the rollups do not hold yet.';

-- The one definition of what a rollup row is: folding inserts from here, reading adds it to what is folded. The planner
-- leaves out the columns that nobody asks for, so summaries and custom metrics cost only who reads them.
CREATE VIEW model_mgr.rollup_pending AS
SELECT g.bucket, g.version_id, g.attribution >> 16 AS deployment_id, (g.attribution & 65535)::integer AS step, g.test_no, g.arm,
       g.requests, g.known, g.successes, g.errors, g.response_time_count, g.response_time_sum, g.confidence_count,
       g.confidence_sum, g.cost_count, g.cost_sum, g.input_tokens_count, g.input_tokens_sum, g.output_tokens_count,
       g.output_tokens_sum, g.last_at, g.response_time, g.confidence, g.cost, g.input_tokens, g.output_tokens, g.custom,
       g.own, g.rows
FROM (SELECT pg_catalog.date_bin('1 minute', o.recorded_at - '0.000001 s'::interval, '2000-01-01 00:00:00+00') AS bucket,
             coalesce(o.version_id, 0) AS version_id,
             model_mgr.attribution(o.version_id, o.deployment_id, o.step, coalesce(o.routed_at, o.recorded_at)) AS attribution,
             coalesce(o.test_no, 0) AS test_no,
             coalesce(o.arm, CASE WHEN o.request IS NULL THEN -2::smallint ELSE -1::smallint END) AS arm,
             o.txn = model_mgr.own_txn() AS own,
             pg_catalog.count(*) AS rows,
             pg_catalog.count(*) FILTER (WHERE NOT o.feedback) AS requests,
             pg_catalog.count(o.success) AS known,
             pg_catalog.count(*) FILTER (WHERE o.success) AS successes,
             pg_catalog.count(o.error_type) FILTER (WHERE NOT o.feedback) AS errors,
             pg_catalog.count(o.response_time) AS response_time_count,
             coalesce(pg_catalog.sum(o.response_time), 0) AS response_time_sum,
             pg_catalog.count(o.confidence) AS confidence_count,
             coalesce(pg_catalog.sum(o.confidence), 0) AS confidence_sum,
             pg_catalog.count(o.cost) AS cost_count,
             coalesce(pg_catalog.sum(o.cost), 0) AS cost_sum,
             pg_catalog.count(o.input_tokens) AS input_tokens_count,
             coalesce(pg_catalog.sum(o.input_tokens::float8), 0) AS input_tokens_sum,
             pg_catalog.count(o.output_tokens) AS output_tokens_count,
             coalesce(pg_catalog.sum(o.output_tokens::float8), 0) AS output_tokens_sum,
             pg_catalog.max(o.recorded_at) AS last_at,
             model_mgr.summarize(o.response_time) AS response_time,
             model_mgr.summarize(o.confidence) AS confidence,
             model_mgr.summarize(o.cost) AS cost,
             model_mgr.summarize(o.input_tokens::float8) AS input_tokens,
             model_mgr.summarize(o.output_tokens::float8) AS output_tokens,
             model_mgr.metric_summaries(o.metrics, o.recorded_at) AS custom
      FROM model_mgr.observation_pending o
      GROUP BY 1, 2, 3, 4, 5, 6) g;
COMMENT ON VIEW model_mgr.rollup_pending IS
'Rows not folded yet, summed like rollup_minute; custom: their custom metrics; own: written by the present transaction; rows: how many.';

-- Functions, so that their own settings hold: the planner must not read the table whole while statistics are missing.
CREATE FUNCTION model_mgr.rollup_tail_rows() RETURNS SETOF model_mgr.rollup_minute
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, p.requests, p.known, p.successes, p.errors,
       p.response_time_count, p.response_time_sum, p.confidence_count, p.confidence_sum, p.cost_count, p.cost_sum,
       p.input_tokens_count, p.input_tokens_sum, p.output_tokens_count, p.output_tokens_sum, p.last_at, p.response_time,
       p.confidence, p.cost, p.input_tokens, p.output_tokens
FROM model_mgr.rollup_pending p;
END;
COMMENT ON FUNCTION model_mgr.rollup_tail_rows() IS 'Rows not folded yet in the form of rollup_minute, as the view rollup_tail shows them.';
CREATE FUNCTION model_mgr.rollup_tail_sums() RETURNS SETOF model_mgr.rollup_minute
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, p.requests, p.known, p.successes, p.errors,
       p.response_time_count, p.response_time_sum, p.confidence_count, p.confidence_sum, p.cost_count, p.cost_sum,
       p.input_tokens_count, p.input_tokens_sum, p.output_tokens_count, p.output_tokens_sum, p.last_at,
       NULL::model_mgr.summary, NULL::model_mgr.summary, NULL::model_mgr.summary, NULL::model_mgr.summary,
       NULL::model_mgr.summary
FROM model_mgr.rollup_pending p;
END;
COMMENT ON FUNCTION model_mgr.rollup_tail_sums() IS 'As rollup_tail_rows() without the summaries, for who needs counts and sums only.';
CREATE FUNCTION model_mgr.rollup_metric_tail_rows() RETURNS SETOF model_mgr.rollup_metric_minute
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, m.metric_name, m.count, m.sum, m.last_at,
       m."values"
FROM model_mgr.rollup_pending p, LATERAL pg_catalog.unnest(p.custom) m;
END;
COMMENT ON FUNCTION model_mgr.rollup_metric_tail_rows() IS 'Custom metrics of rows not folded yet in the form of rollup_metric_minute.';

CREATE VIEW model_mgr.rollup_tail AS SELECT * FROM model_mgr.rollup_tail_rows();
COMMENT ON VIEW model_mgr.rollup_tail IS 'Rows not folded yet in the form of rollup_minute.';

CREATE VIEW model_mgr.rollup_now AS
SELECT * FROM model_mgr.rollup_minute UNION ALL SELECT * FROM model_mgr.rollup_tail;
COMMENT ON VIEW model_mgr.rollup_now IS
'Minute rollups up to this very statement, as far back as minutes are kept: what is folded and what is not yet. Read it in one statement.';

CREATE VIEW model_mgr.rollup_metric_now AS
SELECT * FROM model_mgr.rollup_metric_minute UNION ALL SELECT * FROM model_mgr.rollup_metric_tail_rows();
COMMENT ON VIEW model_mgr.rollup_metric_now IS 'Custom metrics by minute, as rollup_now.';

-- What the hours hold ends at hours_until; the minutes from there on and the tail are the rest.
CREATE VIEW model_mgr.rollup_folded AS
SELECT * FROM model_mgr.rollup_hour
UNION ALL
SELECT * FROM model_mgr.rollup_minute m
WHERE m.bucket >= (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1);
COMMENT ON VIEW model_mgr.rollup_folded IS 'Everything that is folded, once: hours, and the minutes that no hour holds yet.';

CREATE VIEW model_mgr.rollup_history AS
SELECT * FROM model_mgr.rollup_folded UNION ALL SELECT * FROM model_mgr.rollup_tail;
COMMENT ON VIEW model_mgr.rollup_history IS
'Everything that is kept, up to this very statement: hours, the minutes that no hour holds yet, and what is not folded yet. Read it in one statement.';

CREATE VIEW model_mgr.rollup_metric_history AS
SELECT * FROM model_mgr.rollup_metric_hour
UNION ALL
SELECT * FROM model_mgr.rollup_metric_minute m
WHERE m.bucket >= (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1)
UNION ALL
SELECT * FROM model_mgr.rollup_metric_tail_rows();
COMMENT ON VIEW model_mgr.rollup_metric_history IS 'Custom metrics, as rollup_history.';
