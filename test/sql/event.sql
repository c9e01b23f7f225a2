-- The outbox: what is written when, reading on from a cursor, and how long events are kept.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');

-- readable: events behind a cursor, once everything committed can be read: the server's own transactions (autovacuum)
-- may hold the newest back for a moment.
CREATE FUNCTION pg_temp.readable(after text DEFAULT '', max_rows integer DEFAULT 1000) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 18000 LOOP
        EXIT WHEN (SELECT count(*) FROM model_mgr.event) = (SELECT count(*) FROM model_mgr.events_since());
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN QUERY SELECT e.* FROM model_mgr.events_since(after, max_rows) e;
END $$;
-- news: what came since the last look, 'thing.happened version', in order.
CREATE TEMP TABLE place (cursor text);
INSERT INTO place VALUES ('');
CREATE FUNCTION pg_temp.news() RETURNS text LANGUAGE sql AS $$
    WITH e AS MATERIALIZED (SELECT e.* FROM place p, LATERAL pg_temp.readable(p.cursor)
            AS e (cursor text, event_id bigint, "time" timestamptz, type text, model_name text, version text, deployment_id bigint, data jsonb)),
        u AS (UPDATE place SET cursor = (SELECT e.cursor FROM e ORDER BY e.event_id DESC LIMIT 1) WHERE EXISTS (SELECT FROM e))
    SELECT string_agg(concat_ws(' ', e.type, e.version, e.data ->> 'after'), ', ' ORDER BY e.event_id) FROM e;
$$;
-- newest: the data of the last event of a type.
CREATE FUNCTION pg_temp.newest_data(wanted text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT e.data FROM model_mgr.event_list e WHERE e.type = wanted ORDER BY e.event_id DESC LIMIT 1;
$$;

-- Versions.
SELECT is(pg_temp.news(), NULL, 'nothing has happened');
SELECT pg_temp.make_model('spam', '1', '2', '3');
SELECT is(pg_temp.news(), 'version.created 1, version.created 2, version.created 3', 'versions are created');
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(pg_temp.newest_data('version.created')) k),
    '{artifact_digest,artifact_uri,configuration_digest,created_by,parent_version}', 'with what they are made of');
SELECT pg_temp.make_model('spam', '3');
SELECT is(pg_temp.news(), NULL, 'declared again: nothing');
SELECT (model_mgr.mark_version_ready('spam', '3')).status;
SELECT is(pg_temp.news(), 'version.status_changed 3 ready', 'a status changes');
SELECT is(pg_temp.newest_data('version.status_changed'), '{"before": "pending", "after": "ready", "reason": null}', 'from, to and why');
SELECT (model_mgr.mark_version_ready('spam', '3')).status;
SELECT is(pg_temp.news(), NULL, 'the same status again is no change');
SELECT (model_mgr.archive_model_version('spam', '3', 'too big')).status;
SELECT is(pg_temp.newest_data('version.status_changed') ->> 'reason', 'too big', 'the reason');
SELECT model_mgr.set_alias('spam', 'champion', '1');
SELECT model_mgr.set_alias('spam', 'champion', '1');
SELECT model_mgr.delete_alias('spam', 'champion');
SELECT model_mgr.delete_model_version('spam', '3');
SELECT is(pg_temp.news(), 'version.status_changed 3 archived, alias.set 1 1, alias.deleted 1, version.deleted 3', 'aliases and deletions');

-- Rollouts: a first one, a canary to its end, one that is paused, adjusted and aborted, a replacement, two rollbacks.
SELECT (model_mgr.deploy_model_version('spam', '1', deployed_by => 'ann')).status;
SELECT is(pg_temp.news(), 'deployment.started 1, version.status_changed 1 active, deployment.promoted 1, deployment.completed 1', 'a first deployment');
SELECT is(pg_temp.newest_data('deployment.started'),
    '{"strategy": "canary", "baseline_version": null, "traffic_percentage": 0, "deployed_by": "ann"}', 'data: started');
SELECT (model_mgr.deploy_model_version('spam', '1')).status;
SELECT is(pg_temp.news(), NULL, 'deployed again: nothing');
SELECT (model_mgr.deploy_model_version('spam', '2', rollout => '{"steps": [10, 50, 100], "min_requests": 10}')).status;
SELECT is(pg_temp.news(), 'deployment.started 2, version.status_changed 2 deploying, deployment.stepped 2', 'a canary begins');
SELECT is(pg_temp.newest_data('deployment.stepped'), '{"strategy": "canary", "baseline_version": "1", "traffic_percentage": 10,
    "step": 1, "steps": 3, "from_percentage": 0, "bake_until": null}', 'data: stepped');
SELECT is((SELECT array_agg(DISTINCT e.deployment_id) FROM model_mgr.event_list e WHERE e.version = '2' AND e.type LIKE 'deployment.%'),
    ARRAY[pg_temp.newest('spam')], 'events name their deployment');
SELECT pg_temp.outcomes('spam', '2', 20, 20);
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT pg_temp.tick();
SELECT is(pg_temp.news(), 'deployment.stepped 2', 'it steps');
SELECT (model_mgr.pause_deployment(pg_temp.newest('spam'), 'lunch')).status;
SELECT (model_mgr.pause_deployment(pg_temp.newest('spam'), 'lunch')).status;
SELECT (model_mgr.resume_deployment(pg_temp.newest('spam'))).status;
SELECT (model_mgr.adjust_deployment(pg_temp.newest('spam'), '{"bake_seconds": 60}', 'in a hurry')).status;
SELECT is(pg_temp.news(), 'deployment.paused 2, deployment.resumed 2, deployment.adjusted 2', 'paused once, resumed, adjusted');
SELECT is(pg_temp.newest_data('deployment.paused') ->> 'reason', 'lunch', 'data: paused');
SELECT (model_mgr.promote_deployment(pg_temp.newest('spam'))).status;
SELECT is(pg_temp.news(), 'version.status_changed 1 inactive, version.status_changed 2 active, deployment.promoted 2', 'promoted to 100 %');
SELECT is(pg_temp.newest_data('deployment.promoted'), '{"strategy": "canary", "baseline_version": "1", "traffic_percentage": 100,
    "step": 3, "steps": 3, "from_percentage": 50, "bake_until": "2026-01-01T00:11:00+00:00"}', 'data: promoted');
SELECT pg_temp.at('2026-01-01 00:11:00+00');
SELECT pg_temp.tick();
SELECT is(pg_temp.news(), 'deployment.completed 2', 'the bake is over');
SELECT is(pg_temp.newest_data('deployment.completed') ->> 'reason', 'the bake is over', 'data: completed');
SELECT model_mgr.rollback_model('spam', reason => 'second thoughts');
SELECT is(pg_temp.news(), 'version.status_changed 2 rolled_back, version.status_changed 1 active, deployment.rolled_back 2', 'taken back by hand');
SELECT is(pg_temp.newest_data('deployment.rolled_back'), '{"strategy": "canary", "baseline_version": "1", "traffic_percentage": 0,
    "from_percentage": 100, "reason": "second thoughts", "target_version": "1", "evidence": null, "automatic": false}', 'data: rolled_back');
SELECT model_mgr.rollback_model('spam');
SELECT is(pg_temp.news(), NULL, 'already there: nothing');
SELECT (model_mgr.deploy_model_version('spam', '2')).status;
SELECT (model_mgr.abort_deployment(pg_temp.newest('spam'), 'wrong one')).status;
SELECT is(pg_temp.news(), 'deployment.started 2, version.status_changed 2 deploying, deployment.stepped 2, version.status_changed 2 inactive, deployment.aborted 2', 'aborted');
SELECT is(pg_temp.newest_data('deployment.aborted') ->> 'reason', 'wrong one', 'data: aborted');
SELECT (model_mgr.deploy_model_version('spam', '2', 'replace')).status;
SELECT is(pg_temp.news(), 'deployment.started 2, version.status_changed 1 inactive, version.status_changed 2 active, deployment.promoted 2', 'replaced');
SELECT pg_temp.outcomes('spam', '2', 200, 20);
SELECT pg_temp.tick();
SELECT is(pg_temp.news(), 'version.status_changed 2 rolled_back, version.status_changed 1 active, deployment.rolled_back 2', 'taken back by a limit');
SELECT is((pg_temp.newest_data('deployment.rolled_back') -> 'automatic', pg_temp.newest_data('deployment.rolled_back') ->> 'target_version',
    pg_temp.newest_data('deployment.rolled_back') ->> 'reason'), ('true'::jsonb, '1'::text,
    'success rate 0.1 is below the minimum 0.95 over 200 outcomes in the last 10 minutes'::text), 'data: automatic');
SELECT is(pg_temp.newest_data('deployment.rolled_back') -> 'evidence', (SELECT e.evidence FROM model_mgr.explain_deployment(pg_temp.newest('spam')) e
    WHERE e.what LIKE 'automatically%'), 'the evidence is the diary''s');

-- The prefix belongs to the type, whoever writes it then; time is the extension's.
SET model_mgr.event_type_prefix = 'com.example.';
SELECT pg_temp.make_model('other', '1');
RESET model_mgr.event_type_prefix;
SELECT is(pg_temp.news(), 'com.example.version.created 1', 'the prefix');
SELECT is(pg_temp.code(format('SET model_mgr.event_type_prefix = %L', p)), '22023', 'no prefix: ' || left(regexp_replace(p, '[^ -~]', '?', 'g'), 10))
FROM unnest(ARRAY[E'a\nb', 'a b', 'grün.', repeat('x', 256)]) p;
SELECT is((SELECT e."time" FROM model_mgr.event_list e ORDER BY e.event_id DESC LIMIT 1), '2026-01-01 00:11:00+00', 'by the extension''s clock');

-- A dry run leaves no event, and nobody reads what is not committed: not even who wrote it.
BEGIN;
SELECT (model_mgr.mark_version_ready('other', '1')).status;
SELECT is((SELECT count(*) FROM model_mgr.events_since((SELECT cursor FROM place))), 0::bigint, 'one''s own event is not shown before it is committed');
ROLLBACK;
SELECT is(pg_temp.news(), NULL, 'undone: nothing happened');

-- Cursors.
CREATE TEMP VIEW everything AS SELECT e.* FROM pg_temp.readable('') AS e (cursor text, event_id bigint, "time" timestamptz, type text,
    model_name text, version text, deployment_id bigint, data jsonb);
CREATE TEMP TABLE page (n integer, event_id bigint);
DO $$
DECLARE
    place text := ''; n integer := 0; got integer;
BEGIN
    LOOP
        WITH e AS MATERIALIZED (SELECT * FROM model_mgr.events_since(place, 7)), i AS (INSERT INTO page SELECT n, e.event_id FROM e)
        SELECT count(*), coalesce((array_agg(e.cursor ORDER BY e.event_id DESC))[1], place) INTO got, place FROM e;
        EXIT WHEN got = 0;
        n := n + 1;
    END LOOP;
END $$;
SELECT results_eq('SELECT event_id FROM page ORDER BY event_id', 'SELECT event_id FROM model_mgr.event ORDER BY event_id', 'page by page: everything, once');
SELECT is((SELECT max(c) FROM (SELECT count(*) AS c FROM page GROUP BY n) p), 7::bigint, 'seven a page');
SELECT is((SELECT count(*) FROM model_mgr.events_since(NULL, NULL)), (SELECT count(*) FROM everything), 'NULL is the default');
SELECT results_eq('SELECT event_id, "time", type, model_name, version, deployment_id, data FROM everything ORDER BY event_id',
    'SELECT * FROM model_mgr.event_list ORDER BY event_id', 'event_list has the same columns and rows');
SELECT is(pg_temp.code(format('SELECT * FROM model_mgr.events_since(%L)', c)), '22P02', format('no cursor: %s', c))
FROM unnest(ARRAY['x', '1', '.', '1.', '.1', '1.x', '1.2.3', ' 1.2', '1.2 ', '-1.2', '1.-2', '99999999999999999999.1', '1.99999999999999999999', '+1.2']) c;
SELECT is(pg_temp.code($$SELECT * FROM model_mgr.events_since('9223372036854775807.1')$$), '22023', 'a cursor ahead of everything');
SELECT is(pg_temp.code(format('SELECT * FROM model_mgr.events_since(max_rows => %s)', n)), '22003', format('max_rows %s', n))
FROM unnest(ARRAY[0, -1, 1000001, 2147483647, -2147483648]) n;
SELECT is((SELECT count(*) FROM model_mgr.events_since(max_rows => 1000000)), (SELECT count(*) FROM everything), 'a million is allowed');
-- An earlier era, as after a restore: below everything that is written here, and readable at once.
SELECT is((SELECT event_id FROM model_mgr.events_since((SELECT max(cursor) FROM place), 1)), NULL, 'nothing new');
UPDATE model_mgr.rollup_state SET era = 3;
SELECT pg_temp.make_model('restored', '1');
SELECT is(pg_temp.news(), 'version.created 1', 'an old cursor stays good in a new era');
SELECT is((SELECT txn >> 48 FROM model_mgr.event ORDER BY event_id DESC LIMIT 1), 3::bigint, 'which the event belongs to');

-- Cheap: a page is a few rows of the index on (txn, event_id), however many events there are.
INSERT INTO model_mgr.event ("time", type, txn) SELECT '2026-01-01 00:00:00+00', 'filler', i FROM generate_series(1, 20000) i;
ANALYZE model_mgr.event;
CREATE FUNCTION pg_temp.blocks() RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_stat_get_xact_blocks_fetched('model_mgr.event'::regclass) + pg_stat_get_xact_blocks_fetched('model_mgr.event_txn_index'::regclass) $$;
DO $$
DECLARE
    before bigint;
BEGIN
    PERFORM count(*) FROM model_mgr.events_since('19000.0', 10);
    before := pg_temp.blocks();
    PERFORM count(*) FROM model_mgr.events_since('19000.0', 10);
    PERFORM set_config('tap.blocks', (pg_temp.blocks() - before)::text, false);
END $$;
SELECT cmp_ok(current_setting('tap.blocks')::bigint, '<', 20::bigint, 'ten events of twenty thousand: under twenty blocks');
DELETE FROM model_mgr.event WHERE type = 'filler';

-- Retention: maintain() forgets events older than retention_days, and nothing else.
INSERT INTO model_mgr.event ("time", type) VALUES (now() - interval '91 days', 'old'), (now() - interval '89 days', 'young');
SELECT pg_temp.at('');
SET model_mgr.retention_days = 90;
SELECT model_mgr.maintenance_run('prune events') >= 0;
SELECT is((SELECT array_agg(type ORDER BY type) FROM model_mgr.event_list WHERE type IN ('old', 'young')), '{young}', 'events past retention are gone');
SELECT ok('prune events' IN (SELECT * FROM model_mgr.maintenance_tasks()), 'by a task of maintain()');
-- A clock in the future deletes nothing.
SELECT pg_temp.at('2099-01-01 00:00:00+00');
SELECT model_mgr.maintenance_run('prune events') >= 0;
SELECT is((SELECT count(*) FROM model_mgr.event_list WHERE type = 'young'), 1::bigint, 'a clock in the future deletes nothing');

SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
