/*
 * unit.h: the whole of what a unit test of src/core needs. A test is one C program: CHECKs in main, and at its end
 * `return unit_done();`. Failures are printed with file and line; the last line says "N passed, N failed" and the exit
 * status is 1 when any failed.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>

static int unit_passed;
static int unit_failed;

/* CHECK: counts a condition; the format and its values say what was seen. */
#define CHECK(condition, ...)                                                                                          \
	do                                                                                                                 \
	{                                                                                                                  \
		if (condition)                                                                                                 \
			unit_passed++;                                                                                             \
		else                                                                                                           \
		{                                                                                                              \
			unit_failed++;                                                                                             \
			printf("%s:%d: not so: %s: ", __FILE__, __LINE__, #condition);                                             \
			printf(__VA_ARGS__);                                                                                       \
			printf("\n");                                                                                              \
		}                                                                                                              \
	} while (0)

/* unit_done: prints the count and gives the exit status. */
static inline int
unit_done(void)
{
	printf("%d passed, %d failed\n", unit_passed, unit_failed);
	return unit_failed > 0;
}

#endif
