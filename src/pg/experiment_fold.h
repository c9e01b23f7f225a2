/*
 * experiment_fold.h: what outcomes that are not folded yet change in the sums of tests, as the pieces of SQL that
 * folding (rollup.c) and reading (experiment_read.c) share. One definition, so that reading before a fold and after it
 * gives the same numbers.
 */
#ifndef MM_EXPERIMENT_FOLD_H
#define MM_EXPERIMENT_FOLD_H

/* Tests that outcomes still come for: those that run, and those that ended since `limit`. */
#define EXPERIMENT_OPEN(limit)                                                                                         \
	"(SELECT EXISTS (SELECT FROM model_mgr.ab_test t WHERE t.status = 'running')"                                      \
	" OR EXISTS (SELECT FROM model_mgr.ab_test t WHERE t.stopped_at > " limit "))"

#define EXPERIMENT_PLACE                                                                                               \
	"model_mgr.test_place(o.test_no, o.arm, o.version_id, o.deployment_id, o.step, o.request,"                         \
	" coalesce(o.routed_at, o.recorded_at)) AS place"

/*
 * CTEs:
 *   test_group   the pending rows that `rows` selects, by test, arm, unit and epoch, as raw sums;
 *   test_anchor  from where the values of each test's metrics are counted, the stored one first;
 *   test_first   in tests whose shares have moved, the first epoch among the pending rows of each unit;
 *   test_change  each unit's sums before and after, and what it did before the test. A unit that comes again under
 *                other shares may be in another arm: what it does then says how shares followed outcomes, and does not
 *                count.
 */
#define EXPERIMENT_CHANGES(rows)                                                                                           \
	"test_group AS MATERIALIZED (SELECT x.place >> 24 AS test_no, (x.place >> 16 & 255)::smallint AS arm,"                 \
	"  x.unit_hash, (x.place & 65535)::smallint AS epoch, model_mgr.test_values(x.place, x.success,"                       \
	"  x.response_time, x.confidence, x.cost, x.input_tokens, x.output_tokens, x.error_type IS NOT NULL, x.feedback,"      \
	"  x.metrics) AS raw"                                                                                                  \
	"  FROM (SELECT o.*, " EXPERIMENT_PLACE " FROM model_mgr.observation_pending o WHERE " rows " OFFSET 0) x"             \
	"  WHERE x.place IS NOT NULL"                                                                                          \
	"  GROUP BY x.place >> 24, x.place >> 16 & 255, x.unit_hash, x.place & 65535),"                                        \
	" test_anchor AS MATERIALIZED (SELECT g.test_no, a.anchors AS stored, model_mgr.test_anchors(a.anchors, g.raw)"        \
	"  AS anchors FROM test_group g JOIN model_mgr.ab_test_anchor a ON a.test_no = g.test_no GROUP BY g.test_no,"          \
	"  a.anchors),"                                                                                                        \
	" test_first AS MATERIALIZED (SELECT g.test_no, g.unit_hash, pg_catalog.min(g.epoch) AS epoch FROM test_group g"       \
	"  WHERE g.unit_hash IS NOT NULL AND g.test_no IN (SELECT s.test_no FROM model_mgr.ab_test_share s WHERE s.epoch > 1)" \
	"  GROUP BY g.test_no, g.unit_hash),"                                                                                  \
	" test_change AS MATERIALIZED (SELECT g.test_no, g.arm, g.unit_hash, g.epoch, g.raw,"                                  \
	"  u.sums AS old, CASE WHEN g.unit_hash IS NOT NULL THEN model_mgr.test_unit_sums(g.raw, u.sums, a.anchors) END"       \
	"  AS new, b.sums AS before, a.anchors"                                                                                \
	"  FROM test_group g JOIN test_anchor a ON a.test_no = g.test_no"                                                      \
	"  JOIN model_mgr.ab_test_plan p ON p.test_no = g.test_no"                                                             \
	"  LEFT JOIN test_first f ON f.test_no = g.test_no AND f.unit_hash = g.unit_hash"                                      \
	"  LEFT JOIN LATERAL (SELECT pg_catalog.min(w.epoch) AS epoch FROM model_mgr.ab_test_unit w"                           \
	"   WHERE f.epoch IS NOT NULL AND w.test_no = g.test_no AND w.unit_hash = g.unit_hash OFFSET 0) w ON true"             \
	"  LEFT JOIN LATERAL (SELECT u.sums FROM model_mgr.ab_test_unit u WHERE u.test_no = g.test_no"                         \
	"   AND u.unit_hash = g.unit_hash AND u.arm = g.arm OFFSET 0) u ON true"                                               \
	"  LEFT JOIN LATERAL (SELECT c.sums FROM model_mgr.ab_test_covariate c WHERE c.test_no = g.test_no"                    \
	"   AND c.unit_hash = g.unit_hash OFFSET 0) b ON p.covariates = 'complete'"                                            \
	"  WHERE f.epoch IS NULL OR g.epoch = coalesce(w.epoch, f.epoch))"

/* By test, arm and epoch: units seen for the first time, and by how much the moments change. */
#define EXPERIMENT_DIFFERENCES                                                                                                    \
	"SELECT c.test_no, c.arm, c.epoch,"                                                                                           \
	" pg_catalog.sum(CASE WHEN c.unit_hash IS NULL THEN c.raw[1]::bigint WHEN c.old IS NULL THEN 1 ELSE 0 END)::bigint AS units," \
	" model_mgr.test_moments(c.raw, c.old, c.new, c.before, c.before, c.anchors) AS moments"                                      \
	" FROM test_change c GROUP BY c.test_no, c.arm, c.epoch"

/* Response times of tests that have a quantile among their metrics; `wanted` is whether there is one. */
#define EXPERIMENT_SKETCHES(rows, wanted)                                                                              \
	"SELECT x.place >> 24 AS test_no, (x.place >> 16 & 255)::smallint AS arm, model_mgr.summarize(x.response_time)"    \
	" AS response_time FROM (SELECT o.response_time, " EXPERIMENT_PLACE                                                \
	"  FROM model_mgr.observation_pending o WHERE " wanted " AND o.response_time IS NOT NULL AND " rows " OFFSET 0) x" \
	" WHERE x.place IS NOT NULL AND EXISTS (SELECT FROM model_mgr.ab_test_plan p WHERE p.test_no = x.place >> 24"      \
	"  AND p.quantiles) GROUP BY 1, 2"

#endif
