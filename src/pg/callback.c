/*
 * callback.c: functions of users that are called for alerts and for automatic rollbacks: registering them, and
 * delivering one event to one of them. Each (callback, event) is a row of callback_delivery, made in the event's own
 * transaction and worked off by work(): at least once, by itself, so that one bad event or callback holds up no other.
 *
 * A callback whose function or role is not what was registered any more (user_code_find) is disabled, with the reason.
 */
#include "pg/event.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "pg/audit.h"
#include "pg/query.h"
#include "pg/user_code.h"

/* A failure that took longer than this stalls the callback: one call a round until one goes well. */
#define SLOW_SECONDS 1.0

#define FIRST_DELAY USECS_PER_MINUTE
#define LONGEST_DELAY USECS_PER_HOUR
#define GIVE_UP_AFTER USECS_PER_DAY

void
callback_enqueue(const char *kind, int64 event_id)
{
	static query add =
		QUERY("INSERT INTO model_mgr.callback_delivery (callback_id, event_id, next_attempt_at)"
			  " SELECT c.callback_id, $2, $3 FROM model_mgr.callback c WHERE c.kind = $1 AND c.disabled_at IS NULL",
			  TEXTOID, INT8OID, TIMESTAMPTZOID);

	query_run(&add, text_arg(kind), int64_arg(event_id), time_arg(mm_now()));
}

/* add: registers a function; again is harmless, and takes up one that was disabled. */
static int64
add(FunctionCallInfo fcinfo, const char *kind)
{
	static query store = QUERY(
		"INSERT INTO model_mgr.callback AS c (kind, function, signature, role, role_name, registered_at, origin)"
		" VALUES ($1, $2::bigint::oid, $3, $4::bigint::oid, $5, $6, $7) ON CONFLICT (kind, signature) DO UPDATE"
		" SET function = excluded.function, role = excluded.role, role_name = excluded.role_name, origin = excluded.origin,"
		" disabled_at = NULL, disabled_reason = NULL, stalled = false RETURNING c.callback_id",
		TEXTOID, INT8OID, TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID);
	static query find = QUERY("SELECT c.callback_id FROM model_mgr.callback c WHERE c.kind = $1 AND c.signature = $2"
							  " AND c.function = $3::bigint::oid AND c.role = $4::bigint::oid AND c.role_name = $5"
							  " AND c.origin = $6 AND c.disabled_at IS NULL",
							  TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID);
	user_code code;
	int64 id;
	mm_scope scope;

	mm_require(fcinfo, 0, "callback");
	scope = mm_enter();
	user_code_check(PG_GETARG_OID(0), NULL, &code);
	if (query_run(&find, text_arg(kind), text_arg(code.signature), int64_arg(code.function), int64_arg(code.role),
				  text_arg(code.role_name), text_arg(user_code_origin())) > 0)
		id = query_int64(0, 0);
	else
	{
		query_run(&store, text_arg(kind), int64_arg(code.function), text_arg(code.signature), int64_arg(code.role),
				  text_arg(code.role_name), time_arg(mm_now()), text_arg(user_code_origin()));
		id = query_int64(0, 0);
		audit_append(psprintf("add_%s_callback", kind), NULL, NULL,
					 json_build(json_integer_pair("callback_id", id), json_text_pair("function", code.signature),
								json_text_pair("role", code.role_name)));
	}
	mm_leave(scope);
	return id;
}

MM_FUNCTION(mm_add_alert_callback);

Datum
mm_add_alert_callback(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(add(fcinfo, "alert"));
}

MM_FUNCTION(mm_add_rollback_callback);

Datum
mm_add_rollback_callback(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(add(fcinfo, "rollback"));
}

MM_FUNCTION(mm_remove_callback);

/* mm_remove_callback(callback_id bigint): waits for a call of it that is under way. 42501 for others than who
 * registered it and who administrates. */
Datum
mm_remove_callback(PG_FUNCTION_ARGS)
{
	static query find = QUERY("SELECT c.role_name FROM model_mgr.callback c WHERE c.callback_id = $1", INT8OID);
	/* Deliveries first: who delivers locks in that order too. */
	static query forget = QUERY("DELETE FROM model_mgr.callback_delivery d WHERE d.callback_id = $1", INT8OID);
	static query delete =
		QUERY("DELETE FROM model_mgr.callback c WHERE c.callback_id = $1 RETURNING c.kind, c.signature, c.role_name",
			  INT8OID);
	int64 id;
	int64 pending;
	bool removed;
	mm_scope scope;

	mm_require(fcinfo, 0, "callback_id");
	id = PG_GETARG_INT64(0);
	scope = mm_enter();
	if (query_run(&find, int64_arg(id)) > 0)
		user_code_check_remover(query_text(0, 0), psprintf("callback %lld", (long long) id));
	pending = query_run(&forget, int64_arg(id));
	removed = query_run(&delete, int64_arg(id)) > 0;
	if (removed)
		audit_append("remove_callback", NULL, NULL,
					 json_build(json_integer_pair("callback_id", id), json_text_pair("kind", query_text(0, 0)),
								json_text_pair("function", query_text(0, 1)), json_text_pair("role", query_text(0, 2)),
								json_integer_pair("deliveries", pending)));
	mm_leave(scope);
	PG_RETURN_BOOL(removed);
}

/* disable: no more calls until it is registered again; what is pending waits for that. */
static void
disable(int64 callback_id, const char *reason)
{
	static query set = QUERY("UPDATE model_mgr.callback c SET disabled_at = $2, disabled_reason = $3"
							 " WHERE c.callback_id = $1 AND c.disabled_at IS NULL RETURNING c.signature",
							 INT8OID, TIMESTAMPTZOID, TEXTOID);

	if (query_run(&set, int64_arg(callback_id), time_arg(mm_now()), text_arg(reason)) == 0)
		return;
	ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("callback %lld, %s, is disabled: %s", (long long) callback_id, query_text(0, 0), reason),
			errdetail("Its events are not delivered any more."),
			errhint("Put it right, then register the function again; model_mgr.callback_list shows it."));
	audit_append("disable_callback", NULL, NULL,
				 json_build(json_integer_pair("callback_id", callback_id), json_text_pair("reason", reason)));
}

/* resolve: the callback's function and role as they are now, stored where that is new. NULL when it may be run, else
 * why not. */
static const char *
resolve(int64 callback_id, user_code *code)
{
	static query read = QUERY("SELECT c.function::bigint, c.signature, c.role::bigint, c.role_name, c.origin = $2"
							  " FROM model_mgr.callback c WHERE c.callback_id = $1",
							  INT8OID, TEXTOID);
	static query store = QUERY("UPDATE model_mgr.callback c SET function = $2::bigint::oid, role = $3::bigint::oid,"
							   " origin = $4 WHERE c.callback_id = $1",
							   INT8OID, INT8OID, INT8OID, TEXTOID);
	/* Marks that came from there with a dump would be taken for this database's now. */
	static query unmark =
		QUERY("UPDATE model_mgr.callback_delivery d SET started_at = NULL, started_by = NULL WHERE d.callback_id = $1"
			  " AND d.event_id IN (SELECT o.event_id FROM model_mgr.callback_delivery o WHERE o.callback_id = $1"
			  " AND o.started_at IS NOT NULL AND o.delivered_at IS NULL FOR UPDATE SKIP LOCKED)",
			  INT8OID);
	user_code stored;
	const char *lost;

	query_run(&read, int64_arg(callback_id), text_arg(user_code_origin()));
	*code = (user_code){.function = (Oid) query_int64(0, 0),
						.signature = query_text(0, 1),
						.role = (Oid) query_int64(0, 2),
						.role_name = query_text(0, 3)};
	stored = *code;
	lost = user_code_find(code, query_bool(0, 4));
	if (lost == NULL && (code->function != stored.function || code->role != stored.role))
	{
		query_run(&store, int64_arg(callback_id), int64_arg(code->function), int64_arg(code->role),
				  text_arg(user_code_origin()));
		query_run(&unmark, int64_arg(callback_id));
	}
	return lost;
}

bool
callback_begin(int64 callback_id, int64 event_id)
{
	static query lock =
		QUERY("SELECT d.started_at, d.started_by, c.origin = $4 FROM model_mgr.callback_delivery d"
			  " JOIN model_mgr.callback c ON c.callback_id = d.callback_id"
			  " WHERE d.callback_id = $1 AND d.event_id = $2 AND d.delivered_at IS NULL AND d.given_up_at IS NULL"
			  " AND d.next_attempt_at <= $3 FOR UPDATE OF d SKIP LOCKED",
			  INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID);
	static query alive =
		QUERY("SELECT FROM model_mgr.callback c WHERE c.callback_id = $1 AND c.disabled_at IS NULL", INT8OID);
	/* Real time: it is compared with the server's start. */
	static query mark =
		QUERY("UPDATE model_mgr.callback_delivery d SET started_at = pg_catalog.clock_timestamp(), started_by = $3,"
			  " attempts = d.attempts + 1, first_attempt_at = coalesce(d.first_attempt_at, $4)"
			  " WHERE d.callback_id = $1 AND d.event_id = $2",
			  INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID);
	static query unmark =
		QUERY("UPDATE model_mgr.callback_delivery d SET started_at = NULL, started_by = NULL, last_error = $3"
			  " WHERE d.callback_id = $1 AND d.event_id = $2",
			  INT8OID, INT8OID, TEXTOID);

	/* While a call is under way its session holds the row's lock. */
	if (query_run(&lock, int64_arg(callback_id), int64_arg(event_id), time_arg(mm_now()),
				  text_arg(user_code_origin())) == 0)
		return false;
	/* A mark that came with a dump from elsewhere says nothing. */
	if (!query_isnull(0, 0) && query_bool(0, 2))
	{
		user_code_mark mark_is = user_code_marked(query_time(0, 0), query_int32(0, 1));

		if (mark_is == USER_CODE_BUSY)
			return false;
		if (mark_is == USER_CODE_LEFT)
		{
			query_run(&unmark, int64_arg(callback_id), int64_arg(event_id),
					  text_arg("the session that ran it has ended"));
			disable(callback_id, psprintf("the session that ran it for event %lld has ended", (long long) event_id));
			return false;
		}
	}
	if (query_run(&alive, int64_arg(callback_id)) == 0)
		return false;
	query_run(&mark, int64_arg(callback_id), int64_arg(event_id), int32_arg(MyProcPid), time_arg(mm_now()));
	return true;
}

/* take: a value of the event's data, null when it is missing. */
static Jsonb *
take(const Jsonb *data, const char *key)
{
	JsonbValue *value = NULL;

	if (data && JB_ROOT_IS_OBJECT(data))
		value = getKeyJsonValueFromContainer((JsonbContainer *) &data->root, key, (int) strlen(key), NULL);
	return value ? JsonbValueToJsonb(value) : NULL;
}

/* event_argument: what the callback is given, as the contract says: nothing more and nothing less. */
static Jsonb *
event_argument(const char *kind, int64 event_id)
{
	static query read = QUERY("SELECT e.type, e.\"time\", e.model_name, e.version, e.deployment_id, e.data"
							  " FROM model_mgr.event e WHERE e.event_id = $1",
							  INT8OID);
	static const char *const of_alert[] = {"alert_id", "metric_name", "current_value", "samples", "threshold"};
	static const char *const of_rollback[] = {"reason", "target_version", "evidence"};
	bool alert = strcmp(kind, "alert") == 0;
	const char *const *keys = alert ? of_alert : of_rollback;
	int count = alert ? lengthof(of_alert) : lengthof(of_rollback);
	json_pair pairs[6 + lengthof(of_alert)];
	Jsonb *data;

	if (query_run(&read, int64_arg(event_id)) == 0)
		return NULL;
	pairs[0] = json_integer_pair("event_id", event_id);
	pairs[1] = json_text_pair("type", query_text(0, 0));
	pairs[2] = json_time_pair("time", query_time(0, 1));
	pairs[3] = json_text_pair("model_name", query_text(0, 2));
	pairs[4] = json_text_pair("version", query_text(0, 3));
	pairs[5] = query_isnull(0, 4) ? json_text_pair("deployment_id", NULL)
								  : json_integer_pair("deployment_id", query_int64(0, 4));
	data = query_jsonb(0, 5);
	for (int i = 0; i < count; i++)
		pairs[6 + i] = json_object_pair(keys[i], take(data, keys[i]));
	return json_build_pairs(6 + count, pairs);
}

/* note_success, note_failure: how an attempt went. The n-th failure waits 2^(n-1) minutes, at most an hour. */
static void
note_success(int64 callback_id, int64 event_id)
{
	static query done =
		QUERY("UPDATE model_mgr.callback_delivery d SET delivered_at = $3, started_at = NULL, started_by = NULL"
			  " WHERE d.callback_id = $1 AND d.event_id = $2",
			  INT8OID, INT8OID, TIMESTAMPTZOID);
	static query unstall =
		QUERY("UPDATE model_mgr.callback c SET stalled = false WHERE c.callback_id = $1 AND c.stalled", INT8OID);

	query_run(&done, int64_arg(callback_id), int64_arg(event_id), time_arg(mm_now()));
	query_run(&unstall, int64_arg(callback_id));
}

static void
note_failure(int64 callback_id, int64 event_id, int32 attempts, TimestampTz first_attempt, const char *error, bool slow)
{
	static query failed =
		QUERY("UPDATE model_mgr.callback_delivery d SET last_error = pg_catalog.left($3, 2000), next_attempt_at = $4,"
			  " given_up_at = $5, started_at = NULL, started_by = NULL WHERE d.callback_id = $1 AND d.event_id = $2",
			  INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	static query stall =
		QUERY("UPDATE model_mgr.callback c SET stalled = true WHERE c.callback_id = $1 AND NOT c.stalled", INT8OID);
	TimestampTz now = mm_now();
	int64 delay = FIRST_DELAY << Min(Max(attempts - 1, 0), 6);
	bool over = now - first_attempt >= GIVE_UP_AFTER;

	query_run(&failed, int64_arg(callback_id), int64_arg(event_id), text_arg(error),
			  time_arg(now + Min(delay, LONGEST_DELAY)), over ? time_arg(now) : null_arg());
	if (slow)
		query_run(&stall, int64_arg(callback_id));
	ereport(WARNING, errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			errmsg("callback %lld failed for event %lld: %s", (long long) callback_id, (long long) event_id, error),
			errdetail("That was attempt %d.", attempts),
			over ? errhint("It is not tried again: 24 hours have passed since the first attempt.")
				 : errhint("It is tried again in %d minutes at the earliest.",
						   (int) (Min(delay, LONGEST_DELAY) / USECS_PER_MINUTE)));
}

void
callback_deliver(int64 callback_id, int64 event_id)
{
	static query lock =
		QUERY("SELECT d.attempts, d.first_attempt_at FROM model_mgr.callback_delivery d WHERE d.callback_id = $1"
			  " AND d.event_id = $2 AND d.delivered_at IS NULL AND d.given_up_at IS NULL AND d.started_by = $3"
			  " FOR UPDATE",
			  INT8OID, INT8OID, INT4OID);
	static query find =
		QUERY("SELECT c.kind FROM model_mgr.callback c WHERE c.callback_id = $1 AND c.disabled_at IS NULL", INT8OID);
	static query clear =
		QUERY("UPDATE model_mgr.callback_delivery d SET started_at = NULL, started_by = NULL, last_error = $3"
			  " WHERE d.callback_id = $1 AND d.event_id = $2",
			  INT8OID, INT8OID, TEXTOID);
	TimestampTz began = GetCurrentTimestamp();
	TimestampTz first_attempt;
	int32 attempts;
	const char *lost;
	char *error = NULL;
	user_code code;
	Jsonb *argument;

	if (query_run(&lock, int64_arg(callback_id), int64_arg(event_id), int32_arg(MyProcPid)) == 0)
		return;
	attempts = query_int32(0, 0);
	first_attempt = query_time(0, 1);
	if (query_run(&find, int64_arg(callback_id)) == 0)
	{
		query_run(&clear, int64_arg(callback_id), int64_arg(event_id), null_arg());
		return;
	}
	argument = event_argument(query_text(0, 0), event_id);
	lost = resolve(callback_id, &code);
	if (lost)
	{
		query_run(&clear, int64_arg(callback_id), int64_arg(event_id), text_arg(lost));
		disable(callback_id, lost);
	}
	else if (argument == NULL)
		note_success(callback_id, event_id); /* retention took the event */
	else if (user_code_call(&code, user_code_seconds(), argument, NULL, NULL, &error))
		note_success(callback_id, event_id);
	else
		note_failure(callback_id, event_id, attempts, first_attempt, error,
					 GetCurrentTimestamp() - began > SLOW_SECONDS * USECS_PER_SEC);
}

void
callback_interrupted(int64 callback_id, int64 event_id, const char *reason)
{
	static query find =
		QUERY("SELECT d.attempts, d.first_attempt_at FROM model_mgr.callback_delivery d WHERE d.callback_id = $1"
			  " AND d.event_id = $2 AND d.delivered_at IS NULL AND d.started_by = $3 FOR UPDATE",
			  INT8OID, INT8OID, INT4OID);

	if (query_run(&find, int64_arg(callback_id), int64_arg(event_id), int32_arg(MyProcPid)) > 0)
		note_failure(callback_id, event_id, query_int32(0, 0), query_time(0, 1), reason, false);
}
