-- 26_trust: approvals that a version needs before it is deployed, and operators confined to some models.

-- Who made a version; created_by in its row is what the caller said.
CREATE TABLE model_mgr.version_creator (
    version_id bigint PRIMARY KEY,
    user_name text NOT NULL
);
COMMENT ON TABLE model_mgr.version_creator IS 'Who created each version: the login (session_user); of code that work() ran, the role that had registered it.';

CREATE TABLE model_mgr.approval_rule (
    model_id bigint PRIMARY KEY,
    model_name text NOT NULL,
    approvals integer NOT NULL CHECK (approvals BETWEEN 1 AND 100),
    from_role text,                         -- NULL: anybody's count
    set_by text NOT NULL,
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE model_mgr.approval_rule IS 'Models whose versions need approvals before they are deployed.';

CREATE TABLE model_mgr.version_approval (
    version_id bigint NOT NULL,
    user_name text NOT NULL,                -- session_user
    note text NOT NULL,
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (version_id, user_name)
);
COMMENT ON TABLE model_mgr.version_approval IS 'Who approved which version; approval_list shows which count.';

CREATE TABLE model_mgr.model_grant (
    model_name text NOT NULL,               -- stays when the model is deleted: its role is confined still
    role_name text NOT NULL,
    role_oid oid NOT NULL,                  -- finds the role when it is renamed
    origin text NOT NULL,                   -- database where role_oid means something
    granted_by text NOT NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (model_name, role_name)
);
COMMENT ON TABLE model_mgr.model_grant IS 'Models that roles are confined to: a role with a row here, and its members, act on its models only.';

SELECT pg_catalog.pg_extension_config_dump('model_mgr.version_creator', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.approval_rule', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.version_approval', '');
SELECT pg_catalog.pg_extension_config_dump('model_mgr.model_grant', '');

CREATE FUNCTION model_mgr.is_member(user_name text, role_name text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mm_is_member' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION model_mgr.is_member(text, text) IS
'Whether one role is, directly or not, a member of another (or is it); superusers are no members of everything here. False for unknown roles.';

CREATE FUNCTION model_mgr.require_approvals(model_name text, approvals integer, from_role text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'mm_require_approvals' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.require_approvals(text, integer, text) IS
'From now on a version of the model is deployed only with so many approvals (0 to 100, 0: none) of distinct logins, members of from_role when one is given; neither who created it nor who deploys it, or asked for the update that does, counts. Errors: 42704 unknown model or role, 22003 out of range, 22004.';

CREATE FUNCTION model_mgr.approve_model_version(model_name text, version text, note text DEFAULT '') RETURNS model_mgr.model_version
AS 'MODULE_PATHNAME', 'mm_approve_model_version' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.approve_model_version(text, text, text) IS
'Approves a version (or @alias) as session_user and returns its row; approval_list shows it. Again is harmless. Errors: 42704 unknown model or version, 42501 own work (created or deployed by this login) or code that work() runs, 55000 archived.';

CREATE FUNCTION model_mgr.grant_model(model_name text, role text, revoke boolean DEFAULT false) RETURNS void
AS 'MODULE_PATHNAME', 'mm_grant_model' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION model_mgr.grant_model(text, text, boolean) IS
'Confines a role and its members to the models granted: what acts on another one ends with 42501. It gives no right to call anything: that is EXECUTE, as setup_roles() grants it. revoke takes one grant back; with none left the role is confined no more. Superusers and the extension''s owner are never confined, nor is the tick, whoever runs it. Errors: 42501 a confined caller, 42704 unknown model or role, 22004.';

CREATE VIEW model_mgr.approval_list AS
SELECT v.model_name, v.version, v.status, coalesce(r.approvals, 0) AS approvals_required, r.from_role,
       count(*) FILTER (WHERE a.counts) OVER (PARTITION BY v.version_id) AS approvals,
       a.user_name, a.counts, a.note, a.approved_at
FROM model_mgr.model_version v
LEFT JOIN model_mgr.approval_rule r ON r.model_id = v.model_id
LEFT JOIN LATERAL (
    SELECT p.user_name, p.note, p.approved_at,
           p.user_name <> v.created_by
           AND NOT EXISTS (SELECT FROM model_mgr.version_creator c WHERE c.version_id = v.version_id AND c.user_name = p.user_name)
           AND (r.from_role IS NULL OR model_mgr.is_member(p.user_name, r.from_role)) AS counts
    FROM model_mgr.version_approval p WHERE p.version_id = v.version_id) a ON true
WHERE r.model_id IS NOT NULL OR a.user_name IS NOT NULL;
COMMENT ON VIEW model_mgr.approval_list IS
'Versions that need approvals or have some: one row an approval, or one without when there is none.';
COMMENT ON COLUMN model_mgr.approval_list.model_name IS 'The model.';
COMMENT ON COLUMN model_mgr.approval_list.version IS 'The version.';
COMMENT ON COLUMN model_mgr.approval_list.status IS 'Status of the version.';
COMMENT ON COLUMN model_mgr.approval_list.approvals_required IS 'How many its model asks for; 0: none.';
COMMENT ON COLUMN model_mgr.approval_list.from_role IS 'Role whose members'' approvals count; NULL: anybody''s.';
COMMENT ON COLUMN model_mgr.approval_list.approvals IS 'How many count now; whoever deploys it does not count at that deployment.';
COMMENT ON COLUMN model_mgr.approval_list.user_name IS 'Who approved (session_user); NULL: nobody yet.';
COMMENT ON COLUMN model_mgr.approval_list.counts IS 'Whether that approval counts now.';
COMMENT ON COLUMN model_mgr.approval_list.note IS 'What was said.';
COMMENT ON COLUMN model_mgr.approval_list.approved_at IS 'When.';
