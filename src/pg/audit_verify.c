/*
 * audit_verify.c: reading the chain again: which entry is the first that was edited, removed, put elsewhere or slipped
 * in; and taking old entries out so that the rest still verifies. Reading works on a standby, in one snapshot.
 */
#include "pg/audit_chain.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/audit.h"
#include "pg/query.h"
#include "pg/rollup.h"

/* The reading of the chain. */
typedef struct walk
{
	audit_chain chain;
	audit_finding *finding;
	const uint8 *anchor;
	bool begun;
	/* A seal that does not agree with its entry, until the one after it tells which of them was touched. */
	bool suspect;
	int64 suspect_id;
	int64 suspect_seq;
	uint8 computed[PG_SHA256_DIGEST_LENGTH];
} walk;

static const char *
hex(const uint8 *hash)
{
	char *out = palloc(2 * PG_SHA256_DIGEST_LENGTH + 1);

	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	return out;
}

/* convict: the first finding stands. */
static void
convict(audit_finding *finding, int64 audit_id, int64 seq, char *detail)
{
	if (finding->bad)
		return;
	finding->bad = true;
	finding->bad_audit_id = audit_id;
	finding->bad_seq = seq;
	finding->detail = detail;
}

static void
entry_was_edited(walk *w)
{
	convict(w->finding, w->suspect_id, w->suspect_seq,
			psprintf("entry %lld does not agree with its seal %lld: it was edited, or stands in another's place",
					 (long long) w->suspect_id, (long long) w->suspect_seq));
}

/* is_checkpoint: whether prune_audit() says that it left this seal as the end of what it took out. */
static bool
is_checkpoint(int64 seq, const uint8 *hash)
{
	static query find = {.sql = "SELECT FROM model_mgr.audit_log l WHERE l.operation = 'prune_audit'"
								" AND l.details OPERATOR(pg_catalog.@>)"
								" pg_catalog.jsonb_build_object('checkpoint', $1, 'hash', $2) LIMIT 1",
						 .types = {INT8OID, TEXTOID},
						 .read_only = true};

	return query_run(&find, int64_arg(seq), text_arg(hex(hash))) > 0;
}

/* begin: with the first seal. One that is not seal 1 is the checkpoint, and stands without its entry. */
static bool
begin(walk *w, int64 seq, int64 audit_id, const uint8 *hash, bool has_entry)
{
	w->begun = true;
	if (seq == 1)
		return true;
	if (has_entry)
		convict(w->finding, audit_id, seq, psprintf("seals 1 to %lld are missing", (long long) seq - 1));
	else if (!is_checkpoint(seq, hash))
		convict(w->finding, audit_id, seq,
				psprintf("seal %lld stands first and without its entry %lld, and no entry of prune_audit() says so",
						 (long long) seq, (long long) audit_id));
	else
	{
		memcpy(w->chain.hash, hash, PG_SHA256_DIGEST_LENGTH);
		w->finding->last_seq = seq;
	}
	return false;
}

/* step: one seal with its entry. */
static void
step(walk *w, const audit_reader *at)
{
	int64 seq = DatumGetInt64(at->seal[AUDIT_SEAL_SEQ]);
	int64 audit_id = DatumGetInt64(at->seal[AUDIT_SEAL_ID]);
	bytea *stored = DatumGetByteaPP(at->seal[AUDIT_SEAL_HASH]);
	const uint8 *hash = (const uint8 *) VARDATA_ANY(stored);

	if (VARSIZE_ANY_EXHDR(stored) != PG_SHA256_DIGEST_LENGTH)
	{
		if (w->suspect)
			entry_was_edited(w);
		convict(w->finding, audit_id, seq, psprintf("seal %lld is not 32 bytes long", (long long) seq));
		return;
	}
	if (!w->begun && !begin(w, seq, audit_id, hash, at->has_entry))
	{
		if (w->anchor && !w->finding->bad && memcmp(w->anchor, hash, PG_SHA256_DIGEST_LENGTH) == 0)
			w->finding->anchor_found = true;
		return;
	}
	if (seq != w->finding->last_seq + 1)
	{
		if (w->suspect)
			entry_was_edited(w);
		convict(w->finding, audit_id, seq,
				psprintf("seals %lld to %lld are missing before seal %lld of entry %lld",
						 (long long) w->finding->last_seq + 1, (long long) seq - 1, (long long) seq,
						 (long long) audit_id));
		return;
	}
	if (!at->has_entry)
	{
		if (w->suspect)
			entry_was_edited(w);
		convict(w->finding, audit_id, seq,
				psprintf("entry %lld was removed; its seal %lld is left", (long long) audit_id, (long long) seq));
		return;
	}
	if (w->suspect)
	{
		/* On from what the seal before should have been: when that fits, that seal was touched and no entry. */
		memcpy(w->chain.hash, w->computed, PG_SHA256_DIGEST_LENGTH);
		audit_chain_add(&w->chain, at->entry, at->entry_nulls);
		if (memcmp(w->chain.hash, hash, PG_SHA256_DIGEST_LENGTH) == 0)
			convict(w->finding, w->suspect_id, w->suspect_seq,
					psprintf("seal %lld was edited; its entry %lld agrees with the seals after it",
							 (long long) w->suspect_seq, (long long) w->suspect_id));
		else
			entry_was_edited(w);
		return;
	}
	audit_chain_add(&w->chain, at->entry, at->entry_nulls);
	w->finding->last_seq = seq;
	if (memcmp(w->chain.hash, hash, PG_SHA256_DIGEST_LENGTH) != 0)
	{
		w->suspect = true;
		w->suspect_id = audit_id;
		w->suspect_seq = seq;
		memcpy(w->computed, w->chain.hash, PG_SHA256_DIGEST_LENGTH);
		return;
	}
	w->finding->seals++;
	if (w->anchor && memcmp(w->anchor, hash, PG_SHA256_DIGEST_LENGTH) == 0)
		w->finding->anchor_found = true;
}

void
audit_check_seals(int64 through_seq, const uint8 *anchor, audit_finding *finding)
{
	walk w = {.finding = finding, .anchor = anchor};
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(outer, "audit batch", ALLOCSET_DEFAULT_SIZES);
	audit_reader reader;

	memset(finding, 0, sizeof(*finding));
	audit_chain_begin(&w.chain);
	audit_read_begin(&reader, through_seq);
	for (uint64 i = 1; !finding->bad && audit_read_next(&reader); i++)
	{
		MemoryContextSwitchTo(batch);
		step(&w, &reader);
		MemoryContextSwitchTo(outer);
		if (finding->bad)
			finding->detail = pstrdup(finding->detail);
		if (i % AUDIT_BATCH == 0)
			MemoryContextReset(batch);
		CHECK_FOR_INTERRUPTS();
	}
	audit_read_end(&reader);
	if (w.suspect)
		entry_was_edited(&w);
	memcpy(finding->last_hash, w.chain.hash, PG_SHA256_DIGEST_LENGTH);
	audit_chain_end(&w.chain);
	MemoryContextDelete(batch);
}

/*
 * check_rest: what has no seal. An entry that the sealer must have seen, by its transaction, and that it has not sealed
 * was slipped in afterwards; and a chain shorter than the sealer left it has lost its end.
 */
static void
check_rest(audit_finding *finding, int64 *entries, int64 *unsealed)
{
	static query state = {.sql = "SELECT s.next_txn, s.in_progress, s.seals FROM model_mgr.audit_seal_state s"
								 " ORDER BY s.installed_at LIMIT 1",
						  .read_only = true};
	static query rest = {.sql =
							 "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE n.missing),"
							 " pg_catalog.min(n.audit_id) FILTER (WHERE n.missing AND n.txn < $1 AND n.txn <> ALL ($2))"
							 " FROM (SELECT l.audit_id, l.txn, s.seq IS NULL AS missing FROM model_mgr.audit_log l"
							 "  LEFT JOIN model_mgr.audit_seal s ON s.audit_id = l.audit_id) n",
						 .types = {INT8OID, INT8ARRAYOID},
						 .read_only = true};
	bool isnull;
	int64 seals;

	if (query_run(&state) == 0)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("model_mgr.audit_seal_state is empty"),
				errdetail("It holds what has been sealed, from CREATE EXTENSION on."),
				errhint("Restore the table from a dump."));
	seals = query_int64(0, 2);
	query_run(&rest, int64_arg(query_int64(0, 0)), datum_arg(query_datum(0, 1, &isnull), false));
	*entries = query_int64(0, 0);
	*unsealed = query_int64(0, 1);
	if (!query_isnull(0, 2))
	{
		int64 inserted = query_int64(0, 2);

		/* It has no place in the chain; the smaller id is the earlier entry. */
		if (finding->bad && (finding->bad_audit_id == AUDIT_NO_ENTRY || inserted < finding->bad_audit_id))
			finding->bad = false;
		convict(
			finding, inserted, 0,
			psprintf("entry %lld was slipped in: what its transaction wrote was sealed without it, or its seal is gone",
					 (long long) inserted));
	}
	if (seals > finding->last_seq)
		convict(finding, AUDIT_NO_ENTRY, 0,
				psprintf("the chain ends at seal %lld, the sealer had written %lld: the last ones are missing",
						 (long long) finding->last_seq, (long long) seals));
}

/* read_anchor: 64 hexadecimal digits; 22P02. */
static uint8 *
read_anchor(const char *text)
{
	uint8 *anchor = palloc(PG_SHA256_DIGEST_LENGTH);
	unsigned int byte;

	if (strlen(text) == 2 * PG_SHA256_DIGEST_LENGTH && strspn(text, "0123456789abcdefABCDEF") == strlen(text))
		for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		{
			sscanf(text + 2 * i, "%2x", &byte);
			anchor[i] = byte;
		}
	else
		ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("anchor is no seal hash"),
				errdetail("It has %zu characters; a hash is 64 hexadecimal digits.", strlen(text)),
				errhint("Pass what seal_audit() has returned."));
	return anchor;
}

MM_FUNCTION(mm_verify_audit_log);

/* mm_verify_audit_log(anchor): (ok, entries, unsealed, first_bad_audit_id, detail). */
Datum
mm_verify_audit_log(PG_FUNCTION_ARGS)
{
	char *anchor_text = mm_text_arg(fcinfo, 0, "anchor", false);
	uint8 *anchor = anchor_text ? read_anchor(anchor_text) : NULL;
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	audit_finding finding;
	int64 entries;
	int64 unsealed;
	Datum values[5];
	bool nulls[5] = {false};
	mm_scope scope;
	int level;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	audit_check_seals(PG_INT64_MAX, anchor, &finding);
	level = NewGUCNestLevel();
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	check_rest(&finding, &entries, &unsealed);
	AtEOXact_GUC(true, level);
	if (anchor && !finding.anchor_found)
		convict(&finding, AUDIT_NO_ENTRY, 0,
				pstrdup("no seal has the anchor's hash: what it sealed was changed or is gone, or lies before the "
						"checkpoint of prune_audit()"));
	values[0] = BoolGetDatum(!finding.bad);
	values[1] = Int64GetDatum(entries);
	values[2] = Int64GetDatum(unsealed);
	values[3] = Int64GetDatum(finding.bad_audit_id);
	nulls[3] = !finding.bad || finding.bad_audit_id == AUDIT_NO_ENTRY;
	values[4] = CStringGetTextDatum(finding.bad ? finding.detail
												: psprintf("seals verified: %lld, the last is seal %lld%s",
														   (long long) finding.seals, (long long) finding.last_seq,
														   anchor ? "; the anchor is one of them" : ""));
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	mm_leave(scope);
	return (Datum) 0;
}

/* Set while audit_prune deletes; nobody can set it from outside. */
static bool pruning;

bool
audit_is_pruning(void)
{
	return pruning;
}

/* take_out: the entries up to a seal, and the seals before it. */
static int64
take_out(int64 seq)
{
	static query entries = QUERY("DELETE FROM model_mgr.audit_log l USING model_mgr.audit_seal s"
								 " WHERE s.seq <= $1 AND l.audit_id = s.audit_id",
								 INT8OID);
	static query seals = QUERY("DELETE FROM model_mgr.audit_seal s WHERE s.seq < $1", INT8OID);
	int64 deleted = 0;

	pruning = true;
	PG_TRY();
	{
		deleted = query_run(&entries, int64_arg(seq));
		query_run(&seals, int64_arg(seq));
	}
	PG_FINALLY();
	{
		pruning = false;
	}
	PG_END_TRY();
	return deleted;
}

int64
audit_prune(TimestampTz until, bool wait)
{
	static query through = QUERY("SELECT coalesce((SELECT s.seq - 1 FROM model_mgr.audit_seal s"
								 " JOIN model_mgr.audit_log l ON l.audit_id = s.audit_id"
								 " WHERE l.logged_at >= $1 ORDER BY s.seq LIMIT 1),"
								 " (SELECT pg_catalog.max(s.seq) FROM model_mgr.audit_seal s), 0),"
								 " coalesce((SELECT s.seq FROM model_mgr.audit_seal s JOIN model_mgr.audit_log l"
								 " ON l.audit_id = s.audit_id ORDER BY s.seq LIMIT 1), 0)",
								 TIMESTAMPTZOID);
	audit_finding finding;
	int64 seq;
	int64 first;
	int64 entries;
	int level;

	if (!audit_lock("prune_audit()", wait))
		return 0;
	level = rollup_plan_for_history();
	query_run(&through, time_arg(until));
	AtEOXact_GUC(true, level);
	seq = query_int64(0, 0);
	first = query_int64(0, 1);
	if (first == 0 || seq < first)
		return 0;
	/* After the lock: what the sealer before has committed is seen, which the statement's snapshot may not know. */
	PushActiveSnapshot(GetTransactionSnapshot());
	audit_check_seals(seq, NULL, &finding);
	PopActiveSnapshot();
	if (finding.bad)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the audit log does not verify and cannot be pruned"), errdetail("Found: %s.", finding.detail),
				errhint("Keep it as evidence; SELECT * FROM model_mgr.verify_audit_log() says where it was touched."));
	entries = take_out(seq);
	audit_append("prune_audit", NULL, NULL,
				 json_build(json_time_pair("until", until), json_integer_pair("entries", entries),
							json_integer_pair("checkpoint", seq), json_text_pair("hash", hex(finding.last_hash))));
	return entries;
}

MM_FUNCTION(mm_prune_audit);

/* mm_prune_audit(until): how many entries went. */
Datum
mm_prune_audit(PG_FUNCTION_ARGS)
{
	mm_scope scope;
	int64 entries;

	mm_require(fcinfo, 0, "until");
	scope = mm_enter();
	entries = audit_prune(PG_GETARG_TIMESTAMPTZ(0), true);
	mm_leave(scope);
	PG_RETURN_INT64(entries);
}
