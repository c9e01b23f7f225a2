# A/B tests under load and through a dump. Eight writers (with units, without, rolling back) beside analysts, ticks and
# two who stop the test: nothing is lost or counted twice, every look is one look, one of the two has stopped it, and what
# it ended with stays. Tests that run are dumped, restored and decided in the copy as in the original.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $seconds = soak() ? 120 : 8;
my $node = new_node('experiments', conf => "synchronous_commit = off\n");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $quiet = 'SET client_min_messages = warning; ';
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET client_min_messages = warning');
$node->safe_psql('postgres', q{SELECT (model_mgr.create_test(t, t, 'm', '1', 'm', '2', minimum_detectable_effect => CASE t WHEN 'busy' THEN 0.02 ELSE 0.005 END, min_sample_size_per_variant => 100, futility_threshold => 0,
	secondary_metrics => '{response_time,refunds}', metric_directions => '{"refunds": "lower"}')).test_id FROM unnest(ARRAY['busy', 'second']) t;
	CALL model_mgr.maintain();});

# Both arms are equal; the unit decides the arm. A tenth of the recordings is rolled back.
append_to_file("$dir/record.sql", <<'SQL');
\set u random(1, 400)
\set x random(1, 10)
BEGIN;
SELECT model_mgr.record_result('busy', CASE WHEN :u % 2 = 0 THEN 'control' ELSE 'treatment' END, :x / 8.0, :x % 3 > 0, user_id => CASE WHEN :u <= 200 THEN 'u' || :u END, metrics => jsonb_build_object('refunds', :x % 4));
SELECT model_mgr.record_result('second', CASE WHEN :u % 2 = 0 THEN 'control' ELSE 'treatment' END, :x / 8.0, :x % 3 > 0);
\if :x = 10
ROLLBACK;
\else
COMMIT;
\endif
SQL
append_to_file("$dir/analyze.sql", "SELECT status FROM model_mgr.analyze_test('busy');\n\\sleep 5 ms\n");
append_to_file("$dir/tick.sql", "SELECT count(*) FROM model_mgr.tick();\n\\sleep 50 ms\n");

my @runs = map { load($node, '-c', $_->[0], '-T', $seconds, '-f', "$dir/$_->[1].sql") } [ 8, 'record' ], [ 2, 'analyze' ], [ 1, 'tick' ];
poll_under_load($node, q{SELECT samples_control > 300 AND samples_treatment > 300 AND (SELECT count(*) > 2 FROM model_mgr.ab_test_look JOIN model_mgr.ab_test_plan p USING (test_no) WHERE p.test_id = 'busy')
	FROM model_mgr.get_test_status('busy')}, @runs) or die 'no results came';
# Two stop it at once, in the middle of it all.
my @stoppers = map { $node->background_psql('postgres') } 1 .. 2;
$_->query("BEGIN") for @stoppers;
my @answers = (scalar $stoppers[0]->query("SELECT model_mgr.stop_test('busy', 'first')"));
$stoppers[1]->{stdin} .= "SELECT model_mgr.stop_test('busy', 'second');\n\\echo done\n";
$stoppers[1]->{run}->pump_nb;
$stoppers[0]->query('COMMIT');
$stoppers[1]->{run}->pump until $stoppers[1]->{stdout} =~ /done/;
push @answers, $stoppers[1]->{stdout} =~ /^([tf])$/m;
is("@answers", 't f', 'one of two has stopped it');
$_->quit for @stoppers;
my $ended = $node->safe_psql('postgres', q{SELECT row(r.*) FROM model_mgr.get_test_results('busy') r});
ok(poll_under_load($node, q{SELECT count(*) > 100 FROM model_mgr.observation JOIN model_mgr.ab_test_plan USING (test_no) JOIN model_mgr.ab_test t USING (test_id)
	WHERE test_id = 'busy' AND recorded_at > t.stopped_at}, @runs), 'late results came');
for my $run (@runs)
{
	ok($run->{run}->finish, 'the load ends well') or diag($run->{err});
	is(join('', $run->{err} =~ /^pgbench: error.*$/mg), '', 'without errors');
}

# What the sums say is what a plain GROUP BY of the observations says, of requests before the end.
my $agree = q{
	WITH plain AS (
		SELECT o.arm, v.metric_name, count(v.value) AS n, avg(v.value) AS mean
		FROM model_mgr.observation o JOIN model_mgr.ab_test_plan p USING (test_no) JOIN model_mgr.ab_test t USING (test_id),
			LATERAL (VALUES ('success_rate', o.success::integer::float8), ('response_time', o.response_time), ('refunds', (o.metrics ->> 'refunds')::float8)) v (metric_name, value)
		WHERE p.test_id = '%s' AND coalesce(o.routed_at, o.recorded_at) <= coalesce(t.stopped_at, 'infinity') GROUP BY 1, 2)
	SELECT string_agg(m.metric_name, ' ' ORDER BY m.metric_name) FROM model_mgr.get_test_metrics('%1$s') m
	JOIN plain c ON c.arm = 0 AND c.metric_name = m.metric_name JOIN plain v ON v.arm = 1 AND v.metric_name = m.metric_name
	WHERE m.samples_control = c.n AND m.samples_variant = v.n AND abs(coalesce(m.mean_control - c.mean, 0)) < 1e-9 AND abs(coalesce(m.mean_variant - v.mean, 0)) < 1e-9};
my $counted = 'refunds response_time success_rate';
my $agrees = sprintf $agree, 'second';
is($node->safe_psql('postgres', $agrees), $counted, 'nothing is lost or counted twice');
is($node->safe_psql('postgres', q{SELECT model_mgr.maintenance_run('fold') >= 0}), 't', 'all is folded');
is($node->safe_psql('postgres', $agrees), $counted, 'nor after the fold');
is($node->safe_psql('postgres', sprintf $agree, 'busy'), $counted, 'of the stopped one what was recorded by its end counts, and nothing else');
is($node->safe_psql('postgres', q{SELECT bool_and(r.samples BETWEEN 1 AND count) FROM (SELECT o.arm, count(*) FROM model_mgr.observation o JOIN model_mgr.ab_test_plan p USING (test_no) JOIN model_mgr.ab_test t USING (test_id)
		WHERE p.test_id = 'busy' AND o.recorded_at <= t.stopped_at GROUP BY o.arm) o,
	LATERAL (SELECT CASE o.arm WHEN 0 THEN samples_control ELSE samples_treatment END AS samples FROM model_mgr.get_test_results('busy')) r}), 't', 'and its verdict knows of nothing later');

# Each look has at least 1 % more information than the one before; none was recorded twice.
is($node->safe_psql('postgres', q{SELECT count(*) > 2 AND bool_and(coalesce(l.growth, 1) >= 0.0099999 OR l.kind = 'end') AND bool_and(l.look = l.n)
	FROM (SELECT l.*, information_fraction - lag(information_fraction) OVER (ORDER BY look) AS growth, row_number() OVER (ORDER BY look) AS n
		FROM model_mgr.ab_test_look l JOIN model_mgr.ab_test_plan p USING (test_no) WHERE p.test_id = 'busy') l}), 't', 'looks are 1 % of the information apart');
is($node->safe_psql('postgres', q{SELECT count(*) FROM model_mgr.ab_test_look WHERE kind <> 'shares' AND model_mgr.replay_test_evidence(evidence) IS DISTINCT FROM evidence ->> 'decision'}), '0', 'every look is decided again from its evidence');
is($node->safe_psql('postgres', q{SELECT row(r.*) FROM model_mgr.analyze_test('busy') r}), $ended, 'what it ended with stays');
is($node->safe_psql('postgres', q{SELECT string_agg(type, ' ' ORDER BY event_id) FROM model_mgr.event WHERE data ->> 'test_id' = 'busy'}), 'test.started test.stopped', 'told once');

# Another one runs on, through a dump.
my @state = (q{SELECT row(m.*) FROM model_mgr.get_test_metrics('second') m ORDER BY metric_name},
	q{SELECT row(l.*) FROM model_mgr.ab_test_list l ORDER BY test_id}, q{SELECT row(l.*) FROM model_mgr.ab_test_look l ORDER BY test_no, look});
sub state_of { my ($n) = @_; return join("\n", map { $n->safe_psql('postgres', $quiet . $_) } @state); }
my $before = state_of($node);
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'dumped');
my $copy = new_node('copy', extension => 0);
{
	local $ENV{PGOPTIONS} = '-c model_mgr.enforcement=off -c session_preload_libraries=model_mgr';
	command_ok([ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $copy->connstr('postgres'), "$dir/dump" ], 'restored');
}
is(state_of($copy), $before, 'the copy says the same');
for my $n ($node, $copy)
{
	$n->safe_psql('postgres', $quiet . q{
		SELECT model_mgr.record_results('second', jsonb_agg(jsonb_build_object('variant', CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END, 'success', i % 2 = 1 OR i % 6 = 0))) FROM generate_series(1, 20000) i;
		SELECT count(*) FROM model_mgr.tick();});
	is($n->safe_psql('postgres', q{SELECT status || ' ' || winning_variant FROM model_mgr.ab_test WHERE test_id = 'second'}), 'completed treatment', $n->name . ' decides it');
	is($n->safe_psql('postgres', $agrees), $counted, $n->name . ' has counted all');
	is($n->safe_psql('postgres', q{SELECT status FROM model_mgr.create_test('third', 't', 'm', '1', 'm', '2')}), 'running', $n->name . ' takes another test');
}
finish($node, $copy);
