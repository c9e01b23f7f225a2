-- 78_storage: the registry as a document: out, back in, as files, and as a mirror in Redis.

-- What a model is, apart from its history: no ids of this database and no times of export, so that the same registry gives
-- the same document wherever it stands. A rollout under way is history: its versions are shown as they are without it.
-- Pins are left out: they are hashes under the key of this installation, which leaves it only in a dump.
CREATE VIEW model_mgr.registry_document AS
SELECT m.model_name, pg_catalog.jsonb_build_object(
    'model_name', m.model_name, 'description', m.description, 'owner', m.owner, 'labels', m.labels,
    'created_by', m.created_by,
    'created_at', to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'salt', r.salt, 'active_version', r.stable_version,
    'versions', (
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'version', v.version, 'description', v.description, 'configuration', v.configuration,
            'artifact_uri', v.artifact_uri, 'artifact_digest', v.artifact_digest, 'parent_version', v.parent_version,
            'tags', v.tags, 'labels', v.labels,
            'status', CASE WHEN v.version_id = r.stable_version_id THEN 'active' WHEN v.status IN ('deploying', 'active') THEN 'ready'
                           WHEN v.status = 'validating' THEN 'pending' ELSE v.status END,
            'status_reason', CASE WHEN v.status IN ('pending', 'ready', 'inactive', 'rolled_back', 'failed', 'archived') THEN v.status_reason END,
            'created_by', v.created_by, 'creator_login', c.user_name,
            'created_at', to_char(v.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'approvals', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('user_name', a.user_name, 'note', a.note,
                              'approved_at', to_char(a.approved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                              ORDER BY a.approved_at, a.user_name COLLATE "C"), '[]')
                          FROM model_mgr.version_approval a WHERE a.version_id = v.version_id)) ORDER BY v.version_id), '[]')
        FROM model_mgr.model_version v LEFT JOIN model_mgr.version_creator c ON c.version_id = v.version_id
        WHERE v.model_id = m.model_id),
    'aliases', (SELECT coalesce(pg_catalog.jsonb_object_agg(a.alias, a.version), '{}') FROM model_mgr.model_alias a WHERE a.model_id = m.model_id),
    'approvals', (SELECT pg_catalog.jsonb_build_object('approvals', p.approvals, 'from_role', p.from_role)
                  FROM model_mgr.approval_rule p WHERE p.model_id = m.model_id),
    'thresholds', coalesce(model_mgr.get_thresholds(m.model_name), '[]'),
    'segments', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('segment', s.e -> 'segment', 'condition', s.e -> 'condition',
                     'version', s.e -> 'version') ORDER BY s.n), '[]')
                 FROM pg_catalog.jsonb_array_elements(r.segments) WITH ORDINALITY s (e, n)),
    'schedules', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('target_version', s.target_version,
                      'cron_expression', s.cron_expression, 'timezone', s.timezone, 'deployment_strategy', s.deployment_strategy,
                      'validation_rules', s.validation_rules, 'allow_prerelease', s.allow_prerelease) ORDER BY p.schedule_no), '[]')
                  FROM model_mgr.schedule_plan p JOIN model_mgr.schedule s ON s.schedule_id = p.schedule_id WHERE p.model_id = m.model_id))
    AS document
FROM model_mgr.model m JOIN model_mgr.routing r ON r.model_id = m.model_id;
COMMENT ON VIEW model_mgr.registry_document IS
'Each model as export_registry() writes it: without history, ids of this database and pins.';
COMMENT ON COLUMN model_mgr.registry_document.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.registry_document.document IS 'Its entry in the document''s list of models.';

CREATE FUNCTION model_mgr.export_registry(model_name text DEFAULT NULL) RETURNS jsonb
LANGUAGE SQL STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN export_registry.model_name IS NULL OR count(*) > 0 THEN
        jsonb_build_object('format', 1, 'models', coalesce(jsonb_agg(d.document ORDER BY d.model_name COLLATE "C"), '[]')) END
    FROM model_mgr.registry_document d WHERE export_registry.model_name IS NULL OR d.model_name = export_registry.model_name;
END;
COMMENT ON FUNCTION model_mgr.export_registry(text) IS
'The registry, or one model of it, as one document for import_registry(): models with salt and active version, versions with status, tags and approvals, aliases, approval rules, thresholds, segments and schedules; "format" is 1. Deployments, outcomes, audit log, tests and pins are no part of it: pg_dump keeps those. The same registry gives the same document. NULL for an unknown model.';

CREATE FUNCTION model_mgr.import_registry(document jsonb) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_import_registry' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.import_registry(jsonb) IS
'Makes what export_registry() wrote and returns how many versions were new. Into an empty registry: exporting again gives the same document. Into one that is not: what is missing is added, what is there stays, and all of it or nothing. Every value is checked as by the function that makes it. The active version is deployed at once, without rules and approvals. Errors: 42710 a model or version of that name differs in what routes or identifies it (the DETAIL says how), 22023 another format, a missing or unknown key or a bad word, 22P02 a value of the wrong JSON type, 22004 null where there must be a value, 42704 a role or validator that this database has not, 42602 and 42622 bad names, 22003 out of range, 54000 too many.';

CREATE FUNCTION model_mgr.backup_registry(file_name text) RETURNS text
AS 'MODULE_PATHNAME', 'mm_backup_registry' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.backup_registry(text) IS
'Writes export_registry() to a file of the server, whole or not at all, readable by the server''s user alone, and returns its path. The name is one below model_mgr.backup_directory; an absolute path needs pg_write_server_files. A file of that name is replaced. Errors: 55000 no backup_directory, 22023 ".." or a directory, 42939 a name of the form that maintain() gives to its backups, 42501 absolute path, 22004, 42602, 42622 bad names, those of the file system, 25006 on a standby.';

CREATE FUNCTION model_mgr.redis_mirror(key_prefix text DEFAULT 'models:') RETURNS text
AS 'MODULE_PATHNAME', 'mm_redis_mirror' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.redis_mirror(text) IS
'Commands of Redis'' protocol, for redis-cli --pipe, that replace the keys under a prefix (1 to 255 bytes) by the present state in one transaction: <prefix>registry, <prefix>active and <prefix>routing, each a hash with a field a model: its entry of export_registry(), the active version, and what routes its units. Names are written in UTF-8 with their lengths: fetch it with client_encoding UTF8. Errors: 42602, 42622 bad prefix.';
