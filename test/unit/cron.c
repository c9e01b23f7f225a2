/*
 * cron.c: what is an expression and what is none, and that the next time is the one that a walk through all minutes
 * finds, in zones whose clocks are put forward and back at random.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

#include "core/cron.h"

/* A zone of the test: offsets from times on, in ascending order. */
typedef struct zone
{
	int count;
	int64_t from[64];
	int32_t offset[64];
} zone;

static bool
zone_at(void *data, int64_t time, cron_offset *out)
{
	const zone *z = data;
	int i = 0;

	while (i + 1 < z->count && z->from[i + 1] <= time)
		i++;
	out->offset = z->offset[i];
	out->changes = i + 1 < z->count;
	if (out->changes)
	{
		out->until = z->from[i + 1];
		out->offset_then = z->offset[i + 1];
	}
	return true;
}

static const zone utc = {.count = 1};

/* status_of: of a text, and of the same text with another one behind its end. */
static cron_status
status_of(const char *text, cron_expression *e, int *field)
{
	cron_status status = cron_parse(text, strlen(text), e, field);
	char longer[200] = "";
	cron_expression other;
	int elsewhere;

	snprintf(longer, sizeof(longer), "%.190s1", text);
	CHECK(cron_parse(longer, strlen(text), &other, &elsewhere) == status, "\"%s\" reads beyond its end", text);
	return status;
}

static void
check_status(const char *text, cron_status wanted, int wanted_field)
{
	cron_expression e;
	int field;
	cron_status status = status_of(text, &e, &field);

	CHECK(status == wanted, "\"%s\": status %d, not %d", text, status, wanted);
	if (wanted != CRON_OK && wanted != CRON_FIELDS && wanted != CRON_NEVER)
		CHECK(field == wanted_field, "\"%s\": field %d", text, field);
}

/* check_same: two ways to say the same. */
static void
check_same(const char *a, const char *b)
{
	cron_expression x;
	cron_expression y;
	int field;

	memset(&x, 0, sizeof(x));
	memset(&y, 0, sizeof(y));
	CHECK(status_of(a, &x, &field) == CRON_OK && status_of(b, &y, &field) == CRON_OK, "%s, %s", a, b);
	CHECK(x.minutes == y.minutes && x.hours == y.hours && x.days == y.days && x.months == y.months &&
			  x.weekdays == y.weekdays,
		  "\"%s\" is not \"%s\"", a, b);
}

/* check_next: UTC, in seconds; 0: never. */
static void
check_next(const char *text, int64_t after, int64_t wanted)
{
	cron_expression e;
	int field;
	int64_t next = 0;

	CHECK(status_of(text, &e, &field) == CRON_OK, "%s", text);
	CHECK(cron_next(&e, after, zone_at, (void *) &utc, &next) && next == wanted, "\"%s\" after %lld: %lld, not %lld",
		  text, (long long) after, (long long) next, (long long) wanted);
}

static void
parsing(void)
{
	static const char *const good[] = {"* * * * *",         "0 0 * * 0",        " 0  0\t* * 0\n",
									   "*/5 * * * *",       "*/100 * * * *",    "1-5/2,7,*/30 * * * *",
									   "0 0 1 JAN-mar Mon", "59 23 31 12 7",    "0 0 29 2 *",
									   "0 0 30 2 1",        "000000001 0 * * *"};
	static const struct
	{
		const char *text;
		cron_status status;
		int field;
	} bad[] = {{"", CRON_FIELDS, 0},
			   {"   ", CRON_FIELDS, 0},
			   {"* * * *", CRON_FIELDS, 0},
			   {"* * * * * *", CRON_FIELDS, 0},
			   {"@reboot", CRON_FIELDS, 0},
			   {"@WEEKLY", CRON_FIELDS, 0},
			   {"@week", CRON_FIELDS, 0},
			   {"@weekly x", CRON_FIELDS, 0},
			   {"30 seconds", CRON_SYNTAX, 1},
			   {"60 * * * *", CRON_RANGE, 0},
			   {"* 24 * * *", CRON_RANGE, 1},
			   {"* * 0 * *", CRON_RANGE, 2},
			   {"* * 32 * *", CRON_RANGE, 2},
			   {"* * * 0 *", CRON_RANGE, 3},
			   {"* * * 13 *", CRON_RANGE, 3},
			   {"* * * * 8", CRON_RANGE, 4},
			   {"99999999999999999999 * * * *", CRON_RANGE, 0},
			   {"4294967296 * * * *", CRON_RANGE, 0},
			   {"5-1 * * * *", CRON_BACKWARD, 0},
			   {"* * * * fri-mon", CRON_BACKWARD, 4},
			   {"*/0 * * * *", CRON_STEP, 0},
			   {"*/10000 * * * *", CRON_STEP, 0},
			   {"1-5/0 * * * *", CRON_STEP, 0},
			   {"5/10 * * * *", CRON_SYNTAX, 0},
			   {"1,,2 * * * *", CRON_SYNTAX, 0},
			   {",1 * * * *", CRON_SYNTAX, 0},
			   {"1, * * * *", CRON_SYNTAX, 0},
			   {"-1 * * * *", CRON_SYNTAX, 0},
			   {"1- * * * *", CRON_SYNTAX, 0},
			   {"*/ * * * *", CRON_SYNTAX, 0},
			   {"** * * * *", CRON_SYNTAX, 0},
			   {"1.5 * * * *", CRON_SYNTAX, 0},
			   {"* * * january *", CRON_SYNTAX, 3},
			   {"* * jan * *", CRON_SYNTAX, 2},
			   {"* * * * 1#2", CRON_SYNTAX, 4},
			   {"* * L * *", CRON_SYNTAX, 2},
			   {"* * ? * *", CRON_SYNTAX, 2},
			   {"* * * * mo", CRON_SYNTAX, 4},
			   {"0 0 30 2 *", CRON_NEVER, 0},
			   {"0 0 31 2,4,6,9,11 *", CRON_NEVER, 0}};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check_status(good[i], CRON_OK, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_status(bad[i].text, bad[i].status, bad[i].field);
	check_same("@weekly", "0 0 * * sun");
	check_same("@hourly", "0 * * * *");
	check_same(" @midnight ", "@daily");
	check_same("@yearly", "@annually");
	check_same("@monthly", "0 0 1 * *");
	check_same("0 0 * * 7", "0 0 * * 0");
	check_same("0 0 * * fri-sun", "0 0 * * 0,5,6");
	check_same("0 0 * * 0-7", "0 0 * * *");
	check_same("0 0 * * */2", "0 0 * * 0,2,4,6");
	check_same("*/20 * * * *", "0,20,40 * * * *");
	check_same("10-30/20 * * * *", "10,30 * * * *");
	check_same("0 0 * jan-mar,Dec *", "0 0 * 1-3,12 *");
}

/* 2026-01-01 00:00:00 UTC, a Thursday. */
#define NEW_YEAR INT64_C(1767225600)
#define DAYS(n) ((int64_t) (n) *86400)

static void
times(void)
{
	check_next("* * * * *", NEW_YEAR, NEW_YEAR + 60);
	check_next("* * * * *", NEW_YEAR - 1, NEW_YEAR);
	check_next("0 0 * * 0", NEW_YEAR, NEW_YEAR + DAYS(3));
	check_next("0 0 * * 0", NEW_YEAR + DAYS(3), NEW_YEAR + DAYS(10));
	check_next("0 0 * * 0", NEW_YEAR + DAYS(3) - 1, NEW_YEAR + DAYS(3));
	check_next("30 6 * * 1-5", NEW_YEAR, NEW_YEAR + 6 * 3600 + 1800);
	/* Either day, or both: 13 February 2026 is a Friday. */
	check_next("0 0 13 * fri", NEW_YEAR, NEW_YEAR + DAYS(1));
	check_next("0 0 13 * */5", NEW_YEAR, NEW_YEAR + DAYS(43));
	check_next("0 0 */12 * fri", NEW_YEAR, NEW_YEAR + DAYS(43));
	/* 2028 has a 29 February; 2100 has none, so that 2096's is followed by 2104's. */
	check_next("0 0 29 2 *", NEW_YEAR, INT64_C(1835395200));
	check_next("0 0 29 2 *", INT64_C(3981312000), INT64_C(4233686400));
	check_next("@yearly", NEW_YEAR, NEW_YEAR + DAYS(365));
	/* Before 1970, and the last day of a leap year. */
	check_next("0 0 1 1 *", -DAYS(366), -DAYS(365));
	check_next("0 0 31 12 *", INT64_C(1830211200), INT64_C(1861833600));
}

static int
leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* fires: whether a local minute is named; by another road than the code's. */
static bool
fires(const cron_expression *e, int64_t local)
{
	int64_t day = local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
	int minute = (int) ((local - day * 86400) / 60);
	int64_t y = 1970;
	int64_t left = day;
	int month = 1;
	bool by_day;
	bool by_weekday;

	while (left < 0)
		left += leap(--y) ? 366 : 365;
	while (left >= (leap(y) ? 366 : 365))
		left -= leap(y++) ? 366 : 365;
	for (;; month++)
	{
		int length = month == 2 ? 28 + leap(y) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;

		if (left < length)
			break;
		left -= length;
	}
	if ((local - day * 86400) % 60 != 0 || !((e->minutes >> (minute % 60)) & 1) || !((e->hours >> (minute / 60)) & 1) ||
		!((e->months >> month) & 1))
		return false;
	by_day = (e->days >> (left + 1)) & 1;
	by_weekday = (e->weekdays >> (((day % 7) + 11) % 7)) & 1;
	return e->day_star || e->weekday_star ? by_day && by_weekday : by_day || by_weekday;
}

/* slow_next: minute by minute, with a memory of which local times have come. */
static int64_t
slow_next(const cron_expression *e, int64_t after, const zone *z, int64_t limit)
{
	/* From a day before the first time asked for, so that it is known which local times have come. */
	int64_t reached = INT64_MIN;
	int32_t before = 0;

	for (int64_t t = after / 60 * 60 - DAYS(2); t <= limit; t += 60)
	{
		cron_offset o;
		bool fire;
		int64_t local;

		(void) zone_at((void *) z, t, &o);
		local = t + o.offset;
		if (e->hour_star)
			fire = fires(e, local);
		else
		{
			fire = local > reached && fires(e, local);
			if (reached != INT64_MIN && o.offset > before)
				for (int64_t missing = t + before; missing < local; missing += 60)
					fire |= missing > reached && fires(e, missing);
		}
		before = o.offset;
		if (local > reached)
			reached = local;
		if (fire && t > after)
			return t;
	}
	return 0;
}

/* below: a whole number from 0 to n - 1. */
static int64_t
below(int64_t n)
{
	return (int64_t) (uniform() * (double) n);
}

/* pick: a text of random fields. */
static void
pick(char *text)
{
	static const char *const minutes[] = {"*", "0", "30", "*/20", "15,45", "10-12"};
	static const char *const hours[] = {"*", "0", "1", "2", "3", "2,14", "*/6", "1-3", "23"};
	static const char *const days[] = {"*", "*", "1", "*/2", "28-31", "15"};
	static const char *const months[] = {"*", "*", "*", "3,10"};
	static const char *const weekdays[] = {"*", "*", "0", "1-5", "*/3", "sun"};

#define PICK(list) list[below(sizeof(list) / sizeof(list[0]))]
	sprintf(text, "%s %s %s %s %s", PICK(minutes), PICK(hours), PICK(days), PICK(months), PICK(weekdays));
}

/* A zone with a change every few days, forward and back by minutes up to hours. */
static zone
wild_zone(void)
{
	static const int32_t shifts[] = {3600, 3600, 1800, 7200, 600, 86400};
	zone z = {.count = 40};
	int32_t base = (int32_t) below(48) * 1800 - 43200;

	z.from[0] = INT64_MIN;
	z.offset[0] = base;
	for (int i = 1; i < z.count; i++)
	{
		z.from[i] = NEW_YEAR + DAYS(i * 4) + (int64_t) below(2880) * 60;
		z.offset[i] = i % 2 ? base + shifts[below(5)] : base;
	}
	return z;
}

static void
walks(void)
{
	char text[100];

	seed(20260301);
	for (int i = 0; i < 300; i++)
	{
		zone z = wild_zone();
		cron_expression e;
		int field;
		int64_t t = NEW_YEAR + (int64_t) below(120 * 1440) * 60 + (int64_t) below(60);

		pick(text);
		if (cron_parse(text, strlen(text), &e, &field) != CRON_OK)
			continue;
		for (int k = 0; k < 8; k++)
		{
			int64_t next = 0;
			int64_t slow = slow_next(&e, t, &z, t + DAYS(40));

			CHECK(cron_next(&e, t, zone_at, &z, &next), "%s", text);
			if (slow == 0)
				break;
			CHECK(next == slow, "\"%s\" after %lld: %lld, not %lld", text, (long long) t, (long long) next,
				  (long long) slow);
			t = next;
		}
	}
}

/* Berlin, 2026: forward on 29 March at 01:00 UTC, back on 25 October at 01:00 UTC. */
static void
summer_time(void)
{
	static const int64_t forward = NEW_YEAR + DAYS(87) + 3600;
	static const int64_t back = NEW_YEAR + DAYS(297) + 3600;
	zone berlin = {.count = 3, .from = {INT64_MIN, 0, 0}, .offset = {3600, 7200, 3600}};
	cron_expression e;
	int field;
	int64_t next;

	berlin.from[1] = forward;
	berlin.from[2] = back;
	/* 02:30 does not exist on 29 March: 03:00, once; the day after it is 02:30 again, which is 00:30 UTC. */
	CHECK(cron_parse("30 2 * * *", 10, &e, &field) == CRON_OK, "2:30");
	CHECK(cron_next(&e, forward - 60, zone_at, &berlin, &next) && next == forward, "gap: %lld", (long long) next);
	CHECK(cron_next(&e, forward, zone_at, &berlin, &next) && next == forward + 23 * 3600 + 1800, "after the gap: %lld",
		  (long long) next);
	/* 02:30 comes twice on 25 October: the first time only. */
	CHECK(cron_next(&e, back - 3600, zone_at, &berlin, &next) && next == back - 1800, "overlap: %lld",
		  (long long) next);
	CHECK(cron_next(&e, back - 1800, zone_at, &berlin, &next) && next == back - 1800 + DAYS(1) + 3600,
		  "after the overlap: %lld", (long long) next);
	/* Every ten minutes is every ten minutes. */
	CHECK(cron_parse("*/10 * * * *", 12, &e, &field) == CRON_OK, "10");
	for (int64_t t = back - 7200; t < back + 7200; t += 600)
		CHECK(cron_next(&e, t, zone_at, &berlin, &next) && next == t + 600, "at %lld", (long long) t);
	for (int64_t t = forward - 7200; t < forward + 7200; t += 600)
		CHECK(cron_next(&e, t, zone_at, &berlin, &next) && next == t + 600, "at %lld", (long long) t);
}

int
main(void)
{
	parsing();
	times();
	summer_time();
	walks();
	return unit_done();
}
