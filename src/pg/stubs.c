/* stubs.c: weak stand-ins for functions of other modules that are not written yet; the real definition wins. */
#include "pg/experiment.h"

#define WEAK __attribute__((weak))

WEAK char *
experiment_open(const deployment *d, const Jsonb *test_arguments)
{
	return NULL;
}

WEAK rollout_test
experiment_verdict(const deployment *d)
{
	return ROLLOUT_TEST_RUNNING;
}

WEAK char *
experiment_reason(const deployment *d)
{
	return pstrdup("the test runs");
}

WEAK void
experiment_close(const deployment *d, const char *reason)
{
}
