-- The script that takes settings from the environment: what it says goes to the database, what it does not say stays; a
-- value that is refused changes nothing. The output is the test, since new sessions begin in between.
\i test/fresh.psql
\c
\echo a first statement sees the settings
SELECT count(*) > 10 FROM model_mgr.settings;
\setenv MODEL_STORAGE_BACKEND database
\setenv MODEL_STORAGE_PATH './models'
\setenv MODEL_BACKUP_ENABLED false
\setenv MODEL_RETENTION_DAYS 30
\setenv AB_TEST_DEFAULT_POWER 0.9
\setenv PERF_MONITOR_ANOMALY_SENSITIVITY 3.5
\i scripts/model_mgr_environment.psql
\set ON_ERROR_STOP off
\c
SELECT name, value, environment_variable FROM model_mgr.settings WHERE value <> default_value;
\setenv MODEL_RETENTION_DAYS 31
\setenv AB_TEST_DEFAULT_POWER 'x''; DROP TABLE model_mgr.model; --'
\i scripts/model_mgr_environment.psql
\set ON_ERROR_STOP off
ROLLBACK;
\c
\echo as before
SELECT name, value FROM model_mgr.settings WHERE value <> default_value;
SELECT count(*) FROM model_mgr.model;
\setenv MODEL_RETENTION_DAYS
\setenv AB_TEST_DEFAULT_POWER
\setenv PERF_MONITOR_ANOMALY_SENSITIVITY
\setenv MODEL_STORAGE_PATH
\setenv MODEL_BACKUP_ENABLED
\echo hints for other backends
\setenv MODEL_STORAGE_BACKEND redis
\i scripts/model_mgr_environment.psql
\setenv MODEL_STORAGE_BACKEND FILE
\i scripts/model_mgr_environment.psql
\setenv MODEL_STORAGE_BACKEND
SELECT format('ALTER DATABASE %I RESET %s', current_database(), name) FROM model_mgr.settings WHERE value <> default_value \gexec
