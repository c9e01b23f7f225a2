/*
 * fuzz_condition.c: libFuzzer target: a condition, a zero byte, a context, both as JSON text. Whatever compiles keeps
 * its bounds and evaluates; its negation says the opposite.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/condition.h"
#include "../unit/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* check_spans: every subtree ends within its parent. */
static void
check_spans(const condition_node *node, const condition_node *end)
{
	const condition_node *stop = node + node->span;

	if (node->span < 1 || stop > end)
		abort();
	for (const condition_node *child = node + 1; child < stop; child += child->span)
		check_spans(child, stop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t length = zero ? (size_t) (zero - data) : size;
	char *condition = malloc(length + 1);
	char *context = malloc(size - length + 1);
	condition_node *nodes = malloc(sizeof(condition_node) * CONDITION_MAX_NODES);
	condition_node *negated = malloc(sizeof(condition_node) * CONDITION_MAX_NODES);
	json_text a = {0};
	json_text b = {0};
	json_value tree;
	json_value facts;
	condition_error error;
	size_t count;
	size_t negated_count;

	memcpy(condition, data, length);
	if (zero)
		memcpy(context, zero + 1, size - length - 1);
	if (json_text_read(&a, condition, length, &tree))
	{
		bool known = zero && json_text_read(&b, context, size - length - 1, &facts);
		json_value member = tree;
		json_value outer = {.kind = JSON_KIND_OBJECT, .text = "", .items = &member, .count = 1};

		member.key = "not";
		member.key_length = 3;
		if (condition_compile(&tree, nodes, &count, &error) == CONDITION_OK)
		{
			if (count < 2 || count > CONDITION_MAX_NODES || nodes[0].span != count)
				abort();
			check_spans(nodes, nodes + count);
			if (condition_compile(&outer, negated, &negated_count, &error) == CONDITION_OK &&
				condition_holds(nodes, known ? &facts : NULL) == condition_holds(negated, known ? &facts : NULL))
				abort();
		}
		else if (strlen(error.path) >= CONDITION_MAX_PATH || error.path[0] != '$' || error.problem == NULL)
			abort();
	}
	json_text_free(&a);
	json_text_free(&b);
	free(condition);
	free(context);
	free(nodes);
	free(negated);
	return 0;
}
