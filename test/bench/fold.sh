#!/usr/bin/env bash
# fold: the fold of a million observations of twenty versions against one plain GROUP BY of the same aggregates over the
# same table: counts, sums, summaries, custom metrics, both by hashing. Medians of interleaved rounds; lines "name ratio target" on stdout.
#   ROUNDS (5)  ROWS (1000000)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rounds=${ROUNDS:-5}
rows=${ROWS:-1000000}

run >&2 <<SQL
SET client_min_messages = warning;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m' || i, '1', model_configuration('p', 'm'))) FROM generate_series(1, 20) i;
SELECT count(deploy_model_version('m' || i, '1')) FROM generate_series(1, 20) i;
CALL maintain();
INSERT INTO observation (recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens, error_type, metrics)
SELECT now() - (i * 600.0 / $rows) * interval '1 s', 1 + i % 20, i % 7 > 0, exp(sin(i) * 2), i % 1000 / 1000.0, i % 317 * 0.001, i % 4000, i % 900,
    CASE WHEN i % 50 = 0 THEN 'timeout' END, CASE WHEN i % 10 = 0 THEN jsonb_build_object('tone', i % 5) END
FROM generate_series(1, $rows) i;
VACUUM ANALYZE;
SQL

# milliseconds: of the last statement of a script, which is undone.
milliseconds() {
	{ printf '%s\n' 'SET jit = off; SET enable_sort = off; SET max_parallel_workers_per_gather = 0; BEGIN;' '\timing on'; cat; printf '%s\n' '\timing off' 'ROLLBACK;'; } |
		run | tee -a /dev/stderr | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
}
plain() {
	milliseconds <<'SQL'
CREATE TEMP TABLE plain AS SELECT date_bin('1 minute', recorded_at - interval '1 microsecond', '2000-01-01 00:00:00+00') AS bucket,
    version_id, deployment_id, step, test_no, arm, count(*) FILTER (WHERE NOT feedback) AS requests, count(success) AS known,
    count(*) FILTER (WHERE success) AS successes, count(error_type) FILTER (WHERE NOT feedback) AS errors,
    count(response_time) AS c1, sum(response_time) AS s1, count(confidence) AS c2, sum(confidence) AS s2, count(cost) AS c3, sum(cost) AS s3,
    count(input_tokens) AS c4, sum(input_tokens::float8) AS s4, count(output_tokens) AS c5, sum(output_tokens::float8) AS s5, max(recorded_at) AS last_at,
    model_mgr.summarize(response_time) AS m1, model_mgr.summarize(confidence) AS m2, model_mgr.summarize(cost) AS m3,
    model_mgr.summarize(input_tokens::float8) AS m4, model_mgr.summarize(output_tokens::float8) AS m5,
    model_mgr.metric_summaries(metrics, recorded_at) AS custom
FROM model_mgr.observation GROUP BY 1, 2, 3, 4, 5, 6;
SQL
}
fold() {
	echo "SELECT model_mgr.maintenance_run('fold');" | milliseconds
}

for ((i = 1; i <= rounds; i++)); do
	plain >>"$dir/plain"
	fold >>"$dir/fold"
done
awk -v f="$(median <"$dir/fold")" -v p="$(median <"$dir/plain")" 'BEGIN { printf "fold_million %.3f <=1.5\n", f / p }'
