/*
 * anomaly_internal.h: what the files about anomalies share. The streams of a feed are between anomaly_feed.c, which
 * feeds them and tells what they find, and anomaly_state.c, which keeps them in the table anomaly_state; both work
 * between mm_enter and mm_leave.
 */
#ifndef MM_ANOMALY_INTERNAL_H
#define MM_ANOMALY_INTERNAL_H

#include "pg/mm.h"

#include "utils/hsearch.h"

#include "core/anomaly_stream.h"

/* A clock that steps back by less only waits; by more, or when somebody sets it back, minutes are looked for again. */
#define ANOMALY_CLOCK_SLACK USECS_PER_HOUR

#define ANOMALY_METRICS 4

/* The metrics that are fed, by their canonical names. */
typedef struct anomaly_metric
{
	const char *name;
	bool proportion;
} anomaly_metric;

extern const anomaly_metric anomaly_metrics[ANOMALY_METRICS];

/* One stream while it is fed. */
typedef struct feed_stream
{
	anomaly_stream state;
	bool stored; /* has a row */
	bool lost;   /* and its state is of no use */
	bool changed;
	bool firing; /* its alert was written and not resolved */
	bool untold; /* an incident whose alert could not be written yet, with these facts */
	double value;
	double expected;
	int64 samples;
	Jsonb *evidence;
	TimestampTz fed_until; /* end of the last minute fed */
} feed_stream;

typedef struct version_streams
{
	int64 version_id; /* the key */
	bool described;
	int64 model_id; /* 0: no such version */
	char *model_name;
	char *version;
	feed_stream streams[ANOMALY_METRICS];
} version_streams;

typedef struct feed
{
	MemoryContext context; /* of what lives as long as the feed */
	HTAB *versions;
	TimestampTz now;
	TimestampTz deadline; /* of alerts */
	int64 points;
	int64 *failed;
} feed;

/* anomaly_check_sensitivity: > 0 and finite, else 22003 in the name of this function. */
extern double anomaly_check_sensitivity(const char *function, double sensitivity);

/* anomaly_find: the version's streams, made when new. */
extern version_streams *anomaly_find(feed *f, int64 version_id, bool *found);
/* anomaly_load: the stored states of these versions. */
extern void anomaly_load(feed *f, const int64 *version_ids, int count);
/* anomaly_load_alerts: the versions with an alert that fires, or is still to be told or resolved. */
extern void anomaly_load_alerts(feed *f);
/* anomaly_store: writes the streams that changed. A new one of a version that is gone gets no row. */
extern void anomaly_store(feed *f);
/* anomaly_forget_versions: removes the streams of versions that were deleted. */
extern void anomaly_forget_versions(void);

#endif
