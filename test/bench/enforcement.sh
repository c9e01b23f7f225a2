#!/usr/bin/env bash
# enforcement: what an evaluation adds to the commit that carries it at 5,000 recordings a second without any scheduler,
# and that it, the recording and the reading of rollups stay flat while history grows. Lines "name ratio target".
# As many of a run's slowest commits as there were evaluations are taken for those that carried one: whatever else made a
# commit slow counts against us. Times in ms.
#   HISTORY (5000000) rows filled in bulk   ROUNDS (3)   SECONDS_EACH (15)
set -euo pipefail
history=${HISTORY:-5000000}
rounds=${ROUNDS:-3}
each=${SECONDS_EACH:-15}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
db=model_mgr_bench_enforcement
run() { psql -XqAt -v ON_ERROR_STOP=1 -d "$db" "$@"; }
median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

dropdb --if-exists "$db" >&2
createdb "$db"
run >&2 <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION model_mgr;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT deployment_id FROM deploy_model_version('m', '1');
SELECT deployment_id FROM deploy_model_version('m', '2', rollout => '{"steps": [50, 100], "step_seconds": 86400}');
CALL maintain();
SQL
cat >"$dir/record.sql" <<'SQL'
\set v random(1, 2)
SELECT model_mgr.update_model_metrics('m', :v::text, 0.5, true, 0.9, 0.001, 100, 20);
SQL

folds() { run -c "SELECT pg_stat_clear_snapshot()" -c "SELECT n_tup_upd FROM pg_stat_all_tables WHERE relid = 'model_mgr.rollup_state'::regclass" | tail -n 1; }
# evaluation: how much longer than the median the evaluating commits took, 99th percentile.
evaluation() {
	local before after i
	for ((i = 0; i < rounds; i++)); do
		before=$(folds)
		rm -f "$dir"/log.*
		pgbench -n -M prepared -c 8 -j 2 -R 5000 -T "$each" -l --log-prefix="$dir/log" -f "$dir/record.sql" "$db" >&2
		sleep 1.5
		after=$(folds)
		cat "$dir"/log.* | awk '{print ($3 - $7) / 1000}' | sort -g |
			awk -v n=$((after - before)) '{v[NR] = $1}
				END {rank = NR - int(n / 100); printf "evaluations %d of %d, median %.3f, p99 of evaluating %.3f\n", n, NR, v[int(NR / 2)], v[rank] >"/dev/stderr"
				     print v[rank] - v[int(NR / 2)]}'
	done | median
}
# rate: recordings a second of one client.
rate() {
	local i
	for ((i = 0; i < rounds; i++)); do
		pgbench -n -M prepared -c 1 -T 3 -f "$dir/record.sql" "$db" 2>/dev/null | sed -n 's/^tps = \([0-9.]*\) .*/\1/p'
	done | median
}
# reading: one look at what is folded and what is not, planning included.
reading() {
	local i
	for ((i = 0; i < 5 * rounds; i++)); do
		run -c '\timing on' -c "SELECT sum(requests) FROM model_mgr.rollup_now" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
	done | median
}
extra=$(evaluation)
printf 'evaluating_commit_extra_ms %.3f <=25\n' "$extra"
rate_before=$(rate)
run -c "SELECT model_mgr.maintenance_run('fold')" >&2
reading_before=$(reading)

# History over the last days, in bulk; autovacuum gets no time for it.
for ((done = 0; done < history; done += 1000000)); do
	run -c "INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens)
		SELECT now() - interval '1 day' * ($done + i) / $history * 5, 1 + i % 2, i % 100 <> 0, 0.5, 0.9, 0.001, 100, 20 FROM generate_series(1, 1000000) i" >&2
	run -c "SELECT model_mgr.maintenance_run('fold')" >&2
done
run -c "CHECKPOINT" >&2
rate_after=$(rate)
run -c "SELECT model_mgr.maintenance_run('fold')" >&2
reading_after=$(reading)
extra=$(evaluation)
printf 'evaluating_commit_extra_ms_with_history %.3f <=25\n' "$extra"
echo "$rate_before $rate_after" | awk '{printf "recording_rate_with_history %.3f >=0.9\n", $2 / $1}'
echo "read $reading_before ms, with history $reading_after ms" >&2
echo "$reading_before $reading_after" | awk '{printf "reading_rollups_with_history %.3f <=2\n", $2 / $1}'
dropdb "$db" >&2
