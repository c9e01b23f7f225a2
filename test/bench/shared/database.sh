#!/usr/bin/env bash
# database.sh: what benchmarks begin with, sourced: a database of their name with the extension in it ($db, which psql and
# pgbench take by themselves) and a directory for their files ($dir), both gone when they end.
set -euo pipefail
db=model_mgr_bench_$(basename "$0" .sh)
dir=$(mktemp -d)
export PGDATABASE=$db
# run: psql that prints values alone and stops at errors.
run() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }
# median: of the numbers that come in, a line each.
median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
leave() {
	rm -rf "$dir"
	dropdb --force --if-exists --maintenance-db=postgres "$db" >&2
}

dropdb --force --if-exists --maintenance-db=postgres "$db" >&2
createdb --maintenance-db=postgres "$db"
trap leave EXIT
run -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION model_mgr' >&2
