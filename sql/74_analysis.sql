-- 74_analysis: what A/B tests say: results, metrics, looks, ends. How it is computed, with sources: docs/experiments.md.

CREATE TABLE model_mgr.ab_test_result (
    test_id text PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('no_data', 'running', 'stopped_early', 'significant', 'futile', 'inconclusive', 'sample_ratio_mismatch')),
    p_value float8,
    effect_size float8,
    relative_lift float8,
    ci_low float8,
    ci_high float8,
    anytime_ci_low float8,
    anytime_ci_high float8,
    statistical_significance boolean NOT NULL,
    practical_significance boolean NOT NULL,
    winning_variant text,
    recommendation text NOT NULL,
    samples_control bigint NOT NULL,
    samples_treatment bigint NOT NULL,
    information_fraction float8 NOT NULL,
    boundary_p_value float8,
    sample_ratio_p_value float8,
    conditional_power float8,
    analyzed_at timestamptz,
    deciding_metric text NOT NULL,
    planned_samples bigint NOT NULL
);
COMMENT ON TABLE model_mgr.ab_test_result IS 'What the last analyze_test() or tick said of each test; of an ended one it is final.';
COMMENT ON COLUMN model_mgr.ab_test_result.test_id IS 'The test.';
COMMENT ON COLUMN model_mgr.ab_test_result.status IS 'no_data; running; stopped_early (a boundary was crossed before the end); significant (at the end); futile; inconclusive; sample_ratio_mismatch (the arms did not get their shares: no verdict).';
COMMENT ON COLUMN model_mgr.ab_test_result.p_value IS 'Two-sided, of deciding_metric, at this moment: of a single look. What is significant goes by boundary_p_value.';
COMMENT ON COLUMN model_mgr.ab_test_result.effect_size IS 'Treatment less control, in the unit of deciding_metric; with more arms the winner or the best one less control.';
COMMENT ON COLUMN model_mgr.ab_test_result.relative_lift IS 'effect_size as a fraction of control''s mean.';
COMMENT ON COLUMN model_mgr.ab_test_result.ci_low IS 'Lower end of the confidence_level interval of effect_size, for a single look.';
COMMENT ON COLUMN model_mgr.ab_test_result.ci_high IS 'Upper end of it.';
COMMENT ON COLUMN model_mgr.ab_test_result.anytime_ci_low IS 'Lower end of the interval that stays valid however often it is looked at.';
COMMENT ON COLUMN model_mgr.ab_test_result.anytime_ci_high IS 'Upper end of it.';
COMMENT ON COLUMN model_mgr.ab_test_result.statistical_significance IS 'A boundary has been crossed at a recorded look, or at the end.';
COMMENT ON COLUMN model_mgr.ab_test_result.practical_significance IS 'The effect is at least minimum_detectable_effect, in either direction: absolute for rates, else relative.';
COMMENT ON COLUMN model_mgr.ab_test_result.winning_variant IS 'control, treatment or a further arm; NULL: none, or not yet.';
COMMENT ON COLUMN model_mgr.ab_test_result.recommendation IS 'What to do and why, in one sentence.';
COMMENT ON COLUMN model_mgr.ab_test_result.samples_control IS 'Outcomes of control that deciding_metric is known of.';
COMMENT ON COLUMN model_mgr.ab_test_result.samples_treatment IS 'Outcomes of the arm that effect_size compares.';
COMMENT ON COLUMN model_mgr.ab_test_result.information_fraction IS 'How much of the information that the design needs is there, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_result.boundary_p_value IS 'P-value below which the primary metric is significant at the last recorded look; NULL: none was recorded.';
COMMENT ON COLUMN model_mgr.ab_test_result.sample_ratio_p_value IS 'Probability of shares as far from the design''s as these, if assignment and recording are right; below 0.001 there is no verdict.';
COMMENT ON COLUMN model_mgr.ab_test_result.conditional_power IS 'Probability that the primary metric becomes significant by the end if things go on as they do; NULL where nothing can be said.';
COMMENT ON COLUMN model_mgr.ab_test_result.analyzed_at IS 'When; NULL with no_data of a test that was never analysed.';
COMMENT ON COLUMN model_mgr.ab_test_result.deciding_metric IS 'The primary metric, or the secondary one that decided.';
COMMENT ON COLUMN model_mgr.ab_test_result.planned_samples IS 'Outcomes of all arms together that the plan asks for.';

CREATE TABLE model_mgr.ab_test_progress (
    test_no bigint PRIMARY KEY,
    information float8[] NOT NULL,      -- of each recorded look
    -- Of the last look that decided something: stopped_early, significant, futile; inconclusive: the last one of all.
    status text,
    winner integer,                     -- arm; -1: none
    metric integer,                     -- that decided, from 0
    significant integer[],              -- comparisons beyond their boundary then: metric * arms + arm, both from 0
    boundary_p_value float8,
    conditional_power float8,
    mismatch_at timestamptz,
    boundaries float8[]                 -- where their computation stands; without it, or with another's, it begins anew
) WITH (fillfactor = 50);
COMMENT ON TABLE model_mgr.ab_test_progress IS 'What the looks at a test leave behind for those after them: what they spent, and what stands.';
COMMENT ON COLUMN model_mgr.ab_test_progress.mismatch_at IS 'When it was told that the arms do not get their shares.';

CREATE TABLE model_mgr.ab_test_look (
    test_no bigint NOT NULL,
    look integer NOT NULL,
    looked_at timestamptz NOT NULL,
    information_fraction float8 NOT NULL,
    status text NOT NULL,
    winning_variant text,
    kind text NOT NULL CHECK (kind IN ('look', 'end', 'shares')),
    evidence jsonb NOT NULL,
    PRIMARY KEY (test_no, look)
);
COMMENT ON TABLE model_mgr.ab_test_look IS 'Every look that was recorded of a test, and its end, with the numbers that they were decided on: replay_test_evidence() decides them again.';
COMMENT ON COLUMN model_mgr.ab_test_look.test_no IS 'The test, as in observation.test_no.';
COMMENT ON COLUMN model_mgr.ab_test_look.look IS 'From 1.';
COMMENT ON COLUMN model_mgr.ab_test_look.looked_at IS 'When.';
COMMENT ON COLUMN model_mgr.ab_test_look.information_fraction IS 'Information at this look, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_look.status IS 'As in ab_test_result.';
COMMENT ON COLUMN model_mgr.ab_test_look.winning_variant IS 'As in ab_test_result.';
COMMENT ON COLUMN model_mgr.ab_test_look.kind IS 'look: information had grown by 1 %; end: the last one; shares: no look, new shares were drawn (allocation thompson).';
COMMENT ON COLUMN model_mgr.ab_test_look.evidence IS 'Design, data and decision in full digits.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.ab_test_result', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.ab_test_progress', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.ab_test_look', '');

CREATE FUNCTION model_mgr.analyze_test(test_id text) RETURNS model_mgr.ab_test_result
AS 'MODULE_PATHNAME', 'mm_analyze_test' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.analyze_test(text) IS
'Looks at a test: present estimates, verdict and what to do. A look is recorded, and error probability spent on it, when information has grown by 1 % of the design''s since the last one; between looks the verdict stands. May be called as often as one likes. Never ends a test. No results yet: status no_data. Of an ended test: what it ended with. Errors: 42704 unknown test, 22004 NULL.';

CREATE FUNCTION model_mgr.get_test_results(test_id text) RETURNS SETOF model_mgr.ab_test_result
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT t.test_id, coalesce(r.status, 'no_data'), r.p_value, r.effect_size, r.relative_lift, r.ci_low, r.ci_high, r.anytime_ci_low, r.anytime_ci_high,
       coalesce(r.statistical_significance, false), coalesce(r.practical_significance, false), r.winning_variant,
       coalesce(r.recommendation, 'wait for results: the test has not been analysed yet'),
       coalesce(r.samples_control, 0), coalesce(r.samples_treatment, 0), coalesce(r.information_fraction, 0), r.boundary_p_value,
       r.sample_ratio_p_value, r.conditional_power, r.analyzed_at, coalesce(r.deciding_metric, t.primary_metric), t.planned_samples
FROM model_mgr.ab_test t LEFT JOIN model_mgr.ab_test_result r ON r.test_id = t.test_id
WHERE t.test_id = get_test_results.test_id;
END;
COMMENT ON FUNCTION model_mgr.get_test_results(text) IS
'What the last analyze_test() or tick said; status no_data where none did. Computes nothing. No row for an unknown test or NULL.';

CREATE FUNCTION model_mgr.get_test_metrics(test_id text)
RETURNS TABLE (metric_name text, role text, variant text, direction text, mean_control float8, mean_variant float8,
               samples_control bigint, samples_variant bigint, difference float8, relative_lift float8, ci_low float8, ci_high float8,
               p_value float8, p_value_adjusted float8, significant boolean, cuped_difference float8, cuped_ci_low float8, cuped_ci_high float8)
AS 'MODULE_PATHNAME', 'mm_get_test_metrics' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION model_mgr.get_test_metrics(text) IS
'Every metric of a test in every arm beside control, at this moment, late results of an ended one included: role primary, secondary or guardrail; direction higher or lower is better; difference = variant less control with its interval at confidence_level; p_value_adjusted by Holm over secondary metrics and arms; significant: it may be relied on (its boundary was crossed). cuped_*: the difference with the variance that outcomes before the test explain taken out; NULL where units are not known. No row for an unknown test or NULL.';

CREATE FUNCTION model_mgr.stop_test(test_id text, reason text DEFAULT '') RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_stop_test' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.stop_test(text, text) IS
'Ends a running test after a last look; it has a winner only when a boundary had been crossed. False: it had ended already, and its first reason stays. A test that carries its model''s traffic ends with everybody at control, or at the winner''s version where a rollout goes on to it. Errors: 42704 unknown test, 22004 NULL.';

CREATE FUNCTION model_mgr.promote_winner(test_id text, strategy text DEFAULT NULL) RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_promote_winner' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.promote_winner(text, text) IS
'Deploys the winner''s version; strategy as in deploy_model_version(), NULL: the default one. A running test with a winner ends first. For control, which serves already, its last deployment comes back. Errors: 42704 unknown test, 55000 no winner, or a version that is not in the registry; those of deploy_model_version().';

CREATE FUNCTION model_mgr.assert_ab_test_winner(test_id text, variant text) RETURNS void
AS 'MODULE_PATHNAME', 'mm_assert_ab_test_winner' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.assert_ab_test_winner(text, text) IS
'For pipelines: raises 55000, with the numbers, unless this variant has won. Errors: 42704 unknown test, 22023 unknown variant, 22004 NULL.';

CREATE FUNCTION model_mgr.replay_test_evidence(evidence jsonb) RETURNS text
AS 'MODULE_PATHNAME', 'mm_replay_test_evidence' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.replay_test_evidence(jsonb) IS
'Decides a look again from its stored evidence alone: the same text as its key decision. Errors: 22P02 what is no evidence of a look.';

CREATE FUNCTION model_mgr.test_verdicts(of_test text DEFAULT NULL)
RETURNS TABLE (test_id text, verdict text, samples_control bigint, samples_treatment bigint, information_fraction float8,
               recommendation text)
AS 'MODULE_PATHNAME', 'mm_test_verdicts' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100;
COMMENT ON FUNCTION model_mgr.test_verdicts(text) IS
'How a test (NULL: each) stands at this moment, of ended ones as it was at the end; ab_test_list shows it. Records nothing. No row for an unknown test.';

CREATE FUNCTION model_mgr.test_arms(of_test text DEFAULT NULL)
RETURNS TABLE (test_id text, variant text, model_name text, version text, verdict text, metric_name text, samples bigint, mean float8,
               difference float8, relative_lift float8, ci_low float8, ci_high float8, anytime_ci_low float8, anytime_ci_high float8,
               p_value float8, share float8, information_fraction float8, boundary_p_value float8, sample_ratio_p_value float8,
               conditional_power float8, recommendation text)
AS 'MODULE_PATHNAME', 'mm_test_arms' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 200;
COMMENT ON FUNCTION model_mgr.test_arms(text) IS
'The arms of a test (NULL: of each) at this moment, by its primary metric; ab_test_status shows them. Records nothing. No row for an unknown test.';

CREATE VIEW model_mgr.ab_test_list AS
SELECT t.*, v.verdict, v.samples_control, v.samples_treatment, v.information_fraction, v.recommendation
FROM model_mgr.ab_test t LEFT JOIN model_mgr.test_verdicts(NULL) v ON v.test_id = t.test_id;
COMMENT ON VIEW model_mgr.ab_test_list IS 'A/B tests, how they stand, and what to do.';

CREATE VIEW model_mgr.ab_test_status AS
SELECT t.test_id, t.name, t.status, a.verdict, a.variant, a.model_name, a.version, a.share, a.metric_name, a.samples, a.mean,
       a.difference, a.relative_lift, a.ci_low, a.ci_high, a.anytime_ci_low, a.anytime_ci_high, a.p_value, a.boundary_p_value,
       a.information_fraction, a.sample_ratio_p_value, a.conditional_power, t.winning_variant, a.recommendation, t.started_at, t.ends_at, t.stopped_at,
       coalesce(model_mgr.chart_interval(a.anytime_ci_low, a.difference, a.anytime_ci_high, pg_catalog.min(e.low) OVER test, pg_catalog.max(e.high) OVER test, 25),
                CASE WHEN a.variant = 'control' AND pg_catalog.min(e.low) OVER test < pg_catalog.max(e.high) OVER test THEN pg_catalog.rpad(model_mgr.chart_text(pg_catalog.round((pg_catalog.min(e.low) OVER test)::numeric, 4)::float8::text, 12), 12)
                    || pg_catalog.lpad(model_mgr.chart_text(pg_catalog.round((pg_catalog.max(e.high) OVER test)::numeric, 4)::float8::text, 12), 13) END) AS drawn
FROM model_mgr.ab_test t JOIN model_mgr.test_arms(NULL) a ON a.test_id = t.test_id
CROSS JOIN LATERAL (SELECT least(CASE WHEN a.anytime_ci_low > '-Infinity'::float8 THEN a.anytime_ci_low END, a.difference, 0.0) AS low,
                           greatest(CASE WHEN a.anytime_ci_high < 'Infinity'::float8 THEN a.anytime_ci_high END, a.difference, 0.0) AS high) e
WINDOW test AS (PARTITION BY t.test_id, t.status);
COMMENT ON VIEW model_mgr.ab_test_status IS 'A/B tests for dashboards: a row a test and arm, its primary metric with the ends of its intervals.';
COMMENT ON COLUMN model_mgr.ab_test_list.test_id IS 'For get_test_status() and so on.';
COMMENT ON COLUMN model_mgr.ab_test_list.name IS 'What it is called.';
COMMENT ON COLUMN model_mgr.ab_test_list.control_model IS 'Model of the control arm.';
COMMENT ON COLUMN model_mgr.ab_test_list.control_version IS 'Version of the control arm.';
COMMENT ON COLUMN model_mgr.ab_test_list.treatment_model IS 'Model of the treatment arm.';
COMMENT ON COLUMN model_mgr.ab_test_list.treatment_version IS 'Version of the treatment arm.';
COMMENT ON COLUMN model_mgr.ab_test_list.description IS 'What it is for.';
COMMENT ON COLUMN model_mgr.ab_test_list.confidence_level IS 'Inside 0..1: the test as a whole declares a false winner with at most 1 less this.';
COMMENT ON COLUMN model_mgr.ab_test_list.minimum_detectable_effect IS 'Difference that the plan is made for; absolute for rates, else relative.';
COMMENT ON COLUMN model_mgr.ab_test_list.power IS 'Probability of finding that difference, as planned.';
COMMENT ON COLUMN model_mgr.ab_test_list.max_duration_hours IS 'Hours from start to end at most.';
COMMENT ON COLUMN model_mgr.ab_test_list.min_sample_size_per_variant IS 'Outcomes an arm before any verdict.';
COMMENT ON COLUMN model_mgr.ab_test_list.primary_metric IS 'Metric that decides.';
COMMENT ON COLUMN model_mgr.ab_test_list.secondary_metrics IS 'Metrics that may decide when the primary is not worse by more than minimum_detectable_effect.';
COMMENT ON COLUMN model_mgr.ab_test_list.early_stopping_enabled IS 'Whether looks before the end may end it.';
COMMENT ON COLUMN model_mgr.ab_test_list.futility_threshold IS 'Conditional power below which it is hopeless and ends.';
COMMENT ON COLUMN model_mgr.ab_test_list.traffic_split IS 'The treatment''s share of the units, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_list.stopping_rule IS 'How error probability is spent over looks: obrien_fleming or pocock.';
COMMENT ON COLUMN model_mgr.ab_test_list.metric_directions IS 'Which way is better, by metric, where that is not the usual one.';
COMMENT ON COLUMN model_mgr.ab_test_list.routes_traffic IS 'Whether route() sends units to the arms.';
COMMENT ON COLUMN model_mgr.ab_test_list.coverage IS 'Share of all units that take part, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_list.guardrails IS 'Metrics that end it when one is surely broken.';
COMMENT ON COLUMN model_mgr.ab_test_list.arms IS 'Further arms: a list of objects with variant, version and share.';
COMMENT ON COLUMN model_mgr.ab_test_list.exclusion_group IS 'Tests of one group share no unit.';
COMMENT ON COLUMN model_mgr.ab_test_list.allocation IS 'fixed or thompson.';
COMMENT ON COLUMN model_mgr.ab_test_list.status IS 'running, stopped (by hand or other causes) or completed (by its own verdict, futility or time).';
COMMENT ON COLUMN model_mgr.ab_test_list.stop_reason IS 'Why it ended, in words and numbers; NULL while it runs.';
COMMENT ON COLUMN model_mgr.ab_test_list.winning_variant IS 'control, treatment or a further arm; NULL: none, or not yet.';
COMMENT ON COLUMN model_mgr.ab_test_list.planned_samples IS 'Outcomes of all arms together that the plan asks for.';
COMMENT ON COLUMN model_mgr.ab_test_list.created_by IS 'Who began it.';
COMMENT ON COLUMN model_mgr.ab_test_list.started_at IS 'When it began.';
COMMENT ON COLUMN model_mgr.ab_test_list.ends_at IS 'When it ends at the latest.';
COMMENT ON COLUMN model_mgr.ab_test_list.stopped_at IS 'When it ended; NULL while it runs.';
COMMENT ON COLUMN model_mgr.ab_test_list.verdict IS 'As ab_test_result.status: no_data, running, stopped_early, significant, futile, inconclusive or sample_ratio_mismatch.';
COMMENT ON COLUMN model_mgr.ab_test_list.samples_control IS 'Outcomes of control that the deciding metric is known of.';
COMMENT ON COLUMN model_mgr.ab_test_list.samples_treatment IS 'Outcomes of the arm compared with it.';
COMMENT ON COLUMN model_mgr.ab_test_list.information_fraction IS 'How much of the information that the design needs is there, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_list.recommendation IS 'What to do and why, in one sentence.';
COMMENT ON COLUMN model_mgr.ab_test_status.test_id IS 'The test.';
COMMENT ON COLUMN model_mgr.ab_test_status.name IS 'What it is called.';
COMMENT ON COLUMN model_mgr.ab_test_status.status IS 'running, stopped or completed.';
COMMENT ON COLUMN model_mgr.ab_test_status.verdict IS 'As in ab_test_list.';
COMMENT ON COLUMN model_mgr.ab_test_status.variant IS 'control, treatment, or the name of a further arm.';
COMMENT ON COLUMN model_mgr.ab_test_status.model_name IS 'Model of this arm.';
COMMENT ON COLUMN model_mgr.ab_test_status.version IS 'Version of this arm.';
COMMENT ON COLUMN model_mgr.ab_test_status.share IS 'Share of the units of the test that get this arm now, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_status.metric_name IS 'The primary metric.';
COMMENT ON COLUMN model_mgr.ab_test_status.samples IS 'Outcomes of this arm that the metric is known of.';
COMMENT ON COLUMN model_mgr.ab_test_status.mean IS 'The metric in this arm.';
COMMENT ON COLUMN model_mgr.ab_test_status.difference IS 'Less control, in the unit of the metric; NULL for control.';
COMMENT ON COLUMN model_mgr.ab_test_status.relative_lift IS 'The same as a fraction of control''s mean.';
COMMENT ON COLUMN model_mgr.ab_test_status.ci_low IS 'Lower end of the confidence_level interval of the difference, for a single look.';
COMMENT ON COLUMN model_mgr.ab_test_status.ci_high IS 'Upper end of it.';
COMMENT ON COLUMN model_mgr.ab_test_status.anytime_ci_low IS 'Lower end of the interval that stays valid however often it is looked at: the one for dashboards.';
COMMENT ON COLUMN model_mgr.ab_test_status.anytime_ci_high IS 'Upper end of it.';
COMMENT ON COLUMN model_mgr.ab_test_status.p_value IS 'Two-sided, of a single look.';
COMMENT ON COLUMN model_mgr.ab_test_status.boundary_p_value IS 'P-value below which it is significant at the last recorded look.';
COMMENT ON COLUMN model_mgr.ab_test_status.information_fraction IS 'How much of the information that the design needs is there, 0..1.';
COMMENT ON COLUMN model_mgr.ab_test_status.sample_ratio_p_value IS 'Of the shares of all arms; below 0.001 there is no verdict.';
COMMENT ON COLUMN model_mgr.ab_test_status.conditional_power IS 'Probability that the test becomes significant by its end if things go on as they do.';
COMMENT ON COLUMN model_mgr.ab_test_status.winning_variant IS 'Of the test; NULL: none, or not yet.';
COMMENT ON COLUMN model_mgr.ab_test_status.recommendation IS 'What to do and why, in one sentence.';
COMMENT ON COLUMN model_mgr.ab_test_status.started_at IS 'When it began.';
COMMENT ON COLUMN model_mgr.ab_test_status.ends_at IS 'When it ends at the latest.';
COMMENT ON COLUMN model_mgr.ab_test_status.stopped_at IS 'When it ended; NULL while it runs.';
COMMENT ON COLUMN model_mgr.ab_test_status.drawn IS 'For people: the anytime interval and the difference on an axis of 25 columns that all arms of the test share, zero marked; of control the ends of that axis. NULL: no interval yet.';

CREATE FUNCTION model_mgr.get_test_status(test_id text) RETURNS SETOF model_mgr.ab_test_list
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT t.*, v.verdict, v.samples_control, v.samples_treatment, v.information_fraction, v.recommendation
FROM model_mgr.ab_test t LEFT JOIN model_mgr.test_verdicts(get_test_status.test_id) v ON v.test_id = t.test_id
WHERE t.test_id = get_test_status.test_id;
END;
COMMENT ON FUNCTION model_mgr.get_test_status(text) IS
'The row of ab_test_list of one test, ended ones too; no row for an unknown test or NULL.';

CREATE FUNCTION model_mgr.list_active_tests() RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT t.test_id FROM model_mgr.ab_test t WHERE t.status = 'running' ORDER BY t.test_id;
END;
COMMENT ON FUNCTION model_mgr.list_active_tests() IS 'Ids of the tests that run, in order.';
