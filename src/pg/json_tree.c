/*
 * json_tree.c: jsonb as the tree of values that src/core reads. Numbers become their decimal text, so that none loses
 * a digit.
 */
#include "pg/json_tree.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

static void read_container(json_value *to, JsonbContainer *container);

/* read_value: one value as the iterator or an array gives it. */
static void
read_value(json_value *to, const JsonbValue *from)
{
	to->text = "";
	switch (from->type)
	{
		case jbvNull:
			to->kind = JSON_KIND_NULL;
			break;
		case jbvBool:
			to->kind = JSON_KIND_BOOLEAN;
			to->boolean = from->val.boolean;
			break;
		case jbvNumeric:
			to->kind = JSON_KIND_NUMBER;
			to->text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(from->val.numeric)));
			to->length = strlen(to->text);
			break;
		case jbvString:
			to->kind = JSON_KIND_STRING;
			if (from->val.string.len > 0)
				to->text = from->val.string.val;
			to->length = from->val.string.len;
			break;
		case jbvBinary:
			read_container(to, from->val.binary.data);
			break;
		default:
			elog(ERROR, "jsonb value of unknown type %d", (int) from->type);
	}
}

/* read_container: an array or object; the fields of a member's key are left alone. */
static void
read_container(json_value *to, JsonbContainer *container)
{
	uint32 count = JsonContainerSize(container);
	json_value *items = palloc0(sizeof(json_value) * Max(count, 1));
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue value;
	uint32 n = 0;

	check_stack_depth();
	to->kind = JsonContainerIsObject(container) ? JSON_KIND_OBJECT : JSON_KIND_LIST;
	to->text = "";
	to->items = items;
	to->count = count;
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			items[n].key = value.val.string.len > 0 ? value.val.string.val : "";
			items[n].key_length = value.val.string.len;
		}
		else if (token == WJB_VALUE || token == WJB_ELEM)
			read_value(&items[n++], &value);
	}
}

const json_value *
json_tree(const Jsonb *from)
{
	json_value *root = palloc0(sizeof(json_value));
	JsonbValue scalar;

	if (JB_ROOT_IS_SCALAR(from) && JsonbExtractScalar((JsonbContainer *) &from->root, &scalar))
		read_value(root, &scalar);
	else
		read_container(root, (JsonbContainer *) &from->root);
	return root;
}

const json_value *
json_member(const json_value *object, const char *key)
{
	size_t length = strlen(key);

	if (object->kind != JSON_KIND_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->count; i++)
		if (object->items[i].key_length == length && memcmp(object->items[i].key, key, length) == 0)
			return &object->items[i];
	return NULL;
}

/* escaped: the bytes of a string in JSON, without its quotes. */
static int64
escaped(const char *text, int length)
{
	int64 size = length;

	for (int i = 0; i < length; i++)
		if (text[i] == '"' || text[i] == '\\')
			size += 1;
		else if ((unsigned char) text[i] < ' ')
			size += strlen("\\u0000") - 1;
	return size;
}

bool
json_text_exceeds(const Jsonb *value, int64 bytes)
{
	JsonbIterator *iterator = JsonbIteratorInit((JsonbContainer *) &value->root);
	JsonbIteratorToken token;
	JsonbValue part;
	int64 size = 0;

	while (size <= bytes && (token = JsonbIteratorNext(&iterator, &part, false)) != WJB_DONE)
	{
		/* Brackets, or quotes and what stands between members; the words true, false and null. */
		size += 8;
		if (token != WJB_KEY && token != WJB_VALUE && token != WJB_ELEM)
			continue;
		if (part.type == jbvString)
			size += escaped(part.val.string.val, part.val.string.len);
		else if (part.type == jbvNumeric)
		{
			char *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(part.val.numeric)));

			size += strlen(text);
			pfree(text);
		}
	}
	return size > bytes;
}
