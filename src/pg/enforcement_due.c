/*
 * enforcement_due.c: the WHEN condition of the enforcement trigger: does this row queue an evaluation of its model's
 * rollout? True about once a second a model over all sessions, so it costs next to nothing:
 *
 *   - A model that no automatic limit looks at, and every guard of this session, say no at once.
 *   - After a yes, rows of the same statement say no without looking at a clock, but for every 64th. The evaluation
 *     is deferred to the commit and sees all rows of the transaction.
 *   - Else a second must have passed since this session's last evaluation, and since the last one anybody stored.
 *     Quiet times earn a session up to three evaluations that need not wait, so that a burst after a deployment is
 *     judged at once.
 *   - With model_mgr.clock held still every statement may evaluate; with SET CONSTRAINTS IMMEDIATE each of its rows, up
 * to so many, since what comes after a row that fired is seen by no later one.
 *
 * What a rolled-back (sub)transaction queued is gone, so the abort makes the next row queue again.
 */
#include "pg/enforcement.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/routing.h"

#define EVERY USECS_PER_SEC
#define BURST 3
#define BURST_REFILL (10 * USECS_PER_SEC)
#define LOOK_EVERY 64   /* rows of one statement */
#define LOOK_AT_ALL 512 /* unless each row is evaluated as it is written: then so many first */

typedef struct watch
{
	int64 model_id; /* hash key */
	/* the transaction and statement that the rest of this group speaks of */
	LocalTransactionId transaction;
	TimestampTz statement;
	uint32 aborts;
	bool queued;
	bool fired; /* and evaluated already, in the middle of the statement (SET CONSTRAINTS IMMEDIATE) */
	uint32 rows;
	bool read;          /* rollout and thresholds, of which the next two tell */
	TimestampTz window; /* microseconds; -1: neither */
	TimestampTz judged_at;
	/* this session's evaluations, in real time */
	TimestampTz queued_at;
	TimestampTz queued_before; /* queued_at as it was, for when the evaluation does not come about */
	TimestampTz earned_at;
	int burst;
	uint64 written; /* rows of watched versions; grows for the session's life */
	uint64 before;  /* of these, before the present transaction */
	uint64 seen;
	LocalTransactionId seen_in;
} watch;

static HTAB *watches;
static uint32 aborts = 1;
static uint64 rows_written; /* of all watched models */
static watch *last_watch;

static void
on_abort(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		aborts++;
}

static void
on_subabort(SubXactEvent event, SubTransactionId my, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		aborts++;
}

/* find_watch: the model's entry, made when new. Entries are few: only models whose rollout is looked at. */
static watch *
find_watch(int64 model_id)
{
	bool found;
	watch *entry;

	if (last_watch && last_watch->model_id == model_id)
		return last_watch;
	if (watches == NULL)
	{
		HASHCTL control = {.keysize = sizeof(int64), .entrysize = sizeof(watch), .hcxt = TopMemoryContext};

		watches = hash_create("model_mgr evaluations", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		RegisterXactCallback(on_abort, NULL);
		RegisterSubXactCallback(on_subabort, NULL);
	}
	entry = hash_search(watches, &model_id, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) entry + sizeof(int64), 0, sizeof(watch) - sizeof(int64));
		entry->burst = BURST;
	}
	last_watch = entry;
	return entry;
}

/* read_row: column of the row of model_mgr.<table> whose bigint key has this value; false when absent or NULL. By the
 * catalog snapshot: no rights of the caller, right at every isolation level. */
static bool
read_columns(const char *table, const char *index, const char *key, int64 value, int count, const char *const *columns,
			 Datum *out, bool *nulls)
{
	Relation relation = table_open(mm_relation(table), AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found;

	ScanKeyInit(&scan_key, get_attnum(RelationGetRelid(relation), key), BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(value));
	scan = systable_beginscan(relation, mm_relation(index), true, NULL, 1, &scan_key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	for (int i = 0; found && i < count; i++)
		out[i] = heap_getattr(tuple, get_attnum(RelationGetRelid(relation), columns[i]), RelationGetDescr(relation),
							  &nulls[i]);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* note_window: a look that goes back so far, and when somebody last had it. */
static void
note_window(watch *entry, TimestampTz window, TimestampTz looked_at)
{
	/* The newest of both looks would hide that the other one is due: one evaluation does both. */
	if (entry->window < 0 || looked_at < entry->judged_at)
		entry->judged_at = looked_at;
	entry->window = Max(entry->window, window);
}

/* read_rollout: windows and last evaluation of the rollout that the model's routing credits requests to, and of its
 * thresholds. */
static void
read_rollout(watch *entry)
{
	static const char *const routing[] = {"deployment_id", "watched", "thresholds"};
	static const char *const deployment[] = {"rollback_evaluation_window_minutes"};
	static const char *const judged[] = {"judged_at"};
	static const char *const threshold_look[] = {"looked_at"};
	Datum values[3];
	Datum value;
	bool nulls[3];
	bool isnull;

	entry->window = -1;
	entry->judged_at = DT_NOBEGIN;
	if (!read_columns("routing", "routing_model_id_key", "model_id", entry->model_id, 3, routing, values, nulls))
		return;
	if (DatumGetBool(values[1]) && !nulls[0] &&
		read_columns("deployment", "deployment_pkey", "deployment_id", DatumGetInt64(values[0]), 1, deployment, &value,
					 &isnull) &&
		!isnull)
	{
		TimestampTz window = DatumGetInt32(value) * USECS_PER_MINUTE;
		bool found = read_columns("deployment_judged", "deployment_judged_pkey", "deployment_id",
								  DatumGetInt64(values[0]), 1, judged, &value, &isnull);

		note_window(entry, window, found && !isnull ? DatumGetTimestampTz(value) : DT_NOBEGIN);
	}
	if (DatumGetBool(values[2]))
	{
		bool found = read_columns("threshold_look", "threshold_look_pkey", "model_id", entry->model_id, 1,
								  threshold_look, &value, &isnull);

		note_window(entry, guc_monitor_interval_seconds * USECS_PER_SEC,
					found && !isnull ? DatumGetTimestampTz(value) : DT_NOBEGIN);
	}
}

/* guarded: in this session, state or transaction recordings queue nothing; see docs/architecture.md. */
static bool
guarded(void)
{
	return !guc_enforcement || IsolationUsesXactSnapshot() || InSecurityRestrictedOperation() ||
		   SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		   (max_prepared_xacts > 0 && IsTransactionBlock());
}

/* too_soon: less than a second since an evaluation that is known of, and no burst left. */
static bool
too_soon(watch *entry)
{
	TimestampTz now;

	if (mm_clock_is_fixed())
		return false;
	now = GetCurrentTimestamp();
	while (entry->burst < BURST && entry->earned_at + BURST_REFILL <= now)
	{
		entry->burst++;
		entry->earned_at = entry->burst == BURST ? now : entry->earned_at + BURST_REFILL;
	}
	if (entry->burst > 0)
		return false;
	return entry->queued_at + EVERY > now || (entry->judged_at + EVERY > now && entry->judged_at <= now);
}

bool
enforcement_due(Datum version_id, bool no_version, TimestampTz recorded_at)
{
	TimestampTz statement = GetCurrentStatementStartTimestamp();
	LocalTransactionId transaction = compat_lxid(MyProc);
	int64 model_id;
	watch *entry;
	bool due;

	if (no_version || guarded() || !routing_watched(DatumGetInt64(version_id), &model_id))
		return false;
	entry = find_watch(model_id);
	entry->written++;
	rows_written++;
	if (entry->transaction != transaction)
		entry->before = entry->written - 1;
	if (entry->transaction != transaction || entry->statement != statement || entry->aborts != aborts)
	{
		if (entry->queued && entry->aborts != aborts)
			entry->queued_at = entry->queued_before; /* perhaps undone */
		entry->transaction = transaction;
		entry->statement = statement;
		entry->aborts = aborts;
		entry->queued = false;
		entry->fired = false;
		entry->read = false;
		entry->rows = 0;
	}
	/* A yes leaves the count as it is: recording functions ask, then the trigger's condition asks again. */
	else if ((!entry->fired || entry->rows >= LOOK_AT_ALL) && entry->queued && entry->rows % LOOK_EVERY != 0)
	{
		entry->rows++;
		return false;
	}
	if (too_soon(entry))
	{
		entry->rows++;
		return false;
	}
	/* Only now, once a second, what other sessions have done is looked up. */
	if (!entry->read)
	{
		read_rollout(entry);
		entry->read = true;
	}
	due = entry->window >= 0 && recorded_at >= mm_now() - entry->window && !too_soon(entry);
	if (!due)
		entry->rows++;
	return due;
}

/* note_queued: the row that asked gets its evaluation. */
static void
note_queued(int64 model_id)
{
	watch *entry = find_watch(model_id);
	TimestampTz now = GetCurrentTimestamp();

	if (entry->queued_at + EVERY > now || entry->judged_at + EVERY > now)
	{
		if (entry->burst == BURST)
			entry->earned_at = now;
		if (!mm_clock_is_fixed())
			entry->burst = Max(entry->burst - 1, 0);
	}
	entry->queued = true;
	entry->fired = false;
	entry->rows++;
	entry->queued_before = entry->queued_at;
	entry->queued_at = now;
}

bool
enforcement_unseen(int64 model_id)
{
	watch *entry = find_watch(model_id);

	return entry->seen_in != compat_lxid(MyProc) || entry->seen != entry->written;
}

void
enforcement_seen(int64 model_id)
{
	watch *entry = find_watch(model_id);

	entry->seen_in = compat_lxid(MyProc);
	entry->seen = entry->written;
	entry->fired = true;
}

uint64
enforcement_rows_here(int64 model_id)
{
	watch *entry = find_watch(model_id);

	return entry->written - entry->before;
}

uint64
enforcement_rows(void)
{
	return rows_written;
}

void
enforcement_retry_soon(int64 model_id)
{
	watch *entry = find_watch(model_id);

	entry->queued_at = GetCurrentTimestamp() - EVERY + EVERY / 10;
}

MM_FUNCTION(mm_evaluation_due);

/* mm_evaluation_due: the trigger's WHEN condition. */
Datum
mm_evaluation_due(PG_FUNCTION_ARGS)
{
	int64 model_id;

	if (PG_ARGISNULL(1) ||
		!enforcement_due(PG_ARGISNULL(0) ? 0 : PG_GETARG_DATUM(0), PG_ARGISNULL(0), PG_GETARG_TIMESTAMPTZ(1)))
		PG_RETURN_BOOL(false);
	(void) routing_watched(PG_GETARG_INT64(0), &model_id);
	note_queued(model_id);
	PG_RETURN_BOOL(true);
}
