# clients/openfeature under the real SDK: its own tests, run by Node, against a live database that they stop and start.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $package = "$ENV{TESTDATADIR}/clients/openfeature";
my $node = new_node('flags');
my $pg_ctl = 'pg_ctl -w -D ' . $node->data_dir . ' -l ' . $node->logfile;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
$ENV{PGUSER} = getpwuid($<);
$ENV{SERVER_STOP} = "$pg_ctl -m immediate stop >/dev/null 2>&1";
$ENV{SERVER_START} = "$pg_ctl start >/dev/null 2>&1";

my $said = '';
my $installed = IPC::Run::run([ 'npm', 'ci', '--prefer-offline', '--prefix', $package ], '<', \undef, '>&', \$said);
ok($installed, 'the npm registry (or npm_config_cache) has what package-lock.json names') or diag($said);
if ($installed)
{
	my @tests = glob("$package/test/*.test.js");
	IPC::Run::run([ 'node', '--test-reporter=tap', '--test', @tests ], '<', \undef, '>&', \$said, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	# Its subtests are ours. (Version 18 puts them below the file, later ones do not.)
	my @seen = $said =~ /^ *((?:not )?ok) \d+ - (?!\/)(.+)$/mg;
	while (my ($ok, $name) = splice @seen, 0, 2) { ok($ok eq 'ok', $name); }
	like($said, qr/^# tests [1-9]\d*\n(?:# suites \d+\n)?# pass [1-9]\d*\n# fail 0\n# cancelled 0\n# skipped 0\n/m, 'all ran, none failed') or diag($said);
}
if ($installed)
{
	# A page shows this one.
	$node->_update_pid(1);
	$node->safe_psql('postgres', 'DROP EXTENSION model_mgr; CREATE EXTENSION model_mgr;' . serving('spam', '1.0.0'));
	IPC::Run::run([ 'node', "$package/example.js" ], '<', \undef, '>&', \$said);
	is($said, "version 1.0.0 serves: STATIC\n", 'example.js');
	is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE feedback AND success) FROM model_mgr.observation'), '2|1', 'its outcome and feedback');
}
# The test started the server, so this one does not know it yet.
$node->_update_pid(1);
finish($node);
