/*
 * backtest_rollout.c: backtest_rollout(): a rollout that was never made, judged each whole minute by the same core
 * (core/rollout.c, core/guard.c) on what was recorded of its version.
 *
 * What is assumed: in each minute the version does as well as was recorded, and gets the plan's share of the requests:
 * its recorded counts times plan's share / recorded share. The recorded share is what routing gave it at the beginning
 * of the minute; of a version that routing did not serve, its part of the model's requests. The baseline, the other
 * version that served, is scaled in the same way to the rest. Rates and means stay as they were recorded. The guard
 * gets no more evidence than there was: counts are never scaled up for it. Minutes count by arrival, as in the rollups:
 * late labels of requests before the rollout's begin count too. Where only hours are kept it is judged once an hour, on
 * that hour: the same, with a longer minute.
 */
#include "pg/backtest.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/summary.h"
#include "pg/deployment_store.h"
#include "pg/metric_internal.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"

/* Counts that were scaled. */
typedef struct share_counts
{
	double requests;
	double known;
	double successes;
	double errors;
	double times;
	double time_sum;
	double time_m2; /* the guard's only */
} share_counts;

/* One side: totals up to each minute since the begin, the last scale, and the guard's counts of each step. */
typedef struct side
{
	int64 version_id; /* 0: there is none */
	double scale;
	share_counts *upto; /* upto[0] is nothing, upto[i]: up to i minutes after the begin */
	share_counts steps[ROLLOUT_MAX_STEPS];
} side;

typedef struct replay
{
	backtest b;
	rollout_plan plan;
	rollout_state state;
	const char *version;
	const char *baseline;
	const char **criterion_metrics;
	bool guarded;
	guard_margin margins[ROLLOUT_METRICS];
	side candidate;
	side other;
	int counted_from; /* minute of the judged begin: after the warm-up */
	int step_from;    /* minute in which the step began */
	int stride;       /* minutes from look to look: 1, or 60 where only hours are kept */
	rollout_tally window;
	rollout_tally step;
	guard_verdict verdict;
	rollout_decision decision;
} replay;

/* add_scaled: counts of a cell onto a total. */
static void
add_scaled(share_counts *total, const metric_tally *tally, double scale)
{
	total->requests += scale * tally->requests;
	total->known += scale * tally->known;
	total->successes += scale * tally->successes;
	total->errors += scale * tally->errors;
	total->times += scale * tally->measures[METRIC_RESPONSE_TIME].count;
	total->time_sum += scale * tally->measures[METRIC_RESPONSE_TIME].sum;
}

/* add_spread: squared deviations of response times onto a total that does not hold this cell yet. */
static void
add_spread(share_counts *total, const metric_tally *tally, double scale)
{
	const unsigned char *sketch = tally->measures[METRIC_RESPONSE_TIME].sketch;
	double n = scale * tally->measures[METRIC_RESPONSE_TIME].count;
	summary_head head;

	if (sketch == NULL || n <= 0 || !summary_read(sketch, tally->measures[METRIC_RESPONSE_TIME].sketch_length, &head) ||
		head.m.n == 0)
		return;
	total->time_m2 += scale * head.m.m2;
	if (total->times > 0)
	{
		double mean = tally->measures[METRIC_RESPONSE_TIME].sum / tally->measures[METRIC_RESPONSE_TIME].count;
		double delta = mean - total->time_sum / total->times;

		total->time_m2 += delta * delta * total->times * n / (total->times + n);
	}
}

/* tally_between: what a side did in the minutes (from, to]. */
static rollout_tally
tally_between(const side *s, int from, int to)
{
	const share_counts *a = &s->upto[Min(from, to)];
	const share_counts *b = &s->upto[to];
	rollout_tally tally = {.requests = (int64) rint(b->requests - a->requests),
						   .known = (int64) rint(b->known - a->known),
						   .successes = (int64) rint(b->successes - a->successes),
						   .errors = (int64) rint(b->errors - a->errors),
						   .response_time_count = (int64) rint(b->times - a->times)};

	/* The mean is that of the unrounded counts. */
	if (b->times - a->times > 0)
		tally.response_time_sum = tally.response_time_count * ((b->time_sum - a->time_sum) / (b->times - a->times));
	return tally;
}

/* look_back: minutes that a look looks back. */
static int
look_back(const replay *r)
{
	return Max(DEPLOYMENT_WINDOW, r->stride);
}

/* window_words: over which time a verdict counts. */
static char *
window_words(const replay *r, const rollout_verdict *v)
{
	return v->stretched ? pstrdup("since the step began") : psprintf("in the last %d minutes", look_back(r));
}

/* count_minute: the minute (or hour) that ends at `now`, number i, onto one side. */
static void
count_minute(replay *r, side *s, const metric_answer *counts, const metric_answer *spreads, TimestampTz now, int i,
			 double plan_share)
{
	TimestampTz slot = now - r->stride * USECS_PER_MINUTE;
	const metric_cell *cell = metric_cell_of(counts, s->version_id, slot, METRIC_BUILTIN, false);
	const metric_cell *spread = metric_cell_of(spreads, s->version_id, slot, METRIC_BUILTIN, false);
	double recorded = backtest_share(backtest_routing_at(&r->b, slot), s->version_id);
	bool judged = r->state.step > 0 && i > r->counted_from && plan_share > 0;

	for (int k = i - r->stride + 1; k <= i; k++)
		s->upto[k] = s->upto[k - 1];
	if (cell == NULL)
		return;
	if (recorded <= 0)
	{
		int64 all = 0;

		for (int v = 0; v < r->b.version_count; v++)
		{
			const metric_cell *one = metric_cell_of(counts, r->b.version_ids[v], slot, METRIC_BUILTIN, false);

			all += one ? one->tally.requests : 0;
		}
		if (all > 0)
			recorded = 100.0 * cell->tally.requests / all;
	}
	/* Labels without requests: those of the minutes before. */
	if (recorded > 0)
		s->scale = plan_share / recorded;
	add_scaled(&s->upto[i], &cell->tally, s->scale);
	if (judged)
	{
		share_counts *total = &s->steps[r->state.step - 1];
		double scale = Min(s->scale, 1);

		if (spread)
			add_spread(total, &spread->tally, scale);
		add_scaled(total, &cell->tally, scale);
	}
}

static guard_side
guard_side_of(const share_counts *c)
{
	return (guard_side){.requests = (int64) rint(c->requests),
						.known = (int64) rint(c->known),
						.successes = (int64) rint(Min(c->successes, c->known)),
						.errors = (int64) rint(c->errors),
						.response_time_count = (int64) rint(c->times),
						.response_time_mean = c->times > 0 ? c->time_sum / c->times : 0,
						.response_time_m2 = c->time_m2};
}

/* guard: what the guard says of the steps so far. */
static void
guard(replay *r)
{
	guard_stratum strata[ROLLOUT_MAX_STEPS];
	int count = 0;

	r->state.guard_convicts = false;
	if (!r->guarded || r->other.version_id == 0)
		return;
	for (int s = 0; s < r->state.step; s++)
		if (r->plan.steps[s] < 100)
			strata[count++] = (guard_stratum){.share = r->plan.steps[s],
											  .baseline = guard_side_of(&r->other.steps[s]),
											  .candidate = guard_side_of(&r->candidate.steps[s])};
	r->verdict = guard_look(r->margins, GUARD_LEVEL, strata, count);
	r->state.guard_convicts = r->verdict.convict;
}

/* value_of: an answer as the core takes it: its samples are those of the share. */
static rollout_value
value_of(const metric_ask *ask, double scale)
{
	metric m = metric_parse(ask->metric_name);

	return (rollout_value){.value = m.form == METRIC_REQUESTS_PER_MINUTE ? ask->value * scale : ask->value,
						   .samples = ask->samples > 0 ? Max((int64) rint(ask->samples * scale), 1) : 0};
}

/* measure: the values of the health criteria on both sides, over the window and since the step began. */
static rollout_measured *
measure(replay *r, TimestampTz now, int minute)
{
	int n = r->plan.criterion_count;
	int window_from = Min(Max(minute - look_back(r), r->counted_from), minute);
	int step_from = Min(Max(r->step_from, r->counted_from), minute);
	TimestampTz window_start = r->b.since + window_from * USECS_PER_MINUTE;
	TimestampTz step_start = r->b.since + step_from * USECS_PER_MINUTE;
	rollout_measured *measured = palloc0(sizeof(rollout_measured) * Max(n, 1));
	metric_ask *asks = palloc0(sizeof(metric_ask) * Max(2 * n, 1));

	for (int pass = 0; n > 0 && pass < 2; pass++)
	{
		int count = r->other.version_id ? 2 * n : n;

		for (int i = 0; i < count; i++)
			asks[i] = (metric_ask){.version_id = i < n ? r->candidate.version_id : r->other.version_id,
								   .metric_name = r->criterion_metrics[i % n],
								   .value = NAN};
		metric_values(asks, count, pass == 0 ? window_start : step_start, now);
		for (int i = 0; i < count; i++)
		{
			rollout_value value = value_of(&asks[i], i < n ? r->candidate.scale : r->other.scale);
			rollout_measured *m = &measured[i % n];

			if (i < n)
				*(pass == 0 ? &m->window : &m->step) = value;
			else
				*(pass == 0 ? &m->baseline_window : &m->baseline_step) = value;
		}
	}
	return measured;
}

/* served: the clause that tells what the version would have served by now, and how many of it badly. */
static char *
served(const replay *r, int minute)
{
	rollout_tally all = tally_between(&r->candidate, 0, minute);

	return psprintf("by then it would have served %lld requests, %lld of them failed and %lld with an error",
					(long long) all.requests, (long long) (all.known - all.successes), (long long) all.errors);
}

/* add: a row that shows the success rate, as the diary of a rollout does. */
static backtest_row *
add(replay *r, TimestampTz now, int minute, const char *kind, double share, char *detail)
{
	const rollout_verdict *v = &r->decision.verdicts[ROLLOUT_SUCCESS_RATE];
	rollout_tally all = tally_between(&r->candidate, 0, minute);
	backtest_row row = {.time = now,
						.kind = kind,
						.metric_name = rollout_metric_name(ROLLOUT_SUCCESS_RATE),
						.value = v->samples > 0 ? v->value : NAN,
						.limit_value = r->plan.limits[ROLLOUT_SUCCESS_RATE],
						.traffic_percentage = share,
						.requests_affected = Max(all.known - all.successes, all.errors),
						.detail = detail};

	return backtest_add(&r->b, &row);
}

/* roll_back: the row of a rollback, with what it was for. */
static void
roll_back(replay *r, TimestampTz now, int minute)
{
	const rollout_decision *d = &r->decision;
	backtest_row *row = add(r, now, minute, "rollback", 0, NULL);
	rollout_tally all = tally_between(&r->candidate, 0, minute);
	const rollout_verdict *v = NULL;
	char *why;

	if (d->cause == ROLLOUT_CAUSE_LIMIT)
	{
		row->metric_name = rollout_metric_name(d->broken);
		v = &d->verdicts[d->broken];
	}
	else if (d->cause == ROLLOUT_CAUSE_CRITERION)
	{
		row->metric_name = r->criterion_metrics[d->criterion];
		v = &d->criteria[d->criterion];
	}
	if (v)
	{
		row->value = v->value;
		row->limit_value = v->limit;
		why = psprintf("%s is %s and the limit %g over %lld samples %s", row->metric_name,
					   deployment_number(v->value, v->limit), v->limit, (long long) v->samples, window_words(r, v));
	}
	else if (d->cause == ROLLOUT_CAUSE_GUARD)
	{
		const guard_evidence *e = &r->verdict.metrics[r->verdict.worst];

		row->metric_name = rollout_metric_name(r->verdict.worst);
		row->value = e->candidate;
		row->limit_value = e->baseline + e->margin;
		why = psprintf("the guard convicts it: %s is %s beside %s of version %s (margin %g), p = %.2g",
					   row->metric_name, deployment_number(e->candidate, e->baseline),
					   deployment_number(e->baseline, e->candidate), r->baseline, fabs(e->margin), r->verdict.p_value);
	}
	else
		why = psprintf("%s is over", rollout_cause_name(d->cause));
	if (strcmp(row->metric_name, "success_rate") != 0 && strcmp(row->metric_name, "error_rate") != 0)
		row->requests_affected = (double) all.requests;
	row->detail = psprintf("step %d of %d: %s; %s", r->state.step, r->plan.step_count, why, served(r, minute));
}

/* enter: takes a step, the first one too. */
static void
enter(replay *r, TimestampTz now, int minute, int step, const char *why)
{
	double share = r->plan.steps[step - 1];

	r->state.step = step;
	r->state.step_started_at = now;
	r->step_from = minute;
	r->state.approved = false;
	r->state.phase = share == 100 ? ROLLOUT_BAKING : ROLLOUT_RUNNING;
	r->state.bake_until = now + r->plan.bake_time;
	(void) add(r, now, minute, "step", share,
			   psprintf("step %d of %d: %g %% of traffic%s; %s", step, r->plan.step_count, share, why,
						minute == 0 ? "nothing served yet" : served(r, minute)));
}

/* begin: the first step, with what is assumed. */
static void
begin(replay *r, TimestampTz now, int minute)
{
	char *beside =
		r->baseline ? psprintf("beside version %s", r->baseline) : pstrdup("with no version to compare with");

	r->state.started_at = now;
	r->counted_from = minute + (int) ((r->plan.warmup_time + USECS_PER_MINUTE - 1) / USECS_PER_MINUTE);
	enter(r, now, minute, 1,
		  psprintf(
			  ", %s; assumed: each minute as recorded, counts scaled to the share, usual limits (success_rate >= %g,"
			  " error_rate <= %g, response_time <= %g over %d minutes), outcomes from both sides alike%s%s",
			  beside, r->plan.limits[ROLLOUT_SUCCESS_RATE], r->plan.limits[ROLLOUT_ERROR_RATE],
			  r->plan.limits[ROLLOUT_RESPONSE_TIME], DEPLOYMENT_WINDOW,
			  r->plan.approval == ROLLOUT_APPROVAL_NONE ? "" : ", approvals given at once",
			  r->b.since < r->b.kept
				  ? psprintf(
						"; looked at once an hour, over that hour, until %s, since minutes before are no longer kept",
						deployment_time(r->b.kept))
				  : ""));
}

/* judge: one look; false when the rollout is over. */
static bool
judge(replay *r, TimestampTz now, int minute)
{
	r->state.now = now;
	if (r->state.phase != ROLLOUT_PENDING)
	{
		int from = Max(minute - look_back(r), r->counted_from);

		r->window = tally_between(&r->candidate, from, minute);
		r->step = tally_between(&r->candidate, Max(r->step_from, r->counted_from), minute);
		guard(r);
	}
	r->decision = rollout_decide(&r->plan, &r->state, &r->window, &r->step);
	if (r->decision.action == ROLLOUT_AWAIT_APPROVAL)
	{
		r->state.approved = true;
		r->decision = rollout_decide(&r->plan, &r->state, &r->window, &r->step);
	}
	switch (r->decision.action)
	{
		case ROLLOUT_START:
			begin(r, now, minute);
			break;
		case ROLLOUT_STEP:
		case ROLLOUT_BAKE:
			enter(r, now, minute, r->state.step + 1, "");
			break;
		case ROLLOUT_COMPLETE:
			(void) add(r, now, minute, "complete", 100, psprintf("the bake is over; %s", served(r, minute)));
			return false;
		case ROLLOUT_ROLL_BACK:
			roll_back(r, now, minute);
			return false;
		case ROLLOUT_HOLD:
		case ROLLOUT_REJECT:
		case ROLLOUT_AWAIT_APPROVAL:
		case ROLLOUT_CONCLUDE:
			break;
	}
	return true;
}

/* hold: the last row of a rollout that is not over when the history is. */
static void
hold(replay *r)
{
	int minute = (int) ((r->b.until - r->b.since) / USECS_PER_MINUTE);
	const char *wait = rollout_wait_name(r->decision.wait);
	char *what = wait ? pstrdup(wait) : pstrdup("the next look");

	if (r->decision.wait == ROLLOUT_WAIT_REQUESTS)
		what = psprintf("min_requests: %lld of %lld outcomes in this step", (long long) r->decision.step_samples,
						(long long) r->plan.min_requests);
	else if (r->decision.wait == ROLLOUT_WAIT_CRITERIA && r->decision.criterion >= 0)
		what = psprintf("health_criteria: %s %s", r->criterion_metrics[r->decision.criterion],
						rollout_outcome_name(r->decision.criteria[r->decision.criterion].outcome));
	(void) add(r, r->b.until, minute, "hold", r->state.step > 0 ? r->plan.steps[r->state.step - 1] : 0,
			   psprintf("not over: it waits for %s; %s", what, served(r, minute)));
}

/* replay_piece: the minutes in (from, to]; false when the rollout is over. */
static bool
replay_piece(replay *r, TimestampTz from, TimestampTz to, MemoryContext lasting)
{
	int64 sides[2] = {r->candidate.version_id, r->other.version_id};
	metric_question question = {.version_ids = r->b.version_ids,
								.versions = r->b.version_count,
								.since = from,
								.until = to,
								.width = r->stride * USECS_PER_MINUTE};
	metric_answer *counts = metric_read(&question);
	MemoryContext look = AllocSetContextCreate(CurrentMemoryContext, "backtest look", ALLOCSET_DEFAULT_SIZES);
	metric_answer *spreads;

	question.version_ids = sides;
	question.versions = r->other.version_id ? 2 : 1;
	question.moments = true;
	spreads = metric_read(&question);
	for (TimestampTz now = from + question.width; now <= to; now += question.width)
	{
		int minute = (int) ((now - r->b.since) / USECS_PER_MINUTE);
		double share = r->state.phase == ROLLOUT_PENDING ? 0 : r->plan.steps[r->state.step - 1];
		MemoryContext old;
		bool goes_on;

		CHECK_FOR_INTERRUPTS();
		count_minute(r, &r->candidate, counts, spreads, now, minute, share);
		if (r->other.version_id)
			count_minute(r, &r->other, counts, spreads, now, minute, 100 - share);
		MemoryContextReset(look);
		old = MemoryContextSwitchTo(look);
		r->state.measured = r->state.phase == ROLLOUT_PENDING ? NULL : measure(r, now, minute);
		MemoryContextSwitchTo(lasting);
		goes_on = judge(r, now, minute);
		MemoryContextSwitchTo(old);
		if (!goes_on)
			return false;
	}
	return true;
}

/* find_baseline: the version that served beside this one: for good at the begin, else the one with most requests. */
static void
find_baseline(replay *r)
{
	const backtest_routing *routing = backtest_routing_at(&r->b, r->b.since);
	metric_ask *asks = palloc0(sizeof(metric_ask) * (r->b.version_count + 1));
	int64 most = 0;

	for (int v = 0; v < r->b.version_count; v++)
		asks[v] = (metric_ask){
			.version_id = r->b.version_ids[v], .metric_name = metric_canonical("requests_per_minute"), .value = NAN};
	if (r->b.version_count > 0 && r->b.since < r->b.until)
		metric_values(asks, r->b.version_count, r->b.since, r->b.until);
	for (int v = 0; v < r->b.version_count; v++)
	{
		bool stable = routing && routing->stable_version_id == r->b.version_ids[v];
		int64 requests = stable ? PG_INT64_MAX : asks[v].samples;

		if (r->b.version_ids[v] == r->candidate.version_id || requests <= most)
			continue;
		most = requests;
		r->other.version_id = r->b.version_ids[v];
		r->baseline = r->b.versions[v];
	}
}

MM_FUNCTION(mm_backtest_rollout);

/* mm_backtest_rollout(model_name text, version text, rollout jsonb, health_criteria jsonb, since timestamptz,
 * until timestamptz): one row a step or an end. */
Datum
mm_backtest_rollout(PG_FUNCTION_ARGS)
{
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *version_name = mm_text_arg(fcinfo, 1, "version", true);
	Jsonb *nothing = json_build_pairs(0, NULL);
	replay *r = palloc0(sizeof(replay));
	Jsonb *rollout;
	registry_version version;
	mm_scope scope;

	r->plan.auto_rollback = true;
	r->plan.limits[ROLLOUT_SUCCESS_RATE] = DEPLOYMENT_MIN_SUCCESS_RATE;
	r->plan.limits[ROLLOUT_ERROR_RATE] = DEPLOYMENT_MAX_ERROR_RATE;
	r->plan.limits[ROLLOUT_RESPONSE_TIME] = DEPLOYMENT_MAX_RESPONSE_TIME;
	deployment_health_parse(PG_ARGISNULL(3) ? nothing : PG_GETARG_JSONB_P(3), &r->plan, &r->criterion_metrics);
	rollout = deployment_plan_parse(PG_ARGISNULL(2) ? nothing : PG_GETARG_JSONB_P(2), "canary", DEPLOYMENT_WINDOW, NULL,
									&r->plan);
	r->guarded = deployment_plan_guard(rollout, r->margins);
	backtest_times(fcinfo, 4, 5, &r->b);
	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	if (backtest_load(model_name, true, &r->b) && registry_find_version(model_name, version_name, true, &version) &&
		r->b.since <= r->b.until)
	{
		MemoryContext lasting = CurrentMemoryContext;
		MemoryContext piece = AllocSetContextCreate(lasting, "backtest", ALLOCSET_DEFAULT_SIZES);
		size_t minutes = (r->b.until - r->b.since) / USECS_PER_MINUTE;
		bool goes_on = true;

		r->version = version.version;
		r->candidate.version_id = version.version_id;
		r->candidate.upto = palloc0(sizeof(share_counts) * (minutes + 1));
		r->other.upto = palloc0(sizeof(share_counts) * (minutes + 1));
		find_baseline(r);
		for (int m = 0; m < ROLLOUT_METRICS; m++)
			r->decision.verdicts[m].value = NAN;
		r->state.phase = ROLLOUT_PENDING;
		r->stride = 1;
		if (r->plan.start_at <= r->b.since)
			begin(r, r->b.since, 0);
		for (TimestampTz from = r->b.since, to; goes_on && from < r->b.until; from = to)
		{
			bool hours = from < r->b.kept;

			to = hours ? Min(from + BACKTEST_HOURS, r->b.kept) : from + BACKTEST_PIECE;
			to = Min(to, r->b.until);
			r->stride = hours ? 60 : 1;
			MemoryContextSwitchTo(piece);
			goes_on = replay_piece(r, from, to, lasting);
			MemoryContextSwitchTo(lasting);
			MemoryContextReset(piece);
		}
		if (goes_on)
			hold(r);
		backtest_put(&r->b, fcinfo);
	}
	mm_leave(scope);
	return (Datum) 0;
}
