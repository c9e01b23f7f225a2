/*
 * sequential.h: group-sequential boundaries (alpha spending), anytime-valid intervals, and adjustment of p-values for
 * several hypotheses.
 */
#ifndef SEQUENTIAL_H
#define SEQUENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hypothesis.h"

#define SEQUENTIAL_LOOKS_MAX 500

typedef enum sequential_spending
{
	SEQUENTIAL_OBRIEN_FLEMING,
	SEQUENTIAL_POCOCK
} sequential_spending;

/* What the computation needs from its caller: memory, and a chance to stop it (may be NULL; may not return). */
typedef struct sequential_caller
{
	void *(*allocate)(size_t size);
	void (*release)(void *memory);
	void (*breathe)(void);
} sequential_caller;

/* sequential_spent: error probability a side spent up to information fraction t, of `side` = (1 - confidence) / 2. */
extern double sequential_spent(double t, double side, sequential_spending spending);

/*
 * sequential_boundaries: for looks at ascending information fractions in (0, 1], the z beyond which to stop at each.
 * A look that has less than 1e-300 to spend gets infinity.
 */
extern void sequential_boundaries(const double *fraction, int looks, double confidence_level,
								  sequential_spending spending, double *z, const sequential_caller *caller);

/*
 * sequential_solve: the same for any spending: spent[k] is the error probability that a side has spent up to look k,
 * ascending. z may be spent itself.
 */
extern void sequential_solve(const double *fraction, const double *spent, int looks, double *z,
							 const sequential_caller *caller);

/* What a look leaves behind for those after it; numbers that can be stored. */
typedef struct sequential_state
{
	size_t count;   /* 0: none */
	double *number; /* of the caller's memory */
} sequential_state;

/*
 * sequential_continue: the boundaries where a side spends `side` over the looks; `all`: the last one spends what is
 * left. Goes on from the state of some of the first looks (NULL, or one of others: from the beginning): z of the looks
 * before that one is NaN. Returns the state of the first `kept` looks, empty for 0 and for fewer than `from` is of.
 * The numbers are the same from wherever it goes on.
 */
extern sequential_state sequential_continue(const double *fraction, int looks, int kept, double side,
											sequential_spending spending, bool all, const sequential_state *from,
											double *z, const sequential_caller *caller);
/*
 * sequential_power: probability that |Z| is at or beyond z at some look before it was within inner at an earlier one
 * (NULL: never stopped inside), for each of several drifts: the mean of Z at fraction 1. `from` (NULL: none): state of
 * some of the first looks, within which nothing stopped inside but for its last one.
 */
extern void sequential_power(const double *fraction, const double *z, const double *inner, int looks,
							 const sequential_state *from, const double *drift, int drifts, double *power,
							 const sequential_caller *caller);

/* sequential_anytime: interval and p-value that stay valid whenever and however often they are looked at. */
extern void sequential_anytime(hypothesis_arm control, hypothesis_arm treatment, double confidence_level,
							   double *ci_low, double *ci_high, double *p_value);

/* sequential_adjust: Holm's step-down (holm true) or Benjamini and Hochberg's step-up adjusted p-values, in place. */
extern void sequential_adjust(double *p, int n, int holm, const sequential_caller *caller);

#endif
