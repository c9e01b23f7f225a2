/*
 * distribution.h: distribution functions and quantiles of the normal, Student t and chi-square distributions, on libm
 * alone. Relative error at most 1e-13 for probabilities, into the tails to 1e-300, and 1e-12 for quantiles; ranges in
 * docs/statistics.md. Arguments outside the domain give NaN: the shell refuses them before.
 */
#ifndef DISTRIBUTION_H
#define DISTRIBUTION_H

/* distribution_normal_cdf: P(Z <= x). */
extern double distribution_normal_cdf(double x);
/* distribution_normal_density: density of the standard normal distribution. */
extern double distribution_normal_density(double x);
/* distribution_normal_quantile: the x with P(Z <= x) = p, 0 < p < 1. */
extern double distribution_normal_quantile(double p);
/* distribution_normal_two_sided: P(|Z| >= |x|). */
extern double distribution_normal_two_sided(double x);

/* distribution_student_t_cdf: P(T <= t), df > 0, any real number. */
extern double distribution_student_t_cdf(double t, double df);
/* distribution_student_t_quantile: the t with P(T <= t) = p; infinite where a double cannot hold it. */
extern double distribution_student_t_quantile(double p, double df);
/* distribution_student_t_two_sided: P(|T| >= |t|). */
extern double distribution_student_t_two_sided(double t, double df);

/* distribution_chi_square_sf: P(X > x), df > 0, x >= 0. */
extern double distribution_chi_square_sf(double x, double df);

#endif
