-- 67_metric: one vocabulary of metrics for monitor, rollouts and tests; values that are reported already aggregated; what
-- the models did, now, over time, and compared.

-- Definitions of custom metrics; a custom metric needs none to be recorded and read. Written by the owner.
CREATE TABLE model_mgr.metric (
    metric_name text PRIMARY KEY CHECK (pg_catalog.octet_length(metric_name) BETWEEN 1 AND 255
        -- built-in ones are what they are
        AND metric_name <> ALL ('{success_rate,error_rate,avg_response_time,response_time,p50_response_time,p95_response_time,p99_response_time,confidence_score,confidence,cost_per_request,cost,input_tokens,output_tokens,requests_per_minute}'::text[])),
    higher_is_better boolean,               -- NULL: nobody said
    unit text,
    description text
);
COMMENT ON TABLE model_mgr.metric IS
'What is known of custom metrics: direction, unit, meaning. Rows are the owner''s to write; a metric without a row is read all the same, and never called better.';
COMMENT ON COLUMN model_mgr.metric.metric_name IS 'Key of observation.metrics, name of a metric source, or only reported.';
COMMENT ON COLUMN model_mgr.metric.higher_is_better IS 'Direction; NULL: neither.';
COMMENT ON COLUMN model_mgr.metric.unit IS 'Unit, for people.';
COMMENT ON COLUMN model_mgr.metric.description IS 'Meaning, for people.';

CREATE VIEW model_mgr.metric_list AS
SELECT b.metric_name, b.alias, true AS built_in, b.higher_is_better, b.unit, b.samples, b.description
FROM (VALUES
    ('success_rate', NULL, true, '0..1', 'outcomes whose success is known', 'Successes among outcomes whose success is known.'),
    ('error_rate', NULL, false, '0..1', 'requests', 'Requests with an error_type among all requests.'),
    ('avg_response_time', 'response_time', false, 'seconds', 'recorded response times', 'Mean response time.'),
    ('p50_response_time', NULL, false, 'seconds', 'recorded response times', 'Half of the response times are no longer; within 1 %.'),
    ('p95_response_time', NULL, false, 'seconds', 'recorded response times', '95 % of the response times are no longer; within 1 %.'),
    ('p99_response_time', NULL, false, 'seconds', 'recorded response times', '99 % of the response times are no longer; within 1 %.'),
    ('confidence_score', 'confidence', true, '0..1', 'recorded confidences', 'Mean confidence that the model stated.'),
    ('cost_per_request', 'cost', false, 'money', 'recorded costs', 'Mean of the recorded costs, in the caller''s own unit.'),
    ('input_tokens', NULL, false, 'tokens', 'recorded numbers', 'Mean number of input tokens.'),
    ('output_tokens', NULL, false, 'tokens', 'recorded numbers', 'Mean number of output tokens.'),
    ('requests_per_minute', NULL, true, '1/minute', 'requests', 'Requests divided by the minutes of the window.'))
    b (metric_name, alias, higher_is_better, unit, samples, description)
UNION ALL
SELECT m.metric_name, NULL, false, m.higher_is_better, m.unit, 'recorded values', m.description FROM model_mgr.metric m;
COMMENT ON VIEW model_mgr.metric_list IS 'The vocabulary: built-in metrics, and the custom ones that table metric describes.';
COMMENT ON COLUMN model_mgr.metric_list.metric_name IS 'Name, as thresholds, criteria and tests take it.';
COMMENT ON COLUMN model_mgr.metric_list.alias IS 'Another name that means the same; NULL: none.';
COMMENT ON COLUMN model_mgr.metric_list.built_in IS 'Whether it comes with the extension.';
COMMENT ON COLUMN model_mgr.metric_list.higher_is_better IS 'Direction; NULL: neither.';
COMMENT ON COLUMN model_mgr.metric_list.unit IS 'Unit of its values.';
COMMENT ON COLUMN model_mgr.metric_list.samples IS 'What its samples count.';
COMMENT ON COLUMN model_mgr.metric_list.description IS 'How it is computed; a custom metric is the mean of its values.';

-- Partitioned by day at run time like observation, for the same reasons without indexes on the parent.
CREATE TABLE model_mgr.metric_sample (
    sampled_at timestamptz NOT NULL DEFAULT model_mgr.clock_time(),
    version_id bigint NOT NULL,
    metric_name text NOT NULL,
    source_id bigint NOT NULL DEFAULT 0,    -- 0: record_performance(); else a metric source, whose rows are one a minute
    samples bigint NOT NULL DEFAULT 1,      -- values that went into it
    value float8 NOT NULL,                  -- their mean
    "values" model_mgr.summary,             -- NULL: only the mean is known
    CONSTRAINT metric_sample_values CHECK (pg_catalog.isfinite(sampled_at) AND samples > 0 AND value >= -1e100 AND value <= 1e100
        AND pg_catalog.octet_length(metric_name) BETWEEN 1 AND 255)
) PARTITION BY RANGE (sampled_at);
COMMENT ON TABLE model_mgr.metric_sample IS
'Values that arrived already aggregated, from record_performance() and metric sources; used for a metric where nothing of it was observed.';
COMMENT ON COLUMN model_mgr.metric_sample.sampled_at IS 'When; of a metric source within the minute (b, b + 1 minute] that it sums up.';
COMMENT ON COLUMN model_mgr.metric_sample.version_id IS 'Version that it is about.';
COMMENT ON COLUMN model_mgr.metric_sample.metric_name IS 'Metric; a built-in one by its canonical name.';
COMMENT ON COLUMN model_mgr.metric_sample.source_id IS 'Metric source, 0 for record_performance().';
COMMENT ON COLUMN model_mgr.metric_sample.samples IS 'How many values it stands for.';
COMMENT ON COLUMN model_mgr.metric_sample.value IS 'Mean of those values.';
COMMENT ON COLUMN model_mgr.metric_sample."values" IS 'Their summary; NULL where only the mean is known.';
CREATE TABLE model_mgr.metric_sample_default PARTITION OF model_mgr.metric_sample DEFAULT
    WITH (autovacuum_vacuum_insert_threshold = -1);
COMMENT ON TABLE model_mgr.metric_sample_default IS 'Safety net for days without a partition; drained by maintain().';
CREATE INDEX metric_sample_default_version_index ON model_mgr.metric_sample_default (version_id, sampled_at);
CREATE INDEX metric_sample_default_source_index ON model_mgr.metric_sample_default (source_id, sampled_at) WHERE source_id > 0;

SELECT pg_catalog.pg_extension_config_dump('model_mgr.metric', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.metric_sample_default', '');

CREATE FUNCTION model_mgr.record_performance(model_name text, model_version text, metrics jsonb, recorded_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_record_performance' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_performance(text, text, jsonb, timestamptz) IS
'Records values that are aggregated already: an object of numbers, by metric name. They are used for a metric where the window holds no request of its own for it. model_version: a version or @alias. recorded_at: now, or within retention_days back and a day ahead (22003). Rates and confidence lie within 0 and 1, times, cost and tokens at 0 and above, others within +-1e100 (22003). 22P02: no object, no number; 42602, 42622: bad metric name; 42704: unknown model or version.';

CREATE FUNCTION model_mgr.get_current_metrics(model_name text, model_version text, minutes_back integer DEFAULT 60)
RETURNS TABLE (metric_name text, value float8, samples bigint, source text, last_at timestamptz)
AS 'MODULE_PATHNAME', 'mm_get_current_metrics' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 15;
COMMENT ON FUNCTION model_mgr.get_current_metrics(text, text, integer) IS
'Metrics of a version (or @alias) over the last minutes_back minutes up to now, rows recorded this moment included: one row a metric that has samples. source: observed (from requests) or reported (record_performance() and metric sources, where no request told); last_at: the last request, or value. minutes_back: 1 to retention_days in minutes (22003). Unknown names: no row.';

CREATE FUNCTION model_mgr.get_current_metrics_json(model_name text, model_version text, minutes_back integer DEFAULT 60) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(pg_catalog.jsonb_object_agg(m.metric_name, pg_catalog.jsonb_build_object('value', m.value, 'samples', m.samples,
        'source', m.source, 'last_at', m.last_at)), '{}')
    FROM model_mgr.get_current_metrics($1, $2, $3) m;
END;
COMMENT ON FUNCTION model_mgr.get_current_metrics_json(text, text, integer) IS
'get_current_metrics() as one object: {"success_rate": {"value", "samples", "source", "last_at"}, ...}; {} where there is nothing.';

CREATE FUNCTION model_mgr.get_performance_trends(model_name text, model_version text, hours_back integer DEFAULT 24, bucket_minutes integer DEFAULT NULL)
RETURNS TABLE (metric_name text, "time" timestamptz, value float8, samples bigint)
AS 'MODULE_PATHNAME', 'mm_get_performance_trends' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 3000;
COMMENT ON FUNCTION model_mgr.get_performance_trends(text, text, integer, integer) IS
'Metrics of a version (or @alias) over the last hours_back hours up to now, by buckets of bucket_minutes: every metric that occurs has a row for every bucket, value NULL and samples 0 where there was nothing. time: beginning of the bucket, a multiple of bucket_minutes since 2000-01-01 UTC; bucket b holds (b, b + bucket_minutes], the first and last as far as they lie in the window. bucket_minutes NULL: the smallest round number that makes at most 300 buckets, 60 at least where the window begins before what is kept in minutes; more than 300 are refused (22003). Before what is kept in minutes (perf_monitor_retention_hours) an hour counts in the bucket that it begins in. Unknown names: no row.';

CREATE FUNCTION model_mgr.get_performance_trends_json(model_name text, model_version text, hours_back integer DEFAULT 24, bucket_minutes integer DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(pg_catalog.jsonb_object_agg(s.metric_name, s.series), '{}')
    FROM (SELECT t.metric_name, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('time', t."time", 'value', t.value, 'samples', t.samples)
              ORDER BY t."time") AS series
          FROM model_mgr.get_performance_trends($1, $2, $3, $4) t GROUP BY t.metric_name) s;
END;
COMMENT ON FUNCTION model_mgr.get_performance_trends_json(text, text, integer, integer) IS
'get_performance_trends() as one object: {"success_rate": [{"time", "value", "samples"}, ...], ...}, in order of time; {} where there is nothing.';

CREATE FUNCTION model_mgr.get_model_comparison(model_name text, versions text[] DEFAULT NULL, hours_back integer DEFAULT 24)
RETURNS TABLE (metric_name text, version text, value float8, samples bigint, difference float8, ci_low float8, ci_high float8, p_value float8, better boolean)
AS 'MODULE_PATHNAME', 'mm_get_model_comparison' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 30;
COMMENT ON FUNCTION model_mgr.get_model_comparison(text, text[], integer) IS
'Metrics of several versions (or @aliases) over the last hours_back hours up to now: a row for every metric that one of them has and every version. difference: to the first version, the baseline; ci_low, ci_high: 95 % interval of it, p_value two-sided: rates by Newcombe''s interval and the pooled z-test, means by Welch; quantiles, requests_per_minute and what was only reported as a mean have the difference alone. better: whether the version is better or worse than the baseline, by the metric''s direction, where the interval excludes 0; else NULL. versions NULL: the active version, then the others that have data. Unknown names: no row.';

CREATE FUNCTION model_mgr.get_model_comparison_json(model_name text, versions text[] DEFAULT NULL, hours_back integer DEFAULT 24) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(pg_catalog.jsonb_object_agg(v.version, v.metrics), '{}')
    FROM (SELECT c.version, pg_catalog.jsonb_object_agg(c.metric_name, pg_catalog.jsonb_build_object('value', c.value, 'samples', c.samples,
              'difference', c.difference, 'ci_low', c.ci_low, 'ci_high', c.ci_high, 'p_value', c.p_value, 'better', c.better)) AS metrics
          FROM model_mgr.get_model_comparison($1, $2, $3) c GROUP BY c.version) v;
END;
COMMENT ON FUNCTION model_mgr.get_model_comparison_json(text, text[], integer) IS
'get_model_comparison() as one object: {"1.1.0": {"success_rate": {"value", "samples", "difference", "ci_low", "ci_high", "p_value", "better"}, ...}, ...}; {} where there is nothing.';

-- From here on series are shown by minute, before by hour: what is kept in minutes for certain, and not beyond what is in the hours.
CREATE FUNCTION model_mgr.metric_minutes_since() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT LEAST(GREATEST(pg_catalog.date_bin('01:00:00'::interval, LEAST(model_mgr.clock_time(), pg_catalog.now())
                   - pg_catalog.make_interval(hours => pg_catalog.current_setting('model_mgr.perf_monitor_retention_hours')::integer - 1), '2000-01-01 00:00:00+00'),
                   -- however long they are kept now, what was dropped before is gone
                   CASE WHEN s.minutes_from <= LEAST(model_mgr.clock_time(), pg_catalog.now()) THEN s.minutes_from END),
                 pg_catalog.date_bin('01:00:00'::interval, s.hours_until, '2000-01-01 00:00:00+00'))
    FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1;
END;
COMMENT ON FUNCTION model_mgr.metric_minutes_since() IS 'The hour from which on metric_series has minutes; before it has hours.';

-- Each outcome that is folded once, in the finest piece that is kept for certain.
CREATE VIEW model_mgr.rollup_series AS
SELECT m.*, 1 AS minutes FROM model_mgr.rollup_minute m WHERE m.bucket >= (SELECT model_mgr.metric_minutes_since())
UNION ALL
SELECT h.*, 60 FROM model_mgr.rollup_hour h WHERE h.bucket < (SELECT model_mgr.metric_minutes_since());
COMMENT ON VIEW model_mgr.rollup_series IS
'Rollups for charts: by minute as far as minutes are kept for certain, by hour before; minutes says which (1 or 60). Holds what is folded, as the tick does each minute; metric_series adds what came since. Sums and summaries may be added up further. Filter by bucket and version_id, which are indexed.';

CREATE VIEW model_mgr.rollup_metric_series AS
SELECT m.*, 1 AS minutes FROM model_mgr.rollup_metric_minute m WHERE m.bucket >= (SELECT model_mgr.metric_minutes_since())
UNION ALL
SELECT h.*, 60 FROM model_mgr.rollup_metric_hour h WHERE h.bucket < (SELECT model_mgr.metric_minutes_since());
COMMENT ON VIEW model_mgr.rollup_metric_series IS 'Custom metrics, as rollup_series.';

-- Version by version, so that a filter on the model reaches the indexes, which begin with the version; one on the time alone costs a probe of each a version.
CREATE VIEW model_mgr.metric_series AS
SELECT s."time", v.model_name, v.version, s.metric_name, s.value, s.samples
FROM model_mgr.model_version v CROSS JOIN LATERAL (
    SELECT t.bucket AS "time", k.metric_name, k.value, k.samples
    FROM (SELECT g.bucket, pg_catalog.max(g.minutes) AS minutes,
                 pg_catalog.sum(g.requests)::bigint AS requests, pg_catalog.sum(g.known)::bigint AS known,
                 pg_catalog.sum(g.successes)::float8 AS successes, pg_catalog.sum(g.errors)::float8 AS errors,
                 pg_catalog.sum(g.response_time_count)::bigint AS response_time_count, pg_catalog.sum(g.response_time_sum) AS response_time_sum,
                 pg_catalog.sum(g.confidence_count)::bigint AS confidence_count, pg_catalog.sum(g.confidence_sum) AS confidence_sum,
                 pg_catalog.sum(g.cost_count)::bigint AS cost_count, pg_catalog.sum(g.cost_sum) AS cost_sum,
                 pg_catalog.sum(g.input_tokens_count)::bigint AS input_tokens_count, pg_catalog.sum(g.input_tokens_sum) AS input_tokens_sum,
                 pg_catalog.sum(g.output_tokens_count)::bigint AS output_tokens_count, pg_catalog.sum(g.output_tokens_sum) AS output_tokens_sum,
                 model_mgr.merge(g.response_time) AS response_time
          FROM (SELECT s.bucket, s.minutes, s.version_id, s.requests, s.known, s.successes, s.errors, s.response_time_count, s.response_time_sum,
                       s.confidence_count, s.confidence_sum, s.cost_count, s.cost_sum, s.input_tokens_count, s.input_tokens_sum,
                       s.output_tokens_count, s.output_tokens_sum, s.response_time
                FROM model_mgr.rollup_series s
                UNION ALL
                SELECT CASE WHEN p.old THEN pg_catalog.date_bin('01:00:00'::interval, p.bucket, '2000-01-01 00:00:00+00') ELSE p.bucket END,
                       CASE WHEN p.old THEN 60 ELSE 1 END, p.version_id, p.requests, p.known, p.successes, p.errors,
                       p.response_time_count, p.response_time_sum, p.confidence_count, p.confidence_sum, p.cost_count, p.cost_sum, p.input_tokens_count,
                       p.input_tokens_sum, p.output_tokens_count, p.output_tokens_sum, p.response_time
                FROM (SELECT t.*, t.bucket < (SELECT model_mgr.metric_minutes_since()) AS old FROM model_mgr.rollup_tail t) p) g
          WHERE g.version_id = v.version_id GROUP BY g.bucket) t,
        LATERAL (VALUES
            ('success_rate', t.successes / nullif(t.known, 0), t.known),
            ('error_rate', t.errors / nullif(t.requests, 0), t.requests),
            ('avg_response_time', t.response_time_sum / nullif(t.response_time_count, 0), t.response_time_count),
            ('p50_response_time', model_mgr.summary_quantile(t.response_time, 0.5), t.response_time_count),
            ('p95_response_time', model_mgr.summary_quantile(t.response_time, 0.95), t.response_time_count),
            ('p99_response_time', model_mgr.summary_quantile(t.response_time, 0.99), t.response_time_count),
            ('confidence_score', t.confidence_sum / nullif(t.confidence_count, 0), t.confidence_count),
            ('cost_per_request', t.cost_sum / nullif(t.cost_count, 0), t.cost_count),
            ('input_tokens', t.input_tokens_sum / nullif(t.input_tokens_count, 0), t.input_tokens_count),
            ('output_tokens', t.output_tokens_sum / nullif(t.output_tokens_count, 0), t.output_tokens_count),
            ('requests_per_minute', t.requests::float8 / t.minutes, t.requests)) k (metric_name, value, samples)
    WHERE k.samples > 0
    UNION ALL
    SELECT g.bucket, g.metric_name, pg_catalog.sum(g.sum) / pg_catalog.sum(g.count)::float8, pg_catalog.sum(g.count)::bigint
    FROM (SELECT m.bucket, m.version_id, m.metric_name, m.sum, m.count FROM model_mgr.rollup_metric_series m
          UNION ALL
          SELECT CASE WHEN t.bucket < (SELECT model_mgr.metric_minutes_since())
                      THEN pg_catalog.date_bin('01:00:00'::interval, t.bucket, '2000-01-01 00:00:00+00') ELSE t.bucket END,
                 t.version_id, t.metric_name, t.sum, t.count
          FROM model_mgr.rollup_metric_tail_rows() t) g
    WHERE g.version_id = v.version_id GROUP BY g.bucket, g.metric_name
    UNION ALL
    -- what was reported, but where requests of that minute or hour told
    SELECT r.sampled_at, r.metric_name, r.value, r.samples
    FROM model_mgr.metric_sample r
    WHERE r.version_id = v.version_id AND NOT EXISTS (
        SELECT FROM (SELECT m.bucket, m.version_id, m.known, m.requests, m.response_time_count, m.confidence_count, m.cost_count, m.input_tokens_count, m.output_tokens_count
                     FROM model_mgr.rollup_minute m WHERE m.bucket = pg_catalog.date_bin('00:01:00'::interval, r.sampled_at - '00:00:00.000001'::interval, '2000-01-01 00:00:00+00')
                     UNION ALL
                     SELECT h.bucket, h.version_id, h.known, h.requests, h.response_time_count, h.confidence_count, h.cost_count, h.input_tokens_count, h.output_tokens_count
                     FROM model_mgr.rollup_hour h WHERE h.bucket = pg_catalog.date_bin('01:00:00'::interval, r.sampled_at - '00:00:00.000001'::interval, '2000-01-01 00:00:00+00')
                       AND h.bucket < (SELECT model_mgr.metric_minutes_since())) o
        WHERE o.version_id = r.version_id
          AND CASE WHEN r.metric_name = 'success_rate' THEN o.known WHEN r.metric_name = ANY ('{error_rate,requests_per_minute}'::text[]) THEN o.requests
                   WHEN r.metric_name = ANY ('{avg_response_time,p50_response_time,p95_response_time,p99_response_time}'::text[]) THEN o.response_time_count
                   WHEN r.metric_name = 'confidence_score' THEN o.confidence_count WHEN r.metric_name = 'cost_per_request' THEN o.cost_count
                   WHEN r.metric_name = 'input_tokens' THEN o.input_tokens_count WHEN r.metric_name = 'output_tokens' THEN o.output_tokens_count END > 0)
      AND NOT EXISTS (
        SELECT FROM model_mgr.rollup_metric_minute m
        WHERE m.version_id = r.version_id AND m.metric_name = r.metric_name
          AND m.bucket = pg_catalog.date_bin('00:01:00'::interval, r.sampled_at - '00:00:00.000001'::interval, '2000-01-01 00:00:00+00'))
    ) s;
COMMENT ON VIEW model_mgr.metric_series IS
'Every metric of every version over time: by minute as far as minutes are kept (perf_monitor_retention_hours), by hour before, rows recorded this moment included. Only buckets with samples have a row. Filter by model_name, version and time: these reach the indexes.';
COMMENT ON COLUMN model_mgr.metric_series."time" IS 'Beginning of the minute or hour, which holds what came after it up to its end; of a reported value its own time.';
COMMENT ON COLUMN model_mgr.metric_series.model_name IS 'Model.';
COMMENT ON COLUMN model_mgr.metric_series.version IS 'Version.';
COMMENT ON COLUMN model_mgr.metric_series.metric_name IS 'Metric, as in metric_list.';
COMMENT ON COLUMN model_mgr.metric_series.value IS 'Its value over that minute or hour.';
COMMENT ON COLUMN model_mgr.metric_series.samples IS 'What it was computed from.';

CREATE VIEW model_mgr.metric_matrix AS
SELECT c.metric_name, v.version, c.value, v.model_name
FROM model_mgr.model_version v, LATERAL model_mgr.get_current_metrics(v.model_name, v.version, 24 * 60) c
-- versions that did nothing are not asked
WHERE EXISTS (SELECT FROM model_mgr.rollup_minute m WHERE m.version_id = v.version_id AND m.bucket >= model_mgr.clock_time() - '24:01:00'::interval)
   OR EXISTS (SELECT FROM model_mgr.metric_sample s WHERE s.version_id = v.version_id AND s.sampled_at > model_mgr.clock_time() - '24:00:00'::interval)
   OR v.version_id = ANY (ARRAY(SELECT o.version_id FROM model_mgr.rollup_tail o));
COMMENT ON VIEW model_mgr.metric_matrix IS
'Metrics of the last 24 hours, a row a metric and version, in the order that \crosstabview wants: SELECT * FROM model_mgr.metric_matrix WHERE model_name = ''...'' \crosstabview metric_name version value.';
COMMENT ON COLUMN model_mgr.metric_matrix.metric_name IS 'Metric, as in metric_list.';
COMMENT ON COLUMN model_mgr.metric_matrix.version IS 'Version.';
COMMENT ON COLUMN model_mgr.metric_matrix.value IS 'Its value over the last 24 hours.';
COMMENT ON COLUMN model_mgr.metric_matrix.model_name IS 'Model.';
