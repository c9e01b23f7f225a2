# ModelMgrMonitor: what the cluster tests of the monitor share: a model that has been watched for hours and has something
# of everything (rollups of minutes and hours, custom and reported metrics, alerts that fire, that do not yet, that are
# silenced and acknowledged, detectors, events read and unread, calls made and due), what must not change when its
# database is moved, copied or killed, and how it must go on.
package ModelMgrMonitor;

use strict;
use warnings;
use Exporter 'import';
use Test::More;
use ModelMgr;

our @EXPORT = qw(watched watched_state goes_on);

# The last minute of the past; what is recorded then is not folded.
my $now = 200;

# traffic: a minute's outcomes, nine of ten right, the same in every run; slow ones take so many seconds.
sub traffic
{
	my ($minute, $seconds) = @_;
	return at($minute, qq{
		INSERT INTO model_mgr.observation (version_id, success, response_time, confidence, cost, metrics)
		SELECT v.version_id, i % 10 <> 0, $seconds * (1 + (i * 7 + $minute * 13) % 10 / 50.0), 0.8 + (i * 3 + $minute * 5) % 7 / 70.0, 0.001 * i,
			jsonb_build_object('refund', (i + $minute) % 4 / 100.0)
		FROM generate_series(1, 20) i, model_mgr.get_active_model('spam') v;
	});
}

sub tick { return at($_[0], "SELECT count(*) FROM model_mgr.tick();\n"); }

# watched: sets all that up; returns the cursor up to which events have been read.
sub watched
{
	my ($node) = @_;

	# Decided by ticks alone, so that every run is the same.
	$node->safe_psql('postgres', 'ALTER DATABASE postgres SET model_mgr.enforcement = off');
	$node->safe_psql('postgres', at(0, serving('spam', '1.0.0') . q{
		SELECT model_mgr.set_thresholds('spam', jsonb_build_array(
			model_mgr.performance_threshold('success_rate', 0.95, '<', severity => 'critical', duration_minutes => 0),
			model_mgr.performance_threshold('avg_response_time', 0.1, '>', duration_minutes => 300),
			model_mgr.performance_threshold('human_rating', 3.5, '<', duration_minutes => 0)));
		CREATE TABLE public.paged (event_id bigint, metric_name text);
		CREATE FUNCTION public.page(event jsonb) RETURNS void LANGUAGE sql
			BEGIN ATOMIC INSERT INTO public.paged VALUES ((event ->> 'event_id')::bigint, event ->> 'metric_name'); END;
		SELECT model_mgr.add_alert_callback('public.page(jsonb)');
		INSERT INTO model_mgr.metric (metric_name, higher_is_better, unit, description) VALUES ('human_rating', true, 'stars', 'what people say');
		CALL model_mgr.maintain();}));
	$node->safe_psql('postgres', join('', map { traffic($_, 0.2) . tick($_) } 1 .. 100));
	$node->safe_psql('postgres', at(100, q{
		SELECT count(*) FROM model_mgr.acknowledge_alert((SELECT min(alert_id) FROM model_mgr.get_active_alerts()), 'on it');
		CALL model_mgr.work();}));
	my $cursor = $node->safe_psql('postgres', 'SELECT cursor FROM model_mgr.events_since() OFFSET 1 LIMIT 1');
	$node->safe_psql('postgres', at(150, q{
		SELECT model_mgr.silence('spam', '2026-03-01 04:10:00+00', 'being looked at', 'human_rating');}));
	$node->safe_psql('postgres', join('', map { traffic($_, $_ > 180 ? 2.0 : 0.2)
			  . at($_, "SELECT model_mgr.record_performance('spam', '1.0.0', '{\"human_rating\": 3.1}');") . tick($_) } 101 .. $now - 1)
		  . traffic($now, 2.0));
	return $cursor;
}

# watched_state: every table, and everything that reads them, as one text to be compared whole.
sub watched_state
{
	my ($node, $dbname, $cursor) = @_;
	my %reads = (
		current => "get_current_metrics('spam', '1.0.0')",
		trends => "get_performance_trends('spam', '1.0.0', 4)",
		comparison => "get_model_comparison('spam', ARRAY['1.0.0'], 4)",
		active => 'get_active_alerts()',
		history => 'get_alert_history(24)',
		thresholds => "get_thresholds('spam')",
		unread => "events_since('$cursor')",
		series => 'metric_series',
		matrix => 'metric_matrix',
		anomalies => "detect_anomalies('spam', 'response_time')",
		dashboard => 'get_model_health_dashboard()',
		rules => 'rule_list',
		callbacks => 'callback_list',
		alertmanager => 'alertmanager_alerts()');
	my $text = '';

	for my $name (sort keys %reads)
	{
		# A cursor names a place in a cluster; what it stands before is compared.
		my $row = $name eq 'unread' ? "to_jsonb(r) - 'cursor'" : 'r';
		$text .= "$name " . $node->safe_psql($dbname, at($now, "SELECT count(*) || ' ' || coalesce(md5(string_agg(x::text, E'\\n' ORDER BY x::text)), '')
			FROM (SELECT $row FROM model_mgr.$reads{$name} r) s (x)")) . "\n";
	}
	return $text;
}

sub one { my ($node, $dbname, $sql) = @_; return $node->safe_psql($dbname, $sql); }

# goes_on: another hour and a half; what was begun before ends as if nothing had happened.
sub goes_on
{
	my ($node, $dbname, $cursor, $name) = @_;
	my $open = q{SELECT string_agg(concat_ws(' ', alert_id, kind, metric_name, status, started_at), ', ' ORDER BY alert_id)
		FROM model_mgr.alert_list WHERE status <> 'resolved'};
	my $before = one($node, $dbname, $open);
	my $read = one($node, $dbname, "SELECT count(*) FROM model_mgr.events_since('$cursor')");
	my $events = one($node, $dbname, 'SELECT count(*) FROM model_mgr.event_list');

	like($before, qr/threshold avg_response_time pending 2026-03-01 00:01:00/, "$name: one alert has been pending since the first minute");
	like($before, qr/threshold success_rate firing 2026-03-01 00:01:00/, "$name: one fires since then");
	like($before, qr/threshold human_rating firing/, "$name: one fires in silence");
	like($before, qr/anomaly \S+ firing/, "$name: an anomaly was found");
	one($node, $dbname, join '', map { traffic($_, 2.0)
		  . at($_, "SELECT model_mgr.record_performance('spam', '1.0.0', '{\"human_rating\": 3.1}');") . tick($_) } $now + 1 .. $now + 3);
	is(one($node, $dbname, $open), $before, "$name: three minutes later each of them is as it was, and there is no other");
	is(one($node, $dbname, at($now + 3, 'SELECT count(*) FROM model_mgr.rollup_tail')), '0', "$name: all is folded");
	is(one($node, $dbname, 'SELECT sum(requests) FROM model_mgr.rollup_history'), one($node, $dbname, 'SELECT count(*) FROM model_mgr.observation'),
		"$name: every request counts once in hours, minutes and tail");
	cmp_ok(one($node, $dbname, 'SELECT count(*) FROM model_mgr.rollup_hour'), '>', 0, "$name: there are hours");
	is(one($node, $dbname, q{SELECT sum(count) FROM model_mgr.rollup_metric_history WHERE metric_name = 'refund'}),
		one($node, $dbname, 'SELECT count(*) FROM model_mgr.observation'), "$name: of the custom metric too");
	totals_agree($node, "$name: rollups agree with the observations", $dbname);

	# Five hours after it began the pending alert fires, and the silence is over.
	one($node, $dbname, join '', map { traffic($_, 2.0)
		  . at($_, "SELECT model_mgr.record_performance('spam', '1.0.0', '{\"human_rating\": 3.1}');") . tick($_) } $now + 4, 251, 300);
	like(one($node, $dbname, $open), qr/avg_response_time pending 2026-03-01 00:01:00/, "$name: not a minute too early");
	one($node, $dbname, traffic(301, 2.0) . tick(301));
	(my $fired = $before) =~ s/(avg_response_time) pending/$1 firing/;
	like(one($node, $dbname, $open), qr/^\Q$1\E/, "$name: the pending one fires after five hours, as the same alert")
	  if $fired =~ /^(.*?avg_response_time firing [^,]*)/;
	one($node, $dbname, at(302, 'CALL model_mgr.work();'));
	is( one($node, $dbname, q{SELECT string_agg(e.event_id::text, ' ' ORDER BY e.event_id) FROM model_mgr.event_list e WHERE e.type = 'alert.firing'}),
		one($node, $dbname, q{SELECT string_agg(p.event_id::text, ' ' ORDER BY p.event_id) FROM public.paged p}),
		"$name: every alert was paged once, that of the silence too");
	my $now_read = one($node, $dbname, "SELECT count(*) || ' ' || count(DISTINCT event_id) FROM model_mgr.events_since('$cursor')");
	my $more = one($node, $dbname, 'SELECT count(*) FROM model_mgr.event_list') - $events;
	cmp_ok($more, '>', 0, "$name: there are new events");
	is($now_read, join(' ', ($read + $more) x 2), "$name: who reads events goes on behind the cursor and gets each of them once");
	is(one($node, $dbname, at(302, "SELECT ok FROM model_mgr.health_check() WHERE check_name = 'callbacks'")), 't', "$name: callbacks are well");
}

1;
