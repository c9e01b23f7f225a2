/*
 * cron.c: start() and stop(): the three drivers as pg_cron jobs of this database. Neither switches rights: a job
 * belongs to its operator and runs as that role, and pg_cron's own row security shows everybody just their own jobs.
 * Only scheduled_jobs(), which health_check() asks, looks as the extension's owner. pg_cron itself is no requirement:
 * without it CALL run(seconds) does the same from a shell.
 */
#include "pg/mm.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "pg/query.h"

static const struct job
{
	const char *task;
	const char *schedule; /* NULL: start()'s argument */
	const char *command;
	const char *routine; /* whose EXECUTE the operator needs */
} jobs[] = {
	{"tick", NULL, "SELECT * FROM model_mgr.tick()", "model_mgr.tick()"},
	{"work", "* * * * *", "CALL model_mgr.work()", "model_mgr.work()"},
	{"maintain", "0 * * * *", "CALL model_mgr.maintain()", "model_mgr.maintain()"},
};

/* enter, leave: SPI and a pinned path with the caller's own rights. */
static int
enter(void)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	return level;
}

static void
leave(int level)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, level);
}

/* database_name: of this session, for as long as the query's memory lives. */
static const char *
database_name(void)
{
	return get_database_name(MyDatabaseId);
}

/*
 * job_name: `model_mgr <database> <task>`. pg_cron keeps 63 bytes: a longer name would lose its task, so that the
 * three jobs were one; the database's name is then cut and told apart by a hash.
 */
static char *
job_name(const struct job *job)
{
	const char *database = database_name();
	char *name = psprintf("model_mgr %s %s", database, job->task);
	int room = NAMEDATALEN - 1 - (int) strlen("model_mgr ~12345678 ") - (int) strlen(job->task);

	if (strlen(name) < NAMEDATALEN)
		return name;
	return psprintf("model_mgr %.*s~%08x %s", pg_mbcliplen(database, (int) strlen(database), room), database,
					hash_bytes((const unsigned char *) database, (int) strlen(database)), job->task);
}

/* require_cron: 0A000 without pg_cron here, with the way to it. */
static void
require_cron(void)
{
	static query installed = QUERY("SELECT 1 FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_cron'");
	const char *home = GetConfigOption("cron.database_name", true, false);
	const char *database = database_name();

	if (query_run(&installed) > 0)
		return;
	if (home == NULL)
		ereport(
			ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("pg_cron is not installed"),
			errdetail("The server has not loaded it."),
			errhint(
				"Add pg_cron to shared_preload_libraries, set cron.database_name = '%s', restart the server and run CREATE EXTENSION pg_cron; or drive the clockwork without it: CALL model_mgr.run(seconds).",
				database));
	if (strcmp(home, database) == 0)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("pg_cron is not installed in this database"),
				errdetail("The server has loaded it for this database."),
				errhint("Run CREATE EXTENSION pg_cron; here, then start again."));
	ereport(
		ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("pg_cron works in another database"),
		errdetail("It schedules from \"%s\" (cron.database_name); this one is \"%s\".", home, database),
		errhint(
			"In \"%s\" run SELECT cron.schedule_in_database(%s, '* * * * *', '%s', %s); and the same for CALL model_mgr.work() and CALL model_mgr.maintain(); or CALL model_mgr.run(seconds) here.",
			home, quote_literal_cstr(job_name(&jobs[0])), jobs[0].command, quote_literal_cstr(database)));
}

/* require_primary: 25006 on a standby, which nothing but its primary can change; before all other complaints, since
 * what they ask for cannot be done there either. */
static void
require_primary(void)
{
	if (RecoveryInProgress())
		ereport(
			ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("jobs of pg_cron cannot be changed on a standby"),
			errdetail("This server is in recovery."),
			errhint(
				"Do it on the primary: the jobs come here with everything else, and begin to run when this server is promoted."));
}

/* require_schema: 42501 when the caller may not use pg_cron. */
static void
require_schema(void)
{
	static query schema = QUERY("SELECT pg_catalog.has_schema_privilege('cron', 'USAGE')");
	const char *user = GetUserNameFromId(GetUserId(), false);

	query_run(&schema);
	if (!query_bool(0, 0))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for schema cron"),
				errdetail("Role \"%s\" may not use pg_cron.", user),
				errhint("GRANT USAGE ON SCHEMA cron TO %s;", quote_identifier(user)));
}

/* require_rights: what a job needs of the role that it will run as. */
static void
require_rights(void)
{
	static query routine = QUERY("SELECT pg_catalog.has_function_privilege($1::pg_catalog.text, 'EXECUTE')", TEXTOID);
	const char *user = GetUserNameFromId(GetUserId(), false);

	require_schema();
	for (int i = 0; i < lengthof(jobs); i++)
	{
		query_run(&routine, text_arg(jobs[i].routine));
		if (!query_bool(0, 0))
			ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for %s", jobs[i].routine),
					errdetail("The job would run as \"%s\", who may not execute it.", user),
					errhint("Grant the role model_mgr_operator, or call start() as an operator."));
	}
}

/* explain_schedule: pg_cron refuses a bad schedule by name only; this adds how to write one. */
static void
explain_schedule(void *schedule)
{
	if (geterrcode() != ERRCODE_INVALID_PARAMETER_VALUE)
		return;
	errdetail("\"%s\" is no schedule that pg_cron understands.", (const char *) schedule);
	errhint("Five fields: minute, hour, day of month, month, day of week; \"* * * * *\" is every minute.");
}

/* schedule_job: makes or renews one job; returns its id. One that was switched off is made anew, which needs no right
 * on cron.alter_job. */
static int64
schedule_job(const char *name, const char *schedule, const char *command)
{
	static query drop_idle =
		QUERY("SELECT cron.unschedule(j.jobid) FROM cron.job j WHERE j.jobname::pg_catalog.text = $1"
			  " AND j.username = current_user::pg_catalog.text AND NOT j.active",
			  TEXTOID);
	static query make = QUERY("SELECT cron.schedule($1, $2, $3)", TEXTOID, TEXTOID, TEXTOID);
	ErrorContextCallback context = {
		.previous = error_context_stack, .callback = explain_schedule, .arg = (void *) schedule};

	(void) query_run(&drop_idle, text_arg(name));
	error_context_stack = &context;
	query_run(&make, text_arg(name), text_arg(schedule), text_arg(command));
	error_context_stack = context.previous;
	return query_int64(0, 0);
}

/* connection_hint: how pg_cron will log in as this role, when that may fail. */
static char *
connection_hint(void)
{
	static query login = QUERY("SELECT r.rolcanlogin FROM pg_catalog.pg_roles r WHERE r.rolname = current_user");
	const char *workers = GetConfigOption("cron.use_background_workers", true, false);
	const char *host = GetConfigOption("cron.host", true, false);
	const char *user = GetUserNameFromId(GetUserId(), false);

	query_run(&login);
	if (!query_bool(0, 0))
		return psprintf("hint: jobs log in as \"%s\", which cannot; ALTER ROLE %s LOGIN or start as another operator",
						user, quote_identifier(user));
	if (workers && strcmp(workers, "on") == 0)
		return pstrdup("hint: max_worker_processes must leave room for the jobs");
	return psprintf(
		"hint: jobs log in as \"%s\" at \"%s\": pg_hba.conf or a .pgpass file must let them, or set cron.use_background_workers = on",
		user, host && *host ? host : "the local socket");
}

/* note_of: how the job's last run went, and what to do when not well. */
static char *
note_of(int64 id)
{
	static query last = QUERY(
		"SELECT r.status, r.return_message, pg_catalog.to_char(r.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
		" FROM cron.job_run_details r WHERE r.jobid = $1 ORDER BY r.runid DESC LIMIT 1",
		INT8OID);
	char *status;
	char *message;
	char *at;

	if (query_run(&last, int64_arg(id)) == 0)
		return psprintf("no run yet; %s", connection_hint());
	status = query_text(0, 0);
	message = query_text(0, 1);
	at = query_text(0, 2);
	if (status && strcmp(status, "failed") == 0)
		return psprintf("last run failed at %s UTC: %s; %s", at ? at : "an unknown time",
						message ? message : "no message", connection_hint());
	return psprintf("ok: last run %s%s%s", status ? status : "is under way", at ? " at " : "",
					at ? psprintf("%s UTC", at) : "");
}

MM_FUNCTION(mm_start);

/* mm_start(tick_schedule text): (job_name, schedule, database, note), one row a job; again is harmless. */
Datum
mm_start(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *tick_schedule = PG_ARGISNULL(0) ? pstrdup("* * * * *") : text_to_cstring(PG_GETARG_TEXT_PP(0));
	int level;

	InitMaterializedSRF(fcinfo, 0);
	require_primary();
	level = enter();
	require_cron();
	require_rights();
	for (int i = 0; i < lengthof(jobs); i++)
	{
		const char *name = job_name(&jobs[i]);
		const char *schedule = jobs[i].schedule ? jobs[i].schedule : tick_schedule;
		int64 id = schedule_job(name, schedule, jobs[i].command);
		Datum values[4] = {CStringGetTextDatum(name), CStringGetTextDatum(schedule),
						   CStringGetTextDatum(database_name()), CStringGetTextDatum(note_of(id))};
		bool nulls[4] = {false, false, false, false};

		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	leave(level);
	return (Datum) 0;
}

MM_FUNCTION(mm_stop);

/* mm_stop(): removes the jobs of this database that the caller may see: one's own, a superuser everybody's. */
Datum
mm_stop(PG_FUNCTION_ARGS)
{
	static query drop =
		QUERY("SELECT cron.unschedule(j.jobid) FROM cron.job j WHERE j.jobname::pg_catalog.text = $1", TEXTOID);
	int32 removed = 0;
	int level;

	require_primary();
	level = enter();
	require_cron();
	require_schema();
	for (int i = 0; i < lengthof(jobs); i++)
		removed += (int32) query_run(&drop, text_arg(job_name(&jobs[i])));
	leave(level);
	PG_RETURN_INT32(removed);
}

/*
 * cron_is_readable: pg_cron's own tables are there, and the role in force may read them. That they belong to the
 * extension is checked: the role is the owner, whom a schema of that name made by somebody else must not lead anywhere.
 */
static bool
cron_is_readable(void)
{
	static query members = QUERY(
		"SELECT pg_catalog.count(*) FROM pg_catalog.pg_extension e"
		" JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
		"  AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
		" JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'r' AND c.relname = ANY ('{job,job_run_details}')"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'cron'"
		" WHERE e.extname = 'pg_cron' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
		"  AND pg_catalog.has_table_privilege(c.oid, 'SELECT')");

	query_run(&members);
	return query_int64(0, 0) == 2;
}

MM_FUNCTION(mm_scheduled_jobs);

/* mm_scheduled_jobs(): one row a job of this database, whoever made it. Of the runs only the latest 10,000 are looked
 * at: they have no index by job. */
Datum
mm_scheduled_jobs(PG_FUNCTION_ARGS)
{
	static query find = QUERY(
		"SELECT j.jobname::pg_catalog.text, $2, j.schedule::pg_catalog.text, j.username::pg_catalog.text, j.active,"
		" r.status, r.return_message, r.start_time FROM cron.job j"
		" LEFT JOIN (SELECT DISTINCT ON (l.jobid) l.jobid, l.status, l.return_message, l.start_time"
		"  FROM (SELECT d.jobid, d.runid, d.status, d.return_message, d.start_time FROM cron.job_run_details d"
		"   ORDER BY d.runid DESC LIMIT 10000) l WHERE l.status IN ('succeeded', 'failed')"
		"  ORDER BY l.jobid, l.runid DESC) r ON r.jobid = j.jobid"
		" WHERE j.jobname::pg_catalog.text = $1 ORDER BY j.jobid",
		TEXTOID, TEXTOID);
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	if (cron_is_readable())
		for (int i = 0; i < lengthof(jobs); i++)
		{
			uint64 count = query_run(&find, text_arg(job_name(&jobs[i])), text_arg(jobs[i].task));

			for (uint64 row = 0; row < count; row++)
			{
				Datum values[8];
				bool nulls[8];

				for (int column = 0; column < 8; column++)
					values[column] = query_datum(row, column, &nulls[column]);
				tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
			}
		}
	mm_leave(scope);
	return (Datum) 0;
}
