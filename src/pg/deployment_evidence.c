/*
 * deployment_evidence.c: the evidence of a decision: everything that the core was given and what it said. Reading the
 * evidence back and asking the core again gives the same verdict (replay_evidence()). Decides nothing.
 */
#include "pg/deployment_store.h"

#include <float.h>
#include <math.h>

#include "utils/fmgrprotos.h"

#include "pg/deployment_key.h"
#include "pg/query.h"

static const char *const action_names[] = {
	[ROLLOUT_HOLD] = "hold",         [ROLLOUT_STEP] = "step",           [ROLLOUT_BAKE] = "bake",
	[ROLLOUT_COMPLETE] = "complete", [ROLLOUT_ROLL_BACK] = "roll_back", [ROLLOUT_START] = "start",
	[ROLLOUT_REJECT] = "reject",     [ROLLOUT_CONCLUDE] = "conclude",   [ROLLOUT_AWAIT_APPROVAL] = "await_approval"};

static const char *const test_names[] = {[ROLLOUT_TEST_RUNNING] = "running",
										 [ROLLOUT_TEST_TREATMENT] = "treatment",
										 [ROLLOUT_TEST_CONTROL] = "control",
										 [ROLLOUT_TEST_INCONCLUSIVE] = "inconclusive",
										 NULL};

static const char *const validation_names[] = {
	[ROLLOUT_VALIDATED] = "passed", [ROLLOUT_VALIDATING] = "running", [ROLLOUT_INVALID] = "failed", NULL};

/* decision_text: action and reason in words of the plan: 'roll_back (limit success_rate)', 'hold (min_requests)'. */
static char *
decision_text(const deployment *d, const deployment_look *look)
{
	const rollout_decision *decision = &look->decision;
	const char *why = decision->action == ROLLOUT_HOLD ? rollout_wait_name(decision->wait) : NULL;
	const char *which = "";

	if (decision->action == ROLLOUT_ROLL_BACK)
	{
		why = rollout_cause_name(decision->cause);
		if (decision->cause == ROLLOUT_CAUSE_LIMIT)
			which = psprintf(" %s", rollout_metric_name(decision->broken));
		else if (decision->cause == ROLLOUT_CAUSE_CRITERION)
			which = psprintf(" %s", d->criterion_metrics[decision->criterion]);
	}
	return why ? psprintf("%s (%s%s)", action_names[decision->action], why, which)
			   : pstrdup(action_names[decision->action]);
}

/* list: a JSON array of objects. */
static Jsonb *
list(Jsonb **items, int n)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbValue value;

		value.type = jbvBinary;
		value.val.binary.len = VARSIZE(items[i]) - VARHDRSZ;
		value.val.binary.data = &items[i]->root;
		(void) pushJsonbValue(&state, WJB_ELEM, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* optional_time: a time, or null for none. */
static json_pair
optional_time(const char *key, TimestampTz at)
{
	return at ? json_time_pair(key, at) : json_text_pair(key, NULL);
}

/* tally_json: the counts of one side, as the core took them. */
static Jsonb *
tally_json(const rollout_tally *t)
{
	return json_build(json_integer_pair("requests", t->requests), json_integer_pair("known", t->known),
					  json_integer_pair("successes", t->successes), json_integer_pair("errors", t->errors),
					  json_integer_pair("response_time_count", t->response_time_count),
					  json_exact_pair("response_time_sum", t->response_time_sum));
}

/* side_json: one side of a stratum. */
static Jsonb *
side_json(const guard_side *s, int64 drawn)
{
	return json_build(json_integer_pair("requests", s->requests), json_integer_pair("drawn", drawn),
					  json_integer_pair("known", s->known), json_integer_pair("successes", s->successes),
					  json_integer_pair("errors", s->errors),
					  json_integer_pair("response_time_count", s->response_time_count),
					  json_exact_pair("response_time_mean", s->response_time_mean),
					  json_exact_pair("response_time_m2", s->response_time_m2));
}

/* cells_json: pairs of one kind of outcome. */
static Jsonb *
cells_json(const paired_cells *c)
{
	return json_build(json_integer_pair("neither", c->of[0][0]), json_integer_pair("only_candidate", c->of[0][1]),
					  json_integer_pair("only_baseline", c->of[1][0]), json_integer_pair("both", c->of[1][1]));
}

/* pairs_json: the pairs of a shadow. */
static Jsonb *
pairs_json(const guard_pairs *p)
{
	const paired_values *v = &p->response_time;

	return json_build(
		json_object_pair("failures", cells_json(&p->outcomes)), json_object_pair("errors", cells_json(&p->errors)),
		json_integer_pair("response_time_count", v->count), json_exact_pair("response_time_baseline", v->baseline),
		json_exact_pair("response_time_candidate", v->candidate), json_exact_pair("baseline_m2", v->baseline_m2),
		json_exact_pair("candidate_m2", v->candidate_m2), json_exact_pair("cross", v->cross));
}

static Jsonb *
strata_json(const deployment_look *look)
{
	Jsonb **items = palloc(sizeof(Jsonb *) * (look->stratum_count + 1));

	for (int i = 0; i < look->stratum_count; i++)
	{
		const deployment_stratum *s = &look->strata[i];

		if (s->counts.paired)
			items[i] =
				json_build(json_integer_pair("step", s->step), json_object_pair("pairs", pairs_json(&s->counts.pairs)));
		else
			items[i] = json_build(json_integer_pair("step", s->step), json_exact_pair("share", s->counts.share),
								  json_object_pair("candidate", side_json(&s->counts.candidate, s->drawn_candidate)),
								  json_object_pair("baseline", side_json(&s->counts.baseline, s->drawn_baseline)));
	}
	return list(items, look->stratum_count);
}

static Jsonb *
value_json(const rollout_value *v)
{
	return json_build(json_exact_pair("value", v->samples > 0 ? v->value : NAN),
					  json_integer_pair("samples", v->samples));
}

static Jsonb *
verdict_json(const rollout_verdict *v)
{
	Jsonb *interval = isnan(v->low) ? NULL
									: json_build(json_number_pair("low", v->low), json_number_pair("high", v->high),
												 json_number_pair("level", 0.95), json_text_pair("method", "wilson"));

	return json_build(json_text_pair("verdict", rollout_outcome_name(v->outcome)), json_number_pair("value", v->value),
					  json_number_pair("limit", v->limit), json_integer_pair("samples", v->samples),
					  json_integer_pair("samples_needed", v->samples_needed),
					  json_text_pair("counted", v->stretched ? "since the step began" : "in the window"),
					  json_object_pair("interval", interval));
}

/* criteria_json: what was measured for each bound, in the order of the flattened health_criteria, and its verdict. */
static Jsonb *
criteria_json(const deployment *d, const deployment_look *look)
{
	static const char *const bounds[] = {"min", "max", "min_ratio", "max_ratio"};
	Jsonb *items[ROLLOUT_MAX_CRITERIA];

	for (int i = 0; i < d->plan.criterion_count; i++)
	{
		static const rollout_measured nothing;
		const rollout_measured *m = look->measured ? &look->measured[i] : &nothing;
		const rollout_verdict *v = &look->decision.criteria[i];

		items[i] = json_build(json_text_pair("metric_name", d->criterion_metrics[i]),
							  json_text_pair("bound", bounds[d->plan.criteria[i].bound]),
							  json_object_pair("window", value_json(&m->window)),
							  json_object_pair("step", value_json(&m->step)),
							  json_object_pair("baseline_window", value_json(&m->baseline_window)),
							  json_object_pair("baseline_step", value_json(&m->baseline_step)),
							  json_object_pair("verdict", verdict_json(v)));
	}
	return list(items, d->plan.criterion_count);
}

/* guard_json: what the guard says; NULL when it is off. */
static Jsonb *
guard_json(const deployment *d, const deployment_look *look)
{
	json_pair metrics[ROLLOUT_METRICS];

	if (!d->guarded)
		return NULL;
	for (int m = 0; m < ROLLOUT_METRICS; m++)
	{
		const guard_evidence *e = &look->guard.metrics[m];

		metrics[m] = json_object_pair(
			rollout_metric_name((rollout_metric) m),
			json_build(json_number_pair("candidate", e->candidate), json_number_pair("baseline", e->baseline),
					   json_number_pair("difference", e->difference), json_number_pair("margin", e->margin),
					   json_integer_pair("samples_candidate", e->samples_candidate),
					   json_integer_pair("samples_baseline", e->samples_baseline), json_number_pair("z", e->z),
					   json_number_pair("p_value", e->p_value)));
	}
	return json_build(json_boolean_pair("convicts", look->guard.convict), json_number_pair("level", look->guard.level),
					  json_number_pair("p_value", look->guard.p_value),
					  json_text_pair("worst", rollout_metric_name(look->guard.worst)),
					  json_object_pair("metrics", json_build_pairs(ROLLOUT_METRICS, metrics)));
}

static Jsonb *
ratio_json(const guard_sample_ratio *r)
{
	return json_build(json_boolean_pair("alarm", r->alarm), json_number_pair("p_value", r->p_value),
					  json_number_pair("chi_square", r->chi_square), json_integer_pair("df", r->df),
					  json_number_pair("chi_square_p_value", r->chi_square_p_value),
					  json_integer_pair("requests", r->counted), json_integer_pair("expected", r->expected));
}

Jsonb *
deployment_evidence(const deployment *d, deployment_look *look)
{
	const rollout_verdict *v = look->decision.verdicts;
	Jsonb *verdicts;
	Jsonb *window;
	Jsonb *candidate;
	Jsonb *baseline;
	Jsonb *limits;
	Jsonb *state;

	if (look->evidence)
		return look->evidence;
	verdicts = json_build(json_object_pair("success_rate", verdict_json(&v[ROLLOUT_SUCCESS_RATE])),
						  json_object_pair("error_rate", verdict_json(&v[ROLLOUT_ERROR_RATE])),
						  json_object_pair("response_time", verdict_json(&v[ROLLOUT_RESPONSE_TIME])));
	window = json_build(json_time_pair("from", look->window_start), json_time_pair("to", look->now),
						json_integer_pair("minutes", d->window_minutes));
	candidate = json_build(json_object_pair("window", tally_json(&look->window)),
						   json_object_pair("step", tally_json(&look->step)));
	baseline = json_build(json_object_pair("window", tally_json(&look->baseline_window)),
						  json_object_pair("step", tally_json(&look->baseline_step)));
	limits = json_build(json_exact_pair("success_rate", d->plan.limits[ROLLOUT_SUCCESS_RATE]),
						json_exact_pair("error_rate", d->plan.limits[ROLLOUT_ERROR_RATE]),
						json_exact_pair("response_time", d->plan.limits[ROLLOUT_RESPONSE_TIME]));
	state =
		json_build(optional_time("awaiting_since", d->awaiting_since),
				   json_boolean_pair("approved", look->state.approved), json_boolean_pair("frozen", look->state.frozen),
				   json_text_pair("validation", validation_names[look->state.validation]),
				   json_text_pair("test", d->plan.shape == ROLLOUT_AB_TEST ? test_names[look->state.test] : NULL),
				   look->state.paired ? json_integer_pair("pairs", look->state.pairs) : json_text_pair("pairs", NULL));

	look->evidence = json_build(
		json_object_pair("window", window), json_object_pair("verdicts", verdicts),
		json_object_pair("criteria", criteria_json(d, look)), json_object_pair("guard", guard_json(d, look)),
		json_object_pair("sample_ratio", ratio_json(&look->ratio)), json_object_pair("candidate", candidate),
		json_object_pair("baseline", baseline), json_object_pair("strata", strata_json(look)),
		json_integer_pair("step", d->step), json_text_pair("status", d->status), json_object_pair("state", state),
		optional_time("started_at", d->started_at), optional_time("step_started_at", d->step_started_at),
		optional_time("bake_until", d->bake_until), json_object_pair("limits", limits),
		json_boolean_pair("auto_rollback_enabled", d->plan.auto_rollback), json_text_pair("strategy", d->strategy),
		json_object_pair("health_criteria", d->health_criteria), json_object_pair("rollout", d->rollout),
		json_text_pair("decision", decision_text(d, look)));
	return look->evidence;
}

/* Reading it back. */

/* missing: 22023 for evidence of nothing that was judged. */
static void
missing(const char *key)
{
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("this is no evidence of a rollout's decision"),
			errdetail("It has no \"%s\".", key),
			errhint("Give the evidence of a row of model_mgr.explain_deployment() that has a \"decision\"."));
}

/* part: an object that must be there. */
static Jsonb *
part(const Jsonb *evidence, const char *key)
{
	Jsonb *found = deployment_key_object(evidence, key);

	if (found == NULL)
		missing(key);
	return found;
}

static double
number(const Jsonb *object, const char *key)
{
	return deployment_key_number(object, key, 0, -DBL_MAX, DBL_MAX);
}

static int64
whole(const Jsonb *object, const char *key)
{
	return (int64) deployment_key_whole(object, key, 0, 0, 1e18);
}

/* text_of: a string, or NULL. */
static char *
text_of(const Jsonb *object, const char *key)
{
	JsonbValue value;

	if (!deployment_key_find(object, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

static TimestampTz
time_of(const Jsonb *object, const char *key)
{
	char *text = text_of(object, key);

	if (text == NULL)
		return 0;
	return DatumGetTimestampTz(
		DirectFunctionCall3(timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* item: object i of an array; NULL past the end. */
static Jsonb *
item(const Jsonb *object, const char *key, int i)
{
	JsonbValue value;
	JsonbValue *found;

	if (!deployment_key_find(object, key, &value) || value.type != jbvBinary ||
		!JsonContainerIsArray(value.val.binary.data))
		missing(key);
	found = getIthJsonbValueFromContainer(value.val.binary.data, i);
	if (found == NULL)
		return NULL;
	if (!deployment_key_is_object(found))
		missing(key);
	return JsonbValueToJsonb(found);
}

static rollout_tally
tally_of(const Jsonb *j)
{
	return (rollout_tally){.requests = whole(j, "requests"),
						   .known = whole(j, "known"),
						   .successes = whole(j, "successes"),
						   .errors = whole(j, "errors"),
						   .response_time_count = whole(j, "response_time_count"),
						   .response_time_sum = number(j, "response_time_sum")};
}

static guard_side
side_of(const Jsonb *j, int64 *drawn)
{
	*drawn = whole(j, "drawn");
	return (guard_side){.requests = whole(j, "requests"),
						.known = whole(j, "known"),
						.successes = whole(j, "successes"),
						.errors = whole(j, "errors"),
						.response_time_count = whole(j, "response_time_count"),
						.response_time_mean = number(j, "response_time_mean"),
						.response_time_m2 = number(j, "response_time_m2")};
}

static paired_cells
cells_of(const Jsonb *j)
{
	return (paired_cells){
		{{whole(j, "neither"), whole(j, "only_candidate")}, {whole(j, "only_baseline"), whole(j, "both")}}};
}

static guard_pairs
pairs_of(const Jsonb *j)
{
	return (guard_pairs){.outcomes = cells_of(part(j, "failures")),
						 .errors = cells_of(part(j, "errors")),
						 .response_time = {.count = whole(j, "response_time_count"),
										   .baseline = number(j, "response_time_baseline"),
										   .candidate = number(j, "response_time_candidate"),
										   .baseline_m2 = number(j, "baseline_m2"),
										   .candidate_m2 = number(j, "candidate_m2"),
										   .cross = number(j, "cross")}};
}

static rollout_value
value_of(const Jsonb *j)
{
	return (rollout_value){.value = number(j, "value"), .samples = whole(j, "samples")};
}

/* read_plan: what the rollout was asked to do. */
static void
read_plan(const Jsonb *evidence, deployment *d)
{
	Jsonb *limits = part(evidence, "limits");

	d->strategy = text_of(evidence, "strategy");
	d->status = text_of(evidence, "status");
	if (d->strategy == NULL || d->status == NULL)
		missing(d->strategy == NULL ? "strategy" : "status");
	d->rollout = part(evidence, "rollout");
	d->health_criteria = part(evidence, "health_criteria");
	d->window_minutes = (int32) deployment_key_whole(part(evidence, "window"), "minutes", 1, 1, DEPLOYMENT_MAX_WINDOW);
	d->step = (int32) deployment_key_whole(evidence, "step", 0, 0, ROLLOUT_MAX_STEPS);
	d->plan.auto_rollback = deployment_key_boolean(evidence, "auto_rollback_enabled", true);
	d->plan.limits[ROLLOUT_SUCCESS_RATE] = number(limits, "success_rate");
	d->plan.limits[ROLLOUT_ERROR_RATE] = number(limits, "error_rate");
	d->plan.limits[ROLLOUT_RESPONSE_TIME] = number(limits, "response_time");
	deployment_plan_read(d->rollout, d->strategy, &d->plan);
	deployment_health_parse(d->health_criteria, &d->plan, &d->criterion_metrics);
	d->guarded = deployment_plan_guard(d->rollout, d->margins);
}

/* read_look: what was seen. */
static void
read_look(const Jsonb *evidence, const deployment *d, deployment_look *look)
{
	Jsonb *state = part(evidence, "state");
	Jsonb *candidate = part(evidence, "candidate");
	Jsonb *baseline = part(evidence, "baseline");
	Jsonb *j;

	look->now = time_of(part(evidence, "window"), "to");
	look->window_start = time_of(part(evidence, "window"), "from");
	look->window = tally_of(part(candidate, "window"));
	look->step = tally_of(part(candidate, "step"));
	look->baseline_window = tally_of(part(baseline, "window"));
	look->baseline_step = tally_of(part(baseline, "step"));
	look->state =
		(rollout_state){.phase = deployment_phase(d),
						.step = d->step,
						.now = look->now,
						.started_at = time_of(evidence, "started_at"),
						.step_started_at = time_of(evidence, "step_started_at"),
						.bake_until = time_of(evidence, "bake_until"),
						.awaiting_since = time_of(state, "awaiting_since"),
						.approved = deployment_key_boolean(state, "approved", false),
						.frozen = deployment_key_boolean(state, "frozen", false),
						.validation = (rollout_validation) deployment_key_word(state, "validation", validation_names),
						.test = (rollout_test) deployment_key_word(state, "test", test_names),
						.paired = deployment_key_value(state, "pairs") != NULL,
						.pairs = whole(state, "pairs")};
	look->strata = palloc0(sizeof(deployment_stratum) * (ROLLOUT_MAX_STEPS + 1));
	while (look->stratum_count < ROLLOUT_MAX_STEPS && (j = item(evidence, "strata", look->stratum_count)) != NULL)
	{
		deployment_stratum *s = &look->strata[look->stratum_count++];

		s->step = (int32) deployment_key_whole(j, "step", 0, 0, ROLLOUT_MAX_STEPS);
		s->counts.paired = deployment_key_object(j, "pairs") != NULL;
		if (s->counts.paired)
		{
			s->counts.pairs = pairs_of(deployment_key_object(j, "pairs"));
			continue;
		}
		s->counts.share = number(j, "share");
		s->counts.candidate = side_of(part(j, "candidate"), &s->drawn_candidate);
		s->counts.baseline = side_of(part(j, "baseline"), &s->drawn_baseline);
	}
	look->measured = palloc0(sizeof(rollout_measured) * (d->plan.criterion_count + 1));
	for (int i = 0; i < d->plan.criterion_count && (j = item(evidence, "criteria", i)) != NULL; i++)
		look->measured[i] = (rollout_measured){.window = value_of(part(j, "window")),
											   .step = value_of(part(j, "step")),
											   .baseline_window = value_of(part(j, "baseline_window")),
											   .baseline_step = value_of(part(j, "baseline_step"))};
}

MM_FUNCTION(mm_replay_evidence);

/* mm_replay_evidence(evidence jsonb): asks the core again; the text is the `decision` of the evidence. */
Datum
mm_replay_evidence(PG_FUNCTION_ARGS)
{
	deployment d = {0};
	deployment_look look = {0};
	Jsonb *evidence;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	evidence = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_OBJECT(evidence))
		missing("decision");
	if (text_of(evidence, "decision") == NULL)
		missing("decision");
	read_plan(evidence, &d);
	read_look(evidence, &d, &look);
	deployment_decide(&d, &look);
	PG_RETURN_TEXT_P(cstring_to_text(decision_text(&d, &look)));
}
