-- register.sql: what a pipeline does with a model that has been built: registers it as a version. Again is harmless; the same version
-- with other content is an error.
--   psql -X -v ON_ERROR_STOP=1 -v model=spam -v version=1.2.0 -v configuration="$(cat model.json)" -v by="$USER" -f ci/register.sql
-- Optional: description, artifact_uri, artifact_digest, parent.
\set ON_ERROR_STOP on
\if :{?description} \else \set description '' \endif
\if :{?artifact_uri} \else \set artifact_uri '' \endif
\if :{?artifact_digest} \else \set artifact_digest '' \endif
\if :{?parent} \else \set parent '' \endif
SELECT version_id, status FROM model_mgr.create_model_version(:'model', :'version', :'configuration', description => nullif(:'description', ''),
    parent_version => nullif(:'parent', ''), artifact_uri => nullif(:'artifact_uri', ''), artifact_digest => nullif(:'artifact_digest', ''), created_by => :'by');
