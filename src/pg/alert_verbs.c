/*
 * alert_verbs.c: what people do about alerts: acknowledge one, silence a model. Each takes the model's lock and leaves
 * a row in the audit log.
 */
#include "pg/alert.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "core/metric.h"
#include "pg/audit.h"
#include "pg/query.h"
#include "pg/registry.h"

MM_FUNCTION(mm_acknowledge_alert);
MM_FUNCTION(mm_silence);

/* Columns of model_mgr.alert. */
#define ALERT_COLUMNS 21

/* alert_model: the model of an alert, its status copied to *status; 42704 when there is no such alert. 0: the model is
 * gone. */
static int64
alert_model(int64 alert_id, char **status)
{
	static query find = QUERY("SELECT m.model_id, a.status, a.model_name FROM model_mgr.alert a"
							  " LEFT JOIN model_mgr.model m ON m.model_name = a.model_name WHERE a.alert_id = $1",
							  INT8OID);
	int64 model_id;

	if (query_run(&find, int64_arg(alert_id)) == 0)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("alert %lld does not exist", (long long) alert_id),
				errdetail("No alert has this id."),
				errhint("SELECT * FROM model_mgr.get_active_alerts() shows those that fire."));
	*status = query_text(0, 1);
	model_id = query_int64(0, 0);
	registry_check_grant(query_text(0, 2));
	return model_id;
}

/* put_alert: the alert's row as the one row of the answer. */
static void
put_alert(ReturnSetInfo *set, int64 alert_id)
{
	static query find = QUERY("SELECT a.* FROM model_mgr.alert a WHERE a.alert_id = $1", INT8OID);
	Datum values[ALERT_COLUMNS];
	bool nulls[ALERT_COLUMNS];

	if (query_run(&find, int64_arg(alert_id)) != 1 || set->setDesc->natts != ALERT_COLUMNS)
		elog(ERROR, "alert %lld is gone", (long long) alert_id);
	for (int i = 0; i < ALERT_COLUMNS; i++)
		values[i] = query_datum(0, i, &nulls[i]);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/* mm_acknowledge_alert(alert_id bigint, note text): setof alert, one row. */
Datum
mm_acknowledge_alert(PG_FUNCTION_ARGS)
{
	static query set = QUERY(
		"UPDATE model_mgr.alert a SET acknowledged_at = coalesce(a.acknowledged_at, $2), note = coalesce($3, a.note),"
		" evidence = CASE WHEN a.acknowledged_at IS NULL"
		" THEN a.evidence || pg_catalog.jsonb_build_object('acknowledged_by', $4) ELSE a.evidence END"
		" WHERE a.alert_id = $1 RETURNING a.model_name, a.version",
		INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID);
	char *note = mm_text_arg(fcinfo, 1, "note", false);
	int64 alert_id;
	int64 model_id;
	char *status;
	mm_scope scope;

	mm_require(fcinfo, 0, "alert_id");
	alert_id = PG_GETARG_INT64(0);
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	model_id = alert_model(alert_id, &status);
	if (model_id != 0)
	{
		(void) mm_lock_model(model_id, true);
		(void) alert_model(alert_id, &status); /* it may have ended meanwhile */
	}
	if (strcmp(status, "resolved") == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("alert %lld is resolved", (long long) alert_id),
				errdetail("Only alerts that are pending or firing can be acknowledged."),
				errhint("SELECT * FROM model_mgr.get_active_alerts() shows those that fire."));
	query_run(&set, int64_arg(alert_id), time_arg(mm_now()), text_arg(note && *note ? note : NULL),
			  text_arg(mm_session_user_name()));
	audit_append("acknowledge_alert", query_text(0, 0), query_text(0, 1),
				 json_build(json_integer_pair("alert_id", alert_id), json_text_pair("note", note)));
	put_alert((ReturnSetInfo *) fcinfo->resultinfo, alert_id);
	mm_leave(scope);
	return (Datum) 0;
}

/* mm_silence(model_name text, until timestamptz, reason text, metric_name text). */
Datum
mm_silence(PG_FUNCTION_ARGS)
{
	/* A metric of two names is one metric: its silences are found by either. */
	static query clear = QUERY("DELETE FROM model_mgr.silence s WHERE s.model_id = $1"
							   " AND (s.until <= $3 OR CASE WHEN $2 IS NULL THEN s.metric_names IS NULL"
							   " ELSE $2 = ANY (s.metric_names) END)",
							   INT8OID, TEXTOID, TIMESTAMPTZOID);
	static query set = QUERY(
		"INSERT INTO model_mgr.silence (model_id, model_name, metric_name, metric_names, until, reason, set_by, set_at)"
		" VALUES ($1, $2, $3, CASE WHEN $3 IS NOT NULL THEN ARRAY[$3, $4]"
		" || ARRAY(SELECT l.alias FROM model_mgr.metric_list l WHERE l.metric_name = $4 AND l.alias IS NOT NULL) END,"
		" $5, $6, $7, $8) ON CONFLICT (model_id, coalesce(metric_name, '')) DO UPDATE SET metric_names = excluded.metric_names,"
		" until = excluded.until, reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at",
		INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *reason = mm_text_arg(fcinfo, 2, "reason", false);
	char *metric_name = mm_text_arg(fcinfo, 3, "metric_name", false);
	TimestampTz until;
	TimestampTz now;
	int64 model_id;
	mm_scope scope;

	mm_require(fcinfo, 1, "until");
	until = PG_GETARG_TIMESTAMPTZ(1);
	if (metric_name)
		mm_check_name("metric name", metric_name);
	scope = mm_enter();
	model_id = registry_lock_model(model_name);
	now = mm_now();
	query_run(&clear, int64_arg(model_id), text_arg(metric_name), time_arg(now));
	if (until > now)
		query_run(&set, int64_arg(model_id), text_arg(model_name), text_arg(metric_name),
				  text_arg(metric_name ? metric_canonical(metric_name) : NULL), time_arg(until),
				  text_arg(reason ? reason : ""), text_arg(mm_session_user_name()), time_arg(now));
	audit_append("silence", model_name, NULL,
				 json_build(json_text_pair("metric_name", metric_name), json_time_pair("until", until),
							json_text_pair("reason", reason)));
	mm_leave(scope);
	PG_RETURN_VOID();
}
