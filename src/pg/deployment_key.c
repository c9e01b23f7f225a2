/*
 * deployment_key.c: values of JSON keys, for the arguments of a rollout: read, checked, with their defaults. Touches no
 * table.
 */
#include "pg/deployment_key.h"

#include <math.h>

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

void
deployment_key_malformed(const char *key, const char *expected)
{
	ereport(
		ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("key \"%s\" has a malformed value", key),
		errdetail("The value must be %s.", expected),
		errhint(
			"Numbers, true and false stand without quotes, words with them: {\"steps\": [10, 50, 100], \"on_timeout\": \"hold\"}."));
}

bool
deployment_key_find(const Jsonb *object, const char *key, JsonbValue *value)
{
	JsonbValue *found = getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key, strlen(key), NULL);

	if (found == NULL || found->type == jbvNull)
		return false;
	*value = *found;
	return true;
}

double
deployment_key_number_of(const JsonbValue *value)
{
	/* Not numeric_float8: a number beyond float8 must come out as infinity for the range check to refuse. */
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}

bool
deployment_key_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

double
deployment_key_number(const Jsonb *object, const char *key, double otherwise, double low, double high)
{
	JsonbValue value;
	double number;

	if (!deployment_key_find(object, key, &value))
		return otherwise;
	if (value.type != jbvNumeric)
		deployment_key_malformed(key, "a number");
	number = deployment_key_number_of(&value);
	mm_check_float(key, number, low, high);
	return number;
}

double
deployment_key_whole(const Jsonb *object, const char *key, double otherwise, double low, double high)
{
	double number = deployment_key_number(object, key, otherwise, low, high);

	if (number != rint(number))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" must be a whole number", key),
				errdetail("The value is %g.", number), errhint("Round it."));
	return number;
}

int
deployment_key_word(const Jsonb *object, const char *key, const char *const *words)
{
	JsonbValue value;
	StringInfoData list;
	char *word;

	if (!deployment_key_find(object, key, &value))
		return 0;
	if (value.type != jbvString)
		deployment_key_malformed(key, "a string");
	word = pnstrdup(value.val.string.val, value.val.string.len);
	initStringInfo(&list);
	for (int i = 0; words[i] != NULL; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return i;
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown word \"%s\" for key \"%s\"", word, key),
			errdetail("The words are %s.", list.data), errhint("Leave the key out for \"%s\".", words[0]));
}

void
deployment_key_check(const JsonbContainer *object, const char *what, const char *const *known, int count)
{
	JsonbIterator *iterator = JsonbIteratorInit((JsonbContainer *) object);
	JsonbValue key;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		StringInfoData list;
		bool found = false;

		if (token != WJB_KEY)
			continue;
		initStringInfo(&list);
		for (int i = 0; i < count; i++)
		{
			found |= (int) strlen(known[i]) == key.val.string.len &&
					 memcmp(known[i], key.val.string.val, key.val.string.len) == 0;
			appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", known[i]);
		}
		if (!found)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown %s key \"%.*s\"", what, key.val.string.len, key.val.string.val),
					errdetail("Keys are %s.", list.data), errhint("Check the spelling or leave the key out."));
	}
}

Jsonb *
deployment_key_value(const Jsonb *object, const char *key)
{
	JsonbValue value;

	return deployment_key_find(object, key, &value) ? JsonbValueToJsonb(&value) : NULL;
}

bool
deployment_key_boolean(const Jsonb *object, const char *key, bool otherwise)
{
	JsonbValue value;

	if (!deployment_key_find(object, key, &value))
		return otherwise;
	if (value.type != jbvBool)
		deployment_key_malformed(key, "true or false");
	return value.val.boolean;
}

Jsonb *
deployment_key_object(const Jsonb *object, const char *key)
{
	JsonbValue value;

	if (!deployment_key_find(object, key, &value))
		return NULL;
	if (!deployment_key_is_object(&value))
		deployment_key_malformed(key, "an object");
	return JsonbValueToJsonb(&value);
}
