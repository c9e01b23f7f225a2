#!/usr/bin/env bash
# enforcement: what an evaluation adds to the commit that carries it at 5,000 recordings a second without any scheduler,
# and that it, the recording and the reading of rollups stay flat while history grows. Lines "name ratio target".
# A trigger on the last thing that an evaluation writes notes the time since its statement arrived. Times in ms.
#   HISTORY (5000000) rows filled in bulk   ROUNDS (3)   SECONDS_EACH (15)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
history=${HISTORY:-5000000}
rounds=${ROUNDS:-3}
each=${SECONDS_EACH:-15}
warm_up=40 # the first evaluation of each of eight connections plans its queries (25 ms more); connections live longer than a benchmark

run >&2 <<'SQL'
SET client_min_messages = warning;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT deployment_id FROM deploy_model_version('m', '1');
SELECT deployment_id FROM deploy_model_version('m', '2', rollout => '{"steps": [50, 100], "step_seconds": 86400}');
CALL maintain();
CREATE UNLOGGED TABLE public.evaluation (ms numeric);
CREATE FUNCTION public.note_evaluation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.evaluation VALUES (extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000);
    RETURN NULL;
END $$;
CREATE TRIGGER note_evaluation AFTER UPDATE OF judged_at ON model_mgr.deployment_judged FOR EACH ROW EXECUTE FUNCTION public.note_evaluation();
SQL
cat >"$dir/record.sql" <<'SQL'
\set v random(1, 2)
SELECT model_mgr.update_model_metrics('m', :v::text, 0.5, true, 0.9, 0.001, 100, 20);
SQL

# evaluation: how long evaluating commits took, 99th percentile, beside the others' median.
evaluation() {
	local i
	for ((i = 0; i < rounds; i++)); do
		rm -f "$dir"/log.*
		(sleep "$warm_up" && run -c 'TRUNCATE evaluation') >&2 &
		pgbench -n -M prepared -c 8 -j 2 -R 5000 -T $((each + warm_up)) -l --log-prefix="$dir/log" -f "$dir/record.sql" "$db" >&2
		wait
		usual=$(cat "$dir"/log.* | awk '{print ($3 - $7) / 1000}' | median)
		run -c "SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) - $usual FROM evaluation"
		run -c "SELECT format('%s evaluations, usual %s ms, evaluating %s', count(*), $usual, array_agg(round(ms, 1) ORDER BY ms)) FROM evaluation" >&2
	done | median
}
# rate: recordings a second of one client.
rate() {
	local i
	for ((i = 0; i < rounds; i++)); do
		pgbench -n -M prepared -c 1 -T 3 -f "$dir/record.sql" "$db" 2>/dev/null | sed -n 's/^tps = \([0-9.]*\) .*/\1/p'
	done | median
}
# reading: one look at the last minutes, folded and not, planning included.
reading() {
	local i
	for ((i = 0; i < 5 * rounds; i++)); do
		run -c '\timing on' -c "SELECT sum(requests) FROM model_mgr.rollup_now WHERE version_id = 2 AND bucket >= now() - interval '10 minutes'" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
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
