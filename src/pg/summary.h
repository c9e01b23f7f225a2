/*
 * summary.h: between the type summary and its aggregates.
 */
#ifndef MM_SUMMARY_H
#define MM_SUMMARY_H

#include "pg/statistics.h"

/* summary_datum: the stored form as a datum in the current context; 22003 when its sums left the doubles. */
extern Datum summary_datum(summary *s, const char *function);
/* summary_damaged: XX001. */
extern void summary_damaged(void) __attribute__((noreturn));

#endif
