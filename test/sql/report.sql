-- report(), report_ab_test(), report_deployment(): pages that are well-formed, escaped and self-contained, and whose numbers
-- are those of views and functions.
\i test/fresh.psql
\set model 'o''clf "x" <script>alert(1)</script> & ‮txt'
\i test/refused.psql
\i test/near.psql
SELECT no_plan();
SELECT model_mgr.create_model_version('idle', '1', model_mgr.model_configuration('test', 'idle')) \g /dev/null

-- What is refused, before there is much to compare.
SELECT pg_temp.refused('22004', 'test_id', 'SELECT model_mgr.report_ab_test(NULL)');
SELECT pg_temp.refused('22004', 'deployment_id', 'SELECT model_mgr.report_deployment(NULL)');
SELECT pg_temp.refused('22004', 'model_name', 'SELECT model_mgr.report(NULL)');
SELECT pg_temp.refused('22023', 'since', $$SELECT model_mgr.report('idle', '2026-01-02', '2026-01-01')$$);
SELECT pg_temp.refused('22003', 'infinity', $$SELECT model_mgr.report('idle', '-infinity')$$);
SELECT pg_temp.refused('22003', 'infinity', $$SELECT model_mgr.report('idle', until => 'infinity')$$);
SELECT pg_temp.refused('22003', 'too far', $$SELECT model_mgr.report('idle', '4713-01-01 BC', '294276-12-31')$$);
SELECT pg_temp.refused('22003', 'too far', $$SELECT model_mgr.report('idle', until => '4714-11-24 BC')$$);
SELECT ok(model_mgr.report('idle', '4713-01-01 BC', '100000-12-31') IS NOT NULL, 'all of history and then some');

\i test/report.psql

-- cells: what stands in a table of a page. number_of: a cell as a number; minus signs are typographic, a dash is none.
CREATE FUNCTION pg_temp.cells(page text, table_id text) RETURNS TABLE (line bigint, place bigint, cell text) LANGUAGE sql AS $$
    SELECT r.n, c.n, (SELECT coalesce(string_agg(t::text, '' ORDER BY i), '') FROM unnest(xpath('//text()', c.x)) WITH ORDINALITY x (t, i))
    FROM unnest(xpath(format('//table[@id="%s"]/tbody/tr', table_id), xmlparse(document page))) WITH ORDINALITY r (x, n),
         unnest(xpath('/tr/*', r.x)) WITH ORDINALITY c (x, n)
$$;
CREATE FUNCTION pg_temp.number_of(cell text) RETURNS float8 LANGUAGE sql AS $$
    SELECT nullif(translate(regexp_replace(cell, chr(160) || '(%|s)$', ''), '−–', '-'), '')::float8
$$;
-- self_contained: what is wrong with a page, nothing when it stands alone.
CREATE FUNCTION pg_temp.self_contained(page text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', CASE WHEN NOT page::xml IS DOCUMENT THEN 'not well-formed' END, CASE WHEN page ~* '<script|javascript:|\son[a-z]+=' THEN 'a script' END,
        CASE WHEN page ~* 'https?:|//|url\(|@import| src=' THEN 'something from elsewhere' END, CASE WHEN page !~ 'prefers-color-scheme:dark' THEN 'no dark theme' END,
        CASE WHEN page !~ '@media print' THEN 'not for paper' END, CASE WHEN page !~ '<html lang="en">' THEN 'no language' END,
        CASE WHEN page ~ '[^\u0001-\u007f]' THEN 'not ASCII' END, CASE WHEN page ~ '(nan|inf)[^a-z]' THEN 'a number that is none' END,
        CASE WHEN length(page) > 200000 THEN length(page) || ' bytes' END,
        (SELECT 'svg without a title' FROM unnest(xpath('//svg[@role]', page::xml)) s WHERE NOT xpath_exists('/svg/title', s) OR NOT xpath_exists('/svg/desc', s) LIMIT 1),
        (SELECT 'ids twice: ' || min(i::text) FROM unnest(xpath('//@id', page::xml)) i GROUP BY i::text HAVING count(*) > 1 LIMIT 1),
        (SELECT 'headings out of order' FROM (SELECT h::text AS name, lag(h::text) OVER (ORDER BY n) AS before FROM unnest(xpath('//*[self::h1 or self::h2 or self::h3]', page::xml)) WITH ORDINALITY x (e, n),
                  LATERAL (SELECT substring(e::text, '^<(h[123])')) y (h)) z WHERE (name = 'h3' AND before NOT IN ('h2', 'h3')) OR (before IS NULL AND name <> 'h1') LIMIT 1))
$$;
-- 'column: what is wrong' where a table of numbers by time is not what get_performance_trends() says.
CREATE FUNCTION pg_temp.not_the_trend(page text, table_id text, metric text, name text, VARIADIC versions text[]) RETURNS SETOF text LANGUAGE sql AS $$
    WITH c AS MATERIALIZED (SELECT * FROM pg_temp.cells(page, table_id)),
    line AS MATERIALIZED (SELECT c.line, max(c.cell) FILTER (WHERE c.place = 1) AS "time", array_agg(c.cell ORDER BY c.place) AS cells FROM c GROUP BY c.line)
    SELECT format('%s at %s: %s of %s, not %s of %s', v.version, t."time", l.cells[2 * v.n], l.cells[2 * v.n + 1], t.value, t.samples)
    FROM unnest(versions) WITH ORDINALITY v (version, n), model_mgr.get_performance_trends(name, v.version, 24, 30) t
    JOIN line l ON l."time" = to_char(t."time", 'YYYY-MM-DD HH24:MI')
    WHERE t.metric_name = metric
      AND ((pg_temp.number_of(l.cells[2 * v.n]) IS NULL) <> (t.value IS NULL) OR pg_temp.number_of(l.cells[2 * v.n + 1]) <> t.samples
           OR NOT pg_temp.near(pg_temp.number_of(l.cells[2 * v.n]) / CASE WHEN metric ~ 'rate' THEN 100 ELSE 1 END, t.value, 1e-5))
$$;

-- 1. A model.
SELECT model_mgr.report(:'model') AS page \gset
SELECT is(pg_temp.self_contained(:'page'), '', 'the page stands alone');
SELECT is((xpath('string(//h1)', :'page'::xml))[1]::text, 'o''clf "x" &lt;script&gt;alert(1)&lt;/script&gt; &amp; [U+202E]txt', 'the name is shown, not run; what would turn it around is named');
SELECT ok(:'page' ~ 'Version <b><bdi>1\.0</bdi></b> serves this model; version <b><bdi>1\.2</bdi></b> is being deployed', 'what serves');
SELECT ok(:'page' ~ '1 deployment was rolled back', 'what was taken back');
SELECT is_empty(format('SELECT pg_temp.not_the_trend(%L, %L, %L, %L, ''1.0'', ''1.1'', ''1.2'')', :'page', 'success-rate-table', 'success_rate', :'model'), 'success rates are the trend''s');
SELECT is_empty(format('SELECT pg_temp.not_the_trend(%L, %L, %L, %L, ''1.0'', ''1.1'', ''1.2'')', :'page', 'p95-table', 'p95_response_time', :'model'), 'quantiles are');
SELECT is_empty(format('SELECT pg_temp.not_the_trend(%L, %L, %L, %L, ''1.0'', ''1.1'', ''1.2'')', :'page', 'requests-table', 'requests_per_minute', :'model'), 'traffic is');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.cells(:'page', 'success-rate-table') WHERE place = 1), '>', 30::bigint, 'there are many');
SELECT is_empty(format($$SELECT v.version, c.place, c.cell, m.value FROM unnest('{1.0,1.1,1.2}'::text[]) WITH ORDINALITY v (version, n)
    JOIN pg_temp.cells(%L, 'versions-table') c ON c.line = v.n
    JOIN (VALUES (4, 'success_rate', 100), (7, 'error_rate', 100), (8, 'avg_response_time', 1), (9, 'p50_response_time', 1), (10, 'p95_response_time', 1), (11, 'p99_response_time', 1),
          (12, 'confidence_score', 100), (13, 'cost_per_request', 1)) k (place, metric, times) ON k.place = c.place
    LEFT JOIN model_mgr.get_current_metrics(%L, v.version, 1440) m ON m.metric_name = k.metric
    WHERE NOT pg_temp.near(pg_temp.number_of(c.cell) / k.times, m.value, 1e-5)$$, :'page', :'model'), 'so are those of the versions, over the whole day');
SELECT results_eq(format($$SELECT string_agg(cell, ' ' ORDER BY place) FROM pg_temp.cells(%L, 'events-table') WHERE place > 2 GROUP BY line HAVING NOT bool_or(cell ~ 'alert') ORDER BY line LIMIT 8$$, :'page'),
    format($$VALUES ('deployment started 1.0 '), ('deployment promoted 1.0 to 100 %% of the traffic'), ('deployment completed 1.0 no version was active'), ('deployment started 1.1 '), ('deployment stepped 1.1 to 10 %% of the traffic'),
      ('deployment stepped 1.1 to 25 %% of the traffic'), ('deployment stepped 1.1 to 50 %% of the traffic'), ('deployment rolled back 1.1 %s')$$, d.status_reason), 'events in order') FROM model_mgr.get_deployment(:bad) d;
SELECT results_eq(format($$SELECT cell::bigint FROM pg_temp.cells(%L, 'events-table') WHERE place = 1 ORDER BY line$$, :'page'),
    format($$SELECT row_number() OVER () FROM model_mgr.event_list e WHERE e.model_name = %L AND e.type ~ '^(deployment|test|alert.firing)' AND e."time" <= '2026-03-02 08:10+00'$$, :'model'), 'numbered, all of them');
SELECT results_eq(format($$SELECT string_agg(cell, ' ' ORDER BY place) FROM pg_temp.cells(%L, 'alerts-table') WHERE place IN (1, 2, 3, 4, 5, 10) GROUP BY line ORDER BY 1$$, :'page'),
    format($$SELECT concat_ws(' ', severity, status, kind, metric_name, version, replace(replace(summary, '<', '&lt;'), '>', '&gt;')) FROM model_mgr.alert_list WHERE model_name = %L ORDER BY 1$$, :'model'), 'alerts are those of the list');
SELECT results_eq(format($$SELECT cell COLLATE "C" FROM pg_temp.cells(%L, 'audit-table') WHERE place = 1 ORDER BY line$$, :'page'),
    format($$SELECT l.audit_id::text COLLATE "C" FROM model_mgr.audit_list l WHERE l.model_name = %L ORDER BY l.audit_id DESC LIMIT 25$$, :'model'), 'entries of the audit log');
SELECT ok((xpath('count(//path[contains(@class, "line")])', :'page'::xml))[1]::text::integer = 18, 'six plots of three versions');
SELECT ok((xpath('string(//path[@class="line c0"]/@d)', :'page'::xml))[1]::text ~ 'M.*M', 'the hour without outcomes is a gap in the line');
SELECT is(model_mgr.report(:'model', '2026-03-01 08:10+00', '2026-03-02 08:10+00'), :'page', 'NULL times: the 24 hours up to now');

-- Another time: nothing was there yet; a minute; one moment.
SELECT is(pg_temp.self_contained(model_mgr.report(:'model', '2026-02-01', '2026-02-02')), '', 'before everything');
SELECT ok(model_mgr.report(:'model', '2026-02-01', '2026-02-02') ~ 'No outcome was recorded in this time', 'says so');
SELECT is(pg_temp.self_contained(model_mgr.report(:'model', '2026-03-01 20:00+00', '2026-03-01 20:01+00')), '', 'a minute');
SELECT is(pg_temp.self_contained(model_mgr.report(:'model', '2026-03-01 20:00+00', '2026-03-01 20:00+00')), '', 'a moment');
SELECT is(pg_temp.self_contained(model_mgr.report(:'model', '0001-01-01', '9999-12-31')), '', 'all times');
SELECT is(pg_temp.self_contained(model_mgr.report(:'model', '4713-01-01 BC', '0001-01-01')), '', 'before the calendar''s beginning');

-- Models with nothing.
SELECT is(pg_temp.self_contained(model_mgr.report('idle')), '', 'a model that did nothing');
SELECT ok(model_mgr.report('idle') ~ 'No version serves this model', 'says so');
SELECT is(model_mgr.report('nobody'), NULL, 'an unknown model has no page');

-- Many versions: six are drawn, the page stays small.
SELECT pg_temp.make_model('many', VARIADIC ARRAY(SELECT '1.' || i FROM generate_series(0, 39) i)) \g /dev/null
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time)
SELECT model_mgr.clock_time() - make_interval(hours => 3 * h), v.version_id, (h + v.version_id) % 13 > 0, 0.1 + (h * 7 + v.version_id) % 17
FROM model_mgr.list_model_versions('many') v, generate_series(0, 24 * 30 - 1) h WHERE v.version_id % 4 = 0 OR h < 3;
SELECT is(pg_temp.self_contained(model_mgr.report('many')), '', 'forty versions');
SELECT model_mgr.report('many', model_mgr.clock_time() - interval '90 days') AS page \gset
SELECT is(pg_temp.self_contained(:'page'), '', 'ninety days of ten of them and more');
SELECT cmp_ok((xpath('count(//figure[@id="p95-figure"]//path)', :'page'::xml))[1]::text::integer, '=', 12, 'six lines, each with its dots');
SELECT is((xpath('count(//figure[@id="success-rate-figure"]//path[contains(@class, "line")])', model_mgr.report('many')::xml))[1]::text, '6', 'six are drawn');
SELECT ok(model_mgr.report('many') ~ 'and 15 more versions', 'others are counted');

-- 2. A deployment: one that was taken back, one under way, a first one, and the other strategies.
SELECT model_mgr.report_deployment(:bad) AS bad_page, model_mgr.report_deployment(:good) AS good_page \gset
SELECT is(pg_temp.self_contained(:'bad_page'), '', 'a page of what was rolled back');
SELECT is(pg_temp.self_contained(:'good_page'), '', 'and of what is under way');
SELECT ok(position('Version <b><bdi>1.1</bdi></b> was rolled back; its baseline is <b><bdi>1.0</bdi></b>. Why: ' || d.status_reason IN :'bad_page') > 0, 'why it was') FROM model_mgr.get_deployment(:bad) d;
SELECT ok(:'good_page' ~ 'Version <b><bdi>1\.2</bdi></b> gets 75&#160;% of the traffic \(running\)', 'how far it is');
SELECT results_eq(format($$SELECT c[1]::bigint, replace(c[2], chr(160) || '%%', '')::float8, c[3], c[4] FROM (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'steps-table') GROUP BY line ORDER BY line) x$$, :'bad_page'),
    $$VALUES (1::bigint, 10::float8, '2026-03-01 18:00:00', 'done'), (2, 25, '2026-03-01 19:00:00', 'done'), (3, 50, '2026-03-01 20:00:00', 'taken back here'), (4, 100, '–', 'ahead')$$, 'its steps');
SELECT results_eq(format($$SELECT string_agg(state, ' ') FROM (SELECT replace(unnest(xpath('//svg/rect/@class', %L::xml))::text, 'step ', '') AS state) x$$, :'good_page'), $$VALUES ('done done done now ahead')$$, 'as stairs');
SELECT is_empty(format($$SELECT s.*, c.* FROM model_mgr.rollout_status(%s) s LEFT JOIN LATERAL (
        SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'criteria-table') WHERE line = s."position" HAVING count(*) > 0) c ON true
    WHERE c IS NULL OR c[1] <> s.rule OR c[2] <> s.metric_name OR c[6] <> s.verdict OR c[7] <> s.samples::text OR c[8] <> s.samples_needed::text
       OR NOT pg_temp.near(pg_temp.number_of(c[3]) / CASE WHEN s.metric_name ~ 'rate|confidence' THEN 100 ELSE 1 END, s.candidate_value, 1e-5)
       OR NOT pg_temp.near(pg_temp.number_of(c[4]) / CASE WHEN s.metric_name ~ 'rate|confidence' THEN 100 ELSE 1 END, s.baseline_value, 1e-5)
       OR NOT pg_temp.near(pg_temp.number_of(c[5]) / CASE WHEN s.metric_name ~ 'rate|confidence' THEN 100 ELSE 1 END, s.limit_value, 1e-5)$$, :good, :'good_page'), 'what it is judged by is rollout_status()');
SELECT is((SELECT string_agg(cell, ' ' ORDER BY line) FROM pg_temp.cells(:'good_page', 'criteria-table') WHERE place = 1), 'limit limit limit criterion criterion criterion guard guard guard', 'limits, criteria and the guard');
SELECT results_eq(format($$SELECT c[1], c[2], c[3], c[5], c[6], c[7] FROM (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'criteria-table') GROUP BY line ORDER BY line) x WHERE c[1] <> 'guard'$$, :'bad_page'),
    $$SELECT * FROM (VALUES ('limit', 'success_rate', '80.5556' || chr(160) || '%', '88' || chr(160) || '%', 'fail', '144'), ('limit', 'error_rate', '10.4167' || chr(160) || '%', '10' || chr(160) || '%', 'fail', '144'),
        ('limit', 'response_time', '1.24976' || chr(160) || 's', '10' || chr(160) || 's', 'pass', '144'), ('criterion', 'p95_response_time', '2.93986' || chr(160) || 's', '8' || chr(160) || 's', 'pass', '145')) v$$, 'what has ended shows how it was judged last');
SELECT is_empty(format($$SELECT g.*, c.c FROM (SELECT e.evidence -> 'guard' -> 'metrics' AS metrics FROM model_mgr.explain_deployment(%s) e WHERE e.status = 'rolled_back') l, LATERAL jsonb_each(l.metrics) g (metric_name, it)
    LEFT JOIN LATERAL (SELECT c FROM (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'criteria-table') GROUP BY line) x WHERE c[1] = 'guard' AND c[2] = g.metric_name) c ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN g.metric_name ~ 'rate' THEN 100 ELSE 1 END AS times) k
    WHERE c.c IS NULL OR NOT pg_temp.near(pg_temp.number_of(c.c[3]), (g.it ->> 'candidate')::float8 * k.times, 1e-5)
       OR NOT pg_temp.near(pg_temp.number_of(c.c[4]), (g.it ->> 'baseline')::float8 * k.times, 1e-5)$$, :bad, :'bad_page'), 'so does the guard');
SELECT results_eq(format($$SELECT c[1], c[3], c[5], c[9] FROM (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'diary-table') GROUP BY line ORDER BY line) x$$, :'bad_page'),
    format($$SELECT row_number() OVER ()::text, e.status, e.what, coalesce(e.samples::text, '–') FROM model_mgr.explain_deployment(%s) e ORDER BY 1 DESC$$, :bad), 'the diary is explain_deployment()');
SELECT results_eq(format($$SELECT array_agg(l::text) FROM unnest(xpath('//text[@class="limit"]/text()', %L::xml)) l$$, :'bad_page'),
    $$VALUES ('{limit: at least 88 %,limit: at most 10 %,limit: at most 10 s ↑,criterion: at most 8 s}'::text[])$$, 'limits and criteria are drawn, or named at the edge that they lie beyond');
SELECT results_eq(format($$SELECT array_agg(l::text) FROM unnest(xpath('//text[@class="limit"]/text()', %L::xml)) l$$, :'good_page'),
    $$VALUES ('{limit: at least 88 %,limit: at most 10 %,limit: at most 10 s ↑,criterion: at most 3 s,criterion: at least 75 %}'::text[])$$, 'criteria of further metrics have their own plot');
SELECT ok(:'good_page' ~ 'Criterion: at most 1\.2 times the baseline&#8217;s value', 'parts of the baseline''s value are named');
SELECT is(pg_temp.self_contained(model_mgr.report_deployment(1)), '', 'a model''s first deployment');
SELECT pg_temp.make_model('s', '1', '2', '3', '4', '5', '6') \g /dev/null
SELECT model_mgr.deploy_model_version('s', '1') \g /dev/null
SELECT is(pg_temp.self_contained(model_mgr.report_deployment((model_mgr.deploy_model_version('s', v, strategy, supersede => true, health_criteria => '{"p95_response_time": {"max_ratio": 2}}')).deployment_id)), '', strategy)
FROM (VALUES ('2', 'replace'), ('3', 'blue_green'), ('4', 'shadow'), ('5', 'a_b_test')) x (v, strategy);
SELECT results_eq($$SELECT d.strategy, r.page ~ '>planned<', r.page ~ 'A shadow sees copies' FROM model_mgr.deployment d, model_mgr.report_deployment(d.deployment_id) r (page)
    WHERE d.model_name = 's' AND d.strategy IN ('a_b_test', 'shadow') ORDER BY 1$$, $$VALUES ('a_b_test', true, false), ('shadow', false, true)$$, 'a shadow has no planned share of the recorded requests');
SELECT model_mgr.abort_deployment(model_mgr.open_deployment('s')) \g /dev/null
SELECT is(pg_temp.self_contained(model_mgr.report_deployment((model_mgr.deploy_model_version('s', '6', rollout => jsonb_build_object('steps', (SELECT jsonb_agg(i) FROM generate_series(1, 100) i)))).deployment_id)), '', 'a hundred steps');
SELECT model_mgr.abort_deployment(model_mgr.open_deployment('s')) \g /dev/null
SELECT is(pg_temp.self_contained(model_mgr.report('s')), '', 'a model of all of them');
SELECT is(model_mgr.report_deployment(0), NULL, 'an unknown deployment has no page');
-- Names of as many bytes as there may be, each of five when it is written: tables lose rows, and say how many.
SELECT repeat('&', 250) AS long \gset
SET client_min_messages = warning;
SELECT pg_temp.make_model(:'long', VARIADIC (SELECT array_agg(:'long' || i) FROM generate_series(10, 39) i)) \g /dev/null
SELECT model_mgr.deploy_model_version(:'long', :'long' || i, 'replace', deployed_by => repeat('"', 255), supersede => true) FROM generate_series(10, 39) i \g /dev/null
-- Each test gathers what its units did before it: once, if the planner knows that there are thirty versions.
ANALYZE model_mgr.model_version;
SELECT model_mgr.create_test(:'long' || i, :'long', :'long', :'long' || 10, :'long', :'long' || 11) FROM generate_series(10, 39) i \g /dev/null
SELECT pg_temp.day_of(:'long', :'long' || i, model_mgr.clock_time() - interval '1 day', model_mgr.clock_time(), 1, 0.9, 0.5) FROM generate_series(10, 16) i \g /dev/null
SELECT model_mgr.log_operation('note', :'long', user_name => :'long', details => jsonb_build_object('x', repeat('&', 1000))) FROM generate_series(1, 40) \g /dev/null
RESET client_min_messages;
SELECT model_mgr.report(:'long') AS page \gset
SELECT is(pg_temp.self_contained(:'page'), '', 'a page of the longest names is no larger than others');
SELECT ok(:'page' ~ '<p class="more">and \d+ more</p>', 'rows that had no room are counted');

-- 3. A test.
SELECT pg_temp.at('2026-03-02 21:00+00') \g /dev/null
SELECT :'model' || ' test' AS test \gset
CREATE TEMP VIEW looks AS SELECT l.* FROM model_mgr.ab_test_look l JOIN model_mgr.ab_test_plan p ON p.test_no = l.test_no WHERE p.test_id ~ ' test$';
SELECT model_mgr.report_ab_test(:'test') AS page \gset
SELECT is(pg_temp.self_contained(:'page'), '', 'the page stands alone');
SELECT is((xpath('string(//h1)', :'page'::xml))[1]::text, 'Is &lt;1.2&gt; better &amp; "faster"?', 'its name');
SELECT ok(position(replace(replace(t.recommendation, '<', '&lt;'), '>', '&gt;') IN :'page') > 0, 'what to do') FROM model_mgr.get_test_status(:'test') t;
SELECT is_empty(format($$SELECT m.*, c.* FROM model_mgr.get_test_metrics(%1$L) WITH ORDINALITY m (metric_name, role, variant, direction, mean_control, mean_variant,
        samples_control, samples_variant, difference, relative_lift, ci_low, ci_high, p_value, p_value_adjusted, significant, cuped_difference, cuped_ci_low, cuped_ci_high, n)
    LEFT JOIN model_mgr.ab_test_status s ON s.test_id = %1$L AND s.variant = m.variant AND m.role = 'primary'
    LEFT JOIN LATERAL (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%2$L, 'metrics-table') WHERE line = m.n HAVING count(*) > 0) c ON true
    LEFT JOIN LATERAL (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%2$L, 'tests-table') WHERE line = m.n HAVING count(*) > 0) t ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN m.metric_name ~ 'rate|confidence' THEN 100 ELSE 1 END AS times) k
    WHERE c.c IS NULL OR t.c IS NULL OR c.c[1] <> m.metric_name OR c.c[2] <> m.role OR c.c[3] <> m.variant OR c.c[6] <> m.samples_control::text OR c.c[7] <> m.samples_variant::text
       OR t.c[1] <> m.metric_name OR t.c[2] <> m.variant OR t.c[3] <> m.direction OR (t.c[6] = 'yes') <> m.significant
       OR EXISTS (SELECT FROM (VALUES (c.c[4], m.mean_control * k.times), (c.c[5], m.mean_variant * k.times), (c.c[8], m.difference * k.times), (c.c[9], m.ci_low * k.times), (c.c[10], m.ci_high * k.times),
                  (t.c[4], m.p_value), (t.c[5], m.p_value_adjusted), (t.c[7], s.anytime_ci_low * k.times), (t.c[8], s.anytime_ci_high * k.times)) v (seen, wanted)
                  WHERE (pg_temp.number_of(seen) IS NULL) <> (wanted IS NULL) OR NOT pg_temp.near(pg_temp.number_of(seen), wanted, 1e-5))$$, :'test', :'page'), 'every metric is get_test_metrics()');
SELECT is((SELECT count(*) FROM pg_temp.cells(:'page', 'metrics-table') WHERE place = 1), 4::bigint, 'four metrics');
SELECT is((xpath('count(//svg[circle]/line[@class="interval"])', :'page'::xml))[1]::text || (xpath('count(//circle[@class="shown"])', :'page'::xml))[1]::text, '41', 'four intervals, one of them shown');
SELECT is_empty(format($$SELECT l.*, c.* FROM looks l
    LEFT JOIN LATERAL (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'looks-table') x WHERE x.line = 7 - l.look HAVING count(*) > 0) c ON true
    WHERE c IS NULL OR c[1] <> l.look::text OR c[10] <> l.status OR NOT pg_temp.near(pg_temp.number_of(c[5]) / 100, l.information_fraction, 1e-5)
       OR NOT pg_temp.near(pg_temp.number_of(c[7]), (l.evidence ->> 'boundary_z')::float8, 1e-5) OR NOT pg_temp.near(pg_temp.number_of(c[9]), (l.evidence ->> 'p_value')::float8, 1e-5)
       OR NOT pg_temp.near(2 * (1 - model_mgr.normal_cdf(abs(pg_temp.number_of(c[6])))), (l.evidence ->> 'p_value')::float8, 1e-3)$$, :'page'), 'looks with their boundary');
SELECT is((SELECT count(*) FROM pg_temp.cells(:'page', 'looks-table') WHERE place = 1), (SELECT count(*) FROM looks), 'all of them');
SELECT results_eq(format($$SELECT c[1], c[5], c[8] FROM (SELECT array_agg(cell ORDER BY place) AS c FROM pg_temp.cells(%L, 'arms-table') GROUP BY line ORDER BY line) x$$, :'page'),
    format($$SELECT variant, samples::text, metric_name FROM model_mgr.ab_test_status WHERE test_id = %L$$, :'test'), 'sample sizes');
SELECT is((SELECT count(*) FROM looks), 6::bigint, 'a report records no look');
SELECT model_mgr.stop_test(:'test', 'seen enough') \g /dev/null
SELECT ok(model_mgr.report_ab_test(:'test') ~ 'stopped, verdict stopped_early, winner <b><bdi>treatment</bdi></b>', 'its end');
SET client_min_messages = warning;
SELECT pg_temp.make_test('empty');
SELECT pg_temp.make_test('arms', $$arms => '[{"variant": "<b>", "version": "3", "share": 0.2}]', secondary_metrics => '{}'$$);
RESET client_min_messages;
SELECT is(pg_temp.self_contained(model_mgr.report_ab_test('empty')), '', 'a test without results');
SELECT pg_temp.results('arms', v, 500, n, 0.5) FROM (VALUES ('control', 400), ('treatment', 450), ('<b>', 380)) x (v, n);
SELECT pg_temp.look('arms');
SELECT is(pg_temp.self_contained(model_mgr.report_ab_test('arms')), '', 'a test of three arms');
SELECT is((xpath('count(//circle)', model_mgr.report_ab_test('arms')::xml))[1]::text, '2', 'two are compared with control');
SELECT is(model_mgr.report_ab_test('nobody'), NULL, 'an unknown test has no page');

SELECT * FROM finish();
