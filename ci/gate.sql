-- gate.sql: lets a pipeline go on only while a version (or what serves) is well; with test, only when treatment won it.
--   psql -X -v ON_ERROR_STOP=1 -v model=spam -v version=1.2.0 -f ci/gate.sql
\set ON_ERROR_STOP on
\if :{?version} \else \set version '' \endif
SELECT model_mgr.assert_healthy(:'model', nullif(:'version', ''));
\if :{?test}
SELECT model_mgr.assert_ab_test_winner(:'test', 'treatment');
\endif
