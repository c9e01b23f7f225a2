/*
 * metric_source.h: tables and views of users that become metrics: registered in metric_source.c, read in
 * metric_source_read.c, driven by work.c. Between mm_enter and mm_leave.
 */
#ifndef MM_METRIC_SOURCE_H
#define MM_METRIC_SOURCE_H

#include "pg/mm.h"

/* What work() does for each source that is due, in two transactions; as for callbacks in event.h.
 * metric_source_run returns whether there is more to read at once. */
extern bool metric_source_begin(const char *metric_name);
extern bool metric_source_run(const char *metric_name);
/* metric_source_interrupted: the transaction of metric_source_run ended in an error that was not the source's own. */
extern void metric_source_interrupted(const char *metric_name, const char *why);

/* metric_source_query: the query that reads a source: time, model, version and value of rows in ($1, $2], by time.
 * 42703 when columns are missing, 22023 when they have other types. */
extern char *metric_source_query(Oid relation);

/* One reading. The first block is asked, the second answered. */
typedef struct metric_source_reading
{
	int64 source_id;
	const char *metric_name;
	Oid relation;
	Oid role;
	TimestampTz since; /* exclusive; both on whole minutes, or until is now */
	TimestampTz until; /* inclusive */
	bool more;         /* until is not now */
	bool by_name;      /* rows of a former source of this name are replaced as well */

	int64 rows;    /* read */
	int64 skipped; /* of them: of no known version, or without a finite value within +-1e100 */
} metric_source_reading;

/* metric_source_read: reads as the role, and puts what the minutes of the window hold in place of what was stored of
 * them. False, with *error and nothing changed, when it could not be read. */
extern bool metric_source_read(metric_source_reading *reading, double seconds, char **error);

#endif
