-- The batches of kept outcomes that arrived: in your application's schema, once. A batch that is sent again is there already.
CREATE TABLE outcome_batch (batch_id uuid PRIMARY KEY, sent_at timestamptz NOT NULL DEFAULT now());
-- The application's role: GRANT INSERT ON outcome_batch TO my_app; GRANT model_mgr_app TO my_app;
-- Now and then, longer than a client keeps trying: DELETE FROM outcome_batch WHERE sent_at < now() - interval '7 days';
