/*
 * alert_store.h: what the files alert*.c and threshold*.c share: alerts in their tables. Between mm_enter and mm_leave,
 * under mm_lock_model.
 */
#ifndef MM_ALERT_STORE_H
#define MM_ALERT_STORE_H

#include "pg/alert.h"

/* alert_emit: writes the event alert.firing, once; not while the alert is silenced. True when it wrote one. */
extern bool alert_emit(int64 alert_id);
/*
 * alert_close: the alert is over: a firing one becomes resolved, with `how` (a jsonb object) in its evidence, and its
 * event when the one before was written; a pending one never was. What only stood for it (a rollback that led nowhere)
 * is over too.
 */
extern void alert_close(int64 alert_id, const Jsonb *how);
/* alert_close_all: every open alert of the rows that a query gives ids of: closes those in the last result. */
extern int64 alert_close_all(uint64 rows, const Jsonb *how);
/* alert_forget_model: the model is being deleted: its thresholds and silences go, open alerts are resolved. */
extern void alert_forget_model(int64 model_id);

#endif
