/*
 * user_code.c: the one place that runs code which users registered. It runs as the role that registered it, within
 * these walls:
 *
 *   - a security-restricted operation: no SET ROLE or SET SESSION AUTHORIZATION, no temporary objects, no deferred
 *     triggers (which would run at commit as who calls work()), no LISTEN, PREPARE or cursors beyond the transaction;
 *   - a settings level of its own: settings that decide what names mean and whether policies hold are those of a fresh
 *     session, whatever the session of work() has, and what the code sets is undone;
 *   - an internal subtransaction: it cannot commit, and when it fails nothing of it stays;
 *   - two timers: the first cancels as a cancel request would, the second ends the session, since code may catch a
 *     cancellation and go on, and an error could be caught again.
 *
 * Only a cancellation that the server itself raised goes on to the caller; the SQLSTATE alone can be forged.
 */
#include "pg/user_code.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "pg/query.h"

/* From the cancellation to the end of the session: as long again, but not longer than this. */
#define GRACE_SECONDS 10.0
#define CALL_SECONDS 60.0
/* A mark this young may be of a session that has not come to the call yet. */
#define GAP_SECONDS 5

static volatile sig_atomic_t out_of_time;
static volatile sig_atomic_t ended;
static TimeoutId cancel_limit = MAX_TIMEOUTS;
static TimeoutId end_limit = MAX_TIMEOUTS;
static bool running;

/* on_cancel_limit: signal handler: cancels what runs, like a cancel request. */
static void
on_cancel_limit(void)
{
	out_of_time = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* on_end_limit: signal handler: ends the session, like pg_terminate_backend(); no code can catch that. */
static void
on_end_limit(void)
{
	ended = true;
	InterruptPending = true;
	ProcDiePending = true;
	SetLatch(MyLatch);
}

/* tell_why: the server says "administrator command" when on_end_limit struck; the log should say more. */
static void
tell_why(int code, Datum argument)
{
	if (ended)
		ereport(LOG, errmsg("model_mgr ended this session: user code in it went on after its cancellation"),
				errhint("What ran then is disabled by the next work()."));
}

/* begin_limits: from here on time counts. */
static void
begin_limits(double seconds)
{
	double grace = Min(seconds, GRACE_SECONDS);

	if (cancel_limit == MAX_TIMEOUTS)
	{
		cancel_limit = RegisterTimeout(USER_TIMEOUT, on_cancel_limit);
		end_limit = RegisterTimeout(USER_TIMEOUT, on_end_limit);
		before_shmem_exit(tell_why, (Datum) 0);
	}
	out_of_time = false;
	enable_timeout_after(cancel_limit, Max(1, (int) (seconds * 1000)));
	enable_timeout_after(end_limit, Max(2, (int) ((seconds + grace) * 1000)));
}

/* end_limits: nobody else must be cancelled by a limit that struck after the work was done. */
static void
end_limits(void)
{
	if (cancel_limit == MAX_TIMEOUTS)
		return;
	disable_timeout(cancel_limit, false);
	disable_timeout(end_limit, false);
	if (out_of_time)
		QueryCancelPending = false;
}

/* pin: one setting, until the end of the present settings level. */
static void
pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * pin_settings: what decides which objects a name means, and which rows a query sees, is not the choice of who happens
 * to call work(). search_path is the server's default with pg_temp last: where it is not named it would come first, and
 * the caller's temporary tables, with triggers, could stand in for the code's own.
 */
static void
pin_settings(void)
{
	pin("search_path", "\"$user\", public, pg_temp");
	pin("row_security", "on");
	pin("transform_null_equals", "off");
	pin("standard_conforming_strings", "on");
}

/* really_cancelled: the server's own cancellation, which goes on; RAISE with its SQLSTATE is an error like others. */
static bool
really_cancelled(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->funcname != NULL &&
		   strcmp(error->funcname, "ProcessInterrupts") == 0;
}

/* reason: what is stored of an error, cut between two characters. */
static char *
reason(const ErrorData *error, double seconds)
{
	char *text;

	if (out_of_time)
		return psprintf("it was cancelled after %g seconds", seconds);
	text = psprintf("%s (SQLSTATE %s)", error->message ? error->message : "no message",
					unpack_sql_state(error->sqlerrcode));
	text[pg_mbcliplen(text, strlen(text), USER_CODE_ERROR_MAX)] = '\0';
	return text;
}

double
user_code_seconds(void)
{
	return Min(CALL_SECONDS, guc_validation_timeout);
}

/* run_in_subtransaction: the part of user_code_run that may fail. */
static void
run_in_subtransaction(Oid role, double seconds, void (*body)(void *argument), void *argument)
{
	Oid user;
	int security_context;
	int guc_level = NewGUCNestLevel();

	pin_settings();
	GetUserIdAndSecContext(&user, &security_context);
	/* The owner's exemption from row security by force is not for others. */
	SetUserIdAndSecContext(role, (security_context & ~SECURITY_NOFORCE_RLS) | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION);
	begin_limits(seconds);
	body(argument);
	end_limits();
	/* It caught the cancellation and came to an end all the same; it has had more than its time. */
	if (out_of_time)
		ereport(ERROR, errcode(ERRCODE_QUERY_CANCELED), errmsg("out of time"));
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, security_context);
}

bool
user_code_run(Oid role, double seconds, void (*body)(void *argument), void *argument, char **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;
	mm_outer outer;

	/* One timer, one mark: code that calls what runs code has no business here. */
	if (running)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("registered code must not run registered code"),
				errdetail("A callback, validator or metric source is running in this session."),
				errhint("Leave the calling to work()."));
	outer = mm_step_out();
	*error = NULL;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		running = true;
		run_in_subtransaction(role, seconds, body, argument);
		running = false;
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		mm_step_back(outer);
		done = true;
	}
	PG_CATCH();
	{
		ErrorData *caught;

		end_limits();
		running = false;
		MemoryContextSwitchTo(context);
		caught = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		mm_step_back(outer);
		if (!out_of_time && really_cancelled(caught))
			ReThrowError(caught);
		*error = reason(caught, seconds);
		FreeErrorData(caught);
	}
	PG_END_TRY();
	return done;
}

/* What call_function needs and finds. */
typedef struct call
{
	const char *name;
	const Jsonb *argument;
	MemoryContext context; /* for the result */
	bool want;
	Jsonb *result;
} call;

/* function_name: schema.name, quoted as needed; NULL when there is no such function. */
static char *
function_name(Oid function)
{
	char *name = get_func_name(function);
	char *space = name ? get_namespace_name(get_func_namespace(function)) : NULL;

	return space ? quote_qualified_identifier(space, name) : NULL;
}

/* call_function: by name, as the role: it needs USAGE of the schema as in any session of its own. One jsonb says
 * whatever shape the result has; making it may run code too (casts), so it is made here. */
static void
call_function(void *argument)
{
	call *c = argument;
	Oid type = JSONBOID;
	Datum value = PointerGetDatum(c->argument);
	char *sql = psprintf(c->want ? "SELECT pg_catalog.to_jsonb(r) FROM %s($1) AS r"
								 : "SELECT pg_catalog.count(*) FROM %s($1) AS r",
						 c->name);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* One row is read; more of them would only fill memory. */
	if (SPI_execute_with_args(sql, 1, &type, &value, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not call %s", c->name);
	if (c->want && SPI_processed > 0)
	{
		bool isnull;
		Datum result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
		{
			MemoryContext before = MemoryContextSwitchTo(c->context);

			c->result = DatumGetJsonbPCopy(result);
			MemoryContextSwitchTo(before);
		}
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

bool
user_code_call(const user_code *code, double seconds, const Jsonb *argument, Datum *result, bool *isnull, char **error)
{
	const char *lost = user_code_lost(code);
	call c = {.argument = argument, .context = CurrentMemoryContext, .want = result != NULL};

	if (lost)
	{
		*error = pstrdup(lost);
		return false;
	}
	c.name = function_name(code->function);
	if (!user_code_run(code->role, seconds, call_function, &c, error))
		return false;
	if (result)
		*result = PointerGetDatum(c.result);
	if (isnull)
		*isnull = c.result == NULL;
	return true;
}

/* signature_of: schema.name(jsonb) for a function of exactly one jsonb, else NULL. */
static char *
signature_of(Oid function, Form_pg_proc form)
{
	if (form->prokind != PROKIND_FUNCTION || form->pronargs != 1 || form->proargtypes.values[0] != JSONBOID ||
		OidIsValid(form->provariadic))
		return NULL;
	return psprintf("%s(jsonb)", function_name(function));
}

/* result_of: what a function returns, in the words of user_code_check; NULL: rows whose columns only a caller knows. */
static char *
result_of(Oid function)
{
	Oid type;
	TupleDesc columns;
	StringInfoData text;

	switch (get_func_result_type(function, &type, &columns))
	{
		case TYPEFUNC_COMPOSITE:
			break;
		case TYPEFUNC_RECORD:
			return NULL;
		default:
			return format_type_be(type);
	}
	initStringInfo(&text);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped)
			appendStringInfo(&text, "%s%s %s", text.len == 0 ? "record(" : ", ", NameStr(column->attname),
							 format_type_be(column->atttypid));
	}
	appendStringInfoChar(&text, ')');
	return text.data;
}

void
user_code_check(Oid function, const char *result, user_code *out)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	char *has;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function with OID %u does not exist", function),
				errdetail("It may have been dropped."),
				errhint("Pass its name and argument, as in 'public.f(jsonb)'."));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	out->function = function;
	out->signature = signature_of(function, form);
	if (out->signature == NULL)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("%s is not a function of one jsonb", format_procedure(function)),
				errdetail("It would be called with one argument of type jsonb."),
				errhint("Declare it as %s(jsonb), a plain function.", NameStr(form->proname)));
	has = result_of(function);
	if (has == NULL || (result != NULL && strcmp(has, result) != 0))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("%s does not return %s", format_procedure(function), result ? result : "what can be called"),
				has ? errdetail("It returns %s.", has)
					: errdetail("It returns record, and does not say of which columns."),
				errhint("Declare it with %s as its result.", result ? result : "void"));
	out->role = mm_caller();
	out->role_name = GetUserNameFromId(out->role, false);
	/* Membership is not enough: the function's owner could then put its own code into the caller's hands. */
	if (form->proowner != out->role)
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("%s is not owned by \"%s\"", format_procedure(function), out->role_name),
				errdetail("It belongs to \"%s\", and would run with the rights of \"%s\".",
						  GetUserNameFromId(form->proowner, true), out->role_name),
				errhint("Register it as its owner, or make a function of your own that calls it."));
	ReleaseSysCache(tuple);
}

void
user_code_check_remover(const char *role_name, const char *what)
{
	static query administers =
		QUERY("SELECT pg_catalog.has_function_privilege($1::bigint::oid,"
			  " 'model_mgr.setup_roles(text, text, text, text)'::pg_catalog.regprocedure, 'EXECUTE')",
			  INT8OID);
	Oid role = get_role_oid(role_name, true);

	if (has_privs_of_role(mm_caller(), mm_owner()) || (OidIsValid(role) && has_privs_of_role(mm_caller(), role)))
		return;
	query_run(&administers, int64_arg(mm_caller()));
	if (!query_bool(0, 0))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to remove %s", what),
				errdetail("It was registered by role \"%s\"; the caller is \"%s\".", role_name, mm_caller_name()),
				errhint("Ask a member of that role or an administrator of model_mgr."));
}

char *
user_code_origin(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

const char *
user_code_role_lost(Oid role, const char *role_name)
{
	char *present = GetUserNameFromId(role, true);

	if (present == NULL)
		return psprintf("role \"%s\" does not exist any more", role_name);
	if (strcmp(present, role_name) != 0)
		return psprintf("role \"%s\" is called \"%s\" now", role_name, present);
	return NULL;
}

const char *
user_code_lost(const user_code *code)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(code->function));
	const char *lost = user_code_role_lost(code->role, code->role_name);

	if (!HeapTupleIsValid(tuple))
		return psprintf("function %s does not exist any more", code->signature);
	if (lost == NULL)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
		char *signature = signature_of(code->function, form);

		if (signature == NULL || strcmp(signature, code->signature) != 0)
			lost = psprintf("function %s has another name or argument now", code->signature);
		else if (form->proowner != code->role)
			lost = psprintf("function %s is not owned by role \"%s\" any more", code->signature, code->role_name);
	}
	ReleaseSysCache(tuple);
	return lost;
}

/* function_of: the function that has this signature now, or InvalidOid. */
static Oid
function_of(const char *signature)
{
	LOCAL_FCINFO(call, 1);
	Datum function;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = CStringGetTextDatum(signature);
	call->args[0].isnull = false;
	function = to_regprocedure(call);
	return call->isnull ? InvalidOid : DatumGetObjectId(function);
}

const char *
user_code_find(user_code *code, bool same_origin)
{
	const char *lost = user_code_lost(code);
	const char *lost_too;
	user_code named = *code;

	if (lost == NULL)
		return NULL;
	named.function = function_of(code->signature);
	if (!OidIsValid(named.function))
		return lost;
	/* Where OIDs are those of the registration, a role of the same name is another one. */
	if (!same_origin)
		named.role = get_role_oid(named.role_name, true);
	lost_too = OidIsValid(named.role) ? user_code_lost(&named)
									  : psprintf("role \"%s\" does not exist any more", named.role_name);
	if (lost_too)
		return named.function == code->function ? lost : lost_too;
	*code = named;
	return NULL;
}

user_code_mark
user_code_marked(TimestampTz started_at, int32 started_by)
{
	/* A mark of one's own was left by a call that somebody cancelled. */
	if (started_at < PgStartTime || started_by == MyProcPid)
		return USER_CODE_FREE;
	if (BackendPidGetProc(started_by) == NULL)
		return USER_CODE_LEFT;
	return started_at > GetCurrentTimestamp() - GAP_SECONDS * USECS_PER_SEC ? USER_CODE_BUSY : USER_CODE_FREE;
}
