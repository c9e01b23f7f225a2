/*
 * chart.c: the drawings of core/chart.h as SQL functions, for dashboard and ab_test_status, in the alphabet that
 * model_mgr.chart_charset asks for, where server and client can show it.
 */
#include "pg/mm.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/float.h"

#include "core/chart.h"
#include "pg/guc.h"

#define MAX_WIDTH 1000

static bool
unicode(void)
{
	if (GetDatabaseEncoding() != PG_UTF8 || guc_chart_charset == CHART_CHARSET_ASCII)
		return false;
	return guc_chart_charset == CHART_CHARSET_UNICODE || pg_get_client_encoding() == PG_UTF8;
}

static int32
width_arg(FunctionCallInfo fcinfo, int argno)
{
	int32 width = PG_GETARG_INT32(argno);

	if (width < 1 || width > MAX_WIDTH)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"width\" is out of range"),
				errdetail("The value %d is outside 1 to %d.", width, MAX_WIDTH),
				errhint("It is a number of columns of a terminal."));
	return width;
}

MM_FUNCTION(mm_chart_spark);

/* mm_chart_spark(values): a column a value; NULL elements are blanks. */
Datum
mm_chart_spark(PG_FUNCTION_ARGS)
{
	Datum *elements;
	bool *nulls;
	double *values;
	char *out;
	int n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements,
					  &nulls, &n);
	values = palloc(sizeof(double) * (n + 1));
	out = palloc(CHART_COLUMN * (n + 1));
	for (int i = 0; i < n; i++)
		values[i] = nulls[i] ? get_float8_nan() : DatumGetFloat8(elements[i]);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out, (int) chart_spark(out, values, n, unicode())));
}

MM_FUNCTION(mm_chart_bar);

/* mm_chart_bar(fraction, width) */
Datum
mm_chart_bar(PG_FUNCTION_ARGS)
{
	int32 width = width_arg(fcinfo, 1);
	char *out = palloc(CHART_COLUMN * width);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(out, (int) chart_bar(out, PG_GETARG_FLOAT8(0), width, unicode())));
}

MM_FUNCTION(mm_chart_interval);

/* mm_chart_interval(low, estimate, high, axis_low, axis_high, width) */
Datum
mm_chart_interval(PG_FUNCTION_ARGS)
{
	int32 width = width_arg(fcinfo, 5);
	char *out = palloc(CHART_COLUMN * width);
	size_t length = chart_interval(out, PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2),
								   PG_GETARG_FLOAT8(3), PG_GETARG_FLOAT8(4), width, unicode());

	PG_RETURN_TEXT_P(cstring_to_text_with_len(out, (int) length));
}

MM_FUNCTION(mm_chart_track);

/* mm_chart_track(step, steps) */
Datum
mm_chart_track(PG_FUNCTION_ARGS)
{
	char out[CHART_COLUMN * CHART_TRACK_COLUMNS];
	size_t length = chart_track(out, PG_GETARG_INT32(0), PG_GETARG_INT32(1), unicode());

	PG_RETURN_TEXT_P(cstring_to_text_with_len(out, (int) length));
}

MM_FUNCTION(mm_chart_text);

/* mm_chart_text(value, width): by way of UTF-8, which the core reads. */
Datum
mm_chart_text(PG_FUNCTION_ARGS)
{
	char *value = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int32 width = width_arg(fcinfo, 1);
	bool other = GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII;
	char *utf8 = other ? pg_server_to_any(value, (int) strlen(value), PG_UTF8) : value;
	size_t length = strlen(utf8);
	char *out = palloc(length + CHART_COLUMN + 1);

	length = chart_fit(out, utf8, length, width, unicode());
	out[length] = '\0';
	PG_RETURN_TEXT_P(cstring_to_text(other ? pg_any_to_server(out, (int) length, PG_UTF8) : out));
}
