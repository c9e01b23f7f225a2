/*
 * summary.c: the base type summary: input and output, send and receive, comparison, accessors, tests on summaries. A
 * datum is the stored form of core/summary.h behind a varlena header. What enters from outside is checked completely;
 * what is in tables is trusted to be a summary but never read beyond its end.
 */
#include "pg/statistics.h"

#include <math.h>

#include "common/hashfn.h"
#include "funcapi.h"
#include "libpq/pqformat.h"

#include "core/sequential.h"
#include "pg/summary.h"

Datum
summary_datum(summary *s, const char *function)
{
	bytea *result;
	size_t size;

	if (moments_overflow(&s->m))
		statistics_overflow(function);
	result = palloc(VARHDRSZ + summary_size(s));
	size = summary_encode(s, (unsigned char *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + size);
	return PointerGetDatum(result);
}

void
summary_damaged(void)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("a stored summary is damaged"),
			errdetail("Its bytes are not those of a summary, or the counts of several exceed a bigint together."),
			errhint("Find the row by casting to text row by row, and restore or delete it."));
}

/* An argument of type summary, without a copy where it needs none. */
#define SUMMARY_ARG(n) PG_GETARG_BYTEA_PP(n)
#define SUMMARY_BYTES(b) ((const unsigned char *) VARDATA_ANY(b))
#define SUMMARY_LENGTH(b) ((size_t) VARSIZE_ANY_EXHDR(b))

/* read_head: head of argument n. */
static summary_head
read_head(FunctionCallInfo fcinfo, int argno)
{
	bytea *b = SUMMARY_ARG(argno);
	summary_head head;

	if (!summary_read(SUMMARY_BYTES(b), SUMMARY_LENGTH(b), &head))
		summary_damaged();
	return head;
}

MM_FUNCTION(mm_summary_in);
Datum
mm_summary_in(PG_FUNCTION_ARGS)
{
	summary s;
	const char *wrong;
	Datum result;

	summary_init(&s, statistics_memory, NULL);
	wrong = summary_from_text(PG_GETARG_CSTRING(0), &s);
	if (wrong == NULL)
	{
		result = summary_datum(&s, "summary");
		wrong = summary_check((unsigned char *) VARDATA(DatumGetPointer(result)),
							  VARSIZE(DatumGetPointer(result)) - VARHDRSZ);
	}
	if (wrong != NULL)
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid input syntax for type summary"),
				errdetail("The text is refused: %s.", wrong), errhint("Make summaries with summarize() and merge()."));
	PG_RETURN_DATUM(result);
}

MM_FUNCTION(mm_summary_out);
Datum
mm_summary_out(PG_FUNCTION_ARGS)
{
	bytea *b = SUMMARY_ARG(0);
	char *text;

	(void) read_head(fcinfo, 0);
	text = palloc(SUMMARY_TEXT_MAX);
	summary_to_text(SUMMARY_BYTES(b), SUMMARY_LENGTH(b), text);
	PG_RETURN_CSTRING(text);
}

MM_FUNCTION(mm_summary_recv);
Datum
mm_summary_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int length = in->len - in->cursor;
	const unsigned char *bytes = (const unsigned char *) pq_getmsgbytes(in, length);
	const char *wrong = summary_check(bytes, length);
	bytea *result;

	if (wrong != NULL)
		ereport(ERROR, errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid binary form of type summary"),
				errdetail("The %d bytes are refused: %s.", length, wrong),
				errhint("Send what summary_send gave on a server of this or an earlier version."));
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), bytes, length);
	PG_RETURN_BYTEA_P(result);
}

MM_FUNCTION(mm_summary_send);
Datum
mm_summary_send(PG_FUNCTION_ARGS)
{
	bytea *b = SUMMARY_ARG(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbytes(&out, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

/* compare: order of the stored bytes: no meaning, but total, and equal only for equal contents. */
static int
compare(FunctionCallInfo fcinfo)
{
	bytea *a = SUMMARY_ARG(0);
	bytea *b = SUMMARY_ARG(1);
	int m = VARSIZE_ANY_EXHDR(a);
	int n = VARSIZE_ANY_EXHDR(b);
	int order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(m, n));

	/* a sort compares often: copies of toasted values must not pile up */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order != 0 ? (order > 0 ? 1 : -1) : (m > n) - (m < n);
}

MM_FUNCTION(mm_summary_cmp);
Datum
mm_summary_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

MM_FUNCTION(mm_summary_eq);
Datum
mm_summary_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

MM_FUNCTION(mm_summary_ne);
Datum
mm_summary_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

MM_FUNCTION(mm_summary_lt);
Datum
mm_summary_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

MM_FUNCTION(mm_summary_le);
Datum
mm_summary_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

MM_FUNCTION(mm_summary_gt);
Datum
mm_summary_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

MM_FUNCTION(mm_summary_ge);
Datum
mm_summary_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

MM_FUNCTION(mm_summary_hash);
Datum
mm_summary_hash(PG_FUNCTION_ARGS)
{
	bytea *b = SUMMARY_ARG(0);

	Datum hash = hash_any(SUMMARY_BYTES(b), (int) SUMMARY_LENGTH(b));

	PG_FREE_IF_COPY(b, 0);
	return hash;
}

MM_FUNCTION(mm_summary_hash_extended);
Datum
mm_summary_hash_extended(PG_FUNCTION_ARGS)
{
	bytea *b = SUMMARY_ARG(0);

	Datum hash = hash_any_extended(SUMMARY_BYTES(b), (int) SUMMARY_LENGTH(b), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(b, 0);
	return hash;
}

MM_FUNCTION(mm_summary_add);
Datum
mm_summary_add(PG_FUNCTION_ARGS)
{
	summary s;

	summary_init(&s, statistics_memory, NULL);
	for (int i = 0; i < 2; i++)
	{
		bytea *b = SUMMARY_ARG(i);

		if (!summary_merge(&s, SUMMARY_BYTES(b), SUMMARY_LENGTH(b)))
			summary_damaged();
	}
	PG_RETURN_DATUM(summary_datum(&s, "summary_add"));
}

MM_FUNCTION(mm_summary_count);
Datum
mm_summary_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(read_head(fcinfo, 0).m.n);
}

MM_FUNCTION(mm_summary_sum);
Datum
mm_summary_sum(PG_FUNCTION_ARGS)
{
	summary_head head = read_head(fcinfo, 0);

	if (head.m.n == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(dd_value(head.m.sum));
}

MM_FUNCTION(mm_summary_mean);
Datum
mm_summary_mean(PG_FUNCTION_ARGS)
{
	summary_head head = read_head(fcinfo, 0);

	if (head.m.n == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(dd_value(moments_mean(&head.m)));
}

MM_FUNCTION(mm_summary_variance);
Datum
mm_summary_variance(PG_FUNCTION_ARGS)
{
	summary_head head = read_head(fcinfo, 0);

	if (head.m.n < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(moments_variance(&head.m));
}

MM_FUNCTION(mm_summary_stddev);
Datum
mm_summary_stddev(PG_FUNCTION_ARGS)
{
	summary_head head = read_head(fcinfo, 0);

	if (head.m.n < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sqrt(moments_variance(&head.m)));
}

MM_FUNCTION(mm_summary_min);
Datum
mm_summary_min(PG_FUNCTION_ARGS)
{
	summary_head head = read_head(fcinfo, 0);

	if (head.m.n == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(head.min);
}

MM_FUNCTION(mm_summary_max);
Datum
mm_summary_max(PG_FUNCTION_ARGS)
{
	summary_head head = read_head(fcinfo, 0);

	if (head.m.n == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(head.max);
}

MM_FUNCTION(mm_summary_quantile);
Datum
mm_summary_quantile(PG_FUNCTION_ARGS)
{
	bytea *b = SUMMARY_ARG(0);
	double q = statistics_float(fcinfo, 1, "q", 0, 1, false);
	double value = summary_quantile(SUMMARY_BYTES(b), SUMMARY_LENGTH(b), q);

	if (isnan(value))
	{
		if (read_head(fcinfo, 0).m.n > 0)
			summary_damaged();
		PG_RETURN_NULL();
	}
	PG_RETURN_FLOAT8(value);
}

/* arm: argument n as an arm of a test; a NULL summary is one of no values. */
static hypothesis_arm
arm(FunctionCallInfo fcinfo, int argno)
{
	summary_head head;

	if (PG_ARGISNULL(argno))
		return (hypothesis_arm){0, {0, 0}, NAN};
	head = read_head(fcinfo, argno);
	return statistics_arm(&head.m);
}

MM_FUNCTION(mm_welch_test);
Datum
mm_welch_test(PG_FUNCTION_ARGS)
{
	hypothesis_result result = hypothesis_welch(arm(fcinfo, 0), arm(fcinfo, 1), statistics_confidence(fcinfo, 2));

	return statistics_result(fcinfo, &result);
}

MM_FUNCTION(mm_anytime_ci);
Datum
mm_anytime_ci(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	double value[3];
	Datum datum[3];
	bool isnull[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("anytime_ci returns a row"),
				errdetail("The call gives no place for it."), errhint("Use SELECT * FROM model_mgr.anytime_ci(...)."));
	sequential_anytime(arm(fcinfo, 0), arm(fcinfo, 1), statistics_confidence(fcinfo, 2), &value[0], &value[1],
					   &value[2]);
	for (int i = 0; i < 3; i++)
		datum[i] = Float8GetDatum(value[i]);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), datum, isnull));
}
