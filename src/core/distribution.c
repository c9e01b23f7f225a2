/*
 * distribution.c: distribution functions and their inverses. Tails are computed as tails, never as 1 minus something;
 * quantiles are solved against the distribution functions themselves, on the scale of the logarithm of the smaller
 * tail, where Newton's method converges from anywhere (log P is concave in log t).
 */
#include "core/distribution.h"

#include "core/beta_gamma.h"
#include "core/ddouble.h"

#include <float.h>

#define SQRT_2PI 2.50662827463100050242
/* sqrt(1/2) as a double-double */
static const dd sqrt_half = {0.70710678118654757274, -4.833646656726456726e-17};

double
distribution_normal_density(double x)
{
	dd square = dd_two_product(x, x);

	return exp(-square.hi / 2) * (1 - square.lo / 2) / SQRT_2PI;
}

double
distribution_normal_cdf(double x)
{
	dd z;
	double tail;
	double density;

	if (isnan(x))
		return x;
	if (x > 40)
		return 1;
	if (x < -40)
		return 0;
	/*
	 * erfc(z) moves by 2 z^2 relative to its argument: z = -x / sqrt(2) rounded would cost up to 1e-13 in the tail. The
	 * rounding error z.lo is put back by the first derivative, -2 / sqrt(pi) e^(-z^2) dz.
	 */
	z = dd_multiply_double(sqrt_half, -x);
	tail = 0.5 * erfc(z.hi);
	density = exp(-z.hi * z.hi) * 0.56418958354775628695;
	return tail - density * z.lo;
}

double
distribution_normal_two_sided(double x)
{
	return 2 * distribution_normal_cdf(-fabs(x));
}

/*
 * normal_quantile_start: Wichura's AS 241 (Applied Statistics 37, 1988), PPND16; good to about 1e-16 already. q = p -
 * 1/2 is given apart because it is exact near 1/2.
 */
static double
normal_quantile_start(double tail, double q)
{
	double r;
	double value;

	if (fabs(q) <= 0.425)
	{
		r = 0.180625 - q * q;
		return q *
			   (((((((r * 2509.0809287301226727 + 33430.575583588128105) * r + 67265.770927008700853) * r +
					45921.953931549871457) *
					   r +
				   13731.693765509461125) *
					  r +
				  1971.5909503065514427) *
					 r +
				 133.14166789178437745) *
					r +
				3.387132872796366608) /
			   (((((((r * 5226.495278852854561 + 28729.085735721942674) * r + 39307.89580009271061) * r +
					21213.794301586595867) *
					   r +
				   5394.1960214247511077) *
					  r +
				  687.1870074920579083) *
					 r +
				 42.313330701600911252) *
					r +
				1.0);
	}
	r = sqrt(-log(tail));
	if (r <= 5)
	{
		r -= 1.6;
		value = (((((((r * 7.7454501427834140764e-4 + .0227238449892691845833) * r + .24178072517745061177) * r +
					 1.27045825245236838258) *
						r +
					3.64784832476320460504) *
					   r +
				   5.7694972214606914055) *
					  r +
				  4.6303378461565452959) *
					 r +
				 1.42343711074968357734) /
				(((((((r * 1.05075007164441684324e-9 + 5.475938084995344946e-4) * r + .0151986665636164571966) * r +
					 .14810397642748007459) *
						r +
					.68976733498510000455) *
					   r +
				   1.6763848301838038494) *
					  r +
				  2.05319162663775882187) *
					 r +
				 1.0);
	}
	else
	{
		r -= 5;
		value = (((((((r * 2.01033439929228813265e-7 + 2.71155556874348757815e-5) * r + .0012426609473880784386) * r +
					 .026532189526576123093) *
						r +
					.29656057182850489123) *
					   r +
				   1.7848265399172913358) *
					  r +
				  5.4637849111641143699) *
					 r +
				 6.6579046435011037772) /
				(((((((r * 2.04426310338993978564e-15 + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r +
					 7.868691311456132591e-4) *
						r +
					.0148753612908506148525) *
					   r +
				   .13692988092273580531) *
					  r +
				  .59983220655588793769) *
					 r +
				 1.0);
	}
	return q < 0 ? -value : value;
}

double
distribution_normal_quantile(double p)
{
	double q = p - 0.5;
	double tail = p < 0.5 ? p : 1 - p;
	double x;
	double seen;

	if (!(p >= 0 && p <= 1))
		return NAN;
	if (tail <= 0)
		return p < 0.5 ? -INFINITY : INFINITY;
	x = normal_quantile_start(tail, q);
	/* One Newton step, on the side where nothing cancels. */
	if (fabs(q) <= 0.425)
		return x - (0.5 * erf(x * sqrt_half.hi) - q) / distribution_normal_density(x);
	seen = distribution_normal_cdf(-fabs(x));
	if (tail < 1e-305)
		return x;
	return x + (q < 0 ? 1 : -1) * (tail - seen) / distribution_normal_density(x);
}

double
distribution_student_t_cdf(double t, double df)
{
	if (!(df > 0) || isnan(t))
		return NAN;
	/* From here on the difference from the normal distribution, t^4 / (4 df), is below a double's precision. */
	if (df > 1e22)
		return distribution_normal_cdf(t);
	/* All but 1e-297 of the probability is beyond the doubles. */
	if (df < 1e-300)
		return 0.5;
	return t <= 0 ? beta_t_tail(-t, df) : 1 - beta_t_tail(t, df);
}

double
distribution_student_t_two_sided(double t, double df)
{
	return df > 1e22 ? distribution_normal_two_sided(t) : 2 * beta_t_tail(fabs(t), df);
}

/* t_quantile_tail: the t > 0 with P(T > t) = q, beyond the center. */
static double
t_quantile_tail(double q, double df)
{
	double limit = log(DBL_MAX);
	double z = log(fmax(-distribution_normal_quantile(q), beta_t_center_end(df)));

	for (int i = 0; i < 100; i++)
	{
		double t = exp(z);
		double tail = beta_t_tail(t, df);
		double slope;
		double step;

		if (z >= limit && tail > q)
			return INFINITY;
		slope = beta_t_scaled_density(t, df) / tail;
		step = fabs(tail - q) < 0.1 * q ? log1p((tail - q) / q) : log(tail) - log(q);
		step /= slope;
		z = fmin(z + step, limit);
		/* the last step is applied to t, not to its logarithm, which would round */
		if (fabs(step) < 1e-7)
			return t * (1 + step * (1 + step / 2));
	}
	return exp(z);
}

double
distribution_student_t_quantile(double p, double df)
{
	double q = p < 0.5 ? p : 1 - p;
	double center = p < 0.5 ? 0.5 - p : p - 0.5;
	double t;

	if (!(df > 0) || !(p >= 0 && p <= 1))
		return NAN;
	if (q <= 0)
		return p < 0.5 ? -INFINITY : INFINITY;
	if (df > 1e22)
		return distribution_normal_quantile(p);
	if (center <= beta_t_center(beta_t_center_end(df), df))
	{
		/* P(0 < T < t) is concave: Newton's steps from 0 never pass the root. */
		t = 0;
		for (int i = 0; i < 100; i++)
		{
			double step = (center - beta_t_center(t, df)) / beta_t_density(t, df);

			t += step;
			if (fabs(step) <= 1e-9 * t)
				break;
		}
	}
	else
		t = t_quantile_tail(q, df);
	return p < 0.5 ? -t : t;
}

/* Degrees of freedom beyond which the doubles next to df are more than 1e4 deviations, sqrt(2 df), away from it. */
#define STEP_DF 1e41

double
distribution_chi_square_sf(double x, double df)
{
	double p;
	double q;

	if (!(df > 0) || !(x >= 0))
		return NAN;
	if (df > STEP_DF)
		return x < df ? 1 : x > df ? 0 : 0.5;
	gamma_incomplete(df / 2, x / 2, &p, &q);
	return q;
}
