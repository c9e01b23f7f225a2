# Backups of the registry: maintain() writes one when it is due, whole or not at all, for the server's user alone; the
# oldest of its own go, and nothing else; a file restores the registry elsewhere; what is wrong is told.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('backup', conf => "model_mgr.enforcement = off\n");
my $connstr = $node->connstr('postgres');

# files: names in the directory, but for those given.
sub files
{
	opendir(my $handle, $dir) or die;
	return [ sort grep { !/^\./ } readdir $handle ];
}
# maintain: at an hour of the tests' time; its warnings.
sub maintain
{
	my ($day, $hour) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', sprintf("SET model_mgr.clock = '2026-03-%02d %02d:00:00+00'; SET client_min_messages = warning; CALL model_mgr.maintain();", $day, $hour),
		stdout => \$out, stderr => \$err);
	return $err;
}
sub health { return $node->safe_psql('postgres', "SELECT ok || ' ' || detail FROM model_mgr.health_check() WHERE check_name = 'backups'"); }

like(health(), qr/^true backup_enabled is on, but there is no backup_directory/, 'an empty registry has nothing to lose, but it is told');
$node->safe_psql('postgres', at(0, serving('spam', '1.0.0', '2.0.0')) . "SELECT model_mgr.set_alias('spam', 'o''hara \"x\" \\ grün', '2.0.0')");
like(health(), qr/^false backup_enabled is on, but there is no backup_directory: no backups are written; models: 1/, 'one with models has');
like($node->safe_psql('postgres', "SET model_mgr.backup_enabled = off; SELECT ok FROM model_mgr.health_check() WHERE check_name = 'backups'"), qr/t$/, 'who wants none says so');
is(maintain(2, 0), '', 'maintain() does without');
is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.maintenance_tasks() t WHERE t = 'backup'"), 0, 'and has no such task');

$node->safe_psql('postgres', "ALTER DATABASE postgres SET model_mgr.backup_directory = '$dir/'");
append_to_file("$dir/$_", 'not ours') for 'model_mgr-postgres-x.json', 'model_mgr-other-20260101T000000Z.json', 'registry.json', 'model_mgr-postgres-20260101T000000Z.json.gz';
my @others = @{ files() };
is(maintain(2, 1), '', 'with a directory');
is_deeply(files(), [ sort @others, 'model_mgr-postgres-20260302T010000Z.json' ], 'there is a backup');
my $file = "$dir/model_mgr-postgres-20260302T010000Z.json";
is((stat $file)[2] & 07777, 0600, 'that the server\'s user alone reads');
is($node->safe_psql('postgres', "SELECT pg_read_file('$file')::jsonb = model_mgr.export_registry()"), 't', 'it is the registry');
is(maintain(2, 13), '', 'twelve hours later');
is(scalar @{ files() }, @others + 1, 'it is not due');
is(maintain(2, 1 + 24 - 24), '', 'nor at the same time again');
$node->safe_psql('postgres', "ALTER DATABASE postgres SET model_mgr.backup_interval_hours = 12");
is(maintain(2, 13), '', 'with a shorter interval');
is(scalar @{ files() }, @others + 2, 'it is');
$node->safe_psql('postgres', "ALTER DATABASE postgres RESET model_mgr.backup_interval_hours");
is($node->safe_psql('postgres', "SET model_mgr.clock = '2026-03-03 14:00+00'; SELECT ok || ' ' || hint IS NOT NULL FROM (SELECT ok::text, coalesce(hint, '') AS hint FROM model_mgr.health_check() WHERE check_name = 'backups') c"),
	't', 'told');
is($node->safe_psql('postgres', "SET model_mgr.clock = '2026-03-03 14:59+00'; SELECT ok FROM model_mgr.health_check() WHERE check_name = 'backups'"), 't', 'a day and two hours are well');
is($node->safe_psql('postgres', "SET model_mgr.clock = '2026-03-03 15:01+00'; SELECT ok || ' ' || detail FROM model_mgr.health_check() WHERE check_name = 'backups'"),
	"false backups in \"$dir\": 2, the last of 2026-03-02 13:00:00 UTC", 'longer is not');

# What a crash left of an unfinished one goes with the next; seven are kept.
append_to_file("$dir/model_mgr-postgres-20260302T140000Z.json.4711.tmp", '{"format"');
append_to_file("$dir/model_mgr-postgres-20260302T140000Z.json.4711.tmp.mine", 'not ours');
push @others, 'model_mgr-postgres-20260302T140000Z.json.4711.tmp.mine';
is(maintain($_, 13), '', "day $_") for 3 .. 11;
is_deeply(files(), [ sort @others, map { sprintf 'model_mgr-postgres-202603%02dT130000Z.json', $_ } 5 .. 11 ], 'the last seven are kept, and everybody else\'s');

# A clock that was held in the future has left its backups; those of now are made, and are the last seven, all the same.
my @future = map { "model_mgr-postgres-2027010${_}T000000Z.json" } 1 .. 7;
append_to_file("$dir/$_", 'of the future') for @future;
is(maintain(12, 13), '', 'day 12');
is_deeply(files(), [ sort @others, @future, map { sprintf 'model_mgr-postgres-202603%02dT130000Z.json', $_ } 6 .. 12 ], 'the future pushes nothing out');
unlink map { "$dir/$_" } @future;

# A backup that cannot be written leaves nothing half, is told, and stops nothing else.
my $kept = files();
$node->safe_psql('postgres', "ALTER DATABASE postgres SET model_mgr.backup_directory = '$dir/gone'");
like(maintain(13, 13), qr/WARNING:  maintain: "backup" was left for the next time\n.*could not create file.*No such file/, 'no directory');
like(health(), qr/^false backup_directory "\Q$dir\E\/gone" cannot be written to: No such file or directory/, 'health_check() says so');
$node->safe_psql('postgres', "ALTER DATABASE postgres SET model_mgr.backup_directory = '$dir/registry.json'");
like(maintain(13, 13), qr/"backup" was left/, 'a file');
like(health(), qr/^false .*it is no directory/, 'and so');
$node->safe_psql('postgres', "ALTER DATABASE postgres SET model_mgr.backup_directory = '$dir'");
chmod 0500, $dir;
like(maintain(13, 13), qr/"backup" was left.*\n.*Permission denied/, 'one that the server may not write to');
like(health(), qr/^false .*Permission denied/, 'and so');
chmod 0700, $dir;
is_deeply(files(), $kept, 'nothing is left of them');

# Two databases share a directory, also with names that would be others' beginnings.
$node->safe_psql('postgres', 'CREATE DATABASE "postgres-2026 x/y"');
$node->safe_psql('postgres-2026 x/y', "CREATE EXTENSION model_mgr");
$node->safe_psql('postgres', qq{ALTER DATABASE "postgres-2026 x/y" SET model_mgr.backup_directory = '$dir'});
$node->psql('postgres-2026 x/y', "SET model_mgr.clock = '2026-03-12 13:00+00'; CALL model_mgr.maintain()");
is_deeply(files(), [ sort @$kept, 'model_mgr-postgres%2D2026%20x%2Fy-20260312T130000Z.json' ], 'each writes its own');
is(maintain(13, 13), '', 'and keeps');
is(scalar(grep { /^model_mgr-postgres-\d+T\d+Z\.json$/ } @{ files() }), 7, 'its own');

# By hand: where one may.
is($node->safe_psql('postgres', "SELECT model_mgr.backup_registry('by hand ''1''.json')"), "$dir/by hand '1'.json", 'by hand');
$node->safe_psql('postgres', "SELECT model_mgr.archive_model_version('spam', '2.0.0')");
is($node->safe_psql('postgres', "SELECT model_mgr.backup_registry('by hand ''1''.json')"), "$dir/by hand '1'.json", 'again replaces it');
is($node->safe_psql('postgres', "SELECT pg_read_file('$dir/by hand ''1''.json')::jsonb = model_mgr.export_registry()"), 't', 'whole');
$node->safe_psql('postgres', "SELECT model_mgr.setup_roles(); CREATE ROLE olga LOGIN IN ROLE model_mgr_operator; CREATE ROLE rita LOGIN IN ROLE model_mgr_reader");
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION olga; SELECT model_mgr.backup_registry('olga.json')"), "$dir/olga.json", 'an operator');
like($node->safe_psql('postgres', "SET SESSION AUTHORIZATION olga; SELECT model_mgr.backup_registry('$_')"), qr/\Q$_\E$/, "$_ is nobody's") for 'model_mgr-20260313T140000Z.json', 'my-model_mgr-x-20260313T140000Z.json', 'm.json';
for my $case (
	[ 'olga', "'$dir/absolute.json'", '42501', 'an absolute path' ],
	[ 'olga', "'../up.json'", '22023', 'one that leads up' ],
	[ 'olga', "'a/../../up.json'", '22023', 'in the middle' ],
	[ 'postgres', "'$dir/../up.json'", '22023', 'also for those who may' ],
	[ 'olga', "'a/'", '22023', 'a directory' ],
	[ 'olga', "''", '42602', 'no name' ],
	[ 'olga', 'NULL', '22004', 'NULL' ],
	[ 'olga', "E'a\\nb'", '42602', 'a control character' ],
	[ 'olga', "repeat('a', 256)", '42622', 'too long' ],
	[ 'olga', "'model_mgr-postgres-20260313T140000Z.json'", '42939', 'a name as maintain() gives' ],
	[ 'postgres', "'$dir/model_mgr-other%20db-20990101T000000Z.json'", '42939', 'anywhere, of any database, for anybody' ],
	[ 'olga', "'nowhere/x.json'", '58P01', 'a directory that is not there' ],
	[ 'rita', "'rita.json'", '42501', 'a reader' ])
{
	my ($who, $name, $code, $what) = @$case;
	$who = $node->safe_psql('postgres', 'SELECT current_user') if $who eq 'postgres';
	my ($out, $err) = ('', '');
	$node->psql('postgres', "\\set VERBOSITY sqlstate\nSET SESSION AUTHORIZATION \"$who\";\nSELECT model_mgr.backup_registry($name)", stdout => \$out, stderr => \$err);
	like($err, qr/ERROR:  $code$/m, "$what: $code");
}
$node->safe_psql('postgres', 'GRANT pg_write_server_files TO olga');
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION olga; SELECT model_mgr.backup_registry('$dir/absolute.json')"), "$dir/absolute.json", 'with pg_write_server_files');
ok(!-e "$dir/../up.json", 'nothing was written outside');
is_deeply([ grep { /tmp$/ } @{ files() } ], [], 'and nothing is left over');
like($node->safe_psql('postgres', "SELECT string_agg(DISTINCT user_name, ' ') FROM model_mgr.audit_log WHERE operation = 'backup'"), qr/olga/, 'backups are in the audit log');

# Restored elsewhere, as the documentation says.
my $there = new_node('there', conf => "model_mgr.enforcement = off\n");
my $restore = doc_block('docs/storage.md', 0) =~ s{/var/backups/.*?\.json}{$dir/absolute.json}r;
is($there->safe_psql('postgres', $restore), 2, 'restored');
is($there->safe_psql('postgres', 'SELECT model_mgr.export_registry()'), $node->safe_psql('postgres', 'SELECT model_mgr.export_registry()'), 'the same registry');
is(routes($there, 'spam', 100), routes($node, 'spam', 100), 'which routes the same');

# A server that goes down at any moment of a backup leaves the old file or the new one.
$node->safe_psql('postgres', "SELECT count(model_mgr.create_model_version('many', i::text, '{\"provider\": \"test\", \"model_name\": \"m\"}', repeat('x', 5000))) FROM generate_series(1, 2000) i");
my $whole = $node->safe_psql('postgres', 'SELECT md5(model_mgr.export_registry()::text)');
my ($written, $torn) = (0, 0);
for my $n (1 .. (soak() ? 50 : 4))
{
	my ($out, $err) = ('', '');
	my $backups = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \("SELECT model_mgr.backup_registry('killed.json');\n" x 1000), '>', \$out, '2>', \$err);
	$backups->pump until $out =~ /(.*\n){$n}/;
	$node->stop('immediate');
	$backups->finish;
	$node->start;
	$written++ if -e "$dir/killed.json";
	$torn++ if $node->safe_psql('postgres', "SELECT md5((pg_read_file('$dir/killed.json')::jsonb)::text)") ne $whole;
}
isnt($written, 0, 'backups were written');
is($torn, 0, 'and none is torn');
finish($node, $there);
