/*
 * update.h: updates and their schedules. Between mm_enter and mm_leave; what writes an update holds its model's lock.
 */
#ifndef MM_UPDATE_H
#define MM_UPDATE_H

#include "pg/mm.h"

#include "pg/registry.h"

/* What an update or a schedule is asked for with, checked. */
typedef struct update_wish
{
	const char *model_name;
	const char *target_version; /* a version, @alias or latest */
	const char *strategy;
	const char *trigger;
	const char *by;
	const char *asked_by;    /* registry_acting() */
	const char *schedule_id; /* NULL: asked for by hand */
	const char *idempotency_key;
	bool allow_prerelease;
	Datum notes;  /* text[] */
	Jsonb *rules; /* every key with its value */
} update_wish;

/* update_check_target: 42704 for a version or alias that is not there, 55000 for an archived one. Under the model's
 * lock. */
extern void update_check_target(const char *model_name, const char *target_version);
/* update_open: the model's open update to that target, of that schedule or (NULL) asked for by hand; NULL: none. */
extern char *update_open(const char *model_name, const char *target_version, const char *schedule_id);
/* update_insert: a new one, pending; its update_id. Under the model's lock. */
extern char *update_insert(int64 model_id, const update_wish *wish);

/* What a target means now, and whether that is to be deployed. */
typedef struct update_target
{
	registry_version version;
	char *active;    /* NULL: none */
	bool found;      /* there is such a version */
	bool serves;     /* it is the active one */
	char *not_to_be; /* why it is not to be deployed: nothing newer, or taken back; NULL: it is */
	Jsonb *evidence; /* of not_to_be */
} update_target;

/* update_look_up: bringer: in words, what brings neither that which serves nor that which was taken back; NULL:
 * somebody who named a version. */
extern void update_look_up(int64 model_id, const char *model_name, const char *target_version, bool allow_prerelease,
						   const char *bringer, update_target *out);
/* update_bringer: that of an update; NULL: somebody who named a version. */
extern const char *update_bringer(const char *target_version, const char *schedule_id);

/* update_end: the status that it ends in, with its reason, event and audit line. */
extern void update_end(const char *update_id, const char *status, const char *reason, const Jsonb *evidence);
/* update_follow: what became of a deployment, told by deployment_update() in its transaction: the updates that wait for
 * it, or completed with it while it bakes, end so. */
extern void update_follow(int64 deployment_id, const char *status, const char *reason);
/* update_advance_all: asks for the updates whose schedules are due, then takes each model's first open one on as far as
 * it goes; begins nothing after `deadline`. Returns what changed, adds to *failed. Called by tick(). */
extern int64 update_advance_all(TimestampTz deadline, int64 *failed);
/* schedule_import: a schedule of a document, as schedule_update() makes it, but for the target: an exported schedule
 * may name an alias that was deleted, or a version that was archived, after it was made. That is a NOTICE here. */
extern void schedule_import(const update_wish *wish, const char *expression, const char *zone);

/* schedule_run_due: the part of it for schedules. */
extern int64 schedule_run_due(TimestampTz deadline, int64 *failed);

#endif
