#!/usr/bin/env bash
# statistics.sh: tests and summaries against the SQL that a person would write by hand, on one core and with parallel
# workers; merging and quantiles against their limits. ROWS (10,000,000) may be set lower for a quick look.
# Lines: name ratio target. Each figure is the best of five rounds.
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rows=${ROWS:-10000000}
export PGOPTIONS='-c jit=off -c max_parallel_workers_per_gather=0 -c search_path=model_mgr,public -c work_mem=64MB'

psql -qX -v ON_ERROR_STOP=1 >&2 <<SQL
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

# seconds: one run of a statement, by the server's clock.
seconds() { psql -qXAt -v ON_ERROR_STOP=1 -c "${2:-}" -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | awk '{print $1 / 1000}'; }
# best: the best of RUNS (5) rounds of several statements, run in turn so that all meet the same load: best SETTINGS STATEMENT...
best() {
	local settings=$1 statement
	shift
	for _ in $(seq "${RUNS:-5}"); do
		for statement in "$@"; do printf '%s ' "$(seconds "$statement" "$settings")"; done
		echo
	done | awk '{ for (i = 1; i <= NF; i++) if (NR == 1 || $i < least[i]) least[i] = $i } END { for (i = 1; i <= NF; i++) printf "%s ", least[i] }'
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

read -r t t_hand z z_hand z_count summarize avg_stddev merge quantile <<<"$(best '' 'SELECT t_test(t, v) FROM stat_rows' "$by_hand_t" \
	'SELECT z_test(t, ok) FROM stat_rows' "$by_hand_z" "$by_count_z" \
	'SELECT summary_count(summarize(v)) FROM stat_rows' 'SELECT avg(v), stddev_samp(v) FROM stat_rows' \
	'SELECT summary_count(merge(s)) FROM stat_minutes' 'SELECT max(summary_quantile(s, 0.99)) FROM stat_wide, generate_series(1, 10)')"
read -r t_parallel t_hand_parallel z_parallel z_hand_parallel <<<"$(best "$parallel" 'SELECT t_test(t, v) FROM stat_rows' "$by_hand_t" \
	'SELECT z_test(t, ok) FROM stat_rows' "$by_hand_z")"
ratio statistics_t_test_by_hand "$t" "$t_hand" '<=0.75'
ratio statistics_z_test_by_hand "$z" "$z_hand" '<=0.75'
# what workers leave of the time, against what they leave of the SQL by hand; two cores that do other things are noisy
ratio statistics_t_test_scaling "$(awk -v a="$t" -v b="$t_parallel" 'BEGIN { print a / b }')" "$(awk -v a="$t_hand" -v b="$t_hand_parallel" 'BEGIN { print a / b }')" '>=0.9'
ratio statistics_z_test_scaling "$(awk -v a="$z" -v b="$z_parallel" 'BEGIN { print a / b }')" "$(awk -v a="$z_hand" -v b="$z_hand_parallel" 'BEGIN { print a / b }')" '>=0.9'
ratio statistics_summarize_by_avg_stddev "$summarize" "$avg_stddev" '<=1.5'
ratio statistics_merge_seconds "$merge" 1 '<=0.5'
ratio statistics_quantile_microseconds "$quantile" 0.02 '<=10'
echo "seconds: t_test $t, by hand $t_hand; z_test $z, by hand $z_hand, by counting $z_count; summarize $summarize, avg and stddev $avg_stddev" >&2
echo "with a worker: t_test $t_parallel, by hand $t_hand_parallel; z_test $z_parallel, by hand $z_hand_parallel" >&2
