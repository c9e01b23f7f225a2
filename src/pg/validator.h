/*
 * validator.h: rules that a version must pass before an update, or a deployment, begins. Who asks stores the rules as
 * rows of validation_result (validator_ask); work() judges one a time (validator_begin, validator_run); who asks reads
 * the verdict. Between mm_enter and mm_leave.
 */
#ifndef MM_VALIDATOR_H
#define MM_VALIDATOR_H

#include "pg/mm.h"

/*
 * validator_rules: the value of validation_rules checked, each rule with every key: 22P02 no list of objects, 22023
 * unknown or missing key or severity, 54000 too many or too long. NULL pointer: an empty list. Touches no table.
 */
extern Jsonb *validator_rules(const Jsonb *rules);
/* validator_require: 42704 for a rule whose validator is neither registered nor shipped. */
extern void validator_require(const Jsonb *rules);

/* validator_ask: stores the rules of an update, or (update_id NULL) of a deployment, to be judged from `due` on. */
extern void validator_ask(const char *update_id, int64 deployment_id, const Jsonb *rules, TimestampTz due);
/* validator_postpone: those of a deployment that are not judged yet are due at another time. */
extern void validator_postpone(int64 deployment_id, TimestampTz due);

typedef enum validator_verdict
{
	VALIDATOR_PASSED, /* or nothing was asked */
	VALIDATOR_WAITS,
	VALIDATOR_REFUSED
} validator_verdict;

/* validator_judge: the verdict so far; *why (may be NULL) names what refuses, in words. A refusal waits for the other
 * rules, so that all of them are shown. */
extern validator_verdict validator_judge(const char *update_id, int64 deployment_id, char **why);
/* validator_results: an array of what was judged, as update_run.validation_results shows it. */
extern Jsonb *validator_results(const char *update_id, int64 deployment_id);

/*
 * What work() does for each rule that is due: validator_begin marks it (false: nothing to do, or somebody else is at
 * it); commit, then validator_run judges; validator_interrupted when that transaction came to nothing. A validator that
 * raises, is cancelled, or takes its session down has not passed, and is not tried again.
 */
extern bool validator_begin(int64 result_id);
extern void validator_run(int64 result_id);
extern void validator_interrupted(int64 result_id, const char *reason);

#endif
