/*
 * statistics_aggregate.c: the aggregates z_test, t_test, paired_t_test, mcnemar_test and cuped_test. One pass; the
 * state is counts or moments of a few hundred bytes, so that partial states can be combined between workers, partitions
 * and servers. Final functions leave the state alone: the same aggregates serve as window functions.
 *
 * All five share one state (kind says which part of it is in use) and with it the combine, serial and deserial
 * functions. A NULL state is one that saw no row. Combine copies its second argument when the first is NULL: that one
 * lives in a context that does not last.
 */
#include "pg/statistics.h"

#include <math.h>

#include "libpq/pqformat.h"

typedef enum state_kind
{
	STATE_COUNTS = 1, /* z_test: [arm][success]; mcnemar_test: [control][treatment] */
	STATE_MOMENTS,    /* t_test: control, treatment; paired_t_test: control, treatment, difference */
	STATE_COMOMENTS   /* cuped_test: control, treatment */
} state_kind;

#define STATE_VERSION 1

typedef struct test_state
{
	state_kind kind;
	union
	{
		int64 count[2][2];
		moments m[3];
		comoments c[2];
	};
} test_state;

/* make_state: an empty state that lives as long as the aggregation. */
static test_state *
make_state(FunctionCallInfo fcinfo, state_kind kind)
{
	MemoryContext context;
	test_state *state;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("called outside of an aggregate"),
				errdetail("This function is a step of the statistics aggregates."), errhint("Call the aggregate."));
	state = MemoryContextAllocZero(context, sizeof(test_state));
	state->kind = kind;
	return state;
}

/* transition_state: argument 0, made at the first row. */
static inline test_state *
transition_state(FunctionCallInfo fcinfo, state_kind kind)
{
	return PG_ARGISNULL(0) ? make_state(fcinfo, kind) : (test_state *) PG_GETARG_POINTER(0);
}

/* skip_row: returns the state as it is. */
#define SKIP_ROW()                                                                                                     \
	do                                                                                                                 \
	{                                                                                                                  \
		if (PG_ARGISNULL(0))                                                                                           \
			PG_RETURN_NULL();                                                                                          \
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));                                                                           \
	} while (0)

/* count_pairs: the transition of both tests of success. */
static Datum
count_pairs(FunctionCallInfo fcinfo)
{
	test_state *state;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		SKIP_ROW();
	state = transition_state(fcinfo, STATE_COUNTS);
	state->count[PG_GETARG_BOOL(1)][PG_GETARG_BOOL(2)]++;
	PG_RETURN_POINTER(state);
}

MM_FUNCTION(mm_z_test_transition);
Datum
mm_z_test_transition(PG_FUNCTION_ARGS)
{
	return count_pairs(fcinfo);
}

MM_FUNCTION(mm_mcnemar_test_transition);
Datum
mm_mcnemar_test_transition(PG_FUNCTION_ARGS)
{
	return count_pairs(fcinfo);
}

MM_FUNCTION(mm_t_test_transition);
Datum
mm_t_test_transition(PG_FUNCTION_ARGS)
{
	test_state *state;
	double value;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		SKIP_ROW();
	state = transition_state(fcinfo, STATE_MOMENTS);
	value = PG_GETARG_FLOAT8(2);
	if (unlikely(!isfinite(value)))
		statistics_refuse_value("t_test", PG_GETARG_BOOL(1) ? "value of treatment" : "value of control", value);
	moments_add(&state->m[PG_GETARG_BOOL(1)], value);
	PG_RETURN_POINTER(state);
}

MM_FUNCTION(mm_paired_t_test_transition);
Datum
mm_paired_t_test_transition(PG_FUNCTION_ARGS)
{
	test_state *state;
	double control;
	double treatment;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		SKIP_ROW();
	state = transition_state(fcinfo, STATE_MOMENTS);
	control = PG_GETARG_FLOAT8(1);
	treatment = PG_GETARG_FLOAT8(2);
	if (unlikely(!isfinite(control)))
		statistics_refuse_value("paired_t_test", "control", control);
	if (unlikely(!isfinite(treatment)))
		statistics_refuse_value("paired_t_test", "treatment", treatment);
	if (unlikely(!isfinite(treatment - control)))
		statistics_overflow("paired_t_test");
	moments_add(&state->m[0], control);
	moments_add(&state->m[1], treatment);
	moments_add(&state->m[2], treatment - control);
	PG_RETURN_POINTER(state);
}

MM_FUNCTION(mm_cuped_test_transition);
Datum
mm_cuped_test_transition(PG_FUNCTION_ARGS)
{
	test_state *state;
	double value;
	double covariate;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		SKIP_ROW();
	state = transition_state(fcinfo, STATE_COMOMENTS);
	value = PG_GETARG_FLOAT8(2);
	covariate = PG_GETARG_FLOAT8(3);
	if (unlikely(!isfinite(value)))
		statistics_refuse_value("cuped_test", PG_GETARG_BOOL(1) ? "value of treatment" : "value of control", value);
	if (unlikely(!isfinite(covariate)))
		statistics_refuse_value("cuped_test", PG_GETARG_BOOL(1) ? "covariate of treatment" : "covariate of control",
								covariate);
	comoments_add(&state->c[PG_GETARG_BOOL(1)], covariate, value);
	PG_RETURN_POINTER(state);
}

MM_FUNCTION(mm_test_combine);
Datum
mm_test_combine(PG_FUNCTION_ARGS)
{
	test_state *a = PG_ARGISNULL(0) ? NULL : (test_state *) PG_GETARG_POINTER(0);
	test_state *b = PG_ARGISNULL(1) ? NULL : (test_state *) PG_GETARG_POINTER(1);

	if (b == NULL)
		SKIP_ROW();
	if (a == NULL)
	{
		a = make_state(fcinfo, b->kind);
		*a = *b;
		PG_RETURN_POINTER(a);
	}
	switch (a->kind)
	{
		case STATE_COUNTS:
			for (int i = 0; i < 4; i++)
				a->count[i / 2][i % 2] += b->count[i / 2][i % 2];
			break;
		case STATE_MOMENTS:
			for (int i = 0; i < 3; i++)
				moments_merge(&a->m[i], &b->m[i]);
			break;
		case STATE_COMOMENTS:
			for (int i = 0; i < 2; i++)
				comoments_merge(&a->c[i], &b->c[i]);
			break;
	}
	PG_RETURN_POINTER(a);
}

static void
send_moments(StringInfo out, const moments *m)
{
	pq_sendint64(out, m->n);
	pq_sendfloat8(out, m->sum.hi);
	pq_sendfloat8(out, m->sum.lo);
	pq_sendfloat8(out, m->m2);
}

static void
receive_moments(StringInfo in, moments *m)
{
	m->n = pq_getmsgint64(in);
	m->sum.hi = pq_getmsgfloat8(in);
	m->sum.lo = pq_getmsgfloat8(in);
	m->m2 = pq_getmsgfloat8(in);
	moments_settle(m);
}

MM_FUNCTION(mm_test_serialize);
Datum
mm_test_serialize(PG_FUNCTION_ARGS)
{
	test_state *state = (test_state *) PG_GETARG_POINTER(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbyte(&out, STATE_VERSION);
	pq_sendbyte(&out, state->kind);
	switch (state->kind)
	{
		case STATE_COUNTS:
			for (int i = 0; i < 4; i++)
				pq_sendint64(&out, state->count[i / 2][i % 2]);
			break;
		case STATE_MOMENTS:
			for (int i = 0; i < 3; i++)
				send_moments(&out, &state->m[i]);
			break;
		case STATE_COMOMENTS:
			for (int i = 0; i < 2; i++)
			{
				send_moments(&out, &state->c[i].x);
				send_moments(&out, &state->c[i].y);
				pq_sendfloat8(&out, state->c[i].xy);
			}
			break;
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

MM_FUNCTION(mm_test_deserialize);
Datum
mm_test_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	test_state *state = palloc0(sizeof(test_state));
	int version;

	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	version = pq_getmsgbyte(&in);
	state->kind = pq_getmsgbyte(&in);
	if (version != STATE_VERSION || state->kind < STATE_COUNTS || state->kind > STATE_COMOMENTS)
		ereport(ERROR, errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				errmsg("unknown state of a statistics aggregate"),
				errdetail("It is of version %d, kind %d.", version, (int) state->kind),
				errhint("Use the same version of model_mgr on all servers."));
	switch (state->kind)
	{
		case STATE_COUNTS:
			for (int i = 0; i < 4; i++)
				state->count[i / 2][i % 2] = pq_getmsgint64(&in);
			break;
		case STATE_MOMENTS:
			for (int i = 0; i < 3; i++)
				receive_moments(&in, &state->m[i]);
			break;
		case STATE_COMOMENTS:
			for (int i = 0; i < 2; i++)
			{
				receive_moments(&in, &state->c[i].x);
				receive_moments(&in, &state->c[i].y);
				state->c[i].xy = pq_getmsgfloat8(&in);
			}
			break;
	}
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* final_state: argument 0, or an empty one. */
static const test_state *
final_state(FunctionCallInfo fcinfo)
{
	static const test_state empty = {0};

	return PG_ARGISNULL(0) ? &empty : (const test_state *) PG_GETARG_POINTER(0);
}

MM_FUNCTION(mm_z_test_final);
Datum
mm_z_test_final(PG_FUNCTION_ARGS)
{
	const test_state *s = final_state(fcinfo);
	hypothesis_result result =
		hypothesis_two_proportions(s->count[0][1], s->count[0][0] + s->count[0][1], s->count[1][1],
								   s->count[1][0] + s->count[1][1], STATISTICS_CONFIDENCE);

	return statistics_result(fcinfo, &result);
}

MM_FUNCTION(mm_mcnemar_test_final);
Datum
mm_mcnemar_test_final(PG_FUNCTION_ARGS)
{
	const test_state *s = final_state(fcinfo);
	hypothesis_result result =
		hypothesis_mcnemar(s->count[1][1], s->count[1][0], s->count[0][1], s->count[0][0], STATISTICS_CONFIDENCE);

	return statistics_result(fcinfo, &result);
}

/* arm_of: an arm, unless its sums left the doubles. */
static hypothesis_arm
arm_of(const moments *m, const char *function)
{
	if (moments_overflow(m))
		statistics_overflow(function);
	return statistics_arm(m);
}

MM_FUNCTION(mm_t_test_final);
Datum
mm_t_test_final(PG_FUNCTION_ARGS)
{
	const test_state *s = final_state(fcinfo);
	hypothesis_result result =
		hypothesis_welch(arm_of(&s->m[0], "t_test"), arm_of(&s->m[1], "t_test"), STATISTICS_CONFIDENCE);

	return statistics_result(fcinfo, &result);
}

MM_FUNCTION(mm_paired_t_test_final);
Datum
mm_paired_t_test_final(PG_FUNCTION_ARGS)
{
	const test_state *s = final_state(fcinfo);
	hypothesis_result result =
		hypothesis_paired(arm_of(&s->m[2], "paired_t_test"), dd_value(arm_of(&s->m[0], "paired_t_test").mean),
						  dd_value(arm_of(&s->m[1], "paired_t_test").mean), STATISTICS_CONFIDENCE);

	return statistics_result(fcinfo, &result);
}

/* cuped_arm: the sums of one arm. */
static hypothesis_cuped_arm
cuped_arm(const comoments *c)
{
	hypothesis_cuped_arm arm = {.n = c->x.n};

	if (moments_overflow(&c->x) || moments_overflow(&c->y) || !isfinite(c->xy))
		statistics_overflow("cuped_test");
	if (arm.n > 0)
	{
		arm.mean_x = moments_mean(&c->x);
		arm.mean_y = moments_mean(&c->y);
	}
	arm.xx = c->x.m2;
	arm.xy = c->xy;
	arm.yy = c->y.m2;
	return arm;
}

MM_FUNCTION(mm_cuped_test_final);
Datum
mm_cuped_test_final(PG_FUNCTION_ARGS)
{
	const test_state *s = final_state(fcinfo);
	hypothesis_result result = hypothesis_cuped(cuped_arm(&s->c[0]), cuped_arm(&s->c[1]), STATISTICS_CONFIDENCE);

	return statistics_result(fcinfo, &result);
}
