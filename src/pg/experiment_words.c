/*
 * experiment_words.c: what a look says in words: the verdict with its numbers, and what to do. Decides nothing.
 */
#include "pg/experiment_analysis.h"

#include <math.h>

#include "pg/deployment_store.h"

static const char *
variant_of(const test_analysis *a, int arm)
{
	return a->e->arms[arm].variant;
}

/* comparison: "success_rate 0.95 over 1000 outcomes against 0.93 over 1000 in control, difference 0.02 (0.001 to
 * 0.039)".
 */
static char *
comparison(const test_analysis *a, int metric, int arm)
{
	const experiment_estimate *s = analysis_estimate(a, metric, arm);
	char *interval =
		isfinite(s->ci_low) && isfinite(s->ci_high) ? psprintf(" (%.4g to %.4g)", s->ci_low, s->ci_high) : pstrdup("");

	return psprintf("%s %.4g over %lld outcomes%s against %.4g over %lld in control, difference %.4g%s",
					a->e->metrics[metric].name, s->mean_variant, (long long) s->samples_variant,
					a->e->arm_count > 2 ? psprintf(" in %s", variant_of(a, arm)) : "", s->mean_control,
					(long long) s->samples_control, s->difference, interval);
}

/* leading_words: of what decided, in the arm that stands for the test. */
static char *
leading_words(const test_analysis *a)
{
	return comparison(a, a->result.decision.metric, a->result.leading);
}

/* p_words: ", p 0.012 < 0.02"; of a secondary metric its adjusted p-value. */
static char *
p_words(const test_analysis *a)
{
	const experiment_estimate *s = analysis_leading(a);

	if (isnan(s->p_value))
		return pstrdup("");
	if (a->result.decision.metric > 0)
		return psprintf(", adjusted p %.3g", s->p_value_adjusted);
	if (isnan(a->boundary_p_value))
		return psprintf(", p %.3g", s->p_value);
	if (s->p_value <= a->boundary_p_value)
		return psprintf(", p %.3g < %.3g", s->p_value, a->boundary_p_value);
	if (a->past.standing != NULL)
		return psprintf(", p %.3g now, decided at an earlier look", s->p_value);
	return psprintf(", p %.3g is not below %.3g", s->p_value, a->boundary_p_value);
}

/* guardrail_words: "guardrail cost is broken: treatment's is surely 0.12 above control's (relative), 0.1 is allowed".
 */
static char *
guardrail_words(const test_analysis *a)
{
	const experiment_guardrail_result *g = &a->result.guardrail;
	const experiment_estimate *s = analysis_estimate(a, g->metric, g->arm);
	bool relative = g->bound == EXPERIMENT_MAX_RELATIVE_INCREASE || g->bound == EXPERIMENT_MAX_RELATIVE_DECREASE;
	bool increase = g->bound == EXPERIMENT_MAX_INCREASE || g->bound == EXPERIMENT_MAX_RELATIVE_INCREASE;
	double unit = relative ? 100 : 1;

	return psprintf(
		"guardrail %s is broken: %.4g in %s against %.4g in control, surely at least %.4g%s %s, %.4g%s allowed",
		a->e->metrics[g->metric].name, s->mean_variant, variant_of(a, g->arm), s->mean_control, unit * g->surely,
		relative ? " %" : "", increase ? "higher" : "lower", unit * g->allowed, relative ? " %" : "");
}

/* mismatch_words: "units do not come in the shares of the design: 5200 in control, 4700 in treatment (p 1e-07)". */
static char *
mismatch_words(const test_analysis *a)
{
	const experiment *e = a->e;
	StringInfoData words;

	initStringInfo(&words);
	for (int arm = 0; arm < e->arm_count; arm++)
	{
		int64 units = 0;

		for (int epoch = 0; epoch < e->epoch_count; epoch++)
			units += e->epochs[epoch].units[arm];
		appendStringInfo(&words, "%s%lld in %s", arm > 0 ? ", " : "", (long long) units, variant_of(a, arm));
		if (e->epoch_count == 1)
			appendStringInfo(&words, " (share %.4g)", e->epochs[0].shares[arm]);
	}
	return psprintf("units do not come in the shares of the design: %s, p %.3g < %g", words.data,
					a->result.sample_ratio_p_value, EXPERIMENT_SAMPLE_RATIO_LEVEL);
}

/* empty_words: which arms have no outcome of the primary metric. */
static char *
empty_words(const test_analysis *a)
{
	bool control = analysis_estimate(a, 0, 1)->samples_control == 0;
	int empty = EXPERIMENT_NO_ARM;

	for (int arm = 1; arm < a->e->arm_count && empty == EXPERIMENT_NO_ARM; arm++)
		if (analysis_estimate(a, 0, arm)->samples_variant == 0)
			empty = arm;
	if (control && empty == 1 && a->e->arm_count == 2)
		return psprintf("no outcome with %s has been recorded", a->e->metrics[0].name);
	return psprintf("no outcome with %s has been recorded of %s", a->e->metrics[0].name,
					variant_of(a, control ? EXPERIMENT_CONTROL_ARM : Max(empty, EXPERIMENT_CONTROL_ARM)));
}

/* fewest: the arm with the fewest outcomes of the primary metric, and how many. */
static int
fewest(const test_analysis *a, int64 *samples)
{
	int arm = EXPERIMENT_CONTROL_ARM;

	*samples = analysis_estimate(a, 0, 1)->samples_control;
	for (int i = 1; i < a->e->arm_count; i++)
		if (analysis_estimate(a, 0, i)->samples_variant < *samples)
		{
			arm = i;
			*samples = analysis_estimate(a, 0, i)->samples_variant;
		}
	return arm;
}

char *
analysis_verdict_words(const test_analysis *a)
{
	const experiment_result *r = &a->result;

	if (r->guardrail.metric != EXPERIMENT_NO_METRIC)
		return guardrail_words(a);
	if (r->decision.status == EXPERIMENT_SAMPLE_RATIO_MISMATCH)
		return mismatch_words(a);
	if (analysis_leading(a)->samples_control == 0 || analysis_leading(a)->samples_variant == 0)
		return empty_words(a);
	switch (r->decision.status)
	{
		case EXPERIMENT_NO_DATA:
		case EXPERIMENT_SAMPLE_RATIO_MISMATCH:
			break;
		case EXPERIMENT_STOPPED_EARLY:
		case EXPERIMENT_SIGNIFICANT:
			if (r->decision.winner == EXPERIMENT_NO_ARM)
				break;
			return psprintf("%s wins: %s%s", variant_of(a, r->decision.winner), leading_words(a), p_words(a));
		case EXPERIMENT_FUTILE:
			if (isnan(a->conditional_power))
				return psprintf("futile: %s", leading_words(a));
			return psprintf(
				"futile: a significant result by the end has probability %.2g, below futility_threshold %g: %s",
				a->conditional_power, a->e->futility_threshold, leading_words(a));
		case EXPERIMENT_RUNNING:
		case EXPERIMENT_INCONCLUSIVE:
			break;
	}
	return psprintf("inconclusive: %s%s", leading_words(a), p_words(a));
}

/* advice: what follows from an end or a verdict. */
static char *
advice(const test_analysis *a)
{
	const experiment_result *r = &a->result;

	if (r->decision.winner != EXPERIMENT_NO_ARM && r->decision.winner != EXPERIMENT_CONTROL_ARM)
		return psprintf("use %s", variant_of(a, r->decision.winner));
	if (r->decision.status == EXPERIMENT_SAMPLE_RATIO_MISMATCH)
		return pstrdup("find out why before believing any number");
	return pstrdup("keep control");
}

char *
analysis_recommendation(const test_analysis *a)
{
	const experiment_result *r = &a->result;
	int64 samples;
	int arm;

	if (r->decision.status == EXPERIMENT_NO_DATA && r->guardrail.metric == EXPERIMENT_NO_METRIC)
		return psprintf("%s: %s", a->now < a->e->ends_at ? "wait for results" : "keep control", empty_words(a));
	if (r->decision.status != EXPERIMENT_RUNNING || r->guardrail.metric != EXPERIMENT_NO_METRIC)
		return psprintf("%s: %s", advice(a), analysis_verdict_words(a));
	if (a->now >= a->e->ends_at)
		return psprintf("let the tick end it, as its time was over at %s: %.0f %% of the information is there, %s%s",
						deployment_time(a->e->ends_at), 100 * r->information, leading_words(a), p_words(a));
	arm = fewest(a, &samples);
	if (samples < a->e->min_sample_size_per_variant)
		return psprintf("keep it running until %s at the latest: %lld of at least %d outcomes of %s are known",
						deployment_time(a->e->ends_at), (long long) samples, a->e->min_sample_size_per_variant,
						variant_of(a, arm));
	return psprintf("keep it running until %s at the latest: %.0f %% of the information is there, %s%s",
					deployment_time(a->e->ends_at), 100 * r->information, leading_words(a), p_words(a));
}

char *
analysis_final_words(const test_analysis *a, const char *reason)
{
	bool told = reason != NULL && *reason != '\0';

	return psprintf("%s: %s%s%s", advice(a), told ? reason : "", told ? "; " : "", analysis_verdict_words(a));
}
