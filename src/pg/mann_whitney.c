/*
 * mann_whitney.c: the aggregate mann_whitney_test. The values of each arm go into a sort of the server, which spills to
 * disk beyond work_mem; the final function merges the two sorted streams and forms average ranks on the way. It uses
 * the sorts up: the aggregate is declared FINALFUNC_MODIFY = READ_WRITE and so is no window function, and sorts cannot
 * be combined between workers.
 */
#include "pg/statistics.h"

#include <math.h>

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/tuplesort.h"

typedef struct rank_state
{
	Tuplesortstate *sort[2]; /* control, treatment; NULL until the first value */
	moments m[2];
} rank_state;

/* release: ends sorts, and with them their temporary files, when the aggregation ends by whatever way. */
static void
release(Datum argument)
{
	rank_state *state = (rank_state *) DatumGetPointer(argument);

	for (int arm = 0; arm < 2; arm++)
		if (state->sort[arm] != NULL)
		{
			tuplesort_end(state->sort[arm]);
			state->sort[arm] = NULL;
		}
}

MM_FUNCTION(mm_mann_whitney_test_transition);
Datum
mm_mann_whitney_test_transition(PG_FUNCTION_ARGS)
{
	rank_state *state = PG_ARGISNULL(0) ? NULL : (rank_state *) PG_GETARG_POINTER(0);
	MemoryContext context;
	double value;
	int arm;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (AggCheckCallContext(fcinfo, &context) != AGG_CONTEXT_AGGREGATE)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("called outside of an aggregate"),
				errdetail("This function is a step of mann_whitney_test."), errhint("Call mann_whitney_test."));
	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(rank_state));
		AggRegisterCallback(fcinfo, release, PointerGetDatum(state));
	}
	arm = PG_GETARG_BOOL(1);
	value = PG_GETARG_FLOAT8(2);
	if (!isfinite(value))
		statistics_refuse_value("mann_whitney_test", arm ? "value of treatment" : "value of control", value);
	if (state->sort[arm] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		state->sort[arm] = tuplesort_begin_datum(FLOAT8OID, Float8LessOperator, InvalidOid, false,
												 Max(work_mem / 2, 64), NULL, TUPLESORT_NONE);
		MemoryContextSwitchTo(old);
	}
	tuplesort_putdatum(state->sort[arm], PG_GETARG_DATUM(2), false);
	moments_add(&state->m[arm], value);
	PG_RETURN_POINTER(state);
}

/* A sorted stream with its next value at hand. */
typedef struct stream
{
	Tuplesortstate *sort;
	bool more;
	double value;
} stream;

static void
next(stream *s)
{
	Datum value;
	bool isnull;

	CHECK_FOR_INTERRUPTS(); /* here, since any number of values may be equal */
	s->more = s->sort != NULL && compat_tuplesort_getdatum(s->sort, &value, &isnull);
	if (s->more)
		s->value = DatumGetFloat8(value);
}

MM_FUNCTION(mm_mann_whitney_test_final);
Datum
mm_mann_whitney_test_final(PG_FUNCTION_ARGS)
{
	static rank_state empty;
	rank_state *state = PG_ARGISNULL(0) ? &empty : (rank_state *) PG_GETARG_POINTER(0);
	stream s[2];
	int64 done = 0; /* values ranked so far */
	dd twice_rank_sum = {0, 0};
	dd ties = {0, 0};
	double mean[2];
	hypothesis_result result;

	for (int arm = 0; arm < 2; arm++)
	{
		if (moments_overflow(&state->m[arm]))
			state->m[arm].sum = (dd){NAN, 0};
		mean[arm] = state->m[arm].n > 0 ? dd_value(moments_mean(&state->m[arm])) : NAN;
		s[arm].sort = state->sort[arm];
		if (s[arm].sort != NULL)
			tuplesort_performsort(s[arm].sort);
		next(&s[arm]);
	}
	while (s[0].more || s[1].more)
	{
		double value = !s[1].more || (s[0].more && s[0].value < s[1].value) ? s[0].value : s[1].value;
		int64 equal[2] = {0, 0};
		double t;

		for (int arm = 0; arm < 2; arm++)
			for (; s[arm].more && s[arm].value == value; next(&s[arm]))
				equal[arm]++;
		t = (double) (equal[0] + equal[1]);
		/* average rank of the group, twice: first rank + last rank */
		if (equal[1] > 0)
			twice_rank_sum = dd_add(twice_rank_sum, dd_two_product((double) equal[1], 2 * (double) done + 1 + t));
		if (t > 1)
			ties = dd_add(ties, dd_add_double(dd_multiply_double(dd_two_product(t, t), t), -t));
		done += equal[0] + equal[1];
	}
	result = hypothesis_mann_whitney(state->m[0].n, state->m[1].n, twice_rank_sum, ties, mean[0], mean[1]);
	return statistics_result(fcinfo, &result);
}
