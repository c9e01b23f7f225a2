-- Recording functions: what a row holds, who is credited, what is refused, who may.
\i test/fresh.psql
\i test/rollout.psql
\i test/refused.psql
SELECT no_plan();
SELECT pg_temp.at('2026-01-10 12:00:00+00');
SELECT pg_temp.make_model('m', '1', '2');
SELECT model_mgr.deploy_model_version('m', '1') \gset d1_
SELECT model_mgr.deploy_model_version('m', '2', rollout => '{"steps": [50, 100]}') \gset d2_
SELECT model_mgr.set_alias('m', 'champion', '1');
CREATE FUNCTION pg_temp.last_row() RETURNS model_mgr.observation LANGUAGE sql AS $$
    SELECT o FROM model_mgr.observation o ORDER BY o.recorded_at DESC, o.ctid DESC LIMIT 1 $$;
CREATE FUNCTION pg_temp.version_id(text) RETURNS bigint LANGUAGE sql AS $$
    SELECT version_id FROM model_mgr.model_version WHERE model_name = 'm' AND version = $1 $$;

-- update_model_metrics: every argument reaches its column; what is not given is NULL.
SELECT model_mgr.update_model_metrics('m', '1');
SELECT is(o, row('2026-01-10 12:00:00+00'::timestamptz, NULL, o.txn, pg_temp.version_id('1'), r.deployment_id, r.step, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, false, NULL)::model_mgr.observation, 'nothing is known of a bare request but its version, its time and the rollout in force') FROM pg_temp.last_row() o, model_mgr.routing r WHERE r.model_name = 'm';
SELECT pg_temp.at('2026-01-10 12:00:01+00');
SELECT model_mgr.update_model_metrics('m', '2', 0.5, false, 0.75, 0.002, 10, 20, 'timeout', 'unit', '2026-01-10 12:00:02+00', '{"tone": 3}', '2026-01-10 11:59:00+00');
SELECT is(o, row('2026-01-10 12:00:02+00'::timestamptz, '2026-01-10 11:59:00+00'::timestamptz, o.txn, pg_temp.version_id('2'), NULL, NULL, NULL, NULL,
    model_mgr.unit_hash('unit'), NULL, false, 0.5, 0.75, 0.002, 10, 20, 'timeout', false, '{"tone": 3}')::model_mgr.observation,
    'every argument has its column') FROM pg_temp.last_row() o;
SELECT is(o.txn & ((1::bigint << 48) - 1), (SELECT xmin::text::bigint FROM model_mgr.observation WHERE recorded_at = o.recorded_at), 'txn is the transaction''s id')
FROM pg_temp.last_row() o;
SELECT pg_temp.at('2026-01-10 12:00:03+00');
SELECT model_mgr.update_model_metrics('m', '@champion', unit_id => '');
SELECT is(o.version_id, pg_temp.version_id('1'), 'an alias is a version') FROM pg_temp.last_row() o;
SELECT is(o.unit_hash, NULL, 'an empty unit id is no unit') FROM pg_temp.last_row() o;

-- record_outcome: what route() decided, hours later, after the rollout has ended.
SELECT r.decision, r.version_id, r.deployment_id FROM model_mgr.route('m', 'u1') r \gset
SELECT pg_temp.at('2026-01-10 15:00:00+00');
SELECT model_mgr.rollback_model('m', reason => 'test') AS rolled_back \gset
SELECT model_mgr.archive_model_version('m', '2') \gset archived_
SELECT model_mgr.record_outcome(:'decision', NULL, 0.25, 0.5, 0.1, 1, 2, 'x', '{"a": 1}');
SELECT is(o.version_id, :version_id::bigint, 'credited to the version that served') FROM pg_temp.last_row() o;
SELECT is(o.deployment_id, :deployment_id::bigint, 'and its rollout') FROM pg_temp.last_row() o;
SELECT is(o.step, 1, 'and step') FROM pg_temp.last_row() o;
SELECT is(o.arm, (CASE WHEN o.version_id = pg_temp.version_id('2') THEN 1 ELSE 0 END)::smallint, 'and arm') FROM pg_temp.last_row() o;
SELECT is(o.unit_hash, model_mgr.unit_hash('u1'), 'the unit by its keyed hash') FROM pg_temp.last_row() o;
SELECT isnt(o.request, NULL, 'the request has its number') FROM pg_temp.last_row() o;
SELECT is(array[o.recorded_at, o.routed_at], ARRAY['2026-01-10 15:00:00+00', '2026-01-10 12:00:03+00']::timestamptz[], 'routed then, recorded now') FROM pg_temp.last_row() o;
SELECT is(row(o.success, o.response_time, o.confidence, o.cost, o.input_tokens, o.output_tokens, o.error_type, o.metrics, o.feedback)::text,
    row(NULL, 0.25, 0.5, 0.1, 1, 2, 'x', '{"a": 1}', false)::text, 'with its values') FROM pg_temp.last_row() o;
SELECT pg_temp.at('2026-01-10 15:00:01+00');
SELECT model_mgr.record_feedback(:'decision', true, '{"late": 1}');
SELECT is(row(o.version_id, o.deployment_id, o.step, o.success, o.feedback, o.metrics, o.response_time)::text,
    row(:version_id, :deployment_id, 1, true, true, '{"late": 1}', NULL)::text, 'feedback is credited the same way, marked as such') FROM pg_temp.last_row() o;
SELECT is(f.request, o.request, 'and carries the request''s number')
FROM pg_temp.last_row() f, model_mgr.observation o WHERE o.request = f.request AND NOT o.feedback;
SELECT model_mgr.update_model_metrics('m', '2', 1, true);
SELECT is(o.version_id, pg_temp.version_id('2'), 'an archived version is no reason to refuse') FROM pg_temp.last_row() o;

-- Values at the edge are taken, beyond it refused.
SELECT lives_ok($$SELECT model_mgr.update_model_metrics('m', '1', 0, confidence => 0, cost => 0, input_tokens => 0)$$, 'nought is a value');
SELECT lives_ok($$SELECT model_mgr.update_model_metrics('m', '1', 1e100, confidence => 1, error_type => repeat('x', 255))$$, 'so is the other end');
SELECT lives_ok($$SELECT model_mgr.update_model_metrics('m', '1', recorded_at => '2025-10-12 15:00:01+00')$$, '90 days back');
SELECT lives_ok($$SELECT model_mgr.update_model_metrics('m', '1', recorded_at => '2026-01-11 15:00:01+00')$$, 'a day ahead');
SELECT lives_ok($$SELECT model_mgr.update_model_metrics('m', '1', metrics => NULL)$$, 'NULL metrics are none');
SELECT pg_temp.refused(code, '', format($$SELECT model_mgr.update_model_metrics(%s)$$, arguments)) FROM (VALUES
    ('22004', $$NULL, '1'$$), ('22004', $$'m', NULL$$), ('42704', $$'nobody', '1'$$), ('42704', $$'m', '9'$$), ('42704', $$'m', '@nobody'$$),
    ('22003', $$'m', '1', 'NaN'$$), ('22003', $$'m', '1', 'Infinity'$$), ('22003', $$'m', '1', '-Infinity'$$), ('22003', $$'m', '1', -0.001$$),
    ('22003', $$'m', '1', confidence => 1.0001$$), ('22003', $$'m', '1', confidence => -0.1$$), ('22003', $$'m', '1', confidence => 'NaN'$$),
    ('22003', $$'m', '1', cost => -1$$), ('22003', $$'m', '1', cost => 'NaN'$$), ('22003', $$'m', '1', input_tokens => -1$$),
    ('22003', $$'m', '1', output_tokens => -1$$), ('42602', $$'m', '1', error_type => ''$$), ('42622', $$'m', '1', error_type => repeat('x', 256)$$),
    ('42602', $$'m', '1', error_type => E'a\nb'$$),
    ('22003', $$'m', '1', recorded_at => '2025-10-12 15:00:00+00'$$), ('22003', $$'m', '1', recorded_at => '2026-01-11 15:00:02+00'$$),
    ('22003', $$'m', '1', recorded_at => 'infinity'$$), ('22003', $$'m', '1', recorded_at => '-infinity'$$),
    ('22003', $$'m', '1', routed_at => 'infinity'$$), ('22003', $$'m', '1', routed_at => '2026-01-12 00:00:00+00'$$),
    ('22P02', $$'m', '1', metrics => '[1]'$$), ('22P02', $$'m', '1', metrics => '1'$$), ('22P02', $$'m', '1', metrics => '{"a": "1"}'$$),
    ('22P02', $$'m', '1', metrics => '{"a": null}'$$), ('22003', $$'m', '1', metrics => '{"a": 1e400}'$$), ('42602', $$'m', '1', metrics => '{"": 1}'$$)
    ) bad (code, arguments);
SELECT pg_temp.refused(code, '', format($$SELECT model_mgr.%s$$, call)) FROM (VALUES
    ('22004', $$record_outcome(NULL)$$), ('22004', $$record_feedback(NULL, true)$$), ('22P02', $$record_outcome('')$$), ('22P02', $$record_outcome('garbage')$$),
    ('22P02', $$record_feedback('garbage', true)$$)) bad (code, call);
CREATE TEMP TABLE given AS SELECT :'decision' AS decision, reverse(:'decision') AS damaged;
SELECT pg_temp.refused('22P02', '', 'SELECT model_mgr.record_outcome(damaged, true) FROM given');
SELECT pg_temp.refused('22003', '', $$SELECT model_mgr.record_feedback(decision, true, recorded_at => '2020-01-01') FROM given$$);
BEGIN READ ONLY;
SELECT throws_ok($$SELECT model_mgr.update_model_metrics('m', '1')$$, '25006', NULL, 'read-only transactions do not record');
ROLLBACK;

-- Odd names.
SELECT pg_temp.make_model(E'x''"\\ é日本', '1.0 "é"', 'v');
SELECT model_mgr.deploy_model_version(E'x''"\\ é日本', '1.0 "é"') \gset d3_
SELECT lives_ok($$SELECT model_mgr.update_model_metrics(E'x''"\\ é日本', '1.0 "é"', 1)$$, 'quotes and Unicode in names');
SELECT pg_temp.make_model(repeat('n', 255), repeat('v', 255));
SELECT lives_ok($$SELECT model_mgr.update_model_metrics(repeat('n', 255), repeat('v', 255), 1)$$, 'names of 255 bytes');

-- Direct INSERT and COPY: the public columns; bad values are refused there too.
SELECT lives_ok($$INSERT INTO model_mgr.observation (version_id) SELECT pg_temp.version_id('1')$$, 'only the version is required');
SELECT lives_ok($$INSERT INTO model_mgr.observation (test_no, arm) VALUES (1, 0)$$, 'or test and arm');
SELECT throws_ok($$INSERT INTO model_mgr.observation (success) VALUES (true)$$, '23514', NULL, 'credited to nothing');
SELECT throws_ok(format($$INSERT INTO model_mgr.observation (version_id, %I) VALUES (1, %L)$$, name, value), '23514', NULL, format('%s %s', name, value))
FROM (VALUES ('response_time', 'NaN'), ('response_time', 'Infinity'), ('response_time', '-1'), ('confidence', 'NaN'), ('confidence', '1.5'), ('cost', 'NaN'),
    ('cost', '-1'), ('input_tokens', '-1'), ('recorded_at', 'infinity')) bad (name, value);
COPY model_mgr.observation (recorded_at, version_id, success, response_time) FROM stdin;
2026-01-09 00:00:00+00	1	t	0.5
2026-01-09 00:00:01+00	1	f	\N
\.
SELECT is(count(*), 2::bigint, 'COPY') FROM model_mgr.observation WHERE recorded_at BETWEEN '2026-01-09' AND '2026-01-09 00:01:00+00' AND txn IS NOT NULL;

-- What a user adds to the table is honoured: a check, a row trigger, an index.
BEGIN;
CREATE INDEX ON model_mgr.observation (error_type) WHERE error_type IS NOT NULL;
SELECT model_mgr.update_model_metrics('m', '1', error_type => 'indexed');
SET LOCAL enable_seqscan = off;
SELECT is(count(*), 1::bigint, 'index entries are made') FROM model_mgr.observation WHERE error_type = 'indexed';
ALTER TABLE model_mgr.observation ADD CONSTRAINT fast CHECK (response_time < 100) NOT VALID;
SELECT throws_ok($$SELECT model_mgr.update_model_metrics('m', '1', 101)$$, '23514', NULL, 'a user''s check counts');
CREATE FUNCTION pg_temp.double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.cost := 2 * NEW.cost; RETURN NEW; END $$;
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'recorded at cost %', NEW.cost; RETURN NULL; END $$;
CREATE TRIGGER double BEFORE INSERT ON model_mgr.observation FOR EACH ROW EXECUTE FUNCTION pg_temp.double();
CREATE TRIGGER note AFTER INSERT ON model_mgr.observation FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
SELECT model_mgr.update_model_metrics('m', '1', cost => 4);
ROLLBACK;
-- A partition whose columns lie elsewhere.
BEGIN;
CREATE TABLE public.other (gone integer, LIKE model_mgr.observation INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE public.other DROP COLUMN gone;
ALTER TABLE model_mgr.observation ATTACH PARTITION public.other FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2025-12-02 00:00:00+00');
SELECT model_mgr.update_model_metrics('m', '1', 0.125, recorded_at => '2025-12-01 01:00:00+00');
SELECT is(o.response_time, 0.125::float8, 'found its place in an odd partition') FROM public.other o;
ROLLBACK;

-- Rights: EXECUTE is the right to record, and the row carries the transaction.
CREATE ROLE regress_recorder;
CREATE FUNCTION pg_temp.as_recorder(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_recorder;
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        RESET ROLE;
        RETURN SQLSTATE;
    END;
    RESET ROLE;
    RETURN 'done';
END $$;
GRANT EXECUTE ON FUNCTION model_mgr.update_model_metrics, model_mgr.record_outcome, model_mgr.record_feedback TO regress_recorder;
SELECT is(pg_temp.as_recorder($$SELECT model_mgr.update_model_metrics('m', '1', 1)$$), 'done', 'no right on any relation is needed');
SELECT is(pg_temp.as_recorder(format($$SELECT model_mgr.record_outcome(%L, true)$$, :'decision')), 'done', 'nor for outcomes');
SELECT is(pg_temp.as_recorder($$SELECT count(*) FROM model_mgr.observation$$), '42501', 'and none is had');
SELECT is(pg_temp.as_recorder($$SELECT model_mgr.record_outcomes('[]')$$), '42501', 'a function that is not granted is refused');
REVOKE ALL ON FUNCTION model_mgr.update_model_metrics, model_mgr.record_outcome, model_mgr.record_feedback FROM regress_recorder;
DROP ROLE regress_recorder;
SELECT finish();
