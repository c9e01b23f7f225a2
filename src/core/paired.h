/*
 * paired.h: e-values of pairs: both versions answered the same request, so what makes one request harder than another
 * cancels, and only requests on which they differ tell them apart. Pure functions of counts; see guard.h, which adds
 * them to what groups drawn by lot say.
 */
#ifndef CORE_PAIRED_H
#define CORE_PAIRED_H

#include <stdint.h>

/* Pairs by what both did. */
typedef struct paired_cells
{
	int64_t of[2][2]; /* [baseline bad][candidate bad] */
} paired_cells;

/* Pairs of which both have a value. */
typedef struct paired_values
{
	int64_t count;
	double baseline; /* means; ignored without pairs, as the others */
	double candidate;
	double baseline_m2; /* sums of squared deviations from the means */
	double candidate_m2;
	double cross; /* sum of the products of both deviations */
} paired_values;

/*
 * paired_add_rates: adds to log_e[i] the logarithm of an e-value against "candidate's rate of bad outcomes <= offset +
 * slope * baseline's", for `count` stakes from small to large. Each is a product over the pairs of 1 + stake * x, with
 * x = candidate bad - slope * baseline bad - offset, whose mean is not above 0 while that holds: a bet that does not
 * win (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, J. R. Stat. Soc. B 86, 2024).
 * Nothing is asked of the pairs but that: rates may drift and sides may depend on each other as they like.
 */
extern void paired_add_rates(double *log_e, int count, const paired_cells *cells, double offset, double slope);
/* paired_add_means: the same of a mean of values, for effects as fractions of the mean of both sides; asymptotic, with
 * unknown variance, as for two groups. Fewer than `least` pairs say nothing. */
extern void paired_add_means(double *log_e, const double *effects, int count, const paired_values *values,
							 double offset, double slope, int64_t least);
extern int64_t paired_count(const paired_cells *cells);
/* paired_rate_variance, paired_mean_variance: of the mean over the pairs of candidate - slope * baseline. */
extern double paired_rate_variance(const paired_cells *cells, double slope);
extern double paired_mean_variance(const paired_values *values, double slope);

#endif
