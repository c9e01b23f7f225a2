/*
 * routing_internal.h: what the routing_*.c files share with each other and with nobody else.
 */
#ifndef MM_ROUTING_INTERNAL_H
#define MM_ROUTING_INTERNAL_H

#include "pg/mm.h"

#include "access/genam.h"
#include "access/skey.h"
#include "utils/rel.h"

#include "core/choose.h"
#include "pg/routing.h"

#define ROUTING_MAX_PINS 1000
#define ROUTING_MAX_SEGMENTS 100

/* Columns of model_mgr.routing and model_mgr.model_version, as sql/40_routing.sql and sql/20_registry.sql make them. */
enum
{
	ROUTING_MODEL_NAME = 1,
	ROUTING_MODEL_ID,
	ROUTING_REVISION,
	ROUTING_CHANGED_AT,
	ROUTING_SALT,
	ROUTING_STABLE_VERSION_ID,
	ROUTING_STABLE_VERSION,
	ROUTING_DEPLOYMENT_ID,
	ROUTING_STEP,
	ROUTING_CANDIDATE_VERSION_ID,
	ROUTING_CANDIDATE_VERSION,
	ROUTING_CANDIDATE_WEIGHT,
	ROUTING_BUCKET_KEY,
	ROUTING_BUCKET_RULE,
	ROUTING_WATCHED,
	ROUTING_SEGMENTS,
	ROUTING_PIN_HASHES,
	ROUTING_PIN_VERSION_IDS,
	ROUTING_PIN_VERSIONS,
	ROUTING_THRESHOLDS,
	ROUTING_SHADOW_VERSION_ID,
	ROUTING_SHADOW_VERSION,
	ROUTING_SHADOW_WEIGHT,
	ROUTING_PREVIEW,
	ROUTING_TEST,
	ROUTING_COLUMNS = ROUTING_TEST
};

enum
{
	VERSION_MODEL_ID = 1,
	VERSION_VERSION_ID,
	VERSION_MODEL_NAME,
	VERSION_VERSION,
	VERSION_CONFIGURATION = 6
};

enum
{
	ALIAS_MODEL_ID = 1,
	ALIAS_ALIAS = 3,
	ALIAS_VERSION_ID = 4
};

/*
 * One model in the cache, in one piece of memory but for the segments. The order is that of use: a backend that routes
 * for thousands of models in turn pays for each cache line it touches. The names come right behind the struct, what is
 * rarely read behind them.
 */
typedef struct cached_model
{
	routing_kept kept;
	uint32 name_length;
	TransactionId xmin; /* of the row: tells a rolled-back revision from the one that took its number */
	route_rules rules;
	int64 revision;
	const routing_entry *entry;
	MemoryContext segments; /* what the rules' segments and test lie in; NULL: none */
	char name[FLEXIBLE_ARRAY_MEMBER];
} cached_model;

/*
 * routing_generation: grows with every message that says "something about routing changed". What is read after looking
 * at it is good for as long as it stays the same. routing_accept_messages looks for messages of other sessions, once a
 * statement, and registers the callbacks on the first call.
 */
extern uint64 routing_current_generation;
extern void routing_accept_messages(void);
/* routing_watch_signal: call before noting the generation and reading what is to be kept: ensures that messages of the
 * extension as it is installed now are counted. Frees nothing. */
extern void routing_watch_signal(void);
/* routing_note_read: something was read in this transaction that its abort would make untrue. */
extern void routing_note_read(void);
/* routing_model_make: an entry from a row of routing, in one piece of `context`; routing_model_is: whether it is that
 * very row still; routing_model_free. */
extern cached_model *routing_model_make(HeapTuple row, TupleDesc descriptor, MemoryContext context);
extern bool routing_model_is(const cached_model *model, HeapTuple row, TupleDesc descriptor);
extern void routing_model_free(cached_model *model);
/* routing_read_segments: fills in the segments of rules from routing.segments, and before them the preview (NULL:
 * none), whose target is the rules' candidate; everything is made in the current context. */
extern void routing_read_segments(route_rules *rules, const Jsonb *segments, const Jsonb *preview);
/* routing_read_test: the test of routing.test, and in the rules its arms where it carries the traffic itself;
 * everything is made in the current context. */
extern const routing_test *routing_read_test(route_rules *rules, const Jsonb *test);
/* routing_check_context: 22023 unless a context is an object; true when there is one to evaluate. */
extern bool routing_check_context(const Jsonb *context);
/* routing_choose: choose() for a context that may be NULL or need no look. */
extern route_choice routing_choose(const route_rules *rules, const char *unit, int length, const Jsonb *context);
/* routing_unit_argument: the unit's bytes; NULL and the empty text are no unit, length 0. */
extern const char *routing_unit_argument(FunctionCallInfo fcinfo, int argno, int *length);
/* routing_find: routing_lookup with the rules. */
extern const cached_model *routing_find(const char *model_name, int length);

/*
 * routing_scan: rows of model_mgr.<table> by an index, seen with the catalog snapshot: the latest committed and one's
 * own, at every isolation level, without SPI and without rights of the caller. Values that may be toasted are to be
 * copied before routing_scan_end.
 */
typedef struct routing_scan
{
	Relation relation;
	SysScanDesc scan;
} routing_scan;

extern routing_scan routing_scan_begin(const char *table, const char *index, int nkeys, ScanKey keys);
extern HeapTuple routing_scan_next(routing_scan *scan);
extern void routing_scan_end(routing_scan *scan);
extern void routing_key_int64(ScanKey key, AttrNumber column, int64 value);
extern void routing_key_text(ScanKey key, AttrNumber column, const text *value);

/*
 * routing_keep: the entry that a cache has for the row of a name, made true for the generation that it carries; NULL
 * when there is no row. Entries are what the cache of that kind says: where they lie and what frees them.
 */
typedef struct routing_kind
{
	const char *table;
	const char *index; /* on the name alone */
	AttrNumber name;
	void (*prepare)(void); /* before anything is looked up that is to be stored; may free entries */
	routing_kept *(*find)(const char *name, int length);
	bool (*is)(const routing_kept *entry, HeapTuple row, TupleDesc descriptor); /* made of that very row */
	/* makes and stores an entry in the place of `old` (NULL: none), which it frees */
	routing_kept *(*make)(HeapTuple row, TupleDesc descriptor, routing_kept *old);
	void (*drop)(routing_kept *entry);
} routing_kind;

extern routing_kept *routing_keep(const routing_kind *kind, const char *name, int length);

/* routing_unit_key, routing_seal_key: keys derived from the installation's. */
extern const siphash_key *routing_unit_key(void);
extern const siphash_key *routing_seal_key(void);

#endif
