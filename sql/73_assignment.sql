-- 73_assignment: which arm of a test a unit is in.

-- One row a test, written only by src/pg/assignment_store.c; the hot path reads it once a change. The arrays go by arm.
CREATE TABLE model_mgr.ab_test_assignment (
    test_id text PRIMARY KEY,
    test_no bigint NOT NULL UNIQUE,
    revision bigint NOT NULL,
    running boolean NOT NULL,
    winner smallint,                        -- arm; NULL: none, or not yet
    group_key text,                         -- the exclusion group, which draws who is in the test; NULL: none
    slot_from integer,                      -- of the group's 10000 buckets
    slots integer,
    weights integer[] NOT NULL,             -- of 10000 buckets of the test's own; those beyond their sum are outside
    variants text[] NOT NULL,
    version_ids bigint[] NOT NULL,          -- 0: not in the registry
    model_names text[] NOT NULL,
    bucket_rule text NOT NULL DEFAULT 'flagd2'
);
COMMENT ON TABLE model_mgr.ab_test_assignment IS 'What assignment to the arms of tests reads: one row a test.';
SELECT pg_catalog.pg_extension_config_dump('model_mgr.ab_test_assignment', '');

-- As on routing.
CREATE TRIGGER routing_signal_statement AFTER INSERT OR UPDATE OR DELETE ON model_mgr.ab_test_assignment
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.routing_signal();
CREATE TRIGGER routing_signal_row AFTER INSERT OR UPDATE OR DELETE ON model_mgr.ab_test_assignment
    FOR EACH ROW EXECUTE FUNCTION model_mgr.routing_signal();
CREATE TRIGGER routing_signal_truncate AFTER TRUNCATE ON model_mgr.ab_test_assignment
    FOR EACH STATEMENT EXECUTE FUNCTION model_mgr.routing_signal();
ALTER TABLE model_mgr.ab_test_assignment ENABLE ALWAYS TRIGGER routing_signal_row;
ALTER TABLE model_mgr.ab_test_assignment ENABLE ALWAYS TRIGGER routing_signal_truncate;

CREATE FUNCTION model_mgr.should_route_to_treatment(test_id text, user_id text DEFAULT NULL, request_id text DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_should_route_to_treatment' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.should_route_to_treatment(text, text, text) IS
'Whether this unit gets the treatment: the same answer for the same id while the shares stay; false outside the test''s coverage. user_id decides where both ids are given; without an id it is drawn at random. After the end true only when winning_variant is treatment. 22004: test_id NULL; 42704: unknown test.';

CREATE FUNCTION model_mgr.assigned_variant(test_id text, user_id text DEFAULT NULL, request_id text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'mm_assigned_variant' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION model_mgr.assigned_variant(text, text, text) IS
'The arm of this unit: control, treatment or a further one; NULL outside the test''s coverage. After the end by the shares that were in force then. 22004: test_id NULL; 42704: unknown test.';
