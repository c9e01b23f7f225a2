#!/usr/bin/env bash
# anomaly: the score of anomaly_score() at its shipped sensitivity on the labelled streams of test/vectors/nab, and its
# time per point: the window query over a million points less the same query with count(). Microseconds, not a ratio.
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
here=$(dirname "${BASH_SOURCE[0]}")
points=${POINTS:-1000000}
rounds=${ROUNDS:-5}

run -c "SET TimeZone = 'UTC'" -c 'CREATE UNLOGGED TABLE point (stream text, n integer, at timestamptz, value float8)'
python3 "$here/anomaly.py" load | PGOPTIONS='-c TimeZone=UTC' run -c 'COPY point FROM stdin (FORMAT csv)'
run -F , -c "SELECT stream, n FROM (SELECT stream, n, model_mgr.anomaly_score(value, at, 2.0) OVER (PARTITION BY stream ORDER BY n) AS score FROM point) q WHERE score >= 1" >"$dir/flags"
python3 "$here/anomaly.py" score "$dir/flags"

run >/dev/null <<SQL
CREATE UNLOGGED TABLE line AS SELECT i AS n, timestamptz '2026-01-01' + i * interval '1 minute' AS at, 100 + 10 * sin(i / 229.0) + random() AS value FROM generate_series(1, $points) i;
CREATE INDEX ON line (n);
VACUUM ANALYZE line;
SQL
# seconds: the best of some rounds.
seconds() {
	for _ in $(seq "$rounds"); do
		run -c "EXPLAIN (ANALYZE, TIMING off, COSTS off) SELECT max(s) FROM (SELECT $1 OVER (ORDER BY n) AS s FROM line) q" | sed -n 's/^Execution Time: \(.*\) ms/\1/p'
	done | sort -n | head -n 1
}
measured=$(seconds 'model_mgr.anomaly_score(value, at, 2.0)')
base=$(seconds 'count(value)')
awk -v a="$measured" -v b="$base" -v n="$points" 'BEGIN { printf "anomaly_us_per_point %.3f <=10\n", (a - b) * 1000 / n }'
