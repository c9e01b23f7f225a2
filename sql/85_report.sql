-- 85_report: pages for people who are not in psql: HTML that stands alone, drawn by the server.

CREATE FUNCTION model_mgr.report(model_name text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'mm_report' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.report(text, timestamptz, timestamptz) IS
'A model over some time as one HTML page that needs nothing else (no script, no address; at most 200 kB, plain ASCII): what serves and what is wrong in a sentence, success rate with its 95 % interval, quantiles of response time, traffic by version over time with what was done marked, each with its numbers; versions, deployments, tests, alerts, audit log. Times are UTC. NULL times: the 24 hours up to now (or to until). NULL for an unknown model. Errors: 22004 no model_name, 22003 an infinite time, 22023 since after until.';

CREATE FUNCTION model_mgr.report_ab_test(test_id text) RETURNS text
AS 'MODULE_PATHNAME', 'mm_report_ab_test' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.report_ab_test(text) IS
'An A/B test as one HTML page, in the form of report(): verdict and what to do, every metric of every arm with its interval as part of control''s mean (of the primary one also the interval that stays valid at every look), the statistic of each recorded look against its boundary and the boundary ahead, sample sizes and sample ratio, audit log, design. Records no look. NULL for an unknown test. Errors: 22004.';

CREATE FUNCTION model_mgr.report_deployment(deployment_id bigint) RETURNS text
AS 'MODULE_PATHNAME', 'mm_report_deployment' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.report_deployment(bigint) IS
'A rollout as one HTML page, in the form of report(): how it stands and why, its steps, what it is judged by, planned and recorded share of the traffic, metrics of candidate and baseline with the limits, its diary with the numbers of each decision, alerts, audit log, plan. NULL for an unknown deployment. Errors: 22004.';
