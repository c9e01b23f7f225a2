/*
 * threshold_look.c: looking at thresholds. The facts are the thresholds, the versions that serve, the alerts that are
 * open (one query) and the values of the metrics (metric_values(), a few queries however many models there are); the
 * core (core/breach.h) says what follows; here it is applied, with its evidence.
 *
 * A look over all models reads everything first and then takes only those models one by one where something has to be
 * written, each in a subtransaction and under the model's lock, if that is to be had: there the rows are read again,
 * so that two ticks at once, or a tick beside the commit of a recording, make one alert.
 */
#include "pg/alert_store.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "pg/deployment_store.h"
#include "pg/metric.h"
#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/threshold.h"

/* One threshold and one version, with the open alert of the two. */
typedef struct look
{
	int64 threshold_id;
	int64 model_id;
	int64 version_id;
	char *model_name;
	char *version;
	bool routed;
	threshold threshold;
	int64 alert_id; /* 0: none is open */
	breach_state state;
	TimestampTz looked_at;
	int64 looks;
	bool action_done;
	bool gone; /* the alert is from before the version went out of traffic */
	/* what was measured */
	bool measured;
	double value;
	int64 samples;
	bool reported;
} look;

typedef struct look_list
{
	TimestampTz now;
	look *looks;
	int count;
} look_list;

/* One text for all models and for one, so that each has a plan of its own. */
#define FACTS(condition)                                                                                               \
	"SELECT t.threshold_id, t.model_id, w.version_id, m.model_name, w.version, w.routed, t.metric_name,"               \
	" t.threshold_value, t.operator, t.severity, t.duration_minutes, t.action, t.on_no_data, s.alert_id, s.firing,"    \
	" s.started_at, s.clean_since, s.kind, s.looked_at, s.looks, s.action_done, s.gone"                                \
	" FROM model_mgr.threshold t JOIN model_mgr.model m ON m.model_id = t.model_id"                                    \
	" JOIN model_mgr.threshold_version w ON w.model_id = t.model_id"                                                   \
	" LEFT JOIN model_mgr.alert_state s ON s.threshold_id = t.threshold_id"                                            \
	" AND s.version_id = w.version_id" condition " ORDER BY t.model_id, t.\"position\", w.version_id"

/*
 * Firing alerts whose version serves no more, where something is to be done now ($1): to note it, or, after the time
 * that looks would have to be clean for, to resolve them. Not at once: who asks each minute what fires must hear of a
 * version that was taken back. Pending ones are over at once.
 */
#define GONE(condition)                                                                                                \
	"SELECT s.alert_id, s.model_id, s.gone OR NOT s.firing FROM model_mgr.alert_state s"                               \
	" JOIN model_mgr.threshold t ON t.threshold_id = s.threshold_id WHERE true" condition                              \
	" AND NOT EXISTS (SELECT FROM model_mgr.threshold_version w"                                                       \
	" WHERE w.model_id = s.model_id AND w.version_id = s.version_id)"                                                  \
	" AND (NOT s.gone OR s.clean_since > $1 OR s.clean_since <= $1"                                                    \
	" - pg_catalog.make_interval(mins => least(greatest(t.duration_minutes, 1), 5)))"                                  \
	" ORDER BY s.model_id, s.alert_id"

/* read_looks: what there is to look at: of one model, or of all with model_id 0. */
static look_list
read_looks(int64 model_id, TimestampTz now)
{
	static query all = QUERY(FACTS(""));
	static query one = QUERY(FACTS(" WHERE t.model_id = $1"), INT8OID);
	uint64 rows = model_id ? query_run(&one, int64_arg(model_id)) : query_run(&all);
	look_list list = {.now = now, .looks = palloc0(sizeof(look) * Max(rows, 1)), .count = (int) rows};

	for (uint64 i = 0; i < rows; i++)
	{
		look *l = &list.looks[i];

		l->threshold_id = query_int64(i, 0);
		l->model_id = query_int64(i, 1);
		l->version_id = query_int64(i, 2);
		l->model_name = query_text(i, 3);
		l->version = query_text(i, 4);
		l->routed = query_bool(i, 5);
		l->threshold.metric_name = query_text(i, 6);
		l->threshold.value = query_float8(i, 7);
		(void) breach_operator_parse(query_text(i, 8), &l->threshold.operator_);
		l->threshold.severity = query_text(i, 9);
		l->threshold.duration_minutes = query_int32(i, 10);
		l->threshold.action = query_text(i, 11);
		l->threshold.on_no_data = query_text(i, 12);
		l->value = NAN;
		l->alert_id = query_int64(i, 13);
		if (l->alert_id == 0)
			continue;
		l->state.status = query_bool(i, 14) ? BREACH_FIRING : BREACH_PENDING;
		l->state.started_at = query_time(i, 15);
		l->state.clean = !query_isnull(i, 16);
		l->state.clean_since = query_time(i, 16);
		l->state.silent = strcmp(query_text(i, 17), "no_data") == 0;
		l->looked_at = query_time(i, 18);
		l->looks = query_int64(i, 19);
		l->action_done = query_bool(i, 20);
		l->gone = query_bool(i, 21);
	}
	return list;
}

static TimestampTz
window_start(TimestampTz now)
{
	return now - guc_monitor_interval_seconds * USECS_PER_SEC;
}

/* measure: asks for all values at once. */
static void
measure(look_list *list)
{
	metric_ask *asks = palloc0(sizeof(metric_ask) * Max(list->count, 1));

	if (list->count == 0)
		return;
	for (int i = 0; i < list->count; i++)
		asks[i] = (metric_ask){
			.version_id = list->looks[i].version_id, .metric_name = list->looks[i].threshold.metric_name, .value = NAN};
	metric_values(asks, list->count, window_start(list->now), list->now);
	for (int i = 0; i < list->count; i++)
	{
		list->looks[i].measured = true;
		list->looks[i].value = asks[i].samples > 0 ? asks[i].value : NAN;
		list->looks[i].samples = asks[i].samples;
		list->looks[i].reported = asks[i].reported;
	}
	pfree(asks);
}

/* unseen: a version that nothing says is in use: routing does not serve it, and it has neither outcomes nor an alert.
 */
static bool
unseen(const look *l)
{
	return !l->routed && l->samples == 0 && l->alert_id == 0;
}

/* quiet: nothing is open and this look finds nothing. */
static bool
quiet(const look *l, TimestampTz now)
{
	breach_rule rule = threshold_rule(&l->threshold);
	breach_state state = l->state;

	if (l->alert_id != 0)
		return false;
	return unseen(l) || breach_look(&rule, &state, now, l->value, l->samples) == BREACH_NOTHING;
}

/* numbers: the value beside what it was held against, as in "0.92 < 0.95". */
static char *
numbers(const look *l)
{
	if (isnan(l->value))
		return psprintf("%s has no samples", l->threshold.metric_name);
	return psprintf("%s %s %s %g", l->threshold.metric_name, deployment_number(l->value, l->threshold.value),
					breach_operator_sign(l->threshold.operator_), l->threshold.value);
}

/* sentence: the look in one, with how long it has been so. */
static char *
sentence(const look *l)
{
	int minutes = l->threshold.duration_minutes;
	char *lasted = minutes == 0 ? "" : psprintf(" for %d minute%s", minutes, minutes == 1 ? "" : "s");

	return psprintf("%s%s (%lld sample%s in the last %d seconds)", numbers(l), lasted, (long long) l->samples,
					l->samples == 1 ? "" : "s", guc_monitor_interval_seconds);
}

static Jsonb *
evidence(const look *l, TimestampTz now)
{
	Jsonb *window = json_build(json_time_pair("from", window_start(now)), json_time_pair("to", now),
							   json_integer_pair("seconds", guc_monitor_interval_seconds));

	return json_build(json_object_pair("window", window), json_number_pair("value", l->value),
					  json_integer_pair("samples", l->samples),
					  json_text_pair("source", l->samples == 0 ? NULL
											   : l->reported   ? "reported"
															   : "observed"),
					  json_object_pair("threshold", threshold_json(&l->threshold)),
					  json_integer_pair("looks", l->looks));
}

/* rollout_of: the deployment that an alert of this version concerns: the one under way, else none. */
static query_arg
rollout_of(const look *l)
{
	int64 id = deployment_open_id(l->model_id, true);

	return id ? int64_arg(id) : null_arg();
}

/* begin: a new alert, pending or firing at once. An action that there is none of is done. */
static void
begin(look *l, TimestampTz now, const Jsonb *found)
{
	static query insert = QUERY(
		"WITH made AS (INSERT INTO model_mgr.alert (kind, model_name, version, metric_name, severity, status, action,"
		" operator, threshold_value, duration_minutes, started_at, fired_at, deployment_id, current_value, samples, summary,"
		" evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) RETURNING alert_id)"
		" INSERT INTO model_mgr.alert_state (alert_id, model_id, version_id, threshold_id, kind, metric_name, looked_at,"
		" looks, action_done, firing, started_at)"
		" SELECT made.alert_id, $18, $19, $20, $1, $4, $21, $22, $7 = 'alert', $6 = 'firing', $11 FROM made RETURNING alert_id",
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, INT8OID, FLOAT8OID, INT8OID, TEXTOID, JSONBOID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID,
		INT8OID);
	const threshold *t = &l->threshold;
	bool firing = l->state.status == BREACH_FIRING;
	query_arg deployment = rollout_of(l);

	query_run(&insert, text_arg(l->state.silent ? "no_data" : "threshold"), text_arg(l->model_name),
			  text_arg(l->version), text_arg(t->metric_name), text_arg(t->severity),
			  text_arg(firing ? "firing" : "pending"), text_arg(t->action),
			  text_arg(breach_operator_name(t->operator_)), float8_arg(t->value), int32_arg(t->duration_minutes),
			  time_arg(l->state.started_at), firing ? time_arg(now) : null_arg(), deployment,
			  isnan(l->value) ? null_arg() : float8_arg(l->value), int64_arg(l->samples),
			  text_arg(firing ? sentence(l) : numbers(l)), jsonb_arg(found), int64_arg(l->model_id),
			  int64_arg(l->version_id), int64_arg(l->threshold_id), time_arg(now), int64_arg(l->looks));
	l->alert_id = query_int64(0, 0);
}

/* The alert whose action is under way, for mm_guarded. */
static threshold_alert acting;
static char *acted;

/* act_now: returns the deployment that was ended or paused. */
static int64
act_now(int64 unused)
{
	int64 deployment_id = 0;

	acted = threshold_act(&acting, &deployment_id);
	return deployment_id;
}

/*
 * act: the action of an alert that fires, once; one that fails leaves the alert as it is and is tried again at the next
 * look.
 */
static void
act(look *l, Jsonb *found)
{
	static query done = QUERY("UPDATE model_mgr.alert_state SET action_done = true WHERE alert_id = $1", INT8OID);
	static query tell =
		QUERY("UPDATE model_mgr.alert a SET evidence = a.evidence || pg_catalog.jsonb_build_object('outcome', $2),"
			  " deployment_id = coalesce($3, a.deployment_id) WHERE a.alert_id = $1",
			  INT8OID, TEXTOID, INT8OID);
	int64 deployment_id;

	if (l->action_done || strcmp(l->threshold.action, "alert") == 0)
		return;
	acting = (threshold_alert){.alert_id = l->alert_id,
							   .model_id = l->model_id,
							   .version_id = l->version_id,
							   .model_name = l->model_name,
							   .version = l->version,
							   .threshold = &l->threshold,
							   .value = l->value,
							   .samples = l->samples,
							   .summary = sentence(l),
							   .evidence = found};
	acted = NULL;
	if (!mm_guarded(act_now, 0, psprintf("action %s of alert %lld", l->threshold.action, (long long) l->alert_id),
					&deployment_id))
		return;
	query_run(&done, int64_arg(l->alert_id));
	if (acted)
		query_run(&tell, int64_arg(l->alert_id), text_arg(acted),
				  deployment_id ? int64_arg(deployment_id) : null_arg());
}

/* store: the look that an open alert has just had. */
static void
store(const look *l, TimestampTz now)
{
	static query set =
		QUERY("WITH looked AS (UPDATE model_mgr.alert_state SET clean_since = $2, looked_at = $3, looks = $4,"
			  " started_at = coalesce($7, started_at) WHERE alert_id = $1)"
			  " UPDATE model_mgr.alert SET current_value = $5, samples = $6, started_at = coalesce($7, started_at)"
			  " WHERE alert_id = $1"
			  " AND (current_value IS DISTINCT FROM $5 OR samples IS DISTINCT FROM $6 OR started_at <> $7)",
			  INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, FLOAT8OID, INT8OID, TIMESTAMPTZOID);

	query_run(&set, int64_arg(l->alert_id), l->state.clean ? time_arg(l->state.clean_since) : null_arg(), time_arg(now),
			  int64_arg(l->looks), isnan(l->value) ? null_arg() : float8_arg(l->value), int64_arg(l->samples),
			  l->state.status == BREACH_QUIET ? null_arg() : time_arg(l->state.started_at));
}

/* fire: a pending alert fires, on this look's evidence. */
static void
fire(const look *l, TimestampTz now, const Jsonb *found)
{
	static query set =
		QUERY("WITH looked AS (UPDATE model_mgr.alert_state SET firing = true WHERE alert_id = $1)"
			  " UPDATE model_mgr.alert SET status = 'firing', fired_at = $2, summary = $3, evidence = $4,"
			  " deployment_id = $5 WHERE alert_id = $1",
			  INT8OID, TIMESTAMPTZOID, TEXTOID, JSONBOID, INT8OID);
	query_arg deployment = rollout_of(l);

	query_run(&set, int64_arg(l->alert_id), time_arg(now), text_arg(sentence(l)), jsonb_arg(found), deployment);
}

/* apply_one: what one look leads to; true when it changed an alert. */
static bool
apply_one(look *l, TimestampTz now)
{
	breach_rule rule = threshold_rule(&l->threshold);
	breach_change change;
	Jsonb *found;

	if (!l->measured)
		return false;
	/* Back in traffic by a new decision: that is a new story, with its own time to last and its own action. */
	if (l->gone)
	{
		alert_close(l->alert_id, json_build(json_text_pair("why", "the version was deployed anew")));
		l->alert_id = l->looks = 0;
		l->state = (breach_state){0};
		l->action_done = l->gone = false;
	}
	if (unseen(l))
		return false;
	change = breach_look(&rule, &l->state, now, l->value, l->samples);
	l->looks++;
	found = evidence(l, now);
	switch (change)
	{
		case BREACH_RESOLVE:
		case BREACH_FORGET:
			store(l, now);
			alert_close(l->alert_id, found);
			return true;
		case BREACH_BEGIN:
			begin(l, now, found);
			return true;
		case BREACH_FIRE:
			if (l->alert_id == 0)
				begin(l, now, found);
			else
			{
				store(l, now);
				fire(l, now, found);
			}
			(void) alert_emit(l->alert_id);
			act(l, found);
			return true;
		case BREACH_NOTHING:
			break;
	}
	if (l->alert_id == 0)
		return false;
	store(l, now);
	if (l->state.status == BREACH_FIRING && !l->state.clean)
		act(l, found);
	return false;
}

/* part: alerts of versions that serve no more; returns those that are over. */
static int64
part(int64 model_id, TimestampTz now)
{
	static query find = QUERY(GONE(" AND s.model_id = $2"), TIMESTAMPTZOID, INT8OID);
	static query mark = QUERY("UPDATE model_mgr.alert_state SET gone = true, clean_since = least(clean_since, $2)"
							  " WHERE alert_id = $1",
							  INT8OID, TIMESTAMPTZOID);
	uint64 rows = query_run(&find, time_arg(now), int64_arg(model_id));
	int64 *ids = palloc(sizeof(int64) * Max(rows, 1));
	bool *over = palloc(sizeof(bool) * Max(rows, 1));
	int64 closed = 0;

	for (uint64 i = 0; i < rows; i++)
	{
		ids[i] = query_int64(i, 0);
		over[i] = query_bool(i, 2);
	}
	for (uint64 i = 0; i < rows; i++)
	{
		if (over[i])
		{
			alert_close(ids[i], json_build(json_text_pair("why", "the version serves no more")));
			closed++;
		}
		else
			query_run(&mark, int64_arg(ids[i]), time_arg(now));
	}
	return closed;
}

/* apply: one model's looks, under its lock. Returns alerts changed. */
static int64
apply(look_list *list, int64 model_id)
{
	int64 changed = 0;

	for (int i = 0; i < list->count; i++)
		if (apply_one(&list->looks[i], list->now))
			changed++;
	/* An action may just have taken a version out of traffic. */
	return changed + part(model_id, list->now);
}

/*
 * Alerts are few until something happens to many models at once: plans that were made while the tables were empty must
 * not read them whole for each row. Hence the settings of rollup_plan_for_history().
 */
bool
threshold_look(int64 model_id)
{
	int level = rollup_plan_for_history();
	look_list list = read_looks(model_id, mm_now());
	bool changed;

	measure(&list);
	changed = apply(&list, model_id) > 0;
	AtEOXact_GUC(true, level);
	return changed;
}

/* The model whose turn it is, as it was measured with all the others. */
static look_list turn;

/* apply_locked: for mm_guarded: reads the model's rows again under its lock and gives them the values. */
static int64
apply_locked(int64 model_id)
{
	look_list list;

	if (!mm_lock_model(model_id, false))
		return 0;
	list = read_looks(model_id, turn.now);
	for (int i = 0; i < list.count; i++)
		for (int j = 0; j < turn.count; j++)
		{
			/* As a rule nothing has changed: begin at the same place. */
			const look *measured = &turn.looks[(i + j) % turn.count];

			if (measured->threshold_id != list.looks[i].threshold_id ||
				measured->version_id != list.looks[i].version_id)
				continue;
			/* Somebody else has looked since. */
			if (measured->alert_id != list.looks[i].alert_id || measured->looked_at != list.looks[i].looked_at)
				break;
			list.looks[i].measured = true;
			list.looks[i].value = measured->value;
			list.looks[i].samples = measured->samples;
			list.looks[i].reported = measured->reported;
			break;
		}
	return apply(&list, model_id);
}

/* take_turn: one model of the look over all. */
static void
take_turn(int64 model_id, int64 *changed, int64 *failed)
{
	int64 items;

	if (mm_guarded(apply_locked, model_id, psprintf("looking at the thresholds of model %lld", (long long) model_id),
				   &items))
		*changed += items;
	else
		(*failed)++;
}

/* The looks of one model among all, where something has to be written. */
typedef struct busy_model
{
	int from;
	int count;
	TimestampTz looked_at; /* the oldest look at what is in breach; 0: it has just begun */
} busy_model;

/* by_age: what was looked at longest ago comes first, so that a tick without enough time is not unfair to anybody. */
static int
by_age(const void *a, const void *b)
{
	const busy_model *x = a;
	const busy_model *y = b;

	if (x->looked_at != y->looked_at)
		return x->looked_at < y->looked_at ? -1 : 1;
	return x->from < y->from ? -1 : 1;
}

/* find_busy: the models of a list that have a turn, in its order. */
static busy_model *
find_busy(const look_list *all, int *count)
{
	busy_model *busy = palloc(sizeof(busy_model) * Max(all->count, 1));

	*count = 0;
	for (int from = 0, to; from < all->count; from = to)
	{
		busy_model model = {.from = from, .looked_at = DT_NOEND};

		for (to = from; to < all->count && all->looks[to].model_id == all->looks[from].model_id; to++)
			if (!quiet(&all->looks[to], all->now))
				model.looked_at = Min(model.looked_at, all->looks[to].looked_at);
		model.count = to - from;
		if (model.looked_at != DT_NOEND)
			busy[(*count)++] = model;
	}
	qsort(busy, *count, sizeof(busy_model), by_age);
	return busy;
}

int64
threshold_look_all(TimestampTz deadline, int64 *failed)
{
	static query gone = QUERY(GONE(""), TIMESTAMPTZOID);
	/* Everything is read whole at best; the settings are for the turns. */
	look_list all = read_looks(0, mm_now());
	int level = rollup_plan_for_history();
	int64 changed = 0;
	busy_model *busy;
	int count;
	uint64 rows;
	int64 *models;

	measure(&all);
	busy = find_busy(&all, &count);
	deadline = mm_turn(deadline);
	for (int i = 0; i < count && GetCurrentTimestamp() < deadline; i++)
	{
		CHECK_FOR_INTERRUPTS();
		turn = (look_list){.now = all.now, .looks = &all.looks[busy[i].from], .count = busy[i].count};
		take_turn(all.looks[busy[i].from].model_id, &changed, failed);
	}

	/* What is left: alerts of versions that serve no more, in models where nothing else is open. */
	rows = query_run(&gone, time_arg(all.now));
	models = palloc(sizeof(int64) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
		models[i] = query_int64(i, 1);
	turn = (look_list){.now = all.now};
	for (uint64 i = 0; i < rows && GetCurrentTimestamp() < deadline; i++)
		if (i == 0 || models[i] != models[i - 1])
			take_turn(models[i], &changed, failed);
	AtEOXact_GUC(true, level);
	return changed;
}
