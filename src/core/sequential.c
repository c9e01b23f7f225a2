/*
 * sequential.c: boundaries by recursive integration, after Armitage, McPherson and Rowe (1969) with the spending
 * functions of Lan and DeMets (1983).
 *
 * The score process B(t) is Brownian motion, Z = B / sqrt(t). Between looks its density is carried over the
 * continuation region -c sqrt(t) < B < c sqrt(t): the density at the next look is the present one convolved with a
 * normal density. Everything is even in B, so half of it is kept. The integrals are sums of Gauss-Legendre rules on
 * panels of WIDTH standard deviations of the shorter neighbouring step; the error is below 1e-9 (1e-4 is asked). A
 * boundary solves "crossing probability = what this look may spend" by Newton's method on logarithms: the start,
 * -Phi^-1(spend), is above the root and log P is concave in c, so the steps only go down.
 */
#include "core/sequential.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/distribution.h"

#define RULE 10
/* Gauss-Legendre, 10 points on (-1, 1): A&S table 25.4, positive half */
static const double rule_node[RULE / 2] = {0.14887433898163121088, 0.43339539412924719080, 0.67940956829902440623,
										   0.86506336668898451073, 0.97390652851717172008};
static const double rule_weight[RULE / 2] = {0.29552422471475287017, 0.26926671930999635509, 0.21908636251598204400,
											 0.14945134915058059315, 0.06667134430868813759};
#define WIDTH 3
/* normal deviates beyond which a double holds nothing */
#define FAR 38.5

double
sequential_spent(double t, double side, sequential_spending spending)
{
	if (t >= 1)
		return side;
	if (spending == SEQUENTIAL_POCOCK)
		return side * log1p(1.71828182845904523536 * t);
	return 2 * distribution_normal_cdf(distribution_normal_quantile(side / 2) / sqrt(t));
}

/* The density at a look, over the upper half of its continuation region, as weighted nodes. */
typedef struct density
{
	int n;
	double *x;
	double *weight; /* of the rule, times the density */
} density;

/* density_nodes: nodes between two scores, their weights those of the rule alone. */
static density
density_nodes(double from, double to, double sigma, const sequential_caller *caller)
{
	density d;
	int panels = (int) ceil((to - from) / (WIDTH * sigma));
	double half;

	if (panels < 1)
		panels = 1;
	half = (to - from) / panels / 2;
	d.n = panels * RULE;
	d.x = caller->allocate(sizeof(double) * (size_t) d.n);
	d.weight = caller->allocate(sizeof(double) * (size_t) d.n);
	for (int i = 0; i < d.n; i++)
	{
		int k = i % RULE;
		double at = k < RULE / 2 ? -rule_node[RULE / 2 - 1 - k] : rule_node[k - RULE / 2];

		d.x[i] = from + (2 * (i / RULE) + 1 + at) * half;
		d.weight[i] = rule_weight[k < RULE / 2 ? RULE / 2 - 1 - k : k - RULE / 2] * half;
	}
	return d;
}

static void
density_free(density d, const sequential_caller *caller)
{
	caller->release(d.x);
	caller->release(d.weight);
}

/* crossing: probability that the next look, sigma away, is above b; and its derivative by b. */
static double
crossing(density d, double b, double sigma, double *derivative)
{
	double p = 0;
	double slope = 0;

	for (int i = 0; i < d.n; i++)
	{
		double above = (d.x[i] - b) / sigma;
		double below = (-d.x[i] - b) / sigma;

		if (above > -FAR)
		{
			p += d.weight[i] * distribution_normal_cdf(above);
			slope -= d.weight[i] * distribution_normal_density(above);
		}
		if (below > -FAR)
		{
			p += d.weight[i] * distribution_normal_cdf(below);
			slope -= d.weight[i] * distribution_normal_density(below);
		}
	}
	*derivative = slope / sigma;
	return p;
}

/* advance: gives the nodes of `next` their density, from that of the look before. */
static void
advance(density next, density d, double sigma, const sequential_caller *caller)
{
	for (int j = 0; j < next.n; j++)
	{
		double sum = 0;

		for (int i = 0; i < d.n; i++)
		{
			double near = (next.x[j] - d.x[i]) / sigma;
			double mirror = (next.x[j] + d.x[i]) / sigma;

			if (fabs(near) < FAR)
				sum += d.weight[i] * exp(-near * near / 2);
			if (mirror < FAR)
				sum += d.weight[i] * exp(-mirror * mirror / 2);
		}
		next.weight[j] *= sum / (2.50662827463100050242 * sigma);
		if (caller->breathe != NULL && j % 64 == 0)
			caller->breathe();
	}
}

/* solve: the z of a look at fraction t, sigma after the density d, that `spend` is crossed at. */
static double
solve(density d, double t, double sigma, double spend)
{
	double root = sqrt(t);
	double z = -distribution_normal_quantile(spend);

	for (int i = 0; i < 100; i++)
	{
		double slope;
		double p = crossing(d, z * root, sigma, &slope);
		double step;

		if (p <= 0 || slope >= 0)
		{
			/* so far out that nothing is left: come nearer */
			z *= 0.9;
			continue;
		}
		step = log(p / spend) * p / (slope * root);
		z -= step;
		if (fabs(step) < 1e-11 * fmax(1, fabs(z)))
			break;
	}
	return z;
}

/* begin: gives the nodes of the first look their density. */
static void
begin(density next, double sigma)
{
	for (int i = 0; i < next.n; i++)
		next.weight[i] *= distribution_normal_density(next.x[i] / sigma) / sigma;
}

void
sequential_solve(const double *fraction, const double *spent, int looks, double *z, const sequential_caller *caller)
{
	double before = 0;
	density d = {0, NULL, NULL};

	for (int k = 0; k < looks; k++)
	{
		double t = fraction[k];
		double sigma = k > 0 ? sqrt(t - fraction[k - 1]) : sqrt(t);
		double total = spent[k]; /* z may lie in the same place */
		double spend = total - before;

		if (!(spend >= 1e-300))
			z[k] = INFINITY;
		else if (k == 0)
			z[k] = -distribution_normal_quantile(spend);
		else
			z[k] = solve(d, t, sigma, spend);
		if (spend > 0)
			before = total;
		if (k + 1 < looks)
		{
			double sigma_next = sqrt(fraction[k + 1] - t);
			density next = density_nodes(0, fmin(z[k], FAR) * sqrt(t), fmin(sigma, sigma_next), caller);

			if (k == 0)
				begin(next, sigma);
			else
				advance(next, d, sigma, caller);
			if (d.n > 0)
				density_free(d, caller);
			d = next;
		}
	}
	if (d.n > 0)
		density_free(d, caller);
}

void
sequential_boundaries(const double *fraction, int looks, double confidence_level, sequential_spending spending,
					  double *z, const sequential_caller *caller)
{
	/* what is spent is read at a look before its boundary is written: z serves as both */
	for (int k = 0; k < looks; k++)
		z[k] = sequential_spent(fraction[k], (1 - confidence_level) / 2, spending);
	sequential_solve(fraction, z, looks, z, caller);
}

/* lost: under a drift, by Girsanov's theorem, the probability that the nodes stand for; both halves. */
static double
lost(density d, double t, double drift)
{
	double sum = 0;

	for (int i = 0; i < d.n; i++)
		sum +=
			d.weight[i] * (exp(drift * d.x[i] - drift * drift * t / 2) + exp(-drift * d.x[i] - drift * drift * t / 2));
	return sum;
}

void
sequential_power(const double *fraction, const double *z, const double *inner, int looks, const double *drift,
				 int drifts, double *power, const sequential_caller *caller)
{
	density d = {0, NULL, NULL};

	for (int i = 0; i < drifts; i++)
		power[i] = 1;
	for (int k = 0; k < looks; k++)
	{
		double t = fraction[k];
		bool last = k + 1 == looks;
		double sigma = k > 0 ? sqrt(t - fraction[k - 1]) : sqrt(t);
		double panel = last ? sigma : fmin(sigma, sqrt(fraction[k + 1] - t));
		double outside = fmin(z[k], FAR) * sqrt(t);
		double inside = last ? outside : inner == NULL ? 0 : fmin(fmax(inner[k], 0) * sqrt(t), outside);
		density next = density_nodes(inside, outside, panel, caller);

		if (k == 0)
			begin(next, sigma);
		else
			advance(next, d, sigma, caller);
		if (inside > 0)
		{
			density stopped = density_nodes(0, inside, panel, caller);

			if (k == 0)
				begin(stopped, sigma);
			else
				advance(stopped, d, sigma, caller);
			for (int i = 0; i < drifts; i++)
				power[i] -= lost(stopped, t, drift[i]);
			density_free(stopped, caller);
		}
		if (d.n > 0)
			density_free(d, caller);
		d = next;
	}
	if (d.n > 0)
		density_free(d, caller);
}

/*
 * The e-process of Lindon, Ham, Tingley and Bojinov, Anytime-Valid Linear Models and Regression Adjusted Causal
 * Inference in Randomized Experiments (2022): a mixture over a normal prior of the effect of t-likelihood ratios,
 *   E = sqrt(r) ((1 + r T^2 / v) / (1 + T^2 / v))^(-(v + 1) / 2),   r = phi / (phi + m),
 * m the harmonic effective size n1 n2 / (n1 + n2), v the degrees of freedom. For v to infinity the interval is the
 * asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021, Theorem 2.2). With Welch's
 * standard error and degrees of freedom in T and v it is exact for normal values of equal variance, asymptotic else.
 * PHI makes it tightest around m = 9 PHI, that is 1,800 values an arm, and unbounded below about 25 an arm.
 */
#define PHI 100.0

void
sequential_anytime(hypothesis_arm control, hypothesis_arm treatment, double confidence_level, double *ci_low,
				   double *ci_high, double *p_value)
{
	double alpha = 1 - confidence_level;
	double v_control;
	double v_treatment;
	double v; /* variance of the difference of means */
	double df;
	double effect;
	double r;
	double k;
	double width;
	double log_e;
	double t2;

	*ci_low = -INFINITY;
	*ci_high = INFINITY;
	*p_value = 1;
	if (control.n < 2 || treatment.n < 2)
		return;
	v_control = control.variance / (double) control.n;
	v_treatment = treatment.variance / (double) treatment.n;
	v = v_control + v_treatment;
	/* Without variance in either arm nothing is known about how far the next value may lie. */
	if (!(v > 0))
		return;
	v_control /= v;
	v_treatment /= v;
	df =
		1 / (v_control * v_control / (double) (control.n - 1) + v_treatment * v_treatment / (double) (treatment.n - 1));
	effect = dd_value(dd_subtract(treatment.mean, control.mean));
	r = PHI / (PHI + (double) control.n * ((double) treatment.n / ((double) control.n + (double) treatment.n)));
	t2 = effect / sqrt(v) * (effect / sqrt(v)) / df;
	log_e = 0.5 * log(r) + (df + 1) / 2 * (log1p(t2) - log1p(r * t2));
	if (log_e > 0)
		*p_value = exp(-log_e);
	/* E < 1 / alpha solved for T^2: v (1 - k) / (k - r), k = (alpha^2 r)^(1 / (v + 1)) */
	k = (2 * log(alpha) + log(r)) / (df + 1);
	if (exp(k) <= r)
		return;
	width = sqrt(df * -expm1(k) / (exp(k) - r)) * sqrt(v);
	*ci_low = effect - width;
	*ci_high = effect + width;
}

typedef struct ranked
{
	double p;
	int place;
} ranked;

static int
by_p(const void *a, const void *b)
{
	const ranked *x = a;
	const ranked *y = b;

	if (x->p != y->p)
		return x->p < y->p ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

void
sequential_adjust(double *p, int n, int holm, const sequential_caller *caller)
{
	ranked *r = caller->allocate(sizeof(ranked) * (size_t) (n + 1));
	double bound = holm ? 0 : 1;

	for (int i = 0; i < n; i++)
		r[i] = (ranked){p[i], i};
	qsort(r, (size_t) n, sizeof(ranked), by_p);
	if (holm)
		/* Holm (1979): the largest of the (n - i) p so far */
		for (int i = 0; i < n; i++)
		{
			bound = fmax(bound, (n - i) * r[i].p);
			p[r[i].place] = fmin(bound, 1);
		}
	else
		/* Benjamini and Hochberg (1995): the smallest of the n / rank * p from here on */
		for (int i = n - 1; i >= 0; i--)
		{
			bound = fmin(bound, (double) n / (i + 1) * r[i].p);
			p[r[i].place] = bound;
		}
	caller->release(r);
}
