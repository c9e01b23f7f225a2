/*
 * experiment.c: the A/B test behind a deployment of strategy a_b_test: its row, its one look at the end, and how it
 * stands. The requests are those of the deployment's first step; the counts are read as the guard reads them.
 */
#include "pg/experiment.h"

#include <math.h>

#include "funcapi.h"

#include "core/experiment.h"
#include "pg/audit.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/rollup.h"

#define DECIDES "success_rate"

/* One test in memory. */
typedef struct experiment
{
	char *test_id;
	char *status;
	char *winner; /* NULL: none */
	char *metric;
	char *stop_reason;
	double confidence_level;
	double share;
	int64 planned;
	TimestampTz started_at;
	TimestampTz ends_at;
	int64 deployment_id;
	int64 control_version_id;
	int64 treatment_version_id;
	bool counted; /* counts are final */
	experiment_counts counts;
} experiment;

#define EXPERIMENT_COLUMNS                                                                                             \
	"SELECT t.test_id, t.status, t.winning_variant, t.primary_metric, t.stop_reason, t.confidence_level,"              \
	" t.traffic_split, t.planned_samples, t.started_at, t.ends_at, p.deployment_id, p.control_version_id,"             \
	" p.treatment_version_id, p.samples_control, p.successes_control, p.samples_treatment, p.successes_treatment"      \
	" FROM model_mgr.ab_test t JOIN model_mgr.ab_test_plan p ON p.test_id = t.test_id"

static experiment
take(uint64 row)
{
	experiment e = {.test_id = query_text(row, 0),
					.status = query_text(row, 1),
					.winner = query_text(row, 2),
					.metric = query_text(row, 3),
					.stop_reason = query_text(row, 4),
					.confidence_level = query_float8(row, 5),
					.share = query_float8(row, 6),
					.planned = query_int64(row, 7),
					.started_at = query_time(row, 8),
					.ends_at = query_time(row, 9),
					.deployment_id = query_int64(row, 10),
					.control_version_id = query_int64(row, 11),
					.treatment_version_id = query_int64(row, 12),
					.counted = !query_isnull(row, 13),
					.counts = {query_int64(row, 13), query_int64(row, 14), query_int64(row, 15), query_int64(row, 16)}};

	return e;
}

/* load: false when there is no such test. */
static bool
load(const char *test_id, experiment *e)
{
	static query find = QUERY(EXPERIMENT_COLUMNS " WHERE t.test_id = $1", TEXTOID);

	if (query_run(&find, text_arg(test_id)) == 0)
		return false;
	*e = take(0);
	return true;
}

static bool
is_running(const experiment *e)
{
	return strcmp(e->status, "running") == 0;
}

/* read_counts: of those of n whose counts are not final, in one query. */
static void
read_counts(experiment *e, int n)
{
	rollup_side *sides = palloc0(sizeof(rollup_side) * (2 * n + 1));
	int asked = 0;

	for (int i = 0; i < n; i++)
		for (int arm = 0; arm < 2 && !e[i].counted; arm++)
			sides[asked++] = (rollup_side){.deployment_id = e[i].deployment_id,
										   .version_id = arm == 0 ? e[i].control_version_id : e[i].treatment_version_id,
										   .since = mm_now(),
										   .began = e[i].started_at};
	if (asked > 0)
		rollup_read_sides(sides, asked);
	asked = 0;
	for (int i = 0; i < n; i++)
		for (int arm = 0; arm < 2 && !e[i].counted; arm++, asked++)
			for (int s = 0; s < sides[asked].count; s++)
			{
				const rollup_step *step = &sides[asked].steps[s];

				if (step->step != 1)
					continue;
				*(arm == 0 ? &e[i].counts.samples_control : &e[i].counts.samples_treatment) = step->compared.known;
				*(arm == 0 ? &e[i].counts.successes_control : &e[i].counts.successes_treatment) =
					step->compared.successes;
			}
}

/* judge: the winner by the counts; nobody where the deciding metric is not judged yet. */
static experiment_winner
judge(const experiment *e, hypothesis_result *test)
{
	experiment_winner winner = experiment_judge(&e->counts, e->confidence_level, test);

	return strcmp(e->metric, DECIDES) == 0 ? winner : EXPERIMENT_NOBODY;
}

/* verdict_words: the final counts in words. */
static char *
verdict_words(const experiment *e)
{
	hypothesis_result test;
	experiment_winner winner = judge(e, &test);
	const char *head;
	double alpha = 1 - e->confidence_level;

	if (strcmp(e->metric, DECIDES) != 0)
		return psprintf("inconclusive: a test of \"%s\" is not judged yet, of " DECIDES " only", e->metric);
	if (isnan(test.p_value))
		return psprintf("inconclusive: %lld outcomes of control and %lld of treatment are known",
						(long long) e->counts.samples_control, (long long) e->counts.samples_treatment);
	head = winner == EXPERIMENT_TREATMENT ? "treatment wins"
		   : winner == EXPERIMENT_CONTROL ? "control wins"
										  : "inconclusive";
	return psprintf("%s: " DECIDES " %.4g of %lld outcomes against %.4g of %lld in control, difference %.4g"
					" (%.4g to %.4g), p %.3g %s %.4g",
					head, test.mean_treatment, (long long) e->counts.samples_treatment, test.mean_control,
					(long long) e->counts.samples_control, test.effect, test.ci_low, test.ci_high, test.p_value,
					winner == EXPERIMENT_NOBODY ? "is not below" : "<", alpha);
}

rollout_test
experiment_verdict(const deployment *d)
{
	experiment e;
	hypothesis_result test;

	if (!load(d->test_id, &e))
		return ROLLOUT_TEST_RUNNING;
	if (!is_running(&e))
		return e.winner == NULL                     ? ROLLOUT_TEST_INCONCLUSIVE
			   : strcmp(e.winner, "treatment") == 0 ? ROLLOUT_TEST_TREATMENT
													: ROLLOUT_TEST_CONTROL;
	if (mm_now() < e.ends_at)
		return ROLLOUT_TEST_RUNNING;
	read_counts(&e, 1);
	switch (judge(&e, &test))
	{
		case EXPERIMENT_TREATMENT:
			return ROLLOUT_TEST_TREATMENT;
		case EXPERIMENT_CONTROL:
			return ROLLOUT_TEST_CONTROL;
		case EXPERIMENT_NOBODY:
			break;
	}
	return ROLLOUT_TEST_INCONCLUSIVE;
}

char *
experiment_reason(const deployment *d)
{
	experiment e;

	if (!load(d->test_id, &e))
		return psprintf("test \"%s\" is gone", d->test_id);
	if (!is_running(&e))
		return e.stop_reason ? e.stop_reason : pstrdup("the test has ended");
	/* Without numbers, which would rewrite the row at every look. */
	if (mm_now() < e.ends_at)
		return psprintf("test %s runs until %s", e.test_id, deployment_time(e.ends_at));
	read_counts(&e, 1);
	return verdict_words(&e);
}

void
experiment_close(const deployment *d, const char *reason)
{
	static query end = QUERY("UPDATE model_mgr.ab_test SET status = $2, stop_reason = $3, winning_variant = $4,"
							 " stopped_at = $5 WHERE test_id = $1",
							 TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static query keep = QUERY("UPDATE model_mgr.ab_test_plan SET samples_control = $2, successes_control = $3,"
							  " samples_treatment = $4, successes_treatment = $5 WHERE test_id = $1",
							  TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID);
	experiment e;
	hypothesis_result test;
	experiment_winner winner;
	bool completed;
	char *words;
	Jsonb *data;

	if (!load(d->test_id, &e) || !is_running(&e))
		return;
	read_counts(&e, 1);
	winner = judge(&e, &test);
	words = verdict_words(&e);
	completed = mm_now() >= e.ends_at && (reason == NULL || strcmp(reason, words) == 0);
	/* Before its end a difference has not been tested. */
	e.winner = !completed || winner == EXPERIMENT_NOBODY ? NULL
			   : winner == EXPERIMENT_CONTROL            ? "control"
														 : "treatment";
	e.status = completed ? "completed" : "stopped";
	if (!completed)
		words = reason ? (char *) reason : "its deployment went on";
	query_run(&end, text_arg(e.test_id), text_arg(e.status), text_arg(words), text_arg(e.winner), time_arg(mm_now()));
	query_run(&keep, text_arg(e.test_id), int64_arg(e.counts.samples_control), int64_arg(e.counts.successes_control),
			  int64_arg(e.counts.samples_treatment), int64_arg(e.counts.successes_treatment));
	data = json_build(json_text_pair("test_id", e.test_id), json_integer_pair("deployment_id", d->deployment_id),
					  json_text_pair("status", e.status), json_text_pair("stop_reason", words),
					  json_text_pair("winning_variant", e.winner),
					  json_integer_pair("samples_control", e.counts.samples_control),
					  json_integer_pair("successes_control", e.counts.successes_control),
					  json_integer_pair("samples_treatment", e.counts.samples_treatment),
					  json_integer_pair("successes_treatment", e.counts.successes_treatment),
					  json_number_pair("p_value", test.p_value), json_number_pair("effect_size", test.effect));
	event_append("test.stopped", d->model_name, d->version, d->deployment_id, data);
	audit_append("stop_test", d->model_name, d->version, data);
}

MM_FUNCTION(mm_test_verdicts);

/* put: one row of how a test stands. */
static void
put(ReturnSetInfo *set, const experiment *e)
{
	hypothesis_result test;
	bool any = e->counts.samples_control + e->counts.samples_treatment > 0;
	const char *verdict;
	const char *advice;
	Datum values[6];
	bool nulls[6] = {false};

	(void) judge(e, &test);
	if (e->winner)
	{
		verdict = "significant";
		advice = psprintf("%s: %s", strcmp(e->winner, "treatment") == 0 ? "use the treatment" : "keep the control",
						  e->stop_reason);
	}
	else if (!is_running(e))
	{
		verdict = any ? "inconclusive" : "no_data";
		advice = psprintf("keep the control: %s", e->stop_reason);
	}
	else
	{
		verdict = any ? "running" : "no_data";
		advice =
			psprintf("wait until %s: %lld of %lld planned outcomes are known", deployment_time(e->ends_at),
					 (long long) (e->counts.samples_control + e->counts.samples_treatment), (long long) e->planned);
	}
	values[0] = CStringGetTextDatum(e->test_id);
	values[1] = CStringGetTextDatum(verdict);
	values[2] = Int64GetDatum(e->counts.samples_control);
	values[3] = Int64GetDatum(e->counts.samples_treatment);
	values[4] = Float8GetDatum(experiment_counts_information(&e->counts, (double) e->planned, e->share));
	values[5] = CStringGetTextDatum(advice);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/* mm_test_verdicts(of_test text): how a test stands, NULL: each. */
Datum
mm_test_verdicts(PG_FUNCTION_ARGS)
{
	static query read = {.sql = EXPERIMENT_COLUMNS " WHERE $1 IS NULL OR t.test_id = $1 ORDER BY t.test_id",
						 .types = {TEXTOID},
						 .read_only = true};
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *of_test = mm_text_arg(fcinfo, 0, "of_test", false);
	experiment *e;
	mm_scope scope;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	n = (int) query_run(&read, text_arg(of_test));
	e = palloc(sizeof(experiment) * (n + 1));
	for (int i = 0; i < n; i++)
		e[i] = take(i);
	read_counts(e, n);
	for (int i = 0; i < n; i++)
		put(set, &e[i]);
	mm_leave(scope);
	return (Datum) 0;
}
