/*
 * experiment_quantile.c: a quantile and its standard error from a summary's sketch. The distribution function is taken
 * as straight within a bucket, so the quantile is a smooth function of counts and varies as they do.
 */
#include "core/experiment.h"

#include <math.h>

#include "core/summary.h"

/* Standard deviations of the rank to either side that the values are looked at. */
#define WIDE 2

/* The stretch of values that a rank lies in. */
typedef struct stretch
{
	double before; /* values below it */
	double count;
	double low;
	double high;
} stretch;

/* stretch_at: where `below` of the values lie below, 0 < below < n. */
static stretch
stretch_at(const summary_head *head, double below)
{
	summary_walker w;
	stretch s = {0, 0, NAN, NAN};
	double negatives = 0;
	double seen;
	double end;

	summary_walk_start(&w, head);
	while (summary_walk(&w) && w.negative)
		negatives += (double) w.count;
	seen = negatives;
	if (below <= negatives)
	{
		/* negative buckets come by ascending magnitude: from the upper end down */
		summary_walk_start(&w, head);
		while (summary_walk(&w) && w.negative)
		{
			seen -= (double) w.count;
			s = (stretch){seen, (double) w.count, -sketch_lower((int32_t) w.index + 1),
						  -sketch_lower((int32_t) w.index)};
			if (seen < below)
				break;
		}
	}
	else if (below <= negatives + (double) head->zeros)
		s = (stretch){negatives, (double) head->zeros, 0, 0};
	else
	{
		seen += (double) head->zeros;
		/* w is at the first positive bucket */
		do
		{
			if (w.negative)
				continue;
			end = sketch_lower((int32_t) w.index + 1);
			s = (stretch){seen, (double) w.count, sketch_lower((int32_t) w.index), end};
			seen += (double) w.count;
		} while (seen < below && summary_walk(&w));
	}
	s.low = fmax(s.low, head->min);
	s.high = fmin(s.high, head->max);
	return s;
}

/* inside: the value at which so many values lie below. */
static double
inside(const stretch *s, double below)
{
	return s->low + (s->high - s->low) * fmin(fmax((below - s->before) / s->count, 0), 1);
}

experiment_quantile
experiment_quantile_of(const unsigned char *summary, size_t length, double p)
{
	experiment_quantile q = {.value = NAN, .standard_error = NAN};
	summary_head head;
	stretch at;
	stretch low;
	stretch high;
	double n;
	double spread;
	double part;
	double variance;

	if (!summary_read(summary, length, &head) || head.m.n == 0)
		return q;
	n = (double) head.m.n;
	q.samples = head.m.n;
	at = stretch_at(&head, p * n);
	q.value = inside(&at, p * n);
	spread = WIDE * sqrt(p * (1 - p) / n);
	if (!(p - spread > 0 && p + spread < 1))
		return q;
	/* The mean of a variable that is 1 below the stretch, `part` in it and 0 above is p. */
	part = (p * n - at.before) / at.count;
	variance = fmax(at.before / n + part * part * at.count / n - p * p, 0) / n;
	q.standard_error = sqrt(variance) * (at.high - at.low) * n / at.count;
	/*
	 * The interval by order statistics (Woodruff 1952, Confidence intervals for medians and other position measures),
	 * its longer side: larger where there is a gap or a step next to the rank, which the density at it does not show.
	 */
	low = stretch_at(&head, (p - spread) * n);
	high = stretch_at(&head, (p + spread) * n);
	q.standard_error = fmax(q.standard_error, (inside(&high, (p + spread) * n) - q.value) / WIDE);
	q.standard_error = fmax(q.standard_error, (q.value - inside(&low, (p - spread) * n)) / WIDE);
	return q;
}
