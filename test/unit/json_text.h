/*
 * json_text.h: JSON text as the tree that core/condition.h reads, for unit tests and fuzzing; the server's own jsonb
 * does this in the extension. Escapes are kept as they stand. Nothing is freed before json_text_free.
 */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/condition.h"

typedef struct json_text
{
	const char *p;
	const char *end;
	int depth;
	void **held;
	size_t held_count;
} json_text;

static inline void *
json_text_hold(json_text *j, void *memory)
{
	j->held = realloc(j->held, sizeof(void *) * (j->held_count + 1));
	j->held[j->held_count++] = memory;
	return memory;
}

static inline void
json_text_free(json_text *j)
{
	for (size_t i = 0; i < j->held_count; i++)
		free(j->held[i]);
	free(j->held);
	j->held = NULL;
	j->held_count = 0;
}

static inline void
json_text_space(json_text *j)
{
	while (j->p < j->end && strchr(" \t\r\n", *j->p) && *j->p)
		j->p++;
}

static inline bool
json_text_is(json_text *j, char c)
{
	json_text_space(j);
	if (j->p == j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

static inline bool
json_text_string(json_text *j, const char **text, size_t *length)
{
	if (!json_text_is(j, '"'))
		return false;
	*text = j->p;
	while (j->p < j->end && *j->p != '"')
		j->p++;
	*length = (size_t) (j->p - *text);
	return j->p < j->end && *j->p++ == '"';
}

static inline bool
json_text_word(json_text *j, const char *word)
{
	size_t length = strlen(word);

	if ((size_t) (j->end - j->p) < length || memcmp(j->p, word, length) != 0)
		return false;
	j->p += length;
	return true;
}

static inline bool json_text_value(json_text *j, json_value *to);

/* json_text_items: the inside of a list or object, up to its closing sign. */
static inline bool
json_text_items(json_text *j, json_value *to, bool object)
{
	json_value *items = NULL;
	size_t count = 0;
	bool ok = true;

	to->text = "";
	if (!json_text_is(j, object ? '}' : ']'))
		do
		{
			json_value item = {0};

			if (object)
				ok = (json_text_space(j), json_text_string(j, &item.key, &item.key_length)) && json_text_is(j, ':');
			ok = ok && json_text_value(j, &item);
			if (ok)
			{
				items = realloc(items, sizeof(json_value) * (count + 1));
				items[count++] = item;
			}
		} while (ok && json_text_is(j, ','));
	if (items)
		json_text_hold(j, items);
	to->items = items;
	to->count = count;
	return ok && (count == 0 || json_text_is(j, object ? '}' : ']'));
}

static inline bool
json_text_value(json_text *j, json_value *to)
{
	bool ok = false;

	json_text_space(j);
	to->text = "";
	if (j->p == j->end || ++j->depth > 100)
		return false;
	if (*j->p == '"')
	{
		to->kind = JSON_KIND_STRING;
		ok = json_text_string(j, &to->text, &to->length);
	}
	else if (*j->p == '{' || *j->p == '[')
	{
		to->kind = *j->p == '{' ? JSON_KIND_OBJECT : JSON_KIND_LIST;
		j->p++;
		ok = json_text_items(j, to, to->kind == JSON_KIND_OBJECT);
	}
	else if (json_text_word(j, "true") || json_text_word(j, "false"))
	{
		to->kind = JSON_KIND_BOOLEAN;
		to->boolean = j->p[-2] == 'u';
		ok = true;
	}
	else if (json_text_word(j, "null"))
	{
		to->kind = JSON_KIND_NULL;
		ok = true;
	}
	else
	{
		to->kind = JSON_KIND_NUMBER;
		to->text = j->p;
		if (*j->p == '-')
			j->p++;
		while (j->p < j->end && ((*j->p >= '0' && *j->p <= '9') || *j->p == '.'))
			j->p++;
		to->length = (size_t) (j->p - to->text);
		ok = to->length > 0 && j->p[-1] >= '0' && j->p[-1] <= '9';
	}
	j->depth--;
	return ok;
}

/* json_text_read: the whole text as one value. */
static inline bool
json_text_read(json_text *j, const char *text, size_t length, json_value *to)
{
	memset(j, 0, sizeof(*j));
	memset(to, 0, sizeof(*to));
	j->p = text;
	j->end = text + length;
	if (!json_text_value(j, to))
		return false;
	json_text_space(j);
	return j->p == j->end;
}

#endif
