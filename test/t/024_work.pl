# work() and code that takes its session down, is cancelled, crashes or meets another work(): the guilty are disabled by the
# next work(), the others go on, nobody runs twice at once, and registrations survive a restart, a dump and a restore.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('work', conf => "restart_after_crash = on\nlog_min_messages = log\n");
$node->safe_psql('postgres', serving('spam', '1') . q{
	CREATE ROLE author LOGIN;
	SELECT model_mgr.setup_roles();
	GRANT model_mgr_operator TO author;
	CREATE SCHEMA code AUTHORIZATION author;
	SET SESSION AUTHORIZATION author;
	CREATE TABLE code.ran (n serial, name text, pid integer DEFAULT pg_backend_pid(), began timestamptz DEFAULT clock_timestamp(), ended timestamptz);
	CREATE FUNCTION code.honest(event jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO code.ran (name) VALUES ('honest') $$;
	-- Goes on whatever it is told.
	CREATE FUNCTION code.stubborn(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN LOOP BEGIN PERFORM pg_sleep(0.1); EXCEPTION WHEN query_canceled OR OTHERS THEN NULL; END; END LOOP; END $$;
	CREATE FUNCTION code.slow(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN PERFORM pg_sleep(1); INSERT INTO code.ran (name, ended) VALUES ('slow', clock_timestamp()); END $$;
	CREATE FUNCTION code.sleeps(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(120); END $$;
	CREATE TABLE code.values ("time" timestamptz, model_name text, version text, value float8);
	INSERT INTO code.values SELECT now() - i * interval '1 minute', 'spam', '1', i FROM generate_series(0, 59) i;
	CREATE FUNCTION code.stubborn_value() RETURNS float8 LANGUAGE plpgsql AS $$
	BEGIN LOOP BEGIN PERFORM pg_sleep(0.1); EXCEPTION WHEN query_canceled OR OTHERS THEN NULL; END; END LOOP; END $$;
	CREATE VIEW code.stubborn_view AS SELECT now() AS "time", 'spam' AS model_name, '1' AS version, code.stubborn_value() AS value;
	CREATE VIEW code.sleepy_view AS SELECT now() AS "time", 'spam' AS model_name, '1' AS version, (SELECT 1 FROM pg_sleep(120)) AS value;});

my $as_author = 'SET SESSION AUTHORIZATION author; ';
my $limit = 'SET model_mgr.update_validation_timeout = 2; ';
# happen: so many events that are due for all callbacks.
sub happen
{
	my ($events) = @_;
	return $node->safe_psql('postgres', qq{
		WITH e AS (INSERT INTO model_mgr.event ("time", type) SELECT now(), 'alert.firing' FROM generate_series(1, $events) RETURNING event_id),
		d AS (INSERT INTO model_mgr.callback_delivery (callback_id, event_id, next_attempt_at)
			SELECT c.callback_id, e.event_id, now() - interval '1 second' FROM model_mgr.callback c, e WHERE c.disabled_at IS NULL RETURNING 1)
		SELECT count(*) FROM d});
}
sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
# reset_all: no registrations, nothing noted.
sub reset_all
{
	query('TRUNCATE model_mgr.callback, model_mgr.callback_delivery, model_mgr.metric_source, code.ran');
}
sub callback { my ($name) = @_; return query("$as_author SELECT model_mgr.add_alert_callback('code.$name(jsonb)')"); }
sub source { my ($name, $relation) = @_; query("$as_author SELECT model_mgr.add_metric_source('$name', 'code.$relation')"); return; }
# state: of callbacks and sources, one line each.
sub state
{
	return query(q{SELECT string_agg(x, E'\n' ORDER BY x COLLATE "C") FROM (
		SELECT format('%s: %s', c.function, coalesce('disabled, ' || regexp_replace(c.disabled_reason, '\d+', 'N'), c.last_error, c.delivered || ' delivered')) FROM model_mgr.callback_list c
		UNION ALL SELECT format('%s: %s', m.metric_name, coalesce('disabled, ' || m.disabled_reason, m.last_error, 'read')) FROM model_mgr.metric_source_list m) s (x)});
}
# running: starts work() in the background and waits until it sleeps in user code.
sub running
{
	my ($setting) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid();');
	$session->query_until(qr/begun/, "\\echo begun\n" . ($setting // '') . "CALL model_mgr.work();\n");
	$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid") or die 'work() does not get to the sleep';
	return ($session, $pid);
}

# 1. Code that catches its cancellation: a callback, then a source. The session ends; the next work() knows.
callback('stubborn');
callback('honest');
source('values', 'values');
happen(1);
my $log = -s $node->logfile;
my ($status, $out, $err) = $node->psql('postgres', "${limit}CALL model_mgr.work();");
is($status, 2, 'a callback that goes on after its cancellation ends with its session');
like($err, qr/FATAL:  terminating connection/, 'by FATAL');
like(slurp_file($node->logfile, $log), qr/model_mgr ended this session: user code in it went on after its cancellation/, 'and the log says why');
($status, $out, $err) = $node->psql('postgres', "${limit}CALL model_mgr.work();");
is($status, 0, 'the next work() goes through');
like($err, qr/WARNING:  callback \d+, code.stubborn\(jsonb\), is disabled/, 'it says what it disables');
is(state(), "code.honest(jsonb): 1 delivered\ncode.stubborn(jsonb): disabled, the session that ran it for event N has ended\nvalues: read", 'the others were served');
query("${limit}CALL model_mgr.work();");
is(query("SELECT count(*) FROM model_mgr.callback_delivery WHERE started_at IS NOT NULL"), '0', 'no mark is left');

reset_all();
source('stubborn', 'stubborn_view');
source('values', 'values');
callback('honest');
happen(1);
($status) = $node->psql('postgres', "${limit}CALL model_mgr.work();");
is($status, 2, 'a view that goes on after its cancellation ends with its session');
query("${limit}CALL model_mgr.work();");
is(state(), "code.honest(jsonb): 1 delivered\nstubborn: disabled, the session that read it has ended\nvalues: read", 'its source is disabled, the others were served');
is(query('SELECT count(*), sum(value) FROM model_mgr.metric_sample'), '60|1770', 'and read whole');
query("$as_author CREATE OR REPLACE VIEW code.stubborn_view AS SELECT now() AS \"time\", 'spam' AS model_name, '1' AS version, 1::float8 AS value; SELECT model_mgr.add_metric_source('stubborn', 'code.stubborn_view'); CALL model_mgr.work()");
like(state(), qr/stubborn: read/, 'put right and added again: read');

# 2. A crash of the backend, as of a bug in a library that the code calls.
reset_all();
callback('sleeps');
source('sleepy', 'sleepy_view');
happen(1);
my ($session, $pid) = running();
kill 'KILL', $pid;
$session->{run}->finish;
# By then the postmaster has heard of the crash: what follows is not the server of before.
$node->wait_for_log(qr/all server processes terminated; reinitializing/);
poll_restart($node) or die 'no restart';
query("${limit}CALL model_mgr.work();");
like(state(), qr/code.sleeps\(jsonb\): disabled, the session that ran it for event N has ended\nsleepy: it was cancelled after 2 seconds/, 'the callback in which the backend died is disabled, the source had its turn');

# 3. An administrator cancels: nobody is guilty.
reset_all();
callback('sleeps');
source('sleepy', 'sleepy_view');
source('values', 'values');
happen(1);
($session, $pid) = running();
query("SELECT pg_cancel_backend($pid)");
$node->poll_query_until('postgres', "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid") or die 'not cancelled';
is(query("SELECT last_error, disabled_at IS NULL FROM model_mgr.callback_list"), 'canceling statement due to user request|t', 'a cancelled callback is noted and tried again later');
$session->quit;
query("${limit}CALL model_mgr.work();");
is(state(), "code.sleeps(jsonb): canceling statement due to user request\nsleepy: it was cancelled after 2 seconds\nvalues: read", 'the next work() goes on with the others');
reset_all();
source('sleepy', 'sleepy_view');
is(error_of($node, "SET statement_timeout = '3s'; CALL model_mgr.work();"), '57014', 'a statement_timeout of the session ends work()');
is(state(), 'sleepy: canceling statement due to statement timeout', 'and is noted');

# 4. A restart of the server in the middle of it.
reset_all();
callback('sleeps');
happen(1);
($session, $pid) = running();
$node->stop('fast');
$session->{run}->finish;
$node->start;
is(query('SELECT started_by = ' . $pid . ' FROM model_mgr.callback_delivery'), 't', 'the mark is there');
query("${limit}CALL model_mgr.work();");
is(state(), 'code.sleeps(jsonb): it was cancelled after 2 seconds', 'but a restart is no fault of the code');

# 5. Two work() at once, and a third: every event once, and no item waits for another session's.
reset_all();
callback('slow');
callback('honest');
source('values', 'values');
happen(6);
my @workers = map { $node->background_psql('postgres') } 1 .. 3;
$_->query_until(qr/begun/, "\\echo begun\nCALL model_mgr.work();\n") for @workers;
$_->query_safe('SELECT 1;') for @workers;
is(query("SELECT count(*) FROM code.ran WHERE name = 'slow'"), '6', 'each event once');
is(query("SELECT count(*) FROM code.ran WHERE name = 'honest'"), '6', 'for both callbacks');
cmp_ok(query("SELECT count(DISTINCT pid) FROM code.ran WHERE name = 'slow'"), '>', 1, 'several sessions took part');
$_->quit for @workers;

# 6. A dump into another database, and into another cluster: names are what is left, and they will do.
# Calls were under way when the dump was made: of sessions that are none of the copies'.
happen(2);
query(q{UPDATE model_mgr.callback_delivery SET started_at = clock_timestamp() + interval '1 minute', started_by = 999999
	WHERE delivered_at IS NULL AND callback_id = (SELECT callback_id FROM model_mgr.callback WHERE signature = 'code.honest(jsonb)')});
query('CREATE DATABASE copy');
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('postgres') ], 'dump');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $file ], 'restored beside it');
my $other = new_node('elsewhere', extension => 0);
$other->safe_psql('postgres', 'CREATE ROLE author; SELECT 1;');
$other->safe_psql('postgres', "CREATE ROLE $_") for qw(model_mgr_admin model_mgr_operator model_mgr_app model_mgr_reader);
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $file ], 'restored elsewhere');
for my $place ([ $node, 'copy' ], [ $other, 'postgres' ])
{
	my ($there, $dbname) = @$place;
	$there->safe_psql($dbname, "INSERT INTO code.values VALUES (clock_timestamp(), 'spam', '1', 1000)");
	($status, $out, $err) = $there->psql($dbname, 'CALL model_mgr.work();');
	is($err, '', "$dbname: no warning");
	is($there->safe_psql($dbname, q{SELECT delivered, pending FROM model_mgr.callback_list WHERE function = 'code.honest(jsonb)'}), '8|0', 'and each event of the dump is delivered');
	is($there->safe_psql($dbname, "SELECT sum(samples), sum(value * samples) FROM model_mgr.metric_sample WHERE metric_name = 'values'"), '61|2770', "$dbname: the source is read on");
}
# In its own database an OID is what it was: a role of the same name is another.
query('ALTER ROLE author RENAME TO gone; CREATE ROLE author; GRANT USAGE ON SCHEMA code TO author; GRANT SELECT ON code.values TO author; CALL model_mgr.work();');
like(state(), qr/values: disabled, role "author" is called "gone" now/, 'another role of that name does not inherit the source');

# The unit of docs/operations.md as systemd would start it, for a second instead of an hour.
my $unit = doc_block('docs/operations.md', 0);
my %environment = $unit =~ /^Environment=(.*)$/m ? $1 =~ /(\w+)=(\S+)/g : ();
my ($start) = $unit =~ m{^ExecStart=(/usr/bin/psql .*)$}m or die;
is($environment{PGDATABASE}, 'mydb', 'the unit names a database');
$start =~ s/run\(3600\)/run(1)/ or die;
$other->safe_psql('postgres', 'UPDATE model_mgr.tick_state SET last_finished_at = NULL');
{
	local %ENV = (%ENV, %environment, PGHOST => $other->host, PGPORT => $other->port, PGDATABASE => 'postgres');
	is(system($start), 0, 'the unit runs');
}
is($other->safe_psql('postgres', 'SELECT last_finished_at IS NOT NULL FROM model_mgr.tick_state'), 't', 'and ticks');

finish($other);
