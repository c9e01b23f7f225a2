-- What becomes of the tables of 0.1.0; the rest of the upgrade is made from the two install scripts (scripts/upgrade_script.pl).
SET LOCAL search_path = pg_catalog, pg_temp;
ALTER TABLE model_mgr.deployment_plan ADD COLUMN version_status text;
ALTER TABLE model_mgr.routing ADD COLUMN test jsonb;
ALTER TABLE model_mgr.routing_history ADD COLUMN test jsonb;
