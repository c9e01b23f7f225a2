/*
 * threshold.h: what the files threshold*.c share: one threshold, checked. Usable anywhere; touches no table.
 */
#ifndef MM_THRESHOLD_H
#define MM_THRESHOLD_H

#include "pg/mm.h"

#include "core/breach.h"

#define THRESHOLD_MAX 1000 /* a model */
#define THRESHOLD_MAX_MINUTES 525600

/* performance_threshold's keys. The words are those of the contract. */
typedef struct threshold
{
	const char *metric_name;
	double value;
	breach_operator operator_;
	const char *severity;
	int32 duration_minutes;
	const char *action;
	const char *on_no_data;
} threshold;

/* threshold_parse: the whole list of set_thresholds(), checked before anything is touched; palloc'd. */
extern threshold *threshold_parse(const Jsonb *from, int *count);
/* threshold_json: as performance_threshold() gives it; the value keeps every digit. */
extern Jsonb *threshold_json(const threshold *t);
/* threshold_rule: the same for the core. */
extern breach_rule threshold_rule(const threshold *t);

/* An alert that fires, for the action that its threshold asks for. */
typedef struct threshold_alert
{
	int64 alert_id;
	int64 model_id;
	int64 version_id;
	const char *model_name;
	const char *version;
	const threshold *threshold;
	double value; /* NaN: no samples */
	int64 samples;
	const char *summary;
	const Jsonb *evidence;
} threshold_alert;

/* threshold_act: takes the version back or pauses the rollout, as the threshold says, and tells in plain words what
 * came of it; *deployment_id is set when it ended or paused one. A version that cannot be taken back goes on serving,
 * which is an alert of its own. */
extern char *threshold_act(const threshold_alert *alert, int64 *deployment_id);

#endif
