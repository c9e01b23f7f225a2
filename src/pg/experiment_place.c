/*
 * experiment_place.c: test_place(): which test, arm and epoch an outcome counts in. What a decision or record_result()
 * says, within the time of the test; and for tests that carry their model's traffic, what was recorded of the arm's
 * version without a decision, as such rows are credited to rollouts. Called once a row by the fold and by reading, so
 * the tests are read once a query.
 */
#include "pg/mm.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/hsearch.h"

#include "pg/query.h"

/* A test that outcomes still come for. */
typedef struct open_test
{
	int64 test_no; /* hash key */
	TimestampTz from;
	TimestampTz until; /* inclusive: a clock that stands still has one moment for results and end */
	int64 deployment_id;
	int arms;
	int epochs;
	TimestampTz *epoch_from;
} open_test;

/* A version that is an arm of tests which carry traffic; several follow each other. */
typedef struct arm_of
{
	int64 test_no;
	int arm;
} arm_of;

typedef struct version_arms
{
	int64 version_id; /* hash key */
	int count;
	arm_of *arms;
} version_arms;

typedef struct open_tests
{
	HTAB *tests;
	HTAB *versions;
} open_tests;

/* add_version: the last test that began comes last. */
static void
add_version(open_tests *all, int64 version_id, arm_of arm, MemoryContext context)
{
	bool found;
	version_arms *v = hash_search(all->versions, &version_id, HASH_ENTER, &found);

	if (!found)
		*v = (version_arms){.version_id = version_id, .arms = MemoryContextAlloc(context, sizeof(arm_of))};
	else
		v->arms = repalloc(v->arms, (v->count + 1) * sizeof(arm_of));
	v->arms[v->count++] = arm;
}

/* array_column: the elements of an array of eight-byte values. */
static int
array_column(uint64 row, int column, Oid type, Datum **out)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);
	int n = 0;

	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(value), type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, out, NULL, &n);
	return n;
}

/* alone: no other arm has this one's version. In a test of a version against itself nobody can tell by the version. */
static bool
alone(const Datum *version, int arms, int arm)
{
	for (int i = 0; i < arms; i++)
		if (i != arm && version[i] == version[arm])
			return false;
	return true;
}

static open_tests *
load_tests(MemoryContext context)
{
	/* What warms up is recorded and not judged. */
	static query find = QUERY(
		"SELECT p.test_no, t.started_at + coalesce((SELECT (d.rollout ->> 'warmup_seconds')::float8"
		"  FROM model_mgr.deployment d WHERE d.deployment_id = p.deployment_id), 0) * '1 s'::interval,"
		" coalesce(t.stopped_at, 'infinity'), t.routes_traffic, p.deployment_id,"
		" ARRAY(SELECT coalesce(a.version_id, 0) FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm),"
		" ARRAY(SELECT s.from_at FROM model_mgr.ab_test_share s WHERE s.test_no = p.test_no ORDER BY s.epoch)"
		" FROM model_mgr.ab_test t JOIN model_mgr.ab_test_plan p ON p.test_id = t.test_id"
		" WHERE t.status = 'running' OR t.stopped_at > $1 ORDER BY t.started_at, p.test_no",
		TIMESTAMPTZOID);
	HASHCTL tests = {.keysize = sizeof(int64), .entrysize = sizeof(open_test), .hcxt = context};
	HASHCTL versions = {.keysize = sizeof(int64), .entrysize = sizeof(version_arms), .hcxt = context};
	open_tests *all = MemoryContextAlloc(context, sizeof(open_tests));
	mm_scope scope = mm_enter();
	uint64 rows = query_run(&find, time_arg(mm_now() - guc_retention_days * USECS_PER_DAY));

	all->tests = hash_create("tests", 64, &tests, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	all->versions = hash_create("arms of tests", 64, &versions, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (uint64 row = 0; row < rows; row++)
	{
		int64 test_no = query_int64(row, 0);
		open_test *test = hash_search(all->tests, &test_no, HASH_ENTER, NULL);
		Datum *version = NULL;
		Datum *from = NULL;

		test->from = query_time(row, 1);
		test->until = query_time(row, 2);
		test->deployment_id = query_int64(row, 4);
		test->arms = array_column(row, 5, INT8OID, &version);
		test->epochs = array_column(row, 6, TIMESTAMPTZOID, &from);
		test->epoch_from = MemoryContextAlloc(context, Max(test->epochs, 1) * sizeof(TimestampTz));
		for (int i = 0; i < test->epochs; i++)
			test->epoch_from[i] = DatumGetTimestampTz(from[i]);
		for (int i = 0; i < test->arms && query_bool(row, 3); i++)
			if (DatumGetInt64(version[i]) != 0 && alone(version, test->arms, i))
				add_version(all, DatumGetInt64(version[i]), (arm_of){test_no, i}, context);
	}
	mm_leave(scope);
	return all;
}

/* epoch_at: from 1; what comes before the first belongs to it, and what comes at the moment in which shares move was
 * assigned by those before: where a clock stands still, a tick follows what was recorded. */
static int
epoch_at(const open_test *test, TimestampTz at)
{
	int epoch = 1;

	while (epoch < test->epochs && test->epoch_from[epoch] < at)
		epoch++;
	return epoch;
}

MM_FUNCTION(mm_test_place);

/* mm_test_place(test_no bigint, arm smallint, version_id bigint, deployment_id bigint, step integer, request bigint, at
 * timestamptz): test_no << 24 | arm << 16 | epoch; NULL: in none. */
Datum
mm_test_place(PG_FUNCTION_ARGS)
{
	open_tests *all = fcinfo->flinfo->fn_extra;
	TimestampTz at;

	/* What route() has sent elsewhere says so. */
	if (PG_ARGISNULL(6) || (PG_ARGISNULL(0) ? PG_ARGISNULL(2) || !PG_ARGISNULL(5) : PG_ARGISNULL(1)))
		PG_RETURN_NULL();
	if (all == NULL)
		all = fcinfo->flinfo->fn_extra = load_tests(fcinfo->flinfo->fn_mcxt);
	at = PG_GETARG_TIMESTAMPTZ(6);
	if (!PG_ARGISNULL(0))
	{
		int64 test_no = PG_GETARG_INT64(0);
		int arm = PG_GETARG_INT16(1);
		const open_test *test = hash_search(all->tests, &test_no, HASH_FIND, NULL);

		if (test == NULL || arm < 0 || arm >= test->arms || at < test->from || at > test->until)
			PG_RETURN_NULL();
		PG_RETURN_INT64(test_no << 24 | arm << 16 | epoch_at(test, at));
	}
	else
	{
		int64 version_id = PG_GETARG_INT64(2);
		const version_arms *v = hash_search(all->versions, &version_id, HASH_FIND, NULL);

		for (int i = v ? v->count - 1 : -1; i >= 0; i--)
		{
			const arm_of *arm = &v->arms[i];
			const open_test *test = hash_search(all->tests, &arm->test_no, HASH_FIND, NULL);

			if (at < test->from || at > test->until)
				continue;
			/* A row that knows its rollout, or that there was none (step 0), says so. */
			if (test->deployment_id != 0 &&
				(PG_ARGISNULL(3) ? !PG_ARGISNULL(4) : PG_GETARG_INT64(3) != test->deployment_id))
				continue;
			PG_RETURN_INT64(arm->test_no << 24 | arm->arm << 16 | epoch_at(test, at));
		}
	}
	PG_RETURN_NULL();
}
