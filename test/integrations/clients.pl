# The examples of clients/ against a live database: requests are answered and credited, also while the server is down or
# hangs, and what was kept meanwhile arrives exactly once, even where the acknowledgement of a commit was lost.
use strict;
use warnings;
use File::Copy 'copy';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $clients = "$ENV{TESTDATADIR}/clients";
my $drivers = "$ENV{TESTDATADIR}/integrations/clients";
my $node = new_node('live');
$node->safe_psql('postgres', slurp_file("$clients/sql/outcome_batch.sql"));
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
$ENV{PGUSER} = getpwuid($<);

# Less than 20 lines of code a request, without imports.
for my $file (qw(python/request.py node/request.js go/request.go sql/request.sql))
{
	my @code = grep { !/^(package|import|from|\t"[a-z]+"$)/ && !/^\s*(#|\/\/|--|\/\*\*.*\*\/|"""|[})]+;?$|$)/ } split /\n/, slurp_file("$clients/$file");
	cmp_ok(scalar @code, '<', 20, "$file: " . scalar(@code) . ' lines');
}

# A quarter of a second is what a request gives its route; here, where a machine at work may stand still for longer, a second.
for my $patience ([ 'python/request.py', qr/ask\(0\.25,/, 'ask(1,' ], [ 'node/outcomes.js', qr/connectionTimeoutMillis: 250, query_timeout: 250/, 'connectionTimeoutMillis: 1000, query_timeout: 1000' ],
	[ 'go/request.go', qr/250\*time\.Millisecond/, 'time.Second' ])
{
	my ($file, $is, $becomes) = @$patience;
	my $text = slurp_file("$clients/$file");
	is($text =~ s/$is/$becomes/g, 1, "$file: its patience");
	unlink "$clients/$file";
	append_to_file("$clients/$file", $text);
}

# A test that dies takes its client along.
my $running;
END { my $status = $?; $running->{run}->kill_kill if $running && $running->{run}; $? = $status; }

# prepared: runs a command that a client needs, and says what it said when it fails.
sub prepared
{
	my ($name, @command) = @_;
	my $said = '';
	my $good = IPC::Run::run(\@command, '<', \undef, '>&', \$said);
	return 1 if $good;
	fail("$name: @command");
	diag($said);
	return 0;
}

# ask: one command to a driver, its answer; a driver that died or hangs fails the test.
sub ask
{
	my ($driver, $command) = @_;
	$driver->{in} .= "$command\n";
	$driver->{timer}->start($PostgreSQL::Test::Utils::timeout_default);
	until ($driver->{out} =~ /\n/)
	{
		return "(gone or silent: $driver->{err})" unless $driver->{run}->pumpable && !$driver->{timer}->is_expired;
		$driver->{run}->pump;
	}
	(my $answer, $driver->{out}) = split /\n/, $driver->{out}, 2;
	return $answer;
}

# server_processes: the server's process and those that serve clients.
sub server_processes
{
	my $postmaster = (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/)[0];
	return ($postmaster, split /\n/, $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"));
}

# observed: requests, units, feedback, and how many of both are known to be good.
sub observed
{
	return $node->safe_psql('postgres', q{
		SELECT count(*) FILTER (WHERE NOT feedback), count(DISTINCT unit_hash) FILTER (WHERE NOT feedback),
			count(*) FILTER (WHERE feedback), count(*) FILTER (WHERE success) FROM model_mgr.observation});
}

# lives_through: one client's life.
sub lives_through
{
	my ($name, @command) = @_;
	$node->safe_psql('postgres', 'DROP EXTENSION model_mgr; CREATE EXTENSION model_mgr; TRUNCATE outcome_batch;'
		  . serving('spam', '1.0.0', '2.0.0') . q{SELECT status FROM model_mgr.deploy_model_version('spam', '2.0.0', traffic_percentage => 50,
			rollout => '{"steps": [50, 100], "step_seconds": 86400}')});
	my %driver = (in => '', out => '', err => '', timer => IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	$running = \%driver;
	$driver{run} = IPC::Run::start(\@command, '<', \$driver{in}, '>', \$driver{out}, '2>', \$driver{err}, $driver{timer});

	is(ask(\%driver, 'serve 1 60'), 'served 60 without 0 by 1.0.0,2.0.0', "$name: routed");
	is(ask(\%driver, 'send'), 'kept 0', "$name: sent");
	is(observed(), '60|60|0|0', "$name: each request once, its truth not known");

	# The server is gone between two requests.
	is(ask(\%driver, 'serve 61 70'), 'served 10 without 0 by 1.0.0,2.0.0', "$name: routed, not yet sent");
	$node->stop('immediate');
	is(ask(\%driver, 'serve 71 100'), 'served 30 without 30 by 1.0.0', "$name: without the database the fallback serves");
	is(ask(\%driver, 'truth'), 'told 100', "$name: truth comes meanwhile");
	is(ask(\%driver, 'send'), 'kept 110', "$name: everything is kept");
	$node->start;
	is(ask(\%driver, 'send'), 'kept 0', "$name: it is back, all is sent");
	is(observed(), '100|100|70|100', "$name: exactly once, each with its truth");
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM model_mgr.observation WHERE recorded_at < pg_postmaster_start_time() AND txn = (SELECT max(txn) FROM model_mgr.observation)}),
		'110', "$name: with the times when they happened");

	# The server hangs: nobody waits for it. What was on its way when it stopped is done when it goes on, unacknowledged;
	# being sent again it must not count twice.
	is(ask(\%driver, 'serve 101 110'), 'served 10 without 0 by 1.0.0,2.0.0', "$name: routed again");
	my @processes = server_processes();
	kill 'STOP', @processes;
	is(ask(\%driver, 'serve 111 114'), 'served 4 without 4 by 1.0.0', "$name: a server that hangs keeps nobody waiting");
	kill 'CONT', @processes;
	is(ask(\%driver, 'truth'), 'told 14', "$name: told");
	# The commit waits behind a lock until the client has given up.
	my $lock = $node->background_psql('postgres');
	$lock->query_safe('BEGIN; LOCK TABLE model_mgr.observation IN ACCESS EXCLUSIVE MODE;');
	is(ask(\%driver, 'send 1'), 'kept 24', "$name: a batch that does not arrive in time is kept");
	# (pgx cancels what it gives up.)
	ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'relation'}),
		"$name: its first sending is under way") if $name ne 'Go';
	$lock->query_safe('COMMIT;');
	$lock->quit;
	is(ask(\%driver, 'send'), 'kept 0', "$name: sent again");
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query ~ 'outcome_batch' AND state = 'active' AND pid <> pg_backend_pid()});
	is(observed(), '114|114|80|114', "$name: once");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM outcome_batch'), '3', "$name: three batches");

	# (The server that was started meanwhile has inherited the pipe's end, so it does not end by closing.)
	is(ask(\%driver, 'quit'), 'bye', "$name: bye");
	$driver{run}->finish;
	$running = undef;
	totals_agree($node, "$name: rollups agree");
}

{
	local $ENV{PYTHONPATH} = "$clients/python";
	local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
	# The system's Python has the system's packages.
	my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
	lives_through('Python', $python, "$drivers/driver.py") if prepared('psycopg', $python, '-c', 'import psycopg');
}
lives_through('Node', 'node', "$drivers/driver.mjs")
  if prepared('the npm registry (or npm_config_cache) has what package-lock.json names', 'npm', 'ci', '--prefer-offline', '--prefix', "$clients/node");
{
	# Debian's packages of Go are a workspace of their own; elsewhere GOPATH and the modules do.
	local $ENV{GOPATH} = '/usr/share/gocode';
	local $ENV{GO111MODULE} = 'off';
	local $ENV{GOCACHE} = "$ENV{TESTDATADIR}/go";
	local $ENV{GOFLAGS} = '-p=2';
	# The files of a program lie in one directory.
	copy("$clients/go/$_", $drivers) for qw(outcomes.go request.go);
	my @sources = map { "$drivers/$_" } qw(outcomes.go request.go driver.go);
	is(scalar `gofmt -l @sources`, '', 'Go: formatted');
	lives_through('Go', "$drivers/driver") if prepared('go vet', 'go', 'vet', @sources) && prepared('go build', 'go', 'build', '-o', "$drivers/driver", @sources);
}

# Plain SQL, as psql runs it.
$node->safe_psql('postgres', 'DROP EXTENSION model_mgr; CREATE EXTENSION model_mgr; TRUNCATE outcome_batch;' . serving('spam', '1.0.0'));
my ($out, $err) = ('', '');
$node->psql('postgres', slurp_file("$clients/sql/request.sql"), stdout => \$out, stderr => \$err, on_error_stop => 1);
is($err, '', 'SQL: no error');
like($out, qr/version 1\.0\.0 and/, 'SQL: routed');
is(observed(), '2|2|1|2', 'SQL: two requests, the second batch counted once');
finish($node);
