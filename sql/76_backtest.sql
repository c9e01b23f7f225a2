-- 76_backtest: what rules would have done on the recorded history, by the same decisions as live ones.

CREATE FUNCTION model_mgr.backtest_thresholds(model_name text, thresholds jsonb, since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL)
RETURNS TABLE ("time" timestamptz, kind text, metric_name text, value float8, limit_value float8,
    traffic_percentage float8, requests_affected bigint, detail text)
AS 'MODULE_PATHNAME', 'mm_backtest_thresholds' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100;
COMMENT ON FUNCTION model_mgr.backtest_thresholds(text, jsonb, timestamptz, timestamptz) IS
'The alerts that these thresholds (as for set_thresholds()) would have fired in (since, until], looked at each whole minute as the tick does, over the versions that routing served then. kind: alert (one row each, at the time it fires), rollback or pause (what its action would have done). value, limit_value: of the look that fired, in the metric''s unit; traffic_percentage: the version''s share then, 0 to 100, NULL when routing did not serve it; requests_affected: from the beginning of the breach to this row: failures of success_rate and error_rate, all requests of other metrics; detail: from when to when, in words. What a rollback would have changed is counted: the version is not looked at any more. Changes nothing. Times: NULL: the 24 hours up to now; cut to what is kept by the minute (perf_monitor_retention_hours). Unknown model: no row. Errors: as set_thresholds(); 22003 a time that is infinite; 22023 since after until; 22004.';

CREATE FUNCTION model_mgr.backtest_rollout(model_name text, version text, rollout jsonb DEFAULT '{}',
    health_criteria jsonb DEFAULT '{}', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE ("time" timestamptz, kind text, metric_name text, value float8, limit_value float8,
    traffic_percentage float8, requests_affected bigint, detail text)
AS 'MODULE_PATHNAME', 'mm_backtest_rollout' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION model_mgr.backtest_rollout(text, text, jsonb, jsonb, timestamptz, timestamptz) IS
'A canary rollout of this version with these rollout keys and health_criteria (as for deploy_model_version(), whose usual limits hold), begun at since and judged each whole minute until it ends or until is reached, on what was recorded of the version. kind: step (the first one too), rollback, complete, or at last hold: what it would be waiting for. value, limit_value: of metric_name, in its unit; traffic_percentage: the share from then on, 0 to 100; requests_affected: bad requests (outcomes known as failed, or requests with an error if these are more) that the version would have served by then; of a rollback for another metric all its requests; detail: why, in words. Recorded counts are scaled by the plan''s share over the recorded one; rates and times stay as recorded. The baseline is the version that served beside it. Approvals are taken as given at once, outcomes as arriving from both sides alike. Changes nothing. Times: as backtest_thresholds(). Unknown names: no row. Errors: 22P02, 22003, 22023, 42602, 42622, 54000, 0A000 as deploy_model_version(); 22023 since after until; 22004.';
