# The Grafana dashboards: each query, as Grafana would send it, on an empty and on a full database, as a role that may only look; what comes is
# what the panel draws; and none reads a whole history to show a part of it.
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CPAN::Meta::YAML;
use JSON::PP;
use ModelMgr;
use Grafana;

my $directory = "$ENV{TESTDIR}/dashboards/grafana";
my @files = sort glob "$directory/*.json";
my %dashboard = map { my ($name) = m{([^/]+)\.json$}; $name => dashboard($_) } @files;
is(join(' ', sort keys %dashboard), 'model-mgr-experiments model-mgr-fleet model-mgr-model', 'three dashboards');

# The files by themselves.
for my $name (sort keys %dashboard)
{
	my $board = $dashboard{$name};
	my %panels = map { $_->{id} => $_ } @{ $board->{panels} };
	is($board->{uid}, $name, "$name: the address that others link to");
	is(scalar(keys %panels), scalar(@{ $board->{panels} }), "$name: each panel has its number");
	my %cells;
	my @overlap = grep { my $p = $_; grep { $cells{$_}++ } map { my $y = $_; map { "$y $_" } $p->{gridPos}{x} .. $p->{gridPos}{x} + $p->{gridPos}{w} - 1 } $p->{gridPos}{y} .. $p->{gridPos}{y} + $p->{gridPos}{h} - 1 } @{ $board->{panels} };
	is(join(', ', map { $_->{title} } @overlap), '', "$name: no panel lies on another");
	is(join(', ', map { $_->{title} } grep { $_->{gridPos}{x} + $_->{gridPos}{w} > 24 } @{ $board->{panels} }), '', "$name: none is too wide");
	my $text = slurp_file("$directory/$name.json");
	my %defined = map { $_->{name} => 1 } @{ $board->{templating}{list} };
	is(join(' ', grep { !$defined{$_} && !/^__/ } $text =~ /\$\{(\w+)[:}]/g), '', "$name: every variable is defined");
	unlike($text =~ s/"uid": "(?:\$\{datasource\}|\Q$name\E)"//gr, qr/"uid":/, "$name: the data source is a variable everywhere");
	is(join(', ', map { $_->{title} } grep { $_->{type} ne 'row' && !$_->{description} } @{ $board->{panels} }), '', "$name: every panel says what it shows");
	for my $link ($text =~ m{"/d/([\w-]+)}g) { ok($dashboard{$link}, "$name: a link to $link leads somewhere"); }
}
# What Grafana would take for something else, or leave out without a word; its own words for units, panels and formats.
my %unit = map { $_ => 1 } qw(none short percent percentunit s ms reqps reqpm bytes dateTimeAsIso);
my %form = map { $_ => 1 } qw(row stat table timeseries);
for my $name (sort keys %dashboard)
{
	my $board = $dashboard{$name};
	my @drawn = grep { $_->{type} ne 'row' } @{ $board->{panels} };
	my %ids = map { $_->{id} => 1 } grep { $_->{id} =~ /^[1-9]\d*$/ } @{ $board->{panels} };
	is(scalar(keys %ids), scalar(@{ $board->{panels} }), "$name: numbers of panels are numbers");
	ok(!defined $board->{id}, "$name: no number of another Grafana");
	like($board->{refresh} // '', qr/^\d+[smh]$/, "$name: renews itself");
	like("$board->{time}{from} $board->{time}{to}", qr/^now-\d+[hd] now$/, "$name: shows the last hours or days");
	is(join(', ', grep { !$form{$_} } map { $_->{type} } @{ $board->{panels} }), '', "$name: panels that every Grafana has");
	is(join(', ', grep { !$unit{$_} } map { my $f = $_->{fieldConfig}; ($f->{defaults}{unit} // (), map { map { $_->{value} } grep { $_->{id} eq 'unit' } @{ $_->{properties} } } @{ $f->{overrides} // [] }) } @drawn), '', "$name: units that Grafana knows");
	is(join(', ', map { $_->{title} } grep { my %refs = map { $_->{refId} => 1 } @{ $_->{targets} }; !@{ $_->{targets} } || keys %refs != @{ $_->{targets} } } @drawn), '', "$name: each query of a panel has its letter");
	is(join(', ', map { $_->{title} } grep { grep { ($_->{datasource}{uid} // '') ne '${datasource}' || !$_->{rawQuery} || $_->{format} !~ /^(?:table|time_series)$/ } @{ $_->{targets} } } @drawn), '', "$name: each is SQL for the data source that is chosen");
	is(join(', ', map { $_->{name} } grep { $_->{type} eq 'query' && !$_->{refresh} } @{ $board->{templating}{list} }), '', "$name: what there is to choose is looked up");
}
my %provided = map { $_ => CPAN::Meta::YAML->read("$directory/provisioning/$_/model_mgr.yaml")->[0] } qw(datasources dashboards);
is("$provided{$_}{apiVersion} " . @{ $provided{$_}{ { datasources => 'datasources', dashboards => 'providers' }->{$_} } }, '1 1', "provisioning: $_") for sort keys %provided;
is($provided{datasources}{datasources}[0]{type}, 'postgres', 'provisioning: a data source of PostgreSQL');
is($provided{dashboards}{providers}[0]{type}, 'file', 'provisioning: dashboards from files');

my $now = 1772366400;    # 2026-03-01 12:00:00 UTC
my $odd = q{o'clf "x" ${y} \ <script> größe};
utf8::encode($odd);
my $node = new_node('grafana', conf => "model_mgr.enforcement = off\nTimeZone = 'UTC'\njit = off\n");
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET model_mgr.clock = '2026-03-01 12:00:00+00'});
# The commands of the page: the role, and the files into a place like Grafana's.
my ($role, $install) = doc_block('docs/grafana.md');
$role =~ s/psql -d mydb/psql -X -q -d "dbname=postgres host=@{[$node->host]} port=@{[$node->port]}"/;
is(system("{ $role } >/dev/null"), 0, 'the role of the page is made');
my $etc = PostgreSQL::Test::Utils::tempdir();
$install =~ s{ /(etc|var)/}{ $etc/$1/}g;
is(system("mkdir -p $etc/etc/grafana/provisioning/datasources $etc/etc/grafana/provisioning/dashboards && cd $ENV{TESTDIR} && set -e && { $install }"), 0, 'the files go where the page says');
is(join(' ', sort map { s{.*/}{}r } glob "$etc/var/lib/grafana/dashboards/model_mgr/*"), join(' ', map { "$_.json" } sort keys %dashboard), 'all dashboards');
like(slurp_file("$etc/etc/grafana/provisioning/dashboards/model_mgr.yaml"), qr{path: /var/lib/grafana/dashboards/model_mgr$}m, 'where the provider looks for them');
# run: what a query says, as the reader: (error, rows, [name, type] of each column).
sub run
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "$sql\n\\gdesc\nSELECT 'rows', count(*) FROM ($sql) rows_of_it", extra_params => [ '-U', 'grafana', '-F', "\t" ]);
	my @lines = map { [ split /\t/ ] } split /\n/, $out;
	my $rows = @lines ? pop(@lines)->[1] : undef;
	return ($err, $rows, @lines);
}
# everything: each query of each dashboard over (hours before now, now].
sub everything
{
	my ($hours, $interval, $code) = @_;
	for my $name (sort keys %dashboard)
	{
		for my $query (queries($dashboard{$name}))
		{
			$code->("$name, $query->{what}", $query, expand($query->{sql}, from => $now - $hours * 3600, to => $now, interval => $interval,
				variables => { model => $odd, version => [ '1', '2' ], test => $odd }));
		}
	}
}
my $seconds = qr/^(?:timestamp with time zone|numeric|double precision|bigint)$/;
# wrong: what a panel could not draw.
sub wrong
{
	my ($query, @columns) = @_;
	my %type = map { $_->[0] => $_->[1] } @columns;
	return 'two columns of one name' if keys %type < @columns;
	return join ', ', grep { !/^(?:text|bigint|integer|double precision|numeric|boolean|timestamp with time zone)$/ } values %type if grep { !/^(?:text|bigint|integer|double precision|numeric|boolean|timestamp with time zone)$/ } values %type;
	return '' if $query->{format} eq 'table';
	return @columns == 1 && $columns[0][1] eq 'text' ? '' : 'a variable is one column of text' if $query->{format} eq 'variable';
	return $columns[0][0] eq 'time' && $columns[0][1] eq 'timestamp with time zone' && ($type{text} // '') eq 'text' ? '' : 'an annotation has time and text' if $query->{format} eq 'annotation';
	return 'the first column is the time' unless $columns[0][0] eq 'time' && $columns[0][1] =~ $seconds;
	my @labels = grep { $_->[1] eq 'text' } @columns;
	return 'one column of text, metric' if @labels > 1 || @labels && $labels[0][0] ne 'metric';
	my @values = grep { $_->[0] !~ /^(?:time|metric)$/ } @columns;
	return 'values are numbers' if !@values || grep { $_->[1] !~ /^(?:bigint|double precision|numeric)$/ } @values;
	return '';
}

# Empty: no error, the same columns, and no row but where counts and checks are shown.
my %columns;
everything(24, 60, sub {
	my ($what, $query, $sql) = @_;
	my ($err, $rows, @columns) = run($sql);
	is($err, '', "empty: $what");
	is(wrong($query, @columns), '', '... has the columns to draw it') if $err eq '';
	$columns{$what} = join ' ', map { "@$_" } @columns;
});

# Full: two days of outcomes of two models, a rollout under way, one that was rolled back, alerts that fire and that are over, a test that runs and one
# that has ended, looks, an update, custom metrics, costs and tokens; folded as the tick does.
my $model = $odd =~ s/'/''/gr;
$node->safe_psql('postgres', "SET client_min_messages = warning; SET model_mgr.clock = '2026-02-27 12:00:00+00'; " . qq{
	SELECT count(model_mgr.create_model_version(m, v, '{"provider": "test", "model_name": "m"}')) FROM unnest(ARRAY['$model', 'other']) m, unnest('{1,2}'::text[]) v;
	SELECT count(model_mgr.deploy_model_version(m, '1')) FROM unnest(ARRAY['$model', 'other']) m;
	SELECT test_id FROM model_mgr.create_test('$model', 'a test', '$model', '1', '$model', '2', min_sample_size_per_variant => 200);
	SELECT test_id FROM model_mgr.create_test('ended', 'a test', 'other', '1', 'other', '2');
	SET model_mgr.clock = '2026-03-01 06:00:00+00';
	SELECT model_mgr.stop_test('ended');
	SELECT count(model_mgr.deploy_model_version(m, '2', rollout => '{"min_requests": 1000}')) FROM unnest(ARRAY['$model', 'other']) m;
	SELECT model_mgr.rollback_model('other', reason => 'seen enough');
	SELECT model_mgr.trigger_update('other', '1');
	INSERT INTO model_mgr.observation (recorded_at, version_id, success, response_time, confidence, cost, input_tokens, output_tokens, error_type, metrics)
	SELECT '2026-03-01 12:00:00+00'::timestamptz - i * interval '97 s', v.version_id, i % 20 > 0, 0.1 * (i % 17), 0.8, 0.01, 100, 10, CASE WHEN i % 50 = 0 THEN 'timeout' END, '{"refunds": 1}'
	FROM generate_series(1, 1500) i, model_mgr.model_version v;
	SET model_mgr.clock = '2026-03-01 11:00:00+00';
	SELECT model_mgr.record_results('$model', jsonb_agg(jsonb_build_object('variant', x, 'success', i % 10 > 0, 'response_time', 0.2))) FROM unnest('{control,treatment}'::text[]) x, generate_series(1, 200) i;
	SELECT (model_mgr.analyze_test('$model')).status;
	SELECT model_mgr.set_thresholds(m, jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.999, '<', 'critical', 0))) FROM unnest(ARRAY['$model', 'other']) m;
	SELECT count(*) FROM model_mgr.tick();
	SET model_mgr.clock = '2026-03-01 12:00:00+00';
	SELECT count(*) FROM model_mgr.tick();
	SELECT count(model_mgr.update_model_metrics('$model', v, 0.3, true, 0.9, 0.02, 10, 20, metrics => '{"refunds": 2}')) FROM unnest('{1,2}'::text[]) v;
	SELECT count(*) FROM model_mgr.tick();
	ANALYZE;});
everything(@$_, sub {
	my ($what, $query, $sql) = @_;
	my ($err, $rows, @columns) = run($sql);
	is($err, '', "full: $what");
	cmp_ok($rows // 0, '>', 0, '... has something to show');
	is(join(' ', map { "@$_" } @columns), $columns{$what}, '... in the same columns');
}) for [ 24, 60 ], [ 24 * 60, 7200 ];

# Numbers: a panel says what the public functions say.
my %sql;
everything(24, 3600, sub { $sql{ $_[0] } = $_[2] });
my $trends = qq{SELECT extract(epoch FROM t."time") AS "time", v.version AS metric, t.value FROM model_mgr.model_version v, model_mgr.get_performance_trends(v.model_name, v.version, 24, 60) t
	WHERE v.model_name = '$model' AND t.samples > 0 AND t.metric_name = };
for my $pair ([ 'Success rate', 'success_rate' ], [ 'Error rate', 'error_rate' ], [ 'Cost per request', 'cost_per_request' ], [ 'Confidence', 'confidence_score' ])
{
	is($node->safe_psql('postgres', "SELECT count(*) || ' points, different: ' || count(*) FILTER (WHERE NOT coalesce(abs(g.value - t.value) < 1e-9, false)) FROM ($sql{\"model-mgr-model, panel $pair->[0]\"}) g
		FULL JOIN ($trends '$pair->[1]') t ON t.\"time\" = g.\"time\" AND t.metric = g.metric"), '48 points, different: 0', "$pair->[0] is $pair->[1]");
}
is($node->safe_psql('postgres', "SELECT count(*) || ' points, different: ' || count(*) FILTER (WHERE NOT coalesce(abs(g.value - t.value) < 1e-9, false)) FROM ($sql{'model-mgr-model, panel Response time'}) g
	FULL JOIN ($trends 'p95_response_time') t ON t.\"time\" = g.\"time\" AND t.metric || ' p95' = g.metric WHERE coalesce(g.metric, ' p95') LIKE '% p95'"), '48 points, different: 0', 'Response time p95 is p95_response_time');

# Plans: what could be read whole is read by an index with bounds. The planner prefers small tables whole, so it is asked not to.
everything(24, 60, sub {
	my ($what, $query, $sql) = @_;
	my $plan = $node->safe_psql('postgres', "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN (COSTS off) $sql");
	my @whole;
	my @lines = split /\n/, $plan;
	for my $i (0 .. $#lines)
	{
		next unless $lines[$i] =~ /(?:Seq|Index(?: Only)?) Scan (?:Backward )?(?:using \w+ )?on (rollup_(?:minute|hour)|rollup_metric_\w+|observation\w*|event|routing_history|deployment_event|audit_log|ab_test_look)\b/;
		push @whole, $lines[$i] if $lines[$i] =~ /Seq Scan/ || ($lines[ $i + 1 ] // '') !~ /Index Cond/;
	}
	is(join("\n", @whole), '', "plan: $what reads no history whole");
});
done_testing();
