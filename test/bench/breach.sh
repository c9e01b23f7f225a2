#!/usr/bin/env bash
# breach: rollouts in turn whose candidate is good at first and then always fails, under 8 writers as fast as they can and
# without any scheduler: seconds until the rollback is committed and seen by another session, and the recordings that
# failed. The time begins with the first failure, some tenths of a second before the limit is broken by all that was
# recorded. Lines "name ratio target".
#   ROLLOUTS (40)   GOOD_SECONDS (3): at most so long a candidate is good, at random
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rollouts=${ROLLOUTS:-40}
good_seconds=${GOOD_SECONDS:-3}

run >&2 <<'SQL'
SET client_min_messages = warning;
SET search_path = model_mgr, public;
SELECT count(create_model_version('m', v, model_configuration('p', 'm'))) FROM unnest(ARRAY['1', '2']) v;
SELECT deployment_id FROM deploy_model_version('m', '1');
CALL maintain();
CREATE TABLE public.world (bad boolean NOT NULL);
INSERT INTO public.world VALUES (false);
CREATE UNLOGGED TABLE public.rolled_back (deployment_id bigint, seconds numeric);

-- rollout: deploys, turns the world bad after a while, and waits until the rollback is there for a look from outside.
CREATE PROCEDURE public.rollout(good_seconds float8) LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
    began timestamptz;
    seen timestamptz;
BEGIN
    UPDATE public.world SET bad = false;
    SELECT d.deployment_id INTO id FROM model_mgr.deploy_model_version('m', '2', 'canary',
        rollout => '{"steps": [50, 100], "step_seconds": 86400, "min_requests": 100}') d;
    COMMIT;
    PERFORM pg_sleep(0.3 + random() * good_seconds);
    began := clock_timestamp();
    UPDATE public.world SET bad = true;
    COMMIT;
    WHILE seen IS NULL AND clock_timestamp() < began + interval '1 minute' LOOP
        PERFORM pg_sleep(0.005);
        SELECT clock_timestamp() INTO seen FROM model_mgr.deployment d WHERE d.deployment_id = id AND d.status = 'rolled_back';
    END LOOP;
    IF seen IS NULL THEN
        RAISE EXCEPTION 'deployment % was not rolled back in a minute', id;
    END IF;
    INSERT INTO public.rolled_back VALUES (id, extract(epoch FROM seen - began));
    COMMIT;
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
for ((i = 0; i < rollouts; i++)); do run -c 'SET client_min_messages = warning' -c "CALL public.rollout($good_seconds)" >&2; done
# An error ends its client.
writing=$(run -c "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND application_name = 'pgbench'")
# TERM: what a shell started in the background ignores INT.
kill -TERM $writers
wait $writers || true
cat "$dir/err" >&2

run -c "SELECT count(*) || ' recordings' FROM model_mgr.observation" \
	-c "SELECT 'seconds to rollback ' || string_agg(round(seconds, 2)::text, ' ' ORDER BY seconds) FROM public.rolled_back" >&2
read -r median p99 <<<"$(run -F ' ' -c 'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds), percentile_disc(0.99) WITHIN GROUP (ORDER BY seconds) FROM public.rolled_back')"
printf 'breach_to_rollback_median_seconds %.3f <=1.5\n' "$median"
printf 'breach_to_rollback_p99_seconds %.3f <=3\n' "$p99"
printf 'breach_recordings_failed %d <=0\n' $((8 - writing))
