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
	char *signature; /* "schema"."name"(jsonb) */
	Oid role;
	char *role_name;
} user_code;

/*
 * user_code_check: what a registration stores: 42883 unless the function takes (jsonb) and returns what `result` says
 * (e.g. "void" or "record(passed boolean, message text, details jsonb)"; NULL: anything), 42501 unless the caller's
 * current role owns it.
 */
extern void user_code_check(Oid function, const char *result, user_code *out);
/* user_code_lost: why it may not be run any more (dropped, another owner, role gone, signature changed), or NULL. */
extern const char *user_code_lost(const user_code *code);

/*
 * user_code_run: calls `body(argument)` as `role` in a security-restricted operation, in a subtransaction and a settings
 * level of its own, and cancels it after `seconds`. True when it went well; else the subtransaction is rolled back and
 * *error says why (palloc'd in the caller's context). A real cancel or shutdown of the session goes on. Code that
 * swallows its own cancellation ends the session (FATAL), after which the caller's committed "started" mark is all that
 * is left: mark before, and treat an old mark as the reason to disable.
 */
extern bool user_code_run(Oid role, double seconds, void (*body)(void *argument), void *argument, char **error);
/* user_code_call: user_code_run around one function of a jsonb; its result is copied to the caller's context. */
extern bool user_code_call(const user_code *code, double seconds, const Jsonb *argument, Datum *result, bool *isnull,
						   char **error);

#endif
