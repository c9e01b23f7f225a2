/*
 * enforcement.h: when recordings make a rollout be looked at (enforcement_due.c), and looking at it (enforcement.c).
 */
#ifndef MM_ENFORCEMENT_H
#define MM_ENFORCEMENT_H

#include "pg/mm.h"

#define ENFORCEMENT_TRIGGER "observation_enforcement"

/* enforcement_due: whether this row should queue an evaluation; cheap, needs no rights, changes nothing that a second
 * call would see. */
extern bool enforcement_due(Datum version_id, bool no_version, TimestampTz recorded_at);
/* enforcement_unseen: whether rows of the model were written in this transaction since the last enforcement_seen. */
extern bool enforcement_unseen(int64 model_id);
extern void enforcement_seen(int64 model_id);
/* enforcement_rows_here: rows of the model that the present transaction wrote; meant for its end. */
extern uint64 enforcement_rows_here(int64 model_id);
/* enforcement_rows: rows of watched models that this session ever wrote; the same while evaluations follow one another.
 */
extern uint64 enforcement_rows(void);
/* enforcement_retry_soon: the evaluation did not come about; the next row may ask again in a tenth of a second. */
extern void enforcement_retry_soon(int64 model_id);

#endif
