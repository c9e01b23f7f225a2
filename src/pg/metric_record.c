/*
 * metric_record.c: record_performance(): values that come already aggregated. They are kept apart from observations,
 * in metric_sample, and speak only where no request does.
 */
#include "pg/metric.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pg/query.h"
#include "pg/record.h"
#include "pg/registry.h"

MM_FUNCTION(mm_record_performance);

/* mm_record_performance: a sample a key of the object. */
Datum
mm_record_performance(PG_FUNCTION_ARGS)
{
	static query add = QUERY(
		"INSERT INTO model_mgr.metric_sample (sampled_at, version_id, metric_name, value)"
		" SELECT $1, $2, m.metric_name, m.value FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4)) m (metric_name, value)",
		TIMESTAMPTZOID, INT8OID, TEXTARRAYOID, FLOAT8ARRAYOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version = mm_text_arg(fcinfo, 1, "model_version", true);
	registry_version found;
	record_row row;
	Jsonb *metrics;
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue number;
	Datum *names;
	Datum *values;
	int count = 0;
	mm_scope scope;

	mm_require(fcinfo, 2, "metrics");
	metrics = PG_GETARG_JSONB_P(2);
	record_clear(&row);
	if (!PG_ARGISNULL(3))
		record_set(&row, RECORD_RECORDED_AT, PG_GETARG_DATUM(3));
	record_check_time(&row);
	record_set_metrics(&row, metrics);

	names = palloc(sizeof(Datum) * (JB_ROOT_COUNT(metrics) + 1));
	values = palloc(sizeof(Datum) * (JB_ROOT_COUNT(metrics) + 1));
	it = JsonbIteratorInit(&metrics->root);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char *name = pnstrdup(key.val.string.val, key.val.string.len);
		metric m = metric_parse(name);
		double low;
		double high;

		(void) JsonbIteratorNext(&it, &number, true);
		names[count] = CStringGetTextDatum(metric_canonical(name));
		values[count] = DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(number.val.numeric));
		metric_range(&m, &low, &high);
		mm_check_float(name, DatumGetFloat8(values[count++]), low, high);
	}
	scope = mm_enter();
	(void) registry_find_version(model_name, version, false, &found);
	if (count > 0)
		query_run(&add, time_arg(DatumGetTimestampTz(row.values[RECORD_RECORDED_AT])), int64_arg(found.version_id),
				  datum_arg(PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT)), false),
				  datum_arg(PointerGetDatum(construct_array(values, count, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
															TYPALIGN_DOUBLE)),
							false));
	mm_leave(scope);
	PG_RETURN_VOID();
}
