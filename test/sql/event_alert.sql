-- Alerts as events: what fires is told once, in the event's own transaction, to the callbacks and to Alertmanager; what
-- is silenced is told when the silence is over and it still fires; what is over is told as resolved.
\i test/fresh.psql
\i test/rollout.psql
SET client_min_messages = error;
SELECT no_plan();
CREATE SCHEMA regress_event;
CREATE TABLE regress_event.got (n serial, event jsonb);
CREATE FUNCTION regress_event.alert(event jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO regress_event.got (event) VALUES (event)';
CREATE FUNCTION regress_event.rollback(event jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO regress_event.got (event) VALUES (event)';
-- at: the clock stands there, a tick and a work() follow.
CREATE PROCEDURE pg_temp.at_work(clock text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('model_mgr.clock', clock, false);
    PERFORM model_mgr.tick();
    COMMIT;
    CALL model_mgr.work();
END $$;
-- told: alerts' events since the last look; heard: what callbacks got.
CREATE TEMP TABLE place (event_id bigint);
INSERT INTO place VALUES (0);
CREATE FUNCTION pg_temp.told() RETURNS text LANGUAGE sql AS $$
    WITH e AS MATERIALIZED (SELECT e.* FROM model_mgr.event_list e, place p WHERE e.event_id > p.event_id AND e.type LIKE 'alert.%'),
        u AS (UPDATE place SET event_id = (SELECT max(l.event_id) FROM model_mgr.event_list l))
    SELECT string_agg(format('%s %s %s', e.type, e.version, e.data ->> 'metric_name'), ', ' ORDER BY e.event_id) FROM e;
$$;
CREATE FUNCTION pg_temp.heard() RETURNS text LANGUAGE sql AS $$
    WITH g AS (DELETE FROM regress_event.got RETURNING *) SELECT string_agg(format('%s %s', g.event ->> 'type', g.event ->> 'version'), ', ' ORDER BY g.n) FROM g;
$$;
SELECT model_mgr.add_alert_callback('regress_event.alert(jsonb)') AS alert_callback, model_mgr.add_rollback_callback('regress_event.rollback(jsonb)') AS rollback_callback \gset

SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.make_model('spam', '1', '2');
SELECT (model_mgr.deploy_model_version('spam', '1')).status;
SELECT (model_mgr.deploy_model_version('spam', '2', 'replace', rollback_min_success_rate => 0, auto_rollback_enabled => false)).status;
SELECT model_mgr.set_thresholds('spam', jsonb_build_array(
    model_mgr.performance_threshold('success_rate', 0.95, '<', 'critical', 2),
    model_mgr.performance_threshold('avg_response_time', 5, '>', 'warning', 0)));
CREATE FUNCTION pg_temp.minute(clock text, successes integer, response_time float8) RETURNS void LANGUAGE sql AS $$
    SELECT set_config('model_mgr.clock', clock, false);
    SELECT pg_temp.outcomes('spam', '2', 20, successes, response_time);
$$;
SELECT pg_temp.minute('2026-01-01 00:00:30+00', 10, 1);
CALL pg_temp.at_work('2026-01-01 00:01:00+00');
SELECT is(pg_temp.told(), NULL, 'pending: nothing is told');
SELECT pg_temp.minute('2026-01-01 00:01:30+00', 10, 1);
CALL pg_temp.at_work('2026-01-01 00:02:00+00');
SELECT is(pg_temp.told(), NULL, 'pending still');
SELECT pg_temp.minute('2026-01-01 00:02:30+00', 10, 1);
CALL pg_temp.at_work('2026-01-01 00:03:00+00');
SELECT is(pg_temp.told(), 'alert.firing 2 success_rate', 'it fires');
SELECT is((SELECT g.event FROM regress_event.got g), jsonb_build_object('event_id', (SELECT max(e.event_id) FROM model_mgr.event_list e WHERE e.type = 'alert.firing'),
    'type', 'alert.firing', 'time', '2026-01-01T00:03:00+00:00', 'model_name', 'spam', 'version', '2', 'deployment_id', pg_temp.newest('spam'),
    'alert_id', (SELECT a.alert_id FROM model_mgr.get_active_alerts() a), 'metric_name', 'success_rate', 'current_value', 0.5, 'samples', 20,
    'threshold', model_mgr.get_thresholds('spam') -> 0), 'the callback is given it');
SELECT is(pg_temp.heard(), 'alert.firing 2', 'once');
SELECT is(model_mgr.alertmanager_alerts() -> 0, jsonb_build_object('labels', jsonb_build_object('alertname', 'ModelThreshold', 'alert_id', a.alert_id::text,
    'kind', 'threshold', 'severity', 'critical', 'model_name', 'spam', 'version', '2', 'metric_name', 'success_rate'),
    'annotations', jsonb_build_object('summary', a.summary, 'value', '0.5', 'samples', '20'), 'startsAt', '2026-01-01T00:03:00.000000Z'), 'Alertmanager gets it')
FROM model_mgr.get_active_alerts() a;
SELECT pg_temp.minute('2026-01-01 00:03:30+00', 10, 1);
CALL pg_temp.at_work('2026-01-01 00:04:00+00');
SELECT is(concat(pg_temp.told(), pg_temp.heard()), '', 'it goes on: nothing more is told');

-- Over: resolved, with an end; callbacks are called for what begins only.
SELECT pg_temp.minute('2026-01-01 00:04:30+00', 20, 1);
CALL pg_temp.at_work('2026-01-01 00:05:00+00');
SELECT pg_temp.minute('2026-01-01 00:05:30+00', 20, 1);
CALL pg_temp.at_work('2026-01-01 00:06:00+00');
SELECT pg_temp.minute('2026-01-01 00:06:30+00', 20, 1);
CALL pg_temp.at_work('2026-01-01 00:07:00+00');
SELECT is(pg_temp.told(), 'alert.resolved 2 success_rate', 'resolved');
SELECT is(pg_temp.heard(), NULL, 'no callback is called for that');
SELECT is(model_mgr.alertmanager_alerts() -> 0 ->> 'endsAt', '2026-01-01T00:07:00.000000Z', 'Alertmanager gets its end');
SELECT pg_temp.at('2026-01-01 00:22:00+00');
SELECT is(model_mgr.alertmanager_alerts(), '[]', 'for a quarter of an hour');

-- Silenced: told when the silence is over and it still fires.
SELECT model_mgr.silence('spam', '2026-01-01 00:32:00+00', 'known', 'avg_response_time');
SELECT pg_temp.minute('2026-01-01 00:30:30+00', 20, 9);
CALL pg_temp.at_work('2026-01-01 00:31:00+00');
SELECT is(concat(pg_temp.told(), pg_temp.heard()), '', 'silenced: nothing is told');
SELECT is((SELECT array_agg(a.metric_name) FROM model_mgr.get_active_alerts() a), '{avg_response_time}', 'though it fires');
SELECT is(model_mgr.alertmanager_alerts(), '[]', 'nor to Alertmanager');
SELECT pg_temp.minute('2026-01-01 00:32:00+00', 20, 9);
CALL pg_temp.at_work('2026-01-01 00:32:30+00');
SELECT is(pg_temp.told(), 'alert.firing 2 avg_response_time', 'after the silence it is');
SELECT is(pg_temp.heard(), 'alert.firing 2', 'and the callback called');
SELECT is(jsonb_array_length(model_mgr.alertmanager_alerts()), 1, 'and sent');

-- An alert that takes its version back is an automatic rollback, with the alert as its reason.
SELECT model_mgr.set_thresholds('spam', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', 'critical', 0, 'rollback')));
SELECT is(pg_temp.told(), 'alert.resolved 2 avg_response_time', 'the alert of a threshold that is gone is resolved');
SELECT pg_temp.minute('2026-01-01 00:40:30+00', 10, 1);
CALL pg_temp.at_work('2026-01-01 00:41:00+00');
SELECT is(pg_temp.told(), 'alert.firing 2 success_rate', 'it fires');
SELECT is((SELECT string_agg(format('%s %s', g.event ->> 'type', g.event ->> 'version'), ', ' ORDER BY g.event ->> 'type') FROM regress_event.got g),
    'alert.firing 2, deployment.rolled_back 2', 'both callbacks are called');
SELECT matches((SELECT g.event ->> 'reason' FROM regress_event.got g WHERE g.event ->> 'type' = 'deployment.rolled_back'), '^alert [0-9]+: ', 'the alert is the reason');
SELECT is((SELECT g.event ->> 'target_version' FROM regress_event.got g WHERE g.event ->> 'type' = 'deployment.rolled_back'), '1', 'to where');
SELECT is((SELECT jsonb_typeof(g.event -> 'evidence') FROM regress_event.got g WHERE g.event ->> 'type' = 'deployment.rolled_back'), 'object', 'with the evidence');

SELECT * FROM finish();
DROP EXTENSION model_mgr CASCADE;
DROP SCHEMA regress_event CASCADE;
