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
/* event_notify: NOTIFY model_mgr when events can be read that could not at the last one, or this transaction writes
 * some. Called by the tick only, after everything that writes events. in_block: the caller has a transaction block
 * open, which might yet be prepared. Returns how many there are. */
extern int64 event_notify(bool in_block);
/* event_prune: deletes events older than `limit` and what is noted of their deliveries. Returns events deleted. */
extern int64 event_prune(TimestampTz limit);

/*
 * Callbacks (callback.c). What work() does for each row of the view callback_due, in two transactions:
 *
 *   callback_begin    marks the attempt, so that code that takes the session down leaves a trace; false: nothing to do
 *                     any more, or somebody else is at it. Commit, then
 *   callback_deliver  runs the callback for the event and notes how it went. Never raises for what user code does.
 *                     When its transaction comes to nothing all the same (a cancel request),
 *   callback_interrupted  says so in a third one: the session goes on, so that its mark must go.
 *
 * A mark that a session left which is gone disables the callback at the next callback_begin.
 */
extern bool callback_begin(int64 callback_id, int64 event_id);
extern void callback_deliver(int64 callback_id, int64 event_id);
extern void callback_interrupted(int64 callback_id, int64 event_id, const char *reason);
/* callback_enqueue: one row of callback_delivery for each callback that wants events of this kind ("alert",
 * "rollback"), in the event's own transaction. */
extern void callback_enqueue(const char *kind, int64 event_id);

#endif
