# Sealed exactly once: writers with aborts, savepoints, prepared transactions and a long transaction, ticks and
# seal_audit() at the same time; every committed entry gets its seal, once, and the chain verifies at any moment. Then
# dumps, restores (twice, with unsealed entries and without a tick between), a standby, and an export that a script
# outside verifies.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;
use File::Spec;
use Time::HiRes qw(time);
use ModelMgr;

my $seconds = soak() ? 300 : 8;
my $seed = $ENV{MODEL_MGR_SEED} // int(time) % 1_000_000;
note "seed $seed (MODEL_MGR_SEED repeats it)";
my $node = new_node('audited', allows_streaming => 1, conf => "synchronous_commit = off\nmax_prepared_transactions = 20\n");
my $dir = PostgreSQL::Test::Utils::tempdir();

my $verdict = q{SELECT concat_ws(' ', ok, unsealed, first_bad_audit_id, CASE WHEN NOT ok THEN detail END) FROM model_mgr.verify_audit_log()};
# Everything that is committed has its seal, the numbers have no gap.
my $complete = q{
	SELECT (SELECT count(*) FROM model_mgr.audit_list WHERE NOT sealed), (SELECT count(*) FROM model_mgr.audit_seal s
		WHERE NOT EXISTS (SELECT FROM model_mgr.audit_log l WHERE l.audit_id = s.audit_id)),
	(SELECT max(seq) - count(*) FROM model_mgr.audit_seal)};

my $write = "SELECT model_mgr.log_operation('x', 'm', :u::text, details => jsonb_build_object('n', :u / 7.0));\n";
my %scripts = (
	plain => "\\set u random(1, 1000)\n$write",
	many => "\\set u random(1, 1000)\nBEGIN;\n$write\\sleep 3 ms\n${write}COMMIT;\n",
	abort => "\\set u random(1, 1000)\nBEGIN;\n$write\\sleep 2 ms\nROLLBACK;\n",
	savepoint => "\\set u random(1, 1000)\nBEGIN;\n${write}SAVEPOINT a;\n${write}ROLLBACK TO a;\n${write}SAVEPOINT b;\n${write}RELEASE b;\n\\sleep 2 ms\nCOMMIT;\n",
	prepared => "\\set u random(1, 1000)\nBEGIN;\n${write}PREPARE TRANSACTION 'p:client_id';\n\\sleep 10 ms\n\\if :u % 4 = 0\nROLLBACK PREPARED 'p:client_id';\n\\else\nCOMMIT PREPARED 'p:client_id';\n\\endif\n",
	# The sealer itself writes and ends in every way.
	seal => "\\set u random(1, 1000)\n\\if :u % 4 = 0\nBEGIN;\n${write}SELECT model_mgr.seal_audit();\n${write}COMMIT;\n\\elif :u % 4 = 1\nBEGIN;\nSELECT model_mgr.seal_audit();\n${write}ROLLBACK;\n\\elif :u % 4 = 2\nBEGIN;\nSELECT model_mgr.seal_audit();\n${write}SELECT model_mgr.seal_audit();\nCOMMIT;\n\\else\nSELECT count(*) FROM model_mgr.tick();\n\\endif\n\\sleep 5 ms\n");
append_to_file("$dir/$_.sql", $scripts{$_}) for keys %scripts;
my ($out, $err) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 8, '-j', 2, '-T', $seconds, "--random-seed=$seed",
		(map { ('-f', "$dir/$_") } qw(plain.sql@8 many.sql@4 abort.sql@2 savepoint.sql@3 prepared.sql@2 seal.sql@2)),
		'-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>', \$err);
my $long = $node->background_psql('postgres');
$long->query("BEGIN; SELECT model_mgr.log_operation('long', 'm', i::text) FROM generate_series(1, 5) i;");
my ($looks, $wrong, $end) = (0, '', time + $seconds);
while (time < $end)
{
	my $isolation = $looks % 2 ? 'REPEATABLE READ' : 'READ COMMITTED';
	my $said = $node->safe_psql('postgres', "BEGIN ISOLATION LEVEL $isolation; $verdict; COMMIT;");
	$wrong .= "look $looks: $said\n" if $said !~ /^t \d+$/;
	$looks++;
}
$long->query("SELECT model_mgr.log_operation('long', 'm', i::text) FROM generate_series(6, 10) i; COMMIT;");
$long->quit;
IPC::Run::finish($load);
like($out, qr/number of failed transactions: 0 /, 'no transaction of the load failed');
is($err =~ /(ERROR.*|aborted.*)/ ? $1 : '', '', 'no client of the load stopped');
cmp_ok($looks, '>=', 3, "verified $looks times meanwhile");
is(substr($wrong, 0, 500), '', 'each time it held');
my $anchor = $node->safe_psql('postgres', 'SELECT model_mgr.seal_audit()');
is($node->safe_psql('postgres', $complete), '0|0|0', 'every committed entry has its one seal');
is($node->safe_psql('postgres', $verdict), 't 0', 'the chain holds');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.audit_log'), '>', 300, 'there was something to seal');
is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.audit_log WHERE operation = 'long'"), '10', 'the long transaction is there');

# outside: what the script says of an export.
my $script = File::Spec->rel2abs(dirname(__FILE__) . '/../verify_audit_export.py');
sub outside
{
	my ($of, $dbname, $edit, @anchors) = @_;
	my $export = $of->safe_psql($dbname, 'SELECT model_mgr.export_audit()') . "\n";
	my ($said, $complaint) = ('', '');
	$edit->($export) if $edit;
	open my $file, '>:raw', "$dir/export" or die $!;
	print $file $export;
	close $file;
	# From a file: the script ends at the first bad line.
	IPC::Run::run([ 'python3', $script, @anchors ], '<', "$dir/export", '>', \$said, '2>', \$complaint);
	chomp($said, $complaint);
	return $said . $complaint;
}
$node->safe_psql('postgres', q~SELECT model_mgr.log_operation('größe', 'a "b" \\ c', E'x', 'naïve', '{"n": 1.50, "big": 12345678901234567890.1, "t": ", \"details\" : {", "u": "☃", "e": 1e30}')~);
$anchor = $node->safe_psql('postgres', 'SELECT model_mgr.seal_audit()');
my $lines = $node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.audit_log');
is(outside($node, 'postgres', undef, $anchor), "$lines lines, $anchor", 'a script that knows the written form alone verifies the export');
like(outside($node, 'postgres', sub { $_[0] =~ s/1\.50/1.5/ }), qr/does not agree with its seal/, 'and minds one digit');
like(outside($node, 'postgres', sub { $_[0] =~ s/^(.*\n)(.*\n)/$2$1/ }), qr/does not follow|does not begin/, 'and the order');
like(outside($node, 'postgres', undef, 'ab' x 32), qr/no seal has the hash/, 'and an anchor of another log');

# A standby verifies.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('reader');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', "SELECT model_mgr.log_operation('after', 'm')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', $verdict), 't 1', 'a standby verifies');
is($standby->safe_psql('postgres', "SELECT ok FROM model_mgr.verify_audit_log('$anchor')"), 't', 'against an anchor, too');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.export_audit()'), $lines, 'and exports');
is(error_of($standby, 'SELECT model_mgr.seal_audit()'), '25006', 'it seals nothing');
is(error_of($standby, "SELECT model_mgr.log_operation('x')"), '25006', 'and logs nothing');

# Moved twice, with entries that nobody has sealed, and no tick in between.
sub moved
{
	my ($from, $from_db, $to, $to_db) = @_;
	my $file = "$dir/$to_db.dump";
	$from->safe_psql($from_db, "BEGIN; SELECT model_mgr.log_operation('before the dump', 'm', i::text) FROM generate_series(1, 3) i; COMMIT;");
	system_or_bail('pg_dump', '-Fc', '-f', $file, '-h', $from->host, '-p', $from->port, $from_db);
	$to->safe_psql('postgres', "CREATE DATABASE $to_db");
	system_or_bail('pg_restore', '-h', $to->host, '-p', $to->port, '-d', $to_db, $file);
	my ($held) = split / /, $to->safe_psql($to_db, $verdict);
	is($held, 't', "$to_db: verifies as restored");
	is($to->safe_psql($to_db, "SELECT ok FROM model_mgr.verify_audit_log('$anchor')"), 't', "$to_db: the anchor holds");
	$to->safe_psql($to_db, "SELECT model_mgr.log_operation('after the restore', 'm', i::text) FROM generate_series(1, 3) i");
}
my @others = map { new_node($_, extension => 0) } qw(second third);
# Ids of other clusters mean nothing here: few transactions in one, many in the other.
$others[1]->safe_psql('postgres', 'DO $$ BEGIN FOR i IN 1 .. 3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
moved($node, 'postgres', $others[0], 'moved');
moved($others[0], 'moved', $others[1], 'again');
moved($others[1], 'again', $others[0], 'back');
for my $case ([ $others[0], 'moved' ], [ $others[1], 'again' ], [ $others[0], 'back' ])
{
	my ($at, $dbname) = @$case;
	for my $round (1 .. 3)
	{
		$at->safe_psql($dbname, 'SELECT count(*) FROM model_mgr.tick()');
		is($at->safe_psql($dbname, $complete), '0|0|0', "$dbname: every entry is sealed once, tick $round");
		is($at->safe_psql($dbname, $verdict), 't 0', "$dbname: the chain holds");
		$at->safe_psql($dbname, "SELECT model_mgr.log_operation('then', 'm', i::text) FROM generate_series(1, 3) i");
	}
	is($at->safe_psql($dbname, "SELECT ok FROM model_mgr.verify_audit_log('$anchor')"), 't', "$dbname: the anchor of the first cluster is in it");
	is($at->safe_psql($dbname, 'SELECT count(*) FROM model_mgr.audit_seal_state'), '1', "$dbname: one state");
	like(outside($at, $dbname, undef, $anchor), qr/^\d+ lines/, "$dbname: the export verifies outside");
}
finish($standby, $node, @others);
