/*
 * rollup.c: folds observations into minute and hour rollups, each row exactly once.
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
 *
 * Tests (experiment_fold.h): the same statement folds the rows that count in A/B tests into the sums of their units and
 * arms.
 *
 * Hours: rollup_state.hours_until says which minutes the hours hold: those before it. A fold writes rows of such
 * minutes to both (past the retention of minutes to the hours alone), rollup_advance_hours() adds minutes to the hours
 * and moves hours_until on. Both run under one lock, each in one statement that reads and writes hours_until with the
 * rest.
 */
#include "pg/rollup.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "pg/experiment_fold.h"
#include "pg/query.h"
#include "pg/shadow.h"
#include "pg/txn.h"

/* Shared by those who keep others from folding; who folds has it for that one statement. */
#define HELD_LOCK (-8)

/* The smallest row has 60 bytes, its pointer included. */
#define MAX_ROWS_A_PAGE (BLCKSZ / 60)

/* Pages to summarise a fold, at about 3 us each: at a commit, and on the tick's time. */
#define SUMMARIZE_FEW 1024
#define SUMMARIZE_MANY 65536

/* Planning each time, and starting the compiler or workers (for which the big cost that a forbidden scan is given would
 * be a reason), takes longer than the reading. */
int
rollup_plan_for_history(void)
{
	static const char *const settings[][2] = {{"enable_seqscan", "off"},
											  {"enable_sort", "off"},
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

/* Columns of the rollup tables, and how a row that is there takes another one in. */
#define SIDE_KEY "version_id, deployment_id, step, test_no, arm"
#define SUMS                                                                                                           \
	"requests, known, successes, errors, response_time_count, response_time_sum, confidence_count, confidence_sum,"    \
	" cost_count, cost_sum, input_tokens_count, input_tokens_sum, output_tokens_count, output_tokens_sum"
#define SUMMARIES "response_time, confidence, cost, input_tokens, output_tokens"
#define COLUMNS "(bucket, " SIDE_KEY ", " SUMS ", last_at, " SUMMARIES ")"
#define METRIC_COLUMNS "(bucket, " SIDE_KEY ", metric_name, count, sum, last_at, values)"

#define ADD(column) column " = r." column " + excluded." column ", "
#define JOIN(column)                                                                                                   \
	column " = coalesce(model_mgr.summary_add(r." column ", excluded." column "), r." column ", excluded." column ")"
#define TAKE_IN                                                                                                            \
	" ON CONFLICT (version_id, bucket, deployment_id, step, test_no, arm) DO UPDATE SET " ADD("requests") ADD(             \
		"known") ADD("successes") ADD("errors") ADD("response_time_count") ADD("response_time_sum")                        \
		ADD("confidence_count") ADD("confidence_sum") ADD("cost_count") ADD("cost_sum") ADD("input_tokens_count") ADD(     \
			"input_tokens_sum") ADD("output_tokens_count")                                                                 \
			ADD("output_tokens_sum") " last_at = greatest(r.last_at, excluded.last_at), " JOIN("response_time") ", " JOIN( \
				"confidence") ", " JOIN("cost") ", " JOIN("input_tokens") ", " JOIN("output_tokens")
#define METRIC_TAKE_IN                                                                                                   \
	" ON CONFLICT (version_id, metric_name, bucket, deployment_id, step, test_no, arm) DO UPDATE SET " ADD("count") ADD( \
		"sum") " last_at = greatest(r.last_at, excluded.last_at), values = model_mgr.summary_add(r.values, excluded.values)"

/* Minutes by hour: a minute belongs to the hour that covers it, since both are closed at the end. */
#define THE_HOUR "pg_catalog.date_bin('1 hour', p.bucket, '2000-01-01 00:00:00+00')"
#define TOTAL(column) "pg_catalog.sum(p." column "), "
#define WHOLE(column) "pg_catalog.sum(p." column ")::bigint, "
#define UNITED(column) ", model_mgr.merge(p." column ")"
#define BY_HOUR                                                                                                        \
	" SELECT " THE_HOUR ", p.version_id, p.deployment_id, p.step, p.test_no, p.arm, " WHOLE("requests") WHOLE("known") \
		WHOLE("successes") WHOLE("errors") WHOLE("response_time_count") TOTAL("response_time_sum")                     \
			WHOLE("confidence_count") TOTAL("confidence_sum") WHOLE("cost_count") TOTAL("cost_sum")                    \
				WHOLE("input_tokens_count") TOTAL("input_tokens_sum") WHOLE("output_tokens_count")                     \
					TOTAL("output_tokens_sum") " pg_catalog.max(p.last_at)" UNITED("response_time")                    \
						UNITED("confidence") UNITED("cost") UNITED("input_tokens") UNITED("output_tokens")
#define METRIC_BY_HOUR                                                                                                 \
	" SELECT " THE_HOUR ", p.version_id, p.deployment_id, p.step, p.test_no, p.arm, p.metric_name, " WHOLE("count")    \
		TOTAL("sum") " pg_catalog.max(p.last_at), model_mgr.merge(p.values)"

#define HOURS_UNTIL "(SELECT t.hours_until FROM model_mgr.rollup_state t ORDER BY t.installed_at LIMIT 1)"
#define THE_STATE " WHERE s.installed_at = (SELECT pg_catalog.min(t.installed_at) FROM model_mgr.rollup_state t)"

/* Late rows go to the minutes that are still there whole: those of a time that has dropped none yet, such as after a
 * clock was set back, are told by $3. */
#define MINUTES_FROM                                                                                                   \
	"(SELECT CASE WHEN t.minutes_from > '-infinity' AND t.minutes_from <= $4 THEN t.minutes_from ELSE $3 END"          \
	" FROM model_mgr.rollup_state t ORDER BY t.installed_at LIMIT 1)"

/* now_at_most: a clock set into the future must not delete the past. */
static TimestampTz
now_at_most(void)
{
	return Min(mm_now(), GetCurrentTimestamp());
}

/*
 * settle_restored: before the first fold after a restore, which the row of rollup_state tells that CREATE EXTENSION
 * made beside the restored one. What was recorded after an earlier restore and dumped before any fold has the era that
 * rows of this cluster have, and ids that say nothing here: taken for ids that are yet to come or still in progress, it
 * would be folded again and again. It gets a key that was pending when the dump was made, and is over.
 */
static void
settle_restored(void)
{
	static query restored = QUERY("SELECT pg_catalog.count(*) FROM model_mgr.rollup_state");
	/* A row of this cluster that is visible is of a transaction that had ended, or of this one. */
	static query settle =
		QUERY("UPDATE model_mgr.observation o SET txn = s.next_txn FROM model_mgr.rollup_state s" THE_STATE
			  " AND o.txn <> $1 AND o.txn >= s.next_txn AND (o.txn >= (SELECT ($1 >> 48) << 48"
			  "  | pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint)"
			  " OR o.txn = ANY (ARRAY(SELECT ($1 >> 48) << 48 | x::text::bigint"
			  "  FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) x)))",
			  INT8OID);
	static query forget = QUERY("DELETE FROM model_mgr.rollup_state s WHERE s.installed_at >"
								" (SELECT pg_catalog.min(t.installed_at) FROM model_mgr.rollup_state t)");

	query_run(&restored);
	if (query_int64(0, 0) == 1)
		return;
	query_run(&settle, int64_arg(txn_key()));
	query_run(&forget);
}

/*
 * The fold. `pairs` folds pairs of shadows as well, `tests` A/B tests, or they are nothing. Without them the statement
 * does nothing where there are some (`unless`): only its own snapshot can tell.
 */
/* clang-format off */
#define FOLD(pairs, unless, tests) QUERY( \
	"WITH" pairs " pending AS MATERIALIZED (SELECT *, p.bucket < " HOURS_UNTIL " AS to_hour," \
	"  p.bucket >= " HOURS_UNTIL " OR p.bucket >= " MINUTES_FROM " AS to_minute" \
	"  FROM model_mgr.rollup_pending p WHERE NOT p.own" unless ")," \
	" custom AS (SELECT p.bucket, p.version_id, p.deployment_id, p.step, p.test_no, p.arm, p.to_hour, p.to_minute," \
	"  m.metric_name, m.count, m.sum, m.last_at, m.values FROM pending p, pg_catalog.unnest(p.custom) m)," \
	" minutes AS (INSERT INTO model_mgr.rollup_minute AS r " COLUMNS "  SELECT bucket, " SIDE_KEY ", " SUMS \
	", last_at, " SUMMARIES " FROM pending WHERE to_minute" TAKE_IN ")," \
	" hours AS (INSERT INTO model_mgr.rollup_hour AS r " COLUMNS BY_HOUR \
	"  FROM pending p WHERE p.to_hour GROUP BY 1, 2, 3, 4, 5, 6" TAKE_IN ")," \
	" custom_minutes AS (INSERT INTO model_mgr.rollup_metric_minute AS r " METRIC_COLUMNS \
	"  SELECT bucket, " SIDE_KEY \
	", metric_name, count, sum, last_at, values FROM custom WHERE to_minute" METRIC_TAKE_IN ")," \
	" custom_hours AS (INSERT INTO model_mgr.rollup_metric_hour AS r " METRIC_COLUMNS METRIC_BY_HOUR \
	"  FROM custom p WHERE p.to_hour GROUP BY 1, 2, 3, 4, 5, 6, 7" METRIC_TAKE_IN ")," \
	" stored AS (UPDATE model_mgr.rollup_state s SET" \
	"  next_txn = ($1 >> 48) << 48 | pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint," \
	"  in_progress = ARRAY(SELECT ($1 >> 48) << 48 | x::text::bigint" \
	"   FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) x) || $1," \
	"  folded_at = pg_catalog.clock_timestamp(), pages = $2" THE_STATE unless ")" tests \
	" SELECT coalesce(pg_catalog.sum(p.rows), 0)::bigint," \
	" (SELECT t.system_identifier FROM model_mgr.rollup_state t ORDER BY t.installed_at LIMIT 1)," \
	" " EXPERIMENT_OPEN("$5") ", " SHADOW_UNDER_WAY " FROM pending p", \
	INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID)
#define WHERE_NO_TESTS " AND NOT " EXPERIMENT_OPEN("$5")
#define WHERE_NO_SHADOWS " AND NOT " SHADOW_UNDER_WAY

/* What the present transaction has written is left to the next fold. */
#define OTHERS_ROWS "o.txn <> (SELECT model_mgr.own_txn())"
#define FOLD_TESTS \
	", " EXPERIMENT_CHANGES(OTHERS_ROWS) "," \
	" test_units AS (INSERT INTO model_mgr.ab_test_unit AS r (test_no, unit_hash, arm, epoch, sums)" \
	"  SELECT c.test_no, c.unit_hash, c.arm, c.epoch, c.new FROM test_change c WHERE c.unit_hash IS NOT NULL" \
	"  ON CONFLICT (test_no, unit_hash, arm) DO UPDATE SET sums = excluded.sums)," \
	" test_sums AS (INSERT INTO model_mgr.ab_test_sum AS r (test_no, arm, epoch, units, moments) " EXPERIMENT_DIFFERENCES \
	"  ON CONFLICT (test_no, arm, epoch) DO UPDATE SET units = r.units + excluded.units," \
	"  moments = model_mgr.add_numbers(r.moments, excluded.moments))," \
	" test_anchors AS (UPDATE model_mgr.ab_test_anchor r SET anchors = a.anchors FROM test_anchor a" \
	"  WHERE r.test_no = a.test_no AND r.anchors <> a.anchors)," \
	" test_sketches AS (INSERT INTO model_mgr.ab_test_sketch AS r (test_no, arm, response_time) " \
	EXPERIMENT_SKETCHES(OTHERS_ROWS, "(SELECT EXISTS (SELECT FROM model_mgr.ab_test_plan p WHERE p.quantiles))") \
	"  ON CONFLICT (test_no, arm) DO UPDATE SET" \
	"  response_time = model_mgr.summary_add(r.response_time, excluded.response_time))"
/* clang-format on */

/* fold: the statement that the shadows and tests there are ask for; returns rows folded, *system of whom the watermark
 * is. */
static int64
fold(int64 pages, int64 *system)
{
	static query alone = FOLD("", WHERE_NO_TESTS WHERE_NO_SHADOWS, "");
	static query with_tests = FOLD("", WHERE_NO_SHADOWS, FOLD_TESTS);
	static query with_pairs = FOLD(SHADOW_FOLD, "", FOLD_TESTS);
	static bool tests; /* there were, at the last fold */
	static bool pairs;
	query_arg args[] = {int64_arg(txn_key()), int64_arg(pages), time_arg(rollup_minutes_due()), time_arg(now_at_most()),
						time_arg(mm_now() - guc_retention_days * USECS_PER_DAY)};
	bool done;

	/* What began since the last fold is found by the fold itself, which then does nothing. */
	do
	{
		bool with[] = {tests || pairs, pairs};

		query_run_args(with[1] ? &with_pairs : with[0] ? &with_tests : &alone, lengthof(args), args);
		tests = query_bool(0, 2);
		pairs = query_bool(0, 3);
		done = (with[0] || !tests) && (with[1] || !pairs);
	} while (!done);
	*system = query_int64(0, 1);
	return query_int64(0, 0);
}

bool
rollup_hold(bool wait)
{
	return mm_lock_shared(HELD_LOCK, wait);
}

int64
rollup_fold(int64 max_rows)
{
	/* Apart, since a statement that names these columns makes every session read its era and plan again. */
	static query adopt =
		QUERY("UPDATE model_mgr.rollup_state s SET era = ($1 >> 48)::integer, system_identifier = $2" THE_STATE,
			  INT8OID, INT8OID);
	int64 folded = -1;
	int64 system;
	int64 pages;
	int level;

	/* Above READ COMMITTED the snapshot may be older than the watermark that another fold has stored since. */
	if (IsolationUsesXactSnapshot() || !mm_lock_model(ROLLUP_LOCK, false))
		return -1;
	rollup_summarize(max_rows > 0 ? SUMMARIZE_FEW : SUMMARIZE_MANY, max_rows <= 0);
	level = rollup_plan_for_history();
	pages = pages_now();
	if ((max_rows <= 0 || backlog_fits(max_rows, pages)) && mm_lock_model(HELD_LOCK, false))
	{
		settle_restored();
		folded = fold(pages, &system);
		/* Its snapshot is taken: whoever ends a test from now on does so after what it has counted. */
		mm_unlock(HELD_LOCK);
		if (system != (int64) GetSystemIdentifier())
			query_run(&adopt, int64_arg(txn_key()), int64_arg((int64) GetSystemIdentifier()));
	}
	AtEOXact_GUC(true, level);
	return folded;
}

TimestampTz
rollup_minutes_due(void)
{
	return now_at_most() - guc_monitor_retention_hours * USECS_PER_HOUR;
}

TimestampTz
rollup_minutes_kept(void)
{
	static query from = QUERY("SELECT s.minutes_from FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1");
	TimestampTz kept = rollup_minutes_due();
	TimestampTz dropped;

	query_run(&from);
	dropped = query_time(0, 0);
	return dropped <= now_at_most() ? Max(kept, dropped) : kept;
}

void
rollup_give_up_minutes(TimestampTz before)
{
	/* What a clock that was set back since has said counts no more. */
	static query give_up =
		QUERY("UPDATE model_mgr.rollup_state s SET minutes_from = u.until"
			  " FROM (SELECT pg_catalog.date_bin('1 hour', least($1, t.hours_until), '2000-01-01 00:00:00+00') AS until"
			  "  FROM model_mgr.rollup_state t ORDER BY t.installed_at LIMIT 1) u" THE_STATE
			  " AND (s.minutes_from < u.until OR s.minutes_from > $2)",
			  TIMESTAMPTZOID, TIMESTAMPTZOID);

	if (!IsolationUsesXactSnapshot() && mm_lock_model(ROLLUP_LOCK, false))
		query_run(&give_up, time_arg(before), time_arg(now_at_most()));
}

/* The hours follow the present at this distance, in pieces of this length. */
#define HOURS_BEHIND (5 * USECS_PER_MINUTE)
#define HOURS_PIECE (15 * USECS_PER_MINUTE)

/* piece_start: the piece that a time lies in; pieces are cut as the hours are. */
static TimestampTz
piece_start(TimestampTz at)
{
	TimestampTz into = at % HOURS_PIECE;

	return at - (into < 0 ? into + HOURS_PIECE : into);
}

int64
rollup_advance_hours(TimestampTz deadline)
{
	/* The first minute that no hour holds: what is empty before it is passed over in one step. */
	static query next = QUERY("SELECT h.until, (SELECT pg_catalog.min(m.bucket) FROM model_mgr.rollup_minute m"
							  " WHERE m.bucket >= h.until) FROM (SELECT " HOURS_UNTIL " AS until) h");
	static query advance = QUERY(
		"WITH stored AS (UPDATE model_mgr.rollup_state s SET hours_until = $2" THE_STATE "),"
		" hours AS (INSERT INTO model_mgr.rollup_hour AS r " COLUMNS BY_HOUR
		"  FROM model_mgr.rollup_minute p WHERE p.bucket >= $1 AND p.bucket < $2 GROUP BY 1, 2, 3, 4, 5, 6" TAKE_IN
		"  RETURNING 1),"
		" custom AS (INSERT INTO model_mgr.rollup_metric_hour AS r " METRIC_COLUMNS METRIC_BY_HOUR
		"  FROM model_mgr.rollup_metric_minute p WHERE p.bucket >= $1 AND p.bucket < $2 GROUP BY 1, 2, 3, 4, 5, 6, 7" METRIC_TAKE_IN
		" RETURNING 1)"
		" SELECT (SELECT pg_catalog.count(*) FROM hours) + (SELECT pg_catalog.count(*) FROM custom)",
		TIMESTAMPTZOID, TIMESTAMPTZOID);
	TimestampTz target = piece_start(mm_now() - HOURS_BEHIND);
	int64 rows = 0;
	int level;

	if (IsolationUsesXactSnapshot() || !mm_lock_model(ROLLUP_LOCK, false))
		return -1;
	level = rollup_plan_for_history();
	do
	{
		TimestampTz until;
		TimestampTz first;

		CHECK_FOR_INTERRUPTS();
		query_run(&next);
		until = query_time(0, 0);
		if (until >= target)
			break;
		first = query_isnull(0, 1) ? target : piece_start(query_time(0, 1));
		query_run(&advance, time_arg(until), time_arg(Min(first + HOURS_PIECE, target)));
		rows += query_int64(0, 0);
	} while (GetCurrentTimestamp() < deadline);
	AtEOXact_GUC(true, level);
	return rows;
}
