#!/usr/bin/env bash
# experiments: a look at a test of 100,000,000 outcomes (as running sums, and a tail that is not folded) beside one of
# 100,000 with the same tail; a tick with 1,000 running tests, whose information grows; recording a result beside
# recording the outcome of a request; the question for an arm beside the one for a version. Lines "name ratio target".
#   ROUNDS (15)   TESTS (1000)   TICKS (7)   SECONDS_EACH (3)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rounds=${ROUNDS:-15}
tests=${TESTS:-1000}
ticks=${TICKS:-7}
each=${SECONDS_EACH:-3}
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

# So many outcomes of either arm as running sums: successes at half, times about 1, confidence about 0.8.
sums() {
	run -c "INSERT INTO model_mgr.ab_test_sum (test_no, arm, epoch, units, moments)
		SELECT p.test_no, arm, 1, n, array_cat(array_cat(
			ARRAY[n, n, n * 0.5, 0, 0, n, n * 0.5, 0, 0, n * 0.5, 0, 0, 0, 0, 0],
			ARRAY[n, n, 0, 0, 0, n, 0, 0, 0, n * 0.25, 0, 0, 0, 0, 0]),
			ARRAY[n, n, 0, 0, 0, n, 0, 0, 0, n * 0.01, 0, 0, 0, 0, 0])
		FROM model_mgr.ab_test_plan p, generate_series(0, 1) arm, (SELECT $2 / 2.0::float8 AS n) x WHERE p.test_id = '$1';
		INSERT INTO model_mgr.ab_test_anchor SELECT p.test_no, ARRAY[0, 1, 0.8] FROM model_mgr.ab_test_plan p WHERE p.test_id = '$1'
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
} | run | tee "$dir/looks" >&2
small=$(grep -A 1 '^small' "$dir/looks" | milliseconds | median)
large=$(grep -A 1 '^large' "$dir/looks" | milliseconds | median)
echo "a look at 100,000 outcomes $small ms, at 100,000,000 $large ms" >&2
printf 'analyze_test_100m_outcomes_ms %.3f <=10\n' "$large"
awk -v l="$large" -v s="$small" 'BEGIN { printf "analyze_test_100m_to_100k %.3f <=1.2\n", l / s }'

# Many running tests; each grows by 3 % of its plan between two ticks, so that each has a look.
run >&2 <<SQL
SELECT count(model_mgr.create_test('t' || i, 't', 'm', '1', 'm', '2', minimum_detectable_effect => 0.2, min_sample_size_per_variant => 1000)) FROM generate_series(1, $tests) i;
SELECT count(model_mgr.stop_test(t)) FROM unnest(ARRAY['small', 'large']) t;
SQL
for ((i = 0; i <= ticks; i++)); do
	run -c "INSERT INTO model_mgr.observation (recorded_at, test_no, arm, version_id, success, response_time, confidence)
		SELECT clock_timestamp(), p.test_no, k % 2, NULL, k % 4 < 2, 1 + k % 7 / 10.0, 0.8 + k % 5 / 100.0 FROM model_mgr.ab_test_plan p, generate_series(1, 60) k WHERE p.test_id LIKE 't%'" >&2
	printf '%s\n' "SELECT sum(items) FROM model_mgr.tick() WHERE task = 'rollups';" \
		"SELECT 'tests ' || items || ' ' || 1000 * seconds FROM model_mgr.tick() WHERE task = 'experiments';" | run >"$dir/tick"
	cat "$dir/tick" >&2
	[ "$i" -eq 0 ] || sed -n 's/^tests [0-9]* //p' "$dir/tick" >>"$dir/ticks"
done
awk '{ print $1 / 1000 }' "$dir/ticks" | median | awk -v n="$tests" '{ printf "tick_of_%d_running_tests_seconds %.3f <=1\n", n, $1 }'
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
rate() { pgbench -n -M prepared -c 1 -T "$each" -f "$dir/$1.sql" "$db" 2>/dev/null | sed -n 's/^tps = \([0-9.]*\) .*/\1/p'; }
pairs() {
	for ((i = 0; i < 5; i++)); do echo "$(rate "$1") $(rate "$2")"; done | tee /dev/stderr | awk '{ print $1 / $2 }' | median
}
printf 'record_result_to_update_model_metrics %.3f >=0.9\n' "$(pairs result metrics)"
printf 'should_route_to_treatment_to_route_version %.3f >=0.9\n' "$(pairs arm version)"
