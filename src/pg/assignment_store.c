/*
 * assignment_store.c: the row that assignment reads (ab_test_assignment): a test's beginning, its shares, its end.
 */
#include "pg/assignment.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "pg/query.h"

void
assignment_create(int64 test_no)
{
	/* A group's slots are what is covered, so the arms share all that lies within. */
	static query create = QUERY(
		"INSERT INTO model_mgr.ab_test_assignment (test_id, test_no, revision, running, group_key, slot_from, slots,"
		" weights, variants, version_ids, model_names)"
		" SELECT t.test_id, p.test_no, 1, true, t.exclusion_group, p.slot_from, p.slots,"
		" ARRAY(SELECT pg_catalog.round(x * CASE WHEN p.slots IS NULL THEN t.coverage ELSE 1 END * 10000)::integer"
		"  FROM pg_catalog.unnest(s.shares) WITH ORDINALITY u (x, n) ORDER BY u.n),"
		" ARRAY(SELECT a.variant FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm),"
		" ARRAY(SELECT coalesce(a.version_id, 0) FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm),"
		" ARRAY(SELECT a.model_name FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no ORDER BY a.arm)"
		" FROM model_mgr.ab_test_plan p JOIN model_mgr.ab_test t ON t.test_id = p.test_id"
		" JOIN model_mgr.ab_test_share s ON s.test_no = p.test_no AND s.epoch = 1 WHERE p.test_no = $1",
		INT8OID);

	query_run(&create, int64_arg(test_no));
}

void
assignment_set_shares(int64 test_no, const double *shares)
{
	static query arms = QUERY("SELECT pg_catalog.array_length(a.weights, 1),"
							  " (SELECT pg_catalog.sum(w)::integer FROM pg_catalog.unnest(a.weights) w)"
							  " FROM model_mgr.ab_test_assignment a WHERE a.test_no = $1",
							  INT8OID);
	static query epoch =
		QUERY("WITH began AS (INSERT INTO model_mgr.ab_test_share (test_no, epoch, from_at, shares)"
			  "  SELECT $1, pg_catalog.max(s.epoch) + 1, $2, $3 FROM model_mgr.ab_test_share s WHERE s.test_no = $1)"
			  " UPDATE model_mgr.ab_test_assignment a SET weights = $4, revision = a.revision + 1 WHERE a.test_no = $1",
			  INT8OID, TIMESTAMPTZOID, FLOAT8ARRAYOID, INT4ARRAYOID);
	Datum share[TEST_MAX_ARMS];
	Datum weight[TEST_MAX_ARMS];
	int32 rest;
	int n;
	int32 total;

	query_run(&arms, int64_arg(test_no));
	n = query_int32(0, 0);
	total = rest = query_int32(0, 1);
	/* In whole buckets; control has what rounding leaves, and what is stored is what is drawn. */
	for (int i = n - 1; i >= 0; i--)
	{
		int32 buckets = i == 0 ? rest : Min(rest, (int32) rint(shares[i] * total));

		rest -= buckets;
		weight[i] = Int32GetDatum(buckets);
		share[i] = Float8GetDatum((double) buckets / total);
	}
	query_run(
		&epoch, int64_arg(test_no), time_arg(mm_now()),
		datum_arg(PointerGetDatum(construct_array(share, n, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false),
		datum_arg(PointerGetDatum(construct_array(weight, n, INT4OID, 4, true, TYPALIGN_INT)), false));
}

void
assignment_close(int64 test_no, int winner)
{
	static query close =
		QUERY("UPDATE model_mgr.ab_test_assignment a SET running = false, winner = $2::pg_catalog.int2,"
			  " revision = a.revision + 1 WHERE a.test_no = $1",
			  INT8OID, INT4OID);

	query_run(&close, int64_arg(test_no), winner >= 0 ? int32_arg(winner) : null_arg());
}
