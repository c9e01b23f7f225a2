/*
 * experiment_fixture.h: a test in memory: a plan that can be changed, and sums that outcomes are added to.
 */
#ifndef EXPERIMENT_FIXTURE_H
#define EXPERIMENT_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "core/experiment.h"

#define MAX_EPOCHS 64
#define MAX_ARMS 6
#define MAX_METRICS 8
#define MAX_LOOKS 220
#define MAX_KEPT 8192

static const sequential_caller caller = {malloc, free, NULL};

typedef struct fixture
{
	experiment_plan plan;
	experiment_data data;
	experiment_past past;
	experiment_metric metric[MAX_METRICS];
	double share[MAX_EPOCHS * MAX_ARMS];
	experiment_moments moments[MAX_EPOCHS * MAX_ARMS * MAX_METRICS];
	int64_t units[MAX_EPOCHS * MAX_ARMS];
	experiment_quantile quantile[MAX_ARMS * MAX_METRICS];
	experiment_estimate estimates[MAX_METRICS * MAX_ARMS];
	double information[MAX_LOOKS];
	experiment_decision standing;
	double kept[MAX_KEPT];
} fixture;

/* fixture_init: equal shares, a rate as the primary and means as secondaries, nothing recorded. */
static inline void
fixture_init(fixture *f, int arms, int metrics)
{
	memset(f, 0, sizeof(*f));
	f->plan = (experiment_plan){.confidence_level = 0.95,
								.minimum_detectable_effect = 0.02,
								.power = 0.8,
								.futility_threshold = 0.01,
								.min_samples = 2,
								.horizon = 1000,
								.early_stopping = true,
								.spending = SEQUENTIAL_OBRIEN_FLEMING,
								.arms = arms,
								.metrics = metrics,
								.epochs = 1,
								.metric = f->metric,
								.share = f->share};
	for (int i = 0; i < metrics; i++)
		f->metric[i] = (experiment_metric){.role = i == 0 ? EXPERIMENT_PRIMARY : EXPERIMENT_SECONDARY,
										   .form = i == 0 ? EXPERIMENT_RATE : EXPERIMENT_MEAN,
										   .direction = 1,
										   .bounds = experiment_no_bounds};
	for (int i = 0; i < MAX_EPOCHS * arms; i++)
		f->share[i] = 1.0 / arms;
	f->data = (experiment_data){f->moments, f->units, f->quantile};
	f->past.information = f->information;
}

/* fixture_cell: the sums of an epoch, arm and metric. */
static inline experiment_moments *
fixture_cell(fixture *f, int epoch, int arm, int metric)
{
	return &f->moments[(epoch * f->plan.arms + arm) * f->plan.metrics + metric];
}

/* fixture_add: an outcome that is a unit of its own. */
static inline void
fixture_add(fixture *f, int epoch, int arm, int metric, double value)
{
	double v[EXPERIMENT_SUMS] = {1, value - f->metric[metric].anchor, 0, 0};

	experiment_moments_change(fixture_cell(f, epoch, arm, metric), NULL, v);
	if (metric == 0)
		f->units[epoch * f->plan.arms + arm]++;
}

/* fixture_rate: so many outcomes of a rate at once. */
static inline void
fixture_rate(fixture *f, int arm, int metric, double successes, double outcomes)
{
	experiment_moments *m = fixture_cell(f, 0, arm, metric);

	m->units += outcomes;
	m->sum[0] += outcomes;
	m->sum[1] += successes;
	m->product[0] += outcomes;
	m->product[1] += successes;
	m->product[4] += successes;
	if (metric == 0)
		f->units[arm] += (int64_t) outcomes;
}

/* fixture_look: a look; what it records and decides is there at the next. */
static inline experiment_result
fixture_look(fixture *f, bool end)
{
	experiment_result r;

	f->past.end = end;
	r = experiment_look(&f->plan, &f->data, &f->past, f->estimates, &caller);
	if (r.look)
	{
		f->past.kept = (sequential_state){r.kept.count <= MAX_KEPT ? r.kept.count : 0, f->kept};
		if (f->past.kept.count > 0)
			memcpy(f->kept, r.kept.number, sizeof(double) * r.kept.count);
		free(r.kept.number);
		f->information[f->past.looks++] = r.information;
		if (r.decision.status != EXPERIMENT_RUNNING)
		{
			f->standing = r.decision;
			f->past.standing = &f->standing;
		}
	}
	return r;
}

/* fixture_estimate: of a metric and arm, as the last look or fixture_estimates left it. */
static inline experiment_estimate *
fixture_estimate(fixture *f, int metric, int arm)
{
	return &f->estimates[metric * f->plan.arms + arm];
}

static inline void
fixture_estimates(fixture *f)
{
	experiment_estimates(&f->plan, &f->data, f->estimates, &caller);
}

#endif
