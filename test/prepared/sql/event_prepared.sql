-- With prepared transactions allowed: a tick in a transaction block sends no NOTIFY, since what has sent one cannot be
-- prepared; the next tick by itself does.
\i test/fresh.psql
\i test/rollout.psql
SELECT plan(6);
SELECT pg_temp.make_model('m', '1') \gset made_
BEGIN;
SELECT items AS told FROM model_mgr.tick() WHERE task = 'events' \gset
PREPARE TRANSACTION 'model_mgr_regress';
SELECT is(:told, 0, 'in a transaction block: none');
SELECT is((SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'model_mgr_regress'), 1::bigint, 'it can be prepared');
-- An event of a transaction that stays prepared is not read, nor what is written behind it.
SELECT (model_mgr.mark_version_ready('m', '1')).status \gset
SELECT is((SELECT count(*) FROM model_mgr.events_since() WHERE type = 'version.status_changed'), 0::bigint, 'a prepared transaction holds later events back');
ROLLBACK PREPARED 'model_mgr_regress';
SELECT is((SELECT count(*) FROM model_mgr.events_since() WHERE type = 'version.status_changed'), 1::bigint, 'until it ends');
SELECT items AS told FROM model_mgr.tick() WHERE task = 'events' \gset
SELECT is(:told, 2, 'a tick by itself tells of them');
BEGIN;
SELECT (model_mgr.mark_version_ready('m', '1')).status \gset
SELECT (model_mgr.archive_model_version('m', '1')).status \gset
PREPARE TRANSACTION 'model_mgr_regress';
COMMIT PREPARED 'model_mgr_regress';
SELECT is((SELECT count(*) FROM model_mgr.event), 3::bigint, 'what writes events can be prepared');
SELECT finish();
DROP EXTENSION model_mgr CASCADE;
