-- 81_people: for people in psql: the settings beside the environment variables that others know them by, who one is here,
-- and what there is.

-- The function knows the settings from a session's first statement on (pg_settings lists them once the library is loaded).
CREATE VIEW model_mgr.settings AS
SELECT 'model_mgr.' || s.short_name AS name, p.setting AS value,
       coalesce(p.unit, CASE WHEN s.short_name ~ '_days$' THEN 'd' WHEN s.short_name ~ '_hours$' THEN 'h'
                             WHEN s.short_name ~ '_minutes$' THEN 'min' WHEN s.short_name ~ '_seconds$' THEN 's' END) AS unit,
       p.boot_val AS default_value, e.environment_variable,
       p.short_desc || coalesce(' ' || p.extra_desc, '') AS description
FROM (SELECT model_mgr.model_mgr_version() AS version) loaded
CROSS JOIN LATERAL (SELECT q.*, pg_catalog.substr(q.name, 11) AS short_name FROM pg_catalog.pg_settings q
                    WHERE q.name ~ '^model_mgr\.' AND loaded.version IS NOT NULL) p
CROSS JOIN LATERAL (SELECT p.short_name) s
LEFT JOIN (VALUES ('retention_days', 'MODEL_RETENTION_DAYS'), ('backup_enabled', 'MODEL_BACKUP_ENABLED'),
                  ('backup_directory', 'MODEL_STORAGE_PATH'), ('ab_test_default_confidence', 'AB_TEST_DEFAULT_CONFIDENCE'),
                  ('ab_test_default_power', 'AB_TEST_DEFAULT_POWER'), ('ab_test_min_sample_size', 'AB_TEST_MIN_SAMPLE_SIZE'),
                  ('perf_monitor_interval_seconds', 'PERF_MONITOR_INTERVAL_SECONDS'),
                  ('perf_monitor_retention_hours', 'PERF_MONITOR_RETENTION_HOURS'),
                  ('perf_monitor_anomaly_sensitivity', 'PERF_MONITOR_ANOMALY_SENSITIVITY'),
                  ('update_max_concurrent', 'UPDATE_MAX_CONCURRENT'), ('update_check_interval_minutes', 'UPDATE_CHECK_INTERVAL_MINUTES'),
                  ('update_validation_timeout', 'UPDATE_VALIDATION_TIMEOUT')) e (short_name, environment_variable)
  ON e.short_name = s.short_name
ORDER BY 1;
COMMENT ON VIEW model_mgr.settings IS
'The settings of the extension, one row each, with this session''s values. Set them for the database (ALTER DATABASE ... SET), so that the tick sees them, or from the environment with model_mgr_environment.psql.';
COMMENT ON COLUMN model_mgr.settings.name IS 'As SET and SHOW want it.';
COMMENT ON COLUMN model_mgr.settings.value IS 'Value in this session.';
COMMENT ON COLUMN model_mgr.settings.unit IS 'Unit of the value: s, min, h, d; NULL: none.';
COMMENT ON COLUMN model_mgr.settings.default_value IS 'Value where nobody has set one.';
COMMENT ON COLUMN model_mgr.settings.environment_variable IS 'The variable that model_mgr_environment.psql sets it from; NULL: none.';
COMMENT ON COLUMN model_mgr.settings.description IS 'What it does.';

CREATE FUNCTION model_mgr.whoami() RETURNS TABLE (what text, value text)
AS 'MODULE_PATHNAME', 'mm_whoami' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 9;
COMMENT ON FUNCTION model_mgr.whoami() IS
'Who one is here and what one may: login, role, rights in words, models one is confined to, database, version, last tick, clock; one row each.';

-- A topic is a pattern of names; what help() says of each is the object's own COMMENT.
CREATE FUNCTION model_mgr.help_topics() RETURNS TABLE (topic text, description text, pattern text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 12 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT t.* FROM (VALUES
    ('registry', 'models, versions, aliases', '^(create_model_version|get_(model_version|active_model|model_statistics(_json)?)|list_(model_versions|all_models)|set_alias|delete_(alias|model|model_version)|resolve_version|(tag|update|archive)_model_version|mark_version_ready|set_model|lineage|diff_configuration|configuration_digest|model_configuration|version_order|is_prerelease|model_version_list|model_overview|alias_list)$'),
    ('deployment', 'rollouts, from deploy to rollback', '^(?!report_)(.*_deployments?|deploy_model_version|approve_step|rollback_model|freeze|replay_evidence|rollout_status|deployment_list|canary_status|backtest_rollout)$'),
    ('routing', 'which version serves a request', '^(route.*|bucket|explain_route|(un)?pin_unit|(set|drop)_segment|unit_hash|rule_list)$'),
    ('recording', 'outcomes of requests', '^(record_.*|update_model_metrics)$'),
    ('experiments', 'A/B tests', '^(create_test|stop_test|promote_winner|analyze_test|.*_test_(id|status|results|metrics|list|winner)|get_test_.*|list_active_tests|should_route_to_treatment|assigned_variant|ab_test_.*|shadow_pairs|replay_test_evidence|assert_ab_test_winner)$'),
    ('statistics', 'tests and summaries for any table', '^(z_test|t_test|mann_whitney_test|paired_t_test|mcnemar_test|cuped_test|two_proportion_z_test|welch_t?_?test|welch_test|anytime_ci|summarize|merge|summary_(count|sum|mean|variance|stddev|min|max|quantile)|normal_.*|student_t_.*|chi_square_sf|required_sample_size|achieved_power|detectable_effect|sample_ratio_p_value|sequential_boundary|adjust_p_values)$'),
    ('monitor', 'metrics, thresholds, alerts, anomalies', '^(get_(current_metrics|performance_trends|model_comparison)(_json)?|performance_threshold|(set|get)_thresholds|(add|remove)_metric_source|get_(active_alerts|alert_history)|acknowledge_alert|silence|anomaly_score|detect_anomalies|backtest_thresholds|alert_list|threshold_list|metric_(series|matrix|list|source_list))$'),
    ('events', 'callbacks, pollers, other monitors', '^(add_(alert|rollback)_callback|remove_callback|events_since|alertmanager_alerts|event_list|callback_list|cloudevents|otel_metrics|prom_.*)$'),
    ('updates', 'automated updates and their validators', '^(validation_rule|.*_update(s|_status)?|.*schedules?|unschedule_update|.*_automation_statistics(_json)?|(un)?register_validator|set_security_policy|validate_.*|security_validation|assert_update_succeeded|update_list|schedule_list|validator_list)$'),
    ('audit', 'who did what, sealed', '^(log_operation|seal_audit|verify_audit_log|export_audit|prune_audit|audit_list)$'),
    ('roles', 'rights, approvals, confinement', '^(setup_roles|grant_model|require_approvals|approve_model_version|approval_list|whoami|role_grant)$'),
    ('operation', 'the clockwork, health, reports, backups', '^(tick|work|maintain|run|start|stop|health_check|assert_healthy|.*dashboard|settings|help|model_mgr_version|clock_time|report.*|export_registry|import_registry|backup_(registry|status)|redis_mirror|registry_document|model_lock_list)$')
) t;
END;
COMMENT ON FUNCTION model_mgr.help_topics() IS 'Topics of help(), what each is about, and the names that belong to it as a regular expression.';

CREATE FUNCTION model_mgr.help(topic text DEFAULT NULL) RETURNS TABLE (name text, arguments text, description text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH object AS (
        SELECT p.proname::text COLLATE "default" AS name,
               pg_catalog.pg_get_function_arguments(p.oid) || CASE p.prokind WHEN 'p' THEN '' ELSE ' -> ' || pg_catalog.pg_get_function_result(p.oid) END AS arguments,
               pg_catalog.obj_description(p.oid, 'pg_proc') AS description
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'model_mgr')
        UNION ALL
        SELECT c.relname::text COLLATE "default", 'view', pg_catalog.obj_description(c.oid, 'pg_class')
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'model_mgr') AND c.relkind = 'v'),
    listed AS (
        SELECT t.topic AS in_topic, o.* FROM model_mgr.help_topics() t JOIN object o ON o.name ~ t.pattern)
    SELECT x.name, x.arguments, x.description
    FROM (SELECT t.topic AS name, count(l.name) || ' objects' AS arguments, t.description || pg_catalog.format(': SELECT * FROM model_mgr.help(%L)', t.topic) AS description, 1 AS kind
          FROM model_mgr.help_topics() t LEFT JOIN listed l ON l.in_topic = t.topic WHERE help.topic IS NULL GROUP BY 1, t.topic, t.description
          UNION ALL
          SELECT l.name, l.arguments, l.description, 2 FROM listed l WHERE l.in_topic = pg_catalog.lower(help.topic)
          UNION ALL
          SELECT DISTINCT l.name, l.arguments, l.description, 3 FROM listed l
          WHERE NOT EXISTS (SELECT FROM model_mgr.help_topics() t WHERE t.topic = pg_catalog.lower(help.topic))
            AND pg_catalog.strpos(pg_catalog.lower(l.name || ' ' || coalesce(l.description, '')), pg_catalog.lower(help.topic)) > 0) x
    ORDER BY x.kind, x.name;
END;
COMMENT ON FUNCTION model_mgr.help(text) IS
'Without a topic the topics; with one its functions, procedures and views, with arguments and what their COMMENTs say; any other word finds those that mention it.';
