/*
 * repetition.h: what simulations of promises about repetition share: how often they repeat, and how far a rate that is
 * seen may be from the one that is promised.
 */
#ifndef REPETITION_H
#define REPETITION_H

#include <math.h>
#include <stdlib.h>

/* thorough: whether this is the long form (make soak). */
static inline int
thorough(void)
{
	return getenv("MODEL_MGR_SOAK") != NULL;
}

/* runs_of: repetitions of the short and of the long form. */
static inline int
runs_of(int brief, int full)
{
	return thorough() ? full : brief;
}

/* band: half the binomial 99 % band of a rate. */
static inline double
band(double rate, int runs)
{
	return 2.5758 * sqrt(rate * (1 - rate) / runs);
}

#endif
