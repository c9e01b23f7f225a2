/*
 * distribution.c: the distributions against reference numbers, to the accuracy that is promised, and round trips
 * through the quantiles where no reference numbers are.
 */
#include "unit.h"

#include "vectors.h"

#include <float.h>

#include "core/distribution.h"

/* t_tolerance: 1e-13, or what two roundings of t are worth far out. */
static double
t_tolerance(double t, double df)
{
	double far = fabs(t) > 1e100 ? df + 1 : t * t * (df + 1) / (df + t * t);

	return fmax(1e-13, 4.4e-16 * far);
}

static void
against_vectors(void)
{
	vectors *v = vectors_open("normal_cdf");

	while (vectors_next(v))
	{
		double x = vectors_number(v, "x");
		double seen = distribution_normal_cdf(x);

		CHECK(close_to(seen, vectors_number(v, "p"), 1e-14, 1e-300), "normal_cdf(%.17g) = %.17g", x, seen);
	}
	v = vectors_open("normal_quantile");
	while (vectors_next(v))
	{
		double p = vectors_number(v, "p");
		double seen = distribution_normal_quantile(p);

		CHECK(close_to(seen, vectors_number(v, "x"), 1e-14, 1e-18), "normal_quantile(%.17g) = %.17g", p, seen);
	}
	v = vectors_open("student_t_cdf");
	while (vectors_next(v))
	{
		double t = vectors_number(v, "t");
		double df = vectors_number(v, "df");
		double seen = distribution_student_t_cdf(t, df);

		CHECK(close_to(seen, vectors_number(v, "p"), t_tolerance(t, df), 1e-300), "student_t_cdf(%.17g, %.17g) = %.17g",
			  t, df, seen);
	}
	v = vectors_open("student_t_quantile");
	while (vectors_next(v))
	{
		double p = vectors_number(v, "p");
		double df = vectors_number(v, "df");
		double seen = distribution_student_t_quantile(p, df);

		CHECK(close_to(seen, vectors_number(v, "t"), 1e-12, 1e-15), "student_t_quantile(%.17g, %.17g) = %.17g", p, df,
			  seen);
	}
	v = vectors_open("chi_square_sf");
	while (vectors_next(v))
	{
		double x = vectors_number(v, "x");
		double df = vectors_number(v, "df");
		double seen = distribution_chi_square_sf(x, df);

		CHECK(close_to(seen, vectors_number(v, "p"), 1e-13, 1e-300), "chi_square_sf(%.17g, %.17g) = %.17g", x, df,
			  seen);
	}
	v = vectors_open("distribution_extremes");
	while (vectors_next(v))
	{
		const char *name = vectors_text(v, "function");
		double a = vectors_number(v, "a");
		double df = vectors_number(v, "df");
		double p = vectors_number(v, "expected");
		double tolerance = 2e-14;
		double seen;

		if (strcmp(name, "normal_cdf") == 0)
			seen = distribution_normal_cdf(a);
		else if (strcmp(name, "chi_square_sf") == 0)
			seen = distribution_chi_square_sf(a, df);
		else if (strcmp(name, "student_t_cdf") == 0)
		{
			seen = distribution_student_t_cdf(a, df);
			tolerance = t_tolerance(a, df);
		}
		else
		{
			seen = distribution_student_t_quantile(a, df);
			tolerance = 1e-12;
		}
		CHECK(close_to(seen, p, tolerance, 1e-300), "%s(%.17g, %.17g) = %.17g", name, a, df, seen);
	}
}

/*
 * Round trips: an error of the quantile shows in the probability multiplied by its condition, |x f(x) / p|; measured
 * here by moving x by 1e-12 of itself.
 */
static void
round_trips(void)
{
	static const double tails[] = {1e-300,         1e-250,    1e-200,  1e-100, 1e-50, 1e-20, 1e-10, 1e-5,
								   0.001,          0.025,     0.1,     0.2,    0.3,   0.4,   0.45,  0.49,
								   0.499,          0.4999999, 0.50001, 0.55,   0.7,   0.9,   0.999, 0.9999999999,
								   0.9999999999999};
	static const double dfs[] = {0.001, 0.01, 0.1, 0.3, 0.9, 1,   1.1,  2,    3,   7.5,
								 30,    59.9, 100, 1e3, 1e5, 1e7, 1e10, 1e15, 1e25};

	for (size_t i = 0; i < sizeof(tails) / sizeof(double); i++)
	{
		double p = tails[i];
		double x = distribution_normal_quantile(p);

		CHECK(fabs(distribution_normal_cdf(x) - p) <= fabs(distribution_normal_cdf(x * (1 - 1e-12)) - p) ||
				  fabs(distribution_normal_cdf(x) / p - 1) < 1e-14,
			  "normal p %g x %.17g", p, x);
		for (size_t j = 0; j < sizeof(dfs) / sizeof(double); j++)
		{
			double df = dfs[j];
			double t = distribution_student_t_quantile(p, df);
			double back;
			double moved;

			if (fabs(t) > DBL_MAX)
			{
				CHECK(df < 1.1, "t quantile overflows at df %g", df);
				continue;
			}
			back = distribution_student_t_cdf(t, df);
			moved = distribution_student_t_cdf(t * (1 + 1e-12), df);
			CHECK(fabs(back - p) <= fabs(moved - back) + 4e-16 * p, "t p %g df %g t %.17g back %.17g", p, df, t, back);
		}
	}
}

static void
known_points(void)
{
	CHECK(distribution_normal_cdf(0) == 0.5, "%.17g", distribution_normal_cdf(0));
	CHECK(distribution_normal_quantile(0.5) == 0, "%.17g", distribution_normal_quantile(0.5));
	CHECK(close_to(distribution_normal_quantile(0.5 + 0x1p-50), 0x1p-50 * 2.5066282746310005, 1e-15, 0),
		  "near the middle");
	CHECK(distribution_student_t_cdf(0, 3) == 0.5, "%.17g", distribution_student_t_cdf(0, 3));
	CHECK(distribution_student_t_quantile(0.5, 0.2) == 0, "%.17g", distribution_student_t_quantile(0.5, 0.2));
	/* df 1 and 2 have closed forms */
	for (double t = 1e-8; t < 1e100; t *= 3.7)
	{
		double one = atan(1 / t) / 3.14159265358979323846;
		double two = 1 / (sqrt(t * t + 2) * (sqrt(t * t + 2) + t));

		CHECK(close_to(distribution_student_t_cdf(-t, 1), one, 1e-14, 0), "t %g", t);
		CHECK(close_to(distribution_student_t_cdf(-t, 2), two, 1e-14, 1e-300), "t %g", t);
	}
	/* df 2 is an exponential */
	for (double x = 1e-10; x < 1300; x *= 1.9)
	{
		CHECK(close_to(distribution_chi_square_sf(x, 2), exp(-x / 2), 1e-14, 1e-300), "x %g", x);
	}
	CHECK(distribution_chi_square_sf(0, 0.3) == 1, "at 0");
	/* degrees of freedom at the ends of the doubles */
	CHECK(distribution_chi_square_sf(1, 1e308) == 1 && distribution_chi_square_sf(1e305, 1e307) == 1, "huge df");
	CHECK(distribution_chi_square_sf(1.7e308, 1e308) == 0 && distribution_chi_square_sf(1e308, 1e308) == 0.5,
		  "huge df");
	CHECK(distribution_chi_square_sf(0.9e41, 0.99e41) == 1 && distribution_chi_square_sf(0.99e41, 0.9e41) == 0,
		  "below");
	CHECK(distribution_student_t_cdf(-1, 5e-324) == 0.5 && distribution_student_t_cdf(-1, 1e-301) == 0.5, "tiny df");
	CHECK(close_to(distribution_student_t_cdf(1, 1e-299), 0.5, 1e-14, 0), "tiny df");
	CHECK(close_to(distribution_chi_square_sf(3.841458820694124, 1), 0.05, 1e-14, 0), "the best known quantile");
	CHECK(isnan(distribution_student_t_cdf(1, 0)) && isnan(distribution_student_t_cdf(1, -1)), "df must be positive");
	CHECK(isnan(distribution_normal_quantile(1.5)) && isnan(distribution_chi_square_sf(-1, 2)), "domain");
}

/* Steps between the methods must not show: the distribution function never falls. */
static void
monotone(void)
{
	static const double dfs[] = {0.001, 0.5, 1, 1.5, 3, 20, 39.9, 1e3, 1e8};

	for (size_t j = 0; j < sizeof(dfs) / sizeof(double); j++)
	{
		double last = 0;

		for (double t = -40; t < 40; t += 0.037)
		{
			double p = distribution_student_t_cdf(t, dfs[j]);

			CHECK(p >= last && p <= 1, "df %g t %g: %.17g after %.17g", dfs[j], t, p, last);
			last = p;
		}
		last = 1;
		for (double x = 0; x < 4 * dfs[j] + 10; x += (4 * dfs[j] + 10) / 1000)
		{
			double q = distribution_chi_square_sf(x, dfs[j]);

			CHECK(q <= last * (1 + 1e-14) && q >= 0, "df %g x %g: %.17g after %.17g", dfs[j], x, q, last);
			last = q;
		}
	}
}

int
main(void)
{
	against_vectors();
	round_trips();
	known_points();
	monotone();
	return unit_done();
}
