-- 99_rights: nothing for PUBLIC but USAGE of the schema; setup_roles() grants the rest.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA model_mgr FROM PUBLIC;
REVOKE EXECUTE ON ALL PROCEDURES IN SCHEMA model_mgr FROM PUBLIC;
GRANT USAGE ON SCHEMA model_mgr TO PUBLIC;
