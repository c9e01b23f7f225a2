# Under load and without any scheduler a bad candidate is taken back by the recordings themselves; none of them fails,
# waits for a lock somebody holds, or is lost.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('load', conf => "synchronous_commit = off\n");
$node->safe_psql('postgres', serving('spam', '1', '2', '3'));
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/outcome.sql", q{\set u random(1, 100000)
SELECT model_mgr.record_outcome(decision, value = '1', 0.2) FROM model_mgr.route('spam', 'u' || :u);
});
append_to_file("$dir/direct.sql", q{\set u random(1, 100)
INSERT INTO model_mgr.observation (version_id, success, response_time)
SELECT version_id, :u > 50, 0.2 FROM model_mgr.model_version WHERE version = '3';
});

# writers: eight in the background.
sub writers { my ($file) = @_; return load($node, '-c', 8, '-j', 2, '-T', soak() ? 120 : 8, '-M', 'prepared', '-f', "$dir/$file"); }

# deploy: a canary of half the traffic, judged by its limits: the guard would not wait for that many samples.
sub deploy
{
	my ($version) = @_;
	return $node->safe_psql('postgres', "SELECT deployment_id FROM model_mgr.deploy_model_version('spam', '$version', 'canary',
		rollout => '{\"steps\": [50, 100], \"min_requests\": 200, \"guard\": \"off\"}')");
}

# taken_back: waits for the rollback, however long it takes on a busy machine, and checks that it left its evidence.
sub taken_back
{
	my ($deployment, $run, $name) = @_;
	ok(poll_under_load($node, "SELECT status = 'rolled_back' FROM model_mgr.get_deployment($deployment)", $run), "$name: taken back");
	is($node->safe_psql('postgres', "SELECT count(*) > 0 FROM model_mgr.explain_deployment($deployment)
			WHERE status = 'rolled_back' AND metric_name = 'success_rate' AND value < limit_value AND samples >= 200"), 't', "$name: with the numbers it was decided on");
	is($node->safe_psql('postgres', "SELECT model_mgr.route_version('spam', 'anybody')"), '1', "$name: the version before serves");
}

# no_loss: the load ended well and each of its recordings is there.
sub no_loss
{
	my ($run, $before, $name) = @_;
	IPC::Run::finish($run->{run});
	my $done = 0;
	$done += $_ for $run->{out} =~ /number of transactions actually processed: (\d+)/g;
	is(join(' ', grep { $_ > 0 } $run->{out} =~ /number of failed transactions: (\d+) /g), '', "$name: no recording failed");
	is($run->{err} =~ /(ERROR.*|aborted.*)/ ? $1 : '', '', "$name: no writer stopped");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation') - $before, $done, "$name: all $done recordings are there");
	totals_agree($node, "$name: rollups agree with the observations");
}

my $deployment = deploy('2');
my $run = writers('outcome.sql');
taken_back($deployment, $run, 'record_outcome');
no_loss($run, 0, 'record_outcome');

# By direct INSERT, while somebody holds the model's lock for a while: recordings go on, the rollback comes after.
$deployment = deploy('3');
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation');
my $holder = $node->background_psql('postgres');
$holder->query("BEGIN; SELECT status FROM model_mgr.pause_deployment($deployment, 'looking at it');");
$run = writers('direct.sql');
poll_under_load($node, "SELECT count(*) > $before + 500 FROM model_mgr.observation", $run) or die 'nothing is recorded';
is($node->safe_psql('postgres', "SELECT status FROM model_mgr.get_deployment($deployment)"), 'running', 'while its lock is held nothing is decided, and recording goes on');
$holder->query_safe('COMMIT;');
taken_back($deployment, $run, 'direct INSERT, paused');
no_loss($run, $before, 'direct INSERT');
$holder->quit;

# Cancelled at any moment, also in the middle of an evaluation at commit: a recording is stored or refused, as its
# writer is told; with the clock held still every commit evaluates.
$deployment = deploy('2');
$before = $node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation');
append_to_file("$dir/victim.sql", "SET application_name = 'victim';\nSELECT now() AS now \\gset\nSET model_mgr.clock = :'now';\n"
	  . "SELECT model_mgr.update_model_metrics('spam', '2', 0.2, true) FROM generate_series(1, 3);\n\\echo state :SQLSTATE\n" x (soak() ? 20_000 : 500));
my @victims;
for my $n (1 .. 3)
{
	my $victim = { out => '', err => '' };
	$victim->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$dir/victim.sql" ],
		'>', \$victim->{out}, '2>', \$victim->{err});
	push @victims, $victim;
}
while (grep { $_->{run}->pumpable } @victims)
{
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim' AND random() < 0.7");
	eval { $_->{run}->pump_nb; 1 } or 1 for @victims;
}
my %states;
for my $victim (@victims)
{
	IPC::Run::finish($victim->{run});
	$states{$_}++ for $victim->{out} =~ /^state (\w+)$/mg;
}
is(join(' ', sort keys %states), '00000 57014', 'cancelled recordings say so, and nothing else goes wrong');
is($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation') - $before, 3 * $states{'00000'},
	"stored are the $states{'00000'} that succeeded, not the $states{'57014'} that were cancelled");
totals_agree($node, 'cancelled at any moment: rollups agree with the observations');
is($node->safe_psql('postgres', "SELECT status FROM model_mgr.get_deployment($deployment)"), 'running', 'and the good candidate still runs');
finish($node);
