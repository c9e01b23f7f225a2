/*
 * summary_aggregate.c: the aggregates summarize(float8) and merge(summary). Their state is a summary in memory, with
 * the sketch as a hash table; between workers it travels in the stored form. Final functions leave it alone, so both
 * serve as window functions. Over no values the result is NULL, as with every aggregate but count.
 */
#include "pg/summary.h"

#include <math.h>

/* make_state: an empty summary that lives as long as the aggregation. */
static summary *
make_state(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	summary *s;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("called outside of an aggregate"),
				errdetail("This function is a step of summarize() and merge()."), errhint("Call the aggregate."));
	s = MemoryContextAlloc(context, sizeof(summary));
	summary_init(s, statistics_memory, context);
	return s;
}

/* merge_bytes: adds a stored form to the state. */
static void
merge_bytes(summary *s, const bytea *b)
{
	if (!summary_merge(s, (const unsigned char *) VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b)))
		summary_damaged();
}

MM_FUNCTION(mm_summarize_transition);
Datum
mm_summarize_transition(PG_FUNCTION_ARGS)
{
	summary *s = PG_ARGISNULL(0) ? NULL : (summary *) PG_GETARG_POINTER(0);
	double value;

	if (PG_ARGISNULL(1))
	{
		if (s == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(s);
	}
	value = PG_GETARG_FLOAT8(1);
	if (unlikely(!isfinite(value)))
		statistics_refuse_value("summarize", "value", value);
	if (unlikely(s == NULL))
		s = make_state(fcinfo);
	summary_add(s, value);
	PG_RETURN_POINTER(s);
}

MM_FUNCTION(mm_merge_transition);
Datum
mm_merge_transition(PG_FUNCTION_ARGS)
{
	summary *s = PG_ARGISNULL(0) ? NULL : (summary *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1))
	{
		if (s == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(s);
	}
	if (s == NULL)
		s = make_state(fcinfo);
	merge_bytes(s, PG_GETARG_BYTEA_PP(1));
	PG_RETURN_POINTER(s);
}

MM_FUNCTION(mm_summary_state_combine);
Datum
mm_summary_state_combine(PG_FUNCTION_ARGS)
{
	summary *a = PG_ARGISNULL(0) ? NULL : (summary *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
	{
		/* By way of the stored form: the second state lives in another context, and the table may have to grow. */
		bytea *b = (bytea *) DatumGetPointer(summary_datum((summary *) PG_GETARG_POINTER(1), "summarize"));

		if (a == NULL)
			a = make_state(fcinfo);
		merge_bytes(a, b);
		pfree(b);
	}
	if (a == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(a);
}

MM_FUNCTION(mm_summary_state_serialize);
Datum
mm_summary_state_serialize(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(summary_datum((summary *) PG_GETARG_POINTER(0), "summarize"));
}

MM_FUNCTION(mm_summary_state_deserialize);
Datum
mm_summary_state_deserialize(PG_FUNCTION_ARGS)
{
	summary *s = palloc(sizeof(summary));

	summary_init(s, statistics_memory, CurrentMemoryContext);
	merge_bytes(s, PG_GETARG_BYTEA_PP(0));
	PG_RETURN_POINTER(s);
}

MM_FUNCTION(mm_summary_state_final);
Datum
mm_summary_state_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(summary_datum((summary *) PG_GETARG_POINTER(0), "summarize"));
}
