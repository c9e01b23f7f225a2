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
				|| ' ' || a.attnotnull || a.attidentity::text || a.attgenerated::text || a.attstorage::text || a.attcompression::text || a.attstattarget || coalesce(a.attacl::text, '') || ' ' || coalesce(pg_get_expr(f.adbin, f.adrelid), '') || ' -- ' || coalesce(col_description(r.oid, a.attnum), '')
			FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef f ON f.adrelid = r.oid AND f.adnum = a.attnum
		UNION ALL SELECT 'relation ' || r.oid::regclass || ' ' || r.relkind::text || coalesce(r.reloptions::text, '') || coalesce(r.relacl::text, '') || r.relpersistence::text || r.relreplident::text
				|| r.relrowsecurity || r.relforcerowsecurity || CASE r.relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) WHEN 'S' THEN (SELECT s::text FROM (SELECT seqtypid::regtype, seqstart, seqincrement,
				seqmax, seqmin, seqcache, seqcycle, pg_get_serial_sequence(d.refobjid::regclass::text, a.attname) FROM pg_sequence LEFT JOIN pg_depend d ON d.objid = r.oid AND d.deptype IN ('a', 'i')
				LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE seqrelid = r.oid) s) ELSE '' END || CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) ELSE '' END FROM relation r
		UNION ALL SELECT 'constraint ' || r.oid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) || coalesce(obj_description(c.oid, 'pg_constraint'), '') FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
		UNION ALL SELECT 'type ' || t.oid::regtype || ' ' || t.typtype::text || t.typnotnull || coalesce(t.typdefault, '') || coalesce(t.typacl::text, '') || ' ' || t.typbasetype::regtype || t.typalign::text
				|| t.typstorage::text || coalesce((SELECT string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY c.conname) FROM pg_constraint c WHERE c.contypid = t.oid), '')
			FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
		UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) || i.indisclustered || i.indisreplident || ' -- ' || coalesce(obj_description(i.indexrelid, 'pg_class'), '') FROM relation r JOIN pg_index i ON i.indrelid = r.oid
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

# called: every function that a database of a released version has, called in another or the same one, each in a transaction that is
# undone: name => what it said, and whether it only reads. Procedures commit: they are called in the released version's own, where all of
# them refuse; elsewhere they would change what is compared.
sub called
{
	my ($node, $dbname, $released) = @_;
	my @calls = split /\n/, $node->safe_psql($released, q{
		SELECT p.proname || '|' || (p.provolatile <> 'v') || '|' || format('%s model_mgr.%I(%s);', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT * FROM' END, p.proname, n.arguments)
			|| '|' || format('%s model_mgr.%I(%s);', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT * FROM' END, p.proname, n.nothing)
		FROM pg_proc p, LATERAL (SELECT coalesce(string_agg(coalesce(CASE
				WHEN a.name IN ('model_name', 'control_model', 'treatment_model') THEN quote_literal('spam') WHEN a.name LIKE '%version%' AND a.type = 'text'::regtype THEN quote_literal('2.0.0')
				WHEN a.name = 'strategy' THEN quote_literal('canary') WHEN a.name = 'metric_name' THEN quote_literal('success_rate') WHEN a.name = 'operator' THEN quote_literal('<')
				WHEN a.name = 'configuration' THEN quote_literal('{"provider": "test", "model_name": "m"}') WHEN a.name IN ('rollout', 'health_criteria', 'context', 'metrics', 'labels') THEN quote_literal('{}')
				ELSE CASE a.type WHEN 'text'::regtype THEN quote_literal('unit 1') WHEN 'jsonb'::regtype THEN quote_literal('[]') WHEN 'float8'::regtype THEN '0.5' WHEN 'int4'::regtype THEN '1'
					WHEN 'int8'::regtype THEN '1' WHEN 'bool'::regtype THEN 'true' WHEN 'text[]'::regtype THEN quote_literal('{1.0.0,2.0.0}') WHEN 'float8[]'::regtype THEN quote_literal('{1,2,3}')
					WHEN 'timestamptz'::regtype THEN quote_literal('2026-03-01 00:05:00+00') WHEN 'regclass'::regtype THEN quote_literal('model_mgr.model') WHEN 'regprocedure'::regtype THEN quote_literal('now()')
					WHEN 'interval'::regtype THEN quote_literal('1 hour') WHEN 'bytea'::regtype THEN quote_literal('x') END END, 'NULL') || '::' || a.type, ', ' ORDER BY a.n), '') AS arguments,
				coalesce(string_agg('NULL::' || a.type, ', ' ORDER BY a.n), '') AS nothing
			FROM (SELECT t::regtype AS type, n, coalesce(p.proargnames[n], '') AS name FROM unnest(p.proargtypes) WITH ORDINALITY u (t, n)) a) n
		WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.prokind IN ('f', 'p') AND p.prorettype <> ALL ('{trigger,event_trigger,internal}'::regtype[]) AND NOT 'internal'::regtype = ANY (p.proargtypes)
			AND p.proname NOT IN ('run', 'wait_for_deployment', 'start', 'stop', 'setup_roles', 'current_txn') -- these wait or begin something; a transaction's number is each one's own
		ORDER BY 1});
	my $script = "\\set VERBOSITY sqlstate\nSET model_mgr.clock = '2026-03-01 00:06:00+00';\n";
	for (@calls)
	{
		my ($name, $reads, @statements) = split /\|/;
		for my $statement (@statements)
		{
			next if $statement =~ /^CALL/ && $dbname ne $released;
			$script .= "\\echo <<$name>>\n" . ($statement =~ /^CALL/ ? "$statement\n" : "BEGIN;\n$statement\nROLLBACK;\n");
		}
	}
	my $file = PostgreSQL::Test::Utils::tempdir() . '/calls.sql';
	append_to_file($file, $script);
	my $text = '';
	IPC::Run::run([ 'psql', '-XAtq', '-f', $file, $node->connstr($dbname) ], '>', \$text, '2>&1');
	$text =~ s/^psql:\S+\.sql:\d+: //mg;
	my %said = map { my ($name, $reads) = split /\|/; $name => { reads => $reads eq 'true', text => '' } } @calls;
	while ($text =~ /^<<(\w+)>>\n(.*?)(?=^<<|\z)/gms) { $said{$1}{text} .= $2; }
	return \%said;
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
	# Every function that it had, called with nothing and with what fits its arguments' names and types; what only reads gives what it gives here.
	my %said = map { $_ => called($node, $_, $db) } $db, 'postgres';
	my @names = sort keys %{ $said{$db} };
	cmp_ok(scalar @names, '>', 100, "$version: its functions were called");
	is_deeply([ grep { $said{$db}{$_}{text} =~ /XX\d\d\d|server closed|terminat/ } @names ], [], "$version: each answers or refuses cleanly");
	is_deeply([ grep { $said{$db}{$_}{text} =~ /ERROR:  (?!55000)/ && $said{postgres}{$_}{text} !~ /ERROR/ } @names ], [], "$version: refused is what needs the new objects, by name");
	my @differ = grep { $said{$db}{$_}{reads} && $said{$db}{$_}{text} !~ /ERROR/ && $said{$db}{$_}{text} ne $said{postgres}{$_}{text} } @names;
	is_deeply(\@differ, [], "$version: what reads gives right answers") or diag map { "$_\n$said{$db}{$_}{text}$said{postgres}{$_}{text}" } @differ;
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
