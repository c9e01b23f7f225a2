-- Reading names only the partitions where rows may be pending: nothing is missed, wherever rows come to and however the
-- partitions' indexes stand, and what was found out about a partition before does not hide what it has got since.
\i test/fresh.psql
\i test/rollout.psql
\i test/metric.psql
SELECT no_plan();
SET client_min_messages = error;
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
CALL model_mgr.maintain();
CREATE FUNCTION pg_temp.settle() RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.fold();
    SELECT count(brin_summarize_new_values(i.indexrelid)) FROM pg_partition_tree('model_mgr.observation') t JOIN pg_index i ON i.indrelid = t.relid
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam WHERE m.amname = 'brin' AND c.relkind = 'i';
$$;
-- Windows that begin today, yesterday, in the partitions before, and where the default begins.
CREATE FUNCTION pg_temp.differs() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(pg_temp.current_differs('m', '1', w), '' ORDER BY w) || pg_temp.trends_differ('m', '1', 24 * 7, 60) FROM unnest('{60, 1440, 5760, 10080}'::integer[]) w;
$$;
SELECT pg_temp.traffic(1, 900, '2026-01-14 12:00:00+00', '7 min');
SELECT pg_temp.traffic(1, 100, '2026-01-09 11:00:30+00', '11 min');
SELECT pg_temp.at('2026-01-14 12:00:00+00');
SELECT is(count(DISTINCT tableoid), 6::bigint, 'five days and the default') FROM model_mgr.observation;
SELECT is(pg_temp.differs(), '', 'pending in all of them');
SELECT pg_temp.settle();
SELECT is(pg_temp.differs(), '', 'folded and summarised');
SELECT is(pg_temp.differs(), '', 'once more: nothing has changed');

-- Late rows, partition by partition, with what is known of it known.
CREATE FUNCTION pg_temp.late() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    late timestamptz; done text := '';
BEGIN
    FOREACH late IN ARRAY '{2026-01-14 11:30:20+00, 2026-01-14 00:00:00+00, 2026-01-13 23:59:59.999999+00, 2026-01-12 05:00:01+00, 2026-01-10 00:00:00+00, 2026-01-09 10:00:00+00}'::timestamptz[] LOOP
        PERFORM pg_temp.traffic(1, 1, late, '1 s');
        done := done || pg_temp.differs();
        PERFORM pg_temp.fold();
        done := done || pg_temp.differs();
    END LOOP;
    RETURN NEXT is(done, '', 'a late row anywhere, pending and folded');
END $$;
SELECT pg_temp.late();
SELECT pg_temp.settle();
SELECT pg_temp.late();
-- Own rows, one statement after another, and undone.
BEGIN;
SELECT pg_temp.late();
SAVEPOINT s;
SELECT pg_temp.traffic(1, 50, '2026-01-11 12:00:00+00', '3 s');
SELECT is(pg_temp.differs(), '', 'own rows');
ROLLBACK TO s;
SELECT is(pg_temp.differs(), '', 'but for those undone');
ROLLBACK;
SELECT is(pg_temp.differs(), '', 'all undone');
-- Under an old snapshot, with a later fold.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT is(pg_temp.differs(), '', 'one snapshot');
SELECT pg_temp.traffic(1, 5, '2026-01-11 13:00:00+00', '3 s');
SELECT is(pg_temp.differs(), '', 'one snapshot, and own rows');
COMMIT;
SELECT is(pg_temp.differs(), '', 'committed');
SELECT pg_temp.settle();

-- Indexes and partitions that are not as they were made.
CREATE FUNCTION pg_temp.after(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    done text := pg_temp.differs();
BEGIN
    EXECUTE change;
    done := done || pg_temp.differs();
    PERFORM pg_temp.traffic(1, 3, '2026-01-12 16:00:30+00', '3 s');
    done := done || pg_temp.differs();
    PERFORM pg_temp.fold();
    done := done || pg_temp.differs();
    PERFORM pg_temp.traffic(1, 2, '2026-01-12 17:00:30+00', '3 s');
    done := done || pg_temp.differs();
    PERFORM pg_temp.settle();
    RETURN NEXT is(done || pg_temp.differs(), '', change);
END $$;
SELECT pg_temp.after('REINDEX INDEX model_mgr.observation_20260112_txn_index');
SELECT pg_temp.after($$SELECT brin_desummarize_range('model_mgr.observation_20260112_txn_index', 0)$$);
SELECT pg_temp.after('ALTER TABLE model_mgr.observation_20260112 SET UNLOGGED');
SELECT pg_temp.after('ALTER TABLE model_mgr.observation_20260112 SET LOGGED');
SELECT pg_temp.after('DROP INDEX model_mgr.observation_20260112_txn_index');
SELECT pg_temp.after('CREATE INDEX observation_20260112_odd_index ON model_mgr.observation_20260112 USING brin (txn) WHERE version_id = 2');
SELECT pg_temp.after('DROP INDEX model_mgr.observation_20260112_odd_index');
SELECT pg_temp.after('CREATE INDEX observation_20260112_odd_index ON model_mgr.observation_20260112 USING brin (txn int8_bloom_ops)');
SELECT pg_temp.after('DROP INDEX model_mgr.observation_20260112_odd_index');
SELECT pg_temp.after('CREATE INDEX observation_20260112_txn_index ON model_mgr.observation_20260112 USING brin (txn int8_minmax_multi_ops)');
-- A partition that somebody fills before it is attached, and one that is emptied.
CREATE TABLE public.observation_filled (LIKE model_mgr.observation INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO public.observation_filled (recorded_at, version_id, success, response_time) SELECT '2026-01-07 13:00:00+00'::timestamptz + i * interval '1 min', 1, true, 2 FROM generate_series(1, 100) i;
ALTER TABLE model_mgr.observation ATTACH PARTITION public.observation_filled FOR VALUES FROM ('2026-01-07 00:00:00+00') TO ('2026-01-08 00:00:00+00');
SELECT is(pg_temp.differs(), '', 'attached, with pending rows and without an index');
SELECT pg_temp.settle();
SELECT is(pg_temp.differs(), '', 'and folded');
-- The clock goes on over midnight: yesterday's rows are pending still.
SELECT pg_temp.at('2026-01-14 23:59:58+00');
SELECT pg_temp.traffic(1, 300, '2026-01-14 23:59:59+00', '5 s');
SELECT is(pg_temp.differs(), '', 'before midnight');
SELECT pg_temp.at('2026-01-15 00:00:02+00');
SELECT is(pg_temp.differs(), '', 'after midnight');
SELECT pg_temp.traffic(1, 30, '2026-01-15 00:00:01.5+00', '100 ms');
SELECT is(pg_temp.differs(), '', 'rows on both sides of it');
SELECT pg_temp.settle();
SELECT is(pg_temp.differs(), '', 'folded');
-- Looking back from a clock that stands far behind what is recorded.
SELECT pg_temp.at('2026-01-12 12:34:56.789+00');
SELECT pg_temp.traffic(1, 30, '2026-01-11 00:00:01.5+00', '1 s');
SELECT is(pg_temp.differs(), '', 'the past');
SELECT * FROM finish();
DROP TABLE public.observation_filled;
DROP EXTENSION model_mgr CASCADE;
