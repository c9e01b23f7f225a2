# A canary goes on where it was after an immediate stop and after kill -9, and no committed outcome is lost.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('crash', conf => "synchronous_commit = on\nrestart_after_crash = off\n");
my $deployment = canary($node, 'spam');

# state: all that a crash must not move.
sub state_of
{
	return table_checksums($node, 'postgres') . "\n" . routes($node, 'spam', 2000);
}

sub step_and_traffic
{
	return $node->safe_psql('postgres',
		"SELECT status, step, traffic_percentage FROM model_mgr.get_deployment($deployment)");
}

# Outcomes folded and outcomes not folded yet, a step taken, all before the first crash.
$node->safe_psql('postgres', at(2, serve('spam', 1, 600)));
$node->safe_psql('postgres', at(12, 'SELECT count(*) FROM model_mgr.tick()'));
is(step_and_traffic(), 'running|2|20', 'ten minutes and enough outcomes: the second step');
$node->safe_psql('postgres', at(13, serve('spam', 601, 1000)));
my $before = state_of();

$node->stop('immediate');
$node->start;
is(state_of(), $before, 'an immediate stop changes neither tables nor routing');
totals_agree($node, 'rollups agree with the observations after an immediate stop');

# A tick that was not committed never was.
my $tick = $node->background_psql('postgres', on_error_stop => 0);
$tick->query('BEGIN; ' . at(23, 'SELECT count(*) FROM model_mgr.tick();'));
is($tick->query("SELECT step FROM model_mgr.get_deployment($deployment);"), '3', 'inside its transaction the tick has stepped');

# A writer whose outcomes are acknowledged one by one; each can be told by its cost.
my $script = PostgreSQL::Test::Utils::tempdir() . '/writer.sql';
append_to_file($script, join '', "SET model_mgr.clock = '2026-03-01 00:14:00+00';\n",
	map { "SELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.5, true, cost => $_);\n\\echo done $_\n" } 1 .. 200_000);
my ($acknowledged, $complaint) = ('', '');
my $writer = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script ],
	'>', \$acknowledged, '2>', \$complaint);
IPC::Run::pump($writer) until $acknowledged =~ /^done 300$/m || $complaint;
is($complaint, '', 'the writer writes');
$node->kill9;
IPC::Run::finish($writer);
$tick->{run}->kill_kill if $tick->{run};
poll_start($node);

my $last = (sort { $b <=> $a } $acknowledged =~ /^done (\d+)$/mg)[0];
my $rows = $node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT cost), max(cost) FROM model_mgr.observation WHERE cost IS NOT NULL');
ok($rows eq join('|', ($last) x 3) || $rows eq join('|', ($last + 1) x 3),
	"all $last acknowledged outcomes are there after kill -9, none twice ($rows)");
is(step_and_traffic(), 'running|2|20', 'the step of the tick that was killed is not taken');
totals_agree($node, 'rollups agree with the observations after kill -9');

# Killed at any moment between writers and ticks, what is folded and what is not still make the same sum. Commits are
# asynchronous here: the last ones may be lost, but whole.
my $load = PostgreSQL::Test::Utils::tempdir();
append_to_file("$load/write.sql", "SET model_mgr.clock = '2026-03-01 00:15:00+00';\nSET synchronous_commit = off;\n"
	  . "SELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.5, true) FROM generate_series(1, 3);\n");
append_to_file("$load/tick.sql", "SET model_mgr.clock = '2026-03-01 00:15:00+00';\nSELECT count(*) FROM model_mgr.tick();\n");
for my $round (1 .. (soak() ? 30 : 2))
{
	my $rows = $node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation');
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 600, '-f', "$load/write.sql\@4", '-f', "$load/tick.sql\@1",
			'-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>', \$err);
	$node->poll_query_until('postgres', "SELECT count(*) > $rows + 300 * $round FROM model_mgr.observation");
	$node->kill9;
	IPC::Run::finish($run);
	poll_start($node);
	cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation'), '>=', $rows, "kill $round: nothing of before is lost");
	totals_agree($node, "kill $round: rollups agree with the observations");
	$node->safe_psql('postgres', at(15, 'SELECT count(*) FROM model_mgr.tick()'));
	totals_agree($node, "kill $round: ... and after a tick");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.rollup_tail'), '0', "kill $round: ... which folds all");
}
is(step_and_traffic(), 'running|2|20', 'the canary stands where it stood');

# It goes on where it was: one step for the tick that was lost, then up to the end.
$node->safe_psql('postgres', at(23, 'SELECT count(*) FROM model_mgr.tick()'));
is(step_and_traffic(), 'running|3|30', 'the next tick takes that step');
for my $n (4 .. 10)
{
	$node->safe_psql('postgres', at(10 * $n - 8, serve('spam', 1000 * $n, 1000 * $n + 300)));
	$node->restart if $n == 6;
	$node->safe_psql('postgres', at(10 * $n - 6, 'SELECT count(*) FROM model_mgr.tick()'));
}
like(step_and_traffic(), qr/^promoting\|10\|100$/, 'and the canary reaches 100 %');
totals_agree($node, 'rollups agree with the observations at the end');
is($node->safe_psql('postgres', "SELECT model_mgr.route_version('spam', 'anybody')"), '2.0.0', 'the new version serves');
finish($node);
