/*
 * rollup.c: folds observations into minute rollups, each row exactly once, and reads what a rollout's sides did.
 *
 * rollup_state holds a watermark: the snapshot (next_txn, in_progress) as of which every visible row is folded. A fold
 * is one statement, so the rows it reads, the snapshot it stores and the rollups it writes belong together:
 *
 *   pending  rows visible to this statement and not visible to the watermark: txn at or above the old next_txn, or
 *            among the transactions that were in progress then;
 *   stored   this statement's own snapshot: next_txn = its xmax, in_progress = its xip plus the present transaction,
 *            whose rows are left out: it may still write more.
 *
 * So a late commit is neither lost nor counted twice, and a long transaction delays only its own rows. Keys hold an era
 * in the high bits (txn.c): the first fold after a restore into another cluster takes what the dump held pending and
 * stores the new era with this cluster's identifier.
 *
 * Reading is rollups + pending rows in one statement: one snapshot, nothing missing, nothing twice.
 */
#include "pg/rollup.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "pg/query.h"
#include "pg/txn.h"

/* Orders folds; models have positive ids. */
#define ROLLUP_LOCK (-1)

/* The smallest row has 60 bytes, its pointer included. */
#define MAX_ROWS_A_PAGE (BLCKSZ / 60)

/* Block ranges to summarise a fold, at about 0.4 ms each: at a commit, and on the tick's time. */
#define SUMMARIZE_FEW 8
#define SUMMARIZE_MANY 512

/* Planning each time, and starting the compiler or workers (for which the big cost that a forbidden scan is given would
 * be a reason), takes longer than the reading. */
int
rollup_plan_for_history(void)
{
	static const char *const settings[][2] = {{"enable_seqscan", "off"},
											  {"jit", "off"},
											  {"max_parallel_workers_per_gather", "0"},
											  {"plan_cache_mode", "force_generic_plan"}};
	int level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	return level;
}

/* pages_now: size of all partitions. */
static int64
pages_now(void)
{
	List *partitions = find_inheritance_children(mm_relation("observation"), AccessShareLock);
	int64 pages = 0;
	ListCell *cell;

	foreach (cell, partitions)
	{
		Relation partition = relation_open(lfirst_oid(cell), NoLock);

		if (partition->rd_rel->relkind == RELKIND_RELATION)
			pages += RelationGetNumberOfBlocks(partition);
		relation_close(partition, NoLock);
	}
	return pages;
}

/*
 * backlog_fits: whether at most `limit` rows wait for a fold. What was written since the last one cannot be more than
 * its pages hold, so mostly nothing is read; else the rows are counted.
 */
static bool
backlog_fits(int64 limit, int64 pages)
{
	static query last = QUERY("SELECT s.pages FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1");
	static query count =
		QUERY("SELECT pg_catalog.count(*) FROM (SELECT FROM model_mgr.observation_pending LIMIT $1) w", INT8OID);
	int64 grown;

	query_run(&last);
	grown = pages - query_int64(0, 0);
	if (grown >= 0 && (grown + 1) * MAX_ROWS_A_PAGE <= limit)
		return true;
	query_run(&count, int64_arg(limit + 1));
	return query_int64(0, 0) <= limit;
}

int64
rollup_fold(int64 max_rows)
{
	static query fold = QUERY(
		"WITH pending AS MATERIALIZED (SELECT * FROM model_mgr.rollup_pending p WHERE NOT p.own),"
		" folded AS (INSERT INTO model_mgr.rollup_minute AS r (bucket, version_id, deployment_id, step, test_no, arm,"
		"  requests, known, successes, errors, response_time_count, response_time_sum, confidence_count, confidence_sum,"
		"  cost_count, cost_sum, input_tokens_count, input_tokens_sum, output_tokens_count, output_tokens_sum)"
		" SELECT bucket, version_id, deployment_id, step, test_no, arm,"
		"  requests, known, successes, errors, response_time_count, response_time_sum, confidence_count, confidence_sum,"
		"  cost_count, cost_sum, input_tokens_count, input_tokens_sum, output_tokens_count, output_tokens_sum"
		" FROM pending ON CONFLICT (version_id, bucket, deployment_id, step, test_no, arm) DO UPDATE SET"
		"  requests = r.requests + excluded.requests, known = r.known + excluded.known,"
		"  successes = r.successes + excluded.successes, errors = r.errors + excluded.errors,"
		"  response_time_count = r.response_time_count + excluded.response_time_count,"
		"  response_time_sum = r.response_time_sum + excluded.response_time_sum,"
		"  confidence_count = r.confidence_count + excluded.confidence_count,"
		"  confidence_sum = r.confidence_sum + excluded.confidence_sum,"
		"  cost_count = r.cost_count + excluded.cost_count, cost_sum = r.cost_sum + excluded.cost_sum,"
		"  input_tokens_count = r.input_tokens_count + excluded.input_tokens_count,"
		"  input_tokens_sum = r.input_tokens_sum + excluded.input_tokens_sum,"
		"  output_tokens_count = r.output_tokens_count + excluded.output_tokens_count,"
		"  output_tokens_sum = r.output_tokens_sum + excluded.output_tokens_sum),"
		" stored AS (UPDATE model_mgr.rollup_state s SET"
		"  next_txn = ($1 >> 48) << 48 | pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint,"
		"  in_progress = ARRAY(SELECT ($1 >> 48) << 48 | x::text::bigint"
		"   FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) x) || $1,"
		"  folded_at = pg_catalog.clock_timestamp(), pages = $2"
		" WHERE s.installed_at = (SELECT pg_catalog.min(t.installed_at) FROM model_mgr.rollup_state t))"
		" SELECT coalesce(pg_catalog.sum(p.rows), 0)::bigint,"
		" (SELECT t.system_identifier FROM model_mgr.rollup_state t ORDER BY t.installed_at LIMIT 1) FROM pending p",
		INT8OID, INT8OID);
	/* Apart, since a statement that names these columns makes every session read its era and plan again. */
	static query adopt =
		QUERY("UPDATE model_mgr.rollup_state s SET era = ($1 >> 48)::integer, system_identifier = $2"
			  " WHERE s.installed_at = (SELECT pg_catalog.min(t.installed_at) FROM model_mgr.rollup_state t)",
			  INT8OID, INT8OID);
	int64 folded = -1;
	int64 pages;
	int level;

	/* Above READ COMMITTED the snapshot may be older than the watermark that another fold has stored since. */
	if (IsolationUsesXactSnapshot() || !mm_lock_model(ROLLUP_LOCK, false))
		return -1;
	rollup_summarize(max_rows > 0 ? SUMMARIZE_FEW : SUMMARIZE_MANY, max_rows <= 0);
	level = rollup_plan_for_history();
	pages = pages_now();
	if (max_rows <= 0 || backlog_fits(max_rows, pages))
	{
		query_run(&fold, int64_arg(txn_key()), int64_arg(pages));
		folded = query_int64(0, 0);
		if (query_int64(0, 1) != (int64) GetSystemIdentifier())
			query_run(&adopt, int64_arg(txn_key()), int64_arg((int64) GetSystemIdentifier()));
	}
	AtEOXact_GUC(true, level);
	return folded;
}

/* read_counts: six columns from `column` on. */
static void
read_counts(int column, rollup_counts *out)
{
	out->requests = query_int64(0, column);
	out->known = query_int64(0, column + 1);
	out->successes = query_int64(0, column + 2);
	out->errors = query_int64(0, column + 3);
	out->response_time_count = query_int64(0, column + 4);
	out->response_time_sum = out->response_time_count > 0 ? query_float8(0, column + 5) : 0;
}

/* Six sums over the rows r that meet a condition, and the columns of one part of r. */
#define SIDE_SUMS(condition)                                                                                           \
	"pg_catalog.sum(r.requests) FILTER (WHERE " condition ")::bigint,"                                                 \
	" pg_catalog.sum(r.known) FILTER (WHERE " condition ")::bigint,"                                                   \
	" pg_catalog.sum(r.successes) FILTER (WHERE " condition ")::bigint,"                                               \
	" pg_catalog.sum(r.errors) FILTER (WHERE " condition ")::bigint,"                                                  \
	" pg_catalog.sum(r.response_time_count) FILTER (WHERE " condition ")::bigint,"                                     \
	" pg_catalog.sum(r.response_time_sum) FILTER (WHERE " condition ")"
#define SIDE_PART(relation)                                                                                            \
	"SELECT t.version_id, t.deployment_id, t.step, t.bucket, t.requests, t.known, t.successes, t.errors,"              \
	" t.response_time_count, t.response_time_sum FROM model_mgr." relation " t"

/*
 * side: rows not folded come from rollup_pending, not through rollup_now, so that only this version's are summed.
 * Nothing that counts arrived before the rollout began; the minutes before are not looked at. What is stamped
 * ahead of now counts when its time has come.
 */
/* clang-format off */
static query side = QUERY(
	"SELECT " SIDE_SUMS("r.bucket >= $3") ", " SIDE_SUMS("r.step >= $4")
	" FROM (" SIDE_PART("rollup_minute") " UNION ALL " SIDE_PART("rollup_pending") ") r"
	" WHERE r.version_id = $2 AND r.deployment_id = $1 AND r.step > 0 AND r.bucket <= $5"
	" AND r.bucket >= (SELECT pg_catalog.date_bin('1 minute', p.started_at, '2000-01-01 00:00:00+00')"
	"  FROM model_mgr.deployment_plan p WHERE p.deployment_id = $1)",
	INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID);
/* clang-format on */

void
rollup_side(int64 deployment_id, int64 version_id, TimestampTz since, int32 step, rollup_counts *window,
			rollup_counts *from_step)
{
	int level = rollup_plan_for_history();

	query_run(&side, int64_arg(deployment_id), int64_arg(version_id), time_arg(since), int32_arg(step),
			  time_arg(mm_now()));
	if (window)
		read_counts(0, window);
	if (from_step)
		read_counts(6, from_step);
	AtEOXact_GUC(true, level);
}
