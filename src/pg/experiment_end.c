/*
 * experiment_end.c: ends of tests, by their verdict or by hand; and what people do with a winner. An end changes the
 * test, its result, the traffic that it carried, and tells of it, all in one transaction.
 */
#include "pg/experiment_analysis.h"

#include <math.h>

#include "pg/assignment.h"
#include "pg/audit.h"
#include "pg/deployment.h"
#include "pg/deployment_store.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/rollup.h"

bool
analysis_needs_model(const experiment *e)
{
	return e->model_id != 0 && (e->deployment_id != 0 || e->routes_traffic);
}

/* tell_end: the event and the audit row. */
static void
tell_end(const test_analysis *a, const char *status, const char *winner, const char *stop_reason)
{
	const experiment *e = a->e;
	const experiment_estimate *best = analysis_leading(a);
	Jsonb *data = json_build(
		json_text_pair("test_id", e->test_id),
		e->deployment_id ? json_integer_pair("deployment_id", e->deployment_id) : json_text_pair("deployment_id", NULL),
		json_text_pair("status", status), json_text_pair("verdict", experiment_status_name(a->result.decision.status)),
		json_text_pair("stop_reason", stop_reason), json_text_pair("winning_variant", winner),
		json_text_pair("deciding_metric", e->metrics[a->result.decision.metric].name),
		json_integer_pair("samples_control", best->samples_control),
		json_integer_pair("samples_treatment", best->samples_variant), json_number_pair("p_value", best->p_value),
		json_number_pair("effect_size", best->difference), json_number_pair("ci_low", best->ci_low),
		json_number_pair("ci_high", best->ci_high), json_number_pair("information_fraction", a->result.information));

	event_append("test.stopped", e->arms[1].model_name, e->arms[1].version, e->deployment_id, data);
	audit_append("stop_test", e->arms[1].model_name, e->arms[1].version, data);
}

void
analysis_end(test_analysis *a, const char *stop_reason)
{
	static query end = QUERY("UPDATE model_mgr.ab_test SET status = $2, stop_reason = $3, winning_variant = $4,"
							 " stopped_at = $5 WHERE test_id = $1",
							 TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	const experiment *e = a->e;
	const char *status = stop_reason ? "stopped" : "completed";
	const char *winner;
	const char *reason;

	/* What it was judged by came before this moment, and so did what is folded already: what counts is told by the time
	 * of the end alone. A clock that was set back ends no test before it began. */
	(void) rollup_hold(true);
	a->now = Max(mm_now(), e->started_at);
	analysis_record(a, true);
	winner = a->result.decision.winner == EXPERIMENT_NO_ARM ? NULL : e->arms[a->result.decision.winner].variant;
	reason = stop_reason ? stop_reason : analysis_verdict_words(a);
	query_run(&end, text_arg(e->test_id), text_arg(status), text_arg(reason), text_arg(winner), time_arg(a->now));
	analysis_tell_mismatch(a);
	analysis_store(a, analysis_final_words(a, stop_reason));
	assignment_close(e->test_no, a->result.decision.winner);
	tell_end(a, status, winner, reason);
}

/* lock_running: the test with its locks, read and looked at; false when it has ended already. 42704 when there is no
 * such test. The model's lock comes before the test's. */
static bool
lock_running(const char *test_id, experiment *e, test_analysis *a)
{
	if (!experiment_load(test_id, e))
		experiment_unknown(test_id);
	experiment_check_grant(e);
	if (!experiment_is_running(e))
		return false;
	if (analysis_needs_model(e))
		(void) mm_lock_model(e->model_id, true);
	if (!analysis_lock(test_id, true) || !experiment_load(test_id, e))
		experiment_unknown(test_id);
	if (!experiment_is_running(e))
		return false;
	analysis_read(e, 1, a);
	analysis_look(a);
	return true;
}

/* follow: the rollout of a test that has ended goes on to its winner or back to control. */
static void
follow(const experiment *e)
{
	if (e->deployment_id != 0)
		(void) deployment_advance(e->deployment_id);
}

MM_FUNCTION(mm_stop_test);

/* mm_stop_test(test_id text, reason text): false when it has ended already. */
Datum
mm_stop_test(PG_FUNCTION_ARGS)
{
	char *test_id = mm_text_arg(fcinfo, 0, "test_id", true);
	char *reason = mm_text_arg(fcinfo, 1, "reason", false);
	experiment e;
	test_analysis a;
	mm_scope scope = mm_enter();
	bool running = lock_running(test_id, &e, &a);

	if (running)
	{
		analysis_end(&a, reason ? reason : "");
		follow(&e);
	}
	mm_leave(scope);
	PG_RETURN_BOOL(running);
}

/* no_winner: 55000, with what the test says. */
static void no_winner(const char *test_id, const char *variant, const char *winner, const char *words)
	__attribute__((noreturn));

static void
no_winner(const char *test_id, const char *variant, const char *winner, const char *words)
{
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			variant  ? errmsg("\"%s\" has not won test \"%s\"", variant, test_id)
			: winner ? errmsg("the winner of test \"%s\" is not in the registry", test_id)
					 : errmsg("test \"%s\" has no winner", test_id),
			errdetail("%s%s%s.", winner ? "The winner is " : "", winner ? winner : "",
					  winner ? psprintf(": %s", words) : words),
			errhint("get_test_status() and get_test_metrics() tell more."));
}

/* stored_words: the recommendation of a test that has ended. */
static char *
stored_words(const char *test_id)
{
	static query find = QUERY("SELECT r.recommendation FROM model_mgr.ab_test_result r WHERE r.test_id = $1", TEXTOID);

	return query_run(&find, text_arg(test_id)) > 0 ? query_text(0, 0) : pstrdup("it has ended without a result");
}

MM_FUNCTION(mm_promote_winner);

/* mm_promote_winner(test_id text, strategy text): the deployment of the winner's version. */
Datum
mm_promote_winner(PG_FUNCTION_ARGS)
{
	static query deploy =
		QUERY("SELECT d FROM model_mgr.deploy_model_version($1, $2, strategy => $3) d", TEXTOID, TEXTOID, TEXTOID);
	char *test_id = mm_text_arg(fcinfo, 0, "test_id", true);
	char *strategy = mm_text_arg(fcinfo, 1, "strategy", false);
	experiment e;
	test_analysis a;
	const test_arm *winner = NULL;
	Datum row;
	mm_scope scope = mm_enter();

	if (lock_running(test_id, &e, &a))
	{
		if (!analysis_significant(&a))
			no_winner(test_id, NULL, NULL, analysis_recommendation(&a));
		analysis_end(&a, NULL);
		follow(&e);
		winner = &e.arms[a.result.decision.winner];
	}
	else
		for (int i = 0; i < e.arm_count && e.winning_variant != NULL; i++)
			if (strcmp(e.arms[i].variant, e.winning_variant) == 0)
				winner = &e.arms[i];
	if (winner == NULL)
		no_winner(test_id, NULL, NULL, stored_words(test_id));
	if (winner->version_id == 0)
		no_winner(test_id, NULL, winner->variant,
				  psprintf("version \"%s\" of model \"%s\"", winner->version, winner->model_name));
	query_run(&deploy, text_arg(winner->model_name), text_arg(winner->version), text_arg(strategy));
	row = query_result_row();
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}

MM_FUNCTION(mm_assert_ab_test_winner);

/* mm_assert_ab_test_winner(test_id text, variant text): 55000 unless it has won. */
Datum
mm_assert_ab_test_winner(PG_FUNCTION_ARGS)
{
	char *test_id = mm_text_arg(fcinfo, 0, "test_id", true);
	char *variant = mm_text_arg(fcinfo, 1, "variant", true);
	const char *winner;
	const char *words;
	experiment e;
	bool known = false;
	mm_scope scope = mm_enter();

	if (!experiment_load(test_id, &e))
		experiment_unknown(test_id);
	for (int i = 0; i < e.arm_count; i++)
		known |= strcmp(e.arms[i].variant, variant) == 0;
	if (!known)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("test \"%s\" has no variant \"%s\"", test_id, variant),
				errdetail("Its variants are control, treatment and those of its arms."),
				errhint("See ab_test_status."));
	if (experiment_is_running(&e))
	{
		test_analysis a;

		analysis_read(&e, 1, &a);
		analysis_show(&a);
		winner = analysis_significant(&a) ? e.arms[a.result.decision.winner].variant : NULL;
		words = analysis_recommendation(&a);
	}
	else
	{
		winner = e.winning_variant;
		words = stored_words(test_id);
	}
	if (winner == NULL || strcmp(winner, variant) != 0)
		no_winner(test_id, variant, winner, words);
	mm_leave(scope);
	PG_RETURN_VOID();
}
