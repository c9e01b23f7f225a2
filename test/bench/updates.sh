#!/usr/bin/env bash
# updates: 10,000 schedules of as many models, 100 of them due at once: the seconds of a tick that asks for their updates, looks up
# what latest means and deploys it. Beside it the plain work: deploying as many other models by hand, in one statement.
# Seconds are those that the server process computed: others on the machine do not count.
# Lines "name ratio target".   SCHEDULES (10000)   DUE (100)   ROUNDS (5)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
schedules=${SCHEDULES:-10000}
due=${DUE:-100}
rounds=${ROUNDS:-5}
# computed SQL: the processor's seconds of it in its server process.
computed() {
	local spent="SELECT 'spent', split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)"
	run -c "$at" -c "$spent" -c "$1" -c "$spent" | sed -n 's/^spent|//p' | awk 'NR == 1 {first = $1} END {print ($1 - first) / 1e9}'
}

# Each model's schedule fires in a minute of its own group, so that each round has its own models due.
run >&2 <<SQL
SET client_min_messages = warning;
ALTER DATABASE $db SET model_mgr.enforcement = off;
ALTER DATABASE $db SET model_mgr.update_max_concurrent = 100000;
ALTER DATABASE $db SET TimeZone = 'UTC';
SET model_mgr.clock = '2026-01-01 00:00:00+00';
SET search_path = model_mgr, public;
SELECT count(create_model_version('m' || i, v, model_configuration('p', 'm'))) FROM generate_series(1, $schedules) i, unnest(ARRAY['1', '2']) v;
SELECT count(deploy_model_version('m' || i, '1')) FROM generate_series(1, $schedules) i;
SELECT count(schedule_update('m' || i, 'latest', CASE WHEN i <= $due * $rounds THEN format('%s 1 * * *', (i - 1) / $due) ELSE '0 0 1 7 *' END, 'blue_green'))
FROM generate_series(1, $schedules) i;
VACUUM (ANALYZE);
SQL
seconds=() plain=()
for ((n = 0; n < rounds; n++)); do
	at="SET model_mgr.clock = '2026-01-01 01:$(printf '%02d' "$n"):00+00'"
	# A tick begins nothing after its share of two seconds; what is left then is the next one's, and counts here.
	seconds+=("$(while [ "$(run -c "SELECT count(*) FROM model_mgr.update_run WHERE status = 'deploying'")" -lt $(((n + 1) * due)) ]; do
		computed 'SELECT FROM model_mgr.tick()'
	done | awk '{sum += $1} END {print sum}')")
	first=$((due * rounds + n * due))
	plain+=("$(computed "SELECT count(model_mgr.deploy_model_version('m' || i, '2', 'blue_green')) FROM generate_series($first + 1, $first + $due) i")")
done
echo "seconds ${seconds[*]}, plain deployments ${plain[*]}" >&2
printf 'tick_of_%s_schedules_%s_due_seconds %.3f <=1\n' "$schedules" "$due" "$(printf '%s\n' "${seconds[@]}" | median)"
