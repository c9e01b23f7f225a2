/*
 * breach.h: the life of one condition as a pure function: a look says breach, clean or no data, and the state of the
 * condition follows from it and from what was before. Times are microseconds from any fixed point.
 *
 *   quiet --breach--> pending --breach, duration later--> firing --clean for the hold time--> quiet
 *                     pending --clean--> quiet (it never fired)
 *
 * A breach while firing forgets the clean looks before it, so that a value that swings about its limit is one alert.
 */
#ifndef CORE_BREACH_H
#define CORE_BREACH_H

#include <stdbool.h>
#include <stdint.h>

/* Clean looks must go on for the rule's duration, but for no longer than this, before a firing condition is over. */
#define BREACH_MAX_HOLD (5 * INT64_C(60000000))

typedef enum breach_operator
{
	BREACH_LESS_THAN,
	BREACH_LESS_EQUAL,
	BREACH_GREATER_THAN,
	BREACH_GREATER_EQUAL,
	BREACH_EQUAL,
	BREACH_NOT_EQUAL
} breach_operator;

/* What a look without samples means. */
typedef enum breach_no_data
{
	BREACH_NO_DATA_HOLD, /* nothing: all stays as it is */
	BREACH_NO_DATA_OK,
	BREACH_NO_DATA_BREACH
} breach_no_data;

typedef struct breach_rule
{
	breach_operator operator_;
	double threshold;
	int64_t duration; /* 0: the first breach fires */
	breach_no_data on_no_data;
} breach_rule;

typedef enum breach_status
{
	BREACH_QUIET,
	BREACH_PENDING,
	BREACH_FIRING
} breach_status;

/* All zero is a condition that nobody has looked at. */
typedef struct breach_state
{
	breach_status status;
	int64_t started_at; /* pending, firing: the first breach */
	bool clean;         /* firing: the looks since clean_since were clean */
	int64_t clean_since;
	bool silent; /* it began with a look without samples */
} breach_state;

typedef enum breach_change
{
	BREACH_NOTHING,
	BREACH_BEGIN,   /* became pending */
	BREACH_FIRE,    /* became firing, from pending or at once */
	BREACH_RESOLVE, /* was firing */
	BREACH_FORGET   /* was pending */
} breach_change;

/* breach_operator_parse: a word (less_than) or its sign (<); false when it is neither. */
extern bool breach_operator_parse(const char *word, breach_operator *out);
/* breach_operator_name: the word; breach_operator_sign: its sign. */
extern const char *breach_operator_name(breach_operator operator_);
extern const char *breach_operator_sign(breach_operator operator_);
/* breach_no_data_parse: hold, ok or breach; false for any other word. */
extern bool breach_no_data_parse(const char *word, breach_no_data *out);
/* breach_compare: whether `value operator threshold` holds: then it is a breach. What differs by rounding only is
 * equal. */
extern bool breach_compare(double value, breach_operator operator_, double threshold);
/* breach_hold: how long looks must be clean before a firing condition of this rule is over. */
extern int64_t breach_hold(const breach_rule *rule);
/* breach_look: the state after a look at `now`; samples 0 or a value that is no number: no data. */
extern breach_change breach_look(const breach_rule *rule, breach_state *state, int64_t now, double value,
								 int64_t samples);

#endif
