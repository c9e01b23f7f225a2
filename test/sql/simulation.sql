-- Rollouts simulated through the real SQL, the short form; test/soak/simulation.sh drives a thousand.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
\set per_class 12
\set seed 0.25
\i test/simulation.psql
SELECT results_eq('SELECT class, completed, rolled_back FROM figures ORDER BY class',
    $$VALUES ('bad', 0::bigint, 12::bigint), ('drift', 12, 0), ('good', 12, 0), ('late', 12, 0)$$, 'the bad ones come back, the others arrive');
SELECT cmp_ok((SELECT median_bad_requests FROM figures WHERE class = 'bad'), '<', 2000::bigint, 'before much harm is done');
SELECT * FROM finish();
