# What the monitor knows comes through pg_dump, plain and custom with four jobs, and goes on in the copy as in the
# original.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;
use ModelMgrMonitor;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $source = new_node('monitored');
my $cursor = watched($source);
my @one_row = qw(unit_key rollup_state audit_seal_state tick_state);

# contents: tables and readings.
sub contents
{
	my ($node, $dbname) = @_;
	return table_checksums($node, $dbname, without => \@one_row) . "\n" . watched_state($node, $dbname, $cursor);
}

my $contents = contents($source, 'postgres');
command_ok([ 'pg_dump', '-f', "$dir/plain.sql", '-d', $source->connstr('postgres') ], 'plain dump');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom.dump", '-d', $source->connstr('postgres') ], 'custom dump');

my $target = new_node('target', extension => 0);
{
	local $ENV{PGOPTIONS} = '-c model_mgr.enforcement=off -c session_preload_libraries=model_mgr';
	$target->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0');
	$target->safe_psql('postgres', 'CREATE DATABASE custom TEMPLATE template0');
	command_ok([ 'psql', '-Xqb1', '-o', "$dir/out", '-v', 'ON_ERROR_STOP=1', '-d', $target->connstr('plain'), '-f', "$dir/plain.sql" ], 'psql restores');
	command_ok([ 'pg_restore', '--exit-on-error', '-j', 4, '-d', $target->connstr('custom'), "$dir/custom.dump" ], 'pg_restore -j 4 restores');
}
for my $dbname ('plain', 'custom')
{
	$target->safe_psql('postgres', "ALTER DATABASE $dbname SET model_mgr.enforcement = off");
	is(contents($target, $dbname), $contents, "$dbname: tables and readings are the same");
}
goes_on($target, $_, $cursor, $_) for 'plain', 'custom';
goes_on($source, 'postgres', $cursor, 'original');

# The detectors have come to the same, whichever way they went.
my $detectors = q{SELECT count(*) || ' ' || md5(string_agg(t::text, E'\n' ORDER BY t::text)) FROM model_mgr.anomaly_state t};
is($target->safe_psql($_, $detectors), $source->safe_psql('postgres', $detectors), "$_: detectors learned what those of the original did")
  for 'plain', 'custom';
finish($source, $target);
