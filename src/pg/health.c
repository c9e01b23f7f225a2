/*
 * health.c: what health_check() cannot find out in SQL: the session's settings before anything of the library has run,
 * and assert_healthy(), which raises. The rest is SQL in sql/75_health.sql.
 */
#include "pg/mm.h"

#include "utils/guc.h"

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
