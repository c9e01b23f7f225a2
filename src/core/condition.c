/*
 * condition.c: compiling and evaluating conditions. Depth and size are bounded when compiling, so evaluation needs no
 * checks and its recursion is shallow.
 */
#include "core/condition.h"

#include <string.h>

/* ---- compiling ---- */

typedef struct compiler
{
	condition_node *nodes;
	size_t count;
	size_t depth;
	char path[CONDITION_MAX_PATH];
	size_t path_length;
	condition_error *error;
} compiler;

static const char *const operator_names[] = {"=", "!=", "<", "<=", ">", ">=", "in", "prefix"};

/* is_word: whether a key is this word. */
static bool
is_word(const char *key, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(key, word, length) == 0;
}

/* path_append: what does not fit is left out; the end of the path is marked then. */
static void
path_append(compiler *c, const char *text, size_t length)
{
	size_t space = sizeof(c->path) - 1 - c->path_length;

	if (length > space)
	{
		length = space;
		/* Never half a character of a multibyte encoding: step back over UTF-8 continuation bytes. */
		while (length > 0 && ((unsigned char) text[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(c->path + c->path_length, text, length);
	c->path_length += length;
	c->path[c->path_length] = '\0';
}

static void
path_append_key(compiler *c, const json_value *member)
{
	path_append(c, ".", 1);
	path_append(c, member->key, member->key_length);
}

static void
path_append_index(compiler *c, size_t index)
{
	char text[24];
	size_t n = sizeof(text);

	text[--n] = ']';
	do
		text[--n] = (char) ('0' + index % 10);
	while ((index /= 10) > 0);
	text[--n] = '[';
	path_append(c, text + n, sizeof(text) - n);
}

static condition_status
fail(compiler *c, condition_status status, const char *problem)
{
	memcpy(c->error->path, c->path, sizeof(c->path));
	c->error->problem = problem;
	return status;
}

/* add_node: NULL when there are too many. */
static condition_node *
add_node(compiler *c, condition_kind kind)
{
	condition_node *node;

	if (c->count >= CONDITION_MAX_NODES)
		return NULL;
	node = &c->nodes[c->count++];
	memset(node, 0, sizeof(*node));
	node->kind = kind;
	return node;
}

#define TOO_LARGE(c) fail((c), CONDITION_TOO_LARGE, "is one test too many")

static bool
is_scalar(const json_value *value)
{
	return value->kind != JSON_KIND_LIST && value->kind != JSON_KIND_OBJECT;
}

/* check_operand: whether an operator takes this operand. */
static condition_status
check_operand(compiler *c, condition_operator operator_, const json_value *operand)
{
	switch (operator_)
	{
		case OPERATOR_EQUAL:
		case OPERATOR_NOT_EQUAL:
			if (!is_scalar(operand))
				return fail(c, CONDITION_BAD, "takes a string, a number, true, false or null");
			break;
		case OPERATOR_LESS:
		case OPERATOR_LESS_EQUAL:
		case OPERATOR_GREATER:
		case OPERATOR_GREATER_EQUAL:
			if (operand->kind != JSON_KIND_NUMBER && operand->kind != JSON_KIND_STRING)
				return fail(c, CONDITION_BAD, "takes a number or a string");
			break;
		case OPERATOR_IN:
			if (operand->kind != JSON_KIND_LIST || operand->count == 0)
				return fail(c, CONDITION_BAD, "takes a list of at least one value");
			for (size_t i = 0; i < operand->count; i++)
				if (!is_scalar(&operand->items[i]))
				{
					path_append_index(c, i);
					return fail(c, CONDITION_BAD, "must be a string, a number, true, false or null");
				}
			break;
		case OPERATOR_PREFIX:
			if (operand->kind != JSON_KIND_STRING)
				return fail(c, CONDITION_BAD, "takes a string");
			break;
	}
	return CONDITION_OK;
}

/* compile_test: the tests of one key, each a node. */
static condition_status
compile_test(compiler *c, const json_value *member)
{
	size_t path = c->path_length;
	condition_node *node;

	if (is_scalar(member))
	{
		node = add_node(c, CONDITION_TEST);
		if (!node)
			return TOO_LARGE(c);
		node->operator_ = OPERATOR_EQUAL;
		node->key = member->key;
		node->key_length = member->key_length;
		node->operand = member;
		node->span = 1;
		return CONDITION_OK;
	}
	if (member->kind == JSON_KIND_LIST)
		return fail(c, CONDITION_BAD, "is a list; write {\"in\": [...]}");
	if (member->count == 0)
		return fail(c, CONDITION_BAD, "has no operator");
	for (size_t i = 0; i < member->count; i++)
	{
		const json_value *operand = &member->items[i];
		size_t which = 0;
		condition_status status;

		path_append_key(c, operand);
		while (which < sizeof(operator_names) / sizeof(operator_names[0]) &&
			   !is_word(operand->key, operand->key_length, operator_names[which]))
			which++;
		if (which == sizeof(operator_names) / sizeof(operator_names[0]))
			return fail(c, CONDITION_BAD, "is no operator; known are =, !=, <, <=, >, >=, in and prefix");
		status = check_operand(c, (condition_operator) which, operand);
		if (status != CONDITION_OK)
			return status;
		node = add_node(c, CONDITION_TEST);
		if (!node)
			return TOO_LARGE(c);
		node->operator_ = (condition_operator) which;
		node->key = member->key;
		node->key_length = member->key_length;
		node->operand = operand;
		node->span = 1;
		c->path_length = path;
		c->path[path] = '\0';
	}
	return CONDITION_OK;
}

static condition_status compile_object(compiler *c, const json_value *from);

/* compile_group: the list of any or all. */
static condition_status
compile_group(compiler *c, condition_kind kind, const json_value *list)
{
	size_t path = c->path_length;
	size_t at = c->count;
	condition_node *node = add_node(c, kind);

	if (!node)
		return TOO_LARGE(c);
	if (list->kind != JSON_KIND_LIST || list->count == 0)
		return fail(c, CONDITION_BAD, "takes a list of at least one condition");
	for (size_t i = 0; i < list->count; i++)
	{
		condition_status status;

		path_append_index(c, i);
		status = compile_object(c, &list->items[i]);
		if (status != CONDITION_OK)
			return status;
		c->path_length = path;
		c->path[path] = '\0';
	}
	c->nodes[at].span = (uint32_t) (c->count - at);
	return CONDITION_OK;
}

/* compile_object: a condition becomes CONDITION_ALL over its members. */
static condition_status
compile_object(compiler *c, const json_value *from)
{
	size_t path = c->path_length;
	size_t at = c->count;
	condition_status status = CONDITION_OK;

	if (from->kind != JSON_KIND_OBJECT)
		return fail(c, CONDITION_BAD, "must be an object");
	if (from->count == 0)
		return fail(c, CONDITION_BAD, "is empty; a condition has at least one member");
	if (c->depth >= CONDITION_MAX_DEPTH)
		return fail(c, CONDITION_TOO_DEEP, "is nested too deeply");
	if (!add_node(c, CONDITION_ALL))
		return TOO_LARGE(c);
	c->depth++;
	for (size_t i = 0; i < from->count && status == CONDITION_OK; i++)
	{
		const json_value *member = &from->items[i];

		path_append_key(c, member);
		if (is_word(member->key, member->key_length, "any"))
			status = compile_group(c, CONDITION_ANY, member);
		else if (is_word(member->key, member->key_length, "all"))
			status = compile_group(c, CONDITION_ALL, member);
		else if (is_word(member->key, member->key_length, "not"))
		{
			size_t not_at = c->count;

			if (!add_node(c, CONDITION_NOT))
				return TOO_LARGE(c);
			status = compile_object(c, member);
			c->nodes[not_at].span = (uint32_t) (c->count - not_at);
		}
		else
			status = compile_test(c, member);
		if (status != CONDITION_OK)
			return status;
		c->path_length = path;
		c->path[path] = '\0';
	}
	c->depth--;
	c->nodes[at].span = (uint32_t) (c->count - at);
	return status;
}

condition_status
condition_compile(const json_value *from, condition_node *nodes, size_t *count, condition_error *error)
{
	compiler c = {.nodes = nodes, .path = "$", .path_length = 1, .error = error};
	condition_status status = compile_object(&c, from);

	*count = status == CONDITION_OK ? c.count : 0;
	return status;
}

/* ---- evaluating ---- */

static int
bytes_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t common = a_length < b_length ? a_length : b_length;
	int order = common > 0 ? memcmp(a, b, common) : 0;

	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* A number without sign, leading zeros of the whole part and trailing zeros of the fraction. */
typedef struct decimal
{
	bool negative;
	const char *whole;
	size_t whole_length;
	const char *fraction;
	size_t fraction_length;
} decimal;

static decimal
decimal_read(const char *text, size_t length)
{
	decimal d = {0};
	const char *end = text + length;
	const char *point;

	if (text < end && *text == '-')
	{
		d.negative = true;
		text++;
	}
	while (text < end && *text == '0')
		text++;
	point = text < end ? memchr(text, '.', (size_t) (end - text)) : NULL;
	d.whole = text;
	d.whole_length = (size_t) ((point ? point : end) - text);
	d.fraction = point ? point + 1 : end;
	while (end > d.fraction && end[-1] == '0')
		end--;
	d.fraction_length = (size_t) (end - d.fraction);
	if (d.whole_length == 0 && d.fraction_length == 0)
		d.negative = false; /* minus zero is zero */
	return d;
}

int
decimal_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
	decimal x = decimal_read(a, a_length);
	decimal y = decimal_read(b, b_length);
	int order;

	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	if (x.whole_length != y.whole_length)
		order = x.whole_length > y.whole_length ? 1 : -1;
	else
		order = bytes_compare(x.whole, x.whole_length, y.whole, y.whole_length);
	if (order == 0)
		order = bytes_compare(x.fraction, x.fraction_length, y.fraction, y.fraction_length);
	return x.negative ? -order : order;
}

/* compare: false when the two are not of one ordered type; else their order. */
static bool
compare(const json_value *a, const json_value *b, int *order)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == JSON_KIND_NUMBER)
		*order = decimal_compare(a->text, a->length, b->text, b->length);
	else if (a->kind == JSON_KIND_STRING)
		*order = bytes_compare(a->text, a->length, b->text, b->length);
	else
		return false;
	return true;
}

static bool
equal(const json_value *a, const json_value *b)
{
	int order;

	if (a->kind != b->kind)
		return false;
	if (a->kind == JSON_KIND_NULL)
		return true;
	if (a->kind == JSON_KIND_BOOLEAN)
		return a->boolean == b->boolean;
	return compare(a, b, &order) && order == 0;
}

static const json_value *
find_member(const json_value *object, const char *key, size_t length)
{
	if (object == NULL || object->kind != JSON_KIND_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->count; i++)
		if (object->items[i].key_length == length && memcmp(object->items[i].key, key, length) == 0)
			return &object->items[i];
	return NULL;
}

static bool
test_holds(const condition_node *node, const json_value *context)
{
	const json_value *value = find_member(context, node->key, node->key_length);
	const json_value *operand = node->operand;
	int order;

	if (value == NULL || !is_scalar(value))
		return false;
	switch (node->operator_)
	{
		case OPERATOR_EQUAL:
			return equal(value, operand);
		case OPERATOR_NOT_EQUAL:
			return !equal(value, operand);
		case OPERATOR_LESS:
			return compare(value, operand, &order) && order < 0;
		case OPERATOR_LESS_EQUAL:
			return compare(value, operand, &order) && order <= 0;
		case OPERATOR_GREATER:
			return compare(value, operand, &order) && order > 0;
		case OPERATOR_GREATER_EQUAL:
			return compare(value, operand, &order) && order >= 0;
		case OPERATOR_IN:
			for (size_t i = 0; i < operand->count; i++)
				if (equal(value, &operand->items[i]))
					return true;
			return false;
		case OPERATOR_PREFIX:
			return value->kind == JSON_KIND_STRING && value->length >= operand->length &&
				   memcmp(value->text, operand->text, operand->length) == 0;
	}
	return false;
}

bool
condition_holds(const condition_node *condition, const json_value *context)
{
	const condition_node *end = condition + condition->span;

	switch (condition->kind)
	{
		case CONDITION_TEST:
			return test_holds(condition, context);
		case CONDITION_NOT:
			return !condition_holds(condition + 1, context);
		case CONDITION_ALL:
			for (const condition_node *child = condition + 1; child < end; child += child->span)
				if (!condition_holds(child, context))
					return false;
			return true;
		case CONDITION_ANY:
			for (const condition_node *child = condition + 1; child < end; child += child->span)
				if (condition_holds(child, context))
					return true;
			return false;
	}
	return false;
}
