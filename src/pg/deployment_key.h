/*
 * deployment_key.h: values of JSON keys, for the arguments of a rollout: read, checked, with their defaults. A key that
 * is absent or null has its default. Usable anywhere; touches no table.
 */
#ifndef MM_DEPLOYMENT_KEY_H
#define MM_DEPLOYMENT_KEY_H

#include "pg/mm.h"

/* deployment_key_malformed: 22P02 for a key whose value has the wrong JSON type; `expected` as in "a number". */
extern void deployment_key_malformed(const char *key, const char *expected) __attribute__((noreturn));
/* deployment_key_find: a key's value; false when absent or null. */
extern bool deployment_key_find(const Jsonb *object, const char *key, JsonbValue *value);
/* deployment_key_value: the same as a value of its own, or NULL. */
extern Jsonb *deployment_key_value(const Jsonb *object, const char *key);
/* deployment_key_object: an object, or NULL. */
extern Jsonb *deployment_key_object(const Jsonb *object, const char *key);
/* deployment_key_number: a number in low..high, or its default; deployment_key_whole: without a fraction. */
extern double deployment_key_number(const Jsonb *object, const char *key, double otherwise, double low, double high);
extern double deployment_key_whole(const Jsonb *object, const char *key, double otherwise, double low, double high);
extern bool deployment_key_boolean(const Jsonb *object, const char *key, bool otherwise);
/* deployment_key_word: which of its words, a list that ends in NULL, the value is; 0, the usual one, when absent. */
extern int deployment_key_word(const Jsonb *object, const char *key, const char *const *words);
/* deployment_key_check: 22023 for a key that is none of those known; `what` as in "rollout". */
extern void deployment_key_check(const JsonbContainer *object, const char *what, const char *const *known, int count);
/* deployment_key_number_of: of a value known to be numeric; infinite when beyond float8. */
extern double deployment_key_number_of(const JsonbValue *value);
extern bool deployment_key_is_object(const JsonbValue *value);

#endif
