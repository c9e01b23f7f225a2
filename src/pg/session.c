/*
 * session.c: who calls, whose rights are used, and the checks that every argument passes. Functions that write run as
 * the extension's owner between mm_enter and mm_leave, so that no other role needs rights on any relation; SQL-level
 * SECURITY DEFINER would hide the caller and cost more.
 */
#include "pg/mm.h"

#include <math.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "common/int.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#define MM_LOCK_KEY 0x6d6d6772 /* "mmgr" */

/* The outermost scope in force, for audit rows: who called before rights were switched. */
static Oid outer_user = InvalidOid;
static int outer_nest_level;
static bool callbacks_registered;

/* forget_outer: an error left a scope without mm_leave; the server has restored user and settings, this forgets too. */
static void
forget_outer_xact(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		outer_user = InvalidOid;
}

static void
forget_outer_subxact(SubXactEvent event, SubTransactionId my, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && outer_nest_level >= GetCurrentTransactionNestLevel())
		outer_user = InvalidOid;
}

Oid
mm_relation(const char *name)
{
	Oid space = get_namespace_oid("model_mgr", true);
	Oid relation = OidIsValid(space) ? get_relname_relid(name, space) : InvalidOid;

	if (!OidIsValid(relation))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"model_mgr.%s\" does not exist", name),
				errhint("Create the extension in this database with CREATE EXTENSION model_mgr."));
	return relation;
}

Oid
mm_owner(void)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(mm_relation("model")));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation model_mgr.model");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static bool version_agreed;
static uint64 functions_changed;

/* forget_version: some function was made or changed, as ALTER EXTENSION UPDATE does. */
static void
forget_version(Datum argument, int cache, uint32 hash)
{
	version_agreed = false;
	functions_changed++;
}

/*
 * require_version: 55000 while the SQL objects are of another version than this library: between the installation of
 * new files and ALTER EXTENSION, and in sessions that loaded the old library before it. Routing and recording, which do
 * not come here, go on. Asked once, and again after functions have changed.
 */
static void
require_version(void)
{
	static bool registered;
	uint64 changed;
	char *version;
	Relation catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;
	bool isnull;

	if (likely(version_agreed))
		return;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, forget_version, (Datum) 0);
		registered = true;
	}
	changed = functions_changed;
	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("model_mgr"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	row = systable_getnext(scan);
	version =
		HeapTupleIsValid(row)
			? TextDatumGetCString(heap_getattr(row, Anum_pg_extension_extversion, RelationGetDescr(catalog), &isnull))
			: pstrdup("none");
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (strcmp(version, MODEL_MGR_VERSION) == 0)
	{
		/* What changed while this was read counts the next time. */
		version_agreed = changed == functions_changed;
		return;
	}
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("model_mgr is of version %s here, its library of version %s", version, MODEL_MGR_VERSION),
			errdetail("The library works with the SQL objects of its own version; route() and recordings go on."),
			errhint("Run ALTER EXTENSION model_mgr UPDATE, and reconnect sessions that loaded an older library."));
}

mm_scope
mm_enter(void)
{
	mm_scope scope;
	Oid owner = mm_owner();

	require_version();

	if (!callbacks_registered)
	{
		RegisterXactCallback(forget_outer_xact, NULL);
		RegisterSubXactCallback(forget_outer_subxact, NULL);
		callbacks_registered = true;
	}
	GetUserIdAndSecContext(&scope.user, &scope.security_context);
	scope.outermost = !OidIsValid(outer_user);
	if (scope.outermost)
	{
		outer_user = scope.user;
		outer_nest_level = GetCurrentTransactionNestLevel();
	}
	scope.guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, scope.security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	return scope;
}

void
mm_leave(mm_scope scope)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, scope.guc_level);
	SetUserIdAndSecContext(scope.user, scope.security_context);
	if (scope.outermost)
		outer_user = InvalidOid;
}

const char *
mm_session_user_name(void)
{
	return GetUserNameFromId(GetSessionUserId(), false);
}

const char *
mm_caller_name(void)
{
	return GetUserNameFromId(mm_caller(), false);
}

Oid
mm_caller(void)
{
	return OidIsValid(outer_user) ? outer_user : GetUserId();
}

mm_outer
mm_step_out(void)
{
	mm_outer outer = {outer_user, outer_nest_level};

	outer_user = InvalidOid;
	return outer;
}

void
mm_step_back(mm_outer outer)
{
	outer_user = outer.user;
	outer_nest_level = outer.nest_level;
}

void
mm_refuse_user_code(const char *message, const char *hint)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("%s", message),
				errdetail("This session runs code in a security-restricted operation."), errhint("%s", hint));
}

const char *
mm_by(const char *given)
{
	return given ? given : mm_session_user_name();
}

/* lock_tag: as an advisory lock, but of a type that no SQL function takes: any role that may connect can hold advisory
 * locks, and with them all deployments, rollbacks and ticks. The number keeps clear of other extensions' locks. */
static LOCKTAG
lock_tag(int64 id)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (MM_LOCK_KEY ^ (uint32) (id >> 32)), (uint32) id, 2);
	tag.locktag_type = LOCKTAG_USERLOCK;
	return tag;
}

bool
mm_lock_model(int64 model_id, bool wait)
{
	LOCKTAG tag = lock_tag(model_id);

	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

bool
mm_lock_shared(int64 id, bool wait)
{
	LOCKTAG tag = lock_tag(id);

	return LockAcquire(&tag, ShareLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
mm_unlock(int64 id)
{
	LOCKTAG tag = lock_tag(id);

	(void) LockRelease(&tag, ExclusiveLock, false);
}

bool
mm_attempt(int64 (*work)(int64), int64 argument, int64 *items, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;
	int64 volatile result = 0;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		result = work(argument);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		*error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if ((*error)->sqlerrcode == ERRCODE_QUERY_CANCELED || (*error)->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(*error);
	}
	PG_END_TRY();
	*items = result;
	return done;
}

bool
mm_guarded(int64 (*work)(int64), int64 argument, const char *what, int64 *items)
{
	ErrorData *error;

	if (mm_attempt(work, argument, items, &error))
		return true;
	ereport(WARNING, errcode(error->sqlerrcode), errmsg("%s failed: %s", what, error->message),
			error->detail ? errdetail("%s", error->detail) : 0,
			errhint("The others went on; the next tick tries again."));
	FreeErrorData(error);
	return false;
}

void
mm_require(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" must not be null", name),
				errdetail("The argument has no default."), errhint("Pass a value: %s => ...", name));
}

char *
mm_text_arg(FunctionCallInfo fcinfo, int argno, const char *name, bool required)
{
	if (required)
		mm_require(fcinfo, argno, name);
	return PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

void
mm_check_name(const char *what, const char *name)
{
	size_t length = strlen(name);

	if (length == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_NAME), errmsg("%s must not be empty", what),
				errdetail("Names have 1 to 255 bytes."), errhint("Choose a name."));
	if (length > 255)
		ereport(ERROR, errcode(ERRCODE_NAME_TOO_LONG), errmsg("%s is too long", what),
				errdetail("It has %zu bytes; names have 1 to 255.", length), errhint("Choose a shorter name."));
	for (const unsigned char *c = (const unsigned char *) name; *c; c++)
	{
		/* U+0080 to U+009F steer terminals like those below the blank; UTF-8 writes them as 0xc2 and one byte. */
		bool high = *c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f && GetDatabaseEncoding() == PG_UTF8;

		if (*c < 0x20 || *c == 0x7f || high)
			ereport(ERROR, errcode(ERRCODE_INVALID_NAME), errmsg("%s must not contain control characters", what),
					errdetail("Byte %d is 0x%02x.", (int) (c - (const unsigned char *) name) + 1, high ? c[1] : *c),
					errhint("Remove the character."));
	}
}

void
mm_check_float(const char *name, double value, double low, double high)
{
	if (isnan(value) || isinf(value))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" must be a finite number", name),
				errdetail("The value is %s.", isnan(value) ? "NaN"
											  : value > 0  ? "Infinity"
														   : "-Infinity"),
				errhint("Pass NULL where the value is not known."));
	if (value < low || value > high)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value %g is outside %g to %g.", value, low, high),
				errhint("Pass a value in that range."));
}

mm_literal
mm_read_time(const char *literal, TimestampTz *time)
{
	char work[MAXDATELEN + MAXDATEFIELDS];
	char *field[MAXDATEFIELDS];
	int ftype[MAXDATEFIELDS];
	int nf;
	int dtype;
	int tz = 0;
	struct pg_tm tm;
	fsec_t fsec;

	if (ParseDateTime(literal, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nf) != 0 ||
		compat_decode_datetime(field, ftype, nf, &dtype, &tm, &fsec, &tz) != 0)
		return MM_LITERAL_BAD;
	switch (dtype)
	{
		case DTK_LATE:
			*time = DT_NOEND;
			return MM_LITERAL_GOOD;
		case DTK_EARLY:
			*time = DT_NOBEGIN;
			return MM_LITERAL_GOOD;
		case DTK_EPOCH:
			*time = SetEpochTimestamp();
			return MM_LITERAL_GOOD;
		case DTK_DATE:
			return tm2timestamp(&tm, fsec, &tz, time) == 0 ? MM_LITERAL_GOOD : MM_LITERAL_BEYOND;
		default:
			return MM_LITERAL_BAD;
	}
}

/* time_of: a time argument, or the usual one for NULL. */
static TimestampTz
time_of(FunctionCallInfo fcinfo, int argno, const char *name, TimestampTz otherwise)
{
	TimestampTz at = PG_ARGISNULL(argno) ? otherwise : PG_GETARG_TIMESTAMPTZ(argno);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", name),
				errdetail("The value is %s.", pstrdup(timestamptz_to_str(at))),
				errhint("Give a time within what is kept, or NULL."));
	return at;
}

void
mm_window_args(FunctionCallInfo fcinfo, int since_argno, int until_argno, TimestampTz *since, TimestampTz *until)
{
	int64 length;

	*until = time_of(fcinfo, until_argno, "until", mm_now());
	*since = time_of(fcinfo, since_argno, "since", *until - USECS_PER_DAY);
	/* Callers cut the time into slots, which begin up to a slot's width before it and end as much behind. */
	if (!IS_VALID_TIMESTAMP(*since) || pg_sub_s64_overflow(*until, *since, &length) || length > PG_INT64_MAX / 2)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"since\" is out of range"),
				errdetail("It lies too far before %s.", pstrdup(timestamptz_to_str(*until))),
				errhint("Give a time within what is kept, or NULL."));
	if (*since > *until)
		ereport(
			ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"since\" is after \"until\""),
			errdetail("%s comes after %s.", pstrdup(timestamptz_to_str(*since)), pstrdup(timestamptz_to_str(*until))),
			errhint("Exchange them, or leave both out for the last 24 hours."));
}
