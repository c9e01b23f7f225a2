/*
 * attribution.c: which rollout and step an outcome is credited to. A row that carries the rollout of its decision, or
 * the one that it was recorded in (step 0: in none), keeps it; a row without one is credited to the rollout of its
 * version's model in whose time it was routed. Called once a row by the view rollup_pending, so the rollouts of a
 * version are read once a query.
 *
 * A model's rollouts follow one another, but with model_mgr.clock held still several may share a beginning: for rows
 * that do not carry one the last one that began counts.
 */
#include "pg/mm.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "pg/query.h"

/* A stretch of time in one step of one rollout; sorted by began. A rollout's warm-up is a stretch of step 0. */
typedef struct stretch
{
	TimestampTz began;
	TimestampTz ended;
	int64 deployment_id;
	int32 step;
} stretch;

typedef struct version_times
{
	int64 version_id;    /* hash key */
	TimestampTz horizon; /* rollouts that ended before are not loaded */
	int count;
	stretch *stretches;
} version_times;

/* How far back a query looks for rollouts at first; rows routed before that load all. */
#define ATTRIBUTION_HORIZON (2 * USECS_PER_HOUR)

/* load_times: the stretches of one version, without overlaps, in order of time. */
static void
load_times(version_times *times, MemoryContext context)
{
	static query find = QUERY(
		"SELECT p.deployment_id, p.started_at, coalesce(p.ended_at, 'infinity'),"
		" coalesce((d.rollout ->> 'warmup_seconds')::float8, 0), s.step, s.started_at"
		" FROM model_mgr.deployment_plan p JOIN model_mgr.deployment d ON d.deployment_id = p.deployment_id"
		" LEFT JOIN model_mgr.deployment_step s ON s.deployment_id = p.deployment_id"
		" WHERE p.model_id = (SELECT v.model_id FROM model_mgr.model_version v WHERE v.version_id = $1)"
		" AND (p.version_id = $1 OR p.baseline_version_id = $1)"
		" AND p.started_at IS NOT NULL AND (p.ended_at IS NULL OR (p.ended_at > $2 AND p.ended_at > p.started_at))"
		" ORDER BY p.started_at, p.deployment_id, s.started_at, s.step",
		INT8OID, TIMESTAMPTZOID);
	mm_scope scope = mm_enter();
	uint64 rows = query_run(&find, int64_arg(times->version_id), time_arg(times->horizon));
	stretch *list = MemoryContextAllocHuge(context, Max(rows, 1) * 2 * sizeof(stretch));
	int n = 0;
	int first = 0; /* of the present rollout */
	int kept = 0;

	for (uint64 row = 0; row < rows; row++)
	{
		int64 deployment_id = query_int64(row, 0);
		TimestampTz started = query_time(row, 1);
		TimestampTz ended = query_time(row, 2);
		double warmup = query_float8(row, 3);
		bool steps = !query_isnull(row, 4);
		int32 step = steps ? query_int32(row, 4) : 1;
		TimestampTz began = steps ? query_time(row, 5) : started;

		if (n == first || list[n - 1].deployment_id != deployment_id)
		{
			/* Whatever is left of the rollout before ends here. */
			for (int i = first; i < n; i++)
				list[i].ended = Min(list[i].ended, started);
			first = n;
			began = started; /* no gap before the first step */
			if (warmup > 0)
			{
				list[n++] = (stretch){started, ended, deployment_id, 0};
				began = started + (TimestampTz) (warmup * USECS_PER_SEC);
			}
		}
		else if (list[first].step == 0)
			began = Max(began, started + (TimestampTz) (warmup * USECS_PER_SEC));
		if (n > first)
			list[n - 1].ended = Min(list[n - 1].ended, began);
		list[n++] = (stretch){began, ended, deployment_id, step};
	}
	/* Empty ones (a rollout that ended while warming up) would break the order. */
	for (int i = 0; i < n; i++)
		if (list[i].began < list[i].ended)
			list[kept++] = list[i];
	times->stretches = list;
	times->count = kept;
	mm_leave(scope);
}

/* find_stretch: the one that holds `at`, or NULL. */
static const stretch *
find_stretch(const version_times *times, TimestampTz at)
{
	int low = 0;
	int high = times->count;

	while (low < high) /* the last that began at or before `at` */
	{
		int middle = (low + high) / 2;

		if (times->stretches[middle].began <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && at < times->stretches[low - 1].ended)
		return &times->stretches[low - 1];
	return NULL;
}

MM_FUNCTION(mm_attribution);

Datum
mm_attribution(PG_FUNCTION_ARGS)
{
	HTAB *cache = fcinfo->flinfo->fn_extra;
	int64 version_id = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	int64 deployment_id = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	int32 step = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	TimestampTz at = PG_ARGISNULL(3) ? 0 : PG_GETARG_TIMESTAMPTZ(3);
	version_times *times;
	const stretch *in_force;
	bool found;

	if (cache == NULL)
	{
		HASHCTL control = {
			.keysize = sizeof(int64), .entrysize = sizeof(version_times), .hcxt = fcinfo->flinfo->fn_mcxt};

		cache = hash_create("rollouts of versions", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		fcinfo->flinfo->fn_extra = cache;
	}
	times = hash_search(cache, &version_id, HASH_ENTER, &found);
	if (!found)
	{
		times->count = 0;
		times->horizon = mm_now() - ATTRIBUTION_HORIZON;
		load_times(times, fcinfo->flinfo->fn_mcxt);
	}
	if (at < times->horizon && times->horizon > DT_NOBEGIN)
	{
		times->horizon = DT_NOBEGIN;
		load_times(times, fcinfo->flinfo->fn_mcxt);
	}
	in_force = find_stretch(times, at);

	if (deployment_id == 0 && !PG_ARGISNULL(2) && step == 0)
		; /* recorded while there was no rollout */
	else if (deployment_id == 0 && in_force)
	{
		deployment_id = in_force->deployment_id;
		step = in_force->step;
	}
	else if (in_force && in_force->deployment_id == deployment_id)
		step = in_force->step == 0 ? 0 : PG_ARGISNULL(2) ? in_force->step : step;
	PG_RETURN_INT64(deployment_id << 16 | (step & 0xffff));
}
