/*
 * experiment_design.h: the arguments of create_test(), from a call or from the `test` key of a rollout, checked.
 * Touches no table.
 */
#ifndef MM_EXPERIMENT_DESIGN_H
#define MM_EXPERIMENT_DESIGN_H

#include "pg/experiment_store.h"

typedef struct test_design
{
	const char *test_id;
	const char *name;
	const char *control_model;
	const char *control_version;
	const char *treatment_model;
	const char *treatment_version;
	const char *description; /* NULL: none */
	double confidence_level;
	double minimum_detectable_effect;
	double power;
	int32 max_duration_hours;
	int32 min_sample_size_per_variant;
	const char *primary_metric;
	int secondary_count;
	const char **secondary_metrics;
	bool early_stopping_enabled;
	double futility_threshold;
	double traffic_split;
	const char *stopping_rule;
	Jsonb *metric_directions;
	bool routes_traffic;
	double coverage;
	Jsonb *guardrails;
	Jsonb *arms;
	const char *exclusion_group; /* NULL: none */
	const char *allocation;

	/* What follows from these; experiment_design_check finds it. */
	int metric_count;
	test_metric metric[TEST_MAX_METRICS]; /* the primary, the secondaries, what only guardrails name */
	int arm_count;
	test_arm arm[TEST_MAX_ARMS]; /* models and versions as they were given */
	double share[TEST_MAX_ARMS];
} test_design;

/* experiment_design_begin: every argument that has a default has it: the settings' where there is one. */
extern void experiment_design_begin(test_design *d);
/* experiment_design_keys: takes the arguments that a rollout's `test` object gives; 22P02 for a wrong JSON type. */
extern void experiment_design_keys(test_design *d, const Jsonb *test);
/* experiment_design_check: names, ranges, words and what fits together: 42602, 42622, 42939, 22003, 22004, 22023,
 * 22P02. */
extern void experiment_design_check(test_design *d);
/* experiment_design_notices: of a checked design: what was assumed, and what is surely not meant. */
extern void experiment_design_notices(const test_design *d);

/*
 * experiment_create.c: experiment_create: begins a checked test now and returns true; false when a test of this id and
 * design is there already (42710 of another design). Aliases are resolved in *d. deployment_id: of an a_b_test rollout,
 * whose routing is its own business, or 0.
 */
extern bool experiment_create(test_design *d, const char *created_by, int64 deployment_id);

/* experiment_guardrails: a checked list of guardrails, by their metrics' numbers in m; returns how many. */
extern int experiment_guardrails(const Jsonb *list, const test_metric *m, int metrics, test_guardrail **out);

#endif
