#!/usr/bin/env bash
# grafana.sh: each query of the Grafana dashboards over 1,000 models with 90 days of rollups: milliseconds (the median of five), over the
# dashboard's own time range and, of those that look at one model or test, over 90 days. Lines "name ms target".
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
# shellcheck source=test/bench/shared/fleet.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/fleet.sh"
fleet
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
perl -I "$here/test/perl" -MGrafana -e '
	my %hours = ("model-mgr-fleet" => [24], "model-mgr-model" => [24, 90 * 24], "model-mgr-experiments" => [7 * 24, 90 * 24]);
	for my $name (sort keys %hours) {
		for my $hours (@{ $hours{$name} }) {
			for my $query (queries(dashboard("$ARGV[0]/$name.json"))) {
				my $interval = $hours * 3600 / 1000; $interval = $interval < 60 ? 60 : $interval < 600 ? 300 : $interval < 3600 ? 1800 : 7200;
				my $sql = expand($query->{sql}, from => time - $hours * 3600, to => time, interval => $interval,
					variables => { model => "m0011", version => ["1.0.0", "1.1.0"], test => "test 2" });
				$sql =~ s/\s+/ /g;
				my $what = lc "grafana $name $hours hours $query->{what}";
				$what =~ s/model-mgr-|panel |,//g; $what =~ s/\W+/_/g;
				print "$what\t$sql\n";
			}
		}
	}' "$here/dashboards/grafana" >"$dir/queries"
while IFS=$'\t' read -r what sql; do
	# Grafana keeps its connections: the first run is of a session that knows nothing yet.
	run -o /dev/null -c "$sql" -c '\timing on' -c "$sql" -c "$sql" -c "$sql" -c "$sql" -c "$sql" >"$dir/times"
	echo "$what $(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$dir/times" | median) <=50"
done <"$dir/queries"
