# Rollouts of every strategy, each in the middle of something, come through pg_dump (plain, and custom restored by two
# jobs): routing, statuses, what is waited for and the evidence are the same, decisions made before are still good, and
# what follows is the same story to the same end as where they were dumped.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $source = new_node('rollouts');
my $now = 30;

# model => minute, strategy and rollout of version 2's deployment, and its further arguments.
my %deployed = (
	replaced => [ 25, 'replace', '{"bake_seconds": 600}' ],
	stepping => [ 1, 'canary', '{"steps": [10, 50, 100], "step_seconds": 900, "min_requests": 20}' ],
	thin => [ 1, 'canary', '{"steps": [0.1, 100], "step_seconds": 600, "min_requests": 25}' ],
	unjudged => [ 28, 'canary', '{"steps": [50, 100], "step_seconds": 600, "min_requests": 20}' ],
	paused => [ 1, 'canary', '{"steps": [30, 100], "step_seconds": 600, "min_requests": 20, "salt": "sticky"}' ],
	approved => [ 1, 'canary', '{"steps": [30, 60, 100], "step_seconds": 600, "min_requests": 20, "approval": "each_step"}' ],
	unanswered => [ 5, 'canary', '{"steps": [30, 100], "step_seconds": 300, "min_requests": 20, "approval": "final",
		"approval_timeout_seconds": 1800, "on_timeout": "rollback"}' ],
	preview => [ 15, 'blue_green', '{"preview_segment": {"team": "qa"}, "step_seconds": 1200, "min_requests": 20, "bake_seconds": 300}' ],
	switched => [ 10, 'blue_green', '{"preview_segment": {"team": "qa"}, "step_seconds": 600, "min_requests": 5, "bake_seconds": 3600}' ],
	tested => [ 1, 'a_b_test', '{"test": {"test_id": "is 2 better?", "max_duration_hours": 1, "min_sample_size_per_variant": 100, "early_stopping_enabled": false}}',
		', traffic_percentage => 40, rollback_min_success_rate => 0.1' ],
	shadowed => [ 1, 'shadow', '{"step_seconds": 2400, "min_requests": 20}', ', traffic_percentage => 60' ],
	scheduled => [ 1, 'canary', '{"steps": [20, 100], "start_at": "2026-03-01 00:40:00+00", "step_seconds": 300, "min_requests": 20}' ],
	frozen => [ 1, 'canary', '{"steps": [20, 100], "step_seconds": 600, "min_requests": 20}' ],
	taken_back => [ 1, 'canary', '{"steps": [20, 100], "step_seconds": 600, "min_requests": 20}' ]);
my $models = '(VALUES ' . join(', ', map { "('$_')" } sort keys %deployed) . ') m (model_name)';
my $context = q{CASE WHEN i % 10 = 0 THEN '{"team": "qa"}' ELSE '{}' END::jsonb};

# traffic: a minute's requests to every model, a tenth of them of its testers. Version 2 of unjudged, and from minute 40 on
# of switched, is bad; of tested it is better, of the others never wrong, so that chance decides nothing.
sub traffic
{
	my ($minute) = @_;
	my $bad = $minute < 40 ? "'unjudged'" : "'unjudged', 'switched'";
	my ($first, $last) = ($minute * 1000 + 1, $minute * 1000 + 100);

	return at($minute, qq{
		SELECT count(model_mgr.record_outcome(r.decision, CASE WHEN r.value = '2' AND r.model_name IN ($bad) THEN false
				WHEN r.model_name = 'tested' THEN r.i % 10 < CASE r.value WHEN '2' THEN 9 ELSE 6 END ELSE r.value <> '1' OR r.i % 100 <> 77 END, 0.25)),
			count(CASE WHEN r.shadow_decision IS NOT NULL THEN model_mgr.record_outcome(r.shadow_decision, r.i % 50 <> 3, 0.25) END)
		FROM (SELECT m.model_name, i, x.* FROM $models, generate_series($first, $last) i,
			LATERAL model_mgr.route(m.model_name, 'unit ' || i, $context) x OFFSET 0) r;});
}

sub tick { return at($_[0], 'SELECT count(*) FROM model_mgr.tick();'); }

# what_happens: verbs by minute, before the dump and after it.
my %what_happens = (
	2 => "SELECT model_mgr.freeze('frozen', '2026-03-01 00:45:00+00', 'a holiday');",
	6 => "SELECT model_mgr.rollback_model('taken_back', reason => 'users complain');",
	9 => "SELECT status FROM model_mgr.pause_deployment(model_mgr.open_deployment('paused'), 'lunch');",
	14 => "SELECT status FROM model_mgr.approve_step(model_mgr.open_deployment('approved'), 'looks good');",
	29 => qq{CREATE TABLE public.kept AS SELECT x.decision FROM generate_series(1, 50) i, LATERAL model_mgr.route('stepping', 'unit ' || i) x;},
	32 => "SELECT status FROM model_mgr.resume_deployment(model_mgr.open_deployment('paused'));",
	33 => 'SELECT count(model_mgr.record_outcome(k.decision, true, 0.25, cost => 33)) FROM public.kept k;',
	36 => "SELECT count(model_mgr.update_model_metrics('thin', '2', 0.25, true)) FROM generate_series(1, 30);",
	50 => "SELECT status FROM model_mgr.approve_step(model_mgr.open_deployment('approved'), 'ship it');");

# minutes: the SQL of all that happens in these minutes, every one with a tick, every second with traffic; but the
# last before the dump is not judged.
sub minutes
{
	my ($first, $last) = @_;
	my $sql = '';
	for my $minute ($first .. $last)
	{
		for my $model (grep { $deployed{$_}[0] == $minute } sort keys %deployed)
		{
			my (undef, $strategy, $rollout, $arguments) = @{ $deployed{$model} };
			$sql .= at($minute, "SELECT status FROM model_mgr.deploy_model_version('$model', '2', '$strategy', rollout => '$rollout'" . ($arguments // '') . ");\n");
		}
		$sql .= at($minute, $what_happens{$minute}) if $what_happens{$minute};
		$sql .= traffic($minute) if $minute % 2;
		$sql .= tick($minute) unless $minute == $now - 1;
	}
	return $sql;
}

# routed: who serves 1,000 units of each model, why, and who is called beside.
my $routed = qq{
	SELECT m.model_name || ' routes ' || string_agg(DISTINCT concat_ws('/', r.value, r.variant, r.shadow_version), ' ') || ' '
		|| md5(string_agg(concat_ws('/', i, r.value, r.variant, r.reason, r.deployment_id, r.test_id, r.configuration, r.shadow_version), ',' ORDER BY i))
	FROM $models, generate_series(1, 1000) i, LATERAL model_mgr.route(m.model_name, 'unit ' || i, $context) r GROUP BY m.model_name};

# standing: every rollout as people see it, with what it waits for; its diary and evidence; tests, pairs and routing.
sub standing
{
	my ($node, $dbname, $minute) = @_;
	return $node->safe_psql($dbname, at($minute, qq{SET TimeZone = 'UTC';
		SELECT d::text FROM model_mgr.deployment_list d ORDER BY d.deployment_id;
		SELECT r::text FROM model_mgr.rollout_status() r ORDER BY r.deployment_id, r."position";
		SELECT concat_ws(' ', d.model_name, e."time", e.status, e.traffic_percentage, e.what, md5(e::text))
			FROM model_mgr.deployment d, LATERAL model_mgr.explain_deployment(d.deployment_id) WITH ORDINALITY e ORDER BY d.deployment_id, e.ordinality;
		SELECT t::text FROM model_mgr.ab_test_list t ORDER BY t.test_id;
		SELECT p::text FROM model_mgr.deployment d, LATERAL model_mgr.shadow_pairs(d.deployment_id) p;
		SELECT l::text FROM model_mgr.rule_list l ORDER BY l::text;
		SELECT concat_ws(' ', v.model_name, v.version, v.status, v.traffic_percentage) FROM model_mgr.model_version_list v ORDER BY v.model_name, v.version;
		SELECT (to_jsonb(e) - 'txn')::text FROM model_mgr.event e ORDER BY e.event_id;
		$routed ORDER BY 1;}));
}

sub statuses
{
	my ($node, $dbname) = @_;
	return $node->safe_psql($dbname, q{
		SELECT string_agg(format('%s %s %s%%', d.model_name, d.status, d.traffic_percentage), E'\n' ORDER BY d.model_name)
		FROM model_mgr.deployment d WHERE d.version = '2'});
}

# replayed: evidence of decisions, and how much of it gives another decision when it is computed again.
my $replayed = q{
	SELECT count(*) > 20, count(*) FILTER (WHERE model_mgr.replay_evidence(e.evidence) IS DISTINCT FROM e.evidence ->> 'decision')
	FROM model_mgr.deployment_event e WHERE e.evidence ? 'decision'};

$source->safe_psql('postgres', 'ALTER DATABASE postgres SET model_mgr.enforcement = off; CALL model_mgr.maintain();');
$source->safe_psql('postgres', join '', map { at(0, serving($_, '1', '2')) } sort keys %deployed);
$source->safe_psql('postgres', minutes(1, $now - 1));
is(statuses($source, 'postgres'), join("\n",
	'approved awaiting_approval 60%', 'frozen running 20%', 'paused paused 30%', 'preview running 0%', 'replaced promoting 100%',
	'scheduled pending 0%', 'shadowed running 60%', 'stepping running 50%', 'switched promoting 100%', 'taken_back rolled_back 0%',
	'tested running 40%', 'thin running 0.1%', 'unanswered awaiting_approval 30%', 'unjudged running 50%'), 'each is in the middle of something');
is($source->safe_psql('postgres', at($now, q{SELECT string_agg(DISTINCT substring(d.waiting_for FROM '\[(\w+)\]$'), ' ') FROM model_mgr.deployment_list d})),
	'approval bake_seconds freeze min_requests resume start_at step_seconds test tick', 'and waits for its own thing');
my $standing = standing($source, 'postgres', $now);
my @one_row = qw(unit_key rollup_state audit_seal_state tick_state);
my $tables = table_checksums($source, 'postgres', without => \@one_row);

command_ok([ 'pg_dump', '-f', "$dir/plain.sql", '-d', $source->connstr('postgres') ], 'plain dump');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom.dump", '-d', $source->connstr('postgres') ], 'custom dump');
my $target = new_node('target', extension => 0);
{
	local $ENV{PGOPTIONS} = '-c model_mgr.enforcement=off -c session_preload_libraries=model_mgr';
	$target->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE template0") for 'plain', 'custom';
	command_ok([ 'psql', '-Xqb1', '-o', "$dir/out", '-v', 'ON_ERROR_STOP=1', '-d', $target->connstr('plain'), '-f', "$dir/plain.sql" ], 'psql restores');
	command_ok([ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $target->connstr('custom'), "$dir/custom.dump" ], 'pg_restore -j 2 restores');
}

# The story goes on in all three; the original's is the one that the copies' must be.
$source->safe_psql('postgres', minutes($now, 80));
my $end = standing($source, 'postgres', 80);
is(statuses($source, 'postgres'), join("\n",
	'approved completed 100%', 'frozen completed 100%', 'paused completed 100%', 'preview completed 100%', 'replaced completed 100%',
	'scheduled completed 100%', 'shadowed completed 0%', 'stepping completed 100%', 'switched rolled_back 0%', 'taken_back rolled_back 0%',
	'tested completed 100%', 'thin completed 100%', 'unanswered rolled_back 0%', 'unjudged rolled_back 0%'), 'original: each came to its right end');
is($source->safe_psql('postgres', $replayed), 't|0', 'original: the evidence of every decision gives that decision');
for my $name ('plain', 'custom')
{
	$target->safe_psql('postgres', "ALTER DATABASE $name SET model_mgr.enforcement = off");
	is(table_checksums($target, $name, without => \@one_row), $tables, "$name: tables are the same");
	is(standing($target, $name, $now), $standing, "$name: routing, statuses, waits and evidence are the same");
	$target->safe_psql($name, minutes($now, 80));
	is(standing($target, $name, 80), $end, "$name: the same story to the same end");
	is($target->safe_psql($name, $replayed), 't|0', "$name: the evidence of every decision gives that decision");
	is($target->safe_psql($name, "SELECT count(*), count(DISTINCT arm) FROM model_mgr.observation WHERE cost = 33 AND step = 2
		AND deployment_id = (SELECT max(deployment_id) FROM model_mgr.deployment WHERE model_name = 'stepping')"),
		'50|2', "$name: decisions made before the dump are credited as they were meant");
	is($target->safe_psql($name, at(80, "SELECT model_mgr.rollback_model('taken_back'), model_mgr.resolve_version('taken_back', 'latest')")), 'f|1',
		"$name: what was taken back is not taken back again, and is not the latest");
	totals_agree($target, "$name: rollups agree with the observations", $name);
}
finish($source, $target);
