/*
 * routing_store.h: what the writers of rules (pins and segments) share with routing_store.c.
 */
#ifndef MM_ROUTING_STORE_H
#define MM_ROUTING_STORE_H

#include "pg/routing_internal.h"

/* routing_changed: call with the row count of a statement on routing that ended in RETURNING revision. */
extern int64 routing_changed(int64 model_id, uint64 rows);

#endif
