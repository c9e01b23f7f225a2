-- route_at() over every change ever made equals what route() answered then; ramps only add units and are fair; a
-- thousand deploy and rollback cycles.
\i test/fresh.psql
SET client_min_messages = warning;
SET search_path = model_mgr, public, tap;
SELECT plan(24);
SELECT set_config('model_mgr.clock', '2026-01-01 00:00:00+00', false) AS clock \gset
SELECT count(create_model_version('m', i::text, model_configuration('p', 'x'))) AS made FROM generate_series(1, 5) i \gset

-- change: the i-th of a fixed sequence of verbs; those that do not fit the moment are refused, and that is a test of
-- rolled-back subtransactions.
CREATE FUNCTION pg_temp.change(i integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    dice integer := bucket('dice', i::text, 12);
    v text := (bucket('version', i::text, 5) + 1)::text;
    u text := 'u' || bucket('unit', i::text, 20);
BEGIN
    CASE
        WHEN dice < 3 THEN PERFORM deploy_model_version('m', v, strategy => 'canary', rollout => '{"steps": [5, 25, 50, 100]}');
        WHEN dice < 6 THEN PERFORM promote_deployment(open_deployment('m'));
        WHEN dice = 6 THEN PERFORM deploy_model_version('m', v, strategy => 'replace');
        WHEN dice = 7 THEN PERFORM rollback_model('m');
        WHEN dice = 8 THEN PERFORM abort_deployment(open_deployment('m'));
        WHEN dice = 9 THEN PERFORM CASE WHEN i % 2 = 0 THEN pin_unit('m', u, v) ELSE unpin_unit('m', u) END;
        WHEN dice = 10 THEN PERFORM set_segment('m', 's' || i % 3, '{"not": {"country": "DE"}}', v);
        ELSE PERFORM drop_segment('m', 's' || i % 3);
    END CASE;
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    IF sqlstate NOT IN ('55000', '55006', '22023') THEN RAISE; END IF;
    RETURN false;
END $$;
CREATE TEMP TABLE answer (at timestamptz, unit_id text, version text, by_route text, reason text);
-- One change a minute, and then everybody asks.
DO $$
DECLARE t timestamptz;
BEGIN
    FOR i IN 1..400 LOOP
        t := timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute';
        PERFORM pg_catalog.set_config('model_mgr.clock', t::text, false);
        PERFORM pg_temp.change(i);
        INSERT INTO pg_temp.answer SELECT t, u.unit_id, model_mgr.route_version('m', u.unit_id), r.value, r.reason
        FROM (SELECT 'u' || g AS unit_id FROM generate_series(0, 29) g UNION ALL SELECT '') u, LATERAL model_mgr.route('m', u.unit_id) r;
    END LOOP;
END $$;
SELECT cmp_ok((SELECT max(revision) FROM routing), '>', 200::bigint, 'many changes were made');
SELECT cmp_ok((SELECT count(DISTINCT version) FROM answer), '=', 5::bigint, 'every version has served');
SELECT set_eq($$SELECT DISTINCT reason FROM answer$$, $$VALUES ('DISABLED'), ('STATIC'), ('SPLIT'), ('DEFAULT'), ('TARGETING_MATCH')$$, 'for every reason');
SELECT is_empty($$SELECT * FROM answer WHERE version IS DISTINCT FROM by_route$$, 'route() and route_version() agree');
SELECT is_empty($$SELECT * FROM answer WHERE version IS DISTINCT FROM route_at('m', unit_id, at)$$, 'route_at() says what they said');
SELECT is_empty($$SELECT * FROM answer WHERE version IS DISTINCT FROM route_at('m', unit_id, at + interval '59.999999 seconds')$$, 'until the next change');
SELECT is_empty($$SELECT * FROM (SELECT *, lag(version) OVER (PARTITION BY unit_id ORDER BY at) AS earlier FROM answer) a
    WHERE at > '2026-01-01 00:01:00+00' AND earlier IS DISTINCT FROM route_at('m', unit_id, at - interval '1 microsecond')$$, 'and not before');
SELECT is(route_at('m', 'u1', '2025-12-31'), NULL, 'before the model: nobody');
SELECT is(route_at('m', 'u1', '-infinity'), NULL, 'at the beginning of time: nobody');
SELECT is(route_at('m', 'u1', 'infinity'), route_version('m', 'u1'), 'at its end: who serves now');
SELECT is(route_at('m', 'u1'), route_version('m', 'u1'), 'now is the default');
SELECT is(route_at('m', 'u1', NULL), route_version('m', 'u1'), 'and NULL');
SELECT is((SELECT count(*) FROM routing_history), (SELECT max(revision) FROM routing), 'every revision is in the history');
-- A change that is rolled back leaves nothing.
BEGIN;
SELECT pin_unit('m', 'somebody', '1') IS NOT NULL AS pinned \gset
ROLLBACK;
SELECT is(route_at('m', 'somebody'), route_version('m', 'somebody'), 'a change that was rolled back was never made');

-- Ramps: each step only adds units, and each share is what it says.
SELECT create_model_version('ramp', v, model_configuration('p', 'x')) IS NOT NULL AS made FROM (VALUES ('old')) x (v) \gset
SELECT deploy_model_version('ramp', 'old') IS NOT NULL AS active \gset
SELECT create_model_version('ramp', 'new', model_configuration('p', 'x')) IS NOT NULL AS made \gset
SELECT deployment_id AS id FROM deploy_model_version('ramp', 'new', strategy => 'canary', rollout => '{"steps": [0.01, 1, 10, 33.33, 50, 75, 99.99, 100]}') \gset
CREATE TEMP TABLE share (step integer, percentage float8, unit_id text, candidate boolean);
DO $$
DECLARE
    id bigint := model_mgr.open_deployment('ramp');
    d model_mgr.deployment;
BEGIN
    FOR i IN 1..8 LOOP
        SELECT * INTO d FROM model_mgr.get_deployment(id);
        INSERT INTO pg_temp.share SELECT i, d.traffic_percentage, u, model_mgr.route_version('ramp', u) = 'new'
        FROM (SELECT 'user-' || g AS u FROM generate_series(1, 20000) g) x;
        IF i < 8 THEN PERFORM model_mgr.promote_deployment(id); END IF;
    END LOOP;
END $$;
SELECT results_eq($$SELECT DISTINCT percentage FROM share ORDER BY 1$$, $$VALUES (0.01::float8), (1), (10), (33.33), (50), (75), (99.99), (100)$$, 'every step was taken');
SELECT is_empty($$SELECT unit_id FROM share a JOIN share b USING (unit_id) WHERE b.step = a.step + 1 AND a.candidate AND NOT b.candidate$$, 'no unit leaves while the share grows');
-- Chi-square with one degree of freedom of each step; 25 is passed once in 1,700,000 times (the salt is random). The
-- first step expects 2 units, too few for it.
SELECT is_empty($$SELECT step, percentage, n FROM (SELECT step, percentage, count(*) FILTER (WHERE candidate) n, count(*) units FROM share GROUP BY 1, 2) s
    WHERE percentage < 100 AND power(n - units * percentage / 100, 2) / (units * percentage / 100 * (1 - percentage / 100)) > 25 AND abs(n - units * percentage / 100) > 12$$, 'shares are fair');
SELECT is((SELECT count(*) FROM share WHERE step = 8 AND candidate), 20000::bigint, '100 % is everybody');
-- Another rollout draws other units: with a fresh salt nobody is every canary's guinea pig.
SELECT create_model_version('ramp', v, model_configuration('p', 'x')) IS NOT NULL AS made FROM (VALUES ('newer')) x (v) \gset
SELECT deployment_id AS id FROM deploy_model_version('ramp', 'newer', strategy => 'canary', rollout => '{"steps": [10, 100]}') \gset
SELECT ok((SELECT abs(count(*) FILTER (WHERE candidate)::float8 / count(*) - 0.1) < 0.035 FROM share WHERE step = 3 AND route_version('ramp', unit_id) = 'newer'),
    'a tenth of the next canary''s units were in the last one''s first tenth');
SELECT abort_deployment(:id) IS NOT NULL AS aborted \gset
-- A sticky salt draws the same ones.
SELECT deployment_id AS id FROM deploy_model_version('ramp', 'newer', strategy => 'canary', rollout => '{"steps": [10, 100], "salt": "sticky"}') \gset
CREATE TEMP TABLE sticky AS SELECT unit_id FROM share WHERE step = 1 AND route_version('ramp', unit_id) = 'newer';
SELECT is((SELECT bucket_key FROM routing WHERE model_name = 'ramp'), (SELECT salt FROM routing WHERE model_name = 'ramp'), 'sticky: the key is the salt alone');
SELECT abort_deployment(:id) IS NOT NULL AS aborted \gset
SELECT deployment_id AS id FROM deploy_model_version('ramp', 'newer', strategy => 'canary', rollout => '{"steps": [20, 100], "salt": "sticky"}') \gset
SELECT is_empty($$SELECT unit_id FROM sticky WHERE route_version('ramp', unit_id) <> 'newer'$$, 'in one sticky canary, in all of them');

-- A thousand deploy and rollback cycles.
SELECT count(create_model_version('cycle', v, model_configuration('p', 'x'))) AS made FROM (VALUES ('1'), ('2')) x (v) \gset
SELECT deploy_model_version('cycle', '1') IS NOT NULL AS active \gset
DO $$
DECLARE
    wrong integer := 0;
    t timestamptz;
BEGIN
    FOR i IN 1..1000 LOOP
        t := timestamptz '2026-02-01 00:00:00+00' + i * interval '1 minute';
        PERFORM pg_catalog.set_config('model_mgr.clock', t::text, false);
        PERFORM model_mgr.deploy_model_version('cycle', '2', strategy => 'replace');
        wrong := wrong + (model_mgr.route_version('cycle', 'u') <> '2')::integer;
        PERFORM pg_catalog.set_config('model_mgr.clock', (t + interval '30 seconds')::text, false);
        wrong := wrong + (NOT model_mgr.rollback_model('cycle', reason => 'again'))::integer;
        wrong := wrong + (model_mgr.route_version('cycle', 'u') <> '1')::integer;
        COMMIT;
    END LOOP;
    PERFORM pg_catalog.set_config('public.wrong', wrong::text, false);
END $$;
SELECT is(current_setting('public.wrong'), '0', '1,000 cycles, each seen at once');
SELECT is((SELECT count(*) FROM generate_series(1, 1000) i WHERE route_at('cycle', 'u', timestamptz '2026-02-01 00:00:10+00' + i * interval '1 minute') = '2'
    AND route_at('cycle', 'u', timestamptz '2026-02-01 00:00:40+00' + i * interval '1 minute') = '1'), 1000::bigint, 'and remembered');
SELECT is((SELECT revision FROM routing WHERE model_name = 'cycle'), (SELECT max(revision) FROM routing_history JOIN model USING (model_id) WHERE model_name = 'cycle'), 'to the last');

SELECT * FROM finish();
