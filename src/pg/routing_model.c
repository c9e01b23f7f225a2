/*
 * routing_model.c: a row of model_mgr.routing turned into the entry that the cache keeps: names, rules, the hashed part
 * of the bucket key. Measured first, then written into one piece of memory.
 */
#include "pg/mm.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "pg/routing_internal.h"

/* A text of the row, detoasted; length 0 and an empty string when NULL. */
typedef struct row_text
{
	const char *bytes;
	int length;
} row_text;

static row_text
get_text(const Datum *values, const bool *nulls, int column)
{
	text *value;

	if (nulls[column - 1])
		return (row_text){"", 0};
	value = DatumGetTextPP(values[column - 1]);
	return (row_text){VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

static int64
get_int64(const Datum *values, const bool *nulls, int column)
{
	return nulls[column - 1] ? 0 : DatumGetInt64(values[column - 1]);
}

/* put_text: copies with a terminating zero and moves the cursor. */
static const char *
put_text(char **cursor, row_text from)
{
	char *start = *cursor;

	memcpy(start, from.bytes, from.length);
	start[from.length] = '\0';
	*cursor += from.length + 1;
	return start;
}

/* get_array: elements of an array without NULLs; the number of them is returned. */
static int
get_array(Datum value, Oid type, int16 size, bool by_value, char align, Datum **elements)
{
	int n;

	deconstruct_array(DatumGetArrayTypeP(value), type, size, by_value, align, elements, NULL, &n);
	return n;
}

cached_model *
routing_model_make(HeapTuple row, TupleDesc descriptor, MemoryContext context)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "routing row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	Datum values[ROUTING_COLUMNS];
	bool nulls[ROUTING_COLUMNS];
	row_text name;
	row_text stable;
	row_text candidate;
	row_text shadow;
	row_text bucket_key;
	Datum *hashes;
	Datum *ids;
	Datum *texts;
	Jsonb *segments;
	Jsonb *preview;
	Jsonb *test;
	int pins;
	bool has_shadow;
	Size size;
	char *cursor;
	cached_model *model;
	route_rules *rules;
	routing_entry *entry;
	int64 *pin_hashes;
	route_target *pin_targets;

	/* Columns that an older version's objects do not have yet are null. */
	memset(nulls, true, sizeof(nulls));
	heap_deform_tuple(row, descriptor, values, nulls);
	name = get_text(values, nulls, ROUTING_MODEL_NAME);
	stable = get_text(values, nulls, ROUTING_STABLE_VERSION);
	candidate = get_text(values, nulls, ROUTING_CANDIDATE_VERSION);
	shadow = get_text(values, nulls, ROUTING_SHADOW_VERSION);
	bucket_key = get_text(values, nulls, ROUTING_BUCKET_KEY);
	pins = get_array(values[ROUTING_PIN_HASHES - 1], INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &hashes);
	if (get_array(values[ROUTING_PIN_VERSION_IDS - 1], INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids) != pins ||
		get_array(values[ROUTING_PIN_VERSIONS - 1], TEXTOID, -1, false, TYPALIGN_INT, &texts) != pins)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("pins of model \"%.*s\" do not fit together", name.length, name.bytes),
				errdetail("The arrays of pins in model_mgr.routing differ in length."),
				errhint("Restore the row from a dump."));

	segments = DatumGetJsonbP(values[ROUTING_SEGMENTS - 1]);
	preview = nulls[ROUTING_PREVIEW - 1] ? NULL : DatumGetJsonbP(values[ROUTING_PREVIEW - 1]);

	test = nulls[ROUTING_TEST - 1] ? NULL : DatumGetJsonbP(values[ROUTING_TEST - 1]);
	has_shadow = !nulls[ROUTING_SHADOW_VERSION_ID - 1];
	size = MAXALIGN(offsetof(cached_model, name) + name.length + stable.length + candidate.length + 3 +
					(has_shadow ? shadow.length + 1 : 0)) +
		   MAXALIGN(sizeof(routing_entry) + (has_shadow ? sizeof(routing_shadow) : 0)) +
		   pins * (sizeof(int64) + sizeof(route_target));
	for (int i = 0; i < pins; i++)
		size += VARSIZE_ANY_EXHDR(DatumGetPointer(texts[i])) + 1;

	model = MemoryContextAllocZero(context, size);
	model->name_length = name.length;
	model->revision = get_int64(values, nulls, ROUTING_REVISION);
	model->xmin = HeapTupleHeaderGetRawXmin(row->t_data);
	cursor = model->name;
	put_text(&cursor, name);
	rules = &model->rules;
	rules->stable.version_id = get_int64(values, nulls, ROUTING_STABLE_VERSION_ID);
	rules->stable.version = put_text(&cursor, stable);
	rules->stable.length = stable.length;
	rules->candidate.version_id = get_int64(values, nulls, ROUTING_CANDIDATE_VERSION_ID);
	rules->candidate.version = put_text(&cursor, candidate);
	rules->candidate.length = candidate.length;
	if (rules->candidate.version_id != 0)
		rules->candidate_weight = DatumGetInt32(values[ROUTING_CANDIDATE_WEIGHT - 1]);
	if (has_shadow)
		shadow.bytes = put_text(&cursor, shadow);
	bucket_prepare(&rules->key, bucket_key.bytes, bucket_key.length);

	cursor = (char *) MAXALIGN(cursor);
	entry = (routing_entry *) cursor;
	cursor += MAXALIGN(sizeof(routing_entry) + (has_shadow ? sizeof(routing_shadow) : 0));
	model->entry = entry;
	*entry = (routing_entry){
		.model_id = get_int64(values, nulls, ROUTING_MODEL_ID),
		.model_name = model->name,
		.stable_version_id = rules->stable.version_id,
		.stable_version = rules->stable.version,
		.deployment_id = get_int64(values, nulls, ROUTING_DEPLOYMENT_ID),
		.step = DatumGetInt32(values[ROUTING_STEP - 1]),
		.candidate_version_id = rules->candidate.version_id,
		.candidate_version = rules->candidate.version,
		.candidate_weight = rules->candidate_weight,
		.watched = DatumGetBool(values[ROUTING_WATCHED - 1]) || DatumGetBool(values[ROUTING_THRESHOLDS - 1]),
		.has_shadow = has_shadow,
	};

	if (has_shadow)
		entry->shadow[0] = (routing_shadow){DatumGetInt64(values[ROUTING_SHADOW_VERSION_ID - 1]), shadow.bytes,
											DatumGetInt32(values[ROUTING_SHADOW_WEIGHT - 1])};

	rules->pin_count = pins;
	rules->pin_hashes = pin_hashes = (int64 *) cursor;
	cursor += pins * sizeof(int64);
	rules->pin_targets = pin_targets = (route_target *) cursor;
	cursor += pins * sizeof(route_target);
	for (int i = 0; i < pins; i++)
	{
		text *version = DatumGetTextPP(texts[i]);

		pin_hashes[i] = DatumGetInt64(hashes[i]);
		pin_targets[i].version_id = DatumGetInt64(ids[i]);
		pin_targets[i].length = VARSIZE_ANY_EXHDR(version);
		pin_targets[i].version = put_text(&cursor, (row_text){VARDATA_ANY(version), VARSIZE_ANY_EXHDR(version)});
	}
	if (JB_ROOT_COUNT(segments) > 0 || preview || test)
	{
		model->segments = AllocSetContextCreate(context, "model_mgr segments", ALLOCSET_SMALL_SIZES);
		MemoryContextSwitchTo(model->segments);
		routing_read_segments(rules, segments, preview);
		if (test)
			entry->test = routing_read_test(rules, test);
	}
	choose_prepare(rules);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return model;
}

bool
routing_model_is(const cached_model *model, HeapTuple row, TupleDesc descriptor)
{
	bool isnull;

	return HeapTupleHeaderGetRawXmin(row->t_data) == model->xmin &&
		   DatumGetInt64(heap_getattr(row, ROUTING_REVISION, descriptor, &isnull)) == model->revision &&
		   DatumGetInt64(heap_getattr(row, ROUTING_MODEL_ID, descriptor, &isnull)) == model->entry->model_id;
}

void
routing_model_free(cached_model *model)
{
	if (model->segments)
		MemoryContextDelete(model->segments);
	pfree(model);
}
