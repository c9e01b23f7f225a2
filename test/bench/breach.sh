#!/usr/bin/env bash
# breach: rollouts in turn whose candidate is good at first and then fails always, under 8 writers as fast as they can and
# without any scheduler: seconds from the breach until the rollback is committed and seen by another session, and the
# recordings that failed. The breach is the recording with which the candidate's success rate, of all outcomes that
# were recorded until then, fell below its limit. Lines "name ratio target".
#   ROLLOUTS (40)   GOOD_SECONDS (3): at most so long a candidate is good, at random
set -euo pipefail
rollouts=${ROLLOUTS:-40}
good_seconds=${GOOD_SECONDS:-3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
db=model_mgr_bench_breach
run() { psql -XqAt -v ON_ERROR_STOP=1 -d "$db" "$@"; }

dropdb --if-exists "$db" >&2
createdb "$db"
run >&2 <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION model_mgr;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT deployment_id FROM deploy_model_version('m', '1');
CALL maintain();
CREATE TABLE public.world (bad boolean NOT NULL);
INSERT INTO public.world VALUES (false);
CREATE UNLOGGED TABLE public.seen (deployment_id bigint, seen_at timestamptz);

-- rollout: deploys, turns the world bad after a while, and notes when the rollback is there for a look from outside.
CREATE PROCEDURE public.rollout(good_seconds float8) LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    UPDATE public.world SET bad = false;
    SELECT d.deployment_id INTO id FROM model_mgr.deploy_model_version('m', '2', 'canary', rollout => '{"steps": [50, 100], "step_seconds": 86400, "min_requests": 100}') d;
    COMMIT;
    PERFORM pg_sleep(0.3 + random() * good_seconds);
    UPDATE public.world SET bad = true;
    COMMIT;
    FOR i IN 1..12000 LOOP
        EXIT WHEN EXISTS (SELECT FROM model_mgr.deployment d WHERE d.deployment_id = id AND d.status = 'rolled_back');
        PERFORM pg_sleep(0.005);
    END LOOP;
    INSERT INTO public.seen SELECT id, clock_timestamp() FROM model_mgr.deployment d WHERE d.deployment_id = id AND d.status = 'rolled_back';
    COMMIT;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'deployment % was not rolled back in a minute', id;
    END IF;
    -- The last requests that were routed to it come in before the next one begins.
    PERFORM pg_sleep(0.1);
END $$;
SQL
cat >"$dir/record.sql" <<'SQL'
\set u random(1, 100000)
SELECT model_mgr.record_outcome(r.decision, r.value = '1' OR NOT w.bad, 0.2) FROM public.world w, model_mgr.route('m', 'u' || :u) r;
SQL
pgbench -n -M prepared -c 8 -j 2 -T 86400 -f "$dir/record.sql" "$db" >/dev/null 2>"$dir/err" &
writers=$!
for ((i = 0; i < rollouts; i++)); do run -c "CALL public.rollout($good_seconds)"; done
still=$(run -c "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND application_name = 'pgbench'")
# TERM: what a shell started in the background ignores INT.
kill -TERM $writers
wait $writers || true
cat "$dir/err" >&2

run >"$dir/figures" <<'SQL'
CREATE TEMP TABLE known AS
SELECT o.deployment_id, o.recorded_at, count(*) OVER earlier AS known, count(*) FILTER (WHERE o.success) OVER earlier AS successes
FROM model_mgr.observation o WHERE o.deployment_id IS NOT NULL AND o.arm = 1
WINDOW earlier AS (PARTITION BY o.deployment_id ORDER BY o.recorded_at ROWS UNBOUNDED PRECEDING);
CREATE TEMP TABLE breach AS
SELECT s.deployment_id, extract(epoch FROM s.seen_at - min(k.recorded_at)) AS seconds
FROM public.seen s LEFT JOIN known k ON k.deployment_id = s.deployment_id AND k.known >= 100 AND k.successes < 0.95 * k.known
GROUP BY s.deployment_id, s.seen_at;
SELECT count(*) FILTER (WHERE seconds IS NOT NULL), percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds), percentile_disc(0.99) WITHIN GROUP (ORDER BY seconds) FROM breach;
\o /dev/stderr
SELECT 'recordings', count(*), 'seconds to rollback', array_agg(DISTINCT round(b.seconds, 2) ORDER BY round(b.seconds, 2)) FROM model_mgr.observation o LEFT JOIN breach b USING (deployment_id);
SQL
IFS='|' read -r judged median worst <"$dir/figures"
[ "$judged" -eq "$rollouts" ] || { echo "only $judged of $rollouts rollouts broke their limit and were rolled back" >&2; exit 1; }
printf 'breach_to_rollback_median_seconds %.3f <=1.5\n' "$median"
printf 'breach_to_rollback_p99_seconds %.3f <=3\n' "$worst"
# An error ends its client, and is told.
printf 'breach_recordings_failed %d <=0\n' $(($(grep -c 'ERROR' "$dir/err" || true) + 8 - still))
dropdb "$db" >&2
