# DROP EXTENSION leaves nothing; created again under sessions that hold caches, it is the new one that answers; odd
# settings of a database change nothing.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('create', conf => "max_prepared_transactions = 5\n", extension => 0);
my $create = "SELECT version FROM model_mgr.create_model_version('spam', '%s', '{\"provider\": \"test\", \"model_name\": \"m\"}');"
  . "SELECT status FROM model_mgr.deploy_model_version('spam', '%s', 'replace');";

# inventory: the number of rows of every catalogue. CREATE EXTENSION makes the schema that the control file names before
# there is an extension that it could belong to, so the server lets it stay, empty; it is not counted.
my @catalogs = split /\n/, $node->safe_psql('postgres', q{
	SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
	AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject') ORDER BY 1});
sub inventory
{
	return $node->safe_psql('postgres', join(' UNION ALL ',
		map { "SELECT '$_ ' || count(*) FROM pg_catalog.$_ t" . ($_ eq 'pg_namespace' ? " WHERE nspname <> 'model_mgr'"
			  : $_ eq 'pg_init_privs' ? " WHERE classoid <> 'pg_namespace'::regclass" : '') } @catalogs) . ' ORDER BY 1');
}

my $nothing = inventory();
my $session = $node->background_psql('postgres', on_error_stop => 0);
for my $round (1 .. 3)
{
	$node->safe_psql('postgres', "CREATE EXTENSION model_mgr; CALL model_mgr.maintain();");
	$node->safe_psql('postgres', sprintf $create, "$round.0", "$round.0");
	is($session->query("SELECT model_mgr.route_version('spam', 'u');"), "$round.0", "round $round: an open session answers from the extension of now");
	$session->query("PREPARE route AS SELECT model_mgr.route_version('spam', 'u');") if $round == 1;
	is($session->query('EXECUTE route;'), "$round.0", "round $round: so does its prepared statement");
	$session->query("SELECT model_mgr.record_outcome(decision, true, 0.1) FROM model_mgr.route('spam', 'u');");
	is($session->query('SELECT sum(requests) FROM model_mgr.rollup_now;'), '1', "round $round: and it records there");
	$session->query(sprintf $create, "8.$round", "8.$round");
	is($session->query('EXECUTE route;'), "8.$round", "round $round: it writes there and sees what it wrote");
	$node->safe_psql('postgres', sprintf $create, "9.$round", "9.$round");
	is($session->query('EXECUTE route;'), "9.$round", "round $round: and sees what others change there");
	$node->safe_psql('postgres', 'DROP EXTENSION model_mgr');
	is(inventory(), $nothing, "round $round: DROP EXTENSION leaves nothing, the partitions made since are gone");
	like(error_of($node, "SELECT model_mgr.route_version('spam', 'u')"), qr/^(42883|3F000)$/, "round $round: there is no such function then");
}

# All in one session, in one transaction, and rolled back.
$session->query('BEGIN; CREATE EXTENSION model_mgr;' . sprintf($create, '1', '1'));
is($session->query("SELECT model_mgr.route_version('spam', 'u');"), '1', 'in the transaction that created it, it answers');
$session->query('ROLLBACK;');
is($session->query("SELECT to_regproc('model_mgr.route_version') IS NULL;"), 't', 'rolled back, it is gone');
$session->query('CREATE EXTENSION model_mgr;' . sprintf($create, '2', '2'));
is($session->query("SELECT model_mgr.route_version('spam', 'u');"), '2', 'and comes again');
$session->query('BEGIN; DROP EXTENSION model_mgr; ROLLBACK;');
is($session->query("SELECT model_mgr.route_version('spam', 'u');"), '2', 'a DROP that was rolled back did nothing');
$session->query('DROP EXTENSION model_mgr; CREATE EXTENSION model_mgr;');
is($session->query("SELECT coalesce(model_mgr.route_version('spam', 'u'), 'none');"), 'none', 'the new one knows nothing of the old one\'s models');
$session->query('DROP EXTENSION model_mgr;');
is(inventory(), $nothing, 'nothing is left');
$session->quit;

# A database of odd settings: created, a version registered, routed, recorded, judged, dumped by them.
$node->safe_psql('postgres', 'CREATE DATABASE odd');
my @settings = ('check_function_bodies = off', "search_path = ''", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'",
	"timezone = 'Asia/Kathmandu'", 'standard_conforming_strings = off', 'backslash_quote = on', 'quote_all_identifiers = on',
	"default_transaction_isolation = 'serializable'", "bytea_output = 'escape'", 'extra_float_digits = -5',
	"lc_numeric = 'C'", 'array_nulls = off', 'transform_null_equals = on', 'xmloption = document',
	"default_toast_compression = 'pglz'", 'enable_indexscan = off', 'plan_cache_mode = force_generic_plan',
	($node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode') . ' = regress', 'row_security = off', "default_table_access_method = 'heap'", 'constraint_exclusion = on');
$node->safe_psql('postgres', "ALTER DATABASE odd SET $_") for @settings;
is(error_of($node, 'CREATE EXTENSION model_mgr', dbname => 'odd'), '', 'CREATE EXTENSION in a database of odd settings');
my $deployment = canary($node, 'spam', dbname => 'odd');
is($node->safe_psql('odd', at(2, serve('spam', 1, 600))), '600', 'routing and recording there');
is($node->safe_psql('odd', "SELECT created_at = timestamptz '2026-03-01 00:00:00+00' FROM model_mgr.get_model_version('spam', '1.0.0')"), 't', 'times are read as they were written');
is(error_of($node, 'SELECT count(*) FROM model_mgr.tick()', dbname => 'odd'), '25000', 'tick() under SERIALIZABLE is refused');
$node->safe_psql('odd', "SET default_transaction_isolation = 'read committed'; " . at(12, 'SELECT count(*) FROM model_mgr.tick()'));
is($node->safe_psql('odd', "SELECT step FROM model_mgr.get_deployment($deployment)"), '2', 'the canary steps there');
totals_agree($node, 'rollups agree with the observations there', 'odd');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/odd.sql';
command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('odd') ], 'pg_dump of it');
$node->safe_psql('postgres', 'CREATE DATABASE even');
command_ok([ 'psql', '-Xqb', '-o', "$dump.out", '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('even'), '-f', $dump ], 'restored into one of usual settings');
is(routes($node, 'spam', 1000, 'even'), routes($node, 'spam', 1000, 'odd'), 'both route alike');

# A schema model_mgr that is there before: empty and a superuser's is accepted, else it is refused.
$node->safe_psql('postgres', 'CREATE ROLE mallory; CREATE DATABASE early');
$node->safe_psql('early', 'CREATE SCHEMA model_mgr AUTHORIZATION mallory');
is(error_of($node, 'CREATE EXTENSION model_mgr', dbname => 'early'), '42501', "somebody else's schema model_mgr is refused");
$node->safe_psql('early', "DROP SCHEMA model_mgr; CREATE SCHEMA model_mgr; CREATE FUNCTION model_mgr.now() RETURNS integer LANGUAGE sql AS 'SELECT 1'");
is(error_of($node, 'CREATE EXTENSION model_mgr', dbname => 'early'), '55000', 'one that holds objects, too');
$node->safe_psql('early', 'DROP FUNCTION model_mgr.now()');
is(error_of($node, 'CREATE EXTENSION model_mgr', dbname => 'early'), '', 'an empty one is taken');
is(error_of($node, 'DROP EXTENSION model_mgr', dbname => 'early'), '', 'and let go');
finish($node);
