/*
 * experiment_read.c: what is known of tests: running sums and the rows not folded yet, in one statement.
 */
#include "pg/experiment_store.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "pg/experiment_fold.h"
#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/statistics.h"

/* Up to so many tests rows of others are told before they are looked at. */
#define FEW_TESTS 64

/* $1 tests, $2 rows of all tests are looked at, $3 rows that name no test may count, namely those of versions $5, $4
 * response times are wanted. */
#define ROWS "($2 OR o.test_no = ANY ($1) OR ($3 AND o.test_no IS NULL AND o.version_id = ANY ($5)))"

enum
{
	READ_SUMS,
	READ_ANCHORS,
	READ_SKETCH
};

static query sums = QUERY(
	"WITH " EXPERIMENT_CHANGES(
		ROWS) " SELECT 0, s.test_no, s.arm, s.epoch, s.units, s.moments, NULL::model_mgr.summary"
			  " FROM model_mgr.ab_test_sum s WHERE s.test_no = ANY ($1)"
			  " UNION ALL SELECT 0, d.test_no, d.arm, d.epoch, d.units, d.moments, NULL FROM (" EXPERIMENT_DIFFERENCES
			  ") d"
			  " UNION ALL SELECT 1, a.test_no, 0::int2, 0::int2, 0::bigint, coalesce(n.anchors, a.anchors), NULL"
			  " FROM model_mgr.ab_test_anchor a LEFT JOIN test_anchor n ON n.test_no = a.test_no"
			  " WHERE a.test_no = ANY ($1)"
			  " UNION ALL SELECT 2, k.test_no, k.arm, 0::int2, 0::bigint, NULL, k.response_time"
			  " FROM (SELECT t.test_no, t.arm, t.response_time FROM model_mgr.ab_test_sketch t WHERE t.test_no = ANY ($1)"
			  "  UNION ALL " EXPERIMENT_SKETCHES(ROWS, "$4") ") k",
	INT8ARRAYOID, BOOLOID, BOOLOID, BOOLOID, INT8ARRAYOID);

/* find: a test by its number; those asked for are sorted by nothing. */
static experiment *
find(experiment **by_number, int n, int64 test_no)
{
	int low = 0;
	int high = n - 1;

	while (low <= high)
	{
		int middle = (low + high) / 2;

		if (by_number[middle]->test_no == test_no)
			return by_number[middle];
		if (by_number[middle]->test_no < test_no)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

static int
in_order(const void *a, const void *b)
{
	int64 x = (*(experiment *const *) a)->test_no;
	int64 y = (*(experiment *const *) b)->test_no;

	return x < y ? -1 : x > y;
}

/* row_numbers: the array in a column of the answer. */
static const double *
row_numbers(uint64 row, int column, int *n)
{
	bool isnull;
	ArrayType *array = DatumGetArrayTypeP(query_datum(row, column, &isnull));

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (const double *) ARR_DATA_PTR(array);
}

/* add_sums: the moments of one arm in one epoch. */
static void
add_sums(experiment *e, int arm, int epoch, uint64 row)
{
	int n;
	const double *numbers = row_numbers(row, 5, &n);
	test_epoch *of = &e->epochs[Min(epoch, e->epoch_count) - 1];

	of->units[arm] += query_int64(row, 4);
	e->arms[arm].units += query_int64(row, 4);
	for (int i = 0; i < e->metric_count && (i + 1) * sizeof(test_moments) <= n * sizeof(double); i++)
	{
		test_moments m;

		memcpy(&m, numbers + i * (sizeof(m) / sizeof(double)), sizeof(m));
		experiment_moments_merge(&of->moments[arm][i], &m);
	}
}

/* add_sketch: response times of one arm. */
static void
add_sketch(test_arm *arm, uint64 row)
{
	bool isnull;
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(query_datum(row, 6, &isnull));

	if (arm->response_time == NULL)
	{
		arm->response_time = palloc0(sizeof(summary));
		summary_init(arm->response_time, statistics_memory, CurrentMemoryContext);
	}
	(void) summary_merge(arm->response_time, (const unsigned char *) VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
}

/* clear: as experiment_load left it. */
static void
clear(experiment *e)
{
	for (int arm = 0; arm < e->arm_count; arm++)
	{
		e->arms[arm].units = 0;
		e->arms[arm].response_time = NULL;
		for (int epoch = 0; epoch < e->epoch_count; epoch++)
		{
			e->epochs[epoch].units[arm] = 0;
			memset(e->epochs[epoch].moments[arm], 0, e->metric_count * sizeof(test_moments));
		}
	}
}

/* list_arg: an array of so many numbers. */
static query_arg
list_arg(Datum *numbers, int n)
{
	return datum_arg(PointerGetDatum(construct_array(numbers, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false);
}

void
experiment_read(experiment *e, int n)
{
	Datum *numbers = palloc(sizeof(Datum) * (n + 1));
	Datum *versions = palloc(sizeof(Datum) * (n * TEST_MAX_ARMS + 1));
	experiment **by_number = palloc(sizeof(experiment *) * (n + 1));
	int unnamed = 0;
	bool quantiles = false;
	uint64 rows;
	int level;

	for (int i = 0; i < n; i++)
	{
		by_number[i] = &e[i];
		numbers[i] = Int64GetDatum(e[i].test_no);
		for (int arm = 0; arm < e[i].arm_count && e[i].routes_traffic; arm++)
			if (e[i].arms[arm].version_id != 0)
				versions[unnamed++] = Int64GetDatum(e[i].arms[arm].version_id);
		for (int m = 0; m < e[i].metric_count; m++)
			quantiles |= e[i].metrics[m].parsed.form == METRIC_QUANTILE;
		clear(&e[i]);
	}
	qsort(by_number, n, sizeof(experiment *), in_order);
	level = rollup_plan_for_history();
	rows = query_run(&sums, list_arg(numbers, n), bool_arg(n > FEW_TESTS), bool_arg(unnamed > 0), bool_arg(quantiles),
					 list_arg(versions, unnamed));
	AtEOXact_GUC(true, level);
	for (uint64 row = 0; row < rows; row++)
	{
		experiment *of = find(by_number, n, query_int64(row, 1));
		bool isnull;
		int arm = DatumGetInt16(query_datum(row, 2, &isnull));
		int epoch = DatumGetInt16(query_datum(row, 3, &isnull));
		const double *anchors;
		int count;

		/* Rows of tests that were not asked for came along. */
		if (of == NULL || arm >= of->arm_count)
			continue;
		switch (query_int32(row, 0))
		{
			case READ_SUMS:
				add_sums(of, arm, epoch, row);
				break;
			case READ_ANCHORS:
				anchors = row_numbers(row, 5, &count);
				for (int m = 0; m < Min(of->metric_count, count); m++)
					of->metrics[m].anchor = isnan(anchors[m]) ? 0 : anchors[m];
				break;
			case READ_SKETCH:
				add_sketch(&of->arms[arm], row);
				break;
		}
	}
}
