/*
 * registry_trust.h: who may act on which model, and what a version needs before it serves. Between mm_enter and
 * mm_leave, under the model's lock where it says so.
 */
#ifndef MM_REGISTRY_TRUST_H
#define MM_REGISTRY_TRUST_H

#include "pg/registry.h"

/* registry_acting: who acts now, whatever the arguments say: the login, or the role as which code runs by itself, or
 * whom registry_act_as() names. */
extern const char *registry_acting(void);
/* registry_act_as: from here on this one acts; NULL: as without. Returns who did before, to be put back, also on an
 * error. For the tick, which deploys what others asked for. */
extern const char *registry_act_as(const char *user);
/* registry_approval_created: notes who made a version (a login), whatever created_by says. */
extern void registry_approval_created(int64 version_id, const char *login);
/* registry_approval_check: 55000 while the version has fewer approvals that count than its model asks for: those of
 * distinct logins, members of from_role now, neither the creator nor whoever deploys it: whom the call names, and who
 * asked for it (registry_acting() of then). Under the model's lock. */
extern void registry_approval_check(const registry_version *version, const char *deployed_by, const char *asked_by);
/* registry_approval_check_return: the same of a version that a rollback names, unless it was deployed before: the way
 * back is never barred, and is no way round. */
extern void registry_approval_check_return(const registry_version *version);

#endif
