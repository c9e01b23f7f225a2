# A hot standby reads all that the monitor knows, as the primary does; health_check() says what makes sense there; promoted,
# it goes on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;
use ModelMgrMonitor;

my $primary = new_node('watching', allows_streaming => 1);
my $cursor = watched($primary);
$primary->safe_psql('postgres', 'SELECT model_mgr.setup_roles(); CREATE ROLE looks LOGIN IN ROLE model_mgr_reader');
$primary->backup('base', backup_options => ['--checkpoint=fast']);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
my $state = table_checksums($primary, 'postgres') . "\n" . watched_state($primary, 'postgres', $cursor);
is(table_checksums($standby, 'postgres') . "\n" . watched_state($standby, 'postgres', $cursor), $state, 'the standby reads what the primary reads');

# checks: names of the checks, those that are not well with a sign.
sub checks
{
	my ($node, @options) = @_;
	return $node->safe_psql('postgres', q{SELECT string_agg(CASE WHEN ok THEN '' ELSE '!' END || check_name, ' ') FROM model_mgr.health_check()}, extra_params => \@options);
}
my $on_standby = checks($standby);
like(checks($primary), qr/enforcement.*scheduler.*model_locks.*transactions/, 'the primary is asked about its sessions, jobs and settings');
unlike($on_standby, qr/enforcement|scheduler|model_locks|transactions/, 'the standby is not');
like($on_standby, qr/version.*tick.*rollups.*partitions.*callbacks.*alerts.* standby$/, 'but about what it has from the primary');
is(checks($standby, '-U', 'looks'), $on_standby, 'a reader gets the same there');
# What the primary writes by itself is some moments on its way.
ok($standby->poll_query_until('postgres', "SELECT ok, detail FROM model_mgr.health_check() WHERE check_name = 'standby'", 't|hot standby, 0 s behind'), 'it says that it is one');
is($primary->safe_psql('postgres', "SELECT ok, detail FROM model_mgr.health_check() WHERE check_name = 'standby'"), 't|this server takes writes', 'the primary that it is not');
is(error_of($standby, at(201, "SELECT model_mgr.assert_healthy('spam')")), '55000', 'assert_healthy() answers');
is(error_of($standby, $_), '25006', "$_: read-only") for
  "SELECT model_mgr.set_thresholds('spam', '[]')", "SELECT model_mgr.record_performance('spam', '1.0.0', '{\"success_rate\": 1}')",
  "SELECT count(*) FROM model_mgr.acknowledge_alert(1)", "SELECT model_mgr.silence('spam', now())";

# A standby that does not follow says so.
my $alias = at(200, "SELECT model_mgr.set_alias('spam', 'champion', '1.0.0')");
$primary->safe_psql('postgres', $alias);
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$primary->safe_psql('postgres', $alias);
$standby->poll_query_until('postgres', 'SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()');
like($standby->safe_psql('postgres', "SELECT detail FROM model_mgr.health_check() WHERE check_name = 'standby'"), qr/^hot standby, \d+ s behind$/, 'behind, and by how much');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);

$state = watched_state($primary, 'postgres', $cursor);
$primary->stop('fast');
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(watched_state($standby, 'postgres', $cursor), $state, 'promoted: all readings are the same');
goes_on($standby, 'postgres', $cursor, 'promoted');
finish($primary, $standby);
