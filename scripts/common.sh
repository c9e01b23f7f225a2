# common.sh: what the scripts share; sourced, never run. Leaves the shell in the project's top directory.
# shellcheck shell=bash
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
# Debian keeps runuser and friends where an ordinary user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin
logs=$top/build/log

# say: a line for people.
say() { printf '%s\n' "$*"; }
# die: a line for people, and the end.
die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# as_root: runs a command with root's rights, or says what root should run.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -n true 2>/dev/null || say "sudo may ask for your password, to run: $*"
		sudo "$@"
	else
		die "needs root (or sudo) to run: $*"
	fi
}

# pg_major: the server that everything here builds for and runs on: PG_CONFIG's, else the newest installed, else
# Debian's own.
pg_major() {
	local major
	if [ -n "${PG_CONFIG:-}" ]; then
		"$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/'
		return
	fi
	for major in $(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort -rn); do
		if [ -x "/usr/lib/postgresql/$major/bin/postgres" ] && [ -e "/usr/lib/postgresql/$major/lib/pgxs/src/makefiles/pgxs.mk" ]; then
			echo "$major"
			return
		fi
	done
	major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	echo "${major:-15}"
}

# use_server: PG_CONFIG for this shell and what it starts. After scripts/setup.
use_server() {
	major=$(pg_major)
	export PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config}
	[ -x "$PG_CONFIG" ] || die "no $PG_CONFIG: run scripts/setup, or set PG_CONFIG"
	mkdir -p "$logs"
}

# build_install: builds for that server and installs there, quietly; the log is shown when that fails. A throw-away
# cluster has no other place to look for extensions.
build_install() {
	local with=()
	say "building and installing for PostgreSQL $major"
	make -s -j2 PG_CONFIG="$PG_CONFIG" WERROR=-Werror all >"$logs/build" 2>&1 || {
		tail -n 40 "$logs/build"
		die "the build failed"
	}
	[ -w "$("$PG_CONFIG" --pkglibdir)" ] || with=(as_root)
	"${with[@]}" make -s PG_CONFIG="$PG_CONFIG" install >"$logs/install" 2>&1 || {
		tail -n 40 "$logs/install"
		die "the installation failed"
	}
}

# hold_ports: runs a command that makes a cluster while nobody else here looks for a free port. A lock that something left
# behind is not waited for.
hold_ports() {
	(
		flock -w 120 9 || true
		"$@" 9>&-
	) 9>"$logs/cluster.lock"
}

# in_cluster: runs a command in a throw-away cluster that ends with it; leading "-o setting=value" go to the server.
in_cluster() {
	local options=()
	while [ "${1:-}" = -o ]; do
		options+=(-o "$2")
		shift 2
	done
	# Nothing of the caller's session may lead to another server. Clusters made at the same time would look for a free port at
	# the same time: each holds the others off, as hold_ports does, until its server runs. Autovacuum comes by chance: statistics in
	# the middle of a test change the order of rows, its transactions hold back what a tick folds.
	(
		flock -w 120 9 || true
		# shellcheck disable=SC2016 # the inner shell expands
		env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGPASSWORD -u PGSERVICE -u PGOPTIONS \
			pg_virtualenv -t -v "$major" -c "--locale=C.UTF-8" -o fsync=off -o max_connections=50 -o autovacuum=off "${options[@]}" \
			sh -c 'flock -u 9 && exec 9>&- && exec "$@"' sh "$@"
	) 9>"$logs/cluster.lock"
}
