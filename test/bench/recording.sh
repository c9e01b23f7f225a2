#!/usr/bin/env bash
# recording: the recording functions against a bare prepared INSERT of the same row into an equal table (same columns,
# partitions and block-range indexes; no checks, no trigger), with one client and with eight, a rollout running; and
# INSERT ... SELECT of a million outcomes. Medians of interleaved rounds; lines "name ratio target" on stdout.
#   ROUNDS (7)  SECONDS_EACH (3)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rounds=${ROUNDS:-7}
each=${SECONDS_EACH:-3}

run >&2 <<'SQL'
SET client_min_messages = warning;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT deployment_id FROM deploy_model_version('m', '1');
SELECT deployment_id FROM deploy_model_version('m', '2', rollout => '{"steps": [50, 100], "step_seconds": 86400}');
CALL maintain();
CREATE TABLE public.bare (LIKE model_mgr.observation) PARTITION BY RANGE (recorded_at);
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'model_mgr.observation'::regclass
    LOOP
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.bare %s', 'bare_' || part.relname, part.bound);
        EXECUTE format('CREATE INDEX ON public.%I USING brin (recorded_at) WITH (autosummarize = on)', 'bare_' || part.relname);
        EXECUTE format('CREATE INDEX ON public.%I USING brin (txn) WITH (autosummarize = on, pages_per_range = 32)', 'bare_' || part.relname);
    END LOOP;
END $$;
CREATE TABLE public.decided AS SELECT decision FROM generate_series(1, 1000) i, route('m', 'u' || i);
SQL
decision=$(run -c 'SELECT decision FROM decided LIMIT 1')

cat >"$dir/metrics.sql" <<'SQL'
SELECT model_mgr.update_model_metrics('m', '1', 0.5, true, 0.9, 0.001, 100, 20);
SQL
cat >"$dir/metrics_bare.sql" <<'SQL'
INSERT INTO bare (recorded_at, txn, version_id, success, response_time, confidence, cost, input_tokens, output_tokens, feedback)
VALUES (clock_timestamp(), 1, 1, true, 0.5, 0.9, 0.001, 100, 20, false);
SQL
cat >"$dir/outcome.sql" <<SQL
SELECT model_mgr.record_outcome('$decision', true, 0.5, 0.9, 0.001, 100, 20);
SQL
cat >"$dir/outcome_bare.sql" <<'SQL'
INSERT INTO bare (recorded_at, routed_at, txn, version_id, deployment_id, step, arm, unit_hash, request, success, response_time, confidence, cost,
    input_tokens, output_tokens, feedback)
VALUES (clock_timestamp(), clock_timestamp(), 1, 1, 2, 1, 0, 1234567890123, 9876543210987, true, 0.5, 0.9, 0.001, 100, 20, false);
SQL

# rate: transactions a second of one script.
rate() {
	pgbench -n -M prepared -c "$2" -j 2 -T "$each" -f "$dir/$1.sql" "$db" 2>&1 | tee -a /dev/stderr | sed -n 's/^tps = \([0-9.]*\) .*/\1/p'
}
# compare: rates of a script and of its bare counterpart, in turn; the median of the rounds' ratios.
compare() {
	local name=$1 script=$2 clients=$3 target=$4 ours bare i
	: >"$dir/ratios"
	for ((i = 0; i < rounds; i++)); do
		ours=$(rate "$script" "$clients")
		bare=$(rate "${script}_bare" "$clients")
		echo "$ours $bare" | awk '{print $1 / $2}' >>"$dir/ratios"
	done
	printf '%s %.3f %s\n' "$name" "$(median <"$dir/ratios")" "$target"
}
rate metrics 8 >/dev/null
rate metrics_bare 8 >/dev/null
compare update_model_metrics_1_client metrics 1 '>=0.9'
compare record_outcome_1_client outcome 1 '>=0.9'
compare update_model_metrics_8_clients metrics 8 '>=1.0'
compare record_outcome_8_clients outcome 8 '>=1.0'

# A million outcomes in one statement.
columns='recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens'
values='clock_timestamp(), 1, i % 100 <> 0, 0.5, 0.9, 0.001, 100, 20 FROM generate_series(1, 1000000) i'
seconds() {
	run -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
}
: >"$dir/ratios"
for ((i = 0; i < rounds; i++)); do
	ours=$(seconds "INSERT INTO model_mgr.observation ($columns) SELECT $values")
	bare=$(seconds "INSERT INTO bare ($columns, txn, feedback) SELECT ${values/ FROM/, 1, false FROM}")
	echo "bulk: $ours ms, bare $bare ms" >&2
	echo "$ours $bare" | awk '{print $1 / $2}' >>"$dir/ratios"
	run -c "SELECT model_mgr.maintenance_run('fold')" -c "TRUNCATE bare" >&2
done
printf 'insert_select_million %.3f <=1.3\n' "$(median <"$dir/ratios")"
