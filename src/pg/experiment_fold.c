/*
 * experiment_fold.c: the arithmetic of the fold over tests, as aggregates and functions of arrays: rows to raw sums,
 * raw sums to a unit's sums, changes of units to changes of the arm's moments.
 *
 * Raw sums (test_values): requests, then by metric three numbers: values, their sum, and their squared deviations from
 * their mean, from which sums about any anchor follow without loss. A unit's sums (test_unit_sums): by metric two
 * numbers: values, and the sum of their distances from the anchor. Moments (test_moments): by metric 15 numbers, struct
 * experiment_moments of the core. Nothing here raises an error for what COPY may have put into a row.
 */
#include "pg/experiment_store.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/numeric.h"

#include "core/moments.h"
#include "pg/query.h"

#define RAW 3
#define SUMS 2
#define MOMENTS (sizeof(experiment_moments) / sizeof(double))

/* numbers: the elements of an array of float8 without NULLs; NULL for NULL. */
static const double *
numbers(FunctionCallInfo fcinfo, int argno, int *n)
{
	ArrayType *array;

	if (PG_ARGISNULL(argno))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(argno);
	if (ARR_NDIM(array) > 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "sums of a test are damaged");
	if (n)
		*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (const double *) ARR_DATA_PTR(array);
}

/* array_of: a new array, and where its elements are to be written. */
static ArrayType *
array_of(int n, double **out)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + n * sizeof(double);
	ArrayType *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	*out = (double *) ARR_DATA_PTR(array);
	return array;
}

/* aggregate_context: where the state lives. */
static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("called outside of an aggregate"),
				errdetail("This function is a step of an aggregate over outcomes of tests."),
				errhint("Call the aggregate."));
	return context;
}

/* ---- rows to raw sums ---- */

typedef struct test_metrics
{
	int64 test_no; /* hash key */
	int count;
	struct
	{
		metric is;
		const char *name; /* of a custom one */
		int length;
	} * metrics;
} test_metrics;

typedef struct raw_sums
{
	const test_metrics *test;
	double requests;
	moments m[FLEXIBLE_ARRAY_MEMBER];
} raw_sums;

/* metrics_of: those of a test, read once a query. */
static const test_metrics *
metrics_of(FunctionCallInfo fcinfo, int64 test_no)
{
	static query find = QUERY("SELECT p.metrics FROM model_mgr.ab_test_plan p WHERE p.test_no = $1", INT8OID);
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	HTAB *known = fcinfo->flinfo->fn_extra;
	test_metrics *test;
	bool found;

	if (known == NULL)
	{
		HASHCTL control = {.keysize = sizeof(int64), .entrysize = sizeof(test_metrics), .hcxt = context};

		known = hash_create("metrics of tests", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		fcinfo->flinfo->fn_extra = known;
	}
	test = hash_search(known, &test_no, HASH_ENTER, &found);
	if (!found)
	{
		mm_scope scope;
		Datum *name = NULL;
		bool isnull = true;

		test->count = 0;
		scope = mm_enter();
		if (query_run(&find, int64_arg(test_no)) > 0)
		{
			Datum names = query_datum(0, 0, &isnull);

			if (!isnull)
				deconstruct_array(DatumGetArrayTypeP(names), TEXTOID, -1, false, TYPALIGN_INT, &name, NULL,
								  &test->count);
		}
		test->metrics = MemoryContextAlloc(context, Max(test->count, 1) * sizeof(*test->metrics));
		for (int i = 0; i < test->count; i++)
		{
			test->metrics[i].name = MemoryContextStrdup(context, TextDatumGetCString(name[i]));
			test->metrics[i].length = (int) strlen(test->metrics[i].name);
			test->metrics[i].is = metric_parse(test->metrics[i].name);
		}
		mm_leave(scope);
	}
	return test;
}

/* custom_value: a number among a row's own metrics; NaN: none. */
static double
custom_value(const Jsonb *metrics, const char *name, int length)
{
	JsonbValue *found;
	double value;

	if (metrics == NULL || !JB_ROOT_IS_OBJECT(metrics))
		return NAN;
	found = getKeyJsonValueFromContainer((JsonbContainer *) &metrics->root, name, length, NULL);
	if (found == NULL || found->type != jbvNumeric)
		return NAN;
	value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(found->val.numeric)));
	return fabs(value) <= METRIC_MAX_VALUE ? value : NAN;
}

/* The arguments of a row. */
enum
{
	ROW_PLACE = 1,
	ROW_SUCCESS,
	ROW_RESPONSE_TIME,
	ROW_CONFIDENCE,
	ROW_COST,
	ROW_INPUT_TOKENS,
	ROW_OUTPUT_TOKENS,
	ROW_FAILED,
	ROW_FEEDBACK,
	ROW_METRICS
};

/* value_of: what a row says of a metric; NaN: nothing. */
static double
value_of(FunctionCallInfo fcinfo, const test_metrics *test, int i, const Jsonb *metrics)
{
	static const int measures[] = {ROW_RESPONSE_TIME, ROW_CONFIDENCE, ROW_COST, ROW_INPUT_TOKENS, ROW_OUTPUT_TOKENS};
	const metric *m = &test->metrics[i].is;
	int argno;

	switch (m->form)
	{
		case METRIC_SUCCESS_RATE:
			return PG_ARGISNULL(ROW_SUCCESS) ? NAN : PG_GETARG_BOOL(ROW_SUCCESS);
		case METRIC_ERROR_RATE:
			return PG_GETARG_BOOL(ROW_FEEDBACK) ? NAN : PG_GETARG_BOOL(ROW_FAILED);
		case METRIC_MEAN:
			argno = measures[m->measure];
			if (PG_ARGISNULL(argno))
				return NAN;
			return argno >= ROW_INPUT_TOKENS ? (double) PG_GETARG_INT64(argno) : PG_GETARG_FLOAT8(argno);
		case METRIC_CUSTOM:
			return custom_value(metrics, test->metrics[i].name, test->metrics[i].length);
		case METRIC_QUANTILE: /* of a sketch */
		case METRIC_REQUESTS_PER_MINUTE:
			break;
	}
	return NAN;
}

MM_FUNCTION(mm_test_values_transition);
MM_FUNCTION(mm_test_values_final);

/* mm_test_values_transition: one row more. */
Datum
mm_test_values_transition(PG_FUNCTION_ARGS)
{
	raw_sums *state = PG_ARGISNULL(0) ? NULL : (raw_sums *) PG_GETARG_POINTER(0);
	const Jsonb *metrics = PG_ARGISNULL(ROW_METRICS) ? NULL : PG_GETARG_JSONB_P(ROW_METRICS);

	if (state == NULL)
	{
		const test_metrics *test = metrics_of(fcinfo, PG_GETARG_INT64(ROW_PLACE) >> 24);

		state =
			MemoryContextAllocZero(aggregate_context(fcinfo), offsetof(raw_sums, m) + test->count * sizeof(moments));
		state->test = test;
	}
	state->requests += !PG_GETARG_BOOL(ROW_FEEDBACK);
	for (int i = 0; i < state->test->count; i++)
	{
		double value = value_of(fcinfo, state->test, i, metrics);

		if (!isnan(value))
			moments_add(&state->m[i], value);
	}
	PG_RETURN_POINTER(state);
}

/* mm_test_values_final: the raw sums. */
Datum
mm_test_values_final(PG_FUNCTION_ARGS)
{
	raw_sums *state = PG_ARGISNULL(0) ? NULL : (raw_sums *) PG_GETARG_POINTER(0);
	ArrayType *array;
	double *out;

	if (state == NULL)
		PG_RETURN_NULL();
	array = array_of(1 + RAW * state->test->count, &out);
	out[0] = state->requests;
	for (int i = 0; i < state->test->count; i++)
	{
		const moments *m = &state->m[i];

		out[1 + RAW * i] = (double) m->n;
		out[2 + RAW * i] = m->n > 0 ? dd_value(dd_two_sum(m->sum.hi, m->sum.lo)) : 0;
		out[3 + RAW * i] = m->m2;
	}
	PG_RETURN_ARRAYTYPE_P(array);
}

/* ---- anchors ---- */

typedef struct anchor_state
{
	int metrics;
	struct
	{
		double stored;
		double count;
		double sum;
	} of[FLEXIBLE_ARRAY_MEMBER];
} anchor_state;

MM_FUNCTION(mm_test_anchors_transition);
MM_FUNCTION(mm_test_anchors_final);

/* mm_test_anchors_transition: the raw sums of one group more. */
Datum
mm_test_anchors_transition(PG_FUNCTION_ARGS)
{
	anchor_state *state = PG_ARGISNULL(0) ? NULL : (anchor_state *) PG_GETARG_POINTER(0);
	int metrics = 0;
	int n = 0;
	const double *stored = numbers(fcinfo, 1, &metrics);
	const double *raw = numbers(fcinfo, 2, &n);

	if (state == NULL)
	{
		state = MemoryContextAllocZero(aggregate_context(fcinfo),
									   offsetof(anchor_state, of) + metrics * sizeof(state->of[0]));
		state->metrics = metrics;
		for (int i = 0; i < metrics; i++)
			state->of[i].stored = stored[i];
	}
	for (int i = 0; i < state->metrics && 1 + RAW * (i + 1) <= n; i++)
	{
		state->of[i].count += raw[1 + RAW * i];
		state->of[i].sum += raw[2 + RAW * i];
	}
	PG_RETURN_POINTER(state);
}

/* mm_test_anchors_final: by metric the stored anchor, else the mean; NaN without values. */
Datum
mm_test_anchors_final(PG_FUNCTION_ARGS)
{
	anchor_state *state = PG_ARGISNULL(0) ? NULL : (anchor_state *) PG_GETARG_POINTER(0);
	ArrayType *array;
	double *out;

	if (state == NULL)
		PG_RETURN_NULL();
	array = array_of(state->metrics, &out);
	for (int i = 0; i < state->metrics; i++)
		out[i] = isnan(state->of[i].stored) ? state->of[i].sum / state->of[i].count : state->of[i].stored;
	PG_RETURN_ARRAYTYPE_P(array);
}

/* ---- units ---- */

/* about: a sum of `count` values from the anchor; without values there may be none. */
static double
about(double sum, double count, double anchor)
{
	return count > 0 ? sum - anchor * count : 0;
}

MM_FUNCTION(mm_test_unit_sums);

/* mm_test_unit_sums(raw float8[], old float8[], anchors float8[]): the unit's sums with these values more. */
Datum
mm_test_unit_sums(PG_FUNCTION_ARGS)
{
	int metrics = 0;
	int had = 0;
	const double *raw = numbers(fcinfo, 0, NULL);
	const double *old = numbers(fcinfo, 1, &had);
	const double *anchors = numbers(fcinfo, 2, &metrics);
	ArrayType *array;
	double *out;

	if (raw == NULL || anchors == NULL)
		PG_RETURN_NULL();
	array = array_of(SUMS * metrics, &out);
	for (int i = 0; i < metrics; i++)
	{
		out[SUMS * i] = raw[1 + RAW * i];
		out[SUMS * i + 1] = about(raw[2 + RAW * i], raw[1 + RAW * i], anchors[i]);
		if (old != NULL && SUMS * (i + 1) <= had)
		{
			out[SUMS * i] += old[SUMS * i];
			out[SUMS * i + 1] += old[SUMS * i + 1];
		}
	}
	PG_RETURN_ARRAYTYPE_P(array);
}

/* ---- moments ---- */

typedef struct moments_state
{
	int metrics;
	experiment_moments m[FLEXIBLE_ARRAY_MEMBER];
} moments_state;

/* vector: (count, sum, count before, sum before) of one metric; false when the unit has no value of it. */
static bool
vector(const double *sums, const double *before, const double *anchors, int i, double *v)
{
	if (sums == NULL || sums[SUMS * i] == 0)
		return false;
	v[0] = sums[SUMS * i];
	v[1] = sums[SUMS * i + 1];
	v[2] = before ? before[SUMS * i] : 0;
	v[3] = before ? about(before[SUMS * i + 1], before[SUMS * i], anchors[i]) : 0;
	return true;
}

/* add_alone: values that are a unit each. */
static void
add_alone(experiment_moments *m, const double *raw, double anchor)
{
	double n = raw[0];
	double sum = about(raw[1], n, anchor);

	if (n == 0)
		return;
	m->units += n;
	m->sum[0] += n;
	m->sum[1] += sum;
	m->product[0] += n;
	m->product[1] += sum;
	m->product[4] += raw[2] + sum * (sum / n);
}

MM_FUNCTION(mm_test_moments_transition);
MM_FUNCTION(mm_test_moments_final);

/* mm_test_moments_transition(raw, old, new, before_old, before_new, anchors): one unit's change more; new NULL: the raw
 * sums are of values without a unit. */
Datum
mm_test_moments_transition(PG_FUNCTION_ARGS)
{
	moments_state *state = PG_ARGISNULL(0) ? NULL : (moments_state *) PG_GETARG_POINTER(0);
	int metrics = 0;
	const double *raw = numbers(fcinfo, 1, NULL);
	const double *old = numbers(fcinfo, 2, NULL);
	const double *new = numbers(fcinfo, 3, NULL);
	const double *before_old = numbers(fcinfo, 4, NULL);
	const double *before_new = numbers(fcinfo, 5, NULL);
	const double *anchors = numbers(fcinfo, 6, &metrics);

	if (state == NULL)
	{
		state = MemoryContextAllocZero(aggregate_context(fcinfo),
									   offsetof(moments_state, m) + metrics * sizeof(experiment_moments));
		state->metrics = metrics;
	}
	for (int i = 0; i < state->metrics; i++)
	{
		double was[EXPERIMENT_SUMS];
		double is[EXPERIMENT_SUMS];

		if (new == NULL)
		{
			if (raw != NULL)
				add_alone(&state->m[i], &raw[1 + RAW * i], anchors[i]);
		}
		else if (vector(new, before_new, anchors, i, is))
			experiment_moments_change(&state->m[i], vector(old, before_old, anchors, i, was) ? was : NULL, is);
	}
	PG_RETURN_POINTER(state);
}

/* mm_test_moments_final: the changes of the moments. */
Datum
mm_test_moments_final(PG_FUNCTION_ARGS)
{
	moments_state *state = PG_ARGISNULL(0) ? NULL : (moments_state *) PG_GETARG_POINTER(0);
	ArrayType *array;
	double *out;

	if (state == NULL)
		PG_RETURN_NULL();
	array = array_of((int) MOMENTS * state->metrics, &out);
	memcpy(out, state->m, state->metrics * sizeof(experiment_moments));
	PG_RETURN_ARRAYTYPE_P(array);
}

MM_FUNCTION(mm_add_numbers);

/* mm_add_numbers(a float8[], b float8[]): element by element. */
Datum
mm_add_numbers(PG_FUNCTION_ARGS)
{
	int n = 0;
	int m = 0;
	const double *a = numbers(fcinfo, 0, &n);
	const double *b = numbers(fcinfo, 1, &m);
	double *out;
	ArrayType *array = array_of(n, &out);

	for (int i = 0; i < n; i++)
		out[i] = a[i] + (b != NULL && i < m ? b[i] : 0);
	PG_RETURN_ARRAYTYPE_P(array);
}
