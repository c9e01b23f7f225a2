# With a real pg_cron: start() schedules, a tick of its own steps a canary, asks for the update of a schedule and deploys
# it, and what its work() has judged, all within one wait of at most two full minutes; stop() takes the jobs away. Where it cannot (absent, another database, no rights, a standby) the hint, followed, helps.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $libdir = `pg_config --pkglibdir`;
chomp $libdir;
plan skip_all => 'pg_cron is not installed' unless -e "$libdir/pg_cron.so";

# complaint: SQLSTATE, DETAIL and HINT of what is refused.
sub complaint
{
	my ($node, $sql, $dbname, @user) = @_;
	my ($status, $out, $err) = $node->psql($dbname // 'postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose', @user ]);
	return map { $err =~ $_ ? $1 : '' } qr/ERROR:\s+([0-9A-Z]{5}):/, qr/^DETAIL:\s+(.*)$/m, qr/^HINT:\s+(.*)$/m;
}

my $node = new_node('cron', allows_streaming => 1);
my ($code, $detail, $hint) = complaint($node, 'SELECT * FROM model_mgr.start()');
is($code, '0A000', 'start() where the server has not loaded pg_cron');
my ($library, $setting) = $hint =~ /^Add (\w+) to shared_preload_libraries, set (\S+ = '\w+'), restart the server and run CREATE EXTENSION pg_cron; or .*CALL model_mgr\.run\(seconds\)\.$/;
is((complaint($node, 'SELECT model_mgr.stop()'))[2], $hint, 'stop() has the same hint');
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$library'\n$setting\ncron.host = '" . $node->host . "'\n");
$node->restart;
($code, $detail, $hint) = complaint($node, 'SELECT * FROM model_mgr.start()');
is($code, '0A000', 'without CREATE EXTENSION pg_cron start() says so');
like($hint, qr/^Run CREATE EXTENSION pg_cron; here/, 'and that it may be made here');
is((complaint($node, 'SELECT model_mgr.stop()'))[0], '0A000', 'so does stop()');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');

# scheduler: what health_check() says of the jobs, asked by a role that may not even use the schema cron.
$node->safe_psql('postgres', 'SELECT model_mgr.setup_roles(); CREATE ROLE looks LOGIN IN ROLE model_mgr_reader');
sub scheduler
{
	return $node->safe_psql('postgres', "SELECT ok, detail FROM model_mgr.health_check() WHERE check_name = 'scheduler'",
		extra_params => ["-U", "looks"]);
}
is(scheduler(), 't|pg_cron is here, but has no jobs of start() that could be seen', 'no job, and nothing that waits for one');

my @jobs = split /\n/, $node->safe_psql('postgres', 'SELECT job_name, schedule, database FROM model_mgr.start() ORDER BY 1');
is_deeply([ map { /^([^|]*)/ } @jobs ],
	[ 'model_mgr postgres maintain', 'model_mgr postgres tick', 'model_mgr postgres work' ], 'start() names its three jobs');
is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.start()"), '3', 'starting again is harmless');
is($node->safe_psql('postgres', "SELECT count(*) FROM cron.job WHERE jobname LIKE 'model_mgr %'"), '3', 'and makes no second set');

is(scheduler(), 't|jobs of pg_cron: 3, none has failed last', 'health_check() sees three jobs');
$node->safe_psql('postgres', "UPDATE cron.job SET active = false WHERE jobname LIKE '%tick'; SELECT cron.unschedule('model_mgr postgres work')");
# The superuser has the name of who runs the tests.
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
is(scheduler(), "f|tick of $superuser is switched off; no job for work", 'one switched off, one missing');
# Until they are started again nothing ticks beside what is set up now.
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM cron.job_run_details WHERE status NOT IN ('succeeded', 'failed')") or die 'a job does not end';

# A canary that may step after a second, with enough good outcomes, in real time.
$node->safe_psql('postgres', serving('spam', '1', '2') . q{
	SELECT status FROM model_mgr.deploy_model_version('spam', '2', 'canary', rollout => '{"steps": [50, 100], "step_seconds": 1, "min_requests": 20}');});
$node->safe_psql('postgres', serve('spam', 1, 200));
is($node->safe_psql('postgres', "SELECT step FROM model_mgr.list_deployments('spam') WHERE strategy = 'canary' ORDER BY deployment_id DESC LIMIT 1"),
	'1', 'nothing steps before the tick');
# Two schedules in real time: one that the job's next tick finds due and deploys at once; one whose update has begun, for
# the job's work() to judge and its tick after that to deploy.
$node->safe_psql('postgres', serving($_, '1', '2')) for qw(nightly judged);
$node->safe_psql('postgres', q{
	SET model_mgr.clock = '2025-12-31 12:00:00+00';
	SELECT model_mgr.schedule_update('judged', 'latest', '@yearly', 'replace', jsonb_build_array(
		model_mgr.validation_rule('complete', NULL, 'validate_model_configuration')));
	RESET model_mgr.clock;
	SELECT count(*) FROM model_mgr.tick();
	SELECT model_mgr.schedule_update('nightly', 'latest', '* * * * *', 'replace');});
is($node->safe_psql('postgres', "SELECT string_agg(model_name || ' ' || (last_update_id IS NULL), ', ' ORDER BY 1) FROM model_mgr.list_schedules()"),
	'judged false, nightly true', 'one schedule waits for the job, the update of the other has begun');
$node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.start()');
is(scheduler(), 't|jobs of pg_cron: 3, none has failed last', 'starting again mends it');
my $stepped = 0;
for (1 .. 260)
{
	$stepped = $node->safe_psql('postgres', "SELECT coalesce(max(traffic_percentage), 0) FROM model_mgr.list_deployments('spam') WHERE version = '2'") eq '100';
	last if $stepped;
	select undef, undef, undef, 0.5;
}
ok($stepped, 'the job\'s tick has taken the step');
ok($node->poll_query_until('postgres', "SELECT count(DISTINCT model_name) = 2 FROM model_mgr.list_updates() WHERE status = 'completed'"),
	'the jobs have brought both updates to their ends');
is($node->safe_psql('postgres', q{SELECT string_agg(format('%s: %s %s, %s judged, %s', u.model_name, u.trigger, u.status_reason ~ 'serves 100 %$', jsonb_array_length(u.validation_results), a.version), '; ' ORDER BY 1)
	FROM model_mgr.list_updates() u JOIN model_mgr.model_version a ON a.model_name = u.model_name AND a.status = 'active' WHERE u.status = 'completed'}),
	'judged: scheduled t, 1 judged, 2; nightly: scheduled t, 0 judged, 2', 'the versions serve');
$node->poll_query_until('postgres', q{
	SELECT count(*) = 2 FROM (SELECT DISTINCT j.jobname FROM cron.job_run_details d JOIN cron.job j USING (jobid)
		WHERE d.status = 'succeeded' AND j.jobname ~ 'tick|work') s});
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT return_message, '; ') FROM cron.job_run_details WHERE status = 'failed'"),
	'', 'no run of a job failed');
like($node->safe_psql('postgres', "SELECT string_agg(note, '; ') FROM model_mgr.start()"), qr/\S/, 'start() says how the jobs fare');
like(scheduler(), qr/^t\|jobs of pg_cron: 3, none has failed last$/, 'nor does health_check() know of one');
# In one snapshot: the next run, which would not fail, may come at any moment.
is($node->safe_psql('postgres', q{BEGIN ISOLATION LEVEL REPEATABLE READ;
	UPDATE cron.job_run_details SET status = 'failed', return_message = 'ERROR: no room', start_time = '2026-01-02 03:04:05+00'
	WHERE runid = (SELECT max(runid) FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE jobname LIKE '%tick' AND status IN ('succeeded', 'failed'));
	SET LOCAL ROLE looks;
	SELECT ok, detail FROM model_mgr.health_check() WHERE check_name = 'scheduler';
	ROLLBACK}), "f|tick of $superuser failed at 2026-01-02 03:04:05 UTC: ERROR: no room", 'a run that failed is told');
is($node->safe_psql('postgres', 'SELECT model_mgr.stop()'), '3', 'stop() removes three jobs');
is($node->safe_psql('postgres', 'SELECT model_mgr.stop()'), '0', 'and none the second time');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '0', 'no job is left');

# Another database than pg_cron's: what the hint says makes a job that runs there.
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE EXTENSION model_mgr');
($code, $detail, $hint) = complaint($node, 'SELECT * FROM model_mgr.start()', 'shop');
is($code, '0A000', 'another database');
is($detail, 'It schedules from "postgres" (cron.database_name); this one is "shop".', 'which is which');
my ($home, $command) = $hint =~ /^In "(\w+)" run (SELECT .*?\);)/;
is($home, 'postgres', 'the hint says where');
$node->safe_psql('postgres', $command);
is($node->safe_psql('postgres', "SELECT jobname || '; ' || database FROM cron.job"), 'model_mgr shop tick; shop', 'and what');
$node->safe_psql('shop', $node->safe_psql('postgres', 'SELECT command FROM cron.job'));
is($node->safe_psql('shop', 'SELECT last_finished_at IS NOT NULL FROM model_mgr.tick_state'), 't', 'its job ticks here');
$node->safe_psql('postgres', 'SELECT cron.unschedule(jobid) FROM cron.job');
is((complaint($node, 'SELECT model_mgr.stop()', 'shop'))[0], '0A000', 'stop() there');

# Without rights: each is named with what gives it, until start() works.
$node->safe_psql('postgres', 'CREATE ROLE "release team" LOGIN; GRANT model_mgr_operator TO "release team"; CREATE ROLE guest LOGIN');
my @team = ('-U', 'release team');
for my $verb ('start()', 'stop()')
{
	($code, $detail, $hint) = complaint($node, "SELECT model_mgr.$verb", 'postgres', @team);
	is($code, '42501', "$verb without the schema cron");
	is($hint, 'GRANT USAGE ON SCHEMA cron TO "release team";', "$verb: the hint is a statement");
}
is((complaint($node, 'SELECT model_mgr.start()', 'postgres', '-U', 'guest'))[0], '42501', 'nobody in particular may not start anything');
$node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION model_mgr.tick() FROM model_mgr_operator');
$node->safe_psql('postgres', $hint);
($code, $detail, $hint) = complaint($node, 'SELECT * FROM model_mgr.start()', 'postgres', @team);
is("$code $detail", '42501 The job would run as "release team", who may not execute it.', 'who may not tick may not schedule it');
like($hint, qr/model_mgr_operator/, 'the hint names the role that may');
$node->safe_psql('postgres', 'SELECT model_mgr.setup_roles()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.start()', extra_params => \@team), '3', 'all that was named is enough');
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT username, ' ') FROM cron.job"), 'release team', 'the jobs are the operator\'s');

# On a standby nothing can be changed, whatever is installed; its jobs begin with its promotion.
$node->backup('base', backup_options => ['--checkpoint=fast']);
my $standby = PostgreSQL::Test::Cluster->new('cron_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "cron.host = '" . $standby->host . "'\n");
$standby->start;
$node->wait_for_catchup($standby);
for my $verb ('start()', 'stop()')
{
	for my $dbname ('postgres', 'shop')
	{
		($code, $detail, $hint) = complaint($standby, "SELECT model_mgr.$verb", $dbname);
		is($code, '25006', "$verb on a standby, database $dbname");
		like($hint, qr/^Do it on the primary: /, "$verb: where it can be done");
	}
}
$node->stop;
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.start()', extra_params => \@team), '3', 'once promoted it starts');
is($standby->safe_psql('postgres', 'SELECT model_mgr.stop()'), '3', 'and stops');
finish($node, $standby);
