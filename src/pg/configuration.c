/*
 * configuration.c: checks of a version's configuration: the two keys that everything else relies on, ranges of the
 * keys whose meaning is the same for all providers, and no secrets, since a configuration is shown to every reader,
 * copied into the audit log and dumped. Keys that are not known here are the user's own and are kept as they are.
 */
#include "pg/configuration.h"

#include <float.h>
#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

typedef enum key_kind
{
	KEY_NAME,    /* text of 1 to 255 bytes */
	KEY_NUMBER,  /* low to high */
	KEY_INTEGER, /* whole, low to high */
	KEY_OBJECT
} key_kind;

/* Ranges as wide as any large provider's; a narrower one is a matter of policy, not of spelling. */
static const struct
{
	const char *key;
	key_kind kind;
	bool required;
	double low;
	double high;
} known_keys[] = {
	{"provider", KEY_NAME, true, 0, 0},
	{"model_name", KEY_NAME, true, 0, 0},
	{"model_version", KEY_NAME, false, 0, 0},
	{"temperature", KEY_NUMBER, false, 0, 2},
	{"max_tokens", KEY_INTEGER, false, 1, 2147483647},
	{"top_p", KEY_NUMBER, false, 0, 1},
	{"min_p", KEY_NUMBER, false, 0, 1},
	{"top_k", KEY_INTEGER, false, -1, 2147483647}, /* -1 and 0: off */
	{"frequency_penalty", KEY_NUMBER, false, -2, 2},
	{"presence_penalty", KEY_NUMBER, false, -2, 2},
	{"timeout_seconds", KEY_NUMBER, false, 0, 86400},
	{"custom_parameters", KEY_OBJECT, false, 0, 0},
	{"resource_requirements", KEY_OBJECT, false, 0, 0},
};

/* json_type_name: what a value is, for messages. */
static const char *
json_type_name(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a string";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "a boolean";
		case jbvBinary:
			return JsonContainerIsArray(value->val.binary.data) ? "an array" : "an object";
		default:
			return "something else";
	}
}

static const char *
root_type_name(const Jsonb *value)
{
	JsonbValue scalar;

	if (JB_ROOT_IS_SCALAR((Jsonb *) value) && JsonbExtractScalar((JsonbContainer *) &value->root, &scalar))
		return json_type_name(&scalar);
	return JB_ROOT_IS_ARRAY((Jsonb *) value) ? "an array" : "an object";
}

void
json_require_object(const char *argument, const Jsonb *value)
{
	if (!JB_ROOT_IS_OBJECT((Jsonb *) value))
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("\"%s\" must be a JSON object", argument),
				errdetail("It is %s.", root_type_name(value)), errhint("Write '{\"key\": \"value\"}'."));
}

static bool
ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text);
	size_t tail_length = strlen(tail);

	return length >= tail_length && strcmp(text + length - tail_length, tail) == 0;
}

/* in_list: whether the text is one of the names. */
static bool
in_list(const char *text, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return true;
	return false;
}

/*
 * looks_secret: by the name alone, in lower case and with its words (of snake, kebab and camel case) taken apart. What
 * ends with one of `tails` does, a plural s aside. So does what ends with the word token, unless a word of the trade
 * stands before it: eos_token and stop_token are parameters, github_token is not. Plural tokens (max_tokens) are
 * counts.
 */
static bool
looks_secret(const char *key, int length)
{
	static const char *const tails[] = {
		"apikey",      "accesskey", "accesskeyid", "secretkey",   "privatekey",   "encryptionkey", "signingkey",
		"accesstoken", "authtoken", "apitoken",    "bearertoken", "refreshtoken", "sessiontoken",  "secret",
		"secretvalue", "password",  "passwd",      "passphrase",  "credential",   "authorization", "connectionstring"};
	static const char *const whole[] = {"token", "pwd", "bearer", "jwt"};
	static const char *const trade[] = {"eos",     "bos",     "pad",    "padding", "stop",    "start",     "end",
										"mask",    "unk",     "sep",    "cls",     "special", "separator", "begin",
										"max",     "min",     "per",    "next",    "first",   "last",      "image",
										"prompt",  "context", "sot",    "eot",     "new",     "newline",   "single",
										"unknown", "input",   "output", "decoder", "forced",  "think",     "thinking"};
	char *name = palloc(length + 1); /* letters and digits */
	int n = 0;
	int word = 0; /* where the last word begins */
	int previous = 0;

	for (int i = 0; i < length; i++)
	{
		unsigned char c = key[i];
		bool upper = c >= 'A' && c <= 'Z';
		bool boundary = upper && i > 0 && key[i - 1] >= 'a' && key[i - 1] <= 'z';

		if (upper)
			c = c - 'A' + 'a';
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
		{
			boundary = true;
			c = 0;
		}
		if (boundary && n > word)
		{
			previous = word;
			word = n;
		}
		if (c)
			name[n++] = c;
	}
	if (word == n) /* punctuation at the end */
		word = previous;
	name[n] = '\0';

	if (in_list(name, whole, lengthof(whole)))
		return true;
	if (ends_with(name, "token"))
	{
		bool apart = strcmp(name + word, "token") == 0;

		name[n - strlen("token")] = '\0';
		return !in_list(apart ? name + previous : name, trade, lengthof(trade));
	}
	if (n > 0 && name[n - 1] == 's')
		name[n - 1] = '\0';
	for (int i = 0; i < lengthof(tails); i++)
		if (ends_with(name, tails[i]))
			return true;
	return false;
}

/* check_secrets: every key at every depth. */
static void
check_secrets(const Jsonb *configuration)
{
	JsonbIterator *iterator = JsonbIteratorInit((JsonbContainer *) &configuration->root);
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
		if (token == WJB_KEY && looks_secret(value.val.string.val, value.val.string.len))
			ereport(
				ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("configuration key \"%.*s\" looks like a secret", value.val.string.len, value.val.string.val),
				errdetail("Configurations are readable, audited and dumped."),
				errhint(
					"Keep the secret in the application's own store and write here how to find it, under another key."));
}

static void
wrong_type(const char *key, const char *wanted, const JsonbValue *value)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			errmsg("configuration key \"%s\" must be %s", key, wanted), errdetail("It is %s.", json_type_name(value)),
			errhint("Correct the value, or leave the key out."));
}

/* check_known: one key of the table against its value. */
static void
check_known(int i, const JsonbValue *value)
{
	const char *key = known_keys[i].key;
	double number;

	switch (known_keys[i].kind)
	{
		case KEY_NAME:
			if (value->type != jbvString)
				wrong_type(key, "a string", value);
			mm_check_name(psprintf("configuration key \"%s\"", key),
						  pnstrdup(value->val.string.val, value->val.string.len));
			break;
		case KEY_NUMBER:
		case KEY_INTEGER:
			if (value->type != jbvNumeric)
				wrong_type(key, "a number", value);
			number =
				DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
			mm_check_float(key, number, known_keys[i].low, known_keys[i].high);
			if (known_keys[i].kind == KEY_INTEGER && number != floor(number))
				ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("\"%s\" must be a whole number", key), errdetail("The value is %g.", number),
						errhint("Round it."));
			break;
		case KEY_OBJECT:
			if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
				wrong_type(key, "an object", value);
			break;
	}
}

void
configuration_check(const Jsonb *configuration)
{
	json_require_object("configuration", configuration);
	for (int i = 0; i < lengthof(known_keys); i++)
	{
		JsonbValue space;
		JsonbValue *value = getKeyJsonValueFromContainer((JsonbContainer *) &configuration->root, known_keys[i].key,
														 strlen(known_keys[i].key), &space);

		if (value && value->type != jbvNull) /* null says the same as a key left out */
			check_known(i, value);
		else if (known_keys[i].required)
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("configuration needs the key \"%s\"", known_keys[i].key),
					errdetail("provider and model_name say which model a version is; all other keys are optional."),
					errhint("Build it with model_configuration(provider, model_name, ...)."));
	}
	check_secrets(configuration);
}

char *
configuration_digest(const Jsonb *configuration)
{
	char *text = JsonbToCString(NULL, (JsonbContainer *) &configuration->root, VARSIZE_ANY_EXHDR(configuration));
	char *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);
	bytea *hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(cstring_to_text(utf8))));
	StringInfoData digest;

	initStringInfo(&digest);
	appendStringInfoString(&digest, "sha256:");
	for (int i = 0; i < VARSIZE_ANY_EXHDR(hash); i++)
		appendStringInfo(&digest, "%02x", (unsigned char) VARDATA_ANY(hash)[i]);
	return digest.data;
}

MM_FUNCTION(mm_configuration_digest);
MM_FUNCTION(mm_model_configuration);

Datum
mm_configuration_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(configuration_digest(PG_GETARG_JSONB_P(0))));
}

/* push_pair: a key and its value onto the object being built. */
static void
push_pair(JsonbParseState **state, const char *key, JsonbValue *value)
{
	JsonbValue name = {.type = jbvString};

	name.val.string.val = (char *) key;
	name.val.string.len = strlen(key);
	(void) pushJsonbValue(state, WJB_KEY, &name);
	(void) pushJsonbValue(state, WJB_VALUE, value);
}

/* mm_model_configuration: the object that create_model_version takes, checked; what is null is left out. */
Datum
mm_model_configuration(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *name;
		enum
		{
			TEXT,
			FLOAT,
			INTEGER,
			JSON
		} type;
	} arguments[] = {
		{"provider", TEXT},      {"model_name", TEXT},        {"model_version", TEXT},        {"temperature", FLOAT},
		{"max_tokens", INTEGER}, {"custom_parameters", JSON}, {"resource_requirements", JSON}};
	JsonbParseState *state = NULL;
	Jsonb *configuration;

	mm_require(fcinfo, 0, "provider");
	mm_require(fcinfo, 1, "model_name");
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < lengthof(arguments); i++)
	{
		JsonbValue value;

		if (arguments[i].type == JSON)
		{
			Jsonb *object = PG_ARGISNULL(i) ? DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")))
											: PG_GETARG_JSONB_P(i);

			json_require_object(arguments[i].name, object);
			value.type = jbvBinary;
			value.val.binary.data = &object->root;
			value.val.binary.len = VARSIZE_ANY_EXHDR(object);
		}
		else if (PG_ARGISNULL(i))
			continue;
		else if (arguments[i].type == TEXT)
		{
			value.type = jbvString;
			value.val.string.val = text_to_cstring(PG_GETARG_TEXT_PP(i));
			value.val.string.len = strlen(value.val.string.val);
		}
		else
		{
			value.type = jbvNumeric;
			if (arguments[i].type == FLOAT)
			{
				/* before it becomes a numeric: JSON has no NaN and no infinity */
				mm_check_float(arguments[i].name, PG_GETARG_FLOAT8(i), -DBL_MAX, DBL_MAX);
				value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, PG_GETARG_DATUM(i)));
			}
			else
				value.val.numeric = int64_to_numeric(PG_GETARG_INT32(i));
		}
		push_pair(&state, arguments[i].name, &value);
	}
	configuration = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	configuration_check(configuration);
	PG_RETURN_JSONB_P(configuration);
}

MM_FUNCTION(mm_configuration_problem);

/* check_one: configuration_check as mm_attempt takes it. */
static int64
check_one(int64 argument)
{
	configuration_check((const Jsonb *) (intptr_t) argument);
	return 0;
}

/* mm_configuration_problem: the complaint of configuration_check as a text; NULL: none. */
Datum
mm_configuration_problem(PG_FUNCTION_ARGS)
{
	ErrorData *error;
	int64 items;

	if (mm_attempt(check_one, (intptr_t) PG_GETARG_JSONB_P(0), &items, &error))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(
		cstring_to_text(error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message));
}
