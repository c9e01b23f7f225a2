-- The life of alerts: a look without samples, values that swing, replaced sets, acknowledging, silence, pause, rollbacks
-- that lead nowhere, models that route nothing. One tick a minute under a clock held still.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
-- minute: the clock, so many outcomes of which so many are good (0: none come), and a tick.
CREATE FUNCTION pg_temp.minute(minute integer, model text, version text, n integer, good integer DEFAULT 0) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.at((timestamptz '2026-01-01 00:00:00+00' + make_interval(mins => minute))::text);
    PERFORM pg_temp.outcomes(model, version, n, good);
    PERFORM model_mgr.tick();
END $$;
-- alerts: 'kind version metric status' of a model's alerts that are there, oldest first.
CREATE FUNCTION pg_temp.alerts(model text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', a.kind, a.version, a.metric_name, a.status), ', ' ORDER BY a.alert_id), '')
    FROM model_mgr.alert_list a WHERE a.model_name = model;
$$;
-- life: the status at each minute of a script: b bad outcomes, g good ones, - none; . nothing, p pending, F firing.
CREATE FUNCTION pg_temp.life(model text, version text, script text, first integer DEFAULT 0) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    seen text := ''; c text; i integer := first;
BEGIN
    FOREACH c IN ARRAY string_to_array(script, NULL) LOOP
        PERFORM pg_temp.minute(i, model, version, CASE c WHEN '-' THEN 0 ELSE 10 END, CASE c WHEN 'g' THEN 10 ELSE 0 END);
        seen := seen || coalesce((SELECT CASE a.status WHEN 'pending' THEN 'p' ELSE 'F' END FROM model_mgr.alert a
                                  WHERE a.model_name = model AND a.kind IN ('threshold', 'no_data') AND a.status <> 'resolved'), '.');
        i := i + 1;
    END LOOP;
    RETURN seen;
END $$;
CREATE FUNCTION pg_temp.threshold(minutes integer, action text DEFAULT 'alert', on_no_data text DEFAULT 'hold') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', 'critical', minutes, action, on_no_data));
$$;
-- events: types of a model's alert events, in order.
CREATE FUNCTION pg_temp.events(model text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(e.type, ', ' ORDER BY e.event_id), '') FROM model_mgr.event e WHERE e.model_name = model AND e.type LIKE 'alert.%';
$$;
SELECT pg_temp.at('2025-12-31 12:00:00+00');
SELECT count(pg_temp.make_model(m, '1', '2')) FROM unnest('{hold,ok,breach,swing,zero,sets,noted,mute,pause,stuck,base,taken,loose,gone,again,"o''dd \"näme\""}'::text[]) m;
SELECT count(model_mgr.deploy_model_version(m, '1')) FROM unnest('{hold,ok,breach,swing,zero,sets,noted,mute,pause,stuck,base,taken,gone,again,"o''dd \"näme\""}'::text[]) m;

-- A look without samples: hold changes nothing, ok is clean, breach is a breach.
SELECT count(model_mgr.set_thresholds(m, pg_temp.threshold(3, 'alert', m))) FROM unnest('{hold,ok}'::text[]) m;
SELECT is(pg_temp.life('hold', '1', '---bb--b---g--g-'), '...ppppFFFFFFF..', 'hold');
SELECT model_mgr.set_thresholds('hold', '[]');
SELECT is(pg_temp.life('ok', '1', '--b-bbbb----'), '..p.pppFFFF.', 'ok');
SELECT model_mgr.set_thresholds('ok', '[]');
SELECT model_mgr.set_thresholds('breach', pg_temp.threshold(3, 'alert', 'breach'));
SELECT is(pg_temp.life('breach', '1', 'g------gggg'), '.pppFFFFFF.', 'breach');
SELECT is(pg_temp.alerts('hold') || ', ' || pg_temp.alerts('breach'), 'threshold 1 success_rate resolved, no_data 1 success_rate resolved', 'what began without samples says so');
SELECT is(format('%s %s %s', current_value, samples, summary), '1 10 success_rate has no samples for 3 minutes (0 samples in the last 60 seconds)', 'summary: what it fired with; value: the last look')
FROM model_mgr.get_alert_history() WHERE model_name = 'breach';
SELECT model_mgr.set_thresholds('breach', '[]');

-- A value that swings about its limit is one alert; duration 0 fires and resolves with the first look.
SELECT model_mgr.set_thresholds('swing', pg_temp.threshold(8));
SELECT is(pg_temp.life('swing', '1', 'bbbbbbbbbbggbggggbgggggg'), 'ppppppppFFFFFFFFFFFFFFF.', 'five clean minutes end it, four do not');
SELECT is(pg_temp.alerts('swing') || ', ' || pg_temp.events('swing'), 'threshold 1 success_rate resolved, alert.firing, alert.resolved', 'one alert, told once');
SELECT model_mgr.set_thresholds('zero', pg_temp.threshold(0));
SELECT is(pg_temp.life('zero', '1', 'gbbgbg'), '.FF.F.', 'at once');

-- Replacing the set: what stays keeps its alert and its time, what goes resolves it.
SELECT model_mgr.set_thresholds('sets', pg_temp.threshold(5) || model_mgr.performance_threshold('error_rate', 2, '<', duration_minutes => 0));
SELECT count(pg_temp.minute(m, 'sets', '1', 10)) FROM generate_series(0, 3) m;
SELECT is(pg_temp.alerts('sets'), 'threshold 1 success_rate pending, threshold 1 error_rate firing', 'one waits, one fires');
SELECT model_mgr.set_thresholds('sets', model_mgr.performance_threshold('cost', 1, '>') || pg_temp.threshold(5));
SELECT is(pg_temp.alerts('sets') || ', ' || pg_temp.events('sets'), 'threshold 1 success_rate pending, threshold 1 error_rate resolved, alert.firing, alert.resolved', 'the one whose threshold is gone is over');
SELECT count(pg_temp.minute(m, 'sets', '1', 10)) FROM generate_series(4, 5) m;
SELECT is(pg_temp.alerts('sets'), 'threshold 1 success_rate firing, threshold 1 error_rate resolved', 'the other went on counting');
SELECT is((SELECT format('%s %s %s', "position", pending, firing) FROM model_mgr.threshold_list WHERE model_name = 'sets' AND metric_name = 'success_rate'), '2 0 1', 'threshold_list counts');
SELECT model_mgr.set_thresholds('sets', pg_temp.threshold(6));
SELECT is(pg_temp.alerts('sets'), 'threshold 1 success_rate resolved, threshold 1 error_rate resolved', 'another duration is another threshold');
SELECT count(pg_temp.minute(6, 'sets', '1', 10));
SELECT model_mgr.set_thresholds('sets', '[]');
SELECT is(pg_temp.alerts('sets') || (SELECT count(*) FROM model_mgr.alert_state s JOIN model_mgr.model m USING (model_id) WHERE m.model_name = 'sets'),
    'threshold 1 success_rate resolved, threshold 1 error_rate resolved0', 'a pending one is simply gone');

-- The event says all that a callback is promised.
SELECT is(e.data - 'alert_id', jsonb_build_object('kind', 'threshold', 'severity', 'critical', 'metric_name', 'success_rate', 'current_value', 0, 'samples', 10,
    'summary', 'success_rate 0 < 0.95 for 8 minutes (10 samples in the last 60 seconds)', 'threshold', pg_temp.threshold(8) -> 0), 'payload')
FROM model_mgr.event e WHERE e.model_name = 'swing' AND e.type = 'alert.firing';

-- Acknowledging.
SELECT model_mgr.set_thresholds('noted', pg_temp.threshold(0));
SELECT pg_temp.minute(0, 'noted', '1', 10);
SELECT alert_id AS noted FROM model_mgr.get_active_alerts() WHERE model_name = 'noted' \gset
SELECT is(format('%s %s %s', status, acknowledged_at, note), 'firing 2026-01-01 00:00:00+00 on it', 'taken on') FROM model_mgr.acknowledge_alert(:noted, 'on it');
SELECT count(pg_temp.minute(m, 'noted', '1', 10)) FROM generate_series(1, 2) m;
SELECT is(format('%s %s %s', status, acknowledged_at, note), 'firing 2026-01-01 00:00:00+00 on it', 'again without a note') FROM model_mgr.acknowledge_alert(:noted);
SELECT is(format('%s %s', acknowledged_at, note), '2026-01-01 00:00:00+00 still on it', 'and with one') FROM model_mgr.acknowledge_alert(:noted, note => 'still on it');
SELECT is(evidence ->> 'acknowledged_by', session_user::text, 'by whom') FROM model_mgr.get_active_alerts() WHERE alert_id = :noted;
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'acknowledge_alert' AND details ->> 'alert_id' = :'noted'), 3::bigint, 'audited');
SELECT pg_temp.minute(3, 'noted', '1', 10, 10);
SELECT is(pg_temp.code('SELECT * FROM model_mgr.acknowledge_alert(' || :noted || ')'), '55000', 'not when it is resolved');
SELECT is((SELECT note FROM model_mgr.alert WHERE alert_id = :noted), 'still on it', 'the note stays');

-- Silence: alerts live and act, but nobody is told; what fires at its end is told then.
SELECT model_mgr.set_thresholds('mute', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', 'info', 0), model_mgr.performance_threshold('error_rate', 0, '=', 'info', 0)));
SELECT model_mgr.silence('mute', '2026-01-01 00:05:00+00', 'we know', 'success_rate');
SELECT count(pg_temp.minute(m, 'mute', '1', 10)) FROM generate_series(0, 4) m;
SELECT is(pg_temp.alerts('mute') || ', ' || pg_temp.events('mute'), 'threshold 1 success_rate firing, threshold 1 error_rate firing, alert.firing', 'one metric is silent, the other is not');
SELECT is((SELECT array_agg(q.until) FROM model_mgr.alert_silence q JOIN model_mgr.alert a USING (alert_id) WHERE a.metric_name = 'success_rate'), ARRAY[timestamptz '2026-01-01 00:05:00+00'], 'alert_silence');
SELECT is((SELECT format('%s %s %s %s', rule, metric_name, until, reason) FROM model_mgr.rule_list WHERE model_name = 'mute'), 'silence success_rate 2026-01-01 00:05:00+00 we know', 'rule_list');
SELECT pg_temp.minute(5, 'mute', '1', 10);
SELECT is(pg_temp.events('mute'), 'alert.firing, alert.firing', 'after its end the one that still fires is told');
SELECT is((SELECT count(*) FROM model_mgr.rule_list WHERE model_name = 'mute'), 0::bigint, 'the silence is over');
SELECT pg_temp.minute(6, 'mute', '1', 10);
SELECT is(pg_temp.events('mute'), 'alert.firing, alert.firing', 'once');
SELECT model_mgr.silence('mute', 'infinity');
SELECT model_mgr.silence('mute', '2026-01-01 01:00:00+00', metric_name => 'success_rate');
SELECT is((SELECT string_agg(coalesce(metric_name, '*') || ' ' || until, ', ' ORDER BY metric_name) FROM model_mgr.rule_list WHERE model_name = 'mute'), 'success_rate 2026-01-01 01:00:00+00, * infinity', 'the model and a metric');
SELECT pg_temp.minute(7, 'mute', '1', 10, 10);
SELECT is(pg_temp.events('mute'), 'alert.firing, alert.firing, alert.resolved', 'whoever heard of the beginning hears of the end');
SELECT pg_temp.minute(8, 'mute', '1', 10, 0);
SELECT pg_temp.minute(9, 'mute', '1', 10, 10);
SELECT is(pg_temp.alerts('mute') || ', ' || pg_temp.events('mute'), 'threshold 1 success_rate resolved, threshold 1 error_rate firing, threshold 1 success_rate resolved, alert.firing, alert.firing, alert.resolved',
    'what came and went meanwhile was never told');
SELECT model_mgr.silence('mute', '2026-01-01 00:09:00+00');
SELECT is((SELECT string_agg(coalesce(metric_name, '*'), ', ') FROM model_mgr.rule_list WHERE model_name = 'mute'), 'success_rate', 'until now() ends it; the metric''s own stays');

-- A metric of two names is silenced by either.
SELECT model_mgr.set_thresholds('mute', jsonb_build_array(model_mgr.performance_threshold('response_time', 0.1, '>', 'info', 0), model_mgr.performance_threshold('avg_response_time', 0.2, '>', 'info', 0)));
SELECT model_mgr.silence('mute', 'infinity', metric_name => 'avg_response_time');
SELECT pg_temp.minute(10, 'mute', '1', 10);
SELECT is((SELECT count(*) FROM model_mgr.alert_silence q JOIN model_mgr.get_active_alerts() a USING (alert_id) WHERE a.model_name = 'mute'), 2::bigint, 'both thresholds are silent');
SELECT model_mgr.silence('mute', '2026-01-01 00:10:00+00', metric_name => 'response_time');
SELECT is((SELECT count(*) FROM model_mgr.alert_silence q JOIN model_mgr.get_active_alerts() a USING (alert_id) WHERE a.model_name = 'mute'), 0::bigint, 'the other name ends it');

-- pause: a running rollout stays where it is, whichever side is in breach.
SELECT model_mgr.deploy_model_version('pause', '2', 'canary', rollback_min_success_rate => 0, rollout => '{"step_seconds": 0, "min_requests": 0, "bake_seconds": 3600}') \gset d_
SELECT model_mgr.set_thresholds('pause', pg_temp.threshold(2, 'pause'));
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT pg_temp.outcomes('pause', '1', 10, 10);
SELECT count(pg_temp.minute(m, 'pause', '2', 10)) FROM generate_series(0, 2) m;
SELECT is(d.status || ' ' || d.status_reason, format('paused alert %s: %s', a.alert_id, a.summary), 'the rollout is paused and says why')
FROM model_mgr.list_deployments('pause') d, model_mgr.get_active_alerts() a WHERE d.version = '2' AND a.model_name = 'pause';
SELECT is(format('%s %s', evidence ->> 'outcome', deployment_id = pg_temp.newest('pause')), format('paused deployment %s t', pg_temp.newest('pause')), 'the alert knows which') FROM model_mgr.get_active_alerts() WHERE model_name = 'pause';
SELECT status FROM model_mgr.resume_deployment(pg_temp.newest('pause'));
SELECT count(pg_temp.minute(m, 'pause', '2', 10)) FROM generate_series(3, 4) m;
SELECT isnt((SELECT status FROM model_mgr.get_deployment(pg_temp.newest('pause'))), 'paused', 'resumed by a person, it is not paused again by the same alert');
SELECT is(pg_temp.alerts('pause'), 'threshold 2 success_rate firing', 'which still fires');

-- rollback: nothing to go back to. The version goes on serving, which is said once, however many ticks come.
SELECT model_mgr.set_thresholds('stuck', pg_temp.threshold(2, 'rollback'));
SELECT count(pg_temp.minute(m, 'stuck', '1', 10)) FROM generate_series(0, 30) m;
SELECT is(pg_temp.alerts('stuck') || ', ' || pg_temp.statuses('stuck') || ', ' || pg_temp.routed('stuck'),
    'threshold 1 success_rate firing, rollout 1 success_rate firing, 1 active, 2 pending, 1 - 0', 'it serves on; a critical alert of the rollout, one');
SELECT is(format('%s %s', a.severity, a.summary), format('critical version "1" goes on serving although alert %s asks to take it back: Version "1" was the first to serve', a.evidence ->> 'alert_id'), 'which says why')
FROM model_mgr.get_active_alerts() a WHERE a.model_name = 'stuck' AND a.kind = 'rollout';
SELECT is(pg_temp.events('stuck') || ' ' || (SELECT count(*) FROM model_mgr.audit_log WHERE model_name = 'stuck' AND operation = 'rollback'), 'alert.firing, alert.firing 0', 'told once each');
SELECT count(pg_temp.minute(m, 'stuck', '1', 10, 10)) FROM generate_series(31, 33) m;
SELECT is(pg_temp.alerts('stuck'), 'threshold 1 success_rate resolved, rollout 1 success_rate resolved', 'both are over together');

-- rollback of the baseline of an open rollout: nothing moves. When the candidate has taken over, the alert is over.
SELECT model_mgr.deploy_model_version('base', '2', 'canary', rollback_min_success_rate => 0, rollout => '{"step_seconds": 86400, "min_requests": 0, "bake_seconds": 0}') \gset d_
SELECT model_mgr.set_thresholds('base', pg_temp.threshold(1, 'rollback'));
SELECT count(pg_temp.minute(m, 'base', '1', 10)) FROM generate_series(0, 9) m;
SELECT is(pg_temp.alerts('base') || ', ' || pg_temp.routed('base'), 'threshold 1 success_rate firing, rollout 1 success_rate firing, 1 2 1000', 'the baseline serves on, and the candidate its share');
SELECT is(a.summary LIKE format('%% It is the baseline of deployment %s, which is under way', pg_temp.newest('base')), true, 'the critical alert says why') FROM model_mgr.get_active_alerts() a WHERE a.model_name = 'base' AND a.kind = 'rollout';
SELECT status FROM model_mgr.promote_deployment(pg_temp.newest('base'), true);
SELECT count(pg_temp.minute(m, 'base', '2', 10, 10)) FROM generate_series(10, 11) m;
SELECT is(pg_temp.alerts('base') || ', ' || pg_temp.routed('base'), 'threshold 1 success_rate resolved, rollout 1 success_rate resolved, 2 - 0', 'it serves no more');
-- Its successor fails as well: that one is the open (baking or completed) deployment's own and goes back.
SELECT count(pg_temp.minute(m, 'base', '2', 10)) FROM generate_series(12, 13) m;
SELECT is(pg_temp.statuses('base'), '1 active, 2 rolled_back', 'the next one is taken back');
SELECT count(pg_temp.minute(m, 'base', '1', 10)) FROM generate_series(14, 30) m;
SELECT is(pg_temp.statuses('base') || ' ' || (SELECT count(*) FROM model_mgr.get_active_alerts() WHERE model_name = 'base'), '1 active, 2 rolled_back 2', 'and then it stays: two alerts, no loop');

-- The candidate of an open canary goes back to its baseline; deployed again it has its own time to last.
SELECT model_mgr.deploy_model_version('again', '2', 'canary', rollback_min_success_rate => 0, rollout => '{"step_seconds": 86400, "min_requests": 0}') \gset d_
SELECT model_mgr.set_thresholds('again', pg_temp.threshold(2, 'rollback'));
SELECT is(pg_temp.life('again', '2', 'bbb'), 'ppF', 'the candidate');
SELECT is(pg_temp.statuses('again') || ', ' || pg_temp.routed('again'), '1 active, 2 rolled_back, 1 - 0', 'back to the baseline');
SELECT model_mgr.deploy_model_version('again', '2', 'canary', rollback_min_success_rate => 0, rollout => '{"step_seconds": 86400, "min_requests": 0}') \gset d_
SELECT is(pg_temp.life('again', '2', 'bbbb', 3), 'ppFF', 'a new story');
SELECT is((SELECT string_agg(status, ', ' ORDER BY deployment_id) FROM model_mgr.list_deployments('again') WHERE version = '2'), 'rolled_back, rolled_back', 'both times');
SELECT is(pg_temp.alerts('again'), 'threshold 2 success_rate resolved, threshold 2 success_rate firing', 'two alerts');
SELECT is(e.data -> 'automatic', 'true'::jsonb, 'an automatic rollback''s event') FROM model_mgr.event e WHERE e.model_name = 'again' AND e.type = 'deployment.rolled_back' LIMIT 1;

-- Two thresholds that ask for the same at once: it happens once, and nobody says that it could not be done.
SELECT status FROM model_mgr.mark_version_ready('taken', '2');
SELECT model_mgr.deploy_model_version('taken', '2', 'canary', rollback_min_success_rate => 0, rollout => '{"step_seconds": 86400, "min_requests": 0}') \gset d_
SELECT model_mgr.set_thresholds('taken', pg_temp.threshold(0, 'rollback') || model_mgr.performance_threshold('success_rate', 0.5, '<', 'warning', 0, 'rollback'));
SELECT pg_temp.minute(0, 'taken', '2', 10);
SELECT is(pg_temp.alerts('taken') || ', ' || pg_temp.statuses('taken'), 'threshold 2 success_rate firing, threshold 2 success_rate firing, 1 active, 2 rolled_back', 'both fire');
SELECT is(string_agg(evidence ->> 'outcome', ', ' ORDER BY alert_id), 'rolled back, it serves no more', 'one acted') FROM model_mgr.get_active_alerts() WHERE model_name = 'taken';

-- A model that routes nothing: its versions are looked at when they have outcomes.
SELECT model_mgr.set_thresholds('loose', pg_temp.threshold(2, 'rollback', 'breach'));
SELECT is(pg_temp.life('loose', '2', '--bbb-ggg'), '..ppFFFF.', 'outcomes make it one to look at; then silence counts too');
SELECT is(pg_temp.alerts('loose'), 'threshold 2 success_rate resolved, rollout 2 success_rate resolved', 'nothing to take back is said');

-- Odd names.
SELECT model_mgr.set_thresholds('o''dd "näme"', jsonb_build_array(model_mgr.performance_threshold('it''s "%s" 𝛑', 3, '>', duration_minutes => 0)));
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT model_mgr.update_model_metrics('o''dd "näme"', '1', metrics => '{"it''s \"%s\" 𝛑": 3.25}');
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT is(pg_temp.alerts('o''dd "näme"') || ': ' || (SELECT summary FROM model_mgr.get_active_alerts() WHERE model_name LIKE 'o''dd%'),
    'threshold 1 it''s "%s" 𝛑 firing: it''s "%s" 𝛑 3.25 > 3 (1 sample in the last 60 seconds)', 'come through as they are');

-- A model that is deleted takes its thresholds and silences along; its alerts stay as history.
SELECT model_mgr.set_thresholds('gone', pg_temp.threshold(0));
SELECT model_mgr.silence('gone', 'infinity');
SELECT pg_temp.minute(0, 'gone', '1', 10);
SELECT is(pg_temp.alerts('gone'), 'threshold 1 success_rate firing', 'fires');
SELECT v.status FROM unnest('{2,1}'::text[]) n, model_mgr.archive_model_version('gone', n) v;
SELECT is(model_mgr.delete_model('gone'), true, 'deleted');
SELECT is(pg_temp.alerts('gone') || (SELECT count(*) FROM model_mgr.threshold_list WHERE model_name = 'gone') || (SELECT count(*) FROM model_mgr.rule_list WHERE model_name = 'gone'),
    'threshold 1 success_rate resolved00', 'resolved and kept; no threshold, no silence');
SELECT is((SELECT count(*) FROM model_mgr.alert_state s WHERE NOT EXISTS (SELECT FROM model_mgr.model m WHERE m.model_id = s.model_id)), 0::bigint, 'nothing of the machinery is left');
SELECT is((SELECT count(*) FROM model_mgr.alert_state s JOIN model_mgr.alert a USING (alert_id) WHERE a.status = 'resolved') + (SELECT count(*) FROM model_mgr.alert a WHERE a.status <> 'resolved' AND NOT EXISTS (SELECT FROM model_mgr.alert_state s WHERE s.alert_id = a.alert_id)),
    0::bigint, 'open alerts have a state, resolved ones have none');

-- History: what fired within so many hours, and what still fires.
SELECT pg_temp.at('2026-01-01 02:00:00+00');
SELECT is((SELECT count(*) FROM model_mgr.get_alert_history(1) WHERE status = 'resolved'), 0::bigint, 'an hour back: nothing fired');
SELECT is((SELECT count(*) FROM model_mgr.get_alert_history(1)), (SELECT count(*) FROM model_mgr.get_active_alerts()), 'but what still does');
SELECT is((SELECT count(*) FROM model_mgr.get_alert_history(2)) - (SELECT count(*) FROM model_mgr.get_alert_history(1)) > 5, true, 'two hours back: more');
SELECT is((SELECT array_agg(DISTINCT severity) FROM (SELECT severity, row_number() OVER () AS n FROM model_mgr.get_active_alerts()) a WHERE n <= 2), '{critical}'::text[], 'critical ones first');
-- Retention: what was over so many days ago goes, what fires stays.
UPDATE model_mgr.alert SET started_at = started_at - interval '20 years', fired_at = fired_at - interval '20 years' WHERE model_name IN ('swing', 'zero', 'stuck', 'base');
UPDATE model_mgr.alert SET resolved_at = resolved_at - interval '20 years' WHERE model_name IN ('swing', 'zero');
SELECT is(model_mgr.maintenance_run('prune alerts'), (SELECT count(*) FROM model_mgr.event e WHERE e.type = 'alert.resolved' AND e.model_name IN ('swing', 'zero')), 'maintain() drops old ones');
SELECT is((SELECT string_agg(DISTINCT format('%s %s', model_name, status), ', ') FROM model_mgr.alert WHERE fired_at < '2020-01-01' AND model_name <> 'swing'), 'base firing, base resolved, stuck firing, stuck resolved', 'what fires, or was over lately, stays however long ago it began');
SELECT * FROM finish();
