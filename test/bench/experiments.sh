#!/usr/bin/env bash
# experiments: a look at a test of 100,000,000 outcomes (as running sums, and a tail that is not folded) beside one of
# 100,000 with the same tail; a tick with 1,000 running tests, each of which takes a look after 80 others; recording a
# result beside recording the outcome of a request; the question for an arm beside the one for a version: by turns, in
# sessions of the same length. Lines "name ratio target".
#   ROUNDS (15)   TESTS (1000)   TICKS (5)   PAIRS (9)   CALLS (5000)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rounds=${ROUNDS:-15}
tests=${TESTS:-1000}
ticks=${TICKS:-5}
pairs=${PAIRS:-9}
calls=${CALLS:-5000}
milliseconds() { sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'; }

run >&2 <<SQL
SET client_min_messages = warning;
ALTER DATABASE $db SET model_mgr.enforcement = off;
ALTER DATABASE $db SET client_min_messages = warning;
ALTER DATABASE $db SET max_parallel_workers_per_gather = 0;
ALTER DATABASE $db SET TimeZone = 'UTC';
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT count(deploy_model_version('m', '1'));
SELECT count(create_test(t, t, 'm', '1', 'm', '2', minimum_detectable_effect => effect, max_duration_hours => 8760))
FROM (VALUES ('small', 0.01), ('large', 0.0003)) x (t, effect);
CALL maintain();
SQL

# So many outcomes of either arm (an expression) of tests like $1 as running sums: successes at half, times about 1,
# confidence about 0.8.
sums() {
	run -c "INSERT INTO model_mgr.ab_test_sum (test_no, arm, epoch, units, moments)
		SELECT p.test_no, arm, 1, n, array_cat(array_cat(
			ARRAY[n, n, n * 0.5, 0, 0, n, n * 0.5, 0, 0, n * 0.5, 0, 0, 0, 0, 0],
			ARRAY[n, n, 0, 0, 0, n, 0, 0, 0, n * 0.25, 0, 0, 0, 0, 0]),
			ARRAY[n, n, 0, 0, 0, n, 0, 0, 0, n * 0.01, 0, 0, 0, 0, 0])
		FROM model_mgr.ab_test_plan p, generate_series(0, 1) arm, LATERAL (SELECT ($2) / 2.0::float8 AS n) x WHERE p.test_id LIKE '$1';
		INSERT INTO model_mgr.ab_test_anchor SELECT p.test_no, ARRAY[0, 1, 0.8] FROM model_mgr.ab_test_plan p WHERE p.test_id LIKE '$1'
		ON CONFLICT (test_no) DO UPDATE SET anchors = EXCLUDED.anchors;" >&2
}
sums small 100000
sums large 100000000
for t in small large; do
	run -c "SELECT model_mgr.record_results('$t', jsonb_agg(jsonb_build_object('variant', CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END,
		'success', i % 4 < 2, 'response_time', 1, 'confidence', 0.8))) FROM generate_series(1, 1000) i" >&2
done
run -c 'VACUUM (ANALYZE)' >&2
# One session, whose plans are made: alternating rounds.
{
	echo "SELECT FROM model_mgr.analyze_test('small'); SELECT FROM model_mgr.analyze_test('large');"
	printf '%s\n' '\timing on'
	for ((i = 0; i < rounds; i++)); do
		echo "SELECT 'small ' || samples_control FROM model_mgr.analyze_test('small');"
		echo "SELECT 'large ' || samples_control FROM model_mgr.analyze_test('large');"
	done
} | run >"$dir/looks"
cat "$dir/looks" >&2
small=$(grep -A 1 '^small' "$dir/looks" | milliseconds | median)
large=$(grep -A 1 '^large' "$dir/looks" | milliseconds | median)
echo "a look at 100,000 outcomes $small ms, at 100,000,000 $large ms" >&2
printf 'analyze_test_100m_outcomes_ms %.3f <=10\n' "$large"
awk -v l="$large" -v s="$small" 'BEGIN { printf "analyze_test_100m_to_100k %.3f <=1.2\n", l / s }'

# Many running tests. Their information stands at 81 %, with a look at each percent; it grows by 2.8 % of the plan between
# two ticks, so that each has a look.
run >&2 <<SQL
SET search_path = model_mgr, public;
SELECT count(create_test('t' || i, 't', 'm', '1', 'm', '2', minimum_detectable_effect => 0.063, min_sample_size_per_variant => 100,
	futility_threshold => 0, max_duration_hours => 8760)) FROM generate_series(1, $tests) i;
SELECT count(stop_test(t)) FROM unnest(ARRAY['small', 'large']) t;
INSERT INTO ab_test_progress (test_no, information)
	SELECT test_no, (SELECT array_agg(0.01::float8 * k) FROM generate_series(1, 80) k) FROM ab_test_plan WHERE test_id LIKE 't%';
SQL
sums t% 'ceil(0.82 * p.horizon / 2) * 2'
run -c 'VACUUM (ANALYZE)' >&2
for ((i = 0; i <= ticks; i++)); do
	run -c "INSERT INTO model_mgr.observation (recorded_at, test_no, arm, version_id, success, response_time, confidence)
		SELECT clock_timestamp(), p.test_no, k % 2, NULL, k % 4 < 2, 1 + k % 7 / 10.0, 0.8 + k % 5 / 100.0 FROM model_mgr.ab_test_plan p, generate_series(1, 60) k WHERE p.test_id LIKE 't%'" >&2
	# The first look of each has nothing to go on from.
	if [ "$i" -eq 0 ]; then
		until run -c "SELECT count(*) FROM model_mgr.tick()" >&2 && [ "$(run -c 'SELECT count(*) FROM model_mgr.ab_test_progress WHERE boundaries IS NOT NULL')" -ge "$tests" ]; do :; done
		continue
	fi
	# One tick folds what came and takes the looks; a second one would find none left to take.
	run -c "SELECT 'tests ' || items || ' ' || 1000 * seconds FROM model_mgr.tick() WHERE task = 'experiments'" >"$dir/tick"
	cat "$dir/tick" >&2
	sed -n 's/^tests //p' "$dir/tick" >>"$dir/ticks"
done
# Where a tick's time ran out before all had their look, what all would have taken.
awk -v n="$tests" '$1 > 0 { print $2 / 1000 * n / $1 }' "$dir/ticks" | median | awk -v n="$tests" '{ printf "tick_of_%d_running_tests_seconds %.3f <=1\n", n, $1 }'
run -c "SELECT count(model_mgr.stop_test(t)) FROM model_mgr.list_active_tests() t" >&2

# Recording and asking, one call a transaction.
run -c "SELECT test_id FROM model_mgr.create_test('live', 'live', 'm', '1', 'm', '2')" >&2
cat >"$dir/result.sql" <<'SQL'
\set u random(1, 1000000)
SELECT model_mgr.record_result('live', 'treatment', 0.5, true, 0.9, :u::text);
SQL
cat >"$dir/metrics.sql" <<'SQL'
\set u random(1, 1000000)
SELECT model_mgr.update_model_metrics('m', '1', 0.5, true, 0.9, unit_id => :u::text);
SQL
cat >"$dir/arm.sql" <<'SQL'
\set u random(1, 1000000)
SELECT model_mgr.should_route_to_treatment('live', :u::text);
SQL
cat >"$dir/version.sql" <<'SQL'
\set u random(1, 1000000)
SELECT model_mgr.route_version('m', :u::text);
SQL
# pairs: the rates of two scripts by turns, so that the machine's mood and the table's size meet both alike: whoever came
# second comes first the next time. The median of their ratios.
rate() { pgbench -n -M prepared -c 1 -t "$calls" -f "$dir/$1.sql" "$db" 2>/dev/null | sed -n 's/^tps = \([0-9.]*\) .*/\1/p'; }
pairs() {
	local a b
	rate "$1" >/dev/null
	rate "$2" >/dev/null
	for ((i = 0; i < pairs; i++)); do
		if ((i % 2)); then b=$(rate "$2") a=$(rate "$1"); else a=$(rate "$1") b=$(rate "$2"); fi
		echo "$1 $a $2 $b" >&2
		awk -v a="$a" -v b="$b" 'BEGIN { print a / b }'
	done | median
}
printf 'record_result_to_update_model_metrics %.3f >=0.9\n' "$(pairs result metrics)"
printf 'should_route_to_treatment_to_route_version %.3f >=0.9\n' "$(pairs arm version)"
