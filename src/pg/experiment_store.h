/*
 * experiment_store.h: what the files experiment*.c share: a test in memory, its design, and what is known of its arms.
 * Between mm_enter and mm_leave; everything lives in the caller's SPI context.
 */
#ifndef MM_EXPERIMENT_STORE_H
#define MM_EXPERIMENT_STORE_H

#include "pg/mm.h"

#include "core/experiment.h"
#include "core/metric.h"
#include "core/summary.h"

/* Arms, and metrics of one test, at most. */
#define TEST_MAX_ARMS 16
#define TEST_MAX_METRICS 32

/* A test's sums are the core's, about each metric's anchor. */
typedef experiment_moments test_moments;

typedef enum test_role
{
	TEST_PRIMARY,
	TEST_SECONDARY,
	TEST_GUARDRAIL /* watched, decides nothing */
} test_role;

typedef struct test_metric
{
	char *name; /* as the caller wrote it */
	metric parsed;
	test_role role;
	int direction; /* 1: higher is better, -1: lower */
	double anchor; /* sums count from here; 0 while there is no value, and for rates */
} test_metric;

/* test_metric_is_rate: effects on it are absolute; on others they are relative to control's mean. */
static inline bool
test_metric_is_rate(const test_metric *m)
{
	return m->parsed.form == METRIC_SUCCESS_RATE || m->parsed.form == METRIC_ERROR_RATE;
}

/* test_metric_form: as the core takes it. */
static inline experiment_form
test_metric_form(const test_metric *m)
{
	return m->parsed.form == METRIC_QUANTILE ? EXPERIMENT_QUANTILE
		   : test_metric_is_rate(m)          ? EXPERIMENT_RATE
											 : EXPERIMENT_MEAN;
}

/* A metric may not become worse than control's by more than the limit; one of these for each limit of the list. */
typedef struct test_guardrail
{
	int metric; /* its number */
	double limit;
	bool relative; /* to control's mean */
	int side;      /* 1: it may not increase so much, -1: decrease */
} test_guardrail;

typedef struct test_arm
{
	int arm; /* its index: 0 control, 1 treatment */
	char *variant;
	char *model_name;
	char *version;
	int64 version_id; /* 0: not in the registry */

	/* Filled by experiment_read. */
	int64 units;            /* seen at all */
	summary *response_time; /* of all requests, where a metric is a quantile; else NULL */
} test_arm;

/* Shares from a time on; units belong to the epoch that they came in. */
typedef struct test_epoch
{
	TimestampTz from_at;
	double *shares; /* by arm; their sum is 1 */

	/* Filled by experiment_read. */
	int64 *units;           /* by arm: seen at all */
	test_moments **moments; /* [arm][metric], about the metric's anchor */
} test_epoch;

/* One test: the row of ab_test, its plan, and what was read of it. */
typedef struct experiment
{
	int64 test_no;
	char *test_id;
	char *name;
	char *status;
	char *stop_reason;     /* NULL: none */
	char *winning_variant; /* NULL: none */
	char *primary_metric;
	char *stopping_rule;
	char *allocation;
	char *exclusion_group; /* NULL: none */
	char *created_by;
	double confidence_level;
	double minimum_detectable_effect;
	double power;
	double futility_threshold;
	double traffic_split;
	double coverage;
	int32 max_duration_hours;
	int32 min_sample_size_per_variant;
	bool early_stopping_enabled;
	bool routes_traffic;
	int guardrail_count;
	test_guardrail *guardrails;
	int64 planned_samples;
	double horizon; /* samples at which information is 1 */
	TimestampTz started_at;
	TimestampTz ends_at;
	TimestampTz stopped_at; /* 0: runs */
	int64 model_id;         /* the control's; 0: not in the registry */
	int64 deployment_id;    /* 0: not a rollout's */
	bool covariates;        /* what units did before is complete: third and fourth of the moments count */
	int metric_count;
	test_metric *metrics; /* 0: the primary */
	int arm_count;
	test_arm *arms;
	int epoch_count;
	test_epoch *epochs; /* 0: epoch 1 */
} experiment;

/* experiment_load: false when there is no such test. */
extern bool experiment_load(const char *test_id, experiment *out);
/* experiment_load_many: all tests, or those that run, by test_id; returns how many. */
extern int experiment_load_many(bool running, experiment **out);
/* experiment_check_grant: 42501 for a caller who is confined to other models than the test's. */
extern void experiment_check_grant(const experiment *e);
/* experiment_is_running: by its status. */
extern bool experiment_is_running(const experiment *e);
/* experiment_covariates_begin: what units did before a test that begins in this transaction, where that is quickly
 * read. */
extern void experiment_covariates_begin(int64 test_no, TimestampTz started_at);
/* experiment_covariates_advance: the rest, piece by piece up to the deadline; returns pieces. Called by the tick. */
extern int64 experiment_covariates_advance(TimestampTz deadline);

/* experiment_forget_model: deletes the tests whose control is a version of this model, which is being deleted. */
extern void experiment_forget_model(int64 model_id);

/*
 * experiment_read: fills units, moments and sketches of n tests in one statement: running sums and the rows not folded
 * yet, own rows of this transaction included. Outcomes of requests routed before a test began or after its end do not
 * count, whenever they come.
 */
extern void experiment_read(experiment *e, int n);

#endif
