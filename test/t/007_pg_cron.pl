# With a real pg_cron: start() schedules, a tick of its own steps a canary within one wait of at most two minutes,
# stop() takes the jobs away.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $libdir = `pg_config --pkglibdir`;
chomp $libdir;
plan skip_all => 'pg_cron is not installed' unless -e "$libdir/pg_cron.so";

my $node = new_node('cron', start => 0);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\n"
	  . "cron.host = '" . $node->host . "'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION model_mgr');
is(error_of($node, 'SELECT * FROM model_mgr.start()'), '0A000', 'without CREATE EXTENSION pg_cron start() says so');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');

my @jobs = split /\n/, $node->safe_psql('postgres', 'SELECT job_name, schedule, database FROM model_mgr.start() ORDER BY 1');
is_deeply([ map { /^([^|]*)/ } @jobs ],
	[ 'model_mgr postgres maintain', 'model_mgr postgres tick', 'model_mgr postgres work' ], 'start() names its three jobs');
is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.start()"), '3', 'starting again is harmless');
is($node->safe_psql('postgres', "SELECT count(*) FROM cron.job WHERE jobname LIKE 'model_mgr %'"), '3', 'and makes no second set');

# A canary that may step after a second, with enough good outcomes, in real time.
$node->safe_psql('postgres', serving('spam', '1', '2') . q{
	SELECT status FROM model_mgr.deploy_model_version('spam', '2', 'canary', rollout => '{"steps": [50, 100], "step_seconds": 1, "min_requests": 20}');});
$node->safe_psql('postgres', serve('spam', 1, 200));
is($node->safe_psql('postgres', "SELECT step FROM model_mgr.list_deployments('spam') WHERE strategy = 'canary' ORDER BY deployment_id DESC LIMIT 1"),
	'1', 'nothing steps before the tick');
my $stepped = 0;
for (1 .. 260)
{
	$stepped = $node->safe_psql('postgres', "SELECT coalesce(max(traffic_percentage), 0) FROM model_mgr.list_deployments('spam') WHERE version = '2'") eq '100';
	last if $stepped;
	select undef, undef, undef, 0.5;
}
ok($stepped, 'the job\'s tick has taken the step');
$node->poll_query_until('postgres', q{
	SELECT count(*) = 2 FROM (SELECT DISTINCT j.jobname FROM cron.job_run_details d JOIN cron.job j USING (jobid)
		WHERE d.status = 'succeeded' AND j.jobname ~ 'tick|work') s});
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT return_message, '; ') FROM cron.job_run_details WHERE status = 'failed'"),
	'', 'no run of a job failed');
like($node->safe_psql('postgres', "SELECT string_agg(note, '; ') FROM model_mgr.start()"), qr/\S/, 'start() says how the jobs fare');
is($node->safe_psql('postgres', 'SELECT model_mgr.stop()'), '3', 'stop() removes three jobs');
is($node->safe_psql('postgres', 'SELECT model_mgr.stop()'), '0', 'and none the second time');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '0', 'no job is left');
finish($node);
