/*
 * guard.c: the always-valid guard of rollouts and the sample-ratio check.
 *
 * The e-value of one metric is a likelihood ratio averaged over a grid of effects d and over the step s with which the
 * effect begins, since a candidate that is good at 10 % may break at 50 %:
 *
 *     E = sum over s of 1 / (s (s + 1)) mean over d of  product over steps k >= s of  L_k(theta_k + d) / L_k(theta_k)
 *
 * the mixture sequential probability ratio test (Robbins, Ann. Math. Stat. 41, 1970; for A/B tests Johari, Koomen,
 * Pekelis and Walsh, Operations Research 70, 2022); by Ville's inequality it reaches 1 / level with probability at most
 * level, whenever looked at. Every step has a nuisance parameter, the level that both sides share, and multiplying
 * e-values within steps is what keeps changing shares from convicting the innocent (Simpson's paradox); Turner, Ly and
 * Gruenwald, Generic E-variables for exact sequential k-sample tests (2022), and Turner and Gruenwald, Safe sequential
 * testing and effect estimation in stratified count data (2023).
 *
 * Rates. theta_k are the rates of bad outcomes that fit best on the margin's line, candidate = m + kappa baseline, so
 * the denominator is the largest likelihood of the null hypothesis. The alternative moves both sides away from theta_k
 * in opposite directions, against the information on each: n_c kappa s_c / v_c = n_b s_b / v_b, v = theta (1 - theta).
 * That is the reverse information projection of those papers: for every theta on the line, true or not, E[ratio] <=
 * exp(sum of a_i (p_i - theta_i)) <= 1,  a_c = s_c / v_c, a_b = -s_b / v_b,  as log(1 + x) <= x, also when the true
 * rates p_i drift, as long as both sides saw the same drift on average. Being binomial it is right for rare events (it
 * becomes the split of the events between the sides) where normal approximations fail. What is lost by taking theta_k
 * from the same data is of the order 1 / events, and measured in the unit test.
 *
 * Means. A normal likelihood of the difference of the two means, with unknown variance (Student's form, as in Lindon,
 * Ham, Tingley and Bojinov, Anytime-Valid Linear Models, 2022); for many values the asymptotic confidence sequence of
 * Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021). Response times are skewed, and a small sample of them usually
 * has both a low mean and a low variance. For the candidate that errs on the safe side, for the baseline on the other:
 * so the baseline is taken to vary at least as the candidate does, and each side gets one value more at a distance of
 * its mean from its mean.
 */
#include "core/guard.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

#include "core/distribution.h"

/* Points of the grid of effects, geometric, equally weighted. */
#define EFFECTS 16
/* Rates: from a sixteenth of the margin, not below this, to a half. */
#define RATE_EFFECT_MIN 1e-4
#define RATE_EFFECT_MAX 0.5
/* Means: as fractions of the mean over both sides. */
#define MEAN_EFFECT_MIN 0.01
#define MEAN_EFFECT_MAX 4.0
/* Means of fewer values on a side than this are no evidence yet. */
#define MEAN_VALUES_MIN 10
/* How far an alternative may go towards a rate of 0 or 1: likelihoods of 0 would end a test for good. */
#define ALL_IN 0.95

const guard_margin guard_margins_default[ROLLOUT_METRICS] = {
	[ROLLOUT_SUCCESS_RATE] = {.absolute = 0.01},
	[ROLLOUT_ERROR_RATE] = {.absolute = 0.01},
	[ROLLOUT_RESPONSE_TIME] = {.relative = 0.10},
};

/* The edge of the null hypothesis: candidate = offset + slope * baseline, in rates of bad outcomes or in means. */
typedef struct edge
{
	double offset;
	double slope;
} edge;

static edge
edge_of(rollout_metric metric, guard_margin margin)
{
	/* success_c = success_b (1 - r) - a, in failures: failure_c = a + r + (1 - r) failure_b */
	if (metric == ROLLOUT_SUCCESS_RATE)
		return (edge){margin.absolute + margin.relative, 1 - margin.relative};
	return (edge){margin.absolute, 1 + margin.relative};
}

/* comparable: at 0 and 100 % no lot decides who goes where: the other side is pins, previews and what came late. */
static bool
comparable(const guard_stratum *stratum)
{
	return stratum->share > 0 && stratum->share < 100;
}

/* One side of a metric in a step: n values; sum is of bad outcomes for rates. */
typedef struct sample
{
	double n;
	double sum;
	double mean;
	double m2;
} sample;

static sample
sample_of(rollout_metric metric, const guard_side *side)
{
	sample s = {0};

	switch (metric)
	{
		case ROLLOUT_SUCCESS_RATE:
			s.n = (double) side->known;
			s.sum = (double) (side->known - side->successes);
			break;
		case ROLLOUT_ERROR_RATE:
			s.n = (double) side->requests;
			s.sum = (double) side->errors;
			break;
		case ROLLOUT_RESPONSE_TIME:
			s.n = (double) side->response_time_count;
			s.mean = side->response_time_mean;
			s.m2 = side->response_time_m2;
			return s;
		case ROLLOUT_METRICS:
			break;
	}
	s.mean = s.sum / s.n;
	s.m2 = s.sum * (1 - s.mean);
	return s;
}

/* score: derivative of the log-likelihood of both rates by the baseline's, along the edge; and its own derivative. */
static double
score(double rate, sample b, sample c, edge e, double *slope)
{
	double candidate = e.offset + e.slope * rate;
	double result = 0;

	*slope = 0;
	/* terms without outcomes are left out: they would be 0 / 0 at the ends */
	if (c.sum > 0)
	{
		double term = e.slope / candidate;

		result += c.sum * term;
		*slope -= c.sum * term * term;
	}
	if (c.n > c.sum)
	{
		double term = e.slope / (1 - candidate);

		result -= (c.n - c.sum) * term;
		*slope -= (c.n - c.sum) * term * term;
	}
	if (b.sum > 0)
	{
		result += b.sum / rate;
		*slope -= b.sum / rate / rate;
	}
	if (b.n > b.sum)
	{
		result -= (b.n - b.sum) / (1 - rate);
		*slope -= (b.n - b.sum) / (1 - rate) / (1 - rate);
	}
	return result;
}

/*
 * fit: the baseline's rate with the largest likelihood on the edge. The score falls, and its zero lies between the
 * baseline's own rate and the one that the candidate's rate calls for: Newton's steps, halving where they leave it.
 */
static double
fit(sample b, sample c, edge e)
{
	double most = fmin(1, (1 - e.offset) / e.slope);
	double called_for = fmin(fmax((c.mean - e.offset) / e.slope, 0), most);
	double low = fmin(fmin(b.mean, most), called_for);
	double high = fmax(fmin(b.mean, most), called_for);
	double slope;
	double rate;

	if (!(score(low, b, c, e, &slope) > 0))
		return low;
	if (!(score(high, b, c, e, &slope) < 0))
		return high;
	rate = low + (high - low) / 2;
	for (int i = 0; i < 100; i++)
	{
		double at = score(rate, b, c, e, &slope);
		double next = rate - at / slope;

		if (at > 0)
			low = rate;
		else
			high = rate;
		if (!(next > low && next < high))
			next = low + (high - low) / 2;
		if (fabs(next - rate) <= 1e-13 * rate)
			break;
		rate = next;
	}
	return rate;
}

/* add_rates: adds a step's log-likelihood ratios, one an effect. */
static void
add_rates(double *log_e, const double *effects, sample b, sample c, edge e)
{
	double base = fit(b, c, e);
	double null = e.offset + e.slope * base;
	double v_c = null * (1 - null) / c.n;
	double v_b = base * (1 - base) / b.n;
	double v = v_c + e.slope * e.slope * v_b;

	/* Both rates are at 0 or 1: nothing bad has been seen, or nothing good, and all of an effect is the candidate's. */
	if (!(v > 0))
	{
		v = v_c = 1;
		v_b = 0;
	}
	for (int i = 0; i < EFFECTS; i++)
	{
		double up = effects[i] * v_c / v;
		double down = effects[i] * e.slope * v_b / v;
		double part = 1;

		if (up > ALL_IN * (1 - null))
			part = ALL_IN * (1 - null) / up;
		if (down * part > ALL_IN * base)
			part = ALL_IN * base / down;
		up *= part;
		down *= part;
		if (up > 0)
			log_e[i] += (c.sum > 0 ? c.sum * log1p(up / null) : 0) + (c.n - c.sum) * log1p(-up / (1 - null));
		if (down > 0)
			log_e[i] += b.sum * log1p(-down / base) + (b.n - b.sum) * log1p(down / (1 - base));
	}
}

/* variance_of_mean: with one value more at a distance of the mean, so that few equal values are not taken for a law. */
static double
variance_of_mean(sample s)
{
	return (s.m2 + s.mean * s.mean) / (s.n * s.n);
}

/* add_means: as add_rates, for means. */
static void
add_means(double *log_e, const double *effects, sample b, sample c, edge e)
{
	double v_c;
	double v_b;
	double v;
	double df;
	double scale;
	double excess;
	double null;

	if (b.n < MEAN_VALUES_MIN || c.n < MEAN_VALUES_MIN)
		return;
	v_c = variance_of_mean(c);
	v_b = e.slope * e.slope * variance_of_mean(b);
	v_b += fmax(v_c * (c.n / b.n) - v_b, 0) * (c.n / (b.n + c.n));
	v = v_c + v_b;
	if (!(v > 0) || !isfinite(v))
		return;
	/* Welch and Satterthwaite */
	df = 1 / (v_c / v * (v_c / v) / (c.n - 1) + v_b / v * (v_b / v) / (b.n - 1));
	scale = (b.n * b.mean + c.n * c.mean) / (b.n + c.n);
	excess = c.mean - e.slope * b.mean - e.offset;
	null = log1p(excess / v * excess / df);
	for (int i = 0; i < EFFECTS; i++)
	{
		double rest = excess - effects[i] * scale;

		log_e[i] += (df + 1) / 2 * (null - log1p(rest / v * rest / df));
	}
}

/* log_mean: logarithm of the mean of what these are the logarithms of. */
static double
log_mean(const double *logs, int count)
{
	double top = logs[0];
	double sum = 0;

	for (int i = 1; i < count; i++)
		top = fmax(top, logs[i]);
	if (!isfinite(top))
		return top;
	for (int i = 0; i < count; i++)
		sum += exp(logs[i] - top);
	return top + log(sum / count);
}

/* log_sum: logarithm of the sum of two numbers of which these are the logarithms. */
static double
log_sum(double a, double b)
{
	double more = fmax(a, b);

	return isfinite(more) ? more + log1p(exp(fmin(a, b) - more)) : more;
}

static double
p_of(double log_e)
{
	return log_e > 0 ? exp(-log_e) : 1;
}

/* cells_of: the pairs of a metric that is a rate. */
static const paired_cells *
cells_of(rollout_metric metric, const guard_pairs *pairs)
{
	return metric == ROLLOUT_SUCCESS_RATE ? &pairs->outcomes : &pairs->errors;
}

/* add_step: what one step, or a shadow's pairs, say of each effect; false when they say nothing. */
static bool
add_step(rollout_metric metric, const guard_stratum *stratum, const double *effects, edge e, double *log_e)
{
	bool means = metric == ROLLOUT_RESPONSE_TIME;
	sample b;
	sample c;

	if (stratum->paired)
	{
		if (means)
			paired_add_means(log_e, effects, EFFECTS, &stratum->pairs.response_time, e.offset, e.slope,
							 MEAN_VALUES_MIN);
		else
			paired_add_rates(log_e, EFFECTS, cells_of(metric, &stratum->pairs), e.offset, e.slope);
		return true;
	}
	b = sample_of(metric, &stratum->baseline);
	c = sample_of(metric, &stratum->candidate);
	if (!comparable(stratum) || b.n < 1 || c.n < 1)
		return false;
	if (means)
		add_means(log_e, effects, b, c, e);
	else
		add_rates(log_e, effects, b, c, e);
	return true;
}

/* evidence_of: the e-value of one metric over all steps. */
static double
evidence_of(rollout_metric metric, guard_margin margin, const guard_stratum *strata, int count)
{
	bool means = metric == ROLLOUT_RESPONSE_TIME;
	edge e = edge_of(metric, margin);
	double least =
		means ? MEAN_EFFECT_MIN : fmin(fmax(RATE_EFFECT_MIN, margin.absolute / 16), RATE_EFFECT_MAX / EFFECTS);
	double ratio = pow((means ? MEAN_EFFECT_MAX : RATE_EFFECT_MAX) / least, 1.0 / (EFFECTS - 1));
	double effects[EFFECTS];
	double log_e[EFFECTS] = {0};
	double from_here = 0;
	double total;

	/* A margin that no rate can be beyond. */
	if (!isfinite(margin.absolute) || !isfinite(margin.relative) || (!means && e.offset >= 1))
		return 0;
	effects[0] = least;
	for (int i = 1; i < EFFECTS; i++)
		effects[i] = effects[i - 1] * ratio;
	/* From the last step to the first: log_e holds the steps from k on. What begins later than the last has seen
	 * nothing. */
	total = -log(count + 1.0);
	for (int k = count - 1; k >= 0; k--)
	{
		if (add_step(metric, &strata[k], effects, e, log_e))
			from_here = log_mean(log_e, EFFECTS);
		total = log_sum(total, from_here - log((k + 1.0) * (k + 2.0)));
	}
	return total;
}

/* Both sides of a metric in a step, in bad outcomes or values, with the variance of candidate - slope * baseline. */
typedef struct comparison
{
	double n_b;
	double n_c;
	double baseline;
	double candidate;
	double variance;
} comparison;

/* compare: false when there is nothing to compare. */
static bool
compare(rollout_metric metric, const guard_stratum *stratum, edge e, comparison *out)
{
	sample b;
	sample c;

	if (stratum->paired && metric == ROLLOUT_RESPONSE_TIME)
	{
		const paired_values *v = &stratum->pairs.response_time;

		*out = (comparison){(double) v->count, (double) v->count, v->baseline, v->candidate,
							v->count > 0 ? paired_mean_variance(v, e.slope) : 0};
		return v->count > 0;
	}
	if (stratum->paired)
	{
		const paired_cells *cells = cells_of(metric, &stratum->pairs);
		double n = (double) paired_count(cells);

		*out = (comparison){n, n, (double) (cells->of[1][0] + cells->of[1][1]) / n,
							(double) (cells->of[0][1] + cells->of[1][1]) / n,
							n > 0 ? paired_rate_variance(cells, e.slope) : 0};
		return n > 0;
	}
	b = sample_of(metric, &stratum->baseline);
	c = sample_of(metric, &stratum->candidate);
	*out = (comparison){b.n, c.n, b.mean, c.mean, c.m2 / (c.n * c.n) + e.slope * e.slope * b.m2 / (b.n * b.n)};
	return comparable(stratum) && b.n >= 1 && c.n >= 1;
}

/* describe: the numbers for people: means weighted alike on both sides, by what a step tells (Mantel and Haenszel
 * 1959). */
static guard_evidence
describe(rollout_metric metric, guard_margin margin, const guard_stratum *strata, int count)
{
	guard_evidence result = {.z = NAN, .p_value = 1};
	edge e = edge_of(metric, margin);
	double sign = metric == ROLLOUT_SUCCESS_RATE ? -1 : 1;
	double total = 0;
	double variance = 0;

	for (int k = 0; k < count; k++)
	{
		comparison c;
		double weight;

		if (!compare(metric, &strata[k], e, &c))
			continue;
		weight = c.n_b * (c.n_c / (c.n_b + c.n_c));
		result.samples_baseline += (int64_t) c.n_b;
		result.samples_candidate += (int64_t) c.n_c;
		result.baseline += weight * c.baseline;
		result.candidate += weight * c.candidate;
		variance += weight * weight * c.variance;
		total += weight;
	}
	result.baseline /= total;
	result.candidate /= total;
	if (variance > 0)
		result.z = (result.candidate - e.offset - e.slope * result.baseline) * total / sqrt(variance);
	/* So far in bad outcomes: back into the metric's own sense. */
	if (metric == ROLLOUT_SUCCESS_RATE)
	{
		result.baseline = 1 - result.baseline;
		result.candidate = 1 - result.candidate;
	}
	result.difference = result.candidate - result.baseline;
	result.margin = sign * (margin.absolute + margin.relative * result.baseline);
	return result;
}

guard_verdict
guard_look(const guard_margin margins[ROLLOUT_METRICS], double level, const guard_stratum *strata, int count)
{
	guard_verdict verdict = {.level = level, .worst = ROLLOUT_METRICS};
	double logs[ROLLOUT_METRICS];

	for (int m = 0; m < ROLLOUT_METRICS; m++)
	{
		guard_evidence *evidence = &verdict.metrics[m];

		*evidence = describe((rollout_metric) m, margins[m], strata, count);
		logs[m] = evidence->log_e = evidence_of((rollout_metric) m, margins[m], strata, count);
		evidence->p_value = p_of(evidence->log_e);
		if (evidence->log_e > 0 &&
			(verdict.worst == ROLLOUT_METRICS || evidence->log_e > verdict.metrics[verdict.worst].log_e))
			verdict.worst = (rollout_metric) m;
	}
	verdict.log_e = log_mean(logs, ROLLOUT_METRICS);
	verdict.p_value = p_of(verdict.log_e);
	verdict.convict = verdict.log_e >= -log(level);
	return verdict;
}

/* SHIFTS: alternatives of the sample ratio on each side: the odds times exp(+-0.02 2^i), from 2 % to a thirteenth. */
#define SHIFTS 8

guard_sample_ratio
guard_check_sample_ratio(const guard_stratum *strata, int count, double tolerance)
{
	guard_sample_ratio result = {.p_value = 1, .chi_square_p_value = 1};
	double log_e[2 * SHIFTS] = {0};
	double slack = log1p(tolerance);
	double expected_sum = 0;

	for (int k = 0; k < count; k++)
	{
		double share = strata[k].share / 100;
		double b = (double) strata[k].baseline.requests;
		double c = (double) strata[k].candidate.requests;
		double expected = (b + c) * share;
		double odds;
		double seen;
		double null;

		if (strata[k].paired || !comparable(&strata[k]) || !(b + c > 0))
			continue;
		expected_sum += expected;
		result.counted += strata[k].candidate.requests;
		if (expected >= 5 && b + c - expected >= 5)
		{
			result.df++;
			result.chi_square += (c - expected) * (c - expected) / (expected * (1 - share));
		}
		/* Odds, as logarithms: losing a part of one side's outcomes moves them alike at every share. */
		odds = log(share) - log1p(-share);
		seen = c > 0 ? (b > 0 ? log(c / b) : INFINITY) : -INFINITY;
		null = fmin(fmax(seen, odds - slack), odds + slack);
		for (int i = 0; i < 2 * SHIFTS; i++)
		{
			double shift = ldexp(0.02, i / 2) + slack;
			double other = odds + (i % 2 == 0 ? -shift : shift);

			/* p = 1 / (1 + exp(-odds)), 1 - p = 1 / (1 + exp(odds)) */
			log_e[i] += c * (log1p(exp(-null)) - log1p(exp(-other))) + b * (log1p(exp(null)) - log1p(exp(other)));
		}
	}
	result.expected = llrint(expected_sum);
	result.p_value = p_of(log_mean(log_e, 2 * SHIFTS));
	result.alarm = result.p_value <= GUARD_SAMPLE_RATIO_LEVEL;
	if (result.df > 0)
		result.chi_square_p_value = distribution_chi_square_sf(result.chi_square, result.df);
	return result;
}
