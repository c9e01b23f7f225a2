/*
 * event.h: the outbox. Whatever happens to a model by itself or by a person's hand is one row of model_mgr.event,
 * written in the transaction that does it. Between mm_enter and mm_leave.
 */
#ifndef MM_EVENT_H
#define MM_EVENT_H

#include "pg/mm.h"

/*
 * event_append: writes one event and returns its id. type: "<thing>.<past participle>" as in docs/events.md, without
 * the prefix of the settings. model_name, version may be NULL, deployment_id 0, data NULL. Never sends a NOTIFY.
 */
extern int64 event_append(const char *type, const char *model_name, const char *version, int64 deployment_id,
						  const Jsonb *data);
/* event_notify: NOTIFY model_mgr when events have been committed since the last one. Called by the tick only. Returns
 * how many. */
extern int64 event_notify(void);
/* callback_deliver: runs one callback for one event, in the present transaction; what work() does for each item. */
extern void callback_deliver(int64 callback_id, int64 event_id);

#endif
