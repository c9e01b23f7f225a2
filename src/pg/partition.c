/*
 * partition.c: the tasks of maintain(): partitions of observation and metric_sample by day (UTC), retention, the
 * default partitions, and the block-range indexes. The procedure asks for the list and runs each task in a transaction
 * of its own; a task that fails or finds a lock taken is left for the next time.
 *
 * Partitions are made ahead as plain tables and attached; dropped when their last moment is past retention, whatever
 * model_mgr.clock says of the future; those of observation only when every row of them is in the rollups. The default
 * partition is a safety net: rows of a day that is over are moved into a partition of that day. Everything made belongs
 * to the extension's owner, whoever runs it.
 */
#include "pg/mm.h"

#include "access/brin.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "pg/alert.h"
#include "pg/audit_chain.h"
#include "pg/event.h"
#include "pg/experiment.h"
#include "pg/observation.h"
#include "pg/query.h"
#include "pg/registry_backup.h"
#include "pg/rollup.h"

/* One session at a time maintains; models have positive ids, the fold has -1. */
#define MAINTENANCE_LOCK (-2)

#define DAYS_AHEAD 7
/* Minutes that one task deletes, and how long one task catches up with the hours. */
#define MINUTES_PIECE (6 * USECS_PER_HOUR)
#define MOST_PIECES 1000 /* what is older goes with the first */
#define HOURS_BUDGET (10 * USECS_PER_SEC)
/* ATTACH reads the default partition under a lock that recordings into it wait for: up to here that is short. */
#define DEFAULT_IS_SMALL "32 * 1024 * 1024"
#define FENCE "observation_default_fence"

/* The tables that are partitioned by day; the names of a partition's indexes end in what stands before their
 * definition. */
typedef struct by_day
{
	const char *table;
	const char *column;
	const char *indexes[2][2];
	const char *comment;
} by_day;

static const by_day tables[] = {
	{"observation",
	 "recorded_at",
	 {{"recorded_index", "USING brin (recorded_at) WITH (autosummarize = on)"},
	  /* Every look at pending rows reads the last range whole. In the default, which may be large, ranges are fewer. */
	  {"txn_index", "USING brin (txn) WITH (autosummarize = on, pages_per_range = 32)"}},
	 "Observations of one day (UTC)."},
	{"metric_sample",
	 "sampled_at",
	 {{"version_index", "(version_id, sampled_at)"}, {"source_index", "(source_id, sampled_at) WHERE source_id > 0"}},
	 "Reported values of one day (UTC)."},
};
#define OBSERVATION (&tables[0])

/* day_name: observation_20260131 for the day that begins at `day`. */
static char *
day_name(const by_day *t, TimestampTz day)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (timestamp2tm(day, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"),
				errdetail("No partition can be named after it."), errhint("Check model_mgr.clock."));
	return psprintf("%s_%04d%02d%02d", t->table, tm.tm_year, tm.tm_mon, tm.tm_mday);
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

/* moment: a time as SQL reads it, whatever DateStyle is. */
static char *
moment(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fsec;

	(void) timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL);
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d+00", tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
					tm.tm_sec);
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
make_partition(const by_day *t, TimestampTz day)
{
	char *name = day_name(t, day);
	const char *full = psprintf("model_mgr.%s", quote_identifier(name));
	const char *low = bound_literal(day);
	const char *high = bound_literal(day + USECS_PER_DAY);
	int64 moved;

	run_sql(psprintf("CREATE TABLE %s (LIKE model_mgr.%s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)"
					 " WITH (autovacuum_vacuum_insert_threshold = -1)",
					 full, t->table));
	run_sql(psprintf("WITH moved AS (DELETE FROM model_mgr.%s_default o WHERE o.%s >= %s AND o.%s < %s RETURNING o.*)"
					 " INSERT INTO %s SELECT * FROM moved",
					 t->table, t->column, low, t->column, high, full));
	moved = SPI_processed;
	for (int i = 0; i < lengthof(t->indexes); i++)
		run_sql(psprintf("CREATE INDEX %s ON %s %s", quote_identifier(psprintf("%s_%s", name, t->indexes[i][0])), full,
						 t->indexes[i][1]));
	run_sql(psprintf("COMMENT ON TABLE %s IS '%s'", full, t->comment));
	run_sql(psprintf("ALTER TABLE model_mgr.%s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)", t->table, full, low,
					 high));
	return moved;
}

/* drop_partition: of observation not while rows of it are not in the rollups. Locks come first: what is looked at stays
 * as it is. */
static int64
drop_partition(const by_day *t, const observation_range *range)
{
	static query waits = QUERY("SELECT EXISTS (SELECT FROM model_mgr.observation_pending o"
							   " WHERE o.recorded_at >= $1 AND o.recorded_at < $2)",
							   TIMESTAMPTZOID, TIMESTAMPTZOID);
	const char *full = psprintf("%s.%s", quote_identifier(get_namespace_name(get_rel_namespace(range->partition))),
								quote_identifier(get_rel_name(range->partition)));

	run_sql(psprintf("LOCK TABLE ONLY model_mgr.%s IN ACCESS EXCLUSIVE MODE", t->table));
	run_sql(psprintf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", full));
	if (t == OBSERVATION && query_run(&waits, time_arg(range->lower), time_arg(range->upper)) && query_bool(0, 0))
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE), errmsg("partition %s holds rows that are not rolled up", full),
				errdetail("Its last row may be younger than the last fold."),
				errhint("The next CALL model_mgr.maintain() tries again."));
	run_sql(psprintf("DROP TABLE %s", full));
	return 1;
}

/* prune_default: rows of the default partitions past retention, of observation those that the rollups hold. */
static int64
prune_default(TimestampTz limit)
{
	static query observations =
		QUERY("DELETE FROM model_mgr.observation_default o USING model_mgr.rollup_state s"
			  " WHERE o.recorded_at < $1 AND o.txn < s.next_txn AND o.txn <> ALL (s.in_progress)"
			  " AND s.installed_at = (SELECT pg_catalog.min(t.installed_at)"
			  "  FROM model_mgr.rollup_state t)",
			  TIMESTAMPTZOID);
	static query samples =
		QUERY("DELETE FROM model_mgr.metric_sample_default s WHERE s.sampled_at < $1", TIMESTAMPTZOID);

	return query_run(&observations, time_arg(limit)) + query_run(&samples, time_arg(limit));
}

/*
 * minutes_kept: minutes before may be dropped. They stay as long as an open rollout's evaluation window may need them,
 * however short perf_monitor_retention_hours is.
 */
static TimestampTz
minutes_kept(void)
{
	static query window = QUERY(
		"SELECT coalesce(pg_catalog.max(d.rollback_evaluation_window_minutes), 0)::bigint FROM model_mgr.deployment d"
		" WHERE d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::pg_catalog.text[])");
	TimestampTz now = Min(mm_now(), GetCurrentTimestamp());

	query_run(&window);
	return Min(rollup_minutes_due(), now - (query_int64(0, 0) + 1) * USECS_PER_MINUTE);
}

/* oldest_minute: the first minute that is still there, `kept` when there is none. What is very old goes with the first
 * piece. */
static TimestampTz
oldest_minute(TimestampTz kept)
{
	static query find = QUERY("SELECT least((SELECT pg_catalog.min(m.bucket) FROM model_mgr.rollup_minute m),"
							  " (SELECT pg_catalog.min(m.bucket) FROM model_mgr.rollup_metric_minute m))");

	query_run(&find);
	return query_isnull(0, 0) ? kept : Max(query_time(0, 0), kept - MOST_PIECES * MINUTES_PIECE);
}

/* prune_minutes: those before a time, of those that are given up: a reader may count on all others. */
static int64
prune_minutes(const char *before)
{
	static query minutes =
		QUERY("DELETE FROM model_mgr.rollup_minute r WHERE r.bucket < least($1::pg_catalog.timestamptz, $2,"
			  " (SELECT s.minutes_from FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1))",
			  TEXTOID, TIMESTAMPTZOID);
	static query metrics =
		QUERY("DELETE FROM model_mgr.rollup_metric_minute r WHERE r.bucket < least($1::pg_catalog.timestamptz, $2,"
			  " (SELECT s.minutes_from FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1))",
			  TEXTOID, TIMESTAMPTZOID);
	query_arg kept = time_arg(minutes_kept());

	return query_run(&minutes, text_arg(before), kept) + query_run(&metrics, text_arg(before), kept);
}

/* prune_hours: those that ended before retention. */
static int64
prune_hours(TimestampTz limit)
{
	static query hours = QUERY("DELETE FROM model_mgr.rollup_hour r WHERE r.bucket < $1", TIMESTAMPTZOID);
	static query metrics = QUERY("DELETE FROM model_mgr.rollup_metric_hour r WHERE r.bucket < $1", TIMESTAMPTZOID);

	return query_run(&hours, time_arg(limit - USECS_PER_HOUR)) + query_run(&metrics, time_arg(limit - USECS_PER_HOUR));
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

/* default_holds: whether the default partition has rows of that day. */
static bool
default_holds(const by_day *t, TimestampTz day)
{
	static query find[] = {QUERY("SELECT EXISTS (SELECT FROM model_mgr.observation_default o"
								 " WHERE o.recorded_at >= $1 AND o.recorded_at < $2)",
								 TIMESTAMPTZOID, TIMESTAMPTZOID),
						   QUERY("SELECT EXISTS (SELECT FROM model_mgr.metric_sample_default o"
								 " WHERE o.sampled_at >= $1 AND o.sampled_at < $2)",
								 TIMESTAMPTZOID, TIMESTAMPTZOID)};

	query_run(&find[t - tables], time_arg(day), time_arg(day + USECS_PER_DAY));
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

/* add_tests: a task for each ended test that still has its units. */
static void
add_tests(Tuplestorestate *out, TupleDesc descriptor, TimestampTz limit)
{
	int64 *tests;
	int n = experiment_prunable(limit, &tests);

	for (int i = 0; i < n; i++)
		add_task(out, descriptor, psprintf("prune test %lld", (long long) tests[i]));
}

MM_FUNCTION(mm_maintenance_tasks);

/* mm_maintenance_tasks: what is due, in order; nothing while another session maintains, whose locks it would wait for.
 */
Datum
mm_maintenance_tasks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz today = observation_day(Min(mm_now(), GetCurrentTimestamp()));
	TimestampTz last = observation_day(mm_now()) + DAYS_AHEAD * USECS_PER_DAY;
	TimestampTz limit = retention_limit();
	mm_scope scope;
	observation_range *ranges[lengthof(tables)];
	int counts[lengthof(tables)];
	bool large;
	bool fenced = false;
	TimestampTz kept;
	int level;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	scope = mm_enter();
	if (!mm_lock_model(MAINTENANCE_LOCK, false))
	{
		mm_leave(scope);
		return (Datum) 0;
	}
	level = rollup_plan_for_history();
	add_task(result->setResult, result->setDesc, "fold");
	add_task(result->setResult, result->setDesc, "hours");
	for (int t = 0; t < lengthof(tables); t++)
	{
		counts[t] = observation_ranges_of(tables[t].table, &ranges[t]);
		for (int i = 0; i < counts[t]; i++)
			if (!ranges[t][i].is_default && ranges[t][i].upper <= limit)
				add_task(result->setResult, result->setDesc, psprintf("drop %s", get_rel_name(ranges[t][i].partition)));
	}
	add_task(result->setResult, result->setDesc, "prune default");
	if (fence_stands())
		add_task(result->setResult, result->setDesc, "lower fence");
	large = default_is_large();
	for (const by_day *t = tables; t < tables + lengthof(tables); t++)
	{
		observation_range *own = ranges[t - tables];
		int count = counts[t - tables];
		bool fence_needed = large && t == OBSERVATION;

		/* Days that are over are moved out of the default, when nobody waits for it. */
		if (!fence_needed || !is_free(own, count, observation_day(GetCurrentTimestamp())))
			for (TimestampTz day = observation_day(limit); day < today; day += USECS_PER_DAY)
				if (is_free(own, count, day) && default_holds(t, day))
					add_task(result->setResult, result->setDesc, psprintf("create %s", day_name(t, day)));
		/* The coming days, of the extension's clock; today is left alone once it has begun in the default. */
		for (TimestampTz day = observation_day(mm_now()); day <= last; day += USECS_PER_DAY)
		{
			TimestampTz fence = observation_day(GetCurrentTimestamp()) + 2 * USECS_PER_DAY;

			if (day < today || !is_free(own, count, day) || (day == today && default_holds(t, day)))
				continue;
			if (fence_needed && day < fence)
				continue; /* goes to the default too, and is moved when it is over */
			if (fence_needed && !fenced)
			{
				add_task(result->setResult, result->setDesc, psprintf("raise fence %s", day_name(t, fence)));
				add_task(result->setResult, result->setDesc, "check fence");
				fenced = true;
			}
			add_task(result->setResult, result->setDesc, psprintf("create %s", day_name(t, day)));
		}
	}
	if (fenced)
		add_task(result->setResult, result->setDesc, "lower fence");
	/* In pieces, so that none is a long transaction; the last one also for what the fold is yet to write. */
	kept = minutes_kept();
	add_task(result->setResult, result->setDesc, "give up minutes");
	for (TimestampTz at = oldest_minute(kept); at < kept; at += MINUTES_PIECE)
		add_task(result->setResult, result->setDesc, psprintf("prune minutes %s", moment(at)));
	add_task(result->setResult, result->setDesc, psprintf("prune minutes %s", moment(kept)));
	add_task(result->setResult, result->setDesc, "prune hours");
	add_task(result->setResult, result->setDesc, "prune events");
	add_task(result->setResult, result->setDesc, "prune alerts");
	add_tests(result->setResult, result->setDesc, limit);
	if (guc_audit_retention_days > 0)
		add_task(result->setResult, result->setDesc, "prune audit");
	add_task(result->setResult, result->setDesc, "summarize");
	if (backup_due())
		add_task(result->setResult, result->setDesc, "backup");
	AtEOXact_GUC(true, level);
	mm_leave(scope);
	return (Datum) 0;
}

/* table_of_name: the table that a partition of this name belongs to. */
static const by_day *
table_of_name(const char *name)
{
	for (const by_day *t = tables; t < tables + lengthof(tables); t++)
		if (strncmp(name, t->table, strlen(t->table)) == 0 && name[strlen(t->table)] == '_')
			return t;
	return OBSERVATION;
}

/* day_of_name: the day that a name speaks of. */
static TimestampTz
day_of_name(const char *name)
{
	const char *table = table_of_name(name)->table;
	struct pg_tm tm = {0};
	TimestampTz day;
	int zone = 0;

	if (strncmp(name, table, strlen(table)) != 0 ||
		sscanf(name + strlen(table), "_%4d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3 ||
		tm2timestamp(&tm, 0, &zone, &day) != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown partition name \"%s\"", name),
				errdetail("Partitions that are made are named %s_YYYYMMDD.", table),
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
	if (strcmp(task, "hours") == 0)
	{
		int64 rows = rollup_advance_hours(GetCurrentTimestamp() + HOURS_BUDGET);

		return Max(rows, 0);
	}
	if (strcmp(task, "give up minutes") == 0)
	{
		rollup_give_up_minutes(minutes_kept());
		return 0;
	}
	if (strncmp(task, "prune minutes ", 14) == 0)
		return prune_minutes(task + 14);
	if (strcmp(task, "prune hours") == 0)
		return prune_hours(retention_limit());
	if (strcmp(task, "prune events") == 0)
		return event_prune(retention_limit());
	if (strcmp(task, "prune alerts") == 0)
		return alert_prune(retention_limit());
	if (strncmp(task, "prune test ", 11) == 0)
		return experiment_prune(pg_strtoint64(task + 11), retention_limit());
	if (strcmp(task, "prune audit") == 0)
		return guc_audit_retention_days > 0
				   ? audit_prune(Min(mm_now(), GetCurrentTimestamp()) - guc_audit_retention_days * USECS_PER_DAY, false)
				   : 0;
	if (strcmp(task, "summarize") == 0)
		return summarize();
	if (strcmp(task, "backup") == 0)
		return backup_run();
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
		const by_day *t = table_of_name(task + 7);
		observation_range *ranges;
		int count = observation_ranges_of(t->table, &ranges);
		TimestampTz day = day_of_name(task + 7);

		return is_free(ranges, count, day) ? make_partition(t, day) : 0; /* else somebody made it meanwhile */
	}
	if (strncmp(task, "drop ", 5) == 0)
	{
		const by_day *t = table_of_name(task + 5);
		observation_range *ranges;
		int count = observation_ranges_of(t->table, &ranges);

		for (int i = 0; i < count; i++)
			if (!ranges[i].is_default && ranges[i].upper <= retention_limit() &&
				strcmp(get_rel_name(ranges[i].partition), task + 5) == 0)
				return drop_partition(t, &ranges[i]);
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
