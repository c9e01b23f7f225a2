/*
 * deployment_verbs.c: what people do to a rollout under way: promote, approve, pause, resume, abort, freeze,
 * and find the open one. Each takes the model's lock, checks the state (55000 names it), acts, and leaves a line in the
 * diary and one in the audit log.
 */
#include "pg/deployment_store.h"

#include "pg/audit.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry.h"

void
deployment_wrong_state(const deployment *d, const char *verb)
{
	const char *hint = "Deploy again with model_mgr.deploy_model_version() to begin a new one.";

	if (deployment_is_baking(d))
		hint =
			"It serves all traffic already; take it back with model_mgr.rollback_model(), or wait for the end of its bake.";
	else if (strcmp(d->status, "completed") == 0)
		hint = "Take it back with model_mgr.rollback_model().";
	else if (strcmp(d->status, "awaiting_approval") == 0)
		hint = "It goes on once somebody approves: model_mgr.approve_step(deployment_id, note).";
	else if (deployment_is_pending(d))
		hint =
			"It has not begun: model_mgr.promote_deployment() begins it now, adjust_deployment() changes its start_at, abort_deployment() ends it.";
	else if (deployment_is_open(d))
		hint = "See what it waits for in model_mgr.deployment_list.";
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("deployment %lld cannot be %s", (long long) d->deployment_id, verb),
			errdetail("Its status is %s (version \"%s\" of model \"%s\").", d->status, d->version, d->model_name),
			errhint("%s", hint));
}

static Datum
finish(const deployment *d, mm_scope scope)
{
	Datum row = deployment_row(d->deployment_id);

	mm_leave(scope);
	return row;
}

/* is_last: whether a step leads to all traffic. */
static bool
is_last(const deployment *d, int32 step)
{
	return d->plan.shape != ROLLOUT_SHADOW && step >= d->plan.step_count;
}

bool
deployment_asks_approval(const deployment *d, int32 step)
{
	if (d->plan.approval == ROLLOUT_APPROVAL_NONE || step <= 1)
		return false;
	if (d->plan.approval == ROLLOUT_APPROVAL_FINAL && !is_last(d, step))
		return false;
	return d->approved_step != step;
}

/* refuse_unapproved: 55000: a person's hurry stands in for no approval. */
static void
refuse_unapproved(const deployment *d, int32 step)
{
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("deployment %lld cannot be promoted without approval", (long long) d->deployment_id),
			d->plan.shape == ROLLOUT_SHADOW
				? errdetail("Its end needs an approval; its status is %s.", d->status)
				: errdetail("Step %d of %d, %g %%, needs one (approval %s); its status is %s.", step,
							d->plan.step_count, d->plan.steps[step - 1],
							d->plan.approval == ROLLOUT_APPROVAL_FINAL ? "final" : "each_step", d->status),
			errhint(step == d->step + 1
						? "Approve it with model_mgr.approve_step(%lld, note) first."
						: "Promote deployment %lld step by step, each with its model_mgr.approve_step().",
					(long long) d->deployment_id));
}

/* harms: whether a look convicts the candidate of something; a test that is over or a deadline is no harm. */
static bool
harms(const deployment_look *look)
{
	return look->decision.action == ROLLOUT_ROLL_BACK && look->decision.cause != ROLLOUT_CAUSE_TEST &&
		   look->decision.cause != ROLLOUT_CAUSE_STEP_TIMEOUT && look->decision.cause != ROLLOUT_CAUSE_APPROVAL_TIMEOUT;
}

/* promote: the next step of one that has begun. */
static void
promote(deployment *d, bool all, const char *by_whom)
{
	int32 step = all && d->plan.shape != ROLLOUT_SHADOW ? d->plan.step_count : d->step + 1;
	deployment_look look;

	deployment_look_at(d, &look);
	if (harms(&look))
	{
		deployment_roll_back(d, &look);
		return;
	}
	if (deployment_asks_approval(d, step))
		refuse_unapproved(d, step);
	if (d->plan.shape == ROLLOUT_SHADOW)
		deployment_conclude(d, &look, by_whom);
	else
		deployment_enter_step(d, step, &look, by_whom);
}

MM_FUNCTION(mm_promote_deployment);

/*
 * mm_promote_deployment(deployment_id bigint, all_steps boolean): the next step now; a pending one begins. What a limit
 * convicts goes back instead: a person's hurry is no reason to serve it.
 */
Datum
mm_promote_deployment(PG_FUNCTION_ARGS)
{
	bool all = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	char *by_whom;
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	by_whom = psprintf("promoted by %s", mm_session_user_name());
	if (deployment_is_pending(&d))
	{
		if (all && deployment_asks_approval(&d, d.plan.step_count))
			refuse_unapproved(&d, d.plan.step_count);
		deployment_require_validated(&d);
		deployment_start(&d, by_whom);
		if (all && strcmp(d.status, "running") == 0)
			promote(&d, true, by_whom);
	}
	else if (strcmp(d.status, "running") == 0 || strcmp(d.status, "paused") == 0)
		promote(&d, all, by_whom);
	else
		deployment_wrong_state(&d, "promoted");
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_approve_step);

/*
 * mm_approve_step(deployment_id bigint, note text): by session_user. The next step may be taken; the tick takes it when
 * all the rest allows it. May be said ahead, while the step still waits for time or requests.
 */
Datum
mm_approve_step(PG_FUNCTION_ARGS)
{
	char *note = mm_text_arg(fcinfo, 1, "note", false);
	const char *by = mm_session_user_name();
	deployment d;
	int32 step;
	bool awaiting;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	mm_refuse_user_code("code cannot approve a step",
						"An approval is a person's: call approve_step() in a session of one's own.");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	step = d.step + 1;
	awaiting = strcmp(d.status, "awaiting_approval") == 0;
	if (!awaiting && strcmp(d.status, "running") != 0 && strcmp(d.status, "paused") != 0)
		deployment_wrong_state(&d, "approved");
	if (!awaiting && d.approved_step == step)
		ereport(NOTICE, errmsg("step %d of deployment %lld is approved already", step, (long long) d.deployment_id));
	else if (!awaiting && !deployment_asks_approval(&d, step))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("deployment %lld asks for no approval", (long long) d.deployment_id),
				errdetail("Its status is %s at step %d of %d; rollout key approval is %s.", d.status, d.step,
						  d.plan.step_count, d.plan.approval == ROLLOUT_APPROVAL_FINAL ? "final" : "none"),
				errhint("Take its next step with model_mgr.promote_deployment(), or ask for approvals: "
						"model_mgr.adjust_deployment(deployment_id, '{\"approval\": \"each_step\"}')."));
	else
	{
		char *said = note && *note ? psprintf(": %s", note) : "";

		d.approved_step = step;
		if (awaiting)
			d.status = "running";
		deployment_update(&d, NULL);
		if (awaiting)
			(void) deployment_wait(&d, rollout_wait_name(ROLLOUT_WAIT_SECONDS), d.step_started_at + d.plan.step_time);
		deployment_emit(&d, "approved",
						json_build(json_integer_pair("step", step), json_text_pair("approved_by", by),
								   json_text_pair("note", note)));
		deployment_note(&d,
						d.plan.shape == ROLLOUT_SHADOW
							? psprintf("its end approved by %s%s", by, said)
							: psprintf("step %d of %d approved by %s%s", step, d.plan.step_count, by, said),
						NULL, ROLLOUT_METRICS);
		audit_append("approve_step", d.model_name, d.version,
					 json_build(json_integer_pair("deployment_id", d.deployment_id), json_integer_pair("step", step),
								json_text_pair("note", note)));
	}
	PG_RETURN_DATUM(finish(&d, scope));
}

/* change_status: pause and resume. */
static void
change_status(deployment *d, const char *status, const char *operation, const char *what, const char *reason)
{
	const char *before = d->status;

	d->status = (char *) status;
	deployment_update(d, reason);
	deployment_emit(d, strcmp(status, "paused") == 0 ? "paused" : "resumed",
					json_build(json_text_pair("reason", reason)));
	deployment_note(d, what, NULL, ROLLOUT_METRICS);
	audit_append(operation, d->model_name, d->version,
				 json_build(json_integer_pair("deployment_id", d->deployment_id), json_text_pair("from_status", before),
							json_text_pair("reason", reason)));
}

void
deployment_pause(deployment *d, const char *reason)
{
	change_status(d, "paused", "pause", psprintf("paused: %s", reason && *reason ? reason : "no reason given"),
				  reason && *reason ? reason : NULL);
	(void) deployment_wait(d, rollout_wait_name(ROLLOUT_WAIT_RESUME), d->step_started_at + d->plan.step_time);
}

MM_FUNCTION(mm_pause_deployment);

/* mm_pause_deployment(deployment_id bigint, reason text): keeps the share where it is; limits are judged on. One that
 * awaits approval asks again after it is resumed. */
Datum
mm_pause_deployment(PG_FUNCTION_ARGS)
{
	char *reason = mm_text_arg(fcinfo, 1, "reason", false);
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (strcmp(d.status, "paused") == 0)
		ereport(NOTICE, errmsg("deployment %lld is paused already", (long long) d.deployment_id));
	else if (strcmp(d.status, "running") != 0 && strcmp(d.status, "awaiting_approval") != 0)
		deployment_wrong_state(&d, "paused");
	else
		deployment_pause(&d, reason);
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_resume_deployment);

/* mm_resume_deployment(deployment_id bigint): goes on where it was; the time of the step went on. */
Datum
mm_resume_deployment(PG_FUNCTION_ARGS)
{
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (strcmp(d.status, "running") == 0)
		ereport(NOTICE, errmsg("deployment %lld runs already", (long long) d.deployment_id));
	else if (strcmp(d.status, "paused") != 0)
		deployment_wrong_state(&d, "resumed");
	else
	{
		change_status(&d, "running", "resume", "resumed", NULL);
		(void) deployment_wait(&d, rollout_wait_name(ROLLOUT_WAIT_SECONDS), d.step_started_at + d.plan.step_time);
	}
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_abort_deployment);

/* mm_abort_deployment(deployment_id bigint, reason text): ends a rollout below 100 % without blaming the version. */
Datum
mm_abort_deployment(PG_FUNCTION_ARGS)
{
	char *reason = mm_text_arg(fcinfo, 1, "reason", false);
	deployment d;
	mm_scope scope;

	mm_require(fcinfo, 0, "deployment_id");
	scope = mm_enter();
	deployment_load_locked(PG_GETARG_INT64(0), &d);
	if (!deployment_is_open(&d))
		deployment_wrong_state(&d, "aborted");
	deployment_end(&d, "aborted", d.baseline_version_id, d.baseline_version, reason ? reason : "", NULL, false);
	PG_RETURN_DATUM(finish(&d, scope));
}

MM_FUNCTION(mm_freeze);

/*
 * mm_freeze(model_name text, until timestamptz, reason text): no automatic step of the model's rollouts until then;
 * judging and rollbacks go on. A time that has come ends it.
 */
Datum
mm_freeze(PG_FUNCTION_ARGS)
{
	static query clear = QUERY("DELETE FROM model_mgr.deployment_freeze f WHERE f.model_id = $1"
							   " RETURNING f.frozen_until > $2",
							   INT8OID, TIMESTAMPTZOID);
	static query set = QUERY(
		"INSERT INTO model_mgr.deployment_freeze (model_id, model_name, frozen_until, reason, frozen_by, frozen_at)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *reason = mm_text_arg(fcinfo, 2, "reason", false);
	TimestampTz now;
	TimestampTz until;
	int64 model_id;
	int64 id;
	bool was;
	bool frozen;
	mm_scope scope;

	mm_require(fcinfo, 1, "until");
	until = PG_GETARG_TIMESTAMPTZ(1);
	scope = mm_enter();
	model_id = registry_lock_model(model_name);
	deployment_fresh(model_id);
	now = mm_now();
	frozen = until > now;
	was = query_run(&clear, int64_arg(model_id), time_arg(now)) > 0 && query_bool(0, 0);
	if (frozen)
		query_run(&set, int64_arg(model_id), text_arg(model_name), time_arg(until), text_arg(reason ? reason : ""),
				  text_arg(mm_session_user_name()), time_arg(now));
	if (frozen || was)
	{
		Jsonb *data = json_build(json_time_pair("until", until), json_text_pair("reason", reason),
								 json_text_pair("by", mm_session_user_name()));

		id = deployment_open_id(model_id, true);
		(void) event_append(frozen ? "model.frozen" : "model.unfrozen", model_name, NULL, id, data);
		if (id != 0)
		{
			deployment d;

			(void) deployment_load(id, &d);
			deployment_note_evidence(&d,
									 frozen
										 ? psprintf("frozen until %s: no automatic steps%s%s", deployment_time(until),
													reason && *reason ? ": " : "", reason ? reason : "")
										 : "no longer frozen",
									 NULL, data);
		}
	}
	audit_append("freeze", model_name, NULL,
				 json_build(json_time_pair("until", until), json_text_pair("reason", reason)));
	mm_leave(scope);
	PG_RETURN_VOID();
}

MM_FUNCTION(mm_open_deployment);

/* mm_open_deployment(model_name text): the rollout below 100 %, else the baking one. */
Datum
mm_open_deployment(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	mm_scope scope = mm_enter();
	int64 id = deployment_open_id(registry_model_id(model_name, false), true);

	if (id == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("model \"%s\" has no open deployment", model_name),
				errdetail("None is below 100 %% and none is baking."),
				errhint("SELECT * FROM model_mgr.list_deployments(model_name) shows those that have ended."));
	mm_leave(scope);
	PG_RETURN_INT64(id);
}
