-- model_mgr.clock holds time still for every function of the extension, in parallel workers too, and not for the audit
-- log; its value is any timestamptz text and is kept as digits in UTC.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT plan(24);

SELECT cmp_ok(abs(extract(epoch FROM clock_time() - clock_timestamp())), '<', 60::numeric, 'without it, the real time');
CREATE FUNCTION pg_temp.kept(value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('model_mgr.clock', value, true);
    RETURN current_setting('model_mgr.clock');
END $$;
SET TimeZone = 'Asia/Tokyo';
SELECT is(pg_temp.kept(value), kept, coalesce(nullif(value, ''), 'empty'))
FROM (VALUES ('2026-03-01 12:00:00+00', '2026-03-01 12:00:00+00'), ('2026-03-01 12:00:00', '2026-03-01 03:00:00+00'), ('2026-03-01', '2026-02-28 15:00:00+00'),
    ('2026-03-01 12:00:00.25 UTC', '2026-03-01 12:00:00.25+00'), ('Sun Mar 01 12:00:00 2026 PST', '2026-03-01 20:00:00+00'),
    ('2026-07-01 12:00 Europe/Berlin', '2026-07-01 10:00:00+00'), ('20260301T120000Z', '2026-03-01 12:00:00+00'), ('0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00'),
    ('', '')) x (value, kept);
SELECT throws_ok(format('SET model_mgr.clock = %L', value), '22023', NULL, 'refused: ' || value)
FROM unnest(ARRAY['soon', 'now', 'today', 'Tomorrow 12:00', 'infinity', '-infinity', '44-03-15 BC', '2026-02-30', '12:00']) value;

-- Workers agree with the leader, whatever the time zone, and survive a value that names one.
CREATE TABLE big AS SELECT i FROM generate_series(1, 20000) i;
ANALYZE big;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET model_mgr.clock = 'Sun Mar 01 12:00:00 2026 PST';
SELECT set_eq('SELECT DISTINCT clock_time() + (i * 0) * interval ''1 s'' FROM big', ARRAY['2026-03-01 20:00:00+00'::timestamptz], 'a zone by its abbreviation');
SET model_mgr.clock = '2026-03-01 12:00:00';
SELECT set_eq('SELECT DISTINCT clock_time() + (i * 0) * interval ''1 s'' FROM big', ARRAY['2026-03-01 03:00:00+00'::timestamptz], 'no zone: the session''s');
SELECT is((SELECT count(*) FROM big WHERE clock_time() <> '2026-03-01 03:00:00+00'::timestamptz), 0::bigint, 'every row');

SELECT is((SELECT created_at FROM create_model_version('m', '1', '{"provider": "p", "model_name": "x"}')), '2026-03-01 03:00:00+00'::timestamptz, 'rows have its time');
SELECT cmp_ok((SELECT max(logged_at) FROM audit_log), '>', clock_timestamp() - interval '1 minute', 'the audit log has the real one');
SELECT * FROM finish();
SET client_min_messages = error;
DROP TABLE big;
DROP EXTENSION model_mgr CASCADE;
