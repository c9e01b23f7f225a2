/*
 * choose.c: the parts of choosing that most models do not have: pins, segments and tests.
 */
#include "core/choose.h"

const route_target *
choose_pin(const route_rules *rules, int64_t unit_hash)
{
	size_t low = 0;
	size_t high = rules->pin_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (rules->pin_hashes[middle] < unit_hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low < rules->pin_count && rules->pin_hashes[low] == unit_hash ? &rules->pin_targets[low] : NULL;
}

const route_segment *
choose_segment(const route_rules *rules, const json_value *context)
{
	for (size_t i = 0; i < rules->segment_count; i++)
		if (rules->segments[i].condition && condition_holds(rules->segments[i].condition, context))
			return &rules->segments[i];
	return NULL;
}

route_choice
choose_arm(const route_rules *rules, const char *unit, size_t length)
{
	uint32_t bucket;
	int arm;

	if (length == 0)
		return (route_choice){&rules->stable, ROUTE_NO_UNIT, -1};
	arm = arms_of(&rules->test->draw, unit, length, &bucket);
	if (arm == ARMS_OUTSIDE)
		return (route_choice){&rules->stable, ROUTE_UNCOVERED, (int32_t) bucket};
	return (route_choice){&rules->test->targets[arm], ROUTE_ARM, (int32_t) bucket};
}

void
choose_prepare(route_rules *rules)
{
	rules->empty_context = choose_segment(rules, NULL);
}
