-- Registering models and versions: what is stored, what a repeat does, what is refused and that nothing is left by it.
\i test/fresh.psql
\i test/refused.psql
SET search_path = model_mgr, public, tap;
SELECT plan(138);

-- The running example: a classifier, its first version and a successor.
SELECT results_eq($$SELECT model_name, version, description, configuration, parent_version, tags, labels, status, status_reason, created_by
        FROM create_model_version('telemetry-classifier', '1.1.0', model_configuration('openai', 'gpt-4', temperature => 0.3))$$,
    $$VALUES ('telemetry-classifier', '1.1.0', NULL, '{"provider": "openai", "model_name": "gpt-4", "temperature": 0.3, "custom_parameters": {}, "resource_requirements": {}}'::jsonb,
        NULL, '{}'::text[], '{}'::jsonb, 'pending', NULL, session_user::text COLLATE "default")$$, 'a new version is pending, with the defaults of the contract');
SELECT results_eq($$SELECT version, description, configuration ->> 'model_version', configuration -> 'max_tokens', tags, parent_version, status
        FROM create_model_version(model_name => 'telemetry-classifier', version => '1.2.0',
            configuration => model_configuration(provider => 'openai', model_name => 'gpt-4', model_version => '2024-01-15', temperature => 0.3,
                max_tokens => 1000, custom_parameters => '{"fallback": true, "cheaper_model": "gpt-3.5-turbo"}'),
            description => 'Cheaper and better', tags => ARRAY['production', 'cost-optimized'], parent_version => '1.1.0')$$,
    $$VALUES ('1.2.0', 'Cheaper and better', '2024-01-15', '1000'::jsonb, ARRAY['production', 'cost-optimized'], '1.1.0', 'pending')$$,
    'a successor with every argument that matters');
SELECT is((SELECT count(*) FROM model), 1::bigint, 'both are of one model');
SELECT is((SELECT count(*) FROM routing), 1::bigint, 'which has its routing');
SELECT results_eq($$SELECT value, reason FROM route('telemetry-classifier', 'u')$$, $$VALUES (NULL::text, 'DISABLED')$$, 'and serves nobody yet');
SELECT is((SELECT count(*) FROM list_model_versions('telemetry-classifier') v WHERE v.model_id = (SELECT m.model_id FROM model m)), 2::bigint,
    'ids are those of the model');

-- Repeats.
SELECT is((SELECT v FROM create_model_version('telemetry-classifier', '1.2.0', (SELECT configuration FROM model_version WHERE version = '1.2.0'),
        parent_version => '1.1.0', description => 'other', tags => '{x}', created_by => 'other') v),
    (SELECT v FROM model_version v WHERE version = '1.2.0'), 'declaring again gives the same row back');
SELECT is((SELECT count(*) FROM audit_log), 2::bigint, 'and leaves no audit row');
SELECT is((SELECT v.version FROM create_model_version('telemetry-classifier', '1.1.0',
        '{"resource_requirements": {}, "custom_parameters": {}, "temperature": 0.30, "provider": "openai", "model_name": "gpt-4"}') v), '1.1.0',
    'order of keys and trailing zeros make no other configuration');
SELECT pg_temp.refused('42710', 'another configuration.*created by.*new version',
    $$SELECT create_model_version('telemetry-classifier', '1.1.0', model_configuration('openai', 'gpt-4', temperature => 0.4))$$);
SELECT pg_temp.refused('42710', 'another parent_version',
    $$SELECT create_model_version('telemetry-classifier', '1.2.0', (SELECT configuration FROM model_version WHERE version = '1.2.0'))$$);
SELECT pg_temp.refused('42710', 'another artifact_uri',
    $$SELECT create_model_version('telemetry-classifier', '1.1.0', model_configuration('openai', 'gpt-4', temperature => 0.3), artifact_uri => 's3://x')$$);
SELECT pg_temp.refused('42710', 'another artifact_digest',
    $$SELECT create_model_version('telemetry-classifier', '1.1.0', model_configuration('openai', 'gpt-4', temperature => 0.3), artifact_digest => 'sha256:00')$$);

-- The digest is in the audit trail, and is of the text that the configuration shows.
SELECT is(configuration_digest('{"b": 1, "a": "\u00e4"}'), 'sha256:' || encode(sha256(convert_to('{"a": "ä", "b": 1}', 'UTF8')), 'hex'), 'configuration_digest()');
SELECT results_eq($$SELECT l.operation, l.model_name, l.version, l.details ->> 'configuration_digest', l.user_name, l.caller FROM audit_log l ORDER BY l.audit_id$$,
    $$SELECT 'create', v.model_name, v.version, configuration_digest(v.configuration), session_user::text COLLATE "default", current_user::text COLLATE "default" FROM model_version v ORDER BY v.version$$,
    'every creation is audited with the digest');

-- Parents.
SELECT pg_temp.refused('23503', 'parent version "9.9.9" is no version of model "telemetry-classifier".*No model has',
    $$SELECT create_model_version('telemetry-classifier', '2', '{"provider": "p", "model_name": "m"}', parent_version => '9.9.9')$$);
SELECT pg_temp.refused('23503', 'Model "telemetry-classifier" has a version of that name',
    $$SELECT create_model_version('other', '2', '{"provider": "p", "model_name": "m"}', parent_version => '1.1.0')$$);
SELECT is_empty($$SELECT 1 FROM model WHERE model_name = 'other'$$, 'a refused version leaves no model behind');
SELECT pg_temp.refused('23514', 'its own parent', $$SELECT create_model_version('other', '2', '{"provider": "p", "model_name": "m"}', parent_version => '2')$$);
SELECT pg_temp.refused('23514', 'its own parent',
    $$SELECT create_model_version('telemetry-classifier', '1.1.0', (SELECT configuration FROM model_version WHERE version = '1.1.0'), parent_version => '1.1.0')$$);
SELECT set_alias('telemetry-classifier', 'champion', '1.2.0');
SELECT is((SELECT v.parent_version FROM create_model_version('telemetry-classifier', '1.3.0', '{"provider": "p", "model_name": "m"}', parent_version => '@champion') v),
    '1.2.0', 'an alias as parent means the version it names now');
SELECT pg_temp.refused('23503', 'is no version', $$SELECT create_model_version('telemetry-classifier', '2', '{"provider": "p", "model_name": "m"}', parent_version => '@none')$$);

-- Names: anything of 1 to 255 bytes without control characters.
CREATE TEMP TABLE odd (name text);
INSERT INTO odd VALUES ('o''clf "x"'), ('Ünïcødé 模型 🦉'), (repeat('n', 64)), (repeat('n', 255)), (repeat('é', 127) || 'n'), ('a; DROP TABLE model'),
    ('$1 \ %s %I'), (' spaces '), ('a.b/c:d'), ('NULL'), ('1'), ('v'), ('Latest'), ('x@y');
SELECT results_eq($$SELECT v.model_name, v.version FROM odd, create_model_version(name, name, '{"provider": "p", "model_name": "m"}', created_by => name) v ORDER BY name$$,
    $$SELECT name, name FROM odd ORDER BY name$$, 'odd names are kept as given');
SELECT results_eq($$SELECT v.version, v.created_by FROM odd, get_model_version(name, name) v ORDER BY name$$, $$SELECT name, name FROM odd ORDER BY name$$, 'and found');
SELECT results_eq($$SELECT v.version FROM odd, set_alias(name, name, name), tag_model_version(name, name, ARRAY[name]) v WHERE name NOT LIKE '@%' ORDER BY name$$,
    $$SELECT name FROM odd ORDER BY name$$, 'aliases and tags may be as odd');
SELECT results_eq($$SELECT v.version FROM odd, get_model_version(name, '@' || name) v ORDER BY name$$, $$SELECT name FROM odd ORDER BY name$$, 'and are found');
SELECT is((SELECT count(DISTINCT v.model_id) FROM (VALUES ('T', 'x'), ('t', 'X')) n (m, x), create_model_version(m, x, '{"provider": "p", "model_name": "m"}') v),
    2::bigint, 'case makes another name');
SELECT pg_temp.refused(code, says, format(statement, name))
FROM (VALUES ('42602', 'empty', quote_literal('')), ('42602', 'control characters.*Byte 2 is 0x0a', $$E'a\nb'$$), ('42602', '0x7f', $$E'a\x7fb'$$), ('42602', '0x01', $$E'\x01'$$),
        ('42622', '256 bytes', 'repeat(''n'', 256)'), ('42622', '256 bytes', 'repeat(''é'', 128)'), ('22004', 'null', 'NULL')) n (code, says, name),
    unnest(ARRAY['SELECT create_model_version(%s, ''1'', ''{"provider": "p", "model_name": "m"}'')',
        'SELECT create_model_version(''n'', %s, ''{"provider": "p", "model_name": "m"}'')',
        'SELECT set_alias(''telemetry-classifier'', %s, ''1.1.0'')']) statement;
SELECT pg_temp.refused('42939', 'reserved.*resolve_version', format('SELECT create_model_version(''n'', %L, ''{"provider": "p", "model_name": "m"}'')', name))
FROM unnest(ARRAY['latest', 'stable', 'previous', '@', '@x']) name;
SELECT pg_temp.refused('42939', 'reserved', format('SELECT set_alias(''telemetry-classifier'', %L, ''1.1.0'')', name)) FROM unnest(ARRAY['latest', 'stable', 'previous', '@', '@x']) name;
SELECT pg_temp.refused('42602', 'created_by', $$SELECT create_model_version('n', '1', '{"provider": "p", "model_name": "m"}', created_by => '')$$);

-- Configurations.
SELECT pg_temp.refused('22004', 'configuration', $$SELECT create_model_version('n', '1', NULL)$$);
SELECT pg_temp.refused('22P02', 'must be a JSON object.*It is ' || kind, format('SELECT create_model_version(''n'', ''1'', %L)', value))
FROM (VALUES ('[]', 'an array'), ('"x"', 'a string'), ('1', 'a number'), ('true', 'a boolean'), ('null', 'null')) v (value, kind);
SELECT pg_temp.refused('22023', 'needs the key "' || missing || '"', format('SELECT create_model_version(''n'', ''1'', %L)', value))
FROM (VALUES ('{}', 'provider'), ('{"provider": "p"}', 'model_name'), ('{"model_name": "m"}', 'provider'), ('{"provider": null, "model_name": "m"}', 'provider')) v (value, missing);
SELECT pg_temp.refused(code, says, format('SELECT create_model_version(''n'', ''1'', %L)', '{"provider": "p", "model_name": "m"}'::jsonb || value::jsonb))
FROM (VALUES ('22P02', '"provider" must be a string.*It is a number', '{"provider": 1}'), ('42602', '"model_name" must not be empty', '{"model_name": ""}'),
    ('22P02', 'a number.*It is a string', '{"temperature": "0.3"}'), ('22P02', 'a number.*It is an array', '{"temperature": [0.3]}'), ('22P02', 'It is an object', '{"max_tokens": {}}'),
    ('22003', 'The value -0.1 is outside 0 to 2', '{"temperature": -0.1}'), ('22003', 'The value 2.01', '{"temperature": 2.01}'), ('22003', 'Infinity', '{"temperature": 1e400}'),
    ('22003', 'outside 1 to', '{"max_tokens": 0}'), ('22003', 'whole number', '{"max_tokens": 10.5}'), ('22003', 'outside', '{"max_tokens": 2147483648}'),
    ('22003', 'top_p', '{"top_p": 1.1}'), ('22003', 'top_k', '{"top_k": -2}'), ('22003', 'frequency_penalty', '{"frequency_penalty": -3}'),
    ('22P02', 'must be an object', '{"custom_parameters": []}'), ('22P02', 'must be an object', '{"resource_requirements": "big"}')) v (code, says, value);
SELECT lives_ok(format('SELECT create_model_version(''ranges'', %L, %L)', value, '{"provider": "p", "model_name": "m"}'::jsonb || value::jsonb), 'kept: ' || value)
FROM unnest(ARRAY['{"temperature": 0}', '{"temperature": 2}', '{"max_tokens": 1}', '{"max_tokens": 1000.0}', '{"temperature": null}', '{"own_key": {"deep": [1, {"x": null}]}}',
    '{"max_tokens": 1, "stop_tokens": ["a"], "eos_token": "</s>", "stopToken": "x", "pad-token": "", "tokenizer": "bpe", "total_tokens": 7}',
    '{"custom_parameters": {"secretary": 1, "passage": 2, "keyboard": 3, "monkey": 4, "api_keyword": 5}}']) value;

-- Secrets, by the name of the key, at any depth and in any spelling.
SELECT pg_temp.refused('22023', 'looks like a secret.*Configurations are readable', format('SELECT create_model_version(''n'', ''1'', %L)',
    jsonb_build_object('provider', 'p', 'model_name', 'm', key, 'hush')))
FROM unnest(ARRAY['api_key', 'apiKey', 'API-KEY', 'openai_api_key', 'api_keys', 'token', 'access_token', 'githubToken', 'HF_TOKEN', 'auth_tokens', 'password', 'db_password',
    'Passwd', 'secret', 'client_secret', 'private_key', 'aws_secret_access_key', 'credentials', 'Authorization', 'passphrase']) key;
SELECT pg_temp.refused('22023', 'key "password" looks', format('SELECT create_model_version(''n'', ''1'', %L)', value))
FROM unnest(ARRAY['{"provider": "p", "model_name": "m", "custom_parameters": {"a": {"b": [[{"password": 1}]]}}}', '{"provider": "p", "model_name": "m", "x": [{"password": null}]}']) value;
SELECT pg_temp.refused('22023', 'api_key', $$SELECT model_configuration('p', 'm', custom_parameters => '{"api_key": "x"}')$$);

-- model_configuration() on its own.
SELECT is(model_configuration('p', 'm'), '{"provider": "p", "model_name": "m", "custom_parameters": {}, "resource_requirements": {}}', 'what is not given is left out');
SELECT is(model_configuration('p', 'm', custom_parameters => NULL, resource_requirements => NULL), model_configuration('p', 'm'), 'NULL means the default');
SELECT is(model_configuration('p', 'm', 'v', 1.5, 10, '{"a": 1}', '{"gpu": 2}'),
    '{"provider": "p", "model_name": "m", "model_version": "v", "temperature": 1.5, "max_tokens": 10, "custom_parameters": {"a": 1}, "resource_requirements": {"gpu": 2}}', 'all of it');
SELECT pg_temp.refused(code, says, statement)
FROM (VALUES ('22004', 'provider', $$SELECT model_configuration(NULL, 'm')$$), ('22004', 'model_name', $$SELECT model_configuration('p', NULL)$$),
    ('42602', 'empty', $$SELECT model_configuration('', 'm')$$), ('42622', 'too long', $$SELECT model_configuration('p', repeat('m', 256))$$),
    ('22003', 'NaN', $$SELECT model_configuration('p', 'm', temperature => 'NaN')$$), ('22003', 'Infinity', $$SELECT model_configuration('p', 'm', temperature => 'Infinity')$$),
    ('22003', 'outside', $$SELECT model_configuration('p', 'm', temperature => 2.1)$$), ('22003', 'outside', $$SELECT model_configuration('p', 'm', max_tokens => 0)$$),
    ('22P02', 'an array', $$SELECT model_configuration('p', 'm', custom_parameters => '[]')$$), ('22P02', 'a number', $$SELECT model_configuration('p', 'm', resource_requirements => '3')$$)) v (code, says, statement);

-- Tags, labels, artifact.
SELECT results_eq($$SELECT tags, labels, artifact_uri, artifact_digest FROM create_model_version('t', '1', '{"provider": "p", "model_name": "m"}',
        tags => '{b,a,b,"with space",a}', labels => '{"team": "ml"}', artifact_uri => 's3://bucket/m', artifact_digest => 'sha256:00')$$,
    $$VALUES (ARRAY['b', 'a', 'with space'], '{"team": "ml"}'::jsonb, 's3://bucket/m', 'sha256:00')$$, 'duplicate tags are dropped, the first stays');
SELECT results_eq($$SELECT tags, labels FROM create_model_version('t', '2', '{"provider": "p", "model_name": "m"}', tags => NULL, labels => NULL)$$,
    $$VALUES ('{}'::text[], '{}'::jsonb)$$, 'NULL means the default');
SELECT pg_temp.refused(code, says, format('SELECT create_model_version(''t'', ''3'', ''{"provider": "p", "model_name": "m"}'', %s)', argument))
FROM (VALUES ('22004', 'Element 2 of 2', 'tags => ARRAY[''a'', NULL]'), ('42602', 'tag', 'tags => ARRAY['''']'), ('42622', 'tag', 'tags => ARRAY[repeat(''t'', 256)]'),
    ('22023', '2 dimensions', 'tags => ''{{a},{b}}'''), ('22P02', 'labels', 'labels => ''[1]''')) v (code, says, argument);

-- Time and author.
SET model_mgr.clock = '2026-01-02 03:04:05+00';
SELECT results_eq($$SELECT created_at, created_by FROM create_model_version('t', '4', '{"provider": "p", "model_name": "m"}', created_by => 'ada')$$,
    $$VALUES ('2026-01-02 03:04:05+00'::timestamptz, 'ada')$$, 'created_at follows model_mgr.clock, created_by is as given');
SELECT ok((SELECT logged_at > '2026-01-02 03:04:05+00'::timestamptz OR logged_at < '2026-01-02 03:04:05+00'::timestamptz FROM audit_log WHERE version = '4' AND model_name = 't'),
    'the audit log has the real time');
RESET model_mgr.clock;

SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
