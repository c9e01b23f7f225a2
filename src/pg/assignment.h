/*
 * assignment.h: which arm of a test a unit is in, and what a backend keeps of tests to tell. The rule is flagd's
 * (core/bucket.h) with the test's id as key: treatment first, then the further arms, control last; beyond them lies
 * what the test does not cover. In an exclusion group the group's name draws the test first, and its id the arm.
 */
#ifndef MM_ASSIGNMENT_H
#define MM_ASSIGNMENT_H

#include "pg/experiment_store.h"

#include "core/arms.h"
#include "pg/routing.h"

typedef struct assignment_arm
{
	const char *variant;
	uint32 variant_length;
	int64 version_id; /* 0: not in the registry */
	const char *model_name;
	uint32 model_length;
} assignment_arm;

/* A test as the cache keeps it. */
typedef struct assignment_test
{
	routing_kept kept;
	TransactionId xmin;
	int64 revision;
	int64 test_no;
	bool running;
	int16 winner; /* arm; -1: none */
	int16 arm_count;
	struct arms draw;
	uint32 limit[TEST_MAX_ARMS];
	uint32 id_length;
	const char *test_id;
	assignment_arm arms[FLEXIBLE_ARRAY_MEMBER];
} assignment_test;

/* assignment_find: a test by its id, NULL when there is none; good until the next call. No SPI, no lock and no rights
 * of the caller; on standbys too. */
extern const assignment_test *assignment_find(const char *test_id, int length);
/* assignment_require: the same; 42704 when there is none. */
extern const assignment_test *assignment_require(const char *test_id, int length);

/* What follows writes; between mm_enter and mm_leave. */
/* assignment_create: a new test's. */
extern void assignment_create(int64 test_no);
/* assignment_carried: the test that carries the traffic of a model, by its id; NULL: none. Not those of rollouts. */
extern char *assignment_carried(int64 model_id);
/* assignment_carries: whether a version serves in an arm of that test and nowhere else. */
extern bool assignment_carries(int64 model_id, int64 version_id);
/* assignment_carry: lets a new test carry its model's traffic, under the model's lock; 22023, 55000, 55006. */
extern void assignment_carry(int64 test_no, int64 model_id);
/* assignment_stop: stops the test that carries the traffic of a model, under the model's lock; false when there is
 * none. */
extern bool assignment_stop(int64 model_id, const char *reason);
/* assignment_set_shares: begins a new epoch of a running test, for route() too where it carries its model's traffic,
 * then under the model's lock; shares by arm, their sum is 1. */
extern void assignment_set_shares(int64 test_no, const double *shares);
/* assignment_close: the test has ended, won by `winner` (an arm, or EXPERIMENT_NO_ARM). Where it carried the traffic of
 * its model, everybody is with the stable version again; then under the model's lock. */
extern void assignment_close(int64 test_no, int winner);

#endif
