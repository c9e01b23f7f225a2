/*
 * choose.h: which version serves a unit: pin, preview, segment, rollout split or test, stable, in that order. One
 * function answers for route(), route_version(), route_at() and explain_route(), so that they cannot disagree.
 */
#ifndef MM_CHOOSE_H
#define MM_CHOOSE_H

#include <stdbool.h>

#include "core/arms.h"
#include "core/condition.h"
#include "core/siphash.h"

typedef struct route_target
{
	int64_t version_id; /* 0: nothing */
	const char *version;
	size_t length;
} route_target;

typedef enum route_rule
{
	ROUTE_NOTHING,   /* nothing active */
	ROUTE_PIN,       /* this unit was pinned */
	ROUTE_SEGMENT,   /* a condition on the context holds */
	ROUTE_PREVIEW,   /* the rollout's own condition holds: the candidate, whatever its weight */
	ROUTE_CANDIDATE, /* drawn by its bucket */
	ROUTE_STABLE,    /* drawn by its bucket */
	ROUTE_NO_UNIT,   /* a split, but nothing to draw by: stable */
	ROUTE_ARM,       /* drawn by its bucket into an arm of the test that carries the traffic */
	ROUTE_UNCOVERED, /* the test does not cover it: stable */
	ROUTE_ALL        /* stable serves everybody */
} route_rule;

typedef struct route_segment
{
	const char *name;
	size_t name_length;
	route_target target;
	route_rule rule;                 /* ROUTE_SEGMENT or ROUTE_PREVIEW */
	const condition_node *condition; /* NULL: written by a later version and not understood: never holds */
} route_segment;

/* A test that carries the model's traffic. */
typedef struct route_test
{
	arms draw;
	const route_target *targets; /* by arm */
} route_test;

/* What is in force for one model at one time. */
typedef struct route_rules
{
	/* What every answer looks at comes first, in one cache line. */
	route_target stable;
	uint32_t candidate_weight; /* of BUCKET_TOTAL */
	uint32_t pin_count;
	uint32_t segment_count;
	bucket_key key;
	route_target candidate;
	const int64_t *pin_hashes; /* ascending */
	const route_target *pin_targets;
	const route_segment *segments;      /* in order: the first that holds decides; a preview is the first */
	const route_segment *empty_context; /* the one that holds for an empty context; choose_prepare finds it */
	const route_test *test;             /* NULL: none; only without a candidate */
} route_rules;

/* Small enough to be returned in registers. */
typedef struct route_choice
{
	const route_target *target; /* within the rules; version_id 0 for ROUTE_NOTHING */
	route_rule rule;
	int32_t bucket; /* -1: not looked at */
} route_choice;

/* choose_pin: the target that a unit hash is pinned to, or NULL. */
extern const route_target *choose_pin(const route_rules *rules, int64_t unit_hash);
/* choose_segment: the first segment that holds, or NULL. */
extern const route_segment *choose_segment(const route_rules *rules, const json_value *context);
/* choose_arm: what a test says of a unit that nothing before it decided about. */
extern route_choice choose_arm(const route_rules *rules, const char *unit, size_t length);
/* choose_prepare: call once when the rules are complete. */
extern void choose_prepare(route_rules *rules);
/*
 * choose: the rules in their order; the candidate's weight comes first, so raising it only adds units. A unit of length
 * 0 is no unit; unit_key may be NULL when there are no pins, context when it is empty. Inline: the hot path.
 */
static inline route_choice
choose(const route_rules *rules, const char *unit, size_t length, const siphash_key *unit_key,
	   const json_value *context)
{
	if (rules->pin_count > 0 && length > 0)
	{
		const route_target *pin = choose_pin(rules, (int64_t) siphash(unit_key, unit, length));

		if (pin)
			return (route_choice){pin, ROUTE_PIN, -1};
	}
	if (rules->segment_count > 0)
	{
		const route_segment *segment = context ? choose_segment(rules, context) : rules->empty_context;

		if (segment)
			return (route_choice){&segment->target, segment->rule, -1};
	}
	if (rules->stable.version_id == 0)
		return (route_choice){&rules->stable, ROUTE_NOTHING, -1};
	if (rules->candidate_weight == 0)
		return rules->test ? choose_arm(rules, unit, length) : (route_choice){&rules->stable, ROUTE_ALL, -1};
	if (length == 0)
		return (route_choice){&rules->stable, ROUTE_NO_UNIT, -1};
	else
	{
		uint32_t bucket = bucket_of(bucket_hash(&rules->key, unit, length), BUCKET_TOTAL);

		bool drawn = bucket < rules->candidate_weight;

		/* Without a branch, which nobody could predict. */
		return (route_choice){drawn ? &rules->candidate : &rules->stable, drawn ? ROUTE_CANDIDATE : ROUTE_STABLE,
							  (int32_t) bucket};
	}
}

/*
 * choose_shadow: whether a shadow of this weight sees a copy of a request that stable serves; *bucket is -1 when not
 * looked at. The whole of a share needs no unit to draw by; of less, what has no unit has no shadow, as in a split.
 */
static inline bool
choose_shadow(const bucket_key *key, uint32_t weight, const char *unit, size_t length, int32_t *bucket)
{
	*bucket = -1;
	if (weight == 0 || length == 0)
		return weight >= BUCKET_TOTAL;
	*bucket = (int32_t) bucket_of(bucket_hash(key, unit, length), BUCKET_TOTAL);
	return (uint32_t) *bucket < weight;
}

#endif
