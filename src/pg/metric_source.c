/*
 * metric_source.c: metric sources: registering tables and views, and one turn of work() for each. A turn reads the last
 * hour again, so that late and changed rows come right; a new source begins perf_monitor_retention_hours ago and goes
 * on in slices, which get smaller when they fail and larger when they go well. What fails is left for a while, what
 * takes its session down is disabled; the same registration again takes it up again.
 *
 * Relation and role are known by OID and by name, and both must agree; after a restore into another database, where
 * OIDs mean nothing, names are what there is, as for everything that a dump restores.
 */
#include "pg/metric_source.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/metric.h"
#include "pg/audit.h"
#include "pg/query.h"
#include "pg/user_code.h"

#define OVERLAP USECS_PER_HOUR
#define FIRST_SLICE 86400
#define LEAST_SLICE 60
#define LARGEST_SLICE (7 * 86400)
#define LONGEST_DELAY USECS_PER_HOUR

/* relation_name: schema.name, quoted as needed; NULL when it does not exist. */
static char *
relation_name(Oid relation)
{
	char *name = get_rel_name(relation);
	char *space = name ? get_namespace_name(get_rel_namespace(relation)) : NULL;

	return space ? quote_qualified_identifier(space, name) : NULL;
}

/* relation_by_name: the opposite, without asking for rights, which are the reader's affair. */
static Oid
relation_by_name(const char *name)
{
	List *names = textToQualifiedNameList(cstring_to_text(name));
	Oid space = list_length(names) == 2 ? get_namespace_oid(strVal(linitial(names)), true) : InvalidOid;

	return OidIsValid(space) ? get_relname_relid(strVal(lsecond(names)), space) : InvalidOid;
}

/* owner_of: of a relation. */
static Oid
owner_of(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* may_select: on the relation, or on each column that is read. */
static bool
may_select(Oid relation, Oid role)
{
	static const char *const columns[] = {"time", "model_name", "version", "value"};

	if (pg_class_aclcheck(relation, role, ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < lengthof(columns); i++)
	{
		AttrNumber column = get_attnum(relation, columns[i]);

		if (column <= 0 || pg_attribute_aclcheck(relation, column, role, ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

/* check_relation: what can be registered by the caller. */
static void
check_relation(Oid relation)
{
	char *name = relation_name(relation);
	char kind = name ? get_rel_relkind(relation) : '\0';

	if (name == NULL)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation),
				errdetail("It may have been dropped."), errhint("Pass its name, as in 'public.refunds'."));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW &&
		kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is neither a table nor a view", name),
				errdetail("A metric source is read with SELECT."), errhint("Pass a table or a view."));
	if (!may_select(relation, mm_caller()))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for %s", name),
				errdetail("It would be read as role \"%s\", which may not SELECT it.", mm_caller_name()),
				errhint("GRANT SELECT ON %s TO that role.", name));
	if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is temporary", name),
				errdetail("Other sessions, which read it, do not have it."),
				errhint("Pass a table or a view that stays."));
	(void) metric_source_query(relation);
	/* As with any SELECT, but every minute from now on, whatever the owner makes of the view. */
	if (owner_of(relation) != mm_caller() && !superuser_arg(owner_of(relation)))
		ereport(NOTICE, errmsg("%s belongs to \"%s\"", name, GetUserNameFromId(owner_of(relation), true)),
				errdetail("Functions that its owner puts into it run with the rights of \"%s\" when it is read.",
						  mm_caller_name()),
				errhint("Unless you trust its owner, register it as a role that may do nothing else."));
}

/* check_metric_name: as for any metric, and not one of the built-in ones. */
static void
check_metric_name(const char *name)
{
	mm_check_name("metric name", name);
	if (metric_parse(name).form != METRIC_CUSTOM)
		ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("metric \"%s\" is built in", name),
				errdetail("It is computed from recorded requests."), errhint("Choose another name."));
}

MM_FUNCTION(mm_add_metric_source);

/* mm_add_metric_source(name text, relation regclass) */
Datum
mm_add_metric_source(PG_FUNCTION_ARGS)
{
	static query add = QUERY(
		"INSERT INTO model_mgr.metric_source (metric_name, relation, relation_name, role, role_name, origin,"
		" added_at, next_read_at, slice_seconds)"
		" VALUES ($1, $2::bigint::oid, $3, $4::bigint::oid, $5, $6, $7, $7, $8) ON CONFLICT (metric_name) DO NOTHING",
		TEXTOID, INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	/* The same again: to be read at once, whatever has happened. */
	static query again = QUERY(
		"UPDATE model_mgr.metric_source m SET disabled_at = NULL, disabled_reason = NULL, failures = 0, next_read_at = $7"
		" WHERE m.metric_name = $1 AND m.relation = $2::bigint::oid AND m.relation_name = $3"
		" AND m.role = $4::bigint::oid AND m.role_name = $5 AND m.origin = $6 RETURNING m.source_id",
		TEXTOID, INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static query other =
		QUERY("SELECT m.relation_name, m.role_name FROM model_mgr.metric_source m WHERE m.metric_name = $1", TEXTOID);
	char *name = mm_text_arg(fcinfo, 0, "name", true);
	Oid relation;
	query_arg a[8];
	mm_scope scope;

	mm_require(fcinfo, 1, "relation");
	relation = PG_GETARG_OID(1);
	check_metric_name(name);
	check_relation(relation);

	scope = mm_enter();
	a[0] = text_arg(name);
	a[1] = int64_arg(relation);
	a[2] = text_arg(relation_name(relation));
	a[3] = int64_arg(mm_caller());
	a[4] = text_arg(mm_caller_name());
	a[5] = text_arg(user_code_origin());
	a[6] = time_arg(mm_now());
	a[7] = int32_arg(FIRST_SLICE);
	if (query_run_args(&add, 8, a) > 0)
		audit_append("add_metric_source", NULL, NULL,
					 json_build(json_text_pair("metric_name", name),
								json_text_pair("relation", relation_name(relation)),
								json_text_pair("role", mm_caller_name())));
	else if (query_run_args(&again, 7, a) == 0)
	{
		query_run(&other, text_arg(name));
		ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("metric source \"%s\" exists already", name),
				errdetail("It reads %s as role \"%s\".", query_text(0, 0), query_text(0, 1)),
				errhint("Choose another name, or remove_metric_source() it first."));
	}
	mm_leave(scope);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_remove_metric_source);

/* mm_remove_metric_source(name text): waits for a reading of it that is under way. What was read stays. 42501 for
 * others than who registered it and who administrates. */
Datum
mm_remove_metric_source(PG_FUNCTION_ARGS)
{
	static query find = QUERY("SELECT m.role_name FROM model_mgr.metric_source m WHERE m.metric_name = $1", TEXTOID);
	static query remove = QUERY("DELETE FROM model_mgr.metric_source m WHERE m.metric_name = $1"
								" RETURNING m.relation_name, m.role_name",
								TEXTOID);
	char *name = mm_text_arg(fcinfo, 0, "name", true);
	mm_scope scope = mm_enter();
	bool removed;

	if (query_run(&find, text_arg(name)) > 0)
		user_code_check_remover(query_text(0, 0), psprintf("metric source \"%s\"", name));
	removed = query_run(&remove, text_arg(name)) > 0;
	if (removed)
		audit_append("remove_metric_source", NULL, NULL,
					 json_build(json_text_pair("metric_name", name), json_text_pair("relation", query_text(0, 0)),
								json_text_pair("role", query_text(0, 1))));
	mm_leave(scope);
	PG_RETURN_BOOL(removed);
}

/* disable: not read any more until it is registered again. */
static void
disable(const char *name, const char *why)
{
	static query set =
		QUERY("UPDATE model_mgr.metric_source m SET disabled_at = $2, disabled_reason = $3, last_error = $3,"
			  " started_at = NULL, started_by = NULL WHERE m.metric_name = $1",
			  TEXTOID, TIMESTAMPTZOID, TEXTOID);

	query_run(&set, text_arg(name), time_arg(mm_now()), text_arg(why));
	audit_append("disable_metric_source", NULL, NULL,
				 json_build(json_text_pair("metric_name", name), json_text_pair("reason", why)));
	ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("metric source \"%s\" is disabled: %s", name, why), errdetail("It is not read any more."),
			errhint("Put it right, then add_metric_source() the same again; model_mgr.metric_source_list shows it."));
}

bool
metric_source_begin(const char *name)
{
	static query lock = QUERY("SELECT m.started_by, m.started_at, m.origin = $3"
							  " FROM model_mgr.metric_source m WHERE m.metric_name = $1 AND m.disabled_at IS NULL"
							  " AND m.next_read_at <= $2 FOR UPDATE SKIP LOCKED",
							  TEXTOID, TIMESTAMPTZOID, TEXTOID);
	/* Real time: it is compared with the server's start. */
	static query mark = QUERY("UPDATE model_mgr.metric_source m SET started_at = pg_catalog.clock_timestamp(),"
							  " started_by = $2 WHERE m.metric_name = $1",
							  TEXTOID, INT4OID);

	/* While a reading is under way its session holds the row's lock. */
	if (query_run(&lock, text_arg(name), time_arg(mm_now()), text_arg(user_code_origin())) == 0)
		return false;
	/* A restart of the server, or a restore, is nobody's fault. */
	if (!query_isnull(0, 0) && query_bool(0, 2))
		switch (user_code_marked(query_time(0, 1), query_int32(0, 0)))
		{
			case USER_CODE_FREE:
				break;
			case USER_CODE_BUSY:
				return false;
			case USER_CODE_LEFT:
				disable(name, "the session that read it has ended");
				return false;
		}
	query_run(&mark, text_arg(name), int32_arg(MyProcPid));
	return true;
}

/* resolve: fills in relation and role; NULL, or why it may not be read any more. */
static const char *
resolve(metric_source_reading *reading)
{
	static query read = QUERY("SELECT m.relation::bigint, m.relation_name, m.role::bigint, m.role_name, m.origin = $2"
							  " FROM model_mgr.metric_source m WHERE m.metric_name = $1",
							  TEXTOID, TEXTOID);
	static query store =
		QUERY("UPDATE model_mgr.metric_source m SET relation = $2::bigint::oid, role = $3::bigint::oid,"
			  " origin = $4 WHERE m.metric_name = $1",
			  TEXTOID, INT8OID, INT8OID, TEXTOID);
	char *relation;
	char *role;
	char *present;
	const char *lost;
	bool here;
	bool changed;

	query_run(&read, text_arg(reading->metric_name), text_arg(user_code_origin()));
	reading->relation = (Oid) query_int64(0, 0);
	relation = query_text(0, 1);
	reading->role = (Oid) query_int64(0, 2);
	role = query_text(0, 3);
	here = query_bool(0, 4);
	changed = !here;
	if (!here)
	{
		reading->relation = relation_by_name(relation);
		reading->role = get_role_oid(role, true);
	}
	lost = user_code_role_lost(reading->role, role);
	if (lost)
		return lost;
	/* Dropped and made again: by the role itself, else anybody's code could take the place. */
	if (here && relation_name(reading->relation) == NULL)
	{
		Oid named = relation_by_name(relation);

		if (OidIsValid(named) && owner_of(named) == reading->role)
		{
			reading->relation = named;
			changed = true;
		}
	}
	present = relation_name(reading->relation);
	if (present == NULL)
		return psprintf("%s does not exist any more", relation);
	if (strcmp(present, relation) != 0)
		return psprintf("%s is called %s now", relation, present);
	if (changed)
		query_run(&store, text_arg(reading->metric_name), int64_arg(reading->relation), int64_arg(reading->role),
				  text_arg(user_code_origin()));
	return NULL;
}

/* whole_minute: the end of the minute before, unless it is one. */
static TimestampTz
whole_minute(TimestampTz at)
{
	TimestampTz into = at % USECS_PER_MINUTE;

	return at - (into < 0 ? into + USECS_PER_MINUTE : into);
}

/* set_window: what this turn reads. read_until 0: nothing was read yet. */
static void
set_window(metric_source_reading *reading, TimestampTz read_until, int64 slice)
{
	TimestampTz now = mm_now();
	TimestampTz oldest = whole_minute(now - (int64) guc_monitor_retention_hours * USECS_PER_HOUR);

	if (read_until == 0 || read_until < oldest)
	{
		reading->since = oldest;
		read_until = oldest;
	}
	else
		reading->since = Max(oldest, whole_minute(Min(read_until, now) - Min(OVERLAP, slice)));
	reading->more = whole_minute(read_until + slice) < now;
	reading->until = reading->more ? whole_minute(read_until + slice) : now;
}

/* note_failure: left for 1, 2, 4, ... minutes, at most an hour; in smaller slices, for it may have been too much. */
static void
note_failure(const char *name, const char *why)
{
	static query note = QUERY(
		"UPDATE model_mgr.metric_source m SET started_at = NULL, started_by = NULL, failures = m.failures + 1,"
		" last_error = $2, last_error_at = $3, slice_seconds = GREATEST(m.slice_seconds / 4, $5), next_read_at = $3"
		" + LEAST(pg_catalog.make_interval(mins => 1 << LEAST(m.failures, 6)), $4) WHERE m.metric_name = $1"
		" RETURNING m.next_read_at, m.failures",
		TEXTOID, TEXTOID, TIMESTAMPTZOID, INTERVALOID, INT4OID);
	Interval longest = {.time = LONGEST_DELAY};

	if (query_run(&note, text_arg(name), text_arg(why), time_arg(mm_now()),
				  datum_arg(IntervalPGetDatum(&longest), false), int32_arg(LEAST_SLICE)) == 0)
		return;
	ereport(WARNING, errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			errmsg("metric source \"%s\" could not be read: %s", name, why),
			errdetail("That was failure %d in a row.", query_int32(0, 1)),
			errhint("It is read again in %d minutes at the earliest.",
					(int) ((query_time(0, 0) - mm_now() + USECS_PER_MINUTE - 1) / USECS_PER_MINUTE)));
}

/* note_success: how far it has been read; what was read in time may be more the next time. */
static void
note_success(const metric_source_reading *reading)
{
	static query note = QUERY(
		"UPDATE model_mgr.metric_source m SET started_at = NULL, started_by = NULL, failures = 0, last_error = NULL,"
		" last_error_at = NULL, read_until = $2, last_read_at = $3, rows = $4, skipped = $5, next_read_at = $3,"
		" slice_seconds = LEAST(m.slice_seconds * 2, $6) WHERE m.metric_name = $1",
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT4OID);

	query_run(&note, text_arg(reading->metric_name), time_arg(reading->until), time_arg(mm_now()),
			  int64_arg(reading->rows), int64_arg(reading->skipped), int32_arg(LARGEST_SLICE));
}

bool
metric_source_run(const char *name)
{
	static query lock =
		QUERY("SELECT m.source_id, m.read_until, m.slice_seconds, m.added_at FROM model_mgr.metric_source m"
			  " WHERE m.metric_name = $1 AND m.started_by = $2 AND m.disabled_at IS NULL FOR UPDATE",
			  TEXTOID, INT4OID);
	metric_source_reading reading = {.metric_name = name};
	TimestampTz added_at;
	const char *lost;
	char *error;

	if (query_run(&lock, text_arg(name), int32_arg(MyProcPid)) == 0)
		return false;
	reading.source_id = query_int64(0, 0);
	added_at = query_time(0, 3);
	set_window(&reading, query_time(0, 1), query_int32(0, 2) * USECS_PER_SEC);
	reading.by_name = reading.since < added_at;
	lost = resolve(&reading);
	if (lost)
		disable(name, lost);
	else if (metric_source_read(&reading, user_code_seconds(), &error))
	{
		note_success(&reading);
		return reading.more;
	}
	else
		note_failure(name, error);
	return false;
}

void
metric_source_interrupted(const char *name, const char *why)
{
	static query mine = QUERY("SELECT FROM model_mgr.metric_source m WHERE m.metric_name = $1 AND m.started_by = $2"
							  " FOR UPDATE",
							  TEXTOID, INT4OID);

	if (query_run(&mine, text_arg(name), int32_arg(MyProcPid)) > 0)
		note_failure(name, why);
}
