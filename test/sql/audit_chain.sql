-- The chain over the audit log: what is committed is sealed once and in order, and whatever is done to it afterwards is
-- found, and said which.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(67);

-- An implementation of docs/audit.md of its own, from the words there: SQL, and the export's lines alone.
CREATE FUNCTION pg_temp.field(value text) RETURNS bytea LANGUAGE sql AS $$
    SELECT CASE WHEN value IS NULL THEN '-;'::bytea
           ELSE convert_to(octet_length(convert_to(value, 'UTF8')) || ':' || value || ';', 'UTF8') END
$$;
CREATE FUNCTION pg_temp.verified(line text) RETURNS boolean LANGUAGE sql AS $$
    SELECT encode(sha256(decode(l ->> 'previous', 'hex') || pg_temp.field(l ->> 'audit_id')
        || pg_temp.field((extract(epoch FROM (l ->> 'logged_at')::timestamptz) * 1000000)::bigint::text) || pg_temp.field(l ->> 'operation')
        || pg_temp.field(l ->> 'model_name') || pg_temp.field(l ->> 'version') || pg_temp.field(l ->> 'user_name')
        || pg_temp.field(l ->> 'caller') || pg_temp.field(l ->> 'session_id') || pg_temp.field(l ->> 'application_name')
        || pg_temp.field(l ->> 'client_address') || pg_temp.field(l ->> 'txn') || pg_temp.field(l ->> 'details')), 'hex') = l ->> 'hash'
    FROM (SELECT line::json AS l) j
$$;
-- found: what verify_audit_log() says.
CREATE FUNCTION pg_temp.found(anchor text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' | ', ok, entries, unsealed, coalesce(first_bad_audit_id::text, '-'), detail) FROM model_mgr.verify_audit_log(anchor)
$$;
-- tampered: what is found when the owner has run this with the guard off; all of it is undone.
CREATE FUNCTION pg_temp.tampered(statements text, anchor text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    BEGIN
        ALTER TABLE model_mgr.audit_log DISABLE TRIGGER audit_guard;
        ALTER TABLE model_mgr.audit_seal DISABLE TRIGGER audit_guard;
        EXECUTE statements;
        said := pg_temp.found(anchor);
        RAISE EXCEPTION USING errcode = 'P0001', message = 'undone';
    EXCEPTION WHEN raise_exception THEN
        RETURN said;
    END;
END $$;

-- Nothing yet.
SELECT is(seal_audit(), NULL, 'nothing to seal, no hash');
SELECT is(pg_temp.found(), 't | 0 | 0 | - | seals verified: 0, the last is seal 0', 'an empty log verifies');
SELECT is((SELECT count(*) FROM export_audit()), 0::bigint, 'and exports nothing');
SELECT is(prune_audit('infinity'), 0::bigint, 'and has nothing to take out');

-- The application's own entries.
SELECT is(log_operation('retrain', 'spam', '1.0', 'alice', '{"b": 1.50, "a": ["x", null]}'), 1::bigint, 'log_operation returns the id');
SELECT is(concat_ws(' ', operation, model_name, version, user_name, caller = current_user, details), 'retrain spam 1.0 alice t {"a": ["x", null], "b": 1.50}',
    'what was said, and who called') FROM audit_list;
SELECT is(user_name, session_user::text, 'without a user it is the login') FROM audit_list WHERE audit_id = log_operation('note');
SELECT is((SELECT details FROM audit_list WHERE audit_id = 2), '{}'::jsonb, 'without details none');
SELECT pg_temp.refused('22004', 'operation', $$SELECT log_operation(NULL)$$);
SELECT pg_temp.refused('42602', 'operation must not be empty', $$SELECT log_operation('')$$);
SELECT pg_temp.refused('42622', 'model_name is too long', $$SELECT log_operation('x', repeat('m', 256))$$);
SELECT pg_temp.refused('42602', 'user_name', $$SELECT log_operation('x', user_name => E'a\nb')$$);
SELECT pg_temp.refused('22P02', 'details', $$SELECT log_operation('x', details => '[1]')$$);

-- What the sealer could not take is not taken in: few bytes, many characters.
SELECT pg_temp.refused('54000', 'more than 256 MB', $$SELECT log_operation('x', details => (SELECT jsonb_build_object('n', jsonb_agg(1e131000)) FROM generate_series(1, 2100)))$$);
SELECT pg_temp.refused('54000', 'more than 256 MB', $$SELECT log_operation('x', details => jsonb_build_object('t', repeat(E'\x01', 46000000)))$$);

-- Odd values go through the canonical form.
SELECT count(log_operation(o, m, v, u, d)) FROM (VALUES
    ('5:x;-;', '-', '', NULL, '{"5:x;": "-;"}'::jsonb),
    ('größe', 'o''clf "x"', '日本', 'naïve', '{"ü": "☃", "n": 1e100, "z": -0.00, "nested": {"b": [1, 2.0, {"c": null}]}}'),
    ('long', repeat('é', 127), 'v', 'u', jsonb_build_object('t', repeat('long ', 100000)))) x (o, m, v, u, d)
WHERE v <> '';
SELECT pg_temp.refused('42939', 'prune_audit', $$SELECT log_operation('prune_audit', details => '{"checkpoint": 3}')$$);
SELECT pg_temp.refused('42602', 'version', $$SELECT log_operation('x', version => '')$$);

-- Sealing.
BEGIN;
SELECT log_operation('own') AS own \gset
SELECT seal_audit() IS NOT NULL AS sealed;
SELECT is(pg_temp.found() ~ '^t \| 5 \| 1 \| - \| seals verified: 4', true, 'a transaction never seals its own rows') ;
SELECT log_operation('own, later') AS later \gset
COMMIT;
SELECT is((SELECT string_agg(sealed::text, ' ' ORDER BY audit_id) FROM audit_list), 'true true true true false false', 'audit_list shows what is sealed');
SELECT is((SELECT items FROM tick() WHERE task = 'audit'), 2::bigint, 'the tick seals the rest');
SELECT is((SELECT count(*) FROM audit_list WHERE NOT sealed), 0::bigint, 'nothing is left');
SELECT seal_audit() AS anchor \gset
SELECT is(:'anchor' ~ '^[0-9a-f]{64}$' AND seal_audit() = :'anchor', true, 'seal_audit again gives the same hash');
SELECT is(pg_temp.found(:'anchor'), 't | 6 | 0 | - | seals verified: 6, the last is seal 6; the anchor is one of them', 'it is an anchor');
SELECT is(pg_temp.found(upper(:'anchor')) ~ '^t', true, 'in capitals too');
SELECT pg_temp.refused('22P02', 'It has 3 characters', $$SELECT * FROM verify_audit_log('abc')$$);
SELECT pg_temp.refused('22P02', 'hexadecimal', $$SELECT * FROM verify_audit_log(repeat('g', 64))$$);
SELECT is(pg_temp.found(repeat('0', 64)) ~ '^f .* no seal has the anchor', true, 'a hash from elsewhere is none');

-- An outsider verifies the export.
SELECT is((SELECT string_agg(pg_temp.verified(line)::text, ' ') FROM export_audit() line), 'true true true true true true', 'every line of the export verifies by the written form');
SELECT is((SELECT bool_and(l ->> 'previous' = coalesce(before, repeat('0', 64))) FROM (SELECT line::json AS l, lag(line::json ->> 'hash') OVER () AS before FROM export_audit() line) x),
    true, 'each line follows the one before');
SELECT is((SELECT array_agg((line::json ->> 'seq')::integer) FROM export_audit() line), '{1,2,3,4,5,6}', 'in the order of the chain');
SELECT is((SELECT count(*) FROM export_audit((SELECT logged_at FROM audit_log WHERE audit_id = 3))), 2::bigint, 'as far as a time');
SELECT is((SELECT count(DISTINCT line) FROM (SELECT export_audit() AS line UNION ALL SELECT * FROM export_audit()) x), 6::bigint, 'the same each time');
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET extra_float_digits = 0;
SELECT is(seal_audit(), :'anchor', 'settings of the session change no hash');
SELECT is((SELECT bool_and(pg_temp.verified(line)) FROM export_audit() line), true, 'nor the export');
RESET TimeZone;
RESET DateStyle;
RESET extra_float_digits;
SET TimeZone = 'UTC';

-- What is done to it is found. The guard first.
SELECT pg_temp.refused('55000', 'audit_seal is append-only.*UPDATE was refused', 'UPDATE model_mgr.audit_seal SET seq = seq');
SELECT pg_temp.refused('55000', 'DELETE was refused', 'DELETE FROM model_mgr.audit_seal');
SELECT pg_temp.refused('55000', 'TRUNCATE was refused', 'TRUNCATE model_mgr.audit_seal');
SELECT is(pg_temp.tampered(format('UPDATE model_mgr.audit_log SET %s WHERE audit_id = 3', change)),
    'f | 6 | 0 | 3 | entry 3 does not agree with its seal 3: it was edited, or stands in another''s place', change)
FROM unnest('{"operation = ''x''", "model_name = NULL", "version = ''2''", "user_name = ''mallory''", "caller = ''mallory''", "session_id = ''1''",
    "application_name = NULL", "client_address = ''10.0.0.1''", "logged_at = logged_at - interval ''1 us''", "txn = txn + 1", "details = details || ''{\"k\": null}''"}'::text[]) change;
SELECT is(pg_temp.tampered('UPDATE model_mgr.audit_log SET user_name = $$x$$ WHERE audit_id = 6'),
    'f | 6 | 0 | 6 | entry 6 does not agree with its seal 6: it was edited, or stands in another''s place', 'the last one edited');
SELECT is(pg_temp.tampered('UPDATE model_mgr.audit_log SET user_name = $$x$$ WHERE audit_id IN (2, 5)'),
    'f | 6 | 0 | 2 | entry 2 does not agree with its seal 2: it was edited, or stands in another''s place', 'of two the first is named');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id = 4'),
    'f | 5 | 0 | 4 | entry 4 was removed; its seal 4 is left', 'removed');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id = 4; DELETE FROM model_mgr.audit_seal WHERE audit_id = 4'),
    'f | 5 | 0 | 5 | seals 4 to 4 are missing before seal 5 of entry 5', 'removed with its seal');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id = 4; DELETE FROM model_mgr.audit_seal WHERE audit_id = 4; UPDATE model_mgr.audit_seal SET seq = seq - 1 WHERE seq > 4'),
    'f | 5 | 0 | 5 | entry 5 does not agree with its seal 4: it was edited, or stands in another''s place', 'and the gap closed');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id < 3; DELETE FROM model_mgr.audit_seal WHERE audit_id < 3'),
    'f | 4 | 0 | 3 | seals 1 to 2 are missing', 'the first ones gone');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id < 3; DELETE FROM model_mgr.audit_seal WHERE audit_id < 2'),
    'f | 4 | 0 | 2 | seal 2 stands first and without its entry 2, and no entry of prune_audit() says so', 'or as if they had been pruned');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id > 4; DELETE FROM model_mgr.audit_seal WHERE audit_id > 4'),
    'f | 4 | 0 | - | the chain ends at seal 4, the sealer had written 6: the last ones are missing', 'the last ones gone');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id > 4; DELETE FROM model_mgr.audit_seal WHERE audit_id > 4; UPDATE model_mgr.audit_seal_state SET seals = 4', :'anchor') ~ 'no seal has the anchor',
    true, 'and the sealer''s own note corrected: against the anchor');
SELECT is(pg_temp.tampered('UPDATE model_mgr.audit_seal SET hash = sha256(hash) WHERE seq = 3'),
    'f | 6 | 0 | 3 | seal 3 was edited; its entry 3 agrees with the seals after it', 'a seal edited');
SELECT is(pg_temp.tampered('UPDATE model_mgr.audit_seal SET hash = $$x$$ WHERE seq = 3') ~ 'seal 3 is not 32 bytes long', true, 'or shortened');
SELECT is(pg_temp.tampered('UPDATE model_mgr.audit_log SET audit_id = CASE audit_id WHEN 2 THEN 5002 ELSE 5003 END WHERE audit_id IN (2, 3); UPDATE model_mgr.audit_log SET audit_id = CASE audit_id WHEN 5002 THEN 3 ELSE 2 END WHERE audit_id > 5000'),
    'f | 6 | 0 | 2 | entry 2 does not agree with its seal 2: it was edited, or stands in another''s place', 'two entries changed places');
SELECT is(pg_temp.tampered('UPDATE model_mgr.audit_seal SET seq = CASE seq WHEN 2 THEN -2 ELSE -3 END WHERE seq IN (2, 3); UPDATE model_mgr.audit_seal SET seq = CASE seq WHEN -2 THEN 3 ELSE 2 END WHERE seq < 0'),
    'f | 6 | 0 | 3 | entry 3 does not agree with its seal 2: it was edited, or stands in another''s place', 'or their seals');
SELECT is(pg_temp.tampered('INSERT INTO model_mgr.audit_log SELECT 100, logged_at, operation, model_name, version, user_name, caller, session_id, application_name, client_address, txn, details FROM model_mgr.audit_log WHERE audit_id = 2'),
    'f | 7 | 1 | 100 | entry 100 was slipped in: what its transaction wrote was sealed without it, or its seal is gone', 'one slipped in');
SELECT is(pg_temp.tampered('INSERT INTO model_mgr.audit_log SELECT 0, logged_at, operation, model_name, version, user_name, caller, session_id, application_name, client_address, txn, details FROM model_mgr.audit_log WHERE audit_id = 2'),
    'f | 7 | 1 | 0 | entry 0 was slipped in: what its transaction wrote was sealed without it, or its seal is gone', 'or before the first');
-- Whoever may write everything makes a chain that agrees; what an anchor says cannot be made.
CREATE FUNCTION pg_temp.forge() RETURNS text LANGUAGE sql AS $$
    SELECT 'UPDATE model_mgr.audit_log SET user_name = $q$mallory$q$ WHERE audit_id = 2; DELETE FROM model_mgr.audit_seal;
        UPDATE model_mgr.audit_seal_state SET next_txn = 0, in_progress = $q${}$q$, seals = 0; SELECT model_mgr.seal_audit()'
$$;
SELECT is(pg_temp.tampered(pg_temp.forge()) ~ '^t ', true, 'a chain made anew agrees with itself');
SELECT is(pg_temp.tampered(pg_temp.forge(), :'anchor') ~ 'no seal has the anchor', true, 'not with the anchor');
SELECT is(pg_temp.found(:'anchor') ~ '^t \| 6 \| 0', true, 'all of that was undone');
-- The next tick after it covers nothing up.
SELECT log_operation('next');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id IN (5, 6); DELETE FROM model_mgr.audit_seal WHERE seq > 4; SELECT model_mgr.seal_audit()'),
    'f | 5 | 0 | 7 | seals 5 to 6 are missing before seal 7 of entry 7', 'the last ones gone, and sealing goes on');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id < 7; DELETE FROM model_mgr.audit_seal; SELECT model_mgr.seal_audit()'),
    'f | 1 | 0 | 7 | seals 1 to 6 are missing', 'or all of them');
SELECT is(pg_temp.tampered('DELETE FROM model_mgr.audit_log WHERE audit_id IN (5, 6); DELETE FROM model_mgr.audit_seal WHERE seq > 4; UPDATE model_mgr.audit_seal_state SET seals = 4; SELECT model_mgr.seal_audit()', :'anchor') ~ 'no seal has the anchor',
    true, 'with the sealer''s own note corrected: against the anchor still');

-- Counted is the text that there will be: the same number of letters is a sixth of it.
BEGIN;
SELECT log_operation('x', details => jsonb_build_object('t', repeat('x', 46000000))) > 0 AS taken \gset
ROLLBACK;
SELECT ok(:'taken', 'what is long without escapes is taken');
SELECT * FROM finish();
