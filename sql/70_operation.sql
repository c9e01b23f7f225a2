-- 70_operation: the clockwork (tick, work, maintain, run, start, stop) and what an installation says of itself.

CREATE FUNCTION model_mgr.model_mgr_version() RETURNS text
AS 'MODULE_PATHNAME', 'mm_model_mgr_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.model_mgr_version() IS 'Version of the loaded library, to compare with pg_extension.extversion.';
