#!/usr/bin/env bash
# metrics: get_current_metrics() and get_performance_trends() over 90 days on a few observations, and on many; a partition a day,
# two versions with two custom metrics, everything folded but the last rows. Medians in ms of one connection; lines "name ratio target".
#   FEW (500000)  HISTORY (5000000) rows behind the calls
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
few=${FEW:-500000}
history=${HISTORY:-5000000}

run >&2 <<'SQL'
SET client_min_messages = warning;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT deployment_id FROM deploy_model_version('m', '1');
SQL
# Partitions of the past are made when the clock is there.
for ((day = 90; day >= 0; day -= 6)); do
	run -c "SET client_min_messages = error" -c "SELECT set_config('model_mgr.clock', (now() - interval '$day days')::text, false)" -c "CALL model_mgr.maintain()" >&2
done

# fill FROM TO: rows of 90 days in order of time, as they come, folded every million: hours that each part wrote again would lie
# scattered, and what is measured would be that.
fill() {
	local from=$1 to=$2 filled step=1000000
	for ((filled = from; filled < to; filled += step)); do
		run -c "INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens, metrics)
			SELECT now() - interval '89 days 23 hours' * (1 - ($filled - $from + i)::float8 / ($to - $from)), 1 + i % 2, i % 100 <> 0, 0.2 * exp((i * 7919::bigint % 10007) / 2500.0), 0.9, 0.001, 100, 20,
				'{\"quality\": 1, \"refunds\": 0.5}' FROM generate_series(1, least($step, $to - $filled)) i" >&2
		run -c "SELECT model_mgr.maintenance_run('fold')" >&2
	done
	for ((filled = 0; filled < 20; filled++)); do run -c "SELECT count(*) FROM model_mgr.tick()" >&2; done
	run -c "SELECT count(brin_summarize_new_values(c.oid)) FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'brin' AND c.relkind = 'i'" >&2
	# Of a partition that is written no server frees room (nothing is deleted there, and what inserts alone would trigger is off): a
	# VACUUM of it would strew the rows that follow over a hundred pages.
	run -c "VACUUM ANALYZE model_mgr.rollup_minute, model_mgr.rollup_hour, model_mgr.rollup_metric_minute, model_mgr.rollup_metric_hour" -c "ANALYZE" -c "CHECKPOINT" >&2
	run -c "SELECT count(model_mgr.update_model_metrics('m', '1', 0.5, true)) FROM generate_series(1, 100)" >&2
}
# latency: the median of 200 calls of a connection that has called before.
latency() {
	rm -f "$dir"/log.*
	pgbench -n -c 1 -t 220 -l --log-prefix="$dir/log" -f "$dir/$1.sql" "$db" >&2
	cat "$dir"/log.* | awk 'NR > 20 {print $3 / 1000}' | sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'
}
# cpu: milliseconds of processor time a call, which the machine's other work lengthens less.
cpu() {
	local spent="SELECT 'spent', split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)" script
	script=$(cat "$dir/$1.sql")
	{
		for ((i = 0; i < 20; i++)); do echo "$script"; done
		echo "$spent;"
		for ((i = 0; i < 100; i++)); do echo "$script"; done
		echo "$spent;"
	} | run | awk -F'|' '$1 == "spent" {v[++n] = $2} END {print (v[2] - v[1]) / 1e8}'
}
echo "SELECT * FROM model_mgr.get_current_metrics('m', '1');" >"$dir/current.sql"
echo "SELECT * FROM model_mgr.get_performance_trends('m', '1', 90 * 24);" >"$dir/trends.sql"

fill 0 "$few"
current_few=$(latency current)
trends_few=$(latency trends)
cpu_few="current $(cpu current), trends $(cpu trends)"
fill "$few" "$history"
current_many=$(latency current)
trends_many=$(latency trends)
cpu_many="current $(cpu current), trends $(cpu trends)"
echo "current $current_few ms, $current_many ms; trends $trends_few ms, $trends_many ms; processor time: $cpu_few ms; $cpu_many ms" >&2
printf 'current_metrics_ms %.3f <=2\n' "$current_many"
printf 'trends_of_90_days_ms %.3f <=20\n' "$trends_many"
echo "$current_few $current_many" | awk '{printf "current_metrics_with_history %.3f <=1.2\n", $2 / $1}'
echo "$trends_few $trends_many" | awk '{printf "trends_of_90_days_with_history %.3f <=1.2\n", $2 / $1}'
