/*
 * experiment_analysis.h: what the files experiment_{analyze,look,evidence,end,words,tick}.c share: a test as the core
 * takes it, what the core says of it, and what is done about that. Between mm_enter and mm_leave.
 */
#ifndef MM_EXPERIMENT_ANALYSIS_H
#define MM_EXPERIMENT_ANALYSIS_H

#include "pg/experiment_store.h"

#include "core/experiment.h"

/* A test that was read, and what is said of it. */
typedef struct test_analysis
{
	const experiment *e;
	TimestampTz now;
	experiment_plan plan;
	experiment_data data;
	experiment_past past;
	experiment_decision standing; /* of the last recorded look that decided something */
	bool over;                    /* that was the last look, and nobody won: past.standing is NULL */
	const int32 *significant;     /* estimates that were significant at that look, by their places */
	int significant_count;
	experiment_estimate *estimates; /* [metrics][arms] */
	experiment_result result;
	experiment_decision answered; /* as the core said it, before what stands already was put in its place */
	bool stored;                  /* it has a row in ab_test_result, and this is in it */
	experiment_status stored_status;
	char *stored_words;
	int64 stored_control; /* samples */
	int64 stored_treatment;
	double stored_information;
	/* Of the last recorded look; NaN: none. */
	double boundary_p_value;
	double conditional_power;
	int looks;          /* recorded when it was read */
	bool mismatch_told; /* that the sample ratio is off has been said */
} test_analysis;

/* experiment_analyze.c */
/* analysis_read: n tests with what is known of them, in a few statements whatever n is; says nothing of them yet. */
extern void analysis_read(experiment *e, int n, test_analysis *out);
/* analysis_look: what the core says, at this moment; records nothing. */
extern void analysis_look(test_analysis *a);
/* analysis_show: the estimates of this moment beside the verdict of the last recorded look. */
extern void analysis_show(test_analysis *a);
/* analysis_status_of: the status of this name. */
extern experiment_status analysis_status_of(const char *name);
/* analysis_estimate: of a metric in an arm. */
extern const experiment_estimate *analysis_estimate(const test_analysis *a, int metric, int arm);
/* analysis_leading: that of the metric that decides in the arm whose numbers stand for the test. */
extern const experiment_estimate *analysis_leading(const test_analysis *a);
/* analysis_is_over: nothing more can be expected of this test: verdict, futility, a broken guardrail or its end. */
extern bool analysis_is_over(const test_analysis *a);
/* analysis_significant: a boundary has been crossed, and there is a winner. */
extern bool analysis_significant(const test_analysis *a);

/* experiment_look.c */
/* analysis_lock: orders all who write of a test; false when somebody else is at it and wait is false, or when there is
 * no such test. */
extern bool analysis_lock(const char *test_id, bool wait);
/* analysis_record: the look that result is, or the end, with its evidence; an end has a verdict, if only that there is
 * none. The test is locked. */
extern void analysis_record(test_analysis *a, bool end);
/* analysis_move_shares: of a test of allocation thompson: draws the shares of its next epoch; false when they stay. The
 * test is locked, and its model where it needs that. */
extern bool analysis_move_shares(const test_analysis *a);
/* analysis_store: the result as callers see it, with this recommendation or (NULL) that of a test that runs; its row is
 * the last query's. */
extern void analysis_store(const test_analysis *a, const char *words);
/* experiment_unknown: 42704. */
extern void experiment_unknown(const char *test_id) __attribute__((noreturn));
/* analysis_tell_mismatch: the event that the sample ratio is off, once a test. */
extern void analysis_tell_mismatch(test_analysis *a);

/* experiment_evidence.c */
/* analysis_evidence: of the look, or (not NULL) of the shares that were drawn for the next epoch. */
extern Jsonb *analysis_evidence(const test_analysis *a, const double *shares);
/* analysis_seed: of the draws for the epoch after those there are: the same in every process. */
extern int64 analysis_seed(const experiment *e);

/* experiment_words.c */
/* analysis_verdict_words: what the numbers say: "treatment wins: success_rate 0.95 of ...". */
extern char *analysis_verdict_words(const test_analysis *a);
/* analysis_recommendation: what to do and why, of a test that runs. */
extern char *analysis_recommendation(const test_analysis *a);
/* analysis_final_words: the same of one that ends now, for this reason. */
extern char *analysis_final_words(const test_analysis *a, const char *reason);

/* experiment_end.c */
/* analysis_end: ends it: completed by its own verdict, or stopped for a reason. The test is locked and, where
 * analysis_needs_model, its model before it. */
extern void analysis_end(test_analysis *a, const char *stop_reason);
/* analysis_needs_model: its end changes the model's state. */
extern bool analysis_needs_model(const experiment *e);

#endif
