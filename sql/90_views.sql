-- 90_views: flat views for people and BI tools over versions, aliases and the audit log; the others stand with their
-- domain. One statement is one snapshot: rollups and the rows not folded yet are read together.

CREATE VIEW model_mgr.model_version_list AS
SELECT v.model_id, v.version_id, v.model_name, v.version, v.description, v.configuration, v.artifact_uri,
       v.artifact_digest, v.parent_version, v.tags, v.labels, v.status, v.status_reason, v.created_by, v.created_at,
       v.configuration ->> 'provider' AS provider,
       ARRAY(SELECT a.alias::text FROM model_mgr.model_alias a WHERE a.version_id = v.version_id ORDER BY a.alias) AS aliases,
       CASE WHEN r.candidate_version_id = v.version_id THEN r.candidate_weight / 100.0::float8
            WHEN r.stable_version_id = v.version_id THEN 100.0::float8 - r.candidate_weight / 100.0::float8
            ELSE 0.0::float8 END AS traffic_percentage,
       (SELECT count(*) FROM model_mgr.deployment_plan p WHERE p.version_id = v.version_id) AS deployments,
       n.requests, n.successes / nullif(n.known, 0)::float8 AS success_rate,
       n.response_time_sum / nullif(n.response_time_count, 0) AS avg_response_time,
       CASE WHEN n.cost_count > 0 THEN n.cost_sum END AS cost
FROM model_mgr.model_version v
LEFT JOIN model_mgr.routing r ON r.model_id = v.model_id
-- what is folded, by index for the versions that are asked for; what is not folded yet, once
LEFT JOIN LATERAL (
    SELECT pg_catalog.sum(m.requests) AS requests, pg_catalog.sum(m.known) AS known,
           pg_catalog.sum(m.successes) AS successes, pg_catalog.sum(m.response_time_count) AS response_time_count,
           pg_catalog.sum(m.response_time_sum) AS response_time_sum, pg_catalog.sum(m.cost_count) AS cost_count,
           pg_catalog.sum(m.cost_sum) AS cost_sum
    FROM model_mgr.rollup_folded m WHERE m.version_id = v.version_id) f ON true
LEFT JOIN (
    SELECT m.version_id, pg_catalog.sum(m.requests) AS requests, pg_catalog.sum(m.known) AS known,
           pg_catalog.sum(m.successes) AS successes, pg_catalog.sum(m.response_time_count) AS response_time_count,
           pg_catalog.sum(m.response_time_sum) AS response_time_sum, pg_catalog.sum(m.cost_count) AS cost_count,
           pg_catalog.sum(m.cost_sum) AS cost_sum
    FROM model_mgr.rollup_tail_sums() m GROUP BY m.version_id) t ON t.version_id = v.version_id
CROSS JOIN LATERAL (
    SELECT (coalesce(f.requests, 0) + coalesce(t.requests, 0))::bigint AS requests,
           (coalesce(f.known, 0) + coalesce(t.known, 0))::bigint AS known,
           (coalesce(f.successes, 0) + coalesce(t.successes, 0))::bigint AS successes,
           (coalesce(f.response_time_count, 0) + coalesce(t.response_time_count, 0))::bigint AS response_time_count,
           coalesce(f.response_time_sum, 0.0) + coalesce(t.response_time_sum, 0.0) AS response_time_sum,
           (coalesce(f.cost_count, 0) + coalesce(t.cost_count, 0))::bigint AS cost_count,
           coalesce(f.cost_sum, 0.0) + coalesce(t.cost_sum, 0.0) AS cost_sum) n;
COMMENT ON VIEW model_mgr.model_version_list IS
'One row a version, with what it serves and has done. Filter by model_name or version_id: both are indexed.';
COMMENT ON COLUMN model_mgr.model_version_list.model_id IS 'Id of the model.';
COMMENT ON COLUMN model_mgr.model_version_list.version_id IS 'Id of the version, as in observation.';
COMMENT ON COLUMN model_mgr.model_version_list.model_name IS 'The name that callers route by.';
COMMENT ON COLUMN model_mgr.model_version_list.version IS 'Version text, as given.';
COMMENT ON COLUMN model_mgr.model_version_list.description IS 'Free text.';
COMMENT ON COLUMN model_mgr.model_version_list.configuration IS 'Provider, model and parameters; never changes.';
COMMENT ON COLUMN model_mgr.model_version_list.artifact_uri IS 'Where the model''s files are.';
COMMENT ON COLUMN model_mgr.model_version_list.artifact_digest IS 'Digest of those files.';
COMMENT ON COLUMN model_mgr.model_version_list.parent_version IS 'The version of the same model that this one came from.';
COMMENT ON COLUMN model_mgr.model_version_list.tags IS 'Words to find it by.';
COMMENT ON COLUMN model_mgr.model_version_list.labels IS 'Keys and values, free.';
COMMENT ON COLUMN model_mgr.model_version_list.status IS
'pending, validating, ready, deploying, active, inactive, rolled_back, failed or archived.';
COMMENT ON COLUMN model_mgr.model_version_list.status_reason IS 'Why it has that status, where somebody or something said so.';
COMMENT ON COLUMN model_mgr.model_version_list.created_by IS 'Who registered it.';
COMMENT ON COLUMN model_mgr.model_version_list.created_at IS 'When it was registered.';
COMMENT ON COLUMN model_mgr.model_version_list.provider IS 'Key provider of the configuration.';
COMMENT ON COLUMN model_mgr.model_version_list.aliases IS 'Aliases that name it now, without @.';
COMMENT ON COLUMN model_mgr.model_version_list.traffic_percentage IS
'Its share of the model''s requests now, 0 to 100, pins and segments aside.';
COMMENT ON COLUMN model_mgr.model_version_list.deployments IS 'How often it was deployed.';
COMMENT ON COLUMN model_mgr.model_version_list.requests IS 'Requests recorded for it and kept.';
COMMENT ON COLUMN model_mgr.model_version_list.success_rate IS
'Successes among outcomes whose success is known, 0 to 1; NULL while none is.';
COMMENT ON COLUMN model_mgr.model_version_list.avg_response_time IS 'Mean response time in seconds; NULL while none is recorded.';
COMMENT ON COLUMN model_mgr.model_version_list.cost IS 'Sum of the recorded costs; NULL while none is recorded.';

CREATE VIEW model_mgr.alias_list AS
SELECT a.model_name, a.alias, a.version, a.version_id, v.status, a.set_by, a.set_at
FROM model_mgr.model_alias a JOIN model_mgr.model_version v ON v.version_id = a.version_id;
COMMENT ON VIEW model_mgr.alias_list IS 'One row an alias: movable names of versions.';
COMMENT ON COLUMN model_mgr.alias_list.model_name IS 'Model that the alias belongs to.';
COMMENT ON COLUMN model_mgr.alias_list.alias IS 'The alias, written @alias where a version is expected.';
COMMENT ON COLUMN model_mgr.alias_list.version IS 'The version that it names now.';
COMMENT ON COLUMN model_mgr.alias_list.version_id IS 'Id of that version.';
COMMENT ON COLUMN model_mgr.alias_list.status IS 'Status of that version.';
COMMENT ON COLUMN model_mgr.alias_list.set_by IS 'Who set it last.';
COMMENT ON COLUMN model_mgr.alias_list.set_at IS 'When it was set last.';

CREATE VIEW model_mgr.audit_list AS
SELECT l.audit_id, l.logged_at, l.operation, l.model_name, l.version, l.user_name, l.caller, l.session_id,
       l.application_name, l.client_address, l.txn, l.details,
       EXISTS (SELECT FROM model_mgr.audit_seal s WHERE s.audit_id = l.audit_id) AS sealed
FROM model_mgr.audit_log l;
COMMENT ON VIEW model_mgr.audit_list IS 'Who changed what, from where, with the numbers.';
COMMENT ON COLUMN model_mgr.audit_list.audit_id IS 'Id of the entry.';
COMMENT ON COLUMN model_mgr.audit_list.logged_at IS 'Real time of the change, whatever model_mgr.clock says.';
COMMENT ON COLUMN model_mgr.audit_list.operation IS 'What was done: create, deploy, rollback, archive, ...; of log_operation() the application''s own word.';
COMMENT ON COLUMN model_mgr.audit_list.model_name IS 'Model concerned; kept after the model is deleted.';
COMMENT ON COLUMN model_mgr.audit_list.version IS 'Version concerned.';
COMMENT ON COLUMN model_mgr.audit_list.user_name IS 'session_user: who had logged in; of log_operation() whom the application named.';
COMMENT ON COLUMN model_mgr.audit_list.caller IS 'current_user at the call.';
COMMENT ON COLUMN model_mgr.audit_list.session_id IS 'Session as in the server log (%c).';
COMMENT ON COLUMN model_mgr.audit_list.application_name IS 'application_name of the session.';
COMMENT ON COLUMN model_mgr.audit_list.client_address IS 'Address of the client; NULL for a local socket.';
COMMENT ON COLUMN model_mgr.audit_list.txn IS 'Key of the transaction, as in observation.';
COMMENT ON COLUMN model_mgr.audit_list.details IS 'What was before and after, or the numbers.';
COMMENT ON COLUMN model_mgr.audit_list.sealed IS 'Whether the entry is part of the sealed chain yet; the next tick sees to it.';
