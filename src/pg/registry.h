/*
 * registry.h: models and versions for the other modules. Called between mm_enter and mm_leave; pointers live in the
 * SPI context of the caller.
 */
#ifndef MM_REGISTRY_H
#define MM_REGISTRY_H

#include "pg/mm.h"

typedef struct registry_version
{
	int64 model_id;
	int64 version_id;
	char *model_name;
	char *version;
	char *status;
	char *created_by;
	Jsonb *configuration;
} registry_version;

/* registry_model_id: 0 when there is no such model and missing_ok, else 42704 with the nearest name as HINT. */
extern int64 registry_model_id(const char *model_name, bool missing_ok);
/* registry_lock_model: the model's id (42704 when unknown) with mm_lock_model held until the transaction ends. Every
 * writer of a model starts here, so that what it reads afterwards stays true. 42501 as registry_check_grant. */
extern int64 registry_lock_model(const char *model_name);
/* registry_check_grant: 42501 when the caller, or who is logged in, is confined to other models (grant_model). What
 * acts on a model and finds it by anything else than registry_lock_model (an id, a deployment) calls it. */
extern void registry_check_grant(const char *model_name);
/* registry_granted: false where registry_check_grant raises. */
extern bool registry_granted(const char *model_name);
/* registry_check_unconfined: 42501 when one of them is confined to any models; for what concerns all of them. */
extern void registry_check_unconfined(const char *what);
/* registry_act_for_all: from true to false the extension acts by itself on every model (tick, enforcement), whoever's
 * session it is; an error ends it too. Returns what was in force. */
extern bool registry_act_for_all(bool on);
/* registry_find_version: a version by its text or '@alias'; false when absent and missing_ok, else 42704. */
extern bool registry_find_version(const char *model_name, const char *version, bool missing_ok, registry_version *out);
extern void registry_version_by_id(int64 version_id, registry_version *out);
/* A version as it is declared; what may be absent is NULL. */
typedef struct registry_declaration
{
	const char *model_name;
	const char *version;
	const char *description;
	const char *parent;
	const char *uri;
	const char *digest;
	const char *created_by;    /* NULL: session_user */
	const char *creator_login; /* NULL: not known (before versions noted it) */
	const Jsonb *configuration;
	const Jsonb *labels;
	Datum tags; /* text[], checked */
	TimestampTz created_at;
} registry_declaration;

/* registry_declaration_check: every check that needs no table. */
extern void registry_declaration_check(const registry_declaration *declaration);
/* registry_declare: ensures that the version is there as declared, and its model; true when it is new. 42710 when it is
 * there with other content; 23503, 23514 for its parent. Takes the model's lock. */
extern bool registry_declare(const registry_declaration *declaration, int64 *version_id);
/* registry_make_model: the model's id, made when there is none, with its lock held. */
extern int64 registry_make_model(const char *model_name, const char *created_by, TimestampTz created_at);
/* registry_set_status: one table of legal transitions; an illegal one is 55000 naming both. The same status again is
 * legal and sets the reason only. Audited by the caller. */
extern void registry_set_status(int64 version_id, const char *status, const char *reason);
/* registry_end_shadow: a version whose shadow deployment has passed is ready: from deploying, which nobody else may
 * leave that way. */
extern void registry_end_shadow(int64 version_id, const char *reason);
/* registry_restore_status: what an import says that a version was when it was exported; no transition. */
extern void registry_restore_status(int64 version_id, const char *status, const char *reason);
/* registry_version_row: the version as a value of type model_version that outlives mm_leave. */
extern Datum registry_version_row(int64 version_id);

/* registry_check_version_name: mm_check_name, and 42939 for what resolves to a version: latest, stable, previous and
 * names that begin with @. Aliases obey the same; `what` as in "alias". */
extern void registry_check_version_name(const char *what, const char *name);
/* registry_names: the array as a text[] without duplicates, first come first kept; `what` as in "tag". NULL elements
 * 22004, bad names as mm_check_name, more than one dimension 22023. */
extern Datum registry_names(Datum array, const char *what);

#endif
