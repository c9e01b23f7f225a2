# Grafana: what tests and benchmarks need of it: the queries of dashboard files, and the macros and variables in them made plain, as Grafana's
# PostgreSQL data source does it.
package Grafana;

use strict;
use warnings;
use Exporter 'import';
use JSON::PP;

our @EXPORT = qw(dashboard queries expand);

# dashboard: a file, decoded.
sub dashboard
{
	my ($file) = @_;
	open(my $in, '<:raw', $file) or die "$file: $!";
	local $/;
	return decode_json(<$in>);
}

# queries: {what, sql, format, type, panel} of each query: variables, annotations, panels.
sub queries
{
	my ($dashboard) = @_;
	my @found;
	push @found, { what => "variable $_->{name}", sql => $_->{query}, format => 'variable' }
	  for grep { $_->{type} eq 'query' } @{ $dashboard->{templating}{list} };
	push @found, { what => "annotation $_->{name}", sql => $_->{target}{rawSql}, format => 'annotation' } for @{ $dashboard->{annotations}{list} };
	for my $panel (grep { $_->{type} ne 'row' } @{ $dashboard->{panels} })
	{
		push @found, { what => "panel $panel->{title}" . (@{ $panel->{targets} } > 1 ? " $_->{refId}" : ''), sql => $_->{rawSql}, format => $_->{format}, type => $panel->{type}, panel => $panel }
		  for @{ $panel->{targets} };
	}
	return @found;
}

# expand: the SQL that Grafana would send. from, to: epoch seconds; interval: seconds; variables: name => value or list.
sub expand
{
	my ($sql, %options) = @_;
	my ($from, $to) = map { my @t = gmtime $options{$_}; sprintf "'%04d-%02d-%02dT%02d:%02d:%02dZ'", $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ] } qw(from to);
	my %variables = %{ $options{variables} // {} };
	my %seconds = (s => 1, m => 60, h => 3600, d => 86400);

	$sql =~ s/\$__interval_ms\b/$options{interval} * 1000/ge;
	$sql =~ s/\$__interval\b/$options{interval}s/g;
	$sql =~ s{\$__timeGroup\(([^,()]+),\s*'?(\d+)([smhd])'?\)}{my $w = $2 * $seconds{$3}; "floor(extract(epoch from $1)/$w)*$w"}ge;
	$sql =~ s/\$__timeFilter\(([^()]+)\)/$1 BETWEEN $from AND $to/g;
	$sql =~ s/\$__timeFrom\(\)/$from/g;
	$sql =~ s/\$__timeTo\(\)/$to/g;
	die "left over: $&" if $sql =~ /\$(?!\{\w+:sqlstring\})\S*/;
	$sql =~ s{\$\{(\w+):sqlstring\}}{
		die "no variable $1" unless defined $variables{$1};
		join ',', map { my $v = $_; $v =~ s/'/''/g; "'$v'" } ref $variables{$1} ? @{ $variables{$1} } : $variables{$1}}ge;
	return $sql;
}

1;
