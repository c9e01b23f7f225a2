-- The contract with callers: names, argument names, order and defaults of the functions, columns of the rows. A line
-- changes here only together with the contract; new arguments come at the end and have defaults.
\i test/fresh.psql
SET search_path = model_mgr, pg_catalog, tap;
SELECT plan(6);

-- "name type = default"; null is the default of what may be absent. Kind: writes (VOLATILE), reads (STABLE or IMMUTABLE),
-- immutable.
CREATE TEMP TABLE contract (function_name text, arguments text, result text, kind text);
INSERT INTO contract VALUES
    ('model_configuration', 'provider text, model_name text, model_version text = null, temperature float8 = null, max_tokens integer = null, custom_parameters jsonb = {}, resource_requirements jsonb = {}', 'jsonb', 'r'),
    ('create_model_version', 'model_name text, version text, configuration jsonb, description text = null, tags text[] = {}, parent_version text = null, labels jsonb = {}, artifact_uri text = null, artifact_digest text = null, created_by text = null', 'model_version', 'w'),
    ('get_model_version', 'model_name text, version text', 'SETOF model_version', 'r'),
    ('get_active_model', 'model_name text', 'SETOF model_version', 'r'),
    ('list_model_versions', 'model_name text', 'SETOF model_version', 'r'),
    ('list_all_models', '', 'SETOF model_version', 'r'),
    ('set_alias', 'model_name text, alias text, version text', 'void', 'w'),
    ('delete_alias', 'model_name text, alias text', 'boolean', 'w'),
    ('resolve_version', 'model_name text, version text, allow_prerelease boolean = false', 'text', 'r'),
    ('tag_model_version', 'model_name text, version text, tags text[], replace boolean = false', 'model_version', 'w'),
    ('update_model_version', 'model_name text, version text, description text = null, labels jsonb = null', 'model_version', 'w'),
    ('archive_model_version', 'model_name text, version text, reason text = ', 'model_version', 'w'),
    ('mark_version_ready', 'model_name text, version text', 'model_version', 'w'),
    ('set_model', 'model_name text, description text = null, owner text = null, labels jsonb = null', 'model', 'w'),
    ('delete_model_version', 'model_name text, version text', 'boolean', 'w'),
    ('delete_model', 'model_name text', 'boolean', 'w'),
    ('lineage', 'model_name text, version text', 'TABLE(depth integer, version text, parent_version text, status text, created_at timestamptz)', 'r'),
    ('diff_configuration', 'model_name text, version_a text, version_b text', 'TABLE(path text, value_a text, value_b text)', 'r'),
    ('update_model_metrics', 'model_name text, version text, response_time float8 = null, success boolean = null, confidence float8 = null, cost float8 = null, input_tokens bigint = null, output_tokens bigint = null, error_type text = null, unit_id text = null, recorded_at timestamptz = null, metrics jsonb = {}, routed_at timestamptz = null', 'void', 'w'),
    ('get_model_statistics', '', 'TABLE(metric_name text, value float8)', 'r'),
    ('get_model_statistics_json', '', 'jsonb', 'r'),
    ('record_performance', 'model_name text, model_version text, metrics jsonb, recorded_at timestamptz = null', 'void', 'w'),
    ('get_current_metrics', 'model_name text, model_version text, minutes_back integer = 60', 'TABLE(metric_name text, value float8, samples bigint, source text, last_at timestamptz)', 'r'),
    ('get_current_metrics_json', 'model_name text, model_version text, minutes_back integer = 60', 'jsonb', 'r'),
    ('backtest_thresholds', 'model_name text, thresholds jsonb, since timestamptz = null, until timestamptz = null', 'TABLE("time" timestamptz, kind text, metric_name text, value float8, limit_value float8, traffic_percentage float8, requests_affected bigint, detail text)', 'r'),
    ('backtest_rollout', 'model_name text, version text, rollout jsonb = {}, health_criteria jsonb = {}, since timestamptz = null, until timestamptz = null', 'TABLE("time" timestamptz, kind text, metric_name text, value float8, limit_value float8, traffic_percentage float8, requests_affected bigint, detail text)', 'r'),
    ('detect_anomalies', 'model_name text, metric_name text, sensitivity float8 = 2.0', 'TABLE("time" timestamptz, version text, value float8, expected float8, score float8, anomalous boolean)', 'r'),
    ('get_performance_trends', 'model_name text, model_version text, hours_back integer = 24, bucket_minutes integer = null', 'TABLE(metric_name text, "time" timestamptz, value float8, samples bigint)', 'r'),
    ('get_performance_trends_json', 'model_name text, model_version text, hours_back integer = 24, bucket_minutes integer = null', 'jsonb', 'r'),
    ('get_model_comparison', 'model_name text, versions text[] = null, hours_back integer = 24', 'TABLE(metric_name text, version text, value float8, samples bigint, difference float8, ci_low float8, ci_high float8, p_value float8, better boolean)', 'r'),
    ('get_model_comparison_json', 'model_name text, versions text[] = null, hours_back integer = 24', 'jsonb', 'r'),
    ('deploy_model_version', 'model_name text, version text, strategy text = null, deployed_by text = null, traffic_percentage float8 = null, auto_rollback_enabled boolean = true, rollback_threshold_error_rate float8 = 0.10, rollback_threshold_response_time float8 = 10.0, rollback_min_success_rate float8 = 0.95, rollback_evaluation_window_minutes integer = 10, health_criteria jsonb = {}, rollout jsonb = {}, idempotency_key text = null, supersede boolean = false', 'deployment', 'w'),
    ('promote_deployment', 'deployment_id bigint, all_steps boolean = false', 'deployment', 'w'),
    ('approve_step', 'deployment_id bigint, note text = ', 'deployment', 'w'),
    ('freeze', 'model_name text, until timestamptz, reason text = ', 'void', 'w'),
    ('pause_deployment', 'deployment_id bigint, reason text = ', 'deployment', 'w'),
    ('resume_deployment', 'deployment_id bigint', 'deployment', 'w'),
    ('abort_deployment', 'deployment_id bigint, reason text = ', 'deployment', 'w'),
    ('adjust_deployment', 'deployment_id bigint, changes jsonb, reason text = null', 'deployment', 'w'),
    ('open_deployment', 'model_name text', 'bigint', 'r'),
    ('rollback_model', 'model_name text, target_version text = null, reason text = ', 'boolean', 'w'),
    ('get_deployment', 'deployment_id bigint', 'SETOF deployment', 'r'),
    ('list_deployments', 'model_name text = null, status text = null', 'SETOF deployment', 'r'),
    ('explain_deployment', 'deployment_id bigint', 'TABLE("time" timestamptz, status text, traffic_percentage float8, what text, metric_name text, value float8, limit_value float8, samples bigint, evidence jsonb)', 'r'),
    ('create_test', 'test_id text, name text, control_model text, control_version text, treatment_model text, treatment_version text, description text = null, confidence_level float8 = null, minimum_detectable_effect float8 = 0.02, power float8 = null, max_duration_hours integer = 168, min_sample_size_per_variant integer = null, primary_metric text = success_rate, secondary_metrics text[] = {response_time,confidence_score}, early_stopping_enabled boolean = true, futility_threshold float8 = 0.01, traffic_split float8 = 0.5, stopping_rule text = obrien_fleming, metric_directions jsonb = {}, routes_traffic boolean = false, coverage float8 = 1.0, guardrails jsonb = [], arms jsonb = [], exclusion_group text = null, allocation text = fixed', 'ab_test', 'w'),
    ('should_route_to_treatment', 'test_id text, user_id text = null, request_id text = null', 'boolean', 'w'),
    ('assigned_variant', 'test_id text, user_id text = null, request_id text = null', 'text', 'w'),
    ('record_result', 'test_id text, variant text, response_time float8 = null, success boolean = null, confidence float8 = null, user_id text = null, metrics jsonb = {}, recorded_at timestamptz = null', 'void', 'w'),
    ('record_results', 'test_id text, results jsonb', 'bigint', 'w'),
    ('analyze_test', 'test_id text', 'ab_test_result', 'w'),
    ('get_test_results', 'test_id text', 'SETOF ab_test_result', 'r'),
    ('get_test_metrics', 'test_id text', 'TABLE(metric_name text, role text, variant text, direction text, mean_control float8, mean_variant float8, samples_control bigint, samples_variant bigint, difference float8, relative_lift float8, ci_low float8, ci_high float8, p_value float8, p_value_adjusted float8, significant boolean, cuped_difference float8, cuped_ci_low float8, cuped_ci_high float8)', 'r'),
    ('stop_test', 'test_id text, reason text = ', 'boolean', 'w'),
    ('promote_winner', 'test_id text, strategy text = null', 'deployment', 'w'),
    ('assert_ab_test_winner', 'test_id text, variant text', 'void', 'r'),
    ('list_active_tests', '', 'SETOF text', 'r'),
    ('get_test_status', 'test_id text', 'SETOF ab_test_list', 'r'),
    ('log_operation', 'operation text, model_name text = null, version text = null, user_name text = null, details jsonb = {}', 'bigint', 'w'),
    ('seal_audit', '', 'text', 'w'),
    ('verify_audit_log', 'anchor text = null', 'TABLE(ok boolean, entries bigint, unsealed bigint, first_bad_audit_id bigint, detail text)', 'r'),
    ('export_audit', 'until timestamptz = null', 'SETOF text', 'r'),
    ('prune_audit', 'until timestamptz', 'bigint', 'w'),
    ('require_approvals', 'model_name text, approvals integer, from_role text = null', 'void', 'w'),
    ('approve_model_version', 'model_name text, version text, note text = ', 'model_version', 'w'),
    ('grant_model', 'model_name text, role text, revoke boolean = false', 'void', 'w'),
    ('tick', '', 'TABLE(task text, items bigint, seconds float8)', 'w'),
    ('start', 'tick_schedule text = * * * * *', 'TABLE(job_name text, schedule text, database text, note text)', 'w'),
    ('stop', '', 'integer', 'w'),
    ('route', 'model_name text, unit_id text = null, context jsonb = null', 'TABLE(flag_key text, value text, variant text, reason text, error_code text, error_message text, version_id bigint, deployment_id bigint, test_id text, configuration jsonb, decision text, shadow_version text, shadow_decision text)', 'w'),
    ('route_version', 'model_name text, unit_id text = null', 'text', 'r'),
    ('bucket', 'key text, unit_id text, total integer = 10000', 'integer', 'i'),
    ('route_at', 'model_name text, unit_id text = null, at timestamptz = null', 'text', 'r'),
    ('explain_route', 'model_name text, unit_id text = null, context jsonb = null', 'TABLE("position" integer, rule text, matched boolean, bucket integer, bucket_limit integer, version text, detail text)', 'r'),
    ('pin_unit', 'model_name text, unit_id text, version text', 'boolean', 'w'),
    ('unpin_unit', 'model_name text, unit_id text', 'boolean', 'w'),
    ('set_segment', 'model_name text, segment text, condition jsonb, version text', 'boolean', 'w'),
    ('drop_segment', 'model_name text, segment text', 'boolean', 'w'),
    ('record_outcome', 'decision text, success boolean = null, response_time float8 = null, confidence float8 = null, cost float8 = null, input_tokens bigint = null, output_tokens bigint = null, error_type text = null, metrics jsonb = {}, recorded_at timestamptz = null', 'void', 'w'),
    ('record_feedback', 'decision text, success boolean = null, metrics jsonb = {}, recorded_at timestamptz = null', 'void', 'w'),
    ('record_outcomes', 'outcomes jsonb, skip_bad boolean = false', 'bigint', 'w'),
    ('unit_hash', 'unit_id text', 'bigint', 'r'),
    ('add_metric_source', 'name text, relation regclass', 'void', 'w'),
    ('remove_metric_source', 'name text', 'boolean', 'w'),
    ('events_since', 'after text = , max_rows integer = 1000', 'TABLE(cursor text, event_id bigint, "time" timestamptz, type text, model_name text, version text, deployment_id bigint, data jsonb)', 'r'),
    ('add_alert_callback', 'callback regprocedure', 'bigint', 'w'),
    ('add_rollback_callback', 'callback regprocedure', 'bigint', 'w'),
    ('remove_callback', 'callback_id bigint', 'boolean', 'w'),
    ('alertmanager_alerts', '', 'jsonb', 'r'),
    ('performance_threshold', 'metric_name text, threshold_value float8, operator text, severity text = warning, duration_minutes integer = 5, action text = alert, on_no_data text = hold', 'jsonb', 'i'),
    ('set_thresholds', 'model_name text, thresholds jsonb', 'integer', 'w'),
    ('get_thresholds', 'model_name text', 'jsonb', 'r'),
    ('get_active_alerts', '', 'SETOF alert', 'r'),
    ('get_alert_history', 'hours_back integer = 24', 'SETOF alert', 'r'),
    ('acknowledge_alert', 'alert_id bigint, note text = ', 'SETOF alert', 'w'),
    ('silence', 'model_name text, until timestamptz, reason text = , metric_name text = null', 'void', 'w'),
    ('setup_roles', 'admin_role text = model_mgr_admin, operator_role text = model_mgr_operator, app_role text = model_mgr_app, reader_role text = model_mgr_reader', 'void', 'w'),
    ('model_mgr_version', '', 'text', 'r'),
    ('get_model_health_dashboard', '', 'jsonb', 'r'),
    ('assert_healthy', 'model_name text, version text = null', 'void', 'r'),
    ('health_check', '', 'TABLE(check_name text, ok boolean, detail text, hint text)', 'r'),
    ('validation_rule', 'name text, description text, validator_function text, severity text = error, required boolean = true', 'jsonb', 'i'),
    ('trigger_update', 'model_name text, target_version text, trigger text = manual, deployment_strategy text = null, triggered_by text = null, notes text[] = {}, validation_rules jsonb = [], idempotency_key text = null, when_busy text = wait', 'text', 'w'),
    ('schedule_update', 'model_name text, target_version text, cron_expression text, deployment_strategy text = null, validation_rules jsonb = [], allow_prerelease boolean = false, timezone text = UTC', 'text', 'w'),
    ('unschedule_update', 'schedule_id text', 'boolean', 'w'),
    ('list_schedules', '', 'SETOF schedule', 'r'),
    ('cancel_update', 'update_id text, reason text = ', 'boolean', 'w'),
    ('get_update_status', 'update_id text', 'SETOF update_run', 'r'),
    ('list_updates', 'model_name text = null, status text = null', 'SETOF update_run', 'r'),
    ('get_automation_statistics', '', 'TABLE(metric_name text, value float8)', 'r'),
    ('get_automation_statistics_json', '', 'jsonb', 'r'),
    ('register_validator', 'name text, validator_func regprocedure', 'void', 'w'),
    ('unregister_validator', 'name text', 'boolean', 'w'),
    ('set_security_policy', 'approved_models text[] = null, max_temperature float8 = null, required_tag text = null', 'void', 'w'),
    ('assert_update_succeeded', 'update_id text', 'void', 'r');
CREATE TEMP TABLE contract_row (relation_name text, columns text);
INSERT INTO contract_row VALUES
    ('model_version_list', 'model_id, version_id, model_name, version, description, configuration, artifact_uri, artifact_digest, parent_version, tags, labels, status, status_reason, created_by, created_at, provider, aliases, traffic_percentage, deployments, requests, success_rate, avg_response_time, cost'),
    ('model_version', 'model_id, version_id, model_name, version, description, configuration, artifact_uri, artifact_digest, parent_version, tags, labels, status, status_reason, created_by, created_at'),
    ('deployment', 'deployment_id, model_name, version, strategy, status, status_reason, traffic_percentage, step, baseline_version, test_id, auto_rollback_enabled, rollback_threshold_error_rate, rollback_threshold_response_time, rollback_min_success_rate, rollback_evaluation_window_minutes, health_criteria, rollout, deployed_by, created_at, step_started_at, finished_at'),
    ('deployment_list', 'deployment_id, model_name, version, strategy, status, status_reason, traffic_percentage, step, baseline_version, test_id, auto_rollback_enabled, rollback_threshold_error_rate, rollback_threshold_response_time, rollback_min_success_rate, rollback_evaluation_window_minutes, health_criteria, rollout, deployed_by, created_at, step_started_at, finished_at, waiting_for, next_step_at, samples'),
    ('ab_test', 'test_id, name, control_model, control_version, treatment_model, treatment_version, description, confidence_level, minimum_detectable_effect, power, max_duration_hours, min_sample_size_per_variant, primary_metric, secondary_metrics, early_stopping_enabled, futility_threshold, traffic_split, stopping_rule, metric_directions, routes_traffic, coverage, guardrails, arms, exclusion_group, allocation, status, stop_reason, winning_variant, planned_samples, created_by, started_at, ends_at, stopped_at'),
    ('ab_test_result', 'test_id, status, p_value, effect_size, relative_lift, ci_low, ci_high, anytime_ci_low, anytime_ci_high, statistical_significance, practical_significance, winning_variant, recommendation, samples_control, samples_treatment, information_fraction, boundary_p_value, sample_ratio_p_value, conditional_power, analyzed_at, deciding_metric, planned_samples'),
    ('ab_test_list', 'test_id, name, control_model, control_version, treatment_model, treatment_version, description, confidence_level, minimum_detectable_effect, power, max_duration_hours, min_sample_size_per_variant, primary_metric, secondary_metrics, early_stopping_enabled, futility_threshold, traffic_split, stopping_rule, metric_directions, routes_traffic, coverage, guardrails, arms, exclusion_group, allocation, status, stop_reason, winning_variant, planned_samples, created_by, started_at, ends_at, stopped_at, verdict, samples_control, samples_treatment, information_fraction, recommendation'),
    ('canary_status', 'deployment_id, model_name, version, baseline_version, traffic_percentage, metric_name, candidate_value, baseline_value, limit_value, verdict, samples, samples_needed, sample_ratio_p_value, next_step_at, waiting_for'),
    ('audit_log', 'audit_id, logged_at, operation, model_name, version, user_name, caller, session_id, application_name, client_address, txn, details'),
    ('audit_list', 'audit_id, logged_at, operation, model_name, version, user_name, caller, session_id, application_name, client_address, txn, details, sealed'),
    ('event_list', 'event_id, time, type, model_name, version, deployment_id, data'),
    ('alert', 'alert_id, kind, model_name, version, metric_name, severity, status, action, operator, threshold_value, duration_minutes, current_value, samples, started_at, fired_at, resolved_at, acknowledged_at, note, deployment_id, summary, evidence'),
    ('alert_list', 'alert_id, kind, model_name, version, metric_name, severity, status, action, operator, threshold_value, duration_minutes, current_value, samples, started_at, fired_at, resolved_at, acknowledged_at, note, deployment_id, summary, evidence'),
    ('update_run', 'update_id, schedule_id, model_name, target_version, version, previous_version, trigger, status, status_reason, validation_passed, validation_results, deployment_strategy, deployment_id, triggered_by, notes, created_at, finished_at'),
    ('update_list', 'update_id, schedule_id, model_name, target_version, version, previous_version, trigger, status, status_reason, validation_passed, validation_results, deployment_strategy, deployment_id, triggered_by, notes, created_at, finished_at'),
    ('schedule', 'schedule_id, model_name, target_version, cron_expression, timezone, deployment_strategy, validation_rules, allow_prerelease, next_run_at, last_run_at, last_update_id, created_by, created_at'),
    ('schedule_list', 'schedule_id, model_name, target_version, cron_expression, timezone, deployment_strategy, validation_rules, allow_prerelease, next_run_at, last_run_at, last_update_id, created_by, created_at'),
    ('observation', 'recorded_at, routed_at, txn, version_id, deployment_id, step, test_no, arm, unit_hash, request, success, response_time, confidence, cost, input_tokens, output_tokens, error_type, feedback, metrics');

-- Statistics.
INSERT INTO contract VALUES
    ('z_test', 'treatment boolean, success boolean', 'test_result', 'i'),
    ('t_test', 'treatment boolean, value float8', 'test_result', 'i'),
    ('mann_whitney_test', 'treatment boolean, value float8', 'test_result', 'i'),
    ('paired_t_test', 'control float8, treatment float8', 'test_result', 'i'),
    ('mcnemar_test', 'control boolean, treatment boolean', 'test_result', 'i'),
    ('cuped_test', 'treatment boolean, value float8, covariate float8', 'test_result', 'i'),
    ('two_proportion_z_test', 'successes_control bigint, trials_control bigint, successes_treatment bigint, trials_treatment bigint, confidence_level float8 = 0.95', 'test_result', 'i'),
    ('welch_t_test', 'mean_control float8, stddev_control float8, n_control bigint, mean_treatment float8, stddev_treatment float8, n_treatment bigint, confidence_level float8 = 0.95', 'test_result', 'i'),
    ('anomaly_score', 'value float8, observed_at timestamptz, sensitivity float8', 'float8', 'i'),
    ('summarize', 'value float8', 'summary', 'i'),
    ('merge', 'summary summary', 'summary', 'i'),
    ('summary_count', 'summary summary', 'bigint', 'i'),
    ('summary_sum', 'summary summary', 'float8', 'i'),
    ('summary_mean', 'summary summary', 'float8', 'i'),
    ('summary_variance', 'summary summary', 'float8', 'i'),
    ('summary_stddev', 'summary summary', 'float8', 'i'),
    ('summary_min', 'summary summary', 'float8', 'i'),
    ('summary_max', 'summary summary', 'float8', 'i'),
    ('summary_quantile', 'summary summary, q float8', 'float8', 'i'),
    ('welch_test', 'control summary, treatment summary, confidence_level float8 = 0.95', 'test_result', 'i'),
    ('anytime_ci', 'control summary, treatment summary, confidence_level float8 = 0.95', 'TABLE(ci_low float8, ci_high float8, p_value float8)', 'i'),
    ('normal_cdf', 'x float8', 'float8', 'i'),
    ('normal_quantile', 'p float8', 'float8', 'i'),
    ('student_t_cdf', 't float8, df float8', 'float8', 'i'),
    ('student_t_quantile', 'p float8, df float8', 'float8', 'i'),
    ('chi_square_sf', 'x float8, df float8', 'float8', 'i'),
    ('required_sample_size', 'baseline_rate float8, minimum_detectable_effect float8, power float8 = 0.8, confidence_level float8 = 0.95', 'bigint', 'i'),
    ('achieved_power', 'baseline_rate float8, minimum_detectable_effect float8, n_per_variant bigint, confidence_level float8 = 0.95', 'float8', 'i'),
    ('detectable_effect', 'baseline_rate float8, n_per_variant bigint, power float8 = 0.8, confidence_level float8 = 0.95', 'float8', 'i'),
    ('sample_ratio_p_value', 'n_control bigint, n_treatment bigint, expected_treatment_share float8 = 0.5', 'float8', 'i'),
    ('sequential_boundary', 'information_fractions float8[], confidence_level float8 = 0.95, spending text = obrien_fleming', 'float8[]', 'i'),
    ('adjust_p_values', 'p float8[], method text = holm', 'float8[]', 'i');
INSERT INTO contract_row VALUES
    ('test_result', 'statistic, df, p_value, effect, ci_low, ci_high, n_control, n_treatment, mean_control, mean_treatment, status');

-- What is there, in the same words.
CREATE FUNCTION pg_temp.type_name(type oid) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(format_type(type, NULL), 'double precision', 'float8'), 'timestamp with time zone', 'timestamptz')
$$;
CREATE TEMP VIEW present AS
SELECT p.proname::text AS function_name,
    coalesce((SELECT string_agg(p.proargnames[i] || ' ' || pg_temp.type_name(t) || CASE
            WHEN i > p.pronargs - p.pronargdefaults THEN ' = ' || coalesce(btrim(regexp_replace(pg_get_function_arg_default(p.oid, i), '::.*$', ''), ''''), '?') ELSE '' END, ', ' ORDER BY i)
        FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a (t, o), LATERAL (SELECT o::integer AS i) n), '') AS arguments,
    CASE WHEN p.proallargtypes IS NULL THEN CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END || pg_temp.type_name(p.prorettype)
        ELSE 'TABLE(' || (SELECT string_agg(quote_ident(p.proargnames[i]) || ' ' || pg_temp.type_name(p.proallargtypes[i]), ', ' ORDER BY i)
            FROM generate_subscripts(p.proallargtypes, 1) i WHERE p.proargmodes[i] IN ('o', 't')) || ')' END AS result,
    p.provolatile, p.prokind
FROM pg_proc p WHERE p.pronamespace = 'model_mgr'::regnamespace;

SELECT set_eq($$SELECT c.function_name, c.arguments FROM contract c$$,
    $$SELECT p.function_name, replace(p.arguments, '= NULL', '= null') FROM present p JOIN contract c USING (function_name)$$, 'names, arguments and defaults');
SELECT set_eq($$SELECT c.function_name, replace(replace(c.result, '"time"', 'time'), '"position"', 'position') FROM contract c$$,
    $$SELECT p.function_name, replace(replace(p.result, '"time"', 'time'), '"position"', 'position') FROM present p JOIN contract c USING (function_name)$$, 'results and their columns');
SELECT is_empty($$SELECT p.function_name, p.provolatile FROM present p JOIN contract c USING (function_name)
    WHERE p.provolatile <> ALL (CASE c.kind WHEN 'w' THEN '{v}' WHEN 'r' THEN '{s,i}' ELSE '{i}' END::"char"[])$$, 'reads are stable, writes volatile');
SELECT set_eq($$SELECT relation_name, columns FROM contract_row$$,
    $$SELECT r.relation_name, (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = ('model_mgr.' || r.relation_name)::regclass AND a.attnum > 0 AND NOT a.attisdropped) FROM contract_row r$$, 'rows have exactly their columns, in order');
SELECT set_eq($$SELECT function_name, prokind::text, arguments FROM present WHERE function_name IN ('work', 'maintain', 'run', 'wait_for_deployment', 'wait_for_update')$$,
    $$VALUES ('work', 'p', ''), ('maintain', 'p', ''), ('run', 'p', 'seconds float8'),
    ('wait_for_deployment', 'p', 'deployment_id bigint, timeout_seconds float8 = 600'), ('wait_for_update', 'p', 'update_id text, timeout_seconds float8 = 600')$$, 'procedures');
SELECT set_eq($$SELECT name, setting, context FROM pg_settings WHERE name LIKE 'model\_mgr.%'$$,
    $$VALUES ('model_mgr.ab_test_default_confidence', '0.95', 'user'), ('model_mgr.ab_test_default_power', '0.8', 'user'), ('model_mgr.ab_test_min_sample_size', '1000', 'user'),
    ('model_mgr.clock', '', 'superuser'), ('model_mgr.default_deployment_strategy', 'canary', 'user'),
    ('model_mgr.enforcement', 'on', 'superuser'), ('model_mgr.perf_monitor_anomaly_sensitivity', '2', 'user'), ('model_mgr.perf_monitor_interval_seconds', '60', 'user'),
    ('model_mgr.audit_retention_days', '0', 'superuser'), ('model_mgr.perf_monitor_retention_hours', '168', 'superuser'), ('model_mgr.notify', 'on', 'user'), ('model_mgr.event_type_prefix', '', 'user'), ('model_mgr.retention_days', '90', 'superuser'),
    ('model_mgr.update_validation_timeout', '300', 'user'), ('model_mgr.update_max_concurrent', '3', 'user'), ('model_mgr.update_check_interval_minutes', '60', 'user')$$, 'settings, their defaults and who may set them');

SELECT * FROM finish();
DROP EXTENSION model_mgr;
