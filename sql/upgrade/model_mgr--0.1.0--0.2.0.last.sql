-- When a deployment was judged last has a table of its own; each deployment has its row there, or it is never looked at again.
INSERT INTO model_mgr.deployment_judged (deployment_id, judged_at) SELECT p.deployment_id, p.judged_at FROM model_mgr.deployment_plan p;
ALTER TABLE model_mgr.deployment_plan DROP COLUMN judged_at;
