/*
 * anomaly.c: the window-capable aggregate anomaly_score(value, observed_at, sensitivity), a shell around
 * core/anomaly.h. The transition takes a row in and keeps its score; the final function only reads it, so under
 * OVER (ORDER BY ...) each row costs one update.
 */
#include "pg/mm.h"

#include <math.h>

#include "pg/anomaly_internal.h"
#include "pg/statistics.h"

typedef struct score_state
{
	anomaly detector;
	double score;
	bool scored; /* the last row had a value */
} score_state;

double
anomaly_check_sensitivity(const char *function, double sensitivity)
{
	if (unlikely(!(sensitivity > 0) || isinf(sensitivity)))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("%s: sensitivity must be a finite number above 0", function),
				errdetail("The sensitivity is %g.", sensitivity),
				errhint("The usual width of the band is 2; larger ones flag less. NULL takes the default."));
	return sensitivity;
}

MM_FUNCTION(mm_anomaly_score_transition);
Datum
mm_anomaly_score_transition(PG_FUNCTION_ARGS)
{
	score_state *s = PG_ARGISNULL(0) ? NULL : (score_state *) PG_GETARG_POINTER(0);
	double sensitivity = guc_anomaly_sensitivity;
	int64 time = ANOMALY_NO_TIME;
	double value;

	if (unlikely(s == NULL))
	{
		MemoryContext context;

		if (!AggCheckCallContext(fcinfo, &context))
			ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("called outside of an aggregate"),
					errdetail("This function is a step of anomaly_score()."), errhint("Call the aggregate."));
		s = MemoryContextAlloc(context, sizeof(score_state));
		anomaly_init(&s->detector);
	}
	s->scored = false;
	if (!PG_ARGISNULL(3))
		sensitivity = anomaly_check_sensitivity("anomaly_score", PG_GETARG_FLOAT8(3));
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(s);
	value = PG_GETARG_FLOAT8(1);
	if (unlikely(!isfinite(value)))
		statistics_refuse_value("anomaly_score", "value", value);
	if (!PG_ARGISNULL(2))
	{
		time = PG_GETARG_TIMESTAMPTZ(2);
		if (unlikely(TIMESTAMP_NOT_FINITE(time)))
			ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("anomaly_score: observed_at must be a finite time"),
					errdetail("A row's observed_at is %s.", time == DT_NOBEGIN ? "-infinity" : "infinity"),
					errhint("Store NULL where a time is not known: the daily pattern is then not used for that row."));
	}
	s->score = anomaly_update(&s->detector, value, time, sensitivity).score;
	s->scored = true;
	PG_RETURN_POINTER(s);
}

MM_FUNCTION(mm_anomaly_score_final);
Datum
mm_anomaly_score_final(PG_FUNCTION_ARGS)
{
	score_state *s = PG_ARGISNULL(0) ? NULL : (score_state *) PG_GETARG_POINTER(0);

	if (s == NULL || !s->scored)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(s->score);
}
