/*
 * registry_document.c: reading an exported registry: each member with its type, and errors that say where in the
 * document it is wrong. What the values mean is checked by the functions that take them (registry_import.c).
 */
#include "pg/registry_document.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pg/registry.h"

static void wrong_type(const char *key, const char *wanted, const char *place) __attribute__((noreturn));

static void
wrong_type(const char *key, const char *wanted, const char *place)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%s\" must be %s", key, wanted),
			errdetail("In %s the JSON value is of another type.", place),
			errhint("export_registry() writes documents that fit."));
}

/* member: false when absent or null, and need says that it may be. */
static bool
member(const Jsonb *object, const char *key, document_need need, const char *place, JsonbValue *value)
{
	JsonbContainer *container = (JsonbContainer *) &object->root;

	if (getKeyJsonValueFromContainer(container, key, strlen(key), value) == NULL)
	{
		if (need == DOCUMENT_OPTIONAL)
			return false;
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("missing key \"%s\"", key),
				errdetail("It is missing in %s.", place), errhint("export_registry() writes documents that fit."));
	}
	if (value->type != jbvNull)
		return true;
	if (need == DOCUMENT_REQUIRED)
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" must not be null", key),
				errdetail("It is null in %s.", place), errhint("Give it a value."));
	return false;
}

/* container: of an array or object; NULL for a scalar, which jsonb keeps in an array. */
static Jsonb *
container(JsonbValue *value, bool array)
{
	Jsonb *result;

	if (value->type != jbvBinary)
		return NULL;
	result = JsonbValueToJsonb(value);
	return (array ? JB_ROOT_IS_ARRAY(result) : JB_ROOT_IS_OBJECT(result)) ? result : NULL;
}

static Jsonb *
empty(bool array)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, array ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL));
}

void
document_keys(const Jsonb *object, const char *const *known, const char *place)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	if (!JB_ROOT_IS_OBJECT(object))
		wrong_type(place, "a JSON object", "the document");
	iterator = JsonbIteratorInit((JsonbContainer *) &object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		int i = 0;

		if (token != WJB_KEY)
			continue;
		while (known[i] && (strlen(known[i]) != value.val.string.len ||
							memcmp(known[i], value.val.string.val, value.val.string.len) != 0))
			i++;
		if (known[i] == NULL)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown key \"%s\"", pnstrdup(value.val.string.val, value.val.string.len)),
					errdetail("It is in %s; format %d has no such key there.", place, REGISTRY_FORMAT),
					errhint("Leave it out, or import with the version of model_mgr that wrote it."));
	}
}

char *
document_text(const Jsonb *object, const char *key, document_need need, const char *place)
{
	JsonbValue value;

	if (!member(object, key, need, place, &value))
		return NULL;
	if (value.type != jbvString)
		wrong_type(key, "a text", place);
	return pnstrdup(value.val.string.val, value.val.string.len);
}

Jsonb *
document_object(const Jsonb *object, const char *key, document_need need, const char *place)
{
	JsonbValue value;
	Jsonb *result;

	if (!member(object, key, need, place, &value))
		return empty(false);
	result = container(&value, false);
	if (result == NULL)
		wrong_type(key, "a JSON object", place);
	return result;
}

Jsonb *
document_list(const Jsonb *object, const char *key, document_need need, const char *place)
{
	JsonbValue value;
	Jsonb *result;

	if (!member(object, key, need, place, &value))
		return empty(true);
	result = container(&value, true);
	if (result == NULL)
		wrong_type(key, "a JSON array", place);
	return result;
}

Jsonb *
document_any(const Jsonb *object, const char *key, const char *place)
{
	JsonbValue value;

	(void) member(object, key, DOCUMENT_REQUIRED, place, &value);
	return JsonbValueToJsonb(&value);
}

bool
document_boolean(const Jsonb *object, const char *key, const char *place)
{
	JsonbValue value;

	if (!member(object, key, DOCUMENT_OPTIONAL, place, &value))
		return false;
	if (value.type != jbvBool)
		wrong_type(key, "true or false", place);
	return value.val.boolean;
}

int32
document_integer(const Jsonb *object, const char *key, const char *place)
{
	JsonbValue value;
	char *text;
	char *end;
	long number;

	(void) member(object, key, DOCUMENT_REQUIRED, place, &value);
	if (value.type != jbvNumeric)
		wrong_type(key, "a number", place);
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
	errno = 0;
	number = strtol(text, &end, 10);
	if (*end != '\0' || errno != 0 || number < PG_INT32_MIN || number > PG_INT32_MAX)
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("\"%s\" is out of range", key),
				errdetail("In %s it is %.40s, which is no integer.", place, text), errhint("Write a whole number."));
	return (int32) number;
}

TimestampTz
document_time(const Jsonb *object, const char *key, const char *place)
{
	char *text = document_text(object, key, DOCUMENT_REQUIRED, place);
	struct pg_tm tm = {0};
	TimestampTz time;
	int micros;
	int length = 0;
	int zone = 0;

	if (sscanf(text, "%7d-%2d-%2dT%2d:%2d:%2d.%6dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
			   &tm.tm_sec, &micros, &length) != 7 ||
		/* Six digits: .5 would be read as five microseconds. */
		length == 0 || text[length] != '\0' || text[length - strlen(".000000Z")] != '.' || tm.tm_year < 1 ||
		tm.tm_mon < 1 || tm.tm_mon > MONTHS_PER_YEAR || tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
		tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 59 || micros < 0 || tm2timestamp(&tm, micros, &zone, &time) != 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%s\" is no time", key),
				errdetail("In %s it is \"%.60s\".", place, text),
				errhint("Times are written in UTC as in 2026-01-31T12:00:00.000000Z."));
	return time;
}

Jsonb *
document_item(const Jsonb *list, int n)
{
	JsonbValue *value = getIthJsonbValueFromContainer((JsonbContainer *) &list->root, n);

	return value ? JsonbValueToJsonb(value) : NULL;
}

Datum
document_names(const Jsonb *object, const char *key, const char *what, const char *place)
{
	Jsonb *list = document_list(object, key, DOCUMENT_OPTIONAL, place);
	int count = JB_ROOT_COUNT(list);
	Datum *names = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer((JsonbContainer *) &list->root, i);

		if (value->type != jbvString)
			wrong_type(key, "a list of texts", place);
		names[i] = PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
	}
	return registry_names(PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT)), what);
}
