/*
 * axis.c: ticks are round, inside, few enough and tell each other apart; no peak of a thinned series is lost.
 */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "random.h"

#include "core/axis.h"
#include "core/html.h"

static void
check_axis(double low, double high, int most, double floor_at, double ceiling_at, const char *wanted)
{
	axis a = axis_round(low, high, most, floor_at, ceiling_at);
	char seen[400] = "";

	for (int i = 0; i < a.count; i++)
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), i ? " %.*f" : "%.*f", a.decimals, a.tick[i]);
	CHECK(strcmp(seen, wanted) == 0, "%g to %g: %s", low, high, seen);
}

static void
check_times(const char *what, double low, double high, const char *wanted)
{
	axis_time ticks[AXIS_TICKS_MAX];
	int n = axis_times(low, high, 12, 5, ticks);
	char seen[800] = "";

	for (int i = 0; i < n; i++)
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s%s%s%s%s", i ? " | " : "",
				 ticks[i].major ? "*" : "", ticks[i].label, ticks[i].below[0] ? " / " : "", ticks[i].below);
	CHECK(strcmp(seen, wanted) == 0, "%s: %s", what, seen);
}

int
main(void)
{
	double noon = html_time_of(2026, 11, 24) + 12 * 3600;

	seed(42);
	check_axis(0, 1, 6, 0, 1, "0.0 0.2 0.4 0.6 0.8 1.0");
	check_axis(0.912, 0.988, 6, 0, 1, "0.90 0.92 0.94 0.96 0.98 1.00");
	check_axis(0.9999, 1, 5, 0, 1, "0.99990 0.99995 1.00000");
	check_axis(1, 1, 5, 0, 1, "0.94 0.96 0.98 1.00");
	check_axis(0, 0, 5, 0, NAN, "0.0 0.5 1.0");
	check_axis(0, 0, 5, 0, 1, "0.0 0.5 1.0");
	check_axis(-3.1, 4.2, 6, NAN, NAN, "-4 -2 0 2 4 6");
	check_axis(4.2, -3.1, 6, NAN, NAN, "-4 -2 0 2 4 6");
	check_axis(0.1, 0.1, 5, 0, NAN, "0.095 0.100 0.105");
	check_axis(0, 123456, 5, 0, NAN, "0 50000 100000 150000");
	for (int i = 0; i < 20000; i++)
	{
		double low = (uniform() - 0.5) * pow(10, floor(uniform() * 20 - 10));
		double high = low + uniform() * pow(10, floor(uniform() * 20 - 10));
		int most = 3 + (int) (uniform() * 10);
		axis a = axis_round(low, high, most, NAN, NAN);
		bool inside = a.low <= low + a.step * 1e-6 && a.high >= high - a.step * 1e-6;
		bool apart = a.count >= 2 && a.count <= most;

		for (int k = 1; k < a.count; k++)
			apart = apart && a.tick[k] > a.tick[k - 1];
		CHECK(inside && apart, "%.17g to %.17g, %d: %g to %g by %g, %d ticks", low, high, most, a.low, a.high, a.step,
			  a.count);
	}

	check_times("a day", noon - 86400, noon,
				"*12:00 / 23 Nov | 15:00 | *18:00 | 21:00 | *00:00 / 24 Nov | 03:00 | *06:00 | 09:00 | *12:00");
	check_times("an hour", noon - 3600, noon, "*11:00 / 24 Nov | *11:15 | *11:30 | *11:45 | *12:00");
	check_times("three minutes", noon - 180, noon,
				"*11:57:00 / 24 Nov | 11:57:30 | *11:58:00 | 11:58:30 | *11:59:00 | 11:59:30 | *12:00:00");
	check_times("a week", noon - 7 * 86400, noon,
				"18 Nov | *19 Nov / 2026 | 20 Nov | *21 Nov | 22 Nov | *23 Nov | 24 Nov");
	check_times("90 days", noon - 90 * 86400, noon, "*Sep / 2026 | 15 Sep | *Oct | 15 Oct | *Nov | 15 Nov");
	check_times("three years", noon - 3 * 365 * 86400.0, noon,
				"*Jan / 2024 | Apr | Jul | Oct | *Jan / 2025 | Apr | Jul | Oct | *Jan / 2026 | Apr | Jul | Oct");
	check_times("nothing", noon, noon, "");
	for (int i = 0; i < 20000; i++)
	{
		double low = uniform() * 4e9;
		double high = low + 1 + pow(10, uniform() * 9.5);
		axis_time ticks[AXIS_TICKS_MAX];
		int n = axis_times(low, high, 12, 5, ticks);
		int majors = 0;
		bool good = n >= 1 && n <= 12;

		for (int k = 0; k < n; k++)
		{
			majors += ticks[k].major;
			good = good && ticks[k].time >= low && ticks[k].time <= high &&
				   (k == 0 || ticks[k].time > ticks[k - 1].time) && ticks[k].label[0] != '\0' &&
				   (ticks[k].major || ticks[k].below[0] == '\0');
		}
		CHECK((good && majors <= 5) || high - low < 3, "%.0f, %.0f s: %d ticks, %d major", low, high - low, n, majors);
	}

	for (int i = 0; i < 500; i++)
	{
		double value[2000];
		size_t index[2000];
		size_t n = 1 + (size_t) (uniform() * 1999);
		size_t most = 8 + (size_t) (uniform() * 100);
		double least = INFINITY;
		double kept_least = INFINITY;
		double greatest = -INFINITY;
		double kept_greatest = -INFINITY;
		size_t kept;
		bool ordered = true;

		for (size_t k = 0; k < n; k++)
		{
			value[k] = uniform() < 0.1 ? NAN : uniform();
			least = fmin(least, value[k]);
			greatest = fmax(greatest, value[k]);
		}
		kept = axis_thin(value, 1, n, most, index);
		for (size_t k = 0; k < kept; k++)
		{
			kept_least = fmin(kept_least, value[index[k]]);
			kept_greatest = fmax(kept_greatest, value[index[k]]);
			ordered = ordered && (k == 0 || index[k] > index[k - 1]);
		}
		CHECK(kept <= most + 2 && ordered && index[0] == 0 && index[kept - 1] == n - 1, "%zu of %zu kept, at most %zu",
			  kept, n, most);
		CHECK(least == kept_least && greatest == kept_greatest, "a peak was lost");
	}
	return unit_done();
}
