/*
 * deployment.h: what the clockwork and the enforcement trigger ask of the rollouts. Between mm_enter and mm_leave.
 */
#ifndef MM_DEPLOYMENT_H
#define MM_DEPLOYMENT_H

#include "pg/mm.h"

/* deployment_judge: looks at a model's open or baking rollout now and rolls it back when a limit broke. The caller
 * holds mm_lock_model. Called by enforcement at commit of a recording: never steps forward. True when it rolled back.
 */
extern bool deployment_judge(int64 model_id);
/* deployment_advance: what is due for one rollout: judge, then step, bake end, start. Called by tick(). */
extern bool deployment_advance(int64 deployment_id);

#endif
