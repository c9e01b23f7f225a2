/*
 * experiment_show.c: how tests stand, for views and get_test_metrics(): the estimates of this moment beside the verdict
 * of the last recorded look. Records nothing.
 */
#include "pg/experiment_analysis.h"

#include <math.h>

#include "funcapi.h"
#include "utils/tuplestore.h"

#include "pg/query.h"

/* A row that is filled from left to right. */
typedef struct show_row
{
	Datum values[32];
	bool nulls[32];
	int n;
} show_row;

static void
add_text(show_row *row, const char *value)
{
	row->nulls[row->n] = value == NULL;
	row->values[row->n++] = value ? CStringGetTextDatum(value) : (Datum) 0;
}

/* add_number: what is not defined is NULL. */
static void
add_number(show_row *row, double value)
{
	row->nulls[row->n] = !isfinite(value);
	row->values[row->n++] = Float8GetDatum(value);
}

static void
add_integer(show_row *row, int64 value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = Int64GetDatum(value);
}

static void
add_boolean(show_row *row, bool value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = BoolGetDatum(value);
}

static void
put(ReturnSetInfo *set, show_row *row)
{
	Assert(row->n == set->setDesc->natts);
	tuplestore_putvalues(set->setResult, set->setDesc, row->values, row->nulls);
	row->n = 0;
}

/* read_tests: one test, or all; only those that run, or all the same. Returns how many. */
static int
read_tests(const char *test_id, bool running, test_analysis **out)
{
	experiment *tests;
	int n = 1;

	if (test_id == NULL)
		n = experiment_load_many(running, &tests);
	else
	{
		tests = palloc(sizeof(experiment));
		n = experiment_load(test_id, tests) && (!running || experiment_is_running(tests)) ? 1 : 0;
	}
	*out = palloc(sizeof(test_analysis) * Max(n, 1));
	analysis_read(tests, n, *out);
	for (int i = 0; i < n; i++)
		analysis_show(&(*out)[i]);
	return n;
}

MM_FUNCTION(mm_get_test_metrics);

/* mm_get_test_metrics(test_id text): every metric in every arm beside control. */
Datum
mm_get_test_metrics(PG_FUNCTION_ARGS)
{
	static const char *const roles[] = {
		[TEST_PRIMARY] = "primary", [TEST_SECONDARY] = "secondary", [TEST_GUARDRAIL] = "guardrail"};
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *test_id = mm_text_arg(fcinfo, 0, "test_id", false);
	test_analysis *a;
	show_row row = {.n = 0};
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	if (test_id == NULL)
		return (Datum) 0;
	scope = mm_enter();
	if (read_tests(test_id, false, &a) > 0)
		for (int m = 0; m < a->e->metric_count; m++)
			for (int arm = 1; arm < a->e->arm_count; arm++)
			{
				const experiment_estimate *s = analysis_estimate(a, m, arm);

				add_text(&row, a->e->metrics[m].name);
				add_text(&row, roles[a->e->metrics[m].role]);
				add_text(&row, a->e->arms[arm].variant);
				add_text(&row, a->e->metrics[m].direction > 0 ? "higher" : "lower");
				add_number(&row, s->mean_control);
				add_number(&row, s->mean_variant);
				add_integer(&row, s->samples_control);
				add_integer(&row, s->samples_variant);
				add_number(&row, s->difference);
				add_number(&row, s->relative_lift);
				add_number(&row, s->ci_low);
				add_number(&row, s->ci_high);
				add_number(&row, s->p_value);
				add_number(&row, s->p_value_adjusted);
				add_boolean(&row, s->significant);
				add_number(&row, s->cuped_difference);
				add_number(&row, s->cuped_ci_low);
				add_number(&row, s->cuped_ci_high);
				put(set, &row);
			}
	mm_leave(scope);
	return (Datum) 0;
}

/* put_ended: rows of tests that have ended: what they ended with; nothing is computed. */
static void
put_ended(ReturnSetInfo *set, const char *test_id)
{
	static query find = {.sql =
							 "SELECT t.test_id, coalesce(r.status, 'no_data'), coalesce(r.samples_control, 0),"
							 " coalesce(r.samples_treatment, 0), coalesce(r.information_fraction, 0),"
							 " coalesce(r.recommendation, 'keep control: ' || t.stop_reason)"
							 " FROM model_mgr.ab_test t LEFT JOIN model_mgr.ab_test_result r ON r.test_id = t.test_id"
							 " WHERE t.status <> 'running' AND ($1 IS NULL OR t.test_id = $1)",
						 .types = {TEXTOID},
						 .read_only = true};
	uint64 rows = query_run(&find, text_arg(test_id));

	for (uint64 i = 0; i < rows; i++)
	{
		show_row row = {.n = 6};

		for (int column = 0; column < row.n; column++)
			row.values[column] = query_datum(i, column, &row.nulls[column]);
		put(set, &row);
	}
}

MM_FUNCTION(mm_test_verdicts);

/* mm_test_verdicts(of_test text): how a test stands, NULL: each. */
Datum
mm_test_verdicts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *test_id = mm_text_arg(fcinfo, 0, "of_test", false);
	test_analysis *a;
	show_row row = {.n = 0};
	mm_scope scope;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	put_ended(set, test_id);
	n = read_tests(test_id, true, &a);
	for (int i = 0; i < n; i++)
	{
		const experiment_estimate *best = analysis_leading(&a[i]);

		add_text(&row, a[i].e->test_id);
		add_text(&row, experiment_status_name(a[i].result.decision.status));
		add_integer(&row, best->samples_control);
		add_integer(&row, best->samples_variant);
		add_number(&row, a[i].result.information);
		add_text(&row, analysis_recommendation(&a[i]));
		put(set, &row);
	}
	mm_leave(scope);
	return (Datum) 0;
}

MM_FUNCTION(mm_test_arms);

/* mm_test_arms(of_test text): the arms of a test by its primary metric, NULL: of each. */
Datum
mm_test_arms(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *test_id = mm_text_arg(fcinfo, 0, "of_test", false);
	test_analysis *a;
	show_row row = {.n = 0};
	mm_scope scope;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	n = read_tests(test_id, false, &a);
	for (int i = 0; i < n; i++)
		for (int arm = 0; arm < a[i].e->arm_count; arm++)
		{
			const experiment *e = a[i].e;
			bool control = arm == EXPERIMENT_CONTROL_ARM;
			/* Control's own numbers stand beside any other arm's. */
			const experiment_estimate *s = analysis_estimate(&a[i], 0, control ? 1 : arm);
			bool ended = !experiment_is_running(e) && a[i].stored;

			add_text(&row, e->test_id);
			add_text(&row, e->arms[arm].variant);
			add_text(&row, e->arms[arm].model_name);
			add_text(&row, e->arms[arm].version);
			add_text(&row, experiment_status_name(ended ? a[i].stored_status : a[i].result.decision.status));
			add_text(&row, e->metrics[0].name);
			add_integer(&row, control ? s->samples_control : s->samples_variant);
			add_number(&row, control ? s->mean_control : s->mean_variant);
			add_number(&row, control ? NAN : s->difference);
			add_number(&row, control ? NAN : s->relative_lift);
			add_number(&row, control ? NAN : s->ci_low);
			add_number(&row, control ? NAN : s->ci_high);
			add_number(&row, control ? NAN : s->anytime_ci_low);
			add_number(&row, control ? NAN : s->anytime_ci_high);
			add_number(&row, control ? NAN : s->p_value);
			add_number(&row, e->epochs[e->epoch_count - 1].shares[arm]);
			add_number(&row, ended ? a[i].stored_information : a[i].result.information);
			add_number(&row, a[i].boundary_p_value);
			add_number(&row, a[i].result.sample_ratio_p_value);
			add_number(&row, a[i].conditional_power);
			add_text(&row, ended ? a[i].stored_words : analysis_recommendation(&a[i]));
			put(set, &row);
		}
	mm_leave(scope);
	return (Datum) 0;
}
