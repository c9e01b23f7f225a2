/*
 * deployment_validation.c: rollout key validation_rules: a deployment stays pending until work() has had its rules
 * judged. Meanwhile its version is `validating`, unless it serves already; one that is refused becomes failed, one
 * whose deployment ends before is what it was.
 */
#include "pg/deployment_store.h"

#include "pg/query.h"
#include "pg/registry.h"
#include "pg/validator.h"

bool
deployment_has_rules(const deployment *d)
{
	const Jsonb *rules = deployment_plan_rules(d->rollout);

	return rules != NULL && JB_ROOT_COUNT(rules) > 0;
}

void
deployment_ask_rules(const deployment *d)
{
	if (deployment_has_rules(d))
		validator_ask(NULL, d->deployment_id, deployment_plan_rules(d->rollout), Max(d->plan.start_at, d->at));
}

rollout_validation
deployment_validation(const deployment *d, char **why)
{
	static const rollout_validation said[] = {[VALIDATOR_PASSED] = ROLLOUT_VALIDATED,
											  [VALIDATOR_WAITS] = ROLLOUT_VALIDATING,
											  [VALIDATOR_REFUSED] = ROLLOUT_INVALID};

	if (!deployment_is_pending(d) || !deployment_has_rules(d))
		return ROLLOUT_VALIDATED;
	return said[validator_judge(NULL, d->deployment_id, why)];
}

void
deployment_validate(const deployment *d)
{
	static query keep =
		QUERY("UPDATE model_mgr.deployment_plan p SET version_status = v.status FROM model_mgr.model_version v"
			  " WHERE p.deployment_id = $1 AND v.version_id = p.version_id"
			  " AND v.status <> ALL ('{active,archived,validating}'::text[]) RETURNING v.status",
			  INT8OID);

	if (query_run(&keep, int64_arg(d->deployment_id)) > 0)
		registry_set_status(d->version_id, "validating",
							psprintf("deployment %lld has validation_rules", (long long) d->deployment_id));
	deployment_emit(d, "validating",
					json_build(json_object_pair("validation_rules", deployment_plan_rules(d->rollout))));
	deployment_note(d, psprintf("waits for its validators: %u rules", JB_ROOT_COUNT(deployment_plan_rules(d->rollout))),
					NULL, ROLLOUT_METRICS);
}

void
deployment_stop_validating(const deployment *d)
{
	static query kept = QUERY("SELECT p.version_status FROM model_mgr.deployment_plan p JOIN model_mgr.model_version v"
							  " ON v.version_id = p.version_id WHERE p.deployment_id = $1 AND v.status = 'validating'"
							  " AND p.version_status IS NOT NULL",
							  INT8OID);

	if (query_run(&kept, int64_arg(d->deployment_id)) > 0)
		registry_set_status(d->version_id, query_text(0, 0), NULL);
}

void
deployment_require_validated(const deployment *d)
{
	char *why = "";
	rollout_validation validation = deployment_validation(d, &why);

	if (validation != ROLLOUT_VALIDATED)
		ereport(
			ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("deployment %lld cannot begin before its validators have passed it", (long long) d->deployment_id),
			validation == ROLLOUT_INVALID ? errdetail("They refuse it: %s.", why)
										  : errdetail("They have not all answered."),
			errhint("CALL model_mgr.work() lets those answer whose time has come; the next tick begins the rollout, or "
					"refuses it. adjust_deployment() changes start_at."));
}
