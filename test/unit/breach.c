/* breach: the life of a condition, look by look; every path of the state machine is a row of a script. */
#include "core/breach.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MINUTE INT64_C(60000000)

static breach_rule
rule(int minutes, breach_no_data on_no_data)
{
	return (breach_rule){
		.operator_ = BREACH_LESS_THAN, .threshold = 0.95, .duration = minutes * MINUTE, .on_no_data = on_no_data};
}

/*
 * played: one look a minute, from minute 0: b breach, c clean, - no data; gives the status after each: . quiet,
 * p pending, F firing (capital: it has just begun), f firing, r just resolved.
 */
static const char *
played(const breach_rule *r, const char *script)
{
	static char seen[200];
	breach_state state = {0};
	size_t i;

	for (i = 0; script[i]; i++)
	{
		double value = script[i] == 'b' ? 0.94 : script[i] == 'c' ? 0.95 : (double) NAN;
		breach_change change = breach_look(r, &state, 1000 + (int64_t) i * MINUTE, value, script[i] != '-');

		seen[i] = change == BREACH_RESOLVE         ? 'r'
				  : change == BREACH_FIRE          ? 'F'
				  : state.status == BREACH_QUIET   ? '.'
				  : state.status == BREACH_PENDING ? 'p'
				  : state.status == BREACH_FIRING  ? 'f'
												   : '?';
		CHECK((change == BREACH_BEGIN) == (state.status == BREACH_PENDING && (i == 0 || seen[i - 1] != 'p')),
			  "begins at %zu of %s", i, script);
		CHECK((change == BREACH_FORGET) == (state.status == BREACH_QUIET && i > 0 && seen[i - 1] == 'p'),
			  "forgets at %zu of %s", i, script);
	}
	seen[i] = 0;
	return seen;
}

static void
plays(const breach_rule *r, const char *script, const char *expected)
{
	const char *seen = played(r, script);

	CHECK(strcmp(seen, expected) == 0, "%s gives %s, not %s", script, seen, expected);
}

static void
a_breach_must_last(void)
{
	breach_rule ten = rule(10, BREACH_NO_DATA_HOLD);
	breach_rule three = rule(3, BREACH_NO_DATA_HOLD);
	breach_rule zero = rule(0, BREACH_NO_DATA_HOLD);

	plays(&ten, "ccbbbbbbbbbbbb", "..ppppppppppFf");
	plays(&three, "bbbcbbbb", "ppp.pppF");
	plays(&three, "bbcbbcbb", "pp.pp.pp");
	plays(&zero, "cbcb", ".FrF");
}

static void
looks_that_come_late_count_by_time(void)
{
	breach_rule three = rule(3, BREACH_NO_DATA_HOLD);
	breach_state state = {0};

	CHECK(breach_look(&three, &state, 0, 0.9, 1) == BREACH_BEGIN, "begins");
	CHECK(breach_look(&three, &state, 3 * MINUTE - 1, 0.9, 1) == BREACH_NOTHING, "a microsecond early");
	CHECK(breach_look(&three, &state, 500 * MINUTE, 0.9, 1) == BREACH_FIRE, "fires at the next look");
	CHECK(state.started_at == 0, "since the first");
	CHECK(breach_look(&three, &state, 501 * MINUTE, 0.95, 1) == BREACH_NOTHING && state.clean, "one clean look");
	CHECK(breach_look(&three, &state, 900 * MINUTE, 0.95, 1) == BREACH_RESOLVE, "clean long enough");
	CHECK(state.status == BREACH_QUIET && !state.clean && !state.silent, "nothing is left");
}

static void
hysteresis(void)
{
	breach_rule three = rule(3, BREACH_NO_DATA_HOLD);
	breach_rule ten = rule(10, BREACH_NO_DATA_HOLD);

	plays(&three, "bbbbccccc", "pppFfffr.");
	plays(&three, "bbbbccbccbcccc", "pppFfffffffffr");
	/* five minutes are enough however long the duration is */
	plays(&ten, "bbbbbbbbbbbcccccc", "ppppppppppFfffffr");
	CHECK(breach_hold(&ten) == 5 * MINUTE && breach_hold(&three) == 3 * MINUTE, "hold");
}

static void
silence_is_what_the_rule_says(void)
{
	breach_rule hold = rule(3, BREACH_NO_DATA_HOLD);
	breach_rule ok = rule(3, BREACH_NO_DATA_OK);
	breach_rule breach = rule(3, BREACH_NO_DATA_BREACH);
	breach_state state = {0};

	plays(&hold, "---b--b----c--c-c-", "...pppFfffffffr...");
	plays(&hold, "b---b", "ppppF");
	plays(&hold, "b----", "ppppp");
	plays(&ok, "b-bbbb----c", "p.pppFfffr.");
	plays(&breach, "-----cccc", "pppFffffr");
	plays(&breach, "c-b-b", ".pppF");

	(void) breach_look(&breach, &state, 0, NAN, 0);
	CHECK(state.silent, "began without samples");
	(void) breach_look(&breach, &state, MINUTE, 0.5, 1);
	CHECK(state.silent, "and stays so");
	memset(&state, 0, sizeof(state));
	(void) breach_look(&breach, &state, 0, 0.5, 1);
	(void) breach_look(&breach, &state, MINUTE, NAN, 5);
	CHECK(!state.silent && state.status == BREACH_PENDING, "began with a value; a value that is none is no data");
}

static void
a_clock_set_back(void)
{
	breach_rule three = rule(3, BREACH_NO_DATA_HOLD);
	breach_state state = {0};

	(void) breach_look(&three, &state, 1000 * MINUTE, 0.9, 1);
	(void) breach_look(&three, &state, 10 * MINUTE, 0.9, 1);
	CHECK(state.started_at == 10 * MINUTE, "counts from the new time");
	CHECK(breach_look(&three, &state, 13 * MINUTE, 0.9, 1) == BREACH_FIRE, "fires");
	(void) breach_look(&three, &state, 14 * MINUTE, 1, 1);
	(void) breach_look(&three, &state, 4 * MINUTE, 1, 1);
	CHECK(breach_look(&three, &state, 7 * MINUTE, 1, 1) == BREACH_RESOLVE, "resolves");
}

static void
operators(void)
{
	static const struct
	{
		const char *word;
		const char *sign;
		int below, same, above; /* 0.9, 1 and 1.1 against 1 */
	} all[] = {
		{"less_than", "<", 1, 0, 0},      {"less_equal", "<=", 1, 1, 0}, {"greater_than", ">", 0, 0, 1},
		{"greater_equal", ">=", 0, 1, 1}, {"equal", "=", 0, 1, 0},       {"not_equal", "<>", 1, 0, 1},
	};
	static const char *const wrong[] = {"", "LESS_THAN", "less", "=<", "< ", "like", "less_than_or_equal"};
	breach_operator seen;
	breach_no_data no_data;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
	{
		breach_operator by_sign;

		CHECK(breach_operator_parse(all[i].word, &seen) && breach_operator_parse(all[i].sign, &by_sign), "%s",
			  all[i].word);
		CHECK(seen == by_sign && strcmp(breach_operator_name(seen), all[i].word) == 0 &&
				  strcmp(breach_operator_sign(seen), all[i].sign) == 0,
			  "%s is %s", all[i].word, all[i].sign);
		CHECK(breach_compare(0.9, seen, 1) == all[i].below && breach_compare(1, seen, 1) == all[i].same &&
				  breach_compare(1.1, seen, 1) == all[i].above,
			  "%s compares", all[i].word);
	}
	CHECK(breach_operator_parse("!=", &seen) && seen == BREACH_NOT_EQUAL, "the other sign of not_equal");
	CHECK(breach_operator_parse("==", &seen) && seen == BREACH_EQUAL, "and of equal");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(!breach_operator_parse(wrong[i], &seen), "\"%s\" is no operator", wrong[i]);
	CHECK(breach_no_data_parse("hold", &no_data) && no_data == BREACH_NO_DATA_HOLD, "hold");
	CHECK(breach_no_data_parse("ok", &no_data) && no_data == BREACH_NO_DATA_OK, "ok");
	CHECK(breach_no_data_parse("breach", &no_data) && no_data == BREACH_NO_DATA_BREACH, "breach");
	CHECK(!breach_no_data_parse("OK", &no_data) && !breach_no_data_parse("", &no_data), "others");
}

/* However the looks come: it fires only after breaches alone for the duration, resolves only after clean ones alone. */
static void
any_order_of_looks(void)
{
	unsigned seed = 1;

	for (int round = 0; round < 2000; round++)
	{
		breach_rule r = rule(round % 5, (breach_no_data) (round % 3));
		breach_state state = {0};
		int64_t breached_since = -1;
		int64_t clean_since = -1;
		int64_t now = 0;

		for (int i = 0; i < 60; i++)
		{
			breach_status before = state.status;
			int what = (seed = seed * 1103515245 + 12345) >> 16 & 3;
			bool silent = what == 3;
			bool bad = silent ? r.on_no_data == BREACH_NO_DATA_BREACH : what < 2;
			bool held = silent && r.on_no_data == BREACH_NO_DATA_HOLD;
			breach_change change;

			now += (seed >> 20 & 3) * (MINUTE / 2);
			change = breach_look(&r, &state, now, bad ? 0 : 1, silent ? 0 : 7);
			if (held)
			{
				CHECK(change == BREACH_NOTHING && state.status == before, "hold holds");
				continue;
			}
			breached_since = !bad ? -1 : breached_since < 0 ? now : breached_since;
			clean_since = bad ? -1 : clean_since < 0 ? now : clean_since;
			CHECK((state.status == BREACH_FIRING) == (before == BREACH_FIRING
														  ? !(clean_since >= 0 && now - clean_since >= breach_hold(&r))
														  : breached_since >= 0 && now - breached_since >= r.duration),
				  "round %d, look %d", round, i);
		}
	}
}

int
main(void)
{
	a_breach_must_last();
	looks_that_come_late_count_by_time();
	hysteresis();
	silence_is_what_the_rule_says();
	a_clock_set_back();
	operators();
	any_order_of_looks();
	return unit_done();
}
