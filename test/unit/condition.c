/*
 * condition.c: the grammar, what each operator says of each kind of value, and the limits.
 */
#include "unit.h"

#include "core/condition.h"
#include "json_text.h"

static condition_node nodes[CONDITION_MAX_NODES];

/* holds: -1 when the condition is refused, else whether it holds; context NULL is none. */
static int
holds(const char *condition, const char *context)
{
	json_text a;
	json_text b = {0};
	json_value tree;
	json_value facts;
	condition_error error;
	size_t count;
	int result = -1;

	if (!json_text_read(&a, condition, strlen(condition), &tree) ||
		(context && !json_text_read(&b, context, strlen(context), &facts)))
		CHECK(false, "the test's own JSON: %s / %s", condition, context ? context : "");
	else if (condition_compile(&tree, nodes, &count, &error) == CONDITION_OK)
		result = condition_holds(nodes, context ? &facts : NULL);
	json_text_free(&a);
	json_text_free(&b);
	return result;
}

static void
expect(const char *condition, const char *context, int wanted)
{
	CHECK(holds(condition, context) == wanted, "%s on %s: not %d", condition, context ? context : "nothing", wanted);
}

/* refused: the path and the status of a condition against the grammar. */
static void
refused(const char *condition, condition_status wanted, const char *path)
{
	json_text j;
	json_value tree;
	condition_error error = {.path = ""};
	size_t count = 99;

	CHECK(json_text_read(&j, condition, strlen(condition), &tree), "the test's own JSON: %s", condition);
	CHECK(condition_compile(&tree, nodes, &count, &error) == wanted, "%s", condition);
	CHECK(strcmp(error.path, path) == 0, "%s: path %s, not %s", condition, error.path, path);
	CHECK(count == 0, "%s: %zu nodes", condition, count);
	json_text_free(&j);
}

static void
check_operators(void)
{
	static const char de[] = "{\"country\": \"DE\", \"age\": 18, \"path\": \"/beta/x\", \"pro\": true, \"ref\": null}";

	expect("{\"country\": \"DE\"}", de, 1);
	expect("{\"country\": \"FR\"}", de, 0);
	expect("{\"country\": {\"=\": \"DE\"}}", de, 1);
	expect("{\"country\": {\"!=\": \"DE\"}}", de, 0);
	expect("{\"country\": {\"!=\": \"FR\"}}", de, 1);
	expect("{\"country\": {\"in\": [\"FR\", \"DE\"]}}", de, 1);
	expect("{\"country\": {\"in\": [\"FR\", \"de\"]}}", de, 0);
	expect("{\"country\": {\">\": \"DA\", \"<\": \"DF\"}}", de, 1);
	expect("{\"age\": {\">=\": 18}}", de, 1);
	expect("{\"age\": {\">\": 18}}", de, 0);
	expect("{\"age\": {\"<=\": 18}}", de, 1);
	expect("{\"age\": {\"<\": 18}}", de, 0);
	expect("{\"age\": {\"in\": [17, 18.0]}}", de, 1);
	expect("{\"path\": {\"prefix\": \"/beta\"}}", de, 1);
	expect("{\"path\": {\"prefix\": \"/beta/x\"}}", de, 1);
	expect("{\"path\": {\"prefix\": \"/beta/x/\"}}", de, 0);
	expect("{\"path\": {\"prefix\": \"\"}}", de, 1);
	expect("{\"pro\": true}", de, 1);
	expect("{\"pro\": false}", de, 0);
	expect("{\"ref\": null}", de, 1);
	expect("{\"country\": \"DE\", \"age\": {\">=\": 18}}", de, 1);
	expect("{\"country\": \"DE\", \"age\": {\">=\": 19}}", de, 0);
}

/* check_kinds: no value is taken for one of another kind; a missing key is false for every operator. */
static void
check_kinds(void)
{
	static const char *const tests[] = {
		"\"x\"",      "{\"=\": 1}",  "{\"!=\": 1}",         "{\"<\": 1}",         "{\"<=\": 1}",
		"{\">\": 1}", "{\">=\": 1}", "{\"in\": [1, null]}", "{\"prefix\": \"\"}", "null"};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
	{
		char condition[100];

		snprintf(condition, sizeof(condition), "{\"k\": %s}", tests[i]);
		expect(condition, "{\"other\": 1}", 0);
		expect(condition, "{}", 0);
		expect(condition, NULL, 0);
		expect(condition, "{\"k\": [1]}", 0);
		expect(condition, "{\"k\": {\"a\": 1}}", 0);
		expect(condition, "[1]", 0);
	}
	expect("{\"k\": 18}", "{\"k\": \"18\"}", 0);
	expect("{\"k\": {\"!=\": 18}}", "{\"k\": \"18\"}", 1);
	expect("{\"k\": {\">=\": 18}}", "{\"k\": \"19\"}", 0);
	expect("{\"k\": {\">=\": \"18\"}}", "{\"k\": 19}", 0);
	expect("{\"k\": 1}", "{\"k\": true}", 0);
	expect("{\"k\": {\"prefix\": \"1\"}}", "{\"k\": 1}", 0);
	expect("{\"k\": {\"in\": [1, \"1\"]}}", "{\"k\": \"1\"}", 1);
	expect("{\"k\": {\"!=\": null}}", "{\"k\": 0}", 1);
	expect("{\"k\": {\"=\": \"\"}}", "{\"k\": \"\"}", 1);
}

static void
check_groups(void)
{
	expect("{\"any\": [{\"a\": 1}, {\"b\": 2}]}", "{\"b\": 2}", 1);
	expect("{\"any\": [{\"a\": 1}, {\"b\": 2}]}", "{\"b\": 3}", 0);
	expect("{\"all\": [{\"a\": 1}, {\"b\": 2}]}", "{\"a\": 1, \"b\": 2}", 1);
	expect("{\"all\": [{\"a\": 1}, {\"b\": 2}]}", "{\"a\": 1}", 0);
	expect("{\"not\": {\"a\": 1}}", "{\"a\": 2}", 1);
	expect("{\"not\": {\"a\": 1}}", "{\"a\": 1}", 0);
	expect("{\"not\": {\"a\": 1}}", NULL, 1);
	expect("{\"not\": {\"not\": {\"a\": 1}}}", "{\"a\": 1}", 1);
	expect("{\"c\": 3, \"any\": [{\"a\": 1}, {\"not\": {\"b\": 2}}], \"not\": {\"d\": 4}}", "{\"c\": 3, \"b\": 1}", 1);
	expect("{\"c\": 3, \"any\": [{\"a\": 1}, {\"not\": {\"b\": 2}}], \"not\": {\"d\": 4}}", "{\"c\": 3, \"b\": 2}", 0);
	expect("{\"c\": 3, \"any\": [{\"a\": 1}, {\"not\": {\"b\": 2}}], \"not\": {\"d\": 4}}",
		   "{\"c\": 3, \"b\": 1, \"d\": 4}", 0);
	/* Groups after a group: the second is reached, whatever the first is. */
	expect("{\"all\": [{\"any\": [{\"a\": 1}, {\"a\": 2}]}, {\"any\": [{\"b\": 1}, {\"b\": 2}]}]}",
		   "{\"a\": 2, \"b\": 2}", 1);
	expect("{\"all\": [{\"any\": [{\"a\": 1}, {\"a\": 2}]}, {\"any\": [{\"b\": 1}, {\"b\": 2}]}]}",
		   "{\"a\": 2, \"b\": 3}", 0);
}

/* check_decimals: pairs in ascending order, each compared both ways and with itself. */
static void
check_decimals(void)
{
	static const char *const ascending[] = {"-99999999999999999999",
											"-10",
											"-9.5",
											"-1.01",
											"-1.001",
											"-0.5",
											"0",
											"0.0000000000000000000001",
											"0.5",
											"0.50000000000000000000001",
											"1",
											"1.001",
											"1.01",
											"9",
											"9.5",
											"10",
											"9007199254740992",
											"9007199254740993",
											"9223372036854775807",
											"9223372036854775808",
											"100000000000000000000000000000000000000"};
	static const char *const equal[][2] = {{"1", "1.000"}, {"0", "-0"}, {"-0.0", "0"}, {"007", "7"}, {"0.10", "0.1"}};
	int n = sizeof(ascending) / sizeof(ascending[0]);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			int order = decimal_compare(ascending[i], strlen(ascending[i]), ascending[j], strlen(ascending[j]));

			CHECK((order > 0) - (order < 0) == (i > j) - (i < j), "%s, %s: %d", ascending[i], ascending[j], order);
		}
	for (size_t i = 0; i < sizeof(equal) / sizeof(equal[0]); i++)
		CHECK(decimal_compare(equal[i][0], strlen(equal[i][0]), equal[i][1], strlen(equal[i][1])) == 0, "%s, %s",
			  equal[i][0], equal[i][1]);
}

static void
check_grammar(void)
{
	refused("[]", CONDITION_BAD, "$");
	refused("1", CONDITION_BAD, "$");
	refused("{}", CONDITION_BAD, "$");
	refused("{\"age\": {}}", CONDITION_BAD, "$.age");
	refused("{\"age\": [1]}", CONDITION_BAD, "$.age");
	refused("{\"age\": {\">=\": true}}", CONDITION_BAD, "$.age.>=");
	refused("{\"age\": {\">=\": null}}", CONDITION_BAD, "$.age.>=");
	refused("{\"age\": {\"=\": [1]}}", CONDITION_BAD, "$.age.=");
	refused("{\"age\": {\"!=\": {\"a\": 1}}}", CONDITION_BAD, "$.age.!=");
	refused("{\"age\": {\"in\": []}}", CONDITION_BAD, "$.age.in");
	refused("{\"age\": {\"in\": 1}}", CONDITION_BAD, "$.age.in");
	refused("{\"age\": {\"in\": [1, [2]]}}", CONDITION_BAD, "$.age.in[1]");
	refused("{\"age\": {\"prefix\": 1}}", CONDITION_BAD, "$.age.prefix");
	refused("{\"age\": {\">=\": 1, \"like\": 2}}", CONDITION_BAD, "$.age.like");
	refused("{\"any\": {\"a\": 1}}", CONDITION_BAD, "$.any");
	refused("{\"any\": []}", CONDITION_BAD, "$.any");
	refused("{\"all\": [{\"a\": 1}, 2]}", CONDITION_BAD, "$.all[1]");
	refused("{\"all\": [{\"a\": 1}, {}]}", CONDITION_BAD, "$.all[1]");
	refused("{\"not\": [{\"a\": 1}]}", CONDITION_BAD, "$.not");
	refused("{\"a\": 1, \"not\": {\"any\": [{\"b\": {\"~\": 1}}]}}", CONDITION_BAD, "$.not.any[0].b.~");
}

static void
check_limits(void)
{
	char text[60000];
	char *p = text;
	json_text j;
	json_value tree;
	condition_error error;
	size_t count;

	for (int depth = 15; depth <= 17; depth++)
	{
		p = text;
		for (int i = 1; i < depth; i++)
			p += sprintf(p, "{\"not\": ");
		p += sprintf(p, "{\"a\": 1}");
		for (int i = 1; i < depth; i++)
			*p++ = '}';
		json_text_read(&j, text, (size_t) (p - text), &tree);
		CHECK(condition_compile(&tree, nodes, &count, &error) == (depth > 16 ? CONDITION_TOO_DEEP : CONDITION_OK),
			  "depth %d", depth);
		json_text_free(&j);
	}
	for (int tests = 998; tests <= 1001; tests++)
	{
		p = text + sprintf(text, "{\"k0\": 0");
		for (int i = 1; i < tests; i++)
			p += sprintf(p, ", \"k%d\": %d", i, i);
		*p++ = '}';
		json_text_read(&j, text, (size_t) (p - text), &tree);
		/* One node is the object's own. */
		CHECK(condition_compile(&tree, nodes, &count, &error) ==
				  (tests + 1 > CONDITION_MAX_NODES ? CONDITION_TOO_LARGE : CONDITION_OK),
			  "%d tests", tests);
		json_text_free(&j);
	}
	/* A path longer than its space is cut, not overrun, and not within a character. */
	p = text + sprintf(text, "{\"");
	for (int i = 0; i < 150; i++)
		p += sprintf(p, "\xc3\xa4");
	p += sprintf(p, "\": []}");
	json_text_read(&j, text, (size_t) (p - text), &tree);
	CHECK(condition_compile(&tree, nodes, &count, &error) == CONDITION_BAD, "long key");
	CHECK(strlen(error.path) < CONDITION_MAX_PATH && (strlen(error.path) - 2) % 2 == 0, "%zu bytes",
		  strlen(error.path));
	json_text_free(&j);
}

int
main(void)
{
	check_operators();
	check_kinds();
	check_groups();
	check_decimals();
	check_grammar();
	check_limits();
	return unit_done();
}
