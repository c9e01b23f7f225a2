# dashboards/model_mgr.psqlrc as people use it: psql is started with it, and each command typed, on an empty and on a full database, as a role that may only
# look, in both alphabets: no error, rows where there are some, and no line wider than 120 columns of a terminal, whatever the names are.
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $rc = "$ENV{TESTDIR}/dashboards/model_mgr.psqlrc";
my @commands = slurp_file($rc) =~ /^\\set (\w+) '/mg;
is(join(' ', @commands), 'health top canary tests alerts events updates audit why', 'the commands');
my $node = new_node('psql', extra => [ '--encoding=UTF8', '--locale=C' ], conf => "model_mgr.enforcement = off\n");
$node->safe_psql('postgres', "SELECT model_mgr.setup_roles(); CREATE ROLE looker LOGIN; GRANT model_mgr_reader TO looker; ALTER DATABASE postgres SET model_mgr.clock = '2026-03-01 12:00:00+00'");
# columns: of a terminal, by Unicode's own tables.
sub columns
{
	my ($line) = @_;
	my $none = () = $line =~ /[\p{Mn}\p{Me}]/g;
	my $two = () = $line =~ /[\p{Ea=W}\p{Ea=F}]/g;
	return length($line) - $none + $two;
}
# typed: what psql prints for a line that is typed, and what it complains about.
sub typed
{
	my ($line, $charset, $dbname) = @_;
	local $ENV{PSQLRC} = $rc;
	local $ENV{PGOPTIONS} = "-c model_mgr.chart_charset=$charset";
	local $ENV{PGCLIENTENCODING} = $charset eq 'auto' ? 'LATIN1' : 'UTF8';
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-d', $node->connstr($dbname // 'postgres'), '-U', 'looker' ], '<', \"$line\n", '>', \$out, '2>', \$err);
	utf8::decode($out) if $charset ne 'auto';
	return ($out, $err);
}
# line: as it is typed.
sub line { return $_[0] eq 'why' ? ":why $_[1];" : ":$_[0]"; }

for my $command (@commands)
{
	my ($out, $err) = typed(line($command, 42), 'unicode');
	is($err, '', "$command: no error on an empty database");
	# setup_roles() has told the audit log
	like($out, $command eq 'audit' ? qr/\(1 row\)/ : qr/\(0 rows\)/, "$command: and no row");
}

# Everything as wide as it comes: names of 255 bytes, wide, combining and of another direction, and numbers of many digits.
my @names = ('w' . '界' x 84, 'long ' x 50, "e\x{301}" x 85, "x\x{202e}" . 'abc', "\x{1f98a}\x{1f469}\x{200d}\x{1f4bb}\x{2764}\x{fe0f}" x 10, q{o'clf "x" \\ <script>});
my $names = join ', ', map { my $n = s/'/''/gr; utf8::encode($n); "'$n'" } @names;
my $odd = '界' x 80;
utf8::encode($odd);
$node->safe_psql('postgres', qq{
	ALTER TABLE model_mgr.deployment ALTER deployment_id RESTART 1234567890;
	ALTER TABLE model_mgr.event ALTER event_id RESTART 1234567890;
	CREATE TABLE named AS SELECT n, row_number() OVER () AS i FROM unnest(ARRAY[$names]) n;
	SET client_min_messages = warning;
	SET model_mgr.clock = '2026-03-01 11:00:00+00';
	SELECT count(model_mgr.create_model_version(n, v, '{"provider": "p", "model_name": "m"}')) FROM named, unnest(ARRAY['1$odd', '2$odd', '3']) v;
	SELECT count(model_mgr.deploy_model_version(n, '1$odd')) FROM named;
	SELECT count(model_mgr.deploy_model_version(n, '2$odd', rollout => '{"steps": [1.25, 33.33, 66.67, 100], "step_seconds": 60, "approval": "each_step"}', auto_rollback_enabled => false)) FROM named;
	SELECT count(model_mgr.create_test('$odd' || i, 'a test', n, '1$odd', n, '3', primary_metric => 'success_rate', min_sample_size_per_variant => 10,
		arms => jsonb_build_array(jsonb_build_object('variant', '$odd', 'version', '2$odd', 'share', 0.3)))) FROM named;
	SELECT count(model_mgr.update_model_metrics(n, v, 1e9 / j, j % 10 <> 0, cost => 123456789.123456)) FROM named, unnest(ARRAY['1$odd', '2$odd']) v, generate_series(1, 100) j;
	SELECT count(model_mgr.record_result('$odd' || i, a, user_id => 'u' || j || a, success => j % 100 < CASE a WHEN 'control' THEN 50 WHEN 'treatment' THEN 60 ELSE 40 END))
		FROM named, unnest(ARRAY['control', 'treatment', '$odd']) a, generate_series(1, 300) j;
	SELECT sum(model_mgr.set_thresholds(n, jsonb_build_array(model_mgr.performance_threshold('p95_response_time', 2, '>', 'critical', 0)))) FROM named;
	SELECT count(*) FROM model_mgr.tick();
	SET model_mgr.clock = '2026-03-01 11:59:00+00';
	SELECT count(model_mgr.update_model_metrics(n, v, 1e9 / j, j % 10 <> 0, cost => 123456789.123456)) FROM named, unnest(ARRAY['1$odd', '2$odd']) v, generate_series(1, 100) j;
	SET model_mgr.clock = '2026-03-01 12:00:00+00';
	SELECT count(*) FROM model_mgr.tick();
	SELECT count(model_mgr.trigger_update(n, '3')) FROM named;});
my $id = $node->safe_psql('postgres', 'SELECT max(deployment_id) FROM model_mgr.deployment');
my %seen;
for my $charset (qw(unicode ascii))
{
	for my $command (@commands)
	{
		my ($out, $err) = typed(line($command, $id), $charset);
		$seen{"$command $charset"} = $out;
		is($err, '', "$command, $charset: no error");
		my ($rows) = $out =~ /\((\d+) rows?\)/;
		cmp_ok($rows // 0, '>', 0, "$command, $charset: rows");
		my @wide = grep { columns($_) > 120 } split /\n/, $out;
		is(join("\n", map { columns($_) . ": $_" } @wide), '', "$command, $charset: at most 120 columns") or binmode(Test::More->builder->failure_output, ':utf8');
		my $drawn = $out =~ s/[界\x{301}\x{1f98a}\x{1f469}\x{200d}\x{1f4bb}\x{2764}\x{fe0f}]//gr;
		unlike($drawn, qr/[^ -~\n]/, "$command: nothing beyond ASCII but names") if $charset eq 'ascii';
	}
}
my @drawn = map { (split / \| /, $_)[6] // '' } split /\n/, $seen{'tests ascii'};
is(scalar(grep { /^-0\.\d+ +0\.\d+ *$/ } @drawn), scalar @names, 'tests: the axis of each');
is(scalar(grep { /^[ |<]*[\[<][-+]*o[-+|]*[\]>][ |]*$/ } @drawn), 2 * @names, 'tests: an interval of each arm but control');
like($seen{'canary ascii'}, qr/\[>\.\.\.\]/, 'canary: the track');
like($seen{'canary unicode'}, qr/▕▓░░░▏/, 'canary: the same in Unicode');
like($seen{'health unicode'}, qr/█/, 'health: a spark');
# auto is ASCII where the client or the database could not show more.
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE template0 ENCODING '$_' LOCALE 'C'") for qw(latin1 sql_ascii);
for my $dbname (qw(latin1 sql_ascii))
{
	$node->safe_psql($dbname, q{CREATE EXTENSION model_mgr; SELECT model_mgr.setup_roles(); SET model_mgr.clock = '2026-03-01 12:00:00+00'; SET client_encoding = LATIN1;
		SELECT count(model_mgr.create_model_version(E'gr\xf6\xdfe', v, '{"provider": "p", "model_name": "m"}')) FROM unnest(ARRAY['1', '2']) v;
		SELECT count(model_mgr.deploy_model_version(E'gr\xf6\xdfe', v)) FROM unnest(ARRAY['1', '2']) v;
		SELECT count(model_mgr.update_model_metrics(E'gr\xf6\xdfe', '1', 0.1, true)) FROM generate_series(1, 60)});
	for my $charset (qw(auto unicode))
	{
		my ($out, $err) = typed('SET client_encoding = ' . ($dbname eq 'latin1' ? 'UTF8' : 'SQL_ASCII') . ";\n:health", $charset, $dbname);
		is($err, '', "$dbname, $charset: no error");
		like($out, qr/\#--- +10%|#---/, "$dbname, $charset: in ASCII");
	}
}
# The screen that renews itself: it comes again by itself, and Ctrl-C ends it, not the session.
{
	my ($in, $out, $err) = ("SELECT * FROM model_mgr.dashboard LIMIT 20 \\watch 0.1\nSELECT 'goes on';\n", '', '');
	my $watching = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-U', 'looker' ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	$watching->pump until $out =~ /every 0\.1s.*CRITICAL.*every 0\.1s.*CRITICAL/s;
	$watching->signal('INT');
	$watching->finish;
	like($out, qr/goes on/, '\watch: again and again, until Ctrl-C');
	# between two screens or in the midst of one
	like($err, qr/\A(Cancel request sent\nERROR:  canceling statement due to user request\n)?\z/, '\watch: without complaint');
}
finish($node);
