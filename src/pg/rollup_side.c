/*
 * rollup_side.c: what the sides of rollouts did, step by step, read from minutes, hours and the rows not folded yet in
 * one statement, for one rollout at a commit or for all of them in a tick.
 *
 * The window is read from the minutes; the whole of a rollout, which may be older than minutes are kept, from the hours
 * and the minutes that no hour holds. Nothing that counts arrived before the rollout began: earlier buckets are not
 * looked at. What is stamped ahead of now counts when its time has come.
 */
#include "pg/rollup.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/guc.h"

#include "pg/query.h"

/* A window that cuts off less of a minute than this has it whole: clockwork is never punctual. */
#define SLACK USECS_PER_SEC

/* Up to so many versions rows not folded yet are told from the others before they are summed. */
#define FEW_VERSIONS 64

/* clang-format off */
#define SUMS(condition)                                                                                                \
	" pg_catalog.sum(r.requests) FILTER (WHERE " condition ")::bigint,"                                                \
	" pg_catalog.sum(r.known) FILTER (WHERE " condition ")::bigint,"                                                   \
	" pg_catalog.sum(r.successes) FILTER (WHERE " condition ")::bigint,"                                               \
	" pg_catalog.sum(r.errors) FILTER (WHERE " condition ")::bigint,"                                                  \
	" pg_catalog.sum(r.response_time_count) FILTER (WHERE " condition ")::bigint,"                                     \
	" pg_catalog.sum(r.response_time_sum) FILTER (WHERE " condition ")"
/* The deviations within a bucket are in its summary's head; those between buckets follow from the sums. */
#define COMPARED "r.in_whole AND (r.arm = -2 OR (NOT r.pairs AND r.arm = ANY ('{0,1}'::pg_catalog.int2[])))"
#define PART(in_window, in_whole)                                                                                      \
	"SELECT k.n, k.pairs, t.step, t.arm, t.requests, t.known, t.successes, t.errors, t.response_time_count,"           \
	" t.response_time_sum, t.response_time, " in_window " AS in_window, " in_whole " AS in_whole "
#define OF_ROLLOUT " AND t.deployment_id = k.deployment_id AND t.step > 0"
/* By the primary key, which alone a row comparison fits: the index on bucket has the rows of all versions. */
#define FOLDED(table, in_window, in_whole, since)                                                                      \
	PART(in_window, in_whole) "FROM keys k, LATERAL (SELECT f.* FROM model_mgr." table " f"                            \
	" WHERE (f.version_id, f.bucket) >= (k.version_id, " since ") AND (f.version_id, f.bucket) < (k.version_id, $6)"   \
	" OFFSET 0) t WHERE true" OF_ROLLOUT
#define BEGUN(bin) "pg_catalog.date_bin('1 " bin "', k.began - '0.000001 s'::pg_catalog.interval, '2000-01-01 00:00:00+00')"

/* $1 rollouts, $2 versions, $3 windows' beginnings, $4 rollouts' beginnings, $5 pairs, $6 now, $7 rows of all versions
 * are taken. */
static query side_steps = QUERY(
	"WITH keys AS MATERIALIZED (SELECT k.* FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
	"  pg_catalog.unnest($4), pg_catalog.unnest($5)) WITH ORDINALITY k (deployment_id, version_id, since, began, pairs, n)),"
	" state AS MATERIALIZED (SELECT s.hours_until FROM model_mgr.rollup_state s ORDER BY s.installed_at LIMIT 1)"
	" SELECT r.n, r.step," SUMS("r.in_window") "," SUMS("r.in_whole") "," SUMS(COMPARED) ","
	" pg_catalog.sum(r.requests) FILTER (WHERE r.in_whole AND (r.arm = ANY ('{0,1}'::pg_catalog.int2[]) OR (r.pairs AND r.arm = -1)))::bigint,"
	" pg_catalog.sum(model_mgr.summary_variance(r.response_time) * (r.response_time_count - 1)) FILTER (WHERE " COMPARED "),"
	" pg_catalog.sum(r.response_time_sum * r.response_time_sum / r.response_time_count)"
	"  FILTER (WHERE r.response_time_count > 0 AND " COMPARED ")"
	" FROM (" FOLDED("rollup_minute", "t.bucket >= k.since", "t.bucket >= (SELECT hours_until FROM state)",
		"greatest(" BEGUN("minute") ", least(k.since, (SELECT hours_until FROM state)))")
	" UNION ALL " FOLDED("rollup_hour", "false", "true", BEGUN("hour"))
	" UNION ALL " PART("t.bucket >= k.since", "true") "FROM model_mgr.rollup_pending t JOIN keys k ON k.version_id = t.version_id"
	" WHERE ($7 OR t.version_id = ANY ($2)) AND t.bucket >= " BEGUN("minute") " AND t.bucket < $6" OF_ROLLOUT ") r"
	" GROUP BY 1, 2 ORDER BY 1, 2",
	INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, BOOLARRAYOID, TIMESTAMPTZOID, BOOLOID);
/* clang-format on */

/* The columns of the answer. */
enum
{
	SIDE_NUMBER,
	SIDE_STEP,
	SIDE_WINDOW,
	SIDE_WHOLE = SIDE_WINDOW + 6,
	SIDE_COMPARED = SIDE_WHOLE + 6,
	SIDE_DRAWN = SIDE_COMPARED + 6,
	SIDE_WITHIN,
	SIDE_SQUARES
};

/* read_counts: six columns from `column` on. */
static rollout_tally
read_counts(uint64 row, int column)
{
	int64 values = query_int64(row, column + 4);

	return (rollout_tally){.requests = query_int64(row, column),
						   .known = query_int64(row, column + 1),
						   .successes = query_int64(row, column + 2),
						   .errors = query_int64(row, column + 3),
						   .response_time_count = values,
						   .response_time_sum = values > 0 ? query_float8(row, column + 5) : 0};
}

/* read_compared: the same as the guard takes it, with mean and deviations. */
static guard_side
read_compared(uint64 row)
{
	rollout_tally t = read_counts(row, SIDE_COMPARED);
	guard_side side = {.requests = t.requests,
					   .known = t.known,
					   .successes = t.successes,
					   .errors = t.errors,
					   .response_time_count = t.response_time_count};

	if (t.response_time_count > 0)
	{
		double squares = query_float8(row, SIDE_SQUARES);
		double between = squares - t.response_time_sum * (t.response_time_sum / (double) t.response_time_count);

		side.response_time_mean = t.response_time_sum / (double) t.response_time_count;
		/* What is left of equal values is rounding. */
		side.response_time_m2 = between > squares * 1e-13 ? between : 0;
		if (!query_isnull(row, SIDE_WITHIN))
			side.response_time_m2 += query_float8(row, SIDE_WITHIN);
	}
	return side;
}

/* array_arg: n datums of eight bytes (or booleans) as a parameter. */
static query_arg
array_arg(Datum *values, int n, Oid type)
{
	bool narrow = type == BOOLOID;

	return datum_arg(PointerGetDatum(construct_array(values, n, type, narrow ? 1 : 8, narrow || FLOAT8PASSBYVAL,
													 narrow ? TYPALIGN_CHAR : TYPALIGN_DOUBLE)),
					 false);
}

void
rollup_read_sides(rollup_side *sides, int n)
{
	Datum *columns[5];
	uint64 rows;
	uint64 row = 0;
	int level;

	for (int i = 0; i < lengthof(columns); i++)
		columns[i] = palloc(sizeof(Datum) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		columns[0][i] = Int64GetDatum(sides[i].deployment_id);
		columns[1][i] = Int64GetDatum(sides[i].version_id);
		columns[2][i] = TimestampTzGetDatum(sides[i].since - SLACK);
		columns[3][i] = TimestampTzGetDatum(sides[i].began);
		columns[4][i] = BoolGetDatum(sides[i].pairs);
	}
	level = rollup_plan_for_history();
	rows = query_run(&side_steps, array_arg(columns[0], n, INT8OID), array_arg(columns[1], n, INT8OID),
					 array_arg(columns[2], n, TIMESTAMPTZOID), array_arg(columns[3], n, TIMESTAMPTZOID),
					 array_arg(columns[4], n, BOOLOID), time_arg(mm_now()), bool_arg(n > FEW_VERSIONS));
	AtEOXact_GUC(true, level);
	for (int i = 0; i < n; i++)
	{
		uint64 first = row;

		while (row < rows && query_int64(row, SIDE_NUMBER) == i + 1)
			row++;
		sides[i].count = (int) (row - first);
		sides[i].steps = palloc(sizeof(rollup_step) * (sides[i].count + 1));
		for (int s = 0; s < sides[i].count; s++)
			sides[i].steps[s] = (rollup_step){.step = query_int32(first + s, SIDE_STEP),
											  .window = read_counts(first + s, SIDE_WINDOW),
											  .whole = read_counts(first + s, SIDE_WHOLE),
											  .drawn = query_int64(first + s, SIDE_DRAWN),
											  .compared = read_compared(first + s)};
	}
}
