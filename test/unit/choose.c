/*
 * choose.c: the order of the rules, and what a share means: monotone, fair, exact at its ends.
 */
#include "unit.h"

#include <string.h>

#include "core/choose.h"
#include "json_text.h"

static const siphash_key key = {1, 2};
static const route_target v1 = {1, "1", 1};
static const route_target v2 = {2, "2", 1};
static const route_target v3 = {3, "3", 1};
static const route_target v4 = {4, "4", 1};

static route_rules
rules_of(uint32_t weight)
{
	route_rules rules;

	memset(&rules, 0, sizeof(rules));
	rules.stable = v1;
	if (weight > 0)
		rules.candidate = v2;
	rules.candidate_weight = weight;
	bucket_prepare(&rules.key, "salt7", 5);
	return rules;
}

static void
check_order(void)
{
	route_rules rules = rules_of(BUCKET_TOTAL);
	int64_t hash = (int64_t) siphash(&key, "u", 1);
	int64_t hashes[3] = {INT64_MIN, hash, INT64_MAX};
	route_target pins[3] = {v1, v3, v1};
	json_text j;
	json_text k;
	json_value condition;
	json_value context;
	condition_node nodes[10];
	size_t count;
	condition_error error;
	route_segment segment = {"s", 1, v4, ROUTE_SEGMENT, nodes};
	route_choice choice;

	json_text_read(&j, "{\"a\": 1}", 8, &condition);
	json_text_read(&k, "{\"a\": 1}", 8, &context);
	condition_compile(&condition, nodes, &count, &error);
	rules.pin_count = 3;
	rules.pin_hashes = hashes;
	rules.pin_targets = pins;
	rules.segments = &segment;
	rules.segment_count = 1;
	choose_prepare(&rules);

	choice = choose(&rules, "u", 1, &key, &context);
	CHECK(choice.rule == ROUTE_PIN && choice.target->version_id == 3, "the pin comes first");
	choice = choose(&rules, "w", 1, &key, &context);
	CHECK(choice.rule == ROUTE_SEGMENT && choice.target->version_id == 4, "then the segment");
	choice = choose(&rules, "w", 1, &key, NULL);
	CHECK(choice.rule == ROUTE_CANDIDATE && choice.target->version_id == 2 && choice.bucket >= 0, "then the split");
	choice = choose(&rules, "", 0, &key, NULL);
	CHECK(choice.rule == ROUTE_NO_UNIT && choice.target->version_id == 1, "without a unit nobody is drawn");
	choice = choose(&rules, "", 0, &key, &context);
	CHECK(choice.rule == ROUTE_SEGMENT, "a segment needs no unit");
	rules.candidate_weight = 0;
	choice = choose(&rules, "w", 1, &key, NULL);
	CHECK(choice.rule == ROUTE_ALL && choice.target->version_id == 1 && choice.bucket == -1, "nothing to split");
	rules.stable.version_id = 0;
	CHECK(choose(&rules, "w", 1, &key, NULL).rule == ROUTE_NOTHING, "nothing active");
	CHECK(choose(&rules, "u", 1, &key, NULL).rule == ROUTE_PIN, "a pin holds even then");

	/* A segment that holds for an empty context holds without one. */
	rules = rules_of(0);
	json_text_free(&j);
	json_text_read(&j, "{\"not\": {\"a\": 1}}", 17, &condition);
	condition_compile(&condition, nodes, &count, &error);
	rules.segments = &segment;
	rules.segment_count = 1;
	choose_prepare(&rules);
	CHECK(choose(&rules, "w", 1, &key, NULL).rule == ROUTE_SEGMENT, "no context is an empty one");
	CHECK(choose(&rules, "w", 1, &key, &context).rule == ROUTE_ALL, "not so with that key");
	segment.condition = NULL;
	choose_prepare(&rules);
	CHECK(choose(&rules, "w", 1, &key, NULL).rule == ROUTE_ALL, "a condition that cannot be read never holds");
	json_text_free(&j);
	json_text_free(&k);
}

/* check_preview: a rollout's own condition comes before the segments and the split, at any weight. */
static void
check_preview(void)
{
	route_rules rules = rules_of(BUCKET_TOTAL);
	json_text j;
	json_text k;
	json_value condition;
	json_value context;
	condition_node nodes[10];
	size_t count;
	condition_error error;
	route_segment segments[2] = {{"p", 1, v2, ROUTE_PREVIEW, nodes}, {"s", 1, v4, ROUTE_SEGMENT, nodes}};
	route_choice choice;

	json_text_read(&j, "{\"a\": 1}", 8, &condition);
	json_text_read(&k, "{\"a\": 1}", 8, &context);
	condition_compile(&condition, nodes, &count, &error);
	rules.segments = segments;
	rules.segment_count = 2;
	choose_prepare(&rules);
	choice = choose(&rules, "u", 1, &key, &context);
	CHECK(choice.rule == ROUTE_PREVIEW && choice.target->version_id == 2, "the preview comes first");
	segments[0].condition = NULL;
	CHECK(choose(&rules, "u", 1, &key, &context).rule == ROUTE_SEGMENT, "then the segments");
	segments[0].condition = nodes;
	rules.candidate_weight = 0;
	CHECK(choose(&rules, "u", 1, &key, &context).rule == ROUTE_PREVIEW, "at 0 %% too");
	CHECK(choose(&rules, "", 0, &key, &context).rule == ROUTE_PREVIEW, "and without a unit");
	CHECK(choose(&rules, "u", 1, &key, NULL).rule == ROUTE_ALL, "nobody else");
	json_text_free(&j);
	json_text_free(&k);
}

/* check_shadow: who has a shadow is drawn as a candidate's share is; the whole of it needs no unit. */
static void
check_shadow(void)
{
	route_rules rules = rules_of(2500);
	int32_t bucket;
	int differ = 0;

	for (int i = 0; i < 1000; i++)
	{
		char unit[20];
		size_t length = (size_t) sprintf(unit, "user-%d", i);
		route_choice choice = choose(&rules, unit, length, &key, NULL);

		differ += choose_shadow(&rules.key, 2500, unit, length, &bucket) != (choice.rule == ROUTE_CANDIDATE);
		differ += bucket != choice.bucket;
		differ += !choose_shadow(&rules.key, BUCKET_TOTAL, unit, length, &bucket);
		differ += choose_shadow(&rules.key, 0, unit, length, &bucket);
	}
	CHECK(differ == 0, "%d answers differ", differ);
	CHECK(!choose_shadow(&rules.key, 9999, "", 0, &bucket) && bucket == -1, "nothing to draw by");
	CHECK(choose_shadow(&rules.key, BUCKET_TOTAL, "", 0, &bucket) && bucket == -1, "everything");
	CHECK(!choose_shadow(&rules.key, 0, "", 0, &bucket), "nothing");
}

/* check_shares: over 20,000 units: each step only adds units, shares are as promised within 5 standard deviations. */
static void
check_shares(void)
{
	enum
	{
		UNITS = 20000
	};
	static unsigned char in[UNITS];
	static const uint32_t steps[] = {0, 1, 100, 1000, 2500, 5000, 9000, 9999, 10000};
	int left = 0;

	memset(in, 0, sizeof(in));
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
	{
		route_rules rules = rules_of(steps[s]);
		double share = steps[s] / (double) BUCKET_TOTAL;
		int count = 0;
		double deviation;

		for (int i = 0; i < UNITS; i++)
		{
			char unit[20];
			int now = choose(&rules, unit, (size_t) sprintf(unit, "user-%d", i), &key, NULL).target->version_id == 2;

			left += in[i] && !now;
			in[i] = (unsigned char) now;
			count += now;
		}
		deviation = count - UNITS * share;
		CHECK(deviation * deviation <= 25 * UNITS * share * (1 - share) + 1e-9, "share %g: %d of %d", share, count,
			  UNITS);
	}
	CHECK(left == 0, "%d units left the candidate while its share grew", left);
}

/* check_arms: a test's arms in order, those outside and without a unit with stable; pins first; groups disjoint. */
static void
check_arms(void)
{
	static const int32_t weights[] = {3000, 2000, 1000}; /* control, treatment, a third */
	static const route_target targets[] = {{11, "c", 1}, {12, "t", 1}, {13, "x", 1}};
	uint32_t limits[3];
	route_test test = {.draw = {.count = 3, .limit = limits}, .targets = targets};
	route_test other;
	route_rules rules = rules_of(0);
	route_rules beside;
	int both = 0;
	int wrong = 0;

	arms_limits(weights, 3, limits);
	CHECK(limits[1] == 2000 && limits[2] == 3000 && limits[0] == 6000, "%u %u %u", limits[1], limits[2], limits[0]);
	bucket_prepare(&test.draw.key, "exam", 4);
	rules.test = &test;
	for (int i = 0; i < 10000; i++)
	{
		char unit[20];
		size_t length = (size_t) sprintf(unit, "user-%d", i);
		uint32_t bucket = bucket_of(bucket_hash(&test.draw.key, unit, length), BUCKET_TOTAL);
		route_choice c = choose(&rules, unit, length, &key, NULL);
		int64_t expected = bucket < 2000 ? 12 : bucket < 3000 ? 13 : bucket < 6000 ? 11 : 1;

		wrong += c.target->version_id != expected || c.bucket != (int32_t) bucket ||
				 c.rule != (bucket < 6000 ? ROUTE_ARM : ROUTE_UNCOVERED);
	}
	CHECK(wrong == 0, "%d of 10000 in another arm than their bucket's", wrong);
	CHECK(choose(&rules, "", 0, &key, NULL).rule == ROUTE_NO_UNIT, "no unit");

	test.draw.grouped = true;
	bucket_prepare(&test.draw.group, "group", 5);
	test.draw.slots = 4000;
	other = test;
	other.draw.slot_from = 4000;
	other.draw.slots = 6000;
	beside = rules;
	beside.test = &other;
	for (int i = 0; i < 10000; i++)
	{
		char unit[20];
		size_t length = (size_t) sprintf(unit, "user-%d", i);
		uint32_t bucket;
		bool in = bucket_of(bucket_hash(&test.draw.group, unit, length), BUCKET_TOTAL) < 4000;

		both += arms_of(&test.draw, unit, length, &bucket) >= 0 && arms_of(&other.draw, unit, length, &bucket) >= 0;
		wrong += !in && choose(&rules, unit, length, &key, NULL).rule != ROUTE_UNCOVERED;
		wrong += in && choose(&beside, unit, length, &key, NULL).rule != ROUTE_UNCOVERED;
	}
	CHECK(both == 0 && wrong == 0, "%d in two tests of a group, %d where they should not be", both, wrong);
}

int
main(void)
{
	check_order();
	check_preview();
	check_shadow();
	check_shares();
	check_arms();
	return unit_done();
}
