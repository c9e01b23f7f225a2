-- When a deployment was judged last has a table of its own; each deployment has its row there, or it is never looked at again.
INSERT INTO model_mgr.deployment_judged (deployment_id, judged_at) SELECT p.deployment_id, p.judged_at FROM model_mgr.deployment_plan p;
ALTER TABLE model_mgr.deployment_plan DROP COLUMN judged_at;
-- Partitions, those of days included, say what their tables say of columns.
DO $comments$
BEGIN
    EXECUTE (SELECT pg_catalog.string_agg(pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', i.inhrelid::pg_catalog.regclass, a.attname, pg_catalog.col_description(a.attrelid, a.attnum)), ';')
             FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.inhparent
             WHERE i.inhparent IN ('model_mgr.observation'::pg_catalog.regclass, 'model_mgr.metric_sample'::pg_catalog.regclass) AND a.attnum > 0 AND NOT a.attisdropped);
END
$comments$;
