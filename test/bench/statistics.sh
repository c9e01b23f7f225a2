#!/usr/bin/env bash
# statistics.sh: tests and summaries against the SQL that a person would write by hand, on one core and with parallel
# workers; merging and quantiles against their limits. ROWS (10,000,000) may be set lower for a quick look.
# Lines: name ratio target. Each figure is the best of three runs.
set -euo pipefail
rows=${ROWS:-10000000}
export PGOPTIONS='-c jit=off -c max_parallel_workers_per_gather=0 -c search_path=model_mgr,public -c work_mem=64MB'

psql -qX -v ON_ERROR_STOP=1 >&2 <<SQL
CREATE EXTENSION IF NOT EXISTS model_mgr;
SELECT setseed(0.5);
CREATE UNLOGGED TABLE stat_rows (t boolean, v float8, ok boolean);
INSERT INTO stat_rows SELECT x % 2 = 0, 0.2 - 0.3 * ln(1 - random()), random() < 0.1 FROM generate_series(1, $rows) x;
VACUUM ANALYZE stat_rows;
CREATE UNLOGGED TABLE stat_minutes AS
SELECT summarize(0.2 - 0.3 * ln(1 - random())) AS s FROM generate_series(1, 100000) g, generate_series(1, 50) GROUP BY g;
CREATE UNLOGGED TABLE stat_wide AS
SELECT summarize(exp(8 * random())) AS s FROM generate_series(1, 2000) g, generate_series(1, 2000) GROUP BY g;
VACUUM ANALYZE stat_minutes, stat_wide;
SQL

# seconds: the best of three runs of a statement, by the server's clock.
seconds() {
	for _ in 1 2 3; do
		psql -qXAt -v ON_ERROR_STOP=1 -c "${2:-}" -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
	done | sort -n | head -n 1 | awk '{print $1 / 1000}'
}
ratio() { awk -v name="$1" -v a="$2" -v b="$3" -v target="$4" 'BEGIN { printf "%s %.3f %s\n", name, a / b, target }'; }

by_hand_t="WITH s AS (SELECT count(*) FILTER (WHERE NOT t) AS nc, avg(v) FILTER (WHERE NOT t) AS mc, var_samp(v) FILTER (WHERE NOT t) AS vc,
        count(*) FILTER (WHERE t) AS nt, avg(v) FILTER (WHERE t) AS mt, var_samp(v) FILTER (WHERE t) AS vt FROM stat_rows)
    SELECT (mt - mc) / sqrt(vc / nc + vt / nt), (vc / nc + vt / nt) ^ 2 / ((vc / nc) ^ 2 / (nc - 1) + (vt / nt) ^ 2 / (nt - 1)) FROM s"
by_hand_z="WITH s AS (SELECT count(*) FILTER (WHERE NOT t) AS nc, avg(ok::integer) FILTER (WHERE NOT t) AS pc, count(*) FILTER (WHERE t) AS nt, avg(ok::integer) FILTER (WHERE t) AS pt FROM stat_rows)
    SELECT (pt - pc) / sqrt((pt * nt + pc * nc) / (nt + nc) * (1 - (pt * nt + pc * nc) / (nt + nc)) * (1.0 / nt + 1.0 / nc)) FROM s"
# the leanest way to count by hand: no target, for information
by_count_z="WITH s AS (SELECT count(*) FILTER (WHERE NOT t) AS nc, count(*) FILTER (WHERE NOT t AND ok) AS xc, count(*) FILTER (WHERE t) AS nt, count(*) FILTER (WHERE t AND ok) AS xt FROM stat_rows)
    SELECT (xt / nt::float8 - xc / nc::float8) / sqrt((xt + xc) / (nt + nc)::float8 * (1 - (xt + xc) / (nt + nc)::float8) * (1.0 / nt + 1.0 / nc)) FROM s"
parallel='SET max_parallel_workers_per_gather = 1; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0'

t=$(seconds 'SELECT t_test(t, v) FROM stat_rows')
t_hand=$(seconds "$by_hand_t")
z=$(seconds 'SELECT z_test(t, ok) FROM stat_rows')
z_hand=$(seconds "$by_hand_z")
z_count=$(seconds "$by_count_z")
ratio statistics_t_test_by_hand "$t" "$t_hand" '<=0.75'
ratio statistics_z_test_by_hand "$z" "$z_hand" '<=0.75'
echo "z_test against counting by hand: $(awk -v a="$z" -v b="$z_count" 'BEGIN { print a / b }')" >&2
# time with workers over time without: at most that of the SQL by hand, give or take the noise of two busy cores
t_parallel=$(seconds 'SELECT t_test(t, v) FROM stat_rows' "$parallel")
t_hand_parallel=$(seconds "$by_hand_t" "$parallel")
z_parallel=$(seconds 'SELECT z_test(t, ok) FROM stat_rows' "$parallel")
z_hand_parallel=$(seconds "$by_hand_z" "$parallel")
ratio statistics_t_test_parallel_by_hand "$t_parallel" "$t_hand_parallel" '<=0.75'
ratio statistics_z_test_parallel_by_hand "$z_parallel" "$z_hand_parallel" '<=0.75'
ratio statistics_t_test_scaling "$(awk -v a="$t" -v b="$t_parallel" 'BEGIN { print a / b }')" "$(awk -v a="$t_hand" -v b="$t_hand_parallel" 'BEGIN { print a / b }')" '>=0.9'
ratio statistics_summarize_avg_stddev "$(seconds 'SELECT summary_count(summarize(v)) FROM stat_rows')" "$(seconds 'SELECT avg(v), stddev_samp(v) FROM stat_rows')" '<=1.5'
ratio statistics_merge_seconds "$(seconds 'SELECT summary_count(merge(s)) FROM stat_minutes')" 1 '<=0.5'
ratio statistics_quantile_microseconds "$(seconds 'SELECT max(summary_quantile(s, 0.99)) FROM stat_wide, generate_series(1, 10)' | awk '{print $1 * 1e6}')" 20000 '<=10'
