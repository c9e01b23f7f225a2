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

-- The detectors that the tick feeds (src/pg/anomaly_feed.c). What changes each minute comes after what seldom does, and a
-- row is updated in its own page: the server then logs the difference only.
CREATE TABLE model_mgr.anomaly_state (
    version_id bigint NOT NULL,
    metric_name text NOT NULL,
    state bytea NOT NULL,                   -- of src/core/anomaly_stream.c: 837 bytes
    fed_until timestamptz NOT NULL,         -- end of the last minute in it
    alert_since timestamptz,                -- its alert fires, or is still to be told or resolved
    untold jsonb,                           -- evidence of an alert that could not be written yet
    PRIMARY KEY (version_id, metric_name)
) WITH (fillfactor = 45);
ALTER TABLE model_mgr.anomaly_state ALTER COLUMN state SET STORAGE PLAIN;
CREATE INDEX anomaly_state_alert_index ON model_mgr.anomaly_state (version_id) WHERE alert_since IS NOT NULL;
COMMENT ON TABLE model_mgr.anomaly_state IS 'The detector of anomalies of each version and main metric, as of the last minute that the tick fed it.';

CREATE TABLE model_mgr.anomaly_feed (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    fed_until timestamptz NOT NULL          -- minutes that begin before are fed, or too late
) WITH (fillfactor = 50);
COMMENT ON TABLE model_mgr.anomaly_feed IS 'How far the tick has fed the detectors of anomalies: one row, none before the first.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.anomaly_state', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.anomaly_feed', '');

CREATE FUNCTION model_mgr.detect_anomalies(model_name text, metric_name text, sensitivity float8 DEFAULT 2.0)
RETURNS TABLE ("time" timestamptz, version text, value float8, expected float8, score float8, anomalous boolean)
AS 'MODULE_PATHNAME', 'mm_detect_anomalies' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000;
COMMENT ON FUNCTION model_mgr.detect_anomalies(text, text, float8) IS
'What the detector makes of a metric: one row for every complete minute with samples that is kept (perf_monitor_retention_hours), version by version in order of time. time: beginning of the minute, which holds (time, time + 1 minute]. expected: what was usual before, NULL at the first. score >= 1: anomalous; 0 during the first 30 minutes; an incident says so once and then stays below 1, unless it gets four times worse or outlasts the cool-down. Any metric of metric_list, custom and reported ones too. sensitivity: width of the band, > 0; a larger one flags a subset; NULL: 2. Changes nothing and wakes nobody. Unknown names: no row. Errors: 22003 sensitivity out of range, 22004 NULL name.';
