-- Rollouts simulated through the real SQL, the short form; test/soak/simulation.sh drives a thousand.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
\set per_class 8
\set seed 0.25
\i test/simulation.psql
SELECT results_eq($$SELECT class, count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'rolled_back') FROM ended GROUP BY class ORDER BY class$$,
    $$VALUES ('bad', 0::bigint, 8::bigint), ('bad_late', 0, 8), ('drift', 8, 0), ('edge', 8, 0), ('good', 8, 0), ('late', 8, 0)$$, 'the bad ones come back, the others arrive');
SELECT cmp_ok((SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY bad) FROM ended WHERE class LIKE 'bad%'), '<', 2000::bigint, 'before much harm is done');
SELECT * FROM finish();
