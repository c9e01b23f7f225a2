/*
 * anomaly_detect.c: detect_anomalies(): the minutes that are kept of every version of a model, replayed through the
 * detector, for people who ask what it makes of a metric. Reads only; the detectors that the tick feeds are not
 * touched, but for the same metric and the same minutes the scores are theirs.
 */
#include "pg/anomaly_internal.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "pg/metric_internal.h"
#include "pg/query.h"
#include "pg/rollup.h"

/* put: one minute. */
static void
put(ReturnSetInfo *set, TimestampTz minute, const char *version, double value, const anomaly_stream_result *r)
{
	Datum values[6];
	bool nulls[6] = {false};

	values[0] = TimestampTzGetDatum(minute);
	values[1] = CStringGetTextDatum(version);
	values[2] = Float8GetDatum(value);
	values[3] = Float8GetDatum(r->expected);
	nulls[3] = isnan(r->expected);
	values[4] = Float8GetDatum(r->score);
	values[5] = BoolGetDatum(r->score >= 1);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	pfree(DatumGetPointer(values[1]));
}

/* replay: one version's minutes in (since, until], in order. */
static void
replay(ReturnSetInfo *set, int64 version_id, const char *version, const char *name, double sensitivity,
	   TimestampTz since, TimestampTz until)
{
	metric m = metric_parse(name);
	metric_question question = {.version_ids = &version_id,
								.versions = 1,
								.since = since,
								.until = until,
								.width = USECS_PER_MINUTE,
								.quantiles = m.form == METRIC_QUANTILE,
								.pairs = m.form == METRIC_CUSTOM ? 1 : 0,
								.pair_versions = &version_id,
								.pair_names = &name};
	metric_answer *answer = metric_read(&question);
	anomaly_stream stream;

	metric_read_reported(&question, answer);
	anomaly_stream_init(&stream);
	for (TimestampTz minute = metric_floor(since + 1, USECS_PER_MINUTE); minute < until; minute += USECS_PER_MINUTE)
	{
		metric_point point = metric_point_of(answer, version_id, minute, name, 1);
		anomaly_stream_result r;

		if (point.samples <= 0 || !isfinite(point.value))
			continue;
		(void) anomaly_stream_ends(&stream, minute);
		r = anomaly_stream_update(&stream, point.value, (double) point.samples,
								  !point.reported && (m.form == METRIC_SUCCESS_RATE || m.form == METRIC_ERROR_RATE),
								  minute, sensitivity);
		put(set, minute, version, point.value, &r);
		if (minute % (64 * USECS_PER_MINUTE) == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

MM_FUNCTION(mm_detect_anomalies);

/* mm_detect_anomalies(model_name, metric_name, sensitivity): one row a version and complete minute with samples. */
Datum
mm_detect_anomalies(PG_FUNCTION_ARGS)
{
	static query versions =
		QUERY("SELECT v.version_id, v.version FROM model_mgr.model_version v WHERE v.model_name = $1"
			  " ORDER BY v.version_id",
			  TEXTOID);
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	char *model_name = mm_text_arg(fcinfo, 0, "model_name", true);
	char *metric_name = mm_text_arg(fcinfo, 1, "metric_name", true);
	double sensitivity =
		PG_ARGISNULL(2) ? ANOMALY_SENSITIVITY : anomaly_check_sensitivity("detect_anomalies", PG_GETARG_FLOAT8(2));
	TimestampTz now = mm_now();
	TimestampTz until = now - ((now % USECS_PER_MINUTE) + USECS_PER_MINUTE) % USECS_PER_MINUTE;
	TimestampTz since;
	const char *name = metric_canonical(metric_name);
	MemoryContext context;
	MemoryContext old;
	int64 *ids;
	char **texts;
	uint64 count;
	mm_scope scope;

	InitMaterializedSRF(fcinfo, 0);
	scope = mm_enter();
	/* from the first minute that is kept whole: before it hours may be all there is */
	since = metric_floor(rollup_minutes_kept(), USECS_PER_MINUTE) + USECS_PER_MINUTE;
	count = query_run(&versions, text_arg(model_name));
	ids = palloc(sizeof(int64) * (count + 1));
	texts = palloc(sizeof(char *) * (count + 1));
	for (uint64 i = 0; i < count; i++)
	{
		ids[i] = query_int64(i, 0);
		texts[i] = query_text(i, 1);
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "detect_anomalies", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < count; i++)
	{
		replay(set, ids[i], texts[i], name, sensitivity, since, until);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	mm_leave(scope);
	return (Datum) 0;
}
