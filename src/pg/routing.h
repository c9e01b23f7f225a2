/*
 * routing.h: the stored routing of a model (routing_store.c) and the backend-local cache of it (routing_cache.c).
 */
#ifndef MM_ROUTING_H
#define MM_ROUTING_H

#include "core/decision.h"
#include "pg/mm.h"

/* What a deployment wants a model's routing to be; pins, segments and the model's salt stay as they are. */
typedef struct routing_change
{
	int64 model_id;
	int64 stable_version_id; /* 0: nothing active */
	int64 deployment_id;     /* 0: none; else the one requests are credited to (below 100 % or baking) */
	int32 step;
	int64 candidate_version_id;     /* 0: none (also while baking: then stable is the new version) */
	int32 candidate_weight;         /* 1/10000 */
	const char *bucket_key;         /* NULL without a candidate or shadow */
	bool watched;                   /* an automatic limit looks on */
	int64 shadow_version_id;        /* 0: none; else applications call it beside, and users never see it */
	int32 shadow_weight;            /* 1/10000 of the units, by bucket_key */
	const Jsonb *preview_condition; /* NULL: none; contexts that meet it reach the candidate, also at weight 0 */
	const Jsonb *test;              /* NULL: none; as sql/40_routing.sql says */
} routing_change;

/* routing_create: the first row of a new model: nothing active, a fresh random salt. Between mm_enter and mm_leave. */
extern void routing_create(int64 model_id, const char *model_name);
/* routing_set: applies a change, raises the revision and appends to the history. Caller holds mm_lock_model. */
extern void routing_set(const routing_change *change);
/* routing_set_thresholds: whether the model has thresholds, so that its recordings are looked at; routes nobody
 * otherwise: no revision, no history. Caller holds mm_lock_model. */
extern void routing_set_thresholds(int64 model_id, bool thresholds);
/* routing_get: the present row in the same terms (bucket_key copied); false when there is none. */
extern bool routing_get(int64 model_id, routing_change *out);
/* routing_check_condition: 22023 for what the grammar of core/condition.h does not have, naming the path; 54000 when it
 * is too large. */
extern void routing_check_condition(const Jsonb *condition);
/* routing_set_salt: gives a model that never served another salt: an import brings the one it had. */
extern void routing_set_salt(int64 model_id, const char *salt);
/* routing_salt: the model's own salt, copied. */
extern char *routing_salt(int64 model_id);

/*
 * The cache. An entry is what a backend knows of one model; pointers stay valid until the next call of a cache
 * function. No SPI, no lock and no rights of the caller are needed; usable anywhere in a transaction, standbys
 * included.
 */
/* What every entry made of a row begins with. */
typedef struct routing_kept
{
	uint64 checked; /* generation that this was last known to be true in */
} routing_kept;

typedef struct routing_shadow
{
	int64 version_id;
	const char *version;
	int32 weight;
} routing_shadow;

/* The test that outcomes are credited to. */
typedef struct routing_test
{
	int64 test_no;
	const char *test_id;
	int arm_count;        /* 0: a rollout's, whose candidate is the treatment */
	const char **variant; /* by arm */
} routing_test;

typedef struct routing_entry
{
	int64 model_id;
	const char *model_name;
	int64 stable_version_id; /* 0: nothing active */
	const char *stable_version;
	int64 deployment_id;
	int32 step;
	int64 candidate_version_id;
	const char *candidate_version;
	int32 candidate_weight;
	bool watched; /* an automatic limit or a threshold looks on */
	bool has_shadow;
	const routing_test *test;                     /* NULL: none */
	routing_shadow shadow[FLEXIBLE_ARRAY_MEMBER]; /* one, or none: most of 10,000 cached models have none */
} routing_entry;

/* routing_lookup: the model's entry, or NULL when there is no such model. */
extern const routing_entry *routing_lookup(const char *model_name, int length);
/* routing_version_id: version id of a model's version text or '@alias', 0 when unknown; cached too. For recording. */
extern int64 routing_version_id(const char *model_name, int model_length, const char *version, int version_length);
/* routing_watched: whether the model that owns this version has an automatic limit or a threshold looking on; *model_id
 * is set when so. */
extern bool routing_watched(int64 version_id, int64 *model_id);

/*
 * routing_encode_decision, routing_decode_decision: the text that route() gives and record_outcome() takes back
 * (core/decision.h). The first returns a palloc'd text; the second raises 22P02 for a damaged or foreign one. `time` is
 * a TimestampTz, `arm` -1 when the unit was not drawn (then observation.arm is NULL).
 */
extern text *routing_encode_decision(const decision *from);
extern void routing_decode_decision(const char *from, int length, decision *to);

/* unit_hash_of: keyed 64-bit hash of a unit id (SipHash-2-4, key of this installation). */
extern int64 unit_hash_of(const char *unit, int length);

#endif
