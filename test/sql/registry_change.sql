-- Changing what may change: tags, descriptions, labels, aliases; what a version is may not. Every change is audited with
-- what was before and after, a repeat is not.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(72);
SELECT count(*) FROM unnest(ARRAY['1', '2', '3']) v, create_model_version('m', v, '{"provider": "p", "model_name": "x"}', description => 'd', tags => '{a,b}', labels => '{"k": 1}') \gset
CREATE FUNCTION pg_temp.last_audit() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', operation, model_name, version, details) FROM audit_log ORDER BY audit_id DESC LIMIT 1 $$;
CREATE FUNCTION pg_temp.audited() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM audit_log $$;

-- Tags.
SELECT is((SELECT tags FROM tag_model_version('m', '1', '{c,a,d,c}')), '{a,b,c,d}', 'new tags come behind, each once');
SELECT is(pg_temp.last_audit(), 'tag m 1 {"after": {"tags": ["a", "b", "c", "d"], "labels": {"k": 1}, "description": "d"}, "before": {"tags": ["a", "b"], "labels": {"k": 1}, "description": "d"}}', 'audited');
SELECT is((SELECT tags FROM tag_model_version('m', '1', '{x,y,x}', replace => true)), '{x,y}', 'replace sets exactly these');
SELECT pg_temp.audited() AS before \gset
SELECT is((SELECT tags FROM tag_model_version('m', '1', '{y}')), '{x,y}', 'a tag that is there');
SELECT is((SELECT tags FROM tag_model_version('m', '1', '{}')), '{x,y}', 'no tag');
SELECT is((SELECT tags FROM tag_model_version('m', '1', '{x,y}', NULL)), '{x,y}', 'replace NULL is false');
SELECT is(pg_temp.audited(), :before::bigint, 'what changes nothing is not audited');
SELECT is((SELECT tags FROM tag_model_version('m', '1', '{}', true)), '{}', 'replace by none removes all');
SELECT is((SELECT tags FROM get_model_version('m', '2')), '{a,b}', 'other versions keep theirs');
SELECT pg_temp.refused(code, says, statement) FROM (VALUES
    ('22004', 'tags', $$SELECT tag_model_version('m', '1', NULL)$$), ('22004', 'Element 1 of 1', $$SELECT tag_model_version('m', '1', ARRAY[NULL])$$),
    ('22004', 'model_name', $$SELECT tag_model_version(NULL, '1', '{a}')$$), ('22004', 'version', $$SELECT tag_model_version('m', NULL, '{a}')$$),
    ('42602', 'tag', $$SELECT tag_model_version('m', '1', '{""}')$$), ('22023', 'dimensions', $$SELECT tag_model_version('m', '1', '{{a},{b}}')$$),
    ('42704', 'version "11".*Did you mean "1"', $$SELECT tag_model_version('m', '11', '{a}')$$), ('42704', 'model "mm".*Did you mean "m"', $$SELECT tag_model_version('mm', '1', '{a}')$$),
    ('42704', 'registry holds 1 models.*list_all_models', $$SELECT tag_model_version('quite another', '1', '{a}')$$),
    ('42704', 'alias "champion" of model "m"', $$SELECT tag_model_version('m', '@champion', '{a}')$$),
    ('42704', 'resolve_version\(model_name, ''latest''\)', $$SELECT tag_model_version('m', 'latest', '{a}')$$)) s (code, says, statement);

-- Description and labels.
SELECT results_eq($$SELECT description, labels FROM update_model_version('m', '2', 'new')$$, $$VALUES ('new', '{"k": 1}'::jsonb)$$, 'a description alone');
SELECT is(pg_temp.last_audit(), 'update m 2 {"after": {"tags": ["a", "b"], "labels": {"k": 1}, "description": "new"}, "before": {"tags": ["a", "b"], "labels": {"k": 1}, "description": "d"}}', 'audited');
SELECT results_eq($$SELECT description, labels FROM update_model_version('m', '2', labels => '{"l": [2]}')$$, $$VALUES ('new', '{"l": [2]}'::jsonb)$$, 'labels are replaced as a whole');
SELECT pg_temp.audited() AS before \gset
SELECT results_eq($$SELECT description, labels FROM update_model_version('m', '2')$$, $$VALUES ('new', '{"l": [2]}'::jsonb)$$, 'NULL leaves both');
SELECT results_eq($$SELECT description, labels FROM update_model_version('m', '2', 'new', '{"l": [2]}')$$, $$VALUES ('new', '{"l": [2]}'::jsonb)$$, 'a repeat');
SELECT is(pg_temp.audited(), :before::bigint, 'is not audited');
SELECT results_eq($$SELECT description, labels FROM update_model_version('m', '2', '', '{}')$$, $$VALUES ('', '{}'::jsonb)$$, 'empty is a value');
SELECT pg_temp.refused(code, says, statement) FROM (VALUES
    ('22P02', 'labels.*an array', $$SELECT update_model_version('m', '2', labels => '[]')$$), ('22P02', 'a number', $$SELECT update_model_version('m', '2', labels => '1')$$),
    ('42704', 'version', $$SELECT update_model_version('m', '9999', 'd')$$), ('22004', 'version', $$SELECT update_model_version('m', NULL, 'd')$$),
    ('22004', 'model_name', $$SELECT update_model_version(NULL, '1', 'd')$$)) s (code, says, statement);

-- Models.
SELECT results_eq($$SELECT model_name, description, owner, labels, created_by FROM set_model('m', 'spam', 'team a', '{"tier": 1}')$$,
    $$SELECT 'm', 'spam', 'team a', '{"tier": 1}'::jsonb, created_by FROM model$$, 'set_model()');
SELECT is(pg_temp.last_audit(), 'set_model m {"after": {"owner": "team a", "labels": {"tier": 1}, "description": "spam"}, "before": {"owner": null, "labels": {}, "description": null}}', 'audited');
SELECT results_eq($$SELECT description, owner, labels FROM set_model('m', owner => 'team b')$$, $$VALUES ('spam', 'team b', '{"tier": 1}'::jsonb)$$, 'NULL leaves the others');
SELECT pg_temp.refused(code, says, statement) FROM (VALUES
    ('42704', 'model "nobody"', $$SELECT set_model('nobody', 'd')$$), ('22004', 'model_name', $$SELECT set_model(NULL)$$), ('22P02', 'labels', $$SELECT set_model('m', labels => '"x"')$$)) s (code, says, statement);

-- Aliases.
SELECT set_alias('m', 'champion', '1') \gset
SELECT is(pg_temp.last_audit(), 'set_alias m 1 {"after": "1", "alias": "champion", "before": null}', 'a new alias is audited');
SELECT is((SELECT version FROM get_model_version('m', '@champion')), '1', 'and names its version');
SELECT set_alias('m', 'champion', '2') \gset
SELECT is(pg_temp.last_audit(), 'set_alias m 2 {"after": "2", "alias": "champion", "before": "1"}', 'a moved one is audited with both versions');
SELECT is((SELECT version FROM get_model_version('m', '@champion')), '2', 'and names the other');
SELECT pg_temp.audited() AS before \gset
SELECT set_alias('m', 'champion', '2') \gset
SELECT is(pg_temp.audited(), :before::bigint, 'setting it again is nothing');
SELECT set_alias('m', 'challenger', '@champion') \gset
SELECT results_eq($$SELECT alias, version FROM alias_list ORDER BY alias$$, $$VALUES ('challenger', '2'), ('champion', '2')$$, 'an alias of an alias names the version');
SELECT set_alias('m', 'champion', '3') \gset
SELECT is((SELECT version FROM get_model_version('m', '@challenger')), '2', 'and stays when the other moves');
SELECT is((SELECT description FROM update_model_version('m', '@champion', 'by alias')), 'by alias', 'update_model_version takes @alias');
SELECT is((SELECT version FROM tag_model_version('m', '@champion', '{t}')), '3', 'tag_model_version');
SELECT is((SELECT version FROM archive_model_version('m', '@champion')), '3', 'archive_model_version');
SELECT is((SELECT version FROM mark_version_ready('m', '@champion')), '3', 'mark_version_ready');
SELECT is((SELECT version FROM lineage('m', '@champion')), '3', 'lineage');
SELECT ok(delete_alias('m', 'challenger'), 'delete_alias');
SELECT is(pg_temp.last_audit(), 'delete_alias m 2 {"alias": "challenger", "before": "2"}', 'audited');
SELECT ok(NOT delete_alias('m', 'challenger'), 'it is gone: false');
SELECT is_empty($$SELECT 1 FROM get_model_version('m', '@challenger')$$, 'and names nothing');
SELECT is_empty($$SELECT 1 FROM get_model_version('m', '@@champion')$$, 'one @ only');
SELECT pg_temp.refused(code, says, statement) FROM (VALUES
    ('42704', 'model "none"', $$SELECT set_alias('none', 'a', '1')$$), ('42704', 'version "999"', $$SELECT set_alias('m', 'a', '999')$$), ('42704', 'alias "b"', $$SELECT set_alias('m', 'a', '@b')$$),
    ('42704', 'model', $$SELECT delete_alias('none', 'champion')$$), ('22004', 'alias', $$SELECT delete_alias('m', NULL)$$), ('22004', 'version', $$SELECT set_alias('m', 'a', NULL)$$),
    ('22004', 'model_name', $$SELECT set_alias(NULL, 'a', '1')$$)) s (code, says, statement);

-- What a version is cannot be changed, by nobody.
SELECT pg_temp.refused('55000', what || ' of a version cannot be changed.*Version "1" of model "m"', format('UPDATE model_version SET %s = %s WHERE version = ''1''', what, value))
FROM (VALUES ('configuration', '''{"provider": "p", "model_name": "y"}'''), ('version', '''9'''), ('model_name', '''n'''), ('created_at', 'now()'), ('created_by', '''x'''),
    ('artifact_uri', '''x'''), ('artifact_digest', '''x'''), ('version_id', '999')) c (what, value);
SELECT lives_ok($$UPDATE model_version SET configuration = configuration, status_reason = 'x' WHERE version = '1'$$, 'writing the same is no change');

SELECT is((SELECT count(*) FROM audit_log WHERE user_name <> session_user OR caller <> current_user OR txn IS NULL OR session_id IS NULL), 0::bigint, 'every row says who');
SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
