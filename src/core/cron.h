/*
 * cron.h: cron expressions of five fields, and when they fire next in a time zone. Seconds are counted from
 * 1970-01-01 00:00:00 UTC, without leap seconds; a local time is such a number plus the zone's offset.
 */
#ifndef CORE_CRON_H
#define CORE_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An expression: one bit a value that fires. `*_star`: the field begins with a star, which decides how the two fields
 * of the day combine: both must agree when either begins with one, else one of them is enough (cron since Vixie's). */
typedef struct cron_expression
{
	uint64_t minutes;
	uint32_t hours;
	uint32_t days;     /* 1..31 */
	uint32_t months;   /* 1..12 */
	uint32_t weekdays; /* 0..6, Sunday is 0 */
	bool hour_star;
	bool day_star;
	bool weekday_star;
} cron_expression;

typedef enum cron_status
{
	CRON_OK,
	CRON_FIELDS,   /* not five fields, nor a word like @weekly */
	CRON_SYNTAX,   /* a field that is none */
	CRON_RANGE,    /* a value outside of the field's */
	CRON_BACKWARD, /* a range that ends before it begins */
	CRON_STEP,     /* a step of 0, or beyond CRON_MAX_STEP */
	CRON_NEVER     /* a day that no year has */
} cron_status;

#define CRON_MAX_STEP 9999

/* cron_parse: *field (0 to 4) is where it went wrong, for the statuses that concern one. The text needs no end mark. */
extern cron_status cron_parse(const char *text, size_t length, cron_expression *out, int *field);
/* cron_field_name, cron_field_low, cron_field_high: for messages. */
extern const char *cron_field_name(int field);
extern int cron_field_low(int field);
extern int cron_field_high(int field);

/* A stretch of time in which a zone's offset is the same: it holds at the time asked for and until `until`. */
typedef struct cron_offset
{
	int32_t offset; /* seconds east of UTC */
	bool changes;   /* false: it never changes again */
	int64_t until;  /* the first second that it does not hold for */
	int32_t offset_then;
} cron_offset;

/* cron_zone: the offset at a time; false when the zone does not know. */
typedef bool (*cron_zone)(void *zone, int64_t time, cron_offset *out);

/*
 * cron_next: the first time after `after` that the expression fires; false: never within 400 years, or the zone does
 * not know.
 *
 * Where clocks are put forward, what an expression names within the hour that does not exist fires once at the end of
 * the gap; where they are put back, what it names within the hour that comes twice fires at its first coming. An
 * expression whose hour field begins with a star means a distance rather than a time of day: it goes on as if nothing
 * happened, through both comings and over the gap.
 */
extern bool cron_next(const cron_expression *expression, int64_t after, cron_zone zone_at, void *zone, int64_t *next);

#endif
