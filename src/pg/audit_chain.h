/*
 * audit_chain.h: the chain of seals over the audit log. Each seal is the SHA-256 of the seal before it and the
 * canonical form of one entry (docs/audit.md). Called between mm_enter and mm_leave.
 */
#ifndef MM_AUDIT_CHAIN_H
#define MM_AUDIT_CHAIN_H

#include "pg/mm.h"

#include "access/relscan.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"

/* Rows that are read and written at a time. */
#define AUDIT_BATCH 250

/* The columns of an entry in the order in which they are hashed, of a row l of audit_log. */
#define AUDIT_ENTRY                                                                                                    \
	"l.audit_id, l.logged_at, l.operation, l.model_name, l.version, l.user_name, l.caller, l.session_id,"              \
	" l.application_name, l.client_address, l.txn, l.details"
#define AUDIT_ENTRY_COLUMNS 12

typedef struct audit_chain
{
	pg_cryptohash_ctx *sha;
	StringInfoData canonical;
	StringInfoData details;
	MemoryContext scratch;               /* of one entry */
	uint8 hash[PG_SHA256_DIGEST_LENGTH]; /* the last seal */
} audit_chain;

/* audit_chain_begin: before the first seal of a log; audit_chain_end frees what the transaction's end would not. */
extern void audit_chain_begin(audit_chain *chain);
extern void audit_chain_end(audit_chain *chain);
/* audit_chain_add: the chain with one more entry, given as the columns of AUDIT_ENTRY. */
extern void audit_chain_add(audit_chain *chain, const Datum *values, const bool *nulls);

/* audit_seal_pending: seals every entry that is committed and not sealed, and says how many that were; stops after
 * `deadline` (DT_NOEND: never), leaving the rest to the next time. -1: somebody else is sealing, and not `wait`. */
extern int64 audit_seal_pending(bool wait, TimestampTz deadline);
/* audit_lock: orders sealing and pruning; 25000 above READ COMMITTED, where what others did meanwhile is not seen. */
extern bool audit_lock(const char *what, bool wait);

/* One of the two scans of a reader. */
typedef struct audit_scan
{
	Relation table;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} audit_scan;

/* Columns of audit_seal. */
enum
{
	AUDIT_SEAL_SEQ,
	AUDIT_SEAL_ID,
	AUDIT_SEAL_HASH
};

/* Seals in their order, each with its entry. */
typedef struct audit_reader
{
	audit_scan seals;
	audit_scan entries;
	bool placed; /* the scan of entries stands somewhere */
	const Datum *seal;
	bool has_entry;
	const Datum *entry; /* the columns of AUDIT_ENTRY, in the order of the table */
	const bool *entry_nulls;
} audit_reader;

/* audit_read_begin: seals up to one, as the active snapshot sees them, which must stay the active one. */
extern void audit_read_begin(audit_reader *reader, int64 through_seq);
/* audit_read_next: the next seal; false: there is none. What it gives lasts until the next call. */
extern bool audit_read_next(audit_reader *reader);
extern void audit_read_end(audit_reader *reader);

#define AUDIT_NO_ENTRY PG_INT64_MIN

/* What verifying found. */
typedef struct audit_finding
{
	int64 seals;        /* verified, without a checkpoint */
	int64 last_seq;     /* 0: no seal */
	bool anchor_found;  /* among the seals, the checkpoint included */
	bool bad;           /* detail says what */
	int64 bad_audit_id; /* AUDIT_NO_ENTRY: none can be named */
	int64 bad_seq;
	char *detail;
	uint8 last_hash[PG_SHA256_DIGEST_LENGTH];
} audit_finding;

/* audit_check_seals: computes the chain again up to a seal (PG_INT64_MAX: the last); stops at the first that does not
 * agree. `anchor`: 32 bytes to look for, or NULL. */
extern void audit_check_seals(int64 through_seq, const uint8 *anchor, audit_finding *finding);
/* audit_prune: takes the sealed entries out that are older than a time, as far as none of them stands behind a younger
 * one; the last seal stays as a checkpoint. Returns how many. */
extern int64 audit_prune(TimestampTz until, bool wait);
/* audit_is_pruning: true while that deletes. */
extern bool audit_is_pruning(void);

#endif
