#!/usr/bin/env bash
# tick: 1,000 models with 2,000 versions under traffic in every minute, a tenth with an open rollout and a tenth with
# thresholds: seconds and megabytes of WAL a tick in the steady state. Beside them the plain work of the same size: the same
# number of rows as the states and rollups that a tick writes, inserted into a table of their own. Lines "name ratio target".
#   MODELS (1000)   REQUESTS (10) of a version a minute   TICKS (9) measured
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
models=${MODELS:-1000}
requests=${REQUESTS:-10}
ticks=${TICKS:-9}
megabytes() { run -c "SELECT round(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$1') / 1e6, 2)"; }
here() { run -c 'SELECT pg_current_wal_insert_lsn()'; }

run >&2 <<SQL
SET client_min_messages = warning;
ALTER DATABASE $db SET model_mgr.enforcement = off;
ALTER DATABASE $db SET TimeZone = 'UTC';
SET model_mgr.clock = '2026-01-01 00:00:00+00';
SET search_path = model_mgr, public;
SELECT count(create_model_version('m' || i, v, model_configuration('p', 'm'))) FROM generate_series(1, $models) i, unnest(ARRAY['1', '2']) v;
SELECT count(deploy_model_version('m' || i, '1')) FROM generate_series(1, $models) i;
SELECT count(deploy_model_version('m' || i, '2', rollout => '{"steps": [50, 100], "step_seconds": 864000}', rollback_min_success_rate => 0.5)) FROM generate_series(1, $models, 10) i;
SELECT sum(set_thresholds('m' || i, jsonb_build_array(
	performance_threshold('success_rate', 0.5, 'less_than', 'critical', 10, 'rollback'),
	performance_threshold('avg_response_time', 5, 'greater_than', 'warning', 15, 'alert'))))
FROM generate_series(5, $models, 10) i;
SQL
# minute: the traffic of the n-th minute and the clock at its end.
minute() {
	echo "SET synchronous_commit = off; INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost)
		SELECT timestamptz '2026-01-01 00:00:00+00' + $1 * interval '1 minute' + i * interval '1 minute' / ($requests + 1), v.version_id,
			random() < 0.99, exp(random() + random() - 1), 0.8 + 0.1 * random(), 0.001 * (1 + random())
		FROM model_mgr.model_version v, generate_series(1, $requests) i;"
}
clock() { echo "SET model_mgr.clock = '$(date -u -d "2026-01-01 00:00:00 UTC + $(($1 + 1)) minutes" '+%F %T')+00'; SET synchronous_commit = off;"; }

# A fortnight's detectors are as large as an hour's. The first ticks fill pages; the steady state is after them.
for ((n = 0; n < 40; n++)); do
	minute "$n"
	clock "$n"
	[ $((n % 4)) -ne 3 ] || echo 'SELECT FROM model_mgr.tick();'
done > >(run >&2)
wait $!
for ((; n < 46; n++)); do { minute "$n"; clock "$n"; echo 'SELECT FROM model_mgr.tick();'; } | run >&2; done
run -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT' >&2
# After a checkpoint each page is logged whole once, which is the checkpoint's cost: two rounds of it before measuring.
for ((i = 0; i < 2; i++, n++)); do { minute "$n"; clock "$n"; echo 'SELECT FROM model_mgr.tick();'; } | run >&2; done

seconds=() wal=()
for ((i = 0; i < ticks; i++, n++)); do
	minute "$n" | run >&2
	from=$(here)
	took=$({ clock "$n"; printf '%s\n' '\timing on' 'SELECT * FROM model_mgr.tick();'; } | run | tee /dev/stderr | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p')
	wal+=("$(megabytes "$from")")
	seconds+=("$(echo "$took" | awk '{print $1 / 1000}')")
done
echo "seconds ${seconds[*]}, MB ${wal[*]}" >&2
points=$(run -c "SELECT count(*) FROM model_mgr.anomaly_state")
echo "$points streams, $(run -c "SELECT round(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0)) FROM pg_stat_user_tables WHERE relname = 'anomaly_state'") % of their updates in place" >&2
[ "$points" -eq $((models * 8)) ] || { echo "only $points streams" >&2; exit 1; }

# The baseline: as many plain rows of the same width, one statement.
run -c 'CREATE TABLE public.plain (id bigint, at timestamptz, payload bytea)' >&2
from=$(here)
plain=$(run -c '\timing on' -c "INSERT INTO public.plain SELECT i, now(), substr(decode(repeat(md5(i::text), 60), 'hex'), 1, 830) FROM generate_series(1, $points + 2 * $models) i" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p')
echo "plain rows of the same number and width: $plain ms, $(megabytes "$from") MB" >&2

printf 'tick_of_%s_models_seconds %.3f <=1\n' "$models" "$(printf '%s\n' "${seconds[@]}" | median)"
printf 'tick_of_%s_models_wal_mb %.3f <=10\n' "$models" "$(printf '%s\n' "${wal[@]}" | median)"
