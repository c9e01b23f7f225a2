# A hot standby routes, sees changes, refuses to record in the server's own words, and decides once promoted.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $primary = new_node('primary', allows_streaming => 1);
my $deployment = canary($primary, 'spam');
$primary->backup('base', backup_options => ['--checkpoint=fast']);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is(routes($standby, 'spam', 10_000), routes($primary, 'spam', 10_000), 'the standby routes 10,000 units as the primary does');

# Decisions made on the standby are credited on the primary.
my $decisions = $standby->safe_psql('postgres', at(2, q{
	SELECT r.value || ' ' || r.decision FROM generate_series(1, 300) i, LATERAL model_mgr.route('spam', 'unit ' || i) r}));
my %served;
my $sql = '';
for (split /\n/, $decisions)
{
	my ($version, $decision) = split / /;
	$served{$version}++;
	$sql .= "SELECT model_mgr.record_outcome('$decision', true, 0.2);\n";
}
$primary->safe_psql('postgres', at(3, $sql));
is( $primary->safe_psql('postgres', q{
		SELECT version || ' ' || requests || ' ' || deployments FROM (
			SELECT v.version, sum(r.requests) AS requests, count(DISTINCT r.deployment_id) AS deployments
			FROM model_mgr.rollup_now r JOIN model_mgr.model_version v USING (version_id) GROUP BY 1) s ORDER BY 1}),
	"1.0.0 $served{'1.0.0'} 1\n2.0.0 $served{'2.0.0'} 1",
	'outcomes of decisions made on the standby count on the primary, for the version that served');

# Everything that looks works on the standby; everything that acts says 25006.
$primary->wait_for_catchup($standby);
my @views = split /\n/, $standby->safe_psql('postgres',
	"SELECT relname FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace AND relkind = 'v' ORDER BY 1");
cmp_ok(scalar @views, '>=', 5, 'there are views');
for my $view (@views)
{
	is(error_of($standby, "SELECT count(*) FROM model_mgr.$view"), '', "view $view reads on the standby");
}
for my $call (
	"route('spam', 'u')", "explain_route('spam', 'u')", "route_at('spam', 'u', now())", "get_active_model('spam')",
	"list_model_versions('spam')", "get_deployment($deployment)", "explain_deployment($deployment)",
	"open_deployment('spam')", "get_model_statistics()", "events_since()", "alertmanager_alerts()")
{
	is(error_of($standby, "SELECT count(*) FROM model_mgr.$call"), '', "$call answers on the standby");
}
is( $standby->safe_psql('postgres', "SELECT configuration ->> 'provider' FROM model_mgr.route('spam', 'u')"),
	'test', 'route() on the standby carries the configuration');
for my $call (
	"update_model_metrics('spam', '1.0.0', 0.1, true)",
	"record_outcome((SELECT decision FROM model_mgr.route('spam', 'u')), true)",
	"record_feedback((SELECT decision FROM model_mgr.route('spam', 'u')), true)",
	"record_outcomes('[{\"model_name\": \"spam\", \"version\": \"1.0.0\", \"success\": true}]')",
	"create_model_version('spam', '9.0.0', '{\"provider\": \"test\", \"model_name\": \"m\"}')",
	"abort_deployment($deployment)", "pin_unit('spam', 'u', '1.0.0')", "rollback_model('spam')",
	"promote_deployment($deployment)", "remove_callback(1)")
{
	is(error_of($standby, "SELECT model_mgr.$call"), '25006', "$call: read-only on the standby");
}
is(error_of($standby, 'SELECT count(*) FROM model_mgr.tick()'), '25006', 'tick(): read-only on the standby');
is(error_of($standby, 'INSERT INTO model_mgr.observation (version_id) VALUES (1)'), '25006', 'direct INSERT: read-only, too');

is($standby->safe_psql('postgres', 'SELECT string_agg(cursor, \',\') FROM model_mgr.events_since()'),
	$primary->safe_psql('postgres', 'SELECT string_agg(cursor, \',\') FROM model_mgr.events_since()'), 'events_since() gives the same events and cursors there');
is($standby->safe_psql('postgres', "SELECT count(*) FROM model_mgr.events_since('9000000000000000000.1')"), 0, 'a cursor that the standby has not come to yet is no error');

# Shadows and previews are answered there too; both decisions of a request are a pair on the primary.
$primary->safe_psql('postgres', at(3, q{
	SELECT model_mgr.create_model_version(m, v, model_mgr.model_configuration('test', m)) FROM unnest('{shaded,previewed}'::text[]) m, unnest('{1.0.0,2.0.0}'::text[]) v;
	SELECT model_mgr.deploy_model_version(m, '1.0.0') FROM unnest('{shaded,previewed}'::text[]) m;
	SELECT model_mgr.deploy_model_version('shaded', '2.0.0', strategy => 'shadow');
	SELECT model_mgr.deploy_model_version('previewed', '2.0.0', strategy => 'blue_green', rollout => '{"preview_segment": {"staff": true}}')}));
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT value FROM model_mgr.route('previewed', 'u', '{"staff": true}')}), '2.0.0', 'the preview is answered on the standby');
my @pair = split / /, $standby->safe_psql('postgres', at(3, q{
	SELECT concat_ws(' ', value, shadow_version, decision, shadow_decision) FROM model_mgr.route('shaded', 'u')}));
is("@pair[0, 1]", '1.0.0 2.0.0', 'and so is the shadow');
$primary->safe_psql('postgres', at(3, "SELECT model_mgr.record_outcome('$pair[2]', true); SELECT model_mgr.record_outcome('$pair[3]', false);"));
$primary->wait_for_catchup($standby);
is($_->safe_psql('postgres', at(3, q{
	SELECT p.pairs || ' ' || p.only_baseline_good FROM model_mgr.open_deployment('shaded') d, model_mgr.shadow_pairs(d) p})),
	'1 1', 'the outcomes of both are a pair on ' . $_->name) for $primary, $standby;

# Tests assign there, and follow what becomes of them; what acts on them is refused.
$primary->safe_psql('postgres', at(3, q{SELECT test_id FROM model_mgr.create_test('ab', 'n', 'spam', '1.0.0', 'spam', '2.0.0')}));
$primary->wait_for_catchup($standby);
my $assigned = q{SELECT md5(string_agg(model_mgr.assigned_variant('ab', 'u' || i) || model_mgr.should_route_to_treatment('ab', 'u' || i), ',' ORDER BY i)) FROM generate_series(1, 2000) i};
is($standby->safe_psql('postgres', $assigned), $primary->safe_psql('postgres', $assigned), 'the standby assigns 2,000 units as the primary does');
is($standby->safe_psql('postgres', q{SELECT status || ' ' || count(*) FROM model_mgr.get_test_results('ab'), model_mgr.get_test_metrics('ab') GROUP BY status}), 'no_data 3', 'and tells what is known of a test');
for my $call ("record_result('ab', 'control')", "record_results('ab', '[{\"variant\": \"control\"}]')", "analyze_test('ab')", "stop_test('ab')", "promote_winner('ab')",
	"create_test('other', 'n', 'spam', '1.0.0', 'spam', '2.0.0')")
{
	is(error_of($standby, "SELECT model_mgr.$call"), '25006', "$call: read-only on the standby");
}
$primary->safe_psql('postgres', at(3, q{SELECT model_mgr.stop_test('ab')}));
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE model_mgr.should_route_to_treatment('ab', 'u' || i)) || ' ' || count(model_mgr.assigned_variant('ab', 'u' || i)) FROM generate_series(1, 100) i}),
	'0 100', 'ended on the primary: nobody gets the treatment, and assignment is still told');

# A session that holds its cache sees the next change.
my $session = $standby->background_psql('postgres');
my $count = "SELECT count(*) FROM generate_series(1, 1000) i WHERE model_mgr.route_version('spam', 'unit ' || i) = '2.0.0';";
my $ten = $session->query($count);
cmp_ok($ten, '<', 200, 'about ten percent on the standby');
$primary->safe_psql('postgres', at(4, "SELECT step FROM model_mgr.promote_deployment($deployment)")) for 1 .. 4;
$primary->wait_for_catchup($standby);
my $fifty = $session->query($count);
cmp_ok($fifty, '>', 400, 'an open session of the standby sees the share of the new step at its next statement');
is($fifty, $primary->safe_psql('postgres', $count), 'exactly as the primary does');
is( $session->query("BEGIN ISOLATION LEVEL REPEATABLE READ; $count"), $fifty, 'under REPEATABLE READ, too');
$session->query('COMMIT;');

# Promoted, it ticks and decides: bad outcomes take the candidate back.
$primary->stop('fast');
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($session->query('SELECT pg_is_in_recovery();'), 'f', 'promoted under the open session');
$session->query('SET model_mgr.enforcement = off; ' . at(5, serve('spam', 1, 1000, "r.value <> '2.0.0'")));
is($standby->safe_psql('postgres', "SELECT status FROM model_mgr.get_deployment($deployment)"), 'running', 'recorded, not judged yet');
$standby->safe_psql('postgres', at(6, 'SELECT count(*) FROM model_mgr.tick()'));
is($standby->safe_psql('postgres', "SELECT status FROM model_mgr.get_deployment($deployment)"),
	'rolled_back', 'after promotion the tick takes a bad candidate back');
is($session->query($count), '0', 'and the open session routes nobody to it');
totals_agree($standby, 'rollups agree with the observations on the new primary');
$session->quit;
finish($primary, $standby);
