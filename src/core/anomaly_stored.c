/*
 * anomaly_stored.c: the stored form of a detector of anomalies, version 1: ANOMALY_SIZE bytes, numbers little-endian,
 * doubles as their IEEE 754 bits.
 *
 * What seldom changes comes first: a server that logs only what differs between two stored forms (the beginning and
 * the end that are equal left out) then logs a third of it a point. 1 byte version; 1 byte flags: 1 scaled, 2 timed;
 * 2 bytes scale (signed); 8 bytes first time (signed); in 8 bytes each the profile's bins; in 1 byte each their visits;
 * in 8 bytes each the points last let through by level, longest run, repeats; 1 byte the half hour under way; then in 8
 * bytes each n, previous value, short mean, local mean, local variance, the ranges level, jump and local (n, low, high,
 * mean), points judged by season, variance of their residuals, power of residuals, mean and power of values, present
 * run, points and mean of the half hour under way. A new version is a new first byte; forms of earlier versions stay
 * readable.
 */
#include "core/anomaly.h"

#include <math.h>
#include <string.h>

/* What no series of doubles can exceed, with room: values are at most 2^300, deviations and squares follow. */
#define VALUE_LIMIT 0x1p310
#define POWER_LIMIT 0x1p620
#define COUNT_LIMIT (UINT64_C(1) << 53)
#define VISITS_LIMIT 6
#define SCALE_LIMIT 1100

/* One pass over the fields serves both directions, so they cannot differ. */
typedef struct stream
{
	unsigned char *out;
	const unsigned char *in;
} stream;

static void
pass_bytes(stream *s, uint64_t *value, int bytes)
{
	if (s->out != NULL)
		for (int i = 0; i < bytes; i++)
			*s->out++ = (unsigned char) (*value >> (8 * i));
	else
	{
		*value = 0;
		for (int i = 0; i < bytes; i++)
			*value |= (uint64_t) *s->in++ << (8 * i);
	}
}

static void
pass_count(stream *s, uint64_t *value)
{
	pass_bytes(s, value, 8);
}

static void
pass_double(stream *s, double *value)
{
	uint64_t bits;

	memcpy(&bits, value, 8);
	pass_bytes(s, &bits, 8);
	memcpy(value, &bits, 8);
}

static void
pass_range(stream *s, anomaly_range *r)
{
	pass_count(s, &r->n);
	pass_double(s, &r->low);
	pass_double(s, &r->high);
	pass_double(s, &r->mean);
}

static void
pass(stream *s, anomaly *a, uint64_t *version, uint64_t *flags)
{
	uint64_t scale = (uint16_t) a->scale;
	uint64_t first_time = (uint64_t) a->first_time;
	uint64_t bin = (uint64_t) a->bin;

	pass_bytes(s, version, 1);
	pass_bytes(s, flags, 1);
	pass_bytes(s, &scale, 2);
	a->scale = (int32_t) scale - (scale >= 0x8000 ? 0x10000 : 0);
	pass_count(s, &first_time);
	memcpy(&a->first_time, &first_time, 8);
	for (int i = 0; i < ANOMALY_BINS; i++)
		pass_double(s, &a->profile[i]);
	for (int i = 0; i < ANOMALY_BINS; i++)
	{
		uint64_t visits = a->visits[i];

		pass_bytes(s, &visits, 1);
		a->visits[i] = (uint8_t) visits;
	}
	for (int i = 0; i < ANOMALY_LEVELS; i++)
		pass_count(s, &a->said[i]);
	pass_count(s, &a->longest_run);
	pass_count(s, &a->repeats);
	pass_bytes(s, &bin, 1);
	a->bin = (int32_t) bin;
	pass_count(s, &a->n);
	pass_double(s, &a->previous);
	pass_double(s, &a->fast);
	pass_double(s, &a->local_mean);
	pass_double(s, &a->local_variance);
	pass_range(s, &a->level);
	pass_range(s, &a->jump);
	pass_range(s, &a->local);
	pass_count(s, &a->season_n);
	pass_double(s, &a->season_variance);
	pass_double(s, &a->residual_power);
	pass_double(s, &a->value_mean);
	pass_double(s, &a->value_power);
	pass_count(s, &a->run);
	pass_count(s, &a->bin_n);
	pass_double(s, &a->bin_mean);
}

void
anomaly_serialise(const anomaly *a, unsigned char bytes[ANOMALY_SIZE])
{
	anomaly copy = *a;
	stream s = {bytes, NULL};
	uint64_t version = ANOMALY_VERSION;
	uint64_t flags = (uint64_t) a->scaled | (uint64_t) a->timed << 1;

	pass(&s, &copy, &version, &flags);
}

/* within: finite and no larger than that. */
static bool
within(double x, double limit)
{
	return x >= -limit && x <= limit;
}

static bool
range_good(const anomaly_range *r, uint64_t n)
{
	return r->n <= n && within(r->low, VALUE_LIMIT) && within(r->high, VALUE_LIMIT) && within(r->mean, VALUE_LIMIT) &&
		   r->low <= r->high && (r->n == 0 || (r->low <= r->mean && r->mean <= r->high));
}

static bool
power_good(double x)
{
	return x >= 0 && x <= POWER_LIMIT;
}

bool
anomaly_restore(anomaly *a, const unsigned char *bytes, size_t length)
{
	stream s = {NULL, bytes};
	uint64_t version;
	uint64_t flags;

	if (length != ANOMALY_SIZE || bytes[0] != ANOMALY_VERSION || bytes[1] > 3)
		return false;
	memset(a, 0, sizeof(*a));
	pass(&s, a, &version, &flags);
	a->scaled = (flags & 1) != 0;
	a->timed = (flags & 2) != 0;
	if (a->n > COUNT_LIMIT || a->scale > SCALE_LIMIT || a->scale < -SCALE_LIMIT || (!a->scaled && a->scale != 0) ||
		(!a->timed && a->first_time != 0))
		return false;
	if (!within(a->previous, VALUE_LIMIT) || !within(a->fast, VALUE_LIMIT) || !within(a->local_mean, VALUE_LIMIT) ||
		!within(a->value_mean, VALUE_LIMIT) || !power_good(a->local_variance) || !power_good(a->season_variance) ||
		!power_good(a->residual_power) || !power_good(a->value_power))
		return false;
	if (!range_good(&a->level, a->n) || !range_good(&a->jump, a->n) || !range_good(&a->local, a->n))
		return false;
	for (int i = 0; i < ANOMALY_BINS; i++)
		if (!within(a->profile[i], VALUE_LIMIT) || a->visits[i] > VISITS_LIMIT)
			return false;
	if (a->bin >= ANOMALY_BINS || a->bin_n > a->n || !within(a->bin_mean, VALUE_LIMIT))
		return false;
	if (a->season_n > a->n || a->repeats > a->n || a->run > a->repeats || a->longest_run > a->repeats)
		return false;
	for (int i = 0; i < ANOMALY_LEVELS; i++)
		if (a->said[i] > (i > 0 ? a->said[i - 1] : a->n))
			return false;
	return true;
}
