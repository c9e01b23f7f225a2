# Updates through a crash in each of their states, a dump and a restore half-way, and a validator that takes its session
# down: nothing is lost, nothing is done twice, the guilty one is disabled.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('updates', conf => "restart_after_crash = on\n");
my $clock = "SET model_mgr.clock = '2026-03-08 00:00:00+00'; ";
sub query { my ($sql, $dbname, $on) = @_; return ($on // $node)->safe_psql($dbname // 'postgres', $clock . $sql); }
# ticks: one tick; work() is a statement of its own.
sub ticks { my ($dbname, $on) = @_; query('SELECT count(*) FROM model_mgr.tick()', $dbname, $on); return; }
sub works { my ($dbname, $on) = @_; ($on // $node)->psql($dbname // 'postgres', "SET model_mgr.clock = '2026-03-08 00:00:00+00';\nCALL model_mgr.work();"); return; }
my $states = q{SELECT string_agg(format('%s %s', model_name, status), ', ' ORDER BY model_name) FROM model_mgr.update_run};
sub crash
{
	query('SELECT 1');
	$node->stop('immediate');
	$node->start;
	return;
}

query(serving($_, '1', '2')) for qw(a b c d);
query(q{
	CREATE ROLE author LOGIN;
	SELECT model_mgr.setup_roles();
	GRANT model_mgr_operator TO author;
	CREATE SCHEMA code AUTHORIZATION author;
	SET SESSION AUTHORIZATION author;
	CREATE TABLE code.ran (n serial, update_id text);
	CREATE FUNCTION code.honest(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE plpgsql AS $$
	BEGIN INSERT INTO code.ran (update_id) VALUES (update ->> 'update_id'); RETURN QUERY SELECT true, 'fine'::text, NULL::jsonb; END $$;
	-- Goes on whatever it is told.
	CREATE FUNCTION code.stubborn(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE plpgsql AS $$
	BEGIN LOOP BEGIN PERFORM pg_sleep(0.1); EXCEPTION WHEN query_canceled OR OTHERS THEN NULL; END; END LOOP; END $$;
	CREATE FUNCTION code.sleeps(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE plpgsql AS $$
	BEGIN PERFORM pg_sleep(120); RETURN QUERY SELECT true, 'fine'::text, NULL::jsonb; END $$;
	SELECT model_mgr.register_validator(f, ('code.' || f || '(jsonb)')::regprocedure) FROM unnest('{honest,stubborn,sleeps}'::text[]) f;});
my $rules = q{jsonb_build_array(model_mgr.validation_rule('r', NULL, 'honest'))};

# 1. A crash in each state: pending, validating, judged and not deployed, deploying, completed; and in the middle of each
# transaction, which then has not been.
query("SELECT model_mgr.trigger_update('a', '2', validation_rules => $rules)");
crash();
is(query($states), 'a pending', 'pending');
$node->psql('postgres', "$clock BEGIN; SELECT count(*) FROM model_mgr.tick(); SELECT pg_terminate_backend(pg_backend_pid())");
is(query($states), 'a pending', 'a tick that did not commit was none');
ticks();
crash();
is(query($states), 'a validating', 'validating');
works();
crash();
is(query('SELECT count(*) FROM code.ran'), '1', 'its rule was judged');
works();
is(query('SELECT count(*) FROM code.ran'), '1', 'once');
ticks();
crash();
is(query($states), 'a deploying', 'deploying');
ticks();
is(query('SELECT count(*) FROM model_mgr.deployment WHERE model_name = \'a\''), '2', 'deployed once');
query("SELECT status FROM model_mgr.promote_deployment(model_mgr.open_deployment('a'), true)");
crash();
is(query($states), 'a completed', 'completed with its deployment');
query("SELECT model_mgr.rollback_model('a', reason => 'bad')");
is(query($states), 'a rolled_back', 'and rolled back with it');

# 2. A validator that goes on after its cancellation ends its session; the next work() knows, and disables it.
query(q{SELECT model_mgr.trigger_update('b', '2', validation_rules => jsonb_build_array(model_mgr.validation_rule('r', NULL, 'stubborn')))});
ticks();
my ($code, $out, $err) = $node->psql('postgres', "SET model_mgr.update_validation_timeout = 1; $clock CALL model_mgr.work();");
isnt($code, 0, 'the session ended');
works();
ticks();
is(query(q{SELECT status || ': ' || status_reason FROM model_mgr.update_run WHERE model_name = 'b'}), 'failed: rule "r": the session that ran it has ended', 'it has not passed');
is(query(q{SELECT disabled_reason FROM model_mgr.validator_list WHERE validator_name = 'stubborn'}), 'the session that ran it has ended', 'and is disabled');
query(q{SELECT model_mgr.trigger_update('b', '2', validation_rules => jsonb_build_array(model_mgr.validation_rule('r', NULL, 'stubborn')))});
ticks();
works();
ticks();
is(query(q{SELECT status_reason FROM model_mgr.update_run WHERE model_name = 'b' ORDER BY created_at DESC, update_id DESC LIMIT 1}),
	'rule "r": validator "stubborn" is disabled: the session that ran it has ended', 'rules that name it fail');

# 3. A person who cancels work(): the validator was cancelled, which is not to pass. A server that goes down in it is
# nobody's fault: it is judged after the restart.
for my $how ('cancel', 'crash')
{
	my $model = $how eq 'cancel' ? 'b' : 'c';
	query(qq{SELECT model_mgr.trigger_update('$model', '2', validation_rules => jsonb_build_array(model_mgr.validation_rule('r', NULL, 'sleeps')), idempotency_key => '$how')});
	ticks();
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid();');
	$session->query_until(qr/begun/, "\\echo begun\n$clock\nCALL model_mgr.work();\n");
	$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid") or die 'work() does not get to the validator';
	# Meanwhile nobody else runs it, and nobody waits for it.
	works() if $how eq 'cancel';
	is(query('SELECT count(*) FROM model_mgr.validation_result WHERE passed IS NULL AND started_by IS NOT NULL'), '1', "$how: one session is at it");
	if ($how eq 'cancel')
	{
		query("SELECT pg_cancel_backend($pid)");
		eval { $session->quit; };
		ticks();
		like(query(q{SELECT status || ': ' || status_reason FROM model_mgr.update_run u JOIN model_mgr.update_plan p USING (update_id) WHERE idempotency_key = 'cancel'}),
			qr/^failed: rule "r": .*cancel/, 'cancelled: it has not passed');
	}
	else
	{
		$node->stop('immediate');
		eval { $session->quit; };
		$node->start;
		query('CREATE OR REPLACE FUNCTION code.sleeps(update jsonb) RETURNS TABLE (passed boolean, message text, details jsonb) LANGUAGE sql AS $$ SELECT true, \'fine\', NULL::jsonb $$');
		works();
		ticks();
		is(query(q{SELECT status FROM model_mgr.update_run WHERE model_name = 'c'}), 'deploying', 'crash: judged after the restart');
	}
	is(query(q{SELECT count(*) FROM model_mgr.validator_list WHERE disabled_at IS NOT NULL}), '1', "$how: nothing else is disabled");
}

# 4. A dump with schedules and updates in each state goes on where it was, in the copy as in the original.
query("SELECT model_mgr.schedule_update('d', 'latest', '0 0 * * 0', validation_rules => $rules, timezone => 'Europe/Berlin')");
query("SELECT model_mgr.trigger_update('d', '2', validation_rules => $rules); SELECT model_mgr.set_security_policy('{m}', 1.0)");
ticks();
query("SELECT model_mgr.trigger_update('a', '2')");
my @one_row = qw(unit_key rollup_state audit_seal_state tick_state);
my $contents = table_checksums($node, 'postgres', without => \@one_row);
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/updates.dump", '-d', $node->connstr('postgres') ], 'dumped');
my $target = new_node('target', extension => 0);
$target->safe_psql('postgres', 'CREATE ROLE author LOGIN; CREATE DATABASE copy TEMPLATE template0; '
	. 'CREATE ROLE model_mgr_admin; CREATE ROLE model_mgr_operator; CREATE ROLE model_mgr_app; CREATE ROLE model_mgr_reader; GRANT model_mgr_operator TO author');
{
	local $ENV{PGOPTIONS} = '-c model_mgr.enforcement=off -c session_preload_libraries=model_mgr';
	command_ok([ 'pg_restore', '--exit-on-error', '-j', 4, '-d', $target->connstr('copy'), "$dir/updates.dump" ], 'restored');
}
is(table_checksums($target, 'copy', without => \@one_row), $contents, 'with all its rows');
for my $where ([ $node, 'postgres' ], [ $target, 'copy' ])
{
	my ($on, $dbname) = @$where;
	works($dbname, $on);
	ticks($dbname, $on);
	is(query(q{SELECT string_agg(format('%s %s', model_name, status), ', ' ORDER BY model_name, update_no) FROM model_mgr.list_updates() u JOIN model_mgr.update_plan USING (update_id)
		WHERE status IN ('validating', 'deploying', 'pending')}, $dbname, $on), 'a deploying, c deploying, d deploying', "$dbname: each goes on");
	is(query(q{SELECT next_run_at FROM model_mgr.list_schedules()}, $dbname, $on), query(q{SELECT '2026-03-15 00:00:00 Europe/Berlin'::timestamptz}, $dbname, $on), "$dbname: its schedule too");
	my $last = query(q{SELECT max(update_no) FROM model_mgr.update_plan}, $dbname, $on);
	is(query(q{SELECT count(*) FROM (SELECT model_mgr.trigger_update('b', '1') AS id) x WHERE substr(id, 5)::bigint > } . $last, $dbname, $on), '1', "$dbname: numbers go on");
}
$target->stop;
$node->stop;
done_testing();
