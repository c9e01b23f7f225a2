/*
 * health.c: what health_check() and the health dashboard cannot find out in SQL: the session's settings before anything
 * of the library has run, the default partition, which only the owner reads, and the metrics of all models in one
 * reading. The rest is SQL in sql/75_health.sql.
 */
#include "pg/mm.h"

#include <math.h>

#include "funcapi.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

#include "pg/metric_internal.h"
#include "pg/query.h"
#include "pg/rollup.h"

MM_FUNCTION(mm_setting_value);

/* mm_setting_value(name): being here means the library is loaded and its settings are known. */
Datum
mm_setting_value(PG_FUNCTION_ARGS)
{
	const char *value = GetConfigOption(psprintf("model_mgr.%s", text_to_cstring(PG_GETARG_TEXT_PP(0))), true, false);

	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

MM_FUNCTION(mm_default_partition_oldest);

/* mm_default_partition_oldest(before): by the block-range index, as today's rows may be many and have no statistics. */
Datum
mm_default_partition_oldest(PG_FUNCTION_ARGS)
{
	static query find = QUERY("SELECT pg_catalog.min(o.recorded_at) FROM model_mgr.observation_default o"
							  " WHERE o.recorded_at < $1",
							  TIMESTAMPTZOID);
	mm_scope scope = mm_enter();
	int level = rollup_plan_for_history();
	TimestampTz oldest;
	bool none;

	query_run(&find, time_arg(PG_GETARG_TIMESTAMPTZ(0)));
	none = query_isnull(0, 0);
	oldest = query_time(0, 0);
	AtEOXact_GUC(true, level);
	mm_leave(scope);
	if (none)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(oldest);
}

MM_FUNCTION(mm_active_metrics);

/* mm_active_metrics(minutes_back): get_current_metrics() of every active version, in one reading of the window: a
 * reading a model would go through the rows not folded yet, and the window's first minute, as often as there are
 * models. */
Datum
mm_active_metrics(PG_FUNCTION_ARGS)
{
	static query active = QUERY("SELECT v.version_id FROM model_mgr.model_version v WHERE v.status = 'active'");
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	int32 minutes = PG_GETARG_INT32(0);
	TimestampTz now = mm_now();
	metric_question question = {.since = now - minutes * USECS_PER_MINUTE,
								.until = now,
								.quantiles = true,
								.exact = true,
								.every_custom = true};
	int64 *ids;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	question.versions = (int) query_run(&active);
	ids = palloc(sizeof(int64) * (question.versions + 1));
	for (int i = 0; i < question.versions; i++)
		ids[i] = query_int64(i, 0);
	question.version_ids = ids;
	if (question.versions > 0)
	{
		metric_answer *answer = metric_read(&question);
		const char **names;
		int count;

		metric_read_reported(&question, answer);
		names = metric_names(answer, &count);
		for (int i = 0; i < question.versions; i++)
			for (int name = 0; name < count; name++)
			{
				metric_point point = metric_point_of(answer, ids[i], DT_NOBEGIN, names[name], minutes);
				Datum values[6] = {Int64GetDatum(ids[i]),
								   CStringGetTextDatum(names[name]),
								   Float8GetDatum(point.value),
								   Int64GetDatum(point.samples),
								   CStringGetTextDatum(point.reported ? "reported" : "observed"),
								   TimestampTzGetDatum(point.last_at)};
				bool nulls[6] = {false, false, isnan(point.value), false, false, false};

				if (point.samples > 0)
					tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
			}
	}
	mm_leave(scope);
	return (Datum) 0;
}
