/*
 * routing_key.c: the installation's key, unit hashes and the seal of decisions. Two keys are derived from the stored
 * one, since unit_hash() hashes what its caller chooses and must not be a way to make seals.
 */
#include "pg/mm.h"

#include "pg/routing_internal.h"

static siphash_key unit_key;
static siphash_key seal_key;
static uint64 keys_checked; /* generation they were read in; 0: never */

/* load_keys: ensures that the derived keys are those of the oldest row (a restored row is older than the one that
 * CREATE EXTENSION made, and wins). */
static void
load_keys(void)
{
	routing_accept_messages();
	do
	{
		uint64 generation;
		routing_scan scan;
		TimestampTz oldest = 0;
		siphash_key master = {0, 0};
		bool found = false;
		HeapTuple tuple;

		routing_watch_signal();
		generation = routing_current_generation;
		scan = routing_scan_begin("unit_key", NULL, 0, NULL);
		while (HeapTupleIsValid(tuple = routing_scan_next(&scan)))
		{
			Datum values[2];
			bool nulls[2];
			bytea *bytes;

			heap_deform_tuple(tuple, RelationGetDescr(scan.relation), values, nulls);
			if (found && DatumGetTimestampTz(values[0]) >= oldest)
				continue;
			bytes = DatumGetByteaPP(values[1]);
			oldest = DatumGetTimestampTz(values[0]);
			master = siphash_key_read((unsigned char *) VARDATA_ANY(bytes));
			found = true;
		}
		routing_scan_end(&scan);
		if (!found)
			ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("model_mgr.unit_key is empty"),
					errdetail("It holds the key of this installation from CREATE EXTENSION on."),
					errhint("Restore the table from a dump."));
		unit_key = siphash_key_derive(&master, "unit");
		seal_key = siphash_key_derive(&master, "decision");
		keys_checked = generation;
		routing_note_read();
	} while (keys_checked != routing_current_generation);
}

const siphash_key *
routing_unit_key(void)
{
	if (unlikely(keys_checked != routing_current_generation))
		load_keys();
	return &unit_key;
}

const siphash_key *
routing_seal_key(void)
{
	if (unlikely(keys_checked != routing_current_generation))
		load_keys();
	return &seal_key;
}

int64
unit_hash_of(const char *unit, int length)
{
	return (int64) siphash(routing_unit_key(), unit, length);
}

text *
routing_encode_decision(const decision *from)
{
	text *result = palloc(VARHDRSZ + DECISION_MAX_LENGTH);

	SET_VARSIZE(result, VARHDRSZ + decision_encode(from, routing_seal_key(), VARDATA(result)));
	return result;
}

void
routing_decode_decision(const char *from, int length, decision *to)
{
	const char *detail = NULL;

	switch (decision_decode(from, length, routing_seal_key(), to))
	{
		case DECISION_OK:
			return;
		case DECISION_BAD_LENGTH:
			detail = "No decision has that length.";
			break;
		case DECISION_BAD_CHARACTER:
			detail = "It holds a character that no decision holds.";
			break;
		case DECISION_BAD_FORMAT:
			detail = "Its format is of another version of model_mgr.";
			break;
		case DECISION_BAD_SEAL:
			detail = "Its checksum does not fit: it was changed, cut, or made by another installation.";
			break;
	}
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid decision"),
			errdetail("%s It has %d bytes.", detail, length),
			errhint("Pass the column \"decision\" of model_mgr.route() unchanged."));
}

MM_FUNCTION(mm_unit_hash);

/* mm_unit_hash: NULL and the empty text are no unit. */
Datum
mm_unit_hash(PG_FUNCTION_ARGS)
{
	text *unit;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	unit = PG_GETARG_TEXT_PP(0);
	if (VARSIZE_ANY_EXHDR(unit) == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(unit_hash_of(VARDATA_ANY(unit), VARSIZE_ANY_EXHDR(unit)));
}
