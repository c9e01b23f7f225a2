# A logical subscriber that gets the table routing routes as the publisher does, also in sessions that hold a cache.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $publisher = new_node('publisher', allows_streaming => 'logical');
my $subscriber = new_node('subscriber', allows_streaming => 'logical');
my $deployment = canary($publisher, 'spam');
$publisher->safe_psql('postgres', "SELECT model_mgr.pin_unit('spam', 'unit 7', '2.0.0')");

# The key is published, too: pins are keyed hashes.
$publisher->safe_psql('postgres',
	'CREATE PUBLICATION routes FOR TABLE model_mgr.model, model_mgr.model_version, model_mgr.routing, model_mgr.unit_key');
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION routes CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION routes");
$subscriber->wait_for_subscription_sync($publisher, 'routes');

my $session = $subscriber->background_psql('postgres');
my $count = "SELECT count(*) FROM generate_series(1, 1000) i WHERE model_mgr.route_version('spam', 'unit ' || i) = '2.0.0';";
is(routes($subscriber, 'spam', 10_000), routes($publisher, 'spam', 10_000), '10,000 units are routed as on the publisher');
is($session->query($count), $publisher->safe_psql('postgres', $count), 'in an open session, too');
is($session->query("SELECT variant FROM model_mgr.route('spam', 'unit 7');"), 'pinned', 'the pin came along');

# Changes reach a session that has the model in its cache, one by one: step, pin, rollback, a model new to it.
my $n = 0;
for my $change (
	at(2, "SELECT step FROM model_mgr.promote_deployment($deployment)"),
	at(3, "SELECT model_mgr.pin_unit('spam', 'unit 8', '2.0.0')"),
	at(4, "SELECT model_mgr.unpin_unit('spam', 'unit 7')"),
	at(5, "SELECT model_mgr.rollback_model('spam')"))
{
	$publisher->safe_psql('postgres', $change);
	$publisher->wait_for_catchup('routes');
	is($session->query($count), $publisher->safe_psql('postgres', $count), 'change ' . ++$n . ' is seen in the open session');
}
is($session->query("SELECT coalesce(model_mgr.route_version('second', 'u'), 'none');"), 'none', 'a model not there yet');
$publisher->safe_psql('postgres', at(6, q{
	SELECT version FROM model_mgr.create_model_version('second', '0.1', '{"provider": "test", "model_name": "m"}');
	SELECT status FROM model_mgr.deploy_model_version('second', '0.1');}));
$publisher->wait_for_catchup('routes');
is($session->query("SELECT model_mgr.route_version('second', 'u');"), '0.1', 'is routed once it has arrived');
$session->quit;
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION routes');
finish($subscriber, $publisher);
