#!/usr/bin/env bash
# fleet.sh: sourced after database.sh, fleet fills the database as a company with many models has it: MODELS (1000) models of two
# versions, hours of DAYS (90) days and minutes of the last MINUTES (1440) for the version that serves and, of every tenth model,
# for the one that is being rolled out; one alert in twenty models, a test in fifty, a partition a day, and rows that are not
# folded yet. The rollups are written straight into their tables, which takes two minutes and 5 GB; real time, no tick.
fleet() {
	local models=${MODELS:-1000} days=${DAYS:-90} minutes=${MINUTES:-1440} day
	run >&2 <<-SQL
		SET client_min_messages = warning;
		ALTER DATABASE "$PGDATABASE" SET model_mgr.enforcement = off;
		ALTER DATABASE "$PGDATABASE" SET TimeZone = 'UTC';
		SET synchronous_commit = off;
		SET search_path = model_mgr, public;
		SELECT count(create_model_version('m' || lpad(i::text, 4, '0'), v, model_configuration('p', 'm'))) FROM generate_series(1, $models) i, unnest(ARRAY['1.0.0', '1.1.0']) v;
		SELECT count(deploy_model_version(m.model_name, '1.0.0')) FROM model m;
		SELECT count(deploy_model_version(m.model_name, '1.1.0', rollout => '{"steps": [20, 50, 100], "step_seconds": 86400}')) FROM model m WHERE m.model_id % 10 = 1;
		SELECT count(create_test('test ' || m.model_id, 'a test', m.model_name, '1.0.0', m.model_name, '1.1.0')) FROM model m WHERE m.model_id % 50 = 2;
		SELECT sum(set_thresholds(m.model_name, jsonb_build_array(performance_threshold('success_rate', 0.9, '<'), performance_threshold('p95_response_time', 2, '>', 'critical'))))
		FROM model m WHERE m.model_id % 10 = 3;
		INSERT INTO alert (kind, model_name, version, metric_name, severity, status, action, operator, threshold_value, duration_minutes, current_value, samples, started_at, fired_at, summary)
		SELECT 'threshold', m.model_name, '1.0.0', 'p95_response_time', CASE WHEN m.model_id % 40 = 3 THEN 'critical' ELSE 'warning' END, 'firing', 'alert', 'greater_than', 2, 5, 2.5, 60,
			now() - interval '20 minutes', now() - interval '15 minutes', 'p95_response_time is 2.5, above 2, for 5 minutes'
		FROM model m WHERE m.model_id % 20 = 3;
	SQL
	# Partitions of the past are made when the clock is there.
	for ((day = days; day >= 0; day -= 6)); do
		run -c "SET client_min_messages = error" -c "SELECT set_config('model_mgr.clock', (now() - interval '$day days')::text, false)" -c "CALL model_mgr.maintain()" >&2
	done
	run >&2 <<-SQL
		SET client_min_messages = warning;
		SET synchronous_commit = off;
		SET search_path = model_mgr, public;
		-- 97 different minutes, and hours sixty times as large.
		CREATE TEMP TABLE shape AS
		SELECT n, size, count(*) * size / 60 AS requests, sum(v.time) AS time_sum, sum(v.cost) AS cost_sum, summarize(v.time) AS time, summarize(v.cost) AS cost,
			summarize(0.9 - 0.1 * v.time / (1 + v.time)) AS confidence, summarize(100 + v.i % 50) AS tokens
		FROM generate_series(0, 96) n, unnest(ARRAY[60, 600]) size,
			LATERAL (SELECT i, 0.2 * exp(((i + n) * 7919::bigint % 10007) / 4000.0) AS time, 0.001 * (1 + i % 7) AS cost FROM generate_series(1, size - n % 40) i) v
		GROUP BY n, size;
		CREATE TEMP TABLE moment AS SELECT date_bin('15 minutes', now() - interval '10 minutes', '2000-01-01') AS hours_until, date_trunc('hour', now()) AS hour, date_trunc('minute', now()) AS minute;
		-- step 1 of its rollout, or none
		CREATE TEMP TABLE served AS
		SELECT v.version_id, v.model_id, coalesce(d.deployment_id, 0) AS deployment_id, (d.deployment_id IS NOT NULL)::integer AS step
		FROM model_version v LEFT JOIN deployment d ON d.model_name = v.model_name AND d.version = v.version AND d.status = 'running'
		WHERE v.status = 'active' OR d.version = v.version;
		ANALYZE shape, served;
		INSERT INTO rollup_hour
		SELECT b, s.version_id, 0, 0, 0, -1, h.requests, h.requests, h.requests - h.requests / (20 + s.model_id % 80), h.requests / 100,
			h.requests, h.time_sum, h.requests, 0.85 * h.requests, h.requests, h.cost_sum, h.requests, 120 * h.requests, h.requests, 40 * h.requests,
			b + interval '1 hour', h.time, h.confidence, h.cost, h.tokens, h.tokens
		FROM moment t, generate_series(t.hour - interval '$days days', t.hours_until - interval '1 second', interval '1 hour') b, served s, shape h
		WHERE h.size = 600 AND h.n = s.version_id * 7 % 97 AND (s.deployment_id = 0 OR b > t.hour - interval '1 day');
		INSERT INTO rollup_minute
		SELECT b, s.version_id, s.deployment_id, s.step, 0, -1, h.requests, h.requests, h.requests - h.requests / (20 + s.model_id % 80), h.requests / 50,
			h.requests, h.time_sum, h.requests, 0.85 * h.requests, h.requests, h.cost_sum, h.requests, 120 * h.requests, h.requests, 40 * h.requests,
			b + interval '59 seconds', h.time, h.confidence, h.cost, h.tokens, h.tokens
		FROM moment t, generate_series(t.minute - interval '$minutes minutes', t.minute, interval '1 minute') b, served s, shape h
		WHERE h.size = 60 AND h.n = (s.version_id * 7 + extract(epoch FROM b)::bigint / 60) % 97 AND (s.step = 0 OR b >= t.minute - interval '1 day');
		UPDATE rollup_state SET hours_until = t.hours_until, minutes_from = date_trunc('hour', t.minute - interval '$minutes minutes') + interval '1 hour', folded_at = now() FROM moment t;
	SQL
	run -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT' >&2
	run -c "SELECT count(model_mgr.update_model_metrics(m.model_name, '1.0.0', 0.3, true, cost => 0.002, recorded_at => now() - interval '1 second')) FROM model_mgr.model m" >&2
	echo "fleet: $(run -c "SELECT (SELECT count(*) FROM model_mgr.model) || ' models, ' || (SELECT count(*) FROM model_mgr.rollup_hour) || ' hours, ' || (SELECT count(*) FROM model_mgr.rollup_minute) || ' minutes, ' || pg_size_pretty(pg_database_size(current_database()))")" >&2
}
