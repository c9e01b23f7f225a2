/*
 * experiment_covariate.c: what units did in the 14 days before a test, from which CUPED takes the part of the variance
 * that was there before (Deng, Xu, Kohavi and Walker 2013). Gathered when the test begins where that is quickly read,
 * else piece by piece by the tick; then taken into the sums of the units that have come meanwhile, in one statement
 * under the fold's lock. Units that come later bring it along in the fold.
 */
#include "pg/experiment_store.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "pg/observation.h"
#include "pg/query.h"
#include "pg/rollup.h"

#define DAYS_BEFORE 14
#define LOOK_BACK (DAYS_BEFORE * USECS_PER_DAY)
#define PIECE (6 * USECS_PER_HOUR)
/* Pages that create_test() reads at once: some 50,000 outcomes. */
#define FEW_PAGES 1000

/* gather: adds what units did in [from, until). Each outcome is in one piece. */
static void
gather(int64 test_no, TimestampTz from, TimestampTz until)
{
	static query add =
		QUERY("INSERT INTO model_mgr.ab_test_covariate AS r (test_no, unit_hash, sums)"
			  " SELECT $1, g.unit_hash, model_mgr.test_unit_sums(g.raw, NULL, (SELECT pg_catalog.array_fill(0::float8,"
			  "  ARRAY[pg_catalog.cardinality(p.metrics)]) FROM model_mgr.ab_test_plan p WHERE p.test_no = $1))"
			  " FROM (SELECT o.unit_hash,"
			  "  model_mgr.test_values($1 << 24, o.success, o.response_time, o.confidence, o.cost, o.input_tokens,"
			  "   o.output_tokens, o.error_type IS NOT NULL, o.feedback, o.metrics) AS raw"
			  "  FROM model_mgr.observation o"
			  "  WHERE o.recorded_at >= $2 AND o.recorded_at < $3 AND o.unit_hash IS NOT NULL AND o.version_id IN"
			  "   (SELECT v.version_id FROM model_mgr.model_version v WHERE v.model_id ="
			  "    (SELECT p.model_id FROM model_mgr.ab_test_plan p WHERE p.test_no = $1))"
			  "  GROUP BY o.unit_hash) g"
			  " ON CONFLICT (test_no, unit_hash) DO UPDATE SET sums = model_mgr.add_numbers(r.sums, excluded.sums)",
			  INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	int level = rollup_plan_for_history();

	query_run(&add, int64_arg(test_no), time_arg(from), time_arg(until));
	AtEOXact_GUC(true, level);
}

/* take_in: the units that are there already get what was gathered; false while somebody folds. */
static bool
take_in(int64 test_no)
{
	static query take =
		QUERY("WITH changes AS (SELECT u.arm, u.epoch,"
			  "  model_mgr.test_moments(NULL, u.sums, u.sums, NULL, c.sums, a.anchors) AS moments"
			  "  FROM model_mgr.ab_test_unit u JOIN model_mgr.ab_test_covariate c ON c.test_no = u.test_no"
			  "  AND c.unit_hash = u.unit_hash JOIN model_mgr.ab_test_anchor a ON a.test_no = u.test_no"
			  "  WHERE u.test_no = $1 GROUP BY u.arm, u.epoch),"
			  " taken AS (UPDATE model_mgr.ab_test_plan p SET covariates = 'complete' WHERE p.test_no = $1)"
			  " UPDATE model_mgr.ab_test_sum s SET moments = model_mgr.add_numbers(s.moments, c.moments) FROM changes c"
			  " WHERE s.test_no = $1 AND s.arm = c.arm AND s.epoch = c.epoch",
			  INT8OID);

	if (!mm_lock_model(ROLLUP_LOCK, false))
		return false;
	query_run(&take, int64_arg(test_no));
	return true;
}

void
experiment_covariates_begin(int64 test_no, TimestampTz started_at)
{
	static query complete =
		QUERY("UPDATE model_mgr.ab_test_plan p SET covariates = 'complete' WHERE p.test_no = $1", INT8OID);

	if (IsolationUsesXactSnapshot() || observation_pages(started_at - LOOK_BACK, started_at, true) > FEW_PAGES)
		return;
	gather(test_no, started_at - LOOK_BACK, started_at);
	/* No unit is in the test yet. */
	query_run(&complete, int64_arg(test_no));
}

int64
experiment_covariates_advance(TimestampTz deadline)
{
	static query wanted =
		QUERY("SELECT p.test_no, t.started_at, coalesce(p.covariates_until, t.started_at - $1 * '1 s'::interval)"
			  " FROM model_mgr.ab_test_plan p JOIN model_mgr.ab_test t ON t.test_id = p.test_id"
			  " WHERE p.covariates = 'wanted' AND (t.status = 'running' OR t.stopped_at > $2)"
			  " ORDER BY t.status <> 'running', t.started_at, p.test_no LIMIT 1 FOR UPDATE OF p SKIP LOCKED",
			  FLOAT8OID, TIMESTAMPTZOID);
	static query note = QUERY("UPDATE model_mgr.ab_test_plan p SET covariates_until = $2 WHERE p.test_no = $1", INT8OID,
							  TIMESTAMPTZOID);
	query_arg seconds = float8_arg(LOOK_BACK / USECS_PER_SEC);
	query_arg units_kept = time_arg(mm_now() - guc_retention_days * USECS_PER_DAY);
	int64 pieces = 0;

	while (GetCurrentTimestamp() < deadline && query_run(&wanted, seconds, units_kept) > 0)
	{
		int64 test_no = query_int64(0, 0);
		TimestampTz started_at = query_time(0, 1);
		TimestampTz from = query_time(0, 2);
		TimestampTz until = Min(from + PIECE, started_at);

		CHECK_FOR_INTERRUPTS();
		if (from < started_at)
		{
			gather(test_no, from, until);
			query_run(&note, int64_arg(test_no), time_arg(until));
		}
		else if (!take_in(test_no))
			break;
		pieces++;
	}
	return pieces;
}
