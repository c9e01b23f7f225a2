-- MLflow's registry as clients/mlflow/import.sql brings it in: versions, stages, aliases, runs; odd names; again and again;
-- what is left out is said; all or nothing.
\i test/fresh.psql
\setenv PGDATABASE :DBNAME
\setenv PGUSER :USER
SET TimeZone = 'UTC';
\! psql -Xq -v schema='my "mlflow"' -f clients/mlflow/example.sql
SET search_path = "my ""mlflow""", model_mgr, public, tap;
SELECT plan(10);

-- Names and states that a registry collects over the years.
INSERT INTO registered_models VALUES (E'o''clf "x" ü', 1000, 1000, 'quotes'), ('twins', 1000, 1000, NULL), ('none', 1000, 1000, NULL),
    (repeat('ü', 128), 1000, 1000, 'too long in bytes'), (repeat('x', 255), 1000, 1000, NULL), (E'tab\there', 1000, 1000, NULL), ('only deleted', 1000, 1000, NULL), ('no time', NULL, NULL, NULL);
INSERT INTO model_versions (name, version, creation_time, user_id, current_stage, source, run_id, status) VALUES
    (E'o''clf "x" ü', 1, 1000, E'ro\not', 'None', 'runs:/gone/model', 'gone', 'READY'), (E'o''clf "x" ü', 10, 3000, '', 'Staging', NULL, NULL, 'READY'), (E'o''clf "x" ü', 9, 2000, 'x', 'Staging', '', NULL, 'READY'),
    ('twins', 1, 1000, 'x', 'Production', 's', NULL, 'READY'), ('twins', 2, 1000, 'x', 'Production', 's', NULL, 'READY'), ('twins', 3, 1000, 'x', 'Production', 's', NULL, 'FAILED_REGISTRATION'),
    (repeat('ü', 128), 1, 1000, 'x', 'None', 's', NULL, 'READY'), (repeat('x', 255), 1, 1000, 'x', 'None', 's', NULL, 'READY'), (E'tab\there', 1, 1000, 'x', 'None', 's', NULL, 'READY'),
    ('only deleted', 1, 1000, 'x', 'Deleted_Internal', 'REDACTED-SOURCE-PATH', NULL, 'READY'), ('no time', 1, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO registered_model_aliases VALUES ('<b>"best"</b>', 9, E'o''clf "x" ü'), ('Latest', 9, E'o''clf "x" ü'), (E'a\nb', 9, E'o''clf "x" ü'), ('@at', 9, E'o''clf "x" ü'), ('ghost', 77, E'o''clf "x" ü'),
    ('staging', 9, E'o''clf "x" ü'), ('best', 1, 'only deleted');
INSERT INTO model_version_tags VALUES ('', NULL, 'twins', 2), ('mlflow', 'a tag of that name', 'twins', 2);

\! psql -Xq -v schema='my "mlflow"' -f clients/mlflow/import.sql | sed -E 's/(xxxx|üüüü)[xü]+/\1.../; s/ +\|/ |/g; s/--+/--/g; s/ +$//'

SELECT model_name, version, status, created_by, created_at, artifact_uri FROM model_version WHERE model_name NOT LIKE 'x%' AND model_name <> 'no time' ORDER BY version_id;
SELECT is(count(*)::integer, 1, 'a version without a time has that of the import') FROM model_version WHERE model_name = 'no time' AND created_at = (SELECT created_at FROM model WHERE model_name = 'no time');
SELECT jsonb_pretty(to_jsonb(v)) FROM (SELECT description, configuration, labels, status_reason FROM model_version WHERE model_name = 'churn' AND version = '2') v;
SELECT is(labels - 'mlflow', '{"": ""}'::jsonb, 'a tag without key or value; one named mlflow gives way') FROM model_version WHERE model_name = 'twins' AND version = '2';
SELECT is(labels, '{"team": "growth"}'::jsonb, 'tags of a model') FROM model WHERE model_name = 'churn';
SELECT model_name, alias, version FROM alias_list WHERE model_name NOT LIKE 'x%' ORDER BY model_name COLLATE "C", alias COLLATE "C";
SELECT value FROM route('churn', 'u');
SELECT is(count(*)::integer, 0, 'no secret came along') FROM model_version WHERE configuration::text LIKE '%hunter2%' OR configuration::text LIKE '%password%';

-- Again: nothing.
CREATE TEMP TABLE before AS SELECT export_registry() AS document, (SELECT count(*) FROM audit_log) AS audited;
\! psql -XAtq -v schema='my "mlflow"' -f clients/mlflow/import.sql | sed -n 2p
SELECT is(export_registry(), document, 'the second import changes nothing') FROM before;
SELECT is((SELECT count(*) FROM audit_log), audited, 'and logs nothing') FROM before;

-- Life goes on on both sides: what is new comes, what is decided here stays and is said.
SELECT status FROM deploy_model_version('churn', '3', 'replace', rollout => '{"bake_seconds": 0}');
UPDATE model_versions SET current_stage = 'Archived' WHERE name = 'churn' AND version = 2;
UPDATE model_versions SET status = 'READY', current_stage = 'Production' WHERE name = 'churn' AND version = 4;
UPDATE registered_model_aliases SET version = 3 WHERE alias = 'champion';
UPDATE model_versions SET current_stage = 'Production' WHERE name = E'o''clf "x" ü' AND version = 10;
\! psql -XAtq -v schema='my "mlflow"' -f clients/mlflow/import.sql | grep -E '^([0-9]|churn|o.clf)'
SELECT version, status FROM model_version WHERE model_name = 'churn' ORDER BY version_id;
SELECT is(version, '10', 'a model that served nobody follows MLflow') FROM get_active_model(E'o''clf "x" ü');
SELECT is(resolve_version('churn', '@champion'), '2', 'an alias that is here stays');

-- All or nothing: what fails in the last model undoes the first.
INSERT INTO model_versions (name, version, creation_time, current_stage, source, status) VALUES ('churn', 5, 1, 'None', 's', 'READY'), ('twins', 4, 1, 'None', 's', 'READY');
CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON model_version FOR EACH ROW WHEN (NEW.model_name = 'twins') EXECUTE FUNCTION public.full_disk();
\! psql -XAtq -v schema='my "mlflow"' -f clients/mlflow/import.sql 2>&1 | grep -oE 'ERROR.*'
SELECT is(count(*)::integer, 0, 'nothing is imported') FROM model_version WHERE version = '5';
DROP TRIGGER full_disk ON model_version;
\! psql -XAtq -v schema='my "mlflow"' -f clients/mlflow/import.sql | sed -n 2p
SELECT is(count(*)::integer, 2, 'then both') FROM model_version WHERE (model_name, version) IN (('churn', '5'), ('twins', '4'));
SELECT finish();
