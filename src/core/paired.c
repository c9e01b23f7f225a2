/*
 * paired.c: see paired.h. Products over pairs are taken from the counts of the four kinds of pairs, so that nothing is
 * carried from look to look.
 */
#include "core/paired.h"

#include <math.h>

/* The smallest stake, and the largest as a part of that which a single pair could lose whole. */
#define STAKE_MIN 0.004
#define STAKE_MAX 0.95

int64_t
paired_count(const paired_cells *cells)
{
	return cells->of[0][0] + cells->of[0][1] + cells->of[1][0] + cells->of[1][1];
}

void
paired_add_rates(double *log_e, int count, const paired_cells *cells, double offset, double slope)
{
	/* The most that one pair loses: the baseline fails and the candidate does not. */
	double most = STAKE_MAX / (slope + offset);
	double ratio = pow(most / fmin(STAKE_MIN, most / 2), 1.0 / (count - 1));

	for (int i = 0; i < count; i++)
	{
		double stake = most * pow(ratio, i - count + 1);

		for (int b = 0; b < 2; b++)
			for (int c = 0; c < 2; c++)
				if (cells->of[b][c] > 0)
					log_e[i] += (double) cells->of[b][c] * log1p(stake * (c - slope * b - offset));
	}
}

double
paired_rate_variance(const paired_cells *cells, double slope)
{
	double n = (double) paired_count(cells);
	double mean = 0;
	double variance = 0;

	for (int b = 0; b < 2; b++)
		for (int c = 0; c < 2; c++)
			mean += (double) cells->of[b][c] * (c - slope * b) / n;
	for (int b = 0; b < 2; b++)
		for (int c = 0; c < 2; c++)
			variance += (double) cells->of[b][c] * (c - slope * b - mean) * (c - slope * b - mean);
	return variance / n / n;
}

double
paired_mean_variance(const paired_values *values, double slope)
{
	double n = (double) values->count;
	double m2 = values->candidate_m2 + slope * slope * values->baseline_m2 - 2 * slope * values->cross;

	/* Of equal differences rounding is left. */
	return fmax(m2, 0) / n / n;
}

void
paired_add_means(double *log_e, const double *effects, int count, const paired_values *values, double offset,
				 double slope, int64_t least)
{
	double n = (double) values->count;
	double scale = (values->baseline + values->candidate) / 2;
	double excess = values->candidate - slope * values->baseline - offset;
	double df = n - 1;
	double v;
	double null;

	if (values->count < least)
		return;
	/* One pair more at a distance of both means, so that few equal differences are not taken for a law. */
	v = paired_mean_variance(values, slope) +
		(values->candidate * values->candidate + slope * slope * values->baseline * values->baseline) / n / n;
	if (!(v > 0) || !isfinite(v))
		return;
	null = log1p(excess / v * excess / df);
	for (int i = 0; i < count; i++)
	{
		double rest = excess - effects[i] * scale;

		log_e[i] += (df + 1) / 2 * (null - log1p(rest / v * rest / df));
	}
}
