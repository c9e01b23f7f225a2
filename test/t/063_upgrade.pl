# A database of each released version, with rows in every table that it had, brought up to date: its catalogue is that of a fresh
# installation (columns in their order, definitions, comments, rights, dump marks), no row is lost, and what it did it goes
# on doing. Until then the new library routes and records for the old objects, and refuses the rest by name.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Cwd;
use File::Basename;
use ModelMgr;

my $top = Cwd::abs_path(dirname(__FILE__) . '/..');
my @released = sort map { m{/model_mgr--([\d.]+)\.sql$} ? $1 : () } glob("$top/sql/released/model_mgr--*.sql");
isnt(scalar @released, 0, 'there is a released version');

# catalogue: everything that the extension owns, as text; names only, no numbers of rows of the catalogue.
my $catalogue = q{
	SET search_path = pg_catalog;
	WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
			WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'model_mgr'),
		relation AS (SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid)
	SELECT line FROM (
		SELECT 'object ' || pg_describe_object(classid, objid, 0) || ' -- ' || coalesce(obj_description(objid, classid::regclass::text::name), '') FROM member
		UNION ALL SELECT 'function ' || p.oid::regprocedure || ' ' || CASE WHEN p.prokind = 'a' THEN (SELECT a::text FROM (SELECT aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggtranstype::regtype, agginitval FROM pg_aggregate WHERE aggfnoid = p.oid) a)
				ELSE pg_get_functiondef(p.oid) END || coalesce((SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(p.proacl) x), ' default rights')
			FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
		UNION ALL SELECT 'column ' || r.oid::regclass || ' ' || row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum) || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
				|| ' ' || a.attnotnull || a.attidentity::text || ' ' || coalesce(pg_get_expr(f.adbin, f.adrelid), '') || ' -- ' || coalesce(col_description(r.oid, a.attnum), '')
			FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef f ON f.adrelid = r.oid AND f.adnum = a.attnum
		UNION ALL SELECT 'relation ' || r.oid::regclass || ' ' || r.relkind::text || coalesce(r.reloptions::text, '') || coalesce(r.relacl::text, '') || CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) ELSE '' END FROM relation r
		UNION ALL SELECT 'constraint ' || r.oid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
		UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
		UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) || t.tgenabled::text || ' -- ' || coalesce(obj_description(t.oid, 'pg_trigger'), '') FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
		UNION ALL SELECT 'dumped ' || x.c::regclass || ' ' || x.w FROM pg_extension e, unnest(e.extconfig, e.extcondition) x (c, w) WHERE e.extname = 'model_mgr'
		UNION ALL SELECT 'version ' || extversion FROM pg_extension WHERE extname = 'model_mgr') c (line)
	ORDER BY line COLLATE "C"};
# differing: lines of one text that the other has not.
sub differing
{
	my ($is, $wanted, $name) = @_;
	my %is = map { $_ => 1 } split /\n/, $is;
	my %wanted = map { $_ => 1 } split /\n/, $wanted;
	is(join("\n", (map { "+ $_" } grep { !$wanted{$_} } sort keys %is), (map { "- $_" } grep { !$is{$_} } sort keys %wanted)), '', $name);
}

# The source of rows: what the released versions could do, done here.
my $node = new_node('upgrade', conf => "model_mgr.enforcement = off\n");
canary($node, 'spam');
$node->safe_psql('postgres', at(2, q{
	SELECT model_mgr.set_alias('spam', 'next', '2.0.0');
	SELECT model_mgr.set_segment('spam', 'de', '{"country": "DE"}', '2.0.0');
	SELECT model_mgr.pin_unit('spam', 'vip', '2.0.0');
	SELECT model_mgr.set_thresholds('spam', jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.5, '<', 'critical', 0)));})
  . at(3, serve('spam', 1, 300)) . at(4, 'SELECT count(*) FROM model_mgr.tick();') . at(5, serve('spam', 301, 400)));
my $fresh = $node->safe_psql('postgres', $catalogue);

for my $version (@released)
{
	my $db = "from $version";
	my $updated = "$db, updated";
	$node->safe_psql('postgres', qq{CREATE DATABASE "$db"});
	$node->safe_psql($db, "CREATE EXTENSION model_mgr VERSION '$version'");
	is($node->safe_psql($db, "SELECT count(*) FROM pg_extension_update_paths('model_mgr') WHERE source = '$version' AND target = (SELECT default_version FROM pg_available_extensions WHERE name = 'model_mgr') AND path IS NOT NULL"),
		1, "$version: there is a way here");
	is($node->safe_psql($db, "SELECT count(*) FROM pg_extension_update_paths('model_mgr') WHERE target = '$version' AND path IS NOT NULL AND source > target"), 0, "$version: and none back");

	# Its tables take the rows, column by column by name.
	my @tables = split /\n/, $node->safe_psql($db, q{SELECT c.oid::regclass || '|' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.oid});
	my %columns;
	for (@tables)
	{
		my ($table, $columns) = split /\|/;
		$columns{$table} = join ', ', grep { $node->safe_psql('postgres', "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('$table') AND quote_ident(attname) = '$_' AND NOT attisdropped") } split /, /, $columns;
		next unless $columns{$table};
		my $rows = $node->safe_psql('postgres', "COPY (SELECT $columns{$table} FROM $table) TO STDOUT");
		my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
		append_to_file($file, $rows eq '' ? '' : "$rows\n");
		$node->safe_psql($db, "SET session_replication_role = replica; DELETE FROM $table; COPY $table ($columns{$table}) FROM '$file'");
	}
	$node->safe_psql($db, $node->safe_psql('postgres', q{SELECT format('SELECT setval(%L, %s) WHERE to_regclass(%1$L) IS NOT NULL;', 'model_mgr.' || sequencename, last_value) FROM pg_sequences WHERE schemaname = 'model_mgr' AND last_value IS NOT NULL}));
	my $contents = sub { return join "\n", map { "$_ " . $node->safe_psql($_[0], "SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, '|' ORDER BY r::text)), '') FROM (SELECT $columns{$_} FROM $_) r") } grep { $columns{$_} } sort keys %columns; };
	my $before = $contents->($db);

	# The new library with the old objects: routes and records, refuses the rest, never falls.
	is(routes($node, 'spam', 500, $db), routes($node, 'spam', 500), "$version: the new library routes for the old objects");
	is($node->safe_psql($db, "SELECT model_mgr.route_version('spam', 'vip') || ' ' || (SELECT value FROM model_mgr.route('spam', 'u', '{\"country\": \"DE\"}'))"), '2.0.0 2.0.0', "$version: pins and segments too");
	is($node->safe_psql($db, "BEGIN; SELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.5, true); SELECT count(*) - 1 = (SELECT count(*) FROM model_mgr.observation WHERE recorded_at < now() - interval '1 day') FROM model_mgr.observation; ROLLBACK"), "\nt", "$version: and records");
	my ($out, $err) = ('', '');
	$node->psql($db, 'SELECT * FROM model_mgr.tick()', stdout => \$out, stderr => \$err);
	like($err, qr/ERROR:  model_mgr is of version \Q$version\E here, its library of version .*ALTER EXTENSION model_mgr UPDATE/s, "$version: what needs the new objects says so");
	my $calls = $node->safe_psql($db, q{SELECT string_agg(format('%s model_mgr.%I(%s);', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, proname,
			(SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY a (t, n))), E'\n' ORDER BY proname)
		FROM pg_proc WHERE pronamespace = 'model_mgr'::regnamespace AND prokind IN ('f', 'p') AND prorettype <> 'trigger'::regtype AND NOT 'internal'::regtype = ANY (proargtypes) AND prorettype <> 'internal'::regtype});
	$node->psql($db, "\\set VERBOSITY sqlstate\n$calls", stdout => \$out, stderr => \$err, on_error_stop => 0);
	unlike($err, qr/XX000|server closed|terminat/, "$version: each old function, called with nothing, answers or refuses cleanly");
	is($contents->($db), $before, "$version: and has changed nothing");

	my $session = $node->background_psql($db);
	is($session->query(q{SELECT model_mgr.route_version('spam', 'vip')}), '2.0.0', "$version: a session is under way");
	$node->safe_psql($db, 'ALTER EXTENSION model_mgr UPDATE');
	is($contents->($db), $before, "$updated: no row is lost");
	differing($node->safe_psql($db, $catalogue), $fresh, "$updated: the catalogue is that of a fresh installation");
	is($session->query(q{SELECT model_mgr.route_version('spam', 'vip')}), '2.0.0', "$updated: the session goes on");
	is($session->query(at(6, 'SELECT count(*) > 5 FROM model_mgr.tick();')), 't', "$updated: with what is new, too");
	$session->quit;
	$node->safe_psql('postgres', at(6, 'SELECT count(*) FROM model_mgr.tick();'));
	is(routes($node, 'spam', 500, $db), routes($node, 'spam', 500), "$updated: routes as before");
	$node->safe_psql($_, at(12, serve('spam', 401, 500)) . at(12, 'SELECT count(*) FROM model_mgr.tick();')) for $db, 'postgres';
	totals_agree($node, "$updated: rollups agree with the observations", $db);
	is($node->safe_psql($db, "SELECT status || ' ' || step FROM model_mgr.list_deployments('spam') WHERE version = '2.0.0'"),
		$node->safe_psql('postgres', "SELECT status || ' ' || step FROM model_mgr.list_deployments('spam') WHERE version = '2.0.0'"), "$updated: its rollout goes on as elsewhere");
	is($node->safe_psql($db, 'SELECT model_mgr.import_registry(model_mgr.export_registry())'), 0, "$updated: new functions work on old rows");
	is($node->safe_psql($db, "SELECT ok FROM model_mgr.health_check() WHERE check_name = 'version'"), 't', "$updated: versions agree");
}
finish($node);
