/*
 * threshold_act.c: what a threshold's action does when its alert begins to fire: takes the version back, or pauses the
 * rollout, by the deployments' own functions and in the transaction of the look. Called by threshold_look.c.
 */
#include "pg/threshold.h"

#include <math.h>

#include "pg/alert_store.h"
#include "pg/deployment.h"
#include "pg/deployment_store.h"
#include "pg/query.h"

/* stuck: says that a version which should be taken back goes on serving. */
static void
stuck(const threshold_alert *alert, const char *why_not)
{
	bool fresh;
	alert_facts facts = {
		.kind = "rollout",
		.model_id = alert->model_id,
		.version_id = alert->version_id,
		.model_name = alert->model_name,
		.version = alert->version,
		.metric_name = alert->threshold->metric_name,
		.severity = "critical",
		.summary = psprintf("version \"%s\" goes on serving although alert %lld asks to take it back: %s",
							alert->version, (long long) alert->alert_id, why_not),
		.current_value = alert->value,
		.samples = alert->samples,
		.deployment_id = deployment_open_id(alert->model_id, true),
		.evidence = json_build(json_integer_pair("alert_id", alert->alert_id), json_text_pair("why", why_not),
							   json_object_pair("look", alert->evidence)),
	};

	(void) alert_fire(&facts, &fresh);
}

/*
 * why_kept: why an alert's version is not to be taken back; NULL when it is. *gone: it serves no more. Of a model that
 * routes nothing somebody else decides. What only pins and segments name was put there by hand, whatever is deployed.
 */
static char *
why_kept(const threshold_alert *alert, bool *gone)
{
	static query find =
		QUERY("SELECT r.stable_version_id IS NULL OR r.stable_version_id = $2 OR coalesce(r.candidate_version_id = $2"
			  " AND (r.candidate_weight > 0 OR r.preview IS NOT NULL), false),"
			  " EXISTS (SELECT FROM model_mgr.threshold_version w WHERE w.model_id = r.model_id AND w.version_id = $2)"
			  " FROM model_mgr.routing r WHERE r.model_id = $1",
			  INT8OID, INT8OID);

	*gone = false;
	if (query_run(&find, int64_arg(alert->model_id), int64_arg(alert->version_id)) == 0 || query_bool(0, 0))
		return NULL;
	if (query_bool(0, 1))
		return pstrdup("Pins or segments name it; unpin_unit() and drop_segment() end that");
	*gone = true;
	return pstrdup("it serves no more");
}

/* pause_rollout: the running rollout of the model, whichever side of it is in breach. */
static char *
pause_rollout(const threshold_alert *alert, const char *reason, int64 *deployment_id)
{
	int64 id = deployment_open_id(alert->model_id, false);
	deployment d;

	if (id == 0 || !deployment_load(id, &d))
		return pstrdup("no rollout is under way");
	if (strcmp(d.status, "running") != 0)
		return psprintf("deployment %lld is %s", (long long) id, d.status);
	deployment_pause(&d, reason);
	*deployment_id = id;
	return psprintf("paused deployment %lld", (long long) id);
}

char *
threshold_act(const threshold_alert *alert, int64 *deployment_id)
{
	char *reason = psprintf("alert %lld: %s", (long long) alert->alert_id, alert->summary);
	bool gone;
	char *why_not;

	if (strcmp(alert->threshold->action, "pause") == 0)
		return pause_rollout(alert, reason, deployment_id);
	if (strcmp(alert->threshold->action, "rollback") != 0)
		return NULL;
	/* Another alert of this look may have been faster. */
	why_not = why_kept(alert, &gone);
	if (gone)
		return why_not;
	if (why_not == NULL)
		why_not = deployment_take_back(alert->model_id, alert->version_id, reason, alert->evidence, deployment_id);
	if (why_not)
	{
		stuck(alert, why_not);
		return psprintf("not rolled back: %s", why_not);
	}
	ereport(LOG,
			errmsg("model_mgr: version \"%s\" of \"%s\" rolled back: %s", alert->version, alert->model_name, reason));
	return pstrdup("rolled back");
}
