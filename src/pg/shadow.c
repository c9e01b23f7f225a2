/*
 * shadow.c: pairs of a shadow rollout. Both decisions of a request carry its number, so what differs between two
 * requests (hard and easy ones, the hour of the day) differs on neither side of a pair: far fewer outcomes tell
 * versions apart than two independent groups would need.
 */
#include "pg/shadow.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"

#include "core/hypothesis.h"
#include "pg/query.h"
#include "pg/statistics.h"

/* When the pairs begin and end: $2 now, $3 SHADOW_MAX_ROWS. */
static query span =
	QUERY("SELECT GREATEST(b.began, (SELECT pg_catalog.max(m.bucket) + '1 min'::pg_catalog.interval FROM"
		  " (SELECT r.bucket, pg_catalog.sum(pg_catalog.sum(r.requests)) OVER (ORDER BY r.bucket DESC) AS total"
		  "  FROM model_mgr.rollup_minute r WHERE r.bucket > b.began AND r.bucket < b.ended GROUP BY r.bucket) m"
		  " WHERE m.total > $3)), b.ended"
		  " FROM (SELECT d.step_started_at + coalesce((d.rollout ->> 'warmup_seconds')::pg_catalog.float8, 0)"
		  "  * '1 s'::pg_catalog.interval AS began, coalesce(p.ended_at, $2) AS ended"
		  "  FROM model_mgr.deployment d JOIN model_mgr.deployment_plan p ON p.deployment_id = d.deployment_id"
		  "  WHERE d.deployment_id = $1 AND d.strategy = 'shadow' AND p.started_at IS NOT NULL"
		  "  AND p.baseline_version_id IS NOT NULL) b",
		  INT8OID, TIMESTAMPTZOID, INT8OID);

/* Feedback is the truth about what was recorded before. What arrived by the end counts. */
static query pairs =
	QUERY("SELECT pg_catalog.count(*) FILTER (WHERE x.b AND x.c), pg_catalog.count(*) FILTER (WHERE x.b AND NOT x.c),"
		  " pg_catalog.count(*) FILTER (WHERE NOT x.b AND x.c), pg_catalog.count(*) FILTER (WHERE NOT x.b AND NOT x.c),"
		  " pg_catalog.count(x.c_time - x.b_time), pg_catalog.avg(x.b_time) FILTER (WHERE x.c_time IS NOT NULL),"
		  " pg_catalog.avg(x.c_time) FILTER (WHERE x.b_time IS NOT NULL), pg_catalog.avg(x.c_time - x.b_time),"
		  " pg_catalog.var_samp(x.c_time - x.b_time)"
		  " FROM (SELECT coalesce(pg_catalog.bool_and(o.success) FILTER (WHERE o.arm = 0 AND o.feedback),"
		  "   pg_catalog.bool_and(o.success) FILTER (WHERE o.arm = 0)) AS b,"
		  "  coalesce(pg_catalog.bool_and(o.success) FILTER (WHERE o.arm = 1 AND o.feedback),"
		  "   pg_catalog.bool_and(o.success) FILTER (WHERE o.arm = 1)) AS c,"
		  "  pg_catalog.avg(o.response_time) FILTER (WHERE o.arm = 0) AS b_time,"
		  "  pg_catalog.avg(o.response_time) FILTER (WHERE o.arm = 1) AS c_time"
		  "  FROM model_mgr.observation o WHERE o.deployment_id = $1 AND o.recorded_at >= $2 AND o.recorded_at <= $3"
		  "  AND coalesce(o.routed_at, o.recorded_at) >= $2 AND o.request IS NOT NULL AND o.arm IN (0, 1)"
		  "  GROUP BY o.request HAVING pg_catalog.bool_or(o.arm = 0) AND pg_catalog.bool_or(o.arm = 1)) x",
		  INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);

bool
shadow_pairs_read(int64 deployment_id, shadow_pairs *out)
{
	TimestampTz until;

	if (query_run(&span, int64_arg(deployment_id), time_arg(mm_now()), int64_arg(SHADOW_MAX_ROWS)) == 0)
		return false;
	*out = (shadow_pairs){.since = query_time(0, 0)};
	until = query_time(0, 1);
	(void) query_run(&pairs, int64_arg(deployment_id), time_arg(out->since), time_arg(until));
	out->both_good = query_int64(0, 0);
	out->only_baseline_good = query_int64(0, 1);
	out->only_candidate_good = query_int64(0, 2);
	out->both_bad = query_int64(0, 3);
	out->timed = query_int64(0, 4);
	if (out->timed > 0)
	{
		out->response_time_baseline = query_float8(0, 5);
		out->response_time_candidate = query_float8(0, 6);
		out->response_time_difference = query_float8(0, 7);
	}
	if (out->timed > 1)
		out->response_time_variance = query_float8(0, 8);
	return true;
}

/* ids_arg: ids as a parameter. */
static query_arg
ids_arg(const int64 *ids, int n)
{
	Datum *values = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(ids[i]);
	return datum_arg(
		PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false);
}

/* deviations: a sum of products about the means; what is left of equal values is rounding. */
static double
deviations(double products, double sum_a, double sum_b, double n)
{
	double about = products - sum_a * (sum_b / n);

	return fabs(about) > fabs(products) * 1e-13 ? about : 0;
}

void
shadow_sums(const int64 *deployment_ids, int n, guard_pairs *out)
{
	static query read =
		QUERY("SELECT k.n::integer, " SHADOW_SUMS " FROM pg_catalog.unnest($1) WITH ORDINALITY k (deployment_id, n)"
			  " JOIN model_mgr.deployment_pair_sum s ON s.deployment_id = k.deployment_id",
			  INT8ARRAYOID);
	uint64 rows;

	memset(out, 0, sizeof(*out) * n);
	rows = query_run(&read, ids_arg(deployment_ids, n));
	for (uint64 row = 0; row < rows; row++)
	{
		guard_pairs *p = &out[query_int32(row, 0) - 1];
		paired_values *v = &p->response_time;

		p->outcomes =
			(paired_cells){{{query_int64(row, 1), query_int64(row, 2)}, {query_int64(row, 3), query_int64(row, 4)}}};
		p->errors =
			(paired_cells){{{query_int64(row, 5), query_int64(row, 6)}, {query_int64(row, 7), query_int64(row, 8)}}};
		v->count = query_int64(row, 9);
		if (v->count > 0)
		{
			double count = (double) v->count;
			double b = query_float8(row, 10);
			double c = query_float8(row, 11);

			v->baseline = b / count;
			v->candidate = c / count;
			v->baseline_m2 = fmax(deviations(query_float8(row, 12), b, b, count), 0);
			v->candidate_m2 = fmax(deviations(query_float8(row, 13), c, c, count), 0);
			v->cross = deviations(query_float8(row, 14), b, c, count);
		}
	}
}

/* Pairs that are deleted at once, some 0.1 s. */
#define CLEAR_PAIRS 20000

int64
shadow_clear(void)
{
	static query ended = QUERY(
		"SELECT s.deployment_id FROM model_mgr.deployment_pair_sum s JOIN model_mgr.deployment d ON d.deployment_id = s.deployment_id"
		" WHERE NOT s.cleared AND d.status = ANY ('{completed,rolled_back,aborted,failed}'::pg_catalog.text[]) LIMIT 1");
	static query clear = QUERY(
		"DELETE FROM model_mgr.deployment_pair p WHERE p.ctid = ANY (ARRAY(SELECT f.ctid FROM model_mgr.deployment_pair f"
		" WHERE f.deployment_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)) AND p.deployment_id = $1",
		INT8OID, INT8OID);
	static query done = QUERY("UPDATE model_mgr.deployment_pair_sum s SET cleared = true WHERE s.deployment_id = $1"
							  " AND NOT EXISTS (SELECT FROM model_mgr.deployment_pair p WHERE p.deployment_id = $1)",
							  INT8OID);
	int64 id;
	int64 cleared;

	if (query_run(&ended) == 0)
		return 0;
	id = query_int64(0, 0);
	cleared = (int64) query_run(&clear, int64_arg(id), int64_arg(CLEAR_PAIRS));
	if (cleared < CLEAR_PAIRS)
		(void) query_run(&done, int64_arg(id));
	return cleared;
}

/* Columns of shadow_pairs(). */
enum
{
	PAIRS_SINCE,
	PAIRS_PAIRS,
	PAIRS_BOTH_GOOD,
	PAIRS_ONLY_BASELINE_GOOD,
	PAIRS_ONLY_CANDIDATE_GOOD,
	PAIRS_BOTH_BAD,
	PAIRS_SUCCESS_DIFFERENCE,
	PAIRS_SUCCESS_P_VALUE,
	PAIRS_TIMED,
	PAIRS_TIME_DIFFERENCE,
	PAIRS_TIME_P_VALUE,
	PAIRS_COLUMNS
};

/* set_number: NaN is not defined: NULL. */
static void
set_number(Datum *values, bool *nulls, int column, double value)
{
	values[column] = Float8GetDatum(value);
	nulls[column] = isnan(value);
}

MM_FUNCTION(mm_shadow_pairs);

/* mm_shadow_pairs: one row for a shadow that has begun, none for what is no shadow. */
Datum
mm_shadow_pairs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[PAIRS_COLUMNS];
	bool nulls[PAIRS_COLUMNS] = {0};
	shadow_pairs p;
	mm_scope scope;
	bool found;

	mm_require(fcinfo, 0, "deployment_id");
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	found = shadow_pairs_read(PG_GETARG_INT64(0), &p);
	mm_leave(scope);
	if (found)
	{
		hypothesis_result success = hypothesis_mcnemar(p.both_good, p.only_baseline_good, p.only_candidate_good,
													   p.both_bad, STATISTICS_CONFIDENCE);
		hypothesis_result time =
			hypothesis_paired((hypothesis_arm){p.timed, {p.response_time_difference, 0}, p.response_time_variance},
							  p.response_time_baseline, p.response_time_candidate, STATISTICS_CONFIDENCE);

		values[PAIRS_SINCE] = TimestampTzGetDatum(p.since);
		values[PAIRS_PAIRS] = Int64GetDatum(p.both_good + p.only_baseline_good + p.only_candidate_good + p.both_bad);
		values[PAIRS_BOTH_GOOD] = Int64GetDatum(p.both_good);
		values[PAIRS_ONLY_BASELINE_GOOD] = Int64GetDatum(p.only_baseline_good);
		values[PAIRS_ONLY_CANDIDATE_GOOD] = Int64GetDatum(p.only_candidate_good);
		values[PAIRS_BOTH_BAD] = Int64GetDatum(p.both_bad);
		set_number(values, nulls, PAIRS_SUCCESS_DIFFERENCE, success.effect);
		set_number(values, nulls, PAIRS_SUCCESS_P_VALUE, success.p_value);
		values[PAIRS_TIMED] = Int64GetDatum(p.timed);
		set_number(values, nulls, PAIRS_TIME_DIFFERENCE, p.timed > 0 ? p.response_time_difference : NAN);
		set_number(values, nulls, PAIRS_TIME_P_VALUE, time.p_value);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}
