/*
 * experiment_store.c: tests read from their tables: design, arms, metrics and shares.
 */
#include "pg/experiment_store.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "pg/experiment.h"
#include "pg/experiment_design.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"

/* One row a test; what there are several of comes in arrays. */
#define TEST_COLUMNS                                                                                                   \
	"SELECT p.test_no, t.test_id, t.name, t.status, t.stop_reason, t.winning_variant, t.primary_metric,"               \
	" t.stopping_rule, t.allocation, t.exclusion_group, t.created_by, t.confidence_level,"                             \
	" t.minimum_detectable_effect, t.power, t.futility_threshold, t.traffic_split, t.coverage,"                        \
	" t.max_duration_hours, t.min_sample_size_per_variant, t.early_stopping_enabled, t.routes_traffic, t.guardrails,"  \
	" t.planned_samples, coalesce(p.horizon, t.planned_samples), t.started_at, t.ends_at, t.stopped_at, p.model_id,"   \
	" p.deployment_id, p.covariates = 'complete', p.metrics, p.roles, p.directions, n.anchors, a.variants,"            \
	" a.model_names, a.versions, a.version_ids, s.from_ats, s.shares"                                                  \
	" FROM model_mgr.ab_test t JOIN model_mgr.ab_test_plan p ON p.test_id = t.test_id"                                 \
	" LEFT JOIN model_mgr.ab_test_anchor n ON n.test_no = p.test_no,"                                                  \
	" LATERAL (SELECT pg_catalog.array_agg(a.variant ORDER BY a.arm) AS variants,"                                     \
	"  pg_catalog.array_agg(a.model_name ORDER BY a.arm) AS model_names,"                                              \
	"  pg_catalog.array_agg(a.version ORDER BY a.arm) AS versions,"                                                    \
	"  pg_catalog.array_agg(coalesce(a.version_id, 0) ORDER BY a.arm) AS version_ids"                                  \
	"  FROM model_mgr.ab_test_arm a WHERE a.test_no = p.test_no) a,"                                                   \
	" LATERAL (SELECT pg_catalog.array_agg(s.from_at ORDER BY s.epoch) AS from_ats,"                                   \
	"  pg_catalog.array_agg(s.shares ORDER BY s.epoch) AS shares"                                                      \
	"  FROM model_mgr.ab_test_share s WHERE s.test_no = p.test_no) s"

/* take_array: the elements of an array column that has no NULLs; *n: how many. */
static Datum *
take_array(uint64 row, int column, Oid type, int *n)
{
	bool isnull;
	Datum value = query_datum(row, column, &isnull);
	Datum *elements = NULL;

	*n = 0;
	if (isnull)
		return NULL;
	if (type == TEXTOID)
		deconstruct_array(DatumGetArrayTypePCopy(value), type, -1, false, TYPALIGN_INT, &elements, NULL, n);
	else if (type == INT2OID)
		deconstruct_array(DatumGetArrayTypePCopy(value), type, 2, true, TYPALIGN_SHORT, &elements, NULL, n);
	else
		deconstruct_array(DatumGetArrayTypePCopy(value), type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL, n);
	return elements;
}

/* take_metrics: columns metrics, roles, directions, anchors. */
static void
take_metrics(uint64 row, int column, experiment *out)
{
	int roles;
	int directions;
	int anchors;
	Datum *name = take_array(row, column, TEXTOID, &out->metric_count);
	Datum *role = take_array(row, column + 1, TEXTOID, &roles);
	Datum *direction = take_array(row, column + 2, INT2OID, &directions);
	Datum *anchor = take_array(row, column + 3, FLOAT8OID, &anchors);

	Assert(roles == out->metric_count && directions == out->metric_count);
	out->metrics = palloc0(sizeof(test_metric) * Max(out->metric_count, 1));
	for (int i = 0; i < out->metric_count; i++)
	{
		test_metric *m = &out->metrics[i];
		char *word = TextDatumGetCString(role[i]);
		double from = i < anchors ? DatumGetFloat8(anchor[i]) : NAN;

		m->name = TextDatumGetCString(name[i]);
		m->parsed = metric_parse(m->name);
		m->role = strcmp(word, "primary") == 0     ? TEST_PRIMARY
				  : strcmp(word, "secondary") == 0 ? TEST_SECONDARY
												   : TEST_GUARDRAIL;
		m->direction = DatumGetInt16(direction[i]);
		m->anchor = isnan(from) ? 0 : from;
	}
}

/* take_arms: columns variants, model_names, versions, version_ids. */
static void
take_arms(uint64 row, int column, experiment *out)
{
	int n;
	Datum *variant = take_array(row, column, TEXTOID, &out->arm_count);
	Datum *model_name = take_array(row, column + 1, TEXTOID, &n);
	Datum *version = take_array(row, column + 2, TEXTOID, &n);
	Datum *version_id = take_array(row, column + 3, INT8OID, &n);

	out->arms = palloc0(sizeof(test_arm) * Max(out->arm_count, 1));
	for (int i = 0; i < out->arm_count; i++)
		out->arms[i] = (test_arm){.arm = i,
								  .variant = TextDatumGetCString(variant[i]),
								  .model_name = TextDatumGetCString(model_name[i]),
								  .version = TextDatumGetCString(version[i]),
								  .version_id = DatumGetInt64(version_id[i])};
}

/* take_epochs: columns from_ats and shares, a matrix of epochs and arms. */
static void
take_epochs(uint64 row, int column, experiment *out)
{
	int shares;
	Datum *from_at = take_array(row, column, TIMESTAMPTZOID, &out->epoch_count);
	Datum *share = take_array(row, column + 1, FLOAT8OID, &shares);

	Assert(shares == out->epoch_count * out->arm_count);
	out->epochs = palloc0(sizeof(test_epoch) * Max(out->epoch_count, 1));
	for (int i = 0; i < out->epoch_count; i++)
	{
		test_epoch *epoch = &out->epochs[i];

		epoch->from_at = DatumGetTimestampTz(from_at[i]);
		epoch->shares = palloc(sizeof(double) * out->arm_count);
		for (int arm = 0; arm < out->arm_count; arm++)
			epoch->shares[arm] = DatumGetFloat8(share[i * out->arm_count + arm]);
		epoch->units = palloc0(sizeof(int64) * out->arm_count);
		epoch->moments = palloc(sizeof(test_moments *) * out->arm_count);
		for (int arm = 0; arm < out->arm_count; arm++)
			epoch->moments[arm] = palloc0(sizeof(test_moments) * Max(out->metric_count, 1));
	}
}

static experiment
take(uint64 row)
{
	experiment e = {.test_no = query_int64(row, 0),
					.test_id = query_text(row, 1),
					.name = query_text(row, 2),
					.status = query_text(row, 3),
					.stop_reason = query_text(row, 4),
					.winning_variant = query_text(row, 5),
					.primary_metric = query_text(row, 6),
					.stopping_rule = query_text(row, 7),
					.allocation = query_text(row, 8),
					.exclusion_group = query_text(row, 9),
					.created_by = query_text(row, 10),
					.confidence_level = query_float8(row, 11),
					.minimum_detectable_effect = query_float8(row, 12),
					.power = query_float8(row, 13),
					.futility_threshold = query_float8(row, 14),
					.traffic_split = query_float8(row, 15),
					.coverage = query_float8(row, 16),
					.max_duration_hours = query_int32(row, 17),
					.min_sample_size_per_variant = query_int32(row, 18),
					.early_stopping_enabled = query_bool(row, 19),
					.routes_traffic = query_bool(row, 20),
					.planned_samples = query_int64(row, 22),
					.horizon = query_float8(row, 23),
					.started_at = query_time(row, 24),
					.ends_at = query_time(row, 25),
					.stopped_at = query_time(row, 26),
					.model_id = query_int64(row, 27),
					.deployment_id = query_int64(row, 28),
					.covariates = query_bool(row, 29)};

	take_metrics(row, 30, &e);
	e.guardrail_count = experiment_guardrails(query_jsonb(row, 21), e.metrics, e.metric_count, &e.guardrails);
	take_arms(row, 34, &e);
	take_epochs(row, 38, &e);
	return e;
}

bool
experiment_load(const char *test_id, experiment *out)
{
	static query find = QUERY(TEST_COLUMNS " WHERE t.test_id = $1", TEXTOID);

	if (query_run(&find, text_arg(test_id)) == 0)
		return false;
	*out = take(0);
	return true;
}

int
experiment_load_many(bool running, experiment **out)
{
	static query all = QUERY(TEST_COLUMNS " ORDER BY t.test_id");
	static query those_running = QUERY(TEST_COLUMNS " WHERE t.status = 'running' ORDER BY t.test_id");
	int n = (int) query_run(running ? &those_running : &all);

	*out = palloc(sizeof(experiment) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*out)[i] = take(i);
	return n;
}

void
experiment_check_grant(const experiment *e)
{
	for (int i = 0; i < e->arm_count; i++)
		registry_check_grant(e->arms[i].model_name);
}

bool
experiment_is_running(const experiment *e)
{
	return strcmp(e->status, "running") == 0;
}

int
experiment_prunable(TimestampTz limit, int64 **test_nos)
{
	static query find =
		QUERY("SELECT p.test_no FROM model_mgr.ab_test t JOIN model_mgr.ab_test_plan p ON p.test_id = t.test_id"
			  " WHERE t.stopped_at <= $1"
			  " AND (EXISTS (SELECT FROM model_mgr.ab_test_unit u WHERE u.test_no = p.test_no)"
			  "  OR EXISTS (SELECT FROM model_mgr.ab_test_covariate c WHERE c.test_no = p.test_no)) ORDER BY 1",
			  TIMESTAMPTZOID);
	int n = (int) query_run(&find, time_arg(limit));

	*test_nos = palloc(sizeof(int64) * (n + 1));
	for (int i = 0; i < n; i++)
		(*test_nos)[i] = query_int64(i, 0);
	return n;
}

int64
experiment_prune(int64 test_no, TimestampTz limit)
{
	/* Folds look up units of tests that outcomes still come for, which these are not: no lock is needed. */
#define OVER                                                                                                           \
	" AND EXISTS (SELECT FROM model_mgr.ab_test t JOIN model_mgr.ab_test_plan p ON p.test_id = t.test_id"              \
	"  WHERE p.test_no = $1 AND t.stopped_at <= $2)"
	static query units =
		QUERY("DELETE FROM model_mgr.ab_test_unit u WHERE u.test_no = $1" OVER, INT8OID, TIMESTAMPTZOID);
	static query covariates =
		QUERY("DELETE FROM model_mgr.ab_test_covariate c WHERE c.test_no = $1" OVER, INT8OID, TIMESTAMPTZOID);

	return (int64) (query_run(&units, int64_arg(test_no), time_arg(limit)) +
					query_run(&covariates, int64_arg(test_no), time_arg(limit)));
}

void
experiment_forget_model(int64 model_id)
{
#define BY_NUMBER(table)                                                                                               \
	QUERY("DELETE FROM model_mgr." table " x USING model_mgr.ab_test_plan p"                                           \
		  " WHERE p.test_no = x.test_no AND p.model_id = $1",                                                          \
		  INT8OID)
#define BY_NAME(table)                                                                                                 \
	QUERY("DELETE FROM model_mgr." table " x USING model_mgr.ab_test_plan p"                                           \
		  " WHERE p.test_id = x.test_id AND p.model_id = $1",                                                          \
		  INT8OID)
	/* The plan goes after what is found by it. */
	static query deletes[] = {BY_NUMBER("ab_test_arm"),
							  BY_NUMBER("ab_test_share"),
							  BY_NUMBER("ab_test_assignment"),
							  BY_NUMBER("ab_test_anchor"),
							  BY_NUMBER("ab_test_unit"),
							  BY_NUMBER("ab_test_covariate"),
							  BY_NUMBER("ab_test_sum"),
							  BY_NUMBER("ab_test_sketch"),
							  BY_NUMBER("ab_test_look"),
							  BY_NUMBER("ab_test_progress"),
							  BY_NAME("ab_test_result"),
							  BY_NAME("ab_test"),
							  QUERY("DELETE FROM model_mgr.ab_test_plan p WHERE p.model_id = $1", INT8OID)};

	/* No fold may wait for this transaction. */
	(void) mm_lock_model(ROLLUP_LOCK, true);
	for (int i = 0; i < lengthof(deletes); i++)
		query_run(&deletes[i], int64_arg(model_id));
}
