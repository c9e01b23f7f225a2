-- 65_anomaly: anomalies in any ordered series of numbers (src/core/anomaly.c, docs/anomalies.md).

-- STABLE: a sensitivity of NULL reads the setting.
CREATE FUNCTION model_mgr.anomaly_score_transition(internal, float8, timestamptz, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_anomaly_score_transition' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.anomaly_score_transition(internal, float8, timestamptz, float8) IS 'Step of anomaly_score().';
CREATE FUNCTION model_mgr.anomaly_score_final(internal) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_anomaly_score_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.anomaly_score_final(internal) IS 'Last step of anomaly_score().';

CREATE AGGREGATE model_mgr.anomaly_score(value float8, observed_at timestamptz, sensitivity float8) (
    SFUNC = model_mgr.anomaly_score_transition, STYPE = internal, SSPACE = 1024,
    FINALFUNC = model_mgr.anomaly_score_final, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.anomaly_score(value float8, observed_at timestamptz, sensitivity float8) IS
'How anomalous the last row is, judged by the rows before it: use it as anomaly_score(value, observed_at, 2.0) OVER (ORDER BY observed_at). >= 1: anomalous; 0 during the first 30 rows; an incident scores 1 or more once, and again only when four times worse or after a cool-down of 24 to 400 rows (4 % of the rows so far). sensitivity: width of the band, > 0, usually 2; a larger one flags a subset; NULL: model_mgr.perf_monitor_anomaly_sensitivity. observed_at may be irregular, repeat, step back or be NULL (the daily pattern is then left out). Rows without a value are skipped and score NULL. Without OVER, order the rows in the call: anomaly_score(v, t, 2.0 ORDER BY t). 22003: NaN, infinity, sensitivity out of range.';
