# The outbox among many sessions: a listener hears of events from the tick, and of nothing too early; a reader that goes
# on from its cursor gets every event of eight writers once and in order, whatever they undo and however they overlap.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('events');
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN model_mgr;');

# heard: payloads that the listener has got since the last time. NOTIFY reaches a session between its statements.
sub heard
{
	my ($wanted) = @_;
	my @payloads;
	for my $attempt (1 .. 50)
	{
		push @payloads, $listener->query_safe('SELECT NULL WHERE false') =~ /"model_mgr" with payload "([^"]*)"/g;
		last if @payloads >= $wanted;
		select undef, undef, undef, 0.05;
	}
	return join ',', @payloads;
}
sub tick_tells { return $node->safe_psql('postgres', "SELECT items FROM model_mgr.tick() WHERE task = 'events'"); }
sub newest { return $node->safe_psql('postgres', 'SELECT max(event_id) FROM model_mgr.event'); }

tick_tells();
is(heard(0), '', 'nothing has happened: nothing is said');
$node->safe_psql('postgres', serving('spam', '1', '2'));
is(heard(0), '', 'what happens says nothing itself');
is(tick_tells(), 6, 'the tick tells of it');
is(heard(1), newest(), 'with the latest event');
is(tick_tells(), 0, 'once');
is(heard(0), '', 'and no more');

# What the tick does itself is told with its commit, and is readable when the listener hears of it.
$node->safe_psql('postgres', q{
	SET model_mgr.enforcement = off;
	SELECT status FROM model_mgr.deploy_model_version('spam', '2', 'canary', rollout => '{"min_requests": 10}');
	SELECT count(*) FROM (SELECT model_mgr.update_model_metrics('spam', '2', success => false) FROM generate_series(1, 20) OFFSET 0) o;});
cmp_ok(tick_tells(), '>', 2, 'the tick takes the version back and tells of that too');
is(heard(1), newest(), 'in one go');
is($node->safe_psql('postgres', "SELECT type FROM model_mgr.events_since() ORDER BY event_id DESC LIMIT 1"), 'deployment.rolled_back', 'it can be read at once');
tick_tells();
heard(1);

# A transaction that goes on writing holds back what others write; nobody is called to find nothing.
my $long = $node->background_psql('postgres');
$long->query_safe('BEGIN; SELECT pg_current_xact_id();');
$node->safe_psql('postgres', "SELECT version FROM model_mgr.mark_version_ready('spam', '2');");
is(tick_tells(), 0, 'nothing that can be read');
$long->query_safe('COMMIT;');
is(tick_tells(), 1, 'once it can be read');
is(heard(1), newest(), 'it is told');
$node->safe_psql('postgres', "SELECT version FROM model_mgr.archive_model_version('spam', '2');");
is($node->safe_psql('postgres', "SET model_mgr.notify = off; SELECT items FROM model_mgr.tick() WHERE task = 'events'"), 0, 'notify off: silence');
is(tick_tells(), 1, 'and later all of it');
is(heard(1), newest(), 'is told');
is($node->safe_psql('postgres', 'BEGIN; SELECT count(*) > 0 FROM model_mgr.tick(); ROLLBACK; SELECT 1'), "t\n1", 'a tick that is undone');
is(heard(0), '', 'says nothing');
$listener->quit;
$long->quit;

# Eight writers; a third of what they write is undone, by savepoints or as a whole, and some take their time.
my $seconds = soak() ? 120 : 5;
$node->safe_psql('postgres', q{
	CREATE TABLE public.dealt_with (n bigserial, event_id bigint PRIMARY KEY);
	CREATE TABLE public.place (cursor text);
	INSERT INTO public.place VALUES ('');
	CREATE FUNCTION public.happen() RETURNS void LANGUAGE sql AS $$
		INSERT INTO model_mgr.event ("time", type) VALUES (now(), 'model.tested') $$;
	-- deal: reads on until that time is over and there is nothing more.
	CREATE PROCEDURE public.deal(seconds integer) LANGUAGE plpgsql AS $$
	DECLARE
		ends timestamptz := clock_timestamp() + make_interval(secs => seconds);
		last text;
		more bigint;
	BEGIN
		LOOP
			SELECT p.cursor INTO last FROM public.place p;
			WITH e AS MATERIALIZED (SELECT * FROM model_mgr.events_since(last, 50) WITH ORDINALITY),
				i AS (INSERT INTO public.dealt_with (event_id) SELECT e.event_id FROM e ORDER BY e.ordinality)
			UPDATE public.place SET cursor = e.cursor FROM e WHERE e.ordinality = (SELECT max(m.ordinality) FROM e m);
			GET DIAGNOSTICS more = ROW_COUNT;
			COMMIT;
			EXIT WHEN more = 0 AND clock_timestamp() >= ends;
		END LOOP;
	END $$;});
my $script = PostgreSQL::Test::Utils::tempdir() . '/happen';
append_to_file($script, q{
\set r random(1, 12)
\set ms random(0, 25)
BEGIN;
SELECT public.happen();
SAVEPOINT a;
SELECT public.happen();
\if :r <= 3
ROLLBACK TO a;
\endif
\if :r >= 6
SELECT pg_sleep(:ms / 1000.0);
\endif
SELECT public.happen();
\if :r = 1
ROLLBACK;
\else
COMMIT;
\endif
});
my $reader = $node->background_psql('postgres');
my $done = $reader->query_until(qr/begun/, "\\echo begun\nCALL public.deal(" . ($seconds + 1) . ");\n");
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-T', $seconds, '-f', $script, '-d', $node->connstr('postgres') ], 'writers');
$reader->query_safe('SELECT 1;');
$reader->quit;
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM public.dealt_with'), '>', 300, 'there was something to read');
$node->safe_psql('postgres', 'CALL public.deal(0)');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT event_id FROM public.dealt_with) d FULL JOIN
		(SELECT event_id FROM model_mgr.event WHERE type = 'model.tested') e USING (event_id)
	WHERE d.event_id IS NULL}), 0, 'every event was read');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT (e.txn, e.event_id) < lag((e.txn, e.event_id)) OVER (ORDER BY d.n) AS back
		FROM public.dealt_with d JOIN model_mgr.event e USING (event_id)) o WHERE back}), 0, 'in the order of the outbox');
cmp_ok($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT event_id < lag(event_id) OVER (ORDER BY n) AS back FROM public.dealt_with) o WHERE back}), '>', 0,
	'which is not that of the ids');

finish($node);
