/*
 * experiment.h: the A/B test behind a deployment of strategy a_b_test. Between mm_enter and mm_leave, under
 * mm_lock_model.
 */
#ifndef MM_EXPERIMENT_H
#define MM_EXPERIMENT_H

#include "pg/deployment_store.h"

/* experiment_check: arguments that a deployment may give its test, besides their names: types and ranges; 22P02, 22003,
 * 22023, 42602, 42622. */
extern void experiment_check(const Jsonb *test_arguments);
/* experiment_open: begins the test of a deployment whose first step begins now: its version against the baseline, at
 * the step's share, with these arguments of create_test() (rollout key test). Returns its test_id. */
extern char *experiment_open(const deployment *d, const Jsonb *test_arguments);
/* experiment_verdict: what the test of d->test_id ended with; running while it has not. Reads only. */
extern rollout_test experiment_verdict(const deployment *d);
/* experiment_reason: the same in words, with the numbers. */
extern char *experiment_reason(const deployment *d);
/* experiment_try: locks a test for this transaction, so that what happens without anybody waiting for it may end it;
 * false when somebody else has it. NULL: there is none to lock. */
extern bool experiment_try(const char *test_id);
/* experiment_close: stops the test, if it runs: its rollout has gone on to 100 %, or has ended, without its verdict. */
extern void experiment_close(const deployment *d, const char *reason);
/* experiment_prunable: tests that ended before `limit`, which no outcome can reach any more, and still have rows of
 * their units; by test_no. */
extern int experiment_prunable(TimestampTz limit, int64 **test_nos);
/* experiment_prune: deletes what such a test has of each unit; its sums and results stay. Returns rows. */
extern int64 experiment_prune(int64 test_no, TimestampTz limit);
/* experiment_advance_all: every test that runs: looks that are due, ends, shares; starts nothing after `deadline`.
 * Returns tests of which something was written, adds to *failed. Called by tick(). */
extern int64 experiment_advance_all(TimestampTz deadline, int64 *failed);

#endif
