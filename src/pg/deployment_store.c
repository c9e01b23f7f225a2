/*
 * deployment_store.c: rollouts in their tables: reading them, storing their transitions, their diary
 * (deployment_event), and telling the routing. Decisions are made elsewhere. The public row is model_mgr.deployment,
 * the machinery's side of it model_mgr.deployment_plan.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "access/xact.h"
#include "utils/array.h"

#include "pg/event.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/routing.h"
#include "pg/update.h"

static bool
is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

char *
deployment_time(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (TIMESTAMP_NOT_FINITE(time) || timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		return pstrdup(time == DT_NOEND ? "further notice" : "the beginning");
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
					tm.tm_sec);
}

bool
deployment_is_pending(const deployment *d)
{
	return is(d->status, "pending");
}

rollout_phase
deployment_phase(const deployment *d)
{
	static const struct
	{
		const char *status;
		rollout_phase phase;
	} phases[] = {{"pending", ROLLOUT_PENDING},
				  {"running", ROLLOUT_RUNNING},
				  {"paused", ROLLOUT_HELD},
				  {"awaiting_approval", ROLLOUT_AWAITING},
				  {"promoting", ROLLOUT_BAKING}};

	for (int i = 0; i < lengthof(phases); i++)
		if (is(d->status, phases[i].status))
			return phases[i].phase;
	return ROLLOUT_ENDED;
}

bool
deployment_is_open(const deployment *d)
{
	return is(d->status, "pending") || is(d->status, "running") || is(d->status, "paused") ||
		   is(d->status, "awaiting_approval");
}

bool
deployment_is_baking(const deployment *d)
{
	return is(d->status, "promoting");
}

/* read_row: row `row` of the query of deployment_load_many. */
static void
read_row(uint64 row, deployment *out)
{
	memset(out, 0, sizeof(*out));
	out->at = mm_now();
	out->deployment_id = query_int64(row, 0);
	out->model_id = query_int64(row, 1);
	out->version_id = query_int64(row, 2);
	out->baseline_version_id = query_int64(row, 3);
	out->model_name = query_text(row, 4);
	out->version = query_text(row, 5);
	out->baseline_version = query_text(row, 6);
	out->strategy = query_text(row, 7);
	out->status = query_text(row, 8);
	out->traffic_percentage = query_float8(row, 9);
	out->step = query_int32(row, 10);
	out->window_minutes = query_int32(row, 11);
	out->bucket_key = query_text(row, 12);
	out->waiting_for = query_text(row, 13);
	out->deployed_by = query_text(row, 14);
	out->rollout = query_jsonb(row, 15);
	out->step_started_at = query_time(row, 16);
	out->started_at = query_time(row, 17);
	out->bake_until = query_time(row, 18);
	out->health_criteria = query_jsonb(row, 23);
	out->test_id = query_text(row, 24);
	out->awaiting_since = query_time(row, 25);
	out->approved_step = query_int32(row, 26);
	out->frozen_until = query_time(row, 27);
	out->plan.auto_rollback = query_bool(row, 19);
	out->plan.limits[ROLLOUT_SUCCESS_RATE] = query_float8(row, 20);
	out->plan.limits[ROLLOUT_ERROR_RATE] = query_float8(row, 21);
	out->plan.limits[ROLLOUT_RESPONSE_TIME] = query_float8(row, 22);
	deployment_plan_read(out->rollout, out->strategy, &out->plan);
	deployment_health_parse(out->health_criteria, &out->plan, &out->criterion_metrics);
	out->guarded = deployment_plan_guard(out->rollout, out->margins);
}

/* clang-format off */
/* LOAD: rollouts by their ids, in the order n. */
#define LOAD(keys, type) QUERY( \
	"SELECT d.deployment_id, p.model_id, p.version_id, p.baseline_version_id, d.model_name, d.version," \
	" d.baseline_version, d.strategy, d.status, d.traffic_percentage, d.step, d.rollback_evaluation_window_minutes," \
	" p.bucket_key, p.waiting_for, d.deployed_by, d.rollout, d.step_started_at, p.started_at, p.bake_until," \
	" d.auto_rollback_enabled, d.rollback_min_success_rate, d.rollback_threshold_error_rate," \
	" d.rollback_threshold_response_time, d.health_criteria, d.test_id, p.awaiting_since, p.approved_step, f.frozen_until" \
	" FROM " keys \
	" JOIN model_mgr.deployment d ON d.deployment_id = k.deployment_id JOIN model_mgr.deployment_plan p ON p.deployment_id = d.deployment_id" \
	" LEFT JOIN model_mgr.deployment_freeze f ON f.model_id = p.model_id AND f.frozen_until > $2" \
	" ORDER BY k.n", \
	type, TIMESTAMPTZOID)
/* clang-format on */

int
deployment_load_many(const int64 *deployment_ids, int n, deployment *out)
{
	/* One by itself: how many an array holds is worth a new plan each time. */
	static query find_one = LOAD("(SELECT $1 AS deployment_id, 1 AS n) k", INT8OID);
	static query find = LOAD("pg_catalog.unnest($1) WITH ORDINALITY k (deployment_id, n)", INT8ARRAYOID);

	Datum *ids = palloc(sizeof(Datum) * (n + 1));
	uint64 rows;

	for (int i = 0; i < n; i++)
		ids[i] = Int64GetDatum(deployment_ids[i]);
	if (n == 1)
		rows = query_run(&find_one, int64_arg(deployment_ids[0]), time_arg(mm_now()));
	else
		rows = query_run(&find,
						 datum_arg(PointerGetDatum(construct_array(ids, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
																   TYPALIGN_DOUBLE)),
								   false),
						 time_arg(mm_now()));
	for (uint64 row = 0; row < rows; row++)
		read_row(row, &out[row]);
	return (int) rows;
}

bool
deployment_load(int64 deployment_id, deployment *out)
{
	return deployment_load_many(&deployment_id, 1, out) == 1;
}

void
deployment_load_locked(int64 deployment_id, deployment *out)
{
	bool found = deployment_load(deployment_id, out);

	if (found)
	{
		registry_check_grant(out->model_name);
		(void) mm_lock_model(out->model_id, true);
		deployment_fresh(out->model_id);
		/* It may have changed, or gone with its model, while we waited. */
		found = deployment_load(deployment_id, out);
	}
	if (!found)
		ereport(
			ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("deployment %lld does not exist", (long long) deployment_id),
			errdetail("No deployment has this id."),
			errhint(
				"SELECT * FROM model_mgr.list_deployments() shows all; model_mgr.open_deployment(model_name) finds the running one."));
}

void
deployment_fresh(int64 model_id)
{
	static query lock = QUERY("SELECT 1 FROM model_mgr.routing r WHERE r.model_id = $1 FOR NO KEY UPDATE", INT8OID);

	/* The lock of a row that changed since the snapshot was taken fails with the server's own 40001. */
	if (IsolationUsesXactSnapshot())
		(void) query_run(&lock, int64_arg(model_id));
}

int64
deployment_open_id(int64 model_id, bool baking_too)
{
	static query find =
		QUERY("SELECT d.deployment_id FROM model_mgr.model m JOIN model_mgr.deployment d ON d.model_name = m.model_name"
			  " WHERE m.model_id = $1 AND ($2 OR d.status <> 'promoting')"
			  " AND d.status = ANY ('{pending,running,paused,awaiting_approval,promoting}'::pg_catalog.text[])"
			  " ORDER BY d.status = 'promoting', d.deployment_id DESC LIMIT 1",
			  INT8OID, BOOLOID);

	return query_run(&find, int64_arg(model_id), bool_arg(baking_too)) > 0 ? query_int64(0, 0) : 0;
}

int64
deployment_live_id(int64 model_id)
{
	static query find =
		QUERY("SELECT d.deployment_id FROM model_mgr.model m JOIN model_mgr.deployment d ON d.model_name = m.model_name"
			  " WHERE m.model_id = $1"
			  " AND d.status = ANY ('{running,paused,awaiting_approval,promoting}'::pg_catalog.text[])"
			  " ORDER BY d.deployment_id DESC LIMIT 1",
			  INT8OID);

	return query_run(&find, int64_arg(model_id)) > 0 ? query_int64(0, 0) : 0;
}

void
deployment_update(const deployment *d, const char *reason)
{
	static query row =
		QUERY("UPDATE model_mgr.deployment SET status = $2, status_reason = $3, traffic_percentage = $4, step = $5,"
			  " step_started_at = $6, finished_at = $7, test_id = $8 WHERE deployment_id = $1",
			  INT8OID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID);
	/* Requests routed until the first end are credited to it; a later rollback of a completed one changes none. */
	static query plan = QUERY(
		"UPDATE model_mgr.deployment_plan SET bake_until = $2, ended_at = coalesce(ended_at, $3),"
		" waiting_for = CASE WHEN $3 IS NULL THEN waiting_for END, next_step_at = CASE WHEN $3 IS NULL THEN next_step_at END,"
		" awaiting_since = $4, approved_step = $5 WHERE deployment_id = $1",
		INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
	bool ended = !deployment_is_open(d) && !deployment_is_baking(d);
	query_arg finished = ended ? time_arg(d->at) : null_arg();

	query_run(&row, int64_arg(d->deployment_id), text_arg(d->status), text_arg(reason && *reason ? reason : NULL),
			  float8_arg(d->traffic_percentage), int32_arg(d->step),
			  d->step_started_at ? time_arg(d->step_started_at) : null_arg(), finished, text_arg(d->test_id));
	query_run(&plan, int64_arg(d->deployment_id), d->bake_until ? time_arg(d->bake_until) : null_arg(), finished,
			  is(d->status, "awaiting_approval") ? time_arg(d->awaiting_since) : null_arg(),
			  d->approved_step ? int32_arg(d->approved_step) : null_arg());
	/* Whoever waits for it hears of it in this transaction. */
	if (ended || deployment_is_baking(d))
		update_follow(d->deployment_id, d->status, reason);
}

bool
deployment_wait(deployment *d, const char *waiting_for, TimestampTz next_at)
{
	static query set =
		QUERY("UPDATE model_mgr.deployment_plan SET waiting_for = $2, next_step_at = $3 WHERE deployment_id = $1"
			  " AND (waiting_for, next_step_at) IS DISTINCT FROM ($2, $3)",
			  INT8OID, TEXTOID, TIMESTAMPTZOID);
	bool changed =
		(d->waiting_for == NULL) != (waiting_for == NULL) || (waiting_for && !is(d->waiting_for, waiting_for));

	(void) query_run(&set, int64_arg(d->deployment_id), text_arg(waiting_for), time_arg(next_at));
	d->waiting_for = waiting_for ? pstrdup(waiting_for) : NULL;
	return changed;
}

void
deployment_store_bake(const deployment *d)
{
	static query set =
		QUERY("UPDATE model_mgr.deployment_plan SET bake_until = $2 WHERE deployment_id = $1", INT8OID, TIMESTAMPTZOID);

	query_run(&set, int64_arg(d->deployment_id), d->bake_until ? time_arg(d->bake_until) : null_arg());
}

/* The numbers of a line of the diary. */
typedef struct line
{
	const char *metric_name;
	double value; /* NaN: none, as for the limit */
	double limit;
	int64 samples; /* -1: none */
} line;

/* append: one row of the diary. */
static void
append(const deployment *d, const char *what, const line *numbers, const Jsonb *evidence)
{
	static query add = QUERY(
		"INSERT INTO model_mgr.deployment_event (deployment_id, \"time\", status, traffic_percentage, what, metric_name,"
		" value, limit_value, samples, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, '{}'))",
		INT8OID, TIMESTAMPTZOID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, INT8OID, JSONBOID);

	query_run(&add, int64_arg(d->deployment_id), time_arg(d->at), text_arg(d->status),
			  float8_arg(d->traffic_percentage), text_arg(what), text_arg(numbers->metric_name),
			  isnan(numbers->value) ? null_arg() : float8_arg(numbers->value),
			  isnan(numbers->limit) ? null_arg() : float8_arg(numbers->limit),
			  numbers->samples < 0 ? null_arg() : int64_arg(numbers->samples), jsonb_arg(evidence));
}

static line
verdict_line(const char *metric_name, const rollout_verdict *v)
{
	return (line){metric_name, v->value, v->limit, v->samples};
}

void
deployment_note(const deployment *d, const char *what, deployment_look *look, rollout_metric metric)
{
	line numbers = {NULL, NAN, NAN, -1};

	if (look && metric != ROLLOUT_METRICS)
		numbers = verdict_line(rollout_metric_name(metric), &look->decision.verdicts[metric]);
	else if (look && look->decision.cause == ROLLOUT_CAUSE_CRITERION)
		numbers = verdict_line(d->criterion_metrics[look->decision.criterion],
							   &look->decision.criteria[look->decision.criterion]);
	else if (look && look->decision.cause == ROLLOUT_CAUSE_GUARD && look->guard.worst != ROLLOUT_METRICS)
	{
		const guard_evidence *e = &look->guard.metrics[look->guard.worst];

		/* The limit is the edge of what is harmless. */
		numbers =
			(line){rollout_metric_name(look->guard.worst), e->candidate, e->baseline + e->margin, e->samples_candidate};
	}
	append(d, what, &numbers, look ? deployment_evidence(d, look) : NULL);
}

void
deployment_note_evidence(const deployment *d, const char *what, const char *metric_name, const Jsonb *evidence)
{
	append(d, what, &(line){metric_name, NAN, NAN, -1}, evidence);
}

void
deployment_emit(const deployment *d, const char *what, const Jsonb *data)
{
	static query merge = QUERY("SELECT $1 || coalesce($2, '{}')", JSONBOID, JSONBOID);
	Jsonb *common =
		json_build(json_text_pair("strategy", d->strategy), json_text_pair("baseline_version", d->baseline_version),
				   json_number_pair("traffic_percentage", d->traffic_percentage));

	query_run(&merge, jsonb_arg(common), jsonb_arg(data));
	(void) event_append(psprintf("deployment.%s", what), d->model_name, d->version, d->deployment_id,
						query_jsonb(0, 0));
}

/* test_of: what requests of a rollout's A/B test are credited to. */
static Jsonb *
test_of(const char *test_id)
{
	static query find = QUERY("SELECT p.test_no FROM model_mgr.ab_test_plan p WHERE p.test_id = $1", TEXTOID);

	if (query_run(&find, text_arg(test_id)) == 0)
		return NULL;
	return json_build(json_integer_pair("test_no", query_int64(0, 0)), json_text_pair("test_id", test_id));
}

void
deployment_route(const deployment *d)
{
	bool open = deployment_is_open(d);
	bool baking = deployment_is_baking(d);
	routing_change change = {
		.model_id = d->model_id,
		.stable_version_id = open ? d->baseline_version_id : d->version_id,
		.watched = (open || baking) && d->plan.auto_rollback,
	};

	if (open || baking)
	{
		change.deployment_id = d->deployment_id;
		change.step = d->step;
	}
	if (open)
	{
		change.bucket_key = d->bucket_key;
		if (d->plan.shape == ROLLOUT_SHADOW)
		{
			change.shadow_version_id = d->version_id;
			change.shadow_weight = rollout_share_weight(d->traffic_percentage);
		}
		else
		{
			change.candidate_version_id = d->version_id;
			/* Blue-green begins with none. */
			change.candidate_weight = d->traffic_percentage > 0 ? rollout_share_weight(d->traffic_percentage) : 0;
			change.preview_condition = deployment_plan_preview(d->rollout);
		}
	}
	if (open && d->plan.shape == ROLLOUT_AB_TEST && d->test_id)
		change.test = test_of(d->test_id);
	routing_set(&change);
}

Datum
deployment_row(int64 deployment_id)
{
	static query find = QUERY("SELECT d FROM model_mgr.deployment d WHERE d.deployment_id = $1", INT8OID);

	if (query_run(&find, int64_arg(deployment_id)) == 0)
		elog(ERROR, "deployment %lld is gone", (long long) deployment_id);
	return query_result_row();
}
