/* experiment: what is decided at a look, what waits, and what ends a test. */
#include "experiment_fixture.h"
#include "unit.h"

#include <math.h>

static fixture f;

/* the_guide: equal success rates, a response time of 1.0 against 0.8 without variance, a higher confidence. */
static void
the_guide(void)
{
	experiment_result r;

	fixture_init(&f, 2, 3);
	f.plan.min_samples = 1000;
	f.plan.horizon = 20000;
	f.metric[1].direction = -1;
	f.metric[1].anchor = 1;
	f.metric[2].anchor = 0.9;
	for (int i = 0; i < 1000; i++)
	{
		/* one result short of what a verdict needs */
		if (i == 999)
		{
			r = fixture_look(&f, false);
			CHECK(r.decision.status == EXPERIMENT_RUNNING && r.decision.winner == EXPERIMENT_NO_ARM && !r.look,
				  "too few");
		}
		for (int arm = 0; arm < 2; arm++)
		{
			fixture_add(&f, 0, arm, 0, 1);
			fixture_add(&f, 0, arm, 1, arm ? 0.8 : 1.0);
			fixture_add(&f, 0, arm, 2, arm ? 0.95 : 0.9);
		}
	}
	r = fixture_look(&f, false);
	CHECK(r.look && r.decision.status == EXPERIMENT_STOPPED_EARLY, "status %s",
		  experiment_status_name(r.decision.status));
	CHECK(r.decision.winner == 1 && r.decision.metric == 1 && r.leading == 1, "winner %d by %d", r.decision.winner,
		  r.decision.metric);
	CHECK(fixture_estimate(&f, 1, 1)->p_value == 0 && fixture_estimate(&f, 1, 1)->significant && r.practical, "p 0");
	CHECK(fixture_estimate(&f, 0, 1)->p_value == 1 && !fixture_estimate(&f, 0, 1)->significant, "the primary is equal");
	r = fixture_look(&f, false);
	CHECK(!r.look && r.decision.winner == 1 && r.decision.status == EXPERIMENT_STOPPED_EARLY, "analysed again");
	/* A primary that may be worse by more than the detectable effect keeps the secondary from deciding. */
	fixture_init(&f, 2, 2);
	f.plan.min_samples = 1000;
	f.plan.horizon = 20000;
	f.metric[1].direction = -1;
	for (int i = 0; i < 1000; i++)
		for (int arm = 0; arm < 2; arm++)
		{
			fixture_add(&f, 0, arm, 0, i % (arm ? 40 : 50) != 0);
			fixture_add(&f, 0, arm, 1, arm ? 0.8 : 1.0);
		}
	f.plan.minimum_detectable_effect = 0.01;
	r = fixture_look(&f, false);
	CHECK(fixture_estimate(&f, 1, 1)->significant && r.decision.winner == EXPERIMENT_NO_ARM, "%g",
		  fixture_estimate(&f, 0, 1)->ci_low);
}

int
main(void)
{
	the_guide();
	return unit_done();
}
