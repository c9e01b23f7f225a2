-- import.sql: brings MLflow's model registry into model_mgr, from the tables of its SQL store (MLflow 2.x):
--   psql -d mydb -v schema=mlflow -f clients/mlflow/import.sql
-- schema (public) is where registered_models, model_versions, their tags and aliases, runs, params and latest_metrics are:
-- this database's own tables, or foreign tables (docs/migration-mlflow.md). Run it as an admin, as often as you like: what is
-- here stays, what is new is added, all of it or, when anything fails, nothing. The two tables that it prints say what was
-- imported, and what was not and why.
\set ON_ERROR_STOP on
\if :{?schema}
\else
	\set schema public
\endif
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL client_min_messages = warning;

-- What is left out, beside what else differs.
CREATE TEMP TABLE mlflow_note (model_name text, version text, what text, reason text) ON COMMIT DROP;

-- A name that model_mgr takes: 1 to 255 bytes, no control characters.
CREATE FUNCTION pg_temp.bad_name(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN name = '' THEN 'the name is empty' WHEN octet_length(name) > 255 THEN 'the name has more than 255 bytes'
	            WHEN name ~ '[\x01-\x1f\x7f]' THEN 'the name has control characters' END
$$;
-- Whether a run's parameter may be kept: keys that look like secrets may not, by the extension's own rule.
CREATE FUNCTION pg_temp.is_secret(key text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM model_mgr.model_configuration('mlflow', 'm', custom_parameters => jsonb_build_object(key, ''));
	RETURN false;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN true;
END
$$;
CREATE FUNCTION pg_temp.utc(milliseconds bigint) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT to_char(coalesce(to_timestamp(milliseconds / 1000.0), now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Parameters of the runs behind versions, without what looks like a secret.
CREATE TEMP TABLE mlflow_param ON COMMIT DROP AS
SELECT p.run_uuid, p.key, p.value, s.secret
FROM :"schema".params p
JOIN (SELECT k.key, pg_temp.is_secret(k.key) AS secret FROM (SELECT DISTINCT key FROM :"schema".params) k) s USING (key)
WHERE p.run_uuid IN (SELECT v.run_id FROM :"schema".model_versions v);

-- Versions as model_mgr has them. The registry's own location goes before the source, and runs:/ID/path is looked up.
CREATE TEMP TABLE mlflow_version ON COMMIT DROP AS
SELECT v.name AS model_name, v.version AS number, v.version::text AS version, v.current_stage AS stage, v.status AS state, v.status_message,
	CASE WHEN pg_temp.bad_name(v.user_id) IS NULL AND v.user_id IS NOT NULL THEN v.user_id WHEN pg_temp.bad_name(r.user_id) IS NULL AND r.user_id IS NOT NULL THEN r.user_id
	     ELSE 'mlflow' END AS created_by, pg_temp.utc(v.creation_time) AS created_at, v.description,
	coalesce(nullif(v.storage_location, ''),
		CASE WHEN v.source ~ '^runs:/[^/]+/' AND r.artifact_uri IS NOT NULL THEN r.artifact_uri || regexp_replace(v.source, '^runs:/[^/]+', '') END,
		nullif(v.source, '')) AS artifact_uri,
	(SELECT coalesce(jsonb_object_agg(p.key, p.value), '{}') FROM mlflow_param p WHERE p.run_uuid = v.run_id AND NOT p.secret) AS parameters,
	(SELECT coalesce(jsonb_object_agg(t.key, coalesce(t.value, '')), '{}') FROM :"schema".model_version_tags t WHERE t.name = v.name AND t.version = v.version)
	|| jsonb_build_object('mlflow', jsonb_strip_nulls(jsonb_build_object('run_id', nullif(v.run_id, ''), 'source', v.source, 'stage', v.current_stage,
		'metrics', (SELECT jsonb_object_agg(m.key, CASE WHEN NOT m.is_nan THEN m.value END) FROM :"schema".latest_metrics m WHERE m.run_uuid = v.run_id)))) AS labels,
	h.version IS NOT NULL AS here, h.status AS status_here,
	coalesce(pg_temp.bad_name(v.name), CASE
		WHEN v.status = 'PENDING_REGISTRATION' THEN 'its registration is not finished; import again'
		WHEN v.current_stage = 'Deleted_Internal' THEN 'it was deleted in MLflow' END) AS reason
FROM :"schema".model_versions v
LEFT JOIN :"schema".runs r ON r.run_uuid = v.run_id
LEFT JOIN model_mgr.model_version h ON h.model_name = v.name AND h.version = v.version::text;

INSERT INTO mlflow_note SELECT model_name, version, 'version', reason FROM mlflow_version WHERE reason IS NOT NULL;
INSERT INTO mlflow_note SELECT v.model_name, v.version, 'parameter ' || p.key, 'it looks like a secret: keep a reference to your vault instead'
FROM mlflow_version v JOIN :"schema".model_versions o ON o.name = v.model_name AND o.version = v.number JOIN mlflow_param p ON p.run_uuid = o.run_id
WHERE p.secret AND v.reason IS NULL AND NOT v.here;
INSERT INTO mlflow_note SELECT m.name, NULL, 'model', coalesce(pg_temp.bad_name(m.name), 'it has no version to import')
FROM :"schema".registered_models m
WHERE pg_temp.bad_name(m.name) IS NOT NULL OR NOT EXISTS (SELECT FROM mlflow_version v WHERE v.model_name = m.name AND v.reason IS NULL);

-- The highest version in Production is the active one of a model that serves nobody here yet; others in Production become
-- inactive, and so do all when the model serves already: whom it serves is decided by a rollout here.
CREATE TEMP TABLE mlflow_model ON COMMIT DROP AS
SELECT m.name AS model_name, m.description, pg_temp.utc(m.creation_time) AS created_at, d.document, EXISTS (SELECT FROM model_mgr.model_version s
		WHERE s.model_name = m.name AND s.status IN ('active', 'deploying', 'inactive', 'rolled_back')) AS served,
	(SELECT coalesce(jsonb_object_agg(t.key, coalesce(t.value, '')), '{}') FROM :"schema".registered_model_tags t WHERE t.name = m.name) AS labels,
	(SELECT v.version FROM mlflow_version v WHERE v.model_name = m.name AND v.reason IS NULL AND v.stage = 'Production' AND v.state IS DISTINCT FROM 'FAILED_REGISTRATION'
	 ORDER BY v.number DESC LIMIT 1) AS production,
	(SELECT v.created_by FROM mlflow_version v WHERE v.model_name = m.name AND v.reason IS NULL ORDER BY v.number LIMIT 1) AS created_by
FROM :"schema".registered_models m LEFT JOIN model_mgr.registry_document d ON d.model_name = m.name
WHERE NOT EXISTS (SELECT FROM mlflow_note n WHERE n.model_name = m.name AND n.what = 'model');

-- Aliases, and one for each stage: Production's goes where MLflow's readers of "models:/name/Production" are led.
CREATE TEMP TABLE mlflow_alias ON COMMIT DROP AS
SELECT a.name AS model_name, a.alias, a.version::text AS version, h.version AS version_here,
	CASE WHEN v.version IS NULL OR v.reason IS NOT NULL THEN 'its version is not imported'
	     WHEN lower(a.alias) IN ('latest', 'stable', 'previous') THEN 'the word is reserved here'
	     WHEN a.alias ~ '^@' THEN 'a name may not begin with @' ELSE pg_temp.bad_name(a.alias) END AS reason
FROM (SELECT name, alias, version FROM :"schema".registered_model_aliases
      UNION ALL
      SELECT s.model_name, lower(s.stage), max(s.number) FROM mlflow_version s WHERE s.reason IS NULL AND s.stage IN ('Production', 'Staging')
        AND s.state IS DISTINCT FROM 'FAILED_REGISTRATION' AND NOT EXISTS (SELECT FROM :"schema".registered_model_aliases o WHERE o.name = s.model_name AND o.alias = lower(s.stage))
      GROUP BY 1, 2) a
LEFT JOIN mlflow_version v ON v.model_name = a.name AND v.number = a.version
LEFT JOIN model_mgr.model_alias h ON h.model_name = a.name AND h.alias = a.alias
WHERE EXISTS (SELECT FROM mlflow_model m WHERE m.model_name = a.name);
INSERT INTO mlflow_note SELECT model_name, version, 'alias ' || alias, coalesce(reason, format('it names version %s here', version_here))
FROM mlflow_alias WHERE reason IS NOT NULL OR version_here <> version;

-- What MLflow has moved on since it was imported, and the rollouts here have not.
INSERT INTO mlflow_note SELECT v.model_name, v.version, 'stage ' || v.stage, format('the version is %s here: deploy_model_version() decides who serves', v.status_here)
FROM mlflow_version v JOIN mlflow_model m USING (model_name)
WHERE v.here AND v.reason IS NULL AND m.served AND v.version = m.production AND v.status_here <> 'active';
INSERT INTO mlflow_note SELECT v.model_name, v.version, 'stage Production', 'the model serves already: it was imported as inactive'
FROM mlflow_version v JOIN mlflow_model m USING (model_name) WHERE NOT v.here AND v.reason IS NULL AND v.stage = 'Production' AND m.served;

-- One document of what is here and what is new, imported by import_registry(): it checks every value, keeps the times, and
-- writes the audit log. A model that is here stands in it as it is.
CREATE TEMP TABLE mlflow_entry ON COMMIT DROP AS
SELECT m.model_name, coalesce(m.document, jsonb_build_object('model_name', m.model_name, 'description', m.description, 'owner', NULL, 'labels', m.labels,
		'created_by', m.created_by, 'created_at', m.created_at, 'salt', replace(gen_random_uuid()::text, '-', ''), 'approvals', NULL,
		'thresholds', '[]'::jsonb, 'segments', '[]'::jsonb, 'schedules', '[]'::jsonb))
	|| jsonb_build_object(
		'active_version', CASE WHEN m.served THEN m.document -> 'active_version' ELSE to_jsonb(m.production) END,
		'versions', (SELECT coalesce(jsonb_agg(CASE WHEN e.value ->> 'version' = m.production AND NOT m.served THEN e.value || '{"status": "active"}' ELSE e.value END), '[]')
		             FROM jsonb_array_elements(m.document -> 'versions') e)
		|| (SELECT coalesce(jsonb_agg(jsonb_build_object(
				'version', v.version, 'description', v.description, 'artifact_uri', v.artifact_uri, 'artifact_digest', NULL, 'parent_version', NULL, 'tags', '[]'::jsonb,
				'configuration', jsonb_build_object('provider', 'mlflow', 'model_name', v.model_name, 'model_version', v.version, 'custom_parameters', v.parameters),
				'labels', v.labels, 'created_by', v.created_by, 'creator_login', NULL, 'created_at', v.created_at, 'approvals', '[]'::jsonb,
				'status', CASE WHEN v.state = 'FAILED_REGISTRATION' THEN 'failed' WHEN v.version = m.production AND NOT m.served THEN 'active'
				               WHEN v.stage = 'Production' THEN 'inactive' WHEN v.stage = 'Staging' THEN 'ready' WHEN v.stage = 'Archived' THEN 'archived'
				               ELSE 'pending' END,
				'status_reason', CASE WHEN v.state = 'FAILED_REGISTRATION' THEN coalesce(nullif(v.status_message, ''), 'its registration failed in MLflow')
				                      ELSE 'stage ' || coalesce(v.stage, 'None') || ' in MLflow' END) ORDER BY v.number), '[]')
			FROM mlflow_version v WHERE v.model_name = m.model_name AND v.reason IS NULL AND NOT v.here),
		'aliases', (SELECT coalesce(jsonb_object_agg(a.alias, a.version), '{}') FROM mlflow_alias a WHERE a.model_name = m.model_name AND a.reason IS NULL)
			|| coalesce(m.document -> 'aliases', '{}')) AS entry
FROM mlflow_model m;

\echo Imported:
SELECT model_mgr.import_registry(jsonb_build_object('format', 1, 'models', coalesce(jsonb_agg(e.entry ORDER BY e.model_name COLLATE "C"), '[]'))) AS new_versions,
	count(*) AS models FROM mlflow_entry e;
\echo Left out, or different here:
SELECT model_name, version, what, reason FROM mlflow_note ORDER BY model_name COLLATE "C", nullif(version, '')::bigint NULLS FIRST, what COLLATE "C";
COMMIT;
