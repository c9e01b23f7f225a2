# Sums of A/B tests, exactly once: eight writers of results with aborts, savepoints and prepared transactions, units that
# come back, results without a unit and of before the test, ticks at the same time. At any moment what get_test_metrics()
# says is a plain GROUP BY of the observations; at the end so are the moments, what units did before the test included:
# of a test that had it from its beginning, and of one that the ticks gathered it for meanwhile. Then all is dumped and
# restored, and goes on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use ModelMgr;

my $seconds = soak() ? 120 : 8;
my $seed = $ENV{MODEL_MGR_SEED} // int(time) % 1_000_000;
note "seed $seed (MODEL_MGR_SEED repeats it)";
my $node = new_node('experiment', conf => "synchronous_commit = off\nmax_prepared_transactions = 20\nmax_connections = 40\n");
$node->safe_psql('postgres', serving('spam', '1', '2') . q{
	CALL model_mgr.maintain();
	SELECT count(model_mgr.update_model_metrics('spam', '1', (i % 7) / 10.0, i % 3 = 0, unit_id => 'u' || i % 250, metrics => jsonb_build_object('tone', i % 5),
		recorded_at => now() - i * interval '5 minutes')) FROM generate_series(1, 3000) i;});
my $design = q{'n', 'spam', '1', 'spam', '2', secondary_metrics => '{response_time,tone,p95_response_time}', max_duration_hours => 1, early_stopping_enabled => false};
$node->safe_psql('postgres', "SELECT model_mgr.create_test('at once', $design);
	BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT model_mgr.create_test('in pieces', $design); COMMIT;");
is($node->safe_psql('postgres', q{SELECT string_agg(covariates, ' ' ORDER BY test_no) FROM model_mgr.ab_test_plan}), 'complete wanted', 'one has its past, the other waits for the tick');

my $dir = PostgreSQL::Test::Utils::tempdir();
my $write = q{\set x random(1, 8)
\set v random(0, 1)
\set w random(1, 2)
\if :x = 1
SELECT model_mgr.record_result((ARRAY['at once','in pieces'])[:w], (ARRAY['control','treatment'])[:v + 1], :u / 1000.0, :u % 3 = 0);
\elif :x = 2
SELECT model_mgr.record_result((ARRAY['at once','in pieces'])[:w], 'treatment', :u / 900.0, NULL, user_id => 'u' || :u % 400, metrics => jsonb_build_object('tone', :u % 7, 'other', 1));
\elif :x = 3
SELECT model_mgr.record_result((ARRAY['at once','in pieces'])[:w], 'control', 1, true, user_id => 'u' || :u % 400, recorded_at => now() - interval '2 hours');
\else
SELECT model_mgr.record_result((ARRAY['at once','in pieces'])[:w], (ARRAY['control','treatment'])[:u % 2 + 1], :u / 1000.0, :u % 5 <> 0, user_id => 'u' || :u % 400, metrics => jsonb_build_object('tone', :u));
\endif
};
my %scripts = (
	plain => "\\set u random(1, 1000)\n$write",
	many => "\\set u random(1, 1000)\nBEGIN;\n$write\\set u random(1, 1000)\n$write\\sleep 5 ms\n$write" . "COMMIT;\n",
	abort => "\\set u random(1, 1000)\nBEGIN;\n$write\\sleep 2 ms\nROLLBACK;\n",
	savepoint => "\\set u random(1, 1000)\nBEGIN;\n${write}SAVEPOINT a;\n${write}ROLLBACK TO a;\n${write}SAVEPOINT b;\n${write}RELEASE b;\n\\sleep 3 ms\nCOMMIT;\n",
	prepared => "\\set u random(1, 1000)\nBEGIN;\n${write}PREPARE TRANSACTION 'p:client_id';\n\\sleep 20 ms\n\\if :u % 4 = 0\nROLLBACK PREPARED 'p:client_id';\n\\else\nCOMMIT PREPARED 'p:client_id';\n\\endif\n",
	tick => "SELECT count(*) FROM model_mgr.tick();\n\\sleep 50 ms\n");
append_to_file("$dir/$_.sql", $scripts{$_}) for keys %scripts;

# pgbench: a load of these clients and scripts.
sub pgbench
{
	my ($clients, @scripts) = @_;
	return load($node, '-c', $clients, '-j', 2, '-T', $seconds, "--random-seed=$seed", map { my ($name, $weight) = split /@/; ('-f', "$dir/$name.sql\@$weight") } @scripts);
}

# What counts, from the observations alone: one row a test, arm, metric and unit.
my $counted = q{WITH value AS (SELECT p.test_id, p.test_no, o.arm, m.n, coalesce(o.unit_hash::text, 'row ' || o.tableoid || o.ctid::text) AS unit, o.unit_hash, t.started_at,
		CASE m.name WHEN 'success_rate' THEN o.success::integer::float8 WHEN 'response_time' THEN o.response_time WHEN 'tone' THEN (o.metrics ->> 'tone')::float8 END AS value
	FROM model_mgr.observation o JOIN model_mgr.ab_test_plan p ON p.test_no = o.test_no JOIN model_mgr.ab_test t ON t.test_id = p.test_id, unnest(p.metrics) WITH ORDINALITY m (name, n)
	WHERE o.recorded_at >= t.started_at) };
# Samples and means of each metric, as they should be less as they are said to be.
my $shown = $counted . q{SELECT count(*) FROM (SELECT v.test_id, v.n, count(value) FILTER (WHERE arm = 0) AS n0, count(value) FILTER (WHERE arm = 1) AS n1,
		avg(value) FILTER (WHERE arm = 0) AS m0, avg(value) FILTER (WHERE arm = 1) AS m1 FROM value v WHERE v.n <= 3 GROUP BY 1, 2) e
	JOIN model_mgr.ab_test_plan p ON p.test_id = e.test_id LEFT JOIN LATERAL (SELECT * FROM model_mgr.get_test_metrics(e.test_id) g WHERE g.metric_name = p.metrics[e.n] AND g.variant = 'treatment') g ON true
	WHERE g.samples_control IS DISTINCT FROM e.n0 OR g.samples_variant IS DISTINCT FROM e.n1 OR abs(g.mean_control - e.m0) > 1e-9 * (1 + abs(e.m0)) OR abs(g.mean_variant - e.m1) > 1e-9 * (1 + abs(e.m1))};

my @runs = (pgbench(8, 'plain@8', 'many@4', 'abort@2', 'savepoint@3', 'prepared@2'), pgbench(2, 'tick@1'));
my $end = time + $seconds;
my ($looks, $wrong) = (0, '');
while (time < $end)
{
	# One snapshot for the function and the observations.
	my $answer = $node->safe_psql('postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; $shown; COMMIT;");
	$wrong .= "look $looks: $answer\n" if $answer ne '0';
	$answer = $node->safe_psql('postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT model_mgr.record_result('at once', 'control', 9, true, user_id => 'u1'); $shown; ROLLBACK;");
	$wrong .= "look $looks (own rows): $answer\n" if (split /\n/, $answer)[-1] ne '0';
	$looks++;
}
for my $run (@runs)
{
	IPC::Run::finish($run->{run});
	like($run->{out}, qr/number of failed transactions: 0 /, 'no transaction of the load failed');
	is($run->{err} =~ /(ERROR.*|aborted.*)/ ? $1 : '', '', 'no client of the load stopped');
}
cmp_ok($looks, '>=', 3, "the metrics were compared $looks times");
is(substr($wrong, 0, 1000), '', 'at every look they were those of the observations');

# Moments from raw observations: units with a value, sums and products of (count, sum, count before, sum before). What was
# recorded for a time before the test after its past was read is in nobody's past.
my $moments = $counted . q{, unit AS (SELECT v.test_id, v.test_no, v.n, v.arm, v.unit, v.unit_hash, v.started_at, count(v.value)::float8 AS c, sum(v.value - a.anchors[v.n]) AS s
		FROM value v JOIN model_mgr.ab_test_anchor a ON a.test_no = v.test_no WHERE v.n <= 3 AND v.value IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7),
	past AS (SELECT p.test_no, o.unit_hash, m.n, count(x.value)::float8 AS pc, sum(x.value - a.anchors[m.n]) AS ps
		FROM model_mgr.ab_test_plan p JOIN model_mgr.ab_test t ON t.test_id = p.test_id JOIN model_mgr.ab_test_anchor a ON a.test_no = p.test_no,
			generate_series(1, 3) m (n), model_mgr.observation o, LATERAL (SELECT CASE m.n WHEN 1 THEN o.success::integer::float8 WHEN 2 THEN o.response_time WHEN 3 THEN (o.metrics ->> 'tone')::float8 END AS value) x
		WHERE o.recorded_at >= t.started_at - interval '14 days' AND o.recorded_at < t.started_at AND o.unit_hash IS NOT NULL AND x.value IS NOT NULL AND o.test_no IS NULL GROUP BY 1, 2, 3),
	expected AS (SELECT u.test_no, u.arm, u.n, ARRAY[count(*), sum(c), sum(s), sum(pc), sum(ps), sum(c * c), sum(c * s), sum(c * pc), sum(c * ps), sum(s * s), sum(s * pc), sum(s * ps), sum(pc * pc), sum(pc * ps), sum(ps * ps)]::float8[] AS moments
		FROM (SELECT u.*, coalesce(p.pc, 0) AS pc, coalesce(p.ps, 0) AS ps FROM unit u LEFT JOIN past p ON p.test_no = u.test_no AND p.unit_hash = u.unit_hash AND p.n = u.n) u GROUP BY 1, 2, 3)
	SELECT count(*) FILTER (WHERE abs(e.x - s.moments[15 * (e.n - 1) + e.k]) > 1e-7 * (1 + abs(e.x)) OR s.moments IS NULL) || ' of ' || count(*)
	FROM (SELECT test_no, arm, n, k, x FROM expected, unnest(moments) WITH ORDINALITY m (x, k)) e LEFT JOIN model_mgr.ab_test_sum s ON s.test_no = e.test_no AND s.arm = e.arm AND s.epoch = 1};
sub settled { my ($node) = @_; $node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.tick()') for 1 .. 3; }
settled($node);
is($node->safe_psql('postgres', q{SELECT string_agg(covariates, ' ' ORDER BY test_no) FROM model_mgr.ab_test_plan}), 'complete complete', 'the ticks have gathered the past');
is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.rollup_tail"), '0', 'everything is folded');
# Of the second test the late rows of 2 hours ago may or may not have been there when the tick came by.
is($node->safe_psql('postgres', $moments . q{ WHERE e.test_no = 1}), '0 of 90', 'moments of all units, from the raw observations');
is($node->safe_psql('postgres', $moments . q{ WHERE e.test_no = 2 AND e.k IN (1, 2, 3, 6, 7, 10)}), '0 of 36', 'and of the test whose past came later, its own part');
cmp_ok($node->safe_psql('postgres', q{SELECT abs(moments[15 * 1 + 15]) FROM model_mgr.ab_test_sum WHERE test_no = 2 AND arm = 0}), '>', 0, 'its past is in the sums');
is($node->safe_psql('postgres', $counted . q{SELECT count(*) FROM (SELECT v.test_no, v.arm, count(DISTINCT unit) AS units FROM value v GROUP BY 1, 2) e
	FULL JOIN model_mgr.ab_test_sum s USING (test_no, arm) WHERE s.units IS DISTINCT FROM e.units}), '0', 'units seen');
is($node->safe_psql('postgres', $counted . q{SELECT count(*) FROM (SELECT v.test_no, v.arm, count(value) AS n FROM value v WHERE v.n = 2 GROUP BY 1, 2) e
	FULL JOIN model_mgr.ab_test_sketch s USING (test_no, arm) WHERE model_mgr.summary_count(s.response_time) IS DISTINCT FROM e.n}), '0', 'sketches of response times');

# Dumped with something pending, restored into another cluster, and on.
$node->safe_psql('postgres', q{SELECT model_mgr.record_result('at once', 'treatment', 2, true, user_id => 'u7')});
my $restored = new_node('restored');
$node->run_log([ 'pg_dump', '-Fc', '-f', "$dir/dump", $node->connstr('postgres') ]);
$restored->command_ok([ 'pg_restore', '-d', $restored->connstr('postgres'), '--clean', '--if-exists', "$dir/dump" ], 'restored');
is($restored->safe_psql('postgres', $shown), '0', 'the restored tests say the same');
$restored->safe_psql('postgres', q{SELECT model_mgr.record_result('at once', 'treatment', 3, true, user_id => 'u7'); SELECT model_mgr.record_result('in pieces', 'control', 3, true)});
is($restored->safe_psql('postgres', $shown), '0', 'with what is recorded there');
settled($restored);
is($restored->safe_psql('postgres', $shown), '0', 'and after its ticks');
is($restored->safe_psql('postgres', $moments . q{ WHERE e.test_no = 1}), '0 of 90', 'down to the moments');
$restored->stop;
finish($node);
