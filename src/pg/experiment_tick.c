/*
 * experiment_tick.c: the tick's part in tests: one reading of all that run, a look at those whose information has
 * grown, an end for those that have a verdict, are hopeless, broke a guardrail or are over. One test's error stops no
 * other.
 */
#include "pg/experiment.h"

#include "miscadmin.h"

#include "pg/deployment.h"
#include "pg/experiment_analysis.h"
#include "pg/query.h"
#include "pg/rollup.h"

/* as_read: nobody has looked at it or ended it since it was read. The test is locked. */
static bool
as_read(const test_analysis *a)
{
	static query compare =
		QUERY("SELECT t.status = 'running' AND coalesce(pg_catalog.cardinality(p.information), 0) = $3"
			  " FROM model_mgr.ab_test t LEFT JOIN model_mgr.ab_test_progress p ON p.test_no = $2 WHERE t.test_id = $1",
			  TEXTOID, INT8OID, INT4OID);

	return query_run(&compare, text_arg(a->e->test_id), int64_arg(a->e->test_no), int32_arg(a->looks)) > 0 &&
		   query_bool(0, 0);
}

/* moves: whether new shares are due: 10 minutes after the last ones at the earliest, and a tenth of the test's age, so
 * that even the longest test has no more than about a hundred epochs. */
static bool
moves(const test_analysis *a)
{
	const experiment *e = a->e;
	TimestampTz since = e->epochs[e->epoch_count - 1].from_at;

	return strcmp(e->allocation, "thompson") == 0 &&
		   a->now - since >= Max(10 * USECS_PER_MINUTE, (a->now - e->started_at) / 10);
}

/* advance: one test; 1 when something was written of it. */
static int64
advance(int64 argument)
{
	test_analysis *a = (test_analysis *) (intptr_t) argument;
	const experiment *e = a->e;
	bool over;
	bool move;
	bool moved = false;

	analysis_look(a);
	over = analysis_is_over(a);
	move = !over && moves(a);
	if (!a->result.look && !over && !move && a->stored_status == a->result.decision.status)
		return 0;
	if ((over || move) && analysis_needs_model(e) && !mm_lock_model(e->model_id, false))
		return 0;
	if (!analysis_lock(e->test_id, false) || !as_read(a) || (over && !rollup_hold(false)))
		return 0;
	if (over)
	{
		analysis_end(a, NULL);
		if (e->deployment_id != 0)
			(void) deployment_advance(e->deployment_id);
		return 1;
	}
	if (a->result.look)
		analysis_record(a, false);
	if (move)
		moved = analysis_move_shares(a);
	if (!a->result.look && a->stored_status == a->result.decision.status)
		return moved ? 1 : 0;
	analysis_tell_mismatch(a);
	analysis_store(a, NULL);
	return 1;
}

/* What a tick has read: all tests, or their names alone. */
typedef struct reading
{
	experiment *tests;
	test_analysis *analyses;
	char **test_ids;
	int count;
} reading;

static int64
read_all(int64 argument)
{
	reading *r = (reading *) (intptr_t) argument;
	int n = experiment_load_many(true, &r->tests);

	r->analyses = palloc(sizeof(test_analysis) * Max(n, 1));
	analysis_read(r->tests, n, r->analyses);
	r->count = n;
	return n;
}

/* read_names: of the tests that run. */
static int64
read_names(int64 argument)
{
	static query running =
		QUERY("SELECT t.test_id FROM model_mgr.ab_test t WHERE t.status = 'running' ORDER BY t.test_id");
	reading *r = (reading *) (intptr_t) argument;
	int n = (int) query_run(&running);

	r->test_ids = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		r->test_ids[i] = query_text(i, 0);
	r->count = n;
	return n;
}

/* advance_alone: one test, read by itself. */
static int64
advance_alone(int64 argument)
{
	experiment e;
	test_analysis a;

	if (!experiment_load((const char *) (intptr_t) argument, &e) || !experiment_is_running(&e))
		return 0;
	analysis_read(&e, 1, &a);
	return advance((intptr_t) &a);
}

/* look_back: what units did before their tests, of those that are still without it. */
static int64
look_back(int64 deadline)
{
	return experiment_covariates_advance(deadline);
}

int64
experiment_advance_all(TimestampTz deadline, int64 *failed)
{
	TimestampTz now = GetCurrentTimestamp();
	reading all = {0};
	ErrorData *error;
	int64 changed = 0;
	int64 items;
	int first;

	/* A part of the time: looks must not wait for it. */
	if (!mm_guarded(look_back, now + (deadline - now) / 4, "reading what units did before their tests", &items))
		(*failed)++;
	if (!mm_attempt(read_all, (intptr_t) &all, &items, &error))
	{
		/* One that cannot be read must harm no other: each by itself, which tells which ones they are. */
		FreeErrorData(error);
		all = (reading){0};
		if (!mm_guarded(read_names, (intptr_t) &all, "reading the tests", &items))
		{
			(*failed)++;
			return 0;
		}
	}
	deadline = mm_turn(deadline);
	/* Where time runs out before all had their turn, others are first the next time. */
	first = all.count > 0 ? (int) ((deadline / USECS_PER_SEC) % all.count) : 0;
	for (int i = 0; i < all.count && GetCurrentTimestamp() < deadline; i++)
	{
		int k = (first + i) % all.count;
		bool alone = all.test_ids != NULL;
		char *test_id = alone ? all.test_ids[k] : all.tests[k].test_id;

		CHECK_FOR_INTERRUPTS();
		if (mm_guarded(alone ? advance_alone : advance, alone ? (intptr_t) test_id : (intptr_t) &all.analyses[k],
					   psprintf("test \"%s\"", test_id), &items))
			changed += items;
		else
			(*failed)++;
	}
	return changed;
}
