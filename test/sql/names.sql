-- Names are any text of 1 to 255 bytes without control characters: quotes, Unicode, SQL and format characters, more than
-- the server's own 63 bytes. Each goes through the whole life of a model and comes back as it was given.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
CREATE TEMP TABLE odd (id serial, name text);
INSERT INTO odd (name) VALUES ('O''Brien'), ('"quoted"'), ('back\slash'), ('a b'), (' '), ('x''; DROP TABLE model_mgr.model; --'), ('%s %I %L %n'),
    ('$1'), ('{"json": 1}'), ('モデル'), ('Ünïcödé'), ('🤖'), ('NULL'), ('null'), ('select'), ('a.b.c'), ('*'), (',{}'), ('A'), ('a'),
    (repeat('x', 63)), (repeat('x', 64)), (repeat('x', 255)), (repeat('é', 127) || 'x');
SELECT plan((SELECT count(*)::integer FROM odd) * 8 + 2);

SELECT is(v.model_name || '|' || v.version || '|' || v.status, name || '|' || name || '|pending', 'created: ' || left(name, 40))
FROM odd, create_model_version(name, name, '{"provider": "test", "model_name": "x"}', description => name, tags => ARRAY[name], labels => jsonb_build_object(name, name),
    created_by => name) v ORDER BY odd.id;
SELECT is((SELECT v.description || '|' || v.tags[1] || '|' || (v.labels ->> name) || '|' || v.created_by FROM get_model_version(name, name) v),
    name || '|' || name || '|' || name || '|' || name, 'everything comes back: ' || left(name, 40)) FROM odd ORDER BY id;
SELECT is(d.model_name || '|' || d.version || '|' || d.status, name || '|' || name || '|completed', 'deployed: ' || left(name, 40))
FROM odd, deploy_model_version(name, name) d ORDER BY odd.id;
SELECT is(route_version(name, name), name, 'routed: ' || left(name, 40)) FROM odd ORDER BY id;
SELECT is((SELECT r.flag_key || '|' || r.value || '|' || r.reason FROM route(name, name) r), name || '|' || name || '|STATIC', 'route: ' || left(name, 40)) FROM odd ORDER BY id;
SELECT lives_ok(format('SELECT update_model_metrics(%L, %L, 0.1, true, error_type => %L, unit_id => %L)', name, name, name, name), 'recorded: ' || left(name, 40))
FROM odd ORDER BY id;
SELECT lives_ok(format('SELECT set_alias(%L, %L, %L), pin_unit(%L, %L, %L), set_segment(%L, %L, jsonb_build_object(%L, %L), %L)',
    name, name, name, name, name, '@' || name, name, name, name, name, name), 'alias, pin, segment: ' || left(name, 40)) FROM odd ORDER BY id;
SELECT is((SELECT r.value FROM route(name, 'u', jsonb_build_object(name, name)) r) || '|' || (SELECT l.version FROM alias_list l WHERE l.model_name = name AND l.alias = name),
    name || '|' || name, 'its segment matches, its alias is listed: ' || left(name, 40)) FROM odd ORDER BY id;

SELECT is(count(DISTINCT model_name), (SELECT count(*) FROM odd), 'names are told apart byte by byte') FROM model_version_list;
SELECT is(sum(requests)::bigint, (SELECT count(*) FROM odd), 'each version has its one request') FROM model_version_list;
SELECT * FROM finish();
SET client_min_messages = error;
DROP EXTENSION model_mgr CASCADE;
