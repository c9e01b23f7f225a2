/*
 * event.c: the outbox: writing events, reading on from a cursor, telling listeners, and forgetting what is old.
 *
 * Ids are drawn when a row is written, so they commit out of order: a reader who goes by ids alone skips what commits
 * late. Here the order is (txn, event_id), txn being the key of the writing transaction (txn.c), and a reader is shown
 * events of transactions below the xmin of its snapshot only: those have all ended, so nothing can appear below what
 * was shown. A transaction that writes for an hour holds back what others write meanwhile; it loses nothing.
 *
 * A cursor is the place of an event in that order, "<txn>.<event_id>". Keys of a dump's events are of an earlier era,
 * so cursors stay good when the database moves to another cluster.
 */
#include "pg/event.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/async.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "pg/query.h"
#include "pg/txn.h"

#define CHANNEL "model_mgr"

/* Orders the NOTIFYs; models have positive ids, -1 is the fold's, -2 maintenance's, -3 the detectors'. */
#define NOTIFY_LOCK (-4)

/* Rows that a query gives at most: the answer is held in memory or spilled, but nobody wants more at once. */
#define MAX_ROWS 1000000
#define DEFAULT_ROWS 1000

typedef struct place
{
	int64 txn;
	int64 event_id;
} place;

/* Below this key every transaction has ended, as the statement's snapshot sees it. $1: the era. */
#define HORIZON "($1 | pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint)"

int64
event_append(const char *type, const char *model_name, const char *version, int64 deployment_id, const Jsonb *data)
{
	static query append =
		QUERY("INSERT INTO model_mgr.event (\"time\", type, model_name, version, deployment_id, data, txn)"
			  " VALUES ($1, $2, $3, $4, $5, coalesce($6, '{}'), $7) RETURNING event_id",
			  TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, JSONBOID, INT8OID);
	const char *prefix = guc_event_type_prefix ? guc_event_type_prefix : "";
	JsonbValue *automatic = NULL;
	int64 event_id;

	query_run(&append, time_arg(mm_now()), text_arg(psprintf("%s%s", prefix, type)), text_arg(model_name),
			  text_arg(version), deployment_id ? int64_arg(deployment_id) : null_arg(), jsonb_arg(data),
			  int64_arg(txn_key()));
	event_id = query_int64(0, 0);
	if (strcmp(type, "alert.firing") == 0)
		callback_enqueue("alert", event_id);
	else if (strcmp(type, "deployment.rolled_back") == 0)
	{
		if (data && JB_ROOT_IS_OBJECT(data))
			automatic =
				getKeyJsonValueFromContainer((JsonbContainer *) &data->root, "automatic", strlen("automatic"), NULL);
		if (automatic && automatic->type == jbvBool && automatic->val.boolean)
			callback_enqueue("rollback", event_id);
	}
	return event_id;
}

/* parse_cursor: 22P02 unless it is as put_cursor writes it, '' being the beginning. */
static place
parse_cursor(const char *text)
{
	place at = {-1, -1};
	const char *point = strchr(text, '.');
	char *end;

	if (*text == '\0')
		return at;
	errno = 0;
	if (point && *text >= '0' && *text <= '9' && point[1] >= '0' && point[1] <= '9')
	{
		at.txn = strtoi64(text, &end, 10);
		if (end == point)
			at.event_id = strtoi64(point + 1, &end, 10);
		if (errno == 0 && *end == '\0' && at.event_id >= 0)
			return at;
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%.100s\" is no cursor", text),
			errdetail("A cursor is what events_since() gave with an event; '' is the beginning."),
			errhint("Pass the cursor of the last event that was dealt with, as it was given."));
}

/* check_place: 22023 for a cursor that lies ahead of every transaction: a reader would wait for ever, or skip what
 * fills the gap. A standby may simply not be there yet. */
static void
check_place(const place *at, const char *text)
{
	int64 next = txn_era() | (int64) U64FromFullTransactionId(ReadNextFullTransactionId());

	if (at->txn >= next && !RecoveryInProgress())
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("cursor \"%s\" lies ahead of all events", text),
				errdetail("It is of another database, or of a time that a recovery of this one has undone."),
				errhint("Begin again with events_since(''), and skip what was dealt with by event_id or time."));
}

MM_FUNCTION(mm_events_since);

/* mm_events_since(after text, max_rows integer): (cursor, event's columns), in order. */
Datum
mm_events_since(PG_FUNCTION_ARGS)
{
	/* Read-only: the snapshot of the statement that asks, and not of a later moment, bounds what is shown. */
	static query read = {
		.sql = "SELECT e.txn, e.event_id, e.\"time\", e.type, e.model_name, e.version, e.deployment_id, e.data"
			   " FROM model_mgr.event e WHERE (e.txn, e.event_id) > ($2, $3) AND e.txn < " HORIZON
			   " ORDER BY e.txn, e.event_id LIMIT $4",
		.types = {INT8OID, INT8OID, INT8OID, INT4OID},
		.read_only = true};
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *after = mm_text_arg(fcinfo, 0, "after", false);
	int32 max_rows = PG_ARGISNULL(1) ? DEFAULT_ROWS : PG_GETARG_INT32(1);
	place at = parse_cursor(after ? after : "");
	uint64 count;
	mm_scope scope;

	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"max_rows\" is out of range"),
				errdetail("The value %d is outside 1 to %d.", max_rows, MAX_ROWS),
				errhint("Ask again with the last cursor for what comes behind."));
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	check_place(&at, after);
	count = query_run(&read, int64_arg(txn_era()), int64_arg(at.txn), int64_arg(at.event_id), int32_arg(max_rows));
	for (uint64 i = 0; i < count; i++)
	{
		Datum values[8];
		bool nulls[8];

		CHECK_FOR_INTERRUPTS();
		values[0] = CStringGetTextDatum(psprintf(INT64_FORMAT "." INT64_FORMAT, query_int64(i, 0), query_int64(i, 1)));
		nulls[0] = false;
		for (int column = 1; column < 8; column++)
			values[column] = query_datum(i, column, &nulls[column]);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	mm_leave(scope);
	return (Datum) 0;
}

/* queue_is_full: a NOTIFY that finds no room fails its transaction at commit, and the tick's work with it. */
static bool
queue_is_full(void)
{
	static query usage = QUERY("SELECT pg_catalog.pg_notification_queue_usage()");

	query_run(&usage);
	if (query_float8(0, 0) < 0.5)
		return false;
	ereport(WARNING, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			errmsg("no NOTIFY is sent: the server's notification queue is %.0f %% full", query_float8(0, 0) * 100),
			errdetail("A session that listens and does not end its transaction holds it up."),
			errhint("End that session; events_since() gives all events meanwhile."));
	return true;
}

int64
event_notify(bool in_block)
{
	/* What can be read now and could not at the last NOTIFY, and what becomes readable with this very commit. */
	static query fresh = QUERY(
		"WITH last AS (SELECT coalesce((SELECT n.txn FROM model_mgr.event_notified n), -1) AS txn,"
		"  coalesce((SELECT n.event_id FROM model_mgr.event_notified n), -1) AS event_id)"
		" SELECT (SELECT pg_catalog.count(*) FROM model_mgr.event e WHERE (e.txn, e.event_id) > (l.txn, l.event_id)"
		"   AND e.txn < " HORIZON "),"
		"  (SELECT pg_catalog.count(*) FROM model_mgr.event e WHERE e.txn = $2),"
		"  (SELECT pg_catalog.max(e.event_id) FROM model_mgr.event e) FROM last l",
		INT8OID, INT8OID);
	static query told = QUERY(
		"INSERT INTO model_mgr.event_notified AS n (txn, event_id) SELECT e.txn, e.event_id FROM model_mgr.event e"
		" WHERE e.txn < " HORIZON " ORDER BY e.txn DESC, e.event_id DESC LIMIT 1"
		" ON CONFLICT (one) DO UPDATE SET txn = excluded.txn, event_id = excluded.event_id"
		" WHERE (n.txn, n.event_id) < (excluded.txn, excluded.event_id)",
		INT8OID);
	int64 readable;
	int64 own;

	/* A transaction that has sent a NOTIFY cannot be prepared any more. */
	if (!guc_notify || (in_block && max_prepared_xacts > 0) || !mm_lock_model(NOTIFY_LOCK, false))
		return 0;
	query_run(&fresh, int64_arg(txn_era()),
			  int64_arg(FullTransactionIdIsValid(GetTopFullTransactionIdIfAny()) ? txn_key() : -1));
	readable = query_int64(0, 0);
	own = query_int64(0, 1);
	if (readable + own == 0)
		return 0;
	{
		char *payload = psprintf(INT64_FORMAT, query_int64(0, 2));

		if (queue_is_full())
			return 0;
		Async_Notify(CHANNEL, payload);
	}
	if (readable > 0)
		query_run(&told, int64_arg(txn_era()));
	return readable + own;
}

int64
event_prune(TimestampTz limit)
{
	static query events = QUERY("DELETE FROM model_mgr.event e WHERE e.\"time\" < $1", TIMESTAMPTZOID);
	/* Also those of callbacks removed while an event was written. */
	static query deliveries =
		QUERY("DELETE FROM model_mgr.callback_delivery d"
			  " WHERE NOT EXISTS (SELECT FROM model_mgr.event e WHERE e.event_id = d.event_id)"
			  " OR NOT EXISTS (SELECT FROM model_mgr.callback c WHERE c.callback_id = d.callback_id)");
	int64 count = query_run(&events, time_arg(limit));

	query_run(&deliveries);
	return count;
}
