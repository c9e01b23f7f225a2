/*
 * metric.h: what the models' versions did over some time, in the one vocabulary of core/metric.h. Between mm_enter and
 * mm_leave.
 */
#ifndef MM_METRIC_H
#define MM_METRIC_H

#include "pg/mm.h"

#include "core/metric.h"

/* One question: the first two fields are asked, the others answered. */
typedef struct metric_ask
{
	int64 version_id;
	const char *metric_name;
	double value;  /* NaN: no samples */
	int64 samples; /* 0: none */
	bool reported; /* from record_performance() or a metric source, since nothing was observed */
	TimestampTz last_at;
} metric_ask;

/*
 * metric_values: answers many questions over one window (since, until], exact to the microsecond at both ends (a busy
 * minute at the beginning counts whole), rows not folded yet and own rows included, in a few queries whatever n is.
 */
extern void metric_values(metric_ask *asks, int n, TimestampTz since, TimestampTz until);
/* metric_values_of: the same of the requests that were routed in a rollout after its warm-up alone, on either side; a
 * label that arrives late counts where its request was routed. What is reported has no requests and counts by its time.
 */
extern void metric_values_of(int64 deployment_id, metric_ask *asks, int n, TimestampTz since, TimestampTz until);

#endif
