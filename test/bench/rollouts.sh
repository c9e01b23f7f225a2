#!/usr/bin/env bash
# rollouts: 1,000 models, each with an open rollout of several steps and hours of history on both sides: seconds of a tick
# with nothing due, seconds of reading the views over all, and milliseconds of one commit that evaluates its model. Lines
# "name ratio target".
#   MODELS (1000)   MINUTES (60) of history   REQUESTS (1) of a candidate a minute, nine times as many of a baseline
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
models=${MODELS:-1000}
minutes=${MINUTES:-60}
requests=${REQUESTS:-1}
# timed: milliseconds of a statement, after those before it.
timed() { run -c "SET TimeZone = 'UTC'" "${@:2}" -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -1; }

run >&2 <<SQL
SET client_min_messages = warning;
ALTER DATABASE $db SET model_mgr.enforcement = off;
ALTER DATABASE $db SET TimeZone = 'UTC';
SET model_mgr.clock = '2026-01-01 00:00:00+00';
SET search_path = model_mgr, public;
SELECT count(create_model_version('m' || i, v, model_configuration('p', 'm'))) FROM generate_series(1, $models) i, unnest(ARRAY['1', '2']) v;
SELECT count(deploy_model_version('m' || i, '1')) FROM generate_series(1, $models) i;
SELECT count(deploy_model_version('m' || i, '2', rollout => '{"steps": [10, 50, 100], "step_seconds": 864000}')) FROM generate_series(1, $models) i;
SQL
# Pieces of half an hour, each folded, so that the hours and minutes are what ticks make of them.
for ((n = 0; n < minutes; n += 30)); do
	run >&2 <<SQL
SET synchronous_commit = off;
INSERT INTO model_mgr.observation (recorded_at, routed_at, version_id, deployment_id, step, arm, request, success, response_time)
SELECT t, t, v.version_id, d.deployment_id, 1, (v.version = '2')::integer, i, random() < 0.99, exp(random() + random() - 1)
FROM model_mgr.model_version v JOIN model_mgr.deployment d ON d.model_name = v.model_name AND d.version = '2',
	generate_series(0, 29) minute, generate_series(1, $requests * CASE v.version WHEN '1' THEN 9 ELSE 1 END) i,
	LATERAL (SELECT timestamptz '2026-01-01 00:00:00+00' + ($n + minute) * interval '1 minute' + i * interval '1 second') x (t);
SET model_mgr.clock = '$(date -u -d "2026-01-01 00:00:00 UTC + $((n + 30)) minutes" '+%F %T')+00';
SELECT FROM model_mgr.tick();
SQL
done
run -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT' >&2
clock="SET model_mgr.clock = '$(date -u -d "2026-01-01 00:00:00 UTC + $minutes minutes" '+%F %T')+00'"
[ "$(run -c "SELECT count(*) FROM model_mgr.list_deployments(status => 'running')")" -eq "$models" ] || { echo "not all rollouts are open" >&2; exit 1; }

ticks=() parts=()
for ((i = 0; i < 5; i++)); do
	ticks+=("$(timed 'SELECT * FROM model_mgr.tick()' -c "$clock" | tee -a /dev/stderr)")
	parts+=("$(run -c "$clock" -c "SELECT seconds * 1000 FROM model_mgr.tick() WHERE task = 'deployments'")")
done
echo "ticks ${ticks[*]} ms, of these the rollouts ${parts[*]} ms" >&2
view=$(timed 'SELECT count(*) FROM model_mgr.canary_status' -c "$clock")
echo "canary_status of all: $view ms; one model's: $(timed "SELECT count(*) FROM model_mgr.deployment_list WHERE model_name = 'm1'" -c "$clock") ms" >&2

# One commit that looks at its model: the clock held still makes every one look.
commits=()
for ((i = 0; i < 25; i++)); do
	commits+=("$(timed "SELECT model_mgr.update_model_metrics('m1', '2', response_time => 1, success => true)" -c "$clock" -c 'SET model_mgr.enforcement = on' \
		-c "SELECT model_mgr.update_model_metrics('m1', '2', response_time => 1, success => true)")")
done
printf '%s\n' "${commits[@]}" | sort -g | awk '{v[NR] = $1} END {print "evaluating commits, ms: median " v[int((NR + 1) / 2)] ", worst " v[NR]}' >&2

printf 'tick_of_%s_rollouts_seconds %.3f <=1\n' "$models" "$(printf '%s\n' "${ticks[@]}" | median | awk '{print $1 / 1000}')"
