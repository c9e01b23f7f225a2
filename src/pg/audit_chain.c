/*
 * audit_chain.c: the canonical form of an audit entry, its place in the chain, and the sealer. docs/audit.md specifies
 * the form for those who verify an export by themselves; a change here breaks every chain there is.
 *
 * The sealer takes entries by the rollup's batch rule (rollup.c): those that its snapshot sees and the stored watermark
 * does not, own ones aside, in the order of (txn, audit_id). So a late commit is sealed when it is there, and nothing
 * waits for anything at commit. Ids that a restore brought in from elsewhere may look as if they were still to come
 * (audit_log cannot be corrected as observations can): an entry that has its seal is passed over.
 */
#include "pg/audit_chain.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/fmgrprotos.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/txn.h"

/* Models have positive ids; -1 to -4 are taken (75_health.sql lists them). */
#define SEAL_LOCK (-5)

enum
{
	LOGGED_AT = 1,
	TXN = 10,
	DETAILS = 11
};

void
audit_chain_begin(audit_chain *chain)
{
	chain->sha = pg_cryptohash_create(PG_SHA256);
	if (chain->sha == NULL)
		ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
	initStringInfo(&chain->canonical);
	initStringInfo(&chain->details);
	chain->scratch = AllocSetContextCreate(CurrentMemoryContext, "audit entry", ALLOCSET_DEFAULT_SIZES);
	memset(chain->hash, 0, sizeof(chain->hash));
}

void
audit_chain_end(audit_chain *chain)
{
	pg_cryptohash_free(chain->sha);
	pfree(chain->canonical.data);
	pfree(chain->details.data);
	MemoryContextDelete(chain->scratch);
}

/* append_field: "<bytes>:<text>;" in UTF-8, so that no text can look like the border between two. */
static void
append_field(StringInfo out, const char *text, int length)
{
	char *converted = pg_server_to_any(text, length, PG_UTF8);
	char digits[16];

	if (converted != text)
	{
		text = converted;
		length = strlen(converted);
	}
	appendBinaryStringInfo(out, digits, pg_ltoa(length, digits));
	appendStringInfoChar(out, ':');
	appendBinaryStringInfo(out, text, length);
	appendStringInfoChar(out, ';');
}

static void
append_integer(StringInfo out, int64 value)
{
	char digits[MAXINT8LEN + 1];

	append_field(out, digits, pg_lltoa(value, digits));
}

/* append_time: microseconds since 1970, or the words for no point in time. */
static void
append_time(StringInfo out, TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		append_field(out, TIMESTAMP_IS_NOBEGIN(at) ? "-infinity" : "infinity", TIMESTAMP_IS_NOBEGIN(at) ? 9 : 8);
	else
		append_integer(out, at + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
}

/* append_string: as escape_json(), which goes by single characters; few strings have one that must be escaped. */
static void
append_string(StringInfo out, const char *text, int length)
{
	for (int i = 0; i < length; i++)
		if ((unsigned char) text[i] < ' ' || text[i] == '"' || text[i] == '\\')
		{
			escape_json(out, pnstrdup(text, length));
			return;
		}
	appendStringInfoChar(out, '"');
	appendBinaryStringInfo(out, text, length);
	appendStringInfoChar(out, '"');
}

static void
append_scalar(StringInfo out, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendBinaryStringInfo(out, "null", 4);
			break;
		case jbvString:
			append_string(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			appendStringInfoString(
				out, DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))));
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		default:
			elog(ERROR, "unexpected type %d in jsonb", (int) value->type);
	}
}

/* append_jsonb: the text of the server's own output function, in half its time. */
static void
append_jsonb(StringInfo out, Jsonb *jsonb)
{
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue value;
	bool first = true;
	bool raw = false;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				if (!first)
					appendBinaryStringInfo(out, ", ", 2);
				first = true;
				raw = token == WJB_BEGIN_ARRAY && value.val.array.rawScalar;
				if (!raw)
					appendStringInfoChar(out, token == WJB_BEGIN_ARRAY ? '[' : '{');
				break;
			case WJB_KEY:
				if (!first)
					appendBinaryStringInfo(out, ", ", 2);
				append_string(out, value.val.string.val, value.val.string.len);
				appendBinaryStringInfo(out, ": ", 2);
				first = true; /* no comma before its value */
				break;
			case WJB_ELEM:
				if (!first)
					appendBinaryStringInfo(out, ", ", 2);
				/* FALLTHROUGH */
			case WJB_VALUE:
				append_scalar(out, &value);
				first = false;
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				if (!raw)
					appendStringInfoChar(out, token == WJB_END_ARRAY ? ']' : '}');
				first = false;
				break;
			default:
				elog(ERROR, "unexpected token %d in jsonb", (int) token);
		}
}

void
audit_chain_add(audit_chain *chain, const Datum *values, const bool *nulls)
{
	StringInfo out = &chain->canonical;
	MemoryContext outer = MemoryContextSwitchTo(chain->scratch);

	resetStringInfo(out);
	appendBinaryStringInfo(out, (char *) chain->hash, sizeof(chain->hash));
	for (int i = 0; i < AUDIT_ENTRY_COLUMNS; i++)
	{
		if (nulls[i])
			appendStringInfoString(out, "-;");
		else if (i == LOGGED_AT)
			append_time(out, DatumGetTimestampTz(values[i]));
		else if (i == 0 || i == TXN)
			append_integer(out, DatumGetInt64(values[i]));
		else if (i == DETAILS)
		{
			Jsonb *details = DatumGetJsonbP(values[i]);

			resetStringInfo(&chain->details);
			append_jsonb(&chain->details, details);
			append_field(out, chain->details.data, chain->details.len);
		}
		else
		{
			text *word = DatumGetTextPP(values[i]);

			append_field(out, VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word));
		}
	}
	MemoryContextSwitchTo(outer);
	MemoryContextReset(chain->scratch);
	if (pg_cryptohash_init(chain->sha) < 0 ||
		pg_cryptohash_update(chain->sha, (const uint8 *) out->data, out->len) < 0 ||
		pg_cryptohash_final(chain->sha, chain->hash, sizeof(chain->hash)) < 0)
		ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute SHA-256"),
				errdetail("%s.", pg_cryptohash_error(chain->sha)), errhint("See the server's OpenSSL configuration."));
}

bool
audit_lock(const char *what, bool wait)
{
	if (IsolationUsesXactSnapshot())
	{
		if (!wait)
			return false;
		ereport(ERROR, errcode(ERRCODE_INVALID_TRANSACTION_STATE), errmsg("%s must run at READ COMMITTED", what),
				errdetail("The transaction's isolation level is %s.",
						  GetConfigOption("transaction_isolation", false, false)),
				errhint("It must see what others have sealed: call it by itself, or after BEGIN ISOLATION LEVEL READ "
						"COMMITTED."));
	}
	return mm_lock_model(SEAL_LOCK, wait);
}

/* One run of the sealer. */
typedef struct sealing
{
	audit_chain chain;
	int64 seq;    /* the last seal */
	int64 max_id; /* the greatest audit_id that was sealed before this run */
	int64 seen;   /* entries outside the watermark */
	int64 sealed;
	TimestampTz deadline;
	bool complete;
	MemoryContext batch; /* what a batch takes */
} sealing;

/* sealed_already: which entries of a batch have a seal; those above max_id cannot. */
static void
sealed_already(const sealing *s, int count, const int64 *ids, bool *has_seal)
{
	static query find = {.sql = "SELECT u.n FROM pg_catalog.unnest($1) WITH ORDINALITY u (audit_id, n)"
								" WHERE EXISTS (SELECT FROM model_mgr.audit_seal s WHERE s.audit_id = u.audit_id)",
						 .types = {INT8ARRAYOID}};
	Datum *old = palloc(sizeof(Datum) * count);
	int *place = palloc(sizeof(int) * count);
	int n = 0;
	uint64 found;

	for (int i = 0; i < count; i++)
		if (ids[i] <= s->max_id)
		{
			place[n] = i;
			old[n++] = Int64GetDatum(ids[i]);
		}
	if (n == 0)
		return;
	found = query_run(
		&find,
		datum_arg(PointerGetDatum(construct_array(old, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false));
	for (uint64 row = 0; row < found; row++)
		has_seal[place[query_int64(row, 0) - 1]] = true;
	SPI_freetuptable(SPI_tuptable);
}

/* seal_batch: the entries of one fetch. */
static void
seal_batch(sealing *s, SPITupleTable *rows, int count)
{
	static query insert = QUERY("INSERT INTO model_mgr.audit_seal (seq, audit_id, hash)"
								" SELECT $1 + u.n, u.audit_id, pg_catalog.substr($3, 32 * (u.n::integer - 1) + 1, 32)"
								" FROM pg_catalog.unnest($2) WITH ORDINALITY u (audit_id, n)",
								INT8OID, INT8ARRAYOID, BYTEAOID);
	bool *has_seal = palloc0(sizeof(bool) * count);
	int64 *ids = palloc(sizeof(int64) * count);
	Datum *sealed = palloc(sizeof(Datum) * count);
	bytea *hashes = palloc(VARHDRSZ + (Size) count * PG_SHA256_DIGEST_LENGTH);
	int n = 0;

	for (int i = 0; i < count; i++)
	{
		bool isnull;

		ids[i] = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull));
	}
	sealed_already(s, count, ids, has_seal);
	for (int i = 0; i < count; i++)
	{
		Datum values[AUDIT_ENTRY_COLUMNS];
		bool nulls[AUDIT_ENTRY_COLUMNS];

		if (has_seal[i])
			continue;
		heap_deform_tuple(rows->vals[i], rows->tupdesc, values, nulls);
		audit_chain_add(&s->chain, values, nulls);
		memcpy(VARDATA(hashes) + n * PG_SHA256_DIGEST_LENGTH, s->chain.hash, PG_SHA256_DIGEST_LENGTH);
		sealed[n++] = values[0];
	}
	SET_VARSIZE(hashes, VARHDRSZ + n * PG_SHA256_DIGEST_LENGTH);
	if (n > 0)
		query_run(
			&insert, int64_arg(s->seq),
			datum_arg(PointerGetDatum(construct_array(sealed, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false),
			datum_arg(PointerGetDatum(hashes), false));
	s->seq += n;
	s->sealed += n;
	s->seen += count;
}

/* seal_all: what a cursor holds, batch by batch. */
static void
seal_all(sealing *s, Portal cursor)
{
	while (s->complete)
	{
		MemoryContext before;
		SPITupleTable *rows;
		int count;

		SPI_cursor_fetch(cursor, true, AUDIT_BATCH);
		count = SPI_processed;
		rows = SPI_tuptable;
		if (count == 0)
			break;
		before = MemoryContextSwitchTo(s->batch);
		seal_batch(s, rows, count);
		MemoryContextSwitchTo(before);
		MemoryContextReset(s->batch);
		SPI_freetuptable(rows);
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() > s->deadline)
			s->complete = false;
	}
	SPI_cursor_close(cursor);
}

/* begin_chain: after the last seal there is; numbered after the last one written, so that seals which were taken off
 * the end leave a gap for ever. */
static void
begin_chain(sealing *s, int64 written)
{
	static query last = {.sql = "SELECT s.seq, s.hash, (SELECT pg_catalog.max(m.audit_id) FROM model_mgr.audit_seal m)"
								" FROM model_mgr.audit_seal s ORDER BY s.seq DESC LIMIT 1"};

	audit_chain_begin(&s->chain);
	s->seq = written;
	if (query_run(&last) > 0)
	{
		bool isnull;
		bytea *hash = DatumGetByteaPP(query_datum(0, 1, &isnull));

		s->seq = Max(query_int64(0, 0), written);
		s->max_id = query_int64(0, 2);
		if (VARSIZE_ANY_EXHDR(hash) == PG_SHA256_DIGEST_LENGTH)
			memcpy(s->chain.hash, VARDATA_ANY(hash), PG_SHA256_DIGEST_LENGTH);
	}
}

#define THE_STATE " WHERE s.installed_at = (SELECT pg_catalog.min(t.installed_at) FROM model_mgr.audit_seal_state t)"

int64
audit_seal_pending(bool wait, TimestampTz deadline)
{
	/* Under one snapshot, the active one: which entries there are, and what the watermark will say that was seen. */
	static query state = {.sql = "SELECT s.next_txn, s.in_progress,"
								 " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint,"
								 " ARRAY(SELECT x::text::bigint FROM pg_catalog.pg_snapshot_xip("
								 "pg_catalog.pg_current_snapshot()) x), pg_catalog.count(*) OVER () > 1, s.seals"
								 " FROM model_mgr.audit_seal_state s ORDER BY s.installed_at LIMIT 1",
						  .read_only = true};
	static query late = {.sql = "SELECT " AUDIT_ENTRY " FROM model_mgr.audit_log l WHERE l.txn = ANY ($1)"
								" AND l.txn < $2 AND l.txn <> $3 ORDER BY l.txn, l.audit_id",
						 .types = {INT8ARRAYOID, INT8OID, INT8OID},
						 .read_only = true};
	static query fresh = {.sql = "SELECT " AUDIT_ENTRY " FROM model_mgr.audit_log l WHERE l.txn >= $1 AND l.txn <> $2"
								 " ORDER BY l.txn, l.audit_id",
						  .types = {INT8OID, INT8OID},
						  .read_only = true};
	static query keep = QUERY(
		"UPDATE model_mgr.audit_seal_state s SET next_txn = CASE WHEN $1 THEN $2 | $3 ELSE s.next_txn END,"
		" in_progress = CASE WHEN $1 THEN ARRAY(SELECT $2 | x FROM pg_catalog.unnest($4) x) || $5 ELSE s.in_progress END,"
		" seals = $6" THE_STATE,
		BOOLOID, INT8OID, INT8OID, INT8ARRAYOID, INT8OID, INT8OID);
	/* The row that CREATE EXTENSION made before a restore. */
	static query forget = QUERY("DELETE FROM model_mgr.audit_seal_state s WHERE s.installed_at >"
								" (SELECT pg_catalog.min(t.installed_at) FROM model_mgr.audit_seal_state t)");
	sealing s = {.deadline = deadline, .complete = true};
	int64 next_txn;
	int64 own;
	Datum in_progress;
	Datum running;
	int64 xmax;
	int64 written;
	bool restored;
	bool isnull;
	int level;

	if (!audit_lock("seal_audit()", wait))
		return -1;
	level = rollup_plan_for_history();
	s.batch = AllocSetContextCreate(CurrentMemoryContext, "audit batch", ALLOCSET_DEFAULT_SIZES);
	/* After the lock: what the sealer before has committed is seen. */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (query_run(&state) == 0)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("model_mgr.audit_seal_state is empty"),
				errdetail("It holds what has been sealed, from CREATE EXTENSION on."),
				errhint("Restore the table from a dump."));
	next_txn = query_int64(0, 0);
	in_progress = query_datum(0, 1, &isnull);
	xmax = query_int64(0, 2);
	running = query_datum(0, 3, &isnull);
	restored = query_bool(0, 4);
	written = query_int64(0, 5);
	own = FullTransactionIdIsValid(GetTopFullTransactionIdIfAny()) ? txn_key() : -1;
	begin_chain(&s, written);
	seal_all(&s, query_open(&late, datum_arg(in_progress, false), int64_arg(next_txn), int64_arg(own)));
	if (s.complete)
		seal_all(&s, query_open(&fresh, int64_arg(next_txn), int64_arg(own)));
	PopActiveSnapshot();
	if (restored)
		query_run(&forget);
	if (s.seen > 0)
		query_run(&keep, bool_arg(s.complete), int64_arg(txn_era()), int64_arg(xmax), datum_arg(running, false),
				  int64_arg(txn_key()), int64_arg(s.seq));
	audit_chain_end(&s.chain);
	MemoryContextDelete(s.batch);
	AtEOXact_GUC(true, level);
	return s.sealed;
}

MM_FUNCTION(mm_seal_audit);

/* mm_seal_audit(): the last seal in hexadecimal digits; NULL while nothing is sealed. */
Datum
mm_seal_audit(PG_FUNCTION_ARGS)
{
	static query last = QUERY("SELECT pg_catalog.encode(s.hash, 'hex') FROM model_mgr.audit_seal s"
							  " ORDER BY s.seq DESC LIMIT 1");
	mm_scope scope = mm_enter();
	char *hash = NULL;
	text *result = NULL;

	(void) audit_seal_pending(true, DT_NOEND);
	if (query_run(&last) > 0)
		hash = query_text(0, 0);
	if (hash)
	{
		result = SPI_palloc(VARHDRSZ + strlen(hash));
		SET_VARSIZE(result, VARHDRSZ + strlen(hash));
		memcpy(VARDATA(result), hash, strlen(hash));
	}
	mm_leave(scope);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(result);
}
