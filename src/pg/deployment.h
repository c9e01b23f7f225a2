/*
 * deployment.h: what the clockwork and the enforcement trigger ask of the rollouts. Between mm_enter and mm_leave.
 */
#ifndef MM_DEPLOYMENT_H
#define MM_DEPLOYMENT_H

#include "pg/mm.h"

/* deployment_strategy: the word as it is stored, or its default from the settings for NULL; 22023 unknown. */
extern const char *deployment_strategy(const char *word);
/* deployment_judge: looks at a model's open or baking rollout now and rolls it back when a limit broke. The caller
 * holds mm_lock_model. Called by enforcement at commit of a recording: never steps forward. True when it rolled back.
 */
extern bool deployment_judge(int64 model_id);
/* deployment_advance: what is due for one rollout: judge, then step, bake end, start. */
extern bool deployment_advance(int64 deployment_id);
/* deployment_advance_all: the same for every open or baking one, looked at together, the one not judged for longest
 * first; starts no change after `deadline`. Returns those that changed, adds to *failed. Called by tick(). */
extern int64 deployment_advance_all(TimestampTz deadline, int64 *failed);
/*
 * deployment_take_back: takes a version that serves back, as a person would by rollback_model() without a target: it is
 * the candidate of the open or baking rollout, or what the last deployment brought. NULL when traffic moved, and
 * *deployment_id is what was taken back; else why it did not: the baseline of an open rollout stays, and so does a
 * version with nothing to return to.
 */
extern char *deployment_take_back(int64 model_id, int64 version_id, const char *reason, const Jsonb *evidence,
								  int64 *deployment_id);

#endif
