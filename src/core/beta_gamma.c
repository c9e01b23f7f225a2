/*
 * beta_gamma.c: incomplete gamma and beta functions.
 *
 * Both are written as prefactor times an integral of something smooth and positive that starts at about 1, so that
 * nothing cancels:
 *   Q(a, z) = z^a e^-z / Gamma(a) * integral over w > 0 of exp(a w - z (e^w - 1))          for z >= a
 *   P(a, z) = z^a e^-z / Gamma(a) * integral over w > 0 of exp(z (1 - e^-w) - a w)         for z <= a
 *   I_x(a, 1/2) = x^a / B(a, 1/2) * integral over w > 0 of e^(-a w) / sqrt(1 - x e^-w)
 * (substitute x e^w, x e^-w in the definitions, DLMF 8.2 and 8.17). The integrals are done by the double exponential
 * rule (Takahasi and Mori 1974), the exponents of the prefactors in double-double: a relative error of 1e-16 in an
 * exponent of 700 would already cost three digits. Where a power series of positive terms is short it is used instead.
 */
#include "core/beta_gamma.h"

#include "core/ddouble.h"

#include <float.h>

#define PI 3.14159265358979323846
#define EULER_GAMMA 0.57721566490153286061

/* ln 2 as a double-double */
static const dd ln2 = {0.69314718055994528623, 2.319046813846299558e-17};

/* dd_atanh_twice: 2 artanh(s) = log((1 + s) / (1 - s)) for |s| < 0.26, by its power series. */
static dd
dd_atanh_twice(dd s)
{
	dd s2 = dd_multiply(s, s);
	dd sum = {0, 0};
	int terms = s2.hi > 0.03 ? 28 : s2.hi > 1e-4 ? 21 : 9;

	for (int k = terms; k >= 0; k--)
		sum = dd_add(dd_multiply(sum, s2), dd_divide_double((dd){1, 0}, 2 * k + 1));
	sum = dd_multiply(sum, s);
	return (dd){2 * sum.hi, 2 * sum.lo};
}

dd
dd_log(dd a)
{
	int exponent;
	double m = frexp(a.hi, &exponent);
	dd part;

	if (m < 0.70710678118654752)
		exponent--;
	part = (dd){ldexp(a.hi, -exponent), ldexp(a.lo, -exponent)};
	part = dd_atanh_twice(dd_divide(dd_add_double(part, -1), dd_add_double(part, 1)));
	return dd_add(dd_multiply_double(ln2, exponent), part);
}

dd
dd_log1p(dd u)
{
	if (u.hi > -0.3 && u.hi < 0.5)
		return dd_atanh_twice(dd_divide(u, dd_add_double(u, 2)));
	return dd_log(dd_add_double(u, 1));
}

/*
 * The double exponential rule for integrals over (0, infinity) of what decays like e^-w: w = exp(v - exp(-v)),
 * trapezoids in v. With this step the error is below 1e-15 for every integrand here (checked against mpmath).
 */
#define RULE_FROM (-4.5)
#define RULE_STEP 0.0625
#define RULE_POINTS 150

static double rule_node[RULE_POINTS];
static double rule_weight[RULE_POINTS];
static int rule_ready;

static void
rule_prepare(void)
{
	for (int i = 0; i < RULE_POINTS; i++)
	{
		double v = RULE_FROM + i * RULE_STEP;

		rule_node[i] = exp(v - exp(-v));
		rule_weight[i] = (1 + exp(-v)) * rule_node[i] * RULE_STEP;
	}
	rule_ready = 1;
}

/* Integrands take their w and two parameters. */
typedef double (*integrand)(double w, double a, double b);

static double
integrate(integrand f, double scale, double a, double b)
{
	double sum = 0;

	if (!rule_ready)
		rule_prepare();
	for (int i = 0; i < RULE_POINTS; i++)
	{
		double term = f(rule_node[i] * scale, a, b) * rule_weight[i];

		sum += term;
		if (rule_node[i] > 1 && term < 1e-18 * sum)
			break;
	}
	return sum * scale;
}

/* expm1_minus: e^w - 1 - w, without its cancellation near 0. */
static double
expm1_minus(double w)
{
	double sum = 1;

	if (fabs(w) > 0.4)
		return expm1(w) - w;
	for (int k = 16; k >= 3; k--)
		sum = 1 + sum * w / k;
	return sum * w * w / 2;
}

double
gamma_lgamma1p(double a)
{
	/* zeta(k) - 1, k = 2, 3, ...: A&S 6.1.33 */
	static const double zeta_minus_1[] = {
		6.4493406684822643647e-1, 2.020569031595942854e-1,  8.2323233711138191516e-2, 3.6927755143369926331e-2,
		1.7343061984449139715e-2, 8.3492773819228268398e-3, 4.0773561979443393787e-3, 2.0083928260822144179e-3,
		9.9457512781808533715e-4, 4.941886041194645587e-4,  2.4608655330804829864e-4, 1.2271334757848914675e-4,
		6.1248135058704829259e-5, 3.0588236307020493552e-5, 1.5282259408651871733e-5, 7.6371976378997622736e-6,
		3.8172932649998398565e-6, 1.9082127165539389257e-6, 9.5396203387279611315e-7, 4.7693298678780646312e-7,
		2.3845050272773299e-7,    1.1921992596531107307e-7, 5.9608189051259479612e-8, 2.9803503514652280186e-8,
		1.4901554828365041235e-8};
	double sum = 0;

	if (a > 0.5)
		return log(tgamma(1 + a));
	for (int k = sizeof(zeta_minus_1) / sizeof(double) - 1; k >= 0; k--)
		sum = zeta_minus_1[k] / (k + 2) - a * sum;
	return (a - log1p(a)) - EULER_GAMMA * a + sum * a * a;
}

/* stirling_remainder: log Gamma(a) less Stirling's leading terms; a >= 20 (A&S 6.1.41). */
static double
stirling_remainder(double a)
{
	double r = 1 / (a * a);

	return (1 / 12.0 - r * (1 / 360.0 - r * (1 / 1260.0 - r * (1 / 1680.0 - r * (1 / 1188.0))))) / a;
}

double
gamma_density(double a, double z)
{
	dd u;
	dd exponent;

	if (a < 20)
	{
		/* e^-z in halves: the power may make up for an underflow */
		double half = exp(-z / 2);
		double gamma_a1 = a <= 1 ? exp(gamma_lgamma1p(a)) : tgamma(1 + a);

		return half * pow(z, a) * half / gamma_a1 * a;
	}
	/* a - z + a log(z / a) = -a (u - log(1 + u)), u = (z - a) / a */
	u = dd_divide_double(dd_two_sum(z, -a), a);
	if (u.hi <= -0.99)
		exponent = dd_add_double(dd_log(dd_divide_double((dd){z, 0}, a)), 1),
		exponent = dd_multiply_double(exponent, a), exponent = dd_add_double(exponent, -z);
	else
		exponent = dd_multiply_double(dd_subtract(dd_log1p(u), u), a);
	if (exponent.hi < -800)
		return 0;
	return dd_exp(exponent) * exp(-stirling_remainder(a)) * sqrt(a / (2 * PI));
}

static double
upper_gamma(double w, double a, double z)
{
	return exp((a - z) * w - z * expm1_minus(w));
}

static double
lower_gamma(double w, double a, double z)
{
	return exp((z - a) * w - z * expm1_minus(-w));
}

/*
 * upper_small: Q for a < 1, z < 1, from Gamma(a, z) = Gamma(a) - z^a/a - z^a sum over k >= 1 of (-z)^k / (k! (a + k)),
 * so that a Q near 0 because a is near 0 keeps its digits (Gautschi 1979).
 */
static double
upper_small(double a, double z)
{
	double sum = 0;
	double power = 1;
	double exponent = a * log(z) - gamma_lgamma1p(a);

	for (int k = 1; k < 30; k++)
	{
		power *= -z / k;
		sum += power / (a + k);
		if (fabs(power) < 1e-18 * fabs(sum))
			break;
	}
	return -expm1(exponent) - exp(exponent) * a * sum;
}

void
gamma_incomplete(double a, double z, double *p, double *q)
{
	if (z <= 0)
	{
		*p = 0;
		*q = 1;
	}
	else if (a < 1 && z < 1)
	{
		/* P by its own series (A&S 6.5.29): all terms of one sign */
		double sum = 1;
		double term = 1;

		for (int k = 1; k < 200 && term > 1e-18 * sum; k++)
		{
			term *= z / (a + k);
			sum += term;
		}
		*p = gamma_density(a, z) / a * sum;
		*q = upper_small(a, z);
	}
	else if (z >= a)
	{
		*q = gamma_density(a, z) * integrate(upper_gamma, 1 / ((z - a) + sqrt(z)), a, z);
		*p = 1 - *q;
	}
	else
	{
		*p = gamma_density(a, z) * integrate(lower_gamma, 1 / ((a - z) + sqrt(a)), a, z);
		*q = 1 - *p;
	}
}

double
beta_inverse_half(double a)
{
	/* Gamma(a + 1/2) / Gamma(a): recurrence up to 40, then its asymptotic series (DLMF 5.11.13) */
	double ratio = 1;
	double r;

	for (; a < 40; a += 1)
		ratio *= a / (a + 0.5);
	r = 1 / a;
	ratio *=
		sqrt(a) *
		(1 - r * (1 / 8.0 -
				  r * (1 / 128.0 +
					   r * (5 / 1024.0 - r * (21 / 32768.0 + r * (399 / 262144.0 - r * (869 / 4194304.0 +
																						r * (39325 / 33554432.0))))))));
	return ratio / sqrt(PI);
}

/* t_log: log(1 + t^2 / df), whatever the size of t. */
static dd
t_log(double t, double df)
{
	dd u;

	if (t > 1e150)
	{
		dd log_t = dd_log((dd){t, 0});

		return dd_subtract((dd){2 * log_t.hi, 2 * log_t.lo}, dd_log((dd){df, 0}));
	}
	u = dd_divide_double(dd_two_product(t, t), df);
	return dd_log1p(u);
}

/* t_power: (1 + t^2 / df)^-a. */
static double
t_power(double t, double df, double a)
{
	dd exponent = dd_multiply_double(t_log(t, df), -a);

	return exponent.hi < -800 ? 0 : dd_exp(exponent);
}

/* beta_tail: the integrand of I_x(a, 1/2); y = 1 - x, so that 1 - x e^-w = y + x (1 - e^-w). */
static double
beta_tail(double w, double a, double y)
{
	return exp(-a * w) / sqrt(y - (1 - y) * expm1(-w));
}

double
beta_t_center_end(double df)
{
	return df < 1 ? sqrt(df) : 1;
}

double
beta_t_center(double t, double df)
{
	double a = df / 2;
	double root = t / hypot(sqrt(df), t);
	double y = root * root;
	double sum = 1;
	double term = 1;

	/* I_y(1/2, a) = 2 sqrt(y) (1 - y)^a / B * sum of (a + 1/2)_k / (3/2)_k y^k, DLMF 8.17.8 */
	for (int k = 0; k < 1000 && term > 1e-18 * sum; k++)
	{
		term *= (a + 0.5 + k) / (1.5 + k) * y;
		sum += term;
	}
	return beta_inverse_half(a) * root * t_power(t, df, a) * sum;
}

double
beta_t_tail(double t, double df)
{
	double a = df / 2;

	if (t <= beta_t_center_end(df))
		return 0.5 - beta_t_center(t, df);
	if (t >= sqrt(df))
	{
		double root = sqrt(df) / t; /* x = root^2 / (1 + root^2) <= 1/2, y = 1 / (1 + root^2) */
		double x = root * root / (1 + root * root);
		double sum = 1;
		double term = 1;

		for (int k = 0; k < 1000 && term > 1e-18 * sum; k++)
		{
			term *= (a + 0.5 + k) / (a + 1 + k) * x;
			sum += term;
		}
		return beta_inverse_half(a) / df * t_power(t, df, a) / sqrt(1 + root * root) * sum;
	}
	return 0.5 * beta_inverse_half(a) * t_power(t, df, a) * integrate(beta_tail, 1 / a, a, t * t / (df + t * t));
}

double
beta_t_density(double t, double df)
{
	return beta_inverse_half(df / 2) / sqrt(df) * t_power(fabs(t), df, (df + 1) / 2);
}

double
beta_t_scaled_density(double t, double df)
{
	return beta_inverse_half(df / 2) / hypot(1, sqrt(df) / t) * t_power(t, df, df / 2);
}
