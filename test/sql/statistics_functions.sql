-- The plain functions of the statistics against reference numbers (test/vectors), their defaults, and what they refuse.
\i test/fresh.psql
\i test/near.psql
SET search_path = model_mgr, public, tap;
SELECT plan(25);

-- Distributions. The distance from the reference far out in t: two roundings of t.
CREATE TEMP TABLE normal_cdf_case (x float8, p float8);
\copy normal_cdf_case FROM 'test/vectors/normal_cdf.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT x, normal_cdf(x), p FROM normal_cdf_case WHERE NOT pg_temp.near(normal_cdf(x), p, 1e-13, 1e-300)$$, 'normal_cdf');
CREATE TEMP TABLE normal_quantile_case (p float8, x float8);
\copy normal_quantile_case FROM 'test/vectors/normal_quantile.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT p, normal_quantile(p), x FROM normal_quantile_case WHERE NOT pg_temp.near(normal_quantile(p), x, 1e-12, 1e-15)$$, 'normal_quantile');
CREATE TEMP TABLE student_t_cdf_case (t float8, df float8, p float8);
\copy student_t_cdf_case FROM 'test/vectors/student_t_cdf.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT t, df, student_t_cdf(t, df), p FROM student_t_cdf_case
    WHERE NOT pg_temp.near(student_t_cdf(t, df), p, greatest(1e-13, 4.4e-16 * (df + 1) / (1 + df / (greatest(abs(t), 1e-100) * greatest(abs(t), 1e-100)))), 1e-300)$$, 'student_t_cdf');
CREATE TEMP TABLE student_t_quantile_case (p float8, df float8, t float8);
\copy student_t_quantile_case FROM 'test/vectors/student_t_quantile.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT p, df, student_t_quantile(p, df), t FROM student_t_quantile_case WHERE NOT pg_temp.near(student_t_quantile(p, df), t, 1e-12, 1e-15)$$, 'student_t_quantile');
CREATE TEMP TABLE chi_square_case (x float8, df float8, p float8);
\copy chi_square_case FROM 'test/vectors/chi_square_sf.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT x, df, chi_square_sf(x, df), p FROM chi_square_case WHERE NOT pg_temp.near(chi_square_sf(x, df), p, 1e-13, 1e-300)$$, 'chi_square_sf');

-- Tests on given figures.
CREATE TEMP TABLE proportion_case (xc bigint, nc bigint, xt bigint, nt bigint, level float8, statistic float8, p_value float8, effect float8,
    ci_low float8, ci_high float8, wald_low float8, wald_high float8, note text);
\copy proportion_case FROM 'test/vectors/two_proportion_z.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT c, r FROM proportion_case c, two_proportion_z_test(xc, nc, xt, nt, level) r
    WHERE NOT (pg_temp.near(r.statistic, c.statistic, 1e-10, 1e-10) AND pg_temp.near(r.p_value, c.p_value, 1e-10, 1e-300)
        AND pg_temp.near(r.effect, c.effect, 1e-10) AND pg_temp.within(r.ci_low, r.ci_high, c.ci_low, c.ci_high, 1e-10)
        AND r.df IS NULL AND r.n_control = nc AND r.n_treatment = nt AND r.mean_control = xc / nc::float8 AND r.mean_treatment = xt / nt::float8
        AND r.status = CASE note WHEN 'no variance' THEN 'no_variance' ELSE 'ok' END)$$, 'two_proportion_z_test');
CREATE TEMP TABLE welch_case (mc float8, sc float8, nc bigint, mt float8, st float8, nt bigint, level float8, statistic float8, df float8,
    p_value float8, effect float8, ci_low float8, ci_high float8, note text);
\copy welch_case FROM 'test/vectors/welch_t_summary.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT c, r FROM welch_case c, welch_t_test(mc, sc, nc, mt, st, nt, level) r
    WHERE NOT (pg_temp.near(r.statistic, c.statistic, 1e-10, 1e-10) AND pg_temp.near(r.df, c.df, 1e-10) AND pg_temp.near(r.p_value, c.p_value, 1e-10, 1e-300)
        AND pg_temp.near(r.effect, c.effect, 1e-10) AND pg_temp.within(r.ci_low, r.ci_high, c.ci_low, c.ci_high, 1e-10)
        AND r.status = CASE WHEN note LIKE 'no variance%' THEN 'no_variance' ELSE 'ok' END)$$, 'welch_t_test');

-- Design.
CREATE TEMP TABLE size_case (rate float8, effect float8, power float8, level float8, n_raw float8, n bigint);
\copy size_case FROM 'test/vectors/required_sample_size.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT * FROM size_case WHERE required_sample_size(rate, effect, power, level) <> n$$, 'required_sample_size');
CREATE TEMP TABLE power_case (rate float8, effect float8, n bigint, level float8, treatment_rate float8, power float8);
\copy power_case FROM 'test/vectors/achieved_power.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT * FROM power_case WHERE NOT pg_temp.near(achieved_power(rate, effect, n, level), power, 1e-10)$$, 'achieved_power');
CREATE TEMP TABLE effect_case (rate float8, n bigint, power float8, level float8, effect float8);
\copy effect_case FROM 'test/vectors/detectable_effect.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT * FROM effect_case WHERE NOT pg_temp.near(detectable_effect(rate, n, power, level), effect, 1e-10)$$, 'detectable_effect');
SELECT is_empty($$SELECT * FROM size_case WHERE achieved_power(rate, effect, n, level) < power OR (n > 1 AND achieved_power(rate, effect, n - 1, level) >= power)$$,
    'the size is the smallest that has the power');
CREATE TEMP TABLE ratio_case (nc bigint, nt bigint, share float8, p float8);
\copy ratio_case FROM 'test/vectors/sample_ratio.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT * FROM ratio_case WHERE NOT pg_temp.near(sample_ratio_p_value(nc, nt, share), p, 1e-10, 1e-300)$$, 'sample_ratio_p_value');

-- Boundaries and adjustment.
CREATE TEMP TABLE boundary_case (fractions float8[], level float8, spending text, boundaries float8[], note text);
\copy boundary_case FROM 'test/vectors/sequential_boundary.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT b.*, seen FROM boundary_case b, sequential_boundary(fractions, level, spending) seen
    WHERE cardinality(seen) <> cardinality(boundaries) OR EXISTS (SELECT FROM unnest(seen, boundaries) u (s, w) WHERE s IS NULL OR w IS NULL OR abs(s - w) > 1e-7)$$, 'sequential_boundary');
CREATE TEMP TABLE adjust_case (p float8[], method text, adjusted float8[]);
\copy adjust_case FROM 'test/vectors/adjust_p_values.csv' WITH (FORMAT csv, HEADER)
SELECT is_empty($$SELECT a.*, seen FROM adjust_case a, adjust_p_values(p, method) seen
    WHERE cardinality(seen) <> cardinality(adjusted) OR EXISTS (SELECT FROM unnest(seen, adjusted) u (s, w) WHERE NOT pg_temp.near(s, w, 1e-12))$$, 'adjust_p_values');
SELECT is(adjust_p_values('{}'), '{}'::float8[], 'nothing to adjust');
SELECT is(sequential_boundary('{1}')::numeric(20, 10)[], ARRAY[-normal_quantile(0.025)]::numeric(20, 10)[], 'one look is a plain test');
SELECT is(cardinality(sequential_boundary('{0.999901, 0.999902, 0.999903, 1}')), 4, 'a millionth apart');
SELECT is(ARRAY[chi_square_sf(1, 1e308), chi_square_sf(1.7e308, 1e308), student_t_cdf(-1, 5e-324)], '{1,0,0.5}'::float8[], 'df at the ends of the doubles');

-- NULL where there is a default means the default.
SELECT is(two_proportion_z_test(10, 100, 20, 100, NULL), two_proportion_z_test(10, 100, 20, 100, 0.95), 'confidence_level');
SELECT is(welch_t_test(1, 2, 10, 2, 3, 12, NULL), welch_t_test(1, 2, 10, 2, 3, 12), 'confidence_level of welch_t_test');
SELECT is(ARRAY[required_sample_size(0.1, 0.02, NULL, NULL), required_sample_size(0.1, 0.02)], ARRAY[3841, 3841]::bigint[], 'power');
SELECT is(sequential_boundary('{0.5, 1}', NULL, NULL), sequential_boundary('{0.5, 1}', 0.95, 'obrien_fleming'), 'spending');
SELECT is(adjust_p_values('{0.01, 0.04}', NULL), adjust_p_values('{0.01, 0.04}', 'holm'), 'method');

-- Degenerate cases.
CREATE FUNCTION pg_temp.shown(r test_result) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s: statistic %s df %s p %s effect %s from %s to %s means %s %s', (r).status, coalesce(round((r).statistic::numeric, 4)::text, '-'), coalesce(round((r).df::numeric, 4)::text, '-'),
        coalesce(round((r).p_value::numeric, 6)::text, '-'), coalesce((r).effect::text, '-'), coalesce(round((r).ci_low::numeric, 6)::text, '-'),
        coalesce(round((r).ci_high::numeric, 6)::text, '-'), coalesce((r).mean_control::text, '-'), coalesce((r).mean_treatment::text, '-'))
$$;
SELECT results_eq($$SELECT pg_temp.shown(r) FROM (VALUES
        (1, two_proportion_z_test(0, 0, 1, 2)), (2, two_proportion_z_test(1, 2, 0, 0)), (3, two_proportion_z_test(0, 0, 0, 0)), (4, two_proportion_z_test(0, 10, 0, 10)),
        (5, two_proportion_z_test(10, 10, 10, 10)), (6, two_proportion_z_test(0, 10, 10, 10)), (7, two_proportion_z_test(0, 1, 1, 1)),
        (8, welch_t_test(1, 1, 0, 2, 1, 10)), (9, welch_t_test(1, 1, 10, 2, 1, 0)), (10, welch_t_test(1, 0, 1, 2, 1, 10)),
        (11, welch_t_test(2, 0, 10, 2, 0, 10)), (12, welch_t_test(2, 0, 10, 1.5, 0, 10)), (13, welch_t_test(2, 0, 10, 1.5, 1, 10))) v (n, r) ORDER BY n$$,
    ARRAY['empty_control: statistic - df - p - effect - from - to - means - 0.5',
        'empty_treatment: statistic - df - p - effect - from - to - means 0.5 -',
        'empty_control: statistic - df - p - effect - from - to - means - -',
        'no_variance: statistic 0.0000 df - p 1.000000 effect 0 from -0.277533 to 0.277533 means 0 0',
        'no_variance: statistic 0.0000 df - p 1.000000 effect 0 from -0.277533 to 0.277533 means 1 1',
        'ok: statistic 4.4721 df - p 0.000008 effect 1 from 0.607509 to 1.000000 means 0 1',
        'ok: statistic 1.4142 df - p 0.157299 effect 1 from -0.122109 to 1.000000 means 0 1',
        'empty_control: statistic - df - p - effect - from - to - means - 2',
        'empty_treatment: statistic - df - p - effect - from - to - means 1 -',
        'too_few: statistic - df - p - effect 1 from - to - means 1 2',
        'no_variance: statistic 0.0000 df - p 1.000000 effect 0 from 0.000000 to 0.000000 means 2 2',
        'no_variance: statistic -Infinity df - p 0.000000 effect -0.5 from -0.500000 to -0.500000 means 2 1.5',
        'ok: statistic -1.5811 df 9.0000 p 0.148305 effect -0.5 from -1.215357 to 0.215357 means 2 1.5'],
    'degenerate cases');

-- What is refused, with code, DETAIL and HINT.
CREATE FUNCTION pg_temp.refused(wanted text, expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text; detail text; hint text;
BEGIN
    EXECUTE 'SELECT ' || expression;
    RETURN expression || ' is accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN CASE WHEN code <> wanted THEN expression || ' is ' || code || ': ' || SQLERRM WHEN detail !~ '\.$' OR hint !~ '\.$' THEN expression || ' has no DETAIL or HINT' END;
END $$;
SELECT is_empty($$SELECT said FROM (VALUES
    ('22003', 'normal_cdf(''NaN'')'), ('22003', 'normal_cdf(''-Infinity'')'), ('22003', 'normal_quantile(0)'), ('22003', 'normal_quantile(1)'),
    ('22003', 'normal_quantile(-0.1)'), ('22003', 'normal_quantile(''NaN'')'), ('22003', 'student_t_cdf(''NaN'', 3)'), ('22003', 'student_t_cdf(1, 0)'),
    ('22003', 'student_t_cdf(1, -2)'), ('22003', 'student_t_cdf(1, ''Infinity'')'), ('22003', 'student_t_quantile(1.5, 3)'), ('22003', 'student_t_quantile(0.5, 0)'),
    ('22003', 'student_t_quantile(1e-300, 0.1)'), ('22003', 'chi_square_sf(-1, 3)'), ('22003', 'chi_square_sf(1, 0)'), ('22003', 'chi_square_sf(''Infinity'', 3)'),
    ('22003', 'two_proportion_z_test(-1, 10, 1, 10)'), ('22003', 'two_proportion_z_test(1, -10, 1, 10)'), ('22003', 'two_proportion_z_test(11, 10, 1, 10)'),
    ('22003', 'two_proportion_z_test(1, 10, 11, 10)'), ('22003', 'two_proportion_z_test(1, 10, 1, 10, 0)'), ('22003', 'two_proportion_z_test(1, 10, 1, 10, 1)'),
    ('22003', 'two_proportion_z_test(1, 10, 1, 10, 95)'), ('22003', 'two_proportion_z_test(1, 10, 1, 10, ''NaN'')'), ('22004', 'two_proportion_z_test(1, NULL, 1, 10)'),
    ('22003', 'welch_t_test(''NaN'', 1, 10, 1, 1, 10)'), ('22003', 'welch_t_test(1, -1, 10, 1, 1, 10)'), ('22003', 'welch_t_test(1, 1, -10, 1, 1, 10)'),
    ('22003', 'welch_t_test(1, 1, 10, ''Infinity'', 1, 10)'), ('22003', 'welch_t_test(1, 1, 10, 1, ''NaN'', 10)'), ('22004', 'welch_t_test(1, 1, 10, 1, 1, NULL)'),
    ('22003', 'welch_t_test(1, 1, 10, 1, 1, 10, 1.5)'),
    ('22003', 'welch_t_test(1e308, 1, 10, -1e308, 1, 10)'), ('22003', 'welch_t_test(1, 1e-170, 10, 2, 1, 10)'), ('22003', 'welch_t_test(1, 1, 10, 2, 5e-324, 10)'),
    ('22003', 'required_sample_size(0.1, 0)'), ('22003', 'required_sample_size(1.1, 0.1)'),
    ('22003', 'required_sample_size(0.95, 0.1)'), ('22003', 'required_sample_size(0.05, -0.1)'), ('22003', 'required_sample_size(0.1, 0.1, 1)'),
    ('22003', 'required_sample_size(0.1, 0.1, 0.8, 0)'), ('22003', 'required_sample_size(0.5, 1e-11)'), ('22004', 'required_sample_size(NULL, 0.1)'),
    ('22003', 'achieved_power(0.1, 0.1, 0)'), ('22003', 'achieved_power(0.1, 2, 10)'), ('22004', 'achieved_power(0.1, 0.1, NULL)'),
    ('22003', 'detectable_effect(1, 100)'), ('22003', 'detectable_effect(0.9, 2)'), ('22003', 'detectable_effect(0.1, 100, 0.01)'), ('22003', 'detectable_effect(0.1, -1)'),
    ('22003', 'sample_ratio_p_value(-1, 10)'), ('22003', 'sample_ratio_p_value(1, 10, 0)'), ('22003', 'sample_ratio_p_value(1, 10, 1)'), ('22004', 'sample_ratio_p_value(NULL, 1)'),
    ('22004', 'sequential_boundary(NULL)'), ('22004', 'sequential_boundary(''{0.5, NULL}'')'), ('22003', 'sequential_boundary(''{0, 1}'')'), ('22003', 'sequential_boundary(''{0.5, 1.1}'')'),
    ('22003', 'sequential_boundary(''{NaN}'')'), ('22003', 'sequential_boundary(''{1}'', 1)'), ('22023', 'sequential_boundary(''{}'')'), ('22023', 'sequential_boundary(''{0.5, 0.5}'')'),
    ('22023', 'sequential_boundary(''{1, 0.5}'')'), ('22023', 'sequential_boundary(''{1}'', 0.95, ''haybittle'')'), ('22004', 'adjust_p_values(NULL)'),
    ('22004', 'adjust_p_values(''{NULL}'')'), ('22003', 'adjust_p_values(''{1.01}'')'), ('22003', 'adjust_p_values(''{-0.01}'')'), ('22003', 'adjust_p_values(''{NaN}'')'),
    ('22023', 'adjust_p_values(''{0.5}'', ''bonferroni'')')) v (wanted, expression), pg_temp.refused(wanted, expression) said WHERE said IS NOT NULL$$, 'what is refused');

SELECT * FROM finish();
DROP FUNCTION pg_temp.shown(test_result);
DROP EXTENSION model_mgr;
