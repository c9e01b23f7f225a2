#!/bin/sh
# document.sh [PREFIX]: what redis_mirror() wrote under a prefix (models:), as a document for import_registry(). Options of
# redis-cli come from REDISCLI (host, port, password: see redis-cli --help).
set -eu
printf '{"format": 1, "models": ['
# One line an entry: JSON text holds no line feeds.
# shellcheck disable=SC2086
redis-cli ${REDISCLI:-} --raw HVALS "${1:-models:}registry" | paste -s -d , -
printf ']}\n'
