/*
 * assignment.c: should_route_to_treatment() and assigned_variant(): the arm of a unit. They write nothing, need no
 * rights on any relation and work on standbys.
 */
#include "pg/assignment.h"

#include "common/pg_prng.h"

/* arm_of: the unit's arm, or ARMS_OUTSIDE; drawn at random where there is no unit. */
static int
arm_of(const assignment_test *test, const char *unit, int length)
{
	uint32 bucket;

	if (length > 0)
		return arms_of(&test->draw, unit, length, &bucket);
	return arms_draw(&test->draw, pg_prng_uint32(&pg_global_prng_state), pg_prng_uint32(&pg_global_prng_state),
					 &bucket);
}

/* unit_argument: user_id, else request_id; the empty text is none. */
static const char *
unit_argument(FunctionCallInfo fcinfo, int *length)
{
	for (int argno = 1; argno <= 2; argno++)
		if (!PG_ARGISNULL(argno))
		{
			text *unit = PG_GETARG_TEXT_PP(argno);

			*length = VARSIZE_ANY_EXHDR(unit);
			if (*length > 0)
				return VARDATA_ANY(unit);
		}
	*length = 0;
	return NULL;
}

/* test_argument: the test named by the first argument; 22004, 42704. */
static const assignment_test *
test_argument(FunctionCallInfo fcinfo)
{
	text *test_id;

	if (unlikely(PG_ARGISNULL(0)))
		mm_require(fcinfo, 0, "test_id");
	test_id = PG_GETARG_TEXT_PP(0);
	return assignment_require(VARDATA_ANY(test_id), VARSIZE_ANY_EXHDR(test_id));
}

MM_FUNCTION(mm_should_route_to_treatment);
MM_FUNCTION(mm_assigned_variant);

/* mm_should_route_to_treatment(test_id text, user_id text, request_id text): boolean. */
Datum
mm_should_route_to_treatment(PG_FUNCTION_ARGS)
{
	const assignment_test *test = test_argument(fcinfo);
	const char *unit;
	int length;

	if (unlikely(!test->running))
		PG_RETURN_BOOL(test->winner == 1);
	unit = unit_argument(fcinfo, &length);
	PG_RETURN_BOOL(arm_of(test, unit, length) == 1);
}

/* mm_assigned_variant(test_id text, user_id text, request_id text): text, NULL outside coverage. */
Datum
mm_assigned_variant(PG_FUNCTION_ARGS)
{
	const assignment_test *test = test_argument(fcinfo);
	int length;
	const char *unit = unit_argument(fcinfo, &length);
	int arm = arm_of(test, unit, length);

	if (arm == ARMS_OUTSIDE)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(test->arms[arm].variant, test->arms[arm].variant_length));
}
