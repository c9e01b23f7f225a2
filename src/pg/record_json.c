/*
 * record_json.c: record_outcomes() and record_results(): an array of outcomes, a million elements and more, in one
 * call. Elements are made into rows a chunk at a time and each chunk is written before the next is read, so memory
 * stays small.
 *
 * All or nothing, unless bad elements may be skipped: then a chunk is checked in internal subtransactions, a new one
 * after each bad element, and nothing is written inside of them. They take no transaction id.
 */
#include "pg/record.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "pg/routing.h"

#define CHUNK 1000
#define JSON_LIMIT (256 * 1024 * 1024)

/* Keys of an element and the forms that they belong to. */
enum
{
	FORM_DECISION = 1,
	FORM_VERSION = 2,
	FORM_FEEDBACK = 4,
	FORM_OUTCOME = FORM_DECISION | FORM_VERSION | FORM_FEEDBACK, /* of record_outcomes() */
	FORM_RESULT = 8,                                             /* of record_results() */
	FORM_ANY = FORM_OUTCOME | FORM_RESULT
};

typedef enum key_type
{
	KEY_TEXT,
	KEY_NUMBER,
	KEY_INTEGER,
	KEY_BOOLEAN,
	KEY_TIME,
	KEY_OBJECT
} key_type;

typedef struct element_key
{
	const char *name;
	key_type type;
	int forms;
	int column; /* -1: not a column by itself */
} element_key;

static const element_key element_keys[] = {
	{"decision", KEY_TEXT, FORM_DECISION | FORM_FEEDBACK, -1},
	{"model_name", KEY_TEXT, FORM_VERSION, -1},
	{"version", KEY_TEXT, FORM_VERSION, -1},
	{"unit_id", KEY_TEXT, FORM_VERSION, -1},
	{"variant", KEY_TEXT, FORM_RESULT, -1},
	{"user_id", KEY_TEXT, FORM_RESULT, -1},
	{"feedback", KEY_BOOLEAN, FORM_OUTCOME, RECORD_FEEDBACK},
	{"success", KEY_BOOLEAN, FORM_ANY, RECORD_SUCCESS},
	{"recorded_at", KEY_TIME, FORM_ANY, RECORD_RECORDED_AT},
	{"routed_at", KEY_TIME, FORM_VERSION, RECORD_ROUTED_AT},
	{"metrics", KEY_OBJECT, FORM_ANY, -1},
	{"response_time", KEY_NUMBER, FORM_DECISION | FORM_VERSION | FORM_RESULT, RECORD_RESPONSE_TIME},
	{"confidence", KEY_NUMBER, FORM_DECISION | FORM_VERSION | FORM_RESULT, RECORD_CONFIDENCE},
	{"cost", KEY_NUMBER, FORM_DECISION | FORM_VERSION, RECORD_COST},
	{"input_tokens", KEY_INTEGER, FORM_DECISION | FORM_VERSION, RECORD_INPUT_TOKENS},
	{"output_tokens", KEY_INTEGER, FORM_DECISION | FORM_VERSION, RECORD_OUTPUT_TOKENS},
	{"error_type", KEY_TEXT, FORM_DECISION | FORM_VERSION, RECORD_ERROR_TYPE},
};

enum
{
	KEY_DECISION,
	KEY_MODEL_NAME,
	KEY_VERSION,
	KEY_UNIT_ID,
	KEY_VARIANT,
	KEY_USER_ID,
	KEY_TEXTS, /* so many that are no columns */
	KEY_METRICS = 10
};

/* What a call is about. */
typedef struct reading
{
	const char *function;
	const char *argument;        /* the array */
	const text *test_id;         /* of record_results(), else NULL */
	const assignment_test *test; /* the same, good for a chunk: triggers of rows may look up others */
} reading;

static const char *const type_names[] = {
	"a string", "a number", "an integer", "true or false", "a string with a point in time", "an object of numbers"};

/* find_key: 22023 for one that is not known. */
static int
find_key(const JsonbValue *key, bool result)
{
	for (int i = 0; i < lengthof(element_keys); i++)
		if ((element_keys[i].forms & (result ? FORM_RESULT : FORM_OUTCOME)) != 0 &&
			strlen(element_keys[i].name) == key->val.string.len &&
			memcmp(element_keys[i].name, key->val.string.val, key->val.string.len) == 0)
			return i;
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown key \"%s\"", pnstrdup(key->val.string.val, key->val.string.len)),
			result
				? errdetail("Keys are variant, response_time, success, confidence, user_id, metrics and recorded_at.")
				: errdetail("Keys are those of record_outcome() or of update_model_metrics(), and \"feedback\"."),
			errhint("Put values of your own into \"metrics\"."));
	return -1;
}

static void wrong_value(const element_key *key) __attribute__((noreturn));

static void
wrong_value(const element_key *key)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("bad value for key \"%s\"", key->name),
			errdetail("The value must be %s, or null.", type_names[key->type]),
			errhint("Leave the key out where the value is not known."));
	pg_unreachable();
}

/* parse_time: a timestamptz literal; what is none is a bad value, not a bad date. */
static TimestampTz
parse_time(const element_key *key, const JsonbValue *value)
{
	TimestampTz time;
	char *literal = pnstrdup(value->val.string.val, value->val.string.len);

	if (mm_read_time(literal, &time) != MM_LITERAL_GOOD)
		wrong_value(key);
	pfree(literal);
	return time;
}

/* set_column: a scalar into its column. */
static void
set_column(record_row *row, const element_key *key, const JsonbValue *value)
{
	Datum datum = (Datum) 0;

	switch (key->type)
	{
		case KEY_TEXT:
			datum = PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
			break;
		case KEY_NUMBER:
		case KEY_INTEGER:
			if (!record_set_number(row, key->column, key->name, value->val.numeric))
				wrong_value(key);
			return;
		case KEY_BOOLEAN:
			datum = BoolGetDatum(value->val.boolean);
			break;
		case KEY_TIME:
			datum = TimestampTzGetDatum(parse_time(key, value));
			break;
		case KEY_OBJECT:
			return;
	}
	record_set(row, key->column, datum);
}

/* fits: the JSON type is the key's. */
static bool
fits(const element_key *key, const JsonbValue *value)
{
	switch (key->type)
	{
		case KEY_TEXT:
		case KEY_TIME:
			return value->type == jbvString;
		case KEY_NUMBER:
		case KEY_INTEGER:
			return value->type == jbvNumeric;
		case KEY_BOOLEAN:
			return value->type == jbvBool;
		case KEY_OBJECT:
			return value->type == jbvBinary;
	}
	return false;
}

/* check_form: every key given belongs to the form that the element has. */
static void
check_form(const bool *given, bool feedback)
{
	int form = feedback ? FORM_FEEDBACK : given[KEY_DECISION] ? FORM_DECISION : FORM_VERSION;

	for (int i = 0; i < lengthof(element_keys); i++)
		if (given[i] && !(element_keys[i].forms & form))
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("key \"%s\" does not go with %s", element_keys[i].name,
					   feedback                ? "feedback"
					   : form == FORM_DECISION ? "a decision"
											   : "a version named without a decision"),
				errdetail(
					"An element is an outcome of a decision, a request of a model's version, or feedback to a decision."),
				errhint(feedback ? "Feedback has decision, success, metrics and recorded_at."
								 : "Give decision, or model_name and version."));
	if (form == FORM_VERSION ? !(given[KEY_MODEL_NAME] && given[KEY_VERSION]) : !given[KEY_DECISION])
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("key \"%s\" is missing", form != FORM_VERSION    ? "decision"
												: given[KEY_MODEL_NAME] ? "version"
																		: "model_name"),
				errdetail("An element names what served the request."),
				errhint("Give decision, or model_name and version."));
}

/* read_element: one element of the array as a row. */
static void
read_element(const JsonbValue *element, record_row *row, const assignment_test *test)
{
	JsonbValue texts[KEY_TEXTS];
	bool given[lengthof(element_keys)] = {0};
	Jsonb *metrics = NULL;
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue value;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("an outcome must be a JSON object"),
				errdetail("The element is a scalar or an array."),
				errhint("Pass [{\"%s\": \"...\", ...}, ...].", test ? "variant" : "decision"));
	record_clear(row);
	it = JsonbIteratorInit(element->val.binary.data);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		int i = find_key(&key, test != NULL);
		const element_key *known = &element_keys[i];

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type == jbvNull)
			continue;
		if (!fits(known, &value))
			wrong_value(known);
		given[i] = true;
		if (i < KEY_TEXTS)
			texts[i] = value;
		else if (i == KEY_METRICS)
			metrics = JsonbValueToJsonb(&value);
		else
			set_column(row, known, &value);
	}
	if (test == NULL)
		check_form(given, DatumGetBool(row->values[RECORD_FEEDBACK]));
	else if (!given[KEY_VARIANT])
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("key \"variant\" is missing"),
				errdetail("A result names the arm that served the request."),
				errhint("assigned_variant() tells which one a unit is in."));
	record_check_row(row);
	if (test)
		record_set_result_metrics(row, metrics);
	else
		record_set_metrics(row, metrics);
#define TEXT_OF(key) texts[key].val.string.val, texts[key].val.string.len
	if (test)
		record_set_variant(row, test, TEXT_OF(KEY_VARIANT));
	else if (given[KEY_DECISION])
		record_set_decision(row, TEXT_OF(KEY_DECISION));
	else
		record_set_version(row, TEXT_OF(KEY_MODEL_NAME), TEXT_OF(KEY_VERSION));
	if (given[KEY_UNIT_ID])
		record_set_unit(row, TEXT_OF(KEY_UNIT_ID));
	if (given[KEY_USER_ID])
		record_set_unit(row, TEXT_OF(KEY_USER_ID));
#undef TEXT_OF
}

/* is_bad_element: an error that speaks of the element, not of the server. */
static bool
is_bad_element(int code)
{
	return ERRCODE_TO_CATEGORY(code) == ERRCODE_DATA_EXCEPTION || code == ERRCODE_UNDEFINED_OBJECT ||
		   code == ERRCODE_INVALID_NAME || code == ERRCODE_NAME_TOO_LONG;
}

/* read_until_bad: elements from *next on as rows, until one is bad; returns how many rows there are then. Runs in a
 * subtransaction, the rows lie outside of it. */
static int
read_until_bad(const JsonbValue *elements, int count, int *volatile next, record_row *rows, volatile int filled)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int start = *next;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		for (int i = start; i < count; i++)
		{
			*next = i;
			read_element(&elements[i], &rows[filled], NULL);
			filled++;
		}
		*next = count;
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!is_bad_element(error->sqlerrcode))
			ReThrowError(error);
		FreeErrorData(error);
		(*next)++;
	}
	PG_END_TRY();
	return filled;
}

/* read_all: all elements of a chunk as rows; an error of one says which it is. `before` elements were in earlier
 * chunks.
 */
static void
read_all(const reading *r, const JsonbValue *elements, int count, record_row *rows, int64 before)
{
	MemoryContext context = CurrentMemoryContext;
	int volatile i = 0;

	PG_TRY();
	{
		for (; i < count; i++)
			read_element(&elements[i], &rows[i], r->test);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (is_bad_element(error->sqlerrcode) || error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
			error->detail = psprintf("Element %lld of \"%s\": %s", (long long) before + i + 1, r->argument,
									 error->detail ? error->detail : error->message);
		ReThrowError(error);
	}
	PG_END_TRY();
}

/* record_array: records the elements of an array; returns the number of rows written. */
static int64
record_array(reading *r, Datum value, bool skip_bad)
{
	MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "outcomes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	int64 before = 0;
	int64 recorded = 0;
	JsonbIterator *it;
	JsonbIteratorToken token = WJB_DONE;
	JsonbValue *elements;
	record_row *rows;
	Jsonb *outcomes;

	if (toast_raw_datum_size(value) > JSON_LIMIT)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("\"%s\" is too large", r->argument),
				errdetail("It has %lld bytes; the limit is %d.", (long long) toast_raw_datum_size(value), JSON_LIMIT),
				errhint("Pass it in several calls, or use COPY into model_mgr.observation."));
	outcomes = DatumGetJsonbP(value);
	if (!JB_ROOT_IS_ARRAY(outcomes) || JB_ROOT_IS_SCALAR(outcomes))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%s\" must be a JSON array", r->argument),
				errdetail("The value is a scalar or an object."),
				errhint("Pass [{\"%s\": \"...\", \"success\": true}, ...].", r->test_id ? "variant" : "decision"));

	elements = palloc(CHUNK * sizeof(JsonbValue));
	rows = palloc(CHUNK * sizeof(record_row));
	it = JsonbIteratorInit(&outcomes->root);
	(void) JsonbIteratorNext(&it, &elements[0], true);
	do
	{
		int count = 0;
		int filled = 0;

		if (r->test_id)
			r->test = assignment_require(VARDATA_ANY(r->test_id), VARSIZE_ANY_EXHDR(r->test_id));
		while (count < CHUNK && (token = JsonbIteratorNext(&it, &elements[count], true)) == WJB_ELEM)
			count++;
		MemoryContextSwitchTo(chunk);
		if (skip_bad)
			for (int next = 0; next < count;)
				filled = read_until_bad(elements, count, &next, rows, filled);
		else
		{
			read_all(r, elements, count, rows, before);
			filled = count;
		}
		MemoryContextSwitchTo(caller);
		if (filled > 0)
			record_insert(r->function, rows, filled);
		before += count;
		recorded += filled;
		MemoryContextReset(chunk);
		CHECK_FOR_INTERRUPTS();
	} while (token == WJB_ELEM);
	MemoryContextDelete(chunk);
	return recorded;
}

MM_FUNCTION(mm_record_outcomes);
MM_FUNCTION(mm_record_results);

/* mm_record_outcomes: records an array of outcomes and feedback; returns the number of rows written. */
Datum
mm_record_outcomes(PG_FUNCTION_ARGS)
{
	reading r = {.function = "record_outcomes", .argument = "outcomes"};

	mm_require(fcinfo, 0, "outcomes");
	PG_RETURN_INT64(record_array(&r, PG_GETARG_DATUM(0), !PG_ARGISNULL(1) && PG_GETARG_BOOL(1)));
}

/* mm_record_results: records an array of results of one test; returns the number of rows written. */
Datum
mm_record_results(PG_FUNCTION_ARGS)
{
	reading r = {.function = "record_results", .argument = "results"};

	mm_require(fcinfo, 0, "test_id");
	mm_require(fcinfo, 1, "results");
	r.test_id = PG_GETARG_TEXT_PP(0);
	(void) assignment_require(VARDATA_ANY(r.test_id), VARSIZE_ANY_EXHDR(r.test_id));
	PG_RETURN_INT64(record_array(&r, PG_GETARG_DATUM(1), false));
}
