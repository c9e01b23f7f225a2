# Many sessions and many models: a hundred sessions see a change at their next statement; a backend that knows 10,000
# models stays within 20 MiB, and one change makes it read one model again, not all.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('many', conf => "max_connections = 130\nsynchronous_commit = off\n");
my $deployment = canary($node, 'spam');
my $count = "SELECT count(*) FROM generate_series(1, 500) i WHERE model_mgr.route_version('spam', 'unit ' || i) = '2.0.0';";
my @sessions = map { $node->background_psql('postgres') } 1 .. 100;

# answers: what all sessions say, as a set.
sub answers
{
	my %answers = map { scalar $_->query($count) => 1 } @sessions;
	return join ' ', sort keys %answers;
}

my $first = $node->safe_psql('postgres', $count);
is(answers(), $first, 'a hundred sessions answer alike');
$node->safe_psql('postgres', at(2, "SELECT step FROM model_mgr.promote_deployment($deployment)")) for 1 .. 3;
my $second = $node->safe_psql('postgres', $count);
cmp_ok($second, '>', $first, 'the share has grown');
is(answers(), $second, 'all hundred see it at their next statement');
$node->safe_psql('postgres', at(3, "SELECT model_mgr.rollback_model('spam')"));
is(answers(), '0', 'and the rollback, too');
$_->quit for @sessions;

# 10,000 models, registered and deployed by the functions themselves.
my $models = soak() ? 20_000 : 10_000;
# A transaction holds a lock for each model that it changes, so thousands at a time.
for (my $i = 1; $i <= $models; $i += 5000)
{
	my $last = $i + 4999;
	$node->safe_psql('postgres', qq{
	SELECT count(*) FROM (SELECT model_mgr.create_model_version('model ' || i, '1.0.0', '{"provider": "test", "model_name": "m"}')
		FROM generate_series($i, $last) i OFFSET 0) c;
	SELECT count(*) FROM (SELECT model_mgr.deploy_model_version('model ' || i, '1.0.0') FROM generate_series($i, $last) i OFFSET 0) d;});
}
$node->safe_psql('postgres', qq{
	SELECT version FROM model_mgr.create_model_version('model 5', '2.0.0', '{"provider": "test", "model_name": "m"}');
	SELECT version FROM model_mgr.create_model_version('model 7', '2.0.0', '{"provider": "test", "model_name": "m"}');});
my $session = $node->background_psql('postgres');
my $memory = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts;';
$session->query("SELECT model_mgr.route_version('model 1', 'u'); $memory");
my $before = $session->query($memory);
my $all = "SELECT count(model_mgr.route_version('model ' || i, 'u')) FROM generate_series(1, $models) i;";
is($session->query($all), $models, "$models models are routed");
my $grown = $session->query($memory) - $before;
cmp_ok($grown, '<=', 20 * 1024 * 1024 * $models / 10_000, "the backend has grown by $grown bytes");
is($session->query($all), $models, 'again');
cmp_ok($session->query($memory) - $before, '<=', $grown * 1.01 + 65536, 'and has not grown further');

# A thousand changes, each followed by a look at everything near it: right, and no growth by old decisions.
$node->safe_psql('postgres', q{
	SELECT model_mgr.pin_unit('model 5', 'u', CASE WHEN i % 2 = 0 THEN '1.0.0' ELSE '2.0.0' END) FROM generate_series(1, 2) i});
# What is in use: a block that the server's own caches got just now is no growth.
my $used = 'SELECT sum(used_bytes) FROM pg_backend_memory_contexts;';
$session->query("SELECT model_mgr.route_version('model 5', 'u'); $used");
my $held = $session->query($used);
my $wrong = 0;
for my $i (1 .. (soak() ? 1000 : 100))
{
	my $version = $i % 2 ? '2.0.0' : '1.0.0';
	$node->safe_psql('postgres', "SELECT model_mgr.pin_unit('model 5', 'u', '$version')");
	$wrong++ if $session->query("SELECT model_mgr.route_version('model 5', 'u') || model_mgr.route_version('model 6', 'u');") ne "${version}1.0.0";
}
is($wrong, 0, 'each change is seen by the next statement');
cmp_ok($session->query($used) - $held, '<=', 65536, 'changes leave nothing behind');

# A thousand times deployed and taken back, each committed, in one session that looks after each change.
my $cycles = 1000;
my $cache = "SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name = 'model_mgr routing';";
my $cache_before = $session->query($cache);
my $last = $session->query(qq{
	DO \$do\$
	DECLARE round integer; wrong integer := 0;
	BEGIN
		FOR round IN 1 .. $cycles LOOP
			PERFORM model_mgr.deploy_model_version('model 7', '2.0.0', 'replace');
			COMMIT;
			IF model_mgr.route_version('model 7', 'u') <> '2.0.0' THEN wrong := wrong + 1; END IF;
			PERFORM model_mgr.rollback_model('model 7');
			COMMIT;
			IF model_mgr.route_version('model 7', 'u') <> '1.0.0' THEN wrong := wrong + 1; END IF;
			PERFORM model_mgr.mark_version_ready('model 7', '2.0.0');
			COMMIT;
		END LOOP;
		IF wrong > 0 THEN RAISE EXCEPTION '% wrong answers', wrong; END IF;
	END \$do\$;
	SELECT count(*) || ' ' || count(DISTINCT deployment_id) FROM model_mgr.list_deployments('model 7') WHERE status = 'rolled_back';});
is($last, "$cycles $cycles", "$cycles cycles of deploying and taking back, each seen at once");
my $cache_after = $session->query($cache);
cmp_ok($cache_after - $cache_before, '<=', 16384, "the cache has not grown with them ($cache_before, $cache_after bytes)");
cmp_ok($session->query($memory) - $before, '<=', $grown + 4 * 1024 * 1024, 'nor has the session');

# Thousands of recordings, each committed and, with the clock held still, each evaluated: no growth either.
$session->query(q{SET model_mgr.clock = '2026-03-02 00:00:00+00';
	SELECT status FROM model_mgr.deploy_model_version('model 7', '2.0.0', 'canary');});
my $record = sub {
	my ($n) = @_;
	$session->query(qq{
		DO \$do\$
		BEGIN
			FOR i IN 1 .. $n LOOP
				PERFORM model_mgr.record_outcome(decision, true, 0.1, metrics => '{"a": 1}') FROM model_mgr.route('model 7', 'u' || i, '{"country": "DE"}');
				PERFORM model_mgr.update_model_metrics('model 7', '1.0.0', 0.1, true, unit_id => 'u' || i);
				PERFORM model_mgr.record_outcomes('[{"model_name": "model 7", "version": "1.0.0", "success": true}]');
				COMMIT;
			END LOOP;
		END \$do\$;});
};
$record->(300);
my $recorded_before = $session->query('SELECT sum(used_bytes) FROM pg_backend_memory_contexts;');
$record->(soak() ? 100_000 : 500);
my $recorded_after = $session->query('SELECT sum(used_bytes) FROM pg_backend_memory_contexts;');
cmp_ok($recorded_after - $recorded_before, '<=', 65536, "recordings leave nothing behind ($recorded_before, $recorded_after bytes)");
is($session->query("SELECT status FROM model_mgr.list_deployments('model 7') ORDER BY deployment_id DESC LIMIT 1;"), 'running', 'they were evaluated as good');
totals_agree($node, 'rollups agree with the observations');
$session->quit;
finish($node);
