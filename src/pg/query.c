/*
 * query.c: SQL from C: prepared once a session, typed parameters, readers of the result, jsonb objects. The only file
 * that calls SPI_prepare.
 */
#include "pg/query.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

query_arg
datum_arg(Datum value, bool isnull)
{
	return (query_arg){value, isnull};
}

query_arg
text_arg(const char *value)
{
	return value ? datum_arg(CStringGetTextDatum(value), false) : null_arg();
}

query_arg
int64_arg(int64 value)
{
	return datum_arg(Int64GetDatum(value), false);
}

query_arg
int32_arg(int32 value)
{
	return datum_arg(Int32GetDatum(value), false);
}

query_arg
float8_arg(double value)
{
	return datum_arg(Float8GetDatum(value), false);
}

query_arg
bool_arg(bool value)
{
	return datum_arg(BoolGetDatum(value), false);
}

query_arg
time_arg(TimestampTz value)
{
	return datum_arg(TimestampTzGetDatum(value), false);
}

query_arg
jsonb_arg(const Jsonb *value)
{
	return value ? datum_arg(PointerGetDatum(value), false) : null_arg();
}

/* prepare: the plan, made once a session; the arguments go into values and nulls as SPI wants them. */
static void
prepare(query *q, int nargs, const query_arg *args, Datum *values, char *nulls)
{
	int ntypes = 0;

	while (ntypes < QUERY_MAX_ARGS && OidIsValid(q->types[ntypes]))
		ntypes++;
	if (ntypes != nargs)
		elog(ERROR, "query takes %d parameters, %d were given: %s", ntypes, nargs, q->sql);
	for (int i = 0; i < nargs; i++)
	{
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	nulls[nargs] = '\0';

	if (q->plan == NULL)
	{
		SPIPlanPtr plan = SPI_prepare(q->sql, nargs, q->types);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare: %s", q->sql);
		q->plan = plan;
	}
}

uint64
query_run_args(query *q, int nargs, const query_arg *args)
{
	Datum values[QUERY_MAX_ARGS];
	char nulls[QUERY_MAX_ARGS + 1];
	int result;

	prepare(q, nargs, args, values, nulls);
	/* Beside a parallel query nothing can have been written that the statement's snapshot misses. */
	result = SPI_execute_plan(q->plan, values, nulls, q->read_only || IsInParallelMode(), 0);
	if (result < 0)
		elog(ERROR, "could not run (%s): %s", SPI_result_code_string(result), q->sql);
	return SPI_processed;
}

Portal
query_open_args(query *q, int nargs, const query_arg *args)
{
	Datum values[QUERY_MAX_ARGS];
	char nulls[QUERY_MAX_ARGS + 1];

	prepare(q, nargs, args, values, nulls);
	return SPI_cursor_open(NULL, q->plan, values, nulls, q->read_only || IsInParallelMode());
}

void
query_forget(query *q)
{
	SPIPlanPtr plan = q->plan;
	char *sql = unconstify(char *, q->sql);

	q->plan = NULL;
	q->sql = NULL;
	if (plan != NULL)
		SPI_freeplan(plan);
	if (sql != NULL)
		pfree(sql);
}

void
query_snapshot_push(void)
{
	/* Beside a parallel query there is one snapshot for all, and nothing has been written. */
	if (IsInParallelMode())
	{
		PushActiveSnapshot(GetActiveSnapshot());
		return;
	}
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
}

Datum
query_datum(uint64 row, int column, bool *isnull)
{
	if (SPI_tuptable == NULL || row >= SPI_tuptable->numvals)
		elog(ERROR, "row %llu of a result that has fewer", (unsigned long long) row);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1, isnull);
}

bool
query_isnull(uint64 row, int column)
{
	bool isnull;

	(void) query_datum(row, column, &isnull);
	return isnull;
}

int64
query_int64(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
query_int32(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

double
query_float8(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? NAN : DatumGetFloat8(value);
}

bool
query_bool(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}

TimestampTz
query_time(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

char *
query_text(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Jsonb *
query_jsonb(uint64 row, int column)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

Datum
query_result_row(void)
{
	bool isnull;
	Datum value = query_datum(0, 0, &isnull);

	if (isnull)
		elog(ERROR, "null where a row was expected");
	return SPI_datumTransfer(value, false, -1);
}

Datum
query_result_text(const char *text)
{
	return SPI_datumTransfer(CStringGetTextDatum(text), false, -1);
}

/* push_value: one JSON value of a pair. */
static void
push_value(JsonbParseState **state, const json_pair *pair)
{
	JsonbValue value;
	char time[MAXDATELEN + 1];
	int utc = 0;

	memset(&value, 0, sizeof(value));
	value.type = jbvNull;
	switch (pair->type)
	{
		case JSON_TIME:
		case JSON_TEXT:
		{
			const char *text = pair->text;

			if (pair->type == JSON_TIME)
				text = JsonEncodeDateTime(time, TimestampTzGetDatum(pair->integer), TIMESTAMPTZOID, &utc);
			if (text)
			{
				value.type = jbvString;
				value.val.string.val = pstrdup(text);
				value.val.string.len = strlen(text);
			}
			break;
		}
		case JSON_NUMBER:
			if (isfinite(pair->number))
			{
				value.type = jbvNumeric;
				value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(pair->number)));
			}
			break;
		case JSON_EXACT:
			if (isfinite(pair->number))
			{
				/* By way of text: the server's cast rounds to 15 digits. */
				char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

				double_to_shortest_decimal_buf(pair->number, digits);
				value.type = jbvNumeric;
				value.val.numeric = DatumGetNumeric(DirectFunctionCall3(
					numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
			}
			break;
		case JSON_INTEGER:
			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(pair->integer);
			break;
		case JSON_BOOLEAN:
			value.type = jbvBool;
			value.val.boolean = pair->integer != 0;
			break;
		case JSON_OBJECT:
			if (pair->object)
			{
				Jsonb *object = (Jsonb *) pair->object;

				/* A bare scalar is stored as an array of one; take it out. */
				if (!JB_ROOT_IS_SCALAR(object) || !JsonbExtractScalar(&object->root, &value))
				{
					value.type = jbvBinary;
					value.val.binary.data = &object->root;
					value.val.binary.len = VARSIZE_ANY_EXHDR(object);
				}
			}
			break;
	}
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

Jsonb *
json_build_pairs(int n, const json_pair *pairs)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbValue key;

		key.type = jbvString;
		key.val.string.val = pstrdup(pairs[i].key);
		key.val.string.len = strlen(pairs[i].key);
		(void) pushJsonbValue(&state, WJB_KEY, &key);
		push_value(&state, &pairs[i]);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
