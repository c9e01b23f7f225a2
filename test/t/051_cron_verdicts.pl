# What is a cron expression: the verdicts of schedule_update() and of a real pg_cron over one list. Where they differ pg_cron
# takes what it then reads as something else, or what never fires; each such difference is listed here with its reason.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $libdir = `pg_config --pkglibdir`;
chomp $libdir;
plan skip_all => 'pg_cron is not installed' unless -e "$libdir/pg_cron.so";

my $node = new_node('verdicts', start => 0);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\ncron.launch_active_jobs = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION model_mgr; CREATE EXTENSION pg_cron;' . serving('m', '1'));
$node->safe_psql('postgres', q{
	CREATE FUNCTION verdict(statement text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN EXECUTE statement; RETURN 'taken'; EXCEPTION WHEN OTHERS THEN RETURN 'refused'; END $$});

my @same = ('* * * * *', '0 0 * * 0', '0 0 * * 7', '0 0 * * 8', '60 * * * *', '59 23 31 12 *', '0 24 * * *', '0 0 0 * *', '0 0 32 * *', '0 0 1 0 *', '0 0 1 13 *',
	'*/5 * * * *', '*/0 * * * *', '*/60 * * * *', '*/100 * * * *', '5/10 * * * *', '1-5/2 * * * *', '1-5/0 * * * *', '1,2,3 * * * *', '1,,2 * * * *', ',1 * * * *', '1, * * * *',
	'0 0 * jan *', '0 0 * JAN-mar *', '0 0 * * mon-fri', '0 0 * * sun', '0 0 * * fri-sun', '0 0 * * 5-7', '0 0 * * sunday', '0 0 * january *', '0 0 * * mon,wed,fri',
	'@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually', '@WEEKLY', '@every 5m', '@weekly ', ' @weekly', '', ' ', '* * * *', ' 0 0 * * 0', '0 0 * * 0 ',
	"0\t0 * * 0", '0  0  *  *  0', 'a * * * *', '-1 * * * *', '1- * * * *', '1-5/ * * * *', '*/ * * * *', '0 0 29 2 *', '0 0 30 2 1', '30 seconds', '0 0 L * *', '0 0 ? * *',
	'0 0 15W * *', '01 00 * * *', '99999999999 * * * *', '0 0 * * mon/2', '0 0 * * */2', '0 0 1-31/2 * 1', '0 0 * * 0-7', '+5 * * * *', '0x5 * * * *', '*,5 * * * *', '*/2,5 * * * *',
	'0 0 jan * *', 'mon 0 * * *', '0 0 * mon *', '~ * * * *', '0-59/70 * * * *', '10-10 * * * *', '0 0 1,15 * *', '0 0 29 2 */7', '0 0 31 */2 */2');
# What pg_cron takes and schedule_update() refuses.
my %stricter = ('@reboot' => 'names no time', '0 0 30 2 *' => 'never fires', '0 0 31 4 *' => 'never fires', '5-1 * * * *' => 'is read as an empty list', '0 0 * * fri-mon' => 'is read as an empty list',
	'* * * * * *' => 'what follows is passed over', '* * * * * select' => 'what follows is passed over', '** * * * *' => 'the rest of a field is passed over', '*5 * * * *' => 'the rest of a field is passed over',
	'*-5 * * * *' => 'the rest of a field is passed over', '0 0 * * 1#2' => 'the rest of a field is passed over', '1.5 * * * *' => 'the rest of a field is passed over', '1-2-3 * * * *' => 'the rest of a field is passed over',
	'1-5/2/2 * * * *' => 'the rest of a field is passed over', '1;2 * * * *' => 'the rest of a field is passed over', '* * * * mon#1' => 'the rest of a field is passed over', '4294967296 * * * *' => 'the number overflows');

sub verdicts
{
	my ($expression) = @_;
	(my $quoted = $expression) =~ s/'/''/g;
	return split /\|/, $node->safe_psql('postgres', "SELECT verdict(format('SELECT model_mgr.schedule_update(''m'', ''latest'', %L)', '$quoted')), verdict(format('SELECT cron.schedule(%L, ''SELECT 1'')', '$quoted'))");
}
my ($taken, $refused) = (0, 0);
for my $expression (@same)
{
	my ($ours, $theirs) = verdicts($expression);
	is($ours, $theirs, "\"$expression\": $theirs");
	$ours eq 'taken' ? $taken++ : $refused++;
}
ok($taken > 30 && $refused > 30, "verdicts of both kinds: $taken taken, $refused refused");
is(join(' ', verdicts($_)), 'refused taken', "\"$_\": $stricter{$_}") for sort keys %stricter;
$node->stop;
done_testing();
