/*
 * experiment_look.c: looks at tests, recorded: each spends error probability, so that of two who look at once one
 * records and the other finds it recorded. Between looks the last verdict stands beside fresh estimates.
 */
#include "pg/experiment_analysis.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "pg/assignment.h"
#include "pg/event.h"
#include "pg/query.h"
#include "pg/statistics.h"

/* Shares that would move by less stay. */
#define LEAST_MOVE 0.005

bool
analysis_lock(const char *test_id, bool wait)
{
	static query waiting = QUERY("SELECT FROM model_mgr.ab_test t WHERE t.test_id = $1 FOR NO KEY UPDATE", TEXTOID);
	static query trying =
		QUERY("SELECT FROM model_mgr.ab_test t WHERE t.test_id = $1 FOR NO KEY UPDATE SKIP LOCKED", TEXTOID);

	return query_run(wait ? &waiting : &trying, text_arg(test_id)) > 0;
}

static query_arg
number_arg(double value)
{
	return isfinite(value) ? float8_arg(value) : null_arg();
}

/* stands: what a recorded look leaves behind for those after it: a verdict, or that there is none at the end. */
static bool
stands(const experiment_decision *d)
{
	return d->status == EXPERIMENT_STOPPED_EARLY || d->status == EXPERIMENT_SIGNIFICANT ||
		   d->status == EXPERIMENT_FUTILE || d->status == EXPERIMENT_INCONCLUSIVE;
}

static char *
winner_name(const test_analysis *a)
{
	int winner = a->result.decision.winner;

	return winner == EXPERIMENT_NO_ARM ? NULL : a->e->arms[winner].variant;
}

/* write_look: one row of ab_test_look. */
static void
write_look(const test_analysis *a, const char *kind, const Jsonb *evidence)
{
	static query look =
		QUERY("INSERT INTO model_mgr.ab_test_look (test_no, look, looked_at, information_fraction, status,"
			  " winning_variant, kind, evidence)"
			  " SELECT $1, coalesce(max(l.look), 0) + 1, $2, $3, $4, $5, $6, $7 FROM model_mgr.ab_test_look l"
			  " WHERE l.test_no = $1",
			  INT8OID, TIMESTAMPTZOID, FLOAT8OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID);

	query_run(&look, int64_arg(a->e->test_no), time_arg(a->now), float8_arg(a->result.information),
			  text_arg(experiment_status_name(a->result.decision.status)), text_arg(winner_name(a)), text_arg(kind),
			  jsonb_arg(evidence));
}

/* significant_arg: the comparisons that this look found beyond their boundaries. */
static query_arg
significant_arg(const test_analysis *a)
{
	int cells = a->plan.metrics * a->plan.arms;
	Datum *found = palloc(sizeof(Datum) * (cells + 1));
	int n = 0;

	for (int i = 0; i < cells; i++)
		if (a->estimates[i].significant)
			found[n++] = Int32GetDatum(i);
	return datum_arg(PointerGetDatum(construct_array(found, n, INT4OID, 4, true, TYPALIGN_INT)), false);
}

/* kept_arg: what the next look goes on from. */
static query_arg
kept_arg(const sequential_state *kept)
{
	Datum *number = palloc(sizeof(Datum) * (kept->count + 1));

	if (kept->count == 0)
		return null_arg();
	for (size_t i = 0; i < kept->count; i++)
		number[i] = Float8GetDatum(kept->number[i]);
	return datum_arg(PointerGetDatum(construct_array(number, (int) kept->count, FLOAT8OID, sizeof(float8),
													 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
					 false);
}

void
analysis_record(test_analysis *a, bool end)
{
	/* The list of looks first: above READ COMMITTED whoever comes second fails here, as one should. */
	static query progress = QUERY(
		"INSERT INTO model_mgr.ab_test_progress AS p (test_no, information, status, winner, metric, boundary_p_value,"
		" conditional_power, significant, boundaries) VALUES ($1, ARRAY[$2], $3, $4, $5, $6, $7, $8, $9)"
		" ON CONFLICT (test_no) DO UPDATE SET information = p.information || $2, status = $3, winner = $4, metric = $5,"
		" boundary_p_value = $6, conditional_power = $7, significant = $8, boundaries = $9",
		INT8OID, FLOAT8OID, TEXTOID, INT4OID, INT4OID, FLOAT8OID, FLOAT8OID, INT4ARRAYOID, FLOAT8ARRAYOID);
	experiment_result *r = &a->result;
	Jsonb *evidence = analysis_evidence(a, NULL);

	if (end && r->decision.status == EXPERIMENT_RUNNING)
		r->decision = (experiment_decision){.status = EXPERIMENT_INCONCLUSIVE, .winner = EXPERIMENT_NO_ARM};
	if (r->look)
	{
		bool standing = stands(&r->decision);

		query_run(&progress, int64_arg(a->e->test_no), float8_arg(r->information),
				  text_arg(standing ? experiment_status_name(r->decision.status) : NULL),
				  standing ? int32_arg(r->decision.winner) : null_arg(),
				  standing ? int32_arg(r->decision.metric) : null_arg(), number_arg(r->boundary_p_value),
				  number_arg(r->conditional_power), standing ? significant_arg(a) : null_arg(), kept_arg(&r->kept));
	}
	write_look(a, end ? "end" : "look", evidence);
}

int64
analysis_seed(const experiment *e)
{
	return e->test_no * 100000 + e->epoch_count;
}

bool
analysis_move_shares(const test_analysis *a)
{
	const double *now = a->e->epochs[a->e->epoch_count - 1].shares;
	double *shares = palloc0(sizeof(double) * a->plan.arms);
	bool moved = false;

	experiment_thompson(&a->plan, &a->data, (uint64_t) analysis_seed(a->e), shares, &statistics_caller);
	/* An epoch that differs in nothing is one too many. */
	for (int arm = 0; arm < a->plan.arms; arm++)
		moved |= fabs(shares[arm] - now[arm]) >= LEAST_MOVE;
	if (!moved)
		return false;
	write_look(a, "shares", analysis_evidence(a, shares));
	assignment_set_shares(a->e->test_no, shares);
	return true;
}

void
analysis_tell_mismatch(test_analysis *a)
{
	static query note = QUERY("INSERT INTO model_mgr.ab_test_progress AS p (test_no, information, mismatch_at)"
							  " VALUES ($1, '{}', $2) ON CONFLICT (test_no) DO UPDATE SET mismatch_at = $2",
							  INT8OID, TIMESTAMPTZOID);
	const experiment *e = a->e;
	int64 control = 0;
	int64 others = 0;

	if (!a->result.sample_ratio_mismatch || a->mismatch_told)
		return;
	for (int epoch = 0; epoch < e->epoch_count; epoch++)
		for (int arm = 0; arm < e->arm_count; arm++)
			*(arm == EXPERIMENT_CONTROL_ARM ? &control : &others) += e->epochs[epoch].units[arm];
	query_run(&note, int64_arg(e->test_no), time_arg(a->now));
	a->mismatch_told = true;
	event_append("test.sample_ratio_mismatch", e->arms[1].model_name, e->arms[1].version, e->deployment_id,
				 json_build(json_text_pair("test_id", e->test_id),
							json_number_pair("sample_ratio_p_value", a->result.sample_ratio_p_value),
							json_integer_pair("units_control", control), json_integer_pair("units_other", others),
							json_text_pair("recommendation", analysis_recommendation(a))));
}

void
analysis_store(const test_analysis *a, const char *words)
{
	static query store = QUERY(
		"INSERT INTO model_mgr.ab_test_result AS r (test_id, status, p_value, effect_size, relative_lift, ci_low, ci_high,"
		" anytime_ci_low, anytime_ci_high, statistical_significance, practical_significance, winning_variant,"
		" recommendation, samples_control, samples_treatment, information_fraction, boundary_p_value,"
		" sample_ratio_p_value, conditional_power, analyzed_at, deciding_metric, planned_samples)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"
		" ON CONFLICT (test_id) DO UPDATE SET (status, p_value, effect_size, relative_lift, ci_low, ci_high,"
		" anytime_ci_low, anytime_ci_high, statistical_significance, practical_significance, winning_variant,"
		" recommendation, samples_control, samples_treatment, information_fraction, boundary_p_value,"
		" sample_ratio_p_value, conditional_power, analyzed_at, deciding_metric, planned_samples) ="
		" ROW (EXCLUDED.status, EXCLUDED.p_value, EXCLUDED.effect_size, EXCLUDED.relative_lift, EXCLUDED.ci_low,"
		" EXCLUDED.ci_high, EXCLUDED.anytime_ci_low, EXCLUDED.anytime_ci_high, EXCLUDED.statistical_significance,"
		" EXCLUDED.practical_significance, EXCLUDED.winning_variant, EXCLUDED.recommendation, EXCLUDED.samples_control,"
		" EXCLUDED.samples_treatment, EXCLUDED.information_fraction, EXCLUDED.boundary_p_value,"
		" EXCLUDED.sample_ratio_p_value, EXCLUDED.conditional_power, EXCLUDED.analyzed_at, EXCLUDED.deciding_metric,"
		" EXCLUDED.planned_samples) RETURNING r",
		TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, BOOLOID, BOOLOID,
		TEXTOID, TEXTOID, INT8OID, INT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID, TEXTOID,
		INT8OID);
	const experiment *e = a->e;
	const experiment_result *r = &a->result;
	const experiment_estimate *best = analysis_leading(a);

	query_run(&store, text_arg(e->test_id), text_arg(experiment_status_name(r->decision.status)),
			  number_arg(best->p_value), number_arg(best->difference), number_arg(best->relative_lift),
			  number_arg(best->ci_low), number_arg(best->ci_high), number_arg(best->anytime_ci_low),
			  number_arg(best->anytime_ci_high), bool_arg(analysis_significant(a)), bool_arg(r->practical),
			  text_arg(winner_name(a)), text_arg(words ? words : analysis_recommendation(a)),
			  int64_arg(best->samples_control), int64_arg(best->samples_variant), float8_arg(r->information),
			  number_arg(a->boundary_p_value), number_arg(r->sample_ratio_p_value), number_arg(a->conditional_power),
			  time_arg(a->now), text_arg(e->metrics[r->decision.metric].name), int64_arg(e->planned_samples));
}

void
experiment_unknown(const char *test_id)
{
	ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("test \"%s\" does not exist", test_id),
			errdetail("No test has this id."), errhint("See model_mgr.ab_test_list, or create it: create_test()."));
}

MM_FUNCTION(mm_analyze_test);

/* mm_analyze_test(test_id text): a look. */
Datum
mm_analyze_test(PG_FUNCTION_ARGS)
{
	static query final = QUERY("SELECT r FROM model_mgr.ab_test_result r WHERE r.test_id = $1", TEXTOID);
	char *test_id = mm_text_arg(fcinfo, 0, "test_id", true);
	experiment e;
	test_analysis a;
	Datum row;
	mm_scope scope = mm_enter();

	if (!analysis_lock(test_id, true) || !experiment_load(test_id, &e))
		experiment_unknown(test_id);
	experiment_check_grant(&e);
	if (experiment_is_running(&e) || query_run(&final, text_arg(test_id)) == 0)
	{
		analysis_read(&e, 1, &a);
		if (experiment_is_running(&e))
		{
			analysis_look(&a);
			if (a.result.look)
				analysis_record(&a, false);
			analysis_tell_mismatch(&a);
		}
		else
			analysis_show(&a);
		analysis_store(&a, NULL);
	}
	row = query_result_row();
	mm_leave(scope);
	PG_RETURN_DATUM(row);
}
