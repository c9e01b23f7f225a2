/*
 * validator_run.c: judging: the rules of an update or a deployment as rows of validation_result, worked off by work()
 * one a commit, and the verdict over them. What user code may do while it judges is in user_code.h; a shipped validator
 * is a function of this extension, run as its owner.
 */
#include "pg/validator.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "pg/audit.h"
#include "pg/json_tree.h"
#include "pg/query.h"
#include "pg/user_code.h"

/* Of the text of a validator's details; of the beginning that is kept of longer ones; and of texts that are made. */
#define MAX_DETAILS (64 * 1024)
#define DETAILS_BEGINNING 1000
#define MAX_TEXT (256 * 1024 * 1024)

void
validator_ask(const char *update_id, int64 deployment_id, const Jsonb *rules, TimestampTz due)
{
	static query add =
		QUERY("INSERT INTO model_mgr.validation_result (update_id, deployment_id, \"position\", rule, due_at)"
			  " SELECT $1, $2, r.n, r.rule, $4 FROM pg_catalog.jsonb_array_elements($3) WITH ORDINALITY r (rule, n)",
			  TEXTOID, INT8OID, JSONBOID, TIMESTAMPTZOID);

	query_run(&add, text_arg(update_id), deployment_id ? int64_arg(deployment_id) : null_arg(), jsonb_arg(rules),
			  time_arg(due));
}

void
validator_postpone(int64 deployment_id, TimestampTz due)
{
	static query set = QUERY("UPDATE model_mgr.validation_result r SET due_at = $2 WHERE r.deployment_id = $1"
							 " AND r.passed IS NULL AND r.due_at <> $2",
							 INT8OID, TIMESTAMPTZOID);

	query_run(&set, int64_arg(deployment_id), time_arg(due));
}

validator_verdict
validator_judge(const char *update_id, int64 deployment_id, char **why)
{
	static query count = QUERY(
		"SELECT count(*) FILTER (WHERE r.passed IS NULL), pg_catalog.string_agg(pg_catalog.format('rule \"%s\": %s',"
		" r.rule ->> 'name', r.message), '; ' ORDER BY r.\"position\") FILTER (WHERE NOT r.passed AND (r.rule -> 'required')::bool"
		" AND r.rule ->> 'severity' = ANY ('{error,critical}'::text[])) FROM model_mgr.validation_result r"
		" WHERE r.update_id = $1 OR r.deployment_id = $2",
		TEXTOID, INT8OID);

	query_run(&count, text_arg(update_id), deployment_id ? int64_arg(deployment_id) : null_arg());
	if (query_int64(0, 0) > 0)
		return VALIDATOR_WAITS;
	if (query_isnull(0, 1))
		return VALIDATOR_PASSED;
	if (why)
		*why = query_text(0, 1);
	return VALIDATOR_REFUSED;
}

Jsonb *
validator_results(const char *update_id, int64 deployment_id)
{
	static query list = QUERY(
		"SELECT coalesce(pg_catalog.jsonb_agg(r.rule || pg_catalog.jsonb_build_object('passed', r.passed, 'message', r.message,"
		" 'details', r.details, 'seconds', r.seconds, 'finished_at', r.finished_at) ORDER BY r.\"position\"), '[]')"
		" FROM model_mgr.validation_result r WHERE (r.update_id = $1 OR r.deployment_id = $2) AND r.passed IS NOT NULL",
		TEXTOID, INT8OID);

	query_run(&list, text_arg(update_id), deployment_id ? int64_arg(deployment_id) : null_arg());
	return query_jsonb(0, 0);
}

/* A rule that is being judged. */
typedef struct judging
{
	int64 result_id;
	char *name; /* of the validator */
	TimestampTz began;
	const Jsonb *argument;
	bool shipped;
	user_code code;
	bool passed;
	char *message;
	Jsonb *details;
} judging;

/* note: what came of it. */
static void
note(const judging *j)
{
	static query set = QUERY(
		"UPDATE model_mgr.validation_result r SET passed = $2, message = pg_catalog.left($3, 2000), details = $4, seconds = $5, finished_at = $6,"
		" started_by = NULL WHERE r.result_id = $1",
		INT8OID, BOOLOID, TEXTOID, JSONBOID, FLOAT8OID, TIMESTAMPTZOID);

	query_run(&set, int64_arg(j->result_id), bool_arg(j->passed), text_arg(j->message), jsonb_arg(j->details),
			  float8_arg((double) (GetCurrentTimestamp() - j->began) / USECS_PER_SEC), time_arg(mm_now()));
}

/* refuse: it has not passed, and why. */
static void
refuse(int64 result_id, TimestampTz began, const char *why)
{
	judging j = {.result_id = result_id, .began = began, .message = pstrdup(why)};

	note(&j);
}

/* disable: no more calls until it is registered again. */
static void
disable(const char *name, const char *reason)
{
	static query set = QUERY("UPDATE model_mgr.validator v SET disabled_at = $2, disabled_reason = $3"
							 " WHERE v.validator_name = $1 AND v.disabled_at IS NULL",
							 TEXTOID, TIMESTAMPTZOID, TEXTOID);

	if (query_run(&set, text_arg(name), time_arg(mm_now()), text_arg(reason)) == 0)
		return;
	ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("validator \"%s\" is disabled: %s", name, reason), errdetail("Rules that name it fail."),
			errhint("Put it right, then register it again; model_mgr.validator_list shows it."));
	audit_append("disable_validator", NULL, NULL,
				 json_build(json_text_pair("name", name), json_text_pair("reason", reason)));
}

bool
validator_begin(int64 result_id)
{
	static query lock = QUERY(
		"SELECT r.started_at, r.started_by, r.rule ->> 'validator_function',"
		" v.origin IS NOT DISTINCT FROM $3 AND v.validator_id IS NOT NULL"
		" FROM model_mgr.validation_result r LEFT JOIN model_mgr.validator v ON v.validator_name = r.rule ->> 'validator_function'"
		" WHERE r.result_id = $1 AND r.passed IS NULL AND r.due_at <= $2 FOR UPDATE OF r SKIP LOCKED",
		INT8OID, TIMESTAMPTZOID, TEXTOID);
	/* Real time: it is compared with the server's start. */
	static query mark = QUERY("UPDATE model_mgr.validation_result r SET started_at = pg_catalog.clock_timestamp(),"
							  " started_by = $2 WHERE r.result_id = $1",
							  INT8OID, INT4OID);

	/* While it is judged its session holds the row's lock. */
	if (query_run(&lock, int64_arg(result_id), time_arg(mm_now()), text_arg(user_code_origin())) == 0)
		return false;
	/* Of another cluster, or of no registered code, a mark says nothing. */
	if (!query_isnull(0, 1) && query_bool(0, 3))
		switch (user_code_marked(query_time(0, 0), query_int32(0, 1)))
		{
			char *name;

			case USER_CODE_FREE:
				break;
			case USER_CODE_BUSY:
				return false;
			case USER_CODE_LEFT:
				name = query_text(0, 2);
				refuse(result_id, query_time(0, 0), "the session that ran it has ended");
				disable(name, "the session that ran it has ended");
				return false;
		}
	query_run(&mark, int64_arg(result_id), int32_arg(MyProcPid));
	return true;
}

/* find: the registered function, else the shipped one of that name; else why there is none that may be run. */
static const char *
find(judging *j)
{
	static query registered =
		QUERY("SELECT v.function::bigint, v.signature, v.role::bigint, v.role_name, v.origin = $2, v.disabled_reason"
			  " FROM model_mgr.validator v WHERE v.validator_name = $1",
			  TEXTOID, TEXTOID);
	static query shipped =
		QUERY("SELECT FROM model_mgr.validator_list l WHERE l.validator_name = $1 AND l.shipped", TEXTOID);
	static query store = QUERY("UPDATE model_mgr.validator v SET function = $2::bigint::oid, role = $3::bigint::oid,"
							   " origin = $4 WHERE v.validator_name = $1",
							   TEXTOID, INT8OID, INT8OID, TEXTOID);
	user_code stored;
	const char *lost;

	if (query_run(&registered, text_arg(j->name), text_arg(user_code_origin())) == 0)
	{
		j->shipped = query_run(&shipped, text_arg(j->name)) > 0;
		return j->shipped ? NULL : psprintf("validator \"%s\" does not exist any more", j->name);
	}
	if (!query_isnull(0, 5))
		return psprintf("validator \"%s\" is disabled: %s", j->name, query_text(0, 5));
	j->code = (user_code){.function = (Oid) query_int64(0, 0),
						  .signature = query_text(0, 1),
						  .role = (Oid) query_int64(0, 2),
						  .role_name = query_text(0, 3)};
	stored = j->code;
	lost = user_code_find(&j->code, query_bool(0, 4));
	if (lost)
		disable(j->name, lost);
	else if (j->code.function != stored.function || j->code.role != stored.role)
		query_run(&store, text_arg(j->name), int64_arg(j->code.function), int64_arg(j->code.role),
				  text_arg(user_code_origin()));
	return lost;
}

/* kept: details as they are stored, shown and audited with the update. They are user code's, of any size: of what is
 * longer the beginning is kept, with a note. */
static Jsonb *
kept(Jsonb *details)
{
	static const char *const note = "the text of these details is longer than the 64 kB that are kept";
	char *text = NULL;

	if (details == NULL || !json_text_exceeds(details, MAX_DETAILS))
		return details;
	if (!json_text_exceeds(details, MAX_TEXT))
	{
		text = JsonbToCString(NULL, &details->root, VARSIZE_ANY_EXHDR(details));
		text[pg_mbcliplen(text, strlen(text), DETAILS_BEGINNING)] = '\0';
	}
	return json_build(json_text_pair("cut", note), json_text_pair("beginning", text));
}

/* read_answer: {"passed", "message", "details"} of a row; no row has not passed. */
static void
read_answer(judging *j, const Jsonb *answer)
{
	static query read = QUERY("SELECT ($1 -> 'passed')::bool, $1 ->> 'message', $1 -> 'details'"
							  " WHERE pg_catalog.jsonb_typeof($1 -> 'passed') = 'boolean'",
							  JSONBOID);

	if (answer == NULL || query_run(&read, jsonb_arg(answer)) == 0)
	{
		j->message = pstrdup(answer ? "it did not say whether it passed" : "it returned no row");
		return;
	}
	j->passed = query_bool(0, 0);
	j->message = query_text(0, 1);
	j->details = kept(query_jsonb(0, 2));
}

/* call_shipped: by name, one of those that validator_list shows. */
static int64
call_shipped(int64 argument)
{
	judging *j = (judging *) (intptr_t) argument;
	Oid type = JSONBOID;
	Datum value = PointerGetDatum(j->argument);
	bool isnull = true;

	if (SPI_execute_with_args(
			psprintf("SELECT pg_catalog.to_jsonb(r) FROM model_mgr.%s($1) r", quote_identifier(j->name)), 1, &type,
			&value, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not call %s", j->name);
	if (SPI_processed > 0)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	read_answer(j, isnull ? NULL : DatumGetJsonbP(value));
	return 0;
}

/* of_update, of_deployment: what a validator is given, as the contract says. */
#define ARGUMENT                                                                                                       \
	"'target_version', v.version, 'current_version', a.version, 'new_configuration', v.configuration,"                 \
	" 'current_configuration', a.configuration, 'tags', pg_catalog.to_jsonb(v.tags), 'labels', v.labels"

static Jsonb *
argument_of(const char *update_id, int64 deployment_id)
{
	static query of_update =
		QUERY("SELECT pg_catalog.jsonb_build_object('update_id', u.update_id, 'model_name', u.model_name, " ARGUMENT
			  ", 'trigger', u.trigger, 'deployment_strategy', u.deployment_strategy, 'triggered_by', u.triggered_by,"
			  " 'notes', pg_catalog.to_jsonb(u.notes)) FROM model_mgr.update_run u"
			  " JOIN model_mgr.update_plan p ON p.update_id = u.update_id"
			  " JOIN model_mgr.model_version v ON v.version_id = p.version_id"
			  " LEFT JOIN model_mgr.model_version a ON a.model_id = p.model_id AND a.status = 'active'"
			  " WHERE u.update_id = $1 AND u.status = 'validating'",
			  TEXTOID);
	static query of_deployment = QUERY(
		"SELECT pg_catalog.jsonb_build_object('update_id', NULL, 'model_name', d.model_name, " ARGUMENT
		", 'trigger', NULL, 'deployment_strategy', d.strategy, 'triggered_by', d.deployed_by, 'notes', '[]'::jsonb)"
		" FROM model_mgr.deployment d JOIN model_mgr.deployment_plan p ON p.deployment_id = d.deployment_id"
		" JOIN model_mgr.model_version v ON v.version_id = p.version_id"
		" LEFT JOIN model_mgr.model_version a ON a.model_id = p.model_id AND a.status = 'active'"
		" WHERE d.deployment_id = $1 AND d.status = 'pending'",
		INT8OID);
	uint64 found =
		update_id ? query_run(&of_update, text_arg(update_id)) : query_run(&of_deployment, int64_arg(deployment_id));

	return found > 0 ? query_jsonb(0, 0) : NULL;
}

void
validator_run(int64 result_id)
{
	static query lock =
		QUERY("SELECT r.rule ->> 'validator_function', r.update_id, r.deployment_id FROM model_mgr.validation_result r"
			  " WHERE r.result_id = $1 AND r.passed IS NULL AND r.started_by = $2 FOR UPDATE",
			  INT8OID, INT4OID);
	judging j = {.result_id = result_id, .began = GetCurrentTimestamp()};
	const char *lost;
	char *update_id;
	bool isnull;
	Datum answer;
	ErrorData *error = NULL;
	int64 items;

	if (query_run(&lock, int64_arg(result_id), int32_arg(MyProcPid)) == 0)
		return;
	j.name = query_text(0, 0);
	update_id = query_text(0, 1);
	j.argument = argument_of(update_id, query_int64(0, 2));
	/* Cancelled or aborted meanwhile: nobody asks any more. */
	if (j.argument == NULL)
	{
		refuse(result_id, j.began, "it was not asked any more");
		return;
	}
	lost = find(&j);
	if (lost)
		j.message = pstrdup(lost);
	else if (j.shipped)
	{
		if (!mm_attempt(call_shipped, (intptr_t) &j, &items, &error))
		{
			j.passed = false;
			j.message = psprintf("%s (SQLSTATE %s)", error->message, unpack_sql_state(error->sqlerrcode));
		}
	}
	else if (user_code_call(&j.code, guc_validation_timeout, j.argument, &answer, &isnull, &j.message))
		read_answer(&j, isnull ? NULL : DatumGetJsonbP(answer));
	note(&j);
}

void
validator_interrupted(int64 result_id, const char *reason)
{
	static query mine = QUERY("SELECT r.started_at FROM model_mgr.validation_result r WHERE r.result_id = $1"
							  " AND r.passed IS NULL AND r.started_by = $2 FOR UPDATE",
							  INT8OID, INT4OID);

	if (query_run(&mine, int64_arg(result_id), int32_arg(MyProcPid)) > 0)
		refuse(result_id, query_time(0, 0), reason);
}
