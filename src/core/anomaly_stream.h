/*
 * anomaly_stream.h: one metric of one version, minute by minute: a detector of anomalies that knows how many requests
 * stand behind each value, and says when what it saw is worth waking somebody. Pure, bounded, storable after any
 * point like the detector itself.
 */
#ifndef ANOMALY_STREAM_H
#define ANOMALY_STREAM_H

#include "core/anomaly.h"

typedef struct anomaly_stream
{
	anomaly detector;
	/* the incident that goes on; NO_TIME: none */
	int64_t since;
	double before;        /* what was usual when it began; also of an odd point not confirmed yet */
	double depth;         /* how far the worst odd point was from that */
	double usual_samples; /* of a point: quick to rise, slow to fall */
	/* of the points so far, slowly forgetting: mean of samples, and of value * samples */
	double mean_samples;
	double mean_sum;
	/* of the last few points, fading */
	double recent_samples;
	double recent_sum;
	uint64_t last_odd; /* number of the last point out of the usual; 0: none */
	int64_t last;      /* when the incident was last seen */
} anomaly_stream;

typedef struct anomaly_stream_result
{
	double score;    /* >= 1: anomalous; an incident says so once, see anomaly.h */
	double expected; /* NaN at the first point */
	double severity; /* the score of a point whose incident was told already */
	anomaly_cause cause;
	bool began; /* an incident: the second odd point of late, and more than so few requests show by chance */
} anomaly_stream_result;

#define ANOMALY_STREAM_SIZE (ANOMALY_SIZE + 10 * 8)
#define ANOMALY_MINUTE INT64_C(60000000)
#define ANOMALY_QUIET (15 * ANOMALY_MINUTE) /* an incident is over after so long without a sign of it */

extern void anomaly_stream_init(anomaly_stream *s);
/*
 * anomaly_stream_update: takes the minute that begins at `minute` in. value: finite; samples: requests behind it, > 0;
 * proportion: value is a share of the samples (a rate); sensitivity as in anomaly_update. Minutes come in their order.
 */
extern anomaly_stream_result anomaly_stream_update(anomaly_stream *s, double value, double samples, bool proportion,
												   int64_t minute, double sensitivity);
/* anomaly_stream_ends: whether the incident is over as all minutes before `now` are known; it is then forgotten. */
extern bool anomaly_stream_ends(anomaly_stream *s, int64_t now);
/* anomaly_stream_serialise, anomaly_stream_restore: as those of the detector. What seldom changes comes first. */
extern void anomaly_stream_serialise(const anomaly_stream *s, unsigned char bytes[ANOMALY_STREAM_SIZE]);
extern bool anomaly_stream_restore(anomaly_stream *s, const unsigned char *bytes, size_t length);

#endif
