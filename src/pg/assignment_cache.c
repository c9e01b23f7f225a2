/*
 * assignment_cache.c: tests in backend memory, kept right by the same messages as the routing (routing_cache.c): a
 * message makes entries suspect, the next use compares revision and xmin of the row by one index probe.
 */
#include "pg/assignment.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "pg/routing_internal.h"

/* Above this all is forgotten and filled again by use. */
#define CACHE_LIMIT ((Size) 8 * 1024 * 1024)

/* Columns of model_mgr.ab_test_assignment, as sql/73_assignment.sql makes it. */
enum
{
	ASSIGNMENT_TEST_ID = 1,
	ASSIGNMENT_TEST_NO,
	ASSIGNMENT_REVISION,
	ASSIGNMENT_RUNNING,
	ASSIGNMENT_WINNER,
	ASSIGNMENT_GROUP,
	ASSIGNMENT_SLOT_FROM,
	ASSIGNMENT_SLOTS,
	ASSIGNMENT_WEIGHTS,
	ASSIGNMENT_VARIANTS,
	ASSIGNMENT_VERSION_IDS,
	ASSIGNMENT_MODEL_NAMES,
	ASSIGNMENT_BUCKET_RULE,
	ASSIGNMENT_COLUMNS = ASSIGNMENT_BUCKET_RULE
};

typedef struct test_key
{
	const char *bytes;
	uint32 length;
} test_key;

typedef struct test_slot
{
	test_key id; /* lies in the entry */
	uint32 hash;
	char status;
	assignment_test *entry;
} test_slot;

#define SH_PREFIX tests
#define SH_ELEMENT_TYPE test_slot
#define SH_KEY_TYPE test_key
#define SH_KEY id
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).bytes, (key).length)
#define SH_EQUAL(table, a, b) ((a).length == (b).length && memcmp((a).bytes, (b).bytes, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, slot) (slot)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static MemoryContext cache_context; /* NULL: nothing cached */
static tests_hash *known;
static assignment_test *last; /* of the last answer, so that a query over one test hashes nothing */

static void
prepare_cache(void)
{
	routing_watch_signal();
	if (cache_context && MemoryContextMemAllocated(cache_context, true) > CACHE_LIMIT)
	{
		MemoryContext old = cache_context;

		last = NULL;
		known = NULL;
		cache_context = NULL;
		MemoryContextDelete(old);
	}
	if (!cache_context)
	{
		MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "model_mgr tests", ALLOCSET_DEFAULT_SIZES);

		known = tests_create(context, 64, NULL);
		cache_context = context;
	}
}

/* elements: of an array column without NULLs. */
static int
elements(Datum value, Oid type, Datum **out)
{
	int n;

	if (type == TEXTOID)
		deconstruct_array(DatumGetArrayTypeP(value), type, -1, false, TYPALIGN_INT, out, NULL, &n);
	else if (type == INT4OID)
		deconstruct_array(DatumGetArrayTypeP(value), type, 4, true, TYPALIGN_INT, out, NULL, &n);
	else
		deconstruct_array(DatumGetArrayTypeP(value), type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, out, NULL, &n);
	return n;
}

/* put_text: copies without a terminating zero and moves the cursor. */
static const char *
put_text(char **cursor, const text *from)
{
	char *start = *cursor;

	memcpy(start, VARDATA_ANY(from), VARSIZE_ANY_EXHDR(from));
	*cursor += VARSIZE_ANY_EXHDR(from);
	return start;
}

/* read_test: an entry in one piece of memory; what is read on the way is garbage of the current context. */
static assignment_test *
read_test(HeapTuple row, TupleDesc descriptor)
{
	Datum values[ASSIGNMENT_COLUMNS];
	bool nulls[ASSIGNMENT_COLUMNS];
	Datum *weights;
	Datum *variants;
	Datum *versions;
	Datum *models;
	text *test_id;
	Size size;
	int n;
	int32 weight[TEST_MAX_ARMS];
	assignment_test *test;
	char *cursor;

	Assert(descriptor->natts == ASSIGNMENT_COLUMNS);
	heap_deform_tuple(row, descriptor, values, nulls);
	test_id = DatumGetTextPP(values[ASSIGNMENT_TEST_ID - 1]);
	n = elements(values[ASSIGNMENT_WEIGHTS - 1], INT4OID, &weights);
	if (elements(values[ASSIGNMENT_VARIANTS - 1], TEXTOID, &variants) != n ||
		elements(values[ASSIGNMENT_VERSION_IDS - 1], INT8OID, &versions) != n ||
		elements(values[ASSIGNMENT_MODEL_NAMES - 1], TEXTOID, &models) != n || n < 2 || n > TEST_MAX_ARMS)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("arms of test \"%s\" do not fit together", text_to_cstring(test_id)),
				errdetail("The arrays of arms in model_mgr.ab_test_assignment differ in length."),
				errhint("Restore the row from a dump."));

	size = offsetof(assignment_test, arms) + n * sizeof(assignment_arm) + VARSIZE_ANY_EXHDR(test_id);
	for (int i = 0; i < n; i++)
		size += VARSIZE_ANY_EXHDR(DatumGetPointer(variants[i])) + VARSIZE_ANY_EXHDR(DatumGetPointer(models[i]));
	test = MemoryContextAllocZero(cache_context, size);
	cursor = (char *) &test->arms[n];
	test->xmin = HeapTupleHeaderGetRawXmin(row->t_data);
	test->revision = DatumGetInt64(values[ASSIGNMENT_REVISION - 1]);
	test->test_no = DatumGetInt64(values[ASSIGNMENT_TEST_NO - 1]);
	test->running = DatumGetBool(values[ASSIGNMENT_RUNNING - 1]);
	test->winner = nulls[ASSIGNMENT_WINNER - 1] ? -1 : DatumGetInt16(values[ASSIGNMENT_WINNER - 1]);
	test->arm_count = (int16) n;
	test->draw.count = n;
	test->draw.limit = test->limit;
	test->draw.grouped = !nulls[ASSIGNMENT_GROUP - 1];
	if (test->draw.grouped)
	{
		text *group = DatumGetTextPP(values[ASSIGNMENT_GROUP - 1]);

		bucket_prepare(&test->draw.group, VARDATA_ANY(group), VARSIZE_ANY_EXHDR(group));
		test->draw.slot_from = (uint32) DatumGetInt32(values[ASSIGNMENT_SLOT_FROM - 1]);
		test->draw.slots = (uint32) DatumGetInt32(values[ASSIGNMENT_SLOTS - 1]);
	}
	bucket_prepare(&test->draw.key, VARDATA_ANY(test_id), VARSIZE_ANY_EXHDR(test_id));
	test->id_length = VARSIZE_ANY_EXHDR(test_id);
	test->test_id = put_text(&cursor, test_id);
	for (int arm = 0; arm < n; arm++)
	{
		text *variant = DatumGetTextPP(variants[arm]);
		text *model = DatumGetTextPP(models[arm]);

		weight[arm] = DatumGetInt32(weights[arm]);
		test->arms[arm] = (assignment_arm){.variant = put_text(&cursor, variant),
										   .variant_length = VARSIZE_ANY_EXHDR(variant),
										   .version_id = DatumGetInt64(versions[arm]),
										   .model_name = put_text(&cursor, model),
										   .model_length = VARSIZE_ANY_EXHDR(model)};
	}
	arms_limits(weight, n, test->limit);
	return test;
}

static routing_kept *
find_test(const char *test_id, int length)
{
	test_slot *slot = tests_lookup(known, (test_key){test_id, length});

	return slot ? &slot->entry->kept : NULL;
}

static bool
is_test(const routing_kept *entry, HeapTuple row, TupleDesc descriptor)
{
	const assignment_test *test = (const assignment_test *) entry;
	bool isnull;

	return HeapTupleHeaderGetRawXmin(row->t_data) == test->xmin &&
		   DatumGetInt64(heap_getattr(row, ASSIGNMENT_REVISION, descriptor, &isnull)) == test->revision &&
		   DatumGetInt64(heap_getattr(row, ASSIGNMENT_TEST_NO, descriptor, &isnull)) == test->test_no;
}

static void
drop_test(routing_kept *entry)
{
	assignment_test *old = (assignment_test *) entry;

	tests_delete(known, (test_key){old->test_id, old->id_length});
	if (last == old)
		last = NULL;
	pfree(old);
}

static routing_kept *
make_test(HeapTuple row, TupleDesc descriptor, routing_kept *old)
{
	assignment_test *test;
	bool found;

	if (old)
		drop_test(old);
	test = read_test(row, descriptor);
	tests_insert(known, (test_key){test->test_id, test->id_length}, &found)->entry = test;
	return &test->kept;
}

static const routing_kind kind_test = {.table = "ab_test_assignment",
									   .index = "ab_test_assignment_pkey",
									   .name = ASSIGNMENT_TEST_ID,
									   .prepare = prepare_cache,
									   .find = find_test,
									   .is = is_test,
									   .make = make_test,
									   .drop = drop_test};

const assignment_test *
assignment_find(const char *test_id, int length)
{
	routing_accept_messages();
	if (likely(last && last->kept.checked == routing_current_generation && last->id_length == (uint32) length &&
			   memcmp(last->test_id, test_id, length) == 0))
		return last;
	if (known)
	{
		routing_kept *entry = find_test(test_id, length);

		if (entry && entry->checked == routing_current_generation)
			return last = (assignment_test *) entry;
	}
	return last = (assignment_test *) routing_keep(&kind_test, test_id, length);
}

const assignment_test *
assignment_require(const char *test_id, int length)
{
	const assignment_test *test = assignment_find(test_id, length);

	if (test == NULL)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("test \"%s\" does not exist", pnstrdup(test_id, length)),
				errdetail("No test of this id was ever created."),
				errhint("create_test() begins a test; list_active_tests() shows those that run."));
	return test;
}
