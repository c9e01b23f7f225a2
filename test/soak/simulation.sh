#!/usr/bin/env bash
# simulation.sh: a thousand rollouts over simulated days through the real SQL (test/simulation.psql), with its figures;
# fails when a good version does not arrive, a bad one does, or an equal one is taken back more often than promised.
# SIMULATION_ROLLOUTS (1000), SIMULATION_SEED (0.5, within -1..1).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rollouts=${SIMULATION_ROLLOUTS:-1000}
psql -X -q -v ON_ERROR_STOP=1 -v per_class=$((rollouts / 6)) -v seed="${SIMULATION_SEED:-0.5}" >/dev/null <<'SQL'
\i test/fresh.psql
\i test/rollout.psql
\set ON_ERROR_STOP 1
\i test/simulation.psql
\pset format aligned
\pset tuples_only off
\o /dev/stderr
SELECT * FROM figures ORDER BY class;
SELECT sum(rollouts) AS equal, sum(rolled_back) AS rolled_back, round(100.0 * sum(rolled_back) / sum(rollouts), 2) AS percent FROM figures WHERE class NOT LIKE 'bad%';
\o
SELECT set_config('simulation.wrong', concat_ws('; ',
    CASE WHEN (SELECT completed < rollouts FROM figures WHERE class = 'good') THEN 'a good version did not arrive' END,
    CASE WHEN (SELECT bool_or(rolled_back < rollouts) FROM figures WHERE class LIKE 'bad%') THEN 'a bad version arrived' END,
    CASE WHEN (SELECT max(median_bad_requests) >= 2000 FROM figures WHERE class LIKE 'bad%') THEN 'too many bad requests' END,
    CASE WHEN (SELECT sum(rolled_back) > 0.01 * sum(rollouts) FROM figures WHERE class NOT LIKE 'bad%') THEN 'too many false rollbacks' END,
    CASE WHEN (SELECT sum(rollouts) > sum(completed + rolled_back) FROM figures) THEN 'a rollout is not over' END), false);
DO $$ BEGIN ASSERT current_setting('simulation.wrong') = '', current_setting('simulation.wrong'); END $$;
SQL
echo "simulation of $rollouts rollouts: passed"
