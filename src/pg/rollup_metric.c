/*
 * rollup_metric.c: the aggregate metric_summaries(metrics, recorded_at): all custom metrics of a set of observations in
 * one pass. The fold reads the free-form column with it, which COPY fills with anything: whatever is no number that can
 * be summed is passed over. Nothing here raises an error, since one row would then stop every fold.
 */
#include "pg/summary.h"

#include <math.h>

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "core/metric.h"
#include "pg/mm.h"

/* What adds up without leaving the doubles: as the check on observation has it for the other values. */
#define LARGEST 1e100
#define LONGEST_NAME 255
/* Names are the caller's: a new one each row must neither fill the memory nor make a rollup row each. */
#define MOST_NAMES 1000

typedef struct tally
{
	const char *name; /* not terminated */
	int length;
	uint32 hash;
	bool builtin; /* told by a column of its own: not a custom metric, and left out */
	TimestampTz last_at;
	summary values;
} tally;

/* The state: tallies as they came, and a hash table of 2 * room slots that hold index + 1, or 0. */
typedef struct tallies
{
	MemoryContext context;
	int count;
	int room; /* a power of 2 */
	int next; /* where the next name is likely to be: rows of one writer have the same names in the same order */
	tally *tally;
	uint16 *slot;
} tallies;

/* make_tallies: an empty state that lives as long as the aggregation. */
static tallies *
make_tallies(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	tallies *all;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("called outside of an aggregate"),
				errdetail("This function is a step of metric_summaries()."), errhint("Call the aggregate."));
	all = MemoryContextAllocZero(context, sizeof(tallies));
	all->context = context;
	return all;
}

/* slot_of: the slot of a name, or the free one where it belongs. */
static uint16 *
slot_of(const tallies *all, const char *name, int length, uint32 hash)
{
	uint32 mask = 2 * all->room - 1;

	uint32 at = hash & mask;

	for (; all->slot[at] != 0; at = (at + 1) & mask)
	{
		const tally *t = &all->tally[all->slot[at] - 1];

		if (t->hash == hash && t->length == length && memcmp(t->name, name, length) == 0)
			break;
	}
	return &all->slot[at];
}

/* grow: twice the room. */
static void
grow(tallies *all)
{
	tally *old = all->tally;

	all->room = Max(2 * all->room, 4);
	all->tally = MemoryContextAllocZero(all->context, all->room * sizeof(tally));
	if (old != NULL)
	{
		memcpy(all->tally, old, all->count * sizeof(tally));
		pfree(old);
		pfree(all->slot);
	}
	all->slot = MemoryContextAllocZero(all->context, 2 * all->room * sizeof(uint16));
	for (int i = 0; i < all->count; i++)
		*slot_of(all, all->tally[i].name, all->tally[i].length, all->tally[i].hash) = i + 1;
}

/* find_tally: of a name; NULL when it is one too many. */
static tally *
find_tally(tallies *all, const char *name, int length)
{
	uint16 *slot;
	uint32 hash;
	tally *t;

	if (all->next < all->count && all->tally[all->next].length == length &&
		memcmp(all->tally[all->next].name, name, length) == 0)
		return &all->tally[all->next++];
	if (all->room == 0)
		grow(all);
	hash = hash_bytes((const unsigned char *) name, length);
	slot = slot_of(all, name, length, hash);
	if (*slot != 0)
	{
		all->next = *slot;
		return &all->tally[*slot - 1];
	}
	if (all->count == MOST_NAMES)
		return NULL;
	if (all->count == all->room)
	{
		grow(all);
		slot = slot_of(all, name, length, hash);
	}
	t = &all->tally[all->count];
	t->name = memcpy(MemoryContextAlloc(all->context, length), name, length);
	t->length = length;
	t->hash = hash;
	t->builtin = metric_parse(pnstrdup(name, length)).form != METRIC_CUSTOM;
	t->last_at = DT_NOBEGIN;
	summary_init(&t->values, statistics_memory, all->context);
	*slot = ++all->count;
	all->next = all->count;
	return t;
}

/* number_of: a JSON number as a double; NaN when it is none, or too large. */
static double
number_of(const JsonbValue *value)
{
	double number;

	if (value->type != jbvNumeric)
		return NAN;
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	return fabs(number) <= LARGEST ? number : NAN;
}

MM_FUNCTION(mm_metric_summaries_transition);

/* mm_metric_summaries_transition: the numbers of one flat object more. */
Datum
mm_metric_summaries_transition(PG_FUNCTION_ARGS)
{
	tallies *all = PG_ARGISNULL(0) ? NULL : (tallies *) PG_GETARG_POINTER(0);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	Jsonb *metrics;

	if (PG_ARGISNULL(1))
	{
		if (all == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(all);
	}
	if (all == NULL)
		all = make_tallies(fcinfo);
	metrics = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_OBJECT(metrics))
		PG_RETURN_POINTER(all);
	it = JsonbIteratorInit(&metrics->root);
	all->next = 0;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		const char *name = value.val.string.val;
		int length = value.val.string.len;
		double number;
		tally *t;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		number = number_of(&value);
		if (isnan(number) || length == 0 || length > LONGEST_NAME || (t = find_tally(all, name, length)) == NULL ||
			t->builtin)
			continue;
		summary_add(&t->values, number);
		if (!PG_ARGISNULL(2))
			t->last_at = Max(t->last_at, PG_GETARG_TIMESTAMPTZ(2));
	}
	PG_RETURN_POINTER(all);
}

/* by_name: bytewise. */
static int
by_name(const void *a, const void *b)
{
	const tally *x = *(tally *const *) a;
	const tally *y = *(tally *const *) b;
	int order = memcmp(x->name, y->name, Min(x->length, y->length));

	return order != 0 ? order : x->length - y->length;
}

MM_FUNCTION(mm_metric_summaries_final);

/* mm_metric_summaries_final: an array of metric_tally in the order of names; NULL when there are none. */
Datum
mm_metric_summaries_final(PG_FUNCTION_ARGS)
{
	tallies *all = PG_ARGISNULL(0) ? NULL : (tallies *) PG_GETARG_POINTER(0);
	Oid element = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	TupleDesc descriptor;
	tally **sorted;
	Datum *rows;
	int count = 0;

	if (all == NULL || all->count == 0)
		PG_RETURN_NULL();
	descriptor = lookup_rowtype_tupdesc_copy(element, -1);
	sorted = palloc(all->count * sizeof(tally *));
	rows = palloc(all->count * sizeof(Datum));
	for (int i = 0; i < all->count; i++)
		if (!all->tally[i].builtin)
			sorted[count++] = &all->tally[i];
	if (count == 0)
		PG_RETURN_NULL();
	qsort(sorted, count, sizeof(tally *), by_name);
	for (int i = 0; i < count; i++)
	{
		tally *t = sorted[i];
		dd sum = dd_two_sum(t->values.m.sum.hi, t->values.m.sum.lo);
		Datum values[5] = {PointerGetDatum(cstring_to_text_with_len(t->name, t->length)), Int64GetDatum(t->values.m.n),
						   Float8GetDatum(dd_value(sum)), TimestampTzGetDatum(t->last_at),
						   summary_datum(&t->values, "metric_summaries")};
		bool nulls[5] = {false, false, false, t->last_at == DT_NOBEGIN, false};

		rows[i] = HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, count, element, -1, false, TYPALIGN_DOUBLE));
}
