-- 84_export: what monitoring systems read: views in the terms of Prometheus, OpenTelemetry and CloudEvents. Views only, over the rollups,
-- routing, rollouts, tests, alerts and the outbox; each is what an exporter can SELECT * from. docs/prometheus.md, docs/grafana.md.

-- Prometheus. What is summed up over kept rows is no counter: when retention drops a partition the sum falls, which rate() would take for a restart and
-- count all over again. So requests are gauges over a window that ends now, and only what is never deleted but with its model is called _total.
-- Whole minutes are read, so the window begins with the minute that lay five minutes back.
CREATE VIEW model_mgr.prom_model AS
SELECT v.model_name, v.version,
       CASE WHEN r.stable_version_id = v.version_id THEN 'stable' WHEN r.candidate_version_id = v.version_id THEN 'candidate'
            WHEN r.shadow_version_id = v.version_id THEN 'shadow' ELSE 'other' END AS role,
       v.status, coalesce(v.configuration ->> 'provider', '') AS provider,
       CASE WHEN r.candidate_version_id = v.version_id THEN r.candidate_weight / 10000.0::float8
            WHEN r.stable_version_id = v.version_id THEN 1.0::float8 - r.candidate_weight / 10000.0::float8
            ELSE 0.0::float8 END AS traffic_ratio,
       coalesce(n.requests, 0)::bigint AS window_requests, coalesce(n.known, 0)::bigint AS window_outcomes,
       coalesce(n.requests, 0)::float8 / w.seconds AS requests_per_second,
       n.successes::float8 / nullif(n.known, 0)::float8 AS success_ratio,
       n.errors::float8 / nullif(n.requests, 0)::float8 AS error_ratio,
       n.response_time_sum / nullif(n.response_time_count, 0)::float8 AS response_time_seconds,
       model_mgr.summary_quantile(n.response_time, 0.5) AS response_time_p50_seconds,
       model_mgr.summary_quantile(n.response_time, 0.95) AS response_time_p95_seconds,
       model_mgr.summary_quantile(n.response_time, 0.99) AS response_time_p99_seconds,
       n.confidence_sum / nullif(n.confidence_count, 0)::float8 AS confidence_ratio,
       n.cost_sum / nullif(n.cost_count, 0)::float8 AS cost_per_request,
       n.input_tokens_sum / nullif(n.input_tokens_count, 0)::float8 AS input_tokens_per_request,
       n.output_tokens_sum / nullif(n.output_tokens_count, 0)::float8 AS output_tokens_per_request,
       extract(epoch FROM n.last_at)::float8 AS last_request_timestamp_seconds
FROM model_mgr.model_version v
LEFT JOIN model_mgr.routing r ON r.model_id = v.model_id
LEFT JOIN (
    SELECT m.version_id, pg_catalog.sum(m.requests) AS requests, pg_catalog.sum(m.known) AS known, pg_catalog.sum(m.successes) AS successes,
           pg_catalog.sum(m.errors) AS errors, pg_catalog.sum(m.response_time_count) AS response_time_count,
           pg_catalog.sum(m.response_time_sum) AS response_time_sum, pg_catalog.sum(m.confidence_count) AS confidence_count,
           pg_catalog.sum(m.confidence_sum) AS confidence_sum, pg_catalog.sum(m.cost_count) AS cost_count, pg_catalog.sum(m.cost_sum) AS cost_sum,
           pg_catalog.sum(m.input_tokens_count) AS input_tokens_count, pg_catalog.sum(m.input_tokens_sum) AS input_tokens_sum,
           pg_catalog.sum(m.output_tokens_count) AS output_tokens_count, pg_catalog.sum(m.output_tokens_sum) AS output_tokens_sum,
           pg_catalog.max(m.last_at) AS last_at, model_mgr.merge(m.response_time) AS response_time
    FROM model_mgr.rollup_now m
    WHERE m.bucket >= (SELECT pg_catalog.date_bin('00:01:00'::interval, model_mgr.clock_time() - '00:05:00'::interval, '2000-01-01 00:00:00+00'))
      AND m.bucket < (SELECT model_mgr.clock_time())
    GROUP BY m.version_id) n ON n.version_id = v.version_id
CROSS JOIN (SELECT extract(epoch FROM c.now - pg_catalog.date_bin('00:01:00'::interval, c.now - '00:05:00'::interval, '2000-01-01 00:00:00+00'))::float8 AS seconds
            FROM (SELECT model_mgr.clock_time() AS now) c) w
WHERE n.version_id IS NOT NULL OR r.stable_version_id = v.version_id OR r.candidate_version_id = v.version_id OR r.shadow_version_id = v.version_id;
COMMENT ON VIEW model_mgr.prom_model IS
'For Prometheus exporters: a row a version that serves, or had requests in the last five minutes (from the beginning of the minute that lay five minutes back up to now). Labels: model_name, version, and role, status, provider, which change with time; the others are values, all of them gauges. NULL where nothing was recorded.';
COMMENT ON COLUMN model_mgr.prom_model.model_name IS 'Label: the model.';
COMMENT ON COLUMN model_mgr.prom_model.version IS 'Label: the version.';
COMMENT ON COLUMN model_mgr.prom_model.role IS 'Label: stable, candidate (of a rollout below 100 %), shadow, or other (has requests all the same: pinned, segment, arm of a test, late outcomes).';
COMMENT ON COLUMN model_mgr.prom_model.status IS 'Label: status of the version.';
COMMENT ON COLUMN model_mgr.prom_model.provider IS 'Label: key provider of the configuration.';
COMMENT ON COLUMN model_mgr.prom_model.traffic_ratio IS 'Gauge: its share of the model''s units now, 0..1, pins, segments and tests aside.';
COMMENT ON COLUMN model_mgr.prom_model.window_requests IS 'Gauge: requests recorded in the window.';
COMMENT ON COLUMN model_mgr.prom_model.window_outcomes IS 'Gauge: outcomes in the window whose success is known; what success_ratio stands on.';
COMMENT ON COLUMN model_mgr.prom_model.requests_per_second IS 'Gauge: requests of the window by its seconds; 0 without any.';
COMMENT ON COLUMN model_mgr.prom_model.success_ratio IS 'Gauge: successes among outcomes whose success is known, 0..1.';
COMMENT ON COLUMN model_mgr.prom_model.error_ratio IS 'Gauge: requests with an error_type among requests, 0..1.';
COMMENT ON COLUMN model_mgr.prom_model.response_time_seconds IS 'Gauge: mean response time.';
COMMENT ON COLUMN model_mgr.prom_model.response_time_p50_seconds IS 'Gauge: half of the response times are no longer; within 1 %.';
COMMENT ON COLUMN model_mgr.prom_model.response_time_p95_seconds IS 'Gauge: 95 % of the response times are no longer; within 1 %.';
COMMENT ON COLUMN model_mgr.prom_model.response_time_p99_seconds IS 'Gauge: 99 % of the response times are no longer; within 1 %.';
COMMENT ON COLUMN model_mgr.prom_model.confidence_ratio IS 'Gauge: mean confidence that the model stated, 0..1.';
COMMENT ON COLUMN model_mgr.prom_model.cost_per_request IS 'Gauge: mean of the recorded costs, in the caller''s own unit of money.';
COMMENT ON COLUMN model_mgr.prom_model.input_tokens_per_request IS 'Gauge: mean number of input tokens.';
COMMENT ON COLUMN model_mgr.prom_model.output_tokens_per_request IS 'Gauge: mean number of output tokens.';
COMMENT ON COLUMN model_mgr.prom_model.last_request_timestamp_seconds IS 'Gauge: when the window''s last request was recorded, seconds since 1970.';

-- One row a model whatever it does, so that its counters never change their labels and are there before they first grow.
CREATE VIEW model_mgr.prom_deployment AS
SELECT d.model_name, d.version, coalesce(d.baseline_version, '') AS baseline_version, d.strategy, d.status, d.deployment_id::text AS deployment_id,
       CASE WHEN o.open THEN 1 ELSE 0 END::bigint AS open,
       CASE WHEN d.status = 'paused' THEN 1 ELSE 0 END::bigint AS paused,
       CASE WHEN d.status = 'awaiting_approval' THEN 1 ELSE 0 END::bigint AS awaiting_approval,
       CASE WHEN d.status = 'promoting' THEN 1 ELSE 0 END::bigint AS baking,
       d.traffic_percentage / 100.0::float8 AS traffic_ratio, d.step::bigint AS step,
       pg_catalog.jsonb_array_length(CASE WHEN pg_catalog.jsonb_typeof(d.rollout -> 'steps') = 'array' THEN d.rollout -> 'steps' ELSE '[]' END)::bigint AS steps,
       s.samples AS step_samples, s.failing AS failing_limits, s.sample_ratio_p_value,
       extract(epoch FROM d.created_at)::float8 AS created_timestamp_seconds,
       extract(epoch FROM d.step_started_at)::float8 AS step_started_timestamp_seconds,
       CASE WHEN pg_catalog.isfinite(s.next_step_at) THEN extract(epoch FROM s.next_step_at)::float8 END AS next_step_timestamp_seconds,
       extract(epoch FROM j.judged_at)::float8 AS judged_timestamp_seconds,
       extract(epoch FROM d.finished_at)::float8 AS finished_timestamp_seconds,
       n.deployments AS deployments_total, n.rollbacks AS rollbacks_total
FROM (SELECT h.model_name, pg_catalog.max(h.deployment_id) AS deployment_id, pg_catalog.count(*) AS deployments,
             pg_catalog.count(*) FILTER (WHERE h.status = 'rolled_back') AS rollbacks
      FROM model_mgr.deployment h GROUP BY h.model_name) n
JOIN model_mgr.deployment d ON d.deployment_id = n.deployment_id
CROSS JOIN LATERAL (SELECT d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::text[]) AS open) o
LEFT JOIN model_mgr.deployment_judged j ON j.deployment_id = d.deployment_id
LEFT JOIN (
    SELECT c.deployment_id, pg_catalog.max(c.step_samples) AS samples, pg_catalog.count(*) FILTER (WHERE c.verdict = 'fail') AS failing,
           pg_catalog.min(c.sample_ratio_p_value) AS sample_ratio_p_value, pg_catalog.min(c.next_step_at) AS next_step_at
    FROM model_mgr.rollout_status(NULL) c GROUP BY c.deployment_id) s ON s.deployment_id = d.deployment_id AND o.open;
COMMENT ON VIEW model_mgr.prom_deployment IS
'For Prometheus exporters: a row a model that was ever deployed, with its rollout under way, else its last one. Labels: model_name, and version, baseline_version, strategy, status, deployment_id, which change with every rollout: leave these out of what is counted. Values are gauges but the two that end in _total: these never fall while the model exists.';
COMMENT ON COLUMN model_mgr.prom_deployment.model_name IS 'Label: the model.';
COMMENT ON COLUMN model_mgr.prom_deployment.version IS 'Label: the version that is, or was last, rolled out.';
COMMENT ON COLUMN model_mgr.prom_deployment.baseline_version IS 'Label: what served before; empty for a first deployment.';
COMMENT ON COLUMN model_mgr.prom_deployment.strategy IS 'Label: replace, canary, a_b_test, blue_green or shadow.';
COMMENT ON COLUMN model_mgr.prom_deployment.status IS 'Label: status of the deployment.';
COMMENT ON COLUMN model_mgr.prom_deployment.deployment_id IS 'Label: number of the deployment, for the verbs.';
COMMENT ON COLUMN model_mgr.prom_deployment.open IS 'Gauge: 1 while under way, baking included, else 0.';
COMMENT ON COLUMN model_mgr.prom_deployment.paused IS 'Gauge: 1 while paused.';
COMMENT ON COLUMN model_mgr.prom_deployment.awaiting_approval IS 'Gauge: 1 while it waits for approve_step().';
COMMENT ON COLUMN model_mgr.prom_deployment.baking IS 'Gauge: 1 while it bakes at 100 %.';
COMMENT ON COLUMN model_mgr.prom_deployment.traffic_ratio IS 'Gauge: share of the traffic now, 0..1; of a shadow, the share that it sees copies of.';
COMMENT ON COLUMN model_mgr.prom_deployment.step IS 'Gauge: which step is in force, from 1; 0 before the first.';
COMMENT ON COLUMN model_mgr.prom_deployment.steps IS 'Gauge: how many steps the plan has.';
COMMENT ON COLUMN model_mgr.prom_deployment.step_samples IS 'Gauge: known outcomes of the version in the present step; NULL when it has ended.';
COMMENT ON COLUMN model_mgr.prom_deployment.failing_limits IS 'Gauge: limits, criteria and guards that would fail it now; NULL when it has ended.';
COMMENT ON COLUMN model_mgr.prom_deployment.sample_ratio_p_value IS 'Gauge: as canary_status.sample_ratio_p_value; an alarm at 0.001 and below.';
COMMENT ON COLUMN model_mgr.prom_deployment.created_timestamp_seconds IS 'Gauge: when it was deployed, seconds since 1970, as all that follow.';
COMMENT ON COLUMN model_mgr.prom_deployment.step_started_timestamp_seconds IS 'Gauge: when the present step began.';
COMMENT ON COLUMN model_mgr.prom_deployment.next_step_timestamp_seconds IS 'Gauge: when time allows the next step; NULL: no time is set for it.';
COMMENT ON COLUMN model_mgr.prom_deployment.judged_timestamp_seconds IS 'Gauge: when it was last judged.';
COMMENT ON COLUMN model_mgr.prom_deployment.finished_timestamp_seconds IS 'Gauge: when it ended; NULL while under way.';
COMMENT ON COLUMN model_mgr.prom_deployment.deployments_total IS 'Counter: deployments of the model so far.';
COMMENT ON COLUMN model_mgr.prom_deployment.rollbacks_total IS 'Counter: those of them that were taken back.';

-- Tests are kept for ever; what ended long ago would only be one more series.
CREATE VIEW model_mgr.prom_ab_test AS
SELECT t.test_id, a.variant, a.model_name, a.version, a.metric_name,
       CASE WHEN t.status = 'running' THEN 1 ELSE 0 END::bigint AS running,
       CASE WHEN t.winning_variant = a.variant THEN 1 ELSE 0 END::bigint AS winner,
       a.share AS share_ratio, a.samples, a.mean, a.difference, a.relative_lift AS lift_ratio, a.ci_low, a.ci_high, a.anytime_ci_low, a.anytime_ci_high,
       a.p_value, a.boundary_p_value, a.information_fraction AS information_ratio, a.sample_ratio_p_value, a.conditional_power AS conditional_power_ratio,
       extract(epoch FROM t.started_at)::float8 AS started_timestamp_seconds, extract(epoch FROM t.ends_at)::float8 AS ends_timestamp_seconds,
       extract(epoch FROM t.stopped_at)::float8 AS stopped_timestamp_seconds
FROM model_mgr.ab_test t, LATERAL model_mgr.test_arms(t.test_id) a
WHERE t.status = 'running' OR t.stopped_at > model_mgr.clock_time() - '24:00:00'::interval;
COMMENT ON VIEW model_mgr.prom_ab_test IS
'For Prometheus exporters: a row a test and arm, of tests that run or ended in the last 24 hours, as in ab_test_status. Labels: test_id, variant, model_name, version, metric_name (the primary metric); the others are gauges, in the metric''s unit where nothing else is said. NULL where nothing can be said yet.';
COMMENT ON COLUMN model_mgr.prom_ab_test.test_id IS 'Label: the test.';
COMMENT ON COLUMN model_mgr.prom_ab_test.variant IS 'Label: control, treatment or a further arm.';
COMMENT ON COLUMN model_mgr.prom_ab_test.model_name IS 'Label: model of the arm.';
COMMENT ON COLUMN model_mgr.prom_ab_test.version IS 'Label: version of the arm.';
COMMENT ON COLUMN model_mgr.prom_ab_test.metric_name IS 'Label: the primary metric, which the values are of.';
COMMENT ON COLUMN model_mgr.prom_ab_test.running IS 'Gauge: 1 while the test runs.';
COMMENT ON COLUMN model_mgr.prom_ab_test.winner IS 'Gauge: 1 for the arm that has won.';
COMMENT ON COLUMN model_mgr.prom_ab_test.share_ratio IS 'Gauge: the arm''s share of the units that take part, 0..1.';
COMMENT ON COLUMN model_mgr.prom_ab_test.samples IS 'Gauge: outcomes of the arm that the metric is known of.';
COMMENT ON COLUMN model_mgr.prom_ab_test.mean IS 'Gauge: mean of the metric.';
COMMENT ON COLUMN model_mgr.prom_ab_test.difference IS 'Gauge: arm less control.';
COMMENT ON COLUMN model_mgr.prom_ab_test.lift_ratio IS 'Gauge: the difference as a fraction of control''s mean.';
COMMENT ON COLUMN model_mgr.prom_ab_test.ci_low IS 'Gauge: lower end of the difference''s interval, for a single look.';
COMMENT ON COLUMN model_mgr.prom_ab_test.ci_high IS 'Gauge: upper end of it.';
COMMENT ON COLUMN model_mgr.prom_ab_test.anytime_ci_low IS 'Gauge: lower end of the interval that stays valid however often it is looked at: the one for alert rules.';
COMMENT ON COLUMN model_mgr.prom_ab_test.anytime_ci_high IS 'Gauge: upper end of it.';
COMMENT ON COLUMN model_mgr.prom_ab_test.p_value IS 'Gauge: two-sided, for a single look; what is significant goes by boundary_p_value.';
COMMENT ON COLUMN model_mgr.prom_ab_test.boundary_p_value IS 'Gauge: p-value below which the metric is significant at the last recorded look.';
COMMENT ON COLUMN model_mgr.prom_ab_test.information_ratio IS 'Gauge: how much of the information that the design needs is there, 0..1.';
COMMENT ON COLUMN model_mgr.prom_ab_test.sample_ratio_p_value IS 'Gauge: probability of shares as far from the design''s as these; below 0.001 there is no verdict.';
COMMENT ON COLUMN model_mgr.prom_ab_test.conditional_power_ratio IS 'Gauge: probability that it becomes significant by the end if things go on as they do, 0..1.';
COMMENT ON COLUMN model_mgr.prom_ab_test.started_timestamp_seconds IS 'Gauge: when the test began, seconds since 1970.';
COMMENT ON COLUMN model_mgr.prom_ab_test.ends_timestamp_seconds IS 'Gauge: when it ends at the latest.';
COMMENT ON COLUMN model_mgr.prom_ab_test.stopped_timestamp_seconds IS 'Gauge: when it ended; NULL while it runs.';

-- alert_id is a label: two thresholds of one metric have nothing else to tell their alerts by.
CREATE VIEW model_mgr.prom_alert AS
SELECT a.alert_id::text AS alert_id, a.model_name, coalesce(a.version, '') AS version, coalesce(a.metric_name, '') AS metric_name, a.kind, a.severity,
       coalesce(a.deployment_id::text, '') AS deployment_id,
       CASE WHEN a.status = 'firing' THEN 1 ELSE 0 END::bigint AS firing,
       CASE WHEN a.status = 'pending' THEN 1 ELSE 0 END::bigint AS pending,
       CASE WHEN a.acknowledged_at IS NULL THEN 0 ELSE 1 END::bigint AS acknowledged,
       CASE WHEN EXISTS (SELECT FROM model_mgr.alert_silence s WHERE s.alert_id = a.alert_id) THEN 1 ELSE 0 END::bigint AS silenced,
       a.current_value AS value, a.threshold_value AS threshold, a.samples,
       extract(epoch FROM a.started_at)::float8 AS started_timestamp_seconds, extract(epoch FROM a.fired_at)::float8 AS fired_timestamp_seconds
FROM model_mgr.alert a WHERE a.status IN ('pending', 'firing');
COMMENT ON VIEW model_mgr.prom_alert IS
'For Prometheus exporters: a row an open alert (pending or firing) of the extension. Labels: alert_id, model_name, version, metric_name, kind, severity, deployment_id, empty where there is none; the others are gauges. No row while nothing is wrong.';
COMMENT ON COLUMN model_mgr.prom_alert.alert_id IS 'Label: number of the alert, for acknowledge_alert().';
COMMENT ON COLUMN model_mgr.prom_alert.model_name IS 'Label: the model.';
COMMENT ON COLUMN model_mgr.prom_alert.version IS 'Label: the version; empty: the model as a whole.';
COMMENT ON COLUMN model_mgr.prom_alert.metric_name IS 'Label: the metric; empty: none.';
COMMENT ON COLUMN model_mgr.prom_alert.kind IS 'Label: threshold, no_data, anomaly or rollout.';
COMMENT ON COLUMN model_mgr.prom_alert.severity IS 'Label: info, warning or critical.';
COMMENT ON COLUMN model_mgr.prom_alert.deployment_id IS 'Label: the rollout that was under way, or that its action ended; empty: none.';
COMMENT ON COLUMN model_mgr.prom_alert.firing IS 'Gauge: 1 while it fires.';
COMMENT ON COLUMN model_mgr.prom_alert.pending IS 'Gauge: 1 while the breach has not lasted long enough.';
COMMENT ON COLUMN model_mgr.prom_alert.acknowledged IS 'Gauge: 1 when somebody has taken it on.';
COMMENT ON COLUMN model_mgr.prom_alert.silenced IS 'Gauge: 1 while a silence covers it.';
COMMENT ON COLUMN model_mgr.prom_alert.value IS 'Gauge: the metric at the last look, in its own unit.';
COMMENT ON COLUMN model_mgr.prom_alert.threshold IS 'Gauge: what the value is held against.';
COMMENT ON COLUMN model_mgr.prom_alert.samples IS 'Gauge: samples behind the value.';
COMMENT ON COLUMN model_mgr.prom_alert.started_timestamp_seconds IS 'Gauge: first breaching look, seconds since 1970.';
COMMENT ON COLUMN model_mgr.prom_alert.fired_timestamp_seconds IS 'Gauge: when it began to fire; NULL while pending.';

CREATE VIEW model_mgr.prom_health AS
SELECT h.check_name, CASE WHEN h.ok THEN 1 ELSE 0 END::bigint AS ok FROM model_mgr.health_check() h;
COMMENT ON VIEW model_mgr.prom_health IS 'For Prometheus exporters: a row a check of health_check(), which has the words.';
COMMENT ON COLUMN model_mgr.prom_health.check_name IS 'Label: the check.';
COMMENT ON COLUMN model_mgr.prom_health.ok IS 'Gauge: 1 when all is well, else 0.';

-- OpenTelemetry: data points of minutes, delta temporality, names of the semantic conventions for generative AI where these have one. A histogram
-- here has no buckets, as the data model allows: number, sum and extremes. start_time is the rollups' own column: a filter on it reaches their index.
CREATE VIEW model_mgr.otel_metrics AS
SELECT k.metric_name, k.kind, k.unit,
       a.attributes || coalesce(k.attributes, '{}') AS attributes,
       b.bucket AS start_time, b.bucket + '00:01:00'::interval AS "time",
       CASE WHEN k.kind = 'histogram' THEN k.sum / k.count::float8 ELSE k.sum END AS value,
       k.count, k.sum, model_mgr.summary_min(k.summary) AS min, model_mgr.summary_max(k.summary) AS max
FROM (
    SELECT m.bucket, m.version_id, pg_catalog.sum(m.requests)::bigint AS requests, pg_catalog.sum(m.known)::bigint AS known,
           pg_catalog.sum(m.successes)::bigint AS successes, pg_catalog.sum(m.errors)::bigint AS errors,
           pg_catalog.sum(m.response_time_count)::bigint AS response_time_count, pg_catalog.sum(m.response_time_sum) AS response_time_sum,
           pg_catalog.sum(m.confidence_count)::bigint AS confidence_count, pg_catalog.sum(m.confidence_sum) AS confidence_sum,
           pg_catalog.sum(m.cost_count)::bigint AS cost_count, pg_catalog.sum(m.cost_sum) AS cost_sum,
           pg_catalog.sum(m.input_tokens_count)::bigint AS input_tokens_count, pg_catalog.sum(m.input_tokens_sum) AS input_tokens_sum,
           pg_catalog.sum(m.output_tokens_count)::bigint AS output_tokens_count, pg_catalog.sum(m.output_tokens_sum) AS output_tokens_sum,
           model_mgr.merge(m.response_time) AS response_time, model_mgr.merge(m.confidence) AS confidence, model_mgr.merge(m.cost) AS cost,
           model_mgr.merge(m.input_tokens) AS input_tokens, model_mgr.merge(m.output_tokens) AS output_tokens
    FROM model_mgr.rollup_now m GROUP BY m.bucket, m.version_id) b
JOIN model_mgr.model_version v ON v.version_id = b.version_id
CROSS JOIN LATERAL (VALUES
    ('gen_ai.client.operation.duration', 'histogram', 's', NULL::jsonb, b.response_time_count, b.response_time_sum, b.response_time),
    ('gen_ai.client.token.usage', 'histogram', '{token}', '{"gen_ai.token.type": "input"}', b.input_tokens_count, b.input_tokens_sum, b.input_tokens),
    ('gen_ai.client.token.usage', 'histogram', '{token}', '{"gen_ai.token.type": "output"}', b.output_tokens_count, b.output_tokens_sum, b.output_tokens),
    ('model_mgr.requests', 'sum', '{request}', NULL, b.requests, b.requests::float8, NULL),
    ('model_mgr.errors', 'sum', '{request}', NULL, b.requests, b.errors::float8, NULL),
    ('model_mgr.outcomes', 'sum', '{outcome}', '{"model_mgr.outcome.success": true}', b.known, b.successes::float8, NULL),
    ('model_mgr.outcomes', 'sum', '{outcome}', '{"model_mgr.outcome.success": false}', b.known, (b.known - b.successes)::float8, NULL),
    ('model_mgr.confidence', 'histogram', '1', NULL, b.confidence_count, b.confidence_sum, b.confidence),
    ('model_mgr.cost', 'histogram', '{money}', NULL, b.cost_count, b.cost_sum, b.cost)
    ) k (metric_name, kind, unit, attributes, count, sum, summary)
CROSS JOIN LATERAL (SELECT pg_catalog.jsonb_build_object('model_mgr.model.name', v.model_name, 'model_mgr.model.version', v.version,
    'gen_ai.operation.name', coalesce(v.labels ->> 'gen_ai.operation.name', 'inference'),
    'gen_ai.provider.name', v.configuration ->> 'provider', 'gen_ai.system', v.configuration ->> 'provider',
    'gen_ai.request.model', v.configuration ->> 'model_name') AS attributes) a
WHERE k.count > 0
UNION ALL
SELECT 'model_mgr.metric', 'histogram', '1',
       pg_catalog.jsonb_build_object('model_mgr.model.name', v.model_name, 'model_mgr.model.version', v.version, 'model_mgr.metric.name', c.metric_name),
       c.bucket, c.bucket + '00:01:00'::interval, c.sum / c.count::float8, c.count, c.sum, model_mgr.summary_min(c.summary), model_mgr.summary_max(c.summary)
FROM (SELECT m.bucket, m.version_id, m.metric_name, pg_catalog.sum(m.count)::bigint AS count, pg_catalog.sum(m.sum) AS sum, model_mgr.merge(m."values") AS summary
      FROM model_mgr.rollup_metric_now m GROUP BY m.bucket, m.version_id, m.metric_name) c
JOIN model_mgr.model_version v ON v.version_id = c.version_id
UNION ALL
-- as things stand now
SELECT 'model_mgr.traffic', 'gauge', '1',
       pg_catalog.jsonb_build_object('model_mgr.model.name', r.model_name, 'model_mgr.model.version', s.version, 'model_mgr.role', s.role),
       NULL, model_mgr.clock_time(), s.weight / 10000.0::float8, NULL, NULL, NULL, NULL
FROM model_mgr.routing r, LATERAL (VALUES (r.stable_version, 'stable', 10000 - r.candidate_weight),
                                          (r.candidate_version, 'candidate', r.candidate_weight)) s (version, role, weight)
WHERE s.version IS NOT NULL
UNION ALL
SELECT 'model_mgr.alerts', 'gauge', '{alert}', pg_catalog.jsonb_build_object('model_mgr.model.name', a.model_name, 'model_mgr.severity', a.severity),
       NULL, model_mgr.clock_time(), pg_catalog.count(*)::float8, NULL, NULL, NULL, NULL
FROM model_mgr.alert a WHERE a.status = 'firing' GROUP BY a.model_name, a.severity;
COMMENT ON VIEW model_mgr.otel_metrics IS
'Data points by OpenTelemetry''s data model and semantic conventions, as far back as minutes are kept: sums and histograms of a minute (delta temporality), and gauges of this moment, whose start_time is NULL. A minute changes while outcomes come for it late; one that is over for a minute seldom does. Filter by start_time, which is indexed.';
COMMENT ON COLUMN model_mgr.otel_metrics.metric_name IS 'Name: gen_ai.client.operation.duration, gen_ai.client.token.usage; model_mgr.requests, .errors, .outcomes, .confidence, .cost, .metric (custom ones, name in an attribute), .traffic, .alerts.';
COMMENT ON COLUMN model_mgr.otel_metrics.kind IS 'Sum (monotonic), histogram (without buckets) or gauge.';
COMMENT ON COLUMN model_mgr.otel_metrics.unit IS 'Unit by UCUM: s, 1, {token}, {request}, {outcome}, {alert}; {money} is the caller''s own.';
COMMENT ON COLUMN model_mgr.otel_metrics.attributes IS 'Attributes, flat: model_mgr.model.name, model_mgr.model.version, gen_ai.provider.name (and gen_ai.system, its name before), gen_ai.request.model, gen_ai.operation.name (the version''s label of that name, else inference), and those of the metric.';
COMMENT ON COLUMN model_mgr.otel_metrics.start_time IS 'Beginning of the minute; NULL for gauges.';
COMMENT ON COLUMN model_mgr.otel_metrics."time" IS 'End of the minute, which belongs to it; for gauges now.';
COMMENT ON COLUMN model_mgr.otel_metrics.value IS 'Of a sum or gauge its value, of a histogram the mean.';
COMMENT ON COLUMN model_mgr.otel_metrics.count IS 'How many requests, outcomes or values stand behind it; NULL for gauges.';
COMMENT ON COLUMN model_mgr.otel_metrics.sum IS 'Sum of the values; NULL for gauges.';
COMMENT ON COLUMN model_mgr.otel_metrics.min IS 'Least value of a histogram.';
COMMENT ON COLUMN model_mgr.otel_metrics.max IS 'Greatest value of a histogram.';

-- CloudEvents 1.0 over the outbox. An event's id is unique within its source: this database of this cluster. Attribute names are the specification's:
-- lower case without underscores.
CREATE VIEW model_mgr.cloudevents AS
SELECT '1.0'::text AS specversion, e.event_id::text AS id, s.source, e.type, e."time", e.model_name AS subject, 'application/json'::text AS datacontenttype, e.data,
       e.model_name AS modelname, e.version AS modelversion, e.deployment_id::text AS deploymentid,
       pg_catalog.jsonb_build_object('specversion', '1.0', 'id', e.event_id::text, 'source', s.source, 'type', e.type,
           'time', to_char(e."time" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'datacontenttype', 'application/json', 'data', e.data)
       || CASE WHEN e.model_name IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('subject', e.model_name, 'modelname', e.model_name) END
       || CASE WHEN e.version IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('modelversion', e.version) END
       || CASE WHEN e.deployment_id IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('deploymentid', e.deployment_id::text) END AS cloudevent
FROM model_mgr.event e
CROSS JOIN (SELECT pg_catalog.format('/model_mgr/%s/%s',
                (SELECT s.system_identifier FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1),
                -- percent-encoded, as a URI reference has it
                (SELECT pg_catalog.string_agg(CASE WHEN c.letter COLLATE "C" ~ '^[A-Za-z0-9._~-]$' THEN c.letter
                            ELSE pg_catalog.regexp_replace(pg_catalog.upper(pg_catalog.encode(pg_catalog.convert_to(c.letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g') END, '' ORDER BY c.n)
                 FROM pg_catalog.string_to_table(pg_catalog.current_database()::text COLLATE "default", NULL) WITH ORDINALITY c (letter, n))) AS source) s;
COMMENT ON VIEW model_mgr.cloudevents IS
'The events of event_list in the terms of CloudEvents 1.0: flat, and as the JSON that is sent. To read on where one stopped without missing any, join events_since() by id = event_id::text. Filter by time, which is indexed.';
COMMENT ON COLUMN model_mgr.cloudevents.specversion IS 'Version of the specification: 1.0.';
COMMENT ON COLUMN model_mgr.cloudevents.id IS 'The event''s number as text; unique within source.';
COMMENT ON COLUMN model_mgr.cloudevents.source IS 'Where it happened: /model_mgr/<system identifier of the cluster>/<database, percent-encoded>.';
COMMENT ON COLUMN model_mgr.cloudevents.type IS 'What happened; model_mgr.event_type_prefix, for a reversed domain name, stands before it.';
COMMENT ON COLUMN model_mgr.cloudevents."time" IS 'When it happened; RFC 3339 in UTC within cloudevent.';
COMMENT ON COLUMN model_mgr.cloudevents.subject IS 'The model; NULL: none.';
COMMENT ON COLUMN model_mgr.cloudevents.datacontenttype IS 'Form of data: application/json.';
COMMENT ON COLUMN model_mgr.cloudevents.data IS 'What there is to know, by type: event_list.data.';
COMMENT ON COLUMN model_mgr.cloudevents.modelname IS 'Extension attribute: the model; NULL: none.';
COMMENT ON COLUMN model_mgr.cloudevents.modelversion IS 'Extension attribute: the version; NULL: the model as a whole.';
COMMENT ON COLUMN model_mgr.cloudevents.deploymentid IS 'Extension attribute: the deployment; NULL: none.';
COMMENT ON COLUMN model_mgr.cloudevents.cloudevent IS 'The whole event in CloudEvents'' JSON form; attributes without a value are left out.';
