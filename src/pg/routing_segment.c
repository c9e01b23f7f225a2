/*
 * routing_segment.c: segments as they are stored, and contexts as they are passed, made ready for the core.
 */
#include "pg/mm.h"

#include "pg/json_tree.h"
#include "pg/routing_internal.h"

/* compiled: a condition in the current memory context, or NULL when this version does not understand it. */
static const condition_node *
compiled(const json_value *condition)
{
	condition_node *scratch = palloc(sizeof(condition_node) * CONDITION_MAX_NODES);
	condition_node *nodes = NULL;
	condition_error error;
	size_t count;

	if (condition && condition_compile(condition, scratch, &count, &error) == CONDITION_OK)
	{
		nodes = palloc(sizeof(condition_node) * count);
		memcpy(nodes, scratch, sizeof(condition_node) * count);
	}
	pfree(scratch);
	return nodes;
}

/* copied: outlives the row it lies in; what is compiled points into it. */
static const Jsonb *
copied(const Jsonb *from)
{
	Jsonb *copy = palloc(VARSIZE(from));

	memcpy(copy, from, VARSIZE(from));
	return copy;
}

void
routing_read_segments(route_rules *rules, const Jsonb *segments, const Jsonb *preview)
{
	const json_value *list = json_tree(copied(segments));
	route_segment *segment = palloc0(sizeof(route_segment) * (list->count + 1));

	rules->segments = segment;
	rules->segment_count = 0;
	/* Before the segments: whoever previews a version is not to be kept from it by the segment that the condition is
	 * of. */
	if (preview && rules->candidate.version_id != 0)
	{
		segment->name = "preview_segment";
		segment->name_length = strlen(segment->name);
		segment->target = rules->candidate;
		segment->condition = compiled(json_tree(copied(preview)));
		segment->rule = ROUTE_PREVIEW;
		rules->segment_count++;
		segment++;
	}
	for (size_t i = 0; i < list->count; i++)
	{
		const json_value *name = json_member(&list->items[i], "segment");
		const json_value *version = json_member(&list->items[i], "version");
		const json_value *version_id = json_member(&list->items[i], "version_id");

		if (name == NULL || version == NULL || version_id == NULL)
			continue;
		segment->name = name->text;
		segment->name_length = name->length;
		segment->target.version = version->text;
		segment->target.length = version->length;
		segment->target.version_id = strtoll(pnstrdup(version_id->text, version_id->length), NULL, 10);
		segment->condition = compiled(json_member(&list->items[i], "condition"));
		segment->rule = ROUTE_SEGMENT;
		segment++;
		rules->segment_count++;
	}
}

bool
routing_check_context(const Jsonb *context)
{
	JsonbValue value;

	if (context == NULL)
		return false;
	if (JB_ROOT_IS_OBJECT(context))
		return true;
	if (JB_ROOT_IS_SCALAR(context) && JsonbExtractScalar((JsonbContainer *) &context->root, &value) &&
		value.type == jbvNull)
		return false;
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"context\" must be a JSON object"),
			errdetail("It is %s.", JB_ROOT_IS_SCALAR(context) ? "a single value" : "a list"),
			errhint("Pass keys and values that segments can test, such as {\"country\": \"DE\"}, or NULL."));
}
