/*
 * routing_test.c: routing.test as the cache and the history read it: which test a model's requests are credited to, and
 * the arms of one that carries the traffic itself.
 */
#include "pg/mm.h"

#include "pg/json_tree.h"
#include "pg/routing_internal.h"

/* integer: a member that routing_store.c wrote; 0 when it is not there. */
static int64
integer(const json_value *object, const char *key)
{
	const json_value *value = json_member(object, key);

	return value && value->kind == JSON_KIND_NUMBER ? pg_strtoint64(pnstrdup(value->text, value->length)) : 0;
}

/* string: the same; empty when it is not there. */
static char *
string(const json_value *object, const char *key, size_t *length)
{
	const json_value *value = json_member(object, key);
	bool is = value && value->kind == JSON_KIND_STRING;

	*length = is ? value->length : 0;
	return is ? pnstrdup(value->text, value->length) : pstrdup("");
}

const routing_test *
routing_read_test(route_rules *rules, const Jsonb *stored)
{
	const json_value *tree = json_tree(stored);
	const json_value *list = json_member(tree, "arms");
	routing_test *test = palloc0(sizeof(routing_test));
	size_t length;
	char *id = string(tree, "test_id", &length);
	route_test *drawn;
	route_target *targets;
	int32 *weight;
	uint32 *limit;
	int n = list && list->kind == JSON_KIND_LIST ? (int) list->count : 0;

	test->test_no = integer(tree, "test_no");
	test->test_id = id;
	if (n == 0)
		return test;
	drawn = palloc0(sizeof(route_test));
	targets = palloc0(n * sizeof(route_target));
	weight = palloc(n * sizeof(int32));
	limit = palloc(n * sizeof(uint32));
	test->arm_count = n;
	test->variant = palloc(n * sizeof(char *));
	bucket_prepare(&drawn->draw.key, id, length);
	drawn->draw.grouped = json_member(tree, "group") != NULL;
	if (drawn->draw.grouped)
	{
		char *group = string(tree, "group", &length);

		bucket_prepare(&drawn->draw.group, group, length);
		drawn->draw.slot_from = (uint32) integer(tree, "slot_from");
		drawn->draw.slots = (uint32) integer(tree, "slots");
	}
	for (int i = 0; i < n; i++)
	{
		const json_value *arm = &list->items[i];

		test->variant[i] = string(arm, "variant", &length);
		targets[i].version = string(arm, "version", &targets[i].length);
		targets[i].version_id = integer(arm, "version_id");
		weight[i] = (int32) integer(arm, "weight");
	}
	arms_limits(weight, n, limit);
	drawn->draw.count = n;
	drawn->draw.limit = limit;
	drawn->targets = targets;
	rules->test = drawn;
	return test;
}
