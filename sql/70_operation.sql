-- 70_operation: the clockwork (tick, work, maintain, run, start, stop) and what an installation says of itself.

CREATE FUNCTION model_mgr.model_mgr_version() RETURNS text
AS 'MODULE_PATHNAME', 'mm_model_mgr_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.model_mgr_version() IS 'Version of the loaded library, to compare with pg_extension.extversion.';

CREATE FUNCTION model_mgr.tick() RETURNS TABLE (task text, items bigint, seconds float8)
AS 'MODULE_PATHNAME', 'mm_tick' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 2;
COMMENT ON FUNCTION model_mgr.tick() IS
'Does what is due: folds the rollups, judges and steps every rollout. Waits for no lock, starts nothing after 2 s; safe twice and concurrently. items: what changed. Errors: 25000 above READ COMMITTED.';
