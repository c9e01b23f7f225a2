-- The life of a version: which status may follow which, archiving and reviving, and deletion of what never served.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(87);

-- One model a status; its version 2 is put into that status by hand (the table lets its owner), version 1 serves.
CREATE TEMP TABLE life (status text, ready boolean, archive boolean, canary boolean, replace boolean);
INSERT INTO life VALUES
    ('pending', true, true, true, true), ('validating', true, false, true, true), ('ready', true, true, true, true), ('deploying', false, false, NULL, NULL),
    ('active', false, false, NULL, NULL), ('inactive', true, true, true, true), ('rolled_back', true, true, true, true), ('failed', true, true, true, true),
    ('archived', true, true, false, false);
CREATE FUNCTION pg_temp.make(model text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_model_version(model, v, '{"provider": "p", "model_name": "m"}') FROM unnest(ARRAY['1', '2']) v;
    PERFORM deploy_model_version(model, '1');
END $$;
CREATE FUNCTION pg_temp.put(model text, wanted text) RETURNS void LANGUAGE sql AS $$
    UPDATE model_version SET status = wanted WHERE model_name = model AND version = '2' $$;
SELECT count(*) FROM life, LATERAL (SELECT pg_temp.make(status)) a, LATERAL (SELECT pg_temp.put(status, status)) b;
-- goes: what a statement makes of the version's status, or the refusal; undone afterwards.
CREATE FUNCTION pg_temp.goes(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    BEGIN
        EXECUTE statement;
        SELECT v.status INTO result FROM model_version v WHERE v.model_name = substring(statement FROM $s$\('(\w+)'$s$) AND v.version = '2';
        RAISE EXCEPTION 'undo' USING errcode = 'YY000';
    EXCEPTION WHEN sqlstate 'YY000' THEN NULL;
    END;
    RETURN result;
END $$;
SELECT CASE WHEN ready THEN is(pg_temp.goes(format('SELECT mark_version_ready(%L, ''2'')', status)), 'ready', status || ' -> ready')
    ELSE pg_temp.refused('55000', 'version "2" of model "' || status || '" is ' || status || ' and cannot become ready.*From ' || status || ' a version may become', format('SELECT mark_version_ready(%L, ''2'')', status)) END FROM life;
SELECT CASE WHEN archive THEN is(pg_temp.goes(format('SELECT archive_model_version(%L, ''2'')', status)), 'archived', status || ' -> archived')
    ELSE pg_temp.refused('55000', 'is ' || status || ' and cannot become archived', format('SELECT archive_model_version(%L, ''2'')', status)) END FROM life;
SELECT CASE WHEN canary THEN is(pg_temp.goes(format('SELECT deploy_model_version(%L, ''2'', ''canary'')', status)), 'deploying', status || ' -> deploying')
    ELSE pg_temp.refused('55000', 'archived', format('SELECT deploy_model_version(%L, ''2'', ''canary'')', status)) END FROM life WHERE canary IS NOT NULL;
SELECT CASE WHEN replace THEN is(pg_temp.goes(format('SELECT deploy_model_version(%L, ''2'', ''replace'')', status)), 'active', status || ' -> active')
    ELSE pg_temp.refused('55000', 'archived', format('SELECT deploy_model_version(%L, ''2'', ''replace'')', status)) END FROM life WHERE replace IS NOT NULL;

-- A real life.
SELECT pg_temp.make('m');
CREATE FUNCTION pg_temp.statuses() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(version || ' ' || status, ', ' ORDER BY version) FROM list_model_versions('m') $$;
SELECT is(pg_temp.statuses(), '1 active, 2 pending', 'the first deployment is active at once');
SELECT deployment_id AS id FROM deploy_model_version('m', '2', 'canary') \gset
SELECT is(pg_temp.statuses(), '1 active, 2 deploying', 'a canary deploys while the baseline is active');
SELECT results_eq($$SELECT version FROM get_active_model('m')$$, $$VALUES ('1')$$, 'get_active_model is the baseline');
SELECT pg_temp.refused('55000', 'deploying and cannot become archived', $$SELECT archive_model_version('m', '2')$$);
SELECT status FROM abort_deployment(:id) \gset
SELECT is(pg_temp.statuses(), '1 active, 2 inactive', 'aborted: inactive');
SELECT deployment_id AS id FROM deploy_model_version('m', '2', 'canary') \gset
SELECT rollback_model('m', reason => 'wrong') \gset
SELECT is(pg_temp.statuses(), '1 active, 2 rolled_back', 'taken back: rolled_back');
SELECT matches((SELECT status_reason FROM get_model_version('m', '2')), 'wrong', 'with the reason');
SELECT deployment_id AS id FROM deploy_model_version('m', '2', 'replace') \gset
SELECT is(pg_temp.statuses(), '1 inactive, 2 active', 'replaced: the baseline is inactive');
SELECT pg_temp.refused('55000', 'in use.*deployment \d+ is promoting', $$SELECT archive_model_version('m', '1')$$);
SELECT pg_temp.refused('55000', 'deployment \d+ is promoting', $$SELECT archive_model_version('m', '2')$$);
SELECT rollback_model('m', reason => 'test') \gset
SELECT is(pg_temp.statuses(), '1 active, 2 rolled_back', 'and returns');

-- Archiving and reviving.
SELECT results_eq($$SELECT status, status_reason FROM archive_model_version('m', '2', 'too old')$$, $$VALUES ('archived', 'too old')$$, 'archived, with the reason');
SELECT results_eq($$SELECT operation, details FROM audit_log ORDER BY audit_id DESC LIMIT 1$$,
    $$VALUES ('archive', '{"before": "rolled_back", "after": "archived", "reason": "too old"}'::jsonb)$$, 'audited');
SELECT count(*) AS before FROM audit_log \gset
SELECT results_eq($$SELECT status, status_reason FROM archive_model_version('m', '2', 'again')$$, $$VALUES ('archived', 'too old')$$, 'a repeat changes nothing');
SELECT is((SELECT count(*) FROM audit_log), :before::bigint, 'and is not audited');
SELECT pg_temp.refused('55000', 'archived', $$SELECT deploy_model_version('m', '2')$$);
SELECT results_eq($$SELECT status, status_reason FROM mark_version_ready('m', '2')$$, $$VALUES ('ready', NULL::text)$$, 'revived, the reason is gone');
SELECT results_eq($$SELECT operation, details FROM audit_log ORDER BY audit_id DESC LIMIT 1$$, $$VALUES ('ready', '{"before": "archived", "after": "ready", "reason": null}'::jsonb)$$, 'audited');
SELECT results_eq($$SELECT status, status_reason FROM archive_model_version('m', '2', NULL)$$, $$VALUES ('archived', NULL::text)$$, 'reason NULL is none');
SELECT version FROM mark_version_ready('m', '2') \gset
SELECT pin_unit('m', 'unit', '2') \gset
SELECT pg_temp.refused('55000', 'units are pinned to it.*unpin_unit', $$SELECT archive_model_version('m', '2')$$);
SELECT unpin_unit('m', 'unit') \gset
SELECT set_segment('m', 'de', '{"country": "DE"}', '2') \gset
SELECT pg_temp.refused('55000', 'segment "de".*drop_segment', $$SELECT archive_model_version('m', '2')$$);
SELECT drop_segment('m', 'de') \gset

-- Retiring a model: the active version goes last, and then nobody is served.
SELECT pg_temp.refused('55000', 'active and cannot become archived.*among them "2".*archive the others', $$SELECT archive_model_version('m', '1')$$);
SELECT status FROM archive_model_version('m', '2') \gset
SELECT is((SELECT status FROM archive_model_version('m', '1', 'the end')), 'archived', 'the last one, when all others are');
SELECT is_empty($$SELECT 1 FROM get_active_model('m')$$, 'no active version');
SELECT results_eq($$SELECT value, reason FROM route('m', 'u')$$, $$VALUES (NULL::text, 'DISABLED')$$, 'route() serves nobody');
SELECT results_eq($$SELECT status FROM mark_version_ready('m', '1')$$, $$VALUES ('ready')$$, 'it can be revived');
SELECT is((SELECT status FROM deploy_model_version('m', '1')), 'completed', 'and deployed, as a first version');
SELECT results_eq($$SELECT value FROM route('m', 'u')$$, $$VALUES ('1')$$, 'and serves again');
SELECT status FROM archive_model_version('m', '1') \gset

-- Deleting versions: only what never served.
SELECT count(*) FROM unnest(ARRAY['never', 'alias', 'base', 'first', 'pinned', 'segment', 'canary']) v, create_model_version('d', v, '{"provider": "p", "model_name": "m"}') \gset
SELECT version FROM create_model_version('d', 'child', '{"provider": "p", "model_name": "m"}', parent_version => 'base') \gset
SELECT set_alias('d', 'a', 'alias') \gset
SELECT version FROM deploy_model_version('d', 'first') \gset
SELECT pin_unit('d', 'u', 'pinned') \gset
SELECT unpin_unit('d', 'u') \gset
SELECT set_segment('d', 's', '{"k": 1}', 'segment') \gset
SELECT drop_segment('d', 's') \gset
SELECT deployment_id AS id FROM deploy_model_version('d', 'canary') \gset
SELECT pg_temp.refused('55006', 'It is ' || was || '; ' || why || '.*archive_model_version', format('SELECT delete_model_version(''d'', %L)', version))
FROM (VALUES ('first', 'active', 'it was deployed'), ('canary', 'deploying', 'it was deployed'), ('pinned', 'pending', 'units were pinned to it'), ('segment', 'pending', 'a segment was sent to it')) s (version, was, why);
SELECT status FROM abort_deployment(:id) \gset
SELECT pg_temp.refused('55006', 'It is inactive; it was deployed', $$SELECT delete_model_version('d', 'canary')$$);
SELECT pg_temp.refused('55006', 'version "child" has it as its parent', $$SELECT delete_model_version('d', 'base')$$);
SELECT pg_temp.refused('55006', 'alias "a" names it', $$SELECT delete_model_version('d', '@a')$$);
SELECT version_id AS never_id FROM get_model_version('d', 'never') \gset
INSERT INTO observation (version_id, success) VALUES (:never_id, true);
SELECT ok(delete_model_version('d', 'never'), 'what never served goes');
SELECT ok(NOT delete_model_version('d', 'never'), 'and is gone: false');
SELECT is((SELECT count(*) FROM observation WHERE version_id = :never_id), 1::bigint, 'outcomes that were recorded for it stay');
SELECT results_eq($$SELECT operation, version, details ->> 'status', details -> 'configuration' FROM audit_log ORDER BY audit_id DESC LIMIT 1$$,
    $$VALUES ('delete', 'never', 'pending', '{"provider": "p", "model_name": "m"}'::jsonb)$$, 'the audit log keeps what it was');
SELECT is((SELECT count(*) FROM create_model_version('d', 'never', '{"provider": "p", "model_name": "another"}')), 1::bigint, 'its name is free again');
SELECT ok(delete_model_version('d', v), v || ' goes') FROM unnest(ARRAY['child', 'base']) v;
SELECT pg_temp.refused('42704', 'model', $$SELECT delete_model_version('none', '1')$$);
SELECT pg_temp.refused('22004', 'version', $$SELECT delete_model_version('d', NULL)$$);
SELECT pg_temp.refused('22004', 'model_name', $$SELECT delete_model_version(NULL, '1')$$);

-- Deleting models: archived as a whole, or never served.
SELECT pg_temp.refused('55006', 'model "d" has served.*version "first" is active.*Archive every version', $$SELECT delete_model('d')$$);
SELECT ok(delete_model('m'), 'a model that is archived as a whole goes');
SELECT is_empty($$SELECT 'version' FROM model_version WHERE model_name = 'm' UNION ALL SELECT 'model' FROM model WHERE model_name = 'm'
    UNION ALL SELECT 'routing' FROM routing WHERE model_name = 'm' UNION ALL SELECT 'deployment' FROM deployment WHERE model_name = 'm'
    UNION ALL SELECT 'history' FROM routing_history h WHERE h.model_id NOT IN (SELECT model_id FROM model)
    UNION ALL SELECT 'plan' FROM deployment_plan h WHERE h.model_id NOT IN (SELECT model_id FROM model)
    UNION ALL SELECT 'judged' FROM deployment_judged h WHERE h.deployment_id NOT IN (SELECT deployment_id FROM deployment_plan)$$, 'with everything that hung on it');
SELECT results_eq($$SELECT value, error_code FROM route('m', 'u')$$, $$VALUES (NULL::text, 'FLAG_NOT_FOUND')$$, 'route() knows it no more');
SELECT results_eq($$SELECT operation, details -> 'versions' FROM audit_log ORDER BY audit_id DESC LIMIT 1$$, $$VALUES ('delete_model', '["1", "2"]'::jsonb)$$, 'audited');
SELECT ok(NOT delete_model('m'), 'it is gone: false');
SELECT version FROM create_model_version('new', '1', '{"provider": "p", "model_name": "m"}') \gset
SELECT set_alias('new', 'a', '1') \gset
SELECT ok(delete_model('new'), 'a model that never served goes, aliases and all');
SELECT pg_temp.make('m');
SELECT is(pg_temp.statuses(), '1 active, 2 pending', 'the name is free for a new model, which knows nothing of the old one');
SELECT is((SELECT count(*) FROM list_deployments('m')), 1::bigint, 'nor of its deployments');
SELECT pg_temp.refused('22004', 'model_name', $$SELECT delete_model(NULL)$$);

SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
