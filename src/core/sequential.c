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
 *
 * The nodes of a look depend on the step after it. What is kept of a look, so that later ones go on from there, is
 * therefore the density of the look before it: whoever goes on gets the same numbers, to the last digit, as whoever
 * begins anew.
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
/* parts of a sum that are lost in its rounding, and their logarithm: those of all nodes together are */
#define LOST 1e-19
#define LOG_LOST (-44)

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
	double to; /* the region's end */
	double *x;
	double *weight; /* of the rule, times the density */
	double most;    /* the largest of them */
} density;

/* density_panels: the number of panels between two scores. */
static int
density_panels(double from, double to, double sigma)
{
	return (int) fmax(1, ceil((to - from) / (WIDTH * sigma)));
}

/* density_nodes: nodes between two scores, their weights those of the rule alone. */
static density
density_nodes(double from, double to, int panels, const sequential_caller *caller)
{
	density d = {.n = panels * RULE, .to = to};
	double half = (to - from) / panels / 2;

	d.x = caller->allocate(sizeof(double) * 2 * (size_t) d.n);
	d.weight = d.x + d.n;
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
	if (d.n > 0)
		caller->release(d.x);
}

/* density_finish: after the weights. */
static void
density_finish(density *d)
{
	d->most = 0;
	for (int i = 0; i < d->n; i++)
		d->most = fmax(d->most, d->weight[i]);
}

/*
 * mirrored: whether the node at -x, whose weight is that of x, counts beside it for what lies at y, sigma away: its
 * part is exp(-2 x y / sigma^2) of the other's at most.
 */
static bool
mirrored(double x, double y, double sigma)
{
	return -2 * x * y > LOG_LOST * sigma * sigma;
}

/*
 * crossing: probability that the next look, sigma away, is above b; and its derivative by b. From the nearest node
 * down, until all that is left is too little to be seen.
 */
static double
crossing(density d, double b, double sigma, double *derivative)
{
	double p = 0;
	double slope = 0;

	for (int i = d.n - 1; i >= 0; i--)
	{
		double above = (d.x[i] - b) / sigma;
		double below = (-d.x[i] - b) / sigma;
		double height;

		if (above <= -FAR)
			break;
		height = distribution_normal_density(above);
		p += d.weight[i] * distribution_normal_cdf(above);
		slope -= d.weight[i] * height;
		if (below > -FAR && mirrored(d.x[i], b, sigma))
		{
			p += d.weight[i] * distribution_normal_cdf(below);
			slope -= d.weight[i] * distribution_normal_density(below);
		}
		if (above < 0 && d.most * height < LOST * fmin(p, -slope))
			break;
	}
	*derivative = slope / sigma;
	return p;
}

/* kernel: what node i gives to the score y, and by *far whether those further off, whose mirrors are further still,
 * give nothing that is seen. */
static inline double
kernel(density d, int i, double y, double sigma, double sum, bool *far)
{
	double near = (y - d.x[i]) / sigma;
	double mirror = (y + d.x[i]) / sigma;
	double height = fabs(near) < FAR ? exp(-near * near / 2) : 0;
	double part = d.weight[i] * height;

	*far = d.most * height < LOST * sum;
	if (mirror < FAR && mirrored(d.x[i], y, sigma))
		part += d.weight[i] * exp(-mirror * mirror / 2);
	return part;
}

/* advance: gives the nodes of `next` their density, from that of the look before. */
static void
advance(density *next, density d, double sigma, const sequential_caller *caller)
{
	int nearest = 0;

	for (int j = 0; j < next->n; j++)
	{
		double y = next->x[j];
		double sum = 0;
		bool far = false;

		while (nearest + 1 < d.n && d.x[nearest + 1] <= y)
			nearest++;
		/* Weights grow towards 0, if anything: only the distance tells that no more is to come. */
		for (int i = nearest; i >= 0 && !far; i--)
			sum += kernel(d, i, y, sigma, sum, &far);
		far = false;
		for (int i = nearest + 1; i < d.n && !far; i++)
			sum += kernel(d, i, y, sigma, sum, &far);
		next->weight[j] *= sum / (2.50662827463100050242 * sigma);
		if (caller->breathe != NULL && j % 64 == 0)
			caller->breathe();
	}
	density_finish(next);
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
begin(density *next, double sigma)
{
	for (int i = 0; i < next->n; i++)
		next->weight[i] *= distribution_normal_density(next->x[i] / sigma) / sigma;
	density_finish(next);
}

/* ---- what is kept of a look ---- */

/* Numbers of a state; the weights of the density before the look follow. */
enum
{
	STATE_LOOKS,
	STATE_FRACTION, /* of the look, and of the one before it; 0: there was none */
	STATE_FRACTION_BEFORE,
	STATE_SPENT,  /* as it was told */
	STATE_BEFORE, /* the largest that was told so far */
	STATE_Z,
	STATE_TO, /* end and panels of the density's nodes */
	STATE_PANELS,
	STATE_HEAD
};

/* Where a computation stands: look `k` is solved, or k is -1. */
typedef struct position
{
	int k;
	double z;
	double before;
	density d; /* of the look before */
} position;

/* state_looks: how many looks a state is of; 0 when it is none of these. */
static int
state_looks(const sequential_state *state, const double *fraction, int looks)
{
	const double *n = state != NULL ? state->number : NULL;
	int k;

	if (state == NULL || state->count < STATE_HEAD || !(n[STATE_LOOKS] >= 1 && n[STATE_LOOKS] <= looks))
		return 0;
	k = (int) n[STATE_LOOKS];
	if (n[STATE_LOOKS] != k || n[STATE_FRACTION] != fraction[k - 1] ||
		n[STATE_FRACTION_BEFORE] != (k > 1 ? fraction[k - 2] : 0) || !(n[STATE_Z] > 0) ||
		!(n[STATE_BEFORE] >= 0 && n[STATE_BEFORE] <= 1))
		return 0;
	if (k == 1 ? state->count != STATE_HEAD
			   : !(n[STATE_PANELS] >= 1 && n[STATE_TO] > 0 && n[STATE_TO] <= FAR &&
				   n[STATE_PANELS] * RULE + STATE_HEAD == (double) state->count))
		return 0;
	for (size_t i = STATE_HEAD; i < state->count; i++)
		if (!(n[i] >= 0 && n[i] < 1e6))
			return 0;
	return k;
}

/* resume: where a state stands; at the beginning when it is none of these looks. */
static position
resume(const sequential_state *state, const double *fraction, int looks, const sequential_caller *caller)
{
	position at = {.k = state_looks(state, fraction, looks) - 1};

	if (at.k < 0)
		return at;
	at.z = state->number[STATE_Z];
	at.before = state->number[STATE_BEFORE];
	if (at.k > 0)
	{
		at.d = density_nodes(0, state->number[STATE_TO], (int) state->number[STATE_PANELS], caller);
		memcpy(at.d.weight, state->number + STATE_HEAD, sizeof(double) * (size_t) at.d.n);
		density_finish(&at.d);
	}
	return at;
}

/* keep: the state there. */
static sequential_state
keep(const position *at, const double *fraction, double spent, const sequential_caller *caller)
{
	sequential_state state = {.count = STATE_HEAD + (size_t) at->d.n};

	state.number = caller->allocate(sizeof(double) * state.count);
	state.number[STATE_LOOKS] = at->k + 1;
	state.number[STATE_FRACTION] = fraction[at->k];
	state.number[STATE_FRACTION_BEFORE] = at->k > 0 ? fraction[at->k - 1] : 0;
	state.number[STATE_SPENT] = spent;
	state.number[STATE_BEFORE] = at->before;
	state.number[STATE_Z] = at->z;
	state.number[STATE_TO] = at->d.to;
	state.number[STATE_PANELS] = at->d.n / RULE;
	if (at->d.n > 0)
		memcpy(state.number + STATE_HEAD, at->d.weight, sizeof(double) * (size_t) at->d.n);
	return state;
}

/* go_on: the boundary of the next look. */
static void
go_on(position *at, const double *fraction, double spent, const sequential_caller *caller)
{
	int k = ++at->k;
	double t = fraction[k];
	double sigma = k > 0 ? sqrt(t - fraction[k - 1]) : sqrt(t);
	double spend = spent - at->before;

	if (k > 0)
	{
		/* The density of the look before is known only now. */
		double last = fraction[k - 1];
		double step = k > 1 ? sqrt(last - fraction[k - 2]) : sqrt(last);
		double to = fmin(at->z, FAR) * sqrt(last);
		density next = density_nodes(0, to, density_panels(0, to, fmin(step, sigma)), caller);

		if (k == 1)
			begin(&next, step);
		else
			advance(&next, at->d, step, caller);
		density_free(at->d, caller);
		at->d = next;
	}
	if (!(spend >= 1e-300))
		at->z = INFINITY;
	else if (k == 0)
		at->z = -distribution_normal_quantile(spend);
	else
		at->z = solve(at->d, t, sigma, spend);
	if (spend > 0)
		at->before = spent;
}

void
sequential_solve(const double *fraction, const double *spent, int looks, double *z, const sequential_caller *caller)
{
	position at = {.k = -1};

	while (at.k + 1 < looks)
	{
		go_on(&at, fraction, spent[at.k + 1], caller);
		z[at.k] = at.z;
	}
	density_free(at.d, caller);
}

sequential_state
sequential_continue(const double *fraction, int looks, int kept, double side, sequential_spending spending, bool all,
					const sequential_state *from, double *z, const sequential_caller *caller)
{
	sequential_state left = {0};
	position at = resume(from, fraction, looks, caller);
#define SPENT(k) (all && (k) == looks - 1 ? side : sequential_spent(fraction[k], side, spending))

	if (at.k >= 0 && SPENT(at.k) != from->number[STATE_SPENT])
	{
		density_free(at.d, caller);
		at = (position){.k = -1};
	}
	for (int k = 0; k < at.k; k++)
		z[k] = NAN;
	for (;;)
	{
		if (at.k >= 0)
			z[at.k] = at.z;
		if (kept > 0 && at.k == kept - 1)
			left = keep(&at, fraction, SPENT(at.k), caller);
		if (at.k + 1 >= looks)
			break;
		go_on(&at, fraction, SPENT(at.k + 1), caller);
	}
	density_free(at.d, caller);
	return left;
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
sequential_power(const double *fraction, const double *z, const double *inner, int looks, const sequential_state *from,
				 const double *drift, int drifts, double *power, const sequential_caller *caller)
{
	position at = resume(from, fraction, looks, caller);
	density d = at.d;

	for (int i = 0; i < drifts; i++)
		power[i] = 1;
	for (int k = at.k > 0 ? at.k : 0; k < looks; k++)
	{
		double t = fraction[k];
		bool last = k + 1 == looks;
		double sigma = k > 0 ? sqrt(t - fraction[k - 1]) : sqrt(t);
		double panel = last ? sigma : fmin(sigma, sqrt(fraction[k + 1] - t));
		double outside = fmin(z[k], FAR) * sqrt(t);
		double inside = last ? outside : inner == NULL ? 0 : fmin(fmax(inner[k], 0) * sqrt(t), outside);
		density next = density_nodes(inside, outside, density_panels(inside, outside, panel), caller);

		if (k == 0)
			begin(&next, sigma);
		else
			advance(&next, d, sigma, caller);
		if (inside > 0)
		{
			density stopped = density_nodes(0, inside, density_panels(0, inside, panel), caller);

			if (k == 0)
				begin(&stopped, sigma);
			else
				advance(&stopped, d, sigma, caller);
			for (int i = 0; i < drifts; i++)
				power[i] -= lost(stopped, t, drift[i]);
			density_free(stopped, caller);
		}
		density_free(d, caller);
		d = next;
	}
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
