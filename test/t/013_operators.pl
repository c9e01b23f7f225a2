# Operators, writers and ticks at random, all at once, on a few models: no deadlock, no error but those that the
# contract knows, and afterwards versions, rollouts, routing and history tell one story.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use ModelMgr;

my $seed = $ENV{MODEL_MGR_SEED} // int(time) % 1_000_000;
note "seed $seed (MODEL_MGR_SEED repeats the statements)";
srand($seed);
my $node = new_node('operators', conf => "synchronous_commit = off\ndeadlock_timeout = 100ms\n");
my @models = ('a', 'b', 'c');
$node->safe_psql('postgres', serving($_, '1', '2', '3', '4')) for @models;

my @statements = (
	[ 6, sub { "SELECT status FROM model_mgr.deploy_model_version('$_[0]', '$_[1]', 'canary', rollout => '{\"steps\": [20, 50, 100], \"step_seconds\": 1, \"min_requests\": 5, \"bake_seconds\": 1}')" } ],
	[ 2, sub { "SELECT status FROM model_mgr.deploy_model_version('$_[0]', '$_[1]', 'replace', supersede => true)" } ],
	[ 3, sub { "SELECT status FROM model_mgr.promote_deployment(model_mgr.open_deployment('$_[0]'))" } ],
	[ 1, sub { "SELECT status FROM model_mgr.promote_deployment(model_mgr.open_deployment('$_[0]'), true)" } ],
	[ 2, sub { "SELECT status FROM model_mgr.pause_deployment(model_mgr.open_deployment('$_[0]'), 'why not')" } ],
	[ 2, sub { "SELECT status FROM model_mgr.resume_deployment(model_mgr.open_deployment('$_[0]'))" } ],
	[ 2, sub { "SELECT status FROM model_mgr.abort_deployment(model_mgr.open_deployment('$_[0]'), 'enough')" } ],
	[ 2, sub { "SELECT model_mgr.rollback_model('$_[0]', reason => 'at random')" } ],
	[ 2, sub { "SELECT model_mgr.rollback_model('$_[0]', '$_[1]')" } ],
	[ 2, sub { "SELECT status FROM model_mgr.mark_version_ready('$_[0]', '$_[1]')" } ],
	[ 2, sub { "SELECT model_mgr.pin_unit('$_[0]', 'u' || $_[1], '$_[1]')" } ],
	[ 2, sub { "SELECT model_mgr.unpin_unit('$_[0]', 'u' || $_[1])" } ],
	[ 1, sub { "SELECT model_mgr.set_segment('$_[0]', 'here', '{\"country\": \"DE\"}', '$_[1]')" } ],
	[ 1, sub { "SELECT model_mgr.drop_segment('$_[0]', 'here')" } ],
	[ 1, sub { "SELECT model_mgr.set_alias('$_[0]', 'champion', '$_[1]')" } ],
	[ 8, sub { serve($_[0], 1, 60, $_[1] == 3 ? "r.value <> '3'" : 'true') =~ s/;$//r } ],
	[ 4, sub { "SELECT count(*) FROM model_mgr.tick()" } ]);
my @weighted = map { ($_->[1]) x $_->[0] } @statements;
# A tick takes the locks of several models, none of which it waits for: in a block nothing may come after it.
my @before = map { ($_->[1]) x $_->[0] } @statements[ 0 .. $#statements - 1 ];

# script: n statements, one in four inside a transaction block with another, some of those rolled back.
sub script
{
	my ($n) = @_;
	my $text = '';
	my $one = sub { $weighted[ rand @weighted ]->($models[ rand @models ], 1 + int rand 4) . ";\n\\echo state :SQLSTATE\n" };
	for (1 .. $n)
	{
		# In a block the models come in one order, as every caller of several locks has to see to by himself.
		my $model = $models[ rand @models ];
		my $two = sub { $_[ rand @_ ]->($model, 1 + int rand 4) . ";\n\\echo state :SQLSTATE\n" };
		$text .= rand() < 0.75 ? $one->() : "BEGIN;\n" . $two->(@before) . $two->(@weighted) . (rand() < 0.3 ? "ROLLBACK;\n" : "COMMIT;\n");
	}
	return $text;
}

my $dir = PostgreSQL::Test::Utils::tempdir();
my @runs;
for my $n (1 .. 6)
{
	append_to_file("$dir/$n.sql", script(soak() ? 5000 : 150));
	my $run = { out => '', err => '' };
	$run->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', "$dir/$n.sql" ],
		'>', \$run->{out}, '2>', \$run->{err});
	push @runs, $run;
}
my (%states, $unexpected);
for my $run (@runs)
{
	IPC::Run::finish($run->{run});
	$states{$_}++ for $run->{out} =~ /^state (\w+)$/mg;
	# 25P02: the second statement of a block whose first one was refused.
	$unexpected .= join "\n", grep { !/ERROR:  (55000|55006|22023|42704|25P02):/ } $run->{err} =~ /^.*(?:ERROR|FATAL|PANIC):  .*$/mg;
}
note join ', ', map { "$_ $states{$_}" } sort keys %states;
is($unexpected, '', 'no error but refusals that the contract knows');
cmp_ok($states{'00000'}, '>', $states{$_} // 0, "more succeeded than were refused by $_") for '55000', '55006';

# One story. No rollout is judged or stepped meanwhile.
my %stories = (
	'at most one rollout below 100 % a model' =>
	  "SELECT count(*) FROM (SELECT FROM model_mgr.deployment WHERE status IN ('pending', 'running', 'paused', 'awaiting_approval') GROUP BY model_name HAVING count(*) > 1) x",
	'exactly one active version a model' =>
	  "SELECT count(*) FROM (SELECT FROM model_mgr.model_version GROUP BY model_name HAVING count(*) FILTER (WHERE status = 'active') <> 1) x",
	'the active version is the stable one of the routing' =>
	  "SELECT count(*) FROM model_mgr.routing r WHERE r.stable_version IS DISTINCT FROM (SELECT v.version FROM model_mgr.model_version v WHERE v.model_name = r.model_name AND v.status = 'active')",
	'a candidate is routed exactly while its rollout is below 100 %' =>
	  "SELECT count(*) FROM model_mgr.routing r LEFT JOIN model_mgr.deployment d ON d.model_name = r.model_name AND d.status IN ('running', 'paused', 'awaiting_approval')
	   WHERE (r.candidate_version, r.candidate_weight / 100.0) IS DISTINCT FROM (d.version, CASE WHEN d.version IS NULL THEN 0 ELSE d.traffic_percentage END)",
	'versions are deploying exactly while their rollout is below 100 %' =>
	  "SELECT count(*) FROM model_mgr.model_version v WHERE (v.status = 'deploying') <> EXISTS (SELECT FROM model_mgr.deployment d
	   WHERE d.model_name = v.model_name AND d.version = v.version AND d.status IN ('running', 'paused', 'awaiting_approval'))",
	'ended rollouts have an end, others none' =>
	  "SELECT count(*) FROM model_mgr.deployment d JOIN model_mgr.deployment_plan p USING (deployment_id)
	   WHERE (d.finished_at IS NOT NULL) <> (d.status IN ('completed', 'rolled_back', 'aborted', 'failed')) OR (d.finished_at IS NOT NULL AND p.ended_at IS NULL)",
	'the last event of a rollout says its status' =>
	  "SELECT count(*) FROM model_mgr.deployment d WHERE d.status <> (SELECT e.status FROM model_mgr.deployment_event e WHERE e.deployment_id = d.deployment_id ORDER BY e.deployment_event_id DESC LIMIT 1)",
	'revisions have no gap and no double' =>
	  "SELECT count(*) FROM (SELECT FROM model_mgr.routing_history h JOIN model_mgr.routing r USING (model_id) GROUP BY model_id, r.revision HAVING count(*) <> max(h.revision) - min(h.revision) + 1 OR max(h.revision) <> r.revision) x",
	'history says of now what route_version() says' =>
	  "SELECT count(*) FROM model_mgr.model m, generate_series(1, 500) i WHERE model_mgr.route_version(m.model_name, 'u' || i) IS DISTINCT FROM model_mgr.route_at(m.model_name, 'u' || i, clock_timestamp())",
	'pins of the routing are those in force' =>
	  "SELECT count(*) FROM model_mgr.routing r WHERE r.pin_hashes IS DISTINCT FROM (SELECT coalesce(array_agg(p.unit_hash ORDER BY p.unit_hash), '{}') FROM model_mgr.routing_pin p WHERE p.model_id = r.model_id AND p.last_revision IS NULL)",
	'every change of a rollout is in the audit log' =>
	  "SELECT count(*) FROM model_mgr.deployment d WHERE NOT EXISTS (SELECT FROM model_mgr.audit_log a WHERE a.model_name = d.model_name AND a.version = d.version)",
	'no lock is left' => "SELECT count(*) FROM pg_locks WHERE locktype IN ('advisory', 'userlock')");
is($node->safe_psql('postgres', $stories{$_}), '0', $_) for sort keys %stories;
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.deployment'), '>=', 20, 'there were rollouts enough');
cmp_ok($node->safe_psql('postgres', 'SELECT count(DISTINCT status) FROM model_mgr.deployment'), '>=', 3, 'that ended in several ways');
totals_agree($node, 'rollups agree with the observations');
# A model that is archived as a whole can be deleted, and nothing of it stays but what was recorded, what was told and the audit log.
my $left = $node->safe_psql('postgres', q{
	SELECT string_agg(format('SELECT %L AS t, count(*) AS n FROM model_mgr.%I WHERE %I IN (%s)', c.relname, c.relname, a.attname,
		CASE a.attname WHEN 'model_id' THEN m.model_id::text WHEN 'model_name' THEN quote_literal('c') ELSE m.deployments END), ' UNION ALL ')
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('model_id', 'model_name', 'deployment_id'),
		(SELECT model_id, (SELECT string_agg(deployment_id::text, ', ') FROM model_mgr.deployment WHERE model_name = 'c')
			FROM model_mgr.model WHERE model_name = 'c') m(model_id, deployments)
	WHERE c.relnamespace = 'model_mgr'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		AND c.relname NOT IN ('audit_log', 'event', 'observation', 'rollup_minute', 'rollup_hour')});
cmp_ok($node->safe_psql('postgres', "SELECT count(DISTINCT t) FROM ($left) x WHERE n > 0"), '>=', 9, 'a model has rows in all tables');
$node->safe_psql('postgres', q{
	DO $$ BEGIN PERFORM model_mgr.abort_deployment(model_mgr.open_deployment('c')); EXCEPTION WHEN SQLSTATE '55000' THEN NULL; END $$;
	SELECT format('SET model_mgr.clock = %L', now() + interval '1 hour') \gexec
	SELECT count(*) FROM model_mgr.tick();
	SELECT model_mgr.unpin_unit('c', 'u' || i) FROM generate_series(1, 4) i;
	SELECT model_mgr.drop_segment('c', 'here');
	SELECT count(*) FROM (SELECT model_mgr.archive_model_version('c', v.version, 'the end') FROM (SELECT version FROM model_mgr.model_version
		WHERE model_name = 'c' AND status <> 'archived' ORDER BY status = 'active') v OFFSET 0) x;
	SELECT model_mgr.delete_model('c')});
is($node->safe_psql('postgres', "SELECT string_agg(t || ' ' || n, ', ') FROM ($left) x WHERE n > 0"), '', 'deleted, it has none');
totals_agree($node, 'its outcomes are still counted');
finish($node);
