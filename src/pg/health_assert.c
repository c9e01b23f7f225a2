/*
 * health_assert.c: assert_healthy(), which a pipeline calls after a deployment: silent when nothing speaks against the
 * version, else 55000 with everything that does. It reads only, so it answers on a standby and takes no lock.
 *
 * Against a version speak: its status, an alert that fires, a threshold that its metrics break this moment (whether or
 * not that has lasted), and a limit of the rollout that it is in. Silence of the data does not, unless a threshold says
 * so by on_no_data: a version that nobody has called yet is not ill.
 */
#include "pg/mm.h"

#include <math.h>

#include "lib/stringinfo.h"

#include "core/breach.h"
#include "pg/metric.h"
#include "pg/query.h"
#include "pg/registry.h"

/* say: one more thing that is wrong, as a sentence without its full stop. */
static void say(StringInfo wrong, const char *format, ...) pg_attribute_printf(2, 3);

static void
say(StringInfo wrong, const char *format, ...)
{
	va_list args;
	int needed;

	if (wrong->len > 0)
		appendStringInfoString(wrong, "; ");
	do
	{
		va_start(args, format);
		needed = appendStringInfoVA(wrong, format, args);
		va_end(args);
		if (needed > 0)
			enlargeStringInfo(wrong, needed);
	} while (needed > 0);
}

/* say_status: versions that were taken out of service. */
static void
say_status(StringInfo wrong, const registry_version *version)
{
	static query reason =
		QUERY("SELECT v.status_reason FROM model_mgr.model_version v WHERE v.version_id = $1", INT8OID);
	char *why;

	if (strcmp(version->status, "rolled_back") != 0 && strcmp(version->status, "failed") != 0 &&
		strcmp(version->status, "archived") != 0)
		return;
	query_run(&reason, int64_arg(version->version_id));
	why = query_text(0, 0);
	say(wrong, "version \"%s\" is %s%s%s", version->version, version->status, why && *why ? ": " : "", why ? why : "");
}

/* say_alerts: what fires for the version, and for the model as a whole. */
static void
say_alerts(StringInfo wrong, const registry_version *version)
{
	static query firing =
		QUERY("SELECT a.alert_id, a.severity, a.summary FROM model_mgr.alert a WHERE a.status = 'firing'"
			  " AND a.model_name = $1 AND (a.version = $2 OR a.version IS NULL) ORDER BY a.alert_id",
			  TEXTOID, TEXTOID);
	uint64 count = query_run(&firing, text_arg(version->model_name), text_arg(version->version));

	for (uint64 i = 0; i < count; i++)
		say(wrong, "%s alert %lld fires: %s", query_text(i, 1), (long long) query_int64(i, 0), query_text(i, 2));
}

/* say_thresholds: the model's thresholds against the version's metrics of the last interval. */
static void
say_thresholds(StringInfo wrong, const registry_version *version)
{
	static query thresholds =
		QUERY("SELECT t.metric_name, t.operator, t.threshold_value, t.on_no_data FROM model_mgr.threshold t"
			  " WHERE t.model_id = $1 ORDER BY t.\"position\"",
			  INT8OID);
	int count = (int) query_run(&thresholds, int64_arg(version->model_id));
	metric_ask *asks = palloc0(Max(count, 1) * sizeof(metric_ask));
	breach_operator *operators = palloc(Max(count, 1) * sizeof(breach_operator));
	double *limits = palloc(Max(count, 1) * sizeof(double));
	bool *silence_breaks = palloc(Max(count, 1) * sizeof(bool));
	TimestampTz now = mm_now();

	for (int i = 0; i < count; i++)
	{
		asks[i].version_id = version->version_id;
		asks[i].metric_name = query_text(i, 0);
		if (!breach_operator_parse(query_text(i, 1), &operators[i]))
			elog(ERROR, "unknown operator \"%s\" in model_mgr.threshold", query_text(i, 1));
		limits[i] = query_float8(i, 2);
		silence_breaks[i] = strcmp(query_text(i, 3), "breach") == 0;
	}
	if (count > 0)
		metric_values(asks, count, now - guc_monitor_interval_seconds * USECS_PER_SEC, now);
	for (int i = 0; i < count; i++)
	{
		if (asks[i].samples == 0 || isnan(asks[i].value))
		{
			if (silence_breaks[i])
				say(wrong,
					"%s of version \"%s\" has no samples in the last %d s, which its threshold takes for a breach",
					asks[i].metric_name, version->version, guc_monitor_interval_seconds);
		}
		else if (breach_compare(asks[i].value, operators[i], limits[i]))
			say(wrong, "%s of version \"%s\" is %.6g over the last %d s (%lld samples), which must not be %s %.6g",
				asks[i].metric_name, version->version, asks[i].value, guc_monitor_interval_seconds,
				(long long) asks[i].samples, breach_operator_sign(operators[i]), limits[i]);
	}
}

/* say_rollout: the limits of the rollout that brings the version, judged with as many outcomes as it wants. */
static void
say_rollout(StringInfo wrong, const registry_version *version)
{
	static query broken =
		QUERY("SELECT s.metric_name, s.candidate_value, s.limit_value, s.samples, d.deployment_id"
			  " FROM model_mgr.deployment d CROSS JOIN LATERAL model_mgr.rollout_status(d.deployment_id) s"
			  " WHERE d.model_name = $1 AND d.version = $2 AND s.verdict = 'fail'"
			  " AND d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::pg_catalog.text[])"
			  " ORDER BY d.deployment_id, s.metric_name",
			  TEXTOID, TEXTOID);
	uint64 count = query_run(&broken, text_arg(version->model_name), text_arg(version->version));

	for (uint64 i = 0; i < count; i++)
		say(wrong, "deployment %lld of version \"%s\": %s is %.6g (%lld samples), its limit is %.6g",
			(long long) query_int64(i, 4), version->version, query_text(i, 0), query_float8(i, 1),
			(long long) query_int64(i, 3), query_float8(i, 2));
}

/* serving: ids of the versions that routing serves now: the active one, and the candidate with a share. */
static int
serving(int64 model_id, int64 ids[2])
{
	static query routed =
		QUERY("SELECT r.stable_version_id, CASE WHEN r.candidate_weight > 0 THEN r.candidate_version_id END"
			  " FROM model_mgr.routing r WHERE r.model_id = $1",
			  INT8OID);
	int count = 0;

	if (query_run(&routed, int64_arg(model_id)) > 0)
		for (int i = 0; i < 2; i++)
			if (!query_isnull(0, i))
				ids[count++] = query_int64(0, i);
	return count;
}

MM_FUNCTION(mm_assert_healthy);

/* mm_assert_healthy(model_name, version): of the version, or of all that serve when it is NULL. */
Datum
mm_assert_healthy(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version_name = mm_text_arg(fcinfo, 1, "version", false);
	mm_scope scope = mm_enter();
	registry_version versions[2];
	int count = 1;
	StringInfoData wrong;
	char *what;

	if (version_name)
		(void) registry_find_version(model_name, version_name, false, &versions[0]);
	else
	{
		int64 ids[2];

		count = serving(registry_model_id(model_name, false), ids);
		if (count == 0)
			ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("model \"%s\" is not healthy", model_name), errdetail("No version of it serves."),
					errhint("deploy_model_version() makes a version serve; name a version to ask about that one."));
		for (int i = 0; i < count; i++)
			registry_version_by_id(ids[i], &versions[i]);
	}
	initStringInfo(&wrong);
	for (int i = 0; i < count; i++)
	{
		say_status(&wrong, &versions[i]);
		say_alerts(&wrong, &versions[i]);
		say_thresholds(&wrong, &versions[i]);
		say_rollout(&wrong, &versions[i]);
	}
	what = count == 1 ? psprintf("version \"%s\" of model \"%s\"", versions[0].version, model_name)
					  : psprintf("model \"%s\"", model_name);
	if (wrong.len > 0)
		ereport(
			ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s is not healthy", what),
			errdetail("What is wrong: %s.", wrong.data),
			errhint(
				"get_active_alerts(), get_current_metrics() and explain_deployment() tell more; rollback_model() takes a version back."));
	mm_leave(scope);
	PG_RETURN_VOID();
}
