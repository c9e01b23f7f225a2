#!/usr/bin/env bash
# audit: what the audit log costs. Sealing and verifying, in entries a second; a deploy call with its entries against the
# same call without them. A recording has none. Medians of rounds; lines "name ratio target" on stdout, rates in
# units of 200,000 a second.
#   ROUNDS (3)  ENTRIES (400000)  CALLS (400)
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
rounds=${ROUNDS:-3}
entries=${ENTRIES:-400000}
calls=${CALLS:-400}

run >&2 <<SQL
SET client_min_messages = warning;
SELECT count(model_mgr.create_model_version('m', i::text, model_mgr.model_configuration('p', 'm'))) FROM generate_series(1, 2) i;
SELECT status FROM model_mgr.deploy_model_version('m', '1');
SELECT model_mgr.seal_audit();
-- Entries as they come: one of a deployment (some 840 bytes of details) among three of other verbs.
SELECT count(model_mgr.set_alias('m', 'a', (1 + i % 2)::text)) FROM generate_series(1, 1) i;
SELECT count(model_mgr.log_operation('note', 'm', '1', details => '{"ticket": 4711}'));
INSERT INTO model_mgr.audit_log (logged_at, operation, model_name, version, user_name, caller, session_id, application_name, txn, details)
SELECT clock_timestamp(), l.operation, l.model_name, l.version, l.user_name, l.caller, l.session_id, l.application_name, model_mgr.current_txn(), l.details
FROM model_mgr.audit_log l, generate_series(1, $entries / 4) WHERE l.audit_id <> 1;
VACUUM ANALYZE model_mgr.audit_log;
SQL

# milliseconds: of the last statement of a script, which is undone.
milliseconds() {
	{ printf '%s\n' 'BEGIN;' '\timing on'; cat; printf '%s\n' '\timing off' 'ROLLBACK;'; } |
		run | tee -a /dev/stderr | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
}
rate() { awk -v n="$entries" -v ms="$(median)" -v name="$1" 'BEGIN { printf "%s %.3f >=1\n", name, n / ms / 200 }'; }

for ((i = 1; i <= rounds; i++)); do
	echo 'SELECT model_mgr.seal_audit();' | milliseconds >>"$dir/seal"
done
run >&2 <<<'SELECT model_mgr.seal_audit();'
for ((i = 1; i <= rounds; i++)); do
	echo 'SELECT ok FROM model_mgr.verify_audit_log();' | milliseconds >>"$dir/verify"
done
rate audit_seal <"$dir/seal"
rate audit_verify <"$dir/verify"

# What the entries of deploy calls take, as log_operation() takes to append them again, of what the calls take.
deploys="FOR i IN 1..$calls LOOP PERFORM model_mgr.deploy_model_version('m', (1 + i % 2)::text, 'replace', idempotency_key => i::text); END LOOP;"
for ((i = 1; i <= rounds; i++)); do
	echo "DO \$\$ BEGIN $deploys END \$\$;" | milliseconds >>"$dir/deploys"
	{
		echo "DO \$\$ BEGIN $deploys END \$\$;"
		echo "CREATE TEMP TABLE entry AS SELECT * FROM model_mgr.audit_log WHERE txn = model_mgr.current_txn();"
		echo "DO \$\$ DECLARE e record; BEGIN FOR e IN SELECT * FROM entry LOOP PERFORM model_mgr.log_operation(e.operation, e.model_name, e.version, e.user_name, e.details); END LOOP; END \$\$;"
	} | milliseconds | tail -n 1 >>"$dir/entries"
done
awk -v a="$(median <"$dir/deploys")" -v e="$(median <"$dir/entries")" 'BEGIN { printf "audit_of_a_deploy %.3f <=1.15\n", a / (a - e) }'
