-- One request in plain SQL, as psql runs it. PREPARE once a connection; behind a transaction pooler send the bare statements.
SET statement_timeout = '250ms';          -- nobody waits longer for a version
PREPARE route (text, text, jsonb) AS SELECT value, configuration, decision FROM model_mgr.route($1, $2, $3);
PREPARE record (text, float8) AS SELECT model_mgr.record_outcome($1, response_time => $2);
PREPARE feed_back (text, boolean) AS SELECT model_mgr.record_feedback($1, $2);
PREPARE send (uuid, jsonb) AS
    WITH new AS (INSERT INTO outcome_batch VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1)
    SELECT model_mgr.record_outcomes($2, skip_bad => true) AS recorded FROM new;

EXECUTE route('spam', 'user-42', '{"country": "DE"}') \gset
\echo the application calls version :value and keeps the decision with its answer
EXECUTE record(:'decision', 0.21);
EXECUTE feed_back(:'decision', true);     -- hours later, from any connection

-- What a client kept while the database was away. The second time nothing comes back: it has arrived before.
\set batch '[{"model_name": "spam", "version": "1.0.0", "unit_id": "user-43", "success": true, "recorded_at": "now"}]'
EXECUTE send('5d3f0c3e-1f6a-4c8b-9a43-0c9f5a1d2b77', :'batch');
EXECUTE send('5d3f0c3e-1f6a-4c8b-9a43-0c9f5a1d2b77', :'batch');
