-- assert_healthy(): silent when nothing speaks against a version, else 55000 with everything that does.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
-- said: 'SQLSTATE: DETAIL', or 'silent'; an error without HINT is told.
CREATE FUNCTION pg_temp.said(model_name text, version text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text;
BEGIN
    PERFORM model_mgr.assert_healthy(model_name, version);
    RETURN 'silent';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || CASE WHEN hint = '' THEN 'NO HINT ' ELSE '' END || message || ': ' || detail;
END $$;

-- Unknown names; nothing that serves.
SELECT matches(pg_temp.said('no-such'), '^42704 ', 'unknown model');
SELECT matches(pg_temp.said(NULL), '^22004 ', 'no model');
SELECT pg_temp.make_model('m', '1', '2', '3');
SELECT matches(pg_temp.said('m', '9'), '^42704 ', 'unknown version');
SELECT matches(pg_temp.said('m', '@no-such'), '^42704 ', 'unknown alias');
SELECT is(pg_temp.said('m'), '55000 model "m" is not healthy: No version of it serves.', 'nothing serves');
SELECT is(pg_temp.said('m', '1'), 'silent', 'a version that has never served is not ill');

-- What serves, without data and with good data.
SELECT count(model_mgr.deploy_model_version('m', v, rollout => '{"min_requests": 10}')) FROM unnest('{1,2}'::text[]) v;
SELECT is(pg_temp.said('m'), 'silent', 'nobody has called it yet');
SELECT pg_temp.outcomes('m', '1', 20, 20), pg_temp.outcomes('m', '2', 20, 20);
SELECT is(pg_temp.said('m') || ' ' || pg_temp.said('m', '1') || ' ' || pg_temp.said('m', '2'), 'silent silent silent', 'good answers');

-- A limit of the rollout that nobody has judged yet.
SELECT pg_temp.outcomes('m', '2', 20, 10);
SELECT is(pg_temp.said('m', '2'), '55000 version "2" of model "m" is not healthy: What is wrong: deployment 2 of version "2": success_rate is 0.75 (40 samples), its limit is 0.95.', 'the candidate breaks a limit');
SELECT is(pg_temp.said('m', '1'), 'silent', 'the version beside it does not');
SELECT matches(pg_temp.said('m'), '^55000 model "m" is not healthy: What is wrong: deployment 2', 'so the model is not well');
SELECT pg_temp.tick();
SELECT matches(pg_temp.said('m', '2'), '^55000 .*: What is wrong: version "2" is rolled_back: success rate 0.75 [^;]*\.$', 'taken back: it stays refused');
SELECT is(pg_temp.said('m'), 'silent', 'and the model is well again');
SELECT (model_mgr.archive_model_version('m', '3', 'never used')).status;
SELECT is(pg_temp.said('m', '3'), '55000 version "3" of model "m" is not healthy: What is wrong: version "3" is archived: never used.', 'an archived version');

-- Thresholds: broken this moment, whether or not that has lasted; then the alert.
SELECT pg_temp.at('2026-01-01 01:00:00+00');
SELECT model_mgr.set_thresholds('m', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.9, '<', duration_minutes => 5),
    model_mgr.performance_threshold('response_time', 1, '>', severity => 'critical', duration_minutes => 0),
    model_mgr.performance_threshold('refunds', 0.5, '>=', on_no_data => 'ok')));
SELECT is(pg_temp.said('m'), 'silent', 'no data is nothing against it');
SELECT pg_temp.outcomes('m', '1', 20, 16);
SELECT is(pg_temp.said('m'), '55000 version "1" of model "m" is not healthy: What is wrong: success_rate of version "1" is 0.8 over the last 60 s (20 samples), which must not be < 0.9.', 'a threshold is broken, though its time is not over');
SELECT pg_temp.outcomes('m', '1', 20, 20, 2.0);
SELECT is(pg_temp.said('m'), '55000 version "1" of model "m" is not healthy: What is wrong: response_time of version "1" is 1.25 over the last 60 s (40 samples), which must not be > 1.', 'all thresholds are looked at, and what is not broken is not named');
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT pg_temp.at('2026-01-01 01:01:00.5+00');
SELECT matches(pg_temp.said('m', '1'), '^55000 version "1" of model "m" is not healthy: What is wrong: critical alert \d+ fires: [^;]*response_time[^;]*\.$', 'the window is over, the alert still fires');
SELECT alert_id FROM model_mgr.get_active_alerts() WHERE kind = 'threshold' \gset
SELECT count(*) FROM model_mgr.acknowledge_alert(:alert_id);
SELECT model_mgr.silence('m', '2026-01-02 00:00:00+00');
SELECT matches(pg_temp.said('m', '1'), 'fires', 'also when it is acknowledged and silenced');
SELECT is(pg_temp.said('m', '2') ~ 'fires', false, 'it is not the other version''s');
SELECT model_mgr.set_alias('m', 'champion', '1');
SELECT matches(pg_temp.said('m', '@champion'), '^55000 version "1" of model "m"', 'an alias stands for its version');
SELECT pg_temp.outcomes('m', '1', 20, 20);
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is(pg_temp.said('m'), 'silent', 'over');
SELECT model_mgr.set_thresholds('m', jsonb_build_array(model_mgr.performance_threshold('refunds', 0.5, '>=', on_no_data => 'breach')));
SELECT is(pg_temp.said('m'), '55000 version "1" of model "m" is not healthy: What is wrong: refunds of version "1" has no samples in the last 60 s, which its threshold takes for a breach.', 'silence is a breach where the threshold says so');

-- It reads only, and readers may ask.
SELECT model_mgr.setup_roles('regress_model_mgr_admin', 'regress_model_mgr_operator', 'regress_model_mgr_app', 'regress_model_mgr_reader');
BEGIN READ ONLY;
SELECT matches(pg_temp.said('m'), '^55000', 'in a read-only transaction');
COMMIT;
SELECT model_mgr.set_thresholds('m', '[]');
SET ROLE regress_model_mgr_reader;
SELECT model_mgr.assert_healthy('m', '@champion');
RESET ROLE;
SELECT * FROM finish();
SET client_min_messages = warning;
DROP EXTENSION model_mgr CASCADE;
DROP ROLE regress_model_mgr_admin, regress_model_mgr_operator, regress_model_mgr_app, regress_model_mgr_reader;
