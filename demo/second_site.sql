-- second_site.sql: earlier at a second site, which serves 1.1.0 too: three hours of mail, minute by minute, before the
-- story begins. model_mgr.clock is held at each minute in turn, so that the hours pass in seconds; the mails and the
-- filter's answers to them are the real ones.

-- What 1.1.0 makes of every mail, once; hard: it is wrong.
CREATE TABLE demo.verdict AS
SELECT v.mail_id, v.right_answer, v.confidence, row_number() OVER (ORDER BY v.mail_id) AS n,
       CASE WHEN NOT v.right_answer THEN row_number() OVER (PARTITION BY v.right_answer ORDER BY v.mail_id) END AS hard
FROM (SELECT m.mail_id, (p.probability > 0.5) = (m.label = 'spam') AS right_answer, greatest(p.probability, 1 - p.probability) AS confidence
      FROM demo.mail m, LATERAL demo.logistic(m) p (probability)) v;
CREATE UNIQUE INDEX ON demo.verdict (n);
CREATE UNIQUE INDEX ON demo.verdict (hard);

-- Its mails; minute 1 is over a minute after the beginning. In the wave somebody has found out which mails get
-- past the filter, and sends such: eight of twenty.
CREATE TABLE demo.site_mail AS
SELECT m.minute, i.i, v.mail_id, v.right_answer, v.confidence
FROM generate_series(1, 190) m (minute), generate_series(1, 20) i (i),
     (SELECT count(*) AS mails, count(hard) AS hard FROM demo.verdict) c,
     LATERAL (SELECT ('x' || substr(md5(m.minute || '/' || i.i), 1, 7))::bit(28)::integer AS drawn,
                     m.minute BETWEEN 121 AND 150 AND i.i <= 8 AS of_the_wave) d,
     LATERAL (SELECT x.* FROM demo.verdict x WHERE d.of_the_wave AND x.hard = 1 + d.drawn % c.hard
              UNION ALL SELECT x.* FROM demo.verdict x WHERE NOT d.of_the_wave AND x.n = 1 + d.drawn % c.mails) v;

-- It is over since an hour or more.
CREATE TABLE demo.site_began AS SELECT date_trunc('hour', clock_timestamp()) - interval '5 hours' AS at;
CREATE FUNCTION demo.site_time(minute float8) RETURNS timestamptz LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT n.at + minute * interval '1 minute' FROM demo.site_began n;
END;

-- One minute after the other: its outcomes by the bulk path, one transaction, then one tick.
CREATE PROCEDURE demo.pass_site()
    LANGUAGE plpgsql
AS $$
DECLARE
    site bigint;
BEGIN
    PERFORM set_config('model_mgr.clock', demo.site_time(0)::text, false);
    SELECT version_id INTO site FROM model_mgr.create_model_version('second-site', '1.1.0',
        model_mgr.model_configuration(provider => 'sql', model_name => 'demo.logistic'), description => 'the same filter elsewhere');
    PERFORM model_mgr.deploy_model_version('second-site', '1.1.0');
    PERFORM model_mgr.set_thresholds('second-site', jsonb_build_array(
        model_mgr.performance_threshold('success_rate', 0.8, 'less_than', severity => 'critical', duration_minutes => 5)));
    COMMIT;
    FOR m IN 1..(SELECT max(minute) FROM demo.site_mail) LOOP
        PERFORM set_config('model_mgr.clock', demo.site_time(m)::text, false);
        INSERT INTO model_mgr.observation (recorded_at, version_id, success, confidence)
        SELECT demo.site_time(m - 1 + n.i / 21.0), site, n.right_answer, n.confidence FROM demo.site_mail n WHERE n.minute = m;
        COMMIT;
        PERFORM model_mgr.tick();
        COMMIT;
    END LOOP;
    PERFORM set_config('model_mgr.clock', '', false);
END
$$;
