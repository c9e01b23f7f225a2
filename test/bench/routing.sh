#!/usr/bin/env bash
# routing: what asking for a version costs beside the cheapest thing of its kind. Rounds of both sides alternate, medians
# are compared, parallel plans are off for both sides. ROWS and ROUNDS make it shorter for a quick look.
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rows=${ROWS:-2000000}
rounds=${ROUNDS:-9}

run >/dev/null <<SQL
SELECT model_mgr.create_model_version('classifier', v, model_mgr.model_configuration('p', 'x')) FROM (VALUES ('1.0.0'), ('2.0.0')) x (v);
SELECT model_mgr.deploy_model_version('classifier', '1.0.0');
SELECT model_mgr.deploy_model_version('classifier', '2.0.0', strategy => 'canary', rollout => '{"steps": [50, 100]}');
CREATE UNLOGGED TABLE request AS SELECT 'user-' || i AS unit_id, 'many ' || i % 10000 AS model_name FROM generate_series(1, $rows) i;
VACUUM ANALYZE request;
CHECKPOINT;
-- ratio: median time of a query over that of another, rounds alternating, both warm.
CREATE FUNCTION ratio(measured text, base text, rounds integer) RETURNS numeric LANGUAGE plpgsql AS \$\$
DECLARE
    a float8[] := '{}';
    b float8[] := '{}';
    t timestamptz;
BEGIN
    FOR i IN 0..rounds LOOP
        t := clock_timestamp();
        EXECUTE base;
        IF i > 0 THEN b := b || extract(epoch FROM clock_timestamp() - t)::float8; END IF;
        t := clock_timestamp();
        EXECUTE measured;
        IF i > 0 THEN a := a || extract(epoch FROM clock_timestamp() - t)::float8; END IF;
    END LOOP;
    RETURN (SELECT (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(a) x)
        / (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(b) x))::numeric(10, 4);
END \$\$;
SQL
export PGOPTIONS='-c max_parallel_workers_per_gather=0'
hash="SELECT count(hashtextextended(unit_id, 0)) FROM request"
one="SELECT count(model_mgr.route_version(''classifier'', unit_id)) FROM request"
few=$(run -c "SELECT ratio('$one', '$hash', $rounds)")
echo "route_version_scan_split $few <=1.5"

# 10,000 models more: the same query in a backend that has all of them cached, and a query that asks for another model
# with each row.
run >/dev/null <<'SQL'
INSERT INTO model_mgr.model (model_name, created_by, created_at) SELECT 'many ' || i, 'bench', now() FROM generate_series(0, 9999) i;
INSERT INTO model_mgr.model_version (model_id, model_name, version, configuration, status, created_by, created_at)
SELECT model_id, model_name, '1.0.' || model_id, '{"provider": "p", "model_name": "x"}', 'active', 'bench', now() FROM model_mgr.model WHERE model_name LIKE 'many %';
INSERT INTO model_mgr.routing (model_name, model_id, revision, changed_at, salt, stable_version_id, stable_version)
SELECT m.model_name, m.model_id, 1, now(), md5(m.model_name), v.version_id, v.version
FROM model_mgr.model m JOIN model_mgr.model_version v USING (model_id) WHERE m.model_name LIKE 'many %';
VACUUM ANALYZE model_mgr.routing;
SQL
warm="SELECT count(model_mgr.route_version(model_name, 'u')) FROM model_mgr.routing"
many=$(run -c "$warm" -c "SELECT ratio('$one', '$hash', $rounds)" | tail -n 1)
echo "route_version_scan_with_10000_models $many <=1.5"
awk -v a="$many" -v b="$few" 'BEGIN { printf "route_version_10000_models_to_one %.3f <=1.1\n", a / b }'
each="SELECT count(model_mgr.route_version(model_name, unit_id)) FROM request"
base="SELECT count(hashtextextended(model_name, hashtextextended(unit_id, 0))) FROM request"
echo "route_version_another_model_each_row $(run -c "SELECT ratio('$each', '$base', $rounds)") <=2.0"
memory="SELECT sum(total_bytes) / 1024.0 / 1024 FROM pg_backend_memory_contexts WHERE name LIKE 'model_mgr %'"
run -c "$warm" -c "$memory" | tail -n 1 | awk '{ printf "route_mib_a_backend_at_10000_models %.2f <=20\n", $1 }'

# One call a transaction, prepared, against the same statement without the call.
printf '\\set u random(1, 1000000)\nSELECT :u::text;\n' >"$dir/base"
printf "\\\\set u random(1, 1000000)\nSELECT model_mgr.route_version('classifier', :u::text);\n" >"$dir/route"
rate() { pgbench -n -M prepared -c 1 -T "${SECONDS_A_ROUND:-3}" -f "$dir/$1" 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p'; }
rate base >/dev/null
rate route >/dev/null
for _ in $(seq "$rounds"); do echo "$(rate route) $(rate base)"; done >"$dir/rates"
awk -v a="$(cut -d ' ' -f 1 "$dir/rates" | median)" -v b="$(cut -d ' ' -f 2 "$dir/rates" | median)" \
	'BEGIN { printf "route_version_pgbench %.3f >=0.97\n", a / b }'
