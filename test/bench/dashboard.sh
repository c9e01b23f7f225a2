#!/usr/bin/env bash
# dashboard: dashboard and model_overview over the fleet of shared/fleet.sh: processor time in ms of a connection that has asked before, as
# of the minute in which it was filled. Beside them what a plain query, in one process, needs to sum the same hour up. Lines "name ratio target".
#   MODELS (1000)  DAYS (90)  MINUTES (1440)  CALLS (21)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
# shellcheck source=test/bench/shared/fleet.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/fleet.sh"
fleet
calls=${CALLS:-21}
# cpu: milliseconds of processor time a call, which the machine's other work lengthens less, after three calls.
cpu() {
	local spent="SELECT 'spent', split_part(pg_read_file('/proc/self/schedstat'), ' ', 1);" i
	{
		echo "SELECT set_config('model_mgr.clock', ((SELECT max(bucket) FROM model_mgr.rollup_minute) + interval '60 seconds')::text, false);"
		for ((i = 0; i < 3; i++)); do echo "$1;"; done
		echo "$spent"
		for ((i = 0; i < calls; i++)); do echo "$1;"; done
		echo "$spent"
	} | run | awk -F'|' -v calls="$calls" '$1 == "spent" {v[++n] = $2} END {print (v[2] - v[1]) / 1e6 / calls}'
}
overview=$(cpu 'SELECT count(o.*) FROM model_mgr.model_overview o')
board=$(cpu 'SELECT count(d.*) FROM model_mgr.dashboard d')
plain=$(PGOPTIONS="-c max_parallel_workers_per_gather=0" cpu "SELECT count(*) FROM (SELECT version_id, sum(requests), sum(known), sum(successes), sum(cost_sum), model_mgr.summary_quantile(model_mgr.merge(response_time), 0.95)
	FROM model_mgr.rollup_minute WHERE bucket > current_setting('model_mgr.clock')::timestamptz - interval '1 hour' GROUP BY 1) s")
echo "model_overview $overview ms, dashboard $board ms, a plain query $plain ms" >&2
printf 'model_overview_ms %.3f <=50\n' "$overview"
printf 'dashboard_ms %.3f <=50\n' "$board"
echo "$overview $board $plain" | awk '{printf "model_overview_to_plain_query %.3f <=2.5\ndashboard_to_plain_query %.3f <=2.5\n", $1 / $3, $2 / $3}'
