/*
 * moments.h: count, sum, and sum of squared deviations of a stream of doubles, in one pass and mergeable.
 *
 * The sum is kept as a double-double, so that means of values near 1e9 do not lose their last digits. Deviations follow
 * Youngs and Cramer (1971), applied to the distance from the first value: a large common offset then costs nothing.
 * Merging is Chan, Golub and LeVeque's update (1983). Header only: the aggregates add a value per row.
 */
#ifndef MOMENTS_H
#define MOMENTS_H

#include <stdint.h>

#include "core/ddouble.h"

typedef struct moments
{
	int64_t n;
	dd sum;
	double m2;    /* sum of squared deviations from the mean */
	double shift; /* the value distances are taken from */
	double d_sum; /* sum of the distances */
} moments;

/* moments_add: one value more; it must be finite. */
static inline void
moments_add(moments *m, double x)
{
	dd s = dd_two_sum(m->sum.hi, x);
	double d;

	m->sum.hi = s.hi;
	m->sum.lo += s.lo;
	if (m->n++ == 0)
	{
		m->shift = x;
		m->d_sum = 0;
		return;
	}
	d = x - m->shift;
	m->d_sum += d;
	d = d * m->n - m->d_sum;
	m->m2 += d * d / ((double) m->n * (m->n - 1));
}

/* moments_mean: the mean as a double-double; NaN when there is nothing. */
static inline dd
moments_mean(const moments *m)
{
	return dd_divide_double(dd_two_sum(m->sum.hi, m->sum.lo), (double) m->n);
}

/* moments_variance: with divisor n - 1; NaN below two values. */
static inline double
moments_variance(const moments *m)
{
	return m->n < 2 ? NAN : m->m2 / (double) (m->n - 1);
}

/* moments_settle: brings sum into normal form, and the distance back from sum; after merging or reading. */
static inline void
moments_settle(moments *m)
{
	m->sum = dd_two_sum(m->sum.hi, m->sum.lo);
	m->shift = m->n > 0 ? m->sum.hi / (double) m->n : 0;
	m->d_sum = dd_value(dd_subtract(m->sum, dd_two_product((double) m->n, m->shift)));
}

/* moments_merge: a becomes the moments of both streams. */
static inline void
moments_merge(moments *a, const moments *b)
{
	double delta;

	if (b->n == 0)
		return;
	if (a->n == 0)
	{
		*a = *b;
		return;
	}
	delta = dd_value(dd_subtract(moments_mean(b), moments_mean(a)));
	a->m2 += b->m2 + delta * delta * ((double) a->n * ((double) b->n / ((double) a->n + (double) b->n)));
	a->sum = dd_add(dd_two_sum(a->sum.hi, a->sum.lo), dd_two_sum(b->sum.hi, b->sum.lo));
	a->n += b->n;
	moments_settle(a);
}

/* Two streams of pairs: moments of both and the sum of products of deviations. */
typedef struct comoments
{
	moments x;
	moments y;
	double xy;
} comoments;

/* comoments_add: one pair more, both finite. */
static inline void
comoments_add(comoments *c, double x, double y)
{
	moments_add(&c->x, x);
	moments_add(&c->y, y);
	if (c->x.n > 1)
	{
		double n = (double) c->x.n;

		c->xy += ((x - c->x.shift) * n - c->x.d_sum) * ((y - c->y.shift) * n - c->y.d_sum) / (n * (n - 1));
	}
}

/* comoments_merge: a becomes those of both streams of pairs. */
static inline void
comoments_merge(comoments *a, const comoments *b)
{
	if (a->x.n > 0 && b->x.n > 0)
		a->xy += dd_value(dd_subtract(moments_mean(&b->x), moments_mean(&a->x))) *
				 dd_value(dd_subtract(moments_mean(&b->y), moments_mean(&a->y))) *
				 ((double) a->x.n * ((double) b->x.n / ((double) a->x.n + (double) b->x.n)));
	a->xy += b->xy;
	moments_merge(&a->x, &b->x);
	moments_merge(&a->y, &b->y);
}

/* moments_overflow: whether the stream was too large for doubles. */
static inline int
moments_overflow(const moments *m)
{
	return !(fabs(m->sum.hi) <= 1.7976931348623157e308) || !(m->m2 <= 1.7976931348623157e308);
}

#endif
