# The pages of report(), report_ab_test() and report_deployment() in a real Chromium, as wide as a screen and as a telephone, light and dark, and on
# paper: nothing is wider than the window, no label lies over another or is cut off, nothing is fetched, nothing complained about.
use strict;
use warnings;
use utf8;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use ModelMgr;

plan skip_all => 'chromium is not installed' unless grep { -x "$_/chromium" } split /:/, $ENV{PATH};

my $dir = PostgreSQL::Test::Utils::tempdir();
# REPORT_PICTURES: a directory that gets a picture of each, for the documentation and for people.
my $pictures = $ENV{REPORT_PICTURES} // '';

# write_file: a page to be fetched.
sub write_file
{
	my ($name, $text) = @_;
	open(my $out, '>', "$dir/$name.html") or die $!;
	print $out $text;
	close $out;
}

# chromium: with a profile of its own; what it wrote, and what it said.
my $profiles = 0;
sub chromium
{
	my ($width, $height, $dark, @arguments) = @_;
	my ($out, $log) = ('', '');
	my $profile = "$dir/profile" . $profiles++;
	mkdir $profile;
	IPC::Run::run([ 'chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync', '--hide-scrollbars', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--enable-logging=stderr',
		"--user-data-dir=$profile", "--window-size=$width,$height", '--blink-settings=preferredColorScheme=' . ($dark ? 0 : 1), @arguments ],
		'>', \$out, '2>', \$log, IPC::Run::timeout(120)) or diag($log);
	return ($out, $log);
}

# Where the pages are fetched from, so that a browser may fetch more: it writes down what it is asked for.
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $server = fork // die;
if ($server == 0)
{
	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 20, ReuseAddr => 1) or die $!;
	while (my $client = $listen->accept)
	{
		my ($name) = (<$client> // '') =~ m{^GET /(\S*)};
		while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/; }
		next unless defined $name;
		append_to_file("$dir/requests", "$name\n");
		my $body = $name =~ /^\w+\.html$/ && -e "$dir/$name" ? slurp_file("$dir/$name") : '';
		print $client 'HTTP/1.0 ' . ($body ? '200 OK' : '404 Not Found') . "\r\nContent-Type: text/html\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
		close $client;
	}
	exit 0;
}
END { my $status = $?; kill 'TERM', $server if $server; $? = $status; }

# What each page is measured by; it stands in a copy alone, where the page's own policy would not let it run.
my $measure = <<'JS';
<script>
window.addEventListener('load', () => {
  const r = {wide: document.documentElement.scrollWidth, window: innerWidth, background: getComputedStyle(document.documentElement).backgroundColor,
    plots: document.querySelectorAll('svg.plot').length, over: [], cut: [],
    sideways: [...document.querySelectorAll('.scroll')].filter(s => s.clientWidth > 0 && s.scrollWidth > s.clientWidth + 1).map(s => s.getAttribute('aria-label')).join(', '), headings: [...document.querySelectorAll('h1,h2,h3')].map(h => h.tagName).join(' ')};
  for (const plot of document.querySelectorAll('svg.plot')) {
    const texts = [...plot.querySelectorAll('text')].map(t => ({t: t.textContent, b: t.getBoundingClientRect()})).filter(x => x.b.width > 0);
    for (let i = 0; i < texts.length; i++) {
      const a = texts[i].b;
      if (a.left < -1 || a.right > innerWidth + 1) r.cut.push(plot.querySelector('title').textContent + ': ' + texts[i].t);
      for (let j = 0; j < i; j++) {
        const b = texts[j].b;
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
          r.over.push(plot.querySelector('title').textContent + ': ' + texts[j].t + ' and ' + texts[i].t);
      }
    }
  }
  document.body.setAttribute('data-measured', JSON.stringify(r));
});
</script>
JS

my $node = new_node('report');
my $hostile = q{o'clf "x" <script>document.title="owned"</script><img src=/stolen> } . "\x{202e}gnp.exe \x{5d0}\x{5d1} \x{6587}\x{5b57}";
my $long = 'a' x 255;
my %page;
for my $case ([ plain => 'spam filter' ], [ hostile => $hostile ], [ long => $long ])
{
	my ($name, $model) = @$case;
	my $out = '';
	$node->psql('postgres', "SET client_min_messages = warning;\n\\set ECHO none\n\\pset format unaligned\n\\pset tuples_only on\n\\set model '" . ($model =~ s/'/''/gr)
		. "'\n\\i test/report.psql\nSELECT pg_temp.at('2026-03-02 20:30+00') \\g /dev/null\n"
		. "\\o $dir/${name}_test.html\nSELECT model_mgr.report_ab_test(:'model' || ' test');\n\\o $dir/${name}_bad.html\nSELECT model_mgr.report_deployment(:bad);\n"
		. "SELECT pg_temp.at('2026-03-02 08:10+00') \\g /dev/null\n\\o $dir/${name}_good.html\nSELECT model_mgr.report_deployment(:good);\n\\o $dir/${name}_model.html\nSELECT model_mgr.report(:'model');\n\\o\n"
		. "SET model_mgr.clock = '';\n", stdout => \$out, on_error_die => 1) if $name ne 'long';
	# The longest names there may be: of a model, a version and a test.
	$node->psql('postgres', "SET client_min_messages = warning; SET model_mgr.clock = '2026-03-02 08:10+00';\n"
		. "SELECT model_mgr.create_model_version('$model', '$model', '{\"provider\": \"p\", \"model_name\": \"m\"}');\nSELECT model_mgr.deploy_model_version('$model', '$model');\n"
		. "SELECT model_mgr.record_results((model_mgr.create_test(repeat('b', 255), '$model', '$model', '$model', '$model', '$model', secondary_metrics => ARRAY[repeat('c', 255)])).test_id, '[{\"variant\": \"control\", \"success\": true}, {\"variant\": \"treatment\", \"success\": false}]');\n"
		. "SELECT model_mgr.update_model_metrics('$model', '$model', 0.5, true);\n\\pset format unaligned\n\\pset tuples_only on\n\\o $dir/long_model.html\nSELECT model_mgr.report('$model');\n"
		. "\\o $dir/long_good.html\nSELECT model_mgr.report_deployment(max(deployment_id)) FROM model_mgr.list_deployments('$model');\n\\o $dir/long_test.html\nSELECT model_mgr.report_ab_test(repeat('b', 255));\n",
		stdout => \$out, on_error_die => 1) if $name eq 'long';
}

for my $file (sort glob "$dir/*_*.html")
{
	my ($name) = $file =~ m{(\w+)\.html$};
	my $text = slurp_file($file);
	cmp_ok(length $text, '<', 200_000, "$name: at most 200 kB");
	# as it is: nothing is said, nothing else is fetched
	unlink "$dir/requests";
	my (undef, $log) = chromium(1280, 900, 0, '--dump-dom', "http://127.0.0.1:$port/$name.html");
	# the browser's own pages talk, too
	my @said = grep { /CONSOLE/ && !/source: chrome:/ } split /\n/, $log;
	is("@said", '', "$name: the browser has nothing to say");
	is(slurp_file("$dir/requests"), "$name.html\n", "$name: and asks for nothing else");
	# the measured copy, in frames of some widths: a window cannot be as narrow as a telephone
	my $copy = $text =~ s{<meta http-equiv="Content-Security-Policy"[^>]*>}{}r =~ s{</head>}{$measure</head>}r;
	my @widths = (1280, 768, 390);
	write_file('measured', $copy);
	write_file('frames', "<!DOCTYPE html><body>" . join('', map { "<iframe src=\"measured.html\" style=\"border:0\" width=\"$_\" height=\"900\"></iframe>" } @widths)
		. "<script>addEventListener('load', () => document.body.setAttribute('data-measured', JSON.stringify([...document.querySelectorAll('iframe')]"
		. ".map(f => JSON.parse(f.contentDocument.body.getAttribute('data-measured'))))));</script></body>");
	for my $dark (0, 1)
	{
		my ($dom) = chromium(1400, 900, $dark, '--dump-dom', "http://127.0.0.1:$port/frames.html");
		my ($json) = $dom =~ /data-measured="([^"]*)"/;
		my $measured = decode_json(($json // '[]') =~ s/&quot;/"/gr =~ s/&lt;/</gr =~ s/&gt;/>/gr =~ s/&amp;/&/gr);
		for my $i (0 .. $#widths)
		{
			my $m = $measured->[$i];
			my $what = "$name at $widths[$i]" . ($dark ? ', dark' : '');
			is($m->{window}, $widths[$i], "$what: the window is that wide");
			cmp_ok($m->{wide} // 9999, '<=', $widths[$i], "$what: and the page no wider");
			is(join("\n", @{ $m->{over} // ['nothing was measured'] }), '', "$what: no label lies over another");
			is(join("\n", @{ $m->{cut} // ['nothing was measured'] }), '', "$what: none is cut off");
			is($m->{background}, $dark ? 'rgb(20, 23, 27)' : 'rgb(255, 255, 255)', "$what: its theme");
			is($m->{sideways}, '', "$what: no table has to be moved sideways") if $name =~ /^plain/ && $widths[$i] == 1280;
			cmp_ok($m->{plots} // 0, '>=', $name =~ /^long/ ? 1 : 3, "$what: its plots");
			chromium($widths[$i], $widths[$i] == 390 ? 3600 : 2600, $dark, "--screenshot=$pictures/$name-$widths[$i]-" . ($dark ? 'dark' : 'light') . '.png', "file://$file")
			  if $pictures && $widths[$i] != 768;
		}
	}
	next unless $name =~ /^plain/;
	chromium(1280, 900, 1, "--print-to-pdf=$dir/$name.pdf", "file://$file");
	my $pdf = -e "$dir/$name.pdf" ? slurp_file("$dir/$name.pdf") : '';
	like($pdf, qr/^%PDF/, "$name: on paper");
}
like(slurp_file("$dir/hostile_model.html"), qr/&lt;script&gt;/, 'a name that is a script is shown');
my ($dom) = chromium(1280, 900, 0, '--dump-dom', "file://$dir/hostile_model.html");
unlike($dom, qr/<title>owned|<img/, 'and not run');

# Letters of other encodings are the same letters on the page; bytes of none are shown as such.
for my $case ([ latin => 'LATIN1', '\xe9', '&#233;' ], [ bytes => 'SQL_ASCII', '\xe9', '&#65533;' ], [ bytes_utf8 => 'SQL_ASCII', '\xc3\xa9', '&#233;' ])
{
	my ($db, $encoding, $letter, $shown) = @$case;
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	is($node->safe_psql($db, "SET client_encoding = '$encoding'; SET client_min_messages = warning; CREATE EXTENSION model_mgr;
		SELECT FROM model_mgr.create_model_version(E'caf$letter', '1', model_mgr.model_configuration('p', 'm'));
		SELECT substring(model_mgr.report(E'caf$letter') from '<h1>.*</h1>')") =~ s/^\n+//r, "<h1><bdi>caf$shown</bdi></h1>", "$encoding: $letter");
}

finish($node);
