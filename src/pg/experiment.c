/*
 * experiment.c: the A/B test behind a rollout of strategy a_b_test, as the rollout sees it. The test is judged like any
 * other (experiment_tick.c) and ends by itself; the rollout follows its verdict when it may: at once, after a freeze, a
 * pause or an approval. Beginning one is in experiment_declare.c.
 */
#include "pg/experiment.h"

#include "pg/experiment_analysis.h"
#include "pg/rollup.h"

rollout_test
experiment_verdict(const deployment *d)
{
	experiment e;

	if (!experiment_load(d->test_id, &e) || experiment_is_running(&e))
		return ROLLOUT_TEST_RUNNING;
	if (e.winning_variant == NULL)
		return ROLLOUT_TEST_INCONCLUSIVE;
	return strcmp(e.winning_variant, e.arms[1].variant) == 0 ? ROLLOUT_TEST_TREATMENT : ROLLOUT_TEST_CONTROL;
}

char *
experiment_reason(const deployment *d)
{
	experiment e;

	if (!experiment_load(d->test_id, &e))
		return psprintf("test \"%s\" is gone", d->test_id);
	/* Without numbers, which would rewrite the rollout's row at every look. */
	if (experiment_is_running(&e) && mm_now() >= e.ends_at)
		return psprintf("the time of test %s was over at %s, the tick will end it", e.test_id,
						deployment_time(e.ends_at));
	if (experiment_is_running(&e))
		return psprintf("test %s runs until %s", e.test_id, deployment_time(e.ends_at));
	return e.stop_reason && *e.stop_reason ? e.stop_reason : psprintf("test %s was stopped", e.test_id);
}

bool
experiment_try(const char *test_id)
{
	return test_id == NULL || (analysis_lock(test_id, false) && rollup_hold(false));
}

void
experiment_close(const deployment *d, const char *reason)
{
	experiment e;
	test_analysis a;

	/* What it runs for may have ended it before. */
	if (!experiment_load(d->test_id, &e) || !experiment_is_running(&e) || !analysis_lock(d->test_id, true) ||
		!experiment_load(d->test_id, &e) || !experiment_is_running(&e))
		return;
	analysis_read(&e, 1, &a);
	analysis_look(&a);
	analysis_end(&a, reason ? reason : "its rollout went on");
}
