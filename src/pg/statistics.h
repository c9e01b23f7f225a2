/*
 * statistics.h: what the SQL side of the statistics shares: results as rows, memory for the core, checks of arguments.
 */
#ifndef MM_STATISTICS_H
#define MM_STATISTICS_H

#include "pg/mm.h"

#include "core/hypothesis.h"
#include "core/sequential.h"
#include "core/moments.h"
#include "core/summary.h"

#define STATISTICS_CONFIDENCE 0.95

/* statistics_result: a row of test_result; what is NaN becomes NULL. */
extern Datum statistics_result(FunctionCallInfo fcinfo, const hypothesis_result *result);
/* statistics_memory: the core's allocations, in the memory context given as its context (NULL: the current one). */
extern void *statistics_memory(void *context, void *old, size_t size);

/* statistics_caller: memory and interruptions for what the core computes at length. */
extern const sequential_caller statistics_caller;

/* statistics_float: a required float8 argument between low and high, ends excluded where `open`. */
extern double statistics_float(FunctionCallInfo fcinfo, int argno, const char *name, double low, double high,
							   bool open);
/* statistics_float_or: the same with a default for NULL. */
extern double statistics_float_or(FunctionCallInfo fcinfo, int argno, const char *name, double otherwise, double low,
								  double high, bool open);
/* statistics_confidence: the argument confidence_level, 0.95 when NULL, between 0 and 1. */
extern double statistics_confidence(FunctionCallInfo fcinfo, int argno);
/* statistics_count: a required bigint argument, at least `low`. */
extern int64 statistics_count(FunctionCallInfo fcinfo, int argno, const char *name, int64 low);
/* statistics_overflow: 22003 for sums that left the range of doubles. */
extern void statistics_overflow(const char *function) __attribute__((noreturn));
/* statistics_refuse_value: 22003 for NaN or infinity in a row of an aggregate. */
extern void statistics_refuse_value(const char *function, const char *meaning, double value) __attribute__((noreturn));

/* statistics_arm: an arm of a test of means, from its moments. */
static inline hypothesis_arm
statistics_arm(const moments *m)
{
	return (hypothesis_arm){m->n, m->n > 0 ? moments_mean(m) : (dd){0, 0}, moments_variance(m)};
}

#endif
