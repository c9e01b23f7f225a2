\echo Use "CREATE EXTENSION model_mgr" to load this file. \quit
-- 00_guard: general SQL of this script runs with the path below; names are written in full.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A schema model_mgr that was there before must be a superuser's or the installing role's (a dump creates it before
-- the extension) and empty: else whoever made it could have planted objects that this script or its users pick up.
DO $guard$
DECLARE
    space oid := (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'model_mgr');
    held text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                   WHERE n.oid = space AND (r.rolsuper OR r.rolname = current_user)) THEN
        RAISE EXCEPTION USING errcode = '42501', message = 'schema "model_mgr" belongs to somebody else',
            detail = pg_catalog.format('Its owner is %s.', (SELECT nspowner::pg_catalog.regrole FROM pg_catalog.pg_namespace WHERE oid = space)),
            hint = 'Drop or rename that schema, then create the extension again.';
    END IF;
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) INTO held
    FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = space
      AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING errcode = '55000', message = 'schema "model_mgr" already holds objects',
            detail = pg_catalog.format('It holds %s.', held),
            hint = 'Move or drop what is in it, then create the extension again.';
    END IF;
END
$guard$;
-- 10_types: the type summary and the row that tests return. The rest of the statistics is in 60_statistics.

CREATE TYPE model_mgr.summary;

CREATE FUNCTION model_mgr.summary_in(cstring) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_in(cstring) IS 'Text form (JSON) of a summary. 22P02: anything that summarize() or merge() could not have made.';
CREATE FUNCTION model_mgr.summary_out(model_mgr.summary) RETURNS cstring
AS 'MODULE_PATHNAME', 'mm_summary_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_out(model_mgr.summary) IS 'Text form (JSON); reads back as exactly the same summary.';
CREATE FUNCTION model_mgr.summary_recv(internal) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_recv(internal) IS 'Binary form, the same on every machine. 22P03: anything that summarize() or merge() could not have made.';
CREATE FUNCTION model_mgr.summary_send(model_mgr.summary) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_summary_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_send(model_mgr.summary) IS 'Binary form, the same on every machine, with its version in the first byte; later versions read it too.';

CREATE TYPE model_mgr.summary (
    INPUT = model_mgr.summary_in, OUTPUT = model_mgr.summary_out,
    RECEIVE = model_mgr.summary_recv, SEND = model_mgr.summary_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE model_mgr.summary IS
'What summarize(float8) makes of a set of numbers: count, sum, squared deviations, smallest, largest, and counts in buckets from which any
quantile is known to 1 %. Summaries of parts merge into the summary of the whole. At most 2 x 2048 buckets (about 48 kB, usually below 1 kB).';

CREATE TYPE model_mgr.test_result AS (
    statistic float8, df float8, p_value float8, effect float8, ci_low float8, ci_high float8,
    n_control bigint, n_treatment bigint, mean_control float8, mean_treatment float8, status text);
COMMENT ON TYPE model_mgr.test_result IS 'What a two-sample test returns; every difference is treatment minus control.';
COMMENT ON COLUMN model_mgr.test_result.statistic IS 'z, t, or U of treatment (mann_whitney_test); +-Infinity where there is no variance but a difference';
COMMENT ON COLUMN model_mgr.test_result.df IS 'degrees of freedom of t; NULL in tests that have none';
COMMENT ON COLUMN model_mgr.test_result.p_value IS 'two-sided';
COMMENT ON COLUMN model_mgr.test_result.effect IS 'difference of means or rates; Cliffs delta, -1 to 1, in mann_whitney_test';
COMMENT ON COLUMN model_mgr.test_result.ci_low IS 'lower end of the confidence interval of the effect';
COMMENT ON COLUMN model_mgr.test_result.ci_high IS 'upper end of the confidence interval of the effect';
COMMENT ON COLUMN model_mgr.test_result.n_control IS 'values of control; pairs in paired tests';
COMMENT ON COLUMN model_mgr.test_result.n_treatment IS 'values of treatment; pairs in paired tests';
COMMENT ON COLUMN model_mgr.test_result.mean_control IS 'mean or rate of control';
COMMENT ON COLUMN model_mgr.test_result.mean_treatment IS 'mean or rate of treatment';
COMMENT ON COLUMN model_mgr.test_result.status IS 'ok; empty_control, empty_treatment: no values; too_few: fewer than two; no_variance: nothing varies (equal: p 1, different means: p 0)';

-- Order and equality are those of the stored bytes: of use for DISTINCT, GROUP BY and indexes, without further meaning.
CREATE FUNCTION model_mgr.summary_eq(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_eq(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: equal.';
CREATE FUNCTION model_mgr.summary_ne(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_ne(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: not equal.';
CREATE FUNCTION model_mgr.summary_lt(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_lt(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: before.';
CREATE FUNCTION model_mgr.summary_le(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_le(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: before or equal.';
CREATE FUNCTION model_mgr.summary_gt(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_gt(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: after.';
CREATE FUNCTION model_mgr.summary_ge(model_mgr.summary, model_mgr.summary) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_summary_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_ge(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: after or equal.';
CREATE FUNCTION model_mgr.summary_cmp(model_mgr.summary, model_mgr.summary) RETURNS integer
AS 'MODULE_PATHNAME', 'mm_summary_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_cmp(model_mgr.summary, model_mgr.summary) IS 'Order of the stored bytes: -1, 0 or 1.';
CREATE FUNCTION model_mgr.summary_hash(model_mgr.summary) RETURNS integer
AS 'MODULE_PATHNAME', 'mm_summary_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_hash(model_mgr.summary) IS 'Hash of the stored bytes.';
CREATE FUNCTION model_mgr.summary_hash_extended(model_mgr.summary, bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_summary_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_hash_extended(model_mgr.summary, bigint) IS 'Seeded 64-bit hash of the stored bytes.';
CREATE FUNCTION model_mgr.summary_add(model_mgr.summary, model_mgr.summary) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_add(model_mgr.summary, model_mgr.summary) IS 'Summary of both sets together; the operator + is this. 22003: their sum is beyond the doubles.';

CREATE OPERATOR model_mgr.= (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_eq,
    COMMUTATOR = OPERATOR(model_mgr.=), NEGATOR = OPERATOR(model_mgr.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR model_mgr.<> (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_ne,
    COMMUTATOR = OPERATOR(model_mgr.<>), NEGATOR = OPERATOR(model_mgr.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR model_mgr.< (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_lt,
    COMMUTATOR = OPERATOR(model_mgr.>), NEGATOR = OPERATOR(model_mgr.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR model_mgr.<= (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_le,
    COMMUTATOR = OPERATOR(model_mgr.>=), NEGATOR = OPERATOR(model_mgr.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR model_mgr.> (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_gt,
    COMMUTATOR = OPERATOR(model_mgr.<), NEGATOR = OPERATOR(model_mgr.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR model_mgr.>= (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_ge,
    COMMUTATOR = OPERATOR(model_mgr.<=), NEGATOR = OPERATOR(model_mgr.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
CREATE OPERATOR model_mgr.+ (LEFTARG = model_mgr.summary, RIGHTARG = model_mgr.summary, FUNCTION = model_mgr.summary_add,
    COMMUTATOR = OPERATOR(model_mgr.+));
COMMENT ON OPERATOR model_mgr.= (model_mgr.summary, model_mgr.summary) IS 'equal';
COMMENT ON OPERATOR model_mgr.<> (model_mgr.summary, model_mgr.summary) IS 'not equal';
COMMENT ON OPERATOR model_mgr.< (model_mgr.summary, model_mgr.summary) IS 'before, by stored bytes';
COMMENT ON OPERATOR model_mgr.<= (model_mgr.summary, model_mgr.summary) IS 'before or equal, by stored bytes';
COMMENT ON OPERATOR model_mgr.> (model_mgr.summary, model_mgr.summary) IS 'after, by stored bytes';
COMMENT ON OPERATOR model_mgr.>= (model_mgr.summary, model_mgr.summary) IS 'after or equal, by stored bytes';
COMMENT ON OPERATOR model_mgr.+ (model_mgr.summary, model_mgr.summary) IS 'summary of both sets together';

CREATE OPERATOR CLASS model_mgr.summary_ops DEFAULT FOR TYPE model_mgr.summary USING btree AS
    OPERATOR 1 model_mgr.<, OPERATOR 2 model_mgr.<=, OPERATOR 3 model_mgr.=, OPERATOR 4 model_mgr.>=, OPERATOR 5 model_mgr.>,
    FUNCTION 1 model_mgr.summary_cmp(model_mgr.summary, model_mgr.summary);
COMMENT ON OPERATOR CLASS model_mgr.summary_ops USING btree IS 'order of the stored bytes';
CREATE OPERATOR CLASS model_mgr.summary_hash_ops DEFAULT FOR TYPE model_mgr.summary USING hash AS
    OPERATOR 1 model_mgr.=,
    FUNCTION 1 model_mgr.summary_hash(model_mgr.summary), FUNCTION 2 model_mgr.summary_hash_extended(model_mgr.summary, bigint);
COMMENT ON OPERATOR CLASS model_mgr.summary_hash_ops USING hash IS 'hash of the stored bytes';
COMMENT ON OPERATOR FAMILY model_mgr.summary_ops USING btree IS 'order of the stored bytes';
COMMENT ON OPERATOR FAMILY model_mgr.summary_hash_ops USING hash IS 'hash of the stored bytes';
-- 20_registry: models, their versions and aliases.

CREATE FUNCTION model_mgr.version_order(version text) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_version_order' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.version_order(text) IS
'Sort key of a version text: ascending order of the keys is SemVer 2.0.0 precedence, read leniently ("v1.2" and "1.0" are padded, leading zeros do not count, build data is ignored). Texts that are no version share the lowest key: break ties by created_at, version_id.';

CREATE FUNCTION model_mgr.is_prerelease(version text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_is_prerelease' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.is_prerelease(text) IS
'Whether a version text is a SemVer pre-release such as 1.0.0-rc.1; false for text that is no version.';

CREATE FUNCTION model_mgr.check_required(value text, argument text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_check_required' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.check_required(text, text) IS
'True; 22004 naming the argument when the value is null. First statement of the functions written in SQL whose arguments are required.';

CREATE FUNCTION model_mgr.check_range(value float8, argument text, low float8, high float8) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_check_range' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.check_range(float8, text, float8, float8) IS
'True; 22003 naming the argument when the value is no number from low to high. For functions written in SQL.';

-- Names are of the default collation throughout: with another one on a column, comparing a row with one of the caller's
-- own (records, pgTAP's results_eq) fails for want of a common collation.
-- No foreign keys between these tables: CREATE EXTENSION would make them before a restore fills the tables, a parallel
-- pg_restore fills an extension's tables in any order, and what then fails is lost. Who writes a reference holds the
-- model's lock and checks it in C, under the contract's own SQLSTATE and HINT; so does who deletes.
CREATE TABLE model_mgr.model (
    model_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL UNIQUE,
    description text,
    owner text,
    labels jsonb NOT NULL DEFAULT '{}',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE model_mgr.model IS 'One row a model: the name that callers route by.';
COMMENT ON COLUMN model_mgr.model.model_id IS 'Id of the model.';
COMMENT ON COLUMN model_mgr.model.model_name IS 'The name that callers route by; 1 to 255 bytes.';
COMMENT ON COLUMN model_mgr.model.description IS 'Free text.';
COMMENT ON COLUMN model_mgr.model.owner IS 'Who answers for it: free text, no role.';
COMMENT ON COLUMN model_mgr.model.labels IS 'Keys and values, free.';
COMMENT ON COLUMN model_mgr.model.created_by IS 'Who registered its first version.';
COMMENT ON COLUMN model_mgr.model.created_at IS 'When that was.';

CREATE TABLE model_mgr.model_version (
    model_id bigint NOT NULL,
    version_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    version text NOT NULL,
    description text,
    configuration jsonb NOT NULL,
    artifact_uri text,
    artifact_digest text,
    parent_version text,
    tags text[] NOT NULL DEFAULT '{}',
    labels jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'validating', 'ready', 'deploying', 'active',
        'inactive', 'rolled_back', 'failed', 'archived')),
    status_reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (model_id, version)
);
COMMENT ON TABLE model_mgr.model_version IS 'One row a version: configuration and lineage never change, status does.';
CREATE INDEX model_version_name_index ON model_mgr.model_version (model_name, version);
CREATE INDEX model_version_active_index ON model_mgr.model_version (model_name) WHERE status = 'active';
CREATE INDEX model_version_parent_index ON model_mgr.model_version (model_id, parent_version) WHERE parent_version IS NOT NULL;

CREATE TABLE model_mgr.model_alias (
    model_id bigint NOT NULL,
    model_name text NOT NULL,
    alias text NOT NULL,
    version_id bigint NOT NULL,
    version text NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (model_id, alias)
);
CREATE INDEX model_alias_version_index ON model_mgr.model_alias (version_id);
COMMENT ON TABLE model_mgr.model_alias IS 'Movable names of versions: champion, fallback, ...';

-- What a version is never changes; see mm_model_version_guard in src/pg/registry_write.c.
CREATE FUNCTION model_mgr.model_version_guard() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_model_version_guard' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.model_version_guard() IS
'Row trigger of model_version: refuses with 55000 any change of what a version is (names, configuration, artifact, parent, origin).';
CREATE TRIGGER model_version_guard BEFORE UPDATE ON model_mgr.model_version
    FOR EACH ROW EXECUTE FUNCTION model_mgr.model_version_guard();
COMMENT ON TRIGGER model_version_guard ON model_mgr.model_version IS 'A version stays what it was declared as.';

CREATE FUNCTION model_mgr.configuration_digest(configuration jsonb) RETURNS text
AS 'MODULE_PATHNAME', 'mm_configuration_digest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.configuration_digest(jsonb) IS
'"sha256:" and the SHA-256, in hex, of the configuration''s jsonb text in UTF-8. The audit row of a version''s creation holds it.';

CREATE FUNCTION model_mgr.model_configuration(provider text, model_name text, model_version text DEFAULT NULL,
    temperature float8 DEFAULT NULL, max_tokens integer DEFAULT NULL, custom_parameters jsonb DEFAULT '{}',
    resource_requirements jsonb DEFAULT '{}') RETURNS jsonb
AS 'MODULE_PATHNAME', 'mm_model_configuration' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.model_configuration(text, text, text, float8, integer, jsonb, jsonb) IS
'A checked configuration for create_model_version(). provider and model_name (the provider''s name of the model) are required, 1 to 255 bytes; temperature 0 to 2; max_tokens from 1; the last two are objects. What is null is left out. Errors: 22004, 22003 out of range, 22P02 wrong JSON type, 22023 a key that looks like a secret, 42602 and 42622 bad names.';

CREATE FUNCTION model_mgr.create_model_version(model_name text, version text, configuration jsonb,
    description text DEFAULT NULL, tags text[] DEFAULT '{}', parent_version text DEFAULT NULL,
    labels jsonb DEFAULT '{}', artifact_uri text DEFAULT NULL, artifact_digest text DEFAULT NULL,
    created_by text DEFAULT NULL) RETURNS model_mgr.model_version
AS 'MODULE_PATHNAME', 'mm_create_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.create_model_version(text, text, jsonb, text, text[], text, jsonb, text, text, text) IS
'Registers a version, status pending, and the model when it is new. Names have 1 to 255 bytes and no control characters. configuration: provider and model_name are required; temperature 0 to 2, top_p and min_p 0 to 1, top_k from -1, max_tokens from 1, frequency_ and presence_penalty -2 to 2, timeout_seconds 0 to 86400; other keys are kept; keys that look like secrets are refused at any depth. Duplicate tags are dropped. Declaring again gives the same row back. Errors: 42710 when configuration, artifact or parent differ; 23503 parent not of this model; 23514 its own parent; 42939 latest, stable, previous or a leading @; 42602, 42622 bad names; 22004, 22003, 22P02, 22023 bad values.';

CREATE FUNCTION model_mgr.update_model_version(model_name text, version text, description text DEFAULT NULL,
    labels jsonb DEFAULT NULL) RETURNS model_mgr.model_version
AS 'MODULE_PATHNAME', 'mm_update_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.update_model_version(text, text, text, jsonb) IS
'Sets the description and replaces the labels (an object) of a version; what is null stays. Takes @alias. Errors: 42704, 22004, 22P02.';

CREATE FUNCTION model_mgr.tag_model_version(model_name text, version text, tags text[], replace boolean DEFAULT false)
RETURNS model_mgr.model_version
AS 'MODULE_PATHNAME', 'mm_tag_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.tag_model_version(text, text, text[], boolean) IS
'Adds tags behind those there are, or with replace sets exactly these; duplicates are dropped. Tags have 1 to 255 bytes and no control characters. Takes @alias. Errors: 42704, 22004 (also a null tag), 42602, 42622, 22023 more than one dimension.';

CREATE FUNCTION model_mgr.archive_model_version(model_name text, version text, reason text DEFAULT '')
RETURNS model_mgr.model_version
AS 'MODULE_PATHNAME', 'mm_archive_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.archive_model_version(text, text, text) IS
'Puts a version away: archived versions never deploy until mark_version_ready() revives them. The active version can be archived only as the last one of its model, which then serves nobody. Takes @alias. Errors: 55000 while a rollout, pin or segment uses it, 42704, 22004.';

CREATE FUNCTION model_mgr.mark_version_ready(model_name text, version text) RETURNS model_mgr.model_version
AS 'MODULE_PATHNAME', 'mm_mark_version_ready' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.mark_version_ready(text, text) IS
'Says that a version may be deployed; also revives an archived, failed or rolled back one. Takes @alias. Errors: 55000 while it is deploying or active, 42704, 22004.';

CREATE FUNCTION model_mgr.set_model(model_name text, description text DEFAULT NULL, owner text DEFAULT NULL,
    labels jsonb DEFAULT NULL) RETURNS model_mgr.model
AS 'MODULE_PATHNAME', 'mm_set_model' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.set_model(text, text, text, jsonb) IS
'Sets description and owner (free text) and replaces the labels (an object) of a model; what is null stays. Models are made by create_model_version(). Errors: 42704, 22004, 22P02.';

CREATE FUNCTION model_mgr.set_alias(model_name text, alias text, version text) RETURNS void
AS 'MODULE_PATHNAME', 'mm_set_alias' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.set_alias(text, text, text) IS
'Makes the alias name this version (or what another @alias names now), moving it when it exists. Use it as @alias wherever a version is expected. Errors: 42939 latest, stable, previous or a leading @; 42602, 42622 bad names; 42704, 22004.';

CREATE FUNCTION model_mgr.delete_alias(model_name text, alias text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_delete_alias' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.delete_alias(text, text) IS
'Removes an alias (without @); false when the model has none of that name. Errors: 42704 unknown model, 22004.';

CREATE FUNCTION model_mgr.delete_model_version(model_name text, version text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_delete_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.delete_model_version(text, text) IS
'Deletes a version that never served; false when the model has none of that name. Takes @alias. Errors: 55006 when it was ever deployed, routed or pinned to, is a parent or has an alias; 42704 unknown model, 22004.';

CREATE FUNCTION model_mgr.delete_model(model_name text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_delete_model' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.delete_model(text) IS
'Deletes a model with all its versions, aliases, deployments and routing, when each version is archived or never served; false when there is no such model. Observations stay until retention drops them, the audit log for good. Errors: 55006 a version that served is not archived, 22004.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.model', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.model_version', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.model_version_version_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.model_alias', '');
-- 25_audit: every change of state appends one row here, in its own transaction.

CREATE TABLE model_mgr.audit_log (
    audit_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    logged_at timestamptz NOT NULL,         -- real time, whatever model_mgr.clock says
    operation text NOT NULL,
    model_name text,
    version text,
    user_name text NOT NULL,                -- session_user
    caller text NOT NULL,                   -- current_user at the call (the owner for automatic decisions)
    session_id text,
    application_name text,
    client_address text,
    txn bigint NOT NULL,
    details jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE model_mgr.audit_log IS 'Who changed what, from where, with the numbers; append-only.';
CREATE INDEX audit_log_logged_index ON model_mgr.audit_log (logged_at);

-- Holds for the owner and superusers too; who must, disables the trigger, and that shows.
CREATE FUNCTION model_mgr.audit_guard() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_audit_guard' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.audit_guard() IS
'Statement trigger of audit_log: refuses UPDATE, DELETE and TRUNCATE with 55000.';
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON model_mgr.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.audit_guard();
COMMENT ON TRIGGER audit_guard ON model_mgr.audit_log IS 'The log is append-only.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.audit_log_audit_id_seq', '');
-- 30_deployment: rollouts, their steps and the evidence of every decision.

CREATE TABLE model_mgr.deployment (
    deployment_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    version text NOT NULL,
    strategy text NOT NULL CHECK (strategy IN ('replace', 'canary', 'a_b_test', 'blue_green', 'shadow')),
    status text NOT NULL CHECK (status IN ('pending', 'running', 'paused', 'awaiting_approval', 'promoting', 'completed',
        'rolled_back', 'aborted', 'failed')),
    status_reason text,
    traffic_percentage float8 NOT NULL CHECK (traffic_percentage BETWEEN 0 AND 100),
    step integer NOT NULL,                  -- 1 is the first share of steps; 0 before it
    baseline_version text,      -- what served before; NULL for a model's first deployment
    test_id text,
    auto_rollback_enabled boolean NOT NULL,
    rollback_threshold_error_rate float8 NOT NULL,
    rollback_threshold_response_time float8 NOT NULL,
    rollback_min_success_rate float8 NOT NULL,
    rollback_evaluation_window_minutes integer NOT NULL,
    health_criteria jsonb NOT NULL DEFAULT '{}',
    rollout jsonb NOT NULL DEFAULT '{}',    -- every key, defaults filled in: what steers is copied here
    deployed_by text NOT NULL,
    created_at timestamptz NOT NULL,
    step_started_at timestamptz,
    finished_at timestamptz
);
COMMENT ON TABLE model_mgr.deployment IS 'One row a rollout, as callers see it.';
COMMENT ON COLUMN model_mgr.deployment.deployment_id IS 'Number of the deployment.';
COMMENT ON COLUMN model_mgr.deployment.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.deployment.version IS 'The version that is rolled out.';
COMMENT ON COLUMN model_mgr.deployment.strategy IS 'replace, canary, a_b_test, blue_green or shadow.';
COMMENT ON COLUMN model_mgr.deployment.status IS 'pending, running, paused, awaiting_approval, promoting (100 %, baking), completed, rolled_back, aborted or failed.';
COMMENT ON COLUMN model_mgr.deployment.status_reason IS 'Why it is in this status, where there is more to say.';
COMMENT ON COLUMN model_mgr.deployment.traffic_percentage IS 'Share of the traffic now, 0..100; of a shadow, the share of the requests that it sees copies of.';
COMMENT ON COLUMN model_mgr.deployment.step IS 'Number of the step in rollout.steps; 1 is the first.';
COMMENT ON COLUMN model_mgr.deployment.baseline_version IS 'The version that served before; NULL for a first deployment.';
COMMENT ON COLUMN model_mgr.deployment.test_id IS 'The A/B test behind it.';
COMMENT ON COLUMN model_mgr.deployment.auto_rollback_enabled IS 'Whether a broken limit takes the version back by itself.';
COMMENT ON COLUMN model_mgr.deployment.rollback_threshold_error_rate IS 'Limit: requests with an error_type / requests, 0..1.';
COMMENT ON COLUMN model_mgr.deployment.rollback_threshold_response_time IS 'Limit: mean response time in seconds.';
COMMENT ON COLUMN model_mgr.deployment.rollback_min_success_rate IS 'Limit: successes / outcomes whose success is known, 0..1.';
COMMENT ON COLUMN model_mgr.deployment.rollback_evaluation_window_minutes IS 'Minutes that the limits look back.';
COMMENT ON COLUMN model_mgr.deployment.health_criteria IS 'Further criteria.';
COMMENT ON COLUMN model_mgr.deployment.rollout IS 'The effective plan, every key with its value.';
COMMENT ON COLUMN model_mgr.deployment.deployed_by IS 'Who deployed it.';
COMMENT ON COLUMN model_mgr.deployment.created_at IS 'When it was deployed.';
COMMENT ON COLUMN model_mgr.deployment.step_started_at IS 'When the present step began.';
COMMENT ON COLUMN model_mgr.deployment.finished_at IS 'When it reached the status that it ended in.';
CREATE UNIQUE INDEX deployment_one_open_index ON model_mgr.deployment (model_name)
    WHERE status IN ('pending', 'running', 'paused', 'awaiting_approval');
-- What is under way, baking included: looking for it costs the same however many have ended.
CREATE INDEX deployment_live_index ON model_mgr.deployment (model_name)
    WHERE status IN ('pending', 'running', 'paused', 'awaiting_approval', 'promoting');
CREATE INDEX deployment_model_index ON model_mgr.deployment (model_name, deployment_id);

-- What the machinery keeps beside the public row: ids, the call as it was made, and the clockwork's own times.
CREATE TABLE model_mgr.deployment_plan (
    deployment_id bigint PRIMARY KEY,
    model_id bigint NOT NULL,
    version_id bigint NOT NULL,
    baseline_version_id bigint,
    arguments jsonb NOT NULL,               -- as called, to tell a repeat from a different wish
    idempotency_key text,
    bucket_key text NOT NULL,               -- hashed before the unit id
    started_at timestamptz,                 -- requests routed from here on count; NULL while pending
    ended_at timestamptz,                   -- ... and until here
    bake_until timestamptz,
    judged_at timestamptz,
    waiting_for text,
    next_step_at timestamptz,
    awaiting_since timestamptz,             -- awaiting_approval since then
    approved_step integer,                  -- the step that somebody approved, entered or not
    UNIQUE (model_id, idempotency_key)
);
COMMENT ON TABLE model_mgr.deployment_plan IS 'The machinery''s side of a deployment.';
CREATE INDEX deployment_plan_model_index ON model_mgr.deployment_plan (model_id, started_at);
CREATE INDEX deployment_plan_version_index ON model_mgr.deployment_plan (version_id);

CREATE TABLE model_mgr.deployment_step (
    deployment_id bigint NOT NULL,
    step integer NOT NULL,
    traffic_percentage float8 NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (deployment_id, step)
);
COMMENT ON TABLE model_mgr.deployment_step IS 'When each step of a rollout began.';

-- "time" and "position" are the contract's column names.
CREATE TABLE model_mgr.deployment_event (
    deployment_event_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    deployment_id bigint NOT NULL,
    "time" timestamptz NOT NULL,
    status text NOT NULL,
    traffic_percentage float8 NOT NULL,
    what text NOT NULL,                     -- plain words
    metric_name text,
    value float8,
    limit_value float8,
    samples bigint,
    evidence jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE model_mgr.deployment_event IS 'Every transition and verdict of a rollout with the numbers it was made on.';
CREATE INDEX deployment_event_deployment_index ON model_mgr.deployment_event (deployment_id, deployment_event_id);

CREATE TABLE model_mgr.deployment_freeze (
    model_id bigint PRIMARY KEY,
    model_name text NOT NULL,
    frozen_until timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    frozen_by text NOT NULL,
    frozen_at timestamptz NOT NULL
);
COMMENT ON TABLE model_mgr.deployment_freeze IS 'Models whose rollouts take no automatic step until a time.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment_deployment_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment_plan', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment_step', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment_freeze', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment_event', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.deployment_event_deployment_event_id_seq', '');

CREATE FUNCTION model_mgr.deploy_model_version(
    model_name text, version text, strategy text DEFAULT NULL, deployed_by text DEFAULT NULL,
    traffic_percentage float8 DEFAULT NULL, auto_rollback_enabled boolean DEFAULT true,
    rollback_threshold_error_rate float8 DEFAULT 0.10, rollback_threshold_response_time float8 DEFAULT 10.0,
    rollback_min_success_rate float8 DEFAULT 0.95, rollback_evaluation_window_minutes integer DEFAULT 10,
    health_criteria jsonb DEFAULT '{}', rollout jsonb DEFAULT '{}', idempotency_key text DEFAULT NULL,
    supersede boolean DEFAULT false
) RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_deploy_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.deploy_model_version(text, text, text, text, float8, boolean, float8, float8, float8, integer, jsonb, jsonb, text, boolean) IS
'Begins a rollout of a version (or @alias) and returns its row.
strategy (NULL: model_mgr.default_deployment_strategy): canary (steps of the traffic), replace (all at once, then bakes), blue_green (no traffic, reachable by pins and preview_segment, then all at once), a_b_test or ab_test (a share, until its test says who has won), shadow (serves nobody: route() names it beside).
traffic_percentage: a canary''s first step, an A/B test''s share (50) or a shadow''s (100), above 0 to 100, multiples of 0.01; none for replace and blue_green.
Limits: rates 0..1, response time in seconds, window in minutes 1..10080. health_criteria: {"p95_response_time": {"max": 2.0, "max_ratio": 1.2}}: min, max, min_ratio, max_ratio (to the baseline) of any metric.
rollout: steps [10, ..., 100], step_seconds 600, min_requests 100, warmup_seconds 0, max_step_seconds none, on_timeout hold (rollback), approval none (each_step, final), approval_timeout_seconds none, guard sequential (off), guard_margin {"success_rate": 0.01, "error_rate": 0.01, "response_time": {"relative": 0.1}}, on_sample_ratio warn (hold, rollback), bake_seconds, salt fresh (sticky), start_at, preview_segment (a condition, or a segment''s name), test (arguments of create_test).
A model''s first deployment is active at once, or at start_at. A repeat gives the earlier row back. Errors: 42704 unknown model, version or segment, 55000 archived version, 55006 another rollout runs, 22003 out of range, 22023 bad word or combination, 22P02 malformed, 54000 over 100 steps or 50 criteria, 0A000 validation_rules.';

CREATE FUNCTION model_mgr.promote_deployment(deployment_id bigint, all_steps boolean DEFAULT false) RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_promote_deployment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.promote_deployment(bigint, boolean) IS
'Takes a running or paused rollout''s next step now (all_steps: to 100 %), without waiting for time, requests or preview traffic; begins a pending one; concludes a shadow. A limit, criterion or guard that breaks rolls back instead; an approval that is asked for must be there. Errors: 42704 unknown deployment, 55000 wrong state or not approved.';

CREATE FUNCTION model_mgr.approve_step(deployment_id bigint, note text DEFAULT '') RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_approve_step' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.approve_step(bigint, text) IS
'Approves, as session_user, the next step of a rollout that asks for it (rollout key approval); the tick takes the step when all the rest allows it. May be said before the rollout waits for it. Errors: 42704 unknown deployment, 55000 wrong state or no approval asked for.';

CREATE FUNCTION model_mgr.pause_deployment(deployment_id bigint, reason text DEFAULT '') RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_pause_deployment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.pause_deployment(bigint, text) IS
'Keeps a rollout that runs or awaits approval at its share until resumed or promoted; it is judged on. Errors: 42704 unknown deployment, 55000 wrong state.';

CREATE FUNCTION model_mgr.resume_deployment(deployment_id bigint) RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_resume_deployment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.resume_deployment(bigint) IS
'Lets a paused rollout go on; the time of its step went on meanwhile; an approval is asked for again. Errors: 42704 unknown deployment, 55000 wrong state.';

CREATE FUNCTION model_mgr.abort_deployment(deployment_id bigint, reason text DEFAULT '') RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_abort_deployment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.abort_deployment(bigint, text) IS
'Ends a rollout below 100 %: all traffic returns to the baseline, the version becomes inactive; one that has not begun leaves it as it was. Errors: 42704 unknown deployment, 55000 baking or ended (use rollback_model).';

CREATE FUNCTION model_mgr.adjust_deployment(deployment_id bigint, changes jsonb, reason text DEFAULT NULL) RETURNS model_mgr.deployment
AS 'MODULE_PATHNAME', 'mm_adjust_deployment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.adjust_deployment(bigint, jsonb, text) IS
'Changes limits (auto_rollback_enabled, rollback_*), health_criteria (all of them) and rollout keys of a rollout under way; null means the default. Steps taken already, the salt, and of one that has begun start_at and test stay. Errors: 42704 unknown deployment, 55000 ended, 22003, 22023, 22P02 as in deploy_model_version.';

CREATE FUNCTION model_mgr.open_deployment(model_name text) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_open_deployment' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.open_deployment(text) IS
'deployment_id of the model''s rollout below 100 %, else of the baking one. Errors: 42704 unknown model, 55000 none.';

CREATE FUNCTION model_mgr.freeze(model_name text, until timestamptz, reason text DEFAULT '') RETURNS void
AS 'MODULE_PATHNAME', 'mm_freeze' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.freeze(text, timestamptz, text) IS
'Stops automatic steps of the model''s rollouts, and their scheduled beginnings, until a time (''infinity'': further notice); now() ends it. Judging and rollbacks go on, and people may promote. The last call counts. Errors: 22004 NULL, 42704 unknown model.';

CREATE FUNCTION model_mgr.rollback_model(model_name text, target_version text DEFAULT NULL, reason text DEFAULT '') RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_rollback_model' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.rollback_model(text, text, text) IS
'Takes a version back at once: without a target an open rollout returns to its baseline, else the last deployment is taken back; with one (version or @alias) that version serves; never one that was rolled back or failed. False: already there. Errors: 42704 unknown model or version, 55000 nothing to roll back to, or a version that may not serve.';

CREATE FUNCTION model_mgr.get_deployment(deployment_id bigint) RETURNS SETOF model_mgr.deployment
LANGUAGE SQL STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(get_deployment.deployment_id::text, 'deployment_id');
    SELECT d.* FROM model_mgr.deployment d WHERE d.deployment_id = get_deployment.deployment_id;
END;
COMMENT ON FUNCTION model_mgr.get_deployment(bigint) IS 'The deployment''s row; no row when unknown. Errors: 22004.';

CREATE FUNCTION model_mgr.list_deployments(model_name text DEFAULT NULL, status text DEFAULT NULL) RETURNS SETOF model_mgr.deployment
LANGUAGE SQL STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.* FROM model_mgr.deployment d
    WHERE (list_deployments.model_name IS NULL OR d.model_name = list_deployments.model_name)
      AND (list_deployments.status IS NULL OR d.status = list_deployments.status)
    ORDER BY d.deployment_id;
END;
COMMENT ON FUNCTION model_mgr.list_deployments(text, text) IS
'Deployments in the order they began, of one model and in one status; NULL: of all.';

CREATE FUNCTION model_mgr.explain_deployment(deployment_id bigint)
RETURNS TABLE ("time" timestamptz, status text, traffic_percentage float8, what text, metric_name text, value float8,
               limit_value float8, samples bigint, evidence jsonb)
LANGUAGE SQL STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(explain_deployment.deployment_id::text, 'deployment_id');
    SELECT e."time", e.status, e.traffic_percentage, e.what, e.metric_name, e.value, e.limit_value, e.samples, e.evidence
    FROM model_mgr.deployment_event e WHERE e.deployment_id = explain_deployment.deployment_id
    ORDER BY e.deployment_event_id;
END;
COMMENT ON FUNCTION model_mgr.explain_deployment(bigint) IS
'What happened to a deployment and why, in order, with the numbers that each decision was made on; no row when unknown. Errors: 22004.';

CREATE FUNCTION model_mgr.replay_evidence(evidence jsonb) RETURNS text
AS 'MODULE_PATHNAME', 'mm_replay_evidence' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.replay_evidence(jsonb) IS
'What the rules say of the evidence of a line of explain_deployment(), computed again from its numbers alone: the same as evidence ->> ''decision'', as in ''roll_back (limit success_rate)'' or ''hold (min_requests)''. NULL for NULL. Errors: 22023 no evidence of a decision, 22P02 or 22003 malformed.';

CREATE FUNCTION model_mgr.rollout_status(of_deployment bigint DEFAULT NULL)
RETURNS TABLE (deployment_id bigint, "position" integer, rule text, metric_name text, candidate_value float8, baseline_value float8,
               limit_value float8, verdict text, samples bigint, samples_needed bigint, sample_ratio_p_value float8,
               next_step_at timestamptz, waiting_for text, step_samples bigint)
AS 'MODULE_PATHNAME', 'mm_rollout_status' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION model_mgr.rollout_status(bigint) IS
'How an open or baking deployment (NULL: each of them) would be judged now: a row for each limit, each bound of health_criteria, and each metric of the guard (rule: limit, criterion, guard; a guard''s limit_value is the edge of what is harmless, and it passes unless it convicts). deployment_list and canary_status show it.';

CREATE VIEW model_mgr.deployment_list AS
SELECT d.*, s.waiting_for, s.next_step_at, s.step_samples AS samples
FROM model_mgr.deployment d
LEFT JOIN model_mgr.rollout_status(NULL) s ON s.deployment_id = d.deployment_id AND s."position" = 1;
COMMENT ON VIEW model_mgr.deployment_list IS
'Deployments; of those under way also what they wait for, when time allows the next step, and the known outcomes of this step.';
COMMENT ON COLUMN model_mgr.deployment_list.deployment_id IS 'For the verbs: promote_deployment() and so on.';
COMMENT ON COLUMN model_mgr.deployment_list.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.deployment_list.version IS 'The version that is rolled out.';
COMMENT ON COLUMN model_mgr.deployment_list.strategy IS 'Replace, canary, a_b_test, blue_green or shadow.';
COMMENT ON COLUMN model_mgr.deployment_list.status IS 'Pending, running, paused, awaiting_approval, promoting (100 %, baking), completed, rolled_back, aborted, failed.';
COMMENT ON COLUMN model_mgr.deployment_list.status_reason IS 'Why it is in that status, in words.';
COMMENT ON COLUMN model_mgr.deployment_list.traffic_percentage IS 'Share of the units that the version serves now, 0..100; of a shadow, the share that it sees copies of.';
COMMENT ON COLUMN model_mgr.deployment_list.step IS 'Which of rollout ->> steps is in force, from 1; 0 before the first.';
COMMENT ON COLUMN model_mgr.deployment_list.baseline_version IS 'What served before; NULL for a model''s first deployment.';
COMMENT ON COLUMN model_mgr.deployment_list.test_id IS 'The A/B test of strategy a_b_test; NULL for others.';
COMMENT ON COLUMN model_mgr.deployment_list.auto_rollback_enabled IS 'Whether a broken limit rolls back.';
COMMENT ON COLUMN model_mgr.deployment_list.rollback_threshold_error_rate IS 'Highest error rate allowed, 0..1.';
COMMENT ON COLUMN model_mgr.deployment_list.rollback_threshold_response_time IS 'Highest mean response time allowed, seconds.';
COMMENT ON COLUMN model_mgr.deployment_list.rollback_min_success_rate IS 'Lowest success rate allowed, 0..1.';
COMMENT ON COLUMN model_mgr.deployment_list.rollback_evaluation_window_minutes IS 'Minutes that the limits look back.';
COMMENT ON COLUMN model_mgr.deployment_list.health_criteria IS 'Criteria beside the limits.';
COMMENT ON COLUMN model_mgr.deployment_list.rollout IS 'The plan, every key with its default filled in.';
COMMENT ON COLUMN model_mgr.deployment_list.deployed_by IS 'Who deployed.';
COMMENT ON COLUMN model_mgr.deployment_list.created_at IS 'When it was deployed.';
COMMENT ON COLUMN model_mgr.deployment_list.step_started_at IS 'When the present step began.';
COMMENT ON COLUMN model_mgr.deployment_list.finished_at IS 'When it ended; NULL while under way.';
COMMENT ON COLUMN model_mgr.deployment_list.waiting_for IS 'What the next step waits for and until when: the rollout key or verb, a colon, and plain words; NULL when it has ended.';
COMMENT ON COLUMN model_mgr.deployment_list.next_step_at IS 'When time allows the next step; outcomes and verdict must too.';
COMMENT ON COLUMN model_mgr.deployment_list.samples IS 'Known outcomes of the version in the present step.';

CREATE VIEW model_mgr.canary_status AS
SELECT d.deployment_id, d.model_name, d.version, d.baseline_version, d.traffic_percentage, s.metric_name, s.candidate_value,
       s.baseline_value, s.limit_value, s.verdict, s.samples, s.samples_needed, s.sample_ratio_p_value,
       s.next_step_at, s.waiting_for
FROM model_mgr.rollout_status(NULL) s JOIN model_mgr.deployment d ON d.deployment_id = s.deployment_id
WHERE s.rule <> 'guard'
ORDER BY s.deployment_id, s."position";
COMMENT ON VIEW model_mgr.canary_status IS 'Rollouts under way, one row a limit and bound of health_criteria: both sides'' values, the limit and the verdict now. rollout_status() has the guard''s numbers too.';
COMMENT ON COLUMN model_mgr.canary_status.deployment_id IS 'The rollout.';
COMMENT ON COLUMN model_mgr.canary_status.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.canary_status.version IS 'The candidate.';
COMMENT ON COLUMN model_mgr.canary_status.baseline_version IS 'What it is compared with.';
COMMENT ON COLUMN model_mgr.canary_status.traffic_percentage IS 'Share of the candidate now, 0..100.';
COMMENT ON COLUMN model_mgr.canary_status.metric_name IS 'Success_rate, error_rate, response_time, or the metric of a health criterion as it was written there.';
COMMENT ON COLUMN model_mgr.canary_status.candidate_value IS 'The candidate''s value in the evaluation window, or since the step began when the window is too thin; NULL without samples.';
COMMENT ON COLUMN model_mgr.canary_status.baseline_value IS 'The baseline''s in the same time.';
COMMENT ON COLUMN model_mgr.canary_status.limit_value IS 'What the candidate''s value is compared with, in the metric''s unit; NULL: a ratio without a baseline''s value.';
COMMENT ON COLUMN model_mgr.canary_status.verdict IS 'Pass, fail, wait (too few samples) or inconclusive (nothing to compare with).';
COMMENT ON COLUMN model_mgr.canary_status.samples IS 'Samples of the candidate behind the value.';
COMMENT ON COLUMN model_mgr.canary_status.samples_needed IS 'Samples from which on the verdict counts.';
COMMENT ON COLUMN model_mgr.canary_status.sample_ratio_p_value IS 'Always-valid p-value of outcomes arriving in the proportion of the shares; an alarm at 0.001 and below. 1 without requests.';
COMMENT ON COLUMN model_mgr.canary_status.next_step_at IS 'When time allows the next step.';
COMMENT ON COLUMN model_mgr.canary_status.waiting_for IS 'What the next step waits for and until when: the rollout key or verb, a colon, and plain words.';
-- 40_routing: what route() reads, and who served whom at any time.

-- One row a model, written only by routing_set() of src/pg/routing_store.c; the hot path reads it once a change.
CREATE TABLE model_mgr.routing (
    model_name text PRIMARY KEY,
    model_id bigint NOT NULL UNIQUE,
    revision bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    salt text NOT NULL,                     -- this model's own, random
    stable_version_id bigint,               -- NULL: nothing active
    stable_version text,
    deployment_id bigint,                   -- the one that requests are credited to: below 100 % or baking
    step integer NOT NULL DEFAULT 0,
    candidate_version_id bigint,            -- only below 100 %
    candidate_version text,
    candidate_weight integer NOT NULL DEFAULT 0 CHECK (candidate_weight BETWEEN 0 AND 10000),
    bucket_key text,                        -- salt || deployment id, or the salt alone (sticky)
    bucket_rule text NOT NULL DEFAULT 'flagd2',
    watched boolean NOT NULL DEFAULT false, -- an automatic limit looks on: recordings trigger evaluations
    segments jsonb NOT NULL DEFAULT '[]',   -- [{"segment", "condition", "version", "version_id"}], in order of creation
    pin_hashes bigint[] NOT NULL DEFAULT '{}',      -- keyed unit hashes, ascending
    pin_version_ids bigint[] NOT NULL DEFAULT '{}',
    pin_versions text[] NOT NULL DEFAULT '{}',
    thresholds boolean NOT NULL DEFAULT false,  -- the model has thresholds: recordings trigger looks at them
    shadow_version_id bigint,               -- called by the application beside the stable one; serves nobody
    shadow_version text,
    shadow_weight integer NOT NULL DEFAULT 0 CHECK (shadow_weight BETWEEN 0 AND 10000),     -- of the units, by bucket_key
    preview jsonb                           -- condition: contexts that meet it reach the candidate, at any weight
);
COMMENT ON TABLE model_mgr.routing IS 'What route() reads: one row a model.';

CREATE TABLE model_mgr.routing_history (
    model_id bigint NOT NULL,
    revision bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    stable_version_id bigint,
    stable_version text,
    deployment_id bigint,
    step integer NOT NULL,
    candidate_version_id bigint,
    candidate_version text,
    candidate_weight integer NOT NULL,
    bucket_key text,
    bucket_rule text NOT NULL,
    segments jsonb NOT NULL,
    shadow_version_id bigint,
    shadow_version text,
    shadow_weight integer NOT NULL,
    preview jsonb,
    PRIMARY KEY (model_id, revision)
);
COMMENT ON TABLE model_mgr.routing_history IS 'Every routing a model ever had (its pins are in routing_pin): answers who served a unit at a time.';
CREATE INDEX routing_history_time_index ON model_mgr.routing_history (model_id, changed_at, revision);

CREATE TABLE model_mgr.routing_pin (
    routing_pin_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_id bigint NOT NULL,
    unit_hash bigint NOT NULL,
    version_id bigint NOT NULL,
    version text NOT NULL,
    pinned_by text NOT NULL,
    first_revision bigint NOT NULL,         -- in force from this revision of the model's routing ...
    last_revision bigint                    -- ... up to and without this one; NULL: still
);
COMMENT ON TABLE model_mgr.routing_pin IS 'Pinned units, by keyed hash, with the revisions of the routing they were in force for.';
CREATE UNIQUE INDEX routing_pin_now_index ON model_mgr.routing_pin (model_id, unit_hash) WHERE last_revision IS NULL;
CREATE INDEX routing_pin_unit_index ON model_mgr.routing_pin (model_id, unit_hash);

-- Empty for ever: its relation cache entry is the messenger of routing changes (see src/pg/routing_cache.c).
CREATE TABLE model_mgr.routing_signal ();
COMMENT ON TABLE model_mgr.routing_signal IS 'Carries cache messages; holds no rows.';

-- The keyed hash that hides unit ids. A restored key is older than the one made here and wins.
CREATE TABLE model_mgr.unit_key (
    installed_at timestamptz PRIMARY KEY,
    key bytea NOT NULL CHECK (pg_catalog.length(key) = 16)
);
COMMENT ON TABLE model_mgr.unit_key IS 'Key of this installation for unit hashes and decisions; the oldest row counts; only the owner reads it.';
INSERT INTO model_mgr.unit_key
VALUES (pg_catalog.clock_timestamp(), pg_catalog.decode(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 'hex'));

SELECT pg_catalog.pg_extension_config_dump('model_mgr.routing', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.routing_history', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.routing_pin', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.routing_pin_routing_pin_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.unit_key',
    'WHERE installed_at = (SELECT pg_catalog.min(k.installed_at) FROM model_mgr.unit_key k)');

CREATE FUNCTION model_mgr.routing_signal() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_routing_signal' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.routing_signal() IS 'Trigger: sends the cache message that tells every backend to look at its routing again.';

-- ENABLE ALWAYS: also where rows arrive by logical replication or with session_replication_role = replica, where only
-- row triggers and TRUNCATE triggers of that kind fire. The statement triggers send one message for a bulk change.
CREATE TRIGGER routing_signal_statement AFTER INSERT OR UPDATE OR DELETE ON model_mgr.routing
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.routing_signal();
CREATE TRIGGER routing_signal_row AFTER INSERT OR UPDATE OR DELETE ON model_mgr.routing
    FOR EACH ROW EXECUTE FUNCTION model_mgr.routing_signal();
CREATE TRIGGER routing_signal_truncate AFTER TRUNCATE ON model_mgr.routing
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.routing_signal();
ALTER TABLE model_mgr.routing ENABLE ALWAYS TRIGGER routing_signal_row;
ALTER TABLE model_mgr.routing ENABLE ALWAYS TRIGGER routing_signal_truncate;

-- A version that is deleted before it served may come back under the same name with another id.
CREATE TRIGGER routing_signal_row AFTER DELETE ON model_mgr.model_version
    FOR EACH ROW EXECUTE FUNCTION model_mgr.routing_signal();
CREATE TRIGGER routing_signal_truncate AFTER TRUNCATE ON model_mgr.model_version
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.routing_signal();
ALTER TABLE model_mgr.model_version ENABLE ALWAYS TRIGGER routing_signal_row;
ALTER TABLE model_mgr.model_version ENABLE ALWAYS TRIGGER routing_signal_truncate;

-- A restore brings its own key.
CREATE TRIGGER routing_signal_row AFTER INSERT OR UPDATE OR DELETE ON model_mgr.unit_key
    FOR EACH ROW EXECUTE FUNCTION model_mgr.routing_signal();
CREATE TRIGGER routing_signal_truncate AFTER TRUNCATE ON model_mgr.unit_key
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.routing_signal();
ALTER TABLE model_mgr.unit_key ENABLE ALWAYS TRIGGER routing_signal_row;
ALTER TABLE model_mgr.unit_key ENABLE ALWAYS TRIGGER routing_signal_truncate;

CREATE FUNCTION model_mgr.unit_hash(unit_id text) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_unit_hash' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.unit_hash(text) IS 'Keyed 64-bit hash of a unit id, for direct INSERT into observation. NULL and the empty text are no unit: NULL.';

CREATE FUNCTION model_mgr.route(model_name text, unit_id text DEFAULT NULL, context jsonb DEFAULT NULL,
    OUT flag_key text, OUT value text, OUT variant text, OUT reason text, OUT error_code text, OUT error_message text,
    OUT version_id bigint, OUT deployment_id bigint, OUT test_id text, OUT configuration jsonb, OUT decision text,
    OUT shadow_version text, OUT shadow_decision text)
AS 'MODULE_PATHNAME', 'mm_route' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.route(text, text, jsonb) IS
    'Which version serves this unit, always one row: pin, segment (conditions on context), preview of a rollout, rollout split, stable. value: the version; reason: STATIC, SPLIT, DEFAULT (no unit), TARGETING_MATCH (pin, segment, preview), DISABLED (nothing active: value NULL), ERROR with error_code FLAG_NOT_FOUND (no such model: value NULL). decision: hand it back to record_outcome(). shadow_version: a version to call beside, never to show, NULL for none; its outcome goes to record_outcome() with shadow_decision, which has the same request number. 22004: model_name NULL; 22P02: context is not a JSON object.';

CREATE FUNCTION model_mgr.route_version(model_name text, unit_id text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'mm_route_version' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.route_version(text, text) IS
    'The version that route() without context names, alone; NULL for an unknown model or when nothing is active. The fastest call. 22004: model_name NULL.';

CREATE FUNCTION model_mgr.bucket(key text, unit_id text, total integer DEFAULT 10000) RETURNS integer
AS 'MODULE_PATHNAME', 'mm_bucket' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.bucket(text, text, integer) IS
    'Bucket of a unit, 0 to total - 1: (MurmurHash3 x86 32-bit of key || unit_id, seed 0) * total >> 32, as flagd computes it. 22004: key or unit_id NULL; 22003: total below 1.';

CREATE FUNCTION model_mgr.route_at(model_name text, unit_id text DEFAULT NULL, at timestamptz DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'mm_route_at' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.route_at(text, text, timestamptz) IS
    'The version that route() without context named for this unit at that time (NULL: now), from the history; NULL for an unknown model or when nothing was active. 22004: model_name NULL.';

CREATE FUNCTION model_mgr.explain_route(model_name text, unit_id text DEFAULT NULL, context jsonb DEFAULT NULL)
RETURNS TABLE ("position" integer, rule text, matched boolean, bucket integer, bucket_limit integer, version text,
    detail text)
AS 'MODULE_PATHNAME', 'mm_explain_route' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 4;
COMMENT ON FUNCTION model_mgr.explain_route(text, text, jsonb) IS
    'One row a rule that route() looks at, in order (pin, segment, preview, rollout, stable) up to the one that decides, with its verdict; behind a stable that decides, shadow: what is called beside and serves nobody; bucket and bucket_limit in 1/10000. No row for an unknown model. 22004: model_name NULL; 22P02: context is not a JSON object.';

CREATE FUNCTION model_mgr.pin_unit(model_name text, unit_id text, version text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_pin_unit' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.pin_unit(text, text, text) IS
    'Lets this version serve one unit whatever else is in force; true when that is a change. version: text or @alias, of any status but archived. 22004: NULL; 22023: empty unit_id; 42704: unknown model or version; 55000: archived version; 54000: the model has 1,000 pins.';

CREATE FUNCTION model_mgr.unpin_unit(model_name text, unit_id text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_unpin_unit' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.unpin_unit(text, text) IS
    'Takes a pin back; false when the unit was not pinned. 22004: NULL; 22023: empty unit_id; 42704: unknown model.';

CREATE FUNCTION model_mgr.set_segment(model_name text, segment text, condition jsonb, version text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_set_segment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.set_segment(text, text, jsonb, text) IS
    'Lets a version serve all requests whose context meets a condition; true when that is a change. Conditions: {"country": "DE"}, {"country": {"in": ["DE", "FR"]}, "age": {">=": 18}} (keys are ANDed), {"any": [...]}, {"all": [...]}, {"not": {...}}; operators =, !=, <, <=, >, >=, in, prefix; a missing key is false. The first segment that holds decides, in order of creation. 22004: NULL; 22023: bad condition, DETAIL names the path; 42602, 42622: segment name; 42704: unknown model or version; 55000: archived version; 54000: 100 segments, or a condition of more than 1,000 tests.';

CREATE FUNCTION model_mgr.drop_segment(model_name text, segment text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_drop_segment' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.drop_segment(text, text) IS
    'Takes a segment back; false when there was none of that name. 22004: NULL; 42704: unknown model.';

CREATE FUNCTION model_mgr.shadow_pairs(deployment_id bigint)
RETURNS TABLE (since timestamptz, pairs bigint, both_good bigint, only_baseline_good bigint, only_candidate_good bigint,
    both_bad bigint, success_difference float8, success_p_value float8, response_time_pairs bigint,
    response_time_difference float8, response_time_p_value float8)
AS 'MODULE_PATHNAME', 'mm_shadow_pairs' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION model_mgr.shadow_pairs(bigint) IS
    'A shadow rollout''s outcomes in pairs of the same request, both versions'' truth known: how often both, one or neither succeeded, the difference of success rates (candidate less baseline) with McNemar''s p-value, and the mean difference of response times (seconds) with that of the paired t-test. Requests routed since the rollout''s step began (after its warm-up), outcomes that arrived until now or its end; of very busy times the newest minutes alone, see since. No row for what is no shadow or has not begun; NULL where there are too few pairs. 22004: deployment_id NULL.';
-- 50_observation: outcomes (append-only, by day), recording them, and keeping their partitions.

CREATE FUNCTION model_mgr.clock_time() RETURNS timestamptz
AS 'MODULE_PATHNAME', 'mm_clock_time' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.clock_time() IS 'The extension''s "now": model_mgr.clock when set, else the real time.';

CREATE FUNCTION model_mgr.current_txn() RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_current_txn' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.current_txn() IS 'Key of the current transaction in observation.txn: era << 48 | full top-level transaction id.';

-- How far the rollups have come. A restored row is older than the one made here and wins.
CREATE TABLE model_mgr.rollup_state (
    installed_at timestamptz PRIMARY KEY,
    era integer NOT NULL,                   -- grows with every restore into another cluster
    system_identifier bigint NOT NULL,      -- of the cluster that the watermark's transaction ids belong to
    next_txn bigint NOT NULL,               -- every txn below is folded, but those in progress then:
    in_progress bigint[] NOT NULL DEFAULT '{}',
    folded_at timestamptz,
    pages bigint NOT NULL DEFAULT 0,        -- of all partitions when the last fold began: tells a small backlog without reading it
    hours_until timestamptz NOT NULL DEFAULT '-infinity',  -- minutes before are in the hours too; a multiple of 15 minutes
    minutes_from timestamptz NOT NULL DEFAULT '-infinity'  -- minutes before are in the hours alone, or about to be; a whole hour
);
COMMENT ON TABLE model_mgr.rollup_state IS 'Era and watermark of the rollups: one row that counts, the oldest.';

CREATE FUNCTION model_mgr.rollup_state_changed() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_rollup_state_changed' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.rollup_state_changed() IS 'Trigger: makes every session read the era again.';
-- Folds update neither of the two columns; restores and adoption do.
CREATE TRIGGER rollup_state_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF era, system_identifier
    ON model_mgr.rollup_state FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.rollup_state_changed();
ALTER TABLE model_mgr.rollup_state ENABLE ALWAYS TRIGGER rollup_state_changed;

CREATE TABLE model_mgr.observation (
    recorded_at timestamptz NOT NULL DEFAULT model_mgr.clock_time(),
    routed_at timestamptz,                  -- NULL: when it was recorded
    txn bigint NOT NULL DEFAULT model_mgr.current_txn(),
    version_id bigint,
    deployment_id bigint,                   -- the rollout that route() was in; NULL: the version decides
    step integer,
    test_no bigint,
    arm smallint,                           -- 0 stable or control, 1 candidate or treatment, 2.. further arms; NULL: not drawn
    unit_hash bigint,
    request bigint,
    success boolean,                        -- NULL: not known yet
    response_time float8,                   -- seconds
    confidence float8,                      -- 0..1
    cost float8,                            -- the caller's own unit of money
    input_tokens bigint,
    output_tokens bigint,
    error_type text,
    feedback boolean NOT NULL DEFAULT false,    -- late truth of a request recorded before: no further request
    metrics jsonb,
    CONSTRAINT observation_credited CHECK (version_id IS NOT NULL OR (test_no IS NOT NULL AND arm IS NOT NULL)),
    -- Sums must stay sums: no NaN, no infinity, and nothing that adds up to one gets in (NaN sorts above all). One sum
    -- that overflows would stop every fold.
    CONSTRAINT observation_values CHECK (isfinite(recorded_at) AND recorded_at >= '4713-01-01 00:00:00+00 BC' AND response_time >= 0 AND response_time <= 1e100
        AND confidence >= 0 AND confidence <= 1 AND cost >= 0 AND cost <= 1e100
        AND input_tokens >= 0 AND output_tokens >= 0)
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE model_mgr.observation IS 'One row a request outcome or late feedback; append-only; INSERT and COPY are the bulk path.';

-- No vacuum for inserts alone, here and in the partitions of days: nothing is to be gained in what is only appended to, and
-- while it runs its lock keeps the fold from summarising block ranges, so that every look reads what has come since.
CREATE TABLE model_mgr.observation_default PARTITION OF model_mgr.observation DEFAULT
    WITH (autovacuum_vacuum_insert_threshold = -1);
COMMENT ON TABLE model_mgr.observation_default IS 'Safety net for days without a partition; drained by maintain().';
-- Indexes belong to the partitions, not to the parent: a dump could not attach those of partitions made at run time to
-- indexes that CREATE EXTENSION made and the restored ATTACH has already filled in.
CREATE INDEX observation_default_recorded_index ON model_mgr.observation_default USING brin (recorded_at) WITH (autosummarize = on);
CREATE INDEX observation_default_txn_index ON model_mgr.observation_default USING brin (txn) WITH (autosummarize = on);

-- Recordings make their model's rollout be looked at, about once a second a model; the body runs at commit.
CREATE FUNCTION model_mgr.evaluation_due(version_id bigint, recorded_at timestamptz) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_evaluation_due' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.evaluation_due(bigint, timestamptz) IS
    'Condition of the trigger on observation: true about once a second for a model whose rollout an automatic limit looks at.';
CREATE FUNCTION model_mgr.enforce() RETURNS trigger
AS 'MODULE_PATHNAME', 'mm_enforce' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.enforce() IS
    'Trigger on observation: evaluates the rollout of the row''s model at commit and rolls a bad version back; never makes the recording fail.';
CREATE CONSTRAINT TRIGGER observation_enforcement AFTER INSERT ON model_mgr.observation DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (model_mgr.evaluation_due(NEW.version_id, NEW.recorded_at)) EXECUTE FUNCTION model_mgr.enforce();

SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_state',
    'WHERE installed_at = (SELECT pg_catalog.min(r.installed_at) FROM model_mgr.rollup_state r)');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.observation_default', '');

INSERT INTO model_mgr.rollup_state (installed_at, era, system_identifier, next_txn)
SELECT pg_catalog.clock_timestamp(), 0, c.system_identifier, 0 FROM pg_catalog.pg_control_system() c;

CREATE FUNCTION model_mgr.update_model_metrics(model_name text, version text, response_time float8 DEFAULT NULL,
    success boolean DEFAULT NULL, confidence float8 DEFAULT NULL, cost float8 DEFAULT NULL, input_tokens bigint DEFAULT NULL,
    output_tokens bigint DEFAULT NULL, error_type text DEFAULT NULL, unit_id text DEFAULT NULL, recorded_at timestamptz DEFAULT NULL,
    metrics jsonb DEFAULT '{}', routed_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_update_model_metrics' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.update_model_metrics(text, text, float8, boolean, float8, float8, bigint, bigint, text, text, timestamptz, jsonb, timestamptz) IS
    'Records one request that a version served. response_time in seconds (0 and up), confidence 0 to 1, cost and tokens 0 and up, metrics an object of numbers; NULL: not known (yet). recorded_at lies within retention_days back and a day ahead (22003). 42704: unknown model or version.';

CREATE FUNCTION model_mgr.record_outcome(decision text, success boolean DEFAULT NULL, response_time float8 DEFAULT NULL,
    confidence float8 DEFAULT NULL, cost float8 DEFAULT NULL, input_tokens bigint DEFAULT NULL, output_tokens bigint DEFAULT NULL,
    error_type text DEFAULT NULL, metrics jsonb DEFAULT '{}', recorded_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_record_outcome' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_outcome(text, boolean, float8, float8, float8, bigint, bigint, text, jsonb, timestamptz) IS
    'Records the outcome of one routed request, credited to what its decision (from route()) says served it. success NULL: the truth comes later by record_feedback(). Ranges as update_model_metrics(); 22P02: damaged or foreign decision.';

CREATE FUNCTION model_mgr.record_feedback(decision text, success boolean DEFAULT NULL, metrics jsonb DEFAULT '{}',
    recorded_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_record_feedback' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_feedback(text, boolean, jsonb, timestamptz) IS
    'Records the late truth of a request whose outcome was recorded with success NULL; counts no further request. 22P02: damaged or foreign decision.';

CREATE FUNCTION model_mgr.record_outcomes(outcomes jsonb, skip_bad boolean DEFAULT false) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_record_outcomes' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_outcomes(jsonb, boolean) IS
    'Records an array of objects with the keys of record_outcome() or update_model_metrics(), or of record_feedback() and "feedback": true; returns the rows written. All or nothing, unless skip_bad leaves bad elements out. 22023: unknown or missing key; 22P02: malformed value; 54000: over 256 MB.';

CREATE FUNCTION model_mgr.maintenance_tasks() RETURNS SETOF text
AS 'MODULE_PATHNAME', 'mm_maintenance_tasks' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.maintenance_tasks() IS 'What maintain() would do now: one text a task, in order.';
CREATE FUNCTION model_mgr.maintenance_run(task text) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_maintenance_run' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.maintenance_run(text) IS
    'Runs one task of maintenance_tasks(); returns rows, ranges or partitions dealt with. 55P03: a lock was not had within 100 ms; 55006: a partition past retention holds rows that are not rolled up.';

-- No SET clause: it would forbid COMMIT. So every name and operator below is written in full.
CREATE PROCEDURE model_mgr.maintain() LANGUAGE plpgsql AS $maintain$
DECLARE
    tasks pg_catalog.text[];
    task pg_catalog.text;
BEGIN
    COMMIT;     -- first of all, so that a caller's transaction is refused whether there is work or not
    -- Right after each COMMIT: the fold needs it, and what is dropped must be looked at as it is, whatever the session's default is.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    tasks := ARRAY(SELECT model_mgr.maintenance_tasks());
    FOREACH task IN ARRAY tasks LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        BEGIN
            PERFORM model_mgr.maintenance_run(task);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING message = pg_catalog.format('maintain: "%s" was left for the next time', task),
                detail = pg_catalog.format('%s (%s)', SQLERRM, SQLSTATE), errcode = SQLSTATE;
        END;
        COMMIT;
    END LOOP;
END
$maintain$;
COMMENT ON PROCEDURE model_mgr.maintain() IS
    'Keeps the house: partitions of observation and metric_sample (7 days ahead, dropped after model_mgr.retention_days), rollups (minutes for perf_monitor_retention_hours, hours for retention_days), the default partitions. Commits after each task; what finds a lock taken is left for the next time. 2D000 inside a transaction.';
-- 60_statistics: distributions, tests, design of tests, summaries; usable on any table. Sources, formulas and ranges:
-- docs/statistics.md. Every difference is treatment minus control.

CREATE FUNCTION model_mgr.normal_cdf(x float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_normal_cdf' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.normal_cdf(float8) IS
'Probability that a standard normal value is at most x; relative error at most 1e-13. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.normal_quantile(p float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_normal_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.normal_quantile(float8) IS
'The x with normal_cdf(x) = p, 0 < p < 1; relative error at most 1e-12. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.student_t_cdf(t float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_student_t_cdf' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.student_t_cdf(float8, float8) IS
'Probability that Student''s t with df > 0 degrees of freedom (any real number) is at most t; relative error at most 1e-13. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.student_t_quantile(p float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_student_t_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.student_t_quantile(float8, float8) IS
'The t with student_t_cdf(t, df) = p, 0 < p < 1, df > 0; relative error at most 1e-12. 22003: NaN, infinity or out of range, or the quantile is beyond the doubles.';

CREATE FUNCTION model_mgr.chi_square_sf(x float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_chi_square_sf' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.chi_square_sf(float8, float8) IS
'Probability that chi-square with df > 0 degrees of freedom (any real number) exceeds x >= 0; relative error at most 1e-13. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.two_proportion_z_test(successes_control bigint, trials_control bigint, successes_treatment bigint, trials_treatment bigint, confidence_level float8 DEFAULT 0.95) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_two_proportion_z_test' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.two_proportion_z_test(bigint, bigint, bigint, bigint, float8) IS
'Difference of two rates: pooled z, two-sided p, Newcombe''s hybrid score interval (1998, method 10) at confidence_level (above 0, below 1). Counts from 0, successes at most trials. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.welch_t_test(mean_control float8, stddev_control float8, n_control bigint, mean_treatment float8, stddev_treatment float8, n_treatment bigint, confidence_level float8 DEFAULT 0.95) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_welch_t_test' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.welch_t_test(float8, float8, bigint, float8, float8, bigint, float8) IS
'Difference of two means from means, standard deviations (divisor n - 1; 0, or 1e-150 to 1e150) and counts (from 0): Welch''s t, two-sided p, interval. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.required_sample_size(baseline_rate float8, minimum_detectable_effect float8, power float8 DEFAULT 0.8, confidence_level float8 DEFAULT 0.95) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_required_sample_size' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.required_sample_size(float8, float8, float8, float8) IS
'Units per variant so that a change of baseline_rate (0 to 1) by minimum_detectable_effect (a difference of rates, not 0) is found with that power (above 0, below 1) by the two-sided test. As R''s power.prop.test. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.achieved_power(baseline_rate float8, minimum_detectable_effect float8, n_per_variant bigint, confidence_level float8 DEFAULT 0.95) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_achieved_power' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.achieved_power(float8, float8, bigint, float8) IS
'Probability that the two-sided test with n_per_variant units (from 1) in each variant finds a change of baseline_rate by minimum_detectable_effect. As R''s power.prop.test. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.detectable_effect(baseline_rate float8, n_per_variant bigint, power float8 DEFAULT 0.8, confidence_level float8 DEFAULT 0.95) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_detectable_effect' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.detectable_effect(float8, bigint, float8, float8) IS
'Smallest increase of baseline_rate that n_per_variant units in each variant find with that power. 22003: NaN, infinity or out of range, or no increase is found. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.sample_ratio_p_value(n_control bigint, n_treatment bigint, expected_treatment_share float8 DEFAULT 0.5) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_sample_ratio_p_value' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.sample_ratio_p_value(bigint, bigint, float8) IS
'Probability of a split at least as uneven as this if treatment gets expected_treatment_share (above 0, below 1): Pearson''s chi-square, 1 df. Below 0.001 something is wrong with the assignment. 22003: NaN, infinity or out of range. 22004: a required argument is NULL.';

CREATE FUNCTION model_mgr.sequential_boundary(information_fractions float8[], confidence_level float8 DEFAULT 0.95, spending text DEFAULT 'obrien_fleming') RETURNS float8[]
AS 'MODULE_PATHNAME', 'mm_sequential_boundary' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.sequential_boundary(float8[], float8, text) IS
'The z beyond which to stop at each look, for looks at ascending fractions of the planned information (above 0, to 1): symmetric two-sided Lan-DeMets boundaries, half of 1 - confidence_level spent a side, spending obrien_fleming or pocock. A look with less than 1e-300 to spend has Infinity. 22003: NaN, infinity or out of range; 22004: NULL; 22023: unknown spending, fractions not ascending, none or more than 500.';

CREATE FUNCTION model_mgr.adjust_p_values(p float8[], method text DEFAULT 'holm') RETURNS float8[]
AS 'MODULE_PATHNAME', 'mm_adjust_p_values' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.adjust_p_values(float8[], text) IS
'p-values (0 to 1) adjusted for their number, in the same order: holm (Holm 1979, family-wise error rate) or bh (Benjamini and Hochberg 1995, false discovery rate). 22003: NaN or out of range; 22004: NULL; 22023: unknown method.';

-- Summaries.

CREATE FUNCTION model_mgr.summary_count(summary model_mgr.summary) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_summary_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_count(model_mgr.summary) IS
'Number of values.';

CREATE FUNCTION model_mgr.summary_sum(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_sum(model_mgr.summary) IS
'Sum of the values; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_mean(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_mean' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_mean(model_mgr.summary) IS
'Mean of the values; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_variance(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_variance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_variance(model_mgr.summary) IS
'Variance with divisor n - 1; NULL below two values.';

CREATE FUNCTION model_mgr.summary_stddev(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_stddev' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_stddev(model_mgr.summary) IS
'Standard deviation with divisor n - 1; NULL below two values.';

CREATE FUNCTION model_mgr.summary_min(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_min' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_min(model_mgr.summary) IS
'Smallest value; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_max(summary model_mgr.summary) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_max' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_max(model_mgr.summary) IS
'Largest value; NULL when there are none.';

CREATE FUNCTION model_mgr.summary_quantile(summary model_mgr.summary, q float8) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_summary_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_quantile(model_mgr.summary, float8) IS
'The value at rank ceil(q n), 0 <= q <= 1, as percentile_disc gives it, within 1 % of itself (0 and 1: exactly); NULL when there are no values. Where values of one sign fill more than 2048 buckets (more than 12 orders of magnitude) the smallest magnitudes are less exact. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.welch_test(control model_mgr.summary, treatment model_mgr.summary, confidence_level float8 DEFAULT 0.95) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_welch_test' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.welch_test(model_mgr.summary, model_mgr.summary, float8) IS
'Welch''s t test of the means of two summaries. A NULL summary is one without values. 22003: NaN, infinity or out of range.';

CREATE FUNCTION model_mgr.anytime_ci(control model_mgr.summary, treatment model_mgr.summary, confidence_level float8 DEFAULT 0.95,
    OUT ci_low float8, OUT ci_high float8, OUT p_value float8) RETURNS record
AS 'MODULE_PATHNAME', 'mm_anytime_ci' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.anytime_ci(model_mgr.summary, model_mgr.summary, float8) IS
'Interval and p-value of the difference of means that stay valid however often the data are looked at, and whenever the looking stops:
Lindon, Ham, Tingley and Bojinov (2022), Anytime-Valid Linear Models. From -Infinity to Infinity, p 1, while there is too little data (about 25 values an
arm), no variance, or a NULL summary. 22003: confidence_level out of range.';

-- Steps of the aggregates: not callable from SQL (internal).

CREATE FUNCTION model_mgr.summarize_transition(internal, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_summarize_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summarize_transition(internal, float8) IS 'Step of summarize().';
CREATE FUNCTION model_mgr.merge_transition(internal, model_mgr.summary) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_merge_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.merge_transition(internal, model_mgr.summary) IS 'Step of merge().';
CREATE FUNCTION model_mgr.summary_state_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_summary_state_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_combine(internal, internal) IS 'Step of summarize() and merge(): joins the states of two workers.';
CREATE FUNCTION model_mgr.summary_state_serialize(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_summary_state_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_serialize(internal) IS 'Step of summarize() and merge(): a state on its way to another process.';
CREATE FUNCTION model_mgr.summary_state_deserialize(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_summary_state_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_deserialize(bytea, internal) IS 'Step of summarize() and merge(): a state from another process.';
CREATE FUNCTION model_mgr.summary_state_final(internal) RETURNS model_mgr.summary
AS 'MODULE_PATHNAME', 'mm_summary_state_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.summary_state_final(internal) IS 'Last step of summarize() and merge().';
CREATE FUNCTION model_mgr.z_test_transition(internal, boolean, boolean) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_z_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.z_test_transition(internal, boolean, boolean) IS 'Step of z_test().';
CREATE FUNCTION model_mgr.mcnemar_test_transition(internal, boolean, boolean) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_mcnemar_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mcnemar_test_transition(internal, boolean, boolean) IS 'Step of mcnemar_test().';
CREATE FUNCTION model_mgr.t_test_transition(internal, boolean, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_t_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.t_test_transition(internal, boolean, float8) IS 'Step of t_test().';
CREATE FUNCTION model_mgr.paired_t_test_transition(internal, float8, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_paired_t_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.paired_t_test_transition(internal, float8, float8) IS 'Step of paired_t_test().';
CREATE FUNCTION model_mgr.cuped_test_transition(internal, boolean, float8, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_cuped_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.cuped_test_transition(internal, boolean, float8, float8) IS 'Step of cuped_test().';
CREATE FUNCTION model_mgr.mann_whitney_test_transition(internal, boolean, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_mann_whitney_test_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mann_whitney_test_transition(internal, boolean, float8) IS 'Step of mann_whitney_test().';
CREATE FUNCTION model_mgr.test_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_test_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.test_combine(internal, internal) IS 'Step of the tests: joins the states of two workers.';
CREATE FUNCTION model_mgr.test_serialize(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'mm_test_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.test_serialize(internal) IS 'Step of the tests: a state on its way to another process.';
CREATE FUNCTION model_mgr.test_deserialize(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_test_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.test_deserialize(bytea, internal) IS 'Step of the tests: a state from another process.';
CREATE FUNCTION model_mgr.z_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_z_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.z_test_final(internal) IS 'Last step of z_test().';
CREATE FUNCTION model_mgr.t_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_t_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.t_test_final(internal) IS 'Last step of t_test().';
CREATE FUNCTION model_mgr.paired_t_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_paired_t_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.paired_t_test_final(internal) IS 'Last step of paired_t_test().';
CREATE FUNCTION model_mgr.mcnemar_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_mcnemar_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mcnemar_test_final(internal) IS 'Last step of mcnemar_test().';
CREATE FUNCTION model_mgr.cuped_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_cuped_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.cuped_test_final(internal) IS 'Last step of cuped_test().';
CREATE FUNCTION model_mgr.mann_whitney_test_final(internal) RETURNS model_mgr.test_result
AS 'MODULE_PATHNAME', 'mm_mann_whitney_test_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.mann_whitney_test_final(internal) IS 'Last step of mann_whitney_test().';

CREATE AGGREGATE model_mgr.summarize(value float8) (
    SFUNC = model_mgr.summarize_transition, STYPE = internal, SSPACE = 1024, FINALFUNC = model_mgr.summary_state_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.summary_state_combine, SERIALFUNC = model_mgr.summary_state_serialize, DESERIALFUNC = model_mgr.summary_state_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.summarize(value float8) IS
'The summary of all values that are not NULL; NULL when there are none. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.merge(summary model_mgr.summary) (
    SFUNC = model_mgr.merge_transition, STYPE = internal, SSPACE = 1024, FINALFUNC = model_mgr.summary_state_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.summary_state_combine, SERIALFUNC = model_mgr.summary_state_serialize, DESERIALFUNC = model_mgr.summary_state_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.merge(summary model_mgr.summary) IS
'The summary of all sets together: the same as summarize() over all their values. NULL summaries are skipped; NULL when there are none.';

CREATE AGGREGATE model_mgr.z_test(treatment boolean, success boolean) (
    SFUNC = model_mgr.z_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.z_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.z_test(treatment boolean, success boolean) IS
'Difference of success rates: pooled z, two-sided p, Newcombe''s 95 % interval. Rows with a NULL are skipped.';

CREATE AGGREGATE model_mgr.t_test(treatment boolean, value float8) (
    SFUNC = model_mgr.t_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.t_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.t_test(treatment boolean, value float8) IS
'Difference of means: Welch''s t, two-sided p, 95 % interval. Rows with a NULL are skipped. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.paired_t_test(control float8, treatment float8) (
    SFUNC = model_mgr.paired_t_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.paired_t_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.paired_t_test(control float8, treatment float8) IS
'Mean difference within pairs: t with n - 1 degrees of freedom, two-sided p, 95 % interval. Rows with a NULL are skipped. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.mcnemar_test(control boolean, treatment boolean) (
    SFUNC = model_mgr.mcnemar_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.mcnemar_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.mcnemar_test(control boolean, treatment boolean) IS
'Difference of success rates within pairs: z = root of McNemar''s chi-square, without continuity correction, two-sided p, Newcombe''s 95 % interval for pairs. Rows with a NULL are skipped.';

CREATE AGGREGATE model_mgr.cuped_test(treatment boolean, value float8, covariate float8) (
    SFUNC = model_mgr.cuped_test_transition, STYPE = internal, SSPACE = 288, FINALFUNC = model_mgr.cuped_test_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = model_mgr.test_combine, SERIALFUNC = model_mgr.test_serialize, DESERIALFUNC = model_mgr.test_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.cuped_test(treatment boolean, value float8, covariate float8) IS
'Difference of means after taking out what a covariate from before the experiment explains (Deng and others 2013): Welch''s t, two-sided p, 95 % interval; means are the adjusted ones. Rows with a NULL are skipped. 22003: NaN or infinity.';

CREATE AGGREGATE model_mgr.mann_whitney_test(treatment boolean, value float8) (
    SFUNC = model_mgr.mann_whitney_test_transition, STYPE = internal, SSPACE = 50000,
    FINALFUNC = model_mgr.mann_whitney_test_final, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.mann_whitney_test(treatment boolean, value float8) IS
'Whether values of treatment tend to be larger: U with average ranks, two-sided p by the normal approximation with tie and continuity correction; the
effect is Cliff''s delta, without an interval. Sorts, beyond work_mem on disk; neither parallel nor a window function. Rows with a NULL are skipped. 22003: NaN or infinity.';
-- 65_anomaly: anomalies in any ordered series of numbers (src/core/anomaly.c, docs/anomalies.md).

-- STABLE: a sensitivity of NULL reads the setting.
CREATE FUNCTION model_mgr.anomaly_score_transition(internal, float8, timestamptz, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_anomaly_score_transition' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.anomaly_score_transition(internal, float8, timestamptz, float8) IS 'Step of anomaly_score().';
CREATE FUNCTION model_mgr.anomaly_score_final(internal) RETURNS float8
AS 'MODULE_PATHNAME', 'mm_anomaly_score_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.anomaly_score_final(internal) IS 'Last step of anomaly_score().';

CREATE AGGREGATE model_mgr.anomaly_score(value float8, observed_at timestamptz, sensitivity float8) (
    SFUNC = model_mgr.anomaly_score_transition, STYPE = internal, SSPACE = 1024,
    FINALFUNC = model_mgr.anomaly_score_final, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.anomaly_score(value float8, observed_at timestamptz, sensitivity float8) IS
'How anomalous the last row is, judged by the rows before it: use it as anomaly_score(value, observed_at, 2.0) OVER (ORDER BY observed_at). >= 1: anomalous; 0 during the first 30 rows; an incident scores 1 or more once, and again only when four times worse or after a cool-down of 24 to 400 rows (4 % of the rows so far). sensitivity: width of the band, > 0, usually 2; a larger one flags a subset; NULL: model_mgr.perf_monitor_anomaly_sensitivity. observed_at may be irregular, repeat, step back or be NULL (the daily pattern is then left out). Rows without a value are skipped and score NULL. Without OVER, order the rows in the call: anomaly_score(v, t, 2.0 ORDER BY t). 22003: NaN, infinity, sensitivity out of range.';

-- The detectors that the tick feeds (src/pg/anomaly_feed.c). What changes each minute comes after what seldom does, and a
-- row is updated in its own page: the server then logs the difference only.
CREATE TABLE model_mgr.anomaly_state (
    version_id bigint NOT NULL,
    metric_name text NOT NULL,
    state bytea NOT NULL,                   -- of src/core/anomaly_stream.c: 837 bytes
    fed_until timestamptz NOT NULL,         -- end of the last minute in it
    alert_since timestamptz,                -- its alert fires, or is still to be told or resolved
    untold jsonb,                           -- evidence of an alert that could not be written yet
    PRIMARY KEY (version_id, metric_name)
) WITH (fillfactor = 45);
ALTER TABLE model_mgr.anomaly_state ALTER COLUMN state SET STORAGE PLAIN;
CREATE INDEX anomaly_state_alert_index ON model_mgr.anomaly_state (version_id) WHERE alert_since IS NOT NULL;
COMMENT ON TABLE model_mgr.anomaly_state IS 'The detector of anomalies of each version and main metric, as of the last minute that the tick fed it.';

CREATE TABLE model_mgr.anomaly_feed (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    fed_until timestamptz NOT NULL          -- minutes that begin before are fed, or too late
) WITH (fillfactor = 50);
COMMENT ON TABLE model_mgr.anomaly_feed IS 'How far the tick has fed the detectors of anomalies: one row, none before the first.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.anomaly_state', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.anomaly_feed', '');

CREATE FUNCTION model_mgr.detect_anomalies(model_name text, metric_name text, sensitivity float8 DEFAULT 2.0)
RETURNS TABLE ("time" timestamptz, version text, value float8, expected float8, score float8, anomalous boolean)
AS 'MODULE_PATHNAME', 'mm_detect_anomalies' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000;
COMMENT ON FUNCTION model_mgr.detect_anomalies(text, text, float8) IS
'What the detector makes of a metric: one row for every complete minute with samples that is kept (perf_monitor_retention_hours), version by version in order of time. time: beginning of the minute, which holds (time, time + 1 minute]. expected: what was usual before, NULL at the first. score >= 1: anomalous; 0 during the first 30 minutes; an incident says so once and then stays below 1, unless it gets four times worse or outlasts the cool-down. Any metric of metric_list, custom and reported ones too. sensitivity: width of the band, > 0; a larger one flags a subset; NULL: 2. Changes nothing and wakes nobody. Unknown names: no row. Errors: 22003 sensitivity out of range, 22004 NULL name.';
-- 66_rollup: outcomes folded by minute and by hour, each exactly once, and read together with what is not folded yet.
--
-- A minute is open at its beginning and closed at its end: bucket b covers (b, b + 1 minute], an hour likewise, so that
-- a window (now - w, now] of whole minutes is a set of whole buckets.

-- Counts, sums and summaries a minute of arrival, version, rollout step and arm. 0 stands for none in the key. The sums
-- are kept beside the summaries: who judges must not open sketches.
CREATE TABLE model_mgr.rollup_minute (
    bucket timestamptz NOT NULL,
    version_id bigint NOT NULL,
    deployment_id bigint NOT NULL,
    step integer NOT NULL,                  -- 0: outside a rollout, or warming up
    test_no bigint NOT NULL,
    arm smallint NOT NULL,                  -- -1: not drawn; -2: recorded without a decision
    requests bigint NOT NULL,               -- feedback rows are no requests
    known bigint NOT NULL,                  -- outcomes whose success is known
    successes bigint NOT NULL,
    errors bigint NOT NULL,                 -- requests with an error_type
    response_time_count bigint NOT NULL,
    response_time_sum float8 NOT NULL,
    confidence_count bigint NOT NULL,
    confidence_sum float8 NOT NULL,
    cost_count bigint NOT NULL,
    cost_sum float8 NOT NULL,
    input_tokens_count bigint NOT NULL,
    input_tokens_sum float8 NOT NULL,
    output_tokens_count bigint NOT NULL,
    output_tokens_sum float8 NOT NULL,
    last_at timestamptz NOT NULL,           -- the greatest recorded_at
    response_time model_mgr.summary,       -- NULL: no values
    confidence model_mgr.summary,
    cost model_mgr.summary,
    input_tokens model_mgr.summary,
    output_tokens model_mgr.summary,
    PRIMARY KEY (version_id, bucket, deployment_id, step, test_no, arm)
) WITH (fillfactor = 70);                   -- the present minute's rows are updated in place
CREATE INDEX rollup_minute_bucket_index ON model_mgr.rollup_minute (bucket);
COMMENT ON TABLE model_mgr.rollup_minute IS
'Outcomes folded by minute of arrival, kept for perf_monitor_retention_hours; read through rollup_now or rollup_history.';

CREATE TABLE model_mgr.rollup_hour (LIKE model_mgr.rollup_minute,
    PRIMARY KEY (version_id, bucket, deployment_id, step, test_no, arm)) WITH (fillfactor = 70);
CREATE INDEX rollup_hour_bucket_index ON model_mgr.rollup_hour (bucket);
COMMENT ON TABLE model_mgr.rollup_hour IS
'The minutes before rollup_state.hours_until, by hour, kept for retention_days; read through rollup_history.';

-- The custom metrics of the same keys: a row a key of observation.metrics.
CREATE TABLE model_mgr.rollup_metric_minute (
    bucket timestamptz NOT NULL,
    version_id bigint NOT NULL,
    deployment_id bigint NOT NULL,
    step integer NOT NULL,
    test_no bigint NOT NULL,
    arm smallint NOT NULL,
    metric_name text NOT NULL,
    count bigint NOT NULL,
    sum float8 NOT NULL,
    last_at timestamptz NOT NULL,
    "values" model_mgr.summary NOT NULL,
    PRIMARY KEY (version_id, metric_name, bucket, deployment_id, step, test_no, arm)
) WITH (fillfactor = 70);
CREATE INDEX rollup_metric_minute_bucket_index ON model_mgr.rollup_metric_minute (bucket);
COMMENT ON TABLE model_mgr.rollup_metric_minute IS 'Custom metrics by minute, as rollup_minute; read through rollup_metric_now or rollup_metric_history.';

CREATE TABLE model_mgr.rollup_metric_hour (LIKE model_mgr.rollup_metric_minute,
    PRIMARY KEY (version_id, metric_name, bucket, deployment_id, step, test_no, arm)) WITH (fillfactor = 70);
CREATE INDEX rollup_metric_hour_bucket_index ON model_mgr.rollup_metric_hour (bucket);
COMMENT ON TABLE model_mgr.rollup_metric_hour IS 'Custom metrics by hour, as rollup_hour; read through rollup_metric_history.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_minute', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_hour', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_metric_minute', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.rollup_metric_hour', '');

-- What one pass over observation.metrics yields.
CREATE TYPE model_mgr.metric_tally AS (metric_name text, count bigint, sum float8, last_at timestamptz, "values" model_mgr.summary);
COMMENT ON TYPE model_mgr.metric_tally IS 'Number, sum and summary of the values of one custom metric, and the time of the last.';

CREATE FUNCTION model_mgr.metric_summaries_transition(internal, jsonb, timestamptz) RETURNS internal
AS 'MODULE_PATHNAME', 'mm_metric_summaries_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.metric_summaries_transition(internal, jsonb, timestamptz) IS 'Step of metric_summaries().';
CREATE FUNCTION model_mgr.metric_summaries_final(internal) RETURNS model_mgr.metric_tally[]
AS 'MODULE_PATHNAME', 'mm_metric_summaries_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.metric_summaries_final(internal) IS 'Last step of metric_summaries().';
CREATE AGGREGATE model_mgr.metric_summaries(metrics jsonb, recorded_at timestamptz) (
    SFUNC = model_mgr.metric_summaries_transition, STYPE = internal, SSPACE = 256,
    FINALFUNC = model_mgr.metric_summaries_final, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
COMMENT ON AGGREGATE model_mgr.metric_summaries(metrics jsonb, recorded_at timestamptz) IS
'Of all numbers in flat JSON objects, by key: count, sum, time of the last, summary; ordered by key, NULL when there are none. What is no
number within +-1e100, keys that are empty, over 255 bytes or names of built-in metrics, and keys beyond the first 1,000 are left out: it raises no error.';

-- The rollout and step that a row is credited to, as deployment_id << 16 | step. What route() noted in the decision
-- stays; without it the version and the time of routing decide. One call a row, one key to group by.
CREATE FUNCTION model_mgr.attribution(version_id bigint, deployment_id bigint, step integer, at timestamptz) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_attribution' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.attribution(bigint, bigint, integer, timestamptz) IS
    'Rollout and step that an outcome is credited to, as deployment_id << 16 | step; 0: none, step 0: warming up.';

CREATE FUNCTION model_mgr.own_txn() RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_own_txn' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.own_txn() IS 'Like current_txn() without assigning a transaction id: -1 while there is none.';

-- Rows outside the stored watermark. The second bound makes a range of the first, which the planner takes for a narrow one.
-- Each id to be found costs a walk through every partition's index, so the ids in progress that lie close together, as
-- they do but for long transactions, are found by one walk over their range.
CREATE VIEW model_mgr.rollup_watermark AS
SELECT s.next_txn, s.in_progress,
       coalesce((SELECT pg_catalog.min(x) FROM pg_catalog.unnest(s.in_progress) x WHERE x BETWEEN s.next_txn - 20000 AND s.next_txn),
                s.next_txn) AS low_txn,
       ARRAY(SELECT x FROM pg_catalog.unnest(s.in_progress) x WHERE x < s.next_txn - 20000) AS long_running
FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1;
COMMENT ON VIEW model_mgr.rollup_watermark IS 'The watermark in the terms that finding pending rows needs.';
COMMENT ON COLUMN model_mgr.rollup_watermark.next_txn IS 'Rows of this transaction key and later are not folded.';
COMMENT ON COLUMN model_mgr.rollup_watermark.in_progress IS 'Nor are rows of these, which ran when the last fold looked.';
COMMENT ON COLUMN model_mgr.rollup_watermark.low_txn IS 'The first of in_progress that is close to next_txn.';
COMMENT ON COLUMN model_mgr.rollup_watermark.long_running IS 'The others of in_progress.';

CREATE VIEW model_mgr.observation_pending AS
SELECT o.* FROM model_mgr.observation o
WHERE (o.txn >= (SELECT w.low_txn FROM model_mgr.rollup_watermark w) AND o.txn < 9223372036854775807
       AND (o.txn >= (SELECT w.next_txn FROM model_mgr.rollup_watermark w)
            OR o.txn = ANY ((SELECT w.in_progress FROM model_mgr.rollup_watermark w)::bigint[])))
   OR o.txn = ANY ((SELECT w.long_running FROM model_mgr.rollup_watermark w)::bigint[]);
COMMENT ON VIEW model_mgr.observation_pending IS 'Observations that the rollups do not hold yet.';

-- The one definition of what a rollup row is: folding inserts from here, reading adds it to what is folded. The planner
-- leaves out the columns that nobody asks for, so summaries and custom metrics cost only who reads them.
CREATE VIEW model_mgr.rollup_pending AS
SELECT g.bucket, g.version_id, g.attribution >> 16 AS deployment_id, (g.attribution & 65535)::integer AS step, g.test_no, g.arm,
       g.requests, g.known, g.successes, g.errors, g.response_time_count, g.response_time_sum, g.confidence_count,
       g.confidence_sum, g.cost_count, g.cost_sum, g.input_tokens_count, g.input_tokens_sum, g.output_tokens_count,
       g.output_tokens_sum, g.last_at, g.response_time, g.confidence, g.cost, g.input_tokens, g.output_tokens, g.custom,
       g.own, g.rows
FROM (SELECT pg_catalog.date_bin('1 minute', o.recorded_at - '0.000001 s'::interval, '2000-01-01 00:00:00+00') AS bucket,
             coalesce(o.version_id, 0) AS version_id,
             model_mgr.attribution(o.version_id, o.deployment_id, o.step, coalesce(o.routed_at, o.recorded_at)) AS attribution,
             coalesce(o.test_no, 0) AS test_no,
             coalesce(o.arm, CASE WHEN o.request IS NULL THEN -2::smallint ELSE -1::smallint END) AS arm,
             o.txn = model_mgr.own_txn() AS own,
             pg_catalog.count(*) AS rows,
             pg_catalog.count(*) FILTER (WHERE NOT o.feedback) AS requests,
             pg_catalog.count(o.success) AS known,
             pg_catalog.count(*) FILTER (WHERE o.success) AS successes,
             pg_catalog.count(o.error_type) FILTER (WHERE NOT o.feedback) AS errors,
             pg_catalog.count(o.response_time) AS response_time_count,
             coalesce(pg_catalog.sum(o.response_time), 0) AS response_time_sum,
             pg_catalog.count(o.confidence) AS confidence_count,
             coalesce(pg_catalog.sum(o.confidence), 0) AS confidence_sum,
             pg_catalog.count(o.cost) AS cost_count,
             coalesce(pg_catalog.sum(o.cost), 0) AS cost_sum,
             pg_catalog.count(o.input_tokens) AS input_tokens_count,
             coalesce(pg_catalog.sum(o.input_tokens::float8), 0) AS input_tokens_sum,
             pg_catalog.count(o.output_tokens) AS output_tokens_count,
             coalesce(pg_catalog.sum(o.output_tokens::float8), 0) AS output_tokens_sum,
             pg_catalog.max(o.recorded_at) AS last_at,
             model_mgr.summarize(o.response_time) AS response_time,
             model_mgr.summarize(o.confidence) AS confidence,
             model_mgr.summarize(o.cost) AS cost,
             model_mgr.summarize(o.input_tokens::float8) AS input_tokens,
             model_mgr.summarize(o.output_tokens::float8) AS output_tokens,
             model_mgr.metric_summaries(o.metrics, o.recorded_at) AS custom
      FROM model_mgr.observation_pending o
      GROUP BY 1, 2, 3, 4, 5, 6) g;
COMMENT ON VIEW model_mgr.rollup_pending IS
'Rows not folded yet, summed like rollup_minute; custom: their custom metrics; own: written by the present transaction; rows: how many.';

-- Functions, so that their own settings hold: the planner must not read the table whole while statistics are missing.
CREATE FUNCTION model_mgr.rollup_tail_rows() RETURNS SETOF model_mgr.rollup_minute
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, p.requests, p.known, p.successes, p.errors,
       p.response_time_count, p.response_time_sum, p.confidence_count, p.confidence_sum, p.cost_count, p.cost_sum,
       p.input_tokens_count, p.input_tokens_sum, p.output_tokens_count, p.output_tokens_sum, p.last_at, p.response_time,
       p.confidence, p.cost, p.input_tokens, p.output_tokens
FROM model_mgr.rollup_pending p;
END;
COMMENT ON FUNCTION model_mgr.rollup_tail_rows() IS 'Rows not folded yet in the form of rollup_minute, as the view rollup_tail shows them.';
CREATE FUNCTION model_mgr.rollup_tail_sums() RETURNS SETOF model_mgr.rollup_minute
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, p.requests, p.known, p.successes, p.errors,
       p.response_time_count, p.response_time_sum, p.confidence_count, p.confidence_sum, p.cost_count, p.cost_sum,
       p.input_tokens_count, p.input_tokens_sum, p.output_tokens_count, p.output_tokens_sum, p.last_at,
       NULL::model_mgr.summary, NULL::model_mgr.summary, NULL::model_mgr.summary, NULL::model_mgr.summary,
       NULL::model_mgr.summary
FROM model_mgr.rollup_pending p;
END;
COMMENT ON FUNCTION model_mgr.rollup_tail_sums() IS 'As rollup_tail_rows() without the summaries, for who needs counts and sums only.';
CREATE FUNCTION model_mgr.rollup_metric_tail_rows() RETURNS SETOF model_mgr.rollup_metric_minute
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, m.metric_name, m.count, m.sum, m.last_at,
       m."values"
FROM model_mgr.rollup_pending p, LATERAL pg_catalog.unnest(p.custom) m;
END;
COMMENT ON FUNCTION model_mgr.rollup_metric_tail_rows() IS 'Custom metrics of rows not folded yet in the form of rollup_metric_minute.';

CREATE VIEW model_mgr.rollup_tail AS SELECT * FROM model_mgr.rollup_tail_rows();
COMMENT ON VIEW model_mgr.rollup_tail IS 'Rows not folded yet in the form of rollup_minute.';

CREATE VIEW model_mgr.rollup_now AS
SELECT * FROM model_mgr.rollup_minute UNION ALL SELECT * FROM model_mgr.rollup_tail;
COMMENT ON VIEW model_mgr.rollup_now IS
'Minute rollups up to this very statement, as far back as minutes are kept: what is folded and what is not yet. Read it in one statement.';

CREATE VIEW model_mgr.rollup_metric_now AS
SELECT * FROM model_mgr.rollup_metric_minute UNION ALL SELECT * FROM model_mgr.rollup_metric_tail_rows();
COMMENT ON VIEW model_mgr.rollup_metric_now IS 'Custom metrics by minute, as rollup_now.';

-- What the hours hold ends at hours_until; the minutes from there on and the tail are the rest.
CREATE VIEW model_mgr.rollup_folded AS
SELECT * FROM model_mgr.rollup_hour
UNION ALL
SELECT * FROM model_mgr.rollup_minute m
WHERE m.bucket >= (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1);
COMMENT ON VIEW model_mgr.rollup_folded IS 'Everything that is folded, once: hours, and the minutes that no hour holds yet.';

CREATE VIEW model_mgr.rollup_history AS
SELECT * FROM model_mgr.rollup_folded UNION ALL SELECT * FROM model_mgr.rollup_tail;
COMMENT ON VIEW model_mgr.rollup_history IS
'Everything that is kept, up to this very statement: hours, the minutes that no hour holds yet, and what is not folded yet. Read it in one statement.';

CREATE VIEW model_mgr.rollup_metric_history AS
SELECT * FROM model_mgr.rollup_metric_hour
UNION ALL
SELECT * FROM model_mgr.rollup_metric_minute m
WHERE m.bucket >= (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1)
UNION ALL
SELECT * FROM model_mgr.rollup_metric_tail_rows();
COMMENT ON VIEW model_mgr.rollup_metric_history IS 'Custom metrics, as rollup_history.';
-- 67_metric: one vocabulary of metrics for monitor, rollouts and tests; values that are reported already aggregated; what
-- the models did, now, over time, and compared.

-- Definitions of custom metrics; a custom metric needs none to be recorded and read. Written by the owner.
CREATE TABLE model_mgr.metric (
    metric_name text PRIMARY KEY CHECK (pg_catalog.octet_length(metric_name) BETWEEN 1 AND 255
        -- built-in ones are what they are
        AND metric_name <> ALL ('{success_rate,error_rate,avg_response_time,response_time,p50_response_time,p95_response_time,p99_response_time,confidence_score,confidence,cost_per_request,cost,input_tokens,output_tokens,requests_per_minute}'::text[])),
    higher_is_better boolean,               -- NULL: nobody said
    unit text,
    description text
);
COMMENT ON TABLE model_mgr.metric IS
'What is known of custom metrics: direction, unit, meaning. Rows are the owner''s to write; a metric without a row is read all the same, and never called better.';
COMMENT ON COLUMN model_mgr.metric.metric_name IS 'Key of observation.metrics, name of a metric source, or only reported.';
COMMENT ON COLUMN model_mgr.metric.higher_is_better IS 'Direction; NULL: neither.';
COMMENT ON COLUMN model_mgr.metric.unit IS 'Unit, for people.';
COMMENT ON COLUMN model_mgr.metric.description IS 'Meaning, for people.';

CREATE VIEW model_mgr.metric_list AS
SELECT b.metric_name, b.alias, true AS built_in, b.higher_is_better, b.unit, b.samples, b.description
FROM (VALUES
    ('success_rate', NULL, true, '0..1', 'outcomes whose success is known', 'Successes among outcomes whose success is known.'),
    ('error_rate', NULL, false, '0..1', 'requests', 'Requests with an error_type among all requests.'),
    ('avg_response_time', 'response_time', false, 'seconds', 'recorded response times', 'Mean response time.'),
    ('p50_response_time', NULL, false, 'seconds', 'recorded response times', 'Half of the response times are no longer; within 1 %.'),
    ('p95_response_time', NULL, false, 'seconds', 'recorded response times', '95 % of the response times are no longer; within 1 %.'),
    ('p99_response_time', NULL, false, 'seconds', 'recorded response times', '99 % of the response times are no longer; within 1 %.'),
    ('confidence_score', 'confidence', true, '0..1', 'recorded confidences', 'Mean confidence that the model stated.'),
    ('cost_per_request', 'cost', false, 'money', 'recorded costs', 'Mean of the recorded costs, in the caller''s own unit.'),
    ('input_tokens', NULL, false, 'tokens', 'recorded numbers', 'Mean number of input tokens.'),
    ('output_tokens', NULL, false, 'tokens', 'recorded numbers', 'Mean number of output tokens.'),
    ('requests_per_minute', NULL, true, '1/minute', 'requests', 'Requests divided by the minutes of the window.'))
    b (metric_name, alias, higher_is_better, unit, samples, description)
UNION ALL
SELECT m.metric_name, NULL, false, m.higher_is_better, m.unit, 'recorded values', m.description FROM model_mgr.metric m;
COMMENT ON VIEW model_mgr.metric_list IS 'The vocabulary: built-in metrics, and the custom ones that table metric describes.';
COMMENT ON COLUMN model_mgr.metric_list.metric_name IS 'Name, as thresholds, criteria and tests take it.';
COMMENT ON COLUMN model_mgr.metric_list.alias IS 'Another name that means the same; NULL: none.';
COMMENT ON COLUMN model_mgr.metric_list.built_in IS 'Whether it comes with the extension.';
COMMENT ON COLUMN model_mgr.metric_list.higher_is_better IS 'Direction; NULL: neither.';
COMMENT ON COLUMN model_mgr.metric_list.unit IS 'Unit of its values.';
COMMENT ON COLUMN model_mgr.metric_list.samples IS 'What its samples count.';
COMMENT ON COLUMN model_mgr.metric_list.description IS 'How it is computed; a custom metric is the mean of its values.';

-- Partitioned by day at run time like observation, for the same reasons without indexes on the parent.
CREATE TABLE model_mgr.metric_sample (
    sampled_at timestamptz NOT NULL DEFAULT model_mgr.clock_time(),
    version_id bigint NOT NULL,
    metric_name text NOT NULL,
    source_id bigint NOT NULL DEFAULT 0,    -- 0: record_performance(); else a metric source, whose rows are one a minute
    samples bigint NOT NULL DEFAULT 1,      -- values that went into it
    value float8 NOT NULL,                  -- their mean
    "values" model_mgr.summary,             -- NULL: only the mean is known
    CONSTRAINT metric_sample_values CHECK (pg_catalog.isfinite(sampled_at) AND samples > 0 AND value >= -1e100 AND value <= 1e100
        AND pg_catalog.octet_length(metric_name) BETWEEN 1 AND 255)
) PARTITION BY RANGE (sampled_at);
COMMENT ON TABLE model_mgr.metric_sample IS
'Values that arrived already aggregated, from record_performance() and metric sources; used for a metric where nothing of it was observed.';
COMMENT ON COLUMN model_mgr.metric_sample.sampled_at IS 'When; of a metric source within the minute (b, b + 1 minute] that it sums up.';
COMMENT ON COLUMN model_mgr.metric_sample.version_id IS 'Version that it is about.';
COMMENT ON COLUMN model_mgr.metric_sample.metric_name IS 'Metric; a built-in one by its canonical name.';
COMMENT ON COLUMN model_mgr.metric_sample.source_id IS 'Metric source, 0 for record_performance().';
COMMENT ON COLUMN model_mgr.metric_sample.samples IS 'How many values it stands for.';
COMMENT ON COLUMN model_mgr.metric_sample.value IS 'Mean of those values.';
COMMENT ON COLUMN model_mgr.metric_sample."values" IS 'Their summary; NULL where only the mean is known.';
CREATE TABLE model_mgr.metric_sample_default PARTITION OF model_mgr.metric_sample DEFAULT
    WITH (autovacuum_vacuum_insert_threshold = -1);
COMMENT ON TABLE model_mgr.metric_sample_default IS 'Safety net for days without a partition; drained by maintain().';
CREATE INDEX metric_sample_default_version_index ON model_mgr.metric_sample_default (version_id, sampled_at);
CREATE INDEX metric_sample_default_source_index ON model_mgr.metric_sample_default (source_id, sampled_at) WHERE source_id > 0;

SELECT pg_catalog.pg_extension_config_dump('model_mgr.metric', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.metric_sample_default', '');

CREATE FUNCTION model_mgr.record_performance(model_name text, model_version text, metrics jsonb, recorded_at timestamptz DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_record_performance' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.record_performance(text, text, jsonb, timestamptz) IS
'Records values that are aggregated already: an object of numbers, by metric name. They are used for a metric where the window holds no request of its own for it. model_version: a version or @alias. recorded_at: now, or within retention_days back and a day ahead (22003). Rates and confidence lie within 0 and 1, times, cost and tokens at 0 and above, others within +-1e100 (22003). 22P02: no object, no number; 42602, 42622: bad metric name; 42704: unknown model or version.';

CREATE FUNCTION model_mgr.get_current_metrics(model_name text, model_version text, minutes_back integer DEFAULT 60)
RETURNS TABLE (metric_name text, value float8, samples bigint, source text, last_at timestamptz)
AS 'MODULE_PATHNAME', 'mm_get_current_metrics' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 15;
COMMENT ON FUNCTION model_mgr.get_current_metrics(text, text, integer) IS
'Metrics of a version (or @alias) over the last minutes_back minutes up to now, rows recorded this moment included: one row a metric that has samples. source: observed (from requests) or reported (record_performance() and metric sources, where no request told); last_at: the last request, or value. minutes_back: 1 to retention_days in minutes (22003). Unknown names: no row.';

CREATE FUNCTION model_mgr.get_current_metrics_json(model_name text, model_version text, minutes_back integer DEFAULT 60) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(pg_catalog.jsonb_object_agg(m.metric_name, pg_catalog.jsonb_build_object('value', m.value, 'samples', m.samples,
        'source', m.source, 'last_at', m.last_at)), '{}')
    FROM model_mgr.get_current_metrics($1, $2, $3) m;
END;
COMMENT ON FUNCTION model_mgr.get_current_metrics_json(text, text, integer) IS
'get_current_metrics() as one object: {"success_rate": {"value", "samples", "source", "last_at"}, ...}; {} where there is nothing.';

CREATE FUNCTION model_mgr.get_performance_trends(model_name text, model_version text, hours_back integer DEFAULT 24, bucket_minutes integer DEFAULT NULL)
RETURNS TABLE (metric_name text, "time" timestamptz, value float8, samples bigint)
AS 'MODULE_PATHNAME', 'mm_get_performance_trends' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 3000;
COMMENT ON FUNCTION model_mgr.get_performance_trends(text, text, integer, integer) IS
'Metrics of a version (or @alias) over the last hours_back hours up to now, by buckets of bucket_minutes: every metric that occurs has a row for every bucket, value NULL and samples 0 where there was nothing. time: beginning of the bucket, a multiple of bucket_minutes since 2000-01-01 UTC; bucket b holds (b, b + bucket_minutes], the first and last as far as they lie in the window. bucket_minutes NULL: the smallest round number that makes at most 300 buckets; more than 300 are refused (22003). Before what is kept in minutes (perf_monitor_retention_hours) an hour counts in the bucket that it begins in. Unknown names: no row.';

CREATE FUNCTION model_mgr.get_performance_trends_json(model_name text, model_version text, hours_back integer DEFAULT 24, bucket_minutes integer DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(pg_catalog.jsonb_object_agg(s.metric_name, s.series), '{}')
    FROM (SELECT t.metric_name, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('time', t."time", 'value', t.value, 'samples', t.samples)
              ORDER BY t."time") AS series
          FROM model_mgr.get_performance_trends($1, $2, $3, $4) t GROUP BY t.metric_name) s;
END;
COMMENT ON FUNCTION model_mgr.get_performance_trends_json(text, text, integer, integer) IS
'get_performance_trends() as one object: {"success_rate": [{"time", "value", "samples"}, ...], ...}, in order of time; {} where there is nothing.';

CREATE FUNCTION model_mgr.get_model_comparison(model_name text, versions text[] DEFAULT NULL, hours_back integer DEFAULT 24)
RETURNS TABLE (metric_name text, version text, value float8, samples bigint, difference float8, ci_low float8, ci_high float8, p_value float8, better boolean)
AS 'MODULE_PATHNAME', 'mm_get_model_comparison' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 30;
COMMENT ON FUNCTION model_mgr.get_model_comparison(text, text[], integer) IS
'Metrics of several versions (or @aliases) over the last hours_back hours up to now: a row for every metric that one of them has and every version. difference: to the first version, the baseline; ci_low, ci_high: 95 % interval of it, p_value two-sided: rates by Newcombe''s interval and the pooled z-test, means by Welch; quantiles, requests_per_minute and what was only reported as a mean have the difference alone. better: whether the version is better or worse than the baseline, by the metric''s direction, where the interval excludes 0; else NULL. versions NULL: the active version, then the others that have data. Unknown names: no row.';

CREATE FUNCTION model_mgr.get_model_comparison_json(model_name text, versions text[] DEFAULT NULL, hours_back integer DEFAULT 24) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(pg_catalog.jsonb_object_agg(v.version, v.metrics), '{}')
    FROM (SELECT c.version, pg_catalog.jsonb_object_agg(c.metric_name, pg_catalog.jsonb_build_object('value', c.value, 'samples', c.samples,
              'difference', c.difference, 'ci_low', c.ci_low, 'ci_high', c.ci_high, 'p_value', c.p_value, 'better', c.better)) AS metrics
          FROM model_mgr.get_model_comparison($1, $2, $3) c GROUP BY c.version) v;
END;
COMMENT ON FUNCTION model_mgr.get_model_comparison_json(text, text[], integer) IS
'get_model_comparison() as one object: {"1.1.0": {"success_rate": {"value", "samples", "difference", "ci_low", "ci_high", "p_value", "better"}, ...}, ...}; {} where there is nothing.';

-- From here on series are shown by minute, before by hour: what is kept in minutes for certain, and not beyond what is in the hours.
CREATE FUNCTION model_mgr.metric_minutes_since() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT LEAST(GREATEST(pg_catalog.date_bin('01:00:00'::interval, LEAST(model_mgr.clock_time(), pg_catalog.now())
                   - pg_catalog.make_interval(hours => pg_catalog.current_setting('model_mgr.perf_monitor_retention_hours')::integer - 1), '2000-01-01 00:00:00+00'),
                   -- however long they are kept now, what was dropped before is gone
                   CASE WHEN s.minutes_from <= LEAST(model_mgr.clock_time(), pg_catalog.now()) THEN s.minutes_from END),
                 pg_catalog.date_bin('01:00:00'::interval, s.hours_until, '2000-01-01 00:00:00+00'))
    FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1;
END;
COMMENT ON FUNCTION model_mgr.metric_minutes_since() IS 'The hour from which on metric_series has minutes; before it has hours.';

CREATE VIEW model_mgr.metric_series AS
SELECT s."time", v.model_name, v.version, s.metric_name, s.value, s.samples
FROM (
    SELECT t.bucket AS "time", t.version_id, k.metric_name, k.value, k.samples
    FROM (SELECT g.bucket, g.version_id, pg_catalog.max(g.minutes) AS minutes,
                 pg_catalog.sum(g.requests)::bigint AS requests, pg_catalog.sum(g.known)::bigint AS known,
                 pg_catalog.sum(g.successes)::float8 AS successes, pg_catalog.sum(g.errors)::float8 AS errors,
                 pg_catalog.sum(g.response_time_count)::bigint AS response_time_count, pg_catalog.sum(g.response_time_sum) AS response_time_sum,
                 pg_catalog.sum(g.confidence_count)::bigint AS confidence_count, pg_catalog.sum(g.confidence_sum) AS confidence_sum,
                 pg_catalog.sum(g.cost_count)::bigint AS cost_count, pg_catalog.sum(g.cost_sum) AS cost_sum,
                 pg_catalog.sum(g.input_tokens_count)::bigint AS input_tokens_count, pg_catalog.sum(g.input_tokens_sum) AS input_tokens_sum,
                 pg_catalog.sum(g.output_tokens_count)::bigint AS output_tokens_count, pg_catalog.sum(g.output_tokens_sum) AS output_tokens_sum,
                 model_mgr.merge(g.response_time) AS response_time
          FROM (SELECT m.bucket, 1 AS minutes, m.version_id, m.requests, m.known, m.successes, m.errors, m.response_time_count, m.response_time_sum,
                       m.confidence_count, m.confidence_sum, m.cost_count, m.cost_sum, m.input_tokens_count, m.input_tokens_sum,
                       m.output_tokens_count, m.output_tokens_sum, m.response_time
                FROM model_mgr.rollup_minute m WHERE m.bucket >= (SELECT model_mgr.metric_minutes_since())
                UNION ALL
                SELECT h.bucket, 60, h.version_id, h.requests, h.known, h.successes, h.errors, h.response_time_count, h.response_time_sum,
                       h.confidence_count, h.confidence_sum, h.cost_count, h.cost_sum, h.input_tokens_count, h.input_tokens_sum,
                       h.output_tokens_count, h.output_tokens_sum, h.response_time
                FROM model_mgr.rollup_hour h WHERE h.bucket < (SELECT model_mgr.metric_minutes_since())
                UNION ALL
                SELECT CASE WHEN p.old THEN pg_catalog.date_bin('01:00:00'::interval, p.bucket, '2000-01-01 00:00:00+00') ELSE p.bucket END,
                       CASE WHEN p.old THEN 60 ELSE 1 END, p.version_id, p.requests, p.known, p.successes, p.errors,
                       p.response_time_count, p.response_time_sum, p.confidence_count, p.confidence_sum, p.cost_count, p.cost_sum, p.input_tokens_count,
                       p.input_tokens_sum, p.output_tokens_count, p.output_tokens_sum, p.response_time
                FROM (SELECT t.*, t.bucket < (SELECT model_mgr.metric_minutes_since()) AS old FROM model_mgr.rollup_tail t) p) g
          GROUP BY g.bucket, g.version_id) t,
        LATERAL (VALUES
            ('success_rate', t.successes / nullif(t.known, 0), t.known),
            ('error_rate', t.errors / nullif(t.requests, 0), t.requests),
            ('avg_response_time', t.response_time_sum / nullif(t.response_time_count, 0), t.response_time_count),
            ('p50_response_time', model_mgr.summary_quantile(t.response_time, 0.5), t.response_time_count),
            ('p95_response_time', model_mgr.summary_quantile(t.response_time, 0.95), t.response_time_count),
            ('p99_response_time', model_mgr.summary_quantile(t.response_time, 0.99), t.response_time_count),
            ('confidence_score', t.confidence_sum / nullif(t.confidence_count, 0), t.confidence_count),
            ('cost_per_request', t.cost_sum / nullif(t.cost_count, 0), t.cost_count),
            ('input_tokens', t.input_tokens_sum / nullif(t.input_tokens_count, 0), t.input_tokens_count),
            ('output_tokens', t.output_tokens_sum / nullif(t.output_tokens_count, 0), t.output_tokens_count),
            ('requests_per_minute', t.requests::float8 / t.minutes, t.requests)) k (metric_name, value, samples)
    WHERE k.samples > 0
    UNION ALL
    SELECT g.bucket, g.version_id, g.metric_name, pg_catalog.sum(g.sum) / pg_catalog.sum(g.count)::float8, pg_catalog.sum(g.count)::bigint
    FROM (SELECT m.bucket, m.version_id, m.metric_name, m.sum, m.count
          FROM model_mgr.rollup_metric_minute m WHERE m.bucket >= (SELECT model_mgr.metric_minutes_since())
          UNION ALL
          SELECT h.bucket, h.version_id, h.metric_name, h.sum, h.count
          FROM model_mgr.rollup_metric_hour h WHERE h.bucket < (SELECT model_mgr.metric_minutes_since())
          UNION ALL
          SELECT CASE WHEN t.bucket < (SELECT model_mgr.metric_minutes_since())
                      THEN pg_catalog.date_bin('01:00:00'::interval, t.bucket, '2000-01-01 00:00:00+00') ELSE t.bucket END,
                 t.version_id, t.metric_name, t.sum, t.count
          FROM model_mgr.rollup_metric_tail_rows() t) g
    GROUP BY g.bucket, g.version_id, g.metric_name
    UNION ALL
    -- what was reported, but where requests of that minute or hour told
    SELECT r.sampled_at, r.version_id, r.metric_name, r.value, r.samples
    FROM model_mgr.metric_sample r
    WHERE NOT EXISTS (
        SELECT FROM (SELECT m.bucket, m.version_id, m.known, m.requests, m.response_time_count, m.confidence_count, m.cost_count, m.input_tokens_count, m.output_tokens_count
                     FROM model_mgr.rollup_minute m WHERE m.bucket = pg_catalog.date_bin('00:01:00'::interval, r.sampled_at - '00:00:00.000001'::interval, '2000-01-01 00:00:00+00')
                     UNION ALL
                     SELECT h.bucket, h.version_id, h.known, h.requests, h.response_time_count, h.confidence_count, h.cost_count, h.input_tokens_count, h.output_tokens_count
                     FROM model_mgr.rollup_hour h WHERE h.bucket = pg_catalog.date_bin('01:00:00'::interval, r.sampled_at - '00:00:00.000001'::interval, '2000-01-01 00:00:00+00')
                       AND h.bucket < (SELECT model_mgr.metric_minutes_since())) o
        WHERE o.version_id = r.version_id
          AND CASE WHEN r.metric_name = 'success_rate' THEN o.known WHEN r.metric_name = ANY ('{error_rate,requests_per_minute}'::text[]) THEN o.requests
                   WHEN r.metric_name = ANY ('{avg_response_time,p50_response_time,p95_response_time,p99_response_time}'::text[]) THEN o.response_time_count
                   WHEN r.metric_name = 'confidence_score' THEN o.confidence_count WHEN r.metric_name = 'cost_per_request' THEN o.cost_count
                   WHEN r.metric_name = 'input_tokens' THEN o.input_tokens_count WHEN r.metric_name = 'output_tokens' THEN o.output_tokens_count END > 0)
      AND NOT EXISTS (
        SELECT FROM model_mgr.rollup_metric_minute m
        WHERE m.version_id = r.version_id AND m.metric_name = r.metric_name
          AND m.bucket = pg_catalog.date_bin('00:01:00'::interval, r.sampled_at - '00:00:00.000001'::interval, '2000-01-01 00:00:00+00'))
    ) s JOIN model_mgr.model_version v ON v.version_id = s.version_id;
COMMENT ON VIEW model_mgr.metric_series IS
'Every metric of every version over time: by minute as far as minutes are kept (perf_monitor_retention_hours), by hour before, rows recorded this moment included. Only buckets with samples have a row. Filter by time.';
COMMENT ON COLUMN model_mgr.metric_series."time" IS 'Beginning of the minute or hour, which holds what came after it up to its end; of a reported value its own time.';
COMMENT ON COLUMN model_mgr.metric_series.model_name IS 'Model.';
COMMENT ON COLUMN model_mgr.metric_series.version IS 'Version.';
COMMENT ON COLUMN model_mgr.metric_series.metric_name IS 'Metric, as in metric_list.';
COMMENT ON COLUMN model_mgr.metric_series.value IS 'Its value over that minute or hour.';
COMMENT ON COLUMN model_mgr.metric_series.samples IS 'What it was computed from.';

CREATE VIEW model_mgr.metric_matrix AS
SELECT c.metric_name, v.version, c.value, v.model_name
FROM model_mgr.model_version v, LATERAL model_mgr.get_current_metrics(v.model_name, v.version, 24 * 60) c
-- versions that did nothing are not asked
WHERE EXISTS (SELECT FROM model_mgr.rollup_minute m WHERE m.version_id = v.version_id AND m.bucket >= model_mgr.clock_time() - '24:01:00'::interval)
   OR EXISTS (SELECT FROM model_mgr.metric_sample s WHERE s.version_id = v.version_id AND s.sampled_at > model_mgr.clock_time() - '24:00:00'::interval)
   OR v.version_id = ANY (ARRAY(SELECT o.version_id FROM model_mgr.rollup_tail o));
COMMENT ON VIEW model_mgr.metric_matrix IS
'Metrics of the last 24 hours, a row a metric and version, in the order that \crosstabview wants: SELECT * FROM model_mgr.metric_matrix WHERE model_name = ''...'' \crosstabview metric_name version value.';
COMMENT ON COLUMN model_mgr.metric_matrix.metric_name IS 'Metric, as in metric_list.';
COMMENT ON COLUMN model_mgr.metric_matrix.version IS 'Version.';
COMMENT ON COLUMN model_mgr.metric_matrix.value IS 'Its value over the last 24 hours.';
COMMENT ON COLUMN model_mgr.metric_matrix.model_name IS 'Model.';
-- 68_alert: thresholds, the life of alerts of every kind, and silences.

CREATE TABLE model_mgr.threshold (
    threshold_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_id bigint NOT NULL,
    "position" integer NOT NULL,            -- in the set, from 1
    metric_name text NOT NULL,              -- as the caller wrote it
    threshold_value float8 NOT NULL,
    operator text NOT NULL CHECK (operator IN ('less_than', 'less_equal', 'greater_than', 'greater_equal', 'equal', 'not_equal')),
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    duration_minutes integer NOT NULL CHECK (duration_minutes >= 0),
    action text NOT NULL CHECK (action IN ('alert', 'pause', 'rollback')),
    on_no_data text NOT NULL CHECK (on_no_data IN ('hold', 'ok', 'breach')),
    set_by text NOT NULL,
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE model_mgr.threshold IS 'What a model''s metrics are held against: one row a threshold, written by set_thresholds().';
CREATE INDEX threshold_model_index ON model_mgr.threshold (model_id, "position");

-- What callers see of an alert, and nothing else; resolved ones are the history, kept when their model goes, until retention_days
-- are over.
CREATE TABLE model_mgr.alert (
    alert_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('threshold', 'anomaly', 'rollout', 'no_data')),
    model_name text NOT NULL,
    version text,
    metric_name text,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    status text NOT NULL CHECK (status IN ('pending', 'firing', 'resolved')),
    action text,
    operator text,
    threshold_value float8,
    duration_minutes integer,
    current_value float8,
    samples bigint,
    started_at timestamptz NOT NULL,
    fired_at timestamptz,
    resolved_at timestamptz,
    acknowledged_at timestamptz,
    note text,
    deployment_id bigint,
    summary text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);                   -- an open alert's numbers are updated in place at each look
COMMENT ON TABLE model_mgr.alert IS 'One row an alert: pending (a breach that has not lasted yet), firing or resolved.';
COMMENT ON COLUMN model_mgr.alert.alert_id IS 'Number of the alert, for acknowledge_alert().';
COMMENT ON COLUMN model_mgr.alert.kind IS 'threshold, no_data (a threshold''s, begun by a look without samples), anomaly or rollout.';
COMMENT ON COLUMN model_mgr.alert.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.alert.version IS 'The version; NULL: the model as a whole.';
COMMENT ON COLUMN model_mgr.alert.metric_name IS 'The metric, as the threshold names it.';
COMMENT ON COLUMN model_mgr.alert.severity IS 'info, warning or critical.';
COMMENT ON COLUMN model_mgr.alert.status IS 'pending, firing or resolved.';
COMMENT ON COLUMN model_mgr.alert.action IS 'What the threshold does when it fires: alert, pause or rollback; NULL without a threshold.';
COMMENT ON COLUMN model_mgr.alert.operator IS 'less_than, less_equal, greater_than, greater_equal, equal or not_equal.';
COMMENT ON COLUMN model_mgr.alert.threshold_value IS 'What the value was held against, in the metric''s unit.';
COMMENT ON COLUMN model_mgr.alert.duration_minutes IS 'Minutes that the breach had to last.';
COMMENT ON COLUMN model_mgr.alert.current_value IS 'The metric at the last look; NULL: no samples.';
COMMENT ON COLUMN model_mgr.alert.samples IS 'Samples behind that value.';
COMMENT ON COLUMN model_mgr.alert.started_at IS 'First breaching look.';
COMMENT ON COLUMN model_mgr.alert.fired_at IS 'When it began to fire; NULL while pending.';
COMMENT ON COLUMN model_mgr.alert.resolved_at IS 'When it was over.';
COMMENT ON COLUMN model_mgr.alert.acknowledged_at IS 'When somebody took it on.';
COMMENT ON COLUMN model_mgr.alert.note IS 'What they said.';
COMMENT ON COLUMN model_mgr.alert.deployment_id IS 'The rollout that was under way, or that its action ended.';
COMMENT ON COLUMN model_mgr.alert.summary IS 'One sentence with the numbers it fired with.';
COMMENT ON COLUMN model_mgr.alert.evidence IS 'The look it was decided on: window, value, samples, threshold, looks, and what its action did.';
CREATE INDEX alert_open_index ON model_mgr.alert (model_name) WHERE status IN ('pending', 'firing');
CREATE INDEX alert_fired_index ON model_mgr.alert (fired_at);

-- One row an alert that is pending or firing, gone when it is over. The unique indexes are the promise of one alert a
-- condition.
CREATE TABLE model_mgr.alert_state (
    alert_id bigint PRIMARY KEY,
    model_id bigint NOT NULL,
    version_id bigint NOT NULL,             -- 0: the model as a whole
    threshold_id bigint,                    -- NULL: none stands behind it
    kind text NOT NULL,
    metric_name text NOT NULL,              -- '': none
    firing boolean NOT NULL,                -- as alert.status says, and the next as there: a look reads this table alone
    started_at timestamptz NOT NULL,
    clean_since timestamptz,                -- firing, and every look since was clean
    looked_at timestamptz NOT NULL,
    looks bigint NOT NULL,                  -- since it began
    gone boolean NOT NULL DEFAULT false,    -- its version serves no more
    action_done boolean NOT NULL DEFAULT false, -- its threshold's action, once; one that failed is tried again
    emitted_at timestamptz                  -- when its event alert.firing was written; NULL: not yet (pending, silenced)
) WITH (fillfactor = 70);
COMMENT ON TABLE model_mgr.alert_state IS 'The machinery''s side of an alert while it is open.';
CREATE UNIQUE INDEX alert_state_threshold_index ON model_mgr.alert_state (threshold_id, version_id) WHERE threshold_id IS NOT NULL;
CREATE UNIQUE INDEX alert_state_condition_index ON model_mgr.alert_state (model_id, version_id, kind, metric_name) WHERE threshold_id IS NULL;
CREATE INDEX alert_state_model_index ON model_mgr.alert_state (model_id);

-- When a commit looked last at a model's thresholds: other sessions' commits leave it alone for a second.
CREATE TABLE model_mgr.threshold_look (
    model_id bigint PRIMARY KEY,
    looked_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE model_mgr.threshold_look IS 'When the thresholds of a model were last looked at by the commit of a recording.';

CREATE TABLE model_mgr.silence (
    silence_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_id bigint NOT NULL,
    model_name text NOT NULL,
    metric_name text,                       -- as written; NULL: every alert of the model
    metric_names text[],                    -- all names of that metric
    until timestamptz NOT NULL,
    reason text NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE model_mgr.silence IS 'Whose alerts reach nobody for a while: at most one row a model and metric.';
CREATE UNIQUE INDEX silence_model_index ON model_mgr.silence (model_id, coalesce(metric_name, ''));

CREATE VIEW model_mgr.threshold_version AS
SELECT r.model_id, r.stable_version_id AS version_id, r.stable_version AS version, true AS routed
FROM model_mgr.routing r WHERE r.stable_version_id IS NOT NULL
UNION ALL
SELECT r.model_id, r.candidate_version_id, r.candidate_version, true FROM model_mgr.routing r WHERE r.candidate_weight > 0
UNION ALL
SELECT r.model_id, v.version_id, v.version, false
FROM model_mgr.routing r JOIN model_mgr.model_version v ON v.model_id = r.model_id
WHERE r.stable_version_id IS NULL AND r.candidate_weight = 0 AND v.status <> 'archived';
COMMENT ON VIEW model_mgr.threshold_version IS 'The versions that thresholds look at: those that routing serves; of a model that serves nothing, all but archived ones.';
COMMENT ON COLUMN model_mgr.threshold_version.model_id IS 'The model.';
COMMENT ON COLUMN model_mgr.threshold_version.version_id IS 'The version.';
COMMENT ON COLUMN model_mgr.threshold_version.version IS 'Its text.';
COMMENT ON COLUMN model_mgr.threshold_version.routed IS 'Whether routing serves it; else only its outcomes say that somebody does.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.threshold', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.threshold_threshold_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.alert', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.alert_alert_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.alert_state', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.threshold_look', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.silence', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.silence_silence_id_seq', '');

CREATE FUNCTION model_mgr.performance_threshold(metric_name text, threshold_value float8, operator text,
    severity text DEFAULT 'warning', duration_minutes integer DEFAULT 5, action text DEFAULT 'alert',
    on_no_data text DEFAULT 'hold') RETURNS jsonb
AS 'MODULE_PATHNAME', 'mm_performance_threshold' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.performance_threshold(text, float8, text, text, integer, text, text) IS
'A checked threshold for set_thresholds(): `metric operator value` is a breach. operator: less_than, less_equal, greater_than, greater_equal, equal, not_equal, or the sign (given back as the word); severity: info, warning, critical; duration_minutes: 0 to 525600, how long the breach must last; action when it fires: alert, pause (the running rollout) or rollback; on_no_data, what a look without samples means: hold (nothing), ok or breach. NULL is the default. Errors: 22004 one of the first three is null, 22003 out of range or no finite number, 22023 unknown word, 42602 and 42622 bad metric name.';

CREATE FUNCTION model_mgr.set_thresholds(model_name text, thresholds jsonb) RETURNS integer
AS 'MODULE_PATHNAME', 'mm_set_thresholds' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.set_thresholds(text, jsonb) IS
'Replaces the model''s thresholds by this list of objects with the keys of performance_threshold() (missing and null ones get its defaults) and returns how many there are now; [] takes all away. A threshold that stays as it was keeps its alerts, those of one that goes are resolved. Errors: 22P02 no list of objects, or a value of the wrong JSON type; 22023 unknown or missing key, unknown word, the same threshold twice; 22003, 42602, 42622 as performance_threshold(); 54000 more than 1,000; 42704 unknown model; 22004.';

CREATE FUNCTION model_mgr.get_thresholds(model_name text) RETURNS jsonb
LANGUAGE SQL STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(get_thresholds.model_name, 'model_name');
    SELECT (SELECT coalesce(jsonb_agg(model_mgr.performance_threshold(t.metric_name, t.threshold_value, t.operator, t.severity,
                                                                      t.duration_minutes, t.action, t.on_no_data) ORDER BY t."position"), '[]')
            FROM model_mgr.threshold t WHERE t.model_id = m.model_id)
    FROM model_mgr.model m WHERE m.model_name = get_thresholds.model_name;
END;
COMMENT ON FUNCTION model_mgr.get_thresholds(text) IS
'The model''s thresholds as set_thresholds() takes them, in their order, every key present; [] when it has none, NULL for an unknown model. Errors: 22004.';

CREATE FUNCTION model_mgr.get_active_alerts() RETURNS SETOF model_mgr.alert
LANGUAGE SQL STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.* FROM model_mgr.alert a WHERE a.status = 'firing'
    ORDER BY array_position('{critical,warning,info}'::text[], a.severity), a.alert_id;
END;
COMMENT ON FUNCTION model_mgr.get_active_alerts() IS
'Alerts of every kind that fire now, silenced ones too: critical ones first, then in the order they began.';

CREATE FUNCTION model_mgr.get_alert_history(hours_back integer DEFAULT 24) RETURNS SETOF model_mgr.alert
LANGUAGE SQL STABLE PARALLEL SAFE ROWS 100 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_range(coalesce(get_alert_history.hours_back, 24)::float8, 'hours_back', 1, 876000);
    SELECT a.* FROM model_mgr.alert a
    WHERE a.fired_at > model_mgr.clock_time() - make_interval(hours => coalesce(get_alert_history.hours_back, 24)) AND a.fired_at <= model_mgr.clock_time()
       OR a.status = 'firing'
    ORDER BY a.fired_at, a.alert_id;
END;
COMMENT ON FUNCTION model_mgr.get_alert_history(integer) IS
'Alerts that began to fire in the last so many hours (1 to 876000; NULL: 24), and those that still fire, in the order they did. Errors: 22003.';

CREATE FUNCTION model_mgr.acknowledge_alert(alert_id bigint, note text DEFAULT '') RETURNS SETOF model_mgr.alert
AS 'MODULE_PATHNAME', 'mm_acknowledge_alert' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION model_mgr.acknowledge_alert(bigint, text) IS
'Says that somebody has taken an alert on, and returns it; it goes on firing until its condition is over. Again keeps the first time and takes the new note, if there is one. Errors: 42704 unknown alert, 55000 a resolved one, 22004.';

CREATE FUNCTION model_mgr.silence(model_name text, until timestamptz, reason text DEFAULT '', metric_name text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_silence' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.silence(text, timestamptz, text, text) IS
'Until then the model''s alerts (metric_name: those of that metric) write no event, so that they reach no callback; alerts and their actions go on. What still fires afterwards is told then. Replaces the silence of the same model and metric; until now() (or earlier) ends it. Errors: 42704 unknown model, 42602 and 42622 bad metric name, 22004.';

CREATE VIEW model_mgr.alert_silence AS
SELECT a.alert_id, pg_catalog.max(s.until) AS until
FROM model_mgr.alert a JOIN model_mgr.silence s ON s.model_name = a.model_name
    AND (s.metric_names IS NULL OR a.metric_name = ANY (s.metric_names))
WHERE a.status IN ('pending', 'firing') AND s.until > model_mgr.clock_time()
GROUP BY a.alert_id;
COMMENT ON VIEW model_mgr.alert_silence IS 'Open alerts that are silenced now.';
COMMENT ON COLUMN model_mgr.alert_silence.alert_id IS 'The alert.';
COMMENT ON COLUMN model_mgr.alert_silence.until IS 'When the last silence over it ends.';

CREATE VIEW model_mgr.alert_list AS
SELECT a.alert_id, a.kind, a.model_name, a.version, a.metric_name, a.severity, a.status, a.action, a.operator,
       a.threshold_value, a.duration_minutes, a.current_value, a.samples, a.started_at, a.fired_at, a.resolved_at,
       a.acknowledged_at, a.note, a.deployment_id, a.summary, a.evidence
FROM model_mgr.alert a;
COMMENT ON VIEW model_mgr.alert_list IS 'Alerts of every kind and status.';
COMMENT ON COLUMN model_mgr.alert_list.alert_id IS 'Number of the alert, for acknowledge_alert().';
COMMENT ON COLUMN model_mgr.alert_list.kind IS 'threshold, no_data (a threshold''s, begun by a look without samples), anomaly or rollout.';
COMMENT ON COLUMN model_mgr.alert_list.model_name IS 'The model; kept after it is deleted.';
COMMENT ON COLUMN model_mgr.alert_list.version IS 'The version; NULL: the model as a whole.';
COMMENT ON COLUMN model_mgr.alert_list.metric_name IS 'The metric, as the threshold names it.';
COMMENT ON COLUMN model_mgr.alert_list.severity IS 'info, warning or critical.';
COMMENT ON COLUMN model_mgr.alert_list.status IS 'pending (the breach has not lasted yet), firing or resolved.';
COMMENT ON COLUMN model_mgr.alert_list.action IS 'What the threshold does when it fires: alert, pause or rollback; NULL without a threshold.';
COMMENT ON COLUMN model_mgr.alert_list.operator IS 'How the value is held against threshold_value, as a word.';
COMMENT ON COLUMN model_mgr.alert_list.threshold_value IS 'What the value was held against, in the metric''s unit.';
COMMENT ON COLUMN model_mgr.alert_list.duration_minutes IS 'Minutes that the breach had to last.';
COMMENT ON COLUMN model_mgr.alert_list.current_value IS 'The metric at the last look; NULL: no samples.';
COMMENT ON COLUMN model_mgr.alert_list.samples IS 'Samples behind that value.';
COMMENT ON COLUMN model_mgr.alert_list.started_at IS 'First breaching look.';
COMMENT ON COLUMN model_mgr.alert_list.fired_at IS 'When it began to fire; NULL while pending.';
COMMENT ON COLUMN model_mgr.alert_list.resolved_at IS 'When it was over.';
COMMENT ON COLUMN model_mgr.alert_list.acknowledged_at IS 'When somebody took it on.';
COMMENT ON COLUMN model_mgr.alert_list.note IS 'What they said.';
COMMENT ON COLUMN model_mgr.alert_list.deployment_id IS 'The rollout that was under way, or that its action ended.';
COMMENT ON COLUMN model_mgr.alert_list.summary IS 'One sentence with the numbers it fired with.';
COMMENT ON COLUMN model_mgr.alert_list.evidence IS 'What it was decided on.';

CREATE VIEW model_mgr.threshold_list AS
SELECT m.model_name, t."position", t.metric_name, t.operator, t.threshold_value, t.severity, t.duration_minutes,
       t.action, t.on_no_data,
       (SELECT pg_catalog.count(*) FROM model_mgr.alert_state s JOIN model_mgr.alert a ON a.alert_id = s.alert_id
        WHERE s.threshold_id = t.threshold_id AND a.status = 'pending') AS pending,
       (SELECT pg_catalog.count(*) FROM model_mgr.alert_state s JOIN model_mgr.alert a ON a.alert_id = s.alert_id
        WHERE s.threshold_id = t.threshold_id AND a.status = 'firing') AS firing,
       t.set_by, t.set_at
FROM model_mgr.threshold t JOIN model_mgr.model m ON m.model_id = t.model_id;
COMMENT ON VIEW model_mgr.threshold_list IS 'One row a threshold, with its open alerts.';
COMMENT ON COLUMN model_mgr.threshold_list.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.threshold_list."position" IS 'Place in the set, from 1.';
COMMENT ON COLUMN model_mgr.threshold_list.metric_name IS 'The metric, as the caller wrote it.';
COMMENT ON COLUMN model_mgr.threshold_list.operator IS '`metric operator value` is a breach.';
COMMENT ON COLUMN model_mgr.threshold_list.threshold_value IS 'In the metric''s unit.';
COMMENT ON COLUMN model_mgr.threshold_list.severity IS 'info, warning or critical.';
COMMENT ON COLUMN model_mgr.threshold_list.duration_minutes IS 'Minutes that a breach must last.';
COMMENT ON COLUMN model_mgr.threshold_list.action IS 'What it does when it fires: alert, pause or rollback.';
COMMENT ON COLUMN model_mgr.threshold_list.on_no_data IS 'What a look without samples means: hold, ok or breach.';
COMMENT ON COLUMN model_mgr.threshold_list.pending IS 'Versions in breach whose alert does not fire yet.';
COMMENT ON COLUMN model_mgr.threshold_list.firing IS 'Versions whose alert fires.';
COMMENT ON COLUMN model_mgr.threshold_list.set_by IS 'Who set it.';
COMMENT ON COLUMN model_mgr.threshold_list.set_at IS 'Since when it is there.';

-- Rules that people set by hand. A unit shows as its keyed hash: unit_hash('...') finds it.
CREATE VIEW model_mgr.rule_list AS
SELECT r.model_name, 'pin'::text AS rule, NULL::text AS segment, p.unit_hash, NULL::jsonb AS condition, p.version,
    NULL::integer AS "position", p.pinned_by AS created_by, h.changed_at AS created_at, NULL::text AS metric_name,
    NULL::timestamptz AS until, NULL::text AS reason
FROM model_mgr.routing r
JOIN model_mgr.routing_pin p ON p.model_id = r.model_id AND p.last_revision IS NULL
LEFT JOIN model_mgr.routing_history h ON h.model_id = p.model_id AND h.revision = p.first_revision
UNION ALL
SELECT r.model_name, 'segment', s.e ->> 'segment', NULL, s.e -> 'condition', s.e ->> 'version',
    s.n::integer, s.e ->> 'set_by', (s.e ->> 'set_at')::timestamptz, NULL, NULL, NULL
FROM model_mgr.routing r CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(r.segments) WITH ORDINALITY AS s (e, n)
UNION ALL
SELECT q.model_name, 'silence', NULL, NULL, NULL, NULL, NULL, q.set_by, q.set_at, q.metric_name, q.until, q.reason
FROM model_mgr.silence q WHERE q.until > model_mgr.clock_time()
UNION ALL
SELECT f.model_name, 'freeze', NULL, NULL, NULL, NULL, NULL, f.frozen_by, f.frozen_at, NULL, f.frozen_until, f.reason
FROM model_mgr.deployment_freeze f WHERE f.frozen_until > model_mgr.clock_time();
COMMENT ON VIEW model_mgr.rule_list IS 'Pins, segments, silences and freezes in force: who set what for whom, and when.';
COMMENT ON COLUMN model_mgr.rule_list.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.rule_list.rule IS 'pin, segment, silence or freeze.';
COMMENT ON COLUMN model_mgr.rule_list.segment IS 'Name of the segment; NULL for others.';
COMMENT ON COLUMN model_mgr.rule_list.unit_hash IS 'Keyed hash of the pinned unit, as unit_hash() gives it; NULL for others.';
COMMENT ON COLUMN model_mgr.rule_list.condition IS 'Condition of the segment on a request''s context; NULL for others.';
COMMENT ON COLUMN model_mgr.rule_list.version IS 'The version that serves; NULL for a silence or freeze.';
COMMENT ON COLUMN model_mgr.rule_list."position" IS 'Order in which segments are looked at, from 1; NULL for others.';
COMMENT ON COLUMN model_mgr.rule_list.created_by IS 'Who set it.';
COMMENT ON COLUMN model_mgr.rule_list.created_at IS 'Since when it is in force.';
COMMENT ON COLUMN model_mgr.rule_list.metric_name IS 'The metric whose alerts are silenced; NULL: all, or no silence.';
COMMENT ON COLUMN model_mgr.rule_list.until IS 'When the silence or freeze ends.';
COMMENT ON COLUMN model_mgr.rule_list.reason IS 'Why it was set.';
-- 69_event: the outbox of events, the callbacks that are called for some of them, and how far both have come.

-- "time" is the contract's column name.
CREATE TABLE model_mgr.event (
    event_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    "time" timestamptz NOT NULL,
    type text NOT NULL,                     -- model_mgr.event_type_prefix is in it
    model_name text,
    version text,
    deployment_id bigint,
    data jsonb NOT NULL DEFAULT '{}',
    txn bigint NOT NULL DEFAULT model_mgr.current_txn()     -- orders: ids alone commit out of order
);
COMMENT ON TABLE model_mgr.event IS 'The outbox: what happened to models, written in the transaction that did it. Read it with events_since() or event_list.';
CREATE INDEX event_txn_index ON model_mgr.event (txn, event_id);
CREATE INDEX event_time_index ON model_mgr.event ("time");

-- How far NOTIFY has told of; no row until the first one, so that a restored row meets none.
CREATE TABLE model_mgr.event_notified (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    txn bigint NOT NULL,
    event_id bigint NOT NULL
);
COMMENT ON TABLE model_mgr.event_notified IS 'The last event that the tick sent a NOTIFY for.';

CREATE FUNCTION model_mgr.events_since(after text DEFAULT '', max_rows integer DEFAULT 1000)
RETURNS TABLE (cursor text, event_id bigint, "time" timestamptz, type text, model_name text, version text, deployment_id bigint, data jsonb)
AS 'MODULE_PATHNAME', 'mm_events_since' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100;
COMMENT ON FUNCTION model_mgr.events_since(text, integer) IS
'Events behind a cursor, oldest first, at most max_rows (1 to 1000000). after: the cursor of the last row that was dealt with; '''': from the beginning. Nothing is skipped and nothing comes twice, however transactions overlap: events are shown once every transaction that began to write before theirs has ended. Events are kept for model_mgr.retention_days. Errors: 22P02 damaged cursor, 22023 cursor of another database or of a time that a recovery has undone, 22003 max_rows out of range.';

CREATE VIEW model_mgr.event_list AS
SELECT e.event_id, e."time", e.type, e.model_name, e.version, e.deployment_id, e.data FROM model_mgr.event e;
COMMENT ON VIEW model_mgr.event_list IS 'Events of the last model_mgr.retention_days; for reading on where one stopped use events_since().';
COMMENT ON COLUMN model_mgr.event_list.event_id IS 'Number of the event; numbers may be missing, and need not be in the order of commit.';
COMMENT ON COLUMN model_mgr.event_list."time" IS 'When it happened (model_mgr.clock when that was set).';
COMMENT ON COLUMN model_mgr.event_list.type IS 'What happened, for example deployment.rolled_back; model_mgr.event_type_prefix stands before it.';
COMMENT ON COLUMN model_mgr.event_list.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.event_list.version IS 'The version that it happened to; NULL: the model as a whole.';
COMMENT ON COLUMN model_mgr.event_list.deployment_id IS 'The deployment that it belongs to; NULL: none.';
COMMENT ON COLUMN model_mgr.event_list.data IS 'What else there is to know, by type.';

-- Who is called. The function is known by its OID and by its name, the role likewise: callback.c says what must agree.
CREATE TABLE model_mgr.callback (
    callback_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('alert', 'rollback')),
    function oid NOT NULL,
    signature text NOT NULL,                -- with its schema, quoted as needed
    role oid NOT NULL,                      -- runs it
    role_name text NOT NULL,
    origin text NOT NULL,                   -- the cluster and database that the oids are of
    registered_at timestamptz NOT NULL,
    disabled_at timestamptz,
    disabled_reason text,
    stalled boolean NOT NULL DEFAULT false, -- its last attempt failed and took long: it gets one item a round until one goes well
    UNIQUE (kind, signature)
);
COMMENT ON TABLE model_mgr.callback IS 'Functions that work() calls for alerts and for automatic rollbacks.';

-- One row for each event that a callback is to be called for, made in the event's transaction.
CREATE TABLE model_mgr.callback_delivery (
    callback_id bigint NOT NULL,
    event_id bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,   -- by the extension's clock, like all here
    first_attempt_at timestamptz,
    started_at timestamptz,                 -- an attempt is under way, or its session ended in it
    started_by integer,                     -- ... by this server process
    last_error text,
    delivered_at timestamptz,
    given_up_at timestamptz,
    PRIMARY KEY (callback_id, event_id)
);
COMMENT ON TABLE model_mgr.callback_delivery IS 'How each callback''s events were delivered, or why not yet.';
CREATE INDEX callback_delivery_due_index ON model_mgr.callback_delivery (next_attempt_at)
    WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX callback_delivery_event_index ON model_mgr.callback_delivery (event_id);

SELECT pg_catalog.pg_extension_config_dump('model_mgr.event', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.event_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.event_notified', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.callback', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.callback_callback_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.callback_delivery', '');

CREATE FUNCTION model_mgr.add_alert_callback(callback regprocedure) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_add_alert_callback' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.add_alert_callback(regprocedure) IS
'Has work() call f(event jsonb), as the caller''s role, for every alert that fires from now on; returns the callback_id, the same one again for the same function. At least once: event_id tells repeats. Errors: 42883 the function does not take one jsonb, 42501 the caller''s role does not own it.';

CREATE FUNCTION model_mgr.add_rollback_callback(callback regprocedure) RETURNS bigint
AS 'MODULE_PATHNAME', 'mm_add_rollback_callback' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.add_rollback_callback(regprocedure) IS
'Has work() call f(event jsonb), as the caller''s role, for every automatic rollback from now on; returns the callback_id, the same one again for the same function. At least once: event_id tells repeats. Errors: 42883 the function does not take one jsonb, 42501 the caller''s role does not own it.';

CREATE FUNCTION model_mgr.remove_callback(callback_id bigint) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_remove_callback' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.remove_callback(bigint) IS
'Forgets a callback and what it has not been called for yet; false when there is none. Errors: 22004.';

-- Each callback gets its turn; what has failed before comes behind what has not been tried; one that hangs gets one turn.
CREATE VIEW model_mgr.callback_due AS
SELECT q.callback_id, q.event_id
FROM (SELECT d.callback_id, d.event_id, c.stalled,
             pg_catalog.row_number() OVER (PARTITION BY d.callback_id ORDER BY d.attempts > 0, d.event_id) AS turn
      FROM model_mgr.callback_delivery d JOIN model_mgr.callback c ON c.callback_id = d.callback_id
      WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL AND c.disabled_at IS NULL
        AND d.next_attempt_at <= model_mgr.clock_time()) q
WHERE NOT q.stalled OR q.turn = 1
ORDER BY q.stalled, q.turn, q.callback_id;
COMMENT ON VIEW model_mgr.callback_due IS 'Calls that work() has to make now, in order.';
COMMENT ON COLUMN model_mgr.callback_due.callback_id IS 'The callback.';
COMMENT ON COLUMN model_mgr.callback_due.event_id IS 'The event to call it for.';

CREATE VIEW model_mgr.callback_list AS
SELECT c.callback_id, c.kind, c.signature AS function, c.role_name, c.registered_at, c.disabled_at, c.disabled_reason,
       coalesce(d.pending, 0) AS pending, coalesce(d.delivered, 0) AS delivered, coalesce(d.given_up, 0) AS given_up,
       d.last_delivered_at, d.next_attempt_at, d.last_error
FROM model_mgr.callback c LEFT JOIN LATERAL (
    SELECT pg_catalog.count(*) FILTER (WHERE s.delivered_at IS NULL AND s.given_up_at IS NULL) AS pending,
           pg_catalog.count(s.delivered_at) AS delivered, pg_catalog.count(s.given_up_at) AS given_up,
           pg_catalog.max(s.delivered_at) AS last_delivered_at,
           pg_catalog.min(s.next_attempt_at) FILTER (WHERE s.delivered_at IS NULL AND s.given_up_at IS NULL) AS next_attempt_at,
           (pg_catalog.array_agg(s.last_error ORDER BY s.event_id DESC)
               FILTER (WHERE s.last_error IS NOT NULL AND s.delivered_at IS NULL))[1] AS last_error
    FROM model_mgr.callback_delivery s WHERE s.callback_id = c.callback_id) d ON true;
COMMENT ON VIEW model_mgr.callback_list IS 'Registered callbacks and how their deliveries stand.';
COMMENT ON COLUMN model_mgr.callback_list.callback_id IS 'Number of the callback, for remove_callback().';
COMMENT ON COLUMN model_mgr.callback_list.kind IS 'Alert or rollback.';
COMMENT ON COLUMN model_mgr.callback_list.function IS 'The function that is called, with its schema.';
COMMENT ON COLUMN model_mgr.callback_list.role_name IS 'The role that it runs as: who registered it.';
COMMENT ON COLUMN model_mgr.callback_list.registered_at IS 'When it was registered; events before are not delivered.';
COMMENT ON COLUMN model_mgr.callback_list.disabled_at IS 'Since when it is called no more; register the function again to go on. NULL: it is called.';
COMMENT ON COLUMN model_mgr.callback_list.disabled_reason IS 'Why it is called no more.';
COMMENT ON COLUMN model_mgr.callback_list.pending IS 'Events to be delivered yet.';
COMMENT ON COLUMN model_mgr.callback_list.delivered IS 'Events delivered, of those that are still kept.';
COMMENT ON COLUMN model_mgr.callback_list.given_up IS 'Events that were tried for 24 hours in vain.';
COMMENT ON COLUMN model_mgr.callback_list.last_delivered_at IS 'When a delivery last went well.';
COMMENT ON COLUMN model_mgr.callback_list.next_attempt_at IS 'When the next attempt is due; NULL: nothing is pending.';
COMMENT ON COLUMN model_mgr.callback_list.last_error IS 'Why the newest event that is not delivered was not.';

-- Labels tell one alert from another in Alertmanager, so alert_id is among them; it takes an alert for ended that is not
-- sent again for resolve_timeout, and one with endsAt in the past at once.
CREATE FUNCTION model_mgr.alertmanager_alerts() RETURNS jsonb
LANGUAGE SQL STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(
        jsonb_strip_nulls(jsonb_build_object(
            'labels', jsonb_build_object(
                'alertname', CASE WHEN a.kind = 'threshold' THEN 'ModelThreshold' WHEN a.kind = 'anomaly' THEN 'ModelAnomaly'
                                  WHEN a.kind = 'rollout' THEN 'ModelRollout' ELSE 'ModelNoData' END,
                'alert_id', a.alert_id::text, 'kind', a.kind, 'severity', a.severity, 'model_name', a.model_name,
                'version', nullif(a.version, ''), 'metric_name', nullif(a.metric_name, '')),
            'annotations', jsonb_build_object(
                'summary', a.summary, 'value', a.current_value::text, 'samples', a.samples::text, 'note', nullif(a.note, '')),
            'startsAt', to_char(a.fired_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'endsAt', CASE WHEN a.status = 'resolved' THEN to_char(a.resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END))
        ORDER BY a.alert_id), '[]')
    FROM model_mgr.alert a
    WHERE a.status = 'firing' AND NOT EXISTS (SELECT FROM model_mgr.alert_silence s WHERE s.alert_id = a.alert_id)
       OR a.status = 'resolved' AND a.fired_at IS NOT NULL AND a.resolved_at > model_mgr.clock_time() - interval '15 minutes'
          AND a.resolved_at <= model_mgr.clock_time();
END;
COMMENT ON FUNCTION model_mgr.alertmanager_alerts() IS
'The array that Prometheus'' Alertmanager takes at POST /api/v2/alerts: alerts that fire and are not silenced, and, with endsAt, those resolved in the last 15 minutes. Labels: alertname (ModelThreshold, ModelNoData, ModelAnomaly, ModelRollout), alert_id, kind, severity, model_name, version, metric_name, those that are not empty; annotations: summary, value, samples, note. Send it each minute: Alertmanager ends what it does not hear of for its resolve_timeout.';
-- 70_operation: the clockwork (tick, work, maintain, run, start, stop) and what an installation says of itself.

CREATE FUNCTION model_mgr.model_mgr_version() RETURNS text
AS 'MODULE_PATHNAME', 'mm_model_mgr_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.model_mgr_version() IS 'Version of the loaded library, to compare with pg_extension.extversion.';

-- When the clockwork last ran here; says nothing about another cluster, so a dump leaves it out.
CREATE TABLE model_mgr.tick_state (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    last_started_at timestamptz,            -- real time, whatever model_mgr.clock says
    last_finished_at timestamptz,
    last_failures bigint NOT NULL DEFAULT 0     -- pieces of work that failed in it
) WITH (fillfactor = 50);                   -- a tick a second is updated in place
COMMENT ON TABLE model_mgr.tick_state IS 'When the last tick that committed began and ended, in real time, and how much of its work failed: one row, NULL before the first.';
SELECT pg_catalog.pg_extension_config_dump('model_mgr.tick_state', 'WHERE false');
INSERT INTO model_mgr.tick_state DEFAULT VALUES;

CREATE FUNCTION model_mgr.tick() RETURNS TABLE (task text, items bigint, seconds float8)
AS 'MODULE_PATHNAME', 'mm_tick' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 6;
COMMENT ON FUNCTION model_mgr.tick() IS
'Does what is due, one row a task: rollups (rows folded), hours (minute rows rolled up), deployments (judged and changed), thresholds (alerts changed), anomalies (points fed), events (told); failures when there were any, each said in a WARNING. Waits for no lock, starts nothing after 2 s; safe twice and concurrently. seconds: what the task took. Errors: 25000 above READ COMMITTED.';

CREATE FUNCTION model_mgr.work_tasks() RETURNS SETOF text
AS 'MODULE_PATHNAME', 'mm_work_tasks' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION model_mgr.work_tasks() IS 'What work() has to do now, for example "callback 3 event 17" or "metric source refunds".';
CREATE FUNCTION model_mgr.work_begin(task text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_work_begin' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.work_begin(text) IS
'Marks that this session begins a task of work_tasks(); to be committed before work_run(). False: there is nothing to do any more, or another session is at it. A mark whose session has ended disables what it ran. Errors: 22023 no such task.';
CREATE FUNCTION model_mgr.work_run(task text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_work_run' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.work_run(text) IS
'Runs a task that work_begin() marked in this session, and notes how it went; true when there is more of it to do at once. Errors: 22023 no such task.';
CREATE FUNCTION model_mgr.work_interrupted(task text, reason text) RETURNS void
AS 'MODULE_PATHNAME', 'mm_work_interrupted' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.work_interrupted(text, text) IS
'Notes that the transaction of work_run() came to nothing by no fault of the task, which is tried again later. Errors: 22023 no such task.';

-- Commits an item; it has no search_path of its own, so that every name in it is written in full.
CREATE PROCEDURE model_mgr.work() LANGUAGE plpgsql AS $work$
DECLARE
    tasks pg_catalog.text[];
    task pg_catalog.text;
    begun pg_catalog.bool;
    more pg_catalog.bool;
    code pg_catalog.text;
    message pg_catalog.text;
    turn_ends pg_catalog.timestamptz;
BEGIN
    COMMIT;     -- first of all, so that a caller's transaction is refused whether there is work or not
    -- Right after each COMMIT: each item sees what others commit, whatever the session's default is.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    tasks := ARRAY(SELECT model_mgr.work_tasks());
    FOREACH task IN ARRAY tasks LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        -- What one item has not done in a minute waits for the next time: the others are waiting.
        turn_ends := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) '1 minute'::pg_catalog.interval;
        LOOP
            begun := false;
            more := false;
            message := NULL;
            BEGIN
                begun := model_mgr.work_begin(task);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING USING message = pg_catalog.format('work: "%s" was left for the next time', task),
                    detail = pg_catalog.format('%s (%s)', SQLERRM, SQLSTATE), errcode = SQLSTATE;
            END;
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            EXIT WHEN NOT begun;
            BEGIN
                more := model_mgr.work_run(task);
            EXCEPTION WHEN query_canceled OR OTHERS THEN
                code := SQLSTATE;
                message := SQLERRM;
            END;
            IF message IS NOT NULL THEN
                PERFORM model_mgr.work_interrupted(task, message);
            END IF;
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            -- What is caught of user code has been noted; a cancellation that arrives here is a person's.
            IF message IS NOT NULL AND code OPERATOR(pg_catalog.=) '57014' THEN
                RAISE EXCEPTION USING errcode = code, message = message, detail = pg_catalog.format('The task was "%s".', task),
                    hint = 'The next work() goes on.';
            END IF;
            EXIT WHEN NOT more OR pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) turn_ends;
        END LOOP;
    END LOOP;
END
$work$;
COMMENT ON PROCEDURE model_mgr.work() IS
'Runs registered code (callbacks, metric sources) that is due, each as the role that registered it, one commit an item; what fails is a WARNING and is tried again later, what takes the session down is disabled by the next work(). Safe twice and concurrently. Errors: 2D000 inside a transaction.';

CREATE PROCEDURE model_mgr.run(seconds float8) LANGUAGE plpgsql AS $run$
DECLARE
    ends timestamptz;
    next_work timestamptz := pg_catalog.clock_timestamp();
    next_maintain timestamptz := pg_catalog.clock_timestamp();
BEGIN
    -- A path set for the transaction is gone after its commit; each one sets it again before an operator is used.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF seconds IS NULL THEN
        RAISE EXCEPTION USING errcode = '22004', message = 'argument "seconds" must not be null',
            detail = 'The argument has no default.', hint = 'CALL model_mgr.run(3600) runs for an hour.';
    END IF;
    IF seconds = 'NaN' OR seconds < 0 OR seconds > 315360000 THEN
        RAISE EXCEPTION USING errcode = '22003', message = '"seconds" is out of range',
            detail = pg_catalog.format('The value %s is outside 0 to 315360000.', seconds), hint = 'Pass a value in that range.';
    END IF;
    ends := pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => seconds);
    COMMIT;
    LOOP
        -- tick() must see what others commit, whatever the session's default is.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM model_mgr.tick();
        COMMIT;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF pg_catalog.clock_timestamp() >= next_work THEN
            next_work := pg_catalog.clock_timestamp() + pg_catalog.make_interval(mins => 1);
            CALL model_mgr.work();
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        END IF;
        IF pg_catalog.clock_timestamp() >= next_maintain THEN
            next_maintain := pg_catalog.clock_timestamp() + pg_catalog.make_interval(hours => 1);
            CALL model_mgr.maintain();
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        END IF;
        EXIT WHEN pg_catalog.clock_timestamp() >= ends;
        PERFORM pg_catalog.pg_sleep(least(1.0, extract(epoch FROM ends - pg_catalog.clock_timestamp())));
        COMMIT;
    END LOOP;
END
$run$;
COMMENT ON PROCEDURE model_mgr.run(float8) IS
'Drives tick() each second, work() each minute and maintain() each hour for so many seconds (0 to 315360000; 0: one round), in place of pg_cron. Errors: 2D000 inside a transaction, 22003 out of range.';

-- As run(), but for one deployment; what a pipeline asks is whether it has reached its users for good.
CREATE PROCEDURE model_mgr.wait_for_deployment(deployment_id bigint, timeout_seconds float8 DEFAULT 600) LANGUAGE plpgsql AS $wait$
DECLARE
    allowed pg_catalog.float8 := coalesce(timeout_seconds, 600);
    ends pg_catalog.timestamptz;
    seen model_mgr.deployment;
    ticked pg_catalog.bool := false;
    waits_for pg_catalog.text;
    due pg_catalog.timestamptz;
BEGIN
    -- A path set for the transaction is gone after its commit; each one sets it again before an operator is used.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF deployment_id IS NULL THEN
        RAISE EXCEPTION USING errcode = '22004', message = 'argument "deployment_id" must not be null',
            detail = 'The argument has no default.', hint = 'open_deployment(model_name) finds the rollout under way; list_deployments() shows all.';
    END IF;
    IF allowed = 'NaN' OR allowed < 0 OR allowed > 315360000 THEN
        RAISE EXCEPTION USING errcode = '22003', message = '"timeout_seconds" is out of range',
            detail = pg_catalog.format('The value %s is outside 0 to 315360000.', allowed), hint = 'Pass a value in that range.';
    END IF;
    ends := pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => allowed);
    LOOP
        SELECT d.* INTO seen FROM model_mgr.get_deployment(wait_for_deployment.deployment_id) d;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING errcode = '42704', message = pg_catalog.format('deployment %s does not exist', deployment_id),
                detail = 'No deployment has this id.', hint = 'list_deployments() shows all; open_deployment(model_name) finds the running one.';
        END IF;
        COMMIT;     -- also when there is nothing to wait for, so that a caller's transaction is always refused
        -- Right after each COMMIT: each round sees what others commit, whatever the session's default is.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        EXIT WHEN seen.status = ANY ('{completed,rolled_back,aborted,failed}') OR (ticked AND pg_catalog.clock_timestamp() >= ends);
        IF ticked THEN
            PERFORM pg_catalog.pg_sleep(least(1.0, extract(epoch FROM ends - pg_catalog.clock_timestamp())));
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        END IF;
        PERFORM model_mgr.tick();
        COMMIT;
        CALL model_mgr.work();
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        ticked := true;
    END LOOP;
    IF seen.status = 'completed' THEN
        RETURN;
    END IF;
    IF seen.status = ANY ('{rolled_back,aborted,failed}') THEN
        RAISE EXCEPTION USING errcode = '55000', message = pg_catalog.format('deployment %s of model "%s" did not complete', deployment_id, seen.model_name),
            detail = pg_catalog.format('Version "%s" is %s: %s.', seen.version, CASE WHEN seen.status = 'rolled_back' THEN 'rolled back' ELSE seen.status END,
                coalesce(nullif(pg_catalog.rtrim(seen.status_reason, '.'), ''), 'no reason was given')),
            hint = pg_catalog.format('explain_deployment(%s) tells each step with its numbers.', deployment_id);
    END IF;
    SELECT l.waiting_for, l.next_step_at INTO waits_for, due FROM model_mgr.deployment_list l WHERE l.deployment_id = wait_for_deployment.deployment_id;
    RAISE EXCEPTION USING errcode = '55000', message = pg_catalog.format('deployment %s has not ended in %s s', deployment_id, allowed),
        detail = pg_catalog.format('Version "%s" of model "%s" is %s at %s %% of traffic, step %s%s%s.', seen.version, seen.model_name, seen.status,
            seen.traffic_percentage, seen.step, '; it waits for ' || waits_for, '; due at ' || due),
        hint = 'Wait again, with a larger timeout_seconds, or see canary_status; promote_deployment() takes the next step now.';
END
$wait$;
COMMENT ON PROCEDURE model_mgr.wait_for_deployment(bigint, float8) IS
'Returns when a deployment has completed, its bake included; drives tick() and work() meanwhile, about once a second, and commits each round. timeout_seconds: 0 to 315360000 of real time (NULL: 600; 0: one round). Errors: 55000 the time ran out, or it ended rolled_back, aborted or failed (the DETAIL says which and why), 42704 unknown deployment, 2D000 inside a transaction.';

CREATE FUNCTION model_mgr.start(tick_schedule text DEFAULT '* * * * *')
RETURNS TABLE (job_name text, schedule text, database text, note text)
AS 'MODULE_PATHNAME', 'mm_start' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 3;
COMMENT ON FUNCTION model_mgr.start(text) IS
'Makes the pg_cron jobs that drive this database (tick, work each minute, maintain hourly), owned by and run as the caller; again is harmless and shows how the last runs went. Errors: 0A000 no pg_cron here, 22023 bad schedule, 42501 missing rights, 25006 on a standby.';

CREATE FUNCTION model_mgr.stop() RETURNS integer
AS 'MODULE_PATHNAME', 'mm_stop' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.stop() IS 'Removes the jobs that start() made; how many there were. Errors: 0A000 no pg_cron here, 42501 missing rights, 25006 on a standby.';
-- 71_source: tables and views of users that become metrics, read by work() as the role that registered them.

CREATE TABLE model_mgr.metric_source (
    source_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    metric_name text NOT NULL UNIQUE,
    relation oid NOT NULL,                  -- oid and name must agree, here and of the role
    relation_name text NOT NULL,            -- with its schema, quoted as needed
    role oid NOT NULL,                      -- reads it
    role_name text NOT NULL,
    origin text NOT NULL,                   -- the cluster and database that the oids are of
    added_at timestamptz NOT NULL,
    read_until timestamptz,                 -- by the extension's clock, like all here but started_at
    slice_seconds integer NOT NULL,         -- at most so much is read at once
    last_read_at timestamptz,
    "rows" bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,    -- in a row
    last_error text,
    last_error_at timestamptz,
    next_read_at timestamptz NOT NULL,
    started_at timestamptz,                 -- a reading is under way, or its session ended in it
    started_by integer,                     -- ... by this server process
    disabled_at timestamptz,
    disabled_reason text
) WITH (fillfactor = 50);
COMMENT ON TABLE model_mgr.metric_source IS 'Metric sources and how far each has been read; metric_source_list shows them.';
SELECT pg_catalog.pg_extension_config_dump('model_mgr.metric_source', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.metric_source_source_id_seq', '');

CREATE FUNCTION model_mgr.add_metric_source(name text, relation regclass) RETURNS void
AS 'MODULE_PATHNAME', 'mm_add_metric_source' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.add_metric_source(text, regclass) IS
'Makes a table or view a metric: columns "time" timestamptz, model_name text, version text, value (a number), optionally unit_id text; the metric is the mean of value, used where no request tells of it. work() reads it, as the role that calls this: at first perf_monitor_retention_hours back, then the last hour again each time, so that rows may come late or change; rows without a known version or a finite value within +-1e100 are skipped. The same again is harmless, and takes up a source that was disabled. Errors: 42703 a column is missing, 22023 it has another type or the relation is temporary, 42809 neither table nor view, 42501 the caller may not SELECT it, 42939 the name of a built-in metric, 42602, 42622 bad name, 42710 the name reads another relation or as another role.';

CREATE FUNCTION model_mgr.remove_metric_source(name text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_remove_metric_source' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.remove_metric_source(text) IS
'Has a metric source read no more; false when there is none. What was read of it stays as long as other reported values. Waits for a reading that is under way, a minute at most. Errors: 22004.';

CREATE VIEW model_mgr.metric_source_list AS
SELECT m.source_id, m.metric_name, m.relation_name AS relation, m.role_name, m.added_at, m.read_until, m.last_read_at,
       m."rows", m.skipped, m.failures, m.last_error, m.last_error_at,
       CASE WHEN m.disabled_at IS NULL THEN m.next_read_at END AS next_read_at, m.disabled_at, m.disabled_reason
FROM model_mgr.metric_source m;
COMMENT ON VIEW model_mgr.metric_source_list IS 'Metric sources, how far they have been read, and what is wrong with them.';
COMMENT ON COLUMN model_mgr.metric_source_list.source_id IS 'Number of the source, as in metric_sample.';
COMMENT ON COLUMN model_mgr.metric_source_list.metric_name IS 'The metric that it is.';
COMMENT ON COLUMN model_mgr.metric_source_list.relation IS 'The table or view that is read, with its schema.';
COMMENT ON COLUMN model_mgr.metric_source_list.role_name IS 'The role that reads it: who registered it.';
COMMENT ON COLUMN model_mgr.metric_source_list.added_at IS 'When it was registered.';
COMMENT ON COLUMN model_mgr.metric_source_list.read_until IS 'Rows up to this time have been read; the last hour is read again each time. NULL: none yet.';
COMMENT ON COLUMN model_mgr.metric_source_list.last_read_at IS 'When it was last read without an error.';
COMMENT ON COLUMN model_mgr.metric_source_list."rows" IS 'Rows that the last reading found.';
COMMENT ON COLUMN model_mgr.metric_source_list.skipped IS 'Of them, rows that name no known version or have no finite value within +-1e100.';
COMMENT ON COLUMN model_mgr.metric_source_list.failures IS 'Readings that failed in a row; after each it is left alone for longer, at most an hour.';
COMMENT ON COLUMN model_mgr.metric_source_list.last_error IS 'Why the last reading failed; NULL: it did not.';
COMMENT ON COLUMN model_mgr.metric_source_list.last_error_at IS 'When it failed.';
COMMENT ON COLUMN model_mgr.metric_source_list.next_read_at IS 'From when on work() reads it again; NULL: not any more.';
COMMENT ON COLUMN model_mgr.metric_source_list.disabled_at IS 'Since when it is not read any more; add it again to go on. NULL: it is read.';
COMMENT ON COLUMN model_mgr.metric_source_list.disabled_reason IS 'Why it is not read any more.';
-- 75_health: health_check(), what is not well with this installation and what to do about it. Runs as the caller, on a
-- standby too. Costs a look at catalogues, a few single-row tables and at most 100,000 pending rows, however many models.

CREATE FUNCTION model_mgr.setting_value(name text) RETURNS text
AS 'MODULE_PATHNAME', 'mm_setting_value' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.setting_value(text) IS
'The session''s value of a setting of the extension, its name without model_mgr.; NULL for an unknown one. Unlike current_setting() it knows them from a session''s first statement on.';

CREATE FUNCTION model_mgr.scheduled_jobs()
RETURNS TABLE (job_name text, task text, schedule text, user_name text, active boolean, last_status text, last_message text, last_started_at timestamptz)
AS 'MODULE_PATHNAME', 'mm_scheduled_jobs' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 3;
COMMENT ON FUNCTION model_mgr.scheduled_jobs() IS
'The pg_cron jobs of start() for this database, whoever made them, with how their last run went; no row without pg_cron here or where the extension''s owner may not see its jobs.';

-- A function, so that its own settings hold: the planner must not read the table whole while statistics are missing.
CREATE FUNCTION model_mgr.rollup_backlog(max_rows bigint) RETURNS bigint
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET max_parallel_workers_per_gather = 0
BEGIN ATOMIC
    SELECT count(*) FROM (SELECT FROM model_mgr.observation_pending LIMIT $1) w;
END;
COMMENT ON FUNCTION model_mgr.rollup_backlog(bigint) IS 'How many committed observations wait to be folded; counts no further than max_rows.';

-- Bounds are texts in the catalogue; the function's own settings make them readable whatever the session's are.
CREATE FUNCTION model_mgr.partition_ranges()
RETURNS TABLE (table_name text, partition_name text, since timestamptz, until timestamptz, is_default boolean, bytes bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET TimeZone = 'UTC'
BEGIN ATOMIC
    SELECT i.inhparent::regclass::text, c.relname::text,
           pg_catalog.substring(b.bound, 'FROM \(''([^'']+)''\)')::timestamptz,
           pg_catalog.substring(b.bound, 'TO \(''([^'']+)''\)')::timestamptz,
           b.bound = 'DEFAULT', pg_catalog.pg_relation_size(c.oid)
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid,
         LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound) b
    WHERE i.inhparent = ANY ('{model_mgr.observation,model_mgr.metric_sample}'::regclass[]);
END;
COMMENT ON FUNCTION model_mgr.partition_ranges() IS
'The partitions by day: of which table, from since up to (not including) until, NULL for the default partition, and bytes without indexes.';

CREATE FUNCTION model_mgr.default_partition_oldest(before timestamptz) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'mm_default_partition_oldest' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.default_partition_oldest(timestamptz) IS
'The oldest time in the default partition of observation before that one; NULL when there is none. Nobody but the owner reads a partition by itself.';

-- Who holds or wants the lock of a model, the fold (-1), maintenance (-2), the feed of the detectors (-3) or the telling of events (-4); see mm_lock_model() for the key. Without the
-- right to see others' sessions since is NULL, but for prepared transactions and those who wait.
CREATE VIEW model_mgr.model_lock_list AS
SELECT k.model_id,
       CASE k.model_id WHEN -1 THEN 'the fold of the rollups' WHEN -2 THEN 'maintenance' WHEN -3 THEN 'the feed of the detectors' WHEN -4 THEN 'the telling of events'
            ELSE (SELECT pg_catalog.format('model "%s"', m.model_name) FROM model_mgr.model m WHERE m.model_id = k.model_id) END AS what,
       k.granted, k.pid, p.gid::text AS prepared,
       coalesce(a.usename::text, p.owner::text) COLLATE "default" AS user_name, a.application_name, a.state,
       CASE WHEN k.granted THEN coalesce(p.prepared, a.xact_start) ELSE k.waitstart END AS since
FROM (SELECT (((l.classid::bigint # 1835886450) << 32) | l.objid::bigint) AS model_id, l.granted, l.pid, l.waitstart, l.virtualtransaction
      FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.mode = 'ExclusiveLock'
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) k
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = k.pid
LEFT JOIN pg_catalog.pg_locks x ON k.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = k.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE k.model_id = ANY ('{-1,-2,-3,-4}'::bigint[]) OR EXISTS (SELECT FROM model_mgr.model m WHERE m.model_id = k.model_id);
COMMENT ON VIEW model_mgr.model_lock_list IS 'Who holds, or waits for, the lock of a model: whoever changes its state, one at a time.';
COMMENT ON COLUMN model_mgr.model_lock_list.model_id IS 'The model; -1: the fold of the rollups, -2: maintenance, -3: the feed of the detectors, -4: the telling of events.';
COMMENT ON COLUMN model_mgr.model_lock_list.what IS 'The same in words.';
COMMENT ON COLUMN model_mgr.model_lock_list.granted IS 'Held; false: waited for.';
COMMENT ON COLUMN model_mgr.model_lock_list.pid IS 'Process; NULL for a prepared transaction.';
COMMENT ON COLUMN model_mgr.model_lock_list.prepared IS 'Name of the prepared transaction that holds it.';
COMMENT ON COLUMN model_mgr.model_lock_list.user_name IS 'Whose session or prepared transaction.';
COMMENT ON COLUMN model_mgr.model_lock_list.application_name IS 'application_name of the session.';
COMMENT ON COLUMN model_mgr.model_lock_list.state IS 'State of the session; NULL when the caller may not see it.';
COMMENT ON COLUMN model_mgr.model_lock_list.since IS 'When the transaction that holds it began, or the waiting; NULL when the caller may not see it.';

CREATE FUNCTION model_mgr.health_check() RETURNS TABLE (check_name text, ok boolean, detail text, hint text)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 16 SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
    -- Real time throughout, but where days of partitions are meant: those follow the extension's clock as maintain() does.
    WITH moment AS MATERIALIZED (
        SELECT pg_catalog.clock_timestamp() AS real_now, pg_catalog.pg_is_in_recovery() AS standby,
               pg_catalog.date_trunc('day', model_mgr.clock_time(), 'UTC') AS today,
               least(model_mgr.clock_time(), pg_catalog.clock_timestamp()) AS kept_now,
               model_mgr.setting_value('retention_days')::integer * '24:00:00'::interval AS retention),
    rolled AS MATERIALIZED (
        SELECT s.installed_at, s.folded_at, s.hours_until, model_mgr.rollup_backlog(100001) AS waiting
        FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1),
    part AS MATERIALIZED (SELECT * FROM model_mgr.partition_ranges()),

    version_check AS (
        SELECT model_mgr.model_mgr_version() = e.extversion AS ok,
               pg_catalog.format('library %s, SQL objects %s', model_mgr.model_mgr_version(), e.extversion) AS detail,
               'Install the files of one version, run ALTER EXTENSION model_mgr UPDATE, and reconnect the sessions that loaded the old library.' AS hint
        FROM pg_catalog.pg_extension e WHERE e.extname = 'model_mgr'),
    clock_check AS (
        SELECT c.clock = '' AS ok, CASE c.clock WHEN '' THEN 'real time' ELSE 'model_mgr.clock holds time at ' || c.clock END AS detail,
               'Time stands still for this session, and for the tick when the setting is of the database: RESET model_mgr.clock, or ALTER DATABASE ... RESET model_mgr.clock.' AS hint
        FROM (SELECT model_mgr.setting_value('clock') AS clock) c),
    enforcement_check AS (
        SELECT c.enforcement = 'on' AS ok,
               CASE WHEN c.enforcement <> 'on' THEN 'recordings judge nothing: a bad version stays until a tick sees it'
                    WHEN c.prepared > 0 THEN pg_catalog.format('on; not in transaction blocks, since max_prepared_transactions is %s', c.prepared)
                    ELSE 'on: recordings judge rollouts and thresholds at commit' END AS detail,
               'SET model_mgr.enforcement = on, or ALTER DATABASE ... RESET model_mgr.enforcement.' AS hint
        FROM (SELECT model_mgr.setting_value('enforcement') AS enforcement,
                     pg_catalog.current_setting('max_prepared_transactions')::integer AS prepared) c),
    -- What a tick would do; minutes are compared with real time, which they follow unless a test holds the clock.
    due AS MATERIALIZED (
        SELECT r.installed_at, t.last_finished_at, t.last_failures, n.real_now - coalesce(t.last_finished_at, r.installed_at) AS age, o.rollouts, o.watched, o.alerts,
               r.waiting > 0 OR o.last_bucket > coalesce(t.last_finished_at, '-infinity'::timestamptz) AS traffic
        FROM moment n, rolled r, model_mgr.tick_state t, LATERAL (
            SELECT (SELECT count(*) FROM model_mgr.deployment d
                    WHERE d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::text[])) AS rollouts,
                   (SELECT count(DISTINCT h.model_id) FROM model_mgr.threshold h) AS watched,
                   (SELECT count(*) FROM model_mgr.alert_state a) AS alerts,
                   (SELECT max(m.bucket) FROM model_mgr.rollup_minute m) AS last_bucket) o),
    tick_check AS (
        SELECT d.last_failures = 0 AND (d.age <= '00:05:00' OR waits.what IS NULL) AS ok,
               pg_catalog.format('%s%s; %s', CASE WHEN d.last_finished_at IS NULL THEN 'no tick yet'
                   ELSE pg_catalog.format('last tick %s s ago', extract(epoch FROM d.age)::bigint) END,
                   CASE WHEN d.last_failures > 0 THEN ', failures in it: ' || d.last_failures ELSE '' END,
                   coalesce('waiting for one: ' || waits.what, 'nothing waits for one')) AS detail,
               'SELECT * FROM model_mgr.start() lets pg_cron tick, CALL model_mgr.run(seconds) without it; when something ticks already, call SELECT * FROM model_mgr.tick() by hand: what fails is said in its warnings, as in the server log.' AS hint
        FROM due d, LATERAL (
            SELECT nullif(pg_catalog.concat_ws(', ', 'open rollouts: ' || nullif(d.rollouts, 0), 'models with thresholds: ' || nullif(d.watched, 0),
                'open alerts: ' || nullif(d.alerts, 0), CASE WHEN d.traffic THEN 'new observations' END), '') AS what) waits),
    jobs AS MATERIALIZED (SELECT * FROM model_mgr.scheduled_jobs()),
    scheduler_check AS (
        SELECT CASE WHEN j.jobs = 0 THEN t.ok ELSE j.bad IS NULL AND j.missing IS NULL END AS ok,
               CASE WHEN j.jobs > 0 THEN coalesce(nullif(pg_catalog.concat_ws('; ', j.bad, 'no job for ' || j.missing), ''), pg_catalog.format('jobs of pg_cron: %s, none has failed last', j.jobs))
                    WHEN c.installed THEN 'pg_cron is here, but has no jobs of start() that could be seen'
                    WHEN c.home IS NOT NULL THEN pg_catalog.format('pg_cron schedules from database "%s", whose jobs cannot be seen here', c.home)
                    ELSE 'pg_cron is not installed' END
                   || CASE WHEN j.jobs > 0 THEN '' WHEN NOT t.ok THEN ', and nothing else ticks' WHEN t.last_finished_at IS NULL THEN '' ELSE '; something else ticks' END AS detail,
               'SELECT * FROM model_mgr.start() makes the three jobs, again when one is missing or switched off, and says how each fares; without pg_cron CALL model_mgr.run(seconds), or a timer that calls tick(), work() and maintain().' AS hint
        FROM (SELECT t.ok, d.last_finished_at FROM tick_check t, due d) t,
             (SELECT pg_catalog.current_setting('cron.database_name', true) AS home,
                     EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_cron') AS installed) c,
             (SELECT count(*) AS jobs,
                     pg_catalog.string_agg(pg_catalog.format(CASE WHEN NOT j.active THEN '%s of %s is switched off'
                         WHEN j.last_status = 'failed' THEN '%s of %s failed at ' || coalesce(to_char(j.last_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'an unknown time') || ': %s' END,
                         j.task, j.user_name, pg_catalog.left(j.last_message, 200)), '; ' ORDER BY j.task) FILTER (WHERE NOT j.active OR j.last_status = 'failed') AS bad,
                     (SELECT pg_catalog.string_agg(k.task, ', ' ORDER BY k.task) FROM pg_catalog.unnest('{tick,work,maintain}'::text[]) k (task)
                      WHERE NOT EXISTS (SELECT FROM jobs x WHERE x.task = k.task)) AS missing
              FROM jobs j) j),
    rollup_check AS (
        SELECT r.waiting = 0 OR late.age <= '00:05:00' AS ok,
               pg_catalog.format('observations to be folded: %s; %s', CASE WHEN r.waiting > 100000 THEN 'over 100000' ELSE r.waiting::text END,
                   CASE WHEN r.folded_at IS NULL THEN 'none has been folded yet'
                        ELSE pg_catalog.format('last fold %s s ago', extract(epoch FROM late.age)::bigint) END) AS detail,
               'Readers stay right but slow down. SELECT * FROM model_mgr.tick() folds; see the checks tick and model_locks for why nothing did.' AS hint
        FROM rolled r, moment n, LATERAL (SELECT n.real_now - coalesce(r.folded_at, r.installed_at) AS age) late),
    -- Two hours, since the hours follow the minutes a quarter of an hour at a time.
    hour_check AS (
        SELECT c.first IS NULL AS ok,
               CASE WHEN c.first IS NOT NULL THEN pg_catalog.format('minutes since %s UTC are not in the hours', to_char(c.first AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
                    WHEN r.hours_until = '-infinity' THEN 'no minute is old enough for the hours'
                    ELSE pg_catalog.format('hours hold the minutes up to %s UTC', to_char(r.hours_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) END AS detail,
               'Readers stay right but slow down, and minutes are not given up while the hours lack them. SELECT * FROM model_mgr.tick() rolls them up, some hours at a time; read its warnings.' AS hint
        FROM rolled r, LATERAL (SELECT min(m.bucket) AS first FROM model_mgr.rollup_minute m
                                WHERE m.bucket >= r.hours_until AND m.bucket < model_mgr.clock_time() - '02:00:00'::interval) c),
    -- Tomorrow is left out: while the default partition is large, maintain() makes days from the one after on.
    partition_check AS (
        SELECT c.missing IS NULL OR c.none AND n.real_now < r.installed_at + '24:00:00' AS ok,
               CASE WHEN c.none THEN 'no partition yet: the default partitions take everything'
                    WHEN c.missing IS NULL THEN 'there are partitions up to ' || to_char(c.until AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                    ELSE c.missing END AS detail,
               'CALL model_mgr.maintain(), each hour; it makes a week ahead.' AS hint
        FROM rolled r, moment n, LATERAL (
            SELECT NOT EXISTS (SELECT FROM part p WHERE NOT p.is_default) AS none,
                   (SELECT pg_catalog.string_agg(m.what, '; ' ORDER BY m.what)
                    FROM (SELECT pg_catalog.format('%s has no partition for %s', pg_catalog.replace(d.table_name, 'model_mgr.', ''),
                                 pg_catalog.string_agg(to_char(d.day AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ', ' ORDER BY d.day)) AS what
                          FROM (SELECT t.table_name, g.day FROM (SELECT DISTINCT p.table_name FROM part p) t,
                                       pg_catalog.generate_series(n.today + '48:00:00', n.today + '120:00:00', '24:00:00') g (day)) d
                          WHERE NOT EXISTS (SELECT FROM part p WHERE p.table_name = d.table_name AND p.since <= d.day AND p.until >= d.day + '24:00:00')
                          GROUP BY d.table_name) m) AS missing,
                   (SELECT min(u.until) - '24:00:00'::interval FROM (SELECT max(p.until) AS until FROM part p GROUP BY p.table_name) u) AS until) c),
    default_check AS (
        SELECT c.oldest IS NULL OR n.real_now < r.installed_at + '24:00:00' AS ok,
               CASE WHEN c.oldest IS NULL THEN 'no rows of past days' ELSE 'rows of past days since ' || to_char(c.oldest AT TIME ZONE 'UTC', 'YYYY-MM-DD') END
                   || ', ' || pg_catalog.pg_size_pretty(coalesce((SELECT sum(p.bytes) FROM part p WHERE p.is_default AND p.table_name = 'model_mgr.observation'), 0)) AS detail,
               'CALL model_mgr.maintain() moves them into partitions of their days; it waits at most 100 ms for a lock and says in a WARNING what stood in its way.' AS hint
        FROM rolled r, moment n, LATERAL (SELECT model_mgr.default_partition_oldest(pg_catalog.date_trunc('day', n.kept_now - '02:00:00'::interval, 'UTC')) AS oldest) c),
    retention_check AS (
        SELECT c.old = 0 AS ok,
               CASE c.old WHEN 0 THEN pg_catalog.format('no partition is past the retention of %s days', model_mgr.setting_value('retention_days'))
                    ELSE pg_catalog.format('partitions past the retention of %2$s days: %1$s, %3$s in all', c.old,
                        model_mgr.setting_value('retention_days'), pg_catalog.pg_size_pretty(c.bytes)) END AS detail,
               'CALL model_mgr.maintain() drops them; one that holds rows which are not folded, or that somebody reads, is left for the next time, and a WARNING says so.' AS hint
        FROM moment n, LATERAL (
            SELECT count(*) AS old, coalesce(sum(p.bytes), 0) AS bytes FROM part p WHERE p.until < n.kept_now - n.retention - '02:00:00'::interval) c),
    -- A minute is long for a decision about a model; folding and moving rows take their time.
    lock_check AS (
        SELECT c.worst IS NULL AS ok, coalesce(c.worst, pg_catalog.format('held: %s, none for long', c.held)) AS detail, c.hint
        FROM (
            SELECT count(*) FILTER (WHERE l.granted) AS held,
                   pg_catalog.string_agg(CASE WHEN l.bad THEN pg_catalog.format('%s is %s by %s since %s%s', l.what,
                       CASE WHEN l.granted THEN 'held' ELSE 'waited for' END,
                       CASE WHEN l.prepared IS NOT NULL THEN pg_catalog.format('prepared transaction "%s"', l.prepared)
                            ELSE pg_catalog.concat_ws(' ', 'process', l.pid, '(' || pg_catalog.concat_ws(', ', l.user_name, nullif(l.application_name, ''), l.state) || ')') END,
                       coalesce(to_char(l.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'an unknown time'),
                       CASE WHEN l.granted THEN (SELECT nullif(pg_catalog.format(', waiting: %s', count(*)), ', waiting: 0')
                           FROM model_mgr.model_lock_list w WHERE w.model_id = l.model_id AND NOT w.granted) END) END, '; ' ORDER BY l.granted DESC, l.since) AS worst,
                   'Let the transaction end (COMMIT or ROLLBACK PREPARED for a prepared one), or end the session with pg_terminate_backend(pid): until then the tick passes that model over.' AS hint
            FROM (SELECT k.*, k.since < n.real_now - CASE WHEN k.model_id < 0 THEN '00:10:00'::interval WHEN k.granted THEN '00:01:00' ELSE '00:00:10' END AS bad
                  FROM model_mgr.model_lock_list k, moment n) l) c),
    -- Deliveries are timed by the extension's clock.
    callback_check AS (
        SELECT c.bad IS NULL AND w.late = 0 AS ok,
               pg_catalog.concat_ws('; ', c.bad, CASE WHEN w.late > 0 THEN pg_catalog.format('calls due for over five minutes: %s', w.late) END,
                   CASE WHEN c.bad IS NULL AND w.late = 0 THEN pg_catalog.format('callbacks: %s, calls pending: %s', c.callbacks, w.pending) END) AS detail,
               'A disabled callback is taken up by registering it again, a failing one is tried again by itself for 24 hours (callback_list says what it raised); calls that are only late wait for CALL model_mgr.work(), each minute.' AS hint
        FROM (SELECT count(*) AS callbacks,
                     pg_catalog.string_agg(pg_catalog.format('callback %s, %s, %s', b.callback_id, b.signature, CASE
                         WHEN b.disabled_at IS NOT NULL THEN 'is disabled: ' || b.disabled_reason
                         ELSE pg_catalog.format('fails: calls pending %s, given up in the last 24 hours %s, last error: %s', f.pending, f.given_up, pg_catalog.left(f.last_error, 200)) END),
                         '; ' ORDER BY b.callback_id) FILTER (WHERE b.disabled_at IS NOT NULL OR f.pending > 0 OR f.given_up > 0) AS bad
              FROM model_mgr.callback b LEFT JOIN (
                  SELECT d.callback_id, count(*) FILTER (WHERE d.given_up_at IS NULL) AS pending, count(d.given_up_at) AS given_up,
                         (pg_catalog.array_agg(d.last_error ORDER BY d.event_id DESC))[1] AS last_error
                  FROM model_mgr.callback_delivery d
                  WHERE d.last_error IS NOT NULL AND d.delivered_at IS NULL AND (d.given_up_at IS NULL OR d.given_up_at > model_mgr.clock_time() - '24:00:00'::interval)
                  GROUP BY d.callback_id) f ON f.callback_id = b.callback_id) c,
             (SELECT count(*) AS pending,
                     count(*) FILTER (WHERE d.attempts = 0 AND d.next_attempt_at < model_mgr.clock_time() - '00:05:00'::interval) AS late
              FROM model_mgr.callback_delivery d JOIN model_mgr.callback b ON b.callback_id = d.callback_id AND b.disabled_at IS NULL
              WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL) w),
    source_check AS (
        SELECT c.bad IS NULL AND c.late = 0 AS ok,
               pg_catalog.concat_ws('; ', c.bad, CASE WHEN c.late > 0 THEN pg_catalog.format('sources due for over five minutes: %s', c.late) END,
                   CASE WHEN c.bad IS NULL AND c.late = 0 THEN 'metric sources: ' || c.sources END) AS detail,
               'A failing source is read again by itself, a disabled one when add_metric_source() takes it up again (metric_source_list says what is wrong); sources that are only late wait for CALL model_mgr.work(), each minute.' AS hint
        FROM (SELECT count(*) AS sources,
                     count(*) FILTER (WHERE s.disabled_at IS NULL AND s.failures = 0 AND s.next_read_at < model_mgr.clock_time() - '00:05:00'::interval) AS late,
                     pg_catalog.string_agg(pg_catalog.format('metric source "%s", %s, %s', s.metric_name, s.relation_name, CASE
                         WHEN s.disabled_at IS NOT NULL THEN 'is disabled: ' || s.disabled_reason
                         ELSE pg_catalog.format('fails, times in a row %s: %s', s.failures, pg_catalog.left(s.last_error, 200)) END),
                         '; ' ORDER BY s.source_id) FILTER (WHERE s.disabled_at IS NOT NULL OR s.failures > 0) AS bad
              FROM model_mgr.metric_source s) c),
    -- How the models fare is get_active_alerts()'s affair; here are those that the extension could not act on.
    alert_check AS (
        SELECT c.stuck IS NULL AS ok,
               coalesce(c.stuck, pg_catalog.format('alerts firing: %s, none of them for want of a way back', c.firing)) AS detail,
               'A model has nothing to go back to, or its way is blocked, and goes on serving: repair it, deploy a good version, or say where to with rollback_model(model_name, target_version).' AS hint
        FROM (SELECT count(*) AS firing,
                     pg_catalog.string_agg(pg_catalog.format('alert %s of model "%s": %s', a.alert_id, a.model_name, a.summary), '; ' ORDER BY a.alert_id)
                         FILTER (WHERE a.kind = 'rollout' AND a.severity = 'critical') AS stuck
              FROM model_mgr.alert a WHERE a.status = 'firing') c),
    -- One writing transaction that stays open, in whatever database, holds back all events behind it.
    transaction_check AS (
        SELECT c.old IS NULL AS ok,
               coalesce(c.old, 'no writing transaction is older than ten minutes')
                   || CASE WHEN c.unseen > 0 THEN pg_catalog.format('; those of others that cannot be seen: %s', c.unseen) ELSE '' END AS detail,
               'Events and callbacks behind it wait until it ends, and so do its own observations: COMMIT or ROLLBACK PREPARED a prepared one, pg_terminate_backend(pid) ends a session; see idle_in_transaction_session_timeout.' AS hint
        FROM (
            SELECT pg_catalog.string_agg(pg_catalog.format('%s writes since %s UTC', t.who, to_char(t.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')), '; ' ORDER BY t.since)
                       FILTER (WHERE t.since < n.real_now - '00:10:00'::interval) AS old,
                   count(*) FILTER (WHERE t.hidden) AS unseen
            FROM moment n LEFT JOIN (
                SELECT pg_catalog.format('process %s (%s)', a.pid, pg_catalog.concat_ws(', ', a.datname, a.usename, nullif(a.application_name, ''), a.state)), a.xact_start,
                       a.xact_start IS NULL AND a.query = '<insufficient privilege>'
                FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
                UNION ALL
                SELECT pg_catalog.format('prepared transaction "%s" (%s, %s)', x.gid, x.database, x.owner), x.prepared, false
                FROM pg_catalog.pg_prepared_xacts x) t (who, since, hidden) ON true) c),
    standby_check AS (
        SELECT c.lag IS NULL OR c.lag <= '00:05:00' AS ok,
               CASE WHEN NOT n.standby THEN 'this server takes writes'
                    WHEN c.lag IS NULL THEN 'hot standby, nothing replayed since it started'
                    ELSE pg_catalog.format('hot standby, %s s behind', extract(epoch FROM c.lag)::bigint) END AS detail,
               'Routing and metrics here are as old as that; it is harmless when the primary writes nothing. See pg_stat_wal_receiver here and pg_stat_replication on the primary.' AS hint
        FROM moment n, LATERAL (
            SELECT CASE WHEN NOT n.standby THEN NULL
                        WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN '00:00:00'::interval
                        ELSE n.real_now - pg_catalog.pg_last_xact_replay_timestamp() END AS lag) c)
    SELECT r.check_name, r.ok, r.detail, CASE WHEN NOT r.ok THEN r.hint END
    FROM moment n, LATERAL (
        SELECT 1 AS n, 'version' AS check_name, c.ok, c.detail, c.hint FROM version_check c
        UNION ALL SELECT 2, 'clock', c.ok, c.detail, c.hint FROM clock_check c
        UNION ALL SELECT 3, 'enforcement', c.ok, c.detail, c.hint FROM enforcement_check c WHERE NOT n.standby
        UNION ALL SELECT 4, 'tick', c.ok, c.detail, c.hint FROM tick_check c
        UNION ALL SELECT 5, 'scheduler', c.ok, c.detail, c.hint FROM scheduler_check c WHERE NOT n.standby
        UNION ALL SELECT 6, 'rollups', c.ok, c.detail, c.hint FROM rollup_check c
        UNION ALL SELECT 7, 'hours', c.ok, c.detail, c.hint FROM hour_check c
        UNION ALL SELECT 8, 'partitions', c.ok, c.detail, c.hint FROM partition_check c
        UNION ALL SELECT 9, 'default_partition', c.ok, c.detail, c.hint FROM default_check c
        UNION ALL SELECT 10, 'retention', c.ok, c.detail, c.hint FROM retention_check c
        UNION ALL SELECT 11, 'model_locks', c.ok, c.detail, c.hint FROM lock_check c WHERE NOT n.standby
        UNION ALL SELECT 12, 'transactions', c.ok, c.detail, c.hint FROM transaction_check c WHERE NOT n.standby
        UNION ALL SELECT 13, 'callbacks', c.ok, c.detail, c.hint FROM callback_check c
        UNION ALL SELECT 14, 'metric_sources', c.ok, c.detail, c.hint FROM source_check c
        UNION ALL SELECT 15, 'alerts', c.ok, c.detail, c.hint FROM alert_check c
        UNION ALL SELECT 20, 'standby', c.ok, c.detail, c.hint FROM standby_check c) r
    ORDER BY r.n;
END;
COMMENT ON FUNCTION model_mgr.health_check() IS
'What is not well with this installation: one row a check, ok, detail with the numbers, and hint with the next step (NULL when ok). Judges by real time. On a standby only what makes sense there; of others'' sessions what the caller may see.';

CREATE FUNCTION model_mgr.active_metrics(minutes_back integer)
RETURNS TABLE (version_id bigint, metric_name text, value float8, samples bigint, source text, last_at timestamptz)
AS 'MODULE_PATHNAME', 'mm_active_metrics' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION model_mgr.active_metrics(integer) IS
'get_current_metrics() of every active version in one reading, for the health dashboard.';

CREATE FUNCTION model_mgr.get_model_health_dashboard() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_build_object(
        'models', (SELECT coalesce(pg_catalog.jsonb_object_agg(m.model_name, pg_catalog.to_jsonb(v)), '{}')
                   FROM model_mgr.model m LEFT JOIN model_mgr.model_version v ON v.model_id = m.model_id AND v.status = 'active'),
        'performance', (SELECT coalesce(pg_catalog.jsonb_object_agg(v.model_name, coalesce(c.metrics, '{}')), '{}')
                        FROM model_mgr.model_version v LEFT JOIN (
                            SELECT a.version_id, pg_catalog.jsonb_object_agg(a.metric_name, pg_catalog.jsonb_build_object(
                                'value', a.value, 'samples', a.samples, 'source', a.source, 'last_at', a.last_at)) AS metrics
                            FROM model_mgr.active_metrics(60) a GROUP BY a.version_id) c ON c.version_id = v.version_id
                        WHERE v.status = 'active'),
        'ab_tests', '{}'::jsonb,
        'alerts', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a)), '[]') FROM model_mgr.get_active_alerts() a),
        'updates', '{}'::jsonb,
        'timestamp', extract(epoch FROM model_mgr.clock_time())::float8);
END;
COMMENT ON FUNCTION model_mgr.get_model_health_dashboard() IS
'All models at a glance: models (by name: the active version as an object, or null), performance (by name: get_current_metrics_json() of it over the last hour), ab_tests ({} in this version), alerts (get_active_alerts() as a list), updates ({} in this version), timestamp (seconds since 1970).';

CREATE FUNCTION model_mgr.assert_healthy(model_name text, version text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_assert_healthy' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.assert_healthy(text, text) IS
'For pipelines: raises 55000 with all that speaks against the version (or @alias): it is rolled_back, failed or archived; an alert of it or of the model as a whole fires, silenced or acknowledged ones too; its metrics break a threshold this moment, however short; it breaks a limit of its open rollout. version NULL: all that serve now, and that one does. No data is nothing against it, unless a threshold has on_no_data breach. Errors: 42704 unknown model or version, 22004 no model.';
-- 76_backtest: what rules would have done on the recorded history, by the same decisions as live ones.

CREATE FUNCTION model_mgr.backtest_thresholds(model_name text, thresholds jsonb, since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL)
RETURNS TABLE ("time" timestamptz, kind text, metric_name text, value float8, limit_value float8,
    traffic_percentage float8, requests_affected bigint, detail text)
AS 'MODULE_PATHNAME', 'mm_backtest_thresholds' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100;
COMMENT ON FUNCTION model_mgr.backtest_thresholds(text, jsonb, timestamptz, timestamptz) IS
'The alerts that these thresholds (as for set_thresholds()) would have fired in (since, until], looked at each whole minute as the tick does, over the versions that routing served then. kind: alert (one row each, at the time it fires), rollback or pause (what its action would have done). value, limit_value: of the look that fired, in the metric''s unit; traffic_percentage: the version''s share then, 0 to 100, NULL when routing did not serve it; requests_affected: from the beginning of the breach to this row: failures of success_rate and error_rate, all requests of other metrics; detail: from when to when, in words. What a rollback would have changed is counted: the version is not looked at any more. Changes nothing. Times: NULL: the 24 hours up to now; cut to what is kept by the minute (perf_monitor_retention_hours). Unknown model: no row. Errors: as set_thresholds(); 22003 a time that is infinite; 22023 since after until; 22004.';

CREATE FUNCTION model_mgr.backtest_rollout(model_name text, version text, rollout jsonb DEFAULT '{}',
    health_criteria jsonb DEFAULT '{}', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE ("time" timestamptz, kind text, metric_name text, value float8, limit_value float8,
    traffic_percentage float8, requests_affected bigint, detail text)
AS 'MODULE_PATHNAME', 'mm_backtest_rollout' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION model_mgr.backtest_rollout(text, text, jsonb, jsonb, timestamptz, timestamptz) IS
'A canary rollout of this version with these rollout keys and health_criteria (as for deploy_model_version(), whose usual limits hold), begun at since and judged each whole minute until it ends or until is reached, on what was recorded of the version. kind: step (the first one too), rollback, complete, or at last hold: what it would be waiting for. value, limit_value: of metric_name, in its unit; traffic_percentage: the share from then on, 0 to 100; requests_affected: bad requests (outcomes known as failed, or requests with an error if these are more) that the version would have served by then; of a rollback for another metric all its requests; detail: why, in words. Recorded counts are scaled by the plan''s share over the recorded one; rates and times stay as recorded. The baseline is the version that served beside it. Approvals are taken as given at once, outcomes as arriving from both sides alike. Changes nothing. Times: as backtest_thresholds(). Unknown names: no row. Errors: 22P02, 22003, 22023, 42602, 42622, 54000, 0A000 as deploy_model_version(); 22023 since after until; 22004.';
-- 80_registry_read: looking at models and versions. Runs as the caller, over the tables that the roles may read; an
-- unknown name gives no row or NULL.

CREATE FUNCTION model_mgr.get_model_version(model_name text, version text) RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(get_model_version.model_name, 'model_name'),
           model_mgr.check_required(get_model_version.version, 'version');
    SELECT v.* FROM model_mgr.model_version v
    WHERE v.model_name = get_model_version.model_name AND v.version = get_model_version.version
    UNION ALL
    SELECT v.* FROM model_mgr.model m
    JOIN model_mgr.model_alias a ON a.model_id = m.model_id
    JOIN model_mgr.model_version v ON v.version_id = a.version_id
    WHERE pg_catalog.starts_with(get_model_version.version, '@') AND m.model_name = get_model_version.model_name
      AND a.alias = pg_catalog.substr(get_model_version.version, 2);
END;
COMMENT ON FUNCTION model_mgr.get_model_version(text, text) IS
'The version, or no row. Takes @alias. Errors: 22004.';

CREATE FUNCTION model_mgr.get_active_model(model_name text) RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(get_active_model.model_name, 'model_name');
    SELECT v.* FROM model_mgr.model_version v
    WHERE v.model_name = get_active_model.model_name AND v.status = 'active';
END;
COMMENT ON FUNCTION model_mgr.get_active_model(text) IS
'The version that serves the model (during a rollout: its baseline), or no row when nothing is active. Errors: 22004.';

CREATE FUNCTION model_mgr.list_model_versions(model_name text) RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(list_model_versions.model_name, 'model_name');
    SELECT v.* FROM model_mgr.model_version v
    WHERE v.model_name = list_model_versions.model_name
    ORDER BY model_mgr.version_order(v.version), v.created_at, v.version_id;
END;
COMMENT ON FUNCTION model_mgr.list_model_versions(text) IS
'All versions of a model in ascending order: texts that are no version first, by time of creation, then by SemVer precedence; the newest is last. Errors: 22004.';

CREATE FUNCTION model_mgr.list_all_models() RETURNS SETOF model_mgr.model_version
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT v.* FROM model_mgr.model_version v
    ORDER BY v.model_name COLLATE "C", model_mgr.version_order(v.version), v.created_at, v.version_id;
END;
COMMENT ON FUNCTION model_mgr.list_all_models() IS
'All versions of all models: by model name (bytewise), then in the order of list_model_versions().';

CREATE FUNCTION model_mgr.resolve_version(model_name text, version text, allow_prerelease boolean DEFAULT false) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required(resolve_version.model_name, 'model_name'),
           model_mgr.check_required(resolve_version.version, 'version');
    SELECT CASE
        WHEN resolve_version.version = 'latest' THEN (
            SELECT v.version FROM model_mgr.model_version v
            WHERE v.model_name = resolve_version.model_name
              AND v.status = ANY ('{pending,ready,active,inactive}'::text[])
              AND (coalesce(resolve_version.allow_prerelease, false) OR NOT model_mgr.is_prerelease(v.version))
            ORDER BY model_mgr.version_order(v.version) DESC, v.created_at DESC, v.version_id DESC LIMIT 1)
        WHEN resolve_version.version = 'stable' THEN (
            SELECT v.version FROM model_mgr.get_active_model(resolve_version.model_name) v)
        WHEN resolve_version.version = 'previous' THEN (
            SELECT v.version FROM model_mgr.routing r
            JOIN model_mgr.routing_history h ON h.model_id = r.model_id
            JOIN model_mgr.model_version v ON v.version_id = h.stable_version_id
            WHERE r.model_name = resolve_version.model_name
              AND h.stable_version_id IS DISTINCT FROM r.stable_version_id
              AND v.status <> ALL ('{rolled_back,failed,archived}'::text[])
            ORDER BY h.revision DESC LIMIT 1)
        ELSE (SELECT v.version FROM model_mgr.get_model_version(resolve_version.model_name, resolve_version.version) v)
        END;
END;
COMMENT ON FUNCTION model_mgr.resolve_version(text, text, boolean) IS
'The version text that a word stands for: latest = highest of pending, ready, active, inactive (pre-releases only with allow_prerelease); stable = the active one; previous = the last other one that was active and was not rolled back, failed or archived since; @alias; else the version itself. NULL when there is none. Errors: 22004.';

CREATE FUNCTION model_mgr.lineage(model_name text, version text)
RETURNS TABLE (depth integer, version text, parent_version text, status text, created_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required($1, 'model_name'), model_mgr.check_required($2, 'version');
    WITH RECURSIVE line AS (
        SELECT 0 AS depth, v.model_id, v.version, v.parent_version, v.status, v.created_at
        FROM model_mgr.get_model_version($1, $2) v
        UNION ALL
        SELECT l.depth + 1, p.model_id, p.version, p.parent_version, p.status, p.created_at
        FROM line l JOIN model_mgr.model_version p ON p.model_id = l.model_id AND p.version = l.parent_version)
    SELECT l.depth, l.version, l.parent_version, l.status, l.created_at FROM line l ORDER BY l.depth;
END;
COMMENT ON FUNCTION model_mgr.lineage(text, text) IS
'The version (depth 0), its parent (depth 1) and so on up to the first ancestor; no row for an unknown name. Takes @alias. Errors: 22004.';

CREATE FUNCTION model_mgr.diff_configuration(model_name text, version_a text, version_b text)
RETURNS TABLE (path text, value_a text, value_b text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT model_mgr.check_required($1, 'model_name'), model_mgr.check_required($2, 'version_a'),
           model_mgr.check_required($3, 'version_b');
    -- objects are opened down to their leaves; arrays are leaves, and objects that are empty where the other has none
    WITH RECURSIVE pair AS MATERIALIZED (
        SELECT a.configuration AS a, b.configuration AS b
        FROM model_mgr.get_model_version($1, $2) a, model_mgr.get_model_version($1, $3) b),
    node AS (
        SELECT 'a' AS side, NULL::text AS path, p.a AS value FROM pair p
        UNION ALL
        SELECT 'b', NULL, p.b FROM pair p
        UNION ALL
        SELECT n.side,
               pg_catalog.concat_ws('.', n.path, CASE WHEN e.key ~ '^[[:alnum:]_-]+$' THEN e.key
                                                      ELSE pg_catalog.to_jsonb(e.key)::text END),
               e.value
        FROM node n, LATERAL pg_catalog.jsonb_each(n.value) e
        WHERE pg_catalog.jsonb_typeof(n.value) = 'object'),
    leaf AS (
        SELECT n.side, n.path, n.value FROM node n
        WHERE n.path IS NOT NULL
          AND (pg_catalog.jsonb_typeof(n.value) <> 'object'
               OR n.value = '{}' AND NOT EXISTS (
                   SELECT FROM node o WHERE o.path = n.path AND o.side <> n.side
                   AND pg_catalog.jsonb_typeof(o.value) = 'object')))
    SELECT coalesce(x.path, y.path),
           CASE WHEN x.value #>> '{}' IS DISTINCT FROM y.value #>> '{}'
                THEN coalesce(x.value #>> '{}', x.value::text) ELSE x.value::text END,
           CASE WHEN x.value #>> '{}' IS DISTINCT FROM y.value #>> '{}'
                THEN coalesce(y.value #>> '{}', y.value::text) ELSE y.value::text END
    FROM (SELECT l.* FROM leaf l WHERE l.side = 'a') x
    FULL JOIN (SELECT l.* FROM leaf l WHERE l.side = 'b') y ON y.path = x.path
    WHERE x.value IS DISTINCT FROM y.value
    ORDER BY coalesce(x.path, y.path) COLLATE "C";
END;
COMMENT ON FUNCTION model_mgr.diff_configuration(text, text, text) IS
'The leaves in which two configurations differ, by path (custom_parameters.cheaper_model; keys with other signs than letters, digits, _ and - are quoted). NULL: not in that version; strings without quotes unless only the JSON type differs; arrays whole. No row when they are equal or one is unknown. Takes @alias. Errors: 22004.';

CREATE FUNCTION model_mgr.get_model_statistics() RETURNS TABLE (metric_name text, value float8)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 7 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH registered AS (
        SELECT count(*) AS versions, count(*) FILTER (WHERE v.status = 'active') AS active
        FROM model_mgr.model_version v),
    rolled_out AS (
        SELECT count(*) AS total, count(*) FILTER (WHERE d.status = 'rolled_back') AS rollbacks,
               count(*) FILTER (WHERE d.status = ANY
                   ('{pending,running,paused,awaiting_approval,promoting}'::text[])) AS open
        FROM model_mgr.deployment d),
    -- the day that ends now: whole hours, and minutes before the first of them and where hours do not reach yet
    day AS (
        SELECT model_mgr.clock_time() - '24:00:00'::interval AS since, model_mgr.clock_time() AS until,
               pg_catalog.date_bin('1 hour', model_mgr.clock_time() - '23:00:00.000001'::interval, '2000-01-01 00:00:00+00') AS hour,
               (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1) AS hours_until),
    -- what is folded by index, version by version: its cost must not grow with history
    requested AS (
        SELECT coalesce(pg_catalog.sum(f.requests), 0)
               + (SELECT coalesce(pg_catalog.sum(t.requests), 0) FROM model_mgr.rollup_tail_sums() t, day d
                  WHERE t.bucket >= d.since AND t.bucket < d.until) AS requests
        FROM day d, model_mgr.model_version v, LATERAL (
            SELECT pg_catalog.sum(h.requests) AS requests FROM model_mgr.rollup_hour h
            WHERE h.version_id = v.version_id AND h.bucket >= d.hour AND h.bucket < d.until
            UNION ALL
            SELECT pg_catalog.sum(m.requests) FROM model_mgr.rollup_minute m
            WHERE m.version_id = v.version_id AND m.bucket >= d.since AND m.bucket < least(d.hour, d.hours_until)
            UNION ALL
            SELECT pg_catalog.sum(m.requests) FROM model_mgr.rollup_minute m
            WHERE m.version_id = v.version_id AND m.bucket >= greatest(d.since, d.hours_until) AND m.bucket < d.until) f)
    SELECT k.metric_name, k.value::float8
    FROM registered v, rolled_out d, requested q,
         LATERAL (VALUES (1, 'models', (SELECT count(*) FROM model_mgr.model)), (2, 'versions', v.versions),
             (3, 'active_versions', v.active), (4, 'deployments_open', d.open), (5, 'deployments_total', d.total),
             (6, 'rollbacks_total', d.rollbacks), (7, 'requests_24h', q.requests)) AS k (n, metric_name, value)
    ORDER BY k.n;
END;
COMMENT ON FUNCTION model_mgr.get_model_statistics() IS
'Counts: models, versions, active_versions, deployments_open (not ended, baking included), deployments_total, rollbacks_total (deployments taken back), requests_24h (recorded in the minutes of the last 24 hours).';

CREATE FUNCTION model_mgr.get_model_statistics_json() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_object_agg(s.metric_name, s.value) FROM model_mgr.get_model_statistics() s;
END;
COMMENT ON FUNCTION model_mgr.get_model_statistics_json() IS 'get_model_statistics() as one JSON object.';
-- 90_views: flat views for people and BI tools over versions, aliases and the audit log; the others stand with their
-- domain. One statement is one snapshot: rollups and the rows not folded yet are read together.

CREATE VIEW model_mgr.model_version_list AS
SELECT v.model_id, v.version_id, v.model_name, v.version, v.description, v.configuration, v.artifact_uri,
       v.artifact_digest, v.parent_version, v.tags, v.labels, v.status, v.status_reason, v.created_by, v.created_at,
       v.configuration ->> 'provider' AS provider,
       ARRAY(SELECT a.alias::text FROM model_mgr.model_alias a WHERE a.version_id = v.version_id ORDER BY a.alias) AS aliases,
       CASE WHEN r.candidate_version_id = v.version_id THEN r.candidate_weight / 100.0::float8
            WHEN r.stable_version_id = v.version_id THEN 100.0::float8 - r.candidate_weight / 100.0::float8
            ELSE 0.0::float8 END AS traffic_percentage,
       (SELECT count(*) FROM model_mgr.deployment_plan p WHERE p.version_id = v.version_id) AS deployments,
       n.requests, n.successes / nullif(n.known, 0)::float8 AS success_rate,
       n.response_time_sum / nullif(n.response_time_count, 0) AS avg_response_time,
       CASE WHEN n.cost_count > 0 THEN n.cost_sum END AS cost
FROM model_mgr.model_version v
LEFT JOIN model_mgr.routing r ON r.model_id = v.model_id
-- what is folded, by index for the versions that are asked for; what is not folded yet, once
LEFT JOIN LATERAL (
    SELECT pg_catalog.sum(m.requests) AS requests, pg_catalog.sum(m.known) AS known,
           pg_catalog.sum(m.successes) AS successes, pg_catalog.sum(m.response_time_count) AS response_time_count,
           pg_catalog.sum(m.response_time_sum) AS response_time_sum, pg_catalog.sum(m.cost_count) AS cost_count,
           pg_catalog.sum(m.cost_sum) AS cost_sum
    FROM model_mgr.rollup_folded m WHERE m.version_id = v.version_id) f ON true
LEFT JOIN (
    SELECT m.version_id, pg_catalog.sum(m.requests) AS requests, pg_catalog.sum(m.known) AS known,
           pg_catalog.sum(m.successes) AS successes, pg_catalog.sum(m.response_time_count) AS response_time_count,
           pg_catalog.sum(m.response_time_sum) AS response_time_sum, pg_catalog.sum(m.cost_count) AS cost_count,
           pg_catalog.sum(m.cost_sum) AS cost_sum
    FROM model_mgr.rollup_tail_sums() m GROUP BY m.version_id) t ON t.version_id = v.version_id
CROSS JOIN LATERAL (
    SELECT (coalesce(f.requests, 0) + coalesce(t.requests, 0))::bigint AS requests,
           (coalesce(f.known, 0) + coalesce(t.known, 0))::bigint AS known,
           (coalesce(f.successes, 0) + coalesce(t.successes, 0))::bigint AS successes,
           (coalesce(f.response_time_count, 0) + coalesce(t.response_time_count, 0))::bigint AS response_time_count,
           coalesce(f.response_time_sum, 0.0) + coalesce(t.response_time_sum, 0.0) AS response_time_sum,
           (coalesce(f.cost_count, 0) + coalesce(t.cost_count, 0))::bigint AS cost_count,
           coalesce(f.cost_sum, 0.0) + coalesce(t.cost_sum, 0.0) AS cost_sum) n;
COMMENT ON VIEW model_mgr.model_version_list IS
'One row a version, with what it serves and has done. Filter by model_name or version_id: both are indexed.';
COMMENT ON COLUMN model_mgr.model_version_list.model_id IS 'Id of the model.';
COMMENT ON COLUMN model_mgr.model_version_list.version_id IS 'Id of the version, as in observation.';
COMMENT ON COLUMN model_mgr.model_version_list.model_name IS 'The name that callers route by.';
COMMENT ON COLUMN model_mgr.model_version_list.version IS 'Version text, as given.';
COMMENT ON COLUMN model_mgr.model_version_list.description IS 'Free text.';
COMMENT ON COLUMN model_mgr.model_version_list.configuration IS 'Provider, model and parameters; never changes.';
COMMENT ON COLUMN model_mgr.model_version_list.artifact_uri IS 'Where the model''s files are.';
COMMENT ON COLUMN model_mgr.model_version_list.artifact_digest IS 'Digest of those files.';
COMMENT ON COLUMN model_mgr.model_version_list.parent_version IS 'The version of the same model that this one came from.';
COMMENT ON COLUMN model_mgr.model_version_list.tags IS 'Words to find it by.';
COMMENT ON COLUMN model_mgr.model_version_list.labels IS 'Keys and values, free.';
COMMENT ON COLUMN model_mgr.model_version_list.status IS
'pending, validating, ready, deploying, active, inactive, rolled_back, failed or archived.';
COMMENT ON COLUMN model_mgr.model_version_list.status_reason IS 'Why it has that status, where somebody or something said so.';
COMMENT ON COLUMN model_mgr.model_version_list.created_by IS 'Who registered it.';
COMMENT ON COLUMN model_mgr.model_version_list.created_at IS 'When it was registered.';
COMMENT ON COLUMN model_mgr.model_version_list.provider IS 'Key provider of the configuration.';
COMMENT ON COLUMN model_mgr.model_version_list.aliases IS 'Aliases that name it now, without @.';
COMMENT ON COLUMN model_mgr.model_version_list.traffic_percentage IS
'Its share of the model''s requests now, 0 to 100, pins and segments aside.';
COMMENT ON COLUMN model_mgr.model_version_list.deployments IS 'How often it was deployed.';
COMMENT ON COLUMN model_mgr.model_version_list.requests IS 'Requests recorded for it and kept.';
COMMENT ON COLUMN model_mgr.model_version_list.success_rate IS
'Successes among outcomes whose success is known, 0 to 1; NULL while none is.';
COMMENT ON COLUMN model_mgr.model_version_list.avg_response_time IS 'Mean response time in seconds; NULL while none is recorded.';
COMMENT ON COLUMN model_mgr.model_version_list.cost IS 'Sum of the recorded costs; NULL while none is recorded.';

CREATE VIEW model_mgr.alias_list AS
SELECT a.model_name, a.alias, a.version, a.version_id, v.status, a.set_by, a.set_at
FROM model_mgr.model_alias a JOIN model_mgr.model_version v ON v.version_id = a.version_id;
COMMENT ON VIEW model_mgr.alias_list IS 'One row an alias: movable names of versions.';
COMMENT ON COLUMN model_mgr.alias_list.model_name IS 'Model that the alias belongs to.';
COMMENT ON COLUMN model_mgr.alias_list.alias IS 'The alias, written @alias where a version is expected.';
COMMENT ON COLUMN model_mgr.alias_list.version IS 'The version that it names now.';
COMMENT ON COLUMN model_mgr.alias_list.version_id IS 'Id of that version.';
COMMENT ON COLUMN model_mgr.alias_list.status IS 'Status of that version.';
COMMENT ON COLUMN model_mgr.alias_list.set_by IS 'Who set it last.';
COMMENT ON COLUMN model_mgr.alias_list.set_at IS 'When it was set last.';

CREATE VIEW model_mgr.audit_list AS
SELECT l.audit_id, l.logged_at, l.operation, l.model_name, l.version, l.user_name, l.caller, l.session_id,
       l.application_name, l.client_address, l.txn, l.details, false AS sealed
FROM model_mgr.audit_log l;
COMMENT ON VIEW model_mgr.audit_list IS 'Who changed what, from where, with the numbers.';
COMMENT ON COLUMN model_mgr.audit_list.audit_id IS 'Id of the entry.';
COMMENT ON COLUMN model_mgr.audit_list.logged_at IS 'Real time of the change, whatever model_mgr.clock says.';
COMMENT ON COLUMN model_mgr.audit_list.operation IS 'What was done.';
COMMENT ON COLUMN model_mgr.audit_list.model_name IS 'Model concerned; kept after the model is deleted.';
COMMENT ON COLUMN model_mgr.audit_list.version IS 'Version concerned.';
COMMENT ON COLUMN model_mgr.audit_list.user_name IS 'session_user: who had logged in.';
COMMENT ON COLUMN model_mgr.audit_list.caller IS 'current_user at the call.';
COMMENT ON COLUMN model_mgr.audit_list.session_id IS 'Session as in the server log (%c).';
COMMENT ON COLUMN model_mgr.audit_list.application_name IS 'application_name of the session.';
COMMENT ON COLUMN model_mgr.audit_list.client_address IS 'Address of the client; NULL for a local socket.';
COMMENT ON COLUMN model_mgr.audit_list.txn IS 'Key of the transaction, as in observation.';
COMMENT ON COLUMN model_mgr.audit_list.details IS 'What was before and after, or the numbers.';
COMMENT ON COLUMN model_mgr.audit_list.sealed IS 'Whether the entry is part of the sealed chain yet.';
-- 99_rights: who may do what. Nothing is granted by this script but USAGE of the schema to PUBLIC; setup_roles()
-- makes the four roles and grants them what the one list below says.

-- Every function and procedure but those of triggers has a row. Kinds: reader (looks), app (routes and records),
-- operator (deploys; has the rights of reader and app too), admin (everything). A new function is not finished
-- without its row.
CREATE VIEW model_mgr.role_grant AS
WITH routine (routine_name, kinds) AS (VALUES
    -- 20_registry
    ('model_configuration', 'reader'),
    ('create_model_version', 'operator'),
    ('get_model_version', 'reader'),
    ('get_active_model', 'reader'),
    ('list_model_versions', 'reader'),
    ('list_all_models', 'reader'),
    ('set_alias', 'operator'),
    ('delete_alias', 'operator'),
    ('resolve_version', 'reader'),
    ('tag_model_version', 'operator'),
    ('update_model_version', 'operator'),
    ('archive_model_version', 'operator'),
    ('mark_version_ready', 'operator'),
    ('set_model', 'operator'),
    ('delete_model_version', 'operator'),
    ('delete_model', 'operator'),
    ('lineage', 'reader'),
    ('diff_configuration', 'reader'),
    ('configuration_digest', 'reader'),
    ('version_order', 'reader'),
    ('is_prerelease', 'reader'),
    ('check_required', 'reader'),
    ('check_range', 'reader'),
    ('get_model_statistics', 'reader'),
    ('get_model_statistics_json', 'reader'),
    -- 30_deployment
    ('deploy_model_version', 'operator'),
    ('promote_deployment', 'operator'),
    ('approve_step', 'operator'),
    ('freeze', 'operator'),
    ('pause_deployment', 'operator'),
    ('resume_deployment', 'operator'),
    ('abort_deployment', 'operator'),
    ('adjust_deployment', 'operator'),
    ('open_deployment', 'reader'),
    ('rollback_model', 'operator'),
    ('get_deployment', 'reader'),
    ('list_deployments', 'reader'),
    ('explain_deployment', 'reader'),
    ('rollout_status', 'reader'),
    ('replay_evidence', 'reader'),
    -- 40_routing; a decision carries the unit's hash, which who reads observation must not be able to make
    ('route', 'app'),
    ('route_version', 'reader app'),
    ('bucket', 'reader app'),
    ('route_at', 'reader app'),
    ('explain_route', 'reader app'),
    ('shadow_pairs', 'reader'),
    ('unit_hash', 'app'),
    ('pin_unit', 'operator'),
    ('unpin_unit', 'operator'),
    ('set_segment', 'operator'),
    ('drop_segment', 'operator'),
    -- 50_observation; clock_time and current_txn are column defaults
    ('clock_time', 'reader app'),
    ('current_txn', 'app'),
    ('evaluation_due', 'app'),
    ('maintenance_tasks', 'operator'),
    ('maintenance_run', 'operator'),
    ('update_model_metrics', 'app'),
    ('record_outcome', 'app'),
    ('record_outcomes', 'app'),
    ('record_feedback', 'app'),
    -- 10_types, 60_statistics
    ('summary_in', 'reader'),
    ('summary_out', 'reader'),
    ('summary_recv', 'reader'),
    ('summary_send', 'reader'),
    ('summary_eq', 'reader'),
    ('summary_ne', 'reader'),
    ('summary_lt', 'reader'),
    ('summary_le', 'reader'),
    ('summary_gt', 'reader'),
    ('summary_ge', 'reader'),
    ('summary_cmp', 'reader'),
    ('summary_hash', 'reader'),
    ('summary_hash_extended', 'reader'),
    ('summary_add', 'reader'),
    ('normal_cdf', 'reader'),
    ('normal_quantile', 'reader'),
    ('student_t_cdf', 'reader'),
    ('student_t_quantile', 'reader'),
    ('chi_square_sf', 'reader'),
    ('two_proportion_z_test', 'reader'),
    ('welch_t_test', 'reader'),
    ('required_sample_size', 'reader'),
    ('achieved_power', 'reader'),
    ('detectable_effect', 'reader'),
    ('sample_ratio_p_value', 'reader'),
    ('sequential_boundary', 'reader'),
    ('adjust_p_values', 'reader'),
    ('summary_count', 'reader'),
    ('summary_sum', 'reader'),
    ('summary_mean', 'reader'),
    ('summary_variance', 'reader'),
    ('summary_stddev', 'reader'),
    ('summary_min', 'reader'),
    ('summary_max', 'reader'),
    ('summary_quantile', 'reader'),
    ('welch_test', 'reader'),
    ('anytime_ci', 'reader'),
    ('summarize_transition', 'reader'),
    ('merge_transition', 'reader'),
    ('summary_state_combine', 'reader'),
    ('summary_state_serialize', 'reader'),
    ('summary_state_deserialize', 'reader'),
    ('summary_state_final', 'reader'),
    ('z_test_transition', 'reader'),
    ('mcnemar_test_transition', 'reader'),
    ('t_test_transition', 'reader'),
    ('paired_t_test_transition', 'reader'),
    ('cuped_test_transition', 'reader'),
    ('mann_whitney_test_transition', 'reader'),
    ('test_combine', 'reader'),
    ('test_serialize', 'reader'),
    ('test_deserialize', 'reader'),
    ('z_test_final', 'reader'),
    ('t_test_final', 'reader'),
    ('paired_t_test_final', 'reader'),
    ('mcnemar_test_final', 'reader'),
    ('cuped_test_final', 'reader'),
    ('mann_whitney_test_final', 'reader'),
    ('summarize', 'reader'),
    ('merge', 'reader'),
    ('z_test', 'reader'),
    ('t_test', 'reader'),
    ('paired_t_test', 'reader'),
    ('mcnemar_test', 'reader'),
    ('cuped_test', 'reader'),
    ('mann_whitney_test', 'reader'),
    -- 65_anomaly
    ('anomaly_score', 'reader'),
    ('anomaly_score_transition', 'reader'),
    ('anomaly_score_final', 'reader'),
    ('detect_anomalies', 'reader'),
    -- 66_rollup
    ('own_txn', 'reader'),
    ('attribution', 'reader'),
    ('metric_summaries', 'reader'),
    ('metric_summaries_transition', 'reader'),
    ('metric_summaries_final', 'reader'),
    ('rollup_tail_rows', 'reader'),
    ('rollup_tail_sums', 'reader'),
    ('rollup_metric_tail_rows', 'reader'),
    -- 67_metric
    ('record_performance', 'app'),
    ('get_current_metrics', 'reader'),
    ('get_current_metrics_json', 'reader'),
    ('get_performance_trends', 'reader'),
    ('get_performance_trends_json', 'reader'),
    ('get_model_comparison', 'reader'),
    ('get_model_comparison_json', 'reader'),
    ('metric_minutes_since', 'reader'),
    -- 68_alert
    ('performance_threshold', 'reader'),
    ('set_thresholds', 'operator'),
    ('get_thresholds', 'reader'),
    ('get_active_alerts', 'reader'),
    ('get_alert_history', 'reader'),
    ('acknowledge_alert', 'operator'),
    ('silence', 'operator'),
    -- 69_event
    ('events_since', 'reader'),
    ('add_alert_callback', 'operator'),
    ('add_rollback_callback', 'operator'),
    ('remove_callback', 'operator'),
    ('alertmanager_alerts', 'reader'),
    -- 75_health
    ('setting_value', 'reader'),
    ('scheduled_jobs', 'reader'),
    ('rollup_backlog', 'reader'),
    ('partition_ranges', 'reader'),
    ('default_partition_oldest', 'reader'),
    ('health_check', 'reader'),
    ('active_metrics', 'reader'),
    ('get_model_health_dashboard', 'reader'),
    ('assert_healthy', 'reader'),
    -- 76_backtest
    ('backtest_rollout', 'reader'),
    ('backtest_thresholds', 'reader'),
    -- 70_operation
    ('tick', 'operator'),
    ('work', 'operator'),
    ('work_tasks', 'operator'),
    ('work_begin', 'operator'),
    ('work_run', 'operator'),
    ('work_interrupted', 'operator'),
    ('maintain', 'operator'),
    ('run', 'operator'),
    ('wait_for_deployment', 'operator'),
    ('start', 'operator'),
    ('stop', 'operator'),
    ('model_mgr_version', 'reader app'),
    -- 71_source
    ('add_metric_source', 'operator'),
    ('remove_metric_source', 'operator'),
    ('setup_roles', 'admin'))
SELECT kind.role_kind, 'routine'::text AS object_kind, r.routine_name::text AS object_name, 'EXECUTE'::text AS privilege
FROM routine r JOIN (VALUES ('reader'), ('app'), ('operator'), ('admin')) kind (role_kind)
  ON kind.role_kind = ANY (pg_catalog.string_to_array(r.kinds, ' '))
     OR kind.role_kind = 'operator' AND r.kinds <> 'admin'
     OR kind.role_kind = 'admin'
UNION ALL
-- Partitions need no grants: the parent's count. Whoever has the key can find units by trying them out.
SELECT kind.role_kind, 'relation', c.relname::text COLLATE "default", 'SELECT'
FROM pg_catalog.pg_class c CROSS JOIN (VALUES ('reader'), ('operator'), ('admin')) kind (role_kind)
WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'model_mgr')
  AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND c.relname <> 'unit_key'
UNION ALL
-- The bulk path: every column but txn, which orders the rollups and is the default's to fill.
SELECT kind.role_kind, 'relation', 'observation', pg_catalog.format('INSERT (%s)', pg_catalog.string_agg(a.attname::text COLLATE "default", ', ' ORDER BY a.attnum))
FROM pg_catalog.pg_attribute a CROSS JOIN (VALUES ('app'), ('operator'), ('admin')) kind (role_kind)
WHERE a.attrelid = 'model_mgr.observation'::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'txn'
GROUP BY kind.role_kind;
COMMENT ON VIEW model_mgr.role_grant IS 'What setup_roles() grants: one row a kind of role, object and privilege.';
COMMENT ON COLUMN model_mgr.role_grant.role_kind IS 'Reader, app, operator or admin.';
COMMENT ON COLUMN model_mgr.role_grant.object_kind IS 'Routine or relation.';
COMMENT ON COLUMN model_mgr.role_grant.object_name IS 'Name in schema model_mgr; no function is overloaded.';
COMMENT ON COLUMN model_mgr.role_grant.privilege IS 'As GRANT spells it.';

CREATE FUNCTION model_mgr.setup_roles(admin_role text DEFAULT 'model_mgr_admin', operator_role text DEFAULT 'model_mgr_operator',
    app_role text DEFAULT 'model_mgr_app', reader_role text DEFAULT 'model_mgr_reader') RETURNS void
AS 'MODULE_PATHNAME', 'mm_setup_roles' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.setup_roles(text, text, text, text) IS
'Makes the four roles that are missing (NOLOGIN; grant them to your users) and grants each what role_grant lists.
Reader looks; app routes and records; operator deploys, rolls back and ticks too; admin may do everything. May be run
again at any time, and should be after an update. Runs with the rights of the caller, who needs those of the
extension''s owner, and CREATEROLE for roles that are missing: else 42501. 42622: a name over 63 bytes; 42939: a
reserved one (pg_..., public, none); 42602: an empty one.';

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA model_mgr FROM PUBLIC;
REVOKE EXECUTE ON ALL PROCEDURES IN SCHEMA model_mgr FROM PUBLIC;
GRANT USAGE ON SCHEMA model_mgr TO PUBLIC;
