-- 99_rights: who may do what. Nothing is granted by this script but USAGE of the schema to PUBLIC; setup_roles()
-- makes the four roles and grants them what the one list below says.

-- Every function and procedure but those of triggers has a row. Kinds: reader (looks), app (routes and records),
-- operator (deploys; has the rights of reader and app too), admin (everything). A new function is not finished
-- without its row.
CREATE VIEW model_mgr.role_grant AS
WITH routine (routine_name, kinds) AS (VALUES
    -- 20_registry
    ('model_configuration', 'reader'),
    ('create_model_version', 'operator'),
    ('get_model_version', 'reader'),
    ('get_active_model', 'reader'),
    ('list_model_versions', 'reader'),
    ('list_all_models', 'reader'),
    ('set_alias', 'operator'),
    ('delete_alias', 'operator'),
    ('resolve_version', 'reader'),
    ('tag_model_version', 'operator'),
    ('update_model_version', 'operator'),
    ('archive_model_version', 'operator'),
    ('mark_version_ready', 'operator'),
    ('set_model', 'operator'),
    ('delete_model_version', 'operator'),
    ('delete_model', 'operator'),
    ('lineage', 'reader'),
    ('diff_configuration', 'reader'),
    ('configuration_digest', 'reader'),
    ('version_order', 'reader'),
    ('is_prerelease', 'reader'),
    ('check_required', 'reader'),
    ('check_range', 'reader'),
    ('get_model_statistics', 'reader'),
    ('get_model_statistics_json', 'reader'),
    -- 25_audit
    ('log_operation', 'app'),
    ('seal_audit', 'operator'),
    ('verify_audit_log', 'reader'),
    ('export_audit', 'reader'),
    ('prune_audit', 'admin'),
    -- 26_trust
    ('is_member', 'reader'),
    ('require_approvals', 'admin'),
    ('approve_model_version', 'operator'),
    ('grant_model', 'admin'),
    -- 30_deployment
    ('deploy_model_version', 'operator'),
    ('promote_deployment', 'operator'),
    ('approve_step', 'operator'),
    ('freeze', 'operator'),
    ('pause_deployment', 'operator'),
    ('resume_deployment', 'operator'),
    ('abort_deployment', 'operator'),
    ('adjust_deployment', 'operator'),
    ('open_deployment', 'reader'),
    ('rollback_model', 'operator'),
    ('get_deployment', 'reader'),
    ('list_deployments', 'reader'),
    ('explain_deployment', 'reader'),
    ('rollout_status', 'reader'),
    ('replay_evidence', 'reader'),
    -- 72_experiment
    ('create_test', 'operator'),
    ('record_result', 'app'),
    ('record_results', 'app'),
    ('test_place', 'reader'),
    ('test_values_transition', 'reader'),
    ('test_values_final', 'reader'),
    ('test_values', 'reader'),
    ('test_anchors_transition', 'reader'),
    ('test_anchors_final', 'reader'),
    ('test_anchors', 'reader'),
    ('test_unit_sums', 'reader'),
    ('test_moments_transition', 'reader'),
    ('test_moments_final', 'reader'),
    ('test_moments', 'reader'),
    ('add_numbers', 'reader'),
    -- 73_assignment
    ('should_route_to_treatment', 'reader app'),
    ('assigned_variant', 'reader app'),
    -- 74_analysis; a look is recorded
    ('analyze_test', 'operator'),
    ('get_test_results', 'reader'),
    ('get_test_metrics', 'reader'),
    ('stop_test', 'operator'),
    ('promote_winner', 'operator'),
    ('assert_ab_test_winner', 'reader'),
    ('replay_test_evidence', 'reader'),
    ('test_verdicts', 'reader'),
    ('test_arms', 'reader'),
    ('get_test_status', 'reader'),
    ('list_active_tests', 'reader'),
    -- 40_routing; a decision carries the unit's hash, which who reads observation must not be able to make
    ('route', 'app'),
    ('route_version', 'reader app'),
    ('bucket', 'reader app'),
    ('route_at', 'reader app'),
    ('explain_route', 'reader app'),
    ('shadow_pairs', 'reader'),
    ('unit_hash', 'app'),
    ('pin_unit', 'operator'),
    ('unpin_unit', 'operator'),
    ('set_segment', 'operator'),
    ('drop_segment', 'operator'),
    -- 50_observation; clock_time and current_txn are column defaults
    ('clock_time', 'reader app'),
    ('current_txn', 'app'),
    ('evaluation_due', 'app'),
    ('maintenance_tasks', 'operator'),
    ('maintenance_run', 'operator'),
    ('update_model_metrics', 'app'),
    ('record_outcome', 'app'),
    ('record_outcomes', 'app'),
    ('record_feedback', 'app'),
    -- 10_types, 60_statistics
    ('summary_in', 'reader'),
    ('summary_out', 'reader'),
    ('summary_recv', 'reader'),
    ('summary_send', 'reader'),
    ('summary_eq', 'reader'),
    ('summary_ne', 'reader'),
    ('summary_lt', 'reader'),
    ('summary_le', 'reader'),
    ('summary_gt', 'reader'),
    ('summary_ge', 'reader'),
    ('summary_cmp', 'reader'),
    ('summary_hash', 'reader'),
    ('summary_hash_extended', 'reader'),
    ('summary_add', 'reader'),
    ('normal_cdf', 'reader'),
    ('normal_quantile', 'reader'),
    ('student_t_cdf', 'reader'),
    ('student_t_quantile', 'reader'),
    ('chi_square_sf', 'reader'),
    ('two_proportion_z_test', 'reader'),
    ('welch_t_test', 'reader'),
    ('required_sample_size', 'reader'),
    ('achieved_power', 'reader'),
    ('detectable_effect', 'reader'),
    ('sample_ratio_p_value', 'reader'),
    ('sequential_boundary', 'reader'),
    ('adjust_p_values', 'reader'),
    ('summary_count', 'reader'),
    ('summary_sum', 'reader'),
    ('summary_mean', 'reader'),
    ('summary_variance', 'reader'),
    ('summary_stddev', 'reader'),
    ('summary_min', 'reader'),
    ('summary_max', 'reader'),
    ('summary_quantile', 'reader'),
    ('welch_test', 'reader'),
    ('anytime_ci', 'reader'),
    ('summarize_transition', 'reader'),
    ('merge_transition', 'reader'),
    ('summary_state_combine', 'reader'),
    ('summary_state_serialize', 'reader'),
    ('summary_state_deserialize', 'reader'),
    ('summary_state_final', 'reader'),
    ('z_test_transition', 'reader'),
    ('mcnemar_test_transition', 'reader'),
    ('t_test_transition', 'reader'),
    ('paired_t_test_transition', 'reader'),
    ('cuped_test_transition', 'reader'),
    ('mann_whitney_test_transition', 'reader'),
    ('test_combine', 'reader'),
    ('test_serialize', 'reader'),
    ('test_deserialize', 'reader'),
    ('z_test_final', 'reader'),
    ('t_test_final', 'reader'),
    ('paired_t_test_final', 'reader'),
    ('mcnemar_test_final', 'reader'),
    ('cuped_test_final', 'reader'),
    ('mann_whitney_test_final', 'reader'),
    ('summarize', 'reader'),
    ('merge', 'reader'),
    ('z_test', 'reader'),
    ('t_test', 'reader'),
    ('paired_t_test', 'reader'),
    ('mcnemar_test', 'reader'),
    ('cuped_test', 'reader'),
    ('mann_whitney_test', 'reader'),
    -- 65_anomaly
    ('anomaly_score', 'reader'),
    ('anomaly_score_transition', 'reader'),
    ('anomaly_score_final', 'reader'),
    ('detect_anomalies', 'reader'),
    -- 66_rollup
    ('own_txn', 'reader'),
    ('attribution', 'reader'),
    ('metric_summaries', 'reader'),
    ('metric_summaries_transition', 'reader'),
    ('metric_summaries_final', 'reader'),
    ('rollup_tail_rows', 'reader'),
    ('rollup_tail_sums', 'reader'),
    ('rollup_metric_tail_rows', 'reader'),
    -- 67_metric
    ('record_performance', 'app'),
    ('get_current_metrics', 'reader'),
    ('get_current_metrics_json', 'reader'),
    ('get_performance_trends', 'reader'),
    ('get_performance_trends_json', 'reader'),
    ('get_model_comparison', 'reader'),
    ('get_model_comparison_json', 'reader'),
    ('metric_minutes_since', 'reader'),
    -- 68_alert
    ('performance_threshold', 'reader'),
    ('set_thresholds', 'operator'),
    ('get_thresholds', 'reader'),
    ('get_active_alerts', 'reader'),
    ('get_alert_history', 'reader'),
    ('acknowledge_alert', 'operator'),
    ('silence', 'operator'),
    -- 69_event
    ('events_since', 'reader'),
    ('add_alert_callback', 'operator'),
    ('add_rollback_callback', 'operator'),
    ('remove_callback', 'operator'),
    ('alertmanager_alerts', 'reader'),
    -- 73_validator
    ('validation_rule', 'reader'),
    ('register_validator', 'operator'),
    ('unregister_validator', 'operator'),
    ('set_security_policy', 'admin'),
    ('configuration_problem', 'reader'),
    ('validate_model_configuration', 'reader'),
    ('validate_performance_baseline', 'reader'),
    ('security_validation', 'reader'),
    -- 74_update
    ('trigger_update', 'operator'),
    ('cancel_update', 'operator'),
    ('schedule_update', 'operator'),
    ('unschedule_update', 'operator'),
    ('list_schedules', 'reader'),
    ('get_update_status', 'reader'),
    ('list_updates', 'reader'),
    ('get_automation_statistics', 'reader'),
    ('get_automation_statistics_json', 'reader'),
    ('assert_update_succeeded', 'reader'),
    ('wait_for_update', 'operator'),
    -- 75_health
    ('setting_value', 'reader'),
    ('scheduled_jobs', 'reader'),
    ('rollup_backlog', 'reader'),
    ('partition_ranges', 'reader'),
    ('default_partition_oldest', 'reader'),
    ('backup_status', 'reader'),
    ('health_check', 'reader'),
    ('active_metrics', 'reader'),
    -- 83_dashboard
    ('recent_activity', 'reader'),
    ('chart_spark', 'reader'),
    ('chart_bar', 'reader'),
    ('chart_text', 'reader'),
    ('chart_interval', 'reader'),
    ('chart_track', 'reader'),
    ('chart_lines', 'reader'),
    ('get_model_health_dashboard', 'reader'),
    ('assert_healthy', 'reader'),
    -- 78_storage
    ('export_registry', 'reader'),
    ('import_registry', 'admin'),
    ('backup_registry', 'operator'),
    ('redis_mirror', 'reader'),
    -- 76_backtest
    ('backtest_rollout', 'reader'),
    ('backtest_thresholds', 'reader'),
    -- 85_report
    ('report', 'reader'),
    ('report_ab_test', 'reader'),
    ('report_deployment', 'reader'),
    -- 81_people
    ('whoami', 'reader app'),
    ('help', 'reader app'),
    ('help_topics', 'reader app'),
    -- 70_operation
    ('tick', 'operator'),
    ('work', 'operator'),
    ('work_tasks', 'operator'),
    ('work_begin', 'operator'),
    ('work_run', 'operator'),
    ('work_interrupted', 'operator'),
    ('maintain', 'operator'),
    ('run', 'operator'),
    ('wait_for_deployment', 'operator'),
    ('start', 'operator'),
    ('stop', 'operator'),
    ('model_mgr_version', 'reader app'),
    -- 71_source
    ('add_metric_source', 'operator'),
    ('remove_metric_source', 'operator'),
    ('setup_roles', 'admin'))
SELECT kind.role_kind, 'routine'::text AS object_kind, r.routine_name::text AS object_name, 'EXECUTE'::text AS privilege
FROM routine r JOIN (VALUES ('reader'), ('app'), ('operator'), ('admin')) kind (role_kind)
  ON kind.role_kind = ANY (pg_catalog.string_to_array(r.kinds, ' '))
     OR kind.role_kind = 'operator' AND r.kinds <> 'admin'
     OR kind.role_kind = 'admin'
UNION ALL
-- Partitions need no grants: the parent's count. Whoever has the key can find units by trying them out.
SELECT kind.role_kind, 'relation', c.relname::text COLLATE "default", 'SELECT'
FROM pg_catalog.pg_class c CROSS JOIN (VALUES ('reader'), ('operator'), ('admin')) kind (role_kind)
WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'model_mgr')
  AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND c.relname <> 'unit_key'
UNION ALL
-- The bulk path: every column but txn, which orders the rollups and is the default's to fill.
SELECT kind.role_kind, 'relation', 'observation', pg_catalog.format('INSERT (%s)', pg_catalog.string_agg(a.attname::text COLLATE "default", ', ' ORDER BY a.attnum))
FROM pg_catalog.pg_attribute a CROSS JOIN (VALUES ('app'), ('operator'), ('admin')) kind (role_kind)
WHERE a.attrelid = 'model_mgr.observation'::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'txn'
GROUP BY kind.role_kind;
COMMENT ON VIEW model_mgr.role_grant IS 'What setup_roles() grants: one row a kind of role, object and privilege.';
COMMENT ON COLUMN model_mgr.role_grant.role_kind IS 'reader, app, operator or admin.';
COMMENT ON COLUMN model_mgr.role_grant.object_kind IS 'Routine or relation.';
COMMENT ON COLUMN model_mgr.role_grant.object_name IS 'Name in schema model_mgr; no function is overloaded.';
COMMENT ON COLUMN model_mgr.role_grant.privilege IS 'As GRANT spells it.';

CREATE FUNCTION model_mgr.setup_roles(admin_role text DEFAULT 'model_mgr_admin', operator_role text DEFAULT 'model_mgr_operator',
    app_role text DEFAULT 'model_mgr_app', reader_role text DEFAULT 'model_mgr_reader') RETURNS void
AS 'MODULE_PATHNAME', 'mm_setup_roles' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.setup_roles(text, text, text, text) IS
'Makes the four roles that are missing (NOLOGIN; grant them to your users) and grants each what role_grant lists.
Reader looks; app routes and records; operator deploys, rolls back and ticks too; admin may do everything. May be run
again at any time, and should be after an update. Runs with the rights of the caller, who needs those of the
extension''s owner, and CREATEROLE for roles that are missing: else 42501. 42622: a name over 63 bytes; 42939: a
reserved one (pg_..., public, none); 42602: an empty one.';

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA model_mgr FROM PUBLIC;
REVOKE EXECUTE ON ALL PROCEDURES IN SCHEMA model_mgr FROM PUBLIC;
GRANT USAGE ON SCHEMA model_mgr TO PUBLIC;
