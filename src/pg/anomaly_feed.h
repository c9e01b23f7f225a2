/*
 * anomaly_feed.h: the detectors of every version's main metrics, fed from complete minutes. Between mm_enter and
 * mm_leave.
 */
#ifndef MM_ANOMALY_FEED_H
#define MM_ANOMALY_FEED_H

#include "pg/mm.h"

/*
 * anomaly_feed: feeds every minute that was complete at `now`, is folded, and was not fed yet, each once and in order,
 * and fires and resolves the alerts that follow; reads no more minutes after `deadline` and goes on there the next
 * time. folded: whether all that was committed at `now` is folded; else what the last fold knew counts. Never waits for
 * a lock. Returns the points fed; adds those whose alerts could not be written to *failed.
 */
extern int64 anomaly_feed(TimestampTz now, bool folded, TimestampTz deadline, int64 *failed);

#endif
