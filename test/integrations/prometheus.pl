# Both exporters of Debian against a live database, as docs/prometheus.md starts them and as a role that may only look; what they tell is what the
# views say, promtool finds nothing to complain about, and a Prometheus with the shipped configuration makes the same metrics of both and
# evaluates the rules.
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use ModelMgr;

my @programs = qw(prometheus-postgres-exporter prometheus-sql-exporter prometheus promtool curl);
for my $program (@programs)
{
	plan skip_all => "$program is not installed" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}
my $files = "$ENV{TESTDIR}/dashboards/prometheus";
my $dir = PostgreSQL::Test::Utils::tempdir();
my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(postgres sql prometheus);
my %started;
END
{
	my $status = $?;
	for (values %started) { $_->kill_kill if $_->pumpable; }
	$? = $status;
}

# blocks: the shell blocks of the page.
my @blocks = doc_block('docs/prometheus.md');
is(@blocks, 4, 'the page has its commands');
my ($role, $postgres_exporter, $sql_exporter, $promtool) = @blocks;

# run_block: a block of the page as it stands, in the tree that it speaks of.
sub run_block { my ($text) = @_; my $out = `cd $ENV{TESTDIR} && { $text } 2>&1`; return ($? >> 8, $out); }
# start: the program of a block, with the environment that stands before it.
sub start
{
	my ($name, $line, @more) = @_;
	my $log = "$dir/$name.log";
	$started{$name} = IPC::Run::start([ 'sh', '-c', "cd $ENV{TESTDIR} && exec env $line @more" ], '>', $log, '2>&1');
	return $log;
}
# fetch: an address, asked until it answers and the answer will do.
sub fetch
{
	my ($url, $enough) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $text = `curl -sf '$url'`;
		return $text if $? == 0 && $text =~ $enough;
		select undef, undef, undef, 0.1;
	}
	return '';
}
# samples: {'name{labels}' => value} of an exposition, label by label in order.
sub samples
{
	my ($text, $pattern) = @_;
	my %found;
	while ($text =~ /^($pattern)\{(.*)\} (\S+)$/mg)
	{
		my ($name, $labels, $value) = ($1, $2, $3);
		my %label;
		$label{$1} = $2 while $labels =~ /(\w+)="((?:[^"\\]|\\.)*)"/g;
		$name = "$1_" . delete $label{col} if $name =~ /^sql_(.*)/ && defined $label{col};
		delete @label{qw(server driver host database user sql_job)};
		my $key = "$name\{" . join(',', map { "$_=$label{$_}" } grep { $label{$_} ne '' } sort keys %label) . '}';
		BAIL_OUT("$key comes twice") if exists $found{$key};
		$found{$key} = $value;
	}
	return \%found;
}

my $node = new_node('prometheus', conf => "model_mgr.enforcement = off\nclient_min_messages = warning\n");
my $connstr = 'user=metrics dbname=postgres host=' . $node->host . ' port=' . $node->port . ' sslmode=disable';
$role =~ s/psql -d mydb/psql -X -q -d "dbname=postgres host=@{[$node->host]} port=@{[$node->port]}"/;
my ($status, $out) = run_block($role);
is($status, 0, 'the role of the page is made') or diag $out;
is($node->safe_psql('postgres', q{SELECT rolsuper, (SELECT string_agg(g.rolname, ' ') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid) FROM pg_roles r WHERE rolname = 'metrics'}),
	'f|model_mgr_reader', 'and may do no more than look');
($status, $out) = run_block($promtool);
is($status, 0, 'promtool: rules, their tests, configuration') or diag $out;
unlike($out, qr/FAILED/, 'none failed');

# The exporters as the page starts them.
$postgres_exporter =~ s/"user=metrics [^"]*"/"$connstr"/ or BAIL_OUT('the page names the connection');
chomp $postgres_exporter;
start('postgres', $postgres_exporter, "--web.listen-address=127.0.0.1:$port{postgres}");
my $config = slurp_file("$files/sql_exporter.yaml");
my ($host, $at) = ($node->host, $node->port);
$config =~ s{postgres://metrics\@localhost:5432/mydb\?sslmode=prefer}{postgres://metrics@/postgres?host=$host&port=$at&sslmode=disable} or BAIL_OUT('the file names the connection');
$config =~ s/interval: "30s"/interval: "1s"/;
append_to_file("$dir/sql_exporter.yaml", $config);
$sql_exporter =~ s{CONFIG=\S+}{CONFIG=$dir/sql_exporter.yaml} or BAIL_OUT('the page names the file');
chomp $sql_exporter;
start('sql', $sql_exporter, "-web.listen-address=127.0.0.1:$port{sql}");
my %url = map { $_ => "http://127.0.0.1:$port{$_}/metrics" } qw(postgres sql);

# An empty database: healthy, and no row to complain about.
for my $exporter (qw(postgres sql))
{
	my $text = fetch($url{$exporter}, qr/model_mgr_health/);
	like($text, qr/^(?:sql_model_mgr_health|model_mgr_health_ok)\{.*check_name="version".*\} 1$/m, "$exporter exporter: an empty database is healthy");
	is_deeply([ grep { !/health/ } keys %{ samples($text, '(?:sql_)?model_mgr\w*') } ], [], "$exporter exporter: and has nothing else to tell");
}

# Odd names, a rollout, a test, alerts, a rollback.
$node->safe_psql('postgres', q{
	CREATE TEMP TABLE odd AS SELECT n FROM unnest(ARRAY['plain', 'o''clf "x"', 'back\slash', '<script>', 'größe 模型']) n;
	SELECT count(model_mgr.create_model_version(n, v, '{"provider": "test", "model_name": "m"}')) FROM odd, unnest('{1,2}'::text[]) v;
	SELECT count(model_mgr.deploy_model_version(n, v)) FROM odd, unnest('{1,2}'::text[]) v;
	SELECT count(model_mgr.set_thresholds(n, jsonb_build_array(model_mgr.performance_threshold('success_rate', 0.99, '<', 'critical', 0)))) FROM odd WHERE n <> 'plain';
	SELECT count(*) FROM (SELECT model_mgr.update_model_metrics(n, v, 0.1 * i, i % 10 > 0, 0.5, 0.01) FROM odd, unnest('{1,2}'::text[]) v, generate_series(1, 20) i OFFSET 0) o;
	SELECT test_id FROM model_mgr.create_test('t "1"', 'a test', 'plain', '1', 'plain', '2');
	SELECT model_mgr.record_results('t "1"', jsonb_agg(jsonb_build_object('variant', v, 'success', i % 4 > 0))) FROM unnest('{control,treatment}'::text[]) v, generate_series(1, 50) i;
	SELECT model_mgr.rollback_model('<script>', reason => 'seen enough');
	SELECT count(*) FROM model_mgr.tick();});
# truth: what the views say, in the exporters' terms.
sub truth
{
	my ($name, $view, $labels, $values) = @_;
	my $sql = "SELECT jsonb_agg(jsonb_build_object('labels', jsonb_build_object(" . join(', ', map { "'$_', $_" } @$labels) . "), 'values', jsonb_build_object("
	  . join(', ', map { "'$_', $_" } @$values) . "))) FROM model_mgr.$view";
	my %found;
	for my $row (@{ decode_json($node->safe_psql('postgres', $sql)) })
	{
		my $labels = join ',', map { my $v = $row->{labels}{$_}; $v =~ s/([\\"])/\\$1/g; utf8::encode($v); "$_=$v" } grep { $row->{labels}{$_} ne '' } sort keys %{ $row->{labels} };
		$found{"${name}_$_\{$labels}"} = $row->{values}{$_} // 'NaN' for keys %{ $row->{values} };
	}
	return %found;
}
my %truth = (
	truth('model_mgr_model', 'prom_model', [qw(model_name version)], [qw(traffic_ratio window_requests window_outcomes success_ratio error_ratio response_time_seconds response_time_p95_seconds confidence_ratio cost_per_request input_tokens_per_request)]),
	truth('model_mgr', 'prom_deployment', ['model_name'], [qw(deployments_total rollbacks_total)]),
	truth('model_mgr_deployment', 'prom_deployment WHERE open = 1', [qw(model_name version baseline_version strategy deployment_id)], [qw(open paused step steps step_samples failing_limits traffic_ratio step_started_timestamp_seconds)]),
	truth('model_mgr_ab_test', 'prom_ab_test', [qw(test_id variant model_name version metric_name)], [qw(running winner samples mean difference anytime_ci_low)]),
	truth('model_mgr_alert', 'prom_alert', [qw(alert_id model_name version metric_name kind severity deployment_id)], [qw(firing silenced value threshold)]));
cmp_ok(scalar(keys %truth), '>', 150, 'there is something to tell');
for my $exporter (qw(postgres sql))
{
	# An exporter asks query by query, some of them perhaps before the last alert was told: its next round is whole.
	my ($text, @wrong);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$text = fetch($url{$exporter}, qr/model_mgr_alert.*firing/);
		my $told = samples($text, '(?:sql_)?model_mgr\w*');
		@wrong = map { "$_ is " . ($told->{$_} // 'missing') . ", not $truth{$_}" }
		  grep { !defined $told->{$_} || ($truth{$_} eq 'NaN' ? $told->{$_} ne 'NaN' : $told->{$_} eq 'NaN' || abs($told->{$_} - $truth{$_}) > 1e-6 * abs($truth{$_})) } sort keys %truth;
		last unless @wrong;
		select undef, undef, undef, 0.1;
	}
	is(join("\n", @wrong), '', "$exporter exporter tells what the views say");
	# Its own metrics are its own affair.
	my $ours = join "\n", grep { /^(?:# (?:HELP|TYPE) )?(?:sql_)?model_mgr/ } split /\n/, $text;
	append_to_file("$dir/$exporter.metrics", "$ours\n");
	my $lint = `promtool check metrics < $dir/$exporter.metrics 2>&1`;
	is($lint, '', "promtool finds nothing to complain about in what $exporter exporter tells");
	unlike(slurp_file("$dir/$exporter.log"), qr/level=(?:error|warn)/i, "$exporter exporter has no error in its log");
}

# Prometheus, with the shipped files but for addresses and pace.
my $scrape = slurp_file("$files/prometheus.yaml");
$scrape =~ s/localhost:9187/127.0.0.1:$port{postgres}/ && $scrape =~ s/localhost:9237/127.0.0.1:$port{sql}/ && $scrape =~ s/30s/1s/g or BAIL_OUT('the configuration has changed');
mkdir "$dir/prometheus";
append_to_file("$dir/prometheus/prometheus.yaml", $scrape);
append_to_file("$dir/prometheus/rules.yaml", slurp_file("$files/rules.yaml"));
start('prometheus', "prometheus --config.file=$dir/prometheus/prometheus.yaml --storage.tsdb.path=$dir/prometheus/data --web.listen-address=127.0.0.1:$port{prometheus}");
sub ask
{
	my ($query, $enough) = @_;
	$query =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;
	my $answer = fetch("http://127.0.0.1:$port{prometheus}/api/v1/query?query=$query", $enough);
	return $answer eq '' ? [] : decode_json($answer)->{data}{result};
}
for my $metric (qw(model_mgr_model_success_ratio model_mgr_rollbacks_total model_mgr_deployment_traffic_ratio model_mgr_ab_test_samples model_mgr_alert_firing model_mgr_version_info))
{
	my $series = ask($metric, qr/sql_exporter.*"job":"model_mgr"|"job":"model_mgr".*sql_exporter/s);
	my %by_job;
	for my $one (@$series)
	{
		my %label = %{ $one->{metric} };
		my $job = delete $label{job};
		delete @label{qw(instance server database)};
		$by_job{$job}{ join ',', map { "$_=$label{$_}" } sort keys %label } = $one->{value}[1];
	}
	cmp_ok(scalar(keys %{ $by_job{model_mgr} // {} }), '>', 0, "$metric arrives");
	is_deeply($by_job{model_mgr_sql_exporter}, $by_job{model_mgr}, '... the same from both, by name, labels and value');
}
my $alerts = ask('ALERTS{alertname="ModelAlert", alertstate="firing", job="model_mgr"}', qr/ModelAlert/);
is(join(', ', sort map { "$_->{metric}{model_name} $_->{metric}{severity}" } @$alerts),
	join(', ', sort split /\n/, $node->safe_psql('postgres', q{SELECT model_name || ' ' || severity FROM model_mgr.prom_alert WHERE firing = 1}) =~ s/([^\x00-\x7f]+)/my $t = $1; utf8::decode($t); $t/ger),
	'what fires in the database fires in Prometheus');
my $rules = decode_json(fetch("http://127.0.0.1:$port{prometheus}/api/v1/rules", qr/\A(?!.*"health":"unknown").*"lastEvaluation"/s));
is(join(', ', map { "$_->{name}: $_->{health} " . ($_->{lastError} // '') } grep { $_->{health} ne 'ok' } map { @{ $_->{rules} } } @{ $rules->{data}{groups} }), '', 'every rule is evaluated');

# What is over goes: no alert stays behind in either exporter.
$node->safe_psql('postgres', q{SELECT sum(model_mgr.set_thresholds(model_name, '[]')) FROM model_mgr.model});
is($node->safe_psql('postgres', q{SELECT count(*) FROM model_mgr.prom_alert WHERE kind = 'threshold'}), '0', 'no alert of a threshold is open');
for my $exporter (qw(postgres sql))
{
	my $text = fetch($url{$exporter}, qr/\A(?!.*model_mgr_alert\w*\{[^}\n]*kind="threshold")/s);
	is_deeply([ grep { /_alert_.*kind=threshold/ } keys %{ samples($text, '(?:sql_)?model_mgr\w*') } ], [], "$exporter exporter tells of none");
}
done_testing();
