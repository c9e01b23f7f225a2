/*
 * experiment_evidence.c: the evidence of a look: everything that the core was given and what it said, in full digits.
 * Reading it back and asking the core again gives the same verdict (replay_test_evidence()). Decides nothing.
 */
#include "pg/experiment_analysis.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "pg/json_tree.h"
#include "pg/statistics.h"

static const char *const role_names[] = {
	[EXPERIMENT_PRIMARY] = "primary", [EXPERIMENT_SECONDARY] = "secondary", [EXPERIMENT_GUARDRAIL] = "guardrail"};
static const char *const form_names[] = {
	[EXPERIMENT_RATE] = "rate", [EXPERIMENT_MEAN] = "mean", [EXPERIMENT_QUANTILE] = "quantile"};
static const char *const spending_names[] = {
	[SEQUENTIAL_OBRIEN_FLEMING] = "obrien_fleming", [SEQUENTIAL_POCOCK] = "pocock"};

#define MOMENT_NUMBERS (1 + EXPERIMENT_SUMS + EXPERIMENT_PRODUCTS)

/* decision_text: "running", "stopped_early (treatment, success_rate)", "stopped_early (guardrail cost of treatment)".
 */
static char *
decision_text(const experiment_decision *d, const experiment_guardrail_result *g, char *const *variants,
			  char *const *metrics)
{
	const char *status = experiment_status_name(d->status);

	if (g->metric != EXPERIMENT_NO_METRIC)
		return psprintf("%s (guardrail %s of %s)", status, metrics[g->metric], variants[g->arm]);
	if (d->winner != EXPERIMENT_NO_ARM)
		return psprintf("%s (%s, %s)", status, variants[d->winner], metrics[d->metric]);
	return pstrdup(status);
}

/* shares_text: "shares 0.35 0.65", in full digits. */
static char *
shares_text(const double *shares, int arms)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "shares");
	for (int arm = 0; arm < arms; arm++)
	{
		char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

		double_to_shortest_decimal_buf(shares[arm], digits);
		appendStringInfo(&text, " %s", digits);
	}
	return text.data;
}

/* ---------- writing ---------- */

/* put_number: with every digit, null when it is none. */
static void
put_number(StringInfo to, double value)
{
	char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (!isfinite(value))
	{
		appendStringInfoString(to, "null");
		return;
	}
	double_to_shortest_decimal_buf(value, digits);
	appendStringInfoString(to, digits);
}

/* put_key: ', "key": ', without the comma after a bracket. */
static void
put_key(StringInfo to, const char *key)
{
	char last = to->len > 0 ? to->data[to->len - 1] : '{';

	if (last != '{' && last != '[')
		appendStringInfoChar(to, ',');
	escape_json(to, key);
	appendStringInfoChar(to, ':');
}

static void
put_pair(StringInfo to, const char *key, double value)
{
	put_key(to, key);
	put_number(to, value);
}

static void
put_text(StringInfo to, const char *key, const char *value)
{
	put_key(to, key);
	escape_json(to, value);
}

/* put_numbers: [a, b, ...]. */
static void
put_numbers(StringInfo to, const double *values, int n)
{
	appendStringInfoChar(to, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(to, ',');
		put_number(to, values[i]);
	}
	appendStringInfoChar(to, ']');
}

static void
put_plan(StringInfo to, const test_analysis *a)
{
	const experiment_plan *p = &a->plan;

	put_key(to, "plan");
	appendStringInfoChar(to, '{');
	put_pair(to, "confidence_level", p->confidence_level);
	put_pair(to, "minimum_detectable_effect", p->minimum_detectable_effect);
	put_pair(to, "power", p->power);
	put_pair(to, "futility_threshold", p->futility_threshold);
	put_pair(to, "min_samples", p->min_samples);
	put_pair(to, "horizon", p->horizon);
	put_key(to, "early_stopping");
	appendStringInfoString(to, p->early_stopping ? "true" : "false");
	put_text(to, "spending", spending_names[p->spending]);
	put_key(to, "variants");
	appendStringInfoChar(to, '[');
	for (int arm = 0; arm < p->arms; arm++)
	{
		if (arm > 0)
			appendStringInfoChar(to, ',');
		escape_json(to, a->e->arms[arm].variant);
	}
	appendStringInfoChar(to, ']');
	put_key(to, "metrics");
	appendStringInfoChar(to, '[');
	for (int m = 0; m < p->metrics; m++)
	{
		const experiment_metric *metric = &p->metric[m];

		appendStringInfoString(to, m > 0 ? ",{" : "{");
		put_text(to, "name", a->e->metrics[m].name);
		put_text(to, "role", role_names[metric->role]);
		put_text(to, "form", form_names[metric->form]);
		put_pair(to, "direction", metric->direction);
		put_pair(to, "anchor", metric->anchor);
		put_pair(to, "max_increase", metric->bounds.max_increase);
		put_pair(to, "max_relative_increase", metric->bounds.max_relative_increase);
		put_pair(to, "max_decrease", metric->bounds.max_decrease);
		put_pair(to, "max_relative_decrease", metric->bounds.max_relative_decrease);
		appendStringInfoChar(to, '}');
	}
	appendStringInfoString(to, "]}");
}

/* put_data: an object an epoch, in it an object an arm; a metric's sums are one array. */
static void
put_data(StringInfo to, const test_analysis *a)
{
	const experiment_plan *p = &a->plan;

	put_key(to, "epochs");
	appendStringInfoChar(to, '[');
	for (int cell = 0; cell < p->epochs * p->arms; cell++)
	{
		int arm = cell % p->arms;

		appendStringInfoString(to, cell == 0 ? "[{" : arm == 0 ? ",[{" : ",{");
		put_pair(to, "share", p->share[cell]);
		put_pair(to, "units", (double) a->data.units[cell]);
		put_key(to, "moments");
		appendStringInfoChar(to, '[');
		for (int m = 0; m < p->metrics; m++)
		{
			const experiment_moments *from = &a->data.moments[cell * p->metrics + m];
			double numbers[MOMENT_NUMBERS] = {(double) from->units};

			memcpy(numbers + 1, from->sum, sizeof(from->sum));
			memcpy(numbers + 1 + EXPERIMENT_SUMS, from->product, sizeof(from->product));
			if (m > 0)
				appendStringInfoChar(to, ',');
			put_numbers(to, numbers, MOMENT_NUMBERS);
		}
		appendStringInfoString(to, arm == p->arms - 1 ? "]}]" : "]}");
	}
	appendStringInfoChar(to, ']');
	put_key(to, "quantiles");
	appendStringInfoChar(to, '[');
	for (int cell = 0; a->data.quantile != NULL && cell < p->arms * p->metrics; cell++)
	{
		const experiment_quantile *q = &a->data.quantile[cell];
		double numbers[] = {(double) q->samples, q->value, q->standard_error};

		if (cell > 0)
			appendStringInfoChar(to, ',');
		put_numbers(to, numbers, lengthof(numbers));
	}
	appendStringInfoChar(to, ']');
}

static void
put_past(StringInfo to, const test_analysis *a)
{
	put_key(to, "past");
	appendStringInfoChar(to, '{');
	put_key(to, "information");
	put_numbers(to, a->past.information, a->past.looks);
	put_key(to, "standing");
	if (a->past.standing == NULL)
		appendStringInfoString(to, "null");
	else
	{
		appendStringInfoChar(to, '{');
		put_text(to, "status", experiment_status_name(a->past.standing->status));
		put_pair(to, "winner", a->past.standing->winner);
		put_pair(to, "metric", a->past.standing->metric);
		appendStringInfoChar(to, '}');
	}
	put_key(to, "end");
	appendStringInfoString(to, a->past.end ? "true}" : "false}");
}

/* put_answer: what the core said, for people; replaying goes by what it was given. */
static void
put_answer(StringInfo to, const test_analysis *a)
{
	const experiment_result *r = &a->result;
	const experiment_estimate *best = analysis_leading(a);

	put_pair(to, "information_fraction", r->information);
	put_pair(to, "boundary_z", r->boundary_z);
	put_pair(to, "boundary_p_value", r->boundary_p_value);
	put_pair(to, "secondary_boundary_p_value", r->secondary_boundary_p_value);
	put_pair(to, "conditional_power", r->conditional_power);
	put_pair(to, "sample_ratio_p_value", r->sample_ratio_p_value);
	put_text(to, "deciding_metric", a->e->metrics[r->decision.metric].name);
	put_pair(to, "mean_control", best->mean_control);
	put_pair(to, "mean_variant", best->mean_variant);
	put_pair(to, "difference", best->difference);
	put_pair(to, "ci_low", best->ci_low);
	put_pair(to, "ci_high", best->ci_high);
	put_pair(to, "p_value", best->p_value);
	put_pair(to, "samples_control", (double) best->samples_control);
	put_pair(to, "samples_variant", (double) best->samples_variant);
	if (r->guardrail.metric != EXPERIMENT_NO_METRIC)
	{
		put_key(to, "guardrail");
		appendStringInfoChar(to, '{');
		put_text(to, "metric", a->e->metrics[r->guardrail.metric].name);
		put_text(to, "variant", a->e->arms[r->guardrail.arm].variant);
		put_text(to, "bound", experiment_guardrail_bound_name(r->guardrail.bound));
		put_pair(to, "allowed", r->guardrail.allowed);
		put_pair(to, "surely", r->guardrail.surely);
		appendStringInfoChar(to, '}');
	}
}

/* look_text: decision_text of a test's own look. */
static char *
look_text(const test_analysis *a)
{
	const experiment *e = a->e;
	char **variants = palloc(sizeof(char *) * e->arm_count);
	char **metrics = palloc(sizeof(char *) * e->metric_count);

	for (int i = 0; i < e->arm_count; i++)
		variants[i] = e->arms[i].variant;
	for (int i = 0; i < e->metric_count; i++)
		metrics[i] = e->metrics[i].name;
	return decision_text(&a->answered, &a->result.guardrail, variants, metrics);
}

Jsonb *
analysis_evidence(const test_analysis *a, const double *shares)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	put_text(&text, "test_id", a->e->test_id);
	put_text(&text, "decision", shares ? shares_text(shares, a->plan.arms) : look_text(a));
	put_answer(&text, a);
	if (shares)
		put_pair(&text, "seed", (double) analysis_seed(a->e));
	put_plan(&text, a);
	put_data(&text, a);
	put_past(&text, a);
	appendStringInfoChar(&text, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

/* ---------- reading ---------- */

/* damaged: 22P02. */
static void damaged(const char *key) __attribute__((noreturn));

static void
damaged(const char *key)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("this is no evidence of a look at a test"),
			errdetail("The key \"%s\" is missing or has the wrong type.", key),
			errhint("Pass the column evidence of model_mgr.ab_test_look as it is."));
}

static const json_value *
member(const json_value *object, const char *key, json_kind kind)
{
	const json_value *found = json_member(object, key);

	if (found == NULL || found->kind != kind)
		damaged(key);
	return found;
}

/* number_of: null is `otherwise`. */
static double
number_of(const json_value *v, const char *key, double otherwise)
{
	if (v == NULL || (v->kind != JSON_KIND_NUMBER && v->kind != JSON_KIND_NULL))
		damaged(key);
	return v->kind == JSON_KIND_NULL ? otherwise : strtod(pnstrdup(v->text, v->length), NULL);
}

static double
number(const json_value *object, const char *key, double otherwise)
{
	return number_of(json_member(object, key), key, otherwise);
}

/* whole: a count or an index between low and high. */
static int64
whole(double value, const char *key, double low, double high)
{
	if (!(value >= low && value <= high))
		damaged(key);
	return (int64) value;
}

static char *
text_of(const json_value *object, const char *key)
{
	const json_value *found = member(object, key, JSON_KIND_STRING);

	return pnstrdup(found->text, found->length);
}

/* word: which of n words. */
static int
word(const json_value *object, const char *key, const char *const *words, int n)
{
	char *text = text_of(object, key);

	for (int i = 0; i < n; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	damaged(key);
	return 0;
}

/* numbers_of: a list of exactly n numbers. */
static void
numbers_of(const json_value *list, const char *key, size_t n, double otherwise, double *out)
{
	if (list->kind != JSON_KIND_LIST || list->count != n)
		damaged(key);
	for (size_t i = 0; i < n; i++)
		out[i] = number_of(&list->items[i], key, otherwise);
}

/* A look as it was stored. */
typedef struct stored_look
{
	experiment_plan plan;
	experiment_data data;
	experiment_past past;
	experiment_decision standing;
	char **variants;
	char **metrics;
} stored_look;

static void
read_plan(const json_value *evidence, stored_look *l)
{
	const json_value *plan = member(evidence, "plan", JSON_KIND_OBJECT);
	const json_value *variants = member(plan, "variants", JSON_KIND_LIST);
	const json_value *list = member(plan, "metrics", JSON_KIND_LIST);
	experiment_metric *metrics;

	if (variants->count < 2 || variants->count > TEST_MAX_ARMS)
		damaged("variants");
	if (list->count < 1 || list->count > TEST_MAX_METRICS)
		damaged("metrics");
	l->variants = palloc0(sizeof(char *) * variants->count);
	for (size_t i = 0; i < variants->count; i++)
	{
		if (variants->items[i].kind != JSON_KIND_STRING)
			damaged("variants");
		l->variants[i] = pnstrdup(variants->items[i].text, variants->items[i].length);
	}
	metrics = palloc0(sizeof(experiment_metric) * list->count);
	l->metrics = palloc0(sizeof(char *) * list->count);
	for (size_t i = 0; i < list->count; i++)
	{
		const json_value *m = &list->items[i];

		if (m->kind != JSON_KIND_OBJECT)
			damaged("metrics");
		l->metrics[i] = text_of(m, "name");
		metrics[i] =
			(experiment_metric){.role = (experiment_role) word(m, "role", role_names, lengthof(role_names)),
								.form = (experiment_form) word(m, "form", form_names, lengthof(form_names)),
								.direction = number(m, "direction", 1) < 0 ? -1 : 1,
								.anchor = number(m, "anchor", 0),
								.bounds = {.max_increase = number(m, "max_increase", INFINITY),
										   .max_relative_increase = number(m, "max_relative_increase", INFINITY),
										   .max_decrease = number(m, "max_decrease", INFINITY),
										   .max_relative_decrease = number(m, "max_relative_decrease", INFINITY)}};
	}
	l->plan = (experiment_plan){
		.confidence_level = number(plan, "confidence_level", NAN),
		.minimum_detectable_effect = number(plan, "minimum_detectable_effect", NAN),
		.power = number(plan, "power", NAN),
		.futility_threshold = number(plan, "futility_threshold", NAN),
		.min_samples = number(plan, "min_samples", NAN),
		.horizon = number(plan, "horizon", NAN),
		.early_stopping = member(plan, "early_stopping", JSON_KIND_BOOLEAN)->boolean,
		.spending = (sequential_spending) word(plan, "spending", spending_names, lengthof(spending_names)),
		.arms = (int) variants->count,
		.metrics = (int) list->count,
		.metric = metrics};
	if (!(l->plan.confidence_level > 0 && l->plan.confidence_level < 1))
		damaged("confidence_level");
	if (!(l->plan.horizon > 0))
		damaged("horizon");
}

static void
read_data(const json_value *evidence, stored_look *l)
{
	const json_value *epochs = member(evidence, "epochs", JSON_KIND_LIST);
	const json_value *list = member(evidence, "quantiles", JSON_KIND_LIST);
	int arms = l->plan.arms;
	int metrics = l->plan.metrics;
	size_t cells = epochs->count * arms;
	double *shares = palloc0(sizeof(double) * Max(cells, 1));
	int64_t *units = palloc0(sizeof(int64_t) * Max(cells, 1));
	experiment_moments *moments = palloc0(sizeof(experiment_moments) * Max(cells, 1) * metrics);

	if (epochs->count < 1)
		damaged("epochs");
	l->plan.epochs = (int) epochs->count;
	for (size_t cell = 0; cell < cells; cell++)
	{
		const json_value *epoch = &epochs->items[cell / arms];
		const json_value *arm;
		const json_value *sums;

		if (epoch->kind != JSON_KIND_LIST || epoch->count != (size_t) arms)
			damaged("epochs");
		arm = &epoch->items[cell % arms];
		sums = member(arm, "moments", JSON_KIND_LIST);
		if (sums->count != (size_t) metrics)
			damaged("moments");
		shares[cell] = number(arm, "share", NAN);
		units[cell] = whole(number(arm, "units", NAN), "units", 0, 9e15);
		for (int m = 0; m < metrics; m++)
		{
			double numbers[MOMENT_NUMBERS];
			experiment_moments *to = &moments[cell * metrics + m];

			numbers_of(&sums->items[m], "moments", MOMENT_NUMBERS, NAN, numbers);
			to->units = whole(numbers[0], "moments", 0, 9e15);
			memcpy(to->sum, numbers + 1, sizeof(to->sum));
			memcpy(to->product, numbers + 1 + EXPERIMENT_SUMS, sizeof(to->product));
		}
	}
	l->plan.share = shares;
	l->data = (experiment_data){.moments = moments, .units = units};
	if (list->count > 0)
	{
		experiment_quantile *quantiles = palloc0(sizeof(experiment_quantile) * arms * metrics);

		if (list->count != (size_t) arms * metrics)
			damaged("quantiles");
		for (size_t i = 0; i < list->count; i++)
		{
			double numbers[3];

			numbers_of(&list->items[i], "quantiles", lengthof(numbers), NAN, numbers);
			quantiles[i] = (experiment_quantile){
				.samples = whole(numbers[0], "quantiles", 0, 9e15), .value = numbers[1], .standard_error = numbers[2]};
		}
		l->data.quantile = quantiles;
	}
	for (int m = 0; m < metrics; m++)
		if (l->plan.metric[m].form == EXPERIMENT_QUANTILE && l->data.quantile == NULL)
			damaged("quantiles");
}

static void
read_past(const json_value *evidence, stored_look *l)
{
	const json_value *past = member(evidence, "past", JSON_KIND_OBJECT);
	const json_value *list = member(past, "information", JSON_KIND_LIST);
	const json_value *standing = json_member(past, "standing");
	double *information = palloc0(sizeof(double) * Max(list->count, 1));

	if (list->count > SEQUENTIAL_LOOKS_MAX)
		damaged("information");
	numbers_of(list, "information", list->count, NAN, information);
	for (size_t i = 0; i < list->count; i++)
		if (!(information[i] > (i > 0 ? information[i - 1] : 0) && information[i] <= 1))
			damaged("information");
	l->past = (experiment_past){
		.looks = (int) list->count, .information = information, .end = member(past, "end", JSON_KIND_BOOLEAN)->boolean};
	if (standing == NULL || standing->kind == JSON_KIND_NULL)
		return;
	if (standing->kind != JSON_KIND_OBJECT)
		damaged("standing");
	l->standing = (experiment_decision){
		.status = analysis_status_of(text_of(standing, "status")),
		.winner = (int) whole(number(standing, "winner", NAN), "winner", EXPERIMENT_NO_ARM, l->plan.arms - 1),
		.metric = (int) whole(number(standing, "metric", NAN), "metric", 0, l->plan.metrics - 1)};
	l->past.standing = &l->standing;
}

MM_FUNCTION(mm_replay_test_evidence);

/* mm_replay_test_evidence(evidence jsonb): asks the core again; the text is the `decision` of the evidence. */
Datum
mm_replay_test_evidence(PG_FUNCTION_ARGS)
{
	const json_value *evidence = json_tree(PG_GETARG_JSONB_P(0));
	stored_look l = {0};
	experiment_estimate *estimates;
	experiment_result result;

	read_plan(evidence, &l);
	read_data(evidence, &l);
	if (json_member(evidence, "seed") != NULL)
	{
		double *shares = palloc0(sizeof(double) * l.plan.arms);

		experiment_thompson(&l.plan, &l.data, (uint64_t) whole(number(evidence, "seed", NAN), "seed", 0, 9e15), shares,
							&statistics_caller);
		PG_RETURN_TEXT_P(cstring_to_text(shares_text(shares, l.plan.arms)));
	}
	read_past(evidence, &l);
	estimates = palloc0(sizeof(experiment_estimate) * l.plan.metrics * l.plan.arms);
	result = experiment_look(&l.plan, &l.data, &l.past, estimates, &statistics_caller);
	PG_RETURN_TEXT_P(cstring_to_text(decision_text(&result.decision, &result.guardrail, l.variants, l.metrics)));
}
