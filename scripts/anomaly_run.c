/*
 * anomaly_run.c: the detector on standard input, for the picture in docs/anomalies.md: lines "seconds value" in, lines
 * "score expected cause" out.
 */
#include <stdio.h>

#include "core/anomaly.h"

int
main(void)
{
	anomaly a;
	long long seconds;
	double value;

	anomaly_init(&a);
	while (scanf("%lld %lf", &seconds, &value) == 2)
	{
		anomaly_result r = anomaly_update(&a, value, seconds * 1000000, ANOMALY_SENSITIVITY);

		printf("%.17g %.17g %d\n", r.score, r.expected, (int) r.cause);
	}
	return 0;
}
