/*
 * deployment_status.c: how a rollout stands at this moment, computed by the same look and the same core as every
 * decision, for the views. Reads only; works on a standby.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "funcapi.h"
#include "utils/tuplestore.h"

#include "pg/query.h"

/* value_of: one side's value of a metric by the core's own rule; NaN without samples. */
static double
value_of(const deployment *d, rollout_metric m, const rollout_tally *window, const rollout_tally *step)
{
	return rollout_judge(&d->plan, m, window, step).value;
}

/* put: one criterion. */
static void
put(ReturnSetInfo *set, const deployment *d, const deployment_look *look, rollout_metric m)
{
	const rollout_verdict *v = &look->decision.verdicts[m];
	double baseline = value_of(d, m, &look->baseline_window, &look->baseline_step);
	const char *wait = rollout_wait_name(look->decision.wait);
	Datum values[10];
	bool nulls[10] = {false};

	values[0] = CStringGetTextDatum(rollout_metric_name(m));
	values[1] = Float8GetDatum(v->value);
	nulls[1] = isnan(v->value);
	values[2] = Float8GetDatum(baseline);
	nulls[2] = isnan(baseline);
	values[3] = Float8GetDatum(v->limit);
	values[4] = CStringGetTextDatum(rollout_outcome_name(v->outcome));
	values[5] = Int64GetDatum(v->samples);
	values[6] = Int64GetDatum(v->samples_needed);
	values[7] = TimestampTzGetDatum(look->decision.next_at);
	/* Everything is there: the next tick acts. */
	values[8] = CStringGetTextDatum(wait ? wait : "tick");
	values[9] = Int64GetDatum(look->decision.step_samples);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

MM_FUNCTION(mm_rollout_status);

/* mm_rollout_status(deployment_id bigint): one row a criterion of an open or baking deployment, none for others. */
Datum
mm_rollout_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	deployment d;
	deployment_look look;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	scope = mm_enter();
	if (deployment_load(PG_GETARG_INT64(0), &d) && (deployment_is_open(&d) || deployment_is_baking(&d)))
	{
		deployment_look_at(&d, &look);
		deployment_look_beside(&d, &look);
		for (int m = 0; m < ROLLOUT_METRICS; m++)
			put(set, &d, &look, (rollout_metric) m);
	}
	mm_leave(scope);
	return (Datum) 0;
}
