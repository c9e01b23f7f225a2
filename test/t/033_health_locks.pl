# health_check() names who holds a model's lock while others wait, sessions and prepared transactions, to a superuser and,
# as far as the server lets it be seen, to a reader.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;

my $node = new_node('locks', conf => "max_prepared_transactions = 2\n");
$node->safe_psql('postgres', serving('spam', '1', '2') . serving('other', '1')
	  . 'SELECT model_mgr.setup_roles(); CREATE ROLE looks LOGIN IN ROLE model_mgr_reader');

# check: "ok detail" of a check, as a role; numbers of processes and times as signs.
sub check
{
	my ($name, $role) = @_;
	my $row = $node->safe_psql('postgres', "SELECT ok, detail FROM model_mgr.health_check() WHERE check_name = '$name'",
		extra_params => $role ? [ '-U', $role ] : []);
	$row =~ s/process \d+/process P/g;
	$row =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/T/g;
	$row =~ s/\([^()]*\)/(...)/g if $role;
	return $row;
}
# waits: until somebody has waited for a model's lock for longer than health_check() takes for usual.
sub waits
{
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'userlock' AND NOT granted
		AND waitstart < clock_timestamp() - interval '10.5 s'}) or die 'nobody waits';
}

# Locks that any role may take hold nothing up, whatever their keys are.
my $stranger = $node->background_psql('postgres', extra_params => [ '-U', 'looks' ]);
is($stranger->query(q{SELECT count(*) FROM (SELECT pg_advisory_lock_shared(a.key, n), pg_advisory_lock_shared(((a.key::bigint << 32) | (n::bigint & 4294967295)))
	FROM generate_series(-10, 100) n, LATERAL (VALUES (1835886450 # (n >> 31))) a (key)) l}), 111, 'a stranger takes every advisory lock that could be meant');
is( $node->psql('postgres', "SET lock_timeout = '1s'; SELECT model_mgr.set_alias('spam', 'stable_one', '1'); SELECT length(model_mgr.seal_audit());"
		. " SELECT model_mgr.trigger_update('spam', '2', when_busy => 'fail'); SELECT task FROM model_mgr.tick(); SELECT model_mgr.cancel_update('upd-1', 'a test')"),
	0, 'and keeps nobody from a model, the log, or an update');
is($node->safe_psql('postgres', 'SELECT bool_and(sealed) FROM model_mgr.audit_list WHERE operation = \'set_alias\''), 't', 'nor the tick from sealing');
$stranger->quit;

my $alias = "SELECT model_mgr.set_alias('spam', 'champion', '1');";
my $holder = $node->background_psql('postgres');
$holder->query("SET application_name = 'release script'; BEGIN; $alias");
is(check('model_locks'), 't|held: 1, none for long', 'a lock that has just been taken is nobody\'s business');
my ($out, $err) = ('', '');
my $waiter = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=impatient', '-c', $alias ], '>', \$out, '2>', \$err);
waits();
like(check('model_locks'), qr/^f\|model "spam" is waited for by process P \(\S+, impatient, active\) since T$/, 'who waits for long');
like(check('model_locks', 'looks'), qr/^f\|model "spam" is waited for by process P/, 'a reader sees that too');
is( $node->safe_psql('postgres', q{SELECT what, granted, application_name, state, since IS NOT NULL FROM model_mgr.model_lock_list ORDER BY granted DESC}),
	"model \"spam\"|t|release script|idle in transaction|t\nmodel \"spam\"|f|impatient|active|t", 'model_lock_list names holder and waiter');
is($node->safe_psql('postgres', q{SELECT what, granted, state, since IS NOT NULL FROM model_mgr.model_lock_list ORDER BY granted DESC}, extra_params => [ '-U', 'looks' ]),
	"model \"spam\"|t||f\nmodel \"spam\"|f||t", 'of which a reader sees what the server shows');
like(check('transactions', 'looks'), qr/^t\|no writing transaction is older than ten minutes; those of others that cannot be seen: [12]$/,
	'a reader is told of writing transactions whose age the server does not show');
is(check('transactions'), 't|no writing transaction is older than ten minutes', 'a superuser sees them all');
$holder->query_safe('COMMIT;');
IPC::Run::finish($waiter);
is($err, '', 'then the other gets its turn');
is(check('model_locks'), 't|held: 0, none for long', 'all is well again');

# A prepared transaction that its client has forgotten holds the lock across sessions.
$holder->query_safe("BEGIN; $alias PREPARE TRANSACTION 'forgotten';");
$holder->quit;
is( $node->safe_psql('postgres', q{SELECT what, granted, pid IS NULL, prepared, since IS NOT NULL FROM model_mgr.model_lock_list}, extra_params => [ '-U', 'looks' ]),
	'model "spam"|t|t|forgotten|t', 'a prepared transaction is named, to a reader too');
like($node->safe_psql('postgres', "SELECT detail FROM model_mgr.health_check() WHERE check_name = 'enforcement'"), qr/max_prepared_transactions is 2/,
	'what prepared transactions mean for enforcement is said');
if (soak())
{
	$node->poll_query_until('postgres', "SELECT prepared < clock_timestamp() - interval '61 s' FROM pg_prepared_xacts");
	is(check('model_locks'), 'f|model "spam" is held by prepared transaction "forgotten" since T', 'after a minute it is told');
	my $writer = $node->background_psql('postgres');
	$writer->query('BEGIN; CREATE TABLE public.long (n integer);');
	sleep 601;
	like(check('transactions'), qr/^f\|prepared transaction "forgotten" \(postgres, \S+\) writes since T; process P \(postgres, .*idle in transaction\) writes since T$/, 'after ten so are all that hold events back');
	$writer->quit;
}
$node->safe_psql('postgres', "ROLLBACK PREPARED 'forgotten'");
is(check('model_locks'), 't|held: 0, none for long', 'rolled back');
finish($node);
