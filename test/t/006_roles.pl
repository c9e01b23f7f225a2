# Rights: a role without any gets 42501 from every function; an application role routes and records, its recordings
# roll a bad version back, and it touches no relation but by INSERT into observation.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('roles');
$node->safe_psql('postgres', q{
	SELECT count(*) FROM model_mgr.setup_roles();
	CREATE ROLE nobody LOGIN;
	CREATE ROLE app LOGIN IN ROLE model_mgr_app;
	CREATE ROLE reader LOGIN IN ROLE model_mgr_reader;
	CREATE ROLE operator LOGIN IN ROLE model_mgr_operator;});
my $deployment = canary($node, 'spam');
my @as_nobody = (extra_params => [ '-U', 'nobody' ]);
my @as_app = (extra_params => [ '-U', 'app' ]);

# Every function there is is really called. The arguments come from a subquery that is not pulled up: the planner would
# fold a strict function of constant NULLs away, and its check with it.
my $calls = $node->safe_psql('postgres', q{
	SELECT CASE WHEN p.prokind = 'p'
		THEN format('CALL model_mgr.%I(%s)', p.proname, string_agg('NULL::' || format_type(a.type, NULL), ', ' ORDER BY a.n))
		ELSE format('SELECT model_mgr.%I(%s) FROM (SELECT %s OFFSET 0) x(%s)', p.proname,
			string_agg('a' || a.n, ', ' ORDER BY a.n), coalesce(string_agg('NULL::' || format_type(a.type, NULL), ', ' ORDER BY a.n), '1'),
			coalesce(string_agg('a' || a.n, ', ' ORDER BY a.n), 'nothing')) END
	FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY a(type, n) ON true
	WHERE p.pronamespace = 'model_mgr'::regnamespace AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		AND NOT p.prorettype = 'internal'::regtype AND NOT 'internal'::regtype = ANY (p.proargtypes)
	GROUP BY p.oid, p.proname, p.prokind ORDER BY 1});
my @calls = split /\n/, $calls;
cmp_ok(scalar @calls, '>', 40, 'there are functions');
my ($status, $out, $err) = $node->psql('postgres',
	join('', map { "\\echo call $_\n$_;\n" } @calls),
	extra_params => [ '-U', 'nobody', '-v', 'VERBOSITY=verbose' ], on_error_stop => 0, on_error_die => 0);
my @errors = $err =~ /ERROR:\s+([0-9A-Z]{5}):/g;
is(scalar(grep { $_ eq '42501' } @errors), scalar @calls, 'a role without rights gets 42501 from every function')
  or diag join "\n", grep { error_of($node, $_, @as_nobody) ne '42501' } @calls;
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
	AND (CASE WHEN relkind = 'S' THEN has_sequence_privilege('nobody', oid, 'USAGE, SELECT, UPDATE')
		ELSE has_table_privilege('nobody', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
			OR has_any_column_privilege('nobody', oid, 'SELECT, INSERT, UPDATE, REFERENCES') END)}),
	'0', 'and may touch no relation');

# Each kind of role calls every function: what role_grant does not give it is refused at the door, and nothing that it
# gives ends in want of a right further in.
$node->safe_psql('postgres', 'CREATE ROLE admin LOGIN IN ROLE model_mgr_admin');
# tries: how each statement ends, in one session of the role; what succeeds is undone.
sub tries
{
	my ($role, @statements) = @_;
	my $sql = q{
		CREATE FUNCTION pg_temp.tries(statement text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
			EXECUTE statement;
			RAISE EXCEPTION USING errcode = 'P0009', message = 'fine';
		EXCEPTION WHEN OTHERS THEN
			RETURN SQLSTATE || ' ' || translate(SQLERRM, E'\n', ' ');
		END $$;
		SET client_min_messages = error;
	} . join '', map { "SELECT pg_temp.tries(\$call\$$_\$call\$);\n" } @statements;
	my @answers = split /\n/, $node->safe_psql('postgres', $sql, extra_params => [ '-U', $role ]);
	is(scalar @answers, scalar @statements, "$role: an answer to each");
	return map { [ $statements[$_], $answers[$_] ] } 0 .. $#statements;
}
for my $kind (qw(reader app operator admin))
{
	my %granted = map { $_ => 1 } split /\n/, $node->safe_psql('postgres',
		"SELECT object_name FROM model_mgr.role_grant WHERE role_kind = '$kind' AND object_kind = 'routine'");
	my @wrong;
	for (tries($kind, @calls))
	{
		my ($call, $said) = @$_;
		my ($name) = $call =~ /model_mgr\."?(\w+)/;
		my $refused = $said =~ /^42501 permission denied for (?:function|procedure|aggregate) $name$/;
		push @wrong, "$call: $said" if $granted{$name} ? $said =~ /permission denied for (?!extension|role|to grant)/ : !$refused;
	}
	is(join("\n", @wrong), '', "$kind: role_grant is what holds");
	my @relations = split /\n/, $node->safe_psql('postgres', q{
		SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition ORDER BY 1});
	@wrong = grep { $_->[1] !~ ($kind ne 'app' && $_->[0] !~ /unit_key/ ? qr/^P0009/ : qr/^42501/) }
	  tries($kind, map { "SELECT * FROM model_mgr.$_ LIMIT 1" } @relations);
	is(join("\n", map { "@$_" } @wrong), '', "$kind: reads what it may");
	# Views that cannot be written say so before anybody's right is asked.
	@wrong = grep { $_->[1] !~ /^(42501|55000 cannot)/ } tries($kind, map { ("DELETE FROM model_mgr.$_", "TRUNCATE model_mgr.$_",
			$_ eq 'observation' ? () : "INSERT INTO model_mgr.$_ DEFAULT VALUES") } @relations);
	is(join("\n", grep { !/TRUNCATE.* 42809/ } map { "@$_" } @wrong), '', "$kind: writes no relation");
}

# The application role: nothing but INSERT into the columns of observation, not even txn.
is($node->safe_psql('postgres', q{
	SELECT string_agg(c.relname || '.' || a.attname || ' ' || p, ', ' ORDER BY 1)
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0,
		unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
	WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p', 'v')
		AND has_column_privilege('app', c.oid, a.attnum, p)
		AND NOT (c.relname = 'observation' AND p = 'INSERT' AND a.attname <> 'txn')}),
	'', 'the application role has no right on any column but INSERT on those of observation');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace
	AND CASE WHEN relkind = 'S' THEN has_sequence_privilege('app', oid, 'USAGE, SELECT, UPDATE')
		WHEN relkind IN ('r', 'p', 'v') THEN has_table_privilege('app', oid, 'SELECT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') END}),
	'0', 'and none on a whole relation');
for my $relation (split /\n/, $node->safe_psql('postgres',
	"SELECT relname FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY 1"))
{
	is(error_of($node, "SELECT count(*) FROM model_mgr.$relation", @as_app), '42501', "the application role cannot read $relation");
}
for my $statement (
	'UPDATE model_mgr.observation SET success = true', 'DELETE FROM model_mgr.observation', 'TRUNCATE model_mgr.observation',
	'INSERT INTO model_mgr.observation (version_id, txn) VALUES (1, 0)', 'INSERT INTO model_mgr.observation_default (version_id) VALUES (1)',
	"SELECT model_mgr.rollback_model('spam')", "SELECT model_mgr.promote_deployment($deployment)", 'SELECT model_mgr.tick()',
	"SELECT model_mgr.create_model_version('x', '1', '{\"provider\": \"a\", \"model_name\": \"b\"}')",
	'SET model_mgr.enforcement = off', "SET model_mgr.clock = '2020-01-01'", 'SET model_mgr.retention_days = 1')
{
	# The first call loads the library, so that its settings are known by their own rules.
	is(error_of($node, "SELECT model_mgr.route_version('spam', 'u'); $statement", @as_app), '42501', "the application role may not: $statement");
}

# It routes and records in every way there is; nothing of that needs the owner's relations.
is(error_of($node, $_, @as_app), '', "the application role may: $_")
  for (
	"SELECT model_mgr.route_version('spam', 'u')", "SELECT * FROM model_mgr.route('spam', 'u')",
	"SELECT model_mgr.bucket('k', 'u')",
	"SELECT model_mgr.record_outcome(decision, true, 0.1) FROM model_mgr.route('spam', 'u')",
	"SELECT model_mgr.record_feedback(decision, true) FROM model_mgr.route('spam', 'u')",
	"SELECT model_mgr.update_model_metrics('spam', '1.0.0', 0.1, true, unit_id => 'u')",
	"SELECT model_mgr.record_outcomes('[{\"model_name\": \"spam\", \"version\": \"1.0.0\", \"success\": true}]')",
	"INSERT INTO model_mgr.observation (version_id, success, unit_hash) SELECT 1, true, model_mgr.unit_hash('u')",
	"COPY model_mgr.observation (version_id, success) FROM STDIN;\n1\tt\n\\.\n");

# A bad candidate (real time: the limits look at the last minutes) is taken back by the recordings of this role alone.
my $second = $node->safe_psql('postgres', serving('ham', '1', '2') . q{
	SELECT deployment_id FROM model_mgr.deploy_model_version('ham', '2', 'canary', traffic_percentage => 50,
		rollout => '{"steps": [50, 100], "min_requests": 50}');});
($second) = $second =~ /(\d+)$/;
my $app = $node->background_psql('postgres', @as_app);
my $rounds = 0;
my $state = '';
while ($rounds++ < 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$app->query(serve('ham', 1, 100, "r.value = '1'"));
	$state = $node->safe_psql('postgres', "SELECT status FROM model_mgr.get_deployment($second)");
	last if $state eq 'rolled_back';
	select undef, undef, undef, 0.2;
}
is($state, 'rolled_back', 'the recordings of the application role roll a bad version back');
is($app->query("SELECT string_agg(DISTINCT model_mgr.route_version('ham', 'unit ' || i), ' ') FROM generate_series(1, 100) i;"),
	'1', 'and its next requests go to the version before');
is($app->query('SELECT current_user;'), 'app', 'it is still itself');
is($node->safe_psql('postgres', "SELECT count(*) > 0 FROM model_mgr.audit_log WHERE operation ~ 'rollback|rolled_back' AND user_name = 'app'"),
	't', 'the audit log says in whose session');
totals_agree($node, 'rollups agree with the observations');
$app->quit;

# The reader reads every view and changes nothing; the operator operates.
for my $view (split /\n/, $node->safe_psql('postgres',
	"SELECT relname FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace AND relkind = 'v' ORDER BY 1"))
{
	is(error_of($node, "SELECT count(*) FROM model_mgr.$view", extra_params => [ '-U', 'reader' ]), '', "the reader reads $view");
}
is(error_of($node, 'SELECT count(*) FROM model_mgr.unit_key', extra_params => [ '-U', $_ ]), '42501', "$_ cannot read the key")
  for 'reader', 'operator';
is(error_of($node, "SELECT model_mgr.$_", extra_params => [ '-U', 'reader' ]), '42501', "the reader may not: $_")
  for "rollback_model('spam')", "update_model_metrics('spam', '1.0.0', 0.1)", 'tick()';
is(error_of($node, "SELECT * FROM model_mgr.$_", extra_params => [ '-U', 'operator' ]), '', "the operator may: $_")
  for 'tick()', "promote_deployment($deployment)", "rollback_model('spam', reason => 'seen enough')";
is(error_of($node, 'CALL model_mgr.maintain()', extra_params => [ '-U', 'operator' ]), '', 'the operator may: maintain()');
is($node->safe_psql('postgres', q{
	SELECT count(DISTINCT relowner) FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace}),
	'1', 'what the operator made at run time belongs to the owner');
finish($node);
