# The pipelines of ci/, as far as psql goes: the commands are taken from the two files as they stand there and run by a
# shell with the variables that the service would set; what passes ends with 0, what must not go on with psql's 3.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CPAN::Meta::YAML;
use Cwd;
use File::Basename;
use ModelMgr;

my $top = Cwd::abs_path(dirname(__FILE__) . '/..');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('pipeline', conf => "model_mgr.enforcement = off\n");
$node->safe_psql('postgres', 'SELECT model_mgr.setup_roles(); CREATE ROLE "the pipeline" LOGIN IN ROLE model_mgr_operator');

# commands: the lines of a file that call psql, by the script that they run.
sub commands
{
	my ($file) = @_;
	my %commands;
	for (split /\n/, slurp_file("$top/ci/$file")) { $commands{$2} = $1 if /(psql .*-f ci\/(\w+)\.sql)/; }
	return \%commands;
}
my %services = (github => commands('github-actions.yml'), gitlab => commands('gitlab-ci.yml'));
# run_step: one step of a service's pipeline; its exit code.
my $said;
sub run_step
{
	my ($service, $step, %variables) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PGUSER => 'the pipeline', %variables);
	my ($out, $err) = ('', '');
	my $command = $services{$service}{$step};
	IPC::Run::run([ 'sh', '-c', "cd '$dir' && $command" ], '>', \$out, '2>', \$err);
	$said = $err;
	return $? >> 8;
}
is_deeply([ sort keys %{ $services{$_} } ], [ 'deploy', 'gate', 'register' ], "$_ has all steps") for sort keys %services;
# They are YAML, in which these are the commands: by the parser that Perl has, and by a stricter one where it is installed.
my $github = CPAN::Meta::YAML->read("$top/ci/github-actions.yml")->[0];
my $gitlab = CPAN::Meta::YAML->read("$top/ci/gitlab-ci.yml")->[0];
my @run = map { $_->{run} // () } @{ $github->{jobs}{release}{steps} };
for my $step ('register', 'deploy', 'gate')
{
	is(scalar(grep { $_ eq $services{github}{$step} } @run), 1, "github: $step is a step");
	is_deeply($gitlab->{$step}{script}, [ $services{gitlab}{$step} ], "gitlab: $step is a job");
}
SKIP:
{
	skip 'python3-yaml is not installed', 2 if system('python3 -c "import yaml" 2>/dev/null');
	for my $file ('github-actions.yml', 'gitlab-ci.yml')
	{
		my $read = system('python3', '-c', 'import sys, yaml; sys.exit(not isinstance(yaml.safe_load(open(sys.argv[1], encoding="utf-8")), dict))', "$top/ci/$file");
		is($read, 0, "$file is read by python3-yaml");
	}
}
symlink "$top/ci", "$dir/ci" or die;
# configure: what the repository of the model holds.
sub configure { unlink "$dir/model.json"; append_to_file("$dir/model.json", $_[0]); }

for my $service (sort keys %services)
{
	my %first = (MODEL => "$service 'spam'", VERSION => '1.0.0', BY => "o'hara", KEY => "$service-1");
	my %next = (%first, VERSION => '1.1.0', KEY => "$service-2");
	configure('{"provider": "test", "model_name": "a \"b\" $HOME \'c\'"}');
	is(run_step($service, $_, %first), 0, "$service: $_ of a first version") or diag $said for 'register', 'deploy', 'gate';
	is($node->safe_psql('postgres', "SELECT version || ' ' || created_by || ' ' || (configuration ->> 'model_name') FROM model_mgr.get_active_model('$service ''spam''')"),
		"1.0.0 o'hara a \"b\" \$HOME 'c'", "$service: it serves");
	is(run_step($service, $_, %first), 0, "$service: $_ again") or diag $said for 'register', 'deploy', 'gate';
	is($node->safe_psql('postgres', "SELECT count(*) FROM model_mgr.list_updates('$service ''spam''')"), 1, "$service: asks for no further update");

	# What must not go on.
	configure('{"provider": "test", "model_name": "other"}');
	is(run_step($service, 'register', %first), 3, "$service: the same version with other content");
	like($said, qr/exists with another configuration/, "$service: and why");
	configure('{"provider": "test"');
	is(run_step($service, 'register', %next), 3, "$service: no JSON");
	configure('{"provider": "test", "model_name": "m", "api_key": "x"}');
	is(run_step($service, 'register', %next), 3, "$service: a secret");
	is(run_step($service, 'deploy', %next), 3, "$service: nothing was registered");
	configure('{"provider": "test", "model_name": "m"}');
	is(run_step($service, 'register', %next), 0, "$service: registered");
	my $rules = '[{"name": "safe", "description": "tagged", "validator_function": "security_validation"}]';
	$node->safe_psql('postgres', "SELECT model_mgr.set_security_policy(required_tag => 'safe')");
	{
		local $services{$service}{deploy} = $services{$service}{deploy} =~ s/ -f / -v strategy=replace -v rules='$rules' -f /r;
		is(run_step($service, 'deploy', %next), 3, "$service: refused by a validator");
		like($said, qr/safe/, "$service: which is named");
		$node->safe_psql('postgres', "SELECT model_mgr.tag_model_version('$service ''spam''', '1.1.0', '{safe}')");
		is(run_step($service, 'deploy', %next, KEY => "$service-3"), 0, "$service: put right") or diag $said;
	}
	is(run_step($service, 'gate', %next), 0, "$service: well");
	is($node->safe_psql('postgres', "SELECT model_mgr.rollback_model('$service ''spam''', reason => 'bad')"), 't', "$service: taken back");
	is(run_step($service, 'gate', %next), 3, "$service: stops the pipeline");
	like($said, qr/rolled_back/, "$service: and why");

	# A rollout that does not come to an end in time.
	is(run_step($service, 'register', %first, VERSION => '1.2.0'), 0, "$service: another one");
	{
		local $services{$service}{deploy} = $services{$service}{deploy} =~ s/ -f / -v timeout=0 -f /r;
		is(run_step($service, 'deploy', %first, VERSION => '1.2.0', KEY => "$service-4"), 3, "$service: not in time");
	}
	is(run_step($service, 'gate', %first), 0, "$service: what served is well") or diag $said;
}
finish($node);
