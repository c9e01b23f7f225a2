# Readers against writers: while routing changes as fast as it can, committed and rolled back, no reader gets an answer
# older than one whose COMMIT was acknowledged before it asked, older than the answer it had before, or one that was
# never committed; nor does one of a hundred sessions while rollouts go through. (A snapshot is no witness: the server
# shows a commit to snapshots before it sends the cache messages and acknowledges.)
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $transactions = soak() ? 150_000 : 1250;
my $node = new_node('race', conf => "max_connections = 130\n");
my $dir = PostgreSQL::Test::Utils::tempdir();

# Version text counts the committed changes of each model; what is rolled back is far above.
$node->safe_psql('postgres', serving("m$_", '0000000001')) for 0 .. 9;
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE acknowledged (model_name text PRIMARY KEY, version text) WITH (fillfactor = 50);
INSERT INTO acknowledged SELECT 'm' || i, '0000000001' FROM generate_series(0, 9) i;
CREATE TABLE wrong (what text, got text, wanted text);
CREATE UNLOGGED TABLE noticed (session integer, version text);
CREATE FUNCTION look(m text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	committed text;
	got text;
	before text := coalesce(current_setting('test.' || m, true), '');
BEGIN
	SELECT a.version INTO committed FROM acknowledged a WHERE a.model_name = m;
	got := model_mgr.route_version(m, 'u');
	INSERT INTO wrong SELECT 'older than acknowledged', got, committed WHERE got < committed;
	INSERT INTO wrong SELECT 'older than before', got, before WHERE got < before;
	INSERT INTO wrong SELECT 'never committed', got, committed WHERE got >= '1000000000';
	INSERT INTO noticed SELECT pg_backend_pid(), got WHERE m = 'rolled_out' AND got <> before;
	PERFORM set_config('test.' || m, got, false);
END $$;
-- roll_out: versions of one more model, each brought by the verbs and acknowledged once its deployment has committed.
CREATE PROCEDURE roll_out(n integer) LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
BEGIN
	FOR i IN 2 .. n LOOP
		PERFORM model_mgr.create_model_version('rolled_out', lpad(i::text, 10, '0'), '{"provider": "test", "model_name": "m"}');
		SELECT d.deployment_id INTO id FROM model_mgr.deploy_model_version('rolled_out', lpad(i::text, 10, '0'), 'canary', rollout => '{"steps": [50, 100]}') d;
		COMMIT;
		PERFORM model_mgr.promote_deployment(id, true);
		COMMIT;
		UPDATE acknowledged SET version = lpad(i::text, 10, '0') WHERE model_name = 'rolled_out';
		COMMIT;
		-- Every eighth version is one that all sessions see, however the machine deals out its time.
		LOOP
			PERFORM pg_sleep(0.01);
			EXIT WHEN i % 8 > 0 OR (SELECT count(*) = 100 FROM noticed WHERE version = lpad(i::text, 10, '0'));
			COMMIT;
		END LOOP;
	END LOOP;
END $$;
SQL
append_to_file("$dir/write.sql", <<'SQL');
\set m random(0, 9)
\set r random(1, 3)
\if :r = 1
BEGIN;
UPDATE model_mgr.routing SET revision = revision + 1, stable_version = (stable_version::bigint + 1000000000)::text WHERE model_name = 'm' || :m;
SELECT model_mgr.route_version('m' || :m, 'u');
ROLLBACK;
\else
UPDATE model_mgr.routing SET revision = revision + 1, stable_version = lpad((stable_version::bigint + 1)::text, 10, '0') WHERE model_name = 'm' || :m
RETURNING stable_version \gset
UPDATE acknowledged SET version = greatest(version, lpad((:stable_version)::text, 10, '0')) WHERE model_name = 'm' || :m;
\endif
SQL
append_to_file("$dir/read.sql", <<'SQL');
\set m random(0, 9)
\set r random(1, 4)
\if :r = 1
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM wrong;
SELECT model_mgr.route_version('m' || :m, 'u');
COMMIT;
\endif
SELECT look('m' || :m);
SQL
$node->run_log([ 'pgbench', '-n', '-c', 6, '-j', 2, '-t', $transactions, '-p', $node->port, '-h', $node->host,
	'-f', "$dir/write.sql\@1", '-f', "$dir/read.sql\@3", 'postgres' ]);
cmp_ok($node->safe_psql('postgres', 'SELECT sum(stable_version::bigint) FROM model_mgr.routing'), '>', $transactions / 2, 'routing changed all the time');
is($node->safe_psql('postgres', 'SELECT what, got, wanted FROM wrong LIMIT 5'), '', 'no reader got a stale or an uncommitted answer');
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM generate_series(0, 9) i, model_mgr.routing r
	WHERE r.model_name = 'm' || i AND model_mgr.route_version('m' || i, 'u') = r.stable_version"), '==', 10, 'at rest everybody agrees');

# A hundred sessions at once, while rollouts go through: each sees every change at its next statement. A unit that a canary
# has taken over may have been ahead of what is acknowledged, but never goes back.
my $rollouts = soak() ? 500 : 40;
$node->safe_psql('postgres', serving('rolled_out', '0000000001') . "INSERT INTO acknowledged VALUES ('rolled_out', '0000000001')");
append_to_file("$dir/look.sql", "SELECT look('rolled_out');\n\\sleep 5 ms\n");
my ($out, $err) = ('', '');
my $readers = IPC::Run::start([ 'pgbench', '-n', '-c', 100, '-j', 2, '-T', 3600, '-p', $node->port, '-h', $node->host, '-f', "$dir/look.sql", 'postgres' ],
	'>', \$out, '2>', \$err);
$node->poll_query_until('postgres', 'SELECT count(DISTINCT session) = 100 FROM noticed');
$node->safe_psql('postgres', "CALL roll_out($rollouts)");
my $last = sprintf '%010d', $rollouts;
ok($node->poll_query_until('postgres', "SELECT count(*) = 100 FROM noticed WHERE version = '$last'"), 'all hundred sessions come to the last version');
is($err =~ /(error.*)/i ? $1 : '', '', 'none of them failed');
# TERM: INT is ignored by what a shell started in the background started.
$readers->signal('TERM');
IPC::Run::finish($readers);
cmp_ok($node->safe_psql('postgres', 'SELECT min(n) FROM (SELECT count(*) AS n FROM noticed GROUP BY session) s'), '>', $rollouts / 10, 'each has seen many of them');
is($node->safe_psql('postgres', 'SELECT what, got, wanted FROM wrong LIMIT 5'), '', 'no session was ever behind what was acknowledged before it asked');
finish($node);
