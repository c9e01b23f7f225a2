#!/usr/bin/env bash
# simulation.sh: a thousand rollouts over simulated days through the real SQL (test/simulation.psql), half of them in each of
# two databases at once, with their figures; fails when a good version does not arrive, a bad one does, or an equal one
# is taken back more often than promised.
#   SIMULATION_ROLLOUTS (1000)   SIMULATION_SEED (0.5, within 0..1)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rollouts=${SIMULATION_ROLLOUTS:-1000}
seed=${SIMULATION_SEED:-0.5}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# simulate: a twelfth of the rollouts of each of six classes; how they ended goes to a file.
simulate() {
	createdb "model_mgr_simulation_$1"
	psql -X -q -v ON_ERROR_STOP=1 -v per_class=$(((rollouts + 11) / 12)) -v seed="$2" -d "model_mgr_simulation_$1" >/dev/null <<-SQL
		\i test/fresh.psql
		\i test/rollout.psql
		\set ON_ERROR_STOP 1
		\i test/simulation.psql
		\copy ended TO '$dir/$1.csv' CSV
	SQL
	dropdb "model_mgr_simulation_$1"
}
simulate 1 "$seed" &
first=$!
simulate 2 "-$seed"
wait $first

psql -X -q -v ON_ERROR_STOP=1 <<SQL
CREATE TEMP TABLE ended (class text, status text, bad bigint);
\copy ended FROM '$dir/1.csv' CSV
\copy ended FROM '$dir/2.csv' CSV
CREATE TEMP TABLE figures AS
SELECT e.class, count(*) AS rollouts, count(*) FILTER (WHERE e.status = 'completed') AS completed, count(*) FILTER (WHERE e.status = 'rolled_back') AS rolled_back,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY e.bad) AS median_bad_requests, max(e.bad) AS most_bad_requests
FROM ended e GROUP BY e.class;
SELECT *, round(100.0 * rolled_back / rollouts, 2) AS rolled_back_percent FROM figures ORDER BY class;
SELECT sum(rollouts) AS equal, sum(rolled_back) AS rolled_back, round(100.0 * sum(rolled_back) / sum(rollouts), 2) AS percent FROM figures WHERE class NOT LIKE 'bad%';
DO \$\$
DECLARE
    wrong text := (SELECT concat_ws('; ',
        CASE WHEN sum(rollouts) > sum(completed + rolled_back) THEN 'a rollout is not over' END,
        CASE WHEN bool_or(class = 'good' AND completed < rollouts) THEN 'a good version did not arrive' END,
        CASE WHEN bool_or(class LIKE 'bad%' AND rolled_back < rollouts) THEN 'a bad version arrived' END,
        CASE WHEN bool_or(class LIKE 'bad%' AND median_bad_requests >= 2000) THEN 'too many bad requests' END,
        CASE WHEN sum(rolled_back) FILTER (WHERE class NOT LIKE 'bad%') > 0.01 * sum(rollouts) FILTER (WHERE class NOT LIKE 'bad%') THEN 'too many false rollbacks' END)
        FROM figures);
BEGIN
    ASSERT wrong = '', wrong;
END \$\$;
SQL
echo "simulation of $rollouts rollouts: passed"
