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
	# A test that waits in vain fails by name.
	my $limit = 1000 * $PostgreSQL::Test::Utils::timeout_default;
	my @tests = glob("$package/test/*.test.js");
	IPC::Run::run([ 'node', '--test-reporter=tap', "--test-timeout=$limit", '--test', @tests ], '<', \undef, '>&', \$said);
	# Its subtests are ours. (Version 18 puts them below the file, later ones do not.)
	my @seen = $said =~ /^ *((?:not )?ok) \d+ - (?!\/)(.+)$/mg;
	while (my ($ok, $name) = splice @seen, 0, 2) { ok($ok eq 'ok', $name); }
	like($said, qr/^# tests [1-9]\d*\n(?:# suites \d+\n)?# pass [1-9]\d*\n# fail 0\n# cancelled 0\n# skipped 0\n/m, 'all ran, none failed') or diag($said);
}
# The test started the server, so this one does not know it yet.
$node->_update_pid(1);
finish($node);
