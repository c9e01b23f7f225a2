/*
 * work.c: what the procedure work() does step by step. It lists what is due (work_tasks), and for each item, in three
 * transactions, marks that it begins (work_begin), runs it (work_run) and, when that transaction came to nothing, says
 * so (work_interrupted). The mark is committed before any code of users runs: when that takes the session down, the
 * next work() finds the mark and disables the item. Whoever is at an item holds its row's lock, so that two sessions
 * never run the same one; who would begin it does not wait. Who has marked it does: between its two transactions others
 * may look at the mark under that lock, and to leave a mark behind would be to accuse the code.
 */
#include "pg/mm.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/tuplestore.h"

#include "pg/event.h"
#include "pg/metric_source.h"
#include "pg/query.h"
#include "pg/validator.h"

#define SOURCE_PREFIX "metric source "

typedef struct task
{
	const char *source; /* NULL: a callback */
	int64 result_id;    /* 0: no rule of a validation */
	int64 callback_id;
	int64 event_id;
} task;

/* parse: 22023 for what work_tasks() does not list. */
static task
parse(const char *text)
{
	task t = {0};
	long long callback_id;
	long long event_id;
	long long result_id;
	int length = 0;

	if (strncmp(text, SOURCE_PREFIX, strlen(SOURCE_PREFIX)) == 0)
		t.source = text + strlen(SOURCE_PREFIX);
	else if (sscanf(text, "validation %lld%n", &result_id, &length) == 1 && text[length] == '\0')
		t.result_id = result_id;
	else if (sscanf(text, "callback %lld event %lld%n", &callback_id, &event_id, &length) == 2 && text[length] == '\0')
	{
		t.callback_id = callback_id;
		t.event_id = event_id;
	}
	else
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown task \"%s\"", text),
				errdetail("Tasks are \"callback 3 event 17\", \"metric source refunds\" and \"validation 5\"."),
				errhint("work_tasks() lists what is due; CALL model_mgr.work() does it."));
	return t;
}

MM_FUNCTION(mm_work_tasks);

/* mm_work_tasks(): callbacks, sources and validations by turns, so that none waits for all of another. */
Datum
mm_work_tasks(PG_FUNCTION_ARGS)
{
	static query due = QUERY(
		"SELECT x.task FROM ("
		" SELECT pg_catalog.format('callback %s event %s', d.callback_id, d.event_id), 1, pg_catalog.row_number() OVER ()"
		" FROM model_mgr.callback_due d"
		" UNION ALL SELECT '" SOURCE_PREFIX "' || m.metric_name, 2,"
		" pg_catalog.row_number() OVER (ORDER BY m.failures, m.last_read_at NULLS FIRST, m.source_id)"
		" FROM model_mgr.metric_source m WHERE m.disabled_at IS NULL AND m.next_read_at <= $1"
		" UNION ALL SELECT 'validation ' || r.result_id, 3, pg_catalog.row_number() OVER (ORDER BY r.result_id)"
		" FROM model_mgr.validation_result r LEFT JOIN model_mgr.update_run u ON u.update_id = r.update_id"
		" LEFT JOIN model_mgr.deployment d ON d.deployment_id = r.deployment_id"
		" WHERE r.passed IS NULL AND r.due_at <= $1 AND (u.status = 'validating' OR d.status = 'pending')) x (task, kind, turn)"
		" ORDER BY x.turn, x.kind",
		TIMESTAMPTZOID);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64 count;
	mm_scope scope;

	PreventCommandIfReadOnly("work()");
	mm_refuse_user_code("registered code must not run registered code", "Leave it to work().");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	scope = mm_enter();
	count = query_run(&due, time_arg(mm_now()));
	for (uint64 i = 0; i < count; i++)
	{
		bool isnull;
		Datum value = query_datum(i, 0, &isnull);

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	}
	mm_leave(scope);
	return (Datum) 0;
}

MM_FUNCTION(mm_work_begin);

/* mm_work_begin(task text): marks it; false: nothing to do, or somebody else is at it. To be committed before the rest.
 */
Datum
mm_work_begin(PG_FUNCTION_ARGS)
{
	task t = parse(mm_text_arg(fcinfo, 0, "task", true));
	bool begun;
	mm_scope scope;

	mm_refuse_user_code("registered code must not run registered code", "Leave it to work().");
	scope = mm_enter();
	begun = t.source      ? metric_source_begin(t.source)
			: t.result_id ? validator_begin(t.result_id)
						  : callback_begin(t.callback_id, t.event_id);
	mm_leave(scope);
	PG_RETURN_BOOL(begun);
}

/* A lock in the method of advisory locks, and how often the session holds it beyond its transactions. */
typedef struct session_lock
{
	LOCKTAG tag;
	LOCKMODE mode;
	int64 count;
} session_lock;

/* count_of_session: the holds that no transaction ends. */
static int64
count_of_session(const LOCALLOCK *lock)
{
	for (int i = 0; i < lock->numLockOwners; i++)
		if (lock->lockOwners[i].owner == NULL)
			return lock->lockOwners[i].nLocks;
	return 0;
}

/* session_locks: what the session of work() holds before user code runs. Each is taken once more, for the transaction:
 * so it is never free in between, whatever that code and give_back do. */
static List *
session_locks(void)
{
	LockData *all = GetLockStatusData();
	List *held = NIL;

	for (int i = 0; i < all->nelements; i++)
	{
		const LockInstanceData *one = &all->locks[i];

		if (one->pid != MyProcPid || one->locktag.locktag_lockmethodid != USER_LOCKMETHOD)
			continue;
		for (LOCKMODE mode = 1; mode < MAX_LOCKMODES; mode++)
			if (one->holdMask & LOCKBIT_ON(mode))
			{
				session_lock *s = palloc(sizeof(session_lock));

				s->tag = one->locktag;
				s->mode = mode;
				s->count = count_of_session(compat_lock_again(&s->tag, mode));
				held = lappend(held, s);
			}
	}
	return held;
}

/* give_back: the session holds what it held before. Locks of the session are the one thing of user code that outlives a
 * rollback, and could hold up others as long as the session lasts. */
static void
give_back(const List *held)
{
	ListCell *cell;

	LockReleaseSession(USER_LOCKMETHOD);
	foreach (cell, held)
	{
		session_lock *s = lfirst(cell);

		for (int64 i = 0; i < s->count; i++)
			(void) LockAcquire(&s->tag, s->mode, true, true);
	}
}

MM_FUNCTION(mm_work_run);

/* mm_work_run(task text): runs what this session marked; true when there is more of the same to do at once. */
Datum
mm_work_run(PG_FUNCTION_ARGS)
{
	task t = parse(mm_text_arg(fcinfo, 0, "task", true));
	volatile bool more = false;
	List *volatile locks;
	mm_scope scope;

	mm_refuse_user_code("registered code must not run registered code", "Leave it to work().");
	scope = mm_enter();
	locks = session_locks();
	PG_TRY();
	{
		if (t.source)
			more = metric_source_run(t.source);
		else if (t.result_id)
			validator_run(t.result_id);
		else
			callback_deliver(t.callback_id, t.event_id);
	}
	PG_FINALLY();
	{
		give_back(locks);
	}
	PG_END_TRY();
	mm_leave(scope);
	PG_RETURN_BOOL(more);
}

MM_FUNCTION(mm_work_interrupted);

/* mm_work_interrupted(task text, reason text): its transaction was rolled back by something from outside, such as a
 * cancel request: it is tried again later. */
Datum
mm_work_interrupted(PG_FUNCTION_ARGS)
{
	task t = parse(mm_text_arg(fcinfo, 0, "task", true));
	char *why = mm_text_arg(fcinfo, 1, "reason", true);
	mm_scope scope;

	mm_refuse_user_code("registered code must not run registered code", "Leave it to work().");
	scope = mm_enter();
	if (t.source)
		metric_source_interrupted(t.source, why);
	else if (t.result_id)
		validator_interrupted(t.result_id, why);
	else
		callback_interrupted(t.callback_id, t.event_id, why);
	mm_leave(scope);
	PG_RETURN_VOID();
}
