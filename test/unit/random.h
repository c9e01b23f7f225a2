/*
 * random.h: the numbers that simulations draw, the same for the same seed.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <math.h>
#include <stdint.h>

/* xoshiro256+ (Blackman and Vigna 2018), seeded by SplitMix64. */
static uint64_t state[4];

static inline void
seed(uint64_t z)
{
	for (int i = 0; i < 4; i++)
	{
		uint64_t x = (z += 0x9e3779b97f4a7c15ULL);

		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
		x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
		state[i] = x ^ (x >> 31);
	}
}

static inline double
uniform(void)
{
	uint64_t result = state[0] + state[3];
	uint64_t t = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= t;
	state[3] = (state[3] << 45) | (state[3] >> 19);
	return (double) (result >> 11) * 0x1p-53;
}

/* normal: Marsaglia's polar method, one of the pair thrown away. */
static inline double
normal(void)
{
	double u;
	double v;
	double s;

	do
	{
		u = 2 * uniform() - 1;
		v = 2 * uniform() - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	return u * sqrt(-2 * log(s) / s);
}

#endif
