-- export_registry() and import_registry(): the same document again from an empty registry, routing as it was, and into one
-- that is not empty all or nothing.
\i test/fresh.psql
\i test/refused.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT no_plan();
SET model_mgr.clock = '2026-03-01 12:00:00+00';
DO $$ BEGIN CREATE ROLE regress_model_mgr_board; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE regress_model_mgr_mary; EXCEPTION WHEN duplicate_object THEN NULL; END $$;

SELECT is(export_registry(), '{"format": 1, "models": []}', 'an empty registry is an empty list');
SELECT is(export_registry('nobody'), NULL, 'an unknown model is no document');
SELECT is(import_registry(export_registry()), 0::bigint, 'and nothing comes of it');

-- A registry with everything in it, under names that have to be quoted somewhere.
SELECT count(*) FROM create_model_version('o''clf "x" \ grün ☃', '1.0', '{"provider": "test", "model_name": "m", "temperature": 0.7, "note": "a\"b\\c\nd"}', 'first; "quoted"',
    '{"a b", "ä,ö", "{}"}', NULL, '{"team": "o''hara"}', 's3://bucket/o''clf', 'sha256:00', 'mary');
SELECT count(*) FROM create_model_version('o''clf "x" \ grün ☃', '1.1 "rc"', '{"provider": "test", "model_name": "m2"}', parent_version => '1.0');
SELECT count(*) FROM create_model_version('o''clf "x" \ grün ☃', 'nightly', '{"provider": "test", "model_name": "m3"}', parent_version => '1.1 "rc"');
SELECT count(*) FROM create_model_version('o''clf "x" \ grün ☃', '0.1', '{"provider": "test", "model_name": "m0"}');
SELECT status FROM deploy_model_version('o''clf "x" \ grün ☃', '1.0');
SELECT status FROM archive_model_version('o''clf "x" \ grün ☃', '0.1', 'too old');
SELECT set_alias('o''clf "x" \ grün ☃', 'champion "c"', '1.0'), set_alias('o''clf "x" \ grün ☃', 'next', '1.1 "rc"');
SELECT owner FROM set_model('o''clf "x" \ grün ☃', 'a model', 'o''hara', '{"tier": 1}');
SELECT set_thresholds('o''clf "x" \ grün ☃', jsonb_build_array(performance_threshold('success_rate', 0.1 + 0.2, '<', 'critical', 0, 'rollback'),
    performance_threshold('my "metric"', 1e-300, '>')));
SELECT set_segment('o''clf "x" \ grün ☃', 'b', '{"any": [{"country": "DE"}, {"age": {">=": 18.5}}]}', '1.1 "rc"'),
    set_segment('o''clf "x" \ grün ☃', 'a', '{"path": {"prefix": "/beta"}}', '1.0');
SELECT schedule_update('o''clf "x" \ grün ☃', '@next', '30 2 * * mon-fri', 'replace', jsonb_build_array(validation_rule('conf', 'its configuration', 'validate_model_configuration')),
    true, 'Europe/Berlin');
SELECT require_approvals('o''clf "x" \ grün ☃', 2, 'regress_model_mgr_board');
INSERT INTO version_approval SELECT version_id, 'regress_model_mgr_mary', 'looks "good"', clock_time() FROM model_version WHERE version = 'nightly';
-- second: a rollout under way, a version that was taken back; third: nothing serves.
SELECT count(*) FROM unnest(ARRAY['1', '2', '3', '4']) v, create_model_version('second', v, '{"provider": "test", "model_name": "m"}');
SELECT status FROM deploy_model_version('second', '1');
SELECT status FROM deploy_model_version('second', '2', 'replace');
SELECT rollback_model('second', reason => 'bad');
SELECT status, traffic_percentage FROM deploy_model_version('second', '3', 'canary', rollout => '{"steps": [25, 100], "salt": "sticky"}');
SELECT count(*) FROM create_model_version('third', '1', '{"provider": "test", "model_name": "m"}');
SELECT pin_unit('second', 'u', '3');
CREATE TEMP TABLE kept AS SELECT export_registry() AS document;

SELECT is(export_registry(), (SELECT document FROM kept), 'the same registry, the same document');
SELECT is((SELECT export_registry() FROM (SELECT set_config('TimeZone', 'Asia/Tokyo', false)) z), (SELECT document FROM kept), 'in any time zone');
SET TimeZone = 'UTC';
SET model_mgr.clock = '2026-03-05 12:00:00+00';
SELECT is(export_registry(), (SELECT document FROM kept), 'at any time');
SELECT is(export_registry('second') #> '{models,0}', (SELECT document #> '{models,1}' FROM kept), 'one model alone is its entry of the whole');
SELECT is((SELECT jsonb_object_agg(v ->> 'version', v ->> 'status') FROM jsonb_array_elements(export_registry('second') #> '{models,0,versions}') v),
    '{"1": "active", "2": "rolled_back", "3": "ready", "4": "pending"}', 'a version in a rollout is ready, what serves is active');
SELECT ok(export_registry()::text !~ '_id"|unit_key', 'no ids of this database');

-- Again into the same registry: nothing happens.
SELECT is(import_registry(document), 0::bigint, 'importing again') FROM kept;
SELECT is(export_registry(), (SELECT document FROM kept), 'changes nothing');
SELECT is_empty($$SELECT operation FROM audit_log WHERE operation = 'import'$$, 'and leaves no entry');

-- Into an empty one.
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SET model_mgr.clock = '2026-04-01 12:00:00+00';
SELECT is(import_registry(document), 9::bigint, 'nine versions') FROM kept;
SELECT is(export_registry(), (SELECT document FROM kept), 'exporting again gives the same document');
SELECT is((SELECT string_agg(m || ' ' || coalesce(route_version(m, 'u'), '-'), ', ') FROM unnest(ARRAY['o''clf "x" \ grün ☃', 'second', 'third']) m),
    'o''clf "x" \ grün ☃ 1.0, second 1, third -', 'what was active serves');
SELECT is((SELECT variant || ' ' || value FROM route('o''clf "x" \ grün ☃', 'u', '{"age": 20}')), 'segment 1.1 "rc"', 'segments send as they did');
SELECT set_eq($$SELECT operation FROM audit_log$$, ARRAY['import', 'create', 'set_model', 'deploy', 'set_alias', 'set_segment', 'set_thresholds', 'require_approvals',
    'schedule_update', 'import_approval'], 'everything is in the audit log');
SELECT is((SELECT details FROM audit_log WHERE operation = 'import' AND model_name = 'second'), '{"versions": 4, "new_versions": 4}', 'and each model as a whole');
SELECT is((SELECT count(*) FROM verify_audit_log() WHERE ok), 1::bigint, 'which verifies');
SELECT is((SELECT next_run_at FROM list_schedules()), '2026-04-02 00:30+00'::timestamptz, 'a schedule runs when it is due from now on');
SELECT is((SELECT row(v.created_at, v.created_by, c.user_name)::text FROM model_version v JOIN version_creator c USING (version_id) WHERE v.version = '1.0'),
    row('2026-03-01 12:00:00+00'::timestamptz, 'mary', session_user)::text, 'versions are as old as they were, and by whom');
SELECT pg_temp.refused('55000', '1 of 2|0 of 2', $$SELECT deploy_model_version('o''clf "x" \ grün ☃', '1.1 "rc"')$$);
-- The salt: a sticky rollout takes the same units as before.
SELECT status FROM deploy_model_version('second', '3', 'canary', rollout => '{"steps": [25, 100], "salt": "sticky"}');
SELECT is((SELECT count(*) FROM generate_series(1, 1000) i WHERE (route_version('second', 'unit ' || i) = '3')
        <> (bucket((SELECT document #>> '{models,1,salt}' FROM kept), 'unit ' || i, 10000) < 2500)), 0::bigint, 'a sticky rollout takes the units that it took before');
SELECT status FROM abort_deployment(open_deployment('second'));

-- Merging: what is missing is added, what is there stays.
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SELECT count(*) FROM create_model_version('second', '1', '{"provider": "test", "model_name": "m"}', 'mine');
SELECT count(*) FROM create_model_version('mine', '1', '{"provider": "test", "model_name": "m"}');
SELECT is(import_registry(document), 8::bigint, 'merged: the version that was here is not new') FROM kept;
SELECT is((SELECT description FROM get_model_version('second', '1')), 'mine', 'it keeps its description');
SELECT is(export_registry('second') #> '{models,0,salt}', document #> '{models,1,salt}', 'a model that never served takes the salt') FROM kept;
SELECT is(route_version('second', 'u'), '1', 'and serves what is active');
SELECT is((SELECT array_agg(DISTINCT model_name ORDER BY model_name) FROM list_all_models()), ARRAY['mine', 'o''clf "x" \ grün ☃', 'second', 'third'], 'all models are here');

-- Refused: each names what differs, and nothing changes.
-- changed: imports the document with one value replaced, or (NULL) taken out.
CREATE FUNCTION pg_temp.changed(path text[], value text) RETURNS bigint LANGUAGE sql AS $$
    SELECT import_registry(CASE WHEN value IS NULL THEN k.document #- path ELSE jsonb_set(k.document, path, value::jsonb, true) END) FROM kept k $$;
CREATE FUNCTION pg_temp.bad(code text, says text, path text[], value text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.refused(code, says, format('SELECT pg_temp.changed(%L, %L)', path, value)) $$;
SELECT pg_temp.bad('42710', 'model "second".*salt', '{models,1,salt}', '"other"');
SELECT pg_temp.bad('42710', 'version "2" of model "second" exists with another configuration', '{models,1,versions,1,configuration,model_name}', '"other"');
SELECT pg_temp.bad('42710', 'artifact_uri', '{models,1,versions,1,artifact_uri}', '"other"');
SELECT pg_temp.bad('42710', 'parent_version', '{models,1,versions,1,parent_version}', '"1"');
SELECT pg_temp.bad('42710', 'Version "4" is pending here and failed', '{models,1,versions,3,status}', '"failed"');
SELECT pg_temp.bad('42710', 'Active is version "1" here and "none"', '{models,1,active_version}', 'null');
SELECT pg_temp.bad('42710', 'Alias "next" is version "1.1 "rc"" here', '{models,0,aliases,next}', '"1.0"');
SELECT pg_temp.bad('42710', 'Segment "b"', '{models,0,segments,0,version}', '"1.0"');
SELECT pg_temp.bad('42710', 'other thresholds', '{models,0,thresholds,0,duration_minutes}', '3');
SELECT pg_temp.bad('42710', 'other approvals', '{models,0,approvals,approvals}', '1');

-- Malformed: into an empty registry, so that nothing else can be the reason.
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SELECT pg_temp.refused('22004', 'document', 'SELECT import_registry(NULL)');
SELECT pg_temp.refused('22P02', 'object', $$SELECT import_registry('[]')$$);
SELECT pg_temp.refused('22P02', 'object', $$SELECT import_registry('17')$$);
SELECT pg_temp.refused('22023', 'format', $$SELECT import_registry('{"models": []}')$$);
SELECT pg_temp.refused('22023', 'models', $$SELECT import_registry('{"format": 1}')$$);
SELECT pg_temp.bad('22023', 'format 2.*format 1', '{format}', '2');
SELECT pg_temp.bad('22003', 'format', '{format}', '1.5');
SELECT pg_temp.bad('22P02', 'format', '{format}', '"1"');
SELECT pg_temp.bad('22023', 'unknown key "more"', '{more}', '1');
SELECT pg_temp.bad('22P02', 'models', '{models}', '{}');
SELECT pg_temp.bad('22P02', 'models\[1\]', '{models,1}', '1');
SELECT pg_temp.bad('22023', 'unknown key "id".*models\[1\]', '{models,1,id}', '1');
SELECT pg_temp.bad('22023', 'model_name', '{models,1,model_name}', NULL);
SELECT pg_temp.bad('42602', 'model name', '{models,1,model_name}', '""');
SELECT pg_temp.bad('42622', 'model name', '{models,1,model_name}', to_jsonb(repeat('x', 256))::text);
SELECT pg_temp.bad('42602', 'model name', '{models,1,model_name}', '"a\u0007"');
SELECT pg_temp.bad('22023', 'twice', '{models,1,model_name}', '"third"');
SELECT pg_temp.bad('22023', 'twice', '{models,1,versions,1,version}', '"1"');
SELECT pg_temp.bad('22023', 'salt', '{models,1,salt}', '""');
SELECT pg_temp.bad('22004', 'salt', '{models,1,salt}', 'null');
SELECT pg_temp.bad('22023', 'active_version', '{models,1,active_version}', '"9"');
SELECT pg_temp.bad('22023', 'status', '{models,1,active_version}', '"2"');
SELECT pg_temp.bad('22023', 'status', '{models,1,versions,1,status}', '"deploying"');
SELECT pg_temp.bad('22P02', 'created_at', '{models,1,created_at}', '"yesterday"');
SELECT pg_temp.bad('22P02', 'created_at', '{models,1,versions,1,created_at}', '"2026-02-30T12:00:00.000000Z"');
SELECT pg_temp.bad('22P02', 'created_at', '{models,1,versions,1,created_at}', '"infinity"');
SELECT pg_temp.bad('22P02', 'created_at', '{models,1,versions,1,created_at}', '"2026-01-01T12:00:00.5Z"');
SELECT pg_temp.bad('22023', 'secret|api_key', '{models,1,versions,1,configuration,api_key}', '"x"');
SELECT pg_temp.bad('22003', 'temperature', '{models,0,versions,0,configuration,temperature}', '7');
SELECT pg_temp.bad('22P02', 'configuration', '{models,1,versions,1,configuration}', '[]');
SELECT pg_temp.bad('42939', 'latest', '{models,1,versions,1,version}', '"latest"');
SELECT pg_temp.bad('42939', '@', '{models,0,versions,1,parent_version}', '"@next"');
SELECT pg_temp.bad('23503', 'parent', '{models,1,versions,1,parent_version}', '"17"');
SELECT pg_temp.bad('23514', 'parent', '{models,1,versions,1,parent_version}', '"2"');
SELECT pg_temp.bad('22P02', 'tags', '{models,1,versions,1,tags}', '[1]');
SELECT pg_temp.bad('42704', '9', '{models,0,aliases,next}', '"9"');
SELECT pg_temp.bad('42939', 'latest', '{models,0,aliases,latest}', '"1.0"');
SELECT pg_temp.bad('22P02', 'aliases', '{models,0,aliases}', '[]');
SELECT pg_temp.bad('22023', 'condition', '{models,0,segments,0,condition}', '{"age": {"~": 1}}');
SELECT pg_temp.bad('42704', '9', '{models,0,segments,0,version}', '"9"');
SELECT pg_temp.bad('22023', 'operator', '{models,0,thresholds,0,operator}', '"about"');
SELECT pg_temp.bad('22P02', 'thresholds', '{models,0,thresholds}', '{}');
SELECT pg_temp.bad('22023', 'cron', '{models,0,schedules,0,cron_expression}', '"daily"');
SELECT pg_temp.bad('22023', 'time zone', '{models,0,schedules,0,timezone}', '"Mars/Base"');
SELECT pg_temp.bad('42704', 'nothing_of_mine', '{models,0,schedules,0,validation_rules,0,validator_function}', '"nothing_of_mine"');
SELECT pg_temp.bad('42704', 'nobody_of_mine', '{models,0,approvals,from_role}', '"nobody_of_mine"');
SELECT pg_temp.bad('22003', 'approvals', '{models,0,approvals,approvals}', '1000');
SELECT pg_temp.bad('22023', 'created', '{models,0,versions,0,approvals}', '[{"user_name": "mary", "note": "", "approved_at": "2026-03-01T12:00:00.000000Z"}]');
SELECT is(export_registry(), '{"format": 1, "models": []}', 'never half: nothing is left of any of them');

SELECT pg_temp.bad('22023', 'segment "b" of model .* twice', '{models,0,segments,1,segment}', '"b"');
SELECT pg_temp.bad('22023', 'approval of version "nightly" of model .* by mary.* twice', '{models,0,versions,2,approvals}',
    '[{"user_name": "mary", "note": "", "approved_at": "2026-03-01T12:00:00.000000Z"}, {"user_name": "mary", "note": "no", "approved_at": "2026-03-02T12:00:00.000000Z"}]');
SELECT is(export_registry(), '{"format": 1, "models": []}', 'nor of these');

-- Who created a version is not known of those that were made before it was noted; who imports it has not created it.
CREATE TEMP TABLE unknown AS SELECT jsonb_set(document, '{models,0,versions,0,creator_login}', 'null') AS document FROM kept;
SELECT is(import_registry(document), 9::bigint, 'a creator who is not known') FROM unknown;
SELECT is(export_registry(), (SELECT document FROM unknown), 'is not known afterwards');
SELECT is_empty($$SELECT c.user_name FROM version_creator c JOIN model_version v USING (version_id) WHERE v.version = '1.0'$$, 'and is nobody');

-- What a schedule is for may have gone since: the registry comes back with it, and who imports it is told.
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SELECT count(*) FROM unnest(ARRAY['1', '2', '3']) v, create_model_version('moved on', v, '{"provider": "test", "model_name": "m"}');
SELECT status FROM deploy_model_version('moved on', '1');
SELECT set_alias('moved on', 'next', '2');
SELECT schedule_update('moved on', '@next', '@daily'), schedule_update('moved on', '2', '@daily'), schedule_update('moved on', '3', '@daily'), schedule_update('moved on', 'latest', '@daily');
SELECT delete_alias('moved on', 'next');
SELECT status FROM archive_model_version('moved on', '2');
SELECT delete_model_version('moved on', '3');
CREATE TEMP TABLE gone AS SELECT export_registry() AS document;
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SET client_min_messages = notice;
SELECT is(import_registry(document), 2::bigint, 'schedules of an alias, a version and an archived one') FROM gone;
SET client_min_messages = warning;
SELECT is(export_registry(), (SELECT document FROM gone), 'are as they were');
SELECT is(import_registry(document), 0::bigint, 'and again nothing happens') FROM gone;
SELECT pg_temp.refused('42704', 'next', $$SELECT schedule_update('moved on', '@next', '@hourly')$$);
SELECT pg_temp.refused('42602', 'target_version', $$SELECT import_registry(jsonb_set(document, '{models,0,schedules,0,target_version}', '"a\u0007"')) FROM gone$$);
SELECT pg_temp.refused('22023', 'strategy', $$SELECT import_registry(jsonb_set(document, '{models,0,schedules,0,deployment_strategy}', '"at once"')) FROM gone$$);

-- What is active there may be archived here, where the model has never served.
DROP EXTENSION model_mgr CASCADE;
:create_extension;
SELECT count(*) FROM create_model_version('moved on', '1', '{"provider": "test", "model_name": "m"}');
SELECT status FROM archive_model_version('moved on', '1');
SELECT is(import_registry(document), 1::bigint, 'an active version that is archived here') FROM gone;
SELECT is(route_version('moved on', 'u') || ' ' || (SELECT status FROM get_model_version('moved on', '1')), '1 active', 'serves');

-- Rights.
SELECT ok(NOT EXISTS (SELECT FROM role_grant WHERE object_name = 'import_registry' AND role_kind <> 'admin'), 'admins import');
DROP ROLE regress_model_mgr_board, regress_model_mgr_mary;
SELECT * FROM finish();
