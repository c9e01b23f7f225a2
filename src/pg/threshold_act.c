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
#include "pg/routing.h"

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

/* serves: whether routing gives the version traffic; of a model that routes nothing somebody else decides. */
static bool
serves(const threshold_alert *alert)
{
	routing_change now = {0};

	if (!routing_get(alert->model_id, &now) || now.stable_version_id == 0)
		return true;
	return now.stable_version_id == alert->version_id ||
		   (now.candidate_version_id == alert->version_id && now.candidate_weight > 0);
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
	char *why_not;

	if (strcmp(alert->threshold->action, "pause") == 0)
		return pause_rollout(alert, reason, deployment_id);
	if (strcmp(alert->threshold->action, "rollback") != 0)
		return NULL;
	/* Another alert of this look may have been faster. */
	if (!serves(alert))
		return pstrdup("it serves no more");
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
