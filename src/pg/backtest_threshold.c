/*
 * backtest_threshold.c: backtest_thresholds(): the looks of threshold_look.c once more, each whole minute of the past,
 * over the versions that routing served then: the same values (metric_values(), or the same minutes read at once), the
 * same core (core/breach.c), the same rule for versions that go out of traffic. What the actions would have done is
 * taken into account: a version that would have been taken back is not looked at until it is deployed anew.
 */
#include "pg/backtest.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/deployment_store.h"
#include "pg/metric_internal.h"
#include "pg/query.h"
#include "pg/statistics.h"
#include "pg/summary.h"
#include "pg/threshold.h"

/* What a version has done since the replay began. */
typedef struct progress
{
	int64 requests;
	int64 failures;
	int64 errors;
} progress;

/* One threshold and one version, as `look` of threshold_look.c. */
typedef struct condition
{
	breach_state state;
	progress before;   /* up to the minute in which the breach began */
	backtest_row *row; /* of the alert that fires */
	bool gone;
	bool acted;
} condition;

typedef struct replay
{
	backtest b;
	const threshold *list;
	int count;
	condition *conditions; /* threshold by threshold, a version each */
	progress *done;        /* a version each */
	bool *taken_back;      /* a version each */
	metric_ask *asks;      /* as conditions: what a look found */
	MemoryContext lasting;
} replay;

/* clock_of: a time as people read it. */
static char *
clock_of(TimestampTz at)
{
	return pstrdup(timestamptz_to_str(at));
}

/* bad_of: of what happened between two moments, what the metric is about: failures of a rate, else all requests. */
static double
bad_of(const char *metric_name, const progress *from, const progress *to)
{
	metric m = metric_parse(metric_name);

	if (m.form == METRIC_SUCCESS_RATE)
		return (double) (to->failures - from->failures);
	return (double) (m.form == METRIC_ERROR_RATE ? to->errors - from->errors : to->requests - from->requests);
}

/* append: adds a clause to a row's detail. */
static void
append(backtest_row *row, const char *clause)
{
	row->detail = psprintf("%s; %s", row->detail, clause);
}

/* previous_stable: whether the model served another version for good before this moment. */
static bool
previous_stable(const backtest *b, int64 version_id, TimestampTz at)
{
	for (int i = 0; i < b->routing_count && b->routings[i].from < at; i++)
		if (b->routings[i].stable_version_id != 0 && b->routings[i].stable_version_id != version_id)
			return true;
	return false;
}

/* routing_before: who was served when a look was made, before anything that it led to. */
static const backtest_routing *
routing_before(const backtest *b, TimestampTz at)
{
	const backtest_routing *before = backtest_routing_at(b, at - 1);

	return before ? before : backtest_routing_at(b, at);
}

/* act: what the threshold's action would have done: a row of its own, or a word why nothing. */
static void
act(replay *r, int which, int version, TimestampTz now, backtest_row alert)
{
	const threshold *t = &r->list[which];
	condition *c = &r->conditions[which * r->b.version_count + version];
	const backtest_routing *routing = routing_before(&r->b, now);
	bool candidate = routing && routing->candidate_version_id != 0 && routing->candidate_weight > 0;
	bool is_candidate = candidate && routing->candidate_version_id == r->b.version_ids[version];

	if (c->acted || strcmp(t->action, "alert") == 0)
		return;
	c->acted = true;
	alert.kind = t->action;
	if (strcmp(t->action, "pause") == 0)
	{
		alert.detail =
			psprintf("version %s: its rollout would have been paused: %s", r->b.versions[version], alert.detail);
		if (candidate)
			(void) backtest_add(&r->b, &alert);
		else
			append(c->row, "no rollout to pause");
		return;
	}
	if (candidate && !is_candidate)
		append(c->row, "it is the baseline of a rollout: nothing would have moved");
	else if (!is_candidate && !previous_stable(&r->b, r->b.version_ids[version], now))
		append(c->row, "there was no version to return to: it would have gone on serving");
	else
	{
		alert.detail = psprintf("version %s would have been taken back: %s", r->b.versions[version], alert.detail);
		(void) backtest_add(&r->b, &alert);
		r->taken_back[version] = true;
	}
}

/* fire: the row of an alert. */
static void
fire(replay *r, int which, int version, TimestampTz now)
{
	const threshold *t = &r->list[which];
	int at = which * r->b.version_count + version;
	condition *c = &r->conditions[at];
	const metric_ask *ask = &r->asks[at];
	const progress *done = &r->done[version];
	double share = backtest_share(routing_before(&r->b, now), r->b.version_ids[version]);
	backtest_row row = {.time = now,
						.kind = "alert",
						.metric_name = t->metric_name,
						.value = ask->samples > 0 ? ask->value : NAN,
						.limit_value = t->value,
						.traffic_percentage = share > 0 ? share : NAN,
						.requests_affected = bad_of(t->metric_name, &c->before, done)};

	backtest_row alert;

	row.detail = ask->samples > 0 ? psprintf("%s %s %s %g over %lld samples", t->metric_name,
											 deployment_number(ask->value, t->value),
											 breach_operator_sign(t->operator_), t->value, (long long) ask->samples)
								  : psprintf("%s has no samples", t->metric_name);
	alert = row;
	alert.detail =
		psprintf("version %s: %s; in breach since %s: %lld requests, %lld failed, %lld with an error; severity %s",
				 r->b.versions[version], row.detail, clock_of(c->state.started_at),
				 (long long) (done->requests - c->before.requests), (long long) (done->failures - c->before.failures),
				 (long long) (done->errors - c->before.errors), t->severity);
	c->row = backtest_add(&r->b, &alert);
	c->acted = false;
	act(r, which, version, now, row);
}

/* resolve: completes the row of an alert that is over. */
static void
resolve(replay *r, int which, int version, TimestampTz now, const char *why)
{
	condition *c = &r->conditions[which * r->b.version_count + version];

	if (c->row)
		append(c->row, psprintf("resolved %s%s", clock_of(now), why));
	*c = (condition){0};
}

/* look: one threshold and one version at one minute; `before` is what the version had done a minute ago. */
static void
look(replay *r, int which, int version, TimestampTz now, const progress *before)
{
	int at = which * r->b.version_count + version;
	breach_rule rule = threshold_rule(&r->list[which]);
	condition *c = &r->conditions[at];

	if (c->gone)
		resolve(r, which, version, now, ": the version was deployed anew");
	if (c->state.status == BREACH_QUIET)
		c->before = *before;
	switch (breach_look(&rule, &c->state, now, r->asks[at].value, r->asks[at].samples))
	{
		case BREACH_FIRE:
			fire(r, which, version, now);
			break;
		case BREACH_RESOLVE:
			resolve(r, which, version, now, "");
			break;
		case BREACH_FORGET:
			*c = (condition){0};
			break;
		case BREACH_BEGIN:
		case BREACH_NOTHING:
			break;
	}
}

/* part: a version that serves no more: what is pending is over, what fires after as long as looks would have to be
 * clean, at least a minute. */
static void
part(replay *r, int which, int version, TimestampTz now)
{
	condition *c = &r->conditions[which * r->b.version_count + version];
	int64 hold = Min(Max(r->list[which].duration_minutes, 1), 5) * USECS_PER_MINUTE;

	if (c->state.status == BREACH_PENDING)
		*c = (condition){0};
	if (c->state.status != BREACH_FIRING)
		return;
	if (!c->gone)
	{
		if (!c->state.clean || c->state.clean_since > now)
			c->state.clean_since = now;
		c->gone = true;
	}
	else if (now - c->state.clean_since >= hold)
		resolve(r, which, version, now, ": the version serves no more");
}

/* look_at_minute: all looks at one time, for the versions that served then. */
static void
look_at_minute(replay *r, TimestampTz now, const progress *before)
{
	const backtest *b = &r->b;
	const backtest_routing *after = backtest_routing_at(b, now);
	const backtest_routing *then = routing_before(b, now);
	/* A model that routes nothing: whoever has outcomes. */
	bool nothing = (then == NULL || (then->stable_version_id == 0 && then->candidate_weight == 0)) &&
				   (after == NULL || (after->stable_version_id == 0 && after->candidate_weight == 0));

	for (int v = 0; v < b->version_count; v++)
	{
		bool serves = backtest_serves(b, b->version_ids[v], now);

		if (!serves)
			r->taken_back[v] = false;
		for (int t = 0; t < r->count; t++)
		{
			int at = t * b->version_count + v;

			if (nothing ? r->asks[at].samples > 0 || r->conditions[at].state.status != BREACH_QUIET
						: serves && !r->taken_back[v])
				look(r, t, v, now, &before[v]);
		}
		if (!nothing && (r->taken_back[v] || backtest_share(after, b->version_ids[v]) <= 0))
			for (int t = 0; t < r->count; t++)
				part(r, t, v, now);
	}
}

/*
 * window_point: a metric over the `minutes` up to `now`, out of cells of one minute: what was observed, else what was
 * reported.
 */
static void
window_point(const metric_answer *answer, metric_ask *ask, TimestampTz now, int minutes)
{
	metric m = metric_parse(ask->metric_name);
	int32 number = metric_number(answer, metric_canonical(ask->metric_name));

	for (int reported = 0; reported < 2 && ask->samples == 0; reported++)
	{
		bool builtin = m.form != METRIC_CUSTOM && !reported;
		metric_tally sum = {0};
		quantiles parts;

		quantiles_init(&parts, statistics_memory, CurrentMemoryContext);
		for (int i = 1; i <= minutes; i++)
		{
			const metric_cell *cell = metric_cell_of(answer, ask->version_id, now - i * USECS_PER_MINUTE,
													 builtin ? METRIC_BUILTIN : number, reported);

			if (cell == NULL)
				continue;
			sum.requests += cell->tally.requests;
			sum.known += cell->tally.known;
			sum.successes += cell->tally.successes;
			sum.errors += cell->tally.errors;
			for (int k = 0; k < METRIC_MEASURES; k++)
			{
				sum.measures[k].count += cell->tally.measures[k].count;
				sum.measures[k].sum += cell->tally.measures[k].sum;
			}
			if (builtin && m.form == METRIC_QUANTILE && cell->tally.measures[m.measure].sketch &&
				!quantiles_add(&parts, cell->tally.measures[m.measure].sketch,
							   cell->tally.measures[m.measure].sketch_length))
				summary_damaged();
		}
		if (builtin)
		{
			sum.measures[m.measure].parts = &parts;
			ask->value = metric_evaluate(&m, &sum, minutes, &ask->samples);
		}
		else
		{
			ask->samples = sum.measures[0].count;
			ask->value = ask->samples > 0 ? sum.measures[0].sum / (double) ask->samples : NAN;
		}
		quantiles_free(&parts);
	}
	if (ask->samples == 0)
		ask->value = NAN;
}

/* window_minutes: the looks' window in minutes; 0 when it is not made of whole ones. */
static int
window_minutes(void)
{
	return guc_monitor_interval_seconds % 60 == 0 ? guc_monitor_interval_seconds / 60 : 0;
}

/* measure: the values of one minute's looks: a piece's minutes were all read at once. */
static void
measure(replay *r, const metric_answer *answer, TimestampTz now)
{
	int count = r->count * r->b.version_count;
	int minutes = window_minutes();

	for (int i = 0; i < count; i++)
	{
		r->asks[i] = (metric_ask){.version_id = r->b.version_ids[i % r->b.version_count],
								  .metric_name = r->list[i / r->b.version_count].metric_name,
								  .value = NAN};
		if (minutes > 0)
			window_point(answer, &r->asks[i], now, minutes);
	}
	if (minutes == 0 && count > 0)
		metric_values(r->asks, count, now - guc_monitor_interval_seconds * USECS_PER_SEC, now);
}

/* replay_piece: the minutes in (from, to]. Memory is let go minute by minute, but for rows. */
static void
replay_piece(replay *r, TimestampTz from, TimestampTz to)
{
	const backtest *b = &r->b;
	int64 *pair_versions = palloc(sizeof(int64) * (r->count * b->version_count + 1));
	const char **pair_names = palloc(sizeof(char *) * (r->count * b->version_count + 1));
	metric_question question = {.version_ids = b->version_ids,
								.versions = b->version_count,
								.since = Max(from - Max(window_minutes() - 1, 0) * USECS_PER_MINUTE, b->kept),
								.until = to,
								.width = USECS_PER_MINUTE,
								.pair_versions = pair_versions,
								.pair_names = pair_names};
	metric_answer *answer;

	for (int t = 0; t < r->count; t++)
	{
		metric m = metric_parse(r->list[t].metric_name);
		bool known = false;

		question.moments |= m.form == METRIC_QUANTILE;
		for (int i = 0; i < t; i++)
			known |= strcmp(r->list[i].metric_name, r->list[t].metric_name) == 0;
		for (int v = 0; m.form == METRIC_CUSTOM && !known && v < b->version_count; v++)
		{
			pair_versions[question.pairs] = b->version_ids[v];
			pair_names[question.pairs++] = r->list[t].metric_name;
		}
	}
	answer = metric_read(&question);
	metric_read_reported(&question, answer);

	for (TimestampTz now = from + USECS_PER_MINUTE; now <= to; now += USECS_PER_MINUTE)
	{
		progress *before = palloc(sizeof(progress) * (b->version_count + 1));
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		memcpy(before, r->done, sizeof(progress) * b->version_count);
		for (int v = 0; v < b->version_count; v++)
		{
			const metric_cell *cell =
				metric_cell_of(answer, b->version_ids[v], now - USECS_PER_MINUTE, METRIC_BUILTIN, false);

			if (cell == NULL)
				continue;
			r->done[v].requests += cell->tally.requests;
			r->done[v].failures += cell->tally.known - cell->tally.successes;
			r->done[v].errors += cell->tally.errors;
		}
		measure(r, answer, now);
		old = MemoryContextSwitchTo(r->lasting);
		look_at_minute(r, now, before);
		MemoryContextSwitchTo(old);
		pfree(before);
	}
}

MM_FUNCTION(mm_backtest_thresholds);

/* mm_backtest_thresholds(model_name text, thresholds jsonb, since timestamptz, until timestamptz): one row an alert. */
Datum
mm_backtest_thresholds(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	replay r = {.count = 0};
	mm_scope scope;

	mm_require(fcinfo, 1, "thresholds");
	r.list = threshold_parse(PG_GETARG_JSONB_P(1), &r.count);
	backtest_times(fcinfo, 2, 3, &r.b);
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	if (backtest_load(model_name, false, &r.b))
	{
		MemoryContext piece = AllocSetContextCreate(CurrentMemoryContext, "backtest", ALLOCSET_DEFAULT_SIZES);

		r.lasting = CurrentMemoryContext;
		r.conditions = palloc0(sizeof(condition) * (r.count * r.b.version_count + 1));
		r.asks = palloc0(sizeof(metric_ask) * (r.count * r.b.version_count + 1));
		r.done = palloc0(sizeof(progress) * (r.b.version_count + 1));
		r.taken_back = palloc0(sizeof(bool) * (r.b.version_count + 1));
		for (TimestampTz from = r.b.since; from < r.b.until; from += BACKTEST_PIECE)
		{
			MemoryContextSwitchTo(piece);
			replay_piece(&r, from, Min(from + BACKTEST_PIECE, r.b.until));
			MemoryContextSwitchTo(r.lasting);
			MemoryContextReset(piece);
		}
		for (int i = 0; i < r.count * r.b.version_count; i++)
			if (r.conditions[i].row)
				append(r.conditions[i].row, psprintf("still firing %s", clock_of(r.b.until)));
		backtest_put(&r.b, fcinfo);
	}
	mm_leave(scope);
	return (Datum) 0;
}
