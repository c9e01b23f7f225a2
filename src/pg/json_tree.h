/* json_tree.h: jsonb as the tree of values that src/core reads (core/condition.h). */
#ifndef MM_JSON_TREE_H
#define MM_JSON_TREE_H

#include "pg/mm.h"

#include "core/condition.h"

/* json_tree: made in the current memory context; strings point into `from`, which must live as long. */
extern const json_value *json_tree(const Jsonb *from);
/* json_member: a member of an object, or NULL. */
extern const json_value *json_member(const json_value *object, const char *key);

#endif
