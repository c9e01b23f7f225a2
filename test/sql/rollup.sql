-- Rollups: each row exactly once whatever folds when, credited to the rollout and step it was routed in; reading sees
-- what is folded and what is not yet.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
CREATE FUNCTION pg_temp.fold() RETURNS bigint LANGUAGE sql AS $$ SELECT model_mgr.maintenance_run('fold') $$;
-- truth: the rollups as a plain GROUP BY over every row has them; deployments and steps as the rows carry them.
CREATE VIEW pg_temp.truth AS
SELECT date_bin('1 minute', recorded_at - interval '1 microsecond', '2000-01-01 00:00:00+00') AS bucket, coalesce(version_id, 0) AS version_id, coalesce(test_no, 0) AS test_no, coalesce(arm, CASE WHEN request IS NULL THEN -2 ELSE -1 END) AS arm,
       count(*) FILTER (WHERE NOT feedback) AS requests, count(success) AS known, count(*) FILTER (WHERE success) AS successes,
       count(error_type) FILTER (WHERE NOT feedback) AS errors, count(response_time) AS response_time_count, round(coalesce(sum(response_time), 0)::numeric, 6) AS response_time_sum,
       count(confidence) AS confidence_count, round(coalesce(sum(confidence), 0)::numeric, 6) AS confidence_sum, count(cost) AS cost_count, round(coalesce(sum(cost), 0)::numeric, 6) AS cost_sum,
       count(input_tokens) AS input_tokens_count, coalesce(sum(input_tokens), 0) AS input_tokens_sum, count(output_tokens) AS output_tokens_count, coalesce(sum(output_tokens), 0) AS output_tokens_sum
FROM model_mgr.observation GROUP BY 1, 2, 3, 4;
CREATE VIEW pg_temp.told AS
SELECT bucket, version_id, test_no, arm, sum(requests) AS requests, sum(known) AS known, sum(successes) AS successes, sum(errors) AS errors,
       sum(response_time_count) AS response_time_count, round(sum(response_time_sum)::numeric, 6) AS response_time_sum, sum(confidence_count) AS confidence_count,
       round(sum(confidence_sum)::numeric, 6) AS confidence_sum, sum(cost_count) AS cost_count, round(sum(cost_sum)::numeric, 6) AS cost_sum, sum(input_tokens_count) AS input_tokens_count,
       sum(input_tokens_sum)::numeric AS input_tokens_sum, sum(output_tokens_count) AS output_tokens_count, sum(output_tokens_sum)::numeric AS output_tokens_sum
FROM model_mgr.rollup_now GROUP BY 1, 2, 3, 4;
CREATE FUNCTION pg_temp.agrees() RETURNS boolean LANGUAGE sql AS $$
    SELECT NOT EXISTS ((TABLE pg_temp.truth EXCEPT TABLE pg_temp.told) UNION ALL (TABLE pg_temp.told EXCEPT TABLE pg_temp.truth)) $$;

SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2', '3');
SELECT model_mgr.deploy_model_version('m', '1') \gset d1_
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens, error_type, feedback, test_no, arm)
SELECT '2026-01-10 12:00:00+00'::timestamptz + make_interval(secs => i), 1 + i % 3, CASE i % 4 WHEN 0 THEN true WHEN 1 THEN false END, nullif(i % 5, 0) * 0.1, nullif(i % 6, 0) * 0.1,
    nullif(i % 7, 0), nullif(i % 8, 0), nullif(i % 9, 0), CASE WHEN i % 10 = 0 THEN 'timeout' END, i % 11 = 0, nullif(i % 2, 0), nullif(i % 2, 0)
FROM generate_series(1, 1000) i;
INSERT INTO model_mgr.observation (recorded_at, test_no, arm, success) VALUES ('2026-01-10 12:00:00+00', 7, 0, true);
SELECT ok(pg_temp.agrees(), 'not folded: the tail says it all');
SELECT is((SELECT count(*) FROM model_mgr.rollup_minute), 0::bigint, 'nothing is folded yet');
SELECT is(pg_temp.fold(), 1001::bigint, 'every row is folded');
SELECT ok(pg_temp.agrees(), 'folded: the same');
SELECT is((SELECT count(*) FROM model_mgr.rollup_tail), 0::bigint, 'no tail is left');
SELECT is(pg_temp.fold(), 0::bigint, 'and is not folded again');
SELECT ok(pg_temp.agrees(), 'still the same');
-- More rows for the same minutes add up.
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time) SELECT '2026-01-10 12:00:30+00', 1, true, 0.5 FROM generate_series(1, 10);
SELECT ok(pg_temp.agrees(), 'rollups and tail together');
SELECT is(pg_temp.fold(), 10::bigint, 'only the new rows');
SELECT ok(pg_temp.agrees(), 'added to what was there');

-- The present transaction's rows are read and never folded by itself: it may write more.
BEGIN;
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
SELECT is(pg_temp.fold(), 0::bigint, 'own rows wait');
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, false);
SELECT ok(pg_temp.agrees(), 'but are seen');
SAVEPOINT s;
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
SELECT pg_temp.fold() AS folded \gset
ROLLBACK TO s;
INSERT INTO model_mgr.observation (version_id, success) VALUES (2, true);
SELECT ok(pg_temp.agrees(), 'a savepoint undone');
COMMIT;
SELECT ok(pg_temp.agrees(), 'after the commit');
SELECT is(pg_temp.fold(), 3::bigint, 'now they are folded, those written after the fold too');
SELECT ok(pg_temp.agrees(), 'and none is lost');
-- A fold that is undone folded nothing.
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
BEGIN;
SELECT is(pg_temp.fold(), 1::bigint, 'folded ...');
ROLLBACK;
SELECT is(pg_temp.fold(), 1::bigint, '... undone, folded again');
SELECT ok(pg_temp.agrees(), 'once in all');
-- An old snapshot reads what was.
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
SELECT is(pg_temp.fold(), 0::bigint, 'above READ COMMITTED nothing is folded');
SELECT ok(pg_temp.agrees(), 'and reading is right');
COMMIT;
SELECT is(pg_temp.fold(), 1::bigint, 'later it is');

-- Two statements of one moment see the same, rows of several minutes and days.
SELECT model_mgr.update_model_metrics('m', '1', 1, recorded_at => '2026-01-10 00:00:00+00');
SELECT model_mgr.update_model_metrics('m', '1', 1, recorded_at => '2026-01-10 00:00:00.000001+00');
SELECT is(array_agg(bucket ORDER BY bucket), ARRAY['2026-01-09 23:59:00+00', '2026-01-10 00:00:00+00']::timestamptz[], 'a minute is open at its beginning and closed at its end')
FROM model_mgr.rollup_tail;
SET TimeZone = 'Asia/Kolkata';
SELECT ok(pg_temp.agrees(), 'whatever the time zone');
SET TimeZone = 'UTC';

-- Attribution. The rollout of 2 begins at 13:00, its second step at 13:10, warm-up of a minute.
SELECT pg_temp.at('2026-01-10 13:00:00+00');
SELECT (model_mgr.deploy_model_version('m', '2', rollout => '{"steps": [10, 50, 100], "warmup_seconds": 60, "min_requests": 1}')).deployment_id AS rollout \gset
SELECT pg_temp.at('2026-01-10 13:10:00+00');
SELECT model_mgr.promote_deployment(:rollout) \gset p_
CREATE FUNCTION pg_temp.credited(version text, at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM model_mgr.update_model_metrics('m', version, routed_at => at, recorded_at => '2026-01-10 13:20:00+00');
    SELECT string_agg(format('%s/%s', t.deployment_id, t.step), ',') INTO answer FROM model_mgr.rollup_tail t WHERE t.bucket = '2026-01-10 13:19:00+00' AND t.requests > 0;
    PERFORM pg_temp.fold();
    DELETE FROM model_mgr.observation WHERE recorded_at = '2026-01-10 13:20:00+00';
    RETURN answer;
END $$;
SELECT pg_temp.fold() >= 0 AS folded \gset
SELECT is(pg_temp.credited(version, at::timestamptz), replace(wanted, 'r', :'rollout'), format('%s routed at %s', version, at)) FROM (VALUES
    ('2', '2026-01-10 12:59:59.999999+00', '0/0'), ('2', '2026-01-10 13:00:00+00', 'r/0'), ('2', '2026-01-10 13:00:59.999999+00', 'r/0'),
    ('2', '2026-01-10 13:01:00+00', 'r/1'), ('2', '2026-01-10 13:09:59.999999+00', 'r/1'), ('2', '2026-01-10 13:10:00+00', 'r/2'), ('1', '2026-01-10 13:10:00+00', 'r/2'),
    ('1', '2026-01-10 13:00:00+00', 'r/0'), ('3', '2026-01-10 13:10:00+00', '0/0')) v (version, at, wanted);
-- What a decision says stays, but for the warm-up; a rollout nobody knows stays as written.
SELECT is(model_mgr.attribution(2, :rollout, 1, '2026-01-10 13:11:00+00'), :rollout::bigint << 16 | 1, 'the step of the decision, not of the time');
SELECT is(model_mgr.attribution(2, :rollout, 1, '2026-01-10 13:00:30+00'), :rollout::bigint << 16, 'warming up');
SELECT is(model_mgr.attribution(2, :rollout, NULL, '2026-01-10 13:11:00+00'), :rollout::bigint << 16 | 2, 'no step given: the one in force');
SELECT is(model_mgr.attribution(2, 999, 3, '2026-01-10 13:11:00+00'), 999::bigint << 16 | 3, 'an unknown rollout');
SELECT is(model_mgr.attribution(NULL, NULL, NULL, '2026-01-10 13:11:00+00'), 0::bigint, 'nothing known');
-- After its end, and with the next one begun at the same moment.
SELECT pg_temp.at('2026-01-10 14:00:00+00');
SELECT model_mgr.rollback_model('m') AS rolled_back \gset
SELECT is(model_mgr.attribution(2, NULL, NULL, '2026-01-10 13:59:59+00'), :rollout::bigint << 16 | 2, 'until the end');
SELECT is(model_mgr.attribution(2, NULL, NULL, '2026-01-10 14:00:00+00'), 0::bigint, 'not from then on');
SELECT is(model_mgr.attribution(1, NULL, NULL, '2026-01-10 14:00:00+00'), 0::bigint, 'on neither side');
SELECT (model_mgr.deploy_model_version('m', '3')).deployment_id AS ended_at_once \gset
SELECT model_mgr.abort_deployment(:ended_at_once) \gset a_
SELECT (model_mgr.deploy_model_version('m', '3')).deployment_id AS open \gset
SELECT is(model_mgr.attribution(3, NULL, NULL, '2026-01-10 14:00:00+00'), :open::bigint << 16 | 1, 'one that ended as it began takes nothing');
SELECT is(model_mgr.attribution(1, NULL, NULL, '2026-01-10 14:30:00+00'), :open::bigint << 16 | 1, 'the baseline is the other side');
SELECT pg_temp.fold() >= 0 AS folded \gset

-- A restore into another cluster: the dump's ids mean nothing here. Pending rows of the old era are folded once, rows
-- written before any fold count, and a backend that knew the old era writes the new one at once.
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
SELECT is(sum(requests), 1::numeric, 'pending in the dump') FROM model_mgr.rollup_tail;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.told;
-- Ids of the other cluster were far ahead of ours.
UPDATE model_mgr.observation SET txn = txn + 1000000;
UPDATE model_mgr.rollup_state SET next_txn = next_txn + 1000000, in_progress = ARRAY(SELECT x + 1000000 FROM unnest(in_progress) x), system_identifier = system_identifier + 1;
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, false);
SELECT is(max(txn) >> 48, 1::bigint, 'a new era') FROM model_mgr.observation;
SELECT ok(pg_temp.agrees(), 'reading is right before any fold');
SELECT is(pg_temp.fold(), 2::bigint, 'the first fold takes what was pending and what came since');
SELECT ok(pg_temp.agrees(), 'each once');
SELECT is((s.era, s.system_identifier), (1, (SELECT system_identifier FROM pg_control_system())), 'the era is adopted') FROM model_mgr.rollup_state s;
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, false);
SELECT is(max(txn) >> 48, 1::bigint, 'and stays') FROM model_mgr.observation;
SELECT is(pg_temp.fold(), 1::bigint, 'and goes on');
SELECT ok(pg_temp.agrees(), 'to the end');
-- The oldest row of rollup_state counts: the one that a dump brings is older than the one CREATE EXTENSION made.
BEGIN;
INSERT INTO model_mgr.rollup_state SELECT installed_at - interval '1 year', era + 4, system_identifier, (era::bigint + 4) << 48, '{}' FROM model_mgr.rollup_state;
SELECT is(model_mgr.current_txn() >> 48, 5::bigint, 'a restored era is noticed at once');
ROLLBACK;
SELECT is(model_mgr.current_txn() >> 48, 1::bigint, 'and forgotten with the transaction');
-- Restored twice without a fold between: what was recorded in the second cluster has the era of what is recorded in the third.
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true), (1, false);
INSERT INTO model_mgr.rollup_state SELECT installed_at - interval '1 year', era, system_identifier + 1, next_txn, in_progress FROM model_mgr.rollup_state;
SELECT model_mgr.current_txn() >> 48 AS era \gset
UPDATE model_mgr.observation SET txn = (:era::bigint << 48) + (txn & 281474976710655) + 1000000 * (1 + success::integer) WHERE txn >= (SELECT min(next_txn) FROM model_mgr.rollup_state);
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
SELECT ok(pg_temp.agrees(), 'pending: all there');
SELECT is(ARRAY[pg_temp.fold(), pg_temp.fold(), pg_temp.fold()], '{3,0,0}'::bigint[], 'folded once');
SELECT ok(pg_temp.agrees(), 'none twice');
SELECT is(count(*), 1::bigint, 'the row of CREATE EXTENSION has gone') FROM model_mgr.rollup_state;
DROP VIEW pg_temp.truth, pg_temp.told CASCADE;
DROP EXTENSION model_mgr;
:create_extension;
SELECT is(model_mgr.current_txn() >> 48, 0::bigint, 'a new installation begins anew');

-- The reading needs no statistics and no sequential scan of the history.
SET enable_seqscan = on;
INSERT INTO model_mgr.observation (version_id, success) SELECT 1, true FROM generate_series(1, 100000);
SELECT model_mgr.maintenance_run('fold') AS folded, model_mgr.maintenance_run('summarize') >= 0 AS summarized \gset
INSERT INTO model_mgr.observation (version_id, success) VALUES (1, true);
CREATE FUNCTION pg_temp.blocks() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    line jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM model_mgr.rollup_tail' INTO line;
    RETURN (line -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (line -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END $$;
SELECT cmp_ok(pg_temp.blocks(), '<', pg_relation_size('model_mgr.observation_default') / 8192 / 4, 'the tail reads a small part of the table');
SELECT finish();
