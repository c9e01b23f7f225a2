/*
 * experiment_moments.c: the running sums of a test.
 */
#include "core/experiment.h"

/* add: the sums and products of one vector, `times` 1 or -1. */
static void
add(experiment_moments *m, const double *v, double times)
{
	int k = 0;

	for (int i = 0; i < EXPERIMENT_SUMS; i++)
	{
		m->sum[i] += times * v[i];
		for (int j = i; j < EXPERIMENT_SUMS; j++)
			m->product[k++] += times * (v[i] * v[j]);
	}
}

void
experiment_moments_change(experiment_moments *m, const double *old_v, const double *new_v)
{
	if (old_v != NULL)
		add(m, old_v, -1);
	else
		m->units++;
	add(m, new_v, 1);
}

void
experiment_moments_merge(experiment_moments *a, const experiment_moments *b)
{
	a->units += b->units;
	for (int i = 0; i < EXPERIMENT_SUMS; i++)
		a->sum[i] += b->sum[i];
	for (int i = 0; i < EXPERIMENT_PRODUCTS; i++)
		a->product[i] += b->product[i];
}
