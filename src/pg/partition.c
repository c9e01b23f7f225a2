/*
 * partition.c: the tasks of maintain(): partitions of observation by day (UTC), retention, the default partition, and
 * the block-range indexes. The procedure asks for the list and runs each task in a transaction of its own; a task that
 * fails or finds a lock taken is left for the next time.
 *
 * Partitions are made ahead as plain tables and attached; dropped when their last moment is past retention, whatever
 * model_mgr.clock says of the future, and only when every row of them is in the rollups. The default partition is a
 * safety net: rows of a day that is over are moved into a partition of that day. Everything made belongs to the
 * extension's owner, whoever runs it.
 */
#include "pg/mm.h"

#include "access/brin.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "pg/alert.h"
#include "pg/event.h"
#include "pg/observation.h"
#include "pg/query.h"
#include "pg/rollup.h"

/* One session at a time maintains; models have positive ids, the fold has -1. */
#define MAINTENANCE_LOCK (-2)

#define DAYS_AHEAD 7
/* ATTACH reads the default partition under a lock that recordings into it wait for: up to here that is short. */
#define DEFAULT_IS_SMALL "32 * 1024 * 1024"
#define FENCE "observation_default_fence"
#define NAME_PREFIX "observation_"

/* day_name: observation_20260131 for the day that begins at `day`. */
static char *
day_name(TimestampTz day)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (timestamp2tm(day, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"),
				errdetail("No partition can be named after it."), errhint("Check model_mgr.clock."));
	return psprintf(NAME_PREFIX "%04d%02d%02d", tm.tm_year, tm.tm_mon, tm.tm_mday);
}

/* bound_literal: the beginning of a day as DDL spells it, whatever DateStyle is. */
static char *
bound_literal(TimestampTz day)
{
	struct pg_tm tm;
	fsec_t fsec;

	(void) timestamp2tm(day, NULL, &tm, &fsec, NULL, NULL);
	return psprintf("'%04d-%02d-%02d 00:00:00+00'", tm.tm_year, tm.tm_mon, tm.tm_mday);
}

/* day_of: the beginning of the day, in UTC. */
static TimestampTz
day_of(TimestampTz at)
{
	TimestampTz into = at % USECS_PER_DAY;

	return at - (into < 0 ? into + USECS_PER_DAY : into);
}

/* retention_limit: what ended before may go. A clock set into the future must not delete the past. */
static TimestampTz
retention_limit(void)
{
	return Min(mm_now(), GetCurrentTimestamp()) - guc_retention_days * USECS_PER_DAY;
}

/* run_sql: one statement without parameters; names in it are quoted by the caller. */
static void
run_sql(const char *sql)
{
	int result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "could not run (%s): %s", SPI_result_code_string(result), sql);
}

/* make_partition: a partition for one day, with the rows of that day that lie in the default partition. */
static int64
make_partition(TimestampTz day)
{
	char *name = day_name(day);
	const char *full = psprintf("model_mgr.%s", quote_identifier(name));
	const char *low = bound_literal(day);
	const char *high = bound_literal(day + USECS_PER_DAY);
	int64 moved;

	run_sql(psprintf("CREATE TABLE %s (LIKE model_mgr.observation INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
					 " WITH (autovacuum_vacuum_insert_threshold = -1)",
					 full));
	run_sql(psprintf("WITH moved AS (DELETE FROM model_mgr.observation_default o WHERE o.recorded_at >= %s AND"
					 " o.recorded_at < %s RETURNING o.*) INSERT INTO %s SELECT * FROM moved",
					 low, high, full));
	moved = SPI_processed;
	run_sql(psprintf("CREATE INDEX %s ON %s USING brin (recorded_at) WITH (autosummarize = on)",
					 quote_identifier(psprintf("%s_recorded_index", name)), full));
	run_sql(psprintf("CREATE INDEX %s ON %s USING brin (txn) WITH (autosummarize = on)",
					 quote_identifier(psprintf("%s_txn_index", name)), full));
	run_sql(psprintf("COMMENT ON TABLE %s IS 'Observations of one day (UTC).'", full));
	run_sql(psprintf("ALTER TABLE model_mgr.observation ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)", full, low,
					 high));
	return moved;
}

/* drop_partition: unless rows of it are not in the rollups. Locks come first: what is looked at stays as it is. */
static int64
drop_partition(const observation_range *range)
{
	static query waits = QUERY("SELECT EXISTS (SELECT FROM model_mgr.observation_pending o"
							   " WHERE o.recorded_at >= $1 AND o.recorded_at < $2)",
							   TIMESTAMPTZOID, TIMESTAMPTZOID);
	const char *full = psprintf("%s.%s", quote_identifier(get_namespace_name(get_rel_namespace(range->partition))),
								quote_identifier(get_rel_name(range->partition)));

	run_sql("LOCK TABLE ONLY model_mgr.observation IN ACCESS EXCLUSIVE MODE");
	run_sql(psprintf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", full));
	query_run(&waits, time_arg(range->lower), time_arg(range->upper));
	if (query_bool(0, 0))
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE), errmsg("partition %s holds rows that are not rolled up", full),
				errdetail("Its last row may be younger than the last fold."),
				errhint("The next CALL model_mgr.maintain() tries again."));
	run_sql(psprintf("DROP TABLE %s", full));
	return 1;
}

/* prune_default: rows of the default partition past retention that the rollups hold. */
static int64
prune_default(TimestampTz limit)
{
	static query prune = QUERY("DELETE FROM model_mgr.observation_default o USING model_mgr.rollup_state s"
							   " WHERE o.recorded_at < $1 AND o.txn < s.next_txn AND o.txn <> ALL (s.in_progress)"
							   " AND s.installed_at = (SELECT pg_catalog.min(t.installed_at)"
							   "  FROM model_mgr.rollup_state t)",
							   TIMESTAMPTZOID);

	return query_run(&prune, time_arg(limit));
}

/* prune_rollups: minutes past retention. */
static int64
prune_rollups(TimestampTz limit)
{
	static query prune = QUERY("DELETE FROM model_mgr.rollup_minute r WHERE r.bucket < $1", TIMESTAMPTZOID);

	return query_run(&prune, time_arg(limit));
}

/* summarize: block ranges that no autovacuum has summarised yet, of every partition that nobody maintains just now. */
static int64
summarize(void)
{
	static query indexes = QUERY(
		"SELECT i.indexrelid::bigint, i.indrelid::bigint FROM pg_catalog.pg_partition_tree('model_mgr.observation') t"
		" JOIN pg_catalog.pg_index i ON i.indrelid = t.relid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
		" JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE m.amname = 'brin' AND c.relkind = 'i'");
	uint64 count = query_run(&indexes);
	Oid *list = palloc(Max(count, 1) * 2 * sizeof(Oid));
	int64 done = 0;

	for (uint64 i = 0; i < count; i++)
	{
		list[2 * i] = (Oid) query_int64(i, 0);
		list[2 * i + 1] = (Oid) query_int64(i, 1);
	}
	for (uint64 i = 0; i < count; i++)
		if (ConditionalLockRelationOid(list[2 * i + 1], ShareUpdateExclusiveLock))
			done += DatumGetInt32(DirectFunctionCall1(brin_summarize_new_values, ObjectIdGetDatum(list[2 * i])));
	return done;
}

/* holds_rows: whether the default partition has rows of that day. */
static bool
default_holds(TimestampTz day)
{
	static query find = QUERY("SELECT EXISTS (SELECT FROM model_mgr.observation_default o"
							  " WHERE o.recorded_at >= $1 AND o.recorded_at < $2)",
							  TIMESTAMPTZOID, TIMESTAMPTZOID);

	query_run(&find, time_arg(day), time_arg(day + USECS_PER_DAY));
	return query_bool(0, 0);
}

/* default_is_large: attaching a partition would make recordings into the default wait. */
static bool
default_is_large(void)
{
	static query size =
		QUERY("SELECT pg_catalog.pg_relation_size('model_mgr.observation_default') > " DEFAULT_IS_SMALL);

	query_run(&size);
	return query_bool(0, 0);
}

/* fence_stands: left over when maintain() was interrupted. */
static bool
fence_stands(void)
{
	static query find =
		QUERY("SELECT FROM pg_catalog.pg_constraint c"
			  " WHERE c.conrelid = 'model_mgr.observation_default'::regclass AND c.conname = '" FENCE "'");

	return query_run(&find) > 0;
}

/*
 * The fence: a check on the default partition that spares ATTACH the reading, since it says that no row there is of the
 * days to come. It begins two days ahead, further than any recording function accepts; checking the rows takes long
 * and blocks nobody.
 */
static int64
raise_fence(TimestampTz from)
{
	run_sql(psprintf("ALTER TABLE model_mgr.observation_default ADD CONSTRAINT " FENCE
					 " CHECK (recorded_at < timestamptz %s) NOT VALID",
					 bound_literal(from)));
	return 0;
}

/* is_free: no partition but the default takes any moment of that day. */
static bool
is_free(const observation_range *ranges, int count, TimestampTz day)
{
	for (int i = 0; i < count; i++)
		if (ranges[i].lower < day + USECS_PER_DAY && ranges[i].upper > day && !ranges[i].is_default)
			return false;
	return true;
}

static void
add_task(Tuplestorestate *out, TupleDesc descriptor, const char *task)
{
	Datum value = CStringGetTextDatum(task);
	bool isnull = false;

	tuplestore_putvalues(out, descriptor, &value, &isnull);
}

MM_FUNCTION(mm_maintenance_tasks);

/* mm_maintenance_tasks: what is due, in order; nothing while another session maintains, whose locks it would wait for.
 */
Datum
mm_maintenance_tasks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz today = day_of(Min(mm_now(), GetCurrentTimestamp()));
	TimestampTz last = day_of(mm_now()) + DAYS_AHEAD * USECS_PER_DAY;
	TimestampTz limit = retention_limit();
	mm_scope scope;
	observation_range *ranges;
	bool large;
	bool fenced = false;
	int count;
	int level;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	scope = mm_enter();
	if (!mm_lock_model(MAINTENANCE_LOCK, false))
	{
		mm_leave(scope);
		return (Datum) 0;
	}
	level = rollup_plan_for_history();
	count = observation_ranges(&ranges);
	add_task(result->setResult, result->setDesc, "fold");
	for (int i = 0; i < count; i++)
		if (!ranges[i].is_default && ranges[i].upper <= limit)
			add_task(result->setResult, result->setDesc, psprintf("drop %s", get_rel_name(ranges[i].partition)));
	add_task(result->setResult, result->setDesc, "prune default");
	if (fence_stands())
		add_task(result->setResult, result->setDesc, "lower fence");
	large = default_is_large();
	/* Days that are over are moved out of the default, when nobody waits for it. */
	if (!large || !is_free(ranges, count, day_of(GetCurrentTimestamp())))
		for (TimestampTz day = day_of(limit); day < today; day += USECS_PER_DAY)
			if (is_free(ranges, count, day) && default_holds(day))
				add_task(result->setResult, result->setDesc, psprintf("create %s", day_name(day)));
	/* The coming days, of the extension's clock; today is left alone once it has begun in the default. */
	for (TimestampTz day = day_of(mm_now()); day <= last; day += USECS_PER_DAY)
	{
		TimestampTz fence = day_of(GetCurrentTimestamp()) + 2 * USECS_PER_DAY;

		if (day < today || !is_free(ranges, count, day) || (day == today && default_holds(day)))
			continue;
		if (large && day < fence)
			continue; /* goes to the default too, and is moved when it is over */
		if (large && !fenced)
		{
			add_task(result->setResult, result->setDesc, psprintf("raise fence %s", day_name(fence)));
			add_task(result->setResult, result->setDesc, "check fence");
			fenced = true;
		}
		add_task(result->setResult, result->setDesc, psprintf("create %s", day_name(day)));
	}
	if (fenced)
		add_task(result->setResult, result->setDesc, "lower fence");
	add_task(result->setResult, result->setDesc, "prune rollups");
	add_task(result->setResult, result->setDesc, "prune events");
	add_task(result->setResult, result->setDesc, "prune alerts");
	add_task(result->setResult, result->setDesc, "summarize");
	AtEOXact_GUC(true, level);
	mm_leave(scope);
	return (Datum) 0;
}

/* day_of_name: the day that a name speaks of. */
static TimestampTz
day_of_name(const char *name)
{
	struct pg_tm tm = {0};
	TimestampTz day;
	int zone = 0;

	if (sscanf(name, NAME_PREFIX "%4d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3 ||
		tm2timestamp(&tm, 0, &zone, &day) != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown partition name \"%s\"", name),
				errdetail("Partitions that are made are named " NAME_PREFIX "YYYYMMDD."),
				errhint("maintenance_tasks() lists what is due."));
	return day;
}

static int64
run_task(const char *task)
{
	if (strcmp(task, "fold") == 0)
	{
		int64 folded = rollup_fold(0);

		return Max(folded, 0);
	}
	if (strcmp(task, "prune default") == 0)
		return prune_default(retention_limit());
	if (strcmp(task, "prune rollups") == 0)
		return prune_rollups(retention_limit());
	if (strcmp(task, "prune events") == 0)
		return event_prune(retention_limit());
	if (strcmp(task, "prune alerts") == 0)
		return alert_prune(retention_limit());
	if (strcmp(task, "summarize") == 0)
		return summarize();
	if (strncmp(task, "raise fence ", 12) == 0)
		return raise_fence(day_of_name(task + 12));
	if (strcmp(task, "check fence") == 0)
	{
		run_sql("ALTER TABLE model_mgr.observation_default VALIDATE CONSTRAINT " FENCE);
		return 0;
	}
	if (strcmp(task, "lower fence") == 0)
	{
		run_sql("ALTER TABLE model_mgr.observation_default DROP CONSTRAINT IF EXISTS " FENCE);
		return 0;
	}
	if (strncmp(task, "create ", 7) == 0)
	{
		observation_range *ranges;
		int count = observation_ranges(&ranges);
		TimestampTz day = day_of_name(task + 7);

		return is_free(ranges, count, day) ? make_partition(day) : 0; /* else somebody made it meanwhile */
	}
	if (strncmp(task, "drop ", 5) == 0)
	{
		observation_range *ranges;
		int count = observation_ranges(&ranges);

		for (int i = 0; i < count; i++)
			if (!ranges[i].is_default && ranges[i].upper <= retention_limit() &&
				strcmp(get_rel_name(ranges[i].partition), task + 5) == 0)
				return drop_partition(&ranges[i]);
		return 0; /* somebody else did */
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown maintenance task \"%s\"", task),
			errdetail("A task is made by maintenance_tasks() and run in a transaction of its own."),
			errhint("Use CALL model_mgr.maintain()."));
	return 0;
}

MM_FUNCTION(mm_maintenance_run);

/* mm_maintenance_run: one task; returns how much it did. Nothing while another session maintains: it does the same. */
Datum
mm_maintenance_run(PG_FUNCTION_ARGS)
{
	char *task = mm_text_arg(fcinfo, 0, "task", true);
	mm_scope scope = mm_enter();
	int level = rollup_plan_for_history();
	int64 done;

	(void) set_config_option("lock_timeout", "100", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	done = mm_lock_model(MAINTENANCE_LOCK, false) ? run_task(task) : 0;
	AtEOXact_GUC(true, level);
	mm_leave(scope);
	PG_RETURN_INT64(done);
}
