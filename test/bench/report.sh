#!/usr/bin/env bash
# report: a page of a model with its rollout, over the 24 hours up to now and over everything that is kept, of a rollout and of a test, in the filled
# database (test/bench/shared/fleet.sh): seconds, the median of five connections that have asked once before. Target: at most 1.
# shellcheck source=test/bench/shared/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/database.sh"
# shellcheck source=test/bench/shared/fleet.sh
. "$(dirname "${BASH_SOURCE[0]}")/shared/fleet.sh"
fleet

# seconds: of the second call in a connection; the page's size goes to stderr.
seconds() {
	for _ in 1 2 3 4 5; do
		psql -XqAt -v ON_ERROR_STOP=1 -c '\timing on' -c "SELECT length($1)" -c "SELECT length($1)" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1
	done | median | awk '{print $1 / 1000}'
	run -c "SELECT '$2: ' || length($1) || ' bytes'" >&2
}
echo "report_seconds $(seconds "model_mgr.report('m0001')" report) <=1"
echo "report_${DAYS:-90}_days_seconds $(seconds "model_mgr.report('m0001', now() - interval '${DAYS:-90} days')" 'all of it') <=1"
echo "report_deployment_seconds $(seconds "model_mgr.report_deployment(model_mgr.open_deployment('m0001'))" deployment) <=1"
echo "report_ab_test_seconds $(seconds "model_mgr.report_ab_test('test 2')" test) <=1"
