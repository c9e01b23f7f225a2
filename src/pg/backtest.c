/*
 * backtest.c: the history that backtests replay: the time, the versions and who served when. Reads only.
 */
#include "pg/backtest.h"

#include <math.h>

#include "funcapi.h"
#include "utils/tuplestore.h"

#include "pg/metric_internal.h"
#include "pg/query.h"
#include "pg/registry.h"
#include "pg/rollup.h"

#define COLUMNS 8

void
backtest_times(FunctionCallInfo fcinfo, int since_argno, int until_argno, backtest *out)
{
	TimestampTz since;
	TimestampTz until;

	mm_window_args(fcinfo, since_argno, until_argno, &since, &until);
	until = Min(until, mm_now());
	out->since = metric_floor(since, USECS_PER_MINUTE) + USECS_PER_MINUTE;
	out->until = metric_floor(until + 1, USECS_PER_MINUTE);
}

/* reach_back: where a replay begins that asks for a time of which there are hours only: at the first hour that has
 * anything; sets `kept` to the whole hour from which on it goes by the minute. */
static void
reach_back(backtest *b, TimestampTz wished)
{
	static query first = QUERY("SELECT pg_catalog.min((SELECT pg_catalog.min(h.bucket) FROM model_mgr.rollup_hour h"
							   " WHERE h.version_id = v.version_id AND h.bucket >= $2 AND h.bucket < $3))"
							   " FROM model_mgr.model_version v WHERE v.model_id = $1",
							   INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	TimestampTz hour = metric_floor(wished, USECS_PER_HOUR) + USECS_PER_HOUR;
	TimestampTz whole = metric_floor(b->kept, USECS_PER_HOUR) + USECS_PER_HOUR;

	query_run(&first, int64_arg(b->model_id), time_arg(hour), time_arg(whole));
	if (query_isnull(0, 0))
		return;
	b->since = query_time(0, 0);
	b->kept = whole;
	/* What ends before is replayed by whole hours. */
	if (b->until < whole)
		b->until = Max(metric_floor(b->until + 1, USECS_PER_HOUR), b->since);
}

bool
backtest_load(const char *model_name, bool hours_too, backtest *out)
{
	static query versions = QUERY(
		"SELECT v.version_id, v.version FROM model_mgr.model_version v WHERE v.model_id = $1 ORDER BY v.version_id",
		INT8OID);
	static query routings = QUERY("SELECT h.changed_at, h.stable_version_id, h.candidate_version_id, h.candidate_weight"
								  " FROM model_mgr.routing_history h WHERE h.model_id = $1 ORDER BY h.revision",
								  INT8OID);

	TimestampTz wished;

	/* What is older than the first minute that is kept whole is there by the hour only. */
	out->kept = metric_floor(rollup_minutes_kept(), USECS_PER_MINUTE) + USECS_PER_MINUTE;
	wished = out->since;
	out->since = Max(out->since, out->kept);
	out->model_id = registry_model_id(model_name, true);
	if (out->model_id == 0)
		return false;
	if (hours_too && wished < out->kept)
		reach_back(out, wished);
	else if (wished < out->kept)
		ereport(
			NOTICE, errmsg("the replay begins at %s", pstrdup(timestamptz_to_str(out->kept))),
			errdetail(
				"Minutes before are no longer kept (perf_monitor_retention_hours), and these rules are looked at by the minute."),
			errhint("Give a later \"since\", or keep minutes longer."));
	out->version_count = (int) query_run(&versions, int64_arg(out->model_id));
	out->version_ids = palloc(sizeof(int64) * (out->version_count + 1));
	out->versions = palloc(sizeof(char *) * (out->version_count + 1));
	for (int i = 0; i < out->version_count; i++)
	{
		out->version_ids[i] = query_int64(i, 0);
		out->versions[i] = query_text(i, 1);
	}
	out->routing_count = (int) query_run(&routings, int64_arg(out->model_id));
	out->routings = palloc(sizeof(backtest_routing) * (out->routing_count + 1));
	for (int i = 0; i < out->routing_count; i++)
		out->routings[i] = (backtest_routing){.from = query_time(i, 0),
											  .stable_version_id = query_int64(i, 1),
											  .candidate_version_id = query_int64(i, 2),
											  .candidate_weight = query_int32(i, 3)};
	return true;
}

const backtest_routing *
backtest_routing_at(const backtest *b, TimestampTz at)
{
	int low = 0;
	int high = b->routing_count;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (b->routings[middle].from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &b->routings[low - 1] : NULL;
}

double
backtest_share(const backtest_routing *routing, int64 version_id)
{
	if (routing == NULL)
		return 0;
	if (routing->candidate_version_id == version_id)
		return routing->candidate_weight / 100.0;
	return routing->stable_version_id == version_id ? (10000 - routing->candidate_weight) / 100.0 : 0;
}

bool
backtest_serves(const backtest *b, int64 version_id, TimestampTz at)
{
	const backtest_routing *last = backtest_routing_at(b, at);

	for (; last != NULL; last--)
	{
		if (last->stable_version_id == version_id ||
			(last->candidate_version_id == version_id && last->candidate_weight > 0))
			return true;
		if (last->from < at || last == b->routings)
			break;
	}
	return false;
}

backtest_row *
backtest_add(backtest *b, const backtest_row *row)
{
	backtest_row *copy = palloc(sizeof(backtest_row));

	if (b->row_count == b->row_room)
	{
		b->row_room = b->row_room ? 2 * b->row_room : 64;
		b->rows = b->rows ? repalloc(b->rows, sizeof(backtest_row *) * b->row_room)
						  : palloc(sizeof(backtest_row *) * b->row_room);
	}
	*copy = *row;
	b->rows[b->row_count++] = copy;
	return copy;
}

void
backtest_put(const backtest *b, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;

	/* Replays go forward: rows come by time already. */
	for (int i = 0; i < b->row_count; i++)
	{
		const backtest_row *row = b->rows[i];
		Datum values[COLUMNS];
		bool nulls[COLUMNS] = {false};

		values[0] = TimestampTzGetDatum(row->time);
		values[1] = CStringGetTextDatum(row->kind);
		nulls[2] = row->metric_name == NULL;
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(row->metric_name);
		values[3] = Float8GetDatum(row->value);
		nulls[3] = isnan(row->value);
		values[4] = Float8GetDatum(row->limit_value);
		nulls[4] = isnan(row->limit_value);
		values[5] = Float8GetDatum(row->traffic_percentage);
		nulls[5] = isnan(row->traffic_percentage);
		values[6] = Int64GetDatum(isnan(row->requests_affected) ? 0 : (int64) rint(row->requests_affected));
		nulls[6] = isnan(row->requests_affected);
		values[7] = CStringGetTextDatum(row->detail);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
}
