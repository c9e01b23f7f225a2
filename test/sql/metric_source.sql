-- Metric sources: what may be registered, and that what is stored of a source is, minute by minute, what a plain GROUP BY
-- of its rows says, whatever comes late, changes or goes.
\i test/fresh.psql
\i test/rollout.psql
SET client_min_messages = error;
SET search_path = public, tap;
SELECT no_plan();
GRANT USAGE ON SCHEMA tap TO PUBLIC;
SELECT pg_temp.at('2026-03-01 12:00:30+00') \gset
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader') \gset
CREATE ROLE regress_model_mgr_ann IN ROLE regress_model_mgr_operator;
CREATE ROLE regress_model_mgr_bob IN ROLE regress_model_mgr_operator;
CREATE SCHEMA regress_source AUTHORIZATION regress_model_mgr_ann;
GRANT USAGE ON SCHEMA regress_source TO regress_model_mgr_bob;
SELECT pg_temp.make_model('spam', '1', '2'), pg_temp.make_model('ham "and" eggs', '1') \gset
-- code: SQLSTATE and the column or object that the error names.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN state || CASE WHEN hint = '' THEN ' no hint' ELSE '' END || ': ' || detail;
END $$;

-- 1. Registering.
SET ROLE regress_model_mgr_ann;
CREATE TABLE regress_source.refunds ("time" timestamptz, model_name text, version text, value float8, unit_id text, note text);
CREATE TABLE regress_source.short ("time" timestamptz, version text);
CREATE TABLE regress_source.early ("time" timestamp, model_name text, version text, value float8);
CREATE TABLE regress_source.wordy ("time" timestamptz, model_name text, version text, value text);
CREATE TABLE regress_source.numbered ("time" timestamptz, model_name integer, version text, value float8);
CREATE TABLE regress_source.units ("time" timestamptz, model_name text, version text, value float8, unit_id integer);
CREATE SEQUENCE regress_source.sequence;
CREATE INDEX refunds_index ON regress_source.refunds ("time");
CREATE TEMP TABLE fleeting ("time" timestamptz, model_name text, version text, value float8);
SELECT is(pg_temp.refused(format('SELECT model_mgr.add_metric_source(%s, %s)', name, relation)), says, name || ' ' || relation) FROM (VALUES
    ('NULL', '''regress_source.refunds''', '22004: The argument has no default.'),
    ('''x''', 'NULL', '22004: The argument has no default.'),
    ('''''', '''regress_source.refunds''', '42602: Names have 1 to 255 bytes.'),
    ('E''a\nb''', '''regress_source.refunds''', '42602: Byte 2 is 0x0a.'),
    ('repeat(''x'', 256)', '''regress_source.refunds''', '42622: It has 256 bytes; names have 1 to 255.'),
    ('''success_rate''', '''regress_source.refunds''', '42939: It is computed from recorded requests.'),
    ('''response_time''', '''regress_source.refunds''', '42939: It is computed from recorded requests.'),
    ('''p95_response_time''', '''regress_source.refunds''', '42939: It is computed from recorded requests.'),
    ('''x''', '0', '42P01: It may have been dropped.'),
    ('''x''', '''regress_source.short''', '42703: It has no column "model_name", "value".'),
    ('''x''', '''regress_source.early''', '22023: It has type timestamp without time zone; it should be timestamp with time zone.'),
    ('''x''', '''regress_source.wordy''', '22023: It has type text; it should be double precision, numeric or an integer.'),
    ('''x''', '''regress_source.numbered''', '22023: It has type integer; it should be text.'),
    ('''x''', '''regress_source.units''', '22023: It has type integer; it should be text.'),
    ('''x''', '''regress_source.sequence''', '42809: A metric source is read with SELECT.'),
    ('''x''', '''regress_source.refunds_index''', '42809: A metric source is read with SELECT.'),
    ('''x''', '''pg_temp.fleeting''', '22023: Other sessions, which read it, do not have it.')) r (name, relation, says);
SET ROLE regress_model_mgr_bob;
SELECT is(pg_temp.refused($$SELECT model_mgr.add_metric_source('x', 'regress_source.refunds')$$), '42501: It would be read as role "regress_model_mgr_bob", which may not SELECT it.', 'who may not read it');
SET ROLE regress_model_mgr_reader;
SELECT throws_ok($$SELECT model_mgr.add_metric_source('x', 'pg_catalog.pg_class')$$, '42501', NULL, 'a reader registers nothing');
SELECT throws_ok($$SELECT model_mgr.remove_metric_source('x')$$, '42501', NULL, 'and removes nothing');
SET ROLE regress_model_mgr_ann;
SELECT is((SELECT count(*) FROM model_mgr.metric_source_list), 0::bigint, 'nothing of that was registered');
SELECT lives_ok($$SELECT model_mgr.add_metric_source('refunds', 'regress_source.refunds')$$, 'registered');
SELECT lives_ok($$SELECT model_mgr.add_metric_source('refunds', 'regress_source.refunds')$$, 'again is harmless');
SELECT is(pg_temp.refused($$SELECT model_mgr.add_metric_source('refunds', 'regress_source.short')$$), '42703: It has no column "model_name", "value".', 'another one, and a bad one');
CREATE TABLE regress_source.other (LIKE regress_source.refunds);
GRANT SELECT ON regress_source.refunds TO regress_model_mgr_bob;
SELECT is(pg_temp.refused($$SELECT model_mgr.add_metric_source('refunds', 'regress_source.other')$$), '42710: It reads regress_source.refunds as role "regress_model_mgr_ann".', 'another relation');
SET ROLE regress_model_mgr_bob;
SELECT is(pg_temp.refused($$SELECT model_mgr.add_metric_source('refunds', 'regress_source.refunds')$$), '42710: It reads regress_source.refunds as role "regress_model_mgr_ann".', 'another role');
RESET ROLE;
SELECT results_eq($$SELECT metric_name, relation, role_name, added_at, read_until, failures, disabled_at FROM model_mgr.metric_source_list$$,
    $$VALUES ('refunds', 'regress_source.refunds', 'regress_model_mgr_ann', '2026-03-01 12:00:30+00'::timestamptz, NULL::timestamptz, 0, NULL::timestamptz)$$, 'the list');
SELECT is((SELECT details - 'role' FROM model_mgr.audit_log WHERE operation = 'add_metric_source'), '{"relation": "regress_source.refunds", "metric_name": "refunds"}', 'the audit log has it once');

-- 2. Reading. stored: what metric_sample has of a source; wanted: what a GROUP BY of the rows says, over the same time.
CREATE FUNCTION pg_temp.stored(name text) RETURNS TABLE (minute timestamptz, version_id bigint, sampled_at timestamptz, samples bigint, value numeric, lowest float8, p50 float8) LANGUAGE sql AS $$
    SELECT date_bin('1 minute', s.sampled_at - interval '1 microsecond', '2000-01-01 00:00:00+00'), s.version_id, s.sampled_at, s.samples, round(s.value::numeric, 9),
        model_mgr.summary_min(s."values"), model_mgr.summary_quantile(s."values", 0.5)
    FROM model_mgr.metric_sample s WHERE s.metric_name = name
$$;
CREATE FUNCTION pg_temp.wanted(relation regclass, since timestamptz DEFAULT '2026-02-22 12:00:00+00', until timestamptz DEFAULT model_mgr.clock_time()) RETURNS TABLE (minute timestamptz, version_id bigint, sampled_at timestamptz, samples bigint, value numeric, lowest float8, p50 float8) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($f$
        SELECT date_bin('1 minute', r."time" - interval '1 microsecond', '2000-01-01 00:00:00+00'), v.version_id, max(r."time"), count(*), round(avg(r.value)::numeric, 9),
            min(r.value), model_mgr.summary_quantile(model_mgr.summarize(r.value), 0.5)
        FROM %s r JOIN model_mgr.model_version_list v ON v.model_name = r.model_name AND v.version = r.version
        WHERE abs(r.value) <= 1e100 AND r."time" > $1 AND r."time" <= $2 GROUP BY 1, 2 $f$, relation) USING since, until;
END $$;
CREATE FUNCTION pg_temp.differs(name text, relation regclass) RETURNS bigint LANGUAGE sql AS $$
    WITH s AS (SELECT * FROM pg_temp.stored(name)), w AS (SELECT * FROM pg_temp.wanted(relation))
    SELECT count(*) FROM ((TABLE s EXCEPT ALL TABLE w) UNION ALL (TABLE w EXCEPT ALL TABLE s)) d
$$;
INSERT INTO regress_source.refunds SELECT '2026-03-01 12:00:30+00'::timestamptz - make_interval(secs => (i * 7919 % 900000) / 1.5), (ARRAY['spam', 'ham "and" eggs'])[1 + i % 2],
    CASE WHEN i % 2 = 0 THEN (1 + i / 2 % 2)::text ELSE '1' END, (i * 104729 % 10007 - 3000) / 100.0, NULL, NULL FROM generate_series(1, 20000) i;
-- On the minute, a microsecond around it, at now and ahead of it; at the beginning of what is read at first, and before.
INSERT INTO regress_source.refunds SELECT t, 'spam', '1', 7 FROM unnest(ARRAY['2026-03-01 11:58:00+00', '2026-03-01 11:58:00.000001+00', '2026-03-01 11:57:59.999999+00', '2026-03-01 12:00:30+00',
    '2026-03-01 12:00:30.000001+00', '2026-03-01 13:00:00+00', '2026-02-22 12:00:00+00', '2026-02-22 12:00:00.000001+00', '2026-02-01 12:00:00+00', 'infinity', '-infinity', NULL]::timestamptz[]) t;
-- Not to be read: no such version or model, no value, or none that can be had.
INSERT INTO regress_source.refunds SELECT '2026-03-01 11:30:30+00', m, v, x FROM (VALUES ('spam', '3', 1), ('eggs', '1', 1), (NULL, '1', 1), ('spam', NULL, 1), ('spam', '1', NULL),
    ('spam', '1', 'NaN'), ('spam', '1', 'Infinity'), ('spam', '1', '-Infinity'), ('spam', '1', 1.1e100), (repeat('x', 100000), '1', 1)) r (m, v, x);
CALL model_mgr.work();
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'what is stored is what a GROUP BY says');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.stored('refunds')), '>', 8000::bigint, 'of many minutes');
SELECT is((SELECT count(*) FROM pg_temp.stored('refunds') WHERE minute = '2026-02-22 12:00:00+00'), 1::bigint, 'from the first moment of what is kept on');
SELECT results_eq($$SELECT read_until, last_read_at, last_error FROM model_mgr.metric_source_list$$, $$VALUES ('2026-03-01 12:00:30+00'::timestamptz, '2026-03-01 12:00:30+00'::timestamptz, NULL::text)$$, 'read until now');
-- Somebody else's relation is accepted, and what that means is said.
SET ROLE regress_model_mgr_bob;
SET client_min_messages = notice;
SELECT model_mgr.add_metric_source('of_columns', 'regress_source.refunds');
SET client_min_messages = error;
RESET ROLE;

-- 3. Again: only what differs is written.
CREATE TEMP TABLE before AS SELECT s.ctid AS place, s.xmin AS writer FROM model_mgr.metric_sample s WHERE s.metric_name = 'refunds';
SELECT pg_temp.at('2026-03-01 12:00:50+00') \gset
CALL model_mgr.work();
SELECT results_eq($$SELECT "rows" - (SELECT count(*) FROM regress_source.refunds WHERE "time" > '2026-03-01 11:00:00+00' AND "time" <= '2026-03-01 12:00:50+00'), skipped FROM model_mgr.metric_source_list WHERE metric_name = 'refunds'$$,
    $$VALUES (0::bigint, 10::bigint)$$, 'an hour back, and what was skipped of it');
SELECT is((SELECT count(*) FROM model_mgr.metric_sample s WHERE s.metric_name = 'refunds' AND NOT EXISTS (SELECT FROM before b WHERE b.place = s.ctid AND b.writer = s.xmin)), 1::bigint, 'one minute has got a row more');
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'and is right');
SELECT pg_temp.at('2026-03-01 12:30:00+00') \gset
INSERT INTO regress_source.refunds SELECT '2026-03-01 12:00:00+00'::timestamptz + make_interval(secs => i * 7), 'spam', '2', i FROM generate_series(1, 240) i;
CALL model_mgr.work();
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'new rows');
UPDATE regress_source.refunds SET value = value + 1 WHERE "time" BETWEEN '2026-03-01 11:40:00+00' AND '2026-03-01 11:50:00+00';
DELETE FROM regress_source.refunds WHERE "time" BETWEEN '2026-03-01 12:10:00+00' AND '2026-03-01 12:20:00+00';
INSERT INTO regress_source.refunds SELECT '2026-03-01 11:45:30+00', 'spam', '1', 100 FROM generate_series(1, 10);
CALL model_mgr.work();
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'changed, deleted and late rows of the last hour');
INSERT INTO regress_source.refunds VALUES ('2026-03-01 10:00:30+00', 'spam', '1', 100);
CALL model_mgr.work();
SELECT isnt(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'what comes later than that is not seen');
DELETE FROM regress_source.refunds WHERE "time" = '2026-03-01 10:00:30+00';
-- A version that is registered after its rows came.
INSERT INTO regress_source.refunds VALUES ('2026-03-01 12:25:00+00', 'spam', '3', 5);
SELECT pg_temp.make_model('spam', '3') \gset
CALL model_mgr.work();
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'a version that comes after its rows');
SELECT is(pg_temp.differs('of_columns', 'regress_source.refunds'), 0::bigint, 'the other role''s source of the same table');
-- After a long pause: in slices, and nothing is left out.
UPDATE model_mgr.metric_source SET slice_seconds = 600;
SELECT pg_temp.at('2026-03-02 12:00:00+00') \gset
INSERT INTO regress_source.refunds SELECT '2026-03-01 12:30:00+00'::timestamptz + make_interval(secs => i * 30), 'spam', '2', i FROM generate_series(1, 2000) i;
CALL model_mgr.work();
SELECT is((SELECT count(*) FROM ((SELECT * FROM pg_temp.stored('refunds')) EXCEPT ALL (SELECT * FROM pg_temp.wanted('regress_source.refunds'))) d)
    + (SELECT count(*) FROM ((SELECT * FROM pg_temp.wanted('regress_source.refunds')) EXCEPT ALL (SELECT * FROM pg_temp.stored('refunds'))) d), 0::bigint, 'after a pause it catches up');
SELECT is((SELECT read_until FROM model_mgr.metric_source_list WHERE metric_name = 'refunds'), '2026-03-02 12:00:00+00'::timestamptz, 'up to now');

-- 4. Removed: what was read stays; added again: nothing counts twice.
SET ROLE regress_model_mgr_bob;
SELECT is(pg_temp.refused($$SELECT model_mgr.remove_metric_source('refunds')$$), '42501: It was registered by role "regress_model_mgr_ann"; the caller is "regress_model_mgr_bob".', 'not by another operator');
RESET ROLE;
SELECT is(model_mgr.remove_metric_source('refunds'), true, 'removed');
SELECT is(model_mgr.remove_metric_source('refunds'), false, 'once');
SELECT throws_ok('SELECT model_mgr.remove_metric_source(NULL)', '22004', NULL, 'NULL');
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'its values stay');
SET ROLE regress_model_mgr_bob;
SELECT model_mgr.add_metric_source('refunds', 'regress_source.refunds') \gset
RESET ROLE;
CALL model_mgr.work();
SELECT is(pg_temp.differs('refunds', 'regress_source.refunds'), 0::bigint, 'nothing counts twice');

-- 5. All kinds of relations and columns: each has one row a minute, of value 5.
SET ROLE regress_model_mgr_ann;
CREATE DOMAIN regress_source.moment AS timestamptz;
CREATE DOMAIN regress_source.amount AS numeric CHECK (VALUE > 0);
CREATE VIEW regress_source."a view" AS SELECT t AS "time", 'spam' AS model_name, '1' AS version, 5 AS value FROM generate_series('2026-03-02 11:30:00+00', '2026-03-02 12:00:00+00', interval '1 minute') t;
CREATE MATERIALIZED VIEW regress_source.kept AS SELECT "time", 'spam'::varchar(10) AS model_name, '1'::char(1) AS version, 5::smallint AS value FROM regress_source."a view";
CREATE TABLE regress_source.days (value numeric(10, 2), version name, model_name text, "time" timestamptz) PARTITION BY RANGE ("time");
CREATE TABLE regress_source.day PARTITION OF regress_source.days DEFAULT;
INSERT INTO regress_source.days SELECT 5, '1', 'spam', "time" FROM regress_source."a view";
CREATE TABLE regress_source.domains ("time" regress_source.moment, model_name text, version text, value regress_source.amount);
INSERT INTO regress_source.domains SELECT "time", 'spam', '1', 5 FROM regress_source."a view";
CREATE VIEW regress_source.flags AS SELECT "time", model_name, version, true AS value FROM regress_source."a view";
CREATE VIEW regress_source.large AS SELECT "time", model_name, version, x AS value FROM regress_source."a view", unnest(ARRAY[5, '1e300', '-1e2000', 'NaN', 'Infinity']::numeric[]) x;
CREATE VIEW regress_source.nothing AS SELECT * FROM regress_source."a view" WHERE false;
SELECT count(model_mgr.add_metric_source('of ' || r, ('regress_source.' || quote_ident(r))::regclass)::text) FROM unnest(ARRAY['a view', 'kept', 'days', 'domains', 'flags', 'large', 'nothing']) r \gset
RESET ROLE;
CALL model_mgr.work();
SELECT results_eq($$SELECT m.metric_name, m.last_error, count(s.*), min(s.value), max(s.value), sum(s.samples)::bigint FROM model_mgr.metric_source_list m LEFT JOIN model_mgr.metric_sample s ON s.source_id = m.source_id
    WHERE m.metric_name LIKE 'of %' GROUP BY 1, 2 ORDER BY m.metric_name COLLATE "C"$$,
    $$VALUES ('of a view', NULL::text, 31::bigint, 5::float8, 5::float8, 31::bigint), ('of days', NULL, 31, 5, 5, 31), ('of domains', NULL, 31, 5, 5, 31), ('of flags', NULL, 31, 1, 1, 31),
    ('of kept', NULL, 31, 5, 5, 31), ('of large', NULL, 31, 5, 5, 31), ('of nothing', NULL, 0, NULL, NULL, NULL)$$, 'tables, views, partitions, domains, numbers that float8 has not');

-- 6. What changes under it. Lost for good: disabled; else tried again, later and later.
SELECT count(model_mgr.remove_metric_source(metric_name)) FROM model_mgr.metric_source_list \gset
SET ROLE regress_model_mgr_ann;
SELECT count(model_mgr.add_metric_source('of ' || r, ('regress_source.' || r)::regclass)::text) FROM unnest(ARRAY['kept', 'days', 'domains', 'flags', 'large', 'nothing']) r \gset
CREATE TABLE regress_source.bobs (LIKE regress_source.refunds);
RESET ROLE;
ALTER TABLE regress_source.bobs OWNER TO regress_model_mgr_bob;
SET ROLE regress_model_mgr_bob;
GRANT SELECT ON regress_source.bobs TO regress_model_mgr_ann;
SET ROLE regress_model_mgr_ann;
SELECT model_mgr.add_metric_source('of bobs', 'regress_source.bobs') \gset
SELECT model_mgr.add_metric_source('of bobs too', 'regress_source.bobs') \gset
CALL model_mgr.work();
RESET ROLE;
SET ROLE regress_model_mgr_ann;
DROP MATERIALIZED VIEW regress_source.kept;
ALTER TABLE regress_source.days RENAME COLUMN value TO worth;
ALTER TABLE regress_source.domains ALTER COLUMN value TYPE text;
DROP VIEW regress_source.flags;
CREATE VIEW regress_source.flags AS SELECT "time", model_name, version, 0.25 AS value FROM regress_source."a view";
ALTER VIEW regress_source.large RENAME TO larger;
RESET ROLE;
SET ROLE regress_model_mgr_bob;
REVOKE SELECT ON regress_source.bobs FROM regress_model_mgr_ann;
RESET ROLE;
CALL model_mgr.work();
SELECT results_eq($$SELECT metric_name, disabled_reason, last_error, failures FROM model_mgr.metric_source_list ORDER BY metric_name COLLATE "C"$$, $$VALUES
    ('of bobs', NULL, 'permission denied for table bobs (SQLSTATE 42501)', 1), ('of bobs too', NULL, 'permission denied for table bobs (SQLSTATE 42501)', 1),
    ('of days', NULL, 'regress_source.days lacks columns of a metric source (SQLSTATE 42703)', 1),
    ('of domains', NULL, 'column "value" of regress_source.domains cannot be read by a metric source (SQLSTATE 22023)', 1),
    ('of flags', NULL, NULL, 0),
    ('of kept', 'regress_source.kept does not exist any more', 'regress_source.kept does not exist any more', 0),
    ('of large', 'regress_source.large is called regress_source.larger now', 'regress_source.large is called regress_source.larger now', 0),
    ('of nothing', NULL, NULL, 0)$$, 'what is wrong with each');
SELECT is((SELECT DISTINCT value FROM model_mgr.metric_sample WHERE metric_name = 'of flags' AND sampled_at > '2026-03-02 11:00:00+00'), 0.25::float8, 'made again by its own role: read on');
-- Anybody's relation of that name is not it.
DROP TABLE regress_source.bobs;
SET ROLE regress_model_mgr_ann;
CREATE TABLE regress_source.bobs (LIKE regress_source.refunds);
RESET ROLE;
ALTER TABLE regress_source.bobs OWNER TO regress_model_mgr_bob;
GRANT SELECT ON regress_source.bobs TO regress_model_mgr_ann;
SELECT is((SELECT array_agg(task ORDER BY task COLLATE "C") FROM model_mgr.work_tasks() task), '{"metric source of flags","metric source of nothing"}', 'what has failed is not due');
SELECT pg_temp.at('2026-03-02 12:01:00+00') \gset
CALL model_mgr.work();
SELECT is((SELECT disabled_reason FROM model_mgr.metric_source_list WHERE metric_name = 'of bobs'), 'regress_source.bobs does not exist any more', 'made again by somebody else: not read');
CREATE FUNCTION pg_temp.waits() RETURNS text LANGUAGE sql AS $$ SELECT failures || ' ' || extract(epoch FROM next_read_at - model_mgr.clock_time())::integer FROM model_mgr.metric_source_list WHERE metric_name = 'of days' $$;
SELECT is(pg_temp.waits(), '2 120', 'left for two minutes');
SELECT pg_temp.at('2026-03-02 12:02:59+00') \gset
CALL model_mgr.work();
SELECT is(pg_temp.waits(), '2 1', 'not read before');
SELECT pg_temp.at('2026-03-02 12:03:00+00') \gset
CALL model_mgr.work();
SELECT is(pg_temp.waits(), '3 240', 'then for four');
UPDATE model_mgr.metric_source SET failures = 40, next_read_at = added_at WHERE metric_name = 'of days';
CALL model_mgr.work();
SELECT is(pg_temp.waits(), '41 3600', 'at most for an hour');
ALTER TABLE regress_source.days RENAME COLUMN worth TO value;
SET ROLE regress_model_mgr_ann;
SELECT model_mgr.add_metric_source('of days', 'regress_source.days') \gset
ALTER VIEW regress_source.larger RENAME TO large;
SELECT model_mgr.add_metric_source('of large', 'regress_source.large') \gset
RESET ROLE;
SELECT is(pg_temp.waits(), '0 0', 'added again: read at once');
CALL model_mgr.work();
SELECT results_eq($$SELECT metric_name, disabled_reason, last_error, failures FROM model_mgr.metric_source_list WHERE metric_name IN ('of days', 'of large') ORDER BY 1$$,
    $$VALUES ('of days', NULL::text, NULL::text, 0), ('of large', NULL, NULL, 0)$$, 'and well again');

SELECT * FROM finish();
DROP TABLE fleeting;
REVOKE USAGE ON SCHEMA tap FROM PUBLIC;
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_source CASCADE;
DROP ROLE regress_model_mgr_ann, regress_model_mgr_bob, regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
