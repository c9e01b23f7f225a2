-- 60_statistics: distributions, tests, design of tests, summaries; usable on any table. Sources, formulas and ranges:
-- docs/statistics.md. Every difference is treatment minus control.

CREATE FUNCTION model_mgr.normal_cdf(x float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_normal_cdf' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.normal_cdf(float8) IS
'Probability that a standard normal value is at most x; relative error at most 1e-13. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.normal_quantile(p float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_normal_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.normal_quantile(float8) IS
'The x with normal_cdf(x) = p, 0 < p < 1; relative error at most 1e-12. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.student_t_cdf(t float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_student_t_cdf' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.student_t_cdf(float8, float8) IS
'Probability that Student''s t with df > 0 degrees of freedom (any real number) is at most t; relative error at most 1e-13. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.student_t_quantile(p float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_student_t_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.student_t_quantile(float8, float8) IS
'The t with student_t_cdf(t, df) = p, 0 < p < 1, df > 0; relative error at most 1e-12. 22003: NaN, infinity or out of range, or the quantile is beyond the doubles.';

CREATE FUNCTION model_mgr.chi_square_sf(x float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_chi_square_sf' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chi_square_sf(float8, float8) IS
'Probability that chi-square with df > 0 degrees of freedom (any real number) exceeds x >= 0; relative error at most 1e-13. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.two_proportion_z_test(successes_control bigint, trials_control bigint, successes_treatment bigint, trials_treatment bigint, confidence_level float8 DEFAULT 0.95) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_two_proportion_z_test' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.two_proportion_z_test(bigint, bigint, bigint, bigint, float8) IS
'Difference of two rates: pooled z, two-sided p, Newcombe''s hybrid score interval (1998, method 10) at confidence_level (above 0, below 1). Counts from 0, successes at most trials. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.welch_t_test(mean_control float8, stddev_control float8, n_control bigint, mean_treatment float8, stddev_treatment float8, n_treatment bigint, confidence_level float8 DEFAULT 0.95) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_welch_t_test' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.welch_t_test(float8, float8, bigint, float8, float8, bigint, float8) IS
'Difference of two means from means, standard deviations (divisor n - 1; 0, or 1e-150 to 1e150) and counts (from 0): Welch''s t, two-sided p, interval. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.required_sample_size(baseline_rate float8, minimum_detectable_effect float8, power float8 DEFAULT 0.8, confidence_level float8 DEFAULT 0.95) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_required_sample_size' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.required_sample_size(float8, float8, float8, float8) IS
'Units per variant so that a change of baseline_rate (0 to 1) by minimum_detectable_effect (a difference of rates, not 0) is found with that power (above 0, below 1) by the two-sided test. As R''s power.prop.test. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.achieved_power(baseline_rate float8, minimum_detectable_effect float8, n_per_variant bigint, confidence_level float8 DEFAULT 0.95) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_achieved_power' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.achieved_power(float8, float8, bigint, float8) IS
'Probability that the two-sided test with n_per_variant units (from 1) in each variant finds a change of baseline_rate by minimum_detectable_effect. As R''s power.prop.test. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.detectable_effect(baseline_rate float8, n_per_variant bigint, power float8 DEFAULT 0.8, confidence_level float8 DEFAULT 0.95) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_detectable_effect' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.detectable_effect(float8, bigint, float8, float8) IS
'Smallest increase of baseline_rate that n_per_variant units in each variant find with that power. 22003: NaN, infinity or out of range, or no increase is found. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.sample_ratio_p_value(n_control bigint, n_treatment bigint, expected_treatment_share float8 DEFAULT 0.5) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_sample_ratio_p_value' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.sample_ratio_p_value(bigint, bigint, float8) IS
'Probability of a split at least as uneven as this if treatment gets expected_treatment_share (above 0, below 1): Pearson''s chi-square, 1 df. Below 0.001 something is wrong with the assignment. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.sequential_boundary(information_fractions float8[], confidence_level float8 DEFAULT 0.95, spending text DEFAULT 'obrien_fleming') RETURNS float8[]
AS 'MODULE_PATHNAME', 'mm_sequential_boundary' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.sequential_boundary(float8[], float8, text) IS
'The z beyond which to stop at each look, for looks at ascending fractions of the planned information (above 0, to 1): symmetric two-sided Lan-DeMets boundaries, half of 1 - confidence_level spent a side, spending obrien_fleming or pocock. A look with less than 1e-300 to spend has Infinity. 22003: NaN, infinity or out of range; 22004: NULL; 22023: unknown spending, fractions not ascending, none or more than 500.';

CREATE FUNCTION model_mgr.adjust_p_values(p float8[], method text DEFAULT 'holm') RETURNS float8[]
AS 'MODULE_PATHNAME', 'mm_adjust_p_values' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.adjust_p_values(float8[], text) IS
'p-values (0 to 1) adjusted for their number, in the same order: holm (Holm 1979, family-wise error rate) or bh (Benjamini and Hochberg 1995, false discovery rate). 22003: NaN or out of range; 22004: NULL; 22023: unknown method.';

-- Summaries.

CREATE FUNCTION model_mgr.summary_count(summary model_mgr.summary) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_summary_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_count(model_mgr.summary) IS
'Number of values.';

CREATE FUNCTION model_mgr.summary_sum(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_sum(model_mgr.summary) IS
'Sum of the values; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_mean(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_mean' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_mean(model_mgr.summary) IS
'Mean of the values; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_variance(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_variance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_variance(model_mgr.summary) IS
'Variance with divisor n - 1; NULL below two values.';

CREATE FUNCTION model_mgr.summary_stddev(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_stddev' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_stddev(model_mgr.summary) IS
'Standard deviation with divisor n - 1; NULL below two values.';

CREATE FUNCTION model_mgr.summary_min(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_min' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_min(model_mgr.summary) IS
'Smallest value; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_max(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_max' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_max(model_mgr.summary) IS
'Largest value; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_quantile(summary model_mgr.summary, q float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_quantile(model_mgr.summary, float8) IS
'The value at rank ceil(q n), 0 <= q <= 1, as percentile_disc gives it, within 1 % of itself (0 and 1: exactly); NULL when there are no values. Where values of one sign fill more than 2048 buckets (more than 12 orders of magnitude) the smallest magnitudes are less exact. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.welch_test(control model_mgr.summary, treatment model_mgr.summary, confidence_level float8 DEFAULT 0.95) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_welch_test' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.welch_test(model_mgr.summary, model_mgr.summary, float8) IS
'Welch''s t test of the means of two summaries. A NULL summary is one without values. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.anytime_ci(control model_mgr.summary, treatment model_mgr.summary, confidence_level float8 DEFAULT 0.95,
    OUT ci_low float8, OUT ci_high float8, OUT p_value float8) RETURNS record
AS 'MODULE_PATHNAME', 'mm_anytime_ci' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.anytime_ci(model_mgr.summary, model_mgr.summary, float8) IS
'Interval and p-value of the difference of means that stay valid however often the data are looked at, and whenever the looking stops:
Lindon, Ham, Tingley and Bojinov (2022), Anytime-Valid Linear Models. From -Infinity to Infinity, p 1, while there is too little data (about 25 values an
arm), no variance, or a NULL summary. 22003: confidence_level out of range.';

-- Steps of the aggregates: not callable from SQL (internal).

CREATE FUNCTION model_mgr.summarize_transition(internal, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_summarize_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summarize_transition(internal, float8) IS 'Step of summarize().';
CREATE FUNCTION model_mgr.merge_transition(internal, model_mgr.summary) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_merge_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.merge_transition(internal, model_mgr.summary) IS 'Step of merge().';
CREATE FUNCTION model_mgr.summary_state_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_summary_state_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_combine(internal, internal) IS 'Step of summarize() and merge(): joins the states of two workers.';
CREATE FUNCTION model_mgr.summary_state_serialize(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_summary_state_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_serialize(internal) IS 'Step of summarize() and merge(): a state on its way to another process.';
CREATE FUNCTION model_mgr.summary_state_deserialize(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_summary_state_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_deserialize(bytea, internal) IS 'Step of summarize() and merge(): a state from another process.';
CREATE FUNCTION model_mgr.summary_state_final(internal) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_state_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_final(internal) IS 'Last step of summarize() and merge().';
CREATE FUNCTION model_mgr.z_test_transition(internal, boolean, boolean) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_z_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.z_test_transition(internal, boolean, boolean) IS 'Step of z_test().';
CREATE FUNCTION model_mgr.mcnemar_test_transition(internal, boolean, boolean) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_mcnemar_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mcnemar_test_transition(internal, boolean, boolean) IS 'Step of mcnemar_test().';
CREATE FUNCTION model_mgr.t_test_transition(internal, boolean, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_t_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.t_test_transition(internal, boolean, float8) IS 'Step of t_test().';
CREATE FUNCTION model_mgr.paired_t_test_transition(internal, float8, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_paired_t_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.paired_t_test_transition(internal, float8, float8) IS 'Step of paired_t_test().';
CREATE FUNCTION model_mgr.cuped_test_transition(internal, boolean, float8, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_cuped_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.cuped_test_transition(internal, boolean, float8, float8) IS 'Step of cuped_test().';
CREATE FUNCTION model_mgr.mann_whitney_test_transition(internal, boolean, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_mann_whitney_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mann_whitney_test_transition(internal, boolean, float8) IS 'Step of mann_whitney_test().';
CREATE FUNCTION model_mgr.test_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_test_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.test_combine(internal, internal) IS 'Step of the tests: joins the states of two workers.';
CREATE FUNCTION model_mgr.test_serialize(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_test_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.test_serialize(internal) IS 'Step of the tests: a state on its way to another process.';
CREATE FUNCTION model_mgr.test_deserialize(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_test_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.test_deserialize(bytea, internal) IS 'Step of the tests: a state from another process.';
CREATE FUNCTION model_mgr.z_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_z_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.z_test_final(internal) IS 'Last step of z_test().';
CREATE FUNCTION model_mgr.t_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_t_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.t_test_final(internal) IS 'Last step of t_test().';
CREATE FUNCTION model_mgr.paired_t_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_paired_t_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.paired_t_test_final(internal) IS 'Last step of paired_t_test().';
CREATE FUNCTION model_mgr.mcnemar_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_mcnemar_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mcnemar_test_final(internal) IS 'Last step of mcnemar_test().';
CREATE FUNCTION model_mgr.cuped_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_cuped_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.cuped_test_final(internal) IS 'Last step of cuped_test().';
CREATE FUNCTION model_mgr.mann_whitney_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_mann_whitney_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mann_whitney_test_final(internal) IS 'Last step of mann_whitney_test().';

CREATE AGGREGATE model_mgr.summarize(value float8) (
    SFUNC = model_mgr.summarize_transition, STYPE = internal, SSPACE = 1024, FINALFUNC = model_mgr.summary_state_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.summary_state_combine, SERIALFUNC = model_mgr.summary_state_serialize, DESERIALFUNC = model_mgr.summary_state_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.summarize(value float8) IS
'The summary of all values that are not NULL; NULL when there are none. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.merge(summary model_mgr.summary) (
    SFUNC = model_mgr.merge_transition, STYPE = internal, SSPACE = 1024, FINALFUNC = model_mgr.summary_state_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.summary_state_combine, SERIALFUNC = model_mgr.summary_state_serialize, DESERIALFUNC = model_mgr.summary_state_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.merge(summary model_mgr.summary) IS
'The summary of all sets together: the same as summarize() over all their values. NULL summaries are skipped; NULL when there are none.';

CREATE AGGREGATE model_mgr.z_test(treatment boolean, success boolean) (
    SFUNC = model_mgr.z_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.z_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.z_test(treatment boolean, success boolean) IS
'Difference of success rates: pooled z, two-sided p, Newcombe''s 95 % interval. Rows with a NULL are skipped.';

CREATE AGGREGATE model_mgr.t_test(treatment boolean, value float8) (
    SFUNC = model_mgr.t_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.t_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.t_test(treatment boolean, value float8) IS
'Difference of means: Welch''s t, two-sided p, 95 % interval. Rows with a NULL are skipped. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.paired_t_test(control float8, treatment float8) (
    SFUNC = model_mgr.paired_t_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.paired_t_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.paired_t_test(control float8, treatment float8) IS
'Mean difference within pairs: t with n - 1 degrees of freedom, two-sided p, 95 % interval. Rows with a NULL are skipped. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.mcnemar_test(control boolean, treatment boolean) (
    SFUNC = model_mgr.mcnemar_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.mcnemar_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.mcnemar_test(control boolean, treatment boolean) IS
'Difference of success rates within pairs: z = root of McNemar''s chi-square, without continuity correction, two-sided p, Newcombe''s 95 % interval for pairs. Rows with a NULL are skipped.';

CREATE AGGREGATE model_mgr.cuped_test(treatment boolean, value float8, covariate float8) (
    SFUNC = model_mgr.cuped_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.cuped_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.cuped_test(treatment boolean, value float8, covariate float8) IS
'Difference of means after taking out what a covariate from before the experiment explains (Deng and others 2013): Welch''s t, two-sided p, 95 % interval; means are the adjusted ones. Rows with a NULL are skipped. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.mann_whitney_test(treatment boolean, value float8) (
    SFUNC = model_mgr.mann_whitney_test_transition, STYPE = internal, SSPACE = 50000,
    FINALFUNC = model_mgr.mann_whitney_test_final, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.mann_whitney_test(treatment boolean, value float8) IS
'Whether values of treatment tend to be larger: U with average ranks, two-sided p by the normal approximation with tie and continuity correction; the
effect is Cliff''s delta, without an interval. Sorts, beyond work_mem on disk; neither parallel nor a window function. Rows with a NULL are skipped. 22003: NaN or infinity.';
