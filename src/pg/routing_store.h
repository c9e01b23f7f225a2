/*
 * routing_store.h: writing pins and segments, for routing_rule.c. Between mm_enter and mm_leave, under mm_lock_model.
 */
#ifndef MM_ROUTING_STORE_H
#define MM_ROUTING_STORE_H

#include "pg/routing_internal.h"

/* routing_store_pin: pins a unit hash to a version, or unpins it with version_id 0; returns the new revision, 0 when it
 * was so already. 54000 above ROUTING_MAX_PINS. */
extern int64 routing_store_pin(int64 model_id, const char *model_name, int64 unit_hash, int64 version_id,
							   const char *version);
/* routing_store_segment: sets a segment, or drops it with condition NULL; returns the new revision, 0 when it was so
 * already. 54000 above ROUTING_MAX_SEGMENTS. */
extern int64 routing_store_segment(int64 model_id, const char *model_name, const char *segment, const Jsonb *condition,
								   int64 version_id, const char *version);

#endif
