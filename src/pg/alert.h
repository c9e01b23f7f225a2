/*
 * alert.h: the life of alerts, for whoever finds a condition: thresholds, the anomaly detector, the rollouts. Between
 * mm_enter and mm_leave, under mm_lock_model.
 */
#ifndef MM_ALERT_H
#define MM_ALERT_H

#include "pg/mm.h"

/* A condition that holds. One alert a condition (kind, version, metric, threshold) however long it lasts. */
typedef struct alert_facts
{
	const char *kind; /* threshold, anomaly, rollout, no_data */
	int64 model_id;
	int64 version_id; /* 0: the model as a whole */
	const char *model_name;
	const char *version;     /* NULL with version_id 0 */
	const char *metric_name; /* NULL: none */
	const char *severity;    /* info, warning, critical */
	const char *summary;     /* one sentence with the numbers */
	double current_value;    /* NaN: none */
	int64 samples;
	int64 deployment_id; /* 0: none */
	const Jsonb *evidence;
} alert_facts;

/* alert_fire: a condition without a waiting time: makes the alert of it, or brings value and samples of the one that
 * fires already up to date. Returns its id; *fresh says whether it was made. */
extern int64 alert_fire(const alert_facts *facts, bool *fresh);
/* alert_resolve: the condition holds no longer; true when an alert fired. metric_name may be NULL. */
extern bool alert_resolve(const char *kind, int64 model_id, int64 version_id, const char *metric_name);

/* threshold_look: looks at one model's thresholds now (enforcement at commit); true when it changed an alert. */
extern bool threshold_look(int64 model_id);
/* threshold_look_all: looks at every model that has thresholds or open alerts, in batches of queries, each model's
 * changes guarded on its own; starts no new model after `deadline`. Returns alerts changed, adds to *failed. */
extern int64 threshold_look_all(TimestampTz deadline, int64 *failed);
/* alert_emit_due: writes the events of alerts that fire, are not silenced, and have none yet. Returns how many. */
extern int64 alert_emit_due(void);
/* alert_prune: deletes alerts that were over before `limit`. Returns how many. Takes no lock of a model: nobody writes
 * a resolved alert. */
extern int64 alert_prune(TimestampTz limit);

#endif
