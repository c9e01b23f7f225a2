# Exactly once: eight writers with aborts, savepoints, prepared transactions and a long transaction, ticks at the same
# time, and at any moment rollups + tail = a plain GROUP BY of the observations: minutes, and hours with minutes and tail;
# counts, sums, summaries, custom metrics. A good part of the rows comes with a time of the last two hours.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use ModelMgr;

my $seconds = soak() ? 300 : 12;
my $seed = $ENV{MODEL_MGR_SEED} // int(time) % 1_000_000;
note "seed $seed (MODEL_MGR_SEED repeats it)";
my $node = new_node('rollup', conf => "synchronous_commit = off\nmax_prepared_transactions = 20\nmax_connections = 40\n");
$node->safe_psql('postgres', serving('spam', '1', '2') . q{
	SELECT status FROM model_mgr.deploy_model_version('spam', '2', 'canary', traffic_percentage => 50,
		rollback_threshold_error_rate => 1, rollback_threshold_response_time => 1000000, rollback_min_success_rate => 0,
		rollout => '{"steps": [50, 100], "step_seconds": 100000}');
	CALL model_mgr.maintain();});

my $dir = PostgreSQL::Test::Utils::tempdir();
# write: one recording by a drawn way; x is drawn before.
my $write = q{\set x random(1, 8)
\set old random(0, 7200)
\if :x = 1
SELECT model_mgr.update_model_metrics('spam', '1', :u / 1000.0, :u % 3 = 0);
\elif :x = 2
INSERT INTO model_mgr.observation (version_id, success, response_time, error_type) SELECT version_id, NULL, 0.125, 'timeout' FROM model_mgr.model_version LIMIT 1 + :u % 2;
\elif :x = 7
SELECT model_mgr.update_model_metrics('spam', '1', :u / 1000.0, recorded_at => now() - :old * interval '1 s', metrics => jsonb_build_object('tone', :u % 7, 'length', :old));
\elif :x = 8
INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, metrics) SELECT now() - (:old + v.version_id) * interval '1 s', v.version_id, true, exp(:u / 100.0), '{"tone": -1}' FROM model_mgr.model_version v;
\elif :x = 3
SELECT model_mgr.record_feedback(decision, :u % 2 = 0) FROM model_mgr.route('spam', 'u' || :u);
\else
SELECT model_mgr.record_outcome(decision, :u % 5 <> 0, :u / 1000.0) FROM model_mgr.route('spam', 'u' || :u);
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

my @runs = (pgbench(8, 'plain@8', 'many@4', 'abort@2', 'savepoint@3', 'prepared@2'), pgbench(2, 'tick@1'));

# The long transaction writes early and late, and lets its own rows wait as long as it lasts.
my $long = $node->background_psql('postgres');
$long->query("BEGIN; SELECT model_mgr.update_model_metrics('spam', '1', 0.75, true) FROM generate_series(1, 10);");
my $end = time + $seconds;
my ($looks, $wrong, $committed) = (0, '', 0);
while (time < $end)
{
	my $isolation = $looks % 2 ? 'REPEATABLE READ' : 'READ COMMITTED';
	my $answer = $node->safe_psql('postgres', "BEGIN ISOLATION LEVEL $isolation; $ModelMgr::totals_query; $ModelMgr::history_query; COMMIT;");
	$wrong .= "look $looks ($isolation): $answer\n" if $answer ne "0\n0";
	# A session that has written itself sees its own rows in the totals, too.
	$answer = $node->safe_psql('postgres', "BEGIN; SELECT model_mgr.update_model_metrics('spam', '2', 0.5, true);
		SELECT count(*) FROM model_mgr.tick(); SELECT model_mgr.update_model_metrics('spam', '2', 0.5, true); $ModelMgr::totals_query; COMMIT;");
	$wrong .= "look $looks (own rows): $answer\n" if (split /\n/, $answer)[-1] ne '0';
	$looks++;
	if (!$committed && time > $end - $seconds / 3)
	{
		$long->query("SELECT model_mgr.update_model_metrics('spam', '1', 0.75, true) FROM generate_series(1, 10); COMMIT;");
		$committed = 1;
	}
}
$long->query('COMMIT;') unless $committed;
for my $run (@runs)
{
	IPC::Run::finish($run->{run});
	like($run->{out}, qr/number of failed transactions: 0 /, 'no transaction of the load failed');
	is($run->{err} =~ /(ERROR.*|aborted.*)/ ? $1 : '', '', 'no client of the load stopped');
}
cmp_ok($looks, '>=', 3, "the totals were compared $looks times");
is(substr($wrong, 0, 1000), '', 'at every look the rollups agreed with the observations');
totals_agree($node, 'they agree at the end');
$node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.tick()') for 1 .. 2;
totals_agree($node, 'and after the last ticks');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation'), '>', 500, 'there was something to count');
is($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.rollup_tail'), '0', 'everything is folded');
is($node->safe_psql('postgres', 'SELECT sum(requests) FROM model_mgr.rollup_minute'),
	$node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation WHERE NOT feedback'), 'each request exactly once');
$long->quit;
finish($node);
