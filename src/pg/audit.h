/*
 * audit.h: every change of state appends one row to audit_log in its own transaction. Called between mm_enter and
 * mm_leave.
 */
#ifndef MM_AUDIT_H
#define MM_AUDIT_H

#include "pg/mm.h"

/* audit_append: operation in the words of the public function ('deploy', 'rollback', ...); model_name, version and
 * details may be NULL. Who, from where and when are filled in here, in real time. */
extern void audit_append(const char *operation, const char *model_name, const char *version, const Jsonb *details);
/* audit_append_as: the same in the name of a user of an application; returns the entry's id. */
extern int64 audit_append_as(const char *operation, const char *model_name, const char *version, const char *user_name,
							 const Jsonb *details);

#endif
