/*
 * record_insert.c: appending rows to observation.
 */
#include "pg/record.h"

#include "miscadmin.h"

#include "pg/query.h"
#include "pg/txn.h"

void
record_insert(const char *function, record_row *rows, int64 count)
{
	static query insert =
		QUERY("INSERT INTO model_mgr.observation SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
			  " $12, $13, $14, $15, $16, $17, $18, $19",
			  TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT4OID, INT8OID, INT2OID, INT8OID, INT8OID,
			  BOOLOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT8OID, INT8OID, TEXTOID, BOOLOID, JSONBOID);
	mm_scope scope;

	PreventCommandIfReadOnly(function);
	scope = mm_enter();
	for (int64 i = 0; i < count; i++)
	{
		query_arg args[RECORD_COLUMNS];

		record_set(&rows[i], RECORD_TXN, Int64GetDatum(txn_key()));
		for (int column = 0; column < RECORD_COLUMNS; column++)
			args[column] = datum_arg(rows[i].values[column], rows[i].nulls[column]);
		(void) query_run_args(&insert, RECORD_COLUMNS, args);
	}
	mm_leave(scope);
}

/* Until routing has its decisions. */
void
record_set_decision(record_row *row, const char *decision, int length)
{
	mm_not_built("record_outcome", "Use update_model_metrics() with the version that served.");
}
