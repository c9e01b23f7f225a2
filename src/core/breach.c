/* breach.c: see breach.h. */
#include "core/breach.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const struct
{
	const char *word;
	const char *sign;
	const char *other; /* another sign that people write; NULL: none */
} operators[] = {
	[BREACH_LESS_THAN] = {"less_than", "<", NULL},
	[BREACH_LESS_EQUAL] = {"less_equal", "<=", NULL},
	[BREACH_GREATER_THAN] = {"greater_than", ">", NULL},
	[BREACH_GREATER_EQUAL] = {"greater_equal", ">=", NULL},
	[BREACH_EQUAL] = {"equal", "=", "=="},
	[BREACH_NOT_EQUAL] = {"not_equal", "<>", "!="},
};

bool
breach_operator_parse(const char *word, breach_operator *out)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (strcmp(word, operators[i].word) == 0 || strcmp(word, operators[i].sign) == 0 ||
			(operators[i].other && strcmp(word, operators[i].other) == 0))
		{
			*out = (breach_operator) i;
			return true;
		}
	return false;
}

const char *
breach_operator_name(breach_operator operator_)
{
	return operators[operator_].word;
}

const char *
breach_operator_sign(breach_operator operator_)
{
	return operators[operator_].sign;
}

bool
breach_no_data_parse(const char *word, breach_no_data *out)
{
	static const char *const words[] = {
		[BREACH_NO_DATA_HOLD] = "hold", [BREACH_NO_DATA_OK] = "ok", [BREACH_NO_DATA_BREACH] = "breach"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
		{
			*out = (breach_no_data) i;
			return true;
		}
	return false;
}

/* Sums of many values round: the mean of a thousand times 0.3 is 0.30000000000000565, which is 0.3. */
#define ROUNDING 1e-9

bool
breach_compare(double value, breach_operator operator_, double threshold)
{
	if (fabs(value - threshold) <= ROUNDING * fabs(threshold))
		value = threshold;
	switch (operator_)
	{
		case BREACH_LESS_THAN:
			return value < threshold;
		case BREACH_LESS_EQUAL:
			return value <= threshold;
		case BREACH_GREATER_THAN:
			return value > threshold;
		case BREACH_GREATER_EQUAL:
			return value >= threshold;
		case BREACH_EQUAL:
			return value == threshold;
		case BREACH_NOT_EQUAL:
			return value != threshold;
	}
	return false;
}

int64_t
breach_hold(const breach_rule *rule)
{
	return rule->duration < BREACH_MAX_HOLD ? rule->duration : BREACH_MAX_HOLD;
}

/* breached: a look that found the condition to hold. */
static breach_change
breached(const breach_rule *rule, breach_state *state, int64_t now, bool silent)
{
	bool began = state->status == BREACH_QUIET;

	state->clean = false;
	if (state->status == BREACH_FIRING)
		return BREACH_NOTHING;
	/* A clock that was set back must not make it wait for longer than the rule says. */
	if (began || now < state->started_at)
		state->started_at = now;
	if (began)
		state->silent = silent;
	state->status = now - state->started_at >= rule->duration ? BREACH_FIRING : BREACH_PENDING;
	if (state->status == BREACH_FIRING)
		return BREACH_FIRE;
	return began ? BREACH_BEGIN : BREACH_NOTHING;
}

/* cleared: a look that found it not to hold. */
static breach_change
cleared(const breach_rule *rule, breach_state *state, int64_t now)
{
	breach_status before = state->status;

	if (before == BREACH_FIRING)
	{
		if (!state->clean || now < state->clean_since)
			state->clean_since = now;
		state->clean = true;
		if (now - state->clean_since < breach_hold(rule))
			return BREACH_NOTHING;
	}
	memset(state, 0, sizeof(*state));
	return before == BREACH_FIRING ? BREACH_RESOLVE : before == BREACH_PENDING ? BREACH_FORGET : BREACH_NOTHING;
}

breach_change
breach_look(const breach_rule *rule, breach_state *state, int64_t now, double value, int64_t samples)
{
	bool silent = samples <= 0 || isnan(value);

	if (silent && rule->on_no_data == BREACH_NO_DATA_HOLD)
		return BREACH_NOTHING;
	if (silent ? rule->on_no_data == BREACH_NO_DATA_BREACH : breach_compare(value, rule->operator_, rule->threshold))
		return breached(rule, state, now, silent);
	return cleared(rule, state, now);
}
