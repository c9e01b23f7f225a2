-- 10_types: the type summary and the row that tests return. The rest of the statistics is in 60_statistics.

CREATE TYPE model_mgr.summary;

CREATE FUNCTION model_mgr.summary_in(cstring) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_in(cstring) IS 'Text form (JSON) of a summary. 22P02: anything that summarize() or merge() could not have made.';
CREATE FUNCTION model_mgr.summary_out(model_mgr.summary) RETURNS cstring
AS 'MODULE_PATHNAME', 'mm_summary_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_out(model_mgr.summary) IS 'Text form (JSON); reads back as exactly the same summary.';
CREATE FUNCTION model_mgr.summary_recv(internal) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_recv(internal) IS 'Binary form, the same on every machine. 22P03: anything that summarize() or merge() could not have made.';
CREATE FUNCTION model_mgr.summary_send(model_mgr.summary) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_summary_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_send(model_mgr.summary) IS 'Binary form, the same on every machine, with its version in the first byte; later versions read it too.';

CREATE TYPE model_mgr.summary (
    INPUT = model_mgr.summary_in, OUTPUT = model_mgr.summary_out,
    RECEIVE = model_mgr.summary_recv, SEND = model_mgr.summary_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE model_mgr.summary IS
'What summarize(float8) makes of a set of numbers: count, sum, squared deviations, smallest, largest, and counts in buckets from which any
quantile is known to 1 %. Summaries of parts merge into the summary of the whole. At most 2 x 2048 buckets (about 48 kB, usually below 1 kB).';

CREATE TYPE model_mgr.test_result AS (
    statistic float8, df float8, p_value float8, effect float8, ci_low float8, ci_high float8,
    n_control bigint, n_treatment bigint, mean_control float8, mean_treatment float8, status text);
COMMENT ON TYPE model_mgr.test_result IS 'What a two-sample test returns; every difference is treatment minus control.';
COMMENT ON COLUMN model_mgr.test_result.statistic IS 'z, t, or U of treatment (mann_whitney_test); +-Infinity where there is no variance but a difference';
COMMENT ON COLUMN model_mgr.test_result.df IS 'degrees of freedom of t; NULL in tests that have none';
COMMENT ON COLUMN model_mgr.test_result.p_value IS 'two-sided';
COMMENT ON COLUMN model_mgr.test_result.effect IS 'difference of means or rates; Cliffs delta, -1 to 1, in mann_whitney_test';
COMMENT ON COLUMN model_mgr.test_result.ci_low IS 'lower end of the confidence interval of the effect';
COMMENT ON COLUMN model_mgr.test_result.ci_high IS 'upper end of the confidence interval of the effect';
COMMENT ON COLUMN model_mgr.test_result.n_control IS 'values of control; pairs in paired tests';
COMMENT ON COLUMN model_mgr.test_result.n_treatment IS 'values of treatment; pairs in paired tests';
COMMENT ON COLUMN model_mgr.test_result.mean_control IS 'mean or rate of control';
COMMENT ON COLUMN model_mgr.test_result.mean_treatment IS 'mean or rate of treatment';
COMMENT ON COLUMN model_mgr.test_result.status IS 'ok; empty_control, empty_treatment: no values; too_few: fewer than two; no_variance: nothing varies (equal: p 1, different means: p 0)';

-- Order and equality are those of the stored bytes: of use for DISTINCT, GROUP BY and indexes, without further meaning.
CREATE FUNCTION model_mgr.summary_eq(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_eq(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: equal.';
CREATE FUNCTION model_mgr.summary_ne(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_ne(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: not equal.';
CREATE FUNCTION model_mgr.summary_lt(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_lt(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: before.';
CREATE FUNCTION model_mgr.summary_le(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_le(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: before or equal.';
CREATE FUNCTION model_mgr.summary_gt(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_gt(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: after.';
CREATE FUNCTION model_mgr.summary_ge(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_ge(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: after or equal.';
CREATE FUNCTION model_mgr.summary_cmp(model_mgr.summary, model_mgr.summary) RETURNS integer
AS 'MODULE_PATHNAME', 'mm_summary_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_cmp(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: -1, 0 or 1.';
CREATE FUNCTION model_mgr.summary_hash(model_mgr.summary) RETURNS integer
AS 'MODULE_PATHNAME', 'mm_summary_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_hash(model_mgr.summary) IS 'Hash of the stored bytes.';
CREATE FUNCTION model_mgr.summary_hash_extended(model_mgr.summary, bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_summary_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_hash_extended(model_mgr.summary, bigint) IS 'Seeded 64-bit hash of the stored bytes.';
CREATE FUNCTION model_mgr.summary_add(model_mgr.summary, model_mgr.summary) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_add(model_mgr.summary, model_mgr.summary) IS 'Summary of both sets together; the operator + is this. 22003: their sum is beyond the doubles.';

CREATE OPERATOR model_mgr.= (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_eq,
    COMMUTATOR = OPERATOR(model_mgr.=), NEGATOR = OPERATOR(model_mgr.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR model_mgr.<> (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_ne,
    COMMUTATOR = OPERATOR(model_mgr.<>), NEGATOR = OPERATOR(model_mgr.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR model_mgr.< (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_lt,
    COMMUTATOR = OPERATOR(model_mgr.>), NEGATOR = OPERATOR(model_mgr.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR model_mgr.<= (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_le,
    COMMUTATOR = OPERATOR(model_mgr.>=), NEGATOR = OPERATOR(model_mgr.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR model_mgr.> (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_gt,
    COMMUTATOR = OPERATOR(model_mgr.<), NEGATOR = OPERATOR(model_mgr.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR model_mgr.>= (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_ge,
    COMMUTATOR = OPERATOR(model_mgr.<=), NEGATOR = OPERATOR(model_mgr.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
CREATE OPERATOR model_mgr.+ (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_add,
    COMMUTATOR = OPERATOR(model_mgr.+));
COMMENT ON OPERATOR model_mgr.= (model_mgr.summary, model_mgr.summary) IS 'equal';
COMMENT ON OPERATOR model_mgr.<> (model_mgr.summary, model_mgr.summary) IS 'not equal';
COMMENT ON OPERATOR model_mgr.< (model_mgr.summary, model_mgr.summary) IS 'before, by stored bytes';
COMMENT ON OPERATOR model_mgr.<= (model_mgr.summary, model_mgr.summary) IS 'before or equal, by stored bytes';
COMMENT ON OPERATOR model_mgr.> (model_mgr.summary, model_mgr.summary) IS 'after, by stored bytes';
COMMENT ON OPERATOR model_mgr.>= (model_mgr.summary, model_mgr.summary) IS 'after or equal, by stored bytes';
COMMENT ON OPERATOR model_mgr.+ (model_mgr.summary, model_mgr.summary) IS 'summary of both sets together';

CREATE OPERATOR CLASS model_mgr.summary_ops DEFAULT FOR TYPE model_mgr.summary USING btree AS
    OPERATOR 1 model_mgr.<, OPERATOR 2 model_mgr.<=, OPERATOR 3 model_mgr.=, OPERATOR 4 model_mgr.>=, OPERATOR 5 model_mgr.>,
    FUNCTION 1 model_mgr.summary_cmp(model_mgr.summary, model_mgr.summary);
COMMENT ON OPERATOR CLASS model_mgr.summary_ops USING btree IS 'order of the stored bytes';
CREATE OPERATOR CLASS model_mgr.summary_hash_ops DEFAULT FOR TYPE model_mgr.summary USING hash AS
    OPERATOR 1 model_mgr.=,
    FUNCTION 1 model_mgr.summary_hash(model_mgr.summary), FUNCTION 2 model_mgr.summary_hash_extended(model_mgr.summary, bigint);
COMMENT ON OPERATOR CLASS model_mgr.summary_hash_ops USING hash IS 'hash of the stored bytes';
COMMENT ON OPERATOR FAMILY model_mgr.summary_ops USING btree IS 'order of the stored bytes';
COMMENT ON OPERATOR FAMILY model_mgr.summary_hash_ops USING hash IS 'hash of the stored bytes';
