/*
 * registry_document.h: reading what export_registry() wrote, or somebody by hand. Touches no table. `place` names where
 * in the document one is, as in models[0].versions[2].
 */
#ifndef MM_REGISTRY_DOCUMENT_H
#define MM_REGISTRY_DOCUMENT_H

#include "pg/mm.h"

#define REGISTRY_FORMAT 1

/* What may be absent. */
typedef enum document_need
{
	DOCUMENT_OPTIONAL, /* absent or null: NULL */
	DOCUMENT_REQUIRED  /* absent 22023, null 22004 */
} document_need;

/* document_keys: 22P02 unless it is an object, 22023 for a key that is not in the list (ends with NULL). */
extern void document_keys(const Jsonb *object, const char *const *known, const char *place);
/* Members; 22P02 when of another type. Lists and objects are never NULL: what is absent is empty. */
extern char *document_text(const Jsonb *object, const char *key, document_need need, const char *place);
extern Jsonb *document_object(const Jsonb *object, const char *key, document_need need, const char *place);
extern Jsonb *document_list(const Jsonb *object, const char *key, document_need need, const char *place);
extern bool document_boolean(const Jsonb *object, const char *key, const char *place); /* absent: false */
/* document_integer: a whole number that an integer holds, else 22003. */
extern int32 document_integer(const Jsonb *object, const char *key, const char *place);
/* document_time: as export_registry() writes times, else 22P02. */
extern TimestampTz document_time(const Jsonb *object, const char *key, const char *place);
/* document_names: a list of names as text[], checked by registry_names(). */
extern Datum document_names(const Jsonb *object, const char *key, const char *what, const char *place);
/* document_item: the n-th of a list, NULL behind its end. */
extern Jsonb *document_item(const Jsonb *list, int n);
/* document_any: a member of whatever type, 22023 when absent. */
extern Jsonb *document_any(const Jsonb *object, const char *key, const char *place);

#endif
