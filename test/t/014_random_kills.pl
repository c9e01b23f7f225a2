# kill -9 at random moments between writers, operators and ticks: whatever was under way, afterwards rollouts, routing, diary
# and audit log tell one story, nothing acknowledged is lost, and the next tick goes on. MODEL_MGR_KILLS says how many.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use ModelMgr;

my $kills = $ENV{MODEL_MGR_KILLS} // (soak() ? 50 : 5);
my $seed = $ENV{MODEL_MGR_SEED} // int(time) % 1_000_000;
note "seed $seed (MODEL_MGR_SEED repeats the moments)";
srand($seed);
my $node = new_node('kills', conf => "synchronous_commit = on\nrestart_after_crash = off\n");
# Version 3 and 4 are bad. Rollouts are as short as the ticks allow, so that each kill meets many changes.
$node->safe_psql('postgres', serving('spam', 1 .. 4) . q{
CREATE PROCEDURE public.operate() LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		BEGIN
			CASE floor(random() * 8)
			WHEN 0 THEN PERFORM model_mgr.promote_deployment(model_mgr.open_deployment('spam'));
			WHEN 1 THEN PERFORM model_mgr.pause_deployment(model_mgr.open_deployment('spam'), 'at random');
			WHEN 2 THEN PERFORM model_mgr.resume_deployment(model_mgr.open_deployment('spam'));
			WHEN 3 THEN IF random() < 0.3 THEN PERFORM model_mgr.abort_deployment(model_mgr.open_deployment('spam'), 'at random'); END IF;
			WHEN 4 THEN IF random() < 0.3 THEN PERFORM model_mgr.rollback_model('spam', reason => 'at random'); END IF;
			WHEN 5 THEN PERFORM model_mgr.tick();
			ELSE PERFORM model_mgr.deploy_model_version('spam', (1 + floor(random() * 4))::text, 'canary', supersede => random() < 0.2,
				rollout => '{"steps": [30, 60, 100], "step_seconds": 0, "min_requests": 5, "bake_seconds": 1}');
			END CASE;
		EXCEPTION WHEN object_not_in_prerequisite_state OR object_in_use OR invalid_parameter_value THEN NULL;
		END;
		COMMIT;
	END LOOP;
END $$;});

# psql: a session in the background that runs a file, with what it says.
my $dir = PostgreSQL::Test::Utils::tempdir();
sub session
{
	my ($name, $text) = @_;
	my $run = { out => '', err => '' };
	unlink "$dir/$name.sql";
	append_to_file("$dir/$name.sql", $text);
	$run->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$dir/$name.sql" ],
		'>', \$run->{out}, '2>', \$run->{err});
	return $run;
}

# children: processes that a process has started. Not by ps, which a small machine does not have.
sub children
{
	my ($parent) = @_;
	my @found;
	for my $stat (glob '/proc/[0-9]*/stat')
	{
		open my $file, '<', $stat or next;
		my $line = <$file> // next; # ended meanwhile
		push @found, $1 if $line =~ /^(\d+) \(.*\) \S $parent /;
	}
	return @found;
}

# what_is_wrong: one line each; nothing when all tables tell one story.
my $what_is_wrong = q{
	SELECT 'more than one open' FROM model_mgr.deployment WHERE status IN ('pending', 'running', 'paused', 'awaiting_approval') GROUP BY model_name HAVING count(*) > 1
	UNION ALL SELECT 'more than one baking' FROM model_mgr.deployment WHERE status = 'promoting' GROUP BY model_name HAVING count(*) > 1
	UNION ALL SELECT format('routing %s %s %s, deployment %s %s%%', r.stable_version, r.candidate_version, r.candidate_weight, d.version, d.traffic_percentage)
		FROM model_mgr.routing r LEFT JOIN model_mgr.deployment d ON d.model_name = r.model_name AND d.status IN ('pending', 'running', 'paused', 'awaiting_approval')
		WHERE (coalesce(r.candidate_version, ''), r.candidate_weight) IS DISTINCT FROM (coalesce(d.version, ''), coalesce(round(d.traffic_percentage * 100)::integer, 0))
			OR d.deployment_id IS NOT NULL AND (r.deployment_id, r.stable_version, r.step) IS DISTINCT FROM (d.deployment_id, d.baseline_version, d.step)
	UNION ALL SELECT format('baking %s, stable %s', d.version, r.stable_version) FROM model_mgr.deployment d JOIN model_mgr.routing r USING (model_name)
		WHERE d.status = 'promoting' AND r.stable_version <> d.version
	UNION ALL SELECT format('active %s, stable %s', string_agg(v.version, ' '), min(r.stable_version)) FROM model_mgr.routing r
		JOIN model_mgr.model_version v ON v.model_name = r.model_name AND v.status = 'active' GROUP BY r.model_name HAVING string_agg(v.version, ' ') IS DISTINCT FROM min(r.stable_version)
	UNION ALL SELECT format('traffic sums to %s', sum(l.traffic_percentage)) FROM model_mgr.model_version_list l HAVING sum(l.traffic_percentage) <> 100
	UNION ALL SELECT format('deployment %s is %s without a word in its diary', d.deployment_id, d.status) FROM model_mgr.deployment d
		WHERE NOT EXISTS (SELECT FROM model_mgr.deployment_event e WHERE e.deployment_id = d.deployment_id AND e.status = d.status)
	UNION ALL SELECT format('step %s of deployment %s is not in its diary at its time', s.step, s.deployment_id) FROM model_mgr.deployment_step s JOIN model_mgr.deployment d USING (deployment_id)
		WHERE NOT EXISTS (SELECT FROM model_mgr.deployment_event e WHERE e.deployment_id = s.deployment_id AND e."time" = s.started_at AND e.traffic_percentage = s.traffic_percentage)
	UNION ALL SELECT format('diary of a deployment %s that is not there', e.deployment_id) FROM model_mgr.deployment_event e
		WHERE NOT EXISTS (SELECT FROM model_mgr.deployment d JOIN model_mgr.deployment_plan p USING (deployment_id) WHERE d.deployment_id = e.deployment_id)
	UNION ALL SELECT format('%s rolled back, %s audited, %s events', d.n, a.n, e.n)
		FROM (SELECT count(*) AS n FROM model_mgr.deployment WHERE status = 'rolled_back') d, (SELECT count(*) AS n FROM model_mgr.audit_log WHERE operation = 'rollback') a,
			(SELECT count(*) AS n FROM model_mgr.event WHERE type = 'deployment.rolled_back') e
		WHERE (d.n, d.n) <> (a.n, e.n)
	UNION ALL SELECT format('routing %s, its history %s', r.revision, h.revision) FROM model_mgr.routing r,
		LATERAL (SELECT max(h.revision) AS revision FROM model_mgr.routing_history h WHERE h.model_id = r.model_id) h WHERE h.revision IS DISTINCT FROM r.revision};

my ($number, @acknowledged) = (0);
for my $kill (1 .. $kills)
{
	my $changes = $node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.deployment_event');
	my @writers = map {
		my $first = $number += 1_000_000;
		session("write$_", join '', map { my $n = $first + $_; "SELECT model_mgr.record_outcome(r.decision, r.value < '3', 0.2, cost => $n) FROM model_mgr.route('spam', 'u$n') r;\n\\echo done $n\n" } 1 .. 20_000);
	} 1, 2;
	my @operators = map { session("operate$_", "CALL public.operate();\n") } 1, 2;
	my @ticks = session('run', "CALL model_mgr.run(600);\n");
	my $begun = time;
	# Before the last one each end that chance should bring has come.
	my $ends = $kill < $kills ? 0 : 2;
	$node->poll_query_until('postgres', "SELECT count(*) > $changes + 10
		AND (SELECT count(DISTINCT status) >= $ends FROM model_mgr.deployment WHERE status IN ('completed', 'rolled_back')) FROM model_mgr.deployment_event");
	sleep(rand 2);
	IPC::Run::pump_nb($_->{run}) for @writers;
	# The server's own processes too: one that is busy does not notice that its postmaster is gone.
	my @children = children($node->{_pid}) or die 'no process of the server is to be seen in /proc';
	$node->kill9;
	kill 'KILL', @children;
	IPC::Run::finish($_->{run}) for @writers, @operators, @ticks;
	poll_start($node);

	my @complaints = map { grep { /ERROR|FATAL|PANIC/ && !/terminating connection/ } split /\n/, $_->{err} } @writers, @operators, @ticks;
	is(join("\n", @complaints), '', "kill $kill: before it nobody was refused anything");
	push @acknowledged, map { $_->{out} =~ /^done (\d+)$/mg } @writers;
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT cost::bigint FROM model_mgr.observation WHERE cost IS NOT NULL');
	my @lost = grep { !$there{$_} } @acknowledged;
	is("@lost", '', sprintf('kill %d: all %d acknowledged outcomes are there', $kill, scalar @acknowledged));
	is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT cost) FROM model_mgr.observation WHERE cost IS NOT NULL'), '0', "kill $kill: none twice");
	is($node->safe_psql('postgres', $what_is_wrong), '', "kill $kill: everything tells one story");
	totals_agree($node, "kill $kill: rollups agree with the observations");
	is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.tick() WHERE task = 'failures'"), '0', "kill $kill: the next tick goes on");
	is($node->safe_psql('postgres', $what_is_wrong), '', "kill $kill: and leaves it so");
}

# The rollouts did what they are there for, and one more goes through.
my %ended = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT status, count(*) FROM model_mgr.deployment GROUP BY 1');
ok($ended{completed} && $ended{rolled_back}, 'rollouts completed and were rolled back meanwhile: ' . join(', ', map { "$_ $ended{$_}" } sort keys %ended));
$node->safe_psql('postgres', q{SELECT count(model_mgr.abort_deployment(d.deployment_id)) FROM model_mgr.deployment d WHERE d.status IN ('pending', 'running', 'paused', 'awaiting_approval')});
my $last = $node->safe_psql('postgres', serving('spam', '5') =~ s/SELECT status.*//sr . q{SELECT deployment_id FROM model_mgr.deploy_model_version('spam', '5', rollout => '{"steps": [50, 100], "step_seconds": 0, "min_requests": 0, "bake_seconds": 1}')});
($last) = $last =~ /(\d+)$/;
is(error_of($node, "CALL model_mgr.wait_for_deployment($last, 60)"), '', 'one more goes through');
is($node->safe_psql('postgres', "SELECT model_mgr.route_version('spam', 'anybody')"), '5', 'and serves');
finish($node);
