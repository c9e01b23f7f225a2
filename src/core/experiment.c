/*
 * experiment.c: what is decided at a look. Every comparison with control spends its part of the error probability over
 * the looks (Lan and DeMets 1983) by the test's information; over comparisons the parts are divided by Holm's
 * procedure, which holds for group sequential tests too: Maurer and Bretz, Multiple Testing in Group Sequential Trials
 * Using Graphical Approaches, Statistics in Biopharmaceutical Research 5 (2013).
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>

#include "core/distribution.h"

/* Looks nearer to each other than this count as so far apart: less correlation assumed than there is is safe. */
#define NEAREST 0.001

const char *
experiment_status_name(experiment_status status)
{
	switch (status)
	{
		case EXPERIMENT_NO_DATA:
			return "no_data";
		case EXPERIMENT_RUNNING:
			return "running";
		case EXPERIMENT_STOPPED_EARLY:
			return "stopped_early";
		case EXPERIMENT_SIGNIFICANT:
			return "significant";
		case EXPERIMENT_FUTILE:
			return "futile";
		case EXPERIMENT_INCONCLUSIVE:
			return "inconclusive";
		case EXPERIMENT_SAMPLE_RATIO_MISMATCH:
			return "sample_ratio_mismatch";
	}
	return "no_data";
}

/* Everything a look goes by. */
typedef struct look
{
	const experiment_plan *plan;
	const experiment_past *past;
	const sequential_caller *caller;
	experiment_estimate *estimates;
	experiment_result *result;
	double *fraction; /* of the looks so far, this one, and 1 */
	double *spent;
	double *z;
	int looks; /* with this one */
} look;

/* cell: the estimate of a metric and arm. */
static experiment_estimate *
cell(const look *l, int metric, int arm)
{
	return &l->estimates[metric * l->plan->arms + arm];
}

/* worth: an estimated difference, positive where the variant is better. */
static double
worth(const look *l, int metric, int arm)
{
	double difference = cell(l, metric, arm)->difference;

	return l->plan->metric[metric].direction < 0 ? -difference : difference;
}

/* What a comparison has to reach: the same as a deviate and as a two-sided p-value. */
typedef struct limit
{
	double z;
	double p;
} limit;

/* go_on: the boundaries of this look and of those after it, from where the look before has left them. */
static void
go_on(look *l, double level, int n)
{
	bool end = l->result->end;
	sequential_state *kept = &l->result->kept;
	sequential_state before = experiment_kept_find(kept, level);
	sequential_state left = sequential_continue(l->fraction, n, end ? 0 : l->looks, level / 2, l->plan->spending,
												end || n > l->looks, &before, l->z, l->caller);
	sequential_state next = experiment_kept_with(kept, level, &left, l->caller);

	if (left.count > 0)
		l->caller->release(left.number);
	l->caller->release(kept->number);
	*kept = next;
}

/*
 * boundary: of this look for one comparison at this two-sided level; *final is the z of a look at the whole information
 * with none in between, when asked for. What a first look may spend is its p-value itself: no rounding by way of z.
 */
static limit
boundary(look *l, double level, double *final)
{
	bool end = l->result->end;
	int n = l->looks + (final != NULL && !end);
	double first;
	double z;

	if (!l->plan->early_stopping)
		return (limit){-distribution_normal_quantile(level / 2), level};
	if (l->past->solve != NULL)
	{
		for (int k = 0; k < n; k++)
			l->spent[k] = sequential_spent(l->fraction[k], level / 2, l->plan->spending);
		if (end || n > l->looks)
			l->spent[n - 1] = level / 2;
		l->past->solve(l->fraction, l->spent, n, l->z, l->caller);
	}
	else
		go_on(l, level, n);
	if (final != NULL)
		*final = l->z[n - 1];
	z = l->z[l->looks - 1];
	first = end ? level : 2 * sequential_spent(l->fraction[0], level / 2, l->plan->spending);
	return (limit){z, l->looks == 1 && isfinite(z) ? first : distribution_normal_two_sided(z)};
}

/* comparisons: of a family. */
static int
comparisons(const experiment_plan *plan, experiment_role role)
{
	int n = 0;

	for (int metric = 0; metric < plan->metrics; metric++)
		n += plan->metric[metric].role == role ? plan->arms - 1 : 0;
	return n;
}

/*
 * holm: marks what is significant in a family, by Holm's steps: the least p-value against the whole level divided by
 * all comparisons, the next by one fewer, and so on. Gives the first step's boundary; of secondary metrics only where a
 * p-value is near it, else NaN.
 */
static limit
holm(look *l, experiment_role role, double *final)
{
	const experiment_plan *plan = l->plan;
	double level = experiment_level(plan, role);
	limit first = {NAN, NAN};
	limit here = {NAN, NAN};

	for (int open = comparisons(plan, role); open > 0; open--)
	{
		experiment_estimate *least = NULL;
		bool near;

		for (int metric = 0; metric < plan->metrics; metric++)
			for (int arm = 1; arm < plan->arms; arm++)
			{
				experiment_estimate *e = cell(l, metric, arm);

				if (plan->metric[metric].role == role && !e->significant && !isnan(e->p_value) &&
					(least == NULL || e->p_value < least->p_value))
					least = e;
			}
		/* No look may spend more than the level: what is beyond that needs no boundary, unless somebody wants to know.
		 */
		near = least != NULL && least->p_value <= level / open;
		if (near || (role == EXPERIMENT_PRIMARY && isnan(first.z)))
			here = boundary(l, level / open, isnan(first.z) ? final : NULL);
		if (isnan(first.z))
			first = here;
		if (!near || !(least->p_value <= here.p))
			break;
		least->significant = true;
	}
	return first;
}

/*
 * conditional_power: probability that a comparison crosses the boundary at the whole information when its effect is the
 * one estimated now.
 */
static double
conditional_power(const experiment_estimate *e, double t, double final)
{
	double trend;
	double left;

	if (e->p_value <= 0)
		return 1;
	trend = -distribution_normal_quantile(e->p_value / 2) / sqrt(t); /* B(t) / t */
	left = sqrt(1 - t);
	return distribution_normal_cdf((trend - final) / left) + distribution_normal_cdf((-trend - final) / left);
}

/* single_look: the boundary of a role's first comparison if nobody looked before the end. */
static double
single_look(const experiment_plan *plan, experiment_role role)
{
	return -distribution_normal_quantile(experiment_level(plan, role) / comparisons(plan, role) / 2);
}

/*
 * most_promising: the largest conditional power of a role's comparisons; final: the boundary of the primary's at the
 * whole information. That of the secondaries is as much beyond the one of a single look as the primary's is: next to
 * the solution, and nothing depends on it but when hope is given up. What is not known of the primary cannot be given
 * up for; a secondary metric that nobody records has no hope.
 */
static double
most_promising(const look *l, experiment_role role, double t, double final)
{
	const experiment_plan *plan = l->plan;
	double most = 0;

	if (role == EXPERIMENT_SECONDARY && experiment_secondaries(plan) > 0)
		final *= single_look(plan, role) / single_look(plan, EXPERIMENT_PRIMARY);
	for (int metric = 0; metric < plan->metrics; metric++)
		for (int arm = 1; arm < plan->arms && plan->metric[metric].role == role; arm++)
		{
			const experiment_estimate *e = cell(l, metric, arm);

			if (isnan(e->p_value))
				most = fmax(most, role == EXPERIMENT_PRIMARY);
			else
				most = fmax(most, conditional_power(e, t, final));
		}
	return most;
}

/* effect_limit: minimum_detectable_effect in the unit of a metric. */
static double
effect_limit(const look *l, int metric, int arm)
{
	double effect = l->plan->minimum_detectable_effect;

	return l->plan->metric[metric].form == EXPERIMENT_RATE ? effect : effect * fabs(cell(l, metric, arm)->mean_control);
}

/* not_worse: the primary of an arm (or of control against it) is surely not worse by more than the limit. */
static bool
not_worse(const look *l, int arm, bool control)
{
	const experiment_estimate *e = cell(l, 0, arm);
	bool low = (l->plan->metric[0].direction >= 0) != control;

	return (low ? e->ci_low : -e->ci_high) >= -effect_limit(l, 0, arm);
}

/* primary_verdict: the arm that the primary metric decides for, if any. */
static int
primary_verdict(const look *l)
{
	int best = EXPERIMENT_NO_ARM;
	int worse = 0;

	for (int arm = 1; arm < l->plan->arms; arm++)
	{
		if (!cell(l, 0, arm)->significant)
			continue;
		if (worth(l, 0, arm) < 0)
			worse++;
		else if (best == EXPERIMENT_NO_ARM || worth(l, 0, arm) > worth(l, 0, best))
			best = arm;
	}
	if (best == EXPERIMENT_NO_ARM && worse == l->plan->arms - 1)
		best = EXPERIMENT_CONTROL_ARM;
	return best;
}

/* secondary_verdict: the same for the secondary metrics; *decided is the one with the least p-value. */
static int
secondary_verdict(const look *l, int *decided)
{
	const experiment_plan *plan = l->plan;
	int winner = EXPERIMENT_NO_ARM;
	int worse = 0;
	double winner_p = 2;
	double worse_p = 2;
	int worse_metric = 0;

	for (int arm = 1; arm < plan->arms; arm++)
	{
		double p[2] = {2, 2}; /* least of those that say worse, better */
		int metric[2] = {0, 0};

		for (int m = 0; m < plan->metrics; m++)
		{
			bool better = worth(l, m, arm) > 0;

			if (plan->metric[m].role == EXPERIMENT_SECONDARY && cell(l, m, arm)->significant &&
				cell(l, m, arm)->p_value < p[better])
			{
				p[better] = cell(l, m, arm)->p_value;
				metric[better] = m;
			}
		}
		if (p[1] <= 1 && p[0] > 1 && not_worse(l, arm, false) && p[1] < winner_p)
		{
			winner = arm;
			winner_p = p[1];
			*decided = metric[1];
		}
		if (p[0] <= 1 && p[1] > 1 && not_worse(l, arm, true))
		{
			worse++;
			if (p[0] < worse_p)
			{
				worse_p = p[0];
				worse_metric = metric[0];
			}
		}
	}
	if (winner == EXPERIMENT_NO_ARM && worse == plan->arms - 1)
	{
		winner = EXPERIMENT_CONTROL_ARM;
		*decided = worse_metric;
	}
	return winner;
}

/* judge: the verdict of a look. */
static void
judge(look *l)
{
	const experiment_plan *plan = l->plan;
	experiment_result *r = l->result;
	experiment_decision *d = &r->decision;
	double t = l->fraction[l->looks - 1];
	bool one_more = plan->early_stopping && !r->end;
	double final = NAN;
	bool hopeless = false;
	limit first = holm(l, EXPERIMENT_PRIMARY, one_more ? &final : NULL);

	r->boundary_z = first.z;
	r->boundary_p_value = first.p;
	d->winner = primary_verdict(l);
	if (experiment_secondaries(plan) > 0)
	{
		first = holm(l, EXPERIMENT_SECONDARY, NULL);
		r->secondary_boundary_z = first.z;
		r->secondary_boundary_p_value = first.p;
		if (d->winner == EXPERIMENT_NO_ARM)
			d->winner = secondary_verdict(l, &d->metric);
	}
	if (one_more)
	{
		double primary = most_promising(l, EXPERIMENT_PRIMARY, t, final);
		double secondary = most_promising(l, EXPERIMENT_SECONDARY, t, final);

		r->conditional_power = fmax(primary, secondary);
		hopeless = t >= EXPERIMENT_FUTILITY_FROM && primary < plan->futility_threshold &&
				   secondary < fmax(plan->futility_threshold, EXPERIMENT_SECONDARY_HOPE);
	}
	if (d->winner != EXPERIMENT_NO_ARM)
		d->status = r->end ? EXPERIMENT_SIGNIFICANT : EXPERIMENT_STOPPED_EARLY;
	else if (r->end)
		d->status = EXPERIMENT_INCONCLUSIVE;
	else if (hopeless)
		d->status = EXPERIMENT_FUTILE;
}

/* take_look: the fractions of all looks, apart from each other, and the verdict. */
static void
take_look(look *l)
{
	int most = l->past->looks + 2;
	double last = 0;

	l->fraction = l->caller->allocate(sizeof(double) * 3 * (size_t) most);
	l->spent = l->fraction + most;
	l->z = l->spent + most;
	l->looks = 0;
	for (int k = 0; k <= l->past->looks; k++)
	{
		double t = k < l->past->looks ? l->past->information[k] : l->result->information;

		last = l->fraction[l->looks++] = fmax(t, last + NEAREST);
	}
	l->fraction[l->looks] = fmax(1, last + NEAREST);
	/* Its own, so that every comparison may put its part in the place of the one before. */
	l->result->kept = experiment_kept_with(&l->past->kept, NAN, &(sequential_state){0}, l->caller);
	judge(l);
	if (l->result->kept.count == 0 || l->result->end)
	{
		l->caller->release(l->result->kept.number);
		l->result->kept = (sequential_state){0};
	}
	l->caller->release(l->fraction);
}

/* leading_arm: the winner, or the challenger that is best in a metric. */
static int
leading_arm(const look *l, int winner, int metric)
{
	int best = 1;

	if (winner > EXPERIMENT_CONTROL_ARM)
		return winner;
	for (int arm = 2; arm < l->plan->arms; arm++)
		if (isnan(worth(l, metric, best)) || worth(l, metric, arm) > worth(l, metric, best))
			best = arm;
	return best;
}

experiment_result
experiment_look(const experiment_plan *plan, const experiment_data *data, const experiment_past *past,
				experiment_estimate *estimates, const sequential_caller *caller)
{
	experiment_result r = {.decision = {EXPERIMENT_RUNNING, EXPERIMENT_NO_ARM, 0},
						   .boundary_z = NAN,
						   .boundary_p_value = NAN,
						   .secondary_boundary_z = NAN,
						   .secondary_boundary_p_value = NAN,
						   .conditional_power = NAN};
	look l = {.plan = plan, .past = past, .caller = caller, .estimates = estimates, .result = &r};
	experiment_estimate *leader;
	double last = past->looks > 0 ? past->information[past->looks - 1] : 0;
	int64_t least = INT64_MAX;
	int64_t most = 0;

	experiment_estimates(plan, data, estimates, caller);
	r.sample_ratio_p_value = experiment_sample_ratio(plan, data->units, &r.sample_ratio_mismatch);
	r.information = fmax(experiment_information(plan, data), last);
	r.end = past->end || r.information >= 1;
	for (int arm = 0; arm < plan->arms; arm++)
	{
		int64_t samples = experiment_samples(plan, data, 0, arm);

		least = samples < least ? samples : least;
		most = samples > most ? samples : most;
	}
	r.enough = least > 0 && (r.end || (double) least >= plan->min_samples);
	r.guardrail = experiment_guard(plan, data);

	if (r.guardrail.metric != EXPERIMENT_NO_METRIC)
		r.decision = (experiment_decision){EXPERIMENT_STOPPED_EARLY, EXPERIMENT_CONTROL_ARM, r.guardrail.metric};
	else if (r.sample_ratio_mismatch)
		r.decision.status = EXPERIMENT_SAMPLE_RATIO_MISMATCH;
	else if (past->standing != NULL)
	{
		r.decision = *past->standing;
		if (r.decision.winner > EXPERIMENT_CONTROL_ARM)
			cell(&l, r.decision.metric, r.decision.winner)->significant = true;
	}
	else if (most == 0)
		r.decision.status = EXPERIMENT_NO_DATA;
	else if (r.enough && last < 1 &&
			 (r.end || (plan->early_stopping && r.information - last >= EXPERIMENT_LOOK_STEP * (1 - 1e-9))))
	{
		r.look = true;
		take_look(&l);
	}
	else if (r.end)
		r.decision.status = EXPERIMENT_INCONCLUSIVE;

	r.leading = r.guardrail.metric != EXPERIMENT_NO_METRIC ? r.guardrail.arm
														   : leading_arm(&l, r.decision.winner, r.decision.metric);
	leader = cell(&l, r.decision.metric, r.leading);
	r.practical = fabs(leader->difference) >= effect_limit(&l, r.decision.metric, r.leading);
	return r;
}
