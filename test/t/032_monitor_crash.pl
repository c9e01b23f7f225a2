# What the monitor knows survives kill -9 and goes on; ticks that are killed at any moment lose nothing and do nothing twice.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ModelMgr;
use ModelMgrMonitor;

my $node = new_node('killed', conf => "synchronous_commit = on\nrestart_after_crash = off\n");
my $cursor = watched($node);
my $state = table_checksums($node, 'postgres') . "\n" . watched_state($node, 'postgres', $cursor);

# A tick that was not committed never was.
my $tick = $node->background_psql('postgres', on_error_stop => 0);
$tick->query('BEGIN; ' . at(200, 'SELECT count(*) FROM model_mgr.tick();'));
$node->kill9;
$tick->{run}->kill_kill if $tick->{run};
poll_start($node);
is(table_checksums($node, 'postgres') . "\n" . watched_state($node, 'postgres', $cursor), $state, 'tables and readings are the same after kill -9 in a tick');
goes_on($node, 'postgres', $cursor, 'after kill -9');
finish($node);
