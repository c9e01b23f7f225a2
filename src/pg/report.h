/*
 * report.h: what the files report*.c share: the page under way, its tables, and plots of what versions did. What is
 * shown is what public views and functions give: queries name those, and series are read as get_performance_trends()
 * reads them. Between mm_enter and mm_leave; strings on a page are UTF-8 (report_utf8).
 */
#ifndef MM_REPORT_H
#define MM_REPORT_H

#include "pg/mm.h"

#include "core/html.h"
#include "core/plot.h"
#include "pg/metric_internal.h"

/* Points of a line over time at most, and rows of a table. */
#define REPORT_BUCKETS 100
#define REPORT_ROWS 25
/* A table has no further rows behind so many bytes, nor any table where the page has so many: 200 kB are promised. */
#define REPORT_TABLE_BYTES 20000
#define REPORT_ROWS_END 185000
/* Versions whose bands can be told apart where they lie over each other. */
#define REPORT_BANDS 3

typedef struct report
{
	html page;
	TimestampTz since; /* exclusive */
	TimestampTz until; /* inclusive */
	TimestampTz now;
	html later; /* of report_rows_later */
} report;

/* report_begin: an empty page about that time. */
extern void report_begin(report *r, TimestampTz since, TimestampTz until);
/* report_end: the finished page as a value that outlives mm_leave. */
extern Datum report_end(report *r);

/* What a rollout (d) waits for, as a sentence: without the key in brackets, which is for those who write rollouts. */
#define REPORT_WAITING_FOR "pg_catalog.regexp_replace(d.waiting_for, ' .[a-z_]+]$', '')"

/* report_utf8: text of the database as the page takes it; NULL is "". */
extern const char *report_utf8(const char *text);
/* report_seconds: a time as core/html.h has it. */
static inline double
report_seconds(TimestampTz at)
{
	return (double) at / USECS_PER_SEC + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * 86400.0;
}
/* report_unit: how values of a metric are shown. */
extern plot_unit report_unit(const char *metric_name);
/* report_value: a value of that unit. */
extern void report_value(html *to, double value, plot_unit unit);
/* report_name: text of the database in bold, set apart from the direction of the words around it. */
extern void report_name(html *to, const char *text);
/* report_heading: <h2> with its id. */
extern void report_heading(report *r, const char *id, const char *heading);
/* report_fact: one of the big numbers at the top; the caller puts the value between this and report_fact_end. */
extern void report_fact(report *r, const char *name);
extern void report_fact_end(report *r);

/* How a column of a result is shown. */
typedef enum report_kind
{
	REPORT_WORD,    /* short text */
	REPORT_WORDS,   /* sentences */
	REPORT_TIME,    /* to the second */
	REPORT_INTEGER, /* bigint */
	REPORT_NUMBER,  /* float8 */
	REPORT_SHARE,   /* float8, 0..1 */
	REPORT_PERCENT, /* float8, 0..100 */
	REPORT_SECONDS, /* float8 */
	REPORT_METRIC   /* float8 in the unit of the metric that the result's column metric_column names */
} report_kind;

typedef struct report_column
{
	const char *heading; /* markup */
	report_kind kind;
} report_column;

typedef struct report_table
{
	const char *id;      /* of the table */
	const char *caption; /* markup */
	const report_column *columns;
	int count;
	int metric_column; /* from 0, of the result */
	const int *from;   /* the result's column of each, from 0; NULL: the first ones */
	const char *none;  /* what is said when there is no row */
	bool numbers;      /* every column but the first is one of numbers */
} report_table;

/*
 * report_rows: the last query's result as a table: its first columns are those of the table; `total` says how many rows
 * there are of which these are the first.
 */
extern void report_rows(report *r, const report_table *table, uint64 rows, int64 total);
/*
 * report_rows_later: the same, kept for report_put_later: behind plots, whose queries end this result. One at a time.
 */
extern void report_rows_later(report *r, const report_table *table, uint64 rows, int64 total);
extern void report_put_later(report *r);
/* report_table_begin, _end: the frame alone, for rows that are no result. */
extern void report_table_begin(report *r, const report_table *table);
extern void report_table_end(report *r, const report_table *table);
/* report_cell: one number of such a row. */
extern void report_cell(report *r, double value, plot_unit unit);
extern void report_cell_integer(report *r, int64 value);
extern void report_cell_time(report *r, TimestampTz at);
/* report_more: "and N more". */
extern void report_more(report *r, int64 more, const char *of_what);

/* One version in the plots. */
typedef struct report_version
{
	int64 version_id;
	const char *version; /* UTF-8 */
	int style;
} report_version;

/* What some versions did over the report's time. */
typedef struct report_series
{
	metric_answer *slots;
	metric_answer *whole;     /* the time as one bucket */
	int64 width;              /* of a slot, microseconds */
	report_version *versions; /* that are drawn, in the order they were given in */
	int count;
	int others;         /* that did something and are not drawn */
	const int64 *every; /* all that were given */
	int every_count;
} report_series;

/* report_series_read: of n versions, those with the most samples. */
extern void report_series_read(report *r, const int64 *version_ids, const char *const *versions, int n,
							   report_series *out);
/* report_total: a metric of a version over the whole time. */
extern metric_point report_total(const report *r, const report_series *s, int64 version_id, const char *metric_name);

typedef struct report_plot
{
	const char *id;
	const char *title;       /* UTF-8 from outside */
	const char *note;        /* markup below the title; NULL: none */
	const char *metric_name; /* a canonical name, or "share": of all requests of these versions */
	bool band;               /* the 95 % interval of a rate */
	double floor;
	double ceiling;
	double include;
	int height;
	const plot_mark *marks;
	int mark_count;
	const plot_limit *limits;
	int limit_count;
	const plot_series *more; /* drawn beside the versions */
	int more_count;
} report_plot;

/* report_draw: a figure of one metric over time, with its table. */
extern void report_draw(report *r, const report_series *s, const report_plot *p);

/* report_times: from when to when, below the heading. */
extern void report_times(report *r);
/* report_alerts, report_audit: the sections of that name; deployment 0, version NULL: the whole model's. */
extern void report_alerts(report *r, const char *model_name, int64 deployment_id);
extern void report_audit(report *r, const char *model_name, const char *version);
/* report_audit_rows: the last result, with columns as report_audit asks for, as that section. */
extern void report_audit_rows(report *r, uint64 rows, int64 total);

/* report_marks: n events (ascending, numbered from `first`) as marks: those that lie close together share a label. */
extern void report_marks(const report *r, const TimestampTz *at, const bool *strong, int n, int first,
						 plot_mark *marks);

#endif
