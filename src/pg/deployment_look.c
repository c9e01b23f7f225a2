/*
 * deployment_look.c: looking at rollouts: fetches what both sides did, for one of them or for all in a few queries, and
 * lets the core say what follows (deployment_decide). Changes nothing.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "utils/guc.h"

#include "pg/experiment.h"
#include "pg/metric.h"
#include "pg/query.h"
#include "pg/rollup.h"
#include "pg/shadow.h"

/* By how much the odds of the sides may be off: sticky units send unequal numbers of requests. */
#define SAMPLE_RATIO_TOLERANCE 0.1

/* add: one step's counts onto a sum. */
static void
add(rollout_tally *sum, const rollout_tally *t)
{
	sum->requests += t->requests;
	sum->known += t->known;
	sum->successes += t->successes;
	sum->errors += t->errors;
	sum->response_time_count += t->response_time_count;
	sum->response_time_sum += t->response_time_sum;
}

/* take_side: the sums of a side over the window, and over the present step and those after it. */
static void
take_side(const rollup_side *side, int32 present, rollout_tally *window, rollout_tally *step)
{
	for (int i = 0; i < side->count; i++)
	{
		add(window, &side->steps[i].window);
		if (side->steps[i].step >= present)
			add(step, &side->steps[i].whole);
	}
}

/*
 * lot_share: which share of the requests that are compared is the candidate's. A shadow's are copies of some of the
 * baseline's.
 */
static double
lot_share(const deployment *d, int32 step)
{
	double share = step <= d->plan.step_count ? d->plan.steps[step - 1] : 0;

	return d->plan.shape == ROLLOUT_SHADOW ? 100 * share / (100 + share) : share;
}

/* take_strata: pairs first; both sides step by step; a step in which one side has nothing is one of the other alone. */
static void
take_strata(const deployment *d, const rollup_side *candidate, const rollup_side *baseline, const guard_pairs *pairs,
			deployment_look *look)
{
	int c = 0;
	int b = 0;

	look->strata = palloc0(sizeof(deployment_stratum) * (candidate->count + baseline->count + 2));
	if (pairs != NULL)
	{
		look->strata[look->stratum_count++] =
			(deployment_stratum){.step = d->step, .counts = {.share = 50, .paired = true, .pairs = *pairs}};
		look->state.paired = true;
		/* What was recorded by name has no request to be paired by. */
		look->state.pairs = paired_count(&pairs->outcomes);
		for (int i = 0; i < candidate->count; i++)
			look->state.pairs += candidate->steps[i].compared.known;
	}
	while (c < candidate->count || b < baseline->count)
	{
		deployment_stratum *s = &look->strata[look->stratum_count++];

		if (b >= baseline->count || (c < candidate->count && candidate->steps[c].step <= baseline->steps[b].step))
			s->step = candidate->steps[c].step;
		else
			s->step = baseline->steps[b].step;
		if (c < candidate->count && candidate->steps[c].step == s->step)
		{
			s->counts.candidate = candidate->steps[c].compared;
			s->drawn_candidate = candidate->steps[c++].drawn;
		}
		if (b < baseline->count && baseline->steps[b].step == s->step)
		{
			s->counts.baseline = baseline->steps[b].compared;
			s->drawn_baseline = baseline->steps[b++].drawn;
		}
		s->counts.share = lot_share(d, s->step);
	}
}

/*
 * check_ratio: the sample ratio of the requests that were drawn by lot. Requests credited by name count too when the
 * candidate falls short with them: then it reports less than it was given. That it has more means nothing, since
 * nobody said that whoever records by name records both sides.
 */
static guard_sample_ratio
check_ratio(const deployment *d, const deployment_look *look)
{
	guard_stratum *strata = palloc(sizeof(guard_stratum) * (look->stratum_count + 1));
	guard_sample_ratio ratio;

	for (int i = 0; i < look->stratum_count; i++)
		strata[i] = look->strata[i].counts;
	ratio = guard_check_sample_ratio(strata, look->stratum_count, SAMPLE_RATIO_TOLERANCE);
	if (ratio.counted >= ratio.expected || d->plan.shape == ROLLOUT_SHADOW)
	{
		for (int i = 0; i < look->stratum_count; i++)
		{
			strata[i].candidate.requests = look->strata[i].drawn_candidate;
			strata[i].baseline.requests = look->strata[i].drawn_baseline;
		}
		ratio = guard_check_sample_ratio(strata, look->stratum_count, SAMPLE_RATIO_TOLERANCE);
	}
	return ratio;
}

void
deployment_decide(const deployment *d, deployment_look *look)
{
	guard_stratum *strata = palloc(sizeof(guard_stratum) * (look->stratum_count + 1));

	for (int i = 0; i < look->stratum_count; i++)
		strata[i] = look->strata[i].counts;
	look->guard = guard_look(d->margins, GUARD_LEVEL, strata, look->stratum_count);
	look->ratio = check_ratio(d, look);
	look->state.guard_convicts = d->guarded && look->guard.convict;
	look->state.sample_ratio_alarm = look->ratio.alarm;
	look->state.measured = look->measured;
	look->decision = rollout_decide(&d->plan, &look->state, &look->window, &look->step);
}

/* measure: answers of one set of questions, candidate and baseline of each criterion in turn. */
static void
measure(const deployment *d, rollout_measured *measured, bool window, TimestampTz since, TimestampTz now)
{
	int n = d->plan.criterion_count;
	metric_ask *asks = palloc0(sizeof(metric_ask) * 2 * n);
	/* What was routed before it began, and while it warmed up, is none of its doing. A window is open at its beginning.
	 */
	TimestampTz from = Max(since, d->started_at + d->plan.warmup_time - 1);

	if (from >= now)
		return;
	for (int i = 0; i < n; i++)
	{
		asks[2 * i] = (metric_ask){.version_id = d->version_id, .metric_name = d->criterion_metrics[i]};
		asks[2 * i + 1] = (metric_ask){.version_id = d->baseline_version_id, .metric_name = d->criterion_metrics[i]};
	}
	metric_values_of(d->deployment_id, asks, 2 * n, from, now);
	for (int i = 0; i < n; i++)
	{
		rollout_value candidate = {asks[2 * i].samples > 0 ? asks[2 * i].value : 0, asks[2 * i].samples};
		rollout_value baseline = {asks[2 * i + 1].samples > 0 ? asks[2 * i + 1].value : 0, asks[2 * i + 1].samples};

		*(window ? &measured[i].window : &measured[i].step) = candidate;
		*(window ? &measured[i].baseline_window : &measured[i].baseline_step) = baseline;
	}
}

/* measure_criteria: the window, and the time since the step began where the window may be too thin. */
static void
measure_criteria(const deployment *d, deployment_look *look)
{
	if (d->plan.criterion_count == 0)
		return;
	look->measured = palloc0(sizeof(rollout_measured) * d->plan.criterion_count);
	measure(d, look->measured, true, look->window_start, look->now);
	if (look->window.known < d->plan.min_requests)
		measure(d, look->measured, false, d->step_started_at - 1, look->now);
}

/* begin_look: the state, as far as it is in the rollout's own rows. */
static void
begin_look(const deployment *d, deployment_look *look)
{
	memset(look, 0, sizeof(*look));
	look->now = d->at;
	look->window_start = look->now - d->window_minutes * 60 * USECS_PER_SEC;
	look->state = (rollout_state){.phase = deployment_phase(d),
								  .step = d->step,
								  .now = look->now,
								  .started_at = d->started_at,
								  .step_started_at = d->step_started_at,
								  .bake_until = d->bake_until,
								  .awaiting_since = d->awaiting_since,
								  .approved = d->approved_step == d->step + 1,
								  .frozen = d->frozen_until != 0,
								  .validation = deployment_validation(d, NULL),
								  .test = ROLLOUT_TEST_RUNNING};
}

void
deployment_look_many(const deployment *d, deployment_look *looks, int n)
{
	rollup_side *sides = palloc0(sizeof(rollup_side) * 2 * (n + 1));
	int64 *shadows = palloc(sizeof(int64) * (n + 1));
	guard_pairs *pairs = palloc(sizeof(guard_pairs) * (n + 1));
	int shadow_count = 0;
	int asked = 0;

	for (int i = 0; i < n; i++)
	{
		begin_look(&d[i], &looks[i]);
		if (d[i].started_at == 0)
			continue;
		if (d[i].plan.shape == ROLLOUT_SHADOW)
			shadows[shadow_count++] = d[i].deployment_id;
		for (int side = 0; side < 2; side++)
			sides[asked++] = (rollup_side){.deployment_id = d[i].deployment_id,
										   .version_id = side == 0 ? d[i].version_id : d[i].baseline_version_id,
										   .since = looks[i].window_start,
										   .began = d[i].started_at,
										   .pairs = d[i].plan.shape == ROLLOUT_SHADOW};
	}
	if (asked > 0)
		rollup_read_sides(sides, asked);
	if (shadow_count > 0)
		shadow_sums(shadows, shadow_count, pairs);
	asked = shadow_count = 0;
	for (int i = 0; i < n; i++)
	{
		if (d[i].started_at != 0)
		{
			take_side(&sides[asked], d[i].step, &looks[i].window, &looks[i].step);
			take_side(&sides[asked + 1], d[i].step, &looks[i].baseline_window, &looks[i].baseline_step);
			take_strata(&d[i], &sides[asked], &sides[asked + 1],
						d[i].plan.shape == ROLLOUT_SHADOW ? &pairs[shadow_count++] : NULL, &looks[i]);
			measure_criteria(&d[i], &looks[i]);
			if (d[i].plan.shape == ROLLOUT_AB_TEST && d[i].test_id != NULL)
				looks[i].state.test = experiment_verdict(&d[i]);
			asked += 2;
		}
		deployment_decide(&d[i], &looks[i]);
	}
}

void
deployment_look_at(const deployment *d, deployment_look *look)
{
	deployment_look_many(d, look, 1);
}

/* judge_baseline: the criteria that are no ratios to the baseline itself; the others pass. */
static void
judge_baseline(const deployment *d, deployment_look *look)
{
	int n = d->plan.criterion_count;
	metric_ask *asks = palloc0(sizeof(metric_ask) * (n + 1));
	rollout_tally nothing = {0};

	for (int i = 0; i < n; i++)
		asks[i] = (metric_ask){.version_id = d->baseline_version_id, .metric_name = d->criterion_metrics[i]};
	if (n > 0)
		metric_values(asks, n, look->window_start, look->now);
	for (int i = 0; i < n; i++)
	{
		rollout_measured measured = {.window = {asks[i].samples > 0 ? asks[i].value : 0, asks[i].samples}};
		rollout_bound bound = d->plan.criteria[i].bound;

		if (bound == ROLLOUT_MIN || bound == ROLLOUT_MAX)
			look->decision.criteria[i] =
				rollout_judge_criterion(&d->plan, &d->plan.criteria[i], &measured, &look->window, &nothing);
	}
}

#define COUNTS "m.requests, m.known, m.successes, m.errors, m.response_time_count, m.response_time_sum"
#define OF_WINDOW "m.version_id = $1 AND m.bucket >= $2 AND m.bucket < $3"

void
deployment_look_at_baseline(const deployment *d, deployment_look *look)
{
	/* Not through rollup_now, whose functions are planned anew at each call. */
	static query counts = QUERY(
		"SELECT sum(r.requests)::pg_catalog.int8, sum(r.known)::pg_catalog.int8, sum(r.successes)::pg_catalog.int8,"
		" sum(r.errors)::pg_catalog.int8, sum(r.response_time_count)::pg_catalog.int8, sum(r.response_time_sum)"
		" FROM (SELECT " COUNTS " FROM model_mgr.rollup_minute m WHERE " OF_WINDOW " UNION ALL SELECT " COUNTS
		" FROM model_mgr.rollup_pending m WHERE " OF_WINDOW ") r HAVING count(*) > 0",
		INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	rollout_tally nothing = {0};
	int level;

	memset(look, 0, sizeof(*look));
	look->now = d->at;
	look->window_start = look->now - d->window_minutes * 60 * USECS_PER_SEC;
	level = rollup_plan_for_history();
	if (query_run(&counts, int64_arg(d->baseline_version_id), time_arg(look->window_start), time_arg(look->now)) > 0)
		look->window = (rollout_tally){.requests = query_int64(0, 0),
									   .known = query_int64(0, 1),
									   .successes = query_int64(0, 2),
									   .errors = query_int64(0, 3),
									   .response_time_count = query_int64(0, 4),
									   .response_time_sum = query_float8(0, 5)};
	AtEOXact_GUC(true, level);
	for (int m = 0; m < ROLLOUT_METRICS; m++)
		look->decision.verdicts[m] = rollout_judge(&d->plan, (rollout_metric) m, &look->window, &nothing);
	judge_baseline(d, look);
}
