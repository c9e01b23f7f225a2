-- Thresholds are looked at by the commit of recordings too: without any tick, and never at their cost.
\i test/fresh.psql
\i test/rollout.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-01 00:00:00+00');
SELECT count(pg_temp.make_model(m, '1', '2')) FROM unnest('{now,later,real,off,serial,broken,stubborn,plain,one,two,both}'::text[]) m;
SELECT count(model_mgr.deploy_model_version(m, v, 'replace', auto_rollback_enabled => false, rollout => '{"bake_seconds": 0}')) FROM unnest('{1,2}'::text[]) v, unnest('{now,later,off,serial,broken,stubborn,plain,one,two}'::text[]) m;
SELECT items FROM model_mgr.tick() WHERE task = 'deployments';
CREATE FUNCTION pg_temp.threshold(minutes integer, action text DEFAULT 'rollback') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', 'critical', minutes, action));
$$;
CREATE FUNCTION pg_temp.seen(model text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.statuses(model) || coalesce(', ' || string_agg(a.kind || ' ' || a.status, ', ' ORDER BY a.alert_id), '') FROM model_mgr.alert a WHERE a.model_name = model;
$$;
SELECT count(model_mgr.set_thresholds(m, pg_temp.threshold(0))) FROM unnest('{now,real,off,serial,broken,stubborn}'::text[]) m;
SELECT is(r.watched || ' ' || r.thresholds, 'false true', 'no automatic limit looks at this one: its thresholds do') FROM model_mgr.routing r WHERE r.model_name = 'now';
SET model_mgr.enforcement = on;

-- Duration 0: the recordings that show it take the version back at their commit, own rows included.
SELECT pg_temp.outcomes('now', '2', 20, 18);
SELECT is(pg_temp.seen('now'), '1 active, 2 rolled_back, threshold firing', 'at once');
SELECT is(format('%s %s %s', a.samples, a.current_value, a.evidence ->> 'outcome'), '20 0.9 rolled back', 'all twenty count') FROM model_mgr.get_active_alerts() a WHERE a.model_name = 'now';
SELECT is(l.caller = (SELECT rolname FROM pg_roles WHERE oid = (SELECT extowner FROM pg_extension WHERE extname = 'model_mgr')), true, 'the audit log names the extension''s owner')
FROM model_mgr.audit_log l WHERE l.operation = 'rollback' AND l.model_name = 'now';
SELECT pg_temp.outcomes('now', '1', 20, 18);
SELECT is(pg_temp.seen('now'), '1 active, 2 rolled_back, threshold firing, threshold firing, rollout firing', 'the one before it is no better: it serves on, and that is said');

-- A duration that elapses between recordings.
SELECT model_mgr.set_thresholds('later', pg_temp.threshold(10));
SELECT pg_temp.outcomes('later', '2', 20, 0);
SELECT is(pg_temp.seen('later'), '1 inactive, 2 active, threshold pending', 'begins');
SELECT pg_temp.at('2026-01-01 00:09:59+00');
SELECT pg_temp.outcomes('later', '2', 20, 0);
SELECT is(pg_temp.seen('later'), '1 inactive, 2 active, threshold pending', 'a second early');
SELECT pg_temp.at('2026-01-01 00:10:00+00');
SELECT pg_temp.outcomes('later', '2', 20, 0);
SELECT is(pg_temp.seen('later'), '1 active, 2 rolled_back, threshold firing', 'ten minutes');

-- One transaction with several statements and models; what is undone has not happened.
SELECT count(model_mgr.set_thresholds(m, pg_temp.threshold(0, 'alert'))) FROM unnest('{one,two}'::text[]) m;
BEGIN;
SELECT pg_temp.outcomes('one', '2', 5, 0), pg_temp.outcomes('two', '2', 5, 0);
SELECT pg_temp.outcomes('one', '2', 5, 5);
SELECT is((SELECT count(*) FROM model_mgr.alert WHERE model_name IN ('one', 'two')), 0::bigint, 'not before the commit');
COMMIT;
SELECT is(string_agg(format('%s %s of %s', model_name, current_value, samples), ', ' ORDER BY model_name), 'one 0.5 of 10, two 0 of 5', 'both, with all their rows') FROM model_mgr.alert WHERE model_name IN ('one', 'two');
BEGIN;
SELECT pg_temp.outcomes('one', '2', 90, 90);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is((SELECT status FROM model_mgr.alert WHERE model_name = 'one'), 'resolved', 'clean now');
ROLLBACK;
SELECT is((SELECT status FROM model_mgr.alert WHERE model_name = 'one'), 'firing', 'no, it was not');

-- Where enforcement stands aside, so do thresholds; the tick finds what was left.
SET model_mgr.enforcement = off;
SELECT pg_temp.outcomes('off', '2', 20, 0);
SET model_mgr.enforcement = on;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.outcomes('serial', '2', 20, 0);
COMMIT;
SELECT pg_temp.outcomes('plain', '2', 20, 0);
SELECT is(pg_temp.seen('off') || '; ' || pg_temp.seen('serial') || '; ' || pg_temp.seen('plain'), '1 inactive, 2 active; 1 inactive, 2 active; 1 inactive, 2 active', 'switched off; above READ COMMITTED; no thresholds');
SELECT count(*) FROM model_mgr.tick() \g /dev/null
SELECT is(pg_temp.seen('off') || '; ' || pg_temp.seen('serial') || '; ' || pg_temp.seen('plain'), '1 active, 2 rolled_back, threshold firing; 1 active, 2 rolled_back, threshold firing; 1 inactive, 2 active', 'the tick');

-- Whatever goes wrong in the look, the recording stands.
SET client_min_messages = error;
CREATE FUNCTION pg_temp.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose' USING errcode = '55P03'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON model_mgr.alert FOR EACH ROW WHEN (NEW.model_name = 'broken') EXECUTE FUNCTION pg_temp.broken();
SELECT is(pg_temp.outcomes('broken', '2', 20, 0), 20::bigint, 'recorded');
SELECT is(pg_temp.seen('broken') || (SELECT count(*) FROM model_mgr.observation o JOIN model_mgr.model_version v USING (version_id) WHERE v.model_name = 'broken'), '1 inactive, 2 active20', 'kept');
SELECT results_eq($$SELECT task, items FROM model_mgr.tick() WHERE task IN ('thresholds', 'failures') ORDER BY task$$, $$VALUES ('failures', 1::bigint), ('thresholds', 0)$$, 'the tick says so');
DROP TRIGGER broken ON model_mgr.alert;
SELECT results_eq($$SELECT task, items FROM model_mgr.tick() WHERE task IN ('thresholds', 'failures') ORDER BY task$$, $$VALUES ('thresholds', 1::bigint)$$, 'mended');
SELECT is(pg_temp.seen('broken'), '1 active, 2 rolled_back, threshold firing', 'it goes on');
-- An action that fails leaves the alert, and is tried again while the breach lasts.
CREATE TRIGGER broken BEFORE UPDATE ON model_mgr.deployment FOR EACH ROW WHEN (NEW.model_name = 'stubborn') EXECUTE FUNCTION pg_temp.broken();
SELECT pg_temp.outcomes('stubborn', '2', 20, 0);
SELECT is(pg_temp.seen('stubborn'), '1 inactive, 2 active, threshold firing', 'people are told all the same');
DROP TRIGGER broken ON model_mgr.deployment;
SELECT pg_temp.outcomes('stubborn', '2', 1, 0);
SELECT is(pg_temp.seen('stubborn'), '1 active, 2 rolled_back, threshold firing', 'the next look takes it back');
RESET client_min_messages;

-- A rollout's own limits and a threshold look in the same commit: the rollout is judged first, and ends once.
SELECT count(model_mgr.deploy_model_version('both', v, 'canary', rollout => '{"min_requests": 10}')) FROM unnest('{1,2}'::text[]) v;
SELECT model_mgr.set_thresholds('both', pg_temp.threshold(0));
SELECT pg_temp.outcomes('both', '2', 20, 0);
SELECT is(pg_temp.seen('both'), '1 active, 2 rolled_back', 'the limit was faster');
SELECT is((SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'rollback' AND model_name = 'both'), 1::bigint, 'one rollback');

-- By the clock on the wall, in a model that routes nothing.
SELECT pg_temp.at('');
SELECT pg_temp.outcomes('real', '1', 20, 0);
SELECT is(pg_temp.seen('real'), '1 pending, 2 pending, threshold firing, rollout firing', 'real time');
-- Within the second after it nobody looks again, whoever records.
SELECT looked_at AS looked FROM model_mgr.threshold_look l JOIN model_mgr.model m USING (model_id) WHERE m.model_name = 'real' \gset
SELECT is(now() - :'looked' < interval '10 minutes', true, 'noted for the other sessions');
-- Versions that a preview, segments or pins name serve too: they are looked at while somebody comes.
SET model_mgr.enforcement = off;
SELECT count(pg_temp.make_model('rules', VARIADIC '{1,2,3,4,5}'::text[]));
SELECT count(model_mgr.deploy_model_version('rules', '1'));
SELECT pg_temp.at('2026-01-02 00:00:00+00');
SELECT model_mgr.set_thresholds('rules', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.95, '<', 'warning', 0, 'rollback', 'breach')));
SELECT pg_temp.outcomes('rules', '1', 20, 20);
SELECT model_mgr.pin_unit('rules', 'tester', '2'), model_mgr.pin_unit('rules', 'another', '2'), model_mgr.set_segment('rules', 'beta', '{"group": "beta"}', '3'), model_mgr.pin_unit('rules', 'calm', '4');
SELECT is(string_agg(w.version || ' ' || w.routed, ', ' ORDER BY w.version), '1 true, 2 false, 3 false, 4 false', 'each once') FROM model_mgr.threshold_version w JOIN model_mgr.model m USING (model_id) WHERE m.model_name = 'rules';
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is((SELECT count(*) FROM model_mgr.alert WHERE model_name = 'rules'), 0::bigint, 'that nobody comes is no silence');
SELECT pg_temp.outcomes('rules', '2', 20, 0), pg_temp.outcomes('rules', '3', 20, 10), pg_temp.outcomes('rules', '5', 20, 0);
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is(string_agg(format('%s %s: %s', a.version, a.current_value, a.evidence ->> 'outcome'), ', ' ORDER BY a.version),
    '2 0: not rolled back: Pins or segments name it; unpin_unit() and drop_segment() end that, 3 0.5: not rolled back: Pins or segments name it; unpin_unit() and drop_segment() end that',
    'those that rules name, not what nothing names; what is deployed stays') FROM model_mgr.alert a WHERE a.model_name = 'rules' AND a.kind = 'threshold';
SELECT is(pg_temp.routed('rules') || ', ' || pg_temp.statuses('rules'), '1 - 0, 1 active, 2 pending, 3 pending, 4 pending, 5 pending', 'nothing moved');
SELECT is(count(*), 2::bigint, 'and somebody is told') FROM model_mgr.get_active_alerts() a WHERE a.model_name = 'rules' AND a.kind = 'rollout';
SELECT model_mgr.unpin_unit('rules', 'tester'), model_mgr.unpin_unit('rules', 'another'), model_mgr.drop_segment('rules', 'beta');
SELECT pg_temp.at('2026-01-02 00:02:00+00');
SELECT pg_temp.outcomes('rules', '1', 20, 20);
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT pg_temp.at('2026-01-02 00:04:00+00');
SELECT pg_temp.outcomes('rules', '1', 20, 20);
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is((SELECT count(*) FROM model_mgr.alert a WHERE a.model_name = 'rules' AND a.kind = 'threshold' AND a.status = 'firing'), 0::bigint, 'without the rules they serve no more');
-- A preview at weight 0 is the rollout's: it is taken back.
SELECT count(model_mgr.deploy_model_version('rules', '5', 'blue_green', auto_rollback_enabled => false, rollout => '{"step_seconds": 1200, "preview_segment": {"group": "beta"}}'));
SELECT is(pg_temp.routed('rules'), '1 5 0', 'on preview');
SELECT is(string_agg(w.version || ' ' || w.routed, ', ' ORDER BY w.version), '1 true, 4 false, 5 false', 'looked at') FROM model_mgr.threshold_version w JOIN model_mgr.model m USING (model_id) WHERE m.model_name = 'rules';
SELECT pg_temp.at('2026-01-02 00:06:00+00');
SELECT pg_temp.outcomes('rules', '1', 20, 20), pg_temp.outcomes('rules', '5', 20, 0);
SELECT count(*) > 0 FROM model_mgr.tick();
SELECT is(pg_temp.routed('rules') || ', ' || pg_temp.state('rules'), '1 - 0, rolled_back 0 1', 'taken back');
SELECT * FROM finish();
