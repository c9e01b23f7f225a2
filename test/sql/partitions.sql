-- maintain(): partitions by day ahead of time, retention, the default partition as a safety net. Nothing is lost, and
-- what is not in the rollups is not dropped.
\i test/fresh.psql
\i test/midnight.psql
\i test/rollout.psql
SELECT no_plan();
CREATE FUNCTION pg_temp.day(n integer) RETURNS timestamptz LANGUAGE sql AS $$ SELECT date_trunc('day', now()) + make_interval(days => n) $$;
CREATE FUNCTION pg_temp.name(n integer) RETURNS text LANGUAGE sql AS $$ SELECT 'observation_' || to_char(pg_temp.day(n), 'YYYYMMDD') $$;
CREATE VIEW pg_temp.part AS
SELECT c.oid, c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound, c.relowner FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'model_mgr.observation'::regclass AND c.relname <> 'observation_default';
-- Where the rows lie, by day from today.
CREATE VIEW pg_temp.lies AS
SELECT tableoid::regclass::text = 'model_mgr.observation_default' AS in_default, date_trunc('day', recorded_at)::date - now()::date AS day, count(*) FROM model_mgr.observation GROUP BY 1, 2;
SELECT pg_temp.make_model('m', '1', '2');
SELECT model_mgr.deploy_model_version('m', '1') \gset d1_

-- After CREATE EXTENSION the default takes everything.
SELECT is((SELECT count(*) FROM pg_temp.part), 0::bigint, 'no partition yet');
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time) SELECT pg_temp.day(d) + make_interval(hours => h), 1, true, 0.5
FROM generate_series(-3, 0) d, generate_series(0, 0) h;
INSERT INTO model_mgr.observation (recorded_at, version_id) SELECT pg_temp.day(-95), 1 FROM generate_series(1, 5);
SELECT is(sum(requests), 9::numeric, 'all counted') FROM model_mgr.rollup_now;
BEGIN;
CREATE FUNCTION pg_temp.inside() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    CALL model_mgr.maintain();
    RETURN 'ran';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.inside(), '2D000', 'not inside a transaction');
ROLLBACK;
CALL model_mgr.maintain();
SELECT is(array_agg(relname::text ORDER BY relname), ARRAY[pg_temp.name(-3), pg_temp.name(-2), pg_temp.name(-1), pg_temp.name(1), pg_temp.name(2), pg_temp.name(3), pg_temp.name(4), pg_temp.name(5), pg_temp.name(6), pg_temp.name(7)],
    'days that are over are moved out of the default, the coming week is ready') FROM pg_temp.part;
SELECT results_eq('SELECT in_default, day, count FROM pg_temp.lies ORDER BY day', $$VALUES (false, -3, 1::bigint), (false, -2, 1), (false, -1, 1), (true, 0, 1)$$, 'rows lie in their days; what is past retention is gone');
SELECT is(sum(requests), 4::numeric, 'minutes past retention too') FROM model_mgr.rollup_now;
SELECT is((SELECT count(*) FROM pg_temp.part p WHERE p.bound <> format('FOR VALUES FROM (''%s'') TO (''%s'')',
    to_char(to_date(right(p.relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD 00:00:00+00'), to_char(to_date(right(p.relname, 8), 'YYYYMMDD') + 1, 'YYYY-MM-DD 00:00:00+00'))), 0::bigint, 'days are those of UTC');
SELECT is((SELECT count(*) FROM pg_temp.part p WHERE p.relowner <> (SELECT extowner FROM pg_extension WHERE extname = 'model_mgr')), 0::bigint, 'they belong to the owner');
SELECT is((SELECT count(*) FROM pg_temp.part p JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0
    WHERE col_description(p.oid, a.attnum) IS DISTINCT FROM col_description('model_mgr.observation'::regclass, a.attnum)), 0::bigint, 'their columns mean what the table''s do');
SELECT is((SELECT count(*) FROM pg_depend d JOIN pg_temp.part p ON d.objid = p.oid AND d.classid = 'pg_class'::regclass WHERE d.deptype = 'e'), 0::bigint, 'and are no members of the extension: a dump takes them whole');
SELECT is((SELECT count(*) FROM pg_temp.part p WHERE (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = p.oid AND a.amname = 'brin') <> 2), 0::bigint, 'two block-range indexes each');
SELECT is((SELECT count(*) FROM pg_temp.part p WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = p.oid AND t.tgname = 'observation_enforcement' AND t.tgdeferrable AND t.tginitdeferred)), 0::bigint, 'and the enforcement trigger');
CALL model_mgr.maintain();
SELECT is((SELECT count(*) FROM pg_temp.part), 10::bigint, 'again changes nothing');

-- A recording finds a partition made since the session's last one, and one that is gone.
SELECT model_mgr.update_model_metrics('m', '1', 1, recorded_at => pg_temp.day(1) - interval '1 microsecond');
INSERT INTO model_mgr.observation (recorded_at, version_id) VALUES (pg_temp.day(1), 1);
SELECT is(tableoid::regclass::text, 'model_mgr.' || pg_temp.name(1), 'tomorrow''s rows lie in tomorrow''s partition') FROM model_mgr.observation WHERE recorded_at = pg_temp.day(1);
SELECT model_mgr.update_model_metrics('m', '1', 1, recorded_at => pg_temp.day(-2) + interval '2 hours');
SELECT is(tableoid::regclass::text, 'model_mgr.' || pg_temp.name(-2), 'a late recording finds its day') FROM model_mgr.observation WHERE recorded_at = pg_temp.day(-2) + interval '2 hours';
SELECT format('DROP TABLE model_mgr.%I', pg_temp.name(-2)) \gexec
SELECT model_mgr.update_model_metrics('m', '1', 1, recorded_at => pg_temp.day(-2) + interval '3 hours');
SELECT is(tableoid::regclass::text, 'model_mgr.observation_default', 'a day whose partition is gone goes to the default') FROM model_mgr.observation WHERE recorded_at = pg_temp.day(-2) + interval '3 hours';

-- Retention. Rows of transactions that are not folded keep their partition.
SET model_mgr.retention_days = 1;
CREATE TEMP TABLE before AS SELECT sum(requests) AS requests FROM model_mgr.rollup_now;
UPDATE model_mgr.rollup_state SET in_progress = in_progress || (SELECT array_agg(txn) FROM model_mgr.observation WHERE recorded_at < pg_temp.day(-2));
SELECT format($$SELECT model_mgr.maintenance_run('drop %s')$$, pg_temp.name(-3)) AS drop_task \gset
SELECT is(pg_temp.code(:'drop_task'), '55006', 'a partition with rows that wait is not dropped');
SELECT ok(EXISTS (SELECT FROM pg_temp.part WHERE relname = pg_temp.name(-3)), 'it is there');
UPDATE model_mgr.rollup_state SET in_progress = '{}';
CALL model_mgr.maintain();
SELECT ok(NOT EXISTS (SELECT FROM pg_temp.part WHERE relname = pg_temp.name(-3)), 'folded, it is dropped');
SELECT is(min(day), -1, 'no row past retention is left') FROM pg_temp.lies;
-- A clock set into the future deletes nothing.
SELECT pg_temp.at((now() + interval '400 days')::text);
CALL model_mgr.maintain();
SELECT is(min(day), -1, 'a clock set ahead deletes nothing') FROM pg_temp.lies;
SELECT pg_temp.at('');
RESET model_mgr.retention_days;

SELECT pg_temp.code($$SELECT model_mgr.maintenance_run('nonsense')$$) AS nonsense, pg_temp.code($$SELECT model_mgr.maintenance_run('create nonsense')$$) AS create_nonsense,
    pg_temp.code($$SELECT model_mgr.maintenance_run(NULL)$$) AS nothing \gset
SELECT is(ARRAY[:'nonsense', :'create_nonsense', :'nothing'], ARRAY['22023', '22023', '22004'], 'tasks are those of the list');
SELECT is(model_mgr.maintenance_run('drop observation_default'), 0::bigint, 'the default is never dropped');
-- A partition of the user's own, wider than a day, is left in peace.
SELECT format($$CREATE TABLE public.own PARTITION OF model_mgr.observation FOR VALUES FROM ('%s') TO ('%s')$$, pg_temp.day(12), pg_temp.day(40)) \gexec
SELECT pg_temp.at((now() + interval '10 days')::text);
CALL model_mgr.maintain();
SELECT ok(EXISTS (SELECT FROM pg_temp.part WHERE relname = pg_temp.name(11)) AND NOT EXISTS (SELECT FROM pg_temp.part WHERE relname = pg_temp.name(12)), 'no partition where one is');
SELECT pg_temp.at('');
-- A large default partition: attaching must not read it under its lock. The days from the day after tomorrow on are made
-- behind a fence, which is gone afterwards; what is between goes to the default and is moved later.
SELECT format('DROP TABLE model_mgr.%I', relname) FROM pg_temp.part WHERE relname ~ '^observation_' \gexec
INSERT INTO model_mgr.observation (recorded_at, version_id) SELECT now() - i % 2 * interval '1 day', 1 FROM generate_series(1, 500000) i;
SELECT ok(pg_relation_size('model_mgr.observation_default') > 32 * 1024 * 1024, 'a large default partition');
SELECT is(array_agg(regexp_replace(t, '^(prune minutes).*', '\1') ORDER BY n), ARRAY['fold', 'hours', 'prune default', 'raise fence ' || pg_temp.name(2), 'check fence', 'create ' || pg_temp.name(2), 'create ' || pg_temp.name(3),
    'create ' || pg_temp.name(4), 'create ' || pg_temp.name(5), 'create ' || pg_temp.name(6), 'create ' || pg_temp.name(7), 'lower fence', 'give up minutes', 'prune minutes', 'prune hours', 'prune events', 'prune alerts', 'summarize'], 'the tasks')
FROM model_mgr.maintenance_tasks() WITH ORDINALITY t (t, n);
SELECT model_mgr.maintenance_run('raise fence ' || pg_temp.name(2)) AS raised, model_mgr.maintenance_run('check fence') AS checked \gset
BEGIN;
SELECT pg_stat_get_xact_numscans('model_mgr.observation_default'::regclass) AS scans \gset
SELECT model_mgr.maintenance_run('create ' || pg_temp.name(2)) AS created \gset
SELECT is(pg_stat_get_xact_numscans('model_mgr.observation_default'::regclass), :scans::bigint, 'attached without reading the default');
COMMIT;
SELECT ok(EXISTS (SELECT FROM pg_constraint WHERE conname = 'observation_default_fence' AND convalidated), 'interrupted: the fence stands');
CALL model_mgr.maintain();
SELECT is(array_agg(relname::text ORDER BY relname), ARRAY[pg_temp.name(2), pg_temp.name(3), pg_temp.name(4), pg_temp.name(5), pg_temp.name(6), pg_temp.name(7)], 'made behind the fence')
FROM pg_temp.part WHERE relname ~ '^observation_';
SELECT ok(NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'observation_default_fence'), 'which is gone');
SELECT lives_ok(format($$INSERT INTO model_mgr.observation (recorded_at, version_id) VALUES (%L, 1), (%L, 1)$$, pg_temp.day(1), pg_temp.day(8)), 'the default takes everything again');
-- Whatever the session's isolation level is, what is committed is folded.
SELECT cmp_ok((SELECT count(*) FROM model_mgr.rollup_tail), '>', 0::bigint, 'something waits');
SET default_transaction_isolation = 'serializable';
CALL model_mgr.maintain();
RESET default_transaction_isolation;
SELECT is((SELECT count(*) FROM model_mgr.rollup_tail), 0::bigint, 'maintain() folds it where transactions are SERIALIZABLE');
-- Everything goes with the extension.
DROP VIEW pg_temp.part, pg_temp.lies;
DROP EXTENSION model_mgr;
SELECT is(to_regclass('public.own'), NULL, 'DROP EXTENSION takes the partitions along');
SELECT finish();
