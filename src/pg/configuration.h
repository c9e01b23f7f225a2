/*
 * configuration.h: what a version's configuration may hold. Usable anywhere; touches no table.
 */
#ifndef MM_CONFIGURATION_H
#define MM_CONFIGURATION_H

#include "pg/mm.h"

/* configuration_check: 22P02 for a wrong JSON type, 22023 for a missing or secret-looking key, 22003 out of range. */
extern void configuration_check(const Jsonb *configuration);
/* configuration_digest: 'sha256:' and the hex digest of the configuration's text in UTF-8. */
extern char *configuration_digest(const Jsonb *configuration);
/* json_require_object: 22P02 unless the argument is a JSON object. */
extern void json_require_object(const char *argument, const Jsonb *value);

#endif
