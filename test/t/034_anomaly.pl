# The fed detectors are the same to the bit, and so are their alerts, whatever happens between two minutes: a tick a
# minute, one tick for all, a dump and restore into another cluster, a crash in the middle of a tick, a promotion.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $dir = PostgreSQL::Test::Utils::tempdir();

# Ten hours of two versions; from the fifth on one fails for an hour and the other is slow for half an hour.
my $traffic = q{
	SET model_mgr.enforcement = off;
	INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost)
	SELECT timestamptz '2026-03-01 00:00:00+00' + (i - 0.5) * interval '6 seconds', v,
		abs(hashint8(i * 7 + v)) % 1000 < CASE WHEN v = 1 AND i BETWEEN 3000 AND 3600 THEN 500 ELSE 990 END,
		(1 + abs(hashint8(i * 11 + v)) % 1000 / 1000.0) * CASE WHEN v = 2 AND i BETWEEN 3300 AND 3600 THEN 3 ELSE 0.5 END,
		0.8 + abs(hashint8(i * 13 + v)) % 100 / 1000.0, 0.002
	FROM generate_series(1, 6000) i, generate_series(1, 2) v;};

sub prepared
{
	my ($name, %options) = @_;
	my $node = new_node($name, %options);

	$node->safe_psql('postgres', "SET model_mgr.clock = '2026-03-01 00:00:00+00'; " . serving('spam', '1', '2') . $traffic);
	return $node;
}

# ticks: one a minute from after `from` to `to`.
sub ticks
{
	my ($node, $from, $to) = @_;

	$node->safe_psql('postgres', join('', map { at($_, "SELECT FROM model_mgr.tick();\n") } $from + 1 .. $to));
	return;
}

sub states
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
		SELECT version_id, metric_name, md5(state), fed_until, alert_since, untold FROM model_mgr.anomaly_state ORDER BY 1, 2;
		SELECT fed_until FROM model_mgr.anomaly_feed;
		SELECT version, metric_name, status, current_value, samples, summary, evidence FROM model_mgr.alert WHERE kind = 'anomaly' ORDER BY 1, 2, summary});
}

my $plain = prepared('plain');
ticks($plain, 0, 320);
my $midst = states($plain);
ticks($plain, 320, 600);
my $expected = states($plain);
is(() = $expected =~ /\|resolved\|/g, 2, 'both incidents were told, and are over');
like($midst, qr/\|firing\|/, 'in the midst one is under way');

# One tick for all of it.
my $once = prepared('once', allows_streaming => 1);
$once->safe_psql('postgres', at(600, 'SELECT FROM model_mgr.tick()'));
is(states($once), $expected, 'one tick for ten hours');
$once->stop;

# Dump and restore in the midst, and what is to come after it.
my $restored = new_node('restored', extension => 0);
$plain->safe_psql('postgres', 'DELETE FROM model_mgr.anomaly_state; DELETE FROM model_mgr.anomaly_feed; DELETE FROM model_mgr.alert; DELETE FROM model_mgr.alert_state');
ticks($plain, 0, 320);
is(states($plain), $midst, 'from the beginning again');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $plain->connstr('postgres') ], 'pg_dump');
{
	local $ENV{PGOPTIONS} = '-c model_mgr.enforcement=off -c session_preload_libraries=model_mgr';
	command_ok([ 'pg_restore', '-d', $restored->connstr('postgres'), "$dir/dump" ], 'pg_restore');
}
is(states($restored), $midst, 'the restored detectors');
ticks($restored, 320, 600);
is(states($restored), $expected, 'go on as if nothing had been');
$restored->stop;

# A crash in the middle of a tick; then the next one.
my $tick = $plain->background_psql('postgres', on_error_stop => 0);
$tick->query('BEGIN; ' . at(330, 'SELECT count(*) FROM model_mgr.tick();'));
cmp_ok($tick->query("SELECT count(*) FROM model_mgr.anomaly_state WHERE fed_until = '2026-03-01 05:30:00+00';"), '==', 8, 'inside its transaction the tick has fed');
$plain->stop('immediate');
eval { $tick->quit };
$plain->start;
is(states($plain), $midst, 'after the crash it has not');

# A standby takes over there.
$plain->append_conf('postgresql.conf', "wal_level = replica\nmax_wal_senders = 4\nhot_standby = on\n");
$plain->append_conf('pg_hba.conf', 'local replication all trust');
$plain->restart;
$plain->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($plain, 'base', has_streaming => 1);
$standby->start;
ticks($plain, 320, 400);
$plain->wait_for_catchup($standby);
is(states($standby), states($plain), 'the standby has the same');
like($standby->safe_psql('postgres', at(400, q{SELECT count(*) > 700 FROM model_mgr.detect_anomalies('spam', 'success_rate')})), qr/^t$/, 'and looks for itself');
$plain->stop;
$standby->promote;
ticks($standby, 400, 600);
is(states($standby), $expected, 'promoted, it goes on as if nothing had been');
$standby->stop;

# After days without a tick: as much as fits into one, the rest in the next ones, each minute once.
my ($versions, $minutes) = soak() ? (600, 2880) : (300, 1440);
my $late = new_node('late');
$late->safe_psql('postgres', "SET model_mgr.clock = '2026-03-01 00:00:00+00';
	SELECT count(model_mgr.create_model_version('m' || i, '1', model_mgr.model_configuration('p', 'm'))) FROM generate_series(1, $versions) i;
	INSERT INTO model_mgr.rollup_minute (bucket, version_id, deployment_id, step, test_no, arm, requests, known, successes, errors, response_time_count,
		response_time_sum, confidence_count, confidence_sum, cost_count, cost_sum, input_tokens_count, input_tokens_sum, output_tokens_count, output_tokens_sum, last_at)
	SELECT timestamptz '2026-02-27 00:00:00+00' + m * interval '1 minute', v, 0, 0, 0, -1, 10, 10, 10 - (hashint8(m + v) & 1), 0, 10, 10 + (hashint8(m * 3 + v) & 3),
		0, 0, 0, 0, 0, 0, 0, 0, timestamptz '2026-02-27 00:00:30+00' + m * interval '1 minute'
	FROM generate_series(0, $minutes - 1) m, generate_series(1, $versions) v");
my ($fed, $count) = (0, 0);
while ($count < 60)
{
	my ($items, $seconds) = split /\|/, $late->safe_psql('postgres', at(0, "SELECT items, seconds FROM model_mgr.tick() WHERE task = 'anomalies'"));
	last if $items == 0;
	$count++;
	$fed += $items;
	note("tick $count: $items points in $seconds s");
	cmp_ok($seconds, '<', 10, "tick $count does not go on for ever");
}
is($fed, $versions * $minutes * 2, 'every minute once');
is($late->safe_psql('postgres', 'SELECT count(DISTINCT fed_until), count(*) FROM model_mgr.anomaly_state'), '1|' . 2 * $versions, 'all as far');
cmp_ok($count, '>', 1, 'in several ticks') if soak();
$late->stop;

done_testing();
