/*
 * user_code.h: running code that users registered (validators, callbacks, metric sources), as the role that registered
 * it and with no way to anything else. See docs/security.md for what such code may not do.
 */
#ifndef MM_USER_CODE_H
#define MM_USER_CODE_H

#include "pg/mm.h"

/* A registered function. Stored as four columns: function oid, its schema-qualified signature, role oid, role name;
 * all four must still agree, and the role must own the function, before it is run. */
typedef struct user_code
{
	Oid function;
	char *signature; /* schema.name(jsonb), quoted as needed */
	Oid role;
	char *role_name;
} user_code;

/*
 * user_code_check: what a registration stores, for mm_caller(): 42883 unless the function takes one jsonb and returns
 * what `result` says: a type's name, "record(passed boolean, message text, details jsonb)" for a row of these columns
 * (or any number of such rows), NULL for anything; 42501 unless the caller's role itself owns it. Between mm_enter and
 * mm_leave.
 */
extern void user_code_check(Oid function, const char *result, user_code *out);
/* user_code_lost: why it may not be run any more (dropped, another owner, role gone, signature changed), or NULL. */
extern const char *user_code_lost(const user_code *code);
/* user_code_role_lost: the part of it that concerns the role: it must have both its oid and its name. */
extern const char *user_code_role_lost(Oid role, const char *role_name);

/* user_code_check_remover: 42501 unless the caller may take away what `role_name` registered: that role, a member of
 * it, the extension's owner, or an administrator, to whom setup_roles() is granted. Between mm_enter and mm_leave. */
extern void user_code_check_remover(const char *role_name, const char *what);

/*
 * user_code_find: code as it was registered; same_origin: in this database (user_code_origin). NULL when it may be run:
 * where the function's OID is not its own any more, the one that has the signature now takes the place, provided that
 * the role owns it; then nobody's code runs as anybody else. The role's OID does not outlive a dump and a restore, its
 * name does: only in another database than that of the registration will the name do. *code then has the OIDs as they
 * are now. Else why it may not be run.
 */
extern const char *user_code_find(user_code *code, bool same_origin);

/*
 * user_code_marked: what the mark of a call that was begun says: free to be called (a restart ended it, or somebody
 * cancelled it), another session is about to, or the session that did has ended in it.
 */
typedef enum user_code_mark
{
	USER_CODE_FREE,
	USER_CODE_BUSY,
	USER_CODE_LEFT
} user_code_mark;

extern user_code_mark user_code_marked(TimestampTz started_at, int32 started_by);

/*
 * user_code_origin: this database of this cluster. OIDs mean something here only: who stores it beside them can tell
 * after a restore elsewhere that names are all that is left to go by.
 */
extern char *user_code_origin(void);

/*
 * user_code_run: calls `body(argument)` as `role` in a security-restricted operation, in a subtransaction and a
 * settings level of its own, and cancels it after `seconds`. True when it went well; else the subtransaction is rolled
 * back and *error says why (palloc'd in the caller's context, at most USER_CODE_ERROR_MAX bytes). A real cancel or
 * shutdown of the session goes on; a forged one does not. Code that swallows its own cancellation ends the session
 * (FATAL), after which the caller's committed "started" mark is all that is left: mark before, and treat an old mark as
 * the reason to disable. The body runs without an SPI connection of its own.
 */
extern bool user_code_run(Oid role, double seconds, void (*body)(void *argument), void *argument, char **error);
/*
 * user_code_call: user_code_run around one function of a jsonb; not run, with *error, when it is lost. What it returned
 * comes as a jsonb in the caller's context: {"passed": ...} for a row, the first one of several; *isnull when there was
 * none. result and isnull may be NULL.
 */
extern bool user_code_call(const user_code *code, double seconds, const Jsonb *argument, Datum *result, bool *isnull,
						   char **error);

#define USER_CODE_ERROR_MAX 1000

/* user_code_seconds: the limit for callbacks and metric sources: a minute, or model_mgr.update_validation_timeout when
 * that is less. */
extern double user_code_seconds(void);

#endif
