#!/usr/bin/perl
# upgrade_script.pl RELEASED CURRENT FIRST LAST: writes the script that takes the objects of one install script to those of another: what
# is new, in the order of CURRENT, functions and views whose text changed as they stand there (OR REPLACE, so that what users
# built on them stays), comments that changed; what is gone is dropped. FIRST is run before all that and LAST after it: what no
# comparison of texts can know, which is what becomes of tables, types and their rows. test/t/063_upgrade.pl compares the outcome with a fresh
# installation, and so tells what they forgot.
use strict;
use warnings;

# statements: of a script, comments between them left out.
sub statements
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!\n";
	my $text = do { local $/; <$handle> };
	my (@statements, $depth);
	my $statement = '';
	$depth = 0;
	pos($text) = 0;
	while (pos($text) < length $text)
	{
		if ($text =~ /\G\\[^\n]*\n/gc) { next; }
		if ($text =~ /\G(--[^\n]*\n?|\/\*.*?\*\/)/gcs) { $statement .= $1 if $statement ne ''; next; }
		if ($text =~ /\G(\$(\w*)\$.*?\$\2\$)/gcs || $text =~ /\G([eE]'(?:[^'\\]|\\.|'')*')/gcs || $text =~ /\G('(?:[^']|'')*')/gcs || $text =~ /\G("(?:[^"]|"")*")/gcs)
		{
			$statement .= $1;
			next;
		}
		if ($text =~ /\G(BEGIN\s+ATOMIC)\b/gc) { $depth = 1; $statement .= $1; next; }
		if ($depth && $text =~ /\G(CASE|END)\b/gc) { $depth += $1 eq 'CASE' ? 1 : -1; $statement .= $1; next; }
		if ($text =~ /\G(\w+)/gc) { $statement .= $1; next; }
		$text =~ /\G(.)/gcs;
		my $character = $1;
		$statement .= $character unless $statement eq '' && $character =~ /\s/;
		next unless $character eq ';' && !$depth;
		push @statements, $statement;
		$statement = '';
	}
	die "$file ends in the middle of: $statement\n" if $statement =~ /\S/;
	return @statements;
}

# key: what a statement makes or says something of.
sub key
{
	my ($statement) = @_;
	my $name = qr/(?:"[^"]*"|[\w.])+/;
	return "$1 $2" if $statement =~ /^CREATE (?:UNIQUE )?(FUNCTION|PROCEDURE|AGGREGATE|VIEW|TABLE|INDEX) ($name)/;
	return "TYPE $1" if $statement =~ /^CREATE TYPE ($name) /;
	return "TRIGGER $1 ON $2" if $statement =~ /^CREATE (?:CONSTRAINT )?TRIGGER ($name) .*?\bON ($name)/s;
	return $1 if $statement =~ /^(COMMENT ON .*?) IS\b/s;
	return $statement;
}

# signature: of a function, all that OR REPLACE cannot change.
sub signature { my ($head) = $_[0] =~ /^(.*?)\b(?:AS\s+'|LANGUAGE\b)/s; $head =~ s/\s+/ /g; return $head; }

# plain: without comments and line breaks, which are no change.
sub plain { my ($text) = @_; $text =~ s/--[^\n']*\n/\n/g; $text =~ s/\s+/ /g; return $text; }

my ($released, $current, $first, $last) = @ARGV;
# part: written by hand; there need not be one.
sub part { my ($file) = @_; return '' unless -e $file; open my $handle, '<', $file or die "$file: $!\n"; local $/; return scalar <$handle>; }
my @old = statements($released);
my %old = map { key($_) => $_ } @old;
my @new = statements($current);
my %new = map { key($_) => 1 } @new;
my $out = '\echo Use "ALTER EXTENSION model_mgr UPDATE" to load this file. \quit' . "\n";
$out .= part($first);
for my $statement (@new)
{
	my $key = key($statement);
	my $before = $old{$key};
	# What guards a first installation has nothing to guard now.
	next if $statement =~ /^(DO|SET) /;
	if (!defined $before) { $out .= "$statement\n"; next; }
	# What is revoked from PUBLIC is revoked from what is new, too.
	if ($statement =~ /^(REVOKE|GRANT) /) { $out .= "$statement\n"; next; }
	next if plain($before) eq plain($statement);
	if ($key =~ /^(FUNCTION|PROCEDURE|AGGREGATE) (.*)/)
	{
		my ($kind, $name) = ($1, $2);
		if ($kind ne 'AGGREGATE' && signature($before) ne signature($statement)) { $out .= "DROP $kind $name;\n$statement\n"; }
		else { $out .= $statement =~ s/^CREATE /CREATE OR REPLACE /r . "\n"; }
	}
	elsif ($key =~ /^VIEW/) { $out .= $statement =~ s/^CREATE /CREATE OR REPLACE /r . "\n"; }
	elsif ($key =~ /^INDEX (.*)/) { $out .= "DROP INDEX model_mgr.$1;\n$statement\n"; }
	elsif ($key =~ /^TRIGGER/) { $out .= "DROP $key;\n$statement\n"; }
	elsif ($key =~ /^COMMENT/) { $out .= "$statement\n"; }
	else { print STDERR "by hand, in the first part: $key\n" if $ENV{VERBOSE}; }
}
for my $statement (reverse @old)
{
	my $key = key($statement);
	next if $new{$key};
	if ($key =~ /^INDEX (.*)/) { $out .= "DROP INDEX IF EXISTS model_mgr.$1;\n"; }
	elsif ($key =~ /^(FUNCTION|PROCEDURE|AGGREGATE|VIEW) (.*)/) { $out .= "DROP $1 $2;\n"; }
	elsif ($key =~ /^TRIGGER (\S+) ON (\S+)/) { $out .= "DROP TRIGGER IF EXISTS $1 ON $2;\n"; }
	elsif ($key =~ /^(TABLE|TYPE) / && $ENV{VERBOSE}) { print STDERR "by hand, in the first part: gone is $key\n"; }
}
print $out . part($last);
