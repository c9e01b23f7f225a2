/*
 * routing_cache.c: what a backend knows of the models it routes for, kept right without shared memory, without locks on
 * a hit and without preloading.
 *
 * The protocol. Triggers on routing, model_version and unit_key invalidate the relation cache entry of the empty table
 * routing_signal (CacheInvalidateRelcacheByRelid). The server delivers that message at commit to every backend, on
 * standbys too, at once to the own transaction, and again when a (sub)transaction rolls back. Our callback does one
 * thing: it raises routing_current_generation. An entry carries the generation in which it was last known to be true.
 *  - Equal: a hit.
 *  - Older: suspect. One index probe compares revision and xmin of the row; the entry is refilled only when they
 * differ, so one step of one model costs the other 9,999 a probe each, when they are next used.
 *  - The generation is noted before the row is read, and the read is repeated when it has grown meanwhile; so nothing
 * is stored that was stale when it was born. xmin is compared because a revision that was rolled back may be taken by
 * another transaction with other content. A backend without locks to take never looks for messages, so the first call
 * of a statement does. Nothing negative is kept: unknown names cost a probe each time and no memory.
 */
#include "pg/mm.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/routing_internal.h"

/* Above this all is forgotten and filled again by use: 10,000 plain models take about a third of it. */
#define CACHE_LIMIT ((Size) 16 * 1024 * 1024)

/* A version by name and by id; the row never changes, but it may be deleted before it served. */
typedef struct cached_version
{
	int64 version_id;
	int64 model_id;
	uint64 checked;
	uint32 model_length;
	uint32 key_length; /* of name: model name, zero byte, version */
	char name[FLEXIBLE_ARRAY_MEMBER];
} cached_version;

/* Names are looked up in tables of pointers, so that entries stay where they are while a table grows. */
typedef struct name_key
{
	const char *bytes;
	uint32 length;
} name_key;

typedef struct name_slot
{
	name_key name; /* lies in the entry */
	uint32 hash;
	char status;
	void *entry;
} name_slot;

typedef struct id_slot
{
	int64 id;
	char status;
	cached_version *entry;
} id_slot;

#define SH_PREFIX names
#define SH_ELEMENT_TYPE name_slot
#define SH_KEY_TYPE name_key
#define SH_KEY name
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).bytes, (key).length)
#define SH_EQUAL(table, a, b) ((a).length == (b).length && memcmp((a).bytes, (b).bytes, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, slot) (slot)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define SH_PREFIX ids
#define SH_ELEMENT_TYPE id_slot
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) murmurhash32((uint32) (key) ^ (uint32) ((uint64) (key) >> 32))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

uint64 routing_current_generation = 1;

static MemoryContext cache_context; /* NULL: nothing cached */
static names_hash *models;
static names_hash *versions;
static ids_hash *version_ids;
static Oid signal_oid = InvalidOid; /* whose messages are ours */
static bool forget_pending;         /* entries are another installation's; freed when nobody can hold one */
static bool read_in_xact;           /* see routing_note_read */

/* The last answers, so that a query over one model hashes nothing. NULL when entries were freed. */
static cached_model *last_model;
static cached_version *last_version;
static cached_version *last_watched;
static bool last_watched_answer;
static uint64 last_watched_generation;

/* The statement that messages were accepted for; see routing_accept_messages. */
static struct
{
	TimestampTz start;
	TransactionId xmin;
	TransactionId xmax;
	uint32 xcnt;
	int32 subxcnt;
	CommandId curcid;
	bool ready; /* callbacks are registered */
} statement;

/* on_relcache_message: a flag only: this runs wherever the server looks for messages, also in the middle of a refill.
 * InvalidOid means everything. Before the signal's OID is known there is nothing cached that could be wrong. */
static void
on_relcache_message(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == signal_oid)
		routing_current_generation++;
}

/* on_xact_end: what was read from a transaction that is undone may have no message to say so (a new version's row). */
static void
on_xact_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT || event == XACT_EVENT_PREPARE)
		routing_current_generation += read_in_xact;
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PARALLEL_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		read_in_xact = false;
}

static void
on_subxact_end(SubXactEvent event, SubTransactionId my, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		routing_current_generation += read_in_xact;
}

void
routing_note_read(void)
{
	read_in_xact = true;
}

/* accept_now: the slow part of routing_accept_messages. */
static void
accept_now(Snapshot snapshot, TimestampTz start)
{
	if (!statement.ready)
	{
		CacheRegisterRelcacheCallback(on_relcache_message, (Datum) 0);
		RegisterXactCallback(on_xact_end, NULL);
		RegisterSubXactCallback(on_subxact_end, NULL);
		statement.ready = true;
	}
	AcceptInvalidationMessages();
	statement.start = start;
	if (snapshot)
	{
		statement.xmin = snapshot->xmin;
		statement.xmax = snapshot->xmax;
		statement.xcnt = snapshot->xcnt;
		statement.subxcnt = snapshot->subxcnt;
		statement.curcid = snapshot->curcid;
	}
}

/*
 * routing_accept_messages: looks for messages when this statement has not looked yet. A statement is told by its start
 * and its snapshot: in a PL/pgSQL loop under READ COMMITTED the start stays and each statement's new snapshot shows
 * whatever was committed meanwhile by a change of one of these numbers (on a standby by subxcnt).
 */
inline void
routing_accept_messages(void)
{
	TimestampTz start = GetCurrentStatementStartTimestamp();
	Snapshot snapshot = ActiveSnapshotSet() ? GetActiveSnapshot() : NULL;

	if (likely(start == statement.start && snapshot && snapshot->xmax == statement.xmax &&
			   snapshot->xmin == statement.xmin && snapshot->xcnt == statement.xcnt &&
			   snapshot->subxcnt == statement.subxcnt && snapshot->curcid == statement.curcid && statement.ready))
		return;
	accept_now(snapshot, start);
}

/* forget_all: an empty cache. */
static void
forget_all(void)
{
	MemoryContext old = cache_context;

	last_model = NULL;
	last_version = NULL;
	last_watched = NULL;
	models = NULL;
	versions = NULL;
	version_ids = NULL;
	cache_context = NULL;
	if (old)
		MemoryContextDelete(old);
}

void
routing_watch_signal(void)
{
	Oid now = mm_relation("routing_signal");

	if (now == signal_oid)
		return;
	signal_oid = now;
	forget_pending = true;
	routing_current_generation++;
}

/* prepare_cache: ensures that there is a cache, that it belongs to the extension as it is installed now, and that it is
 * not too large. Called before anything is looked up that is to be stored; frees entries. */
static void
prepare_cache(void)
{
	routing_watch_signal();
	if (forget_pending || (cache_context && MemoryContextMemAllocated(cache_context, true) > CACHE_LIMIT))
		forget_all();
	forget_pending = false;
	if (!cache_context)
	{
		MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "model_mgr routing", ALLOCSET_DEFAULT_SIZES);

		models = names_create(context, 64, NULL);
		versions = names_create(context, 64, NULL);
		version_ids = ids_create(context, 64, NULL);
		cache_context = context;
	}
}

/* ---- models ---- */

static routing_kept *
find_model(const char *model_name, int length)
{
	name_slot *slot = names_lookup(models, (name_key){model_name, length});

	return slot ? slot->entry : NULL;
}

static bool
is_model(const routing_kept *entry, HeapTuple row, TupleDesc descriptor)
{
	return routing_model_is((const cached_model *) entry, row, descriptor);
}

/* free_model: its slot is gone, or another entry's. */
static void
free_model(cached_model *old)
{
	if (last_model == old)
		last_model = NULL;
	routing_model_free(old);
}

/* make_model: the old entry stays until the new one is there, as its making may fail. */
static routing_kept *
make_model(HeapTuple row, TupleDesc descriptor, routing_kept *old)
{
	cached_model *fresh = routing_model_make(row, descriptor, cache_context);
	name_key name = {fresh->name, fresh->name_length};
	bool found;
	name_slot *slot = names_insert(models, name, &found);

	slot->name = name;
	slot->entry = fresh;
	if (old)
		free_model((cached_model *) old);
	return &fresh->kept;
}

static void
drop_model(routing_kept *entry)
{
	cached_model *old = (cached_model *) entry;

	names_delete(models, (name_key){old->name, old->name_length});
	free_model(old);
}

static const routing_kind kind_model = {.table = "routing",
										.index = "routing_pkey",
										.name = ROUTING_MODEL_NAME,
										.prepare = prepare_cache,
										.find = find_model,
										.is = is_model,
										.make = make_model,
										.drop = drop_model};

routing_kept *
routing_keep(const routing_kind *kind, const char *name, int length)
{
	for (;;)
	{
		uint64 generation;
		routing_kept *entry;
		text *value;
		routing_scan scan;
		ScanKeyData key;
		HeapTuple tuple;

		kind->prepare();
		generation = routing_current_generation;
		entry = kind->find(name, length);
		if (entry && entry->checked == generation)
			return entry;

		value = cstring_to_text_with_len(name, length);
		routing_key_text(&key, kind->name, value);
		scan = routing_scan_begin(kind->table, kind->index, 1, &key);
		tuple = routing_scan_next(&scan);
		if (HeapTupleIsValid(tuple))
		{
			TupleDesc descriptor = RelationGetDescr(scan.relation);

			if (entry == NULL || !kind->is(entry, tuple, descriptor))
				entry = kind->make(tuple, descriptor, entry);
			entry->checked = generation;
		}
		else if (entry)
		{
			kind->drop(entry);
			entry = NULL;
		}
		routing_scan_end(&scan);
		pfree(value);
		routing_note_read();
		if (entry == NULL || routing_current_generation == generation)
			return entry;
	}
}

const cached_model *
routing_find(const char *model_name, int length)
{
	cached_model *model;

	routing_accept_messages();
	model = last_model;
	if (likely(model && model->kept.checked == routing_current_generation && model->name_length == (uint32) length &&
			   memcmp(model->name, model_name, length) == 0))
		return model;
	if (models)
	{
		routing_kept *entry = find_model(model_name, length);

		if (entry && entry->checked == routing_current_generation)
			return last_model = (cached_model *) entry;
	}
	return last_model = (cached_model *) routing_keep(&kind_model, model_name, length);
}

const routing_entry *
routing_lookup(const char *model_name, int length)
{
	const cached_model *model = routing_find(model_name, length);

	return model ? model->entry : NULL;
}

/* ---- versions ---- */

/* forget_version: takes a version out; its row is gone. */
static void
forget_version(cached_version *version)
{
	names_delete(versions, (name_key){version->name, version->key_length});
	ids_delete(version_ids, version->version_id);
	if (last_version == version)
		last_version = NULL;
	if (last_watched == version)
		last_watched = NULL;
	pfree(version);
}

/* store_version: the entry of a row of model_version, new or the one that is there. */
static cached_version *
store_version(HeapTuple tuple, TupleDesc descriptor, uint64 generation)
{
	bool isnull;
	int64 id = DatumGetInt64(heap_getattr(tuple, VERSION_VERSION_ID, descriptor, &isnull));
	text *model_name = DatumGetTextPP(heap_getattr(tuple, VERSION_MODEL_NAME, descriptor, &isnull));
	text *version = DatumGetTextPP(heap_getattr(tuple, VERSION_VERSION, descriptor, &isnull));
	uint32 model_length = VARSIZE_ANY_EXHDR(model_name);
	uint32 key_length = model_length + 1 + VARSIZE_ANY_EXHDR(version);
	bool found;
	id_slot *by_id = ids_insert(version_ids, id, &found);
	cached_version *entry;
	name_slot *by_name;

	if (found && by_id->entry)
	{
		by_id->entry->checked = generation;
		return by_id->entry;
	}
	by_id->entry = NULL; /* should the next line fail */
	entry = MemoryContextAlloc(cache_context, offsetof(cached_version, name) + key_length);
	entry->version_id = id;
	entry->model_id = DatumGetInt64(heap_getattr(tuple, VERSION_MODEL_ID, descriptor, &isnull));
	entry->checked = generation;
	entry->model_length = model_length;
	entry->key_length = key_length;
	memcpy(entry->name, VARDATA_ANY(model_name), model_length);
	entry->name[model_length] = '\0';
	memcpy(entry->name + model_length + 1, VARDATA_ANY(version), key_length - model_length - 1);

	/* A deleted version of the same name may still be there under its old id. */
	by_name = names_lookup(versions, (name_key){entry->name, key_length});
	if (by_name && by_name->entry)
		forget_version(by_name->entry);
	by_name = names_insert(versions, (name_key){entry->name, key_length}, &found);
	by_name->entry = entry;
	ids_lookup(version_ids, id)->entry = entry;
	return entry;
}

/* read_version: by id when id is not 0, else by model and version text; NULL when there is no such row. */
static cached_version *
read_version(int64 id, int64 model_id, const char *version, int length)
{
	for (;;)
	{
		uint64 generation;
		cached_version *entry = NULL;
		routing_scan scan;
		ScanKeyData keys[2];
		HeapTuple tuple;

		prepare_cache();
		generation = routing_current_generation;
		if (id != 0)
			routing_key_int64(&keys[0], VERSION_VERSION_ID, id);
		else
		{
			routing_key_int64(&keys[0], VERSION_MODEL_ID, model_id);
			routing_key_text(&keys[1], VERSION_VERSION, cstring_to_text_with_len(version, length));
		}
		scan =
			routing_scan_begin("model_version", id != 0 ? "model_version_pkey" : "model_version_model_id_version_key",
							   id != 0 ? 1 : 2, keys);
		tuple = routing_scan_next(&scan);
		if (HeapTupleIsValid(tuple))
			entry = store_version(tuple, RelationGetDescr(scan.relation), generation);
		else if (id != 0)
		{
			id_slot *slot = ids_lookup(version_ids, id);

			if (slot && slot->entry)
				forget_version(slot->entry);
		}
		routing_scan_end(&scan);
		routing_note_read();
		if (entry == NULL || routing_current_generation == generation)
			return entry;
	}
}

/* find_version: the true entry of a version id, or NULL. */
static cached_version *
find_version(int64 id)
{
	id_slot *slot;

	routing_accept_messages();
	slot = version_ids ? ids_lookup(version_ids, id) : NULL;
	if (slot && slot->entry && slot->entry->checked == routing_current_generation)
		return slot->entry;
	return read_version(id, 0, NULL, 0);
}

/* alias_version: version id that an alias points to, 0 when there is none. Not cached: aliases move. */
static int64
alias_version(int64 model_id, const char *alias, int length)
{
	routing_scan scan;
	ScanKeyData keys[2];
	HeapTuple tuple;
	int64 id = 0;
	bool isnull;

	routing_key_int64(&keys[0], ALIAS_MODEL_ID, model_id);
	routing_key_text(&keys[1], ALIAS_ALIAS, cstring_to_text_with_len(alias, length));
	scan = routing_scan_begin("model_alias", "model_alias_pkey", 2, keys);
	tuple = routing_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
		id = DatumGetInt64(heap_getattr(tuple, ALIAS_VERSION_ID, RelationGetDescr(scan.relation), &isnull));
	routing_scan_end(&scan);
	return id;
}

int64
routing_version_id(const char *model_name, int model_length, const char *version, int version_length)
{
	char name[1024];
	uint32 length = (uint32) (model_length + 1 + version_length);
	cached_version *found = NULL;
	const routing_entry *model;

	/* No name has more than 255 bytes, so none is unknown only for being long. */
	if (model_length > 255 || version_length > 255)
		return 0;
	routing_accept_messages();
	memcpy(name, model_name, model_length);
	name[model_length] = '\0';
	memcpy(name + model_length + 1, version, version_length);
	if (likely(last_version && last_version->key_length == length && memcmp(last_version->name, name, length) == 0))
		found = last_version;
	else if (versions)
	{
		name_slot *slot = names_lookup(versions, (name_key){name, length});

		found = slot ? slot->entry : NULL;
	}
	if (found && found->checked != routing_current_generation)
		found = read_version(found->version_id, 0, NULL, 0);
	if (found == NULL)
	{
		model = routing_lookup(model_name, model_length);
		if (model && version_length > 0 && *version == '@')
			return alias_version(model->model_id, version + 1, version_length - 1);
		if (model)
			found = read_version(0, model->model_id, version, version_length);
	}
	last_version = found;
	return found ? found->version_id : 0;
}

bool
routing_watched(int64 version_id, int64 *model_id)
{
	cached_version *version;
	const routing_entry *model;

	routing_accept_messages();
	if (unlikely(last_watched == NULL || last_watched->version_id != version_id ||
				 last_watched_generation != routing_current_generation))
	{
		version = find_version(version_id);
		if (version == NULL)
			return false;
		/* The look-up may empty the cache, so the name is copied and the version found again. */
		model = routing_lookup(pnstrdup(version->name, version->model_length), version->model_length);
		last_watched_answer = model && model->watched;
		last_watched = find_version(version_id);
		last_watched_generation = last_watched ? last_watched->checked : 0;
		if (last_watched == NULL)
			return false;
	}
	if (last_watched_answer)
		*model_id = last_watched->model_id;
	return last_watched_answer;
}
