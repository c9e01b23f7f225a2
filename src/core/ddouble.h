/*
 * ddouble.h: unevaluated sums of two doubles (about 31 digits), where one double is not enough: exponents that are
 * exponentiated afterwards, and sums that cancel. Dekker (1971), Knuth (TAOCP 2, 4.2.2); products by fma. Needs strict
 * IEEE evaluation: no -ffast-math, no contraction. Used by the distributions, the moments and the tests.
 */
#ifndef DDOUBLE_H
#define DDOUBLE_H

#include <math.h>

typedef struct dd
{
	double hi;
	double lo; /* at most half a unit in the last place of hi */
} dd;

/* dd_two_sum: a + b exactly, whatever their order of size. */
static inline dd
dd_two_sum(double a, double b)
{
	double s = a + b;
	double t = s - a;

	return (dd){s, (a - (s - t)) + (b - t)};
}

/* dd_fast_two_sum: a + b exactly, when |a| >= |b| or a is 0. */
static inline dd
dd_fast_two_sum(double a, double b)
{
	double s = a + b;

	return (dd){s, b - (s - a)};
}

/* dd_two_product: a * b exactly, barring underflow. */
static inline dd
dd_two_product(double a, double b)
{
	double p = a * b;

	return (dd){p, fma(a, b, -p)};
}

static inline dd
dd_add(dd a, dd b)
{
	dd s = dd_two_sum(a.hi, b.hi);
	dd t = dd_two_sum(a.lo, b.lo);

	s = dd_fast_two_sum(s.hi, s.lo + t.hi);
	return dd_fast_two_sum(s.hi, s.lo + t.lo);
}

static inline dd
dd_add_double(dd a, double b)
{
	dd s = dd_two_sum(a.hi, b);

	return dd_fast_two_sum(s.hi, s.lo + a.lo);
}

static inline dd
dd_negate(dd a)
{
	return (dd){-a.hi, -a.lo};
}

static inline dd
dd_subtract(dd a, dd b)
{
	return dd_add(a, dd_negate(b));
}

static inline dd
dd_multiply(dd a, dd b)
{
	dd p = dd_two_product(a.hi, b.hi);

	return dd_fast_two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static inline dd
dd_multiply_double(dd a, double b)
{
	dd p = dd_two_product(a.hi, b);

	return dd_fast_two_sum(p.hi, p.lo + a.lo * b);
}

/* dd_divide: two steps of long division. */
static inline dd
dd_divide(dd a, dd b)
{
	double q1 = a.hi / b.hi;
	dd r = dd_subtract(a, dd_multiply_double(b, q1));
	double q2 = r.hi / b.hi;
	double q3;

	r = dd_subtract(r, dd_multiply_double(b, q2));
	q3 = r.hi / b.hi;
	return dd_add_double(dd_fast_two_sum(q1, q2), q3);
}

static inline dd
dd_divide_double(dd a, double b)
{
	return dd_divide(a, (dd){b, 0});
}

static inline double
dd_value(dd a)
{
	return a.hi + a.lo;
}

/* dd_exp: a double suffices for the result; the low half of the exponent is what counts. */
static inline double
dd_exp(dd a)
{
	double e = exp(a.hi);

	return e + e * a.lo;
}

/* dd_log, dd_log1p: natural logarithms to about 1e-31 of themselves (of log(1 + u) for small u too); beta_gamma.c. */
extern dd dd_log(dd a);
extern dd dd_log1p(dd u);

#endif
