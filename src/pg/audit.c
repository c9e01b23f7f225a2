/*
 * audit.c: appending to the audit log. Rows carry who (session_user and the caller before rights were switched), from
 * where and the transaction; time is the real one, since a clock held still must not date the evidence.
 */
#include "pg/audit.h"

#include "commands/trigger.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "pg/audit_chain.h"
#include "pg/configuration.h"
#include "pg/json_tree.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/txn.h"

MM_FUNCTION(mm_audit_guard);

/* Of the text of an entry's details, which sealing and exporting make in one piece. */
#define MAX_DETAILS (256 * 1024 * 1024)

/* check_size: 54000 for details whose text may be longer, so that no entry stops the sealer. */
static void
check_size(const Jsonb *details)
{
	if (json_text_exceeds(details, MAX_DETAILS))
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("details are too large for the audit log"),
				errdetail("Their text may have more than %d MB.", MAX_DETAILS / (1024 * 1024)),
				errhint("Store the document elsewhere and log its digest."));
}

int64
audit_append_as(const char *operation, const char *model_name, const char *version, const char *user_name,
				const Jsonb *details)
{
	static query append = QUERY(
		"INSERT INTO model_mgr.audit_log (logged_at, operation, model_name, version, user_name, caller, session_id,"
		" application_name, client_address, txn, details)"
		" VALUES (pg_catalog.clock_timestamp(), $1, $2, $3, $4, $5, $6, $7,"
		" pg_catalog.host(pg_catalog.inet_client_addr()), $8, coalesce($9, '{}')) RETURNING audit_id",
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, JSONBOID);

	if (details)
		check_size(details);
	/* The session id is the server log's %c, so that the two can be joined. */
	query_run(&append, text_arg(operation), text_arg(model_name), text_arg(version), text_arg(user_name),
			  text_arg(mm_caller_name()), text_arg(psprintf("%lx.%x", (long) MyStartTime, MyProcPid)),
			  text_arg(application_name && *application_name ? application_name : NULL), int64_arg(txn_key()),
			  jsonb_arg(details));
	return query_int64(0, 0);
}

void
audit_append(const char *operation, const char *model_name, const char *version, const Jsonb *details)
{
	(void) audit_append_as(operation, model_name, version, mm_session_user_name(), details);
}

MM_FUNCTION(mm_log_operation);

/* mm_log_operation(operation, model_name, version, user_name, details): an entry of the application's own. */
Datum
mm_log_operation(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"operation", "model_name", "version", "user_name"};
	char *given[lengthof(names)];
	Jsonb *details = PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4);
	mm_scope scope;
	int64 audit_id;

	for (int i = 0; i < lengthof(names); i++)
	{
		given[i] = mm_text_arg(fcinfo, i, names[i], i == 0);
		if (given[i])
			mm_check_name(names[i], given[i]);
	}
	/* verify_audit_log() takes such an entry for the reason why the beginning of the chain is gone. */
	if (strcmp(given[0], "prune_audit") == 0)
		ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("operation \"prune_audit\" is reserved"),
				errdetail("Entries of it say where prune_audit() has left the chain's first seal."),
				errhint("Call the operation otherwise."));
	if (details)
		json_require_object("details", details);
	PreventCommandIfReadOnly("log_operation()");
	scope = mm_enter();
	if (given[1])
		registry_check_grant(given[1]);
	audit_id = audit_append_as(given[0], given[1], given[2], mm_by(given[3]), details);
	mm_leave(scope);
	PG_RETURN_INT64(audit_id);
}

/* mm_audit_guard: statement trigger BEFORE UPDATE, DELETE and TRUNCATE: what is logged stays as it was written, until
 * prune_audit() takes the oldest out behind a checkpoint. */
Datum
mm_audit_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("audit_guard() is a statement trigger before UPDATE, DELETE or TRUNCATE"),
				errdetail("It was called otherwise."), errhint("Leave it to the table audit_log."));
	if (audit_is_pruning() && TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		PG_RETURN_POINTER(NULL);
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("%s is append-only", RelationGetRelationName(trigger->tg_relation)),
			errdetail("%s was refused.", TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)   ? "UPDATE"
										 : TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "DELETE"
																					  : "TRUNCATE"),
			errhint("Append a correction with log_operation(); prune_audit() takes out what is old."));
}
