/*
 * deployment_store.h: what the files deployment*.c share: a rollout in memory, its transitions and its diary. Between
 * mm_enter and mm_leave, under mm_lock_model.
 */
#ifndef MM_DEPLOYMENT_STORE_H
#define MM_DEPLOYMENT_STORE_H

#include "pg/mm.h"

#include "core/guard.h"
#include "core/rollout.h"

/* Minutes of an evaluation window: not longer than minute rollups are kept. */
#define DEPLOYMENT_MAX_WINDOW 10080

/* Defaults of the limits, as deploy_model_version() declares them. */
#define DEPLOYMENT_MIN_SUCCESS_RATE 0.95
#define DEPLOYMENT_MAX_ERROR_RATE 0.10
#define DEPLOYMENT_MAX_RESPONSE_TIME 10.0
#define DEPLOYMENT_WINDOW 10

/* One deployment with its plan, as read last; transitions keep it current. */
typedef struct deployment
{
	TimestampTz at; /* when it was read: now, for all that is looked at, decided and written of it at once */
	int64 deployment_id;
	int64 model_id;
	int64 version_id;
	int64 baseline_version_id; /* 0: none */
	char *model_name;
	char *version;
	char *baseline_version;
	char *strategy;
	char *status;
	double traffic_percentage;
	int32 step;
	int32 window_minutes;
	char *bucket_key;
	char *waiting_for;
	char *deployed_by;
	char *test_id; /* NULL: none */
	Jsonb *rollout;
	Jsonb *health_criteria;
	TimestampTz step_started_at;
	TimestampTz started_at; /* 0: pending */
	TimestampTz bake_until;
	TimestampTz awaiting_since; /* 0: not awaiting approval */
	int32 approved_step;        /* may be entered; 0: none was approved */
	TimestampTz frozen_until;   /* 0: not frozen (now) */
	rollout_plan plan;
	const char **criterion_metrics; /* of plan.criteria: the names as they were given */
	bool guarded;
	guard_margin margins[ROLLOUT_METRICS];
} deployment;

/* One step of both sides, as the guard takes it, and how many of its requests were drawn by lot. */
typedef struct deployment_stratum
{
	int32 step;
	guard_stratum counts;
	int64 drawn_candidate;
	int64 drawn_baseline;
} deployment_stratum;

/* A look at a rollout: the facts, and what the core says of them. */
typedef struct deployment_look
{
	TimestampTz now;
	TimestampTz window_start;
	rollout_state state;
	rollout_tally window;
	rollout_tally step;
	rollout_tally baseline_window; /* for evidence and views */
	rollout_tally baseline_step;
	int stratum_count;
	deployment_stratum *strata;
	rollout_measured *measured; /* one a criterion; NULL: none */

	guard_verdict guard;
	guard_sample_ratio ratio;
	rollout_decision decision;
	Jsonb *evidence; /* made on first use, before the state changes */
} deployment_look;

/* deployment_store.c */
extern bool deployment_load(int64 deployment_id, deployment *out);
/* deployment_load_many: those of n that exist, in this order; returns how many. */
extern int deployment_load_many(const int64 *deployment_ids, int n, deployment *out);
/* deployment_time: as diaries write it, in UTC. */
extern char *deployment_time(TimestampTz time);
/* deployment_load_locked: takes the model's lock, then reads; 42704 when there is no such deployment. */
extern void deployment_load_locked(int64 deployment_id, deployment *out);
/* deployment_fresh: above READ COMMITTED, 40001 when the model's routing changed after our snapshot. */
extern void deployment_fresh(int64 model_id);
/* deployment_open_id: the model's rollout below 100 %, else (when baking too) the baking one; 0: none. */
extern int64 deployment_open_id(int64 model_id, bool baking_too);
/* deployment_live_id: the model's rollout that requests are credited to: begun and below 100 %, or baking; 0: none. A
 * pending one may wait beside a bake. */
extern int64 deployment_live_id(int64 model_id);
extern rollout_phase deployment_phase(const deployment *d);
extern bool deployment_is_pending(const deployment *d);
extern bool deployment_is_open(const deployment *d);   /* below 100 %, pending too */
extern bool deployment_is_baking(const deployment *d); /* at 100 %, promoting */
/* deployment_update: stores status, share and step as they are in *d; reason may be NULL. Ended ones get their end. */
extern void deployment_update(const deployment *d, const char *reason);
/* deployment_wait: stores what a rollout waits for; true when that changed. */
extern bool deployment_wait(deployment *d, const char *waiting_for, TimestampTz next_at);
/* deployment_store_bake: stores bake_until alone. */
extern void deployment_store_bake(const deployment *d);
/* deployment_note: appends to the diary. look may be NULL; metric ROLLOUT_METRICS: the numbers of the criterion or
 * guard that is the look's cause, else none. */
extern void deployment_note(const deployment *d, const char *what, deployment_look *look, rollout_metric metric);
/* deployment_note_evidence: the same with evidence of the caller's. */
extern void deployment_note_evidence(const deployment *d, const char *what, const char *metric_name,
									 const Jsonb *evidence);
/* deployment_emit: writes event deployment.<what> of it, with `data` beside what every such event carries: strategy,
 * baseline_version and the share now. */
extern void deployment_emit(const deployment *d, const char *what, const Jsonb *data);
/* deployment_route: makes the model's routing what the rollout's state says. */
extern void deployment_route(const deployment *d);
/* deployment_row: the public row as a composite that outlives mm_leave. */
extern Datum deployment_row(int64 deployment_id);

/* deployment_evidence.c */
/* deployment_evidence: everything the decision was made on; made once a look. */
extern Jsonb *deployment_evidence(const deployment *d, deployment_look *look);

/* deployment_words.c */
/* deployment_reason: the cause of a rollback, or of what would be one, in plain words with its numbers. */
extern char *deployment_reason(const deployment *d, const deployment_look *look);
/* deployment_waits: what is waited for and until when, a sentence; after it in brackets the rollout key or verb. */
extern char *deployment_waits(const deployment *d, const deployment_look *look);
extern char *deployment_ratio_words(const deployment_look *look);
/* deployment_number: a value with as many digits as tell it from its limit. */
extern char *deployment_number(double value, double limit);

/* deployment_plan.c: the rollout keys. */
/* deployment_plan_parse: checks a rollout argument, fills *plan but for limits and criteria, and returns the effective
 * rollout to store: every key, null where there is none. traffic_percentage: NULL when not given. */
extern Jsonb *deployment_plan_parse(const Jsonb *rollout, const char *strategy, int32 window_minutes,
									const double *traffic_percentage, rollout_plan *plan);
/* deployment_plan_resolve: an effective rollout whose preview_segment names a segment, with that one's condition
 * instead; 42704 when the model has none of that name. */
extern Jsonb *deployment_plan_resolve(int64 model_id, const char *model_name, Jsonb *rollout);
/* deployment_plan_read: the effective plan back from a stored rollout; limits and criteria are the caller's. */
extern void deployment_plan_read(const Jsonb *rollout, const char *strategy, rollout_plan *plan);
/* deployment_plan_guard: the guard's margins; false when it is off. */
extern bool deployment_plan_guard(const Jsonb *rollout, guard_margin *margins);
extern rollout_shape deployment_plan_shape(const char *strategy);
extern double deployment_plan_share(double share, const char *name);
extern bool deployment_plan_sticky(const Jsonb *rollout);
/* deployment_plan_rules: the rules of an effective rollout, a list; NULL: none. */
extern const Jsonb *deployment_plan_rules(const Jsonb *rollout);
/* deployment_plan_preview: the condition of a blue-green's preview (a string until it is stored: a segment's name);
 * deployment_plan_test: the arguments of an A/B test. NULL: none. */
extern const Jsonb *deployment_plan_preview(const Jsonb *rollout);
extern const Jsonb *deployment_plan_test(const Jsonb *rollout);
/* deployment_plan_taken_test: the test_id that the test is to have, when a test has it; else NULL. */
extern char *deployment_plan_taken_test(const Jsonb *rollout);
/* deployment_plan_refuse_taken_test: 42710 for it: now rather than when the test is to begin. */
extern void deployment_plan_refuse_taken_test(const Jsonb *rollout);

/* deployment_validation.c */
extern bool deployment_has_rules(const deployment *d);
/* deployment_ask_rules: stores the rules of a new one, to be judged once its start_at has come. */
extern void deployment_ask_rules(const deployment *d);
/* deployment_validation: how far a pending one is with its rules; *why (may be NULL): what refuses it. */
extern rollout_validation deployment_validation(const deployment *d, char **why);
/* deployment_validate: the rules of a pending one are due: its version is validating from here on. */
extern void deployment_validate(const deployment *d);
/* deployment_stop_validating: it ends without having been judged: its version is what it was before. */
extern void deployment_stop_validating(const deployment *d);
/* deployment_require_validated: 55000 unless all rules of a pending one are judged and passed. */
extern void deployment_require_validated(const deployment *d);

/* deployment_health.c */
/* deployment_health_parse: fills plan->criteria from health_criteria, and *metrics with the name of each one's metric;
 * 22P02, 22023, 22003, 54000. For stored ones too. */
extern void deployment_health_parse(const Jsonb *health, rollout_plan *plan, const char ***metrics);

/* deployment_look.c */
extern void deployment_look_at(const deployment *d, deployment_look *look);
/* deployment_look_many: the same at n rollouts, in a few queries. */
extern void deployment_look_many(const deployment *d, deployment_look *looks, int n);
/* deployment_decide: guard, sample ratio and decision from the facts in *look. Touches no table. */
extern void deployment_decide(const deployment *d, deployment_look *look);
/* deployment_look_at_baseline: the baseline's own window against the limits, and against the criteria that are no
 * ratios to itself. */
extern void deployment_look_at_baseline(const deployment *d, deployment_look *look);

/* deployment_judge.c */
/* deployment_roll_back: what the look's cause leads to. */
extern void deployment_roll_back(deployment *d, deployment_look *look);
/*
 * deployment_apply.c: one function a rollout_action of the core; each is the whole transition. by_whom as in "promoted
 * by mary", NULL for the tick; look NULL where nothing was looked at.
 */
/* deployment_start: ROLLOUT_START: a pending one begins: at its first step, or completed where nothing else serves; a
 * bake before it ends here, its baseline is what serves then. A version archived meanwhile, or (by_whom NULL) a test_id
 * taken meanwhile: deployment_reject. */
extern void deployment_start(deployment *d, const char *by_whom);
/* deployment_reject: ROLLOUT_REJECT: a pending one becomes failed, and its version too where that is to blame. */
extern void deployment_reject(deployment *d, const char *reason, bool blame);
/* deployment_enter_step: ROLLOUT_STEP, ROLLOUT_BAKE: takes step number `step` now: share, routing, statuses, test. */
extern void deployment_enter_step(deployment *d, int32 step, deployment_look *look, const char *by_whom);
/* deployment_end_bake: ends a bake of the model, judged once more, for `version` comes next. */
extern void deployment_end_bake(int64 model_id, const char *version);
/* deployment_await: ROLLOUT_AWAIT_APPROVAL: asks for approval of the step after this one. */
extern void deployment_await(deployment *d, deployment_look *look);
/* deployment_conclude: ROLLOUT_CONCLUDE: a shadow has passed: completed where it is, its version ready. */
extern void deployment_conclude(deployment *d, deployment_look *look, const char *by_whom);
/* deployment_complete: ROLLOUT_COMPLETE: the bake is over. */
extern void deployment_complete(deployment *d, deployment_look *look, const char *why);

/* deployment_rollback.c */
/* deployment_end: ends a rollout as rolled_back or aborted and gives all traffic to `target`. */
extern void deployment_end(deployment *d, const char *status, int64 target_version_id, const char *target_version,
						   const char *reason, deployment_look *look, bool automatic);

/* deployment_verbs.c */
/* deployment_asks_approval: whether somebody must approve a step before it is taken, and nobody has. */
extern bool deployment_asks_approval(const deployment *d, int32 step);
/* deployment_wrong_state: 55000 that names the state and the way out; verb as in "promoted". */
extern void deployment_wrong_state(const deployment *d, const char *verb) __attribute__((noreturn));
/* deployment_pause: keeps a running rollout's share where it is. */
extern void deployment_pause(deployment *d, const char *reason);

#endif
