-- 85_report: pages for people who are not in psql: HTML that stands alone, drawn by the server.

CREATE FUNCTION model_mgr.report(model_name text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'mm_report' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.report(text, timestamptz, timestamptz) IS
'A model over some time as one HTML page that needs nothing else (no script, no address; at most 200 kB, plain ASCII): what serves and what is wrong in a sentence, success rate with its 95 % interval, quantiles of response time, traffic by version over time with what was done marked, each with its numbers; versions, deployments, tests, alerts, audit log. Times are UTC. NULL times: the 24 hours up to now (or to until). NULL for an unknown model. Errors: 22004 no model_name, 22003 an infinite time, 22023 since after until.';
