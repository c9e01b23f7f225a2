/*
 * alert.c: the life of alerts, whoever found the condition. model_mgr.alert is what callers see; model_mgr.alert_state
 * is there while an alert is open, and its unique indexes make it one alert a condition. Events are written in the
 * transaction that changes the alert. Called by threshold_look.c, the anomaly detector and the rollouts.
 */
#include "pg/alert_store.h"

#include <math.h>

#include "pg/event.h"
#include "pg/query.h"

/* write_event: an alert's event, with what a callback is promised. */
static void
write_event(const char *type, int64 alert_id)
{
	static query find = QUERY(
		"SELECT a.model_name, a.version, a.deployment_id, a.kind, a.severity, a.metric_name, a.current_value, a.samples,"
		" a.summary, (SELECT model_mgr.performance_threshold(t.metric_name, t.threshold_value, t.operator, t.severity,"
		" t.duration_minutes, t.action, t.on_no_data) FROM model_mgr.threshold t WHERE t.threshold_id = s.threshold_id)"
		" FROM model_mgr.alert a JOIN model_mgr.alert_state s ON s.alert_id = a.alert_id WHERE a.alert_id = $1",
		INT8OID);
	char *model_name;
	char *version;
	int64 deployment_id;
	Jsonb *data;

	if (query_run(&find, int64_arg(alert_id)) == 0)
		elog(ERROR, "alert %lld is gone", (long long) alert_id);
	model_name = query_text(0, 0);
	version = query_text(0, 1);
	deployment_id = query_int64(0, 2);
	data = json_build(json_integer_pair("alert_id", alert_id), json_text_pair("kind", query_text(0, 3)),
					  json_text_pair("severity", query_text(0, 4)), json_text_pair("metric_name", query_text(0, 5)),
					  json_number_pair("current_value", query_float8(0, 6)),
					  json_integer_pair("samples", query_int64(0, 7)), json_text_pair("summary", query_text(0, 8)),
					  json_object_pair("threshold", query_jsonb(0, 9)));
	(void) event_append(type, model_name, version, deployment_id, data);
}

bool
alert_emit(int64 alert_id)
{
	static query mark =
		QUERY("UPDATE model_mgr.alert_state s SET emitted_at = $2 WHERE s.alert_id = $1 AND s.emitted_at IS NULL"
			  " AND NOT EXISTS (SELECT FROM model_mgr.alert_silence q WHERE q.alert_id = s.alert_id)",
			  INT8OID, TIMESTAMPTZOID);

	if (query_run(&mark, int64_arg(alert_id), time_arg(mm_now())) == 0)
		return false;
	write_event("alert.firing", alert_id);
	return true;
}

int64
alert_emit_due(void)
{
	static query due = QUERY(
		"SELECT s.alert_id, s.model_id FROM model_mgr.alert_state s JOIN model_mgr.alert a ON a.alert_id = s.alert_id"
		" WHERE s.emitted_at IS NULL AND a.status = 'firing'"
		" AND NOT EXISTS (SELECT FROM model_mgr.alert_silence q WHERE q.alert_id = s.alert_id) ORDER BY s.alert_id");
	uint64 count = query_run(&due);
	int64 *ids = palloc(sizeof(int64) * 2 * (count + 1));
	int64 written = 0;

	for (uint64 i = 0; i < count; i++)
	{
		ids[2 * i] = query_int64(i, 0);
		ids[2 * i + 1] = query_int64(i, 1);
	}
	for (uint64 i = 0; i < count; i++)
		if (mm_lock_model(ids[2 * i + 1], false) && alert_emit(ids[2 * i]))
			written++;
	return written;
}

/* find_open: the open alert of a condition without a threshold; 0: none. */
static int64
find_open(const char *kind, int64 model_id, int64 version_id, const char *metric_name)
{
	static query find =
		QUERY("SELECT s.alert_id FROM model_mgr.alert_state s WHERE s.model_id = $1 AND s.version_id = $2"
			  " AND s.kind = $3 AND s.metric_name = $4 AND s.threshold_id IS NULL",
			  INT8OID, INT8OID, TEXTOID, TEXTOID);

	if (query_run(&find, int64_arg(model_id), int64_arg(version_id), text_arg(kind),
				  text_arg(metric_name ? metric_name : "")) == 0)
		return 0;
	return query_int64(0, 0);
}

int64
alert_fire(const alert_facts *facts, bool *fresh)
{
	static query insert = QUERY(
		"INSERT INTO model_mgr.alert (kind, model_name, version, metric_name, severity, status, current_value,"
		" samples, started_at, fired_at, deployment_id, summary, evidence)"
		" VALUES ($1, $2, $3, $4, $5, 'firing', $6, $7, $8, $8, $9, $10, coalesce($11, '{}')) RETURNING alert_id",
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, INT8OID, TIMESTAMPTZOID, INT8OID, TEXTOID, JSONBOID);
	static query track = QUERY("INSERT INTO model_mgr.alert_state (alert_id, model_id, version_id, kind, metric_name,"
							   " looked_at, looks, firing, started_at) VALUES ($1, $2, $3, $4, $5, $6, 1, true, $6)",
							   INT8OID, INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static query update = QUERY("UPDATE model_mgr.alert a SET current_value = $2, samples = $3 WHERE a.alert_id = $1"
								" AND (a.current_value IS DISTINCT FROM $2 OR a.samples IS DISTINCT FROM $3)",
								INT8OID, FLOAT8OID, INT8OID);
	query_arg value = isnan(facts->current_value) ? null_arg() : float8_arg(facts->current_value);
	query_arg now = time_arg(mm_now());
	int64 id = find_open(facts->kind, facts->model_id, facts->version_id, facts->metric_name);

	*fresh = id == 0;
	if (id != 0)
	{
		query_run(&update, int64_arg(id), value, int64_arg(facts->samples));
		return id;
	}
	query_run(&insert, text_arg(facts->kind), text_arg(facts->model_name), text_arg(facts->version),
			  text_arg(facts->metric_name), text_arg(facts->severity), value, int64_arg(facts->samples), now,
			  facts->deployment_id ? int64_arg(facts->deployment_id) : null_arg(), text_arg(facts->summary),
			  jsonb_arg(facts->evidence));
	id = query_int64(0, 0);
	query_run(&track, int64_arg(id), int64_arg(facts->model_id), int64_arg(facts->version_id), text_arg(facts->kind),
			  text_arg(facts->metric_name ? facts->metric_name : ""), now);
	(void) alert_emit(id);
	return id;
}

/* close_shadow: a rollback that led nowhere is told for as long as the alert that asked for it fires, or another that
 * asks for the same. */
static void
close_shadow(int64 alert_id, const Jsonb *how)
{
	static query find =
		QUERY("SELECT o.alert_id FROM model_mgr.alert_state s JOIN model_mgr.alert_state o ON o.model_id = s.model_id"
			  " AND o.version_id = s.version_id AND o.metric_name = s.metric_name AND o.kind = 'rollout'"
			  " WHERE s.alert_id = $1 AND s.threshold_id IS NOT NULL"
			  " AND NOT EXISTS (SELECT FROM model_mgr.alert_state e JOIN model_mgr.alert a ON a.alert_id = e.alert_id"
			  " WHERE e.model_id = s.model_id AND e.version_id = s.version_id AND e.metric_name = s.metric_name"
			  " AND e.alert_id <> s.alert_id AND a.status = 'firing' AND a.action = 'rollback')",
			  INT8OID);

	if (query_run(&find, int64_arg(alert_id)) > 0)
		alert_close(query_int64(0, 0), how);
}

void
alert_close(int64 alert_id, const Jsonb *how)
{
	static query find = QUERY("SELECT a.status, s.emitted_at IS NOT NULL FROM model_mgr.alert a"
							  " JOIN model_mgr.alert_state s ON s.alert_id = a.alert_id WHERE a.alert_id = $1",
							  INT8OID);
	static query resolve =
		QUERY("UPDATE model_mgr.alert a SET status = 'resolved', resolved_at = $2,"
			  " evidence = a.evidence || pg_catalog.jsonb_build_object('resolved', $3) WHERE a.alert_id = $1",
			  INT8OID, TIMESTAMPTZOID, JSONBOID);
	static query forget = QUERY("DELETE FROM model_mgr.alert a WHERE a.alert_id = $1", INT8OID);
	static query untrack = QUERY("DELETE FROM model_mgr.alert_state s WHERE s.alert_id = $1", INT8OID);
	bool emitted;

	if (query_run(&find, int64_arg(alert_id)) == 0)
		return;
	emitted = query_bool(0, 1);
	if (strcmp(query_text(0, 0), "firing") == 0)
	{
		query_run(&resolve, int64_arg(alert_id), time_arg(mm_now()), jsonb_arg(how));
		/* Whoever heard of the beginning hears of the end, silence or not. */
		if (emitted)
			write_event("alert.resolved", alert_id);
		close_shadow(alert_id, how);
	}
	else
		query_run(&forget, int64_arg(alert_id));
	query_run(&untrack, int64_arg(alert_id));
}

int64
alert_close_all(uint64 rows, const Jsonb *how)
{
	int64 *ids = palloc(sizeof(int64) * (rows + 1));

	for (uint64 i = 0; i < rows; i++)
		ids[i] = query_int64(i, 0);
	for (uint64 i = 0; i < rows; i++)
		alert_close(ids[i], how);
	return (int64) rows;
}

bool
alert_resolve(const char *kind, int64 model_id, int64 version_id, const char *metric_name)
{
	int64 id = find_open(kind, model_id, version_id, metric_name);

	if (id == 0)
		return false;
	alert_close(id, json_build(json_text_pair("why", "the condition is over")));
	return true;
}

void
alert_forget_model(int64 model_id)
{
	static query open = QUERY("SELECT s.alert_id FROM model_mgr.alert_state s WHERE s.model_id = $1", INT8OID);
	static query deletes[] = {
		QUERY("DELETE FROM model_mgr.threshold t WHERE t.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.threshold_look t WHERE t.model_id = $1", INT8OID),
		QUERY("DELETE FROM model_mgr.silence s WHERE s.model_id = $1", INT8OID),
	};

	(void) alert_close_all(query_run(&open, int64_arg(model_id)),
						   json_build(json_text_pair("why", "the model was deleted")));
	for (int i = 0; i < lengthof(deletes); i++)
		query_run(&deletes[i], int64_arg(model_id));
}

int64
alert_prune(TimestampTz limit)
{
	/* What was over then had begun before: the index is on that. */
	static query old =
		QUERY("DELETE FROM model_mgr.alert a WHERE a.fired_at < $1 AND a.resolved_at < $1 AND a.status = 'resolved'",
			  TIMESTAMPTZOID);

	return (int64) query_run(&old, time_arg(limit));
}
