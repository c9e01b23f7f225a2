/* json_tree.h: jsonb as the tree of values that src/core reads (core/condition.h), and how long its text is. */
#ifndef MM_JSON_TREE_H
#define MM_JSON_TREE_H

#include "pg/mm.h"

#include "core/condition.h"

/* json_tree: made in the current memory context; strings point into `from`, which must live as long. */
extern const json_value *json_tree(const Jsonb *from);
/* json_member: a member of an object, or NULL. */
extern const json_value *json_member(const json_value *object, const char *key);

/* json_text_exceeds: whether the text of a value may have more bytes than that; a few more than it has are counted.
 * Small values can have long texts: 1e100000 is stored in a few bytes, and a control character becomes six. */
extern bool json_text_exceeds(const Jsonb *value, int64 bytes);

#endif
