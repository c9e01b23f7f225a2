# Point-in-time recovery by the commands of docs/only-in-a-database.md, to a name and to a time: routing, evidence, rollups and
# the audit log are those of that moment, decisions made before it are credited, cursors handed out after it are refused,
# and the clockwork goes on from there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('now', allows_streaming => 1, conf => "model_mgr.enforcement = off\n");
$node->safe_psql('postgres', 'CREATE DATABASE mydb');
$node->safe_psql('mydb', 'CREATE EXTENSION model_mgr');
mkdir "$dir/archive" or die;
my ($keep, $name, $copy, $ask) = doc_block('docs/only-in-a-database.md');

# page: runs a block of the page as it stands there, but for places and ports; what it prints.
my $port;
sub page
{
	my ($block) = @_;
	$block =~ s{/var/(archive|backups|lib)}{$1 eq 'archive' ? "$dir/archive" : $dir}ge;
	$block =~ s/5433/$port/g if defined $port;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATA => $node->data_dir);
	# The restarted server must not hold the test's pipes.
	IPC::Run::run([ 'bash', '-eu', '-o', 'pipefail', '-c', "exec 2>&1\n$block" ], '<', \undef, '>', "$dir/out") or diag slurp_file("$dir/out");
	is($?, 0, 'the commands of the page succeed') or die;
	return slurp_file("$dir/out");
}
# story: everything that decides or shows, as one text.
sub story
{
	my ($there, $deployment) = @_;
	return join "\n", map { $there->safe_psql('mydb', $_) }
	  "SELECT model_mgr.export_registry()",
	  "SELECT e.*, CASE WHEN e.evidence ? 'decision' THEN model_mgr.replay_evidence(e.evidence) = e.evidence ->> 'decision' END FROM model_mgr.explain_deployment($deployment) e",
	  "SELECT count(*), sum(requests), sum(successes) FROM model_mgr.rollup_now",
	  "SELECT count(*), md5(string_agg(l::text, '' ORDER BY audit_id)) FROM model_mgr.audit_log l",
	  "SELECT model_mgr.route_at('spam', 'unit ' || i, '2026-03-01 00:05:00+00') FROM generate_series(1, 200) i";
}

page($keep);
$node->_update_pid(1);
my $deployment = canary($node, 'spam', dbname => 'mydb');
$node->safe_psql('mydb', at(2, serve('spam', 1, 300) . 'SELECT count(*) FROM model_mgr.tick();'));
$node->safe_psql('mydb', at(12, serve('spam', 1, 300) . "SELECT count(*) FROM model_mgr.tick(); SELECT model_mgr.pin_unit('spam', 'unit 1', '2.0.0')"));
my $decision = (split /\n/, $node->safe_psql('mydb', at(13, "SELECT decision FROM model_mgr.route('spam', 'unit 1')")))[-1];
page($name);
my $then = story($node, $deployment);
my $routes = routes($node, 'spam', 2000, 'mydb');
like($then, qr/step 2 of/, 'a step was taken on evidence');

# After that moment the version fails and goes, between two times that are noted.
my $time = $node->safe_psql('mydb', 'SELECT clock_timestamp()');
$node->safe_psql('mydb', at(14, serve('spam', 301, 900, "r.value <> '2.0.0'") . "SELECT count(*) FROM model_mgr.tick(); SELECT model_mgr.unpin_unit('spam', 'unit 1')"));
my $cursor = $node->safe_psql('mydb', 'SELECT cursor FROM model_mgr.events_since() ORDER BY event_id DESC LIMIT 1');
is($node->safe_psql('mydb', "SELECT status FROM model_mgr.get_deployment($deployment)"), 'rolled_back', 'later it was taken back');
isnt(routes($node, 'spam', 2000, 'mydb'), $routes, 'and others are served');
my $later = story($node, $deployment);
my $segment = $node->safe_psql('mydb', 'SELECT pg_walfile_name(pg_switch_wal())');
$node->poll_query_until('mydb', "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver") or die 'nothing is archived';

for my $target ('name', 'time')
{
	$port = PostgreSQL::Test::Cluster::get_free_port();
	my $block = $copy =~ s{/var/lib/then}{/var/lib/$target}gr;
	$block =~ s/recovery_target_name = .*/recovery_target_time = '$time'/ if $target eq 'time';
	page($block);
	my $there = PostgreSQL::Test::Cluster->new($target, port => $port);
	is($there->safe_psql('mydb', 'SELECT pg_is_in_recovery()'), 'f', "$target: recovered");
	is(story($there, $deployment), $then, "$target: registry, evidence, rollups and audit log of then");
	is(routes($there, 'spam', 2000, 'mydb'), $routes, "$target: routes as then");
	is(page($ask), "2.0.0\nt\n", "$target: the pinned unit, and the anchor that was kept") ;
	is(error_of($there, "SELECT count(*) FROM model_mgr.events_since('$cursor')", dbname => 'mydb'), '22023', "$target: a cursor of later is refused");
	# And on from there, another way.
	$there->safe_psql('mydb', at(14, "SELECT model_mgr.record_outcome('$decision', true, 0.1);" . serve('spam', 301, 900) . 'SELECT count(*) FROM model_mgr.tick();'));
	$there->safe_psql('mydb', at(24, 'SELECT count(*) FROM model_mgr.tick()'));
	is($there->safe_psql('mydb', "SELECT status, step FROM model_mgr.get_deployment($deployment)"), 'running|3', "$target: the rollout goes on");
	totals_agree($there, "$target: every outcome counts once", 'mydb');
	is($there->safe_psql('mydb', 'SELECT ok FROM model_mgr.verify_audit_log()'), 't', "$target: the log goes on, too");
	is(system('pg_ctl', '-D', "$dir/$target", '-m', 'fast', '-w', 'stop'), 0, "$target: stopped");
}
is(story($node, $deployment), $later, 'the server itself has noticed nothing');
finish($node);
