# Callbacks across sessions and clusters: two workers call once, a call that is cancelled or cut off by a restart is
# made again, one that ends its own session is disabled; and after a dump and a restore into a cluster with other OIDs
# they are called as before, or not at all: never as somebody else.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('callbacks');

# roles: those of the extension and two people with a table that their callbacks write to.
my $roles = 'CREATE ROLE ann; CREATE ROLE bob;';
$node->safe_psql('postgres', $roles . q{
	SELECT model_mgr.setup_roles();
	GRANT model_mgr_operator TO ann, bob;
	CREATE TABLE public.got (n serial, callback text, role text, event_id bigint, nap float8);
	CREATE TABLE public.mood (callback text, nap float8, ends boolean);
	GRANT SELECT, INSERT ON public.got, public.mood TO PUBLIC;
	GRANT USAGE ON SEQUENCE public.got_n_seq TO PUBLIC;
	GRANT CREATE ON SCHEMA public TO ann, bob;});

# register: a callback of a role, which sleeps or ends the session when public.mood says so.
sub register
{
	my ($role, $name) = @_;
	return $node->safe_psql('postgres', qq{
		SET ROLE $role;
		CREATE FUNCTION public.$name(event jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			m public.mood;
		BEGIN
			SELECT * INTO m FROM public.mood WHERE callback = '$name';
			PERFORM pg_sleep(m.nap);
			IF m.ends THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
			INSERT INTO public.got (callback, role, event_id) VALUES ('$name', current_user, (event ->> 'event_id')::bigint);
		END \$\$;
		SELECT model_mgr.add_rollback_callback('public.$name(jsonb)');});
}
my $model = 0;
# take_back: an automatic rollback; its event.
sub take_back
{
	my ($node, $minute) = @_;
	$model++;
	my $event = $node->safe_psql('postgres', at($minute, qq{
		SET model_mgr.enforcement = off;
		SET client_min_messages = error;
		DO \$\$ BEGIN
			PERFORM model_mgr.create_model_version('m$model', v, '{"provider": "test", "model_name": "m"}') FROM unnest('{1,2}'::text[]) v;
			PERFORM model_mgr.deploy_model_version('m$model', '1');
			PERFORM model_mgr.deploy_model_version('m$model', '2', rollout => '{"min_requests": 10}');
			PERFORM model_mgr.update_model_metrics('m$model', '2', success => false) FROM generate_series(1, 10);
			PERFORM model_mgr.tick();
		END \$\$;
		SELECT max(event_id) FROM model_mgr.event WHERE type = 'deployment.rolled_back';}));
	return $event;
}
sub work { my ($node, $minute) = @_; return $node->safe_psql('postgres', at($minute, 'SET client_min_messages = error; CALL model_mgr.work();')); }
sub got { my ($node) = @_; return $node->safe_psql('postgres', q{
	WITH g AS (DELETE FROM public.got RETURNING *) SELECT string_agg(callback || ' ' || role || ' ' || event_id, ', ' ORDER BY event_id, callback) FROM g}); }
sub row { my ($node, $id, $columns) = @_; return $node->safe_psql('postgres', "SELECT $columns FROM model_mgr.callback_list WHERE callback_id = $id"); }

my $quick = register('ann', 'quick');
my $slow = register('bob', 'slow');

# Two workers.
$node->safe_psql('postgres', "INSERT INTO public.mood VALUES ('slow', 0.2)");
my @events = map { take_back($node, 0) } 1 .. 5;
my @workers = map { $node->background_psql('postgres') } 1 .. 2;
$_->query_until(qr/begun/, at(0, "\nSET client_min_messages = error;\n\\echo begun\nCALL model_mgr.work();\n")) for @workers;
$_->query_safe('SELECT 1;') for @workers;
is(got($node), join(', ', map { ("quick ann $_", "slow bob $_") } @events), 'two workers at once: each event once to each callback');
$_->quit for @workers;

# Cancelled from outside, and the session gone: nobody's fault.
$node->safe_psql('postgres', "UPDATE public.mood SET nap = 20");
my $event = take_back($node, 1);
my ($said, $complaint) = ('', '');
my $cancelled = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), '-c', at(1, ''), '-c', 'CALL model_mgr.work()' ],
	'>', \$said, '2>', \$complaint);
$node->poll_query_until('postgres', "SELECT count(pg_cancel_backend(pid)) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") or die 'nothing to cancel';
$cancelled->finish;
like($complaint, qr/ERROR:  57014/, 'a cancelled work() says so');
is(got($node), "quick ann $event", 'what was done stays done');
is(row($node, $slow, 'pending, disabled_at IS NULL'), '1|t', 'the call that was cancelled is pending');
$node->safe_psql('postgres', "UPDATE public.mood SET nap = 0");
work($node, 3);
is(got($node), "slow bob $event", 'and made later');

# Cut off by a restart.
$node->safe_psql('postgres', "UPDATE public.mood SET nap = 20");
$event = take_back($node, 5);
my $worker = $node->background_psql('postgres', on_error_die => 0, on_error_stop => 0);
$worker->query_until(qr/begun/, at(5, "\n\\echo begun\nCALL model_mgr.work();\n"));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
$node->stop('immediate');
eval { $worker->{run}->finish; };
$node->start;
$node->safe_psql('postgres', "UPDATE public.mood SET nap = 0");
work($node, 5);
is(got($node), "quick ann $event, slow bob $event", 'cut off by a restart: made again');

# One that ends its session. The next work() finds the mark; the others are served.
# Of the superuser, whose name is that of who runs the tests.
my $superuser = $node->safe_psql('postgres', 'SELECT quote_ident(current_user)');
my $hostile = register($superuser, 'hostile');
$node->safe_psql('postgres', "INSERT INTO public.mood VALUES ('hostile', 0, true)");
$event = take_back($node, 10);
my ($status) = $node->psql('postgres', at(10, 'CALL model_mgr.work();'));
isnt($status, 0, 'the session of work() is gone');
work($node, 10);
is(got($node), "quick ann $event, slow bob $event", 'the others are served');
is(row($node, $hostile, 'disabled_reason'), "the session that ran it for event $event has ended", 'it is disabled');
my $last = take_back($node, 11);
work($node, 11);
is(got($node), "quick ann $last, slow bob $last", 'and called no more');
$node->safe_psql('postgres', "DELETE FROM public.mood; SELECT model_mgr.remove_callback($hostile)");

# Into another cluster, with the roles there by name, after other ones; what is pending is delivered there.
my $pending = take_back($node, 20);
my $cursor = $node->safe_psql('postgres', 'SELECT cursor FROM model_mgr.events_since() ORDER BY event_id DESC LIMIT 1');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'pg_dump');
sub restored
{
	my ($name, $before) = @_;
	my $other = new_node($name, extension => 0);
	$other->safe_psql('postgres', 'CREATE ROLE somebody; CREATE ROLE else_; CREATE FUNCTION public.other(jsonb) RETURNS void LANGUAGE sql AS $$SELECT$$;');
	$other->safe_psql('postgres', "CREATE ROLE $_") for qw(model_mgr_admin model_mgr_operator model_mgr_app model_mgr_reader);
	$other->safe_psql('postgres', $before);
	system_log('pg_restore', '-d', $other->connstr('postgres'), "$dir/dump");
	return $other;
}
my $there = restored('there', $roles);
is($there->safe_psql('postgres', q{
	SELECT count(*) FROM model_mgr.callback c WHERE c.function = to_regprocedure(c.signature) OR c.role = to_regrole(c.role_name)}), 0, 'all OIDs are others');
work($there, 20);
is(got($there) =~ s/^.*(?=quick ann $pending)//r, "quick ann $pending, slow bob $pending", 'restored: called as before, for what was pending');
is($there->safe_psql('postgres', q{
	SELECT count(*) FROM model_mgr.callback c WHERE c.function = to_regprocedure(c.signature) AND c.role = to_regrole(c.role_name)}), 2, 'the new OIDs are stored');
is($there->safe_psql('postgres', "SELECT count(*) FROM model_mgr.events_since('$cursor')"), 0, 'a cursor of the old cluster is good');
$event = take_back($there, 30);
work($there, 30);
is(got($there), "quick ann $event, slow bob $event", 'and for what happens there');
cmp_ok($there->safe_psql('postgres', "SELECT count(*) FROM model_mgr.events_since('$cursor')"), '>', 5, 'the old cursor goes on there');

# Where a role is missing, its function falls to who restores; it is not called as that one.
my $poor = restored('poor', 'CREATE ROLE ann;');
is($poor->safe_psql('postgres', "SELECT proowner::regrole FROM pg_proc WHERE proname = 'slow'"), $superuser, 'a function of a role that is not there belongs to who restores');
$poor->safe_psql('postgres', 'DELETE FROM public.got');
work($poor, 20);
is(got($poor), "quick ann $pending", 'it is not called');
is(row($poor, $slow, 'disabled_reason, pending'), 'role "bob" does not exist any more|1', 'but disabled, with the reason');

finish($node, $there, $poor);
