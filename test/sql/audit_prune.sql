-- Taking old audit entries out leaves a checkpoint, and the rest verifies; so does maintain() after audit_retention_days.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(23);
CREATE FUNCTION pg_temp.found(anchor text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' | ', ok, entries, unsealed, coalesce(first_bad_audit_id, 0), detail) FROM model_mgr.verify_audit_log(anchor)
$$;
-- Entries of ten days, one a day; the seventh and the eighth come in the other order.
INSERT INTO audit_log (logged_at, operation, user_name, caller, txn)
SELECT now() - (11 - CASE i WHEN 7 THEN 8 WHEN 8 THEN 7 ELSE i END) * interval '1 day', 'day ' || i, 'u', 'c', current_txn() FROM generate_series(1, 10) i;
SELECT pg_temp.refused('22004', 'until', 'SELECT prune_audit(NULL)');
SELECT is(prune_audit('infinity'), 0::bigint, 'what is not sealed stays');
SELECT seal_audit() AS anchor \gset
CREATE TEMP TABLE exported AS SELECT line::json AS line FROM export_audit(now() - interval '5.5 days') line;
SELECT is(prune_audit(now() - interval '5.5 days'), 5::bigint, 'five days are old');
SELECT is((SELECT array_agg((line ->> 'audit_id')::integer) FROM exported), '{1,2,3,4,5}', 'they are what export_audit() of that time gave');
SELECT is((SELECT min(audit_id) FROM audit_log), 6::bigint, 'gone');
SELECT is((SELECT string_agg(seq || ' ' || (encode(hash, 'hex') = (SELECT line ->> 'hash' FROM exported WHERE line ->> 'seq' = '5')), ', ') FROM audit_seal WHERE seq < 6), '5 true', 'the last seal of them is left');
SELECT is(details - 'until', jsonb_build_object('entries', 5, 'checkpoint', 5, 'hash', (SELECT line ->> 'hash' FROM exported WHERE line ->> 'seq' = '5')), 'and an entry says so')
FROM audit_log WHERE operation = 'prune_audit';
SELECT is(pg_temp.found(:'anchor'), 't | 6 | 1 | 0 | seals verified: 5, the last is seal 10; the anchor is one of them', 'the rest verifies, by an older anchor too');
SELECT is(pg_temp.found((SELECT line ->> 'hash' FROM exported WHERE line ->> 'seq' = '5')) ~ '^t', true, 'the checkpoint is an anchor');
SELECT is(pg_temp.found((SELECT line ->> 'hash' FROM exported WHERE line ->> 'seq' = '4')) ~ '^f.*before the checkpoint', true, 'what lies before it is none any more');
SELECT is((SELECT line::json ->> 'previous' FROM export_audit() line LIMIT 1), (SELECT line ->> 'hash' FROM exported WHERE line ->> 'seq' = '5'), 'exports go on where the last one ended');
SELECT is(prune_audit(now() - interval '5.5 days'), 0::bigint, 'again: nothing');
SELECT is(prune_audit(now() - interval '3.5 days'), 1::bigint, 'an old entry behind a younger one waits for it');
SELECT is(pg_temp.found() ~ '^t', true, 'a second checkpoint');
SELECT is((SELECT array_agg(audit_id ORDER BY audit_id) FROM audit_log WHERE operation ~ 'day'), '{7,8,9,10}', 'six are gone');

-- What does not verify is evidence.
SELECT seal_audit() IS NOT NULL;
ALTER TABLE audit_log DISABLE TRIGGER audit_guard;
BEGIN;
UPDATE audit_log SET user_name = 'mallory' WHERE audit_id = 8;
ALTER TABLE audit_log ENABLE TRIGGER audit_guard;
SELECT pg_temp.refused('55000', 'does not verify.*entry 8 does not agree', $$SELECT prune_audit(now())$$);
SELECT is(prune_audit(now() - interval '3.5 days'), 0::bigint, 'what lies before it may go');
ROLLBACK;
-- Nor does a checkpoint that nobody left.
BEGIN;
DELETE FROM audit_log WHERE operation = 'prune_audit';
SELECT is(pg_temp.found(), 'f | 4 | 0 | 6 | seal 6 stands first and without its entry 6, and no entry of prune_audit() says so', 'a checkpoint needs its entry');
ROLLBACK;
ALTER TABLE audit_log ENABLE TRIGGER audit_guard;
SELECT pg_temp.refused('55000', 'DELETE was refused', 'DELETE FROM audit_log');

-- maintain().
CALL maintain();
SELECT is((SELECT count(*) FROM audit_log WHERE operation ~ 'day'), 4::bigint, 'without audit_retention_days all is kept');
SET model_mgr.audit_retention_days = 2;
SET model_mgr.clock = '2100-01-01';
CALL maintain();
SELECT is((SELECT array_agg(audit_id ORDER BY audit_id) FROM audit_log WHERE operation ~ 'day'), '{10}', 'days are of real time, however far the clock is set ahead');
RESET model_mgr.clock;
SELECT is(pg_temp.found() ~ '^t', true, 'and the rest verifies');
SELECT throws_ok($$SET model_mgr.audit_retention_days = -1$$, '22023', NULL, 'no negative days');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT throws_ok('SELECT model_mgr.seal_audit()', '25000', 'seal_audit() must run at READ COMMITTED', 'sealing must see what others do');
SELECT throws_ok('SELECT model_mgr.prune_audit(now())', '25000', 'prune_audit() must run at READ COMMITTED', 'so must pruning');
ROLLBACK;
SELECT * FROM finish();
