# The mirror in a real Redis: taken by redis-cli --pipe under any name, replaced whole; a client routes from it alone as
# route_version() does; and the registry comes back from it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Cwd;
use File::Basename;
use ModelMgr;

for my $program ('redis-server', 'redis-cli', 'python3')
{
	plan skip_all => "$program is not installed" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}
my $clients = Cwd::abs_path(dirname(__FILE__) . '/../clients/redis');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($out, $err) = ('', '');
my $redis = IPC::Run::start([ 'redis-server', '--port', $port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', $dir ], '>', \$out, '2>', \$err);
# A test that dies takes it along.
END { my $status = $?; $redis->kill_kill if $redis && $redis->pumpable; $? = $status; }
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if `redis-cli -p $port PING 2>&1` eq "PONG\n";
	select undef, undef, undef, 0.1;
}
$ENV{REDIS_PORT} = $port;
$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = new_node('mirror', conf => "model_mgr.enforcement = off\n");
my ($command, $back) = doc_block('docs/storage.md');
$command =~ s/-d mydb/-d "@{[ $node->connstr('postgres') ]}"/ && $command =~ s/redis-cli/redis-cli -p $port/ && chomp $command or die;
# mirror: as docs/storage.md does it; what redis-cli says of it.
sub mirror
{
	my ($prefix, $dbname) = @_;
	my $connstr = $node->connstr($dbname // 'postgres');
	return qx{$command 2>&1} unless defined $prefix;
	open my $file, '>', "$dir/mirror.sql" or die;
	print $file "SELECT model_mgr.redis_mirror('$prefix')\n";
	close $file;
	return `psql -XAt -f "$dir/mirror.sql" "$connstr" | redis-cli -p $port --pipe 2>&1`;
}
sub redis { my (@command) = @_; my $answer = ''; IPC::Run::run([ 'redis-cli', '-p', $port, '--raw', @command ], '>', \$answer); chomp $answer; return $answer; }
# agree: of n units, the client and the database send each to the same version; to how many versions.
sub agree
{
	my ($model, $what, $versions, $n) = @_;
	$n //= 10000;
	# None, the shortest, four bytes, bytes that end lines elsewhere, spaces at both ends.
	my @units = ('', 'x', "\x{f0}\x{9f}\x{92}\x{a5}", "a\rb", "\r", "a\x0b\x0c\x{c2}\x{85}b", "a\x{e2}\x{80}\x{a8}b", ' a ');
	my $units = join '', map { "$_\n" } @units, map { $_ % 10 ? "unit $_ é" : "unit $_\r" } 1 .. $n - @units;
	my $routed = '';
	IPC::Run::run([ "$clients/route.py", $model ], '<', \$units, '>', \$routed) or fail("$what: the client fails");
	unlink "$dir/units";
	append_to_file("$dir/units", $units);
	unlink "$dir/model";
	append_to_file("$dir/model", $model);
	my $here = $node->safe_psql('postgres', "SELECT coalesce(model_mgr.route_version(pg_read_file('$dir/model'), u), '') FROM string_to_table(left(pg_read_file('$dir/units'), -1), E'\\n') WITH ORDINALITY t (u, n) ORDER BY n");
	my @here = split /\n/, $here, -1;
	my @there = split /\n/, $routed, -1;
	pop @there;
	is(scalar @there, $n, "$what: the client routes them all");
	my %seen = map { $_ => 1 } @there;
	is(scalar keys %seen, $versions, "$what: to $versions versions");
	is(scalar(grep { $here[$_] ne $there[$_] } 0 .. $n - 1), 0, "$what: as route_version() does");
}

like(mirror(), qr/errors: 0, replies: 3$/, 'an empty registry');
my $odd = 'o\'clf "x" \\ grün $5 *3';
$node->safe_psql('postgres', at(0, q{SET standard_conforming_strings = on; CREATE TABLE public.odd AS SELECT 'o''clf "x" \ grün $5 *3' AS name;}
  . q{SELECT count(model_mgr.create_model_version(name, v, '{"provider": "test", "model_name": "m", "note": "a\r\n$3\r\nb"}')) FROM public.odd, unnest('{1.0,1.1,1.2}'::text[]) v;
	SELECT count(model_mgr.deploy_model_version(name, '1.0')) FROM public.odd;
	SELECT count(model_mgr.deploy_model_version(name, '1.1', 'canary', rollout => '{"steps": [25, 100]}')) FROM public.odd;}
  . serving('plain', '1', '2') . serving('everywhere', '1', '2')
  . q{SELECT count(model_mgr.create_model_version('idle', '1', '{"provider": "test", "model_name": "m"}'));
	SELECT model_mgr.set_segment('plain', 'de', '{"country": "DE"}', '2');
	SELECT model_mgr.set_segment('everywhere', 'all', '{"not": {"country": "XX"}}', '2');}));
like(mirror(), qr/errors: 0, replies: \d+$/, 'models of all kinds');
is(redis('HGET', 'models:active', $odd), '1.0', 'the active version, by name');
is(redis('HLEN', 'models:active'), 3, 'of those that have one');
is(redis('HLEN', 'models:registry'), 4, 'all are in the registry');
agree($odd, 'a canary', 2);
agree('plain', 'one version', 1);
agree('everywhere', 'a segment that takes all', 1);
agree('idle', 'nothing active', 1);
is(redis('HGET', 'models:routing', 'plain') =~ /"segments": \[\{"segment": "de"/ ? 1 : 0, 1, 'segments are there for clients that have a context');

# A test that carries the traffic, of three arms, covering a part; and one in an exclusion group.
$node->safe_psql('postgres', at(1, serving('tested', 'a', 'b', 'c') . q{
	SELECT test_id FROM model_mgr.create_test('t-1', 'three', 'tested', 'a', 'tested', 'b', traffic_split => 0.3, routes_traffic => true, coverage => 0.8,
		arms => '[{"variant": "third", "version": "c", "share": 0.2}]', exclusion_group => 'g');}));
mirror();
agree('tested', 'a test with three arms', 3);

# Each strategy, as far as a unit's version is its own: the units of a sticky salt, all or none, half by a test, step by step.
$node->safe_psql('postgres', at(2, serving('sticky', '1', '2') . serving('blue', '1', '2') . serving('ab', '1', '2') . serving('steps', '1', '2') . q{
	SELECT status FROM model_mgr.deploy_model_version('sticky', '2', 'canary', rollout => '{"steps": [25, 100], "salt": "sticky"}');
	SELECT status FROM model_mgr.deploy_model_version('blue', '2', 'blue_green', rollout => '{"min_requests": 1000}');
	SELECT status FROM model_mgr.deploy_model_version('ab', '2', 'a_b_test');
	SELECT status FROM model_mgr.deploy_model_version('steps', '2', 'canary', rollout => '{"steps": [10, 40, 100]}');}));
mirror();
agree('sticky', 'a sticky salt', 2);
agree('blue', 'blue-green, before the switch', 1);
agree('ab', 'an A/B test', 2);
my ($few, $more) = map {
	agree('steps', "step $_", 2);
	my $candidate = redis('HGET', 'models:routing', 'steps') =~ /"below": (\d+)/ ? $1 : 0;
	$node->safe_psql('postgres', at(3, "SELECT model_mgr.promote_deployment(model_mgr.open_deployment('steps'))"));
	mirror();
	$candidate;
} 1, 2;
$node->safe_psql('postgres', at(3, "SELECT model_mgr.promote_deployment(model_mgr.open_deployment('blue'))"));
mirror();
is("$few $more", '1000 4000', 'the steps were mirrored');
agree('steps', 'after the last step', 1);
agree('blue', 'blue-green, after the switch', 1);

# Replaced whole: other keys stay, models that are gone go.
redis('SET', 'models:mine', 'stays');
$node->safe_psql('postgres', at(2, "SELECT model_mgr.delete_model('idle')"));
like(mirror(), qr/errors: 0/, 'again');
is(redis('HEXISTS', 'models:registry', 'idle'), 0, 'a model that is gone is gone');
is(redis('GET', 'models:mine'), 'stays', 'what is not of the mirror stays');
like(mirror('staging/"ä":'), qr/errors: 0/, 'under another prefix');
is(redis('HLEN', 'staging/"ä":registry'), 8, 'it is there');

# And back.
my $there = new_node('there', conf => "model_mgr.enforcement = off\n");
{
	local $ENV{REDISCLI} = "-p $port";
	my $home = getcwd();
	chdir "$clients/../.." or die;
	is($there->safe_psql('postgres', $back), 18, 'imported from Redis');
	chdir $home or die;
}
is($there->safe_psql('postgres', 'SELECT model_mgr.export_registry()'), $node->safe_psql('postgres', 'SELECT model_mgr.export_registry()'), 'the same registry');

# A database of another encoding writes the same.
$there->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$there->safe_psql('latin', 'CREATE EXTENSION model_mgr');
$there->safe_psql('latin', serving('grün', '1'));
my $connstr = $there->connstr('latin');
like(`psql -XAtc "SELECT model_mgr.redis_mirror('latin:')" "$connstr" | redis-cli -p $port --pipe 2>&1`, qr/errors: 0/, 'from LATIN1');
is(redis('HGET', 'latin:active', 'grün'), '1', 'names are UTF-8');

for my $case ([ "''", '42602' ], [ "E'a\\nb'", '42602' ], [ "repeat('a', 256)", '42622' ])
{
	my ($answer, $error) = ('', '');
	$node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT model_mgr.redis_mirror($case->[0])", stdout => \$answer, stderr => \$error);
	like($error, qr/ERROR:  $case->[1]/, "prefix $case->[0]: $case->[1]");
}
unlike(redis('HVALS', 'models:registry') . redis('HVALS', 'models:routing'), qr/unit_key|pin_hash/, 'the key stays at home');
$redis->kill_kill;
finish($node, $there);
