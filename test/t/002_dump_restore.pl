# pg_dump and pg_restore, plain and custom, into clusters with smaller and with larger transaction ids: the same
# contents, routing and totals; nothing is judged while restoring; what is recorded there before any tick, and what
# the dump had not folded yet, is folded exactly once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $source = new_node('source');

# set_transaction_id: moves a cluster's ids ahead, with an epoch; a multiple of a page of pg_xact needs no old page.
sub set_transaction_id
{
	my ($node, $xid, $epoch) = @_;
	$node->stop;
	command_ok([ 'pg_resetwal', '-f', '-x', $xid, '-e', $epoch, '-D', $node->data_dir ], $node->name . ": next transaction id $epoch/$xid");
	$node->start;
}

# The source stands in the middle of a canary, at ids between those of the two targets.
set_transaction_id($source, 32768 * 100, 1);
$source->safe_psql('postgres', 'CREATE TABLE public.other (n integer); CALL model_mgr.maintain(); SELECT model_mgr.setup_roles();');
my $deployment = canary($source, 'spam', rollout => '{"min_requests": 20, "salt": "sticky"}');
$source->safe_psql('postgres', at(2, serve('spam', 1, 600)));
$source->safe_psql('postgres', at(2, q{
	SELECT model_mgr.pin_unit('spam', 'unit ' || i, '2.0.0') FROM generate_series(1, 20) i;
	SELECT model_mgr.unpin_unit('spam', 'unit 3');
	SELECT model_mgr.set_segment('spam', 'germans', '{"country": "DE"}', '2.0.0');
	SELECT model_mgr.set_alias('spam', 'champion', '1.0.0');
	SELECT count(*) FROM model_mgr.tag_model_version('spam', '2.0.0', ARRAY['Grüße', 'with "quotes"']);
	SELECT version FROM model_mgr.create_model_version('spam', '3.0.0-rc.1', '{"provider": "test", "model_name": "m", "temperature": 0.1}',
		parent_version => '2.0.0', labels => '{"b": 1, "a": [1.50]}');}));
$source->safe_psql('postgres', at(12, 'SELECT count(*) FROM model_mgr.tick()'));

# Rows not folded when the dump is made, some of them of a transaction that was running when the others were folded.
my $long = $source->background_psql('postgres');
$long->query('BEGIN; ' . at(13, "SELECT count(*) FROM (SELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.5, true) FROM generate_series(1, 40) OFFSET 0) o;"));
$source->safe_psql('postgres', at(13, serve('spam', 601, 900)));
$source->safe_psql('postgres', at(14, 'SELECT count(*) FROM model_mgr.tick()'));
$source->safe_psql('postgres', at(14, serve('spam', 901, 950)));
$long->query_safe('COMMIT;');
$long->quit;

# A deployment in the middle of its A/B test, and one whose test has ended.
$source->safe_psql('postgres', at(14, serving($_, '1', '2') . "SELECT test_id FROM model_mgr.deploy_model_version('$_', '2', 'a_b_test');"))
  for 'tested', 'untested';
$source->safe_psql('postgres', at(14, q{SELECT (model_mgr.abort_deployment(model_mgr.open_deployment('untested'))).test_id}));
is($source->safe_psql('postgres', q{SELECT string_agg(status, ' ' ORDER BY status) FROM model_mgr.ab_test_list}), 'running stopped', 'source: A/B tests');

# A candidate as bad as can be, which nobody has judged: first with old rows, after the first dump another with fresh ones.
sub bad_candidate
{
	my ($model, $setting) = @_;
	$source->safe_psql('postgres', $setting . serving($model, '1', '2') . qq{
		SELECT status FROM model_mgr.deploy_model_version('$model', '2', 'canary',
			rollout => '{"steps": [50, 100], "min_requests": 50}');
		SET model_mgr.enforcement = off; } . serve($model, 1, 1000, "r.value = '1'"));
}
bad_candidate('aged', at(14, ''));
totals_agree($source, 'source: rollups agree with the observations');
cmp_ok($source->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.rollup_tail'), '>', 0, 'source: some rows are not folded yet');

# The oldest row of these two is the one that counts; a target has its own beside the restored one.
my @one_row = qw(unit_key rollup_state audit_seal_state);

# contents: everything that must come through.
sub contents
{
	my ($node, $dbname) = @_;
	# tick_state says when this cluster ticked, and is not dumped.
	my $text = table_checksums($node, $dbname, without => [ @one_row, 'tick_state' ]) . "\n";
	$text .= $node->safe_psql($dbname,
		"SELECT '$_ ' || md5(t::text) FROM model_mgr.$_ t ORDER BY installed_at LIMIT 1") . "\n" for @one_row;
	$text .= $node->safe_psql($dbname, q{
		SELECT 'partition ' || o.tableoid::regclass || ' ' || pg_get_expr(c.relpartbound, c.oid) || ' ' || count(*)
		FROM model_mgr.observation o JOIN pg_class c ON c.oid = o.tableoid GROUP BY o.tableoid, c.oid ORDER BY 1}) . "\n";
	$text .= $node->safe_psql($dbname, q{
		SELECT 'bounds ' || inhrelid::regclass || ' ' || pg_get_expr(c.relpartbound, c.oid)
		FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'model_mgr.observation'::regclass ORDER BY 1}) . "\n";
	$text .= $node->safe_psql($dbname, q{
		SELECT 'sequence ' || sequencename || ' ' || coalesce(last_value::text, 'unused')
		FROM pg_sequences WHERE schemaname = 'model_mgr' ORDER BY 1}) . "\n";
	$text .= $node->safe_psql($dbname, q{
		SELECT 'rights ' || count(*) || ' ' || md5(string_agg(x, ',' ORDER BY x COLLATE "C")) FROM (
			SELECT concat_ws(' ', o, a.grantee::regrole, a.privilege_type, a.is_grantable) FROM (
				SELECT oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE pronamespace = 'model_mgr'::regnamespace
				UNION ALL SELECT oid::regclass::text, coalesce(relacl, acldefault('r', relowner)) FROM pg_class
					WHERE relnamespace = 'model_mgr'::regnamespace AND relkind IN ('r', 'p', 'v')
				UNION ALL SELECT attrelid::regclass || '.' || attname, attacl FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
					WHERE relnamespace = 'model_mgr'::regnamespace AND attacl IS NOT NULL
				UNION ALL SELECT nspname, nspacl FROM pg_namespace WHERE nspname = 'model_mgr') s(o, acl), aclexplode(acl) a) y(x)}) . "\n";
	$text .= routes($node, 'spam', 10_000, $dbname) . "\n" . routes($node, 'aged', 10_000, $dbname) . "\n";
	$text .= $node->safe_psql($dbname, q{
		SELECT md5(string_agg(r::text, E'\n' ORDER BY r::text)) FROM (SELECT * FROM model_mgr.rollup_now) r}) . "\n";
	$text .= $node->safe_psql($dbname, q{
		SELECT md5(string_agg(model_mgr.route_at('spam', 'unit ' || i, '2026-03-01 00:05+00'), ',' ORDER BY i)) FROM generate_series(1, 500) i});
	return $text;
}

# dump, restore: by the two usual ways; options are the session settings that the documentation recommends.
sub dump_database
{
	my ($node, $dbname, $format, $file) = @_;
	command_ok([ 'pg_dump', '-F', $format, '-f', "$dir/$file", '-d', $node->connstr($dbname) ], "pg_dump $file");
}

sub restore_database
{
	my ($node, $dbname, $format, $file, $options) = @_;
	local $ENV{PGOPTIONS} = $options;
	$node->safe_psql('postgres', "CREATE DATABASE $dbname TEMPLATE template0");

	# A parallel restore may load the tables in any order. The worst one: the observations last, when all that could
	# judge them is there.
	my @list = split /^/m, $format eq 'p' ? '' : `pg_restore -l "$dir/$file"`;
	my $observations = qr/ TABLE DATA model_mgr observation/;
	unlink "$dir/list";
	append_to_file("$dir/list", join '', (grep { !/$observations/ } @list), grep { /$observations/ } @list);
	command_ok(
		$format eq 'p'
		? [ 'psql', '-Xqb1', '-o', "$dir/out", '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($dbname), '-f', "$dir/$file" ]
		: [ 'pg_restore', '--exit-on-error', '-j', 2, '-L', "$dir/list", '-d', $node->connstr($dbname), "$dir/$file" ],
		"restore $file into " . $node->name . " $dbname");
}

sub deployment_status
{
	my ($node, $dbname, $model) = @_;
	return $node->safe_psql($dbname,
		"SELECT status || ' ' || step FROM model_mgr.list_deployments('$model') WHERE version LIKE '2%'");
}

# record_before_tick: traffic in the new cluster before any tick; then folded exactly once, and steered by.
sub live_on
{
	my ($node, $dbname, $name) = @_;
	my $requests = 'SELECT sum(requests) FROM model_mgr.rollup_now';
	my $had = $node->safe_psql($dbname, $requests);
	$node->safe_psql($dbname, at(15, serve('spam', 1, 100)));
	is($node->safe_psql($dbname, $requests), $had + 100, "$name: what is recorded before the first tick counts at once, and once");
	totals_agree($node, "$name: rollups agree with the observations before the first tick", $dbname);
	my $before = $node->safe_psql($dbname, "SELECT coalesce(max(txn), 0) FROM model_mgr.observation WHERE recorded_at < '2026-03-01 00:15+00'");
	cmp_ok($node->safe_psql($dbname, "SELECT min(txn) FROM model_mgr.observation WHERE recorded_at = '2026-03-01 00:15+00'"), '>', $before,
		"$name: rows written here sort above all that was restored");
	my $held = $node->background_psql($dbname);
	$held->query('BEGIN; ' . at(15, "SELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.5, true);"));
	$node->safe_psql($dbname, at(16, 'SELECT count(*) FROM model_mgr.tick()')) for 1 .. 2;
	totals_agree($node, "$name: ... after the first ticks", $dbname);
	$held->query_safe('COMMIT;');
	$held->quit;
	totals_agree($node, "$name: ... with a transaction that was open during them", $dbname);
	$node->safe_psql($dbname, at(16, 'SELECT count(*) FROM model_mgr.tick()')) for 1 .. 2;
	totals_agree($node, "$name: ... and folded", $dbname);
	is($node->safe_psql($dbname, 'SELECT count(*) FROM model_mgr.rollup_tail'), '0', "$name: nothing is left unfolded");
	is($node->safe_psql($dbname, $requests), $had + 101, "$name: each request once");
	$node->safe_psql($dbname, at(16, q{
		SELECT version FROM model_mgr.create_model_version('spam', '4.0.0', '{"provider": "test", "model_name": "m"}');
		SELECT version FROM model_mgr.create_model_version('third', '1', '{"provider": "test", "model_name": "m"}');
		SELECT status FROM model_mgr.deploy_model_version('third', '1');
		SELECT model_mgr.pin_unit('spam', 'unit 5000', '1.0.0');}));
	is($node->safe_psql($dbname, "SELECT model_mgr.route_version('third', 'u') || ' ' || model_mgr.route_version('spam', 'unit 5000')"),
		'1 1.0.0', "$name: new rows get new ids");
	$node->safe_psql($dbname, at(23, serve('spam', 1, 300)));
	$node->safe_psql($dbname, at(24, 'SELECT count(*) FROM model_mgr.tick()'));
	is(deployment_status($node, $dbname, 'spam'), 'running 3', "$name: and the canary goes on");
}

dump_database($source, 'postgres', 'c', 'aged.dump');
my $aged = contents($source, 'postgres');
bad_candidate('fresh', '');
my $contents = contents($source, 'postgres');
my %targets = (small => new_node('small', extension => 0), large => new_node('large', extension => 0));
set_transaction_id($targets{large}, 32768 * 500, 3);
# Roles belong to the cluster, their rights to the database.
$_->safe_psql('postgres', 'CREATE ROLE model_mgr_admin; CREATE ROLE model_mgr_operator; CREATE ROLE model_mgr_app; CREATE ROLE model_mgr_reader')
  for values %targets;
my $source_id = $source->safe_psql('postgres', 'SELECT pg_current_xact_id()');
cmp_ok($targets{small}->safe_psql('postgres', 'SELECT pg_current_xact_id()'), '<', $source_id, 'one target has smaller transaction ids');
cmp_ok($targets{large}->safe_psql('postgres', 'SELECT pg_current_xact_id()'), '>', $source_id, 'the other has larger ones');
my $enforcement_off = '-c model_mgr.enforcement=off -c session_preload_libraries=model_mgr';

dump_database($source, 'postgres', 'p', 'plain.sql');
dump_database($source, 'postgres', 'c', 'custom.dump');
for my $name (sort keys %targets)
{
	my $node = $targets{$name};
	my ($format, $file) = $name eq 'small' ? ('p', 'plain.sql') : ('c', 'custom.dump');
	restore_database($node, 'restored', $format, $file, $enforcement_off);
	is(contents($node, 'restored'), $contents, "$name: contents, partitions, sequences, routing and totals are the same");
	is(deployment_status($node, 'restored', 'fresh'), 'running 1', "$name: nothing was judged while restoring");
	live_on($node, 'restored', $name);
}

# Judging goes on after the restore: the first real tick sees what nobody had judged.
$targets{small}->safe_psql('restored', 'SELECT count(*) FROM model_mgr.tick()');
is(deployment_status($targets{small}, 'restored', 'fresh'), 'rolled_back 1', 'the first tick in real time rolls the bad candidate back');

# Without the recommended settings the age of the rows protects those older than the evaluation window.
restore_database($targets{large}, 'aged', 'c', 'aged.dump', '');
is(contents($targets{large}, 'aged'), $aged, 'restored without any setting: the same contents');
is(deployment_status($targets{large}, 'aged', 'aged'), 'running 1', 'old rows judge nothing');
$targets{large}->safe_psql('aged', at(15, 'SELECT count(*) FROM model_mgr.tick()'));
is(deployment_status($targets{large}, 'aged', 'aged'), 'rolled_back 1', 'but a tick at their time does');

# Back into the cluster of the beginning, and a copy within one cluster: eras tell whose transaction ids they are.
dump_database($targets{large}, 'restored', 'p', 'again.sql');
restore_database($source, 'again', 'p', 'again.sql', $enforcement_off);
is(contents($source, 'again'), contents($targets{large}, 'restored'), 'dumped again and restored into the first cluster: the same contents');
$source->safe_psql('again', at(25, serve('spam', 1, 50)));
totals_agree($source, 'back in the first cluster: rollups agree before a tick', 'again');
$source->safe_psql('again', at(25, 'SELECT count(*) FROM model_mgr.tick()')) for 1 .. 2;
totals_agree($source, 'back in the first cluster: and after it', 'again');
is($source->safe_psql('again', 'SELECT era FROM model_mgr.rollup_state ORDER BY installed_at LIMIT 1'), '2', 'two moves, era 2');
restore_database($source, 'copy', 'p', 'plain.sql', $enforcement_off);
live_on($source, 'copy', 'copy in one cluster');

# A dump made while writers, ticks and a rollout are at work is one snapshot: what it holds folds exactly once elsewhere.
append_to_file("$dir/write.sql", "\\set u random(1, 1000)\nBEGIN;\n" . at(17, '') . "\nSELECT model_mgr.record_outcome(decision, true, 0.5)"
	  . " FROM model_mgr.route('spam', 'u' || :u);\n\\sleep 2 ms\nSELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.25, true);\nCOMMIT;\n");
append_to_file("$dir/tick.sql", at(17, "SELECT count(*) FROM model_mgr.tick();\n\\sleep 10 ms\n"));
my ($out, $err) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 6, '-T', 600, '-f', "$dir/write.sql\@5", '-f', "$dir/tick.sql\@1",
		'-h', $source->host, '-p', $source->port, 'postgres' ], '>', \$out, '2>', \$err);
for my $n (1 .. (soak() ? 20 : 2))
{
	my $rows = $source->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.observation');
	$source->poll_query_until('postgres', "SELECT count(*) > $rows + 200 FROM model_mgr.observation");
	dump_database($source, 'postgres', 'c', "busy$n.dump");
}
# TERM: INT is ignored by what a shell started in the background started.
$load->signal('TERM');
IPC::Run::finish($load);
is($err =~ /(ERROR.*)/ ? $1 : '', '', 'no writer failed while dumps were made');
for my $n (1 .. (soak() ? 20 : 2))
{
	restore_database($targets{large}, "busy$n", 'c', "busy$n.dump", $enforcement_off);
	totals_agree($targets{large}, "dump $n under load: rollups agree with the observations", "busy$n");
	$targets{large}->safe_psql("busy$n", at(18, 'SELECT count(*) FROM model_mgr.tick()')) for 1 .. 2;
	totals_agree($targets{large}, "dump $n under load: ... and after ticks", "busy$n");
	is($targets{large}->safe_psql("busy$n", 'SELECT count(*) FROM model_mgr.rollup_tail'), '0', "dump $n under load: ... which fold all");
}
finish($source, values %targets);
