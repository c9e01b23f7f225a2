# Prometheus' Alertmanager takes what alertmanager_alerts() gives, as psql and curl send it, and shows it: alerts that
# fire with their labels and times, none that is silenced, and ended ones no longer.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use ModelMgr;

for my $program ('prometheus-alertmanager', 'curl')
{
	plan skip_all => "$program is not installed" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

my $dir = PostgreSQL::Test::Utils::tempdir();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $url = "http://127.0.0.1:$port/api/v2/alerts";
append_to_file("$dir/alertmanager.yml", "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n");
my ($out, $err) = ('', '');
my $alertmanager = IPC::Run::start([ 'prometheus-alertmanager', "--config.file=$dir/alertmanager.yml", "--storage.path=$dir/data",
		"--web.listen-address=127.0.0.1:$port", '--cluster.listen-address=' ], '>', \$out, '2>', \$err);
# A test that dies takes it along.
END { my $status = $?; $alertmanager->kill_kill if $alertmanager && $alertmanager->pumpable; $? = $status; }
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if run_log([ 'curl', '-sf', '-o', '/dev/null', "http://127.0.0.1:$port/-/ready" ]);
	select undef, undef, undef, 0.1;
}

my $node = new_node('alerts', conf => "model_mgr.enforcement = off\n");
my $command = doc_block('docs/events.md', 0) =~ s{http://localhost:9093/api/v2/alerts}{$url}r;
like($command, qr/\Q$url\E/, 'the page has a command');
# post: as docs/events.md does it; whether Alertmanager took it.
sub post
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres');
	return system('bash', '-o', 'pipefail', '-c', $command) == 0;
}
# shown: what Alertmanager says fires, by alert_id.
sub shown
{
	my $text = `curl -sf $url`;
	return { map { $_->{labels}{alert_id} => $_ } @{ decode_json($text) } };
}

ok(post(), 'no alert: an empty list is taken');
is_deeply(shown(), {}, 'and shows nothing');

# A model with an odd name breaks two thresholds at once, another one breaks one; one alert concerns no version.
my $model = 'Spam & "Eggs" \\ grün';
$node->safe_psql('postgres', qq{
	SELECT count(model_mgr.create_model_version(m, '1', '{"provider": "test", "model_name": "m"}')) FROM unnest(ARRAY['$model', 'other']) m;
	SELECT count(model_mgr.deploy_model_version(m, '1')) FROM unnest(ARRAY['$model', 'other']) m;
	SELECT count(model_mgr.set_thresholds(m, jsonb_build_array(
		model_mgr.performance_threshold('success_rate', 0.95, '<', 'critical', 0),
		model_mgr.performance_threshold('avg_response_time', 5, '>', 'warning', 0)))) FROM unnest(ARRAY['$model', 'other']) m;
	SELECT count(*) FROM (SELECT model_mgr.update_model_metrics('$model', '1', 7.5, i > 10) FROM generate_series(1, 40) i OFFSET 0) o;
	SELECT count(*) FROM (SELECT model_mgr.update_model_metrics('other', '1', 1, i > 10) FROM generate_series(1, 40) i OFFSET 0) o;
	SELECT count(*) FROM model_mgr.tick();
	INSERT INTO model_mgr.alert (kind, model_name, severity, status, started_at, fired_at, summary)
	VALUES ('rollout', 'bare', 'critical', 'firing', now(), now(), 'nothing to go back to');});
is($node->safe_psql('postgres', 'SELECT count(*) FROM model_mgr.get_active_alerts()'), 4, 'four alerts fire');
ok(post(), 'they are taken');
my $shown = shown();
is(scalar keys %$shown, 4, 'and shown');
my ($id) = $node->safe_psql('postgres', "SELECT alert_id FROM model_mgr.alert WHERE model_name <> 'other' AND metric_name = 'success_rate'");
is_deeply($shown->{$id}{labels}, { alertname => 'ModelThreshold', alert_id => $id, kind => 'threshold', severity => 'critical',
		model_name => decode_utf8_text($model), version => '1', metric_name => 'success_rate' }, 'labels');
is($shown->{$id}{annotations}{value}, '0.75', 'annotation: the value');
is($shown->{$id}{annotations}{summary}, decode_utf8_text($node->safe_psql('postgres', "SELECT summary FROM model_mgr.alert WHERE alert_id = $id")), 'annotation: the sentence');
my ($bare) = grep { $_->{labels}{model_name} eq 'bare' } values %$shown;
is_deeply([ sort keys %{ $bare->{labels} } ], [ 'alert_id', 'alertname', 'kind', 'model_name', 'severity' ], 'what there is not is no label');
is($bare->{labels}{alertname}, 'ModelRollout', 'a rollout\'s alert');
is($shown->{$id}{status}{state}, 'active', 'active');
is($node->safe_psql('postgres', "SELECT date_trunc('milliseconds', fired_at) = '$shown->{$id}{startsAt}' FROM model_mgr.alert WHERE alert_id = $id"), 't', 'since it fired');
ok(post(), 'again');
is_deeply([ sort keys %{ shown() } ], [ sort keys %$shown ], 'the same four');

# A silenced one is not sent; Alertmanager's own timeout ends it there.
$node->safe_psql('postgres', "SELECT model_mgr.silence('other', now() + interval '1 hour', 'known')");
is($node->safe_psql('postgres', "SELECT jsonb_agg(a -> 'labels' -> 'model_name') \@> '[\"other\"]' FROM jsonb_array_elements(model_mgr.alertmanager_alerts()) a"), 'f', 'silenced: not sent');
$node->safe_psql('postgres', "SELECT model_mgr.silence('other', now())");

# Resolved: sent with its end, gone there at once.
$node->safe_psql('postgres', "SELECT model_mgr.set_thresholds('$model', '[]')");
is($node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE a ? 'endsAt') || ' ' || count(*) FROM jsonb_array_elements(model_mgr.alertmanager_alerts()) a"), '2 4', 'resolved ones have an end');
ok(post(), 'they are taken');
is_deeply([ sort map { $_->{labels}{model_name} } values %{ shown() } ], [ 'bare', 'other' ], 'only what fires is shown');
is($node->safe_psql('postgres', "SET model_mgr.clock = '" . $node->safe_psql('postgres', "SELECT now() + interval '16 minutes'") . "'; SELECT jsonb_array_length(model_mgr.alertmanager_alerts())"), 2,
	'a quarter of an hour later they are not sent any more');

$alertmanager->kill_kill;
finish($node);

# decode_utf8_text: bytes of this file or of psql as characters, as decode_json gives them.
sub decode_utf8_text { my ($text) = @_; utf8::decode($text); return $text; }
