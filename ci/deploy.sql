-- deploy.sql: validates a version, deploys it and waits until it serves everybody, or fails.
--   psql -X -v ON_ERROR_STOP=1 -v model=spam -v version=1.2.0 -v by="$USER" -v key="$PIPELINE_ID" -f ci/deploy.sql
-- Optional: strategy (canary), timeout (seconds, 3600), rules (a JSON list of validation rules; by default the configuration is checked).
-- key: a pipeline that is run again waits for the update that it asked for the first time.
\set ON_ERROR_STOP on
\if :{?strategy} \else \set strategy canary \endif
\if :{?timeout} \else \set timeout 3600 \endif
\if :{?rules} \else \set rules '[{"name": "configuration", "description": "the configuration is sound", "validator_function": "validate_model_configuration"}]' \endif
SELECT model_mgr.trigger_update(:'model', :'version', 'api', :'strategy', :'by', validation_rules => :'rules', idempotency_key => :'key') AS update_id \gset
\echo update :update_id
CALL model_mgr.wait_for_update(:'update_id', :timeout);
SELECT model_mgr.assert_update_succeeded(:'update_id');
