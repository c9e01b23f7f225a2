/*
 * shadow.h: the outcomes of a shadow rollout in pairs: both versions answered the same request.
 */
#ifndef MM_SHADOW_H
#define MM_SHADOW_H

#include "pg/mm.h"

#include "core/guard.h"

/* Pairs since `since`, by what the stable version (the baseline) and the shadow (the candidate) did. */
typedef struct shadow_pairs
{
	TimestampTz since; /* later than the step began where that would be too much to read */
	int64 both_good;
	int64 only_baseline_good;
	int64 only_candidate_good;
	int64 both_bad;
	int64 timed; /* pairs with both response times */
	double response_time_baseline;
	double response_time_candidate;
	double response_time_difference; /* mean of candidate less baseline, seconds; 0 without pairs */
	double response_time_variance;   /* of the differences, divisor n - 1; 0 below two */
} shadow_pairs;

/*
 * shadow_pairs_read: pairs of requests routed since the step of a shadow rollout began (warm-up excluded) whose
 * outcomes have both arrived, until now or until it ended; false when the deployment is no shadow or has not begun.
 * Reads the observations of that time, of all models, but of no more minutes than hold SHADOW_MAX_ROWS: the newest.
 * Between mm_enter and mm_leave.
 */
#define SHADOW_MAX_ROWS 1000000
extern bool shadow_pairs_read(int64 deployment_id, shadow_pairs *out);

/* SHADOW_UNDER_WAY: whether there is a shadow rollout whose pairs a fold must take. */
#define SHADOW_UNDER_WAY                                                                                               \
	"(SELECT EXISTS (SELECT FROM model_mgr.deployment d WHERE d.strategy = 'shadow'"                                   \
	" AND d.status = ANY ('{running,paused,awaiting_approval}'::pg_catalog.text[])))"
/* shadow_sums: what is judged of n shadow rollouts: all their pairs that are folded; zeros where there are none. Costs
 * the same however many pairs there are. */
extern void shadow_sums(const int64 *deployment_ids, int n, guard_pairs *out);
/* shadow_clear: deletes pairs of rollouts that have ended, a bounded number; returns how many. Waits for nobody. */
extern int64 shadow_clear(void);

/*
 * SHADOW_FOLD: the part of a fold that takes the pairs of shadow rollouts, as common table expressions of its one
 * statement: the same snapshot, so that each half is taken exactly once. Halves of requests that were routed before the
 * rollout had warmed up are none. Feedback is the truth about what was recorded before.
 */
/* clang-format off */
#define SHADOW_SAID "pg_catalog.bool_and(o.success) FILTER (WHERE NOT o.feedback AND o.arm = "
#define SHADOW_TRUTH "pg_catalog.bool_and(o.success) FILTER (WHERE o.feedback AND o.arm = "
#define SHADOW_ERROR "pg_catalog.bool_or(o.error_type IS NOT NULL) FILTER (WHERE NOT o.feedback AND o.arm = "
#define SHADOW_TIME "pg_catalog.avg(o.response_time) FILTER (WHERE NOT o.feedback AND o.arm = "
#define SHADOW_BOTH(column) "coalesce(h." column " AND p." column ", h." column ", p." column ") AS " column
#define SHADOW_FIRST(column) "coalesce(p." column ", h." column ") AS " column
#define SHADOW_CELL(condition) "coalesce(pg_catalog.sum(x.sign) FILTER (WHERE " condition "), 0)::bigint"
#define SHADOW_SUM(term)                                                                                               \
	"coalesce(pg_catalog.sum(x.sign * " term ") FILTER (WHERE x.b_time IS NOT NULL AND x.c_time IS NOT NULL), 0)"
#define SHADOW_COLUMNS                                                                                                 \
	"baseline_said, baseline_truth, candidate_said, candidate_truth, baseline_error, candidate_error, baseline_time,"  \
	" candidate_time"
#define SHADOW_SUMS                                                                                                    \
	"both_good, only_baseline_good, only_candidate_good, both_bad, no_error, only_candidate_error,"                    \
	" only_baseline_error, both_error, timed, baseline_time, candidate_time, baseline_squares, candidate_squares,"     \
	" products"
#define SHADOW_ADD(column) column " = s." column " + excluded." column
#define SHADOW_FOLD                                                                                                    \
	" shadows AS MATERIALIZED (SELECT d.deployment_id, q.started_at"                                                   \
	"  + coalesce((d.rollout ->> 'warmup_seconds')::pg_catalog.float8, 0) * '1 s'::pg_catalog.interval AS began"       \
	"  FROM model_mgr.deployment d JOIN model_mgr.deployment_plan q ON q.deployment_id = d.deployment_id"              \
	"  WHERE d.strategy = 'shadow' AND d.status = ANY ('{running,paused,awaiting_approval}'::pg_catalog.text[])),"     \
	" halves AS (SELECT o.deployment_id, o.request, " SHADOW_SAID "0) AS baseline_said, " SHADOW_TRUTH                 \
	"0) AS baseline_truth, " SHADOW_SAID "1) AS candidate_said, " SHADOW_TRUTH "1) AS candidate_truth, " SHADOW_ERROR  \
	"0) AS baseline_error, " SHADOW_ERROR "1) AS candidate_error, " SHADOW_TIME "0) AS baseline_time, " SHADOW_TIME    \
	"1) AS candidate_time FROM model_mgr.observation_pending o JOIN shadows u ON u.deployment_id = o.deployment_id"                                                                          \
	" WHERE o.request IS NOT NULL AND o.arm IN (0, 1) AND o.txn <> model_mgr.own_txn()"                                \
	" AND coalesce(o.routed_at, o.recorded_at) >= u.began GROUP BY 1, 2),"                                             \
	" paired AS MATERIALIZED (SELECT h.deployment_id, h.request, coalesce(p.baseline_truth, p.baseline_said) AS b,"    \
	"  coalesce(p.candidate_truth, p.candidate_said) AS c, p.baseline_error AS b_error, p.candidate_error AS c_error," \
	"  p.baseline_time AS b_time, p.candidate_time AS c_time, " SHADOW_BOTH("baseline_said") ", "                      \
	SHADOW_BOTH("baseline_truth") ", " SHADOW_BOTH("candidate_said") ", " SHADOW_BOTH("candidate_truth")               \
	", coalesce(h.baseline_error OR p.baseline_error, h.baseline_error, p.baseline_error) AS baseline_error,"          \
	" coalesce(h.candidate_error OR p.candidate_error, h.candidate_error, p.candidate_error) AS candidate_error, "     \
	SHADOW_FIRST("baseline_time") ", " SHADOW_FIRST("candidate_time") " FROM halves h LEFT JOIN"                       \
	" model_mgr.deployment_pair p ON p.deployment_id = h.deployment_id AND p.request = h.request),"                    \
	" kept AS (INSERT INTO model_mgr.deployment_pair (deployment_id, request, " SHADOW_COLUMNS ")"                     \
	"  SELECT deployment_id, request, " SHADOW_COLUMNS " FROM paired ON CONFLICT (deployment_id, request) DO UPDATE"   \
	"  SET (" SHADOW_COLUMNS ") = ROW (excluded.baseline_said, excluded.baseline_truth, excluded.candidate_said,"      \
	"  excluded.candidate_truth, excluded.baseline_error, excluded.candidate_error, excluded.baseline_time,"           \
	"  excluded.candidate_time)),"                                                                                     \
	" summed AS (INSERT INTO model_mgr.deployment_pair_sum AS s (deployment_id, " SHADOW_SUMS ")"                      \
	"  SELECT x.deployment_id, " SHADOW_CELL("x.b AND x.c") ", " SHADOW_CELL("x.b AND NOT x.c") ", "                   \
	SHADOW_CELL("NOT x.b AND x.c") ", " SHADOW_CELL("NOT x.b AND NOT x.c") ", "                                        \
	SHADOW_CELL("NOT x.b_error AND NOT x.c_error") ", " SHADOW_CELL("NOT x.b_error AND x.c_error") ", "                \
	SHADOW_CELL("x.b_error AND NOT x.c_error") ", " SHADOW_CELL("x.b_error AND x.c_error") ", "                        \
	SHADOW_CELL("x.b_time IS NOT NULL AND x.c_time IS NOT NULL") ", " SHADOW_SUM("x.b_time") ", "                      \
	SHADOW_SUM("x.c_time") ", " SHADOW_SUM("x.b_time * x.b_time") ", " SHADOW_SUM("x.c_time * x.c_time") ", "          \
	SHADOW_SUM("x.b_time * x.c_time") " FROM (SELECT deployment_id, -1 AS sign, b, c, b_error, c_error, b_time, c_time" \
	"   FROM paired UNION ALL SELECT deployment_id, 1, coalesce(baseline_truth, baseline_said),"                       \
	"   coalesce(candidate_truth, candidate_said), baseline_error, candidate_error, baseline_time, candidate_time"     \
	"   FROM paired) x GROUP BY 1 ON CONFLICT (deployment_id) DO UPDATE SET " SHADOW_ADD("both_good") ", "             \
	SHADOW_ADD("only_baseline_good") ", " SHADOW_ADD("only_candidate_good") ", " SHADOW_ADD("both_bad") ", "           \
	SHADOW_ADD("no_error") ", " SHADOW_ADD("only_candidate_error") ", " SHADOW_ADD("only_baseline_error") ", "         \
	SHADOW_ADD("both_error") ", " SHADOW_ADD("timed") ", " SHADOW_ADD("baseline_time") ", "                            \
	SHADOW_ADD("candidate_time") ", " SHADOW_ADD("baseline_squares") ", " SHADOW_ADD("candidate_squares") ", "         \
	SHADOW_ADD("products") "),"
/* clang-format on */

#endif
