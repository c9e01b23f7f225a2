# Behind pgbouncer with transaction pooling: every client sees a routing change at its next statement, whichever server
# connection it gets, and no state of a session is needed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

plan skip_all => 'pgbouncer is not installed' unless grep { -x "$_/pgbouncer" } split /:/, $ENV{PATH};

my $node = new_node('pooled');
my $deployment = canary($node, 'spam');
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$dir/users.txt", '"' . getpwuid($<) . "\" \"\"\n");
append_to_file("$dir/pgbouncer.ini", join "\n",
	'[databases]', 'postgres = host=' . $node->host . ' port=' . $node->port . ' dbname=postgres',
	'[pgbouncer]', 'pool_mode = transaction', 'default_pool_size = 3', 'max_client_conn = 50', 'auth_type = trust',
	"auth_file = $dir/users.txt", "unix_socket_dir = $dir", 'listen_addr =', "listen_port = $port",
	"logfile = $dir/log", "pidfile = $dir/pid", '');
my ($out, $err) = ('', '');
my $pooler = IPC::Run::start([ 'pgbouncer', '-q', "$dir/pgbouncer.ini" ], '>', \$out, '2>', \$err);
# A test that dies takes its pooler along.
END { my $status = $?; $pooler->kill_kill if $pooler && $pooler->pumpable; $? = $status; }
my $connstr = "host=$dir port=$port dbname=postgres";
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if -S "$dir/.s.PGSQL.$port";
	select undef, undef, undef, 0.1;
}

# The last -d counts.
my @clients = map { $node->background_psql('postgres', extra_params => [ '-d', $connstr ]) } 1 .. 9;
my $count = "SELECT count(*) FROM generate_series(1, 1000) i WHERE model_mgr.route_version('spam', 'unit ' || i) = '2.0.0';";

# agree: all clients, and a direct session, give one answer; it is returned.
sub agree
{
	my ($name) = @_;
	my %answers = map { scalar $_->query($count) => 1 } @clients;
	my $direct = $node->safe_psql('postgres', $count);
	is(join(' ', keys %answers), $direct, "$name: nine clients and a direct session agree");
	return $direct;
}

my $ten = agree('at the first step');
my %servers = map { scalar $_->query('BEGIN; SELECT pg_backend_pid(); COMMIT;') => 1 } @clients;
cmp_ok(scalar keys %servers, '<=', 3, 'nine clients share at most three servers');

# All three servers hold the model in their caches: three transactions at once.
$_->query("BEGIN; $count") for @clients[ 0 .. 2 ];
$node->safe_psql('postgres', at(2, "SELECT step FROM model_mgr.promote_deployment($deployment)"));
for my $client (@clients[ 0 .. 2 ])
{
	cmp_ok($client->query($count), '>', $ten, 'a change is seen by the next statement of an open transaction');
	$client->query('COMMIT;');
}
agree('after a step');

# Recording through the pooler: decision made on one server connection, outcome recorded on any other.
my @decisions = map { scalar $clients[ $_ % 9 ]->query("SELECT decision FROM model_mgr.route('spam', 'unit $_');") } 1 .. 60;
$clients[ ($_ + 4) % 9 ]->query("SELECT model_mgr.record_outcome('$decisions[$_]', true, 0.1);") for 0 .. 59;
is($node->safe_psql('postgres', 'SELECT sum(requests), count(DISTINCT deployment_id) FROM model_mgr.rollup_now'),
	'60|1', 'all outcomes count for the rollout');
totals_agree($node, 'rollups agree with the observations');

# DISCARD ALL, the usual reset query, takes nothing that is needed.
$_->query('DISCARD ALL;') for @clients;
agree('after DISCARD ALL');
$clients[0]->query("SELECT model_mgr.rollback_model('spam', reason => 'through the pooler');");
is(agree('after a rollback through the pooler'), '0', 'nobody is routed to the version taken back');
is(join(' ', map { scalar $_->query("SELECT count(*) FROM pg_locks WHERE locktype IN ('advisory', 'userlock');") } @clients[ 0 .. 2 ]),
	'0 0 0', 'no session lock stays on a server connection');
$_->quit for @clients;
$pooler->signal('INT');
IPC::Run::finish($pooler);
finish($node);
