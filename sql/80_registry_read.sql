-- 80_registry_read: looking at models and versions. Runs as the caller, over the tables that the roles may read; an
-- unknown name gives no row or NULL.

CREATE FUNCTION model_mgr.get_model_version(model_name text, version text) RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(get_model_version.model_name, 'model_name'),
           model_mgr.check_required(get_model_version.version, 'version');
    SELECT v.* FROM model_mgr.model_version v
    WHERE v.model_name = get_model_version.model_name AND v.version = get_model_version.version
    UNION ALL
    SELECT v.* FROM model_mgr.model m
    JOIN model_mgr.model_alias a ON a.model_id = m.model_id
    JOIN model_mgr.model_version v ON v.version_id = a.version_id
    WHERE pg_catalog.starts_with(get_model_version.version, '@') AND m.model_name = get_model_version.model_name
      AND a.alias = pg_catalog.substr(get_model_version.version, 2);
END;
COMMENT ON FUNCTION model_mgr.get_model_version(text, text) IS
'The version, or no row. Takes @alias. Errors: 22004.';

CREATE FUNCTION model_mgr.get_active_model(model_name text) RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(get_active_model.model_name, 'model_name');
    SELECT v.* FROM model_mgr.model_version v
    WHERE v.model_name = get_active_model.model_name AND v.status = 'active';
END;
COMMENT ON FUNCTION model_mgr.get_active_model(text) IS
'The version that serves the model (during a rollout: its baseline), or no row when nothing is active. Errors: 22004.';

CREATE FUNCTION model_mgr.list_model_versions(model_name text) RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(list_model_versions.model_name, 'model_name');
    SELECT v.* FROM model_mgr.model_version v
    WHERE v.model_name = list_model_versions.model_name
    ORDER BY model_mgr.version_order(v.version), v.created_at, v.version_id;
END;
COMMENT ON FUNCTION model_mgr.list_model_versions(text) IS
'All versions of a model in ascending order: texts that are no version first, by time of creation, then by SemVer precedence; the newest is last. Errors: 22004.';

CREATE FUNCTION model_mgr.list_all_models() RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT v.* FROM model_mgr.model_version v
    ORDER BY v.model_name COLLATE "C", model_mgr.version_order(v.version), v.created_at, v.version_id;
END;
COMMENT ON FUNCTION model_mgr.list_all_models() IS
'All versions of all models: by model name (bytewise), then in the order of list_model_versions().';

CREATE FUNCTION model_mgr.resolve_version(model_name text, version text, allow_prerelease boolean DEFAULT false) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(resolve_version.model_name, 'model_name'),
           model_mgr.check_required(resolve_version.version, 'version');
    SELECT CASE
        WHEN resolve_version.version = 'latest' THEN (
            SELECT v.version FROM model_mgr.model_version v
            WHERE v.model_name = resolve_version.model_name
              AND v.status = ANY ('{pending,ready,active,inactive}'::text[])
              AND (coalesce(resolve_version.allow_prerelease, false) OR NOT model_mgr.is_prerelease(v.version))
            ORDER BY model_mgr.version_order(v.version) DESC, v.created_at DESC, v.version_id DESC LIMIT 1)
        WHEN resolve_version.version = 'stable' THEN (
            SELECT v.version FROM model_mgr.get_active_model(resolve_version.model_name) v)
        WHEN resolve_version.version = 'previous' THEN (
            SELECT v.version FROM model_mgr.routing r
            JOIN model_mgr.routing_history h ON h.model_id = r.model_id
            JOIN model_mgr.model_version v ON v.version_id = h.stable_version_id
            WHERE r.model_name = resolve_version.model_name
              AND h.stable_version_id IS DISTINCT FROM r.stable_version_id
              AND v.status <> ALL ('{rolled_back,failed,archived}'::text[])
            ORDER BY h.revision DESC LIMIT 1)
        ELSE (SELECT v.version FROM model_mgr.get_model_version(resolve_version.model_name, resolve_version.version) v)
        END;
END;
COMMENT ON FUNCTION model_mgr.resolve_version(text, text, boolean) IS
'The version text that a word stands for: latest = highest of pending, ready, active, inactive (pre-releases only with allow_prerelease); stable = the active one; previous = the last other one that was active and was not rolled back, failed or archived since; @alias; else the version itself. NULL when there is none. Errors: 22004.';

CREATE FUNCTION model_mgr.lineage(model_name text, version text)
RETURNS TABLE (depth integer, version text, parent_version text, status text, created_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required($1, 'model_name'), model_mgr.check_required($2, 'version');
    WITH RECURSIVE line AS (
        SELECT 0 AS depth, v.model_id, v.version, v.parent_version, v.status, v.created_at
        FROM model_mgr.get_model_version($1, $2) v
        UNION ALL
        SELECT l.depth + 1, p.model_id, p.version, p.parent_version, p.status, p.created_at
        FROM line l JOIN model_mgr.model_version p ON p.model_id = l.model_id AND p.version = l.parent_version)
    SELECT l.depth, l.version, l.parent_version, l.status, l.created_at FROM line l ORDER BY l.depth;
END;
COMMENT ON FUNCTION model_mgr.lineage(text, text) IS
'The version (depth 0), its parent (depth 1) and so on up to the first ancestor; no row for an unknown name. Takes @alias. Errors: 22004.';

CREATE FUNCTION model_mgr.diff_configuration(model_name text, version_a text, version_b text)
RETURNS TABLE (path text, value_a text, value_b text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required($1, 'model_name'), model_mgr.check_required($2, 'version_a'),
           model_mgr.check_required($3, 'version_b');
    -- objects are opened down to their leaves; arrays are leaves, and objects that are empty where the other has none
    WITH RECURSIVE pair AS MATERIALIZED (
        SELECT a.configuration AS a, b.configuration AS b
        FROM model_mgr.get_model_version($1, $2) a, model_mgr.get_model_version($1, $3) b),
    node AS (
        SELECT 'a' AS side, NULL::text AS path, p.a AS value FROM pair p
        UNION ALL
        SELECT 'b', NULL, p.b FROM pair p
        UNION ALL
        SELECT n.side,
               pg_catalog.concat_ws('.', n.path, CASE WHEN e.key ~ '^[[:alnum:]_-]+$' THEN e.key
                                                      ELSE pg_catalog.to_jsonb(e.key)::text END),
               e.value
        FROM node n, LATERAL pg_catalog.jsonb_each(n.value) e
        WHERE pg_catalog.jsonb_typeof(n.value) = 'object'),
    leaf AS (
        SELECT n.side, n.path, n.value FROM node n
        WHERE n.path IS NOT NULL
          AND (pg_catalog.jsonb_typeof(n.value) <> 'object'
               OR n.value = '{}' AND NOT EXISTS (
                   SELECT FROM node o WHERE o.path = n.path AND o.side <> n.side
                   AND pg_catalog.jsonb_typeof(o.value) = 'object')))
    SELECT coalesce(x.path, y.path),
           CASE WHEN x.value #>> '{}' IS DISTINCT FROM y.value #>> '{}'
                THEN coalesce(x.value #>> '{}', x.value::text) ELSE x.value::text END,
           CASE WHEN x.value #>> '{}' IS DISTINCT FROM y.value #>> '{}'
                THEN coalesce(y.value #>> '{}', y.value::text) ELSE y.value::text END
    FROM (SELECT l.* FROM leaf l WHERE l.side = 'a') x
    FULL JOIN (SELECT l.* FROM leaf l WHERE l.side = 'b') y ON y.path = x.path
    WHERE x.value IS DISTINCT FROM y.value
    ORDER BY coalesce(x.path, y.path) COLLATE "C";
END;
COMMENT ON FUNCTION model_mgr.diff_configuration(text, text, text) IS
'The leaves in which two configurations differ, by path (custom_parameters.cheaper_model; keys with other signs than letters, digits, _ and - are quoted). NULL: not in that version; strings without quotes unless only the JSON type differs; arrays whole. No row when they are equal or one is unknown. Takes @alias. Errors: 22004.';

CREATE FUNCTION model_mgr.get_model_statistics() RETURNS TABLE (metric_name text, value float8)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 7 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH registered AS (
        SELECT count(*) AS versions, count(*) FILTER (WHERE v.status = 'active') AS active
        FROM model_mgr.model_version v),
    rolled_out AS (
        SELECT count(*) AS total, count(*) FILTER (WHERE d.status = 'rolled_back') AS rollbacks,
               count(*) FILTER (WHERE d.status = ANY
                   ('{pending,running,paused,awaiting_approval,promoting}'::text[])) AS open
        FROM model_mgr.deployment d),
    -- the day that ends now: whole hours, and minutes before the first of them and where hours do not reach yet
    day AS (
        SELECT model_mgr.clock_time() - '24:00:00'::interval AS since, model_mgr.clock_time() AS until,
               pg_catalog.date_bin('1 hour', model_mgr.clock_time() - '23:00:00.000001'::interval, '2000-01-01 00:00:00+00') AS hour,
               (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1) AS hours_until),
    -- what is folded by index, version by version: its cost must not grow with history
    requested AS (
        SELECT coalesce(pg_catalog.sum(f.requests), 0)
               + (SELECT coalesce(pg_catalog.sum(t.requests), 0) FROM model_mgr.rollup_tail_sums() t, day d
                  WHERE t.bucket >= d.since AND t.bucket < d.until) AS requests
        FROM day d, model_mgr.model_version v, LATERAL (
            SELECT pg_catalog.sum(h.requests) AS requests FROM model_mgr.rollup_hour h
            WHERE h.version_id = v.version_id AND h.bucket >= d.hour AND h.bucket < d.until
            UNION ALL
            SELECT pg_catalog.sum(m.requests) FROM model_mgr.rollup_minute m
            WHERE m.version_id = v.version_id AND m.bucket >= d.since AND m.bucket < least(d.hour, d.hours_until)
            UNION ALL
            SELECT pg_catalog.sum(m.requests) FROM model_mgr.rollup_minute m
            WHERE m.version_id = v.version_id AND m.bucket >= greatest(d.since, d.hours_until) AND m.bucket < d.until) f)
    SELECT k.metric_name, k.value::float8
    FROM registered v, rolled_out d, requested q,
         LATERAL (VALUES (1, 'models', (SELECT count(*) FROM model_mgr.model)), (2, 'versions', v.versions),
             (3, 'active_versions', v.active), (4, 'deployments_open', d.open), (5, 'deployments_total', d.total),
             (6, 'rollbacks_total', d.rollbacks), (7, 'requests_24h', q.requests)) AS k (n, metric_name, value)
    ORDER BY k.n;
END;
COMMENT ON FUNCTION model_mgr.get_model_statistics() IS
'Counts: models, versions, active_versions, deployments_open (not ended, baking included), deployments_total, rollbacks_total (deployments taken back), requests_24h (recorded in the minutes of the last 24 hours).';

CREATE FUNCTION model_mgr.get_model_statistics_json() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_object_agg(s.metric_name, s.value) FROM model_mgr.get_model_statistics() s;
END;
COMMENT ON FUNCTION model_mgr.get_model_statistics_json() IS 'get_model_statistics() as one JSON object.';
