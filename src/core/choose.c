/*
 * choose.c: the rules in their order. The candidate's weight comes first, so raising it only adds units.
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

void
choose_prepare(route_rules *rules)
{
	rules->empty_context = choose_segment(rules, NULL);
}

route_choice
choose(const route_rules *rules, const char *unit, size_t length, const siphash_key *unit_key,
	   const json_value *context)
{
	if (rules->pin_count > 0 && length > 0)
	{
		const route_target *pin = choose_pin(rules, (int64_t) siphash(unit_key, unit, length));

		if (pin)
			return (route_choice){ROUTE_PIN, *pin, -1};
	}
	if (rules->segment_count > 0)
	{
		const route_segment *segment = context ? choose_segment(rules, context) : rules->empty_context;

		if (segment)
			return (route_choice){ROUTE_SEGMENT, segment->target, -1};
	}
	if (rules->stable.version_id == 0)
		return (route_choice){ROUTE_NOTHING, rules->stable, -1};
	if (rules->candidate_weight == 0)
		return (route_choice){ROUTE_ALL, rules->stable, -1};
	if (length == 0)
		return (route_choice){ROUTE_NO_UNIT, rules->stable, -1};
	else
	{
		uint32_t bucket = bucket_of(bucket_hash(&rules->key, unit, length), BUCKET_TOTAL);

		if (bucket < rules->candidate_weight)
			return (route_choice){ROUTE_CANDIDATE, rules->candidate, bucket};
		return (route_choice){ROUTE_STABLE, rules->stable, bucket};
	}
}
