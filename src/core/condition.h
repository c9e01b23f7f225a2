/*
 * condition.h: conditions of segments on a request's context. A condition is a JSON object:
 *
 *   condition = { member, ... }              at least one member; all must hold
 *   member    = "any": [ condition, ... ]    at least one; one must hold
 *             | "all": [ condition, ... ]    at least one; all must hold
 *             | "not": condition
 *             | key: test                    key: of the context, not a reserved word (any, all, not)
 *   test      = scalar                       the same as {"=": scalar}
 *             | { operator: operand, ... }   at least one; all must hold
 *   operator  = "=" | "!="                   operand: string, number, true, false or null
 *             | "<" | "<=" | ">" | ">="      operand: string or number
 *             | "in"                         operand: list of at least one scalar
 *             | "prefix"                     operand: string
 *
 * Values are compared within their type: numbers exactly, as decimals of any length; strings byte by byte. Across types
 * only "!=" holds (18 is not "18"), and nothing else. A key that the context does not have, or that holds a list or an
 * object there, makes every test of it false, "!=" too. No context is an empty one.
 */
#ifndef MM_CONDITION_H
#define MM_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONDITION_MAX_DEPTH 16   /* conditions within conditions */
#define CONDITION_MAX_NODES 1000 /* tests and groups of one condition */
#define CONDITION_MAX_PATH 200

typedef enum json_kind
{
	JSON_KIND_NULL,
	JSON_KIND_BOOLEAN,
	JSON_KIND_NUMBER,
	JSON_KIND_STRING,
	JSON_KIND_LIST,
	JSON_KIND_OBJECT
} json_kind;

/* A JSON value as its reader built it. Members of an object are its items, each with its key. */
typedef struct json_value
{
	json_kind kind;
	bool boolean;
	const char *key; /* NULL: no member of an object */
	size_t key_length;
	const char *text; /* string; number: -?digits(.digits)? */
	size_t length;
	const struct json_value *items; /* list, object */
	size_t count;
} json_value;

typedef enum condition_kind
{
	CONDITION_ALL,
	CONDITION_ANY,
	CONDITION_NOT,
	CONDITION_TEST
} condition_kind;

typedef enum condition_operator
{
	OPERATOR_EQUAL,
	OPERATOR_NOT_EQUAL,
	OPERATOR_LESS,
	OPERATOR_LESS_EQUAL,
	OPERATOR_GREATER,
	OPERATOR_GREATER_EQUAL,
	OPERATOR_IN,
	OPERATOR_PREFIX
} condition_operator;

/* A compiled condition is an array of nodes in prefix order. It refers to the JSON value it was made from. */
typedef struct condition_node
{
	condition_kind kind;
	condition_operator operator_; /* CONDITION_TEST */
	uint32_t span;                /* nodes of this subtree, itself included */
	const char *key;              /* CONDITION_TEST */
	size_t key_length;
	const json_value *operand; /* CONDITION_TEST */
} condition_node;

typedef enum condition_status
{
	CONDITION_OK,
	CONDITION_BAD,      /* against the grammar */
	CONDITION_TOO_DEEP, /* more than CONDITION_MAX_DEPTH */
	CONDITION_TOO_LARGE /* more than CONDITION_MAX_NODES */
} condition_status;

typedef struct condition_error
{
	char path[CONDITION_MAX_PATH]; /* as in $.age.>= ; cut at the front when too long */
	const char *problem;           /* a sentence's end: "takes a list" */
} condition_error;

/* condition_compile: writes at most CONDITION_MAX_NODES nodes and their number; on failure *error is filled in. */
extern condition_status condition_compile(const json_value *from, condition_node *nodes, size_t *count,
										  condition_error *error);
/* condition_holds: context NULL is an empty object; one that is no object has no keys. */
extern bool condition_holds(const condition_node *condition, const json_value *context);
/* decimal_compare: exact order of two numbers written as -?digits(.digits)? : negative, 0 or positive. */
extern int decimal_compare(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
