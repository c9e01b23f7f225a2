/*
 * backtest.h: what the files backtest*.c share: the time that is replayed, who served then, and the rows that come out.
 * Between mm_enter and mm_leave.
 */
#ifndef MM_BACKTEST_H
#define MM_BACKTEST_H

#include "pg/mm.h"

/* A routing of the model, from a time on. */
typedef struct backtest_routing
{
	TimestampTz from;
	int64 stable_version_id; /* 0: none */
	int64 candidate_version_id;
	int32 candidate_weight;
} backtest_routing;

/* One row to come out. */
typedef struct backtest_row
{
	TimestampTz time;
	const char *kind;
	const char *metric_name; /* NULL: none */
	double value;            /* NaN: none, as the two below */
	double limit_value;
	double traffic_percentage;
	double requests_affected; /* rounded */
	const char *detail;
} backtest_row;

typedef struct backtest
{
	int64 model_id;
	TimestampTz since; /* whole minutes */
	TimestampTz until;
	TimestampTz
		kept; /* minutes from here on are there; since may be before: a whole hour, as far back as hours are kept */
	int version_count;
	int64 *version_ids;
	char **versions;
	int routing_count;
	backtest_routing *routings; /* by time */
	int row_count;
	int row_room;
	backtest_row **rows;
} backtest;

/* History is read in pieces of this length, so that memory does not grow with the time that is replayed. */
#define BACKTEST_PIECE (6 * USECS_PER_HOUR)
#define BACKTEST_HOURS (10 * USECS_PER_DAY)

/* backtest_times: the arguments since and until, checked and cut to whole minutes. */
extern void backtest_times(FunctionCallInfo fcinfo, int since_argno, int until_argno, backtest *out);
/* backtest_load: the model's versions and routings, and the time cut to what is kept by the minute, or (hours_too) by
 * the hour: then `kept` is a whole hour; false when there is no such model. */
extern bool backtest_load(const char *model_name, bool hours_too, backtest *out);
/* backtest_routing_at: the routing in force at that moment, the last one of those that begin then; NULL: none. */
extern const backtest_routing *backtest_routing_at(const backtest *b, TimestampTz at);
/* backtest_share: what share of the traffic a routing gives a version, percent. */
extern double backtest_share(const backtest_routing *routing, int64 version_id);
/* backtest_serves: whether a version is served at `at` or was up to then: who is taken back by what is seen in a look
 * was served when it was looked at. */
extern bool backtest_serves(const backtest *b, int64 version_id, TimestampTz at);
/* backtest_add: takes a row; what it points to must stay. Returns it, to be completed. */
extern backtest_row *backtest_add(backtest *b, const backtest_row *row);
/* backtest_put: all rows, by time, in the order in which they were added. */
extern void backtest_put(const backtest *b, FunctionCallInfo fcinfo);

#endif
