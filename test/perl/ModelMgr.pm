# ModelMgr: what the cluster tests share: clusters with the extension, a clock of one's own, the sums that must agree.
package ModelMgr;

use strict;
use warnings;
use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node settings at soak serving canary serve routes totals_agree table_checksums error_of load poll_under_load poll_start poll_restart doc_block finish);

# soak: true in the long forms.
sub soak { return $ENV{MODEL_MGR_SOAK} ? 1 : 0; }

# settings: what every cluster of the tests runs with. No statement log: it would be most of the load.
sub settings
{
	return "log_statement = none\nautovacuum = off\nmax_connections = 40\nmax_prepared_transactions = 0\n";
}

# new_node: a running cluster with the extension in its database postgres. Options: those of init, and conf (text),
# extension => 0 leaves it out, start => 0 leaves it down.
sub new_node
{
	my ($name, %options) = @_;
	my $conf = delete $options{conf} // '';
	my $extension = delete $options{extension} // 1;
	my $start = delete $options{start} // 1;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%options);
	$node->append_conf('postgresql.conf', settings() . $conf);
	$node->start if $start;
	$node->safe_psql('postgres', 'CREATE EXTENSION model_mgr') if $start && $extension;
	return $node;
}

# at: the SQL with the extension's clock held at a time (minutes after the tests' epoch).
sub at
{
	my ($minutes, $sql) = @_;
	return "SET model_mgr.clock = '"
	  . sprintf('2026-03-01 %02d:%02d:00+00', int($minutes / 60), $minutes % 60) . "'; $sql";
}

# serving: SQL that registers versions of a model and lets the first one serve.
sub serving
{
	my ($model, @versions) = @_;
	return join('', map { "SELECT version FROM model_mgr.create_model_version('$model', '$_', '{\"provider\": \"test\", \"model_name\": \"m\"}');\n" } @versions)
	  . "SELECT status FROM model_mgr.deploy_model_version('$model', '$versions[0]');\n";
}

# canary: model with version 1 active since minute 0 and version 2 rolled out by canary since minute 1, ten percent
# more every ten minutes, at least 20 outcomes a step.
sub canary
{
	my ($node, $model, %options) = @_;
	my $dbname = $options{dbname} // 'postgres';
	my $rollout = $options{rollout} // '{"min_requests": 20}';

	$node->safe_psql($dbname, at(0, serving($model, '1.0.0', '2.0.0')));
	return $node->safe_psql($dbname, at(1, qq{
		SELECT deployment_id FROM model_mgr.deploy_model_version('$model', '2.0.0', 'canary', rollout => '$rollout');}));
}

# routes: which version each of the units 1..n gets, as one text that is compared whole.
sub routes
{
	my ($node, $model, $n, $dbname) = @_;
	return $node->safe_psql($dbname // 'postgres', qq{
		SELECT count(*) || ' ' || count(DISTINCT v) || ' ' || md5(string_agg(coalesce(v, '-'), ',' ORDER BY i))
		FROM (SELECT i, model_mgr.route_version('$model', 'unit ' || i) v FROM generate_series(1, $n) i) r});
}

# totals_agree: the rollups with their tail say exactly what a plain GROUP BY of the observations says, in one snapshot:
# every row by minute and version, and rows that carry route()'s word also by rollout, step and arm (the others are
# attributed when folded).
our $totals_query = q{
	WITH plain AS (
		SELECT date_bin('1 minute', recorded_at - interval '1 microsecond', '2000-01-01') AS bucket, version_id,
			CASE WHEN arm IS NULL THEN 'any' ELSE concat_ws('/', deployment_id, step, arm) END AS side,
			count(*) FILTER (WHERE NOT feedback) AS requests, count(success) AS known,
			count(*) FILTER (WHERE success) AS successes, count(error_type) FILTER (WHERE NOT feedback) AS errors,
			count(response_time) AS times, sum(response_time::numeric) AS seconds
		FROM model_mgr.observation GROUP BY 1, 2, 3),
	rolled AS (
		SELECT bucket, version_id,
			CASE WHEN arm < 0 THEN 'any' ELSE concat_ws('/', deployment_id, step, arm) END AS side,
			sum(requests) AS requests, sum(known) AS known, sum(successes) AS successes, sum(errors) AS errors,
			sum(response_time_count) AS times, sum(response_time_sum::numeric) AS seconds
		FROM model_mgr.rollup_now GROUP BY 1, 2, 3)
	SELECT count(*) || coalesce(' ' || min(bucket || ' version ' || version_id || ' ' || side || ': ' || plain || rolled), '')
	FROM plain FULL JOIN rolled USING (bucket, version_id, side)
	WHERE (plain.requests, plain.known, plain.successes, plain.errors, plain.times, round(coalesce(plain.seconds, 0), 4))
		IS DISTINCT FROM
		(rolled.requests, rolled.known, rolled.successes, rolled.errors, rolled.times, round(rolled.seconds, 4))};

# history_query: the same of all that is kept, by hour and version: summaries and custom metrics too.
our $history_query = q{
	WITH loose AS (
		SELECT date_bin('1 hour', recorded_at - interval '1 microsecond', '2000-01-01') AS hour, version_id, NULL AS metric_name, response_time AS value,
			NOT feedback AS request FROM model_mgr.observation
		UNION ALL
		SELECT date_bin('1 hour', recorded_at - interval '1 microsecond', '2000-01-01'), version_id, e.key, e.value::text::float8, false
		FROM model_mgr.observation, jsonb_each(metrics) e),
	plain AS (
		SELECT hour, version_id, coalesce(metric_name, '') AS metric_name, count(*) FILTER (WHERE request) AS requests, count(value) AS n,
			sum(value) AS sum, model_mgr.summarize(value) AS s
		FROM loose GROUP BY 1, 2, 3),
	rolled AS (
		SELECT date_bin('1 hour', bucket, '2000-01-01') AS hour, version_id, '' AS metric_name, sum(requests)::bigint AS requests,
			sum(response_time_count)::bigint AS n, sum(response_time_sum) AS sum, model_mgr.merge(response_time) AS s
		FROM model_mgr.rollup_history GROUP BY 1, 2, 3
		UNION ALL
		SELECT date_bin('1 hour', bucket, '2000-01-01'), version_id, metric_name, 0, sum(count)::bigint, sum(sum), model_mgr.merge("values")
		FROM model_mgr.rollup_metric_history GROUP BY 1, 2, 3)
	SELECT count(*) || coalesce(' history ' || min(hour || ' version ' || version_id || ' ' || metric_name || ': ' || p::text || r::text), '')
	FROM plain p FULL JOIN rolled r USING (hour, version_id, metric_name)
	WHERE (p.requests, p.n, coalesce(model_mgr.summary_count(p.s), 0), model_mgr.summary_min(p.s), model_mgr.summary_max(p.s), model_mgr.summary_quantile(p.s, 0.5), model_mgr.summary_quantile(p.s, 0.99))
		IS DISTINCT FROM
		(r.requests, r.n, coalesce(model_mgr.summary_count(r.s), 0), model_mgr.summary_min(r.s), model_mgr.summary_max(r.s), model_mgr.summary_quantile(r.s, 0.5), model_mgr.summary_quantile(r.s, 0.99))
		OR abs(coalesce(p.sum, 0) - coalesce(r.sum, 0)) > 1e-9 * (1 + abs(coalesce(p.sum, 0)))
		OR abs(model_mgr.summary_sum(p.s) - model_mgr.summary_sum(r.s)) > 1e-9 * (1 + abs(model_mgr.summary_sum(p.s)))};

sub totals_agree
{
	my ($node, $name, $dbname) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->safe_psql($dbname // 'postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; $totals_query; $history_query; COMMIT;"), "0\n0", $name);
}

# table_checksums: one line a table of the schema (partitions are read through their parents): rows and a checksum of
# their contents. Tables that a restore rightly changes may be left out.
sub table_checksums
{
	my ($node, $dbname, %options) = @_;
	my %leave = map { $_ => 1 } @{ $options{without} // [] };
	my @tables = grep { !$leave{$_} } split /\n/, $node->safe_psql($dbname, q{
		SELECT relname FROM pg_class WHERE relnamespace = 'model_mgr'::regnamespace AND relkind IN ('r', 'p')
		AND NOT relispartition ORDER BY 1});
	my $sql = join ' UNION ALL ',
	  map { "SELECT '$_ ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM model_mgr.$_ t" }
	  @tables;
	return join "\n", sort split /\n/, $node->safe_psql($dbname, $sql);
}

# serve: units first..last of a model are routed, and their outcomes recorded, at the session's "now".
sub serve
{
	my ($model, $first, $last, $success) = @_;
	$success //= 'true';
	return qq{SELECT count(*) FROM (SELECT model_mgr.record_outcome(r.decision, $success, 0.25)
		FROM generate_series($first, $last) i, LATERAL model_mgr.route('$model', 'unit ' || i) r OFFSET 0) o;};
}

# load: pgbench in the background, with these options (-T among them) on the database postgres.
sub load
{
	my ($node, @options) = @_;
	my $load = { command => [ 'pgbench', '-n', @options, '-h', $node->host, '-p', $node->port, 'postgres' ], out => '', err => '' };
	$load->{run} = IPC::Run::start($load->{command}, '>>', \$load->{out}, '2>>', \$load->{err});
	return $load;
}

# poll_under_load: waits until a query says true. A load whose time is up before, as on a slow machine, begins again.
sub poll_under_load
{
	my ($node, $query, @loads) = @_;
	for my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $node->safe_psql('postgres', $query) eq 't';
		for my $load (@loads)
		{
			eval { $load->{run}->pump_nb; };
			next if $load->{run}->pumpable;
			$load->{run}->finish;
			$load->{run} = IPC::Run::start($load->{command}, '>>', \$load->{out}, '2>>', \$load->{err});
		}
		select undef, undef, undef, 0.1;
	}
	return 0;
}

# poll_start: starts a cluster whose postmaster was killed, as soon as its orphans have let go of it.
sub poll_start
{
	my ($node) = @_;
	for my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		forget_zombie($node);
		return 1 if $node->start(fail_ok => 1);
		select undef, undef, undef, 0.1;
		$node->stop('fast', fail_ok => 1);
	}
	return $node->start;
}

# poll_restart: waits until a server that restarts after a crash of a backend takes connections. A psql that is turned
# away before it has read its statement would end the test by a broken pipe; pg_isready reads none.
sub poll_restart
{
	my ($node) = @_;
	for my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if system('pg_isready', '--quiet', '--host', $node->host, '--port', $node->port) == 0;
		select undef, undef, undef, 0.1;
	}
	return 0;
}

# forget_zombie: where nobody collects orphans (a container whose first process is no init) a killed postmaster stays as
# a zombie, and its lock file would keep the next one from starting for ever.
sub forget_zombie
{
	my ($node) = @_;
	my $lock = $node->data_dir . '/postmaster.pid';
	return unless -e $lock;
	my ($pid) = slurp_file($lock) =~ /^(\d+)/;
	return unless $pid && -e "/proc/$pid/stat" && slurp_file("/proc/$pid/stat") =~ /\) Z /;
	unlink $lock, $node->host . "/.s.PGSQL." . $node->port . ".lock";
	$node->_update_pid(-1);
}

# error_of: the SQLSTATE that a statement ends with, '' when it succeeds.
sub error_of
{
	my ($node, $sql, %options) = @_;
	my $dbname = delete $options{dbname} // 'postgres';
	my ($status, $out, $err) = $node->psql($dbname, $sql,
		extra_params => [ '-v', 'VERBOSITY=verbose', @{ $options{extra_params} // [] } ], on_error_stop => 1);
	return $1 if $err =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5}):/;
	return $status == 0 ? '' : $err;
}

# doc_block: the text of the blocks of a page that are marked for the calling test, which runs them as they stand there
# (scripts/check_docs.py asks for this call). The nth of them (from 0), or all as a list.
sub doc_block
{
	my ($page, $n) = @_;
	my $test = (caller)[1] =~ s{.*/([^/]+/[^/]+)$}{$1}r;
	my @blocks = slurp_file(dirname(__FILE__) . "/../$page") =~ /^```\w+ test\/\Q$test\E\n(.*?)^```$/msg;
	die "$page has no block for test/$test" unless @blocks;
	return defined $n ? $blocks[$n] : @blocks;
}

# finish: stops the clusters and looks into their logs for what no test asks for: crashes, leaks, and work that failed
# where nobody waits for it (a tick's pieces, evaluations at commit).
sub finish
{
	my (@nodes) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $node (@nodes)
	{
		$node->stop('fast', fail_ok => 1);
		my @trouble = grep { !/out of time/ }
		  slurp_file($node->logfile) =~ /^(.*(?:PANIC: |TRAP: |was terminated by signal|leak|still referenced|could not evaluate|WARNING:  .* failed: ).*)$/mg;
		is(join("\n", @trouble), '', 'nothing in the log of ' . $node->name);
	}
	done_testing();
}

1;
