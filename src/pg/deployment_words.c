/*
 * deployment_words.c: what a look at a rollout found, in plain words with the numbers and the rule: why it goes back,
 * and what it waits for and until when. Decides nothing and changes nothing.
 */
#include "pg/deployment_store.h"

#include <math.h>

#include "pg/experiment.h"

/* How people call the limits' metrics. */
static const struct
{
	const char *name;
	const char *side;
	const char *unit;
	const char *counted;
} words[ROLLOUT_METRICS] = {
	[ROLLOUT_SUCCESS_RATE] = {"success rate", "below the minimum", "", "outcomes"},
	[ROLLOUT_ERROR_RATE] = {"error rate", "above the limit", "", "requests"},
	[ROLLOUT_RESPONSE_TIME] = {"mean response time", "above the limit", " s", "requests"},
};

/* deployment_number: a value with as many digits as tell it from its limit: never "0.95 is below 0.95". */
char *
deployment_number(double value, double limit)
{
	char *text = NULL;
	char *other = psprintf("%g", limit);

	for (int digits = 4; digits <= 17; digits++)
	{
		text = psprintf("%.*g", digits, value);
		if (value == limit || strcmp(text, other) != 0)
			break;
	}
	return text;
}

/* span_words: over which time a verdict counts. */
static char *
span_words(const deployment *d, const rollout_verdict *v)
{
	return v->stretched ? pstrdup("since the step began") : psprintf("in the last %d minutes", d->window_minutes);
}

/* limit_words: the broken limit. */
static char *
limit_words(const deployment *d, const deployment_look *look)
{
	rollout_metric m = look->decision.broken;
	const rollout_verdict *v = &look->decision.verdicts[m];

	return psprintf("%s %s%s is %s %g%s over %lld %s %s", words[m].name, deployment_number(v->value, v->limit),
					words[m].unit, words[m].side, v->limit, words[m].unit, (long long) v->samples, words[m].counted,
					span_words(d, v));
}

/* criterion_words: the criterion that fails, or does not pass. */
static char *
criterion_words(const deployment *d, const deployment_look *look)
{
	int i = look->decision.criterion;
	const rollout_criterion *c = &d->plan.criteria[i];
	const rollout_verdict *v = &look->decision.criteria[i];
	const char *name = d->criterion_metrics[i];
	bool is_minimum = c->bound == ROLLOUT_MIN || c->bound == ROLLOUT_MIN_RATIO;
	bool is_ratio = c->bound == ROLLOUT_MIN_RATIO || c->bound == ROLLOUT_MAX_RATIO;

	switch (v->outcome)
	{
		case ROLLOUT_FAIL:
			return psprintf("%s %s is %s %s%s over %lld samples %s", name, deployment_number(v->value, v->limit),
							is_minimum ? "below the minimum" : "above the maximum", psprintf("%g", v->limit),
							is_ratio ? psprintf(", %g times the baseline's %.4g,", c->limit, v->baseline) : "",
							(long long) v->samples, span_words(d, v));
		case ROLLOUT_WAIT:
			if (v->samples == 0)
				return psprintf("%s has no samples yet", name);
			return psprintf("%s has %lld of %lld samples", name, (long long) v->samples, (long long) v->samples_needed);
		case ROLLOUT_INCONCLUSIVE:
			return isnan(v->baseline)
					   ? psprintf("%s has nothing to be compared with: the baseline has no samples %s", name,
								  span_words(d, v))
					   : psprintf("%s cannot be compared: the baseline's value is %.4g", name, v->baseline);
		case ROLLOUT_PASS:
			break;
	}
	return psprintf("%s passes", name);
}

/* guard_words: the metric that convicts, both sides beside each other. */
static char *
guard_words(const deployment_look *look)
{
	rollout_metric m = look->guard.worst;
	const guard_evidence *e;

	if (m == ROLLOUT_METRICS)
		return pstrdup("the guard convicts");
	e = &look->guard.metrics[m];
	return psprintf(
		"the guard finds the %s %s%s worse than the baseline's %.4g%s by more than the margin %.4g%s, over %lld and %lld"
		" samples %s (always-valid p = %.2g, convicts at %g)",
		words[m].name, deployment_number(e->candidate, e->baseline), words[m].unit, e->baseline, words[m].unit,
		fabs(e->margin), words[m].unit, (long long) e->samples_candidate, (long long) e->samples_baseline,
		look->state.paired ? "of the same requests" : "drawn in the same steps", look->guard.p_value,
		look->guard.level);
}

/* deployment_ratio_words: outcomes that are missing. */
char *
deployment_ratio_words(const deployment_look *look)
{
	return psprintf(
		"outcomes do not arrive in the proportion of the shares: %lld requests of the candidate where %lld are"
		" expected (always-valid p = %.2g, alarm at %g)",
		(long long) look->ratio.counted, (long long) look->ratio.expected, look->ratio.p_value,
		GUARD_SAMPLE_RATIO_LEVEL);
}

/* counted_words: what min_requests counts. */
static const char *
counted_words(const deployment_look *look)
{
	return look->state.paired ? "pairs of outcomes" : "outcomes";
}

/* missing_words: what the step lacks, for deadlines. */
static char *
missing_words(const deployment *d, const deployment_look *look)
{
	if (look->decision.wait == ROLLOUT_WAIT_REQUESTS)
		return psprintf("%lld of %lld %s", (long long) look->decision.step_samples, (long long) d->plan.min_requests,
						counted_words(look));
	if (look->decision.wait == ROLLOUT_WAIT_CRITERIA)
		return criterion_words(d, look);
	if (look->decision.wait == ROLLOUT_WAIT_SAMPLE_RATIO)
		return deployment_ratio_words(look);
	return psprintf("it waited for %s", rollout_wait_name(look->decision.wait));
}

char *
deployment_reason(const deployment *d, const deployment_look *look)
{
	switch (look->decision.cause)
	{
		case ROLLOUT_CAUSE_LIMIT:
			return limit_words(d, look);
		case ROLLOUT_CAUSE_CRITERION:
			return criterion_words(d, look);
		case ROLLOUT_CAUSE_GUARD:
			return guard_words(look);
		case ROLLOUT_CAUSE_SAMPLE_RATIO:
			return deployment_ratio_words(look);
		case ROLLOUT_CAUSE_TEST:
			return experiment_reason(d);
		case ROLLOUT_CAUSE_STEP_TIMEOUT:
			return psprintf("step %d was not passed within max_step_seconds %g: %s", d->step,
							(double) d->plan.max_step_time / ROLLOUT_SECOND, missing_words(d, look));
		case ROLLOUT_CAUSE_APPROVAL_TIMEOUT:
			return psprintf("nobody approved step %d within approval_timeout_seconds %g", d->step + 1,
							(double) d->plan.approval_timeout / ROLLOUT_SECOND);
		case ROLLOUT_CAUSE_NONE:
			break;
	}
	return pstrdup("nothing speaks against it");
}

/* next_words: what comes after this step. */
static char *
next_words(const deployment *d)
{
	if (d->plan.shape == ROLLOUT_SHADOW)
		return pstrdup("the end of the shadow");
	if (d->step >= d->plan.step_count)
		return pstrdup("100 %");
	return psprintf("step %d of %d (%g %%)", d->step + 1, d->plan.step_count, d->plan.steps[d->step]);
}

/* deadline_words: when the deadline of what it waits for ends, and what then; empty without one. */
static char *
deadline_words(const deployment *d, const deployment_look *look)
{
	const rollout_decision *decision = &look->decision;

	if (decision->deadline_at == 0)
		return "";
	if (decision->timed_out)
		return psprintf("; the time allowed was over at %s", deployment_time(decision->deadline_at));
	return psprintf("; until %s%s", deployment_time(decision->deadline_at),
					d->plan.on_timeout == ROLLOUT_REACT_ROLL_BACK ? ", then it is rolled back" : "");
}

/* due_words: everything is there: what the next tick does. */
static char *
due_words(const deployment *d, const deployment_look *look)
{
	switch (look->decision.action)
	{
		case ROLLOUT_ROLL_BACK:
			return psprintf("rolls it back: %s", deployment_reason(d, look));
		case ROLLOUT_STEP:
		case ROLLOUT_BAKE:
			return psprintf("goes to %s", next_words(d));
		case ROLLOUT_COMPLETE:
			return pstrdup("completes it: the bake is over");
		case ROLLOUT_START:
			return pstrdup("begins it");
		case ROLLOUT_REJECT:
			return pstrdup("refuses it: its validation failed");
		case ROLLOUT_AWAIT_APPROVAL:
			return psprintf("asks for approval of %s", next_words(d));
		case ROLLOUT_CONCLUDE:
			return pstrdup("completes the shadow");
		case ROLLOUT_HOLD:
			break;
	}
	return pstrdup("looks again");
}

/* samples_words: how far the outcomes of this step are. */
static char *
samples_words(const deployment *d, const deployment_look *look)
{
	return psprintf("%lld of %lld %s of this step are known", (long long) look->decision.step_samples,
					(long long) d->plan.min_requests, counted_words(look));
}

/* wait_words: what is waited for, and until when. */
static char *
wait_words(const deployment *d, const deployment_look *look)
{
	const rollout_decision *decision = &look->decision;

	switch (decision->wait)
	{
		case ROLLOUT_WAIT_NOTHING:
			break;
		case ROLLOUT_WAIT_WARMUP:
			return psprintf("it warms up until %s; what is routed before is not judged",
							deployment_time(d->started_at + d->plan.warmup_time));
		case ROLLOUT_WAIT_SECONDS:
			return psprintf("time allows the next step at %s; %s", deployment_time(decision->next_at),
							samples_words(d, look));
		case ROLLOUT_WAIT_REQUESTS:
			return psprintf("it waits for %lld more %s of this step (%lld of %lld); time allows the next step %s %s",
							(long long) (d->plan.min_requests - decision->step_samples), counted_words(look),
							(long long) decision->step_samples, (long long) d->plan.min_requests,
							decision->next_at <= look->now ? "since" : "at", deployment_time(decision->next_at));
		case ROLLOUT_WAIT_LIMITS:
			return psprintf("%s; automatic rollback is off", deployment_reason(d, look));
		case ROLLOUT_WAIT_RESUME:
			if (decision->cause != ROLLOUT_CAUSE_NONE)
				return psprintf("it is paused, and %s; automatic rollback is off", deployment_reason(d, look));
			return pstrdup("it is paused until resume_deployment() or promote_deployment()");
		case ROLLOUT_WAIT_BAKE:
			return psprintf("it bakes until %s%s", deployment_time(d->bake_until),
							decision->cause != ROLLOUT_CAUSE_NONE
								? psprintf("; %s; automatic rollback is off", deployment_reason(d, look))
								: "");
		case ROLLOUT_WAIT_CRITERIA:
			return criterion_words(d, look);
		case ROLLOUT_WAIT_SAMPLE_RATIO:
			return deployment_ratio_words(look);
		case ROLLOUT_WAIT_FREEZE:
			return psprintf("it is frozen until %s; all else is ready for %s", deployment_time(d->frozen_until),
							next_words(d));
		case ROLLOUT_WAIT_APPROVAL:
			return psprintf("it waits for approve_step() for %s", next_words(d));
		case ROLLOUT_WAIT_START:
			return psprintf("it begins at %s", deployment_time(d->plan.start_at));
		case ROLLOUT_WAIT_VALIDATION:
			return pstrdup("its validators have not all answered");
		case ROLLOUT_WAIT_TEST:
			return experiment_reason(d);
	}
	return due_words(d, look);
}

char *
deployment_waits(const deployment *d, const deployment_look *look)
{
	const char *key = look->decision.action == ROLLOUT_HOLD ? rollout_wait_name(look->decision.wait) : NULL;

	if (key == NULL)
		return psprintf("the next tick %s [tick]", due_words(d, look));
	return psprintf("%s%s [%s]", wait_words(d, look), deadline_words(d, look), key);
}
