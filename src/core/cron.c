/*
 * cron.c: five fields of sets, and the next time that lies in all of them. Parsing accepts what Vixie's cron accepts,
 * less what that one reads as something else than was meant (see docs/updates.md). Searching goes day by day through
 * the calendar, which repeats after 400 years: what has not come by then never comes.
 */
#include "core/cron.h"

#include <string.h>

#define MINUTE 60
#define DAY 86400
#define CALENDAR_DAYS 146097 /* of 400 years */

typedef struct field_rule
{
	const char *name;
	int low;
	int high;
	const char *names; /* of three letters each, from `low` on */
} field_rule;

/* Sunday is 0 and 7. */
static const field_rule fields[5] = {{"minute", 0, 59, ""},
									 {"hour", 0, 23, ""},
									 {"day of the month", 1, 31, ""},
									 {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
									 {"day of the week", 0, 7, "sunmontuewedthufrisat"}};

static const struct
{
	const char *word;
	const char *meaning;
} words[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
			 {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}};

const char *
cron_field_name(int field)
{
	return fields[field].name;
}

int
cron_field_low(int field)
{
	return fields[field].low;
}

int
cron_field_high(int field)
{
	return fields[field].high;
}

/* The rest of a text. */
typedef struct scan
{
	const char *at;
	const char *end;
} scan;

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
skip_blanks(scan *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

/* take: whether the next character is this one, which is then passed. */
static bool
take(scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

/* take_number: digits; too many of them stay a number that no field has. */
static bool
take_number(scan *s, int *value)
{
	const char *begin = s->at;

	*value = 0;
	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
		if (*value <= CRON_MAX_STEP)
			*value = *value * 10 + (*s->at - '0');
	return s->at > begin;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

/* take_value: a number, or a name of three letters where the field has names. */
static cron_status
take_value(scan *s, const field_rule *rule, int *value)
{
	size_t count = strlen(rule->names) / 3;

	if (take_number(s, value))
		return *value < rule->low || *value > rule->high ? CRON_RANGE : CRON_OK;
	if (s->end - s->at < 3)
		return CRON_SYNTAX;
	for (size_t i = 0; i < count; i++)
	{
		const char *name = rule->names + 3 * i;

		if (lower(s->at[0]) == name[0] && lower(s->at[1]) == name[1] && lower(s->at[2]) == name[2])
		{
			*value = rule->low + (int) i;
			s->at += 3;
			return CRON_OK;
		}
	}
	return CRON_SYNTAX;
}

/* take_item: a value, a range or a star, with a step after the latter two. */
static cron_status
take_item(scan *s, int field, uint64_t *set)
{
	const field_rule *rule = &fields[field];
	int low = rule->low;
	int high = rule->high;
	int step = 1;
	cron_status status;

	if (!take(s, '*'))
	{
		if ((status = take_value(s, rule, &low)) != CRON_OK)
			return status;
		if (!take(s, '-'))
		{
			*set |= UINT64_C(1) << low;
			return CRON_OK;
		}
		if ((status = take_value(s, rule, &high)) != CRON_OK)
			return status;
		/* fri-sun means the end of the week. */
		if (field == 4 && high == 0 && low > 0)
			high = 7;
		if (high < low)
			return CRON_BACKWARD;
	}
	if (take(s, '/'))
	{
		if (!take_number(s, &step))
			return CRON_SYNTAX;
		if (step < 1 || step > CRON_MAX_STEP)
			return CRON_STEP;
	}
	for (int value = low; value <= high; value += step)
		*set |= UINT64_C(1) << value;
	return CRON_OK;
}

/* take_field: a list of items, up to a blank or the end. */
static cron_status
take_field(scan *s, int field, uint64_t *set, bool *star)
{
	cron_status status;

	*set = 0;
	*star = s->at < s->end && *s->at == '*';
	do
		if ((status = take_item(s, field, set)) != CRON_OK)
			return status;
	while (take(s, ','));
	return s->at == s->end || is_blank(*s->at) ? CRON_OK : CRON_SYNTAX;
}

/* day_fires: whether the fields of the day allow one. */
static bool
day_fires(const cron_expression *e, int month, int day, int weekday)
{
	bool by_day = (e->days >> day) & 1;
	bool by_weekday = (e->weekdays >> weekday) & 1;

	if (!((e->months >> month) & 1))
		return false;
	return e->day_star || e->weekday_star ? by_day && by_weekday : by_day || by_weekday;
}

/* A day of the proleptic Gregorian calendar. */
typedef struct calendar_day
{
	int64_t number; /* days since 1970-01-01 */
	int64_t year;
	int month;
	int day;
	int weekday;
} calendar_day;

static int
month_length(int64_t year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : lengths[month - 1];
}

static int64_t
floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* day_of: after Hinnant, "chrono-compatible low-level date algorithms", civil_from_days: eras of 400 years from 1 March
 * of year 0 on. */
static calendar_day
day_of(int64_t number)
{
	int64_t shifted = number + 719468;
	int64_t era = floor_divide(shifted, CALENDAR_DAYS);
	int64_t of_era = shifted - era * CALENDAR_DAYS;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int month = (int) ((5 * of_year + 2) / 153);
	calendar_day d = {.number = number, .year = year + era * 400};

	d.day = (int) (of_year - (153 * month + 2) / 5) + 1;
	d.month = month < 10 ? month + 3 : month - 9;
	d.year += d.month <= 2;
	d.weekday = (int) (number + 4 - 7 * floor_divide(number + 4, 7));
	return d;
}

static void
next_day(calendar_day *d)
{
	d->number++;
	d->weekday = (d->weekday + 1) % 7;
	if (d->day++ < month_length(d->year, d->month))
		return;
	d->day = 1;
	if (d->month++ < 12)
		return;
	d->month = 1;
	d->year++;
}

/* next_local: the first local time that fires from `from` on and before `before`; both are local seconds. */
static bool
next_local(const cron_expression *e, int64_t from, int64_t before, int64_t *found)
{
	int64_t minute = -floor_divide(-from, MINUTE);
	calendar_day d = day_of(floor_divide(minute, DAY / MINUTE));
	int64_t last = d.number + CALENDAR_DAYS;
	int start = (int) (minute - d.number * (DAY / MINUTE));

	for (; d.number <= last && d.number * DAY < before; next_day(&d), start = 0)
	{
		if (!day_fires(e, d.month, d.day, d.weekday))
			continue;
		for (int hour = start / 60; hour < 24; hour++)
		{
			if (!((e->hours >> hour) & 1))
				continue;
			for (int m = hour == start / 60 ? start % 60 : 0; m < 60; m++)
				if ((e->minutes >> m) & 1)
				{
					*found = d.number * DAY + (hour * 60 + m) * MINUTE;
					return *found < before;
				}
		}
	}
	return false;
}

/* possible: whether some day of the calendar is named at all. */
static bool
possible(const cron_expression *e)
{
	calendar_day d = day_of(0);

	for (int64_t i = 0; i < CALENDAR_DAYS; i++, next_day(&d))
		if (day_fires(e, d.month, d.day, d.weekday))
			return true;
	return false;
}

cron_status
cron_parse(const char *text, size_t length, cron_expression *out, int *field)
{
	scan s = {text, text + length};
	uint64_t sets[5];
	bool stars[5];

	*field = 0;
	skip_blanks(&s);
	while (s.end > s.at && is_blank(s.end[-1]))
		s.end--;
	if (s.at < s.end && *s.at == '@')
	{
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i].word) == (size_t) (s.end - s.at) &&
				memcmp(s.at, words[i].word, (size_t) (s.end - s.at)) == 0)
				return cron_parse(words[i].meaning, strlen(words[i].meaning), out, field);
		return CRON_FIELDS;
	}
	for (int i = 0; i < 5; i++)
	{
		cron_status status;

		if (s.at == s.end)
			return CRON_FIELDS;
		*field = i;
		if ((status = take_field(&s, i, &sets[i], &stars[i])) != CRON_OK)
			return status;
		skip_blanks(&s);
	}
	if (s.at < s.end)
		return CRON_FIELDS;
	out->minutes = sets[0];
	out->hours = (uint32_t) sets[1];
	out->days = (uint32_t) sets[2];
	out->months = (uint32_t) sets[3];
	out->weekdays = (uint32_t) ((sets[4] | (sets[4] >> 7)) & 0x7f);
	out->hour_star = stars[1];
	out->day_star = stars[2];
	out->weekday_star = stars[4];
	return possible(out) ? CRON_OK : CRON_NEVER;
}

bool
cron_next(const cron_expression *expression, int64_t after, cron_zone zone_at, void *zone, int64_t *next)
{
	int64_t from = after + 1;
	int64_t last = after + (int64_t) (CALENDAR_DAYS + 1) * DAY;
	cron_offset o;
	int64_t local;
	int64_t lived = INT64_MIN; /* local times before this one have come already */

	if (!zone_at(zone, after, &o))
		return false;
	/* Clocks are put back by less than a day: what came first a day ago and more does not come again now. */
	if (!expression->hour_star)
	{
		cron_offset before;

		if (zone_at(zone, after - DAY, &before))
			while (before.changes && before.until <= after)
			{
				if (before.offset_then < before.offset && before.until + before.offset > lived)
					lived = before.until + before.offset;
				if (!zone_at(zone, before.until, &before))
					break;
			}
	}
	for (;;)
	{
		int64_t begin = from + o.offset;
		int64_t end = o.changes && o.until <= last ? o.until + o.offset : last + o.offset;

		if (next_local(expression, begin > lived ? begin : lived, end, &local))
		{
			*next = local - o.offset;
			return true;
		}
		if (!o.changes || o.until > last)
			return false;
		if (!expression->hour_star)
		{
			int64_t gap_end = o.until + o.offset_then;

			/* The gap: local times from `end` to `gap_end` never come. */
			if (gap_end > end && next_local(expression, end > lived ? end : lived, gap_end, &local))
			{
				*next = o.until;
				return true;
			}
			if (gap_end < end && end > lived)
				lived = end;
		}
		from = o.until;
		if (!zone_at(zone, from, &o))
			return false;
	}
}
