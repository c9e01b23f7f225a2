/*
 * beta_gamma.h: the regularised incomplete gamma function, and the incomplete beta function as far as Student's t
 * needs it (second parameter 1/2), with full relative accuracy in either tail. Only distribution.c calls these.
 */
#ifndef BETA_GAMMA_H
#define BETA_GAMMA_H

/* gamma_lgamma1p: log Gamma(1 + a) for 0 <= a <= 1; of full relative accuracy towards 0. */
extern double gamma_lgamma1p(double a);

/* gamma_incomplete: P(a, z) and Q(a, z) = 1 - P(a, z), for a > 0 and z >= 0, each accurate where it is below 1/2. */
extern void gamma_incomplete(double a, double z, double *p, double *q);

/* gamma_density: z^a e^-z / Gamma(a), z times the density of the gamma distribution. */
extern double gamma_density(double a, double z);

/* beta_inverse_half: 1 / B(a, 1/2), a > 0. */
extern double beta_inverse_half(double a);

/* beta_t_tail: P(T > t) = I_x(df/2, 1/2) / 2 with x = df / (df + t^2), for t >= 0. */
extern double beta_t_tail(double t, double df);

/* beta_t_center: P(0 < T < t), for 0 <= t <= beta_t_center_end(df). */
extern double beta_t_center(double t, double df);
extern double beta_t_center_end(double df);

/* beta_t_density: density of Student's t. */
extern double beta_t_density(double t, double df);

/* beta_t_scaled_density: t times the density, t > 0; does not underflow before the tail does. */
extern double beta_t_scaled_density(double t, double df);

#endif
